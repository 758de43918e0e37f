"""What pydantic asks a model for. The code that needs pydantic is imported then, and not before."""

from __future__ import annotations

from typing import Any

from dynamo_bao.errors import ConfigurationError, message_of
from dynamo_bao.session.state import Instance


def core_schema_of(model: type[Instance]) -> Any:
    """The schema of a model as a type of pydantic."""
    from dynamo_bao.models.pydantic_schema import model_schema

    return model_schema(model)


class Serializer:
    """``User.__pydantic_serializer__``: how pydantic writes an instance where the type does not say what it is."""

    def __get__(self, instance: object, owner: type[Instance]) -> Any:
        try:
            from dynamo_bao.models.pydantic_schema import serializer_of

            return serializer_of(owner.__bao_model__)
        except (ModuleNotFoundError, ConfigurationError) as error:  # hasattr() is False
            raise AttributeError(
                f"{owner.__name__} has no serializer for pydantic: {message_of(error)}"
            ) from error
