"""Signatures of requests: AWS Signature Version 4, for POST requests to the root of one host.

The AWS IAM user guide has the rules, on its page "Create a signed AWS API request". The signing key is derived from
the secret once a day, and everything that is equal for all requests is computed once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from dynamo_bao.dynamodb.transport.messages import RequestOutcome, with_outcome
from dynamo_bao.errors import ConfigurationError

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_PRINTED: Final = re.compile(r"[!-~]*\Z")
CONTENT_TYPE: Final = "application/x-amz-json-1.0"


class Credentials(Protocol):
    """The credentials of a signature: the fields of botocore's frozen credentials."""

    @property
    def access_key(self) -> str:
        """The public half."""
        ...

    @property
    def secret_key(self) -> str:
        """The secret half."""
        ...

    @property
    def token(self) -> str | None:
        """The session token of temporary credentials."""
        ...


class StaticCredentials(NamedTuple):
    """Credentials that do not change."""

    access_key: str
    secret_key: str
    token: str | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> StaticCredentials:
        """The credentials in boto3's arguments ``aws_access_key_id`` and so on."""
        return cls(
            arguments.get("aws_access_key_id", ""),
            arguments.get("aws_secret_access_key", ""),
            arguments.get("aws_session_token"),
        )


def require_sendable(credentials: object) -> None:
    """Refuses credentials that cannot be part of a request's head: a line break would begin another header.

    Raises:
        ConfigurationError: if the access key or the session token holds other characters than printable ASCII.
    """
    for label, value in (
        ("access key", getattr(credentials, "access_key", None)),
        ("session token", getattr(credentials, "token", None)),
    ):
        if isinstance(value, str) and not _PRINTED.match(value):
            error = ConfigurationError(
                f"The {label} of the AWS credentials holds a line break, a space or another character that no request "
                f"can carry; nothing was sent. Copy it again, without what stands around it.",
                field="credentials",
            )
            raise with_outcome(error, RequestOutcome.NOT_SENT)


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The signing key of a secret for one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class KeyedHash:
    """HMAC-SHA256 (RFC 2104) with one key. The key is hashed once, so a message takes half the time of `hmac.digest`.

    Args:
        key: at most 64 bytes, a block of the hash.

    >>> KeyedHash(b"key").hexdigest(b"message") == hmac.digest(b"key", b"message", "sha256").hex()
    True
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(hashlib.sha256().block_size, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def hexdigest(self, message: bytes) -> str:
        """The code of a message, as hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


def signature(key: KeyedHash, stamp: str, scope: str, canonical: str) -> str:
    """The signature of a canonical request.

    Args:
        key: the hash of a `signing_key`.
        stamp: the time of the request, such as ``20150830T123600Z``.
        scope: ``date/region/service/aws4_request``.
        canonical: method, path, query, headers, names of headers, and the hash of the body, one per line.
    """
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return key.hexdigest(f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}".encode())


class Signer:
    """Signs the requests of one service at one host.

    Args:
        host: the value of the ``Host`` header, with the port unless it is the standard port.
        region: the signing region.
        service: the signing name.
    """

    def __init__(self, host: str, region: str, service: str = "dynamodb") -> None:
        self._host = host
        self._region = region
        self._service = service
        self._stamped = (-1, "")
        self._keys: dict[tuple[str, str], tuple[str, KeyedHash]] = {}

    def headers(self, credentials: Credentials, target: str, body: bytes, now: float) -> dict[str, str]:
        """The headers that sign a request, ``Authorization`` among them.

        Args:
            credentials: the credentials that sign.
            target: the ``X-Amz-Target``, such as ``DynamoDB_20120810.GetItem``.
            body: the body of the request.
            now: seconds since 1970, by the server's clock.
        """
        stamp = self._time(int(now))
        scope, key = self._key(credentials.secret_key, stamp[:8])
        token = credentials.token
        lines = f"content-type:{CONTENT_TYPE}\nhost:{self._host}\nx-amz-date:{stamp}\n"
        names = "content-type;host;x-amz-date;x-amz-target"
        if token:
            lines += f"x-amz-security-token:{token}\n"
            names = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
        payload = hashlib.sha256(body).hexdigest()
        canonical = f"POST\n/\n\n{lines}x-amz-target:{target}\n\n{names}\n{payload}"
        signed = signature(key, stamp, scope, canonical)
        headers = {
            "Authorization": f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signed}",
            "X-Amz-Date": stamp,
        }
        if token:
            headers["X-Amz-Security-Token"] = token
        return headers

    def _time(self, second: int) -> str:
        stamped_second, stamp = self._stamped  # one read, because other threads sign too
        if second != stamped_second:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
            self._stamped = (second, stamp)
        return stamp

    def _key(self, secret: str, date: str) -> tuple[str, KeyedHash]:
        """The scope and the key of a day; those of the last few days and secrets are cached."""
        cached = self._keys.get((secret, date))
        if cached is None:
            scope = f"{date}/{self._region}/{self._service}/aws4_request"
            cached = scope, KeyedHash(signing_key(secret, date, self._region, self._service))
            if len(self._keys) > 8:
                self._keys.clear()
            self._keys[secret, date] = cached
        return cached


class Scope(NamedTuple):
    """The region and the service that a signature is valid for."""

    region: str
    service: str


def scope_of(authorization: str) -> Scope | None:
    """The scope of an ``Authorization`` header; None if it is not a Signature Version 4."""
    head, _, credential = authorization.partition(" Credential=")
    parts = credential.split(",", 1)[0].split("/")
    if head != ALGORITHM or len(parts) < 5 or parts[-1] != "aws4_request":
        return None
    return Scope(parts[-3], parts[-2])
