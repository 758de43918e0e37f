"""Plans of changes of parts of documents: the paths that are written, and the conditions on the maps around them.

DynamoDB refuses a path through a missing part, and engines differ if that part is not a map. So every path below an
attribute requires the type of the part around it. If the condition fails, the change is planned again from the
stored item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from dynamo_bao.dynamodb.document_diff import (
    ANY_VALUE,
    MERGED,
    Absent,
    Edit,
    Shape,
    Steps,
    begins_with,
    cannot_add,
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
from dynamo_bao.errors import QueryError, message_of
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.runtime.records import evolve, frozen
from dynamo_bao.writes.actions import MAX_PATHS_BYTES

MAX_PATHS = 100
"""The most paths of one update. The embedded engine cannot read many more."""
_STEP_BYTES, _EDIT_BYTES = 6, 40
"""The most bytes of an expression for one step of a path, and for an edit without its steps. Both with conditions."""


class FieldShape(Shape):
    """The shape of a document, by the fields inside a field."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.whole: bool = field.is_unit
        self.complete: bool = isinstance(field, NestedField)

    def check(self, value: AttributeValue, label: str) -> None:
        if not self.complete:
            return
        try:
            self._field.from_dynamo(value)
        except Exception as error:
            raise ValueError(
                f"{label} is not stored, and these members alone do not make one ({message_of(error)})"
            ) from error

    def member(self, name: str) -> Shape:
        inner = self._field.inside(name)
        return MERGED if inner is None else FieldShape(inner)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldShape) and self._field is other._field

    __hash__: ClassVar[None] = None  # type: ignore[assignment]


@frozen
class Parts:
    """A change of parts of a document, or of a whole document that is a unit.

    Attributes:
        edits: the edits, at most one for each part.
        shape: the shape of the document.
        after: for a save, the encoded form of the current value.
        loaded: the stored form when it was loaded.
    """

    edits: tuple[Edit, ...]
    shape: Shape = MERGED
    after: AttributeValue | None = None
    loaded: AttributeValue | None = None

    @property
    def is_uncertain(self) -> bool:
        """Whether the result depends on a stored value that no condition fixes."""
        return any(edit.is_relative and edit.expected is ANY_VALUE for edit in self.edits)

    def conditioned(self, stored: AttributeValue | None) -> Parts:
        """The same change, on condition that every part it sets or removes is stored as it was read."""
        edits = [
            evolve(edit, expected=part_at(stored, edit.steps))
            if edit.expected is ANY_VALUE and (edit.before is not None or not edit.is_relative)
            else edit
            for edit in self.edits
        ]
        return evolve(self, edits=tuple(edits))

    def then(self, later: Parts) -> Parts:
        """One change for this one and a later one of the same document. Conditions refer to the state before both."""
        edits = list(self.edits)
        for edit in later.edits:
            edits = _with_later_edit(edits, edit)
        return evolve(self, edits=tuple(edits), after=later.after)


def _with_later_edit(edits: list[Edit], later: Edit) -> list[Edit]:
    """The edits with a later one added to them.

    Raises:
        QueryError: if both depend on the stored value in different ways.
    """
    steps = later.steps
    for position, edit in enumerate(edits):
        around = edit.steps == steps[: len(edit.steps)]
        if around and (len(edit.steps) < len(steps) or later.is_relative):
            if edit.is_relative and (edit.steps != steps or edit.action != later.action):
                raise QueryError(
                    f"One transaction cannot {edit.action} and then {later.action} the same part of a document."
                )
            value = edited(edit.value, [evolve(later, steps=steps[len(edit.steps) :])])
            action = "set" if edit.action == "remove" else edit.action
            return [*edits[:position], evolve(edit, action=action, value=value), *edits[position + 1 :]]
    inside = [edit for edit in edits if edit.steps[: len(steps)] == steps]
    if inside:  # only an earlier edit of the whole part can still say what the part was before
        expected = next((edit.expected for edit in inside if edit.steps == steps), ANY_VALUE)
        later = evolve(later, expected=expected, before=None)
    return [*(edit for edit in edits if edit not in inside), later]


def is_long(changes: Mapping[str, object]) -> bool:
    """Whether the changed parts may be too many for one expression, so that the stored item must be known."""
    length = 0
    for change in changes.values():
        if type(change) is Parts:
            length += sum(_EDIT_BYTES + _STEP_BYTES * len(edit.steps) for edit in change.edits)
    return length > MAX_PATHS_BYTES


@frozen
class Resolved:
    """A change of parts, fitted to the stored document.

    Attributes:
        edits: the edits of parts whose parents are stored.
        created: edits that create a missing parent, with all edits inside it.
    """

    edits: tuple[Edit, ...]
    created: tuple[Edit, ...] = ()


