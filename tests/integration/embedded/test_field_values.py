"""Fields and values: checked before they are sent, read back as they were, changed as asked for."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    BaoError,
    BooleanField,
    ConditionalError,
    CreateDateField,
    FloatField,
    Index,
    IntegerField,
    ItemNotFoundError,
    ListField,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    UlidField,
    ValidationError,
    VersionConflictError,
    VersionField,
    run_with_batch_context,
)
from tests.support.wire import Wire

Raw = Callable[[str], dict[str, Any]]


class DxValues(Model, prefix="x6a"):
    key: str = StringField()
    short: str = StringField(default="", max_length=3)
    whole: int | None = IntegerField(default=0)
    real: float = FloatField(default=lambda: 1.5)
    flag: bool = BooleanField(default=False)
    ulid: str | None = UlidField(default=None)
    tags: set[str] = StringSetField(default={"x"})
    created: datetime = CreateDateField()
    listed: list[Any] = ListField(default=list)

    primary_key = PrimaryKey("key")


class DxVersioned(Model, prefix="x6b"):
    key: str = StringField()
    text: str = StringField(default="")
    version: str = VersionField()

    primary_key = PrimaryKey("key")


class DxOwner(Model, prefix="x6c"):
    key: str = StringField()

    primary_key = PrimaryKey("key")


class DxOwned(Model, prefix="x6d"):
    key: str = StringField()
    owner_id: str | None = RelatedField("DxOwner", default=None)

    primary_key = PrimaryKey("key")
    owned = Index("owner_id", "key", id="gsi1")


class DxIndexed(Model, prefix="x6e", iterable=True, searchable=["title", "body"]):
    key: str = StringField()
    role: str | None = StringField(default=None)
    status: str | None = StringField(default=None)
    title: str = StringField(default="")
    body: str = StringField(default="")

    primary_key = PrimaryKey("key")
    by_role = Index("role", "status", id="gsi1")
    all_status = Index(MODEL_PREFIX, "status", id="gsi2")
    status_all = Index("status", MODEL_PREFIX, id="gsi3")


MODELS = [DxValues, DxVersioned, DxOwner, DxOwned, DxIndexed]


@pytest.mark.defect(48)
def test_validation(manager: Manager) -> None:
    """Wrong values are ValidationErrors that name their field; falsy, callable and set defaults are used."""
    for field, value in (
        ("short", "12345678"),
        ("short", 42),
        ("whole", 3.7),
        ("whole", "abc"),
        ("real", math.nan),
        ("ulid", "01JGFJJZ00CMT0000000000OIL"),
        ("created", "not a date"),
    ):
        with pytest.raises(ValidationError) as caught:
            DxValues.create(key="a", **{field: value})
        assert field in str(caught.value)
    with pytest.raises(ValidationError, match="key"):
        DxValues()
    one = DxValues.create(key="a", whole=None)
    found = DxValues.find("a")
    assert (found.short, found.whole, found.real, found.flag, found.tags) == ("", None, 1.5, False, {"x"})
    assert one == found


@pytest.mark.defect(49)
def test_versions(manager: Manager) -> None:
    """A version is the same at every read, renewed by saves and reindexing, increasing, and checked."""
    one = DxVersioned.create(key="a")
    first = one.version
    assert DxVersioned.find("a").version == DxVersioned.find("a").version == first
    other = DxVersioned.find("a")
    assert other.text == ""
    one.save(force_reindex=True)
    assert one.version > first
    versions = [one.version]
    for number in range(20):
        one.text = str(number)
        one.save()
        versions.append(one.version)
    assert versions == sorted(set(versions))
    other.text = "late"
    with pytest.raises(VersionConflictError):
        other.save()


@pytest.mark.defect(50)
def test_empty_updates(manager: Manager) -> None:
    """An update of nothing, or to an equal set, is no error."""
    DxValues.create(key="a", tags={"x"})
    assert DxValues.update("a").key == "a"
    assert DxValues.update("a", tags={"x"}).tags == {"x"}
    assert DxValues.find("a").save().tags == {"x"}


@pytest.mark.defect(51)
def test_empty_texts(manager: Manager) -> None:
    """An empty text is stored and read back as one."""
    DxValues.create(key="a", short="")
    assert DxValues.find("a").short == ""
    DxValues.update("a", short="x")
    assert DxValues.update("a", short="").short == ""


@pytest.mark.defect(52)
def test_marshalling(manager: Manager, raw: Raw) -> None:
    """Lists stay lists, and large numbers keep their digits."""
    DxValues.create(key="a", listed=["b", "a", "b", 2**60 + 1], whole=2**60 + 1)
    found = DxValues.find("a")
    assert found.listed == ["b", "a", "b", 2**60 + 1]
    assert found.whole == 2**60 + 1
    assert "L" in raw("x6a#a")["listed"]
    with pytest.raises(BaoError):
        DxValues.create(key="b", listed=[math.nan])


@pytest.mark.defect(53)
def test_missing_items(manager: Manager) -> None:
    """A missing item names its model and key, knows what it cost, and is found once it is there."""
    with run_with_batch_context():
        missing = DxValues.find("gone")
        assert not missing
        assert "gone" in repr(missing)
        with pytest.raises(ItemNotFoundError, match=r"DxValues.*gone"):
            _ = missing.whole
        owned = DxOwned.create(key="a", owner_id="o")
        assert not owned.related(DxOwner, "owner_id").exists()
        DxOwner.create(key="o")
        assert owned.related(DxOwner, "owner_id").exists()


@pytest.mark.defect(54)
def test_logging(manager: Manager, caplog: pytest.LogCaptureFixture) -> None:
    """A condition that fails as expected logs no error, and no log shows a value."""
    DxValues.create(key="a", short="abc")
    with caplog.at_level(logging.DEBUG, "dynamo_bao"), pytest.raises(ConditionalError):
        DxValues.update("a", condition={"short": "zzq"}, short="qqz")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert "zzq" not in caplog.text
    assert "qqz" not in caplog.text


@pytest.mark.defect(55)
def test_relations(manager: Manager, wire: Wire) -> None:
    """Another model's instance is refused, and many relations are loaded in one request, in a context or not."""
    with pytest.raises(ValidationError, match="owner_id"):
        DxOwned.create(key="a", owner_id=DxValues.create(key="v"))
    owner = DxOwner.create(key="o0")
    DxOwned.create(key="0", owner_id=owner)
    for number in range(1, 5):
        DxOwner.create(key=f"o{number}")
        DxOwned.create(key=str(number), owner_id=f"o{number}")
    with run_with_batch_context():
        owned = [DxOwned.find(str(number)) for number in range(5)]
        assert all(owned)
        wire.clear()
        assert [one.related(DxOwner, "owner_id").exists() for one in owned] == [True] * 5
        assert wire.operations == ["BatchGetItem"]
    wire.clear()
    assert len(DxOwned.owned.query("o1", load_related=True)) == 1
    assert len(wire) == 2


