"""A model's repository: what can be asked of its items. Every class method of a model goes through it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from dynamo_bao.checkers import Unpack
from dynamo_bao.context import BatchContext
from dynamo_bao.database import Database
from dynamo_bao.errors import (
    ConditionalError,
    ConfigurationError,
    DataFormatError,
    ItemNotFoundError,
    QueryError,
    UniqueConstraintError,
    UnknownFieldError,
    ValidationError,
    suggestion,
)
from dynamo_bao.fields.numeric import CounterField
from dynamo_bao.fields.text import RelatedField
from dynamo_bao.hooks import run
from dynamo_bao.instances import Home, Status, changed_names, not_found, require_present, state_of
from dynamo_bao.query import Query, QueryOptions
from dynamo_bao.reading import get_instance, get_into, get_items
from dynamo_bao.results import QueryResult
from dynamo_bao.schema import Identity, IndexShape, PrimaryShape, Schema
from dynamo_bao.scope import enter, enter_through, session_of
from dynamo_bao.uniqueness import constraint_named, has_value, stored_value
from dynamo_bao.whole import WholeModel
from dynamo_bao.writes.plans import Delta
from dynamo_bao.writing import ConditionLike, create, delete, save, update

M = TypeVar("M")
_UPSERT_ROUNDS = 5


class Family(Protocol):
    """The manager, as far as a repository needs it: where it finds other models' repositories."""

    def related(self, target: str | type[Any], near: type[Any]) -> Repository[Any]:
        """The repository of the model that a relation of `near` names."""
        ...


@dataclass(frozen=True, eq=False)
class Repository(WholeModel[M]):
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
        if isinstance(keys, str):
            raise ValidationError(
                f"{self.schema.name}.batch_find takes several ids, not one text; give [id].",
                self.schema.key_names[0],
            )
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
        session = session_of(state, "find")
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
        return self._create(self.model(**fields), None, "create")

    def _create(self, instance: M, condition: ConditionLike, operation: str) -> M:
        options = {"is_new": True, "condition": condition, "instance": instance}
        data = {name: value for name, value in instance.__dict__.items() if name in self.schema.fields}
        self._before_save(instance, data, options)

        def after(created: Any) -> None:
            run(self.model, "after_save", created, options, created)

        return self._typed(create(self, instance, condition, operation, after))

    def _before_save(self, instance: M, data: dict[str, Any], options: dict[str, Any]) -> None:
        """Runs the hooks before a save; what plugins change in `data` is assigned to the instance."""
        before = dict(data)
        run(self.model, "before_save", data, options, instance)
        for name, value in data.items():
            if name not in before or before[name] is not value:
                setattr(instance, name, value)

    def save(self, instance: M, condition: ConditionLike = None, force_reindex: bool = False) -> M:
        """Stores a new instance, or what changed of a stored one, and returns it.

        Args:
            condition: what must hold of the stored item, as a dict or an expression.
            force_reindex: writes index and iteration keys anew, changed or not.
        """
        if state_of(instance).status is Status.TRANSIENT:
            self._create(instance, condition, "save")
            return instance
        options = {
            "is_new": False,
            "condition": condition,
            "force_reindex": force_reindex,
            "instance": instance,
        }
        if state_of(instance).status in (Status.LOADED, Status.PENDING):
            changes = {name: instance.__dict__[name] for name in changed_names(instance)}
            self._before_save(instance, changes, options)

        def after(saved: Any) -> None:
            run(self.model, "after_save", saved, options, saved)

        save(instance, condition, force_reindex, after)
        return instance

    def update(self, key: object, /, condition: ConditionLike = None, **changes: Any) -> M:
        """Changes fields of a stored item without loading it, and returns it as it is stored then.

        Raises:
            ItemNotFoundError: where the item does not exist.
            ConditionalError: where `condition` does not hold.
        """
        options = {"is_new": False, "condition": condition}
        run(self.model, "before_save", changes, options)

        def after(updated: Any) -> None:
            run(self.model, "after_save", updated, options, updated)

        return self._typed(update(self, self._plain_key(key), changes, condition, after))

    def increment(self, key: object, /, condition: ConditionLike = None, **amounts: int) -> M:
        """Adds to counters of a stored item, atomically; negative amounts count down.

        Raises:
            ItemNotFoundError: where the item does not exist.
            WriteOutcomeUnknownError: where the reply was lost; `CounterField(exact=True)` avoids that.
        """
        changes: dict[str, Any] = {}
        for name, amount in amounts.items():
            field = self.schema.fields.get(name)
            if field is None or not isinstance(field, CounterField):
                counters = [f.name for f in self.schema.fields.values() if isinstance(f, CounterField)]
                raise UnknownFieldError(
                    f"{self.schema.name} has no counter {name!r}.{suggestion(name, counters)}", name, amount
                )
            changes[name] = Delta(field.accept(amount))
        if not changes:
            raise ValidationError(
                f"{self.schema.name}: increment needs a counter and an amount, as in views=1."
            )
        return self.update(key, condition, **changes)

    def upsert(self, **fields: Any) -> M:
        """Stores the given fields: into the item with their key, or into a new one with defaults for the rest."""
        self.schema.accept_all(fields, [name for name in fields if name in self.schema.fields])
        key = {name: fields.get(name) for name in self.schema.key_names}
        changes = {name: value for name, value in fields.items() if name not in key}
        for attempt in range(_UPSERT_ROUNDS):
            try:
                return self.update(key, None, **changes)
            except ItemNotFoundError:
                pass
            try:
                return self.create(**fields)
            except ConditionalError as error:
                if isinstance(error, UniqueConstraintError) or attempt == _UPSERT_ROUNDS - 1:
                    raise
        raise AssertionError("the last round returns or raises")

    def delete(self, key: object, condition: ConditionLike = None) -> M:
        """Deletes an item by its key or through its instance, which is returned and no longer exists."""
        instance = key if isinstance(key, self.model) else None
        options = {"condition": condition, "instance": instance}
        primary_id = state_of(instance).primary_id if instance is not None else key
        run(self.model, "before_delete", primary_id, options, instance)

        def after(gone: Any) -> None:
            run(self.model, "after_delete", primary_id, options, gone)

        return self._typed(delete(self, None if instance is not None else key, condition, instance, after))

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
        """The instance that has a unique value, read consistently and at once; None where none has it.

        Raises:
            ValidationError: where there is no value, or one the field refuses.
        """
        return self.batch_find_by_unique_constraint(name, [value])[value]

    def batch_find_by_unique_constraint(self, name: str, values: Iterable[object]) -> dict[Any, M | None]:
        """The instances that have these unique values, by value; two rounds for any number of them."""
        session, tenant = enter(self.database, self.schema.name, "find_by_unique_constraint", name)
        constraint = constraint_named(self.schema, name)
        stored = {value: stored_value(constraint, value) for value in values}
        keys = {value: constraint.guard_key(tenant, one) for value, one in stored.items()}
        guards = get_items(self, keys.values(), session, consistent=True)
        owners = {value: guards[key]["relatedId"]["S"] for value, key in keys.items() if key in guards}
        found = self.batch_find(owners.values(), consistent_read=True)
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

    def _typed(self, instance: Any) -> M:
        typed: M = instance
        return typed

    def __repr__(self) -> str:
        return f"<Repository of {self.schema.name} in {self.database.table_name}>"
