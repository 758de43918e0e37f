"""Converts an item to one line of JSON and back, without loss: its fields by name, with the stored values.

Texts, numbers (with all their digits), booleans, lists and maps are plain JSON. A set is a list and a binary is
base64 if the field has that type. Elsewhere such a value is an object of one member, ``{"$SS": ["a", "b"]}``, and a
map that looks like one is ``{"$M": …}``. A field that is not stored is ``null``. Attributes that the model does not
have are under ``"$more"``. Keys, index keys and search texts are left out, because they follow from the fields.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final

from dynamo_bao.dynamodb.keys import parse_partition_key, tenant_mark
from dynamo_bao.dynamodb.layout import DERIVED, PK, SK
from dynamo_bao.dynamodb.numbers import number_fault, number_text
from dynamo_bao.dynamodb.service import MAX_NUMBER_DIGITS, AttributeValue, Item
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.scalars import BinaryField
from dynamo_bao.fields.sets import SET_CODES, SetField
from dynamo_bao.mapping.schema import Schema

MORE: Final = "$more"
MAX_LINE_LENGTH: Final = 8 * 1024 * 1024
"""The length in bytes of the longest line of an item, if each of its characters is escaped."""
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_OBSCURED: Final = {"SS": "L", "NS": "L", "BS": "L", "B": "S"}
"""Type codes that have a plain form in a field of that type, and the code whose form looks the same."""


class Number(str):
    """A number, as the text in the line."""


# --- writing ----------------------------------------------------------------------------------------


class LineFormat:
    """Writes stored items of a model as lines.

    Args:
        schema: the model.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._members = [
            (f"{_quoted(name)}: ", field.attribute, field, _usual(field))
            for name, field in schema.fields.items()
        ]
        self._known_attributes = frozenset((*schema.attributes, *DERIVED, PK, SK))

    def line_of(self, item: Item) -> bytes:
        """A stored item as a line."""
        keys = _key_values(self._schema, item)
        members: list[str] = []
        for lead, attribute, field, usual in self._members:
            stored = item.get(attribute)
            if stored is None:
                stored = keys.get(field.name)
            if stored is not None and "S" in stored and usual is None:  # as most are
                members.append(lead + _quoted(stored["S"]))
            else:
                members.append(lead + _field_json(usual, stored))
        if not item.keys() <= self._known_attributes:
            more = {name: value for name, value in item.items() if name not in self._known_attributes}
            members.append(f"{_quoted(MORE)}: {_object(more)}")
        return f"{{{', '.join(members)}}}\n".encode()


def line_of(schema: Schema, item: Item) -> bytes:
    """A stored item as a line.

    >>> line_of(schema, {"_pk": {"S": "c#ber"}, "_sk": {"S": "c"}, "code": {"S": "ber"}, "size": {"N": "3.50"}})
    b'{"code": "ber", "size": 3.50}\\n'
    """
    return LineFormat(schema).line_of(item)


def _key_values(schema: Schema, item: Item) -> dict[str, AttributeValue]:
    """The stored forms of key fields that are stored in the keys only."""
    if all(schema.fields[name].attribute in item for name in schema.key_names):
        return {}
    parsed_key = parse_partition_key(item[PK]["S"])
    lead = f"{tenant_mark(parsed_key.tenant if parsed_key else None)}{schema.prefix}#"
    texts = ((schema.primary.partition, item[PK]["S"][len(lead) :]), (schema.primary.sort, item[SK]["S"]))
    key_values = {}
    for part, text in texts:
        stored = None if part.field is None else part.field.to_dynamo(part.value(text))
        if part.field is not None and stored is not None:
            key_values[part.field.name] = stored
    return key_values


def field_json(field: Field, stored: AttributeValue | None) -> str:
    """The JSON of a field's stored value; ``null`` if it is not stored."""
    return _field_json(_usual(field), stored)


def _field_json(usual: str | None, stored: AttributeValue | None) -> str:
    """The JSON of the stored value of a field with the type code `_usual`."""
    if stored is None:
        return "null"
    ((code, content),) = stored.items()
    if code == usual:
        return _PLAIN[code](content)
    if code == "NULL" or (usual is not None and code == _OBSCURED[usual]):
        return _tagged(code, content)
    return _json(stored)


def _usual(field: Field) -> str | None:
    """The type code of a field whose plain form differs from the JSON of that type; None for other fields."""
    if isinstance(field, SetField) and field.is_native:
        return field.code
    return "B" if isinstance(field, BinaryField) else None


_quoted = encode_basestring
"""A text as JSON, with its characters as they are."""


def _number(text: str) -> str:
    return text if _NUMBER.fullmatch(text) else number_text(Decimal(text))


def _base64(content: bytes) -> str:
    return _quoted(b64encode(content).decode())


def _list(members: list[str]) -> str:
    return f"[{', '.join(members)}]"


def _object(content: Mapping[str, AttributeValue]) -> str:
    return f"{{{', '.join(f'{_quoted(name)}: {_json(value)}' for name, value in content.items())}}}"


_PLAIN: Final[dict[str, Callable[[Any], str]]] = {
    "S": _quoted,
    "N": _number,
    "BOOL": lambda content: "true" if content else "false",
    "NULL": lambda content: "null",
    "L": lambda content: _list([_json(part) for part in content]),
    "M": _object,
    "B": _base64,
    "SS": lambda content: _list([_quoted(member) for member in sorted(content)]),
    "NS": lambda content: _list([_number(member) for member in sorted(content, key=Decimal)]),
    "BS": lambda content: _list([_base64(member) for member in sorted(content)]),
}


