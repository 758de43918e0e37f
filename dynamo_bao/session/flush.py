"""One flush: the lookups and queries it took, the requests that answer them, and the outcome of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from dynamo_bao._foreign_errors import is_foreign
from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.items import Stored, key_texts_of
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.batch_get import BatchAnswer, TableKey, fetch_batch
from dynamo_bao.dynamodb.transport.messages import FailedRequest, Reply, Request
from dynamo_bao.errors import BatchIncompleteError, ConfigurationError, about
from dynamo_bao.session.hydration import hydrate_batch
from dynamo_bao.session.peers import make_peers
from dynamo_bao.session.pending_lookups import PendingKeys, PlannedBatch, plan_reads
from dynamo_bao.session.pending_queries import PendingQuery
from dynamo_bao.session.rounds import NAMED_KEYS, Round, Rounds, notify, start_round
from dynamo_bao.session.state import Status, mark_failed, mark_missing, state_of


class Flush:
    """Answers lookups and queries in one round of parallel requests.

    Args:
        wanted: the keys that are looked up, each for an instance.
        queries: the queries whose first pages are wanted.
        rounds: the session's rounds, to which this one is added.
        kind: what the round is for the trace; lookups or queries by default.

    Attributes:
        unresolved: the queries without an outcome; none are left unless an exception ends the round.
    """

    def __init__(
        self,
        wanted: Sequence[PendingKeys],
        queries: Sequence[PendingQuery],
        rounds: Rounds,
        kind: str | None = None,
    ) -> None:
        self.unresolved = list(queries)
        self._kind = kind
        self._rounds = rounds
        self._related: list[Any] = []
        self._wanted = wanted

    def unanswered(self) -> list[Any]:
        """The instances that were looked up and have no outcome; none, unless an exception ended the round."""
        wanted = (one for _, _, callers, _ in self._wanted for one in callers.values())
        return [one for one in wanted if state_of(one).status is Status.PENDING]

    def run(
        self,
        seconds: float | None,
        max_concurrency: int | None,
        max_throttled_calls: float | None = None,
    ) -> None:
        """Sends the requests and gives every key and query its outcome.

        Args:
            seconds: how long requests are retried; None for the least of the tables' own.
            max_concurrency: how many requests travel at once, whatever they are; None for the most of the tables' own.
            max_throttled_calls: how many calls may wait because of throttling; None for the tables' own.
        """
        plan, queries = plan_reads(self._wanted), list(self.unresolved)
        asked = [*(planned.database for planned in plan), *(query._database for query in queries)]
        databases = list({id(database): database for database in asked}.values())
        seconds = seconds or min(database.deadline for database in databases)
        at_once = max_concurrency or max(database.max_concurrency for database in databases)
        # One deadline for all of them, from now on: waiting until a thread is free counts.
        limits = (seconds, max_throttled_calls)
        calls: list[Callable[[], Any]] = [
            partial(_fetch, planned, planned.database.deadline_from_now(*limits)) for planned in plan
        ]
        calls += [
            partial(_ask, query._database, query._first_request(), query._database.deadline_from_now(*limits))
            for query in queries
        ]
        for database in databases:
            database.on_event_loop.check()
        kind = self._kind or ("lookups" if plan else "queries")
        with start_round(self._rounds, databases[0], kind) as opened:
            answers = databases[0].pool.run(calls, at_once)
            opened.sent_at_once(len(calls), at_once)
            for planned, answer in zip(plan, answers, strict=False):
                self._settle(opened, planned, answer)
            for query, outcome in zip(queries, answers[len(plan) :], strict=True):
                self._deliver(opened, query, outcome)
        make_peers(self._related, is_page=self._kind is not None)
        for database in databases:
            notify(database.observers.on_flush, opened)

    def _settle(self, opened: Round, planned: PlannedBatch, answer: BatchAnswer) -> None:
        self._rounds.stats.batches += len(answer.replies)
        keys, consistent = len(planned.batch), planned.batch.consistent
        self._rounds.stats.keys_fetched += keys
        share, failures = _share(answer, keys), _failures(answer)
        for table, callers in planned.callers.items():
            items = answer.items.get(table, [])
            self._resolve(table, callers, items, failures, share, consistent)
            for (where, key), others in planned.others.items():
                if where == table and key in callers:
                    own = [item for item in items if key_texts_of(item) == key]
                    for one in others:
                        self._resolve(table, {key: one}, own, failures, share, consistent)
        callers_of = (caller for callers in planned.callers.values() for caller in callers.values())
        about = [_named(caller) for caller in islice(callers_of, NAMED_KEYS)]
        for reply in answer.replies:
            opened.add(planned.database, reply, about, keys)
        for failed in answer.failed_requests:
            opened.add_failure(planned.database, failed, about, keys)

    def _resolve(
        self,
        table: str,
        callers: Mapping[Key, Any],
        items: Sequence[Stored],
        failures: Mapping[TableKey, Exception],
        share: Capacity,
        consistent: bool,
    ) -> None:
        """Gives the instances of one table their outcome."""
        related, absent = hydrate_batch(callers, items, consistent, share)
        self._related += related
        for key, instance in absent.items():
            failure = failures.get((table, key))
            if failure is not None:
                mark_failed(instance, failure)
            else:
                mark_missing(instance, consistent=consistent)

    def _deliver(self, opened: Round, query: PendingQuery, outcome: Reply | FailedRequest) -> None:
        self.unresolved.remove(query)
        if isinstance(outcome, Reply):
            opened.add(query._database, outcome, [query._label])
            query._receive(outcome)
        else:
            opened.add_failure(query._database, outcome, [query._label])
            query._receive(about(outcome.error, query._label))


def _fetch(planned: PlannedBatch, deadline: float) -> BatchAnswer:
    try:
        planned.database.require_open()
    except ConfigurationError as error:
        keys = ((table, key) for table, callers in planned.callers.items() for key in callers)
        return BatchAnswer(failed=dict.fromkeys(keys, error))
    return fetch_batch(planned.transport, planned.batch, deadline)


def _ask(database: Database, request: Request, deadline: float) -> Reply | FailedRequest:
    now = database.transport.clock.now()
    try:
        database.require_open()
        return database.transport.send(request, deadline=deadline)
    except Exception as error:
        if is_foreign(error):
            raise
        return FailedRequest(request, error, now)


def _share(answer: BatchAnswer, keys: int) -> Capacity:
    """What each key of a batch cost: its capacity in equal parts, as DynamoDB reports no others."""
    return Capacity(read=sum(reply.capacity.read for reply in answer.replies) / keys)


def _failures(answer: BatchAnswer) -> Mapping[TableKey, Exception]:
    """The keys without an answer, each with the reason."""
    if not answer.unanswered:
        return answer.failed
    left = BatchIncompleteError(answer.complaint)
    unanswered = ((table, key) for table, keys in answer.unanswered.items() for key in keys)
    return {**answer.failed, **dict.fromkeys(unanswered, left)}


def _named(instance: Any) -> str:
    state = state_of(instance)
    return f"{state.mapper.schema.name} {state.primary_id!r}" if state.mapper is not None else repr(instance)
