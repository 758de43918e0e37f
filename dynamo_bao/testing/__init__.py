"""For tests: engines, limits of round trips, transports that record requests or inject faults, and those below them.

Example:
    >>> transport = RecordingTransport(embedded_transport())
    >>> manager = init_models(transport=transport)
    >>> manager.create_table()
    True
"""

from dynamo_bao.dynamodb.transport.factory import boto_transport, embedded_transport
from dynamo_bao.dynamodb.transport.messages import Clock, Reply, Request, Transport
from dynamo_bao.session.trace import Trace
from dynamo_bao.testing.engines import SharedEngine
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
from dynamo_bao.testing.round_trips import RoundWatch, assert_max_round_trips

__all__ = [
    "Clock",
    "Fault",
    "FaultInjectingTransport",
    "RecordingTransport",
    "Reply",
    "Request",
    "RoundWatch",
    "SharedEngine",
    "Trace",
    "Transport",
    "assert_max_round_trips",
    "boto_transport",
    "damaged",
    "embedded_transport",
    "lost_reply",
    "refused_connection",
    "throttled",
    "unprocessed",
]
