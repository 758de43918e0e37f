"""The session and the tenant of an operation. Without a session, the policy decides."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.errors import TenantMismatchError
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.policy import AllowDirect
from dynamo_bao.session.bindings import (
    SESSION,
    TENANT,
    TRANSACTION,
    Link,
    chain,
    innermost,
    top_link,
    visible_values,
)
from dynamo_bao.session.context import current_session
from dynamo_bao.session.execution_context import ExecutionContext, current_execution_context, threads
from dynamo_bao.session.operation_lock import OperationLock
from dynamo_bao.session.ownership import SessionOwnership
from dynamo_bao.session.request_session import has_ended_request, request_is_over
from dynamo_bao.session.session import Collecting, Session
from dynamo_bao.session.state import Instance, State, instance_dict, state_of
from dynamo_bao.session.tenancy import CLEARED, current_tenant, resolvers, tenant_for

_top = chain.get  # called for every operation


def _call_text(model: str, operation: str, key: object) -> str:
    return f"{model}.{operation}({'' if key is None else repr(key)})"


def resolve_scope(
    database: Database, model: str, operation: str, key: object = None
) -> tuple[Session | None, str | None]:
    """The session and the tenant of a class-level operation. Without a session, it runs directly.

    Raises:
        BatchContextRequiredError: outside any session, in strict mode.
        ConcurrencyError: if the session belongs to other code, or is in the middle of a round.
        TenantRequiredError: if tenancy is enabled and no tenant is set.
    """
    top = _top()
    if top is None and "IPython" in sys.modules:
        top = top_link()
    session = tenant = None
    if top is not None:
        modules = sys.modules
        if "asyncio.events" in modules or "greenlet" in modules:
            owner = current_execution_context()
        else:  # the same without a call, because every operation comes here
            try:
                owner = threads.owner
            except AttributeError:
                owner = current_execution_context()
        link: Link | None
        if top.kind is SESSION:  # the usual case
            link, tenant_link = top, top.tenant
        else:
            link, tenant_link = top.session, top if top.kind is TENANT else top.tenant
        if link is not None:
            session = link.value
            ownership: SessionOwnership = session._ownership
            if (
                link.owner is not owner
                or ownership.owner is not owner
                or ownership.is_closed
                or ownership.flushing is not None
                or link.entry() is None
            ):
                session = _session_seen_by(owner)
            elif tenant_link is None and not resolvers and not database.requires_tenant:
                return session, None
        if tenant_link is not None:
            tenant = (
                tenant_link.value
                if tenant_link.owner is owner and tenant_link.entry() is not None
                else CLEARED
            )
    if session is None and type(database.policy) is not AllowDirect:  # it needs no description of the call
        database.policy.outside(_call_text(model, operation, key))
    if (tenant is None and not resolvers and not database.requires_tenant) or type(tenant) is str:
        return session, tenant
    return session, _tenant_of(database, session, operation)


def _session_seen_by(owner: ExecutionContext) -> Session | None:
    """The session that code of `owner` is inside; raises if it cannot be used now."""
    link = innermost(SESSION, owner)
    if link is None:
        if has_ended_request(top_link()):
            raise request_is_over()
        return None
    session: Session = link.value
    ownership = session._ownership
    if ownership.owner is not link.owner or ownership.is_closed or ownership.flushing is not None:
        ownership.check(owner)
    return session


def _tenant_of(database: Database, session: Session | None, operation: str) -> str | None:
    """The tenant of an operation; its session remembers a tenant that came from a resolver."""
    tenant = tenant_for(database, operation)
    if resolvers and session is not None and session.tenant is None:
        session._ownership.tenant = tenant
    return tenant


def resolve_scope_of(state: State, operation: str) -> Session | None:
    """The session of an operation on a stored instance, under the instance's own tenant; see `write_scope_of`."""
    return write_scope_of(state, operation)[0]


