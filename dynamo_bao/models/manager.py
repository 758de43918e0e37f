"""Connecting models to a table: `init_models` and the `Manager` it returns."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

from dynamo_bao.config import DEFAULT_TABLE, NO_TABLE, Settings, load_settings
from dynamo_bao.dynamodb.table import DEADLINE_SECONDS, MAX_CONCURRENCY, Database, checked_throttled_calls
from dynamo_bao.dynamodb.transport.factory import (
    boto_transport,
    checked_path,
    checked_reply_check,
    embedded_transport,
    given_transport,
)
from dynamo_bao.dynamodb.transport.messages import MAX_THROTTLED_CALLS, Transport
from dynamo_bao.errors import ConfigurationError, SeveralManagersWarning, suggestion
from dynamo_bao.fields.datetimes import NAIVE_WAYS, set_naive_datetimes
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.models.class_builder import check_undecorated, schema_of
from dynamo_bao.models.late import table_admin
from dynamo_bao.models.manager_options import (
    checked_numbers,
    checked_parts,
    checked_policy,
    checked_read_timeout,
    checked_table,
    section_of,
    set_log_level,
    warn_of_open_cursors,
)
from dynamo_bao.models.model import Model
from dynamo_bao.models.registry import (
    active_manager,
    attach,
    choose,
    clear_repository_cache,
    default_managers,
    detach,
    is_function_local,
    models as all_models,
    note_activation,
    out_of_reach,
    place_in_managers,
    source_file,
)
from dynamo_bao.models.relation_checks import check_relations
from dynamo_bao.models.relationships import association_method, mapped_name, parent_query_name, query_method
from dynamo_bao.models.repository import Repository
from dynamo_bao.policy import OnEventLoop, Policy, event_loop_rule
from dynamo_bao.reads.cursors import cursor_key
from dynamo_bao.runtime.call_site import calling_line
from dynamo_bao.runtime.late_libraries import logging
from dynamo_bao.runtime.logs import late_logger, log_fields
from dynamo_bao.runtime.process import ForkSafeLock
from dynamo_bao.session.bindings import MANAGER, Block
from dynamo_bao.session.rounds import Round, SentRequest
from dynamo_bao.session.state import Instance

log: logging.Logger = late_logger("dynamo_bao.manager")

M = TypeVar("M", bound=Instance)

ModelsArgument = Iterable[type[Model]] | Mapping[str, type[Model]] | None


class ModelNames:
    """The models of a manager by name: ``manager.models.User`` or ``manager.models["User"]``."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def __getattr__(self, name: str) -> type[Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._manager.get_model(name)

    def __getitem__(self, name: str) -> type[Any]:
        return self._manager.get_model(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._manager.model_classes())

    def __len__(self) -> int:
        return len(self._manager.model_classes())

    def __contains__(self, name: object) -> bool:
        return name in self._manager.model_classes()

    def __dir__(self) -> list[str]:
        return sorted(self._manager.model_classes())


