"""Rules 12 to 21: the identity map, laziness and tenants."""

from __future__ import annotations

import copy
import gc
import pickle
from typing import Any

import pytest

from dynamo_bao import (
    ConditionalError,
    DataFormatError,
    ItemNotFoundError,
    LazyLoadError,
    Manager,
    QueryError,
    TenantContext,
    TenantMismatchError,
    TenantRequiredError,
    run_with_batch_context,
    transaction,
)
from tests.support.models import ALL, Comment, Org, Page, Post, User
from tests.support.wire import Wire

MODELS = ALL


def elsewhere(work: Any) -> None:
    """What another session does meanwhile."""
    with run_with_batch_context():
        work()


@pytest.mark.rule(12)
def test_first_values_stay(ada: User) -> None:
    """A later row does not replace what was loaded, turns a miss into a find, and leaves out what was deleted."""
    with run_with_batch_context():
        user, missing = User.find(ada.user_id), User.find("01ARZ3NDEKTSV4RRFFQ69G5FAW")
        assert user.name == "Ada" and not missing
        elsewhere(lambda: User.update(ada.user_id, name="Eve"))
        elsewhere(lambda: User.create(user_id="01ARZ3NDEKTSV4RRFFQ69G5FAW", name="Bob"))
        rows = list(User.by_status.query("active"))
        assert {row.name for row in rows} == {"Ada", "Bob"}
        assert any(row is user for row in rows) and any(row is missing for row in rows)
        user.delete()
        elsewhere(lambda: User.create(user_id=ada.user_id, name="Again"))
        assert [row.name for row in User.by_status.query("active")] == ["Bob"]


@pytest.mark.rule(12)
def test_a_row_fills_what_is_pending(ada: User, wire: Wire) -> None:
    """What is pending when a query brings it has the row's values, and is the row."""
    with run_with_batch_context() as session:
        rows = User.by_status.query("active")
        assert len(rows) == 1
        wire.clear()
        assert User.find(ada.user_id) is rows[0]
        assert User.find(ada.user_id).name == "Ada"
        assert len(wire) == 0
        assert session.stats.cache_hits > 0


@pytest.mark.rule(13)
def test_how_an_entry_was_read(ada: User, wire: Wire) -> None:
    """A consistent find asks again after an eventual one and keeps local changes; after an own write it does not."""
    with run_with_batch_context():
        user = User.find(ada.user_id)
        user.name = "local"
        elsewhere(lambda: User.update(ada.user_id, age=7))
        assert user.age == 7
        elsewhere(lambda: User.update(ada.user_id, age=8))
        wire.clear()
        assert User.find(ada.user_id, consistent_read=True).age == 8
        assert (user.name, len(wire)) == ("local", 1)
        user.save()
        wire.clear()
        assert User.find(ada.user_id, consistent_read=True).name == "local"
        assert len(wire) == 0
        rows = list(Post.posts_for_user.query(ada))
        assert rows == []
    with pytest.raises(QueryError, match="consistent"):
        User.by_status.query("active", consistent_read=True)


@pytest.mark.rule(14)
def test_what_is_held(manager: Manager, ada: User, wire: Wire) -> None:
    """What was found by key or changed is held; what came from a query is held weakly."""
    Post.create(title="a", user_id=ada)
    with run_with_batch_context():
        found, row = User.find(ada.user_id), Post.posts_for_user.query(ada)[0]
        assert found.exists()
        name, post_id = id(found), row.post_id
        del found, row
        gc.collect()
        assert id(User.find(ada.user_id)) == name
        wire.clear()
        assert Post.find(post_id).title == "a"
        assert len(wire) == 1
        changed = Post.posts_for_user.query(ada)[0]
        changed.title = "b"
        del changed
        gc.collect()
        assert Post.find(post_id).title == "b"


@pytest.mark.parametrize("use", ["save", "refresh"])
@pytest.mark.rule(14)
def test_what_was_saved_or_refreshed_is_held(manager: Manager, ada: User, wire: Wire, use: str) -> None:
    """It came from a query, and only that says that it is used."""
    Post.create(title="a", user_id=ada)
    with run_with_batch_context():
        row = Post.posts_for_user.query(ada)[0]
        post_id = row.post_id
        row.tags.add("new")
        getattr(row, use)()
        del row
        gc.collect()
        wire.clear()
        assert Post.find(post_id).tags == ({"new"} if use == "save" else set())
        assert len(wire) == 0


