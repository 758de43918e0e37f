"""bao local: a DynamoDB behind HTTP for programs that are not Python."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from dynamo_bao.cli.local import LOCAL_TEXT
from dynamo_bao.testing.local_server import LocalServer
from tests.support.local_server import client_of, local_server
from tests.support.patience import PATIENCE

TABLE = {
    "TableName": "things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}
BAO = [sys.executable, "-c", "from dynamo_bao.cli.main import main; main(prog_name='bao')"]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with local_server() as running_server:
        yield running_server


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[Any]:
    dynamodb = client_of(server, "eu-north-1")
    dynamodb.create_table(**TABLE)
    yield dynamodb
    dynamodb.close()


def test_a_client_that_asks_before_it_sends_a_body_is_answered_at_once(server: LocalServer) -> None:
    """Such clients wait for "100 Continue", up to a second, and then send the body."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n"
            b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"{}")
        assert b" 200 OK" in connection.recv(1000)


def test_boto3_works_with_it(client: Any) -> None:
    """It checks the replies' checksums itself, and knows errors by their types."""
    item = {"pk": {"S": "é"}, "bytes": {"B": b"\x00\xff"}, "n": {"N": "1.5"}}
    client.put_item(TableName="things", Item=item)
    assert client.get_item(TableName="things", Key={"pk": {"S": "é"}})["Item"] == item
    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as caught:
        client.put_item(
            TableName="things",
            Item=item,
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert caught.value.response["Item"] == item
    with pytest.raises(ClientError, match="Requested resource not found"):
        client.get_item(TableName="nowhere", Key={"pk": {"S": "a"}})
    with pytest.raises(client.exceptions.TransactionCanceledException) as cancelled:
        client.transact_write_items(
            TransactItems=[
                {
                    "ConditionCheck": {
                        "TableName": "things",
                        "Key": {"pk": {"S": "none"}},
                        "ConditionExpression": "attribute_exists(pk)",
                    }
                }
            ]
        )
    assert cancelled.value.response["CancellationReasons"][0]["Code"] == "ConditionalCheckFailed"


def test_clients_are_served_at_the_same_time(client: Any) -> None:
    """A counter that 8 threads increase loses nothing."""

    def count(_: int) -> None:
        client.update_item(
            TableName="things",
            Key={"pk": {"S": "counter"}},
            UpdateExpression="ADD hits :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(80)))
    counter = client.get_item(TableName="things", Key={"pk": {"S": "counter"}})["Item"]
    assert counter["hits"] == {"N": "80"}


def ask(connection: http.client.HTTPConnection, **options: Any) -> tuple[int, dict[str, str], bytes]:
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.ListTables"}
    body = options.pop("body", "{}")
    method = options.pop("method", "POST")
    connection.request(method, "/", body, {**headers, **options})
    response = connection.getresponse()
    return response.status, {name.lower(): text for name, text in response.getheaders()}, response.read()


def test_a_connection_is_kept_for_more_requests(server: LocalServer, client: Any) -> None:
    """Each reply has its checksum and its length; errors have DynamoDB's types, also for what is no request."""
    connection = http.client.HTTPConnection(*server.server_address[:2])
    connection.connect()
    first_socket = connection.sock
    cases: list[tuple[dict[str, Any], int, str | None]] = [
        ({}, 200, None),
        ({"X-Amz-Target": "DynamoDB_20120810.Nonsense"}, 400, "UnknownOperationException"),
        ({"X-Amz-Target": "Other_20120810.ListTables"}, 400, "UnknownOperationException"),
        ({"body": "{"}, 400, "SerializationException"),
        ({"Content-Type": "application/json"}, 200, None),
    ]
    for options, status, error in cases:
        kind = options.get("Content-Type", "application/x-amz-json-1.0")
        actual_status, headers, body = ask(connection, **options)
        assert (actual_status, headers["content-type"]) == (status, kind)
        assert headers["x-amz-crc32"] == str(zlib.crc32(body))
        assert json.loads(body).get("__type", "#").partition("#")[2] == (error or "")
    assert ask(connection, **{"Content-Type": "text/plain"})[0] == 404
    assert ask(connection, body="", **{"Content-Type": "text/plain"})[0] == 400
    assert ask(connection, method="GET", body="")[2].startswith(b"healthy")
    assert ask(connection, Origin="http://here")[1]["access-control-allow-origin"] == "*"
    assert connection.sock is first_socket
    connection.close()


def test_a_fault_of_the_engine_is_an_answer(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The connection is kept, and the server says where its fault is."""
    connection = http.client.HTTPConnection(*server.server_address[:2])
    monkeypatch.setattr(server, "engine", None)
    status, _, body = ask(connection)
    monkeypatch.undo()
    assert (status, json.loads(body)["__type"].partition("#")[2]) == (500, "InternalServerError")
    assert "answer_to" in capsys.readouterr().err
    assert ask(connection)[0] == 200
    connection.close()


def test_a_body_that_is_too_large_is_refused(server: LocalServer) -> None:
    connection = http.client.HTTPConnection(*server.server_address[:2])
    assert ask(connection, **{"Content-Length": str(17 * 2**20)})[0] == 413
    connection.close()


@pytest.mark.parametrize("header", [{"Content-Length": "many"}, {"Transfer-Encoding": "chunked"}])
def test_a_body_without_a_length_is_refused(server: LocalServer, header: dict[str, str]) -> None:
    connection = http.client.HTTPConnection(*server.server_address[:2])
    assert ask(connection, **header)[0] == 411
    connection.close()


def test_the_command_says_where_it_listens_and_ends_by_ctrl_c() -> None:
    """With a free port of its own; a table that was made is there for the next request."""
    process = subprocess.Popen(
        [*BAO, "local", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        output = "".join(process.stdout.readline() for _ in LOCAL_TEXT.splitlines())
        address = re.search(r"http://([\d.]+):(\d+)", output)
        assert address is not None, output
        connection = http.client.HTTPConnection(address[1], int(address[2]), timeout=PATIENCE)
        create = {"X-Amz-Target": "DynamoDB_20120810.CreateTable"}
        assert ask(connection, body=json.dumps(TABLE), **create)[0] == 200
        assert json.loads(ask(connection)[2]) == {"TableNames": ["things"]}
        connection.close()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait(PATIENCE)
    assert (process.returncode, errors) == (0, "\n")
    assert f"export AWS_ENDPOINT_URL_DYNAMODB={address[0]}" in output


def test_a_port_in_use_is_an_error_that_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        result = subprocess.run(
            [*BAO, "local", "--port", str(port)], capture_output=True, text=True, check=False
        )
    assert result.returncode == 1
    assert f"Nothing can listen on port {port} of 127.0.0.1" in result.stderr
    assert "Choose another port" in result.stderr
