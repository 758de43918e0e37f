"""Features of the JavaScript library, which the page on parity names, each touched by a test that fails without it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    Capacity,
    ConditionalError,
    ConfigurationError,
    CounterField,
    DateTimeField,
    Index,
    Manager,
    Model,
    ModelFileError,
    PrimaryKey,
    RelatedField,
    StringField,
    UniqueConstraint,
    ValidationError,
    init_models,
    load_models,
    run_with_batch_context,
)
from dynamo_bao.models.class_builder import schema_of
from tests.support.model_files import forget_loaded
from tests.support.wire import Wire

__all__ = ["forget_loaded"]


class Shop(Model, prefix="fts"):
    shop_id: str
    visits: int = CounterField()
    opened: datetime | None = DateTimeField(default=None)
    email: str | None = StringField(default=None)
    primary_key = PrimaryKey("shop_id")
    all_shops = Index(MODEL_PREFIX, "shop_id", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")


class Sale(Model, prefix="ftp"):
    shop_id: str = RelatedField("Shop")
    number: str
    state: str = "open"
    buyer_id: str | None = RelatedField("Buyer", default=None)
    primary_key = PrimaryKey("shop_id", "number")
    sales_for_shop = primary_key


class Buyer(Model, prefix="ftb"):
    buyer_id: str
    name: str = "Ada"
    primary_key = PrimaryKey("buyer_id")


class ShopBuyer(Model, prefix="ftm", table_type="mapping"):
    shop_id: str = RelatedField("Shop")
    buyer_id: str = RelatedField("Buyer")
    primary_key = PrimaryKey("shop_id", "buyer_id")
    buyers_for_shop = primary_key
    shops_for_buyer = Index("buyer_id", "shop_id", id="gsi1")


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """Two shops, two buyers, and three sales in one shop."""
    with init_models(models=[Shop, Sale, Buyer, ShopBuyer], table_name=ready_table, **connection) as manager:
        for name in ("a", "b"):
            Shop.create(shop_id=name)
            Buyer.create(buyer_id=name)
            ShopBuyer.create(shop_id="a", buyer_id=name)
        for number, state in (("1", "open"), ("2", "paid"), ("3", "paid")):
            Sale.create(shop_id="a", number=number, state=state, buyer_id="b" if number == "3" else "a")
        yield manager


def test_lookups_are_lazy_and_batch_find_gives_a_dict(manager: Manager, wire: Wire) -> None:
    """Synchronous code batches: nothing is sent until a look, which loads all of them in one request."""
    with run_with_batch_context():
        lazy = Shop.find("a")
        shops = Shop.batch_find(["a", "b", "none"])
        assert wire.operations == []
        assert list(shops) == ["a", "b", "none"]
        assert shops["a"] is lazy
        assert shops["b"].visits == 0
        assert not shops["none"]
        assert wire.operations == ["BatchGetItem"]
        assert len(wire.keys()) == 3


def test_init_models_connects_models_by_settings_and_arguments(
    tmp_path: Path, connection: dict[str, Any]
) -> None:
    """`config` is nested settings or a file; arguments win over it, and class methods work from then on."""
    config = {"db": {"table_name": "of_settings"}, "tenancy": {"enabled": False}}
    file = tmp_path / "settings.toml"
    file.write_text('[db]\ntable_name = "of_a_file"\n')
    for given, arguments, table in (
        (config, {}, "of_settings"),
        (file, {}, "of_a_file"),
        (str(file), {"table_name": "of_an_argument"}, "of_an_argument"),
    ):
        with init_models(given, models=[Shop], embedded=True, **arguments) as manager:
            assert manager.table_name == table
            assert manager.models.Shop is Shop
            Shop.create(shop_id="x")
            items = manager.client.scan(TableName=table)["Items"]
            assert [item["shop_id"]["S"] for item in items] == ["x"]
    with pytest.raises(ConfigurationError, match="init_models"):
        Shop.find("x").exists()


def test_settings_of_a_manager(manager: Manager, ready_table: str) -> None:
    """`manager.settings` tells every setting, and where it was made."""
    assert manager.settings.get("db", "table_name") == ready_table
    assert manager.settings.source("db", "table_name") == "table_name of the call"
    assert manager.settings.get("aws", "profile", "none") == "none"


def test_ids_of_indexes_are_the_tables(manager: Manager) -> None:
    """Each of the five ids has the attributes and the index of its number; there is no sixth."""
    for number in range(1, 6):
        body = {"by_state": Index("state", "number", id=f"gsi{number}")}
        options = {
            "__module__": __name__,
            "__qualname__": "Numbered",
            "state": StringField(),
            "number": StringField(),
        }
        model = type(
            "Numbered", (Model,), {**options, **body, "primary_key": PrimaryKey("number")}, prefix="ftn"
        )
        with init_models(models=[model], table_name="t", embedded=True) as numbered:
            model.create(number="1", state="open")
            (item,) = numbered.client.scan(TableName="t")["Items"]
            assert {f"_gsi{number}_pk", f"_gsi{number}_sk"} <= set(item)
            assert sum(name.startswith("_gsi") for name in item) == 2
            sent = Wire(numbered.client)
            assert len(model.query_by_index("by_state", "open").all()) == 1
            assert [body["IndexName"] for _, body in sent.sent] == [f"gsi{number}"]
    with pytest.raises(ConfigurationError, match="id 'gsi6'; use one of gsi1"):
        type("Numbered", (Model,), {**options, "by": Index("state", id="gsi6"), "primary_key": PrimaryKey("number")},
             prefix="ftn")  # fmt: skip


FILE = """\
models:
  {name}:
    modelPrefix: {prefix}
    fields: {{theId: {{type: StringField}}}}
    primaryKey: {{partitionKey: theId}}
