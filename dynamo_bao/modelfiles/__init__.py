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
    """Builds models from a YAML model file with DynamoBao's keys, or from all such files of a folder.

    The models can share a table with the JavaScript library. Names are snake_case in Python and stored as in
    the file. Keys are byte for byte those of JavaScript. Loading a path again replaces its models.

    Args:
        path: the file or the folder; by default ``paths.models_definition_path`` of the settings.
        fields_dir: a folder of Python modules with your own field classes; by default ``paths.fields_dir``.
        key_format: ``"native"`` for a table that is not shared with JavaScript. Negative numbers and
            fractions then sort correctly in keys too.
        iterable_default: the value of ``iterable`` for standard models that do not set it. DynamoBao 0.4 uses
            true, later versions use false.

    Returns:
        The models by name, in the order of the files. Pass them to ``init_models(models=…)``.

    Raises:
        ModelFileError: if anything in a file is wrong, with its line and the remedy. No model is created.

    Example:
        >>> models = load_models("models.yaml")
        >>> manager = init_models(models=models, table_name="app")
        >>> models["User"].find_by_email("ada@example.com")
    """
    # Imported on first use: a program without model files starts a tenth faster.
    loader = import_module("dynamo_bao.modelfiles.loader")
    models: dict[str, type[Model]] = loader.load(
        path, fields_dir, key_format=key_format, iterable_default=iterable_default
    )
    return models


__all__ = ["load_models"]
