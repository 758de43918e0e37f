"""The worked examples of the table format, byte for byte."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    BinaryField,
    BooleanField,
    CounterField,
    CreateDateField,
    DateTimeField,
    FloatField,
    Index,
    IntegerField,
    Model,
    ModifiedDateField,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    TtlField,
    UlidField,
    UniqueConstraint,
    ValidationError,
    VersionField,
)
from dynamo_bao.dynamodb.expressions.conditions import EMPTY
from dynamo_bao.dynamodb.keys import parse_partition_key
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.writes.plans import (
    CounterDelta,
    ItemRef,
    SetDelta,
    StoredItem,
    plan_create,
    plan_update,
)

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "format_vectors.json").read_text(encoding="utf-8"))
EXAMPLES = {example["n"]: example for example in VECTORS["examples"]}
CREATED = 1735689599999
NOW = VECTORS["now"]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
FORMATS = ["native", "dynamo-bao"]
BOTH = pytest.mark.parametrize("key_format", FORMATS)

ANN, BEN, CAT = (f"01JGFJJZ00{name}0000000000000" for name in ("ANN", "BEN", "CAT"))
VERSION, VERSION_2 = "01JGFJJZ00VER0000000000000", "01JGFJJZ00VR20000000000000"
POST, TAG, COMMENT, U = (f"01JGFJJZ00{name}0000000000000" for name in ("PST", "TAG", "CMT", "QQQ"))


def at(milliseconds: int) -> datetime:
    return EPOCH + timedelta(milliseconds=milliseconds)


# --- the models of the examples ----------------------------------------------------------------------


def note(key_format: str) -> Schema:
    class Note(Model, prefix="n", key_format=key_format, attribute_style="camel"):
        note_id: str
        text: str
        primary_key = PrimaryKey("note_id")

    return schema_of(Note)


def user(key_format: str) -> Schema:
    class User(
        Model, prefix="u", key_format=key_format, attribute_style="camel", iterable=True, iteration_buckets=1
    ):
        user_id: str = UlidField()
        name: str
        email: str
        external_id: str | None = None
        external_platform: str | None = None
        role: str = StringField(default="user")
        status: str = StringField(default="active")
        created_at: datetime = CreateDateField()
        modified_at: datetime = ModifiedDateField()
        primary_key = PrimaryKey("user_id")
        by_platform = Index("external_platform", "user_id", id="gsi1")
        by_role = Index("role", "status", id="gsi2")
        by_status = Index("status", "created_at", id="gsi3")
        unique_email = UniqueConstraint("email", id="uc1")
        unique_external_id = UniqueConstraint("external_id", id="uc2")

    return schema_of(User)


def comment(key_format: str) -> Schema:
    class Comment(Model, prefix="c", key_format=key_format, attribute_style="camel", iterable=True):
        comment_id: str = UlidField()
        author_id: str = RelatedField("User")
        post_id: str
        text: str
        created_at: datetime = CreateDateField()
        num_likes: int = IntegerField(default=0)
        primary_key = PrimaryKey("post_id", "comment_id")

    return schema_of(Comment)


def all_types(key_format: str) -> Schema:
    class AllTypes(
        Model,
        prefix="at",
        key_format=key_format,
        attribute_style="camel",
        iterable=True,
        iteration_buckets=100,
    ):
        id: str
        str_: str | None = StringField(default=None)
        int_: int | None = IntegerField(default=None)
        int_def: int | None = IntegerField(default=7)
        flt: float | None = None
        flt_p: float | None = FloatField(precision=2, default=None)
        bool_t: bool | None = None
        bool_f: bool | None = None
        bool_unset: bool | None = BooleanField(default=None)
        dt: datetime | None = DateTimeField(default=None)
        created: datetime = CreateDateField()
        modified: datetime = ModifiedDateField()
        bin: bytes | None = BinaryField(default=None)
        tags: set[str] = StringSetField()
        no_tags: set[str] = StringSetField()
        cnt: int = CounterField()
        cnt_set: int = CounterField(default=10)
        version: str = VersionField()
        rel: str | None = RelatedField("User", default=None)
        ttl: datetime | None = TtlField(default=None)
        primary_key = PrimaryKey("id")

    return schema_of(AllTypes)


def enc(key_format: str, *, fractions: bool = True) -> Schema:
    """Without `fractions` the float orders nothing, as the shared format demands; it is a partition then."""

    class Enc(Model, prefix="e", key_format=key_format):
        id: str
        flag: bool
        n: int
        f: float
        when: datetime = DateTimeField()
        owner: str = RelatedField("User")
        c: int = CounterField()
        kind: str
        v: str = VersionField()
        u: str = UlidField()
        ttl: datetime | None = TtlField(default=None)
        primary_key = PrimaryKey("id")
        by_flag = Index("flag", "n", id="gsi1")
        by_owner = Index("owner", "f", id="gsi2") if fractions else Index("f", "owner", id="gsi2")
        by_kind = Index("kind", "when", id="gsi3")
        by_u = Index("u", "c", id="gsi4")
        by_v = Index("v", "ttl", id="gsi5")

    return schema_of(Enc)


def prefix_pk(key_format: str) -> Schema:
    class PrefixPk(Model, prefix="pp", key_format=key_format, iterable=True, iteration_buckets=1):
        code: str
        label: str
        primary_key = PrimaryKey(MODEL_PREFIX, "code")

    return schema_of(PrefixPk)


def post(key_format: str) -> Schema:
    class Post(Model, prefix="p", key_format=key_format, attribute_style="camel"):
        post_id: str = UlidField()
        user_id: str = RelatedField("User")
        title: str
        created_at: datetime = CreateDateField()
        version: str = VersionField()
        primary_key = PrimaryKey("post_id")
        all_posts = Index(MODEL_PREFIX, "post_id", id="gsi1")
        posts_for_user = Index("user_id", "created_at", id="gsi2")
        by_title = Index("title", MODEL_PREFIX, id="gsi3")

    return schema_of(Post)


def tagged_post(key_format: str) -> Schema:
    class TaggedPost(
        Model, prefix="tp", key_format=key_format, attribute_style="camel", table_type="mapping"
    ):
        tag_id: str = RelatedField("Tag")
        post_id: str = RelatedField("Post")
        created_at: datetime = CreateDateField()
        primary_key = PrimaryKey("tag_id", "post_id")
        tags_for_post = Index("post_id", "tag_id", id="gsi1")
        recent_posts_for_tag = Index("tag_id", "created_at", id="gsi2")

    return schema_of(TaggedPost)


def reading(key_format: str) -> Schema:
    class Reading(Model, prefix="r", key_format=key_format, iterable=True, iteration_buckets=7):
        sensor: int
        at: datetime
        value: float
        primary_key = PrimaryKey("sensor", "at")

    return schema_of(Reading)


# --- comparing --------------------------------------------------------------------------------------


def expected(number: int) -> list[dict[str, Any]]:
    """The items of an example, binaries as bytes and sets in order."""
    return sorted((comparable(item) for item in EXAMPLES[number]["items"]), key=lambda item: str(item["_pk"]))


def comparable(item: dict[str, Any]) -> dict[str, Any]:
    return {name: _comparable(value) for name, value in item.items()}


def _comparable(value: dict[str, Any]) -> dict[str, Any]:
    ((code, content),) = value.items()
    if code == "B" and isinstance(content, str):
        return {"B": base64.b64decode(content)}
    return {code: sorted(content)} if code == "SS" else value


def created(number: int, schema: Schema, **given: Any) -> list[dict[str, Any]]:
    """The items that creating an example's object puts, guards included."""
    example = EXAMPLES[number]
    values = {name: field.default_value() for name, field in schema.fields.items() if name not in given}
    values = schema.accept_all({**values, **given})
    identity = schema.keys.from_values(example["tenant"], values)
    assert identity.primary_id == example["primaryId"]
    assert schema.name == example["model"]
    assert schema.keys.from_key(example["tenant"], identity.primary_id) == identity
    subject = ItemRef(schema, example["tenant"], identity)
    plan = plan_create(subject, values, EMPTY)
    put = [action.item for action in plan.actions if action.item is not None]
    assert plan.main_action.item == schema.item(example["tenant"], identity, values)
    return sorted((comparable(item) for item in put), key=lambda item: str(item["_pk"]))


