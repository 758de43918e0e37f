"""Cursors: opaque, URL-safe texts with the position of a query, signed against changes and other uses.

A cursor has compact JSON and a keyed BLAKE2 checksum of this JSON and of the cursor's context (model, tenant, query).
The key is the setting ``db.cursor_secret``. Without this setting, the key is derived from the table's name. Such
cursors detect damage and mix-ups, but anybody can forge them. A forged cursor still cannot leave the query with which
it is used, as the query itself sets tenant and partition.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from dynamo_bao.errors import ConfigurationError, QueryError

_CHECKSUM_BYTES = 12


def cursor_key(setting: str | None, table_name: str) -> bytes:
    """The key of cursors, from the setting or the table's name.

    Raises:
        ConfigurationError: if the setting is not a text.
    """
    if setting is not None and not (isinstance(setting, str) and setting):
        raise ConfigurationError(
            "cursor_secret must be a text; give a long random one, such as secrets.token_urlsafe(32).",
            field="cursor_secret",
        )
    return hashlib.blake2b(
        (setting or f"dynamo_bao:{table_name}").encode("utf-8", "surrogatepass"), digest_size=32
    ).digest()


def sign_cursor(payload: Mapping[str, object], cursor_context: tuple[str, ...], secret: bytes) -> str:
    """A cursor that `verify_cursor` accepts only with the same context and secret.

    >>> verify_cursor(sign_cursor({"n": 1}, ("User", "by_status"), b"s"), ("User", "by_status"), b"s")
    {'n': 1}
    """
    content = json.dumps(payload, separators=(",", ":"), sort_keys=True).encode()
    return urlsafe_b64encode(_checksum(content, cursor_context, secret) + content).decode().rstrip("=")


def verify_cursor(text: object, cursor_context: tuple[str, ...], secret: bytes) -> dict[str, Any]:
    """The payload of a cursor.

    Raises:
        QueryError: for a text that is not a cursor, that was changed, or that has another context.
    """
    if isinstance(text, str) and text.isascii():
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError:
            raw = b""
        checksum, content = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
        if hmac.compare_digest(checksum, _checksum(content, cursor_context, secret)):
            payload = _parsed(content)
            if isinstance(payload, dict):
                return payload
    raise QueryError(
        "The cursor is not one of this query: it was changed, or made for another query, model, tenant or table. "
        "Use last_evaluated_key of the same query, without changes."
    )


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _checksum(content: bytes, cursor_context: tuple[str, ...], secret: bytes) -> bytes:
    message = json.dumps(cursor_context).encode() + b"\0" + content
    return hashlib.blake2b(message, digest_size=_CHECKSUM_BYTES, key=secret).digest()
