"""How a command reaches its table and models: the options that all commands share, and the manager they give."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from dynamo_bao.cli.console import Failure, Terminal
from dynamo_bao.cli.model_sources import named_models
from dynamo_bao.config import DEFAULT_TABLE, NO_TABLE, Settings, load_settings
from dynamo_bao.errors import suggestion
from dynamo_bao.models.manager import Manager, init_models
from dynamo_bao.models.model import Model
from dynamo_bao.runtime.records import evolve, frozen
from dynamo_bao.session.state import Instance
from dynamo_bao.session.tenancy import TenantContext

F = TypeVar("F", bound=Callable[..., Any])

HOST: Final = "dynamo_bao.manager"
"""The key of the application's manager in a click context, if an application runs the command."""
NO_MODELS = (
    "No models are named: give --models app.models (a module), --models models.py or --models models.yaml, "
    "or write models_dir or models_definition_path under [paths] in dynamo_bao.toml."
)


@frozen
class Connection:
    """The options of a command about its table and models. Commands get theirs from `connection_options`.

    Attributes:
        config: the path of a configuration file. If it is None, the command looks for one.
        table, region, endpoint_url: override the file and the environment.
        model_sources: the values of ``--models``.
        tenant: the tenant that the command works for.
    """

    config: str | None = None
    table: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    model_sources: tuple[str, ...] = ()
    tenant: str | None = None

    def host(self) -> Manager | None:
        """The manager of the application that the command runs in, as in ``flask bao``. None without an application."""
        context = click.get_current_context(silent=True)
        host: Manager | None = None if context is None else context.meta.get(HOST)
        return host

    def settings(self) -> Settings:
        """The settings: options first, then those of the application, or of file and environment."""
        host = self.host()
        if host is not None and self.config is None:
            return host.settings.over(self._arguments(), "the command")
        return load_settings(self.config, os.environ, self._arguments())

    def _arguments(self) -> dict[str, dict[str, str | None]]:
        aws = {"region": self.region, "endpoint_url": self.endpoint_url}
        return {"aws": aws, "db": {"table_name": self.table}}

    def table_name(self) -> str:
        """The table's name."""
        return str(self.settings().get("db", "table_name", DEFAULT_TABLE))

    def for_table(self, name: str | None) -> Connection:
        """The same connection with the table that a command's argument names, if it names one.

        Raises:
            click.UsageError: if ``--table`` names another table.
        """
        if name is None:
            return self
        if self.table not in (None, name):
            raise click.UsageError(f"Two tables are named, {name} and --table {self.table}; give one.")
        return evolve(self, table=name)

    def models(self) -> list[type[Model]]:
        """The models that the options or the settings name. Empty if they name none.

        Raises:
            Failure: if they cannot be imported.
        """
        return named_models(self.model_sources, self.settings())

    @contextmanager
    def open(
        self, *, needs_models: bool = True, with_models: bool = True, **options: object
    ) -> Iterator[Manager]:
        """A manager for the table and models, with the tenant set. It is closed at the end of the block.

        Args:
            needs_models: whether the command fails without models.
            with_models: whether the models are imported.
            options: more arguments of `init_models`.

        Raises:
            Failure: if the command needs models and there are none.

        Example:
            >>> with connection.open() as manager:
            ...     print(manager.models.User.count())
        """
        models = self.models() if with_models else []
        if needs_models and with_models and not models:
            raise Failure(NO_MODELS)
        tenant = nullcontext() if self.tenant is None else TenantContext.run_with_tenant(self.tenant)
        with self._manager(models, options) as manager, tenant:
            yield manager

    def _manager(self, models: list[type[Model]], options: dict[str, Any]) -> AbstractContextManager[Manager]:
        """The application's manager, which stays open. If an option contradicts it, a new manager."""
        host = self.host()
        has_own_settings = self.config or self.region or self.endpoint_url or any(options.values())
        if host is not None and not has_own_settings:
            if self.table in (None, host.table_name):
                return nullcontext(host)
            options = {"client": host.client, "tenancy": {"enabled": host.database.tenancy}}
        return init_models(
            self.config,
            models=models,
            table_name=self.table,
            region=self.region,
            endpoint_url=self.endpoint_url,
            **options,
        )

    def confirm_default_table(self, terminal: Terminal) -> None:
        """Asks before the command writes to a table that neither an option nor a setting names.

        Raises:
            Failure: if the answer is no.
        """
        if self.settings().get("db", "table_name") is None and not terminal.dry_run:
            terminal.confirm(f"{NO_TABLE} Go on with table {DEFAULT_TABLE}?")


def model_named(manager: Manager, name: str) -> type[Instance]:
    """The model with the name that a command's argument gives.

    Raises:
        Failure: if there is no such model.
    """
    models_by_name = manager.model_classes()
    if name not in models_by_name:
        raise Failure(f"There is no model {name!r}.{suggestion(name, models_by_name)}")
    return models_by_name[name]


def complete_models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the models, for completion of an argument in a shell.

    Example:
        >>> click.argument("model", shell_complete=complete_models)
    """
    sources = tuple(ctx.params.get("model_sources") or ())
    connection = Connection(ctx.params.get("config"), model_sources=sources)
    try:
        names = [model.__bao_name__ for model in connection.models()]
    except Exception:  # completion in a shell has no place for an error
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


_CONFIG = click.option(
    "--config", metavar="FILE", help="Read settings from FILE instead of dynamo_bao.toml or pyproject.toml."
)
_TABLE = (
    click.option("--table", metavar="NAME", help="The table."),
    click.option("--region", metavar="NAME", help="The AWS region."),
    click.option("--endpoint-url", metavar="URL", help="Where DynamoDB is, for a local engine."),
)
_MODEL_SOURCES = click.option(
    "--models",
    "model_sources",
    metavar="WHERE",
    multiple=True,
    help="The models: a module (app.models), a Python file, a YAML file, or a folder. May be repeated.",
)
_TENANT = click.option("--tenant", metavar="ID", help="The tenant to work for.")


def connection_options(*, table: bool = True, models: bool = True, tenant: bool = False) -> Callable[[F], F]:
    """Gives a command its `Connection` as the argument `connection`, and the options that belong to it.

    Args:
        table: whether the command uses a table, and so has ``--table``, ``--region`` and ``--endpoint-url``.
        models: whether it uses models, and so has ``--models``.
        tenant: whether it works on items, and so has ``--tenant``.
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def command(
            *args: object,
            config: str | None,
            table: str | None = None,
            region: str | None = None,
            endpoint_url: str | None = None,
            model_sources: tuple[str, ...] = (),
            tenant: str | None = None,
            **options: object,
        ) -> Any:
            connection = Connection(config, table, region, endpoint_url, model_sources, tenant)
            return function(*args, connection=connection, **options)

        decorated: Any = command
        for option in reversed((_CONFIG, *_TABLE * table, *(_MODEL_SOURCES,) * models, *(_TENANT,) * tenant)):
            decorated = option(decorated)
        return decorated  # type: ignore[no-any-return]

    return decorate
