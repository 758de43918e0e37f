"""Counts requests as they leave the process, by botocore's own events and not by the library's figures."""

from __future__ import annotations

import json
from typing import Any


class Wire:
    """Every request that a boto3 client sent, with its parsed body."""

    def __init__(self, client: Any) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        client.meta.events.register_first("before-send.dynamodb", self._record)

    def _record(self, request: Any, **_: object) -> None:
        operation = request.headers["X-Amz-Target"]
        if isinstance(operation, bytes):
            operation = operation.decode()
        self.sent.append((operation.split(".")[1], json.loads(request.body)))

    @property
    def operations(self) -> list[str]:
        """The operations sent, in order."""
        return [operation for operation, _ in self.sent]

    def keys(self, number: int = -1) -> list[str]:
        """The partition keys in one ``BatchGetItem``."""
        return [
            key["_pk"]["S"]
            for entry in self.sent[number][1]["RequestItems"].values()
            for key in entry["Keys"]
        ]

    def clear(self) -> None:
        """Forgets the requests so far."""
        self.sent.clear()

    def __len__(self) -> int:
        return len(self.sent)
