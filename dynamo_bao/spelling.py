"""New items spelled: as the JSON that travels, written straight from the values of a model's fields.

A hundred new items would otherwise be some 1,700 dicts, which are made, counted by Python's garbage collector, and read
once, to be written as JSON. For each model a function is compiled that joins their texts to one. It takes only
values that are acceptable at first sight, and texts that JSON says as they are; all else goes by dicts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from dynamo_bao.codec import KEYS_BYTES, NAMES, acceptable, compiled, encodes_by_source
from dynamo_bao.fields.base import Field
from dynamo_bao.wire import MAX_ITEM_BYTES, Item

Spell = Callable[[Mapping[str, Any]], "str | None"]
MOST_BYTES = MAX_ITEM_BYTES - KEYS_BYTES
"""How long an item may be without its keys; its JSON is always longer than what DynamoDB counts."""
_SOURCE = re.compile(r'\{\{"(S|N|BOOL|SS)": (.*)\}\}')


def compile_spelling(model: str, fields: Collection[Field]) -> Spell | None:
    """A function ``spell(values)`` that gives the members of an item's JSON, each with a comma behind it.

    The function returns None where a value is not acceptable at first sight, or a text needs an escape. There is
    none where a field has its own conversions.

    >>> from dynamo_bao import StringField
    >>> compile_spelling("User", [StringField().bound("name", "User", "name")])({"name": "Ada"})
    '"name":{"S":"Ada"},'
    """
    # Imported here: a compiled module, needed only once something is written.
    import orjson

    taken, checks, made, texts, item = list[str](), list[str](), list[str](), "", ""
    for number, field in enumerate(fields):
        v = f"v{number}"
        fine, source = acceptable(field, v, plain=True), _SOURCE.fullmatch(field.encode_source or "")
        if fine is None or source is None or not encodes_by_source(field):
            return None
        taken.append(f"        {v} = values[{field.name!r}]")
        checks.append(f"({fine})")
        lines, text, member = _spelled(field, number, source[1], source[2].format(v=v))
        made += [f"        {line}" for line in lines]
        texts, item = texts + text, item + member
    code = _SPELL.format(
        taken="\n".join(taken), checks=" and ".join(checks), made="\n".join(made), texts=texts, item=item
    )
    names = {**NAMES, "_encode": orjson.dumps, "_MOST": MOST_BYTES}
    spell: Spell = compiled(code, f"spelling of {model}", names)["spell"]
    return spell


# An escape makes the encoded texts longer than the two quotes around them do.
_SPELL = """def spell(values):
    try:
{taken}
        if not ({checks}): return None
{made}
        texts = f{texts!r}
        size = len(_encode(texts)) - 2
        if size != len(texts) and size != len(texts.encode()): return None
    except (KeyError, TypeError, ValueError):
        return None
    item = f{item!r}
    return item if len(item) + size - len(texts) <= _MOST else None
"""


def _spelled(field: Field, number: int, code: str, payload: str) -> tuple[list[str], str, str]:
    """Lines that prepare what an item says of a field, and two parts of f-strings.

    Args:
        code: the type of what is stored.
        payload: an expression of it, of the variable ``v`` with the field's number.

    Returns:
        The lines; the texts of the value, which must need no escape; and the member of the item's JSON.
    """
    v, t, w, text = f"v{number}", f"t{number}", f"w{number}", ""
    there = _there(field, v)
    otherwise = f" if {there} else ''" if there else ""
    if code == "S":
        lines, text, value = [f"{t} = ({payload}){otherwise}"], f"{{{t}}}", f'"{{{t}}}"'
    elif code == "SS":
        lines = [f"m = sorted({v} or ())", f"{t} = ''.join(m)", f"{w} = '\",\"'.join(m)"]
        text, value = f"{{{t}}}", f'["{{{w}}}"]'
    elif code == "BOOL":
        lines, value = [f"{w} = 'true' if {payload} else 'false'"], f"{{{w}}}"
    elif payload == f"str({v})":
        lines, value = [], f'"{{{v}}}"'
    else:
        lines, value = [f"{w} = ({payload}){otherwise}"], f'"{{{w}}}"'
    member = _literal(f'{json.dumps(field.attribute)}:{{"{code}":') + value + _literal("},")
    if there:
        return [*lines, f"p{number} = f{member!r}{otherwise}"], text, f"{{p{number}}}"
    return lines, text, member


def _there(field: Field, of: str) -> str:
    """An expression that is true where something is stored of the variable `of`; empty where that is always so."""
    there = [f"{of} is not None"] if field.nullable else []
    if field.empty_source is not None:
        there.append(f"not ({field.empty_source.format(v=of)})")
    return " and ".join(there)


def _literal(text: str) -> str:
    """A text as a part of an f-string that stands for itself."""
    return text.replace("{", "{{").replace("}", "}}")


def spelled_members(item: Item) -> str:
    """The members of an item's JSON, each with a comma behind it.

    >>> spelled_members({"_gsi1_pk": {"S": "u#1"}})
    '"_gsi1_pk":{"S":"u#1"},'
    """
    # Imported here: see above.
    import orjson

    return f"{orjson.dumps(item).decode()[1:-1]}," if item else ""
