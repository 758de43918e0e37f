"""Signatures of requests: AWS Signature Version 4, for POST requests to the root of one host.

The AWS IAM user guide has the rules, on its page "Create a signed AWS API request". The signing key is derived from
the secret once a day, and everything that is equal for all requests is computed once.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Protocol

from dynamo_bao.dynamodb.transport.messages import RequestOutcome, with_outcome
from dynamo_bao.errors import ConfigurationError
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.runtime.records import frozen

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


def lines_of(headers: Mapping[str, str]) -> str:
    """Headers as lines of a request.

    >>> lines_of({"Host": "localhost", "Content-Length": "2"})
    'Host: localhost\\r\\nContent-Length: 2\\r\\n'
    """
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


_EMPTY: Final = sha256()
"""The hash of nothing. A copy of it is made in a fifth of the time of a new hash."""


class KeyedHash:
    """HMAC-SHA256 (RFC 2104) with one key. The key is hashed once, so a message takes half the time of `hmac.digest`.

    Args:
        key: at most 64 bytes, a block of the hash.
        beginning: what all messages begin with. It is hashed once too, and left out of the messages.

    >>> KeyedHash(b"key", b"mess").hexdigest(b"age") == hmac.digest(b"key", b"message", "sha256").hex()
    True
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, beginning: bytes = b"") -> None:
        block = key.ljust(sha256().block_size, b"\0")
        self._inner = sha256(block.translate(hmac.trans_36) + beginning)
        self._outer = sha256(block.translate(hmac.trans_5C))

    def hexdigest(self, message: bytes) -> str:
        """The code of a message, as hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


@frozen(eq=False)
class PreparedSignature:
    """The signatures of one operation's requests within one second. Only the hash of the body differs between them.

    Attributes:
        credentials: the credentials that sign.
        second: the time of the requests, in seconds since 1970.
        key: the hash of the signing key, and of the text that is signed, without the hash of the canonical request.
        canonical: the hash of the canonical request, without the hash of the body.
        authorization: the ``Authorization`` header, without the signature.
        headers: the other headers that belong to the signature, except ``X-Amz-Target``.
        lines: these headers and ``X-Amz-Target``, as lines of a request.
    """

    credentials: Credentials
    second: int
    key: KeyedHash
    canonical: Any
    authorization: str
    headers: dict[str, str]
    lines: str

    def signature(self, body: bytes) -> str:
        """The signature of a request with a body, as hexadecimal digits."""
        content, canonical = _EMPTY.copy(), self.canonical.copy()
        content.update(body)
        canonical.update(content.hexdigest().encode())
        return self.key.hexdigest(canonical.hexdigest().encode())


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
        self._prepared: dict[str, PreparedSignature] = {}
        self._keys: dict[tuple[str, str], tuple[str, bytes]] = {}

    def headers(self, credentials: Credentials, target: str, body: bytes, now: float) -> dict[str, str]:
        """The headers that sign a request, ``Authorization`` among them.

        Args:
            credentials: the credentials that sign.
            target: the ``X-Amz-Target``, such as ``DynamoDB_20120810.GetItem``.
            body: the body of the request.
            now: seconds since 1970, by the server's clock.

        Raises:
            ConfigurationError: if the credentials cannot be sent.
        """
        prepared = self.prepared(credentials, target, now)
        return {"Authorization": f"{prepared.authorization}{prepared.signature(body)}", **prepared.headers}

    def prepared(self, credentials: Credentials, target: str, now: float) -> PreparedSignature:
        """The signatures of all requests with a target within a second; see `headers` for the arguments."""
        second = int(now)
        prepared = self._prepared.get(target)
        if prepared is None or prepared.second != second or prepared.credentials != credentials:
            prepared = self._prepared[target] = self._prepare(credentials, target, second)
        return prepared

    def _prepare(self, credentials: Credentials, target: str, second: int) -> PreparedSignature:
        require_sendable(credentials)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        scope, key = self._key(credentials.secret_key, stamp[:8])
        token = credentials.token
        token_line = f"x-amz-security-token:{token}\n" if token else ""
        token_name = "x-amz-security-token;" if token else ""
        names = f"content-type;host;x-amz-date;{token_name}x-amz-target"
        beginning = f"content-type:{CONTENT_TYPE}\nhost:{self._host}\nx-amz-date:{stamp}\n"
        canonical = f"POST\n/\n\n{beginning}{token_line}x-amz-target:{target}\n\n{names}\n"
        headers = {"X-Amz-Date": stamp, "X-Amz-Security-Token": token} if token else {"X-Amz-Date": stamp}
        return PreparedSignature(
            credentials,
            second,
            KeyedHash(key, f"{ALGORITHM}\n{stamp}\n{scope}\n".encode()),
            canonical=sha256(canonical.encode()),
            authorization=f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature=",
            headers=headers,
            lines=lines_of({**headers, "X-Amz-Target": target}),
        )

    def _key(self, secret: str, date: str) -> tuple[str, bytes]:
        """The scope and the key of a day; those of the last few days and secrets are cached."""
        cached = self._keys.get((secret, date))
        if cached is None:
            scope = f"{date}/{self._region}/{self._service}/aws4_request"
            cached = scope, signing_key(secret, date, self._region, self._service)
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
