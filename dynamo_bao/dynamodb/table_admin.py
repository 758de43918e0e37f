"""Creates, updates, describes and deletes the table, as the table format page defines it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

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
    TableDescription,
    TtlDescription,
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
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.errors import ConfigurationError, ServiceError, TableNotFoundError, WriteOutcomeUnknownError
from dynamo_bao.runtime.late_libraries import logging
from dynamo_bao.runtime.logs import late_logger, log_fields
from dynamo_bao.runtime.records import frozen

log: logging.Logger = late_logger("dynamo_bao.tables")

ACTIVE_SECONDS: Final = 300.0
_FIRST_POLL, _MAX_POLL_SECONDS, _GROWTH = 0.5, 5.0, 1.5
_REFUSALS: Final = 30
_UNSEEN_POLLS: Final = 20
_OCCUPIED: Final = frozenset({"ResourceInUseException", "LimitExceededException"})

OnStep = Callable[[str], object]


@frozen
class TableUpdate:
    """The result of an update of a table, or of one that was only planned.

    Attributes:
        table: the name of the table.
        indexes: the indexes that were added, in that order.
        ttl: whether time to live was enabled.
        faults: the faults that the update could not repair, as sentences with the remedy.
    """

    table: str
    indexes: tuple[str, ...] = ()
    ttl: bool = False
    faults: tuple[str, ...] = ()


# --- descriptions ----------------------------------------------------------------------------------


def _reply_to(database: Database, request: Request) -> Reply:
    database.before_sending()
    return database.transport.send(request, deadline=database.deadline_from_now())


def describe_table(database: Database) -> TableDescription | None:
    """The table in a reply to ``DescribeTable``; None if it does not exist."""
    request = Request(DESCRIBE_TABLE, {"TableName": database.table_name})
    try:
        reply = _reply_to(database, request)
    except TableNotFoundError:
        return None
    described: TableDescription = reply.body["Table"]
    return described


def describe_ttl(database: Database) -> TtlDescription:
    """The table's time to live in a reply to ``DescribeTimeToLive``."""
    request = Request(DESCRIBE_TIME_TO_LIVE, {"TableName": database.table_name})
    reply = _reply_to(database, request)
    described: TtlDescription = reply.body["TimeToLiveDescription"]
    return described


def pending_update(database: Database, *, search: bool = False) -> TableUpdate:
    """What `update_table` would do now. Changes nothing.

    Raises:
        ConfigurationError: if the table does not exist, or has another key.
    """
    table, ttl = existing_table(database), describe_ttl(database)
    fault = ttl_fault(database.table_name, ttl)
    return TableUpdate(
        database.table_name,
        tuple(index.name for index in missing_indexes(table, search)),
        lacks_ttl(ttl),
        (*index_faults(table, search), *(() if fault is None else (fault,))),
    )


def require_keys(table: TableDescription) -> None:
    """Raises `ConfigurationError` if a described table has another key, so that it cannot hold items."""
    fault = key_fault(table)
    if fault is not None:
        raise ConfigurationError(fault)


def existing_table(database: Database) -> TableDescription:
    """The table in a reply to ``DescribeTable``.

    Raises:
        TableNotFoundError: if the table does not exist.
        ConfigurationError: if it has another key.
    """
    table = describe_table(database)
    if table is None:
        raise TableNotFoundError(
            f"Table {database.table_name} does not exist at this region and endpoint; run 'bao create-table', or "
            f"correct the table's name, the region or the endpoint.",
            code="ResourceNotFoundException",
            operation="DescribeTable",
        )
    require_keys(table)
    return table


# --- changes ---------------------------------------------------------------------------------------


def create_table(database: Database, *, search: bool = False, timeout: float = ACTIVE_SECONDS) -> bool:
    """Creates the table, waits until it is ACTIVE, and enables TTL. An existing table is not changed.

    Args:
        database: the table.
        search: whether the table has the search index.
        timeout: the most seconds to wait.

    Returns:
        Whether the table was created.

    Raises:
        ConfigurationError: if a table of that name has another key, or is not ACTIVE in time.
    """
    patience = _Patience(database, timeout)
    table = describe_table(database)
    if table is not None:
        require_keys(table)
    is_new = table is None and _try_to_create(database, search)
    while (table := describe_table(database)) is None or table["TableStatus"] != ACTIVE:
        patience.wait("did not become ACTIVE")
    if is_new:
        _enable_ttl(database)
    outcome = "created" if is_new else "exists already"
    log.info("table %s %s", database.table_name, outcome, extra=patience.fields(CREATE_TABLE))
    return is_new


