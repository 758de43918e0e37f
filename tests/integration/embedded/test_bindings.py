"""Rule 42 and what of rule 4 it decides: who sees a session, tenant, transaction or budget, and how its block ends."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import greenlet
import pytest

from dynamo_bao import (
    BatchContextWarning,
    ConcurrencyError,
    Manager,
    Session,
    TenantContext,
    UncommittedChangesError,
    batched,
    current_session,
    run_with_batch_context,
    transaction,
)
from tests.support.models import ALL, Org, User

MODELS = ALL
PLACE = "entered in one context and left in another"


def seen() -> tuple[Session | None, str | None]:
    """What the running code is inside of."""
    return current_session(), TenantContext.get_current_tenant()


NOTHING = (None, None)


@contextmanager
def both(tenant: str = "acme") -> Iterator[Session]:
    """A tenant with a session in it."""
    with TenantContext.run_with_tenant(tenant), run_with_batch_context() as session:
        yield session


def copied(work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` returns in a copy of the running context."""
    return contextvars.copy_context().run(work, *arguments)


def in_a_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work, *arguments).result()


def thread_in_a_copy(work: Callable[..., Any], *arguments: Any) -> Any:
    return in_a_thread(contextvars.copy_context().run, work, *arguments)


def in_a_task(work: Callable[..., Any], *arguments: Any) -> Any:
    async def task() -> Any:
        return work(*arguments)

    return asyncio.run(task())


def in_a_greenlet(work: Callable[..., Any], *arguments: Any) -> Any:
    return greenlet.greenlet(work).switch(*arguments)


# --- who sees ----------------------------------------------------------------------------------------


@pytest.mark.rule(42)
def test_a_suspended_block_is_not_seen_in_another_context() -> None:
    """Blocks around a yield are seen by their own context and its copies, by nobody else in the same thread."""

    def dependency() -> Iterator[Session]:
        with both() as session:
            yield session

    own, body = contextvars.copy_context(), dependency()
    session = own.run(next, body)
    assert seen() == NOTHING and copied(seen) == NOTHING
    assert own.run(seen) == (session, "acme") and own.copy().run(seen) == (session, "acme")
    with both("other") as other:
        assert seen() == (other, "other") and own.run(seen) == (session, "acme")
    own.run(body.close)
    assert own.run(seen) == NOTHING and not session.is_open


@pytest.mark.rule(42)
def test_a_block_that_is_left_elsewhere_is_told() -> None:
    """By a warning, which is raised where the program's filters say so; what the block bound has ended."""
    context, block = contextvars.copy_context(), TenantContext.run_with_tenant("acme")
    context.run(block.__enter__)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BatchContextWarning, match=PLACE):
            block.__exit__(None, None, None)
    assert context.run(seen) == NOTHING


@pytest.mark.rule(42)
def test_a_block_that_others_left_open_is_not_the_leavers_fault() -> None:
    """Leaving a block ends all blocks inside it. It raises only if the same owner opened one of them."""
    context, others = contextvars.copy_context(), TenantContext.run_with_tenant("theirs")
    outer = TenantContext.run_with_tenant("mine")
    context.run(outer.__enter__)
    assert in_a_thread(context.run, others.__enter__) == "theirs"
    context.run(outer.__exit__, None, None, None)
    assert context.run(seen) == NOTHING
    inner = TenantContext.run_with_tenant("inner")
    context.run(outer.__enter__)
    context.run(inner.__enter__)
    with pytest.raises(ConcurrencyError, match="reverse order"):
        context.run(outer.__exit__, None, None, None)
    assert context.run(seen) == NOTHING


@pytest.mark.parametrize("place", [in_a_thread, thread_in_a_copy, in_a_task, in_a_greenlet])
@pytest.mark.rule(42)
def test_a_binding_belongs_to_its_owner(place: Callable[..., Any]) -> None:
    """Another thread, task or greenlet sees none, not even in a copy of the context that holds it."""
    with both():
        assert place(seen) == NOTHING
        assert place(lambda: copied(seen)) == NOTHING


