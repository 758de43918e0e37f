"""Whether the relations of models lead somewhere: checked when models are connected, as they may name later ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dynamo_bao.errors import ConfigurationError, suggestion
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.registry import models as all_models, preferred


def check_relations(model: type[Any], known: Iterable[type[Any]]) -> None:
    """Raises `ConfigurationError` for a relation of `model` to no model, or one that can hold no value.

    Args:
        model: the model whose relations are checked.
        known: the models of the manager. Those of others count too: which one is meant is told at the first use.
    """
    schema = schema_of(model)
    candidates = list(dict.fromkeys((*known, *all_models())))
    for field in schema.fields.values():
        if not isinstance(field, RelatedField):
            continue
        if not _targets(field, candidates, model):
            hint = suggestion(field.target_name, (one.__bao_name__ for one in candidates))
            raise ConfigurationError(
                f"{schema.name}.{field.name} relates to {field.target_name!r}, which is no model.{hint} Define it, "
                f"import its module, or correct the name.",
                model=schema.name,
                field=field.name,
            )
        if len(schema.key_names) == 2 and field.name in schema.key_names:
            _check_key_part(field, candidates, model)


def _targets(field: RelatedField, candidates: list[type[Any]], near: type[Any]) -> list[type[Any]]:
    """The models that a relation may mean."""
    if not isinstance(field.target, str):
        return [field.target]
    return preferred(field.target, candidates, near)


def _check_key_part(field: RelatedField, candidates: list[type[Any]], model: type[Any]) -> None:
    targets = _targets(field, candidates, model)
    if not all(_has_two_parts(target, candidates, set()) for target in targets):
        return
    other = field.target_name
    raise field.declaration_error(
        f"it is one of two key fields, and the ids of {other} have two parts themselves, which no part of a key can "
        f"hold. Give {model.__name__} a key of one field, or the two key fields of {other} in the place of its id."
    )


def _has_two_parts(model: type[Any], candidates: list[type[Any]], seen: set[type[Any]]) -> bool:
    """Whether the primary ids of a model have two parts, by its own key or that of the model its key relates to."""
    schema = schema_of(model)
    if len(schema.key_names) == 2:
        return True
    field = schema.fields[schema.single_key_name]
    if not isinstance(field, RelatedField) or model in seen:
        return False
    targets = _targets(field, candidates, model)
    return bool(targets) and all(_has_two_parts(one, candidates, {*seen, model}) for one in targets)
