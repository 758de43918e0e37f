"""Which models there are, and which manager answers for a model."""

from __future__ import annotations

import sys
import weakref
from typing import Any, Protocol, TypeVar

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.errors import ConfigurationError, suggestion
from dynamo_bao.models.repository import Repository
from dynamo_bao.session.bindings import MANAGER, innermost, seen

M = TypeVar("M")


class ManagerProtocol(Protocol):
    """A manager, as the registry needs it."""

    @property
    def database(self) -> Database:
        """Where its models' items are, and the rules that hold there."""
        ...

    @property
    def _served_models(self) -> set[type[Any]]:
        """The models that it has answered for so far, or was given."""
        ...

    def _repository_or_none(self, model: type[M]) -> Repository[M] | None:
        """The manager's repository of `model`, or None if it does not answer for it."""
        ...


_models: list[weakref.ref[type[Any]]] = []
_managers: list[ManagerProtocol] = []
_only_active: list[ManagerProtocol] = []
_are_activated = False
repository_cache: dict[type[Any], Any] = {}
"""What `repository_of` found, for as long as neither managers nor their models change."""


def register(model: type[Any]) -> None:
    """Remembers a concrete model; a class defined again in the same place replaces the earlier one."""
    for ref in list(_models):
        known = ref()
        if known is None or _definition_site(known) == _definition_site(model):
            _models.remove(ref)
    _models.append(weakref.ref(model))


def models() -> list[type[Any]]:
    """All concrete models, in the order they were defined."""
    return [model for model in (ref() for ref in _models) if model is not None]


def _definition_site(model: type[Any]) -> tuple[str, str]:
    return source_file(model), model.__qualname__


def source_file(model: type[Any]) -> str:
    """Where a class was defined: its file, else its module."""
    module = sys.modules.get(model.__module__)
    return getattr(module, "__file__", None) or model.__module__


def is_function_local(model: type[Any]) -> bool:
    """Whether a class was defined inside a function."""
    return "<locals>" in model.__qualname__


def attach(manager: ManagerProtocol, *, only_active: bool = False) -> None:
    """Makes `manager` the first that is asked about a model; one that is asked only where it is active comes last."""
    if only_active:
        _only_active.append(manager)
    else:
        _managers.insert(0, manager)
    clear_repository_cache()


def detach(manager: ManagerProtocol) -> None:
    """Takes `manager` out."""
    for attached in (_managers, _only_active):
        if manager in attached:
            attached.remove(manager)
    clear_repository_cache()


def clear_repository_cache() -> None:
    """Has managers asked anew for the repositories of models, because what they answer for has changed."""
    repository_cache.clear()


def managers() -> list[ManagerProtocol]:
    """The open managers, the newest first, those that answer only where they are active last."""
    return [*_managers, *_only_active]


def default_managers() -> list[ManagerProtocol]:
    """The open managers that answer where none is active, the newest first."""
    return list(_managers)


def active_manager() -> Any:
    """The innermost manager that is active where code runs, or None."""
    link = innermost(MANAGER)
    return None if link is None else link.what


def note_activation() -> None:
    """Has every model's repository be looked for where it is asked for, now that managers are activated."""
    global _are_activated
    _are_activated = True
    clear_repository_cache()


def repository_of(model: type[M]) -> Repository[M]:
    """The repository of a model in the innermost active manager, else the one opened last, that answers for it.

    Raises:
        ConfigurationError: where there is none.
    """
    known: Repository[M] | None = repository_cache.get(model)
    if known is not None:
        return known
    asked, model = model, getattr(model, "__bao_model__", model)  # a pending instance's class is a hidden one
    active: list[ManagerProtocol] = seen(MANAGER)[::-1] if _are_activated else []
    for manager in (*active, *_managers):
        repository = manager._repository_or_none(model)
        if repository is not None:
            if not _are_activated:
                repository_cache[asked] = repository
            return repository
    name = model.__name__
    if _only_active:
        raise ConfigurationError(
            f"{name}: no manager is active here that answers for it; use `with manager.activate():` around this.",
            model=name,
        )
    if _managers:
        raise ConfigurationError(
            f"{name} belongs to none of the open managers; add it: init_models(models=[…, {name}]).",
            model=name,
        )
    raise ConfigurationError(
        f"{name} is not connected to a table yet; call init_models(…) first.", model=name
    )


def preferred(name: str, candidates: list[type[Any]], near: type[Any]) -> list[type[Any]]:
    """The models that a relation of `near` may mean by a name: the one of the same module, else all of the name."""
    named = [model for model in candidates if model.__bao_name__ == name]
    return [model for model in named if model.__module__ == near.__module__] or named


def choose(name: str, candidates: list[type[Any]], near: type[Any]) -> type[Any]:
    """The model that a relation of `near` names: the one of the same module, else the only one.

    Raises:
        ConfigurationError: where there is none, or several.
    """
    found = preferred(name, candidates, near)
    elsewhere = [] if found else preferred(name, models(), near)
    if elsewhere:
        raise out_of_reach(elsewhere[0], near)
    if not found:
        hint = suggestion(name, (model.__bao_name__ for model in candidates))
        raise ConfigurationError(
            f"{near.__name__} relates to {name!r}, which is no model.{hint}", model=near.__name__
        )
    if len(found) > 1:
        places = " and ".join(f"{model.__module__}.{model.__qualname__}" for model in found)
        raise ConfigurationError(
            f"{near.__name__} relates to {name!r}, which may be {places}; name the class itself.",
            model=near.__name__,
        )
    return found[0]


def place_in_managers(model: type[Any]) -> str:
    """Whose a model is, in words: of which open manager, or of none."""
    for manager in managers():
        if model in manager._served_models:
            return f"a model of another manager, that of table {manager.database.table_name!r}"
    return f"a model ({model.__module__}.{model.__qualname__}) of none of the open managers"


def out_of_reach(target: type[Any], near: type[Any]) -> ConfigurationError:
    """The error for a relation of `near` to a model that the manager of `near` does not answer for."""
    name, other = near.__name__, target.__name__
    return ConfigurationError(
        f"{name} relates to {target.__bao_name__!r}, which is {place_in_managers(target)}; a relation stays inside one "
        f"manager. Give both to one, init_models(models=[{name}, {other}, …]), or keep the id in a StringField and "
        f"ask the other manager: manager.repository({other}).find(id).",
        model=name,
    )
