"""Where an operation runs: in which session, and for which tenant; the policy decides where there is none."""

from __future__ import annotations

import sys
from typing import Any

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.errors import TenantMismatchError
from dynamo_bao.policy import AllowDirect
from dynamo_bao.session.bindings import SESSION, TRANSACTION, chain, innermost, top_link
from dynamo_bao.session.context import current_session
from dynamo_bao.session.execution_context import ExecutionContext, current_execution_context
from dynamo_bao.session.session import Collecting, Session
from dynamo_bao.session.state import State, state_of
from dynamo_bao.session.tenancy import CLEARED, current_tenant, resolvers, tenant_for

_top = chain.get  # called for every operation


def _described(model: str, operation: str, key: object) -> str:
    return f"{model}.{operation}({'' if key is None else repr(key)})"


def resolve_scope(
    database: Database, model: str, operation: str, key: object = None
) -> tuple[Session | None, str | None]:
    """The session and tenant of a class-level operation; no session means direct execution.

    Raises:
        BatchContextRequiredError: outside any session, in strict mode.
        ConcurrencyError: where the session belongs to somebody else, or is in the middle of a round.
        TenantRequiredError: where tenancy is enabled and no tenant is set.
    """
    top = _top()
    if top is None and "IPython" in sys.modules:
        top = top_link()
    session = tenant = None
    if top is not None:
        owner, link, bound = current_execution_context(), top.session, top.tenant
        if link is not None:
            if link.owner is owner and link.entry() is not None:
                session = link.what
                if session._owner is not owner or session.is_closed or session._flushing is not None:
                    session._check(owner)
            else:
                session = _session_seen_by(owner)
        if bound is not None:
            tenant = bound.what if bound.owner is owner and bound.entry() is not None else CLEARED
    if session is None and type(database.policy) is not AllowDirect:  # which needs no description of the call
        database.policy.outside(_described(model, operation, key))
    if type(tenant) is str or (tenant is None and not resolvers and not database.requires_tenant):
        return session, tenant
    return session, _tenant_of(database, session, operation)


def _session_seen_by(owner: ExecutionContext) -> Session | None:
    """The session that code of `owner` is inside of, if it may use it now."""
    link = innermost(SESSION, owner)
    if link is None:
        return None
    session: Session = link.what
    if session._owner is not link.owner or session.is_closed or session._flushing is not None:
        session._check(owner)
    return session


def _tenant_of(database: Database, session: Session | None, operation: str) -> str | None:
    """The tenant of an operation, which its session remembers where only a resolver could tell it."""
    tenant = tenant_for(database, operation)
    if resolvers and session is not None and session.tenant is None:
        session.tenant = tenant
    return tenant


def resolve_scope_of(instance: Any, operation: str) -> Session | None:
    """The session of an operation on a stored instance, under the instance's own tenant.

    The instance's own session counts while it is open; after that the current one, to which the instance
    is a detached object.

    Raises:
        TenantMismatchError: where another tenant than the instance's is current.
    """
    session = session_for_instance(state_of(instance), operation)
    check_tenant(instance, operation)
    return session


def check_tenant(instance: Any, operation: str) -> None:
    """Raises unless the current tenant is the one that an instance belongs to.

    A new instance belongs to the tenant it was made under; one made under none belongs to nobody yet.

    Raises:
        TenantMismatchError: where it is another one.
        TenantRequiredError: where there is none, and one is needed.
    """
    state = state_of(instance)
    if state.mapper is None:
        if state.tenant is None:
            return
        tenant, what = current_tenant(), f"The new {type(instance).__name__}"
    else:
        tenant = tenant_for(state.mapper.database, operation)
        what = f"{state.mapper.schema.name} {state.primary_id!r}"
    if tenant != state.tenant:
        raise TenantMismatchError(
            f"{what} belongs to tenant {state.tenant!r}, and {operation}() was called under {tenant!r}. "
            f"Call it inside TenantContext.run_with_tenant({state.tenant!r})."
        )


def current_transaction() -> Collecting | None:
    """The innermost transaction around the code that runs now, None where there is none."""
    if _top() is None and "IPython" not in sys.modules:
        return None
    link = innermost(TRANSACTION)
    found: Collecting | None = None if link is None else link.what
    return found


def session_for_instance(state: State, operation: str) -> Session | None:
    """The session that an instance's operation runs in; the policy decides where there is none."""
    assert state.mapper is not None
    mapper = state.mapper
    return active_session(state.session, mapper.database, mapper.schema.name, operation, state.primary_id)


def active_session(
    own: Session | None, database: Database, model: str, operation: str, key: object = None
) -> Session | None:
    """The session that something made in `own` belongs to now: `own` while it is open, else the current one.

    Where there is none, the policy decides.
    """
    if own is not None and own.is_open:
        own._check()
        return own
    session = current_session()
    if session is None:
        database.policy.outside(_described(model, operation, key))
    else:
        session._check()
    return session
