"""What happens outside a batch context, for every operation there is."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import (
    AllowDirect,
    BatchContextRequiredError,
    BatchContextWarning,
    ConfigurationError,
    Manager,
    RequireContext,
    WarnOutside,
    init_models,
    run_with_batch_context,
)
from tests.support import models
from tests.support.models import Org, Post, User
from tests.support.wire import Wire

MESSAGE = (
    "Batch operations must be executed within run_with_batch_context(). "
    "Wrap your database operations in run_with_batch_context() to enable batching and caching."
)


def managed(policy: Any) -> Iterator[Manager]:
    with init_models(models=models.ALL, embedded=True, policy=policy) as manager:
        yield manager


@pytest.fixture
def strict() -> Iterator[Manager]:
    yield from managed(RequireContext())


@pytest.fixture
def warning() -> Iterator[Manager]:
    yield from managed(WarnOutside())


def stored() -> tuple[User, Post]:
    """A user and a post of theirs, loaded in a context that is over."""
    with run_with_batch_context():
        user = User.create(name="Ada", email="ada@example.com")
        return user, Post.create(user_id=user.user_id)


def changed(user: User) -> User:
    user.name = "changed"
    return user


OPERATIONS: dict[str, Callable[[User, Post], Any]] = {
    "find": lambda user, post: User.find(user.user_id),
    "find_or_none": lambda user, post: User.find_or_none(user.user_id),
    "find_or_raise": lambda user, post: User.find_or_raise(user.user_id),
    "batch_find": lambda user, post: User.batch_find([user.user_id]),
    "create": lambda user, post: Org.create(org_id="o", name="O"),
    "save of a new one": lambda user, post: Org(org_id="o", name="O").save(),
    "save": lambda user, post: changed(user).save(),
    "update": lambda user, post: User.update(user.user_id, name="x"),
    "delete by key": lambda user, post: User.delete(user.user_id),
    "delete": lambda user, post: user.delete(),
    "refresh": lambda user, post: user.refresh(),
    "query": lambda user, post: User.by_status.query("active"),
    "query_by_index": lambda user, post: User.query_by_index("by_status", "active"),
    "find_by_unique_constraint": lambda user, post: User.find_by_unique_constraint("unique_email", "a"),
    "unique find": lambda user, post: User.unique_email.find("a"),
    "increment": lambda user, post: Post.increment(post.post_id, views=1),
    "upsert": lambda user, post: Org.upsert(org_id="o", name="O"),
    "count": lambda user, post: Post.count(),
    "iterate_all": lambda user, post: Post.iterate_all(),
    "iterate_bucket": lambda user, post: Post.iterate_bucket(0),
    "batch find of unique values": lambda user, post: User.batch_find_by_unique_constraint(
        "unique_email", ["a"]
    ),
    "relation": lambda user, post: post.user,
    "load_related_data": lambda user, post: post.load_related_data(),
    "repository": lambda user, post: Repo.of(User).find(user.user_id),
}


class Repo:
    """Finds repositories through the manager of the running test."""

    manager: Manager

    @classmethod
    def of(cls, model: type[Any]) -> Any:
        return cls.manager.repository(model)


@pytest.mark.parametrize("name", OPERATIONS)
def test_strict_mode_refuses_every_operation_before_any_request(strict: Manager, name: str) -> None:
    """Outside a context each operation raises the documented message, and nothing is sent."""
    user, post = stored()
    Repo.manager = strict
    sent = Wire(strict.client)
    with pytest.raises(BatchContextRequiredError) as caught:
        OPERATIONS[name](user, post)
    assert str(caught.value).startswith(MESSAGE)
    assert "tried: " in str(caught.value)
    assert len(sent) == 0
    with run_with_batch_context():
        OPERATIONS[name](*stored_again())


def stored_again() -> tuple[User, Post]:
    user = User.create(name="Bob")
    return user, Post.create(user_id=user.user_id)


def test_strict_mode_names_the_call(strict: Manager) -> None:
    """The message says which call was tried."""
    with pytest.raises(BatchContextRequiredError, match=r"tried: Org\.find\('acme'\)"):
        Org.find("acme")


def test_strict_mode_covers_an_instance_never_loaded(strict: Manager) -> None:
    """An instance that was pending when its context ended is not loaded outside one."""
    with run_with_batch_context():
        pending = Org.find("acme")
    with pytest.raises(BatchContextRequiredError):
        _ = pending.name
    with pytest.raises(BatchContextRequiredError):
        bool(pending)
    assert "pending" in repr(pending)


def test_permissive_mode_is_one_request_per_call_without_cache(embedded: Manager, sent: Wire) -> None:
    """Outside a context each find is one GetItem, and gives a new object."""
    Org.create(org_id="acme", name="Acme")
    sent.clear()
    first, second = Org.find("acme"), Org.find("acme")
    assert first is not second
    assert first == second
    assert (first.name, second.name) == ("Acme", "Acme")
    assert not Org.find("nobody")
    assert sent.operations == ["GetItem"] * 3


def test_permissive_mode_loads_instances_left_pending(embedded: Manager, sent: Wire) -> None:
    """An instance that was never loaded in its context loads itself directly afterwards."""
    Org.create(org_id="acme", name="Acme")
    sent.clear()
    with run_with_batch_context():
        pending = Org.find("acme")
    assert pending.name == "Acme"
    assert sent.operations == ["GetItem"]


def test_warn_names_the_callers_line_once(warning: Manager) -> None:
    """WarnOutside warns with the file and line of the caller, once per line of code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            Org.find("acme")
            line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
        Org.find("acme")
    given = [(Path(w.filename).name, w.lineno) for w in caught if w.category is BatchContextWarning]
    assert given == [("test_policies.py", line), ("test_policies.py", line + 2)]
    assert "Org.find('acme')" in str(caught[0].message)


