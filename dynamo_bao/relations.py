"""Relations between models: ``post.user`` for ``post.user_id``, lazily and in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from dynamo_bao.checkers import Unpack
from dynamo_bao.fields.text import RelatedField
from dynamo_bao.instances import Origin, Status, state_of
from dynamo_bao.query import QueryOptions, QueryResult
from dynamo_bao.reading import get_instance
from dynamo_bao.registry import repository_of
from dynamo_bao.repository import Repository
from dynamo_bao.scope import enter, enter_through

R = TypeVar("R")


class Related(Generic[R]):
    """The related instance of a relation field, as an attribute that checkers can type.

    A `RelatedField` gives such an attribute by itself, named without ``_id``.

    Example:
        >>> class Post(Model, prefix="p"):
        ...     user_id: str = RelatedField("User")
        ...     user = Related["User"]("user_id")
    """

    def __init__(self, field: str) -> None:
        self.field = field

    def __get__(self, instance: Any, owner: type[Any]) -> R:
        if instance is None:
            return self  # type: ignore[return-value]  # from the class it is the declaration
        return related(instance, self.field)  # type: ignore[no-any-return]

    def __set__(self, instance: Any, value: Any) -> None:
        setattr(instance, self.field, value)


def related(instance: Any, field: str) -> Any:
    """The instance that a relation field points to, None if it is unset; loaded when it is looked at."""
    repository: Repository[Any] = _repository(instance)
    repository.related_repository(field)
    getattr(instance, field)  # a pending instance is looked at here
    target = repository.related_target(instance, field)
    if target is None:
        return None
    home, identity, tenant = target
    state = state_of(instance)
    if state.home is None:
        session, _ = enter(repository.database, repository.schema.name, field)
    else:
        session = enter_through(instance, field)
    if session is None:
        return get_instance(home, identity, tenant, None)
    known = session.known(home, identity)
    found = session.lookup(home, identity, tenant)
    if known is None:
        state_of(found).origin = Origin(state.group, field, repository.schema.name)
    return found


def _repository(instance: Any) -> Repository[Any]:
    home = state_of(instance).home
    return home if isinstance(home, Repository) else repository_of(type(instance))


def relation_fields(instance: Any) -> list[str]:
    """The relation fields of an instance's model."""
    fields = _repository(instance).schema.fields.values()
    return [field.name for field in fields if isinstance(field, RelatedField)]


def load_related(instance: Any, names: Iterable[str] | None) -> None:
    """Loads the targets of the named relation fields (all of them by default), in one round."""
    wanted = relation_fields(instance) if names is None else list(names)
    targets = [target for target in (_announced(instance, name) for name in wanted) if target is not None]
    for target in targets:
        if state_of(target).status is Status.PENDING:
            target.exists()


def _announced(instance: Any, field: str) -> Any:
    """A related instance whose load was asked for, so that it is nobody's implicit one."""
    target = related(instance, field)
    if target is not None and state_of(target).origin is not None:
        state_of(target).origin = None
    return target


# --- names made at run time ------------------------------------------------------------------------


def relation_name(field: str) -> str | None:
    """The attribute a relation field gives: its name without ``_id``."""
    return field[: -len("_id")] if field.endswith("_id") and len(field) > len("_id") else None


def query_method(model: type[Any], index: str) -> Callable[..., QueryResult[Any]]:
    """The method ``parent.query_…`` for an index whose partition key relates to the parent's model."""

    def query(self: Any, sort_condition: Any = None, **options: Unpack[QueryOptions]) -> QueryResult[Any]:
        return repository_of(model).query_by_index(index, self, sort_condition, **options)

    query.__doc__ = f"The {model.__name__} items of this one, by {index}."
    query.made_by_relation = True  # type: ignore[attr-defined]
    return query


def parent_query_name(index: str) -> str:
    """``query_posts`` for the index ``posts_for_user``."""
    return f"query_{index.split('_for_', 1)[0]}"
