"""Rules of fields. Each is a check of a value, and the same check as source for compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from dynamo_bao.fields.ulids import is_ulid


def check_unicode(text: str) -> None:
    """Raises `ValueError` for a string that cannot be encoded as UTF-8 (lone surrogates)."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(_SURROGATE) from None


def is_unicode(text: str) -> bool:
    """Whether a string can be encoded as UTF-8."""
    try:
        check_unicode(text)
    except ValueError:
        return False
    return True


_SURROGATE = "holds a lone surrogate, which is not text"
NOT_FOR_JAVASCRIPT = (
    "is over 2^53 - 1, which JavaScript reads as another number; key_format='dynamo-bao' rejects it, 'native' accepts "
    "it"
)
"""What is wrong with a whole number in a table that is shared with JavaScript."""
NO_JAVASCRIPT_KEY = (
    "is negative or over 2^53 - 1, which key_format='dynamo-bao' cannot keep in order; use 'native'"
)
"""What is wrong with a whole number in a key of such a table."""
RULE_NAMES: dict[str, Any] = {"_is_unicode": is_unicode, "_is_ulid": is_ulid}
"""The names that the expressions of rules use."""


class Rule:
    """What each value of a field has to meet.

    Args:
        fault: what is wrong with a value that breaks the rule, as the end of a sentence about the field; a text, or a
            function of the value.
        expr: an expression of ``{v}`` that is true if a value meets the rule; None if only `test` can decide.
        test: a function that returns whether a value meets the rule; `expr` by default. With a `test`, `expr` may be
            false for a value that meets the rule.
        is_of_texts: whether compiled functions can check the rule for the texts of many values at once.
    """

    __slots__ = ("_fault", "expr", "is_of_texts", "test")

    def __init__(
        self,
        fault: str | Callable[[Any], str],
        *,
        expr: str | None = None,
        test: Callable[[Any], object] | None = None,
        is_of_texts: bool = False,
    ) -> None:
        self._fault = fault
        self.expr: str | None = expr
        self.test = self._compile_test if test is None else test
        self.is_of_texts: bool = is_of_texts

    def _compile_test(self, value: Any) -> object:
        """The test by `expr`. It is compiled at the first value."""
        assert self.expr is not None
        self.test = predicate(self.expr)
        return self.test(value)

    def fault_of(self, value: Any) -> str:
        """What is wrong with a value that breaks the rule."""
        return self._fault if isinstance(self._fault, str) else self._fault(value)


@lru_cache(maxsize=1000)
def predicate(expr: str) -> Callable[[Any], object]:
    """A function that evaluates an expression of ``{v}``, which may use `RULE_NAMES`."""
    test: Callable[[Any], object] = eval(f"lambda v: {expr.format(v='v')}", RULE_NAMES.copy())  # noqa: S307  # no text of a user is in it
    return test


UNICODE = Rule(_SURROGATE, expr="({v}.isascii() or _is_unicode({v}))", is_of_texts=True)
