"""True counts of what was found, input from anywhere, and output without colours for whoever wants none."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dynamo_bao.cli import doctor
from dynamo_bao.cli.main import main
from dynamo_bao.maintenance import import_items, line_writer
from dynamo_bao.maintenance.progress import Finding, JobProgress
from tests.integration.cli.conftest import Project

MANY = 25_000
CUSTOMERS = "".join(f'{{"name": "N{n}", "email": "{n}@x"}}\n' for n in range(3))


@pytest.fixture
def stocked(shop: Project) -> Project:
    """The shop with its table, empty."""
    shop("create-table")
    return shop


def found_by_the_thousand(*_: object, fix: bool, **limits: object) -> Iterator[JobProgress]:
    """What looking through a table gives that has 25,000 things wrong, and two items worth knowing of."""
    for begin in range(0, MANY, 1_000):
        numbers = range(begin, begin + 1_000)
        found = (Finding("guard", f"guard {n}", key=f"k{n}", mendable=True, mended=fix) for n in numbers)
        yield JobProgress(begin + 1_000, MANY, begin + 1_000, tuple(found))
    yield JobProgress(MANY, MANY, MANY, (Finding("foreign", "others", harmless=True),) * 2)


# --- counts -----------------------------------------------------------------------------------------


def test_doctor_counts_every_finding(stocked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: the sum for people, and each one of them for machines."""
    monkeypatch.setattr(doctor, "examine_table", found_by_the_thousand)
    shown = stocked("doctor")
    assert shown.exit_code == 1
    assert f"… and {MANY - 20:,} more; --json shows all." in shown.stdout
    assert shown.stdout.endswith(f"{MANY:,} problems, {MANY:,} of which 'bao doctor --fix' mends.\n")
    told = json.loads(stocked("doctor", "--json").stdout)
    assert (told["problems"], told["mended"]) == (MANY, 0)
    assert [one["key"] for one in told["findings"][:MANY]] == [f"k{n}" for n in range(MANY)]
    assert len(told["findings"]) == MANY + 2