ALL_1 = {
    "id": "all-1",
    "str_": "sé",
    "int_": -5,
    "flt": 0.1,
    "flt_p": 3.14159,
    "bool_t": True,
    "bool_f": False,
    "dt": 1735689600000,
    "created": CREATED,
    "modified": NOW,
    "bin": b"\x00\x01\xfe\xff",
    "tags": {"b", "a"},
    "cnt": 3,
    "version": VERSION,
    "rel": ANN,
    "ttl": 1735775999999,
}
ENC = {"owner": ANN, "kind": "k", "u": U, "v": VERSION, "ttl": 1735689599999}
ENC_1 = {**ENC, "id": "enc-1", "flag": True, "n": 42, "f": 1234.5, "when": CREATED, "c": 9}
ENC_2 = {**ENC, "id": "enc-2", "flag": False, "n": -5, "f": -0.5, "when": -1, "c": -3}
USER_2 = {
    "user_id": ANN,
    "name": "Ann",
    "email": "ann@example.com",
    "external_id": "x-1",
    "external_platform": "gh",
    "created_at": CREATED,
    "modified_at": NOW,
}
USER_3 = {
    "user_id": BEN,
    "name": "Ben",
    "email": "ben@example.com",
    "created_at": CREATED,
    "modified_at": NOW,
}
SAME: dict[int, tuple[Any, dict[str, Any]]] = {
    1: (note, {"note_id": "note-1", "text": "hello"}),
    2: (user, USER_2),
    3: (user, USER_3),
    4: (
        comment,
        {"post_id": "post-1", "comment_id": COMMENT, "author_id": ANN, "text": "nice", "created_at": CREATED},
    ),
    5: (all_types, ALL_1),
    9: (
        post,
        {"post_id": POST, "user_id": ANN, "title": "Hi", "created_at": CREATED, "version": VERSION},
    ),
    10: (tagged_post, {"tag_id": TAG, "post_id": POST, "created_at": CREATED}),
    11: (reading, {"sensor": 7, "at": CREATED, "value": 20.25}),
}


