"""performance.test.js: making many instances; the bounds are generous, to tell mistakes and not machines."""

from __future__ import annotations

from time import process_time

import pytest

from dynamo_bao import IntegerField, Model, PrimaryKey, StringField

MOST_MICROSECONDS = 500


class Simple(Model, prefix="pfs", name="PfSimple"):
    simple_id: str = StringField()
    name: str = StringField()

    primary_key = PrimaryKey("simple_id")


class Middling(Model, prefix="pfm", name="PfMiddling"):
    middling_id: str = StringField()
    name: str = StringField()
    age: int = IntegerField(minimum=0)
    status: str = StringField(default="active")
    email: str | None = StringField(default=None)
    score: int = IntegerField(default=0)

    primary_key = PrimaryKey("middling_id")


Wide = type(Model)(
    "Wide",
    (Model,),
    {
        "__module__": __name__,
        "__annotations__": {"wide_id": "str", **{f"field_{number}": "str | None" for number in range(60)}},
        "wide_id": StringField(),
        **{f"field_{number}": StringField(required=False) for number in range(60)},
        "primary_key": PrimaryKey("wide_id"),
    },
    prefix="pfw",
    name="PfWide",
)

MODELS = [Simple, Middling, Wide]

pytestmark = pytest.mark.usefixtures("manager")


def microseconds(model: type[Model], number: int, **values: object) -> float:
    """What making one of `number` instances takes."""
    (key,) = [name for name in vars(model) if name.endswith("_id")][:1] or [f"{model.__name__.lower()}_id"]
    start = process_time()
    made = [model(**{key: str(one)}, **values) for one in range(number)]
    taken = process_time() - start
    assert made[-1].primary_id == str(number - 1)
    return taken / number * 1e6


def test_01_a_thousand() -> None:
    """A thousand instances of a small and of a middling model."""
    assert microseconds(Simple, 1_000, name="Ada") < MOST_MICROSECONDS
    assert microseconds(Middling, 1_000, name="Ada", age=36, email="ada@example.com") < MOST_MICROSECONDS


def test_02_ten_thousand() -> None:
    """Ten thousand instances cost no more each."""
    assert microseconds(Simple, 10_000, name="Ada") < MOST_MICROSECONDS
    assert microseconds(Middling, 10_000, name="Ada", age=36) < MOST_MICROSECONDS


def test_03_sparse() -> None:
    """Ten thousand instances of sixty fields, of which two have a value."""
    assert microseconds(Wide, 10_000, field_1="one", field_31="two") < 2 * MOST_MICROSECONDS
