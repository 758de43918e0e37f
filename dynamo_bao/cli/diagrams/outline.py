"""The content of a diagram as plain values: fields, keys, relations, and every way to find items."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dynamo_bao.dynamodb.layout import ITER_INDEX, ITER_SEARCH_INDEX
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.mapping.key_schema import IndexSchema, KeyComponent, PrimaryKeySchema
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.relationships import mapped_name, parent_query_name, relation_name
from dynamo_bao.runtime.records import NOTHING, frozen
from dynamo_bao.session.state import Instance

PREFIX = "MODEL_PREFIX"


@frozen
class FieldOutline:
    """A field.

    Attributes:
        name: its name.
        kind: its kind in words, such as ``"string"`` or ``"create date"``.
        optional: whether it may be None.
        default: whether it has a default.
        attribute: its stored name.
        marks: its uses: ``"key"``, ``"sort key"``, ``"gsi1"``, ``"gsi1 sort"``, ``"uc1"``.
        target: the model that it relates to.
        doc: its description.
    """

    name: str
    kind: str
    optional: bool
    default: bool
    attribute: str
    marks: tuple[str, ...]
    target: str | None
    doc: str | None


@frozen
class KeyOutline:
    """A key or index: its name, its id (``"key"`` for the primary key), and its parts."""

    name: str | None
    id: str
    partition: str
    sort: str | None

    @property
    def parts(self) -> str:
        """Both parts in one text, such as ``"status, created_at"``."""
        return self.partition if self.sort is None else f"{self.partition}, {self.sort}"


@frozen
class ConstraintOutline:
    """A unique constraint: its name, id and field."""

    name: str
    id: str
    field: str


@frozen
class AccessPattern:
    """One way to find items.

    Attributes:
        call: the call, such as ``"User.query_by_status(status)"``.
        by: what it reads: ``"key"``, or the id of an index or constraint.
        ordered_by: the field that orders its items, if there are several.
        note: a remark, such as ``"10 buckets"``.
    """

    call: str
    by: str
    ordered_by: str | None = None
    note: str | None = None


@frozen
class ModelOutline:
    """A model.

    Attributes:
        name, prefix: its name, and its prefix in keys.
        table_type: ``"standard"``, or ``"mapping"`` for a model between two others.
        fields: its fields, in order.
        key: its primary key.
        indexes, constraints: its indexes and unique constraints.
        patterns: every way to find its items.
        buckets: the number of its iteration buckets. None if it is not iterable.
        searched: the fields of its search text.
    """

    name: str
    prefix: str
    table_type: str
    fields: tuple[FieldOutline, ...]
    key: KeyOutline
    indexes: tuple[KeyOutline, ...]
    constraints: tuple[ConstraintOutline, ...]
    patterns: tuple[AccessPattern, ...]
    buckets: int | None
    searched: tuple[str, ...]


@frozen
class Relation:
    """A relation: items of one model point to items of another.

    Attributes:
        source, field: the model that points, and its field.
        target: the model that it points to.
        optional: whether the field may be empty.
        drawn: whether the target is among the models of the outline.
    """

    source: str
    field: str
    target: str
    optional: bool
    drawn: bool


@frozen
class Outline:
    """Models and their relations.

    Attributes:
        models: the models, each with its fields and keys.
        relations: the relations between them.

    Example:
        >>> outline = outline_of([User, Post])
        >>> print(len(outline.relations))
    """

    models: tuple[ModelOutline, ...]
    relations: tuple[Relation, ...]


def outline_of(models: Iterable[type[Instance]]) -> Outline:
    """The outline of models, in their order.

    Args:
        models: the classes of the models.

    Returns:
        The outline, for `as_text`, `as_mermaid` and `as_svg`.

    Raises:
        ConfigurationError: if the definition of a model is wrong.

    Example:
        >>> print(as_text(outline_of([User, Post])))
    """
    models = list(models)
    schemas = [schema_of(model) for model in models]
    names = {schema.name for schema in schemas}
    relations = [
        Relation(schema.name, field.name, field.target_name, field.nullable, field.target_name in names)
        for schema in schemas
        for field in schema.fields.values()
        if isinstance(field, RelatedField)
    ]
    return Outline(tuple(map(_model, models)), tuple(relations))


def _model(model: type[Any]) -> ModelOutline:
    schema, table_type = schema_of(model), model.__bao_options__.table_type
    key = _key("key", schema.primary)
    indexes = tuple(_key(index.id, index) for index in schema.indexes.values())
    constraints = tuple(ConstraintOutline(c.name, c.id, c.field.name) for c in schema.constraints.values())
    marks = _marks(key, indexes, constraints)
    return ModelOutline(
        name=schema.name,
        prefix=schema.prefix,
        table_type=table_type,
        fields=tuple(_field(field, marks.get(field.name, ())) for field in schema.fields.values()),
        key=key,
        indexes=indexes,
        constraints=constraints,
        patterns=tuple(_patterns(model.__name__, schema, table_type)),
        buckets=schema.buckets if schema.iterable else None,
        searched=() if schema.search is None else schema.search.fields,
    )


# --- fields and keys -------------------------------------------------------------------------------


def _field(field: Field, marks: Iterable[str]) -> FieldOutline:
    return FieldOutline(
        name=field.name,
        kind=kind_of(type(field)),
        optional=field.nullable,
        default=field.default_value() is not NOTHING,
        attribute=field.attribute,
        marks=tuple(marks),
        target=field.target_name if isinstance(field, RelatedField) else None,
        doc=field.doc,
    )


def kind_of(kind: type[Field]) -> str:
    """A field class in words: ``"create date"`` for `CreateDateField`."""
    return words_of(kind.__name__.removesuffix("Field") or "field", " ")


def words_of(name: str, separator: str = "_") -> str:
    """``TaggedPost`` as ``tagged_post``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", separator, name).lower()


