"""Random changes of one item: a transaction leaves what the same changes leave one after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from dynamo_bao import (
    Append,
    BaoError,
    CounterField,
    IfMissing,
    Increment,
    ListField,
    Manager,
    MapField,
    Model,
    Prepend,
    PrimaryKey,
    Remove,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.examples import many

NUMBERS = count()
Step = tuple[str, Any]


class Page(Model, prefix="mc"):
    page_id: str
    lines: list[Any] = ListField(default=list)
    data: dict[str, Any] = MapField(default=dict)
    credit: int = CounterField(default=3)
    primary_key = PrimaryKey("page_id")


scalars = st.one_of(st.integers(0, 9), st.sampled_from(["s", "t", None, True]))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    ),
    max_leaves=5,
)
members = st.lists(values, min_size=1, max_size=2)
names = st.sampled_from([".a", ".b", ".c"])
positions = st.sampled_from(["[0]", "[1]", "[2]", "[3]"])
inner_steps = st.lists(st.one_of(names, names, positions), max_size=2).map("".join)
paths = st.one_of(
    st.builds("lines{}{}".format, positions, inner_steps),
    st.builds("data{}{}".format, names, inner_steps),
)
part_changes = st.one_of(
    values,
    st.builds(Remove),
    st.builds(Increment, st.integers(1, 5)),
    st.builds(Append, members),
    st.builds(Prepend, members),
    st.builds(IfMissing, scalars),
)
whole_changes = st.one_of(members, st.builds(Append, members), st.builds(Prepend, members))
updates = st.one_of(
    st.dictionaries(paths, part_changes, min_size=1, max_size=2),
    st.fixed_dictionaries({"lines": whole_changes}),
    st.fixed_dictionaries({"credit": st.one_of(st.just(7), st.builds(Remove))}),
)
steps = st.one_of(
    st.tuples(st.just("update"), updates),
    st.tuples(st.just("update"), updates),
    st.tuples(st.just("append"), members),
    st.tuples(st.just("member"), st.tuples(st.sampled_from("abc"), values)),
    st.tuples(st.just("increment"), st.integers(1, 3)),
)


def update(key: str, changes: dict[str, Any]) -> None:
    Page.update(key, changes)


def append(key: str, new_members: list[Any]) -> None:
    page = Page.find(key)
    page.lines.extend(new_members)
    page.save()


def member(key: str, entry: tuple[str, Any]) -> None:
    page = Page.find(key)
    page.data[entry[0]] = entry[1]
    page.save()


def increment(key: str, amount: int) -> None:
    Page.increment(key, credit=amount)


ACTIONS: dict[str, Callable[[str, Any], None]] = {
    "update": update,
    "append": append,
    "member": member,
    "increment": increment,
}


def do(key: str, step: Step) -> None:
    ACTIONS[step[0]](key, copy.deepcopy(step[1]))


def fields_of(page: Page) -> tuple[object, ...]:
    return page.lines, page.data, page.credit


@pytest.fixture
def table() -> Iterator[Manager]:
    with init_models(models=[Page], table_name="merged", embedded=True) as manager:
        manager.create_table()
        yield manager


def test_a_transaction_leaves_what_single_writes_leave(table: Manager) -> None:
    """In DynamoDB and in memory. Programs of which a single write is refused are left out."""

    @many(60)
    @given(
        lines=st.lists(values, max_size=4),
        data=st.dictionaries(st.sampled_from("abc"), values, max_size=3),
        program=st.lists(steps, min_size=2, max_size=4),
    )
    def check(lines: list[Any], data: dict[str, Any], program: list[Step]) -> None:
        single, joint = f"{next(NUMBERS)}", f"{next(NUMBERS)}"
        for key in (single, joint):
            Page.create(page_id=key, lines=copy.deepcopy(lines), data=copy.deepcopy(data))
        try:
            for step in program:
                with run_with_batch_context():
                    do(single, step)
        except BaoError:
            assume(False)
        with run_with_batch_context():
            with transaction():
                for step in program:
                    do(joint, step)
            shown = copy.deepcopy(fields_of(Page.find(joint)))
        assert fields_of(Page.find(joint)) == fields_of(Page.find(single))
        assert shown == fields_of(Page.find(single))

    check()
