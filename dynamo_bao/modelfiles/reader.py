"""Reading a model file, or all of a folder, as checked definitions."""

from __future__ import annotations

import keyword
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from dynamo_bao.dynamodb.keys import checked_prefix
from dynamo_bao.errors import ConfigurationError, ModelFileError, suggestion
from dynamo_bao.mapping.definition import KEY_FORMATS, FieldDeclaration, ModelOptions, compile_schema
from dynamo_bao.modelfiles.custom_fields import FieldsFolder
from dynamo_bao.modelfiles.description import Definitions, FieldDescription, ModelDescription
from dynamo_bao.modelfiles.field_types import BUILT_IN
from dynamo_bao.modelfiles.members import members_from_others
from dynamo_bao.modelfiles.model_reader import ModelReader
from dynamo_bao.modelfiles.naming import is_name, module_name
from dynamo_bao.modelfiles.section import Section
from dynamo_bao.modelfiles.yaml_nodes import (
    MAX_BYTES,
    MAX_BYTES_WITHOUT_LIBYAML,
    Budget,
    Node,
    has_libyaml,
    parse,
)
from dynamo_bao.models.indexes import Index, PrimaryKey, UniqueConstraint

SUFFIXES = (".yaml", ".yml")
_EXAMPLE = "models: {User: {modelPrefix: u, fields: …, primaryKey: …}}"


@frozen
class _Place:
    """A model's mapping, and the file that has it."""

    file: str
    node: Node


def read_definitions(
    path: str | os.PathLike[str],
    *,
    fields: FieldsFolder | None = None,
    key_format: str = "dynamo-bao",
    iterable_default: bool = False,
) -> Definitions:
    """The checked definitions of a model file, or of all the model files of a folder.

    Args:
        path: the file, or a folder whose ``*.yaml`` and ``*.yml`` files are read, not those of folders in it.
        fields: where field classes of the user's own are.
        key_format: the key format that the models are for.
        iterable_default: whether a standard model that does not say ``iterable`` is.

    Raises:
        ModelFileError: for whatever is wrong with a file, with the line and the mend.
        ConfigurationError: for a wrong folder of field classes, or an unknown key format.
    """
    if key_format not in KEY_FORMATS:
        raise ConfigurationError(
            f"key_format={key_format!r}; use one of {', '.join(map(repr, KEY_FORMATS))}."
        )
    kinds = {**BUILT_IN, **({} if fields is None else fields.kinds())}
    warnings: list[str] = []
    places = _places(Path(path), warnings)
    models: dict[str, ModelDescription] = {}
    for name, place in places.items():
        section = Section.of(place.file, name, place.node, "{modelPrefix: …, fields: …, primaryKey: …}", name)
        reader = ModelReader(section, name, kinds, places, iterable_default)
        models[name] = reader.read()
        warnings += reader.warnings
    _check_prefixes(models)
    _check_methods(models)
    for model in models.values():
        _check_compiles(model, key_format)
    return Definitions(os.fspath(path), models, key_format, tuple(warnings))


# --- files -----------------------------------------------------------------------------------------


def model_files(path: Path) -> list[Path]:
    """The files that are read for a path.

    Raises:
        ModelFileError: for a folder without any.
    """
    if not path.is_dir():
        return [path]
    found = sorted(f for f in path.iterdir() if f.suffix in SUFFIXES and not f.name.startswith("."))
    if not found:
        raise ModelFileError(
            "is a folder without model files; put a .yaml or .yml file into it.", file=str(path)
        )
    return found


def _places(path: Path, warnings: list[str]) -> dict[str, _Place]:
    """The models of all files by name, each with its place."""
    files = model_files(path)
    budget = Budget(MAX_BYTES if has_libyaml() else MAX_BYTES_WITHOUT_LIBYAML)
    found: dict[str, _Place] = {}
    for file in files:
        for name, node in _models_of(file, budget, warnings, needed=len(files) == 1):
            if name in found:
                other = f"{found[name].file}:{found[name].node.line}"
                raise _fault(file, node, f"{name} is described in {other} already; rename or remove one.")
            found[name] = _Place(str(file), node)
    if not found:
        raise ModelFileError(f"describes no models; write {_EXAMPLE}.", file=str(path))
    return found


def _models_of(
    file: Path, budget: Budget, warnings: list[str], *, needed: bool
) -> Iterator[tuple[str, Node]]:
    root = parse(_text_of(file, budget), str(file), budget)
    if not needed and not (isinstance(root.value, dict) and "models" in root.value):
        keys = root.value if isinstance(root.value, dict) else {}
        meant = next((key for key in keys if "mean" in suggestion(key, ("models",))), None)
        hint = f" Did you mean 'models' by {meant!r}?" if meant else ""
        warnings.append(f"{file}: no models found, so the file is left out.{hint}")
        return
    top = Section.of(str(file), "the file", root, _EXAMPLE)
    top.know(("models",), "top-level key")
    top.needed("models", _EXAMPLE)
    for name, node in top.inner("models", _EXAMPLE).entries().items():
        if not is_name(name):
            raise _fault(
                file, node, f"{name!r} is no name for a class; use letters and digits, as in TaggedPost."
            )
        if keyword.iskeyword(name):
            better = name.capitalize() if name.islower() else f"{name}Item"
            raise _fault(
                file,
                node,
                f"{name!r} is a keyword of Python and no name for a class; rename it, as {better}. Where JavaScript "
                f"uses it with unique constraints, which store the name, write the class by hand, with name={name!r}.",
            )
        yield name, node


