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

from dynamo_bao.dynamodb.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.dynamodb.items import Stored, as_dict_item
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import BLIND, HandedOutValue, HandedOutValues, LoadedSnapshot


class PeerGroup:
    """Instances that arrived together, remembered weakly.

    Attributes:
        is_page: whether a page or a batch of the library's own brought them, so that one lookup for all of them is
            not N+1, even where it is a single key.
    """

    __slots__ = ("_members", "is_page")

    def __init__(self, members: Iterable[Any], is_page: bool = False) -> None:
        self._members = list(map(weakref.ref, members))
        self.is_page = is_page

    def add(self, member: Any) -> None:
        """Makes an instance one of them."""
        self._members.append(weakref.ref(member))

    def __reduce__(self) -> tuple[type[PeerGroup], tuple[tuple[()]]]:
        # Copies of members join the copy of their group: a pickle, as a deep copy, has one for all of them.
        return PeerGroup, ((),)

    def alive(self) -> list[Any]:
        """The members that somebody still holds."""
        return [member for member in (ref() for ref in self._members) if member is not None]


class RelationOrigin:
    """Which relation of which instance a pending instance was reached through.

    Attributes:
        group: the peers of the instance it was reached from.
        field: that relation's field.
        model: the model that has the field.
    """

    __slots__ = ("field", "group", "model")

    def __init__(self, group: PeerGroup | None, field: str, model: str) -> None:
        self.group = group
        self.field = field
        self.model = model


class Status(enum.Enum):
    """Where an instance stands."""

    TRANSIENT = "transient"
    PENDING = "pending"
    LOADED = "loaded"
    MISSING = "missing"
    FAILED = "failed"
    DELETED = "deleted"


LOADED, PENDING = Status.LOADED, Status.PENDING  # read often
allocate_instance: Any = object.__new__


class ModelMapper(Protocol):
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
    def lazy_class(self) -> type[Any]:
        """The class of its instances while they are not loaded."""
        ...

    @property
    def database(self) -> Database:
        """Where the model's items are."""
        ...

    def _load_instance(self, instance: Any) -> None:
        """Loads `instance`; raises if its item is missing or could not be fetched."""
        ...

    def _entries_for(
        self, session: Any, instances: Any, *, deletes: bool = False, overwrite: bool = False
    ) -> list[Any]:
        """What a session's unit of work notes of objects to be written at its commit."""
        ...

    def _changes_for(self, session: Any, entries: Any) -> list[Any]:
        """The changes that such entries are at the commit; None for each where nothing changed."""
        ...

    def _commit(self, session: Any, entries: Any, *, atomic: bool) -> None:
        """Writes the entries of a unit of work, of any models."""
        ...

    def related_home(self, field: str) -> ModelMapper:
        """The home of the model that a relation field points to; raises where it is none."""
        ...

    def related_target(self, instance: Any, field: str) -> tuple[ModelMapper, Identity, str | None] | None:
        """Where the item is that a relation of `instance` points to: its home, identity and tenant."""
        ...


class State:
    """Everything the library knows about one instance besides its field values.

    It has slots: an attribute whose first value stands in the class takes CPython 3.11 ten times as long.

    Attributes:
        raw_item: what is stored, an item or a row; read as `stored`.
        bad: by field name what is stored of fields that cannot read it; None where all can. Such a field has no
            value in the instance unless it was assigned one, and the instance keeps the hidden class.
        sets: the sets that were loaded, or the only one, as one that was changed in place is told by them.
        generated_keys: the key fields that got an id of this process, which no other item can have.
        handed: what was handed out where decoding `raw_item` again does not give it; see `tracking.HandedOutValue`.
    """

    __slots__ = (
        "assigned",
        "bad",
        "capacity",
        "consistent",
        "error",
        "generated_keys",
        "group",
        "handed",
        "key",
        "mapper",
        "origin",
        "primary_id",
        "raw_item",
        "related",
        "session",
        "sets",
        "shared",
        "status",
        "tenant",
        "unknown_outcome",
        "wants_consistent",
    )

    mapper: ModelMapper | None
    status: Status
    tenant: str | None
    key: Key | None
    primary_id: str | None
    session: Any
    raw_item: Stored | None
    consistent: bool
    wants_consistent: bool
    assigned: set[str] | None
    bad: dict[str, AttributeValue] | None
    error: Exception | None
    group: PeerGroup | None
    origin: RelationOrigin | None
    shared: list[weakref.ref[Any]] | None
    capacity: Capacity
    unknown_outcome: Exception | None
    sets: Any
    related: dict[str, tuple[Any, Any]] | None
    generated_keys: dict[str, Any] | None
    handed: HandedOutValues | None

    @property
    def stored(self) -> Item | None:
        """What is stored, as far as the instance knows."""
        if self.raw_item is None:
            return None
        self.raw_item = item = as_dict_item(self.raw_item)
        return item


