"""The writing methods of a repository: single writes with their hooks, and those of a unit of work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, Generic, TypeVar

from dynamo_bao.errors import (
    ConditionalError,
    ItemNotFoundError,
    QueryError,
    UniqueConstraintError,
    UnknownFieldError,
    ValidationError,
    message_of,
    suggestion,
)
from dynamo_bao.fields.numeric import CounterField, DecimalField, FloatField, IntegerField
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.models.late import write_side
from dynamo_bao.session.scope import current_transaction, operation_on
from dynamo_bao.session.session import Collecting, Session
from dynamo_bao.session.state import (
    Instance,
    ModelMapper,
    State,
    Status,
    changed_names,
    instance_dict,
    state_of,
)
from dynamo_bao.session.tenancy import tenant_block
from dynamo_bao.session.unit_of_work import PendingWrite
from dynamo_bao.writes.hooks import has_hooks, run

M = TypeVar("M", bound=Instance)
_UPSERT_ROUNDS = 5
_TRANSIENT = Status.TRANSIENT  # read often


class RepositoryWrites(Generic[M]):
    """The methods of a repository that write."""

    model: type[M]
    schema: Schema
    _probe: object

    def create(self, values: Mapping[str, object] | None = None, /, **fields: object) -> M:
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
            >>> ada = users.create(name="Ada", email="ada@example.com")
        """
        instance = self.model(**self._merged_values(values, fields))
        with operation_on(None):
            created: M = write_side.carry_out(self._creation(instance, None, "create"))
            return created

    def _merged_values(
        self, values: Mapping[Any, object] | None, fields: Mapping[str, object]
    ) -> dict[Any, Any]:
        """The values of a mapping and those given by keyword, in one dict.

        Raises:
            QueryError: if a field is in both.
        """
        if values is None:
            return dict(fields)
        if not isinstance(values, Mapping):
            raise QueryError(
                f"{self.schema.name}: values and changes are a mapping of fields, not {type(values).__name__}; a "
                f"condition is given as condition=."
            )
        for name in fields:
            if name in values:
                raise QueryError(
                    f"{self.schema.name}.{name} is given twice, in the mapping and by keyword.", field=name
                )
        return {**values, **fields}

    def _creation(
        self, instance: M, condition: write_side.ConditionLike, operation: str
    ) -> write_side.CreateChange:
        create = partial(write_side.creation_of, self.mapper, instance, condition, operation)
        return self._hooked(instance, condition, create) if has_hooks(self._probe) else create()

    def _hooked(
        self, instance: M, condition: write_side.ConditionLike, create: Callable[[], write_side.CreateChange]
    ) -> write_side.CreateChange:
        """The change that `create` returns for a new instance, with the hooks of its model around it."""
        options = {"is_new": True, "condition": condition, "instance": instance}
        data = {name: value for name, value in instance.__dict__.items() if name in self.schema.fields}
        self._before_save(instance, data, options)
        change = create()
        change.add_after_hook(lambda created: run(self.model, "after_save", created, options, created))
        return change

    def _before_save(self, instance: M, data: dict[str, Any], options: dict[str, Any]) -> None:
        """Runs the hooks before a save. Values that plugins change in `data` are assigned to the instance."""
        before = dict(data)
        run(self.model, "before_save", data, options, instance)
        for name, value in data.items():
            if name not in before or before[name] is not value:
                setattr(instance, name, value)

    def save(self, instance: M, condition: write_side.ConditionLike = None, force_reindex: bool = False) -> M:
        """Stores a new instance, or the changed fields of a stored one.

        Args:
            instance: the instance.
            condition: what must hold of the stored item, as a dict or an expression.
            force_reindex: True writes all index and iteration keys again, also if nothing changed.

        Returns:
            The same instance.

        Raises:
            ValidationError: if fields refuse their values. It names all of them.
            ConditionalError: if `condition` does not hold, or a new instance has the key of a stored item.
            VersionConflictError: if another version is stored than the loaded one.
            UniqueConstraintError: if another item has a unique value.
            ItemNotFoundError: if the item was deleted after it was loaded.
            WriteOutcomeUnknownError: if the reply was lost and a repeated request could count or append twice.

        Example:
            >>> users.save(User(name="Ada"))
        """
        with operation_on(instance):
            if instance_dict(instance)[STATE].status is _TRANSIENT:
                write_side.carry_out(self._creation(instance, condition, "save"))
                return instance
            hooked = has_hooks(self._probe)
            after_hook = self._before_saving(instance, condition, force_reindex) if hooked else None
            write_side.save_changes(instance, condition, force_reindex, after_hook)
        return instance

    def _hooked_saving(self, instance: M) -> write_side.SaveChange | None:
        """The change of a save in a commit, with the hooks of the model around it."""
        after_hook = self._before_saving(instance, None, False)
        change = write_side.saving_of(instance, None, False)
        if change is not None:
            change.add_after_hook(after_hook)
        return change

    def _before_saving(
        self, instance: M, condition: write_side.ConditionLike, force_reindex: bool
    ) -> Callable[[Any], object]:
        """Runs the hooks before the save of an instance that is not new, and returns the one after it."""
        options = {
            "is_new": False,
            "condition": condition,
            "force_reindex": force_reindex,
            "instance": instance,
        }
        if state_of(instance).status in (Status.LOADED, Status.PENDING):
            changes = {name: instance.__dict__[name] for name in changed_names(instance)}
            self._before_save(instance, changes, options)
        return lambda saved: run(self.model, "after_save", saved, options, saved)

    def update(
        self,
        key: object,
        changes: Mapping[Any, object] | None = None,
        /,
        *,
        condition: write_side.ConditionLike = None,
        version: str | None = None,
        **fields: object,
    ) -> M:
        """Changes fields of a stored item, or parts of them, without loading it first.

        Args:
            key: as `find` takes it.
            changes: new values by field name or path: ``"prefs.theme"``, ``User.fields.prefs["a.b"]``. Only the part
                at the path changes. Missing maps on the path are created. A value can also be `Append`, `Prepend`,
                `IfMissing`, `Remove`, `Increment`, `AddMembers` or `DropMembers`. Never pass a request's own dict:
                its keys would be paths.
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
            DataFormatError: if a path leads through a stored value that is not a map. Nothing is written.
            WriteOutcomeUnknownError: if the reply was lost and a repeated request could count or append twice.

        Example:
            >>> User.update("42", {"address.city": "Rome", "visits": Increment(1)}, condition={"status": "active"})
        """
        return self._update(key, condition, self._merged_values(changes, fields), version=version)

    def _update(
        self,
        key: object,
        condition: write_side.ConditionLike,
        changes: dict[Any, Any],
        defaults: Mapping[str, object] | None = None,
        version: object = None,
    ) -> M:
        options, hooked = {"is_new": False, "condition": condition}, has_hooks(self._probe)
        with operation_on(None):
            if hooked:
                run(self.model, "before_save", changes, options)
            change = write_side.update_of(
                self.mapper, self._unwrap_key(key), changes, condition, defaults, version
            )
            if hooked:
                change.add_after_hook(
                    lambda updated: run(self.model, "after_save", updated, options, updated)
                )
            updated: M = write_side.carry_out(change)
            return updated

    def increment(self, key: object, /, *, condition: write_side.ConditionLike = None, **amounts: int) -> M:
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
            >>> posts.increment("7", views=1)
        """
        changes: dict[str, object] = {}
        for name, amount in amounts.items():
            field = self.schema.fields.get(name)
            if not isinstance(field, CounterField):
                raise UnknownFieldError(self._no_counter(name), name, amount)
            changes[name] = write_side.CounterDelta.by(field, amount)
        if not changes:
            raise ValidationError(
                f"{self.schema.name}: increment needs a counter and an amount, as in views=1."
            )
        return self._update(key, condition, changes)

    def _no_counter(self, name: str) -> str:
        """The text of the error for a name that is no counter."""
        schema = self.schema
        field = schema.fields.get(name)
        if field is None:
            counters = [other.name for other in schema.fields.values() if isinstance(other, CounterField)]
            return f"{schema.name} has no counter {name!r}.{suggestion(name, counters)}"
        text = f"{schema.name}.{name} is a {type(field).__name__}, and increment() adds to a CounterField."
        is_number = isinstance(field, (IntegerField, FloatField, DecimalField))
        return f"{text} Use update(key, {name}=Increment(…))." if is_number else text

    def upsert(self, values: Mapping[str, object] | None = None, /, **fields: object) -> M:
        """Updates the item with the key in the given fields, or creates it.

        Defaults are stored for fields that are not given: all of them in a new item, and in a stored one those that
        it has no attribute for. In a stored item, an optional field without an attribute stays None.
        If the key field assigns itself and is not given, the item is always a new one.

        Args:
            values: values by field name, in addition to `fields`.
            **fields: values by field name.

        Returns:
            The instance, with the item as it is stored now.

        Raises:
            ValidationError: if a field refuses its value, or a required field is missing for a new item.
            UniqueConstraintError: if another item has a unique value.

        Example:
            >>> settings.upsert(name="theme", value="dark")
        """
        schema, fields = self.schema, self._merged_values(values, fields)
        schema.accept_all(fields, [name for name in fields if name in schema.fields])
        unnamed = [schema.fields[name] for name in schema.key_names if name not in fields]
        if any(getattr(field, "auto_assign", False) for field in unnamed):
            return self.create(**fields)
        key = {name: fields.get(name) for name in schema.key_names}
        changes = {name: value for name, value in fields.items() if name not in key}
        defaults = write_side.defaults_beside(schema, fields)
        for attempt in range(_UPSERT_ROUNDS):
            try:
                return self._update(key, None, dict(changes), defaults)
            except ItemNotFoundError:
                pass
            try:
                return self.create(**fields)
            except ConditionalError as error:
                if isinstance(error, UniqueConstraintError) or attempt == _UPSERT_ROUNDS - 1:
                    raise
        raise AssertionError("the last round returns or raises")

    def delete(
        self, key: object, condition: write_side.ConditionLike = None, version: str | None = None
    ) -> M:
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
            >>> users.delete("42")
        """
        instance = key if isinstance(key, self.model) else None
        with operation_on(instance):
            deleted: M = write_side.carry_out(self._deletion(key, condition, instance, version))
            return deleted

    def _deletion(
        self, key: object, condition: write_side.ConditionLike, instance: M | None, version: str | None = None
    ) -> write_side.DeleteChange:
        options, hooked = {"condition": condition, "instance": instance}, has_hooks(self._probe)
        primary_id = state_of(instance).primary_id if instance is not None else key
        if hooked:
            run(self.model, "before_delete", primary_id, options, instance)
        change = write_side.deleting_of(
            self.mapper, None if instance is not None else key, condition, instance, version
        )
        if hooked:
            change.add_after_hook(
                lambda deleted: run(self.model, "after_delete", primary_id, options, deleted)
            )
        return change

    # --- in a unit of work -------------------------------------------------------------------------

    def _changes_for(
        self, session: Session, entries: Iterable[PendingWrite]
    ) -> list[write_side.Change | None]:
        """The changes of pending writes at the commit, after the hooks before them; None if nothing changed.

        Raises:
            ItemNotFoundError: if the item of an entry is known to be gone.
        """
        hooked, scope = has_hooks(self._probe), (session, current_transaction())
        changes: list[write_side.Change | None] = []
        for tenant, group in groupby(entries, attrgetter("tenant")):
            with tenant_block(tenant):
                for entry in group:
                    try:
                        changes.append(self._change_for(entry, hooked, scope))
                    except ItemNotFoundError as error:
                        if state_of(entry.instance).status not in (Status.MISSING, Status.DELETED):
                            raise  # it comes from one of the application's hooks
                        raise _gone_at_commit(error) from error.__cause__
        return changes

    def _change_for(
        self, entry: PendingWrite, hooked: bool, scope: tuple[Session, Collecting | None]
    ) -> write_side.Change | None:
        """The change of one pending write.

        Args:
            hooked: whether the model has hooks.
            scope: the session that commits, and the transaction around it.
        """
        instance: Any = entry.instance
        session = scope[0]
        if entry.deletes:
            return self._deletion(None, None, instance)
        state: State = instance_dict(instance)[STATE]
        if state.status is not _TRANSIENT:
            if hooked:
                return self._hooked_saving(instance)
            return write_side.saving_of(instance, None, False, scope if state.session is session else None)
        if not hooked:
            return write_side.creation_for(session, entry)
        return self._hooked(instance, None, partial(write_side.creation_for, session, entry))

    def _unwrap_key(self, key: object) -> object:
        """The key, or the key values of an instance that is given as a key."""
        raise NotImplementedError

    @property
    def mapper(self) -> ModelMapper:
        """The repository, typed as the mapper of its instances."""
        repository: Any = self
        mapper: ModelMapper = repository
        return mapper


def _gone_at_commit(error: ItemNotFoundError) -> ItemNotFoundError:
    """The error of a commit for an object whose item is gone, with the way out."""
    return ItemNotFoundError(
        f"{message_of(error)} The commit wrote nothing. session.expunge(…) takes the object out of it.",
        model=error.model,
        key=error.key,
    )
