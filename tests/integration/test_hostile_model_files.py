"""X5: hostile model files are refused within a second of work and 64 MB, and nothing in them runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are set as Linux has them")
ROOT = Path(__file__).parents[2]
MOST_CALLS = 6_000_000
"""What one second of a quiet machine is enough for, counted so that a busy machine changes nothing."""

USER = (
    "models: {User: {modelPrefix: u, fields: {userId: {type: UlidField, autoAssign: true}}, "
    "primaryKey: {partitionKey: userId}}}\n"
)
TAGS = (
    "!!python/object/apply:os.system ['touch RAN']",
    "models: !!python/object/apply:subprocess.check_output [['touch', 'RAN']]",
    "!!python/object/new:type {args: [x, !!python/tuple [], {x: 1}]}",
    '!!js/function \'function () { require("fs").writeFileSync("RAN", "") }\'',
    "%TAG ! tag:yaml.org,2002:python/\n---\n!name:os.system {}",
)
BOMB = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

HOSTILE: Mapping[str, tuple[str, str]] = {
    **{f"tag {number}": (text, "tag") for number, text in enumerate(TAGS)},
    "alias bomb": (BOMB, "&a is an anchor"),
    "alias to itself": ("&a [*a]", "&a is an anchor"),
    "merge bomb": (f"{USER}x: {{<<: {{}}}}", "'<<' merges"),
    "key twice": (f"{USER}models: {{}}", "a second time"),
    "10,000 documents": ("---\n" * 10_000, "second document|file is"),
    "100 MB": ("", "more than the"),
    "1 MB of text": (f"models: '{'x' * 900_000}'", "a long text|more than the"),
    "lists in lists": ("models: " + "[" * 100_000, "nested deeper|nesting depth"),
    "mappings in mappings": ("{a: " * 30_000, "nested deeper|nesting depth"),
    "block in block": ("- " * 60_000, "nested deeper|nesting depth"),
    "indented deeper and deeper": ("".join(f"{' ' * depth}a:\n" for depth in range(400)), "nested deeper"),
    "keys that are mappings": ("? " * 60_000, "a key must be a string"),
    "many values": (f"[{'a,' * 60_000}]", "values|file is a list"),
    "many keys": (
        "{" + "".join(f"k{number}: a," for number in range(15_000)) + "}",
        "values|no top-level key",
    ),
    "one key of 100,000 letters": ("{" + "k" * 100_000 + ": 1}", "longer than|could not find|not valid YAML"),
    "many letters of a number": (f"models: {'9' * 100_000}", "a long text"),
    "many anchors": ("&a " * 40_000, "anchor|not valid YAML"),
    "nothing but colons": (":" * 100_000, "not valid YAML|file is"),
    "open quotes": ('"' + "x\n" * 60_000, "not valid YAML"),
    "lines without end": ("a\n" * 60_000, "file is"),
    "comments": ("#\n" * 60_000, "file is empty"),
    "zeros": ("\0" * 100_000, "control character"),
    "many models": (
        "models:\n" + "".join(f"  M{n}: {{modelPrefix: x{n:03x}, fields: {{}}}}\n" for n in range(3_000)),
        "M0 has no (fields|primaryKey)",
    ),
    "many fields": (
        "models: {User: {modelPrefix: u, fields: {"
        + ", ".join(f"f{n}: {{type: UlidField}}" for n in range(3_000))
        + "}}}",
        "more than 1,000 fields",
    ),
    "a name like every other": (
        "models: {User: {modelPrefix: u, primaryKey: {partitionKey: f}, fields: {"
        + ", ".join(f"f{n}: {{type: UlidField}}" for n in range(1_000))
        + "}}}",
        "'f' as partitionKey, which is not a field",
    ),
    "a type that is a path": (USER.replace("UlidField", "'../../RAN'"), "unknown field type"),
    "code for a name": (USER.replace("userId", "'x: __import__(1)'"), "not a valid Python name"),
    "code for a model": (USER.replace("User:", "'User(object)':"), "not a valid class name"),
}

HARDEST = ("tag 0", "alias bomb", "many values", "many keys", "1 MB of text", "lists in lists", "open quotes")
"""Those that take PyYAML's own parser longest, or that are about YAML alone."""


def read(folder: Path, names: Iterable[str], *options: str) -> dict[str, dict[str, Any]]:
    """What came of files, by their names."""
    files = {}
    for number, name in enumerate(names):
        path = folder / f"{number}.yaml"
        path.write_text(HOSTILE[name][0])
        if name == "100 MB":
            os.truncate(path, 100_000_000)
        files[name] = str(path)
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.bounded_reading", *options, *files.values()],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    outcomes = json.loads(result.stdout)
    return {name: outcomes[path] for name, path in files.items()}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return read(tmp_path_factory.mktemp("hostile"), HOSTILE)


@pytest.fixture(scope="module")
def outcomes_without_libyaml(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return read(tmp_path_factory.mktemp("hostile"), HARDEST, "--pure")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.promise("X5")
def test_hostile_files_are_refused(outcomes: dict[str, dict[str, Any]], name: str) -> None:
    """With an error of model files, not one of memory nor by the end of the process; and by the right one."""
    refused(outcomes[name], name)


@pytest.mark.parametrize("name", HARDEST)
@pytest.mark.promise("X5")
def test_without_libyaml_too(outcomes_without_libyaml: dict[str, dict[str, Any]], name: str) -> None:
    """Where PyYAML's own parser steps in, for files of at most 128 KB."""
    refused(outcomes_without_libyaml[name], name)


def refused(outcome: dict[str, Any], name: str) -> None:
    assert outcome["kind"] == "ModelFileError", outcome
    assert 0 < outcome["calls"] < MOST_CALLS
    assert len(outcome["text"]) < 1_000
    with pytest.raises(ValueError, match=HOSTILE[name][1]):
        raise ValueError(outcome["text"])


@pytest.mark.promise("X5")
def test_figures(outcomes: dict[str, dict[str, Any]]) -> None:
    """The most work, CPU time and memory that any of them took; the limit of memory is the operating system's."""
    seconds, calls, megabytes = (
        max(outcome[name] for outcome in outcomes.values()) for name in ("seconds", "calls", "mb")
    )
    print(
        f"\nX5: {len(outcomes)} files, each refused in {seconds:.2f} s, {calls:,} calls, {megabytes:.0f} MB at most"
    )
    assert len(outcomes) == len(HOSTILE)
    assert megabytes < 64


@pytest.mark.promise("X5")
def test_nothing_runs(outcomes: dict[str, dict[str, Any]]) -> None:
    """What tags asked for was not done."""
    assert outcomes
    for folder in (ROOT, Path.cwd(), Path("/tmp")):
        assert not (folder / "RAN").exists()


@pytest.mark.promise("X5")
def test_the_limits_are_there(tmp_path: Path) -> None:
    """A reader without them would be told of: here the same process does what the files ask for."""
    code = (
        "from tests.support import bounded_reading as bounded\n"
        "bounded.SECONDS = 1\n"
        "bounded.load = lambda *args, **options: [0] * 50_000_000\n"
        "print(bounded.outcome('x')['kind'])\n"
        "def forever(*args, **options):\n    while True: pass\n"
        "bounded.load = forever\n"
        "print(bounded.outcome('x')['kind'])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    memory, time = result.stdout.splitlines()
    assert memory == "MemoryError"
    assert time.startswith("ended by")
