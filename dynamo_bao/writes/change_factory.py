"""Builds changes from the arguments of writes. Every wrong argument raises before any request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from dynamo_bao.dynamodb.capacity import NOTHING_CONSUMED
from dynamo_bao.dynamodb.document_diff import Edit, begins_with, differences, restored
from dynamo_bao.dynamodb.expressions.conditions import EMPTY, Condition
from dynamo_bao.dynamodb.expressions.parser import condition_from
from dynamo_bao.dynamodb.expressions.renderer import Placeholders, render_condition
from dynamo_bao.dynamodb.keys import new_namedtuple
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.errors import (
    BaoError,
    ItemNotFoundError,
    ValidationError,
    WriteOutcomeUnknownError,
    cause_of,
)
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.containers import ListField, MapField
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.fields.numeric import CounterField
from dynamo_bao.fields.sets import SetField
from dynamo_bao.mapping.codec import STATE, is_converted
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.row_types import row_type_for
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import HandedOutValue, LoadedSnapshot, StoredItem, form_of
from dynamo_bao.session.lazy import not_stored_yet, require_present, require_readable
from dynamo_bao.session.requests import send
from dynamo_bao.session.scope import (
    UNSHARED,
    check_tenant,
    current_transaction,
    resolve_scope,
    write_scope_of,
)
from dynamo_bao.session.session import Collecting, Session
from dynamo_bao.session.settings import DEFAULT_SETTINGS
from dynamo_bao.session.state import (
    LOADED,
    PENDING,
    Instance,
    ModelMapper,
    State,
    changed_names,
    identity_of,
    instance_dict,
    is_new_set,
    is_there,
    loaded_of,
    state_of,
)
from dynamo_bao.session.unit_of_work import PendingWrite
from dynamo_bao.writes.actions import Assumed
from dynamo_bao.writes.changes import (
    Change,
    CreateChange,
    DeleteChange,
    SaveChange,
    UpdateByKeyChange,
)
from dynamo_bao.writes.defaults import lacking
from dynamo_bao.writes.document_changes import FieldShape, Parts
from dynamo_bao.writes.effects import value_before
from dynamo_bao.writes.executor import Send, WriteExecution
from dynamo_bao.writes.invalidation import invalidate
from dynamo_bao.writes.item_size import check_item_size
from dynamo_bao.writes.partial_changes import accepted_changes
from dynamo_bao.writes.plans import (
    RELATIVE_KINDS,
    CounterDelta,
    ItemRef,
    SetDelta,
    needs_known,
    needs_source,
)
from dynamo_bao.writes.save_turns import SaveTurn

ConditionLike = Mapping[str, object] | Condition | None
"""A condition as callers give it: a dict, an expression, or none."""


def sender(
    session: Session | None, database: Database, subject: ItemRef, instance: Instance | None = None
) -> Send:
    """A function that sends the requests of a write, each as a round of the session.

    Args:
        instance: the instance whose capacity figures count the requests; None without one.
    """
    return partial(_send_for, session, database, subject, instance)


def _send_for(
    session: Session | None,
    database: Database,
    subject: ItemRef,
    instance: Instance | None,
    request: Request,
    deadline: float,
) -> Reply:
    reply = send(session, database, "write", [str(subject)], request, deadline)
    if instance is not None and reply.capacity is not NOTHING_CONSUMED:
        state: State = instance_dict(instance)[STATE]
        state.capacity = state.capacity.plus(reply.capacity)
    return reply


# --- create -----------------------------------------------------------------------------------------


def creation_of(
    mapper: ModelMapper, instance: Instance, condition: ConditionLike, operation: str
) -> CreateChange:
    """The change that stores a new instance. Its result is the session's instance for the key."""
    session, tenant = resolve_scope(mapper.database, mapper.schema.name, operation)
    check_tenant(instance, operation)
    transaction = current_transaction()
    checked = checked_condition(mapper, condition)
    change = creation_in(session, mapper, tenant, instance, checked, by_save=operation == "save")
    change.transaction = transaction
    return change


