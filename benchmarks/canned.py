"""Small operations of dynamo_bao with replies that are made in this process: no network, no server, no waiting.

`benchmarks.compare` runs this file by its path in the folder of a checkout, and so measures that checkout's library. It
imports nothing from `benchmarks`, and uses only names that every version of the library has. Requests take the usual
way, with signing and parsing; only the socket is replaced by one that answers itself.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import os
import re
import socket
import sys
import time
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from dynamo_bao import (
    BooleanField,
    CounterField,
    DateTimeField,
    FloatField,
    IntegerField,
    ListField,
    MapField,
    Model,
    PrimaryKey,
    StringField,
    StringSetField,
    TenantContext,
    UlidField,
    init_models,
    run_with_batch_context,
    transaction,
)

PAGE = 100
WRITE_COUNT = 25
CHANGE_COUNT = 10
ASSIGNMENTS = 100
START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Person(Model, prefix="p"):
    person_id: str = StringField()
    team: str = StringField()
    name: str = StringField()
    email: str = StringField()
    city: str = StringField()
    title: str = StringField()
    age: int = IntegerField()
    logins: int = IntegerField()
    visits: int = CounterField()
    score: float = FloatField()
    active: bool = BooleanField()
    tags: set[str] = StringSetField()
    joined: datetime = DateTimeField()

    primary_key = PrimaryKey("person_id")


class Member(Model, prefix="m"):
    team: str = StringField()
    member_id: str = StringField()
    name: str = StringField()
    email: str = StringField()
    city: str = StringField()
    age: int = IntegerField()
    score: float = FloatField()
    active: bool = BooleanField()
    tags: set[str] = StringSetField()
    joined: datetime = DateTimeField()

    of_team = primary_key = PrimaryKey("team", "member_id")


class Document(Model, prefix="d"):
    team: str = StringField()
    document_id: str = StringField()
    title: str = StringField()
    address: dict[str, Any] = MapField()
    history: list[Any] = ListField()

    of_team = primary_key = PrimaryKey("team", "document_id")


class Note(Model, prefix="n"):
    note_id: str = UlidField(auto_assign=True)
    title: str = StringField()
    text: str = StringField()
    likes: int = IntegerField(default=0)
    written: datetime = DateTimeField()

    primary_key = PrimaryKey("note_id")


# --- what is stored -------------------------------------------------------------------------------------


def _key(number: int) -> str:
    return f"01JGFJJZ00{number:04d}BENCH0000000"


def _person(number: int) -> dict[str, Any]:
    return {
        "name": {"S": f"Ada Lovelace {number}"},
        "email": {"S": f"person.{number}@example.com"},
        "city": {"S": "Aarhus"},
        "age": {"N": f"{20 + number % 60}"},
        "score": {"N": f"{number * 0.25 + 0.125}"},
        "active": {"BOOL": number % 3 > 0},
        "tags": {"SS": ["blue", f"group-{number % 7}"]},
        "joined": {"N": f"{1_735_689_600_000 + number * 60_000}"},
    }


def _document(number: int) -> dict[str, Any]:
    address = {
        "street": {"S": f"Main Street {number}"},
        "zip": {"S": "50667"},
        "floor": {"N": f"{number % 9}"},
        "lift": {"BOOL": True},
    }
    parts = [
        {"S": f"joined {2000 + number % 20}"},
        {"N": f"{number}"},
        {"M": {"by": {"S": "import"}, "at": {"N": "1735689600"}}},
    ]
    return {"title": {"S": f"Notes, volume {number}"}, "address": {"M": address}, "history": {"L": parts}}


def _items() -> list[dict[str, Any]]:
    items = []
    for number in range(PAGE):
        key, person = _key(number), _person(number)
        further_fields = {"title": {"S": "engineer"}, "logins": {"N": f"{number * 37}"}, "visits": {"N": "7"}}
        key_fields = {"person_id": {"S": key}, "team": {"S": "team"}}
        items.append({"_pk": {"S": f"p#{key}"}, "_sk": {"S": "p"}, **key_fields, **person, **further_fields})
        key_fields = {"team": {"S": "team"}, "member_id": {"S": key}}
        items.append({"_pk": {"S": "m#team"}, "_sk": {"S": key}, **key_fields, **person})
        key_fields = {"team": {"S": "team"}, "document_id": {"S": key}}
        items.append({"_pk": {"S": "d#team"}, "_sk": {"S": key}, **key_fields, **_document(number)})
    return items


class Table:
    """The stored items as JSON, and the replies to requests. Writes do not change them."""

    def __init__(self) -> None:
        self._items: dict[str, str] = {}
        self._partitions: dict[str, list[str]] = {}
        self._replies: dict[tuple[str, bytes], bytes] = {}
        for item in _items():
            text = json.dumps(item, separators=(",", ":"))
            pk, sk = item["_pk"]["S"], item["_sk"]["S"]
            self._items[f"{pk} {sk}"] = text
            self._partitions.setdefault(pk, []).append(text)

    def reply(self, operation: str, body: bytes) -> bytes:
        """The reply to a request, from its header with the length on. Equal requests share one reply."""
        reply = self._replies.get((operation, body))
        if reply is None:
            reply = _framed(self._body(operation, body))
            if operation in ("GetItem", "BatchGetItem", "Query"):
                self._replies[operation, body] = reply
        return reply

    def _body(self, operation: str, request_body: bytes) -> str:
        capacity = '"ConsumedCapacity":{"TableName":"t","CapacityUnits":1.0}'
        capacity_list = '"ConsumedCapacity":[{"TableName":"t","CapacityUnits":1.0}]'
        if operation == "BatchWriteItem":
            return f'{{"UnprocessedItems":{{}},{capacity_list}}}'
        if operation == "TransactWriteItems":
            return f"{{{capacity_list}}}"
        if operation == "BatchGetItem":
            items = ",".join(self._items[key] for key in _keys_in(request_body))
            return f'{{"Responses":{{"t":[{items}]}},"UnprocessedKeys":{{}},{capacity_list}}}'
        if operation == "Query":
            (value,) = json.loads(request_body)["ExpressionAttributeValues"].values()
            items = self._partitions[value["S"]]
            counts = f'"Count":{len(items)},"ScannedCount":{len(items)}'
            return f'{{"Items":[{",".join(items)}],{counts},{capacity}}}'
        member = "Item" if operation == "GetItem" else "Attributes"
        if operation != "PutItem" and (operation == "GetItem" or b'"ReturnValues":"ALL_' in request_body):
            (key,) = _keys_in(request_body)
            return f'{{"{member}":{self._items[key]},{capacity}}}'
        return f"{{{capacity}}}"


_KEY = re.compile(rb'\{"_pk":\{"S":"([^"]*)"\},"_sk":\{"S":"([^"]*)"\}\}')
_TARGET = re.compile(rb"\r\nx-amz-target: *[^.\r]*\.(\w+)", re.IGNORECASE)


def _keys_in(body: bytes) -> list[str]:
    return [f"{pk.decode()} {sk.decode()}" for pk, sk in _KEY.findall(body)]


def _framed(body: str) -> bytes:
    data = body.encode()
    return b"Content-Length: %d\r\nx-amz-crc32: %d\r\n\r\n%s" % (len(data), zlib.crc32(data), data)


class AnsweringSocket:
    """A socket that has the reply as soon as a request is sent."""

    _numbers = itertools.count()

    def __init__(self, table: Table) -> None:
        self._table = table
        self._ends = socket.socketpair()  # for functions that need a file number
        self._reply = b""

    def fileno(self) -> int:
        return self._ends[0].fileno()

    def settimeout(self, seconds: float | None) -> None:
        pass

    def send(self, data: bytes) -> int:
        end = data.index(b"\r\n\r\n")
        target = _TARGET.search(data, 0, end)
        assert target is not None
        reply = self._table.reply(target.group(1).decode(), data[end + 4 :])
        head = b"HTTP/1.1 200 OK\r\nServer: Server\r\nContent-Type: application/x-amz-json-1.0\r\n"
        self._reply = b"%sx-amzn-RequestId: %052d\r\n%s" % (head, next(self._numbers), reply)
        return len(data)

    sendall = send

    def recv(self, size: int) -> bytes:
        reply, self._reply = self._reply, b""
        return reply

    def close(self) -> None:
        for end in self._ends:
            end.close()


# --- operations -----------------------------------------------------------------------------------------


def _read(objects: list[Any]) -> None:
    for instance in objects:
        instance.name  # noqa: B018


class Operations:
    """One method for each operation. It runs the operation once."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._person = Person.find(_key(1), bypass_cache=True)
        self._values = self._person.to_dict()

    def get(self) -> None:
        _read([Person.find(_key(1))])

    def batch_get_of_100(self) -> None:
        with run_with_batch_context():
            _read([Person.find(_key(number)) for number in range(PAGE)])

    def query_page_of_100(self) -> None:
        _read(list(Member.query_by_index("of_team", "team")))

    def query_page_of_100_with_maps(self) -> None:
        for document in Document.query_by_index("of_team", "team"):
            document.address, document.history  # noqa: B018

    def create(self) -> None:
        Note.create(title="Notes", text="of the machine", likes=1, written=START)

    def save_of_one_field(self) -> None:
        self._person.age = 100 + next(self._numbers)
        self._person.save()

    def save_of_nothing(self) -> None:
        self._person.save()

    def update_by_key(self) -> None:
        Person.update(_key(2), age=100 + next(self._numbers))

    def increment(self) -> None:
        Person.increment(_key(3), visits=1)

    def delete_by_key(self) -> None:
        Person.delete(_key(4))

    def commit_of_25_new(self) -> None:
        with run_with_batch_context() as session:
            session.add(
                *(Note(title="Notes", text="of it", likes=1, written=START) for _ in range(WRITE_COUNT))
            )
            session.commit()

    def commit_of_10_changed(self) -> None:
        with run_with_batch_context() as session:
            people = [Person.find(_key(number)) for number in range(CHANGE_COUNT)]
            for person in people:
                person.age = 100 + next(self._numbers)
            session.add(*people)
            session.commit()

    def transaction_of_10_saves(self) -> None:
        with run_with_batch_context():
            people = [Person.find(_key(number)) for number in range(CHANGE_COUNT)]
            with transaction():
                for person in people:
                    person.age = 100 + next(self._numbers)
                    person.save()

    def new_lookups_1000(self) -> None:
        with run_with_batch_context():
            for number in range(1000):
                Person.find(f"{number}")

    def context(self) -> None:
        with run_with_batch_context():
            pass

    def tenant(self) -> None:
        with TenantContext.run_with_tenant("acme"):
            pass

    def assign_text_100(self) -> None:
        person = self._person
        for _ in range(ASSIGNMENTS):
            person.name = "Grace Hopper"

    def assign_number_100(self) -> None:
        person = self._person
        for _ in range(ASSIGNMENTS):
            person.age = 36

    def assign_datetime_100(self) -> None:
        person, moment = self._person, START + timedelta(days=1)
        for _ in range(ASSIGNMENTS):
            person.joined = moment

    def construct(self) -> None:
        Person(**self._values)


