"""Directives that show parts of the reference from the code: `bao-fields`, `bao-commands` and `bao-error-tree`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

import click
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

import dynamo_bao
from dynamo_bao import Field, errors
from dynamo_bao.cli.main import COMMANDS, Commands

COMMON = {"self", "required", "default", "attribute", "doc", "read_only", "options"}
STORED = {
    "EnumField": "S or N, by its values",
    "JsonField": "S, one JSON text",
    "SetField": "SS, NS, BS or L",
    "DateTimeField": "N, milliseconds since 1970",
    "CreateDateField": "N, milliseconds since 1970",
    "ModifiedDateField": "N, milliseconds since 1970",
    "TtlField": "N, seconds since 1970",
}
"""The stored form of the kinds of which the type code does not say enough."""
KEY_TEXTS = {
    "IntegerField": "20 digits, in order",
    "CounterField": "20 digits, in order",
    "EnumField": "the text, or 20 digits",
    "FloatField": "exact, in order",
    "DecimalField": "exact, in order",
    "BooleanField": "`1` or `0`",
    "DateTimeField": "the milliseconds, in order",
    "CreateDateField": "the milliseconds, in order",
    "ModifiedDateField": "the milliseconds, in order",
    "TtlField": "the seconds, in order",
    "DateField": "the stored text, in order",
    "TimeField": "the stored text, in order",
    "DurationField": "the stored text, in order",
}
"""The key text of the kinds for which it is not the value itself."""


def field_kinds() -> list[type[Field]]:
    """The public field classes, in the order of their names."""
    kinds = [getattr(dynamo_bao, name) for name in dynamo_bao.__all__]
    return [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, Field) and kind is not Field]


def python_type(kind: type[Any]) -> str:
    """The classes of a kind's values."""
    return ", ".join(f"`{one.__name__}`" for one in kind.python_types if one is not object) or "any"


def own_options(kind: type[Any]) -> str:
    """The options that only some kinds have."""
    names = [name for name in inspect.signature(kind.__init__).parameters if name not in COMMON]
    return ", ".join(f"`{name}`" for name in names)


def field_table() -> Iterator[str]:
    """The table of all kinds of fields."""
    yield "| field | Python | stored as | as a key | options |"
    yield "|---|---|---|---|---|"
    for kind in field_kinds():
        name = kind.__name__
        stored = STORED.get(name) or kind.code
        key = KEY_TEXTS.get(name, "the text") if kind.can_be_key else "no"
        cells = [f"`{name}`", python_type(kind), stored, key, own_options(kind)]
        yield f"| {' | '.join(map(str, cells))} |"


def command_pages() -> Iterator[str]:
    """Every command with its arguments and options, as ``--help`` has them."""
    group = Commands("bao")
    for name in COMMANDS:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        context = click.Context(command, info_name=f"bao {name}")
        yield f"## bao {name}"
        yield ""
        help_text = inspect.cleandoc(command.help or "").replace("\b", "")
        yield from re.sub(r"(?<![\w-])--[a-z-]+", r"`\g<0>`", help_text).splitlines()
        yield ""
        usage = " ".join(command.collect_usage_pieces(context))
        yield from ("```text", f"bao {name} {usage}", "```", "")
        options = [one.get_help_record(context) for one in command.get_params(context)]
        rows = [record for record in options if record is not None]
        if rows:
            yield from ("| option | |", "|---|---|")
            yield from (f"| `{cell(option)}` | {cell(text)} |" for option, text in rows)
            yield ""


def cell(text: str) -> str:
    """A text as the cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def error_classes() -> list[type[Any]]:
    """The public errors and warnings, each after its base."""
    classes = [getattr(dynamo_bao, name) for name in dynamo_bao.__all__]
    public = [one for one in classes if inspect.isclass(one) and issubclass(one, Exception)]
    return sorted(public, key=lambda one: [base.__name__ for base in reversed(one.__mro__)])


def error_sections() -> Iterator[str]:
    """The tree of errors, as its module draws it. On a small screen it scrolls, because wrapped lines are no tree."""
    drawing = inspect.cleandoc(errors.__doc__ or "").split("::\n\n")[1].split("\n\nSome errors")[0]
    yield from ("```none", *inspect.cleandoc(drawing).splitlines(), "```")


class Generated(SphinxDirective):
    """A directive whose content is Markdown that comes from the code."""

    def lines(self) -> Iterable[str]:
        """The Markdown."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        container = nodes.section()
        container.document = self.state.document
        nested_parse_with_titles(self.state, StringList(list(self.lines()), "dynamo_bao"), container)
        return list(container.children)


