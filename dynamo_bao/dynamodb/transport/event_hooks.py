"""Whether anybody listens to a boto3 client: handlers on its events, or wrappers put around its functions.

Whoever does (moto's ``mock_aws``, a Stubber, X-Ray, OpenTelemetry) expects every request to come by. The lean
wire asks here before each of its requests, and leaves those that somebody wants to see to botocore. Only
handlers of ``before-send`` it can call itself.
"""

from __future__ import annotations

import enum
import functools
from operator import is_
from typing import Any, Final

from dynamo_bao.dynamodb.transport.botocore import BotocoreSender
from dynamo_bao.dynamodb.transport.botocore_http import connection_pools, is_botocores, original_of

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
_FOREIGN_ROOMS: Final = ("botocore.stub",)
_REPLACEABLE: Final = frozenset(
    ("_make_api_call", "_make_request", "make_request", "_send_request", "prepare_request", "_send")
)
"""What tests replace on one client or its endpoint, instead of on their classes."""


class Listeners(enum.Enum):
    """Who wants to see the requests of an operation."""

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
        self._known_listeners: tuple[Any, dict[str, Listeners]] = (None, {})
        self._emitter = getattr(client.meta.events, "_emitter", client.meta.events)
        self._service = client.meta.service_model.service_id.hyphenize()
        self._endpoint: Any = getattr(client, "_endpoint", None)
        self._session: Any = getattr(self._endpoint, "http_session", None)
        self._original: Any = original_of(self._session)
        self._kinds = type(client), type(self._endpoint), type(self._original)
        self._pools = connection_pools()
        self._untouched = self._functions() if all(map(is_botocores, self._functions())) else None

    def _functions(self) -> tuple[Any, ...]:
        """The functions and classes that tracers and recorders put their own in place of, as they are now."""
        client, endpoint, session = self._kinds
        pool, encrypted = self._pools
        return (
            getattr(client, "_make_api_call", None),
            getattr(client, "_make_request", None),
            getattr(endpoint, "make_request", None),
            getattr(endpoint, "_send_request", None),
            getattr(endpoint, "prepare_request", None),
            getattr(endpoint, "_send", None),
            getattr(session, "send", None),
            getattr(pool, "ConnectionCls", None),
            getattr(encrypted, "ConnectionCls", None),
        )

    def listeners(self, operation: str, method: str) -> Listeners:
        """Who wants to see a request now.

        Args:
            operation: the API operation, such as ``"GetItem"``.
            method: the client's method for it, such as ``"get_item"``.
        """
        named = getattr(self._emitter, "_lookup_cache", None)
        if named is None or self._untouched is None or self._is_dressed(method):
            return Listeners.ANYBODY
        # By identity: a wrapper may say that it equals what it wraps.
        if not all(map(is_, self._functions(), self._untouched)):
            return Listeners.ANYBODY
        known, answers = self._known_listeners  # as one, because other threads ask too
        if named is not known:  # a handler came or went: botocore then begins this dict anew
            answers = {}
            self._known_listeners = (named, answers)
        heard = answers.get(operation)
        if heard is None:
            heard = answers[operation] = self._ask(operation)
        return heard

    def _is_dressed(self, method: str) -> bool:
        """Whether a function was replaced on the client itself, or on what it sends with."""
        own = self._client.__dict__
        return (
            method in own
            or not _REPLACEABLE.isdisjoint(own)
            or self._client._endpoint is not self._endpoint
            or not _REPLACEABLE.isdisjoint(self._endpoint.__dict__)
            or self._endpoint.http_session is not self._session
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
        except (AttributeError, TypeError):  # a botocore whose inside is another
            return Listeners.ANYBODY
        if not foreign:
            return Listeners.NOBODY
        return Listeners.BEFORE_SEND if foreign == [BEFORE_SEND] else Listeners.ANYBODY


def _is_foreign(handler: Any) -> bool:
    """Whether a handler is neither botocore's own nor that with which the wire itself watches."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    if isinstance(getattr(handler, "__self__", None), BotocoreSender):
        return False
    room = str(getattr(handler, "__module__", None) or type(handler).__module__)
    return room in _FOREIGN_ROOMS or room.split(".")[0] != "botocore"
