"""The page on model files: its files are written, its commands and programs run, in the order they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from dynamo_bao.mapping.definition import camel_case
from dynamo_bao.modelfiles.field_types import BUILT_IN
from dynamo_bao.modelfiles.model_reader import KEYS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "model-files.md"


def blocks() -> list[tuple[str, str]]:
    """Every code block with its language."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def run(arguments: list[str], folder: Path) -> str:
    """What a command prints."""
    result = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_the_page_runs(tmp_path: Path) -> None:
    """A block that begins with a file's name is that file; a text is what the block before it prints."""
    program, printed = "", ""
    for language, code in blocks():
        name = re.match(r"# (\S+\.\w+)\n", code)
        if name:
            (tmp_path / name[1]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name[1]).write_text(code)
        elif language == "python":
            program += code
            printed = run([sys.executable, "-W", "error", "-c", program], tmp_path)
        elif language == "sh":
            command = code.replace("bao ", f"{sys.executable} -m dynamo_bao ", 1)
            printed = run(["bash", "-ec", command], tmp_path)
        else:
            assert (language, printed) == ("text", code)
    assert (
        "from fields.email_field import EmailField" in (tmp_path / "app" / "models" / "user.py").read_text()
    )


def test_the_page_names_every_key_and_option() -> None:
    """Those that the reader knows, each in backquotes."""
    options = {camel_case(name) for kind in BUILT_IN.values() for name in kind.options}
    text = PAGE.read_text()
    known = {*KEYS, *BUILT_IN, *options} - {"searchConfig"}
    assert [name for name in sorted(known) if f"`{name}`" not in text] == []
