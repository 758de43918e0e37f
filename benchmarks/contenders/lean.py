"""The common part of the two floors: the smallest code that signs a request, makes its body, and reads its reply.

They do only the measured work: they have no retries, no checks of replies, and fixed credentials.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from time import gmtime, strftime, time
from typing import Any

import orjson

from benchmarks.contenders import base
from benchmarks.items import FIELDS, PAGES, TABLES, typed

REGION, SERVICE = "us-east-1", "dynamodb"
ACCESS_KEY = SECRET = "benchmark"  # no secret: the server here checks none
_SIGNED = "content-type;host;x-amz-date;x-amz-target"
TYPE = "application/x-amz-json-1.0"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


class Signer:
    """Signature Version 4 for DynamoDB. The key of the day is cached."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._day = self._scope = self._stamp = ""
        self._second = 0
        self._key = b""

    def _turn(self, second: int) -> None:
        self._second, self._stamp = second, strftime("%Y%m%dT%H%M%SZ", gmtime(second))
        day = self._stamp[:8]
        if day != self._day:
            key = f"AWS4{SECRET}".encode()
            for part in (day, REGION, SERVICE, "aws4_request"):
                key = _hmac(key, part)
            self._day, self._key, self._scope = day, key, f"{day}/{REGION}/{SERVICE}/aws4_request"

    def sign(self, target: str, body: bytes) -> tuple[str, str]:
        """The date and the authorization of a request."""
        second = int(time())
        if second != self._second:
            self._turn(second)
        stamp = self._stamp
        canonical_request = (
            f"POST\n/\n\ncontent-type:{TYPE}\nhost:{self._host}\nx-amz-date:{stamp}\nx-amz-target:{target}\n\n"
            f"{_SIGNED}\n{sha256(body).hexdigest()}"
        )
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{self._scope}\n{sha256(canonical_request.encode()).hexdigest()}"
        signature = hmac.digest(self._key, text.encode(), "sha256").hex()
        return stamp, (
            f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{self._scope}, SignedHeaders={_SIGNED}, Signature={signature}"
        )


class Thing:
    """An object that has only fields."""


_DECODE = {
    "S": 'i["{0}"]["S"]',
    "BOOL": 'i["{0}"]["BOOL"]',
    "SS": 'set(i["{0}"]["SS"])',
    "M": 'value(i["{0}"])',
    "L": 'value(i["{0}"])',
}
_ENCODE = {
    "S": '{{"S": v["{0}"]}}',
    "N": '{{"N": str(v["{0}"])}}',
    "BOOL": '{{"BOOL": v["{0}"]}}',
    "SS": '{{"SS": list(v["{0}"])}}',
    "M": 'typed(v["{0}"])',
    "L": 'typed(v["{0}"])',
}


def _value(attribute: dict[str, Any]) -> Any:
    """A value inside a map or a list."""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value) if value.isdigit() else float(value)
    if kind == "M":
        return {name: _value(part) for name, part in value.items()}
    return [_value(part) for part in value] if kind == "L" else value


def decoder(kind: str) -> Any:
    """A function from a list of typed items to objects, compiled for the fields of `kind`."""
    parts = []
    for name, code in FIELDS[kind].items():
        number = "float" if name == "score" else "int"
        expr = f'{number}(i["{{0}}"]["N"])' if code == "N" else _DECODE[code]
        parts.append(f'"{name}": {expr.format(name)}')
    text = (
        f"def decode(items):\n    found = []\n    for i in items:\n        o = Thing()\n"
        f"        o.__dict__ = {{{', '.join(parts)}}}\n        found.append(o)\n    return found"
    )
    names: dict[str, Any] = {"Thing": Thing, "value": _value}
    exec(text, names)  # our own text
    return names["decode"]


def encoder(kind: str) -> Any:
    """A function from field values to a typed item."""
    parts = (f'"{name}": {_ENCODE[code].format(name)}' for name, code in FIELDS[kind].items())
    names: dict[str, Any] = {}
    exec(f"def encode(v):\n    return {{{', '.join(parts)}}}", {"typed": typed}, names)  # our own text
    return names["encode"]


class Lean(base.Contender):
    """The operations, for a floor that has `send`."""

    def __init__(self, url: str) -> None:
        host = url.removeprefix("http://")
        self.host, port = host.split(":")
        self.port = int(port)
        self.signer = Signer(host)
        self._decode = {kind: decoder(kind) for kind in FIELDS}
        self._encode = {kind: encoder(kind) for kind in FIELDS}

    def send(self, target: str, body: bytes) -> bytes:
        """Sends a request and returns the body of its reply."""
        raise NotImplementedError

    def _ask(self, operation: str, request: dict[str, Any]) -> Any:
        return orjson.loads(self.send(f"DynamoDB_20120810.{operation}", orjson.dumps(request)))

    def get(self, kind: str, key: str, read: base.ReadFields) -> Any:
        reply = self._ask("GetItem", {"TableName": TABLES[kind], "Key": {"item_id": {"S": key}}})
        objects = self._decode[kind]((reply["Item"],))
        read(objects)
        return objects[0]

    def batch_get(self, kind: str, keys: list[str], read: base.ReadFields) -> list[Any]:
        table, objects = TABLES[kind], list[Any]()
        for part in base.hundreds(keys):
            request = {"RequestItems": {table: {"Keys": [{"item_id": {"S": key}} for key in part]}}}
            objects += self._decode[kind](self._ask("BatchGetItem", request)["Responses"][table])
        read(objects)
        return objects

    def query(self, kind: str, team: str, read: base.ReadFields) -> list[Any]:
        request = {
            "TableName": PAGES[kind],
            "KeyConditionExpression": "team = :team",
            "ExpressionAttributeValues": {":team": {"S": team}},
        }
        objects: list[Any] = self._decode[kind](self._ask("Query", request)["Items"])
        read(objects)
        return objects

    def put(self, kind: str, values: Any) -> None:
        self._ask("PutItem", {"TableName": TABLES[kind], "Item": self._encode[kind](values)})

    def batch_put(self, kind: str, all_values: list[Any]) -> None:
        puts = [{"PutRequest": {"Item": self._encode[kind](values)}} for values in all_values]
        self._ask("BatchWriteItem", {"RequestItems": {TABLES[kind]: puts}})
