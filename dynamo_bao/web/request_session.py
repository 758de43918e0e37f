"""One request: its session and tenant, bound while the application's code runs, and closed once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

from dynamo_bao.errors import BatchContextError
from dynamo_bao.models.registry import active_manager, managers
from dynamo_bao.session.bindings import SESSION, TENANT, Entry, Steps, set_without_end
from dynamo_bao.session.execution_context import current_execution_context
from dynamo_bao.session.session import Session
from dynamo_bao.session.tenancy import EXEMPT

log: logging.Logger = logging.getLogger("dynamo_bao.web")

P = ParamSpec("P")
R = TypeVar("R")


def is_tenant_needed() -> bool:
    """Whether an open manager refuses operations without a tenant."""
    return any(active.database.requires_tenant for active in managers())


class FailedResponse(Exception):
    """The reason for dropping the uncommitted work of a request that no exception has left."""


def failure_of(status: str | None) -> FailedResponse | None:
    """The failure of a response with a status line of 400 or more; None for other responses, and without one."""
    is_error = status is not None and status[:3] >= "400"
    return FailedResponse(f"the answer {status}") if is_error else None


class Request:
    """One request of any server.

    Args:
        name: method and path, for the log.
        session: the session of the request, not bound yet.
        ended: called once, with the request, after its session was closed.

    Attributes:
        session: the request's session.
        status: the status line of the response; None until the application has set it.
    """

    def __init__(
        self, name: str, session: Session, ended: Callable[[Any], object] = lambda request: None
    ) -> None:
        self.name = name
        self.session = session
        self.status: str | None = None
        self._ended = ended
        self._is_over = False

    @property
    def tenant(self) -> str | None:
        """The tenant that was set for the request, or None."""
        raise NotImplementedError

    def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls a function with the session and the tenant bound, and returns its result."""
        raise NotImplementedError

    def set_tenant(self, tenant: str | None) -> None:
        """Sets the tenant of the whole request, in place of the outer tenant. None means no tenant."""
        raise NotImplementedError

    def start_response(self, status: str) -> None:
        """Records the status line of the response, which is about to be sent.

        Raises:
            UncommittedChangesError: by requests of asynchronous servers for uncommitted work, before anything is sent.
        """
        self.status = status

    def require_committed(self) -> None:
        """Checks for uncommitted work while the response can still become an error.

        Raises:
            UncommittedChangesError: for uncommitted work, unless the response is an error already.
        """
        if failure_of(self.status) is None:
            self.session._work.require_committed(None)

    def close(self, error: BaseException | None = None) -> None:
        """Ends the request: closes its sessions, innermost first. Further calls do nothing.

        Args:
            error: the reason, if the request ended early.

        Raises:
            UncommittedChangesError: for uncommitted work of a request without an error.
        """
        if self._is_over:
            return
        self._is_over = True
        self._close_sessions()
        self._ended(self)
        self.session._work.require_committed(failure_of(self.status) if error is None else error)

    def _open_entries(self) -> list[Entry]:
        """The entries of blocks that the application has opened and not left, innermost first."""
        raise NotImplementedError

    def _close_sessions(self) -> None:
        for entry in self._open_entries():
            entry.end()
            if isinstance(entry.value, Session):
                log.error(
                    "%s: a batch context that was opened inside the request was never left.",
                    self.name,
                    extra=entry.value._rounds.fields("request", request=self.name),
                )
                entry.value._work.require_committed(BatchContextError("its block was never left"))
        self.session.close()


