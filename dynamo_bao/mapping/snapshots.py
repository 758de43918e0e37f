"""What was loaded: the one record that tells what changed, and what saves, versions and conditions assume."""

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
    """An item as it was read: its stored form, and the values of its fields, decoded at the first look.

    Fields that cannot read what is stored of them have no value.

    A plan without a `StoredItem` assumes nothing but that the item exists.
    """

    __slots__ = ("_read", "_values", "item")

    def __init__(
        self,
        item: Item,
        values: Mapping[str, Any] | None = None,
        read: Callable[[Item], Mapping[str, Any]] = lambda item: {},
    ) -> None:
        self.item = item
        self._values = values
        self._read = read

    @classmethod
    def read(cls, schema: Schema, identity: Identity, item: Item) -> StoredItem:
        """What a stored item says."""
        return cls(item, None, lambda item: schema.values_of(item, identity.values))

    @property
    def values(self) -> Mapping[str, Any]:
        """The field values by field name."""
        if self._values is None:
            self._values = self._read(self.item)
        return self._values


@frozen
class HandedOutValue:
    """A value that was handed out and that decoding the loaded item again does not give.

    Attributes:
        form: its encoded form.
        stored: what was stored of it then.
        blind: whether nothing was handed out: the value was assigned before anything was loaded.
    """

    form: AttributeValue | None
    stored: AttributeValue | None
    blind: bool = False


HandedOutValues = Mapping[str, HandedOutValue]
BLIND = HandedOutValue(None, None, blind=True)


class LoadedSnapshot(StoredItem):
    """What an instance was loaded from.

    A field is changed where the encoded form of its value now differs from that of the value that was handed out,
    or a value that cannot change in place is another one. Forms are made only where the values do not tell.

    Attributes:
        keys: the values of the key fields.
        item: what was stored.
        values: the values that were handed out, decoded again once.
        handed: by field name what this decoding does not give.
    """

    __slots__ = ("_handed", "_schema")

    def __init__(
        self, schema: Schema, keys: Mapping[str, Any], item: Item, handed: HandedOutValues | None
    ) -> None:
        super().__init__(item, None, lambda item: schema.values_of(item, keys))
        self._schema = schema
        self._handed = handed

    def changed(self, now: Mapping[str, Any]) -> list[str]:
        """The fields whose value now is not the one that was handed out."""
        before, handed, found = self.values, self._handed or {}, list[str]()
        for name, field in self._schema.changeable.items():
            value, old = now.get(name, _ABSENT), before.get(name, _ABSENT)
            if name not in handed:
                if value is old:
                    continue
                kind = type(value)
                if kind is type(old) and kind in _SCALARS and value == old:
                    continue
                if is_alike(value, old):
                    continue
            if self._differs(field, value):
                found.append(name)
        return found

    def handed_out(self, name: str) -> HandedOutValue:
        """The value of a field that was handed out, as encoded form, and what was stored of it."""
        known = (self._handed or {}).get(name)
        if known is not None:
            return known
        field = self._schema.fields[name]
        return HandedOutValue(form_of(field, self.values.get(name)), self.item.get(str(field.attribute)))

    def _differs(self, field: Field, value: Any) -> bool:
        old, known = self.values.get(field.name, _ABSENT), (self._handed or {}).get(field.name)
        if value is _ABSENT or old is _ABSENT:
            return value is not old
        made_up = known is not None and not known.blind
        try:
            accepted = field.accept(value)
            before = known.form if known is not None and made_up else form_of(field, old)
            if not same_stored(form_of(field, accepted), before):
                return True
        except (ValidationError, TypeError):
            # A value that breaks a rule is a change, which the save will refuse, unless it was stored like that.
            return type(value) is not type(old) or bool(value != old)
        if made_up or not (type(old) in _SCALARS or isinstance(old, enum.Enum)):
            return False
        return type(accepted) is not type(old) or bool(accepted != old)


def form_of(field: Field, value: Any) -> AttributeValue | None:
    """The stored form of a field's value. None if nothing is stored."""
    form: Any = None if value is None else field.to_dynamo(value)
    return {"S": form} if isinstance(form, str) else form


def remembered(schema: Schema, values: Mapping[str, Any], item: Stored) -> dict[str, HandedOutValue] | None:
    """What must be remembered of values just decoded, as decoding the item again would make up others."""
    stored_item, found = as_dict_item(item), dict[str, HandedOutValue]()
    for field in schema.unsteady:
        stored, value = stored_item.get(str(field.attribute)), values.get(field.name)
        if stored is not None and value is not None and field.fills(stored):
            found[field.name] = HandedOutValue(form_of(field, value), stored)
    return found or None
