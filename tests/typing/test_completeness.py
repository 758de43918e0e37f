"""Every name of the package says its type, so that no checker has to infer one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

OF_UNTYPED_BASES = {
    "dynamo_bao.celery.BaoTask",
    "dynamo_bao.django.BaoConfig",
    "dynamo_bao.django.BaoJSONEncoder",
}
"""Subclasses of classes of Celery and Django, which have no types. Stubs for both make these known too."""


def test_all_types_are_written_down(tmp_path: Path) -> None:
    """pyright infers no type of an attribute, a parameter or a result. The remedy is an annotation."""
    interpreters = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pyright", "--verifytypes", "dynamo_bao", "--ignoreexternal"),
            *("--outputjson", "--pythonpath", sys.executable),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,  # a folder without settings
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": interpreters,
        },  # pyright asks the first python of PATH
    )
    report = json.loads(result.stdout)["typeCompleteness"]
    assert Path(report["moduleRootDirectory"]) == ROOT / "dynamo_bao"
    assert report["exportedSymbolCounts"]["withKnownType"] > 5000
    faults = {
        symbol["name"]: [diagnostic["message"] for diagnostic in symbol["diagnostics"]]
        for symbol in report["symbols"]
        if symbol["isExported"] and not symbol["isTypeKnown"]
    }
    assert {name: texts for name, texts in faults.items() if name not in OF_UNTYPED_BASES} == {}
    assert set(faults) == OF_UNTYPED_BASES