@pytest.mark.rule(42)
def test_what_a_copy_holds_ends_with_its_block() -> None:
    """A copy of the context that is run after the block was left sees what was around the block."""
    with both("outer") as outer:
        with both("inner") as inner:
            copy = contextvars.copy_context()
            assert copy.run(seen) == (inner, "inner")
        assert copy.run(seen) == (outer, "outer")
    assert copy.run(seen) == NOTHING


@pytest.mark.rule(42)
def test_fixtures_that_are_suspended_in_their_callers_context_are_seen() -> None:
    """A generator-based context manager, as fixtures are, binds for the code that runs while it is suspended."""
    with ExitStack() as fixtures:
        session = fixtures.enter_context(both())
        assert seen() == (session, "acme")
        with both("test"):
            pass
        assert seen() == (session, "acme")
    assert seen() == NOTHING


@pytest.mark.rule(42)
def test_links_compare_by_identity() -> None:
    """Two blocks of one tenant are two bindings."""
    with TenantContext.run_with_tenant("acme"):
        with TenantContext.run_with_tenant("acme"):
            TenantContext.set_current_tenant("beta")
        assert TenantContext.get_current_tenant() == "acme"


@pytest.mark.rule(42)
def test_a_dropped_manager_ends_its_binding(ada: User) -> None:
    """A block that was entered and not kept binds nothing; its session is closed, and a warning says so."""
    with pytest.warns(BatchContextWarning, match="BatchContext was entered, and dropped"):
        session = run_with_batch_context().__enter__()
    assert current_session() is None and not session.is_open
    with run_with_batch_context() as session:
        for block in (
            lambda: TenantContext.run_with_tenant("acme"),
            lambda: session.budget(round_trips=0),
            transaction,
        ):
            with pytest.warns(BatchContextWarning, match="dropped without being left"):
                block().__enter__()
            assert seen() == (session, None)
            assert User.find(ada.user_id, bypass_cache=True).name == "Ada"
        Org.create(org_id="direct", name="x")
        assert Org.find("direct", bypass_cache=True).exists()


@pytest.mark.rule(42)
def test_instances_do_not_keep_a_session_bound(ada: User) -> None:
    """Nothing of a session refers to its context manager."""
    context: AbstractContextManager[Session] = run_with_batch_context()
    session = context.__enter__()
    user = User.find(ada.user_id)
    assert user.name == "Ada" and current_session() is session
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BatchContextWarning)
        del context
    assert current_session() is None
    assert user.name == "Ada" and User.find(ada.user_id) is not user


@pytest.mark.rule(42)
def test_sessions_are_freed_without_the_cyclic_collector() -> None:
    """Entering and leaving makes no garbage that only the collector finds."""
    blocks = 1000
    gc.collect()
    gc.disable()
    try:
        for _ in range(blocks):
            with both() as session, session.budget(round_trips=1), transaction():
                pass
        assert gc.collect() < blocks  # other threads of the process may leave some
    finally:
        gc.enable()


# --- how blocks end ----------------------------------------------------------------------------------


@pytest.mark.rule(4)
def test_out_of_order_ends_everything_inside() -> None:
    """The error comes after both are ended, and never in the place of another one."""
    outer, inner = both("outer"), both("inner")
    first, second = outer.__enter__(), inner.__enter__()
    with pytest.raises(ConcurrencyError, match="reverse order"):
        outer.__exit__(None, None, None)
    assert seen() == NOTHING and not first.is_open and not second.is_open
    inner.__exit__(None, None, None)
    one, two = run_with_batch_context(), TenantContext.run_with_tenant("acme")
    one.__enter__()
    two.__enter__()
    assert not one.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert seen() == NOTHING
    two.__exit__(None, None, None)


@pytest.mark.parametrize("place", [copied, in_a_thread, thread_in_a_copy, in_a_task, in_a_greenlet])
@pytest.mark.rule(4)
def test_left_elsewhere(place: Callable[..., Any]) -> None:
    """A block that another context, thread or task leaves ends, silently but for one warning a place."""

    def leave(*blocks: Any) -> None:
        for block in blocks:
            block.__exit__(None, None, None)

    with both("around") as around:
        blocks = [run_with_batch_context() for _ in range(3)]
        sessions = [copied(block.__enter__) for block in blocks]
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            place(leave, *blocks)
        assert [PLACE in str(each.message) for each in told] == [True]
        assert told[0].filename == __file__ and not any(session.is_open for session in sessions)
        assert seen() == (around, "around")
    assert seen() == NOTHING


