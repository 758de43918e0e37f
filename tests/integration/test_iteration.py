"""Going through all items of a model: batches, buckets, resuming, filters, and what it costs."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dynamo_bao import (
    BatchContextRequiredError,
    ConcurrencyError,
    ConfigurationError,
    IntegerField,
    Manager,
    MapField,
    Model,
    PrimaryKey,
    QueryError,
    RelatedField,
    RequireContext,
    StringField,
    TenantContext,
    TenantRequiredError,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.keys import bucket_of
from dynamo_bao.dynamodb.table_definition import table_definition
from dynamo_bao.dynamodb.transport.messages import Clock, Reply, Request, Transport
from dynamo_bao.reads.iteration import Iteration, count, iterate_all, iterate_bucket
from tests.support.wire import Wire


class Thing(Model, prefix="th", iterable=True, iteration_buckets=5):
    thing_id: str = StringField()
    status: str = StringField(default="active")
    data: dict[str, Any] = MapField(default=dict)

    primary_key = PrimaryKey("thing_id")


class Single(Model, prefix="si", iterable=True, iteration_buckets=1):
    single_id: str = StringField()

    primary_key = PrimaryKey("single_id")


class Reading(Model, prefix="rd", iterable=True, iteration_buckets=2):
    sensor: int = IntegerField()
    number: int = IntegerField()

    primary_key = PrimaryKey("sensor", "number")


class Plain(Model, prefix="pl"):
    plain_id: str = StringField()

    primary_key = PrimaryKey("plain_id")


class Part(Model, prefix="pa", iterable=True, iteration_buckets=1):
    part_id: str = StringField()
    thing_id: str = RelatedField("Thing")

    primary_key = PrimaryKey("part_id")


ALL = [Thing, Single, Reading, Plain, Part]


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """The models of this page, connected to an empty table on the engine."""
    with init_models(models=ALL, table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture
def embedded(table_name: str) -> Iterator[Manager]:
    """The models of this page on the embedded engine."""
    with init_models(models=ALL, table_name=table_name, embedded=True) as manager:
        yield manager


def ids(iteration: Iteration) -> list[str]:
    """The primary ids of all items, in the order of the batches."""
    return [item.primary_id for batch in iteration for item in batch]


def made(manager: Manager, number: int) -> list[str]:
    """The ids of stored things, written past the library."""
    schema, names = manager.repository(Thing).schema, [f"thing-{n:05d}" for n in range(number)]
    items = [
        schema.item(
            None, schema.keys.from_key(None, name), {"thing_id": name, "status": "active", "data": {}}
        )
        for name in names
    ]
    for start in range(0, number, 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        manager.client.batch_write_item(RequestItems={manager.table_name: puts})
    return names


# --- batches -------------------------------------------------------------------------------------


def test_everything_is_found_once(manager: Manager) -> None:
    """Twenty items over five buckets, three a page: each is found once, in key order inside its bucket."""
    names = made(manager, 20)
    iteration = iterate_all(manager.repository(Thing), batch_size=3)
    batches = list(iteration)
    assert sorted(item.thing_id for batch in batches for item in batch) == names
    assert max(len(batch) for batch in batches) == 3
    assert iteration.last_evaluated_key is None
    for batch in batches:
        found = [item.thing_id for item in batch]
        assert found == sorted(found)
        assert len({bucket_of(name, 5) for name in found}) == 1


def test_a_created_item_is_found(manager: Manager) -> None:
    """What create() stores can be gone through; what delete() took away is left out."""
    Thing.create(thing_id="one")
    Thing.create(thing_id="two")
    Thing.delete("two")
    assert ids(iterate_all(manager.repository(Thing))) == ["one"]


def test_one_bucket_and_none(manager: Manager) -> None:
    """A model of one bucket is gone through in key order; one without items gives no batch."""
    for name in ("b", "a", "10", "9", "c"):
        Single.create(single_id=name)
    assert ids(iterate_all(manager.repository(Single), batch_size=2)) == ["10", "9", "a", "b", "c"]
    assert list(iterate_all(manager.repository(Thing))) == []
    assert ids(iterate_bucket(manager.repository(Single), 0)) == ["10", "9", "a", "b", "c"]


def test_composite_number_keys(manager: Manager) -> None:
    """Keys of two numbers come back as the numbers they are."""
    for number in range(4):
        Reading.create(sensor=7, number=number)
    found = [item for batch in iterate_all(manager.repository(Reading)) for item in batch]
    assert sorted((item.sensor, item.number) for item in found) == [(7, number) for number in range(4)]


def test_buckets_by_themselves(manager: Manager) -> None:
    """The buckets together hold everything, each item in one of them; threads may share the work."""
    names, repository = made(manager, 15), manager.repository(Thing)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda bucket: ids(iterate_bucket(repository, bucket)), range(5)))
    assert sorted(name for bucket in found for name in bucket) == names
    assert [{bucket_of(name, 5) for name in bucket} for bucket in found] == [{n} for n in range(5)]


@pytest.mark.parametrize("parallel", [2, 4, 9])
def test_parallel_buckets(manager: Manager, parallel: int) -> None:
    """Several buckets at once give the same items, in key order inside a bucket."""
    names = made(manager, 40)
    batches = list(iterate_all(manager.repository(Thing), batch_size=3, parallel=parallel))
    found = [item.thing_id for batch in batches for item in batch]
    assert sorted(found) == names
    for bucket in range(5):
        inside = [name for name in found if bucket_of(name, 5) == bucket]
        assert inside == sorted(inside)


class Stale:
    """A transport whose batches miss one item that the index still has."""

    def __init__(self, inner: Transport, missing: str) -> None:
        self.inner, self.clock, self.close, self.missing = inner, inner.clock, inner.close, missing

    def send(self, request: Request, *, deadline: float) -> Reply:
        reply = self.inner.send(request, deadline=deadline)
        for items in reply.body.get("Responses", {}).values() if request.operation == "BatchGetItem" else ():
            items[:] = [item for item in items if self.missing not in str(item)]
        return reply


def test_an_item_deleted_meanwhile_is_left_out(embedded: Manager) -> None:
    """An item that is gone when its batch is read is left out; the others come."""
    made(embedded, 3)
    transport = Stale(embedded.database.transport, "th#thing-00001")
    with init_models(models=ALL, table_name=embedded.table_name, transport=transport) as manager:
        things = manager.repository(Thing)
        assert sorted(ids(iterate_all(things))) == ["thing-00000", "thing-00002"]
        with run_with_batch_context() as session:
            assert sorted(ids(iterate_all(things))) == ["thing-00000", "thing-00002"]
            assert "0 known" in repr(session)


def test_requests(embedded: Manager) -> None:
    """A batch is one Query of keys and one BatchGetItem; keys_only needs no items."""
    names, wire = made(embedded, 20), Wire(embedded.client)
    iteration = iterate_bucket(embedded.repository(Thing), 0)
    assert wire.operations == []
    batches = list(iteration)
    assert len(batches) == 1 and wire.operations == ["Query", "BatchGetItem"]
    assert wire.sent[0][1]["IndexName"] == "iter_index" and wire.sent[0][1]["Limit"] == 100
    wire.clear()
    keys = [name for batch in iterate_all(embedded.repository(Thing), keys_only=True) for name in batch]
    assert sorted(keys) == names and wire.operations == ["Query"] * 5


def test_count(manager: Manager) -> None:
    """The items are counted by the index, without being read."""
    assert count(manager.repository(Thing)) == 0
    made(manager, 12)
    with run_with_batch_context() as session:
        assert count(manager.repository(Thing)) == 12
        assert session.stats.keys_fetched == 0 and session.stats.requests == 5


# --- resuming ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parallel", [1, 3])
def test_going_on_later(manager: Manager, parallel: int) -> None:
    """last_evaluated_key goes on exactly after the last batch, in another iteration too."""
    names, found, key = made(manager, 20), [], None
    for _ in range(40):
        iteration = iterate_all(manager.repository(Thing), batch_size=3, parallel=parallel, start_key=key)
        batch = next(iteration, None)
        if batch is None:
            break
        found += [item.thing_id for item in batch]
        key = iteration.last_evaluated_key
        if key is None:
            break
        assert all(char.isalnum() or char in "-_" for char in key)
    assert sorted(found) == names


def test_a_key_is_bound_to_its_iteration(embedded: Manager) -> None:
    """A key that was changed, or of another model, scope or filter, is refused before any request."""
    made(embedded, 20)
    things = embedded.repository(Thing)
    iteration = iterate_all(things, batch_size=2)
    next(iteration)
    key, wire = iteration.last_evaluated_key, Wire(embedded.client)
    assert key is not None
    for text in ("", "x", key[:-2], key + "AA", 7):
        with pytest.raises(QueryError, match="cursor"):
            iterate_all(things, start_key=text)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="cursor"):
        iterate_all(embedded.repository(Single), start_key=key)
    with pytest.raises(QueryError, match="cursor"):
        iterate_bucket(things, 0, start_key=key)
    with pytest.raises(QueryError, match="cursor"), TenantContext.run_with_tenant("other"):
        iterate_all(things, start_key=key)
    assert wire.operations == []


def test_an_error_can_be_tried_again(embedded: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that fails is asked for again by the next next()."""
    names, iteration = made(embedded, 6), iterate_all(embedded.repository(Thing), batch_size=2)
    found = [item.thing_id for item in next(iteration)]
    transport, calls = embedded.database.transport, []
    real = type(transport).send

    def send(self: Any, request: Any, *, deadline: float) -> Any:
        calls.append(request)
        if len(calls) == 2:
            raise OSError("gone")
        return real(self, request, deadline=deadline)

    monkeypatch.setattr(type(transport), "send", send)
    with pytest.raises(OSError, match="gone"):
        next(iteration)
    assert sorted(found + ids(iteration)) == names


