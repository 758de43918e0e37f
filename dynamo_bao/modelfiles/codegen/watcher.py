"""Generates the package again whenever a model file or a module of field classes changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from dynamo_bao.errors import BaoError, ConfigurationError
from dynamo_bao.modelfiles.codegen.package_writer import Generated, StrPath, generate
from dynamo_bao.modelfiles.reader import SUFFIXES
from dynamo_bao.runtime.logs import log_fields

log: logging.Logger = logging.getLogger("dynamo_bao.codegen")

DEBOUNCE_MS: Final = 300
POLL_MS: Final = 1000
"""Milliseconds between checks without an event. Changes before the watch began never cause an event."""

OnChange = Callable[[Generated | BaoError], object]


def watch(
    definitions: StrPath,
    out: StrPath,
    *,
    on_change: OnChange | None = None,
    fields_dir: StrPath | None = None,
    stop: threading.Event | None = None,
    **options: Any,
) -> None:
    """Generates now, and again after each change of a relevant file, until it is stopped or interrupted.

    A wrong model file does not end the watch. Its error is reported, the generated modules stay unchanged, and
    the next change starts another run.

    Args:
        definitions, out, fields_dir: as in `generate`.
        on_change: called after each run with its `Generated` result or its error. By default both go to the
            log ``dynamo_bao.codegen``.
        stop: an event that ends the watch when it is set.
        options: further arguments of `generate`.

    Raises:
        ConfigurationError: if the folder of the files does not exist, or watchfiles is not installed.
        KeyboardInterrupt: when the program is interrupted.

    Example:
        >>> watch("models.yaml", "app/models", on_change=print)
    """
    changes = _watchfiles().watch
    sources = Path(definitions), None if fields_dir is None else Path(fields_dir)
    folders = _folders(*sources)
    report = _log if on_change is None else on_change
    run = partial(generate, definitions, out, fields_dir=fields_dir, **options)
    contents = _contents(*sources)
    report(_outcome(run))
    for _ in changes(
        *folders,
        watch_filter=None,
        debounce=DEBOUNCE_MS,
        rust_timeout=POLL_MS,
        yield_on_timeout=True,
        stop_event=stop or threading.Event(),
        recursive=False,
    ):
        new_contents = _contents(*sources)
        if new_contents != contents:
            contents = new_contents
            report(_outcome(run))


def _watchfiles() -> Any:
    try:
        import watchfiles
    except ModuleNotFoundError as error:
        raise ConfigurationError("Watching files needs watchfiles: pip install 'dynamo_bao[cli]'.") from error
    return watchfiles


def _log(outcome: Generated | BaoError) -> None:
    if isinstance(outcome, BaoError):
        log.error("%s", outcome, extra=log_fields("codegen"))
    else:
        written, removed = len(outcome.written), len(outcome.removed)
        log.info("wrote %d files, removed %d", written, removed, extra=log_fields("codegen", keys=written))


def _outcome(run: Callable[[], Generated]) -> Generated | BaoError:
    try:
        return run()
    except BaoError as error:
        return error


def _folders(definitions: Path, fields: Path | None) -> list[Path]:
    """The folders to watch. Files are not watched, as editors replace them."""
    folder = definitions if definitions.is_dir() else definitions.absolute().parent
    folders = [folder, *([] if fields is None else [fields])]
    for required in folders:
        if not required.is_dir():
            raise ConfigurationError(
                f"The folder {str(required)!r} does not exist and cannot be watched; create it, or pass another path."
            )
    return folders


def _contents(definitions: Path, fields: Path | None) -> dict[Path, object]:
    """A fingerprint of each relevant file, to detect changes; None for a file that does not exist."""
    files = [definitions]
    if definitions.is_dir():
        files = [file for file in definitions.iterdir() if file.suffix in SUFFIXES]
    if fields is not None and fields.is_dir():
        files += fields.glob("*.py")
    return {file: _fingerprint_of(file) for file in files}


def _fingerprint_of(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
