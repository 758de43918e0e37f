"""Decoder and encoder of a model, compiled from its fields.

The functions of a model are written as source text and compiled once, because a loop over a table of fields
would be slower. The source contains the built-in conversions of fields. Conversions of users' own field classes
are called.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

from dynamo_bao.dynamodb.document_diff import is_alike
from dynamo_bao.dynamodb.items import Row
from dynamo_bao.dynamodb.layout import INDEX_IDS, PK, SK, slot_of
from dynamo_bao.dynamodb.service import (
    MAX_ITEM_BYTES,
    MAX_PARTITION_KEY_BYTES,
    MAX_SORT_KEY_BYTES,
    AttributeValue,
    Item,
)
from dynamo_bao.errors import BaoError, DataFormatError, ValidationError
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.compiler import NAMES, acceptable_expr_of, compiled, defines_last, encodes_by_expr
from dynamo_bao.runtime.foreign_errors import require_data_error
from dynamo_bao.runtime.json import dumps

STATE: Final = "_bao_state"
"""The key of the state in an instance's ``__dict__``. The values of the fields follow it."""
Decode = Callable[[Item, Any, Mapping[str, Any]], dict[str, Any]]
DecodeRow = Callable[[Row, Any, Mapping[str, Any]], dict[str, Any]]
Encode = Callable[[Mapping[str, Any]], Item]
InvalidNames = Callable[[Mapping[str, Any]], list[str]]
Store = Callable[[dict[str, Any]], Item | None]


class Differing(Protocol):
    """A compiled comparison; see `compile_differing`."""

    def __call__(
        self, values: Mapping[str, Any], item: Item, accepted: dict[str, object] | None = None, /
    ) -> dict[str, object] | None:
        """The fields that differ, by name."""
        ...


