"""Values straight from a request's JSON: by the documented ways none of them is read as an operator."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import define

from dynamo_bao import (
    BaoError,
    ConditionalError,
    Index,
    JsonField,
    Manager,
    MapField,
    Model,
    NestedField,
    PrimaryKey,
    QueryError,
    StringField,
    UniqueConstraint,
    ValidationError,
    Value,
    init_models,
    transaction,
    where,
)

SECRET = "correct horse"  # what must not be found out


@define
class Address:
    city: str = ""


class Account(Model, prefix="ac", iterable=True):
    account_id: str = StringField()
    secret: str = StringField()
    status: str = StringField(default="active")
    level: int = 1
    tags: set[str]
    prefs: dict[str, Any] | None = MapField(default=None)
    extra: Any = JsonField(default=None)
    address: Address | None = NestedField(Address, default=None)
    codes: list[Any] | None = None

    primary_key = PrimaryKey("account_id")
    by_status = Index("status", "secret", id="gsi1")
    unique_secret = UniqueConstraint("secret", id="uc1")


class Login(Model, prefix="lo"):
    account_id: str = StringField()
    at: str = StringField()

    primary_key = PrimaryKey("account_id", "at")
    logins = primary_key


OPERATORS = tuple(
    f"${name}"
    for name in (
        *("eq", "ne", "gt", "gte", "lt", "lte", "in", "between", "begins_with", "beginsWith", "contains"),
        *("not_contains", "exists", "size", "type", "and", "or", "not", "where", "regex"),
    )
)
PLAIN = ("", "a", SECRET[:1], 0, 1, True, False, None, [], ["", "\U0010ffff"], "S", {"N": "1"}, {"S": SECRET})


def hostile_bodies(number: int) -> list[Any]:
    """What an attacker may put in the place of a text: operators on anything, nested in each other."""
    chance = random.Random(46)  # repeatable, and no secret

    def body(depth: int) -> Any:
        if depth == 0:
            return chance.choice(PLAIN)
        kind = chance.randrange(6)
        if kind == 0:
            return [body(depth - 1) for _ in range(chance.randrange(3))]
        names = chance.sample([*OPERATORS, "secret", "status", "a"], chance.choice((1, 1, 1, 2)))
        return {name: body(depth - 1) for name in names}

    bodies = [{operator: plain} for operator in OPERATORS for plain in PLAIN]
    bodies += [{"$or": [{"secret": {"$gte": ""}}]}, {"secret": {"$exists": True}}, {"$not": {"$eq": ""}}]
    while len(bodies) < number:
        made = body(chance.randrange(1, 4))
        if isinstance(made, dict):
            bodies.append(made)
    return [json.loads(json.dumps(one)) for one in bodies[:number]]


HOSTILE = hostile_bodies(1000)


@pytest.fixture
def accounts() -> Iterator[Manager]:
    with init_models(models=[Account, Login], embedded=True) as manager:
        Account.create(account_id="1", secret=SECRET, tags={"a"}, prefs={"a": 1}, codes=[1])
        Login.create(account_id="1", at="2026")
        yield manager


F = Account.fields

READS: dict[str, Callable[[Any], Any]] = {
    "an expression": lambda v: list(Account.by_status.query("active", filter=F.secret == v)),
    "an expression on a number": lambda v: list(Account.by_status.query("active", filter=F.level > v)),
    "an expression on a set": lambda v: list(Account.by_status.query("active", filter=F.tags.contains(v))),
    "begins_with": lambda v: list(Account.by_status.query("active", filter=F.secret.begins_with(v))),
    "between": lambda v: list(Account.by_status.query("active", filter=F.secret.between(v, v))),
    "is_in": lambda v: list(Account.by_status.query("active", filter=F.secret.is_in([v]))),
    "is_in of it all": lambda v: list(Account.by_status.query("active", filter=F.secret.is_in(v))),
    "size": lambda v: list(Account.by_status.query("active", filter=F.secret.size() > v)),
    "where": lambda v: list(Account.by_status.query("active", filter=where(secret=v))),
    "find_where": lambda v: list(Account.find_where(status="active", level=v)),
    "find_where of a key": lambda v: list(Account.find_where(status=v)),
    "find_where of a sort key": lambda v: list(Account.find_where(status="active", secret=v)),
    "a dict with Value": lambda v: list(Account.by_status.query("active", filter={"secret": Value(v)})),
    "an operator with Value": lambda v: list(
        Account.by_status.query("active", filter={"secret": {"$gt": Value(v)}})
    ),
    "$in with Value": lambda v: list(
        Account.by_status.query("active", filter={"secret": {"$in": [Value(v)]}})
    ),
    "a partition": lambda v: list(Account.by_status.query(v)),
    "a sort key expression": lambda v: list(Account.by_status.query("active", F.secret >= v)),
    "a sort key Value": lambda v: list(Account.by_status.query("active", Value(v))),
    "find": lambda v: Account.find_or_none(v),
    "find by name": lambda v: Account.find_or_none(account_id=v),
    "find of a composite key": lambda v: Login.find_or_none(("1", v)),
    "batch_find": lambda v: [one for one in Account.batch_find([v]).values() if one],
    "a unique value": lambda v: Account.find_by_unique_constraint("unique_secret", v),
    "iteration": lambda v: [one for batch in Account.iterate_all(filter=where(secret=v)) for one in batch],
}


@pytest.mark.parametrize("way", READS)
@pytest.mark.promise("X7")
def test_no_operator_is_read_from_a_value_of_a_text(accounts: Manager, way: str) -> None:
    """1,000 hostile bodies by each documented way: an error before any request, and nothing is found."""
    read = READS[way]
    refused = 0
    for body in HOSTILE:
        try:
            found = read(body)
        except (ValidationError, QueryError):
            refused += 1
            continue
        assert not found, f"{way} found something by {body!r}"
    assert refused > 900


@pytest.mark.parametrize("body", [{"$gt": ""}, {"$or": [{"secret": {"$gte": ""}}]}, {"$begins_with": ""}])
@pytest.mark.rule(46)
def test_no_operator_in_the_place_of_a_sort_key(accounts: Manager, body: Any) -> None:
    with pytest.raises(ValidationError, match="secret"):
        Account.by_status.query("active", body)


@pytest.mark.parametrize("name", ["prefs", "extra", "address", "prefs.a"])
@pytest.mark.rule(46)
def test_a_dict_is_a_plain_value_where_a_field_holds_maps(accounts: Manager, name: str) -> None:
    for body in HOSTILE[:200]:
        try:
            found = list(Account.by_status.query("active", filter=where({name: body})))
        except (ValidationError, QueryError):
            continue  # what DynamoDB cannot hold
        assert found == []


@pytest.mark.rule(46)
def test_a_dict_equals_the_map_that_is_stored(accounts: Manager) -> None:
    assert [one.account_id for one in Account.by_status.query("active", filter=F.prefs == {"a": 1})] == ["1"]
    assert [one.account_id for one in Account.find_where(status="active", prefs={"a": 1})] == ["1"]


WRITES: dict[str, Callable[[Any], Any]] = {
    "create": lambda v: Account.create(account_id="2", secret=v, tags=set()),
    "upsert": lambda v: Account.upsert(account_id="1", secret=v),
    "update": lambda v: Account.update("1", secret=v),
    "the constructor": lambda v: Account(account_id="2", secret=v, tags=set()).save(),
    "a key": lambda v: Account.update(v, level=2),
    "delete": lambda v: Account.delete(v),
    "a condition": lambda v: Account.update("1", condition=F.secret == v, level=2),
    "a condition by keyword": lambda v: Account.update("1", condition=where(secret=v), level=2),
    "a condition with Value": lambda v: Account.update("1", condition={"secret": Value(v)}, level=2),
}


@pytest.mark.parametrize("way", WRITES)
@pytest.mark.promise("X7")
def test_no_operator_is_read_from_a_value_that_is_written(accounts: Manager, way: str) -> None:
    for body in HOSTILE:
        with pytest.raises((ValidationError, QueryError, ConditionalError)):
            WRITES[way](body)
    stored = Account.find("1")
    assert (stored.secret, stored.level) == (SECRET, 1)
    assert not Account.find("2").exists()


@pytest.mark.rule(46)
def test_a_map_is_stored_as_it_is(accounts: Manager) -> None:
    for number, body in enumerate(HOSTILE[:50]):
        try:
            made = Account.create(
                account_id=f"m{number}", secret=f"{number}", prefs=body, extra=body, tags=set()
            )
        except BaoError:
            continue  # what DynamoDB cannot hold
        found = Account.find(made.account_id)
        assert (found.prefs, found.extra) == (body, body)
        Account.delete(made)


# --- strict_filters --------------------------------------------------------------------------------------


@pytest.fixture
def strict() -> Iterator[Manager]:
    with init_models(models=[Account, Login], embedded=True, strict_filters=True) as manager:
        Account.create(account_id="1", secret=SECRET, tags=set())
        yield manager


@pytest.mark.parametrize("body", HOSTILE[:300:7])
@pytest.mark.rule(46)
def test_strict_filters_refuse_operators_in_dicts(strict: Manager, body: Any) -> None:
    calls: tuple[Callable[[], Any], ...] = (
        lambda: Account.by_status.query("active", filter={"secret": body}),
        lambda: Account.by_status.query("active", filter={"$and": [{"secret": body}]}),
        lambda: Account.by_status.query("active", {"secret": body}),
        lambda: Account.iterate_all(filter={"secret": body}),
        lambda: Account.update("1", condition={"secret": body}, level=2),
        lambda: Account.find("1").save(condition={"secret": body}),
        lambda: Account.delete("1", condition={"secret": body}),
    )
    for call in calls:
        with pytest.raises((QueryError, ValidationError)):
            call()


@pytest.mark.rule(46)
def test_strict_filters_take_equality_and_expressions(strict: Manager) -> None:
    for filter in ({"secret": SECRET}, {"secret": Value(SECRET)}, F.secret == SECRET, where(secret=SECRET)):
        assert len(Account.by_status.query("active", filter=filter)) == 1
    assert len(Account.by_status.query("active", {"secret": SECRET})) == 1
    with transaction() as tx:
        tx.require(Account.find("1"), where(secret=SECRET))
        with pytest.raises(QueryError, match="strict_filters"):
            tx.require(Account.find("1"), {"secret": {"$gt": ""}})


@pytest.mark.parametrize(
    ("config", "environment"), [({"db": {"strict_filters": True}}, None), (None, "yes"), (None, "1")]
)
def test_strict_filters_are_a_setting(
    config: Any, environment: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment is not None:
        monkeypatch.setenv("DYNAMO_BAO_STRICT_FILTERS", environment)
    with (
        init_models(config, models=[Account, Login], embedded=True),
        pytest.raises(QueryError, match="strict_filters"),
    ):
        Account.by_status.query("active", filter={"secret": {"$gt": ""}})


# --- depth -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", ["$and", "$or", "$not"])
def test_conditions_that_are_nested_too_deep_are_refused(accounts: Manager, operator: str) -> None:
    condition: Any = {"secret": "a"}
    inner: Any = {"$eq": "a"}
    for _ in range(5000):
        condition = {operator: condition if operator == "$not" else [condition]}
        inner = {"$not": inner}
    for filter in (condition, {"secret": inner}):
        with pytest.raises(QueryError, match="nested"):
            Account.by_status.query("active", filter=filter)
        with pytest.raises(QueryError, match="nested"):
            Account.update("1", condition=filter, level=2)


def test_expressions_that_are_nested_too_deep_are_refused(accounts: Manager) -> None:
    condition: Any = F.secret == "a"
    for number in range(5000):
        condition = (condition | (F.level > 1)) if number % 2 else (condition & (F.level > 2))
    with pytest.raises(QueryError, match="nested"):
        Account.by_status.query("active", filter=condition)