ROWS = [name for name in vars(Operations) if not name.startswith("_")]


def answer_all_connections(table: Table) -> None:
    """Makes the table answer every connection, with the names of this version and of the one before."""
    try:
        http: Any = importlib.import_module("dynamo_bao.dynamodb.transport.http")
    except ImportError:
        http = importlib.import_module("dynamo_bao.transport.connections")
    name = "_connect" if hasattr(http.Connections, "_connect") else "_connected"
    setattr(http.Connections, name, lambda self, ends: http.Connection(AnsweringSocket(table)))


def seconds_of(call: Callable[[], object], count: int) -> float:
    """The mean seconds of CPU of one call, over `count` calls. The garbage collector is not stopped."""
    start_time = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - start_time) / count


def main() -> None:
    """Runs the measurement of each input line, such as ``{"row": "get", "count": 100}``."""
    output, sys.stdout = sys.stdout, sys.stderr
    table = Table()
    answer_all_connections(table)
    os.environ.update(AWS_ACCESS_KEY_ID="benchmark", AWS_SECRET_ACCESS_KEY="benchmark")
    models = [Person, Member, Document, Note]
    with init_models(models=models, table_name="t", region="us-east-1", endpoint_url="http://127.0.0.1:9/"):
        operations = Operations()
        print(json.dumps(ROWS), file=output, flush=True)
        for line in sys.stdin:
            command = json.loads(line)
            gc.collect()
            seconds = seconds_of(getattr(operations, command["row"]), command["count"])
            print(json.dumps(seconds), file=output, flush=True)


if __name__ == "__main__":
    main()