# --- filters -------------------------------------------------------------------------------------


def test_a_function_filters_items(manager: Manager) -> None:
    """A function of the instance leaves out what it does not want; batches without any are passed over."""
    for name, status in (("a", "active"), ("b", "gone"), ("c", "active")):
        Thing.create(thing_id=name, status=status)
    found = ids(iterate_all(manager.repository(Thing), filter=lambda thing: thing.status == "active"))
    assert sorted(found) == ["a", "c"]


def test_conditions_the_index_cannot_judge(embedded: Manager) -> None:
    """A condition on a field is refused before any request, naming every such field and the mend."""
    things, wire = embedded.repository(Thing), Wire(embedded.client)
    with pytest.raises(QueryError, match=r"status, thing_id.*filter=lambda"):
        iterate_all(things, filter={"$or": [{"status": "active"}, {"$not": {"thing_id": {"$gt": "a"}}}]})
    with pytest.raises(QueryError, match=r"data\.size"):
        iterate_all(things, filter=Thing.fields.data["size"] > 1)
    with pytest.raises(QueryError, match="_searchText"):
        iterate_all(things, filter={"_searchText": {"$contains": "x"}})
    with pytest.raises(QueryError, match="keys_only"):
        iterate_all(things, filter=lambda thing: True, keys_only=True)
    assert wire.operations == []
    assert list(iterate_all(things, filter={})) == []


