"""Rules 7 to 11: what a lazy result reflects."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from dynamo_bao import (
    BaoError,
    BatchContextError,
    BatchIncompleteError,
    ConcurrencyError,
    Manager,
    QueryError,
    ServiceError,
    TenantContext,
    TenantRequiredError,
    ValidationError,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.testing import FaultInjectingTransport, embedded_transport, unprocessed
from tests.support.clocks import FakeTime
from tests.support.models import ALL, Org, Page, Post, User
from tests.support.wire import Wire

MODELS = ALL


@pytest.mark.rule(7)
def test_arguments_are_checked_and_frozen_at_the_call(ada: User, wire: Wire) -> None:
    """Wrong ones raise at the call; what is changed afterwards makes no difference; data is as of the first look."""
    with run_with_batch_context():
        for wrong in ("", 7, None):
            with pytest.raises(ValidationError):
                User.find(wrong)
        with pytest.raises(QueryError):
            User.by_status.query("active", filter={"nam": "Ada"})
        wanted: dict[str, Any] = {"name": {"$in": ["Ada"]}}
        rows, user = User.by_status.query("active", filter=wanted), User.find(ada.user_id)
        wanted["name"]["$in"][0] = "Eve"
        wanted["age"] = 7
        assert len(wire) == 0
        with run_with_batch_context():
            User.update(ada.user_id, age=36)
        assert [row.name for row in rows] == ["Ada"]
        assert user.age == 36
        with run_with_batch_context():
            User.update(ada.user_id, age=37)
        assert (user.age, [row.age for row in rows]) == (36, [36])


@pytest.mark.rule(7)
def test_the_tenant_is_that_of_the_call(tenanted: Manager) -> None:
    """A lookup keeps the tenant under which it was made; without one it is refused at the call."""
    with run_with_batch_context():
        with TenantContext.run_with_tenant("red"):
            Org.create(org_id="acme", name="Red")
        with TenantContext.run_with_tenant("blue"):
            Org.create(org_id="acme", name="Blue")
    with run_with_batch_context():
        with TenantContext.run_with_tenant("red"):
            red = Org.find("acme")
        with TenantContext.run_with_tenant("blue"):
            blue = Org.find("acme")
            assert (red.name, blue.name) == ("Red", "Blue")
        with pytest.raises(TenantRequiredError):
            Org.find("acme")


@pytest.mark.rule(8)
def test_what_a_look_runs(ada: User, wire: Wire) -> None:
    """An instance's look runs the lookups, a query's the queries too, in one round; a query nobody holds never runs."""
    with run_with_batch_context() as session:
        wire.clear()
        user, org = User.find(ada.user_id), Org.find("acme")
        rows, others = User.by_status.query("active"), Post.posts_for_user.query(ada)
        del others
        assert user.name == "Ada"
        assert wire.operations == ["BatchGetItem"]
        assert org.name == "Acme"
        again, more = Page.find("/"), User.by_status.query("gone")
        assert [row.name for row in rows] == ["Ada"]
        assert sorted(wire.operations[1:]) == ["BatchGetItem", "Query", "Query"]
        assert session.stats.round_trips == 2
        assert not again.exists() and list(more) == []
        assert len(wire) == 4


@pytest.mark.rule(8)
def test_a_look_on_an_event_loop_is_refused_where_that_is_wished() -> None:
    """Nothing is sent; outside of the loop the same look is taken."""
    transport = FaultInjectingTransport(embedded_transport().wire, clock=FakeTime().clock)
    with init_models(models=ALL, transport=transport, on_event_loop="raise") as manager:
        manager.create_table()
        before = transport.attempts

        async def look(use: Callable[[], Any]) -> None:
            with run_with_batch_context(), pytest.raises(ConcurrencyError, match="on an event loop"):
                use()

        for use in (lambda: Org.find("acme").exists(), lambda: list(User.by_status.query("active"))):
            asyncio.run(look(use))
            assert transport.attempts == before
            with run_with_batch_context():
                assert not use()
            before = transport.attempts


@pytest.mark.rule(9)
def test_looks_during_a_flush(manager: Manager, ada: User) -> None:
    """A look from a hook that runs inside a flush is refused, and the flush is none the worse."""
    told: list[type[BaseException]] = []

    def hook(*event: Any) -> None:
        try:
            Org.find("acme").exists()
        except BaoError as error:
            told.append(type(error))

    with run_with_batch_context():
        stop = manager.on_request(hook)
        assert User.find(ada.user_id).name == "Ada"
        if callable(stop):
            stop()
    assert told and all(issubclass(kind, BatchContextError) for kind in told)


@pytest.mark.rule(9)
def test_an_interrupt_leaves_the_keys_pending() -> None:
    """KeyboardInterrupt leaves a flush as it is; the keys are asked for by the next look."""
    transport = FaultInjectingTransport(embedded_transport().wire, clock=FakeTime().clock)

    def interrupt(request: Request, send: Any, chance: Any) -> Any:
        raise KeyboardInterrupt

    with init_models(models=ALL, transport=transport) as manager:
        manager.create_table()
        Org.create(org_id="acme", name="Acme")
        with run_with_batch_context() as session:
            org = Org.find("acme")
            transport.inject([interrupt])
            with pytest.raises(KeyboardInterrupt):
                org.exists()
            assert "1 pending" in repr(session)
            assert org.name == "Acme"


@pytest.mark.rule(10)
def test_each_key_has_its_own_outcome() -> None:
    """A key without an answer fails alone, each time anew and without a request, until it is asked for again."""
    transport = FaultInjectingTransport(embedded_transport().wire, clock=FakeTime().clock)

    def without_evil(request: Request, send: Any, chance: Any) -> Any:
        """DynamoDB never gets to one of the keys."""
        (table, entry), *_ = request.parameters["RequestItems"].items()
        evil = [key for key in entry["Keys"] if key["_pk"]["S"] == "o#evil"]
        others = [key for key in entry["Keys"] if key not in evil]
        items = {table: {**entry, "Keys": others}}
        body = (
            send(Request(request.operation, {**request.parameters, "RequestItems": items})) if others else {}
        )
        left = {table: {**entry, "Keys": evil}} if evil else {}
        return {"Responses": {table: []}, **body, "UnprocessedKeys": left}

    with init_models(models=ALL, transport=transport) as manager:
        manager.create_table()
        for org_id in ("acme", "evil"):
            Org.create(org_id=org_id, name=org_id.title())
        with run_with_batch_context():
            good, bad = Org.find("acme"), Org.find("evil")
            transport.inject(without_evil)
            assert good.name == "Acme"
            attempts, raised = transport.attempts, []
            for _ in range(2):
                with pytest.raises(BatchIncompleteError) as caught:
                    bad.exists()
                raised.append(caught.value)
            assert raised[0] is not raised[1] and raised[0].__cause__ is raised[1].__cause__
            assert transport.attempts == attempts
            transport.inject(())
            assert Org.find("evil").name == "Evil"
            assert transport.attempts == attempts + 1


@pytest.mark.parametrize(("of_manager", "of_session", "most"), [(60, 2, 2), (2, 60, 60), (3, None, 3)])
@pytest.mark.rule(10)
def test_the_deadline_is_the_sessions(
    monkeypatch: pytest.MonkeyPatch, of_manager: float, of_session: float | None, most: float
) -> None:
    """That of the manager only where the session has none."""
    monkeypatch.setattr(random, "uniform", lambda low, high: high)  # ten attempts take some five seconds
    time = FakeTime()
    transport = FaultInjectingTransport(embedded_transport().wire, clock=time.clock)
    with init_models(models=ALL, transport=transport, deadline=of_manager) as manager:
        manager.create_table()
        transport.inject(unprocessed(1.0))
        with run_with_batch_context(deadline=of_session):
            began = time.now()
            with pytest.raises(BatchIncompleteError):
                Org.find("acme").exists()
            assert time.now() - began <= most
            if most == 60:
                assert time.now() - began > 2  # all ten attempts


@pytest.mark.rule(10)
def test_a_missing_table_fails_alone(manager: Manager, engine_transport: Any) -> None:
    """A request that is refused because of one table is repeated for each."""
    Org.create(org_id="acme", name="Acme")
    with (
        init_models(models=[Page], table_name="not_there", transport=engine_transport) as other,
        run_with_batch_context(),
    ):
        here, there = Org.find("acme"), other.repository(Page).find("/")
        assert here.name == "Acme"
        with pytest.raises(ServiceError, match="not_there"):
            there.exists()


@pytest.mark.parametrize(("keys", "requests"), [(0, 0), (1, 1), (100, 1), (101, 2)])
@pytest.mark.rule(11)
def test_requests(manager: Manager, wire: Wire, keys: int, requests: int) -> None:
    """ceil(n / 100) requests, and those of consistent reads apart."""
    with run_with_batch_context():
        found = [Org.find(f"{number}") for number in range(keys)]
        assert not any(org.exists() for org in found)
        assert len(wire) == requests
    with run_with_batch_context():
        wire.clear()
        plain, strong = Org.find("1"), Org.find("2", consistent_read=True)
        assert not plain and not strong
        assert len(wire) == 2
        tables = [json.dumps(body) for _, body in wire.sent]
        assert sorted("ConsistentRead" in table for table in tables) == [False, True]
