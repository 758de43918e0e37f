"""Promises of writes under faults: what is retried, what a commit tells, and that errors write nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import attrs
import boto3
import pytest

from dynamo_bao import (
    BudgetExceededError,
    CommitError,
    ConditionalError,
    Manager,
    ServiceError,
    Session,
    TenantContext,
    TransactionError,
    UncommittedChangesError,
    WriteOutcomeUnknownError,
    current_session,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.dynamodb.transport.error_mapping import TransactionCancelled
from dynamo_bao.dynamodb.transport.messages import AttemptFailed, Request, RequestOutcome
from dynamo_bao.testing import (
    FaultInjectingTransport,
    embedded_transport,
    lost_reply,
    refused_connection,
    throttled,
)
from tests.support import models
from tests.support.clocks import FakeTime
from tests.support.dynamo_server import answer
from tests.support.http_server import http_server
from tests.support.models import Org, Page, Post, User
from tests.support.wire import Wire


class Stop(Exception):
    """What a block is left with."""


@pytest.fixture
def transport() -> FaultInjectingTransport:
    writes = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
    return FaultInjectingTransport(embedded_transport().wire, operations=writes, clock=FakeTime().clock)


@pytest.fixture
def manager(transport: FaultInjectingTransport) -> Iterator[Manager]:
    with init_models(models=models.ALL, transport=transport) as manager:
        manager.create_table()
        yield manager


# --- W3 ------------------------------------------------------------------------------------------------


def cancelled(code: str, tried: list[str]) -> Callable[..., Any]:
    """DynamoDB cancels a transaction three times, one of its actions for a reason."""

    def fault(request: Request, send: Any, chance: Any) -> Any:
        tried.append(request.operation)
        if len(tried) > 3:
            return send(request)
        reasons = [code, *[None] * (len(request.parameters["TransactItems"]) - 1)]
        raise TransactionCancelled("cancelled", reasons, [None] * len(reasons))

    return fault


@pytest.mark.parametrize(
    ("code", "attempts"),
    [
        ("TransactionConflict", 4),
        ("ThrottlingError", 4),
        ("ProvisionedThroughputExceeded", 4),
        ("ValidationError", 1),
    ],
)
@pytest.mark.promise("W3")
def test_which_cancellations_are_retried(
    manager: Manager, transport: FaultInjectingTransport, code: str, attempts: int
) -> None:
    """Conflicts and throttling are tried again, other reasons are not."""
    page = Page.create(path="/")
    tried: list[str] = []
    transport.inject(cancelled(code, tried))

    def change() -> None:
        with transaction():
            page.text = "new"
            page.save()
            Org.create(org_id="acme", name="Acme")

    if attempts > 1:
        change()
        assert Page.find("/").text == "new" and Org.find("acme").exists()
    else:
        with pytest.raises(TransactionError):
            change()
        assert not Org.find("acme")
    assert tried == ["TransactWriteItems"] * attempts
    print(f"W3: {code}: {attempts} attempts")


@pytest.mark.promise("W3")
def test_a_failed_condition_is_not_retried(manager: Manager, transport: FaultInjectingTransport) -> None:
    """It is told at once, with the object it is about."""
    stale, newer = Page.create(path="/"), Page.find("/")
    newer.text = "newer"
    newer.save()
    tried: list[str] = []

    def counted(request: Request, send: Any, chance: Any) -> Any:
        tried.append(request.operation)
        return send(request)

    transport.inject(counted)
    with pytest.raises(TransactionError, match="Page '/'") as caught, transaction():
        stale.text = "stale"
        stale.save()
        Org.create(org_id="acme", name="Acme")
    assert isinstance(caught.value, ConditionalError)
    assert tried == ["TransactWriteItems"]
    print("W3: a failed condition: 1 attempt")


# --- W5 ------------------------------------------------------------------------------------------------


def denied(request: Request, send: Any, chance: Any) -> Any:
    """DynamoDB refuses the request for good."""
    error = ServiceError("denied", code="AccessDeniedException", operation=request.operation)
    raise AttemptFailed(error, RequestOutcome.REFUSED)


def vanished(request: Request, send: Any, chance: Any) -> Any:
    """The request is carried out, and its reply cannot be read."""
    send(request)
    raise AttemptFailed(ConnectionResetError("the connection broke"), RequestOutcome.UNKNOWN)


def without_token(request: Request, send: Any, chance: Any) -> Any:
    """The request is carried out as if its token were not known any more."""
    parameters = {name: part for name, part in request.parameters.items() if name != "ClientRequestToken"}
    return send(attrs.evolve(request, parameters=parameters))


@pytest.mark.parametrize("fault", [denied, throttled()], ids=["denied", "throttled"])
@pytest.mark.parametrize("step", range(5))
@pytest.mark.promise("W5")
def test_a_commit_that_fails_at_a_step(
    manager: Manager, transport: FaultInjectingTransport, step: int, fault: Any
) -> None:
    """What is written, not written or unknown is listed; the rest stays pending, and another commit finishes it."""
    Org.create(org_id="old", name="old")
    with run_with_batch_context(max_concurrency=1, deadline=5) as session:
        old = Org.find("old")
        old.name = "new"
        objects: list[Any] = [
            old,
            Org(org_id="a", name="a"),
            Post(title="p"),
            User(name="ada", email="a@x"),
            Page(path="/"),
        ]
        session.add(*objects)
        transport.inject([*[None] * step, *[fault] * 1_000])
        with pytest.raises(CommitError) as caught:
            session.commit()
        told = [*caught.value.done, *caught.value.not_done, *caught.value.unknown]
        assert sorted(map(id, told)) == sorted(map(id, objects))
        assert len(caught.value.done) <= step
        transport.inject([])
        for done in caught.value.done:
            assert type(done).find(done.primary_id, bypass_cache=True).exists()
        for missing in caught.value.not_done:
            stored = type(missing).find(missing.primary_id, bypass_cache=True)
            assert not stored or stored.name == "old"
        assert caught.value.unknown == ()
        session.commit()
        assert all(type(one).find(one.primary_id, bypass_cache=True).exists() for one in objects)
        assert Org.find("old", bypass_cache=True).name == "new"
    counts = [len(part) for part in (caught.value.done, caught.value.not_done, caught.value.unknown)]
    print("W5: step {}: {} done, {} not done, {} unknown of 5".format(step, *counts))


@pytest.mark.promise("W5")
def test_replies_that_never_arrive(manager: Manager, transport: FaultInjectingTransport) -> None:
    """What can be recognised as its own is done; what cannot is unknown, and can be committed again."""
    with run_with_batch_context(max_concurrency=1) as session:
        plain, guarded, batch = Org(org_id="a", name="a"), User(name="ada", email="a@x"), Post(title="p")
        session.add(plain, guarded, batch)
        transport.inject([vanished] * 1_000)
        with pytest.raises(CommitError) as caught:
            session.commit()
        assert caught.value.done == (plain,)
        assert (caught.value.not_done, set(caught.value.unknown)) == ((), {guarded, batch})
        transport.inject([])
        with pytest.raises(CommitError, match="exists already") as caught:  # by the first commit
            session.commit()
        assert (caught.value.done, caught.value.not_done) == ((batch,), (guarded,))
        assert Post.find(batch.post_id, bypass_cache=True).title == "p"
        assert User.find(guarded.user_id, bypass_cache=True).name == "ada"
        session.rollback()
    print("W5: replies that never arrive: 1 recognised as written, 2 unknown, 0 wrong")


@pytest.mark.promise("W5")
def test_where_nobody_listens_nothing_is_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a new item, a batch and a transaction that could not be sent it is known that they are not written."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    with http_server(answer) as server:
        url = server.url()
    objects = [Org(org_id="a", name="a"), Post(title="p"), User(name="ada", email="a@x")]
    error = commit_that_fails(objects, endpoint_url=url, region="us-east-1")
    assert (error.done, set(error.not_done), error.unknown) == ((), set(objects), ())
    assert "Could not connect" in str(error)
    print("W5: nobody listens: 3 of 3 not written, 0 unknown")


@pytest.mark.parametrize("made", ["by the library", "by the user"])
@pytest.mark.promise("W5")
def test_without_credentials_nothing_is_in_doubt(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be signed is not sent."""
    with http_server(answer) as server:
        where: dict[str, Any] = {"endpoint_url": server.url(), "region": "us-east-1"}
        if made == "by the user":
            own = boto3.session.Session()  # without what the default one may remember of other tests
            where = {"client": own.client("dynamodb", endpoint_url=server.url(), region_name="us-east-1")}
        objects = [Org(org_id="a", name="a"), Post(title="p"), User(name="ada", email="a@x")]
        error = commit_that_fails(objects, **where)
        assert server.asked == []
    assert (error.done, set(error.not_done), error.unknown) == ((), set(objects), ())
    assert "credentials" in str(error)


