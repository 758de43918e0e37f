"""By which way the tests of a run send their requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SETTING = "DYNAMO_BAO_REQUEST_PATH"
_given: dict[str, str] = {}
_chosen: list[str] = []


def _only_botocore() -> Callable[..., Any]:
    return lambda boto, *_, **__: boto


def _both() -> Callable[..., Any]:
    from tests.support.twin import TwinWire

    return TwinWire


WIRES: dict[str, Callable[[], Callable[..., Any]] | None] = {
    "lean": None,
    "botocore": _only_botocore,
    "twin": _both,
}
"""What stands in for the lean wire, by the value of ``--request-path``."""


def take(path: str) -> None:
    """Has every transport that is opened from now on send in one way; programs that tests start, too."""
    wire = WIRES[path]
    _chosen[:] = [path]
    if wire is None:
        return
    from dynamo_bao.dynamodb.transport import factory

    factory.DirectSender = wire()  # type: ignore[misc,assignment]
    if path == "botocore":
        _given[SETTING] = path


def chosen() -> str:
    """The way that the run's tests send by."""
    return _chosen[0] if _chosen else "lean"


def settings() -> dict[str, str]:
    """The environment variables that a run's way of sending needs."""
    return dict(_given)
