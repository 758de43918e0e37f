"""The models: parcels, and the scans that say where a parcel has been."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from dynamo_bao import (
    CreateDateField,
    HasMany,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    UlidField,
    init_models,
)

Status = Literal["announced", "under way", "delivered"]


class Parcel(Model, prefix="p"):
    """A parcel on its way to a recipient."""

    parcel_id: str = UlidField(auto_assign=True)
    recipient: str = StringField(min_length=1, max_length=200)
    status: Status = "announced"

    primary_key = PrimaryKey("parcel_id")
    scans = HasMany["Scan"]("scans_of_parcel")


class Scan(Model, prefix="s"):
    """One scan of a parcel. Its key has the id of the message, so a message that comes twice is stored once."""

    parcel_id: str = RelatedField("Parcel")
    message_id: str
    place: str
    scanned_at: datetime = CreateDateField()

    primary_key = PrimaryKey("parcel_id", "message_id")
    scans_of_parcel = primary_key


def connect(**options: Any) -> Manager:
    """Connects the models. On AWS, the table's name comes from the environment variable ``DYNAMO_BAO_TABLE_NAME``.

    Args:
        options: as `init_models` takes them, such as ``embedded=True``.
    """
    return init_models(models=[Parcel, Scan], **options)
