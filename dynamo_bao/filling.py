"""Instances take in what is stored: the items and rows that replies bring, and what a write left behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dynamo_bao.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.codec import STATE
from dynamo_bao.errors import DataFormatError
from dynamo_bao.identities import Identity
from dynamo_bao.instances import (
    LOADED,
    PENDING,
    Home,
    State,
    become,
    give_class,
    give_values,
    keep_handed,
    mark_failed,
    new,
    new_pending,
    new_state,
    state_of,
    values_in,
)
from dynamo_bao.items import Stored, is_row, plain_item
from dynamo_bao.keys import Key
from dynamo_bao.tracking import HandedOut, remembered
from dynamo_bao.wire import PK, SK, Item


def new_loaded(home: Home, identity: Identity, tenant: str | None, item: Item) -> Any:
    """An instance of `home`'s model with the values of a stored item; `DataFormatError` if it has none."""
    instance = new_pending(home, identity, tenant, None)
    fill(instance, item)
    return instance


def new_of_rows(home: Home, tenant: str | None, items: Sequence[Stored]) -> list[Any]:
    """Instances of `home`'s model for stored items, each of which says itself which one it is.

    Raises:
        DataFormatError: where one cannot be decoded.
    """
    schema, model = home.schema, home.model
    made: list[Any] = []
    rows = bool(items) and is_row(items[0])
    decode, place_of = schema.decode_row if rows else schema.decode, schema.place_of
    for item in items:
        state = new_state(home, LOADED, tenant, None, None, None)
        try:
            values = decode(item, state, schema.no_keys)
        except Exception as error:
            stored = plain_item(item)
            raise schema.undecodable(stored, schema.stored_id(stored, tenant), error) from error
        state.kept = item
        pk, sk = (item._pk.S, item._sk.S) if rows else (item[PK]["S"], item[SK]["S"])
        state.key, state.primary_id = place_of(tenant, pk, sk, values)
        if schema.sets_of is not None:
            state.sets = schema.sets_of(values)
        if schema.unsteady:
            state.handed = remembered(schema, values, item)
        instance = new(model)
        give_values(instance, values)
        made.append(instance)
    return made


def fill(instance: Any, item: Stored, *, consistent: bool = False) -> None:
    """Loads `instance` from a stored item; fields assigned in the meantime keep their local values.

    Raises:
        DataFormatError: where the item cannot be decoded.
    """
    values = values_in(instance)
    state = values[STATE]
    schema = state.home.schema
    try:
        decoded = (schema.decode_row if is_row(item) else schema.decode)(item, state, values)
    except Exception as error:
        raise _unreadable(state, item, error) from error
    for name in state.assigned or ():
        decoded.pop(name, None)
    kept = keep_handed(instance, state.assigned) if state.assigned else None
    if len(values) > schema.bare or state.shared is not None:  # it holds more than its key, or others show it
        values.update(decoded)
    else:
        give_values(instance, decoded)
        values = decoded
    _stored(instance, state, values, item, consistent, kept)


