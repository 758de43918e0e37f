"""Figures of a session as people read them: the trace's text and page, and the statistics."""

from __future__ import annotations

import os
import re
from html import escape
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.transport.messages import (
    Attempts,
    Clock,
    FailedRequest,
    Reply,
    Request,
    Throttling,
    with_attempts,
)
from dynamo_bao.runtime.call_site import CallSite
from dynamo_bao.session.rounds import Round, SentRequest
from dynamo_bao.session.stats import Stats
from dynamo_bao.session.trace import Trace, request_text

HOT = Throttling("t", "gsi1", ("Hot", "Account"), 1.5)
COLD = Throttling("t")


def sent(operation: str = "BatchGetItem", **options: Any) -> SentRequest:
    usual: dict[str, Any] = {
        "operation": operation,
        "tables": ("t",),
        "count": 1,
        "about": ("User 'a'",),
        "capacity": Capacity(),
        "attempts": 1,
        "started": 0.0,
        "seconds": 0.25,
        "waited": 0.0,
    }
    return SentRequest(**{**usual, **options})


def a_round(
    number: int, started: float, seconds: float, *requests: SentRequest, kind: str = "lookups"
) -> Round:
    return Round(number, kind, CallSite("app.py", 7), started, Clock(), seconds, list(requests))


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (sent(), "BatchGetItem · 1 key · 250.0 ms · User 'a'"),
        (sent(count=2), "BatchGetItem · 2 keys · 250.0 ms · User 'a' and 1 more"),
        (sent(count=0, about=()), "BatchGetItem · 0 keys · 250.0 ms"),
        (sent(count=3, about=()), "BatchGetItem · 3 keys · 250.0 ms"),
        (sent(count=2, about=("a", "b")), "BatchGetItem · 2 keys · 250.0 ms · a, b"),
        (sent("Query", count=2), "Query · 2 queries · 250.0 ms · User 'a' and 1 more"),
        (sent("BatchWriteItem", seconds=1.0), "BatchWriteItem · 1 write · 1.00 s · User 'a'"),
        (sent("TransactWriteItems", seconds=0.9994), "TransactWriteItems · 1 write · 999.4 ms · User 'a'"),
        (sent(capacity=Capacity(read=0.5)), "BatchGetItem · 1 key · 250.0 ms · 0.5 RCU 0 WCU · User 'a'"),
        (sent(capacity=Capacity(write=3)), "BatchGetItem · 1 key · 250.0 ms · 0 RCU 3 WCU · User 'a'"),
        (
            sent(attempts=2, waited=0.05),
            "BatchGetItem · 1 key · 250.0 ms · 2 attempts, 50.0 ms between them · User 'a'",
        ),
        (
            sent(repeated=True, waited=2.0),
            "BatchGetItem · 1 key · 250.0 ms · repeated for unprocessed keys or items, after 2.00 s · User 'a'",
        ),
        (
            sent(throttlings=(COLD, HOT)),
            "BatchGetItem · 1 key · 250.0 ms · throttled 2 times by t, index gsi1 (Hot, Account), retry "
            "after 1.50 s · User 'a'",
        ),
        (
            sent(throttlings=(COLD,), error="ThrottledError", about=()),
            "BatchGetItem · 1 key · 250.0 ms · throttled 1 times by t · ended with ThrottledError",
        ),
    ],
)
def test_a_request_in_words(request_: SentRequest, text: str) -> None:
    """What is usual is not said."""
    assert request_text(request_) == text


def test_a_trace_as_text() -> None:
    """A line that sums up, one for each round, and one for each of its requests."""
    trace = Trace(
        (
            a_round(
                1, 10.0, 0.5, sent(capacity=Capacity(0.5, 0.0)), sent("Query", capacity=Capacity(1.0, 0.0))
            ),
            a_round(12, 11.0, 1.5, sent("PutItem", capacity=Capacity(0.0, 2.0)), kind="write"),
        )
    )
    assert str(trace).split("\n") == [
        "2 rounds, 3 requests, 2.00 s of waiting, 1.5 read and 2 write units",
        "   1  lookups    500.0 ms  app.py:7",
        "      BatchGetItem · 1 key · 250.0 ms · 0.5 RCU 0 WCU · User 'a'",
        "      Query · 1 query · 250.0 ms · 1 RCU 0 WCU · User 'a'",
        "  12  write        1.50 s  app.py:7",
        "      PutItem · 1 key · 250.0 ms · 0 RCU 2 WCU · User 'a'",
    ]
    assert (len(trace), [one.number for one in trace]) == (2, [1, 12])
    assert Trace(()).summary == "0 rounds, 0 requests, 0.0 ms of waiting, 0 read and 0 write units"


