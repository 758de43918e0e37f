"""Generators that are suspended inside of sessions and tenants, on the thread pools of anyio, Starlette and asgiref.

Each request opens its session and tenant the way frameworks do it: in a generator that one worker thread starts and
another one ends, while requests of other tenants use the same threads. ``BAO_TRIES`` sets how many requests there are;
10,000 in a long run.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from dynamo_bao import (
    Manager,
    Model,
    PrimaryKey,
    Session,
    StringField,
    TenantContext,
    batched,
    current_session,
    init_models,
    run_with_batch_context,
)

TRIES = int(os.environ.get("BAO_TRIES", "400"))
AT_ONCE, THREADS, TENANTS = 40, 8, 20

pytestmark = pytest.mark.filterwarnings("ignore::dynamo_bao.errors.BatchContextWarning")


class Secret(Model, prefix="sgs"):
    secret_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("secret_id")


@pytest.fixture(autouse=True)
def manager() -> Iterator[Manager]:
    """A table in which every tenant has a secret under the same key."""
    with init_models(
        models=[Secret], table_name="suspended", embedded=True, on_event_loop="allow"
    ) as manager:
        for number in range(TENANTS):
            with TenantContext.run_with_tenant(f"t{number}"):
                Secret.create(secret_id="s", text=f"t{number}")
        yield manager


class Looks:
    """What all looks of all requests saw."""

    def __init__(self) -> None:
        self.number = 0
        self.overlapping = 0
        self.wrong: list[str] = []
        self.suspended: Counter[int] = Counter()
        self._lock = threading.Lock()

    def count(self, request: Request, place: str, is_right: bool) -> None:
        with self._lock:
            self.number += 1
            others = self.suspended.total() - self.suspended[request.number]
            self.overlapping += bool(others)
            if not is_right:
                self.wrong.append(f"{request.tenant} {place}")


class Request:
    """One request of a tenant."""

    def __init__(self, number: int, looks: Looks) -> None:
        self.number, self.tenant, self.looks = number, f"t{number % TENANTS}", looks
        self.session: Session | None = None

    def look(self, place: str, *, inside: bool = False) -> None:
        """Looks at what is bound: always the request's own where code is `inside` of it, else that or nothing."""
        session, tenant = current_session(), TenantContext.get_current_tenant()
        own = session is self.session and session is not None and tenant == self.tenant
        is_right = own or (not inside and session is None and tenant in (None, self.tenant))
        if own and inside and self.number % 7 == 0:
            is_right = Secret.find("s").text == self.tenant
        self.looks.count(self, place, is_right)

    def outside(self) -> None:
        """A look from work that has to do with no request."""
        is_right = current_session() is None and TenantContext.get_current_tenant() is None
        self.looks.count(self, "outside", is_right)

    def inside(self) -> None:
        self.look("inside", inside=True)

    def endpoint(self) -> str:
        """What the framework calls while the generator is suspended; it takes the session over."""
        self.look("in the endpoint")
        assert self.session is not None
        with self.session.activate():
            self.look("in the activated session", inside=True)
        self.look("behind the activated session")
        return self.tenant

    def opened(self) -> Iterator[Session]:
        """The generator of a dependency."""
        with TenantContext.run_with_tenant(self.tenant), run_with_batch_context() as session:
            self.session = session
            self.inside()
            with self.looks._lock:
                self.looks.suspended[self.number] += 1
            try:
                yield session
            finally:
                with self.looks._lock:
                    self.looks.suspended[self.number] -= 1
                self.look("resumed")

    @batched(isolated=True)
    def stream(self) -> Iterator[str]:
        """The body of a response, which owns its session wherever it is resumed."""
        with TenantContext.run_with_tenant(self.tenant):
            self.session = current_session()
            for _ in range(3):
                self.inside()
                yield self.tenant
                self.inside()

    def plain_stream(self) -> Iterator[str]:
        """The body of a response with blocks around its yields, which not every step is inside of."""
        for step in self.opened():
            assert step is self.session
            yield self.tenant
            self.look("in the next step of a body")
            yield self.tenant


Call = Callable[..., Awaitable[Any]]


async def by_steps(request: Request, call: Call) -> None:
    """A generator that is started, and ended, by calls of their own."""
    generator = request.opened()
    await call(next, generator)
    await asyncio.sleep(0)
    await call(request.look, "in another call")
    await call(request.endpoint)
    await asyncio.sleep(0)
    await call(lambda: contextvars.copy_context().run(request.look, "in a copied context"))
    await call(lambda: contextvars.Context().run(request.outside))
    await call(generator.close)
    await call(request.look, "after the end")


