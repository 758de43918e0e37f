"""One request of an asynchronous server: its session and tenant are seen by all its threads and tasks."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

from dynamo_bao.errors import UncommittedChangesError
from dynamo_bao.models.registry import active_manager
from dynamo_bao.session.bindings import (
    BUDGET,
    MANAGER,
    SESSION,
    TENANT,
    Entry,
    Link,
    SharedEntry,
    seen_links,
    set_top_link,
    top_link,
)
from dynamo_bao.session.tenancy import EXEMPT
from dynamo_bao.web.request_session import FailedResponse, Request, failure_of, is_tenant_needed, log

P = ParamSpec("P")
R = TypeVar("R")


class AsyncRequest(Request):
    """A request session for one request. All code sees it whose context is the request's, or a copy of that.

    Such code are endpoints in worker threads, tasks, background tasks and the steps of streams.
    """

    _top: Link | None = None
    _is_bound = False
    _tenant: str | None = None

    def begin(self, *, names_no_tenant: bool = False) -> None:
        """Starts the request. Tenants, managers and budgets around the running code are seen by the whole request.

        Args:
            names_no_tenant: whether its application works without tenants.
        """
        self._entry = SharedEntry(self.session)
        outer, outer_links = top_link(), seen_links(only_blocks=True)
        try:
            set_top_link(None)
            for link in outer_links:
                if link.kind in (BUDGET, MANAGER, TENANT):
                    self._entry.bind(link.kind, link.value)
                    if link.kind == TENANT and isinstance(link.value, str):
                        self._tenant = link.value
            is_exempt = names_no_tenant and self.tenant is None and is_tenant_needed()
            if is_exempt:
                self._entry.bind(TENANT, EXEMPT)
            self._entry.bind(SESSION, self.session)
            self._top = top_link()
        finally:
            set_top_link(outer)
        ownership = self.session._ownership
        ownership.tenant, ownership.manager = self.tenant, active_manager()
        ownership.needs_no_tenant = is_exempt

    @contextmanager
    def bound(self) -> Iterator[None]:
        """A block in which the request's bindings are in force, as the last such block left them."""
        outer = top_link()
        try:
            set_top_link(self._top)
            self._is_bound = True
            yield
        finally:
            self._top, self._is_bound = top_link(), False
            set_top_link(outer)

    @contextmanager
    def until_end(self) -> Iterator[None]:
        """A block with the request's bindings, at whose end the request ends."""
        try:
            with self.bound():
                yield
        except BaseException as error:
            self.close(error)
            raise
        self.close()

    def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls a function with the session and the tenant bound, and returns its result."""
        with self.bound():
            return call(*args, **kwargs)

    def set_tenant(self, tenant: str | None) -> None:
        """Sets the tenant of the whole request. None means no tenant."""
        ownership = self.session._ownership
        self._tenant = ownership.tenant = tenant
        ownership.needs_no_tenant = tenant is None
        with nullcontext() if self._is_bound else self.bound():
            self._entry.bind(TENANT, EXEMPT if tenant is None else tenant)

    @property
    def tenant(self) -> str | None:
        """The tenant that was set for the request, or None."""
        return self._tenant

    def start_response(self, status: str) -> None:
        """Records the status of the response, which is about to be sent.

        Uncommitted work of a response that is an error is dropped, with a warning in the log.

        Raises:
            UncommittedChangesError: for uncommitted work of any other response, which must not be sent then.
        """
        self.session._work.require_committed(failure_of(status))
        self.status: str | None = status

    def close(self, error: BaseException | None = None) -> None:
        """Ends the request. Further calls do nothing.

        Args:
            error: the reason, if the request ended early.

        Raises:
            UncommittedChangesError: for uncommitted work of a request without an error, and without a response. If the
                response has begun, it is an error in the log.
        """
        try:
            super().close(error)
        except UncommittedChangesError as uncommitted:
            self._raise_or_log(uncommitted)

    def __del__(self) -> None:
        """Ends a request that was dropped: Django does not close the response to a client that has left."""
        if not self._is_over:
            self.close(FailedResponse("its response was not sent to the end"))

    def require_committed(self) -> None:
        """Checks for uncommitted work. After the response has begun, it is an error in the log.

        Raises:
            UncommittedChangesError: for uncommitted work, before the response.
        """
        try:
            super().require_committed()
        except UncommittedChangesError as uncommitted:
            self._raise_or_log(uncommitted)

    def _raise_or_log(self, uncommitted: UncommittedChangesError) -> None:
        if self.status is None:
            raise uncommitted
        log.error(
            "%s: after the response had begun: %s",
            self.name,
            uncommitted,
            extra=self.session._rounds.fields("request", request=self.name),
        )

    def _open_entries(self) -> list[Entry]:
        entries: list[Entry] = []
        link = self._top
        while link is not None and link not in self._entry.links:
            entry = link.entry() if link.is_block else None
            if entry is not None and entry is not self._entry and entry not in entries:
                entries.append(entry)
            link = link.parent
        return entries

    def _close_sessions(self) -> None:
        super()._close_sessions()
        self._entry.end()


class AsyncBody:
    """A response's asynchronous iterable whose every step runs inside its request.

    Args:
        request: its request, which ends when this is closed.
        iterable: what the application returned.
    """

    def __init__(self, request: AsyncRequest, iterable: AsyncIterable[object]) -> None:
        self._request = request
        self._iterator = aiter(iterable)
        self._is_read = False

    def __aiter__(self) -> AsyncBody:
        return self

    async def __anext__(self) -> Any:
        """The next part."""
        with self._request.bound():
            try:
                return await anext(self._iterator)
            except StopAsyncIteration:
                self._is_read = True
                raise

    def close(self) -> None:
        """Ends the request."""
        self._request.close(None if self._is_read else FailedResponse("its response was not read to the end"))


@contextmanager
def shared_tenant(tenant: object) -> Iterator[None]:
    """A block with a tenant that is also seen by the threads and tasks that the block starts.

    Args:
        tenant: the tenant; None leaves the outer one in force, unless the managers need one.
    """
    entry, outer = SharedEntry(), top_link()
    if tenant is not None or is_tenant_needed():
        entry.bind(TENANT, EXEMPT if tenant is None else tenant)
    try:
        yield
    finally:
        set_top_link(outer)
        entry.end()
