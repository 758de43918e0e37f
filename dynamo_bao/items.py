"""What stands for an item: the item itself, a row of a reply, or the JSON that a new one travels as."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from dynamo_bao.wire import PK, SK, Item

Stored = Any
"""An item, or what stands for one: a row (`dynamo_bao.rows`), or JSON (`dynamo_bao.spelling`)."""
SPELLED: Final = "Fragment"
"""The name of the class, orjson's, of an item that is JSON."""


def is_row(item: Stored) -> bool:
    """Whether an item is as it was in a reply of many, no dict."""
    return type(item) is not dict


def place_in(item: Stored) -> tuple[str, str]:
    """The texts of an item's table key, which equal its `keys.Key`."""
    return (item[PK]["S"], item[SK]["S"]) if type(item) is dict else (item._pk.S, item._sk.S)


def spelled_keys(keys: Collection[tuple[str, str]]) -> Any:
    """Table keys as the JSON that travels, in one piece; None where one of them needs an escape."""
    # Imported here: a compiled module, needed only once something is asked for.
    import orjson

    texts = "".join(map("".join, keys))
    try:
        size = len(orjson.dumps(texts)) - len('""')
    except TypeError:
        return None
    if size != len(texts) and size != len(texts.encode()):
        return None
    spelled = ",".join([f'{{"{PK}":{{"S":"{pk}"}},"{SK}":{{"S":"{sk}"}}}}' for pk, sk in keys])
    json: Any = orjson
    return json.Fragment(f"[{spelled}]".encode())


def plain_item(item: Stored) -> Item:
    """An item whose values are dicts, whatever stands for it."""
    if type(item) is dict:
        return item
    if type(item).__name__ == SPELLED:
        spelled: Item = plain_json(item)
        return spelled
    # Imported here: it takes a compiled module, which is loaded where there is such an item.
    from dynamo_bao.rows import item_of

    return item_of(item)


def plain_json(spelled: Any) -> Any:
    """What a piece of JSON says; anything else is itself."""
    if type(spelled).__name__ != SPELLED:
        return spelled
    # Imported here: where there is a piece of its making, it is loaded.
    import orjson

    return orjson.loads(orjson.dumps(spelled))
