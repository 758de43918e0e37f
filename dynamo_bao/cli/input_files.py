"""What a command reads or writes: a file, or a stream, such as standard input or a named pipe."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

STANDARD: Final = Path("-")
"""Standard input of a command that reads, standard output of one that writes."""
_DEVICES: Final = ("/dev/", "/proc/")


def is_stream(file: Path) -> bool:
    """Whether a path is not an ordinary file, such as ``-``, ``/dev/stdin`` or a named pipe."""
    return file == STANDARD or str(file).startswith(_DEVICES) or not file.is_file()


def takes_a_stream(target: Path) -> bool:
    """Whether a path takes what is written at once: ``-``, a named pipe, or a device such as ``/dev/stdout``.

    All other paths get a new file when it is complete, also in the place of a link, so that nobody can lead the data
    elsewhere. Only links of the system, under ``/dev`` and ``/proc``, are followed.
    """
    if target == STANDARD:
        return True
    if target.is_symlink():
        return str(target).startswith(_DEVICES) and not target.is_dir()
    return target.exists() and not target.is_file() and not target.is_dir()


@contextmanager
def regular_file(file: Path) -> Iterator[Path]:
    """The file to read. For a stream, it is a private copy that is deleted after the block."""
    if not is_stream(file):
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="bao-") as folder:
        copy = Path(folder) / "items"
        with copy.open("wb") as target:
            if file == STANDARD:
                shutil.copyfileobj(sys.stdin.buffer, target)
            else:
                with file.open("rb") as stream:
                    shutil.copyfileobj(stream, target)
        yield copy


@contextmanager
def stream_to(target: Path) -> Iterator[Callable[[bytes], None]]:
    """A function that writes to a path for which `takes_a_stream` is true. What it has written is not buffered."""
    with nullcontext(sys.stdout.buffer) if target == STANDARD else target.open("ab") as stream:

        def write(content: bytes) -> None:
            stream.write(content)
            stream.flush()

        yield write
