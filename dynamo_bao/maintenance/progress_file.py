"""Progress files: where an interrupted job continues. A file is replaced as a whole, so it is never half written."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.errors import ConfigurationError
from dynamo_bao.runtime.records import frozen


@frozen
class ProgressFile:
    """The progress file of one job.

    Attributes:
        path: the path of the file.
        about: the job: its kind, table, model and tenant.
    """

    path: Path
    about: Mapping[str, object]

    def begin(self, *, resume: bool, restart: bool) -> dict[str, object] | None:
        """The state to continue from; None to start.

        Args:
            resume: whether to continue an interrupted run, if there was one.
            restart: whether to start, even if a run was interrupted.

        Raises:
            ConfigurationError: if a run was interrupted and neither option is set, or if the file is of another job.
        """
        state = None if restart else self._load()
        if state is not None and not resume:
            raise ConfigurationError(
                f"{self.path} says that the same job was interrupted; continue with --resume, or start again with "
                f"--restart."
            )
        return state

    def _load(self) -> dict[str, object] | None:
        try:
            content = json.loads(self.path.read_bytes())
            about, state = content["about"], dict(content["state"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(
                f"{self.path} is no progress file of this program; delete it, or start again with --restart."
            ) from None
        if about != dict(self.about):
            different = [name for name in self.about if about.get(name) != self.about[name]]
            differences = ", ".join(
                f"{name} {about.get(name)!r}, not {self.about[name]!r}" for name in different
            )
            raise ConfigurationError(
                f"{self.path} is of another job: {differences}. Repeat the options of that job, or start again with "
                f"--restart."
            )
        return state

    def noted(self, name: str) -> str | None:
        """A text that the progress file states about its job; None if there is no file, or no such text."""
        try:
            value = json.loads(self.path.read_bytes())["about"][name]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return value if isinstance(value, str) else None

    def save(self, state: Mapping[str, object]) -> None:
        """Writes the state. It is on the disk when this returns."""
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.unlink(missing_ok=True)
        with own_file(fresh) as file:
            file.write(json.dumps({"about": dict(self.about), "state": dict(state)}).encode())
            synced(file)
        fresh.replace(self.path)

    def remove(self) -> None:
        """Removes the file, after the job has ended."""
        self.path.unlink(missing_ok=True)
        self.path.with_name(self.path.name + ".new").unlink(missing_ok=True)


def own_file(path: Path) -> IO[bytes]:
    """Opens a new private file, readable by its owner only.

    Raises:
        ConfigurationError: if the path is a link, or no plain file, because another file would be written.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    refused = ConfigurationError(
        f"{path} is a link, or no plain file, so the data would be written elsewhere; remove it."
    )
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        if path.is_symlink() or path.is_dir():
            raise refused from error
        raise
    status = os.fstat(handle)
    if path.is_symlink() or not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(handle)
        raise refused
    return os.fdopen(handle, "r+b")


def synced(file: Any) -> None:
    """Writes buffered data of a file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def in_file_name(text: str) -> str:
    """A text as a part of a file's name, such as the ARN of a table, which has ``/`` and ``:``."""
    return re.sub(r"[^\w.-]", "-", text)


def work_on(database: Database, job: str, model: str, tenant: str | None) -> dict[str, object]:
    """Describes a job, for its progress file. The same table name at another endpoint is another table."""
    client: Any = getattr(getattr(database.transport, "wire", None), "client", None)
    endpoint = None if client is None else client.meta.endpoint_url
    about = {"work": job, "table": database.table_name, "endpoint": endpoint, "model": model}
    return {**about, "tenant": tenant}
