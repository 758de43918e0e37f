"""What log lines say in fields: operation, table, keys and duration on each; an N+1 line once a minute and place."""

from __future__ import annotations

import ast
import json
import logging
from pathlib import Path
from typing import Any

import pytest

import dynamo_bao
from dynamo_bao import Manager, init_models, run_with_batch_context
from dynamo_bao.dynamodb.transport.factory import embedded_transport
from dynamo_bao.session.rounds import N_PLUS_ONE
from dynamo_bao.testing import FaultInjectingTransport
from dynamo_bao.wsgi import BatchContextMiddleware
from tests.support.clocks import FakeTime
from tests.support.models import ALL, Org

FIELDS = ("operation", "table", "keys", "duration")
LOGS = ("debug", "info", "warning", "error", "exception", "log")


def calls_of_logs() -> list[tuple[str, ast.Call]]:
    """Every call of the library that writes a log line, with its place."""
    found = []
    root = Path(dynamo_bao.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and (node.func.value.id, node.func.attr) in {("log", name) for name in LOGS}
            ):
                found.append((f"{path.relative_to(root)}:{node.lineno}", node))
    return found


def test_every_log_line_has_fields() -> None:
    """None is forgotten when it is written."""
    calls = calls_of_logs()
    assert len(calls) > 15
    assert [place for place, call in calls if "extra" not in {one.arg for one in call.keywords}] == []


def told(records: list[logging.LogRecord]) -> list[dict[str, Any]]:
    """The fields of records, which are JSON."""
    found = [{name: getattr(record, name) for name in FIELDS} for record in records]
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def test_fields_of_sessions_requests_and_tables(embedded: Manager, caplog: pytest.LogCaptureFixture) -> None:
    """What was done, where, with how many keys, in how many seconds."""
    caplog.set_level(logging.DEBUG, "dynamo_bao")
    with run_with_batch_context():
        assert not any(list(Org.batch_find(["a", "b"]).values()))
    embedded.create_table()
    (session, table) = told(caplog.records)
    assert (session["operation"], session["table"], session["keys"]) == ("session", embedded.table_name, 2)
    assert session["duration"] > 0
    assert (table["operation"], table["table"], table["keys"]) == ("CreateTable", embedded.table_name, 0)
    caplog.clear()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [str(bool(Org.find("a"))).encode()]

    answer = BatchContextMiddleware(app)({"REQUEST_METHOD": "GET", "PATH_INFO": "/x"}, lambda *_: None)
    b"".join(answer)
    answer.close()
    (line,) = [record for record in caplog.records if record.name == "dynamo_bao.web"]
    (fields,) = told([line])
    assert (fields["operation"], fields["table"], fields["keys"]) == ("request", embedded.table_name, 1)
    assert fields["duration"] >= line.__dict__["waited"] > 0
    assert (line.__dict__["request"], line.__dict__["status"]) == ("GET /x", "200 OK")


def test_a_hook_for_metrics_that_fails(embedded: Manager, caplog: pytest.LogCaptureFixture) -> None:
    """Its line says of which request or round."""
    embedded.on_request(lambda sent: 1 / 0)
    embedded.on_flush(lambda done: 1 / 0)
    with run_with_batch_context():
        assert not Org.find("a")
    assert [(one["operation"], one["keys"]) for one in told(caplog.records)] == [
        ("BatchGetItem", 1),
        ("lookups", 1),
    ]


def test_n_plus_one_is_said_once_a_minute_and_place(
    table_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With how many contexts it was since; another place has a line of its own."""
    time = FakeTime()
    transport = FaultInjectingTransport(embedded_transport().wire, clock=time.clock)
    caplog.set_level(logging.WARNING, "dynamo_bao")

    def one_context() -> None:
        with run_with_batch_context():
            for number in range(2 * N_PLUS_ONE):
                assert not Org.find(str(number))

    with init_models(models=ALL, table_name=table_name, transport=transport) as manager:
        manager.create_table()
        for _ in range(50):
            one_context()
        assert len(caplog.records) == 1
        time.clock.sleep(61)
        for _ in range(50):
            one_context()
        assert len(caplog.records) == 2
        with run_with_batch_context():
            for number in range(N_PLUS_ONE):
                assert Org.find(str(number)).exists() is False
    assert [record.__dict__["count"] for record in caplog.records] == [1, 50, 1]
    assert "in 50 contexts since this was logged last" in caplog.records[1].getMessage()
    assert told(caplog.records)[1] == {
        "operation": "BatchGetItem",
        "table": table_name,
        "keys": N_PLUS_ONE,
        "duration": pytest.approx(0, abs=60),
    }
