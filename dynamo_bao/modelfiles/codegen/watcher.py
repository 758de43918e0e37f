"""Generating again whenever a model file, or a field class of the user's own, changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from dynamo_bao._log_fields import log_fields
from dynamo_bao.errors import BaoError, ConfigurationError
from dynamo_bao.modelfiles.codegen.package_writer import Generated, StrPath, generate
from dynamo_bao.modelfiles.reader import SUFFIXES

log = logging.getLogger("dynamo_bao.codegen")

DEBOUNCE_MS: Final = 300
LOOK_MS: Final = 1000
"""How often the files are looked at where no change is told: what happened before the watch began is never told."""

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
    """Generates now, and again whenever a file that matters changes, until it is stopped or interrupted.

    A model file that is wrong stops nothing: its error is told, the generated modules stay as they are, and the
    next change is tried again.

    Args:
        definitions, out, fields_dir: as in `generate`.
        on_change: called after each run with what was written, or with the error; by default they go to the
            log ``dynamo_bao.codegen``.
        stop: ends the watch when it is set.
        options: more arguments of `generate`.

    Raises:
        ConfigurationError: where the folder of the files is not there.
        KeyboardInterrupt: when the program is interrupted.

    Example:
        >>> watch("models.yaml", "app/models", on_change=print)
    """
    changes = _watchfiles().watch
    sources = Path(definitions), None if fields_dir is None else Path(fields_dir)
    folders = _folders(*sources)
    tell = _log if on_change is None else on_change
    run = partial(generate, definitions, out, fields_dir=fields_dir, **options)
    seen = _contents(*sources)
    tell(_outcome(run))
    for _ in changes(
        *folders,
        watch_filter=None,
        debounce=DEBOUNCE_MS,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
        stop_event=stop or threading.Event(),
        recursive=False,
    ):
        now = _contents(*sources)
        if now != seen:
            seen = now
            tell(_outcome(run))


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
    """What is watched: folders, as editors replace files instead of writing them."""
    folder = definitions if definitions.is_dir() else definitions.absolute().parent
    folders = [folder, *([] if fields is None else [fields])]
    for needed in folders:
        if not needed.is_dir():
            raise ConfigurationError(
                f"The folder {str(needed)!r} does not exist, so nothing in it can be watched."
            )
    return folders


def _contents(definitions: Path, fields: Path | None) -> dict[Path, Any]:
    """What tells the files that matter from what they were: size and time of each, None where it is gone."""
    files = [definitions]
    if definitions.is_dir():
        files = [file for file in definitions.iterdir() if file.suffix in SUFFIXES]
    if fields is not None and fields.is_dir():
        files += fields.glob("*.py")
    return {file: _mark_of(file) for file in files}


def _mark_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
