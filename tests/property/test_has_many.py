"""Loops over related instances, with writes in between, show what they show when nothing is fetched in advance.

A history is a program: it looks at relations of instances, in loops that may stop early, and it writes, in the same
context, in transactions, in contexts inside it, and by other instances. It runs twice on equal items: as programs do,
and in a context that fetches one relation at a time and caches no results. Both must show the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import count
from typing import Any

import pytest
from attrs import Factory, define
from hypothesis import given, strategies as st

from dynamo_bao import (
    ItemNotFoundError,
    Manager,
    Session,
    TenantContext,
    TransactionError,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.examples import many
from tests.support.relations_to_many import MODELS, Org, Post, Tag, Tagging, User

USERS = [f"u{number}" for number in range(5)]
POSTS = [f"p{number}" for number in range(8)]
TAGS = ["t0", "t1", "t2"]
NUMBERS = count()

Step = tuple[Any, ...]

ways = st.sampled_from(["all", "first", "bool", "latest", "ranked", "method", "announced", "pages"])
parents = st.sampled_from(["page", "batch", "each", "org"])
kinds = st.sampled_from(["posts", "tags", "tag posts", "users", "users.posts"])
places = st.sampled_from(["here", "transaction", "inside", "inside transaction"])
writes = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(USERS), places),
    st.tuples(st.just("move"), st.sampled_from(POSTS), st.sampled_from([*USERS, None]), places),
    st.tuples(st.just("move by key"), st.sampled_from(POSTS), st.sampled_from(USERS), places),
    st.tuples(st.just("text"), st.sampled_from(POSTS), st.sampled_from(["here", "transaction"])),
    st.tuples(st.just("delete"), st.sampled_from(POSTS), places),
    st.tuples(st.just("delete by key"), st.sampled_from(POSTS), places),
    st.tuples(st.just("tag"), st.sampled_from(POSTS), st.sampled_from(TAGS), places),
    st.tuples(st.just("untag"), st.sampled_from(POSTS), st.sampled_from(TAGS), places),
    st.tuples(st.just("commit"), st.sampled_from(USERS), st.sampled_from(POSTS)),
    st.tuples(st.just("bypass"), st.sampled_from(POSTS), st.sampled_from(USERS)),
)
loops = st.tuples(
    st.just("loop"), kinds, parents, ways, st.integers(1, 6), st.one_of(st.none(), st.none(), writes)
)
others = st.sampled_from(
    [("refresh",), ("forget",), ("expunge",), ("hold",), ("hold",), ("show",), ("find",), ("load",)]
)
programs = st.lists(st.one_of(loops, loops, loops, writes, others), min_size=2, max_size=9)
options = st.fixed_dictionaries(
    {},
    optional={
        "query_limit": st.sampled_from([1, 2, 3]),
        "peer_limit": st.just(2),
    },
)


@define
class Run:
    """One run of a program.

    Attributes:
        session: the context that it runs in.
        caches: whether results of queries stay cached between looks.
        log: what it has shown.
        deleted_inside: the keys of posts that a context inside it has deleted.
    """

    session: Session
    caches: bool
    log: list[Any] = Factory(list)
    held: list[Any] = Factory(list)
    deleted_inside: set[str] = Factory(set)
    made: int = 0

    def do(self, step: Step) -> None:
        if step[0] in ("delete", "delete by key") and "inside" in step[2]:
            self.deleted_inside.add(step[1])
        getattr(self, step[0].replace(" ", "_"))(*step[1:])

    # --- looks ---------------------------------------------------------------------------------------

    def loop(self, kind: str, parents: str, way: str, most: int, write: Step | None) -> None:
        """Looks at a relation of some instances in turn, and writes after the second look."""
        for number, parent in enumerate(self.parents_of(kind, parents)):
            if number == most:
                break
            if kind == "users.posts":
                for user in self.look(parent, "users", "all"):
                    self.look(user, "posts", way)
            else:
                self.look(parent, "posts" if kind == "tag posts" else kind, way)
            if number == 1 and write is not None:
                self.do(write)

    def parents_of(self, kind: str, parents: str) -> list[Any]:
        if kind in ("users", "users.posts"):
            return [Org.find("o0"), Org.find("o1")]
        model, keys = {"posts": (User, USERS), "tags": (Post, POSTS), "tag posts": (Tag, TAGS)}[kind]
        if parents == "page" and model is User:
            self.uncache()
            return list(User.by_status.query("on"))
        if parents == "batch":
            found: list[Any] = list(model.batch_find(keys).values())  # type: ignore[attr-defined]
            return [parent for parent in found if parent]
        return [model.find(key) for key in keys]  # type: ignore[attr-defined]

    def uncache(self) -> None:
        if not self.caches:
            self.session._partitions.clear()

    def look(self, parent: Any, relation: str, way: str) -> list[Any]:
        self.uncache()
        result: Any = getattr(parent, relation)
        if way == "announced" and parent:
            parent.load_related_data([relation])
            result = getattr(parent, relation)
        elif way == "method":
            name = f"get_{relation}" if relation == "tags" or isinstance(parent, Tag) else f"query_{relation}"
            result = getattr(parent, name)()
        elif way == "latest":
            result = result.where(limit=2, direction="DESC")
        elif way == "ranked" and relation == "posts" and isinstance(parent, User):
            result = result.where((Post.fields.rank >= 2) & (Post.fields.text != "new"))
        elif way == "pages":
            result = result.where(page_size=1)
        rows = [result[0]] if way == "first" and result else [] if way in ("first", "bool") else list(result)
        if not isinstance(parent, Tag) or not self.deleted_inside:
            self.note(parent, relation, bool(result) if way == "bool" else None, rows)
        elif way not in (
            "first",
            "bool",
            "latest",
        ):  # as in `find`, a post that this context holds may be shown
            kept_rows = [row for row in rows if row.primary_id not in self.deleted_inside]
            self.note(parent, relation, None, kept_rows)
        return rows

    def note(self, parent: Any, relation: str, flag: bool | None, rows: list[Any]) -> None:
        shown = [(row.primary_id, getattr(row, "text", None) if row else "missing") for row in rows]
        self.log.append((parent.primary_id, relation, flag, shown))

    def hold(self) -> None:
        """Keeps results that nobody has looked at yet. A result that was used would show what it has shown."""
        page_size = 50 + len(self.log)
        self.held = [(user, user.posts.where(page_size=page_size)) for user in map(User.find, USERS[:3])]

    def show(self) -> None:
        for user, result in self.held:
            self.uncache()
            self.note(user, "held", None, list(result))

    def find(self) -> None:
        """Finds posts by key, but none that an inner context deleted: this context shows it as long as it holds it."""
        for post in map(Post.find, [post_id for post_id in POSTS[:3] if post_id not in self.deleted_inside]):
            self.log.append((post.primary_id, post.text if post else None))

    def load(self) -> None:
        self.uncache()
        for user in User.by_status.query("on", load_related=["posts.tags"])[:3]:
            for post in self.look(user, "posts", "all"):
                self.look(post, "tags", "all")

    # --- what a program says to its context ----------------------------------------------------------

    def refresh(self) -> None:
        User.find("u1").refresh()

    def forget(self) -> None:
        User.find("u2").clear_related_cache()

    def expunge(self) -> None:
        self.session.expunge(User.find("u3"))

    # --- writes ----------------------------------------------------------------------------------------

    def at(self, place: str, write: Callable[[], object]) -> None:
        """Writes in the context itself or in one inside it, alone or in a transaction."""
        context = run_with_batch_context() if "inside" in place else nullcontext()
        try:
            with context, transaction() if "transaction" in place else nullcontext():
                write()
        except (ItemNotFoundError, TransactionError) as error:
            self.log.append(type(error).__name__)

    def fresh(self) -> str:
        self.made += 1
        return f"n{self.made}"

    def create(self, user_id: str, place: str) -> None:
        post_id = self.fresh()
        self.at(place, lambda: Post.create(post_id=post_id, user_id=user_id, rank=self.made, text="new"))

    def move(self, post_id: str, user_id: str | None, place: str) -> None:
        def write() -> None:
            post = Post.find(post_id)
            if post:
                post.user_id = user_id
                post.save()

        self.at(place, write)

    def move_by_key(self, post_id: str, user_id: str, place: str) -> None:
        if "transaction" not in place or self.is_stored(post_id):
            self.at(place, lambda: Post.update(post_id, user_id=user_id))

    def text(self, post_id: str, place: str) -> None:
        if self.is_stored(post_id):
            self.at(place, lambda: Post.update(post_id, text=f"text {len(self.log)}"))

    def delete(self, post_id: str, place: str) -> None:
        def write() -> None:
            post = Post.find(post_id)
            if post:
                post.delete()

        self.at(place, write)

    def delete_by_key(self, post_id: str, place: str) -> None:
        if "transaction" not in place or self.is_stored(post_id):
            self.at(place, lambda: Post.delete(post_id))

    def tag(self, post_id: str, tag_id: str, place: str) -> None:
        self.at(place, lambda: Tagging.upsert(post_id=post_id, tag_id=tag_id))

    def untag(self, post_id: str, tag_id: str, place: str) -> None:
        def write() -> None:
            tagging = Tagging.find((post_id, tag_id), bypass_cache=True)
            if tagging:
                tagging.delete()

        self.at(place, write)

    def commit(self, user_id: str, post_id: str) -> None:
        self.session.add(Post(post_id=self.fresh(), user_id=user_id, rank=self.made, text="new"))
        if self.is_stored(post_id):
            self.session.delete(Post.find(post_id))
        self.session.commit()

    def bypass(self, post_id: str, user_id: str) -> None:
        post = Post.find(post_id, bypass_cache=True)
        if post:
            post.user_id = user_id
            post.save()

    def is_stored(self, post_id: str) -> bool:
        return bool(Post.find(post_id, bypass_cache=True)) and bool(Post.find(post_id))


def shown_by(program: list[Step], caches: bool, **options: Any) -> list[Any]:
    """What a program shows, for a tenant of its own."""
    with TenantContext.run_with_tenant(f"t{next(NUMBERS)}"):
        with run_with_batch_context() as session:
            session.add(Org(org_id="o0"), Org(org_id="o1"), *(Tag(tag_id=tag) for tag in TAGS))
            session.add(*(User(user_id=user, org_id=f"o{n % 2}") for n, user in enumerate(USERS)))
            session.add(*(Post(post_id=post, user_id=USERS[n % 4], rank=n) for n, post in enumerate(POSTS)))
            session.add(*(Tagging(post_id=post, tag_id=TAGS[n % 3]) for n, post in enumerate(POSTS)))
            session.commit()
        with run_with_batch_context(**options) as session:
            run = Run(session, caches)
            for step in program:
                run.do(step)
            return run.log


def empty(manager: Manager) -> None:
    """Deletes all items: an engine takes longer for each request the more a table has."""
    table, client = manager.table_name, manager.client
    for item in client.scan(TableName=table)["Items"]:
        client.delete_item(TableName=table, Key={name: item[name] for name in ("_pk", "_sk")})


@pytest.fixture
def graph(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    tenancy = {"enabled": True}
    with init_models(models=MODELS, table_name=ready_table, tenancy=tenancy, **connection) as manager:
        yield manager


@pytest.mark.needs("all_old_on_condition_failure")
def test_loops_show_what_they_show_one_at_a_time(graph: Manager, request: pytest.FixtureRequest) -> None:
    """2,000 histories with `BAO_EXAMPLES`: what was fetched in advance is never seen otherwise than it is stored."""
    histories = 0

    @many(25)
    @given(program=programs, options=options)
    def check(program: list[Step], options: dict[str, Any]) -> None:
        nonlocal histories
        histories += 1
        one_at_a_time = shown_by(program, caches=False, fetch="one")
        assert shown_by(program, caches=True, **options) == one_at_a_time
        empty(graph)

    check()
    print(f"\nhas many {request.node.callspec.params['engine']}: {histories:,} histories, 0 divergences")
