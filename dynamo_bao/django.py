"""A batch context for every request of a Django project; needs the extra ``dynamo_bao[django]``.

Example:
    In the settings::

        INSTALLED_APPS = [..., "dynamo_bao.django.BaoConfig"]
        MIDDLEWARE = ["dynamo_bao.django.BatchContextMiddleware", ...]  # below what the tenant function needs
        DYNAMO_BAO = {"tenant": tenant_from_header("X-Tenant")}
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning as CheckWarning, register
from django.core.handlers.asgi import ASGIRequest
from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from dynamo_bao.errors import ConfigurationError, message_of
from dynamo_bao.web.asgi_scope import as_in_wsgi
from dynamo_bao.web.async_request import AsyncBody, AsyncRequest
from dynamo_bao.web.json_forms import is_answer, json_form
from dynamo_bao.web.missing import first_or_none, stored_or_none
from dynamo_bao.web.request_session import Body, Request
from dynamo_bao.web.service import Service
from dynamo_bao.web.tenants import tenant_from_header, tenant_from_host

__all__ = [
    "BaoConfig",
    "BaoJSONEncoder",
    "BatchContextMiddleware",
    "check_settings",
    "first_or_404",
    "get_object_or_404",
    "tenant_from_header",
    "tenant_from_host",
]

T = TypeVar("T")
MIDDLEWARE = "dynamo_bao.django.BatchContextMiddleware"


class BatchContextMiddleware:
    """Gives each request a session, from here inwards: to the views, and the middleware below it in ``MIDDLEWARE``.

    Put it near the top. If a ``tenant`` function uses ``request.user``, put it below ``AuthenticationMiddleware``,
    which sets the user.

    A streaming response keeps the session until it is closed. Uncommitted work makes the request fail, unless its
    response is an error already. Under ASGI, all code of the request sees the session: asynchronous and synchronous
    views, in whichever threads they run. The setting ``DYNAMO_BAO`` is a dict of the options of
    `dynamo_bao.wsgi.BatchContextMiddleware`. ``tenant`` may also be the dotted path of a function that gets the
    `HttpRequest`; under ASGI it may be an ``async`` function. ``server_timing`` is on by default.

    Args:
        get_response: the next middleware or the view, from Django.

    Raises:
        ConfigurationError: for an unknown setting, or an invalid value.

    Example:
        >>> MIDDLEWARE = ["dynamo_bao.django.BatchContextMiddleware", "django.middleware.common.CommonMiddleware"]
        >>> DYNAMO_BAO = {"tenant": tenant_from_host("example.com")}
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._service = _service()
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Answers one request. In an asynchronous chain of middleware, the result is awaitable."""
        if self._is_async:
            return self._answer_async(request)
        page = self._service.page(request.META)
        if page is not None:
            return _page_response(page)
        is_asgi = isinstance(request, ASGIRequest)
        served = self._begin_shared(request) if is_asgi else self._service.begin(request.META)
        try:
            wait = async_to_sync(_result_of) if is_asgi else None
            refusal = self._service.refusal(served, _environ(request), request, wait)
            response = (
                served.run(self._get_response, request) if refusal is None else _refusal_response(refusal)
            )
            self._finish(served, response)
        except BaseException as error:
            served.close(error)
            raise
        return response

    async def _answer_async(self, request: HttpRequest) -> Any:
        page = self._service.page(request.META)
        if page is not None:
            return _page_response(page)
        served = self._begin_shared(request)
        try:
            with served.bound():
                refusal = await self._service.refusal_async(served, _environ(request), request)
                response = (
                    await self._get_response(request) if refusal is None else _refusal_response(refusal)
                )
            self._finish(served, response)
        except BaseException as error:
            served.close(error)
            raise
        return response

    def _begin_shared(self, request: HttpRequest) -> AsyncRequest:
        environ = {"REQUEST_METHOD": request.method, "PATH_INFO": as_in_wsgi(request.path)}
        return self._service.begin_shared(environ)

    def _finish(self, served: Request, response: Any) -> None:
        """Ends the request, or leaves that to the rest of a streaming response."""
        served.start_response(f"{response.status_code} {response.reason_phrase}")
        timing = self._service.timing(served)
        if timing is not None:
            earlier = response.headers.get("Server-Timing")
            response.headers["Server-Timing"] = f"{earlier}, {timing}" if earlier else timing
        if _is_made_later(served, response):
            _stream(served, response)
        else:
            served.close()


async def _result_of(awaitable: Awaitable[object]) -> object:
    return await awaitable


def _page_response(page: str) -> HttpResponse:
    return HttpResponse(page.encode(), headers={"Cache-Control": "no-store"})


def _refusal_response(text: str) -> HttpResponse:
    return HttpResponse(text.encode(), status=400, content_type="text/plain; charset=utf-8")


def _environ(request: HttpRequest) -> Any:
    """The request's environment, with the host that a trusted proxy forwards."""
    if not settings.USE_X_FORWARDED_HOST:
        return request.META
    return {**request.META, "HTTP_HOST": request.get_host()}


def _is_made_later(served: Request, response: Any) -> bool:
    """Whether the application makes the content while it is sent, and can do that inside the request.

    Files need no session.
    """
    if not response.streaming or getattr(response, "file_to_stream", None) is not None:
        return False
    return not response.is_async or isinstance(served, AsyncRequest)


