"""The state behind a model instance, and the hidden class an instance has while it is not loaded.

An instance whose item is not here yet is of a subclass of its model that loads it at the first look at a
field. Loading sets the instance's ``__class__`` to the model itself, so that from then on reading a field is
a plain attribute read.
"""

from __future__ import annotations

import enum
import weakref
from collections.abc import Iterable
from typing import Any, Protocol

from dynamo_bao.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.codec import STATE, same_stored
from dynamo_bao.database import Database
from dynamo_bao.errors import ValidationError
from dynamo_bao.identities import Identity
from dynamo_bao.keys import Key
from dynamo_bao.peers import Origin, PeerGroup
from dynamo_bao.schema import Schema
from dynamo_bao.wire import AttributeValue, Item


class Status(enum.Enum):
    """Where an instance stands."""

    TRANSIENT = "transient"
    PENDING = "pending"
    LOADED = "loaded"
    MISSING = "missing"
    FAILED = "failed"
    DELETED = "deleted"


_LOADED = Status.LOADED  # read often


class Home(Protocol):
    """What an instance needs of the repository it belongs to."""

    @property
    def schema(self) -> Schema:
        """The model's schema."""
        ...

    @property
    def model(self) -> type[Any]:
        """The model's class."""
        ...

    @property
    def database(self) -> Database:
        """Where the model's items are."""
        ...

    def materialise(self, instance: Any) -> None:
        """Loads `instance`; raises if its item is missing or could not be fetched."""
        ...

    def entries(
        self, session: Any, instances: Any, *, deletes: bool = False, overwrite: bool = False
    ) -> list[Any]:
        """What a session's unit of work notes of objects to be written at its commit."""
        ...

    def prepared(self, session: Any, entries: Any) -> list[Any]:
        """The changes that such entries are at the commit; None for each where nothing changed."""
        ...

    def write_all(self, session: Any, entries: Any, *, atomic: bool) -> None:
        """Writes the entries of a unit of work, of any models."""
        ...

    def related_home(self, field: str) -> Home:
        """The home of the model that a relation field points to; raises where it is none."""
        ...

    def related_target(self, instance: Any, field: str) -> tuple[Home, Identity, str | None] | None:
        """Where the item is that a relation of `instance` points to: its home, identity and tenant."""
        ...


class State:
    """Everything the library knows about one instance besides its field values.

    What most instances never need has its first value in the class, so that making a state costs little.

    Attributes:
        sets: the sets that were loaded, by `Schema.set_names`, as one that was changed in place is told by them.
        generated: the key fields that got an id of this process, which no other item can have.
    """

    status: Status = Status.PENDING
    tenant: str | None = None
    key: Key | None = None
    primary_id: str | None = None
    session: Any = None
    stored: Item | None = None
    consistent: bool = False
    wants_consistent: bool = False
    assigned: set[str] | None = None
    error: Exception | None = None
    group: PeerGroup | None = None
    origin: Origin | None = None
    shared: list[weakref.ref[Any]] | None = None
    capacity: Capacity = NOTHING_CONSUMED
    doubt: Exception | None = None
    sets: tuple[Any, ...] = ()
    related: dict[str, tuple[Any, Any]] | None = None
    generated: dict[str, Any] | None = None

    def __init__(self, home: Home | None, status: Status, tenant: str | None) -> None:
        self.home, self.status, self.tenant = home, status, tenant


class Instance:
    """What every instance of a model is: an object with a ``__dict__``."""


values_in: Any = vars(Instance)["__dict__"].__get__
"""The ``__dict__`` of an instance, past the hidden class, whose own reading of attributes is slow."""
give_values: Any = vars(Instance)["__dict__"].__set__
"""Makes a dict the instance's ``__dict__``.

A dict of its own, which starts with the state and the key fields whatever made the instance, lets CPython read
fields by a remembered position. The dict CPython makes by itself when somebody touches ``__dict__`` shares its
keys with other instances, and reading from it takes three times as long (3.11).
"""


def state_of(instance: Any) -> State:
    """The state of a model instance."""
    state: State = values_in(instance)[STATE]
    return state


def is_there(instance: Any) -> bool:
    """Whether an instance a session knows stands for an item that is stored, or about to be."""
    return state_of(instance).status in (Status.LOADED, Status.TRANSIENT)


def identity_of(instance: Any) -> Identity:
    """Which item an instance with a key stands for."""
    state = state_of(instance)
    assert state.home is not None and state.key is not None and state.primary_id is not None
    values = values_in(instance)
    return Identity(state.key, state.primary_id, {name: values[name] for name in state.home.schema.key_names})


_give_class: Any = vars(object)["__class__"].__set__
_new: Any = object.__new__

# --- making ---------------------------------------------------------------------------------------


def new_pending(home: Home, identity: Identity, tenant: str | None, session: Any) -> Any:
    """An instance of `home`'s model that knows its key and nothing else yet."""
    model = home.model
    instance = _new(model.__bao_hidden__)
    state: State = _new(State)
    state.home, state.tenant, state.session = home, tenant, session
    state.key, state.primary_id, values = identity
    give_values(instance, {STATE: state, **values})
    return instance


