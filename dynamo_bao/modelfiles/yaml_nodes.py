"""YAML as plain nodes that know their lines; nothing else of YAML, in bounded time and memory.

Only YAML's events are read: its constructors, which make Python objects, are never reached. There are no
tags, no anchors, no aliases, no merge keys and no second document; a key stands once in its mapping; size,
number of values and depth are bounded. Plain scalars mean what YAML 1.2's core schema says, as in JavaScript:
``no`` and ``2024-05-01`` are texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from attrs import define, frozen

from dynamo_bao.errors import ConfigurationError, ModelFileError

MAX_BYTES: Final = 1 << 20
MAX_BYTES_WITHOUT_LIBYAML: Final = 1 << 17
"""PyYAML's own parser, which steps in where libyaml is missing, is twenty times as slow."""
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
        line: where it stands; for the value of a key, where the key does.
    """

    value: Any
    line: int

    def plain(self) -> Any:
        """The value with nodes inside it replaced by theirs."""
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        if isinstance(self.value, dict):
            return {name: node.plain() for name, node in self.value.items()}
        return self.value


@define
class Budget:
    """How much all the files of one reading may hold together."""

    bytes: int = MAX_BYTES
    nodes: int = MAX_NODES


def yaml_module() -> Any:
    """PyYAML, imported when a file is read."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ConfigurationError("Model files need PyYAML: pip install 'dynamo_bao[yaml]'.") from error
    return yaml


def has_libyaml() -> bool:
    """Whether PyYAML was built with libyaml, as its wheels are."""
    return bool(yaml_module().__with_libyaml__)


def parse(text: str, file: str, budget: Budget) -> Node:
    """The one document of a text; a node of None where it is empty.

    Raises:
        ModelFileError: for what is no YAML, or more of YAML than model files have.
    """
    yaml = yaml_module()
    unprintable = _UNPRINTABLE.search(text.removeprefix("\ufeff"))
    if unprintable:
        line = text.count("\n", 0, unprintable.start()) + 1
        raise ModelFileError(
            f"holds the control character {unprintable[0]!r}, which no YAML text has.", file=file, line=line
        )
    loader: Any = yaml.CSafeLoader if has_libyaml() else yaml.SafeLoader
    try:
        return _Composer(yaml.parse(text, Loader=loader), file, budget).document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        place = None if mark is None else mark.line + 1
        raise ModelFileError(f"is not valid YAML: {problem}.", file=file, line=place) from error


class _Composer:
    """Makes nodes of events; each event is looked at once, and refused before anything follows from it."""

    def __init__(self, events: Iterator[Any], file: str, budget: Budget) -> None:
        self._events = events
        self._file = file
        self._budget = budget
        self._yaml = yaml_module()

    def document(self) -> Node:
        next(self._events)  # the start of the stream
        first = next(self._events)
        if isinstance(first, self._yaml.StreamEndEvent):
            return Node(None, 1)
        node = self._node(next(self._events), 1)
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, self._yaml.StreamEndEvent):
            raise self._fault("begins a second document; a model file has one, remove the '---'.", after)
        return node

    def _node(self, event: Any, depth: int) -> Node:
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
        found: dict[str, Node] = {}
        while not isinstance(event := next(self._events), self._yaml.MappingEndEvent):
            name, line = self._key(event, depth), event.start_mark.line + 1
            if name in found:
                raise self._fault(
                    f"{name!r} stands here a second time, first in line {found[name].line}.", event
                )
            found[name] = Node(self._node(next(self._events), depth + 1).value, line)
        return found

    def _key(self, event: Any, depth: int) -> str:
        self._check(event, depth)
        if not isinstance(event, self._yaml.ScalarEvent):
            raise self._fault("a key is a text, not a list or a mapping.", event)
        name = str(event.value)
        if event.implicit[0] and name == "<<":
            raise self._fault("'<<' merges another mapping in; write its lines out here.", event)
        if len(name) > MAX_NAME:
            raise self._fault(f"a key is longer than {MAX_NAME} characters.", event)
        return name

    def _check(self, event: Any, depth: int) -> None:
        if isinstance(event, self._yaml.AliasEvent):
            raise self._fault(f"*{event.anchor} is an alias; write out what it stands for.", event)
        if event.anchor is not None:
            raise self._fault(f"&{event.anchor} is an anchor; remove it, and write its aliases out.", event)
        if event.tag is not None:
            raise self._fault(f"the tag {event.tag!r} has no place here; remove it.", event)
        if depth > MAX_DEPTH:
            raise self._fault(f"is nested deeper than {MAX_DEPTH} levels.", event)
        self._budget.nodes -= 1
        if self._budget.nodes < 0:
            raise self._fault(
                f"is more than the {MAX_NODES:,} values that model files may have in all.", event
            )

    def _scalar(self, event: Any) -> Any:
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

    def _fault(self, why: str, event: Any) -> ModelFileError:
        return ModelFileError(why, file=self._file, line=event.start_mark.line + 1)
