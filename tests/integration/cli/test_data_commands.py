"""``bao count``, ``export``, ``import``, ``reindex`` and ``rebuild-search-text``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dynamo_bao.cli import console, data
from dynamo_bao.cli.main import main
from dynamo_bao.dynamodb.service import READ_OPERATIONS
from dynamo_bao.dynamodb.transport.rate_limit import UnitRate
from dynamo_bao.maintenance import import_items, scanners
from dynamo_bao.maintenance.progress import JobProgress
from dynamo_bao.maintenance.progress_file import ProgressFile
from tests.integration.cli.conftest import Project
from tests.support.patience import PATIENCE

CUSTOMERS = "".join(f'{{"name": "N{n}", "email": "{n}@x"}}\n' for n in range(5))


@pytest.fixture
def stocked(shop: Project) -> Project:
    """The shop with its table, five customers and two orders."""
    shop("create-table")
    shop.write("customers.jsonl", CUSTOMERS)
    shop.write("orders.jsonl", '{"customer_id": "1"}\n{"customer_id": "2"}\n')
    for model, file in (("Customer", "customers.jsonl"), ("Order", "orders.jsonl")):
        result = shop("import", model, file)
        assert result.exit_code == 0, result.stderr
    return shop


def damaged(project: Project, **attributes: Any) -> None:
    """Changes one customer past the library."""
    items = project.client.scan(TableName="shop")["Items"]
    item = next(item for item in items if item.get("name") == {"S": "N1"})
    for name, text in attributes.items():
        item[name] = {"S": text}
    project.client.put_item(TableName="shop", Item=item)


# --- count --------------------------------------------------------------------------------------------


def test_counting_says_how(stocked: Project) -> None:
    """The number alone is on stdout; the cost of a scan is on stderr."""
    result = stocked("count", "Customer")
    assert (result.stdout, result.stderr) == ("5\n", "")
    result = stocked("count", "Order")
    assert result.stdout == "2\n"
    assert result.stderr == (
        "Order is not iterable and no index holds all of it, so the whole table is scanned: about 12 items.\n"
    )
    assert stocked.json("count", "Customer", "--scan")["count"] == 5
    assert stocked.json("count", "Customer") == {
        "model": "Customer",
        "tenant": None,
        "way": "by its iteration index",
        "count": 5,
    }


def test_a_dry_count_counts_nothing(stocked: Project) -> None:
    """It says the way and its cost."""
    result = stocked("count", "Order", "--dry-run")
    assert result.stdout == "Would count Order by a scan of the whole table.\n"
    assert "about 12 items" in result.stderr


def test_the_cheaper_way_is_said_and_asked_about(stocked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the table's own figures: what the iteration index costs, and what a scan of the table."""
    table = {"ItemCount": 1_000_000, "TableSizeBytes": 475_000_000}
    monkeypatch.setattr(scanners, "describe_table", lambda database: table)
    only = staticmethod(lambda home, tenant: True)
    monkeypatch.setattr(scanners, "_is_alone", only)
    result = stocked("count", "Customer")
    assert result.stdout == "5\n"
    assert result.stderr == (
        "By the table's figures its iteration index costs about 12,207 read units, a scan of the table 57,984.\n"
    )
    asked = stocked("export", "Customer", "-o", "out.jsonl", answers="n\n")
    assert asked.exit_code != 0 and not stocked.folder.joinpath("out.jsonl").exists()
    told = (
        "By the table's figures its iteration index costs about 512,207 read units, a scan of the table 57,984, so "
        "the whole table is scanned: about 1,000,000 items, 475 MB: 57,984 read units.\n"
    )
    assert asked.stderr.startswith(told)
    done = stocked.json("export", "Customer", "-o", "out.jsonl", "--yes")
    assert (done["way"], done["count"]) == ("by a scan of the whole table", 5)


