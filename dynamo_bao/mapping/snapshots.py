"""The item that an instance was loaded from. It shows what changed, and what a save assumes to be stored."""

from __future__ import annotations

import enum
from collections.abc import Collection, Container, Mapping
from types import MappingProxyType
from typing import Any

from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.items import Stored, as_dict_item
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import ValidationError
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.codec import ABSENT, SCALARS, is_same, loaded_value
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.runtime.foreign_errors import is_from_signal
from dynamo_bao.runtime.records import frozen


class StoredItem:
    """An item as it was read: its stored form, and the values of its fields, which are decoded when they are used.

    Fields that cannot read their stored value have no value. A plan without a `StoredItem` assumes only that the item
    exists.

    Args:
        schema: the model's schema.
        keys: the values of the key fields.
        item: the stored item.
    """

    __slots__ = ("_keys", "_schema", "_values", "item")

    differing: Mapping[str, object] | None = None

    def __init__(self, schema: Schema, keys: Mapping[str, object], item: Item) -> None:
        self.item: Item = item
        self._schema = schema
        self._keys = keys
        self._values: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, schema: Schema, identity: Identity, item: Item) -> StoredItem:
        """The `StoredItem` of an item of a model."""
        return cls(schema, identity.values, item)

    @property
    def values(self) -> Mapping[str, Any]:
        """The field values by field name."""
        if self._values is None:
            self._values = self._schema.values_of(self.item, self._keys)
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
NOTHING_LOCAL: HandedOutValues = MappingProxyType({})
"""Of an instance without local changes."""


class LoadedSnapshot(StoredItem):
    """The snapshot of an instance: the item that it was loaded from.

    A field is changed if the encoded form of its value differs from that of the value that the program got. A value
    that cannot change in place is changed if it is another value. Values are encoded only if comparing them is not
    enough.

    Args:
        schema, keys, item: as for `StoredItem`.
        handed: by field name, the values that the program got and that decoding again would not give.

    Attributes:
        accepted: by field name, the accepted values of changed fields, as far as `changed` needed them.
        are_unchanged_by_accepting: whether all changed values are accepted as they are.
        differing: the fields whose values are not those that decoding gives, whether they were changed or only
            written otherwise, with the decoded values; None before `changed` was called.
    """

    __slots__ = ("_handed", "accepted", "are_unchanged_by_accepting", "differing")

    def __init__(
        self, schema: Schema, keys: Mapping[str, object], item: Item, handed: HandedOutValues | None
    ) -> None:
        self.item: Item = item
        self._schema, self._keys = schema, keys
        self._values, self._handed = None, handed
        self.accepted: dict[str, object] = {}
        self.are_unchanged_by_accepting: bool = False
        self.differing: Mapping[str, object] | None = None

    def changed(self, current_values: Mapping[str, object]) -> list[str]:
        """The names of the fields whose current value differs from the one that the program got."""
        accepted: dict[str, object] = {}
        differing = self._schema.differing(current_values, self.item, accepted)
        if differing is None or self._handed:
            accepted, differing = {}, self._differing_carefully(current_values)
        self.accepted, self.differing = accepted, differing
        self.are_unchanged_by_accepting = is_unchanged = len(accepted) == len(differing)
        if is_unchanged:
            return list(differing)
        fields, names = self._schema.changeable, []
        for name, value in differing.items():
            if name in accepted or self._differs(fields[name], current_values.get(name, ABSENT), value):
                names.append(name)
        return names

    def _differing_carefully(self, current_values: Mapping[str, object]) -> dict[str, object]:
        """`differing`, also with values that cannot be read, or that decoding again would not give."""
        handed_values, differing = self._handed or {}, {}
        for name, field in self._schema.changeable.items():
            value = loaded_value(field, self.item)
            if name in handed_values or not is_same(current_values.get(name, ABSENT), value):
                differing[name] = value
        return differing

    @property
    def handed_names(self) -> Collection[str]:
        """The fields of which the program got another value than decoding the item gives."""
        return (self._handed or {}).keys()

    def handed_out(self, name: str) -> HandedOutValue:
        """The value of a field that the program got, in encoded form, and the stored attribute."""
        handed_value = (self._handed or {}).get(name)
        if handed_value is not None:
            return handed_value
        field = self._schema.fields[name]
        value = loaded_value(field, self.item)
        return HandedOutValue(
            None if value is ABSENT else form_of(field, value), self.item.get(field.attribute)
        )

    def is_readable(self, field: Field) -> bool:
        """Whether a field that is not part of the key can read its stored value."""
        return loaded_value(field, self.item) is not ABSENT

    def _differs(self, field: Field, value: object, before: object) -> bool:
        handed_value = None if self._handed is None else self._handed.get(field.name)
        if value is ABSENT or before is ABSENT:
            return value is not before
        try:
            accepted_value = field.accept(value)
            if handed_value is not None and not handed_value.blind:
                loaded_form = handed_value.form
            elif (type(before) in SCALARS or isinstance(before, enum.Enum)) and (
                type(accepted_value) is not type(before) or accepted_value != before
            ):
                self.accepted[field.name] = accepted_value
                return True
            else:
                loaded_form = form_of(field, before)
            if same_stored(form_of(field, accepted_value), loaded_form):
                return False
        except RuntimeError as error:  # another thread is changing it
            if is_from_signal(error):
                raise
            return True
        except (ValidationError, TypeError):
            # A wrong value is a change, and the save will refuse it. If it was stored like that, it is no change.
            return type(value) is not type(before) or not _is_stored_alike(field, value, before)
        self.accepted[field.name] = accepted_value
        return True


def _is_stored_alike(field: Field, value: object, other: object) -> bool:
    """Whether two values that a field refuses are equal, or have one stored form, as objects without equality may."""
    try:
        return bool(value == other) or same_stored(form_of(field, value), form_of(field, other))
    except Exception as error:  # a value that a field refuses may be anything
        if is_from_signal(error):
            raise
        return False


def form_of(field: Field, value: object) -> AttributeValue | None:
    """The stored form of a field's value. None if nothing is stored."""
    form: Any = None if value is None else field.to_dynamo(value)
    return {"S": form} if isinstance(form, str) else form


def is_stored_as(field: Field, value: object, form: AttributeValue | None) -> bool:
    """Whether a stored form is one of a value. A field may encode one value differently each time.

    A value has no form if its field refuses it, or if another thread is changing it.
    """
    try:
        current_form = form_of(field, field.accept(value))
        if same_stored(current_form, form):
            return True
        if current_form is None or form is None:
            return False
        return bool(field.from_dynamo(current_form) == field.from_dynamo(form))
    except Exception as error:
        if is_from_signal(error):
            raise
        return False


def remembered(
    schema: Schema, values: Mapping[str, object], item: Stored, local: Container[str] = ()
) -> dict[str, HandedOutValue] | None:
    """The decoded values that must be remembered, because decoding the item again would fill in other values.

    Args:
        local: the fields whose values are not decoded ones, as the program has changed them. They may be wrong.
    """
    stored_item = as_dict_item(item)
    handed_values: dict[str, HandedOutValue] = {}
    for field in schema.unsteady:
        attribute, value = stored_item.get(field.attribute), values.get(field.name)
        if attribute is None or value is None or field.name in local:
            continue
        if field.fills(attribute):
            handed_values[field.name] = HandedOutValue(form_of(field, value), attribute)
    return handed_values or None
