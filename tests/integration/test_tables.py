"""Creating, updating and deleting the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import evolve

from dynamo_bao import (
    ConfigurationError,
    Manager,
    Model,
    PrimaryKey,
    ServiceError,
    StringField,
    TtlField,
    UniqueConstraint,
    init_models,
)
from dynamo_bao.dynamodb.table_admin import TableUpdate, describe_table, describe_ttl
from dynamo_bao.dynamodb.table_definition import described_indexes, table_definition
from dynamo_bao.dynamodb.transport.messages import Reply, Request, Transport
from dynamo_bao.errors import WriteOutcomeUnknownError
from dynamo_bao.testing import Clock
from tests.support import models
from tests.support.clocks import FakeTime


class Note(Model, prefix="nt", iterable=True, searchable=["text"]):
    note_id: str = StringField()
    text: str = StringField()
    ttl: Any = TtlField(default=None)

    primary_key = PrimaryKey("note_id")
    unique_text = UniqueConstraint("text", id="uc1")


EVERY = ("gsi1", "gsi2", "gsi3", "gsi4", "gsi5", "iter_index", "iter_search_index")
PRIMARY = [{"AttributeName": name, "AttributeType": "S"} for name in ("_pk", "_sk")]
Answer = Callable[[Request], Reply]


class Hand(Transport):
    """Lets a test take requests of one operation into its hand before they reach the engine; its time is free."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.time = FakeTime()
        self.sent: list[Request] = []
        self.takes: dict[str, Callable[[Request, Answer], Reply]] = {}

    @property
    def clock(self) -> Clock:
        return self.time.clock

    def send(self, request: Request, *, deadline: float) -> Reply:
        self.sent.append(request)

        def through(request: Request) -> Reply:
            return self.inner.send(request, deadline=self.inner.clock.now() + 10)

        take = self.takes.get(request.operation)
        return through(request) if take is None else take(request, through)

    def count(self, operation: str) -> int:
        return sum(request.operation == operation for request in self.sent)

    def close(self) -> None:
        pass


def made_with(manager: Manager, *indexes: str, **changes: Any) -> None:
    """Puts a table with only some of the indexes, and without TTL, where the manager's was."""
    manager.delete_table()
    definition = table_definition(manager.table_name, search=True)
    kept = [index for index in definition["GlobalSecondaryIndexes"] if index["IndexName"] in indexes]
    keys = [key["AttributeName"] for index in kept for key in index["KeySchema"]] + ["_pk", "_sk"]
    definition["AttributeDefinitions"] = [
        {"AttributeName": name, "AttributeType": "S"} for name in sorted(set(keys))
    ]
    del definition["GlobalSecondaryIndexes"]
    if kept:
        definition["GlobalSecondaryIndexes"] = kept
    manager.client.create_table(**{**definition, **changes})


@pytest.fixture
def on_engine(connection: dict[str, Any], table_name: str) -> Iterator[Manager]:
    """A model that needs every index there is, connected to a table on the engine."""
    with init_models(models=[Note], table_name=table_name, **connection) as manager:
        manager.create_table()
        yield manager


@pytest.fixture
def notes(table_name: str) -> Iterator[Manager]:
    """The same on the embedded engine, for what is quick there and takes others their time."""
    with init_models(models=[Note], table_name=table_name, embedded=True) as manager:
        yield manager


@pytest.fixture
def hand(table_name: str) -> Iterator[tuple[Manager, Hand]]:
    """The same on the embedded engine, with its requests at hand; its table has one index and no TTL."""
    with init_models(models=[Note], table_name=table_name, embedded=True) as below:
        made_with(below, "gsi1")
        hand = Hand(below.database.transport)
        with init_models(models=[Note], table_name=table_name, transport=hand) as manager:
            yield manager, hand


def indexes_of(manager: Manager) -> list[str]:
    table = describe_table(manager.database)
    assert table is not None
    return sorted(described_indexes(table))


