"""Both sides on one server: a dynoxide, a node process for the whole session, and new tables for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from dynamo_bao.modelfiles import load_models
from tests.compat.interop.install import installed, missing
from tests.compat.interop.javascript import HERE, JavaScript, run_program
from tests.compat.interop.python import Python
from tests.compat.interop.sides import Side
from tests.support.engines import Engine, Engines, reason_to_skip
from tests.support.patience import PATIENCE
from tests.support.plugin import engines_of, ready_or_refused, refuse

ABLE = ("dynoxide", "dynamodb-local")


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config, engines: Engines) -> Engine:
    """The engine that both sides use; one inside this process is no such thing."""
    chosen = [name for name in ABLE if name in engines_of(pytestconfig)]
    if not chosen:
        pytest.skip(f"both sides need an engine that other processes reach: --engine {ABLE[0]}")
    return ready_or_refused(engines, chosen[0])


@pytest.fixture(scope="session")
def endpoint(server: Engine) -> str:
    """Where it answers."""
    assert server.endpoint_url is not None
    return server.endpoint_url


@pytest.fixture
def empty_texts(server: Engine) -> None:
    """Skips on an engine that refuses them."""
    reason = reason_to_skip(server.name, ["empty_strings"])
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def library(endpoint: str) -> Path:
    """Where the JavaScript library is installed."""
    reason = missing()
    if reason is not None:
        refuse(reason)
    return installed()


@pytest.fixture(scope="session")
def javascript_process(
    library: Path, endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JavaScript]:
    """The one node process, with the models that the library's generator makes of `models.yaml`."""
    folder = tmp_path_factory.mktemp("javascript")
    run_program(library, endpoint, "codegen.js", str(HERE / "models.yaml"), "models", cwd=folder)
    process = JavaScript(library, endpoint, folder / "models")
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="session")
def client(endpoint: str) -> Iterator[Any]:
    """A boto3 client for the Python side and for looking at the items as they are stored."""
    client = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
    )
    yield client
    client.close()


@pytest.fixture
def javascript(javascript_process: JavaScript) -> Iterator[JavaScript]:
    """The JavaScript side; its clock goes on after the test."""
    yield javascript_process
    javascript_process.stop_clock(None)


@pytest.fixture(scope="session")
def loaded_models() -> dict[str, type[Any]]:
    """The models of the one model file, as Python has them."""
    return load_models(HERE / "models.yaml")


@pytest.fixture
def python(client: Any, loaded_models: dict[str, type[Any]]) -> Iterator[Python]:
    """The Python side, with the models of the same file that JavaScript's are made of."""
    side = Python(loaded_models.values(), client=client, deadline=PATIENCE)
    yield side
    side.close()


@pytest.fixture
def new_table(python: Python) -> Callable[[], str]:
    """Makes an empty table, with Python's `create_table`."""

    def make() -> str:
        name = f"shared_{uuid.uuid4().hex}"
        python.open(name)
        assert python.manager is not None
        python.manager.create_table()
        return name

    return make


@pytest.fixture
def table(new_table: Callable[[], str], python: Python, javascript: JavaScript) -> str:
    """A new table that both sides have open."""
    name = new_table()
    javascript.open(name)
    return name


@pytest.fixture(params=["JavaScript writes", "Python writes"])
def direction(
    request: pytest.FixtureRequest, table: str, python: Python, javascript: JavaScript
) -> tuple[Side, Side]:
    """Both directions: who writes, and who works with what was written."""
    sides: tuple[Side, Side] = (javascript, python)
    return sides if request.param == "JavaScript writes" else sides[::-1]
