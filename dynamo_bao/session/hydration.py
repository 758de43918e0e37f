"""Hydration: stored items and rows become instances, or update them."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, final

from dynamo_bao.dynamodb.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.items import KeyedItems, ReplyItem, Stored, as_dict_item
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import DataFormatError, message_of
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.codec import ABSENT, STATE, loaded_value
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import (
    NOTHING_LOCAL,
    HandedOutValues,
    form_of,
    is_stored_as,
    remembered,
)
from dynamo_bao.runtime.foreign_errors import require_data_error
from dynamo_bao.runtime.records import frozen
from dynamo_bao.session.state import (
    LOADED,
    PENDING,
    Instance,
    InstanceSession,
    ModelMapper,
    State,
    allocate_instance,
    instance_dict,
    keep_handed,
    new_state,
    set_class,
    set_instance_dict,
    set_status,
    state_of,
)

T = TypeVar("T")


@final
@frozen
class InvalidRow:
    """Replaces an instance for a row whose key is not a key of the model; `reached` raises its error.

    Attributes:
        error: describes the invalid key.
    """

    error: DataFormatError


LoadedRow = Instance | InvalidRow
"""A row of a reply, loaded."""


def reached(row: T | InvalidRow) -> T:
    """Returns an instance unchanged; raises `DataFormatError` for an `InvalidRow`."""
    if type(row) is InvalidRow:
        error = row.error
        raise DataFormatError(message_of(error), model=error.model, key=error.key) from error.__cause__
    return row


def loaded_instance(mapper: ModelMapper, identity: Identity, tenant: str | None, item: ReplyItem) -> Instance:
    """An instance of `mapper`'s model with the values of a stored item."""
    key, primary_id, key_values = identity
    schema, state = mapper.schema, new_state(mapper, LOADED, tenant, key, primary_id, None)
    values = _decoded(schema, item, state, key_values)
    state.raw_item = item
    if schema.sets_of is not None:
        _note_sets(state, schema, values)
    if schema.unsteady:
        state.handed = remembered(schema, values, item)
    instance = allocate_instance(mapper.model if state.bad is None else mapper.lazy_class)
    set_instance_dict(instance, values)
    return instance


def instances_from_rows(
    mapper: ModelMapper, tenant: str | None, items: Sequence[ReplyItem]
) -> list[LoadedRow]:
    """Instances of `mapper`'s model for stored items, which are identified by their table keys.

    An item whose key is not a key of the model becomes an `InvalidRow`.
    """
    schema, model = mapper.schema, mapper.model
    instances: list[LoadedRow] = []
    are_dicts = bool(items) and isinstance(items[0], dict)  # all of them have one form
    decode: Any = schema.decode if are_dicts else schema.decode_row
    identity_at, sets_of, unsteady = schema.keys.of_table_key[tenant], schema.sets_of, schema.unsteady
    forms: Sequence[Any] = items
    for item in forms:
        identity = (
            identity_at(item[PK]["S"], item[SK]["S"]) if are_dicts else identity_at(item._pk.S, item._sk.S)
        )
        if identity is None:
            try:
                identity = schema.keys.from_item(tenant, item)
            except DataFormatError as error:
                instances.append(InvalidRow(error))
                continue
        key, primary_id, key_values = identity
        state = new_state(mapper, LOADED, tenant, key, primary_id, None)
        values = decode(item, state, key_values)
        state.raw_item = item
        if state.bad is None:
            instance = allocate_instance(model)
            if sets_of is not None:
                state.sets = sets_of(values)
        else:
            instance = allocate_instance(mapper.lazy_class)
            _note_sets(state, schema, values)
        if unsteady:
            state.handed = remembered(schema, values, item)
        set_instance_dict(instance, values)
        instances.append(instance)
    return instances


def hydrate(instance: Instance, item: ReplyItem, *, consistent: bool = False) -> None:
    """Loads `instance` from a stored item. Fields that were assigned before keep their local values."""
    values = instance_dict(instance)
    state = values[STATE]
    schema = state.mapper.schema
    state.bad = None
    decoded = _decoded(schema, item, state, values)
    for name in state.assigned or ():
        decoded.pop(name, None)
    local = keep_handed(instance, state.assigned) if state.assigned else NOTHING_LOCAL
    # The dict stays if it holds more than the key, or if other instances share the state.
    if len(values) > schema.key_only_size or state.shared is not None:
        _forget_bad(state, values, state.assigned or ())
        values.update(decoded)
    else:
        set_instance_dict(instance, decoded)
        values = decoded
    _record_item(instance, state, values, item, consistent, local)


