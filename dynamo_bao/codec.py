"""Decoder and encoder of a model, compiled from its fields.

For each model two functions are written out as source and compiled once, so that no item is interpreted
against a table of fields. Fields that keep the built-in conversions are inlined; own ones are called.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from dynamo_bao.errors import BaoError, DataFormatError
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.moments import EPOCH
from dynamo_bao.numbers import float_text, number_text, parse_integer
from dynamo_bao.wire import AttributeValue, Item

STATE: Final = "_bao_state"
"""Under which name an instance's ``__dict__`` holds its state, ahead of the values of its fields."""
Decode = Callable[[Item, Any, Mapping[str, Any]], dict[str, Any]]
Encode = Callable[[Mapping[str, Any]], Item]
Unsure = Callable[[Mapping[str, Any]], list[str]]

_NAMES: dict[str, Any] = {
    "_int": parse_integer,
    "_float_text": float_text,
    "_number_text": number_text,
    "_Decimal": Decimal,
    "_UUID": uuid.UUID,
    "_EPOCH": EPOCH,
    "_datetime": datetime,
    "_utc": timezone.utc,
    "_timedelta": timedelta,
    "_MILLISECOND": timedelta(milliseconds=1),
    "_SECOND": timedelta(seconds=1),
}
_IMMUTABLE = (str, int, float, bool, bytes, Decimal, type(None))


def compile_decoder(model: str, fields: Iterable[Field], keys: Sequence[str]) -> Decode:
    """A function ``decode(item, state, known)`` that gives a state and the value of every field, by name.

    The result is what an instance can have as its ``__dict__``, made in one piece. The function first takes for
    granted that what is required is there, and that a number that should be whole is; where that does not hold,
    the item is decoded anew, field by field and with care.

    Args:
        keys: names of key fields, which come first, and have the value that they have in ``known``, if any, where
            the item does not have them.
    """
    names = dict(_NAMES)
    careful = ["def careful(item, state, known):", "    get = item.get", f"    out = {{{STATE!r}: state}}"]
    entries = [f"{STATE!r}: state"]
    place = {name: number for number, name in enumerate(keys)}
    for number, field in enumerate(sorted(fields, key=lambda field: place.get(field.name, len(place)))):
        name, attribute = field.name, field.attribute
        value = _inline(field, "from_dynamo", field.decode_source, f"f{number}", names)
        absent = _absent(field, number, names)
        careful.append(f"    v = get({attribute!r})")
        if name in keys:
            careful.append(f"    if v is not None: out[{name!r}] = {value}")
            careful.append(f"    elif {name!r} in known: out[{name!r}] = known[{name!r}]")
        else:
            careful.append(f"    out[{name!r}] = {value} if v is not None else {absent}")
        if field.nullable or field.absent() is not None:
            entries.append(f"{name!r}: {value} if (v := get({attribute!r})) is not None else {absent}")
        else:
            there = _inline(
                field, "from_dynamo", field.decode_source, f"f{number}", names, f"item[{attribute!r}]"
            )
            entries.append(f"{name!r}: {there.replace('_int(', 'int(')}")
    source = _DECODER.format(careful="\n".join(careful), entries=", ".join(entries))
    decode: Decode = _compiled(source, f"decoder of {model}", names)["decode"]
    return decode


_DECODER = """{careful}
    return out
def decode(item, state, known):
    get = item.get
    try:
        return {{{entries}}}
    except Exception:
        pass
    return careful(item, state, known)
"""


def compile_encoder(model: str, fields: Iterable[Field]) -> Encode:
    """A function ``encode(values)`` that gives the stored attributes of a model's values."""
    lines, names = ["def encode(values):", "    item = {}"], dict(_NAMES)
    for number, field in enumerate(fields):
        lines.append(f"    v = values[{field.name!r}]")
        value = _inline(field, "to_dynamo", field.encode_source, f"f{number}", names)
        lines.append("    if v is not None:")
        if value.startswith("f"):
            lines.append(f"        v = {value}")
            lines.append(f"        if v is not None: item[{field.attribute!r}] = v")
        else:
            lines.append(f"        item[{field.attribute!r}] = {value}")
    lines.append("    return item")
    encode: Encode = _compiled("\n".join(lines), f"encoder of {model}", names)["encode"]
    return encode