@pytest.mark.rule(4)
def test_entered_here_left_elsewhere_is_gone_here_too() -> None:
    """As asynchronous fixtures are, which some plugins tear down in another task."""
    outer, block = run_with_batch_context(), TenantContext.run_with_tenant("acme")
    session = outer.__enter__()
    block.__enter__()
    with pytest.warns(BatchContextWarning, match=PLACE):
        in_a_thread(block.__exit__, None, None, None)
    assert seen() == (session, None)
    with pytest.warns(BatchContextWarning, match=PLACE):
        thread_in_a_copy(outer.__exit__, None, None, None)
    assert seen() == NOTHING


@pytest.mark.rule(4)
def test_work_left_uncommitted_is_told_elsewhere_too(ada: User) -> None:
    """And a warning that is an error never takes the place of an exception in flight."""

    def enter(block: Any) -> None:
        block.__enter__().add(Org(org_id="x", name="x"))

    block = run_with_batch_context()
    copied(enter, block)
    with pytest.warns(BatchContextWarning, match=PLACE), pytest.raises(UncommittedChangesError):
        block.__exit__(None, None, None)
    block = run_with_batch_context()
    copied(enter, block)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not block.__exit__(ZeroDivisionError, ZeroDivisionError(), None)


@pytest.mark.rule(4)
def test_a_task_of_an_inherited_context_leaves_its_own_blocks_only() -> None:
    """What a task opens on top of what it inherited is innermost for it; what it inherited stays."""

    async def task() -> Any:
        with both("task") as own:
            await asyncio.sleep(0)
            assert seen() == (own, "task")
        return seen()

    async def main() -> Any:
        with both("main") as session:
            assert await asyncio.gather(*(asyncio.create_task(task()) for _ in range(3))) == [NOTHING] * 3
            assert seen() == (session, "main")
        return seen()

    assert asyncio.run(main()) == NOTHING


# --- tenants that are set ----------------------------------------------------------------------------


@pytest.mark.rule(42)
def test_a_set_tenant_replaces_the_innermost_blocks() -> None:
    """It holds until that block is left, also beyond blocks of other kinds inside; clearing takes back the same."""
    tenant = TenantContext.get_current_tenant
    with TenantContext.run_with_tenant("a"):
        with run_with_batch_context():
            TenantContext.set_current_tenant("b")
            TenantContext.set_current_tenant("c")
            assert tenant() == "c"
        assert tenant() == "c"
        with TenantContext.run_with_tenant("d"):
            TenantContext.clear_tenant()
            assert tenant() is None
        assert tenant() == "c"
    assert tenant() is None
    TenantContext.set_current_tenant("e")
    assert tenant() == "e" and in_a_thread(tenant) is None
    assert copied(tenant) == "e"
    copied(TenantContext.set_current_tenant, "f")
    assert tenant() == "e"
    TenantContext.clear_tenant()
    assert tenant() is None


@pytest.mark.rule(42)
def test_setting_tenants_again_and_again_takes_no_memory() -> None:
    """A worker that sets one for each job holds one of them."""
    for number in range(3):
        TenantContext.set_current_tenant(f"t{number}")
    gc.collect()
    before = len(gc.get_objects())
    for number in range(2000):
        with run_with_batch_context():
            TenantContext.set_current_tenant(f"t{number}")
    gc.collect()
    assert len(gc.get_objects()) - before < 500
    TenantContext.clear_tenant()


# --- generators that move ----------------------------------------------------------------------------


