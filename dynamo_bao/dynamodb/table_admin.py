"""The table: made exactly as the table format page says, and brought up to it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from dynamo_bao._log_fields import log_fields
from dynamo_bao.dynamodb.layout import TTL
from dynamo_bao.dynamodb.service import (
    CREATE_TABLE,
    DELETE_TABLE,
    DESCRIBE_TABLE,
    DESCRIBE_TIME_TO_LIVE,
    UPDATE_TABLE,
    UPDATE_TIME_TO_LIVE,
)
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.table_definition import (
    ACTIVE,
    IndexLayout,
    addition,
    busy,
    described_indexes,
    index_faults,
    key_fault,
    lacks_ttl,
    missing_indexes,
    table_definition,
    ttl_fault,
)
from dynamo_bao.dynamodb.transport.error_mapping import TableNotFoundError
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.errors import ConfigurationError, ServiceError, WriteOutcomeUnknownError

log = logging.getLogger("dynamo_bao.tables")

ACTIVE_SECONDS: Final = 300.0
_FIRST_POLL, _LONGEST_POLL, _GROWTH = 0.5, 5.0, 1.5
_REFUSALS: Final = 30
_UNSEEN_POLLS: Final = 20
_OCCUPIED: Final = frozenset({"ResourceInUseException", "LimitExceededException"})

OnStep = Callable[[str], object]


@frozen
class TableUpdate:
    """What an update of a table did, or would do.

    Attributes:
        table: the table's name.
        indexes: the indexes that were added, in that order.
        ttl: whether time to live was enabled.
        faults: what it could not mend, as sentences with what to do.
    """

    table: str
    indexes: tuple[str, ...] = ()
    ttl: bool = False
    faults: tuple[str, ...] = ()


# --- what there is ---------------------------------------------------------------------------------


def _sent(database: Database, request: Request) -> Reply:
    database.before_sending()
    return database.transport.send(request, deadline=database.deadline_from_now())


def describe_table(database: Database) -> dict[str, Any] | None:
    """The table as ``DescribeTable`` tells it; None where there is no such table."""
    request = Request(DESCRIBE_TABLE, {"TableName": database.table_name})
    try:
        reply = _sent(database, request)
    except TableNotFoundError:
        return None
    described: dict[str, Any] = reply.body["Table"]
    return described


def describe_ttl(database: Database) -> dict[str, Any]:
    """The table's time to live as ``DescribeTimeToLive`` tells it."""
    request = Request(DESCRIBE_TIME_TO_LIVE, {"TableName": database.table_name})
    reply = _sent(database, request)
    described: dict[str, Any] = reply.body["TimeToLiveDescription"]
    return described


def pending_update(database: Database, *, search: bool = False) -> TableUpdate:
    """What `update_table` would do now; changes nothing.

    Raises:
        ConfigurationError: where there is no such table, or its keys are other ones.
    """
    table, ttl = existing_table(database), describe_ttl(database)
    fault = ttl_fault(database.table_name, ttl)
    return TableUpdate(
        database.table_name,
        tuple(index.name for index in missing_indexes(table, search)),
        lacks_ttl(ttl),
        (*index_faults(table, search), *(() if fault is None else (fault,))),
    )


def require_keys(table: dict[str, Any]) -> None:
    """Raises `ConfigurationError` for a described table whose keys are other ones, so that no item can be there."""
    fault = key_fault(table)
    if fault is not None:
        raise ConfigurationError(fault)


def existing_table(database: Database) -> dict[str, Any]:
    """The table as ``DescribeTable`` tells it.

    Raises:
        ConfigurationError: where there is no such table, or its keys are other ones.
    """
    table = describe_table(database)
    if table is None:
        raise ConfigurationError(
            f"Table {database.table_name} does not exist at this region and endpoint; run 'bao create-table', or "
            f"correct the table's name, the region or the endpoint."
        )
    require_keys(table)
    return table


# --- changing it -----------------------------------------------------------------------------------


def create_table(database: Database, *, search: bool = False, timeout: float = ACTIVE_SECONDS) -> bool:
    """Makes the table, waits until it is ACTIVE, and enables TTL; a table that exists is left as it is.

    Args:
        search: whether the table has the index that searches read.
        timeout: seconds to wait at most.

    Returns:
        Whether the table was made.

    Raises:
        ConfigurationError: where a table of that name has other keys.
    """
    patience = _Patience(database, timeout)
    table = describe_table(database)
    if table is not None:
        require_keys(table)
    made = table is None and _asked_to_create(database, search)
    while (describe_table(database) or {}).get("TableStatus") != ACTIVE:
        patience.wait("did not become ACTIVE")
    if made:
        _enable_ttl(database)
    outcome = "created" if made else "exists already"
    log.info("table %s %s", database.table_name, outcome, extra=patience.fields(CREATE_TABLE))
    return made


def _asked_to_create(database: Database, search: bool) -> bool:
    """Asks for the table; False where somebody else did so at the same moment."""
    try:
        _send(database, CREATE_TABLE, table_definition(database.table_name, search))
    except ServiceError as error:
        if error.code != "ResourceInUseException":
            raise
        return False
    return True


