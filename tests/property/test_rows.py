"""Rows say what dicts say: a reply that is parsed into rows gives the values and items it would give by dicts."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from dynamo_bao import IntegerField, Model, PrimaryKey, StringField
from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.items import KeyedItems, as_dict_item, as_dict_members, json_keys, json_list
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import PK, SK, slot_of
from dynamo_bao.dynamodb.rows import MAX_PASSED_OVER, RowType, plain_list, plain_map
from dynamo_bao.dynamodb.transport.integrity import parse_reply
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.row_types import row_type
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.session.hydration import hydrate_batch, instances_from_rows
from dynamo_bao.session.state import pending_instance, state_of
from tests.property.test_short_ways import GIVEN, Whole
from tests.support.values import TEXTS, types_of

SCHEMA = schema_of(Whole)
KNOWN = {"whole_id": "1"}
KEYS = {PK: {"S": "w#1"}, SK: {"S": "w"}}


class Odd(Model, prefix="od"):
    """Attributes whose names Python has other uses for, or no use at all."""

    odd_id: str
    first: str | None = StringField(default=None, attribute="first-name")
    second: int | None = IntegerField(default=None, attribute="class")
    third: str | None = StringField(default=None, attribute="mro")
    fourth: str | None = StringField(default=None, attribute="größe")

    primary_key = PrimaryKey("odd_id")


def body_of(*items: dict[str, Any], operation: str = "Query") -> bytes:
    """A reply with these items, as it travels."""
    reply: dict[str, Any] = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
    if operation == "BatchGetItem":
        reply = {"Responses": {"t": items}, "UnprocessedKeys": {}}
    return json.dumps(reply, default=lambda value: b64encode(value).decode()).encode()


def only_row(schema: Schema, item: dict[str, Any], operation: str = "Query") -> Any:
    """The only row of a reply with one item."""
    kind = row_type(schema)
    assert kind is not None
    reply = kind.parsed(body_of(item, operation=operation), operation)
    assert reply is not None
    (row,) = reply["Items"] if operation == "Query" else reply["Responses"]["t"]
    return row


@settings(max_examples=400, deadline=None)
@given(GIVEN, TEXTS, st.sampled_from(["Query", "BatchGetItem"]))
def test_a_row_gives_what_an_item_gives(values: dict[str, Any], text: str, operation: str) -> None:
    """The values of all kinds of fields, and the item itself."""
    item = SCHEMA.store({**vars(Whole(str=text)), **values})
    if item is None:  # refused, or not simple enough
        return
    item |= KEYS
    row = only_row(SCHEMA, item, operation)
    by_row, by_dict = SCHEMA.decode_row(row, None, KNOWN), SCHEMA.decode(item, None, KNOWN)
    assert by_row == by_dict
    assert types_of(by_row) == types_of(by_dict)
    assert list(by_row)[:2] == [STATE, "whole_id"]
    assert as_dict_item(row) == item


@pytest.mark.parametrize(
    "attribute",
    [
        {"unknown": {"S": "of no field"}},
        {"str": {"N": "1"}},
        {"str": {"NULL": True}},
        {"state": {"S": "no number"}},
        {"bytes": {"B": "no base64!"}},
        {"map": {"M": {"a": {"X": "no type"}}}},
        {"_gsi1_pk": {"S": "of an index that the model does not have"}},
    ],
    ids=lambda attribute: "-".join(attribute),
)
def test_what_no_model_expects_is_parsed_into_dicts(attribute: dict[str, Any]) -> None:
    """Nothing of an item is dropped, and nothing is read as what it is not."""
    kind = RowType({PK: "S", SK: "S", "str": "S", "state": "N", "bytes": "B", "map": "M"})
    assert kind.parsed(body_of({**KEYS, **attribute}), "Query") is None


def test_missing_attributes_and_odd_numbers_are_read_with_care() -> None:
    """By the same way that dicts go then."""
    item = {**KEYS, "whole_id": {"S": "01J00000000000000000000000"}, "state": {"N": "1E+2"}}
    values = SCHEMA.decode_row(only_row(SCHEMA, item), None, KNOWN)
    assert (values["state"], values["type"], values["str"], values["set"]) == (100, "plain", None, set())


def test_names_that_python_has_other_uses_for() -> None:
    """An attribute may have any name."""
    item = {
        PK: {"S": "od#1"},
        SK: {"S": "od"},
        "odd_id": {"S": "1"},
        "first-name": {"S": "Ada"},
        "class": {"N": "2"},
        "mro": {"S": "three"},
        "größe": {"S": "vier"},
    }
    row = only_row(schema_of(Odd), item)
    values = schema_of(Odd).decode_row(row, None, {"odd_id": "1"})
    assert [values[name] for name in ("first", "second", "third", "fourth")] == ["Ada", 2, "three", "vier"]
    assert as_dict_item(row) == item
    assert len({slot_of(name) for name in item}) == len(item)


def test_after_a_reply_that_does_not_fit_more_and_more_are_passed_over() -> None:
    """After a misfit, 2 replies are parsed into dicts, then 4, up to 256. A reply that fits starts at 2 again."""
    kind, strange, usual = RowType({PK: "S", SK: "S"}), body_of({**KEYS, "more": {"S": "x"}}), body_of(KEYS)

    def passed_over() -> int:
        """How many replies that fit are parsed into dicts after one that does not."""
        assert kind.parsed(strange, "Query") is None
        return next(number for number in range(1000) if kind.parsed(usual, "Query") is not None)

    assert [passed_over() for _ in range(2)] == [2, 2]
    tries = []
    for number in range(1500):
        missed = kind._misses
        assert kind.parsed(strange, "Query") is None
        tries += [number] * (kind._misses - missed)
    assert tries[:9] == [0, 3, 8, 17, 34, 67, 132, 261, 518]
    assert tries[9:] == [518 + 257, 518 + 2 * 257, 518 + 3 * 257]


def test_replies_that_do_not_fit_are_seldom_tried() -> None:
    """Where items always hold more than the models know, hardly any reply is parsed twice; later ones that fit are."""
    kind, strange, usual = RowType({PK: "S", SK: "S"}), body_of({**KEYS, "more": {"S": "x"}}), body_of(KEYS)
    answers = [kind.parsed(strange, "Query") for _ in range(2000)]
    assert answers == [None] * 2000
    assert kind._misses < 20
    assert any(kind.parsed(usual, "Query") is not None for _ in range(MAX_PASSED_OVER + 1))
    assert kind.parsed(usual, "Query") is not None


def test_rows_of_several_models_and_where_there_are_none() -> None:
    """A batch over models has rows with the attributes of all; where one attribute has two types it has dicts."""

    class Number(Model, prefix="nu"):
        number_id: str
        text: int

        primary_key = PrimaryKey("number_id")

    class Text(Model, prefix="tx"):
        text_id: str
        text: str

        primary_key = PrimaryKey("text_id")

    several = row_type(schema_of(Text), schema_of(Odd))
    assert several is not None
    text = {PK: {"S": "tx#1"}, SK: {"S": "tx"}, "text_id": {"S": "1"}, "text": {"S": "a"}}
    odd = {PK: {"S": "od#1"}, SK: {"S": "od"}, "odd_id": {"S": "1"}}
    reply = several.parsed(body_of(text, odd, operation="BatchGetItem"), "BatchGetItem")
    assert reply is not None
    assert [as_dict_item(row) for row in reply["Responses"]["t"]] == [text, odd]
    assert schema_of(Text).decode_row(reply["Responses"]["t"][0], None, {"text_id": "1"})["text"] == "a"
    assert row_type(schema_of(Text), schema_of(Number)) is None


@pytest.mark.parametrize(
    ("operation", "member"), [("GetItem", "Item"), ("UpdateItem", "Attributes"), ("DeleteItem", "Attributes")]
)
def test_a_reply_with_one_row(operation: str, member: str) -> None:
    """It has the item, and what the request cost where that was asked for; without an item there is no row."""
    capacity = {"TableName": "t", "CapacityUnits": 0.5}
    for more in ({}, {"ConsumedCapacity": capacity}):
        kind = RowType({PK: "S", SK: "S"})
        reply = kind.parsed(json.dumps({member: KEYS, **more}).encode(), operation)
        assert reply is not None
        assert as_dict_item(reply.pop(member)) == KEYS
        assert reply == more
        assert kind.parsed(json.dumps(more).encode(), operation) is None


EVERY_TYPE: dict[str, tuple[Any, Any]] = {
    "text": ({"S": "a"}, "a"),
    "no text": ({"S": ""}, ""),
    "whole": ({"N": "1"}, 1),
    "fraction": ({"N": "0.5"}, 0.5),
    "true": ({"BOOL": True}, True),
    "false": ({"BOOL": False}, False),
    "null": ({"NULL": True}, None),
    "binary": ({"B": b"1"}, b"1"),
    "no binary": ({"B": b""}, b""),
    "texts": ({"SS": ["a", "b"]}, {"a", "b"}),
    "numbers": ({"NS": ["1", "0.5"]}, {1, 0.5}),
    "binaries": ({"BS": [b"a", b"b"]}, {b"a", b"b"}),
    "map": ({"M": {"a": {"N": "1"}, "b": {"S": ""}}}, {"a": 1, "b": ""}),
    "no map": ({"M": {}}, {}),
    "list": ({"L": [{"N": "1"}, {"S": ""}]}, [1, ""]),
    "no list": ({"L": []}, []),
}
"""What may be stored in a document, and the value it stands for."""


@pytest.mark.parametrize("name", EVERY_TYPE)
def test_parts_of_documents_of_every_type(name: str) -> None:
    """In maps and in lists, they are the plain values that dicts give."""
    stored, value = EVERY_TYPE[name]
    item = {**KEYS, "str": {"S": ""}, "map": {"M": {"part": stored}}, "list": {"L": [stored]}}
    row = only_row(SCHEMA, item)
    assert types_of(plain_map(row.map.M)) == types_of({"part": value})
    assert (plain_map(row.map.M), plain_list(row.list.L)) == ({"part": value}, [value])
    for values in (SCHEMA.decode_row(row, None, KNOWN), SCHEMA.decode(item, None, KNOWN)):
        assert (values["map"], values["list"]) == ({"part": value}, [value])
        assert types_of(values["list"]) == types_of([value])
    assert as_dict_item(row) == item


class Typed(Model, prefix="ty"):
    """Documents whose parts all have one type."""

    typed_id: str
    words: list[str] = []  # a default of the model
    counts: list[int] = []
    names: dict[str, str] = {}

    primary_key = PrimaryKey("typed_id")


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("words", {"L": [{"S": "a"}, {"N": "1"}]}),
        ("counts", {"L": [{"N": "1"}, {"S": "1"}]}),
        ("counts", {"L": [{"N": "1.5"}]}),
        ("names", {"M": {"a": {"S": "b"}, "c": {"BOOL": True}}}),
    ],
)
def test_parts_of_another_type_are_unreadable(name: str, stored: Any) -> None:
    """In a row as in a dict; the other fields are read."""
    schema = schema_of(Typed)
    fine: Any = {
        "words": {"L": [{"S": "a"}]},
        "counts": {"L": [{"N": "1E+1"}]},
        "names": {"M": {"a": {"S": "b"}}},
    }
    known = {"typed_id": "1"}
    for item, left_out in (({**KEYS, **fine}, ""), ({**KEYS, **fine, name: stored}, name)):
        wanted = {"words": ["a"], "counts": [10], "names": {"a": "b"}}
        wanted.pop(left_out, None)
        for decode, form in ((schema.decode_row, only_row(schema, item)), (schema.decode, item)):
            values = decode(form, type("State", (), {})(), known)
            assert {field: values[field] for field in wanted} == wanted
            assert left_out not in values


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"<html>", b'{"Items":[{"_pk":{"S":"\xff"}}]}'])
def test_what_is_no_reply_is_left_to_the_parser_that_says_so(body: bytes) -> None:
    """No half of a reply is taken for a whole one."""
    assert RowType({PK: "S", SK: "S"}).parsed(body, "Query") is None


def test_an_instance_of_a_row_knows_its_whole_item() -> None:
    """What a save compares with is the item as it is stored."""
    schema = schema_of(Odd)
    item = {PK: {"S": "od#1"}, SK: {"S": "od"}, "odd_id": {"S": "1"}, "class": {"N": "2"}}
    home: Any = type("Home", (), {"schema": schema, "model": Odd, "lazy_class": Odd})()
    (by_row,) = instances_from_rows(home, None, [only_row(schema, item)])
    (by_dict,) = instances_from_rows(home, None, [parse_reply(body_of(item), "Query")["Items"][0]])
    assert state_of(by_row).dict_item() == state_of(by_dict).dict_item() == item
    assert (by_row.odd_id, by_row.second) == (by_dict.odd_id, by_dict.second) == ("1", 2)


def test_items_of_one_batch_may_come_both_ways() -> None:
    """A batch that took several replies may have rows from one and dicts from another."""
    schema = schema_of(Odd)
    home: Any = type("Home", (), {"schema": schema, "model": Odd, "lazy_class": Odd.__bao_lazy_class__})()
    keys = [Key(f"od#{number}", "od") for number in range(4)]
    items = [{PK: {"S": key.pk}, SK: {"S": "od"}, "odd_id": {"S": key.pk[3:]}} for key in keys]
    for turn in (0, 1):
        stored = {
            key: only_row(schema, item) if (number + turn) % 2 else item
            for number, (key, item) in enumerate(zip(keys, items, strict=True))
        }
        wanted = {key: _pending(home, key) for key in keys}
        assert hydrate_batch(wanted, KeyedItems(stored.values()), False, Capacity(read=0.5)) == ([], {})
        assert [vars(one)["odd_id"] for one in wanted.values()] == ["0", "1", "2", "3"]
        assert [state_of(one).dict_item() for one in wanted.values()] == items
        assert all(type(one) is Odd for one in wanted.values())


def test_whoever_looks_at_a_reply_or_a_request_sees_dicts() -> None:
    """As a transport of one's own may, which stands between the library and the wire."""
    schema, kind = schema_of(Odd), row_type(schema_of(Odd))
    assert kind is not None
    key = Key("od#1", "od")
    item = {**key.as_item(), "odd_id": {"S": "1"}}
    request = Request(
        "BatchGetItem",
        {"RequestItems": {"t": {"Keys": json_keys([key]), "ConsistentRead": True}}},
        rows=kind,
    )
    parsed = kind.parsed(body_of(item, operation="BatchGetItem"), "BatchGetItem")
    assert parsed is not None
    assert Reply(request, parsed).body == {"Responses": {"t": [item]}, "UnprocessedKeys": {}}
    assert request.parameters == {"RequestItems": {"t": {"Keys": [key.as_item()], "ConsistentRead": True}}}
    request.parameters["RequestItems"]["t"]["Keys"].clear()
    assert request.written == {"RequestItems": {"t": {"Keys": [], "ConsistentRead": True}}}
    (put,) = schema.encoded_json([vars(Odd(odd_id="1"))], [key], [(None, "1")]) or ()
    members = json_list([put], b'{"PutRequest":{"Item":', b"}}")
    write = Request("BatchWriteItem", {"RequestItems": {"t": members}})
    assert write.parameters == {"RequestItems": {"t": [{"PutRequest": {"Item": item}}]}}
    deletion = {"DeleteRequest": {"Key": key.as_item()}}
    write = Request("BatchWriteItem", {"RequestItems": {"t": [deletion], "u": members}})
    assert write.parameters == {"RequestItems": {"t": [deletion], "u": [{"PutRequest": {"Item": item}}]}}


