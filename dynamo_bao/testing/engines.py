"""A DynamoDB for many tests: one engine, and a table of its own for each."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from dynamo_bao.dynamodb.transport.embedded import CREDENTIALS, REGION
from dynamo_bao.dynamodb.transport.factory import boto_transport, embedded_transport
from dynamo_bao.dynamodb.transport.messages import Clock, Reply, Request, Transport
from dynamo_bao.errors import ConfigurationError, SeveralManagersWarning
from dynamo_bao.models.manager import Manager, ModelsArgument, init_models

CONNECT_SECONDS = 3.0
LEFTOVER_SECONDS = 6 * 3600.0
"""From what age on a test's table is taken for one that a killed run has left, where its process cannot be asked."""
_TABLE = re.compile(r"bao-test-(?P<host>[0-9a-f]{8})-(?P<process>\d+)-(?P<made>\d+)-[0-9a-f]{12}\Z")


class SharedTransport:
    """Passes requests on, and stays open when a manager that uses it is closed."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.wire: Any = getattr(inner, "wire", None)

    @property
    def clock(self) -> Clock:
        return self._inner.clock

    def send(self, request: Request, *, deadline: float) -> Reply:
        return self._inner.send(request, deadline=deadline)

    def close(self) -> None:
        """Does nothing: whoever lent it closes it."""


class SharedEngine:
    """An engine whose start is paid once, however many managers use it; also a context manager.

    Args:
        endpoint_url: where a DynamoDB Local or the like listens; left out, one runs inside this process. It is
            spoken to with credentials made up for it, never with real ones.

    Attributes:
        endpoint_url: the same.
        transport: carries requests to it; managers may close it as often as they like.

    Raises:
        ConfigurationError: where nothing listens at the endpoint, or moto is not installed.

    Example:
        >>> with SharedEngine() as engine, engine.fresh(models=[User]) as manager:
        ...     User.create(name="Ada")
    """

    def __init__(self, endpoint_url: str | None = None) -> None:
        self.endpoint_url = endpoint_url or None
        if self.endpoint_url is None:
            self._transport: Transport = embedded_transport()
        else:
            _require_listener(self.endpoint_url)
            self._transport = boto_transport(
                region=REGION, endpoint_url=self.endpoint_url, credentials=dict(CREDENTIALS)
            )
        self.transport = SharedTransport(self._transport)

    @contextmanager
    def fresh(self, models: ModelsArgument = None, **options: Any) -> Iterator[Manager]:
        """A manager on a new table, which is deleted at the end of the block.

        Args:
            models: as in `init_models`: every model there is where they are left out.
            options: further arguments of `init_models`.
        """
        name = f"bao-test-{_host()}-{os.getpid()}-{int(time.time())}-{uuid.uuid4().hex[:12]}"
        options = {"table_name": name, "transport": self.transport, **options}
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", SeveralManagersWarning
            )  # it takes the place of the application's own
            manager = init_models(models=models, **options)
        manager._replaces_others = True
        with manager:
            manager.create_table()
            try:
                yield manager
            finally:
                manager.delete_table()

    def remove_leftovers(self, seconds: float = LEFTOVER_SECONDS) -> list[str]:
        """Deletes the tables that killed runs have left at the endpoint, and returns their names.

        A table of `fresh` says in its name which process of which machine made it, and when. One whose process runs no
        more on this machine is deleted, and one of any machine that is older than a test takes. No other table is.

        Args:
            seconds: from what age on.
        """
        if self.endpoint_url is None:
            return []
        client: Any = getattr(self._transport, "wire").client  # noqa: B009  # a boto3 client, which has no types
        pages = client.get_paginator("list_tables").paginate()
        names = [name for page in pages for name in page["TableNames"]]
        return [name for name in names if is_leftover(name, seconds) and _deleted(client, name)]

    def close(self) -> None:
        """Gives back connections, and forgets what an engine inside this process holds."""
        self._transport.close()

    def __enter__(self) -> SharedEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SharedEngine {self.endpoint_url or 'inside this process'}>"


def is_leftover(name: str, seconds: float) -> bool:
    """Whether a table is one that a test made, and whose test is certainly over.

    Args:
        seconds: from what age on it is, where the process that made it cannot be asked.
    """
    parts = _TABLE.match(name)
    if parts is None:
        return False
    if parts["host"] == _host() and os.name == "posix" and not _runs(int(parts["process"])):
        return True
    return time.time() - int(parts["made"]) > seconds


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _deleted(client: Any, name: str) -> bool:
    """Deletes a table; False where another run does so at the same moment."""
    try:
        client.delete_table(TableName=name)
    except (client.exceptions.ResourceNotFoundException, client.exceptions.ResourceInUseException):
        return False
    return True


def _require_listener(url: str) -> None:
    """Tells at once what would otherwise be retried until the deadline of every test."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"{url!r} is no endpoint; give one such as http://localhost:8000.", field="endpoint_url"
        )
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), CONNECT_SECONDS).close()
    except OSError as error:
        raise ConfigurationError(
            f"Nothing answers at {url} ({error}). Start a DynamoDB there, or leave the endpoint out to use the one "
            f"inside this process.",
            field="endpoint_url",
        ) from error
