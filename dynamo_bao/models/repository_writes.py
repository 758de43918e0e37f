"""What a repository stores, changes and deletes: the hooks around each write, and the unit of work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, Generic, TypeVar

from dynamo_bao.errors import (
    ConditionalError,
    ItemNotFoundError,
    QueryError,
    UniqueConstraintError,
    UnknownFieldError,
    ValidationError,
    suggestion,
)
from dynamo_bao.fields.numeric import CounterField
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import ModelMapper, Status, changed_names, state_of
from dynamo_bao.session.tenancy import tenant_block
from dynamo_bao.session.unit_of_work import PendingWrite
from dynamo_bao.writes.change_factory import (
    ConditionLike,
    carry_out,
    creation_for,
    creation_of,
    deleting_of,
    saving_of,
    update_of,
)
from dynamo_bao.writes.changes import Change, CreateChange, DeleteChange, SaveChange, defaults_beside
from dynamo_bao.writes.commit import commit, register_objects
from dynamo_bao.writes.hooks import has_hooks, run
from dynamo_bao.writes.plans import CounterDelta

M = TypeVar("M")
_UPSERT_ROUNDS = 5
_TRANSIENT = Status.TRANSIENT  # read often


class RepositoryWrites(Generic[M]):
    """The part of a repository that writes."""

    model: type[M]
    schema: Schema

    def create(self, values: Mapping[str, Any] | None = None, /, **fields: Any) -> M:
        """Stores a new item and returns its instance; never overwrites one.

        Args:
            values: values by field name, beside `fields`.

        Raises:
            ValidationError: naming all wrong fields.
            ConditionalError: where an item with the key exists; nothing is written.
            UniqueConstraintError: where a unique value is taken; nothing is written.
        """
        return self._typed(
            carry_out(self._creation(self.model(**self._together(values, fields)), None, "create"))
        )

    def _together(self, values: Mapping[Any, Any] | None, fields: Mapping[str, Any]) -> dict[Any, Any]:
        """Values by field name and by keyword as one; each field once."""
        if values is None:
            return dict(fields)
        if not isinstance(values, Mapping):
            raise QueryError(
                f"{self.schema.name}: values and changes are a mapping of fields, not {type(values).__name__}; a "
                f"condition is given as condition=."
            )
        for name in fields:
            if name in values:
                raise QueryError(
                    f"{self.schema.name}.{name} is given twice, in the mapping and by keyword.", field=name
                )
        return {**values, **fields}

    def _creation(self, instance: M, condition: ConditionLike, operation: str) -> CreateChange:
        create = partial(creation_of, self.mapper, instance, condition, operation)
        return self._hooked(instance, condition, create) if has_hooks(self.model) else create()

    def _hooked(
        self, instance: M, condition: ConditionLike, create: Callable[[], CreateChange]
    ) -> CreateChange:
        """What `create` makes of a new instance, between the hooks of its model."""
        options = {"is_new": True, "condition": condition, "instance": instance}
        data = {name: value for name, value in instance.__dict__.items() if name in self.schema.fields}
        self._before_save(instance, data, options)
        change = create()
        change.add_after_hook(lambda created: run(self.model, "after_save", created, options, created))
        return change

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
            carry_out(self._creation(instance, condition, "save"))
            return instance
        change = self._saving(instance, condition, force_reindex)
        if change is not None:
            carry_out(change)
        return instance

    def _saving(self, instance: M, condition: ConditionLike, force_reindex: bool) -> SaveChange | None:
        if not has_hooks(self.model):
            return saving_of(instance, condition, force_reindex)
        options = {
            "is_new": False,
            "condition": condition,
            "force_reindex": force_reindex,
            "instance": instance,
        }
        if state_of(instance).status in (Status.LOADED, Status.PENDING):
            changes = {name: instance.__dict__[name] for name in changed_names(instance)}
            self._before_save(instance, changes, options)
        change = saving_of(instance, condition, force_reindex)
        if change is not None:
            change.add_after_hook(lambda saved: run(self.model, "after_save", saved, options, saved))
        return change

    def update(
        self,
        key: object,
        changes: Mapping[Any, Any] | None = None,
        /,
        *,
        condition: ConditionLike = None,
        version: str | None = None,
        **fields: Any,
    ) -> M:
        """Changes fields of a stored item without loading it, and returns it as it is stored then.

        Args:
            changes: new values by field name or path: ``"prefs.theme"``, ``User.fields.prefs["a.b"]``. Only what is at
                the path is changed; maps that are missing on the way are made. In the place of a value may stand
                `Append`, `Prepend`, `IfMissing`, `Remove`, `Increment`, `AddMembers` or `DropMembers`. Never a
                request's own dict: its keys would be paths.
            condition: what must hold of the stored item, as a dict or an expression.
            version: the version that must be stored, for a model that has a `VersionField`.
            fields: new values by field name.

        Raises:
            ItemNotFoundError: where the item does not exist.
            ConditionalError: where `condition` does not hold.
            VersionConflictError: where another version is stored.
            QueryError: for a path that leads nowhere, or two changes of which one is inside the other.
            DataFormatError: where a path leads through something that is stored as no map; nothing is written.
            WriteOutcomeUnknownError: where the reply was lost, and doing it again could count or append twice.

        Example:
            >>> User.update("42", {"address.city": "Rome", "visits": Increment(1)}, condition={"status": "active"})
        """
        return self._update(key, condition, self._together(changes, fields), version=version)

    def _update(
        self,
        key: object,
        condition: ConditionLike,
        changes: dict[Any, Any],
        defaults: Mapping[str, Any] | None = None,
        version: object = None,
    ) -> M:
        options, hooked = {"is_new": False, "condition": condition}, has_hooks(self.model)
        if hooked:
            run(self.model, "before_save", changes, options)
        change = update_of(self.mapper, self._unwrap_key(key), changes, condition, defaults, version)
        if hooked:
            change.add_after_hook(lambda updated: run(self.model, "after_save", updated, options, updated))
        return self._typed(carry_out(change))

    def increment(self, key: object, /, *, condition: ConditionLike = None, **amounts: int) -> M:
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
            changes[name] = CounterDelta(field.accept(amount))
        if not changes:
            raise ValidationError(
                f"{self.schema.name}: increment needs a counter and an amount, as in views=1."
            )
        return self._update(key, condition, changes)

    def upsert(self, values: Mapping[str, Any] | None = None, /, **fields: Any) -> M:
        """Stores the given fields: into the item with their key, or into a new one.

        Defaults go in where nothing is stored: for all other fields of a new item, and for those of a stored one
        that it has no attribute for, unless the field is optional, so that nothing means None.
        Without a key that makes itself, such as that of ``UlidField(auto_assign=True)``, the item is a new one.
        """
        schema, fields = self.schema, self._together(values, fields)
        schema.accept_all(fields, [name for name in fields if name in schema.fields])
        unnamed = [schema.fields[name] for name in schema.key_names if name not in fields]
        if any(getattr(field, "auto_assign", False) for field in unnamed):
            return self.create(**fields)
        key = {name: fields.get(name) for name in schema.key_names}
        changes = {name: value for name, value in fields.items() if name not in key}
        defaults = defaults_beside(schema, fields)
        for attempt in range(_UPSERT_ROUNDS):
            try:
                return self._update(key, None, dict(changes), defaults)
            except ItemNotFoundError:
                pass
            try:
                return self.create(**fields)
            except ConditionalError as error:
                if isinstance(error, UniqueConstraintError) or attempt == _UPSERT_ROUNDS - 1:
                    raise
        raise AssertionError("the last round returns or raises")

    def delete(self, key: object, condition: ConditionLike = None, version: str | None = None) -> M:
        """Deletes an item by its key or through its instance, which is returned and no longer exists.

        Args:
            version: the version that must be stored, for a key of a model that has a `VersionField`.
        """
        instance = key if isinstance(key, self.model) else None
        return self._typed(carry_out(self._deletion(key, condition, instance, version)))

    def _deletion(
        self, key: object, condition: ConditionLike, instance: M | None, version: str | None = None
    ) -> DeleteChange:
        options, hooked = {"condition": condition, "instance": instance}, has_hooks(self.model)
        primary_id = state_of(instance).primary_id if instance is not None else key
        if hooked:
            run(self.model, "before_delete", primary_id, options, instance)
        change = deleting_of(self.mapper, None if instance is not None else key, condition, instance, version)
        if hooked:
            change.add_after_hook(lambda gone: run(self.model, "after_delete", primary_id, options, gone))
        return change

    # --- in a unit of work -------------------------------------------------------------------------

    def _entries_for(
        self, session: Session, instances: Iterable[M], *, deletes: bool = False, overwrite: bool = False
    ) -> list[PendingWrite]:
        """What a unit of work notes of objects to be written at its commit; everything wrong is told now."""
        return register_objects(self.mapper, session, instances, deletes=deletes, overwrite=overwrite)

    def _changes_for(self, session: Session, entries: Iterable[PendingWrite]) -> list[Change | None]:
        """The changes that entries are at the commit, hooks before them run; None for each where nothing changed."""
        hooked = has_hooks(self.model)
        found: list[Change | None] = []
        for tenant, some in groupby(entries, attrgetter("tenant")):
            with tenant_block(tenant):
                found += [self._prepared(session, entry, hooked) for entry in some]
        return found

    def _prepared(self, session: Session, entry: PendingWrite, hooked: bool) -> Change | None:
        instance: M = entry.instance
        if entry.deletes:
            return self._deletion(None, None, instance)
        if state_of(instance).status is not _TRANSIENT:
            return self._saving(instance, None, False)
        if not hooked:
            return creation_for(session, entry)
        return self._hooked(instance, None, partial(creation_for, session, entry))

    def _commit(self, session: Session, entries: Sequence[PendingWrite], *, atomic: bool) -> None:
        """Writes the entries of a unit of work, of any models; see `Session.commit`."""
        commit(session, entries, atomic=atomic)

    def _unwrap_key(self, key: object) -> object:
        """The key without an instance around it."""
        raise NotImplementedError

    @property
    def mapper(self) -> ModelMapper:
        """The repository as instances know it."""
        found: Any = self
        mapper: ModelMapper = found
        return mapper

    def _typed(self, instance: Any) -> M:
        """An instance, which is one of the model."""
        typed: M = instance
        return typed
