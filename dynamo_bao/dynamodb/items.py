"""The three forms of an item: a dict, a row of a reply, and the JSON in which a new item is sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.runtime.json import dumps, loads, piece
from dynamo_bao.runtime.late_modules import LateModule

if TYPE_CHECKING:
    from dynamo_bao.dynamodb import rows
else:
    rows = LateModule(
        "dynamo_bao.dynamodb.rows"
    )  # it needs a compiled module, loaded already if there is a row


class RowText(Protocol):
    """A text in a row."""

    @property
    def S(self) -> str:
        """The text."""
        ...


class Row(Protocol):
    """An item of a reply as an object, with a slot for each attribute that its models have; see `rows`."""

    @property
    def _pk(self) -> RowText:
        """The partition key."""
        ...

    @property
    def _sk(self) -> RowText:
        """The sort key."""
        ...


ReplyItem = Item | Row
"""An item of a reply: a dict or a row. `as_dict_item` gives the dict."""
Stored = Item | Row | bytes
"""An item in any form: as a reply has it, or as the JSON that was sent (see `mapping.json_encoder`)."""


def key_texts_of(item: ReplyItem) -> tuple[str, str]:
    """The partition and sort key of an item, as a tuple that equals its `keys.Key`."""
    return (item[PK]["S"], item[SK]["S"]) if isinstance(item, dict) else (item._pk.S, item._sk.S)


class KeyedItems(list[ReplyItem]):
    """Items of one table, and the key of each.

    Args:
        items: the items.
        keys: their keys, if the caller has read them already.

    Attributes:
        keys: by position, the partition and sort key of each item, as a tuple that equals its `keys.Key`.
    """

    __slots__ = ("keys",)

    def __init__(self, items: Iterable[ReplyItem] = (), keys: list[tuple[str, str]] | None = None) -> None:
        super().__init__(items)
        self.keys: list[tuple[str, str]] = list(map(key_texts_of, self)) if keys is None else keys

    def add(self, items: KeyedItems) -> None:
        """Appends items with their keys."""
        self += items
        self.keys += items.keys

    def with_key(self, key: tuple[str, str]) -> KeyedItems:
        """The items that have a key."""
        items = [item for item, item_key in zip(self, self.keys, strict=True) if item_key == key]
        return KeyedItems(items, [key] * len(items))


def needs_escapes(text: str) -> bool:
    """Whether JSON needs escape sequences for a text. With one, the encoded text is longer than the text and quotes.

    Raises:
        TypeError: for a text that cannot be encoded as UTF-8, because it holds a lone surrogate.
    """
    size = len(dumps(text)) - len('""')
    return size != len(text) and size != len(text.encode())


def json_keys(keys: Collection[tuple[str, str]]) -> Any:
    """Table keys as one piece of JSON; None if one of them needs an escape sequence."""
    texts = tuple(chain.from_iterable(keys))
    try:
        if needs_escapes("".join(texts)):
            return None
    except TypeError:
        return None
    members = _KEY_JSON * len(keys) % texts
    return piece(f"[{members[:-1]}]".encode())


_KEY_JSON = f'{{"{PK}":{{"S":"%s"}},"{SK}":{{"S":"%s"}}}},'


def json_list(members: Iterable[bytes], before: bytes = b"", after: bytes = b"") -> Any:
    """A list as a piece of JSON inside a request.

    Args:
        members: the members, encoded as JSON; at least one.
        before, after: bytes that are put around each member.
    """
    between = b"%b,%b" % (after, before)
    return piece(b"[%b%b%b]" % (before, between.join(members), after))


def as_dict_item(item: Stored) -> Item:
    """An item in any form as a dict."""
    if isinstance(item, dict):
        return item
    if isinstance(item, bytes):
        parsed: Item = loads(item)
        return parsed
    return rows.item_of(item)


def as_dict_members(members: object) -> list[Any]:
    """The members of a list in a request, which may be a piece of JSON; a list is returned unchanged."""
    if type(members) is list:
        return members
    parsed: list[Any] = loads(dumps(members))
    return parsed
