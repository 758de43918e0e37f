"""One mapping of a model file. It checks its keys and reports errors with file, line and remedy."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from dynamo_bao.errors import ModelFileError, suggestion
from dynamo_bao.modelfiles.yaml_nodes import Node
from dynamo_bao.runtime.records import frozen

MAX_ERROR_LENGTH = 600
"""Characters of an error text. Names in it may be long and many."""


@frozen
class Section:
    """One mapping of a file.

    Attributes:
        file: the file.
        label: the path of the mapping, such as ``User.fields.email``.
        node: the mapping.
        model: the name of its model.
    """

    file: str
    label: str
    node: Node
    model: str | None = None

    @classmethod
    def of(cls, file: str, label: str, node: Node, example: str, model: str | None = None) -> Section:
        """The section of a node.

        Args:
            example: an example of such a mapping, for the error.

        Raises:
            ModelFileError: if the node is not a mapping.
        """
        if not isinstance(node.value, dict):
            description = "empty" if node.value is None else type_name(node.value)
            raise ModelFileError(
                f"{label} is {description}; write {example}.", file=file, line=node.line, model=model
            )
        return cls(file, label, node, model)

    def __contains__(self, key: str) -> bool:
        return key in self.node.value

    def inner(self, key: str, example: str) -> Section:
        """The mapping of a key; an empty one if the key is missing or has no value."""
        node = self.node.value.get(key)
        if node is None or node.value is None:
            return Section(self.file, f"{self.label}.{key}", Node({}, self.node.line), self.model)
        return Section.of(self.file, f"{self.label}.{key}", node, example, self.model)

    def entries(self) -> dict[str, Node]:
        """The values by key."""
        entries: dict[str, Node] = self.node.value
        return entries

    def check_keys(self, allowed: Collection[str], label: str) -> None:
        """Raises ModelFileError for any key that is not among `allowed`.

        Args:
            label: the word for a key in the error: ``"key"`` or ``"option"``.
        """
        for key in self.entries():
            if key not in allowed:
                raise self.fault(f"has no {label} {key!r}.{suggestion(key, allowed)}", key)

    def required(self, key: str, example: str) -> Node:
        """The value of a required key."""
        if key not in self:
            raise self.fault(f"has no {key}; add {example}.")
        return self.entries()[key]

    def checked(self, key: str, check: Callable[[Any], bool], expected: str, default: object = None) -> Any:
        """The plain value of a key, or `default` if it is missing.

        Args:
            check: returns whether the value is valid.
            expected: the valid values, in words.
        """
        if key not in self:
            return default
        value = self.entries()[key].plain()
        if not check(value):
            raise self.fault(f"has {key}: {type_name(value)}; give {expected}.", key)
        return value

    def text(self, key: str, example: str) -> str:
        """The string value of a required key."""
        value = self.required(key, example).value
        if not isinstance(value, str):
            remedy = (
                f'put it in quotes, {key}: "{value}"'
                if isinstance(value, (bool, int, float))
                else f"write {example}"
            )
            raise self.fault(f"has {key}: {type_name(value)}, which is not a string; {remedy}.", key)
        return value

    def fault(self, why: str, key: str | None = None, field: str | None = None) -> ModelFileError:
        """The error about this mapping, or about one of its keys."""
        line = self.node.line if key is None or key not in self else self.entries()[key].line
        why = why if len(why) <= MAX_ERROR_LENGTH else f"{why[:MAX_ERROR_LENGTH]} …"
        return ModelFileError(f"{self.label} {why}", file=self.file, line=line, model=self.model, field=field)


def type_name(value: object) -> str:
    """A value for an error text: a short value as it is in the file, any other value by its type."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    return repr(value) if len(str(value)) <= 40 else "a long text"
