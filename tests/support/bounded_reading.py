"""Reads model files, each in a child process that has one second of CPU and 64 MB more than it starts with.

``python -m tests.support.bounded_reading [--pure] FILE…`` prints a JSON object: by file the error's kind and
text, the CPU seconds used, and by how many MB the most memory that was held grew. The limits are the system's:
a child over one of them is killed, or gets a `MemoryError`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from dynamo_bao.modelfiles import nodes
from dynamo_bao.modelfiles.loading import load

SECONDS = 1
MEGABYTES = 64


def main(arguments: list[str]) -> None:
    """Reads the files and prints what came of each."""
    if "--pure" in arguments:
        nodes.has_libyaml = lambda: False
    nodes.parse("a: 1", "warm", nodes.Budget())
    json.dump({file: outcome(file) for file in arguments if file != "--pure"}, sys.stdout)


def outcome(file: str) -> dict[str, Any]:
    """What a child process says of one file; how it ended, where it could not say anything."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.write(write, json.dumps(attempt(file)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return (
        json.loads(said) if said else {"kind": f"ended by {status}", "text": "", "seconds": SECONDS, "mb": 0}
    )


def attempt(file: str) -> dict[str, Any]:
    """Reads a file under the limits."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (MEGABYTES << 20),) * 2)
    before = resource.getrusage(resource.RUSAGE_SELF)
    used = before.ru_utime + before.ru_stime
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + SECONDS,) * 2)
    try:
        load(file, None, key_format="dynamo-bao", iterable_default=False)
        kind, text = "loaded", ""
    except Exception as error:
        kind, text = type(error).__name__, str(error)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "kind": kind,
        "text": text,
        "seconds": after.ru_utime + after.ru_stime - used,
        "mb": (after.ru_maxrss - before.ru_maxrss) / 1024,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
