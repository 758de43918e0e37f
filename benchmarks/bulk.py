"""What jobs over many items cost beside boto3's client: ``python -m benchmarks.bulk``.

dynoxide answers on loopback, in a process of its own, on the same cores. A row has the items of each second, the CPU
time of this process for each item, with boto3's batch writer and scan for comparison. The figures are the best of some
rounds, because another program can only make them worse.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from benchmarks.measure import Figures, say
from dynamo_bao import (
    Index,
    IntegerField,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UniqueConstraint,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.maintenance.check import examine_table
from dynamo_bao.maintenance.count import count_items
from dynamo_bao.maintenance.export import export_items
from dynamo_bao.maintenance.import_items import check_lines, import_items
from dynamo_bao.maintenance.reindex import reindex_items
from dynamo_bao.maintenance.scanners import scanner_for
from tests.support.engines import Engines

TABLE = "bulk"
ITEMS_OF = {"boto3 scan of all": 3, "doctor, of entries and members": 3, "reindex, nothing to mend": 3}
"""How many items a job handles for each number: the table has an entry, a member and a guard."""
BODY = "lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor"


class Entry(Model, prefix="be", iterable=True, iteration_buckets=4):
    entry_id: str = StringField()
    team: str = StringField(default="red")
    age: int = IntegerField(default=36)
    title: str = StringField(default="")
    body: str = StringField(default=BODY)

    primary_key = PrimaryKey("entry_id")
    by_team = Index("team", "entry_id", id="gsi1")


class Member(Model, prefix="bm"):
    member_id: str = StringField()
    email: str = StringField()
    body: str = StringField(default=BODY)

    primary_key = PrimaryKey("member_id")
    unique_email = UniqueConstraint("email", id="uc1")


def _all(steps: Iterable[object]) -> None:
    for _ in steps:
        pass


class Jobs:
    """The jobs, on tables of their own for each round.

    Args:
        manager: the manager of an empty table.
        folder: where files are written.
        count: the number of items.
    """

    def __init__(self, manager: Manager, folder: Path, count: int) -> None:
        self.manager, self.folder, self.count = manager, folder, count
        self.entries, self.members = manager.repository(Entry), manager.repository(Member)
        self.entry_file, self.member_file = folder / "entries.jsonl", folder / "members.jsonl"
        for path, line in ((self.entry_file, self._entry), (self.member_file, self._member)):
            path.write_text("".join(f"{json.dumps(line(number))}\n" for number in range(count)))

    def _entry(self, number: int) -> dict[str, object]:
        team = ("red", "green", "blue")[number % 3]
        own = {"entry_id": f"{number:07}", "team": team, "age": number % 90, "title": f"Title {number}"}
        return {**own, "body": BODY}

    def _member(self, number: int) -> dict[str, object]:
        return {"member_id": f"{number:07}", "email": f"{number}@example.org", "body": BODY}

    def _imported(self, repository: Any, file: Path, **options: Any) -> None:
        _all(check_lines(repository, None, file))
        _all(import_items(repository, None, file, restart=True, **options))

    def _iterated(self) -> None:
        with run_with_batch_context():
            _all(Entry.iterate_all())

    def writes(self) -> dict[str, Callable[[], None]]:
        """The jobs that fill the table, in this order."""
        return {
            "import of new items": lambda: self._imported(self.entries, self.entry_file),
            "import with a unique value": lambda: self._imported(self.members, self.member_file),
            "import --overwrite": lambda: self._imported(self.entries, self.entry_file, overwrite=True),
        }

    def reads(self) -> dict[str, Callable[[], None]]:
        """The jobs that read the table."""
        entries, target = self.entries, self.folder / "out.jsonl"
        journal = self.folder / "reindex.progress"
        return {
            "export": lambda: _all(
                export_items(entries, None, scanner_for(entries, None), target, restart=True)
            ),
            "count": lambda: _all(count_items(scanner_for(entries, None))),
            "iterate_all": self._iterated,
            "doctor, of entries and members": lambda: _all(
                examine_table(self.manager.database, [entries, self.members])
            ),
            "reindex, nothing to mend": lambda: _all(
                reindex_items(entries, None, restart=True, journal=journal)
            ),
        }


def boto3_writes(client: Any, count: int) -> None:
    """Stores as many items by the batch writer of boto3's resource, with their index keys."""
    table = boto3.resource("dynamodb", region_name="us-east-1", endpoint_url=client.meta.endpoint_url).Table(
        TABLE
    )
    with table.batch_writer() as writer:
        for number in range(count):
            keys = {
                "_pk": f"x#{number}",
                "_sk": "x",
                "_iter_pk": f"x#iter#{number % 4:03}",
                "_iter_sk": str(number),
            }
            index = {"_gsi1_pk": f"x#gsi1#{number % 3}", "_gsi1_sk": str(number)}
            writer.put_item(
                Item={**keys, **index, "age": number % 90, "title": f"Title {number}", "body": BODY}
            )


def boto3_reads(client: Any) -> None:
    """Reads the table by a scan with typed values."""
    for page in client.get_paginator("scan").paginate(TableName=TABLE, PaginationConfig={"PageSize": 500}):
        len(page["Items"])


@contextmanager
def connected(url: str) -> Iterator[Manager]:
    """A manager of a new table."""
    settings: dict[str, Any] = {"region": "us-east-1", "endpoint_url": url}
    with init_models(models=[Entry, Member], table_name=TABLE, **settings) as manager:
        manager.create_table()
        yield manager
        manager.delete_table()


def measured(work: Callable[[], None]) -> tuple[float, float]:
    """The seconds of time and of this process's CPU that a job takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def best_seconds(url: str, count: int, rounds: int) -> dict[str, tuple[float, float]]:
    """By job the best seconds of time and of CPU of all rounds."""
    best: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            with connected(url) as manager:
                jobs = Jobs(manager, Path(folder), count)
                works = {
                    **jobs.writes(),
                    **jobs.reads(),
                    "boto3 scan of all": lambda: boto3_reads(manager.client),
                    "boto3 batch writer": lambda: boto3_writes(manager.client, count),
                }
                for name, work in works.items():
                    say(f"{name}\n")
                    times = measured(work)
                    earlier = best.get(name, times)
                    best[name] = (min(times[0], earlier[0]), min(times[1], earlier[1]))
    return best


def figures(url: str, count: int, rounds: int) -> Figures:
    """By job the items a second, and the microseconds of this process's CPU for an item."""
    results: Figures = {}
    for name, (wall, cpu) in best_seconds(url, count, rounds).items():
        items = count * ITEMS_OF.get(name, 1)
        results[name] = {"rate": items / wall, "cpu": cpu / items * 1e6}
    return results


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--items", type=int, default=5000, metavar="N", help="default: 5000")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: 3")
    arguments = parser.parse_args()
    os.environ.update(dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "dummy"))
    engines = Engines()
    try:
        results = figures(str(engines.get("dynoxide").endpoint_url), arguments.items, arguments.rounds)
    finally:
        engines.stop()
    print(f"{'':34}{'items a second':>16}{'CPU µs an item':>16}")
    for name, job in results.items():
        print(f"{name:34}{job['rate']:16,.0f}{job['cpu']:16.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"Peak memory of this process: {peak:.0f} MB.")


if __name__ == "__main__":
    main()
