"""Run one engine as a child process: find a port, wait until it answers, and stop it for certain."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.support.patience import PATIENCE

HOST = "127.0.0.1"
STOP_TIMEOUT = 5.0
ANSWER_TIMEOUT = 30.0
POLL_INTERVAL = 0.05
LOG_TAIL = 4000
LAUNCHER = Path(__file__).with_name("launch.py")


class ServerError(Exception):
    """An engine did not start, or died; the message ends with its log."""


def free_port() -> int:
    """A loopback port nobody uses, and that the system gives to nobody else for a while.

    One connection is made and closed on it, server side first, which leaves the port in TIME_WAIT: a server
    may still bind it, as servers set SO_REUSEADDR, but it is not handed out again as a free port. So test
    processes that look for a port at the same moment never get the same one.
    """
    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, 0))
        listener.listen(1)
        client.connect(listener.getsockname())
        listener.accept()[0].close()
        port: int = listener.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether something speaks HTTP on the port; which status it gives does not matter."""
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_TIMEOUT)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


class Server:
    """A running engine. `{port}` in its command stands for the port it is given."""

    def __init__(self, name: str, command: Sequence[str], cwd: Path) -> None:
        self.name = name
        self.port = free_port()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        try:
            self._process = self._spawn([part.replace("{port}", str(self.port)) for part in command], cwd)
        except BaseException:
            self._log.close()
            raise
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def _spawn(self, command: list[str], cwd: Path) -> subprocess.Popen[bytes]:
        """Start it in a session of its own, so that Ctrl-C reaches only the tests, which then stop it."""
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not answers(self.port):
            self.check()
            if time.monotonic() > deadline:
                self._end_process()
                raise ServerError(f"{self.name} did not answer within {PATIENCE:g} s{self._log_tail()}")
            self._pause()
        self.check()

    def _pause(self) -> None:
        """Wait a moment, or less if the process ends."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(POLL_INTERVAL)

    def check(self) -> None:
        """Raise `ServerError`, showing the log, if the process has ended."""
        status = self._process.poll()
        if status is not None:
            raise ServerError(f"{self.name} died with exit status {status}{self._log_tail()}")

    def _log_tail(self) -> str:
        """The end of the log. Only for a dead process: it shares the file position with a living one."""
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return f"; its log:\n{text[-LOG_TAIL:]}" if text else "; its log is empty"

    def _end_process(self) -> None:
        """Ask it to end, and kill it if it does not, or if a second Ctrl-C cuts the waiting short."""
        try:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
        finally:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End the process and let go of its log."""
        try:
            self._end_process()
        finally:
            self._log.close()
