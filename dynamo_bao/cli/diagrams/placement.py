"""The places of boxes and lines in a drawing: columns, so that lines run from right to left.

This is a small form of the layered drawing of Sugiyama, Tagawa and Toda (1981). The longest path gives the column of a
box. A line that passes a column gets a lane there. The mean height of its neighbours gives the order of a box in its
column. The heights are as near to those means as the gaps between boxes allow (pool adjacent violators).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from dynamo_bao.runtime.records import Factory, define, frozen

GUTTER: Final = 84.0
GAP: Final = 36.0
LANE: Final = 10.0
_SWEEPS: Final = 8


@define(eq=False)
class Box:
    """A box to be placed, or a lane in its column where `name` is None.

    Attributes:
        name: the model that it stands for.
        width, height: its size. `place` makes the boxes of a column equally wide.
        x, y: its upper left corner. `place` sets it.
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
        """The height of its middle."""
        return self.y + self.height / 2


@frozen
class Placement:
    """The size of a drawing, and the lanes of its lines.

    Attributes:
        width, height: the size of the whole drawing.
        lanes: for each line, its lanes from source to target.
    """

    width: float
    height: float
    lanes: tuple[tuple[Box, ...], ...]


def place(boxes: Sequence[Box], lines: Sequence[tuple[str, str]]) -> Placement:
    """Gives each box its place. The target of a line is left of its source, unless the lines make a circle.

    Args:
        boxes: boxes with name and size.
        lines: pairs of names, source and target. A line may connect a box with itself.
    """
    by_name = {str(box.name): box for box in boxes}
    connected_names = {name for line in lines if line[0] != line[1] for name in line}
    columns = _columns([box for box in boxes if box.name in connected_names], lines)
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
            _set_heights(boxes_of_column)
    top = min((box.y for column in columns for box in column), default=0.0)
    for column in columns:
        for box in column:
            box.y -= top
    width, height = _spread(columns)
    return _add_alone([box for box in boxes if box.name not in connected_names], width, height, lanes)


def _columns(boxes: Iterable[Box], lines: Sequence[tuple[str, str]]) -> list[list[Box]]:
    """The boxes by column. Each is right of its targets; lines that close a circle do not count."""
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
        # A box without targets moves next to the boxes that point to it.
        depths[name] = min(depths[box] for box, target_names in targets.items() if name in target_names) - 1
    return [
        [box for box in boxes if depths[str(box.name)] == at]
        for at in range(max(depths.values(), default=-1) + 1)
    ]


def _lanes(source: Box, target: Box, columns: list[list[Box]]) -> tuple[Box, ...]:
    """Adds a lane in each column that a line passes, and connects the boxes and lanes of the line as neighbours."""
    step = 1 if target.column > source.column else -1
    lanes = [
        Box(None, 0.0, LANE, column=column) for column in range(source.column + step, target.column, step)
    ]
    for lane in lanes:
        columns[lane.column].append(lane)
    chain = [source, *lanes, target]
    for box, next_box in pairwise(chain):
        if box is not next_box:
            box.neighbours.append(next_box)
            next_box.neighbours.append(box)
    return tuple(lanes)


def _best_middle(box: Box) -> float:
    """The best height for the middle of a box: the mean of its neighbours."""
    if not box.neighbours:
        return box.middle
    return sum(neighbour.middle for neighbour in box.neighbours) / len(box.neighbours)


def _order(column: list[Box]) -> None:
    column.sort(key=_best_middle)


def _set_heights(column: Sequence[Box]) -> None:
    """Moves the boxes of a column as near to their best heights as order and gaps allow."""
    offset, blocks = 0.0, list[tuple[float, int]]()
    offsets = []
    for box in column:
        offsets.append(offset)
        blocks.append((_best_middle(box) - box.height / 2 - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (high, high_count), (low, low_count) = blocks[-2], blocks[-1]
            blocks[-2:] = [
                ((high * high_count + low * low_count) / (high_count + low_count), high_count + low_count)
            ]
        offset += box.height + GAP
    levels = [level for level, count in blocks for _ in range(count)]
    for box, level, down in zip(column, levels, offsets, strict=True):
        box.y = level + down


def _spread(columns: Sequence[Sequence[Box]]) -> tuple[float, float]:
    """Puts the columns side by side, and returns the size of the drawing."""
    x = 0.0
    for column in columns:
        width = max(box.width for box in column)
        for box in column:
            box.x, box.width = x, width  # so that lines start at the edge of the column
        x += width + GUTTER
    bottoms = [box.y + box.height for column in columns for box in column]
    return max(x - GUTTER, 0.0), max(bottoms, default=0.0)


def _add_alone(
    boxes: Sequence[Box], width: float, height: float, lanes: tuple[tuple[Box, ...], ...]
) -> Placement:
    """Puts boxes without lines in rows below the others. The rows are as wide as the drawing, or make a square."""
    area = sum((box.width + GAP) * (box.height + GAP) for box in boxes)
    limit = max(width, area**0.5, *(box.width for box in boxes)) if boxes else width
    x, y, row = 0.0, height + GAP if height else 0.0, 0.0
    for box in boxes:
        if x and x + box.width > limit:
            x, y, row = 0.0, y + row + GAP, 0.0
        box.x, box.y = x, y
        x, row, width = x + box.width + GAP, max(row, box.height), max(width, x + box.width)
    return Placement(width, y + row if boxes else height, lanes)
