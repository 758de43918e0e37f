"""One flush: pending lookups and queries, the requests that answer them, and the outcome of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.items import KeyedItems
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.batch_get import BatchAnswer, TableKey, fetch_batch
from dynamo_bao.dynamodb.transport.messages import FailedRequest, Reply, Request
from dynamo_bao.errors import BatchIncompleteError, ConfigurationError
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.session.error_subjects import about
from dynamo_bao.session.hydration import hydrate_batch
from dynamo_bao.session.peers import make_peers
from dynamo_bao.session.pending_lookups import PendingKeys, PlannedBatch, plan_reads
from dynamo_bao.session.pending_queries import PendingQuery
from dynamo_bao.session.rounds import NAMED_KEYS, Round, Rounds, notify, start_round
from dynamo_bao.session.state import Instance, Status, mark_failed, mark_missing, state_of


class Flush:
    """Answers lookups and queries in one round of parallel requests.

    Args:
        lookups: the pending keys, each with its instance.
        queries: the pending queries; their first pages are requested.
        rounds: the session's rounds; this round is added to them.
        kind: the kind of the round in the trace; lookups or queries by default.
        require_open: raises if the session was closed during the requests; then the replies are dropped.

    Attributes:
        unresolved: the queries without an outcome; it is empty at the end unless an exception ends the round.
    """

    def __init__(
        self,
        lookups: Sequence[PendingKeys[Instance]],
        queries: Sequence[PendingQuery],
        rounds: Rounds,
        kind: str | None = None,
        require_open: Callable[[], object] = lambda: None,
    ) -> None:
        self._require_open = require_open
        self.unresolved: list[PendingQuery] = list(queries)
        self._kind = kind
        self._rounds = rounds
        self._related: list[Instance] = []
        self._lookups = lookups

    def unanswered(self) -> list[Instance]:
        """The instances without an outcome; the list is empty unless an exception ended the round."""
        instances = (instance for _, _, callers, _ in self._lookups for instance in callers.values())
        return [instance for instance in instances if state_of(instance).status is Status.PENDING]

    def run(
        self,
        seconds: float | None,
        max_concurrency: int | None,
        max_throttled_calls: float | None = None,
    ) -> None:
        """Sends the requests, and gives every key and query its outcome.

        Args:
            seconds: how long requests are retried; None for the shortest of the tables' settings.
            max_concurrency: how many requests run at the same time; None for the largest of the tables' settings.
            max_throttled_calls: how many calls may wait because of throttling; None for the tables' settings.
        """
        plan, queries = plan_reads(self._lookups), list(self.unresolved)
        sources = [*(planned.database for planned in plan), *(query._database for query in queries)]
        databases = list({id(database): database for database in sources}.values())
        seconds = seconds or min(database.deadline for database in databases)
        at_once = max_concurrency or max(database.max_concurrency for database in databases)
        # All requests have one deadline, which starts now. Waiting for a free thread counts.
        limits = (seconds, max_throttled_calls)
        calls: list[Callable[[], Any]] = [
            partial(_fetch, planned, planned.database.deadline_from_now(*limits)) for planned in plan
        ]
        calls += [
            partial(
                _send_query,
                query._database,
                query._next_request(),
                query._database.deadline_from_now(*limits),
            )
            for query in queries
        ]
        for database in databases:
            database.on_event_loop.check()
        continues = not plan and all(query._continues for query in queries)
        kind = self._kind or ("lookups" if plan else "pages" if continues else "queries")
        with start_round(self._rounds, databases[0], kind) as current_round:
            current_round.remedy = queries[0]._remedy if len(queries) == 1 and not continues else ""
            answers = databases[0].pool.run(calls, at_once)
            current_round.sent_at_once(len(calls), at_once)
            self._require_open()
            for planned, answer in zip(plan, answers, strict=False):
                self._resolve_batch(current_round, planned, answer)
            for query, outcome in zip(queries, answers[len(plan) :], strict=True):
                self._resolve_query(current_round, query, outcome)
        make_peers(self._related, is_page=self._kind is not None)
        for database in databases:
            notify(database.observers.on_flush, current_round)

    def _resolve_batch(
        self, current_round: Round, planned: PlannedBatch[Instance], answer: BatchAnswer
    ) -> None:
        keys, consistent = len(planned.batch), planned.batch.consistent
        self._rounds.stats.keys_fetched += keys
        share, failures = _share(answer, keys), _failures(answer)
        for table, callers in planned.callers.items():
            items = answer.items.get(table) or KeyedItems()
            self._resolve(table, callers, items, failures, share, consistent)
            for (key_table, key), duplicates in planned.duplicates.items():
                if key_table == table and key in callers:
                    matches = items.with_key(key)
                    for instance in duplicates:
                        self._resolve(table, {key: instance}, matches, failures, share, consistent)
        all_callers = chain.from_iterable([callers.values() for callers in planned.callers.values()])
        labels = [state_of(caller).label for caller in islice(all_callers, NAMED_KEYS)]
        current_round.add_batch(planned.database, answer, labels, keys)

    def _resolve(
        self,
        table: str,
        callers: Mapping[Key, Instance],
        items: KeyedItems,
        failures: Mapping[TableKey, Exception],
        share: Capacity,
        consistent: bool,
    ) -> None:
        """Gives the instances of one table their outcomes."""
        related, absent = hydrate_batch(callers, items, consistent, share)
        self._related += related
        for key, instance in absent.items():
            failure = failures.get((table, key))
            if failure is not None:
                mark_failed(instance, failure)
            else:
                mark_missing(instance, consistent=consistent)
                self._related.append(instance)

    def _resolve_query(
        self, current_round: Round, query: PendingQuery, outcome: Reply | FailedRequest
    ) -> None:
        self.unresolved.remove(query)
        current_round.add_outcome(query._database, outcome, [query._label])
        query._receive(outcome if isinstance(outcome, Reply) else about(outcome.error, query._label))


def _fetch(planned: PlannedBatch[Instance], deadline: float) -> BatchAnswer:
    try:
        planned.database.require_open()
    except ConfigurationError as error:
        keys = ((table, key) for table, callers in planned.callers.items() for key in callers)
        return BatchAnswer(failed=dict.fromkeys(keys, error))
    return fetch_batch(planned.transport, planned.batch, deadline)


def _send_query(database: Database, request: Request, deadline: float) -> Reply | FailedRequest:
    start_time = database.transport.clock.now()
    try:
        database.require_open()
        return database.transport.send(request, deadline=deadline)
    except Exception as error:
        if is_foreign(error):
            raise
        return FailedRequest(request, error, start_time)


def _share(answer: BatchAnswer, keys: int) -> Capacity:
    """The capacity of each key of a batch: equal parts, as DynamoDB reports only the sum."""
    return Capacity(read=sum(reply.capacity.read for reply in answer.replies) / keys)


def _failures(answer: BatchAnswer) -> Mapping[TableKey, Exception]:
    """The keys without an answer, each with its error."""
    if not answer.unanswered:
        return answer.failed
    error = BatchIncompleteError(answer.complaint)
    keys_without_answer = ((table, key) for table, keys in answer.unanswered.items() for key in keys)
    return {**answer.failed, **dict.fromkeys(keys_without_answer, error)}
