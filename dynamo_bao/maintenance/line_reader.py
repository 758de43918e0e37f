"""Reads lines of a file as items: checks them as a save does, and fills in fields that they leave out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, BinaryIO, Final

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import DERIVED, PK, SK
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import UnknownFieldError, ValidationError, message_of, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.documents import check_depth, from_document
from dynamo_bao.fields.scalars import BinaryField
from dynamo_bao.maintenance.json_lines import (
    MAX_LINE_LENGTH,
    MORE,
    field_json,
    field_typed,
    parse_line,
    typed,
)
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.runtime.foreign_errors import require_data_error
from dynamo_bao.runtime.records import NOTHING, field, frozen
from dynamo_bao.writes.item_size import check_item_size

NOTHING_FILLED: Final = "{}"
"""The JSON of the filled-in fields of a line that has all fields."""
_EMPTY_SETS: Final[tuple[AttributeValue, ...]] = ({"SS": []}, {"NS": []}, {"BS": []})


@frozen
class Text:
    """A line of a file.

    Attributes:
        number: its number, from 1.
        content: its bytes, including the end of the line.
        end: the offset of the next line in the file.
    """

    number: int
    content: bytes = field(repr=False)
    end: int

    @property
    def is_blank(self) -> bool:
        """Whether the line is empty."""
        return not self.content.strip()


def texts_of(file: BinaryIO, number: int = 0, offset: int = 0) -> Iterator[Text]:
    """The lines of a file after line `number`, which ends at `offset`. Too long lines are cut."""
    file.seek(offset)
    while content := file.readline(MAX_LINE_LENGTH + 1):
        rest = content
        while rest and not rest.endswith(b"\n"):  # the rest of a too long line is skipped
            rest = file.readline(MAX_LINE_LENGTH + 1)
            offset += len(rest)
        number, offset = number + 1, offset + len(content)
        yield Text(number, content, offset)


@frozen
class Line:
    """An item to store.

    Attributes:
        text: its line.
        identity: its key.
        values: the values of all fields.
        item: its stored form.
        filled: the JSON of the fields that the line leaves out, with the values that were filled in.
        guards: the keys of the guards of its unique values.
    """

    text: Text
    identity: Identity
    values: Mapping[str, Any] = field(repr=False)
    item: Item = field(repr=False)
    filled: str = NOTHING_FILLED
    guards: tuple[Key, ...] = ()


def read_line(schema: Schema, tenant: str | None, text: Text, filled: str = NOTHING_FILLED) -> Line:
    """Reads a line as an item.

    Args:
        filled: values for fields that the line leaves out, from an earlier `Line`.

    Raises:
        ValidationError: with all faults of the line. It does not name the number of the line.
    """
    try:
        members, more = _members_of(text, filled)
        return _read(schema, tenant, text, members, more)
    except RecursionError:
        raise ValidationError("it is nested too deeply") from None


def _members_of(text: Text, filled: str) -> tuple[dict[str, Any], Item]:
    """The fields of a line, and the attributes that the model does not have."""
    try:
        if len(text.content) > MAX_LINE_LENGTH:
            raise ValueError("is longer than any item")
        members = parse_line(text.content)
        if filled != NOTHING_FILLED:
            members = {**parse_line(filled.encode()), **members}
        return members, _more_of(members) if MORE in members else {}
    except ValueError as error:
        raise ValidationError(f"it {message_of(error)}") from None


def _read(schema: Schema, tenant: str | None, text: Text, members: Mapping[str, object], more: Item) -> Line:
    values: dict[str, Any] = {}
    exact: dict[str, AttributeValue | None] = {}
    faults = _read_values(schema, members, values, exact)
    if faults or more or not members.keys() <= schema.fields.keys():
        errors = [*_strangers(schema, members), *_misplaced(schema, more)]
        errors += [faults[name] for name in schema.fields if name in faults]
        if errors:
            raise ValidationError.of(schema.name, errors)
        exact = {**more, **exact}
    return _line(schema, tenant, text, values, exact)


def _read_values(
    schema: Schema,
    members: Mapping[str, object],
    values: dict[str, Any],
    exact: dict[str, AttributeValue | None],
) -> dict[str, ValidationError]:
    """Adds the values of all fields, and their exact stored forms. Returns the faults, by field name."""
    faults: dict[str, ValidationError] = {}
    stored_names: set[str] = set()
    for name, owner, attribute, is_binary in _columns(schema):
        try:
            if name not in members:
                values[name] = _filled(owner)
                continue
            values[name], stored = _field_value(owner, members[name], is_binary)
        except ValidationError as error:
            faults[name] = error
            continue
        if stored is not NOTHING:
            exact[attribute] = None if stored in _EMPTY_SETS else stored
            if stored is not None:
                stored_names.add(name)
    for name in stored_names if faults else schema.invalid_names(values):
        if name in stored_names:
            try:
                schema.fields[name].accept(values[name])
            except ValidationError as error:
                faults[name] = error
    return faults


@lru_cache(maxsize=64)
def _columns(schema: Schema) -> tuple[tuple[str, Field, str, bool], ...]:
    """The fields of a model: the name, the field, its attribute, and whether its texts are base64."""
    return tuple(
        (name, owner, owner.attribute, isinstance(owner, BinaryField))
        for name, owner in schema.fields.items()
    )


def _line(
    schema: Schema,
    tenant: str | None,
    text: Text,
    values: Mapping[str, object],
    exact: Mapping[str, AttributeValue | None],
) -> Line:
    identity = schema.keys.from_values(tenant, values)
    item, filled = _item(schema, tenant, identity, values, exact)
    try:
        check_item_size(schema.name, identity.primary_id, item)
    except UnicodeEncodeError:
        raise ValidationError(
            f"{schema.name}: a text holds a lone surrogate, which is no character."
        ) from None
    guards = tuple(_guards(schema, tenant, item)) if schema.constraints else ()
    return Line(text, identity, values, item, filled, guards)


def _guards(schema: Schema, tenant: str | None, item: Item) -> Iterator[Key]:
    """The keys of the guards of an item's unique values."""
    for constraint in schema.constraints.values():
        attribute = constraint.field.attribute
        if attribute in item:
            yield constraint.guard_key(tenant, item[attribute])


