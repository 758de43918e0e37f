"""Spans and metrics of OpenTelemetry for every request; needs the extra ``dynamo-bao[otel]``.

Names and attributes follow OpenTelemetry's semantic conventions for databases and for DynamoDB. They never hold
values of fields. Names that the conventions lack begin with ``dynamo_bao.``.
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

from dynamo_bao.dynamodb.service import BATCH_GET_ITEM, BATCH_WRITE_ITEM, TRANSACT_WRITE_ITEMS
from dynamo_bao.errors import ConfigurationError
from dynamo_bao.models.manager import Manager
from dynamo_bao.session.rounds import Round, SentRequest

BATCHES = frozenset({BATCH_GET_ITEM, BATCH_WRITE_ITEM, TRANSACT_WRITE_ITEMS})
"""The operations that carry several reads or writes."""
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
"""The bucket bounds that the conventions advise for durations, in seconds."""


def instrument(manager: Manager, tracer_provider: Any = None, meter_provider: Any = None) -> None:
    """Makes a client span for each request that `manager` sends, below the current span of its thread.

    Beside the spans there are metrics: ``db.client.operation.duration``, ``dynamo_bao.requests``,
    ``dynamo_bao.throttles``, ``dynamo_bao.consumed_capacity`` and ``dynamo_bao.rounds``. Instrumenting a
    manager again has no effect.

    Args:
        manager: as `init_models` returns it.
        tracer_provider: where spans go; the global provider by default.
        meter_provider: where metrics go; the global provider by default.

    Raises:
        ConfigurationError: if OpenTelemetry is not installed.

    Example:
        >>> from dynamo_bao import otel
        >>> otel.instrument(init_models())
    """
    try:
        from opentelemetry.metrics import get_meter
        from opentelemetry.trace import get_tracer
    except ImportError as error:
        raise ConfigurationError("OpenTelemetry is not installed; install dynamo-bao[otel].") from error
    observers = manager.database.observers
    if any(isinstance(hook, _Spans) for hook in observers.on_request):
        return
    observers.on_request.append(_Spans(manager, get_tracer("dynamo_bao", tracer_provider=tracer_provider)))
    metrics = _Metrics(manager, get_meter("dynamo_bao", meter_provider=meter_provider))
    observers.on_request.append(metrics.request)
    observers.on_flush.append(metrics.flush)


class _Spans:
    """Makes the span of a request after it has ended."""

    def __init__(self, manager: Manager, tracer: Any) -> None:
        self._manager = manager
        self._tracer = tracer

    def __call__(self, request: SentRequest) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode

        elapsed = self._manager.database.transport.clock.now() - request.started
        start = time.time_ns() - int(elapsed * 1e9)
        span = self._tracer.start_span(
            f"DynamoDB.{request.operation}",
            kind=SpanKind.CLIENT,
            attributes={**attributes(request), **server(self._manager)},
            start_time=start,
        )
        if request.error is not None:
            span.set_status(Status(StatusCode.ERROR, request.error))
        span.end(start + int(request.seconds * 1e9))


class _Metrics:
    """Counts requests, throttled attempts, capacity and rounds."""

    def __init__(self, manager: Manager, meter: Any) -> None:
        self._manager = manager
        self._seconds = meter.create_histogram(
            "db.client.operation.duration", "s", explicit_bucket_boundaries_advisory=BUCKETS
        )
        self._requests = meter.create_counter("dynamo_bao.requests", "{request}")
        self._throttles = meter.create_counter("dynamo_bao.throttles", "{request}")
        self._capacity = meter.create_counter("dynamo_bao.consumed_capacity", "{unit}")
        self._rounds = meter.create_counter("dynamo_bao.rounds", "{round}")

    def request(self, request: SentRequest) -> None:
        """Counts a request."""
        common = _common(request)
        self._seconds.record(request.seconds, {**common, **_failure(request), **server(self._manager)})
        self._requests.add(request.attempts, common)
        for throttling in request.throttlings:
            reason = {"dynamo_bao.throttling.reason": throttling.reasons[0]} if throttling.reasons else {}
            self._throttles.add(1, {**common, **reason})
        for kind, units in (("read", request.capacity.read), ("write", request.capacity.write)):
            if units:
                self._capacity.add(units, {**common, "dynamo_bao.dynamodb.capacity.kind": kind})

    def flush(self, round_: Round) -> None:
        """Counts a round that answered pending lookups or queries."""
        self._rounds.add(1, {"dynamo_bao.round.kind": round_.kind})


def attributes(request: SentRequest) -> dict[str, Any]:
    """The attributes of a request, under their conventional names.

    Args:
        request: a request that was sent.

    Returns:
        The attributes of its span, by name.

    Example:
        >>> span.set_attributes(attributes(request))
    """
    names: dict[str, Any] = {
        **_common(request),
        "aws.dynamodb.table_names": request.tables,
        "dynamo_bao.read_units": request.capacity.read,
        "dynamo_bao.write_units": request.capacity.write,
        "dynamo_bao.attempts": request.attempts,
        **_failure(request),
    }
    if request.operation in BATCHES and request.count > 1:
        names["db.operation.batch.size"] = request.count
    if request.index is not None:
        names["aws.dynamodb.index_name"] = request.index
    if request.consumed:
        listed = request.consumed if isinstance(request.consumed, list) else [request.consumed]
        names["aws.dynamodb.consumed_capacity"] = tuple(
            json.dumps(capacity, default=str) for capacity in listed
        )
    if request.status is not None:
        names["http.response.status_code"] = request.status
    if request.error_code is not None:
        names["db.response.status_code"] = request.error_code
    if request.throttlings:
        names["dynamo_bao.throttles"] = len(request.throttlings)
    return names


def server(manager: Manager) -> dict[str, Any]:
    """The address, port and region that requests go to; empty if unknown.

    Args:
        manager: the manager.

    Returns:
        The attributes ``server.address``, ``server.port`` and ``cloud.region``, by name.

    Example:
        >>> span.set_attributes(server(manager))
    """
    wire: Any = getattr(manager.database.transport, "wire", None)
    resolved_endpoint = getattr(wire, "resolved_endpoint", None)
    if resolved_endpoint is None:
        return {}
    parts = urlsplit(resolved_endpoint.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {
        "server.address": parts.hostname or "",
        "server.port": port,
        "cloud.region": resolved_endpoint.region,
    }


def _common(request: SentRequest) -> dict[str, Any]:
    common: dict[str, Any] = {"db.system.name": "aws.dynamodb", "db.operation.name": request.operation}
    if len(request.tables) == 1:
        common["db.collection.name"] = request.tables[0]
    return common


def _failure(request: SentRequest) -> dict[str, Any]:
    """The error of a request: DynamoDB's code, or the class of the error if no reply came."""
    return {} if request.error is None else {"error.type": request.error_code or request.error}
