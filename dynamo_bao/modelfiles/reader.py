"""Reads a model file, or all model files of a folder, into checked definitions."""

from __future__ import annotations

import keyword
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from dynamo_bao.dynamodb.keys import checked_prefix
from dynamo_bao.errors import ConfigurationError, ModelFileError, message_of, suggestion
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
from dynamo_bao.runtime.records import frozen

SUFFIXES = (".yaml", ".yml")
_EXAMPLE = "models: {User: {modelPrefix: u, fields: …, primaryKey: …}}"


@frozen
class _ModelNode:
    """The mapping of a model and its file."""

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
        path: the file, or a folder whose ``*.yaml`` and ``*.yml`` files are read. Inner folders are ignored.
        fields: the folder of the user's field classes.
        key_format: the key format of the models.
        iterable_default: the value of ``iterable`` for standard models that do not set it.

    Raises:
        ModelFileError: if anything in a file is wrong, with its line and the remedy.
        ConfigurationError: for a wrong folder of field classes or an unknown key format.
    """
    if key_format not in KEY_FORMATS:
        raise ConfigurationError(
            f"key_format={key_format!r}; use one of {', '.join(map(repr, KEY_FORMATS))}."
        )
    kinds = {**BUILT_IN, **({} if fields is None else fields.kinds())}
    warnings: list[str] = []
    nodes = _model_nodes(Path(path), warnings)
    models: dict[str, ModelDescription] = {}
    for name, model_node in nodes.items():
        section = Section.of(
            model_node.file, name, model_node.node, "{modelPrefix: …, fields: …, primaryKey: …}", name
        )
        reader = ModelReader(section, name, kinds, nodes, iterable_default)
        models[name] = reader.read()
        warnings += reader.warnings
    _check_prefixes(models)
    _check_methods(models)
    for model in models.values():
        _check_compiles(model, key_format)
    return Definitions(os.fspath(path), models, key_format, tuple(warnings))


# --- files -----------------------------------------------------------------------------------------


def model_files(path: Path) -> list[Path]:
    """The model files of a path.

    Raises:
        ModelFileError: if a folder has none.
    """
    if not path.is_dir():
        return [path]
    files = sorted(f for f in path.iterdir() if f.suffix in SUFFIXES and not f.name.startswith("."))
    if not files:
        raise ModelFileError(
            "is a folder without model files; put a .yaml or .yml file into it.", file=str(path)
        )
    return files


def _model_nodes(path: Path, warnings: list[str]) -> dict[str, _ModelNode]:
    """The models of all files by name."""
    files = model_files(path)
    budget = Budget(MAX_BYTES if has_libyaml() else MAX_BYTES_WITHOUT_LIBYAML)
    nodes: dict[str, _ModelNode] = {}
    for file in files:
        for name, node in _models_of(file, budget, warnings, is_required=len(files) == 1):
            if name in nodes:
                duplicate = f"{nodes[name].file}:{nodes[name].node.line}"
                raise _file_error(
                    file, node, f"{name} is already described in {duplicate}; rename or remove one."
                )
            nodes[name] = _ModelNode(str(file), node)
    if not nodes:
        raise ModelFileError(f"describes no models; write {_EXAMPLE}.", file=str(path))
    return nodes


def _models_of(
    file: Path, budget: Budget, warnings: list[str], *, is_required: bool
) -> Iterator[tuple[str, Node]]:
    root = parse(_text_of(file, budget), str(file), budget)
    if not is_required and not (isinstance(root.value, dict) and "models" in root.value):
        keys = root.value if isinstance(root.value, dict) else {}
        similar_key = next((key for key in keys if "mean" in suggestion(key, ("models",))), None)
        hint = f" Did you mean 'models' by {similar_key!r}?" if similar_key else ""
        warnings.append(f"{file}: no models found, so the file is ignored.{hint}")
        return
    top = Section.of(str(file), "the file", root, _EXAMPLE)
    top.check_keys(("models",), "top-level key")
    top.required("models", _EXAMPLE)
    for name, node in top.inner("models", _EXAMPLE).entries().items():
        if not is_name(name):
            raise _file_error(
                file, node, f"{name!r} is not a valid class name; use letters and digits, as in TaggedPost."
            )
        if keyword.iskeyword(name):
            better = name.capitalize() if name.islower() else f"{name}Item"
            raise _file_error(
                file,
                node,
                f"{name!r} is a keyword of Python and not a valid class name; rename it, for example to {better}. If "
                f"JavaScript uses it with unique constraints, which store the name, write the class by hand with "
                f"name={name!r}.",
            )
        yield name, node


def _text_of(file: Path, budget: Budget) -> str:
    """The text of a file. A file that is too large is not read."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError("is not a regular file.", file=str(file))
        content = b"" if status.st_size > budget.bytes else _read(file, budget.bytes + 1)
    except FileNotFoundError:
        raise ModelFileError("does not exist.", file=str(file)) from None
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror}.", file=str(file)) from error
    budget.bytes -= max(status.st_size, len(content))
    if budget.bytes < 0:
        limit = MAX_BYTES if has_libyaml() else MAX_BYTES_WITHOUT_LIBYAML
        raise ModelFileError(
            f"has more than the {limit:,} bytes that model files may have together; it has {status.st_size:,} bytes.",
            file=str(file),
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ModelFileError("is not UTF-8.", file=str(file), line=line) from None


def _read(file: Path, max_bytes: int) -> bytes:
    with file.open("rb") as stream:
        return stream.read(max_bytes)


def _file_error(file: Path, node: Node, why: str) -> ModelFileError:
    return ModelFileError(why, file=str(file), line=node.line)


# --- checks of all models together, and of compiled models ----------------------------------------------


def _check_prefixes(models: Mapping[str, ModelDescription]) -> None:
    prefixes: dict[str, ModelDescription] = {}
    modules: dict[str, ModelDescription] = {}
    for model in models.values():
        _check_prefix(model)
        for models_by_key, key, key_name in (
            (prefixes, model.prefix, "modelPrefix"),
            (modules, module_name(model.name), "module"),
        ):
            if key in models_by_key:
                other = models_by_key[key]
                raise _model_error(
                    model,
                    f"{model.name} has the {key_name} {key!r}, and so has {other.name} ({other.file}:{other.line}); "
                    f"use a different one for each.",
                )
            models_by_key[key] = model


def _check_methods(models: Mapping[str, ModelDescription]) -> None:
    """Rejects two indexes that would add the same method to a model: the later one would silently win."""
    for model in models.values():
        sources: dict[str, str] = {}
        for member in members_from_others(models, model):
            source = f"{member.model.name}.{member.key.name}"
            other = sources.setdefault(member.name, source)
            if other != source:
                raise ModelFileError(
                    f"{source} gives {model.name} the method {member.name}, and so does {other}; rename one of the "
                    f"indexes. Names of indexes are not stored.",
                    file=member.model.file,
                    line=member.key.line,
                    model=member.model.name,
                )


def _check_prefix(model: ModelDescription) -> None:
    try:
        checked_prefix(model.prefix, model.name)
    except ConfigurationError as error:
        raise _model_error(model, message_of(error).replace("prefix=", "modelPrefix: ")) from None


def class_body(model: ModelDescription) -> dict[str, object]:
    """The attributes of a model's class body, without its fields."""
    primary = PrimaryKey(model.primary.partition, model.primary.sort)
    body: dict[str, object] = {"primary_key": primary}
    if model.primary.name is not None:
        body[model.primary.name] = primary
    for index in model.indexes:
        body[str(index.name)] = Index(index.partition, index.sort, id=str(index.id))
    for constraint in model.constraints:
        body[constraint.name] = UniqueConstraint(constraint.field, id=constraint.id)
    return body


def annotation_of(field: FieldDescription) -> object:
    """The type of a field's values, with None if the field is optional."""
    kind = field.annotation.type
    return kind | None if field.is_optional else kind


def _check_compiles(model: ModelDescription, key_format: str) -> None:
    """Compiles the schema of a model from a temporary class, to find errors before the model is created."""
    try:
        declarations = {
            f.name: FieldDeclaration(annotation_of(f), _declaration(f), {}, {}) for f in model.fields.values()
        }
        compile_schema(
            type(model.name, (), class_body(model)), ModelOptions(**model.options(key_format)), declarations
        )
    except ModelFileError:
        raise
    except ConfigurationError as error:
        field = model.fields.get(str(error.field))
        raise _model_error(model, message_of(error), field) from error


def _declaration(field: FieldDescription) -> object:
    try:
        return field.declaration()
    except Exception as error:  # a constructor of the user may raise anything
        raise ConfigurationError(
            f"{field.kind.name} rejects its options: {message_of(error)}", field=field.name
        ) from error


def _model_error(model: ModelDescription, why: str, field: FieldDescription | None = None) -> ModelFileError:
    line = model.line if field is None else field.line
    name = None if field is None else field.name
    return ModelFileError(why, file=model.file, line=line, model=model.name, field=name)
