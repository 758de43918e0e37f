"""Transports for tests: one that records requests, one that injects faults; and the transports below them.

Example:
    >>> transport = RecordingTransport(embedded_transport())
    >>> manager = init_models(transport=transport)
    >>> manager.create_table()
    True
"""

from dynamo_bao.testing.faults import (
    Fault,
    FaultInjectingTransport,
    damaged,
    lost_reply,
    refused_connection,
    throttled,
    unprocessed,
)
from dynamo_bao.testing.recording import RecordingTransport
from dynamo_bao.transport.messages import Clock, Reply, Request, Transport
from dynamo_bao.transport.opening import boto_transport, embedded_transport

__all__ = [
    "Clock",
    "Fault",
    "FaultInjectingTransport",
    "RecordingTransport",
    "Reply",
    "Request",
    "Transport",
    "boto_transport",
    "damaged",
    "embedded_transport",
    "lost_reply",
    "refused_connection",
    "throttled",
    "unprocessed",
]
