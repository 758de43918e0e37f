"""The table: made exactly as the table format page says."""

from __future__ import annotations

import logging
from typing import Any, Final

from dynamo_bao.database import Database
from dynamo_bao.errors import ConfigurationError
from dynamo_bao.searchtext import ITER_SEARCH_INDEX
from dynamo_bao.transport.messages import Request
from dynamo_bao.transport.outcomes import TableNotFoundError
from dynamo_bao.wire import (
    CREATE_TABLE,
    DESCRIBE_TABLE,
    INDEX_IDS,
    ITER_INDEX,
    ITER_PK,
    ITER_SK,
    PK,
    SEARCH_TEXT,
    SK,
    TTL,
    UPDATE_TIME_TO_LIVE,
    index_key_names,
)

log = logging.getLogger("dynamo_bao.tables")

ACTIVE_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.5


def table_definition(name: str, search: bool = False) -> dict[str, Any]:
    """The ``CreateTable`` parameters: on-demand billing, five indexes and the iteration index.

    Args:
        search: whether the table also has the index that searches read, as models that are both searchable
            and iterable need it.
    """
    pairs = [(PK, SK), *(index_key_names(index) for index in INDEX_IDS), (ITER_PK, ITER_SK)]
    indexes = [_index(index, *index_key_names(index), "ALL") for index in INDEX_IDS]
    indexes.append(_index(ITER_INDEX, ITER_PK, ITER_SK, "KEYS_ONLY"))
    if search:
        indexes.append(_index(ITER_SEARCH_INDEX, ITER_PK, ITER_SK, "INCLUDE", SEARCH_TEXT))
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": attribute, "AttributeType": "S"} for pair in pairs for attribute in pair
        ],
        "KeySchema": _keys(PK, SK),
        "GlobalSecondaryIndexes": indexes,
    }


def _index(name: str, partition: str, sort: str, kind: str, *attributes: str) -> dict[str, Any]:
    projection: dict[str, Any] = {"ProjectionType": kind}
    if attributes:
        projection["NonKeyAttributes"] = list(attributes)
    return {"IndexName": name, "KeySchema": _keys(partition, sort), "Projection": projection}


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def create_table(database: Database, *, search: bool = False, timeout: float = ACTIVE_SECONDS) -> bool:
    """Makes the table, waits until it is ACTIVE, and enables TTL; a table that exists is left as it is.

    Args:
        search: whether the table has the index that searches read.
        timeout: seconds to wait at most.

    Returns:
        Whether the table was made.
    """
    transport, name = database.transport, database.table_name
    deadline = transport.clock.now() + timeout
    if table_status(database, deadline) is not None:
        log.info("table %s exists already", name)
        _wait_until_active(database, deadline)
        return False
    transport.send(Request(CREATE_TABLE, table_definition(name, search)), deadline=deadline)
    _wait_until_active(database, deadline)
    specification = {"Enabled": True, "AttributeName": TTL}
    transport.send(
        Request(UPDATE_TIME_TO_LIVE, {"TableName": name, "TimeToLiveSpecification": specification}),
        deadline=deadline,
    )
    log.info("table %s created", name)
    return True


def table_status(database: Database, deadline: float) -> str | None:
    """The table's status, such as ``"ACTIVE"``; None where there is no such table."""
    request = Request(DESCRIBE_TABLE, {"TableName": database.table_name})
    try:
        reply = database.transport.send(request, deadline=deadline)
    except TableNotFoundError:
        return None
    return str(reply.body["Table"]["TableStatus"])


def _wait_until_active(database: Database, deadline: float) -> None:
    clock = database.transport.clock
    while table_status(database, deadline) != "ACTIVE":
        if clock.now() > deadline:
            raise ConfigurationError(
                f"Table {database.table_name} did not become ACTIVE in time; look at it in AWS."
            )
        clock.sleep(_POLL_SECONDS)
