"""Stored values compared with each other: whether two are the same, and in which parts two documents differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from dynamo_bao.dynamodb.service import AttributeValue


def same_stored(one: AttributeValue | None, other: AttributeValue | None) -> bool:
    """Whether two stored values are the same to DynamoDB: sets without order, numbers by value."""
    if one == other:
        return True
    if one is None or other is None or one.keys() != other.keys():
        return False
    ((code, left),) = one.items()
    right = other[code]
    if code == "N":
        return Decimal(left) == Decimal(right)
    if code == "NS":
        return {Decimal(n) for n in left} == {Decimal(n) for n in right}
    if code in ("SS", "BS"):
        return set(left) == set(right)
    if code == "L":
        return len(left) == len(right) and all(map(same_stored, left, right))
    if code == "M":
        return left.keys() == right.keys() and all(same_stored(left[name], right[name]) for name in left)
    return False


def is_alike(one: Any, other: Any) -> bool:
    """Whether two plain values are certainly the same, in type and order too; False where only their stored forms tell.

    >>> is_alike({"a": [1, None]}, {"a": [1, None]}), is_alike([1], [True]), is_alike([0.0], [-0.0])
    (True, False, False)
    """
    kind = type(one)
    if one is other or kind is not type(other):
        return one is other
    if kind is dict:
        return list(one) == list(other) and all(map(is_alike, one.values(), other.values()))
    if kind is list:
        return len(one) == len(other) and all(map(is_alike, one, other))
    if kind in (float, Decimal):
        return repr(one) == repr(other)
    return kind in (str, int, bool, bytes) and bool(one == other)


# --- parts of documents ---------------------------------------------------------------------------------

Steps = tuple[str | int, ...]
"""The way from a document to a part of it: names of members, and places in lists."""


class Shape:
    """How a document, or a part of one, is saved; this one is a map whose members are saved by themselves.

    Attributes:
        whole: whether it is one unit.
        complete: whether it needs all of its members, as an object of a class does.
    """

    whole = False
    complete = False

    def member(self, name: str) -> Shape:
        """The shape of one member."""
        return self

    def check(self, value: AttributeValue, what: str) -> None:
        """Raises `ValueError` for a value that is made of some members, and could not be read."""


MERGED = Shape()
"""A map whose members, and theirs in turn, are saved by themselves."""


class Absent:
    """Stands for a stored value about which nothing is assumed; there is one, `ANYTHING`."""

    def __repr__(self) -> str:
        return "ANYTHING"


ANYTHING = Absent()


@frozen
class Edit:
    """A change of one part of a stored attribute.

    Attributes:
        steps: the way to it; none for the attribute itself.
        action: ``"set"``, ``"remove"``, ``"if_missing"``, ``"increment"``, ``"append"`` or ``"prepend"``.
        value: what is set, added, or put in a list; None for ``"remove"``.
        expected: what must be stored there, None for nothing; `ANYTHING` where that does not matter.
        before: for ``"append"`` by a save, the list that was loaded, with which the stored one must begin.
    """

    steps: Steps
    action: str
    value: AttributeValue | None = None
    expected: AttributeValue | Absent | None = ANYTHING
    before: AttributeValue | None = None

    @property
    def is_relative(self) -> bool:
        """Whether what it leaves behind depends on what is stored."""
        return self.action not in ("set", "remove")


def differences(
    before: AttributeValue, after: AttributeValue, shape: Shape, loaded: AttributeValue | None
) -> list[Edit]:
    """The edits that make one document of another.

    Args:
        before: the encoded form of what was handed out.
        after: that of the value now.
        loaded: what was stored: the same as `before`, but for what reading it left out or filled in.
    """
    return list(_differences((), before, after, shape, loaded))


def _differences(
    steps: Steps,
    before: AttributeValue | None,
    after: AttributeValue | None,
    shape: Shape,
    loaded: AttributeValue | None,
) -> Iterator[Edit]:
    if same_stored(before, after):
        return
    if after is None:
        yield Edit(steps, "remove")
    elif before is not None and _is_unit(before, after, shape):
        yield Edit(steps, "set", restored(after, before, loaded), loaded)
    elif before is None and "M" in after and not shape.whole:
        # Somebody else may have made it too: its members are set by themselves where it is there by then.
        yield from _members(steps, {"M": {}}, after, shape, None)
        if not after["M"]:
            yield Edit(steps, "if_missing", after)
    elif before is None or "M" not in before or "M" not in after:
        yield Edit(steps, "set", restored(after, before, loaded))
    else:
        yield from _members(steps, before, after, shape, loaded)


def _members(
    steps: Steps, before: AttributeValue, after: AttributeValue, shape: Shape, loaded: AttributeValue | None
) -> Iterator[Edit]:
    """The differences of the members of two maps."""
    inside = (loaded or {}).get("M", {})
    for name in (*before["M"], *(name for name in after["M"] if name not in before["M"])):
        yield from _differences(
            (*steps, name), before["M"].get(name), after["M"].get(name), shape.member(name), inside.get(name)
        )


def _is_unit(before: AttributeValue, after: AttributeValue, shape: Shape) -> bool:
    """Whether a change is one of a whole: of a unit, or between a map and None."""
    codes = {*before, *after}
    return "M" in codes and (shape.whole or "NULL" in codes)


def restored(
    after: AttributeValue, before: AttributeValue | None, loaded: AttributeValue | None
) -> AttributeValue:
    """A value with what is in it that was loaded as it was stored: members nobody knows, and other spellings."""
    if before is None or loaded is None:
        return after
    if same_stored(after, before):
        return loaded
    if all("M" in one for one in (after, before, loaded)):
        known, stored = before["M"], loaded["M"]
        members = {
            name: restored(value, known.get(name), stored.get(name)) for name, value in after["M"].items()
        }
        unknown = {name: value for name, value in stored.items() if name not in known and name not in members}
        return {"M": {**members, **unknown}}
    if all("L" in one for one in (after, before, loaded)) and len(before["L"]) == len(loaded["L"]):
        return {"L": _restored_list(after["L"], before["L"], loaded["L"])}
    return after


def _restored_list(
    after: list[AttributeValue], before: list[AttributeValue], loaded: list[AttributeValue]
) -> list[AttributeValue]:
    unused = list(range(len(before)))
    result: list[AttributeValue | None] = []
    for value in after:
        place = next((place for place in unused if same_stored(before[place], value)), None)
        if place is not None:
            unused.remove(place)
        result.append(None if place is None else loaded[place])
    aligned = len(after) == len(before)
    return [
        value
        if value is not None
        else restored(after[place], before[place], loaded[place])
        if aligned and place in unused
        else after[place]
        for place, value in enumerate(result)
    ]


def begins_with(whole: AttributeValue | None, beginning: AttributeValue | None) -> bool:
    """Whether a list begins with the members of another."""
    if whole is None or beginning is None or "L" not in whole or "L" not in beginning:
        return False
    length = len(beginning["L"])
    return len(whole["L"]) >= length and all(map(same_stored, whole["L"], beginning["L"]))


def part_at(value: AttributeValue | None, steps: Steps) -> AttributeValue | None:
    """The part of a stored value at the end of some steps; None where there is none."""
    for step in steps:
        members: Any = (value or {}).get("L" if isinstance(step, int) else "M")
        if isinstance(step, int):
            value = members[step] if members is not None and step < len(members) else None
        else:
            value = None if members is None else members.get(step)
    return value


def edited(value: AttributeValue | None, edits: Iterable[Edit]) -> AttributeValue | None:
    """What edits make of a stored value; maps that are missing on the way are made."""
    for edit in edits:
        value = _edited(value, edit, edit.steps)
    return value


def _edited(value: AttributeValue | None, edit: Edit, steps: Steps) -> AttributeValue | None:
    if not steps:
        return _acted(value, edit)
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        places = list((value or {}).get("L", ()))
        inner = _edited(places[step] if step < len(places) else None, edit, rest)
        places[step : step + 1] = [] if inner is None else [inner]
        return {"L": places}
    members = dict((value or {}).get("M", {}))
    if edit.action == "remove" and step not in members:
        return value
    inner = _edited(members.pop(step, None), edit, rest)
    return {"M": members if inner is None else {**members, step: inner}}


def _acted(value: AttributeValue | None, edit: Edit) -> AttributeValue | None:
    """What an edit makes of the part that it is about."""
    new = edit.value
    if edit.action == "if_missing":
        return new if value is None else value
    if value is None or new is None or edit.action not in ("increment", "append", "prepend"):
        return new
    if edit.action == "increment":
        return {"N": str(Decimal(value["N"]) + Decimal(new["N"]))}
    old, added = value["L"], new["L"]
    return {"L": [*old, *added] if edit.action == "append" else [*added, *old]}


def coarsened(edits: Sequence[Edit], most: int, stored: AttributeValue | None) -> list[Edit]:
    """At most so many edits with the same effect on what is stored: the lowest common parents are set whole.

    Each of these is set on condition that it is still the one it was made from.
    """
    edits = list(edits)
    while len(edits) > most:
        parents: dict[Steps, int] = {}
        for edit in edits:
            parents[edit.steps[:-1]] = parents.get(edit.steps[:-1], 0) + 1
        parent = max(parents, key=lambda steps: (parents[steps] > 1, len(steps), parents[steps]))
        inside = [edit for edit in edits if edit.steps[: len(parent)] == parent]
        before = part_at(stored, parent)
        below = [evolve(edit, steps=edit.steps[len(parent) :]) for edit in inside]
        whole = Edit(parent, "set", edited(before, below), before)
        edits = [*(edit for edit in edits if edit not in inside), whole]
        if parent == () and len(edits) == 1:
            break
    return edits
