"""The state of a model instance: its status, its item, and what the session knows about it.

`lazy` has the class of instances that are not loaded.
"""

from __future__ import annotations

import enum
import weakref
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import Any, ClassVar, Protocol

from dynamo_bao.dynamodb.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.dynamodb.items import Stored, as_dict_item
from dynamo_bao.dynamodb.keys import Key, new_namedtuple
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import BLIND, HandedOutValue, HandedOutValues, LoadedSnapshot
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.runtime.records import frozen


class Instance:
    """The base class of all model instances: an object with a ``__dict__``.

    Attributes:
        __bao_name__: the name of the model.
        __bao_model__: the model; of a lazy class it is the class of loaded instances.
    """

    __bao_name__: ClassVar[str]
    __bao_model__: ClassVar[type[Instance]]


MAX_EARLIER_GROUPS = 4
"""How many earlier groups of its members a group notes."""


class PeerGroup:
    """Instances that were loaded together, held weakly.

    Attributes:
        is_page: whether they came in a page or in a batch that the library requested. One lookup for all of them is
            then not N+1, even if it has a single key.
        earlier: some groups that members were in before.
    """

    __slots__ = ("_members", "earlier", "is_page")

    def __init__(self, members: Iterable[Instance], is_page: bool = False) -> None:
        self._members = list(map(weakref.ref, members))
        self.is_page: bool = is_page
        self.earlier: list[PeerGroup] = []

    def add(self, member: Instance) -> None:
        """Adds an instance to the group."""
        self._members.append(weakref.ref(member))

    def follow(self, earlier: PeerGroup) -> None:
        """Notes a group that a member was in before. What came before that is forgotten, so that no chain grows."""
        if len(self.earlier) < MAX_EARLIER_GROUPS and all(group is not earlier for group in self.earlier):
            self.earlier.append(earlier)
            earlier.earlier = []

    def __reduce__(self) -> tuple[type[PeerGroup], tuple[tuple[()]]]:
        # Copies of members join the copy of their group. A pickle or a deep copy has one group for all of them.
        return PeerGroup, ((),)

    def alive(self) -> list[Instance]:
        """The members that still exist."""
        return [member for member in (ref() for ref in self._members) if member is not None]


class RelationOrigin:
    """The relation through which an instance was obtained.

    Attributes:
        group: the peers of the instance that has the relation.
        field: the relation's field.
        model: the model that has the field.
    """

    __slots__ = ("field", "group", "model")

    def __init__(self, group: PeerGroup | None, field: str, model: str) -> None:
        self.group: PeerGroup | None = group
        self.field: str = field
        self.model: str = model


@frozen
class Relation:
    """A relation of a model.

    Attributes:
        name: the relation field; the attribute for a relation to many instances.
        target: the repository of the related instances.
        is_to_many: whether it leads to many instances.
    """

    name: str
    target: ModelMapper
    is_to_many: bool = False


class Status(enum.Enum):
    """The status of an instance."""

    TRANSIENT = "transient"
    PENDING = "pending"
    LOADED = "loaded"
    MISSING = "missing"
    FAILED = "failed"
    DELETED = "deleted"


LOADED, PENDING = Status.LOADED, Status.PENDING  # read often
allocate_instance: Callable[[type[Instance]], Instance] = object.__new__


class InstanceSession(Protocol):
    """The session of an instance, as far as the state of the instance shows it."""

    @property
    def is_open(self) -> bool:
        """Whether the session can still be used."""
        ...


class InstanceLoader(Protocol):
    """Loads instances of a model."""

    def _load_instance(self, instance: Instance) -> None:
        """Loads `instance`; raises if its item is missing or the read failed."""
        ...


class RelationResolver(Protocol):
    """Resolves the relations of a model."""

    def _target_repository(self, field: str) -> ModelMapper:
        """The repository of the model that a relation field points to; raises if the field is not a relation."""
        ...

    def _relation(self, name: str) -> Relation:
        """The relation with the name of a field or an attribute; raises for any other name."""
        ...

    def _announced_items(self, instance: Instance, name: str, session: Any) -> Any:
        """The result of a relation to many, stored at `instance`, to be loaded explicitly."""
        ...

    def _related_target(self, instance: Instance, field: str) -> RelationTarget | None:
        """The target of a relation of `instance`; None without a target."""
        ...