class Manager:
    """Models connected to one table. `init_models` returns one. As a context manager it closes itself.

    Attributes:
        database: the table and its rules.
        settings: the settings that the manager was opened with.
        models: the models by name.

    Raises:
        ConfigurationError: if `models` has anything but models, or two models have the same prefix or name.

    Example:
        >>> with init_models(table_name="app", models=[User]) as manager:
        ...     manager.create_table()
    """

    def __init__(self, database: Database, settings: Settings, models: ModelsArgument = None) -> None:
        self.database = database
        self.settings = settings
        self._has_table_from_settings = False
        self._replaces_others = False
        self.models: ModelNames = ModelNames(self)
        self._naive_datetimes = settings.word("db", "naive_datetimes", NAIVE_WAYS)
        self._lock = ForkSafeLock()
        self._repositories: dict[type[Instance], Repository[Any]] = {}
        self._takes_all_models = models is None
        self._checked_models: set[type[Instance]] = set()
        self._listed_models: list[type[Instance]] = list(
            models.values() if isinstance(models, Mapping) else models or ()
        )
        for model in self._listed_models:
            if not (isinstance(model, type) and issubclass(model, Model)):
                raise ConfigurationError(f"models= takes Model classes, not {model!r}.")
        for model in self._candidates():
            if not self._takes_all_models or not is_function_local(model):
                self._add(model)
        if not self._takes_all_models:
            for model in self._listed_models:
                check_relations(model, self._listed_models)
        self._install_parent_queries()

    # --- models ----------------------------------------------------------------------------------

    def _candidates(self) -> Sequence[type[Instance]]:
        return all_models() if self._takes_all_models else self._listed_models

    def model_classes(self) -> dict[str, type[Any]]:
        """The manager's models by name. Of two function-local models with one name it has the newer.

        Returns:
            A new dict.

        Example:
            >>> sorted(manager.model_classes())
            ['Post', 'User']
        """
        return {model.__bao_name__: model for model in (*self._candidates(), *self._repositories)}

    @property
    def _served_models(self) -> set[type[Instance]]:
        """The models listed for the manager, and those it has a repository for."""
        return {*self._listed_models, *self._repositories}

    def get_model(self, name: str) -> type[Any]:
        """A model by its name.

        Args:
            name: the stored name of the model, which is the name of the class by default.

        Returns:
            The model class.

        Raises:
            ConfigurationError: if the manager has no such model.

        Example:
            >>> manager.get_model("User")
        """
        models = self.model_classes()
        if name not in models:
            raise ConfigurationError(f"Model {name} not found.{suggestion(name, models)}", model=name)
        return models[name]

    def repository(self, model: type[M]) -> Repository[M]:
        """The repository of one of this manager's models.

        Args:
            model: the model class.

        Returns:
            The repository, always the same one.

        Raises:
            ConfigurationError: if the model belongs to another manager, if its definition is wrong, or if the manager
                is closed.

        Example:
            >>> users = manager.repository(User)
        """
        self.database.require_open()
        repository = self._repository_or_none(model)
        if repository is None:
            raise ConfigurationError(
                f"{model.__name__} is not one of this manager's models; it is {place_in_managers(model)}. Ask that "
                f"manager, or add it here: init_models(models=[…, {model.__name__}]).",
                model=model.__name__,
            )
        return repository

    def _repository_or_none(self, model: type[M]) -> Repository[M] | None:
        """The repository of `model`, or None if this manager does not serve it."""
        repository = self._repositories.get(model)
        if repository is None:
            if not (isinstance(model, type) and issubclass(model, Instance)):
                raise ConfigurationError(
                    f"repository({model!r}): give a Model class, such as repository(User)."
                )
            if not self._takes_all_models and model not in self._listed_models:
                return None
            with self._lock:
                repository = self._repositories.get(model)  # another thread may have added it
                if repository is None:
                    repository = self._add(model)
                    self._install_parent_queries()
        if self._takes_all_models and model not in self._checked_models:
            check_relations(model, self._repositories)  # the related models are defined by now
            self._checked_models.add(model)
        return repository

    def _add(self, model: type[M]) -> Repository[M]:
        check_undecorated(model)
        schema = schema_of(model)
        for earlier_model in list(self._repositories):
            if earlier_model is not model and (
                schema_of(earlier_model).prefix == schema.prefix
                or schema_of(earlier_model).name == schema.name
            ):
                self._replace_redefined(earlier_model, model)
        set_naive_datetimes(schema.fields.values(), self._naive_datetimes)
        repository = Repository(model, schema, self.database, self)
        self._repositories[model] = repository
        clear_repository_cache()
        return repository

    def _replace_redefined(self, older: type[Instance], newer: type[Instance]) -> None:
        """Replaces a class of the same name or prefix, if it is an older definition of the same class.

        Raises:
            ConfigurationError: if they are two different models.
        """
        is_same_class = (source_file(older), older.__qualname__) == (source_file(newer), newer.__qualname__)
        are_both_listed = older in self._listed_models and newer in self._listed_models
        if are_both_listed or not (is_same_class or is_function_local(older) or is_function_local(newer)):
            older_schema, newer_schema = schema_of(older), schema_of(newer)
            likeness = (
                f"prefix {older_schema.prefix!r}"
                if older_schema.prefix == newer_schema.prefix
                else f"name {older_schema.name!r}"
            )
            places = " and ".join(
                f"{m.__module__}.{m.__qualname__} in {source_file(m)}" for m in (older, newer)
            )
            raise ConfigurationError(
                f"Two models of one manager have the {likeness}: {places}. Give one of them another.",
                model=newer_schema.name,
            )
        del self._repositories[older]

    def _related_repository(self, target: str | type[Any], owner: type[Instance]) -> Repository[Any]:
        """The repository of the model that a relation of the model `owner` points to."""
        if not isinstance(target, str):
            self.database.require_open()
            repository = self._repository_or_none(target)
            if repository is None:
                raise out_of_reach(target, owner)
            return repository
        candidates = list(dict.fromkeys((*self._repositories, *self._candidates())))
        return self.repository(choose(target, candidates, owner))

    def _install_parent_queries(self) -> None:
        """Adds query methods to parent models: ``user.query_posts()``, ``tag.get_posts()``."""
        for model, repository in list(self._repositories.items()):
            schema = repository.schema
            named_keys = (schema.primary,) if schema.primary.name != "primary_key" else ()
            for shape in (*schema.indexes.values(), *named_keys):
                owner = shape.partition.field
                parent = self._parent(owner, model) if isinstance(owner, RelatedField) else None
                if parent is None:
                    continue
                schema_of(parent).has_relations = True
                _add_method(parent, parent_query_name(shape.name), query_method(model, shape.name))
                target = repository._association_target(shape)
                if target is not None:
                    _add_method(
                        parent, mapped_name(shape.name), association_method(model, shape.name, target)
                    )

    def _parent(self, field: RelatedField, model: type[Instance]) -> type[Instance] | None:
        """The model that a relation points to, or None if it is not defined yet."""
        if not isinstance(field.target, str):
            return field.target
        try:
            return choose(field.target, list(self._repositories), model)
        except ConfigurationError:
            return None

    # --- the table -------------------------------------------------------------------------------

    @property
    def table_name(self) -> str:
        """The table's name."""
        return self.database.table_name

    @property
    def client(self) -> Any:
        """The boto3 client of this process. It is created at the first access.

        Raises:
            ConfigurationError: if the manager's transport does not use a boto3 client.
        """
        wire: Any = getattr(self.database.transport, "wire", None)
        if not hasattr(wire, "client"):
            raise ConfigurationError("The manager's transport is not one over a boto3 client.")
        return wire.client

    def create_table(self, *, timeout: float = 300.0) -> bool:
        """Creates the table with its indexes and time to live, unless the table exists.

        Args:
            timeout: the most seconds to wait until the table is ACTIVE.

        Returns:
            True if the table was created, False if it existed.

        Raises:
            ConfigurationError: if the table is not ACTIVE in time.
            ServiceError: if DynamoDB refuses the request.

        Example:
            >>> manager.create_table()
            True
        """
        return table_admin.create_table(self.database, search=self._needs_search_index(), timeout=timeout)

    def update_table(
        self, *, timeout: float | None = None, on_step: Callable[[str], object] | None = None
    ) -> table_admin.TableUpdate:
        """Adds missing indexes to the table, one after the other, and enables time to live.

        It can be interrupted and repeated.

        Args:
            timeout: the most seconds to wait. By default it waits until all indexes are built, which can take hours.
            on_step: called with a description of each step before it begins.

        Returns:
            The changes that were made, and those that were not possible.

        Raises:
            ConfigurationError: if the table does not exist, or the time is over.

        Example:
            >>> manager.update_table(on_step=print)
        """
        return table_admin.update_table(
            self.database, search=self._needs_search_index(), timeout=timeout, on_step=on_step
        )

    def pending_update(self) -> table_admin.TableUpdate:
        """The changes that `update_table` would make now. It changes nothing.

        Returns:
            These changes.

        Raises:
            ConfigurationError: if the table does not exist.

        Example:
            >>> manager.pending_update().indexes
            ('iter_search_index',)
        """
        return table_admin.pending_update(self.database, search=self._needs_search_index())

    def delete_table(self, *, timeout: float = 300.0) -> bool:
        """Deletes the table with all of its items, and waits until it is deleted.

        Args:
            timeout: the most seconds to wait.

        Returns:
            True if the table was deleted, False if it did not exist.

        Raises:
            ConfigurationError: if the table is not deleted in time.

        Example:
            >>> manager.delete_table()
            True
        """
        return table_admin.delete_table(self.database, timeout=timeout)

    def _needs_search_index(self) -> bool:
        """Whether a model is iterable and searchable, so that the table needs the index for searches."""
        schemas = (repository.schema for repository in self._repositories.values())
        return any(schema.search is not None and schema.iterable for schema in schemas)

    def on_request(self, hook: Callable[[SentRequest], object]) -> Callable[[SentRequest], object]:
        """Calls `hook` after every request, for metrics. It can be used as a decorator.

        The hook runs in the thread that sent the request. It receives figures and keys, never values. An exception
        of the hook is logged and not raised.

        Args:
            hook: called with the `SentRequest`.

        Returns:
            The hook.

        Example:
            >>> @manager.on_request
            ... def count(sent):
            ...     statsd.increment(f"dynamodb.{sent.operation}", sent.attempts)
        """
        self.database.observers.on_request.append(hook)
        return hook

    def on_flush(self, hook: Callable[[Round], object]) -> Callable[[Round], object]:
        """Calls `hook` after every round that loaded pending lookups or queries. It can be used as a decorator.

        Args:
            hook: called with the `Round`.

        Returns:
            The hook.

        Example:
            >>> manager.on_flush(lambda flush: log.info("%s: %d requests", flush.cause, len(flush.requests)))
        """
        self.database.observers.on_flush.append(hook)
        return hook

    def close(self) -> None:
        """Closes the connections. The manager no longer serves its models. A second call does nothing.

        Example:
            >>> manager = init_models(models=[User], table_name="app")
            >>> manager.close()
        """
        self.database.is_closed = True
        detach(self)
        self.database.pool.close()
        self.database.transport.close()

    def activate(self) -> AbstractContextManager[Manager]:
        """Makes the manager serve its models inside a ``with`` block, even if another manager was opened later.

        The block applies to one thread, greenlet or task. A session that is opened inside remembers the manager, so
        that `session.activate()` activates it too.

        Returns:
            A context manager for the block.

        Raises:
            ConfigurationError: at the start of the block, if the manager is closed.

        Example:
            >>> europe = init_models(table_name="app", region="eu-central-1", only_active=True)
            >>> with europe.activate(), run_with_batch_context():
            ...     User.find("42")
        """
        return _Active(self)

    def __enter__(self) -> Manager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Manager of {', '.join(self.model_classes()) or 'no models'} in {self.table_name}>"


