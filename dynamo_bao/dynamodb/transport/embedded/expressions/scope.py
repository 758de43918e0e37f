"""The names and values of a request that its expressions refer to."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo_bao.dynamodb.transport.embedded.errors import invalid
from dynamo_bao.dynamodb.transport.embedded.expressions.tokens import ExpressionError, Path
from dynamo_bao.dynamodb.transport.embedded.values import Item, Value


class Scope:
    """Resolves the placeholders of one request's expressions, and remembers which of them are used.

    Args:
        names: the attributes' names by placeholder, as ``{"#n": "name"}``; None without any.
        values: the canonical values by placeholder; None without any.
    """

    __slots__ = ("_names", "_used_placeholders", "_values", "paths")

    def __init__(self, names: Mapping[str, str] | None, values: Mapping[str, Value] | None) -> None:
        self._names, self._values = names, values
        self._used_placeholders: set[str] = set()
        self.paths: list[Path] = []
        """The paths that the last condition reads."""

    def path(self, path: Path) -> Path:
        """A path with the attributes' names for their placeholders; it is remembered in `paths`."""
        path = self.with_names(path)
        self.paths.append(path)
        return path

    def with_names(self, path: Path) -> Path:
        """A path with the attributes' names for their placeholders."""
        if any(type(part) is str and part[0] == "#" for part in path):
            return tuple(self._name(part) if type(part) is str else part for part in path)
        return path

    def _name(self, name: str) -> str:
        if name[:1] != "#":
            return name
        self._used_placeholders.add(name)
        if self._names is None or name not in self._names:
            raise ExpressionError(
                "An expression attribute name used in the document path is not defined; "
                f"attribute name: {name}"
            )
        return self._names[name]

    def value(self, placeholder: str) -> Value:
        """The value of a placeholder."""
        self._used_placeholders.add(placeholder)
        if self._values is None or placeholder not in self._values:
            raise ExpressionError(
                "An expression attribute value used in expression is not defined; "
                f"attribute value: {placeholder}"
            )
        return self._values[placeholder]

    def require_all_used(self) -> None:
        """Refuses names and values that no expression uses."""
        for member, placeholders in (("Names", self._names), ("Values", self._values)):
            unused = sorted(name for name in placeholders or () if name not in self._used_placeholders)
            if unused:
                raise invalid(
                    f"Value provided in ExpressionAttribute{member} unused in expressions: "
                    f"keys: {{{', '.join(unused)}}}"
                )


def value_at(item: Item, path: Path) -> Value | None:
    """The value at a path, or None if the item has no value there.

    >>> value_at({"a": {"L": [{"S": "x"}]}}, ("a", 0))
    {'S': 'x'}
    """
    value = item.get(path[0])  # type: ignore[arg-type]  # the first part of a path is a name
    for part in path[1:]:
        if value is None:
            return None
        if type(part) is str:
            value = value["M"].get(part) if "M" in value else None
        else:
            members = value.get("L", ())
            value = members[part] if part < len(members) else None  # type: ignore[operator]
    return value
