"""Policies for operations outside a batch context, and for operations on an event loop."""

from __future__ import annotations

import warnings
from typing import Protocol

from dynamo_bao.config import FALSE_WORDS, TRUE_WORDS
from dynamo_bao.errors import (
    BatchContextRequiredError,
    BatchContextWarning,
    ConcurrencyError,
    ConfigurationError,
    suggestion,
)
from dynamo_bao.runtime.call_site import calling_line, warn_once
from dynamo_bao.runtime.process import is_event_loop_running, is_in_notebook
from dynamo_bao.runtime.records import field, frozen

REQUIRED_MESSAGE = (
    "Batch operations must be executed within run_with_batch_context(). "
    "Wrap your database operations in run_with_batch_context() to enable batching and caching."
)


class Policy(Protocol):
    """Decides whether one operation may run outside a session.

    Example:
        >>> class OnlyReads:
        ...     def outside(self, operation):
        ...         if ".find" not in operation:
        ...             raise BatchContextRequiredError(operation)
        >>> manager = init_models(models=[User], policy=OnlyReads())
    """

    def outside(self, operation: str) -> None:
        """Returns if the operation may run, else raises.

        Args:
            operation: the call, such as ``User.find('42')``.
        """
        ...


@frozen
class AllowDirect:
    """The default: the operation runs at once, with one request per call and no cache.

    Example:
        >>> manager = init_models(models=[User], policy=AllowDirect())
    """

    def outside(self, operation: str) -> None:
        """Allows every operation.

        Args:
            operation: the call, such as ``User.find('42')``.
        """


@frozen
class RequireContext:
    """Strict mode: an operation outside a batch context raises `BatchContextRequiredError`.

    Example:
        >>> manager = init_models(models=[User], policy=RequireContext())
    """

    def outside(self, operation: str) -> None:
        """Raises `BatchContextRequiredError`, before any request.

        Args:
            operation: the call, such as ``User.find('42')``.

        Raises:
            BatchContextRequiredError: always.
        """
        raise BatchContextRequiredError(f"{REQUIRED_MESSAGE} (tried: {operation})")


@frozen
class WarnOutside:
    """The operation runs at once, and each line of code that does so gets one `BatchContextWarning`.

    Example:
        >>> manager = init_models(models=[User], policy=WarnOutside())
    """

    _warned_lines: set[tuple[str, int]] = field(factory=set, eq=False, repr=False)

    def outside(self, operation: str) -> None:
        """Warns once for each calling line, with its file and number.

        Args:
            operation: the call, such as ``User.find('42')``.
        """
        remark = "runs outside run_with_batch_context(): no batching, no cache."
        warn_once(f"{operation} at {{place}} {remark}", BatchContextWarning, self._warned_lines)


EVENT_LOOP_WORDS = ("warn", "raise", "allow")


@frozen
class OnEventLoop:
    """The rule for code that waits for DynamoDB on an asyncio event loop, and so blocks the loop.

    Args:
        word: ``"warn"`` gives one `BatchContextWarning` for each line of code, ``"raise"`` raises
            `ConcurrencyError`, ``"allow"`` does nothing. In a notebook the rule does nothing, because all cells run
            on a loop.
    """

    word: str = "warn"
    _warned_lines: set[tuple[str, int]] = field(factory=set, init=False, eq=False, repr=False)

    def check(self) -> None:
        """Warns or raises if an event loop runs in this thread."""
        if self.word == "allow" or not is_event_loop_running() or is_in_notebook():
            return
        line = calling_line()
        text = (
            f"{line[0]}:{line[1]} waits for DynamoDB on an event loop, which meanwhile does nothing else. Call it in "
            f"a worker thread (asyncio.to_thread), or allow it with init_models(on_event_loop='allow')."
        )
        if self.word == "raise":
            raise ConcurrencyError(text)
        if line not in self._warned_lines:
            self._warned_lines.add(line)
            warnings.warn_explicit(text, BatchContextWarning, *line)


def event_loop_rule(value: object, source: str) -> OnEventLoop:
    """The rule for an ``on_event_loop`` setting.

    Args:
        value: the setting's value, one of `EVENT_LOOP_WORDS`.
        source: where the setting was made, for the error.

    Raises:
        ConfigurationError: for any other word.
    """
    word = value.strip().lower() if isinstance(value, str) else value
    if word not in EVENT_LOOP_WORDS:
        words = ", ".join(map(repr, EVENT_LOOP_WORDS))
        raise ConfigurationError(
            f"{source} is {value!r}; use one of {words}.{suggestion(str(value), EVENT_LOOP_WORDS)}",
            field="on_event_loop",
        )
    return OnEventLoop(str(word))


_FLAGS = {**dict.fromkeys(TRUE_WORDS, True), **dict.fromkeys(FALSE_WORDS, False)}


def policy_from_setting(value: object, source: str) -> Policy:
    """The policy for a ``require_batch_context`` setting.

    Args:
        value: a bool, ``"warn"``, or a text such as ``"true"`` or ``"0"``.
        source: where the setting was made, for the error.

    Raises:
        ConfigurationError: for any other value.
    """
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, str):
        word = _FLAGS.get(word, word)
    if word is True:
        return RequireContext()
    if word is False:
        return AllowDirect()
    if word == "warn":
        return WarnOutside()
    raise ConfigurationError(
        f"{source} is {value!r}; use true/1/yes/on, false/0/no/off, or 'warn'.", field="require_batch_context"
    )
