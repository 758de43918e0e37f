"""Keys: every value its own key, in the order of the values."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    BaoError,
    ConfigurationError,
    DateTimeField,
    FloatField,
    Index,
    IntegerField,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    TenantContext,
    TenantError,
    TtlField,
    UlidField,
    ValidationError,
    init_models,
)


class DxSingle(Model, prefix="x2a"):
    key: str = StringField()

    primary_key = PrimaryKey("key")


class DxNote(Model, prefix="x2b"):
    topic: str = StringField()
    writer: str = StringField()

    primary_key = PrimaryKey("topic", "writer")


class DxLike(Model, prefix="x2c"):
    note: str = RelatedField("DxNote")
    liker: str = StringField()

    primary_key = PrimaryKey("note", "liker")


class DxReaction(Model, prefix="x2i"):
    key: str = UlidField(auto_assign=True)
    note: str = RelatedField("DxNote")

    primary_key = PrimaryKey("key")
    by_note = Index("note", "key", id="gsi1")


class DxGlobal(Model, prefix="x2d"):
    key: str = StringField()
    text: str = StringField(default="")

    primary_key = PrimaryKey(MODEL_PREFIX, "key")
    all_of_them = primary_key
    by_text = Index(MODEL_PREFIX, "text", id="gsi1")


class DxNumbered(Model, prefix="x2e"):
    number: int = IntegerField()
    part: str = StringField()

    primary_key = PrimaryKey("number", "part")
    parts = primary_key


class DxSparse(Model, prefix="x2f"):
    key: str = StringField()
    text: str | None = StringField(default=None)
    number: int | None = IntegerField(default=None)
    moment: datetime | None = DateTimeField(default=None)

    primary_key = PrimaryKey("key")
    by_text = Index("text", "key", id="gsi1")
    by_number = Index("number", "key", id="gsi2")
    by_moment = Index("moment", "key", id="gsi3")


class DxSorted(Model, prefix="x2g"):
    key: str = StringField()
    group: str = StringField(default="g")
    whole: int = IntegerField(default=0)
    real: float = FloatField(default=0.0)
    moment: datetime | None = DateTimeField(default=None)

    primary_key = PrimaryKey("key")
    by_whole = Index("group", "whole", id="gsi1")
    by_real = Index("group", "real", id="gsi2")
    by_moment = Index("group", "moment", id="gsi3")


class DxLasting(Model, prefix="x2h"):
    key: str = StringField()
    ttl: datetime | None = TtlField(default=None)

    primary_key = PrimaryKey("key")
    by_ttl = Index("ttl", "key", id="gsi1")


MODELS = [DxSingle, DxNote, DxReaction, DxGlobal, DxNumbered, DxSparse, DxSorted, DxLasting]


@pytest.mark.defect(10)
def test_separator_in_ids(manager: Manager) -> None:
    """An id with the separator finds no other item, and no relation to a composite key loses a part of it."""
    DxSingle.create(key="u1")
    try:
        found = DxSingle.find_or_none("u1##__SK__##anything")
    except BaoError:
        found = None
    assert found is None
    ada = DxNote.create(topic="t", writer="ada")
    with pytest.raises(ConfigurationError, match=r"DxLike\.note.*two parts"):
        init_models(models=[DxNote, DxLike], embedded=True)
    first = DxReaction.create(note=ada.primary_id)
    assert first.note == ada.primary_id
    assert DxReaction.find(first.key).related(DxNote, "note").writer == "ada"
    assert [one.key for one in DxReaction.by_note.query(ada.primary_id)] == [first.key]


@pytest.mark.defect(11)
def test_hash_in_prefixes_and_tenants(manager: Manager) -> None:
    """Prefixes and tenants that could imitate another key are refused; a '#' in an id stays in the id."""
    with pytest.raises(ConfigurationError):

        class DxHash(Model, prefix="h#a"):
            key: str = StringField()

            primary_key = PrimaryKey("key")

    with pytest.raises(TenantError), TenantContext.run_with_tenant("t]#"):
        DxSingle.create(key="a")
    DxSingle.create(key="a#1")
    assert DxSingle.find("a#1").key == "a#1"
    assert DxSingle.find_or_none("1") is None


@pytest.mark.defect(12)
def test_prefix_as_partition_key(manager: Manager) -> None:
    """Items under the model's prefix are kept apart by tenant, and queries of the prefix find them."""
    for tenant in ("t1", "t2"):
        with TenantContext.run_with_tenant(tenant):
            assert DxGlobal.find_or_none("same") is None
            DxGlobal.create(key="same", text=tenant)
    with TenantContext.run_with_tenant("t2"):
        assert DxGlobal.find("same").text == "t2"
        assert [one.text for one in DxGlobal.all_of_them.query(MODEL_PREFIX)] == ["t2"]
        assert [one.text for one in DxGlobal.by_text.query(MODEL_PREFIX)] == ["t2"]


@pytest.mark.defect(13)
def test_integer_partition_key(manager: Manager) -> None:
    """Finds and queries of an integer partition key take the integer."""
    DxNumbered.create(number=7, part="a")
    assert DxNumbered.find((7, "a")).part == "a"
    assert [one.part for one in DxNumbered.parts.query(7)] == ["a"]


@pytest.mark.defect(14)
def test_cleared_index_field(manager: Manager, raw: Any) -> None:
    """An unset or cleared field takes its item out of the index, whatever its type."""
    one = DxSparse.create(key="a")
    assert not [name for name in raw("x2f#a") if name.startswith("_gsi")]
    one.text, one.number, one.moment = "s", 0, datetime(1970, 1, 1, tzinfo=timezone.utc)
    one.save()
    assert len([name for name in raw("x2f#a") if name.startswith("_gsi")]) == 6
    one.text = one.number = one.moment = None
    one.save()
    assert not [name for name in raw("x2f#a") if name.startswith("_gsi")]
    assert len(DxSparse.by_text.query("null")) == 0


@pytest.mark.defect(15)
def test_order_of_keys(manager: Manager) -> None:
    """Negative numbers, fractions and dates before 1970 sort as values, and the epoch is read as itself."""
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    wholes = [-20, -5, -3, 0, 2, 10]
    reals = [-200.5, -1.0, 0.5, 0.9, 10.0, 200.0]
    moments = [epoch + timedelta(seconds=second) for second in (-2000, -30, -2, 0, 1, 10)]
    for number in (3, 0, 5, 1, 4, 2):
        DxSorted.create(key=str(number), whole=wholes[number], real=reals[number], moment=moments[number])
    assert [one.whole for one in DxSorted.by_whole.query("g")] == wholes
    assert [one.real for one in DxSorted.by_real.query("g")] == reals
    assert [one.moment for one in DxSorted.by_moment.query("g")] == moments
    assert [one.whole for one in DxSorted.by_whole.query("g", {"whole": {"$gte": -4}})] == wholes[2:]
    with pytest.raises(ValidationError):
        DxSorted.create(key="big", whole=10**20)


@pytest.mark.defect(16)
def test_ttl_in_an_index(manager: Manager, raw: Any) -> None:
    """A time to live is stored and indexed in the same seconds, and an equality query finds it."""
    moment = datetime(2030, 1, 1, tzinfo=timezone.utc)
    DxLasting.create(key="a", ttl=moment)
    assert raw("x2h#a")["ttl"]["N"] == "1893456000"
    assert Decimal(raw("x2h#a")["_gsi1_pk"]["S"].rsplit("#", 1)[1]) == 1893456000
    assert [one.ttl for one in DxLasting.by_ttl.query(moment)] == [moment]
