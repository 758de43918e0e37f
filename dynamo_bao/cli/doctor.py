"""``bao doctor``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from attrs import Factory, define

from dynamo_bao.cli.connection import Connection, connection_options
from dynamo_bao.cli.console import Terminal, sentence, terminal_options
from dynamo_bao.cli.following import DEAR, SHOWN, follow, plain
from dynamo_bao.errors import BaoError
from dynamo_bao.manager import Manager
from dynamo_bao.model import Model
from dynamo_bao.upkeep.examining import examine_table
from dynamo_bao.upkeep.steps import Finding
from dynamo_bao.upkeep.tablecheck import prefix_findings, table_findings
from dynamo_bao.upkeep.ways import table_size

_AWS = ("botocore", "boto3")


@define
class _Report:
    """What the doctor has to say.

    Attributes:
        passed: what is as it should be, as sentences.
        findings: what is not.
        facts: what was looked at, for machines.
    """

    passed: list[str] = Factory(list)
    findings: list[Finding] = Factory(list)
    facts: dict[str, Any] = Factory(dict)
    _unlisted: int = 0

    def check(self, findings: Sequence[Finding], passed: str) -> bool:
        """Takes in the findings of one check; returns whether none is a problem."""
        self.findings += findings
        fine = not any(finding.is_problem for finding in findings)
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
    report = _Report()
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
    if any(finding.is_problem for finding in report.findings):
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
        report.findings.append(Finding("connection", sentence(error)))
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
    if size.scan_units >= DEAR:
        terminal.confirm("Go on?")
    homes = [manager.repository(model) for model in _models(manager)]
    steps = examine_table(manager.database, homes, fix=fix)
    mended = "What was mended stays mended; run it again for the rest." if fix else "Nothing was changed."
    done = follow(
        terminal, steps, "Looking through items", lambda last: f"{last.done:,} rows done. {mended}", "rows"
    )
    report.facts["looked_through"] = done.last.count
    report.check(done.found, f"Items: {done.last.count:,} with right keys, guards and search texts.")


def _models(manager: Manager) -> list[type[Model]]:
    return list(manager.model_classes().values())


# --- telling ----------------------------------------------------------------------------------------


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _tell(terminal: Terminal, report: _Report, fix: bool) -> None:
    left = [finding for finding in report.findings if finding.is_problem]
    mended = [finding for finding in report.findings if finding.mended]
    harmless = [finding for finding in report.findings if finding.harmless]
    terminal.emit(
        {
            **report.facts,
            "passed": report.passed,
            "findings": [plain(finding) for finding in report.findings],
            "problems": len(left),
            "mended": len(mended),
        }
    )
    for text in report.passed:
        _line(terminal, "ok", "green", text)
    for word, colour, findings in (
        ("note", "blue", harmless),
        ("mended", "green", mended),
        ("problem", "red", left),
    ):
        for finding in findings[:SHOWN]:
            _line(terminal, word, colour, finding.text)
            if finding.is_problem and finding.mend:
                terminal.say(f"         {finding.mend}")
        if len(findings) > SHOWN:
            terminal.say(f"         … and {len(findings) - SHOWN:,} more; --json tells all.")
    terminal.say(_sum(left, mended, fix))


def _line(terminal: Terminal, word: str, colour: str, text: str) -> None:
    terminal.say(f"{click.style(f'{word:7}', fg=colour)}  {text}")


def _sum(left: Sequence[Finding], mended: Sequence[Finding], fix: bool) -> str:
    did = f"{_number(len(mended), 'problem')} mended" if mended else ""
    if not left:
        return f"{did}; nothing is wrong now." if did else "Nothing is wrong."
    mendable = sum(finding.mendable for finding in left)
    hint = f", {mendable:,} of which 'bao doctor --fix' mends" if mendable and not fix else ""
    found = f"{_number(len(left), 'problem')}{hint}."
    return f"{did}, {found}" if did else found
