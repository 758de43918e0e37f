"""The registry of models and managers, and the choice of the manager that serves a model."""

from __future__ import annotations

import sys
import weakref
from typing import Any, Protocol, TypeVar

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.errors import ConfigurationError, suggestion
from dynamo_bao.models.repository import Repository
from dynamo_bao.session.bindings import MANAGER, bound_values, innermost_value
from dynamo_bao.session.state import Instance, state_of

M = TypeVar("M", bound=Instance)


class ManagerProtocol(Protocol):
    """The part of a manager that the registry needs."""

    @property
    def database(self) -> Database:
        """The table and its rules."""
        ...

    @property
    def _served_models(self) -> set[type[Instance]]:
        """The models listed for the manager, and those it has a repository for."""
        ...

    def _repository_or_none(self, model: type[M]) -> Repository[M] | None:
        """The manager's repository of `model`, or None if the manager does not serve it."""
        ...


_models: list[weakref.ref[type[Instance]]] = []
_managers: list[ManagerProtocol] = []
_only_active: list[ManagerProtocol] = []
_are_activated = False
repository_cache: dict[type[Any], Any] = {}
"""The results of `repository_of`. It is cleared when managers or their models change."""


def register(model: type[Instance]) -> None:
    """Adds a concrete model. A class that is defined again at the same place replaces the earlier one."""
    for ref in list(_models):
        registered = ref()
        if registered is None or _definition_site(registered) == _definition_site(model):
            _models.remove(ref)
    _models.append(weakref.ref(model))


def models() -> list[type[Any]]:
    """All concrete models, in the order they were defined."""
    return [model for model in (ref() for ref in _models) if model is not None]


def _definition_site(model: type[Instance]) -> tuple[str, str]:
    return source_file(model), model.__qualname__


def source_file(model: type[Instance]) -> str:
    """The file that defines a class, or its module if it has no file."""
    module = sys.modules.get(model.__module__)
    return getattr(module, "__file__", None) or model.__module__


def is_function_local(model: type[Instance]) -> bool:
    """Whether a class was defined inside a function."""
    return "<locals>" in model.__qualname__


def attach(manager: ManagerProtocol, *, only_active: bool = False) -> None:
    """Adds an open manager. It serves its models before others, or only inside `activate` with `only_active`."""
    if only_active:
        _only_active.append(manager)
    else:
        _managers.insert(0, manager)
    clear_repository_cache()


def detach(manager: ManagerProtocol) -> None:
    """Removes a manager."""
    for attached in (_managers, _only_active):
        if manager in attached:
            attached.remove(manager)
    clear_repository_cache()


def clear_repository_cache() -> None:
    """Clears the cache of repositories, because managers or their models have changed."""
    repository_cache.clear()


def managers() -> list[ManagerProtocol]:
    """The open managers, the newest first. Managers with `only_active` come last."""
    return [*_managers, *_only_active]


def default_managers() -> list[ManagerProtocol]:
    """The open managers without `only_active`, the newest first."""
    return list(_managers)


def active_manager() -> Any:
    """The innermost active manager, or None."""
    return innermost_value(MANAGER)


def note_activation() -> None:
    """Stops the use of the cache, because the repository of a model now depends on the active manager."""
    global _are_activated
    _are_activated = True
    clear_repository_cache()


def repository_of(model: type[M]) -> Repository[M]:
    """The repository of a model: of the innermost active manager that serves it, else of the newest one.

    Raises:
        ConfigurationError: if no open manager serves the model.
    """
    cached: Repository[M] | None = repository_cache.get(model)
    if cached is not None:
        return cached
    cls, model = model, getattr(model, "__bao_model__", model)  # `model` may be a lazy class
    active: list[ManagerProtocol] = bound_values(MANAGER)[::-1] if _are_activated else []
    for manager in (*active, *_managers):
        repository = manager._repository_or_none(model)
        if repository is not None:
            if not _are_activated:
                repository_cache[cls] = repository
            return repository
    name = model.__name__
    if _only_active:
        raise ConfigurationError(
            f"{name}: no active manager serves it here; use `with manager.activate():` around this call.",
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


def repository_for(instance: M) -> Repository[M]:
    """The repository of an instance. For a new instance it is that of its class."""
    mapper: Any = state_of(instance).mapper
    return mapper if mapper is not None else repository_of(type(instance))


def preferred(name: str, candidates: list[type[Instance]], owner: type[Instance]) -> list[type[Instance]]:
    """The models that a relation of `owner` may mean by a name: those of its own module, else all of the name.

    A name is the stored name of a model, or the name of its class if no model is stored under it. Of a class that
    was defined again at the same place, only the newest counts.

    Args:
        candidates: the models to choose from. A redefined class comes after its earlier ones.
    """
    matches = [model for model in candidates if model.__bao_name__ == name]
    matches = matches or [model for model in candidates if model.__name__ == name]
    matches = [model for model in matches if model.__module__ == owner.__module__] or matches
    return list({_definition_site(model): model for model in matches}.values())


def names_of(model: object) -> set[str]:
    """The stored name of a model and the name of its class; a name that is given instead of a model is its only one."""
    if isinstance(model, str):
        return {model}
    return {model.__bao_name__, model.__name__} if hasattr(model, "__bao_name__") else set()  # type: ignore[attr-defined]


def is_one_of(model: type[Instance], names: set[str]) -> bool:
    """Whether a model or one of its bases has one of the names."""
    return any(not names.isdisjoint(names_of(base)) for base in model.__mro__)


def choose(name: str, candidates: list[type[Instance]], owner: type[Instance]) -> type[Instance]:
    """The model that a relation of `owner` names: the one of its own module, else the only one.

    Raises:
        ConfigurationError: if there is none, or more than one.
    """
    matches = preferred(name, candidates, owner)
    unmanaged = [] if matches else preferred(name, models(), owner)
    if unmanaged:
        raise out_of_reach(unmanaged[0], owner)
    if not matches:
        hint = suggestion(name, (model.__bao_name__ for model in candidates))
        raise ConfigurationError(
            f"{owner.__name__} relates to {name!r}, which is not a model.{hint}", model=owner.__name__
        )
    if len(matches) > 1:
        places = " and ".join(f"{model.__module__}.{model.__qualname__}" for model in matches)
        raise ConfigurationError(
            f"{owner.__name__} relates to {name!r}, which may be {places}; name the class itself.",
            model=owner.__name__,
        )
    return matches[0]


def place_in_managers(model: type[Instance]) -> str:
    """The manager of a model in words, for errors."""
    for manager in managers():
        if model in manager._served_models:
            return f"a model of another manager, that of table {manager.database.table_name!r}"
    return f"a model ({model.__module__}.{model.__qualname__}) of none of the open managers"


def out_of_reach(target: type[Any], owner: type[Instance]) -> ConfigurationError:
    """The error for a relation of `owner` to a model of another manager, or of none."""
    name, target_name = owner.__name__, target.__name__
    return ConfigurationError(
        f"{name} relates to {target.__bao_name__!r}, which is {place_in_managers(target)}; a relation stays inside one "
        f"manager. Give both to one, init_models(models=[{name}, {target_name}, …]), or keep the id in a StringField "
        f"and ask the other manager: manager.repository({target_name}).find(id).",
        model=name,
    )
