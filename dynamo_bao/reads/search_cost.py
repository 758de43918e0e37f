"""What a search costs: a warning where that is much, and a refusal where nobody can have meant it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dynamo_bao.dynamodb.layout import ITER_SEARCH_INDEX
from dynamo_bao.dynamodb.service import DESCRIBE_TABLE
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import BaoError, QueryError
from dynamo_bao.reads.bucket_reader import Page
from dynamo_bao.runtime.call_site import calling_line
from dynamo_bao.runtime.log_fields import log_fields

log = logging.getLogger("dynamo_bao.search")

WARNED_UNITS = 1_000
"""From how many read units on a search is warned of."""
REFUSED_ENTRIES = 100_000
"""From how many entries on a search has to be allowed."""
ASKED_ENTRIES = 5_000
"""After how many entries the table is asked how many there are: a small search costs no further request."""


class SearchCost:
    """What one search has cost so far.

    How many entries there are in all is not known without a scan. DynamoDB's own count of the index, some hours
    old, is the estimate; and what the search itself has looked at counts in any case.

    Args:
        database: the table.
        model: the model's name, for messages.
        allowed: whether any number of entries may be looked at.
    """

    def __init__(self, database: Database, model: str, allowed: bool) -> None:
        self._database = database
        self._model = model
        self._allowed = allowed
        self._started = database.transport.clock.now()
        self._asked = False
        self._warned = False
        self.entries = 0
        self.read_units = 0.0

    def add(self, pages: Sequence[Page], *, finished: bool) -> None:
        """Counts pages.

        Args:
            finished: whether they were the last.

        Raises:
            QueryError: if more entries are to be looked at than a search may without `allow_scan`.
        """
        self.entries += sum(page.looked_at for page in pages)
        self.read_units += sum(page.read_units for page in pages)
        if self.read_units >= WARNED_UNITS and not self._warned:
            self._warned = True
            self._warn()
        if finished or self._allowed:
            return
        if self.entries >= REFUSED_ENTRIES:
            raise self._refused(f"it has looked at {self.entries:,} entries of the index already")
        if self.entries >= ASKED_ENTRIES and not self._asked:
            self._asked = True
            known = self._known_entries()
            if known >= REFUSED_ENTRIES:
                raise self._refused(f"the index holds about {known:,} entries, of all models and tenants")

    def _warn(self) -> None:
        file, line = calling_line()
        log.warning(
            "%s: a search at %s:%d has consumed %d read units so far, for %d entries of the index. A search looks "
            "at every item of the model; give a limit, or search in a narrower way.",
            self._model,
            file,
            line,
            self.read_units,
            self.entries,
            extra=log_fields(
                "search",
                [self._database.table_name],
                self.entries,
                self._database.transport.clock.now() - self._started,
                model=self._model,
                read_units=self.read_units,
                entries=self.entries,
            ),
        )

    def _known_entries(self) -> int:
        """How many entries the index has, as DynamoDB counted them last; 0 if it does not say."""
        try:
            request = Request(DESCRIBE_TABLE, {"TableName": self._database.table_name})
            reply = self._database.transport.send(request, deadline=self._database.deadline_from_now())
        except BaoError:  # perhaps not allowed, which a search does not need to be
            return 0
        table = reply.body["Table"]
        indexes = table.get("GlobalSecondaryIndexes") or ()
        counted = [index.get("ItemCount") for index in indexes if index.get("IndexName") == ITER_SEARCH_INDEX]
        return next(filter(None, counted), None) or table.get("ItemCount") or 0

    def _refused(self, why: str) -> QueryError:
        return QueryError(
            f"{self._model}: the search would look at every item of the model, and {why} "
            f"({self.read_units:,.0f} read units so far). Give allow_scan=True if that is meant, a lower limit, or "
            f"use an index or a search engine.",
            index=ITER_SEARCH_INDEX,
        )
