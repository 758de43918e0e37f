"""``bao doctor``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao.maintenance import scanners
from tests.integration.cli.conftest import Project, run

GONE = "01JGFJJZ00ANN0000000000000"


@pytest.fixture
def stocked(shop: Project) -> Project:
    """The shop with its table and three customers."""
    shop("create-table")
    shop.write("c.jsonl", "".join(f'{{"name": "N{n}", "email": "{n}@x"}}\n' for n in range(3)))
    assert shop("import", "Customer", "c.jsonl").exit_code == 0
    return shop


def guard(project: Project, email: str, owner: str) -> None:
    pk = f"_raft_uc#_uc1#cu#email:{email}"
    texts = {"_pk": pk, "_sk": "_raft_uc", "uniqueValue": pk, "relatedId": owner, "relatedModel": "Customer"}
    project.client.put_item(TableName="shop", Item={name: {"S": text} for name, text in texts.items()})


def damaged(project: Project, **attributes: str) -> None:
    """Changes one customer past the library."""
    items = project.client.scan(TableName="shop")["Items"]
    item: Any = next(item for item in items if item.get("name") == {"S": "N1"})
    item.update((name, {"S": text}) for name, text in attributes.items())
    project.client.put_item(TableName="shop", Item=item)


def test_nothing_is_wrong(stocked: Project) -> None:
    """What was looked at is told, and that it is as it should be."""
    result = stocked("doctor")
    assert result.exit_code == 0
    told = result.stdout.splitlines()
    assert told[0] == "ok       2 models, each with a prefix of its own."
    assert told[1].startswith("ok       Credentials and region: DynamoDB answers (")
    assert told[2:] == [
        "ok       Table shop: keys, indexes and TTL are as the models need them.",
        "ok       Items: 6 with right keys, guards and search texts.",
        "Nothing is wrong.",
    ]
    assert result.stderr == "Examining about 6 items.\n"


def test_problems_are_told_with_their_mend_and_mended(stocked: Project) -> None:
    """Exit code 1 as long as one remains; --fix mends what it can."""
    guard(stocked, "gone@x", GONE)
    damaged(stocked, _gsi1_pk="stale")
    result = stocked("doctor")
    assert result.exit_code == 1
    assert (
        f"problem  Customer: the guard '_raft_uc#_uc1#cu#email:gone@x' names Customer '{GONE}', which is not"
        in result.stdout
    )
    assert (
        "has index keys that its fields do not say: _gsi1_pk.\n         bao doctor --fix, or" in result.stdout
    )
    assert result.stdout.endswith("2 problems, 2 of which 'bao doctor --fix' mends.\n")
    result = stocked("doctor", "--fix")
    assert result.exit_code == 0
    assert result.stdout.count("mended   ") == 2
    assert result.stdout.endswith("2 problems mended; nothing is wrong now.\n")
    assert stocked("doctor").exit_code == 0


def test_json_has_every_finding(stocked: Project) -> None:
    """Everything is in one document."""
    guard(stocked, "gone@x", GONE)
    damaged(stocked, email="2@x", _gsi1_pk="stale")
    result = stocked("doctor", "--fix", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["table"], told["looked_through"], told["problems"], told["mended"]) == ("shop", 7, 1, 3)
    kinds = sorted((finding["check"], finding["mended"]) for finding in told["findings"])
    assert kinds == [("guard", False), ("guard", True), ("guard", True), ("index", True)]
    assert all({"model", "key", "mend", "text"} <= finding.keys() for finding in told["findings"])


def test_a_dear_look_is_asked_about(stocked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """From ten thousand read units on; nothing is examined or mended after a no."""
    damaged(stocked, _gsi1_pk="stale")
    monkeypatch.setattr(scanners.Size, "scan_units", 10_000)
    for options, question in (
        ((), "Examine table shop?"),
        (("--fix",), "Examine table shop and mend what is wrong?"),
    ):
        result = stocked("doctor", *options, answers="n\n")
        assert result.exit_code == 1
        assert question in result.stderr
    assert "has index keys that its fields do not say" in stocked("doctor", answers="y\n").stdout


def test_a_quick_look_leaves_the_items_alone(stocked: Project) -> None:
    """The table and the models only."""
    damaged(stocked, _gsi1_pk="stale")
    result = stocked("doctor", "--quick")
    assert (result.exit_code, "Items:" in result.stdout) == (0, False)


def test_a_table_that_is_not_as_the_models_need_it(shop: Project) -> None:
    """An index and TTL that are missing are told; items are looked through all the same."""
    shop.old_table("shop", "gsi1", "iter_index")
    result = shop("doctor")
    assert result.exit_code == 1
    assert (
        "problem  Table shop has no index gsi2, which Order needs.\n         Run 'bao update-table'."
        in result.stdout
    )
    assert "problem  Table shop has no index iter_search_index, which Customer needs." in result.stdout
    assert "note     Table shop has no index gsi3, which no model here needs." in result.stdout
    assert "note     The TTL of table shop is off." in result.stdout
    assert "ok       Items: 0 with right keys" in result.stdout


def test_no_table(shop: Project) -> None:
    """It says so, and stops there."""
    result = shop("doctor")
    assert result.exit_code == 1
    assert "problem  Table shop does not exist at this region and endpoint.\n" in result.stdout
    assert "Items" not in result.stdout


def test_no_models(bao: Project) -> None:
    """The table alone is looked at, and that is said."""
    bao("create-table", "shop")
    result = bao("doctor", "--table", "shop")
    assert result.exit_code == 0
    assert result.stderr == "No models are named, so only the table was examined; see --models.\n"


def test_two_models_with_one_prefix(stocked: Project) -> None:
    """Both are named, and where they are; items are not looked through, as nobody knows whose they are."""
    stocked.write(
        "models/other.py",
        """
        from dynamo_bao import Model, PrimaryKey

        class Cup(Model, prefix="cu"):
            cup_id: str
            primary_key = PrimaryKey("cup_id")
        """,
    )
    result = stocked("doctor", "--models", "models/other.py", "--models", "models/shop.py")
    assert result.exit_code == 1
    assert "problem  The prefix 'cu' belongs to several models: Cup in " in result.stdout
    assert "ok       Table shop" in result.stdout
    assert "Items" not in result.stdout


def test_no_region_and_no_credentials(folder: Path) -> None:
    """One sentence each, and exit code 1."""
    models = ("class A(Model, prefix='a'):", "    b: str", "    primary_key = PrimaryKey('b')")
    (folder / "m.py").write_text("\n".join(("from dynamo_bao import Model, PrimaryKey", *models)))
    nowhere = {"AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none", "HOME": "/none"}
    where = ("doctor", "--table", "t", "--models", "m.py", "--endpoint-url", "http://127.0.0.1:9")
    told = run(*where, folder=folder, **nowhere)
    assert "problem  No AWS region: give --region" in told.stdout
    assert told.returncode == 1
    told = run(*where, "--region", "eu-west-1", folder=folder, **nowhere)
    assert "problem  No usable AWS credentials" in told.stdout
    assert (told.returncode, told.stderr) == (1, "")
