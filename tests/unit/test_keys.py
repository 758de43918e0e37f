"""The key grammar, and the keys that a model's schema makes with it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    ConfigurationError,
    ConfigurationWarning,
    Index,
    Model,
    PrimaryKey,
    StringField,
    TenantError,
    UlidField,
    UniqueConstraint,
    ValidationError,
)
from dynamo_bao.dynamodb.keys import (
    SEPARATOR,
    Key,
    bucket_of,
    checked_part,
    checked_prefix,
    checked_tenant,
    join_id,
    partition_text,
    sort_text,
    tenant_mark,
)
from dynamo_bao.fields.ulids import new_ulid
from dynamo_bao.mapping import definition
from dynamo_bao.mapping.identity import MAX_TENANTS, PerTenant
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.class_builder import schema_of

ULID = "01JGFJJZ00ANN0000000000000"


def single(*, iterable: bool = False, buckets: int = 10, key_format: str = "native") -> Schema:
    class Single(Model, prefix="s", iterable=iterable, iteration_buckets=buckets, key_format=key_format):
        code: str
        group: str | None = None
        email: str | None = None
        primary_key = PrimaryKey("code")
        by_group = Index("group", "email", id="gsi1")
        all_of_them = Index(MODEL_PREFIX, "email", id="gsi2")
        grouped = Index("group", id="gsi3")
        unique_email = UniqueConstraint("email", id="uc1")

    return schema_of(Single)


def composite(*, iterable: bool = False) -> Schema:
    class Pair(Model, prefix="c", iterable=iterable):
        first: str
        second: str
        primary_key = PrimaryKey("first", "second")

    return schema_of(Pair)


def prefixed(key_format: str = "native") -> Schema:
    class Country(Model, prefix="pp", key_format=key_format):
        code: str
        primary_key = PrimaryKey(MODEL_PREFIX, "code")

    return schema_of(Country)


# --- the pieces -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant", ["a", "A.b_c-9", "x" * 64, "0", ".", "-"])
def test_a_tenant_of_the_alphabet_is_taken_as_it_is(tenant: str) -> None:
    """Any 1 to 64 of the allowed characters are a tenant."""
    assert checked_tenant(tenant) == tenant
    assert tenant_mark(tenant) == f"[{tenant}]#"


@pytest.mark.parametrize(
    "tenant", ["", "x" * 65, "a b", "a]#b", "[a", "ä", "a\n", "a#", "a/b", None, 5, b"a", "a\x00"]
)
def test_any_other_tenant_is_refused(tenant: object) -> None:
    """A tenant outside the alphabet could make two keys one."""
    with pytest.raises(TenantError, match="A tenant id is 1 to 64 characters"):
        checked_tenant(tenant)


def test_no_tenant_leaves_no_mark() -> None:
    """Without a tenant nothing stands in front of a key."""
    assert tenant_mark(None) == ""


@pytest.mark.parametrize("prefix", ["a", "ab_9", "-", "____", "A-1"])
def test_a_prefix_of_the_alphabet_is_taken(prefix: str) -> None:
    """1 to 4 of the allowed characters are a prefix."""
    assert checked_prefix(prefix, "M") == prefix


@pytest.mark.parametrize("prefix", ["", "abcde", "a#", "a.b", "ä", "a\n", None, 7, "[a"])
def test_any_other_prefix_is_refused_naming_the_model(prefix: object) -> None:
    """A wrong prefix is a definition error of its model."""
    with pytest.raises(ConfigurationError, match=r"^Order: prefix=.* 1 to 4 characters") as caught:
        checked_prefix(prefix, "Order")
    assert caught.value.model == "Order"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("a", 97),
        ("all-1", 92904197),
        ("post-1##__SK__##01JGFJJZ00CMT0000000000000", 1815196940),
        ("\u82f9\u679c", 1065923),
        ("\U0001f600", 1772899),
        ("01JGFJJZ00ANN0000000000000", 1632142687),
    ],
)
def test_the_bucket_hash_is_the_javascript_librarys(text: str, expected: int) -> None:
    """Both libraries put an item into the same bucket, also for characters of two UTF-16 units."""
    assert bucket_of(text, 2**40) == expected
    for buckets in (1, 7, 10, 100, 1000):
        assert bucket_of(text, buckets) == expected % buckets


def test_a_hash_that_is_negative_in_32_bits_counts_by_its_magnitude() -> None:
    """A hash that overflows to the negative side still gives a bucket, that of its absolute value."""
    text = "zzzzzz"
    value = 0
    for character in text:
        value = (value * 31 + ord(character)) % 2**32
    assert value >= 2**31  # else this text shows nothing
    assert bucket_of(text, 1000) == (2**32 - value) % 1000


def test_a_composite_part_cannot_hold_the_separator() -> None:
    """A part with the separator in it could be read as two."""
    assert checked_part("a##__SK_##", "M", "f") == "a##__SK_##"
    with pytest.raises(ValidationError, match=r"M\.f") as caught:
        checked_part(f"a{SEPARATOR}b", "M", "f")
    assert caught.value.field == "f"
    assert join_id("a", "b") == "a##__SK__##b"


def test_a_key_is_a_value_with_the_table_s_names() -> None:
    """Keys compare by their texts and write themselves as DynamoDB wants them."""
    assert Key("a", "b") == Key("a", "b") != Key("b", "a")
    assert Key("a", "b").as_item() == {"_pk": {"S": "a"}, "_sk": {"S": "b"}}


# --- limits -----------------------------------------------------------------------------------------

ONE, TWO, THREE, FOUR = "a", "é", "€", "\U0001f600"


def sized(size: int, unit: str) -> str:
    """A text of exactly `size` bytes, mostly of `unit`."""
    width = len(unit.encode())
    return unit * (size // width) + "x" * (size % width)


@pytest.mark.parametrize("unit", [ONE, TWO, THREE, FOUR])
def test_key_limits_count_bytes_of_the_whole_key(unit: str) -> None:
    """2048 bytes of partition key, prefix and tenant included, and 1024 of sort key are the last accepted."""
    schema = single()
    for tenant in (None, "acme"):
        lead = len(f"{tenant_mark(tenant)}s#")
        for size in (2047, 2048):
            key = schema.keys.from_values(tenant, {"code": sized(size - lead, unit)}).key
            assert len(key.pk.encode()) == size
        with pytest.raises(ValidationError, match="2049 bytes") as caught:
            schema.keys.from_values(tenant, {"code": sized(2049 - lead, unit)})
        assert caught.value.field == "code"
    pair = composite()
    for size in (1023, 1024):
        assert (
            len(pair.keys.from_values(None, {"first": "a", "second": sized(size, unit)}).key.sk.encode())
            == size
        )
    with pytest.raises(ValidationError, match="1025 bytes") as caught:
        pair.keys.from_values(None, {"first": "a", "second": sized(1025, unit)})
    assert caught.value.field == "second"


@pytest.mark.parametrize("unit", [ONE, TWO, THREE, FOUR])
def test_index_keys_have_the_same_limits(unit: str) -> None:
    """An index key that is too long is refused before anything is sent, naming its field."""
    by_group = single().indexes["by_group"]
    lead = len("[acme]#s#gsi1#")
    keys = by_group.keys("acme", {"group": sized(2048 - lead, unit), "email": sized(1024, unit)})
    assert len(keys["_gsi1_pk"]["S"].encode()) == 2048
    assert len(keys["_gsi1_sk"]["S"].encode()) == 1024
    with pytest.raises(ValidationError) as caught:
        by_group.keys("acme", {"group": sized(2049 - lead, unit), "email": "x"})
    assert caught.value.field == "group"
    with pytest.raises(ValidationError) as caught:
        by_group.keys("acme", {"group": "x", "email": sized(1025, unit)})
    assert caught.value.field == "email"


@pytest.mark.parametrize("unit", [ONE, TWO, THREE, FOUR])
def test_guard_keys_have_the_same_limit(unit: str) -> None:
    """A unique value whose guard's key would be too long is refused."""
    guard = single().constraints["unique_email"]
    lead = len("[acme]#_raft_uc#_uc1#s#email:")
    assert len(guard.guard_key("acme", {"S": sized(2048 - lead, unit)}).pk.encode()) == 2048
    with pytest.raises(ValidationError, match="2049 bytes"):
        guard.guard_key("acme", {"S": sized(2049 - lead, unit)})


