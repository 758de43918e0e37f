"""Turns a class statement into a model: an attrs class with a schema and generated methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Generic, Unpack

from dynamo_bao.errors import ConfigurationError, suggestion
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.mapping.declarations import (
    ConstraintDeclaration,
    HasManyDeclaration,
    IndexDeclaration,
    PrimaryKeyDeclaration,
    RelatedDeclaration,
    members_of,
)
from dynamo_bao.mapping.definition import (
    FieldDeclaration,
    ModelOptions,
    UnresolvedAnnotation,
    compile_schema,
    declared_fields,
    has_fields,
)
from dynamo_bao.mapping.field_paths import FieldPaths
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.late import read_side
from dynamo_bao.models.registry import register, repository_of
from dynamo_bao.models.relationships import Related, get_or_load_related, relation_name
from dynamo_bao.runtime.late_libraries import attrs
from dynamo_bao.runtime.process import ForkSafeLock
from dynamo_bao.runtime.records import LateFields
from dynamo_bao.session.lazy import make_lazy_class
from dynamo_bao.session.state import Instance

Checks = Mapping[str, Callable[[Any], bool]]
"""By field name, functions that return whether an assigned value already has the form of its field."""
UNCHECKED: Checks = {}
"""A model's `Checks` before the first assignment."""
_OPTION_NAMES = frozenset(ModelOptions.__annotations__)


def build_model_class(
    cls: Any, root: type[Instance], reserved: frozenset[str], options: dict[str, Any], frame: Any
) -> None:
    """Turns a new class into a model, or into a base for models if it has no prefix.

    Args:
        cls: the class.
        root: the base class of all models.
        reserved: names that fields cannot have.
        options: the keyword arguments of the class statement.
        frame: the frame of the class statement.

    Raises:
        ConfigurationError: if the definition is wrong; the text says what to change.
    """
    _check_bases(cls, root)
    for option in options:
        if option not in _OPTION_NAMES:
            hint = suggestion(option, _OPTION_NAMES)
            raise ConfigurationError(f"{cls.__name__}: no class option {option!r}.{hint}", model=cls.__name__)
    cls.__bao_class_arguments__ = options
    cls.__bao_options__ = ModelOptions(**_inherited_options(cls))
    cls.__bao_options__.check(cls.__name__)
    cls.__bao_name__ = cls.__bao_options__.name or cls.__name__
    cls.__bao_model__ = cls
    cls.__bao_checks__ = UNCHECKED
    declarations = cls.__bao_declared__ = declared_fields(cls, reserved, frame)
    _check_inherited_fields(cls, declarations)
    _check_relation_names(cls, declarations, reserved)
    _make_attrs(cls, declarations)
    if cls.__bao_options__.prefix is not None:
        _add_generated_members(cls)
        cls.fields = LateFieldPaths()
        # A class that names types which are not defined yet is compiled at its first use.
        with suppress(UnresolvedAnnotation):
            _compile(cls)
        register(cls)


def _check_bases(cls: type[Instance], root: type[Instance]) -> None:
    for base in cls.__mro__[1:]:
        if not issubclass(base, root) and base not in (object, Generic) and has_fields(base):
            raise ConfigurationError(
                f"{cls.__name__}: its base {base.__name__} has fields but is not a Model; make it a Model "
                f"without a prefix: class {base.__name__}(Model).",
                model=cls.__name__,
            )


def _inherited_options(cls: type[Instance]) -> dict[str, Any]:
    """The options of a class, with those of its bases. Prefix and name are not inherited."""
    options: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        options.update(base.__dict__.get("__bao_class_arguments__", {}))
    class_options = cls.__dict__["__bao_class_arguments__"]
    return {**options, "prefix": class_options.get("prefix"), "name": class_options.get("name")}


def _all_declarations(cls: type[Instance]) -> dict[str, FieldDeclaration]:
    """The fields of a class with those of its bases, which come first."""
    declarations: dict[str, FieldDeclaration] = {}
    for base in reversed(cls.__mro__):
        declarations.update(base.__dict__.get("__bao_declared__", {}))
    return declarations


def _check_inherited_fields(cls: type[Instance], declarations: Mapping[str, FieldDeclaration]) -> None:
    """Raises `ConfigurationError` if a class binds the name of an inherited field to what its instances never show."""
    fields = _all_declarations(cls)
    for name, value in vars(cls).items():
        if name in fields and name not in declarations and not hasattr(value, "__set__"):
            raise ConfigurationError(
                f"{cls.__name__}.{name}: the name is that of an inherited field, so that instances have the field's "
                f"value. Annotate it for a field with another default, {name}: … = …, or choose another name.",
                model=cls.__name__,
                field=name,
            )


def _check_relation_names(
    cls: type[Instance], declarations: Mapping[str, FieldDeclaration], reserved: frozenset[str]
) -> None:
    """Raises `ConfigurationError` for a relation field whose relation would have the name of a method."""
    named_fields = {member.field for member in vars(cls).values() if isinstance(member, RelatedDeclaration)}
    for name, declaration in declarations.items():
        relation = relation_name(name) if isinstance(declaration.value, RelatedField) else None
        if relation is None or relation not in reserved or name in named_fields:
            continue
        raise ConfigurationError(
            f"{cls.__name__}.{name}: its relation would be {cls.__name__}.{relation}, which is a method of every "
            f"model. Give the relation another name, {relation}_ = Related[{declaration.value.target_name!r}]"
            f"({name!r}), or rename the field and keep the stored name with attribute={name!r}.",
            model=cls.__name__,
            field=name,
        )