# --- refusals -------------------------------------------------------------------------------------


def test_models_that_are_not_iterable(embedded: Manager) -> None:
    """All, one bucket and the count are refused for a model without iteration keys, before any request."""
    plain, wire = embedded.repository(Plain), Wire(embedded.client)
    for call in (iterate_all, count, lambda home: iterate_bucket(home, 0)):
        with pytest.raises(
            ConfigurationError, match=r"Plain is not configured as iterable.* 'bao reindex Plain'"
        ):
            call(plain)
    assert wire.operations == []


@pytest.mark.parametrize("bucket", [-1, 5, 1.5, True, "0"])
def test_wrong_buckets(embedded: Manager, bucket: Any) -> None:
    """Buckets are numbered from 0."""
    with pytest.raises(QueryError, match=r"Invalid bucket number .* Must be 0-4"):
        iterate_bucket(embedded.repository(Thing), bucket)


@pytest.mark.parametrize("option", ["batch_size", "parallel"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "10", None])
def test_wrong_numbers(embedded: Manager, option: str, value: Any) -> None:
    """Sizes are whole numbers of at least 1."""
    with pytest.raises(QueryError, match=option):
        iterate_all(embedded.repository(Thing), **{option: value})


def test_a_missing_index(connection: dict[str, Any], table_name: str) -> None:
    """A table without the index says what to run; one that does not exist says that."""
    with init_models(models=ALL, table_name=f"{table_name}x", **connection) as manager:
        if "embedded" in connection:
            manager.client.delete_table(TableName=manager.table_name)
        with pytest.raises(ConfigurationError, match="does not exist"):
            list(iterate_all(manager.repository(Thing)))
        definition = table_definition(manager.table_name)
        definition["GlobalSecondaryIndexes"] = definition["GlobalSecondaryIndexes"][:1]
        definition["AttributeDefinitions"] = definition["AttributeDefinitions"][:4]
        manager.client.create_table(**definition)
        for call in (count, lambda home: list(iterate_all(home))):
            with pytest.raises(
                ConfigurationError, match=r"'iter_index' is missing on table .*bao update-table"
            ):
                call(manager.repository(Thing))