def test_a_dear_scan_is_asked_about(stocked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """From ten thousand read units on; --yes answers, and without anybody to ask it is wrong use."""
    monkeypatch.setattr(scanners.Size, "scan_units", 10_000)
    assert stocked("count", "Order", answers="n\n").exit_code == 1
    assert stocked("count", "Order", answers="y\n").stdout == "2\n"
    assert stocked("count", "Order").exit_code == 2
    assert stocked("count", "Order", "--yes").stdout == "2\n"


def test_commands_for_a_model_need_models(bao: Project) -> None:
    """They say how to name them."""
    result = bao("count", "Customer", "--table", "shop")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: No models are named: give --models")


def test_a_model_that_is_not_there(stocked: Project) -> None:
    """One sentence, with the model that was meant."""
    for command in ("count", "export", "reindex", "rebuild-search-text"):
        result = stocked(command, "Custommer")
        assert result.exit_code == 1
        assert result.stderr == "Error: There is no model 'Custommer'. Did you mean 'Customer'?\n"


def test_tenants(shop: Project) -> None:
    """With tenancy on, a tenant is asked for; each has its own items."""
    shop.write(
        "dynamo_bao.toml",
        '[db]\ntable_name = "shop"\n[paths]\nmodels_dir = "models"\n[tenancy]\nenabled = true\n',
    )
    shop("create-table")
    shop.write("c.jsonl", '{"name": "A", "email": "a@x"}\n')
    result = shop("import", "Customer", "c.jsonl")
    assert (result.exit_code, "give --tenant ID" in result.stderr) == (1, True)
    for tenant in ("t1", "t2"):
        assert shop("import", "Customer", "c.jsonl", "--tenant", tenant).exit_code == 0
    assert shop("count", "Customer", "--tenant", "t1").stdout == "1\n"
    assert shop("count", "Customer", "--scan", "--tenant", "t1").stdout == "1\n"
    assert shop("count", "Customer").exit_code == 1
    assert shop("count", "Customer", "--tenant", "no one").exit_code == 1
    assert shop.json("reindex", "Customer")["seen"] == 4  # of both tenants, with their guards


# --- export and import ----------------------------------------------------------------------------------


def test_exporting_to_stdout(stocked: Project) -> None:
    """The lines alone are on stdout."""
    result = stocked("export", "Customer")
    assert sorted(json.loads(line)["name"] for line in result.stdout.splitlines()) == [
        f"N{n}" for n in range(5)
    ]
    assert result.stderr == "Exported 5 items of Customer.\n"
    assert stocked("export", "Customer", "--json").exit_code == 2
    assert stocked("export", "Customer", "--resume").exit_code == 2


def test_a_round_trip(stocked: Project) -> None:
    """Exported, deleted and imported, the table is the same."""
    before = stocked.client.scan(TableName="shop")["Items"]
    assert stocked.json("export", "Customer", "-o", "out.jsonl")["count"] == 5
    stocked("delete-table", "shop", "--yes")
    stocked("create-table")
    stocked("import", "Customer", "out.jsonl")
    after = stocked.client.scan(TableName="shop")["Items"]
    key = lambda item: item["_pk"]["S"]
    assert sorted(after, key=key) == sorted(
        (item for item in before if "or#" not in item["_pk"]["S"]), key=key
    )


def test_an_export_that_exists_is_replaced_when_asked(stocked: Project) -> None:
    """Not without --yes or an answer."""
    (stocked.folder / "out.jsonl").write_text("old")
    assert stocked("export", "Order", "-o", "out.jsonl").exit_code == 2
    assert stocked("export", "Order", "-o", "out.jsonl", answers="n\n").exit_code == 1
    assert (stocked.folder / "out.jsonl").read_text() == "old"
    assert stocked("export", "Order", "-o", "out.jsonl", "--yes").exit_code == 0
    assert len((stocked.folder / "out.jsonl").read_text().splitlines()) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_an_export_into_a_named_pipe(stocked: Project) -> None:
    """Its reader gets the lines, and the pipe is there afterwards. There is nothing to resume."""
    pipe, read = stocked.folder / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    result = stocked("export", "Order", "-o", "pipe")
    reader.join(PATIENCE)
    assert len(read[0].splitlines()) == 2
    assert result.stderr.endswith("Exported 2 items of Order to pipe.\n")
    assert pipe.is_fifo() and sorted(stocked.folder.glob("pipe*")) == [pipe]
    assert stocked("export", "Order", "-o", "pipe", "--resume").exit_code == 2


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="this system has no such devices")
@pytest.mark.parametrize("mode", ["w", "a"])
def test_an_export_into_an_open_file_of_the_shell(stocked: Project, mode: str) -> None:
    """As ``-o /dev/fd/3 3>> file`` asks for it: what is in the file stays, and the device is not replaced."""
    file = stocked.write("all.jsonl", "before\n")
    with file.open(mode) as opened:
        assert stocked("export", "Order", "-o", f"/dev/fd/{opened.fileno()}").exit_code == 0
    assert len(file.read_text().splitlines()) == (3 if mode == "a" else 2)