def new_state(
    mapper: ModelMapper | None,
    status: Status,
    tenant: str | None,
    key: Key | None,
    primary_id: str | None,
    session: Any,
) -> State:
    """A state of which no more is known: in one call, as one is made for every instance."""
    state = State()
    state.mapper, state.status, state.tenant = mapper, status, tenant
    state.key, state.primary_id, state.session = key, primary_id, session
    state.raw_item = state.assigned = state.bad = state.error = state.unknown_outcome = (
        state.generated_keys
    ) = None
    state.handed = None
    state.group = state.origin = state.shared = state.related = None
    state.consistent = state.wants_consistent = False
    state.capacity, state.sets = NOTHING_CONSUMED, ()
    return state


class Instance:
    """What every instance of a model is: an object with a ``__dict__``."""


instance_dict: Any = vars(Instance)["__dict__"].__get__
"""The ``__dict__`` of an instance, past the hidden class, whose own reading of attributes is slow."""
set_instance_dict: Any = vars(Instance)["__dict__"].__set__
"""Makes a dict the instance's ``__dict__``.

A dict of its own, which starts with the state and the key fields whatever made the instance, lets CPython read
fields by a remembered position. The dict CPython makes by itself when somebody touches ``__dict__`` shares its
keys with other instances, and reading from it takes three times as long (3.11).
"""


def state_of(instance: Any) -> State:
    """The state of a model instance."""
    state: State = instance_dict(instance)[STATE]
    return state


def is_there(instance: Any) -> bool:
    """Whether an instance a session knows stands for an item that is stored, or about to be."""
    return state_of(instance).status in (Status.LOADED, Status.TRANSIENT)


def identity_of(instance: Any) -> Identity:
    """Which item an instance with a key stands for."""
    state = state_of(instance)
    assert state.mapper is not None and state.key is not None and state.primary_id is not None
    values = instance_dict(instance)
    return Identity(
        state.key, state.primary_id, {name: values[name] for name in state.mapper.schema.key_names}
    )


set_class: Any = vars(object)["__class__"].__set__

# --- making ---------------------------------------------------------------------------------------


def pending_instance(mapper: ModelMapper, identity: Identity, tenant: str | None, session: Any) -> Any:
    """An instance of `mapper`'s model that knows its key and nothing else yet."""
    model = mapper.model
    instance = allocate_instance(model.__bao_lazy_class__)
    key, primary_id, values = identity
    state = new_state(mapper, PENDING, tenant, key, primary_id, session)
    set_instance_dict(instance, {STATE: state, **values})
    return instance


def pending_instance_by_text(
    mapper: ModelMapper, key: Key, text: str, tenant: str | None, session: Any
) -> Any:
    """`pending_instance` for a key that is the one text `text`."""
    instance, state = (
        allocate_instance(mapper.lazy_class),
        new_state(mapper, PENDING, tenant, key, text, session),
    )
    set_instance_dict(instance, {STATE: state, mapper.schema.single_key_name: text})
    return instance


# --- changing state ---------------------------------------------------------------------------------


def class_for(state: State) -> type[Any]:
    """The class of instances in a state: the model itself, or the hidden one that loads, and raises for bad fields."""
    assert state.mapper is not None
    model: Any = state.mapper.model
    lazy_class: type[Any] = model.__bao_lazy_class__
    return model if state.status in (Status.LOADED, Status.TRANSIENT) and state.bad is None else lazy_class