# --- where it runs --------------------------------------------------------------------------------


def test_strict_mode(table_name: str) -> None:
    """Outside a batch context the policy decides, at the call."""
    with init_models(models=ALL, table_name=table_name, embedded=True, policy=RequireContext()) as manager:
        with pytest.raises(BatchContextRequiredError, match=r"Thing\.iterate_all"):
            iterate_all(manager.repository(Thing))
        with pytest.raises(BatchContextRequiredError, match=r"Thing\.count"):
            count(manager.repository(Thing))
        with run_with_batch_context():
            iteration = iterate_all(manager.repository(Thing))
        with pytest.raises(ConcurrencyError):
            next(iteration)


def test_tenants_see_their_own(manager: Manager) -> None:
    """An iteration sees one tenant's items, that of its call."""
    things = manager.repository(Thing)
    for tenant in ("a", "b"):
        with TenantContext.run_with_tenant(tenant):
            Thing.create(thing_id=f"of {tenant}")
    with TenantContext.run_with_tenant("a"):
        iteration = iterate_all(things)
        assert count(things) == 1
    with TenantContext.run_with_tenant("b"):
        assert ids(iterate_all(things)) == ["of b"]
        assert [item.thing_id for item in next(iteration)] == ["of a"]
    assert list(iterate_all(things)) == []


def test_a_tenant_is_required(table_name: str) -> None:
    """With tenancy on there is no iteration without a tenant."""
    with (
        init_models(models=ALL, table_name=table_name, embedded=True, tenancy={"enabled": True}) as manager,
        pytest.raises(TenantRequiredError, match="iterate_all"),
    ):
        iterate_all(manager.repository(Thing))


# --- in a session -----------------------------------------------------------------------------------


def test_instances_are_the_sessions(embedded: Manager) -> None:
    """Objects found by key are those of the iteration, with their local changes; pending ones are filled."""
    made(embedded, 4)
    with run_with_batch_context() as session:
        first, second = Thing.find("thing-00000"), Thing.find("thing-00001")
        first.status = "changed here"
        found = {item.thing_id: item for batch in iterate_all(embedded.repository(Thing)) for item in batch}
        assert found["thing-00000"] is first and first.status == "changed here"
        assert found["thing-00001"] is second
        before = session.stats.requests
        assert second.status == "active"
        assert Thing.find("thing-00003") is found["thing-00003"]
        assert session.stats.requests == before