def resolved(parts: Parts, edits: Iterable[Edit], stored: AttributeValue | None) -> Resolved:
    """Fits edits to the stored document.

    Raises:
        ValueError: if the path of an edit leads through a value of another type.
    """
    direct: list[Edit] = []
    missing: dict[Steps, list[Edit]] = {}
    for edit in edits:
        gap = _gap(stored, edit.steps)
        if gap is None:
            direct.append(edit)
        elif edit.action != "remove":
            missing.setdefault(gap, []).append(edit)
    created = [Edit(steps, "set", _created_part(parts, steps, inside)) for steps, inside in missing.items()]
    return Resolved(tuple(direct), tuple(created))


def left_by(parts: Parts, stored: AttributeValue | None) -> AttributeValue | None:
    """The stored document after a change of parts."""
    fitted = resolved(parts, parts.edits, stored)
    return edited(stored, [*fitted.edits, *fitted.created])


def _gap(stored: AttributeValue | None, steps: Steps) -> Steps | None:
    """The path of the first missing or NULL part around a part, or None if all are stored."""
    for depth, step in enumerate(steps):
        part, code = part_at(stored, steps[:depth]), _code_of(step)
        if part is None or "NULL" in part:
            return steps[:depth]
        if code not in part:
            path = ".".join(map(str, steps[:depth])) or "the field itself"
            kind = "map" if code == "M" else "list"
            raise ValueError(
                f"{path} is stored as {next(iter(part))}, which is no {kind} with {step!r} in it"
            )
    return None


def _created_part(parts: Parts, steps: Steps, inside: list[Edit]) -> AttributeValue | None:
    """The value of a missing part, with the edits inside it."""
    current, loaded, shape = part_at(parts.after, steps), part_at(parts.loaded, steps), parts.shape
    for step in steps:
        shape = shape.member(step) if isinstance(step, str) else MERGED
    if current is not None and (shape.complete or loaded is None or "NULL" in loaded):
        return current
    part = edited(None, [evolve(edit, steps=edit.steps[len(steps) :]) for edit in inside])
    if part is not None:
        shape.check(part, ".".join(map(str, steps)) or "the field itself")
    return part


class PartsPlan:
    """The changes and conditions of one update for the parts of a document.

    Args:
        attribute: the attribute of the document.
        parts: the change.
        item: the item as it was read. None if it was not; then every parent of a changed part must be stored.
        max_paths: the most paths that the update may have.

    Raises:
        ValueError: if a part cannot be written. The text says why.
    """

    def __init__(self, attribute: str, parts: Parts, item: Item | None, max_paths: int) -> None:
        self._attribute = attribute
        self._stored = None if item is None else item.get(attribute)
        self._parents: dict[Steps, str] = {}
        self.conditions: list[Condition] = []
        self.changes: list[PartChange] = []
        edits = parts.edits
        if len(edits) > max_paths:
            edits = tuple(coarsened(edits, max_paths, self._stored))
        for edit in edits:
            self._expect(edit.steps, edit.expected)
        fitted = Resolved(edits) if item is None else resolved(parts, edits, self._stored)
        for edit in fitted.edits:
            self._put(edit)
        for edit in fitted.created:
            self.conditions.append(_is_nothing(self._at(edit.steps)))
            self._put(edit)

    def into(self, update: Update, conditions: list[Condition]) -> None:
        """Adds the changes to an update, and the conditions to its conditions."""
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
        if edit.steps:  # the type of the parent proves that all parts around it exist
            self._parents[edit.steps[:-1]] = _code_of(edit.steps[-1])
        if edit.action == "append" and edit.before is not None:
            edit = self._appended(edit, edit.before)
        elif edit.action in _OPERANDS:
            edit = self._with_operand(edit, _OPERANDS[edit.action])
        self.changes.append(PartChange(self._at(edit.steps), edit))

    def _with_operand(self, edit: Edit, code: str) -> Edit:
        """An edit that adds to the stored value. The value must have the right type, or be missing."""
        stored, target = part_at(self._stored, edit.steps), self._at(edit.steps)
        if stored is not None and "NULL" in stored:
            self.conditions.append(_is_nothing(target))
            return evolve(edit, action="set")
        if stored is not None and code not in stored:
            raise cannot_add(edit, stored)
        self.conditions.append(any_of((Negation(Exists(target)), HasType(target, code))))
        return edit

    def _appended(self, edit: Edit, before: AttributeValue) -> Edit:
        """An edit that appends to the stored list. The list must begin with the loaded one."""
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
"""The type of the stored value for actions that add to it."""


def _code_of(step: str | int) -> str:
    return "L" if isinstance(step, int) else "M"


def _is_nothing(target: Attribute) -> Condition:
    """The condition that a path is missing or NULL."""
    return any_of((Negation(Exists(target)), HasType(target, "NULL")))
