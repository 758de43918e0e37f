"""Each kind of field: what it accepts, what it refuses, and what it stores."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime, timedelta, timezone
from decimal import Decimal, FloatOperation, localcontext
from typing import Any

import pytest
from attrs import frozen

from dynamo_bao import (
    BinaryField,
    BooleanField,
    CounterField,
    CreateDateField,
    DateField,
    DateTimeField,
    DecimalField,
    EnumField,
    Field,
    FloatField,
    IntegerField,
    JsonField,
    ListField,
    MapField,
    Model,
    ModifiedDateField,
    NestedField,
    NumberSetField,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    TimeField,
    TtlField,
    UlidField,
    UuidField,
    ValidationError,
    VersionField,
)
from dynamo_bao.fields.ulids import is_ulid
from dynamo_bao.models.class_builder import schema_of

UTC = timezone.utc
ULID = "01JGFJJZ00ANN0000000000000"
UUID = uuid.UUID("abcdef12-1234-5678-1234-567812345678")
SECRET = "s3cr3t-4711"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Side(enum.IntEnum):
    LEFT = -1
    RIGHT = 1
    FAR = 2**53


class Level(enum.Enum):
    LOW = 9
    HIGH = 10


class Word(str, enum.Enum):
    YES = "yes"


@frozen
class Point:
    x: float
    label: str = ""


@frozen
class Price:
    amount: Decimal


def bound(field: Any, name: str = "value") -> Field:
    """A field as a model has it."""
    declared: Field = field
    return declared.bind(name, "Thing", name)


def there_and_back(field: Field, value: object) -> object:
    """What a value is after it was stored and loaded."""
    stored = field.to_dynamo(field.accept(value))
    assert stored is not None
    return field.from_dynamo(stored)


DAY = datetime(2025, 1, 1, 12, 30, 15, 123000, tzinfo=UTC)

ACCEPTED: list[tuple[Any, object, object]] = [
    (StringField(), "sé \U0001f600\x00", {"S": "sé \U0001f600\x00"}),
    (StringField(), "", {"S": ""}),
    (UlidField(), ULID, {"S": ULID}),
    (VersionField(), ULID, {"S": ULID}),
    (RelatedField("User"), "u-1", {"S": "u-1"}),
    (UuidField(), UUID, {"S": str(UUID)}),
    (IntegerField(), -5, {"N": "-5"}),
    (IntegerField(), 10**38 - 1, {"N": "9" * 38}),
    (CounterField(), 3, {"N": "3"}),
    (FloatField(), 0.1, {"N": "0.1"}),
    (FloatField(), 20.0, {"N": "20"}),
    (FloatField(precision=2), 3.14159, {"N": "3.14"}),
    (DecimalField(), Decimal("1.10"), {"N": "1.1"}),
    (BooleanField(), True, {"BOOL": True}),
    (BooleanField(), False, {"BOOL": False}),
    (BinaryField(), b"\x00\x01\xfe\xff", {"B": b"\x00\x01\xfe\xff"}),
    (BinaryField(), b"", {"B": b""}),
    (DateTimeField(), DAY, {"N": "1735734615123"}),
    (CreateDateField(), DAY, {"N": "1735734615123"}),
    (ModifiedDateField(), DAY, {"N": "1735734615123"}),
    (DateTimeField(), datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), {"N": "-1"}),
    (StringSetField(), {"b", "a"}, {"SS": ["a", "b"]}),
    (NumberSetField(), {1, 0.5}, {"NS": ["0.5", "1"]}),
    (MapField(), {"a": [1, None, True]}, {"M": {"a": {"L": [{"N": "1"}, {"NULL": True}, {"BOOL": True}]}}}),
    (MapField(), {}, {"M": {}}),
    (ListField(), ["a", b"b", {"c": 1.5}], {"L": [{"S": "a"}, {"B": b"b"}, {"M": {"c": {"N": "1.5"}}}]}),
    (ListField(), [], {"L": []}),
    (JsonField(), {"a": [1, None, "é"]}, {"S": '{"a":[1,null,"é"]}'}),
    (JsonField(), 5, {"S": "5"}),
    (EnumField(Colour), Colour.RED, {"S": "red"}),
    (EnumField(Level), Level.HIGH, {"N": "10"}),
    (NestedField(Point), Point(1.5, "x"), {"M": {"x": {"N": "1.5"}, "label": {"S": "x"}}}),
]


@pytest.mark.parametrize(("field", "value", "stored"), ACCEPTED)
def test_stored_form_and_back(field: Any, value: object, stored: dict[str, Any]) -> None:
    """Each kind stores its own DynamoDB type, and reads back an equal value of the same type."""
    field = bound(field)
    accepted = field.accept(value)
    assert field.to_dynamo(accepted) == stored
    found = field.from_dynamo(stored)
    assert found == accepted
    assert type(found) is type(accepted)


CONVERTED: list[tuple[Any, object, object]] = [
    (UuidField(), str(UUID), UUID),
    (UuidField(), str(UUID).upper(), UUID),
    (FloatField(), 3, 3.0),
    (DecimalField(), 3, Decimal(3)),
    (BinaryField(), bytearray(b"x"), b"x"),
    (BinaryField(), memoryview(b"x"), b"x"),
    (EnumField(Colour), "red", Colour.RED),
    (EnumField(Level), 9, Level.LOW),
    (StringSetField(), ["a", "a", "b"], {"a", "b"}),
    (StringSetField(), frozenset({"a"}), {"a"}),
    (NumberSetField(), (1, Decimal("1.0"), 2.5), {1, 2.5}),
    (MapField(), {"a": (1, 2)}, {"a": [1, 2]}),
    (MapField(), {"a": Decimal("2.0"), "b": 3.0, "c": bytearray(b"c")}, {"a": 2, "b": 3, "c": b"c"}),
    (ListField(), [Decimal("0.1")], [0.1]),
    (JsonField(), {"a": (1,)}, {"a": [1]}),
    (
        DateTimeField(),
        datetime(2025, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        datetime(2025, 1, 1, tzinfo=UTC),
    ),
    (DateTimeField(), "2025-01-01T12:30:15.123Z", DAY),
    (DateTimeField(), "2025-01-01T12:30:15.123z", DAY),
    (DateTimeField(), "2025-01-01T14:30:15.123+02:00", DAY),
    (DateTimeField(), "2025-01-01", datetime(2025, 1, 1, tzinfo=UTC)),
    (DateTimeField(), 1735734615123, DAY),
    (DateTimeField(), -1, datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
    (DateTimeField(), 0, datetime(1970, 1, 1, tzinfo=UTC)),
    (
        DateTimeField(),
        datetime(2025, 1, 1, 0, 0, 0, 999999, tzinfo=UTC),
        datetime(2025, 1, 1, 0, 0, 0, 999000, tzinfo=UTC),
    ),
    (DateTimeField(), datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)),
    (
        DateTimeField(),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
    ),
]


@pytest.mark.parametrize(("field", "given", "held"), CONVERTED)
def test_other_forms_are_converted(field: Any, given: object, held: object) -> None:
    """A value in another accepted form becomes the form the field holds, which survives being stored."""
    field = bound(field)
    accepted = field.accept(given)
    assert accepted == held
    assert type(accepted) is type(held)
    assert there_and_back(field, given) == held
    if isinstance(held, datetime):
        assert accepted.tzinfo is UTC


@pytest.mark.parametrize("field", [StringField(), StringField(choices=["yes"]), RelatedField("User")])
def test_a_str_of_another_class_is_held_as_str(field: Any) -> None:
    """What is loaded later is a plain `str`; so is what is held, not a `str` that is also an Enum."""
    accepted = bound(field).accept(Word.YES)
    assert accepted == "yes"
    assert type(accepted) is type(there_and_back(bound(field), Word.YES)) is str


def test_an_int_of_another_class_is_held_as_int() -> None:
    """An `IntEnum` member becomes the number."""

    class Weight(enum.IntEnum):
        HEAVY = 7

    assert type(bound(IntegerField()).accept(Weight.HEAVY)) is int


REFUSED: list[tuple[Any, object]] = [
    (StringField(), 5),
    (StringField(), b"x"),
    (StringField(), ["x"]),
    (StringField(), f"{SECRET}\ud800"),
    (StringField(max_length=3), SECRET),
    (StringField(min_length=30), SECRET),
    (StringField(pattern="[a-c]+"), SECRET),
    (StringField(pattern="[a-c]+"), f"abc\n{SECRET}"),
    (StringField(choices=["a", "b"]), SECRET),
    (UlidField(), SECRET),
    (UlidField(), ULID.lower()),
    (VersionField(), SECRET),
    (UuidField(), SECRET),
    (UuidField(), 5),
    (RelatedField("User"), ""),
    (RelatedField("User"), 5),
    (RelatedField("User"), object()),
    (IntegerField(), True),
    (IntegerField(), 5.0),
    (IntegerField(), "5"),
    (IntegerField(), Decimal(5)),
    (IntegerField(), 10**38 + 1),
    (IntegerField(), -(10**38) - 1),
    (IntegerField(), 10**126),
    (IntegerField(minimum=0), -1),
    (IntegerField(maximum=9), 10),
    (CounterField(), "3"),
    (CounterField(), False),
    (FloatField(), True),
    (FloatField(), "0.1"),
    (FloatField(), float("nan")),
    (FloatField(), float("inf")),
    (FloatField(), float("-inf")),
    (FloatField(), 1e126),
    (FloatField(), 9.9e-131),
    (FloatField(), 10**400),
    (DecimalField(), True),
    (DecimalField(), 0.1),
    (DecimalField(), "0.1"),
    (DecimalField(), Decimal("NaN")),
    (DecimalField(), Decimal("sNaN")),
    (DecimalField(), Decimal("Infinity")),
    (DecimalField(), Decimal("1" * 39)),
    (DecimalField(), Decimal("1E+126")),
    (DecimalField(), Decimal("9.99E-131")),
    (BooleanField(), 1),
    (BooleanField(), 0),
    (BooleanField(), "true"),
    (BinaryField(), "x"),
    (BinaryField(), [1]),
    (DateTimeField(), "yesterday"),
    (DateTimeField(), f"2025-01-01T{SECRET}"),
    (DateTimeField(), "0000-01-01"),
    (DateTimeField(), "10000-01-01"),
    (DateTimeField(), True),
    (DateTimeField(), float("nan")),
    (DateTimeField(), float("inf")),
    (DateTimeField(), 10**18),
    (DateTimeField(), -(10**18)),
    (DateTimeField(), b"2025-01-01"),
    (DateTimeField(), datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
    (DateTimeField(), datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))),
    (DateTimeField(), "0001-01-01T00:00:00+01:00"),
    (EnumField(Colour), SECRET),
    (EnumField(Colour), []),
    (EnumField(Level), "9"),
    (EnumField(Level), Decimal("sNaN")),
    (StringSetField(), SECRET),
    (StringSetField(), {1}),
    (StringSetField(), [None]),
    (StringSetField(), {f"{SECRET}\ud800"}),
    (StringSetField(max_string_length=3), {SECRET}),
    (StringSetField(max_member_count=1), {SECRET, "b"}),
    (NumberSetField(), {"1"}),
    (NumberSetField(), {True}),
    (NumberSetField(), {float("nan")}),
    (NumberSetField(), {10**38 + 1}),
    (MapField(), [SECRET]),
    (MapField(), SECRET),
    (MapField(), {1: "a"}),
    (MapField(), {"a": [{"": 1}]}),
    (MapField(), {"n" * 65_536: 1}),
    (MapField(), {"a": object()}),
    (MapField(), {"a": [float("nan")]}),
    (MapField(), {"a": 10**38 + 1}),
    (MapField(), {"a": f"{SECRET}\ud800"}),
    (MapField(), {f"{SECRET}\ud800": 1}),
    (ListField(), {"a": 1}),
    (ListField(), SECRET),
    (ListField(), [datetime(2025, 1, 1)]),
    (ListField(), [["\udfff"]]),
    (JsonField(), {1, 2}),
    (JsonField(), {"a": b"x"}),
    (JsonField(), float("nan")),
    (JsonField(), {"a": f"{SECRET}\ud800"}),
    (NestedField(Point), {"x": 1}),
    (NestedField(Point), Price(Decimal(1))),
    (NestedField(Point), Point(float("nan"))),
    (NestedField(Point), Point(1.0, f"{SECRET}\ud800")),
]


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_what_cannot_be_stored_or_breaks_a_rule_is_refused(field: Any, value: object) -> None:
    """The error names the model and field and carries the value, which is never in its text."""
    with pytest.raises(ValidationError) as caught:
        bound(field).accept(value)
    error = caught.value
    assert error.field == "value"
    parts = value if isinstance(value, (set, list)) else ()
    assert error.value is value or error.value == value or error.value in parts
    assert str(error).startswith("Thing.value ")
    assert SECRET not in str(error)
    str(error).encode()


@pytest.mark.parametrize(
    "digits",
    [37, 38],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_last_accepted_digits(digits: int, sign: int) -> None:
    """37 and 38 significant digits are kept exactly, by integers, decimals and inside documents."""
    number = sign * int("1" * digits)
    assert there_and_back(bound(IntegerField()), number) == number
    fraction = Decimal(number).scaleb(-5)
    assert there_and_back(bound(DecimalField()), fraction) == fraction
    assert there_and_back(bound(MapField()), {"n": number}) == {"n": number}
    assert there_and_back(bound(NumberSetField()), {number, fraction}) == {number, fraction}


@pytest.mark.parametrize("text", ["1E-130", "-1E-130", "1.1E-130", "9.99E+125", "-9.99E+125", "9.9E+124"])
def test_the_last_accepted_magnitudes(text: str) -> None:
    """1E-130 and 9.99E+125 are the bounds, for decimals, floats, and whole numbers."""
    number = Decimal(text)
    assert there_and_back(bound(DecimalField()), number) == number
    assert there_and_back(bound(FloatField()), float(text)) == float(text)
    if number == number.to_integral_value():
        assert there_and_back(bound(IntegerField()), int(number)) == int(number)


def test_a_program_may_forbid_to_compare_floats_with_decimals() -> None:
    """Programs that count money set the trap `FloatOperation`. Sets with numbers of both types work all the same."""
    field, numbers = bound(NumberSetField()), {3, 0.5, Decimal("0.12345678901234567890")}
    with localcontext() as context:
        context.traps[FloatOperation] = True
        assert there_and_back(field, numbers) == numbers
        assert field.to_json(numbers) == ["0.12345678901234567890", 0.5, 3]


def test_a_rule_s_bounds_are_inclusive() -> None:
    """Lengths, counts and ranges allow their own limit."""
    assert bound(StringField(max_length=3, min_length=3)).accept("äöü") == "äöü"
    assert bound(StringField(max_length=1)).accept("\U0001f600") == "\U0001f600"
    assert bound(IntegerField(minimum=1, maximum=1)).accept(1) == 1
    assert bound(StringSetField(max_string_length=2, max_member_count=2)).accept({"ab", "c"}) == {"ab", "c"}
    assert bound(StringField(pattern="[a-c]+")).accept("abc") == "abc"
    assert bound(StringField(choices=iter(["a"]))).accept("a") == "a"


def test_a_nested_class_reads_back_what_it_stored() -> None:
    """Whatever a nested class holds and the field accepts can be loaded again, Decimals too."""
    field = bound(NestedField(Price))
    assert there_and_back(field, Price(Decimal("1.10"))) == Price(Decimal("1.10"))
    assert there_and_back(bound(NestedField(Point)), Point(20.0)) == Point(20.0)


# --- None, defaults ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    [
        StringField(),
        IntegerField(),
        CounterField(),
        FloatField(),
        BooleanField(),
        DateTimeField(),
        CreateDateField(),
        UlidField(auto_assign=True),
        VersionField(),
        MapField(),
        JsonField(),
        EnumField(Colour),
        NestedField(Point),
        StringField(required=True, default=None),
    ],
)
def test_none_is_refused_where_the_field_is_not_optional(field: Any) -> None:
    """A field without default cannot be None; the error says what to do."""
    with pytest.raises(ValidationError, match=r"Thing\.value is required and cannot be None"):
        bound(field).accept(None)


@pytest.mark.parametrize(
    "field", [StringField(default=None), StringField(required=False), DateTimeField(default=None)]
)
def test_none_is_a_value_of_an_optional_field(field: Any) -> None:
    """With ``default=None`` or ``required=False`` None is accepted, and is the value where none is given."""
    field = bound(field)
    assert field.accept(None) is None
    assert field.default_value() is None
    assert field.missing_value() is None


def test_the_annotation_makes_a_field_optional() -> None:
    """A field of an annotation with ``| None`` takes None."""
    field = StringField().bind("value", "Thing", "value", nullable=True)
    assert field.accept(None) is None


def test_a_ttl_may_always_be_none() -> None:
    """None means that the item never expires."""
    assert bound(TtlField(), "ttl").accept(None) is None


def test_sets_take_none_as_empty_and_store_empty_as_nothing() -> None:
    """There is no empty set in DynamoDB: no attribute stands for it, both ways."""
    for field in (bound(StringSetField()), bound(NumberSetField())):
        assert field.accept(None) == set()
        assert field.to_dynamo(set()) is None
        assert field.missing_value() == set()
        first, second = field.missing_value(), field.missing_value()
        assert first is not second


def test_mutable_defaults_are_not_shared() -> None:
    """Each instance gets its own list, dict or set, however the default is given."""
    for field in (
        bound(ListField(default=[])),
        bound(MapField(default=dict)),
        bound(StringSetField(default={"a"})),
        bound(StringSetField()),
    ):
        assert field.default_value() == field.default_value()
        assert field.default_value() is not field.default_value()


def test_fields_that_fill_themselves() -> None:
    """Ids, versions, dates and counters have a first value of their own."""
    assert is_ulid(bound(UlidField(auto_assign=True)).default_value())
    assert isinstance(bound(UuidField(auto_assign=True)).default_value(), uuid.UUID)
    assert is_ulid(bound(VersionField()).default_value())
    assert bound(CounterField()).default_value() == 0
    assert bound(CounterField(default=10)).default_value() == 10
    for field in (bound(CreateDateField()), bound(ModifiedDateField())):
        now = datetime.now(UTC)
        made = field.default_value()
        assert made.tzinfo is UTC
        assert abs(made - now) < timedelta(minutes=1)
        assert made.microsecond % 1000 == 0
        assert field.accept(made) == made


def test_renewing_fields_give_another_value_for_each_save() -> None:
    """A version is a new ULID each time, a modified date the present."""
    version = bound(VersionField())
    assert version.auto_update
    assert version.next_value() < version.next_value()
    modified = bound(ModifiedDateField())
    assert modified.auto_update
    assert modified.accept(modified.next_value()) is not None
    assert not bound(CreateDateField()).auto_update


# --- TTL ------------------------------------------------------------------------------------------


def test_a_ttl_is_kept_to_the_second() -> None:
    """TTLs are stored in whole seconds, cut off; milliseconds are understood as for dates."""
    field = bound(TtlField(), "ttl")
    assert field.to_dynamo(field.accept(1735775999999)) == {"N": "1735775999"}
    assert field.from_dynamo({"N": "1735775999"}) == datetime(2025, 1, 1, 23, 59, 59, tzinfo=UTC)
    assert field.accept(datetime(2025, 1, 1, 0, 0, 0, 999999, tzinfo=UTC)) == datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [1735775999, 1, 1735775999.5])
def test_a_ttl_in_seconds_is_refused(seconds: float) -> None:
    """A number that looks like seconds would expire the item in 1970; the error says what to give."""
    with pytest.raises(ValidationError, match="looks like seconds; give a datetime or milliseconds"):
        bound(TtlField(), "ttl").accept(seconds)


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        (StringField(), "a b", "a b"),
        (UlidField(), ULID, ULID),
        (UuidField(), UUID, str(UUID)),
        (RelatedField("User"), "u", "u"),
        (IntegerField(), 42, "00000000000000000042"),
        (CounterField(), 9, "00000000000000000009"),
        (BooleanField(), True, "1"),
        (BooleanField(), False, "0"),
        (DateTimeField(), datetime(2024, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), "00000001735689599999"),
        (EnumField(Colour), Colour.BLUE, "blue"),
        (VersionField(), ULID, ULID),
    ],
)
def test_ordinary_key_texts_are_the_same_in_both_formats(field: Any, value: object, text: str) -> None:
    """Ids, texts, whole numbers, dates and booleans have one key text, which gives the value back."""
    field = bound(field)
    assert field.to_key(value) == field.to_javascript_key(value) == text
    for back in (field.from_key(text), field.from_javascript_key(text)):
        assert back == value
        assert type(back) is type(value)


def test_native_key_texts_of_other_values() -> None:
    """Negative numbers, fractions and times before 1970 have texts in order; a TTL its seconds."""
    assert bound(IntegerField()).to_key(-5) == "-99999999999999999994"
    assert bound(FloatField()).to_key(12.5) == bound(DecimalField()).to_key(Decimal("12.50")) == "1501125"
    assert (
        bound(DateTimeField()).to_key(datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)).startswith("-")
    )
    assert bound(DateTimeField()).to_key(datetime(1970, 1, 1, tzinfo=UTC)) == "0" * 20
    ttl = bound(TtlField(), "ttl")
    assert ttl.to_key(ttl.accept(1735775999999)) == "00000000001735775999"


def test_the_shared_format_s_key_texts() -> None:
    """JavaScript's own texts: the epoch is ``0``, a float exponential, a TTL divided once more."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert bound(DateTimeField()).to_javascript_key(epoch) == "0"
    assert bound(DateTimeField()).from_javascript_key("0") == epoch
    assert bound(FloatField()).to_javascript_key(1234.5) == "1.23450000000000000000e+3"
    ttl = bound(TtlField(), "ttl")
    assert ttl.to_javascript_key(ttl.accept(1735689599999)) == "00000000000001735689"
    assert bound(IntegerField()).to_javascript_key(2**53 - 1) == f"{2**53 - 1:020d}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (IntegerField(), -1),
        (IntegerField(), 2**53),
        (CounterField(), -3),
        (DateTimeField(), datetime(1969, 12, 31, tzinfo=UTC)),
        (TtlField(), datetime(1969, 12, 31, tzinfo=UTC)),
        (EnumField(Side), Side.LEFT),
        (EnumField(Side), Side.FAR),
    ],
)
def test_what_the_shared_format_cannot_keep_in_order_is_refused(field: Any, value: object) -> None:
    """Negative keys sort wrongly in JavaScript, and large ones lose digits; the mend is the native format."""
    field = bound(field, "ttl")
    with pytest.raises(ValidationError, match=r"dynamo-bao.*native") as caught:
        field.to_javascript_key(value)
    assert caught.value.field == "ttl"


