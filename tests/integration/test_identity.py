"""S1: one object for each table, tenant, model and key of a session, and never another's."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_bao import (
    CounterField,
    Index,
    Manager,
    Model,
    PrimaryKey,
    Repository,
    StringField,
    TenantContext,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.session.tenancy import tenant_block


class Left(Model, prefix="sl", name="IdentityLeft", iterable=True, iteration_buckets=1):
    key: str = StringField()
    shelf: str = StringField(default="one")
    text: str = StringField()
    looks: int = CounterField()

    primary_key = PrimaryKey("key")
    by_shelf = Index("shelf", "key", id="gsi1")


class Right(Left, prefix="sr", name="IdentityRight"):
    """The same fields and keys, another model."""


pytestmark = pytest.mark.one_engine
KEYS = [f"{number}" for number in range(10)]
TENANTS = (None, "red", "blue")
Spot = tuple[int, str | None, type[Any], str]


@pytest.fixture
def tables(connection: dict[str, Any]) -> Iterator[tuple[Manager, Manager]]:
    """Two tables of one engine, each with an item for every tenant, model and key."""
    names = [f"test_{uuid.uuid4().hex}" for _ in range(2)]
    with (
        init_models(models=[Left, Right], table_name=names[0], **connection) as one,
        init_models(models=[Left, Right], table_name=names[1], **connection) as other,
    ):
        for number, manager in enumerate((one, other)):
            manager.create_table()
            for tenant, model, key in itertools.product(TENANTS, (Left, Right), KEYS):
                with tenant_block(tenant):
                    text = text_of((number, tenant, model, key))
                    manager.repository(model).create(key=key, text=text)
        yield one, other


def text_of(spot: Spot) -> str:
    """What the item of one spot says."""
    number, tenant, model, key = spot
    return f"{number} {tenant} {model.__name__} {key}"


def found(repository: Repository[Any], key: str, chance: random.Random) -> Any:
    """The item by one of the ways that give the session's own object."""
    way = chance.randrange(5)
    if way == 0:
        return repository.batch_find([key, *KEYS[:3]])[key]
    if way == 1:
        return repository.query_by_index("by_shelf", "one", {"key": key}).one()
    if way == 2:
        return next(one for batch in repository.iterate_all() for one in batch if one.key == key)
    if way == 3:
        return repository.increment(key, looks=1)
    return repository.find(key)


@pytest.mark.promise("S1")
def test_one_object_for_each_spot(tables: tuple[Manager, Manager]) -> None:
    """However an item is reached, it is the one object of its table, tenant, model and key."""
    chance, objects = random.Random(7), dict[Spot, Any]()
    spots = list(itertools.product(range(2), TENANTS, (Left, Right), KEYS))
    looks = mixed_up = 0
    with run_with_batch_context():
        for spot in chance.choices(spots, k=300):
            number, tenant, model, key = spot
            with tenant_block(tenant):
                one = found(tables[number].repository(model), key, chance)
            mixed_up += objects.setdefault(spot, one) is not one
            mixed_up += one.text != text_of(spot) or type(one) is not model
            looks += 1
        assert len({id(one) for one in objects.values()}) == len(objects) > 90
        assert len(set(objects.values())) == len({spot[1:] for spot in objects})  # equal in both tables
    assert mixed_up == 0
    print(
        f"\nS1: {looks} looks at {len(objects)} items of 2 tables, 3 tenants and 2 models, {mixed_up} mix-ups"
    )


@pytest.mark.promise("S1")
def test_what_is_changed_in_one_spot_stays_there(tables: tuple[Manager, Manager]) -> None:
    """A change, save and delete in one tenant leaves the objects of every other spot alone."""
    one = tables[0].repository(Left)
    with run_with_batch_context():
        with TenantContext.run_with_tenant("red"):
            mine = one.find("1")
            mine.text = "changed"
            mine.save()
            one.delete("2")
        for tenant in (None, "blue"):
            with tenant_block(tenant):
                assert [one.find(key).text for key in "12"] == [
                    text_of((0, tenant, Left, key)) for key in "12"
                ]
        with TenantContext.run_with_tenant("red"):
            assert one.find("1") is mine and not one.find("2")
            assert tables[1].repository(Left).find("2").exists()
