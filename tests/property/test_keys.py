"""X1: keys are injective and start with their tenant."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from dynamo_bao import MODEL_PREFIX, Index, Model, PrimaryKey, UniqueConstraint, ValidationError
from dynamo_bao.dynamodb.keys import SEPARATOR, checked_prefix, checked_tenant
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.class_builder import schema_of

QUICK = settings(max_examples=150, deadline=None)

# Texts made of the marks of the grammar itself, which are the ones that could be misread.
MARKS = (
    "#",
    "[",
    "]",
    ":",
    "_",
    "a",
    "u",
    "[a]#",
    "gsi1",
    "#gsi1#",
    "#iter",
    "_raft_uc",
    "_uc1",
    SEPARATOR,
    "##__SK__",
    "#__SK__",
    "__SK__##",
)
HOSTILE = st.lists(st.sampled_from(MARKS), min_size=1, max_size=6).map("".join)
TEXTS = st.one_of(HOSTILE, st.text(min_size=1, max_size=8))
PREFIXES = st.sampled_from(["a", "u", "ab", "a-", "_", "__", "uc1", "iter", "gsi1", "_uc1", "0"])
TENANTS = st.none() | st.sampled_from(["a", "u", "a.b", "a-b", "_", "gsi1", "_raft_uc", "0"])


def single(prefix: str) -> Schema:
    class Single(Model, prefix=prefix, iterable=True, iteration_buckets=3):
        code: str
        other: str | None = None
        primary_key = PrimaryKey("code")
        first = Index("other", "code", id="gsi1")
        second = Index("code", "other", id="gsi2")
        every = Index(MODEL_PREFIX, "other", id="gsi3")
        unique_other = UniqueConstraint("other", id="uc1")
        unique_code = UniqueConstraint("code", id="uc2")

    return schema_of(Single)


def composite(prefix: str) -> Schema:
    class Composite(Model, prefix=prefix, iterable=True, iteration_buckets=3):
        code: str
        other: str
        primary_key = PrimaryKey("code", "other")
        first = Index("other", "code", id="gsi1")
        unique_other = UniqueConstraint("other", id="uc1")

    return schema_of(Composite)


def prefixed(prefix: str) -> Schema:
    class Prefixed(Model, prefix=prefix, iterable=True, iteration_buckets=1):
        code: str
        other: str | None = None
        primary_key = PrimaryKey(MODEL_PREFIX, "code")
        first = Index("other", MODEL_PREFIX, id="gsi1")
        unique_other = UniqueConstraint("other", id="uc1")

    return schema_of(Prefixed)


_schemas: dict[tuple[Any, str], Schema] = {}


def schema_for(kind: Any, prefix: str) -> Schema:
    if (kind, prefix) not in _schemas:
        _schemas[kind, prefix] = kind(checked_prefix(prefix, "M"))
    return _schemas[kind, prefix]


@st.composite
def items(draw: Any) -> tuple[Any, str, str | None, str, str]:
    """What tells an item: its kind of key, prefix, tenant, and two values."""
    tenant = draw(TENANTS)
    return (
        draw(st.sampled_from([single, composite, prefixed])),
        draw(PREFIXES),
        None if tenant is None else checked_tenant(tenant),
        draw(TEXTS),
        draw(TEXTS),
    )


def keys_of(what: tuple[Any, str, str | None, str, str]) -> dict[str, Any] | None:
    """Every key of an item; None where the library refuses its values."""
    kind, prefix, tenant, code, other = what
    schema = schema_for(kind, prefix)
    values = {"code": code, "other": other}
    try:
        schema.accept_all(values)
        identity = schema.keys.from_values(tenant, values)
        indexes = {shape.id: shape.keys(tenant, values) for shape in schema.indexes.values()}
        guards = {
            (shape.id, shape.field.name): shape.guard_key(tenant, {"S": values[shape.field.name]})
            for shape in schema.constraints.values()
        }
        iteration = schema.iteration_keys(tenant, identity.primary_id)
    except ValidationError:
        return None
    return {"identity": identity, "indexes": indexes, "guards": guards, "iteration": iteration}


@QUICK
@given(items(), items())
@pytest.mark.promise("X1")
def test_two_items_share_a_key_only_if_they_are_one(one: Any, other: Any) -> None:
    """Item keys of any two kinds, prefixes, tenants and values are equal only for the same item."""
    first, second = keys_of(one), keys_of(other)
    if first is None or second is None:
        return
    relevant = slice(0, 5 if one[0] is composite else 4)
    same = one[relevant] == other[relevant] and one[0] is other[0]
    if one[1] == other[1] and one[0] is not other[0]:
        return  # one manager has no two models of one prefix
    assert (first["identity"].key == second["identity"].key) == same


@QUICK
@example(None, "a", "###__SK__", "#", "#", "__SK__###")
@example("a", "a", "##__SK__", "#", "a", "a")
@given(TENANTS, PREFIXES, TEXTS, TEXTS, TEXTS, TEXTS)
@pytest.mark.promise("X1")
def test_composite_keys_and_ids_tell_all_pairs_apart(
    tenant: str | None, prefix: str, a: str, b: str, c: str, d: str
) -> None:
    """No two pairs of values have one key or one primary id."""
    one, other = keys_of((composite, prefix, tenant, a, b)), keys_of((composite, prefix, tenant, c, d))
    if one is None or other is None:
        return
    same = (a, b) == (c, d)
    assert (one["identity"].key == other["identity"].key) == same
    assert (one["identity"].primary_id == other["identity"].primary_id) == same


@QUICK
@given(items())
@pytest.mark.promise("X1")
def test_every_key_starts_with_the_tenant(what: Any) -> None:
    """Item, index, guard and iteration keys all begin with ``[tenant]#``, and without one with no bracket."""
    keys = keys_of(what)
    if keys is None:
        return
    partitions = [keys["identity"].key.pk, keys["iteration"]["_iter_pk"]["S"]]
    partitions += [guard.pk for guard in keys["guards"].values()]
    for index_id, found in keys["indexes"].items():
        partitions.append(found[f"_{index_id}_pk"]["S"])
    tenant = what[2]
    for text in partitions:
        assert text.startswith("[") == (tenant is not None)
        if tenant is not None:
            assert text.startswith(f"[{tenant}]#")
            assert text.index("]#") == len(tenant) + 1


