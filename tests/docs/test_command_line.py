"""The drawing on the page about the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.pages import ROOT

FOLDER = ROOT / "docs" / "reference"


def test_the_drawing_on_the_page_is_what_bao_draws(tmp_path: Path) -> None:
    """blog.svg is the drawing of blog.py."""
    drawing = tmp_path / "blog.svg"
    code = "from dynamo_bao.cli.main import main; main()"
    arguments = ["models", "--models", str(FOLDER / "blog.py"), "-o", str(drawing)]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, cwd=ROOT)
    assert drawing.read_text() == (FOLDER / "blog.svg").read_text()