def new_named(home: Home, key: Key, text: str, tenant: str | None, session: Any) -> Any:
    """`new_pending` for a key that is the one text `text`."""
    model: Any = home.model
    instance, state = _new(model.__bao_hidden__), _new(State)
    state.home, state.session, state.key, state.primary_id = home, session, key, text
    if tenant is not None:
        state.tenant = tenant
    give_values(instance, {STATE: state, home.schema.key_names[0]: text})
    return instance


def new_loaded(home: Home, identity: Identity, tenant: str | None, item: Item) -> Any:
    """An instance of `home`'s model with the values of a stored item; `DataFormatError` if it has none."""
    instance = new_pending(home, identity, tenant, None)
    fill(instance, item)
    return instance


def new_of_rows(home: Home, tenant: str | None, items: Iterable[Item]) -> list[Any]:
    """Instances of `home`'s model for stored items, each of which says itself which one it is.

    Raises:
        DataFormatError: where one cannot be decoded.
    """
    schema, model, rows = home.schema, home.model, list[Any]()
    decode, place_of, sets_of = schema.decode, schema.place_of, schema.sets_of if schema.set_names else None
    for item in items:
        state = _new(State)
        try:
            values = decode(item, state, schema.no_keys)
        except Exception as error:
            raise schema.undecodable(item, schema.stored_id(item, tenant), error) from error
        state.home, state.status, state.tenant, state.stored = home, _LOADED, tenant, item
        state.key, state.primary_id = place_of(tenant, item, values)
        if sets_of is not None:
            state.sets = sets_of(values)
        instance = _new(model)
        give_values(instance, values)
        rows.append(instance)
    return rows


# --- changing state ---------------------------------------------------------------------------------


def class_for(state: State) -> type[Any]:
    """The class of instances in a state: the model itself, or the hidden one that loads."""
    assert state.home is not None
    model: Any = state.home.model
    hidden: type[Any] = model.__bao_hidden__
    return model if state.status in (Status.LOADED, Status.TRANSIENT) else hidden


def _become(instance: Any, state: State, status: Status) -> None:
    """Sets the status, and the class that goes with it, of the instance and of those sharing its state."""
    state.status = status
    cls = class_for(state)
    for one in (instance, *(ref() for ref in state.shared or ())):
        if one is not None and type(one) is not cls:
            _give_class(one, cls)


def fill(instance: Any, item: Item, *, consistent: bool = False) -> None:
    """Loads `instance` from a stored item; fields assigned in the meantime keep their local values."""
    load(instance, values_in(instance), item, consistent)


def load(instance: Any, values: dict[str, Any], item: Item, consistent: bool) -> None:
    """`fill`, for those who have the instance's ``__dict__`` at hand."""
    state = values[STATE]
    home = state.home
    schema = home.schema
    try:
        decoded = schema.decode(item, state, values)
    except Exception as error:
        raise schema.undecodable(item, state.primary_id or "", error) from error
    if len(values) > schema.bare or state.shared is not None:  # it holds more than its key, or others show it
        for name in state.assigned or ():
            decoded.pop(name, None)
        values.update(decoded)
        _stored(instance, state, values, item, consistent)
    else:
        _note_stored(state, schema, decoded, item, consistent)
        give_values(instance, decoded)
        _give_class(instance, home.model)


def absorb(instance: Any, item: Item, keep: Iterable[str] = ()) -> None:
    """Takes on what a write left stored; values that are equal stay the objects they are.

    Args:
        keep: fields with local changes that were not part of the write.
    """
    state = state_of(instance)
    assert state.home is not None
    values, decoded = instance.__dict__, dict[str, Any]()
    state.home.schema.decode_into(item, decoded, state.primary_id or "")
    for name in keep:
        decoded.pop(name, None)
    for name, value in decoded.items():
        _take_on(values, name, value)
    _stored(instance, state, values, item, True)


def absorb_own(
    instance: Any, home: Home, tenant: str | None, session: Any, identity: Identity, item: Item
) -> None:
    """Has a new instance stand for what is stored of its own, accepted values now.

    Those that are stored as they are need not be decoded again.
    """
    values = values_in(instance)
    state: State = values[STATE]
    state.home, state.tenant, state.session = home, tenant, session
    state.key, state.primary_id, _ = identity
    schema = home.schema
    for field in schema.documents:
        stored = item.get(str(field.attribute))
        _take_on(values, field.name, field.absent() if stored is None else field.from_dynamo(stored))
    _stored(instance, state, values, item, True)


def _take_on(values: dict[str, Any], name: str, value: Any) -> None:
    """Puts a value in the place of the one that is held, unless they are equal and of one type."""
    held = values.get(name, _NOTHING)
    if held != value or type(held) is not type(value):
        values[name] = value


_NOTHING = object()


def _stored(instance: Any, state: State, values: dict[str, Any], item: Item, consistent: bool) -> None:
    home: Any = state.home
    _note_stored(state, home.schema, values, item, consistent)
    if state.shared is not None:
        _become(instance, state, _LOADED)
    elif type(instance) is not home.model:
        _give_class(instance, home.model)


