"""Cursors: opaque, URL-safe texts that say where to go on, sealed against changes and other uses.

A cursor is a compact JSON text and a keyed BLAKE2 checksum over it and its purpose (model, tenant, query).
The key is the setting ``db.cursor_secret``. Without one it is made from the table's name, which tells damaged
and mixed-up cursors, but keeps nobody out who knows this page; what a forged one could reach is bounded by
the query it is used with, which names tenant and partition itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from dynamo_bao.errors import ConfigurationError, QueryError

_SEAL_BYTES = 12


def cursor_key(setting: str | None, table_name: str) -> bytes:
    """The key of cursors: from the setting, else from the table's name; `ConfigurationError` for what is no text."""
    if setting is not None and not (isinstance(setting, str) and setting):
        raise ConfigurationError(
            "cursor_secret is no text; give a long random one, such as that of secrets.token_urlsafe(32).",
            field="cursor_secret",
        )
    return hashlib.blake2b(
        (setting or f"dynamo_bao:{table_name}").encode("utf-8", "surrogatepass"), digest_size=32
    ).digest()


def sign_cursor(payload: Mapping[str, Any], cursor_context: tuple[str, ...], secret: bytes) -> str:
    """A cursor that only `verify_cursor` with the same purpose and secret opens.

    >>> verify_cursor(sign_cursor({"n": 1}, ("User", "by_status"), b"s"), ("User", "by_status"), b"s")
    {'n': 1}
    """
    content = json.dumps(payload, separators=(",", ":"), sort_keys=True).encode()
    return urlsafe_b64encode(_checksum(content, cursor_context, secret) + content).decode().rstrip("=")


def verify_cursor(text: object, cursor_context: tuple[str, ...], secret: bytes) -> dict[str, Any]:
    """What a cursor holds.

    Raises:
        QueryError: for a text that is no cursor, was changed, or was made for something else.
    """
    if isinstance(text, str) and text.isascii():
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raw = b""
        checksum, content = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
        if hmac.compare_digest(checksum, _checksum(content, cursor_context, secret)):
            payload = _parsed(content)
            if isinstance(payload, dict):
                return payload
    raise QueryError(
        "The cursor is not one of this query: it was changed, or made for another query, model, tenant or table. "
        "Use last_evaluated_key of the same query, as it is."
    )


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _checksum(content: bytes, cursor_context: tuple[str, ...], secret: bytes) -> bytes:
    sealed = json.dumps(cursor_context).encode() + b"\0" + content
    return hashlib.blake2b(sealed, digest_size=_SEAL_BYTES, key=secret).digest()
