"""Opening, nesting and leaving batch contexts; who owns a session."""

from __future__ import annotations

import asyncio
import copy
import inspect
import io
import logging
import pickle
import pprint
import threading
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import greenlet
import pytest
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback

from dynamo_bao import (
    Capacity,
    ConcurrencyError,
    ConfigurationError,
    Manager,
    Session,
    TenantContext,
    batched,
    current_session,
    get_batch_context_capacity,
    is_inside_batch_context,
    run_with_batch_context,
)
from tests.support.models import Org, Post, User
from tests.support.patience import PATIENCE
from tests.support.wire import Wire


@pytest.fixture
def acme(embedded: Manager) -> Org:
    """A stored organisation."""
    return Org.create(org_id="acme", name="Acme")


# --- forms ------------------------------------------------------------------------------------------


def test_as_a_block() -> None:
    """The block yields the session, which is the current one inside only."""
    assert current_session() is None
    with run_with_batch_context() as session:
        assert isinstance(session, Session)
        assert current_session() is session
        assert is_inside_batch_context()
        assert User.is_inside_batch_context()
    assert current_session() is None
    assert not is_inside_batch_context()
    assert not session.is_open


def test_with_a_function() -> None:
    """run_with_batch_context(fn) calls fn in a session and returns its result."""
    assert run_with_batch_context(lambda: current_session()) is not None
    assert run_with_batch_context(lambda: 42) == 42


def test_as_a_decorator() -> None:
    """run_with_batch_context() decorates too; each call has a session of its own."""

    @run_with_batch_context()
    def work() -> Session | None:
        """Does it."""
        return current_session()

    assert work() is not work()
    assert work.__doc__ == "Does it."


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("fetch", "some"),
        ("deadline", 0),
        ("deadline", "5"),
        ("deadline", True),
        ("max_concurrency", 0),
        ("max_concurrency", "4"),
        ("max_concurrency", 2.5),
        ("max_concurrency", True),
        ("peer_limit", 0),
        ("peer_limit", 1000.0),
        ("peer_limit", True),
        ("query_limit", 0),
        ("query_limit", -1),
        ("query_limit", 100.0),
        ("max_cached", 0),
        ("max_cached", "2"),
    ],
)
def test_wrong_options_are_told_at_the_call(option: str, value: object) -> None:
    """Options that cannot be are refused, by name, before anything is opened."""
    with pytest.raises(ConfigurationError, match=f"{option}={value!r}"):
        run_with_batch_context(**{option: value})  # type: ignore[call-overload]


def test_batched_joins_the_current_session() -> None:
    """@batched runs in the current session, or opens one; isolated=True always opens one."""

    @batched
    def joined() -> Session | None:
        return current_session()

    @batched(isolated=True)
    def apart() -> Session | None:
        return current_session()

    class Service:
        @batched
        def method(self, value: int) -> tuple[int, bool]:
            return value, is_inside_batch_context()

    with run_with_batch_context() as session:
        assert joined() is session
        assert apart() is not session
    assert joined() is not None
    assert Service().method(3) == (3, True)
    assert joined.__name__ == "joined"


def test_batched_refuses_coroutines() -> None:
    """async def is refused at decoration."""

    async def coroutine() -> None: ...

    async def generator() -> Any:
        yield 1

    for refused in (coroutine, generator):
        with pytest.raises(TypeError, match="async"):
            batched(refused)
        with pytest.raises(TypeError, match="async"):
            run_with_batch_context(refused)  # type: ignore[arg-type]


def test_functions_whose_body_runs_after_their_call_are_refused() -> None:
    """It would run without the session, and for no tenant or another one."""

    async def coroutine() -> None: ...

    async def async_generator() -> Any:
        yield 1

    def generator() -> Any:
        yield TenantContext.get_current_tenant()

    for refused in (coroutine, async_generator, generator):
        with pytest.raises(TypeError, match=rf"{refused.__name__} .*with block"):
            TenantContext.run_with_tenant("acme", refused)
    with pytest.raises(TypeError, match=r"generator is a generator function.*with block"):
        run_with_batch_context(generator)


def test_batched_refuses_what_is_no_function() -> None:
    """An id, or an option by position: the decoration raises, and not the first call."""
    for refused in ("42", True, None):
        with pytest.raises(TypeError, match=f"@batched decorates functions.* not {type(refused).__name__}"):
            batched()(refused)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="@batched decorates functions"):
        batched(True)  # type: ignore[call-overload]


