"""The repository of a model: it finds, queries and writes items. Every class method of a model calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, Unpack

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.errors import (
    ConfigurationError,
    DataFormatError,
    QueryError,
    ValidationError,
    message_of,
    suggestion,
)
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.mapping.declarations import HasManyDeclaration, RelatedDeclaration, member_of, members_of
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.key_schema import Shape
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.late import read_side
from dynamo_bao.models.repository_scans import RepositoryScans
from dynamo_bao.models.repository_writes import RepositoryWrites
from dynamo_bao.models.unique_constraints import constraint_named, has_value, stored_value
from dynamo_bao.reads.get_item import get_instance, get_into, get_items
from dynamo_bao.runtime.records import field, frozen
from dynamo_bao.session.context import BatchContext
from dynamo_bao.session.lazy import not_found, not_stored_yet, require_present
from dynamo_bao.session.loader import require_explicit
from dynamo_bao.session.peers import forget_items, remember_items, remembered_items
from dynamo_bao.session.scope import check_tenant, resolve_scope, resolve_scope_of, session_for_instance
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance, Relation, RelationTarget, Status, state_of
from dynamo_bao.writes.hooks import probe_of

M = TypeVar("M", bound=Instance)


class RepositoryRegistry(Protocol):
    """The part of a manager that a repository needs, to find the repositories of other models."""

    def _related_repository(self, target: str | type[object], owner: type[Instance]) -> Repository[Any]:
        """The repository of the model that a relation of the model `owner` points to."""
        ...

    def model_classes(self) -> dict[str, type[Any]]:
        """The manager's models by name."""
        ...


