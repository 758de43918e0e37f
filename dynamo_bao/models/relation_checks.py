"""Checks of the relations of models. They run when models are connected, because all models are defined then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dynamo_bao.errors import ConfigurationError, suggestion
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.registry import models as all_models, preferred


def check_relations(model: type[Any], managed: Iterable[type[Any]]) -> None:
    """Checks that the relations of a model point to models, and that they can hold the ids of these.

    Args:
        model: the model whose relations are checked.
        managed: the models of the manager. Models of other managers count too; the first use of a relation checks
            that its target is one of the same manager.

    Raises:
        ConfigurationError: for a relation to no model, or one whose ids cannot be part of a key.
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


def _targets(field: RelatedField, candidates: list[type[Any]], near: type[Any]) -> list[type[Any]]:
    """The models that a relation may point to."""
    if not isinstance(field.target, str):
        return [field.target]
    return preferred(field.target, candidates, near)


def _check_key_part(field: RelatedField, candidates: list[type[Any]], model: type[Any]) -> None:
    targets = _targets(field, candidates, model)
    if not all(_has_two_parts(target, candidates, set()) for target in targets):
        return
    target_name = field.target_name
    raise field.declaration_error(
        f"it is one of two key fields, but the ids of {target_name} have two parts themselves, and one key field "
        f"cannot hold both. Give {model.__name__} a key of one field, or the two key fields of {target_name} instead "
        f"of its id."
    )


def _has_two_parts(model: type[Any], candidates: list[type[Any]], visited_models: set[type[Any]]) -> bool:
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
