"""The item that an instance was loaded from. It shows what changed, and what a save assumes to be stored."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from attrs import frozen

from dynamo_bao.dynamodb.document_diff import is_alike, same_stored
from dynamo_bao.dynamodb.items import Stored, as_dict_item
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import ValidationError
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.schema import Schema

_ABSENT = object()
_SCALARS = frozenset(
    (str, int, float, bool, bytes, Decimal, type(None), uuid.UUID, datetime, date, time, timedelta)
)
"""Types whose values cannot change in place, and are compared as they are."""


class StoredItem:
    """An item as it was read: its stored form, and the values of its fields, which are decoded when they are used.

    Fields that cannot read their stored value have no value. A plan without a `StoredItem` assumes only that the item
    exists.
    """

    __slots__ = ("_decode", "_values", "item")

    def __init__(
        self,
        item: Item,
        values: Mapping[str, Any] | None = None,
        decode: Callable[[Item], Mapping[str, Any]] = lambda item: {},
    ) -> None:
        self.item = item
        self._values = values
        self._decode = decode

    @classmethod
    def read(cls, schema: Schema, identity: Identity, item: Item) -> StoredItem:
        """The `StoredItem` of an item of a model."""
        return cls(item, None, lambda item: schema.values_of(item, identity.values))

    @property
    def values(self) -> Mapping[str, Any]:
        """The field values by field name."""
        if self._values is None:
            self._values = self._decode(self.item)
        return self._values


@frozen
class HandedOutValue:
    """A value that the program got, and that decoding the loaded item again would not give.

    Attributes:
        form: its encoded form.
        stored: the stored attribute at that time.
        blind: whether the program got no value, because it assigned one before the item was loaded.
    """

    form: AttributeValue | None
    stored: AttributeValue | None
    blind: bool = False


HandedOutValues = Mapping[str, HandedOutValue]
BLIND = HandedOutValue(None, None, blind=True)


class LoadedSnapshot(StoredItem):
    """The snapshot of an instance: the item that it was loaded from.

    A field is changed if the encoded form of its value differs from that of the value that the program got. A value
    that cannot change in place is changed if it is another value. Values are encoded only if comparing them is not
    enough.

    Args:
        schema: the model's schema.
        keys: the values of the key fields.
        item: the stored item.
        handed: by field name, the values that the program got and that decoding again would not give.

    Attributes:
        accepted: by field name, the accepted values of changed fields, as far as `changed` needed them.
    """

    __slots__ = ("_handed", "_schema", "accepted")

    def __init__(
        self, schema: Schema, keys: Mapping[str, Any], item: Item, handed: HandedOutValues | None
    ) -> None:
        super().__init__(item, None, lambda item: schema.values_of(item, keys))
        self._schema = schema
        self._handed = handed
        self.accepted: dict[str, Any] = {}

    def changed(self, current_values: Mapping[str, Any]) -> list[str]:
        """The names of the fields whose current value differs from the one that the program got."""
        loaded_values, handed_values, names = self.values, self._handed or {}, list[str]()
        for name, field in self._schema.changeable.items():
            value, loaded_value = current_values.get(name, _ABSENT), loaded_values.get(name, _ABSENT)
            if name not in handed_values:
                if value is loaded_value:
                    continue
                kind = type(value)
                if kind is type(loaded_value) and kind in _SCALARS and value == loaded_value:
                    continue
                if is_alike(value, loaded_value):
                    continue
            if self._differs(field, value):
                names.append(name)
        return names

    def handed_out(self, name: str) -> HandedOutValue:
        """The value of a field that the program got, in encoded form, and the stored attribute."""
        handed_value = (self._handed or {}).get(name)
        if handed_value is not None:
            return handed_value
        field = self._schema.fields[name]
        return HandedOutValue(form_of(field, self.values.get(name)), self.item.get(str(field.attribute)))

    def _differs(self, field: Field, value: Any) -> bool:
        loaded_value, handed_value = (
            self.values.get(field.name, _ABSENT),
            (self._handed or {}).get(field.name),
        )
        if value is _ABSENT or loaded_value is _ABSENT:
            return value is not loaded_value
        has_form = handed_value is not None and not handed_value.blind
        try:
            accepted_value = field.accept(value)
            loaded_form = (
                handed_value.form if handed_value is not None and has_form else form_of(field, loaded_value)
            )
            if not same_stored(form_of(field, accepted_value), loaded_form):
                self.accepted[field.name] = accepted_value
                return True
        except (ValidationError, TypeError):
            # A wrong value is a change, and the save will refuse it. If it was stored like that, it is no change.
            return type(value) is not type(loaded_value) or bool(value != loaded_value)
        if has_form or not (type(loaded_value) in _SCALARS or isinstance(loaded_value, enum.Enum)):
            return False
        return type(accepted_value) is not type(loaded_value) or bool(accepted_value != loaded_value)


def form_of(field: Field, value: Any) -> AttributeValue | None:
    """The stored form of a field's value. None if nothing is stored."""
    form: Any = None if value is None else field.to_dynamo(value)
    return {"S": form} if isinstance(form, str) else form


def remembered(schema: Schema, values: Mapping[str, Any], item: Stored) -> dict[str, HandedOutValue] | None:
    """The decoded values that must be remembered, because decoding the item again would fill in other values."""
    stored_item, handed_values = as_dict_item(item), dict[str, HandedOutValue]()
    for field in schema.unsteady:
        attribute, value = stored_item.get(str(field.attribute)), values.get(field.name)
        if attribute is not None and value is not None and field.fills(attribute):
            handed_values[field.name] = HandedOutValue(form_of(field, value), attribute)
    return handed_values or None
