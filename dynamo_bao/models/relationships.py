"""Relations between models: ``post.user`` for ``post.user_id``, loaded lazily and in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, Never, TypeVar, Unpack, overload

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.mapping.declarations import HasManyDeclaration, RelatedDeclaration
from dynamo_bao.models.late import read_side
from dynamo_bao.models.registry import is_one_of, names_of, repository_for, repository_of
from dynamo_bao.models.repository import Repository
from dynamo_bao.reads.get_item import get_instance
from dynamo_bao.session.peers import remember_related, remembered_related
from dynamo_bao.session.scope import operation_in, resolve_scope, resolve_scope_of
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance, RelationOrigin, RelationTarget, Status, state_of

R = TypeVar("R")


class Related(RelatedDeclaration, Generic[R]):
    """The related instance of a relation field, as an attribute whose type checkers know.

    Each `RelatedField` adds such an attribute without a type, named without ``_id``. Of a relation that may be None the
    type is ``Related["User | None"]``.

    Args:
        field: the relation field.

    Example:
        >>> class Post(Model, prefix="p"):
        ...     post_id: str = UlidField(auto_assign=True)
        ...     user_id: str = RelatedField("User")
        ...     primary_key = PrimaryKey("post_id")
        ...     user = Related["User"]("user_id")
    """

    def __get__(self, instance: Any, owner: type[object]) -> R:
        if instance is None:
            return self  # type: ignore[return-value]  # on the class it is the declaration
        return related(instance, self.field)  # type: ignore[no-any-return]

    def __set__(self, instance: object, value: R | str | None) -> None:
        setattr(instance, self.field, value)


class HasMany(HasManyDeclaration, Generic[R]):
    """The instances of another model that are related to this one, as an attribute: a query result that is loaded when
    it is used.

    Args:
        index: the index of the other model (or its named primary key) whose partition key is a relation to this model.
        through: a mapping model that has the index, or its name. The result then has the instances of its other
            relation.
        model: the related model or its name, if the name in brackets is only an alias for type checkers.

    Example:
        >>> class User(Model, prefix="u"):
        ...     user_id: str = UlidField(auto_assign=True)
        ...     primary_key = PrimaryKey("user_id")
        ...     posts = HasMany["Post"]("posts_for_user")
        >>> for post in user.posts:
        ...     print(post.title)
        >>> latest = user.posts.where(direction="DESC", limit=1).first()
    """

    def __init__(
        self,
        index: str,
        *,
        through: str | type[Instance] | None = None,
        model: str | type[Instance] | None = None,
    ) -> None:
        super().__init__(index, through, model)

    @overload
    def __get__(self, instance: None, owner: type[object]) -> HasMany[R]: ...

    @overload
    def __get__(self, instance: object, owner: type[object]) -> read_side.QueryResult[R]: ...

    def __get__(self, instance: Any, owner: type[object]) -> HasMany[R] | read_side.QueryResult[R]:
        if instance is None:
            return self
        repository = repository_for(instance)
        return repository._related_items(instance, self)

    def __set__(self, instance: object, value: Never) -> None:
        raise self._not_a_value()

    def __delete__(self, instance: object) -> None:
        raise self._not_a_value()

    def _not_a_value(self) -> AttributeError:
        return AttributeError(
            f"{self.owner}.{self.name} is the result of a query, and cannot be assigned or deleted. Change the "
            f"relation field of the related instances, or create and delete them."
        )


def related(instance: Instance, field: str, model: object = None) -> Any:
    """The related instance of a relation field, or None if it is not set. It is loaded when a field is read.

    Raises:
        ConfigurationError: if `field` is not a relation field, or leads to another model than `model`.
    """
    repository = repository_for(instance)
    target_model = repository._target_repository(field).model
    if model is not None:
        _require_target(repository, field, target_model, model)
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
    with operation_in(session):
        target_instance = _find(repository, instance, target, field, session)
        remember_related(instance, field, target_instance)
    return target_instance


def _require_target(repository: Repository[Any], field: str, target: type[Any], model: object) -> None:
    """Raises `ConfigurationError` if a relation field leads to `target`, and `model` is another model."""
    if target is model or is_one_of(target, names_of(model)):
        return
    name = repository.schema.name
    raise ConfigurationError(
        f"{name}.{field} relates to {target.__bao_name__}, not to {getattr(model, '__name__', model)}; write "
        f"related({target.__name__}, {field!r}), or name another field.",
        model=name,
        field=field,
    )


def _find(
    repository: Repository[Any],
    instance: Instance,
    target: RelationTarget,
    field: str,
    session: Session | None,
) -> Any:
    mapper, identity, tenant = target
    if session is None:
        return get_instance(mapper, identity, tenant, None)
    cached = session._instances.get(mapper, identity.key)
    origin: RelationOrigin | None = RelationOrigin(state_of(instance).group, field, repository.schema.name)
    if cached is not None and state_of(cached).status is Status.PENDING:
        origin = state_of(cached).origin
    target_instance = session._instances.lookup(mapper, identity, tenant)
    state_of(target_instance).origin = origin
    return target_instance


def load_related(instance: Instance, names: Iterable[str] | None) -> None:
    """Loads the targets of the named relation fields (all of them by default), in one round."""
    repository = repository_for(instance)
    if names is not None:
        names = read_side.relation_paths(repository, "load_related_data", names)
        read_side.require_relations(repository, names)
    if state_of(instance).mapper is None:
        session, _ = resolve_scope(repository.database, repository.schema.name, "load_related_data")
    else:
        repository._load_instance(instance)
        session = resolve_scope_of(state_of(instance), "load_related_data")
    read_side.load_relations([read_side.EagerLoad(repository, [instance], names)], session, kind=None)


def get_related(instance: Instance, field: str) -> Any:
    """The related instance if it is loaded, else None. It sends no request."""
    repository_for(instance)._target_repository(field)
    cached = remembered_related(instance, field)
    return cached if cached is not None and state_of(cached).status is not Status.PENDING else None


def get_or_load_related(instance: Instance, field: str) -> Any:
    """The related instance, loaded at once; None if the relation is not set."""
    target = related(instance, field)
    if target is not None:
        target.exists()
    return target


# --- generated names ------------------------------------------------------------------------


def relation_name(field: str) -> str | None:
    """The name of the attribute that a relation field adds: its own name without ``_id``."""
    return field[: -len("_id")] if field.endswith("_id") and len(field) > len("_id") else None


def query_method(model: type[Instance], index: str) -> Callable[..., read_side.QueryResult[Any]]:
    """The method ``parent.query_…`` for an index whose partition key is a relation to the parent's model."""

    def query(
        self: Any, sort_condition: object = None, **options: Unpack[read_side.QueryOptions]
    ) -> read_side.QueryResult[Any]:
        return repository_of(model)._query_through(self, index, sort_condition, **options)

    query.__doc__ = f"The {model.__name__} items of this one, by {index}."
    query.made_by_relation = True  # type: ignore[attr-defined]
    return query


def association_method(
    model: type[Instance], index: str, target: str
) -> Callable[..., read_side.QueryResult[Any]]:
    """The method ``tag.get_posts`` for a mapping model. It costs one query and one batch a page."""

    def get(
        self: Any,
        sort_condition: Any = None,
        limit: int | None = None,
        direction: str = "ASC",
        start_key: str | None = None,
    ) -> read_side.QueryResult[Any]:
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
