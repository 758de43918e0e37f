"""Changes. Each is one write of one item: its assumptions, its plan, and its effect on the instances in memory.

A call carries its change out at once. A transaction collects it, applies it in memory, and reverts it on failure.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.expressions.conditions import Condition, Exists, Negation, all_of
from dynamo_bao.dynamodb.expressions.paths import attribute_of
from dynamo_bao.dynamodb.expressions.updates import Update
from dynamo_bao.dynamodb.items import ReplyItem, Stored, as_dict_item
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.errors import (
    BaoError,
    ConditionalError,
    ItemNotFoundError,
    VersionConflictError,
    WriteOutcomeUnknownError,
)
from dynamo_bao.mapping.codec import ABSENT, STATE
from dynamo_bao.mapping.key_schema import IndexSchema
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import NOTHING_LOCAL, StoredItem
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.late_libraries import logging
from dynamo_bao.runtime.logs import late_logger, log_fields
from dynamo_bao.session.hydration import hydrate, loaded_instance, mark_created, merge_item
from dynamo_bao.session.partitions import Touched
from dynamo_bao.session.session import Collecting, Session
from dynamo_bao.session.state import (
    LOADED,
    Instance,
    LocalChanges,
    ModelMapper,
    SharedState,
    State,
    Status,
    changed_names,
    instance_dict,
    keep_handed,
    local_changes,
    mark_deleted,
    mark_missing,
    pending_instance,
    restore_local_changes,
    revert_to_transient,
    state_of,
    unload,
)
from dynamo_bao.session.tenancy import tenant_block
from dynamo_bao.writes.actions import NOTHING_ASSUMED, STORED, Action, Assumed, WritePlan
from dynamo_bao.writes.defaults import lacking
from dynamo_bao.writes.effects import (
    applied,
    changed_otherwise,
    created_values,
    is_overtaken,
    is_uncertain,
    merge_plan,
)
from dynamo_bao.writes.executor import VERSIONS
from dynamo_bao.writes.invalidation import invalidate, partitions_after, partitions_of
from dynamo_bao.writes.plans import (
    RELATIVE_KINDS,
    ItemRef,
    plan_create,
    plan_delete,
    plan_update,
)


class Change:
    """The base class of changes.

    Attributes:
        mapper: the repository of the item.
        session: the session of the call, or None outside a batch context.
        subject: the item.
        instance: the instance, or None if the call had only a key.
        condition: what else must hold of the stored item.
        stored_item: the item as it was read, or None if it was not.
        assumed: stored values that must not have changed.
        transaction: what collects the change instead of writing it now; None outside a transaction.
        changes: by field name, what it changes in a stored item; see the classes that do.
        after_hooks: called with the result after the write.
        overwrite: whether it may replace a stored item without a condition.
        creates_or_deletes: whether it creates or deletes the item.
        replanned: whether the stored item was not the assumed one, so that the change was planned again.
        takes_row: whether `apply_result` also accepts the stored item as a row.
        first_plan: the plan for `stored_item`, if it was made before the change is carried out.
        returned: the item that DynamoDB returned for the write: after an update what is stored now, after a delete what
            was; None if it returned none.
        result: the return value of the operation, if a transaction carries it out later.
        table_key: the table and the key of the item.
        item_ref: the same with the client, as the same table may also be in another region.
    """

    operation = "save"
    stored_item: StoredItem | None = None
    assumed: Assumed = NOTHING_ASSUMED
    transaction: Collecting | None = None
    changes: Mapping[str, object] = MappingProxyType({})
    after_hooks: tuple[Callable[[Any], object], ...] = ()
    overwrite: bool = False
    creates_or_deletes: bool = False
    replanned: bool = False
    takes_row: bool = False
    first_plan: WritePlan | None = None
    returned: ReplyItem | None = None
    _expected: Item | None = None

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
        database, key = mapper.database, subject.identity.key
        self.table_key: tuple[str, Key] = database.table_name, key
        self.item_ref: tuple[int, str, Key] = id(database.transport), database.table_name, key

    def add_after_hook(self, hook: Callable[[Any], object]) -> None:
        """Adds a function that is called with the result after the write."""
        self.after_hooks = (*self.after_hooks, hook)

    def plan_from(self, stored_item: StoredItem | None) -> WritePlan:
        """The plan for an item that was read as `stored_item`, or was not read."""
        raise NotImplementedError

    def plan_again(self, stored_item: StoredItem | None) -> WritePlan:
        """`plan_from`, which also records that the item is not the assumed one. It uses the first plan once."""
        plan, self.first_plan = self.first_plan, None
        if stored_item is not self.stored_item:
            self.replanned = True
        elif plan is not None:
            return plan
        return self.plan_from(stored_item)

    def expected_item(self, update: Update) -> Item | None:
        """The item that an update of the write most likely returns. None if that is not known."""
        return None

    def touched(self) -> Touched:
        """The results of queries that the write may have changed.

        If the item leaves a partition, or if it is not where the instance has it, these are also results that show it
        where only another program's write can have put it.
        """
        schema, key = self.subject.schema, self.subject.identity.key
        partitions: set[tuple[str | None, str]] = {(None, key.pk)}
        unknown: list[str] = []
        leaves, returned = self.creates_or_deletes, None
        if self.returned is not None and self.returned is not self._expected:
            returned = as_dict_item(self.returned)
        for index in schema.indexes.values():
            texts = None if self.replanned else self._partitions_of(index)
            if texts is None:
                unknown.append(index.id)
                continue
            partitions.update((index.id, text) for text in texts)
            leaves = leaves or index.partition.name in self.changes
            if returned is not None:
                returned_texts = partitions_of(self.subject, index, returned)
                partitions.update((index.id, text) for text in returned_texts)
                leaves = leaves or set(texts) != set(returned_texts)
        model = self.mapper.database.table_name, schema.prefix
        return Touched(model, partitions, unknown, self.creates_or_deletes, key if leaves else None)

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        """The partitions of an index with the item before or after the change; None if they are unknown."""
        return ()

    def _partitions_before(self, index: IndexSchema) -> Collection[str] | None:
        """The partition of an index with the item before the change, if any; None if it is unknown.

        After a write of a transaction, the item in memory has new fields beside old index keys. Both count then.
        """
        return None if self.stored_item is None else partitions_of(self.subject, index, self.stored_item.item)

    def apply_result(self, stored: ReplyItem | None) -> Any:
        """Updates the instances in memory to the stored item, and returns the instance for the caller."""
        raise NotImplementedError

    def apply_locally(self) -> Any:
        """Updates the instances to what a transaction will store. It may be called again after `revert`."""
        raise NotImplementedError

    def revert(self) -> None:
        """Reverts `apply_locally`. The changes of the write are lost. The next access loads the instance again."""

    def on_commit(self) -> None:
        """Called after a transaction was committed. Values that are not known for certain are read again.

        These are also those of an instance that the session has read before the item was created or deleted.
        """
        session, (_, _, identity), cached = self.session, self.subject, self._session_instance()
        if session is None or cached is None or state_of(cached) is state_of(self.result):
            return
        if self.creates_or_deletes and not session._instances.has_deleted(self.mapper, identity.key):
            session._instances.expire(self.mapper, identity)

    @property
    def label(self) -> str:
        """The operation with the model and key of the item, for errors."""
        return f"{self.operation} {self.subject}"

    def translate_error(self, error: BaoError) -> BaoError:
        """The error to raise for an error of the write."""
        return error

    def _note_missing(self) -> None:
        """Has sessions ask again for results that lead to the item, which another program has deleted."""
        self.creates_or_deletes = True
        invalidate(self.session, (self,))

    def _note_if_missing(self, error: BaoError) -> None:
        """Marks the instance as missing, if the error of the write shows that the item is not stored.

        The session forgets any other instance of the item, so that it reads the item again for the next find.
        """
        if not isinstance(error, ItemNotFoundError):
            return
        self._note_missing()
        if self.instance is not None:
            mark_missing(self.instance)
        if self.session is not None and self._session_instance() is not self.instance:
            self.session._instances.evict(self.mapper, self.subject.identity)

    def run_after_hooks(self, result: object) -> None:
        """Runs the hooks after the write, for the tenant of the item."""
        if not self.after_hooks:
            return
        with tenant_block(self.subject.tenant):
            for hook in self.after_hooks:
                hook(result)

    def _session_instance(self) -> Any:
        """The session's instance for the item, or None. A new one that was only added does not count."""
        if self.session is None:
            return None
        instance = self.session._instances.get(self.mapper, self.subject.identity.key)
        return None if instance is None or state_of(instance).status is Status.TRANSIENT else instance

    def _stored_instance(self) -> Any:
        """The session's instance of the stored item, or None. It is not a new one that was only added."""
        if self.session is None:
            return None
        return self.session._instances.get_stored(self.mapper, self.subject.identity.key)