class ModelMapper(InstanceLoader, RelationResolver, Protocol):
    """The repository of a model, as far as instances and sessions need it."""

    @property
    def schema(self) -> Schema:
        """The model's schema."""
        ...

    @property
    def model(self) -> type[Instance]:
        """The model's class."""
        ...

    @property
    def lazy_class(self) -> type[Instance]:
        """The class of instances that are not loaded."""
        ...

    @property
    def database(self) -> Database:
        """The table of the model's items."""
        ...


RelationTarget = tuple[ModelMapper, Identity, str | None]
"""The target of a relation: its repository, identity and tenant."""


class State:
    """Everything that the library knows about one instance, except its field values.

    It has slots: CPython 3.11 needs ten times as long for an attribute with a default in the class.

    Attributes:
        raw_item: the stored item in any form; `dict_item` gives it as a dict.
        bad: by field name, the stored values that fields cannot read; None if there are none. Such a field has no
            value in the instance until one is assigned, and the instance stays of the lazy class.
        sets: the loaded sets, or the only one; a set that was changed in place is detected with them.
        generated_keys: the key fields with an id that this process generated, which no other item can have.
        handed: values that users got and that decoding `raw_item` again would not give; see
            `mapping.snapshots.HandedOutValue`.
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
    session: InstanceSession | None
    raw_item: Stored | None
    consistent: bool
    wants_consistent: bool
    assigned: set[str] | None
    bad: dict[str, AttributeValue] | None
    error: Exception | None
    group: PeerGroup | None
    origin: RelationOrigin | None
    shared: list[weakref.ref[Instance]] | None
    capacity: Capacity
    unknown_outcome: Exception | None
    sets: object
    related: dict[Hashable, tuple[object, Any]] | None
    generated_keys: dict[str, object] | None
    handed: HandedOutValues | None

    @property
    def label(self) -> str:
        """The model and the key, for errors and traces."""
        assert self.mapper is not None
        return f"{self.mapper.schema.name} {self.primary_id!r}"

    def dict_item(self) -> Item | None:
        """The stored item as a dict, as far as the instance knows; None if it knows of no item.

        It stays a dict, because converting a row takes as long as decoding it.
        """
        item = self.raw_item
        if item is None or isinstance(item, dict):
            return item
        converted_item = self.raw_item = as_dict_item(item)
        return converted_item

    def snapshot(self, values: Mapping[str, Any]) -> LoadedSnapshot | None:
        """A snapshot of the item that the instance was loaded from; None if it was loaded from none.

        Args:
            values: the ``__dict__`` of the instance.
        """
        item = self.raw_item
        if not isinstance(item, dict):
            item = self.dict_item()
            if item is None:
                return None
        assert self.mapper is not None
        return LoadedSnapshot(self.mapper.schema, values, item, self.handed)


def new_state(
    mapper: ModelMapper | None,
    status: Status,
    tenant: str | None,
    key: Key | None,
    primary_id: str | None,
    session: InstanceSession | None,
) -> State:
    """A new state. One call sets everything, for speed: every instance needs a state."""
    state = State()
    state.mapper, state.status, state.tenant = mapper, status, tenant
    state.key, state.primary_id, state.session = key, primary_id, session
    state.raw_item = state.assigned = state.bad = state.error = None
    state.unknown_outcome = state.generated_keys = state.handed = None
    state.group = state.origin = state.shared = state.related = None
    state.consistent = state.wants_consistent = False
    state.capacity, state.sets = NOTHING_CONSUMED, ()
    return state


instance_dict: Callable[[Instance], dict[str, Any]] = vars(Instance)["__dict__"].__get__
"""Gets the ``__dict__`` of an instance, without the slow attribute access of the lazy class."""
set_instance_dict: Callable[[Instance, dict[str, Any]], None] = vars(Instance)["__dict__"].__set__
"""Sets the ``__dict__`` of an instance.

