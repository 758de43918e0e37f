"""Reads the body of a model class, checks it, and makes its `Schema`."""

from __future__ import annotations

import keyword
import sys
import typing
from collections import ChainMap
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from dynamo_bao.dynamodb.keys import checked_prefix, is_uneven
from dynamo_bao.dynamodb.layout import CONSTRAINT_IDS, INDEX_IDS
from dynamo_bao.errors import (
    ConfigurationError,
    ConfigurationWarning,
    ValidationError,
    message_of,
    suggestion,
)
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.inference import field_for, is_union, resolved, type_text, without_none
from dynamo_bao.fields.numeric import CounterField, DecimalField, FloatField
from dynamo_bao.fields.text import StringField, UlidField, UuidField, VersionField
from dynamo_bao.mapping.declarations import (
    ConstraintDeclaration,
    HasManyDeclaration,
    IndexDeclaration,
    KeyDeclaration,
    KeyPart,
    PrimaryKeyDeclaration,
    members_of,
)
from dynamo_bao.mapping.key_schema import (
    IndexSchema,
    KeyComponent,
    ModelPrefix,
    PrimaryKeySchema,
    UniqueConstraintSchema,
)
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.search_text import SearchConfig
from dynamo_bao.runtime.call_site import warn_once
from dynamo_bao.runtime.records import NOTHING, define, frozen

KEY_FORMATS = ("native", "dynamo-bao")
ATTRIBUTE_STYLES = ("as_is", "camel")
TABLE_TYPES = ("standard", "mapping")
MAX_BUCKETS = 1000


@frozen
class ModelOptions:
    """The keyword arguments of a model class, inherited by its subclasses."""

    prefix: str | None = None
    name: str | None = None
    iterable: bool = False
    iteration_buckets: int = 10
    searchable: Any = None
    table_type: str = "standard"
    key_format: str = "native"
    attribute_style: str = "as_is"

    def check(self, model: str) -> None:
        """Raises `ConfigurationError` if an option has a wrong value."""
        for option, values in (
            ("key_format", KEY_FORMATS),
            ("attribute_style", ATTRIBUTE_STYLES),
            ("table_type", TABLE_TYPES),
        ):
            if getattr(self, option) not in values:
                raise ConfigurationError(
                    f"{model}: {option}={getattr(self, option)!r}; use one of {', '.join(map(repr, values))}.",
                    model=model,
                )
        if self.name is not None and not (isinstance(self.name, str) and self.name):
            raise ConfigurationError(
                f"{model}: name={self.name!r:.100}; give the stored name as a text, or leave it out.",
                model=model,
            )
        if not isinstance(self.iterable, bool):
            raise ConfigurationError(f"{model}: iterable={self.iterable!r}; use True or False.", model=model)
        buckets = self.iteration_buckets
        if isinstance(buckets, bool) or not isinstance(buckets, int) or not 1 <= buckets <= MAX_BUCKETS:
            raise ConfigurationError(
                f"{model}: iteration_buckets={buckets!r}; use a whole number from 1 to {MAX_BUCKETS}.",
                model=model,
            )
        SearchConfig.of(self.searchable, model)


@define
class FieldDeclaration:
    """One field as a class body declares it.

    Attributes:
        annotation: the annotation as written. It may still be a text.
        value: the field object, a plain default, or `NOTHING`.
        module: the names of the module, with those that are defined later.
        local: the names of the function around the class statement, and the types that the class body defines.
    """

    annotation: object
    value: Any
    module: dict[str, Any]
    local: Mapping[str, Any]


class UnresolvedAnnotation(Exception):
    """An annotation names something that is not defined yet."""