@pytest.mark.parametrize("text", ['"', "a\\b", "two\nlines", "\x00", "\ud800"])
def test_keys_with_escapes_are_not_spelled(text: str) -> None:
    """They are written by a JSON encoder, as everything else that is not plain text."""
    assert json_keys([("od#1", "od"), (f"od#{text}", "od")]) is None
    assert as_dict_members(json_keys([("od#Gödel", "od")])) == [Key("od#Gödel", "od").as_item()]


def _pending(home: Any, key: Key) -> Any:
    number = key.pk[3:]
    return pending_instance(home, Identity(key, number, {"odd_id": number}), None, None)


def test_every_key_of_a_batch_has_an_outcome() -> None:
    """Also where a reply holds an item twice, or one that nobody asked for, and so as many as there are keys."""
    schema = schema_of(Odd)
    home: Any = type("Home", (), {"schema": schema, "model": Odd, "lazy_class": Odd.__bao_lazy_class__})()
    keys = [Key(f"od#{number}", "od") for number in range(3)]
    stored = [{**key.as_item(), "odd_id": {"S": key.pk[3:]}} for key in (keys[0], keys[0], Key("od#9", "od"))]
    wanted = {key: _pending(home, key) for key in keys}
    _, absent = hydrate_batch(wanted, KeyedItems(stored), False, Capacity(read=0.5))
    assert list(absent) == keys[1:]
    assert [state_of(one).capacity.read for one in wanted.values()] == [0.5, 0.5, 0.5]


def test_what_nobody_asked_for_hides_no_other_item() -> None:
    """Wherever it stands in a reply, and whatever is there twice."""
    schema = schema_of(Odd)
    home: Any = type("Home", (), {"schema": schema, "model": Odd, "lazy_class": Odd.__bao_lazy_class__})()
    keys = [Key(f"od#{number}", "od") for number in range(3)]
    for order in ((9, 0, 1, 2), (0, 9, 0, 1, 2), (0, 0, 1, 1, 9, 2)):
        wanted = {key: _pending(home, key) for key in keys}
        stored = [{**Key(f"od#{number}", "od").as_item(), "odd_id": {"S": f"{number}"}} for number in order]
        assert hydrate_batch(wanted, KeyedItems(stored), False, Capacity(read=0.5)) == ([], {})
        assert [type(one) is Odd and one.odd_id for one in wanted.values()] == ["0", "1", "2"]
