"""Counting the items of a model."""

from __future__ import annotations

from collections.abc import Iterator

from dynamo_bao.maintenance.progress import JobProgress
from dynamo_bao.maintenance.scanners import Scanner


def count_items(way: Scanner) -> Iterator[JobProgress]:
    """Counts the items that a way comes to, without reading them where it need not.

    Args:
        way: as `way_through` gives it.

    Yields:
        A step for every page; the last one has the number as its `count`.

    Example:
        >>> *_, last = count_items(way_through(manager.repository(Post), None))
        >>> last.count
        1000000
    """
    row_count, item_count, total = 0, 0, way.total() if way.scans else None
    for rows in way.pages(counting=True):
        row_count += rows.seen
        item_count += rows.count
        yield JobProgress(row_count, total, item_count)
