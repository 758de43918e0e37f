"""Plans of changes of parts of documents: the paths that are written, and the conditions on the maps around them.

DynamoDB refuses a path through a missing part, and engines differ if that part is not a map. So every path below an
attribute requires the type of the part around it. If the condition fails, the change is planned again from the
stored item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    Compare,
    Condition,
    Exists,
    HasType,
    Negation,
    Size,
    any_of,
)
from dynamo_bao.dynamodb.expressions.paths import Attribute
from dynamo_bao.dynamodb.expressions.updates import PartChange, Update
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import QueryError, message_of
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.containers import UnionField, has_fixed_length
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.fields.sets import SetField
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
        self.complete: bool = isinstance(field, NestedField) or has_fixed_length(field)

    def check(self, value: AttributeValue, label: str) -> None:
        if not self.complete:
            return
        try:
            self._field.from_dynamo(value)
        except Exception as error:
            raise ValueError(
                f"{label} is not stored, and these members alone do not make one ({message_of(error)})"
            ) from error

    def member(self, step: str | int) -> Shape:
        inner = self._field.inside(step)
        return MERGED if inner is None else FieldShape(inner)

    def with_stored_members(self, value: AttributeValue, stored: AttributeValue) -> AttributeValue | None:
        field: Field | None = self._field
        if isinstance(field, UnionField):
            option = field.reader_of(stored)
            field = option if option is field.reader_of(value) else None
        return field.with_stored_members(value, stored) if isinstance(field, SetField) else None

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
        checks_result: whether the result must be read once before it is sent, because a class inside of the document
            checks or converts its members.
    """

    edits: tuple[Edit, ...]
    shape: Shape = MERGED
    after: AttributeValue | None = None
    loaded: AttributeValue | None = None
    checks_result: bool = False

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

    def then(self, later: Parts, stored: AttributeValue | Absent | None = ANY_VALUE) -> Parts:
        """One change for this one and a later one of the same document. Conditions refer to the state before both.

        Args:
            later: the later change. The positions in its paths are those after this change.
            stored: the document before both; `ANY_VALUE` if it is not known.

        Raises:
            QueryError: if only the stored document can say what both do, and it is not known.
            ValueError: if the later change adds to a value of another type. The text says which.
        """
        edits = _Sequence(self, later, stored).edits()
        checks_result = self.checks_result or later.checks_result
        return evolve(self, edits=tuple(edits), after=later.after, checks_result=checks_result)


