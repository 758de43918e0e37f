"""Changes: each one write of one item, from what it assumes and plans to what it leaves in memory.

A change is made at a call and carried out at once, or collected by a transaction, which shows its effect on
the session's objects at once and takes that back if the block fails.
"""

from __future__ import annotations

import copy
import logging
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from attrs import NOTHING

from dynamo_bao._foreign_errors import is_foreign
from dynamo_bao._log_fields import log_fields
from dynamo_bao.dynamodb.document_diff import edited, same_stored
from dynamo_bao.dynamodb.expressions.conditions import Attribute, Compare, Condition, Exists, Negation, all_of
from dynamo_bao.dynamodb.items import Stored, as_dict_item
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import (
    BaoError,
    ConditionalError,
    DataFormatError,
    ItemNotFoundError,
    VersionConflictError,
    WriteOutcomeUnknownError,
)
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.text import VersionField
from dynamo_bao.mapping.key_schema import IndexSchema
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import LoadedSnapshot, StoredItem, form_of
from dynamo_bao.session.hydration import hydrate, loaded_instance, mark_created, merge_item
from dynamo_bao.session.partitions import Touched
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import (
    ModelMapper,
    Status,
    changed_names,
    class_for,
    loaded_of,
    mark_deleted,
    mark_missing,
    pending_instance,
    revert_to_transient,
    state_of,
    unload,
)
from dynamo_bao.session.tenancy import tenant_block
from dynamo_bao.writes.actions import STORED, Action, WritePlan
from dynamo_bao.writes.document_changes import Parts, left_by
from dynamo_bao.writes.executor import VERSIONS
from dynamo_bao.writes.plans import (
    CounterDelta,
    ItemRef,
    SetDelta,
    plan_create,
    plan_delete,
    plan_update,
)

Assumed = Mapping[str, AttributeValue | None]
"""Stored values that must still be there, by attribute name; None for an attribute that must be absent."""


class Change:
    """What every change has.

    Attributes:
        mapper, session, subject: where it is written, in which session it was made, and which item.
        instance: the object it is about; None where there was only a key.
        condition: what else must hold.
        known: the item as it was read, if it was.
        assumed: stored values that must not have changed.
        done: called with the result when it is written.
        overwrite: whether an item may be replaced by it that nobody has looked at.
        comes_or_goes: whether the item comes into being by it, or is gone.
        replanned: whether the item was another one than was assumed.
        takes_row: whether `apply_result` takes what is stored as a row too.
        result: what the operation returned, where a transaction carries it out later.
        spot: which item it is about: the table and the key.
    """

    operation = "save"
    known: StoredItem | None = None
    assumed: Assumed = MappingProxyType({})
    done: tuple[Callable[[Any], object], ...] = ()
    overwrite = False
    comes_or_goes = False
    replanned = False
    takes_row = False

    def __init__(
        self,
        mapper: ModelMapper,
        session: Session | None,
        subject: ItemRef,
        instance: Any,
        condition: Condition,
    ) -> None:
        self.mapper = mapper
        self.session = session
        self.subject = subject
        self.instance = instance
        self.condition = condition
        self.result: Any = instance
        self.item_ref: tuple[str, Key] = mapper.database.table_name, subject.identity.key

    def add_after_hook(self, hook: Callable[[Any], object]) -> None:
        """Has `hook` called with the result when the change is written."""
        self.done = (*self.done, hook)

    def plan_from(self, known: StoredItem | None) -> WritePlan:
        """The plan, from what is known of the item now."""
        raise NotImplementedError

    def plan_again(self, known: StoredItem | None) -> WritePlan:
        """`plan_from`, which notes where the item is not the one that was assumed."""
        if known is not self.known:
            self.replanned = True
        return self.plan_from(known)

    def touched(self) -> Touched:
        """The partitions that the write can have changed."""
        schema, identity = self.subject.schema, self.subject.identity
        partitions: set[tuple[str | None, str]] = {(None, identity.key.pk)}
        unknown: list[str] = []
        for index in schema.indexes.values():
            texts = None if self.replanned else self._partitions_of(index)
            if texts is None:
                unknown.append(index.id)
            else:
                partitions.update((index.id, text) for text in texts)
        model = self.mapper.database.table_name, schema.prefix
        return Touched(model, partitions, unknown, self.comes_or_goes)

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        """In which partitions of an index the item was before, or is now; None where that cannot be told."""
        return ()

    def _partitions_before(self, index: IndexSchema) -> Collection[str] | None:
        """In which partition of an index the item was, if in any; None where that cannot be told."""
        if self.known is None:
            return None
        key = self.known.item.get(index.pk_name)
        return () if key is None else (key["S"],)

    def apply_result(self, stored: Item | None) -> Any:
        """Brings the objects in memory to what is stored now, and returns the one the caller gets."""
        raise NotImplementedError

    def apply_locally(self) -> Any:
        """Brings them to what a transaction will leave stored; may be called again after an `revert`."""
        raise NotImplementedError

    def revert(self) -> None:
        """Takes back what `apply_locally` did: local changes are lost, and reload at the next look."""

    def on_commit(self) -> None:
        """The transaction succeeded: what was shown is stored, or is read again where that cannot be told."""

    def translate_error(self, error: BaoError) -> BaoError:
        """The error to raise for the one that the write ended with."""
        return error

    def run_after_hooks(self, result: Any) -> None:
        """Runs what comes after the write, under its tenant."""
        if not self.done:
            return
        with tenant_block(self.subject.tenant):
            for hook in self.done:
                hook(result)

    @property
    def wanted(self) -> Condition:
        """Everything that must hold of the stored item."""
        return all_of((self.condition, *(_assumption(*one) for one in self.assumed.items())))

    def _known_object(self) -> Any:
        """The session's own object for the item, or None; one that was only added does not count."""
        known = (
            None
            if self.session is None
            else self.session._instance_for(self.mapper, self.subject.identity.key)
        )
        return None if known is None or state_of(known).status is Status.TRANSIENT else known


