"""ttl.test.js: when an item may be deleted."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from dynamo_bao import Model, PrimaryKey, TtlField, UlidField, ValidationError
from tests.support.one_table import Raw

NEW_YEAR = datetime(2030, 1, 1, tzinfo=timezone.utc)
SECONDS = 1_893_456_000


class Ticket(Model, prefix="ttl", name="TtlTicket"):
    ticket_id: str = UlidField(auto_assign=True)
    ttl: datetime | None = TtlField()

    primary_key = PrimaryKey("ticket_id")


MODELS = [Ticket]

pytestmark = pytest.mark.usefixtures("manager")


def test_01_datetimes() -> None:
    """A datetime is accepted."""
    ticket = Ticket.create(ttl=NEW_YEAR)
    assert Ticket.find(ticket.ticket_id).ttl == NEW_YEAR
    assert not ticket.is_expired()
    assert Ticket.create(ttl=NEW_YEAR - timedelta(days=3650)).is_expired()


def test_02_milliseconds() -> None:
    """Milliseconds are accepted; what looks like seconds is refused (right, not as JavaScript: defect 16)."""
    ticket = Ticket.create(ttl=SECONDS * 1000)
    assert Ticket.find(ticket.ticket_id).ttl == NEW_YEAR
    with pytest.raises(ValidationError, match="ttl"):
        Ticket.create(ttl=SECONDS)


def test_03_iso_texts() -> None:
    """ISO 8601 texts are accepted."""
    for text in ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000+00:00", "2030-01-01T01:00:00+01:00"):
        assert Ticket.find(Ticket.create(ttl=text).ticket_id).ttl == NEW_YEAR


def test_04_stored_as_seconds(raw: Raw) -> None:
    """Whole seconds are what is stored, as DynamoDB needs them."""
    ticket = Ticket.create(ttl=NEW_YEAR + timedelta(milliseconds=900))
    assert ticket.ttl == NEW_YEAR
    assert raw(f"ttl#{ticket.ticket_id}")["ttl"] == {"N": str(SECONDS)}
    Ticket.update(ticket.ticket_id, ttl=NEW_YEAR + timedelta(seconds=1, milliseconds=900))
    assert raw(f"ttl#{ticket.ticket_id}")["ttl"] == {"N": str(SECONDS + 1)}
    ticket.refresh().ttl = NEW_YEAR + timedelta(seconds=2)
    ticket.save()
    assert raw(f"ttl#{ticket.ticket_id}")["ttl"] == {"N": str(SECONDS + 2)}


def test_05_none(raw: Raw) -> None:
    """None removes the attribute: the item stays for ever."""
    assert Ticket.create(ttl=None).ttl is None
    ticket = Ticket.create(ttl=NEW_YEAR)
    ticket.ttl = None
    ticket.save()
    assert "ttl" not in raw(f"ttl#{ticket.ticket_id}")
    found = Ticket.find(ticket.ticket_id)
    assert found.ttl is None
    assert not found.is_expired()


def test_06_no_date_at_update() -> None:
    """A text that is no date is refused by update, and nothing changes."""
    ticket = Ticket.create(ttl=NEW_YEAR)
    with pytest.raises(ValidationError, match="ttl"):
        Ticket.update(ticket.ticket_id, ttl="no date")
    assert Ticket.find(ticket.ticket_id).ttl == NEW_YEAR


def test_07_no_date_at_create() -> None:
    """And by create."""
    with pytest.raises(ValidationError, match="ttl"):
        Ticket.create(ttl="no date")