class _Sequence:
    """Two changes of a document, one after the other, as edits that are all about the state before both.

    DynamoDB makes the edits of one update at the same time. So an edit of a part that the first change has moved, or
    whose value depends on both, becomes an edit that sets the part around both.

    Args:
        first, later, stored: see `Parts.then`.
    """

    def __init__(self, first: Parts, later: Parts, stored: AttributeValue | Absent | None) -> None:
        self._first = first
        self._later = later
        self._stored = stored

    def edits(self) -> list[Edit]:
        """The edits."""
        paths = self._met_paths()
        wholes = [self._whole(path) for path in paths]
        first, later = (
            [edit for edit in parts.edits if not any(_is_inside(edit.steps, path) for path in paths)]
            for parts in (self._first, self._later)
        )
        return [*wholes, *self._joined(first, later)]

    def _met_paths(self) -> list[Steps]:
        """The paths of the parts that only an edit of the whole part can change as both changes do, outermost ones."""
        pairs = ((first, later) for first in self._first.edits for later in self._later.edits)
        met = dict.fromkeys(path for pair in pairs if (path := self._met_path(*pair)) is not None)
        return [path for path in met if not any(_is_inside(path, other) and path != other for other in met)]

    def _met_path(self, first: Edit, later: Edit) -> Steps | None:
        """The path of the part that two edits can only change together. None if they stay two, or fit into one."""
        moved_list = self._moved_list(first, later)
        if moved_list is not None:
            return moved_list
        gap = None if isinstance(self._stored, Absent) else _gap(self._stored, first.steps)
        if gap is not None and later.action == "remove" and _is_inside(later.steps, gap):
            return gap  # the first edit creates it
        if first.steps == later.steps:
            fits = not (first.is_relative and later.is_relative) or first.action == later.action
            return None if fits else first.steps
        if first.is_relative and _is_inside(later.steps, first.steps):
            return first.steps
        return later.steps if later.is_relative and _is_inside(first.steps, later.steps) else None

    def _moved_list(self, first: Edit, later: Edit) -> Steps | None:
        """The path of a list in which the first edit changes what a position in the path of the later one means."""
        for depth, (step, other) in enumerate(zip(first.steps, later.steps, strict=False)):
            if isinstance(step, int) and isinstance(other, int):
                path = first.steps[:depth]
                removes = first.action == "remove" and len(first.steps) == depth + 1
                if removes or (self._appends(path, step) and self._appends(path, other)):
                    return path
            if step != other:
                return None
        return None

    def _appends(self, path: Steps, position: int) -> bool:
        """Whether a position is beyond the end of the stored list, so that a value for it is appended."""
        if isinstance(self._stored, Absent):
            return False
        return position >= len((part_at(self._stored, path) or {}).get("L", ()))

    def _whole(self, path: Steps) -> Edit:
        """The edit that sets a part to what both changes leave, if it is still stored as it was."""
        stored = self._stored
        if isinstance(stored, Absent):
            label = ".".join(map(str, path)) or "the whole of it"
            raise QueryError(
                f"One transaction changes {label} twice, and the second change depends on the first. "
                f"Write the two changes in two transactions."
            )
        after = part_at(left_by(self._later, left_by(self._first, stored)), path)
        return Edit(path, "remove" if after is None else "set", after, part_at(stored, path))

    def _joined(self, first: list[Edit], later: list[Edit]) -> list[Edit]:
        """The edits of both changes. An edit inside of another one, or of the same part, becomes a part of it."""
        inside: dict[int, list[Edit]] = {}
        edits: list[Edit] = []
        for edit in later:
            number = next((n for n, outer in enumerate(first) if _is_inside(edit.steps, outer.steps)), None)
            if number is None or (edit.steps == first[number].steps and not edit.is_relative):
                edits.append(self._as_before(edit, first))
            else:
                inside.setdefault(number, []).append(edit)
        replaced = [edit.steps for edit in later if not edit.is_relative]
        return [
            *(
                _with_inner(edit, inside.get(number, ()))
                for number, edit in enumerate(first)
                if not any(_is_inside(edit.steps, steps) for steps in replaced)
            ),
            *edits,
        ]

    def _as_before(self, edit: Edit, first: list[Edit]) -> Edit:
        """A later edit, with the value that must be stored before both changes."""
        below = [other for other in first if _is_inside(other.steps, edit.steps)]
        if not below:
            return edit
        expected = next((other.expected for other in below if other.steps == edit.steps), ANY_VALUE)
        return evolve(edit, expected=expected, before=None)


def _is_inside(steps: Steps, outer: Steps) -> bool:
    """Whether a path is inside another one, or the same."""
    return steps[: len(outer)] == outer


def _with_inner(edit: Edit, inner: Sequence[Edit]) -> Edit:
    """An edit that also does what later edits inside of it do."""
    inner_edits = [evolve(later, steps=later.steps[len(edit.steps) :]) for later in inner]
    if not inner_edits:
        return edit
    try:
        value = edited(edit.value, inner_edits)
    except ValueError:
        for later, inner_edit in zip(inner, inner_edits, strict=True):
            part = part_at(edit.value, inner_edit.steps)
            if part is not None and _OPERANDS.get(later.action, "NULL") not in part:
                raise cannot_add(later, part) from None
        raise
    action = "set" if edit.action == "remove" and value is not None else edit.action
    return evolve(edit, action=action, value=value)


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
        shape = shape.member(step)
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
        elif edit.is_relative:
            edit = self._relative(edit)
        self.changes.append(PartChange(self._at(edit.steps), edit))

    def _relative(self, edit: Edit) -> Edit:
        """An edit whose result depends on the stored value. NULL counts as a missing value."""
        stored, target = part_at(self._stored, edit.steps), self._at(edit.steps)
        if stored is not None and "NULL" in stored:
            self.conditions.append(_is_nothing(target))
            return evolve(edit, action="set")
        code = _OPERANDS.get(edit.action)
        if code is None:
            self.conditions.append(Negation(HasType(target, "NULL")))
            return edit
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