def _key(source: str, shape: PrimaryKeySchema | IndexSchema) -> KeyOutline:
    sort = None if source == "key" and shape.sort.field is None else _part(shape.sort)
    return KeyOutline(shape.name, source, _part(shape.partition), sort)


def _part(part: KeyComponent) -> str:
    return PREFIX if part.field is None else part.field.name


def _marks(
    key: KeyOutline, indexes: Iterable[KeyOutline], constraints: Iterable[ConstraintOutline]
) -> Mapping[str, list[str]]:
    """The marks of each field."""
    marks: dict[str, list[str]] = {key.partition: ["key"]}
    if key.sort is not None:
        marks.setdefault(key.sort, []).append("key" if key.partition == PREFIX else "sort key")
    for index in indexes:
        marks.setdefault(index.partition, []).append(index.id)
        marks.setdefault(str(index.sort), []).append(f"{index.id} sort")
    for constraint in constraints:
        marks.setdefault(constraint.field, []).append(constraint.id)
    return marks


# --- access patterns -------------------------------------------------------------------------------


def _patterns(name: str, schema: Schema, table_type: str) -> Iterator[AccessPattern]:
    keys = ", ".join(schema.key_names)
    yield AccessPattern(f"{name}.find({keys if len(schema.key_names) == 1 else f'({keys})'})", "key")
    for constraint in schema.constraints.values():
        field = constraint.field.name
        yield AccessPattern(f"{name}.find_by_{field}({field})", constraint.id)
    if schema.primary.name != "primary_key":
        yield from _queries(name, schema, table_type, schema.primary, "key")
    for index in schema.indexes.values():
        yield from _queries(name, schema, table_type, index, index.id)
    for field in schema.fields.values():
        relation = relation_name(field.name) if isinstance(field, RelatedField) else None
        if relation is not None and isinstance(field, RelatedField) and relation not in schema.fields:
            yield AccessPattern(f"{words_of(name)}.{relation}", "key", note=f"the {field.target_name}")
    if schema.iterable:
        yield AccessPattern(f"{name}.iterate_all()", ITER_INDEX, note=_counted(schema.buckets))
        if schema.search is not None:
            fields = ", ".join(schema.search.fields)
            yield AccessPattern(f"{name}.search_all(terms)", ITER_SEARCH_INDEX, note=f"in {fields}")


def _queries(
    name: str, schema: Schema, table_type: str, shape: PrimaryKeySchema | IndexSchema, source: str
) -> Iterator[AccessPattern]:
    owner, ordered_by = shape.partition.field, None if shape.sort.field is None else shape.sort.field.name
    argument = "" if owner is None else owner.name
    yield AccessPattern(f"{name}.query_{shape.name}({argument})", source, ordered_by)
    if not isinstance(owner, RelatedField):
        return
    parent = words_of(owner.target_name)
    yield AccessPattern(f"{parent}.{parent_query_name(shape.name)}()", source, ordered_by)
    end = schema.mapped_relation(shape) if table_type == "mapping" else None
    if end is not None:
        target: Any = schema.fields[end]
        yield AccessPattern(
            f"{parent}.{mapped_name(shape.name)}()", source, ordered_by, f"the {target.target_name} items"
        )


def _counted(buckets: int) -> str:
    return "1 bucket" if buckets == 1 else f"{buckets} buckets"
