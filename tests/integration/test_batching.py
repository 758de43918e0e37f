"""Lookups inside a batch context: how many requests they cost, on every engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dynamo_bao import ItemNotFoundError, LazyLoadError, Manager, Model, run_with_batch_context
from tests.support.models import NOBODY, Comment, Org, Post, User
from tests.support.wire import Wire


@pytest.fixture
def users(manager: Manager) -> list[str]:
    """The ids of twelve stored users."""
    return [User.create(name=f"user {number}").user_id for number in range(12)]


def test_ten_finds_are_one_batch(users: list[str], wire: Wire) -> None:
    """Ten finds and looks at all of them are one BatchGetItem with ten keys."""
    with run_with_batch_context():
        found = [User.find(user_id) for user_id in users[:10]]
        assert wire.operations == []
        assert [user.name for user in found] == [f"user {number}" for number in range(10)]
    assert wire.operations == ["BatchGetItem"]
    assert len(wire.keys()) == 10


def test_models_share_a_batch(manager: Manager, users: list[str], wire: Wire) -> None:
    """Finds of three models are answered by one request."""
    org = Org.create(org_id="acme", name="Acme")
    post = Post.create(title="Notes")
    wire.clear()
    with run_with_batch_context():
        found = (User.find(users[0]), Org.find(org.org_id), Post.find(post.post_id))
        assert (found[0].name, found[1].name, found[2].title) == ("user 0", "Acme", "Notes")
    assert wire.operations == ["BatchGetItem"]


def test_250_keys_are_3_requests(manager: Manager, wire: Wire) -> None:
    """Batches hold at most 100 keys, and there are as few as possible."""
    with run_with_batch_context() as session:
        found = [Org.find(f"org {number}") for number in range(250)]
        assert not found[0].exists()
        assert session.stats.round_trips == 1
    assert wire.operations == ["BatchGetItem"] * 3
    assert sorted(len(wire.keys(number)) for number in range(3)) == [50, 100, 100]


@pytest.mark.parametrize(("count", "requests"), [(0, 0), (1, 1), (99, 1), (100, 1), (101, 2), (1000, 10)])
@pytest.mark.promise("R7")
def test_requests_by_number_of_keys(embedded: Manager, sent: Wire, count: int, requests: int) -> None:
    """n keys are ceil(n / 100) requests, none over 100."""
    with run_with_batch_context():
        for org in [Org.find(f"org {number}") for number in range(count)]:
            assert not org
    assert sent.operations == ["BatchGetItem"] * requests
    assert all(len(sent.keys(number)) <= 100 for number in range(requests))
    print(f"\nR7: {count} keys: {requests} requests")


def test_the_same_key_is_the_same_object(users: list[str], wire: Wire) -> None:
    """A second find gives the object of the first, before and after loading, without a request."""
    with run_with_batch_context() as session:
        first = User.find(users[0])
        assert User.find(users[0]) is first
        assert first.name == "user 0"
        assert type(first) is User
        assert User.find(users[0]) is first
        assert session.stats.cache_hits == 2
    assert len(wire) == 1


@pytest.mark.promise("R6")
def test_equal_keys_are_asked_for_once(users: list[str], wire: Wire) -> None:
    """One key found many times, by equal values, is sent once."""
    with run_with_batch_context():
        found = [User.find(users[0]) for _ in range(50)]
        assert {user.name for user in found} == {"user 0"}
    assert wire.keys() == [f"u#{users[0]}"]
    print("\nR6: 50 callers, 1 key sent")


def test_nothing_looked_at_is_nothing_sent(users: list[str], wire: Wire) -> None:
    """Pending lookups are dropped when the context is left."""
    with run_with_batch_context():
        for user_id in users:
            User.find(user_id)
    assert len(wire) == 0


def test_the_natural_loop_costs_one_batch(manager: Manager, users: list[str], wire: Wire) -> None:
    """Looking at each post's author in a loop costs one query and one batch, not a request per post."""
    author = User.find(users[0])
    for number, user_id in enumerate(users):
        Post.create(user_id=user_id, title=f"post {number}")
        Post.create(user_id=author.user_id, title=f"more {number}")
    posts_of_author = len(author.query_posts())
    wire.clear()
    with run_with_batch_context():
        posts = User.find(author.user_id).query_posts()
        assert {post.user.name for post in posts} == {"user 0"}
        assert len(posts) == posts_of_author == 13
    assert sorted(wire.operations) == ["BatchGetItem", "Query"]


