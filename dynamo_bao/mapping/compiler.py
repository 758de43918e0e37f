"""Compiles functions from source text, and collects the expressions of fields for it."""

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
from dynamo_bao.fields.rules import RULE_NAMES
from dynamo_bao.fields.sets import are_texts
from dynamo_bao.runtime.foreign_errors import require_data_error

NAMES: dict[str, object] = {
    "_int": parse_integer,
    "_float_text": float_text,
    **RULE_NAMES,
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
        field: the field.
        of: the name of the variable.
        plain: whether the caller checks the texts in the value; see `Field.valid_text_expr`.
    """
    expr = valid_expr_of(field)
    if expr is None:
        return None
    if plain and defines_last(type(field), "valid_expr", "valid_text_expr"):
        expr = field.valid_text_expr() or expr
    takes_none = f"{of} is None or " if field.nullable and field.missing_value() is None else ""
    return takes_none + expr.format(v=of)


def normalized_expr_of(field: Field, of: str) -> str | None:
    """An expression that is true if `field.normalise` would not change the variable `of`. None if none exists."""
    expr = field.normalized_expr()
    if expr is None or not defines_last(type(field), "normalise", "normalized_expr"):
        return acceptable_expr_of(field, of)
    return (f"{of} is None or " if field.nullable else "") + expr.format(v=of)


def valid_expr_of(field: Field) -> str | None:
    """The field's `valid_expr`. None if it has none, or if a subclass accepts values in its own way."""
    kind = type(field)
    sources = {"accept": "normalized_expr", "normalise": "normalized_expr", "validate": "rules"}
    is_current = all(defines_last(kind, method, source) for method, source in sources.items())
    return field.valid_expr() if is_current else None


def encodes_by_expr(field: Field) -> bool:
    """Whether `encode_expr` is what the field's `to_dynamo` does."""
    return field.encode_expr is not None and defines_last(type(field), "to_dynamo", "encode_expr")


def roundtrips_exactly(field: Field) -> bool:
    """Whether decoding a stored value always gives the accepted value back. Of the built-in kinds, only documents
    do not."""
    kind = type(field)
    return (
        field.decode_expr is not None
        and not isinstance(field, DocumentField)
        and all(defines_last(kind, method, "decode_expr") for method in ("to_dynamo", "from_dynamo"))
    )


def defines_last(kind: type, method: str, source: str) -> bool:
    """Whether the class that defines `method` is not below the one that defines its source."""
    return next(source in vars(base) for base in kind.__mro__ if source in vars(base) or method in vars(base))


def compiled(source: str, label: str, names: dict[str, object]) -> dict[str, Any]:
    """Runs `source` with `names`, and returns `names` with its functions added.

    Tracebacks and debuggers show the source.

    Args:
        source: Python code.
        label: a description for the name of its file: ``decoder of User`` in ``<dynamo_bao decoder of User>``.
        names: the global names that the code uses.
    """
    name = _file_of(source, label)
    exec(compile(source, name, "exec"), names)  # noqa: S102  # the source is built from names only
    return names


def _file_of(source: str, label: str, number: int = 1) -> str:
    """A file name for `linecache` that belongs to this source only."""
    name = f"<dynamo_bao {label}{f' ({number})' if number > 1 else ''}>"
    lines = source.splitlines(keepends=True)
    entry: Any = linecache.cache.get(name)
    if entry is not None and entry[2] != lines:
        return _file_of(source, label, number + 1)
    linecache.cache[name] = (len(source), None, lines, name)  # no time: Python never looks for it on disk
    return name


def source_of(function: Any) -> str:
    """The source of a compiled function."""
    return "".join(linecache.getlines(function.__code__.co_filename))
