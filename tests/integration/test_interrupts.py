"""An exception raised at any instruction, as signals raise them, leaves nothing bound, and no round under way."""

from __future__ import annotations

import contextvars
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

import dynamo_bao
from dynamo_bao import (
    BatchContextWarning,
    Manager,
    Model,
    PrimaryKey,
    Session,
    StringField,
    TenantContext,
    batched,
    current_session,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.models.persister import RepositoryPersister
from dynamo_bao.session.bindings import KINDS, innermost
from dynamo_bao.session.ownership import SessionState
from dynamo_bao.session.request_session import RequestSession
from dynamo_bao.session.settings import DEFAULT_SETTINGS
from dynamo_bao.testing import RecordingTransport, Reply, Request, embedded_transport
from dynamo_bao.web.async_request import AsyncRequest

LIBRARY = os.path.dirname(dynamo_bao.__file__)
ROOMS = ("models/transaction", "writes/commit", "session")
"""The modules and packages in which exceptions are raised: those that enter, leave, flush, commit and decode."""


STEP = int(os.environ.get("BAO_INSTRUCTION_STEP", "5"))
"""Of how many instructions of a flush or commit one is tried; blocks are tried at each."""


class Thing(Model, prefix="sit"):
    thing_id: str = StringField()
    text: str = StringField(default="")

    primary_key = PrimaryKey("thing_id")


class Interrupt(BaseException):
    """What a signal's handler raises."""


class Canned(RecordingTransport):
    """Answers the second time what it was answered the first time, so that a thousand rounds take no time."""

    def __init__(self) -> None:
        super().__init__(embedded_transport())
        self._known: dict[str, Reply] = {}

    def send(self, request: Request, *, deadline: Any) -> Reply:
        known = f"{request.operation}{request.parameters!r}"
        if known not in self._known:
            self._known[known] = super().send(request, deadline=deadline)
        return self._known[known]


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with init_models(models=[Thing], table_name="interrupts", transport=Canned()) as manager:
        manager.create_table()
        Thing.create(thing_id="t", text="x")
        yield manager


class Signal:
    """Raises `Interrupt` at one instruction of the library's rooms, counted from 1.

    Attributes:
        reached: whether there was such an instruction.
    """

    def __init__(self, at: int) -> None:
        self._left = at
        self.reached = False
        self._folders = tuple(os.path.join(LIBRARY, room) for room in ROOMS)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self._folders):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self._left -= 1
            if self._left == 0:
                self.reached = True
                sys.settrace(None)
                raise Interrupt
        return self


def interrupted(work: Callable[[list[Session]], object], at: int, sessions: list[Session]) -> bool:
    """Whether `work` has an instruction with this number, where it was interrupted."""
    signal, before = Signal(at), sys.gettrace()
    try:
        sys.settrace(signal)
        work(sessions)
    except Interrupt:
        pass
    finally:
        sys.settrace(before)
    return signal.reached


def context(sessions: list[Session]) -> None:
    with run_with_batch_context() as session:
        sessions.append(session)


def tenant(sessions: list[Session]) -> None:
    with TenantContext.run_with_tenant("acme"), TenantContext.run_with_tenant("beta"):
        pass


def blocks(sessions: list[Session]) -> None:
    with run_with_batch_context() as session:
        sessions.append(session)
        with session.budget(round_trips=1), transaction():
            pass


def activation(sessions: list[Session]) -> None:
    with TenantContext.run_with_tenant("acme"), run_with_batch_context() as session:
        sessions.append(session)
        with session.activate():
            pass


def own_transaction(sessions: list[Session]) -> None:
    with transaction() as tx:
        sessions.append(tx.session)


def generator(sessions: list[Session]) -> None:
    @batched
    def body() -> Iterator[Session]:
        for _ in range(2):
            with TenantContext.run_with_tenant("acme"):
                yield current_session()  # type: ignore[misc]

    sessions.extend(body())