class CreateChange(Change):
    """Stores a transient instance as a new item.

    Attributes:
        values: the validated values of all fields.
        stored_form: the item that will be stored, as a dict or as JSON. Do not change it.
    """

    operation = "create"
    creates_or_deletes: bool = True

    _shared_states: Sequence[SharedState] = ()
    _replaced_instance: Instance | None = None

    def __init__(
        self,
        mapper: ModelMapper,
        session: Session | None,
        subject: ItemRef,
        instance: Instance,
        condition: Condition,
        values: Mapping[str, object],
        stored_form: Stored,
        by_save: bool,
    ) -> None:
        super().__init__(mapper, session, subject, instance, condition)
        self.values = values
        self.stored_form = stored_form
        self._by_save = by_save

    @property
    def item(self) -> Item:
        """The item that will be stored. Do not change it."""
        form = self.stored_form
        return form if isinstance(form, dict) else as_dict_item(form)

    def with_values(self, values: Mapping[str, object]) -> CreateChange:
        """A copy of the change with other (validated) values."""
        change = copy.copy(self)
        change.values = values
        change.stored_form = self.subject.schema.item(self.subject.tenant, self.subject.identity, values)
        return change

    def plan_from(self, stored_item: StoredItem | None) -> WritePlan:
        return plan_create(self.subject, self.values, self.condition, self.item)

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        if self.overwrite:
            return None
        key = index.keys(self.subject.tenant, self.values).get(index.pk_name)
        return () if key is None else (key["S"],)

    def translate_error(self, error: BaoError) -> BaoError:
        if self.session is not None and isinstance(error, ConditionalError):
            self.session._instances.evict_missing(self.mapper, self.subject.identity)
        return error

    def apply_locally(self) -> Any:
        return self.apply_result(None)

    def apply_result(self, stored: ReplyItem | None) -> Any:
        session, (_, tenant, identity) = self.session, self.subject
        mark_created(
            self.instance, self.mapper, tenant, session, identity.key, identity.primary_id, self.stored_form
        )
        if session is None or session._instances.hold_created(self.mapper, identity.key, self.instance):
            return self.instance
        return self._attach_to(session)

    def _attach_to(self, session: Session) -> Any:
        """Makes the instance the session's. Earlier instances for its key share its state from now on."""
        shared_states: list[SharedState] = []
        cached = self._session_instance()
        canonical = self.instance if cached is None or self._by_save else cached
        self._replaced_instance = cached if cached is not canonical else None
        for older in session._instances.superseded(self.mapper, self.subject.identity):
            if older.__dict__ is not self.instance.__dict__:
                shared_state = SharedState(older, self.instance)
                if older is not canonical:
                    shared_states.append(shared_state)
        self._shared_states = shared_states
        session._instances.attach(canonical)
        return self._session_instance()

    def revert(self) -> None:
        current = self.instance.__dict__
        created = created_values(self.subject.schema, self.values, self.item)
        values = {name: current.get(name, value) for name, value in created.items()}
        for shared_state in self._shared_states:
            shared_state.end()
        self._shared_states = ()
        if self.session is not None:
            self.session._instances.evict(self.mapper, self.subject.identity)
            replaced, self._replaced_instance = self._replaced_instance, None
            if replaced is not None:
                self.session._instances.attach(replaced)
        revert_to_transient(self.instance, values)