@pytest.mark.rule(15)
def test_created_objects(manager: Manager, wire: Wire) -> None:
    """create() gives the map's object; earlier ones share its state; a known one is refused without a request."""
    with run_with_batch_context():
        pending, missing = Org.find("a"), Org.find("b")
        assert not missing
        pending = Org.find("c")
        made = [Org.create(org_id=name, name=name) for name in "bc"]
        assert [Org.find(name) for name in "bc"] == made
        assert (missing.name, pending.name) == ("b", "c")
        wire.clear()
        with pytest.raises(ConditionalError):
            Org.create(org_id="b", name="again")
        assert len(wire) == 0
        built = Org(org_id="d", name="d")
        built.save()
        assert Org.find("d") is built
        assert not Org.find("e")
        elsewhere(lambda: Org.create(org_id="e", name="e"))
        with pytest.raises(ConditionalError):
            Org.create(org_id="e", name="mine")
        assert Org.find("e").name == "e"


@pytest.mark.rule(15)
def test_earlier_objects_stay_in_step(manager: Manager, wire: Wire) -> None:
    """If one of them is loaded again, the other one shows the new values."""
    with run_with_batch_context():
        missing = Org.find("b")
        assert not missing
        made = Org(org_id="b", name="b")
        made.save()
        elsewhere(lambda: Org.update("b", name="c"))
        for one in (missing, made):
            one.refresh()
            assert (missing.name, made.name) == ("c", "c")
        for one, other, name in ((made, missing, "d"), (missing, made, "e")):
            detached = copy.copy(made)
            detached.name = name
            detached.save()  # which makes the session's own pending
            wire.clear()
            assert (one.name, other.name) == (name, name)
            assert len(wire) == 1 and type(one) is type(other) is Org
        elsewhere(lambda: Org.delete("b"))
        made.refresh()
        assert not made.exists() and not missing.exists()


@pytest.mark.rule(15)
def test_objects_that_are_added(manager: Manager, wire: Wire) -> None:
    """They are the map's before they are stored, also in a session that holds few objects."""
    for most in (None, 1):
        with run_with_batch_context(max_cached=most) as session:
            pending, row = Org.find("x"), User.by_status.query("active")
            assert len(row) == 0
            session.add(Org(org_id="x", name="new"), Org(org_id=f"y{most}", name="other"), overwrite=True)
            gc.collect()
            wire.clear()
            assert (Org.find("x").name, Org.find(f"y{most}").name) == ("new", "other")
            assert Org.find("x") is not pending
            assert len(wire) == 0
            session.rollback()


def test_an_object_whose_delete_found_no_item_is_loaded_once_there_is_one(
    manager: Manager, wire: Wire
) -> None:
    """Until then it is missing without a request. A consistent find asks again, for the same object."""
    with run_with_batch_context():
        org = Org.find("acme")
        with pytest.raises(ItemNotFoundError):
            org.delete()
        elsewhere(lambda: Org.create(org_id="acme", name="Acme"))
        wire.clear()
        assert not Org.find("acme") and not wire.operations
        assert Org.find("acme", consistent_read=True) is org
        with transaction():
            org.name = "Acme & Sons"
            org.save()
        assert org.name == "Acme & Sons"
    assert Org.find("acme").name == "Acme & Sons"


@pytest.mark.rule(15)
def test_detached_objects(ada: User) -> None:
    """Copies, unpickled and bypassing instances are none of the session's; what they write expires a clean entry."""
    with run_with_batch_context():
        user = User.find(ada.user_id)
        assert user.name == "Ada"
        others = [
            copy.copy(user),
            pickle.loads(pickle.dumps(user)),
            User.find(ada.user_id, bypass_cache=True),
        ]
        for number, other in enumerate(others):
            assert other is not user and other == user
            other.age = number
            other.save()
            assert User.find(ada.user_id).age == number


@pytest.mark.rule(16)
def test_every_find_answers_from_the_map(ada: User, wire: Wire) -> None:
    """Hits and misses cost nothing again; refresh(), bypass_cache and consistent finds ask."""
    with run_with_batch_context():
        missing = "01ARZ3NDEKTSV4RRFFQ69G5FAW"
        assert User.find(ada.user_id).exists() and not User.find(missing)
        wire.clear()
        assert User.find_or_none(ada.user_id) is User.find_or_raise(ada.user_id)
        assert User.find_or_none(missing) is None
        assert len(User.batch_find([ada.user_id, missing])) == 2
        with pytest.raises(ItemNotFoundError):
            User.find_or_raise(missing)
        assert len(wire) == 0
        User.find(ada.user_id).refresh()
        User.find(ada.user_id, bypass_cache=True).exists()
        User.find(missing, consistent_read=True).exists()
        assert len(wire) == 3


