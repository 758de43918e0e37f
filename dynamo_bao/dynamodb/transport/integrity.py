"""Checks that a reply arrived undamaged: its length, its CRC, and that it is a JSON object.

botocore reads an empty, truncated or foreign body as a reply without members. For a ``GetItem`` that would mean that
the item is missing. So nothing is used here before it was checked.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from collections.abc import Mapping

from dynamo_bao.errors import DataFormatError
from dynamo_bao.runtime.json import loads

MAX_EXCERPT_LENGTH = 200
_BINARY_MARK = re.compile(rb'"BS?"')  # one search for both takes half the time of two searches


def check_length_and_crc(headers: Mapping[str, str], body: bytes, operation: str) -> None:
    """Raises `DataFormatError` if the length or the CRC of `body` differs from its headers."""
    if "content-encoding" in headers and headers["content-encoding"].lower() != "identity":
        return
    length = headers.get("content-length")
    if length is not None and length != str(len(body)) and length.isdigit() and int(length) != len(body):
        raise DataFormatError(f"{operation}: the reply has {len(body)} bytes, but its header says {length}.")
    checksum = headers.get("x-amz-crc32")
    if checksum is not None and str(zlib.crc32(body)) != checksum.strip():
        raise DataFormatError(
            f"{operation}: the reply's CRC-32 is not the one its header says; it was damaged."
        )


def require_alone(is_alone: bool, operation: str) -> None:
    """Raises `DataFormatError` if more bytes follow the reply: it may be the reply to an earlier request."""
    if not is_alone:
        raise DataFormatError(
            f"{operation}: more than one reply came to one request. "
            f"Is there a proxy between this program and DynamoDB?"
        )


def parse_reply(body: bytes, operation: str) -> dict[str, object]:
    """The JSON object of a successful reply, with binaries decoded; `DataFormatError` if it is not a JSON object."""
    try:
        parsed = loads(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise DataFormatError(
            f"{operation}: the reply is not a JSON object but {len(body)} bytes of something else; "
            f"is there a proxy or another server at the endpoint?"
        )
    if _BINARY_MARK.search(body):
        try:
            _decode_binaries(parsed)
        except ValueError:
            raise DataFormatError(
                f"{operation}: the reply holds a binary value that is not base64."
            ) from None
    return parsed


def parse_refusal(body: bytes, operation: str, reason: str) -> dict[str, object]:
    """The members of an error reply.

    The reply of a firewall, for instance, has no such members: then the message is `reason` and the text's beginning.
    """
    try:
        parsed = parse_reply(body, operation)
    except DataFormatError:
        parsed = {}
    if parsed.keys() & {"__type", "message", "Message"}:
        return parsed
    text = " ".join(body[: 4 * MAX_EXCERPT_LENGTH].decode("utf-8", "replace").split())
    excerpt = "".join(filter(str.isprintable, text))[:MAX_EXCERPT_LENGTH]
    return {"message": f"{reason or 'an error'}: {excerpt or 'the reply has no text'}"}


def _decode_binaries(node: object) -> None:
    """Replaces the base64 texts of all binary values in place."""
    if isinstance(node, list):
        for part in node:
            _decode_binaries(part)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "B" and isinstance(value, str):
                node[name] = b64decode(value, validate=True)
            elif name == "BS" and isinstance(value, list) and all(isinstance(part, str) for part in value):
                node[name] = [b64decode(part, validate=True) for part in value]
            elif isinstance(value, (dict, list)):
                _decode_binaries(value)
