"""Lost, damaged and partial replies: nothing is lost, nothing is invented, nothing is applied twice."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dynamo_bao import (
    BatchIncompleteError,
    CommitError,
    ConditionalError,
    ConfigurationError,
    CounterField,
    DataFormatError,
    Manager,
    Model,
    PrimaryKey,
    ServiceError,
    ThrottledError,
    WriteOutcomeUnknownError,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.testing import (
    FaultInjectingTransport,
    RecordingTransport,
    boto_transport,
    damaged,
    embedded_transport,
    lost_reply,
    refused_connection,
    throttled,
    unprocessed,
)
from tests.support import models
from tests.support.clocks import FakeTime
from tests.support.models import Comment, Org, Post, User
from tests.support.raw_server import http, raw_server
from tests.support.wire import Wire

DAMAGES = ("empty", "html", "truncated", "crc", "flipped")


def test_a_damage_that_is_none() -> None:
    """The error names those there are."""
    with pytest.raises(
        ValueError, match=r"damaged\('burnt'\): use one of empty, html, truncated, crc, flipped"
    ):
        damaged("burnt")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"wire": embedded_transport()}, r"give the wire of a transport.*embedded_transport\(\)\.wire"),
        ({"wire": embedded_transport().wire, "operations": "GetItem"}, r"give a list, as in \['GetItem'\]"),
    ],
    ids=["transport", "operations"],
)
def test_arguments_that_would_inject_nothing(arguments: dict[str, Any], text: str) -> None:
    """They are refused before a test relies on them."""
    with pytest.raises(ConfigurationError, match=text):
        FaultInjectingTransport(**arguments)


def test_no_fault_from_now_on() -> None:
    """None takes back what was injected."""
    transport = FaultInjectingTransport(embedded_transport().wire, throttled(), clock=FakeTime().clock)
    with init_models(models=[Org], transport=transport) as manager:
        transport.inject(None)
        assert manager.create_table() and transport.attempts


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def transport(time: FakeTime) -> FaultInjectingTransport:
    """A transport to an embedded engine, on which faults can be put."""
    return FaultInjectingTransport(embedded_transport().wire, seed=42, clock=time.clock)


@pytest.fixture
def faulty(transport: FaultInjectingTransport) -> Iterator[Manager]:
    with init_models(models=models.ALL, transport=transport) as manager:
        manager.create_table()
        yield manager


def put_many(manager: Manager, count: int) -> None:
    """Stores organisations quickly, past the library."""
    for start in range(0, count, 25):
        items = [
            {"_pk": {"S": f"o#{n}"}, "_sk": {"S": "o"}, "org_id": {"S": str(n)}, "name": {"S": f"Org {n}"}}
            for n in range(start, min(start + 25, count))
        ]
        requests = [{"PutRequest": {"Item": item}} for item in items]
        manager.client.batch_write_item(RequestItems={manager.table_name: requests})


@pytest.mark.promise("R1")
def test_unprocessed_keys_are_asked_for_again(faulty: Manager, transport: FaultInjectingTransport) -> None:
    """30 % of the keys left unprocessed in every reply: of 10,000 lookups none is lost, none is doubled."""
    put_many(faulty, 1000)
    transport.inject(unprocessed(0.3))
    found = lost = 0
    for _ in range(10):
        with run_with_batch_context() as session:
            orgs = [Org.find(str(number)) for number in range(1000)]
            names = [org.name for org in orgs]
            found += len(names)
            lost += sum(name != f"Org {number}" for number, name in enumerate(names))
            assert session.stats.unprocessed > 0
            assert session.stats.keys_fetched == 1000
    print(f"\nR1: {lost} lost of {found:,} lookups with 30 % left unprocessed in every reply")
    assert (found, lost) == (10_000, 0)


@pytest.mark.promise("R2")
def test_keys_never_processed_are_not_missing(
    faulty: Manager, transport: FaultInjectingTransport, time: FakeTime
) -> None:
    """Each of 1,000 stored keys raises BatchIncompleteError that names it, by the deadline; none is "missing"."""
    put_many(faulty, 1000)
    transport.inject(unprocessed(1.0))
    with run_with_batch_context(deadline=3.0):
        started = time.now()
        for number, org in enumerate([Org.find(str(number)) for number in range(1000)]):
            with pytest.raises(BatchIncompleteError) as caught:
                _ = org.name
            assert caught.value.keys == (("Org", str(number)),)
            with pytest.raises(BatchIncompleteError):
                org.exists()
            with pytest.raises(BatchIncompleteError):
                bool(org)
        assert (
            time.now() - started <= 3.0 * 10
        )  # ten requests, each within its deadline, on one shared fake clock
        assert transport.attempts < 1500
    print("\nR2: 0 of 1,000 keys that are never processed are missing; each is told by its name")


@pytest.mark.promise("R3")
def test_what_came_is_delivered(faulty: Manager, transport: FaultInjectingTransport) -> None:
    """Partly processed at the deadline: the keys that came are loaded, only the rest raises."""
    put_many(faulty, 100)

    def half(request: Any, send: Any, chance: Any) -> dict[str, Any]:
        answer: dict[str, Any] = unprocessed(0.5)(request, send, chance)
        transport.inject(unprocessed(1.0))
        return answer

    transport.inject(half)
    with run_with_batch_context(deadline=2.0):
        outcomes = []
        for org in [Org.find(str(number)) for number in range(100)]:
            try:
                outcomes.append(org.name.startswith("Org"))
            except BatchIncompleteError:
                outcomes.append(False)
    print(f"\nR3: {sum(outcomes)} of 100 delivered at the deadline, the rest told")
    assert 30 < sum(outcomes) < 70


def test_a_failed_key_raises_without_requests_until_it_is_asked_for_again(
    faulty: Manager, transport: FaultInjectingTransport
) -> None:
    """The error is a new one each time, with the shared cause; a new find retries all failed keys in one round."""
    put_many(faulty, 10)
    with run_with_batch_context(deadline=1.0) as session:
        orgs = [Org.find(str(number)) for number in range(10)]
        transport.inject(unprocessed(1.0))
        errors = []
        for _ in range(2):
            with pytest.raises(BatchIncompleteError) as caught:
                _ = orgs[0].name
            errors.append(caught.value)
        assert errors[0] is not errors[1]
        assert errors[0].__cause__ is errors[1].__cause__
        before = transport.attempts
        with pytest.raises(BatchIncompleteError):
            _ = orgs[3].name
        assert transport.attempts == before
        transport.inject(())
        assert Org.find("3") is orgs[3]
        assert [org.name for org in orgs] == [f"Org {number}" for number in range(10)]
        assert transport.attempts == before + 1
        assert session.stats.round_trips == 2


def _deny(request: Any, send: Any, chance: Any) -> Any:
    raise ServiceError("not authorised", code="AccessDeniedException", operation=request.operation)


def test_what_cannot_be_had_is_told_by_every_way_to_read(
    faulty: Manager, transport: FaultInjectingTransport
) -> None:
    """A refresh, several keys at once outside a context, and an iteration whose items do not come."""
    put_many(faulty, 1)
    posts = [Post.create(title=str(number)) for number in range(3)]
    with run_with_batch_context(deadline=1.0):
        org = Org.find("0")
        assert org.name == "Org 0"
        transport.inject(unprocessed(1.0))
        with pytest.raises(BatchIncompleteError):
            org.refresh()
        with pytest.raises(BatchIncompleteError):
            list(Post.iterate_all())
        with pytest.raises(BatchIncompleteError):
            _ = Post.find(posts[0].post_id).title
        transport.inject(())
        found = [post for batch in Post.iterate_all() for post in batch]
        assert {post.title for post in found} == {"0", "1", "2"}
    User.create(name="Ada", email="ada@x")
    for calls in (
        lambda: Org.batch_find(["0"]),
        lambda: User.batch_find_by_unique_constraint("unique_email", ["ada@x"]),
    ):
        transport.inject(unprocessed(1.0))
        with pytest.raises(BatchIncompleteError):
            calls()
        transport.inject(_deny)
        with pytest.raises(ServiceError, match="not authorised"):
            calls()


def test_an_iteration_leaves_out_what_the_context_has_deleted(
    faulty: Manager, transport: FaultInjectingTransport
) -> None:
    """The index may still have the entry for a moment; nobody asks for its item."""
    kept, deleted = Post.create(title="kept"), Post.create(title="deleted")
    replies: dict[str, Any] = {}

    def older(request: Any, send: Any, chance: Any) -> Any:
        if request.operation != "Query":
            return send(request)
        return replies.setdefault(str(request.written), send(request))

    with run_with_batch_context() as session:
        transport.inject(older)
        assert sum(len(batch) for batch in Post.iterate_all()) == 2
        Post.find(deleted.post_id).delete()
        keys_fetched = session.stats.keys_fetched
        assert [post.post_id for batch in Post.iterate_all() for post in batch] == [kept.post_id]
        assert session.stats.keys_fetched == keys_fetched + 1


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.promise("R10")
def test_damaged_replies_are_asked_for_again(
    faulty: Manager, transport: FaultInjectingTransport, how: str
) -> None:
    """One damaged reply costs a second attempt, in a context and outside."""
    put_many(faulty, 3)
    transport.inject([damaged(how)])
    with run_with_batch_context() as session:
        assert Org.find("1").name == "Org 1"
        assert session.stats.retries == 1
    transport.inject([damaged(how)])
    assert Org.find("2").name == "Org 2"
    print(f"\nR10: a reply that is {how}: asked for again")


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.promise("R10")
def test_replies_that_stay_damaged_are_never_missing(
    faulty: Manager, transport: FaultInjectingTransport, how: str
) -> None:
    """Every reply damaged, 200 lookups: each is an error that says so, none "missing", none a wrong value."""
    put_many(faulty, 100)
    transport.inject(damaged(how))
    told = 0
    for batch in range(2):
        with run_with_batch_context():
            for org in [Org.find(str(number)) for number in range(batch * 50, batch * 50 + 100)]:
                with pytest.raises(DataFormatError, match="BatchGetItem"):
                    org.exists()
                told += 1
    with pytest.raises(DataFormatError, match="GetItem"):
        Org.find("1")
    print(f"\nR10: {200 - told} silent of 200 lookups whose replies all are {how}")
    assert told == 200


RAW = {
    "empty": http(b""),
    "html": http(b"<html><body>502 Bad Gateway</body></html>"),
    "truncated": http(b'{"Responses":{}', length=200),
    "truncated with a fitting length": http(b'{"Responses":{"t":[{"_pk"'),
    "wrong CRC": http(b'{"Responses":{},"UnprocessedKeys":{}}', crc=1),
    "a list": http(b"[]"),
    "null": http(b"null"),
    "nothing at all": b"",
    "half a header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "wrong CRC of an empty object": http(b"{}", crc=7),
}


@pytest.mark.parametrize("reply", RAW)
@pytest.mark.parametrize("inside", [True, False])
def test_hand_made_replies_are_never_taken_for_missing(
    monkeypatch: pytest.MonkeyPatch, reply: str, inside: bool
) -> None:
    """A server that answers with these bytes is asked four times; then the lookup is an error."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    with (
        raw_server(lambda operation, body: RAW[reply]) as (url, server),
        init_models(models=models.ALL, endpoint_url=url, region="us-east-1"),
    ):
        with pytest.raises(Exception) as caught:  # botocore's own errors pass through unchanged
            if inside:
                with run_with_batch_context():
                    Org.find("acme").exists()
            else:
                Org.find("acme").exists()
        assert type(caught.value).__module__.split(".")[0] in ("dynamo_bao", "botocore", "urllib3")
        assert server.requests == 4


