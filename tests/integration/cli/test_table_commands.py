"""bao create-table, update-table and delete-table."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from dynamo_bao.dynamodb import table_admin
from dynamo_bao.dynamodb.table_definition import table_definition
from tests.integration.cli.conftest import Project

USUAL = ["gsi1", "gsi2", "gsi3", "gsi4", "gsi5", "iter_index"]
EVERY = [*USUAL, "iter_search_index"]


def ttl(bao: Project, name: str) -> str:
    """The status of a table's TTL."""
    described = bao.client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    return str(described["TimeToLiveStatus"])


# --- create-table ----------------------------------------------------------------------------------


def test_create_table_makes_the_named_table(bao: Project) -> None:
    """The table is there with its indexes and TTL; a second time it is left as it is."""
    first = bao("create-table", "app")
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout == f"Table app is created, with {', '.join(USUAL)} and TTL.\n"
    assert bao.indexes("app") == USUAL
    assert ttl(bao, "app") == "ENABLED"
    again = bao("create-table", "--table", "app")
    assert (again.exit_code, again.stdout) == (0, "Table app exists already.\n")


def test_create_table_takes_the_table_and_the_models_of_the_settings(shop: Project) -> None:
    """Without a name it is the settings' table; a model that searches gives it the index for that."""
    assert shop.json("create-table") == {
        "table": "shop",
        "created": True,
        "indexes": EVERY,
        "dry_run": False,
    }
    assert shop.indexes("shop") == EVERY


def test_create_table_search_needs_no_models(bao: Project) -> None:
    """--search is for tables whose models are elsewhere."""
    assert bao.json("create-table", "app", "--search")["indexes"] == EVERY
    assert bao.indexes("app") == EVERY


def test_create_table_dry_run_makes_nothing(bao: Project) -> None:
    """It says whether the table would be made."""
    result = bao("create-table", "app", "--dry-run")
    assert result.stdout == f"Table app would be created, with {', '.join(USUAL)} and TTL.\n"
    assert bao.client.list_tables()["TableNames"] == []
    bao("create-table", "app")
    assert bao.json("create-table", "app", "--dry-run")["created"] is False