def commit_that_fails(objects: list[Any], **where: Any) -> CommitError:
    """What a commit of new objects is told by a server without tables, or by none."""
    with (
        init_models(models=models.ALL, table_name="table", **where),
        run_with_batch_context() as session,
    ):
        session.add(*objects)
        with pytest.raises(CommitError) as caught:
            session.commit()
        session.rollback()
    return caught.value


@pytest.mark.parametrize(
    "then", [refused_connection(), throttled(), denied], ids=["gone", "throttled", "denied"]
)
@pytest.mark.promise("W5")
def test_what_was_lost_once_stays_in_doubt(
    manager: Manager, transport: FaultInjectingTransport, then: Any
) -> None:
    """A reply was lost and no further attempt came through: nobody knows, whatever the last attempt ended with."""
    for new in (Org(org_id="a", name="a"), Post(title="p"), User(name="ada", email="a@x")):
        with run_with_batch_context() as session:
            session.add(new)
            transport.inject([vanished, *[then] * 20])
            with pytest.raises(CommitError) as caught:
                session.commit()
            transport.inject([])
            assert (caught.value.not_done, caught.value.unknown) == ((), (new,))
            assert type(new).find(new.primary_id, bypass_cache=True).exists()
            session.rollback()
    print("W5: a lost reply, then no way through: 3 of 3 unknown, 0 said not to be written")


