"""The line of the program that calls the library, for warnings, traces and errors.

This module stays at the top of the package: every file in its folder or below is the library's own.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings

from dynamo_bao.runtime.named_tuples import NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
MAX_FILES = 1000
"""How many file names are remembered. In a notebook, every cell has its own."""


def warn_once(text: str, category: type[Warning], warned_lines: set[tuple[str, int]]) -> None:
    """Warns about the line of the program that calls the library, once for each line.

    Args:
        text: the warning, with ``{place}`` for the file and line.
        category: its class.
        warned_lines: the lines that have a warning already; the calling line is added.
    """
    filename, line = calling_line()
    if (filename, line) in warned_lines:
        return
    warned_lines.add((filename, line))
    location = f"{filename}:{line}"
    warnings.warn_explicit(text.replace("{place}", location), category, filename, line, source=None)


class _OwnFiles(dict[str, bool]):
    """By file name, whether the file is the library's own, or one that is never the caller."""

    def __missing__(self, filename: str) -> bool:
        if len(self) >= MAX_FILES:
            self.clear()
        is_ours = filename.startswith((_PACKAGE, "<attrs generated", "<dynamo_bao", contextlib.__file__))
        self[filename] = is_ours
        return is_ours


_is_ours = _OwnFiles()


def calling_line() -> tuple[str, int]:
    """File and line of the innermost frame that is not this library's."""
    frame = sys._getframe(1)
    while _is_ours[frame.f_code.co_filename]:
        outer = frame.f_back
        if outer is None:
            break
        frame = outer
    return frame.f_code.co_filename, frame.f_lineno


class CallSite(NamedTuple):
    """A line of the program: the one that made a round necessary."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def relative(self) -> str:
        """The line with the path below the working directory, or else below the folder that the file is imported from.

        Example:
            >>> CallSite("/home/ada/shop/views.py", 3).relative    # in /home/ada
            'shop/views.py:3'
        """
        folders = [os.getcwd(), *sorted(map(os.path.abspath, sys.path), key=len, reverse=True)]
        for folder in folders:
            prefix = os.path.join(folder, "")
            if folder != os.sep and self.file.startswith(prefix):
                return f"{self.file[len(prefix) :]}:{self.line}"
        return str(self)
