"""Models as a drawing: a card for each, with its fields and the ways to find its items, and lines for relations.

The drawing is one SVG file without other files. It follows the light or dark theme of its reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from dynamo_bao.cli.diagrams.outline import AccessPattern, FieldOutline, ModelOutline, Outline, Relation
from dynamo_bao.cli.diagrams.placement import Box, Placement, place
from dynamo_bao.cli.diagrams.text import remark, shown_kind
from dynamo_bao.runtime.records import evolve, frozen

MARGIN: Final = 28.0
PAD: Final = 14.0
HEAD: Final = 38.0
ROW: Final = 22.0
FOOT: Final = 8.0
_FIELD, _CALL, _CHIP = 7.5, 6.9, 6.2  # widths of one character of the monospaced sizes below
_SPACE: Final = 16.0

_TINTS: Final = {
    "key": ("#3f4a5a", "#ffffff", "#c9d3e0", "#1b222c"),
    "gsi1": ("#d9e8fb", "#174a8c", "#1d3a5f", "#a9cdfa"),
    "gsi2": ("#d3f0e8", "#0b5a48", "#12433a", "#8fe0cb"),
    "gsi3": ("#e6defa", "#4b2f99", "#372a63", "#cbb9fb"),
    "gsi4": ("#fbe8c8", "#7a4a00", "#4f390f", "#f5cf88"),
    "gsi5": ("#fadbe7", "#8d1f52", "#572039", "#f8adcb"),
    "uc": ("#fbdcd4", "#8e2a12", "#57261a", "#f9b5a3"),
    "iter": ("#e8e8e6", "#4c4c48", "#35373b", "#c9cac8"),
}
"""Background and text colour of a chip, for light and for dark."""


def as_svg(outline: Outline) -> str:
    """The models and their relations as an SVG document.

    Each line runs from a field to the model that it points to. It is dashed if the field may be empty.

    Args:
        outline: the models, from `outline_of`.

    Returns:
        The text of the document.

    Example:
        >>> Path("models.svg").write_text(as_svg(outline_of([User, Post])))
    """
    cards = {model.name: Card.of(model) for model in outline.models}
    boxes = {name: Box(name, card.width, card.height) for name, card in cards.items()}
    relations = [relation for relation in outline.relations if relation.drawn]
    placement = place(list(boxes.values()), [(relation.source, relation.target) for relation in relations])
    lines = [
        _line(relation, cards[relation.source], boxes, lanes)
        for relation, lanes in zip(relations, placement.lanes, strict=True)
    ]
    cards = {name: evolve(card, width=boxes[name].width) for name, card in cards.items()}
    bodies = [line for name, card in cards.items() for line in card.draw(boxes[name])]
    return "\n".join([*_opening(placement, outline), *lines, *bodies, "</g>", "</svg>"])


def _opening(placement: Placement, outline: Outline) -> Iterator[str]:
    width, height = placement.width + 2 * MARGIN, placement.height + 2 * MARGIN
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-labelledby="title">'
    )
    names = ", ".join(model.name for model in outline.models)
    yield f'<title id="title">{escape(f"Models and how their items are found: {names}")}</title>'
    yield f"<style>{_style()}</style>"
    yield f'<rect class="ground" width="{width:.0f}" height="{height:.0f}"/>'
    yield f'<g transform="translate({MARGIN:.0f} {MARGIN:.0f})">'


def _style() -> str:
    light = "".join(_chip_style(name, *tints[:2]) for name, tints in _TINTS.items())
    dark = "".join(_chip_style(name, *tints[2:]) for name, tints in _TINTS.items())
    return (
        "text{font-family:ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace}"
        ".name{font:600 15px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}"
        ".field{font-size:12.5px}.call{font-size:11.5px}.chip{font-size:10.3px}"
        ".small{font:11px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}"
        ".ground{fill:#f6f6f3}.card{fill:#fff;stroke:#d8d8d2}.head{fill:#eef1f5}.rule{stroke:#e4e4de}"
        ".name,.field{fill:#1d2129}.call{fill:#2d3440}.muted{fill:#70757e}"
        ".line{fill:none;stroke:#8a93a3;stroke-width:1.4}.maybe{stroke-dasharray:5 4}"
        f"{light}"
        "@media (prefers-color-scheme:dark){"
        ".ground{fill:#15171b}.card{fill:#1e2127;stroke:#363a43}.head{fill:#272b33}.rule{stroke:#31353d}"
        ".name,.field{fill:#e8eaee}.call{fill:#cdd2da}.muted{fill:#9298a3}.line{stroke:#707989}"
        f"{dark}}}"
    )


def _chip_style(name: str, ground: str, ink: str) -> str:
    """The styles of two chips: filled for a partition key, and an outline for a sort key."""
    outline_colour = ground if name == "key" else ink
    return (
        f".{name}{{fill:{ground}}}.{name}-ink{{fill:{ink}}}"
        f".{name}-sort{{fill:none;stroke:{outline_colour}}}.{name}-sort-ink{{fill:{outline_colour}}}"
    )


# --- cards -----------------------------------------------------------------------------------------


@frozen
class Card:
    """One model, measured and ready to be drawn.

    Attributes:
        width, height: its size.
        kinds_at: the distance of the kinds of fields from the left edge.
    """

    model: ModelOutline
    width: float
    height: float
    kinds_at: float

    @classmethod
    def of(cls, model: ModelOutline) -> Card:
        """A model's card."""
        kinds_at = PAD + max(len(field.name) for field in model.fields) * _FIELD + _SPACE
        widths = [
            PAD + len(model.name) * 9.2 + _SPACE + sum(map(_chip_width, _badges(model))) + PAD,
            *(kinds_at + len(shown_kind(f)) * _FIELD + _chips_width(f.marks) + PAD for f in model.fields),
            *(_pattern_width(pattern) for pattern in model.patterns),
        ]
        rows = len(model.fields) + len(model.patterns)
        return cls(model, max(widths), HEAD + rows * ROW + 4 * FOOT, kinds_at)

    def row_of(self, field: str) -> float:
        """The distance of the middle of a field's row from the top of the card."""
        place = [outline.name for outline in self.model.fields].index(field)
        return HEAD + FOOT + (place + 0.5) * ROW

    def draw(self, box: Box) -> Iterator[str]:
        """The elements of the card at the place of its box."""
        yield f'<g transform="translate({box.x:.1f} {box.y:.1f})">'
        yield f'<rect class="card" width="{self.width:.1f}" height="{self.height:.1f}" rx="9"/>'
        yield (
            f'<path class="head" d="M.5 9a8.5 8.5 0 0 1 8.5-8.5h{self.width - 18:.1f}a8.5 8.5 0 0 1 8.5 8.5v{HEAD - 9}'
            f'h-{self.width - 1:.1f}z"/>'
        )
        yield _text("name", PAD, 24.5, self.model.name)
        yield from _chips(_badges(self.model), self.width - PAD, HEAD / 2, "iter")
        for field in self.model.fields:
            yield from self._field(field)
        rule_height = HEAD + 2 * FOOT + len(self.model.fields) * ROW
        yield f'<path class="rule" d="M0 {rule_height:.1f}h{self.width:.1f}"/>'
        for number, pattern in enumerate(self.model.patterns):
            yield from self._pattern(pattern, rule_height + FOOT + (number + 0.5) * ROW)
        yield "</g>"

    def _field(self, field: FieldOutline) -> Iterator[str]:
        middle = self.row_of(field.name)
        tip = f"<title>{escape(field.doc)}</title>" if field.doc else ""
        yield _text("field", PAD, middle + 4, field.name, tip)
        yield _text("field muted", self.kinds_at, middle + 4, shown_kind(field))
        yield from _chips(field.marks, self.width - PAD, middle)

    def _pattern(self, pattern: AccessPattern, middle: float) -> Iterator[str]:
        yield _text("call", PAD, middle + 4, pattern.call)
        note = remark(pattern)
        if note:
            yield _text("small muted", PAD + len(pattern.call) * _CALL + 10, middle + 4, note)
        yield from _chips([pattern.by], self.width - PAD, middle)


