"""The function behind a queue of SQS: stores the scans of a batch of messages, and returns those that failed."""

from __future__ import annotations

import json
import logging
from typing import Any

from dynamo_bao import ConditionalError, batched, transaction
from examples.parcels.models import Parcel, Scan

log = logging.getLogger(__name__)


@batched
def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Stores each message's scan.

    The first look at a parcel loads the parcels of all messages together.

    Returns:
        The ids of the messages that failed, as ``ReportBatchItemFailures`` takes them. SQS delivers only those again.
    """
    failed_ids = []
    scans = [_read(record) for record in event["Records"]]
    for record, scan in zip(event["Records"], scans, strict=True):
        try:
            _store(scan)
        except Exception:
            log.exception("message %s", record["messageId"])
            failed_ids.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed_ids}


def _read(record: dict[str, Any]) -> tuple[Parcel, Scan] | None:
    try:
        body = json.loads(record["body"])
        scan = Scan(parcel_id=body["parcel_id"], message_id=record["messageId"], place=body["place"])
    except (ValueError, KeyError, TypeError):
        return None
    return Parcel.find(scan.parcel_id), scan


def _store(message: tuple[Parcel, Scan] | None) -> None:
    if message is None:
        raise ValueError("the message is no scan")
    parcel, scan = message
    if not parcel.exists():
        raise LookupError("there is no such parcel")
    parcel.status = "delivered" if scan.place == "recipient" else "under way"
    try:
        with transaction():
            Scan.create(parcel_id=scan.parcel_id, message_id=scan.message_id, place=scan.place)
            parcel.save()
    except ConditionalError:
        log.info("message %s came before", scan.message_id)
