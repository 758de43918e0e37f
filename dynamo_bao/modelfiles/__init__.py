"""YAML model files with DynamoBao's keys: read, checked, and made into models."""

from __future__ import annotations

import os
from importlib import import_module

from dynamo_bao.models.model import Model


def load_models(
    path: str | os.PathLike[str] | None = None,
    *,
    fields_dir: str | os.PathLike[str] | None = None,
    key_format: str = "dynamo-bao",
    iterable_default: bool = False,
) -> dict[str, type[Model]]:
    """Makes models of a YAML model file with DynamoBao's keys, or of all such files of a folder.

    The models share a table with the JavaScript library unchanged: names are snake_case in Python and stored
    as the file has them, keys are byte for byte JavaScript's. Loading a path again replaces its models.

    Args:
        path: the file, or the folder; by default ``paths.models_definition_path`` of the settings.
        fields_dir: a folder of Python modules with field classes of your own; by default ``paths.fields_dir``.
        key_format: ``"native"`` for a table that is not shared with JavaScript, where negative numbers and
            fractions sort in keys too.
        iterable_default: whether a standard model that does not say ``iterable`` is; DynamoBao 0.4 takes it
            for true, later versions for false.

    Returns:
        The models by name, in the order of the files: what ``init_models(models=…)`` takes.

    Raises:
        ModelFileError: for whatever is wrong with a file, with its line and the mend; no model is made then.

    Example:
        >>> models = load_models("models.yaml")
        >>> manager = init_models(models=models, table_name="app")
        >>> models["User"].find_by_email("ada@example.com")
    """
    # Imported when it is used: a program without model files starts a tenth faster for it.
    loading = import_module("dynamo_bao.modelfiles.loader")
    found: dict[str, type[Model]] = loading.load(
        path, fields_dir, key_format=key_format, iterable_default=iterable_default
    )
    return found


__all__ = ["load_models"]
