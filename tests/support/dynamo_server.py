"""A server that answers like DynamoDB, over connections that stay open, and a direct sender to it."""

from __future__ import annotations

import email.utils
import itertools
import json
import re
import time
import zlib
from collections.abc import Callable
from typing import Any

from dynamo_bao.dynamodb.transport.botocore import BotocoreSender, ClientHandle, ResolvedEndpoint
from dynamo_bao.dynamodb.transport.direct import DirectSender
from dynamo_bao.dynamodb.transport.sigv4 import StaticCredentials
from dynamo_bao.dynamodb.transport.static_endpoint import StaticEndpoint
from tests.support.http_server import ReceivedRequest, Script, Served

ITEM = {"_pk": {"S": "o#acme"}, "_sk": {"S": "o"}, "org_id": {"S": "acme"}, "name": {"S": "Acme"}}
KEY = {name: ITEM[name] for name in ("_pk", "_sk")}
_ids = itertools.count(1)
_ID = re.compile(rb"(?<=x-amzn-RequestId: )\d{12}")
KEYS = StaticCredentials("AKID", "secret", "token")


def reply(body: object, status: str = "200 OK", *headers: str, date: float | None = None) -> bytes:
    """A reply with length, CRC and date, as DynamoDB sends it."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: application/x-amz-json-1.0",
        f"Date: {email.utils.formatdate(time.time() if date is None else date, usegmt=True)}",
        f"x-amzn-RequestId: {next(_ids):012}",
        f"x-amz-crc32: {zlib.crc32(data)}",
        f"Content-Length: {len(data)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + data


def again(data: bytes) -> bytes:
    """The same reply for another request, with a new id."""
    return _ID.sub(b"%012d" % next(_ids), data, count=1)


def refusal(code: str, message: str = "no", *, date: float | None = None, **members: Any) -> bytes:
    """An error reply."""
    kind = f"com.amazonaws.dynamodb.v20120810#{code}"
    return reply({"__type": kind, "message": message, **members}, "400 Bad Request", date=date)


def answer(served: Served, request: ReceivedRequest) -> None:
    """Answers lookups with one item, and other requests with the smallest reply."""
    served.send(reply({"Item": ITEM} if request.operation == "GetItem" else {"ConsumedCapacity": {}}))


def always(data: bytes) -> Script:
    """Answers everything with the same reply, each time with a new id."""
    return lambda served, request: served.send(again(data))


def way_of(request: ReceivedRequest) -> str:
    """The request path of a request. botocore numbers its calls."""
    return "lean" if request.header("amz-sdk-invocation-id") is None else "botocore"


class AlwaysValid(StaticEndpoint):
    """A static endpoint that stays valid although botocore is loaded, as in tests."""

    def is_still_valid(self) -> bool:
        return True


def _no_client() -> ClientHandle:
    raise AssertionError("a client was made")


def lean_wire(
    url: str,
    clock: Callable[[], float] = time.time,
    ca_bundle: str | None = None,
    read_timeout: float | None = None,
) -> DirectSender:
    """A direct sender to a server, without a client."""
    manner = ResolvedEndpoint(f"{url}/", "us-east-1", "dynamodb", "test")
    return DirectSender(
        BotocoreSender(_no_client, read_timeout=read_timeout),
        lambda: AlwaysValid(manner, KEYS, ca_bundle),
        clock,
    )
