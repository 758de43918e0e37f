"""Rules 1 to 6: who a session belongs to."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dynamo_bao import (
    BatchContextRequiredError,
    BudgetExceededError,
    ConcurrencyError,
    Manager,
    TenantContext,
    batched,
    current_session,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.wsgi import BatchContextMiddleware
from tests.support.models import ALL, Org, User
from tests.support.patience import PATIENCE
from tests.support.wire import Wire
from tests.support.wsgi_server import Serving

MODELS = ALL


def in_a_thread(work: Callable[[], Any]) -> Any:
    """What `work` returns or raises in another thread."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work).result()


@pytest.mark.rule(1)
def test_each_owner_has_its_own_stack(ada: User) -> None:
    """A thread and a task start without a session, and two tasks of one thread never meet."""
    with run_with_batch_context() as session:
        assert in_a_thread(current_session) is None
        assert current_session() is session

    async def task(name: str, ready: asyncio.Event, other: asyncio.Event) -> bool:
        with run_with_batch_context() as own:
            ready.set()
            await other.wait()
            return current_session() is own

    async def both() -> list[bool]:
        one, two = asyncio.Event(), asyncio.Event()
        return list(await asyncio.gather(task("a", one, two), task("b", two, one)))

    assert asyncio.run(both()) == [True, True]


@pytest.mark.rule(2)
def test_use_by_another_is_refused(ada: User, wire: Wire) -> None:
    """Another thread's use of a session or its instances raises before any request; loaded fields can be read."""
    with run_with_batch_context() as session:
        loaded = User.find(ada.user_id)
        assert loaded.name == "Ada"
        pending = Org.find("acme")
        wire.clear()
        uses: list[Callable[[], Any]] = [
            session.flush,
            session.commit,
            lambda: pending.exists(),
            loaded.refresh,
            loaded.save,
            loaded.delete,
        ]
        for use in uses:
            with pytest.raises(ConcurrencyError):
                in_a_thread(use)
        assert in_a_thread(lambda: loaded.name) == "Ada"
        assert len(wire) == 0
    assert in_a_thread(loaded.exists)


@pytest.mark.parametrize("handed_over", [False, True])
@pytest.mark.rule(2)
def test_every_method_is_its_owners(ada: User, wire: Wire, handed_over: bool) -> None:
    """None works in another thread, or after the end; nothing is sent."""
    with run_with_batch_context() as session:
        user = User.find(ada.user_id)
        assert user.name == "Ada"
    uses: dict[str, Callable[[Any], Any]] = {
        "budget": lambda own: own.budget(round_trips=1),
        "refresh": lambda own: own.refresh(user),
        "expunge": lambda own: own.expunge(user),
        "clear": lambda own: own.clear(),
        "add": lambda own: own.add(Org(org_id="x", name="x")),
        "delete": lambda own: own.delete(user),
        "commit": lambda own: own.commit(),
        "rollback": lambda own: own.rollback(),
        "flush": lambda own: own.flush(),
    }
    wire.clear()

    def refused(own: Any) -> list[str]:
        found = []
        for name, use in uses.items():
            try:
                use(own)
            except ConcurrencyError:
                found.append(name)
        return found

    if handed_over:
        with run_with_batch_context() as session:
            assert in_a_thread(lambda: refused(session)) == list(uses)
    else:
        assert refused(session) == list(uses)
    assert len(wire) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.rule(2)
def test_a_forked_child_is_somebody_else(ada: User) -> None:
    """The session of its parent is not its own; it may open another one."""
    with run_with_batch_context() as session:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with pytest.raises(ConcurrencyError, match="another thread, greenlet, task or process"):
                    session.flush()
                with run_with_batch_context() as own:
                    status = int(current_session() is not own)
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        session.flush()


