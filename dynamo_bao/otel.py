"""Spans of OpenTelemetry for every request; needs the extra ``dynamo-bao[otel]``.

Names and attributes are those of OpenTelemetry's semantic conventions for DynamoDB; no values of fields are in them.
"""

from __future__ import annotations

import time
from typing import Any

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.manager import Manager
from dynamo_bao.session.rounds import SentRequest


def instrument(manager: Manager, tracer_provider: Any = None) -> None:
    """Makes a client span of each request that `manager` sends, under the span that is current in its thread.

    Args:
        manager: as `init_models` returns it.
        tracer_provider: where spans go; the global provider by default.

    Raises:
        ConfigurationError: where OpenTelemetry is not installed.

    Example:
        >>> from dynamo_bao import otel
        >>> otel.instrument(init_models())
    """
    try:
        from opentelemetry.trace import SpanKind, Status, StatusCode, get_tracer
    except ImportError as error:
        raise ConfigurationError("OpenTelemetry is not installed; install dynamo-bao[otel].") from error
    tracer, clock = (
        get_tracer("dynamo_bao", tracer_provider=tracer_provider),
        manager.database.transport.clock,
    )

    def span(sent: SentRequest) -> None:
        ago = clock.now() - sent.started
        begun = time.time_ns() - int(ago * 1e9)
        made = tracer.start_span(
            f"DynamoDB.{sent.operation}",
            kind=SpanKind.CLIENT,
            attributes=attributes(sent),
            start_time=begun,
        )
        if sent.error is not None:
            made.set_status(Status(StatusCode.ERROR, sent.error))
        made.end(begun + int(sent.seconds * 1e9))

    manager.on_request(span)


def attributes(sent: SentRequest) -> dict[str, Any]:
    """A request's figures under their conventional names."""
    found: dict[str, Any] = {
        "db.system.name": "aws.dynamodb",
        "db.operation.name": sent.operation,
        "db.operation.batch.size": sent.count,
        "aws.dynamodb.table_names": sent.tables,
        "dynamo_bao.read_units": sent.capacity.read,
        "dynamo_bao.write_units": sent.capacity.write,
        "dynamo_bao.attempts": sent.attempts,
    }
    if len(sent.tables) == 1:
        found["db.collection.name"] = sent.tables[0]
    if sent.error is not None:
        found["error.type"] = sent.error
    return found