class _Active(Block[Manager]):
    """A block in which a manager serves its models, before all others."""

    __slots__ = ()

    def _begin(self) -> Manager:
        manager: Manager = self._subject
        manager.database.require_open()
        note_activation()
        self.bind(MANAGER, manager)
        return manager


def _add_method(parent: type[Instance], name: str, method: object) -> None:
    """Adds a method to a model, unless the model defines that name itself."""
    if not hasattr(parent, name) or getattr(getattr(parent, name), "made_by_relation", False):
        setattr(parent, name, method)


def init_models(
    config: Mapping[str, object] | str | os.PathLike[str] | None = None,
    *,
    models: ModelsArgument = None,
    table_name: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    client: object = None,
    transport: Transport | None = None,
    embedded: bool = False,
    policy: Policy | type[Policy] | str | bool | None = None,
    batch_context: Mapping[str, object] | None = None,
    tenancy: Mapping[str, object] | bool | None = None,
    deadline: float = DEADLINE_SECONDS,
    max_concurrency: int = MAX_CONCURRENCY,
    max_throttled_calls: float | str | None = None,
    reply_check: str | None = None,
    read_timeout: float | None = None,
    on_event_loop: str | None = None,
    only_active: bool = False,
    logging: str | Mapping[str, object] | None = None,
    strict_filters: bool | None = None,
    cursor_secret: str | None = None,
    naive_datetimes: str | None = None,
) -> Manager:
    """Connects models to a table. It sends no request.

    Settings come from a file (``dynamo_bao.toml``, ``[tool.dynamo_bao]`` of ``pyproject.toml``, or the file that
    ``DYNAMO_BAO_CONFIG`` names). Environment variables override the file, and arguments override both.

    Args:
        config: the path of another file, or nested settings. These override the environment, and no file is read.
        models: the models, as a list or a mapping. The default is all models of the program.
        table_name: the name or ARN of the table. The default is ``dynamo-bao-dev``.
        region, endpoint_url: where the table is. The defaults are boto3's settings.
        client: a boto3 DynamoDB client to use, but not that of a boto3 resource. Its retry settings apply to your own
            calls. The library repeats its requests itself, within the deadline.
        transport: sends requests instead of a boto3 client, such as the transports of `dynamo_bao.testing`.
        embedded: True runs a DynamoDB engine inside this process, for this manager only, and creates the table.
        policy: what happens outside a batch context: `AllowDirect`, `WarnOutside` or `RequireContext`, or a value of
            the setting (True, False, ``"warn"``).
        batch_context: the settings of this section, such as ``{"require_batch_context": True}``.
        tenancy: ``{"enabled": True}`` requires a tenant for every operation.
        deadline: how many seconds a lookup or a write may take, with all repeated requests.
        max_concurrency: how many requests of one flush are sent at the same time.
        max_throttled_calls: how many calls of this process may wait while a table or an index is throttled. The
            default is 10. Further calls raise `ThrottledError` at once. Use ``"unlimited"`` for jobs.
        reply_check: ``"strict"`` (the default) requires proof in a reply that an item is missing or a write was done.
            ``"lenient"`` is for engines whose replies have no checksum and no ConsumedCapacity.
        read_timeout: how many seconds one attempt waits for the next bytes of a reply. The default is 2. Then the
            request is repeated on another connection, within the deadline.
        on_event_loop: what happens if code that runs on an asyncio event loop would wait for DynamoDB: ``"warn"``
            (once for each line of code), ``"raise"`` (`ConcurrencyError`) or ``"allow"``.
        only_active: True makes the manager serve its models only inside `Manager.activate`, for programs with
            several tables.
        logging: the level of the ``dynamo_bao`` loggers.
        strict_filters: True refuses filters and conditions with operators in a dict.
        cursor_secret: a long random text that signs cursors, such as `QueryResult.last_evaluated_key`.
        naive_datetimes: what happens with a datetime without a time zone, which counts as UTC: ``"warn"`` (the
            default, once for each line of code), ``"raise"`` or ``"allow"``.

    Returns:
        The manager of the models.

    Raises:
        ConfigurationError: for a wrong model or setting. Nothing is connected then.

    Warns:
        SeveralManagersWarning: if an open manager of another table serves one of the models, and none is active.

    Example:
        >>> manager = init_models(table_name="app", region="eu-central-1", models=[User, Post])
    """
    checked_parts(models, client, transport, embedded, {"region": region, "endpoint_url": endpoint_url})
    arguments: dict[str, object] = {
        "aws": {
            "region": region,
            "endpoint_url": endpoint_url,
            "reply_check": reply_check,
            "read_timeout": read_timeout,
        },
        "db": {
            "table_name": table_name,
            "cursor_secret": cursor_secret,
            "strict_filters": strict_filters,
            "naive_datetimes": naive_datetimes,
        },
        "batch_context": section_of(batch_context, "require_batch_context"),
        "tenancy": section_of(tenancy, "enabled"),
        "logging": {"level": logging} if isinstance(logging, str) else logging or {},
    }
    limits = {"batch_context": {"max_throttled_calls": max_throttled_calls, "on_event_loop": on_event_loop}}
    settings = load_settings(config, os.environ, arguments).over(limits, "the call")
    checked_numbers(deadline, max_concurrency)
    context_policy = checked_policy(policy, settings)
    set_log_level(settings.get("logging", "level"))
    table = checked_table(settings.get("db", "table_name", DEFAULT_TABLE))
    is_local = embedded or client is not None or transport is not None
    warn_of_open_cursors(settings, context_policy, is_local=is_local)
    if settings.get("db", "table_name") is None:
        _log_missing_table_name(is_own_table=embedded or transport is not None)
    database = Database(
        table,
        transport if transport is not None else _transport(settings, client, embedded, max_concurrency),
        context_policy,
        settings.flag("tenancy", "enabled"),
        deadline,
        max_concurrency,
        cursor_key(settings.get("db", "cursor_secret"), table),
        max_throttled_calls=_throttled_calls(settings),
        strict_filters=settings.flag("db", "strict_filters"),
        on_event_loop=_on_event_loop(settings, transport, embedded),
    )
    manager = Manager(database, settings, models)
    if embedded:  # models that are defined later may need the search index
        table_admin.create_table(database, search=models is None or manager._needs_search_index())
    manager._has_table_from_settings = not is_local
    return _attached(manager, only_active=only_active)


