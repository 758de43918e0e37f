"""Fields added later, copies that stay peers, and the source of compiled functions."""

from __future__ import annotations

import copy
import linecache
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from dynamo_bao import (
    Index,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.maintenance.check import examine_table
from dynamo_bao.maintenance.reindex import reindex_items
from dynamo_bao.models.class_builder import schema_of
from tests.support.models import Org, User


class Account(Model, prefix="ac"):
    account_id: str
    name: str = ""
    status: str = StringField(default="active")
    labels: list[str] = []
    note: str | None = StringField(default="unseen")
    owner_id: str | None = RelatedField("Account", default=None)

    primary_key = PrimaryKey("account_id")
    by_status = Index("status", "account_id", id="gsi1")


def put(manager: Manager, key: str) -> None:
    """An item as the model before wrote it."""
    item = {"_pk": {"S": f"ac#{key}"}, "_sk": {"S": "ac"}, "account_id": {"S": key}, "name": {"S": "Old"}}
    manager.client.put_item(TableName=manager.table_name, Item=item)


@pytest.fixture
def accounts(connection: dict[str, Any], ready_table: str) -> Any:
    with init_models(models=[Account], table_name=ready_table, **connection) as manager:
        yield manager


def test_a_later_field_reads_its_default_and_is_never_sent_by_itself(
    accounts: Manager, tmp_path: Any
) -> None:
    """Filling in the defaults writes them, with their index keys; the doctor counts who lacks them."""
    for key in "ab":
        put(accounts, key)
    found = Account.find("a")
    assert (found.status, found.labels, found.note) == ("active", [], None)
    assert not found.has_changes()
    found.name = "New"
    found.save()
    stored = accounts.client.scan(TableName=accounts.table_name)["Items"]
    assert all("status" not in item for item in stored)
    assert len(Account.by_status.query("active")) == 0
    home = accounts.repository(Account)
    told = [one.text for step in examine_table(accounts.database, [home]) for one in step.found]
    assert "Account: 2 items have no attribute for status, and read its default." in told
    for count in (2, 0):
        *_, last = reindex_items(home, None, journal=tmp_path / "progress", fill_defaults=True)
        assert last.count == count
    assert [one.account_id for one in Account.by_status.query("active")] == ["a", "b"]
    assert Account.find("a").name == "New"


def through_pickle(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("copied", [through_pickle, copy.deepcopy])
def test_what_is_copied_together_stays_peers(manager: Manager, copied: Callable[[Any], Any]) -> None:
    """The relations of all are loaded in one round; a result pickles as its items."""
    for number in range(20):
        Org.create(org_id=f"o{number}", name=f"Org {number}")
        User.create(name="Ada", email=f"{number}@x", org_id=f"o{number}")
    result = User.by_status.query("active")
    users = copied(result)
    assert len(users) == 20 and isinstance(users, list)
    for group in (users, copied(list(result))):
        with run_with_batch_context() as session:
            assert len({user.org.name for user in group}) == 20
            assert session.stats.round_trips == 1


def test_tracebacks_show_the_source_of_compiled_functions() -> None:
    """Two models of one name have each their own."""
    schema = schema_of(Account)
    for name in ("decode", "decode_row", "encode", "store", "invalid_names"):
        assert "account_id" in schema.source(name)
    with pytest.raises(ValueError, match="'decode'"):
        schema.source("decod")
    with pytest.raises(KeyError) as caught:
        schema.encode({})
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].line and "account_id" in frames[-1].line
    linecache.checkcache()
    assert schema.source("encode").startswith("def encode(values):")

    def other() -> type[Model]:
        class Account(Model, prefix="ax"):
            key: str
            primary_key = PrimaryKey("key")

        return Account

    assert "account_id" not in schema_of(other()).source("encode")
    assert "account_id" in schema.source("encode")
