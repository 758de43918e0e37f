"""A model's repository: what can be asked of its items. Every class method of a model goes through it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from dynamo_bao._compat import Unpack
from dynamo_bao.dynamodb.expressions.parser import where
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.errors import (
    ConfigurationError,
    DataFormatError,
    QueryError,
    ValidationError,
    suggestion,
)
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.key_schema import IndexSchema, PrimaryKeySchema
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.repository_writes import RepositoryWrites
from dynamo_bao.models.unique_constraints import constraint_named, has_value, stored_value
from dynamo_bao.reads.get_item import get_instance, get_into, get_items
from dynamo_bao.reads.iteration import FilterLike, Iteration, count, iterate_all, iterate_bucket
from dynamo_bao.reads.query import Query, QueryOptions
from dynamo_bao.reads.query_result import QueryResult, result_of
from dynamo_bao.reads.search import SearchAllOptions, SearchOptions, SearchResult, search_all, search_bucket
from dynamo_bao.session.context import BatchContext
from dynamo_bao.session.lazy import not_found, not_stored_yet, require_present
from dynamo_bao.session.scope import check_tenant, resolve_scope, resolve_scope_of, session_for_instance
from dynamo_bao.session.state import ModelMapper, Status, state_of

M = TypeVar("M")


class RepositoryRegistry(Protocol):
    """The manager, as far as a repository needs it: where it finds other models' repositories."""

    def related(self, target: str | type[Any], near: type[Any]) -> Repository[Any]:
        """The repository of the model that a relation of `near` names."""
        ...

    def model_classes(self) -> dict[str, type[Any]]:
        """The manager's models by name."""
        ...


