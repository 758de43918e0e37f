"""An item that is spelled is the item that is made of dicts."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings, strategies as st

from dynamo_bao import (
    BooleanField,
    CounterField,
    DateTimeField,
    FloatField,
    Index,
    IntegerField,
    MapField,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    UlidField,
    UuidField,
    ValidationError,
)
from dynamo_bao.dynamodb.items import as_dict_item
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import MAX_ITEM_BYTES
from dynamo_bao.models.class_builder import schema_of
from tests.support.values import SCALARS, TEXTS, VALUES


class Simple(Model, prefix="sm", iterable=True):
    """Fields of all kinds that an item can be spelled of."""

    simple_id: Any = StringField()
    made: Any = UlidField(auto_assign=True)
    text: Any = StringField(default="a")
    short: Any = StringField(default=None, max_length=4, attribute='it\'s "short"')
    other: Any = RelatedField("Simple", default=None)
    number: Any = IntegerField(default=None, maximum=10**20)
    views: Any = CounterField()
    ratio: Any = FloatField(default=0.5)
    share: Any = FloatField(default=None)
    flag: Any = BooleanField(default=None)
    moment: Any = DateTimeField(default=None)
    code: Any = UuidField(default=None)
    labels: Any = StringSetField()

    primary_key = PrimaryKey("simple_id")
    by_other = Index("other", "text", id="gsi1")


class Documented(Model, prefix="dc"):
    """A model whose items are not spelled."""

    documented_id: str
    map: dict[str, Any] = MapField(default=None)

    primary_key = PrimaryKey("documented_id")


SCHEMA = schema_of(Simple)
TRICKY = st.sampled_from(
    ['"', "\\", "a\nb", "\x00", "\x7f", "\u2028", "Gödel", "𝄞", "\ud800", "", "{v0}", "%s", "'", "</script>"]
)
GIVEN = st.dictionaries(
    st.sampled_from(sorted(SCHEMA.fields)),
    SCALARS | TEXTS | TRICKY | st.sets(TEXTS | TRICKY, max_size=4) | st.one_of(*VALUES.values()),
    max_size=5,
)


def spelled(*all_values: dict[str, Any], tenant: str | None = None) -> list[dict[str, Any]] | None:
    """The items that are spelled of some values, of which the key is a text; None where they are not."""
    identities = [SCHEMA.keys.from_values(tenant, values) for values in all_values]
    keys = [identity.key for identity in identities]
    items = SCHEMA.encoded_json(all_values, keys, [(tenant, identity.primary_id) for identity in identities])
    return None if items is None else [as_dict_item(item) for item in items]


def by_dicts(values: dict[str, Any], tenant: str | None = None) -> dict[str, Any]:
    """The item of some values that is made of dicts."""
    accepted = SCHEMA.accept_all(dict(values))
    return SCHEMA.item(tenant, SCHEMA.keys.from_values(tenant, accepted), accepted)


@settings(max_examples=800, deadline=None)
@given(GIVEN, TEXTS | TRICKY, st.sampled_from([None, "acme"]))
def test_spelling_is_accepting_and_encoding(values: dict[str, Any], text: str, tenant: str | None) -> None:
    """Of any values it gives the item that dicts give, or none."""
    now = {**vars(Simple(simple_id="1", text=text)), **values}
    before = dict(now)
    if type(now["simple_id"]) is not str:
        return
    try:
        items = spelled(now, tenant=tenant)
    except ValidationError:  # of the key, which is checked by itself
        return
    assert all(now[name] is before[name] for name in now)
    if items is not None:
        assert items == [by_dicts(now, tenant)]


@pytest.mark.parametrize("text", ["plain", "Gödel", "it's", "{v0} %s", "𝄞" * 3, "\x7f"])
def test_usual_texts_are_spelled(text: str) -> None:
    """The short way is the usual one, whether optional fields have values or none."""
    assert spelled(vars(Simple(simple_id="1", text=text))) is not None
    made = Simple(
        simple_id="1",
        text=text,
        labels={text, "b"},
        number=-5,
        ratio=2.0,
        flag=False,
        moment=datetime(2020, 1, 1, tzinfo=timezone.utc),
        code=uuid4(),
        other="2",
    )
    (item,) = spelled(vars(made)) or ()
    assert (item["text"], item["number"], item["ratio"]) == ({"S": text}, {"N": "-5"}, {"N": "2"})
    assert item["_gsi1_sk"] == {"S": text}


@pytest.mark.parametrize("text", ['"', "a\\b", "two\nlines", "\x00", "\u2028"])
def test_texts_with_escapes_are_spelled_with_them(text: str) -> None:
    """Wherever they are; other items of the commit are what they were."""
    usual = Simple(simple_id="1", text="plain", labels={"a", "b"})
    for made in (
        Simple(simple_id="2", text=text, other=text),
        Simple(simple_id="2", labels={"a", text}),
        Simple(simple_id=text),
    ):
        assert spelled(vars(usual), vars(made)) == [by_dicts(vars(usual)), by_dicts(vars(made))]


def test_texts_that_utf_8_cannot_say_are_not() -> None:
    """They are told by the way that has the errors."""
    for made in (Simple(simple_id="1", text="\ud800"), Simple(simple_id="1", labels={"a", "\ud800"})):
        assert spelled(vars(made)) is None


def test_members_of_sets_that_are_no_texts_are_not() -> None:
    """A set is looked at no earlier than when it is joined."""
    made = Simple(simple_id="1", labels={"a"})
    for member in (1, b"b", None):
        made.labels = {member}
        assert spelled(vars(made)) is None


def test_large_items_and_those_with_documents_are_not() -> None:
    """An item that may be over the limit is measured; what is decoded anew when it is stored needs its dict."""
    assert spelled(vars(Simple(simple_id="1", text="a" * MAX_ITEM_BYTES))) is None
    assert spelled(vars(Simple(simple_id="1", text="ä" * (MAX_ITEM_BYTES // 2)))) is None
    assert spelled(vars(Simple(simple_id="1", text="ä" * 10_000))) is not None
    documented = [vars(Documented(documented_id="1"))]
    assert schema_of(Documented).encoded_json(documented, [Key("dc#1", "dc")], [(None, "1")]) is None


def test_usual_texts_are_checked_together() -> None:
    """A commit of many items makes no call for each text."""
    items = [
        vars(Simple(simple_id=str(number), text="Gödel", short="a", labels={"b"})) for number in range(9)
    ]
    calls: list[str] = []

    def see(frame: Any, event: str, argument: Any) -> None:
        # Without the callbacks of the garbage collector, which may run at any time.
        if event == "call" and "dynamo_bao" in frame.f_code.co_filename:
            calls.append(frame.f_code.co_name)

    keys = [(f"sm#{number}", "sm") for number in range(9)]
    encode_json: Any = SCHEMA.encode_json
    assert encode_json(items, keys) is not None
    before = sys.getprofile()
    sys.setprofile(see)
    try:
        assert len(SCHEMA.encode_json(items, keys) or ()) == 9
    finally:
        sys.setprofile(before)
    assert set(calls) <= {"encode_json", "needs_escapes", "dumps", "is_ulid"}
    assert calls.count("dumps") <= 2  # once for all texts, through the module that chooses what writes JSON