def test_the_guard_limit_counts_the_bytes_of_a_stored_name_beyond_ascii() -> None:
    """The attribute's name is part of the guard's key, in bytes and not in characters."""

    class Person(Model, prefix="g"):
        code: str
        surname: str = StringField(attribute="näme")
        primary_key = PrimaryKey("code")
        unique_name = UniqueConstraint("surname", id="uc1")

    guard = schema_of(Person).constraints["unique_name"]
    lead = len("_raft_uc#_uc1#g#näme:".encode())
    assert len(guard.guard_key(None, {"S": "a" * (2048 - lead)}).pk.encode()) == 2048
    with pytest.raises(ValidationError):
        guard.guard_key(None, {"S": "a" * (2049 - lead)})


def test_an_id_too_long_for_the_iteration_key_is_refused() -> None:
    """The primary id of an iterable model is a sort key too, of 1024 bytes at most."""

    def keys(schema: Schema, values: dict[str, Any]) -> Any:
        identity = schema.keys.from_values(None, values)
        return schema.iteration_keys(None, identity.primary_id)

    schema = single(iterable=True)
    assert keys(schema, {"code": "a" * 1024})["_iter_sk"] == {"S": "a" * 1024}
    with pytest.raises(ValidationError):
        keys(schema, {"code": "a" * 1025})
    with pytest.raises(ValidationError):
        keys(composite(iterable=True), {"first": "a" * 600, "second": "b" * 600})


