"""The models of each file on a table of their own, on the embedded engine: behaviour that no engine can change."""

from __future__ import annotations

import pytest

from tests.support.models import Org, User
from tests.support.one_table import engine_transport, manager, no_tenant, raw, strict, tenanted, wire

__all__ = ["engine_transport", "manager", "no_tenant", "raw", "strict", "tenanted", "wire"]


@pytest.fixture
def ada(manager: object) -> User:
    """A stored user of a stored organisation."""
    Org.create(org_id="acme", name="Acme")
    return User.create(user_id="01ARZ3NDEKTSV4RRFFQ69G5FAV", name="Ada", email="ada@x", org_id="acme")
