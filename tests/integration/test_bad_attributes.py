"""An attribute that its field cannot read fails alone: whatever reads or writes the item, and however it is stored."""

from __future__ import annotations

import copy
import enum
import pickle
import uuid
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    BinaryField,
    BooleanField,
    CounterField,
    DataFormatError,
    DateTimeField,
    DecimalField,
    EnumField,
    FloatField,
    Index,
    IntegerField,
    ItemNotFoundError,
    JsonField,
    ListField,
    Manager,
    MapField,
    Model,
    NestedField,
    NumberSetField,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    TtlField,
    UniqueConstraint,
    UuidField,
    VersionField,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.wire import Wire

MOMENT = datetime(2035, 1, 1, tzinfo=timezone.utc)


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


@attrs.define
class Address:
    city: str = "Rome"


class Owner(Model, prefix="ow"):
    owner_id: str
    name: str = StringField(default="")

    primary_key = PrimaryKey("owner_id")


class Kinds(Model, prefix="ki", iterable=True, iteration_buckets=1, searchable=["title"]):
    """Every kind of field, once optional and once not."""

    key: str
    place: str = StringField(default="here")
    code: str = StringField(default=None)
    other: str = StringField(default="")
    title: str = StringField(default="words")

    text: str | None = StringField(default=None)
    whole: int | None = IntegerField(default=None)
    number: float | None = FloatField(default=None)
    exact: Decimal | None = DecimalField(default=None)
    flag: bool | None = BooleanField(default=None)
    data: bytes | None = BinaryField(default=None)
    moment: datetime | None = DateTimeField(default=None)
    ttl: datetime | None = TtlField(default=None)
    ident: uuid.UUID | None = UuidField(default=None)
    colour: Colour | None = EnumField(Colour, default=None)
    size: Size | None = EnumField(Size, default=None)
    tags: set[str] | None = StringSetField(default=None)
    numbers: set[Any] | None = NumberSetField(default=None)
    things: dict[str, Any] | None = MapField(default=None)
    parts: list[Any] | None = ListField(default=None)
    json: Any = JsonField(default=None)
    address: Address | None = NestedField(Address, default=None)
    owner_id: str | None = RelatedField("Owner", default=None)

    must_text: str = StringField(default="t")
    must_whole: int = IntegerField(default=1)
    visits: int = CounterField()
    must_number: float = FloatField(default=1.5)
    must_flag: bool = BooleanField(default=True)
    must_moment: datetime = DateTimeField(default=MOMENT)
    must_tags: set[str] = StringSetField()
    must_things: dict[str, Any] = MapField(default={})
    must_colour: Colour = EnumField(Colour, default=Colour.RED)

    primary_key = PrimaryKey("key")
    by_place = Index("place", "key", id="gsi1")
    unique_code = UniqueConstraint("code", id="uc1")


class Noted(Model, prefix="no"):
    """With a version."""

    note_id: str
    text: str = StringField(default="")
    version: str = VersionField()

    primary_key = PrimaryKey("note_id")
    notes = Index(MODEL_PREFIX, "note_id", id="gsi1")


MODELS = [Owner, Kinds, Noted]
STORED: dict[str, Any] = {
    "S": "no such thing",
    "N": "3.7",
    "B": b"\x00",
    "BOOL": True,
    "NULL": True,
    "SS": ["a"],
    "NS": ["1"],
    "BS": [b"\x00"],
    "M": {"zip": {"S": "1"}},
    "L": [{"S": "a"}],
}
READS = {
    "text": "S",
    "number": "N",
    "exact": "N",
    "flag": "BOOL",
    "data": "B",
    "tags": "SS",
    "numbers": "NS",
    "things": "M",
    "parts": "L",
    "address": "M",
    "owner_id": "S",
}
NOT_CHANGED = {"key", "place", "code", "other", "title"}
OPTIONAL = [name for name in list(Kinds.__annotations__)[5:] if not name.startswith(("must_", "visits"))]
REQUIRED = [name for name in Kinds.__annotations__ if name.startswith(("must_", "visits"))]


