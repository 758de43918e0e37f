"""What annotations promise of documents: what is inside them is checked, stored and read as they say."""

from __future__ import annotations

import dataclasses
import enum
import json
import typing
import uuid
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import attrs
import pytest

from dynamo_bao import (
    BinarySetField,
    ConfigurationError,
    DateField,
    DurationField,
    JsonField,
    ListField,
    MapField,
    Model,
    NestedField,
    NumberSetField,
    PrimaryKey,
    QueryError,
    SetField,
    StringField,
    StringSetField,
    TimeField,
    ValidationError,
)
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.row_types import row_type
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.runtime.records import NOTHING

UTC = timezone.utc
T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"


@attrs.define
class Point:
    x: int
    label: str = ""


@dataclasses.dataclass
class Place:
    name: str
    point: Point
    seen: list[Point] = dataclasses.field(default_factory=list)


@attrs.define
class Cell(Generic[T]):
    value: T


@attrs.define
class Column(Generic[T]):
    values: list[T]


@attrs.define
class Tree:
    name: str
    children: list[Tree] = attrs.Factory(list)


@attrs.define
class Span:
    low: int
    high: int = attrs.field()

    @high.validator
    def _check(self, _: object, value: int) -> None:
        if value < self.low:
            raise ValueError("high is below low")


@dataclasses.dataclass
class Checked:
    size: int

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("size is negative")


@attrs.define
class Mark:
    """The same members as `Point`."""

    x: int
    label: str = ""


@dataclasses.dataclass
class Opened:
    path: str
    mode: dataclasses.InitVar[str]


@attrs.define
class Cat:
    name: str = "cat"
    kind: Literal["cat", "kitten"] = "cat"


@dataclasses.dataclass
class Dog:
    name: str = "dog"
    kind: Literal["dog"] = "dog"


@attrs.define
class Kennel:
    """Of the same members as `Basket`."""

    pet: Dog = attrs.Factory(Dog)
    stars: Literal[1, 2] | None = None


@attrs.define
class Basket:
    pet: Cat = attrs.Factory(Cat)
    stars: Literal[1, 2] | None = None


class Named(NamedTuple):
    x: int


class Typed(TypedDict):
    x: int


def field_of(annotation: Any, default: Any = NOTHING) -> Field:
    """The field `v` of a model whose class body says ``v: annotation = default``."""
    body: dict[str, Any] = {"__annotations__": {"key": str, "v": annotation}, "__module__": __name__}
    if default is not NOTHING:
        body["v"] = default
    model: Any = type("M", (Model,), {**body, "primary_key": PrimaryKey("key")}, prefix="m")
    return schema_of(model).fields["v"]


# --- accepted and kept --------------------------------------------------------------------------------

