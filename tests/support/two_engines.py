"""The embedded engine beside dynoxide: the same request to both, and their answers in a form that can be compared."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterable
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
    "LastIncreaseDateTime",
    "LastDecreaseDateTime",
    "LatestStreamArn",
    "LatestStreamLabel",
)
SYNTAX: Final = re.compile(
    r"Expected |Unexpected |Syntax error|number of operands|Invalid operator|reserved keyword"
)
"""Texts about faults of grammar, which dynoxide words in its own way: it has no "near" in most."""
OPERANDS: Final = re.compile(
    "incorrect data type|invalid for update|must be numbers|requires two list operands|does not exist in the item"
)
"""Texts about values and paths that an update cannot use: of several, dynoxide may name another one."""
COUNT: Final = "1 validation error detected: "
KIND: Final = re.compile(r"Invalid \w+Expression: ")


def table_request(
    name: str, sort_key: str, global_projection: dict[str, Any], local_projection: dict[str, Any]
) -> dict[str, Any]:
    """The request that makes a table with two indexes.

    Args:
        name: the name of the table.
        sort_key: the type of its sort key, ``"S"`` or ``"N"``.
        global_projection, local_projection: what each index holds.
    """

    def keys(partition: str, sort: str) -> list[dict[str, str]]:
        return [
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": sort, "KeyType": "RANGE"},
        ]

    types = {"pk": "S", "sk": sort_key, "g": "S", "n": "N"}
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": keys("pk", "sk"),
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": kind} for attribute, kind in types.items()
        ],
        "GlobalSecondaryIndexes": [
            {"IndexName": "gsi", "KeySchema": keys("g", "n"), "Projection": global_projection}
        ],
        "LocalSecondaryIndexes": [
            {"IndexName": "lsi", "KeySchema": keys("pk", "n"), "Projection": local_projection}
        ],
    }


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
        self._connection.request("POST", "/", body, {**HEADERS, "X-Amz-Target": TARGET + operation})
        response = self._connection.getresponse()
        return self.ask_embedded(operation, body), (response.status, json.loads(response.read()))

    def ask_embedded(self, operation: str, request: Any) -> Answer:
        """The answer of the embedded engine alone."""
        body = request if isinstance(request, str) else json.dumps(request)
        status, _, reply = self.embedded.answer_to(TARGET + operation, body.encode())
        return status, json.loads(reply)

    def differences(self, requests: Iterable[tuple[str, Any]]) -> str:
        """What differs between the answers to several requests, each with its operation; empty if nothing does."""
        differences = [self.difference(operation, request) for operation, request in requests]
        return "\n".join(difference for difference in differences if difference is not None)

    def difference(self, operation: str, request: Any) -> str | None:
        """What differs between the answers to a request; None if they are equal."""
        return self.compared(operation, request)[1]

    def compared(self, operation: str, request: Any) -> tuple[int, str | None]:
        """The status of the embedded engine, and what differs between the answers; None if they are equal."""
        embedded, dynoxide = (steady(answer) for answer in self.ask(operation, request))
        if embedded == dynoxide or are_same_fault(embedded, dynoxide):
            return embedded[0], None
        text = f"{operation} {str(request)[:400]}\n  embedded: {embedded}\n  dynoxide: {dynoxide}"
        return embedded[0], text


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
    """Whether two errors are equal but for dynoxide's own words for some faults of expressions."""
    if embedded[0] != dynoxide[0] or embedded[0] == 200:
        return False
    (kind, text), (other_kind, other_text) = fault_of(embedded), fault_of(dynoxide)
    reasons, other_reasons = (answer[1].get("CancellationReasons", []) for answer in (embedded, dynoxide))
    return (
        kind == other_kind
        and are_same_text(text, other_text)
        and len(reasons) == len(other_reasons)
        and all(map(_are_same_reason, reasons, other_reasons))
    )


def _are_same_reason(reason: dict[str, Any], other: dict[str, Any]) -> bool:
    texts = [str(each.get("Message")) for each in (reason, other)]
    rest, other_rest = ({**each, "Message": ""} for each in (reason, other))
    return rest == other_rest and are_same_text(*texts)


def are_same_text(text: str, other_text: str) -> bool:
    """Whether two texts are equal, or both about grammar, an undefined placeholder, or an operand of an update."""
    if text == other_text or (SYNTAX.search(text) and SYNTAX.search(other_text)):
        return True
    if OPERANDS.search(text) and OPERANDS.search(other_text):
        return True
    plain_text, other_plain_text = (
        KIND.sub("", each.removeprefix(COUNT), count=1) for each in (text, other_text)
    )
    return "is not defined" in text and plain_text == other_plain_text
