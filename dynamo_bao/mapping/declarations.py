"""What a model class declares about its keys and relations, as plain values. `models` adds the queries."""

from __future__ import annotations

from types import NoneType
from typing import Any, TypeVar, get_args

from dynamo_bao.mapping.key_schema import ModelPrefix

T = TypeVar("T")
KeyPart = str | ModelPrefix
"""A field's name, or `MODEL_PREFIX`."""


class KeyDeclaration:
    """A primary key or an index: its two parts, and its name in the class body."""

    def __init__(self, partition: KeyPart, sort: KeyPart | None = None) -> None:
        self.partition = partition
        self.sort = sort
        self.name: str | None = None

    def __set_name__(self, owner: type[object], name: str) -> None:
        if self.name is None or self.name == "primary_key":
            self.name = name

    @property
    def parts(self) -> tuple[KeyPart, KeyPart | None]:
        """Both parts, partition first."""
        return self.partition, self.sort

    def __repr__(self) -> str:
        arguments = ", ".join(repr(part) for part in self.parts if part is not None)
        return f"{type(self).__name__}({arguments})"


class PrimaryKeyDeclaration(KeyDeclaration):
    """The primary key. A second name in the class body makes it a named query."""


class IndexDeclaration(KeyDeclaration):
    """A global secondary index under one of the table's five index ids."""

    def __init__(self, partition: KeyPart, sort: KeyPart | None = None, *, id: str) -> None:
        super().__init__(partition, sort)
        self.id = id


class ConstraintDeclaration:
    """A unique constraint under one of the three constraint ids."""

    def __init__(self, field: str, *, id: str) -> None:
        self.field = field
        self.id = id
        self.name: str | None = None

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.field!r}, id={self.id!r})"


class RelatedDeclaration:
    """A relation to one instance, under the name of a relation field."""

    def __init__(self, field: str) -> None:
        self.field = field

    @property
    def target(self) -> str | type[object] | None:
        """The related model or its name, from ``Related["User"](…)``; None if it was left out.

        It is also None if it is nothing but a type for checkers. ``"User | None"`` is the type of an optional relation.
        """
        target = _in_brackets(self)
        names = target.split("|") if isinstance(target, str) else get_args(target) or (target,)
        models = [name for name in names if name not in (None, NoneType) and str(name).strip() != "None"]
        (model,) = models if len(models) == 1 else (None,)
        return model.strip() if isinstance(model, str) else model

    def __repr__(self) -> str:
        return f"Related[{_model_text(self.target)}]({self.field!r})"


class HasManyDeclaration:
    """A relation to many instances.

    Attributes:
        index: the index or named primary key whose partition key is a relation to the declaring model.
        through: the mapping model that has the index, or its name; None if the related model itself has it.
        name: the name in the class body.
    """

    def __init__(
        self, index: str, through: str | type[object] | None, model: str | type[object] | None = None
    ) -> None:
        self.index = index
        self.through = through
        self._model = model
        self.name: str = ""
        self.owner: str = ""

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.name, self.owner = name, owner.__name__

    @property
    def target(self) -> str | type[object] | None:
        """The related model or its name, from ``HasMany["Post"](…)``; None if it was left out."""
        if self._model is not None:
            return self._model
        target: str | type[object] | None = _in_brackets(self)
        return target

    def __repr__(self) -> str:
        through = "" if self.through is None else f", through={_model_text(self.through)}"
        return f"HasMany[{_model_text(self.target)}]({self.index!r}{through})"


def members_of(cls: type[object], kind: type[T]) -> dict[str, T]:
    """The members of a kind in a class and its bases, by name. What a subclass binds replaces that of its base."""
    members = {name: member for base in reversed(cls.__mro__) for name, member in vars(base).items()}
    return {name: member for name, member in members.items() if isinstance(member, kind)}


def member_of(model: type[object], name: str) -> object:
    """What a model has under a name, without the effect of descriptors; None without it."""
    return next((vars(cls)[name] for cls in model.__mro__ if name in vars(cls)), None)


def _in_brackets(relation: object) -> Any:
    """The type that a relation was declared with, in brackets, or its text; None without one."""
    (target,) = getattr(getattr(relation, "__orig_class__", None), "__args__", (None,))
    return getattr(target, "__forward_arg__", target)


def _model_text(model: str | type[object] | None) -> str:
    return model.__name__ if isinstance(model, type) else repr(model)
