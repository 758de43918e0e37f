"""The base class of all models: an attrs class whose methods go through its repository."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar, overload

from dynamo_bao._compat import Unpack, dataclass_transform
from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.errors import ValidationError
from dynamo_bao.fields.calendar import DateField, DurationField, TimeField
from dynamo_bao.fields.containers import ListField, MapField
from dynamo_bao.fields.datetimes import DateTimeField, TtlField, utc_now
from dynamo_bao.fields.documents import JsonField
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.fields.numeric import DecimalField, FloatField, IntegerField
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.fields.scalars import BinaryField, BooleanField, EnumField
from dynamo_bao.fields.text import StringField
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.definition import FieldDeclaration, ModelOptions
from dynamo_bao.mapping.field_paths import FieldPaths
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import HandedOutValues
from dynamo_bao.models.assignment import assign, refuse_deletion
from dynamo_bao.models.class_builder import UNCHECKED, Checks, build_model_class, schema_of
from dynamo_bao.models.constructor import constructor_of
from dynamo_bao.models.descriptors import Create, Delete, repository_for
from dynamo_bao.models.registry import repository_cache, repository_of
from dynamo_bao.models.relationships import get_or_load_related, get_related, load_related, related
from dynamo_bao.reads.iteration import FilterLike, Iteration, IterationOptions
from dynamo_bao.reads.query import QueryOptions
from dynamo_bao.reads.query_result import QueryResult
from dynamo_bao.reads.search import SearchAllOptions, SearchOptions, SearchResult
from dynamo_bao.reads.search_terms import tokenize_search_query
from dynamo_bao.session.context import is_inside_batch_context
from dynamo_bao.session.hydration import loaded_instance
from dynamo_bao.session.lazy import require_readable
from dynamo_bao.session.peers import forget_related
from dynamo_bao.session.scope import check_tenant
from dynamo_bao.session.state import (
    Instance,
    PeerGroup,
    Status,
    changed_names,
    instance_dict,
    is_new_set,
    new_state,
    set_instance_dict,
    state_of,
)
from dynamo_bao.writes.change_factory import ConditionLike
from dynamo_bao.writes.hooks import register_plugin

M = TypeVar("M", bound="Model")
T = TypeVar("T")
Changes = Mapping[Any, Any]
"""Changes by field name or path; checkers give a literal with both kinds of keys the type of neither."""


class _Unquoted(str):
    """A text that shows itself without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