def test_peers_of_one_batch_load_their_relations_together(
    manager: Manager, users: list[str], wire: Wire
) -> None:
    """Posts that came with one batch load their authors with one more, and these their organisations."""
    orgs = [Org.create(org_id=f"o{number}", name=f"Org {number}") for number in range(3)]
    for number, user_id in enumerate(users):
        User.update(user_id, org_id=orgs[number % 3].org_id)
    ids = [Post.create(user_id=user_id).post_id for user_id in users]
    wire.clear()
    with run_with_batch_context():
        posts = [Post.find(post_id) for post_id in ids]
        names = [post.user.org.name for post in posts]  # type: ignore[union-attr]
    assert names == [f"Org {number % 3}" for number in range(12)]
    assert wire.operations == ["BatchGetItem"] * 3
    assert [len(wire.keys(number)) for number in range(3)] == [12, 12, 3]


def test_fetch_one_loads_only_what_is_looked_at(manager: Manager, users: list[str], wire: Wire) -> None:
    """fetch="one" turns the loading of peers off."""
    ids = [Post.create(user_id=user_id).post_id for user_id in users[:3]]
    wire.clear()
    with run_with_batch_context(fetch="one"):
        posts = [Post.find(post_id) for post_id in ids]
        assert [post.user.name for post in posts] == ["user 0", "user 1", "user 2"]
    assert wire.operations == ["BatchGetItem"] * 4


def test_fetch_raise_refuses_implicit_loads(manager: Manager, users: list[str]) -> None:
    """fetch="raise" turns an implicit related load into an error at the look; announced ones are fine."""
    post_id = Post.create(user_id=users[0]).post_id
    with run_with_batch_context(fetch="raise"):
        post = Post.find(post_id)
        author = post.user
        with pytest.raises(LazyLoadError, match=r"Post\.user_id"):
            _ = author.name
        post.load_related_data(["user_id"])
        assert post.user.name == "user 0"


def test_peer_limit_bounds_a_round(manager: Manager, users: list[str], wire: Wire) -> None:
    """At most peer_limit keys of peers join a round."""
    ids = [Post.create(user_id=user_id).post_id for user_id in users]
    wire.clear()
    with run_with_batch_context(peer_limit=4):
        posts = [Post.find(post_id) for post_id in ids]
        assert posts[-1].user.name == "user 11"
        assert len(wire.keys()) == 5


def test_missing_items_are_falsy_and_cached(manager: Manager, wire: Wire) -> None:
    """A missing item is falsy, its fields raise ItemNotFoundError, and it is asked for once."""
    with run_with_batch_context():
        nobody = Org.find("nobody")
        assert not nobody
        assert not nobody.exists()
        assert nobody.org_id == "nobody"
        with pytest.raises(ItemNotFoundError, match="Org 'nobody'") as caught:
            _ = nobody.name
        assert (caught.value.model, caught.value.key) == ("Org", "nobody")
        with pytest.raises(ItemNotFoundError):
            hasattr(nobody, "name")
        assert Org.find("nobody") is nobody
        assert Org.find_or_none("nobody") is None
        with pytest.raises(ItemNotFoundError):
            Org.find_or_raise("nobody")
    assert wire.operations == ["BatchGetItem"]


@pytest.mark.promise("R5")
def test_present_and_absent_keys_are_not_mixed_up(users: list[str]) -> None:
    """Every other key is absent; each lookup gets its own outcome."""
    with run_with_batch_context():
        found = [(User.find(user_id), User.find("00" + user_id[2:])) for user_id in users]
        for number, (present, absent) in enumerate(found):
            assert present.name == f"user {number}"
            assert not absent
    print(f"\nR5: 0 of {2 * len(found)} mixed up")