def test_targets_that_cannot_be(stocked: Project) -> None:
    """A folder that is not there, and one in the place of a file."""
    assert "The folder nowhere does not exist." in stocked("export", "Order", "-o", "nowhere/x").stderr
    assert "models is a folder; name a file." in stocked("export", "Order", "-o", "models").stderr


def test_dry_runs_of_both(stocked: Project) -> None:
    """Nothing is written to a file or the table."""
    result = stocked("export", "Customer", "-o", "out.jsonl", "--dry-run")
    assert result.stderr == "Would export Customer by its iteration index to out.jsonl.\n"
    assert not (stocked.folder / "out.jsonl").exists()
    result = stocked("import", "Customer", "customers.jsonl", "--dry-run")
    assert result.stdout == "Would import 5 items into Customer of table shop.\n"
    assert stocked("count", "Customer").stdout == "5\n"


def test_wrong_lines_are_told_before_anything_is_stored(stocked: Project) -> None:
    """Each with its number, on stderr and for machines."""
    stocked.write("wrong.jsonl", '{"name": "New", "email": "new@x"}\n{"nam": 1}\n{\n')
    result = stocked("import", "Customer", "wrong.jsonl")
    assert result.exit_code == 1
    assert result.stdout == ""
    first, second, last = result.stderr.splitlines()
    assert first.startswith(
        "line 2: Customer: 3 fields are wrong: Customer has no field 'nam'. Did you mean 'name'?"
    )
    assert second.startswith("line 3: it is not JSON")
    assert last == "Error: 2 of 3 lines of wrong.jsonl are wrong; nothing was stored."
    told = json.loads(stocked("import", "Customer", "wrong.jsonl", "--json").stdout)
    assert [finding["line"] for finding in told["findings"]] == [2, 3]
    assert stocked("count", "Customer").stdout == "5\n"


def test_refused_lines_make_the_exit_code(stocked: Project) -> None:
    """Unique values of others are told with their lines; the rest is stored."""
    stocked.write("more.jsonl", '{"name": "Other", "email": "1@x"}\n{"name": "New", "email": "new@x"}\n')
    result = stocked("import", "Customer", "more.jsonl")
    assert result.exit_code == 1
    assert result.stdout == "Imported 1 item into Customer.\n"
    assert result.stderr.startswith("line 1: Customer: email must be unique")
    assert result.stderr.endswith("Warning: 1 line was refused.\n")


def test_overwriting_is_asked_about(stocked: Project) -> None:
    """Items that exist are refused without --overwrite, and replaced with it after a question."""
    stocked("export", "Customer", "-o", "out.jsonl")
    assert stocked("import", "Customer", "out.jsonl").exit_code == 1
    assert stocked("import", "Customer", "out.jsonl", "--overwrite", answers="n\n").exit_code == 1
    result = stocked("import", "Customer", "out.jsonl", "--overwrite", "--yes")
    assert (result.exit_code, result.stdout) == (0, "Imported 5 items into Customer.\n")


def test_resume_and_restart_exclude_each_other(stocked: Project) -> None:
    """Both at once is wrong use."""
    for command in (
        ["export", "Order", "-o", "x"],
        ["import", "Order", "orders.jsonl"],
        ["reindex", "Order"],
    ):
        assert stocked(*command, "--resume", "--restart").exit_code == 2


