"""Instances as answers: their values, and those of their relations, as dicts of Python values or of JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dynamo_bao.errors import QueryError, ValidationError, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.json_forms import JsonForm, json_text
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.mapping.declarations import HasManyDeclaration, RelatedDeclaration, members_of
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.late import read_side
from dynamo_bao.models.registry import repository_for
from dynamo_bao.models.relationships import load_related, related
from dynamo_bao.models.repository import Repository
from dynamo_bao.runtime.records import frozen
from dynamo_bao.session.context import current_session
from dynamo_bao.session.lazy import require_readable
from dynamo_bao.session.state import Instance, ModelMapper, Status, state_of

Convert = Callable[[Field, Any], Any]
"""Makes the form of a field's value."""
RelationTree = dict[str, Any]
"""By relation, the tree of the relations to include of its targets."""


@frozen
class Step:
    """One relation of a path.

    Attributes:
        name: its name in an answer: that of its attribute, else that of the field.
        field: the name of its field; for a relation to many that of its attribute.
    """

    name: str
    field: str


def field_values(instance: Instance) -> dict[str, Any]:
    """The current field values of an instance, by field name."""
    values = instance.__dict__
    return {name: values[name] for name in schema_of(type(instance)).fields if name in values}


def load_answer(instance: Any) -> None:
    """Loads an instance, and all that is pending with it, before its values are read.

    Raises:
        ItemNotFoundError: if its item is not stored.
        DataFormatError: if a field cannot read its stored value.
    """
    instance._ensure_loaded()
    require_readable(instance)


def answer(instance: Instance, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The values of an instance by field name, with those of some relations.

    Args:
        names: the relations, also nested as in ``"user.org"``.

    Raises:
        ItemNotFoundError: if the item of the instance is not stored.
        DataFormatError: if a field cannot read its stored value.
        QueryError: for a name that is not a relation.
    """
    return _answer(instance, names, _unchanged)


def json_answer(instance: Instance, names: Iterable[str] | None = None) -> dict[str, JsonForm]:
    """`answer` with the JSON form of each value."""
    return _answer(instance, names, _json_form)


def json_answer_text(instance: Instance, names: Iterable[str] | None = None) -> str:
    """`json_answer` as a JSON text.

    Raises:
        ValidationError: for a NaN or an infinity, which a stored JSON text may hold.
    """
    form = json_answer(instance, names)
    try:
        return json_text(form)
    except ValueError as error:
        name = next((name for name, part in form.items() if not _has_json_text(part)), None)
        raise ValidationError(
            f"{schema_of(type(instance)).name}.{name} holds NaN or infinity, which JSON does not have; assign another "
            f"value, or use to_dict().",
            name,
        ) from error


def _has_json_text(form: JsonForm) -> bool:
    try:
        json_text(form)
    except ValueError:
        return False
    return True


def _unchanged(field: Field, value: object) -> object:
    return value


def _json_form(field: Field, value: object) -> JsonForm:
    return None if value is None else field.to_json(value)


def _answer(instance: Instance, names: Iterable[str] | None, convert: Convert) -> dict[str, object]:
    if names is None:
        return _with_relations(instance, {}, convert)
    repository = repository_for(instance)
    paths = [_steps(repository, path) for path in read_side.relation_paths(repository, "related", names)]
    load_answer(instance)
    if state_of(instance).mapper is not None or current_session() is not None:
        load_related(instance, [".".join(step.field for step in path) for path in paths])
    return _with_relations(instance, _tree_of(paths), convert)


def _tree_of(paths: Iterable[Iterable[Step]]) -> RelationTree:
    tree: RelationTree = {}
    for path in paths:
        branch = tree
        for step in path:
            branch = branch.setdefault(step.name, {})
    return tree


def _with_relations(instance: Any, tree: RelationTree, convert: Convert) -> dict[str, object]:
    load_answer(instance)
    fields = schema_of(type(instance)).fields
    values = {name: convert(fields[name], value) for name, value in field_values(instance).items()}
    for name, branch in tree.items():
        values[name] = _targets(_relation(instance, name), branch, convert)
    return values


def _targets(target: object, tree: RelationTree, convert: Convert) -> object:
    """The values of the target of a relation, or a list for a relation to many; None for a missing target."""
    if isinstance(target, read_side.QueryResult):
        return [_with_relations(member, tree, convert) for member in target]
    if target is None or not _has_values(target):
        return None
    return _with_relations(target, tree, convert)


def _has_values(target: Any) -> bool:
    """Whether an instance is new or stored. A pending one is loaded for that."""
    return state_of(target).status is Status.TRANSIENT or target.exists()


# --- names of relations -----------------------------------------------------------------------------------


def _relation(instance: Instance, name: str) -> object:
    """The target of a relation, which may be pending."""
    return related(instance, name) if name in schema_of(type(instance)).fields else getattr(instance, name)


def _relation_attributes(model: type[Instance]) -> dict[str, str]:
    """The attributes for relations: those of relation fields with their field, those to many with their own name."""
    attributes: dict[str, str] = {}
    for base in reversed(model.__mro__):
        attributes.update(
            {name: value.field for name, value in vars(base).items() if isinstance(value, RelatedDeclaration)}
        )
    return {**attributes, **{name: name for name in members_of(model, HasManyDeclaration)}}


def _steps(repository: Repository[Any], path: str) -> list[Step]:
    """The relations of a path. A step may be named by its field, or by its attribute.

    Raises:
        QueryError: for a name that is not a relation.
    """
    steps = []
    mapper: ModelMapper = repository
    for name in path.split("."):
        attributes = _relation_attributes(mapper.model)
        field = attributes.get(name, name)
        is_field = isinstance(mapper.schema.fields.get(field), RelatedField)
        if not is_field and name not in attributes:
            hint = suggestion(name, attributes)
            raise QueryError(f"{mapper.schema.name} has no relation {name!r}.{hint}", field=name)
        shown_name = next((attribute for attribute, owner in attributes.items() if owner == field), field)
        steps.append(Step(shown_name, field))
        mapper = mapper._relation(field).target
    return steps
