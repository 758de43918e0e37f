"""Whether anybody listens to a boto3 client: handlers on its events, or wrappers put around its functions.

Whoever does (moto's ``mock_aws``, a Stubber, X-Ray, OpenTelemetry) expects every request to come by. The lean
wire asks here before each of its requests, and leaves those that somebody wants to see to botocore. Only
handlers of ``before-send`` it can call itself.
"""

from __future__ import annotations

import enum
import functools
import os
from types import FunctionType
from typing import Any, Final

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


class Listeners(enum.Enum):
    """Who wants to see the requests of an operation."""

    NOBODY = "nobody"
    BEFORE_SEND = "handlers of before-send"
    ANYBODY = "somebody who needs the whole of botocore"


class Ears:
    """Watches one client for listeners.

    Args:
        client: a boto3 client made by this library.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._named: Any = None
        self._heard: dict[str, Listeners] = {}
        self._emitter = getattr(client.meta.events, "_emitter", client.meta.events)
        self._service = client.meta.service_model.service_id.hyphenize()
        self._endpoint = getattr(client, "_endpoint", None)
        self._kind, self._endpoint_kind = type(client), type(self._endpoint)
        self._sender = type(getattr(self._endpoint, "http_session", None))
        self._untouched = self._functions() if all(map(_is_botocores, self._functions())) else None

    def _functions(self) -> tuple[Any, ...]:
        """The functions that tracers put their own around, as they are now."""
        kind, endpoint = self._kind, self._endpoint_kind
        return (
            getattr(kind, "_make_api_call", None),
            getattr(kind, "_make_request", None),
            getattr(endpoint, "make_request", None),
            getattr(endpoint, "_send_request", None),
            getattr(endpoint, "prepare_request", None),
            getattr(endpoint, "_send", None),
            getattr(self._sender, "send", None),
        )

    def listeners(self, operation: str, method: str) -> Listeners:
        """Who wants to see a request now.

        Args:
            operation: the API operation, such as ``"GetItem"``.
            method: the client's method for it, such as ``"get_item"``.
        """
        named = getattr(self._emitter, "_lookup_cache", None)
        if named is None or self._untouched is None or method in self._client.__dict__:
            return Listeners.ANYBODY
        if named is not self._named:  # a handler came or went: botocore then begins this dict anew
            self._named, self._heard = named, {}
        if self._functions() != self._untouched:
            return Listeners.ANYBODY
        heard = self._heard.get(operation)
        if heard is None:
            heard = self._heard[operation] = self._ask(operation)
        return heard

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
    """Whether a handler is neither botocore's own nor this library's."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    room = str(getattr(handler, "__module__", None) or type(handler).__module__)
    if room in _FOREIGN_ROOMS:
        return True
    return room.split(".")[0] != "botocore" and room != "dynamo_bao.transport.boto"


def _is_botocores(function: Any) -> bool:
    """Whether a function is the one that botocore's source has, and none that wraps it."""
    return isinstance(function, FunctionType) and f"{os.sep}botocore{os.sep}" in function.__code__.co_filename
