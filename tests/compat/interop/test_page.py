"""The page on shared tables: its files are written, and its programs of both languages run in the order they stand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from dynamo_bao.modelfiles import load_models
from dynamo_bao.models.class_builder import schema_of
from tests.compat.interop.javascript import HERE, environment, run_program
from tests.support import programs
from tests.support.patience import PATIENCE

ROOT = HERE.parents[2]
PAGE = ROOT / "docs" / "how-to" / "shared-tables.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"(?:#|//) (\S+\.\w+)\n")


def ran(arguments: list[str], folder: Path, around: dict[str, str]) -> str:
    """What a program prints."""
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=False, cwd=folder, env=around, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_page_runs(tmp_path: Path, library: Path, endpoint: str, client: Any) -> None:
    """Python makes the table and writes, JavaScript works with that and writes, and Python with what it wrote."""
    around = {
        **environment(library, endpoint),
        "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
        "PYTHONPATH": str(ROOT),
    }
    blocks = BLOCK.findall(PAGE.read_text())
    for _, code in blocks:  # the file that JavaScript is started with stands at the page's end
        name = NAME.match(code)
        if name:
            (tmp_path / name[1]).write_text(code)
    run_program(library, endpoint, "codegen.js", "models.yaml", "models", cwd=tmp_path)
    printed = ""
    for language, code in blocks:
        name = NAME.match(code)
        if language == "python" and name:
            printed = ran([sys.executable, "-W", "error", name[1]], tmp_path, around)
        elif language == "js" and name and name[1] != "local.js":
            node = programs.node() or "node"
            printed = ran([node, "--require", "./local.js", name[1]], tmp_path, around)
        elif language == "text":
            assert printed == code
            printed = ""
    assert printed == ""
    client.delete_table(TableName="club")


def test_the_class_by_hand_is_that_of_the_file(tmp_path: Path) -> None:
    """The page's two ways of saying the model agree."""
    written = {name[1]: code for _, code in BLOCK.findall(PAGE.read_text()) if (name := NAME.match(code))}
    (tmp_path / "models.yaml").write_text(written["models.yaml"])
    said: dict[str, Any] = {"__name__": "by_hand"}
    exec(
        written["by_hand.py"].replace(
            "from datetime", "from __future__ import annotations\nfrom datetime", 1
        ),
        said,
    )
    one, other = schema_of(said["Member"]), schema_of(load_models(tmp_path / "models.yaml")["Member"])
    assert {name: (type(f), f.attribute, f.nullable) for name, f in one.fields.items()} == {
        name: (type(f), f.attribute, f.nullable) for name, f in other.fields.items()
    }
    for name in ("name", "prefix", "key_format", "iterable", "buckets", "key_names"):
        assert getattr(one, name) == getattr(other, name)
    assert {i.name: (i.id, str(i.parts[0].field), str(i.parts[1].field)) for i in one.indexes.values()} == {
        i.name: (i.id, str(i.parts[0].field), str(i.parts[1].field)) for i in other.indexes.values()
    }


def test_the_page_names_the_version_that_is_tested() -> None:
    """What it says to install is what the tests install."""
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["dynamo-bao"]
    assert f"npm install dynamo-bao@{wanted}\n" in PAGE.read_text()
    assert f"DynamoBao {wanted}" in PAGE.read_text()
