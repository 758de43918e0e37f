"""Fields as the beginnings of expressions: ``User.fields.age >= 25``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from dynamo_bao.dynamodb.expressions.paths import OperandError, PathLike, Steps, path_text
from dynamo_bao.errors import QueryError, suggestion
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.runtime.late_modules import LateModule
from dynamo_bao.runtime.records import frozen

if TYPE_CHECKING:
    from dynamo_bao.dynamodb.expressions import conditions, parser
else:  # only comparisons need it
    conditions = LateModule("dynamo_bao.dynamodb.expressions.conditions")
    parser = LateModule("dynamo_bao.dynamodb.expressions.parser")


class FieldPaths:
    """The fields of a model by name."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def __getattr__(self, name: str) -> FieldPath:
        if name.startswith("_"):  # no field; Python and its tools ask for such names
            raise AttributeError(name)
        if name not in self._schema.fields:
            hint = suggestion(name, self._schema.fields)
            raise QueryError(f"{self._schema.name} has no field {name!r}.{hint}", field=name)
        return FieldPath((name,))

    def __dir__(self) -> list[str]:
        return sorted(self._schema.fields)


@frozen(eq=False, order=False)
class FieldPath(PathLike):
    """A field, or a part of one. A comparison with a value gives a condition. `update` takes it as the name of a part.

    Example:
        >>> User.query_by_status("active", filter=User.fields.address["city"] == "Rome")
        >>> User.update("42", {User.fields.address["city"]: "Rome"})
    """

    steps: Steps

    def __getitem__(self, name: str | int) -> FieldPath:
        return FieldPath((*self.steps, name))

    @property
    def path(self) -> str | Steps:
        """The path in a condition: a name for a whole field, else the steps."""
        return str(self.steps[0]) if len(self.steps) == 1 else self.steps

    def __repr__(self) -> str:
        return f"<FieldPath {path_text(self.steps)}>"

    def __eq__(self, value: object) -> conditions.Condition:  # type: ignore[override]
        return self._is("$eq", value)

    def __ne__(self, value: object) -> conditions.Condition:  # type: ignore[override]
        return self._is("$ne", value)

    def __lt__(self, value: object) -> conditions.Condition:
        return self._is("$lt", value)

    def __le__(self, value: object) -> conditions.Condition:
        return self._is("$lte", value)

    def __gt__(self, value: object) -> conditions.Condition:
        return self._is("$gt", value)

    def __ge__(self, value: object) -> conditions.Condition:
        return self._is("$gte", value)

    def __hash__(self) -> int:
        return object.__hash__(self)  # by object: the result of == is a condition, not a bool

    def between(self, low: object, high: object) -> conditions.Condition:
        """``low <= field <= high``."""
        return self._is("$between", [low, high])

    def is_in(self, values: Any) -> conditions.Condition:
        """The field equals one of up to 100 values."""
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise OperandError(
                f"{self.path!r}.is_in() takes several values, not {type(values).__name__}.", self.path
            )
        return self._is("$in", list(values))

    def begins_with(self, text: object) -> conditions.Condition:
        """The field's text begins with `text`."""
        return self._is("$begins_with", text)

    def contains(self, value: object) -> conditions.Condition:
        """The field's text contains `value`, or its set or list has it as a member."""
        return self._is("$contains", value)

    def not_contains(self, value: object) -> conditions.Condition:
        """The field's text does not contain `value`, or its set or list does not have it as a member."""
        return self._is("$not_contains", value)

    def has_type(self, code: str) -> conditions.Condition:
        """The stored value is of one of DynamoDB's types: ``"S"``, ``"N"``, ``"M"`` and so on."""
        return self._is("$type", code)

    def exists(self) -> conditions.Condition:
        """The field has a stored value."""
        return self._is("$exists", True)

    def size(self, operand: object = None) -> Any:
        """The field's size, for a comparison: ``User.fields.tags.size() > 3``.

        Args:
            operand: the whole condition, as in a dict: a number, or ``{"$gt": 3}``. Do not pass a value that
                comes from outside the program.

        Returns:
            A `SizePath`; with `operand` a condition.
        """
        return SizePath(self.path) if operand is None else self._is("$size", operand)

    def _is(self, operator: str, operand: object) -> conditions.Condition:
        return parser.operation(self.path, operator, operand)


@frozen(eq=False, order=False)
class SizePath:
    """The size of a field, in characters, bytes or members. A comparison with a number gives a condition."""

    path: str | Steps

    def __eq__(self, number: object) -> conditions.Condition:  # type: ignore[override]
        return parser.size_compared(self.path, "$eq", number)

    def __ne__(self, number: object) -> conditions.Condition:  # type: ignore[override]
        return parser.size_compared(self.path, "$ne", number)

    def __lt__(self, number: object) -> conditions.Condition:
        return parser.size_compared(self.path, "$lt", number)

    def __le__(self, number: object) -> conditions.Condition:
        return parser.size_compared(self.path, "$lte", number)

    def __gt__(self, number: object) -> conditions.Condition:
        return parser.size_compared(self.path, "$gt", number)

    def __ge__(self, number: object) -> conditions.Condition:
        return parser.size_compared(self.path, "$gte", number)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]
