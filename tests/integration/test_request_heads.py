"""What stands in the head of a request, and how the head of a reply may be written, on every way of sending."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.httpsession import create_urllib3_context

from dynamo_bao import BaoError
from dynamo_bao.dynamodb.transport.factory import given_transport
from dynamo_bao.dynamodb.transport.messages import AttemptFailed, Request, RequestOutcome, outcome_of
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from dynamo_bao.dynamodb.transport.static_endpoint import endpoint_from_environment
from dynamo_bao.dynamodb.transport.tls import trusted_context
from dynamo_bao.testing import boto_transport
from tests.support import paths
from tests.support.authorities import Authority
from tests.support.dynamo_server import ITEM, KEY, answer, lean_wire, reply
from tests.support.http_server import ReceivedRequest, Served, http_server
from tests.support.patience import PATIENCE

pytestmark = pytest.mark.skipif(paths.chosen() != "lean", reason="this makes its ways of sending itself")
GET = Request("GetItem", {"TableName": "t", "Key": KEY, "ReturnConsumedCapacity": "TOTAL"})
CONTROLS = [chr(code) for code in (*range(32), 127)]
SOUND = {
    "aws_access_key_id": "AKID",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
    "region": "us-east-1",
    "endpoint_url": "",
}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials, a region, and a home without files."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("HOME", str(tmp_path))


def elsewhere(client: Any) -> Any:
    """A client whose own session sends, as for proxies, because somebody has wrapped it."""
    session = client._endpoint.http_session
    session.send = session.send
    return client


@pytest.mark.parametrize("way", ["lean", "botocore", "given", "elsewhere"])
@pytest.mark.parametrize("part", ["aws_access_key_id", "aws_session_token", "region", "endpoint_url"])
def test_no_control_character_reaches_a_head(way: str, part: str) -> None:
    """In the access key, the token, the region or the endpoint: refused before anything is sent."""
    with http_server(answer) as server:
        for char in CONTROLS:
            parts = {**SOUND, "endpoint_url": server.url()}
            parts[part] += f"{char}X-Injected: 1"
            region, url = parts.pop("region"), parts.pop("endpoint_url")
            if way in ("given", "elsewhere") and part in ("region", "endpoint_url"):
                continue  # boto3 makes no such client
            if way in ("lean", "botocore"):
                assert (
                    endpoint_from_environment(
                        {}, region=region, endpoint_url=url, credentials=parts, user_agent="x"
                    )
                    is None
                )
                transport = boto_transport(
                    region=region, endpoint_url=url, credentials=parts, request_path=way
                )
            else:
                client = boto3.client("dynamodb", region_name=region, endpoint_url=url, **parts)
                transport = given_transport(client if way == "given" else elsewhere(client))
            with pytest.raises(BaoError) as caught:
                transport.send(GET, deadline=1e9)
            assert outcome_of(caught.value) is RequestOutcome.NOT_SENT, (char, caught.value)
            transport.close()
        assert server.asked == []


@pytest.mark.parametrize("way", ["given", "elsewhere"])
def test_no_control_character_of_a_handler_reaches_a_head(way: str) -> None:
    """Not in the user agent, nor in any other header that a handler of botocore's events sets."""
    with http_server(answer) as server:
        for char in CONTROLS:
            for header in ("User-Agent", "X-Amz-Target", "X-Own"):
                client = boto3.client("dynamodb", endpoint_url=server.url())

                def inject(request: Any, header: str = header, char: str = char, **_: object) -> None:
                    request.headers[header] = f"1{char}X-Injected: 1"

                client.meta.events.register("before-send.dynamodb", inject)
                transport = given_transport(client if way == "given" else elsewhere(client))
                with pytest.raises(BaoError, match="nothing was sent") as caught:
                    transport.send(GET, deadline=1e9)
                assert outcome_of(caught.value) is RequestOutcome.NOT_SENT
                transport.close()
        assert server.asked == []


# --- hosts -------------------------------------------------------------------------------------------------