ID = uuid.UUID(int=7)
NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
KEPT: list[tuple[Any, Any, dict[str, Any]]] = [
    (list[str], ["a"], {"L": [{"S": "a"}]}),
    (list[int], [1], {"L": [{"N": "1"}]}),
    (list[float], [1.0], {"L": [{"N": "1"}]}),
    (list[Decimal], [Decimal("12.50"), Decimal(3)], {"L": [{"N": "12.5"}, {"N": "3"}]}),
    (list[bool], [True], {"L": [{"BOOL": True}]}),
    (list[bytes], [b"x"], {"L": [{"B": b"x"}]}),
    (list[datetime], [NOW], {"L": [{"S": "2026-01-31T12:30:00+00:00"}]}),
    (list[date], [date(2026, 1, 31)], {"L": [{"S": "2026-01-31"}]}),
    (list[time], [time(12, 30)], {"L": [{"S": "12:30:00"}]}),
    (list[timedelta], [timedelta(days=1, hours=2)], {"L": [{"S": "000000001T02:00:00"}]}),
    (list[uuid.UUID], [ID], {"L": [{"S": str(ID)}]}),
    (list[Colour], [Colour.RED], {"L": [{"S": "red"}]}),
    (list[Literal["a", "b"]], ["a"], {"L": [{"S": "a"}]}),
    (list[Literal[1, 2]], [2], {"L": [{"N": "2"}]}),
    (list[int | None], [1, None], {"L": [{"N": "1"}, {"NULL": True}]}),
    (list[Point], [Point(1)], {"L": [{"M": {"x": {"N": "1"}, "label": {"S": ""}}}]}),
    (list[list[int]], [[1], []], {"L": [{"L": [{"N": "1"}]}, {"L": []}]}),
    (list[dict[str, Decimal]], [{"a": Decimal(1)}], {"L": [{"M": {"a": {"N": "1"}}}]}),
    (list[set[int]], [{2, 10}, set()], {"L": [{"NS": ["2", "10"]}, {"L": []}]}),
    (list[set[bool]], [{True}], {"L": [{"L": [{"BOOL": True}]}]}),
    (list[frozenset[date]], [frozenset({date(2026, 1, 31)})], {"L": [{"SS": ["2026-01-31"]}]}),
    (list[Any], [1, {"a": {"x"}}], {"L": [{"N": "1"}, {"M": {"a": {"SS": ["x"]}}}]}),
    (Sequence[int], [1], {"L": [{"N": "1"}]}),
    (tuple[int, ...], (1, 2), {"L": [{"N": "1"}, {"N": "2"}]}),
    (tuple[int, str], (1, "a"), {"L": [{"N": "1"}, {"S": "a"}]}),
    (dict[str, Decimal], {"a": Decimal("0.5")}, {"M": {"a": {"N": "0.5"}}}),
    (dict[str, Point], {"a": Point(2)}, {"M": {"a": {"M": {"x": {"N": "2"}, "label": {"S": ""}}}}}),
    (dict[Literal["a"], int], {"a": 1}, {"M": {"a": {"N": "1"}}}),
    (Mapping[str, list[date]], {"a": [date(2026, 1, 31)]}, {"M": {"a": {"L": [{"S": "2026-01-31"}]}}}),
    (set[int], {1, 2}, {"NS": ["1", "2"]}),
    (set[Decimal], {Decimal("1.5")}, {"NS": ["1.5"]}),
    (set[float], {1.0}, {"NS": ["1"]}),
    (set[bytes], {b"a"}, {"BS": [b"a"]}),
    (set[typing.Annotated[str, "a note"]], {"a"}, {"SS": ["a"]}),
    (set[uuid.UUID], {ID}, {"SS": [str(ID)]}),
    (set[Colour], {Colour.RED}, {"SS": ["red"]}),
    (set[bool], {True}, {"L": [{"BOOL": True}]}),
    (set[int | str], {1, "a"}, {"L": [{"N": "1"}, {"S": "a"}]}),
    (set[int | str], {"a", "b"}, {"SS": ["a", "b"]}),
    (set[int | str], {1, 2}, {"NS": ["1", "2"]}),
    (frozenset[str], frozenset({"a"}), {"SS": ["a"]}),
    (frozenset[int], frozenset({1}), {"NS": ["1"]}),
    (
        Place,
        Place("a", Point(1)),
        {"M": {"name": {"S": "a"}, "point": {"M": {"x": {"N": "1"}, "label": {"S": ""}}}, "seen": {"L": []}}},
    ),
    (Cell[Decimal], Cell(Decimal("0.1")), {"M": {"value": {"N": "0.1"}}}),
    (Column[Decimal], Column([Decimal("0.1")]), {"M": {"values": {"L": [{"N": "0.1"}]}}}),
    (list["Point"], [Point(1)], {"L": [{"M": {"x": {"N": "1"}, "label": {"S": ""}}}]}),
    (
        Tree,
        Tree("a", [Tree("b")]),
        {"M": {"name": {"S": "a"}, "children": {"L": [{"M": {"name": {"S": "b"}, "children": {"L": []}}}]}}},
    ),
    (list[int | str], [1, "a"], {"L": [{"N": "1"}, {"S": "a"}]}),
    (list[int | set[int]], [1, {2}, set()], {"L": [{"N": "1"}, {"NS": ["2"]}, {"L": []}]}),
    (list[set[int | str] | int], [{"a"}, {1, "a"}], {"L": [{"SS": ["a"]}, {"L": [{"N": "1"}, {"S": "a"}]}]}),
    (list[int | float], [1, 0.5], {"L": [{"N": "1"}, {"N": "0.5"}]}),
    (list[int | str | float], [1, "a", 0.5], {"L": [{"N": "1"}, {"S": "a"}, {"N": "0.5"}]}),
    (list[int | Decimal], [1, Decimal("0.5")], {"L": [{"N": "1"}, {"N": "0.5"}]}),
    (
        list[Point | Tree],
        [Point(1), Tree("a")],
        {
            "L": [
                {"M": {"x": {"N": "1"}, "label": {"S": ""}}},
                {"M": {"name": {"S": "a"}, "children": {"L": []}}},
            ]
        },
    ),
    (
        list[Cat | Dog],
        [Dog("a"), Cat("a", "kitten")],
        {
            "L": [
                {"M": {"name": {"S": "a"}, "kind": {"S": "dog"}}},
                {"M": {"name": {"S": "a"}, "kind": {"S": "kitten"}}},
            ]
        },
    ),
    (
        dict[str, Kennel | Basket],
        {"a": Basket(stars=1)},
        {
            "M": {
                "a": {
                    "M": {
                        "pet": {"M": {"name": {"S": "cat"}, "kind": {"S": "cat"}}},
                        "stars": {"N": "1"},
                    }
                }
            }
        },
    ),
    (date, date(2026, 1, 31), {"S": "2026-01-31"}),
    (time, time(12, 30, 0, 5), {"S": "12:30:00.000005"}),
    (timedelta, timedelta(hours=-1), {"S": "-999999998T23:00:00"}),
    (Literal[1, 2], 1, {"N": "1"}),
]


