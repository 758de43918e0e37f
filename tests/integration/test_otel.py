"""Spans of OpenTelemetry, taken by its own exporter."""

from __future__ import annotations

import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from dynamo_bao import ConfigurationError, Manager, ThrottledError, init_models, otel, run_with_batch_context
from dynamo_bao.dynamodb.transport.factory import embedded_transport
from dynamo_bao.testing import FaultInjectingTransport, throttled
from tests.support.clocks import FakeTime
from tests.support.models import Org, Post


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Where the spans of a test end up."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    """A tracer provider of the test's own."""
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


def test_each_request_is_a_client_span_under_the_current_one(
    embedded: Manager, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """With operation, table, size and capacity, and the time it took; no values."""
    otel.instrument(embedded, provider)
    with provider.get_tracer("test").start_as_current_span("request") as outer, run_with_batch_context():
        Org.create(org_id="acme", name="secret")
        assert not any([Org.find("a"), Org.find("b")])
    put, batch, _ = exporter.get_finished_spans()
    assert (put.name, batch.name) == ("DynamoDB.PutItem", "DynamoDB.BatchGetItem")
    assert batch.kind is SpanKind.CLIENT and batch.parent is not None
    assert batch.parent.span_id == outer.get_span_context().span_id
    assert batch.attributes is not None and batch.attributes["db.operation.batch.size"] == 2
    assert batch.attributes["db.collection.name"] == embedded.table_name
    assert put.start_time is not None and put.end_time is not None and put.end_time >= put.start_time
    assert "secret" not in put.to_json()


def test_an_error_is_the_spans_status(
    table_name: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """With the class of the error."""
    transport = FaultInjectingTransport(embedded_transport().wire, throttled(), clock=FakeTime().clock)
    with init_models(models=[Org], table_name=table_name, transport=transport) as manager:
        otel.instrument(manager, provider)
        with pytest.raises(ThrottledError):
            Org.create(org_id="acme", name="Acme")
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None and (
        span.attributes["error.type"] == "ProvisionedThroughputExceededException"
    )
    assert span.attributes["dynamo_bao.throttles"] == 10


def test_attributes_follow_the_conventions(
    embedded: Manager, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """Server, region, status, capacity of each table and index are there; a size is only a batch's."""
    assert embedded.client.meta.region_name  # the client is made, so requests have an address
    otel.instrument(embedded, provider)
    Org.create(org_id="acme", name="Acme")
    with run_with_batch_context():
        assert not any([Org.find("a"), Org.find("b")])
        assert not list(Post.query_by_index("posts_for_user", "u"))
    put, batch, query = exporter.get_finished_spans()
    for span in (put, batch, query):
        assert span.attributes is not None
        assert span.attributes["db.system.name"] == "aws.dynamodb"
        assert span.attributes["cloud.region"] == "us-east-1"
        assert "amazonaws" in str(span.attributes["server.address"])
        assert (span.attributes["server.port"], span.attributes["http.response.status_code"]) == (443, 200)
        assert "TableName" in str(span.attributes["aws.dynamodb.consumed_capacity"])
        assert ("db.operation.batch.size" in span.attributes) is (span is batch)
        assert "error.type" not in span.attributes
    assert query.attributes is not None and query.attributes["aws.dynamodb.index_name"] == "gsi2"


def test_to_instrument_twice_changes_nothing(
    embedded: Manager, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """One span a request, however often."""
    otel.instrument(embedded, provider)
    otel.instrument(embedded, provider)
    assert not Org.find("a")
    assert len(exporter.get_finished_spans()) == 1


def test_metrics_count_requests_throttles_capacity_and_rounds(table_name: str) -> None:
    """By operation and table; a throttled attempt with its reason."""
    reader = InMemoryMetricReader()
    fault = throttled(reasons=["TableReadKeyRangeThroughputExceeded"])
    transport = FaultInjectingTransport(embedded_transport().wire, clock=FakeTime().clock)
    with init_models(models=[Org], table_name=table_name, transport=transport) as manager:
        manager.create_table()
        otel.instrument(manager, meter_provider=MeterProvider([reader]))
        transport.inject([fault, fault])
        with run_with_batch_context():
            assert not Org.find("a")
        Org.create(org_id="a", name="A")
    data = reader.get_metrics_data()
    assert data is not None
    sums: dict[str, float] = {}
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        for point in metric.data.data_points:
            sums[metric.name] = sums.get(metric.name, 0) + getattr(point, "value", getattr(point, "count", 0))
    assert sums["dynamo_bao.requests"] == 4
    assert sums["dynamo_bao.throttles"] == 2
    assert sums["dynamo_bao.rounds"] == 1
    assert sums["db.client.operation.duration"] == 2
    assert sums["dynamo_bao.consumed_capacity"] > 0


def test_without_the_extra_it_says_what_to_install(
    embedded: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the extra."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    with pytest.raises(ConfigurationError, match=r"dynamo-bao\[otel\]"):
        otel.instrument(embedded)
