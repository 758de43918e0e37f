"""A commit over open connections sends all of its writes from one thread, before it reads the first reply."""

from __future__ import annotations

import json
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dynamo_bao import CommitError, WriteOutcomeUnknownError, init_models, run_with_batch_context
from dynamo_bao.dynamodb.thread_pool import ThreadPool
from dynamo_bao.session.session import Session
from tests.support import paths
from tests.support.dynamo_server import refusal, reply
from tests.support.gated_table import GatedTable
from tests.support.http_server import HttpServer, ReceivedRequest, Served, http_server
from tests.support.models import Org
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.skipif(paths.chosen() != "lean", reason="this is about the lean way")
IDS = ("a", "b", "c", "d")
Answer = Callable[[Served, str], None]


class Table(GatedTable):
    """Items behind a server.

    Attributes:
        answers: by id, how the next update is answered instead of as usual.
    """

    def __init__(self) -> None:
        super().__init__(len(IDS))
        self.answers: dict[str, Answer] = {}
        self._names = {number: f"Org {number}" for number in IDS}

    def serve(self, served: Served, request: ReceivedRequest) -> None:
        body = json.loads(request.body)
        if request.operation == "BatchGetItem":
            items = [_item(number, name) for number, name in self._names.items()]
            (table,) = body["RequestItems"]
            served.send(reply({"Responses": {table: items}, "UnprocessedKeys": {}, "ConsumedCapacity": []}))
            return
        number = body["Key"]["_pk"]["S"].removeprefix("o#")
        self.arrive()
        answer = self.answers.pop(number, None)
        if answer is not None:
            answer(served, number)
            return
        self._names[number] = body["ExpressionAttributeValues"][":v0"]["S"]
        served.send(reply({"Attributes": _item(number, self._names[number]), "ConsumedCapacity": {}}))

    def commit(self, session: Session, name: str) -> None:
        """Changes all items."""
        self.close_gate()
        for number in IDS:
            org = Org.find(number)
            org.name = f"{name} {number}"
            session.add(org)
        session.commit()


def _item(number: str, name: str) -> dict[str, Any]:
    return {
        "_pk": {"S": f"o#{number}"},
        "_sk": {"S": "o"},
        "org_id": {"S": number},
        "name": {"S": name},
    }


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def server(table: Table) -> Iterator[HttpServer]:
    with http_server(table.serve) as server:
        yield server


@contextmanager
def connected(server: HttpServer, table: Table, read_timeout: float | None = None) -> Iterator[Session]:
    """A session whose manager has open connections, because it has committed."""
    with (
        init_models(models=[Org], transport=table.transport(server, read_timeout), table_name="t"),
        run_with_batch_context(deadline=10 * PATIENCE) as session,
    ):
        table.commit(session, "First")
        table.commit(session, "Second")
        yield session
        session.rollback()


@pytest.fixture
def session(server: HttpServer, table: Table) -> Iterator[Session]:
    with connected(server, table) as session:
        yield session


def names() -> list[str]:
    return [Org.find(number).name for number in IDS]


def test_no_thread_is_needed(session: Session, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """All updates wait at the server at the same time."""

    def refuse(_: ThreadPool) -> None:
        raise AssertionError("a thread was started")

    monkeypatch.setattr(ThreadPool, "_started", refuse)
    table.commit(session, "Third")
    assert names() == [f"Third {number}" for number in IDS]
    assert session.last_commit is not None
    assert len(session.last_commit.done) == len(IDS)


def test_a_refused_write_is_told_beside_the_others(session: Session, table: Table) -> None:
    """Its object stays in the session, and the others are written."""
    table.answers["b"] = lambda served, _: served.send(refusal("ValidationException"))
    with pytest.raises(CommitError) as caught:
        table.commit(session, "Third")
    assert [org.org_id for org in caught.value.done] == ["a", "c", "d"]
    assert [org.org_id for org in caught.value.not_done] == ["b"]


def damaged(served: Served, _: str) -> None:
    """Answers with another item, and the status of a success."""
    served.send(reply({"Attributes": _item("x", "X"), "ConsumedCapacity": {}}))


@pytest.mark.parametrize(
    "answer",
    [
        lambda served, _: served.send(refusal("ThrottlingException")),
        lambda served, _: served.send(reply({}, "500 Internal Server Error")),
        damaged,
        lambda served, _: served.close(),
    ],
    ids=["throttled", "failed", "damaged", "lost"],
)
def test_a_second_attempt_follows_as_after_any_request(
    session: Session, table: Table, server: HttpServer, answer: Answer
) -> None:
    """The other writes are not sent again."""
    table.answers["c"] = answer
    before = len(server.asked)
    table.commit(session, "Third")
    assert names() == [f"Third {number}" for number in IDS]
    updates = [request for request in server.asked[before:] if request.operation == "UpdateItem"]
    assert len(updates) == len(IDS) + 1


@pytest.mark.parametrize("number", IDS)
def test_the_wait_for_a_second_attempt_delays_no_other_write(
    session: Session, table: Table, number: str
) -> None:
    done: list[int] = []

    def wait() -> None:
        assert session.last_commit is not None
        done.append(len(session.last_commit.done))

    table.answers[number], table.on_wait = damaged, wait
    table.commit(session, "Third")
    assert done == [len(IDS) - 1]
    assert names() == [f"Third {number}" for number in IDS]


def test_a_silent_server_is_asked_again(server: HttpServer, table: Table) -> None:
    """Long before the deadline of the commit, as after any request."""
    was_asked_again: queue.Queue[bool] = queue.Queue()

    def stay_silent(served: Served, _: str) -> None:
        was_asked_again.put(table.wait_for(len(IDS) + 1))
        served.close()

    with connected(server, table, read_timeout=0.3) as session:
        table.answers["c"] = stay_silent
        table.commit(session, "Third")
        assert names() == [f"Third {number}" for number in IDS]
    assert was_asked_again.get(timeout=PATIENCE)


def test_an_interrupt_leaves_what_was_sent_unknown(
    session: Session, table: Table, server: HttpServer
) -> None:
    """Its connections are not used again, so that no late reply is taken for another one."""

    def interrupt(served: Served, _: str) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        served.stall()

    table.answers = {"a": interrupt, **dict.fromkeys("bcd", lambda served, _: served.stall())}
    with pytest.raises(KeyboardInterrupt):
        table.commit(session, "Third")
    assert session.last_commit is not None
    assert len(session.last_commit.unknown) == len(IDS)
    connections = server.connections
    session.rollback()
    for number in IDS:
        with pytest.raises(WriteOutcomeUnknownError, match=f"Org '{number}'"):
            Org.find(number).save()
        session.refresh(Org.find(number))
    assert server.connections > connections
    assert names() == [f"Second {number}" for number in IDS]