@pytest.mark.parametrize(
    ("command", "told", "end"),
    [
        (
            ("export", "Customer", "-o", "out.jsonl"),
            "are in out.jsonl.part; continue with --resume.",
            "Exported 5 items",
        ),
        (("import", "Customer", "again.jsonl"), "are stored; continue with --resume.", "Imported 5 items"),
        (("reindex", "Customer"), "read; continue with --resume.", "Rewrote 1 item"),
        (("rebuild-search-text", "Customer"), "read; continue with --resume.", "Rewrote 0 items"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_ctrl_c_says_how_to_go_on(
    stocked: Project, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], told: str, end: str
) -> None:
    """Exit code 130, one sentence; a run without --resume is refused, one with it ends the work."""
    stocked.write("again.jsonl", CUSTOMERS.replace("@x", "@y"))
    damaged(stocked, _gsi1_pk="stale")
    real = ProgressFile.save

    def save(self: ProgressFile, state: Any) -> None:
        real(self, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ProgressFile, "save", save)
        result = stocked(*command)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].startswith("Interrupted: ")
    assert result.stderr.endswith(f"{told}\n")
    again = stocked(*command)
    assert (again.exit_code, "continue with --resume, or start again with --restart" in again.stderr) == (
        1,
        True,
    )
    done = stocked(*command, "--resume")
    assert (done.exit_code, end in done.output) == (0, True)
    assert (
        not list(stocked.folder.glob("*.part"))
        + list(stocked.folder.glob("*ing"))
        + list(stocked.folder.glob(".bao*"))
    )


def test_ctrl_c_in_a_dry_run_says_that_nothing_was_written(
    stocked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to go on with."""

    def interrupt(*_: object, **__: object) -> Iterator[object]:
        yield JobProgress(1, 2, 0)
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "reindex_items", interrupt)
    result = stocked("reindex", "Customer", "--dry-run")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (130, "Interrupted: nothing was written.")


def test_an_error_in_the_middle_says_how_to_go_on_too(
    stocked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept, then the error, and exit code 1."""
    stocked.write("again.jsonl", CUSTOMERS.replace("@x", "@y"))
    real, saved = ProgressFile.save, []

    def save(self: ProgressFile, state: Any) -> None:
        saved.append(state)
        if len(saved) == 3:
            raise OSError(28, "No space left on device", "again.jsonl.importing")
        real(self, state)

    monkeypatch.setattr(import_items, "GROUP", 2)
    monkeypatch.setattr(ProgressFile, "save", save)
    result = stocked("import", "Customer", "again.jsonl")
    assert result.exit_code == 1
    assert result.stderr == (
        "Cut off: 2 items are stored; continue with --resume.\nError: No space left on device: again.jsonl.importing\n"
    )
    monkeypatch.setattr(ProgressFile, "save", real)
    assert (
        stocked("import", "Customer", "again.jsonl", "--resume").stdout == "Imported 5 items into Customer.\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
def test_a_reader_that_has_enough_ends_an_export(folder: Path) -> None:
    """bao export … | head -1 writes one line and no complaint."""
    (folder / "m.py").write_text(PIPED)
    code = PIPED + "\nfrom dynamo_bao.cli import connection, main"
    command = f'{sys.executable} -W error -c "$BAO" export Many --models m.py | head -1'
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(data.__file__).parents[2]), "BAO": f"{code}\n{MANY}"},
    )
    assert ended.stderr == ""
    assert json.loads(ended.stdout)["text"] == "x" * 300


PIPED = """
from dynamo_bao import Model, MODEL_PREFIX, PrimaryKey
class Many(Model, prefix="ma"):
    name: str
    text: str
    primary_key = PrimaryKey(MODEL_PREFIX, "name")
"""
MANY = """
from functools import partial
from dynamo_bao import init_models
from dynamo_bao.models import registry
from dynamo_bao.testing import embedded_transport
transport = embedded_transport()
with init_models(models=[Many], transport=transport) as manager:
    manager.create_table()
    for start in range(0, 1500, 25):
        puts = []
        for n in range(start, start + 25):
            values = {"name": str(n), "text": "x" * 300}
            item = manager.repository(Many).schema
            puts.append({"PutRequest": {"Item": item.item(None, item.keys.from_key(None, str(n)), values)}})
        manager.client.batch_write_item(RequestItems={manager.table_name: puts})
    transport.close = lambda: None
    registry._models.clear()
    connection.init_models = partial(init_models, transport=transport)
    main.main(prog_name="bao")
"""


