"""iteration.test.js: going through all items of a model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dynamo_bao import ConfigurationError, Manager, Model, PrimaryKey, QueryError, StringField, TenantContext
from tests.support.one_table import Raw
from tests.support.wire import Wire


class User(Model, prefix="itu", name="ItUser", iterable=True, iteration_buckets=5):
    user_id: str = StringField()
    status: str = StringField(default="active")

    primary_key = PrimaryKey("user_id")


class Single(Model, prefix="its", name="ItSingle", iterable=True, iteration_buckets=1):
    single_id: str = StringField()
    status: str = StringField(default="active")

    primary_key = PrimaryKey("single_id")


class Plain(Model, prefix="itp", name="ItPlain"):
    plain_id: str = StringField()

    primary_key = PrimaryKey("plain_id")


MODELS = [User, Single, Plain]


def users(number: int) -> list[str]:
    """Stores users, and gives their ids."""
    return [User.create(user_id=f"{one:03}").user_id for one in range(number)]


def ids(batches: Any) -> list[str]:
    """The ids in batches, sorted."""
    return sorted(item.primary_id for batch in batches for item in batch)


def test_01_iterable(manager: Manager) -> None:
    """Models are iterable where they say so."""
    assert [manager.repository(model).schema.iterable for model in MODELS] == [True, True, False]


def test_02_buckets(manager: Manager) -> None:
    """They have as many buckets as they say."""
    assert [manager.repository(model).schema.buckets for model in (User, Single)] == [5, 1]


def test_03_all_buckets_are_asked(manager: Manager, wire: Wire) -> None:
    """An iteration sends one query for each bucket of an empty model, and none for a model without."""
    for model in (User, Single):
        assert list(model.iterate_all()) == []
    assert wire.operations == ["Query"] * 6
    partitions = [body["ExpressionAttributeValues"][":bucket"]["S"] for _, body in wire.sent]
    assert sorted(partitions) == ["its#iter", *(f"itu#iter#{number:03}" for number in range(5))]


def test_04_keys_of_several_buckets(tenanted: Manager) -> None:
    """The iteration key is the bucket's, with the tenant before it, and the id."""
    with TenantContext.run_with_tenant("acme"):
        users(1)
    (item,) = tenanted.client.scan(TableName=tenanted.table_name)["Items"]
    partition = item["_iter_pk"]["S"]
    assert partition.startswith("[acme]#itu#iter#")
    assert 0 <= int(partition[-3:]) < 5
    assert item["_iter_sk"] == {"S": "000"}


def test_05_key_of_one_bucket(manager: Manager, raw: Raw) -> None:
    """A single bucket has no number."""
    Single.create(single_id="one")
    item = raw("its#one")
    assert (item["_iter_pk"], item["_iter_sk"]) == ({"S": "its#iter"}, {"S": "one"})


def test_06_no_keys(manager: Manager, raw: Raw) -> None:
    """A model that is not iterable stores no iteration keys."""
    Plain.create(plain_id="one")
    assert not {"_iter_pk", "_iter_sk"} & set(raw("itp#one"))


def test_07_spread(manager: Manager) -> None:
    """A hundred ids fall into several buckets, the same ones each time."""
    schema = manager.repository(User).schema
    keys = [schema.iteration_keys(None, f"user {number}")["_iter_pk"]["S"] for number in range(100)]
    assert keys == [schema.iteration_keys(None, f"user {number}")["_iter_pk"]["S"] for number in range(100)]
    assert 1 < len(set(keys)) <= 5


def test_08_a_created_item(manager: Manager) -> None:
    """A created item is found by an iteration."""
    users(1)
    (batch,) = User.iterate_all()
    assert [user.to_dict() for user in batch] == [{"user_id": "000", "status": "active"}]


def test_09_not_iterable(manager: Manager) -> None:
    """A model that is not iterable cannot be gone through, even with items."""
    Plain.create(plain_id="one")
    with pytest.raises(ConfigurationError, match="not configured as iterable"):
        Plain.iterate_all()


def test_10_one_bucket(manager: Manager) -> None:
    """Five items of one bucket by two are three batches, in order."""
    for name in "cabed":
        Single.create(single_id=name)
    batches = [[item.single_id for item in batch] for batch in Single.iterate_all(batch_size=2)]
    assert batches == [["a", "b"], ["c", "d"], ["e"]]


def test_11_no_items(manager: Manager) -> None:
    """A model without items has no batches."""
    assert list(User.iterate_all()) == []
    assert list(Single.iterate_bucket(0)) == []


def test_12_filters(manager: Manager) -> None:
    """Items are filtered in the loop, or by a function; a condition on a field is refused."""
    for name, status in (("a", "active"), ("b", "inactive"), ("c", "active")):
        Single.create(single_id=name, status=status)
    looped = [one.single_id for batch in Single.iterate_all() for one in batch if one.status == "active"]
    assert looped == ids(Single.iterate_all(filter=lambda one: one.status == "active")) == ["a", "c"]
    with pytest.raises(QueryError, match="status"):
        Single.iterate_all(filter={"status": "active"})


def test_13_all_buckets(manager: Manager) -> None:
    """Twenty items over five buckets are each found once."""
    stored = users(20)
    assert ids(User.iterate_all(batch_size=3)) == stored
    assert ids(batch for bucket in range(5) for batch in User.iterate_bucket(bucket, 3)) == stored


def test_14_parallel(manager: Manager) -> None:
    """So are they with all buckets read at once, by the library or by threads of one's own."""
    stored = users(15)
    assert ids(User.iterate_all(batch_size=2, parallel=5)) == stored
    with ThreadPoolExecutor(5) as threads:
        found = threads.map(lambda bucket: list(User.iterate_bucket(bucket, batch_size=2)), range(5))
        assert ids(batch for batches in found for batch in batches) == stored


@pytest.mark.parametrize("bucket", [-1, 5])
def test_15_bucket_numbers(manager: Manager, wire: Wire, bucket: int) -> None:
    """A bucket that the model does not have is refused, before any request."""
    with pytest.raises(QueryError, match="Invalid bucket number"):
        User.iterate_bucket(bucket)
    assert len(wire) == 0


def test_16_tenants(tenanted: Manager) -> None:
    """Each tenant sees its own items only."""
    for tenant in ("acme", "globex"):
        with TenantContext.run_with_tenant(tenant):
            User.create(user_id=f"of {tenant}")
    for tenant in ("acme", "globex"):
        with TenantContext.run_with_tenant(tenant):
            assert ids(User.iterate_all()) == [f"of {tenant}"]


def test_17_iterate_all_of_a_plain_model(manager: Manager, wire: Wire) -> None:
    """iterate_all of a model that is not iterable says what to do, at the call and before any request."""
    with pytest.raises(ConfigurationError, match=r"ItPlain is not configured as iterable.*iterable=True"):
        Plain.iterate_all()
    assert len(wire) == 0


def test_18_iterate_bucket_of_a_plain_model(manager: Manager, wire: Wire) -> None:
    """So does iterate_bucket."""
    with pytest.raises(ConfigurationError, match="ItPlain is not configured as iterable"):
        Plain.iterate_bucket(0)
    assert len(wire) == 0


def test_19_cost(manager: Manager, wire: Wire) -> None:
    """Fifty items cost one request each to store, and one query and one batch a bucket to go through."""
    stored = users(50)
    assert len(wire) == 50
    wire.clear()
    assert ids(User.iterate_all()) == stored
    assert wire.operations.count("Query") == 5
    assert wire.operations.count("BatchGetItem") <= 5