@pytest.mark.needs("adding_indexes")
def test_an_update_adds_what_is_missing_and_enables_ttl(on_engine: Manager) -> None:
    """Every missing index is added, one by one, and is ACTIVE and filled afterwards; TTL is on."""
    made_with(on_engine, *EVERY[:4])
    Note.create(note_id="a", text="hello world")
    missing = EVERY[4:]
    wanted = TableUpdate(on_engine.table_name, missing, True)
    assert on_engine.pending_update() == wanted
    assert indexes_of(on_engine) == list(EVERY[:4])
    steps: list[str] = []
    assert on_engine.update_table(on_step=steps.append) == wanted
    assert indexes_of(on_engine) == sorted(EVERY)
    assert describe_ttl(on_engine.database)["AttributeName"] == "ttl"
    assert [note.note_id for batch in Note.iterate_all() for note in batch] == ["a"]
    assert [note.note_id for note in Note.search_all(["world"]).items] == ["a"]
    assert [step for step in steps if not step.startswith("waiting")] == [
        f"looking at table {on_engine.table_name}",
        *(f"adding index {name} ({number} of 3)" for number, name in enumerate(missing, 1)),
        "enabling TTL",
    ]
    assert on_engine.update_table() == TableUpdate(on_engine.table_name)


def test_an_update_of_a_whole_table_changes_nothing(notes: Manager) -> None:
    """Running it again is safe, and says that nothing was to be done."""
    notes.update_table()
    assert notes.update_table() == TableUpdate(notes.table_name)
    assert notes.pending_update() == TableUpdate(notes.table_name)


def test_a_table_without_any_index_is_brought_up_to_date(notes: Manager) -> None:
    """A table made by other means gets everything, the search index only if a model searches."""
    made_with(notes)
    with init_models(
        models=models.ALL, table_name=notes.table_name, transport=notes.database.transport
    ) as others:
        assert others.update_table().indexes == EVERY[:-1]
    assert notes.update_table().indexes == ("iter_search_index",)


def test_a_missing_table_is_told(notes: Manager) -> None:
    """Updating it names the mend; deleting it says that there was none."""
    assert notes.delete_table() is True
    assert notes.delete_table() is False
    for act in (notes.update_table, notes.pending_update):
        with pytest.raises(ConfigurationError, match=r"does not exist.*bao create-table"):
            act()
    assert notes.create_table() is True


def test_a_table_of_others_is_refused(notes: Manager) -> None:
    """A table with other keys is not touched."""
    key = [{"AttributeName": "id", "KeyType": "HASH"}]
    attributes = [{"AttributeName": "id", "AttributeType": "S"}]
    made_with(notes, KeySchema=key, AttributeDefinitions=attributes)
    with pytest.raises(ConfigurationError, match="the key id instead of _pk and _sk"):
        notes.update_table()
    table = describe_table(notes.database)
    assert table is not None
    assert "GlobalSecondaryIndexes" not in table or not table["GlobalSecondaryIndexes"]


def test_an_index_that_cannot_be_mended_is_told_after_the_rest_is_done(notes: Manager) -> None:
    """An index with too little in it stays as it is, is named with its mend, and keeps nothing else back."""
    narrow = table_definition("t")["GlobalSecondaryIndexes"][0]
    narrow["Projection"] = {"ProjectionType": "KEYS_ONLY"}
    made_with(notes, "gsi1", GlobalSecondaryIndexes=[narrow])
    done = notes.update_table()
    assert done.indexes == EVERY[1:]
    assert done.ttl
    (fault,) = done.faults
    assert "Index gsi1 of table" in fault
    assert "holds keys only instead of whole items; delete the index" in fault
    assert notes.pending_update().faults == done.faults


def test_an_index_with_other_keys_is_told(notes: Manager) -> None:
    """Queries on it would find nothing."""
    index = table_definition("t")["GlobalSecondaryIndexes"][0]
    index["KeySchema"] = [{"AttributeName": "_sk", "KeyType": "HASH"}]
    made_with(notes, GlobalSecondaryIndexes=[index], AttributeDefinitions=PRIMARY)
    assert "has the keys _sk instead of _gsi1_pk and _gsi1_sk" in notes.update_table().faults[0]


def test_an_index_of_a_provisioned_table_gets_the_units_of_the_table(hand: tuple[Manager, Hand]) -> None:
    """DynamoDB refuses an index without them."""
    manager, transport = hand
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 7}

    def describe(request: Request, through: Answer) -> Reply:
        reply = through(request)
        reply.body["Table"]["ProvisionedThroughput"] = dict(units)
        return reply

    transport.takes["DescribeTable"] = describe
    assert manager.update_table().indexes == EVERY[1:]
    (update, *_) = [request for request in transport.sent if request.operation == "UpdateTable"]
    created: Any = update.written["GlobalSecondaryIndexUpdates"]
    assert created[0]["Create"]["ProvisionedThroughput"] == units