@pytest.mark.rule(16)
def test_figures_count_every_find(manager: Manager, ada: User) -> None:
    """One for each key that is asked for, in whatever way, and those that the map answers beside them."""
    post = Post.create(title="a", user_id=ada)
    ways: list[tuple[Any, tuple[int, int]]] = [
        (lambda: User.find(ada.user_id), (1, 0)),
        (lambda: User.find(ada.user_id), (2, 1)),
        (lambda: Comment.find((post.post_id, 1)), (3, 1)),
        (lambda: Comment.find(post_id=post.post_id, number=1), (4, 2)),
        (lambda: User.batch_find([ada.user_id, "01ARZ3NDEKTSV4RRFFQ69G5FAW"]), (6, 3)),
        (lambda: Post.find(post.post_id).title, (7, 3)),
        (lambda: Post.find(post.post_id).user, (9, 5)),
    ]
    with run_with_batch_context() as session:
        for way, counted in ways:
            way()
            assert (session.stats.lookups, session.stats.cache_hits) == counted


@pytest.mark.rule(17)
def test_truth_equality_and_repr(ada: User, wire: Wire) -> None:
    """bool() loads only what is pending; ==, hash, repr and dir never do; keyless instances are unhashable."""
    with run_with_batch_context():
        wire.clear()
        pending, other = Org.find("acme"), Org.find("none")
        assert pending != other and hash(pending) == hash(Org.find("acme"))
        assert repr(pending) == "<Org org_id='acme' (pending)>"
        assert "name" in dir(pending)
        assert len(wire) == 0
        assert pending and not other
        assert bool(Org(org_id="x", name="X"))
        assert "Acme" not in repr(pending)
        assert User(name="a").user_id and hash(User(name="a"))
        org = Org(name="X", org_id="y")
        assert hash(org) == hash(Org(name="Z", org_id="y"))
        assert org != "y" and org != User(user_id="0" * 26, name="X")
        with pytest.raises(TypeError, match="User has no key yet, so it cannot be hashed; give it one first"):
            hash(User(user_id=None, name="a"))  # type: ignore[arg-type]
    assert Org.from_dict({"org_id": "y", "name": "Z"}) == org


@pytest.mark.rule(18)
def test_only_declared_names_load(ada: User, wire: Wire) -> None:
    """Any other name is an AttributeError at once; a missing item's error is none, and suits templates."""
    with run_with_batch_context():
        pending: Any = User.find(ada.user_id)
        wire.clear()
        with pytest.raises(AttributeError):
            _ = pending.nmae
        assert not hasattr(pending, "nothing")
        assert len(wire) == 0
        missing: Any = Org.find("none")
        with pytest.raises(ItemNotFoundError) as caught:
            hasattr(missing, "name")
        assert not isinstance(caught.value, (AttributeError, LookupError, StopIteration))
        assert caught.value.silent_variable_failure is True


@pytest.mark.rule(19)
def test_assigning_never_loads(ada: User, wire: Wire) -> None:
    """A pending instance's save sends what was assigned; a missing one refuses; refresh() discards."""
    with run_with_batch_context():
        wire.clear()
        org = Org.find("acme")
        org.name = "Acme Ltd."
        org.save()
        assert wire.operations == ["UpdateItem"]
        org.name = "local"
        assert org.refresh().name == "Acme Ltd."
        missing = Org.find("none")
        assert not missing
        with pytest.raises(ItemNotFoundError):
            missing.name = "x"
        with pytest.raises(ItemNotFoundError):
            missing.save()
        gone = Org.find("gone")
        gone.name = "x"
        with pytest.raises(ItemNotFoundError):
            gone.save()