def _log_missing_table_name(is_own_table: bool) -> None:
    """Logs that no table name is set: at INFO if the default table cannot be somebody else's."""
    write = log.info if is_own_table else log.warning
    write(NO_TABLE, extra=log_fields("init_models", [DEFAULT_TABLE]))


def _throttled_calls(settings: Settings) -> float:
    name = ("batch_context", "max_throttled_calls")
    return checked_throttled_calls(settings.get(*name, MAX_THROTTLED_CALLS), settings.source(*name))


def _on_event_loop(settings: Settings, transport: Transport | None, embedded: bool) -> OnEventLoop:
    """The rule of the settings. For an engine inside this process it is ``"allow"``, because nothing waits."""
    rule = event_loop_rule(
        settings.get("batch_context", "on_event_loop", "warn"),
        settings.source("batch_context", "on_event_loop"),
    )
    is_embedded = embedded or getattr(getattr(transport, "wire", None), "is_embedded", False)
    return OnEventLoop("allow") if is_embedded else rule


def _attached(manager: Manager, only_active: bool) -> Manager:
    if not only_active:
        _warn_of_others(manager)
    attach(manager, only_active=only_active)
    return manager


def _warn_of_others(manager: Manager) -> None:
    """Warns if another open manager, of another table, serves one of a new manager's models."""
    if active_manager() is not None:
        return
    for older in default_managers():
        shared = manager._served_models & older._served_models
        if shared and not getattr(older, "_replaces_others", False) and not _is_same_table(manager, older):
            names = ", ".join(sorted(model.__name__ for model in shared))
            warnings.warn_explicit(
                f"Table {manager.table_name!r} is the second one that serves {names}, after "
                f"{older.database.table_name!r}; from now on the new one serves all code. Open the managers with "
                f"only_active=True and use `with manager.activate():`, or close the other one first.",
                SeveralManagersWarning,
                *calling_line(),
            )
            return


