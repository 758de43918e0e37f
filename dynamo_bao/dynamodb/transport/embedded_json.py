"""Reads and writes the bodies of requests and replies of the embedded engine like moto, but much faster.

moto walks through DynamoDB's service model for each value of each item, and looks for ten names of each member. Here
the model is compiled once for each operation, and values of attributes are used unchanged. moto handles all other
bodies.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple, Protocol, TypeVar

Convert = Callable[[Any], object]
T = TypeVar("T")
_PLAIN: Final = {"S": str, "N": str, "BOOL": bool, "NULL": bool}
_UNMODELLED: Final = frozenset({"ConsumedCapacityUnits"})
"""Members of moto's results that its replies leave out."""


class NotPlainError(Exception):
    """A body that only moto can read or write."""


class Shape(Protocol):
    """A shape of the service model: a structure, a map, a list or a scalar."""

    name: str
    type_name: str
    serialization: Mapping[str, object]


class _Structure(Shape, Protocol):
    members: Mapping[str, Shape]


class _Map(Shape, Protocol):
    value: Shape


class _List(Shape, Protocol):
    member: Shape


class Bodies(NamedTuple):
    """The conversions of the bodies of one operation.

    Attributes:
        arguments: converts the body of a request to the arguments of moto's handler.
        reply: converts the result of the handler to the body of a reply.
    """

    arguments: Callable[[bytes], object]
    reply: Callable[[object], bytes]


@cache
def bodies_of(operation: str) -> Bodies | None:
    """The conversions of an operation; None if moto must read and write its bodies.

    Args:
        operation: the operation of DynamoDB's API, such as ``"GetItem"``.
    """
    # Imported here: only programs that embed moto need them.
    import orjson
    from moto.core.utils import get_service_model

    def encoded(body: object) -> bytes:
        try:
            return orjson.dumps(body)
        except TypeError as error:  # a lone surrogate
            raise NotPlainError(str(error)) from error

    service: Any = get_service_model("dynamodb")
    if operation not in service.operation_names:
        return None
    model = service.operation_model(operation)
    if model.input_shape is None or model.output_shape is None:
        return None
    try:
        read_arguments, write_result = _Readers().of(model.input_shape), _Writers().of(model.output_shape)
    except NotPlainError:
        return None
    return Bodies(
        lambda body: read_arguments(orjson.loads(body)), lambda result: encoded(write_result(result))
    )


class _Shapes:
    """Compiles shapes of the service model to conversions; a shape may contain itself."""

    def __init__(self) -> None:
        self._converters: dict[str, Convert] = {}

    def of(self, shape: Shape) -> Convert:
        """The conversion of values of a shape."""
        if shape.name not in self._converters:
            self._converters[shape.name] = lambda value: self._converters[shape.name](value)
            compiled = getattr(self, f"_{shape.type_name}", None)
            if compiled is None:
                raise NotPlainError(shape.type_name)
            self._converters[shape.name] = compiled(shape)
        return self._converters[shape.name]

    def _members(self, shape: _Structure) -> dict[str, Convert]:
        members = {name: self.of(member) for name, member in shape.members.items()}
        if any(member.serialization for member in shape.members.values()):
            raise NotPlainError(shape.name)
        return members


class _Readers(_Shapes):
    """Conversions of a request's JSON."""

    def _structure(self, shape: _Structure) -> Convert:
        members = self._members(shape)

        def read(value: Mapping[str, object] | None) -> object:
            if value is None:
                return None
            values = ((name, convert, value.get(name)) for name, convert in members.items())
            return {name: convert(member) for name, convert, member in values if member is not None}

        return _value_reader(read) if shape.name == "AttributeValue" else read

    def _map(self, shape: _Map) -> Convert:
        convert = self.of(shape.value)
        return lambda value: {name: convert(member) for name, member in value.items()}

    def _list(self, shape: _List) -> Convert:
        convert = self.of(shape.member)
        return lambda value: [convert(member) for member in value]

    def _blob(self, shape: Shape) -> Convert:
        return b64decode

    def _string(self, shape: Shape) -> Convert:
        return _unchanged

    def _boolean(self, shape: Shape) -> Convert:
        return _unchanged

    def _integer(self, shape: Shape) -> Convert:
        return int

    def _double(self, shape: Shape) -> Convert:
        return float

    def _timestamp(self, shape: Shape) -> Convert:
        raise NotPlainError("no time is read as moto reads it")

    _long = _integer


def _value_reader(read: Convert) -> Convert:
    """The fast way for values with one text or flag. Most values are such."""

    def quick(value: object) -> object:
        if type(value) is dict and len(value) == 1:
            ((code, member),) = value.items()
            if type(member) is _PLAIN.get(code):
                return value
        return read(value)

    return quick


class _Writers(_Shapes):
    """Conversions of a result. They raise `NotPlainError` if a reply cannot have a member of it."""

    def _structure(self, shape: _Structure) -> Convert:
        if shape.name == "AttributeValue":
            return _written_value
        members = self._members(shape)

        def write(value: object) -> object:
            if value is None:
                return {}
            if type(value) is not dict:
                raise NotPlainError(shape.name)
            members_of_reply = {}
            for name, member in value.items():
                convert = members.get(name)
                if convert is None:
                    if name not in _UNMODELLED:
                        raise NotPlainError(name)
                elif member is not None:
                    members_of_reply[name] = convert(member)
            return members_of_reply

        return write

    def _map(self, shape: _Map) -> Convert:
        convert = self.of(shape.value)
        return lambda value: {
            name: convert(_require_value(member)) for name, member in _a(dict, value).items()
        }

    def _list(self, shape: _List) -> Convert:
        convert = self.of(shape.member)
        return lambda value: [convert(_require_value(member)) for member in _a(list, value)]

    def _string(self, shape: Shape) -> Convert:
        return lambda value: _a(str, value)

    def _boolean(self, shape: Shape) -> Convert:
        return lambda value: _a(bool, value)

    def _integer(self, shape: Shape) -> Convert:
        return int

    def _double(self, shape: Shape) -> Convert:
        return float

    def _timestamp(self, shape: Any) -> Convert:
        from moto.core.serialize import TimestampSerializer

        serializer = TimestampSerializer("unixtimestamp")

        def write(value: object) -> object:
            document: dict[str, object] = {}
            serializer.serialize(document, value, shape, "time")
            return document["time"]

        return write

    def _blob(self, shape: Shape) -> Convert:
        return _base64

    _long = _integer


def _written_value(value: object) -> object:
    """The value of an attribute in a reply."""
    typed_value = _a(dict, value)
    if len(typed_value) != 1:
        raise NotPlainError("AttributeValue")
    ((code, member),) = typed_value.items()
    if type(member) is _PLAIN.get(code):
        return value
    if code in ("SS", "NS"):
        return {code: [_a(str, text) for text in _a(list, member)]}
    if code == "M":
        return {code: {name: _written_value(part) for name, part in _a(dict, member).items()}}
    if code == "L":
        return {code: [_written_value(part) for part in _a(list, member)]}
    if code == "B":
        return {code: _base64(member)}
    if code == "BS":
        return {code: [_base64(part) for part in _a(list, member)]}
    raise NotPlainError(code)


def _base64(value: object) -> str:
    return b64encode(_a(bytes, value)).decode()


def _unchanged(value: object) -> object:
    return value


def _require_value(value: object) -> object:
    if value is None:
        raise NotPlainError("a member without a value")
    return value


def _a(kind: type[T], value: object) -> T:
    if type(value) is not kind:
        raise NotPlainError(f"{type(value)} where {kind} is expected")
    return value
