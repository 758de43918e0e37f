"""Update expressions."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.errors import invalid
from dynamo_bao.dynamodb.transport.embedded.expressions.projections import first_overlap, project_path
from dynamo_bao.dynamodb.transport.embedded.expressions.scope import Scope, value_at
from dynamo_bao.dynamodb.transport.embedded.expressions.tokens import (
    CONDITION_FUNCTIONS,
    UPDATE_FUNCTIONS,
    ExpressionError,
    Path,
    Tokens,
    path_text,
)
from dynamo_bao.dynamodb.transport.embedded.values import SET_TYPES, Item, Value, total, type_of
from dynamo_bao.runtime.named_tuples import NamedTuple

Read = Callable[[Item], Value]
_CLAUSES: Final = frozenset(("SET", "REMOVE", "ADD", "DELETE"))
_BAD_PATH: Final = "The document path provided in the update expression is invalid for update"
_BAD_TYPE: Final = "An operand in the update expression has an incorrect data type"
_MISSING: Final = "The provided expression refers to an attribute that does not exist in the item"
_WORDS: Final = {"S": "STRING", "N": "NUMBER", "B": "BINARY", "BOOL": "BOOLEAN", "L": "LIST", "M": "MAP"}
_OVERHEAD: Final = {"SET": 19, "ADD": 19, "REMOVE": 2, "DELETE": 2}
"""What DynamoDB adds, in bytes, for each action when it measures an update."""


class _Operand(NamedTuple):
    """A part of an assigned value: a path, a placeholder, a function or a sum."""

    kind: str
    path: Path = ()
    placeholder: str = ""
    parts: tuple[Any, ...] = ()

    def bind(self, scope: Scope) -> Read:
        return _BINDERS[self.kind](self, scope)


class _Action(NamedTuple):
    clause: str
    path: Path
    operand: _Operand | None


class Update(NamedTuple):
    """An update with the names and values of a request.

    Attributes:
        paths: the paths it changes.
        steps: the changes, in order; each has its clause, its path, and its value's source.
        overhead: what DynamoDB adds to the item's size, in bytes.
    """

    paths: list[Path]
    steps: list[tuple[str, Path, Read | None]]
    overhead: int

    def apply(self, item: Item) -> Item:
        """The changed item; the given one stays as it is. Every value is read from the item before the update."""
        new_item = dict(item)
        removals: list[Path] = []
        assignments: list[tuple[Path, Value]] = []
        for clause, path, read in self.steps:
            if read is None:
                removals.append(path)
            elif clause == "SET":
                assignments.append((path, read(item)))
            else:
                change = _added if clause == "ADD" else _deleted
                value = change(value_at(item, path), read(item))
                if value is None:
                    removals.append(path)
                else:
                    assignments.append((path, value))
        for path, value in sorted(assignments, key=_last_index):
            _assign(new_item, path, value)
        for path in sorted(removals, key=_last_index, reverse=True):
            _remove(new_item, path)
        return new_item

    def values_of(self, item: Item) -> Item:
        """What the changed paths hold in an item; an attribute whose list is changed as a whole."""
        values: Item = {}
        for path in self.paths:
            if any(type(part) is int for part in path):
                path = path[:1]
            project_path(item, path, values)
        return values


def _last_index(step: Any) -> int:
    """Lists are changed in the order of their indexes."""
    path = step[0] if type(step[0]) is tuple else step
    return path[-1] if type(path[-1]) is int else -1


# --- the grammar --------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def parsed_update(source: str) -> tuple[_Action, ...]:
    """The actions of an update expression."""
    tokens = Tokens(source, _CLAUSES)
    tokens.require_few_operators(("+", "-"))
    tokens.require_needed_parentheses()
    actions: list[_Action] = []
    clauses: set[str] = set()
    while not tokens.at_end:
        clause = tokens.take_if(*_CLAUSES)
        if clause is None:
            raise tokens.syntax_error()
        if clause.text in clauses:
            raise ExpressionError(
                f'The "{clause.text}" section can only be used once in an update expression;'
            )
        clauses.add(clause.text)
        actions.append(_action(tokens, clause.text))
        while tokens.take_if(","):
            actions.append(_action(tokens, clause.text))
    if not actions:
        raise tokens.syntax_error()
    return tuple(actions)


def _action(tokens: Tokens, clause: str) -> _Action:
    path = tokens.path()
    if clause == "REMOVE":
        return _Action(clause, path, None)
    if clause == "SET":
        tokens.expect("=")
        return _Action(clause, path, _value(tokens))
    if tokens.next.kind != "value":
        raise tokens.syntax_error()
    return _Action(clause, path, _Operand("value", placeholder=tokens.take().text))


def _value(tokens: Tokens) -> _Operand:
    first = _operand(tokens)
    symbol = tokens.take_if("+", "-")
    return first if symbol is None else _Operand(symbol.text, parts=(first, _operand(tokens)))


def _operand(tokens: Tokens) -> _Operand:
    if tokens.take_if("("):
        inner = _value(tokens)
        tokens.expect(")")
        return inner
    token = tokens.next
    if token.kind == "value":
        return _Operand("value", placeholder=tokens.take().text)
    if tokens.is_call:
        return _function(tokens)
    return _Operand("path", tokens.path())


def _function(tokens: Tokens) -> _Operand:
    name = tokens.take().text
    if name in CONDITION_FUNCTIONS:
        raise ExpressionError(f"The function is not allowed in an update expression; function: {name}")
    if name not in UPDATE_FUNCTIONS:
        raise ExpressionError(f"Invalid function name; function: {name}")
    tokens.expect("(")
    parts = [_operand(tokens)]
    while tokens.take_if(","):
        parts.append(_operand(tokens))
    tokens.expect(")")
    if len(parts) != 2:
        raise ExpressionError(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {name}, number of operands: {len(parts)}"
        )
    if name == "if_not_exists" and parts[0].kind != "path":
        raise ExpressionError(
            "Operator or function requires a document path; operator or function: if_not_exists"
        )
    return _Operand(name, parts=tuple(parts))


# --- with names and values ----------------------------------------------------------------------------------


def bound_update(actions: tuple[_Action, ...], scope: Scope) -> Update:
    """The update with the names and values of a request."""
    steps: list[tuple[str, Path, Read | None]] = []
    for clause, path, operand in actions:
        resolved_path = scope.path(path)
        read = None if operand is None else operand.bind(scope)
        if operand is not None and clause != "SET":
            _require_kind(clause, type_of(scope.value(operand.placeholder)))
        steps.append((clause, resolved_path, read))
    paths = [path for _, path, _ in steps]
    overlap = first_overlap(paths)
    if overlap is not None:
        longer, shorter = sorted(overlap, key=len, reverse=True)
        raise ExpressionError(
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            f"path one: {path_text(longer)}, path two: {path_text(shorter)}"
        )
    return Update(paths, steps, 3 + sum(_OVERHEAD[clause] for clause, _, _ in steps))


def _require_kind(clause: str, code: str) -> None:
    if code not in (SET_TYPES if clause == "DELETE" else ("N", *SET_TYPES)):
        raise ExpressionError(
            "Incorrect operand type for operator or function; "
            f"operator: {clause}, operand type: {_WORDS.get(code, code)}"
        )


def _require_operand(operand: _Operand, scope: Scope, name: str, code: str) -> None:
    """Refuses a value of the request whose type a function cannot take."""
    if operand.kind == "value":
        actual = type_of(scope.value(operand.placeholder))
        if actual != code:
            raise ExpressionError(
                "Incorrect operand type for operator or function; "
                f"operator or function: {name}, operand type: {_WORDS.get(actual, actual)}"
            )


def _path_reader(operand: _Operand, scope: Scope) -> Read:
    path = scope.path(operand.path)

    def read(item: Item) -> Value:
        value = value_at(item, path)
        if value is None:
            raise invalid(_MISSING)
        return value

    return read


def _value_reader(operand: _Operand, scope: Scope) -> Read:
    value = scope.value(operand.placeholder)
    return lambda item: value


def _sum_reader(operand: _Operand, scope: Scope) -> Read:
    first, second = (part.bind(scope) for part in operand.parts)
    for part in operand.parts:
        _require_operand(part, scope, operand.kind, "N")
    sign = 1 if operand.kind == "+" else -1

    def read(item: Item) -> Value:
        first_value, second_value = first(item), second(item)
        if "N" not in first_value or "N" not in second_value:
            raise invalid(_BAD_TYPE)
        return {"N": total(first_value["N"], second_value["N"], sign)}

    return read


def _if_not_exists_reader(operand: _Operand, scope: Scope) -> Read:
    subject, default = operand.parts
    path, read_default = scope.path(subject.path), default.bind(scope)

    def read(item: Item) -> Value:
        value = value_at(item, path)
        return read_default(item) if value is None else value

    return read


def _list_append_reader(operand: _Operand, scope: Scope) -> Read:
    first, second = (part.bind(scope) for part in operand.parts)
    for part in operand.parts:
        _require_operand(part, scope, "list_append", "L")

    def read(item: Item) -> Value:
        first_value, second_value = first(item), second(item)
        if "L" not in first_value or "L" not in second_value:
            raise invalid(_BAD_TYPE)
        return {"L": first_value["L"] + second_value["L"]}

    return read


_BINDERS: Final[dict[str, Callable[[_Operand, Scope], Read]]] = {
    "path": _path_reader,
    "value": _value_reader,
    "+": _sum_reader,
    "-": _sum_reader,
    "if_not_exists": _if_not_exists_reader,
    "list_append": _list_append_reader,
}


# --- changes ------------------------------------------------------------------------------------------------


def _added(existing: Value | None, addend: Value) -> Value:
    code = type_of(addend)
    if existing is None:
        return addend
    if code not in existing:
        raise invalid(_BAD_TYPE)
    if code == "N":
        return {"N": total(existing["N"], addend["N"], 1)}
    if code == "L":
        return {"L": existing["L"] + addend["L"]}
    return {code: [*existing[code], *(member for member in addend[code] if member not in existing[code])]}


def _deleted(existing: Value | None, members: Value) -> Value | None:
    """A set without some members; None if nothing is left."""
    if existing is None:
        return None
    code = type_of(members)
    if code not in existing:
        raise invalid(_BAD_TYPE)
    rest = [member for member in existing[code] if member not in members[code]]
    return {code: rest} if rest else None


def added(existing: Value | None, addend: Value) -> Value:
    """A value with a number added to it, or with more members, for ``AttributeUpdates``."""
    return _added(existing, addend)


def without_members(existing: Value | None, members: Value) -> Value | None:
    """A set without some members, for ``AttributeUpdates``."""
    return _deleted(existing, members)


def _container(item: Item, path: Path) -> Any:
    """A copy of the map or list that holds the end of a path, inside copies of what is around it; None without one."""
    members: Any = item
    for part in path[:-1]:
        value = _member(members, part)
        if value is None:
            return None
        ((code, inner),) = value.items()
        if code not in ("M", "L"):
            return None
        inner = dict(inner) if code == "M" else list(inner)
        members[part] = {code: inner}
        members = inner
    return members if isinstance(members, dict if type(path[-1]) is str else list) else None


def _member(members: Any, part: str | int) -> Any:
    if isinstance(members, dict):
        return members.get(part) if type(part) is str else None
    return members[part] if type(part) is int and part < len(members) else None


def _assign(item: Item, path: Path, value: Value) -> None:
    container = _container(item, path)
    last_part: Any = path[-1]
    if container is None:
        raise invalid(_BAD_PATH)
    if isinstance(container, list) and type(last_part) is int and last_part >= len(container):
        container.append(value)
    else:
        container[last_part] = value


def _remove(item: Item, path: Path) -> None:
    container = _container(item, path)
    if isinstance(container, list):
        index: Any = path[-1]
        del container[index : index + 1]
    elif container is not None:
        container.pop(path[-1], None)