# To checkers the fields named here are required unless they have a default; those that fill themselves
# (ids, dates, versions, counters, sets) are not named, so that their declaration counts as a default.
@dataclass_transform(
    kw_only_default=True,
    eq_default=False,
    field_specifiers=(
        StringField,
        IntegerField,
        FloatField,
        DecimalField,
        BooleanField,
        BinaryField,
        DateTimeField,
        DateField,
        TimeField,
        DurationField,
        EnumField,
        MapField,
        ListField,
        JsonField,
        NestedField,
        RelatedField,
    ),
)
class Model(Instance):
    """The base class of models.

    Args (of the class statement):
        prefix: 1 to 4 characters that start the model's keys; none makes an abstract base or mixin.
        name: the model's stored name, the class's by default.
        iterable: whether all items can be gone through; iteration_buckets: over how many partitions.
        key_format: ``"native"``, or ``"dynamo-bao"`` for tables shared with the JavaScript library.
        attribute_style: ``"camel"`` stores ``user_id`` as ``userId``.
        table_type: ``"mapping"`` for a table between two models.

    Example:
        >>> class User(Model, prefix="u"):
        ...     user_id: str = UlidField(auto_assign=True)
        ...     name: str
        ...     primary_key = PrimaryKey("user_id")
    """

    __bao_declared__: ClassVar[dict[str, FieldDeclaration]] = {}
    __bao_options__: ClassVar[ModelOptions] = ModelOptions()
    __bao_schema__: ClassVar[Schema | None] = None
    __bao_lazy_class__: ClassVar[type[Any]]
    __bao_model__: ClassVar[type[Any]]
    __bao_name__: ClassVar[str] = "Model"
    __bao_plugins__: ClassVar[tuple[Any, ...]] = ()
    __bao_checks__: ClassVar[Checks] = UNCHECKED

    fields: ClassVar[FieldPaths]
    """The model's fields for expressions: ``User.fields.age >= 25``."""

    create = Create()
    delete = Delete()

    def __init_subclass__(cls, *, is_lazy_class: bool = False, **options: Any) -> None:
        super().__init_subclass__()
        if not is_lazy_class:
            build_model_class(cls, Model, HIDING, options, sys._getframe(1))

    def __init__(self, /, **values: Any) -> None:
        constructor_of(type(self))(self, **values)

    __init__.__bao_compiled__ = True  # type: ignore[attr-defined]  # a model's own takes its place

    # --- the class's items -----------------------------------------------------------------------

    @classmethod
    def find(
        cls: type[M],
        key: object = None,
        /,
        *,
        consistent_read: bool = False,
        bypass_cache: bool = False,
        **parts: Any,
    ) -> M:
        """The instance for a key; see `Repository.find`."""
        repository = repository_cache.get(cls) or repository_of(
            cls
        )  # the dict first, as nothing is called more often
        if parts or key is None:
            key = repository.key_of(key, parts, consistent_read, bypass_cache)
        found: M = repository._find(key, consistent_read, bypass_cache)
        return found

    @classmethod
    def find_or_none(cls: type[M], key: object = None, /, **options: Any) -> M | None:
        """The instance for a key, loaded at once, or None."""
        return repository_of(cls).find_or_none(key, **options)

    @classmethod
    def find_or_raise(cls: type[M], key: object = None, /, **options: Any) -> M:
        """The instance for a key, loaded at once; `ItemNotFoundError` where there is none."""
        return repository_of(cls).find_or_raise(key, **options)

    @classmethod
    def batch_find(
        cls: type[M], keys: Iterable[object] | None, *, consistent_read: bool = False
    ) -> dict[str, M]:
        """Many instances by primary id, missing ones included; see `Repository.batch_find`."""
        return repository_of(cls).batch_find(keys, consistent_read=consistent_read)

    @classmethod
    def update(
        cls: type[M],
        key: object,
        changes: Changes | None = None,
        /,
        *,
        condition: ConditionLike = None,
        version: str | None = None,
        **fields: Any,
    ) -> M:
        """Changes fields, or parts of them, of a stored item without loading it; see `Repository.update`."""
        return repository_of(cls).update(key, changes, condition=condition, version=version, **fields)

    @classmethod
    def increment(cls: type[M], key: object, /, *, condition: ConditionLike = None, **amounts: int) -> M:
        """Adds to counters of a stored item, atomically; see `Repository.increment`."""
        return repository_of(cls).increment(key, condition=condition, **amounts)

    @classmethod
    def upsert(cls: type[M], values: Mapping[str, Any] | None = None, /, **fields: Any) -> M:
        """Stores the given fields, into the item with their key or a new one; see `Repository.upsert`."""
        return repository_of(cls).upsert(values, **fields)

    @classmethod
    def batch_find_by_unique_constraint(
        cls: type[M], name: str, values: Iterable[object]
    ) -> dict[Any, M | None]:
        """The instances that have these unique values, by value, in two rounds."""
        return repository_of(cls).batch_find_by_unique_constraint(name, values)

    @classmethod
    def register_plugin(cls, plugin: Any) -> None:
        """Adds a plugin: hooks around saves and deletes, and methods; see `dynamo_bao.writes.hooks`."""
        register_plugin(cls, plugin)

    @classmethod
    def query_by_index(
        cls: type[M],
        index: str,
        value: object = None,
        sort_condition: Any = None,
        **options: Unpack[QueryOptions],
    ) -> QueryResult[M]:
        """The items of one partition of an index; see `Repository.query_by_index`."""
        return repository_of(cls).query_by_index(index, value, sort_condition, **options)

    @classmethod
    def find_where(
        cls: type[M], values: Mapping[str, object] | None = None, /, **fields: object
    ) -> QueryResult[M]:
        """The items whose fields have these values; see `Repository.find_where`."""
        return repository_of(cls).find_where(values, **fields)

    @classmethod
    def find_by_unique_constraint(cls: type[M], name: str, value: object) -> M | None:
        """The instance that has a unique value, or None."""
        return repository_of(cls).find_by_unique_constraint(name, value)

    @overload
    @classmethod
    def iterate_all(
        cls, batch_size: int = ..., *, keys_only: Literal[True], **options: Unpack[IterationOptions]
    ) -> Iteration[str]: ...

    @overload
    @classmethod
    def iterate_all(
        cls: type[M], batch_size: int = ..., filter: FilterLike = ..., **options: Unpack[IterationOptions]
    ) -> Iteration[M]: ...

    @classmethod
    def iterate_all(cls, batch_size: int = 100, filter: FilterLike = None, **options: Any) -> Iteration[Any]:
        """All items of an iterable model, in batches; see `dynamo_bao.reads.iteration.iterate_all`."""
        return repository_of(cls).iterate_all(batch_size, filter, **options)

    @classmethod
    def iterate_bucket(
        cls: type[M], bucket: int, batch_size: int = 100, filter: FilterLike = None, **options: Any
    ) -> Iteration[M]:
        """The items of one iteration bucket, in batches; see `dynamo_bao.reads.iteration.iterate_bucket`."""
        return repository_of(cls).iterate_bucket(bucket, batch_size, filter, **options)

    @classmethod
    def count(cls) -> int:
        """How many items of an iterable model there are."""
        return repository_of(cls).count()

    @classmethod
    def search_all(
        cls: type[M],
        terms: Sequence[str],
        operator: str = "$and",
        limit: float | None = 100,
        cursor: str | None = None,
        **options: Unpack[SearchAllOptions],
    ) -> SearchResult[M]:
        """The items whose search fields contain terms; see `dynamo_bao.reads.search.search_all`."""
        return repository_of(cls).search_all(terms, operator, limit, cursor, **options)

    @classmethod
    def search_bucket(
        cls: type[M],
        bucket: int,
        terms: Sequence[str],
        operator: str = "$and",
        limit: float | None = 100,
        cursor: str | None = None,
        **options: Unpack[SearchOptions],
    ) -> SearchResult[M]:
        """The matches in one iteration bucket; see `dynamo_bao.reads.search.search_bucket`."""
        return repository_of(cls).search_bucket(bucket, terms, operator, limit, cursor, **options)

    @staticmethod
    def tokenize_search_query(text: object) -> list[str]:
        """The terms of what somebody typed: words, and phrases in double quotes."""
        return tokenize_search_query(text)

    @classmethod
    def make_primary_id(cls, partition: object, sort: object = None) -> str:
        """The primary id for key values."""
        return repository_of(cls).make_primary_id(partition, sort)

    @classmethod
    def __bao_repository__(cls) -> Any:
        """Where new instances belong, for the session."""
        return repository_of(cls)

    @classmethod
    def from_dict(cls: type[M], values: Mapping[str, Any]) -> M:
        """A new (transient) instance from field values, such as `to_dict` gives."""
        if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
            raise ValidationError(
                f"{cls.__name__}.from_dict takes values by field, not {type(values).__name__}; give a dict such as "
                f"to_dict() gives."
            )
        return cls(**values)

    @staticmethod
    def is_inside_batch_context() -> bool:
        """Whether the running code is inside a batch context."""
        return is_inside_batch_context()

    # --- this instance ---------------------------------------------------------------------------

    def save(self: M, condition: ConditionLike = None, force_reindex: bool = False) -> M:
        """Stores what changed (a new instance wholly) and returns the instance; see `Repository.save`."""
        return repository_for(self).save(self, condition, force_reindex)

    def refresh(self: M) -> M:
        """Reads the item again, consistently; local changes are dropped."""
        return repository_for(self).refresh(self)

    def exists(self) -> bool:
        """Whether the item is stored; loads a pending instance."""
        return state_of(self).status is not Status.TRANSIENT and repository_for(self).exists(self)

    @property
    def primary_id(self) -> str:
        """The primary id, known without loading."""
        known = state_of(self).primary_id
        return known if known is not None else self._identity().primary_id

    def has_changes(self) -> bool:
        """Whether a save would write something."""
        return bool(Model.changes(self))

    def changes(self) -> dict[str, Any]:
        """The fields whose local value differs from what was loaded, with their local values."""
        status = state_of(self).status
        if status in (Status.MISSING, Status.DELETED):
            return {}
        if status is Status.TRANSIENT:
            return {name: value for name, value in field_values(self).items() if value is not None}
        return {name: self.__dict__[name] for name in changed_names(self)}

    def to_dict(self) -> dict[str, Any]:
        """The field values by field name; loads a pending instance.

        Raises:
            DataFormatError: where a field cannot read what is stored of it.
        """
        self._ensure_loaded()
        require_readable(self)
        return field_values(self)

    @property
    def consumed_capacity(self) -> Capacity:
        """The capacity units that reading and writing this instance consumed."""
        return state_of(self).capacity

    def related(self, model: type[T], field: str) -> T:
        """The related instance of a relation field, typed: ``post.related(User, "user_id")``."""
        found: T = related(self, field)
        return found

    def load_related_data(self: M, names: Iterable[str] | None = None) -> M:
        """Loads the targets of relation fields (all by default) in one round, and returns the instance."""
        load_related(self, names)
        return self

    def get_related(self, field: str) -> Any:
        """The related instance of a relation field if it was loaded already, else None."""
        return get_related(self, field)

    def get_or_load_related_field(self, field: str) -> Any:
        """The related instance of a relation field, loaded now; None where the relation is unset."""
        return get_or_load_related(self, field)

    def clear_related_cache(self, field: str | None = None) -> None:
        """Forgets the related instance of a relation field, or of all; the next look finds it, or asks, again."""
        forget_related(self, field)
        session = state_of(self).session
        if session is not None:
            session._partitions.clear()

    def is_expired(self) -> bool:
        """Whether the item's ``ttl`` has passed; DynamoDB removes such items later."""
        for field in schema_of(type(self)).fields.values():
            if isinstance(field, TtlField):
                moment = getattr(self, field.name)
                return moment is not None and moment <= utc_now()
        return False

    def __bao_key_for_relation__(self, used_as: str) -> str:
        """The primary id, where the instance stands for it; refused under another tenant than its own."""
        check_tenant(self, used_as)
        return self.primary_id

    def _identity(self) -> Any:
        state = state_of(self)
        return schema_of(type(self)).identity(state.tenant, self.__dict__)

    def _ensure_loaded(self) -> None:
        """Loads a pending instance; raises where there is nothing to look at."""
        state = state_of(self)
        if state.status in (Status.PENDING, Status.MISSING, Status.FAILED):
            repository_for(self)._load_instance(self)

    # --- Python's own questions, all answered without I/O but the truth of a pending instance ------------

    def __setattr__(self, name: str, value: Any) -> None:
        holds = self.__bao_checks__.get(name)
        if holds is None or not holds(value):
            assign(self, name, value, Model)
            return
        values = instance_dict(self)
        state = values.get(STATE)
        if state is not None and state.session is not None:
            state.session._pin(self)
        values[name] = value

    def __delattr__(self, name: str) -> None:
        schema = schema_of(type(self))
        if name in schema.fields:
            raise refuse_deletion(schema.name, name)
        object.__delattr__(self, name)

    def __bool__(self) -> bool:
        return state_of(self).status is Status.TRANSIENT or repository_for(self).exists(self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Model) or schema_of(type(self)) is not schema_of(type(other)):
            return NotImplemented
        mine, theirs = equality_key(self), equality_key(other)
        return mine is not None and mine == theirs

    def __hash__(self) -> int:
        key = equality_key(self)
        if key is None:
            raise TypeError(
                f"{type(self).__name__} has no key yet, so it cannot be hashed; give it one first."
            )
        return hash((schema_of(type(self)).name, key))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *schema_of(type(self)).fields})

    def __repr__(self) -> str:
        state, values = state_of(self), self.__dict__
        shown = " ".join(f"{name}={values.get(name)!r}" for name in schema_of(type(self)).key_names)
        return f"<{type(self).__name__} {shown} ({state.status.value})>"

    def __rich_repr__(self) -> Iterator[Any]:
        # rich would read the fields of an attrs class, which loads them, and shows values.
        for name in schema_of(type(self)).key_names:
            yield name, self.__dict__.get(name)
        yield _Unquoted(f"({state_of(self).status.value})")

    __rich_repr__.angular = True  # type: ignore[attr-defined]

    def __copy__(self: M) -> M:
        self._ensure_loaded()
        twin: M = restore(*pickle_state(self, None))
        return twin

    def __deepcopy__(self: M, memo: dict[int, Any]) -> M:
        self._ensure_loaded()
        twin: M = restore(*pickle_state(self, copy.deepcopy(state_of(self).group, memo)))
        return twin

    def __reduce_ex__(self, protocol: Any) -> Any:
        self._ensure_loaded()
        return restore, pickle_state(self, state_of(self).group)


