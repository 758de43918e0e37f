"""Replies that are not what was asked for, on the way through a proxy: late, doubled, swapped, another's, mutated."""

from __future__ import annotations

import copy
import gc
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError

from dynamo_bao import BaoError, Manager, init_models, run_with_batch_context, transaction
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.transport.botocore import BotocoreSender, ClientHandle
from dynamo_bao.dynamodb.transport.direct import DirectSender
from dynamo_bao.dynamodb.transport.http import HttpReply
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from tests.support import models, paths
from tests.support.authorities import Authority
from tests.support.clocks import FakeTime
from tests.support.dynamo_server import again, lean_wire, reply
from tests.support.http_server import HttpServer, ReceivedRequest, Served, http_server
from tests.support.models import Org, Post

pytestmark = pytest.mark.skipif(paths.chosen() != "lean", reason="this makes its ways of sending itself")
REPLIES = int(os.environ.get("BAO_REPLIES", "120"))
"""How many replies are wrong in each test of a proxy."""
MUTATIONS = int(os.environ.get("BAO_MUTATIONS", "1500"))
"""How many replies are mutated by each way of sending."""
NAMES = [f"n{number}" for number in range(40)]
STORED = NAMES[:30]
DATE = {"N": "1735689600000"}


def org(name: str) -> dict[str, Any]:
    """A stored organisation."""
    return {**Key(f"o#{name}", "o").as_item(), "org_id": {"S": name}, "name": {"S": f"Org {name}"}}


def post(user: str, number: int) -> dict[str, Any]:
    """A stored post of a user."""
    number_text = f"01JGFJJZ00{NAMES.index(user):08d}{number:08d}"
    return {
        **Key(f"p#{number_text}", "p").as_item(),
        "_gsi2_pk": {"S": f"p#gsi2#{user}"},
        "_gsi2_sk": {"S": f"{number:04}"},
        "post_id": {"S": number_text},
        "user_id": {"S": user},
        "title": {"S": f"Post {number} of {user}"},
        "created_at": DATE,
        "modified_at": DATE,
    }