def test_a_batched_generator_has_its_session_only_while_its_body_runs(acme: Org) -> None:
    """Its session is bound at each resumption and unbound at each yield; sent values and errors reach it."""
    seen: list[Any] = []

    @batched
    def names() -> Generator[str, Any, str]:
        session = current_session()
        try:
            seen.append((yield Org.find("acme").name))
            assert current_session() is session
            yield "second"
        except KeyError:
            yield "caught"
        finally:
            seen.append(current_session() is session)
        return "done"

    generator = names()
    assert next(generator) == "Acme"
    assert current_session() is None
    with run_with_batch_context() as other:
        assert generator.send("sent") == "second"
        assert current_session() is other
    assert generator.throw(KeyError()) == "caught"
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "done"
    assert seen == ["sent", True]


def test_a_batched_generator_closed_early_runs_its_cleanup_in_its_session() -> None:
    """close() runs the body's finally inside the session, and ends it."""
    seen: list[Any] = []

    @batched
    def numbers() -> Any:
        session = current_session()
        try:
            yield 1
        finally:
            seen.extend((current_session() is session, session))

    generator = numbers()
    next(generator)
    generator.close()
    assert seen[0]
    assert not seen[1].is_open
    assert current_session() is None


def test_a_batched_generator_function_is_still_one() -> None:
    """What asks whether a function is a generator function (pytest of a fixture, say) is told that it is."""

    @batched
    def numbers(first: int, *, last: int = 2) -> Generator[int, None, None]:
        """Counts."""
        yield from range(first, last)

    assert inspect.isgeneratorfunction(numbers)
    assert (numbers.__name__, numbers.__doc__) == ("numbers", "Counts.")
    assert str(inspect.signature(numbers)) == str(inspect.signature(numbers.__wrapped__))  # type: ignore[attr-defined]
    assert list(numbers(0, last=3)) == [0, 1, 2]


@pytest.mark.promise("S5")
def test_nested_contexts_are_isolated(acme: Org) -> None:
    """An inner context has its own objects and figures; the outer is back, untouched, afterwards."""
    with run_with_batch_context() as outer:
        org = Org.find("acme")
        assert org.name == "Acme"
        with run_with_batch_context() as inner:
            assert current_session() is inner
            mine = Org.find("acme")
            assert mine is not org
            mine.name = "changed"
            mine.save()
            assert inner.stats.round_trips == 1
        assert current_session() is outer
        assert Org.find("acme") is org
        assert org.name == "Acme"
        assert outer.stats.round_trips == 1
        assert org.refresh().name == "changed"
    print("S5: an object found by two contexts, one inside the other: 0 changes of one shown by the other")


def test_one_context_object_opens_a_session_each_time() -> None:
    """Entered twice, nested or in turn, it opens and closes a session of its own for each."""
    context = run_with_batch_context()
    with context as outer:
        with context as inner:
            assert inner is not outer
        assert not inner.is_open
        assert outer.is_open
    with context as later:
        assert later not in (outer, inner)
    assert not later.is_open


def test_contexts_left_out_of_order_are_an_error() -> None:
    """Leaving the outer of two blocks first raises, and ends both; leaving the inner one then is no further error."""
    outer, inner = run_with_batch_context(), run_with_batch_context()
    outer.__enter__()
    session = inner.__enter__()
    with pytest.raises(ConcurrencyError, match="reverse order"):
        outer.__exit__(None, None, None)
    assert current_session() is None and not session.is_open
    inner.__exit__(None, None, None)
    assert current_session() is None


def test_an_exception_leaves_the_block_as_it_is(acme: Org) -> None:
    """The original exception comes out, and the session is closed."""
    with pytest.raises(ZeroDivisionError), run_with_batch_context() as session:
        _ = Org.find("acme") and 1 // 0
    assert not session.is_open
    assert current_session() is None


def test_capacity_of_the_current_session(acme: Org) -> None:
    """get_batch_context_capacity gives what the current session used, zeros outside."""
    assert get_batch_context_capacity() == Capacity(0.0, 0.0)
    with run_with_batch_context():
        assert get_batch_context_capacity() == Capacity(0.0, 0.0)
        assert Org.find("acme").exists()
        assert get_batch_context_capacity().read > 0
        Org.create(org_id="other", name="Other")
        assert get_batch_context_capacity().write > 0


# --- looking without loading ------------------------------------------------------------------------------