def bars(html: str) -> list[tuple[str, float, float, float | None]]:
    """By class, the left end, width and top of all bars of a page."""
    found = re.findall(
        r'<i class="(\w+)" style="left:([\d.-]+)%;width:([\d.-]+)%(?:;top:([\d.-]+)rem)?"', html
    )
    return [
        (kind, float(left), float(width), float(top) if top else None) for kind, left, width, top in found
    ]


def test_a_trace_as_a_page() -> None:
    """All rounds on one axis of time; requests in eight lanes, by what became of them."""
    requests = [sent(started=10.0 + 0.1 * number, seconds=0.5) for number in range(9)]
    requests[1].attempts = 2
    requests[2].repeated = True
    requests[3].error = "ServiceError"
    html = Trace(
        (a_round(1, 10.0, 2.0, *requests), a_round(2, 13.0, 1.0, sent(started=13.0, seconds=0.0)))
    ).html()
    kinds = ["sent", "retried", "retried", "failed", *["sent"] * 5]
    tops = [0.3, 1.0, 1.7, 2.4, 3.1, 3.8, 4.5, 5.2, 0.3]
    assert bars(html) == [
        ("round", 0.0, 50.0, None),
        *((kind, pytest.approx(2.5 * number), 12.5, tops[number]) for number, kind in enumerate(kinds)),
        ("round", 75.0, 25.0, None),
        ("sent", 75.0, 0.15, 0.3),
    ]
    assert re.findall(r'class="axis" style="height:([\d.]+)rem"', html) == ["6.0", "1.1"]
    assert html.count("<li>") == 10
    assert re.findall(r"<b>(\d+)</b> <span>(\w+)</span> <span>(.+?)<br>", html) == [
        ("1", "lookups", "9 x BatchGetItem of 9 keys: User"),
        ("2", "lookups", "BatchGetItem of 1 key: User"),
    ]
    assert re.findall(r"<code .+?>(.+?)</code></span> <em>(.+?)</em>", html) == [
        ("app.py:7", "2.00 s"),
        ("app.py:7", "1.00 s"),
    ]


def test_a_page_explains_itself() -> None:
    """A legend of the bars and kinds, an axis of time, and a way back where one is given."""
    trace = Trace((a_round(1, 5.0, 0.045, sent("Query", about=("Post.posts_for_user",)), kind="queries"),))
    html = trace.html()
    assert re.findall(r'<i class="swatch (\w+)">', html) == ["round", "sent", "retried", "failed"]
    assert "<dt>queries</dt><dd>queries, with the items that were pending</dd>" in html
    assert "<dt>write</dt>" not in html
    marks = [(f"{number * 100 / 9:.3f}", f"{number * 5} ms") for number in range(10)]
    assert re.findall(r'<span style="left:([\d.]+)%">(.+?)</span>', html) == marks
    assert "Query: Post.posts_for_user" in html
    assert "Back" not in html
    assert '<a href="/a?b=&quot;">&larr; Back</a>' in trace.html(back='/a?b="')


@pytest.mark.parametrize(
    ("seconds", "marks"),
    [
        (0.0, ["0.00 ms"]),
        (0.0009, ["0.00 ms", "0.10 ms"]),
        (0.9, ["0.0 s", "0.1 s"]),
        (25.0, ["0 s", "5 s"]),
    ],
)
def test_the_axis_suits_the_duration(seconds: float, marks: list[str]) -> None:
    """Its marks are round numbers, in the unit and with the digits that tell them apart."""
    html = Trace((a_round(1, 5.0, seconds),)).html()
    assert re.findall(r'<span style="left:[\d.]+%">(.+?)</span>', html)[: len(marks)] == marks


