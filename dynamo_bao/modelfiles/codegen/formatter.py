"""Source code in lines of at most 88 columns, broken where ruff and Black would break them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from dynamo_bao.runtime.records import frozen

WIDTH: Final = 88
INDENT: Final = 4


@frozen
class Group:
    """Something in brackets: a call, a list, a parameter list.

    Attributes:
        open, close: the text up to the opening bracket, and the closing bracket.
        items: the items between the brackets.
        is_hugged: whether all items may share one inner line. Arguments may; members of lists may not.
        is_definition: whether it is a parameter list.
    """

    open: str
    items: tuple[Doc, ...]
    close: str
    is_hugged: bool = True
    is_definition: bool = False


Doc = str | Group


def call(function: str, *items: Doc, **keywords: Doc) -> Group:
    """A call with positional and keyword arguments."""
    return Group(f"{function}(", (*items, *(_labelled(name, item) for name, item in keywords.items())), ")")


def _labelled(name: str, item: Doc) -> Doc:
    if isinstance(item, str):
        return f"{name}={item}"
    return Group(f"{name}={item.open}", item.items, item.close, item.is_hugged)


def literal(value: object) -> Doc:
    """A plain value as source code; a `Decimal` as a call."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Decimal):
        return call("Decimal", str(value) if str(value).isdigit() else quoted(str(value)))
    if isinstance(value, (list, tuple)):
        return Group("[", tuple(literal(member) for member in value), "]", is_hugged=False)
    if isinstance(value, dict):
        return Group("{", tuple(_entry(name, member) for name, member in value.items()), "}", is_hugged=False)
    return repr(value).replace("e+", "e")


def _entry(name: str, member: object) -> Doc:
    item = literal(member)
    lead = f"{quoted(name)}: "
    return (
        lead + item
        if isinstance(item, str)
        else Group(lead + item.open, item.items, item.close, item.is_hugged)
    )


def quoted(text: str) -> str:
    """A string literal in the quotes that need fewer escapes; double quotes by default."""
    mark = "'" if text.count('"') > text.count("'") else '"'
    inside = "".join(_escaped(char, mark) for char in text)
    return f"{mark}{inside}{mark}"


def _escaped(char: str, mark: str) -> str:
    if char in (mark, "\\"):
        return f"\\{char}"
    return char if char.isprintable() else repr(char)[1:-1]


def flat(doc: Doc) -> str:
    """The document on one line."""
    return doc if isinstance(doc, str) else f"{doc.open}{', '.join(map(flat, doc.items))}{doc.close}"


def fits(line: str) -> bool:
    """Whether a line is short enough. Wide characters count as two columns, as in formatters."""
    if line.isascii():
        return len(line) <= WIDTH
    return sum(_columns(char) for char in line) <= WIDTH


def _columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def lines_of(lead: str, doc: Doc, end: str = "", indent: int = 0) -> list[str]:
    """A statement, or a part of one.

    Args:
        lead: the text before it, including the indentation.
        end: the text after it.
        indent: the indentation of the statement in spaces.
    """
    single_line = f"{lead}{flat(doc)}{end}"
    if isinstance(doc, str) or not doc.items or fits(single_line):
        return [single_line]
    inner = " " * (indent + INDENT)
    shared = f"{inner}{', '.join(map(flat, doc.items))}"
    if doc.is_hugged and not (doc.is_definition and len(doc.items) == 1) and fits(shared):
        return [lead + doc.open, shared, f"{' ' * indent}{doc.close}{end}"]
    members = [line for item in doc.items for line in lines_of(inner, item, ",", indent + INDENT)]
    return [lead + doc.open, *members, f"{' ' * indent}{doc.close}{end}"]


def assignment(name: str, value: Doc, annotation: str | None = None, indent: int = INDENT) -> list[str]:
    """``name = value``, or ``name: annotation = value``."""
    lead = f"{' ' * indent}{name}{'' if annotation is None else f': {annotation}'} = "
    first_line = lead + (value if isinstance(value, str) else value.open)
    if fits(lead + flat(value)) or (not isinstance(value, str) and value.items and fits(first_line)):
        return lines_of(lead, value, indent=indent)
    inner = " " * (indent + INDENT)
    if isinstance(value, Group) and value.open.endswith("]("):
        outside, inside = value.open[:-2].split("[", 1)
        closing_line = f"{' ' * indent}]({', '.join(map(flat, value.items))}{value.close}"
        return [f"{lead}{outside}[", f"{inner}{inside}", closing_line]
    wrapped = lines_of(inner, value, indent=indent + INDENT)
    is_breakable = annotation is not None and annotation.endswith((" | None", "]"))
    if fits(f"{lead}(") and (is_breakable or all(map(fits, wrapped))):
        return [f"{lead}(", *wrapped, f"{' ' * indent})"]
    if annotation is not None and annotation.endswith(" | None"):
        start = [f"{' ' * indent}{name}: (", f"{inner}{annotation}"]
        return [*start, *lines_of(f"{' ' * indent}) = ", value, indent=indent)]
    if annotation is not None and annotation.endswith("]"):
        outside, inside = annotation[:-1].split("[", 1)
        start = [f"{' ' * indent}{name}: {outside}[", f"{inner}{inside}"]
        return [*start, *lines_of(f"{' ' * indent}] = ", value, indent=indent)]
    return lines_of(lead, value, indent=indent)


def imported(module: str, names: Sequence[str], indent: int = 0) -> list[str]:
    """``from module import names``."""
    names = sorted(names, key=import_order)
    single_line = f"{' ' * indent}from {module} import {', '.join(names)}"
    if fits(single_line):
        return [single_line]
    inner = " " * (indent + INDENT)
    return [
        f"{' ' * indent}from {module} import (",
        *(f"{inner}{name}," for name in names),
        f"{' ' * indent})",
    ]


def import_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then everything else."""
    bare = name.split(" ", 1)[0]
    return (0 if bare.isupper() else 1 if bare[:1].isupper() else 2), name
