"""Rules 22 to 33: writes, units of work and transactions."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from dynamo_bao import (
    AddMembers,
    BatchContextError,
    BatchContextRequiredError,
    CommitError,
    ConditionalError,
    CounterField,
    DataFormatError,
    Index,
    ItemNotFoundError,
    Manager,
    Model,
    NestedField,
    PrimaryKey,
    StringField,
    StringSetField,
    TransactionError,
    TransactionTooLargeError,
    TtlField,
    UlidField,
    UncommittedChangesError,
    UniqueConstraint,
    UniqueConstraintError,
    ValidationError,
    VersionConflictError,
    VersionField,
    WriteOutcomeUnknownError,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.testing import FaultInjectingTransport, embedded_transport, lost_reply
from tests.support.clocks import FakeTime
from tests.support.one_table import Raw
from tests.support.wire import Wire


class Item(Model, prefix="wi", name="SemItem"):
    item_id: str = StringField()
    name: str = StringField(default="-")
    status: str | None = StringField(default=None)
    rank: str | None = StringField(default=None)
    data: dict[str, Any] | None = None
    tags: set[str] = StringSetField()
    views: int = CounterField(default=10)
    exact: int = CounterField(exact=True)

    primary_key = PrimaryKey("item_id")
    by_status = Index("status", "rank", id="gsi1")


class Account(Model, prefix="wa", name="SemAccount"):
    account_id: str = StringField()
    email: str | None = StringField(default=None)
    ttl: Any = TtlField(default=None)

    primary_key = PrimaryKey("account_id")
    unique_email = UniqueConstraint("email", id="uc1")


class Page(Model, prefix="wp", name="SemPage"):
    path: str = StringField()
    text: str = StringField(default="")
    hits: int = CounterField()
    version: str = VersionField()

    primary_key = PrimaryKey("path")


class Event(Model, prefix="we", name="SemEvent"):
    event_id: str = UlidField(auto_assign=True)
    text: str = StringField(default="")
    status: str | None = StringField(default=None)

    primary_key = PrimaryKey("event_id")
    by_status = Index("status", "event_id", id="gsi1")


MODELS = [Item, Account, Page, Event]


class Stop(Exception):
    """What a block is left with."""


@pytest.fixture
def item(manager: Manager) -> Item:
    return Item.create(item_id="a", name="one", tags={"x"})


@pytest.mark.rule(22)
def test_writes_need_the_item(item: Item, raw: Raw) -> None:
    """Save, update, delete and increment of a missing item fail; create and upsert make items; keys stay."""
    Item.delete("a")
    item.name = "two"
    for write in (
        item.save,
        item.delete,
        lambda: Item.update("a", name="x"),
        lambda: Item.delete("a"),
        lambda: Item.increment("a", views=1),
    ):
        with pytest.raises(ItemNotFoundError):
            write()
    assert raw("wi#a") == {}
    with run_with_batch_context():
        for model in (Item, Account):
            assert not model.find("other")
            with pytest.raises(ItemNotFoundError):
                model.delete("other")
            with run_with_batch_context():
                model.create({model.__bao_schema__.key_names[0]: "other"})
            assert model.find("other").exists()  # what was said to be missing is asked for again
    assert Item.upsert(item_id="a", name="three").name == "three"
    with pytest.raises(ConditionalError):
        Item.create(item_id="a")
    stored = Item.find("a")
    with pytest.raises(ValidationError):
        stored.item_id = "b"
    assert Item.from_dict({"item_id": "c"}).save().exists()


@pytest.mark.rule(23)
def test_what_changed(item: Item, wire: Wire, raw: Raw) -> None:
    """Members are added or taken out; both, or an assigned set, are sent as a whole; nothing changed sends nothing."""
    found = Item.find("a")
    found.name = "one"
    wire.clear()
    found.save()
    assert len(wire) == 0
    expressions = []
    for change in ("add", "discard", "both", "assign", "assign more"):
        if change == "add":
            found.tags.add("y")
        elif change == "discard":
            found.tags.discard("x")
        elif change == "both":
            found.tags ^= {"y", "z"}
        elif change == "assign more":
            found.tags = {*found.tags, "q"}
        else:
            found.tags = {"p"}
        wire.clear()
        found.save()
        expressions.append(wire.sent[0][1]["UpdateExpression"].split()[0])
    assert expressions == ["ADD", "DELETE", "SET", "SET", "SET"]
    found.data = {"a": {"b": 1}}
    found.save()
    found.data["a"]["b"] = 2
    found.save()
    assert raw("wi#a")["data"] == {"M": {"a": {"M": {"b": {"N": "2"}}}}}
    wire.clear()
    found.save(force_reindex=True)
    found.save(condition={"name": "one"})
    assert len(wire) == 2


@pytest.mark.rule(23)
def test_local_changes_stay_changes(item: Item) -> None:
    """Where another field of the object is written meanwhile, with what others have stored: none of it is lost."""
    with run_with_batch_context():
        found = Item.find("a")
        assert found.tags == {"x"}
        found.tags.add("mine")
        found.rank = "mine"
        with run_with_batch_context():
            Item.update("a", {"tags": AddMembers("theirs")}, status="theirs")
        Item.update("a", name="two")
        assert (found.name, found.status, found.tags, found.rank) == ("two", "theirs", {"x", "mine"}, "mine")
        assert found.has_changes()
        found.save()
    stored = Item.find("a")
    assert (stored.tags, stored.rank, stored.name) == ({"x", "mine", "theirs"}, "mine", "two")


@attrs.define(eq=False, slots=False)
class Part:
    """An object of a class that says nothing of equality."""

    size: int = 0


@pytest.mark.rule(23)
def test_objects_that_are_stored_as_they_were_stay_the_same() -> None:
    """A program that holds a part of an instance still holds it after a save that brings the item."""

    class Whole(Model, prefix="ww"):
        whole_id: str = StringField()
        part: Part | None = NestedField(Part, default=None)
        views: int = CounterField()
        primary_key = PrimaryKey("whole_id")

    with init_models(models=[Whole], embedded=True):
        Whole.create(whole_id="a", part=Part(1))
        with run_with_batch_context():
            whole = Whole.find("a")
            part = whole.part
            for size in (1, 2):
                with run_with_batch_context():
                    Whole.update("a", part=Part(size))
                whole.views += 1
                whole.save()
                assert whole.part is not None and whole.part.size == size
                assert (whole.part is part) == (size == 1)


@pytest.mark.rule(23)
def test_what_a_save_brings_may_be_unreadable(manager: Manager, item: Item) -> None:
    """The old value of a field is not shown for one that it cannot read."""
    with run_with_batch_context():
        found = Item.find("a")
        assert found.name == "one"
        manager.client.update_item(
            TableName=manager.table_name,
            Key={"_pk": {"S": "wi#a"}, "_sk": {"S": "wi"}},
            UpdateExpression="SET #n = :n",
            ExpressionAttributeNames={"#n": "name"},
            ExpressionAttributeValues={":n": {"N": "5"}},
        )
        found.views += 1
        found.save()
        assert found.views == 11
        with pytest.raises(DataFormatError, match="name"):
            found.name  # the look raises


@pytest.mark.rule(24)
def test_counters(item: Item) -> None:
    """Assigning is the delta to the last known value, from the default; create and update are absolute."""
    mine, other = Item.find("a"), Item.find("a")
    assert mine.views == other.views == 10
    mine.views += 2
    other.views += 3
    mine.save()
    other.save()
    assert (mine.views, other.views) == (12, 15)
    Item.update("a", views=0)
    with transaction():
        mine.views -= 1
        mine.save()
    assert Item.find("a").views == -1


@pytest.mark.rule(25)
def test_versions(manager: Manager) -> None:
    """save() and delete() check the version; class-level writes do with version=; counters renew it unchecked."""
    page = Page.create(path="/")
    old = Page.find("/")
    assert old.text == ""
    page.text = "new"
    page.save()
    old.text = "mine"
    writes: list[Any] = [
        old.save,
        old.delete,
        lambda: Page.update("/", text="x", version=old.version),
        lambda: Page.delete("/", version=old.version),
    ]
    for write in writes:
        with pytest.raises(VersionConflictError):
            write()
    assert Page.update("/", text="checked", version=page.version).version != page.version
    Page.update("/", text="unchecked")
    old.refresh()
    before = old.version
    Page.increment("/", hits=1)
    old.hits += 1
    old.save()
    assert (old.hits, old.version == before) == (2, False)


@pytest.mark.rule(26)
def test_index_keys(item: Item, raw: Raw) -> None:
    """Each half follows its field, on condition of the other; a part that becomes None removes both."""
    stale = Item.find("a")
    assert stale.status is None
    Item.update("a", status="on")
    stale.rank = "1"
    stale.save()
    keys = {name: value["S"] for name, value in raw("wi#a").items() if name.startswith("_gsi1")}
    assert keys == {"_gsi1_pk": "wi#gsi1#on", "_gsi1_sk": "1"}
    Item.update("a", rank="2")
    assert raw("wi#a")["_gsi1_sk"] == {"S": "2"}
    assert [one.item_id for one in Item.by_status.query("on")] == ["a"]
    Item.update("a", rank=None)
    assert not any(name.startswith("_gsi1") for name in raw("wi#a"))


@pytest.mark.rule(27)
def test_unique_values(manager: Manager, raw: Raw) -> None:
    """A stale plan is made anew; a dead owner's value is taken over; a missing guard does not stop a delete."""
    guard = "_raft_uc#_uc1#wa#email:{}".format
    Account.create(account_id="a", email="x")
    stale = Account.find("a")
    assert stale.email == "x"
    Account.update("a", email="y")
    stale.email = "z"
    stale.save()
    assert [bool(raw(guard(value))) for value in "xyz"] == [False, False, True]
    key = {"_pk": {"S": "wa#a"}, "_sk": {"S": "wa"}}
    manager.client.delete_item(TableName=manager.table_name, Key=key)
    assert Account.create(account_id="b", email="z").email == "z"
    manager.client.delete_item(
        TableName=manager.table_name, Key={"_pk": {"S": guard("z")}, "_sk": {"S": "_raft_uc"}}
    )
    Account.find("b").save(force_reindex=True)
    with pytest.raises(UniqueConstraintError):
        Account.create(account_id="c", email="z")
    manager.client.delete_item(
        TableName=manager.table_name, Key={"_pk": {"S": guard("z")}, "_sk": {"S": "_raft_uc"}}
    )
    Account.delete("b")


