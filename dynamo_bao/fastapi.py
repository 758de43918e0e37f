"""A batch context and a tenant as dependencies of FastAPI; needs the extra ``dynamo_bao[fastapi]``.

With this module, a parameter that is annotated with a model is the body of the request, as with pydantic's models.

Example:
    >>> from dynamo_bao.fastapi import BatchSession
    >>> @app.get("/users/{user_id}")
    ... def show(user_id: str, session: BatchSession):
    ...     return {"name": User.find(user_id).name}
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Annotated, TypeVar

from fastapi import Depends, HTTPException
from starlette.requests import HTTPConnection

from dynamo_bao.asgi import BatchContextMiddleware, tenant_from_header, tenant_from_host
from dynamo_bao.errors import BatchContextError
from dynamo_bao.models.batch_context import request_session
from dynamo_bao.session.context import current_session
from dynamo_bao.session.request_session import RequestSession
from dynamo_bao.session.session import Session
from dynamo_bao.session.settings import DEFAULT_SETTINGS
from dynamo_bao.session.tenancy import current_tenant
from dynamo_bao.web.asgi_scope import environ_of
from dynamo_bao.web.async_request import AsyncRequest
from dynamo_bao.web.fastapi_models import take_models
from dynamo_bao.web.missing import first_or_none, stored_or_none
from dynamo_bao.web.request_log import name_of

__all__ = [
    "BatchContextMiddleware",
    "BatchSession",
    "CurrentTenant",
    "first_or_404",
    "get_or_404",
    "tenant_from_header",
    "tenant_from_host",
]

T = TypeVar("T")

take_models()


async def _open_request(connection: HTTPConnection) -> AsyncIterator[AsyncRequest | Session]:
    """The session of the request, if it has one; else a new one until the response is sent."""
    if connection.scope["type"] != "http":
        raise BatchContextError(
            "A websocket can last for hours, and its session would be an old cache. Open a batch context for each "
            "message with run_with_batch_context()."
        )
    session = current_session()
    if isinstance(session, RequestSession):
        yield session
        return
    request = AsyncRequest(name_of(environ_of(connection.scope)), request_session(DEFAULT_SETTINGS))
    request.begin()
    with request.until_end():
        yield request


async def _checked_session(
    opened: Annotated[AsyncRequest | Session, Depends(_open_request, scope="request")],
) -> AsyncIterator[Session]:
    """The session of the request. After the endpoint, it raises for uncommitted work, so that nothing is sent."""
    if isinstance(opened, Session):  # the middleware checks it
        yield opened
    else:
        yield opened.session
        opened.require_committed()


async def _session(session: Annotated[Session, Depends(_checked_session, scope="function")]) -> Session:
    """The session of the request, for dependencies of either scope: a function, unlike a generator, may need both."""
    return session


async def _tenant() -> str:
    """The tenant of the request. Without one, the response has status 400."""
    tenant = current_tenant()
    if tenant is None:
        raise HTTPException(400, "The request names no tenant.")
    return tenant


BatchSession = Annotated[Session, Depends(_session)]
"""The session of the request, as the type of a parameter.

All code of the request sees it, as with `BatchContextMiddleware`: endpoints, other dependencies that come after it,
background tasks and streams. If the application has the middleware, it is the middleware's session. Otherwise it is
opened here, and closed when the response is sent. If the endpoint then leaves uncommitted work, the response is an
error.

Example:
    >>> @app.post("/posts")
    ... def publish(titles: list[str], session: BatchSession):
    ...     session.add(*(Post(title=title) for title in titles))
    ...     session.commit()
"""

CurrentTenant = Annotated[str, Depends(_tenant)]
"""The tenant of the request, as the type of a parameter: the one that `BatchContextMiddleware` has found, or else a
resolver. A request without a tenant gets a response with status 400.

Example:
    >>> @app.get("/tenant")
    ... def tell(tenant: CurrentTenant):
    ...     return {"tenant": tenant}
"""


def get_or_404(model: type[T], key: object = None, /, *, detail: str | None = None, **parts: object) -> T:
    """The instance for a key, loaded at once, for ``def`` endpoints.

    Args:
        model: the model.
        key, **parts: as `Model.find` takes them.
        detail: the text of the 404 response; None for the usual one.

    Returns:
        The instance.

    Raises:
        fastapi.HTTPException: with status 404, if the item is not stored, or if no item can have the key.

    Example:
        >>> @app.get("/users/{user_id}")
        ... def user(user_id: str) -> User:
        ...     return get_or_404(User, user_id)
    """
    instance = stored_or_none(model, key, parts)
    if instance is None:
        raise HTTPException(404, detail)
    return instance


def first_or_404(results: Iterable[T], *, detail: str | None = None) -> T:
    """The first match of a query, for ``def`` endpoints.

    Args:
        results: the result of a query or search, or any other instances.
        detail: the text of the 404 response; None for the usual one.

    Returns:
        The instance.

    Raises:
        fastapi.HTTPException: with status 404, without a match.

    Example:
        >>> newest = first_or_404(User.by_status.query("active", direction="DESC"))
    """
    instance = first_or_none(results)
    if instance is None:
        raise HTTPException(404, detail)
    return instance
