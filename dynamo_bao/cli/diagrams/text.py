"""Models drawn with box characters, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dynamo_bao.cli.diagrams.outline import AccessPattern, FieldOutline, ModelOutline, Outline, Relation


def as_text(outline: Outline) -> str:
    """The models as text: a card for each, with its fields and the ways to find its items.

    Args:
        outline: the models, from `outline_of`.

    Returns:
        Lines without colour. The relations between models come last.

    Example:
        >>> print(as_text(outline_of([User, Post])))
    """
    bodies = [(model, _fields(model), _patterns(model)) for model in outline.models]
    lines = [line for _, fields, patterns in bodies for line in (*fields, *patterns)]
    width = max((len(line) for line in (*lines, *map(_title, outline.models))), default=0)
    cards = [_card(model, fields, patterns, width) for model, fields, patterns in bodies]
    relations = [_relation(relation) for relation in outline.relations]
    return "\n\n".join([*cards, *(["\n".join(relations)] if relations else [])])


def _card(model: ModelOutline, fields: Sequence[str], patterns: Sequence[str], width: int) -> str:
    title = _title(model)
    head, tail = f"╭─ {model.name} ", f" {title[len(model.name) :].strip()} ─╮"
    top = head + "─" * (width + 4 - len(head) - len(tail)) + tail
    rows = [f"│ {line:{width}} │" for line in fields]
    rows.append(f"├{'─' * (width + 2)}┤")
    rows.extend(f"│ {line:{width}} │" for line in patterns)
    return "\n".join([top, *rows, f"╰{'─' * (width + 2)}╯"])


def _title(model: ModelOutline) -> str:
    """The title of a card: the name, space for a line, and the prefix."""
    words = [model.prefix, *(["mapping"] if model.table_type == "mapping" else [])]
    return f"{model.name}    {' · '.join(words)}      "


def _fields(model: ModelOutline) -> list[str]:
    rows = [(field.name, shown_kind(field), ", ".join(field.marks)) for field in model.fields]
    return _aligned(rows)


def shown_kind(field: FieldOutline) -> str:
    """The kind of a field in short: ``"string?"``, ``"→ User"``."""
    kind = field.kind if field.target is None else f"→ {field.target}"
    return f"{kind}?" if field.optional else kind


def _patterns(model: ModelOutline) -> list[str]:
    return _aligned([(pattern.call, pattern.by, remark(pattern)) for pattern in model.patterns])


def remark(pattern: AccessPattern) -> str:
    """The remark on an access pattern: its order and its note."""
    order = [] if pattern.ordered_by is None else [f"by {pattern.ordered_by}"]
    return ", ".join([*order, *([] if pattern.note is None else [pattern.note])])


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows of texts as lines with aligned columns."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _relation(relation: Relation) -> str:
    maybe = " (optional)" if relation.optional else ""
    return f"{relation.target} ──< {relation.source}.{relation.field}{maybe}"
