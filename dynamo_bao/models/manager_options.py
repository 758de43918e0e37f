"""Checks the options of `init_models` before anything is connected."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Final

from dynamo_bao.config import Settings
from dynamo_bao.dynamodb.transport.http import HttpOrigin
from dynamo_bao.errors import ConfigurationError, ConfigurationWarning
from dynamo_bao.policy import Policy, RequireContext, policy_from_setting
from dynamo_bao.runtime.call_site import calling_line
from dynamo_bao.runtime.late_libraries import inspect, logging
from dynamo_bao.session.settings import require_count, require_seconds

_TABLE: Final = re.compile(r"[!-~]([ -~]{0,1022}[!-~])?\Z")
_TRANSPORT: Final = ("send", "close", "clock")
_CLIENT: Final = ("meta", "get_item", "batch_get_item", "query")
_LOCAL: Final = ("localhost", "host.docker.internal", "::1")


def checked_policy(argument: object, settings: Settings) -> Policy:
    """The policy of an argument (an object, its class, or a word of the setting), else that of the settings.

    Raises:
        ConfigurationError: if the argument is not a policy.
    """
    if argument is None:
        name = ("batch_context", "require_batch_context")
        return policy_from_setting(settings.get(*name, False), settings.source(*name))
    if isinstance(argument, (str, bool)):
        return policy_from_setting(argument, "policy=")
    candidate = _of_class(argument) if inspect.isclass(argument) else argument
    if not callable(getattr(candidate, "outside", None)):
        raise ConfigurationError(
            f"policy={argument!r} is not a policy; use AllowDirect(), WarnOutside() or RequireContext(), or a value of "
            f"the setting: True, False or 'warn'.",
            field="policy",
        )
    policy: Any = candidate
    return policy  # type: ignore[no-any-return]


def _of_class(policy: Any) -> object:
    try:
        inspect.signature(policy).bind()
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"policy={policy.__name__}: the class needs arguments; give an instance of it.", field="policy"
        ) from None
    return policy()


def checked_table(name: object) -> str:
    """The name or the ARN of a table.

    Raises:
        ConfigurationError: if it is neither.
    """
    if not isinstance(name, str) or not _TABLE.match(name):
        raise ConfigurationError(
            f"table_name={name!r:.300} is not the name of a table; give a text such as 'app', or the table's ARN.",
            field="table_name",
        )
    return name


def checked_parts(
    models: object, client: object, transport: object, embedded: object, texts: Mapping[str, object]
) -> None:
    """Raises `ConfigurationError` if an argument is wrong, or if two arguments exclude each other."""
    _check_models(models)
    _check_texts(texts)
    if not isinstance(embedded, bool):
        raise ConfigurationError(f"embedded={embedded!r}; use True or False.", field="embedded")
    if client is not None and not all(hasattr(client, name) for name in _CLIENT):
        raise ConfigurationError(
            f"client={client!r} is not a DynamoDB client; give boto3.client('dynamodb').",
            field="client",
        )
    if transport is not None and (
        inspect.isclass(transport) or not all(hasattr(transport, name) for name in _TRANSPORT)
    ):
        raise ConfigurationError(
            f"transport={transport!r} is not a transport with {', '.join(_TRANSPORT)}; give one of "
            f"dynamo_bao.testing, or your own.",
            field="transport",
        )
    if client is not None and embedded:
        raise ConfigurationError("client= and embedded=True exclude each other; give one.")


def _check_models(argument: object) -> None:
    """Raises `ConfigurationError` if ``models=`` is not a collection of models."""
    if argument is not None and (isinstance(argument, (str, bytes)) or not isinstance(argument, Iterable)):
        raise ConfigurationError(
            f"models={argument!r}; give a list of Model classes, such as models=[User].", field="models"
        )


def _check_texts(options: Mapping[str, object]) -> None:
    """Raises `ConfigurationError` if an option is neither None nor a text."""
    for name, value in options.items():
        if value is not None and not (isinstance(value, str) and value):
            raise ConfigurationError(f"{name}={value!r}; give a text, or leave it out.", field=name)


def checked_numbers(deadline: object, max_concurrency: object) -> None:
    """Raises `ConfigurationError` if the deadline or the concurrency is not a positive number."""
    require_seconds("deadline", deadline)
    require_count("max_concurrency", max_concurrency)


def checked_read_timeout(settings: Settings) -> float | None:
    """The setting of `read_timeout` in seconds, or None if it is not set."""
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


def set_log_level(level: str | None) -> None:
    """Sets the level of the ``dynamo_bao`` loggers, unless it is None.

    Raises:
        ConfigurationError: for an unknown level.
    """
    if level is None:
        return
    name = str(level).upper()
    try:
        # OFF is a level of DynamoBao for JavaScript; its services may share the environment.
        threshold = logging.CRITICAL + 1 if name == "OFF" else name
        logging.getLogger("dynamo_bao").setLevel(threshold)
    except ValueError:
        raise ConfigurationError(
            f"logging level {level!r} is unknown; use one of DEBUG, INFO, WARNING, ERROR, CRITICAL, OFF.",
            field="level",
        ) from None


def section_of(argument: object, key: str) -> object:
    """A section of the settings. The argument may be its only flag: ``tenancy=True``."""
    if argument is None:
        return {}
    return {key: argument} if isinstance(argument, bool) else argument


def warn_of_open_cursors(settings: Settings, policy: Policy, *, is_local: bool) -> None:
    """Warns if a program with strict settings has cursors that anybody can forge."""
    strict = isinstance(policy, RequireContext) or settings.flag("db", "strict_filters")
    region = (
        settings.get("aws", "region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    )
    if region is None:
        return  # it is not known yet whether the table is at AWS
    is_local = is_local or is_local_url(settings.get("aws", "endpoint_url"))
    if settings.get("db", "cursor_secret") or is_local or not strict:
        return
    filename, line = calling_line()
    warnings.warn_explicit(
        "Cursors are signed with a key that is made from the table's name, so anybody who knows the name can forge "
        "them. Set cursor_secret in [db], or DYNAMO_BAO_CURSOR_SECRET.",
        ConfigurationWarning,
        filename,
        line,
    )


def is_local_url(url: str | None) -> bool:
    """Whether an endpoint is on this machine.

    >>> is_local_url("http://localhost:8000"), is_local_url("https://dynamodb.eu-west-1.amazonaws.com")
    (True, False)
    """
    if url is None:
        return False
    try:
        host = HttpOrigin.of(url).host
    except ValueError:  # it is refused when the client is made
        return False
    return host in _LOCAL or host.startswith("127.")