def test_batch_find_gives_all_by_canonical_id(users: list[str], wire: Wire) -> None:
    """batch_find registers lookups like find, missing ones included, and an empty list costs nothing."""
    with run_with_batch_context():
        found = User.batch_find([*users[:3], users[0]])
        assert len(wire) == 0
        assert list(found) == users[:3]
        assert found[users[1]].name == "user 1"
        assert found[users[1]] is User.find(users[1])
        assert User.batch_find([]) == {}
    assert wire.operations == ["BatchGetItem"]
    assert [user.name for user in User.batch_find(users[:2]).values()] == ["user 0", "user 1"]
    assert wire.operations == ["BatchGetItem"] * 2


def _of_texts() -> tuple[type[Model], list[object]]:
    names = ["a", "b", "c", "d"]
    for name in names:
        Org.create(org_id=name, name=name)
    return Org, [*names, "a", "no such org", "ä"]


def _of_ulids() -> tuple[type[Model], list[object]]:
    ids = [User.create(name=f"user {number}").user_id for number in range(4)]
    return User, [*ids, ids[0], NOBODY]


def _of_two_parts() -> tuple[type[Model], list[object]]:
    comments = [Comment.create(post_id=NOBODY, number=number, text="well") for number in range(4)]
    ids = [comment.primary_id for comment in comments]
    return Comment, [*ids, (NOBODY, 0), {"post_id": NOBODY, "number": 9}]


@pytest.mark.parametrize("max_cached", [None, 2])
@pytest.mark.parametrize("consistent", [False, True], ids=["eventual", "consistent"])
@pytest.mark.parametrize("stored", [_of_texts, _of_ulids, _of_two_parts])
def test_batch_find_does_what_finds_in_a_loop_do(
    embedded: Manager,
    sent: Wire,
    stored: Callable[[], tuple[type[Model], list[object]]],
    consistent: bool,
    max_cached: int | None,
) -> None:
    """Both give the instances that the session has, others for the rest, the same figures, and the same requests."""
    model, keys = stored()

    def finds() -> dict[str, Model]:
        found = [model.find(key, consistent_read=consistent) for key in keys]
        return {instance.primary_id: instance for instance in found}

    def batch_find() -> dict[str, Model]:
        return model.batch_find(keys, consistent_read=consistent)

    outcomes: list[tuple[object, ...]] = []
    for find_all in (finds, batch_find):
        sent.clear()
        with run_with_batch_context(max_cached=max_cached) as session:
            loaded, pending = model.find_or_raise(keys[0]), model.find(keys[1], consistent_read=True)
            found = find_all()
            assert found[loaded.primary_id] is loaded
            assert found[pending.primary_id] is pending
            assert sent.operations == ["BatchGetItem"]
            values = {key: instance.to_dict() if instance else None for key, instance in found.items()}
            outcomes.append((list(values.items()), session.stats, sent.sent.copy()))
    assert outcomes[0] == outcomes[1]


def test_batch_find_refuses_a_bad_id_before_registering_any(users: list[str], wire: Wire) -> None:
    """One id that cannot be a key makes the whole call fail, and nothing is pending then."""
    with run_with_batch_context() as session:
        with pytest.raises(ValueError, match="user_id"):
            User.batch_find([users[0], "not a ulid"])
        session.flush()
    assert len(wire) == 0


def test_consistent_reads_travel_apart(users: list[str], wire: Wire) -> None:
    """A consistent lookup goes into a consistent request, the others do not."""
    with run_with_batch_context():
        first, second = User.find(users[0]), User.find(users[1], consistent_read=True)
        assert (first.name, second.name) == ("user 0", "user 1")
    consistent = [
        entry.get("ConsistentRead", False) for _, body in wire.sent for entry in body["RequestItems"].values()
    ]
    assert sorted(consistent) == [False, True]