def _assumption(name: str, before: AttributeValue | None) -> Condition:
    attribute = Attribute(name)
    return Negation(Exists(attribute)) if before is None else Compare(attribute, "=", before)


class CreateChange(Change):
    """Stores a transient instance as a new item.

    Attributes:
        values: the accepted values of all fields.
        sent: what will be stored, an item or one that is spelled; not to be changed.
    """

    operation = "create"
    comes_or_goes = True

    _sharing: Sequence[SharedState] = ()
    _earlier: Any = None

    def __init__(
        self,
        mapper: ModelMapper,
        session: Session | None,
        subject: ItemRef,
        instance: Any,
        condition: Condition,
        values: Mapping[str, Any],
        sent: Stored,
        by_save: bool,
    ) -> None:
        super().__init__(mapper, session, subject, instance, condition)
        self.values = values
        self.sent = sent
        self._by_save = by_save

    @property
    def item(self) -> Item:
        """What will be stored; not to be changed."""
        item = as_dict_item(self.sent)
        self.sent = item
        return item

    def with_values(self, values: Mapping[str, Any]) -> CreateChange:
        """The same of an item with other (accepted) values."""
        made = copy.copy(self)
        made.values = values
        made.sent = self.subject.schema.item(self.subject.tenant, self.subject.identity, values)
        return made

    def plan_from(self, known: StoredItem | None) -> WritePlan:
        return plan_create(self.subject, self.values, self.condition, self.item)

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        if self.overwrite:
            return None
        key = index.keys(self.subject.tenant, self.values).get(index.pk_name)
        return () if key is None else (key["S"],)

    def translate_error(self, error: BaoError) -> BaoError:
        if self.session is not None and isinstance(error, ConditionalError):
            self.session._evict_missing(self.mapper, self.subject.identity)
        return error

    def apply_locally(self) -> Any:
        return self.apply_result(None)

    def apply_result(self, stored: Item | None) -> Any:
        session, (_, tenant, identity) = self.session, self.subject
        mark_created(
            self.instance, self.mapper, tenant, session, identity.key, identity.primary_id, self.sent
        )
        if session is None or session._is_canonical(self.mapper, identity, self.instance):
            if self._sharing or self._earlier is not None:
                self._sharing, self._earlier = (), None
            return self.instance
        return self._settle_in(session)

    def _settle_in(self, session: Session) -> Any:
        """Makes the instance the session's; earlier ones for its key show its state from now on."""
        sharings: list[SharedState] = []
        self._earlier = None
        known = self._known_object()
        own = self.instance if known is None or self._by_save else known
        self._earlier = known if known is not own else None
        for one in session._superseded(self.mapper, self.subject.identity):
            if one.__dict__ is not self.instance.__dict__:
                sharing = SharedState(one, self.instance)
                if one is not own:
                    sharings.append(sharing)
        self._sharing = sharings
        session._attach(own)
        return self._known_object()

    def revert(self) -> None:
        held = self.instance.__dict__
        values = {name: held.get(name, self.values[name]) for name in self.subject.schema.fields}
        for sharing in self._sharing:
            sharing.end()
        if self.session is not None:
            self.session._evict(self.mapper, self.subject.identity)
            if self._earlier is not None:
                self.session._attach(self._earlier)
        revert_to_transient(self.instance, values)