def flush(sessions: list[Session]) -> None:
    with run_with_batch_context() as session:
        sessions.append(session)
        assert Thing.find("t").text == "x"
        assert not Thing.find("missing")


def commit(sessions: list[Session]) -> None:
    with run_with_batch_context() as session:
        sessions.append(session)
        session.add(Thing(thing_id="t", text="y"), overwrite=True)
        session.commit()


@pytest.mark.parametrize(
    ("work", "step"),
    [
        (context, 1),
        (tenant, 1),
        (blocks, 1),
        (activation, 1),
        (own_transaction, STEP),
        (generator, STEP),
        (flush, STEP),
        (commit, STEP),
    ],
)
@pytest.mark.promise("S14")
def test_nothing_is_left_by_an_interrupt(
    manager: Manager, work: Callable[[list[Session]], object], step: int
) -> None:
    """At each instruction of entering and leaving, and at instructions of flushing and committing."""
    work([])
    instruction, tried, left = 1, 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BatchContextWarning)
        while interrupted(work, instruction, sessions := []):
            tried += 1
            if any(innermost(kind) is not None for kind in KINDS):
                left.append((instruction, "bound"))
            if any(session.state is SessionState.FLUSHING or session.is_open for session in sessions):
                left.append((instruction, "open"))
            instruction += step
    assert left == []
    assert tried > 100
    assert Thing.find("t").exists()
    print(f"\nS14 {work.__name__}: interrupted at {tried:,} instructions, 0 left anything bound or open")


def read(sessions: list[Session]) -> None:
    assert Thing.find("t").text == "x"
    assert not Thing.find("missing")


def write(sessions: list[Session]) -> None:
    thing = Thing.find("t")
    thing.text = "z"
    thing.save()


@pytest.mark.parametrize("work", [read, write])
@pytest.mark.promise("S14")
def test_other_threads_use_a_request_session_after_an_interrupt(
    manager: Manager, work: Callable[[list[Session]], object]
) -> None:
    """Wherever an operation is interrupted, the next one of another thread runs without waiting."""
    instruction, tried = 1, 0
    with ThreadPoolExecutor(1) as pool:
        while True:
            session = RequestSession(DEFAULT_SETTINGS, RepositoryPersister(), lambda: 0.0)
            request = AsyncRequest("GET /", session)
            request.begin()
            with request.bound():
                if not interrupted(work, instruction, []):
                    break
                copy = contextvars.copy_context()
                assert pool.submit(copy.run, lambda: Thing.find("t").exists()).result()
                assert session.state is SessionState.OPEN
            request.close()
            assert session.is_closed and not len(session._instances)
            tried += 1
            instruction += STEP
    request.close()
    assert tried > 20
    print(f"\nS14 request, {work.__name__}: interrupted at {tried:,} instructions, 0 left its session in use")


@pytest.mark.parametrize("work", [context, tenant, blocks, activation])
@pytest.mark.promise("S14")
def test_while_the_traceback_lives_only_the_edges_of_a_block_leave_anything(
    manager: Manager, work: Callable[[list[Session]], object]
) -> None:
    """An interrupt that is kept, as logs and test runners keep them, leaves nothing but at a block's very edge."""
    at, left = 0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BatchContextWarning)
        while True:
            at += 1
            signal, before, kept = Signal(at), sys.gettrace(), None
            try:
                sys.settrace(signal)
                work([])
            except Interrupt as error:
                kept = error
            finally:
                sys.settrace(before)
            if not signal.reached:
                break
            left += any(innermost(kind) is not None for kind in KINDS)
            del kept
            assert all(innermost(kind) is None for kind in KINDS), at
    number = {context: 1, tenant: 2, blocks: 3, activation: 3}[work]
    print(
        f"\nS14 {work.__name__}: {left} of {at - 1:,} instructions leave something while the traceback lives"
    )
    assert left <= number * 8
