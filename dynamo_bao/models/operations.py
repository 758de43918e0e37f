"""The class methods of models, which find, query, change and count the items of a model by its repository."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, Unpack, overload

from dynamo_bao.models.late import iteration, read_side, search, search_terms, write_side
from dynamo_bao.models.registry import repository_cache, repository_of
from dynamo_bao.session.state import Instance
from dynamo_bao.writes.hooks import register_plugin

M = TypeVar("M", bound="ModelOperations")
Changes = Mapping[Any, Any]
"""Changes by field name or path. Type checkers cannot infer the key type of a dict with both kinds of keys."""


class ModelOperations(Instance):
    """The class methods of `Model` that read and write items."""

    @classmethod
    def find(
        cls: type[M],
        key: object = None,
        /,
        *,
        consistent_read: bool = False,
        bypass_cache: bool = False,
        **parts: object,
    ) -> M:
        """The instance for a key. Inside a batch context it is loaded when one of its fields is read.

        Outside a batch context the item is read at once.

        Args:
            key: the value of the key field, the primary id, or a tuple or mapping of both values of a composite key.
            consistent_read: True reads the item consistently. That costs twice the read units.
            bypass_cache: True reads from DynamoDB at once and does not use the session's instances.
            **parts: the key fields by name, instead of `key`.

        Returns:
            An instance. It is falsy if the item is not stored.

        Raises:
            ValidationError: if the key is empty or does not fit the model.
            BatchContextRequiredError: outside a batch context, in strict mode.

        Example:
            >>> user = User.find("42")
            >>> comment = Comment.find(post_id="7", comment_id="1")
        """
        # This is the most frequent call: look into the cache before calling a function.
        repository = repository_cache.get(cls) or repository_of(cls)
        if parts or key is None:
            key = repository._key_of(key, parts, consistent_read, bypass_cache)
        instance: M = repository._find(key, consistent_read, bypass_cache)
        return instance

    @classmethod
    def find_or_none(cls: type[M], key: object = None, /, **options: object) -> M | None:
        """Loads the instance for a key at once.

        Args:
            key: as `find` takes it.
            **options: as `find` takes them.

        Returns:
            The instance, or None if the item is not stored.

        Raises:
            ValidationError: if the key is empty or does not fit the model.

        Example:
            >>> user = User.find_or_none("42")
        """
        return repository_of(cls).find_or_none(key, **options)

    @classmethod
    def find_or_raise(cls: type[M], key: object = None, /, **options: object) -> M:
        """Loads the instance for a key at once.

        Args:
            key: as `find` takes it.
            **options: as `find` takes them.

        Returns:
            The instance.

        Raises:
            ItemNotFoundError: if the item is not stored.
            ValidationError: if the key is empty or does not fit the model.

        Example:
            >>> user = User.find_or_raise("42")
        """
        return repository_of(cls).find_or_raise(key, **options)

    @classmethod
    def batch_find(
        cls: type[M],
        keys: Iterable[object] | None,
        *,
        consistent_read: bool = False,
        load_related: bool | Sequence[str] = False,
    ) -> dict[str, M]:
        """Finds many instances with as few requests as possible, up to 100 keys a request.

        Inside a batch context all of them are loaded when a field of one is read. Outside they are loaded at once.

        Args:
            keys: keys as `find` takes them. All are checked before the first request.
            consistent_read: True reads the items consistently. That costs twice the read units.
            load_related: True loads the items and the targets of all their relation fields at once; a list names the
                relations to load, also nested as in ``"posts.comments"``.

        Returns:
            The instances by primary id. Instances of items that are not stored are included; they are falsy.

        Raises:
            ValidationError: if a key is empty or does not fit the model, or if `keys` is a single key.

        Example:
            >>> users = User.batch_find(["1", "2", "3"])
            >>> users["1"].name
            'Ada'
        """
        return repository_of(cls).batch_find(keys, consistent_read=consistent_read, load_related=load_related)

    @classmethod
    def update(
        cls: type[M],
        key: object,
        changes: Changes | None = None,
        /,
        *,
        condition: write_side.ConditionLike = None,
        version: str | None = None,
        **fields: object,
    ) -> M:
        """Changes fields of a stored item, or parts of them, without loading it first.

        Args:
            key: as `find` takes it.
            changes: new values by field name or path, such as ``"prefs.theme"``. A value can also be `Append`,
                `Prepend`, `IfMissing`, `Remove`, `Increment`, `AddMembers` or `DropMembers`. Never pass a request's
                own dict: its keys would be paths.
            condition: what must hold of the stored item, as a dict or an expression.
            version: the version that must be stored, for a model with a `VersionField`.
            **fields: new values by field name.

        Returns:
            The instance, with the item as it is stored after the update.

        Raises:
            ItemNotFoundError: if the item is not stored.
            ConditionalError: if `condition` does not hold.
            VersionConflictError: if another version is stored.
            ValidationError: if a field refuses its value.
            QueryError: for a path that leads nowhere, or for two changes of the same part.
            WriteOutcomeUnknownError: if the reply was lost and a repeated request could count or append twice.

        Example:
            >>> User.update("42", {"address.city": "Rome"}, condition={"status": "active"})
        """
        return repository_of(cls).update(key, changes, condition=condition, version=version, **fields)

    @classmethod
    def increment(
        cls: type[M], key: object, /, *, condition: write_side.ConditionLike = None, **amounts: int
    ) -> M:
        """Adds to counters of a stored item atomically. Negative amounts subtract.

        Args:
            key: as `find` takes it.
            condition: what must hold of the stored item, as a dict or an expression.
            **amounts: by counter field the whole number to add.

        Returns:
            The instance, with the item as it is stored after the update.

        Raises:
            ItemNotFoundError: if the item is not stored.
            ConditionalError: if `condition` does not hold.
            UnknownFieldError: for a name that is not a `CounterField`.
            WriteOutcomeUnknownError: if the reply was lost. `CounterField(exact=True)` avoids that.

        Example:
            >>> Post.increment("7", views=1)
        """
        return repository_of(cls).increment(key, condition=condition, **amounts)

    @classmethod
    def upsert(cls: type[M], values: Mapping[str, object] | None = None, /, **fields: object) -> M:
        """Updates the item with the key in the given fields, or creates it.

        Args:
            values: values by field name, in addition to `fields`.
            **fields: values by field name.

        Returns:
            The instance, with the item as it is stored now.

        Raises:
            ValidationError: if a field refuses its value, or a required field is missing for a new item.
            UniqueConstraintError: if another item has a unique value.

        Example:
            >>> Setting.upsert(name="theme", value="dark")
        """
        return repository_of(cls).upsert(values, **fields)

    @classmethod
    def batch_find_by_unique_constraint(
        cls: type[M], name: str, values: Iterable[object]
    ) -> dict[Any, M | None]:
        """Finds the instances with these unique values, in two rounds for any number of values.

        Args:
            name: the name of the unique constraint, or of its field.
            values: the unique values.

        Returns:
            By value the instance, or None if no item has the value.

        Raises:
            ConfigurationError: if the model has no such constraint.
            ValidationError: for an empty value, or one that the field refuses.

        Example:
            >>> User.batch_find_by_unique_constraint("unique_email", ["ada@example.com", "bob@example.com"])
        """
        return repository_of(cls).batch_find_by_unique_constraint(name, values)

    @classmethod
    def register_plugin(cls, plugin: object) -> None:
        """Adds a plugin: functions that run before and after saves and deletes, and methods for the model.

        Args:
            plugin: an object or a mapping with any of ``before_save(data, options)``,
                ``after_save(instance, options)``, ``before_delete(primary_id, options)``,
                ``after_delete(primary_id, options)``, and ``methods``, a mapping of names to functions.

        Raises:
            ConfigurationError: if the plugin has none of these, or if a method would replace one of the model.

        Example:
            >>> User.register_plugin({"after_save": lambda user, options: audit(user)})
        """
        register_plugin(cls, plugin)

    @classmethod
    def query_by_index(
        cls: type[M],
        index: str,
        value: object = None,
        sort_condition: object = None,
        **options: Unpack[read_side.QueryOptions],
    ) -> read_side.QueryResult[M]:
        """Queries one partition of an index. No request is sent before the result is looked at.

        Args:
            index: the name of the index in the model, or the query name of the primary key.
            value: the value of the partition key field, or an instance for a relation.
            sort_condition: a value, or a dict such as ``{"created_at": {"$gt": moment}}``.
            **options: `limit`, `page_size`, `direction`, `filter`, `count_only`, `consistent_read`, `start_key`,
                `load_related`, `related_fields`, `related_only` and `bypass_cache`.

        Returns:
            The matches, as a sequence that loads its pages when they are needed.

        Raises:
            QueryError: if the model has no such index, or an option does not fit it.
            ValidationError: if a key field refuses its value.

        Example:
            >>> User.query_by_index("by_status", "active", limit=10, direction="DESC")
        """
        return repository_of(cls).query_by_index(index, value, sort_condition, **options)

    @classmethod
    def find_where(
        cls: type[M], values: Mapping[str, object] | None = None, /, **fields: object
    ) -> read_side.QueryResult[M]:
        """Finds the items whose fields have these values: a query of the index that fits, and a filter for the rest.

        A value is never read as an operator, so values may come from a request.

        Args:
            values: values by path, for paths that are no keyword. Never pass a request's own dict: its keys would
                be paths.
            **fields: values by field. One field must be the partition key of an index, or of a composite primary key.

        Returns:
            The matches, as `query_by_index` returns them.

        Raises:
            QueryError: if no index begins with one of the fields.
            ValidationError: if a field refuses its value.

        Example:
            >>> Account.find_where(status="active", plan="basic")
        """
        return repository_of(cls).find_where(values, **fields)

    @classmethod
    def find_by_unique_constraint(cls: type[M], name: str, value: object) -> M | None:
        """Finds the instance with a unique value. It is read consistently and at once.

        Args:
            name: the name of the unique constraint, or of its field.
            value: the unique value.

        Returns:
            The instance, or None if no item has the value.

        Raises:
            ConfigurationError: if the model has no such constraint.
            ValidationError: for an empty value, or one that the field refuses.

        Example:
            >>> User.find_by_unique_constraint("unique_email", "ada@example.com")
        """
        return repository_of(cls).find_by_unique_constraint(name, value)

    @overload
    @classmethod
    def iterate_all(
        cls, batch_size: int = ..., *, keys_only: Literal[True], **options: Unpack[iteration.IterationOptions]
    ) -> iteration.Iteration[str]: ...

    @overload
    @classmethod
    def iterate_all(
        cls: type[M],
        batch_size: int = ...,
        filter: iteration.FilterLike = ...,
        **options: Unpack[iteration.IterationOptions],
    ) -> iteration.Iteration[M]: ...

    @classmethod
    def iterate_all(
        cls, batch_size: int = 100, filter: iteration.FilterLike = None, **options: object
    ) -> iteration.Iteration[Any]:
        """Iterates over all items of an iterable model, in batches.

        Args:
            batch_size: how many entries of the index a batch comes from. A filter leaves fewer instances.
            filter: a function of the instance, or a condition on ``_searchText``.
            keys_only: True gives lists of primary ids and reads no items.
            parallel: how many buckets are read at the same time.
            start_key: the `last_evaluated_key` of an earlier iteration, to continue it.
            max_read_units: the most read units to consume in a second; None for no limit.

        Returns:
            An iteration over lists of instances. It has a `last_evaluated_key` to continue it later.

        Raises:
            ConfigurationError: if the model is not iterable.
            QueryError: if an argument is wrong.

        Example:
            >>> for users in User.iterate_all(batch_size=50):
            ...     send_newsletter(users)
        """
        return repository_of(cls).iterate_all(batch_size, filter, **options)

    @classmethod
    def iterate_bucket(
        cls: type[M],
        bucket: int,
        batch_size: int = 100,
        filter: iteration.FilterLike = None,
        **options: object,
    ) -> iteration.Iteration[M]:
        """Iterates over the items of one iteration bucket, so that several workers can share the work.

        Args:
            bucket: the number of the bucket, from 0.
            batch_size, filter: as `iterate_all` takes them.
            **options: `keys_only`, `start_key` and `max_read_units`, as `iterate_all` takes them.

        Returns:
            An iteration that gives lists of instances.

        Raises:
            ConfigurationError: if the model is not iterable.
            QueryError: if the model has no such bucket, or an argument is wrong.

        Example:
            >>> for users in User.iterate_bucket(worker_number):
            ...     send_newsletter(users)
        """
        return repository_of(cls).iterate_bucket(bucket, batch_size, filter, **options)

    @classmethod
    def count(cls) -> int:
        """Counts the items of an iterable model in its iteration index, without reading the items.

        Returns:
            The number of items.

        Raises:
            ConfigurationError: if the model is not iterable.

        Example:
            >>> User.count()
            1200
        """
        return repository_of(cls).count()

    @classmethod
    def search_all(
        cls: type[M],
        terms: Sequence[str],
        operator: str = "$and",
        limit: float | None = 100,
        cursor: str | None = None,
        **options: Unpack[search.SearchAllOptions],
    ) -> search.SearchResult[M]:
        """Finds the items whose search fields contain terms. This reads the whole search index of the model.

        Args:
            terms: the terms, such as `tokenize_search_query` returns.
            operator: ``"$and"`` for items with all terms, ``"$or"`` for items with any.
            limit: how many matches to return at most; None for all of them.
            cursor: the cursor of an earlier result, to continue it.
            batch_size: how many entries of the index one request evaluates. By default 100, and more with each request.
            max_queries_per_bucket: after how many requests to a bucket the search returns the matches so far.
            parallel: how many buckets are read at the same time.
            filter: a further condition or function, as for `iterate_all`.
            allow_scan: whether the search may evaluate 100,000 entries of the index or more.

        Returns:
            The matches, with a cursor for the next ones.

        Raises:
            ConfigurationError: if the model is not searchable or not iterable.
            QueryError: for wrong terms, options or cursors, and for 100,000 entries or more without `allow_scan`.

        Example:
            >>> Post.search_all(Post.tokenize_search_query("batch context"))
        """
        return repository_of(cls).search_all(terms, operator, limit, cursor, **options)

    @classmethod
    def search_bucket(
        cls: type[M],
        bucket: int,
        terms: Sequence[str],
        operator: str = "$and",
        limit: float | None = 100,
        cursor: str | None = None,
        **options: Unpack[search.SearchOptions],
    ) -> search.SearchResult[M]:
        """Finds the matches in one iteration bucket.

        Args:
            bucket: the number of the bucket, from 0.
            terms, operator, limit, cursor: as `search_all` takes them.
            **options: as `search_all` takes them, without `parallel`.

        Returns:
            The matches, with a cursor for the next ones.

        Raises:
            ConfigurationError: if the model is not searchable or not iterable.
            QueryError: if the model has no such bucket, or an argument is wrong.

        Example:
            >>> Post.search_bucket(0, ["batch"])
        """
        return repository_of(cls).search_bucket(bucket, terms, operator, limit, cursor, **options)

    @staticmethod
    def tokenize_search_query(text: object) -> list[str]:
        """Splits the text of a search box into terms: words, and phrases in double quotes.

        Args:
            text: the text.

        Returns:
            The terms.

        Example:
            >>> Post.tokenize_search_query('cheap "red shoes"')
            ['cheap', 'red shoes']
        """
        return search_terms.tokenize_search_query(text)

    @classmethod
    def make_primary_id(cls, partition: object, sort: object = None) -> str:
        """The primary id for key values.

        Args:
            partition: the value of the first key field.
            sort: the value of the second key field, for a composite key.

        Returns:
            The primary id, as `instance.primary_id` returns it.

        Raises:
            ValidationError: if a value is empty or does not fit its field.

        Example:
            >>> Comment.make_primary_id("7", "1")
        """
        return repository_of(cls).make_primary_id(partition, sort)
