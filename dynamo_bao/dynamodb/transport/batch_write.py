"""One ``BatchWriteItem``, and the repetition of its unprocessed members until all are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from dynamo_bao.dynamodb.items import Stored, json_list
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import BATCH_WRITE_ITEM, MAX_BATCH_WRITE_ITEMS
from dynamo_bao.dynamodb.transport.batch_get import TableKey
from dynamo_bao.dynamodb.transport.error_mapping import may_have_succeeded
from dynamo_bao.dynamodb.transport.messages import FailedRequest, Reply, Request, Transport
from dynamo_bao.dynamodb.transport.retry import repeat_unprocessed
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.records import Factory, define

T = TypeVar("T")
Puts = Mapping[str, Mapping[Key, "Stored | None"]]
"""The writes by table and key: an item to put, or None to delete. For one table all items are JSON, or none is."""


@define
class BatchWritten:
    """The result of a batch of writes. A key that is in none of the first three is written.

    Attributes:
        unprocessed: the keys that DynamoDB left unprocessed after all retries.
        refused: the keys of a request that DynamoDB refused, or that did not reach it.
        outcome_unknown: the keys of a request without a readable reply, which may be written or not.
        error: the error of that request.
        failure: the request that ended with the error; None if it was not sent because too many calls wait already.
        replies: all replies, in order.
    """

    unprocessed: tuple[TableKey, ...] = ()
    refused: tuple[TableKey, ...] = ()
    outcome_unknown: tuple[TableKey, ...] = ()
    error: Exception | None = None
    failure: FailedRequest | None = None
    replies: list[Reply] = Factory(list)

    @property
    def request_outcomes(self) -> list[Reply | FailedRequest]:
        """The replies and the failed request, in order."""
        return [*self.replies] if self.failure is None else [*self.replies, self.failure]

    @property
    def succeeded(self) -> bool:
        """Whether all members are written."""
        return self.error is None and not self.unprocessed


def in_batches(members: Sequence[T]) -> list[Sequence[T]]:
    """The members in parts of at most 25, one for each request."""
    size = MAX_BATCH_WRITE_ITEMS
    return [members[start : start + size] for start in range(0, len(members), size)]


def write_batch(transport: Transport, puts: Puts, deadline: float) -> BatchWritten:
    """Puts and deletes at most 25 items without conditions, and repeats the unprocessed ones.

    `repeat_unprocessed` describes the retries and the waits.

    Args:
        transport: sends the requests.
        puts: the writes.
        deadline: the time after which nothing is repeated, in seconds of the transport's clock.
    """
    result, remaining_puts = BatchWritten(), puts

    def send(waited: float | None) -> list[str]:
        nonlocal remaining_puts
        batch, remaining_puts = remaining_puts, {}
        request, start_time = _request(batch), transport.clock.now()
        try:
            reply = transport.send(request, deadline=deadline)
        except Exception as error:
            if is_foreign(error):
                raise
            result.error, result.failure = error, FailedRequest(request, error, start_time).after(waited)
            if may_have_succeeded(error):
                result.outcome_unknown = _keys(batch)
            else:
                result.refused = _keys(batch)
            return []
        result.replies.append(reply.after(waited))
        remaining_puts = _unprocessed(reply.body, puts)
        return [table for table, _ in _keys(remaining_puts)]

    crowded_error = repeat_unprocessed(transport.clock, deadline, sum(map(len, puts.values())), send)
    if crowded_error is None:
        result.unprocessed = _keys(remaining_puts)
    else:
        result.error, result.refused = crowded_error, _keys(remaining_puts)
    return result


def _keys(puts: Puts) -> tuple[TableKey, ...]:
    return tuple((table, key) for table, items in puts.items() for key in items)


def _request(puts: Puts) -> Request:
    request_items = {table: _members(items) for table, items in puts.items()}
    parameters = {"RequestItems": request_items, "ReturnConsumedCapacity": "TOTAL"}
    return Request(BATCH_WRITE_ITEM, parameters, True, keys=puts)


def _members(items: Mapping[Key, Stored | None]) -> object:
    """The members of a request for one table: a list, or a piece of JSON."""
    values: Any = items.values()
    if type(next(iter(values))) is bytes:
        return json_list(values, b'{"PutRequest":{"Item":', b"}}")
    return [
        {"DeleteRequest": {"Key": key.as_item()}} if item is None else {"PutRequest": {"Item": item}}
        for key, item in items.items()
    ]


def _unprocessed(body: dict[str, Any], puts: Puts) -> Puts:
    unprocessed_puts: dict[str, dict[Key, Stored | None]] = {}
    for table, members in body.get("UnprocessedItems", {}).items():
        for member in members:
            item = member["PutRequest"]["Item"] if "PutRequest" in member else member["DeleteRequest"]["Key"]
            key = Key(item[PK]["S"], item[SK]["S"])
            unprocessed_puts.setdefault(table, {})[key] = puts[table][key]
    return unprocessed_puts
