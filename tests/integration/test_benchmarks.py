"""The benchmark works: every contender that is installed does what it is measured at, and the tables are written.

Nothing here looks at a time. What is slow or fast is told by ``make bench``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as benchmarks_main, embedded, report, threads, writes
from benchmarks.contenders import NAMES, base, floor_socket
from benchmarks.measure import environment, is_installed
from benchmarks.operations import ROWS, Wrong, verify
from benchmarks.server import ROOT, ask, canned_server
from dynamo_bao import init_models
from tests.support.engines import Engine
from tests.support.wire import Wire

MEASURED = ("get", "batch_write")
CONTENDERS = ("boto3_client", "pynamodb_models", "pydynox_models", "floor_socket", "bao_models")
"""The contenders of the test. The others are made of the same parts, and each run of the benchmark verifies them."""
PARTS = ("comparison", "threads")
COMPARED = {"get", "query_page_of_100", "create", "transaction_of_10_saves", "tenant"}
"""The rows of two checkouts."""


class Run:
    """What a quick run said, and what it wrote."""

    def __init__(self, folder: Path, log: str) -> None:
        self.log = log
        self.figures: dict[str, Any] = json.loads((folder / "figures.json").read_text())
        self.page = (folder / "performance.md").read_text()
        self.folder = folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A quick run of two rows."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(folder), "--rows", *MEASURED]
    command += ["--parts", *PARTS, "--contenders", *filter(is_installed, CONTENDERS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment())
    assert done.returncode == 0, done.stderr
    return Run(folder, done.stderr)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A canned server."""
    with canned_server() as urls:
        yield urls[0.0]


@pytest.mark.parametrize("name", CONTENDERS)
def test_every_contender_is_verified_and_measured(run: Run, name: str) -> None:
    """A contender's objects and writes are compared field by field, and it has a turn in every round."""
    if not is_installed(name):
        pytest.skip(f"{NAMES[name]} is not installed: pip install -e '.[bench]'")
    assert f"{NAMES[name]}: reads and writes what it should\n" in run.log
    for row in MEASURED:
        measured = run.figures["rows"][row][name]
        assert len(measured["cpu"]) == len(measured["wall"]) == run.figures["rounds"]
        assert measured["calls"] > 0
    assert run.figures["starts"][name]["cpu"]
    assert run.figures["memory"][name]["instance"] > 0


def test_the_page_has_tables_with_all_contenders_and_pictures(run: Run) -> None:
    """What was measured stands between the markers, and the pictures beside the page."""
    assert run.page.startswith(report.BEGIN)
    assert run.page.endswith(report.END + "\n")
    for name in filter(is_installed, CONTENDERS):
        assert run.page.count(f"| {NAMES[name]} |") >= 3
    assert all(ROWS[row] in run.page for row in MEASURED)
    names = re.findall(r"\]\((performance.*\.svg)\)", run.page)
    assert {"performance.svg", "performance-threads.svg"} <= set(names)
    pytest.importorskip("matplotlib", reason="the pictures need matplotlib")
    assert all((run.folder / name).read_text().startswith("<?xml") for name in names)


def test_each_part_is_stored_with_its_machine(run: Run) -> None:
    assert set(run.figures["parts"]) == set(PARTS) <= set(benchmarks_main.PARTS)
    assert set(run.figures["threads"]) <= set(filter(is_installed, threads.CONTENDERS))
    assert all(sum(rates) > 0 for rates in run.figures["threads"]["bao_models"].values())


def test_the_embedded_engine_is_measured() -> None:
    """Each operation has a time."""
    with init_models(models=[embedded.Item], embedded=True):
        assert all(embedded.milliseconds(embedded.of_library(), quick=True).values())


def test_the_dashboards_loops_cost_the_rounds_of_batching_by_hand(run: Run) -> None:
    """Loops over a user's posts, their authors and their tags are a few requests, in no more rounds than by hand."""
    counts = run.figures["dashboard"]["counts"]
    assert counts["by_hand"] == {
        "requests": 4,
        "rounds": 4,
        "operations": ["GetItem", "Query", "BatchGetItem", "BatchGetItem"],
    }
    assert counts["loops"]["requests"] <= counts["by_hand"]["requests"]
    assert counts["loops"]["rounds"] <= counts["by_hand"]["rounds"]


class WrongName(floor_socket.Contender):
    """A contender that gives one object another's name."""

    def query(self, kind: str, team: str, read: base.Read) -> list[Any]:
        found = super().query(kind, team, read)
        found[3].name = found[4].name
        return found


class LosesOne(floor_socket.Contender):
    """A contender that loses an object of a batch."""

    def batch_get(self, kind: str, keys: list[str], read: base.Read) -> list[Any]:
        return super().batch_get(kind, keys, read)[1:]


class WritesWrong(floor_socket.Contender):
    """A contender that writes another value than it was given."""

    def put(self, kind: str, given: Any) -> None:
        super().put(kind, {**given, "age": 0})


@pytest.mark.parametrize("wrong", [WrongName, LosesOne, WritesWrong])
def test_a_contender_that_errs_is_not_measured(url: str, wrong: type[base.Contender]) -> None:
    """One wrong field, one missing object, or one value written wrongly ends the run."""

    def written() -> dict[str, Any]:
        body: dict[str, Any] = json.loads(ask(url, "BenchWritten"))
        return body

    with closing(floor_socket.Contender(url)) as right:
        verify(right, written)
    with closing(wrong(url)) as contender, pytest.raises(Wrong):
        verify(contender, written)


def test_the_page_in_the_documentation_has_the_markers() -> None:
    """`make bench` finds where its tables belong."""
    page = report.PAGE.read_text()
    assert page.count(report.BEGIN) == page.count(report.END) == 1
    assert page.index(report.BEGIN) < page.index(report.END)


def test_two_checkouts_are_compared() -> None:
    """Each operation has a line with the figures of both."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.compare",
        "--base",
        str(ROOT),
        "--rounds",
        "1",
        "--lives",
        "1",
        "--rows",
        *COMPARED,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment())
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert {row[0] for row in rows} == COMPARED
    assert all(float(figure) > 0 for row in rows for figure in row[1:5])


@pytest.mark.one_engine
def test_writes_are_measured_by_the_same_requests(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each row, both contenders send the same operations."""
    if engine.endpoint_url is None:
        pytest.skip("boto3's own client needs an engine with an address: --engine dynoxide")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "dummy")
    with writes.contenders(engine.endpoint_url) as (boto3_client, bao):
        wires = [Wire(contender.client) for contender in (boto3_client, bao)]
        for row in writes.ROWS.values():
            for contender in (boto3_client, bao):
                getattr(contender, row)()
        assert wires[0].operations == wires[1].operations
        assert wires[0].operations.count("UpdateItem") == 13