The dict always starts with the state and the key fields, so CPython can read fields at a cached position. The dict
that CPython creates by itself shares its keys with other instances; reading from it takes three times as long (3.11).
"""


def state_of(instance: Instance) -> State:
    """The state of a model instance."""
    state: State = instance_dict(instance)[STATE]
    return state


def is_there(instance: Instance) -> bool:
    """Whether the item of an instance is stored, or is about to be stored."""
    return state_of(instance).status in (Status.LOADED, Status.TRANSIENT)


def identity_of(instance: Instance) -> Identity:
    """The identity of an instance that has a key."""
    values = instance_dict(instance)
    state: State = values[STATE]
    assert state.mapper is not None
    schema = state.mapper.schema
    if len(schema.key_names) == 1:
        key_values = {schema.single_key_name: values[schema.single_key_name]}
    else:
        key_values = {name: values[name] for name in schema.key_names}
    identity: Identity = new_namedtuple(Identity, (state.key, state.primary_id, key_values))
    return identity


set_class: Callable[[Instance, type[Instance]], None] = vars(object)["__class__"].__set__

# --- making ---------------------------------------------------------------------------------------


def pending_instance(
    mapper: ModelMapper, identity: Identity, tenant: str | None, session: InstanceSession | None
) -> Instance:
    """An instance of `mapper`'s model that has only its key so far."""
    instance = allocate_instance(mapper.lazy_class)
    key, primary_id, values = identity
    state = new_state(mapper, PENDING, tenant, key, primary_id, session)
    set_instance_dict(instance, {STATE: state, **values})
    return instance


# --- changing state ---------------------------------------------------------------------------------


def class_for(state: State) -> type[Instance]:
    """The class of instances in a state: the model itself, or the lazy class, which loads and raises for bad fields."""
    assert state.mapper is not None
    is_readable = state.status in (Status.LOADED, Status.TRANSIENT) and state.bad is None
    return state.mapper.model if is_readable else state.mapper.lazy_class


def set_status(instance: Instance, state: State, status: Status) -> None:
    """Sets the status of an instance, and the matching class of it and of all instances that share its state."""
    state.status = status
    cls = class_for(state)
    for sharer in (instance, *(ref() for ref in state.shared or ())):
        if sharer is not None and type(sharer) is not cls:
            set_class(sharer, cls)


class SharedState:
    """Lets an older instance share the state and values of a newer one, until `end` is called."""

    def __init__(self, older: Instance, newer: Instance) -> None:
        self._older = older
        self._newer = newer
        self._original_dict = older.__dict__
        state = state_of(newer)
        if state.shared is None:
            state.shared = [weakref.ref(newer)]
        state.shared.append(weakref.ref(older))
        self._set_dict(newer.__dict__)

    def end(self) -> None:
        """Gives the older instance its own state and values back."""
        state = state_of(self._newer)
        state.shared = [ref for ref in state.shared or () if ref() is not self._older]
        self._set_dict(self._original_dict)

    def _set_dict(self, values: dict[str, Any]) -> None:
        object.__setattr__(self._older, "__dict__", values)
        object.__setattr__(self._older, "__class__", class_for(state_of(self._older)))


def mark_missing(instance: Instance, *, consistent: bool = False) -> None:
    """Marks an instance as missing: DynamoDB has no such item."""
    state = state_of(instance)
    state.raw_item, state.consistent, state.wants_consistent = None, consistent, False
    state.assigned = state.bad = state.error = state.handed = None
    set_status(instance, state, Status.MISSING)
    _forget_values(instance, state)


def mark_failed(instance: Instance, error: Exception) -> None:
    """Marks an instance as failed: `error` prevented reading its item."""
    state = state_of(instance)
    state.error = error
    set_status(instance, state, Status.FAILED)


def mark_deleted(instance: Instance) -> None:
    """Marks an instance as deleted. Values that were loaded can still be read."""
    state = state_of(instance)
    state.raw_item = state.assigned = state.error = state.handed = None
    set_status(instance, state, Status.DELETED)


