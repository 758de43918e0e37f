"""A WSGI server in a few lines, which does to a response what real servers do, and what bad ones do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from wsgiref.util import setup_testing_defaults

Application = Callable[..., Iterable[bytes]]


@dataclass
class Answer:
    """What an application answered: filled as the server goes along."""

    status: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: BaseException | None = None


def environ_of(path: str = "/", method: str = "GET", **extra: Any) -> dict[str, Any]:
    """The environment of a request; `extra` are variables such as ``HTTP_HOST``."""
    path, _, query = path.partition("?")
    variables = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": method}
    environ: dict[str, Any] = {**variables, **extra}
    setup_testing_defaults(environ)
    return environ


class Serving:
    """One request under way, whose steps a test takes one by one."""

    def __init__(self, app: Application, path: str = "/", **extra: Any) -> None:
        self.answer = Answer()
        self.body = app(environ_of(path, **extra), self._start)
        self.parts = iter(self.body)

    def _start(self, status: str, headers: list[tuple[str, str]], error: object = None) -> None:
        self.answer.status, self.answer.headers = status, dict(headers)

    def close(self) -> None:
        """Closes the response, as every server has to."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()


def serve(
    app: Application, path: str = "/", *, parts: int | None = None, close: bool = True, **extra: Any
) -> Answer:
    """Serves one request as a server does, whatever happens.

    Args:
        parts: after how many parts the client is gone; None for one that stays to the end.
        close: False for a server that never closes its responses.
    """
    try:
        serving = Serving(app, path, **extra)
    except Exception as error:
        return Answer(error=error)
    answer = serving.answer
    try:
        for part in islice(serving.parts, parts):
            answer.body += part
    except Exception as error:
        answer.error = error
    try:
        if close:
            serving.close()
    except Exception as error:
        answer.error = error
    return answer