def update_table(
    database: Database, *, search: bool = False, timeout: float | None = None, on_step: OnStep | None = None
) -> TableUpdate:
    """Adds the indexes that the table lacks, one by one as DynamoDB wants it, and enables TTL.

    Each index is waited for until it is ACTIVE; over many items that takes hours. Interrupted, DynamoDB goes
    on building the index it is at, and another call waits for it and adds the rest.

    Args:
        search: whether the table needs the index that searches read.
        timeout: seconds to wait at most; as long as it takes by default.
        on_step: called with what is done next, in words.

    Returns:
        What was done, and what could not be.

    Raises:
        ConfigurationError: where there is no such table, its keys are other ones, or the time is up.
    """
    patience, tell = _Patience(database, timeout), on_step or log.info
    tell(f"looking at table {database.table_name}")
    table, added = _settled(database, patience, tell), []
    missing = missing_indexes(table, search)
    for number, index in enumerate(missing, 1):
        tell(f"adding index {index.name} ({number} of {len(missing)})")
        if _add(database, index, patience, tell):
            added.append(index.name)
    ttl = lacks_ttl(describe_ttl(database))
    if ttl:
        tell("enabling TTL")
        ttl = _enable_ttl(database)
    left = pending_update(database, search=search)
    return TableUpdate(database.table_name, tuple(added), ttl, left.faults)


def delete_table(database: Database, *, timeout: float = ACTIVE_SECONDS) -> bool:
    """Deletes the table with everything in it, and waits until it is gone.

    Args:
        timeout: seconds to wait at most.

    Returns:
        Whether there was one.
    """
    patience = _Patience(database, timeout)
    try:
        _send(database, DELETE_TABLE, {"TableName": database.table_name})
    except TableNotFoundError:
        return False
    while describe_table(database) is not None:
        patience.wait("was not gone")
    log.info("table %s deleted", database.table_name, extra=patience.fields(DELETE_TABLE))
    return True


# --- steps -----------------------------------------------------------------------------------------


class _Patience:
    """Waits between looks at the table, longer each time, until the time is up."""

    def __init__(self, database: Database, timeout: float | None) -> None:
        self._database = database
        self._clock = database.transport.clock
        self._started = self._clock.now()
        self._end = None if timeout is None else self._started + timeout
        self._pause = _FIRST_POLL

    def fields(self, operation: str) -> dict[str, Any]:
        """What a log line about the table says in fields."""
        return log_fields(operation, [self._database.table_name], 0, self._clock.now() - self._started)

    def anew(self) -> None:
        """Starts with short waits again."""
        self._pause = _FIRST_POLL

    def wait(self, what: str) -> None:
        """Waits once; `ConfigurationError` saying `what` the table failed to do where the time is up."""
        if self._end is not None and self._clock.now() > self._end:
            raise ConfigurationError(
                f"Table {self._database.table_name} {what} in time; look at it in AWS, then run this again."
            )
        self._clock.sleep(self._pause)
        self._pause = min(self._pause * _GROWTH, _LONGEST_POLL)


def _send(database: Database, operation: str, parameters: dict[str, Any]) -> None:
    """Sends a request after which the table is looked at anyway, so that a lost reply is no harm."""
    started = database.transport.clock.now()
    try:
        _sent(database, Request(operation, parameters))
    except WriteOutcomeUnknownError:
        fields = log_fields(operation, [database.table_name], 0, database.transport.clock.now() - started)
        log.info("the reply to %s was lost; looking at the table instead", operation, extra=fields)


def _settled(
    database: Database, patience: _Patience, tell: OnStep, index: str | None = None
) -> dict[str, Any]:
    """The table once it is busy with nothing.

    Args:
        index: an index that was asked for; what is described may be older than that for a while.
    """
    patience.anew()
    told, unseen = None, 0
    while True:
        table = existing_table(database)
        occupation = busy(table)
        if occupation is None and (index is None or index in described_indexes(table)):
            return table
        if occupation not in (None, told):
            tell(f"waiting: {occupation}")
            told = occupation
        unseen += occupation is None
        if unseen > _UNSEEN_POLLS:
            raise ConfigurationError(
                f"Index {index} was asked for and does not appear on table {database.table_name}; run this again."
            )
        patience.wait(f"did not become ACTIVE ({occupation or f'index {index} is not there'})")


def _add(database: Database, index: IndexLayout, patience: _Patience, tell: OnStep) -> bool:
    """Adds an index and waits for it; False where somebody else added it meanwhile."""
    for _ in range(_REFUSALS):
        table = _settled(database, patience, tell)
        if index.name in described_indexes(table):
            return False
        if _asked_to_add(database, table, index):
            _settled(database, patience, tell, index.name)
            return True
        patience.wait(f"took no index {index.name}")
    raise ConfigurationError(
        f"Table {database.table_name} was busy each time index {index.name} was to be added; run this again later."
    )


def _asked_to_add(database: Database, table: dict[str, Any], index: IndexLayout) -> bool:
    """Asks for an index; False where the table is busy, or has it by now."""
    try:
        _send(database, UPDATE_TABLE, addition(table, index))
    except ServiceError as refused:
        if refused.code not in _OCCUPIED and index.name not in described_indexes(existing_table(database)):
            raise
        return False
    return True


def _enable_ttl(database: Database) -> bool:
    """Enables TTL; False where somebody else enabled it meanwhile."""
    specification = {"Enabled": True, "AttributeName": TTL}
    try:
        _send(
            database,
            UPDATE_TIME_TO_LIVE,
            {"TableName": database.table_name, "TimeToLiveSpecification": specification},
        )
    except ServiceError:
        if lacks_ttl(describe_ttl(database)):
            raise
        return False
    return True