def declared_fields(cls: type[object], reserved: Collection[str], frame: Any) -> dict[str, FieldDeclaration]:
    """The fields that one class body declares, in order, without those of its bases.

    Args:
        cls: the class.
        reserved: names that fields cannot have.
        frame: the frame of the class statement, for names that are local to a function.

    Raises:
        ConfigurationError: if a name cannot be used.
    """
    module = _names_of_module(cls)
    local = dict(frame.f_locals) if frame is not None and frame.f_locals is not module else {}
    annotations = _own_annotations(cls)
    local.update(_own_types(cls, annotations))
    names = ChainMap(local, module)
    declarations: dict[str, FieldDeclaration] = {}
    for name, annotation in annotations.items():
        if _is_class_variable(annotation, names):
            continue
        declarations[name] = FieldDeclaration(annotation, cls.__dict__.get(name, NOTHING), module, local)
    for name, value in list(cls.__dict__.items()):
        if isinstance(value, Field) and name not in declarations:
            declarations[name] = FieldDeclaration(Any, value, module, local)
    for name, declared in declarations.items():
        kind = type(declared.value) if isinstance(declared.value, Field) else StringField
        _check_name(cls.__name__, name, reserved, kind)
        if isinstance(declared.value, type) and issubclass(declared.value, Field):
            raise ConfigurationError(
                f"{cls.__name__}.{name}: {declared.value.__name__} is the class of a field; write "
                f"{declared.value.__name__}().",
                model=cls.__name__,
                field=name,
            )
    _check_declarations(cls, reserved)
    return declarations


def argument_names(kind: type[Field]) -> tuple[str, ...]:
    """The arguments of `update` that are not fields. A field of this kind cannot have their names."""
    return ("condition",) if issubclass(kind, VersionField) else ("condition", "version")


def _own_annotations(cls: type[object]) -> dict[str, Any]:
    """The annotations in the body of a class. Built-in classes have none.

    If one names something that is not defined yet, as Python allows since version 3.14, all of them are strings.
    """
    try:
        return dict(getattr(cls, "__annotations__", {}))
    except NameError:
        if sys.version_info >= (3, 14):
            # Imported here: it is new in Python 3.14, and few models need it.
            from annotationlib import Format, get_annotations

            return get_annotations(cls, format=Format.STRING)
        raise


def _names_of_module(cls: type[object]) -> dict[str, Any]:
    """The names of the module of a class, also those that it gets later."""
    return vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}


def _own_types(cls: type[object], annotations: Collection[str]) -> dict[str, object]:
    """The types that a class body defines, such as an enumeration. Its annotations may be strings that name them."""
    return {
        name: value
        for name, value in vars(cls).items()
        if name not in annotations and (isinstance(value, type) or typing.get_origin(value) is not None)
    }


def has_fields(cls: type[object]) -> bool:
    """Whether the body of a class that is not a model has what would be fields in a model."""
    names = _names_of_module(cls)
    annotated = any(
        not _is_class_variable(annotation, names) for annotation in _own_annotations(cls).values()
    )
    return annotated or any(isinstance(value, Field) for value in vars(cls).values())


def _is_class_variable(annotation: object, names: Mapping[str, object]) -> bool:
    """Whether an annotation is ``ClassVar[…]``.

    Args:
        names: the names that an annotation which is a string may use.
    """
    if isinstance(annotation, str):
        name = annotation.strip("'\" ").partition("[")[0].strip()
        return name.rpartition(".")[2] == "ClassVar" or names.get(name) is ClassVar
    if typing.get_origin(annotation) is typing.Annotated:
        return _is_class_variable(typing.get_args(annotation)[0], names)
    return annotation is ClassVar or typing.get_origin(annotation) is ClassVar


def _check_name(model: str, name: str, reserved: Collection[str], field: type[Field]) -> None:
    kind = field.__name__
    if name.startswith("_"):
        bare_name = name.strip("_") or "field"
        advice = f'rename it, or store it under that name: {bare_name}: … = {kind}(attribute="x{name}")'
        raise ConfigurationError(
            f"{model}.{name}: a field name cannot start with _; {advice}.", model=model, field=name
        )
    if not name.isidentifier():
        raise ConfigurationError(
            f"{model}: {name!r} is not a valid name in Python; use letters, digits and _, and keep the stored name "
            f"with attribute=.",
            model=model,
            field=name,
        )
    if keyword.iskeyword(name):
        reason = "the name is a Python keyword"
    elif name in argument_names(field):
        reason = "update() has an argument of that name"
    elif name in reserved:
        reason = f"the name would hide Model.{name}"
    else:
        return
    raise ConfigurationError(
        f"{model}.{name}: {reason}; call the field {name}_ and keep the stored name: "
        f'{name}_: … = {kind}(attribute="{name}").',
        model=model,
        field=name,
    )