"""


def test_load_models_reads_a_folder(tmp_path: Path) -> None:
    """All of its files; a model in two of them is an error with both places."""
    (tmp_path / "one.yaml").write_text(FILE.format(name="One", prefix="o1"))
    (tmp_path / "two.yml").write_text(FILE.format(name="Two", prefix="o2"))
    models = load_models(tmp_path)
    assert sorted(models) == ["One", "Two"]
    with init_models(models=models, table_name="t", embedded=True):
        models["Two"].create(the_id="1")
        assert models["Two"].find("1").exists()
    (tmp_path / "zwei.yml").write_text(FILE.format(name="Two", prefix="o3"))
    with pytest.raises(ModelFileError, match=r"zwei\.yml:2: Two is already described in .*two\.yml:2"):
        load_models(tmp_path)


@pytest.mark.parametrize(
    ("searchable", "why"),
    [
        (["nothing"], "nothing"),
        ([], "searchable"),
        ("text", "searchable"),
        (["number"], "number"),
        (["text", "text"], "twice"),
        ({"text": True}, "searchable"),
    ],
)
def test_wrong_search_settings_are_refused_at_the_class_statement(searchable: Any, why: str) -> None:
    """A field that there is not, none at all, one that is no text, one twice, and a term of no length."""
    body = {
        "__module__": __name__,
        "__qualname__": "Searched",
        "text": StringField(),
        "number": CounterField(),
        "primary_key": PrimaryKey("text"),
    }
    with pytest.raises(ConfigurationError, match=why):
        type("Searched", (Model,), body, prefix="fti", iterable=True, searchable=searchable)


def test_a_datetime_field_is_aware_and_in_utc(manager: Manager) -> None:
    """Whatever zone it was given in, as a datetime, a text or milliseconds."""
    noon = datetime(2025, 5, 1, 12, tzinfo=timezone.utc)
    given: tuple[Any, ...] = (
        noon,
        noon.astimezone(timezone(timedelta(hours=5))),
        "2025-05-01T12:00:00Z",
        "2025-05-01T14:00:00+02:00",
        int(noon.timestamp() * 1000),
    )
    for number, moment in enumerate(given):
        shop = Shop.create(shop_id=f"at {number}", opened=moment)
        for opened in (shop.opened, Shop.find(f"at {number}").opened):
            assert opened == noon
            assert opened is not None
            assert opened.tzinfo is timezone.utc
    with pytest.raises(ValidationError, match="opened"):
        Shop.create(shop_id="wrong", opened="noon")  # type: ignore[arg-type]


def test_counters_are_added_to_in_the_table(manager: Manager) -> None:
    """By assignment and save, and by `increment`, whatever was read."""
    first, second = Shop.find("a"), Shop.find("a")
    assert (first.visits, second.visits) == (0, 0)
    first.visits += 1
    first.save()
    second.visits += 2
    second.save()
    assert second.visits == 3
    assert Shop.increment("a", visits=10).visits == 13
    assert Shop.find("a").visits == 13
    assert Shop.increment("a", visits=-3).visits == 10


def test_make_primary_id_names_an_item(manager: Manager) -> None:
    """Of one value or of two, and `find` takes it."""
    assert Shop.make_primary_id("a") == Shop.find("a").primary_id
    primary_id = Sale.make_primary_id("a", "2")
    assert primary_id == Sale.find(("a", "2")).primary_id
    assert Sale.find(primary_id).state == "paid"
    with pytest.raises(ValidationError, match=r"Sale\.number is part of the key"):
        Sale.make_primary_id({"shop_id": "a"})


def test_clear_related_cache_forgets_targets(manager: Manager, wire: Wire) -> None:
    """Of one relation or of all; the next look finds the target again, as it is stored then."""
    sale: Any = Sale.find(("a", "1"))
    buyer, shop = sale.get_buyer(), sale.get_shop()
    for fields, forgotten in ((("buyer_id",), (True, False)), ((), (True, True))):
        assert (sale.get_related("buyer_id"), sale.get_related("shop_id")) == (buyer, shop)
        sale.clear_related_cache(*fields)
        remembered = (sale.get_related("buyer_id"), sale.get_related("shop_id"))
        assert tuple(one is None for one in remembered) == forgotten
        wire.clear()
        assert sale.get_buyer() is not buyer
        assert wire.operations == ["GetItem"]
        buyer, shop = sale.get_buyer(), sale.get_shop()
    Buyer.update("a", name="Bob")
    assert sale.get_buyer().name == "Ada"
    sale.clear_related_cache("buyer_id")
    assert sale.get_buyer().name == "Bob"


def test_related_only_gives_the_targets(manager: Manager, wire: Wire) -> None:
    """In the place of the rows, in their order, for one query and one batch."""
    targets = Sale.query_by_index("sales_for_shop", "a", related_only="buyer_id").all()
    assert [type(target) for target in targets] == [Buyer, Buyer, Buyer]
    assert [target.buyer_id for target in targets] == ["a", "a", "b"]
    assert wire.operations == ["Query", "BatchGetItem"]
    assert [row.number for row in Sale.query_by_index("sales_for_shop", "a")] == ["1", "2", "3"]


def test_count_and_scanned_count(manager: Manager) -> None:
    """What matched, and what DynamoDB looked at for it, counting and not."""
    for count_only in (True, False):
        result = Sale.query_by_index("sales_for_shop", "a", filter={"state": "paid"}, count_only=count_only)
        assert (result.count, result.scanned_count) == (2, 3)
        assert len(result.items) == (0 if count_only else 2)


def test_a_mapping_model_gives_both_ends_methods(manager: Manager) -> None:
    """`get_buyers` and `get_shops`, which give the other end's instances; a standard model gives none."""
    shop: Any = Shop.find("a")
    buyer: Any = Buyer.find("b")
    assert [type(one) for one in shop.get_buyers()] == [Buyer, Buyer]
    assert [one.buyer_id for one in shop.get_buyers(limit=1)] == ["a"]
    assert [one.shop_id for one in buyer.get_shops()] == ["a"]
    assert [type(row) for row in shop.query_buyers()] == [ShopBuyer, ShopBuyer]
    assert not hasattr(Shop, "get_sales")
    assert hasattr(Shop, "query_sales")


