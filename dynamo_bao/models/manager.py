"""Connecting models to a table: `init_models` and the `Manager` it returns."""

from __future__ import annotations

import logging as standard_logging
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

from dynamo_bao._call_site import calling_line
from dynamo_bao._log_fields import log_fields
from dynamo_bao.config import DEFAULT_TABLE, NO_TABLE, Settings, load_settings
from dynamo_bao.dynamodb.table import DEADLINE_SECONDS, MAX_CONCURRENCY, Database, checked_throttled_calls
from dynamo_bao.dynamodb.table_admin import (
    TableUpdate,
    create_table,
    delete_table,
    pending_update,
    update_table,
)
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
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.manager_options import (
    checked_numbers,
    checked_parts,
    checked_policy,
    checked_table,
    section_of,
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
from dynamo_bao.session.bindings import MANAGER, Block, Entry
from dynamo_bao.session.rounds import Round, SentRequest

log = standard_logging.getLogger("dynamo_bao.manager")

M = TypeVar("M")

ModelsArgument = Iterable[type[Model]] | Mapping[str, type[Model]] | None


class ModelNames:
    """A manager's models by name: ``manager.models.User``, also as a mapping."""

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
    """Models connected to one table. Made by `init_models`; also a context manager that closes itself.

    Attributes:
        database: the table and the rules that hold there.
        settings: the settings it was made with.
        models: its models by name.
        is_plain: whether its settings alone say where its table is.
        is_stand_in: whether it takes the place of others for a test, so that nobody warns of it.
    """

    def __init__(self, database: Database, settings: Settings, given: ModelsArgument = None) -> None:
        self.database = database
        self.settings = settings
        self.is_plain = self.is_stand_in = False
        self.models = ModelNames(self)
        self._naive_datetimes = settings.word("db", "naive_datetimes", NAIVE_WAYS)
        self._lock = threading.RLock()
        self._repositories: dict[type[Any], Repository[Any]] = {}
        self._open = given is None
        self._checked: set[type[Any]] = set()
        chosen = list(given.values() if isinstance(given, Mapping) else given or ())
        for model in chosen:
            if not (isinstance(model, type) and issubclass(model, Model)):
                raise ConfigurationError(f"models= takes Model classes, not {model!r}.")
        self._given = chosen
        for model in self._candidates():
            if not self._open or not is_function_local(model):
                self._add(model)
        if not self._open:
            for model in self._given:
                check_relations(model, self._given)
        self._install_parent_queries()

    # --- models ----------------------------------------------------------------------------------

    def _candidates(self) -> list[type[Any]]:
        return all_models() if self._open else self._given

    def model_classes(self) -> dict[str, type[Any]]:
        """The manager's models by name; of two local ones of a name the newer."""
        return {model.__bao_name__: model for model in (*self._candidates(), *self._repositories)}

    @property
    def answered(self) -> set[type[Any]]:
        """The models that it has answered for so far, or was given."""
        return {*self._given, *self._repositories}

    def get_model(self, name: str) -> type[Any]:
        """A model by name; `ConfigurationError` where there is none."""
        found = self.model_classes()
        if name not in found:
            raise ConfigurationError(f"Model {name} not found.{suggestion(name, found)}", model=name)
        return found[name]

    def repository(self, model: type[M]) -> Repository[M]:
        """The repository of one of this manager's models.

        Raises:
            ConfigurationError: for a model of another manager, or one with a wrong definition, and once the manager is
                closed.
        """
        self.database.require_open()
        repository = self.repository_or_none(model)
        if repository is None:
            raise ConfigurationError(
                f"{model.__name__} is not one of this manager's models; it is {place_in_managers(model)}. Ask that "
                f"manager, or add it here: init_models(models=[…, {model.__name__}]).",
                model=model.__name__,
            )
        return repository

    def repository_or_none(self, model: type[M]) -> Repository[M] | None:
        """The repository of `model`, or None if this manager does not answer for it."""
        repository = self._repositories.get(model)
        if repository is None:
            if not self._open and model not in self._given:
                return None
            with self._lock:
                repository = self._add(model)
                self._install_parent_queries()
        if self._open and model not in self._checked:  # by now the models that it relates to are defined
            check_relations(model, self._repositories)
            self._checked.add(model)
        return repository

    def _add(self, model: type[M]) -> Repository[M]:
        schema = schema_of(model)
        for other in list(self._repositories):
            if other is not model and (
                schema_of(other).prefix == schema.prefix or schema_of(other).name == schema.name
            ):
                self._replace_redefined(other, model)
        set_naive_datetimes(schema.fields.values(), self._naive_datetimes)
        repository = Repository(model, schema, self.database, self)
        self._repositories[model] = repository
        clear_repository_cache()
        return repository

    def _replace_redefined(self, older: type[Any], newer: type[Any]) -> None:
        """Puts a class in the place of one of the same name or prefix, if it is another edition of it."""
        same = (source_file(older), older.__qualname__) == (source_file(newer), newer.__qualname__)
        both_given = older in self._given and newer in self._given
        if both_given or not (same or is_function_local(older) or is_function_local(newer)):
            first, second = schema_of(older), schema_of(newer)
            what = f"prefix {first.prefix!r}" if first.prefix == second.prefix else f"name {first.name!r}"
            places = " and ".join(
                f"{m.__module__}.{m.__qualname__} in {source_file(m)}" for m in (older, newer)
            )
            raise ConfigurationError(
                f"Two models of one manager have the {what}: {places}. Give one of them another.",
                model=second.name,
            )
        del self._repositories[older]

    def related(self, target: str | type[Any], near: type[Any]) -> Repository[Any]:
        """The repository of the model that a relation of `near` names."""
        if not isinstance(target, str):
            self.database.require_open()
            repository = self.repository_or_none(target)
            if repository is None:
                raise out_of_reach(target, near)
            return repository
        known = list(dict.fromkeys((*self._repositories, *self._candidates())))
        return self.repository(choose(target, known, near))

    def _install_parent_queries(self) -> None:
        """Gives parent models their query methods: ``user.query_posts()``, ``tag.get_posts()``."""
        for model, repository in list(self._repositories.items()):
            schema = repository.schema
            named = (schema.primary,) if schema.primary.name != "primary_key" else ()
            for shape in (*schema.indexes.values(), *named):
                owner = shape.partition.field
                parent = self._parent(owner, model) if isinstance(owner, RelatedField) else None
                if parent is None or shape.name is None:
                    continue
                _add_method(parent, parent_query_name(shape.name), query_method(model, shape.name))
                target = repository.association_target(shape)
                if target is not None:
                    _add_method(
                        parent, mapped_name(shape.name), association_method(model, shape.name, target)
                    )

    def _parent(self, field: RelatedField, model: type[Any]) -> type[Any] | None:
        """The parent model of a relation, None while it is not defined."""
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
        """The boto3 client of this process; made when it is first needed.

        Raises:
            ConfigurationError: where the transport is one without a client.
        """
        wire: Any = getattr(self.database.transport, "wire", None)
        if not hasattr(wire, "client"):
            raise ConfigurationError("The manager's transport is not one over a boto3 client.")
        return wire.client

    def create_table(self, *, timeout: float = 300.0) -> bool:
        """Makes the table with its indexes and TTL, unless it exists; returns whether it was made.

        Args:
            timeout: seconds to wait at most until it is ACTIVE.
        """
        return create_table(self.database, search=self.searches(), timeout=timeout)

    def update_table(
        self, *, timeout: float | None = None, on_step: Callable[[str], object] | None = None
    ) -> TableUpdate:
        """Adds the indexes that the table lacks, one by one, and enables TTL; safe to interrupt and to repeat.

        Args:
            timeout: seconds to wait at most; as long as it takes by default, which may be hours.
            on_step: called with what is done next, in words.

        Returns:
            What was done, and what could not be.

        Raises:
            ConfigurationError: where there is no such table, or the time is up.
        """
        return update_table(self.database, search=self.searches(), timeout=timeout, on_step=on_step)

    def pending_update(self) -> TableUpdate:
        """What `update_table` would do now; changes nothing."""
        return pending_update(self.database, search=self.searches())

    def delete_table(self, *, timeout: float = 300.0) -> bool:
        """Deletes the table with everything in it and waits until it is gone; returns whether there was one.

        Args:
            timeout: seconds to wait at most.
        """
        return delete_table(self.database, timeout=timeout)

    def searches(self) -> bool:
        """Whether one of its models is iterable and searchable, so that the table needs the index for that."""
        schemas = (repository.schema for repository in self._repositories.values())
        return any(schema.search is not None and schema.iterable for schema in schemas)

    def on_request(self, hook: Callable[[SentRequest], object]) -> Callable[[SentRequest], object]:
        """Has `hook` called with every request that was sent, for metrics; also a decorator.

        It is called in the thread that asked, and gets figures and keys, never values. What it raises is
        logged.

        Example:
            >>> @manager.on_request
            ... def count(sent):
            ...     statsd.increment(f"dynamodb.{sent.operation}", sent.attempts)
        """
        self.database.observers.on_request.append(hook)
        return hook

    def on_flush(self, hook: Callable[[Round], object]) -> Callable[[Round], object]:
        """Has `hook` called with every round that answered pending lookups or queries; also a decorator.

        Example:
            >>> manager.on_flush(lambda done: log.info("%s: %d requests", done.cause, len(done.requests)))
        """
        self.database.observers.on_flush.append(hook)
        return hook

    def close(self) -> None:
        """Gives back connections, and answers for its models no longer. May be called twice."""
        self.database.is_closed = True
        detach(self)
        self.database.pool.close()
        self.database.transport.close()

    def activate(self) -> AbstractContextManager[Manager]:
        """Binds the manager to the code in the block: there it answers for its models, whichever was opened last.

        As a session, it is bound for one thread, greenlet or task. A session that is opened inside remembers it, and
        `session.activate()` binds it too.

        Raises:
            ConfigurationError: when the block begins, once the manager is closed.

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
    """A block in which a manager answers for its models."""

    __slots__ = ("_manager",)

    def __init__(self, manager: Manager) -> None:
        super().__init__()
        self._manager = manager

    def _begin(self, entry: Entry) -> Manager:
        self._manager.database.require_open()
        note_activation()
        entry.bind(MANAGER, self._manager)
        return self._manager


def _add_method(parent: type[Any], name: str, method: Any) -> None:
    """Adds a method to a model, unless the model has something of its own under that name."""
    if not hasattr(parent, name) or getattr(getattr(parent, name), "made_by_relation", False):
        setattr(parent, name, method)


def init_models(
    config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    models: ModelsArgument = None,
    table_name: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
    client: Any = None,
    transport: Transport | None = None,
    embedded: bool = False,
    policy: Policy | type[Policy] | str | bool | None = None,
    batch_context: Mapping[str, Any] | None = None,
    tenancy: Mapping[str, Any] | bool | None = None,
    deadline: float = DEADLINE_SECONDS,
    max_concurrency: int = MAX_CONCURRENCY,
    max_throttled_calls: float | str | None = None,
    reply_check: str | None = None,
    read_timeout: float | None = None,
    on_event_loop: str | None = None,
    only_active: bool = False,
    logging: str | Mapping[str, Any] | None = None,
    strict_filters: bool | None = None,
    cursor_secret: str | None = None,
    naive_datetimes: str | None = None,
) -> Manager:
    """Connects models to a table.

    Settings come from a file (``dynamo_bao.toml``, ``[tool.dynamo_bao]`` of ``pyproject.toml``, or the one
    that ``DYNAMO_BAO_CONFIG`` names), overridden by the environment, overridden by the arguments here.

    Args:
        config: nested settings, or a file's path.
        models: the models; left out, every model there is.
        table_name: the table (``dynamo-bao-dev``).
        region, endpoint_url: where it is; boto3's own settings apply where they are left out.
        client: a boto3 DynamoDB client to use. Its own retry settings stay for your calls; requests of this
            library are repeated by the library, within the deadline.
        transport: carries requests instead of a boto3 client, such as those of `dynamo_bao.testing`.
        embedded: runs a DynamoDB inside this process, for this manager only, and makes the table.
        policy: what happens outside a batch context: `AllowDirect`, `WarnOutside` or `RequireContext`, or one of the
            setting's words (True, False, ``"warn"``).
        batch_context: ``{"require_batch_context": True}`` and the like, instead of `policy`.
        tenancy: ``{"enabled": True}`` requires a tenant for every operation.
        deadline: seconds that lookups and writes are retried.
        max_concurrency: how many requests of one flush travel at once.
        max_throttled_calls: how many calls of this process may wait because a table or an index is throttled
            (10); further ones get `ThrottledError` at once. ``"unlimited"`` for jobs, which have time.
        reply_check: ``"strict"`` (the default) believes that an item is missing, or a write done, only where
            DynamoDB said so; ``"lenient"`` is for engines whose replies have neither a checksum nor the
            ConsumedCapacity that was asked for.
        read_timeout: for how many seconds at most nothing may arrive in an attempt (2); then another one is made,
            on another connection, as long as the deadline allows.
        on_event_loop: what happens where code that an asyncio event loop waits for is about to wait for DynamoDB:
            ``"warn"`` (once a line of code), ``"raise"`` (`ConcurrencyError`) or ``"allow"``.
        only_active: whether the manager answers for its models only inside `Manager.activate`, for programs with
            several tables.
        logging: the level of the ``dynamo_bao`` loggers.
        strict_filters: True refuses filters and conditions in which a dict holds operators.
        cursor_secret: what cursors are sealed with, a long random text; see `QueryResult.last_evaluated_key`.
        naive_datetimes: what happens with a datetime without a time zone, which is taken for UTC: ``"warn"`` (the
            default; once for each line of the program), ``"raise"`` or ``"allow"``.

    Raises:
        ConfigurationError: for a wrong model or setting; nothing is connected then.

    Warns:
        SeveralManagersWarning: for a model that an open manager of another table answers for, unless one of them is
            active.
    """
    checked_parts(models, client, transport, embedded, {"region": region, "endpoint_url": endpoint_url})
    arguments: dict[str, Any] = {
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
    own = {"batch_context": {"max_throttled_calls": max_throttled_calls, "on_event_loop": on_event_loop}}
    settings = load_settings(config, os.environ, arguments).over(own, "the call")
    checked_numbers(deadline, max_concurrency)
    chosen = checked_policy(policy, settings)
    _set_level(settings.get("logging", "level"))
    table = checked_table(settings.get("db", "table_name", DEFAULT_TABLE))
    warn_of_open_cursors(settings, chosen, is_local=embedded or not (client is None and transport is None))
    if settings.get("db", "table_name") is None:
        _tell_of_no_table(inside=embedded or transport is not None)
    database = Database(
        table,
        transport if transport is not None else _transport(settings, client, embedded, max_concurrency),
        chosen,
        settings.flag("tenancy", "enabled"),
        deadline,
        max_concurrency,
        cursor_key(settings.get("db", "cursor_secret"), table),
        max_throttled_calls=_throttled_calls(settings),
        strict_filters=settings.flag("db", "strict_filters"),
        on_event_loop=_on_event_loop(settings, transport, embedded),
    )
    manager = Manager(database, settings, models)
    if embedded:  # with the index of searches for models that are defined later, which nobody could add
        create_table(database, search=models is None or manager.searches())
    is_plain = client is None and transport is None and not embedded
    return _attached(manager, is_plain=is_plain, only_active=only_active)


def _tell_of_no_table(inside: bool) -> None:
    """Logs that no table is named: at INFO where no table of anybody else can be there."""
    log.log(
        standard_logging.INFO if inside else standard_logging.WARNING,
        NO_TABLE,
        extra=log_fields("init_models", [DEFAULT_TABLE]),
    )


def _throttled_calls(settings: Settings) -> float:
    name = ("batch_context", "max_throttled_calls")
    return checked_throttled_calls(settings.get(*name, MAX_THROTTLED_CALLS), settings.source(*name))


def _on_event_loop(settings: Settings, transport: Transport | None, embedded: bool) -> OnEventLoop:
    """The rule of the settings; none for an engine inside this process, for which nobody waits."""
    rule = event_loop_rule(
        settings.get("batch_context", "on_event_loop", "warn"),
        settings.source("batch_context", "on_event_loop"),
    )
    is_embedded = embedded or getattr(getattr(transport, "wire", None), "is_embedded", False)
    return OnEventLoop("allow") if is_embedded else rule


def _attached(manager: Manager, is_plain: bool, only_active: bool) -> Manager:
    manager.is_plain = is_plain
    if not only_active:
        _warn_of_others(manager)
    attach(manager, only_active=only_active)
    return manager


def _warn_of_others(manager: Manager) -> None:
    """Warns where another open manager, of another table, answers for one of a new manager's models."""
    if active_manager() is not None:
        return
    own = manager.answered
    for other in default_managers():
        shared = own & getattr(other, "answered", set())
        if shared and not getattr(other, "is_stand_in", False) and not _is_same_table(manager, other):
            names = ", ".join(sorted(model.__name__ for model in shared))
            warnings.warn_explicit(
                f"Table {manager.table_name!r} is the second one that answers for {names}, after "
                f"{other.database.table_name!r}; from now on the new one answers for all code. Open the managers with "
                f"only_active=True and use `with manager.activate():`, or close the other one first.",
                SeveralManagersWarning,
                *calling_line(),
            )
            return


def _is_same_table(one: Manager, other: Any) -> bool:
    if one.table_name != other.database.table_name:
        return False
    if one.database.transport is other.database.transport:
        return True
    return bool(one.is_plain and other.is_plain and one.settings == other.settings)


def _set_level(level: str | None) -> None:
    if level is None:
        return
    name = str(level).upper()
    try:
        # OFF is DynamoBao's word; a service in JavaScript may have the same environment.
        wanted = standard_logging.CRITICAL + 1 if name == "OFF" else name
        standard_logging.getLogger("dynamo_bao").setLevel(wanted)
    except ValueError:
        raise ConfigurationError(
            f"logging level {level!r} is none of DEBUG, INFO, WARNING, ERROR, CRITICAL, OFF.", field="level"
        ) from None


def _transport(settings: Settings, client: Any, embedded: bool, max_concurrency: int) -> Transport:
    checks = settings.get("aws", "reply_check", "strict"), settings.source("aws", "reply_check")
    reply_check = checked_reply_check(*checks)
    if client is not None:
        return given_transport(client, reply_check=reply_check, read_timeout=_read_timeout(settings))
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
        read_timeout=_read_timeout(settings),
    )


def _read_timeout(settings: Settings) -> float | None:
    """The seconds that a setting allows an attempt to wait; None where nothing is set."""
    value = settings.get("aws", "read_timeout")
    if value is None:
        return None
    try:
        seconds = 0.0 if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise ConfigurationError(
            f"{settings.source('aws', 'read_timeout')} is {value!r}; give seconds, more than 0.",
            field="read_timeout",
        )
    return seconds
