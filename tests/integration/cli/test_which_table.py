"""Which table a command is about: never another than was meant, and never one that cannot hold models."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dynamo_bao import ConfigurationError, init_models
from dynamo_bao.testing import embedded_transport
from tests.integration.cli.conftest import SHOP, Project

DEFAULT = "dynamo-bao-dev"
WRITERS = (
    ("create-table",),
    ("update-table",),
    ("import", "Customer", "c.jsonl"),
    ("reindex", "Customer"),
    ("rebuild-search-text", "Customer"),
    ("doctor", "--fix"),
)


@pytest.fixture
def nameless(bao: Project) -> Project:
    """A project with models whose settings name no table; the default one is there."""
    bao.write("dynamo_bao.toml", '[paths]\nmodels_dir = "models"\n')
    bao.write("models/shop.py", SHOP)
    bao.write("c.jsonl", '{"name": "N", "email": "x"}\n')
    bao("create-table", DEFAULT)
    return bao


def foreign_table(bao: Project, name: str) -> None:
    """A table of somebody else, with other keys."""
    bao.client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    bao.client.put_item(TableName=name, Item={"id": {"S": "a"}})


# --- no name anywhere -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", WRITERS, ids=[command[0] for command in WRITERS])
def test_commands_that_write_ask_where_no_table_is_named(nameless: Project, command: tuple[str, ...]) -> None:
    """The question has the name; without an answer nothing is done, and --yes or a name needs no question."""
    nobody = nameless(*command)
    assert nobody.exit_code == 2
    assert f"Go on with table {DEFAULT}? [y/N]" in nobody.stderr
    refused = nameless(*command, answers="n\n")
    assert (refused.exit_code, "Nothing was done." in refused.stderr) == (1, True)
    assert nameless("count", "Customer").stdout == "0\n"
    assert nameless(*command, "--yes").exit_code == 0
    named = nameless(*command, "--table", DEFAULT)
    assert "Go on with" not in named.stderr


def test_commands_that_only_look_do_not_ask(nameless: Project) -> None:
    """Counting changes nothing, and neither does a dry run."""
    assert nameless("count", "Customer").exit_code == 0
    assert nameless("doctor").exit_code == 0
    assert nameless("reindex", "Customer", "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    ("options", "level"),
    [
        ({}, logging.WARNING),
        ({"embedded": True}, logging.INFO),
        ({"table_name": "t", "embedded": True}, None),
    ],
)
def test_programs_are_told_in_the_log(
    folder: Path, caplog: pytest.LogCaptureFixture, options: dict[str, object], level: int | None
) -> None:
    """A table that nobody has named is named in a line of the log; with a name there is none."""
    caplog.set_level(logging.INFO, "dynamo_bao.manager")
    with init_models(models=[], **options):  # type: ignore[arg-type]
        pass
    told = [record for record in caplog.records if record.name == "dynamo_bao.manager"]
    assert [record.levelno for record in told] == ([] if level is None else [level])
    assert all(DEFAULT in record.getMessage() for record in told)


# --- a table of somebody else -----------------------------------------------------------------------

ON_ITEMS = (
    ("count", "Customer"),
    ("count", "Customer", "--scan"),
    ("count", "Order"),
    ("export", "Customer"),
    ("import", "Customer", "c.jsonl"),
    ("reindex", "Customer"),
    ("rebuild-search-text", "Customer"),
)


@pytest.mark.parametrize(
    "command", [("create-table",), ("create-table", "--dry-run"), ("update-table",), *ON_ITEMS]
)
def test_a_table_with_other_keys_is_refused(shop: Project, command: tuple[str, ...]) -> None:
    """In doctor's words, with exit code 1, and before anything is counted or written."""
    foreign_table(shop, "shop")
    shop.write("c.jsonl", '{"name": "N", "email": "x"}\n')
    result = shop(*command)
    assert (result.exit_code, result.stdout) == (1, "")
    told = "Table shop has the key id instead of _pk and _sk; use another table."
    assert result.stderr.endswith(f"Error: {told} [BAO-1001]\n")
    assert told in shop("doctor").stdout


@pytest.mark.parametrize("command", ON_ITEMS)
def test_a_table_that_is_not_there_is_told(shop: Project, command: tuple[str, ...]) -> None:
    """The same sentence for all commands."""
    shop.write("c.jsonl", '{"name": "N", "email": "x"}\n')
    result = shop(*command)
    assert result.exit_code == 1
    assert "Table shop does not exist at this region and endpoint; run 'bao create-table'" in result.stderr


def test_init_refuses_a_table_with_other_keys(bao: Project) -> None:
    """Before it writes any file."""
    foreign_table(bao, "theirs")
    result = bao("init", "--table", "theirs")
    assert result.exit_code == 1 and "has the key id instead of" in result.stderr
    assert not (bao.folder / "dynamo_bao.toml").exists()


def test_create_table_of_the_library_refuses_it_too() -> None:
    """`create_table` never says that a table is there which no model can use."""
    transport = embedded_transport()
    with init_models(models=[], table_name="theirs", transport=transport) as manager:
        manager.client.create_table(
            TableName="theirs",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        with pytest.raises(ConfigurationError, match="has the key id instead of _pk and _sk"):
            manager.create_table()


# --- another than the settings say ------------------------------------------------------------------


def test_init_says_that_the_settings_name_another_table(shop: Project) -> None:
    """And asks; the answer no does nothing, and yes says what is left to do."""
    settings = (shop.folder / "dynamo_bao.toml").read_text()
    told = "table_name of dynamo_bao.toml is shop, which commands go on using without --table two."
    refused = shop("init", "--table", "two", answers="n\n")
    assert refused.exit_code == 1 and f"{told} Set up table two beside it? [y/N]" in refused.stderr
    assert shop.client.list_tables()["TableNames"] == []
    assert shop("init", "--table", "two").exit_code == 2  # nobody answers
    done = shop("init", "--table", "two", "--yes")
    assert done.exit_code == 0 and f'{told} Write table_name = "two" there to change that.' in done.stderr
    assert shop.client.list_tables()["TableNames"] == ["two"]
    assert (shop.folder / "dynamo_bao.toml").read_text() == settings


def test_init_of_the_settings_own_table_asks_nothing(shop: Project) -> None:
    """Whether or not it is named once more."""
    for arguments in (("init", "--table", "shop"), ("init",)):
        result = shop(*arguments)
        assert result.exit_code == 0 and "beside it" not in result.stderr


def test_the_environment_counts_as_settings(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It wins over the file, for `init` too."""
    monkeypatch.setenv("DYNAMO_BAO_TABLE_NAME", "three")
    assert shop("init", "--table", "shop").exit_code == 2
    assert "the environment is three" in shop("init", "--table", "shop", "--yes").stderr