class RequestScope(Request):
    """A session for one request, which a server runs in several steps of one thread at a time.

    The application's call, each step of its response and that response's ``close()`` go through `run`, which
    binds the session, the sessions opened inside it and the tenant during the step. So a suspended response
    leaves no bindings in its thread, and a block around a ``yield`` has its bindings again at the next step,
    also in another thread.

    Attributes:
        complete: whether the response is complete, so that no code of the application runs any more.
    """

    def __init__(
        self, name: str, session: Session, ended: Callable[[Any], object] = lambda request: None
    ) -> None:
        super().__init__(name, session, ended)
        self.complete = False
        self._steps = Steps()
        self._thread_requests: list[RequestScope] = []

    # --- life ------------------------------------------------------------------------------------

    def begin(self, *, names_no_tenant: bool = False) -> None:
        """Starts the request in the current thread, and closes earlier requests of the thread that were left open.

        Args:
            names_no_tenant: whether its application works without tenants.

        A request of the thread that is running stays open: its application has called this one.
        """
        self._thread_requests = current_execution_context().requests
        for request in [active for active in self._thread_requests if not active._steps.is_running]:
            log.error(
                "%s: the server never called close() on the response; its batch context is closed now, at the "
                "thread's next request. PEP 3333 has servers close every response.",
                request.name,
                extra=request.session._rounds.fields("request", request=request.name),
            )
            request.close(FailedResponse("its response was never closed"))
        self._thread_requests.append(self)
        self._steps.capture(only_blocks=True)
        is_exempt = names_no_tenant and self.tenant is None and is_tenant_needed()
        if is_exempt:
            self._steps.bind(TENANT, EXEMPT)
        self._steps.bind(SESSION, self.session)
        self.session._ownership.assign(
            self._steps.owner, self.tenant, active_manager(), needs_no_tenant=is_exempt
        )

    def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls a function with the session and the tenant bound, and returns its result.

        Raises:
            ConcurrencyError: if the session is activated elsewhere.
        """
        if self._steps.is_running:
            return call(*args, **kwargs)
        for session in self._sessions():
            session._ownership.require_not_lent()
        return self._steps.run(call, *args, **kwargs)

    def _sessions(self) -> list[Session]:
        """The request's own session and those that were opened inside it, innermost first."""
        return [link.value for link in self._steps.links() if link.kind == SESSION]

    def set_tenant(self, tenant: str | None) -> None:
        """Sets the tenant of the whole request, in place of the thread's tenant. None means no tenant."""
        ownership = self.session._ownership
        ownership.tenant, ownership.needs_no_tenant = tenant, tenant is None
        bound = EXEMPT if tenant is None else tenant
        if self._steps.is_running:
            set_without_end(TENANT, bound)
        else:
            self._steps.bind(TENANT, bound)

    @property
    def tenant(self) -> str | None:
        """The tenant that was set for the request, or None."""
        named = [link.value for link in self._steps.links() if link.kind == TENANT]
        return named[0] if named and isinstance(named[0], str) else None

    def close(self, error: BaseException | None = None) -> None:
        """Ends the request: closes its sessions, innermost first. Further calls do nothing.

        Args:
            error: the reason, if the request ended early.

        Raises:
            UncommittedChangesError: for uncommitted work of a request without an error.
        """
        if self in self._thread_requests:
            self._thread_requests.remove(self)
        super().close(error)

    def _open_entries(self) -> list[Entry]:
        return self._steps.open_entries()


class Body:
    """A response's iterable whose every step runs inside its request.

    Args:
        request: its request, which ends when this is closed.
        iterable: what the application returned.
    """

    def __init__(self, request: Request, iterable: Iterable[object]) -> None:
        self._request = request
        self._iterable = iterable
        self._iterator: Iterator[object] | None = None
        self._is_read = False
        self._is_closed = False

    def __iter__(self) -> Body:
        return self

    def __next__(self) -> Any:
        """The next part.

        Raises:
            UncommittedChangesError: in place of the end, so that the client sees an incomplete response.
        """
        if self._iterator is None:
            self._iterator = self._request.run(iter, self._iterable)
        try:
            return self._request.run(next, self._iterator)
        except StopIteration:
            self._is_read = True
            self._request.require_committed()
            raise

    def close(self) -> None:
        """Closes the application's iterable, and then the request, also after an error."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            close = getattr(self._iterable, "close", None)
            if close is not None:
                self._request.run(close)
        finally:
            early = None if self._is_read else FailedResponse("its response was not read to the end")
            self._request.close(early)