class SaveChange(Change):
    """Changes fields of a stored item by its instance.

    Attributes:
        changes: by field name the new value, None to remove it, or a `CounterDelta`, `SetDelta` or `Parts`.
        reindex: whether all index keys and guards are written again.
        unsaved: the changed fields of the instance that the write leaves out.
        is_plain: whether the changes are values that the instance has and decoding gives back, and no other differs.
    """

    unsaved: Collection[str] = ()
    is_plain: bool = False

    def __init__(
        self,
        mapper: ModelMapper,
        session: Session | None,
        subject: ItemRef,
        instance: Instance,
        condition: Condition,
        changes: Mapping[str, object],
        reindex: bool = False,
    ) -> None:
        super().__init__(mapper, session, subject, instance, condition)
        self.changes = changes
        self.reindex = reindex

    def plan_from(self, stored_item: StoredItem | None) -> WritePlan:
        return plan_update(
            self.subject, self.changes, stored_item, self.condition, self.assumed, reindex=self.reindex
        )

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        before = None if self.reindex else self._partitions_before(index)
        return partitions_after(self.subject, index, self.changes, before)

    def translate_error(self, error: BaoError) -> BaoError:
        self._note_if_missing(error)
        if isinstance(error, WriteOutcomeUnknownError):
            state_of(self.instance).unknown_outcome = error
        return version_conflict(self.subject.schema, error, self.assumed)

    def expected_item(self, update: Update) -> Item | None:
        loaded = self.stored_item
        if loaded is None or not RELATIVE_KINDS.isdisjoint(map(type, self.changes.values())):
            return None
        self._expected = item = {**loaded.item, **update.set_}
        for attribute in update.remove:
            item.pop(attribute, None)
        return item

    def apply_result(self, stored: ReplyItem | None) -> Any:
        if stored is None:
            stored = applied(self.subject, state_of(self.instance).dict_item(), self.changes)
        if stored is None:
            unload(self.instance, consistent=True, keep_changes=False)
        elif is_overtaken(self.instance, self.stored_item):
            names = changed_otherwise(self.instance, self.stored_item, self.changes, self._expected)
            unload(self.instance, consistent=True, keep_changes=True, names=names)
        elif stored is self._expected and self.is_plain:
            merge_item(self.instance, stored, names=())  # all values stay, also those assigned meanwhile
        else:
            plan = merge_plan(self.instance, self.stored_item, self.changes, self._expected, stored)
            merge_item(self.instance, stored, *plan)
        self._update_session()
        return self.instance

    def _update_session(self) -> None:
        """Keeps the instance in its session, and expires the item in another one."""
        if self.session is None:
            return
        if instance_dict(self.instance)[STATE].session is self.session:
            self.session._instances.hold_saved(self.instance)
        else:
            self.session._instances.expire(self.mapper, self.subject.identity)

    def apply_locally(self) -> Any:
        instance, session, stored_item = self.instance, self.session, self.stored_item
        assert stored_item is not None  # a transaction loads what it changes
        item = applied(self.subject, stored_item.item, self.changes, stored_item)
        assert item is not None
        state: State = instance_dict(instance)[STATE]
        if state.status is LOADED:
            merge_item(instance, item, keep_handed(instance, self.unsaved), self._differing())
        else:  # it is applied again after `revert`
            merge_item(instance, item)
        if session is not None and state.session is session:
            session._instances.pin(instance)
        return instance

    def _differing(self) -> Collection[str] | None:
        """The fields whose values in the loaded instance may differ from those after the change."""
        if self.is_plain:
            return ()
        values, changes = instance_dict(self.instance), self.changes
        names = None if self.stored_item is None else self.stored_item.differing
        if names is None:
            return None
        schema = self.subject.schema
        return [
            name
            for name in names.keys() | changes.keys()
            if name not in changes
            or changes[name] is not values.get(name, ABSENT)
            or name in schema.document_names
        ]

    def revert(self) -> None:
        unload(self.instance, consistent=True, keep_changes=True, names=self.unsaved)
        if self.stored_item is not None:  # not the item that was never stored
            state_of(self.instance).raw_item = self.stored_item.item

    def on_commit(self) -> None:
        state: State = instance_dict(self.instance)[STATE]
        if not self.is_plain and state.status is LOADED and any(map(is_uncertain, self.changes.values())):
            unload(self.instance, consistent=True, keep_changes=True)
        self._update_session()