def _check_declarations(cls: type[object], reserved: Collection[str]) -> None:
    """Raises `ConfigurationError` if an index, a constraint or a relation would hide a method."""
    for name, value in vars(cls).items():
        if isinstance(value, HasManyDeclaration):
            _check_to_many(cls, value, reserved)
        if name == "primary_key" or not isinstance(value, (KeyDeclaration, ConstraintDeclaration)):
            continue
        for method in (name, f"query_{name}"):
            if method in reserved:
                raise ConfigurationError(
                    f"{cls.__name__}.{name}: the name would hide Model.{method}; rename the {type(value).__name__}; "
                    f"its name is not stored.",
                    model=cls.__name__,
                )


def _check_to_many(cls: type[object], relation: HasManyDeclaration, reserved: Collection[str]) -> None:
    """Raises `ConfigurationError` if a relation to many has a name of the library, or names no model."""
    about, name = f"{cls.__name__}.{relation.name}", relation.name
    if name in reserved:
        raise ConfigurationError(
            f"{about}: the name would hide Model.{name}; give the relation another one.", model=cls.__name__
        )
    if relation.target is None:
        raise ConfigurationError(
            f'{about}: HasMany({relation.index!r}) names no model; write HasMany["Post"]({relation.index!r}), with the '
            f"name of the related model.",
            model=cls.__name__,
        )
    if not isinstance(relation.index, str):
        raise ConfigurationError(
            f"{about}: {relation.index!r:.200} is no name of an index; give the name of the index whose partition key "
            f"is the relation.",
            model=cls.__name__,
        )


def camel_case(name: str) -> str:
    """The name in JavaScript's style: ``userId`` for ``user_id``."""
    head, *parts = name.rstrip("_").split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in parts)


def compile_schema(
    cls: type[object], options: ModelOptions, declarations: Mapping[str, FieldDeclaration]
) -> Schema:
    """The schema of a model class.

    Args:
        cls: the class.
        options: its keyword arguments.
        declarations: every field by name, with those of its bases.

    Raises:
        ConfigurationError: if the definition is wrong. The text says what to change.
        UnresolvedAnnotation: if an annotation names something that is not defined yet.
    """
    name = options.name or cls.__name__
    prefix = checked_prefix(options.prefix, name)
    fields = {field: _field_of(name, field, entry, options) for field, entry in declarations.items()}
    _check_attributes(fields)
    keys = _Keys(name, prefix, fields, options.key_format)
    primary = keys.primary(cls)
    _check_buckets(name, options, primary)
    return Schema(
        name=name,
        prefix=prefix,
        fields=fields,
        primary=primary,
        indexes=keys.indexes(cls),
        constraints=keys.constraints(cls),
        iterable=options.iterable,
        buckets=options.iteration_buckets,
        key_format=options.key_format,
        search=_search_config(name, options, fields),
    )


_warned_lines: set[tuple[str, int]] = set()


def _check_buckets(model: str, options: ModelOptions, primary: PrimaryKeySchema) -> None:
    """Warns if counted ids would leave many buckets empty. The number of a shared table cannot be changed here."""
    last_key_field = primary.sort.field or primary.partition.field
    buckets = options.iteration_buckets
    if (
        not options.iterable
        or options.key_format != "native"
        or isinstance(last_key_field, (UlidField, UuidField))
    ):
        return
    if is_uneven(buckets):
        warn_once(
            f"{model}: iteration_buckets={buckets} spreads ids that are counted up over few buckets, because the hash "
            f"of the table format multiplies by 31. If no items are stored yet, use "
            f"{buckets + 1 if not is_uneven(buckets + 1) else 32} ({{place}}).",
            ConfigurationWarning,
            _warned_lines,
        )


