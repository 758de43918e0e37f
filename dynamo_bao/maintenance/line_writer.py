"""Stores lines of a file: in batches, one by one, or several in one transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Final

from dynamo_bao.dynamodb.expressions.conditions import EMPTY
from dynamo_bao.dynamodb.service import MAX_BATCH_WRITE_ITEMS, PUT_ITEM
from dynamo_bao.dynamodb.transport.batch_write import write_batch
from dynamo_bao.dynamodb.transport.error_mapping import TransactionCancelled, may_have_succeeded
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.dynamodb.transport.multiplex import answered, starter_of
from dynamo_bao.errors import (
    BaoError,
    BatchIncompleteError,
    ConditionalError,
    DataFormatError,
    ItemNotFoundError,
    ServiceError,
    message_of,
)
from dynamo_bao.maintenance.line_reader import Line, Text
from dynamo_bao.maintenance.progress import Finding
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.runtime.records import define, field
from dynamo_bao.session.requests import round_of, send
from dynamo_bao.session.state import ModelMapper
from dynamo_bao.writes.actions import WritePlan, new_token, request_for
from dynamo_bao.writes.change_factory import sender
from dynamo_bao.writes.executor import WriteExecution
from dynamo_bao.writes.invalidation import all_invalidated
from dynamo_bao.writes.plans import ItemRef, plan_create, plan_delete, plan_replace

ACTIONS_TOGETHER: Final = 50
"""The most actions of a transaction that stores several lines: half of what DynamoDB takes."""
BYTES_TOGETHER: Final = 1_500_000
"""The most bytes of lines that one transaction stores. Their items are at most twice as large."""
_ROUNDS: Final = 5
_Call = Callable[[], list[Finding]]


def refusal_of(mapper: ModelMapper, text: Text, error: BaoError, key: str | None = None) -> Finding:
    """The finding about a line that is invalid, or that was not stored."""
    message = f"line {text.number}: {message_of(error)}"
    return Finding("line", message, "", mapper.schema.name, key, line=text.number)


@define
class LineWriter:
    """Stores lines of one model.

    Attributes:
        mapper: the repository of the model.
        tenant: the tenant of the items.
        overwrite: whether existing items are replaced.
        touched: whether any line may be stored.
    """

    mapper: ModelMapper
    tenant: str | None
    overwrite: bool
    touched: bool = False
    _actions_together: int = field(default=ACTIONS_TOGETHER, init=False)

    def write(
        self, lines: Sequence[Line], doubtful: Container[int], beside: Iterator[object]
    ) -> tuple[Finding, ...]:
        """Stores lines, and returns a finding for each refused line, in their order.

        Args:
            lines: no item and no unique value is in two of them.
            doubtful: the numbers of lines that an interrupted import may have stored already.
            beside: the steps of other work, which is done meanwhile.
        """
        with all_invalidated():
            if self.overwrite or self.mapper.schema.constraints:
                refusals = self._run(list(self._calls(lines, doubtful)), beside)
            else:
                refusals = self._write_new(lines, doubtful, beside)
        return tuple(sorted(chain.from_iterable(refusals), key=attrgetter("line")))

    def _run(self, calls: Sequence[_Call], beside: Iterator[object]) -> list[list[Finding]]:
        """Makes calls in threads."""

        def run_beside() -> list[Finding]:
            deque(beside, maxlen=0)
            return []

        # A call more at once: `beside` mostly computes while the others wait for replies.
        at_once = self.mapper.database.max_concurrency + 1
        return self.mapper.database.pool.run([run_beside, *calls], at_once)

    def _calls(self, lines: Sequence[Line], doubtful: Container[int]) -> Iterator[_Call]:
        """What stores lines that replace items, or that have unique values; the calls can run at the same time."""
        if not self.mapper.schema.constraints:
            for start in range(0, len(lines), MAX_BATCH_WRITE_ITEMS):
                yield partial(self._put_blindly, lines[start : start + MAX_BATCH_WRITE_ITEMS])
        elif self.overwrite:
            # A unique value can move from one item to another, so the order of the lines matters.
            yield partial(self._write_each, lines, doubtful)
        else:
            yield from (partial(self._write_together, part, doubtful) for part in self._parts(lines))

    def _parts(self, lines: Sequence[Line]) -> Iterator[list[Line]]:
        """The lines in parts that fit into a transaction each."""
        part: list[Line] = []
        actions = size = 0
        for line in lines:
            line_actions, line_size = 1 + len(line.guards), len(line.text.content) + len(line.filled)
            if part and (
                actions + line_actions > self._actions_together or size + line_size > BYTES_TOGETHER
            ):
                yield part
                part, actions, size = [], 0, 0
            part.append(line)
            actions, size = actions + line_actions, size + line_size
        if part:
            yield part

    def _subject(self, line: Line) -> ItemRef:
        return ItemRef(self.mapper.schema, self.tenant, line.identity)

    def _plan(self, line: Line, existing: StoredItem | None) -> WritePlan:
        """The plan that stores a line: as a new item, or in place of an existing one."""
        subject = self._subject(line)
        plan = plan_create(subject, line.values, EMPTY, line.item)
        return plan if existing is None else plan_replace(plan_delete(subject, existing, EMPTY), plan)

    # --- in batches -------------------------------------------------------------------------------

    def _put_blindly(self, lines: Sequence[Line]) -> list[Finding]:
        database = self.mapper.database
        puts = {database.table_name: {line.identity.key: line.item for line in lines}}
        name = self.mapper.schema.name
        with round_of(None, database, "write") as current_round:
            written = write_batch(database.transport, puts, database.deadline_from_now())
            for outcome in written.request_outcomes:
                current_round.add_outcome(database, outcome, [name], len(lines))
        self.touched |= written.error is None or bool(written.replies) or may_have_succeeded(written.error)
        if written.error is not None:
            raise written.error
        if written.unprocessed:
            raise BatchIncompleteError(
                f"{name}: DynamoDB left {len(written.unprocessed)} items unprocessed, also after they were sent again.",
                [(name, key.pk) for _, key in written.unprocessed],
            )
        return []

    # --- several in a transaction -----------------------------------------------------------------

    def _write_together(self, lines: Sequence[Line], doubtful: Container[int]) -> list[Finding]:
        """Stores new items with their unique values. Lines that DynamoDB refuses are written one by one."""
        if len(lines) == 1 or not self._actions_together:
            return self._write_each(lines, doubtful)
        plans = [self._plan(line, None) for line in lines]
        try:
            self._send_together(lines, plans)
        except TransactionCancelled as refusal:
            good_lines, refused_lines = _divided(lines, plans, refusal)
            if refusal.repeated:  # an earlier attempt may have stored them
                doubtful = {line.text.number for line in lines}
        except ServiceError as error:
            if error.code != "ValidationException":
                raise
            self._actions_together = 0  # an older DynamoDB Local takes fewer actions
            good_lines, refused_lines = [], list(lines)
        else:
            return []
        findings = self._write_together(good_lines, doubtful) if good_lines else []
        return [*findings, *self._write_each(refused_lines, doubtful)]

    def _send_together(self, lines: Sequence[Line], plans: Sequence[WritePlan]) -> None:
        database = self.mapper.database
        together = WritePlan(tuple(action for plan in plans for action in plan.actions), exact=True)
        operation, parameters = request_for(together, database.table_name, self.mapper.schema, new_token())
        about = [str(self._subject(line)) for line in lines]
        try:
            send(None, database, "write", about, Request(operation, parameters, True))
        except Exception as error:
            self.touched |= may_have_succeeded(error)
            raise
        self.touched = True

    # --- each in a request of its own --------------------------------------------------------------

    def _write_new(
        self, lines: Sequence[Line], doubtful: Container[int], beside: Iterator[object]
    ) -> list[list[Finding]]:
        """Stores new items without unique values. If there are open connections, this thread makes the first attempts.

        Each line is a request of its own: batches have no conditions, and transactions cost twice the write units.
        """
        database = self.mapper.database
        at_once = min(database.max_concurrency, len(lines))
        start = starter_of(database.transport, at_once) if lines else None
        if start is None:
            return self._run([partial(self._write_each, (line,), doubtful) for line in lines], beside)
        requests: list[Request] = []

        def first_requests() -> Iterator[Request]:
            _, parameters = request_for(
                self._plan(lines[0], None), database.table_name, self.mapper.schema, ""
            )
            for line in lines:
                next(beside, None)
                self.touched = True
                requests.append(Request(PUT_ITEM, {**parameters, "Item": line.item}, True))
                yield requests[-1]

        with round_of(None, database, "write") as current_round:
            name, deadline = self.mapper.schema.name, database.deadline_from_now()

            def count(number: int) -> None:
                about = [f"{name} {lines[number].identity.primary_id!r}"]
                current_round.send(database, requests[number], deadline, about)

            calls = [partial(count, number) for number in range(len(lines))]
            stored = answered(start, first_requests(), calls, at_once, database.deadline_from_now)
        rest = [
            partial(self._write_each, (line,), doubtful, requests[number] if number < len(requests) else None)
            for number, line in enumerate(lines)
            if number not in stored
        ]
        return self._run(rest, beside)

    # --- one by one -------------------------------------------------------------------------------

    def _write_each(
        self, lines: Sequence[Line], doubtful: Container[int], first_request: Request | None = None
    ) -> list[Finding]:
        """Stores lines one after the other.

        Args:
            first_request: the request that was sent for the first line already; its reply is still to be read.
        """
        findings: list[Finding] = []
        for line in lines:
            try:
                self._write_one(line, line.text.number in doubtful, first_request)
            except (ConditionalError, DataFormatError) as error:
                findings.append(refusal_of(self.mapper, line.text, error, line.identity.primary_id))
            first_request = None
        return findings

    def _write_one(self, line: Line, is_doubtful: bool, first_request: Request | None) -> None:
        for _ in range(_ROUNDS):
            try:
                return self._store(line, is_doubtful, first_request)
            except ItemNotFoundError:  # deleted between two reads
                first_request = None
        raise ConditionalError(f"{line.identity.primary_id!r} is being written and deleted by others.")

    def _store(self, line: Line, is_doubtful: bool, first_request: Request | None) -> None:
        database, subject = self.mapper.database, self._subject(line)
        operation = "save" if self.overwrite else "create"
        write = WriteExecution(
            database, subject, operation, partial(self._plan, line), sender(None, database, subject)
        )
        if first_request is not None:
            write.resume(first_request)
        try:
            write.run(None)
        except ConditionalError:
            if not (is_doubtful and write.is_done(database.deadline_from_now())):
                raise
        except Exception as error:
            self.touched |= may_have_succeeded(error)
            raise
        self.touched = True


def _divided(
    lines: Sequence[Line], plans: Sequence[WritePlan], refusal: TransactionCancelled
) -> tuple[list[Line], list[Line]]:
    """The lines of a cancelled transaction: those that can be stored together, and those to write one by one."""
    reasons = iter(refusal.reasons)
    good_lines: list[Line] = []
    refused_lines: list[Line] = []
    for line, plan in zip(lines, plans, strict=True):
        codes = [next(reasons, None) for _ in plan.actions]
        (refused_lines if any(codes) else good_lines).append(line)
    if not refused_lines:  # without a reason for any action
        return [], good_lines
    return good_lines, refused_lines