def revert_to_transient(instance: Instance, values: dict[str, object]) -> None:
    """Makes `instance` a new one with `values` again, after its creation failed."""
    state = state_of(instance)
    instance.__dict__.update(values)
    state.bad = None
    set_status(instance, state, Status.TRANSIENT)
    state.raw_item = state.assigned = state.related = state.mapper = state.handed = None
    state.sets = ()
    state.session = state.key = state.primary_id = None


def unload(
    instance: Instance, *, consistent: bool, keep_changes: bool, names: Collection[str] | None = None
) -> None:
    """Makes `instance` pending again, and keeps its local changes or drops them.

    Args:
        consistent: whether it is loaded again by a consistent read.
        keep_changes: whether local changes stay.
        names: of a loaded instance, the fields whose changes stay; None for all changed fields.
    """
    state = state_of(instance)
    if not keep_changes:
        state.assigned = state.handed = None
    elif state.status is Status.LOADED:
        names = changed_names(instance) if names is None else names
        state.assigned, state.handed = set(names), keep_handed(instance, names)
    state.wants_consistent = state.wants_consistent or consistent
    state.error = state.bad = state.origin = None
    # First the class: other threads then find a lazy instance without values, which they load.
    set_status(instance, state, Status.PENDING)
    _forget_values(instance, state)


def _forget_values(instance: Instance, state: State) -> None:
    assert state.mapper is not None
    schema, values = state.mapper.schema, instance.__dict__
    keep = {*schema.key_names, *(state.assigned or ())}
    for name in schema.fields:
        if name not in keep:
            values.pop(name, None)


# --- what changed -------------------------------------------------------------------------------------


def loaded_of(instance: Instance) -> LoadedSnapshot | None:
    """A snapshot of the item that an instance was loaded from; None if it was loaded from none."""
    return state_of(instance).snapshot(instance_dict(instance))


def changed_names(instance: Instance, loaded: LoadedSnapshot | None = None) -> list[str]:
    """The fields that were changed since loading; for a pending instance, the assigned fields.

    Args:
        loaded: the snapshot of the loaded item, if the caller already has it.
    """
    state = state_of(instance)
    assert state.mapper is not None
    if state.status is Status.PENDING:
        return [name for name in state.mapper.schema.fields if name in (state.assigned or ())]
    values = instance_dict(instance)
    loaded = loaded or loaded_of(instance) or LoadedSnapshot(state.mapper.schema, values, {}, None)
    return loaded.changed(values)


def keep_handed(instance: Instance, names: Collection[str]) -> dict[str, HandedOutValue]:
    """The loaded values of fields that keep their local values while other fields are updated."""
    if not names:
        return {}
    state = state_of(instance)
    if state.status is not Status.LOADED:
        return {name: (state.handed or {}).get(name, BLIND) for name in names}
    loaded = loaded_of(instance)
    assert loaded is not None
    return {name: BLIND if is_new_set(instance, name) else loaded.handed_out(name) for name in names}


class LocalChanges(NamedTuple):
    """The changes of an instance that were not saved.

    Attributes:
        values: the changed values by field name.
        handed: the values that the program got before it changed them.
    """

    values: dict[str, object]
    handed: dict[str, HandedOutValue]


def local_changes(instance: Instance) -> LocalChanges | None:
    """The changes of an instance that were not saved. None without any."""
    if state_of(instance).status not in (Status.LOADED, Status.PENDING):
        return None
    names, values = changed_names(instance), instance_dict(instance)
    if not names:
        return None
    return LocalChanges({name: values[name] for name in names}, keep_handed(instance, names))


def restore_local_changes(instance: Instance, changes: LocalChanges) -> None:
    """Gives a pending instance its unsaved changes again."""
    state = state_of(instance)
    state.assigned, state.handed = set(changes.values), changes.handed
    instance_dict(instance).update(changes.values)


def is_new_set(instance: Instance, name: str) -> bool:
    """Whether the value of a field is an assigned set; False for the loaded set, changed in place or not."""
    state = state_of(instance)
    assert state.mapper is not None
    names = state.mapper.schema.set_names
    if name not in names:
        return False
    loaded = state.sets if isinstance(state.sets, tuple) else (state.sets,)
    return dict(zip(names, loaded, strict=False)).get(name) is not instance.__dict__.get(name)