@BOTH
@pytest.mark.parametrize("number", SAME)
def test_ordinary_examples_are_the_same_in_both_formats(number: int, key_format: str) -> None:
    """Items of ordinary values, their index and iteration keys and guards, as JavaScript writes them."""
    make, given = SAME[number]
    assert created(number, make(key_format), **given) == expected(number)


@BOTH
@pytest.mark.parametrize("number", SAME)
def test_examples_read_back_as_the_values_they_were_made_of(number: int, key_format: str) -> None:
    """An item that JavaScript wrote is read into the values of the example."""
    make, given = SAME[number]
    schema = make(key_format)
    item = next(item for item in expected(number) if item["_sk"] != {"S": "_raft_uc"})
    place = parse_partition_key(item["_pk"]["S"])
    assert place is not None
    found = schema.values_of(item, schema.keys.from_item(place.tenant, item).values)
    assert {name: found[name] for name in given} == schema.accept_all(given, given)


def test_example_6_in_the_shared_format() -> None:
    """Every index text of JavaScript's, byte for byte; the fraction as a partition, where it orders nothing."""
    (item,) = created(6, enc("dynamo-bao", fractions=False), **ENC_1)
    (wanted,) = expected(6)
    owner, fraction = wanted["_gsi2_pk"]["S"].rsplit("#", 1)[1], wanted["_gsi2_sk"]["S"]
    wanted.update(_gsi2_pk={"S": f"e#gsi2#{fraction}"}, _gsi2_sk={"S": owner})
    assert item == wanted


def test_example_6_in_the_native_format() -> None:
    """Only the float's and the TTL's index texts differ from JavaScript's, being in order."""
    (item,) = created(6, enc("native"), **ENC_1)
    (wanted,) = expected(6)
    wanted["_gsi2_sk"] = {"S": "150312345"}
    wanted["_gsi5_sk"] = {"S": "00000000001735689599"}
    assert item == wanted


@pytest.mark.parametrize("name", ["n", "when", "c"])
def test_example_7_is_refused_by_the_shared_format(name: str) -> None:
    """Negative numbers and moments before 1970 would sort wrongly there; the error says so and names the field."""
    with pytest.raises(ValidationError, match=r"dynamo-bao.*native") as caught:
        created(7, enc("dynamo-bao", fractions=False), **{**ENC_1, "id": "enc-2", name: ENC_2[name]})
    assert caught.value.field == name


def test_example_7_has_native_keys_otherwise() -> None:
    """The same attributes, with keys that sort; the native format differs in nothing else."""
    (item,) = created(7, enc("native"), **ENC_2)
    (wanted,) = expected(7)
    wanted["_gsi1_sk"] = {"S": "-99999999999999999994"}
    wanted["_gsi3_sk"] = {"S": "-99999999999999999998"}
    wanted["_gsi4_sk"] = {"S": "-99999999999999999996"}
    wanted["_gsi5_sk"] = {"S": "00000000001735689599"}
    wanted["_gsi2_sk"] = {"S": "0" + "499".translate(str.maketrans("0123456789", "9876543210")) + "4~"}
    assert item == wanted