@pytest.mark.defect(57)
def test_sparse_index_with_prefix(manager: Manager, raw: Raw) -> None:
    """With the optional half of an index unset, or cleared, other fields can be updated."""
    DxIndexed.create(key="a")
    assert DxIndexed.update("a", title="one").title == "one"
    DxIndexed.update("a", role="r", status="s")
    assert "_gsi2_pk" in raw("x6e#a")
    DxIndexed.update("a", status=None)
    assert not [name for name in raw("x6e#a") if name.startswith("_gsi")]
    assert DxIndexed.update("a", title="two", role="q").title == "two"


@pytest.mark.defect(58)
def test_no_drift(manager: Manager, raw: Raw) -> None:
    """Index keys and search text follow the fields though updates start from what is no longer stored."""
    DxIndexed.create(key="a", role="user", status="new", title="title one", body="body one")
    with run_with_batch_context():
        inside = DxIndexed.find("a")
        assert inside.role == "user"
        with run_with_batch_context():
            DxIndexed.update("a", role="admin", title="title two")
        DxIndexed.update("a", status="old", body="body two")
    item = raw("x6e#a")
    assert (item["_gsi1_pk"]["S"], item["_gsi1_sk"]["S"]) == ("x6e#gsi1#admin", "old")
    assert item["_searchText"] == {"S": "title two body two"}


@pytest.mark.defect(59)
def test_an_update_of_a_set_gives_that_set(manager: Manager) -> None:
    """An update to a set gives that set, whatever the context knew before."""
    DxValues.create(key="a", tags={"x"})
    with run_with_batch_context():
        assert DxValues.find("a").tags == {"x"}
        DxValues.update("a", tags={"a", "b"})
        assert DxValues.update("a", tags={"a", "c"}).tags == {"a", "c"}
        with run_with_batch_context():
            DxValues.update("a", tags={"d"})
        DxValues.update("a", tags={"a"})
    assert DxValues.find("a").tags == {"a"}


def test_dates_are_milliseconds(manager: Manager) -> None:
    """The epoch, and dates before it, are read back as themselves."""
    for number in (-1, 0, 1):
        moment = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=number)
        DxValues.create(key=str(number), created=moment)
        assert DxValues.find(str(number)).created == moment