def creation_in(
    session: Session | None,
    mapper: ModelMapper,
    tenant: str | None,
    instance: Instance,
    condition: Condition,
    by_save: bool,
) -> CreateChange:
    """`creation_of`, if the caller has resolved and checked the session and the tenant."""
    schema, values = mapper.schema, instance_dict(instance)
    stored = schema.store(values)
    if stored is None:
        accepted = schema.accept_all(values)
        _convert(values, {name: values.get(name) for name in accepted}, accepted)
    identity = schema.keys.from_values(tenant, values)
    subject: ItemRef = new_namedtuple(ItemRef, (schema, tenant, identity))
    earlier = session._instances.get(mapper, identity.key) if session is not None else None
    if earlier is not None and earlier is not instance and is_there(earlier):
        raise subject.exists_already(
            "this context has loaded or added it; nothing was sent. Change that object instead."
        )
    item = _completed(schema, tenant, identity, values, stored)
    # A copy, because hooks of other objects may change these before they are planned.
    return CreateChange(mapper, session, subject, instance, condition, values.copy(), item, by_save)


def _completed(
    schema: Schema, tenant: str | None, identity: Identity, values: Mapping[str, object], stored: Item | None
) -> Item:
    """The complete item for accepted values.

    Args:
        stored: the attributes of the fields, if they are encoded already; then the item is small.
    """
    item = schema.encode(values) if stored is None else stored
    schema.complete(item, tenant, identity, values)
    if stored is None or schema.search is not None:
        check_item_size(schema.name, identity.primary_id, item)
    return item


def creation_for(session: Session, entry: PendingWrite) -> CreateChange:
    """The change that stores a new instance which was added to the unit of work."""
    change = creation_in(session, entry.mapper, entry.tenant, entry.instance, EMPTY, by_save=True)
    change.overwrite = entry.overwrite
    return change


# --- save -------------------------------------------------------------------------------------------


def save_changes(
    instance: Instance,
    condition: ConditionLike,
    force_reindex: bool,
    after_hook: Callable[[Any], object] | None = None,
) -> None:
    """Saves the changes of an instance that is not new, or adds them to the transaction around it.

    Args:
        after_hook: called with the instance after the write, if there is one.
    """
    state: State = instance_dict(instance)[STATE]
    session, transaction = scope = write_scope_of(state, "save")
    # A session runs one operation at a time, and a transaction only collects.
    needs_turn = transaction is None and (session is None or state.session is not session)
    with SaveTurn(state, session) if needs_turn else UNSHARED:
        change = saving_of(instance, condition, force_reindex, scope)
        if change is None:
            return
        if after_hook is not None:
            change.add_after_hook(after_hook)
        result = write_or_collect(change)
    if transaction is None:  # a transaction runs the hooks itself
        change.run_after_hooks(result)


def saving_of(
    instance: Instance,
    condition: ConditionLike,
    force_reindex: bool,
    scope: tuple[Session | None, Collecting | None] | None = None,
) -> SaveChange | None:
    """The change of a save; None if nothing changed and no option asks for a write.

    Args:
        scope: the session and the transaction of the save, if the caller has resolved and checked them.
    """
    values = instance_dict(instance)
    state: State = values[STATE]
    mapper = state.mapper
    assert mapper is not None
    schema = mapper.schema
    if state.status is not LOADED:
        require_present(state)
    if state.unknown_outcome is not None:
        raise _still_unknown(state)
    session, transaction = write_scope_of(state, "save") if scope is None else scope
    checked = EMPTY if condition is None else checked_condition(mapper, condition)
    is_explicit = condition is not None or force_reindex
    if state.status is PENDING:
        if not (state.assigned or is_explicit):
            return None
        if force_reindex or transaction is not None or needs_known(schema, state.assigned or ()):
            mapper._load_instance(instance)
            values = instance_dict(instance)
    if force_reindex:
        require_readable(instance)
    loaded = state.snapshot(values)
    if loaded is not None and state.status is LOADED:
        names = loaded.changed(values)
    else:
        names = changed_names(instance, loaded)
    if not (names or is_explicit):
        return None
    subject: ItemRef = new_namedtuple(ItemRef, (schema, state.tenant, identity_of(instance)))
    changes, is_plain = _changes(instance, schema, names, loaded)
    change = SaveChange(mapper, session, subject, instance, checked, changes, force_reindex)
    change.stored_item, change.transaction = loaded, transaction
    change.is_plain = is_plain
    if loaded is not None and schema.version_field is not None:
        change.assumed = _version_assumed(schema, changes, loaded.item)
    if transaction is not None:
        _conditioned(change)
    return change


def _still_unknown(state: State) -> WriteOutcomeUnknownError:
    """The error for a save after a write whose outcome is unknown."""
    assert state.mapper is not None
    error = WriteOutcomeUnknownError(
        f"{state.label}: the outcome of an earlier write is unknown; refresh() first.",
        model=state.mapper.schema.name,
        key=state.primary_id,
    )
    error.__cause__ = state.unknown_outcome
    return error


