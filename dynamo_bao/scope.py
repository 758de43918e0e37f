"""Where an operation runs: in which session, and for which tenant; the policy decides where there is none."""

from __future__ import annotations

from typing import Any

from dynamo_bao.context import current_session
from dynamo_bao.database import Database
from dynamo_bao.errors import TenantMismatchError
from dynamo_bao.instances import State, state_of
from dynamo_bao.policy import AllowDirect
from dynamo_bao.session.owned import OPEN
from dynamo_bao.session.owner import current_owner
from dynamo_bao.session.session import Collecting, Session
from dynamo_bao.tenancy import resolvers, tenant_for, tenant_of


def _described(model: str, operation: str, key: object) -> str:
    return f"{model}.{operation}({'' if key is None else repr(key)})"


def enter(
    database: Database, model: str, operation: str, key: object = None
) -> tuple[Session | None, str | None]:
    """The session and tenant of a class-level operation; no session means direct execution.

    Raises:
        BatchContextRequiredError: outside any session, in strict mode.
        ConcurrencyError: where the session belongs to somebody else, or is in the middle of a round.
        TenantRequiredError: where tenancy is enabled and no tenant is set.
    """
    owner = current_owner()
    session: Session | None = None
    if owner.stack:
        innermost: Session = owner.stack[-1]
        if innermost.owner is not owner or innermost.state is not OPEN:
            innermost.check(owner)
        session = innermost
    elif type(database.policy) is not AllowDirect:  # which needs no description of the call
        database.policy.outside(_described(model, operation, key))
    if owner.tenants or resolvers or database.tenancy:
        return session, tenant_for(database, owner, operation)
    return session, None


def enter_through(instance: Any, operation: str) -> Session | None:
    """The session of an operation on a stored instance, under the instance's own tenant.

    The instance's own session counts while it is open; after that the current one, to which the instance
    is a detached object.

    Raises:
        TenantMismatchError: where another tenant than the instance's is current.
    """
    session = session_of(state_of(instance), operation)
    require_own_tenant(instance, operation)
    return session


def require_own_tenant(instance: Any, operation: str) -> None:
    """Raises unless the current tenant is the one that an instance belongs to.

    A new instance belongs to the tenant it was made under; one made under none belongs to nobody yet.

    Raises:
        TenantMismatchError: where it is another one.
        TenantRequiredError: where there is none, and one is needed.
    """
    state, owner = state_of(instance), current_owner()
    if state.home is None:
        if state.tenant is None:
            return
        tenant, what = tenant_of(owner), f"The new {type(instance).__name__}"
    else:
        tenant = tenant_for(state.home.database, owner, operation)
        what = f"{state.home.schema.name} {state.primary_id!r}"
    if tenant != state.tenant:
        raise TenantMismatchError(
            f"{what} belongs to tenant {state.tenant!r}, and {operation}() was called under {tenant!r}. "
            f"Call it inside TenantContext.run_with_tenant({state.tenant!r})."
        )


def open_transaction() -> Collecting | None:
    """The innermost transaction around the code that runs now, None where there is none."""
    for session in reversed(current_owner().stack):
        if session.transaction is not None:
            found: Collecting = session.transaction
            return found
    return None


def session_of(state: State, operation: str) -> Session | None:
    """The session that an instance's operation runs in; the policy decides where there is none."""
    assert state.home is not None
    home = state.home
    return session_now(state.session, home.database, home.schema.name, operation, state.primary_id)


def session_now(
    own: Session | None, database: Database, model: str, operation: str, key: object = None
) -> Session | None:
    """The session that something made in `own` belongs to now: `own` while it is open, else the current one.

    Where there is none, the policy decides.
    """
    if own is not None and own.is_open:
        own.check()
        return own
    session = current_session()
    if session is None:
        database.policy.outside(_described(model, operation, key))
    else:
        session.check()
    return session
