"""Builds transports: to AWS or any endpoint, and to an engine inside this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from dynamo_bao.dynamodb.transport.botocore import BotocoreSender, ClientHandle, attach, open_client
from dynamo_bao.dynamodb.transport.direct import DirectSender
from dynamo_bao.dynamodb.transport.event_hooks import require_low_level
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from dynamo_bao.dynamodb.transport.static_endpoint import StaticEndpoint, endpoint_from_environment
from dynamo_bao.errors import ConfigurationError, suggestion

REQUEST_PATHS = ("lean", "botocore")
REPLY_CHECKS = ("strict", "lenient")


def checked_path(path: object, source: str) -> str:
    """The name of a request path; `ConfigurationError` for any other."""
    return _require_word(path, REQUEST_PATHS, source, "request_path")


def checked_reply_check(name: object, source: str) -> str:
    """The name of a way to check replies; `ConfigurationError` for any other."""
    return _require_word(name, REPLY_CHECKS, source, "reply_check")


def _require_word(word: object, words: tuple[str, str], source: str, field: str) -> str:
    if word not in words:
        hint = suggestion(str(word), words)
        raise ConfigurationError(
            f"{source} is {word!r}; use {words[0]!r} or {words[1]!r}.{hint}", field=field
        )
    return str(word)


def boto_transport(
    *,
    region: str | None = None,
    endpoint_url: str | None = None,
    max_concurrency: int = 1,
    credentials: Mapping[str, object] | None = None,
    request_path: str = "lean",
    reply_check: str = "strict",
    read_timeout: float | None = None,
) -> RetryingTransport:
    """A transport to AWS or to any endpoint. It reads and connects nothing before the first request.

    Args:
        region, endpoint_url: the location of DynamoDB; None for boto3's settings.
        max_concurrency: the most requests that are sent at the same time.
        credentials: boto3's arguments ``aws_access_key_id`` and so on; None for boto3's credentials.
        request_path: ``"lean"`` sends requests directly unless somebody listens for them; ``"botocore"`` sends all
            requests through boto3's client.
        reply_check: ``"strict"`` takes an item as missing, or a write as done, only if the reply has the consumed
            capacity or a checksum; ``"lenient"`` is for engines that send neither.
        read_timeout: the most seconds of an attempt in which nothing arrives, before another attempt on another
            connection; None for 2.

    Returns:
        The transport.

    Example:
        >>> transport = boto_transport(endpoint_url="http://localhost:8000", region="eu-west-1")
        >>> manager = init_models(models=[User], transport=transport)
    """
    client_credentials = dict(credentials or {})

    def open_handle() -> ClientHandle:
        return open_client(
            region=region,
            endpoint_url=endpoint_url,
            max_concurrency=max_concurrency,
            credentials=client_credentials,
            read_timeout=read_timeout,
        )

    boto = BotocoreSender(open_handle, lenient=reply_check == "lenient", read_timeout=read_timeout)
    if request_path == "botocore":
        return RetryingTransport(boto)

    def find_static_endpoint() -> StaticEndpoint | None:
        return endpoint_from_environment(
            os.environ,
            region=region,
            endpoint_url=endpoint_url,
            credentials=client_credentials,
            user_agent=_user_agent(),
        )

    return RetryingTransport(DirectSender(boto, find_static_endpoint))


def embedded_transport(max_concurrency: int = 1, *, request_path: str = "lean") -> RetryingTransport:
    """A transport to an embedded engine inside this process. Each transport has a separate engine.

    Args:
        max_concurrency: the most requests that are sent at the same time.
        request_path: ``"lean"`` or ``"botocore"``; see `boto_transport`.

    Returns:
        The transport.

    Raises:
        ConfigurationError: if moto is not installed.

    Example:
        >>> manager = init_models(models=[User], transport=embedded_transport())
    """
    # Imported here: only programs that embed an engine need it.
    from dynamo_bao.dynamodb.transport.embedded.account import CREDENTIALS, REGION
    from dynamo_bao.dynamodb.transport.embedded.engine import EmbeddedEngine
    from dynamo_bao.dynamodb.transport.embedded.sender import EmbeddedSender

    engine = EmbeddedEngine(shortest_name=1)

    def open_handle() -> ClientHandle:
        handle = open_client(
            region=REGION, endpoint_url=None, max_concurrency=max_concurrency, credentials=CREDENTIALS
        )
        attach(handle.client, engine.answer)
        return handle

    boto = BotocoreSender(open_handle)
    wire: Any = boto if request_path == "botocore" else EmbeddedSender(boto, engine.answer_to)
    wire.is_embedded = True
    return RetryingTransport(wire)


def given_transport(
    client: object, *, reply_check: str = "strict", read_timeout: float | None = None
) -> RetryingTransport:
    """A transport over a client of the user. The client sends all requests.

    Args:
        client: the boto3 client.
        reply_check, read_timeout: see `boto_transport`.

    Raises:
        ConfigurationError: if it is the client of a boto3 resource.
    """
    require_low_level(client)
    lenient = reply_check == "lenient"
    wire = BotocoreSender(
        lambda: ClientHandle(client), is_users=True, lenient=lenient, read_timeout=read_timeout
    )
    return RetryingTransport(wire)


def _user_agent() -> str:
    return f"dynamo_bao Python/{sys.version.split()[0]}"
