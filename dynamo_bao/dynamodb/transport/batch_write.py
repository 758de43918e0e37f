"""One ``BatchWriteItem`` and what DynamoDB leaves of it: sent again until everything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from attrs import Factory, define

from dynamo_bao._foreign_errors import is_foreign
from dynamo_bao.dynamodb.items import Stored, json_list
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import BATCH_WRITE_ITEM, MAX_BATCH_WRITE_ITEMS
from dynamo_bao.dynamodb.transport.batch_get import TableKey
from dynamo_bao.dynamodb.transport.error_mapping import may_have_succeeded
from dynamo_bao.dynamodb.transport.messages import FailedRequest, Reply, Request, Transport
from dynamo_bao.dynamodb.transport.retry import repeat_unprocessed

T = TypeVar("T")
Puts = Mapping[str, Mapping[Key, "Stored | None"]]
"""What to write, by table and key: the item to put, or None to delete. Of a table all are spelled, or none is."""


@define
class BatchWritten:
    """What became of a batch of writes. A key in none of the three is written.

    Attributes:
        unprocessed: keys that DynamoDB left unprocessed, also when they were sent again.
        refused: keys of a request that DynamoDB refused, or that never reached it.
        outcome_unknown: keys of a request without a readable answer, so that it is not known whether they are written.
        error: the error in either case.
        failure: the request that ended with it; None if nothing was sent because too many calls wait already.
        replies: every reply, in order.
    """

    unprocessed: tuple[TableKey, ...] = ()
    refused: tuple[TableKey, ...] = ()
    outcome_unknown: tuple[TableKey, ...] = ()
    error: Exception | None = None
    failure: FailedRequest | None = None
    replies: list[Reply] = Factory(list)

    @property
    def sent(self) -> list[Reply | FailedRequest]:
        """What became of every request, in order."""
        return [*self.replies] if self.failure is None else [*self.replies, self.failure]

    @property
    def succeeded(self) -> bool:
        """Whether all of it is written."""
        return self.error is None and not self.unprocessed


def in_batches(members: Sequence[T]) -> list[Sequence[T]]:
    """What is to be written, in as many parts as there are requests."""
    size = MAX_BATCH_WRITE_ITEMS
    return [members[start : start + size] for start in range(0, len(members), size)]


def write_batch(transport: Transport, puts: Puts, deadline: float) -> BatchWritten:
    """Puts and deletes at most 25 items without conditions, and again those left unprocessed.

    How often and after what waits: see `repeat_unprocessed`.
    """
    written, left = BatchWritten(), puts

    def send(waited: float | None) -> list[str]:
        nonlocal left
        sent, left = left, {}
        request, started = _request(sent), transport.clock.now()
        try:
            reply = transport.send(request, deadline=deadline)
        except Exception as error:
            if is_foreign(error):
                raise
            written.error, written.failure = error, FailedRequest(request, error, started).after(waited)
            if may_have_succeeded(error):
                written.outcome_unknown = _keys(sent)
            else:
                written.refused = _keys(sent)
            return []
        written.replies.append(reply.after(waited))
        left = _left(reply.body, puts)
        return [table for table, _ in _keys(left)]

    crowded = repeat_unprocessed(transport.clock, deadline, sum(map(len, puts.values())), send)
    if crowded is None:
        written.unprocessed = _keys(left)
    else:
        written.error, written.refused = crowded, _keys(left)
    return written


def _keys(puts: Puts) -> tuple[TableKey, ...]:
    return tuple((table, key) for table, items in puts.items() for key in items)


def _request(puts: Puts) -> Request:
    asked = {table: _members(items) for table, items in puts.items()}
    parameters = {"RequestItems": asked, "ReturnConsumedCapacity": "TOTAL"}
    return Request(BATCH_WRITE_ITEM, parameters, True, keys=puts)


def _members(items: Mapping[Key, Stored | None]) -> Any:
    """What a request says of one table: a list, or one that is JSON already."""
    spelled: Any = items.values()
    if type(next(iter(spelled))) is bytes:
        return json_list(spelled, b'{"PutRequest":{"Item":', b"}}")
    return [
        {"DeleteRequest": {"Key": key.as_item()}} if item is None else {"PutRequest": {"Item": item}}
        for key, item in items.items()
    ]


def _left(body: dict[str, Any], puts: Puts) -> Puts:
    left: dict[str, dict[Key, Stored | None]] = {}
    for table, members in body.get("UnprocessedItems", {}).items():
        for member in members:
            stored = (
                member["PutRequest"]["Item"] if "PutRequest" in member else member["DeleteRequest"]["Key"]
            )
            key = Key(stored[PK]["S"], stored[SK]["S"])
            left.setdefault(table, {})[key] = puts[table][key]
    return left