class SaveChange(Change):
    """Changes fields of a stored item, through its instance.

    Attributes:
        changes: by field name the new value, None to remove it, or a `CounterDelta`, `SetDelta` or `Parts`.
        reindex: whether index keys and guards are written anew.
    """

    def __init__(self, *about: Any, changes: Mapping[str, Any], reindex: bool = False) -> None:
        super().__init__(*about)
        self.changes = changes
        self.reindex = reindex

    def plan_from(self, known: StoredItem | None) -> WritePlan:
        return plan_update(self.subject, self.changes, known, self.wanted, reindex=self.reindex)

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        before = None if self.reindex else self._partitions_before(index)
        return _moved(self.subject, index, self.changes, before)

    def translate_error(self, error: BaoError) -> BaoError:
        if isinstance(error, ItemNotFoundError):
            mark_missing(self.instance)
        elif isinstance(error, WriteOutcomeUnknownError):
            state_of(self.instance).unknown_outcome = error
        return version_conflict(self.subject.schema, error, self.assumed)

    def apply_result(self, stored: Item | None) -> Any:
        if stored is None:
            stored = applied(self.subject.schema, state_of(self.instance).stored, self.changes)
        if stored is None:
            unload(self.instance, consistent=True, keep_changes=False)
        else:
            merge_item(self.instance, stored)
        self._tell_session()
        return self.instance

    def _tell_session(self) -> None:
        if self.session is None:
            return
        if state_of(self.instance).session is self.session:
            self.session._discard_pending(self.instance)
            self.session._pin(self.instance)
        else:
            self.session._expire(self.mapper, self.subject.identity)

    def apply_locally(self) -> Any:
        assert self.known is not None  # a transaction loads what it changes
        shown = applied(self.subject.schema, self.known.item, self.changes, self.known.values)
        assert shown is not None
        others = state_of(self.instance).status is Status.LOADED
        keep = [name for name in changed_names(self.instance) if name not in self.changes] if others else []
        merge_item(self.instance, shown, keep)
        if self.session is not None:
            self.session._pin(self.instance)
        return self.instance

    def revert(self) -> None:
        unload(self.instance, consistent=True, keep_changes=False)

    def on_commit(self) -> None:
        relative = any(map(is_relative, self.changes.values()))
        if relative and state_of(self.instance).status is Status.LOADED:
            unload(self.instance, consistent=True, keep_changes=True)
        if self.session is not None and state_of(self.instance).session is not self.session:
            self.session._expire(self.mapper, self.subject.identity)


class UpdateChange(Change):
    """Changes fields of a stored item by its key."""

    operation = "update"
    takes_row = True

    reread: Callable[[], Item]
    """Reads the item, where the write did not return it."""

    def __init__(self, *about: Any, changes: Mapping[str, Any]) -> None:
        super().__init__(*about)
        self.changes = changes

    def plan_from(self, known: StoredItem | None) -> WritePlan:
        return plan_update(self.subject, self.changes, known, self.wanted)

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        return _moved(self.subject, index, self.changes, self._partitions_before(index))

    def translate_error(self, error: BaoError) -> BaoError:
        return version_conflict(self.subject.schema, error, self.assumed)

    def apply_result(self, stored: Stored | None) -> Any:
        item = self.reread() if stored is None else stored  # a transaction does not return what it left
        known, identity = self._known_object(), self.subject.identity
        if known is None:
            instance = loaded_instance(self.mapper, identity, self.subject.tenant, item)
            state_of(instance).consistent = True
            if self.session is not None:
                self.session._attach(instance)
            return instance
        assert self.session is not None
        local = state_of(known).status in (Status.LOADED, Status.PENDING)
        merge_item(known, item, changed_names(known) if local else ())
        self.session._attach(known)
        return known