def _json(stored: AttributeValue) -> str:
    ((code, content),) = stored.items()
    if code in _OBSCURED or (code == "M" and len(content) == 1 and next(iter(content)).startswith("$")):
        return _tagged(code, content)
    return _PLAIN[code](content)


def _tagged(code: str, content: object) -> str:
    return f'{{"${code}": {_PLAIN[code](content)}}}'


# --- reading ----------------------------------------------------------------------------------------


def parse_line(line: bytes) -> dict[str, Any]:
    """The members of a line, with numbers as `Number`. Raises `ValueError` if it is no JSON object."""
    try:
        parsed = _DECODER.decode(line.decode().removeprefix("\ufeff"))
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(parsed, dict):
        raise ValueError("is not a JSON object of fields")
    return parsed


def _no_constant(text: str) -> object:
    raise ValueError(f"holds {text}, which DynamoDB cannot store")


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"has {twice!r} twice in one object")
    return members


_DECODER: Final = json.JSONDecoder(
    parse_int=Number, parse_float=Number, parse_constant=_no_constant, object_pairs_hook=_members
)


def field_typed(field: Field, parsed: object) -> AttributeValue | None:
    """The stored form of a field's value in a line; None for ``null``. Raises `ValueError` for an invalid value."""
    if parsed is None:
        return None
    usual = _usual(field)
    if usual == "B" and isinstance(parsed, str) and not isinstance(parsed, Number):
        return {"B": _bytes(parsed)}
    if usual in SET_CODES and isinstance(parsed, list):
        return _from_tag(str(usual), parsed)
    return typed(parsed)


def typed(parsed: Any) -> AttributeValue:
    """The stored form of any value of a line. Raises `ValueError` for an invalid value."""
    if isinstance(parsed, Number):
        return {"N": _checked(parsed)}
    if isinstance(parsed, str):
        return {"S": parsed}
    if isinstance(parsed, bool):
        return {"BOOL": parsed}
    if parsed is None:
        return {"NULL": True}
    if isinstance(parsed, list):
        return {"L": [typed(part) for part in parsed]}
    if len(parsed) == 1:
        ((name, content),) = parsed.items()
        if name.startswith("$"):
            return _storable(_from_tag(name[1:], content))
    return {"M": {name: typed(part) for name, part in parsed.items()}}


def _storable(stored: AttributeValue) -> AttributeValue:
    """A marked value, if DynamoDB can store it. Raises `ValueError` for a set without members."""
    ((code, content),) = stored.items()
    if code in SET_CODES and not content:
        raise ValueError(f"has an empty set under '${code}', which DynamoDB cannot store")
    return stored


def _from_tag(code: str, content: object) -> AttributeValue:
    kind, read = _TAGS.get(code, (None, None))
    if kind is None or read is None:
        raise ValueError(f"has the unknown mark '${code}'; write a map with that name as {{\"$M\": {{…}}}}")
    if not isinstance(content, kind) or (kind is str and isinstance(content, Number) != (code == "N")):
        raise ValueError(f"has under '${code}' what is no {_KINDS[code]}")
    return {code: read(content)}


def _checked(number: str) -> str:
    if len(number) <= MAX_NUMBER_DIGITS and "e" not in number and "E" not in number:
        return str(number)
    try:
        fault = number_fault(Decimal(number))
    except ArithmeticError:
        fault = "its exponent is out of all bounds"
    if fault:
        raise ValueError(f"holds a number that cannot be stored: {fault}")
    return str(number)


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ValueError("holds a binary that is not base64") from None


def _texts(members: list[Any], kind: type[str]) -> list[str]:
    if any(not isinstance(m, str) or isinstance(m, Number) != (kind is Number) for m in members):
        raise ValueError(f"holds a set whose members are not all {'numbers' if kind is Number else 'texts'}")
    texts = [_checked(member) if kind is Number else str(member) for member in members]
    if len({Decimal(member) if kind is Number else member for member in texts}) < len(texts):
        raise ValueError("holds a set with a member twice")
    return texts


def _binaries(members: list[Any]) -> list[bytes]:
    contents = [_bytes(member) for member in _texts(members, str)]
    if len(set(contents)) < len(contents):  # base64 of one content can differ in bits that do not count
        raise ValueError("holds a set with a member twice")
    return contents


_TAGS: Final[dict[str, tuple[type[object], Callable[[Any], object]]]] = {
    "S": (str, str),
    "N": (str, _checked),
    "BOOL": (bool, bool),
    "NULL": (type(None), lambda _: True),
    "L": (list, lambda parts: [typed(part) for part in parts]),
    "M": (dict, lambda parts: {name: typed(part) for name, part in parts.items()}),
    "B": (str, _bytes),
    "SS": (list, lambda members: _texts(members, str)),
    "NS": (list, lambda members: _texts(members, Number)),
    "BS": (list, _binaries),
}
_KINDS: Final = {
    "S": "text",
    "N": "number",
    "BOOL": "true or false",
    "NULL": "null",
    "L": "list",
    "M": "map",
    "B": "base64 text",
    "SS": "list of texts",
    "NS": "list of numbers",
    "BS": "list of base64 texts",
}
