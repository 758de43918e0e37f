"""The descriptors of `create` and `delete`, with their types on a class and on its instances."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar, overload
from uuid import UUID

from dynamo_bao.models.late import write_side
from dynamo_bao.models.registry import repository_for, repository_of
from dynamo_bao.session.state import Instance

T = TypeVar("T", bound=Instance)
KeyLike = str | int | float | Decimal | datetime | UUID | Enum | tuple[Any, Any] | Mapping[str, Any]
"""A key as callers pass it: the only key value, both values of a composite key, or the primary id."""


class Create:
    """``User.create(…)``. It takes the arguments of the constructor, so type checkers see the class itself."""

    def __get__(self, instance: object, owner: type[T]) -> type[T]:
        return partial(_create, owner)  # type: ignore[return-value]


def _create(model: type[T], values: Mapping[str, object] | None = None, /, **fields: object) -> T:
    return repository_of(model).create(values, **fields)


class ClassDelete(Generic[T]):
    """``User.delete("id")`` or ``User.delete(user)``."""

    def __init__(self, model: type[T]) -> None:
        self._model = model

    def __call__(
        self,
        key: KeyLike | T,
        condition: write_side.ConditionLike = None,
        version: str | None = None,
    ) -> T:
        """Deletes an item by its key or its instance.

        Args:
            key: an instance, or a key as `find` takes it.
            condition: what must hold of the stored item, as a dict or an expression.
            version: the version that must be stored, for a model with a `VersionField`.

        Returns:
            The instance. It is falsy, because its item no longer exists.

        Raises:
            ItemNotFoundError: if the item is not stored.
            ConditionalError: if `condition` does not hold. Nothing is deleted.
            VersionConflictError: if another version is stored.

        Example:
            >>> User.delete("42", condition={"status": "closed"})
        """
        return repository_of(self._model).delete(key, condition, version)


class InstanceDelete(Generic[T]):
    """``user.delete()``."""

    def __init__(self, instance: T) -> None:
        self._instance = instance

    def __call__(self, condition: write_side.ConditionLike = None) -> T:
        """Deletes the item of this instance.

        Args:
            condition: what must hold of the stored item, as a dict or an expression.

        Returns:
            The instance. It is falsy, because its item no longer exists.

        Raises:
            ItemNotFoundError: if the item is not stored.
            ConditionalError: if `condition` does not hold. Nothing is deleted.
            VersionConflictError: if another version is stored than the loaded one.

        Example:
            >>> user.delete()
        """
        return repository_for(self._instance).delete(self._instance, condition)


class Delete:
    """``User.delete(key)`` on the class, and ``user.delete()`` on an instance."""

    @overload
    def __get__(self, instance: None, owner: type[T]) -> ClassDelete[T]: ...

    @overload
    def __get__(self, instance: T, owner: type[T]) -> InstanceDelete[T]: ...

    def __get__(self, instance: T | None, owner: type[T]) -> ClassDelete[T] | InstanceDelete[T]:
        return ClassDelete(owner) if instance is None else InstanceDelete(instance)
