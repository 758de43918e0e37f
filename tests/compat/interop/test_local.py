"""JavaScript works with `bao local` as with any DynamoDB: what it writes there, Python reads, and the reverse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao.testing.local_server import LocalServer
from tests.compat.interop.install import installed, missing
from tests.compat.interop.javascript import HERE, JavaScript, run_program
from tests.compat.interop.python import Python
from tests.compat.interop.scenarios import SCENARIOS, WITHOUT_TENANT, carry_out
from tests.compat.interop.test_both_ways import ACME, seen
from tests.support.local_server import client_of, local_server
from tests.support.patience import PATIENCE
from tests.support.plugin import refuse


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with local_server() as running_server:
        yield running_server


@pytest.fixture
def javascript(server: LocalServer, tmp_path: Path) -> Iterator[JavaScript]:
    reason = missing()
    if reason is not None:
        refuse(reason)
    run_program(installed(), server.url, "codegen.js", str(HERE / "models.yaml"), "models", cwd=tmp_path)
    process = JavaScript(installed(), server.url, tmp_path / "models")
    yield process
    process.stop()


@pytest.fixture
def python(server: LocalServer, loaded_models: dict[str, type[Any]]) -> Iterator[Python]:
    client = client_of(server)
    side = Python(loaded_models.values(), client=client, deadline=PATIENCE)
    yield side
    side.close()
    client.close()


def test_both_sides_share_a_table_of_bao_local(javascript: JavaScript, python: Python) -> None:
    """Each scenario, written by one and read by the other."""
    python.open("shared")
    assert python.manager is not None
    python.manager.create_table()
    javascript.open("shared")
    for number, scenario in enumerate(SCENARIOS):
        writer, reader = (javascript, python) if number % 2 else (python, javascript)
        tenant = None if scenario in WITHOUT_TENANT else ACME
        for (model, id), written_object in carry_out(writer, SCENARIOS[scenario], tenant).items():
            assert seen(reader.find(model, id, tenant)) == seen(written_object)
            reader.delete(model, id, tenant=tenant)