def test_consistent_find_after_an_eventual_one_asks_again(users: list[str], wire: Wire) -> None:
    """A cached eventual read does not answer a consistent find, and local changes survive it."""
    with run_with_batch_context():
        user = User.find(users[0])
        user.name = "changed here"
        assert user.status == "active"
        assert User.find(users[0], consistent_read=True) is user
        assert user.age is None
        assert user.name == "changed here"
        assert User.find(users[0], consistent_read=True).age is None
    assert wire.operations == ["BatchGetItem", "BatchGetItem"]


def test_bypass_cache_asks_at_once_and_leaves_the_map_alone(users: list[str], wire: Wire) -> None:
    """bypass_cache gives a detached object of its own, whatever the session knows."""
    with run_with_batch_context():
        user = User.find(users[0])
        assert user.name == "user 0"
        other = User.find(users[0], bypass_cache=True)
        assert other is not user
        assert other == user
        assert User.find(users[0]) is user
    assert wire.operations == ["BatchGetItem", "GetItem"]


def test_refresh_reads_again(users: list[str], wire: Wire) -> None:
    """refresh drops local changes and reads consistently."""
    with run_with_batch_context():
        user = User.find(users[0])
        user.name = "changed here"
        assert user.refresh().name == "user 0"
        assert not user.has_changes()
    assert wire.operations == ["BatchGetItem"]
    assert wire.sent[0][1]["RequestItems"].popitem()[1]["ConsistentRead"] is True


@pytest.mark.parametrize(
    "key",
    [
        lambda post: (post, 7),
        lambda post: {"post_id": post, "number": 7},
        lambda post: Comment.make_primary_id(post, 7),
    ],
)
def test_composite_keys_are_named_in_every_form(manager: Manager, key: Callable[[str], object]) -> None:
    """A composite key is a tuple, a mapping, or the primary id; all of them are one object."""
    post = Post.create()
    Comment.create(post_id=post, number=7, text="nice", image=b"\x00\xff")
    with run_with_batch_context():
        comment = Comment.find(key(post.post_id))
        assert (comment.post_id, comment.number) == (post.post_id, 7)
        assert (comment.text, comment.image) == ("nice", b"\x00\xff")
        assert Comment.find(post_id=post.post_id, number=7) is comment


def test_instances_that_a_query_brings_are_the_sessions_own(users: list[str], wire: Wire) -> None:
    """What a query returned find returns without a request."""
    with run_with_batch_context():
        rows = User.by_status.query("active")
        assert len(rows) == 12
        assert User.find(rows[3].user_id) is rows[3]
        assert wire.operations == ["Query"]
        assert not Org.find("nobody")
    assert wire.keys() == ["o#nobody"]


def test_a_later_page_resolves_what_is_pending(users: list[str], wire: Wire) -> None:
    """A look at a query runs the pending lookups with it; what its later pages bring needs no request."""
    with run_with_batch_context() as session:
        rows = iter(User.by_status.query("active", page_size=6))
        brought = {next(rows).user_id for _ in range(6)}
        pending = {user_id: User.find(user_id) for user_id in users if user_id not in brought}
        late = [row for row in rows if row.user_id in pending]
        assert late and all(row is pending[row.user_id] for row in late)
        assert all(row.name for row in late)
        assert "BatchGetItem" not in wire.operations and session.stats.batches == 0


def test_stats_agree_with_the_wire(users: list[str], wire: Wire) -> None:
    """The session's figures are what went over the wire."""
    with run_with_batch_context() as session:
        for user in [User.find(user_id) for user_id in users]:
            assert user.name
        User.find(users[0])
        assert session.stats.lookups == 13
        assert session.stats.cache_hits == 1
        assert session.stats.keys_fetched == 12
        assert session.stats.batches == session.stats.requests == session.stats.round_trips == len(wire) == 1
        assert session.stats.read_capacity > 0
        assert session.stats.capacity.read == session.stats.read_capacity
        assert "12 in 1 batches" in str(session.stats)
