"""The input of a command: a file, standard input, or another stream that can be read only once."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

STDIN: Final = Path("-")
_DEVICES: Final = ("/dev/", "/proc/")


def is_stream(file: Path) -> bool:
    """Whether a path is not an ordinary file, such as ``-``, ``/dev/stdin`` or a named pipe."""
    return file == STDIN or str(file).startswith(_DEVICES) or not file.is_file()


@contextmanager
def regular_file(file: Path) -> Iterator[Path]:
    """The file to read. For a stream, it is a private copy that is deleted after the block."""
    if not is_stream(file):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="bao-") as folder:
        copy = Path(folder) / "items"
        with copy.open("wb") as target:
            if file == STDIN:
                shutil.copyfileobj(sys.stdin.buffer, target)
            else:
                with file.open("rb") as stream:
                    shutil.copyfileobj(stream, target)
        yield copy
