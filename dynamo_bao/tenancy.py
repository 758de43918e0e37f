"""Which tenant the running code works for.

The tenant is part of every key. It belongs to the thread (greenlet, asyncio task) that set it, never to a
class or a manager.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar, overload

from dynamo_bao.database import Database
from dynamo_bao.errors import TenantRequiredError
from dynamo_bao.keys import checked_tenant
from dynamo_bao.session.owner import Owner, current_owner

R = TypeVar("R")
resolvers: list[Callable[[], str | None]] = []


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
            return _TenantBlock(tenant)
        with _TenantBlock(tenant):
            return fn()

    with_tenant = run_with_tenant

    @staticmethod
    def set_current_tenant(tenant: str) -> None:
        """Sets the tenant of the innermost block, or of this thread outside any."""
        tenants = current_owner().tenants
        checked_tenant(tenant)
        if tenants:
            tenants[-1] = tenant
        else:
            tenants.append(tenant)

    @staticmethod
    def get_current_tenant() -> str | None:
        """The tenant of the running code: the one set last, else the first that a resolver gives."""
        return current_tenant()

    @staticmethod
    def clear_tenant() -> None:
        """Takes back the tenant of the innermost block, or of this thread."""
        tenants = current_owner().tenants
        if len(tenants) > 1:
            tenants[-1] = None
        else:
            tenants.clear()

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


class _TenantBlock(AbstractContextManager[Any]):
    """A block that works for a tenant; may be entered again, also inside itself."""

    __slots__ = ("_depths", "_tenant")

    def __init__(self, tenant: str | None) -> None:
        self._tenant = tenant
        self._depths: list[tuple[list[str | None], int]] = []

    def __enter__(self) -> str | None:
        tenants = current_owner().tenants
        self._depths.append((tenants, len(tenants)))
        tenants.append(self._tenant)
        return self._tenant

    def __exit__(self, *_: object) -> None:
        tenants, depth = self._depths.pop()
        del tenants[depth:]


def bound_tenant(tenant: str | None) -> AbstractContextManager[str | None]:
    """A block with a tenant that was captured earlier, None included."""
    return _TenantBlock(tenant)


def current_tenant() -> str | None:
    """The tenant of the running code, or None."""
    owner = current_owner()
    return tenant_of(owner) if owner.tenants or resolvers else None


def tenant_of(owner: Owner) -> str | None:
    """The tenant set by an owner's code, else the first that a resolver gives, else None."""
    if owner.tenants:
        return owner.tenants[-1]
    for resolver in resolvers:
        tenant = resolver()
        if tenant is not None:
            return checked_tenant(tenant)
    return None


def tenant_for(database: Database, owner: Owner, operation: str) -> str | None:
    """The tenant that an operation of an owner's code works for.

    Raises:
        TenantRequiredError: where tenancy is enabled and there is none.
    """
    tenant = tenant_of(owner) if owner.tenants or resolvers else None
    if tenant is None and database.tenancy:
        raise TenantRequiredError(
            f"Tenant context is required when tenancy is enabled (tried: {operation}). "
            f"Use TenantContext.run_with_tenant() or add a resolver."
        )
    return tenant
