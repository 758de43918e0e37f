"""Models as an entity relationship diagram for Mermaid, which GitHub and many wikis draw."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dynamo_bao.cli.diagrams.outline import FieldOutline, ModelOutline, Outline, Relation


def as_mermaid(outline: Outline) -> str:
    """The models and their relations as a Mermaid ``erDiagram``. Comments list the ways to find items.

    A model that is only the target of a relation has no fields in the diagram.

    Args:
        outline: the models, from `outline_of`.

    Returns:
        Text in Mermaid's language.

    Example:
        >>> print(as_mermaid(outline_of([User, Post])))
    """
    lines = ["erDiagram"]
    for model in outline.models:
        lines.extend(_entity(model))
    lines.extend(_relation(relation) for relation in outline.relations)
    return "\n".join(lines)


def _entity(model: ModelOutline) -> Iterator[str]:
    for pattern in model.patterns:
        order = "" if pattern.ordered_by is None else f", by {pattern.ordered_by}"
        yield f"    %% {pattern.call}: {pattern.by}{order}"
    yield f"    {_entity_name(model.name)} {{"
    for field in model.fields:
        yield f"        {_attribute(field, model)}"
    yield "    }"


def _attribute(field: FieldOutline, model: ModelOutline) -> str:
    key = "PK" if field.name in (model.key.partition, model.key.sort) else ""
    unique = "UK" if any(constraint.field == field.name for constraint in model.constraints) else ""
    foreign = "FK" if field.target is not None else ""
    keys = ", ".join(mark for mark in (key, foreign, unique) if mark)
    index_marks = [mark for mark in field.marks if mark not in ("key", "sort key")]
    remarks = [*(["optional"] if field.optional else []), *index_marks]
    comment = f'"{", ".join(remarks)}"' if remarks else ""
    kind = re.sub(r"\W", "_", field.kind)
    return " ".join(word for word in (kind, field.name, keys, comment) if word)


def _relation(relation: Relation) -> str:
    target_end = "|o" if relation.optional else "||"
    source, target = _entity_name(relation.source), _entity_name(relation.target)
    return f'    {target} {target_end}--o{{ {source} : "{relation.field}"'


def _entity_name(name: str) -> str:
    """The name of a model for Mermaid: in quotes, unless it is a word."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else '"' + name.replace('"', "'") + '"'
