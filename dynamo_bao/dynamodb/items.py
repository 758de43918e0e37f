"""What stands for an item: the item itself, a row of a reply, or the JSON that a new one travels as."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain
from typing import Any

from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import Item

Stored = Any
"""An item, or what stands for one: a row (see `rows`), or its JSON as `bytes` (see `mapping.json_encoder`)."""


def is_row(item: Stored) -> bool:
    """Whether an item is as it was in a reply of many, no dict."""
    return type(item) is not dict


def key_texts_of(item: Stored) -> tuple[str, str]:
    """The texts of an item's table key, which equal its `keys.Key`."""
    return (item[PK]["S"], item[SK]["S"]) if type(item) is dict else (item._pk.S, item._sk.S)


def needs_escapes(text: str) -> bool:
    """Whether a text does not stand in JSON as it is: an escape makes it, encoded, longer than its quotes do.

    Raises:
        TypeError: for a text that UTF-8 cannot say.
    """
    # Imported here: a compiled module, needed only once something is sent.
    import orjson

    size = len(orjson.dumps(text)) - len('""')
    return size != len(text) and size != len(text.encode())


def json_keys(keys: Collection[tuple[str, str]]) -> Any:
    """Table keys as the JSON that travels, in one piece; None where one of them needs an escape."""
    try:
        if needs_escapes("".join(chain.from_iterable(keys))):
            return None
    except TypeError:
        return None
    spelled = ",".join([f'{{"{PK}":{{"S":"{pk}"}},"{SK}":{{"S":"{sk}"}}}}' for pk, sk in keys])
    return json_list([spelled.encode()])


def json_list(members: Iterable[bytes], before: bytes = b"", after: bytes = b"") -> Any:
    """A list as a piece of JSON that stands in what is sent; never an empty one.

    Args:
        members: its members, which are JSON, or
        before, after: become it between these.
    """
    # Imported here: a compiled module, needed only once something is sent.
    import orjson

    json: Any = orjson
    between = b"%b,%b" % (after, before)
    return json.Fragment(b"[%b%b%b]" % (before, between.join(members), after))


def as_dict_item(item: Stored) -> Item:
    """An item whose values are dicts, whatever stands for it."""
    if type(item) is dict:
        return item
    if type(item) is bytes:
        # Imported here: where there is JSON of its making, it is loaded.
        import orjson

        spelled: Item = orjson.loads(item)
        return spelled
    # Imported here: it takes a compiled module, which is loaded where there is such an item.
    from dynamo_bao.dynamodb.rows import item_of

    return item_of(item)


def as_dict_members(members: Any) -> list[Any]:
    """What a piece of JSON in what is sent says; a list is itself."""
    if type(members) is list:
        return members
    # Imported here: where there is a piece of its making, it is loaded.
    import orjson

    plain: list[Any] = orjson.loads(orjson.dumps(members))
    return plain
