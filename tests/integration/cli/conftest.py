"""A folder of a project of its own in which commands are run, on a DynamoDB that lives as long as the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dynamo_bao import init_models
from dynamo_bao.cli import connection
from dynamo_bao.cli.main import main
from dynamo_bao.dynamodb.table_definition import table_definition
from dynamo_bao.models import registry
from tests.support.one_table import SharedTransport, engine_transport

__all__ = ["engine_transport"]

SHOP = '''
    """The models of a shop."""

    from datetime import datetime

    from dynamo_bao import (
        CreateDateField, Index, Model, PrimaryKey, Related, RelatedField, StringField, UlidField, UniqueConstraint,
    )


    class Customer(Model, prefix="cu", iterable=True, searchable=["name"]):
        customer_id: str = UlidField(auto_assign=True)
        name: str = StringField(doc="As it stands on letters.")
        email: str = StringField()
        created_at: datetime = CreateDateField()

        primary_key = PrimaryKey("customer_id")
        by_name = Index("name", "created_at", id="gsi1")
        unique_email = UniqueConstraint("email", id="uc1")


    class Order(Model, prefix="or"):
        order_id: str = UlidField(auto_assign=True)
        customer_id: str = RelatedField("Customer")

        primary_key = PrimaryKey("order_id")
        orders_for_customer = Index("customer_id", "order_id", id="gsi2")
'''


class Project:
    """A folder, and ``bao`` run in it.

    Attributes:
        folder: where it is run.
        client: a client of the DynamoDB that the commands reach.
    """

    def __init__(self, folder: Path, client: Any) -> None:
        self.folder = folder
        self.client = client

    def __call__(self, *arguments: str, answers: str = "") -> Result:
        """Runs a command; `answers` is what is typed."""
        return CliRunner().invoke(main, arguments, input=answers, prog_name="bao")

    def json(self, *arguments: str) -> Any:
        """What a command that has to succeed writes for machines."""
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def write(self, name: str, text: str) -> Path:
        """Writes a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
        return path

    def old_table(self, name: str, *indexes: str, **changes: Any) -> None:
        """Makes a table with only some of the indexes, and without TTL."""
        definition = table_definition(name, search=True)
        kept = [index for index in definition["GlobalSecondaryIndexes"] if index["IndexName"] in indexes]
        keys = {key["AttributeName"] for index in kept for key in index["KeySchema"]} | {"_pk", "_sk"}
        attributes = [{"AttributeName": key, "AttributeType": "S"} for key in sorted(keys)]
        definition.update(AttributeDefinitions=attributes, GlobalSecondaryIndexes=kept)
        self.client.create_table(
            **{key: value for key, value in {**definition, **changes}.items() if value != []}
        )

    def indexes(self, name: str) -> list[str]:
        """The names of a table's indexes."""
        table = self.client.describe_table(TableName=name)["Table"]
        return sorted(index["IndexName"] for index in table.get("GlobalSecondaryIndexes", ()))


def run(
    *arguments: str, folder: Path, before: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs ``bao`` as a process of its own, after some Python code."""
    code = f"{textwrap.dedent(before)}\nfrom dynamo_bao.cli.main import main\nmain(prog_name='bao')"
    root = Path(__file__).parents[3]
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder, in which no other model is known, and whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_models", [])
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def bao(
    folder: Path, monkeypatch: pytest.MonkeyPatch, engine_transport: SharedTransport
) -> Iterator[Project]:
    """A project without anything in it, whose commands reach the embedded engine, empty of tables."""
    monkeypatch.setattr(connection, "init_models", partial(init_models, transport=engine_transport))
    client = engine_transport.wire.client
    yield Project(folder, client)
    for name in client.list_tables()["TableNames"]:
        client.update_table(TableName=name, DeletionProtectionEnabled=False)
        client.delete_table(TableName=name)


@pytest.fixture
def shop(bao: Project) -> Project:
    """A project with settings and models."""
    bao.write("dynamo_bao.toml", '[db]\ntable_name = "shop"\n\n[paths]\nmodels_dir = "models"\n')
    bao.write("models/shop.py", SHOP)
    return bao
