"""The function behind an HTTP API (payload version 2.0): announces a parcel, and shows one with its scans."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from dynamo_bao import ValidationError, batched
from examples.parcels.models import Parcel

Event = dict[str, Any]
Response = dict[str, Any]


def handler(event: Event, context: object) -> Response:
    """Answers one request."""
    route = ROUTES.get(event["routeKey"])
    if route is None:
        return _answer(HTTPStatus.NOT_FOUND, {"error": "There is no such path."})
    return route(event)


@batched
def announce(event: Event) -> Response:
    """Stores a new parcel. Only the recipient comes from the request."""
    try:
        body = json.loads(event.get("body") or "{}")
        parcel = Parcel.create(recipient=body["recipient"])
    except (ValueError, KeyError, TypeError) as error:
        reason = error.message if isinstance(error, ValidationError) else "Send JSON with the recipient."
        return _answer(HTTPStatus.BAD_REQUEST, {"error": reason})
    return _answer(HTTPStatus.CREATED, parcel.to_dict())


@batched
def show(event: Event) -> Response:
    """Shows a parcel with its scans. The look at the scans loads the parcel too, in the same round of requests."""
    parcel = Parcel.find(event["pathParameters"]["parcel_id"])
    places = [scan.place for scan in parcel.scans]
    if not parcel.exists():
        return _answer(HTTPStatus.NOT_FOUND, {"error": "There is no such parcel."})
    return _answer(HTTPStatus.OK, {**parcel.to_dict(), "places": places})


def _answer(status: HTTPStatus, content: dict[str, Any]) -> Response:
    return {
        "statusCode": status.value,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(content, default=str),
    }


ROUTES = {"POST /parcels": announce, "GET /parcels/{parcel_id}": show}