def _badges(model: ModelOutline) -> list[str]:
    """The chips in the head of a card."""
    mapping = ["mapping"] if model.table_type == "mapping" else []
    return [*mapping, model.prefix]


def _pattern_width(pattern: AccessPattern) -> float:
    note = remark(pattern)
    return (
        PAD
        + len(pattern.call) * _CALL
        + (10 + len(note) * 6.0) * bool(note)
        + _chips_width([pattern.by])
        + PAD
    )


def _chip_width(label: str) -> float:
    return len(label) * _CHIP + 17


def _chips_width(labels: Sequence[str]) -> float:
    return _SPACE + sum(_chip_width(_label(label)) for label in labels)


def _label(mark: str) -> str:
    """The text of a chip. For sort keys, an arrow replaces the word."""
    return {"iter_index": "iter", "iter_search_index": "search", "sort key": "key ↕"}.get(
        mark, mark.replace(" sort", " ↕")
    )


def _chips(marks: Sequence[str], right: float, middle: float, tint: str | None = None) -> Iterator[str]:
    """Chips in a row that ends at `right`."""
    for mark in reversed(marks):
        label = _label(mark)
        width, name = _chip_width(label) - 5, tint or _tint(mark)
        right -= width
        form = f"{name}-sort" if label.endswith("↕") else name
        yield (
            f'<rect class="{form}" x="{right:.1f}" y="{middle - 8:.1f}" width="{width:.1f}" height="16" rx="5"/>'
        )
        yield _text(f"chip {form}-ink", right + 6, middle + 3.6, label)
        right -= 5


