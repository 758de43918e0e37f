"""The user's field classes, from the Python modules of a folder.

Reading the folder runs its modules, as any import does. So the folder is part of the program. A model file is data: it
can only name these classes.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from dynamo_bao.errors import ConfigurationError, message_of
from dynamo_bao.fields.base import Field
from dynamo_bao.modelfiles.field_types import (
    ALL_TAKE,
    ANY_ANNOTATION,
    BUILT_IN,
    Annotation,
    Check,
    FieldType,
    built_in_base,
    is_anything,
)
from dynamo_bao.runtime.records import frozen

_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@frozen
class FieldsFolder:
    """A folder with field classes.

    Attributes:
        path: the folder.
        package: the package name of the folder in the program's imports; None to determine it from the path.
        is_fresh: whether its modules run again even if the program has imported them.
    """

    path: Path
    package: str | None = None
    is_fresh: bool = False

    def kinds(self) -> Mapping[str, FieldType]:
        """The field classes that the folder's modules define, by name.

        Raises:
            ConfigurationError: if the folder does not exist, a module fails, or two modules define one name.
        """
        if not self.path.is_dir():
            raise ConfigurationError(f"The folder of field classes {str(self.path)!r} does not exist.")
        field_types: dict[str, FieldType] = {}
        for module, file in self._modules():
            for field in _classes_of(module):
                if field.__name__ in field_types:
                    raise ConfigurationError(
                        f"{file} and {field_types[field.__name__].file} both define {field.__name__}; rename one."
                    )
                field_types[field.__name__] = _field_type_of(field, file, self._import_name(file))
        return field_types

    def _modules(self) -> Iterator[tuple[ModuleType, Path]]:
        files = sorted(file for file in self.path.glob("*.py") if not file.name.startswith((".", "__main__")))
        package: list[str] = []  # filled when a module needs it, as this runs the __init__
        for file in files:
            try:
                yield self._module(package, file), file
            except ConfigurationError:
                raise
            except Exception as error:
                raise ConfigurationError(
                    f"The field classes of {file} cannot be imported: {type(error).__name__}: {message_of(error)}"
                ) from error

    def _module(self, package: list[str], file: Path) -> ModuleType:
        """The module as the program imports it; a private copy if the program cannot import it."""
        module = None if self.is_fresh else _as_imported(self._import_name(file), file)
        if module is not None:
            return module
        if not package:
            package.append(_private_package(self.path))
        if file.name == "__init__.py":
            return sys.modules[package[0]]
        return importlib.import_module(f"{package[0]}.{file.stem}")

    def _import_name(self, file: Path) -> str | None:
        """The name by which the program imports `file`; None if it cannot import it."""
        package = self.package if self.package is not None else _package_of(self.path.resolve())
        if package is None:
            return None
        name = package if file.name == "__init__.py" else f"{package}.{file.stem}"
        return name if all(part.isidentifier() for part in name.split(".")) else None


def _package_of(folder: Path) -> str | None:
    """The package name of a folder, relative to the topmost ``__init__.py`` or to the working folder."""
    root = folder
    while (root / "__init__.py").is_file():
        root = root.parent
    if root == folder:
        root = Path.cwd().resolve()
    return ".".join(folder.relative_to(root).parts) or None if folder.is_relative_to(root) else None


def _as_imported(name: str | None, file: Path) -> ModuleType | None:
    if name is None:
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != file.resolve():
        return None
    return importlib.import_module(name)


def _private_package(folder: Path) -> str:
    """Creates a package of a folder under a private name, so that its modules can import each other."""
    folder = folder.resolve()  # the import system caches folders by the text of their paths
    name = f"dynamo_bao_fields_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    importlib.invalidate_caches()
    for loaded in [loaded for loaded in sys.modules if loaded == name or loaded.startswith(f"{name}.")]:
        del sys.modules[loaded]
    file = folder / "__init__.py"
    if file.is_file():
        spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(folder)])
    else:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    assert spec.loader is not None  # Python gives a folder without __init__.py one of its own
    spec.loader.exec_module(module)
    return name


def _classes_of(module: ModuleType) -> list[type[Field]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Field)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    ]


def _field_type_of(field: type[Field], file: Path, module: str | None) -> FieldType:
    base = built_in_base(field) or FieldType("Field", Field, ANY_ANNOTATION)
    arguments = _arguments_of(field)
    return FieldType(
        name=field.__name__,
        field=field,
        annotation=_annotation_of(field, base),
        options={name: check for name, check in arguments.items() if name not in ALL_TAKE},
        takes=ALL_TAKE & arguments.keys(),
        has_default=base.has_default and "default" in arguments,
        fills_itself=base.fills_itself,
        starts_empty=base.starts_empty,
        is_set=base.is_set,
        keeps_default=base.keeps_default,
        module=module,
        file=str(file),
    )


def _arguments_of(field: type[Field]) -> dict[str, Check]:
    """The arguments that a class's constructors take, down to its base class in the library."""
    arguments: dict[str, Check] = {}
    for base in field.__mro__:
        field_type = BUILT_IN.get(base.__name__)
        if base is Field or (field_type is not None and field_type.field is base):
            inherited = {**dict.fromkeys(ALL_TAKE if field_type is None else field_type.takes, is_anything)}
            return {**inherited, **({} if field_type is None else field_type.options), **arguments}
        constructor: Any = vars(base).get("__init__")
        if constructor is None:
            continue
        parameters = list(inspect.signature(constructor).parameters.values())[1:]
        arguments = {**{p.name: is_anything for p in parameters if p.kind in _NAMED}, **arguments}
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
            break
    return arguments


def _annotation_of(field: type[Field], base: FieldType) -> Annotation:
    if field.python_types == base.field.python_types:
        return base.annotation
    python_type = field.python_types[0]
    if python_type is object:
        return ANY_ANNOTATION
    module = python_type.__module__
    return Annotation(
        python_type.__name__, python_type, {} if module == "builtins" else {python_type.__name__: module}
    )
