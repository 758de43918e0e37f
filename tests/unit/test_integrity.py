"""What a reply must be before it is believed."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from typing import Any

import pytest

from dynamo_bao import DataFormatError
from dynamo_bao.dynamodb.transport.integrity import (
    check_length_and_crc,
    parse_refusal,
    parse_reply,
    require_alone,
)

BODY = b'{"Item":{"a":{"S":"x"}}}'


def headers(body: bytes, **changes: Any) -> dict[str, str]:
    """The headers that DynamoDB sends with a body, some changed or (None) left out."""
    given = {"content-length": str(len(body)), "x-amz-crc32": str(zlib.crc32(body)), **changes}
    return {name.replace("_", "-"): value for name, value in given.items() if value is not None}


def test_a_reply_as_sent_is_believed() -> None:
    """Length and CRC fit, and the JSON object comes out."""
    check_length_and_crc(headers(BODY), BODY, "GetItem")
    assert parse_reply(BODY, "GetItem") == {"Item": {"a": {"S": "x"}}}


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b" ", b"", BODY[:5]])
def test_a_body_of_another_length_is_refused(body: bytes) -> None:
    """A truncated or padded body is told with both numbers, and with none of its content."""
    with pytest.raises(DataFormatError, match=rf"^GetItem: .*{len(body)} bytes.*{len(BODY)}"):
        check_length_and_crc(
            headers(BODY, x_amz_crc32=None) | {"content-length": str(len(BODY))}, body, "GetItem"
        )


@pytest.mark.parametrize("position", range(0, len(BODY), 5))
def test_a_damaged_body_is_refused(position: int) -> None:
    """One changed bit anywhere is not what the CRC says."""
    damaged = BODY[:position] + bytes([BODY[position] ^ 1]) + BODY[position + 1 :]
    with pytest.raises(DataFormatError, match="CRC-32"):
        check_length_and_crc(headers(BODY), damaged, "GetItem")


def test_a_wrong_checksum_is_refused() -> None:
    """The header may be the damaged part."""
    for wrong in ("0", "12345", "", "x"):
        with pytest.raises(DataFormatError, match="CRC-32"):
            check_length_and_crc({"x-amz-crc32": wrong}, BODY, "Query")


def test_what_a_server_does_not_send_is_not_checked() -> None:
    """Emulators leave headers out; a compressed body has the length and CRC of the compressed one."""
    check_length_and_crc({}, BODY, "GetItem")
    check_length_and_crc({"x-amz-crc32": str(zlib.crc32(BODY))}, BODY, "GetItem")
    check_length_and_crc(
        {"content-encoding": "gzip", "content-length": "3", "x-amz-crc32": "0"}, BODY, "GetItem"
    )
    with pytest.raises(DataFormatError):
        check_length_and_crc({"content-encoding": "identity", "content-length": "3"}, BODY, "GetItem")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html><body>502 Bad Gateway</body></html>",
        BODY[:-1],
        BODY[:10],
        b"[]",
        b'[{"Item":{}}]',
        b"null",
        b"true",
        b"5",
        b'"text"',
        b"{}{}",
        b'{"a":NaN}',
        b"{'a':1}",
        b'{"a":"\xff"}',
        b"\x00",
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    """Empty, HTML, truncated, a list or a scalar: none is an answer, and none means "missing"."""
    with pytest.raises(
        DataFormatError, match=rf"^BatchGetItem: .*{len(body)} bytes of something else.*endpoint"
    ):
        parse_reply(body, "BatchGetItem")


def test_an_object_without_members_is_an_answer() -> None:
    """DynamoDB's own way to say that there is no item."""
    assert parse_reply(b"{}", "GetItem") == {}


