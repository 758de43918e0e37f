"""Instances take in what is stored: the items and rows that replies bring, and what a write left behind."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from attrs import frozen

from dynamo_bao._foreign_errors import require_data_error
from dynamo_bao.dynamodb.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.items import Stored, is_row
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.errors import DataFormatError
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import HandedOutValue, form_of, remembered
from dynamo_bao.session.state import (
    LOADED,
    PENDING,
    ModelMapper,
    State,
    allocate_instance,
    instance_dict,
    keep_handed,
    new_state,
    pending_instance,
    set_class,
    set_instance_dict,
    set_status,
    state_of,
)


@frozen
class InvalidRow:
    """Stands for a row of which it cannot be told which item it is; to reach it raises.

    Attributes:
        error: what is wrong with its key.
    """

    error: DataFormatError


def reached(row: Any) -> Any:
    """An instance as it is; raises for an `InvalidRow`."""
    if type(row) is InvalidRow:
        error = row.error
        raise DataFormatError(str(error), model=error.model, key=error.key) from error.__cause__
    return row


def loaded_instance(mapper: ModelMapper, identity: Identity, tenant: str | None, item: Stored) -> Any:
    """An instance of `mapper`'s model with the values of a stored item."""
    instance = pending_instance(mapper, identity, tenant, None)
    hydrate(instance, item)
    return instance


def instances_from_rows(mapper: ModelMapper, tenant: str | None, items: Sequence[Stored]) -> list[Any]:
    """Instances of `mapper`'s model for stored items, each of which says by its key which one it is.

    Where one has a key of no item of the model, an `InvalidRow` stands in its place.
    """
    schema, model = mapper.schema, mapper.model
    made: list[Any] = []
    rows = bool(items) and is_row(items[0])
    decode, identity_at = schema.decode_row if rows else schema.decode, schema.stored_reader(tenant)
    sets_of, unsteady = schema.sets_of, schema.unsteady
    for item in items:
        identity = identity_at(item._pk.S, item._sk.S) if rows else identity_at(item[PK]["S"], item[SK]["S"])
        if identity is None:
            try:
                identity = schema.identity_of(tenant, item)
            except DataFormatError as error:
                made.append(InvalidRow(error))
                continue
        key, primary_id, known = identity
        state = new_state(mapper, LOADED, tenant, key, primary_id, None)
        values = decode(item, state, known)
        state.raw_item = item
        if state.bad is None:
            instance = allocate_instance(model)
            if sets_of is not None:
                state.sets = sets_of(values)
        else:
            instance = allocate_instance(mapper.lazy_class)
            if sets_of is not None:
                _note_sets(state, schema, values)
        if unsteady:
            state.handed = remembered(schema, values, item)
        set_instance_dict(instance, values)
        made.append(instance)
    return made


def hydrate(instance: Any, item: Stored, *, consistent: bool = False) -> None:
    """Loads `instance` from a stored item; fields assigned in the meantime keep their local values."""
    values = instance_dict(instance)
    state = values[STATE]
    schema = state.mapper.schema
    state.bad = None
    decoded = (schema.decode_row if is_row(item) else schema.decode)(item, state, values)
    for name in state.assigned or ():
        decoded.pop(name, None)
    kept = keep_handed(instance, state.assigned) if state.assigned else None
    if (
        len(values) > schema.key_only_size or state.shared is not None
    ):  # it holds more than its key, or others show it
        _forget_bad(state, values, state.assigned or ())
        values.update(decoded)
    else:
        set_instance_dict(instance, decoded)
        values = decoded
    _stored(instance, state, values, item, consistent, kept)


def _forget_bad(state: State, values: dict[str, Any], local: Container[str]) -> None:
    """Drops earlier values of fields that cannot read what is stored now; those that are local stay."""
    for name in state.bad or ():
        if name not in local:
            values.pop(name, None)


def _note_sets(state: State, schema: Schema, values: Mapping[str, Any]) -> None:
    """Remembers the sets that were loaded, as one that is changed in place is told by them."""
    assert schema.sets_of is not None
    if state.bad is None:
        state.sets = schema.sets_of(values)
    else:
        loaded = tuple(map(values.get, schema.set_names))
        state.sets = loaded[0] if len(loaded) == 1 else loaded


def hydrate_batch(
    wanted: Mapping[Key, Any], items: Sequence[Stored], consistent: bool, share: Capacity
) -> tuple[list[Any], Mapping[Key, Any]]:
    """`hydrate` for the pending instances of some keys.

    Args:
        items: those that are stored under these keys; others, and the same one again, are passed over.
        share: the capacity units that were consumed for each key.

    Returns:
        Of the instances whose items are here those of models with relations; and by key those whose are not.
    """
    related: list[Any] = []
    get: Any = wanted.get  # by keys that are plain tuples
    found = 0
    mapper: Any = None  # that of the item before, as mostly they are all of one model
    schema: Any = None
    for item in items:
        is_item = type(item) is dict
        instance = get((item[PK]["S"], item[SK]["S"]) if is_item else (item._pk.S, item._sk.S))
        if instance is None:
            continue
        values = instance_dict(instance)
        state = values[STATE]
        if state.status is not PENDING:
            continue
        found += 1
        if state.mapper is not mapper:
            mapper = state.mapper
            schema = mapper.schema
        state.capacity = share if state.capacity is NOTHING_CONSUMED else state.capacity.plus(share)
        if len(values) > schema.key_only_size or state.shared is not None:
            hydrate(instance, item, consistent=consistent)
        else:  # as nearly always: what `hydrate` does, in the shortest way
            decoded = (schema.decode if is_item else schema.decode_row)(item, state, values)
            set_instance_dict(instance, decoded)
            state.status, state.raw_item = LOADED, item
            state.consistent, state.wants_consistent = consistent, False
            state.origin = state.unknown_outcome = None
            if state.bad is None:
                set_class(instance, mapper.model)
                if schema.sets_of is not None:
                    state.sets = schema.sets_of(decoded)
            elif schema.sets_of is not None:
                _note_sets(state, schema, decoded)
            if schema.unsteady:
                state.handed = remembered(schema, decoded, item)
        if schema.has_relations:
            related.append(instance)
    return related, {} if found == len(wanted) else _absent(wanted, share)