class Distance(enum.IntEnum):
    FAR = 10**20 - 1
    FARTHER = 10**20


def test_an_integer_key_has_20_digits_at_most() -> None:
    """A whole number with more digits is a value but no key, also as a member of an enumeration."""
    field = bound(IntegerField())
    assert field.to_key(10**20 - 1) == bound(EnumField(Distance)).to_key(Distance.FAR) == "9" * 20
    for field, value in ((bound(IntegerField()), 10**20), (bound(EnumField(Distance)), Distance.FARTHER)):
        with pytest.raises(ValidationError, match="more than 20 digits"):
            field.to_key(value)


def test_members_of_a_numeric_enumeration_sort_as_their_values() -> None:
    """Key texts are in the order of the values, so 9 comes before 10."""
    field = bound(EnumField(Level))
    assert field.to_key(Level.LOW) < field.to_key(Level.HIGH)
    assert field.from_key(field.to_key(Level.HIGH)) is Level.HIGH


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (IntegerField(), "42"),
        (BooleanField(), "2"),
        (BooleanField(), "true"),
        (UuidField(), str(UUID).upper()),
        (UuidField(), "x"),
        (DateTimeField(), "2025-01-01"),
        (DateField(), "20250101"),
        (TimeField(), "12:30"),
        (DecimalField(), "12.5"),
        (FloatField(), ""),
        (EnumField(Colour), "green"),
    ],
)
def test_a_text_that_is_no_key_of_the_kind_is_refused(field: Any, text: str) -> None:
    """Only texts as the field writes them are read as keys."""
    with pytest.raises(ValueError):
        bound(field).from_key(text)