@QUICK
@given(items(), items())
@pytest.mark.promise("X1")
def test_index_partitions_are_told_apart(one: Any, other: Any) -> None:
    """Two items are in one partition of an index only with the same tenant, prefix and value."""
    first, second = keys_of(one), keys_of(other)
    if first is None or second is None:
        return
    for index_id in first["indexes"].keys() & second["indexes"].keys():
        texts = [keys["indexes"][index_id][f"_{index_id}_pk"]["S"] for keys in (first, second)]
        if texts[0] == texts[1]:
            assert one[1:3] == other[1:3]
            parts = [schema_for(*what[:2]).indexes for what in (one, other)]
            names = [next(s.partition for s in p.values() if s.id == index_id) for p in parts]
            values = [
                part.prefix if part.field is None else {"code": what[3], "other": what[4]}[part.field.name]
                for part, what in zip(names, (one, other), strict=True)
            ]
            assert values[0] == values[1]


@QUICK
@given(items(), items())
@pytest.mark.promise("X1")
def test_guards_are_told_apart_and_are_no_items(one: Any, other: Any) -> None:
    """A guard's key is that of one tenant, prefix, constraint and value, and no item's."""
    first, second = keys_of(one), keys_of(other)
    if first is None or second is None:
        return
    assert second["identity"].key not in first["guards"].values()
    values = [{"code": what[3], "other": what[4]} for what in (one, other)]
    for (id_one, field_one), guard in first["guards"].items():
        for (id_other, field_other), against in second["guards"].items():
            same = (one[1:3], id_one, field_one, values[0][field_one]) == (
                other[1:3],
                id_other,
                field_other,
                values[1][field_other],
            )
            assert (guard == against) == same


@QUICK
@given(items(), items())
@pytest.mark.promise("X1")
def test_iteration_partitions_hold_one_model_of_one_tenant(one: Any, other: Any) -> None:
    """Iteration keys of two tenants or prefixes never meet, and within one give the id."""
    first, second = keys_of(one), keys_of(other)
    if first is None or second is None:
        return
    if first["iteration"]["_iter_pk"] == second["iteration"]["_iter_pk"]:
        assert one[1:3] == other[1:3]
    assert first["iteration"]["_iter_sk"]["S"] == first["identity"].primary_id


@QUICK
@given(items())
def test_a_primary_id_names_its_item(what: Any) -> None:
    """Identifying by the primary id gives the item the id was made of."""
    keys = keys_of(what)
    if keys is None:
        return
    schema = schema_for(*what[:2])
    assert schema.keys.from_key(what[2], keys["identity"].primary_id) == keys["identity"]


def typed(key_format: str) -> Schema:
    class Typed(Model, prefix="t", key_format=key_format):
        number: int
        at: datetime
        primary_key = PrimaryKey("number", "at")

    return schema_of(Typed)


NATIVE, SHARED = typed("native"), typed("dynamo-bao")
MOMENTS = st.datetimes(timezones=st.just(timezone.utc)).map(lambda moment: NATIVE.fields["at"].accept(moment))
PAIRS = st.tuples(st.integers(-(10**20), 10**20), MOMENTS)


@QUICK
@given(PAIRS, PAIRS)
@pytest.mark.promise("X1")
def test_typed_keys_are_injective_in_both_formats(one: Any, other: Any) -> None:
    """Numbers and dates make different keys for different values, and ids that give them back."""
    for schema in (NATIVE, SHARED):
        try:
            first, second = schema.keys.from_key(None, one), schema.keys.from_key(None, other)
        except ValidationError:
            continue
        assert (first.key == second.key) == (one == other)
        again = schema.keys.from_key(None, first.primary_id)
        assert again == first
        assert tuple(again.values.values()) == one