def test_consumed_capacity_of_an_instance(manager: Manager) -> None:
    """What reading and writing it took, as numbers that add up."""
    shop = Shop.create(shop_id="new")
    written = shop.consumed_capacity
    assert written.write > 0
    shop.visits += 1
    shop.save()
    assert shop.consumed_capacity.write > written.write
    found = Shop.find("new")
    assert found.exists()
    assert found.consumed_capacity.write == 0
    eventually = found.consumed_capacity.read
    assert eventually > 0
    found.refresh()
    assert found.consumed_capacity.read > eventually


def test_capacity_of_a_result(manager: Manager) -> None:
    """Of the pages fetched so far."""
    result = Sale.query_by_index("sales_for_shop", "a", page_size=1)
    first = result.capacity
    assert isinstance(first, Capacity)
    assert first.read > 0
    assert first.write == 0
    assert len(result.all()) == 3
    assert result.capacity.read > first.read


def test_after_save_comes_after_the_write_and_only_after_one(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets the instance as it is stored; a save without changes, and one that fails, have none."""
    monkeypatch.setattr(Shop, "__bao_plugins__", ())
    stored: list[Any] = []

    class Watcher:
        def after_save(self, instance: Shop, options: dict[str, Any]) -> None:
            found = Shop.find(instance.shop_id, bypass_cache=True, consistent_read=True)
            stored.append((instance.shop_id, found.exists() and found.email, options["is_new"]))

    Shop.register_plugin(Watcher())
    shop = Shop.create(shop_id="seen", email="one@example.com")
    assert stored.pop() == ("seen", "one@example.com", True)
    shop.save()
    assert stored == []
    shop.email = "two@example.com"
    shop.save()
    assert stored.pop() == ("seen", "two@example.com", False)
    Shop.update("seen", email="three@example.com")
    assert stored.pop() == ("seen", "three@example.com", False)
    shop.refresh()
    shop.email = "four@example.com"
    with pytest.raises(ConditionalError):
        shop.save(condition={"visits": 99})
    assert stored == []


def test_model_prefix_and_ids_are_what_definitions_are_made_of(manager: Manager) -> None:
    """`MODEL_PREFIX` as a part of a key is the model's prefix; ids name the attributes and guards of the table."""
    Shop.create(shop_id="c", email="c@example.com")
    items = manager.client.scan(TableName=manager.table_name)["Items"]
    (shop,) = (item for item in items if "email" in item)
    assert shop["_gsi1_pk"]["S"].split("#")[-1] == "fts"
    assert schema_of(Shop).indexes["all_shops"].id == "gsi1"
    assert [one.shop_id for one in Shop.all_shops.query()] == ["a", "b", "c"]
    (guard,) = (item for item in items if "relatedId" in item)
    assert "uc1" in guard["_pk"]["S"]