def set_status(instance: Any, state: State, status: Status) -> None:
    """Sets the status, and the class that goes with it, of the instance and of those sharing its state."""
    state.status = status
    cls = class_for(state)
    for one in (instance, *(ref() for ref in state.shared or ())):
        if one is not None and type(one) is not cls:
            set_class(one, cls)


def mark_missing(instance: Any, *, consistent: bool = False) -> None:
    """DynamoDB answered: there is no such item."""
    state = state_of(instance)
    state.raw_item, state.consistent, state.wants_consistent = None, consistent, False
    state.assigned = state.bad = state.error = state.origin = state.handed = None
    _forget_values(instance, state)
    set_status(instance, state, Status.MISSING)


def mark_failed(instance: Any, error: Exception) -> None:
    """The item could not be fetched, or not be read, because of `error`."""
    state = state_of(instance)
    state.error = error
    set_status(instance, state, Status.FAILED)


def mark_deleted(instance: Any) -> None:
    """The item was deleted through this instance; values that were loaded can still be read."""
    state = state_of(instance)
    state.raw_item = state.assigned = state.error = state.handed = None
    set_status(instance, state, Status.DELETED)


def revert_to_transient(instance: Any, values: dict[str, Any]) -> None:
    """Makes `instance` a new one again, with `values`, after its creation was abandoned."""
    state = state_of(instance)
    instance.__dict__.update(values)
    state.bad = None
    set_status(instance, state, Status.TRANSIENT)
    state.raw_item = state.assigned = state.related = state.mapper = state.handed = None
    state.sets = ()
    state.session = state.key = state.primary_id = None


def unload(instance: Any, *, consistent: bool, keep_changes: bool) -> None:
    """Makes `instance` pending again, with or without its local changes."""
    state = state_of(instance)
    if not keep_changes:
        state.assigned = state.handed = None
    elif state.status is Status.LOADED:
        names = changed_names(instance)
        state.assigned, state.handed = set(names), keep_handed(instance, names)
    state.wants_consistent = state.wants_consistent or consistent
    state.error = state.bad = None
    _forget_values(instance, state)
    set_status(instance, state, Status.PENDING)


def _forget_values(instance: Any, state: State) -> None:
    assert state.mapper is not None
    schema, values = state.mapper.schema, instance.__dict__
    keep = {*schema.key_names, *(state.assigned or ())}
    for name in schema.fields:
        if name not in keep:
            values.pop(name, None)


# --- what changed -------------------------------------------------------------------------------------


def loaded_of(instance: Any) -> LoadedSnapshot:
    """The record of what an instance was loaded from, made now; nothing where it was not."""
    state = state_of(instance)
    assert state.mapper is not None
    return LoadedSnapshot(state.mapper.schema, instance.__dict__, state.stored or {}, state.handed)


def changed_names(instance: Any, loaded: LoadedSnapshot | None = None) -> list[str]:
    """The fields whose value now differs from the one that was handed out; of a pending instance those assigned.

    Args:
        loaded: the record of what was loaded, where there is one already.
    """
    state = state_of(instance)
    assert state.mapper is not None
    if state.status is Status.PENDING:
        return [name for name in state.mapper.schema.fields if name in (state.assigned or ())]
    return (loaded or loaded_of(instance)).changed(instance.__dict__)


def keep_handed(instance: Any, names: Iterable[str]) -> dict[str, HandedOutValue]:
    """What was handed out of fields that keep their local values while the others take on what is stored now."""
    state = state_of(instance)
    if state.status is not Status.LOADED:
        return {name: (state.handed or {}).get(name, BLIND) for name in names}
    loaded = loaded_of(instance)
    return {name: BLIND if is_new_set(instance, name) else loaded.handed_out(name) for name in names}


def is_new_set(instance: Any, name: str) -> bool:
    """Whether the value of a field is a set that was assigned, and not the one that was loaded, changed in place."""
    state = state_of(instance)
    assert state.mapper is not None
    names = state.mapper.schema.set_names
    if name not in names:
        return False
    loaded = (state.sets,) if len(names) == 1 else state.sets
    return dict(zip(names, loaded, strict=False)).get(name) is not instance.__dict__.get(name)
