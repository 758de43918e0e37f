"""The descriptors of `create` and `delete`, with their types on a class and on its instances."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import MethodType
from typing import Any, Protocol, TypeVar, overload
from uuid import UUID

from dynamo_bao.models.late import write_side
from dynamo_bao.models.registry import repository_for, repository_of
from dynamo_bao.session.state import Instance

T = TypeVar("T", bound=Instance)
T_co = TypeVar("T_co", bound=Instance, covariant=True)
KeyLike = str | int | float | Decimal | datetime | UUID | Enum | tuple[Any, Any] | Mapping[str, Any]
"""A key as callers pass it: the only key value, both values of a composite key, or the primary id."""


class Create:
    """``User.create(…)``. It takes the arguments of the constructor, so type checkers see the class itself."""

    def __get__(self, instance: object, owner: type[T]) -> type[T]:
        return MethodType(create, owner)  # type: ignore[return-value]


def create(cls: type[T], values: Mapping[str, object] | None = None, /, **fields: object) -> T:
    """Stores a new item. It never overwrites a stored one.

    Args:
        values: values by field name, in addition to `fields`.
        **fields: values by field name.

    Returns:
        The instance of the new item.

    Raises:
        ValidationError: if fields refuse their values. It names all of them.
        ConditionalError: if an item with the key exists. Nothing is written.
        UniqueConstraintError: if another item has a unique value. Nothing is written.

    Example:
        >>> ada = User.create(name="Ada", email="ada@example.com")
    """
    return repository_of(cls).create(values, **fields)


class Delete:
    """``User.delete(key)`` on the class, and ``user.delete()`` on an instance."""

    @overload
    def __get__(self, instance: None, owner: type[T]) -> ClassDelete[T]: ...

    @overload
    def __get__(self, instance: T, owner: type[T]) -> InstanceDelete[T]: ...

    def __get__(self, instance: T | None, owner: type[T]) -> Any:
        return MethodType(delete, owner) if instance is None else MethodType(delete_instance, instance)


class ClassDelete(Protocol[T]):
    """The type of ``User.delete``."""

    def __call__(
        self,
        key: KeyLike | T,
        condition: write_side.ConditionLike = None,
        version: str | None = None,
    ) -> T:
        """Deletes an item by its key or its instance."""
        ...


class InstanceDelete(Protocol[T_co]):
    """The type of ``user.delete``."""

    def __call__(self, condition: write_side.ConditionLike = None) -> T_co:
        """Deletes the item of this instance."""
        ...


def delete(
    cls: type[T],
    key: KeyLike | T,
    condition: write_side.ConditionLike = None,
    version: str | None = None,
) -> T:
    """Deletes an item by its key or its instance. ``user.delete(condition)`` deletes that of an instance.

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
        >>> User.delete("42", condition={"status": "active"})
    """
    return repository_of(cls).delete(key, condition, version)


def delete_instance(self: T, condition: write_side.ConditionLike = None) -> T:
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
    return repository_for(self).delete(self, condition)
