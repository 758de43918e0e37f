"""Encodes new items from the values of a model's fields directly to the JSON of a request.

Without this, a hundred new items would need about 1,700 dicts, which are used once. For each model a function is
compiled that joins the texts of the values. It takes only values that pass the fast check. Other values are encoded
through dicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from dynamo_bao.dynamodb.items import needs_escapes
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import MAX_ITEM_BYTES, Item
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.codec import KEYS_BYTES
from dynamo_bao.mapping.compiler import NAMES, acceptable_expr_of, compiled, encodes_by_expr
from dynamo_bao.runtime.json import dumps
from dynamo_bao.runtime.patterns import late_pattern

EncodeJson = Callable[[Sequence[Mapping[str, Any]], Sequence[tuple[str, str]]], "list[bytes] | None"]
MAX_JSON_BYTES = MAX_ITEM_BYTES - KEYS_BYTES
"""The greatest length of an item's JSON, which is always longer than what DynamoDB counts."""
_SOURCE = late_pattern(r'\{\{"(S|N|BOOL|SS)": (.*)\}\}')


def compile_json_encoder(model: str, fields: Collection[Field]) -> EncodeJson | None:
    """Compiles ``encode_json(all_values, keys)``, which returns the JSON of items from values and table keys.

    The function returns None if a value fails the fast check. A model has no such function if a field has its
    own conversions.

    >>> from dynamo_bao import StringField
    >>> compile_json_encoder("User", [StringField().bound("name", "User", "name")])([{"name": "Ada"}], [("u#1", "u")])
    [b'{"name":{"S":"Ada"},"_pk":{"S":"u#1"},"_sk":{"S":"u"}}']
    """
    with_escapes, without = _source(fields, "_escaped"), _source(fields, "")
    if with_escapes is None or without is None:
        return None
    names = {**NAMES, "_needs_escapes": needs_escapes, "_escaped": escaped}
    escaping = compiled(with_escapes, f"JSON encoder with escapes of {model}", dict(names))["encode_json"]
    encode_json: EncodeJson = compiled(without, f"JSON encoder of {model}", {**names, "_escaping": escaping})[
        "encode_json"
    ]
    return encode_json


# Keys need no check for escapes: they have no other texts than their fields.
_ENCODER = """def encode_json(all_values, keys):
    items, texts = [], []
    try:
        for values, (pk, sk) in zip(all_values, keys):
{reads}
            if not ({checks}): return None
{text_lines}
            texts += ({texts})
            items.append(f{item!r}.encode())
        if max(map(len, items)) > {max_bytes}: return None
        escapes = _needs_escapes(''.join(texts))
    except (KeyError, TypeError, ValueError):
        return None
    return {result} if escapes else items
"""


def _source(fields: Collection[Field], escape: str) -> str | None:
    """The source of the function. None if the values of a field cannot be encoded straight to JSON.

    Args:
        fields: the fields of the model.
        escape: the name of the function that escapes texts. Empty if texts are used unchanged.
    """
    reads, checks, text_lines, texts, item = list[str](), list[str](), list[str](), list[str](), ""
    for number, field in enumerate(fields):
        v = f"v{number}"
        check, source = acceptable_expr_of(field, v, plain=True), _SOURCE.fullmatch(field.encode_expr or "")
        if check is None or source is None or not encodes_by_expr(field):
            return None
        reads.append(f"{v} = values[{field.name!r}]")
        checks.append(f"({check})")
        lines, text, member = _member_source(field, number, source[1], source[2].format(v=v), escape)
        text_lines += lines
        texts += text
        item += member
    for name, key in ((PK, "pk"), (SK, "sk")):
        item += _literal(f'"{name}":{{"S":"') + f"{{{escape}({key})}}" + _literal('"},')
    return _ENCODER.format(
        reads=_indented(reads),
        checks=" and ".join(checks),
        text_lines=_indented(text_lines),
        texts="".join(f"{text}, " for text in texts),
        item=_literal("{") + item.removesuffix(",") + _literal("}"),
        max_bytes=MAX_JSON_BYTES,
        result="items" if escape else "_escaping(all_values, keys)",
    )


def _indented(lines: Collection[str]) -> str:
    return "\n".join(f"            {line}" for line in lines)


def _member_source(
    field: Field, number: int, code: str, payload: str, escape: str
) -> tuple[list[str], list[str], str]:
    """The source that encodes one field.

    Args:
        field: the field.
        number: its number, which its variables have too.
        code: the type of the stored value.
        payload: an expression for the stored value, which uses the variable ``v`` with the field's number.
        escape: see `_source`.

    Returns:
        Lines that prepare the value; the variable of its text, if it has one; and the member of the item's JSON, as
        a part of an f-string.
    """
    v, w, texts = f"v{number}", f"w{number}", list[str]()
    presence = _presence_expr(field, v)
    condition = f" if {presence} else ''" if presence else ""
    if code == "S":
        text = v if payload == v and not presence else w
        lines = [] if text == v else [f"{w} = ({payload}){condition}"]
        texts, value = [text], f'"{{{escape}({text})}}"'
    elif code == "SS":
        members = f"map({escape}, m)" if escape else "m"
        lines = [f"m = sorted({v} or ())", "texts += m", f"{w} = '\",\"'.join({members})"]
        value = f'["{{{w}}}"]'
    elif code == "BOOL":
        lines, value = [f"{w} = 'true' if {payload} else 'false'"], f"{{{w}}}"
    elif payload == f"str({v})":
        lines, value = [], f'"{{{v}}}"'
    else:
        lines, value = [f"{w} = ({payload}){condition}"], f'"{{{w}}}"'
    member = _literal(f'{json.dumps(field.attribute)}:{{"{code}":') + value + _literal("},")
    if presence:
        return [*lines, f"p{number} = f{member!r}{condition}"], texts, f"{{p{number}}}"
    return lines, texts, member


def _presence_expr(field: Field, of: str) -> str:
    """An expression that is true if the variable `of` has a stored form. Empty if it always has."""
    terms = [f"{of} is not None"] if field.nullable else []
    if field.empty_expr is not None:
        terms.append(f"not ({field.empty_expr.format(v=of)})")
    return " and ".join(terms)


def _literal(text: str) -> str:
    """The source of `text` as a literal part of an f-string."""
    return text.replace("{", "{{").replace("}", "}}")


def escaped(text: str) -> str:
    r"""A text with the escapes of JSON, without quotes.

    >>> escaped('"Hm",\n')
    '\\"Hm\\",\\n'
    """
    return dumps(text).decode()[1:-1]


def with_members(item: bytes, members: Item) -> bytes:
    """The JSON of an item with further attributes.

    >>> with_members(b'{"_pk":{"S":"u#1"}}', {"_gsi1_pk": {"S": "u#1"}})
    b'{"_pk":{"S":"u#1"},"_gsi1_pk":{"S":"u#1"}}'
    """
    return b"%b,%b" % (item[:-1], dumps(members)[1:]) if members else item