@pytest.mark.promise("W5")
def test_a_doubt_that_cannot_be_cleared_up_stays_one() -> None:
    """A repeated write was refused, which its own first attempt may be why; reading that fails: it stays unknown."""
    transport = FaultInjectingTransport(embedded_transport().wire, clock=FakeTime().clock)
    with init_models(models=models.ALL, transport=transport) as manager:
        manager.create_table()
        first = User.create(name="ada", email="a@x")
        with run_with_batch_context() as session:
            giving, taking = User.find(first.user_id), User(name="eve", email="a@x")
            assert giving.email == "a@x"
            giving.email = "b@x"
            session.add(giving, taking)
            transport.inject([vanished, without_token, *[throttled()] * 20])
            with pytest.raises(CommitError) as caught:
                session.commit()
            transport.inject([])
            assert set(caught.value.unknown) == {giving, taking}
            assert User.find(taking.user_id, bypass_cache=True).email == "a@x"
            session.rollback()


@pytest.mark.promise("W5")
def test_cancelled_after_a_lost_reply(manager: Manager, transport: FaultInjectingTransport) -> None:
    """A transaction in doubt that then meets nothing but conflicts stays in doubt, unless it is found stored."""

    def conflict(request: Request, send: Any, chance: Any) -> Any:
        actions = request.parameters["TransactItems"]
        raise TransactionCancelled("cancelled", ["TransactionConflict"] * len(actions), [None] * len(actions))

    user = User(name="ada", email="a@x")
    transport.inject([vanished, *[conflict] * 20])
    with pytest.raises(WriteOutcomeUnknownError, match=r"User .*TransactionConflict.*find"):
        manager.repository(User).save(user)
    transport.inject([lost_reply(carried_out=False), *[conflict] * 20])
    with pytest.raises(WriteOutcomeUnknownError, match="TransactionConflict"), transaction():
        Org.create(org_id="a", name="a")
        Org.create(org_id="b", name="b")
    transport.inject([vanished, *[conflict] * 20])
    with transaction():
        Org.create(org_id="c", name="c")
        Org.create(org_id="d", name="d")
    assert [Org.find(name).exists() for name in "abcd"] == [False, False, True, True]


