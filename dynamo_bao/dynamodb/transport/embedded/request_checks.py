"""Checks of requests that DynamoDB makes before it looks at a table.

The types of members are those of the service model, which is compiled once for each operation. The constraints that
DynamoDB reports together, as "2 validation errors detected", are the table `CONSTRAINTS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from dynamo_bao.dynamodb.transport.embedded.errors import RequestError, ServiceError, invalid, unreadable
from dynamo_bao.dynamodb.transport.embedded.values import canonical, not_text, token_of, with_key_name

Read = Callable[[Any], Any]
_PACKAGE: Final = "com.amazonaws.dynamodb.v20120810."
_NOT_STRUCTURE: Final = "Start of structure or map found where not expected"
_START_KEY: Final = "The provided starting key is invalid: "
_NO_CLASS: Final = (
    "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class "
    "(sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base of "
    "loader 'bootstrap')"
)


@cache
def reader_of(operation: str) -> Read | None:
    """Reads the JSON of an operation's request: checks the types of its members, and makes its values canonical.

    Args:
        operation: the API operation.

    Returns:
        The function, or None for an operation that does not exist.
    """
    # Imported here: only programs that embed moto need it.
    from moto.core.utils import get_service_model

    service: Any = get_service_model("dynamodb")
    if operation not in service.operation_names:
        return None
    return _Readers().structure(service.operation_model(operation).input_shape)


class _Readers:
    """Compiles shapes of the service model; a shape may contain itself."""

    def __init__(self) -> None:
        self._readers: dict[str, Read] = {}

    def of(self, shape: Any) -> Read:
        """Reads a value of a shape."""
        if shape.name == "AttributeValue":
            return canonical
        if shape.type_name in _SCALARS:
            return _SCALARS[shape.type_name]
        if shape.name not in self._readers:
            self._readers[shape.name] = lambda value: self._readers[shape.name](value)
            self._readers[shape.name] = getattr(self, shape.type_name)(shape)
        return self._readers[shape.name]

    def structure(self, shape: Any) -> Read:
        """Reads a structure. Members that the model does not know, or without a value, are left out."""
        readers = {name: self.of(member) for name, member in shape.members.items()}
        special = {"ExpressionAttributeValues": _expression_values, "ExclusiveStartKey": _start_key}
        readers |= {name: read for name, read in special.items() if name in readers}

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                if type(value) is list:
                    raise unreadable(f"Unrecognized collection type class {_PACKAGE}{shape.name}")
                raise unreadable("Unexpected field type")
            return {
                name: readers[name](member)
                for name, member in value.items()
                if member is not None and name in readers
            }

        return read

    def map(self, shape: Any) -> Read:
        """Reads a map."""
        read_value, java_type = self._member(shape.value), _java_type(shape.value)

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                if type(value) is list:
                    raise unreadable(
                        f"Unrecognized collection type java.util.Map<java.lang.String, {java_type}>"
                    )
                raise unreadable("Unexpected field type")
            return {name: read_value(member) for name, member in value.items()}

        return read

    def list(self, shape: Any) -> Read:
        """Reads a list."""
        read_member = self._member(shape.member)

        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                raise unreadable(_NOT_STRUCTURE if type(value) is dict else "Unexpected field type")
            return [read_member(member) for member in value]

        return read

    def _member(self, shape: Any) -> Read:
        """Reads a member of a list or a map, of which DynamoDB reports a wrong type in another way."""
        read = self.of(shape)
        if shape.type_name not in ("structure", "map", "list") or read is canonical:
            return read
        kind = list if shape.type_name == "list" else dict

        def read_member(value: Any) -> Any:
            if type(value) is not kind:
                if shape.type_name != "structure":
                    raise unreadable(_NO_CLASS)
                if type(value) is not list:
                    raise unreadable("Unexpected value type in payload")
            return read(value)

        return read_member


def _java_type(shape: Any) -> str:
    if shape.type_name == "list":
        return f"java.util.List<{_java_type(shape.member)}>"
    return f"{_PACKAGE}{shape.name}" if shape.type_name == "structure" else "java.lang.String"


def _string(value: Any) -> Any:
    if type(value) is not str:
        raise unreadable(not_text(value))
    return value


def _whole(java_type: str) -> Read:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            if isinstance(value, list):
                raise unreadable(f"Unrecognized collection type class java.lang.{java_type}")
            if isinstance(value, dict):
                raise unreadable(_NOT_STRUCTURE)
            raise unreadable(f"{token_of(value)} cannot be converted to {java_type}")
        return int(value)

    return read


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        if isinstance(value, list):
            raise unreadable("Unrecognized collection type class java.lang.Boolean")
        if isinstance(value, dict):
            raise unreadable(_NOT_STRUCTURE)
        if isinstance(value, str):
            raise unreadable("Unexpected token received from parser")
        raise unreadable(f"{token_of(value)} cannot be converted to Boolean")
    return value


def _as_it_is(value: Any) -> Any:
    return value


_SCALARS: Final[dict[str, Read]] = {
    "string": _string,
    "integer": _whole("Integer"),
    "long": _whole("Long"),
    "boolean": _boolean,
    "timestamp": _as_it_is,
    "double": _as_it_is,
    "blob": _as_it_is,
}


def _values(value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) is not dict:
        if type(value) is list:
            raise unreadable(
                f"Unrecognized collection type java.util.Map<java.lang.String, {_PACKAGE}AttributeValue>"
            )
        raise unreadable("Unexpected field type")
    yield from value.items()


def _expression_values(value: Any) -> dict[str, Any]:
    values = {}
    for name, member in _values(value):
        try:
            values[name] = canonical(member)
        except RequestError:
            raise
        except ServiceError as error:
            if error.name != "ValidationException":
                raise
            raise invalid(with_key_name(error.text, name)) from None
    return values


def _start_key(value: Any) -> dict[str, Any]:
    key = {}
    for name, member in _values(value):
        try:
            key[name] = canonical(member)
        except ServiceError as error:
            if error.name != "ValidationException" or not str(error.text).startswith(("Supplied", "One")):
                raise
            raise invalid(f"{_START_KEY}{error.text}") from None
    return key


# --- constraints --------------------------------------------------------------------------------------------

Constraint = Callable[[Mapping[str, Any]], Iterable[str]]
"""Yields the faults of a request, without the count of them."""
NAME_PATTERN: Final = "[a-zA-Z0-9_.-]+"
_NAME: Final = re.compile(NAME_PATTERN)
_FAILED: Final = "failed to satisfy constraint: Member must"
NOT_NULL: Final = f"{_FAILED} not be null"
CAPACITY_MODES: Final = ("INDEXES", "TOTAL", "NONE")
_RETURN_VALUES: Final = ("ALL_NEW", "UPDATED_OLD", "ALL_OLD", "NONE", "UPDATED_NEW")
_OPERATORS: Final = (
    *("IN", "NULL", "BETWEEN", "LT", "NOT_CONTAINS", "EQ", "GT", "NOT_NULL", "NE", "LE", "BEGINS_WITH", "GE"),
    "CONTAINS",
)
_SELECT: Final = ("SPECIFIC_ATTRIBUTES", "COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES")


def at(member: str) -> str:
    """A member as DynamoDB's errors name it.

    >>> at("TableName")
    'tableName'
    """
    return member[0].lower() + member[1:]


def name_faults(name: str, place: str, shortest: int) -> Iterator[str]:
    """The faults of the name of a table or of an index."""
    if (name or shortest > 1) and not _NAME.fullmatch(name):
        yield f"Value '{name}' at '{place}' {_FAILED} satisfy regular expression pattern: {NAME_PATTERN}"
    if len(name) < shortest:
        yield f"Value '{name}' at '{place}' {_FAILED} have length greater than or equal to {shortest}"
    if len(name) > 255:
        yield f"Value '{name}' at '{place}' {_FAILED} have length less than or equal to 255"


def _table_name(request: Mapping[str, Any]) -> Iterator[str]:
    name = request.get("TableName")
    if name is None:
        yield f"Value null at 'tableName' {NOT_NULL}"
    elif not name.startswith("arn:"):
        yield from name_faults(name, "tableName", 1)


def _required(member: str) -> Constraint:
    def faults(request: Mapping[str, Any]) -> Iterator[str]:
        if member not in request:
            yield f"Value null at '{at(member)}' {NOT_NULL}"

    return faults


def one_of(member: str, words: tuple[str, ...]) -> Constraint:
    """The constraint of a member with a few possible values."""

    def faults(request: Mapping[str, Any]) -> Iterator[str]:
        word = request.get(member)
        if word is not None and word not in words:
            yield f"Value '{word}' at '{at(member)}' {_FAILED} satisfy enum value set: [{', '.join(words)}]"

    return faults


def at_least(member: str, smallest: int) -> Constraint:
    """The constraint of a number."""

    def faults(request: Mapping[str, Any]) -> Iterator[str]:
        number = request.get(member)
        if number is not None and number < smallest:
            yield f"Value '{number}' at '{at(member)}' {_FAILED} have value greater than or equal to {smallest}"

    return faults


def _at_most(member: str, largest: int) -> Constraint:
    def faults(request: Mapping[str, Any]) -> Iterator[str]:
        number = request.get(member)
        if number is not None and number > largest:
            yield f"Value '{number}' at '{at(member)}' {_FAILED} have value less than or equal to {largest}"

    return faults


def _not_empty(member: str) -> Constraint:
    def faults(request: Mapping[str, Any]) -> Iterator[str]:
        if request.get(member) in ([], {}):
            value = "[]" if request[member] == [] else "{}"
            yield f"Value '{value}' at '{at(member)}' {_FAILED} have length greater than or equal to 1"

    return faults


def _limit_of_query(request: Mapping[str, Any]) -> Iterator[str]:
    if request.get("Limit", 1) < 1:
        yield f"Value at 'Limit' {_FAILED} have value greater than or equal to 1"


def _start_table(request: Mapping[str, Any]) -> Iterator[str]:
    name = request.get("ExclusiveStartTableName")
    if name is not None:
        yield from name_faults(name, "exclusiveStartTableName", 3)


def _token(request: Mapping[str, Any]) -> Iterator[str]:
    token = request.get("ClientRequestToken", "")
    if len(token) > 36:
        yield f"Value '{token}' at 'clientRequestToken' {_FAILED} have length less than or equal to 36"


def _at_most_100(member: str) -> Constraint:
    def faults(request: Mapping[str, Any]) -> Iterator[str]:
        if len(request.get(member, ())) > 100:
            yield f"Value '{request[member]}' at '{at(member)}' {_FAILED} have length less than or equal to 100"

    return faults


def tag_faults(request: Mapping[str, Any]) -> Iterator[str]:
    """The faults of ``Tags`` without a key or a value."""
    for number, tag in enumerate(request.get("Tags", ()), 1):
        for member in ("Key", "Value"):
            if member not in tag:
                yield f"Value null at 'tags.{number}.member.{at(member)}' {NOT_NULL}"


def _operators(member: str) -> Constraint:
    def faults(request: Mapping[str, Any]) -> Iterator[str]:
        for name, condition in request.get(member, {}).items():
            place = f"{at(member)}.{name}.member.comparisonOperator"
            operator = condition.get("ComparisonOperator")
            if operator is None and member != "Expected":
                yield f"Value null at '{place}' {NOT_NULL}"
            elif operator is not None and operator not in _OPERATORS:
                yield f"Value '{operator}' at '{place}' {_FAILED} satisfy enum value set: [{', '.join(_OPERATORS)}]"

    return faults


_capacity: Final = one_of("ReturnConsumedCapacity", CAPACITY_MODES)
_metrics: Final = one_of("ReturnItemCollectionMetrics", ("SIZE", "NONE"))
_returned: Final = one_of("ReturnValues", _RETURN_VALUES)
_select: Final = one_of("Select", _SELECT)
_joiner: Final = one_of("ConditionalOperator", ("OR", "AND"))
_expected: Final = _operators("Expected")
CONSTRAINTS: Final[dict[str, tuple[tuple[Constraint, ...], ...]]] = {
    "GetItem": ((_required("Key"), _table_name, _capacity, _not_empty("AttributesToGet")),),
    "PutItem": ((_table_name,), (_required("Item"), _returned, _capacity, _metrics, _joiner, _expected)),
    "UpdateItem": ((_table_name,), (_required("Key"), _returned, _capacity, _metrics, _joiner, _expected)),
    "DeleteItem": ((_table_name, _required("Key"), _capacity, _returned, _metrics, _joiner, _expected),),
    "Query": (
        (
            _table_name,
            _capacity,
            _select,
            _limit_of_query,
            _joiner,
            _operators("QueryFilter"),
            _operators("KeyConditions"),
        ),
    ),
    "Scan": (
        (
            _table_name,
            _capacity,
            _select,
            at_least("Limit", 1),
            at_least("Segment", 0),
            _joiner,
            _operators("ScanFilter"),
        ),
    ),
    "BatchGetItem": ((_required("RequestItems"), _capacity),),
    "BatchWriteItem": ((_required("RequestItems"), _capacity, _metrics),),
    "TransactGetItems": (
        (_required("TransactItems"), _not_empty("TransactItems"), _at_most_100("TransactItems"), _capacity),
    ),
    "TransactWriteItems": (
        (_token,),
        (
            _required("TransactItems"),
            _not_empty("TransactItems"),
            _at_most_100("TransactItems"),
            _capacity,
            _metrics,
        ),
    ),
    "TagResource": ((tag_faults,),),
    "ExecuteStatement": ((_required("Statement"),),),
    "BatchExecuteStatement": ((_required("Statements"), _not_empty("Statements")),),
    "ExecuteTransaction": ((_required("TransactStatements"), _not_empty("TransactStatements")),),
    "ListTables": ((_start_table, at_least("Limit", 1), _at_most("Limit", 100)),),
}
"""The constraints of each operation. DynamoDB reports the faults of a group together, and those of the first group
with faults only."""


def require_constraints(operation: str, request: Mapping[str, Any]) -> None:
    """Refuses a request that breaks constraints of its operation.

    >>> require_constraints("Query", {"TableName": "pages", "Limit": 0})
    Traceback (most recent call last):
    dynamo_bao.dynamodb.transport.embedded.errors.ServiceError: 1 validation error detected: Value at 'Limit' failed \
to satisfy constraint: Member must have value greater than or equal to 1
    """
    for constraints in CONSTRAINTS.get(operation, ()):
        require_no_faults(fault for constraint in constraints for fault in constraint(request))


def require_no_faults(faults: Iterable[str]) -> None:
    """Raises the error of all faults together, of ten at most."""
    all_faults = list(faults)[:10]
    if all_faults:
        plural = "" if len(all_faults) == 1 else "s"
        raise invalid(f"{len(all_faults)} validation error{plural} detected: {'; '.join(all_faults)}")
