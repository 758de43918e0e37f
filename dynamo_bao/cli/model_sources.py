"""Imports the models of a command from Python modules, Python files, or YAML model files."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from dynamo_bao.cli.console import Failure, sentence
from dynamo_bao.config import Settings
from dynamo_bao.errors import BaoError
from dynamo_bao.modelfiles import load_models
from dynamo_bao.models.model import Model
from dynamo_bao.models.registry import models as all_models

YAML = (".yaml", ".yml")


def named_models(names: Sequence[str], settings: Settings) -> list[type[Model]]:
    """The models that ``--models`` names, else those of ``paths.models_dir`` and ``paths.models_definition_path``.

    Args:
        names: modules (``app.models``), Python files, and YAML files or folders of them.
        settings: the settings. They name the models if `names` is empty, and have ``paths.fields_dir``.

    Returns:
        The models, in the order of their definition. Empty if nothing names models.

    Raises:
        Failure: if a source cannot be imported, or has no models.
    """
    fields = settings.get("paths", "fields_dir")
    sources = names or _configured(settings)
    return list(dict.fromkeys(model for name in sources for model in _models_of(name, fields)))


def _configured(settings: Settings) -> list[str]:
    """The folder of Python models if it has modules, else the YAML definitions.

    Raises:
        Failure: if there are no definitions, and the settings name a folder without modules.
    """
    folder = settings.get("paths", "models_dir")
    if folder is not None and any(Path(folder).glob("*.py")):
        return [str(folder)]
    definitions = settings.get("paths", "models_definition_path")
    if definitions is not None:
        return [str(definitions)]
    if folder is None:
        return []
    raise Failure(
        f"{settings.source('paths', 'models_dir')} is {str(folder)!r}, where no Python module is; correct it, write "
        f"the models there, or give --models."
    )


def _models_of(name: str, fields: str | None) -> list[type[Model]]:
    path = Path(name)
    try:
        if path.suffix in YAML or (path.is_dir() and not any(path.glob("*.py"))):
            return _from_yaml(name, fields)
        models = _from_python(name, path)
    except (BaoError, Failure):
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise Failure(f"Models {name!r} cannot be imported: {_error_with_line(error)}") from error
        raise Failure(f"There is no module {name!r}, neither in {Path.cwd()} nor installed.") from error
    except Exception as error:
        raise Failure(f"Models {name!r} cannot be imported: {_error_with_line(error)}") from error
    if not models:
        raise Failure(f"{name!r} has no models; name the module or file that has them.")
    return models


def _from_yaml(name: str, fields: str | None) -> list[type[Model]]:
    if not Path(name).exists():
        raise Failure(f"The models file {name!r} does not exist.")
    return list(load_models(name, fields_dir=fields).values())


def _from_python(name: str, path: Path) -> list[type[Model]]:
    earlier_models = set(all_models())
    modules = [_import_file(file) for file in _python_files(path)] or [_import_name(name)]
    new_models = [model for model in all_models() if model not in earlier_models]
    return list(dict.fromkeys((*new_models, *_models_in(modules))))


def _python_files(path: Path) -> list[Path]:
    """The Python files of a path. Empty if it is the name of a module."""
    if path.suffix == ".py":
        return [path]
    return sorted(path.glob("*.py")) if path.is_dir() else []


def _import_name(name: str) -> ModuleType:
    """Imports a module by its name. The current folder comes first, as in ``python -m``."""
    if not all(part.isidentifier() for part in name.split(".")):
        raise Failure(f"{name!r} is neither a file that exists nor a module's name.")
    _add_to_path(Path.cwd())
    return import_module(name)


def _import_file(path: Path) -> ModuleType:
    """Imports a module by its file. A module in a package gets its full name, so that its imports work."""
    if not path.is_file():
        raise Failure(f"The models file {str(path)!r} does not exist.")
    root, parts = path.resolve().parent, [path.stem]
    while (root / "__init__.py").is_file():
        root, parts = root.parent, [root.name, *parts]
    _add_to_path(root)
    name = ".".join(part for part in parts if part != "__init__")
    module = sys.modules.get(name)
    if module is None or not _is_from(module, path):
        return _execute(name, path) if module is not None else import_module(name)
    return module


def _is_from(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve() == path.resolve()


def _execute(name: str, path: Path) -> ModuleType:
    """Imports a file under a new name, because another module has its name."""
    spec = spec_from_file_location(f"bao_models_{name.replace('.', '_')}", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _add_to_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _models_in(modules: Iterable[ModuleType]) -> list[type[Model]]:
    """The models in the namespaces of modules, defined or imported there."""
    model_classes = set(all_models())
    values = [value for module in modules for value in vars(module).values()]
    return [value for value in values if isinstance(value, type) and value in model_classes]


def _error_with_line(error: Exception) -> str:
    """The text of an error in the user's code, with the line that raised it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.msg} ({error.filename}, line {error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    user_frames = [f for f in frames if f.filename != __file__]
    location = f" ({user_frames[-1].filename}, line {user_frames[-1].lineno})" if user_frames else ""
    text = sentence(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    return f"{text}{location}"
