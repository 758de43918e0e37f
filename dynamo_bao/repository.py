"""A model's repository: what can be asked of its items. Every class method of a model goes through it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from dynamo_bao.checkers import Unpack
from dynamo_bao.context import BatchContext
from dynamo_bao.database import Database
from dynamo_bao.errors import (
    ConfigurationError,
    DataFormatError,
    ItemNotFoundError,
    QueryError,
    ValidationError,
    suggestion,
)
from dynamo_bao.fields.text import RelatedField
from dynamo_bao.instances import Home, Status, not_found, require_present, state_of
from dynamo_bao.query import Query, QueryOptions
from dynamo_bao.reading import get_instance, get_into, get_item
from dynamo_bao.results import QueryResult
from dynamo_bao.schema import ConstraintShape, Identity, IndexShape, PrimaryShape, Schema
from dynamo_bao.scope import enter, enter_through, session_of
from dynamo_bao.writing import ConditionLike, create, delete, save, update

M = TypeVar("M")


class Family(Protocol):
    """The manager, as far as a repository needs it: where it finds other models' repositories."""

    def related(self, target: str | type[Any], near: type[Any]) -> Repository[Any]:
        """The repository of the model that a relation of `near` names."""
        ...


@dataclass(frozen=True, eq=False)
class Repository(Generic[M]):
    """One model's items in one manager's table.

    Attributes:
        model: the model's class.
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
    family: Family

    # --- reading ---------------------------------------------------------------------------------

    def find(
        self, key: object = None, *, consistent_read: bool = False, bypass_cache: bool = False, **parts: Any
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
        session, tenant = enter(self.database, self.schema.name, "find", parts or key)
        identity = self.identify(tenant, parts or key)
        if session is None or bypass_cache:
            return self._typed(get_instance(self, identity, tenant, session, consistent=consistent_read))
        return self._typed(session.lookup(self, identity, tenant, consistent=consistent_read))

    def find_or_none(self, key: object = None, **options: Any) -> M | None:
        """`find`, loaded at once; None where no such item is stored."""
        found = self.find(key, **options)
        return found if self.exists(found) else None

    def find_or_raise(self, key: object = None, **options: Any) -> M:
        """`find`, loaded at once.

        Raises:
            ItemNotFoundError: where no such item is stored.
        """
        found = self.find(key, **options)
        if not self.exists(found):
            raise not_found(state_of(found))
        return found

    def batch_find(self, keys: Iterable[object] | None, *, consistent_read: bool = False) -> dict[str, M]:
        """Many instances by primary id, missing ones included (falsy).

        Inside a batch context they are loaded together at the first look, outside at once, 100 a request.

        Args:
            keys: as `find` takes them; all are checked before any is asked for.
        """
        session, tenant = enter(self.database, self.schema.name, "batch_find")
        identities = [self.identify(tenant, key) for key in keys or ()]
        if session is not None:
            return {
                identity.primary_id: self._typed(
                    session.lookup(self, identity, tenant, consistent=consistent_read)
                )
                for identity in identities
            }
        with BatchContext() as own:
            found = {
                identity.primary_id: own.lookup(self, identity, tenant, consistent=consistent_read)
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
            raise ItemNotFoundError(
                f"{self.schema.name}: a new instance has nothing stored yet; save() it first."
            )
        session = enter_through(instance, "refresh")
        if session is not None and state.session is session:
            session.refresh(instance)
        else:
            get_into(instance, session, consistent=True)
        if state_of(instance).status is Status.FAILED:
            require_present(instance)
        return instance

    def materialise(self, instance: Any) -> None:
        """Loads a pending instance; raises if its item is missing or could not be fetched."""
        if state_of(instance).status is Status.PENDING:
            self._load(instance)
        require_present(instance)

    def _load(self, instance: Any) -> None:
        state = state_of(instance)
        session = session_of(state, self.schema.name, "find")
        if session is not None and session is state.session:
            session.load(instance)
        else:
            get_into(instance, session, consistent=state.wants_consistent)

    # --- writing ---------------------------------------------------------------------------------

    def create(self, **fields: Any) -> M:
        """Stores a new item and returns its instance; never overwrites one.

        Raises:
            ValidationError: naming all wrong fields.
            ConditionalError: where an item with the key exists; nothing is written.
            UniqueConstraintError: where a unique value is taken; nothing is written.
        """
        return self._typed(create(self, self.model(**fields), None, "create"))

    def save(self, instance: M, condition: ConditionLike = None, force_reindex: bool = False) -> M:
        """Stores a new instance, or what changed of a stored one, and returns it.

        Args:
            condition: what must hold of the stored item, as a dict or an expression.
            force_reindex: writes index and iteration keys anew, changed or not.
        """
        if state_of(instance).status is Status.TRANSIENT:
            create(self, instance, condition, "save")
        else:
            save(instance, condition, force_reindex)
        return instance

    def update(self, key: object, condition: ConditionLike = None, **changes: Any) -> M:
        """Changes fields of a stored item without loading it, and returns it as it is stored then.

        Raises:
            ItemNotFoundError: where the item does not exist.
            ConditionalError: where `condition` does not hold.
        """
        return self._typed(update(self, self._plain_key(key), changes, condition))

    def delete(self, key: object, condition: ConditionLike = None) -> M:
        """Deletes an item by its key or through its instance, which is returned and no longer exists."""
        if isinstance(key, self.model):
            return self._typed(delete(self, None, condition, key))
        return self._typed(delete(self, key, condition))

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
        return QueryResult(Query.of(self, self._queried(index), value, sort_condition, **options))

    def _queried(self, name: str) -> IndexShape | PrimaryShape:
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
        """The instance that has a unique value, read consistently and at once; None where none has it."""
        session, tenant = enter(self.database, self.schema.name, "find_by_unique_constraint", name)
        constraint = self._constraint(name)
        stored = constraint.field.to_dynamo(self._unique_value(constraint, value))
        assert stored is not None
        guard, _ = get_item(self, constraint.guard_key(tenant, stored), session, consistent=True)
        if guard is None:
            return None
        identity = self.identify(tenant, guard["relatedId"]["S"])
        if session is None:
            found = get_instance(self, identity, tenant, None, consistent=True)
        else:
            found = session.lookup(self, identity, tenant, consistent=True)
        if not self.exists(found):
            return None
        current = state_of(found).stored or {}
        return found if current.get(str(constraint.field.attribute)) == stored else None

    def _constraint(self, name: str) -> ConstraintShape:
        for constraint in self.schema.constraints.values():
            if name in (constraint.name, constraint.field.name):
                return constraint
        raise ConfigurationError(
            f"{self.schema.name} has no unique constraint {name!r}.{suggestion(name, self.schema.constraints)}",
            model=self.schema.name,
        )

    def _unique_value(self, constraint: ConstraintShape, value: object) -> Any:
        if value is None or value == "":
            raise ValidationError(
                f"{self.schema.name}: {constraint.field.name} value is required.",
                constraint.field.name,
                value,
            )
        return constraint.field.accept(value)

    # --- keys and relations -------------------------------------------------------------------------

    def make_primary_id(self, partition: object, sort: object = None) -> str:
        """The primary id for key values: one for single keys, both for composite ones."""
        given: object = partition if sort is None else (partition, sort)
        return self.identify(None, given).primary_id

    def identify(self, tenant: str | None, key: object) -> Identity:
        """The identity of the item that `key` names."""
        return self.schema.identify(tenant, self._plain_key(key))

    def _plain_key(self, key: object) -> object:
        if isinstance(key, self.model):
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

    def related_repository(self, field: str) -> Repository[Any]:
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

    def mapped_field(self, shape: IndexShape | PrimaryShape) -> str | None:
        """For a mapping model: the relation at the other end from the partition key of an index."""
        if self.table_type != "mapping":
            return None
        ends = [name for name in self.schema.key_names if isinstance(self.schema.fields[name], RelatedField)]
        others = [
            name for name in ends if shape.partition.field is not None and name != shape.partition.field.name
        ]
        return others[0] if len(ends) == 2 and len(others) == 1 else None

    @property
    def table_type(self) -> str:
        """``"standard"``, or ``"mapping"`` for a model between two others."""
        model: Any = self.model
        return str(model.__bao_options__.table_type)

    def related_target(self, instance: Any, field: str) -> tuple[Home, Identity, str | None] | None:
        """Where a relation of `instance` points, without loading anything; None where it points nowhere."""
        target, state = self.related_repository(field), state_of(instance)
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

    def _typed(self, instance: Any) -> M:
        typed: M = instance
        return typed

    def __repr__(self) -> str:
        return f"<Repository of {self.schema.name} in {self.database.table_name}>"