def encoded(value: Any) -> Any:
    """A typed value as it travels."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {name: encoded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [encoded(part) for part in value]
    return value


@pytest.mark.parametrize(
    "item",
    [
        {"blob": {"B": b"\x00\x01\xfe\xff"}},
        {"blob": {"B": b""}},
        {"blobs": {"BS": [b"a", b"\xff"]}},
        {"map": {"M": {"inner": {"L": [{"B": b"x"}, {"M": {"deep": {"BS": [b"y"]}}}]}}}},
        {"B": {"S": "YWJj"}},
        {"B": {"B": b"x"}},
        {"BS": {"SS": ["YWJj"]}},
        {"BS": {"L": []}},
        {"map": {"M": {"B": {"S": "YWJj"}, "BS": {"BS": [b"z"]}}}},
        {"text": {"S": '"B"'}, "other": {"S": "YWJj"}},
        {"list": {"L": [{"S": "B"}, {"S": "YWJj"}]}},
    ],
)
def test_binaries_are_decoded_wherever_they_are_and_nothing_else_is(item: Any) -> None:
    """In maps, lists and sets; attributes that are named like a type stay what they are."""
    body = json.dumps({"Responses": {"B": [encoded(item)]}, "Item": encoded(item)}).encode()
    assert parse_reply(body, "BatchGetItem") == {"Responses": {"B": [item]}, "Item": item}


@pytest.mark.parametrize("text", ["A", "####", "YWJj!", "YWJ", "é"])
def test_a_binary_that_is_no_base64_is_refused(text: str) -> None:
    """It is neither a foreign exception nor a silently shorter value."""
    for value in ({"B": text}, {"BS": [text]}):
        with pytest.raises(DataFormatError):
            parse_reply(json.dumps({"Item": {"a": value}}).encode(), "GetItem")


def test_numbers_stay_text() -> None:
    """DynamoDB's numbers travel as texts, and lose no digit."""
    digits = "1234567890123456789012345678901234567.8"
    assert (
        parse_reply(json.dumps({"Item": {"n": {"N": digits}}}).encode(), "GetItem")["Item"]["n"]["N"]
        == digits
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Forbidden: the reply has no text"),
        (b"{}", "Forbidden: {}"),
        (b"<h1>No</h1>\n\n  <p>access\x00</p>", "Forbidden: <h1>No</h1> <p>access</p>"),
        (b"x" * 300, f"Forbidden: {'x' * 200}"),
        (b"\xff\x01ok", "Forbidden: \ufffdok"),
        (b" " * 799 + b"abc", "Forbidden: a"),
        (b" " * 800 + b"abc", "Forbidden: the reply has no text"),
    ],
)
def test_a_refusal_without_members_is_told_by_its_beginning(body: bytes, message: str) -> None:
    """Its first 200 printed characters, of the first 800 bytes, after the reason of its status."""
    assert parse_refusal(body, "GetItem", "Forbidden") == {"message": message}
    assert parse_refusal(b"", "GetItem", "") == {"message": "an error: the reply has no text"}


@pytest.mark.parametrize("name", ["__type", "message", "Message"])
def test_a_refusal_with_members_is_what_it_says(name: str) -> None:
    """Whichever of them it has."""
    assert parse_refusal(json.dumps({name: "x"}).encode(), "GetItem", "r") == {name: "x"}


def test_a_reply_with_another_behind_it_is_refused() -> None:
    """It may be the one to an earlier request."""
    require_alone(True, "GetItem")
    with pytest.raises(DataFormatError, match="GetItem: more than one reply"):
        require_alone(False, "GetItem")


@pytest.mark.parametrize(
    ("headers", "believed"),
    [
        ({"content-length": "9"}, False),
        ({"content-length": "x"}, True),
        ({"x-amz-crc32": "9"}, False),
        ({"content-encoding": "identity", "content-length": "9"}, False),
        ({"content-encoding": "Identity", "x-amz-crc32": "9"}, False),
        ({"content-encoding": "gzip", "content-length": "9", "x-amz-crc32": "9"}, True),
        ({"content-length": "2", "x-amz-crc32": " 2745614147 "}, True),
    ],
)
def test_length_and_checksum_are_those_of_what_travels(headers: dict[str, str], believed: bool) -> None:
    """Of a reply that came packed they are not those of the body that is seen here."""
    if believed:
        check_length_and_crc(headers, b"{}", "GetItem")
    else:
        with pytest.raises(DataFormatError):
            check_length_and_crc(headers, b"{}", "GetItem")
