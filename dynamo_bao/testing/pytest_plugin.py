"""The pytest plugin. Installing the library is enough to have it; ``-p no:dynamo_bao`` turns it off.

Nothing here runs, and neither boto3 nor moto is imported, in a test that asks for none of the fixtures.
"""

from __future__ import annotations

import importlib
import re
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import pytest

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.models.batch_context import run_with_batch_context
from dynamo_bao.models.manager import Manager, ModelsArgument
from dynamo_bao.models.registry import models as all_models
from dynamo_bao.session.rounds import N_PLUS_ONE
from dynamo_bao.session.session import Session
from dynamo_bao.session.tenancy import TenantContext
from dynamo_bao.testing import round_trips
from dynamo_bao.testing.engines import SharedEngine

_MARKER = (
    f"no_n_plus_one(threshold={N_PLUS_ONE}): fail the test if one line fetches one key or query at a time, that "
    f"often within one batch context"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--bao-endpoint-url`` and the ini options."""
    group = parser.getgroup("dynamo_bao", "DynamoDB for tests (dynamo_bao)")
    group.addoption(
        "--bao-endpoint-url",
        metavar="URL",
        help="run bao_embedded's tables on the DynamoDB that listens here, and not inside the process",
    )
    parser.addini("bao_endpoint_url", "the same as --bao-endpoint-url, which has precedence", default="")
    parser.addini(
        "bao_models", "modules whose models bao_embedded connects; all there are by default", "args"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    """Watches the tests that are marked ``no_n_plus_one``."""
    marker = item.get_closest_marker("no_n_plus_one")
    if marker is None:
        yield
        return
    with round_trips.RoundWatch() as watch:
        outcome = yield
    lines = watch.one_by_one(_threshold(*marker.args, **marker.kwargs))
    if lines and outcome.excinfo is None:
        outcome.force_exception(pytest.fail.Exception(_failure_text(lines), pytrace=False))


def _threshold(threshold: int = N_PLUS_ONE) -> int:
    """The marker's argument. Python itself checks it, as of any call."""
    return threshold


def _failure_text(lines: Mapping[Any, int]) -> str:
    return (
        f"N+1: one key or query at a time was fetched by\n{round_trips.described_lines(lines)}\n"
        "Find them all before looking at the first, load relations with load_related=True or load_related_data(), "
        "read children by their relation (author.books.where(…)), or give the marker a higher threshold."
    )


@pytest.fixture(scope="session")
def bao_engine(pytestconfig: pytest.Config) -> Iterator[SharedEngine]:
    """The engine of the whole run: inside the process, or at ``--bao-endpoint-url``.

    At an endpoint, leftover tables of killed runs are deleted first.
    """
    url = pytestconfig.getoption("--bao-endpoint-url") or pytestconfig.getini("bao_endpoint_url")
    with SharedEngine(url) as engine:
        engine.remove_leftovers()
        yield engine


@pytest.fixture(scope="session")
def bao_models(pytestconfig: pytest.Config) -> ModelsArgument:
    """The models of `bao_embedded`: those of the modules in the ini option ``bao_models``, else all; override it."""
    names = pytestconfig.getini("bao_models")
    return [model for name in names for model in _models_in(name)] or None


def _models_in(name: str) -> Sequence[type[Any]]:
    """The models that a module, or the modules of a package, define."""
    importlib.import_module(name)
    models = [model for model in all_models() if f"{model.__module__}.".startswith(f"{name}.")]
    if not models:
        raise ConfigurationError(f"The ini option bao_models names {name}, which defines no model.")
    return models


@pytest.fixture(scope="session")
def bao_options() -> Mapping[str, Any]:
    """Further arguments of `init_models` for `bao_embedded`, such as ``{"policy": RequireContext()}``; override it."""
    return {}


@pytest.fixture
def bao_embedded(
    bao_engine: SharedEngine, bao_models: ModelsArgument, bao_options: Mapping[str, object]
) -> Iterator[Manager]:
    """A manager on a new table of the test, which is deleted after the test."""
    with bao_engine.fresh(bao_models, **bao_options) as manager:
        yield manager


@pytest.fixture
def bao_session(bao_embedded: Manager) -> Iterator[Session]:
    """A batch context around the test, on `bao_embedded`."""
    with run_with_batch_context() as session:
        yield session


@pytest.fixture
def bao_tenant(request: pytest.FixtureRequest) -> Iterator[str]:
    """A tenant of the test, current during the test."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", request.node.name)[:31]
    with TenantContext.run_with_tenant(f"{name}-{uuid.uuid4().hex}") as tenant:
        yield tenant


@pytest.fixture
def assert_max_round_trips() -> Callable[[int], round_trips.MaxRoundTrips]:
    """``with assert_max_round_trips(3):`` fails where the block waits for DynamoDB more often, and shows each wait."""
    return round_trips.assert_max_round_trips