class DeleteChange(Change):
    """Deletes an item, by its key or through its instance."""

    operation = "delete"
    comes_or_goes = True
    takes_row = True

    def plan_from(self, known: StoredItem | None) -> WritePlan:
        return plan_delete(self.subject, known, self.wanted)

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        return self._partitions_before(index)

    def translate_error(self, error: BaoError) -> BaoError:
        if isinstance(error, ItemNotFoundError) and self.session is not None:
            self.session._evict(self.mapper, self.subject.identity)
        return version_conflict(self.subject.schema, error, self.assumed)

    def apply_result(self, stored: Stored | None) -> Any:
        known = self._known_object()
        gone = self.instance if self.instance is not None else known
        old = stored or (self.known.item if self.known else None)
        if gone is None:
            gone = pending_instance(self.mapper, self.subject.identity, self.subject.tenant, self.session)
            if old is not None:
                hydrate(gone, old, consistent=True)
        elif old is not None and state_of(gone).status is not Status.LOADED:
            merge_item(gone, old)
        mark_deleted(gone)
        if self.session is not None:
            if known is not None and known is not gone:
                mark_deleted(known)
            self.session._mark_deleted(self.mapper, self.subject.identity, self.subject.tenant, gone)
        return gone

    def apply_locally(self) -> Any:
        self._gone = self.apply_result(None)
        return self._gone

    def revert(self) -> None:
        unload(self._gone, consistent=True, keep_changes=False)
        if self.known is not None:
            hydrate(self._gone, self.known.item)
        if self.session is not None:
            self.session._superseded(self.mapper, self.subject.identity)
            self.session._attach(self._gone)


class ConditionCheck(Change):
    """Checks a condition on an item that is not written."""

    operation = "require"

    def plan_from(self, known: StoredItem | None) -> WritePlan:
        check = Action("ConditionCheck", self.subject.identity.key, all_of((STORED, self.wanted)))
        return WritePlan((check,), 0, (None,))

    def apply_locally(self) -> Any:
        return self.instance


def _moved(
    subject: ItemRef, index: IndexSchema, changes: Mapping[str, Any], before: Collection[str] | None
) -> Collection[str] | None:
    """The partitions of an index that an item was in `before`, and is in after some changes; None if unknown."""
    name = index.partition.name
    if before is None or name not in changes:
        return before
    value = changes[name]
    if is_relative(value) or isinstance(value, Parts):
        return None
    text = index.partition.text({name: value})
    return before if text is None else (*before, index.pk_text(subject.tenant, text))


# --- what changes have in common ----------------------------------------------------------------------


def known_of(instance: Any) -> LoadedSnapshot | None:
    """What an instance knows of its item, None where it was not loaded."""
    return None if state_of(instance).raw_item is None else loaded_of(instance)


def version_conflict(schema: Schema, error: BaoError, assumed: Assumed) -> BaoError:
    """The error of a condition on a versioned item: a conflict where the version is not the one that was assumed.

    Where it is the same, another condition did not hold, and the error is what it was.
    """
    attributes = [str(field.attribute) for field in schema.fields.values() if isinstance(field, VersionField)]
    if type(error) is not ConditionalError or not any(name in assumed for name in attributes):
        return error
    stored: Item | None = error.__dict__.pop(VERSIONS, None)
    if stored is not None and all(
        same_stored(stored.get(name), assumed[name]) for name in attributes if name in assumed
    ):
        return error
    return VersionConflictError(
        f"{schema.name} {error.key!r}: what is stored is newer than what was loaded; nothing was written. "
        f"refresh() the instance and apply the change again.",
        model=error.model,
        key=error.key,
        operation=error.operation,
    )


def applied(
    schema: Schema, stored: Item | None, changes: Mapping[str, Any], values: Mapping[str, Any] | None = None
) -> Item | None:
    """What a transaction leaves stored, where that can be told from what was loaded.

    Args:
        values: the loaded values, from which relative changes are reckoned; without them they cannot be told.
    """
    if stored is None or (values is None and any(map(is_relative, changes.values()))):
        return None
    item = dict(stored)
    for name, change in changes.items():
        field = schema.fields[name]
        before = item.pop(str(field.attribute), None)
        if isinstance(change, Parts):
            after = _left_by(schema, field, change, before)
        else:
            value = absolute(field, change, (values or {}).get(name))
            after = None if value is None else field.to_dynamo(value)
        if after is not None:
            item[str(field.attribute)] = after
    return item


