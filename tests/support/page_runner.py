"""Runs pages of the documentation in this process: ``python -m tests.support.page_runner PAGE …``.

Tests fork it from a process that has imported what most pages need.
"""

from __future__ import annotations

import importlib
import io
import re
import subprocess
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from dynamo_bao.models.registry import default_managers
from tests.support.pages import Block, blocks_of, chain

IMPORTED = [
    "tests.support.page_runner",
    "boto3",
    "moto.core.utils",
    "moto.dynamodb.responses",
    "msgspec",
]
PROGRAM = "from tests.support.page_runner import main; main()"
VARYING = {
    r" *\b\d+(\.\d+)? ?m?s\b": " TIME",
    r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b": "ULID",
    r"(\S+\.(md|py)|<\S+>):\d+\b": "LINE",
}


class OutputError(AssertionError):
    """A block printed something else than its page shows."""


class Page:
    """A page while it runs."""

    def __init__(self) -> None:
        self._printed = ""
        self._start_program()

    def _start_program(self) -> None:
        self._module = ModuleType("__main__")
        sys.modules["__main__"] = self._module

    def run(self, block: Block) -> None:
        """Carries out one block."""
        if not block.runs:
            return
        if block.file is not None:
            file = Path(block.file)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code, encoding="utf-8")
            forget_modules(file.parts[0].removesuffix(".py"))
        elif block.language == "python":
            self._printed = self._output(block)
        elif block.language == "text":
            compare(block.place, self._printed, block.code)
        elif block.language == "console":
            for command, output in commands(block.code):
                compare(f"{block.place}: {command}", shell(command), output)

    def _output(self, block: Block) -> str:
        if block.mark == "new program":
            for manager in default_managers():
                manager.close()
            self._start_program()
        code = compile("\n" * block.line + block.code, block.page, "exec")
        with redirect_stdout(io.StringIO()) as output:
            exec(code, self._module.__dict__)
        return output.getvalue()


def forget_modules(top: str) -> None:
    """Has the modules of a package imported again, as one of its files is new."""
    for name in list(sys.modules):
        if name.split(".")[0] == top:
            del sys.modules[name]
    importlib.invalidate_caches()


def commands(code: str) -> list[tuple[str, str]]:
    """The commands of a console, each with the output that stands below it."""
    commands: list[tuple[str, str]] = []
    for line in code.splitlines(keepends=True):
        if line.startswith("$ "):
            commands.append((line[2:].rstrip("\n"), ""))
        elif commands[-1][0].endswith("\\"):
            commands[-1] = (f"{commands[-1][0]}\n{line.rstrip()}", "")
        else:
            commands[-1] = (commands[-1][0], commands[-1][1] + line)
    return commands


def shell(command: str) -> str:
    """What a command writes, to both of its outputs."""
    result = subprocess.run(
        ["/bin/sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8000", result.stdout)  # as DynamoDB Local has it


def compare(place: str, output: str, page: str) -> None:
    """Refuses output that is not what the page shows; times, ULIDs and lines of code may differ."""
    pattern = ".*?".join(map(re.escape, steady(page).split("…")))
    if not re.fullmatch(pattern, steady(output), re.DOTALL):
        raise OutputError(f"{place} writes\n{output}\nand not\n{page}")


def steady(output: str) -> str:
    """Output without what differs from run to run, and without spaces at the ends of lines."""
    for pattern, name in VARYING.items():
        output = re.sub(pattern, name, output)
    return "\n".join(map(str.rstrip, output.strip().splitlines()))


def main() -> None:
    """Runs the pages that the arguments name, each after those that it continues, in the current folder."""
    warnings.simplefilter("error")
    warnings.filterwarnings(
        "ignore", "The anyio", DeprecationWarning
    )  # old versions of Starlette use its old names
    sys.dont_write_bytecode = True  # a file may be written twice within the second that its age is known by
    sys.path.insert(0, "")
    for name in sys.argv[1:]:
        page = Page()
        for part in chain(name):
            for block in blocks_of(part):
                page.run(block)


if __name__ == "__main__":
    main()
