"""What is exported and imported again is stored as it was, whatever DynamoDB holds and however it is spelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from dynamo_bao import Manager, ValidationError
from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.fields.ulids import new_ulid
from dynamo_bao.maintenance.export import export_to
from dynamo_bao.maintenance.import_items import import_items
from dynamo_bao.maintenance.scanners import scanner_for
from dynamo_bao.models.class_builder import schema_of
from tests.integration.maintenance.conftest import emptied, stored
from tests.property.test_stored_values import Everything
from tests.support.examples import many
from tests.support.values import VALUES

MODELS = [Everything]
SCHEMA = schema_of(Everything)
DIGITS = "0.12345678901234567890123456789012345678"
SPELLINGS: dict[str, list[dict[str, Any]]] = {
    "string": [{"S": ""}, {"S": "\u2028\x00"}],
    "float": [{"N": DIGITS}, {"N": "9007199254740993"}],
    "rounded": [{"N": "1.23456"}],
    "uuid": [{"S": "ABCDEF12-1234-5678-1234-567812345678"}],
    "binary": [{"B": b""}],
    "json": [{"S": ' {"a" : 1e-7, "b": -0 ,"c":"\\u00e9"}\n'}, {"S": "null"}, {"S": '{"a":1,"a":2}'}],
    "map": [{"M": {}}, {"M": {"a": {"NS": ["1", "2.5"]}, "b": {"BS": [b"", b"x"]}, "$S": {"SS": ["", "x"]}}}],
    "list": [{"L": []}, {"L": [{"NULL": True}, {"B": b"\x00"}, {"M": {"$M": {"L": []}}}]}],
    "exact": [{"M": {"a": {"N": DIGITS}, "b": {"NS": [DIGITS]}}}],
    "nested": [{"M": {"width": {"N": "1"}, "label": {"NULL": True}, "more": {"SS": ["x"]}}}],
    "boxes": [{"L": [{"M": {"width": {"N": "1"}}}]}],
    "words": [{"L": []}],
    "blobs": [{"BS": [b"b", b"a"]}],
    "numbers": [{"NS": [DIGITS, "1"]}],
}
NULLABLE = [name for name, field in SCHEMA.fields.items() if field.nullable]
MORE = {
    "legacy": {"L": [{"NS": ["1", "2"]}, {"B": b"\x00"}, {"NULL": True}]},
    "nothing": {"NULL": True},
    "empty": {"M": {}},
}


def raw_item(data: st.DataObject) -> dict[str, Any]:
    """An item as DynamoDB may hold it: as the library stores it, in parts in other spellings."""
    key = new_ulid()
    values: dict[str, Any] = {name: SCHEMA.fields[name].missing_value() for name in SCHEMA.fields}
    for name in data.draw(st.sets(st.sampled_from(sorted(VALUES)), max_size=6)):
        try:
            values[name] = SCHEMA.fields[name].accept(data.draw(VALUES[name]))
        except ValidationError:
            continue
    values["everything_id"] = key
    item = SCHEMA.item(None, SCHEMA.keys.from_values(None, values), values)
    for name in data.draw(st.sets(st.sampled_from(sorted(SPELLINGS)), max_size=4)):
        item[str(SCHEMA.fields[name].attribute)] = data.draw(st.sampled_from(SPELLINGS[name]))
    for name in data.draw(st.sets(st.sampled_from(NULLABLE), max_size=2)):
        item[str(SCHEMA.fields[name].attribute)] = {"NULL": True}
    return {**item, **data.draw(st.sampled_from([{}, MORE]))}


@pytest.mark.needs("empty_strings")
@pytest.mark.promise("W8")
def test_what_is_exported_is_imported_as_it_was(manager: Manager, tmp_path: Path) -> None:
    """Every kind of field in every spelling, nulls, empty things, binaries, sets in documents, strange attributes."""
    home, file = manager.repository(Everything), tmp_path / "items.jsonl"

    @many(25)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        emptied(manager)
        for _ in range(3):
            manager.client.put_item(TableName=manager.table_name, Item=raw_item(data))
        before = stored(manager)
        with file.open("wb") as target:
            list(export_to(home, scanner_for(home, None), target.write))
        emptied(manager)
        steps = list(import_items(home, None, file))
        assert [finding.text for step in steps for finding in step.found] == []
        after = stored(manager)
        assert after.keys() == before.keys()
        for place, item in before.items():
            assert after[place].keys() == item.keys()
            assert all(same_stored(after[place][name], value) for name, value in item.items())

    run()
