"""Rules 34 to 39: queries, unique values in bulk, expired items, budgets."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dynamo_bao import (
    BudgetExceededError,
    ConditionalError,
    Index,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    StringField,
    TtlField,
    UniqueConstraint,
    ValidationError,
    run_with_batch_context,
)
from tests.support.wire import Wire


class Row(Model, prefix="qr", name="SemRow", iterable=True, iteration_buckets=2, searchable=["text"]):
    row_id: str = StringField()
    shelf: str = StringField(default="one")
    text: str = StringField(default="")
    email: str | None = StringField(default=None)
    ttl: Any = TtlField(default=None)

    primary_key = PrimaryKey("row_id")
    by_shelf = Index("shelf", "row_id", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")


MODELS = [Row]


@pytest.fixture
def rows(manager: Manager) -> list[Row]:
    """Ten rows of one shelf; every third is a fox."""
    return [
        Row.create(row_id=f"{number}", text="fox" if number % 3 == 0 else "hen", email=f"{number}@x")
        for number in range(10)
    ]


@pytest.mark.rule(34)
def test_results_go_through_all_matches(rows: list[Row], wire: Wire) -> None:
    """Pages are fetched as needed; limit= bounds matches; a cursor goes on exactly after the last one."""
    wire.clear()
    foxes = Row.by_shelf.query("one", filter={"text": "fox"}, page_size=2)
    assert [row.row_id for row in foxes] == ["0", "3", "6", "9"]
    assert (len(foxes), foxes[1].row_id, len(foxes.items)) == (4, "3", 4)
    assert len(wire) in (5, 6)
    assert [len(page) for page in Row.by_shelf.query("one", page_size=4).pages()] == [4, 4, 2]
    found, cursor = [], None
    while True:
        page = Row.by_shelf.query("one", filter={"text": "fox"}, limit=3, page_size=4, start_key=cursor)
        found.append([row.row_id for row in page])
        cursor = page.last_evaluated_key
        if cursor is None:
            break
    assert found == [["0", "3", "6"], ["9"]]


@pytest.mark.rule(35)
def test_unique_values(manager: Manager, rows: list[Row], wire: Wire) -> None:
    """One value is guard then item, both consistent; any number costs two rounds; the item's value is checked."""
    with run_with_batch_context() as session:
        wire.clear()
        found = Row.find_by_email("3@x")
        assert found is not None and found.row_id == "3"
        assert Row.find_by_email("none") is None
        assert all(body.get("ConsistentRead") or "ConsistentRead" in str(body) for _, body in wire.sent)
    with run_with_batch_context() as session:
        many = Row.batch_find_by_unique_constraint("unique_email", ["1@x", "2@x", "none"])
        assert {value: row and row.row_id for value, row in many.items()} == {
            "1@x": "1",
            "2@x": "2",
            "none": None,
        }
        assert session.stats.round_trips == 2
    key = {"_pk": {"S": "qr#4"}, "_sk": {"S": "qr"}}
    manager.client.update_item(
        TableName=manager.table_name,
        Key=key,
        UpdateExpression="SET email = :v",
        ExpressionAttributeValues={":v": {"S": "another@x"}},
    )
    assert Row.find_by_email("4@x") is None


@pytest.mark.rule(36)
def test_batch_find(rows: list[Row], wire: Wire) -> None:
    """It is lazy, keyed by canonical id, refuses any bad id before registering one; nothing costs nothing."""
    with run_with_batch_context() as session:
        wire.clear()
        assert Row.batch_find([]) == {}
        with pytest.raises(ValidationError):
            Row.batch_find(["1", ""])
        assert "0 pending" in repr(session)
        found = Row.batch_find(["1", {"row_id": "2"}, "1", "none"])
        assert list(found) == ["1", "2", "none"]
        assert len(wire) == 0
        assert [bool(row) for row in found.values()] == [True, True, False]
        assert len(wire) == 1


@pytest.mark.rule(37)
def test_expired_items(manager: Manager) -> None:
    """An item that expired and is still there is found, says so, and blocks a create."""
    past = datetime.now(timezone.utc) - timedelta(days=1)
    Row.create(row_id="old", ttl=past, email="old@x")
    found = Row.find("old")
    assert found.exists() and found.is_expired()
    assert [row.row_id for row in Row.by_shelf.query("one")] == ["old"]
    with pytest.raises(ConditionalError):
        Row.create(row_id="old")


@pytest.mark.rule(38)
def test_rows_of_partial_indexes(rows: list[Row], wire: Wire) -> None:
    """What an index of keys brings is read before it is shown; what is known already keeps its values."""
    with run_with_batch_context():
        known = Row.find("3")
        assert known.text == "fox"
        with run_with_batch_context():
            Row.update("3", shelf="two")
        wire.clear()
        assert sorted(row.shelf for batch in Row.iterate_all() for row in batch) == ["one"] * 10
        assert "BatchGetItem" in wire.operations
        assert sorted(row.row_id for row in Row.search_all(["fox"])) == ["0", "3", "6", "9"]
        keys = [key for batch in Row.iterate_all(keys_only=True) for key in batch]
        assert sorted(str(key) for key in keys) == [f"{number}" for number in range(10)]


@pytest.mark.rule(39)
def test_budgets(rows: list[Row], wire: Wire) -> None:
    """Pages and writes are rounds; inner sessions count towards outer budgets; what is refused stays pending."""
    with run_with_batch_context() as session, session.budget(round_trips=3):
        list(Row.by_shelf.query("one", page_size=9))
        with run_with_batch_context():
            Row.update("1", text="new")
        wire.clear()
        pending = Row.find("2")
        with pytest.raises(BudgetExceededError, match=r"test_query_results.py:\d+"):
            pending.exists()
        assert len(wire) == 0
        assert "1 pending" in repr(session)
    with run_with_batch_context() as session:
        with session.budget(read_units=0.5), pytest.raises(BudgetExceededError):
            for number in range(5):
                Row.find(f"{number}", consistent_read=True).exists()
        assert session.stats.round_trips >= 1
    with pytest.raises(QueryError):
        Row.by_shelf.query("one", limit=0)
