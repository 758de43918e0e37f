"""Which tenant the running code works for.

The tenant is part of every key. It belongs to the thread (greenlet, asyncio task) that set it, never to a
class or a manager.
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
    chain,
    clear_without_end,
    innermost,
    set_without_end,
)
from dynamo_bao.session.execution_context import ExecutionContext

R = TypeVar("R")
resolvers: list[Callable[[], str | None]] = []

CLEARED = object()
"""What is bound where the tenant was taken back: resolvers decide, as where none was ever set."""
EXEMPT = object()
"""What is bound where no tenant is needed: while it is found out which one a request is for, and in the requests of an
application that names none. Resolvers decide, as where none was ever set."""


class TenantContext:
    """The current tenant: set for a block, for a thread, or found by resolvers."""

    @overload
    @staticmethod
    def run_with_tenant(tenant: str) -> AbstractContextManager[str]: ...

    @overload
    @staticmethod
    def run_with_tenant(tenant: str, fn: Callable[[], R]) -> R: ...

    @staticmethod
    def run_with_tenant(tenant: str, fn: Callable[[], Any] | None = None) -> Any:
        """A block (or one call of `fn`) that works for `tenant`; nests, and is undone on exceptions too.

        Args:
            tenant: 1 to 64 characters of ``A-Z a-z 0-9 _ . -``.
            fn: called inside; its result is returned.

        Example:
            >>> with TenantContext.run_with_tenant("acme"):
            ...     User.find("42")
        """
        checked_tenant(tenant)
        if fn is None:
            return TenantBlock(tenant)
        with TenantBlock(tenant):
            return fn()

    with_tenant = run_with_tenant

    @staticmethod
    def set_current_tenant(tenant: str) -> None:
        """Sets the tenant of the running context from here on, in place of the innermost block's.

        It holds until that block is left; outside any, until it is set or cleared again. The current session works
        for it too, wherever it is activated.
        """
        set_without_end(TENANT, checked_tenant(tenant))
        _tell_session(tenant)

    @staticmethod
    def get_current_tenant() -> str | None:
        """The tenant of the running code: the one set last, else the first that a resolver gives."""
        return current_tenant()

    @staticmethod
    def clear_tenant() -> None:
        """Takes back the tenant of the innermost block, or of this thread; resolvers may give one then."""
        clear_without_end(TENANT, CLEARED)
        _tell_session(None)

    @staticmethod
    def add_resolver(resolver: Callable[[], str | None]) -> None:
        """Adds a function that is asked for the tenant where none is set; `TypeError` for anything else."""
        if not callable(resolver):
            raise TypeError(f"Resolver must be a function, not {type(resolver).__name__}.")
        resolvers.append(resolver)

    @staticmethod
    def clear_resolvers() -> None:
        """Forgets all resolvers."""
        resolvers.clear()


def _tell_session(tenant: str | None) -> None:
    session = innermost(SESSION)
    if session is not None:
        session.what.tenant = tenant


class TenantBlock(Block[Any]):
    """A block that works for a tenant; None for no tenant, `EXEMPT` where none is needed."""

    __slots__ = ()

    def _begin(self) -> Any:
        self.bind(TENANT, self._subject)
        return self._subject


def tenant_block(tenant: str | None) -> AbstractContextManager[str | None]:
    """A block with a tenant that was captured earlier, None included."""
    return TenantBlock(tenant)


def current_tenant() -> str | None:
    """The tenant of the running code, or None."""
    if not resolvers and "IPython" not in sys.modules:  # as nearly always: nothing else could tell
        top = chain.get()
        if top is None or (top.kind is not TENANT and top.tenant is None):
            return None
    return tenant_of()


def tenant_of(owner: ExecutionContext | None = None) -> str | None:
    """The tenant that is bound where code runs, else the first that a resolver gives, else None.

    Args:
        owner: the owner of the running code, where the caller knows it.
    """
    link = innermost(TENANT, owner)
    if link is not None and link.what is not CLEARED and link.what is not EXEMPT:
        bound: str | None = link.what
        return bound
    for resolver in resolvers:
        tenant = resolver()
        if tenant is not None:
            return checked_tenant(tenant)
    return None


def tenant_if_known() -> str | None:
    """The tenant of the running code where it can be told; resolvers that cannot say anything here are not heard."""
    try:
        return tenant_of()
    except (AttributeError, LookupError, RuntimeError):  # as frameworks raise them outside of a request
        return None


def tenant_for(database: Database, operation: str, owner: ExecutionContext | None = None) -> str | None:
    """The tenant that an operation of the running code works for.

    Raises:
        TenantRequiredError: where one is needed and there is none.
    """
    tenant = tenant_of(owner)
    if tenant is None and database.requires_tenant and not _is_exempt(database, owner):
        raise TenantRequiredError(
            f"Tenant context is required when tenancy is enabled (tried: {operation}). "
            f"Use TenantContext.run_with_tenant() or add a resolver."
            if database.tenancy
            else f"Tenant context is required, as requests of a web application name their tenants, and this code is "
            f"outside of them (tried: {operation}). A thread, task or async view of a request's own is inside with "
            f"session.activate(), or with TenantContext.run_with_tenant()."
        )
    return tenant


def _is_exempt(database: Database, owner: ExecutionContext | None) -> bool:
    """Whether the running code only finds out which tenant a request is for."""
    link = innermost(TENANT, owner)
    return not database.tenancy and link is not None and link.what is EXEMPT
