"""What stands for an item: the item itself, a row of a reply, or the JSON that a new one travels as."""

from __future__ import annotations

from typing import Any, Final

from dynamo_bao.wire import Item

Stored = Any
"""An item, or what stands for one: a row (`dynamo_bao.rows`), or JSON (`dynamo_bao.spelling`)."""
SPELLED: Final = "Fragment"
"""The name of the class, orjson's, of an item that is JSON."""


def is_row(item: Stored) -> bool:
    """Whether an item is as it was in a reply of many, no dict."""
    return type(item) is not dict


def plain_item(item: Stored) -> Item:
    """An item whose values are dicts, whatever stands for it."""
    if type(item) is dict:
        return item
    # Imported here: they take compiled modules, which are loaded where there is such an item.
    if type(item).__name__ == SPELLED:
        import orjson

        spelled: Item = orjson.loads(orjson.dumps(item))
        return spelled
    from dynamo_bao.rows import item_of

    return item_of(item)