def types_of(value: Any) -> Any:
    if isinstance(value, dict):
        return dict, {name: types_of(part) for name, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value), sorted(repr(types_of(part)) for part in value)
    return type(value)


@pytest.mark.parametrize(("annotation", "value", "stored"), KEPT, ids=[str(a) for a, _, _ in KEPT])
def test_what_an_annotation_says_is_kept(annotation: Any, value: Any, stored: dict[str, Any]) -> None:
    """A value that an annotation allows is stored by it, and read back equal and of the same types throughout."""
    field = field_of(annotation)
    held = field.accept(value)
    assert held == value
    assert field.to_dynamo(held) == stored
    found = field.from_dynamo(stored)
    assert found == value
    assert types_of(found) == types_of(value)


@pytest.mark.parametrize(("annotation", "value", "stored"), KEPT, ids=[str(a) for a, _, _ in KEPT])
def test_a_member_of_a_class_is_kept_as_well(annotation: Any, value: Any, stored: dict[str, Any]) -> None:
    """The same annotations hold for members of nested classes, attrs's and dataclasses."""
    for made in (
        attrs.make_class("Holder", {"m": attrs.field()}),
        dataclasses.make_dataclass("Holder", ["m"]),
    ):
        made.__annotations__["m"] = annotation
        made.__module__ = __name__
        field = field_of(made)
        held = field.accept(made(value))
        assert held == made(value)
        found = field.from_dynamo(field.to_dynamo(held) or {})
        assert found == made(value)
        assert types_of(found.m) == types_of(value)


