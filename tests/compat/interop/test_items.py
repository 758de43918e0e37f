"""The same commands leave the same items, byte for byte, whichever side carries them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.compat.interop.javascript import JavaScript
from tests.compat.interop.python import Python
from tests.compat.interop.raw import differences, items_of
from tests.compat.interop.scenarios import NOW, SCENARIOS, WITHOUT_TENANT, carry_out

ACME = "acme.eu-1"
CASES = [
    (name, tenant) for name in SCENARIOS for tenant in (None, ACME) if not (tenant and name in WITHOUT_TENANT)
]


@pytest.mark.parametrize(("scenario", "tenant"), CASES)
def test_both_leave_the_same_items(
    scenario: str,
    tenant: str | None,
    new_table: Callable[[], str],
    python: Python,
    javascript: JavaScript,
    client: Any,
) -> None:
    """Every attribute of every item, keys, index and iteration keys and guards included, is the same."""
    left = {}
    for side in (javascript, python):
        table = new_table()
        side.open(table)
        side.stop_clock(NOW)
        carry_out(side, SCENARIOS[scenario], tenant)
        left[side.name] = items_of(client, table, blind=("version",))
    assert differences(left["Python"], left["JavaScript"]) == []
    assert left["Python"]
