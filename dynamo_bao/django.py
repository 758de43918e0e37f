"""A batch context for every request of a Django project; needs the extra ``dynamo_bao[django]``.

Example:
    In the settings::

        INSTALLED_APPS = [..., "dynamo_bao.django.BaoConfig"]
        MIDDLEWARE = ["dynamo_bao.django.BatchContextMiddleware", ...]  # below what the tenant function needs
        DYNAMO_BAO = {"tenant": tenant_from_header("X-Tenant")}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning as CheckWarning, register
from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.web.json_forms import is_answer, json_form
from dynamo_bao.web.missing import first_or_none, stored_or_none
from dynamo_bao.web.request_session import Body, RequestScope
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
    response is an error already. The setting ``DYNAMO_BAO`` is a dict of the options of
    `dynamo_bao.wsgi.BatchContextMiddleware`. ``tenant`` may also be the dotted path of a function that gets the
    `HttpRequest`. ``server_timing`` is on by default.

    Raises:
        ConfigurationError: for an unknown setting, or an invalid value.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._service = _service()

    def __call__(self, request: HttpRequest) -> Any:
        """Answers one request."""
        page = self._service.page(request.META)
        if page is not None:
            return HttpResponse(page.encode(), headers={"Cache-Control": "no-store"})
        served = self._service.begin(request.META)
        try:
            return self._respond(served, request)
        except BaseException as error:
            served.close(error)
            raise

    def _respond(self, served: RequestScope, request: HttpRequest) -> Any:
        refusal = self._service.refusal(served, _environ(request), request)
        if refusal is None:
            response = served.run(self._get_response, request)
        else:
            response = HttpResponse(refusal.encode(), status=400, content_type="text/plain; charset=utf-8")
        served.status = f"{response.status_code} {response.reason_phrase}"
        timing = self._service.timing(served)
        if timing is not None:
            earlier = response.headers.get("Server-Timing")
            response.headers["Server-Timing"] = f"{earlier}, {timing}" if earlier else timing
        if _is_made_later(response):
            _stream(served, response)
        else:
            served.close()
        return response


def _environ(request: HttpRequest) -> Any:
    """The request's environment, with the host that a trusted proxy forwards."""
    if not settings.USE_X_FORWARDED_HOST:
        return request.META
    return {**request.META, "HTTP_HOST": request.get_host()}


def _is_made_later(response: Any) -> bool:
    """Whether the application makes the content while it is sent. Files need no session."""
    return response.streaming and not response.is_async and getattr(response, "file_to_stream", None) is None


def _stream(served: RequestScope, response: Any) -> None:
    """Runs the rest of a streaming response, and its closing, inside the request."""
    closers = response._resource_closers
    closers[:] = [partial(served.run, closer) for closer in closers]
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
                f"DYNAMO_BAO: tenant={options['tenant']!r} cannot be imported: {error}."
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
    """The Django app, which adds the system check: ``INSTALLED_APPS = [..., "dynamo_bao.django.BaoConfig"]``."""

    name = "dynamo_bao.django"
    label = "dynamo_bao"

    def ready(self) -> None:
        """Registers the check."""
        register(check_settings)


def check_settings(**_: Any) -> Iterator[CheckMessage]:
    """Yields the faults of the settings of dynamo_bao, for ``manage.py check``."""
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
