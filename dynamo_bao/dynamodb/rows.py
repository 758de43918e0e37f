"""Rows: items of replies, parsed into objects with a slot for each attribute of their models.

A reply with 100 items has some 1,500 attribute values. If each were a dict, Python's garbage collector would track it,
search all young objects three times while the reply is parsed, and sometimes search all objects. That takes longer
than the parsing. Rows are not tracked, because they cannot form a cycle. A row is made faster than a dict, its slots
are read faster than entries, and it takes a tenth of the memory.

The price is that the types must be known: a reply with an attribute that no model has, for instance, is parsed into
dicts.

Imported when a program has read many items: it needs msgspec, which takes time to load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, TypeVar

import msgspec

from dynamo_bao.dynamodb.layout import slot_of
from dynamo_bao.dynamodb.numbers import parse_integer, parse_number
from dynamo_bao.dynamodb.service import (
    BATCH_GET_ITEM,
    DELETE_ITEM,
    GET_ITEM,
    QUERY,
    UPDATE_ITEM,
    AttributeValue,
    Item,
)
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.process import ForkSafeLock

T = TypeVar("T")
MAX_PASSED_OVER = 256
"""The most replies that are parsed into dicts at once, after replies that could not be parsed into rows."""


_OPTIONS: dict[str, Any] = {"gc": False, "forbid_unknown_fields": True, "omit_defaults": True}


_ABSENT: Any = None


class Value(msgspec.Struct, **_OPTIONS):
    """A value of any type: exactly one of its slots is not None. JSON's null is not a value, so no slot accepts it."""

    S: str = _ABSENT
    N: str = _ABSENT
    BOOL: bool = _ABSENT
    M: dict[str, Value] = _ABSENT
    L: list[Value] = _ABSENT
    NULL: bool = _ABSENT
    B: bytes = _ABSENT
    SS: list[str] = _ABSENT
    NS: list[str] = _ABSENT
    BS: list[bytes] = _ABSENT


_PAYLOADS: dict[str, Any] = {
    "S": str,
    "N": str,
    "BOOL": bool,
    "B": bytes,
    "SS": list[str],
    "NS": list[str],
    "M": dict[str, Value],
    "L": list[Value],
}


def _value_of(code: str) -> Any:
    """The class of values of one type, with only that slot."""
    return msgspec.defstruct(f"Value{code}", [(code, _PAYLOADS[code])], module=__name__, **_OPTIONS)


_VALUES: dict[str | None, Any] = {None: Value, **{code: _value_of(code) for code in _PAYLOADS}}


class RowType:
    """The rows for items of one or several models.

    Args:
        attributes: the attributes that an item may have, each with the code of its type; None for any type.
    """

    def __init__(self, attributes: Mapping[str, str | None]) -> None:
        self._attributes = attributes
        self._decoders: dict[str, msgspec.json.Decoder[Any]] | None = None
        self._lock = ForkSafeLock()
        self._passed_over = self._misses = 0

    def parsed(self, body: bytes, operation: str) -> dict[str, object] | None:
        """The body of a reply with its items as rows; None if it holds anything that the row type does not have."""
        if self._passed_over > 0:  # threads can bring it below zero
            self._passed_over -= 1
            return None
        decoders = self._decoders
        if decoders is None:
            with self._lock:
                decoders = self._decoders = self._decoders or self._build_decoders()
        try:
            parsed: Any = decoders[operation].decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            if is_foreign(error):
                raise
            self._misses += 1
            self._passed_over = min(2**self._misses, MAX_PASSED_OVER)
            return None
        self._misses = 0
        return parsed if type(parsed) is dict else _single_reply(parsed)

    def _build_decoders(self) -> dict[str, msgspec.json.Decoder[Any]]:
        slots = [(slot_of(name), _VALUES[code], None) for name, code in self._attributes.items()]
        names = {slot_of(name): name for name in self._attributes}
        row: Any = msgspec.defstruct("Row", slots, rename=names, module=__name__, **_OPTIONS)
        batch = {"Responses": dict[str, list[row]], "UnprocessedKeys": Any, "ConsumedCapacity": Any}
        page = {"Items": list[row], "LastEvaluatedKey": Any, "ConsumedCapacity": Any}
        page |= {"Count": int, "ScannedCount": int}
        return {
            BATCH_GET_ITEM: msgspec.json.Decoder(TypedDict("_Batch", batch, total=False)),  # type: ignore[operator]
            QUERY: msgspec.json.Decoder(TypedDict("_Page", page, total=False)),  # type: ignore[operator]
            GET_ITEM: _decoder_of_one("Item", row),
            UPDATE_ITEM: _decoder_of_one("Attributes", row),
            DELETE_ITEM: _decoder_of_one("Attributes", row),
        }


