"""The names, limits and shapes of DynamoDB's API.

The limits are those of the AWS page "Quotas in Amazon DynamoDB"; a test holds the names against
botocore's service model.
"""

from __future__ import annotations

from typing import Any, Final

AttributeValue = dict[str, Any]
"""A typed value in the form of DynamoDB's JSON, ``{"S": "text"}``; binaries are `bytes`."""

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
MAX_OPERATORS: Final = 300
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
"""Operations that change nothing, so each of them can always be repeated."""

MAX_REPLY_BYTES: Final = 4_000_000
"""The most bytes of JSON that an operation returns, unless `MAX_REPLY_BYTES_OF` names it: several times one item.

JSON takes up to seven times as many bytes as the stored value: for a list of booleans, for instance. A control
character takes six.
"""
MAX_REPLY_BYTES_OF: Final = {
    QUERY: 16_000_000,
    SCAN: 16_000_000,
    "TransactGetItems": 32_000_000,
    TRANSACT_WRITE_ITEMS: 32_000_000,
    BATCH_GET_ITEM: 128_000_000,
    BATCH_WRITE_ITEM: 128_000_000,
}


def longest_reply(operation: str) -> int:
    """The most bytes of JSON that a reply to an operation has.

    >>> longest_reply("GetItem"), longest_reply("BatchGetItem")
    (4000000, 128000000)
    """
    return MAX_REPLY_BYTES_OF.get(operation, MAX_REPLY_BYTES)
