"""Caching and batching: one object per key, never another one's, never an invented miss."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dynamo_bao import (
    BatchIncompleteError,
    ConcurrencyError,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    TenantContext,
    UniqueConstraint,
    ValidationError,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.testing import FaultInjectingTransport, embedded_transport, unprocessed
from tests.support.clocks import FakeTime
from tests.support.wire import Wire


class DxLeft(Model, prefix="x1a"):
    key: str = StringField()
    text: str | None = StringField(default=None)

    primary_key = PrimaryKey("key")


class DxRight(Model, prefix="x1b"):
    key: str = StringField()
    text: str | None = StringField(default=None)

    primary_key = PrimaryKey("key")


class DxAccount(Model, prefix="x1c"):
    key: str = StringField()
    email: str | None = StringField(default=None)

    primary_key = PrimaryKey("key")
    unique_email = UniqueConstraint("email", id="uc1")


class DxPlace(Model, prefix="x1d", iterable=True):
    app: str = StringField()
    entity: str = StringField()
    text: str | None = StringField(default=None)

    primary_key = PrimaryKey("app", "entity")


MODELS = [DxLeft, DxRight, DxAccount, DxPlace]


def put(manager: Manager, prefix: str, key: str, text: str) -> None:
    """Writes an item past the library."""
    item = {"_pk": {"S": f"{prefix}#{key}"}, "_sk": {"S": prefix}, "key": {"S": key}, "text": {"S": text}}
    manager.client.put_item(TableName=manager.table_name, Item=item)


@pytest.mark.defect(1)
def test_models_with_equal_ids(manager: Manager) -> None:
    """Two models' items with the same id are two objects in one context."""
    DxLeft.create(key="same", text="left")
    DxRight.create(key="same", text="right")
    with run_with_batch_context():
        left, right = DxLeft.find("same"), DxRight.find("same")
        assert (left.text, right.text) == ("left", "right")
        assert isinstance(left, DxLeft)
        assert isinstance(right, DxRight)


@pytest.mark.defect(2)
def test_tenants_with_equal_ids(manager: Manager) -> None:
    """Two tenants' items are apart in the cache, and each key of a batch is asked for under its own tenant."""
    for tenant, key in (("t1", "x"), ("t2", "x"), ("t2", "y")):
        with TenantContext.run_with_tenant(tenant):
            DxLeft.create(key=key, text=f"{tenant} {key}")
    with run_with_batch_context() as session:
        with TenantContext.run_with_tenant("t1"):
            first = DxLeft.find("x")
        with TenantContext.run_with_tenant("t2"):
            second, third = DxLeft.find("x"), DxLeft.find("y")
        assert [one.text for one in (first, second, third)] == ["t1 x", "t2 x", "t2 y"]
        assert session.stats.batches == 1
        with TenantContext.run_with_tenant("t2"):
            assert DxLeft.find("x") is second


@pytest.mark.defect(3)
def test_find_during_a_fetch(manager: Manager) -> None:
    """A find made while a batch is being fetched is refused; it never learns from a reply that did not ask for it."""
    DxLeft.create(key="early")
    DxLeft.create(key="late")
    refused: list[bool] = []

    def while_sending(**_: object) -> None:
        with pytest.raises(ConcurrencyError):
            DxLeft.find("late").exists()
        refused.append(True)

    events = manager.client.meta.events
    with run_with_batch_context():
        early = DxLeft.find("early")
        events.register("before-send.dynamodb", while_sending)
        try:
            assert early.exists()
        finally:
            events.unregister("before-send.dynamodb", while_sending)
        assert refused == [True]
        assert DxLeft.find("late").exists()


@pytest.mark.defect(4)
def test_bypass_cache(manager: Manager) -> None:
    """A find past the cache sees the table, and its object is nobody else's."""
    DxLeft.create(key="a", text="old")
    with run_with_batch_context():
        cached = DxLeft.find("a")
        assert cached.text == "old"
        put(manager, "x1a", "a", "new")
        fresh = DxLeft.find("a", bypass_cache=True)
        assert fresh.text == "new"
        fresh.text = "mine"
        assert cached.text == "old"
        assert not cached.has_changes()
        assert DxLeft.find("a") is cached


@pytest.mark.defect(5)
def test_create_after_a_miss(manager: Manager) -> None:
    """A create corrects what the context knew to be missing, for every way to look it up."""
    with run_with_batch_context():
        assert not DxAccount.find("a").exists()
        assert DxAccount.batch_find(["a"])["a"].exists() is False
        DxAccount.create(key="a", email="a@example.com")
        assert DxAccount.find("a").email == "a@example.com"
        assert DxAccount.batch_find(["a"])["a"].email == "a@example.com"


@pytest.mark.defect(6)
def test_writes_are_seen(manager: Manager) -> None:
    """An update and a delete are seen by later finds of the context, and free the unique values they leave."""
    DxAccount.create(key="a", email="old@example.com")
    with run_with_batch_context():
        assert DxAccount.find("a").email == "old@example.com"
        assert DxAccount.update("a", email="new@example.com").email == "new@example.com"
        assert DxAccount.find("a").email == "new@example.com"
        DxAccount.delete("a")
        assert not DxAccount.find("a").exists()
        assert DxAccount.create(key="b", email="old@example.com").exists()
        assert DxAccount.create(key="c", email="new@example.com").exists()


@pytest.fixture
def transport() -> FaultInjectingTransport:
    return FaultInjectingTransport(embedded_transport().wire, seed=7, clock=FakeTime().clock)


@pytest.fixture
def faulty(transport: FaultInjectingTransport) -> Iterator[Manager]:
    with init_models(models=MODELS, transport=transport) as manager:
        manager.create_table()
        yield manager


@pytest.mark.defect(7)
def test_unprocessed_keys(faulty: Manager, transport: FaultInjectingTransport) -> None:
    """A key that is never processed raises; it is not reported missing."""
    DxLeft.create(key="a")
    transport.inject(unprocessed(1.0))
    with run_with_batch_context():
        found = DxLeft.find("a")
        with pytest.raises(BatchIncompleteError):
            found.exists()


@pytest.mark.defect(8)
def test_shared_batches(manager: Manager, wire: Wire) -> None:
    """Lookups of several models share requests, repeated keys are asked for once, and all capacity is counted."""
    with run_with_batch_context() as session:
        found = [DxLeft.find(f"{number % 120}") for number in range(130)]
        found_right = [DxRight.find("1"), DxRight.find("2")]
        assert not any(found)
        assert not any(found_right)
        assert wire.operations == ["BatchGetItem"] * 2
        assert len(wire.keys(0)) + len(wire.keys(1)) == 122
        assert session.stats.round_trips == 1
        assert session.stats.read_capacity > 50


@pytest.mark.defect(9)
def test_ids_as_mappings(manager: Manager) -> None:
    """A composite key given as a mapping works in and out of a context; an incomplete one is refused."""
    DxPlace.create(app="a", entity="e", text="here")
    key = {"app": "a", "entity": "e"}
    assert DxPlace.find(key).text == "here"
    with run_with_batch_context():
        assert DxPlace.find(key).text == "here"
        assert DxPlace.update(key, text="there").text == "there"
        assert DxPlace.find(("a", "e")).text == "there"
        with pytest.raises(ValidationError, match="entity"):
            DxPlace.find({"app": "a"})
