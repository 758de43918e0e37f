"""Jobs with a limit consume at most that many capacity units a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import (
    ConfigurationError,
    Index,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    UniqueConstraint,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from dynamo_bao.maintenance.check import examine_table
from dynamo_bao.maintenance.count import count_items
from dynamo_bao.maintenance.export import export_items, export_to
from dynamo_bao.maintenance.import_items import import_items
from dynamo_bao.maintenance.limits import Limits
from dynamo_bao.maintenance.reindex import rebuild_search_texts, reindex_items
from dynamo_bao.maintenance.scanners import scanner_for
from tests.integration.maintenance.conftest import damage
from tests.support.clocks import FakeTime

pytestmark = pytest.mark.one_engine


class Member(Model, prefix="me", iterable=True, iteration_buckets=2, searchable=["text"]):
    name: str
    email: str | None = None
    text: str = "a text"

    primary_key = PrimaryKey("name")
    by_text = Index("text", "name", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")


class Row(Model, prefix="ro"):
    name: str

    primary_key = PrimaryKey("name")


MODELS = [Member, Row]
ROWS = 400


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "items.jsonl"


class Metered:
    """A table whose time passes only in waits, and the units that were consumed in it."""

    def __init__(self, manager: Manager, time: FakeTime) -> None:
        self.manager, self.time, self.reads, self.writes = manager, time, 0.0, 0.0
        manager.on_request(self._count)

    def _count(self, request: Any) -> None:
        self.reads += request.capacity.read
        self.writes += request.capacity.write

    def run(self, job: Callable[[], Any]) -> tuple[float, float, float]:
        """Runs a job, and returns the read units and write units that it consumed, and the seconds that it took."""
        start, self.reads, self.writes = self.time.now(), 0.0, 0.0
        for _ in job():
            pass
        return self.reads, self.writes, self.time.now() - start


@pytest.fixture
def metered(manager: Manager, ready_table: str) -> Iterator[Metered]:
    """The table of `manager`, through a transport with a clock of its own."""
    time, wire = FakeTime(), manager.database.transport.wire  # type: ignore[attr-defined]
    transport = RetryingTransport(wire, time.clock)
    with init_models(models=MODELS, table_name=ready_table, transport=transport, max_concurrency=1) as other:
        yield Metered(other, time)


def members(count: int) -> str:
    return "".join(f'{{"name": "m{n}", "email": "{n}@x"}}\n' for n in range(count))


def test_imports_keep_to_their_write_units(metered: Metered, file: Path) -> None:
    """Conditional puts, transactions and batches: each takes the time that its units need."""
    rows = "".join(f'{{"name": "r{n}"}}\n' for n in range(200))
    for model, lines, options, largest in (
        (Row, rows, {}, 1),
        (Member, members(150), {}, 180),
        (Row, rows, {"overwrite": True}, 25),
    ):
        file.write_text(lines)
        repository = metered.manager.repository(model)
        _, writes, seconds = metered.run(
            partial(import_items, repository, None, file, max_write_units=50, **options)
        )
        assert writes >= 150
        assert writes - 2 * largest <= seconds * 50 <= writes  # for the last requests nobody waits


def test_reading_jobs_keep_to_their_read_units(metered: Metered, file: Path) -> None:
    """Each job takes the time that its units need; the last request waits for nobody."""
    file.write_text(members(ROWS))
    list(import_items(metered.manager.repository(Member), None, file))
    repository = metered.manager.repository(Member)
    jobs: dict[str, Callable[[], Any]] = {
        "export": lambda: export_items(
            repository, None, scanner_for(repository, None), file, max_read_units=20
        ),
        "to a stream": lambda: export_to(repository, scanner_for(repository, None), len, max_read_units=20),
        "count": lambda: count_items(scanner_for(repository, None, stored=True), max_read_units=20),
        "examine": lambda: examine_table(metered.manager.database, [repository], max_read_units=20),
        "reindex": lambda: reindex_items(repository, None, journal=file.with_name("p"), max_read_units=20),
        "search texts": lambda: rebuild_search_texts(
            repository, None, journal=file.with_name("p"), max_read_units=20
        ),
    }
    for name, job in jobs.items():
        reads, _, seconds = metered.run(job)
        assert seconds * 20 == pytest.approx(reads, abs=110), name
        assert name == "count" or seconds > 5, name


def test_mending_keeps_to_its_write_units(metered: Metered, file: Path) -> None:
    """Reindexing and the doctor write no faster than they may."""
    file.write_text(members(30))
    repository = metered.manager.repository(Member)
    list(import_items(repository, None, file))
    for job in (
        lambda: reindex_items(repository, None, journal=file.with_name("p"), max_write_units=2),
        lambda: examine_table(metered.manager.database, [repository], fix=True, max_write_units=2),
    ):
        for number in range(20):
            damage(metered.manager, f"me#m{number}", "me", _gsi1_pk="wrong")
        _, writes, seconds = metered.run(job)
        assert writes >= 20
        assert seconds * 2 == pytest.approx(writes, rel=0.1)


@pytest.mark.parametrize("parallel", [1, 2])
def test_iterations_keep_to_their_read_units(metered: Metered, file: Path, parallel: int) -> None:
    """With and without a batch context; ids alone cost the index only."""
    file.write_text(members(ROWS))
    list(import_items(metered.manager.repository(Member), None, file))

    def in_context() -> Iterator[object]:
        with run_with_batch_context():
            yield from Member.iterate_all(20, parallel=parallel, max_read_units=20)

    for job in (in_context, lambda: Member.iterate_all(20, parallel=parallel, max_read_units=20)):
        reads, _, seconds = metered.run(job)
        assert reads >= ROWS / 2
        assert seconds * 20 == pytest.approx(reads, abs=15 * parallel)
    reads, _, seconds = metered.run(lambda: Member.iterate_bucket(1, 20, keys_only=True, max_read_units=1))
    assert seconds == pytest.approx(reads, abs=3)
    with pytest.raises(QueryError, match="max_read_units=0; give a positive number"):
        Member.iterate_all(max_read_units=0)


def test_a_scanner_of_one_s_own_cannot_be_limited(metered: Metered, file: Path) -> None:
    """The library does not know how it reads; without limits it is as good as any."""

    class Own:
        """A way to read that is not the library's."""

    own: Any = Own()
    assert Limits().scanner(own) is own
    with pytest.raises(ConfigurationError, match="Only scanners of dynamo_bao can be limited"):
        Limits(read_units=1.0).scanner(own)


def test_a_job_is_refused_a_limit_that_is_none(metered: Metered, file: Path) -> None:
    """Before anything is sent."""
    repository = metered.manager.repository(Row)
    file.write_text('{"name": "a"}\n')
    with pytest.raises(ConfigurationError, match="max_write_units=-1"):
        import_items(repository, None, file, max_write_units=-1)