def cases() -> list[tuple[str, str]]:
    """Every field with every type that it cannot read."""
    found = []
    for name in (*OPTIONAL, *REQUIRED):
        for code in STORED:
            reads = READS.get(name.removeprefix("must_"))
            if code != reads and not (code == "NULL" and name in OPTIONAL):
                found.append((name, code))
    return found


ALL = cases()
FEW = [
    next(case for case in ALL[number % 3 :] if case[0] == name) for number, name in enumerate(OPTIONAL)
] + [(name, "NULL") for name in REQUIRED]


def damaged(name: str, stored: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An item in which one attribute is something else."""
    key = key_of(name, stored)
    return {
        "_pk": {"S": f"ki#{key}"},
        "_sk": {"S": "ki"},
        "_gsi1_pk": {"S": "ki#gsi1#here"},
        "_gsi1_sk": {"S": key},
        "_iter_pk": {"S": "ki#iter"},
        "_iter_sk": {"S": key},
        "_searchText": {"S": "words"},
        "key": {"S": key},
        "place": {"S": "here"},
        "other": {"S": "readable"},
        "title": {"S": "words"},
        **more,
        name: stored,
    }


def key_of(name: str, stored: dict[str, Any]) -> str:
    (code,) = stored
    return f"{name}-{code}"


def put(manager: Manager, name: str, stored: dict[str, Any], **more: Any) -> str:
    """Stores an item in which one attribute is something else; gives its key."""
    manager.client.put_item(TableName=manager.table_name, Item=damaged(name, stored, **more))
    return key_of(name, stored)


def plant(manager: Manager, some: list[tuple[str, str]]) -> dict[str, str]:
    """Items of some cases; by key the field that cannot be read."""
    items = [damaged(name, {code: STORED[code]}) for name, code in some]
    requests = [{"PutRequest": {"Item": item}} for item in items]
    for first in range(0, len(requests), 25):
        manager.client.batch_write_item(RequestItems={manager.table_name: requests[first : first + 25]})
    return {f"{name}-{code}": name for name, code in some}


def raw(manager: Manager, key: str, prefix: str = "ki") -> dict[str, Any]:
    found = manager.client.get_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": f"{prefix}#{key}"}, "_sk": {"S": prefix}},
        ConsistentRead=True,
    )
    return dict(found.get("Item", {}))


def check(instance: Any, name: str) -> None:
    """One field raises, whenever it is looked at; the others are read."""
    for _ in range(2):
        with pytest.raises(DataFormatError) as caught:
            getattr(instance, name)
        assert (caught.value.model, caught.value.key, caught.value.field) == ("Kinds", instance.key, name)
        assert not isinstance(caught.value, (AttributeError, LookupError))
    assert (instance.other, instance.place) == ("readable", "here")
    for field in (*OPTIONAL, *REQUIRED):
        if field != name:
            getattr(instance, field)
    with pytest.raises(DataFormatError):
        instance.to_dict()
    assert instance.changes() == {} and not instance.has_changes()


@pytest.fixture
def kinds(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=MODELS, table_name=ready_table, **connection) as manager:
        yield manager


@pytest.fixture(params=[nullcontext, run_with_batch_context], ids=["outside", "context"])
def around(request: pytest.FixtureRequest) -> Callable[[], Any]:
    made: Callable[[], Any] = request.param
    return made


# --- reading ----------------------------------------------------------------------------------------------------


@pytest.mark.one_engine
@pytest.mark.parametrize("name", OPTIONAL)
def test_null_reads_as_none_in_every_optional_field(
    kinds: Manager, around: Callable[[], Any], name: str
) -> None:
    """Other libraries write it. It is None, no change, and no bad attribute."""
    key = put(kinds, name, {"NULL": True})
    with around():
        for found in (Kinds.find(key), next(iter(Kinds.by_place.query("here")))):
            assert getattr(found, name) is None
            assert type(found) is Kinds and found.to_dict()[name] is None
            assert not found.has_changes()
    assert Kinds.update(key, other="x").to_dict()[name] is None
    assert raw(kinds, key)[name] == {"NULL": True}


READING: dict[str, Callable[[list[str]], list[Any]]] = {
    "find": lambda keys: [Kinds.find(key) for key in keys],
    "find consistently": lambda keys: [Kinds.find(key, consistent_read=True) for key in keys],
    "find past the cache": lambda keys: [Kinds.find(key, bypass_cache=True) for key in keys],
    "batch_find": lambda keys: list(Kinds.batch_find(keys).values()),
    "query": lambda keys: list(Kinds.by_place.query("here")),
    "query by pages": lambda keys: [one for page in Kinds.by_place.query("here", page_size=7).pages() for one in page],
    "iterate_all": lambda keys: [one for batch in Kinds.iterate_all() for one in batch],
    "search_all": lambda keys: list(Kinds.search_all(["words"], limit=1000)),
}  # fmt: skip


@pytest.mark.one_engine
@pytest.mark.parametrize("how", READING)
@pytest.mark.rule(40)
def test_every_read_gives_the_other_fields(kinds: Manager, around: Callable[[], Any], how: str) -> None:
    """Of every kind of field with every type that it cannot read."""
    planted = plant(kinds, ALL if how in ("batch_find", "query") else FEW)
    with around():
        found = READING[how](list(planted))
        assert len(found) == len(planted)
        for instance in found:
            assert instance.exists()
            check(instance, planted[instance.key])


@pytest.mark.promise("R16")
def test_the_other_fields_of_every_item_are_read_and_written(kinds: Manager) -> None:
    """100 items, each with one attribute that its field cannot read."""
    planted = plant(kinds, (ALL * 2)[:100])
    with run_with_batch_context():
        found = list(Kinds.batch_find(list(planted)).values())
        readable = sum(one.other == "readable" for one in found)
        for one in found:
            one.other = "written"
            one.save()
    written = 0
    for key, name in planted.items():
        item = raw(kinds, key)
        ((code, content),) = item[name].items()
        assert (code, content) == (code, STORED[code])
        written += item["other"] == {"S": "written"}
    print(f"\nR16: {readable} of {len(planted)} readable, {written} of {len(planted)} writable")
    assert readable == written == len(planted) == 100


# --- writing ----------------------------------------------------------------------------------------------------


def saved(key: str) -> Any:
    found = Kinds.find(key)
    found.other = "written"
    return found.save()


def committed(key: str) -> Any:
    with run_with_batch_context() as session:
        found = Kinds.find(key)
        found.other = "written"
        session.add(found)
        session.commit()
    return found


def in_transaction(key: str) -> Any:
    with transaction():
        found = Kinds.find(key)
        found.other = "written"
        found.save()
    return found


WRITING: dict[str, Callable[[str], Any]] = {
    "save": saved,
    "update": lambda key: Kinds.update(key, other="written"),
    "upsert": lambda key: Kinds.upsert(key=key, other="written"),
    "commit": committed,
    "transaction": in_transaction,
}


OPENING = ("commit", "transaction")
"""Ways that open a block of their own."""


@pytest.mark.parametrize(
    ("how", "around"),
    [(how, block) for block in (nullcontext, run_with_batch_context) for how in WRITING if how not in OPENING]
    + [(how, nullcontext) for how in OPENING],
)
@pytest.mark.promise("W11")
def test_a_write_of_another_field_returns_and_the_field_raises(
    kinds: Manager, around: Callable[[], Any], how: str
) -> None:
    """The bad attribute is never sent."""
    planted = plant(kinds, FEW)
    before = {key: raw(kinds, key)[name] for key, name in planted.items()}
    with around():
        for key, name in planted.items():
            instance = WRITING[how](key)
            item = raw(kinds, key)
            assert item["other"] == {"S": "written"}
            if name in item:  # an upsert gives a counter that ... nothing: what is there stays
                assert item[name] == before[key]
            with pytest.raises(DataFormatError):
                getattr(instance, name)
            assert instance.other == "written"


@pytest.mark.promise("W11")
def test_a_delete_returns_and_the_field_raises(kinds: Manager, around: Callable[[], Any]) -> None:
    """By key, and through an instance that was loaded."""
    planted = plant(kinds, FEW)
    with around():
        for number, (key, name) in enumerate(planted.items()):
            gone = Kinds.delete(key) if number % 2 else Kinds.find(key)
            if not number % 2:
                assert gone.other == "readable"
                gone.delete()
            assert raw(kinds, key) == {} and not gone
            if number % 2 == 0 or gone.other:
                with pytest.raises(DataFormatError):
                    getattr(gone, name)


@pytest.mark.rule(40)
def test_a_value_that_is_assigned_takes_the_place(kinds: Manager, around: Callable[[], Any]) -> None:
    """From then on the instance is as any other."""
    planted = plant(kinds, FEW)
    values = {
        "text": "t", "whole": 1, "number": 1.5, "exact": Decimal("1.5"), "flag": True, "data": b"x",
        "moment": MOMENT, "ttl": MOMENT, "ident": str(uuid.uuid4()), "colour": "red",
        "size": 1, "tags": {"a"}, "numbers": {1}, "things": {"a": 1}, "parts": [1], "json": [1],
        "address": Address("Oslo"), "owner_id": "o",
    }  # fmt: skip
    with around():
        for key, name in planted.items():
            instance = Kinds.find(key)
            value = values.get(name.removeprefix("must_"), 7)
            setattr(instance, name, value)
            assert name in instance.changes() and getattr(instance, name) is not None
            instance.save()
            assert type(instance) is Kinds and instance.to_dict()[name] == getattr(instance, name)
            assert getattr(Kinds.find(key, bypass_cache=True), name) == getattr(instance, name)


def test_a_value_assigned_before_loading_stays(kinds: Manager) -> None:
    """Of a pending instance, whose item is then loaded with that attribute bad."""
    key = put(kinds, "whole", {"S": "many"})
    with run_with_batch_context():
        instance = Kinds.find(key)
        instance.whole = 5
        assert instance.other == "readable" and instance.whole == 5
        instance.save()
    assert raw(kinds, key)["whole"] == {"N": "5"}


def test_copies_and_pickles_carry_what_is_stored(kinds: Manager) -> None:
    """The field raises there too, and saves leave it."""
    key = put(kinds, "whole", {"S": "many"})
    found = Kinds.find(key)
    for twin in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        check(twin, "whole")
        twin.other = uuid.uuid4().hex
        twin.save()
        assert raw(kinds, key)["whole"] == {"S": "many"}
        twin.update(key, other="readable")


def test_refresh_sees_that_it_was_mended_and_that_it_is_bad_again(kinds: Manager) -> None:
    """The class follows what is stored."""
    key = put(kinds, "whole", {"S": "many"})
    found = Kinds.find(key)
    assert type(found) is not Kinds and isinstance(found, Kinds)
    put(kinds, "whole", {"S": "many"}, key={"S": key})
    kinds.client.update_item(
        TableName=kinds.table_name,
        Key={"_pk": {"S": f"ki#{key}"}, "_sk": {"S": "ki"}},
        UpdateExpression="SET whole = :w",
        ExpressionAttributeValues={":w": {"N": "5"}},
    )
    assert found.refresh().whole == 5
    assert type(found) is Kinds
    put(kinds, "whole", {"S": "many"})
    check(found.refresh(), "whole")


# --- what is made of fields -----------------------------------------------------------------------------------


def test_a_counter_that_cannot_be_read_is_not_added_to(kinds: Manager, around: Callable[[], Any]) -> None:
    """By key as through an instance; nothing is written."""
    for code in ("S", "BOOL", "SS", "M", "L", "NULL"):
        key = put(kinds, "visits", {code: STORED[code]})
        with around():
            with pytest.raises(DataFormatError) as caught:
                Kinds.increment(key, visits=1)
            assert (caught.value.key, caught.value.field) == (key, "visits")
            with pytest.raises(DataFormatError):
                Kinds.find(key).visits += 1
        assert raw(kinds, key)["visits"] == {code: STORED[code]}


@pytest.mark.needs("empty_strings")
def test_relations_through_it_raise_and_peers_leave_it_out(kinds: Manager) -> None:
    """The others are loaded together."""
    for number in range(3):
        Owner.create(owner_id=f"o{number}", name=f"Owner {number}")
        Kinds.create(key=f"k{number}", owner_id=f"o{number}")
    put(kinds, "owner_id", {"N": "3"})
    put(kinds, "owner_id", {"S": ""})
    with run_with_batch_context() as session:
        rows = list(Kinds.by_place.query("here"))
        rounds = session.stats.round_trips
        good = [row for row in rows if row.key.startswith("k")]
        assert [row.owner.name for row in good] == ["Owner 0", "Owner 1", "Owner 2"]  # type: ignore[attr-defined]
        assert session.stats.round_trips == rounds + 1
        for row in rows:
            if not row.key.startswith("k"):
                with pytest.raises(DataFormatError):
                    _ = row.owner  # type: ignore[attr-defined]
    for row in Kinds.by_place.query("here", load_related=True):
        if row.key.startswith("k"):
            assert row.owner.name  # type: ignore[attr-defined]
    assert len(Kinds.by_place.query("here", related_only="owner_id").all()) == 3


def test_what_has_no_ttl_never_expires(kinds: Manager) -> None:
    """A model without the field, and an item without the attribute."""
    assert not Noted.create(note_id="1", text="a").is_expired()
    assert not Kinds.find(put(kinds, "text", {"S": "a"})).is_expired()


def test_is_expired_raises(kinds: Manager) -> None:
    """Where the ttl cannot be read."""
    found = Kinds.find(put(kinds, "ttl", {"S": "soon"}))
    with pytest.raises(DataFormatError, match="ttl"):
        found.is_expired()


def test_a_version_that_cannot_be_read_is_still_compared(kinds: Manager) -> None:
    """By its stored form."""
    note = Noted.create(note_id="1", text="a")
    key = {"_pk": {"S": "no#1"}, "_sk": {"S": "no"}}
    kinds.client.update_item(
        TableName=kinds.table_name,
        Key=key,
        UpdateExpression="SET version = :v",
        ExpressionAttributeValues={":v": {"N": "7"}},
    )
    note.refresh()
    with pytest.raises(DataFormatError):
        _ = note.version
    note.text = "b"
    note.save()
    assert note.version and type(note) is Noted


def test_force_reindex_refuses_it(kinds: Manager, wire: Wire) -> None:
    """Index keys cannot be made of what cannot be read."""
    found = Kinds.find(put(kinds, "whole", {"S": "many"}))
    with pytest.raises(DataFormatError, match="whole"):
        found.save(force_reindex=True)
    found.whole = 5
    assert found.save(force_reindex=True).whole == 5


def test_it_adds_nothing_to_a_search_text(kinds: Manager) -> None:
    """The search text is made of the fields that can be read."""
    key = put(kinds, "title", {"M": {"secret": {"S": "hidden"}}})
    found = Kinds.find(key)
    with pytest.raises(DataFormatError):
        _ = found.title
    found.title = "new"
    found.save()
    assert raw(kinds, key)["_searchText"] == {"S": "new"}


@pytest.mark.needs("empty_strings")
def test_a_unique_value_is_freed_by_its_stored_text(kinds: Manager, around: Callable[[], Any]) -> None:
    """Whatever the attribute is; also where there can be no guard."""
    Kinds.create(key="one", code="7")
    for code, content in (("N", "7"), ("NULL", True), ("M", {}), ("S", "")):
        kinds.client.update_item(
            TableName=kinds.table_name,
            Key={"_pk": {"S": "ki#one"}, "_sk": {"S": "ki"}},
            UpdateExpression="SET code = :c",
            ExpressionAttributeValues={":c": {code: content}},
        )
        with around():
            found = Kinds.find("one")
            found.code = "8"
            found.save()
            assert Kinds.find_by_unique_constraint("unique_code", "8") == found
            found.code = "7"
            found.save()
    with around():
        Kinds.delete("one")
        assert Kinds.create(key="two", code="7").code == "7"


def test_two_saves_in_one_transaction(kinds: Manager) -> None:
    """The block shows what it will leave, and the bad attribute stays."""
    key = put(kinds, "visits", {"S": "many"})
    with transaction():
        found = Kinds.find(key)
        found.other = "a"
        found.save()
        with pytest.raises(DataFormatError):
            _ = found.visits
        found.visits = 5
        found.save()
        assert (found.other, found.visits) == ("a", 5)
    assert raw(kinds, key)["visits"] == {"N": "5"}


# --- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stored", [{"N": "5"}, {"NULL": True}, {"S": "another"}, {"M": {}}, None])
def test_key_fields_come_from_the_key(kinds: Manager, around: Callable[[], Any], stored: Any) -> None:
    """What the attribute says of it does not matter."""
    item = {"key": stored} if stored is not None else {}
    key = put(kinds, "other", {"S": "readable"}, **item)
    with around():
        for found in (Kinds.find(key), Kinds.by_place.query("here").one()):
            assert found.key == found.primary_id == key
            found.other = "written"
            found.save()
    assert raw(kinds, key)["other"] == {"S": "written"}


def test_a_row_whose_key_cannot_be_told_fails_alone(kinds: Manager, around: Callable[[], Any]) -> None:
    """When it is reached; and the page goes on."""
    keys = [put(kinds, "text", {"S": "a"}), put(kinds, "title", {"S": "words"})]
    stray = {
        "_pk": {"S": "xx#stray"}, "_sk": {"S": "xx"}, "_gsi1_pk": {"S": "ki#gsi1#here"}, "_gsi1_sk": {"S": "text-T"},
        "_iter_pk": {"S": "ki#iter"}, "_iter_sk": {"S": "text-T"}, "_searchText": {"S": "words"},
    }  # fmt: skip
    kinds.client.put_item(TableName=kinds.table_name, Item=stray)
    with around():
        result = Kinds.by_place.query("here")
        assert len(result) == result.count == 3 and result
        assert result[0].key == keys[0] and result[2].key == keys[1]
        with pytest.raises(DataFormatError) as caught:
            _ = result[1]
        assert caught.value.model == "Kinds" and "xx#stray" in str(caught.value)
        for ways in (lambda: result.items, lambda: result[:], lambda: list(result)):
            with pytest.raises(DataFormatError):
                ways()
        for rows in (iter(result), iter(Kinds.search_all(["words"]))):
            assert [next(rows).key for _ in range(1)] == keys[:1]
            with pytest.raises(DataFormatError):
                next(rows)
            assert [one.key for one in rows] == keys[1:]
        for batches in (result.pages(), Kinds.iterate_all()):
            assert [one.key for one in next(batches)] == keys
            with pytest.raises(DataFormatError):
                next(batches)
            assert list(batches) == []
        related = Kinds.by_place.query("here", load_related=True)
        assert [related[0].key, related[2].key] == keys


class Handle(StringField):
    """A name whose key does not tell capitals."""

    def to_key(self, value: str) -> str:
        return value.lower()

    def from_key(self, text: str) -> str:
        return text


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ({}, "Ada"),
        ({"age": {"S": "old"}}, "Ada"),
        ({"name": {"S": "Bob"}}, "ada"),
        ({"name": {"N": "1"}}, "ada"),
        ({"name": {"N": "1"}, "age": {"S": "old"}}, "ada"),
    ],
    ids=["good", "another bad one", "of another key", "unreadable", "both unreadable"],
)
def test_a_key_field_says_more_than_its_key_where_both_agree(stored: dict[str, Any], name: str) -> None:
    """A key may hold less than the value, such as a name in lower case. An attribute that does not fit is ignored."""

    class Person(Model, prefix="pn"):
        name: str = Handle()
        age: int | None = IntegerField(default=None)
        primary_key = PrimaryKey("name")
        people = Index(MODEL_PREFIX, "name", id="gsi1")

    with init_models(models=[Person], embedded=True) as manager:
        Person.create(name="Ada")
        (item,) = manager.client.scan(TableName=manager.table_name)["Items"]
        manager.client.put_item(TableName=manager.table_name, Item={**item, **stored})
        (found,) = Person.people.query()
        assert (found.name, Person.find_or_raise("ada").name) == (name, name)


def test_a_missing_item_stays_missing(kinds: Manager) -> None:
    """An instance that had a bad attribute, of an item that is gone since."""
    found = Kinds.find(put(kinds, "whole", {"S": "many"}))
    kinds.client.delete_item(
        TableName=kinds.table_name, Key={"_pk": {"S": f"ki#{found.key}"}, "_sk": {"S": "ki"}}
    )
    found.refresh()
    assert not found
    with pytest.raises(ItemNotFoundError):
        _ = found.whole
