"""Seeing what a session asks DynamoDB: budgets, the warning of single requests, hooks for metrics."""

from __future__ import annotations

import copy
import gc
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import (
    BatchContextError,
    BudgetExceededError,
    ConfigurationError,
    Manager,
    ThrottledError,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.transport.factory import embedded_transport
from dynamo_bao.testing import FaultInjectingTransport, throttled
from tests.support.clocks import FakeTime
from tests.support.models import Org, Post, User
from tests.support.wire import Wire


@pytest.fixture
def people(embedded: Manager, sent: Wire) -> list[str]:
    """Eight users."""
    ids = [User.create(name=f"user {n}", email=f"{n}@example.org").user_id for n in range(8)]
    sent.clear()
    return ids


# --- budgets ----------------------------------------------------------------------------------------


def test_a_budget_of_round_trips(people: list[str], sent: Wire) -> None:
    """The first request too many is not sent; its error names the line; the keys stay pending."""
    with run_with_batch_context() as session:
        with session.budget(round_trips=2) as spent:
            first, second, third = (User.find(people[n]) for n in (0, 1, 2))
            assert first.name and second.name and third.name
            assert User.find(people[3]).name
            late = User.find(people[4])
            with pytest.raises(BudgetExceededError, match=r"2 round trips.*test_seeing\.py:\d+"):
                late.name
            assert len(sent) == 2 == spent.used_round_trips
        assert late.name == "user 4"


def test_writes_and_pages_count(people: list[str]) -> None:
    """Each write and each page of a query is a round trip."""
    with run_with_batch_context() as session:
        with session.budget(round_trips=2):
            Org.create(org_id="a", name="A")
            Org.create(org_id="b", name="B")
            with pytest.raises(BudgetExceededError):
                Org.create(org_id="c", name="C")
        with session.budget(round_trips=2), pytest.raises(BudgetExceededError):
            User.by_status.query("active", page_size=2).all()
        assert not Org.find("c")


def test_capacity_stops_the_next_request(people: list[str]) -> None:
    """What a request consumes is known afterwards."""
    with run_with_batch_context() as session:
        with session.budget(read_units=1):
            assert all(user.name for user in [User.find(user_id) for user_id in people])
            with pytest.raises(BudgetExceededError, match="1 read units"):
                Org.find("a").exists()
            Org.create(org_id="b", name="B")  # writing is not limited
        with session.budget(write_units=0.5):
            Org.create(org_id="c", name="C")
            with pytest.raises(BudgetExceededError, match="write units"):
                Org.create(org_id="d", name="D")
            assert Org.find("e").exists() is False


def test_sessions_inside_count_towards_budgets_around(people: list[str]) -> None:
    """A nested session cannot spend what its surroundings do not have."""
    with run_with_batch_context() as outer, outer.budget(round_trips=1):
        with run_with_batch_context() as inner:
            assert User.find(people[0]).name
            with pytest.raises(BudgetExceededError):
                User.find(people[1]).name
            assert inner.stats.round_trips == 1
        assert outer.stats.round_trips == 0


@pytest.mark.parametrize("wrong", [{"round_trips": -1}, {"read_units": "3"}, {"write_units": True}])
def test_wrong_budgets(embedded: Manager, wrong: dict[str, Any]) -> None:
    """A budget that is no number is told at once."""
    with (
        run_with_batch_context() as session,
        pytest.raises(ConfigurationError, match=next(iter(wrong))),
        session.budget(**wrong),
    ):
        pass


# --- the warning ------------------------------------------------------------------------------------


def test_fetching_one_at_a_time_is_warned_of_once(
    people: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A line that keeps asking for single keys is named, once."""
    with caplog.at_level(logging.WARNING, "dynamo_bao.session"), run_with_batch_context():
        for user_id in people:
            assert User.find(user_id).name
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert "N+1" in message and "test_seeing.py:" in message
    assert not any(user_id in message for user_id in people)


def test_batches_are_not_warned_of(people: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """Natural loops, and single requests of different lines, are fine."""
    with caplog.at_level(logging.WARNING, "dynamo_bao.session"), run_with_batch_context():
        for user in [User.find(user_id) for user_id in people]:
            assert user.name
        assert not Org.find("a")
        assert not Org.find("b")
        assert not Org.find("c")
        assert not Org.find("d")
        assert not Org.find("e")
    assert caplog.records == []


def test_the_pages_of_a_query_are_not_warned_of(people: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """A loop over a long result asks for one page after the other, which is no N+1; one query for each row is."""
    with caplog.at_level(logging.WARNING, "dynamo_bao.session"), run_with_batch_context() as session:
        assert len([user.name for user in User.by_status.query("active", page_size=1)]) == 8
        assert caplog.records == []
        assert {done.kind for done in session.trace()} == {"queries", "pages"}
        for user in User.by_status.query("active"):
            assert list(Post.posts_for_user.query(user)) == []
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "has fetched one query at a time" in warning and "author.books.where(…)" in warning


# --- hooks ------------------------------------------------------------------------------------------


def test_hooks_get_every_request_and_flush(embedded: Manager, people: list[str], sent: Wire) -> None:
    """on_request is told of each request inside and outside sessions, on_flush of each round of lookups."""
    requests: list[Any] = []
    rounds: list[Any] = []
    embedded.on_request(requests.append)
    embedded.on_flush(rounds.append)
    User.find(people[0]).exists()
    with run_with_batch_context():
        for user in [User.find(user_id) for user_id in people]:
            assert user.name
        assert len(User.by_status.query("active")) == 8
        Org.create(org_id="acme", name="secret name")
    assert [request.operation for request in requests] == sent.operations
    assert requests[1].count == 8 and requests[1].about[0] == f"User {people[0]!r}"
    assert requests[1].tables == (embedded.table_name,) and requests[1].capacity.read > 0
    assert requests[2].about == ("User.by_status",)
    assert "secret" not in repr(requests) + repr(rounds)
    assert [one.kind for one in rounds] == ["lookups", "queries"]
    assert rounds[0].cause.file.endswith("test_seeing.py") and len(rounds[0].requests) == 1


def test_a_hook_that_fails_stops_nothing(
    embedded: Manager, people: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Its error is logged."""

    @embedded.on_request
    def broken(sent: Any) -> None:
        raise RuntimeError("metrics are down")

    with caplog.at_level(logging.ERROR, "dynamo_bao"):
        assert User.find(people[0]).name == "user 0"
    assert "metrics are down" in caplog.text


# --- traces -----------------------------------------------------------------------------------------


def test_a_trace_tells_each_round_and_its_cause(people: list[str], sent: Wire, tmp_path: Path) -> None:
    """As text and as a page: kind, line, operations, keys and capacity, and never a value."""
    with run_with_batch_context() as session:
        for user in [User.find(user_id) for user_id in people]:
            assert user.name
        results = [User.by_status.query("active"), User.by_status.query("gone")]
        assert [len(result) for result in results] == [8, 0]
        Org.create(org_id="acme", name="secret name")
        trace = session.trace()
    assert [done.kind for done in trace] == ["lookups", "queries", "write"]
    text = str(trace)
    assert text.startswith("3 rounds, 4 requests, ")
    assert "BatchGetItem · 8 keys" in text and "Query · 1 query" in text and "PutItem · 1 key" in text
    assert text.count("test_seeing.py:") == 3
    assert f"User {people[0]!r}" in text and "secret" not in text
    page = trace.save(tmp_path / "trace.html").read_text()
    assert page.count("<details>") == 3 and page.count('class="sent"') == 4
    assert "secret" not in page and "http" not in page.replace("https://", "http").split("<style>")[0]
    assert len(trace) == 3


def test_a_trace_shows_retries_and_errors(table_name: str) -> None:
    """Attempts and waits stand with the request they belong to; an error with its class."""
    transport = FaultInjectingTransport(embedded_transport().wire, clock=FakeTime().clock)
    with init_models(models=[Org], table_name=table_name, transport=transport, deadline=60) as manager:
        manager.create_table()
        transport.inject([throttled(), throttled()])
        with run_with_batch_context() as session:
            assert not Org.find("<b>")
            transport.inject(throttled())
            with pytest.raises(ThrottledError):
                Org.create(org_id="a", name="A")
        text, page = str(session.trace()), session.trace().html()
    assert "3 attempts" in text and "ended with ThrottledError" in text
    assert 'class="retried"' in page and 'class="failed"' in page
    assert "&lt;b&gt;" in page and "<b>'" not in page


def test_an_empty_trace(embedded: Manager) -> None:
    """A session that asked nothing says so."""
    with run_with_batch_context() as session:
        assert str(session.trace()).startswith("0 rounds")
        assert "No request was sent" in session.trace().html()


# --- what a session holds ---------------------------------------------------------------------------


def test_max_cached_lets_the_oldest_clean_ones_go(people: list[str], sent: Wire) -> None:
    """Ones with local changes and ones somebody holds stay the session's objects."""
    with run_with_batch_context(max_cached=2) as session:
        mine = User.find(people[0])
        mine.name = "changed"
        held = User.find(people[1])
        assert all(User.find(user_id).name for user_id in people)
        assert User.find(people[0]) is mine and mine.name == "changed"
        assert User.find(people[1]) is held
        sent.clear()
        assert User.find(people[2]).name == "user 2"
        assert sent.operations == ["BatchGetItem"]
        assert "8 known" not in repr(session)


@pytest.mark.parametrize("by_query", [False, True])
def test_max_cached_keeps_all_changes(people: list[str], by_query: bool) -> None:
    """Also those of objects that only the context holds, and also if it holds more of them than `max_cached`."""
    with run_with_batch_context(max_cached=2):
        users: Iterable[User] = User.by_status.query("active") if by_query else map(User.find, people)
        for user in users:
            assert user.name != "changed"
            user.name = "changed"
        del user, users
        gc.collect()
        assert {User.find(user_id).name for user_id in people} == {"changed"}


@pytest.mark.parametrize("option", ["max_cached", "peer_limit", "query_limit", "max_concurrency", "deadline"])
@pytest.mark.parametrize("wrong", [0, -1, "5", True, [], float("nan")], ids=repr)
def test_limits_are_numbers_of_at_least_one(option: str, wrong: Any) -> None:
    """The call refuses a limit of nothing, and a limit that is no number."""
    with pytest.raises(ConfigurationError, match=option):
        run_with_batch_context(**{option: wrong})


def test_a_session_refreshes_its_own_instances_only(people: list[str], sent: Wire) -> None:
    """The object of another session, or of none, never takes the place of the session's own."""
    detached = User.find(people[0])
    assert detached.name == "user 0"
    with run_with_batch_context() as outer:
        others = User.find(people[0])
        with run_with_batch_context() as session:
            own = User.find(people[0])
            assert own.name == others.name
            sent.clear()
            for wrong in (detached, others, copy.copy(own), User(name="new", email="new@x"), None):
                with pytest.raises(BatchContextError, match=r"not an instance of this session.*refresh\(\)"):
                    session.refresh(wrong)  # type: ignore[arg-type]
            assert len(sent) == 0
            assert User.find(people[0]) is own
            session.refresh(own)
            assert sent.keys() == [f"u#{people[0]}"]
        assert outer.is_open


def test_expunge_and_clear(people: list[str], sent: Wire) -> None:
    """Forgotten instances are detached; the next find asks again."""
    with run_with_batch_context() as session:
        user, other, pending = User.find(people[0]), User.find(people[1]), User.find(people[2])
        assert user.name and other.name
        session.expunge(user)
        again = User.find(people[0])
        assert again is not user and again == user and again.name == user.name
        assert User.find(people[1]) is other
        user.name = "by the detached one"
        user.save()
        assert again.name == "by the detached one"
        later = User.find(people[3])
        session.clear()
        sent.clear()
        assert "0 pending, 0 known" in repr(session)
        assert User.find(people[1]) is not other
        assert User.find(people[1]).name == other.name
        assert sent.keys() == [f"u#{people[1]}"]
        assert later.name == "user 3" and pending.name == "user 2"  # by themselves
        assert session.is_open


def test_a_changed_row_is_kept_until_it_is_saved(people: list[str]) -> None:
    """Rows of a query are held weakly, but not once they are changed."""
    with run_with_batch_context():
        next(iter(User.by_status.query("active"))).name = "renamed"
        changed = [user for user in map(User.find, people) if user.name == "renamed"]
        assert len(changed) == 1


def test_iterating_keeps_nothing(embedded: Manager) -> None:
    """A loop over a whole model leaves the session as small as it was."""
    for number in range(250):
        Post.create(title=f"post {number}")
    with run_with_batch_context() as session:
        assert sum(len(batch) for batch in Post.iterate_all(batch_size=50)) == 250
        assert int(repr(session).split(" pending, ")[1].split(" known")[0]) <= 1


def test_the_same_line_is_warned_of_once_a_minute(table_name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Under load a line of N+1 is one line of the log a minute, with a count, and with figures as fields."""
    time = FakeTime()
    transport = FaultInjectingTransport(embedded_transport().wire, clock=time.clock)

    def serve() -> None:
        with run_with_batch_context(fetch="one"):
            for number in range(6):
                Org.find(f"{number}").exists()

    with init_models(models=[Org], table_name=table_name, transport=transport) as manager:
        manager.create_table()
        with caplog.at_level(logging.WARNING, "dynamo_bao.session"):
            for _ in range(40):
                serve()
            time.sleep(61)
            serve()
    first, second = (record for record in caplog.records if "N+1" in record.getMessage())
    assert "40 contexts" in second.getMessage()
    assert (vars(first)["count"], vars(second)["count"]) == (1, 40)
    for record in (first, second):
        fields = vars(record)
        assert (fields["operation"], fields["table"], fields["keys"]) == ("BatchGetItem", table_name, 5)
        assert fields["duration"] >= 0