@frozen(eq=False)
class Repository(RepositoryWrites[M], RepositoryScans[M]):
    """The items of one model in the table of one manager. `Manager.repository` returns it.

    Attributes:
        model: the model's class.
        lazy_class: the class of instances that are not loaded yet.
        schema: the compiled definition of the model.
        database: the table and its rules.
        registry: finds the repositories of related models.

    Example:
        >>> users = manager.repository(User)
        >>> ada = users.save(User(name="Ada"))
        >>> users.find(ada.user_id) is ada
        True
    """

    model: type[M]
    schema: Schema
    database: Database
    registry: RepositoryRegistry
    lazy_class: type[Any] = field(init=False)
    _probe: Any = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "lazy_class", vars(self.model)["__bao_lazy_class__"])
        object.__setattr__(self, "_probe", probe_of(self.model))

    # --- reading ---------------------------------------------------------------------------------

    def find(
        self,
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
            >>> user = users.find("42")
        """
        if parts or key is None:
            key = self._key_of(key, parts, consistent_read, bypass_cache)
        return self._find(key, consistent_read, bypass_cache)

    def _find(self, key: object, consistent: bool, bypass: bool) -> M:
        """`find` with positional arguments. This is the fast path of the most frequent call."""
        session, tenant = resolve_scope(self.database, self.schema.name, "find", key)
        instance: M
        if session is None or bypass:
            identity = self.identify(tenant, key)
            instance = get_instance(self, identity, tenant, session, consistent=consistent)
            return instance
        if type(key) is str:
            table_key = self.schema.keys.of_text[tenant](key)
            if table_key is not None:
                instance = session._instances.lookup_text(  # type: ignore[assignment]  # it is of this model
                    self, table_key, key, tenant, consistent
                )
                return instance
        instance = session._instances.lookup(  # type: ignore[assignment]  # see above
            self, self.identify(tenant, key), tenant, consistent
        )
        return instance

    def _key_of(self, key: object, parts: Mapping[str, object], consistent: object, bypass: object) -> object:
        """The key from the arguments of `find`: the positional one, or the key fields by name.

        Raises:
            ValidationError: for both at once, and for an option that is not a bool.
        """
        for option, value in (("consistent_read", consistent), ("bypass_cache", bypass)):
            if not isinstance(value, bool):
                raise ValidationError(
                    f"{self.schema.name}.find: {option} takes True or False, not {type(value).__name__}; a key field "
                    f"of that name is given in a mapping: find({{{option!r}: …}}).",
                    option,
                    value,
                )
        if not parts:
            return key
        if key is not None:
            first = next(iter(parts))
            hint = suggestion(first, (*self.schema.key_names, "consistent_read", "bypass_cache"))
            raise ValidationError(
                f"{self.schema.name}.find takes the key by position or by its fields' names, not both; {first!r} "
                f"is given beside it.{hint}",
                first,
                parts[first],
            )
        return parts

    def find_or_none(self, key: object = None, /, **options: Any) -> M | None:
        """Loads the instance for a key at once.

        Args:
            key, **options: as `find` takes them.

        Returns:
            The instance, or None if the item is not stored.

        Raises:
            ValidationError: if the key is empty or does not fit the model.

        Example:
            >>> user = users.find_or_none("42")
        """
        instance = self.find(key, **options)
        return instance if self._is_there(instance) else None

    def find_or_raise(self, key: object = None, /, **options: Any) -> M:
        """Loads the instance for a key at once.

        Args:
            key, **options: as `find` takes them.

        Returns:
            The instance.

        Raises:
            ItemNotFoundError: if the item is not stored.
            ValidationError: if the key is empty or does not fit the model.

        Example:
            >>> user = users.find_or_raise("42")
        """
        instance = self.find(key, **options)
        if not self._is_there(instance):
            raise not_found(state_of(instance))
        return instance

    def _is_there(self, instance: M) -> bool:
        """Whether the item is stored, or is a new one that was added to the session."""
        return state_of(instance).status is Status.TRANSIENT or self.exists(instance)

    def batch_find(
        self,
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
            >>> users.batch_find(["1", "2"])["1"].name
            'Ada'
        """
        session, tenant = resolve_scope(self.database, self.schema.name, "batch_find")
        if keys is not None and (
            isinstance(keys, (str, bytes, Mapping, self.model)) or not isinstance(keys, Iterable)
        ):
            raise ValidationError(
                f"{self.schema.name}.batch_find takes several ids, not one {type(keys).__name__}; give [id].",
                self.schema.key_names[0],
            )
        related = read_side.relations_of(self, load_related)
        look_up = self._batch_lookup(list(keys or ()), tenant, consistent_read)
        if session is not None:
            instances = look_up(session)
            if related != ():
                self._load_with(related, instances, session)
            return instances
        with BatchContext() as temporary:
            instances = look_up(temporary)
            self._load_with(related, instances, temporary)
        for instance in instances.values():
            if state_of(instance).status is Status.FAILED:
                require_present(state_of(instance))
        return instances

    def _batch_lookup(
        self, keys: Sequence[Any], tenant: str | None, consistent: bool
    ) -> Callable[[Session], dict[str, Any]]:
        """Checks keys, and returns the function that looks them up in a session. It returns the instances by id.

        Raises:
            ValidationError: if a key is not one of the model.
        """
        table_keys = self.schema.keys.of_texts(tenant, keys)
        if table_keys is not None:
            return lambda session: session._instances.lookup_texts(self, table_keys, keys, tenant, consistent)
        identities = [self.identify(tenant, key) for key in keys]
        return lambda session: {
            identity.primary_id: session._instances.lookup(self, identity, tenant, consistent)
            for identity in identities
        }

    def _load_with(
        self, related: tuple[str, ...] | None, instances: Mapping[str, Instance], session: Session
    ) -> None:
        """Loads instances, and then relations of those that are stored."""
        session.flush()
        if related == ():
            return
        loaded = [instance for instance in instances.values() if state_of(instance).status is Status.LOADED]
        read_side.load_relations([read_side.EagerLoad(self, loaded, related)], session)

    def exists(self, instance: M) -> bool:
        """Whether the item of an instance is stored, as far as this session knows. A pending one is loaded.

        Args:
            instance: the instance.

        Returns:
            False for a new instance, and for one whose item is missing or deleted.
        """
        state = state_of(instance)
        if state.status is Status.PENDING:
            self._load(instance)
        if state.status is Status.FAILED:
            require_present(state)
        return state_of(instance).status is Status.LOADED

    def refresh(self, instance: M) -> M:
        """Reads the item of an instance again, consistently. Unsaved changes are lost.

        Args:
            instance: the instance.

        Returns:
            The same instance. It is falsy if the item is no longer stored.

        Raises:
            ItemNotFoundError: for a new instance, which has no item yet.
        """
        state = state_of(instance)
        if state.status is Status.TRANSIENT:
            raise not_stored_yet(self.schema.name)
        session = resolve_scope_of(state, "refresh")
        if session is not None and state.session is session:
            session.refresh(instance)
        else:
            forget_items(instance)
            get_into(instance, session, consistent=True, discard=True)
        if state.status is Status.FAILED:
            require_present(state)
        return instance

    def _load_instance(self, instance: Instance) -> None:
        """Loads a pending instance.

        Raises:
            ItemNotFoundError: if the item is not stored.
            BaoError: if the item could not be read.
        """
        state = state_of(instance)
        if state.status is Status.PENDING:
            self._load(instance)
        require_present(state)

    def _load(self, instance: Instance) -> None:
        state = state_of(instance)
        session = session_for_instance(state, "find")
        if session is not None and session is state.session:
            session._loader.load(instance)
        else:
            if session is not None and state.origin is not None:
                require_explicit(state.origin, session.settings)
            get_into(instance, session, consistent=state.wants_consistent)

    # --- queries ---------------------------------------------------------------------------------

    def query_by_index(
        self,
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
            >>> users.query_by_index("by_status", "active", limit=10)
        """
        return read_side.result_of(
            read_side.Query.of(self, self._index_named(index), value, sort_condition, **options)
        )

    def _query_through(
        self,
        parent: object,
        index: str,
        sort_condition: object = None,
        **options: Unpack[read_side.QueryOptions],
    ) -> read_side.QueryResult[M]:
        """`query_by_index` for a parent instance, in the session of that instance.

        Raises:
            ConcurrencyError: if the session belongs to another thread, greenlet, task or process.
            TenantMismatchError: if another tenant than the parent's is current.
        """
        shape = self._index_named(index)
        return read_side.result_of(
            read_side.Query.of(self, shape, parent, sort_condition, through=parent, **options)
        )

    def find_where(
        self, values: Mapping[str, object] | None = None, /, **fields: object
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
            >>> accounts.find_where(status="active", plan="basic")
        """
        filters = {**({} if values is None else values), **fields}
        read_side.where(filters)
        shape = self._index_for(filters)
        partition, sort = (
            None
            if part.field is None or filters.get(part.field.name) is None
            else filters.pop(part.field.name)
            for part in (shape.partition, shape.sort)
        )
        return read_side.result_of(
            read_side.Query.of(self, shape, partition, sort, filter=read_side.where(filters))
        )

    def _index_for(self, filters: Mapping[str, object]) -> Shape:
        """The index, or the primary key, that uses the most of some fields.

        Raises:
            QueryError: if none begins with one of the fields.
        """
        best: Shape | None = None
        most_used = 0
        shapes: list[Shape] = [self.schema.primary, *self.schema.indexes.values()]
        for shape in shapes:
            names = [part.field.name for part in (shape.partition, shape.sort) if part.field is not None]
            filter_names = [name for name in names if filters.get(name) is not None]
            if names[:1] == filter_names[:1] and len(filter_names) > most_used:
                best, most_used = shape, len(filter_names)
        if best is None:
            raise QueryError(
                f"{self.schema.name}.find_where: no index begins with {', '.join(map(repr, filters)) or 'no field'}; "
                f"give the partition key field of one of {', '.join(self.schema.indexes) or 'its indexes'}, or "
                f"iterate_all(filter=where(…))."
            )
        return best

    def _index_named(self, name: str) -> Shape:
        """The index of a name, or the primary key under its query name.

        Raises:
            QueryError: if the model has no such index.
        """
        if not isinstance(name, str):
            raise QueryError(f"{self.schema.name}: {name!r:.200} is no name of an index; give a text.")
        if name in (self.schema.primary.name, "primary_key"):
            return self.schema.primary
        shape = self.schema.indexes.get(name)
        if shape is None:
            raise self._unknown_index(name)
        return shape

    def _unknown_index(self, name: str) -> QueryError:
        """The error for an index that the model does not have."""
        hint = suggestion(name, [*self.schema.indexes, self.schema.primary.name])
        return QueryError(f'Index "{name}" not found in {self.schema.name} model.{hint}', index=name)

    # --- unique values ---------------------------------------------------------------------------

    def find_by_unique_constraint(self, name: str, value: object) -> M | None:
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
            >>> users.find_by_unique_constraint("unique_email", "ada@example.com")
        """
        return self.batch_find_by_unique_constraint(name, [value])[value]

    def batch_find_by_unique_constraint(self, name: str, values: Iterable[object]) -> dict[Any, M | None]:
        """Finds the instances with these unique values, in two rounds for any number of values.

        Args:
            name: the name of the unique constraint, or of its field.
            values: the unique values.

        Returns:
            By value the instance, or None if no item has the value.

        Raises:
            ConfigurationError: if the model has no such constraint.
            ValidationError: for an empty value, or one that the field refuses.
        """
        session, tenant = resolve_scope(self.database, self.schema.name, "find_by_unique_constraint", name)
        constraint = constraint_named(self.schema, name)
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise ValidationError(
                f"{self.schema.name}: several values of {constraint.field.name} are needed, not one "
                f"{type(values).__name__}; give [value].",
                constraint.field.name,
            )
        stored = {value: stored_value(constraint, value) for value in values}
        keys = {value: constraint.guard_key(tenant, attribute) for value, attribute in stored.items()}
        guards = get_items(self, keys.values(), session, consistent=True)
        owners = {value: guards[key]["relatedId"]["S"] for value, key in keys.items() if key in guards}
        instances = self.batch_find(owners.values(), consistent_read=True)
        if session is not None:
            session._loader.flush("further")
        result: dict[Any, M | None] = dict.fromkeys(stored)
        for value, owner in owners.items():
            instance = instances[owner]
            if self.exists(instance) and has_value(instance, constraint, stored[value]):
                result[value] = instance
        return result

    # --- keys and relations -------------------------------------------------------------------------

    def make_primary_id(self, partition: object, sort: object = None) -> str:
        """The primary id for key values.

        Args:
            partition: the value of the first key field.
            sort: the value of the second key field, for a composite key.

        Returns:
            The primary id, as `instance.primary_id` returns it.

        Raises:
            ValidationError: if a value is empty or does not fit its field.

        Example:
            >>> comments.make_primary_id("7", "1")
        """
        key: object = partition if sort is None else (partition, sort)
        return self.identify(None, key).primary_id

    def identify(self, tenant: str | None, key: object) -> Identity:
        """The table key, primary id and key values of the item with a key, for a tenant.

        Args:
            tenant: the tenant's id; None without tenants.
            key: a primary id, the values of the key, or an instance.

        Returns:
            The identity: the table key, the primary id and the key values.

        Raises:
            ValidationError: if the key is empty, or not a key of the model.
        """
        return self.schema.keys.from_key(tenant, self._unwrap_key(key))

    def _unwrap_key(self, key: object) -> object:
        """The key, or the key values of an instance that is given as a key.

        Raises:
            ValidationError: if the key is None or empty.
        """
        if type(key) is str:  # as most keys are
            return key
        if isinstance(key, self.model):
            check_tenant(key, self.schema.name)
            return dict(
                zip(
                    self.schema.key_names, (key.__dict__[name] for name in self.schema.key_names), strict=True
                )
            )
        if key is None or (isinstance(key, Mapping) and not key):
            raise ValidationError(
                f"{self.schema.name}: a key is needed, not None.", self.schema.key_names[0], key
            )
        return key

    def _target_repository(self, field: str) -> Repository[Any]:
        """The repository of the model that a relation field points to.

        Raises:
            ConfigurationError: if `field` is not a relation field.
        """
        relation = self.schema.fields.get(field)
        if not isinstance(relation, RelatedField):
            raise self._unknown_relation(field)
        return self.registry._related_repository(relation.target, self.model)

    def _unknown_relation(self, name: str, further_names: Iterable[str] = ()) -> ConfigurationError:
        hint = suggestion(str(name), (*self.schema.relation_names, *further_names))
        return ConfigurationError(
            f"{self.schema.name}.{name} is not a valid relation field.{hint}",
            model=self.schema.name,
            field=name,
        )

    def _relation(self, name: str) -> Relation:
        """The relation with the name of a relation field, or of an attribute such as ``user`` or ``posts``.

        Raises:
            ConfigurationError: if no relation has this name.
        """
        member = member_of(self.model, name)
        if isinstance(member, HasManyDeclaration):
            repository, _, options = self._to_many(member)
            only = options.get("related_only")
            return Relation(name, repository if only is None else repository._target_repository(only), True)
        field = member.field if isinstance(member, RelatedDeclaration) else name
        if not isinstance(self.schema.fields.get(field), RelatedField):
            raise self._unknown_relation(field, members_of(self.model, HasManyDeclaration))
        return Relation(field, self._target_repository(field))

    def _to_many(self, relation: HasManyDeclaration) -> tuple[Repository[Any], Shape, read_side.QueryOptions]:
        """The repository and the index that a relation to many instances queries, and the options of the query.

        For a relation through a mapping model, the options name the relation field whose targets are the result.
        """
        through = relation.through
        model = relation.target if through is None else through
        assert model is not None
        repository = self.registry._related_repository(model, self.model)
        shape = repository._index_named(relation.index)
        target = None if through is None else repository._association_target(shape)
        return repository, shape, {} if target is None else {"related_only": target}

    def _related_items(self, instance: Instance, relation: HasManyDeclaration) -> read_side.QueryResult[Any]:
        """The result of a relation to many instances. No request is sent before it is used."""
        state = state_of(instance)
        earlier_result: read_side.QueryResult[Any] | None = remembered_items(instance, relation)
        if earlier_result is not None and state.mapper is not None:
            session = resolve_scope_of(state, "query")
            if session is None or earlier_result._is_current_in(session):
                return earlier_result  # without making the query again
        repository, shape, options = self._to_many(relation)
        query = read_side.Query.of(repository, shape, instance, through=instance, **options)
        result = read_side.result_of(query, relation)
        if earlier_result is not None and earlier_result._query.session is query.session:
            result._is_explicit = True  # what was loaded explicitly stays so after a write
        return result

    def _announced_items(self, instance: Instance, name: str, session: Session) -> read_side.QueryResult[Any]:
        """The result of a relation to many instances, stored at `instance`, to be loaded explicitly."""
        relation = member_of(self.model, name)
        assert isinstance(relation, HasManyDeclaration)
        repository, shape, options = self._to_many(relation)
        result = read_side.result_of(
            read_side.Query.of_parent(repository, shape, instance, session, **options)
        )
        remember_items(instance, relation, result)
        return result

    def _association_target(self, shape: Shape) -> str | None:
        """For a mapping model: the relation that is not the partition key of an index."""
        return self.schema.mapped_relation(shape) if self.table_type == "mapping" else None

    @property
    def table_type(self) -> str:
        """``"standard"``, or ``"mapping"`` for a model whose items connect two other models."""
        model: Any = self.model
        return str(model.__bao_options__.table_type)

    def _related_target(self, instance: Instance, field: str) -> RelationTarget | None:
        """The repository, identity and tenant that a relation points to, or None if it is not set.

        Nothing is loaded.

        Raises:
            DataFormatError: if the field holds a value that is not an id of the related model.
        """
        target, state = self._target_repository(field), state_of(instance)
        value = instance.__dict__.get(field)
        if value is None:
            return None
        if not isinstance(value, str):
            value = self.schema.fields[field].accept(value)
        try:
            return target, target.identify(state.tenant, value), state.tenant
        except ValidationError as error:
            raise DataFormatError(
                f"{self.schema.name} {state.primary_id!r}: {field} holds what is no {target.schema.name} id: "
                f"{message_of(error)}",
                model=self.schema.name,
                key=state.primary_id,
                field=field,
            ) from error

    def __repr__(self) -> str:
        return f"<Repository of {self.schema.name} in {self.database.table_name}>"
