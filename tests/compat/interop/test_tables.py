"""A table that either side made is the other's table too, without a migration."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import init_models
from tests.compat.interop.javascript import JavaScript, run_program
from tests.compat.interop.models import Team
from tests.compat.interop.python import Python
from tests.compat.interop.scenarios import EVERYTHING, SCENARIOS, carry_out
from tests.compat.interop.sides import Side


def shape_of(client: Any, table: str) -> dict[str, Any]:
    """What makes a table, without what differs from one table to the next."""
    described = client.describe_table(TableName=table)["Table"]
    return {
        "attributes": sorted(
            (a["AttributeName"], a["AttributeType"]) for a in described["AttributeDefinitions"]
        ),
        "keys": described["KeySchema"],
        "billing": described["BillingModeSummary"]["BillingMode"],
        "indexes": sorted(
            (index["IndexName"], str(index["KeySchema"]), str(sorted(index["Projection"].items())))
            for index in described["GlobalSecondaryIndexes"]
        ),
        "stream": described.get("StreamSpecification"),
        "ttl": client.describe_time_to_live(TableName=table)["TimeToLiveDescription"],
    }


@pytest.fixture(scope="module")
def tables(
    client: Any, library: Path, endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """One made by ``bao-create-table``, one by `create_table`."""
    names = {side: f"made_by_{side}_{uuid.uuid4().hex}" for side in ("javascript", "python")}
    folder = tmp_path_factory.mktemp("nowhere")
    run_program(library, endpoint, "bao-create-table.js", names["javascript"], cwd=folder)
    with init_models(models=[Team], client=client, table_name=names["python"]) as manager:
        assert manager.create_table()
    return names


def test_both_make_the_same_table(tables: dict[str, str], client: Any) -> None:
    """Keys, indexes with their projections, billing and TTL."""
    shape = shape_of(client, tables["python"])
    assert shape == shape_of(client, tables["javascript"])
    assert len(shape["indexes"]) == 6
    assert shape["ttl"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}


def test_pythons_create_table_leaves_javascripts_alone(
    tables: dict[str, str], python: Python, client: Any
) -> None:
    """It finds the table there and changes nothing."""
    before = shape_of(client, tables["javascript"])
    python.open(tables["javascript"])
    assert python.manager is not None
    assert python.manager.create_table() is False
    assert shape_of(client, tables["javascript"]) == before


def test_javascripts_update_table_finds_nothing_to_do(
    tables: dict[str, str], library: Path, endpoint: str, tmp_path: Path
) -> None:
    """``bao-update-table`` on the table that Python made."""
    (tmp_path / "dynamo-bao.config.cjs").write_text(
        f"module.exports = {{aws: {{region: 'us-east-1'}}, db: {{tableName: '{tables['python']}'}}}};"
    )
    said = run_program(library, endpoint, "dynamo-bao-update-table.js", cwd=tmp_path)
    assert "All GSIs are present." in said
    assert "TTL is already enabled" in said


@pytest.mark.parametrize("maker", ["javascript", "python"])
def test_each_works_on_the_others_table(
    maker: str, tables: dict[str, str], python: Python, javascript: JavaScript
) -> None:
    """Written, found, queried and gone through by both on either table."""
    sides: tuple[Side, Side] = (python, javascript)
    for side in sides:
        side.open(tables[maker])
    python.create("Boat", EVERYTHING)
    assert python.find("Boat", "sea-1") == javascript.find("Boat", "sea-1")
    carry_out(javascript, SCENARIOS["index keys of which halves change"])
    for side in sides:
        assert len(side.query("Member", "byStatus", "active")) == 2
        assert len(side.iterate("Boat")) == 1
