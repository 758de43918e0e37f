"""One ``BatchGetItem`` and what DynamoDB leaves of it: asked again until every key is answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import Factory, define, frozen

from dynamo_bao.errors import ServiceError, ThrottledError
from dynamo_bao.keys import Key, named
from dynamo_bao.transport.messages import Reply, Request, Transport
from dynamo_bao.transport.retry import repeat_while
from dynamo_bao.wire import BATCH_GET_ITEM, PK, SK, Item

TableKey = tuple[str, Key]
"""A key together with the table it is looked for in."""


@frozen
class Batch:
    """The keys of one request: at most 100, all read with the same consistency."""

    keys: tuple[TableKey, ...]
    consistent: bool = False


@define
class BatchAnswer:
    """What came back for a batch. A key in none of the three is not stored.

    Attributes:
        items: the items found.
        unanswered: keys that DynamoDB had not processed by the deadline.
        failed: keys that could not be asked for, each with the reason.
        replies: every reply, in order.
        refused: requests that ended with an error, with that error and when they were sent.
    """

    items: dict[TableKey, Item] = Factory(dict)
    unanswered: tuple[TableKey, ...] = ()
    failed: dict[TableKey, Exception] = Factory(dict)
    replies: list[Reply] = Factory(list)
    refused: list[tuple[Request, Exception, float]] = Factory(list)


def fetch_batch(transport: Transport, batch: Batch, deadline: float) -> BatchAnswer:
    """Asks for all keys of `batch`, again for those left unprocessed, until the deadline.

    An error of the service or the network is the outcome of its keys, not an exception. A request over
    several tables that is refused as a whole is repeated table by table.
    """
    fetch = _Fetch(transport, batch, deadline)
    repeat_while(transport.clock, deadline, fetch.one_round, bool)
    return fetch.answer


class _Fetch:
    """A batch on its way: the rounds it takes until every key has an outcome."""

    def __init__(self, transport: Transport, batch: Batch, deadline: float) -> None:
        self._transport = transport
        self._consistent = batch.consistent
        self._deadline = deadline
        self.answer = BatchAnswer(unanswered=batch.keys)

    def one_round(self) -> int:
        """Asks for the keys without an answer; returns how many still have none."""
        keys, self.answer.unanswered = self.answer.unanswered, ()
        self._ask(keys)
        return len(self.answer.unanswered)

    def _ask(self, keys: tuple[TableKey, ...]) -> None:
        request, started = _request(keys, self._consistent), self._transport.clock.now()
        try:
            reply = self._transport.send(request, deadline=self._deadline)
        except Exception as error:
            self.answer.refused.append((request, error, started))
            self._refused(keys, error)
            return
        self.answer.replies.append(reply)
        self.answer.unanswered += _take(reply.body, self.answer.items)

    def _refused(self, keys: tuple[TableKey, ...], error: Exception) -> None:
        """Asks table by table where a request over several was refused as a whole."""
        tables = dict.fromkeys(table for table, _ in keys)
        if len(tables) > 1 and isinstance(error, ServiceError) and not isinstance(error, ThrottledError):
            for table in tables:
                self._ask(tuple(key for key in keys if key[0] == table))
        else:
            self.answer.failed.update(dict.fromkeys(keys, error))


def _request(keys: Iterable[TableKey], consistent: bool) -> Request:
    tables: dict[str, dict[str, Any]] = {}
    for table, (pk, sk) in keys:
        entry = tables.get(table)
        if entry is None:
            entry = tables[table] = {"Keys": [], "ConsistentRead": True} if consistent else {"Keys": []}
        entry["Keys"].append({PK: {"S": pk}, SK: {"S": sk}})
    return Request(BATCH_GET_ITEM, {"RequestItems": tables, "ReturnConsumedCapacity": "TOTAL"})


def _take(body: dict[str, Any], items: dict[TableKey, Item]) -> tuple[TableKey, ...]:
    """Files the items of a reply under their own keys, and returns the keys it left unprocessed."""
    for table, found in body.get("Responses", {}).items():
        for item in found:
            items[table, named(Key, (item[PK]["S"], item[SK]["S"]))] = item
    return tuple(
        (table, Key(key[PK]["S"], key[SK]["S"]))
        for table, entry in body.get("UnprocessedKeys", {}).items()
        for key in entry["Keys"]
    )
