"""The server of ``bao local`` in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from dynamo_bao.testing.local_server import LocalServer
from tests.support.patience import PATIENCE


@contextmanager
def local_server() -> Iterator[LocalServer]:
    """A server on a free port. It ends with the block."""
    with LocalServer(port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(PATIENCE)


def client_of(server: LocalServer, region: str = "us-east-1") -> Any:
    """boto3's client for a server, with credentials that nobody knows."""
    return boto3.client(
        "dynamodb",
        endpoint_url=server.url,
        region_name=region,
        aws_access_key_id="any",
        aws_secret_access_key="thing",
    )
