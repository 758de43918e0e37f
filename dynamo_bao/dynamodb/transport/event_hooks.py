"""Finds out whether anybody listens to a boto3 client: handlers of its events, or wrappers around its functions.

Listeners (moto's ``mock_aws``, a Stubber, X-Ray, OpenTelemetry) expect to see every request. The direct sender asks
here before each of its requests; for the requests of a commit, before the first one of each operation. If somebody
listens, botocore sends the request. Only handlers of ``before-send`` are called by the direct sender itself.
"""

from __future__ import annotations

import enum
import functools
from operator import attrgetter, is_
from typing import Any, Final

from dynamo_bao.dynamodb.transport.botocore import BotocoreSender
from dynamo_bao.dynamodb.transport.botocore_http import connection_pools, is_botocores, original_of
from dynamo_bao.errors import ConfigurationError

BEFORE_SEND: Final = "before-send"
_EVENTS: Final = (
    "provide-client-params",
    "before-parameter-build",
    "before-endpoint-resolution",
    "before-call",
    "request-created",
    "choose-signer",
    "before-sign",
    BEFORE_SEND,
    "response-received",
    "before-parse",
    "needs-retry",
    "after-call",
    "after-call-error",
)
"""The events of one call, in the order botocore emits them."""
_FOREIGN_MODULES: Final = ("botocore.stub",)
_REPLACEABLE: Final = frozenset(
    ("_make_api_call", "_make_request", "make_request", "_send_request", "prepare_request", "_send")
)
"""The methods that tests replace on one client or its endpoint, instead of on their classes."""


_WATCHED: Final = attrgetter(
    "_client._endpoint",
    "_endpoint.http_session",
    *("_client_class._make_api_call", "_client_class._make_request"),
    *("_endpoint_class.make_request", "_endpoint_class._send_request"),
    *("_endpoint_class.prepare_request", "_endpoint_class._send"),
    "_session_class.send",
    *("_plain_pool.ConnectionCls", "_encrypted_pool.ConnectionCls"),
)
"""Gets what tracing libraries replace, as currently installed: objects of the client, and botocore's functions."""
_OBJECTS: Final = 2
"""How many of these are objects of the client."""


class Listeners(enum.Enum):
    """The listeners to the requests of an operation."""

    NOBODY = "nobody"
    BEFORE_SEND = "handlers of before-send"
    ANYBODY = "somebody who needs the whole of botocore"


class EventHookProbe:
    """Watches one client for listeners.

    Args:
        client: a boto3 client made by this library.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known_listeners: tuple[object, dict[str, Listeners]] = (None, {})
        self._emitter = getattr(client.meta.events, "_emitter", client.meta.events)
        self._service = client.meta.service_model.service_id.hyphenize()
        self._endpoint: Any = getattr(client, "_endpoint", None)
        self._session: object = getattr(self._endpoint, "http_session", None)
        self._original: object = original_of(self._session)
        self._client_class, self._endpoint_class = type(client), type(self._endpoint)
        self._session_class = type(self._original)
        self._plain_pool, self._encrypted_pool = connection_pools()
        self._untouched = self._watched()
        if not all(map(is_botocores, self._untouched[_OBJECTS:])):
            self._untouched = ()

    def _watched(self) -> tuple[object, ...]:
        """What `_WATCHED` gets; empty with a botocore of other internals."""
        try:
            return _WATCHED(self)
        except AttributeError:
            return ()

    def listeners(self, operation: str, method: str) -> Listeners:
        """The listeners to a request now.

        Args:
            operation: the API operation, such as ``"GetItem"``.
            method: the client's method for it, such as ``"get_item"``.
        """
        lookups = getattr(self._emitter, "_lookup_cache", None)
        watched = self._watched()
        if lookups is None or not watched or not self._untouched or self._is_patched(method):
            return Listeners.ANYBODY
        # By identity: a wrapper may equal the function that it wraps.
        if not all(map(is_, watched, self._untouched)):
            return Listeners.ANYBODY
        cached_lookups, answers = self._known_listeners  # one read, because other threads ask too
        if lookups is not cached_lookups:  # a handler came or went: botocore then makes a new dict
            answers = {}
            self._known_listeners = (lookups, answers)
        listeners = answers.get(operation)
        if listeners is None:
            listeners = answers[operation] = self._ask(operation)
        return listeners

    def _is_patched(self, method: str) -> bool:
        """Whether a function was replaced on the client, its endpoint or its HTTP session."""
        attributes = self._client.__dict__
        return (
            method in attributes
            or not _REPLACEABLE.isdisjoint(attributes)
            or not _REPLACEABLE.isdisjoint(self._endpoint.__dict__)
            or "send" in self._session.__dict__
            or "send" in self._original.__dict__
        )

    def _ask(self, operation: str) -> Listeners:
        try:
            search = self._emitter._handlers.prefix_search
            foreign = [
                event
                for event in _EVENTS
                if any(map(_is_foreign, search(f"{event}.{self._service}.{operation}")))
            ]
        except (AttributeError, TypeError):  # a botocore with other internals
            return Listeners.ANYBODY
        if not foreign:
            return Listeners.NOBODY
        return Listeners.BEFORE_SEND if foreign == [BEFORE_SEND] else Listeners.ANYBODY


def require_low_level(client: Any) -> None:
    """Refuses the client of a boto3 resource, which converts the values of attributes that are converted already.

    Raises:
        ConfigurationError: if `client` is such a client.
    """
    try:
        emitter = getattr(client.meta.events, "_emitter", client.meta.events)
        handlers = emitter._handlers.prefix_search("before-parameter-build.dynamodb.PutItem")
        modules = {getattr(handler, "__module__", None) for handler in handlers}
    except (AttributeError, TypeError):  # a botocore with other internals
        return
    if "boto3.dynamodb.transform" in modules:
        raise ConfigurationError(
            "client= is the .meta.client of a boto3 resource, which converts the values of attributes itself; "
            "give a client of its own: boto3.client('dynamodb').",
            field="client",
        )


def _is_foreign(handler: object) -> bool:
    """Whether a handler is neither botocore's nor that of the library's `BotocoreSender`."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    if isinstance(getattr(handler, "__self__", None), BotocoreSender):
        return False
    module = str(getattr(handler, "__module__", None) or type(handler).__module__)
    return module in _FOREIGN_MODULES or module.split(".")[0] != "botocore"
