"""One ``BatchGetItem`` and what DynamoDB leaves of it: asked again until every key is answered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from attrs import Factory, define, field, frozen

from dynamo_bao._foreign_errors import is_foreign
from dynamo_bao.dynamodb.items import Stored, json_keys
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import BATCH_GET_ITEM
from dynamo_bao.dynamodb.transport.error_mapping import THROTTLING, TRANSIENT
from dynamo_bao.dynamodb.transport.messages import FailedRequest, Reply, Request, RowParser, Transport
from dynamo_bao.dynamodb.transport.retry import repeat_unprocessed
from dynamo_bao.errors import ServiceError

TableKey = tuple[str, Key]
"""A key together with the table it is looked for in."""
Keys = Mapping[str, Collection[Key]]
"""By table, the keys that are looked for there."""


@frozen
class Batch:
    """The keys of one request: at most 100, all read with the same consistency.

    Attributes:
        rows: into what rows the items are to be parsed.
    """

    keys: Keys
    consistent: bool = False
    rows: RowParser | None = field(default=None, eq=False, repr=False)

    def __len__(self) -> int:
        return sum(map(len, self.keys.values()))


@define(eq=False)
class BatchAnswer:
    """What came back for a batch. A key in none of the three is not stored.

    Attributes:
        items: by table, the items found.
        unanswered: the keys that DynamoDB left unprocessed, also when it was asked again.
        failed: keys that could not be asked for, each with the reason.
        replies: every reply, in order.
        failed_requests: requests that ended with an error.
    """

    items: dict[str, list[Stored]] = Factory(dict)
    unanswered: dict[str, Collection[Key]] = Factory(dict)
    failed: dict[TableKey, Exception] = Factory(dict)
    replies: list[Reply] = Factory(list)
    failed_requests: list[FailedRequest] = Factory(list)

    @property
    def left(self) -> int:
        """How many keys are unanswered."""
        return sum(map(len, self.unanswered.values()))

    def give_up(self, error: Exception) -> None:
        """Makes `error` the outcome of all unanswered keys."""
        unanswered, self.unanswered = self.unanswered, {}
        keys = ((table, key) for table, keys in unanswered.items() for key in keys)
        self.failed.update(dict.fromkeys(keys, error))

    @property
    def complaint(self) -> str:
        """What to say of the unanswered keys."""
        keys, requests = self.left, len(self.replies)
        return (
            f"DynamoDB left {keys} key{'s' if keys > 1 else ''} unprocessed, also in the last of {requests} requests. "
            f"Raise the table's capacity, spread the load, or give a longer deadline."
        )


def fetch_batch(transport: Transport, batch: Batch, deadline: float) -> BatchAnswer:
    """Asks for all keys of `batch`, and again for those left unprocessed; see `repeat_unprocessed`.

    An error of the service or the network is the outcome of its keys, not an exception. A request over
    several tables that is refused as a whole is repeated table by table.
    """
    fetch = _Fetch(transport, batch, deadline)
    crowded = repeat_unprocessed(transport.clock, deadline, len(batch), fetch.ask)
    if crowded is not None:
        fetch.answer.give_up(crowded)
    return fetch.answer


_NO_TABLES_FAULT = THROTTLING | TRANSIENT
"""Refusals that one table would get as well as several."""


class _Fetch:
    """A batch on its way: the rounds it takes until every key has an outcome."""

    def __init__(self, transport: Transport, batch: Batch, deadline: float) -> None:
        self._transport = transport
        self._batch = batch
        self._deadline = deadline
        self.answer = BatchAnswer(unanswered=dict(batch.keys))

    def ask(self, waited: float | None) -> list[str]:
        """Asks for the keys without an answer; returns the tables of those that still have none."""
        keys, self.answer.unanswered = self.answer.unanswered, {}
        self._ask(keys, waited)
        return [table for table, keys in self.answer.unanswered.items() for _ in keys]

    def _ask(self, keys: Keys, waited: float | None) -> None:
        request, started = _request(keys, self._batch), self._transport.clock.now()
        try:
            reply = self._transport.send(request, deadline=self._deadline)
        except Exception as error:
            if is_foreign(error):
                raise
            self.answer.failed_requests.append(FailedRequest(request, error, started).after(waited))
            self._refused(keys, error, waited)
            return
        self.answer.replies.append(reply.after(waited))
        self._file(reply.parsed)

    def _refused(self, keys: Keys, error: Exception, waited: float | None) -> None:
        """Asks table by table where a request over several was refused as a whole, perhaps because of one."""
        if len(keys) > 1 and isinstance(error, ServiceError) and error.code not in _NO_TABLES_FAULT:
            for table, wanted in keys.items():
                self._ask({table: wanted}, None if waited is None else 0.0)
        else:
            failed = ((table, key) for table, wanted in keys.items() for key in wanted)
            self.answer.failed.update(dict.fromkeys(failed, error))

    def _file(self, body: dict[str, Any]) -> None:
        """Takes the items of a reply, and notes the keys it left unprocessed."""
        for table, found in body.get("Responses", {}).items():
            self.answer.items.setdefault(table, []).extend(found)
        for table, entry in body.get("UnprocessedKeys", {}).items():
            self.answer.unanswered[table] = [Key(key[PK]["S"], key[SK]["S"]) for key in entry["Keys"]]


def _request(keys: Keys, batch: Batch) -> Request:
    tables: dict[str, dict[str, Any]] = {}
    for table, wanted in keys.items():
        spelled = None if batch.rows is None else json_keys(wanted)
        entry = tables[table] = {"Keys": [key.as_item() for key in wanted] if spelled is None else spelled}
        if batch.consistent:
            entry["ConsistentRead"] = True
    parameters = {"RequestItems": tables, "ReturnConsumedCapacity": "TOTAL"}
    return Request(BATCH_GET_ITEM, parameters, rows=batch.rows, keys=keys)