WRONG: list[tuple[Any, Any, str]] = [
    (list[str], ["a", 1], r"v\[1\] takes str"),
    (list[int], ["1"], r"v\[0\] takes int"),
    (list[int], [True], r"v\[0\] takes int"),
    (list[int], [None], r"v\[0\] is required"),
    (list[Decimal], [0.5], r"v\[0\] takes Decimal"),
    (list[Colour], ["blue"], r"v\[0\] is not a member of Colour"),
    (list[Literal["a"]], ["b"], r"v\[0\] is not one of"),
    (list[Literal[1]], [3], r"v\[0\] is not one of"),
    (list[Point], [{"x": 1}], r"v\[0\] takes Point"),
    (list[Point], [Point(typing.cast(int, "1"))], r"v\[0\]\.x takes int"),
    (dict[str, int], {"a": "x"}, r"v\.a takes int"),
    (dict[str, int], typing.cast(Any, {1: 1}), r"v holds a map whose keys"),
    (dict[str, Point], {"a": Point(1, typing.cast(str, 5))}, r"v\.a\.label takes str"),
    (dict[str, list[int]], {"a": [1, "x"]}, r"v\.a\[1\] takes int"),
    (set[int], {1.5}, "v .*takes int"),
    (set[int], {"1"}, "v takes members that are numbers"),
    (set[Decimal], {"1"}, "v takes members that are numbers"),
    (set[uuid.UUID], {"x"}, "v .*UUID"),
    (frozenset[str], {1}, "v takes members that are str"),
    (tuple[int, str], (1, 2), r"v\[1\] takes str"),
    (tuple[int, str], (1,), "v has 1 elements, not 2"),
    (Place, Place("a", typing.cast(Point, "b")), r"v\.point takes Point"),
    (Place, Place("a", Point(1), [Point(typing.cast(int, None))]), r"v\.seen\[0\]\.x is required"),
    (
        Tree,
        Tree("a", [Tree("b", [Tree(typing.cast(str, 1))])]),
        r"v\.children\[0\]\.children\[0\]\.name takes str",
    ),
    (list[int | str], [1.5], r"v\[0\] is no int \| str"),
    (list[int | float], ["1"], r"v\[0\] takes int or float"),
    (list[Point | Mark], [Mark(1)], r"v\[0\] would be read back as another of its types"),
    (date, datetime(2026, 1, 31, tzinfo=UTC), r"v takes a date, not a datetime"),
    (date, "31.1.2026", "v is not the text of a date"),
    (time, time(12, tzinfo=UTC), "v has a time zone"),
    (timedelta, 5, "v takes a timedelta"),
    (timedelta, "P", "v is not an ISO 8601 duration"),
    (Span, Span(1, 2), ""),
]


@pytest.mark.parametrize(
    ("annotation", "value", "text"), WRONG[:-1], ids=[f"{a} {v}" for a, v, _ in WRONG[:-1]]
)
def test_what_an_annotation_does_not_say_is_refused(annotation: Any, value: Any, text: str) -> None:
    """The error names the model, the field, and the place inside it; its value is the field's."""
    with pytest.raises(ValidationError, match=text) as caught:
        field_of(annotation).accept(value)
    assert str(caught.value).startswith("M.v ")
    assert caught.value.field == "v"
    assert caught.value.value is value or caught.value.value in value


def test_a_class_s_own_rules_hold_before_storing() -> None:
    """What a validator or a constructor would refuse when it is read is refused when it would be stored."""
    span, checked = Span(1, 5), Checked(1)
    object.__setattr__(span, "high", 0)
    checked.size = -1
    for value in (span, checked):
        with pytest.raises(ValidationError, match=r"M\.v .*refused by (Span|Checked) itself"):
            field_of(type(value)).accept(value)
        with pytest.raises(ValidationError, match=r"v\[0\] is refused by (Span|Checked) itself"):
            field_of(list[type(value)]).accept([value])  # type: ignore[misc]


def test_an_instance_of_a_subclass_is_refused() -> None:
    """It would be read back as the class of the annotation, without what is its own."""

    @attrs.define
    class Deep(Point):
        z: int = 0

    with pytest.raises(ValidationError, match="takes Point itself, not Deep"):
        field_of(Point).accept(Deep(1))


