"""Signatures of requests: those that AWS publishes, and those that botocore makes."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, strategies as st

from dynamo_bao.dynamodb.transport.sigv4 import (
    ALGORITHM,
    CONTENT_TYPE,
    KeyedHash,
    PreparedSignature,
    Scope,
    Signer,
    StaticCredentials,
    scope_of,
    signing_key,
)

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SECOND = int(datetime(2015, 8, 30, 12, 36, tzinfo=timezone.utc).timestamp())
STAMP, SCOPE = "20150830T123600Z", "20150830/us-east-1/service/aws4_request"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8Y"
    "UuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE"
    "8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2"
    "ICCR/oLxBA=="
)

# Facts of AWS's "Signature Version 4 test suite": headers, body, and the signature that belongs to them.
PUBLISHED: dict[str, tuple[dict[str, str], bytes, str]] = {
    "post-vanilla": ({}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-sts-header-after": ({}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-sts-header-before": (
        {"x-amz-security-token": TOKEN},
        b"",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ),
    "post-header-value-case": (
        {"my-header1": "VALUE1"},
        b"",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    "post-x-www-form-urlencoded": (
        {"content-type": "application/x-www-form-urlencoded"},
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_requests_have_their_published_signatures(name: str) -> None:
    """The canonical requests of AWS's test suite, signed by the functions that sign each request."""
    extra, body, expected = PUBLISHED[name]
    headers = {"host": "example.amazonaws.com", "x-amz-date": STAMP, **extra}
    lines = "".join(f"{header}:{headers[header]}\n" for header in sorted(headers))
    canonical = f"POST\n/\n\n{lines}\n{';'.join(sorted(headers))}\n{hashlib.sha256(body).hexdigest()}"
    prefix = canonical.removesuffix(hashlib.sha256(body).hexdigest())
    text = f"{ALGORITHM}\n{STAMP}\n{SCOPE}\n"
    key = KeyedHash(signing_key(SECRET, "20150830", "us-east-1", "service"), text.encode())
    who, canonical_hash = StaticCredentials("AKIDEXAMPLE", SECRET), hashlib.sha256(prefix.encode())
    prepared = PreparedSignature(who, SECOND, key, canonical_hash, authorization="", headers={}, lines="")
    assert prepared.signature(body) == expected


@pytest.mark.parametrize(
    ("date", "key"),
    [
        ("20150830", "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"),
        ("20120215", "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"),
    ],
)
def test_the_published_keys_are_derived(date: str, key: str) -> None:
    """The examples of "Deriving the signing key" in AWS's documentation."""
    assert signing_key(SECRET, date, "us-east-1", "iam").hex() == key


def by_botocore(host: str, region: str, who: StaticCredentials, target: str, body: bytes, now: int) -> Any:
    """The headers that botocore sends for a request."""
    request = AWSRequest(
        "POST", f"https://{host}/", {"Content-Type": CONTENT_TYPE, "X-Amz-Target": target}, body
    )
    moment = datetime.fromtimestamp(now, tz=timezone.utc)
    signer = auth.SigV4Auth(Credentials(who.access_key, who.secret_key, who.token), "dynamodb", region)
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(auth, "get_current_datetime"):
            patch.setattr(auth, "get_current_datetime", lambda: moment)
        else:  # as in 1.35
            clock = SimpleNamespace(utcnow=lambda: moment.replace(tzinfo=None))
            patch.setattr(auth, "datetime", SimpleNamespace(datetime=clock))
        signer.add_auth(request)
    return request.headers


PRINTED = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]{1,12}(\.[a-z0-9]{1,12}){0,3}(:8[0-9]{3})?", fullmatch=True),
    st.sampled_from(["localhost:8000", "127.0.0.1:65535", "[::1]:8000", "dynamodb.eu-west-1.amazonaws.com"]),
)
SECONDS = st.integers(0, 4_000_000_000)
REQUESTS = st.lists(
    st.tuples(
        st.builds(StaticCredentials, PRINTED, PRINTED, st.none() | PRINTED),
        st.sampled_from(["GetItem", "BatchGetItem", "TransactWriteItems"]),
        st.binary(max_size=200),
        SECONDS,
    ),
    min_size=1,
    max_size=4,
)


@given(HOSTS, st.sampled_from(["us-east-1", "eu-central-2", "local"]) | PRINTED, REQUESTS)
def test_signatures_are_botocores(host: str, region: str, requests: Any) -> None:
    """One signer, several requests by whomever and whenever: each is signed as botocore signs it."""
    signer = Signer(host, region)
    for who, operation, body, now in requests:
        target = f"DynamoDB_20120810.{operation}"
        ours, theirs = (
            signer.headers(who, target, body, now + 0.75),
            by_botocore(host, region, who, target, body, now),
        )
        assert ours == {name: theirs[name] for name in ours}
        assert set(ours) == {name for name in theirs if name not in ("Content-Type", "X-Amz-Target")}


def test_a_key_is_derived_anew_each_day_and_for_each_secret() -> None:
    """What is remembered between requests never outlives the day, the secret or the second it was made for."""
    signer = Signer("localhost", "us-east-1")
    seen = set()
    for secret in map(str, range(8)):
        for now in (SECOND, SECOND + 1, SECOND + 86400):
            headers = signer.headers(StaticCredentials("A", secret), "T", b"", now)
            fresh = Signer("localhost", "us-east-1").headers(StaticCredentials("A", secret), "T", b"", now)
            assert headers == fresh
            seen.add(headers["Authorization"])
    assert len(seen) == 24


def test_what_a_signature_holds_for_is_read_from_it() -> None:
    """Region and service, whatever the access key holds; nothing where it is signed in another way."""
    signed = Signer("localhost", "eu-west-1", "dax").headers(StaticCredentials("A/K", "s"), "T", b"", SECOND)
    assert scope_of(signed["Authorization"]) == Scope("eu-west-1", "dax")
    for other in (
        "",
        "Bearer x",
        "AWS4-ECDSA-P256-SHA256 Credential=A/20150830/dynamodb/aws4_request, x",
        "AWS4-HMAC-SHA256 Credential=A",
    ):
        assert scope_of(other) is None
