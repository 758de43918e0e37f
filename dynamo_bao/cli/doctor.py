"""``bao doctor``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click
from attrs import Factory, define

from dynamo_bao.cli.connection import Connection, connection_options
from dynamo_bao.cli.console import Terminal, sentence, terminal_options
from dynamo_bao.cli.findings import MAX_SHOWN, Findings, Kind
from dynamo_bao.cli.progress import COSTLY_READ_UNITS, follow
from dynamo_bao.errors import BaoError
from dynamo_bao.maintenance.check import examine_table
from dynamo_bao.maintenance.progress import Finding
from dynamo_bao.maintenance.scanners import table_size
from dynamo_bao.maintenance.table_check import prefix_findings, table_findings
from dynamo_bao.models.manager import Manager
from dynamo_bao.models.model import Model

_AWS = ("botocore", "boto3")


@define
class _Report:
    """What the doctor has to say.

    Attributes:
        findings: what is not as it should be.
        passed: what is, as sentences.
        facts: what was looked at, for machines.
    """

    findings: Findings
    passed: list[str] = Factory(list)
    facts: dict[str, Any] = Factory(dict)

    @property
    def problems(self) -> int:
        """How many there are so far."""
        return self.findings.counts["problem"]

    def check(self, findings: Sequence[Finding], passed: str) -> bool:
        """Takes in the findings of one check; returns whether none is a problem."""
        before = self.problems
        self.findings.extend(findings)
        return self.conclude(before, passed)

    def conclude(self, before: int, passed: str) -> bool:
        """Whether a check found no problem; `before` is how many there were until then."""
        fine = self.problems == before
        if fine:
            self.passed.append(passed)
        return fine


@click.command()
@click.option("--fix", is_flag=True, help="Mend what can be mended safely.")
@click.option("--quick", is_flag=True, help="Look at the table and the models, and not through the items.")
@connection_options()
@terminal_options(yes=True)
@click.pass_context
def doctor(ctx: click.Context, fix: bool, quick: bool, connection: Connection, terminal: Terminal) -> None:
    """Look for what is wrong: credentials, the table, the models, and every item's keys and guards.

    Going through the items is a scan of the whole table, and one read unit for each unique value and guard. With --fix,
    keys and guards are mended, each on condition that it still is as it was seen; nothing else is touched. Exits with
    1 where problems remain.
    """
    if fix:
        connection.confirm_default_table(terminal)
    report = _Report(Findings(terminal.json))
    models = connection.models()
    clear = report.check(
        prefix_findings(models), f"{_number(len(models), 'model')}, each with a prefix of its own."
    )
    with connection.open(needs_models=False, with_models=clear) as manager:
        if _reachable(report, manager) and _table_is_fine(report, manager):
            _look_through(report, manager, terminal, fix=fix, wanted=not quick and clear and bool(models))
        report.facts["table"] = manager.table_name
    if not models:
        terminal.note("No models are named, so only the table was looked at; see --models.")
    _tell(terminal, report, fix)
    if report.problems:
        ctx.exit(1)


def _reachable(report: _Report, manager: Manager) -> bool:
    """Whether credentials, region and network are such that the table can be asked for."""
    try:
        client = manager.client
        report.facts["region"], report.facts["endpoint"] = client.meta.region_name, client.meta.endpoint_url
        table_size(manager.database)
    except Exception as error:
        if not isinstance(error, BaoError) and type(error).__module__.split(".")[0] not in _AWS:
            raise
        report.findings.extend([Finding("connection", sentence(error))])
        return False
    told = f"{client.meta.region_name}, {client.meta.endpoint_url}"
    report.passed.append(f"Credentials and region: DynamoDB answers ({told}).")
    return True


def _table_is_fine(report: _Report, manager: Manager) -> bool:
    """Whether the table can be looked through; lacking indexes do not keep from that."""
    schemas = [manager.repository(model).schema for model in manager.model_classes().values()]
    findings = table_findings(manager.database, schemas)
    fits = f"Table {manager.table_name}: keys, indexes and TTL are as the models need them."
    report.check(findings, fits)
    return not any(finding.check == "table" for finding in findings)


def _look_through(report: _Report, manager: Manager, terminal: Terminal, *, fix: bool, wanted: bool) -> None:
    size = table_size(manager.database)
    if not wanted:
        return
    terminal.note(f"Looking through {size}.")
    if size.scan_units >= COSTLY_READ_UNITS:
        mending = " and mend what is wrong" if fix else ""
        terminal.confirm(f"Look through table {manager.table_name}{mending}?")
    mappers = [manager.repository(model) for model in _models(manager)]
    steps = examine_table(manager.database, mappers, fix=fix)
    mended = "What was mended stays mended; run it again for the rest." if fix else "Nothing was changed."
    before = report.problems
    done = follow(
        terminal,
        steps,
        "Looking through items",
        lambda last: f"{last.done:,} rows done. {mended}",
        "rows",
        report.findings,
    )
    report.facts["looked_through"] = done.last.count
    report.conclude(before, f"Items: {done.last.count:,} with right keys, guards and search texts.")


def _models(manager: Manager) -> list[type[Model]]:
    return list(manager.model_classes().values())


# --- telling ----------------------------------------------------------------------------------------


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


_COLOURS: Final[dict[Kind, str]] = {"note": "blue", "mended": "green", "problem": "red"}


def _tell(terminal: Terminal, report: _Report, fix: bool) -> None:
    found = report.findings
    terminal.emit(
        {
            **report.facts,
            "passed": report.passed,
            "findings": [],
            "problems": report.problems,
            "mended": found.counts["mended"],
        },
        findings=found,
    )
    for text in report.passed:
        _line(terminal, "ok", "green", text)
    for kind, colour in _COLOURS.items():
        for finding in found.first.get(kind, ()):
            _line(terminal, kind, colour, finding.text)
            if finding.is_problem and finding.mend:
                terminal.say(f"         {finding.mend}")
        if found.counts[kind] > MAX_SHOWN:
            terminal.say(f"         … and {found.counts[kind] - MAX_SHOWN:,} more; --json tells all.")
    terminal.say(_sum(found, fix))


def _line(terminal: Terminal, word: str, colour: str, text: str) -> None:
    terminal.say(f"{click.style(f'{word:7}', fg=colour)}  {text}")


def _sum(found: Findings, fix: bool) -> str:
    left, mended = found.counts["problem"], found.counts["mended"]
    did = f"{_number(mended, 'problem')} mended" if mended else ""
    if not left:
        return f"{did}; nothing is wrong now." if did else "Nothing is wrong."
    hint = f", {found.mendable:,} of which 'bao doctor --fix' mends" if found.mendable and not fix else ""
    remain = f"{_number(left, 'problem')}{hint}."
    return f"{did}, {remain}" if did else remain