# --- own kinds --------------------------------------------------------------------------------------


class Slug(StringField):  # type: ignore[misc]
    """A text without spaces, kept in capitals in the table."""

    def validate(self, value: str) -> None:
        super().validate(value)
        if " " in value:
            raise ValueError("a slug has no spaces")

    def to_dynamo(self, value: str) -> Any:
        return {"S": value.upper()}

    def from_dynamo(self, stored: Any) -> str:
        return str(stored["S"]).lower()

    def to_key(self, value: str) -> str:
        return f"slug-{value}"

    def from_key(self, text: str) -> str:
        if not text.startswith("slug-"):
            raise ValueError("no slug")
        return text[5:]


class Plain(Field):
    """An own kind that stores a complex number as a bare text."""

    python_types = (complex,)

    def to_dynamo(self, value: complex) -> Any:
        return f"{value.real}|{value.imag}"

    def from_dynamo(self, stored: Any) -> complex:
        real, imaginary = stored["S"].split("|")
        return complex(float(real), float(imaginary))


class Doubled(IntegerField):  # type: ignore[misc]
    """Overrides one direction only."""

    def from_dynamo(self, stored: Any) -> int:
        return int(stored["N"]) * 2


class DeepSlug(Slug):
    """Overrides nothing more."""


class Tags(StringSetField):  # type: ignore[misc]
    """A set whose members are in small letters."""

    def normalise_member(self, member: Any) -> Any:
        return super().normalise_member(member).lower()