HOSTS = ("my_host", "a.b_c", "_x", "x_", "-x", "x-", "x" * 64)
SCRIPT = """
import sys
if sys.argv[1] == "boto3":
    import boto3
from dynamo_bao.testing import boto_transport
from dynamo_bao.dynamodb.transport.messages import Request
request = Request("GetItem", {"TableName": "t", "Key": {"_pk": {"S": "a"}, "_sk": {"S": "b"}}})
for host in sys.argv[2:]:
    transport = boto_transport(endpoint_url=f"http://{host}:1")
    for _ in range(2):
        try:
            transport.send(request, deadline=1e9)
        except Exception as error:
            print(host, type(error).__name__, error)
    transport.close()
"""


def test_hosts_are_the_same_with_and_without_boto3() -> None:
    """What botocore refuses is refused before botocore is loaded too, and says what a host may be called."""
    told = {
        imported: subprocess.run(
            [sys.executable, "-c", SCRIPT, imported, *HOSTS], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for imported in ("boto3", "nothing")
    }
    assert told["boto3"] == told["nothing"]
    assert len(told["boto3"]) == 2 * len(HOSTS)
    for line in told["boto3"]:
        assert " ConfigurationError Invalid endpoint: http://" in line
        assert "has letters, digits, - and . only" in line


@pytest.mark.parametrize("region", ["eu/x", "12345", "-eu", "eu-", "eu west"])
def test_regions_are_the_same_with_and_without_boto3(region: str) -> None:
    """What botocore takes for no region is left to botocore from the first request on."""
    url = "http://localhost:8000"
    made = endpoint_from_environment({}, region=region, endpoint_url=url, credentials=SOUND, user_agent="x")
    assert made is None
    with pytest.raises(BaoError, match=r"[Rr]egion"):
        boto_transport(region=region, endpoint_url=url).send(GET, deadline=1e9)


# --- heads and bodies of replies -----------------------------------------------------------------------------

WAYS: dict[str, Callable[[str], RetryingTransport]] = {
    "lean": lambda url: RetryingTransport(lean_wire(url)),
    "botocore": lambda url: boto_transport(endpoint_url=url, request_path="botocore"),
    "elsewhere": lambda url: given_transport(elsewhere(boto3.client("dynamodb", endpoint_url=url))),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pieces", [1, 2, 3, 1000])
def test_lines_of_heads_may_end_with_a_bare_line_feed(way: str, pieces: int) -> None:
    """All of them, or each second one, in pieces of any size."""
    number = 0

    def script(served: Served, asked: ReceivedRequest) -> None:
        nonlocal number
        head, _, body = reply({"Item": ITEM}).partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        ends = [b"\n" if number == 0 or at % 2 == number % 2 else b"\r\n" for at in range(len(lines) + 1)]
        data = b"".join(line + end for line, end in zip([*lines, b""], ends, strict=True)) + body
        number += 1
        for start in range(0, len(data), pieces):
            served.send(data[start : start + pieces])

    with http_server(script) as server:
        transport = WAYS[way](server.url())
        for _ in range(3):
            sent = transport.send(GET, deadline=1e9)
            assert (sent.parsed["Item"], sent.attempts) == (ITEM, 1)
        transport.close()


@pytest.mark.parametrize("way", WAYS)
def test_H10_no_more_is_read_than_the_operation_can_return(way: str) -> None:
    """Also where another session than ours sends: it stops, and so does its thread."""
    taken = 0

    def script(served: Served, asked: ReceivedRequest) -> None:
        nonlocal taken
        served.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while not served.stopped.is_set() and taken < 10**9:
                served.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                taken += 65536
        except OSError:
            served.close()
            raise

    before = threading.active_count()
    with http_server(script) as server:
        transport = WAYS[way](server.url())
        with pytest.raises(AttemptFailed):
            transport.wire.attempt(GET, PATIENCE)
        transport.close()
    assert taken < 40_000_000
    assert threading.active_count() <= before


def test_connections_are_verified_as_botocores_are(tmp_path: Path) -> None:
    """By the same flags, which `ssl.create_default_context` makes stricter from Python 3.13 on."""
    ours, theirs = trusted_context(Authority(tmp_path).file), create_urllib3_context()
    assert ours.verify_flags == theirs.verify_flags
    assert ours.verify_mode == theirs.verify_mode
    assert ours.check_hostname
