"""DynamoDB's own names, limits and shapes, in one place.

The limits are those of the AWS page "Quotas in Amazon DynamoDB"; a test holds the names against
botocore's service model.
"""

from __future__ import annotations

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
