"""A safe subset of YAML, parsed into plain nodes with line numbers, in bounded time and memory.

The parser reads only YAML's events. It never reaches YAML's constructors, which create Python objects. It
rejects tags, anchors, aliases, merge keys, second documents and duplicate keys. Size, number of values and depth
are limited. Plain scalars follow YAML 1.2's core schema, as in JavaScript: ``no`` and ``2024-05-01`` are strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Protocol

from dynamo_bao.errors import ConfigurationError, ModelFileError
from dynamo_bao.runtime.records import define, frozen

MAX_BYTES: Final = 1 << 20
MAX_BYTES_WITHOUT_LIBYAML: Final = 1 << 17
"""The limit without libyaml: PyYAML's own parser is twenty times as slow."""
MAX_NODES: Final = 30_000
MAX_DEPTH: Final = 32
MAX_NAME: Final = 200
MAX_DIGITS: Final = 60

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@frozen
class Node:
    """A value of a file.

    Attributes:
        value: None, a `bool`, `int`, `float` or `str`, a list of nodes, or a dict of nodes.
        line: its line; for the value of a key, the line of the key.
    """

    value: Any
    line: int

    def plain(self) -> object:
        """The value as built-in types, without nodes."""
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        if isinstance(self.value, dict):
            return {name: node.plain() for name, node in self.value.items()}
        return self.value


@define
class Budget:
    """The bytes and nodes that all files of one load may still use."""

    bytes: int = MAX_BYTES
    nodes: int = MAX_NODES


def yaml_module() -> Any:
    """PyYAML, imported when the first file is read."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ConfigurationError("Model files need PyYAML: pip install 'dynamo_bao[yaml]'.") from error
    return yaml


def has_libyaml() -> bool:
    """Whether PyYAML was built with libyaml, as its wheels are."""
    return bool(yaml_module().__with_libyaml__)


def parse(text: str, file: str, budget: Budget) -> Node:
    """The only document of a text; a node of None if the text is empty.

    Raises:
        ModelFileError: if the text is not valid YAML, or uses a part of YAML that model files do not allow.
    """
    yaml = yaml_module()
    unprintable = _UNPRINTABLE.search(text.removeprefix("\ufeff"))
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        raise ModelFileError(
            f"contains the control character {unprintable[0]!r}, which YAML does not allow; remove it.",
            file=file,
            line=line,
        )
    loader: Any = yaml.CSafeLoader if has_libyaml() else yaml.SafeLoader
    try:
        return _Composer(yaml.parse(text, Loader=loader), file, budget).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise ModelFileError(
            f"is not valid YAML: {problem}.", file=file, line=mark and mark.line + 1
        ) from error


class _Mark(Protocol):
    line: int


class _Event(Protocol):
    """What is used of an event of PyYAML. Only a scalar has the last two members."""

    start_mark: _Mark
    anchor: str | None
    tag: str | None
    implicit: tuple[bool, bool]
    value: str


class _Composer:
    """Builds nodes from events. It checks each event once, before it uses it."""

    def __init__(self, events: Iterator[_Event], file: str, budget: Budget) -> None:
        self._events = events
        self._file = file
        self._budget = budget
        self._yaml = yaml_module()

    def document(self) -> Node:
        next(self._events)  # the start of the stream
        start = next(self._events)
        if isinstance(start, self._yaml.StreamEndEvent):
            return Node(None, 1)
        node = self._node(next(self._events), 1)
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, self._yaml.StreamEndEvent):
            raise self._fault(
                "begins a second document; a model file has only one, so remove the '---'.", after
            )
        return node

    def _node(self, event: _Event, depth: int) -> Node:
        self._check(event, depth)
        line = event.start_mark.line + 1
        if isinstance(event, self._yaml.SequenceStartEvent):
            return Node(list(self._members(depth)), line)
        if isinstance(event, self._yaml.MappingStartEvent):
            return Node(self._mapping(depth), line)
        return Node(self._scalar(event), line)

    def _members(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), self._yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _mapping(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self._events), self._yaml.MappingEndEvent):
            name, line = self._key(event, depth), event.start_mark.line + 1
            if name in entries:
                raise self._fault(
                    f"the key {name!r} is here a second time; it is first in line {entries[name].line}.",
                    event,
                )
            entries[name] = Node(self._node(next(self._events), depth + 1).value, line)
        return entries

    def _key(self, event: _Event, depth: int) -> str:
        self._check(event, depth)
        if not isinstance(event, self._yaml.ScalarEvent):
            raise self._fault("a key must be a string, not a list or a mapping.", event)
        name = str(event.value)
        if event.implicit[0] and name == "<<":
            raise self._fault("'<<' merges another mapping; copy its lines here instead.", event)
        if len(name) > MAX_NAME:
            raise self._fault(f"a key is longer than {MAX_NAME} characters; shorten it.", event)
        return name

    def _check(self, event: _Event, depth: int) -> None:
        if isinstance(event, self._yaml.AliasEvent):
            raise self._fault(f"*{event.anchor} is an alias; write its value here instead.", event)
        if event.anchor is not None:
            raise self._fault(
                f"&{event.anchor} is an anchor; remove it, and write the values of its aliases.", event
            )
        if event.tag is not None:
            raise self._fault(f"the tag {event.tag!r} is not allowed; remove it.", event)
        if depth > MAX_DEPTH:
            raise self._fault(f"is nested deeper than {MAX_DEPTH} levels.", event)
        self._budget.nodes -= 1
        if self._budget.nodes < 0:
            raise self._fault(
                f"has more than the {MAX_NODES:,} values that model files may have together.", event
            )

    def _scalar(self, event: _Event) -> bool | int | float | str | None:
        text = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if len(text) > MAX_DIGITS:
            return text
        if _INTEGER.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if _FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text

    def _fault(self, why: str, event: _Event) -> ModelFileError:
        return ModelFileError(why, file=self._file, line=event.start_mark.line + 1)
