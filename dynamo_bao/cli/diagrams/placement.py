"""Where the boxes of a drawing stand and where its lines run: columns, so that lines run from right to left.

A small form of the layered drawing of Sugiyama, Tagawa and Toda (1981): columns by the longest path, lines that
pass a column get a lane of their own there, the order within columns is improved by the mean of the neighbours,
and heights are the nearest to those means that leave room between boxes (pool adjacent violators).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from attrs import Factory, define, frozen

GUTTER: Final = 84.0
GAP: Final = 36.0
LANE: Final = 10.0
_SWEEPS: Final = 8


@define(eq=False)
class Box:
    """A box to be placed, or a lane in its column where `name` is None.

    Attributes:
        name: what it stands for.
        width, height: its size; `place` makes the boxes of a column equally wide.
        x, y: where its upper left corner is; set by `place`.
    """

    name: str | None
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    column: int = 0
    neighbours: list[Box] = Factory(list)

    @property
    def middle(self) -> float:
        """Half of its height down."""
        return self.y + self.height / 2


@frozen
class Placed:
    """A drawing's size, and the lanes of its lines.

    Attributes:
        width, height: of the whole.
        lanes: for each line, in the order given, the lanes it takes on its way from its source to its target.
    """

    width: float
    height: float
    lanes: tuple[tuple[Box, ...], ...]


def place(boxes: Sequence[Box], lines: Sequence[tuple[str, str]]) -> Placed:
    """Gives each box its place; a line's target stands left of its source, unless there is a circle.

    Args:
        boxes: each with its name and size.
        lines: pairs of the names of source and target; those from a box to itself are allowed.
    """
    by_name = {str(box.name): box for box in boxes}
    joined = {name for line in lines if line[0] != line[1] for name in line}
    columns = _columns([box for box in boxes if box.name in joined], lines)
    for number, column in enumerate(columns):
        for box in column:
            box.column = number
    lanes = tuple(_lanes(by_name[source], by_name[target], columns) for source, target in lines)
    for column in columns[1:]:
        _order(column)
    for sweep in range(_SWEEPS):
        for boxes_of_column in columns if sweep % 2 else reversed(columns):
            if sweep < _SWEEPS // 2:
                _order(boxes_of_column)
            _level(boxes_of_column)
    top = min((box.y for column in columns for box in column), default=0.0)
    for column in columns:
        for box in column:
            box.y -= top
    width, height = _spread(columns)
    return _add_alone([box for box in boxes if box.name not in joined], width, height, lanes)


def _columns(boxes: Iterable[Box], lines: Sequence[tuple[str, str]]) -> list[list[Box]]:
    """The boxes by column: each right of what it points to, lines that close a circle left aside."""
    targets: dict[str, list[str]] = {}
    for source, target in lines:
        if source != target:
            targets.setdefault(source, []).append(target)
    depths: dict[str, int] = {}

    def depth(name: str, path: tuple[str, ...]) -> int:
        if name not in depths:
            onward = [target for target in targets.get(name, ()) if target not in (*path, name)]
            depths[name] = max((depth(target, (*path, name)) + 1 for target in onward), default=0)
        return depths[name]

    boxes = list(boxes)
    for box in boxes:
        depth(str(box.name), ())
    for name in [name for name in depths if not targets.get(name)]:
        # What points nowhere moves up to what points to it.
        depths[name] = min(depths[box] for box, known in targets.items() if name in known) - 1
    return [
        [box for box in boxes if depths[str(box.name)] == at]
        for at in range(max(depths.values(), default=-1) + 1)
    ]


def _lanes(source: Box, target: Box, columns: list[list[Box]]) -> tuple[Box, ...]:
    """A lane in each column that a line passes, in its direction; makes neighbours of what follows each other."""
    step = 1 if target.column > source.column else -1
    lanes = [
        Box(None, 0.0, LANE, column=column) for column in range(source.column + step, target.column, step)
    ]
    for lane in lanes:
        columns[lane.column].append(lane)
    chain = [source, *lanes, target]
    for one, other in pairwise(chain):
        if one is not other:
            one.neighbours.append(other)
            other.neighbours.append(one)
    return tuple(lanes)


def _wish(box: Box) -> float:
    """Where the middle of a box would best be: at the mean of its neighbours'."""
    if not box.neighbours:
        return box.middle
    return sum(neighbour.middle for neighbour in box.neighbours) / len(box.neighbours)


def _order(column: list[Box]) -> None:
    column.sort(key=_wish)


def _level(column: Sequence[Box]) -> None:
    """Moves the boxes of a column to the heights nearest to what they wish that keep their order and gaps."""
    offset, blocks = 0.0, list[tuple[float, int]]()
    offsets = []
    for box in column:
        offsets.append(offset)
        blocks.append((_wish(box) - box.height / 2 - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (high, first), (low, second) = blocks[-2], blocks[-1]
            blocks[-2:] = [((high * first + low * second) / (first + second), first + second)]
        offset += box.height + GAP
    levels = [level for level, count in blocks for _ in range(count)]
    for box, level, down in zip(column, levels, offsets, strict=True):
        box.y = level + down


def _spread(columns: Sequence[Sequence[Box]]) -> tuple[float, float]:
    """Puts the columns side by side; returns the size of them all."""
    x = 0.0
    for column in columns:
        width = max(box.width for box in column)
        for box in column:
            box.x, box.width = x, width  # lines leave from a column's edge, never from behind another box
        x += width + GUTTER
    bottoms = [box.y + box.height for column in columns for box in column]
    return max(x - GUTTER, 0.0), max(bottoms, default=0.0)


def _add_alone(
    boxes: Sequence[Box], width: float, height: float, lanes: tuple[tuple[Box, ...], ...]
) -> Placed:
    """Puts boxes without lines in rows below the others, as wide as those or about a square."""
    area = sum((box.width + GAP) * (box.height + GAP) for box in boxes)
    limit = max(width, area**0.5, *(box.width for box in boxes)) if boxes else width
    x, y, row = 0.0, height + GAP if height else 0.0, 0.0
    for box in boxes:
        if x and x + box.width > limit:
            x, y, row = 0.0, y + row + GAP, 0.0
        box.x, box.y = x, y
        x, row, width = x + box.width + GAP, max(row, box.height), max(width, x + box.width)
    return Placed(width, y + row if boxes else height, lanes)