def _decoded(schema: Schema, item: ReplyItem, state: State, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a stored item, as a compiled decoder of the model returns them.

    Args:
        values: the values of the key fields, and perhaps others.
    """
    decode: Any = schema.decode if isinstance(item, dict) else schema.decode_row
    decoded: dict[str, Any] = decode(item, state, values)
    return decoded


def _forget_bad(state: State, values: dict[str, object], local: Container[str]) -> None:
    """Drops old values of fields that cannot read their stored value; local values stay."""
    for name in state.bad or ():
        if name not in local:
            values.pop(name, None)


def _note_sets(state: State, schema: Schema, values: Mapping[str, object]) -> None:
    """Remembers the loaded sets, so that a set that is changed in place can be detected."""
    if schema.sets_of is None:
        return
    if state.bad is None:
        state.sets = schema.sets_of(values)
    else:
        loaded = tuple(map(values.get, schema.set_names))
        state.sets = loaded[0] if len(loaded) == 1 else loaded


def hydrate_batch(
    pending: Mapping[Key, Instance], items: KeyedItems, consistent: bool, share: Capacity
) -> tuple[list[Instance], Mapping[Key, Instance]]:
    """`hydrate` for pending instances.

    Args:
        pending: the instances by key.
        items: the stored items; items of other keys and repeated items are ignored.
        share: the capacity units that were consumed for each key.

    Returns:
        The loaded instances of models with relations; and by key, the instances whose items are not stored.
    """
    related: list[Instance] = []
    get: Any = pending.get  # called with plain tuples
    loaded_count = 0
    # Those of the previous item, as most batches are of one model.
    mapper: Any = None
    schema = model = decode = decode_row = sets_of = unsteady = has_relations = key_only_size = mapper
    for instance, item in zip(map(get, items.keys), items, strict=True):
        if instance is None:
            continue
        values = instance_dict(instance)
        state = values[STATE]
        if state.status is not PENDING:
            continue
        loaded_count += 1
        if state.mapper is not mapper:
            mapper = state.mapper
            schema, model = mapper.schema, mapper.model
            decode, decode_row, sets_of = schema.decode, schema.decode_row, schema.sets_of
            unsteady, has_relations = schema.unsteady, schema.has_relations
            key_only_size = schema.key_only_size
        state.capacity = share if state.capacity is NOTHING_CONSUMED else state.capacity.plus(share)
        if len(values) > key_only_size or state.shared is not None:
            hydrate(instance, item, consistent=consistent)
        else:  # the usual case: the steps of `hydrate`, inlined for speed
            decoded = (decode if type(item) is dict else decode_row)(item, state, values)
            set_instance_dict(instance, decoded)
            state.status, state.raw_item = LOADED, item
            state.consistent, state.wants_consistent = consistent, False
            state.unknown_outcome = None
            if state.bad is None:
                set_class(instance, model)
                if sets_of is not None:
                    state.sets = sets_of(decoded)
            else:
                _note_sets(state, schema, decoded)
            if unsteady:
                state.handed = remembered(schema, decoded, item)
        if has_relations:
            related.append(instance)
    return related, {} if loaded_count == len(pending) else _absent(pending, share)


def _absent(pending: Mapping[Key, Instance], share: Capacity) -> Mapping[Key, Instance]:
    """By key, the instances whose items are not in a reply; each is charged its share too."""
    absent = {key: instance for key, instance in pending.items() if state_of(instance).status is PENDING}
    for instance in absent.values():
        state = state_of(instance)
        state.capacity = state.capacity.plus(share)
    return absent


def merge_item(
    instance: Instance,
    item: ReplyItem,
    local: HandedOutValues = NOTHING_LOCAL,
    names: Collection[str] | None = None,
) -> None:
    """Updates an instance with the item that a write stored. Equal values stay the same objects.

    Args:
        item: the stored item.
        local: the values that the program got of fields with changes that were not part of the write. These stay.
        names: the fields whose value may differ from the stored one, if the caller knows them. None if not.
    """
    values = instance_dict(instance)
    state = values[STATE]
    if names == () and not local and state.status is LOADED and state.bad is None and isinstance(item, dict):
        _note_item(state, values, item, True)  # all values are those of the item already
        return
    if not _merge_differing(state, values, item, local, names):
        _merge_all(state, values, item, local)
    _record_item(instance, state, values, item, True, local)


def _merge_differing(
    state: State,
    values: dict[str, Any],
    item: ReplyItem,
    local: Container[str],
    names: Collection[str] | None,
) -> bool:
    """Decodes only the fields whose value differs from the stored one. False if that needs a look at all of them."""
    if state.status is not LOADED or state.bad is not None or not isinstance(item, dict):
        return False
    assert state.mapper is not None
    schema = state.mapper.schema
    if names is None:
        differing = schema.differing(values, item)
        if differing is None:
            return False
    else:
        differing = {name: loaded_value(schema.fields[name], item) for name in names}
    for name, value in differing.items():
        if name not in local:
            if value is ABSENT:
                return False
            _assign_if_changed(values, schema.fields[name], value)
    return True


def _merge_all(state: State, values: dict[str, Any], item: ReplyItem, local: Container[str]) -> None:
    assert state.mapper is not None
    schema = state.mapper.schema
    state.bad = None
    decoded = _decoded(schema, item, state, values)
    del decoded[STATE]
    _forget_bad(state, values, local)
    for name, value in decoded.items():
        if name not in local:
            _assign_if_changed(values, schema.fields[name], value)


def mark_created(
    instance: Instance,
    mapper: ModelMapper,
    tenant: str | None,
    session: InstanceSession | None,
    key: Key,
    primary_id: str,
    item: Stored,
) -> None:
    """Marks a new instance as stored.

    Its validated values stay, so the item is not decoded. A new instance has no lookup state to clear.
    """
    values = instance_dict(instance)
    state: State = values[STATE]
    schema = mapper.schema
    state.mapper, state.tenant, state.session = mapper, tenant, session
    state.key, state.primary_id = key, primary_id
    state.status, state.raw_item, state.consistent = LOADED, item, True
    if schema.documents:
        _read_documents(state, schema, values, as_dict_item(item))
    state.handed = remembered(schema, values, item) if schema.unsteady else None
    if state.bad is not None:
        _note_sets(state, schema, values)
        set_status(instance, state, LOADED)
    elif schema.sets_of is not None:
        state.sets = schema.sets_of(values)


def _read_documents(state: State, schema: Schema, values: dict[str, object], item: Item) -> None:
    """Decodes the fields whose decoded value may differ from the value that was stored.

    A value that the program has changed since then stays.
    """
    for field in schema.documents:
        stored = item.get(field.attribute)
        if stored is None:
            value = field.missing_value()
        else:
            try:
                value = field.from_dynamo(stored)
            except Exception as error:  # the item is stored, even if the field cannot read its own value
                require_data_error(error)
                state.bad = {**(state.bad or {}), field.name: stored}
                del values[field.name]
                continue
        current = values.get(field.name, ABSENT)
        if current is ABSENT or is_read_otherwise(field, current, value, stored):
            values[field.name] = value


def is_read_otherwise(field: Field, current: object, value: object, form: AttributeValue | None) -> bool:
    """Whether the value that is read from a stored form is another one than the value that was stored.

    A list is read for a tuple, for example. A value that the program has changed since then has another form.

    Args:
        current: the value in the instance.
        value: the value that was read.
        form: the stored form.
    """
    return not _is_equal(field, current, value) and is_stored_as(field, current, form)


def _assign_if_changed(values: dict[str, object], field: Field, value: object) -> None:
    """Replaces the value of a field, unless it is equal."""
    if not _is_equal(field, values.get(field.name, ABSENT), value):
        values[field.name] = value


def _is_equal(field: Field, current: object, value: object) -> bool:
    """Whether two values of a field have one type and are equal, or are stored equally."""
    if type(current) is type(value):
        if current == value:
            return True
        if hasattr(current, "__dict__") or hasattr(current, "__slots__"):  # the class may not define equality
            with suppress(ValueError, TypeError):
                return same_stored(form_of(field, current), form_of(field, value))
    return False


def _record_item(
    instance: Instance,
    state: State,
    values: dict[str, object],
    item: Stored,
    consistent: bool,
    local: HandedOutValues = NOTHING_LOCAL,
) -> None:
    """Records the stored item, and clears lookup state.

    Args:
        local: the values that users got of fields with local values; these entries stay.
    """
    mapper = state.mapper
    assert mapper is not None
    state.status = LOADED
    _note_item(state, values, item, consistent, local)
    if local:
        state.handed = {**(state.handed or {}), **local}
    cls = mapper.model if state.bad is None else mapper.lazy_class
    if state.shared is not None:
        set_status(instance, state, LOADED)
    elif type(instance) is not cls:
        set_class(instance, cls)


def _note_item(
    state: State, values: dict[str, object], item: Stored, consistent: bool, local: Container[str] = ()
) -> None:
    """Notes the stored item of an instance that has its values, and clears lookup state.

    Args:
        local: the fields with local values.
    """
    state.raw_item, state.consistent, state.wants_consistent = item, consistent, False
    state.assigned = state.error = state.unknown_outcome = None
    assert state.mapper is not None
    schema = state.mapper.schema
    if schema.sets_of is not None:
        _note_sets(state, schema, values)
    state.handed = remembered(schema, values, item, local) if schema.unsteady else None
