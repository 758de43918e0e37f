"""Several changes of one item in one transaction or commit: they leave what they would leave one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from dynamo_bao import (
    AddMembers,
    Append,
    ConditionalError,
    CounterField,
    DataFormatError,
    DropMembers,
    IfMissing,
    Increment,
    IntegerField,
    ListField,
    Manager,
    MapField,
    Model,
    Prepend,
    PrimaryKey,
    QueryError,
    Remove,
    StringField,
    StringSetField,
    TransactionError,
    UniqueConstraint,
    ValidationError,
    VersionConflictError,
    VersionField,
    init_models,
    run_with_batch_context,
    transaction,
)


class Page(Model, prefix="pg"):
    page_id: str
    text: str | None = StringField(default=None)
    lines: list[Any] = ListField(default=list)
    data: dict[str, Any] = MapField(default=dict)
    visits: int = CounterField()
    credit: int = CounterField(default=5)
    tags: set[str] = StringSetField()
    primary_key = PrimaryKey("page_id")


class Draft(Model, prefix="dr"):
    draft_id: str
    text: str | None = StringField(default=None)
    visits: int = CounterField()
    version: str = VersionField()
    primary_key = PrimaryKey("draft_id")


class Seat(Model, prefix="se"):
    seat_id: str
    number: int = CounterField()
    guest: str | None = StringField(default=None)
    rank: int = IntegerField(default=0)
    primary_key = PrimaryKey("seat_id")
    unique_number = UniqueConstraint("number", id="uc1")
    unique_guest = UniqueConstraint("guest", id="uc2")


@pytest.fixture
def table(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=[Page, Draft, Seat], table_name=ready_table, **connection) as manager:
        yield manager


Step = Callable[[str], object]


def update(changes: Mapping[str, object]) -> Step:
    return lambda key: Page.update(key, changes)


def save(change: Callable[[Page], object]) -> Step:
    def changed(key: str) -> None:
        page = Page.find(key)
        assert page.exists()
        change(page)
        page.save()

    return changed


def fields_of(page: Page) -> tuple[object, ...]:
    return page.text, page.lines, page.data, page.visits, page.credit, page.tags


SEQUENCES: dict[str, tuple[dict[str, Any], list[Step]]] = {
    "an element, then an append by a save": (
        {"lines": [1]},
        [update({"lines[0]": 9}), save(lambda page: page.lines.append(2))],
    ),
    "an element, then Append": ({"lines": [1]}, [update({"lines[0]": 9}), update({"lines": Append([2])})]),
    "Increment of an element, then Prepend": (
        {"lines": [1]},
        [update({"lines[0]": Increment(5)}), update({"lines": Prepend([2])})],
    ),
    "Append, then Prepend, then an element": (
        {"lines": [1]},
        [update({"lines": Append([2])}), update({"lines": Prepend([0])}), update({"lines[1]": 8})],
    ),
    "a removed element, then the one in its place": (
        {"lines": [1, 2]},
        [update({"lines[0]": Remove()}), update({"lines[0]": 9})],
    ),
    "two removed elements": (
        {"lines": [1, 2, 3]},
        [update({"lines[0]": Remove()}), update({"lines[0]": Remove()})],
    ),
    "a removed element, then the next one": (
        {"lines": [1, 2, 3]},
        [update({"lines[0]": Remove()}), update({"lines[1]": 9})],
    ),
    "one update with a removed element and another one": (
        {"lines": [1, 2, 3]},
        [update({"lines[0]": Remove(), "lines[1]": 9})],
    ),
    "a member, then IfMissing of it": (
        {},
        [save(lambda page: page.data.update(x={"k": 1})), update({"data.x": IfMissing({"z": 1})})],
    ),
    "a part, then IfMissing around it": (
        {"data": {"a": {"x": 1}}},
        [update({"data.a.x": 8}), update({"data.a": IfMissing({})})],
    ),
    "a large sum": (
        {"data": {"n": 1}},
        [update({"data.n": Increment(10**30)}), update({"data.n": Increment(1)})],
    ),
    "an empty map, then a member of it": (
        {},
        [save(lambda page: page.data.update(x={})), save(lambda page: page.data["x"].update(y=1))],
    ),
    "None, then Increment": ({}, [update({"data.x": None}), update({"data.x": Increment(3)})]),
    "a removed part, then a removed part of it": (
        {"data": {"a": {"l": 1}}},
        [update({"data.a": Remove()}), update({"data.a.l": Remove()})],
    ),
    "a part of a new map, then its removal": (
        {"data": {"z": 1}},
        [update({"data.d.e": 1}), update({"data.d.e": Remove()})],
    ),
    "a removed counter, then an increment": (
        {},
        [update({"credit": Remove()}), lambda key: Page.increment(key, credit=1)],
    ),
    "an increment, then IfMissing": (
        {},
        [lambda key: Page.increment(key, visits=1), update({"visits": IfMissing(4)})],
    ),
    "a new member of a set, then IfMissing": (
        {},
        [update({"tags": AddMembers({"a"})}), update({"tags": IfMissing({"b"})})],
    ),
}

POSITIONS: dict[str, tuple[dict[str, Any], list[Step]]] = {
    "elements beyond the end": (
        {"lines": [1, 2, 3]},
        [update({"lines[7]": 7}), update({"lines[5]": 5})],
    ),
    "one update with two removed elements": (
        {"data": {"lines": [1, 2, 3]}},
        [update({"data.lines[0]": Remove(), "data.lines[1]": Remove()})],
    ),
    "one update beyond the end twice": ({"lines": [1]}, [update({"lines[7]": 7, "lines[5]": 5})]),
}
"""Sequences that dynoxide answers otherwise than DynamoDB: it removes and sets one position after the other."""


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_transaction_leaves_what_single_writes_leave(table: Manager, name: str) -> None:
    """In DynamoDB and in memory."""
    _require_same(*SEQUENCES[name])


@pytest.mark.parametrize("name", POSITIONS)
def test_positions_of_one_update_are_those_before_it(table_name: str, name: str) -> None:
    """In the embedded engine and in memory."""
    with init_models(models=[Page], table_name=table_name, embedded=True) as manager:
        manager.create_table()
        _require_same(*POSITIONS[name])


def _require_same(values: dict[str, Any], steps: list[Step]) -> None:
    for key in ("one", "other"):
        Page.create(page_id=key, **values)
    for step in steps:
        with run_with_batch_context():
            step("one")
    with run_with_batch_context():
        with transaction():
            for step in steps:
                step("other")
        shown = fields_of(Page.find("other"))
    assert fields_of(Page.find("other")) == fields_of(Page.find("one"))
    assert shown == fields_of(Page.find("one"))


def test_what_cannot_be_added_names_model_key_and_part(table: Manager) -> None:
    Page.create(page_id="k")
    with pytest.raises(DataFormatError, match=r"Page 'k': a part of data .* x is stored as M") as caught:  # noqa: SIM117
        with transaction():
            Page.update("k", {"data.x": {"a": 1}})
            Page.update("k", {"data.x": Increment(3)})
    assert (caught.value.model, caught.value.key, caught.value.field) == ("Page", "k", "data")
    Page.update("k", {"data.x": {"a": 1}})
    with pytest.raises(DataFormatError, match=r"Page 'k': a part of data .* x is stored as M") as caught:  # noqa: SIM117
        with transaction():
            Page.update("k", {"data.x": Increment(3)})
    assert (caught.value.model, caught.value.key, caught.value.field) == ("Page", "k", "data")


@pytest.mark.parametrize(
    "steps",
    [
        [update({"visits": IfMissing(4)}), lambda key: Page.increment(key, visits=1)],
        [update({"tags": IfMissing({"a"})}), update({"tags": AddMembers({"b"})})],
        [update({"tags": DropMembers({"a"})}), update({"tags": IfMissing({"b"})})],
    ],
    ids=["increment", "new member", "dropped member"],
)
def test_what_only_the_stored_value_could_say_is_refused(table: Manager, steps: list[Step]) -> None:
    """A change that fills a missing value, and one that adds to it."""
    Page.create(page_id="k", visits=1, tags={"a"})
    with pytest.raises(QueryError, match=r"Page 'k': (visits|tags): IfMissing and .* two transactions"):  # noqa: SIM117
        with transaction():
            for step in steps:
                step("k")
    assert fields_of(Page.find("k"))[3:] == (1, 5, {"a"})


def test_what_others_write_meanwhile_is_not_overwritten(table: Manager) -> None:
    """A list that both changes need is set on condition that it is still the loaded one."""
    Page.create(page_id="k", lines=[1, 2, 3])
    with pytest.raises(ConditionalError), run_with_batch_context():  # noqa: SIM117
        with transaction():
            Page.update("k", {"lines[0]": Remove()})
            Page.update("k", {"lines[0]": 9})
            table.client.update_item(
                TableName=table.table_name,
                Key={"_pk": {"S": "pg#k"}, "_sk": {"S": "pg"}},
                UpdateExpression="SET #lines[2] = :v",
                ExpressionAttributeNames={"#lines": "lines"},
                ExpressionAttributeValues={":v": {"N": "7"}},
            )
    assert Page.find("k").lines == [1, 2, 7]


# --- new objects --------------------------------------------------------------------------------------------


def test_a_new_list_that_is_changed_in_place_and_saved_is_stored_once(table: Manager) -> None:
    with transaction():
        page = Page.create(page_id="k", lines=[1, 2])
        page.lines.append(3)
        page.save()
    assert Page.find("k").lines == page.lines == [1, 2, 3]


def test_a_block_that_fails_takes_back_what_it_changed_in_place(table: Manager) -> None:
    class Stop(Exception):
        pass

    with transaction():
        page = Page.create(page_id="k", lines=[1], data={"a": 1})
        with pytest.raises(Stop), transaction():
            page.lines.append(9)
            page.data["b"] = 2
            page.save()
            raise Stop
        assert (page.lines, page.data) == ([1], {"a": 1})
        page.text = "kept"
        page.save()
    assert fields_of(Page.find("k"))[:3] == ("kept", [1], {"a": 1})


def test_an_update_of_one_field_stores_no_unsaved_change_of_another(table: Manager) -> None:
    with run_with_batch_context():
        with transaction():
            page = Page.create(page_id="k", lines=[1])
            page.lines.append(2)
            Page.update("k", text="new")
        assert page.changes() == {"lines": [1, 2]}
        assert Page.find("k", bypass_cache=True).lines == [1]


def test_a_new_item_that_a_save_makes_too_large_is_refused(table: Manager) -> None:
    with pytest.raises(ValidationError, match="DynamoDB's limit is 409600"), transaction():
        page = Page.create(page_id="k")
        page.text = "x" * 500_000
        page.save()


# --- versions, and unique counters ----------------------------------------------------------------------------


@pytest.mark.parametrize("by_key", [True, False])
def test_a_versioned_item_can_be_changed_and_deleted_at_once(table: Manager, by_key: bool) -> None:
    """The delete assumes the stored version, and not the one that the block would have stored."""
    Draft.create(draft_id="k")
    with run_with_batch_context(), transaction():
        if by_key:
            Draft.update("k", text="new")
        else:
            draft = Draft.find("k")
            draft.visits += 1
            draft.save()
        Draft.find("k").delete()
    assert not Draft.find("k")


def test_a_unique_counter_can_be_incremented(table: Manager) -> None:
    """By key and by a save. The value is set, because its guard must be another one."""
    Seat.create(seat_id="a", number=1)
    Seat.increment("a", number=2)
    seat = Seat.find("a")
    seat.number += 4
    seat.save()
    assert Seat.unique_number.find(7) == seat
    assert Seat.unique_number.find(1) is Seat.unique_number.find(3) is None


# --- two objects of one item ----------------------------------------------------------------------------------


@pytest.mark.parametrize("atomic", [True, False])
def test_two_objects_of_one_item_are_both_written(table: Manager, atomic: bool) -> None:
    """Neither counts its addition again, and both are in the outcome."""
    detached = Page.create(page_id="k")
    with run_with_batch_context() as session:
        page = Page.find("k")
        page.visits += 1
        detached.visits += 1
        session.add(page, detached)
        session.commit(atomic=atomic)
        assert session.last_commit is not None
        assert session.last_commit.done == (page, detached)
        assert (page.visits, page.changes()) == (detached.visits, detached.changes()) == (2, {})
        page.save()
        detached.save()
    assert Page.find("k").visits == 2


def test_a_deleted_object_is_deleted_if_another_takes_its_place(table: Manager) -> None:
    detached = Seat.create(seat_id="k", guest="Ann")
    with run_with_batch_context() as session:
        session.delete(detached)
        session.add(Seat(seat_id="k", guest="Bob", number=2))
        session.commit()
        assert not detached
        assert Seat.find("k").guest == "Bob"


# --- atomic commits, and refused changes ------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2])
def test_a_refused_atomic_commit_is_the_error_of_its_change(table: Manager, count: int) -> None:
    """Also if it is of a single change, which needs no transaction."""
    for key in ("k", "j"):
        Draft.create(draft_id=key)
    with run_with_batch_context() as session:
        drafts = [Draft.find(key) for key in ("k", "j")][:count]
        assert all(drafts)
        with run_with_batch_context():
            Draft.update("k", text="other")
        for draft in drafts:
            draft.text = "mine"
        session.add(*drafts)
        with pytest.raises(VersionConflictError, match="the stored version is newer") as caught:
            session.commit(atomic=True)
        assert isinstance(caught.value, TransactionError)
        assert caught.value.objects == tuple(drafts)
        session.rollback()


def test_a_change_that_was_refused_at_its_call_is_not_part_of_the_block(table: Manager) -> None:
    Page.create(page_id="k", data={"a": "text"})
    with transaction():
        with pytest.raises(DataFormatError):
            Page.update("k", {"data.a.b": 1})
        Page.create(page_id="j")
    assert Page.find("j")


def test_a_new_object_is_found_under_its_last_key_only(table: Manager) -> None:
    """Another item may have the key that it had when it was added."""
    with run_with_batch_context() as session:
        page = Page(page_id="first", text="mine")
        session.add(page)
        page.page_id = "second"
        session.commit()
        with run_with_batch_context():
            Page.create(page_id="first", text="another's")
        assert Page.find("first").text == "another's"
        assert Page.find("second") is page
