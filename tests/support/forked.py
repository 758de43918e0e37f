"""A program that is run many times: each run is forked from a process that has imported what the program needs.

Importing it takes most of the time of a short program. The file is the whole of both sides: the tests' process starts
the server, and the program's file starts the client, which has nothing but Python's own modules.
"""

from __future__ import annotations

import marshal
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_BYTES = 1_000_000


@contextmanager
def forked_program(file: Path, code: str, modules: list[str], environment: dict[str, str]) -> Iterator[None]:
    """Makes `file` a program of Python code, as ``python -c code`` would run it, for the length of the block.

    Args:
        file: the program; a socket stands beside it.
        code: what it runs.
        modules: what is imported before.
        environment: where it is imported; each run has an environment of its own.
    """
    import shlex
    import subprocess

    address = f"{file}.socket"
    command = f"from tests.support.forked import serve; serve({address!r}, {code!r}, {modules!r})"
    server = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, env=environment)
    assert server.stdout is not None
    try:
        assert server.stdout.read(1) == b"."
        client = shlex.join([sys.executable, "-I", "-S", __file__, address])
        file.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
        file.chmod(0o755)
        yield
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def serve(address: str, code: str, modules: list[str]) -> None:
    """Forks a run for each client."""
    import importlib
    import signal

    for name in modules:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets the runs that have ended
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, b".")
        while True:
            client, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _run(client, code)
            client.close()


def _run(client: socket.socket, code: str) -> None:
    """Runs the code with the client's files, folder, environment and arguments, and tells it the exit status."""
    import atexit
    import traceback

    message, files, _, _ = socket.recv_fds(client, MOST_BYTES, 3)
    folder, environment, arguments = marshal.loads(message)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    status = 0
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    client.send(bytes([status]))
    os._exit(status)


def ask(address: str, arguments: list[str]) -> int:
    """Has the server run the program here; gives its exit status."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        call = marshal.dumps((os.getcwd(), dict(os.environ), arguments))
        socket.send_fds(server, [call], [0, 1, 2])
        return (server.recv(1) or b"\x01")[0]


if __name__ == "__main__":
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