def _text_of(file: Path, budget: Budget) -> str:
    """The text of a file, none of it read where there is too much."""
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            raise ModelFileError("is no regular file.", file=str(file))
        content = b"" if found.st_size > budget.bytes else _read(file, budget.bytes + 1)
    except FileNotFoundError:
        raise ModelFileError("does not exist.", file=str(file)) from None
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror}.", file=str(file)) from error
    budget.bytes -= max(found.st_size, len(content))
    if budget.bytes < 0:
        limit = MAX_BYTES if has_libyaml() else MAX_BYTES_WITHOUT_LIBYAML
        raise ModelFileError(
            f"is more than the {limit:,} bytes that model files may have in all; it has {found.st_size:,}.",
            file=str(file),
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ModelFileError("is not UTF-8.", file=str(file), line=line) from None


def _read(file: Path, most: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(most)


def _fault(file: Path, node: Node, why: str) -> ModelFileError:
    return ModelFileError(why, file=str(file), line=node.line)


# --- what only shows when models are together, or compiled --------------------------------------------


def _check_prefixes(models: Mapping[str, ModelDescription]) -> None:
    prefixes: dict[str, ModelDescription] = {}
    modules: dict[str, ModelDescription] = {}
    for model in models.values():
        _check_prefix(model)
        for found, key, what in (
            (prefixes, model.prefix, "modelPrefix"),
            (modules, module_name(model.name), "module"),
        ):
            if key in found:
                other = found[key]
                raise _wrong(
                    model,
                    f"{model.name} has the {what} {key!r}, and so has {other.name} ({other.file}:{other.line}); give "
                    f"each its own.",
                )
            found[key] = model


def _check_methods(models: Mapping[str, ModelDescription]) -> None:
    """Refuses two indexes that would give a model the same method: the later one would silently win."""
    for model in models.values():
        givers: dict[str, str] = {}
        for member in members_from_others(models, model):
            giver = f"{member.model.name}.{member.key.name}"
            other = givers.setdefault(member.name, giver)
            if other != giver:
                raise ModelFileError(
                    f"{giver} gives {model.name} the method {member.name}, and so does {other}; rename one of the "
                    f"indexes, whose names are not stored.",
                    file=member.model.file,
                    line=member.key.line,
                    model=member.model.name,
                )


def _check_prefix(model: ModelDescription) -> None:
    try:
        checked_prefix(model.prefix, model.name)
    except ConfigurationError as error:
        raise _wrong(model, str(error).replace("prefix=", "modelPrefix: ")) from None


def class_body(model: ModelDescription) -> dict[str, Any]:
    """What the class statement of a model holds besides its fields."""
    primary = PrimaryKey(model.primary.partition, model.primary.sort)
    body: dict[str, Any] = {"primary_key": primary}
    if model.primary.name is not None:
        body[model.primary.name] = primary
    for index in model.indexes:
        body[str(index.name)] = Index(index.partition, index.sort, id=str(index.id))
    for constraint in model.constraints:
        body[constraint.name] = UniqueConstraint(constraint.field, id=constraint.id)
    return body


def annotation_of(field: FieldDescription) -> Any:
    """The type of a field's values, None included where it may be."""
    kind = field.annotation.type
    return kind | None if field.is_optional else kind


def _check_compiles(model: ModelDescription, key_format: str) -> None:
    """Compiles a model's schema, from a class that no manager ever sees, to find what is wrong before it is made."""
    try:
        declared = {
            f.name: FieldDeclaration(annotation_of(f), _declaration(f), {}, {}) for f in model.fields.values()
        }
        compile_schema(
            type(model.name, (), class_body(model)), ModelOptions(**model.options(key_format)), declared
        )
    except ModelFileError:
        raise
    except ConfigurationError as error:
        field = model.fields.get(str(error.field))
        raise _wrong(model, str(error), field) from error


def _declaration(field: FieldDescription) -> Any:
    try:
        return field.declaration()
    except Exception as error:  # a constructor of the user's own may raise anything
        raise ConfigurationError(
            f"{field.kind.name} refuses its options: {error}", field=field.name
        ) from error


def _wrong(model: ModelDescription, why: str, field: FieldDescription | None = None) -> ModelFileError:
    line = model.line if field is None else field.line
    name = None if field is None else field.name
    return ModelFileError(why, file=model.file, line=line, model=model.name, field=name)
