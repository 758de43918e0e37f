"""A handler of a signal that sends requests to the embedded engine while its thread does."""

from __future__ import annotations

import signal

import pytest

import dynamo_bao.dynamodb.rows  # noqa: F401  # imported now, as a handler must not meet it half imported
from dynamo_bao import ConcurrencyError, Manager
from tests.support.models import Org

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")

MODELS = [Org]
MOST_WRITES = 20_000


def test_in_the_middle_of_a_request_it_gets_an_error(manager: Manager) -> None:
    """Between requests it gets its answer. The requests of the thread succeed."""
    Org.create(org_id="acme", name="Acme")
    names: list[str] = []
    errors: list[ConcurrencyError] = []

    def read(*_: object) -> None:
        try:
            names.append(Org.find("acme").name)
        except ConcurrencyError as error:
            errors.append(error)

    writes = 0
    former_handler = signal.signal(signal.SIGVTALRM, read)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0003, 0.0003)
    try:
        while not (names and errors) and writes < MOST_WRITES:
            writes += 1
            Org.create(org_id=f"{writes}", name=f"Org {writes}")
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, former_handler)
    assert set(names) == {"Acme"}
    assert "GetItem: the embedded engine is in the middle of another request" in str(errors[0])
    assert all(Org.find(f"{number + 1}").name == f"Org {number + 1}" for number in range(writes))
