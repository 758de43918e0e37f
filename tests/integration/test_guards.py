"""Guards of unique values in every state that deletions, races and other programs leave them in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_bao import (
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UniqueConstraint,
    UniqueConstraintError,
    init_models,
    transaction,
)
from dynamo_bao.dynamodb.transport.error_mapping import TransactionCancelled
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.testing import FaultInjectingTransport, embedded_transport
from tests.support.clocks import FakeTime

Step = Callable[[], object]


class Holder(Model, prefix="gh"):
    holder_id: str
    email: str | None = StringField(default=None)
    badge: str | None = StringField(default=None)
    note: str = StringField(default="")

    primary_key = PrimaryKey("holder_id")
    unique_email = UniqueConstraint("email", id="uc1")
    unique_badge = UniqueConstraint("badge", id="uc2")


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def transport(time: FakeTime) -> FaultInjectingTransport:
    """Faults befall transactions only."""
    wire = embedded_transport().wire
    return FaultInjectingTransport(wire, operations={"TransactWriteItems"}, clock=time.clock)


@pytest.fixture
def manager(transport: FaultInjectingTransport) -> Iterator[Manager]:
    with init_models(models=[Holder], transport=transport, table_name="guards") as manager:
        manager.create_table()
        yield manager


@pytest.fixture
def table(manager: Manager) -> Any:
    """The table as another program has it."""
    return Table(manager)


class Table:
    """Reads and writes of another program, which knows nothing of guards."""

    def __init__(self, manager: Manager) -> None:
        self._client, self._name = manager.client, manager.table_name

    def remove(self, holder: str) -> None:
        self._delete(f"gh#{holder}", "gh")

    def put(self, holder: str, **values: str) -> None:
        item = {"_pk": {"S": f"gh#{holder}"}, "_sk": {"S": "gh"}, "holder_id": {"S": holder}}
        item.update((name, {"S": value}) for name, value in values.items())
        self._client.put_item(TableName=self._name, Item=item)

    def remove_guard(self, email: str) -> None:
        self._delete(f"_raft_uc#_uc1#gh#email:{email}", "_raft_uc")

    def give_guard(self, email: str, holder: str) -> None:
        self._client.update_item(
            TableName=self._name,
            Key={"_pk": {"S": f"_raft_uc#_uc1#gh#email:{email}"}, "_sk": {"S": "_raft_uc"}},
            UpdateExpression="SET relatedId = :id, relatedModel = :model",
            ExpressionAttributeValues={":id": {"S": holder}, ":model": {"S": "Holder"}},
        )

    def guards(self) -> dict[str, str]:
        """The owner of each guarded value."""
        items = self._client.scan(TableName=self._name, ConsistentRead=True)["Items"]
        guards = [item for item in items if item["_sk"]["S"] == "_raft_uc"]
        return {item["_pk"]["S"].rpartition(":")[2]: item["relatedId"]["S"] for item in guards}

    def _delete(self, pk: str, sk: str) -> None:
        self._client.delete_item(TableName=self._name, Key={"_pk": {"S": pk}, "_sk": {"S": sk}})


def before(step: Step) -> Any:
    """Another program does something right before a transaction arrives."""

    def fault(request: Request, send: Any, chance: Any) -> Any:
        step()
        return send(request)

    return fault


@pytest.fixture
def dead(table: Table) -> str:
    """An owner that was deleted by a program that left its guards."""
    Holder.create(holder_id="dead", email="a", badge="1")
    table.remove("dead")
    return "dead"


# --- values of owners that are gone ----------------------------------------------------------------------


def test_all_values_of_one_dead_owner_are_taken_over(dead: str, table: Table) -> None:
    """Both of them in one transaction, by a create and by a save."""
    heir = Holder.create(holder_id="heir", email="a", badge="1")
    assert table.guards() == {"a": "heir", "1": "heir"}
    table.remove("heir")
    other = Holder.create(holder_id="other")
    other.email, other.badge = "a", "1"
    other.save()
    assert table.guards() == {"a": "other", "1": "other"}
    assert heir.holder_id == "heir"


def test_a_value_that_its_owner_has_no_more_is_taken_over(
    table: Table, transport: FaultInjectingTransport
) -> None:
    """A program changed the owner's values and left the guards; one that is changed back meanwhile is refused."""
    Holder.create(holder_id="owner", email="a", badge="1")
    table.put("owner", email="b", badge="2")
    Holder.create(holder_id="heir", email="a", badge="1")
    assert table.guards() == {"a": "heir", "1": "heir"}
    Holder.create(holder_id="third", email="c")
    table.put("third", email="d")
    transport.inject([None, before(lambda: table.put("third", email="c"))])
    with pytest.raises(UniqueConstraintError):
        Holder.update("heir", email="c")
    assert table.guards() == {"a": "heir", "1": "heir", "c": "third"}