class UpdateChange(Change):
    """Changes fields of a stored item by its key."""

    operation = "update"
    takes_row: bool = True

    reread: Callable[[Change], Item]
    """Reads the item of the change, for a write that did not return it."""

    def __init__(self, *arguments: Any, changes: Mapping[str, object]) -> None:
        super().__init__(*arguments)
        self.changes = changes

    def plan_from(self, stored_item: StoredItem | None) -> WritePlan:
        return plan_update(self.subject, self.changes, stored_item, self.condition, self.assumed)

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        return partitions_after(self.subject, index, self.changes, self._partitions_before(index))

    def translate_error(self, error: BaoError) -> BaoError:
        self._note_if_missing(error)
        return version_conflict(self.subject.schema, error, self.assumed)

    def apply_result(self, stored: ReplyItem | None) -> Any:
        item = self.reread(self) if stored is None else stored  # a transaction does not return items
        cached, identity = self._stored_instance(), self.subject.identity
        if cached is None:
            instance = loaded_instance(self.mapper, identity, self.subject.tenant, item)
            state_of(instance).consistent = True
            if self.session is not None:
                self.session._instances.attach(instance)
            return instance
        assert self.session is not None
        local = state_of(cached).status in (Status.LOADED, Status.PENDING)
        merge_item(cached, item, keep_handed(cached, changed_names(cached)) if local else NOTHING_LOCAL)
        self.session._instances.attach(cached)
        return cached