def write_scope_of(state: State, operation: str) -> tuple[Session | None, Collecting | None]:
    """The session of an operation on a stored instance, and the innermost transaction around the running code.

    The session is the instance's own while that is open. Afterwards the instance is a detached object of the current
    session.

    Raises:
        TenantMismatchError: if the current tenant is not the instance's.
    """
    mapper, session, owner, values = state.mapper, state.session, None, _NO_VALUES
    assert mapper is not None
    top = top_link() if "IPython" in sys.modules else _top()
    if top is not None:
        owner = current_execution_context()
        values = visible_values(top, owner)
    if not isinstance(session, Session) or session._ownership.is_closed:
        session = values.get(SESSION)
    if session is not None:
        ownership: SessionOwnership = session._ownership
        if ownership.owner is not owner or ownership.is_closed or ownership.flushing is not None:
            ownership.check(owner)
    elif type(mapper.database.policy) is not AllowDirect:  # it needs no description of the call
        mapper.database.policy.outside(_call_text(mapper.schema.name, operation, state.primary_id))
    tenant = values.get(TENANT)
    if type(tenant) is not str and (tenant or resolvers or mapper.database.requires_tenant):
        tenant = tenant_for(mapper.database, operation, owner)
    if tenant != state.tenant:
        _require_tenant(state, tenant, operation)
    return session, values.get(TRANSACTION)


_NO_VALUES: Mapping[str, Any] = {}


def check_tenant(instance: Instance, operation: str) -> None:
    """Raises unless the instance belongs to the current tenant.

    A new instance belongs to the tenant under which it was made. Made without a tenant, it belongs to nobody yet.

    Raises:
        TenantMismatchError: if it belongs to another tenant.
        TenantRequiredError: if there is no current tenant, and one is needed.
    """
    state: State = instance_dict(instance)[STATE]
    if state.mapper is not None:
        _require_tenant(state, tenant_for(state.mapper.database, operation), operation)
    elif state.tenant is not None:
        _require_tenant(state, current_tenant(), operation, f"The new {type(instance).__name__}")


def _require_tenant(state: State, tenant: str | None, operation: str, subject: str | None = None) -> None:
    """Raises `TenantMismatchError` unless an instance belongs to a tenant.

    Args:
        subject: how the error names the instance; None for its model and key.
    """
    if tenant == state.tenant:
        return
    raise TenantMismatchError(
        f"{subject or state.label} belongs to tenant {state.tenant!r}, and {operation}() was called under {tenant!r}. "
        f"Call it inside TenantContext.run_with_tenant({state.tenant!r})."
    )


def current_transaction() -> Collecting | None:
    """The innermost transaction around the running code, or None."""
    return surroundings()[1]


def surroundings() -> tuple[Session | None, Collecting | None]:
    """The innermost session and the innermost transaction around the running code."""
    top = top_link() if "IPython" in sys.modules else _top()
    if top is None:
        return None, None
    values = visible_values(top, current_execution_context())
    return values.get(SESSION), values.get(TRANSACTION)


class _Unshared:
    """The block of an operation of a session that has an owner. It does nothing."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


UNSHARED: AbstractContextManager[None] = _Unshared()


def operation_in(session: Session | None) -> AbstractContextManager[None]:
    """A block in which one operation of a session runs. Without a session, it does nothing."""
    if session is None or not OperationLock.is_used:
        return UNSHARED
    return session._ownership.operation()


def operation_on(instance: Instance | None) -> AbstractContextManager[None]:
    """A block in which one operation on an instance runs, or a class-level one for None."""
    if not OperationLock.is_used:  # as in most programs
        return UNSHARED
    session = None if instance is None else session_of(state_of(instance))
    if session is None or session.is_closed:
        session = current_session()
    return operation_in(session)


def session_for_instance(state: State, operation: str) -> Session | None:
    """The session of an operation on an instance. Without a session, the policy decides."""
    assert state.mapper is not None
    mapper = state.mapper
    return active_session(session_of(state), mapper.database, mapper.schema.name, operation, state.primary_id)


def session_of(state: State) -> Session | None:
    """The session that an instance belongs to, open or closed; None for a detached instance."""
    session = state.session
    return session if isinstance(session, Session) else None


def active_session(
    origin: Session | None, database: Database, model: str, operation: str, key: object = None
) -> Session | None:
    """The session of something that was made in `origin`: `origin` while it is open, else the current session.

    Without a session, the policy decides.
    """
    if origin is not None and origin.is_open:
        origin._ownership.check()
        return origin
    session = current_session()
    if session is None:
        if type(database.policy) is not AllowDirect:  # it needs no description of the call
            database.policy.outside(_call_text(model, operation, key))
    else:
        session._ownership.check()
    return session