def test_a_ttl_on_its_way_out_is_told(hand: tuple[Manager, Hand]) -> None:
    """It can be enabled again only after an hour."""
    manager, transport = hand

    def describe(request: Request, through: Answer) -> Reply:
        reply = through(request)
        reply.body["TimeToLiveDescription"]["TimeToLiveStatus"] = "DISABLING"
        return reply

    transport.takes["DescribeTimeToLive"] = describe
    done = manager.update_table()
    assert done.ttl is False
    assert done.faults == (
        f"The TTL of table {manager.table_name} is being disabled; run 'bao update-table' again in an hour.",
    )


def test_a_table_on_its_way_is_waited_for(hand: tuple[Manager, Hand]) -> None:
    """create_table() returns once it is ACTIVE, and delete_table() once it is gone."""
    manager, transport = hand
    manager.delete_table()
    last: list[Reply] = []
    looks = 0

    def describe(request: Request, through: Answer) -> Reply:
        nonlocal looks
        looks += 1
        if last and looks < 3:
            return last[0]
        reply = through(request)
        last[:] = [reply]
        if looks < 3:
            reply.body["Table"]["TableStatus"] = "CREATING"
        return reply

    transport.takes["DescribeTable"] = describe
    assert manager.create_table() is True
    assert looks == 3
    looks = 0
    assert manager.delete_table() is True
    assert looks == 3


def test_ttl_on_another_attribute_is_told_and_left(notes: Manager) -> None:
    """Somebody chose it; no second attribute can be enabled beside it."""
    made_with(notes)
    specification = {"Enabled": True, "AttributeName": "expires"}
    notes.client.update_time_to_live(TableName=notes.table_name, TimeToLiveSpecification=specification)
    done = notes.update_table()
    assert done.ttl is False
    assert "on the attribute expires instead of ttl" in done.faults[0]
    assert describe_ttl(notes.database)["AttributeName"] == "expires"


def test_an_index_on_its_way_is_waited_for(hand: tuple[Manager, Hand]) -> None:
    """The next index is asked for only once the one before is ACTIVE, however long that takes."""
    manager, transport = hand
    looks_left = 0

    def update(request: Request, through: Answer) -> Reply:
        nonlocal looks_left
        assert looks_left == 0, "asked for an index while another was CREATING"
        reply = through(request)
        looks_left = 20
        return reply

    def describe(request: Request, through: Answer) -> Reply:
        nonlocal looks_left
        reply = through(request)
        if looks_left:
            looks_left -= 1
            newest = reply.body["Table"]["GlobalSecondaryIndexes"][-1]
            newest.update(IndexStatus="CREATING", Backfilling=True)
        return reply

    transport.takes.update(UpdateTable=update, DescribeTable=describe)
    steps: list[str] = []
    assert manager.update_table(on_step=steps.append).indexes == EVERY[1:]
    assert steps.count("waiting: index gsi2 is CREATING") == 1
    assert max(transport.time.slept) == 5.0
    assert transport.time.slept[0] == 0.5


