"""Builds models from model files at run time."""

from __future__ import annotations

import hashlib
import os
import sys
import types
import warnings
from pathlib import Path

from dynamo_bao.config import Settings, load_settings
from dynamo_bao.errors import ConfigurationError, ModelFileWarning
from dynamo_bao.modelfiles.custom_fields import FieldsFolder
from dynamo_bao.modelfiles.description import Definitions, ModelDescription
from dynamo_bao.modelfiles.members import declared_relations
from dynamo_bao.modelfiles.reader import annotation_of, class_body, read_definitions
from dynamo_bao.models.model import Model

StrPath = str | os.PathLike[str]


def load(
    path: StrPath | None, fields_dir: StrPath | None, *, key_format: str, iterable_default: bool
) -> dict[str, type[Model]]:
    """Implements `load_models`."""
    path, fields = chosen_paths(load_settings(None, os.environ, {}), path, fields_dir)
    definitions = read_definitions(
        path, fields=fields, key_format=key_format, iterable_default=iterable_default
    )
    for warning in definitions.warnings:
        warnings.warn(warning, ModelFileWarning, stacklevel=3)
    return load_models_of(definitions)


def chosen_paths(
    settings: Settings,
    path: StrPath | None,
    fields_dir: StrPath | None,
) -> tuple[StrPath, FieldsFolder | None]:
    """The path of the model files and the folder of field classes: the arguments, else the settings.

    Raises:
        ConfigurationError: if neither names model files.
    """
    path = settings.get("paths", "models_definition_path") if path is None else path
    if path is None:
        raise ConfigurationError(
            "No model files are configured; pass a path or set models_definition_path under [paths] of dynamo_bao.toml."
        )
    fields_dir = settings.get("paths", "fields_dir") if fields_dir is None else fields_dir
    return path, None if fields_dir is None else FieldsFolder(Path(fields_dir))


def load_models_of(definitions: Definitions) -> dict[str, type[Model]]:
    """Builds models in a module of their own, so that they pickle and replace the models of an earlier load."""
    source = Path(definitions.source).resolve()
    digest = hashlib.sha256(str(source).encode()).hexdigest()[:12]
    module = types.ModuleType(f"dynamo_bao_models_{digest}", f"The models of {source}.")
    module.__file__ = str(source)
    sys.modules[module.__name__] = module
    models = {
        name: _class_of(definitions, model, module.__name__) for name, model in definitions.models.items()
    }
    vars(module).update(models)
    return models


def _class_of(definitions: Definitions, model: ModelDescription, module: str) -> type[Model]:
    body: dict[str, object] = {
        "__module__": module,
        "__qualname__": model.name,
        "__doc__": model.doc,
        "__annotations__": {field.name: annotation_of(field) for field in model.fields.values()},
        **{field.name: field.declaration() for field in model.fields.values()},
        **class_body(model),
        **declared_relations(definitions.models, model),
    }
    model_class: type[Model] = types.new_class(
        model.name, (Model,), model.options(definitions.key_format), lambda namespace: namespace.update(body)
    )
    return model_class
