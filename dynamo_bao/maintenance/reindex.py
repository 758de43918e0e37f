"""Rewrites index keys, iteration keys, search texts and guards of a model's items from their fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.maintenance.check import Examiner
from dynamo_bao.maintenance.limits import Limits
from dynamo_bao.maintenance.progress import Finding, JobProgress
from dynamo_bao.maintenance.progress_file import ProgressFile, in_file_name, work_on
from dynamo_bao.maintenance.scanners import Iterating, Scanner, read_ahead, scanner_for
from dynamo_bao.session.state import ModelMapper

SEARCH: Final = frozenset({"search"})


def reindex_items(
    mapper: ModelMapper,
    tenant: str | None,
    *,
    dry_run: bool = False,
    resume: bool = False,
    restart: bool = False,
    journal: Path | None = None,
    fill_defaults: bool = False,
    max_read_units: float | None = None,
    max_write_units: float | None = None,
) -> Iterator[JobProgress]:
    """Rewrites keys and guards of items whose fields require other ones.

    Items are read from the table itself, so items that are missing in an index are found too. Other attributes do not
    change, no hook runs, and correct items are not written. A concurrent write is not undone: the keys are then made
    from the item that it stored.

    Args:
        mapper: the model's repository.
        tenant: the tenant of the items; `dynamo_bao.maintenance.scanners.ANY_TENANT` for all.
        dry_run: whether to count the items only, without writing them.
        resume: whether to continue an interrupted run.
        restart: whether to start, even if a run was interrupted.
        journal: the progress file; in the current folder by default.
        fill_defaults: whether to write the default of a field to items that lack the attribute.
        max_read_units, max_write_units: the most capacity units to consume in a second; None for no limit.

    Yields:
        A step for each page: `count` is the number of items written, `found` lists the faults that were not repaired.

    Raises:
        ConfigurationError: if a run was interrupted and neither `resume` nor `restart` is set.

    Example:
        >>> for step in reindex_items(manager.repository(Post), None):
        ...     print(step.done, step.count)
    """
    mapper = Limits.of(max_read_units, max_write_units).repository(mapper)
    way = scanner_for(mapper, tenant, stored=True)
    progress_file = _journal(mapper, tenant, "reindex", journal, fill_defaults=fill_defaults)
    state = progress_file.begin(resume=resume, restart=restart)
    return _written(mapper, way, progress_file, state, None, dry_run, fill_defaults)


def rebuild_search_texts(
    mapper: ModelMapper,
    tenant: str | None,
    *,
    dry_run: bool = False,
    resume: bool = False,
    restart: bool = False,
    journal: Path | None = None,
    max_read_units: float | None = None,
    max_write_units: float | None = None,
) -> Iterator[JobProgress]:
    """Rewrites the search text of items whose fields require another one.

    Args:
        mapper: the model's repository.
        tenant: the tenant of the items.
        dry_run, resume, restart, journal, max_read_units, max_write_units: see `reindex_items`.

    Yields:
        A step for each page, as `reindex_items` does.

    Raises:
        ConfigurationError: for a model that is not searchable, or not iterable.

    Example:
        >>> for step in rebuild_search_texts(manager.repository(Post), None):
        ...     print(step.done, step.count)
    """
    schema = mapper.schema
    if schema.search is None:
        raise ConfigurationError(
            f"Model {schema.name} is not searchable; name its fields with searchable=[…].", model=schema.name
        )
    if not schema.iterable:
        raise ConfigurationError(
            f"Model {schema.name} is not iterable, as searching it needs; define it with iterable=True.",
            model=schema.name,
        )
    mapper = Limits.of(max_read_units, max_write_units).repository(mapper)
    progress_file = _journal(mapper, tenant, "rebuild-search-text", journal)
    state = progress_file.begin(resume=resume, restart=restart)
    return _written(mapper, Iterating(mapper, tenant), progress_file, state, SEARCH, dry_run)


def _journal(
    mapper: ModelMapper, tenant: str | None, job: str, path: Path | None, **options: bool
) -> ProgressFile:
    name = mapper.schema.name
    default = Path(f".bao-{job}-{in_file_name(mapper.database.table_name)}-{in_file_name(name)}.progress")
    return ProgressFile(path or default, {**work_on(mapper.database, job, name, tenant), **options})


def _written(
    mapper: ModelMapper,
    way: Scanner,
    journal: ProgressFile,
    state: dict[str, Any] | None,
    only: frozenset[str] | None,
    dry_run: bool,
    fill_defaults: bool = False,
) -> Iterator[JobProgress]:
    state = state or {"position": None, "done": 0, "count": 0, "total": way.total(), "ended": False}
    examiner = Examiner(
        {mapper.schema.prefix: mapper},
        mapper.database.pool,
        not dry_run,
        only,
        attributes=False,
        fill_defaults=fill_defaults,
    )
    pages = iter(()) if state["ended"] else way.pages(state["position"])
    for rows in read_ahead(pages, mapper.database.pool):
        findings = examiner.items(rows.items)
        state |= {"position": rows.position, "ended": rows.position is None}
        state |= {
            "done": state["done"] + rows.row_count,
            "count": state["count"] + _changed(findings, dry_run),
        }
        if not dry_run:
            journal.save(state)
        problems = tuple(
            finding for finding in findings if finding.is_problem and not (dry_run and finding.mendable)
        )
        yield JobProgress(state["done"], state["total"], state["count"], problems)
    if not dry_run:
        journal.remove()
    yield JobProgress(state["done"], state["total"], state["count"])


def _changed(findings: Sequence[Finding], dry_run: bool) -> int:
    """The number of items that were written, or would be in a dry run."""
    return len(
        {
            (finding.tenant, finding.key)
            for finding in findings
            if (finding.mendable if dry_run else finding.mended)
        }
    )