def test_an_interrupted_update_is_carried_on_by_the_next(hand: tuple[Manager, Hand]) -> None:
    """Ctrl-C loses nothing: the index that was asked for stays, and the next run adds the rest."""
    manager, transport = hand

    def interrupted(request: Request, through: Answer) -> Reply:
        through(request)
        raise KeyboardInterrupt

    transport.takes["UpdateTable"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        manager.update_table()
    transport.takes.clear()
    assert indexes_of(manager) == ["gsi1", "gsi2"]
    assert manager.update_table().indexes == EVERY[2:]


@pytest.mark.parametrize("arrived", [True, False])
def test_a_lost_reply_is_answered_by_looking(hand: tuple[Manager, Hand], arrived: bool) -> None:
    """Whether a request whose reply was lost was carried out shows on the table; it is never sent on suspicion."""
    manager, transport = hand

    def lost(request: Request, through: Answer) -> Reply:
        del transport.takes["UpdateTable"]
        if arrived:
            through(request)
        raise WriteOutcomeUnknownError("UpdateTable: the reply was lost")

    transport.takes["UpdateTable"] = lost
    if arrived:
        assert manager.update_table().indexes == EVERY[1:]
        assert transport.count("UpdateTable") == len(EVERY[1:])
        return
    with pytest.raises(ConfigurationError, match="gsi2 was requested and does not appear"):
        manager.update_table()
    assert transport.count("UpdateTable") == 1
    assert manager.update_table().indexes == EVERY[1:]


def test_a_description_older_than_the_request_is_looked_at_again(hand: tuple[Manager, Hand]) -> None:
    """DescribeTable may answer from before; the index is not asked for twice."""
    manager, transport = hand
    stale = 0

    def update(request: Request, through: Answer) -> Reply:
        nonlocal stale
        reply = through(request)
        stale = 3
        return reply

    def describe(request: Request, through: Answer) -> Reply:
        nonlocal stale
        reply = through(request)
        if stale:
            stale -= 1
            reply.body["Table"]["GlobalSecondaryIndexes"].pop()
        return reply

    transport.takes.update(UpdateTable=update, DescribeTable=describe)
    assert manager.update_table().indexes == EVERY[1:]
    assert transport.count("UpdateTable") == len(EVERY[1:])


def test_a_table_that_others_are_changing_is_waited_for(hand: tuple[Manager, Hand]) -> None:
    """Where DynamoDB is at its limit of changes, the update tries again, and an index of others counts as there."""
    manager, transport = hand
    refused: list[str] = []

    def refuse(request: Request, through: Answer) -> Reply:
        if len(refused) < 3:
            refused.append("once more")
            raise ServiceError("busy", code="LimitExceededException", operation="UpdateTable")
        if len(refused) == 3:
            refused.append("another process was first")
            through(request)
            raise ServiceError("exists", code="ValidationException", operation="UpdateTable")
        return through(request)

    transport.takes["UpdateTable"] = refuse
    assert manager.update_table().indexes == EVERY[2:]
    assert indexes_of(manager) == sorted(EVERY)


def test_a_table_that_stays_busy_is_given_up(hand: tuple[Manager, Hand]) -> None:
    """After many refusals the update says so, and what it would have added; other refusals are raised at once."""
    manager, transport = hand

    def refuse_with(code: str) -> Callable[[Request, Answer], Reply]:
        def refuse(request: Request, through: Answer) -> Reply:
            raise ServiceError(code, code=code, operation="UpdateTable")

        return refuse

    transport.takes["UpdateTable"] = refuse_with("LimitExceededException")
    with pytest.raises(ConfigurationError, match="busy each time index gsi2"):
        manager.update_table()
    transport.takes["UpdateTable"] = refuse_with("AccessDeniedException")
    transport.sent.clear()
    with pytest.raises(ServiceError, match="AccessDenied"):
        manager.update_table()
    assert transport.count("UpdateTable") == 1


def test_a_timeout_ends_the_waiting(hand: tuple[Manager, Hand]) -> None:
    """update_table(timeout=…) waits no longer than that, and says what it waited for."""
    manager, transport = hand

    def describe(request: Request, through: Answer) -> Reply:
        reply = through(request)
        return evolve(reply, body={"Table": {**reply.body["Table"], "TableStatus": "UPDATING"}})

    transport.takes["DescribeTable"] = describe
    with pytest.raises(ConfigurationError, match=r"did not become ACTIVE \(the table is UPDATING\) in time"):
        manager.update_table(timeout=60)
    assert 60 <= transport.time.now() <= 70


def test_two_processes_may_create_one_table(hand: tuple[Manager, Hand]) -> None:
    """The one that comes second waits for the table of the first, and made none itself."""
    manager, transport = hand
    manager.delete_table()

    def second(request: Request, through: Answer) -> Reply:
        through(request)
        return through(request)

    transport.takes["CreateTable"] = second
    assert manager.create_table() is False
    assert indexes_of(manager) == sorted(EVERY)


def test_ttl_that_others_enabled_meanwhile_is_fine(hand: tuple[Manager, Hand]) -> None:
    """DynamoDB refuses to enable it twice; it is on, and that was wanted."""
    manager, transport = hand

    def late(request: Request, through: Answer) -> Reply:
        through(request)
        raise ServiceError("is already enabled", code="ValidationException", operation="UpdateTimeToLive")

    transport.takes["UpdateTimeToLive"] = late
    assert manager.update_table().ttl is False

    def refused(request: Request, through: Answer) -> Reply:
        raise ServiceError("no", code="AccessDeniedException", operation="UpdateTimeToLive")

    manager.delete_table()
    transport.takes["UpdateTimeToLive"] = refused
    with pytest.raises(ServiceError, match="no"):
        manager.create_table()
