"""Queries that many instances share: what a session knows of each kind, and what it fetched in advance."""

from __future__ import annotations

from collections.abc import Hashable

from dynamo_bao.dynamodb.transport.messages import Reply
from dynamo_bao.runtime.call_site import CallSite
from dynamo_bao.runtime.records import Factory, define

MAX_KINDS = 1000
"""How many kinds a session remembers."""
BYTES_OF_A_UNIT = 8192
"""How many bytes an eventually consistent read gets for one read unit."""
PAGE_BYTES = 1024 * 1024
"""The size of the largest page."""
ROUND_BYTES = 16 * PAGE_BYTES
"""How many bytes the queries of peers may read in one round, as far as earlier answers tell."""


@define(eq=False)
class PrefetchFigures:
    """The queries that one line of code caused to be fetched in advance.

    Attributes:
        about: the model and the index of the latest one.
        count: how many were fetched.
        unused: how many of them were not used so far.
    """

    about: str
    count: int = 0
    unused: int = 0


@define(eq=False)
class QueryKind:
    """A query without its partition, as a session uses it for the instances of a model.

    Attributes:
        first_partition: the partition that was looked at first; None before the first look.
        is_repeated: whether it was looked at for a second partition. From then on a look runs it for peers too.
        obstacle: why it no longer runs for peers; empty while it does.
        answers, rows, size: how many first pages were received, with how many rows and bytes.
    """

    first_partition: Hashable = None
    is_repeated: bool = False
    obstacle: str = ""
    answers: int = 0
    rows: int = 0
    size: int = 0

    def note_look(self, partition: Hashable) -> None:
        """Records that it was looked at for a partition."""
        if self.first_partition is None:
            self.first_partition = partition
        elif partition != self.first_partition:
            self.is_repeated = True

    def note_answer(self, reply: Reply, has_page_limit: bool) -> None:
        """Records the size of a first page.

        Args:
            has_page_limit: whether the request limited the page. Without that, a page that is not the last one is full.
        """
        is_full = not has_page_limit and "LastEvaluatedKey" in reply.parsed
        self.answers += 1
        self.rows += len(reply.parsed.get("Items", ()))
        self.size += PAGE_BYTES if is_full else int(reply.capacity.read * BYTES_OF_A_UNIT)

    def room(self, query_limit: int, row_limit: int | None) -> int:
        """How many peers' queries fit into a round, by the answers so far.

        Args:
            query_limit: the greatest number of queries.
            row_limit: the greatest number of rows; None if they may be any number.
        """
        limits = [query_limit]
        if self.size:
            limits.append(ROUND_BYTES * self.answers // self.size)
        if self.rows and row_limit is not None:
            limits.append(row_limit * self.answers // self.rows)
        return max(1, min(limits))


@define(eq=False)
class QueryKinds:
    """The kinds of a session; the latest `MAX_KINDS` are remembered.

    Attributes:
        figures: what was fetched in advance, by the line of code that caused it.
    """

    _kinds: dict[Hashable, QueryKind] = Factory(dict)
    figures: dict[CallSite, PrefetchFigures] = Factory(dict)

    def figures_of(self, line: CallSite, about: str) -> PrefetchFigures:
        """The figures of a line of code."""
        figures = self.figures.setdefault(line, PrefetchFigures(about))
        figures.about = about
        return figures

    def get(self, key: Hashable) -> QueryKind:
        """The kind with a key."""
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = QueryKind()
            if len(self._kinds) > MAX_KINDS:
                del self._kinds[next(iter(self._kinds))]
        return kind