class Fields(Generated):
    lines = staticmethod(field_table)


class CommandLine(Generated):
    lines = staticmethod(command_pages)


class Errors(Generated):
    lines = staticmethod(error_sections)


RECEIVED = {
    "BoundConstraint",
    "BoundIndex",
    "Budget",
    "CommitFigures",
    "FieldPath",
    "Finding",
    "Generated",
    "Iteration",
    "JobProgress",
    "Outline",
    "QueryResult",
    "Repository",
    "Round",
    "SearchResult",
    "SentRequest",
    "Session",
    "Stats",
    "TableUpdate",
    "Throttling",
    "Trace",
    "Transaction",
}
"""The classes whose objects users receive, so that the arguments of their constructors are nothing to know."""

COMMA = "\ue000"
"""Stands for ", " in a field list, which would take the word before it as a type."""


LONGEST_WORD = 14
"""How many characters a name in a table may have before it can break."""


def prepare(app: Sphinx, what: str, name: str, item: object, options: object, lines: list[str]) -> None:
    """Changes what Napoleon or reStructuredText would misread in a docstring.

    These are the stars of ``**parts``, which would begin bold text; the first colon of an attribute's docstring, which
    would end its type; a heading of arguments with further words; and two attributes that share a description.
    """
    lines[:] = [re.sub(r"(?<![\w`*\\])\*\*(?=\w)", r"\\*\\*", line) for line in lines]
    lines[:] = [re.sub(r"^Args \(.+\):$", "Args:", line) for line in lines]
    if "Attributes:" in lines:
        start = lines.index("Attributes:")
        lines[start:] = [
            match[1].replace(", ", COMMA) + line[match.end() :]
            if (match := re.match(r"( {4}\w+(?:, \w+)+)(?=: )", line))
            else line
            for line in lines[start:]
        ]
    if what in ("attribute", "data", "property") and lines:
        lines[0] = lines[0].replace(": ", " – ")  # noqa: RUF001


def with_commas(app: Sphinx, document: nodes.document) -> None:
    """Writes the commas between attributes that share a description."""
    for text in list(document.findall(nodes.Text)):
        if COMMA in text:
            text.parent.replace(text, nodes.Text(text.replace(COMMA, ", ")))


def signature(
    app: Sphinx,
    what: str,
    name: str,
    item: object,
    options: object,
    arguments: str | None,
    returned: str | None,
) -> tuple[str, str | None] | None:
    """Leaves out a class's arguments if Python knows no names of them, or if users make no object of it."""
    has_no_names = arguments in ("(*args, **kwargs)", "(*args: Any, **kwargs: Any)")
    is_received = name.rpartition(".")[2] in RECEIVED
    return ("", None) if what in ("class", "exception") and (has_no_names or is_received) else None


def with_breaks(app: Sphinx, document: nodes.document) -> None:
    """Lets the long names in tables break after an underscore or a point, so that no column is cut."""
    for entry in document.findall(nodes.entry):
        for code in entry.findall(nodes.literal):
            parts = re.findall(r"[^_.]*[_.]+|[^_.]+", code.astext())
            if len(code.astext()) > LONGEST_WORD and len(parts) > 1:
                breaks = [nodes.raw("", "<wbr>", format="html") for _ in parts]
                pairs = zip(map(nodes.Text, parts), breaks, strict=True)
                code.children = []
                code.extend([node for pair in pairs for node in pair][:-1])


def setup(app: Sphinx) -> dict[str, Any]:
    """Adds the directives."""
    app.connect("autodoc-process-docstring", prepare, priority=400)
    app.connect("autodoc-process-signature", signature)
    app.connect("doctree-read", with_commas)
    app.connect("doctree-read", with_breaks)
    app.add_directive("bao-fields", Fields)
    app.add_directive("bao-commands", CommandLine)
    app.add_directive("bao-error-tree", Errors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
