"""JSON by each of three modules: the same bytes, the same values, and the same errors."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from dynamo_bao.runtime.json import JsonModule, from_msgspec, from_orjson, from_standard_library


@pytest.fixture(
    scope="module",
    params=[from_orjson, from_msgspec, from_standard_library],
    ids=["orjson", "msgspec", "json"],
)
def module(request: pytest.FixtureRequest) -> JsonModule:
    make: Callable[[], JsonModule] = request.param
    return make()


class Text(str):
    """A text of a class of its own."""


class Number(int):
    """A number of a class of its own."""


WRITTEN = [
    (
        {"a": [1, 2.5, True, None, 'é\u2028\x00"\\'], "b": {}},
        '{"a":[1,2.5,true,null,"é\u2028\\u0000\\"\\\\"],"b":{}}',
    ),
    ({"z": 1, "a": (2, [])}, '{"z":1,"a":[2,[]]}'),
    ({"B": b"ab"}, '{"B":"YWI="}'),
    ([bytearray(b"ab"), memoryview(b"ab")], '["YWI=","YWI="]'),
    ({"SS": {"x"}}, '{"SS":["x"]}'),
    ({"N": Decimal("1.50")}, '{"N":"1.50"}'),
    ({1: "one"}, '{"1":"one"}'),
    ({Text("k"): Text("v"), "n": Number(5)}, '{"k":"v","n":5}'),
    (float("nan"), "null"),
    ([2**63, -(2**63)], "[9223372036854775808,-9223372036854775808]"),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=lambda part: str(part)[:20])
def test_values_are_written_alike(module: JsonModule, value: object, text: str) -> None:
    assert module.dumps(value) == text.encode()


def test_pieces_are_written_as_they_are(module: JsonModule) -> None:
    piece = module.piece(b'[ {"S":"x"} ]')
    assert module.dumps({"RequestItems": {"t": piece}}) == b'{"RequestItems":{"t":[ {"S":"x"} ]}}'


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    ["\ud800", {"a": "x\udfff"}, object(), [object()], nested(1_000_000)],
    ids=["text", "member", "object", "in a list", "nested"],
)
def test_what_json_cannot_hold_is_a_type_error(module: JsonModule, value: object) -> None:
    with pytest.raises(TypeError):
        module.dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '"\\ud83d\\ude00"',
        " {} ",
        "[-0, 1.0, 1e5, 0.1, 9007199254740993]",
        "null",
        '"\\u0000é"',
    ],
)
def test_values_are_read_alike(module: JsonModule, text: str) -> None:
    value = module.loads(text.encode())
    assert value == json.loads(text)
    assert repr(value) == repr(json.loads(text))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{}x", b"\xff", b'{"a":"\xff"}', b"NaN", b"-Infinity", b"1e400", b"[" * 100_000 + b"]" * 100_000,
        b"\xef\xbb\xbf{}", b'"\x01"', b"01", b"[1,]", b"{'a':1}", b'"\\ud800"',
    ],
    ids=lambda body: repr(body)[:14],
)  # fmt: skip
def test_what_is_no_json_is_a_value_error(module: JsonModule, body: bytes) -> None:
    with pytest.raises(ValueError):
        module.loads(body)


@pytest.mark.parametrize(("length", "fewest", "most"), [(2, 100, 1000), (100_000, 2, 10)])
def test_a_program_begins_with_pythons_own_json(length: int, fewest: int, most: int) -> None:
    """It goes on with the compiled module, sooner if the texts are long."""
    program = f"""
import sys
from dynamo_bao.runtime.json import dumps, loads
text, count = {length} * "x", 0
while not {{"orjson", "msgspec"}} & sys.modules.keys():
    assert loads(dumps({{"text": text}})) == {{"text": text}}
    count += 1
print(count)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert fewest <= int(result.stdout) <= most


SCENARIO = """
from dynamo_bao import *
from dynamo_bao.runtime.json import json_module

class Box(Model, prefix="b", iterable=True):
    name: str
    content: bytes | None = None
    tags: set[str] = StringSetField()
    prefs: dict | None = None
    code: str | None = None
    primary_key = PrimaryKey("name")
    by_code = Index("code", "name", id="gsi1")
    unique_code = UniqueConstraint("code", id="uc1")

class Note(Model, prefix="n"):
    note_id: str = UlidField(auto_assign=True)
    text: str
    primary_key = PrimaryKey("note_id")

with init_models(models=[Box, Note], embedded=True) as manager:
    text = "\\u00e9\\u2028 quoted: \\" \\\\ \\U0001f600"
    Box.create(name=text, content=b"\\x00\\xff", tags={"a", text}, prefs={"deep": [1, {"x": None}]}, code="1")
    with run_with_batch_context() as session:
        notes = [Note(text=text + str(number)) for number in range(30)]
        for note in notes:
            session.add(note)
        session.commit()
    with run_with_batch_context():
        box = Box.find(text)
        assert (box.content, box.tags, box.prefs) == (b"\\x00\\xff", {"a", text}, {"deep": [1, {"x": None}]})
        found = [Note.find(note.note_id) for note in notes]
        assert sorted(note.text for note in found) == sorted(note.text for note in notes)
        assert [box.name for box in Box.by_code.query("1")] == [text]
        box.prefs = {"other": 1}
        box.save()
    assert [[box.prefs for box in boxes] for boxes in Box.iterate_all()] == [[{"other": 1}]]
    try:
        Note.create(text="\\ud800")
    except ValidationError:
        pass
    else:
        raise AssertionError("a lone surrogate was stored")
print(json_module().name)
"""


@pytest.mark.parametrize("installed", ["None", "types.ModuleType('orjson')"], ids=["none", "too old"])
def test_the_library_works_without_orjson(installed: str) -> None:
    """Writes, batches, queries and iterations, of texts and binaries that need care. All other tests have orjson."""
    program = f"import sys, types\nsys.modules['orjson'] = {installed}\n{SCENARIO}"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "msgspec"
