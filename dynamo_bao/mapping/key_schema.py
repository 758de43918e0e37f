"""How a model's keys are made. Each part of a primary, index or unique key is a field or the model's prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

from dynamo_bao.dynamodb.keys import GUARD_MARK, Key, partition_text, sort_text, tenant_mark
from dynamo_bao.dynamodb.layout import index_key_names
from dynamo_bao.dynamodb.numbers import number_text
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import ValidationError
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.codec import is_its_key
from dynamo_bao.runtime.records import Factory, field, frozen


class ModelPrefix:
    """The model's prefix as a key part. The only instance is `MODEL_PREFIX`."""

    def __repr__(self) -> str:
        return "MODEL_PREFIX"

    def __reduce__(self) -> str:
        return "MODEL_PREFIX"


MODEL_PREFIX: Final = ModelPrefix()
_GUARDED: Final = frozenset(("S", "N", "BOOL"))
"""The types of values that can be unique."""


@frozen(eq=False)
class KeyComponent:
    """One half of a key: a field's text, or the model's prefix if `field` is None."""

    model: str
    prefix: str
    field: Field | None
    to_text: Callable[[Any], str]
    from_text: Callable[[str], object]

    def text(self, values: Mapping[str, object]) -> str | None:
        """The part's text for a model's values. None if the field has no value."""
        if self.field is None:
            return self.prefix
        value = values.get(self.field.name)
        return None if value is None else self.to_text(value)

    def value(self, text: str) -> Any:
        """The field's value for a text. Raises `ValidationError` if the field cannot have that text."""
        assert self.field is not None
        try:
            return self.from_text(text)
        except (ValueError, OverflowError):
            raise self.field.error(
                "is not the text of a key of this field; give the value itself", text
            ) from None

    @property
    def name(self) -> str:
        """The field's name; empty for the model's prefix."""
        return "" if self.field is None else self.field.name

    def stored_value(self, item: Item, text: str) -> object:
        """The field's value in a stored item whose key has `text` for this field.

        Some kinds have a text that is less exact than their value. For these the attribute is used if it has this
        text. Otherwise the value is read from the text.

        Raises:
            ValidationError: if the field cannot have that text.
        """
        assert self.field is not None
        attribute = item.get(self.field.attribute)
        if attribute is not None and not is_its_key(self.field):
            with suppress(Exception):  # a field's own conversions may raise anything
                value = self.field.from_dynamo(attribute)
                if self.to_text(value) == text:
                    return value
        return self.value(text)


@frozen(eq=False)
class PrimaryKeySchema:
    """Both parts of a primary key, and its query name: ``"primary_key"``, or a second name from the class body."""

    name: str
    partition: KeyComponent
    sort: KeyComponent


def _field_names(parts: Iterable[KeyComponent]) -> frozenset[str]:
    return frozenset(part.name for part in parts if part.field is not None)


@frozen(eq=False)
class IndexSchema:
    """A global secondary index of a model: its name, id, parts, and stored key attributes.

    Attributes:
        parts: both parts of its key, partition first.
        field_names: the fields in its key.
    """

    name: str
    id: str
    partition: KeyComponent
    sort: KeyComponent
    pk_name: str
    sk_name: str
    parts: tuple[KeyComponent, KeyComponent] = field(
        init=False, default=Factory(lambda self: (self.partition, self.sort), takes_self=True)
    )
    field_names: frozenset[str] = field(
        init=False, default=Factory(lambda self: _field_names(self.parts), takes_self=True)
    )

    @classmethod
    def of(cls, name: str, index_id: str, partition: KeyComponent, sort: KeyComponent) -> IndexSchema:
        """An index with the attributes of its id."""
        return cls(name, index_id, partition, sort, *index_key_names(index_id))

    def pk_text(self, tenant: str | None, text: str) -> str:
        """The text of the partition key attribute."""
        lead = f"{tenant_mark(tenant)}{self.partition.prefix}#{self.id}#"
        owner = self.partition.field
        return lead + partition_text(
            text, self.partition.model, owner.name if owner else self.name, len(lead)
        )

    def sk_text(self, text: str) -> str:
        """The text of the sort key attribute."""
        owner = self.sort.field
        return sort_text(text, self.sort.model, owner.name if owner else self.name)

    def keys(self, tenant: str | None, values: Mapping[str, object]) -> Item:
        """Both key attributes for a model's values. Empty if a part has no value."""
        partition, sort = self.partition.text(values), self.sort.text(values)
        if partition is None or sort is None:
            return {}
        owner = self.sort.field
        return {
            self.pk_name: {"S": self.pk_text(tenant, partition)},
            self.sk_name: {"S": sort_text(sort, self.sort.model, owner.name if owner else self.name)},
        }


Shape = IndexSchema | PrimaryKeySchema
"""The index, or the primary key, that a query reads."""


@frozen(eq=False)
class UniqueConstraintSchema:
    """A unique constraint of one field."""

    name: str
    id: str
    field: Field
    prefix: str

    def guard_key(self, tenant: str | None, attribute: AttributeValue) -> Key:
        """The key of the guard item for a stored value."""
        ((code, content),) = attribute.items()
        text = str(content).lower() if code == "BOOL" else str(content)
        if code == "N":
            text = number_text(Decimal(content))
        lead = f"{tenant_mark(tenant)}{GUARD_MARK}#_{self.id}#{self.prefix}#{self.field.attribute}:"
        return Key(
            lead + partition_text(text, self.field.model, self.field.name, len(lead.encode())), GUARD_MARK
        )

    def guard_of(self, tenant: str | None, attribute: AttributeValue | None) -> Key | None:
        """The key of the guard of a stored value. None if values like this have no guard."""
        if attribute is None or not _GUARDED.intersection(attribute):
            return None
        try:
            return self.guard_key(tenant, attribute)
        except ValidationError:  # empty, or too long for a key
            return None