def _conditioned(change: SaveChange) -> None:
    """Makes a save in a transaction require that the changed fields are still stored as they were loaded."""
    stored_item, fields = change.stored_item, change.subject.schema.fields
    assert stored_item is not None
    item = stored_item.item
    parts: dict[str, Parts] = {}
    assumed: dict[str, AttributeValue | None] = {}
    for name, value in change.changes.items():
        field = fields[name]
        if type(value) not in RELATIVE_KINDS:
            if not field.auto_update:
                assumed[field.attribute] = item.get(field.attribute)
        elif type(value) is Parts:
            parts[name] = value.conditioned(item.get(field.attribute))
    if parts:
        change.changes = {**change.changes, **parts}
    change.assumed = {**assumed, **change.assumed} if change.assumed else assumed


def _changes(
    instance: Instance, schema: Schema, names: list[str], loaded: LoadedSnapshot | None
) -> tuple[dict[str, object], bool]:
    """The accepted values of changed fields by name, and `SaveChange.is_plain`.

    Counters, sets and documents have differences instead of values.
    """
    if loaded is not None and loaded.are_unchanged_by_accepting and schema.compared_names.isdisjoint(names):
        changes, is_plain = loaded.accepted, schema.document_names.isdisjoint(names)
    else:
        accepted = {} if loaded is None else loaded.accepted
        changes, is_plain = _differences(instance, schema, names, loaded, accepted), False
    if not schema.auto_updated_fields:
        return changes, is_plain
    new_values = {
        field.name: field.next_value() for field in schema.auto_updated_fields if field.name not in changes
    }
    return {**changes, **new_values}, is_plain and not new_values


def _differences(
    instance: Instance,
    schema: Schema,
    names: list[str],
    loaded: LoadedSnapshot | None,
    accepted: Mapping[str, object],
) -> dict[str, object]:
    """`_changes`, with values that are still to be accepted and compared."""
    values = instance_dict(instance)
    to_accept = {
        name: original
        for name, original in zip(names, map(values.get, names), strict=True)
        if name not in accepted or is_converted(original, accepted[name])
    }
    if to_accept:
        accepted = {**accepted, **schema.accept_all(to_accept, to_accept)}
        _convert(values, to_accept, accepted)
    changes: dict[str, object] = {}
    for name in names:
        value = accepted[name]
        if loaded is not None and name in schema.compared_names:
            value = _difference(instance, schema.fields[name], value, loaded)
        changes[name] = value
    return changes


def _convert(
    values: dict[str, object], originals: Mapping[str, object], accepted: Mapping[str, object]
) -> None:
    """Gives an instance the values that accepting has converted.

    Other lists, maps and sets stay the objects that the program has, and what another thread has assigned meanwhile
    stays too.

    Args:
        values: the ``__dict__`` of the instance.
        originals: the values before, by field name.
        accepted: the accepted values.
    """
    for name, original in originals.items():
        value = accepted[name]
        if is_converted(original, value) and values.get(name) is original:
            values[name] = value


def _difference(instance: Instance, field: Field, value: Any, loaded: LoadedSnapshot) -> object:
    """The change of one of `Schema.compared_names` with a new value: it, or its difference to the loaded value."""
    if not loaded.is_readable(field):
        return value  # an unreadable value has no difference to it
    handed = loaded.handed_out(field.name)
    if isinstance(field, (MapField, ListField, NestedField)):
        return _document(field, value, handed)
    if value is None:
        return None
    if isinstance(field, CounterField):
        return CounterDelta(value - (value_before(field, loaded) or 0))
    if isinstance(field, SetField) and not (handed.blind or is_new_set(instance, field.name)):
        if not field.is_native:
            return _list_set(field, value, handed)
        before = value_before(field, loaded)
        return SetDelta(frozenset(value - before), frozenset(before - value))
    return value


def _list_set(field: SetField, value: Any, handed: HandedOutValue) -> object:
    """The change of a set that is stored as a list: the whole set, with unchanged members as they are stored."""
    after, stored = form_of(field, value), handed.stored
    if after is None or stored is None:
        return value
    edit = Edit((), "set", field.with_stored_members(after, stored))
    return Parts((edit,), FieldShape(field), after, stored)