async def by_context_manager(request: Request, call: Call) -> None:
    """As FastAPI runs a dependency: entered and left in worker threads, the endpoint in another."""
    dependency = contextmanager(request.opened)()
    await call(dependency.__enter__)
    await asyncio.sleep(0)
    await asyncio.gather(call(request.look, "beside the endpoint"), call(request.endpoint))
    await call(dependency.__exit__, None, None, None)
    await call(request.look, "after the end")


async def in_anyio_threads(call: Callable[..., Any], *arguments: Any) -> Any:
    return await anyio.to_thread.run_sync(call, *arguments)


async def in_asgiref_threads(call: Callable[..., Any], *arguments: Any) -> Any:
    return await sync_to_async(call, thread_sensitive=False)(*arguments)


async def in_asgirefs_one_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    return await sync_to_async(call, thread_sensitive=True)(*arguments)


async def in_asyncio_threads(call: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(call, *arguments)


async def back_from_a_thread(call: Callable[..., Any], *arguments: Any) -> Any:
    """asgiref's way of calling asynchronous code from a worker thread, which then runs its synchronous code."""

    async def inner() -> Any:
        return await sync_to_async(call)(*arguments)

    return await sync_to_async(async_to_sync(inner), thread_sensitive=False)()


async def by_streams(request: Request) -> None:
    """Bodies of responses, each step in a worker thread."""
    async for text in iterate_in_threadpool(request.stream()):
        assert text == request.tenant
    await run_in_threadpool(request.outside)
    async for text in iterate_in_threadpool(request.plain_stream()):
        assert text == request.tenant
        await run_in_threadpool(request.look, "between two steps")


async def by_application(request: Request) -> None:
    """A Starlette application: a dependency, a plain endpoint, a stream and work in the background."""

    async def depends(_: Any) -> StreamingResponse:
        dependency = contextmanager(request.opened)()
        await run_in_threadpool(dependency.__enter__)
        await run_in_threadpool(request.endpoint)
        await run_in_threadpool(dependency.__exit__, None, None, None)
        return StreamingResponse(request.stream(), background=BackgroundTask(request.outside))

    def plain(_: Any) -> PlainTextResponse:
        request.outside()
        with closing(request.opened()) as generator:  # type: ignore[type-var]
            next(generator)
            request.inside()
        request.outside()
        return PlainTextResponse(request.tenant)

    application = Starlette(routes=[Route("/depends", depends), Route("/plain", plain)])
    for path in ("/depends", "/plain"):
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any, messages: list[Any] = messages) -> None:
            messages.append(message)

        scope = {
            "type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"",
            "asgi": {"spec_version": "2.4"},
        }  # fmt: skip
        await application(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in messages).decode()
        assert body in (request.tenant, 3 * request.tenant)


def using(
    steps: Callable[[Request, Call], Awaitable[None]], call: Call
) -> Callable[[Request], Awaitable[None]]:
    return lambda request: steps(request, call)


CALLS = {
    "anyio": in_anyio_threads,
    "Starlette": run_in_threadpool,
    "asgiref": in_asgiref_threads,
    "asgiref, thread_sensitive": in_asgirefs_one_thread,
    "asgiref, back from a thread": back_from_a_thread,
    "asyncio": in_asyncio_threads,
}
WAYS = {
    **{f"generators, {name}": using(by_steps, call) for name, call in CALLS.items()},
    **{f"context managers, {name}": using(by_context_manager, call) for name, call in CALLS.items()},
    "streams": by_streams,
    "a Starlette application": by_application,
}


async def all_requests(looks: Looks, number: int) -> None:
    """Requests of all ways, `AT_ONCE` at a time, on `THREADS` threads."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    ways = list(WAYS.values())
    running = asyncio.Semaphore(AT_ONCE)

    async def one(index: int) -> None:
        async with running:
            await ways[index % len(ways)](Request(index, looks))

    await asyncio.gather(*(one(index) for index in range(number)))
    await asyncio.gather(*(run_in_threadpool(Request(0, looks).outside) for _ in range(4 * THREADS)))


@pytest.mark.promise("S15")
def test_no_work_sees_the_session_or_tenant_of_another_request() -> None:
    """Inside of its own a request always sees it, anywhere else at most its own."""
    looks = Looks()
    asyncio.run(all_requests(looks, TRIES))
    print(
        f"\nS15: {TRIES:,} requests on anyio's, Starlette's, asgiref's and asyncio's threads, {looks.number:,} looks, "
        f"{looks.overlapping:,} of them while a generator of another request was suspended, "
        f"{len(looks.wrong)} saw another's session or tenant"
    )
    assert looks.wrong == []
    assert looks.overlapping > looks.number / 2
    assert current_session() is None
    assert TenantContext.get_current_tenant() is None