def test_errors_of_the_service_are_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error reply becomes an error of the library with the service's code, and botocore's as its cause."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    body = json.dumps({"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "no"}).encode()
    with (
        raw_server(lambda operation, _: http(body, status="400 Bad Request")) as (url, server),
        init_models(models=models.ALL, endpoint_url=url, region="us-east-1"),
    ):
        with pytest.raises(ServiceError, match="IAM policy") as caught:
            Org.find("acme")
        assert caught.value.code == "AccessDeniedException"
        assert isinstance(caught.value.__cause__, ClientError)
        assert server.requests == 1


def test_throttling_is_retried_then_told(
    faulty: Manager, transport: FaultInjectingTransport, time: FakeTime
) -> None:
    """A throttled request is repeated with growing, jittered waits; a write too, as it was not carried out."""
    transport.inject([throttled(), throttled(), throttled()])
    assert Org.create(org_id="acme", name="Acme").exists()
    assert len(time.slept) == 3
    transport.inject(throttled())
    before, time.slept[:] = transport.attempts, []
    with pytest.raises(ThrottledError, match="GetItem"):
        Org.find("acme")
    assert transport.attempts - before == 10
    assert all(0 <= wait <= 0.025 * 2**number for number, wait in enumerate(time.slept))
    transport.inject(refused_connection())
    with pytest.raises(ConnectionRefusedError):
        Org.find("acme")


