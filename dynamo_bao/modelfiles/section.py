"""Mappings of a file, asked for their keys; what is wrong is told with file, line and mend."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from attrs import frozen

from dynamo_bao.errors import ModelFileError, suggestion
from dynamo_bao.modelfiles.yaml_nodes import Node

LONGEST = 600
"""How much of an error is told; names in it may be long, and many."""


@frozen
class Section:
    """One mapping of a file.

    Attributes:
        file: the file.
        what: what the mapping describes, ``User.fields.email``.
        node: the mapping.
        model: the model it belongs to.
    """

    file: str
    what: str
    node: Node
    model: str | None = None

    @classmethod
    def of(cls, file: str, what: str, node: Node, example: str, model: str | None = None) -> Section:
        """A node that has to be a mapping.

        Args:
            example: how such a mapping looks, for the error.
        """
        if not isinstance(node.value, dict):
            shown = "empty" if node.value is None else type_name(node.value)
            raise ModelFileError(
                f"{what} is {shown}; write {example}.", file=file, line=node.line, model=model
            )
        return cls(file, what, node, model)

    def __contains__(self, key: str) -> bool:
        return key in self.node.value

    def inner(self, key: str, example: str) -> Section:
        """The mapping of a key; an empty one where the key is missing or has no value."""
        node = self.node.value.get(key)
        if node is None or node.value is None:
            return Section(self.file, f"{self.what}.{key}", Node({}, self.node.line), self.model)
        return Section.of(self.file, f"{self.what}.{key}", node, example, self.model)

    def entries(self) -> dict[str, Node]:
        """The values by key."""
        found: dict[str, Node] = self.node.value
        return found

    def know(self, known: Collection[str], what: str) -> None:
        """Refuses every key that is not known.

        Args:
            what: what a key is here: ``"key"``, ``"option"``.
        """
        for key in self.entries():
            if key not in known:
                raise self.fault(f"has no {what} {key!r}.{suggestion(key, known)}", key)

    def needed(self, key: str, example: str) -> Node:
        """The value of a key that has to be there."""
        if key not in self:
            raise self.fault(f"has no {key}; add {example}.")
        return self.entries()[key]

    def checked(self, key: str, check: Callable[[Any], bool], wanted: str, default: Any = None) -> Any:
        """The plain value of a key, or `default` where it is missing.

        Args:
            check: whether it will do.
            wanted: what would, in words.
        """
        if key not in self:
            return default
        value = self.entries()[key].plain()
        if not check(value):
            raise self.fault(f"has {key}: {type_name(value)}; give {wanted}.", key)
        return value

    def text(self, key: str, example: str) -> str:
        """The text of a key that has to be there."""
        value = self.needed(key, example).value
        if not isinstance(value, str):
            mend = (
                f'put it in quotes, {key}: "{value}"'
                if isinstance(value, (bool, int, float))
                else f"write {example}"
            )
            raise self.fault(f"has {key}: {type_name(value)}, which is no text; {mend}.", key)
        return value

    def fault(self, why: str, key: str | None = None, field: str | None = None) -> ModelFileError:
        """The error about this mapping, or about a key of it."""
        line = self.node.line if key is None or key not in self else self.entries()[key].line
        why = why if len(why) <= LONGEST else f"{why[:LONGEST]} …"
        return ModelFileError(f"{self.what} {why}", file=self.file, line=line, model=self.model, field=field)


def type_name(value: Any) -> str:
    """A value as an error shows it: short ones as the file has them, others by their kind."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    return repr(value) if len(str(value)) <= 40 else "a long text"
