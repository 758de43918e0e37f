"""Compares stored values: whether two are equal, and in which parts two documents differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from dynamo_bao.dynamodb.numbers import exact_sum, number_text
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.runtime.records import evolve, frozen


def same_stored(value: AttributeValue | None, other: AttributeValue | None) -> bool:
    """Whether two stored values are equal to DynamoDB: sets without order, numbers by value."""
    if value == other:
        return True
    if value is None or other is None or value.keys() != other.keys():
        return False
    ((code, content),) = value.items()
    other_content = other[code]
    if code == "N":
        return Decimal(content) == Decimal(other_content)
    if code == "NS":
        return {Decimal(n) for n in content} == {Decimal(n) for n in other_content}
    if code in ("SS", "BS"):
        return set(content) == set(other_content)
    if code == "L":
        return len(content) == len(other_content) and all(map(same_stored, content, other_content))
    if code == "M":
        return content.keys() == other_content.keys() and all(
            same_stored(content[name], other_content[name]) for name in content
        )
    return False


def is_alike(value: Any, other: Any) -> bool:
    """Whether two plain values are certainly equal, in type and order too. If not, their stored forms may still be.

    >>> is_alike({"a": [1, None]}, {"a": [1, None]}), is_alike([1], [True]), is_alike([0.0], [-0.0])
    (True, False, False)
    """
    kind = type(value)
    if value is other or kind is not type(other):
        return value is other
    if kind is dict:  # copies of the members, because another thread may add some
        return list(value) == list(other) and all(map(is_alike, list(value.values()), list(other.values())))
    if kind is list:
        return len(value) == len(other) and all(map(is_alike, value, other))
    if kind in (float, Decimal):
        return repr(value) == repr(other)
    return kind in (str, int, bool, bytes) and bool(value == other)


# --- parts of documents ---------------------------------------------------------------------------------

Steps = tuple[str | int, ...]
"""The way from a document to a part of it: names of members, and positions in lists."""


class Shape:
    """How a document, or a part of one, is saved. This class is a map whose members are saved separately.

    Attributes:
        whole: whether it is saved as one unit.
        complete: whether it needs all of its members, as an object of a class or a tuple of a fixed length does.
    """

    whole = False
    complete = False

    def member(self, step: str | int) -> Shape:
        """The shape of one member of a map, or of one element of a list."""
        return self

    def with_stored_members(self, value: AttributeValue, stored: AttributeValue) -> AttributeValue | None:
        """A set with the members that it shares with the stored set as these are stored; None if it is no set.

        Args:
            value: the encoded form of the set.
            stored: the set as it was loaded. Its members may be written otherwise, and in another order.
        """
        return None

    def check(self, value: AttributeValue, label: str) -> None:
        """Raises `ValueError` for a value that lacks members and could not be read.

        Args:
            value: the value as it would be stored.
            label: the name of the value, for the error.
        """


MERGED = Shape()
"""A map whose members, and the members of these, are saved separately."""


class Absent:
    """The class of `ANY_VALUE`, which stands for a stored value about which nothing is assumed."""

    def __repr__(self) -> str:
        return "ANY_VALUE"


ANY_VALUE = Absent()


@frozen
class Edit:
    """A change of one part of a stored attribute.

    Attributes:
        steps: the way to it; empty for the attribute itself.
        action: ``"set"``, ``"remove"``, ``"if_missing"``, ``"increment"``, ``"append"`` or ``"prepend"``.
        value: what is set, added, or put in a list; None for ``"remove"``.
        expected: the value that must be stored there; None for no value, `ANY_VALUE` for any.
        before: for ``"append"`` by a save, the loaded list; the stored list must begin with it.
    """

    steps: Steps
    action: str
    value: AttributeValue | None = None
    expected: AttributeValue | Absent | None = ANY_VALUE
    before: AttributeValue | None = None

    @property
    def is_relative(self) -> bool:
        """Whether the result depends on the stored value."""
        return self.action not in ("set", "remove")


def differences(
    before: AttributeValue, after: AttributeValue, shape: Shape, loaded: AttributeValue | None
) -> list[Edit]:
    """The edits that turn one document into another.

    Args:
        before: the encoded form of the value that was loaded.
        after: the encoded form of the current value.
        shape: how the document is saved.
        loaded: the stored value: `before`, with the members that decoding left out, without those that it added.
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
        yield Edit(steps, "set", restored(after, before, loaded, shape), loaded)
    elif before is None and "M" in after and not shape.whole:
        # Somebody else may have added the map too: then its members are set separately.
        yield from _members(steps, {"M": {}}, after, shape, None)
        if not after["M"]:
            yield Edit(steps, "if_missing", after)
    elif before is None or "M" not in before or "M" not in after:
        yield Edit(steps, "set", restored(after, before, loaded, shape))
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
    """Whether a change is saved as one unit: the shape says so, or a map becomes None or None a map."""
    codes = {*before, *after}
    return "M" in codes and (shape.whole or "NULL" in codes)


