"""Transports, put together: to AWS or any endpoint, and to an engine inside this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from dynamo_bao.dynamodb.transport.botocore import BotocoreSender, ClientHandle, attach, open_client
from dynamo_bao.dynamodb.transport.direct import DirectSender
from dynamo_bao.dynamodb.transport.embedded import CREDENTIALS, REGION, EmbeddedEngine
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from dynamo_bao.dynamodb.transport.static_endpoint import StaticEndpoint, endpoint_from_environment
from dynamo_bao.errors import ConfigurationError, suggestion

REQUEST_PATHS = ("lean", "botocore")
REPLY_CHECKS = ("strict", "lenient")


def checked_path(path: object, source: str) -> str:
    """The name of a request path; `ConfigurationError` for any other."""
    return _chosen(path, REQUEST_PATHS, source, "request_path")


def checked_reply_check(name: object, source: str) -> str:
    """The name of a way to check replies; `ConfigurationError` for any other."""
    return _chosen(name, REPLY_CHECKS, source, "reply_check")


def _chosen(word: object, words: tuple[str, str], source: str, field: str) -> str:
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
    credentials: Mapping[str, Any] | None = None,
    request_path: str = "lean",
    reply_check: str = "strict",
    read_timeout: float | None = None,
) -> RetryingTransport:
    """A transport to AWS, or to any endpoint; nothing is read or connected before it is first needed.

    Args:
        region, endpoint_url: where DynamoDB is; boto3's own settings apply where they are left out.
        max_concurrency: how many requests travel at once.
        credentials: boto3's ``aws_access_key_id`` and so on, instead of those boto3 finds.
        request_path: ``"lean"`` sends by itself whatever nobody listens for; ``"botocore"`` has boto3's client
            send everything.
        reply_check: ``"strict"`` believes that an item is missing, or a write done, only where the reply has the
            capacity that was consumed or a checksum; ``"lenient"`` is for engines that give neither.
        read_timeout: for how many seconds at most nothing may arrive in an attempt, before another one is made on
            another connection; None for 2.
    """
    given = dict(credentials or {})

    def opened() -> ClientHandle:
        return open_client(
            region=region,
            endpoint_url=endpoint_url,
            max_concurrency=max_concurrency,
            credentials=given,
            read_timeout=read_timeout,
        )

    boto = BotocoreSender(opened, lenient=reply_check == "lenient", read_timeout=read_timeout)
    if request_path == "botocore":
        return RetryingTransport(boto)

    def quick() -> StaticEndpoint | None:
        return endpoint_from_environment(
            os.environ, region=region, endpoint_url=endpoint_url, credentials=given, user_agent=_user_agent()
        )

    return RetryingTransport(DirectSender(boto, quick))


def embedded_transport(max_concurrency: int = 1, *, request_path: str = "lean") -> RetryingTransport:
    """A transport to a DynamoDB of its own, inside this process.

    Raises:
        ConfigurationError: where moto is not installed.
    """
    engine = EmbeddedEngine()

    def opened() -> ClientHandle:
        made = open_client(
            region=REGION, endpoint_url=None, max_concurrency=max_concurrency, credentials=CREDENTIALS
        )
        attach(made.client, engine)
        return made

    boto = BotocoreSender(opened)
    wire: Any = boto if request_path == "botocore" else DirectSender(boto)
    wire.is_embedded = True
    return RetryingTransport(wire)


def given_transport(
    client: Any, *, reply_check: str = "strict", read_timeout: float | None = None
) -> RetryingTransport:
    """A transport over the user's own client, which sends everything in its own way."""
    lenient = reply_check == "lenient"
    wire = BotocoreSender(
        lambda: ClientHandle(client), given=True, lenient=lenient, read_timeout=read_timeout
    )
    return RetryingTransport(wire)


def _user_agent() -> str:
    return f"dynamo_bao Python/{sys.version.split()[0]}"