def _document(field: Field, value: Any, handed: HandedOutValue) -> object:
    """The change of a map, a list or a nested object."""
    before, after, stored = handed.form, form_of(field, value), handed.stored
    shape = FieldShape(field)
    if handed.blind:
        return value
    if before is not None and after is not None:
        if "L" in after:
            edits = [_list_edit(before, after, stored, shape)]
        elif shape.whole:
            edits = [Edit((), "set", restored(after, before, stored, shape), stored)]
        else:
            edits = differences(before, after, shape, stored)
    elif isinstance(field, ListField):
        return value
    else:
        edits = [Edit((), "remove" if after is None else "set", after, stored)]
    return Parts(tuple(edits), shape, after, stored)


def _list_edit(
    before: AttributeValue, after: AttributeValue, stored: AttributeValue | None, shape: FieldShape
) -> Edit:
    """The edit that turns one list into another: members appended at its end, or the whole list."""
    if stored is None:
        return Edit((), "append", after, before={"L": []})
    if begins_with(after, before):
        return Edit((), "append", {"L": after["L"][len(before["L"]) :]}, before=stored)
    return Edit((), "set", restored(after, before, stored, shape))


def _version_assumed(schema: Schema, changes: Mapping[str, object], stored: Item) -> Assumed:
    """The assumption that the stored version is the loaded one. Changes of counters and set members alone need none."""
    field = schema.version_field
    if field is None:
        return {}
    plain_changes = [value for name, value in changes.items() if not schema.fields[name].auto_update]
    if plain_changes and all(isinstance(value, (CounterDelta, SetDelta)) for value in plain_changes):
        return {}
    return {field.attribute: stored.get(field.attribute)}


# --- update and delete by key -----------------------------------------------------------------------


def update_of(
    mapper: ModelMapper,
    key: object,
    changes: Mapping[Any, Any],
    condition: ConditionLike,
    defaults: Mapping[str, object] | None = None,
    version: object = None,
) -> Change:
    """The change of an update by key. The item is not loaded first, unless its unique values require that.

    Args:
        changes: see `partial_changes.accepted_changes`.
        version: the version that must be stored.
        defaults: for an upsert, by field name the values for attributes that the stored item lacks.
    """
    schema = mapper.schema
    session, tenant = resolve_scope(mapper.database, schema.name, "update", key)
    identity = schema.keys.from_key(tenant, key)
    checked = checked_condition(mapper, condition)
    accepted = accepted_changes(schema, changes)
    assumed_version = _assumed_version(schema, version)
    for field in schema.auto_updated_fields:
        accepted.setdefault(field.name, field.next_value())
    subject = ItemRef(schema, tenant, identity)
    transaction = current_transaction()
    if session is not None and transaction is not None:
        saved = _update_loaded(mapper, session, subject, accepted, checked, assumed_version, defaults or {})
        saved.transaction = transaction
        return saved
    change = UpdateByKeyChange(
        mapper, session, subject, None, checked, changes=accepted, defaults=defaults or {}
    )
    change.transaction, change.assumed = transaction, assumed_version
    change.reread = _reread
    if needs_source(schema, accepted):
        change.stored_item = write_of(change).read_known()
    return change


def _reread(change: Change) -> Item:
    return write_of(change).read_known().item


def _update_loaded(
    mapper: ModelMapper,
    session: Session,
    subject: ItemRef,
    changes: Mapping[str, object],
    condition: Condition,
    assumed_version: Assumed,
    defaults: Mapping[str, object],
) -> SaveChange:
    """The change of an update in a transaction. It loads the instance first, because it returns it."""
    instance = session._instances.stored_instance(mapper, subject.identity, subject.tenant)
    mapper._load_instance(instance)
    stored_item = loaded_of(instance)
    missing = {} if stored_item is None else lacking(mapper.schema, stored_item.item, defaults)
    change = SaveChange(mapper, session, subject, instance, condition, {**missing, **changes})
    change.operation = "update"
    change.stored_item, change.assumed = stored_item, assumed_version
    change.unsaved = [name for name in changed_names(instance, stored_item) if name not in change.changes]
    _conditioned(change)
    return change


def _assumed_version(schema: Schema, version: object) -> Assumed:
    """The assumption that ``version=`` is the stored version; empty without that argument."""
    if version is None:
        return {}
    field = schema.version_field
    if field is None:
        raise ValidationError(
            f"{schema.name} has no VersionField, so version= cannot be checked. Leave it out, or add the field.",
            "version",
            version,
        )
    return {field.attribute: field.to_dynamo(field.accept(version))}


