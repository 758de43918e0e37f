"""Counting the items of a model."""

from __future__ import annotations

from collections.abc import Iterator

from dynamo_bao.maintenance.limits import Limits
from dynamo_bao.maintenance.progress import JobProgress
from dynamo_bao.maintenance.scanners import Scanner


def count_items(way: Scanner, *, max_read_units: float | None = None) -> Iterator[JobProgress]:
    """Counts items, without reading them if the scanner allows it.

    Args:
        way: the scanner, from `scanner_for`.
        max_read_units: the most read units to consume in a second; None for no limit.

    Yields:
        A step for each page; `count` of the last one is the result.

    Example:
        >>> *_, last = count_items(scanner_for(manager.repository(Post), None))
        >>> last.count
        1000000
    """
    way = Limits.of(max_read_units).scanner(way)
    row_count, item_count, total = 0, 0, way.total() if way.scans else None
    for rows in way.pages(counting=True):
        row_count += rows.row_count
        item_count += rows.count
        yield JobProgress(row_count, total, item_count)
