"""Exports the items of a model as JSON lines: to a file, which appears when it is complete, or to a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.maintenance.json_lines import LineFormat
from dynamo_bao.maintenance.limits import Limits
from dynamo_bao.maintenance.progress import JobProgress
from dynamo_bao.maintenance.progress_file import ProgressFile, own_file, synced, work_on
from dynamo_bao.maintenance.scanners import Scanner, read_ahead
from dynamo_bao.session.state import ModelMapper

PART: Final = ".part"
JOURNAL: Final = ".exporting"
RECORD_SECONDS: Final = 0.5
"""The seconds after which progress is recorded; each time is a wait for the disk. An interruption records it too."""


def export_to(
    mapper: ModelMapper,
    way: Scanner,
    write: Callable[[bytes], object],
    *,
    max_read_units: float | None = None,
) -> Iterator[JobProgress]:
    """Writes every item of a model as one line.

    Args:
        mapper: the model's repository.
        way: the scanner that reads the items, from `scanner_for`.
        write: called with the lines of each page.
        max_read_units: the most read units to consume in a second; None for no limit.

    Yields:
        A step for every page.
    """
    way = Limits.of(max_read_units).scanner(way)
    row_count, item_count, total = 0, 0, way.total()
    line_of = LineFormat(mapper.schema).line_of
    for rows in read_ahead(way.pages(), mapper.database.pool):
        write(b"".join(map(line_of, rows.items)))
        row_count, item_count = row_count + rows.row_count, item_count + len(rows.items)
        yield JobProgress(row_count, total, item_count)


def way_of_interrupted(target: Path) -> str | None:
    """The `about` of the scanner of an interrupted export to a file; None if there was none."""
    return ProgressFile(target.with_name(target.name + JOURNAL), {}).noted("way")


def export_items(
    mapper: ModelMapper,
    tenant: str | None,
    way: Scanner,
    target: Path,
    *,
    resume: bool = False,
    restart: bool = False,
    max_read_units: float | None = None,
) -> Iterator[JobProgress]:
    """Writes every item of a model into a file, which appears, or replaces an older one, when it is complete.

    Until then the lines are in ``<target>.part``, and the progress is in ``<target>.exporting``. Memory use does not
    grow with the number of items.

    Args:
        mapper: the model's repository.
        tenant: the tenant of the items, for the progress file.
        way: the scanner that reads the items, from `scanner_for`.
        target: the path of the file.
        resume: whether to continue an interrupted export to the same file.
        restart: whether to start, even if an export was interrupted.
        max_read_units: the most read units to consume in a second; None for no limit.

    Yields:
        A step for each page, when its lines are written, and one when the file is complete.

    Raises:
        ConfigurationError: if an export was interrupted and neither `resume` nor `restart` is set, or if the path is
            that of a folder, a pipe or a device.

    Example:
        >>> repository = manager.repository(Post)
        >>> for step in export_items(repository, None, scanner_for(repository, None), Path("posts.jsonl")):
        ...     print(step.done, "of", step.total)
    """
    if target.exists() and not target.is_file():
        raise ConfigurationError(
            f"{target} is a folder, a pipe or a device, which a file cannot replace; name a file."
        )
    way = Limits.of(max_read_units).scanner(way)
    about = work_on(mapper.database, "export", mapper.schema.name, tenant)
    journal = ProgressFile(target.with_name(target.name + JOURNAL), {**about, "way": way.about})
    return _exported(mapper, way, target, journal, journal.begin(resume=resume, restart=restart))


def _exported(
    mapper: ModelMapper, way: Scanner, target: Path, journal: ProgressFile, state: dict[str, Any] | None
) -> Iterator[JobProgress]:
    part = target.with_name(target.name + PART)
    if state is None or part.is_symlink() or not part.exists() or part.stat().st_size < state["bytes"]:
        state = {"bytes": 0, "done": 0, "count": 0, "total": way.total(), "position": None, "ended": False}
    with own_file(part) as file:
        file.truncate(state["bytes"])  # the lines of an unrecorded page are written again
        file.seek(state["bytes"])
        if not state["ended"]:
            yield from _written(mapper, way, file, journal, state)
    part.replace(target)
    journal.remove()
    yield JobProgress(state["done"], state["total"], state["count"])


def _written(
    mapper: ModelMapper, way: Scanner, file: IO[bytes], journal: ProgressFile, state: dict[str, Any]
) -> Iterator[JobProgress]:
    """Writes the lines after a recorded state, which it changes. Records it from time to time, and at the end."""
    line_of, now = LineFormat(mapper.schema).line_of, mapper.database.transport.clock.now
    recorded_at, is_recorded = now(), True
    try:
        for rows in read_ahead(way.pages(state["position"]), mapper.database.pool):
            file.writelines(map(line_of, rows.items))
            state |= {"bytes": file.tell(), "position": rows.position, "ended": rows.position is None}
            state |= {"done": state["done"] + rows.row_count, "count": state["count"] + len(rows.items)}
            is_recorded = False
            if now() - recorded_at >= RECORD_SECONDS:
                synced(file)
                journal.save(state)
                recorded_at, is_recorded = now(), True
            yield JobProgress(state["done"], state["total"], state["count"])
    finally:
        if not is_recorded:
            synced(file)
            journal.save(state)