def _try_to_create(database: Database, search: bool) -> bool:
    """Requests the table; False if somebody else created it at the same moment."""
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
    """Adds the indexes that the table lacks, and enables TTL.

    DynamoDB takes one index at a time, so this waits until each index is ACTIVE. With many items that takes hours.
    If the call is interrupted, DynamoDB goes on building its index; the next call waits for it and adds the others.

    Args:
        database: the table.
        search: whether the table needs the search index.
        timeout: the most seconds to wait; None for no limit.
        on_step: called with a description of each step before it begins; by default steps are logged.

    Returns:
        What was changed, and the faults that remain.

    Raises:
        ConfigurationError: if the table does not exist, has another key, or is not ACTIVE in time.
    """
    patience, report = _Patience(database, timeout), on_step or log.info
    report(f"looking at table {database.table_name}")
    table, added_names = _settled(database, patience, report), []
    lacking_indexes = missing_indexes(table, search)
    for number, index in enumerate(lacking_indexes, 1):
        report(f"adding index {index.name} ({number} of {len(lacking_indexes)})")
        if _add(database, index, patience, report):
            added_names.append(index.name)
    ttl = lacks_ttl(describe_ttl(database))
    if ttl:
        report("enabling TTL")
        ttl = _enable_ttl(database)
    remaining_update = pending_update(database, search=search)
    return TableUpdate(database.table_name, tuple(added_names), ttl, remaining_update.faults)


def delete_table(database: Database, *, timeout: float = ACTIVE_SECONDS) -> bool:
    """Deletes the table with all of its items, and waits until it does not exist.

    Args:
        database: the table.
        timeout: the most seconds to wait.

    Returns:
        Whether the table existed.

    Raises:
        ConfigurationError: if the table is not deleted in time.
    """
    patience = _Patience(database, timeout)
    try:
        _send(database, DELETE_TABLE, {"TableName": database.table_name})
    except TableNotFoundError:
        return False
    while describe_table(database) is not None:
        patience.wait("was not deleted")
    log.info("table %s deleted", database.table_name, extra=patience.fields(DELETE_TABLE))
    return True


# --- steps -----------------------------------------------------------------------------------------


class _Patience:
    """Waits between descriptions of the table, longer each time, until the time is over."""

    def __init__(self, database: Database, timeout: float | None) -> None:
        self._database = database
        self._clock = database.transport.clock
        self._start_time = self._clock.now()
        self._end = None if timeout is None else self._start_time + timeout
        self._pause = _FIRST_POLL

    def fields(self, operation: str) -> dict[str, object]:
        """The fields of a log line about the table."""
        return log_fields(operation, [self._database.table_name], 0, self._clock.now() - self._start_time)

    def restart(self) -> None:
        """Begins again with short waits."""
        self._pause = _FIRST_POLL

    def wait(self, fault: str) -> None:
        """Waits once.

        Args:
            fault: what the table failed to do, for the error.

        Raises:
            ConfigurationError: if the time is over.
        """
        if self._end is not None and self._clock.now() > self._end:
            raise ConfigurationError(
                f"Table {self._database.table_name} {fault} in time; look at it in AWS, then run this again."
            )
        self._clock.sleep(self._pause)
        self._pause = min(self._pause * _GROWTH, _MAX_POLL_SECONDS)


def _send(database: Database, operation: str, parameters: dict[str, object]) -> None:
    """Sends a request whose reply may be lost, because the caller describes the table afterwards."""
    start_time = database.transport.clock.now()
    try:
        _reply_to(database, Request(operation, parameters))
    except WriteOutcomeUnknownError:
        fields = log_fields(operation, [database.table_name], 0, database.transport.clock.now() - start_time)
        log.info("the reply to %s was lost; describing the table instead", operation, extra=fields)


def _settled(
    database: Database, patience: _Patience, report: OnStep, index: str | None = None
) -> TableDescription:
    """The described table, as soon as it takes changes.

    Args:
        index: an index that was requested; the description may lack it for a while.
    """
    patience.restart()
    reported, unseen = None, 0
    while True:
        table = existing_table(database)
        occupation = busy(table)
        if occupation is None and (index is None or index in described_indexes(table)):
            return table
        if occupation not in (None, reported):
            report(f"waiting: {occupation}")
            reported = occupation
        unseen += occupation is None
        if unseen > _UNSEEN_POLLS:
            raise ConfigurationError(
                f"Index {index} was requested and does not appear on table {database.table_name}; run this again."
            )
        patience.wait(f"did not become ACTIVE ({occupation or f'index {index} is not there'})")


def _add(database: Database, index: IndexLayout, patience: _Patience, report: OnStep) -> bool:
    """Adds an index and waits for it; False if somebody else added it meanwhile."""
    for _ in range(_REFUSALS):
        table = _settled(database, patience, report)
        if index.name in described_indexes(table):
            return False
        if _try_to_add(database, table, index):
            _settled(database, patience, report, index.name)
            return True
        patience.wait(f"took no index {index.name}")
    raise ConfigurationError(
        f"Table {database.table_name} was busy each time index {index.name} was to be added; run this again later."
    )


def _try_to_add(database: Database, table: TableDescription, index: IndexLayout) -> bool:
    """Requests an index; False if the table is busy, or has the index already."""
    try:
        _send(database, UPDATE_TABLE, addition(table, index))
    except ServiceError as error:
        if error.code not in _OCCUPIED and index.name not in described_indexes(existing_table(database)):
            raise
        return False
    return True


def _enable_ttl(database: Database) -> bool:
    """Enables TTL; False if somebody else enabled it meanwhile."""
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