class DeleteChange(Change):
    """Deletes an item by its key or its instance."""

    operation = "delete"
    creates_or_deletes: bool = True
    takes_row: bool = True

    _local_changes: LocalChanges | None = None
    _was_pending: bool = False

    def plan_from(self, stored_item: StoredItem | None) -> WritePlan:
        return plan_delete(self.subject, stored_item, self.condition, self.assumed)

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        return self._partitions_before(index)

    def translate_error(self, error: BaoError) -> BaoError:
        self._note_if_missing(error)
        return version_conflict(self.subject.schema, error, self.assumed)

    def apply_result(self, stored: ReplyItem | None) -> Any:
        cached = self._stored_instance()
        deleted = self.instance if self.instance is not None else cached
        old_item = stored or (self.stored_item.item if self.stored_item else None)
        if deleted is None:
            deleted = pending_instance(self.mapper, self.subject.identity, self.subject.tenant, self.session)
            if old_item is not None:
                hydrate(deleted, old_item, consistent=True)
        elif old_item is not None and state_of(deleted).status is not Status.LOADED:
            merge_item(deleted, old_item)
        mark_deleted(deleted)
        if self.session is not None:
            if cached is not None and cached is not deleted:
                mark_deleted(cached)
            self.session._instances.mark_deleted(
                self.mapper, self.subject.identity, self.subject.tenant, deleted
            )
        return deleted

    def apply_locally(self) -> Any:
        existing = self.instance if self.instance is not None else self._stored_instance()
        if existing is not None:
            self._local_changes = local_changes(existing)
            self._was_pending = state_of(existing).status is Status.PENDING
        self._deleted = self.apply_result(None)
        return self._deleted

    def revert(self) -> None:
        unload(self._deleted, consistent=True, keep_changes=False)
        if self._local_changes is not None:
            restore_local_changes(self._deleted, self._local_changes)
        if self.stored_item is not None and not self._was_pending:
            hydrate(self._deleted, self.stored_item.item)
        if self.session is not None:
            self.session._instances.superseded(self.mapper, self.subject.identity)
            self.session._instances.attach(self._deleted)


