"""The scope of an ASGI request, as the environment of a WSGI request."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any


def environ_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """The part of a WSGI environment that the integrations read: method, path, query and headers.

    A header with ``_`` in its name is left out. Otherwise ``X_Tenant`` from a client would pass for the ``X-Tenant`` of
    a gateway.
    """
    root, path = scope.get("root_path", ""), scope.get("path", "")
    environ = {
        "REQUEST_METHOD": scope.get("method", "GET"),
        "SCRIPT_NAME": as_in_wsgi(root),
        "PATH_INFO": as_in_wsgi(path.removeprefix(root)),
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
    }
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" not in name:
            key = f"HTTP_{name.upper().replace('-', '_')}"
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def as_in_wsgi(text: str) -> str:
    """A decoded path in the form of a WSGI environment: each byte of its UTF-8 is a character (PEP 3333)."""
    return text.encode().decode("latin-1")


def status_line(status: int) -> str:
    """The status line for a number, such as ``"404 Not Found"``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:  # a status of the application's own
        return str(status)
