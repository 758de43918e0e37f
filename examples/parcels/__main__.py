"""Runs both functions on some events, with a DynamoDB inside this process: ``python -m examples.parcels``."""

from __future__ import annotations

import json

from examples.parcels import http_api, scan_queue
from examples.parcels.models import connect


def main() -> None:
    """Announces a parcel, scans it twice, sends one message that fails, and shows the parcel."""
    with connect(embedded=True, table_name="parcels"):
        announced = _call("POST /parcels", body=json.dumps({"recipient": "Ada"}))
        parcel_id = announced["parcel_id"]
        messages = [{"parcel_id": parcel_id, "place": place} for place in ("Rome", "recipient")]
        records = [{"messageId": f"m{n}", "body": json.dumps(body)} for n, body in enumerate(messages)]
        records.append({"messageId": "m2", "body": json.dumps({"parcel_id": parcel_id})})
        print("queue:", json.dumps(scan_queue.handler({"Records": records}, None)))
        _call("GET /parcels/{parcel_id}", pathParameters={"parcel_id": parcel_id})


def _call(route: str, **event: object) -> dict[str, str]:
    response = http_api.handler({"routeKey": route, **event}, None)
    print(f"{route}: {response['statusCode']} {response['body']}")
    content: dict[str, str] = json.loads(response["body"])
    return content


if __name__ == "__main__":
    main()