def _make_attrs(cls: type[Instance], declarations: Mapping[str, FieldDeclaration]) -> None:
    """Makes the class an attrs class. Field objects are removed from it, so that reading a field is fast."""
    for name in declarations:
        if name in cls.__dict__:
            delattr(cls, name)
    cls.__attrs_attrs__ = LateFields(partial(_give_attrs_fields, cls, tuple(declarations)))  # type: ignore[attr-defined]


def _give_attrs_fields(cls: type[Instance], names: Iterable[str]) -> None:
    attrs.define(
        these={name: attrs.field(kw_only=True, alias="self_" if name == "self" else name) for name in names},
        init=False,
        repr=False,
        eq=False,
        order=False,
        slots=False,
        kw_only=True,
        on_setattr=attrs.setters.NO_OP,  # any other value replaces the model's own __setattr__
    )(cls)


_compiling = ForkSafeLock()
"""Held while a model is compiled at its first use."""


def schema_of(cls: type[Instance]) -> Schema:
    """The schema of a model, compiled at first use if the class statement could not.

    Raises:
        ConfigurationError: if the class is a base without a prefix, or if a type is still not defined.
    """
    schema: Schema | None = cls.__bao_model__.__dict__.get("__bao_schema__")
    if schema is not None:
        return schema
    try:
        with _compiling:
            return cls.__bao_model__.__dict__.get("__bao_schema__") or _compile(cls.__bao_model__)
    except UnresolvedAnnotation as unresolved:
        raise ConfigurationError(
            f"{unresolved}: the annotation names something that is not defined; define or import it.",
            model=cls.__name__,
        ) from unresolved


def _compile(model: Any) -> Schema:
    if model.__bao_options__.prefix is None:
        raise ConfigurationError(
            f"{model.__name__} has no prefix: it is a base for models, not a model. Give it a prefix.",
            model=model.__name__,
        )
    schema = compile_schema(model, model.__bao_options__, _all_declarations(model))
    schema.has_relations = schema.has_relations or any(
        isinstance(member, HasManyDeclaration) for cls in model.__mro__ for member in vars(cls).values()
    )
    model.__bao_lazy_class__ = make_lazy_class(model, schema.lazy_names)
    model.fields = FieldPaths(schema)
    model.__bao_schema__ = schema  # last: a thread that sees it finds the rest too
    return schema


def check_undecorated(model: type[Instance]) -> None:
    """Raises `ConfigurationError` if ``@dataclass`` or ``@attrs.define`` replaced the constructor of a model."""
    for base in model.__mro__:
        constructor = getattr(vars(base).get("__init__"), "__code__", None)
        is_of_attrs = constructor is not None and constructor.co_filename.startswith("<attrs generated")
        if is_of_attrs or "__dataclass_fields__" in vars(base):
            decorator = "@attrs.define" if is_of_attrs else "@dataclass"
            raise ConfigurationError(
                f"{base.__name__} has the decorator {decorator}, which replaced its constructor; leave it out. A model "
                f"is an attrs class without it.",
                model=model.__name__,
            )


class LateFieldPaths:
    """``Model.fields`` of a class that is not compiled yet. It compiles the class, which gets its own then."""

    def __get__(self, instance: object, owner: type[Instance]) -> FieldPaths:
        model: Any = owner.__bao_model__
        if model.__bao_options__.prefix is None:
            raise AttributeError(
                f"{model.__name__} has no prefix: it is a base for models, which has no fields of its own."
            )
        schema_of(model)
        paths: FieldPaths = model.fields
        return paths


def _add_generated_members(model: type[Instance]) -> None:
    """Adds the members that the library generates for a model: ``query_by_status``, ``find_by_email``, ``user``."""
    names: dict[str, Any] = {
        f"query_{index}": _index_query(index) for index in members_of(model, IndexDeclaration)
    }
    for name, primary_key in members_of(model, PrimaryKeyDeclaration).items():
        if name != "primary_key":
            names[f"query_{name}"] = _index_query(primary_key.name or name)
    for name, constraint in members_of(model, ConstraintDeclaration).items():
        names[f"find_by_{constraint.field}"] = _unique_find(name)
    fields = _all_declarations(model)
    for name, declaration in fields.items():
        if not isinstance(declaration.value, RelatedField):
            continue
        relation = relation_name(name)
        if relation is None:
            names[f"get_{name}"] = _related_getter(name)
        elif relation not in fields:
            names[relation] = Related[Any](name)
            names[f"get_{relation}"] = _related_getter(name)
    for name, value in names.items():
        if not hasattr(model, name):
            setattr(model, name, value)


def _index_query(index: str) -> object:
    def query(
        cls: type[Instance],
        /,
        value: object = None,
        sort_condition: object = None,
        **options: Unpack[read_side.QueryOptions],
    ) -> object:
        return repository_of(cls).query_by_index(index, value, sort_condition, **options)

    query.__doc__ = f"The items of one partition of {index}."
    return classmethod(query)


def _related_getter(field: str) -> object:
    def get(self: Any) -> Any:
        return get_or_load_related(self, field)

    get.__doc__ = f"The related instance of {field}, loaded now. None if the relation is unset."
    return get


def _unique_find(constraint: str) -> object:
    def find(cls: type[Instance], /, value: object) -> object:
        return repository_of(cls).find_by_unique_constraint(constraint, value)

    find.__doc__ = f"The instance that {constraint} gives for a value, or None."
    return classmethod(find)