def test_counting_can_be_interrupted(stocked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was counted so far is told."""

    def stop(way: Any) -> Any:
        yield data.JobProgress(3, None, 3)
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "count_items", stop)
    result = stocked("count", "Customer")
    assert result.exit_code == 130
    assert "3 items were counted so far" in result.stderr


# --- reindex --------------------------------------------------------------------------------------------


def test_reindexing(stocked: Project) -> None:
    """What is wrong is told by a dry run, and mended by a real one."""
    damaged(stocked, _gsi1_pk="stale")
    result = stocked("reindex", "Customer", "--dry-run")
    assert result.stdout == "Would rewrite 1 item of Customer, of 12 read.\n"
    assert result.stderr.startswith(
        "Items must be found whatever their keys are, so the whole table is scanned"
    )
    assert stocked("reindex", "Customer").stdout == "Rewrote 1 item of Customer, of 12 read.\n"
    assert stocked.json("reindex", "Customer") == {
        "model": "Customer",
        "table": "shop",
        "seen": 12,
        "count": 0,
        "findings": [],
        "dry_run": False,
    }


def test_what_reindexing_cannot_mend(stocked: Project) -> None:
    """Two items with one value: told, and exit code 1."""
    damaged(stocked, email="2@x")
    result = stocked("reindex", "Customer")
    assert result.exit_code == 1
    assert "has the email that Customer" in result.stderr
    assert "1 item has faults that this command cannot mend" in result.stderr


def test_rebuilding_search_texts(stocked: Project) -> None:
    """Only a model that is searchable has any."""
    damaged(stocked, _searchText="old")
    assert stocked("rebuild-search-text", "Customer").stdout == "Rewrote 1 item of Customer, of 5 read.\n"
    result = stocked("rebuild-search-text", "Order")
    assert result.exit_code == 1
    assert (
        result.stderr
        == "Error: Model Order is not searchable; name its fields with searchable=[…]. [BAO-1001]\n"
    )


# --- the terminal -----------------------------------------------------------------------------------------


def test_a_bar_is_drawn_on_a_terminal(stocked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """With how many there are; on a pipe there is none."""
    drawn: list[int | None] = []
    real = console._bar
    monkeypatch.setattr(console, "_bar", lambda total: drawn.append(total) or real(total))
    runner = CliRunner()
    with runner.isolation():
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        with pytest.raises(SystemExit):
            main(["export", "Customer", "-o", "out.jsonl"], prog_name="bao")
    assert drawn == [5]


# --- limits -------------------------------------------------------------------------------------------


def test_each_command_takes_limits(stocked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """All requests of a command wait for one limit of reads and one of writes; other values are wrong use."""
    limits: dict[str, set[float]] = {}
    real = UnitRate.wait

    def wait(self: UnitRate, kind: str, guess: float) -> float:
        limits.setdefault("read" if kind in READ_OPERATIONS else "write", set()).add(self.per_second)
        return real(self, kind, guess)

    monkeypatch.setattr(UnitRate, "wait", wait)
    stocked.write("more.jsonl", CUSTOMERS.replace("N", "M").replace("@x", "@m"))
    reading = ("--max-read-units", "70000")
    for command in (("count", "Customer"), ("export", "Customer", "-o", "out.jsonl")):
        limits.clear()
        assert stocked(*command, *reading).exit_code == 0
        assert limits == {"read": {70000}}
        assert stocked(*command, "--max-write-units", "5").exit_code == 2
        for wrong in ("0", "nan", "inf"):
            assert stocked(*command, "--max-read-units", wrong).exit_code == 2
    for name, *arguments in (
        ("import", "Customer", "more.jsonl"),
        ("reindex", "Customer"),
        ("rebuild-search-text", "Customer"),
        ("doctor", "--fix"),
    ):
        damaged(stocked, _gsi1_pk="wrong", _searchText="wrong")
        limits.clear()
        result = stocked(name, *arguments, *reading, "--max-write-units", "80000")
        assert result.exit_code == 0, result.output
        expected = {"read": {70000}, "write": {80000}}
        assert limits == ({"write": {80000}} if name == "import" else expected), name