def test_a_value_is_held_as_it_would_be_read() -> None:
    """Other accepted forms inside are converted in a copy; what needs no conversion stays the same object."""
    field = field_of(Place)
    place = Place("a", Point(1))
    assert field.accept(place) is place
    cell = Cell(3)
    held = field_of(Cell[Decimal]).accept(cell)
    assert type(held.value) is Decimal and held is not cell and type(cell.value) is int
    assert field_of(Cell[list[int]]).accept(Cell((1, 2))) == Cell([1, 2])


def test_members_that_have_no_default_and_are_absent() -> None:
    """An absent set is empty, an absent optional member None; anything else is told when it is read."""

    @attrs.define
    class Late:
        tags: set[str]
        fixed: frozenset[int]
        nick: str | None
        size: int = 5

    field = field_of(Late)
    assert field.from_dynamo({"M": {}}) == field.from_json({}) == Late(set(), frozenset(), None)
    assert field.from_dynamo({"M": {"nick": {"NULL": True}, "more": {"S": "x"}}}) == Late(
        set(), frozenset(), None
    )
    with pytest.raises(ValueError, match="no 'x', which Point needs"):
        field_of(Point).from_dynamo({"M": {}})


@pytest.mark.parametrize("library", ["attrs", "dataclasses"])
def test_a_member_that_the_constructor_does_not_take_is_not_stored(library: str) -> None:
    """The class fills it again whenever it is read."""

    @attrs.define
    class Attrs:
        side: int
        area: int = attrs.field(init=False)

        def __attrs_post_init__(self) -> None:
            self.area = self.side**2

    @dataclasses.dataclass
    class Data:
        side: int
        area: int = dataclasses.field(init=False)

        def __post_init__(self) -> None:
            self.area = self.side**2

    square: Any = Attrs if library == "attrs" else Data
    field = field_of(square)
    stored = field.to_dynamo(field.accept(square(3)))
    assert stored == {"M": {"side": {"N": "3"}}}
    assert field.from_dynamo(stored) == square(3)


@pytest.mark.parametrize(
    ("annotation", "stored"),
    [
        (list[int | str], {"L": [{"BOOL": True}]}),
        (set[date], {"NS": ["1"]}),
        (timedelta, {"S": "two days"}),
    ],
)
def test_what_is_stored_in_another_type_cannot_be_read(annotation: Any, stored: dict[str, Any]) -> None:
    """It is no value of the annotation, so the field has none."""
    with pytest.raises(ValueError):
        field_of(annotation).from_dynamo(stored)


def test_a_value_without_a_known_literal_is_read_as_the_first_class() -> None:
    """A class may get its `Literal` member later, and another program may store other values of it."""
    field = field_of(list[Cat | Dog])
    for stored, found in [
        ({"name": {"S": "a"}}, Cat("a")),
        ({"kind": {"S": "dog"}}, Dog()),
        ({"kind": {"S": "bird"}}, Cat(kind=typing.cast(Any, "bird"))),
    ]:
        assert field.from_dynamo({"L": [{"M": stored}]}) == [found]


def test_sets_inside_read_from_lists_too() -> None:
    """Both stored forms of a set inside a document read as a set."""
    field = field_of(dict[str, set[int]])
    assert field.from_dynamo({"M": {"a": {"L": [{"N": "1"}]}, "b": {"NS": ["2"]}}}) == {"a": {1}, "b": {2}}


def test_deep_and_endless_values_are_refused() -> None:
    """What is nested deeper than DynamoDB allows, or holds itself, is a `ValidationError`."""
    tree = Tree("0")
    for number in range(1, 40):
        tree = Tree(str(number), [tree])
    with pytest.raises(ValidationError, match="nested deeper"):
        field_of(Tree).accept(tree)
    circle = Tree("circle")
    circle.children.append(circle)
    for annotation, value in ((Tree, circle), (list[Tree], [circle])):
        with pytest.raises(ValidationError, match="nested"):
            field_of(annotation).accept(value)
    deep: Any = "x"
    for _ in range(31):
        deep = [deep]
    assert field_of(list[Any]).accept(deep) == deep
    with pytest.raises(ValidationError, match="nested deeper"):
        field_of(list[list[Any]]).accept([deep])