def test_lines_of_code_are_named_from_the_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Below the working directory, else below the folder of imports; the whole path is there on the page too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", "/elsewhere", "/elsewhere/lib"])
    files = {
        str(tmp_path / "shop" / "views.py"): "shop/views.py:7",
        "/elsewhere/lib/shop/views.py": "shop/views.py:7",
        "/nowhere/views.py": "/nowhere/views.py:7",
        "<stdin>": "<stdin>:7",
    }
    for posix_file, posix_text in files.items():
        file, text = posix_file.replace("/", os.sep), posix_text.replace("/", os.sep)
        trace = Trace((Round(1, "lookups", CallSite(file, 7), 0.0, Clock()),))
        assert str(trace).endswith(f"  {text}")
        assert escape(f'title="{file}:7"', quote=False) in trace.html()


def test_a_page_of_nothing_and_of_rounds_that_took_no_time(tmp_path: Any) -> None:
    """Both can be looked at; what is shown is text, whatever is in it."""
    assert "No request was sent to DynamoDB." in Trace(()).html()
    html = Trace((a_round(1, 5.0, 0.0, sent(about=("<b>&",), started=5.0, seconds=0.0)),)).html()
    assert bars(html) == [("round", 0.0, 0.15, None), ("sent", 0.0, 0.15, 0.3)]
    assert "&lt;b&gt;&amp;" in html and "<b>&" not in html
    assert re.findall(r'class="axis" style="height:([\d.]+)rem"', html) == ["1.1"]
    empty = Trace((a_round(1, 5.0, 0.0),))
    assert re.findall(r'class="axis" style="height:([\d.]+)rem"', empty.html()) == ["1.1"]
    saved = Trace(()).save(tmp_path / "trace.html")
    assert saved == tmp_path / "trace.html"
    assert saved.read_text(encoding="utf-8") == Trace(()).html()


# --- statistics -----------------------------------------------------------------------------------------


def test_statistics_count_replies_and_requests_that_failed() -> None:
    """Attempts, waits, capacity, what is left unprocessed in reads and writes, and why requests were throttled."""
    stats, request = Stats(), Request("BatchGetItem", {})
    left = {"UnprocessedKeys": {"t": {"Keys": [1, 2]}, "u": {"Keys": [3]}}}
    stats.count(Reply(request, left, Capacity(1.5, 0.0), 3, 9.0, 0.5, throttlings=(HOT, COLD)))
    stats.count(Reply(request, {"UnprocessedItems": {"t": [1, 2]}}, Capacity(0.0, 2.0), repeated=True))
    stats.count(Reply(request, {"UnprocessedKeys": {}}))
    failed = with_attempts(OSError("x"), Attempts(4, 0.25, (HOT,)))
    stats.count_failure(FailedRequest(request, failed, 0.0))
    assert (stats.requests, stats.retries, stats.unprocessed) == (3 + 1 + 1 + 4, 2 + 1 + 3, 5)
    assert (stats.capacity, stats.seconds_waited) == (Capacity(1.5, 2.0), 0.75)
    assert (stats.throttled, stats.retry_after) == (3, 3.0)
    assert stats.throttling_reasons == {"Hot": 2, "Account": 2}


def test_statistics_are_one_screen() -> None:
    """A line for each kind of figure; of throttling only where there was some."""
    stats = Stats(7, 3, 2, 4, 6, 5, 5, 1, 2, 1.5, 3.0, 0.25)
    lines = [
        "lookups       7 (3 from the cache)",
        "keys fetched  4 in 2 batches",
        "round trips   5",
        "requests      6 (1 repeated, 2 keys left unprocessed)",
        "capacity      1.5 read, 3 write units",
        "waited        0.250 s between attempts",
    ]
    assert str(stats).split("\n") == lines
    stats.throttled = 2
    assert str(stats).split("\n") == [*lines, "throttled     2 requests"]
    stats.throttling_reasons = {"Hot": 2, "Account": 1}
    assert str(stats).split("\n") == [*lines, "throttled     2 requests: Hot (2), Account (1)"]
