"""Rule 47: a request session is used by all code of its request, one operation at a time."""

from __future__ import annotations

import asyncio
import contextvars
import os
import random
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio.to_thread
import pytest

from dynamo_bao import (
    BatchContextRequiredError,
    ConcurrencyError,
    Manager,
    Model,
    PrimaryKey,
    RequireContext,
    Session,
    StringField,
    TenantContext,
    batched,
    current_session,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.asgi import BatchContextMiddleware
from dynamo_bao.session import operation_lock
from dynamo_bao.session.operation_lock import Operation, OperationLock
from dynamo_bao.session.request_session import RequestSession
from tests.support.asgi_server import scope_of, serve, served
from tests.support.interrupts import Instructions, signals_raise
from tests.support.models import Org, Post, User
from tests.support.patience import PATIENCE
from tests.support.wire import Wire

pytestmark = pytest.mark.rule(47)

MODELS = [Org, User, Post]
USES = int(os.environ.get("BAO_USES", "40"))
"""How many random uses each thread makes; 2,000 in a long run."""


def in_request(work: Callable[[], Awaitable[Any]], **options: Any) -> Any:
    """What `work` returns or raises inside one request; `options` are those of the middleware."""
    results: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        results.append(await work())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    answer = serve(BatchContextMiddleware(app, **options))
    if answer.error is not None:
        raise answer.error
    return results[0]


async def outcome(work: Callable[[], Any]) -> Any:
    """What `work` returns in a worker thread, or the exception it raises there."""
    try:
        return await asyncio.to_thread(work)
    except Exception as error:
        return error


class Held:
    """A write that stays in the middle of its operation, in its ``before_save`` hook, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.end = threading.Event(), threading.Event()
        monkeypatch.setattr(Org, "before_save", self._hook, raising=False)

    def _hook(self, *_: Any) -> None:
        self.begun.set()
        assert self.end.wait(PATIENCE)

    def task(self) -> asyncio.Task[Any]:
        """Starts the write in a worker thread."""
        return asyncio.create_task(outcome(lambda: Org.create(org_id="held", name="Held").name))

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, PATIENCE)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


class SlowReplies:
    """Requests of some operations whose replies come when they are let go.

    Attributes:
        sent: the operations so far.
        sending: set as soon as one is sent.
        reply: lets the replies come.
    """

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.sending, self.reply = threading.Event(), threading.Event()

    def __call__(self, request: Any, event_name: str, **_: object) -> None:
        self.sent.append(event_name.rpartition(".")[2])
        self.sending.set()
        assert self.reply.wait(PATIENCE)

    async def until_sending(self) -> None:
        assert await asyncio.to_thread(self.sending.wait, PATIENCE)

    async def until_waiting(self, other: asyncio.Task[Any]) -> None:
        """Waits until another thread waits for the session; or, if the lock has a fault, does something else."""
        session, number = current_session(), len(self.sent)
        assert isinstance(session, RequestSession)
        while not (session._lock._waiting or other.done() or len(self.sent) > number):
            await asyncio.sleep(0)


@pytest.fixture
def slow(manager: Manager) -> Iterator[SlowReplies]:
    """Reads whose replies come when the test lets them."""
    slow, events = SlowReplies(), manager.client.meta.events
    names = ["before-send.dynamodb.BatchGetItem", "before-send.dynamodb.Query"]
    for name in names:
        events.register_first(name, slow)
    yield slow
    slow.reply.set()
    for name in names:
        events.unregister(name, slow)


# --- who sees it -----------------------------------------------------------------------------------------


def test_code_in_the_requests_context_or_a_copy_of_it_sees_it(manager: Manager) -> None:
    """Threads of asyncio and anyio, tasks, and copied contexts; with the tenant of the request."""

    def look() -> tuple[Session | None, str | None]:
        return current_session(), TenantContext.get_current_tenant()

    async def alook() -> tuple[Session | None, str | None]:
        return look()

    async def work() -> Any:
        copy = contextvars.copy_context()
        return [
            look(),
            await asyncio.to_thread(look),
            await anyio.to_thread.run_sync(look),
            await asyncio.create_task(alook()),
            copy.run(look),
            await asyncio.to_thread(copy.run, look),
        ]

    looks = in_request(work, tenant=lambda scope: "acme")
    assert len(set(looks)) == 1
    session, tenant = looks[0]
    assert isinstance(session, RequestSession) and tenant == "acme"


def test_other_threads_see_nothing_until_they_activate_it(manager: Manager) -> None:
    """A plain thread and ``run_in_executor``: `activate` gives them session and tenant, and takes them from nobody."""

    def look(session: Session) -> tuple[Session | None, str | None, bool, str | None]:
        before, tenant = current_session(), TenantContext.get_current_tenant()
        with session.activate():
            return before, tenant, current_session() is session, TenantContext.get_current_tenant()

    async def work() -> Any:
        session = current_session()
        assert session is not None
        loop = asyncio.get_running_loop()
        in_executor = await loop.run_in_executor(None, look, session)
        with ThreadPoolExecutor(1) as pool, session.activate():
            return [in_executor, pool.submit(look, session).result()]

    assert in_request(work, tenant=lambda scope: "acme") == [(None, None, True, "acme")] * 2


def test_all_threads_get_one_object_for_a_key(manager: Manager) -> None:
    """20 threads find and read the same items: each key is one object, and all are loaded."""
    for number in range(10):
        Org.create(org_id=f"{number}", name=f"Org {number}")

    async def work() -> Any:
        def read() -> list[tuple[int, str]]:
            orgs = [Org.find(f"{number}") for number in range(10)]
            return [(id(org), org.name) for org in orgs]

        reads = await asyncio.gather(*(asyncio.to_thread(read) for _ in range(20)))
        session = current_session()
        assert session is not None
        return reads, session.stats.keys_fetched

    reads, keys = in_request(work)
    assert len({tuple(read) for read in reads}) == 1 and keys == 10


def test_threads_that_share_a_query_get_each_row_once(manager: Manager) -> None:
    """Iterated by ten threads at once, page by page: every thread gets all rows in order."""
    user = User.create(name="Ada")
    for number in range(12):
        Post.create(user_id=user.user_id, title=f"{number}")

    async def work() -> Any:
        posts = Post.posts_for_user.query(user.user_id, page_size=3)
        return await asyncio.gather(
            *(asyncio.to_thread(lambda: [post.title for post in posts]) for _ in range(10))
        )

    titles = in_request(work)
    assert len(titles[0]) == 12 and len({tuple(one) for one in titles}) == 1


def test_blocks_inside_a_request_belong_to_their_thread(manager: Manager) -> None:
    """A batch context or a tenant that one thread opens is not seen by the others."""

    async def work() -> Any:
        with run_with_batch_context() as inner, TenantContext.run_with_tenant("inner"):
            assert current_session() is inner
            return await asyncio.to_thread(
                lambda: (isinstance(current_session(), RequestSession), TenantContext.get_current_tenant())
            )

    assert in_request(work) == (True, None)


def test_a_tenant_that_a_thread_sets_stays_in_it(manager: Manager) -> None:
    """`set_current_tenant` in a worker thread is lost at its end; in the request's task it holds for the task."""

    async def work() -> Any:
        await asyncio.to_thread(TenantContext.set_current_tenant, "thread")
        before = TenantContext.get_current_tenant()
        TenantContext.set_current_tenant("task")
        thread = await asyncio.to_thread(TenantContext.get_current_tenant)
        session = current_session()
        assert session is not None
        return before, TenantContext.get_current_tenant(), thread, session.tenant

    assert in_request(work) == (None, "task", None, None)
    assert TenantContext.get_current_tenant() is None


# --- one operation at a time -----------------------------------------------------------------------------


def save_in_a_nested_context(org: Org, user: User) -> None:
    """The instance still belongs to the request."""
    with run_with_batch_context():
        user.save(condition={"name": "Ada"})


OPERATIONS: dict[str, Callable[[Org, User], object]] = {
    "find": lambda org, user: Org.find("2"),
    "read": lambda org, user: org.name,
    "exists": lambda org, user: org.exists(),
    "batch_find": lambda org, user: Org.batch_find(["2"]),
    "refresh": lambda org, user: user.refresh(),
    "save": lambda org, user: user.save(condition={"name": "Ada"}),
    "save in a nested context": save_in_a_nested_context,
    "update": lambda org, user: User.update(user.user_id, {"name": "B"}),
    "delete": lambda org, user: user.delete(),
    "query": lambda org, user: Post.posts_for_user.query(user),
    "relation": lambda org, user: user.org,
    "load_related_data": lambda org, user: user.load_related_data(),
    "iterate": lambda org, user: list(Post.iterate_all()),
    "by unique value": lambda org, user: User.unique_email.find("a@x"),
    "flush": lambda org, user: current_session().flush(),  # type: ignore[union-attr]
    "add": lambda org, user: current_session().add(Org(org_id="3", name="-")),  # type: ignore[union-attr]
    "delete in a commit": lambda org, user: current_session().delete(user),  # type: ignore[union-attr]
    "commit": lambda org, user: current_session().commit(),  # type: ignore[union-attr]
    "rollback": lambda org, user: current_session().rollback(),  # type: ignore[union-attr]
    "expunge": lambda org, user: current_session().expunge(org),  # type: ignore[union-attr]
    "clear": lambda org, user: current_session().clear(),  # type: ignore[union-attr]
    "transaction": lambda org, user: transaction().__enter__(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_waits_for_that_of_another_thread_until_the_deadline(
    manager: Manager, held: Held, name: str
) -> None:
    """Then it raises ConcurrencyError; on an event loop at once. Loaded fields are read without waiting."""
    operation = OPERATIONS[name]
    held.end.set()
    Org.create(org_id="1", name="One")
    stored = User.create(name="Ada", email="a@x", org_id="1")
    held.end.clear()
    held.begun.clear()

    async def work() -> Any:
        user = await asyncio.to_thread(User.find_or_raise, stored.user_id)
        org = Org.find("1")
        writing = held.task()
        await held.until_begun()
        assert user.name == "Ada" and await asyncio.to_thread(lambda: user.name) == "Ada"
        try:
            with pytest.raises(ConcurrencyError, match="an event loop cannot wait"):
                operation(org, user)
            in_thread = await outcome(lambda: operation(org, user))
        finally:
            held.end.set()
        return in_thread, await writing

    in_thread, written = in_request(work, deadline=0.01)
    assert isinstance(in_thread, ConcurrencyError) and "more than 0.01 s" in str(in_thread)
    assert written == "Held"


def test_an_operation_that_waited_goes_on_as_if_it_had_come_later(
    manager: Manager, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads that begin during another thread's write see what it wrote. The end of the write wakes them."""
    monkeypatch.setattr(operation_lock, "CHECK_SECONDS", PATIENCE)

    async def work() -> Any:
        writing = held.task()
        await held.until_begun()
        begun = threading.Barrier(4)

        def read() -> str:
            begun.wait(PATIENCE)
            return Org.find("held").name

        reads = [asyncio.create_task(outcome(read)) for _ in range(3)]
        await asyncio.to_thread(begun.wait, PATIENCE)
        held.end.set()
        await writing
        session = current_session()
        assert session is not None
        return await asyncio.gather(*reads), session.stats.keys_fetched

    assert in_request(work, deadline=PATIENCE) == (["Held"] * 3, 0)


def test_what_one_thread_loads_another_does_not_ask_for(manager: Manager, slow: SlowReplies) -> None:
    """A thread that looks at an instance or a page which is on its way waits for it, and sends nothing."""
    user = User.create(name="Ada")
    for number in range(3):
        Post.create(user_id=user.user_id, title=f"{number}")

    async def twice(look: Callable[[], Any]) -> list[Any]:
        slow.sending.clear()
        slow.reply.clear()
        first = asyncio.create_task(outcome(look))
        await slow.until_sending()
        second = asyncio.create_task(outcome(look))
        await slow.until_waiting(second)
        slow.reply.set()
        return [await first, await second]

    async def work() -> Any:
        found = User.find(user.user_id)
        posts = Post.posts_for_user.query(user.user_id, page_size=2)
        return [
            await twice(lambda: found.name),
            await twice(lambda: posts[0].title),
            await twice(lambda: [post.title for post in posts]),
        ]

    names, first_titles, titles = in_request(work, deadline=PATIENCE)
    assert names == ["Ada"] * 2 and len(set(first_titles)) == 1 and sorted(titles[0]) == ["0", "1", "2"]
    assert titles[0] == titles[1] and slow.sent == ["BatchGetItem", "Query", "Query"]


def test_a_write_beside_an_operation_drops_cached_queries_at_its_end(manager: Manager, held: Held) -> None:
    """A nested context of another thread writes, while an operation may be reading the cached queries."""

    async def work() -> Any:
        posts = Post.posts_for_user.query("ada")
        before = await asyncio.to_thread(lambda: len(posts))
        session = current_session()
        assert session is not None
        writing = held.task()
        await held.until_begun()

        def write() -> None:
            with run_with_batch_context():
                Post.create(user_id="ada", title="-")

        try:
            await asyncio.to_thread(write)
            cached = len(session._partitions)
        finally:
            held.end.set()
        await writing
        after = await asyncio.to_thread(lambda: len(Post.posts_for_user.query("ada")))
        return before, cached, after

    assert in_request(work, deadline=PATIENCE) == (0, 1, 1)


def test_a_change_is_sent_once_by_threads_that_save_it_together(manager: Manager, wire: Wire) -> None:
    """Ten threads save one instance with one addition to its counter: it is added once."""
    post = Post.create(title="-")

    async def work() -> Any:
        shared = await asyncio.to_thread(Post.find_or_raise, post.post_id)
        shared.views += 1
        wire.clear()
        await asyncio.gather(*(asyncio.to_thread(shared.save) for _ in range(10)))
        return wire.operations

    assert in_request(work) == ["UpdateItem"]
    assert Post.find(post.post_id).views == 1


def test_a_field_is_read_while_another_thread_loads_the_instance_again(manager: Manager) -> None:
    """A reader gets the old value or the new one, and never an AttributeError."""
    Org.create(org_id="1", name="One")

    async def work() -> Any:
        org = await asyncio.to_thread(Org.find_or_raise, "1")
        stop = threading.Event()

        def read() -> set[str]:
            names = {org.name}
            while not stop.is_set():
                names.add(org.name)
            return names

        readers = [asyncio.create_task(asyncio.to_thread(read)) for _ in range(2)]
        for _ in range(30):
            await asyncio.to_thread(org.refresh)
        stop.set()
        return await asyncio.gather(*readers)

    assert in_request(work, deadline=PATIENCE) == [{"One"}] * 2


def test_an_instance_never_looks_loaded_without_its_values(manager: Manager) -> None:
    """At no instruction of a refresh has it the class of loaded instances, and not its values: readers need no lock."""
    Org.create(org_id="1", name="One")
    org = Org.find_or_raise("1")
    looks: list[bool] = []

    def look(frame: Any, event: str, _: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        looks.append(type(org) is not Org or "name" in org.__dict__)
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        org.refresh()
    finally:
        sys.settrace(before)
    assert all(looks) and len(looks) > 300


class Uses:
    """Random uses of a request session by several threads, and what was wrong about any of them."""

    def __init__(self, users: list[User], posts: list[Post]) -> None:
        self.users = [user.user_id for user in users]
        self.authors = {post.post_id: post.user_id for post in posts}
        self.number = 0
        self.faults: list[str] = []

    def run(self, seed: int) -> None:
        """Makes `USES` of them in one thread."""
        chance = random.Random(seed)
        uses = [self.read, self.follow, self.query, self.iterate, self.save, self.count, self.refresh]
        uses += [self.write_beside, self.create_and_delete]
        for _ in range(USES):
            use = chance.choice(uses)
            try:
                if not use(chance.choice(self.users), chance.choice(list(self.authors))):
                    self.faults.append(use.__name__)
            except Exception as error:
                self.faults.append(f"{use.__name__}: {error!r}")
            self.number += 1

    def read(self, user_id: str, post_id: str) -> bool:
        return User.find(user_id).user_id == user_id and User.find(user_id).name.startswith("user")

    def follow(self, user_id: str, post_id: str) -> bool:
        return bool(Post.find(post_id).user.user_id == self.authors[post_id])

    def query(self, user_id: str, post_id: str) -> bool:
        posts = Post.posts_for_user.query(user_id, page_size=2)
        return [post.user_id for post in posts] == [user_id] * 4

    def iterate(self, user_id: str, post_id: str) -> bool:
        found = {post.post_id for batch in Post.iterate_all(batch_size=5) for post in batch}
        return found == self.authors.keys()

    def save(self, user_id: str, post_id: str) -> bool:
        post = Post.find(post_id)
        post.title = f"{random.random()}"
        return post.save() is post

    def count(self, user_id: str, post_id: str) -> bool:
        return Post.increment(post_id, views=1).views > 0

    def refresh(self, user_id: str, post_id: str) -> bool:
        post = Post.find(post_id)
        return post.refresh() is post

    def write_beside(self, user_id: str, post_id: str) -> bool:
        with run_with_batch_context():
            return User.update(user_id, {"name": f"user {random.random()}"}).user_id == user_id

    def create_and_delete(self, user_id: str, post_id: str) -> bool:
        return not Org.create(org_id=f"{random.random()}", name="-").delete()


@pytest.mark.parametrize("max_cached", [None, 5])
def test_threads_use_one_session_at_random(manager: Manager, max_cached: int | None) -> None:
    """Reads, writes, queries and iterations of four threads, between any two instructions: nothing is ever wrong."""
    users = [User.create(name=f"user {number}") for number in range(5)]
    posts = [Post.create(user_id=user.user_id, title="-") for user in users for _ in range(4)]
    uses, interval = Uses(users, posts), sys.getswitchinterval()

    async def work() -> None:
        await asyncio.gather(*(asyncio.to_thread(uses.run, seed) for seed in range(4)))

    sys.setswitchinterval(1e-5)
    try:
        in_request(work, deadline=PATIENCE, max_cached=max_cached)
    finally:
        sys.setswitchinterval(interval)
    assert uses.faults == [] and uses.number == 4 * USES
    print(f"\nrule 47: {uses.number:,} random uses of one session by four threads, {len(uses.faults)} wrong")


def test_the_lock_is_free_after_an_exception_at_any_instruction() -> None:
    """Wherever a signal's handler raises in an operation or in its lock, the next operation runs."""

    def operate() -> None:
        with Operation(lock), Operation(lock):
            pass

    steps = Instructions("session/operation_lock")
    lock = OperationLock(lambda: 0.0)
    steps.run(operate)
    number = steps.counted
    error = InterruptedError()
    with signals_raise(error):
        for instruction in range(number):
            lock = OperationLock(lambda: 0.0)
            with pytest.raises(InterruptedError):
                steps.run(operate, instruction)
            error.__traceback__ = None  # it has the frames of the operation
            with ThreadPoolExecutor(1) as pool:
                pool.submit(operate).result()
    assert number > 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_of_the_process_cannot_use_it(manager: Manager) -> None:
    """The child gets ConcurrencyError, whatever runs in the parent."""

    async def work() -> Any:
        child = os.fork()
        if child == 0:
            try:
                Org.find("1")
            except ConcurrencyError:
                os._exit(17)
            os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert in_request(work) == 17


# --- transactions ----------------------------------------------------------------------------------------


def test_a_write_that_does_not_see_the_open_transaction_is_refused(manager: Manager) -> None:
    """Its thread writes inside it; others get ConcurrencyError until it is over, for every way of writing."""
    Org.create(org_id="1", name="One")

    async def work() -> Any:
        session = current_session()
        assert session is not None
        org = await asyncio.to_thread(Org.find_or_raise, "1")
        session.add(Org(org_id="added", name="-"))
        writes: list[Callable[[], object]] = [
            lambda: Org.create(org_id="2", name="Two"),
            lambda: Org.update("1", {"name": "other"}),
            lambda: Org.delete("1"),
            org.delete,
            session.commit,
            lambda: transaction().__enter__(),
        ]
        with transaction():
            Org.create(org_id="3", name="Three")
            refusals = [await outcome(write) for write in writes]
            reads = await outcome(lambda: Org.find("1").name)
        session.rollback()
        await asyncio.to_thread(Org.create, org_id="2", name="Two")
        return refusals, reads

    refusals, reads = in_request(work, deadline=PATIENCE)
    assert [type(refusal) for refusal in refusals] == [ConcurrencyError] * 6
    assert all("does not run inside it" in str(refusal) for refusal in refusals) and reads == "One"
    assert [Org.find(key).exists() for key in ("1", "2", "3", "added")] == [True, True, True, False]


# --- the end ---------------------------------------------------------------------------------------------


def test_closing_never_waits(manager: Manager, slow: SlowReplies) -> None:
    """A round under way ends; its replies are dropped, and the thread learns that the context was left."""
    Org.create(org_id="1", name="One")
    sessions: list[Session] = []

    def late() -> list[Any]:
        org = Org.find("1")
        outcomes: list[Any] = []
        for use in (
            lambda: org.name,
            lambda: Org.find("1"),
            lambda: Org.create(org_id="2", name="-"),
            current_session,
            batched(lambda: Org.find("1").name),
        ):
            try:
                outcomes.append(use())
            except Exception as error:
                outcomes.append(error)
        return outcomes

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sessions.append(current_session())  # type: ignore[arg-type]
        tasks.append(asyncio.create_task(asyncio.to_thread(late)))
        await slow.until_sending()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    tasks: list[asyncio.Task[list[Any]]] = []

    async def server() -> list[Any]:
        await served(BatchContextMiddleware(app), scope_of())
        assert sessions[0].is_closed and len(sessions[0]._instances) == 1  # the running round uses them
        slow.reply.set()
        return await tasks[0]

    look, find, create, session, own = asyncio.run(server())
    for error in (look, find, create):
        assert isinstance(error, ConcurrencyError) and "The batch context was left" in str(error)
    assert session is None and own == "One"
    assert not Org.find("2").exists()
    assert len(sessions[0]._instances) == 0


class Secret(Model, prefix="rss"):
    secret_id: str = StringField()

    primary_key = PrimaryKey("secret_id")


def test_a_pending_instance_follows_the_policy_after_the_end() -> None:
    """As after any batch context; outside of the request's own threads."""
    with init_models(models=[Secret], table_name="ended", embedded=True, policy=RequireContext()):

        async def work() -> Any:
            return Secret.find("1")

        secret = in_request(work)
        with pytest.raises(BatchContextRequiredError):
            secret.exists()
        with run_with_batch_context():
            assert not secret.exists()
