"""The request path of the tests of a run."""

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
"""The class that replaces the direct sender, by the value of ``--request-path``."""


def take(path: str) -> None:
    """Makes all transports that are opened later use one request path, also in programs that tests start."""
    wire = WIRES[path]
    _chosen[:] = [path]
    if wire is None:
        return
    from dynamo_bao.dynamodb.transport import factory

    factory.DirectSender = wire()  # type: ignore[misc,assignment]
    if path == "botocore":
        _given[SETTING] = path


def chosen() -> str:
    """The request path of this run."""
    return _chosen[0] if _chosen else "lean"


def settings() -> dict[str, str]:
    """The environment variables that a run's way of sending needs."""
    return dict(_given)
