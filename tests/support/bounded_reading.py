"""Reads model files, each in a child process with limits of work, CPU and memory.

``python -m tests.support.bounded_reading [--pure] FILE…`` prints a JSON object: by file the error's kind and
text, the CPU seconds used, the functions called, and by how many MB the most memory that was held grew. The
limits of CPU and memory are the system's: a child over one of them is killed, or gets a `MemoryError`. That of
CPU only ends what would never end: how long the same work takes depends on what else the machine does, so
tests judge the number of calls.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from dynamo_bao.modelfiles import yaml_nodes
from dynamo_bao.modelfiles.loader import load

SECONDS = 60
MEGABYTES = 64


def main(arguments: list[str]) -> None:
    """Reads the files and prints the result of each."""
    if "--pure" in arguments:
        yaml_nodes.has_libyaml = lambda: False
    yaml_nodes.parse("a: 1", "warm", yaml_nodes.Budget())
    json.dump({file: outcome(file) for file in arguments if file != "--pure"}, sys.stdout)


def outcome(file: str) -> dict[str, Any]:
    """The results of one file in two child processes: one under the limits, one that counts calls."""
    limited = child_process(lambda: attempt(file))
    if limited["kind"].startswith("ended by"):
        return {**limited, "calls": 0}
    return {**limited, **child_process(lambda: {"calls": calls(file)})}


def child_process(work: Any) -> dict[str, Any]:
    """The result of `work` in a child process. If the child gave none, how it ended."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.write(write, json.dumps(work()).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said: dict[str, Any] = json.loads(pipe.read() or "null")
    _, status = os.waitpid(child, 0)
    return said or {"kind": f"ended by {status}", "text": "", "seconds": SECONDS, "mb": 0}


def attempt(file: str) -> dict[str, Any]:
    """Reads a file under the limits."""
    # Imported here: there is no such module on Windows, where the tests of limits are skipped.
    import resource

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (MEGABYTES << 20),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS,) * 2)
    before = resource.getrusage(resource.RUSAGE_SELF)
    kind, text = read_file(file)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "kind": kind,
        "text": text,
        "seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "mb": (after.ru_maxrss - before.ru_maxrss) / 1024,
    }


def read_file(file: str) -> tuple[str, str]:
    """The kind and text of the error that reading a file raises."""
    try:
        load(file, None, key_format="dynamo-bao", iterable_default=False)
    except Exception as error:
        return type(error).__name__, str(error)
    return "loaded", ""


def calls(file: str) -> int:
    """The number of function calls that reading a file takes."""
    called = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal called
        called += event == "call" or event == "c_call"

    sys.setprofile(count)
    try:
        read_file(file)
    finally:
        sys.setprofile(None)
    return called


if __name__ == "__main__":
    main(sys.argv[1:])
