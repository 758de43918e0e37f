"""Decoder and encoder of a model, compiled from its fields.

For each model two functions are written out as source and compiled once, so that no item is interpreted
against a table of fields. Fields that keep the built-in conversions are inlined; own ones are called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from dynamo_bao.dynamodb.items import Stored
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

STATE: Final = "_bao_state"
"""Under which name an instance's ``__dict__`` holds its state, ahead of the values of its fields."""
Decode = Callable[[Stored, Any, Mapping[str, Any]], dict[str, Any]]
Encode = Callable[[Mapping[str, Any]], Item]
InvalidNames = Callable[[Mapping[str, Any]], list[str]]
Store = Callable[[dict[str, Any]], Item | None]

_TYPE_READ = re.compile(r"\{([A-Z]+)\}")
TYPES: Final = ("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "M", "L")
KEYS_BYTES = (len(INDEX_IDS) + 2) * (MAX_PARTITION_KEY_BYTES + MAX_SORT_KEY_BYTES + 64)
"""How much of an item its keys take at most: of the table, the indexes and iteration, with their names."""
IMMUTABLE = (str, int, float, bool, bytes, Decimal, type(None))


def compile_decoder(model: str, fields: Iterable[Field], keys: Sequence[str]) -> Decode:
    """A function ``decode(item, state, _instance_for)`` that gives a state and the value of every field, by name.

    The result is what an instance can have as its ``__dict__``, made in one piece. The function first takes for
    granted that what is required is there, and that a number that should be whole is; where that does not hold,
    the item is decoded again, field by field and with care. A field that cannot read what is stored of it is then
    left out; ``state.bad`` says what is stored, by the field's name.

    Args:
        keys: names of key fields, which come first; their values are those in ``_instance_for``, as the item's key says
            which item it is, and not its attributes.
    """
    ordered = _in_order(fields, keys)
    careful: list[Decode] = []

    def with_care(item: Stored, state: Any, known: Mapping[str, Any]) -> dict[str, Any]:
        if not careful:
            careful.append(_careful_decoder(model, ordered, keys))
        return careful[0](item, state, known)

    names = {**NAMES, "careful": with_care}
    source = _at_a_glance(ordered, keys, names, False)
    decode: Decode = compiled(source, f"decoder of {model}", names)["decode"]
    return decode


def _careful_decoder(model: str, fields: Sequence[Field], keys: Sequence[str]) -> Decode:
    """A function ``decode`` that reads each field by itself."""
    names = dict(NAMES)
    lines = [
        "def decode(item, state, known):",
        "    get, bad = item.get, {}",
        f"    out = {{{STATE!r}: state}}",
    ]
    for number, field in enumerate(fields):
        if field.name in keys:
            lines.append(f"    out[{field.name!r}] = {_key_value(field, number, names)}")
        else:
            lines += [f"    {line}" for line in _careful_lines(field, number, names)]
    lines += ["    if bad and state is not None: state.bad = bad", "    return out"]
    decode: Decode = compiled("\n".join(lines), f"careful decoder of {model}", names)["decode"]
    return decode


def _careful_lines(field: Field, number: int, names: dict[str, Any]) -> list[str]:
    """Lines that put a field's value into ``out``, or what is stored of it into ``bad``."""
    name = field.name
    lines = [
        f"v = get({field.attribute!r})",
        f"if v is None: out[{name!r}] = {_absent(field, number, names)}",
        "else:",
        f"    try: out[{name!r}] = {_decoded(field, 'v', number, names)}",
    ]
    lines += ["    except Exception as error:", "        _require_data_error(error)"]
    if not field.nullable:
        return [*lines, f"        bad[{name!r}] = v"]
    return [
        *lines,
        f"        if v == {{'NULL': True}}: out[{name!r}] = None",
        f"        else: bad[{name!r}] = v",
    ]


def _key_value(field: Field, number: int, names: dict[str, Any]) -> str:
    """An expression of a key field's value, which ``_instance_for`` has.

    The text of a built-in kind's key says its value. That of another kind may say less than its attribute, which is
    taken where it is what the key says.
    """
    if is_its_key(field):
        return f"known[{field.name!r}]"
    names[f"key{number}"] = _as_key_says(field)
    return f"key{number}(get({field.attribute!r}), known[{field.name!r}])"


def is_its_key(field: Field) -> bool:
    """Whether the text of a key is for certain all that a field's value is."""
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


def _as_key_says(field: Field) -> Callable[[AttributeValue | None, Any], Any]:
    """A function of what is stored of a key field, and the value that the key says, that gives the exact value."""
    text_of = field.to_javascript_key if field.javascript_safe else field.to_key

    def exact(stored: AttributeValue | None, known: Any) -> Any:
        if stored is None:
            return known
        try:
            value = field.from_dynamo(stored)
            return value if text_of(value) == text_of(known) else known
        except Exception as error:
            require_data_error(error)
            return known

    return exact


def compile_row_decoder(model: str, fields: Iterable[Field], keys: Sequence[str], decode: Decode) -> Decode:
    """Compiles the decoder of rows. Values that its fast check does not accept go to `decode`."""
    # Imported here: it takes a compiled module, needed only once there are rows.
    from dynamo_bao.dynamodb.rows import ROW_READERS, attribute_of, item_of

    names = {**NAMES, **ROW_READERS, "_attribute": attribute_of}
    names["_attribute_or_none"] = lambda value: None if value is None else attribute_of(value)
    names |= {"_item": item_of, "_decode": decode}
    source = _at_a_glance(_in_order(fields, keys), keys, names, True)
    decode_row: Decode = compiled(source, f"row decoder of {model}", names)["decode"]
    return decode_row


def row_attributes(fields: Iterable[Field]) -> dict[str, str | None]:
    """The attributes of some fields, each with the type its values have in a row; None for any."""
    return {str(field.attribute): _type_of(field) for field in fields}


def _type_of(field: Field) -> str | None:
    """The attribute type that `decode_expr` reads. None if the field has its own `from_dynamo`."""
    if field.decode_expr is None or not defines_last(type(field), "from_dynamo", "decode_expr"):
        return None
    (code,) = set(_TYPE_READ.findall(field.decode_expr))
    return str(code)


def _in_order(fields: Iterable[Field], keys: Sequence[str]) -> list[Field]:
    """The fields, those of the key first."""
    place = {name: number for number, name in enumerate(keys)}
    return sorted(fields, key=lambda field: place.get(field.name, len(place)))


def _at_a_glance(fields: Iterable[Field], keys: Sequence[str], names: dict[str, Any], rows: bool) -> str:
    """A function ``decode`` that takes for granted what is nearly always so, and leaves all else to another."""
    entries = [f"{STATE!r}: state"]
    for number, field in enumerate(fields):
        attribute = str(field.attribute)
        if field.name in keys:
            value = _key_value(field, number, names)
            if rows and not is_its_key(field):
                value = f"key{number}(_attribute_or_none(item.{slot_of(attribute)}), known[{field.name!r}])"
        elif field.nullable or field.missing_value() is not None:
            of = f"item.{slot_of(attribute)}" if rows else f"get({attribute!r})"
            value, absent = _decoded(field, "v", number, names, rows), _absent(field, number, names)
            value = f"{value} if (v := {of}) is not None else {absent}"
        else:
            of = f"item.{slot_of(attribute)}" if rows else f"item[{attribute!r}]"
            value = _decoded(field, of, number, names, rows).replace("_int(", "int(")
        entries.append(f"{field.name!r}: {value}")
    return _DECODER.format(
        entries=", ".join(entries),
        get="" if rows else "    get = item.get\n",
        careful="_decode(_item(item)" if rows else "careful(item",
    )


_DECODER = """def decode(item, state, known):
{get}    try:
        return {{{entries}}}
    except Exception as error:
        _require_data_error(error)
    return {careful}, state, known)
"""


def _decoded(field: Field, of: str, number: int, names: dict[str, Any], rows: bool = False) -> str:
    """An expression of a field's value, where the expression `of` is what is stored of it: a dict, or a row's value."""
    if field.decode_expr is not None and _type_of(field) is not None:
        return field.decode_expr.format(
            **{code: f"{of}.{code}" if rows else f'{of}["{code}"]' for code in TYPES}
        )
    names[f"f{number}"] = field.from_dynamo
    return f"f{number}(_attribute({of}))" if rows else f"f{number}({of})"


def compile_encoder(model: str, fields: Iterable[Field]) -> Encode:
    """A function ``encode(values)`` that gives the stored attributes of a model's values."""
    lines, names = ["def encode(values):", "    item = {}"], dict(NAMES)
    for number, field in enumerate(fields):
        lines.append(f"    v = values[{field.name!r}]")
        lines += _put_lines(field, number, names, "v")
    lines.append("    return item")
    encode: Encode = compiled("\n".join(lines), f"encoder of {model}", names)["encode"]
    return encode


def _put_lines(field: Field, number: int, names: dict[str, Any], of: str) -> list[str]:
    """Lines that put the stored form of the variable `of`, which may be None, into ``item``."""
    value = _encoded(field, number, names, of)
    if value.startswith(f"f{number}("):  # by a function of the field, which may give nothing to store
        stored = f"item[{field.attribute!r}] = stored"
        return [f"    stored = None if {of} is None else {value}", f"    if stored is not None: {stored}"]
    empty = "" if field.empty_expr is None else f" and not ({field.empty_expr.format(v=of)})"
    return [f"    if {of} is not None{empty}: item[{field.attribute!r}] = {value}"]


def compile_store(model: str, fields: Collection[Field]) -> Store:
    """Compiles ``store(values)``, which accepts and encodes the values of a model in one pass.

    The function returns the item without its keys. It returns None, and changes nothing, if a value fails the fast
    check or the item may be too large; the slow way then finds the errors.
    Values that fields accept in another form are replaced.
    """
    names = {**NAMES, "_ValidationError": ValidationError, "_is_small": is_small}
    taken, checks, accepted, kept, later = [], [], list[str](), list[str](), list[str]()
    always, lengths = [f"{PK!r}: None", f"{SK!r}: None"], list[str | None]()
    for number, field in enumerate(fields):
        v, fine = f"v{number}", acceptable_expr_of(field, f"v{number}")
        taken.append(f"        {v} = values[{field.name!r}]")
        if fine is not None:
            checks.append(f"({fine})")
        else:
            names[f"accept{number}"] = field.accept
            accepted.append(f"        {v} = accept{number}({v})")
            kept.append(f"    values[{field.name!r}] = {v}")
        value = _encoded(field, number, names, v)
        called = fine is None or value.startswith(f"f{number}(")
        if called or field.nullable or field.empty_expr is not None:
            later += _put_lines(field, number, names, v)
        else:
            always.append(f"{field.attribute!r}: {value}")
        lengths.append(None if called else _max_length_expr(field, v))
    small, measured = _smallness(fields, lengths)
    lines = ["def store(values):", "    try:", *taken]
    lines += [f"        if not ({' and '.join([*checks, small])}): return None", *accepted]
    lines += ["    except (KeyError, _ValidationError):", "        return None"]
    lines += [f"    item = {{{', '.join(always)}}}", *later, *measured, *kept, "    return item"]
    store: Store = compiled("\n".join(lines), f"storing of {model}", names)["store"]
    return store


def _max_length_expr(field: Field, of: str) -> str | None:
    """An expression of how long the stored form of the variable `of` is at most."""
    if field.max_length_expr is None or not field.nullable:
        return None if field.max_length_expr is None else field.max_length_expr.format(v=of)
    return f"(0 if {of} is None else {field.max_length_expr.format(v=of)})"


def _smallness(fields: Collection[Field], lengths: list[str | None]) -> tuple[str, list[str]]:
    """What tells that an item is certainly small: an expression of its values, and lines once there is an item.

    A character has at most four bytes. What keys and index keys need is set aside.
    """
    known = [length for length in lengths if length is not None]
    if len(known) < len(lengths):
        return "True", ["    if not _is_small(item): return None"]
    fixed = sum(len(str(field.attribute)) for field in fields)
    fixed += sum(int(length) for length in known if length.isdigit())
    room = (MAX_ITEM_BYTES - KEYS_BYTES) // 4 - fixed
    return f"{' + '.join(length for length in known if not length.isdigit()) or 0} < {room}", []


def is_small(item: Item) -> bool:
    """Whether an item is certainly under the limit: its JSON is, which is always longer than what DynamoDB counts."""
    # Imported here: a compiled module, needed only once something is written.
    import orjson

    try:
        return len(orjson.dumps(item, default=bytes.hex)) <= MAX_ITEM_BYTES - KEYS_BYTES
    except TypeError:
        return False


def compile_invalid_names(model: str, fields: Iterable[Field]) -> InvalidNames:
    """A function ``invalid_names(values)`` that names the fields whose values may not be acceptable as they are.

    The values of all fields must be there. Those not named are what `Field.accept` would return for them.
    """
    lines, names = ["def invalid_names(values):", "    names = []"], dict(NAMES)
    for field in fields:
        fine = acceptable_expr_of(field, "v")
        if fine is None:
            lines.append(f"    names.append({field.name!r})")
            continue
        lines.append(f"    v = values[{field.name!r}]")
        lines.append(f"    if not ({fine}): names.append({field.name!r})")
    lines.append("    return names")
    invalid_names: InvalidNames = compiled("\n".join(lines), f"acceptor of {model}", names)["invalid_names"]
    return invalid_names


def _encoded(field: Field, number: int, names: dict[str, Any], of: str) -> str:
    """An expression of the stored form of the variable `of`: a field's own, unless a subclass changed the method."""
    if field.encode_expr is not None and encodes_by_expr(field):
        return field.encode_expr.format(v=of)
    names[f"f{number}"] = _typed(field)
    return f"f{number}({of})"


def _typed(field: Field) -> Callable[[Any], AttributeValue | None]:
    """`field.to_dynamo`, which own fields may let return a plain text instead of a typed value."""

    def convert(value: Any) -> AttributeValue | None:
        stored = field.to_dynamo(value)
        return {"S": stored} if isinstance(stored, str) else stored

    return convert


def _absent(field: Field, number: int, names: dict[str, Any]) -> str:
    value = field.missing_value()
    if isinstance(value, IMMUTABLE):
        names[f"a{number}"] = value
        return f"a{number}"
    names[f"a{number}"] = field.missing_value
    return f"a{number}()"


def unreadable(model: str, key: str, field: Field, stored: AttributeValue) -> DataFormatError:
    """The error for a field that cannot read what is stored of it; its cause says why."""
    cause: Exception | None = None
    try:
        field.from_dynamo(stored)
    except Exception as caught:
        require_data_error(caught)
        cause = caught
    detail = str(cause) if isinstance(cause, BaoError) else type(cause).__name__
    code = "/".join(stored) if isinstance(stored, Mapping) else type(stored).__name__
    error = DataFormatError(
        f"{model} {key!r}: the stored attribute {str(field.attribute)!r} of type {code} is not what "
        f"{type(field).__name__} {field.name!r} reads ({detail}). Assign the field a value and save, mend the item "
        f"with 'bao doctor --fix', or correct the field's kind.",
        model=model,
        key=key,
        field=field.name,
    )
    error.__cause__ = cause
    return error