def test_create_table_may_be_interrupted(bao: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before TTL is enabled says how to complete the table, and that does it."""

    def interrupted(database: Any) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(table_admin, "_enable_ttl", interrupted)
        result = bao("create-table", "app")
    assert result.exit_code == 130
    assert (
        "Interrupted: DynamoDB may still be creating the table; 'bao update-table' completes it."
        in result.stderr
    )
    assert ttl(bao, "app") == "DISABLED"
    assert bao("update-table", "app").stdout == "Table app got TTL.\n"
    assert ttl(bao, "app") == "ENABLED"


# --- create-table --as -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--search",)])
def test_create_table_as_cloudformation_is_the_table(bao: Project, options: tuple[str, ...]) -> None:
    """A table that is made of the template's properties has everything that create-table makes."""
    result = bao("create-table", "app", "--as", "cloudformation", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert bao.client.list_tables()["TableNames"] == []
    template = yaml.safe_load(result.stdout)["Resources"]["Table"]
    properties = template["Properties"]
    assert (template["Type"], template["DeletionPolicy"]) == ("AWS::DynamoDB::Table", "Retain")
    assert properties.pop("TimeToLiveSpecification") == {"AttributeName": "ttl", "Enabled": True}
    assert properties.pop("PointInTimeRecoverySpecification") == {"PointInTimeRecoveryEnabled": True}
    assert properties.pop("DeletionProtectionEnabled") is True
    bao.client.create_table(**properties)
    update = bao.json("update-table", "app", "--dry-run", *options)
    assert (update["indexes"], update["faults"], update["ttl"]) == ([], [], True)
    assert bao.indexes("app") == (EVERY if options else USUAL)


@pytest.mark.parametrize("search", [False, True])
def test_create_table_as_terraform_has_the_same_keys(bao: Project, search: bool) -> None:
    """Keys, types, indexes and projections are those of the table's definition."""
    arguments = ("create-table", "arn:aws:dynamodb:eu-west-1:123456789012:table/my-app", "--as", "terraform")
    code = bao(*arguments, *(("--search",) if search else ())).stdout
    expected: Any = table_definition("my-app", search)
    assert code.startswith(
        'resource "aws_dynamodb_table" "my_app" {\n  name                        = "my-app"\n'
    )
    assert terraform_blocks(code, "attribute") == [
        {"name": one["AttributeName"], "type": one["AttributeType"]}
        for one in expected["AttributeDefinitions"]
    ]
    assert terraform_blocks(code, "global_secondary_index") == [
        {
            "name": index["IndexName"],
            "hash_key": index["KeySchema"][0]["AttributeName"],
            "range_key": index["KeySchema"][1]["AttributeName"],
            "projection_type": index["Projection"]["ProjectionType"],
            **(
                {"non_key_attributes": index["Projection"]["NonKeyAttributes"]}
                if "NonKeyAttributes" in index["Projection"]
                else {}
            ),
        }
        for index in expected["GlobalSecondaryIndexes"]
    ]
    assert terraform_blocks(code, "ttl") == [{"attribute_name": "ttl", "enabled": True}]


def terraform_blocks(code: str, name: str) -> list[dict[str, object]]:
    """The arguments of each block of a resource that has this name."""
    blocks = re.findall(rf"^  {name} \{{\n(.*?)^  \}}$", code, re.MULTILINE | re.DOTALL)
    return [{key: json.loads(value) for key, value in re.findall(r"(\w+) += (.+)", one)} for one in blocks]


# --- update-table ----------------------------------------------------------------------------------


def test_update_table_adds_what_is_missing(shop: Project) -> None:
    """Missing indexes, with the one for searches, and TTL; what is done is told as it is done, on stderr."""
    shop.old_table("shop", "gsi1", "gsi2", "gsi3", "gsi4")
    shown = shop("update-table", "--dry-run")
    assert shown.stdout == (
        "Table shop would get index gsi5, index iter_index, index iter_search_index, TTL.\n"
    )
    assert len(shop.indexes("shop")) == 4
    done = shop("update-table")
    assert (done.exit_code, done.stdout) == (
        0,
        "Table shop got index gsi5, index iter_index, index iter_search_index, TTL.\n",
    )
    assert "adding index iter_index (2 of 3)" in done.stderr
    assert shop.indexes("shop") == EVERY
    assert ttl(shop, "shop") == "ENABLED"
    assert shop("update-table").stdout == "Table shop is up to date.\n"


def test_update_table_for_machines(bao: Project) -> None:
    """--json tells what was added, and what could not be."""
    bao.old_table("app", *EVERY[:5])
    assert bao.json("update-table", "app", "--search") == {
        "table": "app",
        "indexes": ["iter_index", "iter_search_index"],
        "ttl": True,
        "faults": [],
        "dry_run": False,
    }


def test_update_table_without_models_says_what_it_did_not_look_at(bao: Project) -> None:
    """Without models nobody knows whether searches need an index."""
    bao("create-table", "app")
    result = bao("update-table", "app")
    assert (result.exit_code, result.stdout) == (0, "Table app is up to date.\n")
    assert "No models are named" in result.stderr
    assert "No models are named" not in bao("update-table", "app", "--search").stderr


def test_update_table_of_no_table_fails(bao: Project) -> None:
    """A table that is not there is a failure that names the command to make it."""
    result = bao("update-table", "app")
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        "Error: Table app does not exist at this region and endpoint; run 'bao create-table'" in result.stderr
    )


def test_update_table_fails_where_something_is_left(bao: Project) -> None:
    """An index that holds too little cannot be mended: the rest is done, the fault is told, and the exit code is 1."""
    narrow = {
        "IndexName": "gsi1",
        "KeySchema": [
            {"AttributeName": "_gsi1_pk", "KeyType": "HASH"},
            {"AttributeName": "_gsi1_sk", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    bao.old_table("app", "gsi1", GlobalSecondaryIndexes=[narrow])
    result = bao("update-table", "app", "--search")
    assert result.exit_code == 1
    assert result.stdout == f"Table app got {', '.join(f'index {name}' for name in EVERY[1:])}, TTL.\n"
    assert "Warning: Index gsi1 of table app holds keys only instead of whole items" in result.stderr
    again = bao("update-table", "app", "--search")
    assert (again.exit_code, again.stdout) == (1, "Table app is otherwise up to date.\n")


def test_update_table_may_be_interrupted(bao: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C says that the index is built all the same, and the next run adds the rest."""
    bao.old_table("app", *EVERY[:3])
    send = table_admin._send

    def interrupted(database: Any, operation: str, parameters: Any) -> None:
        send(database, operation, parameters)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(table_admin, "_send", interrupted)
        result = bao("update-table", "app")
    assert result.exit_code == 130
    assert "Interrupted: DynamoDB continues with the current index; run the command again" in result.stderr
    assert bao.indexes("app") == EVERY[:4]
    assert bao.json("update-table", "app")["indexes"] == EVERY[4:6]


# --- delete-table ----------------------------------------------------------------------------------


def test_delete_table_asks_for_the_name(bao: Project) -> None:
    """The name has to be typed, and what is in the table is told before; another name deletes nothing."""
    bao("create-table", "app")
    wrong = bao("delete-table", "app", answers="yes\n")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "Deleting table app with about 0 items (0.0 MB) cannot be undone." in wrong.stderr
    assert "Error: That is not app; nothing was done." in wrong.stderr
    nobody = bao("delete-table", "app")
    assert nobody.exit_code == 2
    assert "Nobody is there to answer" in nobody.stderr
    assert bao.client.list_tables()["TableNames"] == ["app"]
    right = bao("delete-table", "app", answers="app\n")
    assert (right.exit_code, right.stdout) == (0, "Table app is deleted.\n")
    assert bao.client.list_tables()["TableNames"] == []


def test_delete_table_yes_needs_the_name_on_the_line(shop: Project) -> None:
    """With --yes the settings' table is never meant by leaving the name out."""
    shop("create-table")
    silent = shop("delete-table", "--yes")
    assert silent.exit_code == 2
    assert "With --yes, name the table" in silent.stderr
    assert shop.json("delete-table", "shop", "--yes") == {"table": "shop", "deleted": True, "dry_run": False}
    assert shop.client.list_tables()["TableNames"] == []


def test_delete_table_dry_run_deletes_nothing(shop: Project) -> None:
    """It tells what would go, and asks nothing."""
    shop("create-table")
    result = shop("delete-table", "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "Would delete table shop with about 0 items (0.0 MB).\n")
    assert shop.client.list_tables()["TableNames"] == ["shop"]


def test_delete_table_of_no_table_fails(bao: Project) -> None:
    """Nothing is asked where there is nothing to delete."""
    result = bao("delete-table", "app", "--yes")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: Table app does not exist at this region and endpoint.\n",
    )


def test_delete_table_keeps_a_protected_table(bao: Project) -> None:
    """Protection against deletion is told before anything is asked."""
    bao("create-table", "app")
    bao.client.update_table(TableName="app", DeletionProtectionEnabled=True)
    result = bao("delete-table", "app", "--yes")
    assert result.exit_code == 1
    assert "Error: Table app is protected from deletion" in result.stderr
    assert bao.client.list_tables()["TableNames"] == ["app"]
