"""Changes of parts of documents, planned: which paths are written, and what must hold of the maps they go through.

DynamoDB takes no path through what is not there, and engines differ in what they do where it is no map. So every
path below an attribute requires the type of the part it goes through; where that proves wrong, the change is
planned again from what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve, frozen

from dynamo_bao.dynamodb.document_diff import (
    ANYTHING,
    MERGED,
    Absent,
    Edit,
    Shape,
    Steps,
    begins_with,
    coarsened,
    edited,
    part_at,
)
from dynamo_bao.dynamodb.expressions.conditions import (
    Attribute,
    Compare,
    Condition,
    Exists,
    HasType,
    Negation,
    Size,
    any_of,
)
from dynamo_bao.dynamodb.expressions.updates import PartChange, Update
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import QueryError
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.writes.actions import MAX_PATHS_BYTES

MAX_PATHS = 100
"""How many paths one update has at most: the embedded engine cannot read many more."""
_STEP_BYTES, _EDIT_BYTES = 6, 40
"""What a step of a path, and an edit besides its steps, take of an expression at most, its condition included."""


class FieldShape(Shape):
    """How the values of a field are saved, by what the field says is inside them."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.whole = field.is_unit
        self.complete = isinstance(field, NestedField)

    def check(self, value: AttributeValue, what: str) -> None:
        if not self.complete:
            return
        try:
            self._field.from_dynamo(value)
        except Exception as error:
            raise ValueError(
                f"{what} is not stored, and these members alone do not make one ({error})"
            ) from error

    def member(self, name: str) -> Shape:
        inner = self._field.inside(name)
        return MERGED if inner is None else FieldShape(inner)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldShape) and self._field is other._field

    __hash__ = None  # type: ignore[assignment]


@frozen
class Parts:
    """A change of parts of a document, or of the whole of one that is a unit.

    Attributes:
        edits: what changes, each part once.
        shape: how the document is saved.
        after: the encoded form of the value now, of a save.
        loaded: what was stored of it when it was loaded.
    """

    edits: tuple[Edit, ...]
    shape: Shape = MERGED
    after: AttributeValue | None = None
    loaded: AttributeValue | None = None

    @property
    def is_relative(self) -> bool:
        """Whether what it leaves behind depends on what is stored."""
        return any(edit.is_relative for edit in self.edits)

    def conditioned(self, stored: AttributeValue | None) -> Parts:
        """The same on condition that every part it sets or removes is stored as it was read."""
        edits = [
            evolve(edit, expected=part_at(stored, edit.steps))
            if edit.expected is ANYTHING and (edit.before is not None or not edit.is_relative)
            else edit
            for edit in self.edits
        ]
        return evolve(self, edits=tuple(edits))

    def then(self, later: Parts) -> Parts:
        """This change and a later one of the same document as one; conditions are about what is stored before both."""
        edits = list(self.edits)
        for edit in later.edits:
            edits = _followed(edits, edit)
        return evolve(self, edits=tuple(edits), after=later.after)


def _followed(edits: list[Edit], later: Edit) -> list[Edit]:
    """Edits with one more after them.

    Raises:
        QueryError: where both depend on what is stored, in different ways.
    """
    steps = later.steps
    for place, edit in enumerate(edits):
        around = edit.steps == steps[: len(edit.steps)]
        if around and (len(edit.steps) < len(steps) or later.is_relative):
            if edit.is_relative and (edit.steps != steps or edit.action != later.action):
                raise QueryError(
                    f"One transaction cannot {edit.action} and then {later.action} the same part of a document."
                )
            value = edited(edit.value, [evolve(later, steps=steps[len(edit.steps) :])])
            action = "set" if edit.action == "remove" else edit.action
            return [*edits[:place], evolve(edit, action=action, value=value), *edits[place + 1 :]]
    inside = [edit for edit in edits if edit.steps[: len(steps)] == steps]
    if (
        inside
    ):  # what stood there before the first of them is no longer looked at, unless it was all of this part
        expected = next((edit.expected for edit in inside if edit.steps == steps), ANYTHING)
        later = evolve(later, expected=expected, before=None)
    return [*(edit for edit in edits if edit not in inside), later]


def is_long(changes: Mapping[str, Any]) -> bool:
    """Whether the parts that are changed may be too many for one expression, so that what is stored must be known."""
    edits = [edit for change in changes.values() if isinstance(change, Parts) for edit in change.edits]
    text = sum(_EDIT_BYTES + _STEP_BYTES * len(edit.steps) for edit in edits)
    return len(edits) > MAX_PATHS or text > MAX_PATHS_BYTES


@frozen
class Resolved:
    """A change of parts as it is carried out on what is stored.

    Attributes:
        edits: those whose way is there.
        made: those that set a part that is missing on the way of others, with these carried out in it.
    """

    edits: tuple[Edit, ...]
    made: tuple[Edit, ...] = ()


def resolved(parts: Parts, edits: Iterable[Edit], stored: AttributeValue | None) -> Resolved:
    """Edits as they are carried out where this is stored.

    Raises:
        ValueError: where the way of one leads through a value of another type.
    """
    direct: list[Edit] = []
    missing: dict[Steps, list[Edit]] = {}
    for edit in edits:
        gap = _gap(stored, edit.steps)
        if gap is None:
            direct.append(edit)
        elif edit.action != "remove":
            missing.setdefault(gap, []).append(edit)
    made = [Edit(steps, "set", _whole(parts, steps, inside)) for steps, inside in missing.items()]
    return Resolved(tuple(direct), tuple(made))