@pytest.mark.promise("R11")
def test_one_undecodable_field_fails_alone(faulty: Manager) -> None:
    """Of 100 items one has a field of another type: 99 read it, and the error names model, key and field."""
    put_many(faulty, 100)
    faulty.client.update_item(
        TableName=faulty.table_name,
        Key={"_pk": {"S": "o#7"}, "_sk": {"S": "o"}},
        UpdateExpression="SET #n = :n",
        ExpressionAttributeNames={"#n": "name"},
        ExpressionAttributeValues={":n": {"N": "1"}},
    )
    with run_with_batch_context():
        orgs = [Org.find(str(number)) for number in range(100)]
        loaded = sum(org.name == f"Org {org.org_id}" for org in orgs if org.org_id != "7")
        print(f"\nR11: {loaded} of 99 beside an item that cannot be decoded")
        assert loaded == 99 and orgs[7].exists()
        with pytest.raises(DataFormatError) as caught:
            _ = orgs[7].name
    assert (caught.value.model, caught.value.key, caught.value.field) == ("Org", "7", "name")


@pytest.mark.parametrize("error", [ConnectionRefusedError, ConnectionResetError, TimeoutError])
def test_an_error_of_the_network_in_a_fault_of_ones_own(
    faulty: Manager, transport: FaultInjectingTransport, error: type[OSError]
) -> None:
    """The library reacts to it as to one from the network: it repeats what it may."""

    def fault(request: Request, send: Any, chance: random.Random) -> Any:
        raise error("away")

    post = Post.create(user_id="u", title="Own")
    transport.inject([fault, fault, None])
    assert Post.find(post.post_id).title == "Own"
    transport.inject([fault, None])
    lost = nullcontext() if error is ConnectionRefusedError else pytest.raises(WriteOutcomeUnknownError)
    with lost:
        Post.increment(post.post_id, views=1)
    transport.inject(None)
    assert Post.find(post.post_id).views == (error is ConnectionRefusedError)


