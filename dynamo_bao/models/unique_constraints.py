"""The lookup of unique values: the constraint, the stored form of a value, and the check of the item."""

from __future__ import annotations

from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.service import AttributeValue
from dynamo_bao.errors import ConfigurationError, ValidationError, suggestion
from dynamo_bao.mapping.key_schema import UniqueConstraintSchema
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.session.state import Instance, state_of


def constraint_named(schema: Schema, name: str) -> UniqueConstraintSchema:
    """The constraint of that name, or on the field of that name.

    Raises:
        ConfigurationError: if the model has no such constraint.
    """
    for constraint in schema.constraints.values():
        if name in (constraint.name, constraint.field.name):
            return constraint
    hint = suggestion(str(name), schema.constraints)
    raise ConfigurationError(f"{schema.name} has no unique constraint {name!r}.{hint}", model=schema.name)


def stored_value(constraint: UniqueConstraintSchema, value: object) -> AttributeValue:
    """The stored form of a unique value.

    Raises:
        ValidationError: for an empty value, or one that the field refuses.
    """
    field = constraint.field
    if value is None or value == "":
        raise ValidationError(f"{field.model}: {field.name} value is required.", field.name, value)
    attribute = field.to_dynamo(field.accept(value))
    assert attribute is not None
    return attribute


def has_value(instance: Instance, constraint: UniqueConstraintSchema, attribute: AttributeValue) -> bool:
    """Whether the item of an instance has a unique value, as the guard of the value says."""
    item = state_of(instance).dict_item() or {}
    return same_stored(item.get(constraint.field.attribute), attribute)
