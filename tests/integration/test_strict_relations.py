"""`fetch="raise"` refuses what was not loaded in the context itself, also for objects that come from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from dynamo_bao import LazyLoadError, Manager, init_models, run_with_batch_context
from tests.support.relations_to_many import MODELS, Org, Post, User
from tests.support.wire import Wire

pytestmark = pytest.mark.one_engine


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """A user of an organisation with three posts."""
    with init_models(models=MODELS, table_name=ready_table, **connection) as manager:
        Org.create(org_id="o")
        User.create(user_id="u", org_id="o")
        for number in range(3):
            Post.create(post_id=f"p{number}", user_id="u", rank=number)
        yield manager


@pytest.fixture
def sent(manager: Manager) -> Wire:
    """What is sent from now on."""
    return Wire(manager.client)


def closed_context(use: Callable[[User], object]) -> User:
    """A loaded user of a context that was left, after some use of the user."""
    with run_with_batch_context():
        user = User.find("u")
        assert user.status == "on"
        use(user)
    return user


USES: dict[str, Callable[[User], object]] = {
    "nothing": lambda user: None,
    "made": lambda user: (user.posts, user.org),
    "used": lambda user: (len(user.posts), user.org.exists()),
    "queried": lambda user: len(user.query_posts()),  # type: ignore[attr-defined]
    "announced": lambda user: user.load_related_data(["posts", "org"]),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_objects_of_closed_contexts(sent: Wire, use: Callable[[User], object]) -> None:
    """What another context has fetched is not there in this one, and not loaded implicitly."""
    user = closed_context(use)
    sent.clear()
    with run_with_batch_context(fetch="raise"):
        for _ in range(2):
            with pytest.raises(LazyLoadError, match=r"User\.posts is not loaded"):
                len(user.posts)
            with pytest.raises(LazyLoadError, match=r"User\.org_id is not loaded"):
                user.org.exists()
    assert sent.operations == []


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_explicit_load_for_objects_of_closed_contexts(sent: Wire, use: Callable[[User], object]) -> None:
    """It loads everything for this context, whatever the other one had."""
    user = closed_context(use)
    sent.clear()
    with run_with_batch_context(fetch="raise"):
        user.load_related_data(["posts", "org"])
        assert sorted(sent.operations) == ["BatchGetItem", "Query"]
        assert (len(user.posts), user.org.exists()) == (3, True)
        assert len(sent) == 2


@pytest.mark.parametrize("place", ["a closed context", "no context"])
def test_results_that_were_not_used_where_they_were_made(sent: Wire, place: str) -> None:
    """A result that still waits is not fetched in a context that refuses it; outside contexts it is."""
    with run_with_batch_context() if place == "a closed context" else nullcontext():
        user = User.find("u")
        posts = user.posts
    sent.clear()
    with run_with_batch_context(fetch="raise"):
        for _ in range(2):
            with pytest.raises(LazyLoadError, match=r"User\.posts is not loaded"):
                len(posts)
        assert sent.operations == []
    assert len(posts) == 3


def test_targets_that_were_not_used_where_they_were_made(sent: Wire) -> None:
    """The same holds for a target that still waits. A target that was asked for by its key is read."""
    with run_with_batch_context():
        user = User.find("u")
        org, other = user.org, User.find("v")
    sent.clear()
    with run_with_batch_context(fetch="raise"):
        for _ in range(2):
            with pytest.raises(LazyLoadError, match=r"User\.org_id is not loaded"):
                org.exists()
        assert sent.operations == []
        assert not other.exists()
    assert org.exists()


def test_what_was_loaded_stays_readable_after_its_context(sent: Wire) -> None:
    """As for fields, no request is needed outside contexts."""
    user = closed_context(USES["announced"])
    sent.clear()
    assert (len(user.posts), user.org.exists()) == (3, True)
    assert sent.operations == []