def _note_stored(state: State, schema: Schema, values: dict[str, Any], item: Item, consistent: bool) -> None:
    """Remembers what is stored; what there was to know about an instance before it was loaded is forgotten."""
    state.status, state.stored, state.consistent, state.wants_consistent = _LOADED, item, consistent, False
    state.assigned = state.error = state.origin = state.doubt = None
    if schema.set_names:
        state.sets = schema.sets_of(values)


def mark_missing(instance: Any, *, consistent: bool = False) -> None:
    """DynamoDB answered: there is no such item."""
    state = state_of(instance)
    state.stored, state.consistent, state.wants_consistent = None, consistent, False
    state.assigned = state.error = state.origin = None
    _forget_values(instance, state)
    _become(instance, state, Status.MISSING)


def mark_failed(instance: Any, error: Exception) -> None:
    """The item could not be fetched, or not be read, because of `error`."""
    state = state_of(instance)
    state.error = error
    _become(instance, state, Status.FAILED)


def mark_deleted(instance: Any) -> None:
    """The item was deleted through this instance; values that were loaded can still be read."""
    state = state_of(instance)
    state.stored = state.assigned = state.error = None
    _become(instance, state, Status.DELETED)


def become_transient(instance: Any, values: dict[str, Any]) -> None:
    """Makes `instance` a new one again, with `values`, after its creation was abandoned."""
    state = state_of(instance)
    instance.__dict__.update(values)
    _become(instance, state, Status.TRANSIENT)
    state.stored = state.assigned = state.related = state.home = None
    state.sets = ()
    state.session = state.key = state.primary_id = None


def unload(instance: Any, *, consistent: bool, keep_changes: bool) -> None:
    """Makes `instance` pending again, with or without its local changes."""
    state = state_of(instance)
    if state.status is Status.LOADED:
        state.assigned = set(changed_names(instance)) if keep_changes else None
    elif not keep_changes:
        state.assigned = None
    state.wants_consistent = state.wants_consistent or consistent
    state.error = None
    _forget_values(instance, state)
    _become(instance, state, Status.PENDING)


def _forget_values(instance: Any, state: State) -> None:
    assert state.home is not None
    schema, values = state.home.schema, instance.__dict__
    keep = {*schema.key_names, *(state.assigned or ())}
    for name in schema.fields:
        if name not in keep:
            values.pop(name, None)


# --- related instances ------------------------------------------------------------------------------


def make_peers(instances: Iterable[Any]) -> None:
    """Has the instances of each model, of those that arrived together, remember each other weakly.

    Only those of models with relations, which are what peers are for.
    """
    by_home: dict[int, list[Any]] = {}
    for instance in instances:
        home = state_of(instance).home
        if home is not None and home.schema.has_relations:
            by_home.setdefault(id(home), []).append(instance)
    for members in by_home.values():
        group = PeerGroup(members)
        for member in members:
            state_of(member).group = group


def remember_related(instance: Any, field: str, target: Any) -> None:
    """Keeps the target of a relation, for as long as the relation points to it."""
    state = state_of(instance)
    if state.related is None:
        state.related = {}
    state.related[field] = (instance.__dict__.get(field), target)


def remembered_related(instance: Any, field: str) -> Any:
    """The target of a relation that was reached before, None where it now points elsewhere."""
    remembered = (state_of(instance).related or {}).get(field)
    if remembered is None or remembered[0] != instance.__dict__.get(field):
        return None
    return remembered[1]


def forget_related(instance: Any, field: str | None = None) -> None:
    """Forgets the target of a relation, or of all of them."""
    state = state_of(instance)
    if field is None:
        state.related = None
    elif state.related is not None:
        state.related.pop(field, None)


# --- what changed -------------------------------------------------------------------------------------


def changed_names(instance: Any) -> list[str]:
    """The fields whose local value differs from what was loaded, by their stored forms."""
    state = state_of(instance)
    assert state.home is not None
    schema, values = state.home.schema, instance.__dict__
    if state.status is Status.PENDING:
        return [name for name in schema.fields if name in (state.assigned or ())]
    stored = state.stored or {}
    return [name for name in schema.fields if not _unchanged(schema, name, values, stored)]


def _unchanged(schema: Schema, name: str, values: dict[str, Any], stored: Item) -> bool:
    field = schema.fields[name]
    value = values.get(name)
    before = stored.get(str(field.attribute))
    if before is None and value == field.absent():
        return True
    try:
        return same_stored(encoded(schema, name, value), before)
    except (ValidationError, TypeError):
        # A value that breaks a rule is a change, which the save will refuse, unless it was stored like that.
        loaded = None if before is None else field.from_dynamo(before)
        return type(value) is type(loaded) and bool(value == loaded)


def encoded(schema: Schema, name: str, value: Any) -> AttributeValue | None:
    """The stored form of one field's value; None where nothing is stored."""
    field = schema.fields[name]
    accepted = field.accept(value)
    return None if accepted is None else field.to_dynamo(accepted)