class ConditionCheck(Change):
    """Checks a condition on an item that the transaction does not write."""

    operation = "require"

    def plan_from(self, stored_item: StoredItem | None) -> WritePlan:
        check = Action("ConditionCheck", self.subject.identity.key, STORED & self.condition)
        return WritePlan((check,), 0, (None,))

    def apply_locally(self) -> Any:
        return self.instance


# --- functions for several kinds of changes --------------------------------------------------------------


def version_conflict(schema: Schema, error: BaoError, assumed: Assumed) -> BaoError:
    """The error for a failed condition on a versioned item.

    It is a `VersionConflictError` if the stored version is not the assumed one. Otherwise another condition failed,
    and the error stays as it is.
    """
    attribute = "" if schema.version_field is None else schema.version_field.attribute
    if type(error) is not ConditionalError or attribute not in assumed:
        return error
    stored: Item | None = error.__dict__.pop(VERSIONS, None)
    if stored is not None and same_stored(stored.get(attribute), assumed[attribute]):
        return error
    return VersionConflictError(
        f"{schema.name} {error.key!r}: the stored version is newer than what was loaded; nothing was written. "
        f"refresh() the instance and apply the change again.",
        model=error.model,
        key=error.key,
        operation=error.operation,
    )


log: logging.Logger = late_logger("dynamo_bao.writes")


class UpdateByKeyChange(UpdateChange):
    """Changes fields of a stored item by its key. An upsert also stores defaults for missing attributes.

    The first plan requires that the item has all attributes with defaults. If it has not, the second plan adds them.

    Attributes:
        defaults: the defaults by field name, for an upsert.
    """

    def __init__(
        self, *arguments: object, changes: Mapping[str, object], defaults: Mapping[str, object]
    ) -> None:
        super().__init__(*arguments, changes=changes)
        self.defaults: dict[str, object] = {
            name: value for name, value in defaults.items() if name not in changes
        }

    def _partitions_of(self, index: IndexSchema) -> Collection[str] | None:
        return None if index.partition.name in self.defaults else super()._partitions_of(index)

    def plan_from(self, stored_item: StoredItem | None) -> WritePlan:
        if not self.defaults:
            return super().plan_from(stored_item)
        schema = self.subject.schema
        missing = {} if stored_item is None else lacking(schema, stored_item.item, self.defaults)
        expected: list[Condition] = []
        for name in self.defaults:
            exists = Exists(attribute_of(schema.fields[name].attribute))
            expected.append(Negation(exists) if name in missing else exists)
        changes = {**missing, **self.changes}
        return plan_update(
            self.subject, changes, stored_item, all_of((self.condition, *expected)), self.assumed
        )

    def apply_result(self, stored: ReplyItem | None) -> Any:
        if stored is None:  # a transaction does not return items
            try:
                stored = self.reread(self)
            except Exception as error:
                if is_foreign(error):
                    raise
                log.warning(
                    "%s was updated, but it could not be read afterwards",
                    self.subject.schema.name,
                    exc_info=True,
                    extra=log_fields(self.operation, [self.mapper.database.table_name], 1),
                )
                return self._pending_result()
        return super().apply_result(stored)

    def _pending_result(self) -> Any:
        """The instance of an updated item that could not be read. It is loaded when one of its fields is read."""
        instance = self._stored_instance()
        if instance is not None:
            unload(instance, consistent=True, keep_changes=True)
            return instance
        instance = pending_instance(self.mapper, self.subject.identity, self.subject.tenant, self.session)
        state_of(instance).wants_consistent = True
        if self.session is not None:
            self.session._instances.attach(instance)
        return instance
