"""The tenant that the running code works for.

The tenant is part of every key. It belongs to the thread, greenlet or asyncio task that set it, and never to a class
or a manager.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, overload

from dynamo_bao.dynamodb.keys import checked_tenant
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.errors import TenantRequiredError
from dynamo_bao.session.bindings import (
    SESSION,
    TENANT,
    Block,
    bound_values,
    chain,
    clear_without_end,
    innermost,
    require_whole_call,
    set_without_end,
    top_link,
)
from dynamo_bao.session.execution_context import ExecutionContext, current_execution_context

R = TypeVar("R")
resolvers: list[Callable[[], str | None]] = []

CLEARED = object()
"""The binding after `clear_tenant`. Resolvers decide, as if no tenant had ever been set."""
EXEMPT = object()
"""The binding of code that needs no tenant: while the tenant of a web request is determined, and in the requests of an
application without tenants. Resolvers decide, as if no tenant had ever been set."""


class TenantContext:
    """The current tenant. It is set for a block or for a thread, or resolvers return it.

    Example:
        >>> with TenantContext.run_with_tenant("acme"):
        ...     User.create(name="Ada")
    """

    @overload
    @staticmethod
    def run_with_tenant(tenant: str) -> AbstractContextManager[str]: ...

    @overload
    @staticmethod
    def run_with_tenant(tenant: str, fn: Callable[[], R]) -> R: ...

    @staticmethod
    def run_with_tenant(tenant: str, fn: Callable[[], Any] | None = None) -> Any:
        """A block, or one call of `fn`, that works for `tenant`.

        Blocks can be nested. The earlier tenant is current again after the block, also after an exception.

        Args:
            tenant: 1 to 64 characters of ``A-Z a-z 0-9 _ . -``.
            fn: a function to call for the tenant.

        Returns:
            A context manager that yields the tenant; with `fn`, the result of `fn`.

        Raises:
            TenantError: if `tenant` is not a valid name.
            TypeError: if `fn` is an async or a generator function. Its body would run later, for another tenant.

        Example:
            >>> with TenantContext.run_with_tenant("acme"):
            ...     User.find("42")
        """
        checked_tenant(tenant)
        if fn is None:
            return TenantBlock(tenant)
        require_whole_call(fn, "run_with_tenant(tenant, fn)")
        with TenantBlock(tenant):
            return fn()

    with_tenant = run_with_tenant

    @staticmethod
    def set_current_tenant(tenant: str) -> None:
        """Sets the tenant for the code that follows, instead of the tenant of the innermost block.

        The tenant stays until that block ends. Outside any block, it stays until it is set or cleared again. If
        the current session is then activated in another thread, it works for this tenant there too.

        Args:
            tenant: 1 to 64 characters of ``A-Z a-z 0-9 _ . -``.

        Raises:
            TenantError: if `tenant` is not a valid name.

        Example:
            >>> TenantContext.set_current_tenant("acme")
        """
        set_without_end(TENANT, checked_tenant(tenant))
        _set_session_tenant(tenant)

    @staticmethod
    def get_current_tenant() -> str | None:
        """The tenant of the running code: the one set last, else the first that a resolver returns, else None.

        Returns:
            The tenant's id, or None.

        Example:
            >>> with TenantContext.run_with_tenant("acme"):
            ...     assert TenantContext.get_current_tenant() == "acme"
        """
        return current_tenant()

    @staticmethod
    def clear_tenant() -> None:
        """Clears the tenant of the innermost block, or of this thread. Then resolvers decide.

        Example:
            >>> TenantContext.clear_tenant()
        """
        clear_without_end(TENANT, CLEARED)
        _set_session_tenant(None)

    @staticmethod
    def add_resolver(resolver: Callable[[], str | None]) -> None:
        """Adds a function that returns the tenant if none is set.

        Args:
            resolver: a function without arguments. It returns a tenant, or None to leave it to the next resolver.

        Raises:
            TypeError: if `resolver` is not a function.

        Example:
            >>> TenantContext.add_resolver(lambda: flask.g.get("tenant"))
        """
        if not callable(resolver):
            raise TypeError(f"Resolver must be a function, not {type(resolver).__name__}.")
        resolvers.append(resolver)

    @staticmethod
    def clear_resolvers() -> None:
        """Removes all resolvers.

        Example:
            >>> TenantContext.clear_resolvers()
        """
        resolvers.clear()


def _set_session_tenant(tenant: str | None) -> None:
    session = innermost(SESSION)
    if session is not None and session.owner is not None:  # other code of a request has its own tenant
        session.value._ownership.tenant = tenant


class TenantBlock(Block[str | None]):
    """A block that works for a tenant. None means no tenant, and `EXEMPT` that none is needed."""

    __slots__ = ()

    def _begin(self) -> str | None:
        self.bind(TENANT, self._subject)
        tenant: str | None = self._subject
        return tenant


def tenant_block(tenant: str | None) -> AbstractContextManager[str | None]:
    """A block with a tenant that was captured earlier. It may be None."""
    return TenantBlock(tenant)


def current_tenant() -> str | None:
    """The tenant of the running code, or None."""
    if not resolvers and "IPython" not in sys.modules:  # the usual case: there is no other source
        top = chain.get()
        if top is None or (top.kind is not TENANT and top.tenant is None):
            return None
    return tenant_of()


def tenant_of(owner: ExecutionContext | None = None) -> str | None:
    """The tenant that is bound in the running code, else the first that a resolver returns, else None.

    Args:
        owner: the owner of the running code, if the caller has it.
    """
    link = innermost(TENANT, owner)
    if link is not None and link.value is not CLEARED and link.value is not EXEMPT:
        bound_tenant: str | None = link.value
        return bound_tenant
    for resolver in resolvers:
        tenant = resolver()
        if tenant is not None:
            return checked_tenant(tenant)
    return None


def tenant_if_known() -> str | None:
    """The tenant of the running code. None also if a resolver does not work here."""
    try:
        return tenant_of()
    except (AttributeError, LookupError, RuntimeError):  # as web frameworks raise outside a request
        return None


def tenant_for(database: Database, operation: str, owner: ExecutionContext | None = None) -> str | None:
    """The tenant that an operation of the running code works for.

    Args:
        database: the table of the operation.
        operation: the name of the operation, for the error.
        owner: the owner of the running code, if the caller has it.

    Raises:
        TenantRequiredError: if the operation needs a tenant, and none is set.
    """
    tenant = tenant_of(owner)
    if tenant is not None:
        return tenant
    lost = lost_tenant(owner)
    if lost is not None:
        raise TenantRequiredError(
            f"This code was started by a request of tenant {lost!r}, and outlives it (tried: {operation}). "
            f"Give it a tenant of its own with TenantContext.run_with_tenant({lost!r}). If it works for no tenant, "
            f"call TenantContext.clear_tenant() first."
        )
    if database.requires_tenant and (database.tenancy or not needs_no_tenant(owner)):
        raise TenantRequiredError(
            f"Tenant context is required when tenancy is enabled (tried: {operation}). "
            f"Use TenantContext.run_with_tenant() or add a resolver."
            if database.tenancy
            else f"Tenant context is required, because requests of the web application name their tenants, and this "
            f"code runs outside a request (tried: {operation}). In a thread, task or async view of a request, use "
            f"session.activate() or TenantContext.run_with_tenant()."
        )
    return None


def lost_tenant(owner: ExecutionContext | None = None) -> str | None:
    """The tenant of the request that started the running code, if the request is over and the code has no tenant.

    A moment earlier such code worked for that tenant. It must not go on for nobody.

    Args:
        owner: the owner of the running code, if the caller has it.
    """
    link = top_link()
    while link is not None:
        if link.kind is TENANT:
            if link.owner is None and link.entry() is None:
                return link.value if isinstance(link.value, str) else None
            owner = owner or current_execution_context()
            if link.is_seen_by(owner):
                return None
        link = link.parent
    return None


def needs_no_tenant(owner: ExecutionContext | None = None) -> bool:
    """Whether the running code is `EXEMPT`.

    Args:
        owner: the owner of the running code, if the caller has it.
    """
    tenants = [tenant for tenant in bound_values(TENANT, owner) if tenant is not CLEARED]
    return bool(tenants) and tenants[-1] is EXEMPT
