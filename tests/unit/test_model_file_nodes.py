"""YAML as model files have it: what values mean, and what is refused with its line."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest

from dynamo_bao import ConfigurationError, ModelFileError
from dynamo_bao.modelfiles import yaml_nodes
from dynamo_bao.modelfiles.yaml_nodes import MAX_DEPTH, MAX_NODES, Budget, parse


@pytest.fixture(params=["libyaml", "pure Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Either of PyYAML's parsers."""
    if request.param == "pure Python":
        monkeypatch.setattr(yaml_nodes, "has_libyaml", lambda: False)
    return str(request.param)


def value(text: str) -> Any:
    return parse(text, "models.yaml", Budget()).plain()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("# nothing", None),
        ("~", None),
        ("Null", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("12", 12),
        ("-3", -3),
        ("017", 17),
        ("0o17", 15),
        ("0xff", 255),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("2024-05-01", "2024-05-01"),
        ("12:30:45", "12:30:45"),
        ("1_000", "1_000"),
        ("'12'", "12"),
        ('"true"', "true"),
        ('"a\\nb"', "a\nb"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        ("{a: [1, b], 2: {}}", {"a": [1, "b"], "2": {}}),
        ("a:\n  - b: 1\n", {"a": [{"b": 1}]}),
        ("\ufeffa: 1", {"a": 1}),
        ("9" * 61, "9" * 61),
    ],
)
@pytest.mark.usefixtures("parser")
def test_values_mean_what_they_mean_in_javascript(text: str, expected: Any) -> None:
    """By YAML 1.2's core schema, whichever parser there is: no country becomes a boolean, no date a date."""
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


HOSTILE = [
    ("!!python/object/apply:os.system ['id']", 1, "the tag"),
    ("a: !!python/name:os.system", 1, "the tag"),
    ("a: !!str x", 1, "the tag"),
    ("a: ! x", 1, "the tag"),
    ("a: 1\nb: &x {c: 1}\n", 2, "&x is an anchor"),
    ("a: *x\n", 1, r"\*x is an alias"),
    ("a: 1\nb:\n  <<: {c: 1}\n", 3, "'<<' merges"),
    ("a: 1\nb: 2\na: 3\n", 3, "'a' is here a second time; it is first in line 1"),
    ("a: {b: 1, 'b': 2}", 1, "'b' is here a second time"),
    ("a: 1\n---\nb: 2\n", 2, "a second document"),
    ("? [a]\n: b", 1, "a key must be a string"),
    ("? {a: 1}\n: b", 1, "a key must be a string"),
    (f"? {'k' * 201}\n: b", 1, "a key is longer than 200 characters"),
    ("a: 1\nb: \x07\n", 2, r"the control character '\\x07'"),
    ("a: 1\nb: \ud800\n", 2, "the control character"),
    ("a: [1\nb: 2", None, "not valid YAML"),
    ("a: 'x", None, "not valid YAML"),
    ("%YAML 3.0\n--- a", None, "not valid YAML"),
]


@pytest.mark.parametrize(("text", "line", "why"), HOSTILE)
@pytest.mark.usefixtures("parser")
def test_what_model_files_have_not_is_refused_with_its_line(text: str, line: int | None, why: str) -> None:
    """Tags, anchors, aliases, merges, second keys and documents; broken YAML."""
    with pytest.raises(ModelFileError, match=why) as caught:
        value(text)
    assert caught.value.file == "models.yaml"
    assert str(caught.value).startswith(f"models.yaml:{caught.value.line}: ")
    if line is not None:
        assert caught.value.line == line


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.usefixtures("parser")
def test_depth_is_bounded() -> None:
    """The deepest that is read, and one level more."""
    assert value(nested(MAX_DEPTH)) is not None
    with pytest.raises(ModelFileError, match=f"nested deeper than {MAX_DEPTH} levels"):
        value(nested(MAX_DEPTH + 1))


def test_the_number_of_values_is_bounded() -> None:
    """The most that are read, and one more; the list itself is one, and a key and its value are two."""
    assert len(value(f"[{'a,' * (MAX_NODES - 1)}]")) == MAX_NODES - 1
    with pytest.raises(ModelFileError, match=f"more than the {MAX_NODES:,} values"):
        value(f"[{'a,' * MAX_NODES}]")
    with pytest.raises(ModelFileError, match="values"):
        value("{" + "".join(f"k{number}: a," for number in range(MAX_NODES // 2)) + "}")


def test_without_pyyaml_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a bare ModuleNotFoundError."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigurationError, match=r"dynamo_bao\[yaml\]"):
        value("a: 1")