@pytest.mark.parametrize("bad", ["", "\ud800", "a\udfff"])
def test_a_key_is_a_text_that_is_not_empty(bad: str) -> None:
    """DynamoDB takes neither an empty key nor one that is not Unicode; the value is not in the message."""
    for check in (lambda: partition_text(bad, "M", "f", 0), lambda: sort_text(bad, "M", "f")):
        with pytest.raises(ValidationError, match=r"^M\.f: ") as caught:
            check()
        assert caught.value.field == "f"
        assert caught.value.value == bad
        str(caught.value).encode()


def test_an_empty_key_field_is_refused() -> None:
    """An empty text as a key is refused by the model, single or composite, or as a unique value."""
    with pytest.raises(ValidationError):
        single().keys.from_values(None, {"code": ""})
    with pytest.raises(ValidationError):
        composite().keys.from_values(None, {"first": "", "second": "x"})
    with pytest.raises(ValidationError):
        composite().keys.from_values(None, {"first": "x", "second": ""})
    with pytest.raises(ValidationError):
        prefixed().keys.from_values(None, {"code": ""})
    with pytest.raises(ValidationError):
        single().constraints["unique_email"].guard_key(None, {"S": ""})


# --- the keys of a model ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tenant", "mark"),
    [(None, ""), ("acme", "[acme]#")],
)
def test_keys_of_the_three_forms(tenant: str | None, mark: str) -> None:
    """Single, composite and prefixed primary keys, each with its primary id."""
    assert single().keys.from_values(tenant, {"code": "x"})[:2] == (Key(f"{mark}s#x", "s"), "x")
    assert composite().keys.from_values(tenant, {"first": "a", "second": "b"})[:2] == (
        Key(f"{mark}c#a", "b"),
        "a##__SK__##b",
    )
    assert prefixed().keys.from_values(tenant, {"code": "de"})[:2] == (Key(f"{mark}pp", "de"), "de")


@pytest.mark.parametrize(
    ("tenant", "mark"),
    [(None, ""), ("acme", "[acme]#")],
)
def test_keys_of_indexes_guards_and_iteration(tenant: str | None, mark: str) -> None:
    """Index keys carry prefix and id, sort keys the bare text; the prefix may stand for either part."""
    schema = single(iterable=True, buckets=7)
    values = {"code": "x", "group": "g", "email": "e"}
    assert schema.indexes["by_group"].keys(tenant, values) == {
        "_gsi1_pk": {"S": f"{mark}s#gsi1#g"},
        "_gsi1_sk": {"S": "e"},
    }
    assert schema.indexes["all_of_them"].keys(tenant, values) == {
        "_gsi2_pk": {"S": f"{mark}s#gsi2#s"},
        "_gsi2_sk": {"S": "e"},
    }
    assert schema.indexes["grouped"].keys(tenant, values) == {
        "_gsi3_pk": {"S": f"{mark}s#gsi3#g"},
        "_gsi3_sk": {"S": "s"},
    }
    assert schema.constraints["unique_email"].guard_key(tenant, {"S": "e"}) == Key(
        f"{mark}_raft_uc#_uc1#s#email:e", "_raft_uc"
    )
    assert schema.iteration_keys(tenant, "x") == {
        "_iter_pk": {"S": f"{mark}s#iter#{bucket_of('x', 7):03d}"},
        "_iter_sk": {"S": "x"},
    }


def test_one_bucket_has_no_number() -> None:
    """With a single bucket the partition is named without a number."""
    assert single(iterable=True, buckets=1).iteration_keys(None, "x")["_iter_pk"] == {"S": "s#iter"}


def test_an_index_part_without_value_leaves_the_item_out_of_the_index() -> None:
    """Neither half of an index key is written where a part is None."""
    schema = single()
    for values in ({"group": None, "email": "e"}, {"group": "g", "email": None}, {}):
        assert schema.indexes["by_group"].keys(None, values) == {}
    assert schema.indexes["grouped"].keys(None, {"group": None}) == {}


