"""A batch context for every request of a Flask application; needs the extra ``dynamo_bao[flask]``.

Example:
    >>> from dynamo_bao.flask import Bao
    >>> app = Flask(__name__)
    >>> Bao(app)
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, TypeVar, Unpack

from flask import Flask, Response, abort, current_app, request

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.session.settings import SessionOptions
from dynamo_bao.web.flask_cli import commands
from dynamo_bao.web.flask_json import serve_instances
from dynamo_bao.web.missing import first_or_none, stored_or_none
from dynamo_bao.web.request_session import RequestScope
from dynamo_bao.web.service import REQUEST_KEY, Service
from dynamo_bao.web.tenants import TenantSource, tenant_from_header, tenant_from_host
from dynamo_bao.wsgi import BatchContextMiddleware

__all__ = ["Bao", "tenant_from_header", "tenant_from_host"]

NAME = "dynamo_bao"
T = TypeVar("T")


class Bao:
    """The Flask extension: each request has a session, from its first hook to its last teardown function.

    A streamed response keeps the session until the server closes the response, with `flask.stream_with_context` or
    without. Uncommitted work makes the request fail, unless its response is an error already. Register the extension
    before other hooks that use models, because Flask runs hooks in the order of their registration.

    `flask.jsonify` takes instances and results of queries, and views can return dicts and lists of them. Other values
    keep the form that the application's JSON provider gives them.

    Args:
        app: the application; if left out, call `init_app` later.
        tenant: `tenant_from_header`, `tenant_from_host`, or a function that gets `flask.request` and returns a
            tenant id or None. A request with an invalid tenant id is aborted with 400.
        tenant_required: whether a request without a tenant is aborted with 400 too; by default it is. It needs
            `tenant`.
        server_timing: whether responses get a ``Server-Timing`` header with the figures of their requests to
            DynamoDB; by default they do.
        traces: the path of a page with the traces of the last requests, such as ``"/_bao"``. Use it for development
            only, because it shows keys and code to everyone who can reach it.
        session: options of the sessions, as `run_with_batch_context` takes them.

    Raises:
        ConfigurationError: for an unknown option or an invalid value, and for a second registration.

    Options are also read from ``app.config["DYNAMO_BAO"]``, a dict. Arguments override it.

    Example:
        >>> app = Flask(__name__)
        >>> bao = Bao(app, tenant=tenant_from_header("X-Tenant"))
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        tenant: TenantSource | None = None,
        tenant_required: bool | None = None,
        server_timing: bool | None = None,
        traces: str | None = None,
        **session: Unpack[SessionOptions],
    ) -> None:
        own_options = {
            "tenant": tenant,
            "tenant_required": tenant_required,
            "server_timing": server_timing,
            "traces": traces,
        }
        self._options: dict[str, Any] = {
            **{name: value for name, value in own_options.items() if value is not None},
            **session,
        }
        Service(**self._options)  # raises for wrong options, here at the call
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Adds sessions to the requests of an application, and the group ``flask bao`` to its command line.

        Args:
            app: the application.

        Raises:
            ConfigurationError: for a wrong option in ``app.config``, or if an extension is registered already.
        """
        if NAME in app.extensions:
            raise ConfigurationError(
                f"dynamo_bao is registered with the application {app.name!r} already; register it once."
            )
        serve_instances(app)
        options: dict[str, Any] = {"server_timing": True, **app.config.get("DYNAMO_BAO", {}), **self._options}
        tenants = Service(**options)
        without_tenant: dict[str, Any] = {**options, "tenant": None}
        middleware = BatchContextMiddleware(app.wsgi_app, **without_tenant)
        middleware.service.is_part = options.get("tenant") is not None
        is_first = not app.before_request_funcs.get(None)
        app.url_value_preprocessor(partial(_find_tenant_early, tenants, is_first))
        app.before_request(partial(serve_instances, app))  # if the application has another JSON provider now
        app.before_request(partial(_find_tenant, tenants))
        app.after_request(_finish)
        app.wsgi_app = middleware  # type: ignore[method-assign]
        app.cli.add_command(commands)
        app.extensions[NAME] = self

    @staticmethod
    def get_or_404(
        model: type[T], key: object = None, /, *, description: str | None = None, **parts: object
    ) -> T:
        """The instance for a key, loaded at once, for views.

        Args:
            model: the model.
            key, **parts: as `Model.find` takes them.
            description: the text of the 404 page; None for Flask's.

        Returns:
            The instance.

        Raises:
            werkzeug.exceptions.NotFound: if the item is not stored, or if no item can have the key. This ends the
                request with 404.

        Example:
            >>> @app.get("/users/<user_id>")
            ... def user(user_id):
            ...     return jsonify(Bao.get_or_404(User, user_id))
        """
        instance = stored_or_none(model, key, parts)
        return instance if instance is not None else abort(404, description)

    @staticmethod
    def first_or_404(results: Iterable[T], *, description: str | None = None) -> T:
        """The first match of a query, for views.

        Args:
            results: the result of a query or search, or any other instances.
            description: the text of the 404 page; None for Flask's.

        Returns:
            The instance.

        Raises:
            werkzeug.exceptions.NotFound: without a match. This ends the request with 404.

        Example:
            >>> newest = Bao.first_or_404(User.by_status.query("active", direction="DESC"))
        """
        instance = first_or_none(results)
        return instance if instance is not None else abort(404, description)


def _served() -> RequestScope | None:
    """The scope that the middleware opened for the request; None if a test only pushed a context."""
    request_scope: RequestScope | None = request.environ.get(REQUEST_KEY)
    return request_scope


def _find_tenant_early(service: Service, is_first: bool, *_: object) -> None:
    """Sets a tenant that needs no function of the application, for functions that read models by parts of the URL.

    Flask calls them before its first hook, which refuses requests without a tenant. If there are such functions, a
    request is refused here already.

    Args:
        is_first: whether the application has no hook before ours, which could answer a request without a tenant.
    """
    served = _served()
    if served and not service.needs_request:
        refusal = service.refusal(served, request.environ, request)
        if refusal and is_first and _has_functions_of_the_url():
            abort(400, refusal)


def _has_functions_of_the_url() -> bool:
    """Whether the application or a blueprint of the request has functions of `url_value_preprocessor` beside ours."""
    functions = current_app.url_value_preprocessors
    return sum(len(functions.get(name, ())) for name in (None, *request.blueprints)) > 1


def _find_tenant(service: Service) -> None:
    served = _served()
    refusal = served and service.refusal(served, request.environ, request)
    if refusal:
        abort(400, refusal)


def _finish(response: Response) -> Response:
    """Ends the session with the request unless the response is streamed, and raises for uncommitted work."""
    served = _served()
    if served is not None:
        served.status = response.status
        if _is_made_by_flask(response):
            response.make_sequence()
        if not response.is_streamed:
            served.require_committed()
            served.complete = True
    return response


def _is_made_by_flask(response: Response) -> bool:
    """Whether a response looks streamed only because Flask made it from an exception, such as ``abort(404)``."""
    has_known_length = response.content_length is not None and not response.direct_passthrough
    return response.is_streamed and response.status_code >= 300 and has_known_length