@pytest.mark.parametrize("place", [copied, in_a_thread, thread_in_a_copy, in_a_task, in_a_greenlet])
@pytest.mark.rule(4)
def test_a_batched_generator_moves(ada: User, place: Callable[..., Any]) -> None:
    """Whoever resumes it owns its session until the next yield, and its blocks are those of its last step."""

    @batched
    def rows() -> Iterator[Any]:
        session = current_session()
        with TenantContext.run_with_tenant("acme"), transaction():
            Org.create(org_id="moved", name="Moved")
            yield seen()
            assert seen() == (session, "acme")
            yield seen()
        assert TenantContext.get_current_tenant() is None
        assert User.find(ada.user_id).name == "Ada"
        yield seen()

    body = rows()
    steps = [place(next, body), next(body), place(next, body)]
    session = steps[0][0]
    assert steps == [(session, "acme"), (session, "acme"), (session, None)]
    assert seen() == NOTHING
    with pytest.raises(StopIteration):
        next(body)
    assert not session.is_open
    with TenantContext.run_with_tenant("acme"):
        assert Org.find("moved").exists()


@pytest.mark.rule(4)
def test_a_batched_generator_of_a_callers_session_moves_with_it(ada: User) -> None:
    """A step in another thread has the session for itself; between steps it is the caller's."""

    @batched
    def names() -> Iterator[str]:
        while True:
            yield User.find(ada.user_id).name

    with run_with_batch_context() as session:
        body = names()
        assert next(body) == in_a_thread(next, body) == next(body) == "Ada"
        assert User.find(ada.user_id).name == "Ada" and session.stats.round_trips == 1
        with transaction(), pytest.raises(ConcurrencyError, match="transaction is open"):
            in_a_thread(next, body)


@pytest.mark.rule(4)
def test_between_its_steps_what_a_generator_gave_can_be_looked_at(ada: User) -> None:
    """Its instances belong to whoever resumed it last."""

    @batched
    def users() -> Iterator[User]:
        for _ in range(2):
            yield User.find(ada.user_id)

    for user in users():
        assert user.name == "Ada" and user.org is not None and user.org.name == "Acme"
    body = users()
    user = in_a_thread(next, body)
    with pytest.raises(ConcurrencyError):
        user.exists()
    assert next(body) is user and user.exists()


# --- notebooks ---------------------------------------------------------------------------------------


@pytest.mark.rule(42)
@pytest.mark.parametrize("shell", [None, SimpleNamespace(kernel=None)], ids=["a library", "a terminal"])
def test_ipython_without_a_notebook_changes_nothing(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, shell: object
) -> None:
    """Where another library has imported it, or on a terminal, a block ends where it is left, and tasks are apart."""
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    async def beside_a_block() -> Any:
        is_open = asyncio.Event()

        async def hold() -> None:
            with run_with_batch_context():
                is_open.set()
                await asyncio.sleep(0)

        async def look() -> Any:
            await is_open.wait()
            return seen()

        return (await asyncio.gather(hold(), look()))[1]

    assert asyncio.run(beside_a_block()) == NOTHING
    with run_with_batch_context() as session:
        assert seen() == (session, None)
    assert seen() == NOTHING


def test_in_a_notebook_cells_share_what_one_of_them_opened(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cell is a task of its own; tasks that run at the same time still see nothing of each other."""
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    context, tenant = run_with_batch_context(), TenantContext.run_with_tenant("acme")

    async def cell(work: Callable[[], Any]) -> Any:
        return work()

    async def at_once(name: str) -> bool:
        with TenantContext.run_with_tenant(name):
            for _ in range(3):
                await asyncio.sleep(0)
                if TenantContext.get_current_tenant() != name:
                    return False
        return True

    loop = asyncio.new_event_loop()
    try:
        run = loop.run_until_complete
        session = run(cell(context.__enter__))
        run(cell(tenant.__enter__))
        assert run(cell(seen)) == (session, "acme")
        run(cell(lambda: TenantContext.set_current_tenant("beta")))
        assert run(cell(seen)) == (session, "beta")
        run(cell(lambda: tenant.__exit__(None, None, None)))
        assert run(cell(seen)) == (session, None)
        run(cell(lambda: Org.create(org_id="cell", name="Cell")))
        run(cell(lambda: context.__exit__(None, None, None)))
        assert run(cell(seen)) == NOTHING and not session.is_open

        async def many() -> list[bool]:
            return list(await asyncio.gather(*(at_once(f"t{number}") for number in range(5))))

        assert run(many()) == [True] * 5
    finally:
        loop.close()
    assert threading.current_thread() is threading.main_thread() and seen() == NOTHING
