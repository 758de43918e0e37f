"""One flush: the lookups and queries it took, the requests that answer them, and the outcome of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from dynamo_bao.capacity import NOTHING_CONSUMED, Capacity
from dynamo_bao.database import Database
from dynamo_bao.errors import BatchIncompleteError
from dynamo_bao.instances import STATE, load, mark_failed, mark_missing, state_of, values_in
from dynamo_bao.keys import named
from dynamo_bao.peers import PeerGroup
from dynamo_bao.session.identity import ItemKey
from dynamo_bao.session.lookups import PlannedBatch, Wanted, plan_reads
from dynamo_bao.session.pool import Pool
from dynamo_bao.session.queries import PendingQuery
from dynamo_bao.session.rounds import NAMED_KEYS, Round, Rounds, open_round, tell
from dynamo_bao.transport.batches import BatchAnswer, TableKey, fetch_batch
from dynamo_bao.transport.messages import Reply, Request
from dynamo_bao.wire import Item

QUERIES_FOR_A_BATCH = 5
"""How many queries travel at once where one batch would: a query's reply is a page, a batch's up to 16 MB."""


class Flush:
    """Answers lookups and queries in one round of parallel requests.

    Args:
        taken: the lookups, by what they ask for.
        queries: the queries whose first pages are wanted.
        rounds: the session's rounds, to which this one is added.

    Attributes:
        unanswered: the lookups without an outcome; none are left unless an exception ends the round.
        unheard: the queries without an outcome, likewise.
    """

    def __init__(self, taken: dict[ItemKey, Any], queries: Sequence[PendingQuery], rounds: Rounds) -> None:
        self.unanswered = dict(taken)
        self.unheard = list(queries)
        self._rounds = rounds
        self._loaded: list[Any] = []
        self._wanted = [
            named(Wanted, (key.home.database, key.key, state_of(instance).wants_consistent, key))
            for key, instance in taken.items()
        ]

    def run(self, pool: Pool, seconds: float | None, max_concurrency: int | None) -> None:
        """Sends the requests and gives every key and query its outcome.

        Args:
            seconds: how long requests are retried; None for the least of the tables' own.
            max_concurrency: how many requests travel at once; None for the most of the tables' own, and five
                times as many queries beside them.
        """
        plan, queries = plan_reads(self._wanted), list(self.unheard)
        asked = [*(planned.database for planned in plan), *(query.database for query in queries)]
        databases = list({id(database): database for database in asked}.values())
        seconds = seconds or min(database.deadline for database in databases)
        widened = 1 + QUERIES_FOR_A_BATCH if self.unheard else 1
        at_once = max_concurrency or widened * max(database.max_concurrency for database in databases)
        calls: list[Callable[[], Any]] = [partial(_fetch, planned, seconds) for planned in plan]
        calls += [partial(_ask, query.database, query.first_request(), seconds) for query in queries]
        with open_round(self._rounds, databases[0], "lookups" if plan else "queries") as opened:
            answers = pool.run(calls, at_once)
            for planned, answer in zip(plan, answers, strict=False):
                self._settle(opened, planned, answer)
            for query, outcome in zip(queries, answers[len(plan) :], strict=True):
                self._heard(opened, query, outcome)
        _make_peers(self._loaded)
        for database in databases:
            tell(database.observers.on_flush, opened)

    def _settle(self, opened: Round, planned: PlannedBatch, answer: BatchAnswer) -> None:
        self._rounds.stats.batches += len(answer.replies)
        self._rounds.stats.keys_fetched += len(planned.batch.keys)
        failures: dict[TableKey, Exception] = dict(answer.failed)
        if answer.unanswered:
            failures.update(dict.fromkeys(answer.unanswered, _incomplete(len(answer.unanswered))))
        share = _share(answer, len(planned.batch.keys))
        about: list[str] = []
        items, consistent, pop = answer.items, planned.batch.consistent, self.unanswered.pop
        for table_key, callers in zip(planned.batch.keys, planned.callers, strict=True):
            item = items.get(table_key)
            for item_key in callers:
                instance = pop(item_key)
                values = values_in(instance, "__dict__")
                state = values[STATE]
                if len(about) < NAMED_KEYS:
                    about.append(f"{item_key.home.schema.name} {state.primary_id!r}")
                if failures and table_key in failures:
                    mark_failed(instance, failures[table_key])
                elif item is None:
                    mark_missing(instance, consistent=consistent)
                else:
                    self._take(instance, values, item, consistent)
                state.capacity = share if state.capacity is NOTHING_CONSUMED else state.capacity.plus(share)
        for reply in answer.replies:
            opened.add(planned.database, reply, about, len(planned.batch.keys))
        for request, error, started in answer.refused:
            opened.add_failure(planned.database, request, error, started, about)

    def _take(self, instance: Any, values: dict[str, Any], item: Item, consistent: bool) -> None:
        """Loads an instance; an item that cannot be decoded is that instance's own failure."""
        try:
            load(instance, values, item, consistent)
        except Exception as error:
            mark_failed(instance, error)
        else:
            self._loaded.append(instance)

    def _heard(self, opened: Round, query: PendingQuery, outcome: Reply | _Refusal) -> None:
        self.unheard.remove(query)
        if isinstance(outcome, Reply):
            opened.add(query.database, outcome, [query.about])
            query.arrived(outcome)
        else:
            opened.add_failure(query.database, outcome.request, outcome.error, outcome.started, [query.about])
            query.arrived(outcome.error)


class _Refusal(NamedTuple):
    """A query that ended with an error, in a thread where nobody could catch it."""

    request: Request
    error: Exception
    started: float


def _ask(database: Database, request: Request, seconds: float) -> Reply | _Refusal:
    now = database.transport.clock.now()
    try:
        return database.transport.send(request, deadline=now + seconds)
    except Exception as error:
        return _Refusal(request, error, now)


def _fetch(planned: PlannedBatch, seconds: float) -> BatchAnswer:
    deadline = planned.transport.clock.now() + seconds
    return fetch_batch(planned.transport, planned.batch, deadline)


def _share(answer: BatchAnswer, keys: int) -> Capacity:
    """What each key of a batch cost: its capacity in equal parts, as DynamoDB reports no others."""
    return Capacity(read=sum(reply.capacity.read for reply in answer.replies) / keys)


def _incomplete(count: int) -> BatchIncompleteError:
    return BatchIncompleteError(f"DynamoDB had not processed {count} keys by the deadline.")


def _make_peers(instances: list[Any]) -> None:
    """Instances of one model that one round brought are peers."""
    by_home: dict[int, list[Any]] = {}
    for instance in instances:
        by_home.setdefault(id(state_of(instance).home), []).append(instance)
    for members in by_home.values():
        group = PeerGroup(members)
        for member in members:
            state_of(member).group = group
