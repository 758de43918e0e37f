"""The tenant of a web request: where it is read from, and whether it is valid."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from dynamo_bao.dynamodb.keys import checked_tenant
from dynamo_bao.errors import ConfigurationError, TenantError
from dynamo_bao.runtime.records import field, frozen

_TOKEN = re.compile(r"[A-Za-z0-9-]+\Z")
_DOMAIN = re.compile(r"([a-z0-9-]+\.)*[a-z0-9-]+\Z")
_ALPHABET = "1 to 64 characters of A-Z a-z 0-9 _ . -"


@frozen
class HeaderTenant:
    """The tenant is the value of a header; see `tenant_from_header`."""

    name: str
    _key: str = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str) or not _TOKEN.match(self.name):
            raise ConfigurationError(
                f"tenant_from_header({self.name!r}): a header's name is letters, digits and -, such as 'X-Tenant'."
            )
        object.__setattr__(self, "_key", f"HTTP_{self.name.upper().replace('-', '_')}")

    def __call__(self, environ: Mapping[str, Any]) -> str | None:
        return environ.get(self._key) or None

    def __str__(self) -> str:
        return f"the header {self.name}"


def _lowered(domain: Any) -> Any:
    return domain.lower() if isinstance(domain, str) else domain


@frozen
class HostTenant:
    """The tenant is the first label of the host's name; see `tenant_from_host`."""

    domain: str = field(converter=_lowered)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.domain, str) or not _DOMAIN.match(self.domain):
            raise ConfigurationError(
                f"tenant_from_host({self.domain!r}): give the domain below which tenants live, such as 'example.com'."
            )

    def __call__(self, environ: Mapping[str, object]) -> str | None:
        host = str(environ.get("HTTP_HOST", "")).lower().partition(":")[0].removesuffix(".")
        label, dot, domain = host.partition(".")
        return label if dot and domain == self.domain else None

    def __str__(self) -> str:
        return f"the host, as <tenant>.{self.domain}"


def tenant_from_header(name: str) -> HeaderTenant:
    """Reads the tenant of each request from a header.

    A client can send any header. Let a gateway set it, or use a function that checks the logged-in user.

    Args:
        name: the name of the header, such as ``"X-Tenant"``.

    Returns:
        A function for the option `tenant`.

    Example:
        >>> Bao(app, tenant=tenant_from_header("X-Tenant"))
    """
    return HeaderTenant(name)


def tenant_from_host(domain: str) -> HostTenant:
    """Reads the tenant of each request from the first label of the host name, in lower case.

    Args:
        domain: the rest of the host name. With ``"example.com"``, requests to ``acme.example.com`` belong to ``acme``.
            Requests to any other host have no tenant.

    Returns:
        A function for the option `tenant`.

    Example:
        >>> Bao(app, tenant=tenant_from_host("example.com"))
    """
    return HostTenant(domain)


TenantSource = Callable[[Any], "str | None"]
"""Returns the tenant id of a request, or None. Its argument is the request object of the framework."""
AsyncTenantSource = Callable[[Any], Awaitable["str | None"]]
"""The same as an ``async`` function, for asynchronous servers."""
Wait = Callable[[Awaitable[object]], object]
"""Waits for an awaitable in a worker thread, and returns its result."""


@frozen
class TenantRejection:
    """The reason for refusing a request: the sentence in a response with status 400."""

    text: str


@frozen
class TenantRule:
    """The source of the tenant of requests.

    Args:
        source: a function of the request; None leaves the tenant to the application.
        required: whether a request without one is refused.
    """

    source: TenantSource | AsyncTenantSource | None
    required: bool

    def __attrs_post_init__(self) -> None:
        if self.source is not None and not callable(self.source):
            raise ConfigurationError(
                f"tenant={self.source!r}: give tenant_from_header(…), tenant_from_host(…), or a function of "
                f"the request."
            )

    @property
    def needs_request(self) -> bool:
        """Whether the source is a function of the application, which gets the framework's request object."""
        return self.source is not None and not isinstance(self.source, (HeaderTenant, HostTenant))

    def tenant_of(
        self, environ: Mapping[str, object], request: object, wait: Wait | None = None
    ) -> str | TenantRejection | None:
        """The tenant id of a request, None without a tenant, or the reason for refusing the request.

        Args:
            environ: the request's WSGI environment.
            request: the framework's request object, for functions of the application.
            wait: waits for the result of an asynchronous function; None if there can be none.

        Raises:
            ConfigurationError: for a function that returns neither a text nor None.
        """
        tenant_name = self._name(environ, request)
        if wait is not None and isinstance(tenant_name, Awaitable):
            tenant_name = wait(tenant_name)
        return self._checked(tenant_name)

    async def tenant_of_async(
        self, environ: Mapping[str, object], request: object
    ) -> str | TenantRejection | None:
        """`tenant_of`, which also awaits the result of an ``async`` function."""
        tenant_name = self._name(environ, request)
        return self._checked(await tenant_name if isinstance(tenant_name, Awaitable) else tenant_name)

    def _name(self, environ: Mapping[str, object], request: object) -> object:
        assert self.source is not None
        return self.source(request if self.needs_request else environ)

    def _checked(self, tenant_name: object) -> str | TenantRejection | None:
        location = "" if self.needs_request else f" in {self.source}"
        if tenant_name is None:
            return TenantRejection(f"The request names no tenant{location}.") if self.required else None
        if not isinstance(tenant_name, str):
            raise ConfigurationError(
                f"tenant={self.source!r} returned {type(tenant_name).__name__}; it gives a tenant id or None."
            )
        try:
            return checked_tenant(tenant_name)
        except TenantError:
            return TenantRejection(f"The tenant that the request names{location} is not {_ALPHABET}.")