def _decoder_of_one(member: str, row: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of replies whose one row is in the member of that name."""
    slots = [(member, row, None), ("ConsumedCapacity", dict[str, Any], None)]
    return msgspec.json.Decoder(msgspec.defstruct("Reply", slots, module=__name__, **_OPTIONS))


def _single_reply(reply: Any) -> dict[str, object] | None:
    """The members of a reply with one row; None if it has no row, so that the slower parser checks it."""
    row, capacity = msgspec.structs.astuple(reply)
    if row is None:
        return None
    member = reply.__struct_fields__[0]
    return {member: row} if capacity is None else {member: row, "ConsumedCapacity": capacity}


def item_of(row: object) -> Item:
    """A row as a dict."""
    item: Item = msgspec.to_builtins(row, builtin_types=(bytes,))
    return item


def attribute_of(value: object) -> AttributeValue:
    """A value of a row as a dict.

    >>> attribute_of(Value(L=[Value(N="1"), Value(NULL=True)]))
    {'L': [{'N': '1'}, {'NULL': True}]}
    """
    attribute: AttributeValue = msgspec.to_builtins(value, builtin_types=(bytes,))
    return attribute


def plain_map(stored: dict[str, Value]) -> dict[str, object]:
    """The plain values of a stored map."""
    return {
        name: text
        if (text := value.S) is not None
        else parse_number(number)
        if (number := value.N) is not None
        else plain_value(value)
        for name, value in stored.items()
    }


def plain_list(stored: list[Value]) -> list[object]:
    """The plain values of a stored list."""
    return [
        text
        if (text := value.S) is not None
        else parse_number(number)
        if (number := value.N) is not None
        else plain_value(value)
        for value in stored
    ]


def texts_of(stored: list[Value]) -> list[str]:
    """The texts of a stored list; `ValueError` if it holds anything else."""
    texts: list[str] = [value.S for value in stored]
    return _whole(texts)


def integers_of(stored: list[Value]) -> list[int]:
    """The whole numbers of a stored list; `ValueError` if it holds anything else."""
    numbers: list[str] = [value.N for value in stored]
    return list(map(parse_integer, _whole(numbers)))


def named_texts_of(stored: dict[str, Value]) -> dict[str, str]:
    """The texts of a stored map; `ValueError` if it holds anything else."""
    texts: dict[str, str] = {name: value.S for name, value in stored.items()}
    _whole(list(texts.values()))
    return texts


def _whole(contents: list[T]) -> list[T]:
    if None in contents:
        raise ValueError("a part of another type than the others")
    return contents


def plain_value(value: Value) -> object:
    """The plain value of a stored value; `fields.documents.from_document` does the same for dicts."""
    if value.N is not None:
        return parse_number(value.N)
    if value.M is not None:
        return plain_map(value.M)
    if value.L is not None:
        return plain_list(value.L)
    if value.NULL:
        return None
    if value.NS is not None:
        return {parse_number(text) for text in value.NS}
    members: Sequence[str] | Sequence[bytes] | None = value.SS if value.SS is not None else value.BS
    if members is not None:
        return set(members)
    for scalar in (value.S, value.BOOL, value.B):
        if scalar is not None:
            return scalar
    raise ValueError("a stored value without a type")


ROW_READERS: dict[str, object] = {
    "_map": plain_map,
    "_list": plain_list,
    "_texts": texts_of,
    "_integers": integers_of,
    "_named_texts": named_texts_of,
}
"""The functions that read parts of rows in decoders, by the names that the compiled code of fields uses."""