def test_doctor_counts_everything_it_mends(stocked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """--fix says what it did, and not how much of it was kept in memory."""
    monkeypatch.setattr(doctor, "examine_table", found_by_the_thousand)
    shown = stocked("doctor", "--fix")
    assert (shown.exit_code, shown.stdout.splitlines()[-1]) == (
        0,
        f"{MANY:,} problems mended; nothing is wrong now.",
    )
    told = json.loads(stocked("doctor", "--fix", "--json").stdout)
    assert (told["problems"], told["mended"], len(told["findings"])) == (0, MANY, MANY + 2)


def test_import_tells_every_wrong_line(stocked: Project) -> None:
    """Twelve thousand of them."""
    stocked.write("c.jsonl", '{"nam": "x"}\n' * 12_000)
    told = stocked("import", "Customer", "c.jsonl", "--json")
    assert len(json.loads(told.stdout)["findings"]) == 12_000
    assert "12,000 of 12,000 lines of c.jsonl are wrong" in told.stderr


def test_nothing_found_is_an_empty_list(stocked: Project) -> None:
    """The document is the same JSON with no finding, one, and several."""
    assert json.loads(stocked("doctor", "--json").stdout)["findings"] == []
    stocked.write("c.jsonl", CUSTOMERS)
    assert json.loads(stocked("import", "Customer", "c.jsonl", "--json").stdout)["findings"] == []
    assert len(json.loads(stocked("import", "Customer", "c.jsonl", "--json").stdout)["findings"]) == 3


# --- colours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "coloured"), [(None, True), ("", True), ("1", False), ("false", False)])
def test_no_color_is_honoured(
    stocked: Project, monkeypatch: pytest.MonkeyPatch, value: str | None, coloured: bool
) -> None:
    """As no-color.org has it: any value but an empty one."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    if value is not None:
        monkeypatch.setenv("NO_COLOR", value)
    for arguments in (["doctor"], ["count", "Nothing"]):
        result = CliRunner().invoke(main, arguments, color=True)
        assert ("\x1b[" in result.output) is coloured


# --- input ------------------------------------------------------------------------------------------


def test_import_reads_standard_input(stocked: Project) -> None:
    """``-`` is what is piped in; nothing is left behind."""
    before = sorted(os.listdir(stocked.folder))
    result = stocked("import", "Customer", "-", answers=CUSTOMERS)
    assert (result.exit_code, result.stdout) == (0, "Imported 3 items into Customer.\n")
    assert stocked("count", "Customer").stdout == "3\n"
    assert sorted(os.listdir(stocked.folder)) == before


def test_wrong_lines_of_standard_input_are_refused(stocked: Project) -> None:
    """All of it is checked before anything is stored, as with a file."""
    result = stocked("import", "Customer", "-", answers=CUSTOMERS + "{}\n")
    assert result.exit_code == 1 and "1 of 4 lines of - is wrong; nothing was stored." in result.stderr
    assert stocked("count", "Customer").stdout == "0\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_import_reads_what_can_be_read_once(stocked: Project) -> None:
    """A named pipe, as shells make for ``<(…)``."""
    pipe = stocked.folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(CUSTOMERS,))
    writer.start()
    result = stocked("import", "Customer", "pipe")
    writer.join()
    assert result.stdout == "Imported 3 items into Customer.\n"


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="this system has no such device")
def test_import_reads_the_device_of_standard_input(stocked: Project) -> None:
    """Also where it is a file, beside which no progress file can be."""
    file = stocked.folder / "c.jsonl"
    file.write_text(CUSTOMERS)
    saved = os.dup(0)
    try:
        with file.open() as opened:
            os.dup2(opened.fileno(), 0)
            result = stocked("import", "Customer", "/dev/stdin")
    finally:
        os.dup2(saved, 0)
        os.close(saved)
    assert result.stdout == "Imported 3 items into Customer.\n"


def test_items_are_no_answers(stocked: Project) -> None:
    """A question that items would answer is not asked; --yes answers it."""
    result = stocked("import", "Customer", "-", "--overwrite", answers=CUSTOMERS)
    assert result.exit_code == 2 and "cannot answer a question; give --yes" in result.stderr
    assert stocked("import", "Customer", "-", "--overwrite", "--yes", answers=CUSTOMERS).exit_code == 0
    refused = stocked("import", "Customer", "-", "--resume", answers=CUSTOMERS)
    assert refused.exit_code == 2 and "--progress-file FILE" in refused.stderr


def test_standard_input_is_gone_on_with_by_a_progress_file(
    stocked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same lines again: each is stored once."""
    monkeypatch.setattr(import_items, "GROUP", 1)
    real, calls = line_writer.LineWriter._write_one, 0

    def stopped(self: Any, *line: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return real(self, *line)

    arguments = ("import", "Customer", "-", "--progress-file", "p.json")
    monkeypatch.setattr(line_writer.LineWriter, "_write_one", stopped)
    cut = stocked(*arguments, answers=CUSTOMERS)
    assert cut.exit_code == 130 and "1 item are stored; continue with --resume" in cut.stderr.replace(
        "1 items", "1 item"
    )
    assert stocked(*arguments, "--resume", answers=CUSTOMERS).stdout == "Imported 3 items into Customer.\n"
    assert stocked("count", "Customer").stdout == "3\n"


# --- progress files ---------------------------------------------------------------------------------


def test_an_import_that_stored_nothing_leaves_nothing(shop: Project) -> None:
    """Into a table that is not there, or is no table for models: the file is free for any other."""
    shop.write("c.jsonl", CUSTOMERS)
    before = sorted(os.listdir(shop.folder))
    missing = shop("import", "Customer", "c.jsonl", "--table", "nowhere")
    assert missing.exit_code == 1 and "Table nowhere does not exist" in missing.stderr
    assert sorted(os.listdir(shop.folder)) == before
    shop("create-table")
    assert shop("import", "Customer", "c.jsonl").stdout == "Imported 3 items into Customer.\n"


def test_a_table_that_goes_while_lines_are_checked_leaves_nothing(
    stocked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request of the import is refused: there is no progress to be kept."""
    stocked.write("c.jsonl", CUSTOMERS)
    before = sorted(os.listdir(stocked.folder))
    real = import_items._Import.steps

    def without_table(self: Any, state: Any) -> Any:
        stocked.client.delete_table(TableName="shop")
        return real(self, state)

    monkeypatch.setattr(import_items._Import, "steps", without_table)
    assert stocked("import", "Customer", "c.jsonl").exit_code == 1
    assert sorted(os.listdir(stocked.folder)) == before


def test_interrupted_imports_of_one_file_do_not_meet(
    stocked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each table has a progress file of its own; the one that was interrupted goes on where it was."""
    stocked("create-table", "two")
    stocked.write("c.jsonl", CUSTOMERS)
    monkeypatch.setattr(import_items, "GROUP", 1)
    real, calls = line_writer.LineWriter._write_one, 0

    def stopped(self: Any, *line: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return real(self, *line)

    monkeypatch.setattr(line_writer.LineWriter, "_write_one", stopped)
    assert stocked("import", "Customer", "c.jsonl").exit_code == 130
    assert (
        stocked("import", "Customer", "c.jsonl", "--table", "two").stdout
        == "Imported 3 items into Customer.\n"
    )
    assert stocked("import", "Customer", "c.jsonl").exit_code == 1
    assert stocked("import", "Customer", "c.jsonl", "--resume").stdout == "Imported 3 items into Customer.\n"
    assert not list(stocked.folder.glob("*.importing"))
