"""Relations to many instances: ``user.posts``, for one instance and for all that were loaded with it."""

from __future__ import annotations

import gc
import logging
import pickle
import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from dynamo_bao import (
    BatchContextRequiredError,
    ConfigurationError,
    HasMany,
    ItemNotFoundError,
    LazyLoadError,
    Manager,
    QueryError,
    QueryResult,
    TenantContext,
    UnknownFieldError,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.dynamodb.transport.factory import embedded_transport
from dynamo_bao.testing import FaultInjectingTransport, Request, throttled
from tests.support.clocks import FakeTime
from tests.support.relations_to_many import MODELS, Comment, Org, Post, Tag, Tagging, User
from tests.support.wire import Wire

pytestmark = pytest.mark.one_engine
USERS = 20


@pytest.fixture
def blog(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    """Two organisations with ten users each, who have three posts each."""
    with init_models(models=MODELS, table_name=ready_table, **connection) as manager:
        with run_with_batch_context() as session:
            session.add(*(Org(org_id=f"o{number}") for number in range(2)))
            for number in range(USERS):
                session.add(User(user_id=f"u{number:02d}", org_id=f"o{number // 10}"))
                ranks = range(3)
                session.add(
                    *(Post(post_id=f"p{number:02d}{n}", user_id=f"u{number:02d}", rank=n) for n in ranks)
                )
            session.commit()
        yield manager


@pytest.fixture
def sent(blog: Manager) -> Wire:
    """What is sent from now on."""
    return Wire(blog.client)


@pytest.mark.one_engine
def test_a_new_instance_loads_its_many(blog: Manager) -> None:
    """Nothing is stored yet, and others may already name its id."""
    org = Org(org_id="o0")
    org.load_related_data(["users"])
    assert len(org.users) == 10


@pytest.mark.parametrize("fetch", ["peers", "raise"])
def test_a_new_instance_loads_longer_paths(sent: Wire, fetch: Any) -> None:
    """They are one round a level, and are then loaded also where a context refuses implicit loads."""
    names = ["org.users", "posts.user"]
    for as_answer in (False, True):
        with run_with_batch_context(fetch=fetch) as session:
            user = User(user_id="u03", org_id="o1")
            if as_answer:
                answer = user.to_dict(related=names)
                assert (len(answer["org"]["users"]), answer["posts"][0]["user"]["user_id"]) == (10, "u03")
            else:
                user.load_related_data(names)
            assert session.stats.round_trips == 2
            assert (len(user.org.users), len(user.posts), user.posts[0].user.org_id) == (10, 3, "o0")
            assert session.stats.round_trips == 2
    sent.clear()
    assert User(user_id="u03", org_id="o1").load_related_data(names).org.org_id == "o1"
    assert len(sent) == 4


def page() -> QueryResult[User]:
    """All users, loaded in one page."""
    users = User.by_status.query("on")
    assert len(users) == USERS
    return users


def store_large_posts() -> None:
    """Stores four more posts of each of the first two users: more than one megabyte, which is a page of a query."""
    with run_with_batch_context() as session:
        session.add(
            *(
                Post(post_id=f"big{n}{k}", user_id=f"u{n:02d}", rank=k + 5, text="x" * 350_000)
                for n in range(2)
                for k in range(4)
            )
        )
        session.commit()


def queries(sent: Wire) -> int:
    return sent.operations.count("Query")


def ids(posts: Any) -> list[str]:
    return [post.post_id for post in posts]


# --- one instance -------------------------------------------------------------------------------------------


def test_it_is_a_result_that_is_loaded_when_it_is_used(sent: Wire) -> None:
    """Reading the attribute sends nothing, and every use is the same query."""
    with run_with_batch_context():
        user = User.find("u03")
        posts = user.posts
        assert isinstance(posts, QueryResult)
        assert sent.operations == []
        assert ids(posts) == ["p030", "p031", "p032"]
        assert len(user.posts) == 3
        assert user.posts[0].post_id == "p030"
        first = user.posts.first()
        assert first is not None
        assert first.post_id == "p030"
        assert user.posts
        assert user.posts is posts
        assert sorted(sent.operations) == ["BatchGetItem", "Query"]  # a round takes the pending lookups too


def test_its_instances_are_those_of_the_context(sent: Wire) -> None:
    """A post that was found before is the object in the result, and a later find needs no request."""
    with run_with_batch_context():
        found = Post.find("p030")
        posts = list(User.find("u03").posts)
        assert posts[0] is found
        assert Post.find("p031") is posts[1]
        assert posts[1].rank == 1
        assert sorted(sent.operations) == ["BatchGetItem", "Query"]


def test_where_narrows_and_orders_it(sent: Wire) -> None:
    """A condition on the sort key limits what is read, other conditions filter, and options are those of queries."""
    with run_with_batch_context():
        user = User.find("u03")
        Post.find("p032").text = "x"
        Post.find("p032").save()
        assert ids(user.posts.where({"rank": {"$gt": 0}})) == ["p031", "p032"]
        (query,) = [parameters for operation, parameters in sent.sent if operation == "Query"]
        assert "_gsi1_sk" in str(query["ExpressionAttributeNames"])
        assert "FilterExpression" not in query
        assert ids(user.posts.where({"rank": {"$gte": 1}, "text": "-"})) == ["p031"]
        assert ids(user.posts.where((Post.fields.rank > 0) & (Post.fields.rank <= 1))) == ["p031"]
        assert ids(user.posts.where(limit=2, direction="DESC")) == ["p032", "p031"]
        assert ids(user.posts.where({"rank": 1}).where(Post.fields.text == "x")) == []
        assert user.posts.where({"rank": 2}).one().post_id == "p032"
        assert ids(user.posts.where(filter={"text": "x"})) == ["p032"]
        assert queries(sent) == 7  # and never the whole relation


def test_wrong_options_and_conditions_raise_at_the_call(blog: Manager) -> None:
    """They name what is wrong before anything is sent."""
    with run_with_batch_context():
        user = User.find("u03")
        with pytest.raises(QueryError, match=r"no option 'limits'.*limit"):
            user.posts.where(limits=3)  # type: ignore[call-arg]
        with pytest.raises(QueryError, match=r"no option 'text'.* filter=Post\.fields\.text == "):
            user.posts.where(text="x")  # type: ignore[call-arg]
        with pytest.raises(QueryError, match="txt"):
            user.posts.where({"txt": "x"})
        with pytest.raises(QueryError, match="rank"):
            user.posts.where({"rank": "much"})


def test_it_cannot_be_assigned_or_deleted(blog: Manager) -> None:
    """The error says what to change instead; the constructor does not know it either."""
    user = User.find("u03")
    with pytest.raises(AttributeError, match="posts is the result of a query"):
        user.posts = []  # type: ignore[assignment]
    with pytest.raises(AttributeError, match="posts is the result of a query"):
        del user.posts
    with pytest.raises(UnknownFieldError):
        User(user_id="x", posts=[])  # type: ignore[call-arg]
    assert isinstance(User.posts, HasMany)


def test_a_write_makes_it_a_new_result(sent: Wire) -> None:
    """A post that is created, moved or deleted is seen by the next look; a result that was looked at stays."""
    with run_with_batch_context():
        user = User.find("u03")
        earlier = user.posts
        assert len(earlier) == 3
        Post.create(post_id="new", user_id="u03", rank=9)
        assert len(user.posts) == 4
        Post.find("p030").user_id = "u04"
        Post.find("p030").save()
        assert ids(user.posts) == ["p031", "p032", "new"]
        Post.delete("p031")
        assert ids(user.posts) == ["p032", "new"]
        assert len(earlier) == 3


@pytest.mark.parametrize("forget", ["refresh", "clear_related_cache", "expunge"])
def test_it_is_forgotten_with(forget: str, sent: Wire) -> None:
    """Refreshed, cleared or removed from the context, the instance asks again."""
    with run_with_batch_context() as session:
        user = User.find("u03")
        assert len(user.posts) == 3
        {
            "refresh": user.refresh,
            "clear_related_cache": lambda: user.clear_related_cache("posts"),
            "expunge": lambda: session.expunge(user),
        }[forget]()
        assert len(user.posts) == 3
        assert queries(sent) == 2


def test_outside_a_context_each_use_is_a_query(sent: Wire) -> None:
    """Reading the attribute sends nothing there either, and a new post is seen at once."""
    user = User.find("u03")
    sent.clear()
    posts = user.posts
    assert sent.operations == []
    assert len(posts) == 3
    Post.create(post_id="new", user_id="u03", rank=9)
    assert len(user.posts) == 4
    assert ids(user.posts.where(limit=1)) == ["p030"]
    assert queries(sent) == 3


def test_what_was_loaded_in_a_context_stays_after_it(sent: Wire) -> None:
    """A template that is rendered later shows it without a request."""
    with run_with_batch_context():
        users = list(page())
        for user in users[:2]:
            list(user.posts)
        sent.clear()
    assert [len(user.posts) for user in users] == [3] * USERS
    assert sent.operations == []


def test_strict_contexts_are_required_for_it_too(connection: dict[str, Any], ready_table: str) -> None:
    """Outside a context, the relation of an instance is refused as a query is."""
    with init_models(models=MODELS, table_name=ready_table, policy=True, **connection):
        with run_with_batch_context():
            user = User.create(user_id="u")
            assert len(user.posts) == 0
        with run_with_batch_context():
            other = User.find("u")
        with pytest.raises(BatchContextRequiredError):
            other.posts


def test_missing_and_new_parents_have_what_the_index_holds(blog: Manager) -> None:
    """The relation needs only the key."""
    Post.create(post_id="orphan", user_id="nobody")
    with run_with_batch_context():
        nobody = User.find("nobody")
        assert not nobody
        assert ids(nobody.posts) == ["orphan"]
        assert ids(User(user_id="nobody").posts) == ["orphan"]
        with pytest.raises(ItemNotFoundError):
            nobody.status


def test_a_pickled_instance_asks_for_itself(blog: Manager) -> None:
    """A copy has no results."""
    with run_with_batch_context():
        user = User.find("u03")
        assert len(user.posts) == 3
        copy = pickle.loads(pickle.dumps(user))
    assert len(copy.posts) == 3


def test_through_a_mapping_model_it_has_the_other_end(sent: Wire) -> None:
    """One query of the mapping rows, and one batch of the other ends."""
    for post in ("p000", "p010"):
        for tag in ("red", "blue"):
            if post == "p000":
                Tag.create(tag_id=tag)
            Tagging.create(post_id=post, tag_id=tag)
    sent.clear()
    with run_with_batch_context():
        red = Tag.find("red")
        assert ids(red.posts) == ["p000", "p010"]
        assert sorted(sent.operations[:2]) == ["BatchGetItem", "Query"]  # the tag itself, in the same round
        assert sent.operations[2:] == ["BatchGetItem"]
        assert [tag.tag_id for tag in red.posts[0].tags] == ["blue", "red"]
        Post.delete("p000")
        assert ids(red.posts) == ["p010"]


# --- peers ----------------------------------------------------------------------------------------------------


def rounds_of(work: Callable[[Any], object], **options: Any) -> int:
    """The rounds that a piece of work costs in a context of its own."""
    with run_with_batch_context(**options) as session:
        work(session)
        return session.stats.round_trips


def test_a_loop_over_users_and_their_posts_is_two_rounds_after_the_users(sent: Wire) -> None:
    """The first user's posts are one query; the second's are fetched with those of all others."""
    with run_with_batch_context() as session:
        users = page()
        seen = {user.user_id: ids(user.posts) for user in users}
        assert session.stats.round_trips == 1 + 2
        assert queries(sent) == 1 + USERS
        assert seen == {f"u{n:02d}": [f"p{n:02d}{rank}" for rank in range(3)] for n in range(USERS)}
        assert [ids(user.posts) for user in users] == list(seen.values())
        assert session.stats.round_trips == 3


def test_one_user_s_posts_are_one_query(sent: Wire) -> None:
    """A page that shows the posts of one user costs no more than before."""
    with run_with_batch_context():
        user = page()[4]
        assert len(user.posts) == 3
        assert [post.rank for post in user.posts] == [0, 1, 2]
        assert queries(sent) == 1 + 1


def test_organisations_users_and_posts_are_five_rounds(sent: Wire) -> None:
    """Once a relation is repeated, the first look of another group fetches the whole group."""
    with run_with_batch_context() as session:
        orgs = list(Org.batch_find(["o0", "o1"]).values())
        assert all(orgs)
        posts = [post.post_id for org in orgs for user in org.users for post in user.posts]
        assert len(set(posts)) == 3 * USERS
        assert session.stats.round_trips == 1 + 5
        assert queries(sent) == 2 + USERS


def test_posts_of_one_prefetch_are_peers_for_their_own_relations(sent: Wire) -> None:
    """The posts are two rounds, their comments three as the first user's posts are a group, and the authors two."""
    with run_with_batch_context() as session:
        for number in range(0, USERS, 2):
            session.add(Comment(post_id=f"p{number:02d}0", number=1, author_id=f"u{number + 1:02d}"))
        session.commit()
    with run_with_batch_context() as session:
        users = User.batch_find([f"u{n:02d}" for n in range(0, USERS, 2)]).values()
        assert all(users)
        authors = {
            comment.author.org_id for user in users for post in user.posts for comment in post.comments
        }
        assert authors == {"o0", "o1"}
        assert session.stats.round_trips == 1 + 2 + 3 + 2


@pytest.mark.parametrize("way", ["query_posts", "where", "narrowed query_posts"])
def test_other_ways_to_the_same_items_have_peers_too(way: str, sent: Wire) -> None:
    """The generated methods do, and a condition is part of the query that is repeated."""
    ways: dict[str, Callable[[Any], Any]] = {
        "query_posts": lambda user: user.query_posts(),
        "where": lambda user: user.posts.where({"rank": {"$gte": 1}}, direction="DESC"),
        "narrowed query_posts": lambda user: user.query_posts(filter={"text": "-"}, limit=2),
    }
    with run_with_batch_context() as session:
        users = page()
        assert sum(len(ways[way](user)) for user in users) == (60 if way == "query_posts" else 40)
        assert session.stats.round_trips == 1 + 2
        assert queries(sent) == 1 + USERS


def test_a_mapping_model_s_other_ends_have_peers_too(sent: Wire) -> None:
    """Each of the two rounds for the tags' posts is followed by one for the posts themselves."""
    with run_with_batch_context() as session:
        session.add(*(Tag(tag_id=f"t{n}") for n in range(6)))
        session.add(*(Tagging(post_id=f"p{n:02d}{rank}", tag_id=f"t{n}") for n in range(6) for rank in "01"))
        session.commit()
    with run_with_batch_context() as session:
        tags = list(Tag.batch_find([f"t{n}" for n in range(6)]).values())
        assert all(tags)
        assert [ids(tag.posts) for tag in tags] == [[f"p{n:02d}0", f"p{n:02d}1"] for n in range(6)]
        assert session.stats.round_trips == 1 + 4
        assert {post.user.org_id for tag in tags for post in tag.posts} == {"o0"}
        assert session.stats.round_trips == 1 + 4 + 2


def test_orders_lines_products_and_customers(sent: Wire) -> None:
    """Fifty parents with children, and relations of both: at most two rounds a level, and one with their names."""
    with run_with_batch_context() as session:
        session.add(*(Post(post_id=f"q{n:02d}", user_id=f"u{n % 20:02d}") for n in range(50)))
        session.add(
            *(
                Comment(post_id=f"q{n:02d}", number=k, author_id=f"u{(n + k) % 20:02d}")
                for n in range(50)
                for k in range(3)
            )
        )
        session.commit()
    keys = [f"q{n:02d}" for n in range(50)]
    with run_with_batch_context() as session:
        orders = Post.batch_find(keys).values()
        assert all(orders)
        for order in orders:
            assert order.user
            assert order.user.status == "on"
            for line in order.comments:
                assert line.author.status == "on"
        assert session.stats.round_trips <= 1 + 1 + 2 + 2
    with run_with_batch_context() as session:
        orders = Post.batch_find(keys, load_related=["user", "comments.author"]).values()
        assert session.stats.round_trips == 2  # the authors are among the users
        assert sum(len([line.author.status for line in order.comments]) for order in orders) == 150
        assert {order.user.org_id for order in orders} == {"o0", "o1"}
        assert session.stats.round_trips == 2


def test_pending_parents_that_are_found_together_are_peers(sent: Wire) -> None:
    """Users whose fields nobody reads are fetched in the first round, and are a group then."""
    with run_with_batch_context() as session:
        users = [User.find(f"u{n:02d}") for n in range(USERS)]
        assert sum(len(user.posts) for user in users) == 60
        assert session.stats.round_trips == 2
        others = [Post.find(f"p{n:02d}0") for n in range(USERS)]
        assert [post.comments.first() for post in others] == [None] * USERS
        assert session.stats.round_trips == 4
        third = [Post.find(f"p{n:02d}1") for n in range(USERS)]
        assert [post.comments.first() for post in third] == [None] * USERS
        assert session.stats.round_trips == 5  # the relation is known to be repeated


def authors_of_first_posts(page_of: Callable[[], Any]) -> list[list[str]]:
    """The posts of each post's author, by a loop that looks at nothing else of the author."""
    return [ids(post.user.posts) for post in page_of()]


def first_posts() -> Any:
    """One post of each user, in one batch."""
    posts = Post.batch_find([f"p{n:02d}0" for n in range(USERS)]).values()
    assert all(posts)
    return posts


def test_a_relation_of_what_a_relation_leads_to_has_peers(sent: Wire) -> None:
    """The authors of a page of posts are peers before anything of them was read."""
    with run_with_batch_context() as session:
        assert sum(map(len, authors_of_first_posts(first_posts))) == 3 * USERS
        assert session.stats.round_trips == 1 + 2
        assert queries(sent) == USERS


def test_peers_may_have_arrived_at_different_times(sent: Wire) -> None:
    """What a relation of a page leads to are peers, though some were loaded before, each in a round of its own."""
    with run_with_batch_context() as session:
        for number in (0, 3, 7, 12):
            assert User.find(f"u{number:02d}").status == "on"
        assert sum(map(len, authors_of_first_posts(first_posts))) == 3 * USERS
        assert session.stats.round_trips == 4 + 1 + 2
        assert queries(sent) == USERS


def test_rows_of_a_query_in_a_loop_may_be_those_of_the_loop(sent: Wire) -> None:
    """An instance that arrives again, alone, keeps its peers of before, if one of them has had the same query."""
    with run_with_batch_context() as session:
        for user in page():
            assert list(User.by_status.query("on", user.user_id)) == [user]
            assert len(user.posts) == 3
        assert session.stats.round_trips == 1 + USERS + 2
    with run_with_batch_context() as session:
        users = list(page())
        for user in User.by_status.query("on", {"user_id": {"$lt": "u03"}}):
            assert user in users and len(user.posts) == 3
        assert session.stats.prefetched == 1  # those that did not arrive again are not asked for


def test_missing_instances_have_peers(sent: Wire) -> None:
    """Posts of users that are not stored are few rounds too; a loop that skips such users asks for none of theirs."""
    with run_with_batch_context() as session:
        for number in range(USERS):
            session.add(
                Post(post_id=f"w{number:02d}", user_id=f"u{number:02d}" if number < 3 else f"w{number:02d}")
            )
        session.commit()
    keys = [f"w{number:02d}" for number in range(USERS)]
    for skips_missing in (False, True):
        sent.clear()
        with run_with_batch_context() as session:
            users = [post.user for post in Post.batch_find(keys).values()]
            assert sum(map(bool, users)) == 3
            counts = [len(user.posts) for user in users if user or not skips_missing]
            assert counts == [4] * 3 + [1] * (len(counts) - 3)
            assert queries(sent) == len(counts)
            assert session.stats.round_trips == (2 + 2 if skips_missing else 2 + 3)


def test_fetch_one_fetches_one(sent: Wire) -> None:
    """The option turns fetching in advance off, for relations in both directions."""
    with run_with_batch_context(fetch="one") as session:
        users = page()
        assert sum(len(user.posts) for user in users) == 60
        assert session.stats.round_trips == 1 + USERS
        assert session.stats.prefetched == 0


@pytest.mark.parametrize("option", ["count_only", "bypass_cache"])
def test_queries_that_only_count_or_pass_the_cache_by_are_never_fetched_for_peers(
    option: Any, sent: Wire
) -> None:
    """Each look is a query of its own."""
    with run_with_batch_context() as session:
        for user in page()[:6]:
            assert user.posts.where(**{option: True}).count == 3
        assert session.stats.round_trips == 1 + 6


def test_queries_that_continue_another_one_are_never_fetched_for_peers(sent: Wire) -> None:
    """The first pages are; where the second begins is known for one instance only."""
    with run_with_batch_context() as session:
        for user in page()[:6]:
            cursor = user.posts.where(limit=1).last_evaluated_key
            assert len(user.posts.where(start_key=cursor)) == 2
        assert session.stats.round_trips == 1 + 2 + 6


def test_consistent_queries_are_never_fetched_for_peers(sent: Wire) -> None:
    """Each asks for the moment at which it is looked at."""
    with run_with_batch_context() as session:
        posts = [Post.find(f"p{n:02d}0") for n in range(6)]
        assert all(posts)
        assert [len(post.comments.where(consistent_read=True)) for post in posts] == [0] * 6
        assert session.stats.round_trips == 1 + 6


def test_a_budget_of_read_units_turns_it_off(sent: Wire) -> None:
    """Its units are known afterwards only, so nothing is fetched that nobody has looked at."""
    with run_with_batch_context() as session:
        users = page()
        with session.budget(read_units=1000):
            assert sum(len(user.posts) for user in users[:5]) == 15
        assert session.stats.round_trips == 1 + 5
        with session.budget(round_trips=1):
            assert sum(len(user.posts) for user in users[5:]) == 45


def test_at_most_query_limit_are_fetched_in_a_round(sent: Wire) -> None:
    """The next look goes on with the next peers."""
    with run_with_batch_context(query_limit=8) as session:
        users = page()
        assert sum(len(user.posts) for user in users) == 60
        assert session.stats.round_trips == 1 + 1 + 3  # 1, 8, 8 and 3
        assert queries(sent) == 1 + USERS


def test_large_answers_are_fetched_for_fewer_peers(sent: Wire) -> None:
    """A round takes as many peers as 16 MB have room for, by the answers so far."""
    store_large_posts()
    sent.clear()
    with run_with_batch_context() as session:
        users = page()
        assert [post.rank for post in users[0].posts] == [0, 1, 2, 5, 6, 7, 8]
        assert users[1].posts
        assert session.stats.prefetched == 16
    with run_with_batch_context() as session:
        users = page()
        assert len(users[2].posts) == len(users[3].posts) == 3
        assert session.stats.prefetched == USERS - 2


def test_tenants_are_not_each_other_s_peers(sent: Wire) -> None:
    """Users of two tenants that were loaded in one round are queried each under their own."""
    names = {"red": ("a", "b"), "blue": ("c", "d")}
    for tenant in names:
        with TenantContext.run_with_tenant(tenant):
            for name in names[tenant]:
                User.create(user_id=name)
                Post.create(post_id=f"{tenant} {name}", user_id=name)
    with run_with_batch_context():
        users = []
        for tenant in names:
            with TenantContext.run_with_tenant(tenant):
                users += [(tenant, User.find(name)) for name in names[tenant]]
        for tenant, user in users:
            with TenantContext.run_with_tenant(tenant):
                assert ids(user.posts) == [f"{tenant} {user.user_id}"]
        assert queries(sent) == 4


def test_those_after_an_instance_are_fetched_first(sent: Wire) -> None:
    """A loop may begin anywhere in a page; those before it come last."""
    with run_with_batch_context(query_limit=5) as session:
        users = list(page())
        assert sum(len(user.posts) for user in users[10:16]) == 18
        assert session.stats.round_trips == 1 + 2
        assert sum(len(user.posts) for user in [*users[16:], *users[:10]]) == 42
        assert session.stats.round_trips == 1 + 2 + 3


def test_a_failed_request_for_a_peer_is_made_again_by_its_own_look(table_name: str) -> None:
    """The look that caused it does not fail, the peer's own succeeds, and nothing more is fetched in advance."""
    transport = FaultInjectingTransport(
        embedded_transport().wire, operations={"Query"}, clock=FakeTime().clock
    )

    def refuse(request: Request, send: Any, chance: random.Random) -> Any:
        is_hot = "#u02" in str(request.parameters)
        return throttled()(request, send, chance) if is_hot else send(request)

    with init_models(models=MODELS, table_name=table_name, transport=transport, deadline=1.0) as manager:
        manager.create_table()
        for number in range(8):
            User.create(user_id=f"u{number:02d}", status="on" if number < 5 else "new")
            Post.create(post_id=f"p{number}", user_id=f"u{number:02d}")
        with run_with_batch_context(max_concurrency=1) as session:
            users = list(User.by_status.query("on"))
            assert ids(users[0].posts) == ["p0"]
            transport.inject(refuse)
            assert ids(users[1].posts) == ["p1"]
            transport.inject([])
            assert [ids(user.posts) for user in users] == [[f"p{n}"] for n in range(5)]
            assert session.stats.round_trips == 1 + 2 + 1
            assert [ids(user.posts) for user in User.by_status.query("new")] == [["p5"], ["p6"], ["p7"]]
            assert session.stats.round_trips == 4 + 1 + 3


def test_peers_that_are_gone_are_not_asked_for(sent: Wire) -> None:
    """Peers are held weakly, and users that the program dropped cost nothing."""
    with run_with_batch_context():
        users = list(page())[:3]
        gc.collect()
        assert [len(user.posts) for user in users] == [3] * 3
        assert queries(sent) == 1 + 3


# --- loading explicitly -----------------------------------------------------------------------------------------


def test_load_related_is_one_round_after_the_users(sent: Wire) -> None:
    """The posts of all users of a page come with it."""
    with run_with_batch_context(fetch="raise") as session:
        users = User.by_status.query("on", load_related=["posts"])
        assert [len(user.posts) for user in users] == [3] * USERS
        assert session.stats.round_trips == 1 + 1
        assert session.stats.prefetched == 0


def test_nested_names_of_attributes_and_fields(sent: Wire) -> None:
    """One round a level; attributes and relation fields can be mixed, and levels that share a model are one round."""
    for number in range(3):
        Comment.create(post_id=f"p{number:02d}0", number=1, author_id=f"u{number + 10}")
    sent.clear()
    with run_with_batch_context(fetch="raise") as session:
        orgs = Org.batch_find(["o0", "o1"], load_related=["users.posts.comments.author.org", "users.org_id"])
        assert session.stats.round_trips == 1 + 3  # the authors are among the users
        users = [user for org in orgs.values() for user in org.users]
        authors = [comment.author for user in users for post in user.posts for comment in post.comments]
        assert {author.org.org_id for author in authors} == {"o1"}
        assert session.stats.round_trips == 4


def test_load_related_data_loads_it_for_one_instance(sent: Wire) -> None:
    """In a context and outside, where it is stored at the instance."""
    with run_with_batch_context(fetch="raise"):
        user = User.find("u03").load_related_data(["posts", "org"])
        assert sent.operations[0] == "BatchGetItem"
        assert sorted(sent.operations[1:]) == ["BatchGetItem", "Query"]
        assert ids(user.posts) == ["p030", "p031", "p032"]
    alone = User.find("u04")
    sent.clear()
    alone.load_related_data(["posts"])
    assert ids(alone.posts) == ["p040", "p041", "p042"]
    assert sent.operations == ["Query"]
    alone.refresh()
    assert len(alone.posts) == 3
    assert queries(sent) == 2
    alone.load_related_data(["posts"]).clear_related_cache("posts")
    sent.clear()
    assert len(alone.posts) == 3
    assert queries(sent) == 1


def test_outside_a_context_a_query_and_a_batch_load_it_too(sent: Wire) -> None:
    """The result is stored at each instance."""
    users = User.by_status.query("on", load_related=["posts"])
    found = User.batch_find(["u03", "nobody"], load_related=["posts"])
    sent.clear()
    assert [len(user.posts) for user in users] == [3] * USERS
    assert len(found["u03"].posts) == 3
    assert not found["nobody"]
    assert sent.operations == []


def test_new_objects_among_the_rows_load_what_their_fields_lead_to(sent: Wire) -> None:
    """An object that was only added stands for the stored item of its key, also where relations are loaded."""
    Tag.create(tag_id="red")
    Tagging.create(post_id="p000", tag_id="red")
    with run_with_batch_context() as session:
        user, tagging = User(user_id="u03", org_id="o1"), Tagging(post_id="p000", tag_id="red")
        session.add(user, tagging)
        users = list(User.by_status.query("on", load_related=["posts", "org"]))
        assert any(row is user for row in users)
        assert user.org.org_id == "o1"
        assert [len(row.posts) for row in users] == [3] * USERS
        assert [tag.tag_id for tag in Post.find("p000").tags] == ["red"]
        session.rollback()


def test_explicit_loading_fetches_all_pages_and_implicit_the_first(sent: Wire) -> None:
    """Pages of one megabyte: all of them with the name, in one round a page; the rest when it is reached otherwise."""
    store_large_posts()
    sent.clear()
    with run_with_batch_context() as session:
        User.batch_find([f"u{n:02d}" for n in range(4)], load_related=["posts"])
        assert session.stats.round_trips == 1 + 2
        assert queries(sent) == 4 + 2
        assert [len(User.find(f"u{n:02d}").posts) for n in range(4)] == [7, 7, 3, 3]
        assert queries(sent) == 4 + 2
    sent.clear()
    with run_with_batch_context() as session:
        users = list(User.batch_find([f"u{n:02d}" for n in range(4)]).values())
        assert all(users)
        assert [user.posts[0].rank for user in users] == [0] * 4
        assert queries(sent) == 4
        assert [len(user.posts) for user in users] == [7, 7, 3, 3]
        assert queries(sent) == 4 + 2


def test_more_than_query_limit_are_loaded_in_several_rounds(sent: Wire) -> None:
    """Twenty users' posts by eight at a time."""
    with run_with_batch_context(query_limit=8) as session:
        users = User.by_status.query("on", load_related=["posts"])
        assert [len(user.posts) for user in users] == [3] * USERS
        assert session.stats.round_trips == 1 + 3


@pytest.mark.parametrize("names", [["pots"], ["posts.coments"], ["posts.comments.text"], ["user.posts"]])
def test_names_that_are_no_relations_raise_at_the_call(sent: Wire, names: list[str]) -> None:
    """Anywhere on the path, with the nearest name."""
    calls: list[Callable[[], Any]] = [
        lambda: User.by_status.query("on", load_related=names),
        lambda: User.batch_find(["u00"], load_related=names),
        lambda: User.find("u00").load_related_data(names),
    ]
    with run_with_batch_context():
        for call in calls:
            with pytest.raises(ConfigurationError, match="is not a valid relation field"):
                call()
        with pytest.raises(ConfigurationError, match="Did you mean 'posts'"):
            User.batch_find(["u00"], load_related=["pots"])
        assert sent.operations == []


# --- contexts that refuse implicit loads ----------------------------------------------------------------------


def test_fetch_raise_refuses_a_look_that_was_not_announced(sent: Wire) -> None:
    """The error names the relation and what loads it; an explicit query is none, nor is what it has loaded."""
    with run_with_batch_context(fetch="raise"):
        users = page()
        sent.clear()
        for look in (lambda: len(users[0].posts), lambda: users[0].posts.where(limit=1).first()):
            with pytest.raises(
                LazyLoadError, match=r"User\.posts is not loaded.*load_related=\['posts'\]"
            ) as error:
                look()
            assert (error.value.model, error.value.field) == ("User", "posts")
        assert sent.operations == []
        assert len(users[0].query_posts()) == 3  # type: ignore[attr-defined]
        assert len(users[0].posts) == 3
        implicit = users[1].posts
        assert users[1].query_posts() is implicit  # type: ignore[attr-defined]
        assert len(implicit) == 3
        assert queries(sent) == 2


def test_what_was_announced_stays_so_after_a_write(sent: Wire) -> None:
    """A new post makes the relation a new query, which is not refused."""
    with run_with_batch_context(fetch="raise"):
        user = User.find("u03").load_related_data(["posts"])
        Post.create(post_id="new", user_id="u03", rank=9)
        assert len(user.posts) == 4


# --- writes -----------------------------------------------------------------------------------------------------


WRITES: dict[str, Callable[[Any], object]] = {
    "create": lambda session: Post.create(post_id="new", user_id="u05", rank=9),
    "save": lambda session: Post(post_id="new", user_id="u05", rank=9).save(),
    "move": lambda session: _move(Post.find("p000"), "u05"),
    "update by key": lambda session: Post.update("p000", user_id="u05", rank=9),
    "delete": lambda session: Post.delete("p050"),
    "delete of an instance": lambda session: Post.find("p050").delete(),
    "bypassing the cache": lambda session: Post.find("p050", bypass_cache=True).delete(),
}


def _move(post: Post, user_id: str) -> None:
    post.user_id = user_id
    post.save()


@pytest.mark.parametrize("block", ["plain", "transaction", "nested", "nested transaction"])
@pytest.mark.parametrize("write", WRITES)
def test_a_write_drops_what_was_fetched_for_a_peer(write: str, block: str, sent: Wire) -> None:
    """A look after it shows the items that are stored at that moment."""
    with run_with_batch_context() as session:
        users = list(page())
        assert len(users[1].posts) + len(users[2].posts) == 6
        fetched = queries(sent)
        context = run_with_batch_context() if "nested" in block else nullcontext(session)
        with context as inner, transaction() if block.endswith("transaction") else nullcontext():
            WRITES[write](inner)
        assert len(users[5].posts) == (4 if write in ("create", "save", "move", "update by key") else 2)
        assert queries(sent) == fetched + 1


def test_a_commit_drops_what_was_fetched_for_a_peer(sent: Wire) -> None:
    """The objects that it writes, and those that it deletes."""
    with run_with_batch_context() as session:
        users = list(page())
        assert len(users[1].posts) + len(users[2].posts) == 6
        session.add(Post(post_id="new", user_id="u05", rank=9))
        session.delete(Post.find("p060"))
        session.commit()
        assert [len(user.posts) for user in users[4:7]] == [3, 4, 2]


def test_a_write_leaves_what_was_fetched_of_other_partitions(sent: Wire) -> None:
    """A new post of one user drops the posts of that user only."""
    with run_with_batch_context():
        users = list(page())
        assert len(users[1].posts) + len(users[2].posts) == 6
        Post.create(post_id="new", user_id="u05", rank=9)
        _move(users[1].posts[0], "u06")
        assert [len(user.posts) for user in users] == [3, 2, 3, 3, 3, 4, 4, *[3] * 13]
        assert queries(sent) == 1 + USERS + 3


def test_a_loop_that_saves_is_not_quadratic(sent: Wire) -> None:
    """Each user's posts are fetched once: their saves change only partitions that were looked at."""
    with run_with_batch_context():
        for user in page():
            for post in user.posts:
                post.text = "seen"
                post.save()
        assert queries(sent) == 1 + USERS


def test_a_loop_that_updates_by_key_is_not_quadratic(sent: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """What the first update dropped is not fetched in advance again, and the N+1 warning says so."""
    with run_with_batch_context():
        for user in page():
            for post in user.posts:
                Post.update(post.post_id, rank=post.rank + 1)
        assert queries(sent) <= 1 + 2 * USERS
    assert "no longer fetched for several instances, because a write dropped results" in caplog.text


def test_a_group_after_such_a_loop_is_fetched_one_at_a_time(sent: Wire) -> None:
    """The users of the second organisation are not fetched in advance any more."""
    with run_with_batch_context():
        for org in map(Org.find, ["o0", "o1"]):
            for user in org.users:
                for post in user.posts:
                    Post.update(post.post_id, rank=post.rank + 1)
        assert queries(sent) == 2 + (1 + 9 + 8) + 10


def test_a_pending_result_that_is_loaded_explicitly_runs_once(sent: Wire) -> None:
    """It does not run again with another one."""
    with run_with_batch_context():
        user = User.find("u03")
        posts = user.posts
        user.load_related_data(["posts"])
        assert len(User.find("u04").posts) == 3
        assert len(posts) == 3
        assert queries(sent) == 2


def test_what_is_narrowed_does_not_run_with_others(sent: Wire) -> None:
    """Who narrows a relation rarely uses all of it; if so, it runs by itself."""
    with run_with_batch_context():
        posts = User.find("u03").posts
        assert ids(posts.where(limit=1)) == ["p030"]
        assert queries(sent) == 1
        assert len(posts) == 3
        assert queries(sent) == 2


def test_a_result_that_somebody_holds_unused_is_fetched_again(sent: Wire) -> None:
    """It ran with another one, but its first use comes after a write to its partition."""
    with run_with_batch_context():
        one, other = User.find("u01").posts, User.find("u02").posts
        assert len(one) == 3
        Post.create(post_id="new", user_id="u02", rank=9)
        assert len(other) == 4


def test_deleted_targets_of_a_mapping_model(sent: Wire) -> None:
    """What was fetched for a tag is dropped by a write of its mapping rows, and by a delete of a post."""
    with run_with_batch_context() as session:
        session.add(*(Tag(tag_id=f"t{n}") for n in range(4)))
        session.add(*(Tagging(post_id=f"p00{n}", tag_id=f"t{tag}") for n in range(3) for tag in range(4)))
        session.commit()
    with run_with_batch_context():
        tags = list(Tag.batch_find([f"t{n}" for n in range(4)]).values())
        assert all(tags)
        assert [len(tag.posts) for tag in tags[:2]] == [3, 3]
        Post.delete("p001")
        assert ids(tags[2].posts) == ["p000", "p002"]
        Tagging.delete(("p000", "t3"))
        assert ids(tags[3].posts) == ["p002"]


# --- what is told -------------------------------------------------------------------------------------------------


def test_figures_of_what_was_fetched_in_advance(sent: Wire) -> None:
    """The session's figures and its trace count the queries, and those that nobody used."""
    with run_with_batch_context() as session:
        users = page()
        assert "prefetched" not in str(session.stats)
        assert sum(len(user.posts) for user in users[:12]) == 36
        assert (session.stats.prefetched, session.stats.prefetched_unused) == (18, 8)
        assert "prefetched    18 queries (8 of them not used)" in str(session.stats)
        assert "18 queries fetched in advance (8 not used)" in str(session.trace())
        assert "18 queries fetched in advance (8 not used)" in session.trace().html()


def test_lines_that_fetch_in_vain_are_logged_once(sent: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """If most of what a line fetched in advance was not used, the log names the line when the context ends."""
    for used in (12, 3, 3):
        with run_with_batch_context():
            users = page()
            assert sum(len(user.posts) for user in users[:used]) == 3 * used
    (record,) = [record for record in caplog.records if "never used" in record.getMessage()]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{__file__}:")
    assert "17 of the 18 queries of Post.posts_for_user" in record.getMessage()


def test_the_n_plus_1_warning_says_what_would_help(sent: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """It names the relation to load, with its parents."""
    with run_with_batch_context(fetch="one"):
        assert [len(user.posts) for user in page()] == [3] * USERS
    assert "has fetched one query at a time, 5 times so far" in caplog.text
    assert "load_related=['posts']" in caplog.text


def test_further_pages_count_as_n_plus_1(sent: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """The second page of each result does; the many pages of one result do not."""
    with run_with_batch_context():
        users = page()
        assert len(users[0].posts.where(page_size=1)) == 3
        assert "N+1" not in caplog.text
        assert [len(user.posts.where(page_size=1)) for user in users[:7]] == [3] * 7
    assert "has fetched one page at a time, 5 times so far" in caplog.text


def test_answers_include_related_instances(sent: Wire) -> None:
    """`to_dict` and `to_json` take the name of the relation, also nested, and load it in one round a level."""
    Comment.create(post_id="p030", number=1, author_id="u04")
    with run_with_batch_context() as session:
        user = User.find("u03").to_dict(related=["posts.comments.author"])
        assert [post["rank"] for post in user["posts"]] == [0, 1, 2]
        assert [post["comments"] for post in user["posts"][1:]] == [[], []]
        assert user["posts"][0]["comments"][0]["author"]["org_id"] == "o0"
        assert session.stats.round_trips == 4
        with pytest.raises(QueryError, match="Did you mean 'posts'"):
            User.find("u03").to_dict(related=["post"])
    assert '"posts":[{"post_id":"p030"' in User.find("u03").to_json(related=["posts"])


def test_targets_that_were_fetched_for_a_tag_are_forgotten_with_its_result(sent: Wire) -> None:
    """A post that a context inside deletes is not shown, if it was only fetched in advance."""
    with run_with_batch_context() as session:
        session.add(*(Tag(tag_id=f"t{n}") for n in range(4)))
        session.add(*(Tagging(post_id=f"p{n:02d}{rank}", tag_id=f"t{n}") for n in range(4) for rank in "01"))
        session.commit()
    with run_with_batch_context():
        tags = list(Tag.batch_find([f"t{n}" for n in range(4)]).values())
        assert all(tags)
        assert [len(tag.posts) for tag in tags[:2]] == [2, 2]
        found = Post.find("p031")
        with run_with_batch_context():
            Post.delete("p020")
            Post.delete("p030")
        assert ids(tags[2].posts) == ["p021"]
        assert ids(tags[3].posts) == ["p031"]
        assert tags[3].posts[0] is found


@pytest.mark.parametrize("fetch", ["one", "peers"])
def test_a_result_is_false_if_none_of_its_targets_is_stored(fetch: Any, sent: Wire) -> None:
    """Also if the mapping items are still there, and the same in each form of the question."""
    Tag.create(tag_id="t0")
    Tagging.create(post_id="p000", tag_id="t0")
    Post.delete("p000")
    with run_with_batch_context(fetch=fetch):
        posts = Tag.find("t0").posts
        assert not posts
        assert (len(posts), posts.first(), list(posts)) == (0, None, [])


def test_a_result_that_runs_with_another_after_a_write_is_dropped_by_the_next(sent: Wire) -> None:
    """A pending result belongs to what the context remembers from its request on, whatever was written before."""
    with run_with_batch_context():
        waiting = User.find("u02").posts
        Post.create(post_id="new", user_id="u02", rank=9)
        assert len(User.find("u03").posts) == 3
        Post.create(post_id="newer", user_id="u02", rank=10)
        assert len(waiting) == 5


def test_a_write_after_a_transaction_drops_both_partitions(sent: Wire) -> None:
    """A post that a transaction has moved, and that is deleted then, is missing where it has been last."""
    with run_with_batch_context():
        with transaction():
            _move(Post.find("p030"), "u04")
        user = User.find("u04")
        assert sorted(ids(user.posts)) == ["p030", "p040", "p041", "p042"]  # two have the same sort key
        Post.find("p030").delete()
        assert ids(user.posts) == ["p040", "p041", "p042"]
