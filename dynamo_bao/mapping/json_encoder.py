"""Encodes new items straight from the values of a model's fields to the JSON of a request.

A hundred new items would otherwise be some 1,700 dicts, which are made, counted by Python's garbage collector, and read
once, to be written as JSON. For each model a function is compiled that joins their texts to one. It takes only
values that pass the fast check; others are encoded through dicts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from dynamo_bao.dynamodb.items import needs_escapes
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import MAX_ITEM_BYTES, Item
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.codec import KEYS_BYTES
from dynamo_bao.mapping.compiler import NAMES, acceptable_expr_of, compiled, encodes_by_expr

EncodeJson = Callable[[Sequence[Mapping[str, Any]], Sequence[tuple[str, str]]], "list[bytes] | None"]
MOST_BYTES = MAX_ITEM_BYTES - KEYS_BYTES
"""How long an item's JSON may be, which is always longer than what DynamoDB counts of it."""
_SOURCE = re.compile(r'\{\{"(S|N|BOOL|SS)": (.*)\}\}')


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
    escaping = compiled(with_escapes, f"spelling with escapes of {model}", dict(names))["encode_json"]
    encode_json: EncodeJson = compiled(without, f"spelling of {model}", {**names, "_escaping": escaping})[
        "encode_json"
    ]
    return encode_json


# Keys hold no other texts than those of their fields.
_SPELL = """def encode_json(all_values, keys):
    items, texts = [], []
    try:
        for values, (pk, sk) in zip(all_values, keys):
{taken}
            if not ({checks}): return None
{made}
            texts += ({texts})
            items.append(f{item!r}.encode())
        if max(map(len, items)) > {most}: return None
        escapes = _needs_escapes(''.join(texts))
    except (KeyError, TypeError, ValueError):
        return None
    return {otherwise} if escapes else items
"""


def _source(fields: Collection[Field], escape: str) -> str | None:
    """The source of the function. None if the values of a field cannot be encoded straight to JSON.

    Args:
        escape: the function that gives texts the escapes they need; empty for none, where texts are as they are.
    """
    taken, checks, made, texts, item = list[str](), list[str](), list[str](), list[str](), ""
    for number, field in enumerate(fields):
        v = f"v{number}"
        fine, source = acceptable_expr_of(field, v, plain=True), _SOURCE.fullmatch(field.encode_expr or "")
        if fine is None or source is None or not encodes_by_expr(field):
            return None
        taken.append(f"{v} = values[{field.name!r}]")
        checks.append(f"({fine})")
        lines, text, member = _spelled(field, number, source[1], source[2].format(v=v), escape)
        made += lines
        texts += text
        item += member
    for name, key in ((PK, "pk"), (SK, "sk")):
        item += _literal(f'"{name}":{{"S":"') + f"{{{escape}({key})}}" + _literal('"},')
    return _SPELL.format(
        taken=_indented(taken),
        checks=" and ".join(checks),
        made=_indented(made),
        texts="".join(f"{text}, " for text in texts),
        item=_literal("{") + item.removesuffix(",") + _literal("}"),
        most=MOST_BYTES,
        otherwise="items" if escape else "_escaping(all_values, keys)",
    )


def _indented(lines: Collection[str]) -> str:
    return "\n".join(f"            {line}" for line in lines)


def _spelled(
    field: Field, number: int, code: str, payload: str, escape: str
) -> tuple[list[str], list[str], str]:
    """What is needed to encode_json a field.

    Args:
        code: the type of what is stored.
        payload: an expression of it, of the variable ``v`` with the field's number.
        escape: see `_source`.

    Returns:
        Lines that prepare it; the variable of its text, if it has one; and the member of the item's JSON, as a part
        of an f-string.
    """
    v, w, texts = f"v{number}", f"w{number}", list[str]()
    there = _there(field, v)
    otherwise = f" if {there} else ''" if there else ""
    if code == "S":
        text = v if payload == v and not there else w
        lines = [] if text == v else [f"{w} = ({payload}){otherwise}"]
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
        lines, value = [f"{w} = ({payload}){otherwise}"], f'"{{{w}}}"'
    member = _literal(f'{json.dumps(field.attribute)}:{{"{code}":') + value + _literal("},")
    if there:
        return [*lines, f"p{number} = f{member!r}{otherwise}"], texts, f"{{p{number}}}"
    return lines, texts, member


def _there(field: Field, of: str) -> str:
    """An expression that is true where something is stored of the variable `of`; empty where that is always so."""
    there = [f"{of} is not None"] if field.nullable else []
    if field.empty_expr is not None:
        there.append(f"not ({field.empty_expr.format(v=of)})")
    return " and ".join(there)


def _literal(text: str) -> str:
    """A text as a part of an f-string that stands for itself."""
    return text.replace("{", "{{").replace("}", "}}")


def escaped(text: str) -> str:
    r"""A text as it stands between the quotes of JSON.

    >>> escaped('"Hm",\n')
    '\\"Hm\\",\\n'
    """
    # Imported here: a compiled module, needed only once something is written.
    import orjson

    return orjson.dumps(text).decode()[1:-1]


def with_members(spelled: bytes, members: Item) -> bytes:
    """A spelled item with further attributes.

    >>> with_members(b'{"_pk":{"S":"u#1"}}', {"_gsi1_pk": {"S": "u#1"}})
    b'{"_pk":{"S":"u#1"},"_gsi1_pk":{"S":"u#1"}}'
    """
    # Imported here: see above.
    import orjson

    return b"%b,%b" % (spelled[:-1], orjson.dumps(members)[1:]) if members else spelled