def own_kinds() -> type[Any]:
    class Page(Model, prefix="p"):
        slug: str = DeepSlug()
        spot: complex = Plain()
        twice: int = Doubled()
        primary_key = PrimaryKey("slug")

    return Page


def test_an_own_kind_s_conversions_are_used_by_the_compiled_codec() -> None:
    """Overridden `to_dynamo` and `from_dynamo` are called, inherited overrides and single ones too."""
    schema = schema_of(own_kinds())
    values = {"slug": "home", "spot": 1 + 2j, "twice": 3}
    item = schema.encode(values)
    assert item == {"slug": {"S": "HOME"}, "spot": {"S": "1.0|2.0"}, "twice": {"N": "3"}}
    found = schema.values_of(item, {"slug": "home"})
    assert found == {"slug": "home", "spot": 1 + 2j, "twice": 6}


def test_an_own_kind_s_rule_and_key_text_are_used() -> None:
    """A plain `ValueError` of `validate` becomes the field's error, and `to_key` makes the key."""
    schema = schema_of(own_kinds())
    assert schema.keys.from_key(None, {"slug": "home"}).key.pk == "p#slug-home"
    assert schema.keys.from_key(None, "slug-home").values == {"slug": "home"}
    with pytest.raises(ValidationError):
        schema.keys.from_key(None, "home")
    with pytest.raises(ValidationError, match=r"Page\.slug a slug has no spaces") as caught:
        schema.accept_all({"slug": "a b", "spot": 1j, "twice": 1})
    assert caught.value.field == "slug"
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_own_kind_s_members_are_used() -> None:
    """A set that makes other members of what is given does so in the constructor, and in filters."""

    class Page(Model, prefix="p"):
        slug: str
        tags: set[str] = Tags()
        primary_key = PrimaryKey("slug")

    assert Page(slug="home", tags={"Red", "BLUE"}).tags == {"red", "blue"}
    assert schema_of(Page).fields["tags"].member("Red") == {"S": "red"}