def compile_unsure(model: str, fields: Iterable[Field]) -> Unsure:
    """A function ``unsure(values)`` that names the fields whose values are not at first sight acceptable as they are.

    The values of all fields must be there. Those not named are what `Field.accept` would return for them.
    """
    lines, names = ["def unsure(values):", "    names = []"], dict(_NAMES)
    for field in fields:
        fine = fine_source_of(field)
        if fine is None:
            lines.append(f"    names.append({field.name!r})")
            continue
        nullable = "v is None or " if field.nullable else ""
        lines.append(f"    v = values[{field.name!r}]")
        lines.append(f"    if not ({nullable}{fine.format(v='v')}): names.append({field.name!r})")
    lines.append("    return names")
    unsure: Unsure = _compiled("\n".join(lines), f"acceptor of {model}", names)["unsure"]
    return unsure


def fine_source_of(field: Field) -> str | None:
    """The field's `fine_source`; None also where a subclass accepts values in its own way."""
    own = all(
        _defines_last(type(field), method, "fine_source") for method in ("accept", "normalise", "validate")
    )
    return field.fine_source() if own else None


def _inline(
    field: Field, method: str, source: str | None, call: str, names: dict[str, Any], of: str = "v"
) -> str:
    """The conversion of the expression `of` as source: a field's own, unless a subclass changed the method."""
    if source is not None and _defines_last(type(field), method, _SOURCES[method]):
        return source.format(v=of)
    names[call] = _typed(field) if method == "to_dynamo" else field.from_dynamo
    return f"{call}({of})"


def is_plain(field: Field) -> bool:
    """Whether decoding what a field stores gives the accepted value back for certain: of the built-in kinds all
    but documents."""
    kind = type(field)
    return field.decode_source is not None and all(
        _defines_last(kind, method, "decode_source") for method in ("to_dynamo", "from_dynamo")
    )


_SOURCES = {"to_dynamo": "encode_source", "from_dynamo": "decode_source"}


def _defines_last(kind: type, method: str, source: str) -> bool:
    """Whether the class that defines `method` is not below the one that defines its source."""
    for base in kind.__mro__:
        if source in vars(base):
            return True
        if method in vars(base):
            return False
    return False


def _typed(field: Field) -> Callable[[Any], AttributeValue | None]:
    """`field.to_dynamo`, which own fields may let return a plain text instead of a typed value."""

    def convert(value: Any) -> AttributeValue | None:
        stored = field.to_dynamo(value)
        return {"S": stored} if isinstance(stored, str) else stored

    return convert


def _absent(field: Field, number: int, names: dict[str, Any]) -> str:
    value = field.absent()
    if isinstance(value, _IMMUTABLE):
        names[f"a{number}"] = value
        return f"a{number}"
    names[f"a{number}"] = field.absent
    return f"a{number}()"


def _compiled(source: str, what: str, names: dict[str, Any]) -> dict[str, Any]:
    exec(compile(source, f"<dynamo_bao {what}>", "exec"), names)  # noqa: S102  # source is made above, of names only
    return names


def undecodable(
    model: str, key: str, fields: Iterable[Field], item: Item, cause: Exception
) -> DataFormatError:
    """The error for an item that the decoder could not read, naming the field that is at fault."""
    for field in fields:
        stored = item.get(field.attribute or field.name)
        if stored is None:
            continue
        try:
            field.from_dynamo(stored)
        except Exception as error:
            detail = str(error) if isinstance(error, BaoError) else type(error).__name__
            return DataFormatError(
                f"{model} {key}: the stored attribute {field.attribute!r} of type {'/'.join(stored)} is not what "
                f"{type(field).__name__} {field.name!r} reads ({detail}). Correct the item or the field's kind.",
                model=model,
                key=key,
                field=field.name,
            )
    return DataFormatError(f"{model} {key}: the stored item cannot be read ({cause}).", model=model, key=key)


def same_stored(one: AttributeValue | None, other: AttributeValue | None) -> bool:
    """Whether two stored values are the same to DynamoDB: sets without order, numbers by value."""
    if one == other:
        return True
    if one is None or other is None or one.keys() != other.keys():
        return False
    ((code, left),) = one.items()
    right = other[code]
    if code == "N":
        return Decimal(left) == Decimal(right)
    if code == "NS":
        return {Decimal(n) for n in left} == {Decimal(n) for n in right}
    if code in ("SS", "BS"):
        return set(left) == set(right)
    if code == "L":
        return len(left) == len(right) and all(map(same_stored, left, right))
    if code == "M":
        return left.keys() == right.keys() and all(same_stored(left[name], right[name]) for name in left)
    return False