# --- W6 ------------------------------------------------------------------------------------------------


def _in_a_session(block: Callable[[Session], AbstractContextManager[Any]]) -> Callable[[], Any]:
    def enter() -> ExitStack:
        stack = ExitStack()
        session = stack.enter_context(run_with_batch_context())
        stack.enter_context(block(session))
        return stack

    return enter


BLOCKS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "run_with_batch_context": run_with_batch_context,
    "budget": _in_a_session(lambda session: session.budget(round_trips=9)),
    "run_with_tenant": _in_a_session(lambda session: TenantContext.run_with_tenant("red")),
    "a nested context": _in_a_session(lambda session: run_with_batch_context()),
}


def unsent_work() -> None:
    """Adds an object to the current session, and changes one without saving it."""
    changed = Org.find("old")
    changed.name = "changed"
    session = current_session()
    assert session is not None
    session.add(Org(org_id="never", name="never"))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("end", ["error", "no commit"])
@pytest.mark.promise("W6")
def test_nothing_unsent_is_sent(manager: Manager, block: str, end: str) -> None:
    """Left with an exception a block writes nothing, and that exception comes out; without a commit neither."""
    wire = Wire(manager.client)
    with pytest.raises(Stop if end == "error" else UncommittedChangesError), BLOCKS[block]():
        unsent_work()
        if end == "error":
            raise Stop
    assert len(wire) == 0
    print(f"W6: {block}, {end}: 0 writes")


@pytest.mark.promise("W6")
def test_a_transaction_left_with_an_error(manager: Manager) -> None:
    """A transaction has its commit at its end; with an exception there is none."""
    wire = Wire(manager.client)
    for inside in (False, True):
        with pytest.raises(Stop), ExitStack() as stack:
            if inside:
                stack.enter_context(run_with_batch_context())
            with transaction():
                Org.create(org_id="never", name="never")
                with transaction():
                    Org.create(org_id="neither", name="neither")
                raise Stop
    assert len(wire) == 0


@pytest.mark.promise("W6")
def test_a_manager_left_with_an_error(transport: FaultInjectingTransport) -> None:
    """A manager's block closes it, whatever it is left with."""
    with pytest.raises(Stop), init_models(models=models.ALL, transport=transport) as manager:
        manager.create_table()
        wire = Wire(manager.client)
        with run_with_batch_context():
            unsent_work()
            raise Stop
    assert len(wire) == 0


@pytest.mark.promise("W6")
def test_a_session_handed_over(manager: Manager) -> None:
    """activate() gives the session back as it is: work that was added in it is still uncommitted."""
    wire = Wire(manager.client)
    with pytest.raises(UncommittedChangesError), run_with_batch_context() as session:
        with pytest.raises(Stop), session.activate():
            unsent_work()
            raise Stop
        assert Org.find("never").name == "never"
    assert len(wire) == 0


@pytest.mark.promise("W6")
def test_a_budget_that_is_over_stops_writes(manager: Manager) -> None:
    """A write beyond the budget is refused, and nothing of it is sent."""
    with run_with_batch_context() as session, session.budget(round_trips=0):
        wire = Wire(manager.client)
        with pytest.raises(BudgetExceededError):
            Org.create(org_id="never", name="never")
        assert len(wire) == 0
