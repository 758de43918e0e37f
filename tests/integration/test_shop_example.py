"""The tutorial's shop, as its user has it: the command, both applications on a port, and its own tests."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

from tests.support.pages import ROOT
from tests.support.patience import PATIENCE

COMMAND = [sys.executable, "-m", "examples.shop"]
ANYIO = "ignore:The anyio:DeprecationWarning"  # old versions of Starlette use its old names


@pytest.fixture(params=[[], ["--fastapi"]], ids=["flask", "fastapi"])
def shop(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """The command, serving one of the applications."""
    with subprocess.Popen(
        [*COMMAND, "--port", "0", *request.param], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def printed_requests(output: IO[str]) -> list[list[str]]:
    """The arguments of the four commands that the shop prints before it answers."""
    assert output.readline() == "Requests to send from another terminal (Ctrl-C stops the server):\n"
    return [shlex.split(output.readline()) for _ in range(4)]


def send(command: list[str], tenant: str | None = None, **quantities: int) -> tuple[int, Any]:
    """Does what curl would do, or does it for another tenant or with another body. Returns status and content."""
    assert command[:3] == ["curl", "-i", "-H"]
    name, value = command[3].split(": ")
    body = json.dumps(quantities) if quantities else None
    if body is None and "--json" in command:
        body = command[command.index("--json") + 1]
    url = urlsplit(command[-1])
    connection = HTTPConnection(str(url.hostname), url.port, timeout=PATIENCE)
    headers = {"Content-Type": "application/json", **({name: tenant or value} if tenant != "" else {})}
    connection.request("GET" if body is None else "POST", url.path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert "round trip" in str(response.headers["Server-Timing"])
    return response.status, json.loads(content) if response.status < 300 else None


@pytest.mark.skipif(os.name != "posix", reason="no signal here is what Ctrl-C sends")
def test_the_printed_requests_are_answered(shop: subprocess.Popen[str]) -> None:
    """An order is placed and listed; what is not in stock cannot be ordered; no tenant sees another."""
    assert shop.stdout is not None
    orders_of_north, place_in_north, orders_of_south, _ = printed_requests(shop.stdout)
    assert [len(send(command)[1]) for command in (orders_of_north, orders_of_south)] == [5, 5]
    status, order = send(place_in_north)
    assert (status, len(order["order_id"])) == (201, 26)
    assert send(place_in_north, pot=9)[0] == 409
    assert [len(send(command)[1]) for command in (orders_of_north, orders_of_south)] == [6, 5]
    assert send(place_in_north, tenant="south")[0] == 404
    assert send(orders_of_north, tenant="")[0] == 400
    shop.send_signal(signal.SIGINT)
    assert shop.wait(PATIENCE) == 0
    assert shop.stdout.read() == "Stopped.\n"


def test_its_own_tests_pass() -> None:
    """Those of the tutorial, and those of the rules and of the FastAPI application."""
    report = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-W",
            "error",
            "-W",
            ANYIO,
            "-p",
            "no:cacheprovider",
            "examples/shop",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    ).stdout
    assert "10 passed" in report, report
