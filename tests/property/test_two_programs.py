"""Two programs, one of an older version of the model, change different parts of the same items: nothing is lost."""

from __future__ import annotations

import copy
import enum
import os
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
import pytest

from dynamo_bao import (
    BinaryField,
    BooleanField,
    CounterField,
    DateTimeField,
    DecimalField,
    EnumField,
    FloatField,
    IntegerField,
    JsonField,
    ListField,
    Manager,
    MapField,
    Model,
    NestedField,
    NumberSetField,
    PrimaryKey,
    StringField,
    StringSetField,
    TtlField,
    UuidField,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.testing import RecordingTransport

HISTORIES = int(os.environ.get("BAO_EXAMPLES", "120"))
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.define
class OldPhone:
    number: str


@attrs.define
class Phone:
    number: str
    kind: str = "home"
    mark: str = attrs.Factory(lambda: uuid.uuid4().hex)


@attrs.frozen
class OldSpan:
    lo: int


@attrs.frozen
class Span:
    lo: int
    hi: int = 9


@attrs.define
class OldAddress:
    city: str
    phone: OldPhone | None = None
    names: set[str] = attrs.Factory(set)


@attrs.define
class Address:
    city: str
    zip: str = "none"
    floor: int | None = None
    phone: Phone | None = None
    span: Span | None = None
    lines: list[str] = attrs.Factory(list)
    names: set[str] = attrs.Factory(set)
    more: dict[str, int] = attrs.Factory(dict)


class Old(Model, prefix="th", name="Thing"):
    key: str = StringField()
    text: str | None = StringField(default=None)
    whole: int | None = IntegerField(default=None)
    rounded: float | None = FloatField(precision=2, default=None)
    ident: uuid.UUID | None = UuidField(default=None)
    tags: set[str] = StringSetField()
    views: int = CounterField()
    things: dict[str, Any] | None = MapField(default=None)
    settings: dict[str, Any] = MapField(default=dict)
    json: Any = JsonField(default=None)
    address: OldAddress | None = NestedField(OldAddress, default=None)
    span: OldSpan | None = NestedField(OldSpan, default=None)

    primary_key = PrimaryKey("key")


class New(Model, prefix="th", name="Thing"):
    key: str = StringField()
    text: str | None = StringField(default=None)
    added: str = StringField(default="new")
    whole: int | None = IntegerField(default=None)
    number: float | None = FloatField(default=None)
    rounded: float | None = FloatField(precision=2, default=None)
    exact: Decimal | None = DecimalField(default=None)
    flag: bool | None = BooleanField(default=None)
    data: bytes | None = BinaryField(default=None)
    moment: datetime | None = DateTimeField(default=None)
    ttl: datetime | None = TtlField(default=None)
    ident: uuid.UUID | None = UuidField(default=None)
    colour: Colour | None = EnumField(Colour, default=None)
    tags: set[str] = StringSetField()
    numbers: set[Any] = NumberSetField()
    views: int = CounterField()
    things: dict[str, Any] | None = MapField(default=None)
    settings: dict[str, Any] = MapField(default=dict)
    parts: list[Any] | None = ListField(default=None)
    json: Any = JsonField(default=None)
    address: Address | None = NestedField(Address, default=None)
    span: Span | None = NestedField(Span, default=None)

    primary_key = PrimaryKey("key")


LONG = "0.12345678901234567890123456789012345678"
SPELLINGS: dict[str, list[Any]] = {
    "text": [None, {"NULL": True}, {"S": "a"}, {"S": "é\u0000"}],
    "added": [None, {"S": "b"}],
    "whole": [None, {"N": "9" * 38}, {"N": "-1"}, {"N": "0"}],
    "number": [None, {"N": LONG}, {"N": "9007199254740993"}, {"N": "1E100"}],
    "rounded": [None, {"N": "1.23456"}, {"N": "-0.005"}],
    "exact": [None, {"N": "1E-100"}, {"N": "123.4500"}],
    "flag": [None, {"BOOL": False}, {"NULL": True}],
    "data": [None, {"B": b"\x00\xff"}],
    "moment": [None, {"N": "-1"}, {"N": "1735689599999"}],
    "ttl": [None, {"N": "1735689599"}],
    "ident": [None, {"S": "0E37DF36-F698-11E6-8DD4-CB9CED3DF976"}, {"S": "0e37df36f69811e68dd4cb9ced3df976"}],
    "colour": [None, {"S": "red"}],
    "tags": [None, {"SS": ["a", "b"]}],
    "numbers": [None, {"NS": ["1", "2.5", LONG]}],
    "views": [None, {"N": "5"}],
    "things": [
        {"M": {}},
        {
            "M": {
                "a": {"N": LONG},
                "b": {"SS": ["x", "y"]},
                "c": {"NULL": True},
                "in": {"M": {"x": {"N": "1"}}},
            }
        },
        {
            "M": {
                "in": {"M": {"y": {"L": [{"N": "1.0"}]}, "deep": {"M": {"z": {"S": ""}}}}},
                "k.l[0]": {"B": b"1"},
            }
        },
    ],
    "settings": [None, {"M": {}}, {"M": {"a": {"N": "1"}}}],
    "parts": [None, {"L": [{"N": LONG}, {"NULL": True}, {"M": {"a": {"NS": ["1"]}}}]}],
    "json": [None, {"S": ' {"a": 1, "a": 2e0} '}, {"S": '[1e-7, -0, "\\u00e9"]'}, {"S": "null"}],
    "address": [
        {"M": {"city": {"S": "Rome"}}},
        {
            "M": {
                "city": {"S": "Rome"},
                "planet": {"S": "Mars"},
                "zip": {"S": "1"},
                "names": {"SS": ["b", "a"]},
            }
        },
        {
            "M": {
                "city": {"S": "Oslo"},
                "floor": {"NULL": True},
                "phone": {"M": {"number": {"S": "1"}, "since": {"N": LONG}}},
                "span": {"M": {"lo": {"N": "1"}, "step": {"N": "2"}}},
                "names": {"L": [{"S": "b"}, {"S": "a"}]},
                "more": {"M": {"n": {"N": "1"}}},
            }
        },
    ],
    "span": [None, {"M": {"lo": {"N": "1"}, "hi": {"N": "5"}, "step": {"N": "2"}}}],
    "unknown": [None, {"M": {"x": {"SS": ["1"]}}}],
}
NESTED = {
    ("things", "a"), ("things", "b"), ("things", "new"), ("things", "in", "x"), ("things", "in", "y"),
    ("things", "in", "deep", "z"), ("things", "k.l[0]"), ("settings", "a"), ("settings", "b"), ("settings", "c", "d"),
    ("address", "city"), ("address", "zip"), ("address", "floor"), ("address", "phone", "number"),
    ("address", "phone", "kind"), ("address", "span"), ("address", "lines"), ("address", "names"),
    ("address", "more", "n"), ("address", "more", "m"),
}  # fmt: skip
OLD_ONLY = {("address", "city"), ("address", "phone", "number"), ("address", "names")}
TOP = [(name,) for name in SPELLINGS if name not in ("things", "settings", "address", "unknown")]


def new_value(chance: random.Random, target: tuple[str, ...], thing: Any) -> tuple[Any, Any]:
    """A new value for a target, and its stored form; a function of the value before where it is relative."""
    number = chance.randrange(1000, 9999)
    scalars: dict[str, Callable[[], tuple[Any, Any]]] = {
        "text": lambda: (f"t{number}", {"S": f"t{number}"}),
        "added": lambda: (f"n{number}", {"S": f"n{number}"}),
        "whole": lambda: (number, {"N": str(number)}),
        "number": lambda: (number + 0.5, {"N": f"{number}.5"}),
        "rounded": lambda: (number + 0.25, {"N": f"{number}.25"}),
        "exact": lambda: (Decimal(number), {"N": str(number)}),
        "flag": lambda: (True, {"BOOL": True}),
        "data": lambda: (b"new%d" % number, {"B": b"new%d" % number}),
        "moment": lambda: (NOW + timedelta(seconds=number), {"N": str(int(NOW.timestamp() + number) * 1000)}),
        "ttl": lambda: (NOW + timedelta(seconds=number), {"N": str(int(NOW.timestamp() + number))}),
        "ident": lambda: (uuid.UUID(int=number), {"S": str(uuid.UUID(int=number))}),
        "colour": lambda: (Colour.BLUE, {"S": "blue"}),
        "json": lambda: ([number], {"S": f"[{number}]"}),
        "lines": lambda: ([f"l{number}"], {"L": [{"S": f"l{number}"}]}),
        "names": lambda: ({f"n{number}", "z"}, {"SS": [f"n{number}", "z"]}),
        "floor": lambda: (number, {"N": str(number)}),
        "m": lambda: (number, {"N": str(number)}),
        "n": lambda: (number, {"N": str(number)}),
    }
    if target[-1] in scalars and target[0] not in ("things", "settings") and "phone" not in target:
        return scalars[target[-1]]()
    if target[0] in ("things", "settings"):
        return {"x": [number]}, {"M": {"x": {"L": [{"N": str(number)}]}}}
    return f"s{number}", {"S": f"s{number}"}


class Program:
    """One of the two: its model, the item it has loaded, and what of it is its own to change."""

    def __init__(self, model: Any, transport: RecordingTransport, chance: random.Random) -> None:
        self.model, self.transport, self.chance = model, transport, chance
        self.targets: list[tuple[str, ...]] = []
        self.touched: set[tuple[str, ...]] = set()
        self.thing: Any = None

    def change(self, expected: dict[str, Any]) -> None:
        """Changes some targets, and notes in `expected` what is to be stored."""
        for target in self.chance.sample(self.targets, min(len(self.targets), self.chance.randint(0, 4))):
            if self._change(target, expected):
                self.touched.add(target)

    def _change(self, target: tuple[str, ...], expected: dict[str, Any]) -> bool:
        name, thing = target[0], self.thing
        if target in (("tags",), ("numbers",)):
            return self._change_set(name, expected)
        if target == ("views",):
            thing.views += 3
            expected["views"] = {"N": str(int(expected.get("views", {"N": "0"})["N"]) + 3)}
            return True
        if target == ("parts",):
            thing.parts = [*(thing.parts or ()), 7]
            old = expected.get("parts", {"L": []})["L"]
            expected["parts"] = {"L": [*old, {"N": "7"}]}
            return True
        if target in (("span",), ("address", "span")):
            return self._change_span(target, expected)
        value, stored = new_value(self.chance, target, thing)
        holder = thing
        for step in target[:-1]:
            inner = holder.get(step) if isinstance(holder, dict) else getattr(holder, step, None)
            if inner is None and isinstance(holder, dict):
                inner = holder[step] = {}
            if inner is None or not (isinstance(inner, dict) or attrs.has(type(inner))):
                return False
            holder = inner
        if isinstance(holder, dict):
            holder[target[-1]] = value
        elif hasattr(holder, target[-1]) or holder is thing:
            setattr(holder, target[-1], value)
        else:
            return False
        _put(expected, target, stored)
        return True

    def _change_set(self, name: str, expected: dict[str, Any]) -> bool:
        code, member = (
            ("SS", f"m{self.chance.randrange(99)}") if name == "tags" else ("NS", self.chance.randrange(99))
        )
        getattr(self.thing, name).add(member)
        old = expected.get(name, {code: []})[code]
        expected[name] = {code: sorted({*old, str(member)})}
        return True

    def _change_span(self, target: tuple[str, ...], expected: dict[str, Any]) -> bool:
        holder = self.thing if len(target) == 1 else self.thing.address
        old, stored = holder.span, _part(expected, target)
        number = self.chance.randrange(100, 999)  # another one than is stored
        fresh = Span(number) if self.model is New else OldSpan(number)
        holder.span = fresh if old is None else attrs.evolve(old, lo=number)
        members = {} if stored is None or "M" not in stored else dict(stored["M"])
        members["lo"] = {"N": str(number)}
        if self.model is New and "hi" not in members:
            members["hi"] = {"N": "9"}
        _put(expected, target, {"M": members})
        return True

    def save(self) -> None:
        """Writes in one of the ways there are; what was sent is held against what was changed."""
        self.transport.clear()
        way = self.chance.choice(("save", "save", "commit", "transaction"))
        if way == "save":
            self.thing.save()
        elif way == "transaction":
            with run_with_batch_context(), transaction():
                self.thing.save()
        else:
            with run_with_batch_context() as session:
                session.add(self.thing)
                session.commit()
        self.check_sent()

    def check_sent(self) -> None:
        """No name goes into an update that is not on the way to what was changed."""
        allowed = {"_pk", "x", *(step for target in self.touched for step in target)}  # x: see `new_value`
        for request in self.transport.requests:
            members = [request.parameters]
            members += [part.get("Update", {}) for part in request.parameters.get("TransactItems", ())]
            for member in members:
                if "UpdateExpression" in member:
                    sent = set(member.get("ExpressionAttributeNames", {}).values())
                    assert sent <= allowed, (sent - allowed, self.touched)
            assert request.operation != "PutItem"


def _put(item: dict[str, Any], target: tuple[str, ...], stored: Any) -> None:
    holder = item
    for step in target[:-1]:
        inner = holder.get(step)
        if inner is None or "M" not in inner:
            inner = holder[step] = {"M": {}}
        holder = inner["M"]
    holder[target[-1]] = stored


def _part(item: dict[str, Any], target: tuple[str, ...]) -> Any:
    part: Any = {"M": item}
    for step in target:
        part = None if part is None else part.get("M", {}).get(step)
    return part


@pytest.fixture
def programs(connection: dict[str, Any], ready_table: str) -> Iterator[tuple[Manager, Manager]]:
    with init_models(models=[New], table_name=ready_table, **connection) as new:
        shared = {"transport": new.database.transport} if "embedded" in connection else connection
        with init_models(models=[Old], table_name=ready_table, **shared) as old:
            yield new, old


@pytest.mark.needs("empty_strings")
@pytest.mark.promise("W10")
def test_two_programs_lose_nothing_of_each_other(programs: tuple[Manager, Manager]) -> None:
    """Random histories over every kind of field and every spelling; what was not changed is not sent."""
    new, _ = programs
    transports = []
    for manager in programs:
        transport = RecordingTransport(manager.database.transport)
        object.__setattr__(manager.database, "transport", transport)
        transports.append(transport)
    saves = changes = 0
    for number in range(HISTORIES):
        chance = random.Random(number)
        item = {name: chance.choice(stored) for name, stored in SPELLINGS.items()}
        item = {name: stored for name, stored in item.items() if stored is not None}
        keys = {"_pk": {"S": f"th#{number}"}, "_sk": {"S": "th"}}
        expected = copy.deepcopy({**keys, "key": {"S": str(number)}, **item})
        put = Request("PutItem", {"TableName": new.table_name, "Item": copy.deepcopy(expected)})
        new.database.transport.send(put, deadline=new.database.deadline_from_now())
        pair = [
            Program(model, transport, chance) for model, transport in zip((New, Old), transports, strict=True)
        ]
        for target in [*TOP, *sorted(NESTED)]:
            for_old = hasattr_field(Old, target[0]) and (target[0] != "address" or target in OLD_ONLY)
            pair[chance.randrange(2) if for_old else 0].targets.append(target)
        for program in pair:
            program.thing = program.model.find(str(number))
            assert not program.thing.has_changes(), (number, program.thing.changes())
        for _ in range(chance.randint(1, 3)):
            chance.shuffle(pair)
            for program in pair:
                program.change(expected)
            chance.shuffle(pair)
            for program in pair:
                changes += len(program.thing.changes())
                program.save()
                saves += 1
        read = Request("GetItem", {"TableName": new.table_name, "Key": keys, "ConsistentRead": True})
        found = new.database.transport.send(read, deadline=new.database.deadline_from_now()).body["Item"]
        assert found.keys() == expected.keys(), (number, found.keys() ^ expected.keys())
        for name, stored in expected.items():
            assert same_stored(found[name], stored), (number, name, found[name], stored)
    print(
        f"{HISTORIES} histories, {saves} saves of {changes} changed fields: 0 lost, 0 sent that were not changed"
    )


def hasattr_field(model: Any, name: str) -> bool:
    return name in model.__bao_schema__.fields
