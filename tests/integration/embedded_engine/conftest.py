"""Both engines with the same table: each file has a table of its own, and its tests leave it usable for the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.engines import Engines
from tests.support.plugin import ready_or_refused
from tests.support.two_engines import TwoEngines, fault_of, table_request

TextOfFault = Callable[[str, Any], str]
Requests = list[tuple[str, dict[str, Any]]]
TABLE = "requests"
T = {"TableName": TABLE}
KEY = {"pk": {"S": "a"}, "sk": {"S": "1"}}
"""The key of `BASE`."""
BASE: dict[str, Any] = {
    "pk": {"S": "a"},
    "sk": {"S": "1"},
    "x": {"N": "1"},
    "y": {"N": "2"},
    "s": {"S": "text"},
    "b": {"B": "YWI="},
    "flag": {"BOOL": True},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]},
    "bs": {"BS": ["YQ==", "YWI="]},
    "l": {"L": [{"S": "a"}, {"N": "5"}, {"M": {"q": {"S": "deep"}}}, {"L": [{"S": "z"}]}]},
    "m": {"M": {"q": {"S": "z"}, "n": {"M": {"a": {"N": "1"}}}, "l": {"L": [{"S": "in"}]}}},
    "g": {"S": "G"},
    "n": {"N": "7"},
}
"""An item with a value of each type, which both indexes hold."""


@pytest.fixture(scope="module")
def both(engines: Engines) -> Iterator[TwoEngines]:
    """Both engines, with the table and its item."""
    two_engines = TwoEngines(str(ready_or_refused(engines, "dynoxide").endpoint_url))
    included = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}
    two_engines.ask("CreateTable", table_request(TABLE, "S", {"ProjectionType": "KEYS_ONLY"}, included))
    two_engines.ask("PutItem", {"TableName": TABLE, "Item": BASE})
    yield two_engines
    two_engines.ask("DeleteTable", {"TableName": TABLE})
    two_engines.close()


@pytest.fixture(scope="module")
def text_of_fault(both: TwoEngines) -> TextOfFault:
    """The text of the embedded engine's error, where dynoxide answers otherwise than DynamoDB."""

    def text(operation: str, request: Any) -> str:
        status, answer = both.ask_embedded(operation, request)
        assert status == 400, answer
        return fault_of((status, answer))[1]

    return text