def truth(operation: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What DynamoDB would answer."""
    capacity = {"TableName": "t", "CapacityUnits": 0.5}
    if operation == "GetItem":
        name = asked["Key"]["_pk"]["S"].removeprefix("o#")
        found = {"Item": org(name)} if name in STORED else {}
        return {**found, "ConsumedCapacity": capacity}
    if operation == "BatchGetItem":
        names = [key["_pk"]["S"].removeprefix("o#") for key in asked["RequestItems"]["t"]["Keys"]]
        found = {"t": [org(name) for name in names if name in STORED]}
        return {"Responses": found, "UnprocessedKeys": {}, "ConsumedCapacity": [capacity]}
    if operation == "Query":
        (partition,) = asked["ExpressionAttributeValues"].values()
        rows = [post(partition["S"].rpartition("#")[2], number) for number in range(3)]
        return {"Items": rows, "Count": 3, "ScannedCount": 3, "ConsumedCapacity": capacity}
    if operation == "TransactGetItems":
        found_names = [
            action["Get"]["Key"]["_pk"]["S"].removeprefix("o#") for action in asked["TransactItems"]
        ]
        items = [{"Item": org(name)} if name in STORED else {} for name in found_names]
        return {"Responses": items, "ConsumedCapacity": [capacity]}
    assert operation == "UpdateItem"
    stored = org(asked["Key"]["_pk"]["S"].removeprefix("o#"))
    (value,) = [
        value for value in asked["ExpressionAttributeValues"].values() if value["S"].startswith("New")
    ]
    return {"Attributes": {**stored, "name": value}, "ConsumedCapacity": capacity}


class Proxy:
    """Answers truly, or with a reply that is another request's; by a seed.

    Attributes:
        wrong: how many replies of each kind were wrong.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._last: dict[int, bytes] = {}
        self._any: list[bytes] = []
        self.wrong: Counter[str] = Counter()

    def __call__(self, served: Served, asked: ReceivedRequest) -> None:
        body = json.loads(asked.body)
        true = reply(truth(asked.operation, body))
        kinds = ["true", "late", "doubled", "swapped", "foreign", "unkeyed"]
        kind = self._chance.choice(kinds)
        sent = getattr(self, f"_{kind}")(served, true, asked.operation, body)
        self.wrong[kind if sent is not true else "true"] += 1
        self._last[served.number] = sent
        self._any = [*self._any[-50:], true]
        served.send(sent)

    def _true(self, served: Served, true: bytes, operation: str, body: Any) -> bytes:
        return true

    def _late(self, served: Served, true: bytes, operation: str, body: Any) -> bytes:
        """A reply to an earlier request comes first, as one that was given up comes late; it was never seen."""
        return again(self._chance.choice(self._any)) + true if self._any else true

    def _doubled(self, served: Served, true: bytes, operation: str, body: Any) -> bytes:
        """The last reply of the connection once more."""
        return self._last.get(served.number, true)

    def _swapped(self, served: Served, true: bytes, operation: str, body: Any) -> bytes:
        """The reply to another request of any connection, if anything in it says that it is another's."""
        known = [sent for sent in self._any if not _could_answer(operation, body, sent)]
        return again(self._chance.choice(known)) if known else true

    def _foreign(self, served: Served, true: bytes, operation: str, body: Any) -> bytes:
        """Items of other keys, of another model, or of another tenant."""
        return self._changed(operation, body, self._elsewhere)

    def _unkeyed(self, served: Served, true: bytes, operation: str, body: Any) -> bytes:
        """Items without their keys."""
        return self._changed(operation, body, self._keyless)

    def _changed(self, operation: str, body: Any, change: Any) -> bytes:
        answer = truth(operation, body)
        for found in _items_in(answer):
            change(found)
        return reply(answer)

    def _elsewhere(self, found: dict[str, Any]) -> None:
        name = self._chance.choice(sorted(name for name in found if name.endswith(("_pk", "_sk"))))
        found[name] = {"S": self._chance.choice(["[b]#", "", "u#"]) + found[name]["S"][:-1] + "~"}

    def _keyless(self, found: dict[str, Any]) -> None:
        for name in [name for name in found if name.startswith("_")]:
            if self._chance.random() < 0.7 or name == "_pk":
                self._chance.choice([found.pop, lambda name: found.update({name: 5})])(name)


def _could_answer(operation: str, body: Any, sent: bytes) -> bool:
    """Whether DynamoDB could send these very bytes, if fewer items were stored: nothing then tells whose they are."""
    answer = json.loads(sent.partition(b"\r\n\r\n")[2])
    items = [*_items_in(answer)]
    if operation == "GetItem":
        return answer.keys() == {"ConsumedCapacity"}
    if operation == "BatchGetItem":
        keys = body["RequestItems"]["t"]["Keys"]
        return type(answer.get("Responses")) is dict and all(_key_of(item) in keys for item in items)
    if operation == "TransactGetItems":
        entries = answer.get("Responses")
        wanted = [action["Get"]["Key"] for action in body["TransactItems"]]
        return type(entries) is list and all(
            not entry or _key_of(entry["Item"]) == key for entry, key in zip(entries, wanted, strict=False)
        )
    return False


def _key_of(item: dict[str, Any]) -> dict[str, Any]:
    return {name: item.get(name) for name in ("_pk", "_sk")}


def _items_in(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of any reply."""
    responses = answer.get("Responses", {})
    of_batch = (
        [entry for entries in responses.values() for entry in entries] if type(responses) is dict else []
    )
    of_transaction = [entry["Item"] for entry in responses if entry] if type(responses) is list else []
    single = [answer[name] for name in ("Item", "Attributes") if name in answer]
    return [*of_batch, *of_transaction, *single, *answer.get("Items", [])]


@contextmanager
def manager_through(server: HttpServer, way: str, authority: Authority | None) -> Iterator[Manager]:
    """A manager that sends to a server by one way, on a clock on which waits take no time."""
    file = None if authority is None else authority.file
    url = server.url("localhost")
    if way == "direct":
        wire: Any = lean_wire(url, ca_bundle=file)
    else:
        client = boto3.client("dynamodb", endpoint_url=url, verify=file)
        wire = BotocoreSender(lambda: ClientHandle(client), is_users=True)
    transport = RetryingTransport(wire, FakeTime().clock)
    with init_models(models=models.ALL, transport=transport, table_name="t") as manager:
        yield manager


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials, and a region."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


class Reader:
    """Asks for what is stored in all ways, and counts what comes back.

    Attributes:
        right, wrong, told: how many answers were the truth, were not, and how many questions ended with an error.
    """

    def __init__(self, manager: Manager, chance: random.Random) -> None:
        self._manager = manager
        self._chance = chance
        self.right = self.wrong = self.told = 0

    def ask(self) -> None:
        """Asks once, in one of the ways."""
        ways = (self.find, self.find_many, self.query, self.transact, self.save)
        try:
            self._chance.choice(ways)()
        except BaoError:
            self.told += 1

    def _note(self, is_right: bool) -> None:
        self.right += is_right
        self.wrong += not is_right

    def _ensure_loaded(self, one: Any, name: str) -> None:
        try:
            self._note(one.exists() is (name in STORED) and (name not in STORED or one.name == f"Org {name}"))
        except BaoError:
            self.told += 1

    def find(self) -> None:
        name = self._chance.choice(NAMES)
        self._ensure_loaded(Org.find(name), name)

    def find_many(self) -> None:
        names = self._chance.sample(NAMES, 5)
        with run_with_batch_context():
            for name, one in [(name, Org.find(name)) for name in names]:
                self._ensure_loaded(one, name)

    def query(self) -> None:
        user = self._chance.choice(NAMES)
        found = [post.title for post in Post.query_by_index("posts_for_user", user)]
        self._note(found == [f"Post {number} of {user}" for number in range(3)])

    def transact(self) -> None:
        names = self._chance.sample(NAMES, 3)
        actions = [{"Get": {"TableName": "t", "Key": Key(f"o#{name}", "o").as_item()}} for name in names]
        transport = self._manager.database.transport
        request = Request("TransactGetItems", {"TransactItems": actions}, True)
        found = transport.send(request, deadline=transport.clock.now() + 10).body["Responses"]
        self._note(found == [{"Item": org(name)} if name in STORED else {} for name in names])

    def save(self) -> None:
        name = self._chance.choice(STORED)
        saved = Org.update(name, {"name": f"New {name}"})
        self._note(saved is None or (saved.org_id, saved.name) == (name, f"New {name}"))


# Python's `ssl` drops a socket unclosed if the server resets the connection before the handshake begins.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("way", ["direct", "botocore"])
@pytest.mark.promise("R13")
def test_no_reply_is_taken_for_another(tmp_path: Path, way: str, tls: bool) -> None:
    """Late, doubled, swapped, foreign and unkeyed ones: the truth or an error, by either way, with TLS or without."""
    authority = Authority(tmp_path) if tls else None
    proxy = Proxy(seed=13)
    tls_context = authority.server("localhost") if authority else None
    with http_server(proxy, tls_context) as server, manager_through(server, way, authority) as manager:
        reader = Reader(manager, random.Random(31))
        while sum(proxy.wrong.values()) - proxy.wrong["true"] < REPLIES:
            reader.ask()
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(proxy.wrong.items()) if kind != "true")
    print(
        f"\nR13: {way}, {'TLS' if tls else 'plain'}: {reader.wrong} wrong answers, {reader.right:,} right, "
        f"{reader.told:,} told; replies: {kinds}"
    )
    gc.collect()  # such sockets, before another test
    assert reader.wrong == 0
    assert reader.right > REPLIES / 10


# --- mutations ------------------------------------------------------------------------------------------------

WRONG = (None, 5, -1.5, "text", True, [], {}, ["text"], {"x": 1}, {"S": 5}, [None])


def mutated(body: Any, chance: random.Random) -> Any:
    """A JSON value of which one member, anywhere in it, has another type or is gone."""
    changed = copy.deepcopy(body)
    places = list(_places_in(changed))
    holder, name = chance.choice(places)
    kind = type(holder[name])
    is_attribute = type(holder) is dict and "_pk" in holder and not name.startswith("_")
    if type(holder) is dict and not is_attribute and chance.random() < 0.2:
        del holder[name]
        return changed
    holder[name] = chance.choice([value for value in WRONG if type(value) is not kind])
    return changed


def _places_in(node: Any) -> Iterator[tuple[Any, Any]]:
    entries = node.items() if type(node) is dict else enumerate(node) if type(node) is list else ()
    for name, value in entries:
        yield node, name
        yield from _places_in(value)


class Canned:
    """Gives replies out of hand, mutated, by either way of sending, and nothing is sent.

    Attributes:
        made: how many were mutated.
        absent: whether the last one could mean that an item is not there.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.is_true = True
        self.made = 0
        self.last = b""

    def reply(self, operation: str, asked: dict[str, Any]) -> HttpReply:
        true, status = answer_of(operation, asked, self._chance)
        body = true
        if not self.is_true:
            self.made += 1
            body = mutated(true, self._chance)
            while _says_absent(operation, true, body):
                body = mutated(true, self._chance)
        data = json.dumps(body).encode()
        self.last = data
        raw = reply(data, "200 OK" if status == 200 else "400 Bad Request")
        head = raw.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
        if self._chance.random() < 0.5:
            del headers["x-amz-crc32"]
        return HttpReply(status, headers, data)


def _says_absent(operation: str, true: Any, body: Any) -> bool:
    """Whether a mutated reply is what DynamoDB itself would say of a table without the item."""
    if operation == "GetItem":
        return body.get("Item") is None and body.get("ConsumedCapacity") == true.get("ConsumedCapacity")
    return False


def answer_of(operation: str, asked: dict[str, Any], chance: random.Random) -> tuple[Any, int]:
    """A true reply to any request of the programs below, and its status."""
    capacity = {"TableName": "t", "CapacityUnits": 0.5, "Table": {"CapacityUnits": 0.5}}
    if operation in ("PutItem", "UpdateItem", "DeleteItem") and chance.random() < 0.2:
        key = asked.get("Key") or {name: asked["Item"][name] for name in ("_pk", "_sk")}
        kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
        return {"__type": kind, "message": "no", "Item": {**org("n1"), **key}}, 400
    if operation == "PutItem":
        return {"ConsumedCapacity": capacity}, 200
    if operation == "DeleteItem":
        return {"Attributes": {**org("n1"), **asked["Key"]}, "ConsumedCapacity": capacity}, 200
    if operation == "BatchWriteItem":
        left = {table: members[:1] for table, members in asked["RequestItems"].items()}
        return {
            "UnprocessedItems": left if chance.random() < 0.3 else {},
            "ConsumedCapacity": [capacity],
        }, 200
    if operation == "TransactWriteItems":
        if chance.random() < 0.5:
            return {"ConsumedCapacity": [capacity]}, 200
        reasons = [{"Code": "None"} for _ in asked["TransactItems"]]
        reasons[0] = {"Code": "ConditionalCheckFailed", "Message": "no"}
        kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException"
        return {"__type": kind, "message": "no", "CancellationReasons": reasons}, 400
    if operation == "DescribeTable":
        return {"Table": _described()}, 200
    if operation == "DescribeTimeToLive":
        return {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}}, 200
    return truth(operation, asked), 200


def _described() -> dict[str, Any]:
    index = {
        "IndexName": "gsi1",
        "IndexStatus": "ACTIVE",
        "KeySchema": [
            {"AttributeName": "_gsi1_pk", "KeyType": "HASH"},
            {"AttributeName": "_gsi1_sk", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }
    return {
        "TableName": "t",
        "TableStatus": "ACTIVE",
        "ItemCount": 3,
        "KeySchema": [
            {"AttributeName": "_pk", "KeyType": "HASH"},
            {"AttributeName": "_sk", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [{"AttributeName": "_pk", "AttributeType": "S"}],
        "GlobalSecondaryIndexes": [index],
    }


class CannedWire(DirectSender):
    """The lean wire, whose replies are given out of hand."""

    canned: Canned

    def _send(self, route: Any, request: Request, body: bytes, skew: float, end_time: float) -> HttpReply:
        return self.canned.reply(request.operation, json.loads(body))


def canned_transport(canned: Canned, way: str) -> RetryingTransport:
    """A transport by one way of sending, past the network."""
    if way == "direct":
        straight = lean_wire("http://localhost:1")
        wire: Any = CannedWire(straight.boto, straight._find_static_endpoint)
        wire.canned = canned
        return RetryingTransport(wire, FakeTime().clock)
    client = boto3.client("dynamodb", endpoint_url="http://localhost:1")

    def respond(request: Any, **_: object) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().rsplit(".", 1)[1]
        given = canned.reply(operation, json.loads(request.body))
        raw: Any = _Raw(given.body)
        return AWSResponse(request.url, given.status, given.headers, raw)

    client.meta.events.register("before-send.dynamodb", respond)
    return RetryingTransport(BotocoreSender(lambda: ClientHandle(client), is_users=True), FakeTime().clock)


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body


def _find() -> bool:
    found = Org.find("n1")
    return found.exists() and hasattr(found, "name") and found.name == "Org n1"


def _find_many() -> bool:
    seen = []
    with run_with_batch_context():
        for name, found in [(name, Org.find(name)) for name in ("n1", "n2", "n35")]:
            try:
                seen.append(
                    hasattr(found, "name") and found.name == f"Org {name}" if found.exists() else name
                )
            except BaoError:
                seen.append(True)
    return seen[0] is True and seen[1] is True and seen[2] in (True, "n35")


def _query() -> bool:
    found = Post.query_by_index("posts_for_user", "n1")
    return [post.title for post in found] == [f"Post {number} of n1" for number in range(3)]


def _save() -> bool:
    return Org.update("n1", {"name": "New"}) is None or True


def _create() -> bool:
    Org.create(org_id="n3", name="x")
    return True


def _delete() -> bool:
    Org.delete_by_id("n1") if hasattr(Org, "delete_by_id") else Org.delete("n1")
    return True


def _commit() -> bool:
    with run_with_batch_context() as session:
        session.add(Post(title="x"))
        try:
            session.commit()
        finally:
            session.rollback()
    return True


def _transact() -> bool:
    with transaction():
        Org.create(org_id="n3", name="x")
        Org.create(org_id="n4", name="x")
    return True


PROGRAMS = (_find, _find_many, _query, _save, _create, _delete, _commit, _transact)


@pytest.mark.parametrize("way", ["direct", "botocore"])
@pytest.mark.promise("R15")
def test_mutated_replies_are_never_raw_errors(way: str) -> None:
    """One member of another type, or gone, anywhere in any reply: the truth, or an error of the library's."""
    canned = Canned(seed=15)
    outcomes: Counter[str] = Counter()
    chance = random.Random(51)
    with init_models(models=models.ALL, transport=canned_transport(canned, way), table_name="t") as manager:
        for program in PROGRAMS:  # once truly, so that this is no test of nothing
            with_truth(program, canned, manager)
        canned.is_true = False
        programs = (*PROGRAMS, lambda: bool(manager.pending_update()))
        while canned.made < MUTATIONS:
            program = chance.choice(programs)
            try:
                outcomes["true" if program() else "false"] += 1
            except BaoError:
                outcomes["told"] += 1
            except BotoCoreError as error:
                raise AssertionError(f"{error!r} for {canned.last!r}") from error
            except Exception as error:
                raise AssertionError(f"{way}: raw {error!r} for {canned.last!r}") from error
            assert not outcomes["false"], (program, canned.last)
    print(
        f"\nR15: {way}: 0 raw errors and 0 false answers for {canned.made:,} mutated replies: "
        f"{outcomes['true']:,} right, {outcomes['told']:,} told"
    )


def with_truth(program: Any, canned: Canned, manager: Manager) -> None:
    """Runs a program until it has succeeded with true replies, some of which refuse."""
    for _ in range(50):
        try:
            assert program()
        except BaoError:
            continue
        return
    raise AssertionError(f"{program} never succeeds")
