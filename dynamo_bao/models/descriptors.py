"""create() and delete(), typed as what they are on a class and on its instances."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar, overload
from uuid import UUID

from dynamo_bao.models.registry import repository_of
from dynamo_bao.models.repository import Repository
from dynamo_bao.session.state import state_of
from dynamo_bao.writes.change_factory import ConditionLike

T = TypeVar("T")
KeyLike = str | int | float | Decimal | datetime | UUID | Enum | tuple[Any, Any] | Mapping[str, Any]
"""A key as callers give it: its only value, both values of a composite one, or the primary id."""


class Create:
    """``User.create(…)``: takes what the constructor takes, so checkers see it as the class itself."""

    def __get__(self, instance: object, owner: type[T]) -> type[T]:
        return partial(_create, owner)  # type: ignore[return-value]


def _create(model: type[T], values: Mapping[str, Any] | None = None, /, **fields: Any) -> T:
    return repository_of(model).create(values, **fields)


class ClassDelete(Generic[T]):
    """``User.delete("id")`` or ``User.delete(user)``."""

    def __init__(self, model: type[T]) -> None:
        self._model = model

    def __call__(
        self,
        key: KeyLike | T,
        condition: ConditionLike = None,
        version: str | None = None,
    ) -> T:
        """Deletes an item and returns its instance, which no longer exists.

        Args:
            version: the version that must be stored, for a key of a model that has a `VersionField`.

        Raises:
            ItemNotFoundError: where there is no such item.
            ConditionalError: where `condition` does not hold; nothing is deleted.
            VersionConflictError: where another version is stored.
        """
        return repository_of(self._model).delete(key, condition, version)


class InstanceDelete(Generic[T]):
    """``user.delete()``."""

    def __init__(self, instance: T) -> None:
        self._instance = instance

    def __call__(self, condition: ConditionLike = None) -> T:
        """Deletes this instance's item; the instance no longer exists then."""
        return repository_for(self._instance).delete(self._instance, condition)


class Delete:
    """Deletes by key from the class, and this item from an instance."""

    @overload
    def __get__(self, instance: None, owner: type[T]) -> ClassDelete[T]: ...

    @overload
    def __get__(self, instance: T, owner: type[T]) -> InstanceDelete[T]: ...

    def __get__(self, instance: T | None, owner: type[T]) -> ClassDelete[T] | InstanceDelete[T]:
        return ClassDelete(owner) if instance is None else InstanceDelete(instance)


def repository_for(instance: T) -> Repository[T]:
    """The repository an instance belongs to; a new one's is its class's."""
    mapper: Any = state_of(instance).mapper
    return mapper if mapper is not None else repository_of(type(instance))