def test_an_own_error_without_a_field_is_given_one() -> None:
    """A `ValidationError` that `validate` raises without naming the field gets the field's name."""

    class Strict(StringField):  # type: ignore[misc]
        def validate(self, value: str) -> None:
            raise ValidationError("never right")

    with pytest.raises(ValidationError, match=r"Thing\.value never right") as caught:
        bound(Strict()).accept("x")
    assert caught.value.field == "value"


# --- relations ---------------------------------------------------------------------------------


def test_a_relation_takes_an_instance_of_its_target_and_holds_its_id() -> None:
    """An instance stands for its primary id; one of another model is refused."""

    class User(Model, prefix="u"):
        user_id: str
        primary_key = PrimaryKey("user_id")

    class Other(Model, prefix="o"):
        other_id: str
        primary_key = PrimaryKey("other_id")

    for target in ("User", User):
        field = bound(RelatedField(target))
        assert field.accept(User(user_id="u-1")) == "u-1"
        with pytest.raises(ValidationError, match="takes a User or its primary id, not Other"):
            field.accept(Other(other_id="o-1"))
        with pytest.raises(ValidationError, match=r"is a text, not int; User\.make_primary_id\(…\) makes it"):
            field.accept(7)


def test_all_wrong_fields_are_told_at_once() -> None:
    """One error lists every wrong field; its own attributes are those of the first."""

    class Thing(Model, prefix="t"):
        name: str
        age: int
        ok: bool
        primary_key = PrimaryKey("name")

    with pytest.raises(ValidationError, match=r"2 fields are wrong: .*name.*age") as caught:
        schema_of(Thing).accept_all({"name": 5, "age": "x", "ok": True})
    assert caught.value.field == "name"
    assert [error.field for error in caught.value.errors] == ["name", "age"]
    with pytest.raises(ValidationError) as caught:
        schema_of(Thing).accept_all({"name": "a", "age": "x", "ok": True})
    assert caught.value.field == "age"