@pytest.mark.parametrize(("before", "theirs"), [("x", "y"), ("x", None), (None, "y")])
@pytest.mark.rule(27)
def test_the_value_that_is_there_already(
    manager: Manager, raw: Raw, before: str | None, theirs: str | None
) -> None:
    """An update that gives it again is refused its plan too where somebody else changed it meanwhile."""
    Account.create(account_id="a", email=before)
    events = manager.client.meta.events

    def meanwhile(request: Any, **_: object) -> None:
        if "UpdateItem" in str(request.headers["X-Amz-Target"]):
            events.unregister("before-send.dynamodb", meanwhile)
            Account.update("a", email=theirs)

    events.register_first("before-send.dynamodb", meanwhile)
    try:
        assert Account.update("a", email=before).email == before
    finally:
        events.unregister("before-send.dynamodb", meanwhile)
    guards = [value for value in "xy" if raw(f"_raft_uc#_uc1#wa#email:{value}")]
    assert guards == ([before] if before else [])


@pytest.fixture
def faulty() -> Iterator[FaultInjectingTransport]:
    transport = FaultInjectingTransport(embedded_transport().wire, clock=FakeTime().clock)
    with init_models(models=MODELS, transport=transport) as manager:
        manager.create_table()
        yield transport


@pytest.mark.rule(28)
def test_lost_replies(faulty: FaultInjectingTransport) -> None:
    """A conditional write is repeated and recognised; a counter of unknown outcome says so until refresh()."""
    faulty.inject([lost_reply()])
    item = Item.create(item_id="a")
    faulty.inject([lost_reply()])
    item.name = "two"
    item.save()
    item.views += 1
    faulty.inject([lost_reply()])
    with pytest.raises(WriteOutcomeUnknownError):
        item.save()
    with pytest.raises(WriteOutcomeUnknownError):
        item.save()
    assert item.refresh().views == 11
    item.exact += 1
    item.save()
    assert Item.find("a").exact == 1