@dataclass(frozen=True, eq=False)
class Repository(RepositoryWrites[M]):
    """One model's items in one manager's table.

    Attributes:
        model: the model's class.
        lazy_class: the class of its instances while they are not loaded.
        schema: its compiled description.
        database: the table and its rules.
        family: finds the repositories of related models.

    Example:
        >>> users = manager.repository(User)
        >>> ada = users.save(User(name="Ada"))
        >>> users.find(ada.user_id) is ada
        True
    """

    model: type[M]
    schema: Schema
    database: Database
    family: RepositoryRegistry
    lazy_class: type[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lazy_class", vars(self.model)["__bao_lazy_class__"])

    # --- reading ---------------------------------------------------------------------------------

    def find(
        self,
        key: object = None,
        /,
        *,
        consistent_read: bool = False,
        bypass_cache: bool = False,
        **parts: Any,
    ) -> M:
        """The instance for a key; inside a batch context it is loaded when it is first looked at.

        Args:
            key: the key field's value, the primary id, or for composite keys a tuple or mapping of both values.
            consistent_read: whether the item is read consistently (at twice the read units).
            bypass_cache: asks DynamoDB at once and leaves the session's objects alone.
            **parts: the key fields by name, instead of `key`.

        Returns:
            An instance, falsy where no such item is stored.

        Raises:
            ValidationError: where the key cannot be one of this model.
        """
        if parts or key is None:
            key = self.key_of(key, parts, consistent_read, bypass_cache)
        return self._find(key, consistent_read, bypass_cache)

    def _find(self, key: object, consistent: bool, bypass: bool) -> M:
        """`find`, with everything given in its place; the shortest way there is, as it is gone most often."""
        session, tenant = resolve_scope(self.database, self.schema.name, "find", key)
        instance: M
        if session is None or bypass:
            identity = self.identify(tenant, key)
            instance = get_instance(self, identity, tenant, session, consistent=consistent)
            return instance
        if type(key) is str and self.schema.text_keys is not None:
            short = self.schema.text_keys.of_tenant[tenant](key)
            if short is not None:
                instance = session._lookup_text(self, short, key, tenant, consistent)
                return instance
        instance = session._lookup(self, self.identify(tenant, key), tenant, consistent)
        return instance

    def key_of(self, key: object, parts: dict[str, Any], consistent: object, bypass: object) -> object:
        """The key that a caller gives, by position or by its fields' names.

        Raises:
            ValidationError: for a key in both ways, and for a value in the place of an option of `find`.
        """
        for option, value in (("consistent_read", consistent), ("bypass_cache", bypass)):
            if not isinstance(value, bool):
                raise ValidationError(
                    f"{self.schema.name}.find: {option} takes True or False, not {type(value).__name__}; a key field "
                    f"of that name is given in a mapping: find({{{option!r}: …}}).",
                    option,
                    value,
                )
        if not parts:
            return key
        if key is not None:
            first = next(iter(parts))
            hint = suggestion(first, (*self.schema.key_names, "consistent_read", "bypass_cache"))
            raise ValidationError(
                f"{self.schema.name}.find takes the key by position or by its fields' names, not both; {first!r} "
                f"is given beside it.{hint}",
                first,
                parts[first],
            )
        return parts

    def find_or_none(self, key: object = None, /, **options: Any) -> M | None:
        """`find`, loaded at once; None where no such item is stored."""
        found = self.find(key, **options)
        return found if self._is_there(found) else None

    def find_or_raise(self, key: object = None, /, **options: Any) -> M:
        """`find`, loaded at once.

        Raises:
            ItemNotFoundError: where no such item is stored.
        """
        found = self.find(key, **options)
        if not self._is_there(found):
            raise not_found(state_of(found))
        return found

    def _is_there(self, instance: M) -> bool:
        """Whether the item is stored, or added to the session and about to be."""
        return state_of(instance).status is Status.TRANSIENT or self.exists(instance)

    def batch_find(self, keys: Iterable[object] | None, *, consistent_read: bool = False) -> dict[str, M]:
        """Many instances by primary id, missing ones included (falsy).

        Inside a batch context they are loaded together at the first look, outside at once, 100 a request.

        Args:
            keys: as `find` takes them; all are checked before any is asked for.
        """
        session, tenant = resolve_scope(self.database, self.schema.name, "batch_find")
        if keys is not None and (
            isinstance(keys, (str, bytes, Mapping, self.model)) or not isinstance(keys, Iterable)
        ):
            raise ValidationError(
                f"{self.schema.name}.batch_find takes several ids, not one {type(keys).__name__}; give [id].",
                self.schema.key_names[0],
            )
        identities = [self.identify(tenant, key) for key in keys or ()]
        if session is not None:
            return {
                identity.primary_id: self._typed(
                    session._lookup(self, identity, tenant, consistent=consistent_read)
                )
                for identity in identities
            }
        with BatchContext() as own:
            found = {
                identity.primary_id: own._lookup(self, identity, tenant, consistent=consistent_read)
                for identity in identities
            }
            own.flush()
        for instance in found.values():
            if state_of(instance).status is Status.FAILED:
                require_present(instance)
        return found

    def exists(self, instance: M) -> bool:
        """Whether the instance's item is stored, as far as this session knows; loads a pending one."""
        state = state_of(instance)
        if state.status is Status.PENDING:
            self._load(instance)
        if state.status is Status.FAILED:
            require_present(instance)
        return state_of(instance).status is Status.LOADED

    def refresh(self, instance: M) -> M:
        """Reads the instance again, consistently; local changes are dropped."""
        state = state_of(instance)
        if state.status is Status.TRANSIENT:
            raise not_stored_yet(self.schema.name)
        session = resolve_scope_of(instance, "refresh")
        if session is not None and state.session is session:
            session.refresh(instance)
        else:
            get_into(instance, session, consistent=True, anew=True)
        if state_of(instance).status is Status.FAILED:
            require_present(instance)
        return instance

    def _load_instance(self, instance: Any) -> None:
        """Loads a pending instance; raises if its item is missing or could not be fetched."""
        if state_of(instance).status is Status.PENDING:
            self._load(instance)
        require_present(instance)

    def _load(self, instance: Any) -> None:
        state = state_of(instance)
        session = session_for_instance(state, "find")
        if session is not None and session is state.session:
            session._load(instance)
        else:
            get_into(instance, session, consistent=state.wants_consistent)

    # --- queries ---------------------------------------------------------------------------------

    def query_by_index(
        self, index: str, value: object = None, sort_condition: Any = None, **options: Unpack[QueryOptions]
    ) -> QueryResult[M]:
        """The items of one partition of an index (or of the primary key under its query name).

        Args:
            index: the index's name in the model.
            value: the partition key field's value, or an instance for a relation.
            sort_condition: a value, or a dict such as ``{"created_at": {"$gt": t}}``.
            **options: see `Query`.
        """
        return result_of(Query.of(self, self._queried(index), value, sort_condition, **options))

    def query_through(
        self, parent: Any, index: str, sort_condition: Any = None, **options: Unpack[QueryOptions]
    ) -> QueryResult[M]:
        """`query_by_index` for an instance that the index relates to, in that instance's own session.

        Raises:
            ConcurrencyError: where the session belongs to another thread, greenlet, task or process.
            TenantMismatchError: where another tenant than the instance's is current.
        """
        shape = self._queried(index)
        return result_of(Query.of(self, shape, parent, sort_condition, through=parent, **options))

    def find_where(self, values: Mapping[str, object] | None = None, /, **fields: object) -> QueryResult[M]:
        """The items whose fields have these values: a query of the index that fits, and a filter for the rest.

        A value is never an operator, whatever it is.

        Args:
            values: values by path, for what is no keyword; never a request's own dict, as its keys are then paths.
            **fields: values by field. One of them is the partition key of an index, or of a primary key with two parts.

        Raises:
            QueryError: where no index begins with one of the fields.
            ValidationError: for a value that its field refuses.

        Example:
            >>> Account.find_where(status="active", secret=body["secret"])
        """
        given = {**({} if values is None else values), **fields}
        where(given)
        shape = self._index_of(given)
        first, second = (
            None if part.field is None or given.get(part.field.name) is None else given.pop(part.field.name)
            for part in (shape.partition, shape.sort)
        )
        return result_of(Query.of(self, shape, first, second, filter=where(given)))

    def _index_of(self, given: Mapping[str, object]) -> IndexSchema | PrimaryKeySchema:
        """The index, or the primary key, that asks for the most of some fields."""
        best: IndexSchema | PrimaryKeySchema | None = None
        most = 0
        shapes: list[IndexSchema | PrimaryKeySchema] = [self.schema.primary, *self.schema.indexes.values()]
        for shape in shapes:
            names = [part.field.name for part in (shape.partition, shape.sort) if part.field is not None]
            asked = [name for name in names if given.get(name) is not None]
            if names[:1] == asked[:1] and len(asked) > most:
                best, most = shape, len(asked)
        if best is None:
            raise QueryError(
                f"{self.schema.name}.find_where: no index begins with {', '.join(map(repr, given)) or 'no field'}; "
                f"give the partition key field of one of {', '.join(self.schema.indexes) or 'its indexes'}, or "
                f"iterate_all(filter=where(…))."
            )
        return best

    def _queried(self, name: str) -> IndexSchema | PrimaryKeySchema:
        if not isinstance(name, str):
            raise QueryError(f"{self.schema.name}: {name!r:.200} is no name of an index; give a text.")
        if name in (self.schema.primary.name, "primary_key"):
            return self.schema.primary
        shape = self.schema.indexes.get(name)
        if shape is None:
            raise self.unknown_index(name)
        return shape

    def unknown_index(self, name: str) -> Exception:
        """The error for an index the model does not have."""
        named = [self.schema.primary.name or "primary_key"]
        hint = suggestion(name, [*self.schema.indexes, *named])
        return QueryError(f'Index "{name}" not found in {self.schema.name} model.{hint}', index=name)

    # --- unique values ---------------------------------------------------------------------------

    def find_by_unique_constraint(self, name: str, value: object) -> M | None:
        """The instance that has a unique value, read consistently and at once; None where none has it.

        Raises:
            ValidationError: where there is no value, or one the field refuses.
        """
        return self.batch_find_by_unique_constraint(name, [value])[value]

    def batch_find_by_unique_constraint(self, name: str, values: Iterable[object]) -> dict[Any, M | None]:
        """The instances that have these unique values, by value; two rounds for any number of them."""
        session, tenant = resolve_scope(self.database, self.schema.name, "find_by_unique_constraint", name)
        constraint = constraint_named(self.schema, name)
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise ValidationError(
                f"{self.schema.name}: several values of {constraint.field.name} are needed, not one "
                f"{type(values).__name__}; give [value].",
                constraint.field.name,
            )
        stored = {value: stored_value(constraint, value) for value in values}
        keys = {value: constraint.guard_key(tenant, one) for value, one in stored.items()}
        guards = get_items(self, keys.values(), session, consistent=True)
        owners = {value: guards[key]["relatedId"]["S"] for value, key in keys.items() if key in guards}
        found = self.batch_find(owners.values(), consistent_read=True)
        if session is not None:
            session.flush("further")
        result: dict[Any, M | None] = dict.fromkeys(stored)
        for value, owner in owners.items():
            if self.exists(found[owner]) and has_value(found[owner], constraint, stored[value]):
                result[value] = found[owner]
        return result

    # --- keys and relations -------------------------------------------------------------------------

    def make_primary_id(self, partition: object, sort: object = None) -> str:
        """The primary id for key values: one for single keys, both for composite ones."""
        given: object = partition if sort is None else (partition, sort)
        return self.identify(None, given).primary_id

    def identify(self, tenant: str | None, key: object) -> Identity:
        """The identity of the item that `key` names."""
        return self.schema.identify(tenant, key if type(key) is str else self._unwrap_key(key))

    def _unwrap_key(self, key: object) -> object:
        """The key without an instance around it; raises where there is none."""
        if isinstance(key, self.model):
            check_tenant(key, self.schema.name)
            return dict(
                zip(
                    self.schema.key_names, (key.__dict__[name] for name in self.schema.key_names), strict=True
                )
            )
        if key is None or key == {}:
            raise ValidationError(
                f"{self.schema.name}: a key is needed, not None.", self.schema.key_names[0], key
            )
        return key

    def related_home(self, field: str) -> Repository[Any]:
        """The repository of the model that a relation field points to."""
        relation = self.schema.fields.get(field)
        if not isinstance(relation, RelatedField):
            names = [f.name for f in self.schema.fields.values() if isinstance(f, RelatedField)]
            raise ConfigurationError(
                f"{self.schema.name}.{field} is not a valid relation field.{suggestion(field, names)}",
                model=self.schema.name,
                field=field,
            )
        return self.family.related(relation.target, self.model)

    def association_target(self, shape: IndexSchema | PrimaryKeySchema) -> str | None:
        """For a mapping model: the relation at the other end from the partition key of an index."""
        return self.schema.mapped_relation(shape) if self.table_type == "mapping" else None

    @property
    def table_type(self) -> str:
        """``"standard"``, or ``"mapping"`` for a model between two others."""
        model: Any = self.model
        return str(model.__bao_options__.table_type)

    def related_target(self, instance: Any, field: str) -> tuple[ModelMapper, Identity, str | None] | None:
        """Where a relation of `instance` points, without loading anything; None where it points nowhere."""
        target, state = self.related_home(field), state_of(instance)
        value = instance.__dict__.get(field)
        if value is None:
            return None
        if not isinstance(value, str):
            value = self.schema.fields[field].accept(value)
        try:
            return target, target.identify(state.tenant, value), state.tenant
        except ValidationError as error:
            raise DataFormatError(
                f"{self.schema.name} {state.primary_id!r}: {field} holds what is no {target.schema.name} id: {error}",
                model=self.schema.name,
                key=state.primary_id,
                field=field,
            ) from error

    def __repr__(self) -> str:
        return f"<Repository of {self.schema.name} in {self.database.table_name}>"

    # --- all items ---------------------------------------------------------------------------------

    def iterate_all(self, batch_size: int = 100, filter: FilterLike = None, **options: Any) -> Iteration[M]:
        """All items of an iterable model, in batches; see `dynamo_bao.reads.iteration.iterate_all`."""
        return iterate_all(self, batch_size, filter, **options)

    def iterate_bucket(
        self, bucket: int, batch_size: int = 100, filter: FilterLike = None, **options: Any
    ) -> Iteration[M]:
        """The items of one iteration bucket, in batches; see `dynamo_bao.reads.iteration.iterate_bucket`."""
        return iterate_bucket(self, bucket, batch_size, filter, **options)

    def count(self) -> int:
        """How many items of an iterable model there are; counted by the iteration index."""
        return count(self)

    def search_all(
        self,
        terms: Sequence[str],
        operator: str = "$and",
        limit: float | None = 100,
        cursor: str | None = None,
        **options: Unpack[SearchAllOptions],
    ) -> SearchResult[M]:
        """The items whose search fields contain terms; see `dynamo_bao.reads.search.search_all`."""
        return search_all(self, terms, operator, limit, cursor, **options)

    def search_bucket(
        self,
        bucket: int,
        terms: Sequence[str],
        operator: str = "$and",
        limit: float | None = 100,
        cursor: str | None = None,
        **options: Unpack[SearchOptions],
    ) -> SearchResult[M]:
        """The matches in one iteration bucket; see `dynamo_bao.reads.search.search_bucket`."""
        return search_bucket(self, bucket, terms, operator, limit, cursor, **options)