def _is_same_table(manager: Manager, other_manager: Any) -> bool:
    if manager.table_name != other_manager.database.table_name:
        return False
    if manager.database.transport is other_manager.database.transport:
        return True
    come_from_settings = manager._has_table_from_settings and other_manager._has_table_from_settings
    return bool(come_from_settings and manager.settings == other_manager.settings)


def _transport(settings: Settings, client: object, embedded: bool, max_concurrency: int) -> Transport:
    reply_check = checked_reply_check(
        settings.get("aws", "reply_check", "strict"), settings.source("aws", "reply_check")
    )
    if client is not None:
        return given_transport(client, reply_check=reply_check, read_timeout=checked_read_timeout(settings))
    path = checked_path(settings.get("aws", "request_path", "lean"), settings.source("aws", "request_path"))
    if embedded:
        return embedded_transport(max_concurrency, request_path=path)
    names = ("access_key_id", "secret_access_key", "session_token")
    credentials = {f"aws_{name}": settings.get("aws", name) for name in names if settings.get("aws", name)}
    return boto_transport(
        region=settings.get("aws", "region"),
        endpoint_url=settings.get("aws", "endpoint_url"),
        max_concurrency=max_concurrency,
        credentials=credentials,
        request_path=path,
        reply_check=reply_check,
        read_timeout=checked_read_timeout(settings),
    )
