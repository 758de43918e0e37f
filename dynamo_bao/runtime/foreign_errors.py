"""Which exceptions the library may interpret, and which belong to the application and pass unchanged.

A signal handler runs between any two steps of a program. It may raise an exception in the middle of the library's
work: the time limit of a Celery task, or the ``TimeoutError`` of an alarm. That looks like an error of the library's
work. The class of an exception and the end of its traceback show where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import CodeType, FrameType, MethodType
from typing import Final, NoReturn

DATA_ERRORS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""The exceptions that code raises because of the value that it reads or checks. No other exception is about data."""

_OWN_CLASSES: Final = frozenset(("dynamo_bao", "botocore", "boto3", "urllib3", "cattrs", "msgspec", "orjson"))
"""The packages whose exceptions are always about the library's own work."""
_PLAIN_CLASSES: Final = frozenset(
    ("builtins", "binascii", "decimal", "http", "json", "select", "socket", "ssl", "zlib", "exceptiongroup")
)
"""The modules whose exception classes any code may raise."""
_OTHER_CODE: Final = ("moto", "responses", "gevent", "eventlet", "truststore", "socks", "tenacity")
_LIBRARY_CODE: Final = ("selectors", "encodings", "base64", "email", "concurrent", "threading", "")
_OWN_CODE: Final = frozenset((*_OWN_CLASSES, *_PLAIN_CLASSES, *_OTHER_CODE, *_LIBRARY_CODE))
"""The packages whose code does the library's work, sockets included. Compiled code of the library has no name."""

_SENDING: Final = frozenset(
    (
        "attempt",
        "send",
        "sendall",
        "recv",
        "recv_into",
        "connect",
        "do_handshake",
        "wrap_socket",
        "getaddrinfo",
    )
)
"""The methods of request senders, transports and sockets, also of other libraries."""


def is_foreign(error: BaseException) -> bool:
    """Whether an exception belongs to the application, so that it says nothing about the library's work.

    These do not belong to the application: exceptions of the library and of botocore; plain exceptions
    (``OSError``, ``ValueError``) whose traceback ends in the library, in botocore or in the code of sockets; and
    exceptions that a custom transport raises. An exception of a signal handler always belongs to it.

    >>> class TimeLimit(Exception): __module__ = "billiard"
    >>> is_foreign(TimeLimit()), is_foreign(ConnectionResetError())
    (True, False)
    """
    kind = _root(type(error).__module__)
    if kind in _OWN_CLASSES:
        return False
    frames = list(_frames(error))
    if _is_from_signal(frames):
        return True
    if any(frame.f_code.co_name in _SENDING and _package(frame) != "dynamo_bao" for frame in frames):
        return False  # a transport or a socket that is not the library's
    if kind not in _PLAIN_CLASSES:
        return True
    return bool(frames) and _package(frames[-1]) not in _OWN_CODE


def is_from_signal(error: BaseException) -> bool:
    """Whether a signal handler raised the exception."""
    return _is_from_signal(list(_frames(error)))


def require_data_error(error: BaseException) -> None:
    """Raises an exception of a decoder again, unchanged, if it is not about the decoded data.

    >>> require_data_error(ValueError("not a number"))
    >>> require_data_error(TimeoutError("time is up"))
    Traceback (most recent call last):
    TimeoutError: time is up
    """
    foreign = _not_about_data(error)
    if foreign is not None:
        leave(foreign)


def _not_about_data(error: BaseException) -> BaseException | None:
    package = _root(type(error).__module__)
    if package == "cattrs":  # its error groups all exceptions that were raised while it made an object
        members = getattr(error, "exceptions", ())
        return next((foreign for foreign in map(_not_about_data, members) if foreign is not None), None)
    if package in _OWN_CLASSES or isinstance(error, DATA_ERRORS):
        return error if is_from_signal(error) else None
    return error


def foreign_cause(error: BaseException) -> BaseException | None:
    """The innermost exception of the application behind an error of botocore; None if there is no such exception.

    botocore and urllib3 catch every exception that is raised while they send, and raise one of theirs. An exception
    that was being handled before the request began does not count.
    """
    innermost = error if is_foreign(error) else None
    visited_ids = {id(error)}
    link = error.__cause__ or error.__context__
    while link is not None and id(link) not in visited_ids:
        visited_ids.add(id(link))
        first = next(_frames(link), None)
        if first is not None and _package(first) in _OWN_CODE and is_foreign(link):
            innermost = link
        link = link.__cause__ or link.__context__
    return innermost


def leave(error: BaseException) -> NoReturn:
    """Raises `error` again from the handler of another exception, without making that one its context."""
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context


def _frames(error: BaseException) -> Iterator[FrameType]:
    """The frames of an exception's traceback; the innermost frame is the last."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _is_from_signal(frames: list[FrameType]) -> bool:
    if len(frames) < 2:  # raised where it was caught
        return False
    codes = {frame.f_code for frame in frames}
    # Imported here: it is needed only once something fails.
    import signal

    return any(_code_of(handler) in codes for handler in map(signal.getsignal, signal.valid_signals()))


def _code_of(handler: object) -> CodeType | None:
    """The code of a signal handler; None if it is not written in Python."""
    while isinstance(handler, partial):
        handler = handler.func
    if isinstance(handler, MethodType):
        handler = handler.__func__
    if callable(handler) and not hasattr(handler, "__code__"):
        handler = type(handler).__call__
    code: CodeType | None = getattr(handler, "__code__", None)
    return code


def _package(frame: FrameType) -> str:
    return _root(str(frame.f_globals.get("__name__", "")))


def _root(module: str) -> str:
    return module.partition(".")[0]