@pytest.mark.rule(3)
def test_only_the_block_of_activate_uses_the_session(ada: User) -> None:
    """activate() is exclusive: use by the first owner and a second activation are refused; so is a transaction's."""
    with run_with_batch_context() as session:
        inside, done = threading.Event(), threading.Event()

        def worker() -> str:
            with session.activate():
                inside.set()
                done.wait(PATIENCE)
                return str(User.find(ada.user_id).name)

        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(worker)
            assert inside.wait(PATIENCE)
            with pytest.raises(ConcurrencyError):
                session.flush()
            with (
                pytest.raises(ConcurrencyError, match="it is activated elsewhere already"),
                session.activate(),
            ):
                pass
            done.set()
            assert running.result() == "Ada"
        assert User.find(ada.user_id).name == "Ada"
        with transaction(), pytest.raises(ConcurrencyError, match="while a transaction is open"):
            session.activate().__enter__()
    with pytest.raises(ConcurrencyError, match="it is closed"), session.activate():
        pass


@pytest.mark.usefixtures("manager")
@pytest.mark.rule(4)
def test_order_and_generators(ada: User) -> None:
    """Blocks left out of order are refused; a generator keeps its session, tenant, transaction and budget to itself."""
    outer, inner = run_with_batch_context(), run_with_batch_context()
    outer.__enter__()
    inner.__enter__()
    with pytest.raises(ConcurrencyError):
        outer.__exit__(None, None, None)
    inner.__exit__(None, None, None)

    @batched
    def names() -> Iterator[Any]:
        with TenantContext.run_with_tenant("red"):
            yield current_session(), TenantContext.get_current_tenant()
        session = current_session()
        assert session is not None
        with session.budget(round_trips=0):
            yield current_session(), TenantContext.get_current_tenant()
            with pytest.raises(BudgetExceededError):
                User.find(ada.user_id).exists()
        with transaction():
            Org.create(org_id="new", name="New")
            yield current_session(), None
        yield session, None

    body = names()
    session, tenant = next(body)
    assert session is not None and tenant == "red"
    for _ in range(2):
        assert current_session() is None
        assert TenantContext.get_current_tenant() is None
        assert User.find(ada.user_id).name == "Ada"  # neither its budget nor its transaction counts here
        assert next(body)[0] is session
    assert not Org.find("new").exists()
    assert next(body)[0] is session
    assert Org.find("new").exists()
    body.close()


@pytest.mark.rule(4)
def test_a_generator_in_its_callers_session(ada: User) -> None:
    """What it opens is not its caller's, what its caller opens later is not its own, though both share a session."""

    @batched
    def body() -> Iterator[Any]:
        session = current_session()
        assert session is not None
        with transaction(), session.budget(round_trips=0), TenantContext.run_with_tenant("red"):
            Org.create(org_id="in its transaction", name="x")
            yield TenantContext.get_current_tenant()
            yield TenantContext.get_current_tenant()
            with pytest.raises(BudgetExceededError):
                User.find("01ARZ3NDEKTSV4RRFFQ69G5FAW").exists()
        yield "over"

    @batched
    def writer() -> Iterator[None]:
        yield
        Org.create(org_id="at once", name="x")
        yield

    with run_with_batch_context() as session:
        first = body()
        assert next(first) == "red"
        assert TenantContext.get_current_tenant() is None
        Org.create(org_id="its callers", name="x")
        assert Org.find("its callers", bypass_cache=True).exists()
        assert next(first) == "red"
        first.close()
        second = writer()
        next(second)
        with pytest.raises(ZeroDivisionError), transaction(), session.budget(round_trips=0):
            Org.create(org_id="never", name="x")
            next(second)
            raise ZeroDivisionError
        assert Org.find("at once", bypass_cache=True).exists()
        assert not Org.find("never", bypass_cache=True) and session._rounds.budgets == ()