def _item(
    schema: Schema,
    tenant: str | None,
    identity: Identity,
    values: Mapping[str, object],
    exact: Mapping[str, AttributeValue | None],
) -> tuple[Item, str]:
    """The stored form of a line, and the JSON of the fields that it leaves out."""
    if exact.keys() >= schema.attributes.keys() and None not in exact.values():  # as in most lines
        item: Any = dict(exact)
        schema.complete(item, tenant, identity, values)
        return item, NOTHING_FILLED
    left_out = [(owner, attribute) for _, owner, attribute, _ in _columns(schema) if attribute not in exact]
    item = schema.item(tenant, identity, values)
    filled = [f'"{owner.name}": {field_json(owner, item.get(attribute))}' for owner, attribute in left_out]
    for name, stored in exact.items():
        if stored is None:
            item.pop(name, None)
        else:
            item[name] = stored
    return item, f"{{{', '.join(filled)}}}"


def _more_of(members: dict[str, object]) -> Item:
    """Takes the attributes that the model does not have out of the members of a line."""
    more = members.pop(MORE)
    if not isinstance(more, dict):
        raise ValueError(f"has under {MORE!r} what is no object of attributes")
    stored = {name: typed(value) for name, value in more.items()}
    for value in stored.values():
        check_depth(value)
    return stored


def _strangers(schema: Schema, members: Mapping[str, object]) -> list[ValidationError]:
    return [
        UnknownFieldError(
            f"{schema.name} has no field {name!r}.{suggestion(name, schema.fields)}", name, members[name]
        )
        for name in members
        if name not in schema.fields
    ]


def _misplaced(schema: Schema, more: Item) -> list[ValidationError]:
    names = [
        name for name in more if name in schema.attributes or name in DERIVED or name in (PK, SK) or not name
    ]
    return [
        ValidationError(f"{schema.name}: {name!r} does not belong under {MORE!r}; fields stand on their own.")
        for name in names
    ]


def _filled(owner: Field) -> Any:
    """The value of a field that a line leaves out."""
    value = owner.default_value()
    if value is NOTHING:
        raise owner.error("is required; give it a value", None)
    return value if value is None else owner.accept(value)


def _field_value(owner: Field, parsed: object, is_binary: bool) -> tuple[Any, Any]:
    """A field's value from a line, with the exact stored form; NOTHING in its place if the field had to convert it.

    The value of a stored form is not checked yet.
    """
    try:
        if type(parsed) is str and not is_binary:  # as most are
            stored: AttributeValue | None = {"S": parsed}
        else:
            stored = field_typed(owner, parsed)
    except ValueError as error:
        raise owner.error(message_of(error), parsed) from None
    if stored is None:
        return _absent(owner), None
    if "NULL" in stored and owner.nullable:
        return owner.missing_value(), stored
    try:
        value = owner.from_dynamo(stored)
    except Exception as error:
        require_data_error(error)
        return owner.accept(from_document(stored)), NOTHING
    return value, stored


def _absent(owner: Field) -> Any:
    """The value that a field reads if it is not stored. Raises ValidationError if the field requires a value."""
    value = owner.missing_value()
    if value is None and not owner.nullable:
        fills_itself = owner.default_value() is not NOTHING
        mend = "leave it out to have it filled in" if fills_itself else "give it a value"
        raise owner.error(f"is required and cannot be null; {mend}", None)
    return value
