"""``bao doctor``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from dynamo_bao.cli.connection import Connection, connection_options
from dynamo_bao.cli.console import Terminal, sentence, terminal_options
from dynamo_bao.cli.findings import MAX_SHOWN, Findings, Kind
from dynamo_bao.cli.progress import COSTLY_READ_UNITS, follow, limit_options
from dynamo_bao.errors import BaoError
from dynamo_bao.maintenance.check import examine_table
from dynamo_bao.maintenance.limits import Limits
from dynamo_bao.maintenance.progress import Finding
from dynamo_bao.maintenance.scanners import table_size
from dynamo_bao.maintenance.table_check import prefix_findings, table_findings
from dynamo_bao.models.manager import Manager
from dynamo_bao.models.model import Model
from dynamo_bao.runtime.records import Factory, define

_AWS = ("botocore", "boto3")


@define
class _Report:
    """The report of the doctor.

    Attributes:
        findings: the findings.
        passed: sentences about the checks that found no problem.
        facts: what was examined, for machines.
    """

    findings: Findings
    passed: list[str] = Factory(list)
    facts: dict[str, object] = Factory(dict)

    @property
    def problems(self) -> int:
        """The number of problems so far."""
        return self.findings.counts["problem"]

    def check(self, findings: Sequence[Finding], passed: str) -> bool:
        """Adds the findings of one check, and returns whether none of them is a problem."""
        problems = self.problems
        self.findings.extend(findings)
        return self.conclude(problems, passed)

    def conclude(self, problems: int, passed: str) -> bool:
        """Whether a check found no problem. `problems` is the number of problems before the check."""
        is_passed = self.problems == problems
        if is_passed:
            self.passed.append(passed)
        return is_passed


@click.command()
@click.option("--fix", is_flag=True, help="Mend the problems that can be mended safely.")
@click.option("--quick", is_flag=True, help="Examine the table and the models, but not the items.")
@limit_options()
@connection_options()
@terminal_options(yes=True)
@click.pass_context
def doctor(
    ctx: click.Context, fix: bool, quick: bool, limits: Limits, connection: Connection, terminal: Terminal
) -> None:
    """Find problems: credentials, the table, the models, and every item's keys and guards.

    Examining the items takes a scan of the whole table, and one read unit for each unique value and guard. With --fix,
    wrong keys and guards are mended if they have not changed since they were read; nothing else changes. Exits with 1
    if problems remain.
    """
    if fix:
        connection.confirm_default_table(terminal)
    report = _Report(Findings(terminal.json))
    models = connection.models()
    has_unique_prefixes = report.check(
        prefix_findings(models), f"{_number(len(models), 'model')}, each with a prefix of its own."
    )
    with connection.open(needs_models=False, with_models=has_unique_prefixes) as manager:
        if _is_reachable(report, manager) and _is_usable_table(report, manager):
            _look_through(
                report,
                manager,
                terminal,
                limits,
                fix=fix,
                is_wanted=not quick and has_unique_prefixes and bool(models),
            )
        report.facts["table"] = manager.table_name
    if not models:
        terminal.note("No models are named, so only the table was examined; see --models.")
    _print_report(terminal, report, fix)
    if report.problems:
        ctx.exit(1)


def _is_reachable(report: _Report, manager: Manager) -> bool:
    """Whether a request reaches DynamoDB with these credentials, this region and this network."""
    try:
        client = manager.client
        report.facts["region"], report.facts["endpoint"] = client.meta.region_name, client.meta.endpoint_url
        table_size(manager.database)
    except Exception as error:
        if not isinstance(error, BaoError) and type(error).__module__.split(".")[0] not in _AWS:
            raise
        report.findings.extend([Finding("connection", sentence(error))])
        return False
    location = f"{client.meta.region_name}, {client.meta.endpoint_url}"
    report.passed.append(f"Credentials and region: DynamoDB answers ({location}).")
    return True


def _is_usable_table(report: _Report, manager: Manager) -> bool:
    """Whether the items of the table can be examined. Missing indexes do not prevent that."""
    schemas = [manager.repository(model).schema for model in manager.model_classes().values()]
    findings = table_findings(manager.database, schemas)
    fits = f"Table {manager.table_name}: keys, indexes and TTL are as the models need them."
    report.check(findings, fits)
    return not any(finding.check == "table" for finding in findings)


def _look_through(
    report: _Report, manager: Manager, terminal: Terminal, limits: Limits, *, fix: bool, is_wanted: bool
) -> None:
    size = table_size(manager.database)
    if not is_wanted:
        return
    terminal.note(f"Examining {size}.")
    if size.scan_units >= COSTLY_READ_UNITS:
        mending = " and mend what is wrong" if fix else ""
        terminal.confirm(f"Examine table {manager.table_name}{mending}?")
    mappers = [manager.repository(model) for model in _models(manager)]
    steps = examine_table(
        manager.database,
        mappers,
        fix=fix,
        max_read_units=limits.read_units,
        max_write_units=limits.write_units,
    )
    interruption_text = (
        "Mended items stay mended; run the command again for the others." if fix else "Nothing was changed."
    )
    problems = report.problems
    result = follow(
        terminal,
        steps,
        "Examining items",
        lambda step: f"{step.done:,} rows done. {interruption_text}",
        "rows",
        report.findings,
    )
    report.facts["looked_through"] = result.last_step.count
    report.conclude(problems, f"Items: {result.last_step.count:,} with right keys, guards and search texts.")


def _models(manager: Manager) -> list[type[Model]]:
    return list(manager.model_classes().values())


# --- output -----------------------------------------------------------------------------------------


def _number(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


_COLOURS: Final[dict[Kind, str]] = {"note": "blue", "mended": "green", "problem": "red"}


def _print_report(terminal: Terminal, report: _Report, fix: bool) -> None:
    findings = report.findings
    terminal.emit(
        {
            **report.facts,
            "passed": report.passed,
            "findings": [],
            "problems": report.problems,
            "mended": findings.counts["mended"],
        },
        findings=findings,
    )
    for text in report.passed:
        _line(terminal, "ok", "green", text)
    for kind, colour in _COLOURS.items():
        for finding in findings.first_findings.get(kind, ()):
            _line(terminal, kind, colour, finding.text)
            if finding.is_problem and finding.mend:
                terminal.say(f"         {finding.mend}")
        if findings.counts[kind] > MAX_SHOWN:
            terminal.say(f"         … and {findings.counts[kind] - MAX_SHOWN:,} more; --json shows all.")
    terminal.say(_summary(findings, fix))


def _line(terminal: Terminal, word: str, colour: str, text: str) -> None:
    terminal.say(f"{click.style(f'{word:7}', fg=colour)}  {text}")


def _summary(findings: Findings, fix: bool) -> str:
    remaining_count, mended_count = findings.counts["problem"], findings.counts["mended"]
    mended_text = f"{_number(mended_count, 'problem')} mended" if mended_count else ""
    if not remaining_count:
        return f"{mended_text}; nothing is wrong now." if mended_text else "Nothing is wrong."
    hint = (
        f", {findings.mendable:,} of which 'bao doctor --fix' mends" if findings.mendable and not fix else ""
    )
    remaining_text = f"{_number(remaining_count, 'problem')}{hint}."
    return f"{mended_text}, {remaining_text}" if mended_text else remaining_text
