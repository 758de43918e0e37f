"""Projection expressions: the part of an item that an answer has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from dynamo_bao.dynamodb.transport.embedded.expressions.scope import Scope, value_at
from dynamo_bao.dynamodb.transport.embedded.expressions.tokens import ExpressionError, Path, Tokens, path_text
from dynamo_bao.dynamodb.transport.embedded.values import Item, Value

Project = Callable[[Item], Item]


@lru_cache(maxsize=1024)
def parsed_projection(source: str) -> tuple[Path, ...]:
    """The paths of a projection expression, with placeholders."""
    tokens = Tokens(source)
    paths = [tokens.path()]
    while tokens.take_if(","):
        paths.append(tokens.path())
    if not tokens.at_end:
        raise tokens.syntax_error()
    return tuple(paths)


def bound_projection(paths: Iterable[Path], scope: Scope) -> Project:
    """Makes the projection with the names of a request."""
    resolved_paths = [scope.path(path) for path in paths]
    require_separate(resolved_paths)
    return projection(resolved_paths)


def require_separate(paths: list[Path]) -> None:
    """Refuses two paths of which one is inside the other."""
    overlap = first_overlap(paths)
    if overlap is not None:
        raise ExpressionError(
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            f"path one: {path_text(overlap[0])}, path two: {path_text(overlap[1])}"
        )


def first_overlap(paths: list[Path]) -> tuple[Path, Path] | None:
    """The first two paths of which one is inside the other."""
    if len({path[0] for path in paths}) == len(paths):
        return None
    for number, path in enumerate(paths):
        for other in paths[number + 1 :]:
            length = min(len(path), len(other))
            if path[:length] == other[:length]:
                return path, other
    return None


def projection(paths: list[Path]) -> Project:
    """The function that keeps these paths of an item."""
    if all(len(path) == 1 for path in paths):
        names: list[Any] = [path[0] for path in paths]
        return lambda item: {name: item[name] for name in names if name in item}
    tree: dict[str | int, Any] = {}
    for path in paths:
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {})
    return lambda item: _members(item, tree)


def _members(members: Item, tree: dict[Any, Any]) -> Item:
    values = ((name, _kept(members[name], branch)) for name, branch in tree.items() if name in members)
    return {name: value for name, value in values if value is not None}


def _kept(value: Value, tree: dict[Any, Any]) -> Value | None:
    """The part of a value that a projection keeps; None if it keeps nothing."""
    if not tree:
        return value
    if "M" in value:
        names = {part: branch for part, branch in tree.items() if type(part) is str}
        members = _members(value["M"], names)
        return {"M": members} if members else None
    if "L" in value:
        indexes = sorted(part for part in tree if type(part) is int and part < len(value["L"]))
        values = (_kept(value["L"][index], tree[index]) for index in indexes)
        parts = [part for part in values if part is not None]
        return {"L": parts} if parts else None
    return None


def project_path(item: Item, path: Path, target: Item) -> None:
    """Adds the value at a path of names to `target`, with the maps around it."""
    value = value_at(item, path)
    if value is None:
        return
    members: dict[Any, Any] = target
    for part in path[:-1]:
        members = members.setdefault(part, {"M": {}})["M"]
    members[path[-1]] = value
