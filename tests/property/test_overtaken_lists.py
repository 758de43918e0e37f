"""After a write of an object that another program had overtaken, all lists show its item where it is stored.

A history reads lists and objects in a context, and writes by them, while another program moves and deletes the items.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain, count
from typing import Any

import pytest
from attrs import Factory, define
from hypothesis import given, strategies as st

from dynamo_bao import (
    BaoError,
    ItemNotFoundError,
    Manager,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.examples import many
from tests.support.other_program import elsewhere
from tests.support.relations_to_many import MODELS, Post, User

USERS = ["a", "b", "c"]
POSTS = ["p", "q"]
LISTS: list[dict[str, Any]] = [{}, {"page_size": 1}, {"direction": "DESC"}, {"limit": 1}]
NUMBERS = count()
WRITES = [
    "save",
    "move",
    "delete",
    "commit",
    "commit a move",
    "commit a delete",
    "move by key",
    "delete by key",
]

users = st.sampled_from(USERS)
looks = st.lists(st.tuples(st.just("look"), users, st.sampled_from(LISTS), st.booleans()), max_size=3)


@st.composite
def rounds(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """One post is found, changed elsewhere, and written, with looks at lists before and after each step."""
    post_id = draw(st.sampled_from(POSTS))
    steps = [*draw(looks), ("find", post_id), *draw(looks)]
    for user_id in draw(st.lists(st.one_of(users, st.none()), min_size=1, max_size=2)):
        steps += [("change_elsewhere", post_id, user_id), *draw(looks)]
    if draw(st.booleans()):
        steps.append(("let_go", post_id))
    return [*steps, ("write", post_id, draw(st.sampled_from(WRITES)), draw(users), draw(st.booleans()))]


histories = st.lists(rounds(), min_size=1, max_size=3)


@define
class Program:
    """The program in the context.

    Attributes:
        session: the context.
        held: lists that the program still uses.
        objects: posts that it still uses, by id.
    """

    session: Any
    held: list[Any] = Factory(list)
    objects: dict[str, Any] = Factory(dict)

    def look(self, user_id: str, options: dict[str, Any], holds: bool) -> None:
        result = User.find(user_id).posts.where(**options)
        list(result)
        if holds:
            self.held.append(result)

    def find(self, post_id: str) -> None:
        post = self.objects[post_id] = Post.find(post_id)
        post.exists()

    def let_go(self, post_id: str) -> None:
        self.objects.pop(post_id, None)
        self.held.clear()

    def change_elsewhere(self, post_id: str, user_id: str | None) -> None:
        """Another program moves a post, and creates it if it is missing. Without a user, it deletes the post."""
        if user_id is not None:
            elsewhere(lambda: Post.upsert(post_id=post_id, user_id=user_id))
        elif self.stored(post_id) is not None:
            elsewhere(lambda: Post.delete(post_id))

    def stored(self, post_id: str) -> str | None:
        """The user of a stored post, or None."""

        def read() -> str | None:
            post = Post.find(post_id, consistent_read=True)
            return post.user_id if post.exists() else None

        return elsewhere(read)

    def write(self, post_id: str, way: str, user_id: str, in_transaction: bool) -> None:
        """Writes a post by its object, and looks at all lists afterwards."""
        post = self.objects.get(post_id) or Post.find(post_id)
        if not post.exists():
            return
        if post.user_id == (self.stored(post_id) if way in ("save", "commit") else user_id):
            return  # it tells nothing about where the item has been
        if in_transaction and way in ("save", "move by key"):
            return  # no reply tells where the item is
        block = transaction() if in_transaction and "commit" not in way else nullcontext()
        try:
            with block:
                self.carry_out(post, way, user_id)
        except ItemNotFoundError:
            pass
        except BaoError:
            self.session.rollback()
            return
        self.check(post_id)

    def carry_out(self, post: Any, way: str, user_id: str) -> None:
        if way == "move by key":
            Post.update(post.post_id, user_id=user_id)
        elif way == "delete by key":
            Post.delete(post.post_id)
        elif "delete" in way:
            self.session.delete(post) if "commit" in way else post.delete()
        else:
            post.text = f"text {next(NUMBERS)}"  # one that is not stored yet
            if "move" in way:
                post.user_id = user_id
            self.session.add(post) if "commit" in way else post.save()
        if "commit" in way:
            self.session.commit()

    def check(self, post_id: str) -> None:
        user_id = self.stored(post_id) if Post.find(post_id).exists() else None
        for options in LISTS[:3]:
            owners = [
                owner
                for owner in USERS
                if post_id in [post.post_id for post in User.find(owner).posts.where(**options)]
            ]
            assert owners == ([] if user_id is None else [user_id])


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=MODELS, table_name=ready_table, **connection) as manager:
        for user_id in USERS:
            User.create(user_id=user_id)
        yield manager


@pytest.mark.needs("all_old_on_condition_failure")
def test_lists_after_writes_of_overtaken_objects(manager: Manager) -> None:
    """Whether the context holds many instances or few."""

    @many(50)
    @given(history=histories, most=st.sampled_from([None, None, 2, 5]))
    def check(history: list[list[tuple[Any, ...]]], most: int | None) -> None:
        for number, post_id in enumerate(POSTS):
            Post.upsert(post_id=post_id, user_id=USERS[number], rank=number)
        with run_with_batch_context(max_cached=most) as session:
            program = Program(session)
            for name, *arguments in chain.from_iterable(history):
                getattr(program, name)(*arguments)
            session.rollback()

    check()