def left_by(parts: Parts, stored: AttributeValue | None) -> AttributeValue | None:
    """What a change of parts makes of what is stored."""
    found = resolved(parts, parts.edits, stored)
    return edited(stored, [*found.edits, *found.made])


def _gap(stored: AttributeValue | None, steps: Steps) -> Steps | None:
    """The first part on the way that is not there, or is NULL; None where all are."""
    for place, step in enumerate(steps):
        part, code = part_at(stored, steps[:place]), _code_of(step)
        if part is None or "NULL" in part:
            return steps[:place]
        if code not in part:
            way = ".".join(map(str, steps[:place])) or "the field itself"
            needed = "map" if code == "M" else "list"
            raise ValueError(
                f"{way} is stored as {next(iter(part))}, which is no {needed} with {step!r} in it"
            )
    return None


def _whole(parts: Parts, steps: Steps, inside: list[Edit]) -> AttributeValue | None:
    """The value of a part that is missing, with what is changed in it."""
    now, loaded, shape = part_at(parts.after, steps), part_at(parts.loaded, steps), parts.shape
    for step in steps:
        shape = shape.member(step) if isinstance(step, str) else MERGED
    if now is not None and (shape.complete or loaded is None or "NULL" in loaded):
        return now
    made = edited(None, [evolve(edit, steps=edit.steps[len(steps) :]) for edit in inside])
    if made is not None:
        shape.check(made, ".".join(map(str, steps)) or "the field itself")
    return made


class PartsPlan:
    """What one update does to a document's parts.

    Args:
        attribute: the document's.
        parts: the change.
        item: the item as it was read; None where it was not, so that every part is taken to be there.
        most: how many paths there may be.

    Raises:
        ValueError: where a part cannot be written, saying why.
    """

    def __init__(self, attribute: str, parts: Parts, item: Item | None, most: int) -> None:
        self._attribute = attribute
        self._stored = None if item is None else item.get(attribute)
        self._parents: dict[Steps, str] = {}
        self.conditions: list[Condition] = []
        self.changes: list[PartChange] = []
        edits = parts.edits if len(parts.edits) <= most else coarsened(parts.edits, most, self._stored)
        for edit in edits:
            self._expect(edit.steps, edit.expected)
        found = Resolved(tuple(edits)) if item is None else resolved(parts, edits, self._stored)
        for edit in found.edits:
            self._put(edit)
        for edit in found.made:
            self.conditions.append(_is_nothing(self._at(edit.steps)))
            self._put(edit)

    def into(self, update: Update, conditions: list[Condition]) -> None:
        """Adds it to an update and its conditions."""
        update.parts += self.changes
        conditions += self.conditions
        conditions += [HasType(self._at(steps), code) for steps, code in self._parents.items()]

    def _at(self, steps: Steps) -> Attribute:
        return Attribute(self._attribute, steps)

    def _expect(self, steps: Steps, expected: AttributeValue | Absent | None) -> None:
        if expected is None:
            self.conditions.append(Negation(Exists(self._at(steps))))
        elif not isinstance(expected, Absent):
            self.conditions.append(Compare(self._at(steps), "=", expected))

    def _put(self, edit: Edit) -> None:
        if edit.steps:  # the type of the last part on the way says that all before it are there
            self._parents[edit.steps[:-1]] = _code_of(edit.steps[-1])
        if edit.action == "append" and edit.before is not None:
            edit = self._grown(edit, edit.before)
        elif edit.action in _OPERANDS:
            edit = self._fitting(edit, _OPERANDS[edit.action])
        self.changes.append(PartChange(self._at(edit.steps), edit))

    def _fitting(self, edit: Edit, code: str) -> Edit:
        """An edit that adds to what is stored, which must be of the type that it can be added to, or nothing."""
        stored, target = part_at(self._stored, edit.steps), self._at(edit.steps)
        if stored is not None and "NULL" in stored:
            self.conditions.append(_is_nothing(target))
            return evolve(edit, action="set")
        if stored is not None and code not in stored:
            way = ".".join(map(str, edit.steps)) or "the field itself"
            raise ValueError(f"{way} is stored as {next(iter(stored))}, to which nothing can be added")
        self.conditions.append(any_of((Negation(Exists(target)), HasType(target, code))))
        return edit

    def _grown(self, edit: Edit, before: AttributeValue) -> Edit:
        """An edit that appends to the list that is stored, which must begin with the one that was loaded."""
        stored, target = part_at(self._stored, edit.steps), self._at(edit.steps)
        if (stored is None or "NULL" in stored) and not before["L"]:
            self.conditions.append(_is_nothing(target))
            return evolve(edit, action="set", before=None)
        if stored is None or not begins_with(stored, before):
            self.conditions.append(Compare(target, "=", before))
            return edit
        self.conditions += [HasType(target, "L"), Size(target, "=", len(stored["L"]))]
        return evolve(edit, before=stored)


_OPERANDS = {"increment": "N", "append": "L", "prepend": "L"}
"""What must be stored for actions that add to it."""


def _code_of(step: str | int) -> str:
    return "L" if isinstance(step, int) else "M"


def _is_nothing(target: Attribute) -> Condition:
    """That nothing is stored at a path, or NULL."""
    return any_of((Negation(Exists(target)), HasType(target, "NULL")))
