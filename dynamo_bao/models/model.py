"""The base class of all models: an attrs class whose methods go through its repository."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.errors import ValidationError
from dynamo_bao.fields.calendar import DateField, DurationField, TimeField
from dynamo_bao.fields.containers import ListField, MapField
from dynamo_bao.fields.datetimes import DateTimeField, TtlField, utc_now
from dynamo_bao.fields.documents import JsonField
from dynamo_bao.fields.json_forms import JsonForm
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
from dynamo_bao.models.answers import answer, field_values, json_answer, json_answer_text
from dynamo_bao.models.assignment import assign, deletion_error
from dynamo_bao.models.class_builder import (
    UNCHECKED,
    Checks,
    LateFieldPaths,
    build_model_class,
    schema_of,
)
from dynamo_bao.models.constructor import constructor_of
from dynamo_bao.models.descriptors import Create, Delete
from dynamo_bao.models.late import write_side
from dynamo_bao.models.operations import ModelOperations
from dynamo_bao.models.pydantic_hooks import Serializer, core_schema_of
from dynamo_bao.models.registry import repository_for, repository_of
from dynamo_bao.models.relationships import get_or_load_related, get_related, load_related, related
from dynamo_bao.session.context import is_inside_batch_context
from dynamo_bao.session.hydration import loaded_instance
from dynamo_bao.session.peers import forget_items, forget_related
from dynamo_bao.session.scope import check_tenant, operation_in, session_of
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

M = TypeVar("M", bound="Model")
T = TypeVar("T")


class _Unquoted(str):
    """A text whose repr has no quotes."""

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
class Model(ModelOperations):
    """The base class of models. Class methods read and write items; an instance stands for one item.

    Args (of the class statement):
        prefix: 1 to 4 characters that start the model's keys. A class without a prefix is a base or a mixin.
        name: the model's stored name. The default is the name of the class.
        iterable: True adds the keys that `iterate_all` needs.
        iteration_buckets: how many partitions these keys are spread over.
        searchable: the fields that `search_all` searches: a list of their names, or a `Search`. By default it has none.
        key_format: ``"native"``, or ``"dynamo-bao"`` for tables shared with the JavaScript library.
        attribute_style: ``"camel"`` stores ``user_id`` as ``userId``.
        table_type: ``"mapping"`` for a model whose items connect two other models.

    Args:
        values: the values of a new instance by field name.

    Example:
        >>> class User(Model, prefix="u"):
        ...     user_id: str = UlidField(auto_assign=True)
        ...     name: str
        ...     primary_key = PrimaryKey("user_id")
    """

    __bao_declared__: ClassVar[dict[str, FieldDeclaration]] = {}
    __bao_options__: ClassVar[ModelOptions] = ModelOptions()
    __bao_schema__: ClassVar[Schema | None] = None
    __bao_lazy_class__: ClassVar[type[Instance]]
    __bao_name__: ClassVar[str] = "Model"
    __bao_plugins__: ClassVar[tuple[Any, ...]] = ()
    __bao_checks__: ClassVar[Checks] = UNCHECKED

    fields: ClassVar[FieldPaths] = LateFieldPaths()  # type: ignore[assignment]  # what it gives is a FieldPaths
    """The model's fields for expressions: ``User.fields.age >= 25``."""

    create: ClassVar[Create] = Create()
    delete: ClassVar[Delete] = Delete()
    __pydantic_serializer__: ClassVar[Serializer] = Serializer()

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__()
        build_model_class(cls, Model, HIDING, options, sys._getframe(1))

    def __init__(self, /, **values: object) -> None:
        constructor_of(type(self))(self, **values)

    __init__.__bao_compiled__ = True  # type: ignore[attr-defined]  # a model's own takes its place

    # --- new instances ------------------------------------------------------------------------

    @classmethod
    def from_dict(cls: type[M], values: Mapping[str, object]) -> M:
        """A new, unsaved instance from field values.

        Args:
            values: values by field name, such as `to_dict` returns.

        Returns:
            The instance.

        Raises:
            ValidationError: if `values` is not a mapping, or a field is unknown or missing.

        Example:
            >>> User.from_dict({"name": "Ada"})
        """
        if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
            raise ValidationError(
                f"{cls.__name__}.from_dict takes values by field, not {type(values).__name__}; give a dict such as "
                f"to_dict() gives."
            )
        return cls(**values)

    @staticmethod
    def is_inside_batch_context() -> bool:
        """Whether the running code is inside a batch context.

        Returns:
            True inside a batch context.
        """
        return is_inside_batch_context()

    # --- this instance ---------------------------------------------------------------------------

    def save(self: M, condition: write_side.ConditionLike = None, force_reindex: bool = False) -> M:
        """Stores a new instance, or the changed fields of a stored one.

        Args:
            condition: what must hold of the stored item, as a dict or an expression.
            force_reindex: True writes all index and iteration keys again, also if nothing changed.

        Returns:
            The instance itself.

        Raises:
            ValidationError: if fields refuse their values. It names all of them.
            ConditionalError: if `condition` does not hold, or a new instance has the key of a stored item.
            VersionConflictError: if another version is stored than the loaded one.
            UniqueConstraintError: if another item has a unique value.
            ItemNotFoundError: if the item was deleted after it was loaded.
            WriteOutcomeUnknownError: if the reply was lost and a repeated request could count or append twice.

        Example:
            >>> user.name = "Ada"
            >>> user.save(condition={"status": "active"})
        """
        mapper = instance_dict(self)[STATE].mapper  # `repository_for` without a call
        return (repository_of(type(self)) if mapper is None else mapper).save(self, condition, force_reindex)

    def refresh(self: M) -> M:
        """Reads the item again, consistently. Unsaved changes are lost.

        Returns:
            The instance itself. It is falsy if the item is no longer stored.

        Raises:
            ItemNotFoundError: for a new instance, which has no item yet.

        Example:
            >>> user.refresh().name
            'Ada'
        """
        return repository_for(self).refresh(self)

    def exists(self) -> bool:
        """Whether the item is stored. A pending instance is loaded for that.

        Returns:
            False for a new instance, and for one whose item is missing or deleted.

        Example:
            >>> User.find("42").exists()
            True
        """
        return state_of(self).status is not Status.TRANSIENT and repository_for(self).exists(self)

    @property
    def primary_id(self) -> str:
        """The primary id. It needs no request."""
        primary_id = state_of(self).primary_id
        return primary_id if primary_id is not None else self._identity().primary_id

    def has_changes(self) -> bool:
        """Whether `save` would write something.

        Returns:
            True for a new instance with values, and for a stored one with changed fields.

        Example:
            >>> user.name = "Grace"
            >>> user.has_changes()
            True
        """
        return bool(Model.changes(self))

    def changes(self) -> dict[str, Any]:
        """The fields whose value differs from the loaded one.

        Returns:
            The current values by field name. A field that was set to None is included.

        Example:
            >>> user.name = "Ada"
            >>> user.changes()
            {'name': 'Ada'}
        """
        status = state_of(self).status
        if status in (Status.MISSING, Status.DELETED):
            return {}
        if status is Status.TRANSIENT:
            return {name: value for name, value in field_values(self).items() if value is not None}
        return {name: self.__dict__[name] for name in changed_names(self)}

    def to_dict(self, related: Iterable[str] | None = None) -> dict[str, Any]:
        """The field values by field name. A pending instance is loaded for that.

        Args:
            related: relations to include, also nested as in ``"user.org"``. They are loaded in one round a level.

        Returns:
            A new dict of Python values, such as `from_dict` takes. A relation is a dict, or None if it is not set or
            its item is not stored.

        Raises:
            ItemNotFoundError: if the item is not stored.
            DataFormatError: if a stored value does not fit its field.
            QueryError: for a name in `related` that is not a relation.

        Example:
            >>> post.to_dict(related=["user"])
            {'post_id': '7', 'user_id': '42', 'user': {'user_id': '42', 'name': 'Ada'}}
        """
        return answer(self, related)

    def to_json(self, related: Iterable[str] | None = None) -> str:
        """The field values as a JSON text: a datetime in ISO 8601, a Decimal as text, a set as a sorted list.

        The table of all forms is in `dynamo_bao.fields.json_forms`.

        Args:
            related: relations to include, as `to_dict` takes them.

        Returns:
            The text of one JSON object.

        Raises:
            ItemNotFoundError: if the item is not stored.
            DataFormatError: if a stored value does not fit its field.
            ValidationError: for a NaN or an infinity, which JSON does not have.
            QueryError: for a name in `related` that is not a relation.

        Example:
            >>> user.to_json()
            '{"user_id":"42","name":"Ada"}'
        """
        return json_answer_text(self, related)

    def __bao_json_form__(self) -> JsonForm:
        return json_answer(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        """Makes a model a type of pydantic: an answer, or the body of a request."""
        return core_schema_of(cls)

    @property
    def consumed_capacity(self) -> Capacity:
        """The capacity units that were consumed to read and write this instance."""
        return state_of(self).capacity

    def related(self, model: type[T], field: str) -> T:
        """The related instance of a relation field, with a type that checkers know.

        Args:
            model: the related model.
            field: the relation field.

        Returns:
            The related instance, or None if the field is not set. It is loaded when one of its fields is read.

        Raises:
            ConfigurationError: if `field` is not a relation field, or relates to another model.

        Example:
            >>> post.related(User, "user_id").name
            'Ada'
        """
        instance: T = related(self, field, model)
        return instance

    def load_related_data(self: M, names: Iterable[str] | None = None) -> M:
        """Loads the related instances of relation fields in one round.

        Args:
            names: the relation fields, also nested as in ``"user_id.org_id"``; None for all of the model.

        Returns:
            The instance itself.

        Raises:
            ConfigurationError: for a name that is not a relation.
            QueryError: if `names` is not a list of texts.

        Example:
            >>> post.load_related_data(["user_id"]).user.name
            'Ada'
        """
        load_related(self, names)
        return self

    def get_related(self, field: str) -> Any:
        """The related instance of a relation field, if it is loaded. No request is sent.

        Args:
            field: the relation field.

        Returns:
            The related instance, or None if it is not loaded or the field is not set.

        Raises:
            ConfigurationError: if `field` is not a relation field.

        Example:
            >>> author = post.get_related("user_id")
        """
        return get_related(self, field)

    def get_or_load_related_field(self, field: str) -> Any:
        """The related instance of a relation field, loaded at once.

        Args:
            field: the relation field.

        Returns:
            The related instance, which is falsy if its item is not stored; None if the field is not set.

        Raises:
            ConfigurationError: if `field` is not a relation field.

        Example:
            >>> author = post.get_or_load_related_field("user_id")
        """
        return get_or_load_related(self, field)

    def clear_related_cache(self, field: str | None = None) -> None:
        """Forgets related instances, so that the next access looks them up again. Results of queries are forgotten too.

        Args:
            field: the relation field whose target is forgotten; None for all relation fields.

        Example:
            >>> post.clear_related_cache("user_id")
        """
        session = session_of(state_of(self))
        with operation_in(session):
            forget_related(self, field)
            forget_items(self)
            if session is not None:
                session._partitions.clear()

    def is_expired(self) -> bool:
        """Whether the item's time to live has passed. DynamoDB deletes such items some time later.

        Returns:
            False if the model has no `TtlField`, or the field is not set.

        Example:
            >>> if code.is_expired():
            ...     code.delete()
        """
        for field in schema_of(type(self)).fields.values():
            if isinstance(field, TtlField):
                moment = getattr(self, field.name)
                return moment is not None and moment <= utc_now()
        return False

    def __bao_key_for_relation__(self, used_as: str) -> str:
        """The primary id, for an instance that is given instead of its id.

        Raises:
            TenantMismatchError: if another tenant than the instance's is current.
        """
        check_tenant(self, used_as)
        return self.primary_id

    def _identity(self) -> Any:
        state = state_of(self)
        return schema_of(type(self)).keys.from_values(state.tenant, self.__dict__)

    def _ensure_loaded(self) -> None:
        """Loads a pending instance.

        Raises:
            ItemNotFoundError: if the item is not stored.
        """
        state = state_of(self)
        if state.status in (Status.PENDING, Status.MISSING, Status.FAILED):
            repository_for(self)._load_instance(self)

    # --- special methods: only the truth value of a pending instance needs I/O ----------------------

    def _assign(self, name: str, value: object) -> None:
        try:
            is_held = self.__bao_checks__[name](value)
            values = instance_dict(self)
            session = values[STATE].session
        except KeyError:  # not the name of a plain field, or an instance without a state
            is_held, values, session = False, {}, None
        if not is_held:
            assign(self, name, value, Model)
            return
        if session is not None:
            session._instances.pin(self)
        values[name] = value

    if not TYPE_CHECKING:  # a checker that sees it accepts every name
        __setattr__ = _assign

    def __delattr__(self, name: str) -> None:
        schema = schema_of(type(self))
        if name in schema.fields:
            raise deletion_error(schema.name, name)
        object.__delattr__(self, name)

    def __bool__(self) -> bool:
        return state_of(self).status is Status.TRANSIENT or repository_for(self).exists(self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Model) or schema_of(type(self)) is not schema_of(type(other)):
            return NotImplemented
        own_key, other_key = equality_key(self), equality_key(other)
        return own_key is not None and own_key == other_key

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
        key_text = " ".join(f"{name}={values.get(name)!r}" for name in schema_of(type(self)).key_names)
        return f"<{type(self).__name__} {key_text} ({state.status.value})>"

    def __rich_repr__(self) -> Iterator[Any]:
        # Without this rich reads all fields of an attrs class. That loads the instance and shows its values.
        for name in schema_of(type(self)).key_names:
            yield name, self.__dict__.get(name)
        yield _Unquoted(f"({state_of(self).status.value})")

    __rich_repr__.angular = True  # type: ignore[attr-defined]

    def __copy__(self: M) -> M:
        self._ensure_loaded()
        twin: M = restore(*pickle_state(self, None))
        return twin

    def __deepcopy__(self: M, memo: dict[int, object]) -> M:
        self._ensure_loaded()
        twin: M = restore(*pickle_state(self, copy.deepcopy(state_of(self).group, memo)))
        return twin

    def __reduce_ex__(self, protocol: object) -> Any:
        self._ensure_loaded()
        return restore, pickle_state(self, state_of(self).group)


Model.__bao_model__ = Model  # as for every class of models
RESERVED = frozenset(name for name in dir(Model) if not name.startswith("__")) | {"fields", "primary_key"}
"""Names that every model has."""
HIDING = RESERVED - {"changes"}
"""Names that fields, indexes and constraints cannot have, because they would hide a method.

A field may be called ``changes``, because audit logs use that word. `Model.changes(entry)` then calls the method.
"""


def equality_key(instance: Any) -> Any:
    """The table key, tenant included, by which instances are equal; None if the instance has no key yet."""
    state = state_of(instance)
    if state.key is not None:
        return state.key
    try:
        return schema_of(type(instance)).keys.from_values(state.tenant, instance.__dict__).key
    except ValidationError:
        return None


def pickle_state(instance: Any, group: PeerGroup | None) -> tuple[Any, ...]:
    """The arguments from which `restore` makes a copy of an instance.

    Args:
        group: the peer group of the copy.
    """
    state = state_of(instance)
    return (
        instance.__bao_model__,
        state.status is Status.LOADED,
        state.tenant,
        state.dict_item(),
        dict(field_values(instance)),
        state.handed,
        tuple(name for name in schema_of(type(instance)).set_names if is_new_set(instance, name)),
        group,
    )


def restore(
    model: type[Instance],
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
        stored: whether the item is stored; False makes a new instance.
        handed: the values that were handed out to the program, if they differ from those of the item.
        new_sets: the fields whose set objects are not those that were loaded.
        group: the peer group that the copy joins.
    """
    if not stored:
        instance = object.__new__(model)
        set_instance_dict(instance, {STATE: new_state(None, Status.TRANSIENT, tenant, None, None, None)})
        instance.__dict__.update(copy.deepcopy(values))
        return instance
    repository = repository_of(model)
    schema = repository.schema
    instance = loaded_instance(repository, schema.keys.from_values(tenant, values), tenant, item)
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
