"""What can be asked of all items of a model: going through them, counting them, and searching their text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from dynamo_bao._compat import Unpack
from dynamo_bao.reads.iteration import FilterLike, Iteration, count, iterate_all, iterate_bucket
from dynamo_bao.reads.search import SearchAllOptions, SearchOptions, SearchResult, search_all, search_bucket

M = TypeVar("M")


class WholeModel(Generic[M]):
    """The part of a repository that concerns all items of its model."""

    def iterate_all(self, batch_size: int = 100, filter: FilterLike = None, **options: Any) -> Iteration[M]:
        """All items of an iterable model, in batches; see `dynamo_bao.reads.iteration.iterate_all`."""
        home: Any = self
        return iterate_all(home, batch_size, filter, **options)

    def iterate_bucket(
        self, bucket: int, batch_size: int = 100, filter: FilterLike = None, **options: Any
    ) -> Iteration[M]:
        """The items of one iteration bucket, in batches; see `dynamo_bao.reads.iteration.iterate_bucket`."""
        home: Any = self
        return iterate_bucket(home, bucket, batch_size, filter, **options)

    def count(self) -> int:
        """How many items of an iterable model there are; counted by the iteration index."""
        home: Any = self
        return count(home)

    def search_all(
        self,
        terms: Sequence[str],
        operator: str = "$and",
        limit: float | None = 100,
        cursor: str | None = None,
        **options: Unpack[SearchAllOptions],
    ) -> SearchResult[M]:
        """The items whose search fields contain terms; see `dynamo_bao.reads.search.search_all`."""
        home: Any = self
        return search_all(home, terms, operator, limit, cursor, **options)

    def search_bucket(
        self,
        bucket: int,
        terms: Sequence[str],
        operator: str = "$and",
        limit: float | None = 100,
        cursor: str | None = None,
        **options: Unpack[SearchOptions],
    ) -> SearchResult[M]:
        """The matches in one iteration bucket; see `dynamo_bao.reads.search.search_bucket`."""
        home: Any = self
        return search_bucket(home, bucket, terms, operator, limit, cursor, **options)
