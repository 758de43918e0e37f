"""The pytest side of the engines: the `--engine` option, the fixtures, and the `needs` marker."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NoReturn

import pytest

from dynamo_bao.runtime import json
from tests.support import paths
from tests.support.engines import (
    CAPABILITIES,
    ENGINES,
    Engine,
    Engines,
    EngineUnavailable,
    chosen_engines,
    quick_engine,
    quick_engines,
    reason_to_skip,
)
from tests.support.figures import FIGURES
from tests.support.tables import Tables

JSON_MODULES = {"orjson": json.from_orjson, "msgspec": json.from_msgspec}
# The property of a test report under which the reason for a skip travels, also from an xdist worker.
SKIP_REASON = "engine_cannot"


def pytest_addoption(parser: pytest.Parser) -> None:
    names = ", ".join((*ENGINES, "all"))
    parser.addoption(
        "--engine", action="append", default=[], metavar="NAME[,NAME]", help=f"{names} (default: all)"
    )
    parser.addoption(
        "--request-path",
        choices=tuple(paths.WIRES),
        default="lean",
        help="how requests are sent: by the library, by botocore, or by both, compared (default: lean)",
    )
    parser.addoption(
        "--json",
        choices=tuple(JSON_MODULES),
        default="orjson",
        help="what reads and writes the library's JSON (default: orjson)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*capabilities): skip on an engine that lacks one of them")
    config.addinivalue_line("markers", "one_engine: the library's own work, on which no engine has a say")
    config.addinivalue_line("markers", "quick_engines: own work; run on dynoxide, and inside the process")
    engines_of(config)
    paths.take(config.getoption("--request-path"))
    json.json_module = cache(JSON_MODULES[config.getoption("--json")])


def engines_of(config: pytest.Config) -> tuple[str, ...]:
    try:
        return chosen_engines(config.getoption("--engine"))
    except ValueError as error:
        raise pytest.UsageError(f"--engine: {error}") from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        engines = engines_of(metafunc.config)
        if metafunc.definition.get_closest_marker("one_engine"):
            engines = (quick_engine(engines),)
        elif metafunc.definition.get_closest_marker("quick_engines"):
            engines = quick_engines(engines)
        metafunc.parametrize("engine", engines, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs what its engine lacks, before any fixture is set up."""
    needs = [need for mark in item.iter_markers("needs") for need in mark.args]
    reason = reason_to_skip(engine_name(item, needs), needs) if needs else None
    if reason:
        item.user_properties.append((SKIP_REASON, reason))
        pytest.skip(reason)


def engine_name(item: pytest.Item, needs: list[str]) -> str:
    """The engine of a test with needs; fail the test if its marker could never skip it."""
    unknown = set(needs) - CAPABILITIES
    if unknown:
        pytest.fail(f"unknown in a needs marker: {', '.join(sorted(unknown))}", pytrace=False)
    callspec = getattr(item, "callspec", None)
    if callspec is None or "engine" not in callspec.params:
        pytest.fail("the needs marker is for tests that use the engine fixture", pytrace=False)
    return str(callspec.params["engine"])


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """All engines, each started when first asked for, and stopped when the session ends."""
    pool = Engines()
    try:
        yield pool
    finally:
        pool.stop()


@pytest.fixture
def engine(request: pytest.FixtureRequest, engines: Engines) -> Iterator[Engine]:
    """The engine to test on; a test that asks for it runs once for each chosen engine."""
    yield ready_or_refused(engines, request.param)
    engines.check(request.param)


@pytest.fixture(scope="session")
def tables(engines: Engines) -> Iterator[Callable[[Engine], Tables | None]]:
    """The tables of an engine that is a server; None for the one inside the process."""
    known: dict[str, Tables] = {}

    def of(engine: Engine) -> Tables | None:
        if engine.endpoint_url is None:
            return None
        if engine.endpoint_url not in known:
            known[engine.endpoint_url] = Tables(engine.endpoint_url)
        return known[engine.endpoint_url]

    yield of
    for tables in known.values():
        tables.close()


def ready_or_refused(engines: Engines, name: str) -> Engine:
    try:
        return engines.get(name)
    except EngineUnavailable as error:
        reason = str(error)
    refuse(reason)


def refuse(reason: str) -> NoReturn:
    """Skip for lack of an engine, except where tests must all run: there it is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which the two ways of sending differed, also where a test did not notice."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["request_paths"] = FIGURES.as_data()
    elif FIGURES.differences and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    save_coverage()


def save_coverage() -> None:
    """Save what `make coverage` has measured in this process: a worker may be killed before its exit handlers run."""
    coverage: Any = sys.modules.get("coverage")
    measurement = None if coverage is None else coverage.Coverage.current()
    if measurement is not None:
        measurement.save()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker compared."""
    data = getattr(node, "workeroutput", {}).get("request_paths")
    if data:
        FIGURES.add(data)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List every test an engine's limits kept from running, by reason: such skips must stay visible."""
    if terminalreporter.config.getoption("--request-path") == "twin":
        terminalreporter.section("the two ways of sending requests")
        terminalreporter.line(str(FIGURES))
        for difference in FIGURES.differences:
            terminalreporter.line(f"    {difference}")
    tests_by_reason = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        for name, value in getattr(report, "user_properties", []):
            if name == SKIP_REASON:
                tests_by_reason[value].append(report.nodeid)
    if not tests_by_reason:
        return
    terminalreporter.section("skipped because of the engine")
    for reason, tests in sorted(tests_by_reason.items()):
        terminalreporter.line(f"{reason} ({len(tests)})")
        for test in sorted(tests):
            terminalreporter.line(f"    {test}")
