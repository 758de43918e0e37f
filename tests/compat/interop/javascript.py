"""The JavaScript side: one long-lived node process, a line of JSON for each command and each answer."""

from __future__ import annotations

import base64
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

from tests.compat.interop.sides import Command, Found, Refused, Side
from tests.support.patience import PATIENCE
from tests.support.programs import node, path_with_node
from tests.support.server import LAUNCHER

HERE = Path(__file__).parent
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
STOP_SECONDS = 5.0


def told(value: Any) -> Any:
    """A value as the driver hears it."""
    if isinstance(value, datetime):
        return {"$date": (value - EPOCH) // timedelta(milliseconds=1)}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, (set, frozenset)):
        return {"$set": sorted(value)}
    if isinstance(value, dict):
        return {name: told(one) for name, one in value.items()}
    return [told(one) for one in value] if isinstance(value, (list, tuple)) else value


def heard(value: Any) -> Any:
    """What the driver told, as Python's values."""
    if isinstance(value, list):
        return [heard(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "$date" in value:
        return EPOCH + timedelta(milliseconds=value["$date"])
    if "$bytes" in value:
        return base64.b64decode(value["$bytes"])
    if "$set" in value:
        return set(value["$set"])
    if value.keys() == {"id", "values"}:
        return Found(value["id"], {name: heard(one) for name, one in value["values"].items()})
    if value.keys() == {"value"}:
        return heard(value["value"])
    if value.keys() == {"error", "message"}:
        return Refused(value["error"], value["message"])
    return {name: heard(one) for name, one in value.items()}


def environment(library: Path, endpoint: str) -> dict[str, str]:
    """What a program of the JavaScript library needs around it, and nothing of the developer's own account."""
    return {
        "PATH": path_with_node(),
        "HOME": "/nonexistent",
        "NODE_PATH": str(library / "node_modules"),
        "DYNAMODB_ENDPOINT": endpoint,
        "DYNAMO_BAO_LOG_LEVEL": "OFF",
        "AWS_ACCESS_KEY_ID": "dummy",
        "AWS_SECRET_ACCESS_KEY": "dummy",
        "AWS_REGION": "us-east-1",
    }


def run_program(library: Path, endpoint: str, program: str, *arguments: str, cwd: Path) -> str:
    """Runs one of the library's own command line programs to its end, and returns what it printed."""
    script = library / "node_modules" / "dynamo-bao" / "bin" / program
    command = [node() or "node", "--require", str(HERE / "endpoint.cjs"), str(script), *arguments]
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(library, endpoint),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class JavaScript(Side):
    """The driver's process. `folder` holds the models that the library's code generator wrote."""

    name = "JavaScript"

    def __init__(self, library: Path, endpoint: str, folder: Path) -> None:
        self._folder: str | None = str(folder)
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        driver = [node() or "node", str(HERE / "driver.cjs")]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *driver],
            cwd=folder,
            env=environment(library, endpoint),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def ask(self, do: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(told({"do": do, **arguments})).encode() + b"\n")
        self._process.stdin.flush()
        line = self._answers.get(timeout=PATIENCE)
        if not line:
            self._log.seek(0)
            raise AssertionError(f"node ended: {self._log.read().decode(errors='replace')[-4000:]}")
        answer = heard(json.loads(line))
        if isinstance(answer, Refused):
            raise answer
        return answer

    def begin(self, commands: list[Command], width: int) -> None:
        """Starts what `many` does, and returns when the first command is done; `finish` gives the outcomes."""
        self.ask("begin", commands=commands, width=width)

    def finish(self) -> list[Any]:
        """The outcomes of the commands that were begun, once all of them are done."""
        outcomes: list[Any] = self.ask("finish")
        return outcomes

    def open(self, table: str) -> None:
        self.ask("open", folder=self._folder, table=table)
        self._folder = None  # loaded once

    def stop_clock(self, now: datetime | None) -> None:
        self.ask("clock", now=None if now is None else (now - EPOCH) // timedelta(milliseconds=1))

    def stop(self) -> None:
        """Ends the process: it does when its input does."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(STOP_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._reader.join(STOP_SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()