RESERVED = frozenset(name for name in dir(Model) if not name.startswith("__")) | {"fields", "primary_key"}
"""Names that every model has."""
HIDING = RESERVED - {"changes"}
"""Names that fields, indexes and constraints cannot have, because they would hide a method.

A field may be called ``changes``, the usual word of audit logs. `Model.changes(entry)` calls the method then.
"""


def field_values(instance: Any) -> dict[str, Any]:
    """The field values an instance has now, by field name."""
    values = instance.__dict__
    return {name: values[name] for name in schema_of(type(instance)).fields if name in values}


def equality_key(instance: Any) -> Any:
    """What equality goes by: tenant and key; None where there is no key yet."""
    state = state_of(instance)
    if state.key is not None:
        return state.key
    try:
        return schema_of(type(instance)).identity(state.tenant, instance.__dict__).key
    except ValidationError:
        return None


def pickle_state(instance: Any, group: PeerGroup | None) -> tuple[Any, ...]:
    """What `restore` makes a copy of an instance from.

    Args:
        group: the copies that the copy arrives together with.
    """
    state = state_of(instance)
    return (
        instance.__bao_model__,
        state.status is Status.LOADED,
        state.tenant,
        state.stored,
        dict(field_values(instance)),
        state.handed,
        tuple(name for name in schema_of(type(instance)).set_names if is_new_set(instance, name)),
        group,
    )


def restore(
    model: type[Any],
    stored: bool,
    tenant: str | None,
    item: Any,
    values: dict[str, Any],
    handed: HandedOutValues | None = None,
    new_sets: Sequence[str] = (),
    group: PeerGroup | None = None,
) -> Any:
    """A detached instance with the same stored item and the same local values.

    Args:
        handed: what was handed out besides what the item says.
        new_sets: the fields whose sets are not those that were loaded.
        group: the copies of the instances it arrived together with, which it joins.
    """
    if not stored:
        instance = object.__new__(model)
        set_instance_dict(instance, {STATE: new_state(None, Status.TRANSIENT, tenant, None, None, None)})
        instance.__dict__.update(copy.deepcopy(values))
        return instance
    repository = repository_of(model)
    schema = repository.schema
    instance = loaded_instance(repository, schema.identity(tenant, values), tenant, item)
    instance.__dict__.update(copy.deepcopy(values))
    state = state_of(instance)
    state.handed = handed
    if group is not None:
        group.add(instance)
        state.group = group
    if schema.sets_of is not None:
        loaded = {
            name: None if name in new_sets else instance.__dict__.get(name) for name in schema.set_names
        }
        state.sets = schema.sets_of(loaded)
    return instance