def test_the_prefix_as_partition_is_refused_for_a_tenant_in_the_shared_format() -> None:
    """The JavaScript format has no tenant in such keys, so that tenants would share keys there."""
    schema = prefixed("dynamo-bao")
    assert schema.keys.from_key(None, "de").key == Key("pp", "de")
    with pytest.raises((ConfigurationError, ValidationError), match=r"dynamo-bao|native"):
        schema.keys.from_key("acme", "de")


def test_values_of_many_tenants_take_bounded_memory() -> None:
    """The values of the first tenants are dropped, and are made again when they are needed."""
    made: list[str | None] = []
    cache: PerTenant[str] = PerTenant(lambda tenant: made.append(tenant) or f"of {tenant}")
    for number in range(2 * MAX_TENANTS):
        assert cache[str(number)] == f"of {number}"
        assert len(cache) <= MAX_TENANTS + 1
    assert (cache["0"], len(made)) == ("of 0", 2 * MAX_TENANTS + 1)


def test_equal_numbers_have_one_guard() -> None:
    """A unique number is one value however it is written; DynamoDB gives it back in another form."""
    from decimal import Decimal

    class Price(Model, prefix="pr"):
        code: str
        amount: Decimal
        ratio: float
        primary_key = PrimaryKey("code")
        unique_amount = UniqueConstraint("amount", id="uc1")
        unique_ratio = UniqueConstraint("ratio", id="uc2")

    for guard in schema_of(Price).constraints.values():
        keys = {guard.guard_key(None, {"N": text}) for text in ("100", "100.0", "1E+2", "1e2", "100.00")}
        assert len(keys) == 1
        keys = {guard.guard_key(None, {"N": text}) for text in ("0.5", "0.50", "5E-1")}
        assert len(keys) == 1
    guard = schema_of(Price).constraints["unique_amount"]
    assert guard.guard_key(None, {"N": "100"}).pk == "_raft_uc#_uc1#pr#amount:100"
    assert guard.guard_key(None, {"N": "0.1"}).pk == "_raft_uc#_uc1#pr#amount:0.1"
    assert guard.guard_key(None, {"N": "0"}).pk == "_raft_uc#_uc1#pr#amount:0"


# --- what a caller may name an item with -----------------------------------------------------------


def test_every_way_to_name_an_item_gives_one_identity() -> None:
    """A value, the primary id, a tuple and a mapping all name the same item."""
    pair = composite()
    expected = pair.keys.from_values("t", {"first": "a", "second": "b"})
    for given in ("a##__SK__##b", ("a", "b"), {"first": "a", "second": "b"}, {"second": "b", "first": "a"}):
        assert pair.keys.from_key("t", given) == expected
    one = single()
    for given in ("x", {"code": "x"}):
        assert one.keys.from_key(None, given) == one.keys.from_values(None, {"code": "x"})
    assert prefixed().keys.from_key(None, "de").values == {"code": "de"}


def test_a_single_key_may_hold_the_separator() -> None:
    """Only composite ids are split, so any text is a single key."""
    text = f"a{SEPARATOR}b"
    assert single().keys.from_key(None, text).primary_id == text


@pytest.mark.parametrize(
    "given",
    [
        "a",
        "a##__SK__##b##__SK__##c",
        ("a",),
        ("a", "b", "c"),
        {"first": "a"},
        {"frist": "a", "second": "b"},
        5,
    ],
)
def test_a_composite_key_that_names_nothing_is_refused(given: object) -> None:
    """Too few parts, too many, unknown ones: each is refused, naming the model."""
    with pytest.raises(ValidationError, match=r"^Pair"):
        composite().keys.from_key(None, given)


def test_a_misspelt_part_brings_a_suggestion() -> None:
    """The error for an unknown part names the one that was meant."""
    with pytest.raises(ValidationError, match="Did you mean 'first'"):
        composite().keys.from_key(None, {"frist": "a", "second": "b"})


@pytest.mark.parametrize("part", [f"a{SEPARATOR}b", SEPARATOR])
def test_a_part_with_the_separator_is_refused_in_every_form(part: str) -> None:
    """No form of naming lets a part with the separator through."""
    for given in ((part, "b"), ("a", part), {"first": part, "second": "b"}):
        with pytest.raises(ValidationError):
            composite().keys.from_key(None, given)