def _search_config(model: str, options: ModelOptions, fields: Mapping[str, Field]) -> SearchConfig | None:
    config = SearchConfig.of(options.searchable, model)
    if config is not None:
        unsuitable = (CounterField, VersionField)  # they change in writes that do not know the other fields
        if options.key_format != "native" and config.lowercase is not None:
            raise ConfigurationError(
                f"{model}: searchable has normalise={config.normalise!r}, which JavaScript does not support; leave "
                f"it out, or use key_format='native' if the table is not shared.",
                model=model,
            )
        config.check(model, {n: f.can_be_key and not isinstance(f, unsuitable) for n, f in fields.items()})
    return config


def _field_of(model: str, name: str, entry: FieldDeclaration, options: ModelOptions) -> Field:
    declared = entry.value if isinstance(entry.value, Field) else None
    try:
        annotation, optional = without_none(resolved(entry.annotation, entry.module, entry.local))
    except NameError as error:
        if declared is None or declared.needs_annotation:
            raise UnresolvedAnnotation(f"{model}.{name}: {message_of(error)}") from error
        annotation, optional = Any, False
    if declared is None:
        default = {} if entry.value is NOTHING else {"default": entry.value}
        declared = field_for(annotation, model, name, **default)
    elif not is_union(annotation) and not declared.fits(annotation):
        kinds = " or ".join(kind.__name__ for kind in declared.python_types if kind is not object)
        raise ConfigurationError(
            f"{model}.{name}: {type(declared).__name__} does not hold {type_text(annotation)}; change the annotation "
            f"or the field.{f' It holds {kinds}.' if kinds else ''}",
            model=model,
            field=name,
        )
    attribute = declared.attribute or (camel_case(name) if options.attribute_style == "camel" else name)
    field = _bound_field(declared, annotation, entry, (name, model, attribute), optional)
    field.javascript_safe = options.key_format == "dynamo-bao"
    if field.default is not NOTHING and field.default is not None and not callable(field.default):
        try:
            field.default = field.accept(field.default)
        except ValidationError as error:
            raise field.declaration_error(f"its default does not fit: {message_of(error)}") from error
    return field


def _bound_field(
    declared: Field, annotation: object, entry: FieldDeclaration, names: tuple[str, str, str], nullable: bool
) -> Field:
    """The field of a model that a declaration and its annotation give."""
    annotated = declared.with_annotation(Any if is_union(annotation) else annotation, entry.local)
    try:
        return annotated.bind(*names, nullable=nullable)
    except NameError as error:
        raise UnresolvedAnnotation(f"{names[1]}.{names[0]}: {message_of(error)}") from error


def _check_attributes(fields: Mapping[str, Field]) -> None:
    owners: dict[str, str] = {}
    for name, field in fields.items():
        attribute = field.attribute
        if attribute.startswith("_") or not attribute or any(mark in attribute for mark in ":#.[]"):
            raise field.declaration_error(
                f"the stored name {attribute!r} cannot start with _ or contain : # . [ ]."
            )
        if attribute in owners:
            raise field.declaration_error(
                f"is stored as {attribute!r}, and so is {owners[attribute]}; give it another name."
            )
        owners[attribute] = name


