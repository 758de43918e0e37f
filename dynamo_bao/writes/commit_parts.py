"""The parts of a commit, which are written at the same time, and their outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from dynamo_bao.dynamodb.items import ReplyItem
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.error_mapping import may_have_succeeded
from dynamo_bao.dynamodb.transport.messages import FailedRequest, Reply, Request
from dynamo_bao.errors import WriteOutcomeUnknownError
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.records import Factory, define
from dynamo_bao.session.requests import run_at_once
from dynamo_bao.session.session import Session
from dynamo_bao.session.unit_of_work import CommitFigures
from dynamo_bao.writes.changes import Change

T = TypeVar("T")


@define
class CommitOutcome:
    """The outcome of changes that were written together.

    Attributes:
        stored: by written change the item that DynamoDB returned.
        failed: by failed change the error.
        unknown: by change with an unknown outcome the error.
        request_outcomes: the replies and failures of all requests, in order.
    """

    database: Database
    stored: dict[Change, ReplyItem | None] = Factory(dict)
    failed: dict[Change, Exception] = Factory(dict)
    unknown: dict[Change, Exception] = Factory(dict)
    request_outcomes: list[Reply | FailedRequest] = Factory(list)

    def add(self, other: CommitOutcome) -> None:
        """Adds the outcome of other changes."""
        self.stored.update(other.stored)
        if other.failed:
            self.failed.update(other.failed)
        if other.unknown:
            self.unknown.update(other.unknown)

    def figures(self, changes: Iterable[Change], joined_changes: Iterable[Change] = ()) -> CommitFigures:
        """The outcome by instance. Changes without an outcome count as not written.

        Args:
            changes: the changes that were sent.
            joined_changes: changes that were sent as a part of these; see `commit.joined_changes_of`.
        """
        written, unclear = self.stored.keys(), self.unknown.keys()
        done_instances: list[Any] = []
        not_done: list[Any] = []
        unknown: list[Any] = []
        fates: dict[object, list[Any]] = {}
        for change in changes:
            fate = done_instances if change in written else unknown if change in unclear else not_done
            fate.append(change.instance)
            fates[change.item_ref] = fate
        for change in joined_changes:
            fates[change.item_ref].append(change.instance)
        return CommitFigures(tuple(done_instances), tuple(not_done), tuple(unknown))


NONE_YET: Final[Any] = (MappingProxyType({}),) * 3
"""The written, failed and unknown changes of an outcome that replaces them."""

Conclude = Callable[[Sequence[Change], CommitOutcome], None]
"""Updates a session to the outcome of changes after an exception ended their commit."""


class CommitParts(Generic[T]):
    """The parts of a commit, which are written at the same time. Their outcome can be read at any moment.

    It is a context manager for the block that writes them. If an exception leaves the block, the session is updated
    to the changes that are written by then.

    Args:
        members: returns the changes of each part.
        calls: writes each part.
        outcome_of: returns the outcome of the changes of a part, from the result of its call.
        conclude: called with all changes and their outcome if an exception leaves the block.
    """

    def __init__(
        self,
        members: Callable[[], Sequence[Sequence[Change]]],
        calls: Sequence[Callable[[], T]],
        outcome_of: Callable[[Sequence[Change], T], CommitOutcome],
        conclude: Conclude,
    ) -> None:
        self._members = members
        self._calls = calls
        self._outcome_of = outcome_of
        self._conclude = conclude
        self._begun: set[int] = set()
        self._results: dict[int, T] = {}

    def __enter__(self) -> CommitParts[T]:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._conclude(*self.so_far())

    def write(self, session: Session, database: Database, first_requests: Sequence[Request] = ()) -> list[T]:
        """Makes all calls, several at a time, and returns their results in order.

        Args:
            first_requests: the first request of each call, if they are known.
        """
        session._work.report(self.figures)
        call = self._call
        calls = [partial(call, number) for number in range(len(self._calls))]
        return run_at_once(session, database, calls, first_requests, self._begun.add)

    def _call(self, number: int) -> T:
        self._begun.add(number)
        try:
            result = self._results[number] = self._calls[number]()
        except Exception as error:
            if not is_foreign(error) and not may_have_succeeded(error):
                self._begun.discard(number)
            raise
        return result

    def so_far(self) -> tuple[list[Change], CommitOutcome]:
        """All changes, and their outcome until now."""
        members, results, begun = self._members(), dict(self._results), set(self._begun)
        outcome = CommitOutcome(members[0][0].mapper.database)
        for number, changes in enumerate(members):
            if number in results:
                outcome.add(self._outcome_of(changes, results[number]))
            elif number in begun:
                outcome.unknown.update(dict.fromkeys(changes, NO_ANSWER))
        return [change for changes in members for change in changes], outcome

    def figures(self) -> CommitFigures:
        """The outcome by instance until now."""
        changes, outcome = self.so_far()
        return outcome.figures(changes)


NO_ANSWER: Final = WriteOutcomeUnknownError("The commit was interrupted before the answer came.")
