"""DynamoDB's own names, limits and shapes, in one place.

The limits are those of the AWS page "Quotas in Amazon DynamoDB"; a test holds the names against
botocore's service model.
"""

from __future__ import annotations

import keyword
from typing import Any, Final

AttributeValue = dict[str, Any]
"""A typed value as DynamoDB's JSON has it, ``{"S": "text"}``; binaries are `bytes`."""

Item = dict[str, AttributeValue]
"""One item: attribute name to typed value."""

MAX_BATCH_GET_KEYS: Final = 100
MAX_BATCH_WRITE_ITEMS: Final = 25
MAX_TRANSACTION_ACTIONS: Final = 100
MAX_TRANSACTION_BYTES: Final = 4 * 1024 * 1024
MAX_ITEM_BYTES: Final = 400 * 1024
MAX_PARTITION_KEY_BYTES: Final = 2048
MAX_SORT_KEY_BYTES: Final = 1024
MAX_NUMBER_DIGITS: Final = 38
MAX_NUMBER_EXPONENT: Final = 125
MIN_NUMBER_EXPONENT: Final = -130
MAX_EXPRESSION_BYTES: Final = 4096
MAX_IN_OPERANDS: Final = 100
MAX_NESTING: Final = 32
MAX_NAME_BYTES: Final = 65_535

GET_ITEM: Final = "GetItem"
BATCH_GET_ITEM: Final = "BatchGetItem"
PUT_ITEM: Final = "PutItem"
UPDATE_ITEM: Final = "UpdateItem"
DELETE_ITEM: Final = "DeleteItem"
BATCH_WRITE_ITEM: Final = "BatchWriteItem"
TRANSACT_WRITE_ITEMS: Final = "TransactWriteItems"
QUERY: Final = "Query"
SCAN: Final = "Scan"
CREATE_TABLE: Final = "CreateTable"
UPDATE_TABLE: Final = "UpdateTable"
DELETE_TABLE: Final = "DeleteTable"
DESCRIBE_TABLE: Final = "DescribeTable"
DESCRIBE_TIME_TO_LIVE: Final = "DescribeTimeToLive"
UPDATE_TIME_TO_LIVE: Final = "UpdateTimeToLive"

READ_OPERATIONS: Final = frozenset(
    {GET_ITEM, BATCH_GET_ITEM, QUERY, SCAN, DESCRIBE_TABLE, DESCRIBE_TIME_TO_LIVE}
)
"""Operations that change nothing, so that repeating one is always safe."""

LONGEST_REPLY: Final = 4_000_000
"""How many bytes of JSON an operation returns at most that is not in `LONGEST_REPLIES`: one item, several times over.

What is stored takes up to seven times as many bytes in JSON: a list of booleans does, 6 for a control character.
"""
LONGEST_REPLIES: Final = {
    QUERY: 16_000_000,
    SCAN: 16_000_000,
    "TransactGetItems": 32_000_000,
    TRANSACT_WRITE_ITEMS: 32_000_000,
    BATCH_GET_ITEM: 128_000_000,
    BATCH_WRITE_ITEM: 128_000_000,
}


def longest_reply(operation: str) -> int:
    """How many bytes of JSON a reply to an operation has at most.

    >>> longest_reply("GetItem"), longest_reply("BatchGetItem")
    (4000000, 128000000)
    """
    return LONGEST_REPLIES.get(operation, LONGEST_REPLY)


PK: Final = "_pk"
SK: Final = "_sk"
ITER_PK: Final = "_iter_pk"
ITER_SK: Final = "_iter_sk"
ITER_INDEX: Final = "iter_index"
SEARCH_TEXT: Final = "_searchText"
INDEX_IDS: Final = ("gsi1", "gsi2", "gsi3", "gsi4", "gsi5")
CONSTRAINT_IDS: Final = ("uc1", "uc2", "uc3")
TTL: Final = "ttl"


def index_key_names(index_id: str) -> tuple[str, str]:
    """The two attributes of an index, ``("_gsi1_pk", "_gsi1_sk")``."""
    return f"_{index_id}_pk", f"_{index_id}_sk"


DERIVED: Final = frozenset(
    (*(name for index in INDEX_IDS for name in index_key_names(index)), ITER_PK, ITER_SK, SEARCH_TEXT)
)
"""The attributes of a model's item that follow from its others: of indexes, of iteration, and the search text."""


def slot_of(attribute: str) -> str:
    """The slot of a row that holds an attribute, which may have a name that Python allows no slot.

    >>> slot_of("name"), slot_of("first-name")
    ('name', 'x66697273742d6e616d65')
    """
    usable = attribute.isidentifier() and not keyword.iskeyword(attribute) and not attribute.startswith("__")
    return attribute if usable else "x" + attribute.encode("utf-8", "surrogatepass").hex()