def _absent(wanted: Mapping[Key, Any], share: Capacity) -> Mapping[Key, Any]:
    """By key, the instances whose items a reply did not bring, which cost their share too."""
    absent = {key: instance for key, instance in wanted.items() if state_of(instance).status is PENDING}
    for instance in absent.values():
        state = state_of(instance)
        state.capacity = state.capacity.plus(share)
    return absent


def merge_item(instance: Any, item: Stored, keep: Iterable[str] = ()) -> None:
    """Takes on what a write left stored; values that are equal stay the objects they are.

    Args:
        keep: fields with local changes that were not part of the write.
    """
    state = state_of(instance)
    assert state.mapper is not None
    values = instance_dict(instance)
    kept = keep_handed(instance, keep)
    state.bad = None
    schema = state.mapper.schema
    decoded = (schema.decode_row if is_row(item) else schema.decode)(item, state, values)
    del decoded[STATE]
    _forget_bad(state, values, kept)
    for name, value in decoded.items():
        if name not in kept:
            _assign_if_changed(values, schema.fields[name], value)
    _stored(instance, state, values, item, True, kept)


def mark_created(
    instance: Any,
    mapper: ModelMapper,
    tenant: str | None,
    session: Any,
    key: Key,
    primary_id: str,
    item: Stored,
) -> None:
    """Has a new instance stand for what is stored of its own, accepted values now.

    Those that are stored as they are need not be decoded again; and what only instances have that were once to be
    loaded, a new one has not to forget.
    """
    values = instance_dict(instance)
    state: State = values[STATE]
    schema = mapper.schema
    state.mapper, state.tenant, state.session = mapper, tenant, session
    state.key, state.primary_id = key, primary_id
    state.status, state.raw_item, state.consistent = LOADED, item, True
    if schema.documents:
        _read_documents(state, schema, values, item)
    if schema.sets_of is not None:
        _note_sets(state, schema, values)
    state.handed = remembered(schema, values, item) if schema.unsteady else None
    if state.bad is not None:
        set_status(instance, state, LOADED)


def _read_documents(state: State, schema: Schema, values: dict[str, Any], item: Item) -> None:
    """Gives the fields that may read something else than was stored what they read."""
    for field in schema.documents:
        stored = item.get(str(field.attribute))
        if stored is None:
            _assign_if_changed(values, field, field.missing_value())
            continue
        try:
            _assign_if_changed(values, field, field.from_dynamo(stored))
        except (
            Exception
        ) as error:  # a field that cannot read what it stores itself; that is stored nevertheless
            require_data_error(error)
            state.bad = {**(state.bad or {}), field.name: stored}
            del values[field.name]


def _assign_if_changed(values: dict[str, Any], field: Field, value: Any) -> None:
    """Puts a value in the place of the one that is held, unless they are of one type and equal, or stored the same."""
    held = values.get(field.name, _NOTHING)
    if type(held) is type(value):
        if held == value:
            return
        if hasattr(held, "__dict__") or hasattr(
            held, "__slots__"
        ):  # of a class that may not tell what is equal
            with suppress(ValueError, TypeError):
                if same_stored(form_of(field, held), form_of(field, value)):
                    return
    values[field.name] = value


_NOTHING = object()


def _stored(
    instance: Any,
    state: State,
    values: dict[str, Any],
    item: Stored,
    consistent: bool,
    kept: dict[str, HandedOutValue] | None = None,
) -> None:
    """Remembers what is stored; what there was to know about an instance before it was loaded is forgotten.

    Args:
        kept: what was handed out of fields with local values, which they keep.
    """
    mapper: Any = state.mapper
    state.status, state.raw_item = LOADED, item
    state.consistent, state.wants_consistent = consistent, False
    state.assigned = state.error = state.origin = state.unknown_outcome = None
    schema = mapper.schema
    if schema.sets_of is not None:
        if state.bad is None:
            state.sets = schema.sets_of(values)
        else:
            _note_sets(state, schema, values)
    made_up = remembered(schema, values, item) if schema.unsteady else None
    state.handed = {**(made_up or {}), **kept} if kept else made_up
    cls = mapper.model if state.bad is None else mapper.lazy_class
    if state.shared is not None:
        set_status(instance, state, LOADED)
    elif type(instance) is not cls:
        set_class(instance, cls)