@pytest.mark.rule(20)
def test_peers(manager: Manager, ada: User, wire: Wire) -> None:
    """The first look at a relation loads those of all peers; it follows the current id; unset is None."""
    bob = User.create(name="Bob")
    Post.create(title="nobody's first")
    for user in (ada, bob):
        Post.create(title=user.name, user_id=user)
    Post.create(title="nobody's")
    ids = [post.post_id for batch in Post.iterate_all() for post in batch]
    ids.sort()
    with run_with_batch_context() as session:
        posts = list(Post.batch_find(ids).values())
        assert all(post.exists() for post in posts)
        wire.clear()
        assert {post.user.name if post.user else None for post in posts} == {"Ada", "Bob", None}
        assert wire.operations == ["BatchGetItem"]
        assert session.trace().rounds[-1].kind == "lookups"  # a program that names keys may have an N+1
        post = next(post for post in posts if post.title == "Ada")
        post.user_id = bob.user_id
        assert post.user.name == "Bob"
        assert len(wire) == 1


@pytest.mark.rule(20)
def test_a_peer_whose_relation_cannot_be_read(manager: Manager, ada: User, wire: Wire) -> None:
    """It keeps none of the others from being loaded together."""
    bob = User.create(name="Bob")
    posts = [Post.create(title=str(number), user_id=user) for number, user in enumerate((ada, ada, bob))]
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": f"p#{posts[1].post_id}"}, "_sk": {"S": "p"}},
        UpdateExpression="SET user_id = :n",
        ExpressionAttributeValues={":n": {"S": "no id"}},
    )
    with run_with_batch_context():
        found = list(Post.batch_find([post.post_id for post in posts]).values())
        assert all(post.exists() for post in found)
        wire.clear()
        assert [post.user.name for post in (found[0], found[2]) if post.user] == ["Ada", "Bob"]
        assert len(wire) == 1
        with pytest.raises(DataFormatError):
            found[1].user.exists()  # type: ignore[union-attr]


@pytest.mark.rule(20)
def test_peers_of_a_page(manager: Manager, ada: User, wire: Wire) -> None:
    """Their relations are a round of its own kind, at most `peer_limit` of them beside the first."""
    users = [User.create(name=f"{number}", org_id=f"{number}", status="many") for number in range(5)]
    for user in users:
        Org.create(org_id=str(user.org_id), name=f"Org {user.org_id}")
    with run_with_batch_context(peer_limit=3) as session:
        rows = list(User.by_status.query("many"))
        wire.clear()
        assert [row.org.name for row in rows if row.org] == [f"Org {number}" for number in range(5)]
        assert wire.operations == ["BatchGetItem"] * 2
        assert [one.kind for one in session.trace().rounds] == ["queries", "further", "further"]
        assert [one.requests[0].count for one in session.trace().rounds[1:]] == [4, 1]
        assert session.stats.lookups == 5  # one for each row, none for its peers


@pytest.mark.rule(20)
def test_raise_mode(ada: User) -> None:
    """With fetch="raise" the error comes at the look, and never for what is loaded."""
    with run_with_batch_context(fetch="raise"):
        user = User.find(ada.user_id)
        org = user.org
        with pytest.raises(LazyLoadError, match="org_id"):
            _ = org.name
        assert Org.find("acme").name == "Acme"
        assert user.org.name == "Acme"


@pytest.mark.rule(21)
def test_an_error_names_the_call(tenanted: Manager) -> None:
    """That was made under another tenant."""
    with run_with_batch_context() as session:
        with TenantContext.run_with_tenant("red"):
            org = Org.create(org_id="acme", name="Red")
        with TenantContext.run_with_tenant("blue"):
            for name in ("add", "delete"):
                with pytest.raises(TenantMismatchError, match=rf"{name}\(\) was called under 'blue'"):
                    getattr(session, name)(org)


@pytest.mark.rule(21)
def test_an_instance_keeps_its_tenant(tenanted: Manager) -> None:
    """Everything reached through an instance uses its tenant, and is refused under another one or none."""
    with TenantContext.run_with_tenant("red"):
        Org.create(org_id="acme", name="Red")
        user = User.create(name="Ada", org_id="acme")
        page = Page.create(path="/")
    with run_with_batch_context():
        for refused, error in (("blue", TenantMismatchError), (None, TenantRequiredError)):
            if refused is not None:
                TenantContext.set_current_tenant(refused)
            for use in (user.save, user.refresh, user.delete, lambda: user.org, page.save):
                with pytest.raises(error):
                    use()
            TenantContext.clear_tenant()
        with TenantContext.run_with_tenant("red"):
            assert user.org.name == "Red"
            pending = Org.find("acme")
        assert pending.name == "Red"
