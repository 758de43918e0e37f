"""What model files say, checked: frozen values that models and source code are made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from dynamo_bao.fields.base import Field
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.mapping.declarations import KeyPart
from dynamo_bao.mapping.search_text import SearchConfig
from dynamo_bao.modelfiles.field_types import Annotation, FieldType


@frozen
class FieldDescription:
    """One field of a model.

    Attributes:
        name, stored: its name in Python, and in the file and the table.
        kind: what kind of field it is.
        options: the arguments of its declaration, by Python name.
        target: for a relation, the other model's name.
        is_optional: whether it may be None.
        line: where the file has it.
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
        """The type of its values, without None."""
        return self.kind.annotation

    def declaration(self) -> Field:
        """The field object of a class body."""
        make: Any = self.kind.field
        declared: Field = make(*((self.target,) if self.target is not None else ()), **self.options)
        return declared

    @property
    def is_relation(self) -> bool:
        """Whether it is the id of an item of another model."""
        return issubclass(self.kind.field, RelatedField)


@frozen
class KeyDescription:
    """The primary key, or an index.

    Attributes:
        name: the index's Python name; for the primary key that of its query, None where it has none.
        partition, sort: field names, or `MODEL_PREFIX`; `sort` is None where nothing is said.
        id: ``gsi1`` to ``gsi5``; None for the primary key.
        line: where the file has it.
    """

    name: str | None
    partition: KeyPart
    sort: KeyPart | None
    id: str | None
    line: int


@frozen
class ConstraintDescription:
    """A unique constraint: its Python name, its field's, its id, ``uc1`` to ``uc3``, and its line."""

    name: str
    field: str
    id: str
    line: int


@frozen
class ModelDescription:
    """One model.

    Attributes:
        name: its class's name, which is its stored name too.
        file, line: where it is described.
        fields: in the file's order, by Python name.
        primary: its primary key.
        iteration_buckets: 0 where it is not iterable.
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
        """The keyword arguments of its class statement; none that say what is so anyway."""
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
        """What can be queried by name: the indexes, and the primary key if it has a query's name."""
        return (*self.indexes, *((self.primary,) if self.primary.name is not None else ()))


@frozen
class Definitions:
    """All the models of a file or folder.

    Attributes:
        source: the file or folder, as it was given.
        models: by name, in order.
        key_format: the key format they are for.
        warnings: what is probably not meant, each with its file and line.
    """

    source: str
    models: Mapping[str, ModelDescription]
    key_format: str
    warnings: tuple[str, ...]
