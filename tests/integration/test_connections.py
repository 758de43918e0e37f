"""Connections to an engine: none is left open when the way to it changes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.support.patience import PATIENCE

SCRIPT = """
from dynamo_bao import Model, PrimaryKey, init_models

class Org(Model, prefix="o"):
    org_id: str
    primary_key = PrimaryKey("org_id")

with init_models(models=[Org], table_name={table!r}, endpoint_url={endpoint!r}, region="us-east-1") as manager:
    manager.create_table()
    manager.client.list_tables()
    Org.create(org_id="1")
    print(Org.find("1").org_id)
"""


@pytest.mark.needs("other_processes")
def test_a_way_that_changed_leaves_no_connection_open(connection: dict[str, Any], table_name: str) -> None:
    """A program that uses boto3 beside the library later than the library itself leaves no socket to the collector."""
    script = SCRIPT.format(table=table_name, endpoint=connection["endpoint_url"])
    ended = subprocess.run(
        [sys.executable, "-W", "always::ResourceWarning", "-c", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (ended.stdout, ended.stderr) == ("1\n", "")
