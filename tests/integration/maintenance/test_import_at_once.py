"""An import of new items over open connections sends its first attempts from one thread, several at the same time."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import Manager, init_models
from dynamo_bao.dynamodb.thread_pool import ThreadPool
from dynamo_bao.dynamodb.transport.direct import DirectSender
from dynamo_bao.maintenance.import_items import import_items
from dynamo_bao.maintenance.progress import JobProgress
from tests.support import paths
from tests.support.dynamo_server import refusal, reply
from tests.support.gated_table import GatedTable
from tests.support.http_server import HttpServer, ReceivedRequest, Served, http_server
from tests.support.models import Org

pytestmark = pytest.mark.skipif(paths.chosen() != "lean", reason="this is about the lean way")
AT_ONCE = 4
Answer = Callable[[Served], None]


class Table(GatedTable):
    """Items behind a server.

    Attributes:
        items: the stored items by id.
        answers: by id, how the next put is answered instead of as usual; it is stored before.
    """

    def __init__(self) -> None:
        super().__init__(AT_ONCE)
        self.items: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {}

    def clear(self) -> None:
        """Removes all items. The next puts have to wait for each other again."""
        self.items.clear()
        self.close_gate()

    def serve(self, served: Served, request: ReceivedRequest) -> None:
        body = json.loads(request.body)
        if request.operation == "GetItem":
            item = self.items.get(body["Key"]["_pk"]["S"].removeprefix("o#"))
            served.send(reply({"Item": item, "ConsumedCapacity": {}} if item else {"ConsumedCapacity": {}}))
            return
        number = body["Item"]["org_id"]["S"]
        self.arrive()
        answer = self.answers.pop(number, None)
        if number in self.items:
            served.send(refusal("ConditionalCheckFailedException", Item=self.items[number]))
            return
        self.items[number] = body["Item"]
        served.send(reply({"ConsumedCapacity": {}})) if answer is None else answer(served)


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def server(table: Table) -> Iterator[HttpServer]:
    with http_server(table.serve) as server:
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orgs.jsonl"


@pytest.fixture
def manager(
    server: HttpServer, table: Table, file: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Manager]:
    """A manager with open connections, because it has imported some lines."""
    monkeypatch.setattr(DirectSender, "client", None)  # whose URL goes into the progress file
    options: dict[str, Any] = {"transport": table.transport(server), "max_concurrency": AT_ONCE}
    with init_models(models=[Org], table_name="t", **options) as manager:
        write(file, range(AT_ONCE))
        imported(manager, file)
        table.clear()
        server.asked.clear()
        yield manager


def write(file: Path, numbers: range) -> None:
    file.write_text("".join(f'{{"org_id": "{number}", "name": "Org {number}"}}\n' for number in numbers))


def imported(manager: Manager, file: Path, **options: Any) -> JobProgress:
    """The last step, with the findings of all steps."""
    steps = list(import_items(manager.repository(Org), None, file, **options))
    findings = tuple(finding for step in steps for finding in step.found)
    return JobProgress(steps[-1].done, None, steps[-1].count, findings)


def test_no_thread_is_needed(
    manager: Manager, table: Table, server: HttpServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is one request, and four of them wait at the server at the same time."""

    def refuse(_: ThreadPool) -> None:
        raise AssertionError("a thread was started")

    monkeypatch.setattr(ThreadPool, "_started", refuse)
    write(file, range(20))
    assert imported(manager, file).count == 20
    assert sorted(table.items) == sorted(map(str, range(20)))
    assert [request.operation for request in server.asked] == ["PutItem"] * 20


def test_lines_of_existing_items_are_refused(
    manager: Manager, table: Table, server: HttpServer, file: Path
) -> None:
    """Each of them is asked once; the others are stored."""
    existing = {
        str(number): {"_pk": {"S": f"o#{number}"}, "_sk": {"S": "o"}, "org_id": {"S": str(number)}}
        for number in range(0, 40, 2)
    }
    table.items.update(existing)
    write(file, range(40))
    last = imported(manager, file)
    assert [finding.line for finding in last.found] == list(range(1, 40, 2))
    assert "exists already" in last.found[0].text
    assert (last.count, len(server.asked), len(table.items)) == (20, 40, 40)
    assert {number: table.items[number] for number in existing} == existing


def test_a_line_whose_reply_was_lost_is_not_refused(manager: Manager, table: Table, file: Path) -> None:
    """The second attempt finds the item of the first one."""
    table.answers["5"] = lambda served: served.close()
    write(file, range(20))
    last = imported(manager, file)
    assert (last.count, last.found) == (20, ())


def test_throttling_stops_first_attempts(
    manager: Manager, table: Table, server: HttpServer, file: Path
) -> None:
    """Until the wait before its second attempt, only lines that were on their way have been sent."""
    sent_counts: list[int] = []
    table.on_wait = lambda: sent_counts.append(len(server.asked))

    def throttle(number: str) -> Answer:
        def answer(served: Served) -> None:
            del table.items[number]
            served.send(refusal("ThrottlingException"))

        return answer

    table.answers = {str(number): throttle(str(number)) for number in range(20)}
    write(file, range(100))
    assert imported(manager, file).count == 100
    assert sent_counts[0] < 5 * AT_ONCE


class Stopped(Exception):
    """The exception of a signal's handler."""


@pytest.fixture
def stopping() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Stopped

    earlier = signal.signal(signal.SIGINT, stop)
    yield
    signal.signal(signal.SIGINT, earlier)


@pytest.mark.usefixtures("stopping")
def test_an_interrupted_import_goes_on(manager: Manager, table: Table, file: Path) -> None:
    """A line that was sent, and whose reply did not come, is not refused as a line of an existing item."""

    def interrupt(served: Served) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        served.stall()

    table.answers["1"] = interrupt
    write(file, range(20))
    with pytest.raises(Stopped):
        imported(manager, file)
    last = imported(manager, file, resume=True)
    assert (last.done, last.count, last.found) == (20, 20, ())
    assert sorted(table.items) == sorted(map(str, range(20)))
