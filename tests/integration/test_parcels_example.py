"""The example of parcels: both functions of Lambda with events as AWS sends them, and requests counted as sent."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo_bao import Manager
from dynamo_bao.testing import RoundWatch
from examples.parcels import __main__ as command_line, http_api, scan_queue
from examples.parcels.models import Parcel, Scan, connect
from tests.support.wire import Wire

pytestmark = pytest.mark.one_engine


@pytest.fixture
def store(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with connect(table_name=ready_table, **connection) as manager:
        yield manager


def call(route: str, **event: object) -> tuple[int, dict[str, Any]]:
    response = http_api.handler({"routeKey": route, **event}, None)
    return response["statusCode"], json.loads(response["body"])


def scan(*messages: tuple[str, object]) -> list[str]:
    """Sends messages to the queue's function, and returns the ids of those that failed."""
    records = [{"messageId": name, "body": json.dumps(body)} for name, body in messages]
    answer = scan_queue.handler({"Records": records}, None)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_a_parcel_is_announced_and_shown(store: Manager) -> None:
    """Only the recipient comes from the request."""
    status, parcel = call("POST /parcels", body=json.dumps({"recipient": "Ada", "status": "delivered"}))
    assert (status, parcel["status"]) == (201, "announced")
    shown = call("GET /parcels/{parcel_id}", pathParameters={"parcel_id": parcel["parcel_id"]})
    assert shown == (200, {**parcel, "places": []})


@pytest.mark.parametrize("body", [None, "", "no JSON", "[]", "{}", '{"recipient": ""}', '{"recipient": 7}'])
def test_a_bad_request_is_refused_with_a_reason(store: Manager, body: str | None) -> None:
    status, answer = call("POST /parcels", body=body)
    assert status == 400
    assert answer["error"]
    assert "BAO-" not in answer["error"]


def test_what_is_not_there_is_404(store: Manager) -> None:
    assert (
        call("GET /parcels/{parcel_id}", pathParameters={"parcel_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"})[0] == 404
    )
    assert call("DELETE /parcels")[0] == 404


def test_messages_of_a_batch_fail_alone(store: Manager) -> None:
    """A message that is no scan, and one of a parcel that does not exist."""
    parcel = Parcel.create(recipient="Ada")
    unknown = {"parcel_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "place": "Rome"}
    good = {"parcel_id": parcel.parcel_id, "place": "Rome"}
    assert scan(("a", good), ("b", unknown), ("c", {"place": "Rome"}), ("d", 7)) == ["b", "c", "d"]
    assert [stored.message_id for stored in parcel.scans] == ["a"]
    assert Parcel.find(parcel.parcel_id).status == "under way"


def test_a_message_that_comes_twice_is_stored_once(store: Manager) -> None:
    """And an old one that comes again does not change the status back."""
    parcel = Parcel.create(recipient="Ada")
    on_the_way = ("a", {"parcel_id": parcel.parcel_id, "place": "Rome"})
    assert scan(on_the_way, ("b", {"parcel_id": parcel.parcel_id, "place": "recipient"})) == []
    assert scan(on_the_way) == []
    assert Parcel.find(parcel.parcel_id).status == "delivered"
    assert len(Scan.query_scans_of_parcel(parcel.parcel_id)) == 2  # type: ignore[attr-defined]


def test_the_parcels_of_a_batch_are_read_together(store: Manager) -> None:
    parcels = [Parcel.create(recipient="Ada") for _ in range(10)]
    messages = [
        (f"m{n}", {"parcel_id": parcel.parcel_id, "place": "Rome"}) for n, parcel in enumerate(parcels)
    ]
    wire = Wire(store.client)
    assert scan(*messages) == []
    assert Counter(wire.operations) == {"BatchGetItem": 1, "TransactWriteItems": 10}


def test_showing_a_parcel_is_one_round(store: Manager) -> None:
    parcel = Parcel.create(recipient="Ada")
    scan(("a", {"parcel_id": parcel.parcel_id, "place": "Rome"}))
    with RoundWatch() as watch:
        shown = call("GET /parcels/{parcel_id}", pathParameters={"parcel_id": parcel.parcel_id})
    assert shown[1]["places"] == ["Rome"]
    assert watch.round_trips == 1


def test_the_command_line_shows_both_functions(capsys: pytest.CaptureFixture[str]) -> None:
    command_line.main()
    announced, queue, shown = capsys.readouterr().out.splitlines()
    assert announced.startswith("POST /parcels: 201 ")
    assert queue == 'queue: {"batchItemFailures": [{"itemIdentifier": "m2"}]}'
    assert json.loads(shown.partition(": 200 ")[2])["status"] == "delivered"


def test_the_template_names_functions_that_exist() -> None:
    """Read without CloudFormation's own tags."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, tag, node: loader.construct_scalar(node))
    folder = Path(http_api.__file__).parent
    template = yaml.load((folder / "template.yaml").read_text(encoding="utf-8"), Loader)
    functions = [
        resource["Properties"]["Handler"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    source = (folder / "functions.py").read_text(encoding="utf-8")
    assert functions == ["examples.parcels.functions.http_api", "examples.parcels.functions.scan_queue"]
    assert all(f"\n{function.rpartition('.')[2]} = " in source for function in functions)