def _left_by(
    schema: Schema, field: Field, change: Parts, before: AttributeValue | None
) -> AttributeValue | None:
    try:
        return left_by(change, before)
    except (ValueError, LookupError) as error:
        raise DataFormatError(
            f"{schema.name}: a part of {field.name} cannot be changed: {error}. Give the field whole, or correct the "
            f"item.",
            model=schema.name,
            field=field.name,
        ) from None


def is_relative(change: Any) -> bool:
    """Whether what a change leaves behind depends on what is stored."""
    return isinstance(change, (CounterDelta, SetDelta)) or (isinstance(change, Parts) and change.is_relative)


def absolute(field: Field, change: Any, before: Any) -> Any:
    """The value that a change makes of the one before."""
    if isinstance(change, CounterDelta):
        return (before or 0) + change.amount
    if isinstance(change, SetDelta):
        return (set(before or ()) | change.added) - change.removed
    if isinstance(change, Parts):
        form = edited(form_of(field, before), change.edits)
        return None if form is None else field.from_dynamo(form)
    return change


class SharedState:
    """An older instance that shows the state and values of a newer one, until that is taken back."""

    def __init__(self, older: Any, newer: Any) -> None:
        self._older = older
        self._newer = newer
        self._own = older.__dict__
        state = state_of(newer)
        if state.shared is None:
            state.shared = [weakref.ref(newer)]
        state.shared.append(weakref.ref(older))
        self._show(newer.__dict__)

    def end(self) -> None:
        """Has the older instance show what it did before."""
        state = state_of(self._newer)
        state.shared = [ref for ref in state.shared or () if ref() is not self._older]
        self._show(self._own)

    def _show(self, values: dict[str, Any]) -> None:
        object.__setattr__(self._older, "__dict__", values)
        object.__setattr__(self._older, "__class__", class_for(state_of(self._older)))


log = logging.getLogger("dynamo_bao.writes")


class UpdateByKeyChange(UpdateChange):
    """Changes fields of a stored item by its key, on condition that it has all others that have defaults.

    Where it has not, it is planned again with those that are missing.

    Attributes:
        defaults: the defaults by field name; for an upsert.
    """

    def __init__(self, *about: Any, defaults: Mapping[str, Any], **options: Any) -> None:
        super().__init__(*about, **options)
        self.defaults = {name: value for name, value in defaults.items() if name not in self.changes}

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        return None if index.partition.name in self.defaults else super()._partitions_of(index)

    def plan_from(self, known: StoredItem | None) -> WritePlan:
        schema = self.subject.schema
        missing = {} if known is None else lacking(schema, known.item, self.defaults)
        expected = [
            Negation(Exists(attribute)) if name in missing else Exists(attribute)
            for name in self.defaults
            for attribute in (Attribute(str(schema.fields[name].attribute)),)
        ]
        changes = {**missing, **self.changes}
        return plan_update(self.subject, changes, known, all_of((self.wanted, *expected)))

    def apply_result(self, stored: Stored | None) -> Any:
        if stored is None:  # a transaction does not return what it left
            try:
                stored = self.reread()
            except Exception as error:
                if is_foreign(error):
                    raise
                log.warning(
                    "%s is updated, but could not be read back",
                    self.subject.schema.name,
                    exc_info=True,
                    extra=log_fields(self.operation, [self.mapper.database.table_name], 1),
                )
                return self._unread()
        return super().apply_result(stored)

    def _unread(self) -> Any:
        """The instance of an item of which it is only known that it was changed; it is read at the next look."""
        instance = self._known_object()
        if instance is not None:
            unload(instance, consistent=True, keep_changes=True)
            return instance
        instance = pending_instance(self.mapper, self.subject.identity, self.subject.tenant, self.session)
        state_of(instance).wants_consistent = True
        if self.session is not None:
            self.session._attach(instance)
        return instance


def lacking(schema: Schema, item: Item, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some defaults for which a stored item has no attribute."""
    return {name: value for name, value in defaults.items() if str(schema.fields[name].attribute) not in item}


def defaults_beside(schema: Schema, given: Collection[str]) -> dict[str, Any]:
    """The defaults of fields that are not given, by name.

    None is a value of an optional field, stored as nothing, so no default takes its place; neither are dates and
    ids made up that should have been made with the item.
    """
    fields = [
        field
        for field in schema.fields.values()
        if field.name not in given
        and field.default is not NOTHING
        and not (field.nullable or field.auto_update)
    ]
    values = {field.name: field.accept(field.default_value()) for field in fields}
    return {name: value for name, value in values.items() if schema.fields[name].to_dynamo(value) is not None}