def test_an_interrupt_leaves_the_keys_pending(faulty: Manager, transport: FaultInjectingTransport) -> None:
    """A KeyboardInterrupt comes out of the look, loses nothing, and the next look asks again."""
    put_many(faulty, 250)

    def interrupt(request: Any, send: Any, chance: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    with run_with_batch_context() as session:
        orgs = [Org.find(str(number)) for number in range(250)]
        transport.inject([interrupt])
        with pytest.raises(KeyboardInterrupt):
            _ = orgs[0].name
        transport.inject(())
        assert [org.name for org in orgs] == [f"Org {number}" for number in range(250)]
        assert "open" in repr(session)


def test_a_missing_table_does_not_fail_the_other_tables(time: FakeTime) -> None:
    """Two tables behind one client share a batch; if one is refused, the other's keys still load."""
    transport = RecordingTransport(embedded_transport())
    with (
        init_models(models=[Org], table_name="there", transport=transport) as there,
        init_models(models=[User], table_name="gone", transport=transport),
    ):
        there.create_table()
        there.repository(Org).create(org_id="acme", name="Acme")
        transport.clear()
        with run_with_batch_context():
            org, user = there.repository(Org).find("acme"), User.find("01JGFJJZ00ANN0000000000000")
            assert org.name == "Acme"
            with pytest.raises(ServiceError, match=r"gone.*create_table"):
                _ = user.name
        assert [len(request.parameters["RequestItems"]) for request in transport.requests] == [2, 1, 1]


# --- writes ---------------------------------------------------------------------------------------------


def test_a_lost_reply_to_a_create_is_repeated_and_applied_once(
    faulty: Manager, transport: FaultInjectingTransport
) -> None:
    """The repeated put fails against our own item, which counts as success; against another's it does not."""
    transport.inject([lost_reply()])
    assert Org.create(org_id="acme", name="Acme").exists()
    assert Org.find("acme").name == "Acme"
    transport.inject([lost_reply(carried_out=False)])
    assert Org.create(org_id="beta", name="Beta").exists()
    transport.inject([lost_reply()])
    with pytest.raises(ConditionalError):
        Org.create(org_id="acme", name="Other")
    assert Org.find("acme").name == "Acme"


def test_a_lost_reply_to_a_create_with_a_unique_value(
    faulty: Manager, transport: FaultInjectingTransport
) -> None:
    """The transaction is repeated with the same token, or recognised as our own."""
    transport.inject([lost_reply()])
    user = User.create(name="Ada", email="ada@example.com")
    assert User.unique_email.find("ada@example.com") == user


@pytest.mark.parametrize(
    "how", [lost_reply(), lost_reply(carried_out=False), damaged("empty"), damaged("crc")]
)
def test_a_lost_reply_to_a_save_or_delete(
    faulty: Manager, transport: FaultInjectingTransport, how: Any
) -> None:
    """Saves and deletes whose replies were lost are repeated, and end as they were meant."""
    org = Org.create(org_id="acme", name="Acme")
    org.name = "Acme Inc"
    transport.inject([how])
    org.save(condition={"name": "Acme"})
    assert Org.find("acme").name == "Acme Inc"
    comment = Comment.create(post_id="p", number=1, text="x")
    transport.inject([how])
    comment.delete()
    assert not Comment.find(("p", 1))


@pytest.mark.parametrize("in_context", [False, True])
@pytest.mark.parametrize("way", ["save", "update", "upsert"])
def test_a_write_recognised_after_a_lost_reply_returns_what_is_stored(
    faulty: Manager, transport: FaultInjectingTransport, way: str, in_context: bool
) -> None:
    """What another program wrote meanwhile is seen too, as after a reply that arrived, and nothing is read for it."""
    with run_with_batch_context() if in_context else nullcontext():
        user = User.create(name="Ada", email="ada@example.com")
        faulty.client.update_item(
            TableName=faulty.table_name,
            Key={"_pk": {"S": f"u#{user.user_id}"}, "_sk": {"S": "u"}},
            UpdateExpression="SET age = :age",
            ExpressionAttributeValues={":age": {"N": "36"}},
        )
        before = transport.attempts
        transport.inject([lost_reply()])
        if way == "save":
            user.name = "Grace"
            user.save(condition={"name": "Ada"})
        elif way == "update":
            user = User.update(user.user_id, {"name": "Grace"}, condition={"name": "Ada"})
        else:
            user = User.upsert(user_id=user.user_id, name="Grace")
        assert (user.name, user.age) == ("Grace", 36)
        assert transport.attempts - before == 2


@pytest.mark.promise("W2")
def test_a_lost_reply_to_a_counter_is_not_applied_twice(
    faulty: Manager, transport: FaultInjectingTransport
) -> None:
    """It raises, the instance refuses to save until it is refreshed, and the counter is as counted once."""
    post = Post.create(views=1)
    post.views += 1
    transport.inject([lost_reply()])
    with pytest.raises(WriteOutcomeUnknownError, match=r"Post .*refresh") as caught:
        post.save()
    assert caught.value.key == post.post_id
    with pytest.raises(WriteOutcomeUnknownError):
        post.save()
    assert Post.find(post.post_id).views == 2
    post.refresh()
    assert post.views == 2
    post.views += 1
    post.save()
    assert Post.find(post.post_id).views == 3


def _wire_of(connection: dict[str, Any]) -> Any:
    """What sends requests to the engine of the test."""
    return embedded_transport().wire if "embedded" in connection else boto_transport(**connection).wire


@pytest.mark.promise("W2")
def test_an_exact_counter_is_repeated_safely(connection: dict[str, Any], table_name: str) -> None:
    """CounterField(exact=True) travels as a transaction with a token: lost replies are repeated, counted once."""

    class Meter(Model, prefix="m"):
        meter_id: str
        count_: int = CounterField(exact=True)
        primary_key = PrimaryKey("meter_id")

    transport = FaultInjectingTransport(_wire_of(connection))
    with init_models(models=[Meter], transport=transport, table_name=table_name) as manager:
        manager.create_table()
        meter = Meter.create(meter_id="1")
        for expected in range(1, 11):
            transport.inject([lost_reply()])
            meter.count_ += 1
            meter.save()
            assert meter.count_ == expected
        assert Meter.find("1", consistent_read=True).count_ == 10


@pytest.mark.parametrize("way", ["save", "commit", "atomic commit"])
@pytest.mark.promise("W2")
def test_a_counter_without_any_reply_is_not_counted_again(
    connection: dict[str, Any], table_name: str, way: str
) -> None:
    """A transaction that gets no reply at all may have counted: until it is refreshed the instance does not again."""

    class Meter(Model, prefix="m"):
        meter_id: str
        count_: int = CounterField(exact=True)
        primary_key = PrimaryKey("meter_id")

    transport = FaultInjectingTransport(_wire_of(connection), clock=FakeTime().clock)
    with (
        init_models(models=[Meter], transport=transport, table_name=table_name) as manager,
        run_with_batch_context() as session,
    ):
        manager.create_table()
        meters = [Meter.create(meter_id=f"{number}") for number in range(2)]

        def count() -> None:
            if way == "save":
                meters[0].save()
            else:
                session.add(*meters)
                session.commit(atomic=way == "atomic commit")

        for meter in meters:
            meter.count_ += 1
        for fault in (lost_reply(), None):
            transport.inject(fault or ())
            with pytest.raises((WriteOutcomeUnknownError, CommitError)):
                count()
        assert Meter.find("0", bypass_cache=True).count_ == 1
        session.rollback()
        assert meters[0].refresh().count_ == 1
        meters[0].count_ += 1
        meters[0].save()
        assert Meter.find("0", bypass_cache=True).count_ == 2


@pytest.mark.parametrize("seen", ["outside", "never", "pending", "loaded"])
def test_an_update_that_cannot_be_read_back_is_written(
    faulty: Manager, transport: FaultInjectingTransport, seen: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its transaction does not return the item; where reading it fails, the instance reads at its next look."""
    user_id = User.create(name="Ada", email="ada@x").user_id
    written: list[str] = []

    def closed_afterwards(request: Any, send: Any, chance: Any) -> Any:
        written.append(request.operation)
        return throttled()(request, send, chance) if "TransactWriteItems" in written[:-1] else send(request)

    with nullcontext() if seen == "outside" else run_with_batch_context():
        found = User.find(user_id) if seen in ("pending", "loaded") else None
        if seen == "loaded":
            assert User.find(user_id).name == "Ada"
        transport.inject(closed_afterwards)
        updated = User.update(user_id, email="countess@x")
        transport.inject(())
        [line] = [line.__dict__ for line in caplog.records if "could not be read" in line.getMessage()]
        assert (line["operation"], line["table"], line["keys"]) == ("update", faulty.table_name, 1)
        wire = Wire(faulty.client)
        assert updated.email == "countess@x"
        assert len(wire) == 1 and "'ConsistentRead': True" in str(wire.sent)
        assert found is None or updated is found
        assert (User.find(user_id) is updated) == (seen != "outside")


def test_an_atomic_commit_without_any_reply_leaves_its_objects_in_doubt(
    faulty: Manager, transport: FaultInjectingTransport
) -> None:
    """They can be saved again once they were read again."""
    Org.create(org_id="a", name="first")
    with run_with_batch_context() as session:
        org = Org.find("a")
        org.name = "second"
        session.add(org)
        transport.inject(lost_reply())
        with pytest.raises(WriteOutcomeUnknownError):
            session.commit(atomic=True)
        transport.inject(())
        session.rollback()
        with pytest.raises(WriteOutcomeUnknownError, match="refresh"):
            org.save()
        assert org.refresh().name == "second"
        org.name = "third"
        org.save()
    assert Org.find("a").name == "third"


@pytest.mark.parametrize("way", ["commit", "atomic commit", "commit of new ids"])
def test_requests_of_a_commit_that_fails_are_counted(
    faulty: Manager, transport: FaultInjectingTransport, way: str
) -> None:
    """The figures of a session have those that brought no answer too."""
    with run_with_batch_context() as session:
        session.add(Post(title="a") if way == "commit of new ids" else Org(org_id="a", name="a"))
        transport.inject(refused_connection())
        with pytest.raises((CommitError, ConnectionRefusedError)):
            session.commit(atomic=way == "atomic commit")
        assert session.stats.requests > 0
        session.rollback()


@pytest.mark.parametrize("fault", [throttled(), refused_connection()])
def test_writes_end_by_the_deadline_of_their_context(
    faulty: Manager, transport: FaultInjectingTransport, time: FakeTime, fault: Any
) -> None:
    """A context with a short deadline has it for its writes, whatever the manager's is."""
    ada, org = User.create(name="Ada", email="ada@x"), Org.create(org_id="acme", name="Acme")
    transport.inject(fault)

    def together() -> None:
        with transaction():
            Org.create(org_id="b", name="b")
            Post.create(title="b")

    for write in (
        lambda: Org.create(org_id="a", name="a"),
        lambda: User.create(name="Eve", email="eve@x"),
        lambda: Org.update("acme", name="b"),
        lambda: User.delete(ada.user_id),
        lambda: org.save(force_reindex=True),
        together,
    ):
        with run_with_batch_context(deadline=0.01):
            started = time.now()
            with pytest.raises((ThrottledError, ConnectionRefusedError)):
                write()
            assert time.now() - started <= 0.01
