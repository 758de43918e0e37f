"""A DynamoDB for many tests: one engine, and one table for each test."""

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
from copy import copy
from typing import Any

from dynamo_bao.dynamodb import table_admin
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.embedded.account import CREDENTIALS, REGION
from dynamo_bao.dynamodb.transport.factory import boto_transport, embedded_transport
from dynamo_bao.dynamodb.transport.http import HttpOrigin
from dynamo_bao.dynamodb.transport.messages import Clock, Reply, Request, Transport
from dynamo_bao.errors import ConfigurationError, SeveralManagersWarning
from dynamo_bao.models.manager import Manager, ModelsArgument, init_models

CONNECT_SECONDS = 3.0
LEFTOVER_SECONDS = 6 * 3600.0
"""The age in seconds from which a table counts as a leftover of a killed run, if its process is unknown."""
_TABLE = re.compile(r"bao-test-(?P<host>[0-9a-f]{8})-(?P<process>\d+)-(?P<made>\d+)-[0-9a-f]{12}\Z")


class SharedTransport:
    """Passes requests on, and stays open when a manager is closed."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.wire: Any = getattr(inner, "wire", None)

    @property
    def clock(self) -> Clock:
        return self._inner.clock

    def send(self, request: Request, *, deadline: float) -> Reply:
        return self._inner.send(request, deadline=deadline)

    def close(self) -> None:
        """Does nothing. The engine closes the transport."""


class SharedEngine:
    """An engine that starts once, for any number of managers. It is also a context manager.

    Args:
        endpoint_url: the endpoint of a DynamoDB Local or another engine; without it, one runs inside this process.
            Requests have made-up credentials, never real ones.

    Attributes:
        endpoint_url: the endpoint, or None.
        transport: sends requests to the engine. It stays open when managers close it.

    Raises:
        ConfigurationError: if no server answers at the endpoint, or moto is not installed.

    Example:
        >>> with SharedEngine() as engine, engine.fresh(models=[User]) as manager:
        ...     User.create(name="Ada")
    """

    def __init__(self, endpoint_url: str | None = None) -> None:
        self.endpoint_url: str | None = endpoint_url or None
        if self.endpoint_url is None:
            self._transport: Transport = embedded_transport()
        else:
            _require_listener(self.endpoint_url)
            self._transport = boto_transport(
                region=REGION, endpoint_url=self.endpoint_url, credentials=dict(CREDENTIALS)
            )
        self.transport: SharedTransport = SharedTransport(self._transport)

    @contextmanager
    def fresh(self, models: ModelsArgument = None, **options: Any) -> Iterator[Manager]:
        """A manager on a new table, which is deleted at the end of the block.

        Args:
            models: as in `init_models`; all models by default.
            options: further arguments of `init_models`.

        Returns:
            A context manager that yields the manager.
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
                table_admin.delete_table(_open(manager.database))

    def remove_leftovers(self, seconds: float = LEFTOVER_SECONDS) -> list[str]:
        """Deletes the tables that killed runs have left at the endpoint, and returns their names.

        The name of a table of `fresh` states its machine, process and time. A table is deleted if its process does not
        run any more on this machine, or if it is older than `seconds`. No other table is deleted.

        Args:
            seconds: the age of a leftover in seconds.

        Returns:
            The names of the deleted tables.
        """
        if self.endpoint_url is None:
            return []
        client: Any = getattr(self._transport, "wire").client  # noqa: B009  # a boto3 client, which has no types
        pages = client.get_paginator("list_tables").paginate()
        names = [name for page in pages for name in page["TableNames"]]
        return [name for name in names if is_leftover(name, seconds) and _deleted(client, name)]

    def close(self) -> None:
        """Closes connections, and drops the data of an engine inside this process."""
        self._transport.close()

    def __enter__(self) -> SharedEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SharedEngine {self.endpoint_url or 'inside this process'}>"


def _open(database: Database) -> Database:
    """The same table, open also if a test, or the application that it runs, has closed its manager."""
    database = copy(database)
    database.is_closed = False
    return database


def is_leftover(name: str, seconds: float) -> bool:
    """Whether a table was made by a test that has certainly ended.

    Args:
        name: the name of the table.
        seconds: the age in seconds from which it has, if its process is unknown.
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
    """Deletes a table; False if another run deletes it at the same time."""
    try:
        client.delete_table(TableName=name)
    except (client.exceptions.ResourceNotFoundException, client.exceptions.ResourceInUseException):
        return False
    return True


def _require_listener(url: str) -> None:
    """Raises at once if no server answers, because every test would retry until its deadline."""
    try:
        origin = HttpOrigin.of(url)
    except ValueError:
        raise ConfigurationError(
            f"{url!r} is no endpoint; give one such as http://localhost:8000.", field="endpoint_url"
        ) from None
    try:
        socket.create_connection((origin.host, origin.port), CONNECT_SECONDS).close()
    except OSError as error:
        raise ConfigurationError(
            f"Nothing answers at {url} ({error}). Start a DynamoDB there, or leave the endpoint out to use the one "
            f"inside this process.",
            field="endpoint_url",
        ) from error