def fill_all(
    wanted: Mapping[Key, Any], items: Sequence[Stored], consistent: bool, share: Capacity
) -> tuple[list[Any], Mapping[Key, Any]]:
    """`fill` for the pending instances of some keys; one whose item cannot be decoded has failed.

    Args:
        items: those that are stored under these keys; others, and the same one again, are passed over.
        share: the capacity units that were consumed for each key.

    Returns:
        Of the instances whose items are here those of models with relations; and by key those whose are not.
    """
    related: list[Any] = []
    get: Any = wanted.get  # by keys that are plain tuples
    found = 0
    home: Any = None  # that of the item before, as mostly they are all of one model
    schema: Any = None
    for item in items:
        is_item = type(item) is dict
        instance = get((item[PK]["S"], item[SK]["S"]) if is_item else (item._pk.S, item._sk.S))
        if instance is None:
            continue
        values = values_in(instance)
        state = values[STATE]
        if state.status is not PENDING:
            continue
        found += 1
        if state.home is not home:
            home = state.home
            schema = home.schema
        state.capacity = share if state.capacity is NOTHING_CONSUMED else state.capacity.plus(share)
        try:
            if len(values) > schema.bare or state.shared is not None:
                fill(instance, item, consistent=consistent)
            else:  # as nearly always: what `fill` does, in the shortest way
                decoded = (schema.decode if is_item else schema.decode_row)(item, state, values)
                give_values(instance, decoded)
                give_class(instance, home.model)
                state.status, state.kept = LOADED, item
                state.consistent, state.wants_consistent = consistent, False
                state.origin = state.doubt = None
                if schema.sets_of is not None:
                    state.sets = schema.sets_of(decoded)
                if schema.unsteady:
                    state.handed = remembered(schema, decoded, item)
        except DataFormatError as error:
            mark_failed(instance, error)
        except Exception as error:
            mark_failed(instance, _unreadable(state, item, error))
        else:
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


def _unreadable(state: State, item: Stored, cause: Exception) -> DataFormatError:
    assert state.home is not None
    return state.home.schema.undecodable(plain_item(item), state.primary_id or "", cause)


def absorb(instance: Any, item: Item, keep: Iterable[str] = ()) -> None:
    """Takes on what a write left stored; values that are equal stay the objects they are.

    Args:
        keep: fields with local changes that were not part of the write.
    """
    state = state_of(instance)
    assert state.home is not None
    values = instance.__dict__
    decoded: dict[str, Any] = {}
    state.home.schema.decode_into(item, decoded, state.primary_id or "")
    kept = keep_handed(instance, keep)
    for name in kept:
        decoded.pop(name, None)
    for name, value in decoded.items():
        _take_on(values, name, value)
    _stored(instance, state, values, item, True, kept)


def absorb_own(
    instance: Any, home: Home, tenant: str | None, session: Any, key: Key, primary_id: str, item: Stored
) -> None:
    """Has a new instance stand for what is stored of its own, accepted values now.

    Those that are stored as they are need not be decoded again; and what only instances have that were once to be
    loaded, a new one has not to forget.
    """
    values = values_in(instance)
    state: State = values[STATE]
    schema = home.schema
    state.home, state.tenant, state.session = home, tenant, session
    state.key, state.primary_id = key, primary_id
    state.status, state.kept, state.consistent = LOADED, item, True
    for field in schema.documents:
        stored = item.get(str(field.attribute))
        _take_on(values, field.name, field.absent() if stored is None else field.from_dynamo(stored))
    if schema.sets_of is not None:
        state.sets = schema.sets_of(values)
    state.handed = remembered(schema, values, item) if schema.unsteady else None


def _take_on(values: dict[str, Any], name: str, value: Any) -> None:
    """Puts a value in the place of the one that is held, unless they are equal and of one type."""
    held = values.get(name, _NOTHING)
    if held != value or type(held) is not type(value):
        values[name] = value


_NOTHING = object()


def _stored(
    instance: Any,
    state: State,
    values: dict[str, Any],
    item: Stored,
    consistent: bool,
    kept: dict[str, HandedOut] | None = None,
) -> None:
    """Remembers what is stored; what there was to know about an instance before it was loaded is forgotten.

    Args:
        kept: what was handed out of fields with local values, which they keep.
    """
    home: Any = state.home
    state.status, state.kept = LOADED, item
    state.consistent, state.wants_consistent = consistent, False
    state.assigned = state.error = state.origin = state.doubt = None
    schema = home.schema
    if schema.sets_of is not None:
        state.sets = schema.sets_of(values)
    made_up = remembered(schema, values, item) if schema.unsteady else None
    state.handed = {**(made_up or {}), **kept} if kept else made_up
    if state.shared is not None:
        become(instance, state, LOADED)
    elif type(instance) is not home.model:
        give_class(instance, home.model)
