"""What happens outside a batch context."""

from __future__ import annotations

import warnings

import pytest

from dynamo_bao import (
    AllowDirect,
    BatchContextRequiredError,
    BatchContextWarning,
    ConfigurationError,
    Policy,
    RequireContext,
    WarnOutside,
)
from dynamo_bao.policy import policy_from_setting
from dynamo_bao.runtime.call_site import calling_line

HERE = __file__


def recorded(policy: Policy, times: int = 1) -> list[warnings.WarningMessage]:
    """The warnings of calls that all come from one line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(times):
            policy.outside("User.find('42')")
    return caught


def line_of(text: str) -> int:
    with open(HERE, encoding="utf-8") as source:
        return next(number for number, line in enumerate(source, 1) if line.strip() == text)


def test_direct_execution_lets_everything_pass() -> None:
    """No error and no warning."""
    assert not recorded(AllowDirect(), 3)


def test_strict_mode_refuses_and_says_what_was_tried() -> None:
    """The JavaScript library's words, and the call."""
    with pytest.raises(BatchContextRequiredError) as caught:
        RequireContext().outside("User.find('42')")
    assert str(caught.value) == (
        "Batch operations must be executed within run_with_batch_context(). "
        "Wrap your database operations in run_with_batch_context() to enable batching and caching. "
        "(tried: User.find('42')) [BAO-5002]"
    )
    assert isinstance(caught.value, RuntimeError)


def test_a_warning_names_the_caller_s_file_and_line() -> None:
    """The line of the user's own code, not one of the library."""
    (warning,) = recorded(WarnOutside())
    assert warning.category is BatchContextWarning
    assert (warning.filename, warning.lineno) == (HERE, line_of("policy.outside(\"User.find('42')\")"))
    assert f"User.find('42') at {HERE}:{warning.lineno} runs outside" in str(warning.message)


def test_a_line_warns_once_and_each_line_does() -> None:
    """However often it runs; another line has a warning of its own."""
    policy = WarnOutside()
    assert len(recorded(policy, 5)) == 1
    assert not recorded(policy, 5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        policy.outside("first")
        policy.outside("second")
    lines = [line_of('policy.outside("first")'), line_of('policy.outside("second")')]
    assert [warning.lineno for warning in caught] == lines


def test_each_policy_counts_for_itself() -> None:
    """A line seen by one policy still warns with another."""
    assert len(recorded(WarnOutside())) == len(recorded(WarnOutside())) == 1


def test_a_warning_turned_into_an_error_is_raised() -> None:
    """With ``-W error`` the operation does not happen."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BatchContextWarning, match="no batching, no cache"):
            WarnOutside().outside("User.find('42')")


def test_the_calling_line_is_that_of_the_caller() -> None:
    """Where nothing of the library is in between, it is the caller itself."""
    found = calling_line()
    assert found == (HERE, line_of("found = calling_line()"))


@pytest.mark.parametrize("value", [True, "true", "1", "yes", "on", "TRUE", " On "])
def test_words_for_strict_mode(value: object) -> None:
    """A bool of a file, or a word of the environment."""
    assert policy_from_setting(value, "x") == RequireContext()


@pytest.mark.parametrize("value", [False, "false", "0", "no", "off", "Off"])
def test_words_for_direct_execution(value: object) -> None:
    """The same for the default."""
    assert policy_from_setting(value, "x") == AllowDirect()


@pytest.mark.parametrize("value", ["warn", " WARN "])
def test_the_word_for_warnings(value: object) -> None:
    """Spelt in any case."""
    assert isinstance(policy_from_setting(value, "x"), WarnOutside)


@pytest.mark.parametrize("value", ["maybe", "", "strict", "2", 2, None, [], "warning"])
def test_anything_else_is_an_error_that_says_where_it_is_set(value: object) -> None:
    """With the words there are; a misspelt one must not turn strict mode off."""
    with pytest.raises(
        ConfigurationError, match=r"^the environment is .*; use true/1/yes/on.*'warn'"
    ) as caught:
        policy_from_setting(value, "the environment")
    assert caught.value.field == "require_batch_context"


def test_policies_are_values() -> None:
    """Equal settings are equal policies, and a policy of one's own is any object with `outside`."""
    assert AllowDirect() == AllowDirect() != RequireContext()
    assert WarnOutside() == WarnOutside()