class _Keys:
    """Makes the keys of one model from its declarations."""

    def __init__(self, model: str, prefix: str, fields: Mapping[str, Field], key_format: str) -> None:
        self._model = model
        self._prefix = prefix
        self._fields = fields
        self._javascript = key_format == "dynamo-bao"

    def primary(self, cls: type[object]) -> PrimaryKeySchema:
        declaration = members_of(cls, PrimaryKeyDeclaration).get("primary_key")
        if declaration is None:
            raise self._error('has no primary key; add primary_key = PrimaryKey("<field>").')
        partition, sort = self._parts(declaration)
        if partition.field is None and sort.field is None:
            raise self._error("has a primary key without any field; name one.")
        for field in (partition.field, sort.field):
            if field is not None and field.nullable:
                raise self._error(
                    f"has the key field {field.name!r}, which may be None; a key needs a value."
                )
            if field is not None and field.auto_update:
                raise self._error(
                    f"has the key field {field.name!r}, a {type(field).__name__}, which every save renews; a key keeps "
                    f"its value. Use a CreateDateField or a UlidField."
                )
        if partition.field is sort.field:
            raise self._error(
                f"has {declaration.sort!r} in both parts of its primary key; leave out the second."
            )
        self._check_other_primary_keys(cls, declaration)
        return PrimaryKeySchema(declaration.name or "primary_key", partition, sort)

    def _check_other_primary_keys(self, cls: type[object], declaration: PrimaryKeyDeclaration) -> None:
        for name, other in members_of(cls, PrimaryKeyDeclaration).items():
            if other is not declaration:
                raise self._error(
                    f"has another primary key in {name!r}; write {name} = primary_key for a second name of its own, or "
                    f"{name} = Index(…) for other fields."
                )

    def indexes(self, cls: type[object]) -> dict[str, IndexSchema]:
        indexes: dict[str, IndexSchema] = {}
        for name, declaration in members_of(cls, IndexDeclaration).items():
            self._check_name(name)
            if declaration.id not in INDEX_IDS:
                raise self._error(
                    f"has the index {name!r} with id {declaration.id!r}; use one of {', '.join(INDEX_IDS)}."
                )
            other_name = next((shape.name for shape in indexes.values() if shape.id == declaration.id), None)
            if other_name is not None:
                raise self._error(
                    f"uses {declaration.id!r} for both {other_name!r} and {name!r}; give each its own id."
                )
            indexes[name] = IndexSchema.of(name, declaration.id, *self._parts(declaration))
        return indexes

    def constraints(self, cls: type[object]) -> dict[str, UniqueConstraintSchema]:
        constraints: dict[str, UniqueConstraintSchema] = {}
        for name, declaration in members_of(cls, ConstraintDeclaration).items():
            self._check_name(name)
            identifier = str(declaration.id).lstrip("_")
            if identifier not in CONSTRAINT_IDS:
                raise self._error(
                    f"has the constraint {name!r} with id {declaration.id!r}; use one of {', '.join(CONSTRAINT_IDS)}."
                )
            if any(shape.id == identifier for shape in constraints.values()):
                raise self._error(f"uses the constraint id {declaration.id!r} twice; give each its own.")
            field = self._key_field(declaration.field, f"constraint {name!r}")
            constraints[name] = UniqueConstraintSchema(name, identifier, field, self._prefix)
        return constraints

    def _parts(self, declaration: KeyDeclaration) -> tuple[KeyComponent, KeyComponent]:
        label = f"{type(declaration).__name__} {declaration.name or ''}".strip()
        sort = declaration.sort if declaration.sort is not None else ModelPrefix()
        if self._javascript and isinstance(self._fields.get(str(sort)), (FloatField, DecimalField)):
            raise self._error(
                f"has the fraction {sort!r} as the sort key of its {label}; key_format='dynamo-bao' does not sort "
                f"fractions by value. Use another sort key, or key_format='native'."
            )
        return self._part(declaration.partition, label), self._part(sort, label)

    def _part(self, part: KeyPart, label: str) -> KeyComponent:
        if isinstance(part, ModelPrefix):
            return KeyComponent(self._model, self._prefix, None, str, str)
        field = self._key_field(part, label)
        if self._javascript:
            return KeyComponent(
                self._model, self._prefix, field, field.to_javascript_key, field.from_javascript_key
            )
        to_text = str if type(field).to_key is StringField.to_key else field.to_key  # the same without a call
        return KeyComponent(self._model, self._prefix, field, to_text, field.from_key)

    def _key_field(self, name: object, label: str) -> Field:
        field = self._fields.get(str(name))
        if field is None:
            raise self._error(
                f"names {name!r} in its {label}, which is not a field.{suggestion(str(name), self._fields)}"
            )
        if not field.can_be_key:
            raise self._error(f"has {name!r} in its {label}; a {type(field).__name__} cannot be a key.")
        return field

    def _check_name(self, name: str) -> None:
        if name.startswith("_"):
            raise self._error(f"has the index or constraint {name!r}; a name cannot start with _. Rename it.")

    def _error(self, fault: str) -> ConfigurationError:
        return ConfigurationError(f"{self._model} {fault}", model=self._model)
