"""Checks of the relations of models. They run when models are connected, because all models are defined then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dynamo_bao.errors import ConfigurationError, suggestion
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.mapping.declarations import HasManyDeclaration, RelatedDeclaration, members_of
from dynamo_bao.mapping.key_schema import Shape
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.registry import is_one_of, models as all_models, names_of, preferred
from dynamo_bao.session.state import Instance


def check_relations(model: type[Instance], managed: Iterable[type[Instance]]) -> None:
    """Checks that the relations of a model point to models, and that they can hold the ids of these.

    Args:
        model: the model whose relations are checked.
        managed: the models of the manager. Models of other managers count too; the first use of a relation checks
            that its target is one of the same manager.

    Raises:
        ConfigurationError: for a relation to no model, one whose ids cannot be part of a key, a relation to one whose
            field does not fit, or a relation to many whose index does not fit.
    """
    schema = schema_of(model)
    candidates = list(dict.fromkeys((*managed, *all_models())))
    for field in schema.fields.values():
        if not isinstance(field, RelatedField):
            continue
        if not _targets(field, candidates, model):
            hint = suggestion(field.target_name, (candidate.__bao_name__ for candidate in candidates))
            raise ConfigurationError(
                f"{schema.name}.{field.name} relates to {field.target_name!r}, which is not a model.{hint} Define it, "
                f"import its module, or correct the name.",
                model=schema.name,
                field=field.name,
            )
        if len(schema.key_names) == 2 and field.name in schema.key_names:
            _check_key_part(field, candidates, model)
    for name, to_one in members_of(model, RelatedDeclaration).items():
        _check_to_one(name, to_one, candidates, model)
    for relation in members_of(model, HasManyDeclaration).values():
        _check_to_many(relation, candidates, model)


def _targets(
    field: RelatedField, candidates: list[type[Instance]], near: type[Instance]
) -> list[type[Instance]]:
    """The models that a relation may point to."""
    if not isinstance(field.target, str):
        return [field.target]
    return preferred(field.target, candidates, near)


def _check_key_part(field: RelatedField, candidates: list[type[Instance]], model: type[Instance]) -> None:
    targets = _targets(field, candidates, model)
    if not all(_has_two_parts(target, candidates, set()) for target in targets):
        return
    target_name = field.target_name
    raise field.declaration_error(
        f"it is one of two key fields, but the ids of {target_name} have two parts themselves, and one key field "
        f"cannot hold both. Give {model.__name__} a key of one field, or the two key fields of {target_name} instead "
        f"of its id."
    )


def _check_to_one(
    name: str, relation: RelatedDeclaration, candidates: list[type[Instance]], model: type[Instance]
) -> None:
    """Raises `ConfigurationError` if a relation to one names no relation field, or another model than its field."""
    schema = schema_of(model)
    field = schema.fields.get(relation.field)
    label = f"{model.__name__}.{name} = {relation!r}"
    if not isinstance(field, RelatedField):
        hint = suggestion(str(relation.field), schema.relation_names)
        raise ConfigurationError(
            f"{label}: {relation.field!r} is not a relation field.{hint}", model=model.__name__, field=name
        )
    names = names_of(relation.target)
    if any(is_one_of(target, names) for target in _targets(field, candidates, model)):
        return
    if any(is_one_of(candidate, names) for candidate in candidates):  # else it is a name for checkers alone
        raise ConfigurationError(
            f'{label}: {relation.field} relates to {field.target_name}. Write Related["{field.target_name}"]'
            f"({relation.field!r}), or name another field.",
            model=model.__name__,
            field=name,
        )


def _check_to_many(
    relation: HasManyDeclaration, candidates: list[type[Instance]], model: type[Instance]
) -> None:
    """Raises `ConfigurationError` unless a relation to many has a model, and an index that relates to `model`."""
    target = _model_named(relation.target, relation, candidates, model)
    queried_model = target
    if relation.through is not None:
        queried_model = _model_named(relation.through, relation, candidates, model)
    schema = schema_of(queried_model)
    shape = _indexes_of(schema).get(relation.index)
    if shape is None:
        hint = suggestion(relation.index, _indexes_of(schema))
        raise _to_many_error(relation, model, f"{schema.name} has no index {relation.index!r}.{hint}")
    if not _relates_to(shape, candidates, queried_model, model):
        fitting = [
            name
            for name, other in _indexes_of(schema).items()
            if _relates_to(other, candidates, queried_model, model)
        ]
        advice = (
            f"Use {' or '.join(map(repr, fitting))}."
            if fitting
            else f'Give {schema.name} an index whose partition key is a RelatedField("{model.__bao_name__}").'
        )
        raise _to_many_error(
            relation,
            model,
            f"the partition key of {schema.name}.{relation.index} is {_partition_text(shape)}, not a relation to "
            f"{model.__bao_name__}. {advice}",
        )
    if relation.through is not None:
        _check_through(relation, queried_model, shape, target, candidates, model)


def _check_through(
    relation: HasManyDeclaration,
    mapping_model: Any,
    shape: Shape,
    target: type[Instance],
    candidates: list[type[Instance]],
    model: type[Instance],
) -> None:
    schema = schema_of(mapping_model)
    if mapping_model.__bao_options__.table_type != "mapping":
        raise _to_many_error(
            relation,
            model,
            f"through= takes a mapping model, and {schema.name} is an ordinary one. Declare it with "
            f'table_type="mapping", or leave through= out and write HasMany["{schema.name}"].',
        )
    name = schema.mapped_relation(shape)
    field = None if name is None else schema.fields[name]
    if not isinstance(field, RelatedField) or target not in _targets(field, candidates, mapping_model):
        other = "has no other relation in its key"
        if isinstance(field, RelatedField):
            other = f"leads to {field.target_name}"
        raise _to_many_error(
            relation, model, f"{schema.name} {other}, not to {target.__bao_name__}. Name that model instead."
        )


def _model_named(
    name: str | type[object] | None,
    relation: HasManyDeclaration,
    candidates: list[type[Instance]],
    model: type[Instance],
) -> Any:
    matches = preferred(name, candidates, model) if isinstance(name, str) else [name]
    if matches and hasattr(matches[0], "__bao_name__"):
        return matches[0]
    hint = suggestion(str(name), (candidate.__bao_name__ for candidate in candidates))
    raise _to_many_error(
        relation,
        model,
        f"{name!r} is not a model.{hint} Define it, import its module, or correct the name.",
    )


def _indexes_of(schema: Schema) -> dict[str, Shape]:
    """What a relation to many can query, by name."""
    return {**schema.indexes, schema.primary.name: schema.primary}


def _relates_to(
    shape: Shape,
    candidates: list[type[Instance]],
    owner: type[Instance],
    model: type[Instance],
) -> bool:
    """Whether the partition key of an index of `owner` is a relation to `model`."""
    field = shape.partition.field
    return isinstance(field, RelatedField) and model in _targets(field, candidates, owner)


def _partition_text(shape: Shape) -> str:
    return "the prefix of the model" if shape.partition.field is None else repr(shape.partition.name)


def _to_many_error(relation: HasManyDeclaration, model: type[Instance], text: str) -> ConfigurationError:
    return ConfigurationError(
        f"{model.__name__}.{relation.name} = {relation!r}: {text}",
        model=model.__name__,
        field=relation.name,
    )


def _has_two_parts(
    model: type[Instance], candidates: list[type[Instance]], visited_models: set[type[Instance]]
) -> bool:
    """Whether the primary ids of a model have two parts: by its own key, or by the model that its key relates to."""
    schema = schema_of(model)
    if len(schema.key_names) == 2:
        return True
    field = schema.fields[schema.single_key_name]
    if not isinstance(field, RelatedField) or model in visited_models:
        return False
    targets = _targets(field, candidates, model)
    return bool(targets) and all(
        _has_two_parts(target, candidates, {*visited_models, model}) for target in targets
    )
