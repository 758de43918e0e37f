"""One ``BatchGetItem``, and the repetition of its unprocessed keys until every key has an answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dynamo_bao.dynamodb.items import KeyedItems, json_keys
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import BATCH_GET_ITEM
from dynamo_bao.dynamodb.transport.error_mapping import THROTTLING, TRANSIENT
from dynamo_bao.dynamodb.transport.messages import FailedRequest, Reply, Request, RowParser, Transport
from dynamo_bao.dynamodb.transport.retry import repeat_unprocessed
from dynamo_bao.errors import ServiceError
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.records import Factory, define, field, frozen

TableKey = tuple[str, Key]
"""A table, and the key of an item in it."""
Keys = Mapping[str, Collection[Key]]
"""The keys to read, by table."""


@frozen
class Batch:
    """The keys of one request: at most 100, all read with the same consistency.

    Attributes:
        keys: the keys, by table.
        consistent: whether the reads are consistent.
        rows: parses the items into rows; None for dicts.
    """

    keys: Keys
    consistent: bool = False
    rows: RowParser | None = field(default=None, eq=False, repr=False)

    def __len__(self) -> int:
        return sum(map(len, self.keys.values()))


@define(eq=False)
class BatchAnswer:
    """The results of a batch. The item of a key that is in none of the first three does not exist.

    Attributes:
        items: the items with their keys, by table.
        unanswered: the keys that DynamoDB left unprocessed after all retries, by table.
        failed: the keys whose request failed, each with the error.
        replies: all replies, in order.
        failed_requests: the requests that ended with an error.
    """

    items: dict[str, KeyedItems] = Factory(dict)
    unanswered: dict[str, Collection[Key]] = Factory(dict)
    failed: dict[TableKey, Exception] = Factory(dict)
    replies: list[Reply] = Factory(list)
    failed_requests: list[FailedRequest] = Factory(list)

    @property
    def unanswered_count(self) -> int:
        """The number of unanswered keys."""
        return sum(map(len, self.unanswered.values()))

    def give_up(self, error: Exception) -> None:
        """Makes `error` the outcome of all unanswered keys."""
        tables, self.unanswered = self.unanswered, {}
        keys = ((table, key) for table, keys in tables.items() for key in keys)
        self.failed.update(dict.fromkeys(keys, error))

    @property
    def complaint(self) -> str:
        """The text of an error about the unanswered keys."""
        keys, requests = self.unanswered_count, len(self.replies)
        return (
            f"DynamoDB left {keys} key{'s' if keys > 1 else ''} unprocessed, also in the last of {requests} requests. "
            f"Raise the table's capacity, spread the load, or give a longer deadline."
        )


def fetch_batch(transport: Transport, batch: Batch, deadline: float) -> BatchAnswer:
    """Reads all keys of `batch`, and repeats the unprocessed ones; see `repeat_unprocessed`.

    An error of the service or the network is not raised: it becomes the result of its keys. If DynamoDB refuses a
    request over several tables, it is repeated table by table.

    Args:
        transport: sends the requests.
        batch: at most 100 keys.
        deadline: the time after which nothing is repeated, in seconds of the transport's clock.
    """
    fetch = _Fetch(transport, batch, deadline)
    crowded = repeat_unprocessed(transport.clock, deadline, len(batch), fetch.ask)
    if crowded is not None:
        fetch.answer.give_up(crowded)
    return fetch.answer


_NO_TABLES_FAULT = THROTTLING | TRANSIENT
"""Error codes that do not depend on the number of tables in a request."""


class _Fetch:
    """The requests for one batch, until every key has a result."""

    def __init__(self, transport: Transport, batch: Batch, deadline: float) -> None:
        self._transport = transport
        self._batch = batch
        self._deadline = deadline
        self.answer = BatchAnswer(unanswered=dict(batch.keys))

    def ask(self, waited: float | None) -> list[str]:
        """Requests the unanswered keys; returns one table name for each key that is still unanswered."""
        keys, self.answer.unanswered = self.answer.unanswered, {}
        self._ask(keys, waited)
        return [table for table, keys in self.answer.unanswered.items() for _ in keys]

    def _ask(self, keys: Keys, waited: float | None) -> None:
        request, start_time = _request(keys, self._batch), self._transport.clock.now()
        try:
            reply = self._transport.send(request, deadline=self._deadline)
        except Exception as error:
            if is_foreign(error):
                raise
            self.answer.failed_requests.append(FailedRequest(request, error, start_time).after(waited))
            self._handle_error(keys, error, waited)
            return
        self.answer.replies.append(reply.after(waited))
        self._record(reply.parsed)

    def _handle_error(self, keys: Keys, error: Exception, waited: float | None) -> None:
        """Repeats a refused request table by table, because one of its tables may be the reason."""
        if len(keys) > 1 and isinstance(error, ServiceError) and error.code not in _NO_TABLES_FAULT:
            for table, table_keys in keys.items():
                self._ask({table: table_keys}, None if waited is None else 0.0)
        else:
            failed_keys = ((table, key) for table, table_keys in keys.items() for key in table_keys)
            self.answer.failed.update(dict.fromkeys(failed_keys, error))

    def _record(self, body: dict[str, Any]) -> None:
        """Adds the items and the unprocessed keys of a reply to the answer."""
        for table, items in body.get("Responses", {}).items():
            keyed_items = items if type(items) is KeyedItems else KeyedItems(items)
            if table in self.answer.items:
                self.answer.items[table].add(keyed_items)
            else:
                self.answer.items[table] = keyed_items
        for table, entry in body.get("UnprocessedKeys", {}).items():
            self.answer.unanswered[table] = [Key(key[PK]["S"], key[SK]["S"]) for key in entry["Keys"]]


def _request(keys: Keys, batch: Batch) -> Request:
    tables: dict[str, dict[str, object]] = {}
    for table, table_keys in keys.items():
        json = None if batch.rows is None else json_keys(table_keys)
        entry = tables[table] = {"Keys": [key.as_item() for key in table_keys] if json is None else json}
        if batch.consistent:
            entry["ConsistentRead"] = True
    parameters = {"RequestItems": tables, "ReturnConsumedCapacity": "TOTAL"}
    return Request(BATCH_GET_ITEM, parameters, rows=batch.rows, keys=keys)
