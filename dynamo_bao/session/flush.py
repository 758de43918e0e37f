"""One flush: the lookups it took, the requests that answer them, and the outcome of each key."""

from __future__ import annotations

from functools import partial
from typing import Any

from dynamo_bao.capacity import Capacity
from dynamo_bao.errors import BatchIncompleteError
from dynamo_bao.instances import PeerGroup, Status, fill, mark_failed, mark_missing, state_of
from dynamo_bao.session.identity import ItemKey
from dynamo_bao.session.lookups import PlannedBatch, plan_reads, wanted_by
from dynamo_bao.session.pool import Pool
from dynamo_bao.session.stats import Stats
from dynamo_bao.transport.batches import BatchAnswer, TableKey, fetch_batch


class Flush:
    """Answers lookups in one round of parallel requests.

    Args:
        taken: the lookups, by what they ask for.
        stats: the session's figures, which the round is added to.

    Attributes:
        unanswered: the lookups without an outcome; none are left unless an exception ends the round.
    """

    def __init__(self, taken: dict[ItemKey, Any], stats: Stats) -> None:
        self.unanswered = dict(taken)
        self._stats = stats
        self._settled: list[Any] = []
        self._waiting: dict[tuple[int, TableKey], list[ItemKey]] = {}
        self._wanted = []
        for item_key, instance in taken.items():
            want = wanted_by(state_of(instance))
            self._wanted.append(want)
            self._waiting.setdefault((id(want.database.transport), want.table_key), []).append(item_key)

    def run(self, pool: Pool, deadline: float | None, max_concurrency: int | None) -> None:
        """Sends the requests and gives every key its outcome.

        Args:
            deadline: seconds that keys are retried; None for the least of the tables' own.
            max_concurrency: how many requests travel at once; None for the most of the tables' own.
        """
        plan = plan_reads(self._wanted)
        databases = [want.database for want in self._wanted]
        seconds = deadline or min(database.deadline for database in databases)
        at_once = max_concurrency or max(database.max_concurrency for database in databases)
        self._stats.round_trips += 1
        calls = [partial(_fetch, planned, seconds) for planned in plan]
        for planned, answer in zip(plan, pool.run(calls, at_once), strict=True):
            self._settle(planned, answer)
        _make_peers(self._settled)

    def _settle(self, planned: PlannedBatch, answer: BatchAnswer) -> None:
        self._stats.batches += len(answer.replies)
        self._stats.keys_fetched += len(planned.batch.keys)
        for reply in answer.replies:
            self._stats.count(reply)
        failures: dict[TableKey, Exception] = dict(answer.failed)
        if answer.unanswered:
            failures.update(dict.fromkeys(answer.unanswered, _incomplete(len(answer.unanswered))))
        share = _share(answer, len(planned.batch.keys))
        for table_key in planned.batch.keys:
            for item_key in self._waiting[id(planned.transport), table_key]:
                instance = self.unanswered.pop(item_key)
                _resolve(
                    instance, answer.items.get(table_key), failures.get(table_key), planned.batch.consistent
                )
                state = state_of(instance)
                state.capacity = state.capacity.plus(share)
                self._settled.append(instance)


def _fetch(planned: PlannedBatch, seconds: float) -> BatchAnswer:
    deadline = planned.transport.clock.now() + seconds
    return fetch_batch(planned.transport, planned.batch, deadline)


def _share(answer: BatchAnswer, keys: int) -> Capacity:
    """What each key of a batch cost: its capacity in equal parts, as DynamoDB reports no others."""
    return Capacity(read=sum(reply.capacity.read for reply in answer.replies) / keys)


def _incomplete(count: int) -> BatchIncompleteError:
    return BatchIncompleteError(f"DynamoDB had not processed {count} keys by the deadline.")


def _resolve(instance: Any, item: Any, failure: Exception | None, consistent: bool) -> None:
    """Loads an instance from what its batch brought; what cannot be decoded is that instance's own failure."""
    if failure is not None:
        mark_failed(instance, failure)
    elif item is None:
        mark_missing(instance, consistent=consistent)
    else:
        try:
            fill(instance, item, consistent=consistent)
        except Exception as error:
            mark_failed(instance, error)


def _make_peers(instances: list[Any]) -> None:
    """Instances of one model that one round brought are peers."""
    by_home: dict[int, list[Any]] = {}
    for instance in instances:
        if state_of(instance).status is Status.LOADED:
            by_home.setdefault(id(state_of(instance).home), []).append(instance)
    for members in by_home.values():
        group = PeerGroup(members)
        for member in members:
            state_of(member).group = group
