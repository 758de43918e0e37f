"""JSON, by the compiled module that is installed: orjson, or else msgspec. No other module chooses one.

They give the same bytes and values for what the library sends and receives: dicts with texts as keys, lists, tuples,
texts, numbers of up to 64 bits, booleans, None, binaries, and pieces that are JSON already. A binary is base64 text, as
in DynamoDB's JSON. They write decimals as texts, sets as lists, and NaN as null. Their errors are made alike: a
`TypeError` for what JSON cannot hold, such as a lone surrogate, and a `ValueError` for what is no JSON.

msgspec is always installed, because rows need it; the library's own work takes the same CPU with both. But both import
`inspect`, and take longer to load than Python's own module takes for a thousand small texts. So a program begins with
that one. It leaves to the compiled module what it would read or write in another way.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from json import JSONDecoder, JSONEncoder
from typing import Any

from dynamo_bao.runtime.late_modules import Postponement
from dynamo_bao.runtime.named_tuples import NamedTuple


class JsonModule(NamedTuple):
    """The functions of a module.

    Attributes:
        name: the name of the module.
        dumps: the JSON of a value.
        loads: the value of some JSON.
        piece: makes of JSON a value that `dumps` writes as it is.
    """

    name: str
    dumps: Callable[[object], bytes]
    loads: Callable[[bytes], Any]
    piece: Callable[[bytes], Any]


_beginning = Postponement(1_000_000, "orjson", "msgspec")
"""The bytes that Python's own module may read and write. Each text counts for `TEXT_BYTES` more than it has."""
TEXT_BYTES = 1_000
"""So many bytes take as long as what a text of any length takes."""


def module_for(size: int = 0) -> JsonModule:
    """The module for one more text.

    Args:
        size: the bytes of the text, if they are known.
    """
    return from_standard_library() if _beginning.allows(size + TEXT_BYTES) else json_module()


@cache
def json_module() -> JsonModule:
    """The compiled module, imported at the first call."""
    try:
        return from_orjson()
    except ImportError:
        return from_msgspec()


def from_orjson() -> JsonModule:
    """JSON by orjson. Raises `ImportError` if it is not installed, or older than 3.9."""
    # Imported here: see `json_module`.
    import orjson
    from orjson import Fragment

    def dumps(value: object) -> bytes:
        try:
            return orjson.dumps(value, _plain)
        except TypeError:  # a key may be no plain text
            return orjson.dumps(value, _plain, orjson.OPT_NON_STR_KEYS)

    return JsonModule("orjson", dumps, orjson.loads, Fragment)


def from_msgspec() -> JsonModule:
    """JSON by msgspec."""
    # Imported here: see `json_module`.
    import msgspec

    encode, decode = msgspec.json.Encoder(enc_hook=_plain).encode, msgspec.json.Decoder().decode

    def dumps(value: object) -> bytes:
        try:
            return encode(value)
        except (ValueError, OverflowError, RecursionError) as error:
            raise TypeError(str(error)) from error

    def loads(body: bytes) -> Any:
        try:
            return decode(body)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValueError(str(error)) from error

    return JsonModule("msgspec", dumps, loads, msgspec.Raw)


@cache
def from_standard_library() -> JsonModule:
    """JSON by Python's own module, and by the compiled one where that one decides otherwise."""
    encode = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode
    decode = JSONDecoder(parse_float=_finite, parse_constant=_finite).decode

    def dumps(value: object) -> bytes:
        try:
            return encode(value).encode()
        except (TypeError, ValueError, RecursionError):
            return json_module().dumps(value)

    def loads(body: bytes) -> Any:
        try:
            if b"\\u" not in body:  # else it may be half of a character
                return decode(body.decode())
        except (ValueError, RecursionError):
            pass
        return json_module().loads(body)

    return JsonModule("json", dumps, loads, lambda content: json_module().piece(content))


def _finite(text: str) -> float:
    """The value of a number. Raises `ValueError` for infinity and NaN, which JSON does not have."""
    value = float(text)
    if value - value:  # infinite, or no number
        raise ValueError(text)
    return value


def _plain(value: Any) -> object:
    """What is written in place of a value that a module does not know.

    Raises:
        TypeError: for a value that has no JSON.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return b64encode(value).decode()
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    for kind in (int, float):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"a value of type {type(value).__name__} has no JSON")


def dumps(value: object) -> bytes:
    """The JSON of a value. Raises `TypeError` for a value that JSON cannot hold.

    >>> dumps({"Item": {"photo": {"B": b"ab"}}})
    b'{"Item":{"photo":{"B":"YWI="}}}'
    """
    module = json_module() if _beginning.is_over else module_for()
    return module.dumps(value)


def loads(body: bytes) -> Any:
    """The value of some JSON. Raises `ValueError` for what is no JSON.

    >>> loads(b'{"Count":1}')
    {'Count': 1}
    """
    module = json_module() if _beginning.is_over else module_for(len(body))
    return module.loads(body)


def piece(content: bytes) -> Any:
    """JSON as a part of a value that `dumps` writes.

    >>> dumps({"Keys": piece(b"[1]")})
    b'{"Keys":[1]}'
    """
    return json_module().piece(content)
