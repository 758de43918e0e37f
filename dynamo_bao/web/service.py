"""Serves the requests of an application, by the options of its integration."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from inspect import signature
from typing import Unpack

from dynamo_bao.errors import ConfigurationError, reject_unknown
from dynamo_bao.models.batch_context import request_session, session_maker
from dynamo_bao.models.registry import managers
from dynamo_bao.session.settings import SessionOptions, SessionSettings
from dynamo_bao.session.tenancy import EXEMPT, TenantBlock, tenant_of
from dynamo_bao.web.async_request import AsyncRequest, shared_tenant
from dynamo_bao.web.request_log import log_request, name_of, server_timing, summary_of
from dynamo_bao.web.request_session import Request, RequestScope
from dynamo_bao.web.tenants import AsyncTenantSource, TenantRejection, TenantRule, TenantSource, Wait
from dynamo_bao.web.trace_page import RecentTraces

REQUEST_KEY = "dynamo_bao.request"
"""Where a WSGI environment holds its `RequestScope`."""

OPTIONS = ("tenant", "tenant_required", "server_timing", "traces")
SESSION_OPTIONS = tuple(signature(SessionSettings).parameters)


class Service:
    """The common part of all integrations.

    Args:
        tenant: the source of a request's tenant; None leaves the tenant to the application.
        tenant_required: whether a request without a tenant is refused. It needs `tenant`.
        server_timing: whether responses have figures in a ``Server-Timing`` header.
        traces: the path of the development page; None for no such page.
        session: options of each request's session, as `run_with_batch_context` takes them.

    Attributes:
        is_part: whether another service sets the tenants of its requests.

    Raises:
        ConfigurationError: for an unknown option, or an invalid value.
    """

    is_part = False

    def __init__(
        self,
        *,
        tenant: TenantSource | AsyncTenantSource | None = None,
        tenant_required: bool = True,
        server_timing: bool = False,
        traces: str | None = None,
        **session: Unpack[SessionOptions],
    ) -> None:
        reject_unknown(session, (*OPTIONS, *SESSION_OPTIONS), "option")
        for name, value in {"tenant_required": tenant_required, "server_timing": server_timing}.items():
            if not isinstance(value, bool):
                raise ConfigurationError(f"{name}={value!r}; give True or False.")
        self._make_session = session_maker(session)
        self._tenants = TenantRule(tenant, tenant_required)
        self._server_timing = server_timing
        self._traces = None if traces is None else RecentTraces(traces)
        self._require_tenants()

    @property
    def needs_request(self) -> bool:
        """Whether a function of the application gives the tenant of a request."""
        return self._tenants.needs_request

    def _require_tenants(self) -> None:
        """Makes every open table require a tenant, if requests must have one.

        Code that has lost the tenant of its request, for instance in another thread, then raises an error. Otherwise it
        would read and write the keys of no tenant.
        """
        if self._tenants.source is not None and self._tenants.required:
            for manager in managers():
                manager.database.requires_tenant = True

    def begin(self, environ: Mapping[str, object]) -> RequestScope:
        """Begins a request with its own session in the current thread."""
        self._require_tenants()
        started = time.perf_counter()
        request = RequestScope(name_of(environ), self._make_session(), partial(self._ended, started))
        request.begin(names_no_tenant=self._tenants.source is None and not self.is_part)
        return request

    def begin_shared(self, environ: Mapping[str, object]) -> AsyncRequest:
        """Begins a request of an asynchronous server, with a session that all its threads and tasks use."""
        self._require_tenants()
        started = time.perf_counter()
        session = request_session(self._make_session.settings)
        request = AsyncRequest(name_of(environ), session, partial(self._ended, started))
        request.begin(names_no_tenant=self._tenants.source is None)
        return request

    def _ended(self, started: float, request: Request) -> None:
        log_request(request, started)
        if self._traces is not None:
            self._traces.add(summary_of(request, started))

    def refusal(
        self,
        request: Request,
        environ: Mapping[str, object],
        framework_request: object,
        wait: Wait | None = None,
    ) -> str | None:
        """Sets the tenant of a request. Returns the text of a response with status 400 if the tenant is invalid.

        Args:
            framework_request: the argument of the application's function that gives the tenant.
            wait: waits for the result of an asynchronous function; None if there can be none.
        """
        if self._tenants.source is None:
            return None
        tenant = request.run(self._tenant_of, request, environ, framework_request, wait)
        return _refusal_of(request, tenant)

    def _tenant_of(
        self,
        request: Request,
        environ: Mapping[str, object],
        framework_request: object,
        wait: Wait | None,
    ) -> str | TenantRejection | None:
        """The result of the tenant source, which may use models without a tenant."""
        exempt = shared_tenant(EXEMPT) if wait is not None else TenantBlock(EXEMPT)
        with exempt if request.tenant is None else nullcontext():
            return self._tenants.tenant_of(environ, framework_request, wait)

    async def refusal_async(
        self, request: AsyncRequest, environ: Mapping[str, object], framework_request: object
    ) -> str | None:
        """`refusal` for an asynchronous server. The bindings of the request are in force."""
        if self._tenants.source is None:
            return None
        return _refusal_of(request, await self.tenant_async(environ, framework_request))

    async def tenant_async(
        self, environ: Mapping[str, object], framework_request: object
    ) -> str | TenantRejection | None:
        """The result of the tenant source, which may use models without a tenant; None without a source."""
        if self._tenants.source is None:
            return None
        with shared_tenant(EXEMPT) if tenant_of() is None else nullcontext():
            return await self._tenants.tenant_of_async(environ, framework_request)

    def timing(self, request: Request) -> str | None:
        """The value of the response's ``Server-Timing`` header; None if the option is off."""
        return server_timing(request.session) if self._server_timing else None

    def page(self, environ: Mapping[str, object]) -> str | None:
        """The development page, if the request is for it; else None."""
        return None if self._traces is None else self._traces.page(environ)


def _refusal_of(request: Request, tenant: str | TenantRejection | None) -> str | None:
    """Sets the tenant of a request. Returns the text of the refusal if there is one instead."""
    if isinstance(tenant, TenantRejection):
        return tenant.text
    request.set_tenant(tenant)
    return None
