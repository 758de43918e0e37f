"""Measures pages: their requests, from botocore's own events, and their waits for DynamoDB."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from flask import Flask

from dynamo_bao.testing import RoundWatch

_SERVICE = "dynamodb"


class Wire:
    """Counts the requests of one boto3 client.

    Args:
        client: the DynamoDB client.
        latency: seconds by which each request is delayed, as a network would delay it.
    """

    def __init__(self, client: Any, latency: float = 0.0) -> None:
        self.requests = 0
        self._latency = latency
        self._lock = threading.Lock()
        client.meta.events.register(f"before-call.{_SERVICE}", self._starts)

    def _starts(self, **_: object) -> None:
        with self._lock:
            self.requests += 1
        if self._latency:
            time.sleep(self._latency)


@dataclass(frozen=True)
class Visit:
    """One page: its content and its cost.

    Attributes:
        round_trips: the waits of the page for DynamoDB. Requests that the library sends together count once.
    """

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
    """Makes every page with an application, the list of packages first, and measures each."""
    index, *dashboards = (_visit(app, address, wire) for address in addresses)
    return Tour(index, tuple(dashboards))


def _visit(app: Flask, address: str, wire: Wire) -> Visit:
    requests, started = wire.requests, time.perf_counter()
    with RoundWatch() as watch:
        reply = app.test_client().get(address)
    seconds = time.perf_counter() - started
    if reply.status_code != 200:
        raise RuntimeError(f"{address} was answered with {reply.status}.")
    return Visit(main_part(reply.text), wire.requests - requests, watch.round_trips, seconds)


def main_part(page: str) -> str:
    """A page without its footer, whose figures differ from visit to visit."""
    return page.partition("<footer>")[0]