@pytest.mark.rule(4)
def test_a_generator_uses_its_callers_session_alone(ada: User) -> None:
    """While a step of it runs in another thread, its caller may not use their session."""
    inside, done = threading.Event(), threading.Event()

    @batched
    def body() -> Iterator[Any]:
        yield current_session()
        inside.set()
        done.wait(PATIENCE)
        yield User.find(ada.user_id).name

    with run_with_batch_context() as session, ThreadPoolExecutor(1) as threads:
        steps = body()
        assert next(steps) is session
        running = threads.submit(next, steps)
        assert inside.wait(PATIENCE)
        with pytest.raises(ConcurrencyError):
            session.flush()
        done.set()
        assert running.result() == "Ada"
        session.flush()
        steps.close()


@pytest.mark.rule(4)
def test_a_generator_with_a_session_of_its_own(ada: User) -> None:
    """A transaction or budget around its resumption does not count for it; contexts that it opens stay its own."""

    @batched(isolated=True)
    def writer() -> Iterator[Any]:
        yield current_session()
        Org.create(org_id="at once", name="x")
        with run_with_batch_context() as inner:
            yield inner
            yield current_session() is inner
        yield None

    with run_with_batch_context() as session:
        body = writer()
        own = next(body)
        with pytest.raises(ZeroDivisionError), transaction(), session.budget(round_trips=0):
            assert next(body) is not own
            assert current_session() is session
            raise ZeroDivisionError
        assert next(body) is True
        assert list(body) == [None]
        assert not own.is_open and current_session() is session
        assert Org.find("at once").exists()


@pytest.mark.rule(5)
def test_which_session_an_instance_uses(ada: User, wire: Wire) -> None:
    """Its own while that is open, else the current one, else the policy decides; outer sessions keep what they saw."""
    with run_with_batch_context() as outer:
        user = User.find(ada.user_id)
        assert user.name == "Ada"
        later = Org.find("acme")
        with run_with_batch_context() as inner:
            wire.clear()
            assert later.name == "Acme"
            assert (outer.stats.batches, inner.stats.batches) == (2, 0)
            User.update(ada.user_id, name="Eve")
            assert User.find(ada.user_id).name == "Eve"
        assert user.name == "Ada"
        assert user.refresh().name == "Eve"
        pending = Org.find("acme", bypass_cache=True)
    assert pending.name == "Acme"


@pytest.mark.rule(5)
def test_the_policy_decides_at_last(strict: Manager) -> None:
    """Without any session a strict manager refuses an instance that was never loaded."""
    with run_with_batch_context():
        Org.create(org_id="acme", name="Acme")
    with run_with_batch_context():
        pending = Org.find("acme")
    with pytest.raises(BatchContextRequiredError):
        pending.exists()


@pytest.mark.rule(6)
def test_a_request_is_bound_only_while_its_pieces_run(ada: User) -> None:
    """The call, each step and the close have its session and tenant; between them the thread has neither."""
    seen: list[tuple[Any, ...]] = []

    class Answer:
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(2):
                seen.append((current_session(), TenantContext.get_current_tenant()))
                yield b""

        def close(self) -> None:
            seen.append((current_session(), TenantContext.get_current_tenant()))

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Answer:
        start_response("200 OK", [])
        seen.append((current_session(), TenantContext.get_current_tenant()))
        return Answer()

    serving = Serving(BatchContextMiddleware(app, tenant=lambda environ: "acme"))
    for _ in serving.parts:
        assert current_session() is None and TenantContext.get_current_tenant() is None
    serving.close()
    assert len(seen) == 4 and set(seen) == {(seen[0][0], "acme")}
    assert not seen[0][0].is_open


@pytest.mark.rule(6)
def test_what_a_server_left_is_closed_at_the_threads_next_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With an error in the log, although the server still holds the response."""
    sessions: list[Any] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        sessions.append(current_session())
        return [b""]

    wrapped = BatchContextMiddleware(app)
    left = Serving(wrapped)
    assert sessions[0].is_open
    Serving(wrapped).close()
    assert not sessions[0].is_open and not sessions[1].is_open
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    left.close()
