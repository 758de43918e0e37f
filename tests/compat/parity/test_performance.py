"""performance.test.js: what making instances costs.

It is counted in calls of Python functions, which no machine's pace alters. How long it takes is measured by
``python -m benchmarks.objects``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from dynamo_bao import Model, PrimaryKey, StringField, UlidField


class Simple(Model, prefix="pfs", name="PfSimple"):
    simple_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str = StringField()

    primary_key = PrimaryKey("simple_id")


SIXTY = [f"field_{number:02}" for number in range(60)]

Sparse = type(
    "Sparse",
    (Model,),
    {
        "__module__": __name__,
        "__annotations__": {"sparse_id": str, **dict.fromkeys(SIXTY, "str | None")},
        "sparse_id": StringField(),
        **{name: StringField(default=None) for name in SIXTY},
        "primary_key": PrimaryKey("sparse_id"),
    },
    prefix="pfx",
    name="PfSparse",
)


def calls_of(make: Callable[[int], Any], number: int) -> int:
    """How many Python functions are called while `number` objects are made."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    make(0)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for index in range(number):
            make(index)
    finally:
        sys.setprofile(before)
    return calls


def simple(number: int) -> Simple:
    return Simple(simple_id="01ARZ3NDEKTSV4RRFFQ69G5FAV", name="Ada", email=f"{number}@example.com")


def sparse(number: int) -> Any:
    return Sparse(sparse_id=f"{number}", field_07="x", field_42="y")


def test_01_a_thousand() -> None:
    """An instance of three fields takes a few dozen calls, not hundreds."""
    assert calls_of(simple, 1_000) < 60 * 1_000


def test_02_ten_thousand() -> None:
    """Ten thousand take ten times what a thousand do, whatever was made before."""
    assert calls_of(simple, 10_000) <= 10 * calls_of(simple, 1_000) + 100


def test_03_sparse() -> None:
    """Each of many fields that are not given costs a few calls at most."""
    assert calls_of(sparse, 10_000) < 3 * len(SIXTY) * 10_000
