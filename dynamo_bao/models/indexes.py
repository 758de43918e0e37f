"""What a class body declares its keys with; from the class each gives its queries, typed."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from attrs import frozen

from dynamo_bao._compat import Unpack
from dynamo_bao.mapping.declarations import ConstraintDeclaration, IndexDeclaration, PrimaryKeyDeclaration
from dynamo_bao.models.registry import repository_of
from dynamo_bao.reads.query import QueryOptions
from dynamo_bao.reads.query_result import QueryResult

M = TypeVar("M")
Found = TypeVar("Found", covariant=True)


@frozen
class BoundIndex(Generic[M]):
    """An index (or a primary key) of one model: ``User.by_status``."""

    model: type[M]
    name: str

    def query(
        self, value: object = None, sort_condition: Any = None, **options: Unpack[QueryOptions]
    ) -> QueryResult[M]:
        """The items of one partition; arguments as `Repository.query_by_index` takes them.

        Example:
            >>> User.by_status.query("active", limit=10)
        """
        return repository_of(self.model).query_by_index(self.name, value, sort_condition, **options)


@frozen
class BoundConstraint(Generic[M]):
    """A unique constraint of one model: ``User.unique_email``."""

    model: type[M]
    name: str

    def find(self, value: object) -> M | None:
        """The instance that has a unique value, or None; read at once and consistently."""
        return repository_of(self.model).find_by_unique_constraint(self.name, value)


class PrimaryKey(PrimaryKeyDeclaration):
    """The primary key of a model.

    Args:
        partition: the field whose value spreads items over partitions, or `MODEL_PREFIX`.
        sort: the field that orders the items of a partition; left out, there is one item per partition key.

    Example:
        >>> class Comment(Model, prefix="c"):
        ...     post_id: str = StringField()
        ...     comment_id: str = UlidField(auto_assign=True)
        ...     primary_key = PrimaryKey("post_id", "comment_id")
        ...     comments_for_post = primary_key      # gives it a query name
    """

    def __get__(self, instance: object, owner: type[M]) -> BoundIndex[M]:
        return BoundIndex(owner, self.name or "primary_key")


class Index(IndexDeclaration):
    """A global secondary index of a model.

    Args:
        partition: the field that is asked for by value, or `MODEL_PREFIX` for all items of the model.
        sort: the field that orders them.
        id: which of the table's indexes it uses, ``"gsi1"`` to ``"gsi5"``; it must not change later.
    """

    def __get__(self, instance: object, owner: type[M]) -> BoundIndex[M]:
        return BoundIndex(owner, self.name or "")


class UniqueConstraint(ConstraintDeclaration):
    """A field whose value only one item of the model may have.

    Args:
        field: the field.
        id: ``"uc1"`` to ``"uc3"``; it must not change later.
    """

    def __get__(self, instance: object, owner: type[M]) -> BoundConstraint[M]:
        return BoundConstraint(owner, self.name or "")


# --- the types of methods that models get at run time -----------------------------------------------


class QueryMethod(Protocol[M]):
    """The type of a query by an index that a class gets at run time, such as ``User.query_by_status``.

    Checkers know such a method where the class declares it; nothing else changes.

    Example:
        >>> class User(Model, prefix="u"):
        ...     status: str = StringField()
        ...     by_status = Index("status", id="gsi1")
        ...     query_by_status: ClassVar[QueryMethod["User"]]
    """

    def __call__(
        self, value: object = None, sort_condition: Any = None, **options: Unpack[QueryOptions]
    ) -> QueryResult[M]: ...


class ChildQueryMethod(Protocol[M]):
    """The type of a query for its children that a parent gets at run time, such as ``user.query_posts``.

    Example:
        >>> class User(Model, prefix="u"):
        ...     query_posts: ClassVar[ChildQueryMethod["Post"]]
    """

    def __call__(self, sort_condition: Any = None, **options: Unpack[QueryOptions]) -> QueryResult[M]: ...


class FindMethod(Protocol[Found]):
    """The type of a find by a unique value that a class gets at run time, such as ``User.find_by_email``.

    Example:
        >>> class User(Model, prefix="u"):
        ...     email: str = StringField()
        ...     unique_email = UniqueConstraint("email", id="uc1")
        ...     find_by_email: ClassVar[FindMethod["User"]]
    """

    def __call__(self, value: object) -> Found | None: ...