@pytest.mark.promise("S9")
def test_looking_from_outside_does_no_io(
    embedded: Manager, sent: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """repr, hash, ==, dir, vars, key fields and wrong names send nothing; nor do pprint, rich, logs and tracebacks."""
    with run_with_batch_context():
        pending = Org.find("acme")
        assert repr(pending) == "<Org org_id='acme' (pending)>"
        assert str(pending) == repr(pending) == pprint.pformat(pending) == pretty_repr(pending)
        logging.getLogger("tests").warning("%s %r", pending, [pending])
        assert caplog.records[-1].getMessage() == f"{pending} [{pending}]"
        try:
            raise KeyError(pending)
        except KeyError as error:
            shown = traceback.TracebackException.from_exception(error, capture_locals=True)
            assert repr(pending) in "".join(shown.format())
            console = Console(file=io.StringIO(), width=200)
            console.print(Traceback.from_exception(KeyError, error, error.__traceback__, show_locals=True))
        assert hash(pending) == hash(Org.find("acme"))
        assert pending == Org.find("acme")
        assert pending != Org.find("other")
        assert isinstance(pending, Org)
        assert "name" not in vars(pending)
        assert pending.org_id == pending.primary_id == "acme"
        dir(pending)
        with pytest.raises(AttributeError, match="nam"):
            _ = pending.nam  # type: ignore[attr-defined]
        assert "%s" % (pending,)  # noqa: UP031
    assert len(sent) == 0
    print("S9: 20 ways to look at a pending instance from outside, 0 requests")


def test_a_propertys_own_error_is_not_masked(embedded: Manager) -> None:
    """An AttributeError raised inside a property comes out as it is, pending or not."""
    Org.create(org_id="acme", name="Acme")

    class Place(Org, prefix="pl"):
        @property
        def broken(self) -> str:
            return self.nothing_like_that  # type: ignore[attr-defined,no-any-return]

    with embedded.__class__(embedded.database, embedded.settings, [Place]) as manager:
        place = manager.repository(Place)
        with run_with_batch_context():
            pending = place.find("acme")
            with pytest.raises(AttributeError, match="nothing_like_that"):
                _ = pending.broken


@pytest.mark.parametrize(
    "look",
    [
        lambda org: org.name,
        lambda org: org.exists(),
        bool,
        lambda org: org.to_dict(),
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
    ],
)
def test_any_other_look_loads(acme: Org, sent: Wire, look: Callable[[Org], Any]) -> None:
    """A field, exists, bool, to_dict, copy and pickle load; the class is the model's own then."""
    with run_with_batch_context():
        org = Org.find("acme")
        sent.clear()
        look(org)
        assert type(org) is Org
        assert sent.operations == ["BatchGetItem"]


def test_copies_are_detached(acme: Org) -> None:
    """A copy and an unpickled instance are equal to the original and live on their own."""
    with run_with_batch_context():
        org = Org.find("acme")
        twin, thawed = copy.copy(org), pickle.loads(pickle.dumps(org))
        assert twin == org == thawed
        assert twin is not org
        assert (twin.name, thawed.name) == ("Acme", "Acme")
        twin.name = "changed"
        assert org.name == "Acme"


def test_local_changes_survive_loading(acme: Org, sent: Wire) -> None:
    """Assigning to a pending instance loads nothing, and loading does not overwrite it."""
    with run_with_batch_context():
        user = User.find(User.create(name="Ada", age=36).user_id)
        sent.clear()
        pending = User.find(user.user_id, bypass_cache=False)
        pending.name = "Countess"
    with run_with_batch_context():
        pending = User.find(user.user_id)
        pending.name = "Countess"
        assert len(sent) == 0
        assert (pending.age, pending.name) == (36, "Countess")
        assert pending.changes() == {"name": "Countess"}


def test_refresh_drops_what_was_assigned_before_loading(acme: Org) -> None:
    """In the instance's context and after it."""
    for after in (False, True):
        with run_with_batch_context():
            org = Org.find("acme")
            org.name = "mine"
            if not after:
                assert org.refresh().name == "Acme"
        if after:
            assert org.refresh().name == "Acme"
        assert not org.has_changes()


# --- owners -------------------------------------------------------------------------------------------


def _uses(session: Session, pending: Org, loaded: Org) -> list[Callable[[], Any]]:
    return [
        lambda: pending.name,
        lambda: bool(pending),
        lambda: loaded.save(force_reindex=True),
        lambda: loaded.refresh(),
        lambda: loaded.delete(),
        lambda: session.flush(),
    ]


def _refusals(uses: list[Callable[[], Any]]) -> list[bool]:
    refused = []
    for use in uses:
        try:
            use()
        except ConcurrencyError:
            refused.append(True)
        else:
            refused.append(False)
    return refused


def _in_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def _in_greenlet(work: Callable[[], Any]) -> Any:
    return greenlet.greenlet(work).switch()


def _in_task(work: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return work()

    return asyncio.run(main())


PLACES = [_in_thread, _in_greenlet, _in_task]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.promise("S6")
def test_use_from_elsewhere_is_refused_before_any_request(
    acme: Org, sent: Wire, place: Callable[[Callable[[], Any]], Any]
) -> None:
    """Another thread, greenlet or task cannot use a session nor its instances; reading loaded fields it can."""
    with run_with_batch_context() as session:
        loaded = Org.find("acme")
        assert loaded.name == "Acme"
        pending = Org.find("other")
        sent.clear()
        assert _refusals([lambda: place(use) for use in _uses(session, pending, loaded)]) == [True] * 6  # noqa: B023
        assert place(lambda: loaded.name) == "Acme"
        assert place(current_session) is None
        assert len(sent) == 0
        assert not pending.exists()
    print(f"S6: 7 of 7 uses of a session {place.__name__[1:].replace('_', ' ')} refused, 0 requests")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.promise("S6")
def test_querying_through_an_instance_from_elsewhere_is_refused(
    acme: Org, sent: Wire, place: Callable[[Callable[[], Any]], Any]
) -> None:
    """A parent's query belongs to the parent's session, which another thread, greenlet or task cannot use."""
    with run_with_batch_context():
        user: Any = User.create(name="Ada")
        rows = user.query_posts()
        sent.clear()
        for use in (user.query_posts, lambda: list(rows), user.load_related_data):
            with pytest.raises(ConcurrencyError):
                place(use)
        assert len(sent) == 0
        assert list(rows) == []


def test_a_parents_query_runs_in_the_parents_session(acme: Org) -> None:
    """Also inside another context, as everything does that is reached through an instance."""
    with run_with_batch_context() as outer:
        user: Any = User.create(name="Ada")
        Post.create(user_id=user)
        with run_with_batch_context() as inner:
            before = outer.stats.round_trips
            (post,) = user.query_posts()
            assert (outer.stats.round_trips - before, inner.stats.round_trips) == (1, 0)
        assert Post.find(post.post_id) is post


@pytest.mark.parametrize("place", PLACES)
def test_places_do_not_inherit_sessions(acme: Org, place: Callable[[Callable[[], Any]], Any]) -> None:
    """Elsewhere one opens a session of one's own, isolated from this one."""
    with run_with_batch_context():
        org = Org.find("acme")

        def work() -> bool:
            with run_with_batch_context():
                return Org.find("acme") is not org and Org.find("acme").name == "Acme"

        assert place(work)


def test_two_tasks_of_one_thread_never_meet(acme: Org) -> None:
    """Tasks that interleave inside their contexts each see their own session and tenant only."""

    async def work(tenant: str) -> bool:
        with TenantContext.run_with_tenant(tenant), run_with_batch_context() as session:
            for _ in range(5):
                await asyncio.sleep(0)
                if current_session() is not session or TenantContext.get_current_tenant() != tenant:
                    return False
        return True

    async def main() -> list[bool]:
        return list(await asyncio.gather(*(work(f"t{number}") for number in range(10))))

    assert all(asyncio.run(main()))


def test_activate_hands_the_session_over(acme: Org, sent: Wire) -> None:
    """A worker that activates the session uses it exclusively; afterwards it is the first owner's again."""
    with run_with_batch_context() as session:
        org = Org.find("acme")

        def work() -> str:
            with session.activate() as mine:
                assert mine is session
                return org.name

        assert _in_thread(work) == "Acme"
        assert Org.find("acme") is org
        assert session.stats.round_trips == 1
        entered, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with session.activate():
                entered.set()
                leave.wait(PATIENCE)

        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(hold)
            assert entered.wait(PATIENCE)
            with pytest.raises(ConcurrencyError):
                Org.find("acme")
            with pytest.raises(ConcurrencyError), session.activate():
                pass
            leave.set()
            held.result()
        assert Org.find("acme") is org


def test_after_the_context_instances_stay_usable(acme: Org, sent: Wire) -> None:
    """Loaded instances can be read, saved and related to after their context; in a new one they are detached."""
    with run_with_batch_context():
        user = User.create(name="Ada", org_id="acme")
        post = Post.create(user_id=user.user_id)
    assert post.user == user
    user.name = "Countess"
    user.save()
    assert User.find(user.user_id).name == "Countess"
    with run_with_batch_context():
        mine = User.find(user.user_id)
        assert mine is not user
        assert mine.name == "Countess"
        user.name = "Ada again"
        user.save()
        assert mine.name == "Ada again"


def test_closing_is_idempotent_and_use_after_it_is_an_error(acme: Org) -> None:
    """A closed session raises on use, however it was closed."""
    with run_with_batch_context() as session:
        pass
    session.close()
    with pytest.raises(ConcurrencyError, match="left"):
        session.flush()
    assert "closed" in repr(session)


def test_limits_of_a_session_without_options() -> None:
    """A thousand keys of peers, and a hundred queries, in one round."""
    with run_with_batch_context() as session:
        settings = session.settings
        assert (settings.peer_limit, settings.query_limit, settings.fetch) == (1000, 100, "peers")
        assert (settings.deadline, settings.max_throttled_calls) == (None, None)
