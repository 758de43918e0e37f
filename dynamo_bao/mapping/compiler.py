"""Functions made of source text, and the expressions that fields give for it."""

from __future__ import annotations

import linecache
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

from dynamo_bao.dynamodb.numbers import float_text, number_text, parse_integer
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.datetimes import EPOCH
from dynamo_bao.fields.documents import (
    DocumentField,
    from_list,
    from_map,
    integers_of,
    named_texts_of,
    texts_of,
)
from dynamo_bao.fields.sets import are_texts
from dynamo_bao.fields.text import is_unicode
from dynamo_bao.fields.ulids import is_ulid
from dynamo_bao.runtime.foreign_errors import require_data_error

NAMES: dict[str, Any] = {
    "_int": parse_integer,
    "_float_text": float_text,
    "_is_unicode": is_unicode,
    "_is_ulid": is_ulid,
    "_are_texts": are_texts,
    "_TEXT": frozenset((str,)),
    "_number_text": number_text,
    "_Decimal": Decimal,
    "_UUID": uuid.UUID,
    "_date": date.fromisoformat,
    "_date_type": date,
    "_time": time.fromisoformat,
    "_EPOCH": EPOCH,
    "_datetime": datetime,
    "_utc": timezone.utc,
    "_timedelta": timedelta,
    "_MILLISECOND": timedelta(milliseconds=1),
    "_SECOND": timedelta(seconds=1),
    "_map": from_map,
    "_list": from_list,
    "_texts": texts_of,
    "_integers": integers_of,
    "_named_texts": named_texts_of,
    "_require_data_error": require_data_error,
}


def acceptable_expr_of(field: Field, of: str, *, plain: bool = False) -> str | None:
    """An expression that is true if `field` accepts the variable `of` unchanged. None if no short one exists.

    Args:
        plain: whether others look at the texts in it; see `Field.valid_text_expr`.
    """
    fine = valid_expr_of(field)
    if fine is None:
        return None
    if plain and defines_last(type(field), "valid_expr", "valid_text_expr"):
        fine = field.valid_text_expr() or fine
    takes_none = f"{of} is None or " if field.nullable and field.missing_value() is None else ""
    return takes_none + fine.format(v=of)


def normalized_expr_of(field: Field, of: str) -> str | None:
    """An expression that is true where `field` holds the variable `of` as it is, acceptable or not; None for none."""
    source = field.normalized_expr()
    if source is None or not defines_last(type(field), "normalise", "normalized_expr"):
        return acceptable_expr_of(field, of)
    return (f"{of} is None or " if field.nullable else "") + source.format(v=of)


def valid_expr_of(field: Field) -> str | None:
    """The field's `valid_expr`; None also where a subclass accepts values in its own way."""
    own = all(
        defines_last(type(field), method, "valid_expr") for method in ("accept", "normalise", "validate")
    )
    return field.valid_expr() if own else None


def encodes_by_expr(field: Field) -> bool:
    """Whether `encode_expr` is what the field's `to_dynamo` does."""
    return field.encode_expr is not None and defines_last(type(field), "to_dynamo", "encode_expr")


def roundtrips_exactly(field: Field) -> bool:
    """Whether decoding what a field stores gives the accepted value back for certain: of the built-in kinds all
    but documents."""
    kind = type(field)
    return (
        field.decode_expr is not None
        and not isinstance(field, DocumentField)
        and all(defines_last(kind, method, "decode_expr") for method in ("to_dynamo", "from_dynamo"))
    )


def defines_last(kind: type, method: str, source: str) -> bool:
    """Whether the class that defines `method` is not below the one that defines its source."""
    for base in kind.__mro__:
        if source in vars(base):
            return True
        if method in vars(base):
            return False
    return False


def compiled(source: str, what: str, names: dict[str, Any]) -> dict[str, Any]:
    """`names`, with what `source` defines in terms of them added; tracebacks and debuggers show the source.

    Args:
        what: what it is, for the name of its file: ``<dynamo_bao decoder of User>``.
    """
    name = _file_of(source, what)
    exec(compile(source, name, "exec"), names)  # noqa: S102  # source is made above, of names only
    return names


def _file_of(source: str, what: str, number: int = 1) -> str:
    """The name of a file for `linecache` that holds this source, and no other."""
    name = f"<dynamo_bao {what}{f' ({number})' if number > 1 else ''}>"
    lines = source.splitlines(keepends=True)
    held: Any = linecache.cache.get(name)
    if held is not None and held[2] != lines:
        return _file_of(source, what, number + 1)
    linecache.cache[name] = (len(source), None, lines, name)  # without a time it is never looked for on disk
    return name


def source_of(function: Any) -> str:
    """The source of a compiled function."""
    return "".join(linecache.getlines(function.__code__.co_filename))