def _tint(mark: str) -> str:
    name = mark.split()[0] if mark != "sort key" else "key"
    if name in _TINTS:
        return name
    return "uc" if name.startswith("uc") else "iter"


def _text(classes: str, x: float, y: float, text: str, children: str = "") -> str:
    return f'<text class={quoteattr(classes)} x="{x:.1f}" y="{y:.1f}">{children}{escape(text)}</text>'


# --- lines -----------------------------------------------------------------------------------------


def _line(relation: Relation, card: Card, boxes: dict[str, Box], lanes: Sequence[Box]) -> str:
    """The line of a relation: a crow's foot at its field, and a bar at its target."""
    source, target = boxes[relation.source], boxes[relation.target]
    start, end = source.y + card.row_of(relation.field), target.y + HEAD / 2
    maybe = " maybe" if relation.optional else ""
    if source is target:
        right = source.x + source.width
        path = f"M{right:.1f} {start:.1f}C{right + 46:.1f} {start:.1f} {right + 46:.1f} {end:.1f} {right:.1f} {end:.1f}"
        return _line_with_ends(path, maybe, right, start, right, end, 1, 1, relation)
    side = -1 if target.x < source.x else 1
    from_x = source.x + (source.width if side > 0 else 0)
    to_x = target.x + (0 if side > 0 else target.width)
    points = [(from_x, start)]
    for lane in lanes:
        edges = [lane.x, lane.x + lane.width]
        points += [(x, lane.middle) for x in (edges if side > 0 else reversed(edges))]
    path = f"M{from_x:.1f} {start:.1f}" + "".join(
        _bend(start_point, end_point)
        for start_point, end_point in zip(points, [*points[1:], (to_x, end)], strict=True)
    )
    return _line_with_ends(path, maybe, from_x, start, to_x, end, side, -side, relation)


def _bend(start_point: tuple[float, float], end_point: tuple[float, float]) -> str:
    """A curve with horizontal ends."""
    (x, y), (to_x, to_y) = start_point, end_point
    half = (to_x - x) / 2
    return f"C{x + half:.1f} {y:.1f} {to_x - half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"


def _line_with_ends(
    path: str,
    maybe: str,
    x: float,
    y: float,
    to_x: float,
    to_y: float,
    foot_side: int,
    bar_side: int,
    relation: Relation,
) -> str:
    foot = f"M{x:.1f} {y - 5:.1f}L{x + 9 * foot_side:.1f} {y:.1f}L{x:.1f} {y + 5:.1f}"
    bar = f"M{to_x + 6 * bar_side:.1f} {to_y - 5:.1f}v10"
    title = escape(f"{relation.source}.{relation.field} → {relation.target}")
    return f'<g><title>{title}</title><path class="line{maybe}" d="{path}"/><path class="line" d="{foot}{bar}"/></g>'
