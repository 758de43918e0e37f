"""The methods of a repository over all items of its model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar, Unpack

from dynamo_bao.models.late import iteration, search
from dynamo_bao.session.state import ModelMapper

M = TypeVar("M")


class RepositoryScans(Generic[M]):
    """The methods of a repository that iterate, count and search."""

    @property
    def mapper(self) -> ModelMapper:
        """The repository itself."""
        raise NotImplementedError

    def iterate_all(
        self, batch_size: int = 100, filter: iteration.FilterLike = None, **options: Any
    ) -> iteration.Iteration[M]:
        """Iterates over all items of an iterable model, in batches.

        Args:
            batch_size: how many entries of the index a batch comes from. A filter leaves fewer instances.
            filter: a function of the instance, or a condition on ``_searchText``.
            **options: `parallel`, `start_key`, `keys_only` and `max_read_units`, as `Model.iterate_all` explains them.

        Returns:
            An iteration over lists of instances.

        Raises:
            ConfigurationError: if the model is not iterable.
            QueryError: if an argument is wrong.

        Example:
            >>> for batch in users.iterate_all(batch_size=50):
            ...     send_newsletter(batch)
        """
        return iteration.iterate_all(self.mapper, batch_size, filter, **options)

    def iterate_bucket(
        self, bucket: int, batch_size: int = 100, filter: iteration.FilterLike = None, **options: Any
    ) -> iteration.Iteration[M]:
        """Iterates over the items of one iteration bucket, so that several workers can share the work.

        Args:
            bucket: the number of the bucket, from 0.
            batch_size, filter: as `iterate_all` takes them.
            **options: `start_key`, `keys_only` and `max_read_units`, as `iterate_all` takes them.

        Returns:
            An iteration over lists of instances.

        Raises:
            ConfigurationError: if the model is not iterable.
            QueryError: if the model has no such bucket, or an argument is wrong.
        """
        return iteration.iterate_bucket(self.mapper, bucket, batch_size, filter, **options)

    def count(self) -> int:
        """Counts the items of an iterable model in its iteration index, without reading the items.

        Returns:
            The number of items.

        Raises:
            ConfigurationError: if the model is not iterable.
        """
        return iteration.count(self.mapper)

    def search_all(
        self,
        terms: Sequence[str],
        operator: str = "$and",
        limit: float | None = 100,
        cursor: str | None = None,
        **options: Unpack[search.SearchAllOptions],
    ) -> search.SearchResult[M]:
        """Finds the items whose search fields contain terms. This reads the whole search index of the model.

        Args:
            terms: the terms, such as `Model.tokenize_search_query` returns.
            operator: ``"$and"`` for items with all terms, ``"$or"`` for items with any.
            limit: how many matches to return at most; None for all of them.
            cursor: the cursor of an earlier result, to continue it.
            **options: `batch_size`, `max_queries_per_bucket`, `parallel`, `filter` and `allow_scan`, as
                `Model.search_all` takes them.

        Returns:
            The matches, with a cursor for the next ones.

        Raises:
            ConfigurationError: if the model is not searchable or not iterable.
            QueryError: for wrong terms, options or cursors, and for 100,000 entries or more without `allow_scan`.
        """
        return search.search_all(self.mapper, terms, operator, limit, cursor, **options)

    def search_bucket(
        self,
        bucket: int,
        terms: Sequence[str],
        operator: str = "$and",
        limit: float | None = 100,
        cursor: str | None = None,
        **options: Unpack[search.SearchOptions],
    ) -> search.SearchResult[M]:
        """Finds the matches in one iteration bucket.

        Args:
            bucket: the number of the bucket, from 0.
            terms, operator, limit, cursor: as `search_all` takes them.
            **options: as `search_all` takes them, without `parallel`.

        Returns:
            The matches, with a cursor for the next ones.

        Raises:
            ConfigurationError: if the model is not searchable or not iterable.
            QueryError: if the model has no such bucket, or an argument is wrong.
        """
        return search.search_bucket(self.mapper, bucket, terms, operator, limit, cursor, **options)