def _stream(served: Request, response: Any) -> None:
    """Runs the rest of a streaming response, and its closing, inside the request."""
    closers = response._resource_closers
    closers[:] = [partial(served.run, closer) for closer in closers]
    if isinstance(served, AsyncRequest) and response.is_async:
        response.streaming_content = AsyncBody(served, response.streaming_content)
    else:
        response.streaming_content = Body(served, response.streaming_content)  # whose close() comes last


def _service() -> Service:
    configured = getattr(settings, "DYNAMO_BAO", {})
    if not isinstance(configured, dict):
        raise ConfigurationError(f"DYNAMO_BAO is {type(configured).__name__}; give a dict of options.")
    options = {"server_timing": True, **configured}
    if isinstance(options.get("tenant"), str):
        try:
            options["tenant"] = import_string(options["tenant"])
        except ImportError as error:
            raise ConfigurationError(
                f"DYNAMO_BAO: tenant={options['tenant']!r} cannot be imported: {message_of(error)}."
            ) from error
    return Service(**options)


# --- answers -----------------------------------------------------------------------------------------


class BaoJSONEncoder(DjangoJSONEncoder):  # type: ignore[misc]  # Django has no types
    """The encoder for `django.http.JsonResponse` of instances, results of queries, and their values.

    All values have the forms of `Model.to_json`. What those do not name has Django's.

    Example:
        >>> JsonResponse({"user": User.find(user_id)}, encoder=BaoJSONEncoder)
    """

    def default(self, o: Any) -> Any:
        """The form of a value that JSON has none for."""
        if is_answer(o):
            return json_form(o)
        try:
            return json_form(o)
        except TypeError:
            return super().default(o)


def get_object_or_404(model: type[T], key: object = None, /, **parts: Any) -> T:
    """The instance for a key, loaded at once, for views.

    Args:
        model: the model.
        key, **parts: as `Model.find` takes them.

    Returns:
        The instance.

    Raises:
        django.http.Http404: if the item is not stored, or if no item can have the key.

    Example:
        >>> def user(request, user_id):
        ...     return JsonResponse(get_object_or_404(User, user_id).to_dict(), encoder=BaoJSONEncoder)
    """
    instance = stored_or_none(model, key, parts)
    if instance is None:
        raise Http404(f"No {model.__name__} matches the given key.")
    return instance


def first_or_404(results: Iterable[T]) -> T:
    """The first match of a query, for views.

    Args:
        results: the result of a query or search, or any other instances.

    Returns:
        The instance.

    Raises:
        django.http.Http404: without a match.

    Example:
        >>> newest = first_or_404(User.by_status.query("active", direction="DESC"))
    """
    instance = first_or_none(results)
    if instance is None:
        raise Http404("The query has no match.")
    return instance


# --- manage.py check ---------------------------------------------------------------------------------


class BaoConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """The Django app, which adds the system check: ``INSTALLED_APPS = [..., "dynamo_bao.django.BaoConfig"]``.

    Example:
        >>> INSTALLED_APPS = ["django.contrib.auth", "dynamo_bao.django.BaoConfig"]
    """

    name = "dynamo_bao.django"
    label = "dynamo_bao"

    def ready(self) -> None:
        """Registers the check."""
        register(check_settings)


def check_settings(**_: Any) -> Iterator[CheckMessage]:
    """Yields the faults of the settings of dynamo_bao, for ``manage.py check``.

    Yields:
        A message for each fault.

    Example:
        >>> faults = list(check_settings())
    """
    service = None
    try:
        service = _service()
    except ConfigurationError as error:
        yield Error(str(error), hint="Correct the setting DYNAMO_BAO.", id="dynamo_bao.E001")
    times = list(settings.MIDDLEWARE).count(MIDDLEWARE)
    if times > 1:
        yield Error(
            f"MIDDLEWARE lists {MIDDLEWARE} {times} times; each request would have {times} separate sessions.",
            hint="Keep the first.",
            id="dynamo_bao.E002",
        )
    if times == 0:
        yield CheckWarning(
            "No request has a batch context: the app is installed, but its middleware is not.",
            hint=f"Add {MIDDLEWARE!r} to MIDDLEWARE: near the top, or below AuthenticationMiddleware where the tenant "
            f"is found by request.user.",
            id="dynamo_bao.W003",
        )
    yield from _check_order(service)


def _check_order(service: Service | None) -> Iterator[CheckMessage]:
    """Warns if the middleware comes before the one that sets ``request.user``, which a tenant function may use."""
    names = list(settings.MIDDLEWARE)
    if service is None or not service.needs_request or MIDDLEWARE not in names:
        return
    later = [name for name in names[names.index(MIDDLEWARE) + 1 :] if _sets_user(name)]
    if later:
        yield CheckWarning(
            f"The setting DYNAMO_BAO names the tenant by a function of the request, which has no request.user yet: "
            f"{MIDDLEWARE} comes before {later[0]} in MIDDLEWARE.",
            hint=f"Put {MIDDLEWARE!r} below {later[0]!r}. Where the function does not look at request.user, silence "
            f"this: SILENCED_SYSTEM_CHECKS = ['dynamo_bao.W004'].",
            id="dynamo_bao.W004",
        )


def _sets_user(name: str) -> bool:
    """Whether a middleware is Django's `AuthenticationMiddleware`, or a subclass of it."""
    if name.rpartition(".")[2] == "AuthenticationMiddleware":
        return True
    try:
        bases = getattr(import_string(name), "__mro__", ())
    except Exception:  # Django reports the fault
        return False
    return any(base.__name__ == "AuthenticationMiddleware" for base in bases)