# --- refused at the class statement -------------------------------------------------------------------

REFUSED: dict[str, tuple[Any, str]] = {
    "a union": (int | str, r"v_1: int \| None = None, v_2: str \| None = None.*v: Any = JsonField"),
    "an optional union": (typing.Union[int, str, None], r"v_1: int \| None"),
    "a union of classes": (Point | Place, r"v_1: Point \| None = None"),
    "a list of what nothing holds": (list[complex], "a complex cannot be stored in a document"),
    "a list of named tuples": (list[Named], "a Named cannot be stored"),
    "keys that are no texts": (dict[int, str], r"keys must be texts; write dict\[str, …\]"),
    "keys that may be None": (dict[str | None, str], "keys must be texts"),
    "a set of lists": (set[list[int]], r"no field holds a set\[list\[int\]\]"),
    "a set of what is not hashable": (set[Point], r"no field holds a set\[Point\]"),
    "a set with None": (set[int | None], r"no field holds a set"),
    "two that read alike": (list[date | str], r"date \| str cannot be told apart"),
    "floats and decimals": (list[float | Decimal], "float and Decimal cannot be told apart"),
    "an ordered dict": (OrderedDict[str, int], "no field holds a"),
    "a named tuple": (Named, "no field holds a Named"),
    "a typed dict": (Typed, "no field holds a Typed"),
    "a union of numbers and functions": (
        typing.Callable[[int], str],
        r"a Callable\[\[int\], str\]",
    ),
    "choices of several types": (Literal["a", 1], r"no field holds a Literal"),
    "an argument that is not stored": (Opened, r"Opened\.mode is an InitVar.*give it a default"),
    "a member of a class": (attrs.make_class("Bad", {"m": attrs.field(type=complex)}), r"Bad\.m: a complex"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_promised_is_refused_at_the_class_statement(case: str) -> None:
    """The error names model and field, and says what can be done."""
    annotation, text = REFUSED[case]
    with pytest.raises(ConfigurationError, match=text) as caught:
        field_of(annotation)
    assert str(caught.value).startswith("M.v: ")
    assert (caught.value.model, caught.value.field) == ("M", "v")


def test_the_advice_for_a_union_works() -> None:
    """Both ways that the error names are good declarations."""

    class Answer(Model, prefix="an"):
        key: str
        value_1: int | None = None
        value_2: str | None = None
        either: Any = JsonField()
        primary_key = PrimaryKey("key")

    one = Answer(key="a", value_2="x", either=5)
    assert (one.value_1, one.value_2, one.either) == (None, "x", 5)


def test_names_of_the_function_around() -> None:
    """Classes that are local to a function, and defined before or after, are found."""

    @attrs.define
    class Inner:
        size: int
        more: list[Inner] = attrs.Factory(list)

    class Outer(Model, prefix="ou"):
        key: str
        inner: Inner
        many: list[Inner] = ListField(default=list)
        primary_key = PrimaryKey("key")

    assert Outer(key="a", inner=Inner(1, [Inner(2)])).many == []
    field = schema_of(Outer).fields["inner"]
    with pytest.raises(ValidationError, match=r"inner\.more\[0\]\.size takes int"):
        field.accept(Inner(1, [Inner(typing.cast(int, "2"))]))


# --- numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 0.5, Decimal("12.50"), Decimal("1E+3"), 12345678901234567890123])
def test_numbers_are_always_decimal_where_that_is_asked(number: Any) -> None:
    """With ``numbers="decimal"`` every number that no annotation speaks of is a `Decimal`, held and read."""
    value = {"a": number, "b": [number, True, None], "c": {number}}
    exact = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    wanted = {"a": exact, "b": [exact, True, None], "c": {exact}}
    for field in (
        field_of(dict, MapField(numbers="decimal")),
        field_of(dict[str, Any], MapField(numbers="decimal")),
    ):
        held = field.accept(value)
        found = field.from_dynamo(field.to_dynamo(held) or {})
        assert held == found == wanted
        assert {type(found["a"]), type(found["b"][0]), *map(type, found["c"])} == {Decimal}
        assert type(found["b"][1]) is bool
    listed = field_of(list[dict[str, Any]], ListField(numbers="decimal"))
    assert type(listed.from_dynamo(listed.to_dynamo(listed.accept([{"a": number}])) or {})[0]["a"]) is Decimal
    nested = field_of(Cell, NestedField(Cell, numbers="decimal"))
    assert type(nested.accept(Cell(number)).value) is Decimal


def test_there_are_two_rules_for_numbers() -> None:
    """Another word is refused at the class statement."""
    with pytest.raises(ConfigurationError, match=r"M\.v: numbers='exact'; use one of 'auto', 'decimal'"):
        field_of(dict, MapField(numbers="exact"))


# --- sets ---------------------------------------------------------------------------------------------

UNTYPED_SETS: list[tuple[Any, Any, dict[str, Any]]] = [
    ({"b", "a"}, {"a", "b"}, {"SS": ["a", "b"]}),
    (frozenset({"a"}), {"a"}, {"SS": ["a"]}),
    ({10, 9, 0.5}, {0.5, 9, 10}, {"NS": ["0.5", "9", "10"]}),
    ({b"b", b"a"}, {b"a", b"b"}, {"BS": [b"a", b"b"]}),
    (set(), [], {"L": []}),
    ({True}, [True], {"L": [{"BOOL": True}]}),
    ({"a", 1}, [1, "a"], {"L": [{"N": "1"}, {"S": "a"}]}),
    ({(1, 2)}, [[1, 2]], {"L": [{"L": [{"N": "1"}, {"N": "2"}]}]}),
]


@pytest.mark.parametrize(("value", "held", "stored"), UNTYPED_SETS)
def test_a_set_in_a_document_of_anything(value: Any, held: Any, stored: dict[str, Any]) -> None:
    """It is one of DynamoDB's sets where there is one, else a list in order, as which it is held at once."""
    field = field_of(dict)
    accepted = field.accept({"a": value, "b": [value]})
    assert accepted == {"a": held, "b": [held]}
    assert types_of(accepted["a"]) == types_of(held)
    assert field.to_dynamo(accepted) == {"M": {"a": stored, "b": {"L": [stored]}}}
    assert field.from_dynamo({"M": {"a": stored, "b": {"L": [stored]}}}) == accepted


def test_declared_set_fields_take_what_their_annotation_says() -> None:
    """Declarations are completed by their annotations; other members are refused."""
    assert type(field_of(set[bytes])) is BinarySetField
    assert field_of(frozenset[str], StringSetField()).missing_value() == frozenset()
    assert type(field_of(frozenset[str], StringSetField()).default_value()) is frozenset
    assert field_of(set[Decimal], NumberSetField()).from_dynamo({"NS": ["1"]}) == {Decimal(1)}
    assert field_of(set[date], SetField(max_member_count=1)).missing_value() == set()
    with pytest.raises(ValidationError, match="at most 1"):
        field_of(set[date], SetField(max_member_count=1)).accept({date(2026, 1, 1), date(2026, 1, 2)})
    with pytest.raises(ConfigurationError, match="NumberSetField does not hold"):
        field_of(set[date], NumberSetField())


# --- other kinds --------------------------------------------------------------------------------------


def test_dates_times_and_durations_accept_their_texts() -> None:
    """ISO 8601 texts become the values they say."""
    assert field_of(date).accept("2026-01-31") == date(2026, 1, 31)
    assert field_of(time).accept("12:30") == time(12, 30)
    assert field_of(timedelta).accept("-P1DT2H3M4.5S") == -timedelta(days=1, hours=2, minutes=3, seconds=4.5)
    for kind, annotation in ((DateField(), date), (TimeField(), time), (DurationField(), timedelta)):
        assert type(field_of(annotation, kind)) is type(kind)


@pytest.mark.parametrize("text", ["", "P", "PT", "1D", "P1Y", "P1DT", "PT1.1234567S", "P9999999999D"])
def test_what_is_no_duration(text: str) -> None:
    """Years and months have no fixed length, and more than microseconds cannot be kept."""
    with pytest.raises(ValidationError, match="is not an ISO 8601 duration"):
        field_of(timedelta).accept(text)


JSON_KEYS: list[Any] = [{1: "a", "1": "b"}, {1: "a"}, {None: 1}, {True: 1}, [{"a": {1.5: 2}}], ({2: 1},)]


@pytest.mark.parametrize("value", JSON_KEYS)
def test_json_has_no_keys_but_texts(value: Any) -> None:
    """JSON would make texts of other keys, and of 1 and "1" the same one."""
    with pytest.raises(ValidationError, match=r"M\.v is not JSON: it holds a map whose keys are not all str"):
        field_of(Any, JsonField()).accept(value)


def test_json_that_holds_itself_is_refused() -> None:
    """So is what is nested too deeply for JSON."""
    circle: list[Any] = []
    circle.append(circle)
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    for value in (circle, deep):
        with pytest.raises(ValidationError, match="is not JSON"):
            field_of(Any, JsonField()).accept(value)


# --- paths --------------------------------------------------------------------------------------------


def test_the_field_of_what_is_inside() -> None:
    """A path leads from a field to the fields inside it, None where anything may be."""
    place = field_of(Place)
    inside = place.inside("seen")
    assert inside is not None and (point := inside.inside(0)) is not None
    assert type(point.inside("label")) is StringField
    assert field_of(dict[str, Any]).inside("a") is None
    assert field_of(dict).inside("a") is None
    pair = field_of(tuple[int, str])
    assert type(pair.inside(1)) is StringField
    with pytest.raises(QueryError, match=r"M\.v has 2 elements, so there is no position 2"):
        pair.inside(2)
    with pytest.raises(QueryError, match=r"Place has no member 'nmae'\. Did you mean 'name'"):
        place.inside("nmae")
    assert not place.is_unit
    assert field_of(attrs.make_class("Frozen", ["x"], frozen=True)).is_unit
    assert field_of(dataclasses.make_dataclass("Frozen", ["x"], frozen=True)).is_unit


def test_rows_read_lists_and_maps_of_texts_and_numbers_as_items_do() -> None:
    """The short ways of replies of many give the same values, and refuse the same."""
    cases: list[tuple[Any, Any, Any]] = [
        (list[str], ["a", ""], {"L": [{"S": "a"}, {"N": "1"}]}),
        (list[int], [1, -2], {"L": [{"N": "1"}, {"S": "a"}]}),
        (dict[str, str], {"a": "x"}, {"M": {"a": {"NULL": True}}}),
        (list[Decimal], [Decimal(1)], {"L": [{"S": "a"}]}),
        (list[str | None], ["a", None], {"L": [{"N": "1"}]}),
    ]
    for annotation, value, wrong in cases:
        body: dict[str, Any] = {
            "__annotations__": {"key": str, "v": annotation},
            "primary_key": PrimaryKey("key"),
        }
        schema = schema_of(type("Row", (Model,), body, prefix="rw"))
        rows: Any = row_type(schema)
        for stored, expected in ((schema.fields["v"].to_dynamo(value), value), (wrong, None)):
            item = {"_pk": {"S": "rw#a"}, "_sk": {"S": "rw"}, "key": {"S": "a"}, "v": stored}
            reply = json.dumps({"Responses": {"t": [item]}}).encode()
            (row,) = rows.parsed(reply, "BatchGetItem")["Responses"]["t"]
            found = [schema.decode_row(row, None, {"key": "a"}), schema.decode(item, None, {"key": "a"})]
            if expected is not None:
                assert [values["v"] for values in found] == [value, value]
            else:
                assert all("v" not in values for values in found)