def test_warn_is_silent_inside_a_context(warning: Manager) -> None:
    """Inside a context nothing warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with run_with_batch_context():
            assert not Org.find("acme")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [(True, RequireContext), (False, AllowDirect), ("warn", WarnOutside), (None, AllowDirect)],
)
def test_the_setting_chooses_the_policy(setting: Any, expected: type[Any]) -> None:
    """batch_context={"require_batch_context": …} is the same as policy=."""
    given = {} if setting is None else {"require_batch_context": setting}
    with init_models(models=models.ALL, batch_context=given) as manager:
        assert type(manager.database.policy) is expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("true", RequireContext),
        ("1", RequireContext),
        ("YES", RequireContext),
        ("on", RequireContext),
        ("false", AllowDirect),
        ("0", AllowDirect),
        ("no", AllowDirect),
        ("off", AllowDirect),
        ("warn", WarnOutside),
    ],
)
def test_the_environment_chooses_the_policy(
    monkeypatch: pytest.MonkeyPatch, word: str, expected: type[Any]
) -> None:
    """DYNAMO_BAO_REQUIRE_BATCH_CONTEXT takes the usual words."""
    monkeypatch.setenv("DYNAMO_BAO_REQUIRE_BATCH_CONTEXT", word)
    with init_models(models=models.ALL) as manager:
        assert type(manager.database.policy) is expected
    with init_models(models=models.ALL, batch_context={"require_batch_context": "warn"}) as manager:
        assert type(manager.database.policy) is WarnOutside
    with init_models(models=models.ALL, policy=AllowDirect()) as manager:
        assert type(manager.database.policy) is AllowDirect


def test_another_word_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anything else is refused, saying where it stands."""
    monkeypatch.setenv("DYNAMO_BAO_REQUIRE_BATCH_CONTEXT", "perhaps")
    with pytest.raises(ConfigurationError, match=r"environment.*'perhaps'"):
        init_models(models=models.ALL)