_TYPE_READ = re.compile(r"\{([A-Z]+)\}")
TYPES: Final = ("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "M", "L")
KEYS_BYTES = (len(INDEX_IDS) + 2) * (MAX_PARTITION_KEY_BYTES + MAX_SORT_KEY_BYTES + 64)
"""Upper bound, in bytes, for the keys of an item with their names: of the table, the indexes and iteration."""
IMMUTABLE = (str, int, float, bool, bytes, Decimal, type(None))
SCALARS = frozenset((*IMMUTABLE, uuid.UUID, datetime, date, time, timedelta))
"""Types whose values cannot change in place, and are compared as they are."""
ABSENT: Final = object()
"""The value of a field that cannot read its stored value, or that has none."""


def compile_decoder(model: str, fields: Iterable[Field], keys: Sequence[str]) -> Decode:
    """Compiles ``decode(item, state, key_values)``, which returns the state and the value of every field by name.

    The result can be the ``__dict__`` of an instance. The function first assumes that every required attribute
    exists and that whole numbers are whole. If that is wrong, it decodes the item again, field by field. A field
    that cannot read its stored value is then left out, and ``state.bad`` has the stored value by the field's name.

    Args:
        model: the model's name.
        fields: its fields.
        keys: names of key fields, which come first. Their values are those in ``key_values``, because an item is
            identified by its key and not by its other attributes.
    """
    sorted_fields = _keys_first(fields, keys)
    names = {**NAMES, "careful": _careful_decoder(sorted_fields, keys)}
    source = _fast_source(sorted_fields, keys, names, False)
    decode: Decode = compiled(source, f"decoder of {model}", names)["decode"]
    return decode


def _careful_decoder(fields: Sequence[Field], keys: Sequence[str]) -> Decode:
    """A ``decode`` that reads each field by itself. Few items need it, so it is not compiled."""
    exact_values = {
        field.name: _exact_value_function(field)
        for field in fields
        if field.name in keys and not is_its_key(field)
    }

    def decode_carefully(item: Item, state: Any, key_values: Mapping[str, object]) -> dict[str, object]:
        values, bad = {STATE: state}, dict[str, AttributeValue]()
        for field in fields:
            name, attribute = field.name, field.attribute
            if name in exact_values:
                values[name] = exact_values[name](item.get(attribute), key_values[name])
            elif name in keys:
                values[name] = key_values[name]
            else:
                value = loaded_value(field, item)
                if value is ABSENT:
                    bad[name] = item[attribute]
                else:
                    values[name] = value
        if bad and state is not None:
            state.bad = bad
        return values

    return decode_carefully


def loaded_value(field: Field, item: Item) -> object:
    """The value of a field that is not part of the key; `ABSENT` if the field cannot read its stored value."""
    stored = item.get(field.attribute)
    if stored is None:
        return field.missing_value()
    try:
        return field.from_dynamo(stored)
    except Exception as error:
        require_data_error(error)
        return None if field.nullable and stored == {"NULL": True} else ABSENT


def _key_value(field: Field, number: int, names: dict[str, object]) -> str:
    """An expression for a key field's value.

    For built-in kinds, the text of the key gives the value, which is in ``key_values``. For other kinds the
    attribute may be more exact than the text. Then the attribute is used if it agrees with the key.
    """
    if is_its_key(field):
        return f"key_values[{field.name!r}]"
    names[f"key{number}"] = _exact_value_function(field)
    return f"key{number}(get({field.attribute!r}), key_values[{field.name!r}])"


def is_its_key(field: Field) -> bool:
    """Whether the text of a key always gives the exact value of the field."""
    kind = type(field)
    return field.whole_in_key and all(
        getattr(kind, method).__module__.startswith("dynamo_bao.") for method in _KEY_CONVERSIONS
    )


_KEY_CONVERSIONS = (
    "to_key",
    "from_key",
    "to_javascript_key",
    "from_javascript_key",
    "to_dynamo",
    "from_dynamo",
)


def _exact_value_function(field: Field) -> Callable[[AttributeValue | None, Any], object]:
    """A function that returns the exact value of a key field, from its attribute and the value of the key's text."""
    text_of = field.to_javascript_key if field.javascript_safe else field.to_key

    def exact(attribute: AttributeValue | None, key_value: object) -> object:
        if attribute is None:
            return key_value
        try:
            value = field.from_dynamo(attribute)
            return value if text_of(value) == text_of(key_value) else key_value
        except Exception as error:
            require_data_error(error)
            return key_value

    return exact


def compile_row_decoder(
    model: str, fields: Iterable[Field], keys: Sequence[str], decode: Decode
) -> DecodeRow:
    """Compiles the decoder of rows. Values that its fast check does not accept go to `decode`."""
    # Imported here: it takes a compiled module, needed only once there are rows.
    from dynamo_bao.dynamodb.rows import ROW_READERS, attribute_of, item_of

    names = {**NAMES, **ROW_READERS, "_attribute": attribute_of}
    names["_attribute_or_none"] = lambda value: None if value is None else attribute_of(value)
    names |= {"_item": item_of, "_decode": decode}
    source = _fast_source(_keys_first(fields, keys), keys, names, True)
    decode_row: DecodeRow = compiled(source, f"row decoder of {model}", names)["decode"]
    return decode_row


def compile_differing(model: str, fields: Iterable[Field]) -> Differing:
    """Compiles ``differing(values, item)``: the fields whose value is not the one that decoding gives, with that one.

    A value that is not the same, in type too, may still have the same stored form. The function returns None if a
    field has no value, or cannot read its stored value. A third argument, a dict, gets the values that have certainly
    changed, and that their fields accept as they are.
    """
    missing: dict[str, AttributeValue] = {}
    names: dict[str, object] = {**NAMES, "_SCALARS": SCALARS, "_is_alike": is_alike, "_missing": missing}
    lines = ["    unequal = {}", "    try:", "        get = item.get"]
    for number, field in enumerate(fields):
        of, attribute = f"values[{field.name!r}]", field.attribute
        acceptable = acceptable_expr_of(field, "v")
        note_change = [f"                unequal[{field.name!r}] = w"]
        if acceptable is not None:
            note_change += [
                f"                if accepted is not None and type(w) in _SCALARS and ({acceptable}):",
                f"                    accepted[{field.name!r}] = v",
            ]
        stored_missing = _stored_missing(field)
        if stored_missing is None:
            stored, absent = _usual(_decoded(field, "s", number, names)), _absent(field, number, names)
            lines.append(f"        v, s = {of}, get({attribute!r})")
            lines.append(f"        w = {absent} if s is None else {stored}")
            lines += ["        if v is not w:", f"            if not ({_SAME}):", *note_change]
        else:
            missing[attribute] = stored_missing
            stored = _usual(_decoded(field, f"item[{attribute!r}]", number, names))
            lines += [f"        if {of} is not {stored}:", f"            v, w = {of}, {stored}"]
            lines += [f"            if not ({_SAME}):", *note_change]
    differing: Differing = compiled(
        _DIFFERING.format(lines="\n".join(lines)), f"comparison of {model}", names
    )["differing"]
    return differing


_DIFFERING = """def differing(values, item, accepted=None):
{lines}
    except KeyError:
        return None if item.keys() >= _missing.keys() else differing(values, {{**_missing, **item}}, accepted)
    except Exception as error:
        _require_data_error(error)
        return None
    return unequal
"""


def _stored_missing(field: Field) -> AttributeValue | None:
    """What stands for a missing attribute of a field that stores one for every value. None for other fields."""
    code = _type_of(field)
    if code is None or field.nullable or field.empty_expr is not None:
        return None
    value = field.missing_value()
    if value is None:
        return {code: None}
    return field.to_dynamo(value) if isinstance(value, IMMUTABLE) else None


_SAME = "type(v) is type(w) and (v == w if type(v) in _SCALARS else _is_alike(v, w))"
"""`is_same` as source."""


def is_same(value: object, other: object) -> bool:
    """Whether two values of a field are certainly the same, in type too."""
    if value is other:
        return True
    kind = type(value)
    return kind is type(other) and (bool(value == other) if kind in SCALARS else is_alike(value, other))


def is_converted(value: object, accepted: object) -> bool:
    """Whether accepting a value has made another one of it. If not, the program keeps its own list, map or set."""
    if type(value) is set and type(accepted) is set:
        return value != accepted
    return not is_alike(value, accepted)


def row_attributes(fields: Iterable[Field]) -> dict[str, str | None]:
    """The attributes of some fields, each with the type of its values in a row. None means any type."""
    return {field.attribute: _type_of(field) for field in fields}


def _type_of(field: Field) -> str | None:
    """The attribute type that `decode_expr` reads. None if the field has its own `from_dynamo`."""
    if field.decode_expr is None or not defines_last(type(field), "from_dynamo", "decode_expr"):
        return None
    (code,) = set(_TYPE_READ.findall(field.decode_expr))
    return str(code)


def _keys_first(fields: Iterable[Field], keys: Sequence[str]) -> list[Field]:
    """The fields, with those of the key first."""
    positions = {name: number for number, name in enumerate(keys)}
    return sorted(fields, key=lambda field: positions.get(field.name, len(positions)))


def _fast_source(fields: Iterable[Field], keys: Sequence[str], names: dict[str, object], rows: bool) -> str:
    """The source of the fast decoder. After any exception it leaves the item to the careful decoder."""
    entries = [f"{STATE!r}: state"]
    for number, field in enumerate(fields):
        attribute = field.attribute
        if field.name in keys:
            value = _key_value(field, number, names)
            if rows and not is_its_key(field):
                value = (
                    f"key{number}(_attribute_or_none(item.{slot_of(attribute)}), key_values[{field.name!r}])"
                )
        elif field.nullable or field.missing_value() is not None:
            of = f"item.{slot_of(attribute)}" if rows else f"get({attribute!r})"
            value, absent = _usual(_decoded(field, "v", number, names, rows)), _absent(field, number, names)
            value = f"{value} if (v := {of}) is not None else {absent}"
        else:
            of = f"item.{slot_of(attribute)}" if rows else f"item[{attribute!r}]"
            value = _usual(_decoded(field, of, number, names, rows))
        entries.append(f"{field.name!r}: {value}")
    return _DECODER.format(
        entries=", ".join(entries),
        get="" if rows else "    get = item.get\n",
        careful="_decode(_item(item)" if rows else "careful(item",
    )


_DECODER = """def decode(item, state, key_values):
{get}    try:
        return {{{entries}}}
    except Exception as error:
        _require_data_error(error)
    return {careful}, state, key_values)
"""


def _decoded(field: Field, of: str, number: int, names: dict[str, object], rows: bool = False) -> str:
    """An expression for a field's value. `of` is the expression for its stored value: a dict, or a row's value."""
    if field.decode_expr is not None and _type_of(field) is not None:
        return field.decode_expr.format(
            **{code: f"{of}.{code}" if rows else f'{of}["{code}"]' for code in TYPES}
        )
    names[f"f{number}"] = field.from_dynamo
    return f"f{number}(_attribute({of}))" if rows else f"f{number}({of})"


def _usual(decoded: str) -> str:
    """The source of a decoded value, for whole numbers in their usual form. Other forms raise, and take slower code."""
    return decoded.replace("_int(", "int(")


def compile_encoder(model: str, fields: Iterable[Field]) -> Encode:
    """Compiles ``encode(values)``, which returns the stored attributes of a model's values."""
    lines, names = ["def encode(values):", "    item = {}"], dict(NAMES)
    for number, field in enumerate(fields):
        lines.append(f"    v = values[{field.name!r}]")
        lines += _put_lines(field, number, names, "v")
    lines.append("    return item")
    encode: Encode = compiled("\n".join(lines), f"encoder of {model}", names)["encode"]
    return encode


def _put_lines(field: Field, number: int, names: dict[str, object], of: str) -> list[str]:
    """Lines that put the stored form of the variable `of`, which may be None, into ``item``."""
    value = _encoded(field, number, names, of)
    if value.startswith(f"f{number}("):  # the field's own function, which may return None
        line = f"item[{field.attribute!r}] = stored"
        return [f"    stored = None if {of} is None else {value}", f"    if stored is not None: {line}"]
    empty = "" if field.empty_expr is None else f" and not ({field.empty_expr.format(v=of)})"
    return [f"    if {of} is not None{empty}: item[{field.attribute!r}] = {value}"]


def compile_store(model: str, fields: Collection[Field]) -> Store:
    """Compiles ``store(values)``, which accepts and encodes the values of a model in one pass.

    The function returns the item without its keys. If a value fails the fast check, or the item may be too large, it
    returns None and changes nothing. The slow way then raises the errors.
    A value that its field has converted is replaced in `values`.
    """
    names = {
        **NAMES,
        "_ValidationError": ValidationError,
        "_is_small": is_small,
        "_is_converted": is_converted,
    }
    reads, checks, accept_lines, write_back_lines, optional_lines = (
        [],
        [],
        list[str](),
        list[str](),
        list[str](),
    )
    fixed_members, lengths = [f"{PK!r}: None", f"{SK!r}: None"], list[str | None]()
    for number, field in enumerate(fields):
        v, check = f"v{number}", acceptable_expr_of(field, f"v{number}")
        reads.append(f"        {v} = values[{field.name!r}]")
        if check is not None:
            checks.append(f"({check})")
        else:
            names[f"accept{number}"] = field.accept
            accept_lines.append(f"        {v} = accept{number}({v})")
            of = f"values[{field.name!r}]"
            write_back_lines.append(f"    if _is_converted({of}, {v}): {of} = {v}")
        value = _encoded(field, number, names, v)
        is_called = check is None or value.startswith(f"f{number}(")
        if is_called or field.nullable or field.empty_expr is not None:
            optional_lines += _put_lines(field, number, names, v)
        else:
            fixed_members.append(f"{field.attribute!r}: {value}")
        lengths.append(None if is_called else _max_length_expr(field, v))
    small_expr, measure_lines = _size_check(fields, lengths)
    lines = ["def store(values):", "    try:", *reads]
    lines += [f"        if not ({' and '.join([*checks, small_expr])}): return None", *accept_lines]
    lines += ["    except (KeyError, _ValidationError):", "        return None"]
    lines += [
        f"    item = {{{', '.join(fixed_members)}}}",
        *optional_lines,
        *measure_lines,
        *write_back_lines,
        "    return item",
    ]
    store: Store = compiled("\n".join(lines), f"storing of {model}", names)["store"]
    return store


def _max_length_expr(field: Field, of: str) -> str | None:
    """An expression for the greatest possible length of the stored form of the variable `of`."""
    if field.max_length_expr is None or not field.nullable:
        return None if field.max_length_expr is None else field.max_length_expr.format(v=of)
    return f"(0 if {of} is None else {field.max_length_expr.format(v=of)})"


def _size_check(fields: Collection[Field], lengths: list[str | None]) -> tuple[str, list[str]]:
    """The check that an item is small enough: an expression of its values, or lines that measure the item.

    The expression counts four bytes for each character, and leaves room for keys and index keys.
    """
    bounds = [length for length in lengths if length is not None]
    if len(bounds) < len(lengths):
        return "True", ["    if not _is_small(item): return None"]
    fixed_length = sum(len(field.attribute) for field in fields)
    fixed_length += sum(int(length) for length in bounds if length.isdigit())
    room = (MAX_ITEM_BYTES - KEYS_BYTES) // 4 - fixed_length
    return f"{' + '.join(length for length in bounds if not length.isdigit()) or 0} < {room}", []


def is_small(item: Item | tuple[Item, ...]) -> bool:
    """Whether an item, or one of several parts, is certainly under the limit.

    Its JSON is always longer than what DynamoDB counts.
    """
    try:
        return len(dumps(item)) <= MAX_ITEM_BYTES - KEYS_BYTES
    except TypeError:
        return False


def compile_invalid_names(model: str, fields: Iterable[Field]) -> InvalidNames:
    """Compiles ``invalid_names(values)``, which names the fields whose values need `Field.accept`.

    `values` must have all fields. The other values are already as `Field.accept` would return them.
    """
    lines, names = ["def invalid_names(values):", "    names = []"], dict(NAMES)
    for field in fields:
        check = acceptable_expr_of(field, "v")
        if check is None:
            lines.append(f"    names.append({field.name!r})")
            continue
        lines.append(f"    v = values[{field.name!r}]")
        lines.append(f"    if not ({check}): names.append({field.name!r})")
    lines.append("    return names")
    invalid_names: InvalidNames = compiled("\n".join(lines), f"acceptor of {model}", names)["invalid_names"]
    return invalid_names


def _encoded(field: Field, number: int, names: dict[str, object], of: str) -> str:
    """An expression for the stored form of the variable `of`. It calls `to_dynamo` if a subclass changed the method."""
    if field.encode_expr is not None and encodes_by_expr(field):
        return field.encode_expr.format(v=of)
    names[f"f{number}"] = _typed(field)
    return f"f{number}({of})"


def _typed(field: Field) -> Callable[[Any], AttributeValue | None]:
    """`field.to_dynamo` as a function that always returns typed values. A user's field may return a plain text."""

    def convert(value: object) -> AttributeValue | None:
        form = field.to_dynamo(value)
        return {"S": form} if isinstance(form, str) else form

    return convert


def _absent(field: Field, number: int, names: dict[str, object]) -> str:
    value = field.missing_value()
    if isinstance(value, IMMUTABLE):
        names[f"a{number}"] = value
        return f"a{number}"
    names[f"a{number}"] = field.missing_value
    return f"a{number}()"


def unreadable(model: str, key: str, field: Field, attribute: AttributeValue) -> DataFormatError:
    """The error for a field that cannot read its stored value. Its cause says why."""
    cause: Exception | None = None
    try:
        field.from_dynamo(attribute)
    except Exception as exception:
        require_data_error(exception)
        cause = exception
    detail = str(cause) if isinstance(cause, BaoError) else type(cause).__name__
    code = "/".join(attribute) if isinstance(attribute, Mapping) else type(attribute).__name__
    error = DataFormatError(
        f"{model} {key!r}: the stored attribute {field.attribute!r} of type {code} is not what "
        f"{type(field).__name__} {field.name!r} reads ({detail}). Assign the field a value and save, repair the item "
        f"with 'bao doctor --fix', or correct the class of the field.",
        model=model,
        key=key,
        field=field.name,
    )
    error.__cause__ = cause
    return error