def restored(
    after: AttributeValue,
    before: AttributeValue | None,
    loaded: AttributeValue | None,
    shape: Shape = MERGED,
) -> AttributeValue:
    """A value with its unchanged parts as they were stored: in their stored form, with unknown members, and without
    members that decoding added. Only a value that changes as a whole has these."""
    if before is None or loaded is None:
        return after
    if same_stored(after, before):
        return loaded
    changed_set = shape.with_stored_members(after, loaded)
    if changed_set is not None:
        return changed_set
    if all("M" in value for value in (after, before, loaded)):
        decoded, stored = before["M"], loaded["M"]
        members = {
            name: restored(value, decoded.get(name), stored.get(name), shape.member(name))
            for name, value in after["M"].items()
            if shape.whole or name in stored or not same_stored(value, decoded.get(name))
        }
        unknown = {
            name: value for name, value in stored.items() if name not in decoded and name not in members
        }
        return {"M": {**members, **unknown}}
    if all("L" in value for value in (after, before, loaded)) and len(before["L"]) == len(loaded["L"]):
        return {"L": _restored_list(after["L"], before["L"], loaded["L"], shape)}
    return after


def _restored_list(
    after: list[AttributeValue], before: list[AttributeValue], loaded: list[AttributeValue], shape: Shape
) -> list[AttributeValue]:
    equal = _equal_positions(after, before)
    changed = _changed_positions(after, before, equal)
    members = list(after)
    for position, value in enumerate(after):
        if position in equal:
            members[position] = loaded[equal[position]]
        elif position in changed:
            origin = changed[position]
            members[position] = restored(value, before[origin], loaded[origin], shape.member(position))
    return members


def _equal_positions(after: list[AttributeValue], before: list[AttributeValue]) -> dict[int, int]:
    """Matches elements of a list with equal elements of the list before.

    An equal element at the same position is taken first. No element of the list before is taken twice.

    Returns:
        By position in `after`, the position in `before`.
    """
    pairs = enumerate(zip(after, before, strict=False))
    matches = {position: position for position, (value, other) in pairs if same_stored(value, other)}
    positions: dict[object, list[int]] = {}
    for position in reversed(range(len(before))):
        if position not in matches:
            positions.setdefault(_hashable(before[position]), []).append(position)
    for position, value in enumerate(after):
        candidates = positions.get(_hashable(value)) if position not in matches else None
        if candidates:
            matches[position] = candidates.pop()
    return matches