@pytest.mark.rule(29)
def test_commit_takes_the_cheapest_correct_way(manager: Manager, wire: Wire) -> None:
    """BatchWriteItem for own keys, conditional writes for the rest, blind puts where asked; all checked first."""
    Item.create(item_id="old")
    with run_with_batch_context() as session:
        old = Item.find("old")
        old.name = "new"
        session.add(old, *(Event() for _ in range(3)), Item(item_id="mine"))
        session.add(Item(item_id="blind"), overwrite=True)
        wire.clear()
        session.commit()
        assert sorted(wire.operations) == ["BatchWriteItem", "PutItem", "UpdateItem"]
        bodies = dict(wire.sent)
        assert len(next(iter(bodies["BatchWriteItem"]["RequestItems"].values()))) == 4
        assert bodies["PutItem"]["ConditionExpression"].startswith("NOT (attribute_exists(")
        with pytest.raises(ValidationError):
            session.add(Account(account_id="a", email="x"), overwrite=True)
        bad = Event()
        session.add(Event(), bad)
        bad.__dict__["text"] = 7
        wire.clear()
        with pytest.raises(ValidationError):
            session.commit()
        assert len(wire) == 0
        session.rollback()


@pytest.mark.rule(30)
def test_one_action_per_item(manager: Manager, wire: Wire) -> None:
    """Create then delete is nothing; a freed and taken guard is one put; two claims fail before sending."""
    Account.create(account_id="a", email="x")
    with run_with_batch_context() as session:
        new, account = Event(), Account.find("a")
        assert account.email == "x"
        session.add(new)
        session.delete(new)
        wire.clear()
        session.commit()
        assert len(wire) == 0
        session.delete(account)
        session.add(Account(account_id="b", email="x"))
        session.commit()
        ((operation, body),) = wire.sent
        assert (operation, len(body["TransactItems"])) == ("TransactWriteItems", 3)
        session.add(Account(account_id="c", email="y"), Account(account_id="d", email="y"))
        wire.clear()
        with pytest.raises(CommitError, match="email"):
            session.commit()
        assert len(wire) == 0
        session.rollback()


