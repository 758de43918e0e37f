"""The embedded engine beside dynoxide: the same request to both, and their answers in a form that can be compared."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any, Final
from urllib.parse import urlsplit

from dynamo_bao.dynamodb.transport.embedded.engine import EmbeddedEngine

Answer = tuple[int, dict[str, Any]]
TARGET: Final = "DynamoDB_20120810."
HEADERS: Final = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Date": "20260101T000000Z",
    "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=x",
}
VARYING: Final = (
    "TableId",
    "TableArn",
    "IndexArn",
    "CreationDateTime",
    "LatestStreamArn",
    "LatestStreamLabel",
)
SYNTAX: Final = re.compile(
    r"Expected |Unexpected |Syntax error|number of operands|Invalid operator|reserved keyword"
)
"""Texts about faults of grammar, which dynoxide words in its own way: it has no "near" in most."""
COUNT: Final = "1 validation error detected: "
KIND: Final = re.compile(r"Invalid \w+Expression: ")


class TwoEngines:
    """Both engines, each asked in turn.

    Args:
        endpoint: the URL of dynoxide.
    """

    def __init__(self, endpoint: str) -> None:
        self.embedded = EmbeddedEngine()
        address = urlsplit(endpoint)
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port)

    def close(self) -> None:
        self._connection.close()

    def ask(self, operation: str, request: Any) -> tuple[Answer, Answer]:
        """The answers of the embedded engine and of dynoxide."""
        body = request if isinstance(request, str) else json.dumps(request)
        status, _, reply = self.embedded.answer_to(TARGET + operation, body.encode())
        self._connection.request("POST", "/", body, {**HEADERS, "X-Amz-Target": TARGET + operation})
        response = self._connection.getresponse()
        return (status, json.loads(reply)), (response.status, json.loads(response.read()))

    def difference(self, operation: str, request: Any) -> str | None:
        """What differs between the answers to a request; None if they are equal."""
        embedded, dynoxide = (steady(answer) for answer in self.ask(operation, request))
        if embedded == dynoxide or are_same_fault(embedded, dynoxide):
            return None
        return f"{operation} {str(request)[:400]}\n  embedded: {embedded}\n  dynoxide: {dynoxide}"


def steady(answer: Answer) -> Answer:
    """An answer without what differs each time, and with sets in order."""
    return answer[0], _steady(answer[1])


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        members = {name: _steady(member) for name, member in value.items() if name not in VARYING}
        return {
            name: sorted(member) if name in ("SS", "NS", "BS") and isinstance(member, list) else member
            for name, member in members.items()
        }
    return [_steady(member) for member in value] if isinstance(value, list) else value


def fault_of(answer: Answer) -> tuple[str, str]:
    """The type and the text of an error."""
    return str(answer[1].get("__type")), str(answer[1].get("message", answer[1].get("Message")))


def are_same_fault(embedded: Answer, dynoxide: Answer) -> bool:
    """Whether two errors are equal but for dynoxide's own words for faults of grammar and undefined placeholders."""
    if embedded[0] != dynoxide[0] or embedded[0] == 200:
        return False
    (kind, text), (other_kind, other_text) = fault_of(embedded), fault_of(dynoxide)
    if kind != other_kind:
        return False
    if SYNTAX.search(text) and SYNTAX.search(other_text):
        return True
    plain_text = KIND.sub("", text.removeprefix(COUNT), 1)
    return "is not defined" in text and plain_text == KIND.sub("", other_text.removeprefix(COUNT), 1)