def _changed_positions(
    after: list[AttributeValue], before: list[AttributeValue], equal: dict[int, int]
) -> dict[int, int]:
    """Matches changed elements of a list with what they were before: by their id, else by their position.

    The position counts only in a list of the same length.

    Args:
        equal: the matches of equal elements.

    Returns:
        By position in `after`, the position in `before`. Neither is in `equal`.
    """
    taken_positions = set(equal.values())
    free_positions = [position for position in range(len(before)) if position not in taken_positions]
    unmatched_positions = [position for position in range(len(after)) if position not in equal]
    if not free_positions or not unmatched_positions:
        return {}
    if free_positions == unmatched_positions and len(free_positions) == 1:
        return dict(zip(unmatched_positions, free_positions, strict=True))
    paths = _telling_paths(before, after)
    origins = {key: position for position in free_positions for key in _ids_of(before[position], paths)}
    matches: dict[int, int] = {}
    for position in unmatched_positions:
        candidates = map(origins.get, _ids_of(after[position], paths))
        origin = next(
            (other for other in candidates if other is not None and other not in taken_positions), None
        )
        if origin is not None:
            matches[position] = origin
            taken_positions.add(origin)
    if len(after) == len(before):
        rest = set(unmatched_positions).difference(matches, taken_positions)
        matches.update({position: position for position in rest})
    return matches


_Path = tuple[str | None, ...]
"""The names of members on the way to a part of a value. None stands for all elements of a list."""


def _telling_paths(*lists: list[AttributeValue]) -> list[_Path]:
    """The paths that tell the elements of each list apart, as that of an id does, the shortest ones first.

    No two elements of a list have the same value there.
    """
    paths: dict[_Path, bool] = {}
    for elements in lists:
        owners: dict[object, int] = {}
        for position, element in enumerate(elements):
            for path, value in _scalars(element):
                is_own = owners.setdefault((path, value), position) == position
                paths[path] = is_own and paths.get(path, True)
    return sorted((path for path, tells in paths.items() if tells), key=len)


def _ids_of(element: AttributeValue, paths: Iterable[_Path]) -> list[object]:
    """The values at the first of some paths at which an element has any, each with the path."""
    scalars: dict[_Path, list[object]] = {}
    for path, value in _scalars(element):
        scalars.setdefault(path, []).append((path, value))
    return next((scalars[path] for path in paths if path in scalars), [])


def _scalars(value: AttributeValue, path: _Path = ()) -> Iterator[tuple[_Path, object]]:
    """The texts, numbers and bytes in a value, in hashable form, with their paths."""
    ((code, content),) = value.items()
    if code == "M":
        for name, inner in content.items():
            yield from _scalars(inner, (*path, name))
    elif code == "L":
        for inner in content:
            yield from _scalars(inner, (*path, None))
    elif code in ("S", "N", "B"):
        yield path, _hashable(value)


def _hashable(value: AttributeValue) -> object:
    """A hashable form of a stored value. Those of two values are equal if these are, as `same_stored` tells."""
    ((code, content),) = value.items()
    if code == "N":
        return code, Decimal(content)
    if code == "NS":
        return code, frozenset(map(Decimal, content))
    if code in ("SS", "BS"):
        return code, frozenset(content)
    if code == "L":
        return code, tuple(map(_hashable, content))
    if code == "M":
        return code, frozenset((name, _hashable(inner)) for name, inner in content.items())
    return code, content


def begins_with(whole: AttributeValue | None, beginning: AttributeValue | None) -> bool:
    """Whether a list begins with the members of another."""
    if whole is None or beginning is None or "L" not in whole or "L" not in beginning:
        return False
    length = len(beginning["L"])
    return len(whole["L"]) >= length and all(map(same_stored, whole["L"], beginning["L"]))


def part_at(value: AttributeValue | None, steps: Steps) -> AttributeValue | None:
    """The part of a stored value at the end of some steps; None if it does not exist."""
    for step in steps:
        members: Any = (value or {}).get("L" if isinstance(step, int) else "M")
        if isinstance(step, int):
            value = members[step] if members is not None and step < len(members) else None
        else:
            value = None if members is None else members.get(step)
    return value


def edited(value: AttributeValue | None, edits: Iterable[Edit]) -> AttributeValue | None:
    """A stored value after some edits. Maps that are missing on the way are added.

    The edits are made at the same time, as DynamoDB makes those of one update: all positions are those in the lists
    before, and elements beyond the end of a list are appended in the order of their positions.
    """
    for edit in sorted(edits, key=_order):
        value = _edited(value, edit, edit.steps)
    return value


