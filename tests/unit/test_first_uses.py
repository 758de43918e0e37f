"""What is compiled or made at first use is whole for every thread, also if several threads are the first."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_bao import Index, Model, PrimaryKey, RelatedField, StringSetField, UniqueConstraint, init_models
from dynamo_bao.dynamodb.rows import RowType
from dynamo_bao.dynamodb.service import GET_ITEM
from dynamo_bao.mapping.row_types import row_type
from dynamo_bao.models import registry
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.runtime.json import dumps
from dynamo_bao.runtime.records import define
from dynamo_bao.testing import embedded_transport

THREADS = 6
ROUNDS = int(os.environ.get("BAO_ROUNDS", "15"))


@pytest.fixture(autouse=True)
def many_switches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads take turns after each microsecond, and models of other tests are not known."""
    monkeypatch.setattr(registry, "_models", [])
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def at_once(work: Callable[[], Any]) -> list[Any]:
    """The results of some threads that begin at the same time; raises the first error."""
    results: list[Any] = []
    errors: list[BaseException] = []
    barrier = threading.Barrier(THREADS)

    def run() -> None:
        barrier.wait()
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
    return results


def new_model() -> Any:
    """A model that nothing was compiled of: its class statement names a type that is defined later."""

    class Thing(Model, prefix="th", iterable=True):
        name: str
        colour: Later | None = None  # type: ignore[name-defined]  # noqa: F821
        tags: set[str] = StringSetField()
        code: str | None = None
        parent_id: str | None = RelatedField("Thing", default=None)

        primary_key = PrimaryKey("name")
        by_code = Index("code", "name", id="gsi1")
        unique_code = UniqueConstraint("code", id="uc1")

    globals()["Later"] = str
    return Thing


ITEM = {
    "_pk": {"S": "th#a"},
    "_sk": {"S": "th"},
    "name": {"S": "a"},
    "colour": {"S": "red"},
    "tags": {"SS": ["x"]},
    "code": {"S": "c"},
}
VALUES = {"name": "a", "colour": "red", "tags": {"x"}, "code": "c", "parent_id": None}


def test_models_are_compiled_once_and_whole() -> None:
    """Each thread finds the same schema, with its lazy class, its generated methods and its functions."""
    for _ in range(ROUNDS):
        model = new_model()

        def work(model: Any = model) -> Any:
            schema = schema_of(model)
            identity = schema.keys.from_key(None, "a")
            values = schema.values_of(ITEM, identity.values)
            assert values == VALUES
            assert schema.invalid_names(values) == []
            assert schema.encode(values) == {name: ITEM[name] for name in ("name", "colour", "tags", "code")}
            assert set(schema.differing(values, ITEM)) <= {"tags"}
            names = ("query_by_code", "find_by_code", "parent", "get_parent", "__bao_lazy_class__", "fields")
            assert [name for name in names if not hasattr(model, name)] == []
            return schema

        assert len(set(map(id, at_once(work)))) == 1


def test_a_manager_has_one_repository_of_a_model() -> None:
    """Sessions tell items apart by their repository, so there must not be two."""
    transport = embedded_transport()
    try:
        for _ in range(ROUNDS):
            with init_models(transport=transport, table_name="t") as manager:
                model = new_model()
                repositories = at_once(lambda manager=manager, model=model: manager.repository(model))
                assert len(set(map(id, repositories))) == 1
                assert manager.repository(model) is repositories[0]
    finally:
        transport.close()


def test_rows_are_parsed_by_whole_decoders() -> None:
    """The row types of models are made at their first reply."""
    body = dumps({"Item": ITEM, "ConsumedCapacity": {"CapacityUnits": 0.5}})
    for _ in range(ROUNDS):
        schema = schema_of(new_model())

        def work(schema: Any = schema) -> Any:
            rows: Any = row_type(schema)
            parsed: Any = rows.parsed(body, GET_ITEM)
            key_values = schema.keys.from_key(None, "a").values
            values = schema.decode_row(parsed["Item"], None, key_values)
            assert {name: values[name] for name in VALUES} == VALUES
            return type(parsed["Item"])

        at_once(work)


def test_row_types_that_met_a_foreign_reply_are_used_again() -> None:
    """After a reply that rows cannot hold, some are parsed into dicts. Then rows are tried again, on all threads."""
    good = dumps({"Item": {"name": {"S": "a"}}, "ConsumedCapacity": {"CapacityUnits": 0.5}})
    rows = RowType({"name": "S"})
    assert rows.parsed(dumps({"Item": {"other": {"S": "a"}}}), GET_ITEM) is None

    def work() -> None:
        for _ in range(50):
            rows.parsed(good, GET_ITEM)

    at_once(work)
    assert rows.parsed(good, GET_ITEM) is not None


def test_records_get_whole_methods() -> None:
    """attrs generates the methods of a record at their first call."""
    for _ in range(ROUNDS):

        @define
        class Record:
            first: int
            second: int = 2

        def work(kind: Any = Record) -> None:
            record = kind(1)
            assert record == kind(1, 2)
            assert record != kind(1, 3)
            assert repr(record).endswith("Record(first=1, second=2)")

        at_once(work)
