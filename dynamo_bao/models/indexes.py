"""The declarations of keys, indexes and unique constraints in a class body, and the queries they offer."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar, Unpack

from dynamo_bao.mapping.declarations import ConstraintDeclaration, IndexDeclaration, PrimaryKeyDeclaration
from dynamo_bao.models.late import read_side
from dynamo_bao.models.registry import repository_of
from dynamo_bao.runtime.records import frozen
from dynamo_bao.session.state import Instance

M = TypeVar("M", bound=Instance)
Match = TypeVar("Match", covariant=True)


@frozen
class BoundIndex(Generic[M]):
    """An index (or a primary key) of one model: ``User.by_status``."""

    model: type[M]
    name: str

    def query(
        self, value: object = None, sort_condition: object = None, **options: Unpack[read_side.QueryOptions]
    ) -> read_side.QueryResult[M]:
        """Queries one partition of the index. No request is sent before the result is looked at.

        Args:
            value: the value of the partition key field, or an instance for a relation.
            sort_condition: a value, or a dict such as ``{"created_at": {"$gt": moment}}``.
            **options: as `Model.query_by_index` takes them.

        Returns:
            The matches, as a sequence that loads its pages when they are needed.

        Raises:
            QueryError: if an option does not fit the index.
            ValidationError: if a key field refuses its value.

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
        """Finds the instance with a unique value. It is read consistently and at once.

        Args:
            value: the unique value.

        Returns:
            The instance, or None if no item has the value.

        Raises:
            ValidationError: for an empty value, or one that the field refuses.

        Example:
            >>> User.unique_email.find("ada@example.com")
        """
        return repository_of(self.model).find_by_unique_constraint(self.name, value)


class PrimaryKey(PrimaryKeyDeclaration):
    """The primary key of a model.

    Args:
        partition: the field whose value spreads items over partitions, or `MODEL_PREFIX`.
        sort: the field that orders the items of a partition. Without it each partition has one item.

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
        partition: the field whose value a query gives, or `MODEL_PREFIX` for all items of the model.
        sort: the field that orders the items of a partition.
        id: the index of the table that it uses, ``"gsi1"`` to ``"gsi5"``. It must not change later.

    Example:
        >>> class User(Model, prefix="u"):
        ...     user_id: str = UlidField(auto_assign=True)
        ...     status: str
        ...     created_at: datetime = CreateDateField()
        ...     primary_key = PrimaryKey("user_id")
        ...     by_status = Index("status", "created_at", id="gsi1")
    """

    def __get__(self, instance: object, owner: type[M]) -> BoundIndex[M]:
        return BoundIndex(owner, self.name or "")


class UniqueConstraint(ConstraintDeclaration):
    """A field whose values are unique among the items of the model.

    Args:
        field: the field.
        id: ``"uc1"`` to ``"uc3"``. It must not change later.

    Example:
        >>> class User(Model, prefix="u"):
        ...     user_id: str = UlidField(auto_assign=True)
        ...     email: str
        ...     primary_key = PrimaryKey("user_id")
        ...     unique_email = UniqueConstraint("email", id="uc1")
    """

    def __get__(self, instance: object, owner: type[M]) -> BoundConstraint[M]:
        return BoundConstraint(owner, self.name or "")


# --- the types of methods that are generated for models -----------------------------------------------


class QueryMethod(Protocol[M]):
    """The type of a generated query by an index, such as ``User.query_by_status``.

    Type checkers know the method if the class declares it. The declaration changes nothing else.

    Example:
        >>> class User(Model, prefix="u"):
        ...     user_id: str = UlidField(auto_assign=True)
        ...     status: str = StringField()
        ...     primary_key = PrimaryKey("user_id")
        ...     by_status = Index("status", id="gsi1")
        ...     query_by_status: ClassVar[QueryMethod["User"]]
    """

    def __call__(
        self, value: object = None, sort_condition: object = None, **options: Unpack[read_side.QueryOptions]
    ) -> read_side.QueryResult[M]: ...


class ChildQueryMethod(Protocol[M]):
    """The type of a generated query for the children of a parent, such as ``user.query_posts``.

    Example:
        >>> class User(Model, prefix="u"):
        ...     user_id: str = UlidField(auto_assign=True)
        ...     primary_key = PrimaryKey("user_id")
        ...     query_posts: ClassVar[ChildQueryMethod["Post"]]
    """

    def __call__(
        self, sort_condition: object = None, **options: Unpack[read_side.QueryOptions]
    ) -> read_side.QueryResult[M]: ...


class FindMethod(Protocol[Match]):
    """The type of a generated find by a unique value, such as ``User.find_by_email``.

    Example:
        >>> class User(Model, prefix="u"):
        ...     user_id: str = UlidField(auto_assign=True)
        ...     email: str = StringField()
        ...     primary_key = PrimaryKey("user_id")
        ...     unique_email = UniqueConstraint("email", id="uc1")
        ...     find_by_email: ClassVar[FindMethod["User"]]
    """

    def __call__(self, value: object) -> Match | None: ...