def test_misses_and_deletions_of_the_session(embedded: Manager) -> None:
    """A cached miss that the index disproves is found; what this session deleted is not."""
    with run_with_batch_context():
        late = Thing.find("thing-00000")
        assert not late
        made(embedded, 2)
        Thing.delete("thing-00001")
        assert ids(iterate_all(embedded.repository(Thing))) == ["thing-00000"]
        assert late and late.status == "active"


def test_one_batch_for_what_is_pending(embedded: Manager) -> None:
    """Pending lookups travel with a batch, and parallel buckets share one round."""
    made(embedded, 10)
    with run_with_batch_context() as session:
        other = Plain.find("x")
        batches = iterate_all(embedded.repository(Thing), parallel=5)
        next(batches)
        assert (session.stats.round_trips, session.stats.batches) == (2, 1)
        assert not other.exists()
        assert len(list(batches)) == 4
        assert session.stats.round_trips == 2


def test_members_of_a_batch_are_peers(manager: Manager, wire: Wire) -> None:
    """The first look at a relation of one item loads that of all items that came with it."""
    names = made(manager, 6)
    for name in names:
        Part.create(part_id=f"part of {name}", thing_id=name)
    with run_with_batch_context():
        batch = next(iterate_all(manager.repository(Part)))
        wire.clear()
        assert [part.thing.status for part in batch] == ["active"] * 6
        assert wire.operations == ["BatchGetItem"]


class Endless:
    """A transport to a table of `size` items of one bucket, which exist only while they are asked for."""

    clock = Clock()

    def __init__(self, size: int) -> None:
        self.size = size

    def send(self, request: Request, *, deadline: float) -> Reply:
        asked = request.parameters
        if request.operation == "BatchGetItem":
            ((table, entry),) = asked["RequestItems"].items()
            items = [{**key, "single_id": {"S": key["_pk"]["S"][3:]}} for key in entry["Keys"]]
            return Reply(request, {"Responses": {table: items}})
        start = int(asked["ExclusiveStartKey"]["_iter_sk"]["S"]) + 1 if "ExclusiveStartKey" in asked else 0
        rows = [self.row(number) for number in range(start, min(start + asked["Limit"], self.size))]
        more = {"LastEvaluatedKey": rows[-1]} if start + len(rows) < self.size else {}
        return Reply(request, {"Items": rows, "Count": len(rows), **more})

    def row(self, number: int) -> dict[str, Any]:
        """An entry of the index."""
        name = f"{number:09d}"
        return {
            "_pk": {"S": f"si#{name}"},
            "_sk": {"S": "si"},
            "_iter_pk": {"S": "si#iter"},
            "_iter_sk": {"S": name},
        }

    def close(self) -> None:
        """Has nothing to give back."""


@pytest.mark.promise("S11")
def test_memory_stays_flat(table_name: str) -> None:
    """All items go through one session, and nothing of them stays; ``BAO_ITEMS`` says how many for a long run."""
    items = int(os.environ.get("BAO_ITEMS", "20000"))
    with (
        init_models(models=ALL, table_name=table_name, transport=Endless(items)) as manager,
        run_with_batch_context() as session,
    ):
        iteration = iterate_all(manager.repository(Single))
        found = len(next(iteration))
        gc.collect()
        tracemalloc.start()
        try:
            for batch in iteration:
                found += len(batch)
            del batch
            gc.collect()
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        print(f"\nS11: {found:,} items iterated, memory grown by {grown:,} bytes")
        assert found == items
        assert grown < 4_000_000
        assert "0 pending, 0 known" in repr(session)
