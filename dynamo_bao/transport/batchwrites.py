"""One ``BatchWriteItem`` and what DynamoDB leaves of it: sent again until everything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import Factory, define

from dynamo_bao.items import Stored
from dynamo_bao.keys import Key
from dynamo_bao.transport.batches import TableKey
from dynamo_bao.transport.messages import Reply, Request, Transport
from dynamo_bao.transport.outcomes import may_be_done
from dynamo_bao.transport.retry import repeat_while
from dynamo_bao.wire import BATCH_WRITE_ITEM, PK, SK

Puts = Mapping[TableKey, Stored | None]
"""What to write: the item to put, which may be spelled, or None to delete."""


@define
class BatchWritten:
    """What became of a batch of writes. A key in none of the three is written.

    Attributes:
        unprocessed: keys that DynamoDB had not processed by the deadline.
        refused: keys of a request that DynamoDB refused, or that never reached it.
        uncertain: keys of a request without a readable answer, so that it is not known whether they are written.
        error: the error in either case.
        replies: every reply, in order.
    """

    unprocessed: tuple[TableKey, ...] = ()
    refused: tuple[TableKey, ...] = ()
    uncertain: tuple[TableKey, ...] = ()
    error: Exception | None = None
    replies: list[Reply] = Factory(list)

    @property
    def is_whole(self) -> bool:
        """Whether all of it is written."""
        return self.error is None and not self.unprocessed


def write_batch(transport: Transport, puts: Puts, deadline: float) -> BatchWritten:
    """Puts and deletes at most 25 items without conditions, again those left unprocessed, until the deadline."""
    written = BatchWritten(unprocessed=tuple(puts))

    def one_round() -> int:
        keys, written.unprocessed = written.unprocessed, ()
        try:
            reply = transport.send(_request(puts, keys), deadline=deadline)
        except Exception as error:
            written.error = error
            if may_be_done(error):
                written.uncertain = keys
            else:
                written.refused = keys
            return 0
        written.replies.append(reply)
        written.unprocessed = _left(reply.body)
        return len(written.unprocessed)

    repeat_while(transport.clock, deadline, one_round, bool)
    return written


def _request(puts: Puts, keys: tuple[TableKey, ...]) -> Request:
    tables: dict[str, list[dict[str, Any]]] = {}
    sought = puts.items() if len(keys) == len(puts) else [(key, puts[key]) for key in keys]
    for (table, key), item in sought:
        member = {"DeleteRequest": {"Key": key.as_item()}} if item is None else {"PutRequest": {"Item": item}}
        if table in tables:
            tables[table].append(member)
        else:
            tables[table] = [member]
    return Request(BATCH_WRITE_ITEM, {"RequestItems": tables, "ReturnConsumedCapacity": "TOTAL"}, True)


def _left(body: dict[str, Any]) -> tuple[TableKey, ...]:
    keys = (
        (table, member["PutRequest"]["Item"] if "PutRequest" in member else member["DeleteRequest"]["Key"])
        for table, members in body.get("UnprocessedItems", {}).items()
        for member in members
    )
    return tuple((table, Key(key[PK]["S"], key[SK]["S"])) for table, key in keys)
