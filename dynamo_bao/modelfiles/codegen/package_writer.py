"""Writes the generated package: only changed files, and never over a file that was not generated."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.modelfiles.codegen.source import MARK, model_source, package_source
from dynamo_bao.modelfiles.custom_fields import FieldsFolder
from dynamo_bao.modelfiles.description import Definitions
from dynamo_bao.modelfiles.naming import module_name
from dynamo_bao.modelfiles.reader import read_definitions
from dynamo_bao.runtime.records import frozen

StrPath = str | os.PathLike[str]


@frozen
class Generated:
    """The result of `generate`.

    Attributes:
        written: new or changed files; with ``check=True``, the files that would be written.
        unchanged: files that are up to date.
        removed: generated files of models that no longer exist; with ``check=True``, the files that would be removed.
        warnings: probable mistakes in the model files.

    Example:
        >>> generated = generate("models.yaml", "shop")
        >>> print(*generated.written, *generated.warnings)
    """

    written: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    removed: tuple[Path, ...]
    warnings: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        """Whether the package was already up to date."""
        return not (self.written or self.removed)


def generate(
    definitions: StrPath,
    out: StrPath,
    *,
    fields_dir: StrPath | None = None,
    fields_package: str | None = None,
    check: bool = False,
    key_format: str = "dynamo-bao",
    iterable_default: bool = False,
) -> Generated:
    """Writes a Python package for a model file or a folder of model files: one typed module for each model.

    The folder belongs to the generator. It removes generated modules of models that no longer exist. For type
    checkers, the modules declare the members that exist only at run time (``query_by_status``,
    ``find_by_email``, ``user.query_posts``). They pass ``mypy --strict``, pyright, and ruff with its default settings.

    Args:
        definitions: the model file or folder.
        out: the folder to write. It is created if it does not exist.
        fields_dir: a folder of Python modules with your own field classes.
        fields_package: the package name of that folder in imports (``app.fields``). By default it is determined
            from the ``__init__.py`` files, or from the working folder.
        check: True to write nothing and only report the files that would change.
        key_format: as in `load_models`.
        iterable_default: as in `load_models`.

    Returns:
        The files by what was done with them.

    Raises:
        ModelFileError: if anything in a model file is wrong. Nothing is written.
        ConfigurationError: if a file to write exists and was not generated. Nothing is written.

    Example:
        >>> generate("models.yaml", "app/models").written
        (PosixPath('app/models/__init__.py'), PosixPath('app/models/user.py'))
    """
    fields = None if fields_dir is None else FieldsFolder(Path(fields_dir), fields_package, is_fresh=True)
    parsed = read_definitions(
        definitions, fields=fields, key_format=key_format, iterable_default=iterable_default
    )
    folder = Path(out)
    expected = {folder / name: text for name, text in package_files(parsed).items()}
    current = {path: _text_of(path) for path in expected}
    written = tuple(path for path, text in expected.items() if current[path] != text)
    removed = tuple(path for path in _generated_in(folder) if path not in expected)
    if not check:
        _write({path: expected[path] for path in written}, folder)
        for path in removed:
            path.unlink(missing_ok=True)
    unchanged = tuple(path for path in expected if path not in written)
    return Generated(written, unchanged, removed, parsed.warnings)


def package_files(definitions: Definitions) -> dict[str, str]:
    """The text of every file of a package, by file name."""
    if "MODELS" in definitions.models:
        model = definitions.models["MODELS"]
        raise ConfigurationError(
            f"{model.file}:{model.line}: the generated package itself defines MODELS; rename the model.",
            model="MODELS",
        )
    source = Path(definitions.source).name
    files = {"__init__.py": package_source(definitions, source)}
    for model in definitions.models.values():
        files[f"{module_name(model.name)}.py"] = model_source(definitions, model, source)
    return files


def _text_of(path: Path) -> str | None:
    """The text of a generated file; None if the file does not exist."""
    if not os.path.lexists(path):
        return None
    if not path.is_file() or not _is_generated(path):
        raise ConfigurationError(
            f"{path} was not written by bao codegen and is not overwritten; move it away, or choose another folder."
        )
    return path.read_text(encoding="utf-8", errors="replace")


def _is_generated(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK.encode()


def _generated_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.py")) if path.is_file() and _is_generated(path)]


def _write(files: Mapping[Path, str], folder: Path) -> None:
    """Replaces each file atomically, so that no reader sees half of a file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigurationError(f"{folder} is a file; choose a folder to write the modules into.") from None
    for path, text in files.items():
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            os.chmod(name, _mode_of(path))
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise


def _mode_of(path: Path) -> int:
    """The permissions of the replaced file; for a new file, the default permissions."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