def deleting_of(
    mapper: ModelMapper,
    key: object,
    condition: ConditionLike,
    instance: Instance | None,
    version: object = None,
) -> DeleteChange:
    """The change of a delete, by a key or by an instance."""
    schema = mapper.schema
    assumed_version = _assumed_version(schema, version)
    checked = checked_condition(mapper, condition)
    if instance is not None:
        state = state_of(instance)
        if state.mapper is None:
            raise not_stored_yet(schema.name)
        (session, transaction), tenant = write_scope_of(state, "delete"), state.tenant
        require_present(state)
        identity = identity_of(instance)
    else:
        session, tenant = resolve_scope(mapper.database, schema.name, "delete", key)
        transaction = current_transaction()
        identity = schema.keys.from_key(tenant, key)
    change = DeleteChange(mapper, session, ItemRef(schema, tenant, identity), instance, checked)
    change.transaction = transaction
    if (
        transaction is not None
        and session is not None
        and session._instances.has_deleted(mapper, identity.key)
    ):
        raise write_of(change).missing()
    if instance is not None:
        change.stored_item = loaded_of(instance)
    if change.stored_item is not None:
        change.assumed = _version_assumed(schema, {}, change.stored_item.item)
    elif schema.constraints:
        change.stored_item = (
            _item_in_transaction(change) or _item_of_pending(change) or _read_stored_item(change)
        )
    change.assumed = {**change.assumed, **assumed_version}
    return change


def _item_in_transaction(change: Change) -> StoredItem | None:
    """The item as the transaction around the change has it, with the changes so far; None outside a transaction."""
    session, subject = change.session, change.subject
    if session is None or change.transaction is None:
        return None
    instance = session._instances.stored_instance(change.mapper, subject.identity, subject.tenant)
    change.mapper._load_instance(instance)
    return loaded_of(instance)


def _item_of_pending(change: Change) -> StoredItem | None:
    """The item of an instance that is not loaded yet, read together with the other pending lookups of its session.

    None without such an instance, and if the item is not found.
    """
    instance, session = change.instance, change.session
    if instance is None or session is None or state_of(instance).session is not session:
        return None
    try:
        change.mapper._load_instance(instance)
    except ItemNotFoundError:
        return None  # the read may be older than the item
    return loaded_of(instance)


def _read_stored_item(change: Change) -> StoredItem:
    """The stored item, read for a change that needs it."""
    try:
        return write_of(change).read_known()
    except ItemNotFoundError as error:
        change.translate_error(error)
        raise


# --- shared ------------------------------------------------------------------------------------------


def carry_out(change: Change) -> Any:
    """Writes a change now and runs its hooks, or adds it to the transaction around it.

    Returns:
        The result of the operation.
    """
    transaction = change.transaction  # a transaction runs the hooks itself
    result = write_or_collect(change)
    if transaction is None:
        change.run_after_hooks(result)
    return result


def write_or_collect(change: Change) -> Any:
    """Writes a change now, or adds it to the transaction around it. No hooks run."""
    if change.transaction is not None:
        return change.transaction._collect(change)
    if change.session is not None:
        change.session._ownership.require_seen_transaction()
    write = write_of(change)
    try:
        stored = change.returned = write.run(change.stored_item)
    except BaoError as error:
        translated = change.translate_error(error)
        if translated is error:
            raise
        raise translated from cause_of(error)
    except BaseException as error:
        note_doubt(change, write, error)
        raise
    finally:
        invalidate(change.session, (change,))
    return change.apply_result(stored)


def note_doubt(change: Change, write: WriteExecution, error: BaseException) -> None:
    """Records that a write may be done, if an exception of the program ended it before the reply came."""
    if write.is_unanswered and not isinstance(error, BaoError):
        change.translate_error(write.unanswered())


def write_of(change: Change) -> WriteExecution:
    """The execution of a change by itself. Its requests are rounds of its session."""
    return write_through(
        change, sender(change.session, change.mapper.database, change.subject, change.instance)
    )


def write_through(change: Change, send: Send) -> WriteExecution:
    """The execution of a change. Its requests are sent by `send`."""
    settings = DEFAULT_SETTINGS if change.session is None else change.session.settings
    limits = (settings.deadline, settings.max_throttled_calls)
    rows = row_type_for(1, change.mapper.schema) if change.takes_row else None
    return WriteExecution(
        change.mapper.database,
        change.subject,
        change.operation,
        change.plan_again,
        send,
        *limits,
        rows,
        change.expected_item,
    )


def checked_condition(mapper: ModelMapper, condition: ConditionLike) -> Condition:
    """The parsed condition of a caller. Every mistake in it raises now."""
    if condition is None:
        return EMPTY
    checked = condition_from(condition, mapper.database.strict_filters)
    render_condition(checked, Placeholders(), mapper.schema)
    return checked