def test_a_guard_that_vanishes_meanwhile_is_put_anew(
    dead: str, table: Table, transport: FaultInjectingTransport
) -> None:
    """The dead owner's guard is cleaned away just before it is taken over."""
    transport.inject([None, before(lambda: table.remove_guard("a"))])
    assert Holder.create(holder_id="heir", email="a").email == "a"
    assert table.guards() == {"a": "heir", "1": "dead"}


def test_an_owner_that_comes_back_keeps_its_value(
    dead: str, table: Table, transport: FaultInjectingTransport
) -> None:
    """It is there again just before the value is taken over: refused as taken, and nothing is written."""
    transport.inject([None, before(lambda: table.put("dead", email="a", badge="1"))])
    with pytest.raises(UniqueConstraintError) as caught:
        Holder.create(holder_id="heir", email="a")
    assert (caught.value.field, caught.value.value) == ("email", "a")
    assert not Holder.find("heir").exists()
    assert table.guards() == {"a": "dead", "1": "dead"}
    rival = Holder.create(holder_id="rival", email="b")
    rival.email = "a"
    table.remove("dead")
    transport.inject([None, before(lambda: table.put("dead", email="a", badge="1"))])
    with pytest.raises(UniqueConstraintError):
        rival.save()


def test_a_value_that_goes_from_one_dead_owner_to_another_is_taken_over(
    dead: str, table: Table, transport: FaultInjectingTransport
) -> None:
    """Who the guard names is looked at again."""
    transport.inject([None, before(lambda: table.give_guard("a", "also dead"))])
    assert Holder.create(holder_id="heir", email="a").email == "a"
    assert table.guards()["a"] == "heir"


def test_a_value_that_stays_contended_is_refused_by_the_deadline(
    manager: Manager, transport: FaultInjectingTransport, time: FakeTime
) -> None:
    """A guard that is refused again and again, and never there when it is looked at, ends as taken."""
    attempts = []

    def refused(request: Request, send: Any, chance: Any) -> Any:
        attempts.append(request)
        time.sleep(1.0)
        reasons = ["ConditionalCheckFailed", *[None] * (len(request.parameters["TransactItems"]) - 1)]
        raise TransactionCancelled("cancelled", reasons, [None] * len(reasons))

    transport.inject(refused)
    with pytest.raises(UniqueConstraintError):
        Holder.create(holder_id="heir", email="a")
    assert 9 <= len(attempts) <= 12  # a second each, a deadline of ten


def test_values_are_taken_over_inside_a_transaction(dead: str, table: Table) -> None:
    """Two writes of one transaction share what they know of the dead owner."""
    with transaction():
        Holder.create(holder_id="one", email="a")
        Holder.create(holder_id="two", badge="1")
    assert table.guards() == {"a": "one", "1": "two"}


# --- guards that are not the item's own ----------------------------------------------------------------------


@pytest.fixture
def robbed(table: Table) -> str:
    """An item whose value another one guards: a program wrote the value without asking for it."""
    Holder.create(holder_id="owner", email="a")
    table.put("robbed", email="a", badge="2")
    return "robbed"


def test_an_item_without_the_guard_of_its_value_can_change_it(robbed: str, table: Table) -> None:
    """The value's guard is its owner's and stays; what the item takes instead is guarded."""
    Holder.update(robbed, email="b")
    assert table.guards() == {"a": "owner", "b": robbed}
    table.put(robbed, email="a", badge="2")
    item = Holder.find(robbed)
    item.email, item.note = None, "changed"
    item.save()
    assert table.guards()["a"] == "owner"
    assert Holder.find(robbed, consistent_read=True).note == "changed"


def test_an_item_without_the_guard_of_its_value_can_be_deleted(robbed: str, table: Table) -> None:
    """The guard stays its owner's."""
    Holder.delete(robbed)
    assert not Holder.find(robbed).exists()
    assert table.guards() == {"a": "owner"}


def test_a_guard_that_becomes_the_items_own_meanwhile_is_freed(
    robbed: str, table: Table, transport: FaultInjectingTransport
) -> None:
    """Found to be another's, and the item's own again just before the second attempt: it goes with the item."""
    transport.inject([None, before(lambda: table.give_guard("a", robbed))])
    Holder.delete(robbed)
    assert table.guards() == {}
