"""What happens to an operation outside any batch context."""

from __future__ import annotations

import warnings
from typing import Protocol

from attrs import field, frozen

from dynamo_bao._call_site import calling_line, warn_once
from dynamo_bao._runtime import is_event_loop_running, is_in_notebook
from dynamo_bao.errors import (
    BatchContextRequiredError,
    BatchContextWarning,
    ConcurrencyError,
    ConfigurationError,
    suggestion,
)

REQUIRED_MESSAGE = (
    "Batch operations must be executed within run_with_batch_context(). "
    "Wrap your database operations in run_with_batch_context() to enable batching and caching."
)


class Policy(Protocol):
    """Decides about one operation tried outside a session: lets it pass, or raises."""

    def outside(self, operation: str) -> None:
        """`operation` names the call, such as ``User.find('42')``."""
        ...


@frozen
class AllowDirect:
    """The default: the operation runs at once, one request per call, without any cache."""

    def outside(self, operation: str) -> None:
        """Lets every operation pass."""


@frozen
class RequireContext:
    """Strict mode: an operation outside a batch context raises `BatchContextRequiredError`."""

    def outside(self, operation: str) -> None:
        """Refuses every operation, before any request."""
        raise BatchContextRequiredError(f"{REQUIRED_MESSAGE} (tried: {operation})")


@frozen
class WarnOutside:
    """Direct execution, and one `BatchContextWarning` for each line of code that does it."""

    _seen: set[tuple[str, int]] = field(factory=set, eq=False, repr=False)

    def outside(self, operation: str) -> None:
        """Warns with the file and line of the caller, once per line."""
        what = "runs outside run_with_batch_context(): no batching, no cache."
        warn_once(f"{operation} at {{place}} {what}", BatchContextWarning, self._seen)


EVENT_LOOP_WORDS = ("warn", "raise", "allow")


@frozen
class OnEventLoop:
    """What happens where code that an asyncio event loop waits for is about to wait for DynamoDB.

    Args:
        word: ``"warn"`` for one `BatchContextWarning` for each line of code, ``"raise"`` for `ConcurrencyError`,
            ``"allow"`` for nothing. In a notebook, whose cells all run on a loop, nothing happens either.
    """

    word: str = "warn"
    _seen: set[tuple[str, int]] = field(factory=set, init=False, eq=False, repr=False)

    def check(self) -> None:
        """Warns or raises where an event loop runs in this thread."""
        if self.word == "allow" or not is_event_loop_running() or is_in_notebook():
            return
        place = calling_line()
        text = (
            f"{place[0]}:{place[1]} waits for DynamoDB on an event loop, which meanwhile does nothing else. Call it in "
            f"a worker thread (asyncio.to_thread), or allow it with init_models(on_event_loop='allow')."
        )
        if self.word == "raise":
            raise ConcurrencyError(text)
        if place not in self._seen:
            self._seen.add(place)
            warnings.warn_explicit(text, BatchContextWarning, *place)


def event_loop_rule(value: object, source: str) -> OnEventLoop:
    """The rule for an ``on_event_loop`` setting.

    Args:
        value: the setting's value.
        source: where it stands, for the error.

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


_WORDS = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}


def policy_from_setting(value: object, source: str) -> Policy:
    """The policy for a ``require_batch_context`` setting: a bool, ``"warn"``, or text from the environment.

    Args:
        value: the setting's value.
        source: where it stands, for the error.

    Raises:
        ConfigurationError: for anything else.
    """
    word = value.strip().lower() if isinstance(value, str) else value
    if isinstance(word, str):
        word = _WORDS.get(word, word)
    if word is True:
        return RequireContext()
    if word is False:
        return AllowDirect()
    if word == "warn":
        return WarnOutside()
    raise ConfigurationError(
        f"{source} is {value!r}; use true/1/yes/on, false/0/no/off, or 'warn'.", field="require_batch_context"
    )