@pytest.mark.rule(31)
def test_uncommitted_work(manager: Manager, wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """It is an error at the block's end, and logged beside another one; rollback() says that it is meant."""
    with pytest.raises(UncommittedChangesError), run_with_batch_context() as session:
        session.add(Event())
    with (
        caplog.at_level(logging.WARNING, "dynamo_bao"),
        pytest.raises(Stop),
        run_with_batch_context() as session,
    ):
        session.add(Event())
        raise Stop
    assert "never committed" in caplog.text
    assert len(wire) == 0
    kept = Event.create(text="kept")
    with run_with_batch_context() as session:
        new = Event()
        session.add(new)
        assert Event.find(new.event_id) is new
        event = Event.find(kept.event_id)
        session.delete(event)
        assert event.exists()
        session.rollback()
    assert Event.find(kept.event_id).exists() and not Event.find(new.event_id)


@pytest.mark.rule(32)
def test_transactions(item: Item) -> None:
    """Values are captured at save(); a failed block leaves objects as stored; inner blocks join."""
    with run_with_batch_context() as session:
        found = Item.find("a")
        with transaction():
            found.name = "two"
            found.save()
            found.name = "three"
            with pytest.raises(BatchContextError):
                session.commit()
        assert Item.find("a", bypass_cache=True).name == "two"
        with pytest.raises(Stop), transaction():
            made = Event.create(text="new")
            found.save()
            Item.delete("a")
            raise Stop
        assert found.exists() and found.name == "two"
        assert made.text == "new" and not Event.find(made.event_id)
        with transaction() as tx:
            Event.create(text="outer")
            with pytest.raises(Stop), transaction():
                inner = Event.create(text="inner")
                raise Stop
            tx.require(found, condition={"name": "two"})
        assert not Event.find(inner.event_id)
        with pytest.raises(TransactionError), transaction() as tx:
            Event.create(text="never")
            tx.require(found, condition={"name": "else"})
        with pytest.raises(TransactionTooLargeError), transaction():
            for _ in range(101):
                Event.create()


@pytest.mark.rule(29)
def test_queries_after_a_commit_see_it(manager: Manager, wire: Wire) -> None:
    """Also one of nothing but new objects."""
    with run_with_batch_context() as session:
        for number in range(2):
            assert len(Event.by_status.query("on")) == number
            session.add(Event(status="on"))
            wire.clear()
            session.commit()
            assert wire.operations == ["BatchWriteItem"]
            assert len(Event.by_status.query("on")) == number + 1


@pytest.mark.rule(29)
def test_queries_of_outer_sessions_see_a_write(item: Item) -> None:
    """What they have fetched of its partitions is asked for again, whichever session writes."""
    for number in range(3):
        with run_with_batch_context():
            before = [row.item_id for row in Item.by_status.query("on")]
            with run_with_batch_context():
                assert [row.item_id for row in Item.by_status.query("on")] == before
                Item.create(item_id=f"{number}", status="on", rank=f"{number}")
                assert len(Item.by_status.query("on")) == number + 1
            assert len(Item.by_status.query("on")) == number + 1


@pytest.mark.rule(22)
def test_a_deleted_object_shows_what_was_stored(manager: Manager) -> None:
    """As far as the deletion brought it, also where the object was not loaded before."""
    Account.create(account_id="a", email="a@x")
    with run_with_batch_context():
        found = Account.find("a")
        found.delete()
        assert found.email == "a@x"
        assert not found.exists()


@pytest.mark.rule(32)
def test_local_changes_of_other_fields_stay(item: Item) -> None:
    """They are no part of an update by key, and are there after it."""
    with run_with_batch_context():
        found = Item.find("a")
        assert found.tags == {"x"}
        found.tags.add("mine")
        found.rank = "mine"
        with transaction():
            Item.update("a", name="two")
            assert (found.name, found.rank, found.tags) == ("two", "mine", {"x", "mine"})
        assert (found.name, found.rank, found.tags) == ("two", "mine", {"x", "mine"})
        found.save()
    stored = Item.find("a")
    assert (stored.name, stored.rank, stored.tags) == ("two", "mine", {"x", "mine"})


@pytest.mark.rule(32)
def test_queries_after_a_transaction_see_it(item: Item) -> None:
    """What the session has fetched of the partitions that it touched is asked for again."""
    with run_with_batch_context():
        assert list(Item.by_status.query("on")) == []
        with transaction():
            Item.create(item_id="b", status="on", rank="1")
            Item.update("a", status="on", rank="2")
            assert list(Item.by_status.query("on")) == []  # as nothing is written yet
        assert [row.item_id for row in Item.by_status.query("on")] == ["b", "a"]
        with transaction():
            Item.delete("b")
        assert [row.item_id for row in Item.by_status.query("on")] == ["a"]


@pytest.mark.rule(32)
def test_a_strict_manager_refuses_outside(strict: Manager) -> None:
    """Outside a session a transaction opens its own, except in strict mode."""
    with pytest.raises(BatchContextRequiredError), transaction():
        pass


@pytest.mark.rule(33)
def test_hooks_and_upsert(item: Item) -> None:
    """after_save runs after the write and cannot hide it; upsert merges, with defaults only where absent."""
    seen: list[bool] = []

    class Plugin:
        def after_save(self, instance: Any, options: Any) -> None:
            seen.append(Item.find("a", bypass_cache=True).name == "two")
            raise Stop

    plugins = Item.__dict__.get("__bao_plugins__", ())
    Item.register_plugin(Plugin())
    try:
        item.name = "two"
        with pytest.raises(Stop):
            item.save()
    finally:
        Item.__bao_plugins__ = plugins
    assert seen == [True]
    assert Item.find("a").name == "two"
    merged = Item.upsert(item_id="a", status="on")
    assert (merged.name, merged.status, merged.views) == ("two", "on", 10)
    assert Item.upsert(item_id="new").views == 10


def test_writes_leave_nothing_to_the_garbage_collector(manager: Manager) -> None:
    """What a write or a context has made is freed at its end. In cycles, all of its items would stay for a while."""

    def write() -> None:
        with run_with_batch_context() as session:
            item = Item.create(item_id="freed")
            item.name = "new"
            item.save()
            Item.update("freed", name="newer")
            Item.increment("freed", views=1)
            with transaction():
                item.name = "newest"
                item.save()
                Account.create(account_id="freed", email="freed@example.com")
            item.rank = "1"
            session.add(item)
            session.delete(Account.find("freed"))
            session.commit()
            item.delete()

    write()
    while gc.collect():  # more than once, as Python 3.14 may leave a part of what earlier tests have made
        pass
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        write()
        gc.collect()
        kinds = {type(garbage) for garbage in gc.garbage}
        assert {kind.__name__ for kind in kinds if kind.__module__.startswith("dynamo_bao")} == set()
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
