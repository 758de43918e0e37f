"""Relations between models: ``post.user`` for ``post.user_id``, loaded lazily and in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.models.registry import repository_of
from dynamo_bao.models.repository import Repository
from dynamo_bao.reads.eager_loading import EagerLoad, load_relations
from dynamo_bao.reads.get_item import get_instance
from dynamo_bao.reads.query import QueryOptions, relation_paths
from dynamo_bao.reads.query_result import QueryResult
from dynamo_bao.runtime.compat import Unpack
from dynamo_bao.session.peers import remember_related, remembered_related
from dynamo_bao.session.scope import resolve_scope, resolve_scope_of
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import RelationOrigin, Status, state_of

R = TypeVar("R")


class Related(Generic[R]):
    """The related instance of a relation field, as an attribute whose type checkers know.

    Each `RelatedField` adds such an attribute without a type, named without ``_id``.

    Args:
        field: the relation field.

    Example:
        >>> class Post(Model, prefix="p"):
        ...     user_id: str = RelatedField("User")
        ...     user = Related["User"]("user_id")
    """

    def __init__(self, field: str) -> None:
        self.field = field

    def __get__(self, instance: Any, owner: type[Any]) -> R:
        if instance is None:
            return self  # type: ignore[return-value]  # on the class it is the declaration
        return related(instance, self.field)  # type: ignore[no-any-return]

    def __set__(self, instance: Any, value: Any) -> None:
        setattr(instance, self.field, getattr(value, "primary_id", value))


def related(instance: Any, field: str) -> Any:
    """The related instance of a relation field, or None if it is not set. It is loaded when a field is read."""
    repository: Repository[Any] = _repository(instance)
    repository._target_repository(field)
    getattr(instance, field)  # this loads a pending instance
    target = repository._related_target(instance, field)
    if target is None:
        return None
    remembered = remembered_related(instance, field)
    state = state_of(instance)
    if state.mapper is None:
        session, _ = resolve_scope(repository.database, repository.schema.name, field)
    else:
        session = resolve_scope_of(state, field)
    if remembered is not None and (session is None or state_of(remembered).session is session):
        return remembered
    target_instance = _find(repository, instance, target, field, session)
    remember_related(instance, field, target_instance)
    return target_instance


def _find(
    repository: Repository[Any], instance: Any, target: Any, field: str, session: Session | None
) -> Any:
    mapper, identity, tenant = target
    if session is None:
        return get_instance(mapper, identity, tenant, None)
    cached = session._instances.get(mapper, identity.key)
    relation = RelationOrigin(state_of(instance).group, field, repository.schema.name)
    origin = relation if cached is None else state_of(cached).origin
    target_instance = session._instances.lookup(mapper, identity, tenant)
    state_of(target_instance).origin = origin
    return target_instance


def _repository(instance: Any) -> Repository[Any]:
    mapper = state_of(instance).mapper
    return mapper if isinstance(mapper, Repository) else repository_of(type(instance))


def load_related(instance: Any, names: Iterable[str] | None) -> None:
    """Loads the targets of the named relation fields (all of them by default), in one round."""
    repository = _repository(instance)
    names = None if names is None else relation_paths(repository, "load_related_data", names)
    if state_of(instance).mapper is None:
        resolve_scope(repository.database, repository.schema.name, "load_related_data")
        for name in relation_names_of(repository) if names is None else names:
            target = related(instance, name)
            if target is not None:
                target.exists()
        return
    repository._load_instance(instance)
    session = resolve_scope_of(state_of(instance), "load_related_data")
    load_relations([EagerLoad([instance], names)], session, kind=None)


def relation_names_of(repository: Repository[Any]) -> list[str]:
    """The relation fields of a repository's model."""
    return [field.name for field in repository.schema.fields.values() if isinstance(field, RelatedField)]


def get_related(instance: Any, field: str) -> Any:
    """The related instance if it is loaded, else None. It sends no request."""
    _repository(instance)._target_repository(field)
    cached = remembered_related(instance, field)
    return cached if cached is not None and state_of(cached).status is not Status.PENDING else None


def get_or_load_related(instance: Any, field: str) -> Any:
    """The related instance, loaded at once; None if the relation is not set."""
    target = related(instance, field)
    if target is not None:
        target.exists()
    return target


# --- generated names ------------------------------------------------------------------------


def relation_name(field: str) -> str | None:
    """The name of the attribute that a relation field adds: its own name without ``_id``."""
    return field[: -len("_id")] if field.endswith("_id") and len(field) > len("_id") else None


def query_method(model: type[Any], index: str) -> Callable[..., QueryResult[Any]]:
    """The method ``parent.query_…`` for an index whose partition key is a relation to the parent's model."""

    def query(self: Any, sort_condition: Any = None, **options: Unpack[QueryOptions]) -> QueryResult[Any]:
        return repository_of(model)._query_through(self, index, sort_condition, **options)

    query.__doc__ = f"The {model.__name__} items of this one, by {index}."
    query.made_by_relation = True  # type: ignore[attr-defined]
    return query


def association_method(model: type[Any], index: str, target: str) -> Callable[..., QueryResult[Any]]:
    """The method ``tag.get_posts`` for a mapping model. It costs one query and one batch a page."""

    def get(
        self: Any,
        sort_condition: Any = None,
        limit: int | None = None,
        direction: str = "ASC",
        start_key: str | None = None,
    ) -> QueryResult[Any]:
        return repository_of(model)._query_through(
            self,
            index,
            sort_condition,
            limit=limit,
            direction=direction,
            start_key=start_key,
            related_only=target,
        )

    get.__doc__ = f"The instances that {model.__name__} relates to this one, by {index}."
    get.made_by_relation = True  # type: ignore[attr-defined]
    return get


def mapped_name(index: str) -> str:
    """``get_posts`` for the index ``posts_for_tag``."""
    return f"get_{index.split('_for_', 1)[0]}"


def parent_query_name(index: str) -> str:
    """``query_posts`` for the index ``posts_for_user``."""
    return f"query_{index.split('_for_', 1)[0]}"
