"""Arguments that cannot be meant are refused at the call, by name; natural forms work."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, cast

import boto3
import pytest

import dynamo_bao
from dynamo_bao import (
    AddMembers,
    AllowDirect,
    ConfigurationError,
    ConfigurationWarning,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    RequireContext,
    StringField,
    ValidationError,
    WarnOutside,
    init_models,
)
from dynamo_bao.fields.base import Field
from dynamo_bao.testing import RecordingTransport, embedded_transport
from tests.support.models import NOBODY, Org, Post, User

NOTHING_LIKE_IT = (3, 3.5, b"x", {"a": 1}, [3], [None], [["user_id"]], object())


def _query(**options: Any) -> Any:
    return Post.query_by_index("posts_for_user", "1" * 26, **options)


@pytest.mark.parametrize("wrong", NOTHING_LIKE_IT, ids=lambda value: type(value).__name__)
def test_options_of_queries(embedded: Manager, wrong: Any) -> None:
    calls: tuple[Callable[[], Any], ...] = (
        lambda: _query(load_related=wrong),
        lambda: _query(related_fields=wrong),
        lambda: _query(related_only=wrong),
        lambda: _query(count_only=wrong),
        lambda: _query(limit="3"),
        lambda: _query(page_size=[wrong]),
        lambda: _query(direction=wrong),
        lambda: _query(start_key=wrong),
        lambda: _query(load_related="user_id"),
        lambda: _query(related_only=True),
        lambda: _query(count_only="x"),
        lambda: Post.query_by_index(wrong, "1" * 26),
        lambda: Post(title="t").load_related_data(wrong),
    )
    for call in calls:
        with pytest.raises((QueryError, ConfigurationError)):
            call()


@pytest.mark.parametrize(
    "wrong", [3, b"x", "1" * 26, {"a": 1}, object()], ids=lambda value: type(value).__name__
)
def test_several_keys(embedded: Manager, wrong: Any) -> None:
    with pytest.raises(ValidationError, match="several ids"):
        User.batch_find(wrong)
    with pytest.raises(ValidationError, match="several values"):
        User.batch_find_by_unique_constraint("unique_email", wrong)


@pytest.mark.parametrize("filters", [{"name": "x"}, {}])
def test_no_index_begins_with_the_fields(embedded: Manager, filters: dict[str, Any]) -> None:
    """The error names the indexes, and what reads the whole model."""
    with pytest.raises(
        QueryError, match=r"find_where: no index begins with .*one of by_status, or iterate_all"
    ):
        User.find_where(**filters)


def test_a_unique_constraint_that_is_none(embedded: Manager) -> None:
    with pytest.raises(ConfigurationError, match=r"User has no unique constraint 'emial'.*unique_email"):
        User.find_by_unique_constraint("emial", "a@x")
    for wrong in (None, 3, ["unique_email"]):
        with pytest.raises(ConfigurationError, match=r"User has no unique constraint .*unique_email"):
            User.find_by_unique_constraint(cast(str, wrong), "a@x")


@pytest.mark.parametrize("wrong", ["User", None, 3, int, 1.5], ids=repr)
def test_a_repository_of_what_is_no_model(embedded: Manager, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"give a Model class, such as repository\(User\)"):
        embedded.repository(wrong)


def test_values_of_expressions_and_changes(embedded: Manager) -> None:
    for wrong in (None, 3, "a", {"a": 1}):
        with pytest.raises(QueryError, match=r"name.*is_in\(\) takes several values"):
            User.fields.name.is_in(cast(Any, wrong))
    for wrong in ({"a": 1}, [["a"]]):
        with pytest.raises(QueryError, match="AddMembers and DropMembers"):
            AddMembers(wrong)


def test_a_version_of_a_model_without_versions(embedded: Manager) -> None:
    with pytest.raises(ValidationError, match="User has no VersionField, so version= cannot be checked"):
        User.update(NOBODY, name="x", version="01ARZ3NDEKTSV4RRFFQ69G5FAV")


@pytest.mark.parametrize("wrong", [3, "name", None, ["a"], {3: "a"}], ids=lambda value: type(value).__name__)
def test_from_dict(embedded: Manager, wrong: Any) -> None:
    with pytest.raises(ValidationError, match="from_dict"):
        User.from_dict(wrong)


def test_natural_forms(embedded: Manager) -> None:
    Org.create(org_id="1", name="Acme")
    user = User.create(name="Ada", org_id="1")
    post = Post.create(title="t", user_id=user)
    assert [one.user.name for one in _query_of(user, related_fields="user_id")] == ["Ada"]
    assert [one.name for one in _query_of(user, related_only="user_id")] == ["Ada"]
    assert post.load_related_data("user_id").user.name == "Ada"


def _query_of(user: User, **options: Any) -> Any:
    return Post.posts_for_user.query(user, **options)


# --- init_models ------------------------------------------------------------------------------------------


class NeedsArguments:
    def __init__(self, needed: int) -> None:
        self.needed = needed

    def outside(self, operation: str) -> None:
        pass


@pytest.mark.parametrize(
    "options",
    [
        *({"policy": wrong} for wrong in (5, "sometimes", object(), NeedsArguments, {}, [])),
        *({"table_name": wrong} for wrong in ("", 5, " ", "a\nb", "x" * 2000, b"app", {}, True)),
        *({"client": wrong} for wrong in (5, "", {}, object(), [])),
        *({"transport": wrong} for wrong in ({}, 5, "", object(), RecordingTransport)),
        *({"embedded": wrong} for wrong in ("yes", 1, 0, None, {})),
        *({"models": wrong} for wrong in (5, User, "User", [5])),
        *({"region": wrong} for wrong in (5, "", {})),
        *({"endpoint_url": wrong} for wrong in (5, "")),
        *({"cursor_secret": wrong} for wrong in ({}, 5, b"", "")),
        *({"strict_filters": wrong} for wrong in ("perhaps", 5, {})),
        *({"tenancy": wrong} for wrong in (5, "yes")),
        *({"batch_context": wrong} for wrong in (5, "warn")),
        *({"config": wrong} for wrong in ("9" * 400, 5, "/", "nul\0", ["a"])),
        {"config": {"db": {"cursor_secret": {}}}},
        *({"config": {"aws": {"read_timeout": wrong}}} for wrong in (0, -1, "soon", True, float("inf"))),
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_of_init_models(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        init_models(**{"models": [User, Org], **options})


def test_a_client_and_the_embedded_engine_exclude_each_other(embedded: Manager) -> None:
    with pytest.raises(ConfigurationError, match="client= and embedded=True exclude each other"):
        init_models(models=[Org], client=embedded.client, embedded=True)


def test_the_client_of_a_resource_is_refused() -> None:
    """It converts the values of attributes, which the library has converted already."""
    where: dict[str, Any] = {"region_name": "eu-west-1", "endpoint_url": "http://127.0.0.1:9"}
    client = boto3.resource("dynamodb", **where).meta.client
    with pytest.raises(ConfigurationError, match=r"boto3 resource.*boto3\.client\('dynamodb'\)"):
        init_models(models=[Org], client=client)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (RequireContext, RequireContext),
        (RequireContext(), RequireContext),
        (WarnOutside, WarnOutside),
        ("warn", WarnOutside),
        ("true", RequireContext),
        (True, RequireContext),
        (False, AllowDirect),
        (AllowDirect, AllowDirect),
    ],
)
def test_words_and_classes_of_policies(given: Any, kind: type[Any]) -> None:
    with init_models(models=[Org], embedded=True, policy=given) as manager:
        assert type(manager.database.policy) is kind


def test_a_strict_program_is_warned_of_cursors_that_anybody_can_forge() -> None:
    options: dict[str, Any] = {"models": [Org], "table_name": "app", "region": "eu-west-1"}
    for strict in ({"policy": RequireContext()}, {"strict_filters": True}):
        with pytest.warns(ConfigurationWarning, match="cursor_secret"):
            init_models(**options, **strict).close()
        init_models(**options, **strict, cursor_secret="long and random").close()
        init_models(**options, **strict, endpoint_url="http://localhost:8000").close()
    init_models(**options).close()


# --- options of fields never become source ------------------------------------------------------------------


class Evil(int):
    """A number that says of itself what is code."""

    def __repr__(self) -> str:
        return "ran.append(1)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "ran.append(1)"


class EvilText(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "ran.append(1) or 'x'"


class Level(enum.IntEnum):
    LOW = 1


NOWHERE = RecordingTransport(embedded_transport())
RAN: list[int] = []
CODE = "0 or __import__('tests.integration.test_wrong_arguments', fromlist=['RAN']).RAN.append(1)"
KINDS = [
    kind
    for name in dynamo_bao.__all__
    if isinstance(kind := getattr(dynamo_bao, name), type) and issubclass(kind, Field) and kind is not Field
]
OPTIONS = (
    *(
        "max_length",
        "min_length",
        "pattern",
        "choices",
        "precision",
        "minimum",
        "maximum",
        "max_member_count",
    ),
    *(
        "max_string_length",
        "default",
        "attribute",
        "doc",
        "required",
        "auto_assign",
        "exact",
        "numbers",
        "whole",
    ),
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_fields_are_no_code(kind: Any, option: str) -> None:
    """Every option of every kind: refused, or taken as what it is; nothing of it ever runs."""
    for hostile in (CODE, Evil(3), EvilText("x"), f"{{{CODE}}}", f"'); {CODE}; ('", f'"); {CODE}; ("'):
        for value in (hostile, [hostile]):
            RAN.clear()
            try:
                field = kind(**{option: value})
                members = {"f": field, "k": StringField(), "primary_key": PrimaryKey("k")}
                made: Any = type(Model)("Made", (Model,), members, prefix="x")
                with init_models(models=[made], transport=NOWHERE):
                    made(k="a")
            except (ValueError, TypeError, QueryError):
                pass
            assert RAN == [], repr(value)


@pytest.mark.parametrize("option", ["max_length", "min_length"])
@pytest.mark.parametrize("wrong", ["0 or 1", -1, 3.5, True, [], "3"], ids=lambda value: type(value).__name__)
def test_bounds_are_numbers(option: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=option):

        class Bounded(Model, prefix="bo"):
            name: str = StringField(**{option: wrong})
            primary_key = PrimaryKey("name")


def test_numbers_of_other_classes_are_taken_as_plain_ones() -> None:
    class Bounded(Model, prefix="bo"):
        name: str = StringField(max_length=Evil(3), min_length=Level.LOW)
        primary_key = PrimaryKey("name")

    with init_models(models=[Bounded], embedded=True):
        assert Bounded.create(name="abc").name == "abc"
        with pytest.raises(ValidationError, match="at most 3"):
            Bounded.create(name="abcd")


@pytest.mark.parametrize("name", ["self", "cls", "key", "value", "index", "parts"])
def test_a_key_field_of_any_name_is_found_by_its_name(name: str) -> None:
    made: Any = type(Model)(
        "Made", (Model,), {"__annotations__": {name: str}, "primary_key": PrimaryKey(name)}, prefix="x"
    )
    with init_models(models=[made], embedded=True):
        made.create(**{name: "1"})
        for find in (made.find, made.find_or_none, made.find_or_raise):
            assert find(**{name: "1"}).exists()
