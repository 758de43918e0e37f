"""Counts what really goes to DynamoDB while pages are made, from botocore's own events."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from flask import Flask

_SERVICE = "dynamodb"


class Wire:
    """Counts the requests of one boto3 client, and how often the program waited for some of them together.

    Args:
        client: the DynamoDB client.
        latency: seconds by which each request is delayed, as a network would delay it.
    """

    def __init__(self, client: Any, latency: float = 0.0) -> None:
        self.requests = 0
        self.round_trips = 0
        self._latency = latency
        self._under_way = 0
        self._lock = threading.Lock()
        client.meta.events.register(f"before-call.{_SERVICE}", self._starts)
        client.meta.events.register(f"after-call.{_SERVICE}", self._ends)
        client.meta.events.register(f"after-call-error.{_SERVICE}", self._ends)

    def _starts(self, **_: object) -> None:
        with self._lock:
            self.requests += 1
            self.round_trips += self._under_way == 0
            self._under_way += 1
        if self._latency:
            time.sleep(self._latency)

    def _ends(self, **_: object) -> None:
        with self._lock:
            self._under_way -= 1


@dataclass(frozen=True)
class Visit:
    """One page that was made: its content, and what that took."""

    content: str
    requests: int
    round_trips: int
    seconds: float


@dataclass(frozen=True)
class Tour:
    """All pages, made one after the other: the list of packages, and each one's dashboard."""

    index: Visit
    dashboards: tuple[Visit, ...]

    @property
    def contents(self) -> list[str]:
        """What the pages show."""
        return [visit.content for visit in (self.index, *self.dashboards)]


def total(visits: Sequence[Visit], figure: str) -> float:
    """One figure of all visits together."""
    return sum(_numbers(visits, figure))


def median_of(visits: Sequence[Visit], figure: str) -> float:
    """The median of one figure over the visits."""
    return median(_numbers(visits, figure))


def most(visits: Sequence[Visit], figure: str) -> float:
    """The highest of one figure over the visits."""
    return max(_numbers(visits, figure))


def _numbers(visits: Sequence[Visit], figure: str) -> list[float]:
    return [getattr(visit, figure) for visit in visits]


def visit_all(app: Flask, addresses: Sequence[str], wire: Wire) -> Tour:
    """Has an application make every page, the list of packages first, and measures each."""
    index, *dashboards = (_visit(app, address, wire) for address in addresses)
    return Tour(index, tuple(dashboards))


def _visit(app: Flask, address: str, wire: Wire) -> Visit:
    requests, round_trips, started = wire.requests, wire.round_trips, time.perf_counter()
    reply = app.test_client().get(address)
    seconds = time.perf_counter() - started
    if reply.status_code != 200:
        raise RuntimeError(f"{address} was answered with {reply.status}.")
    return Visit(main_part(reply.text), wire.requests - requests, wire.round_trips - round_trips, seconds)


def main_part(page: str) -> str:
    """A page without its footer, whose figures differ from visit to visit."""
    return page.partition("<footer>")[0]
