"""An ASGI server in a few lines: it runs one request, and notes what the application sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Application = Callable[..., Awaitable[None]]


@dataclass
class Answer:
    """What an application answered, and the exception that left it."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: BaseException | None = None
    messages: list[Any] = field(default_factory=list)


def scope_of(path: str = "/", method: str = "GET", kind: str = "http", **headers: str) -> dict[str, Any]:
    """The scope of a request; `headers` are named as in Python, such as ``x_tenant``."""
    path, _, query = path.partition("?")
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": raw,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }


async def served(app: Application, scope: dict[str, Any], incoming: list[Any] | None = None) -> Answer:
    """Runs one request in a task of its own, as servers do.

    Args:
        incoming: the messages of the client; then it waits for the end of the response.
    """
    answer, ended = Answer(), asyncio.Event()
    messages = list(incoming or [{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        if messages:
            return messages.pop(0)
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        answer.messages.append(message)
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {
                name.decode().lower(): value.decode() for name, value in message.get("headers", ())
            }
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")
            if not message.get("more_body"):
                ended.set()

    async def request() -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:
            answer.error = error

    await asyncio.create_task(request())
    return answer


def serve(app: Application, path: str = "/", **options: Any) -> Answer:
    """Runs one request on an event loop of its own; `options` are those of `scope_of`."""
    return asyncio.run(served(app, scope_of(path, **options)))
