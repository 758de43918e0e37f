"""What stands in the way of a request: errors that are both this library's and botocore's, with what to do."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import exceptions as botocore

import dynamo_bao
from dynamo_bao import (
    BaoError,
    BatchIncompleteError,
    ConfigurationError,
    DataFormatError,
    ServiceError,
    WriteOutcomeUnknownError,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.transport.botocore import BotocoreSender, ClientHandle, common_error_from
from dynamo_bao.dynamodb.transport.factory import given_transport
from dynamo_bao.dynamodb.transport.messages import Request, RequestOutcome, outcome_of
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from dynamo_bao.dynamodb.transport.sigv4 import StaticCredentials
from dynamo_bao.testing import boto_transport
from tests.support import models, paths
from tests.support.authorities import Authority
from tests.support.clocks import FakeTime
from tests.support.dynamo_server import KEY, always, answer, lean_wire, reply
from tests.support.http_server import ReceivedRequest, Script, Served, http_server
from tests.support.models import Org, Post

pytestmark = pytest.mark.skipif(paths.chosen() != "lean", reason="this makes its ways of sending itself")
GET = Request("GetItem", {"TableName": "t", "Key": KEY, "ReturnConsumedCapacity": "TOTAL"})
PUT = Request("PutItem", {"TableName": "t", "Item": KEY}, True)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials, a region, and a home without files."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("HOME", str(tmp_path))


def _without(*names: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: [patch.delenv(name) for name in names] and None


SETTINGS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], type[Exception], str]] = {
    "no region": (
        _without("AWS_DEFAULT_REGION"),
        botocore.NoRegionError,
        "No AWS region: .*AWS_DEFAULT_REGION",
    ),
    "no credentials": (
        _without("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        botocore.NoCredentialsError,
        "No usable AWS credentials: .*aws sso login",
    ),
    "half of them": (
        _without("AWS_SECRET_ACCESS_KEY"),
        botocore.PartialCredentialsError,
        "No usable AWS credentials: Partial",
    ),
    "an unknown profile": (
        lambda patch: patch.setenv("AWS_PROFILE", "nobody"),
        botocore.ProfileNotFound,
        "nobody.*AWS_PROFILE",
    ),
}


@pytest.mark.parametrize("what", SETTINGS)
def test_settings_that_are_missing_are_both_kinds_of_error(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """``except BaoError`` and ``except botocore…`` both work, for any operation, and nothing was sent."""
    change, kind, text = SETTINGS[what]
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    change(monkeypatch)
    with init_models(models=models.ALL, endpoint_url="http://localhost:1"):
        for operation in (
            lambda: Org.find("a"),
            lambda: Org.create(org_id="a", name="A"),
            lambda: list(Post.query_by_index("posts_for_user", "u")),
        ):
            with pytest.raises(kind, match=text) as caught:
                operation()
            assert isinstance(caught.value, ConfigurationError)
            assert outcome_of(caught.value) is RequestOutcome.NOT_SENT
        with run_with_batch_context(), pytest.raises(kind) as caught:
            _ = Org.find("a").name
        assert isinstance(caught.value, BaoError)


WAYS: dict[str, Callable[[str], RetryingTransport]] = {
    "direct": lambda url: RetryingTransport(lean_wire(url), FakeTime().clock),
    "botocore": lambda url: RetryingTransport(
        boto_transport(endpoint_url=url, request_path="botocore").wire, FakeTime().clock
    ),
    "given": lambda url: RetryingTransport(
        given_transport(boto3.client("dynamodb", endpoint_url=url)).wire, FakeTime().clock
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_nobody_there_is_both_kinds_of_error(way: str) -> None:
    """A read and a write; nothing was sent."""
    with http_server(answer) as server:
        server.close()
        transport = WAYS[way](server.url())
        for request in (GET, PUT):
            with pytest.raises(
                botocore.EndpointConnectionError, match=r"could not be reached.*endpoint_url"
            ) as caught:
                transport.send(request, deadline=10)
            assert isinstance(caught.value, BaoError)
            assert outcome_of(caught.value) is RequestOutcome.NOT_SENT
        transport.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_hangs_up_is_both_kinds_of_error(way: str) -> None:
    """A read; of a write it is not known what became of it, and that is the error."""
    with http_server(lambda served, asked: served.close()) as server:
        transport = WAYS[way](server.url())
        with pytest.raises(botocore.ConnectionClosedError) as caught:
            transport.send(GET, deadline=10)
        assert isinstance(caught.value, BaoError)
        with pytest.raises(WriteOutcomeUnknownError) as lost:
            transport.send(PUT, deadline=10)
        assert isinstance(lost.value.__cause__, botocore.ConnectionClosedError)
        assert outcome_of(lost.value) is RequestOutcome.UNKNOWN
        transport.close()


def test_an_untrusted_server_is_both_kinds_of_error(tmp_path: Path) -> None:
    """With what names the authorities."""
    with http_server(answer, Authority(tmp_path).server("localhost")) as server:
        transport = RetryingTransport(lean_wire(server.url("localhost")))
        with pytest.raises(botocore.SSLError, match="AWS_CA_BUNDLE") as caught:
            transport.send(GET, deadline=transport.clock.now() + 30)
        assert isinstance(caught.value, BaoError)
        transport.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_read_that_goes_dark_names_model_and_key(way: str) -> None:
    """Alone, in a context for each key, and of a query."""
    with http_server(lambda served, asked: served.stall()) as server:
        transport = WAYS[way](server.url())
        transport = RetryingTransport(transport.wire)
        with init_models(models=models.ALL, transport=transport, deadline=0.2):
            kinds = (BatchIncompleteError, botocore.ReadTimeoutError, botocore.ConnectTimeoutError)
            with pytest.raises(kinds, match="Org 'ada'") as caught:
                Org.find("ada")
            assert isinstance(caught.value, BaoError)
            with run_with_batch_context():
                for one in [Org.find("ada"), Org.find("bob")]:
                    with pytest.raises(kinds, match=f"Org '{one.org_id}'") as caught:
                        one.exists()
                    assert isinstance(caught.value, BaoError)
            with pytest.raises(kinds, match=r"Post\.posts_for_user"):
                list(Post.query_by_index("posts_for_user", "u"))


def test_a_damaged_read_names_model_and_key() -> None:
    """As one that goes dark does."""
    with (
        http_server(always(reply({"Responses": None}))) as server,
        init_models(models=models.ALL, transport=WAYS["direct"](server.url())),
    ):
        with pytest.raises(DataFormatError, match="Org 'ada': GetItem") as caught:
            Org.find("ada")
        assert (caught.value.model, str(caught.value).count("Org 'ada'")) == ("Org", 1)
        with run_with_batch_context():
            one = Org.find("ada")
            for _ in range(2):
                with pytest.raises(DataFormatError, match="Org 'ada': BatchGetItem"):
                    one.exists()


@pytest.mark.parametrize("name", sorted(dynamo_bao.errors.ALSO_BOTOCORES))
def test_errors_of_both_pickle(name: str) -> None:
    """With their text, class and arguments; and are found by their names."""
    theirs = getattr(botocore, name, None)
    if theirs is None:
        pytest.skip("this botocore does not have it")
    parts = ("endpoint_url", "proxy_url", "error", "provider", "cred_var", "profile", "path", "error_msg")
    more = ("region_name", "service_name", "name", "source_profile", "visited_profiles")
    error = common_error_from(
        theirs(**dict.fromkeys((*parts, *more), "x"), number=5, none=None, other=ValueError("y"))
    )
    assert isinstance(error, theirs)
    assert isinstance(error, BaoError)
    assert type(error) is getattr(dynamo_bao.errors, name)
    assert not isinstance(error, botocore.ClientError)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(again), str(again), again.fmt) == (type(error), str(error), error.fmt)  # type: ignore[attr-defined]
        kwargs = again.kwargs
        assert (kwargs["error_msg"], kwargs["number"], kwargs["none"], kwargs["other"]) == ("x", 5, None, "y")


def test_other_errors_stay_as_they_are() -> None:
    """Those of botocore that have no class here, and those of others that only have the name of one."""
    namesake = type("NoRegionError", (Exception,), {})()
    for error in (botocore.ParamValidationError(report="x"), botocore.BotoCoreError(), namesake, OSError()):
        assert common_error_from(error) is error


def test_errors_of_both_cost_nothing_before_they_are_needed() -> None:
    """Importing the library and its errors does not import botocore."""
    script = "import sys, dynamo_bao.errors; print('botocore' in sys.modules, hasattr(dynamo_bao.errors, 'Nothing'))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "False"]


# --- what cannot be sent ------------------------------------------------------------------------------------

HOSTILE = ("key\nX-Injected: 1", "key\r\nX-Injected: 1", "key\r", "\0key", " key", "k\x7f", "kéy", "日")


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("part", ["access_key", "token"])
@pytest.mark.parametrize("way", ["direct", "botocore"])
def test_credentials_that_cannot_stand_in_a_head_are_not_sent(way: str, part: str, hostile: str) -> None:
    """A line break would begin a header of its own: refused, by either way, and nothing arrives."""
    credentials = StaticCredentials("AKID", "secret", "token")._replace(**{part: hostile})
    with http_server(answer) as server:
        if way == "direct":
            wire: Any = lean_wire(server.url())
            wire.attempt(GET, 30)
            object.__setattr__(wire._route, "credentials", lambda: credentials)
        else:
            client = boto3.client(
                "dynamodb",
                endpoint_url=server.url(),
                aws_access_key_id=credentials.access_key,
                aws_secret_access_key="secret",
                aws_session_token=credentials.token,
            )
            wire = BotocoreSender(lambda: ClientHandle(client, lambda: credentials))
        before = len(server.asked)
        for request in (GET, PUT):
            with pytest.raises(ConfigurationError, match="nothing was sent") as caught:
                RetryingTransport(wire).send(request, deadline=1e9)
            assert outcome_of(caught.value) is RequestOutcome.NOT_SENT
            assert "AKID" not in str(caught.value)
            assert "injected" not in str(caught.value).lower()
        assert len(server.asked) == before
        wire.close()


def test_headers_of_handlers_that_cannot_be_sent_are_not() -> None:
    """What a handler adds is held to the same rule."""
    with http_server(answer) as server:
        client = boto3.client("dynamodb", endpoint_url=server.url())

        def inject(request: Any, **_: object) -> None:
            request.headers["X-Trace"] = "1\r\nX-Injected: 1"

        client.meta.events.register("before-send.dynamodb", inject)
        transport = given_transport(client)
        with pytest.raises(ConfigurationError, match=r"X-Trace.*nothing was sent"):
            transport.send(GET, deadline=1e9)
        transport.close()
        assert server.asked == []


# --- error replies that are no JSON -------------------------------------------------------------------------

STATUSES = {
    "403 Forbidden by our firewall": (ServiceError, "403: Forbidden by our firewall: .*Request blocked"),
    "301 Moved Permanently": (ServiceError, "301: Moved Permanently: .*blocked"),
    "300 Multiple Choices": (ServiceError, "300: Multiple Choices: .*blocked"),
    "407 Proxy Authentication Required": (ServiceError, "407: Proxy Authentication Required: .*blocked"),
    "413 Payload Too Large": (ServiceError, "413: Payload Too Large: .*blocked"),
    "502 Bad Gateway": (ServiceError, "502: Bad Gateway: .*blocked"),
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("way", WAYS)
def test_error_replies_without_json_are_told(way: str, status: str) -> None:
    """Status, reason and the beginning of the text, cut, by either way."""
    kind, text = STATUSES[status]
    page = b"<html>\n<body>Request   blocked\x07" + b"x" * 5000 + b"</body></html>"
    with http_server(always(reply(page, status))) as server:
        transport = WAYS[way](server.url())
        with pytest.raises(kind, match=text) as caught:
            transport.send(GET, deadline=10)
        assert len(str(caught.value)) < 400
        transport.close()


@pytest.mark.parametrize("way", WAYS)
def test_error_replies_without_anything_are_told(way: str) -> None:
    """An empty 502, and JSON that says nothing."""
    for body, text in ((b"", "502: Bad Gateway: the reply has no text"), (b'{"error":"denied"}', "denied")):
        with http_server(always(reply(body, "502 Bad Gateway"))) as server:
            transport = WAYS[way](server.url())
            with pytest.raises(ServiceError, match=text):
                transport.send(GET, deadline=10)
            transport.close()


def test_a_408_on_an_idle_connection_is_no_answer() -> None:
    """It was said of the time before the request: that is sent again, on a new connection."""

    def tired(served: Served, asked: ReceivedRequest) -> None:
        if served.refused:
            served.send(reply(b"", "408 Request Timeout", "Connection: close"))
            served.close()
            return
        served.refused = True
        answer(served, asked)

    script: Script = tired
    with http_server(script) as server:
        for way in WAYS.values():
            transport = way(server.url())
            for request in (GET, GET, PUT, GET):
                assert transport.send(request, deadline=10).attempts == 1
            transport.close()
