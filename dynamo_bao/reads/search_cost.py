"""The cost of a search: a warning if it is high, and an error if it is too high."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo_bao.dynamodb.layout import ITER_SEARCH_INDEX
from dynamo_bao.dynamodb.service import DESCRIBE_TABLE
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import BaoError, QueryError
from dynamo_bao.reads.bucket_reader import Page
from dynamo_bao.runtime.call_site import calling_line
from dynamo_bao.runtime.late_libraries import logging
from dynamo_bao.runtime.logs import late_logger, log_fields

log: logging.Logger = late_logger("dynamo_bao.search")

WARNING_UNITS = 1_000
"""A search that consumes this many read units logs a warning."""
MAX_ENTRIES = 100_000
"""A search of this many entries needs `allow_scan`."""
COUNTED_ENTRIES = 5_000
"""After this many entries, the search requests the size of the index. A smaller search sends no such request."""


class SearchCost:
    """The cost of one search so far.

    The number of entries is not known without a scan. The estimate is DynamoDB's own count of the index, which is some
    hours old, or the number of entries that the search has read.

    Args:
        database: the table.
        model: the model's name, for messages.
        is_unlimited: whether the search may read any number of entries.
    """

    def __init__(self, database: Database, model: str, is_unlimited: bool) -> None:
        self._database = database
        self._model = model
        self._is_unlimited = is_unlimited
        self._start_time = database.transport.clock.now()
        self._has_estimate = False
        self._has_warned = False
        self.entries: int = 0
        self.read_units: float = 0.0

    def add(self, pages: Sequence[Page], *, is_last: bool) -> None:
        """Counts pages.

        Args:
            pages: the pages.
            is_last: whether they are the last pages.

        Raises:
            QueryError: if the search would read more entries than it may without `allow_scan`.
        """
        self.entries += sum(page.scanned_count for page in pages)
        self.read_units += sum(page.read_units for page in pages)
        if self.read_units >= WARNING_UNITS and not self._has_warned:
            self._has_warned = True
            self._warn()
        if is_last or self._is_unlimited:
            return
        if self.entries >= MAX_ENTRIES:
            raise self._too_expensive(f"it has read {self.entries:,} entries of the index already")
        if self.entries >= COUNTED_ENTRIES and not self._has_estimate:
            self._has_estimate = True
            estimate = self._estimated_entries()
            if estimate >= MAX_ENTRIES:
                raise self._too_expensive(
                    f"the index has about {estimate:,} entries of all models and tenants"
                )

    def _warn(self) -> None:
        file, line = calling_line()
        log.warning(
            "%s: a search at %s:%d has consumed %d read units so far, for %d entries of the index. A search reads "
            "every item of the model; give a limit, or use an index.",
            self._model,
            file,
            line,
            self.read_units,
            self.entries,
            extra=log_fields(
                "search",
                [self._database.table_name],
                self.entries,
                self._database.transport.clock.now() - self._start_time,
                model=self._model,
                read_units=self.read_units,
                entries=self.entries,
            ),
        )

    def _estimated_entries(self) -> int:
        """The number of entries of the index, by DynamoDB's last count; 0 if it is unknown."""
        try:
            request = Request(DESCRIBE_TABLE, {"TableName": self._database.table_name})
            reply = self._database.transport.send(request, deadline=self._database.deadline_from_now())
        except BaoError:  # the program may not have the permission, and a search does not need it
            return 0
        table = reply.body["Table"]
        indexes = table.get("GlobalSecondaryIndexes") or ()
        counts = [index.get("ItemCount") for index in indexes if index.get("IndexName") == ITER_SEARCH_INDEX]
        return next(filter(None, counts), None) or table.get("ItemCount") or 0

    def _too_expensive(self, reason: str) -> QueryError:
        return QueryError(
            f"{self._model}: the search would read every item of the model, and {reason} "
            f"({self.read_units:,.0f} read units so far). Give allow_scan=True or a lower limit, or use an index or a "
            f"search engine.",
            index=ITER_SEARCH_INDEX,
        )