def _order(edit: Edit) -> tuple[bool, list[tuple[int, str]]]:
    """Sorts edits so that none moves the element that a later one is about: removals last, from the end."""
    is_removal = edit.action == "remove"
    sign = -1 if is_removal else 1
    return is_removal, [(sign * step, "") if isinstance(step, int) else (0, step) for step in edit.steps]


def _edited(value: AttributeValue | None, edit: Edit, steps: Steps) -> AttributeValue | None:
    if not steps:
        return _acted(value, edit)
    step, inner_steps = steps[0], steps[1:]
    if isinstance(step, int):
        members_list = list((value or {}).get("L", ()))
        if edit.action == "remove" and step >= len(members_list):
            return value
        inner = _edited(members_list[step] if step < len(members_list) else None, edit, inner_steps)
        members_list[step : step + 1] = [] if inner is None else [inner]
        return {"L": members_list}
    members = dict((value or {}).get("M", {}))
    if edit.action == "remove" and step not in members:
        return value
    inner = _edited(members.pop(step, None), edit, inner_steps)
    return {"M": members if inner is None else {**members, step: inner}}


def _acted(value: AttributeValue | None, edit: Edit) -> AttributeValue | None:
    """The part that an edit is about, after the edit."""
    new = edit.value
    if value is None or "NULL" in value or new is None or edit.action in ("set", "remove"):
        return new
    if edit.action == "if_missing":
        return value
    if ("N" if edit.action == "increment" else "L") not in value:
        raise cannot_add(edit, value)
    if edit.action == "increment":
        return {"N": number_text(exact_sum(value["N"], new["N"]))}
    old_members, new_members = value["L"], new["L"]
    return {"L": [*old_members, *new_members] if edit.action == "append" else [*new_members, *old_members]}


def cannot_add(edit: Edit, stored: AttributeValue) -> ValueError:
    """The error for an edit that adds to a stored value of another type."""
    path = ".".join(map(str, edit.steps)) or "the field itself"
    return ValueError(f"{path} is stored as {next(iter(stored))}, to which nothing can be added")


def coarsened(edits: Sequence[Edit], most: int, stored: AttributeValue | None) -> list[Edit]:
    """Combines edits until there are at most `most`: the lowest common parents are set as a whole.

    Each of these parents is set on the condition that its stored value has not changed.

    Args:
        edits: the edits of one document.
        most: the most edits to return.
        stored: the stored document.
    """
    edits = list(edits)
    while len(edits) > most and not (len(edits) == 1 and edits[0].steps == ()):
        parents = _parents_to_set(edits, most)
        depth, further_edits = len(parents[0]), list[Edit]()
        inside: dict[Steps, list[Edit]] = {parent: [] for parent in parents}
        for edit in edits:
            inside.get(edit.steps[:depth], further_edits).append(edit)
        wholes = (_whole(parent, below, part_at(stored, parent)) for parent, below in inside.items())
        edits = [*further_edits, *wholes]
    return edits


def _parents_to_set(edits: Sequence[Edit], most: int) -> list[Steps]:
    """The next parents to set as a whole: some of one depth, first the deepest ones with several edits."""
    counts: dict[Steps, int] = {}
    for edit in edits:
        counts[edit.steps[:-1]] = counts.get(edit.steps[:-1], 0) + 1
    shared = [parent for parent, count in counts.items() if count > 1]
    depth = max(map(len, shared or counts))
    candidates = [parent for parent in shared or counts if len(parent) == depth]
    candidates.sort(key=counts.__getitem__, reverse=True)
    excess = len(edits) - most
    parents: list[Steps] = []
    for parent in candidates if shared else candidates[:1]:
        if excess <= 0:
            break
        parents.append(parent)
        excess -= counts[parent] - 1
    return parents


def _whole(parent: Steps, inside: Iterable[Edit], stored: AttributeValue | None) -> Edit:
    """The edit that sets a part as a whole, instead of the edits inside of it."""
    below = [evolve(edit, steps=edit.steps[len(parent) :]) for edit in inside]
    return Edit(parent, "set", edited(stored, below), stored)