def test_no_two_pairs_have_one_id() -> None:
    """Parts that only together with the separator spell a second one are refused, or told apart."""
    ids = []
    for pair in (("###__SK__", "#"), ("#", "__SK__###")):
        try:
            identity = composite().keys.from_key(None, pair)
        except ValidationError:
            continue
        ids.append(identity.primary_id)
        assert composite().keys.from_key(None, identity.primary_id) == identity
    assert len(set(ids)) == len(ids)


def test_typed_keys_are_named_by_value_or_by_text_and_come_back_as_values() -> None:
    """The primary id of typed parts is read back into values of the fields' types."""

    class Reading(Model, prefix="r"):
        sensor: int
        at: datetime
        primary_key = PrimaryKey("sensor", "at")

    schema, at = schema_of(Reading), datetime(2025, 1, 1, tzinfo=timezone.utc)
    by_value = schema.keys.from_key(None, (7, at))
    by_text = schema.keys.from_key(None, by_value.primary_id)
    assert by_text == by_value
    assert by_text.values == {"sensor": 7, "at": at}
    assert type(by_text.values["sensor"]) is int
    for wrong in ("7##__SK__##8", f"{'0' * 19}7##__SK__##x", ("7", at), (True, at), (7, None)):
        with pytest.raises(ValidationError):
            schema.keys.from_key(None, wrong)


def test_a_key_the_field_refuses_never_becomes_a_key() -> None:
    """The field's rules hold for keys as they do for values."""

    class Thing(Model, prefix="t"):
        thing_id: str = UlidField()
        primary_key = PrimaryKey("thing_id")

    schema = schema_of(Thing)
    assert schema.keys.from_key(None, ULID).primary_id == ULID
    for wrong in ("x", ULID.lower(), ULID + "0", 5, None, b"x", ""):
        with pytest.raises(ValidationError) as caught:
            schema.keys.from_key(None, {"thing_id": wrong})
        assert caught.value.field == "thing_id"
        if isinstance(wrong, str) and len(wrong) > 1:
            assert wrong not in str(caught.value)


# --- buckets ------------------------------------------------------------------------------------------


def bucketed(key_field: Any = None, **options: Any) -> Any:
    """The class statement of an iterable model."""
    body: dict[str, Any] = {"__annotations__": {"key": str}, "primary_key": PrimaryKey("key")}
    if key_field is not None:
        body["key"] = key_field
    return type("Counted", (Model,), body, prefix="cn", iterable=True, **options)


@pytest.mark.parametrize("buckets", [31, 62, 310, 480, 481, 932, 961])
def test_buckets_that_counted_ids_do_not_fill_are_told(buckets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning at the class statement names the number, and one that is filled."""
    monkeypatch.setattr(definition, "_warned_lines", set())
    with pytest.warns(
        ConfigurationWarning, match=rf"Counted: iteration_buckets={buckets} .*, use \d+"
    ) as told:
        bucketed(iteration_buckets=buckets)
    assert told[0].filename == __file__


@pytest.mark.parametrize("buckets", [1, 2, 10, 30, 32, 100, 500, 1000])
def test_buckets_that_counted_ids_fill_are_not(buckets: int) -> None:
    """With most numbers ids that are counted up use most of the buckets."""
    bucketed(iteration_buckets=buckets)
    used = {bucket_of(f"{number:020d}", buckets) for number in range(20 * buckets)}
    assert len(used) >= 0.75 * buckets


def test_buckets_that_are_not_ours_to_choose_or_do_not_matter() -> None:
    """A shared table's number stays what JavaScript uses, and ids by chance fill any number of buckets."""
    bucketed(iteration_buckets=31, key_format="dynamo-bao")
    bucketed(UlidField(auto_assign=True), iteration_buckets=31)
    used = {bucket_of(new_ulid(), 31) for _ in range(2000)}
    assert len(used) >= 28


@pytest.mark.parametrize(
    "primary_id", ["", "a", "n001", "x" * 39, "~" * 40, "~" * 41, "y" * 500, "é", "id-\U0001f600", "\ud800"]
)
def test_the_bucket_of_an_id_is_that_of_javascript(primary_id: str) -> None:
    """A 32-bit hash that wraps after each UTF-16 unit, for short and long ids, in ASCII and in other letters."""
    value = 0
    units = primary_id.encode("utf-16-le", "surrogatepass")
    for place in range(0, len(units), 2):
        value = (value * 31 + int.from_bytes(units[place : place + 2], "little")) % 2**32
    signed = value - 2**32 if value >= 2**31 else value
    assert [bucket_of(primary_id, buckets) for buckets in (1, 7, 10)] == [abs(signed) % n for n in (1, 7, 10)]