def test_example_8_has_the_tenant_in_the_native_format() -> None:
    """With the prefix as partition key the native key has the tenant, which JavaScript leaves out."""
    (item,) = created(8, prefix_pk("native"), code="de", label="Germany")
    (wanted,) = expected(8)
    assert item == {**wanted, "_pk": {"S": "[acme]#pp"}}


def test_example_8_without_tenant_in_the_shared_format() -> None:
    """Without a tenant the shared format has JavaScript's key."""
    schema = prefix_pk("dynamo-bao")
    identity = schema.keys.from_key(None, "de")
    item = schema.item(None, identity, {"code": "de", "label": "Germany"})
    (wanted,) = expected(8)
    assert comparable(item) == {**wanted, "_iter_pk": {"S": "pp#iter"}}


def updated(
    schema: Schema, item: dict[str, Any], **changes: Any
) -> tuple[dict[str, Any], set[str], set[str]]:
    """An item after a planned update, carried out by hand, and the guards freed and claimed."""
    identity = schema.keys.from_item(None, item)
    known = StoredItem.read(schema, identity, item)
    subject = ItemRef(schema, None, identity)
    plan = plan_update(subject, changes, known, EMPTY)
    update = plan.main_action.update
    assert update is not None
    after = {**item, **update.set_}
    for name in update.remove:
        after.pop(name, None)
    for name, value in update.add.items():
        if "N" in value:
            after[name] = {"N": str(int(after[name]["N"]) + int(value["N"]))}
        else:
            after[name] = {"SS": sorted({*after[name]["SS"], *value["SS"]})}
    for name, value in update.delete.items():
        after[name] = {"SS": sorted(set(after[name]["SS"]) - set(value["SS"]))}
    guards = [action for action in plan.actions if action is not plan.main_action]
    freed = {action.key.pk for action in guards if action.kind == "Delete"}
    return after, freed, {action.key.pk for action in guards if action.kind == "Put"}


@BOTH
def test_example_12_after_updates(key_format: str) -> None:
    """A counter's addition, a set's difference, and cleared fields leave the item that JavaScript leaves."""
    schema = all_types(key_format)
    given = {
        "id": "all-2",
        "str_": "x",
        "int_": 1,
        "cnt": 1,
        "tags": {"a", "b"},
        "rel": ANN,
        "version": VERSION,
    }
    (item,) = created(12, schema, **given, created=CREATED, modified=NOW)
    item, *_ = updated(schema, item, cnt=CounterDelta(5))
    item, *_ = updated(schema, item, tags=SetDelta(frozenset({"c"}), frozenset({"a"})))
    item, *_ = updated(schema, item, str_=None, int_=None, rel=None, version=VERSION_2)
    assert [comparable(item)] == expected(12)


@BOTH
def test_example_13_after_updates(key_format: str) -> None:
    """A changed and a cleared unique value, and half of an index pair, leave JavaScript's item and guards."""
    schema = user(key_format)
    given = {"user_id": CAT, "name": "Cat", "email": "cat@example.com", "external_id": "x-3"}
    *_, item = created(13, schema, **given, created_at=CREATED, modified_at=NOW)
    first, second = "_raft_uc#_uc1#u#email:cat@example.com", "_raft_uc#_uc1#u#email:cat2@example.com"
    item, freed, claimed = updated(schema, item, email="cat2@example.com")
    assert (freed, claimed) == ({first}, {second})
    item, freed, claimed = updated(schema, item, external_id=None)
    assert (freed, claimed) == ({"_raft_uc#_uc2#u#externalId:x-3"}, set())
    item, freed, claimed = updated(schema, item, role="admin")
    assert not freed | claimed
    guard, wanted = expected(13)
    assert comparable(item) == wanted
    assert guard["_pk"] == {"S": second}


@BOTH
def test_example_14_has_search_text(key_format: str) -> None:
    """The `_searchText` of a searchable model."""

    class Article(
        Model,
        prefix="ar",
        key_format=key_format,
        attribute_style="camel",
        iterable=True,
        iteration_buckets=5,
        searchable=["title", "body"],
    ):
        art_id: str
        title: str
        body: str
        primary_key = PrimaryKey("art_id")

    given = {"art_id": "art-1", "title": "Hello,  W\u00f6rld!", "body": "\u82f9\u679c\u624b\u673a iPhone 15"}
    (item,) = created(14, schema_of(Article), **given)
    assert [comparable(item)] == expected(14)


def test_every_example_is_there() -> None:
    """The vectors in the repository are the fourteen examples."""
    assert sorted(EXAMPLES) == list(range(1, 15))
