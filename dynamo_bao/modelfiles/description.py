"""Checked contents of model files, as frozen values. Models and source code are built from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo_bao.fields.base import Field
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.mapping.declarations import KeyPart
from dynamo_bao.mapping.search_text import SearchConfig
from dynamo_bao.modelfiles.field_types import Annotation, FieldType
from dynamo_bao.runtime.records import frozen


@frozen
class FieldDescription:
    """One field of a model.

    Attributes:
        name: its name in Python.
        stored: its name in the file and the table.
        kind: its field type.
        options: the arguments of its declaration, by Python name.
        target: for a relation, the name of the related model.
        is_optional: whether it may be None.
        line: its line in the file.
    """

    name: str
    stored: str
    kind: FieldType
    options: Mapping[str, Any]
    target: str | None
    is_optional: bool
    line: int

    @property
    def annotation(self) -> Annotation:
        """The type of the field's values, without None."""
        return self.kind.annotation

    def declaration(self) -> Field:
        """The field object for a class body."""
        field_class: Any = self.kind.field
        field: Field = field_class(*((self.target,) if self.target is not None else ()), **self.options)
        return field

    @property
    def is_relation(self) -> bool:
        """Whether the field holds the id of an item of another model."""
        return issubclass(self.kind.field, RelatedField)


@frozen
class KeyDescription:
    """The primary key, or an index.

    Attributes:
        name: the Python name of the index. For the primary key, the name of its query, or None.
        partition, sort: field names, or `MODEL_PREFIX`; `sort` is None if the file does not set it.
        id: ``gsi1`` to ``gsi5``; None for the primary key.
        line: its line in the file.
    """

    name: str | None
    partition: KeyPart
    sort: KeyPart | None
    id: str | None
    line: int


@frozen
class ConstraintDescription:
    """A unique constraint: its Python name, its field's name, its id (``uc1`` to ``uc3``) and its line."""

    name: str
    field: str
    id: str
    line: int


@frozen
class ModelDescription:
    """One model.

    Attributes:
        name: the name of its class, and its stored name.
        file, line: its position.
        fields: its fields by Python name, in the order of the file.
        primary: its primary key.
        iteration_buckets: 0 if it is not iterable.
    """

    name: str
    prefix: str
    file: str
    line: int
    doc: str | None
    table_type: str
    iterable: bool
    iteration_buckets: int
    search: SearchConfig | None
    fields: Mapping[str, FieldDescription]
    primary: KeyDescription
    indexes: tuple[KeyDescription, ...]
    constraints: tuple[ConstraintDescription, ...]

    def options(self, key_format: str) -> dict[str, Any]:
        """The keyword arguments of its class statement, without those that equal the default."""
        options: dict[str, Any] = {"prefix": self.prefix}
        if self.table_type != "standard":
            options["table_type"] = self.table_type
        if self.iterable:
            options.update(iterable=True, iteration_buckets=self.iteration_buckets)
        if self.search is not None:
            options["searchable"] = self.search
        return {**options, "key_format": key_format, "attribute_style": "camel"}

    @property
    def queries(self) -> tuple[KeyDescription, ...]:
        """The keys with a query method: the indexes, and the primary key if it has a name."""
        return (*self.indexes, *((self.primary,) if self.primary.name is not None else ()))


@frozen
class Definitions:
    """All models of a file or folder.

    Attributes:
        source: the file or folder, as the caller passed it.
        models: the models by name, in the order of the files.
        key_format: the key format of the models.
        warnings: probable mistakes, each with its file and line.
    """

    source: str
    models: Mapping[str, ModelDescription]
    key_format: str
    warnings: tuple[str, ...]
