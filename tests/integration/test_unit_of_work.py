"""session.add, delete, commit and rollback: many writes planned together."""

from __future__ import annotations

import gc
import json
import logging
import weakref
from collections.abc import Iterator
from functools import partial
from itertools import permutations
from typing import Any, ClassVar

import pytest

from dynamo_bao import (
    BatchContextError,
    CommitError,
    ConditionalError,
    ItemNotFoundError,
    Manager,
    Model,
    PrimaryKey,
    Session,
    StringField,
    TransactionError,
    UncommittedChangesError,
    UniqueConstraintError,
    ValidationError,
    batched,
    current_session,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.dynamodb.transport.factory import embedded_transport
from dynamo_bao.testing import FaultInjectingTransport, damaged, refused_connection, throttled, unprocessed
from dynamo_bao.writes.bulk_insert import BulkInsert
from tests.support import models
from tests.support.clocks import FakeTime
from tests.support.models import NOBODY, Org, Post, User
from tests.support.wire import Wire


class Stop(Exception):
    """What a block is left with."""


# --- the cheapest correct write -----------------------------------------------------------------------


@pytest.mark.parametrize(("count", "requests"), [(25, 1), (26, 2), (60, 3)])
def test_new_items_under_own_ids_are_put_25_at_a_time(
    manager: Manager, wire: Wire, count: int, requests: int
) -> None:
    """Sixty posts are three requests and one round; they are found before and after."""
    with run_with_batch_context() as session:
        posts = [Post(title=f"post {number}") for number in range(count)]
        session.add(*posts)
        assert Post.find(posts[3].post_id) is posts[3]
        assert Post.find_or_none(posts[4].post_id) is posts[4]
        assert len(wire) == 0
        posts[5].title = "as it is at the commit"
        session.commit()
        assert wire.operations == ["BatchWriteItem"] * requests
        assert session.stats.round_trips == 1 and session.stats.requests == requests
        assert Post.find(posts[3].post_id) is posts[3] and posts[3].exists()
        assert not any(post.has_changes() for post in posts)
        wire.clear()
        session.commit()
        assert len(wire) == 0
    assert Post.find(posts[5].post_id).title == "as it is at the commit"


def test_where_one_object_is_refused_none_is_added(manager: Manager) -> None:
    """Neither to the commit nor to what `find` knows."""
    with run_with_batch_context() as session:
        with pytest.raises(ValidationError):
            session.add(
                Org(org_id="acme", name="Acme"),
                User(email="a@example.com", name="x"),
                Org(org_id="", name="y"),
            )
        assert not Org.find("acme")
        session.commit()
    assert not Org.find("acme")


@pytest.mark.parametrize("apart", [False, True])
def test_two_new_objects_of_one_key_are_refused(embedded: Manager, sent: Wire, apart: bool) -> None:
    """Whether they are added in one call or in two; one object may be added as often as one likes."""
    one, other = Org(org_id="acme", name="One"), Org(org_id="acme", name="Other")
    with run_with_batch_context() as session:
        if apart:
            session.add(one)
        with pytest.raises(ConditionalError, match="has another object with the key"):
            session.add(*([other] if apart else [one, other]))
        session.rollback()
        session.add(one, one)
        session.add(one)
        session.commit()
    assert sent.operations == ["PutItem"]


@pytest.mark.parametrize("wrong", ["org", None, Org, {"org_id": "acme"}])
def test_what_is_no_instance_is_refused(embedded: Manager, sent: Wire, wrong: Any) -> None:
    """By an error that says what it is, and nothing else of the call is added."""
    with run_with_batch_context() as session:
        with pytest.raises(TypeError, match=r"take model instances, not "):
            session.add(Org(org_id="acme", name="Acme"), wrong)
        with pytest.raises(TypeError, match=r"take model instances, not "):
            session.delete(wrong)
        assert not Org.find("acme")
        session.commit()
    assert "PutItem" not in sent.operations


def test_a_new_object_that_was_never_added_cannot_be_deleted(embedded: Manager, sent: Wire) -> None:
    """That is told at the call, and nothing of it is left for the commit."""
    with run_with_batch_context() as session:
        with pytest.raises(ItemNotFoundError, match="Post: a new instance has nothing stored yet"):
            session.delete(Post(title="never mind"))
        session.commit()
    assert len(sent) == 0


def test_what_was_asked_last_of_an_object_counts(manager: Manager, wire: Wire) -> None:
    """What was changed and then deleted is gone; what was to be deleted and then added is kept, as it is by then."""
    gone, kept = Post.create(title="old").post_id, Post.create(title="old").post_id
    with run_with_batch_context() as session:
        one, other, new = Post.find(gone), Post.find(kept), Org(org_id="acme", name="Acme")
        one.title = other.title = "new"
        session.add(one)
        session.add(new)
        session.delete(one, other)
        session.add(other)
        session.add(new, overwrite=True)
        wire.clear()
        session.commit()
    assert sorted(wire.operations) == ["BatchWriteItem", "UpdateItem"]
    assert not Post.find(gone).exists()
    assert Post.find(kept).title == "new"


def test_an_object_that_was_saved_meanwhile_is_not_put_again(embedded: Manager, sent: Wire) -> None:
    """Nothing of it is left to be written at the commit."""
    with run_with_batch_context() as session:
        post = Post(title="early")
        session.add(post)
        post.save()
        sent.clear()
        session.commit()
    assert len(sent) == 0


def test_a_limited_session_lets_go_of_what_it_has_put(embedded: Manager) -> None:
    """With `max_cached`, objects that are written count like all others, and the oldest is let go first."""
    with run_with_batch_context(max_cached=2) as session:
        posts = [Post(title=f"post {number}") for number in range(3)]
        ids, seen = [post.post_id for post in posts], [weakref.ref(post) for post in posts]
        session.add(*posts)
        session.commit()
        del posts
        others = [Post.find(post_id, bypass_cache=True) for post_id in ids]
        for number in range(6):
            assert not Org.find(f"missing {number}")
        gc.collect()
        assert [ref() for ref in seen] == [None] * 3
        assert all(other.title for other in others)


@pytest.mark.parametrize("hooked", [False, True])
def test_what_a_session_commits_is_its_own(table_name: str, hooked: bool) -> None:
    """Also where it commits inside another context, and the model has hooks."""

    class Note(Model, prefix="nt"):
        note_id: str

        primary_key = PrimaryKey("note_id")

    if hooked:
        Note.register_plugin({"after_save": lambda note, options: None})
    with init_models(models=[Note], table_name=table_name, embedded=True), run_with_batch_context() as outer:
        note = Note(note_id="n")
        outer.add(note)
        with run_with_batch_context() as inner:
            outer.commit()
            assert Note.find("n") is not note
            assert inner.stats.round_trips == 0
        assert Note.find("n") is note


def test_each_change_takes_the_cheapest_correct_way(manager: Manager, wire: Wire) -> None:
    """Deletes go in a batch; given keys are conditional puts, changes conditional updates, guards transactions."""
    gone = [Post.create(title="old").post_id for _ in range(3)]
    kept = Post.create(title="kept", views=1).post_id
    ann = User.create(name="Ann", email="ann@example.org").user_id
    wire.clear()
    with run_with_batch_context() as session:
        user, post = User.find(ann), Post.find(kept)
        assert user.name and post.title
        wire.clear()
        session.delete(*map(Post.find, gone))
        assert all(Post.find(post_id).exists() for post_id in gone)
        session.add(Org(org_id="acme", name="Acme"), User(name="Bob", email="bob@example.org"))
        user.email = "ann@acme.org"
        post.views += 2
        session.add(user, post)
        wire.clear()
        session.commit()
        assert sorted(wire.operations) == [
            "BatchWriteItem",
            "PutItem",
            "TransactWriteItems",
            "TransactWriteItems",
            "UpdateItem",
        ]
        assert not any(Post.find(post_id) for post_id in gone)
        assert post.views == 3
    assert User.unique_email.find("ann@acme.org") == user
    assert User.unique_email.find("ann@example.org") is None
    assert Org.find("acme").exists()


def test_what_is_deleted_unread_is_read_in_one_request(manager: Manager, wire: Wire) -> None:
    """The unique values of the items must be known, to be released. They are not read one by one."""
    ids = [User.create(name=name, email=f"{name}@x").user_id for name in ("ann", "bob", "cy")]
    with run_with_batch_context() as session:
        session.delete(*map(User.find, ids[:2]))
        wire.clear()
        session.commit()
        assert wire.operations == ["BatchGetItem", "TransactWriteItems", "TransactWriteItems"]
        lasting, missing = User.find(ids[2]), User.find(NOBODY)
        wire.clear()
        lasting.delete()
        assert wire.operations == ["BatchGetItem", "TransactWriteItems"] and not missing
    assert User.create(name="new", email="ann@x")


def test_nothing_changed_sends_nothing(manager: Manager, wire: Wire) -> None:
    """Unchanged objects, and new ones that are deleted again."""
    org_id = Org.create(org_id="acme", name="Acme").org_id
    with run_with_batch_context() as session:
        org, fresh = Org.find(org_id), Org(org_id="b", name="B")
        assert org.name
        wire.clear()
        session.add(org, org, fresh)
        session.delete(fresh)
        session.commit()
        assert wire.operations == []
        assert not Org.find("b")


def test_what_cancels_itself_leaves_nothing_in_the_session(manager: Manager, wire: Wire) -> None:
    """A new object and the deletion of its key through another object: nothing is sent, the next find asks."""
    old = Org.create(org_id="a", name="stored")
    with run_with_batch_context() as session:
        new = Org(org_id="a", name="new")
        session.add(new)
        session.delete(old)
        wire.clear()
        session.commit()
        assert wire.operations == []
        assert Org.find("a") is not new
        assert Org.find("a").name == "stored"


def test_what_cancels_itself_beside_a_failure(manager: Manager) -> None:
    """It leaves the unit of work as well when another change is refused."""
    Org.create(org_id="taken", name="theirs")
    old = Org.create(org_id="a", name="stored")
    with run_with_batch_context() as session:
        new = Org(org_id="a", name="new")
        session.add(new, Org(org_id="taken", name="mine"))
        session.delete(old)
        with pytest.raises(CommitError):
            session.commit()
        assert Org.find("a").name == "stored"
        session.rollback()


def test_contradictory_changes_of_one_item_are_told_before_sending(manager: Manager, wire: Wire) -> None:
    """A change after a deletion, and a new object in the place of one that stays: nothing is sent."""
    Org.create(org_id="a", name="stored")
    one, other = Org.find("a"), Org.find("a")
    wire.clear()
    with run_with_batch_context() as session:
        session.delete(one)
        other.name = "changed"
        session.add(other)
        with pytest.raises(ItemNotFoundError, match="deleted"):
            session.commit()
        session.rollback()
        session.add(other, Org(org_id="a", name="new"))
        with pytest.raises(ConditionalError, match="exists already"):
            session.commit()
        session.rollback()
        with pytest.raises(ItemNotFoundError), transaction():
            one.delete()
            other.save()
    assert wire.operations == []


def test_values_that_change_hands_keep_their_order(manager: Manager, wire: Wire) -> None:
    """Changes that share a unique value are one transaction; others do not wait for them."""
    ann = User.create(name="Ann", email="ann@example.org")
    bob = User.create(name="Bob", email="bob@example.org")
    with run_with_batch_context() as session:
        one, two = User.find(ann.user_id), User.find(bob.user_id)
        assert one.name and two.name
        wire.clear()
        one.email, two.email = two.email, one.email
        session.add(one, two, User(name="Cid", email="cid@example.org"))
        session.commit()
        assert wire.operations == ["TransactWriteItems"] * 2
    assert User.unique_email.find("ann@example.org") == bob
    assert User.unique_email.find("bob@example.org") == ann


@pytest.mark.parametrize("order", list(permutations(range(4))), ids=str)
def test_values_that_all_move_to_the_next_object_are_one_transaction(
    embedded: Manager, sent: Wire, order: tuple[int, ...]
) -> None:
    """Each object takes the value that another one releases. The order of the changes makes no difference."""
    users = [User.create(name=f"{number}", email=f"{number}@example.org") for number in range(4)]
    sent.clear()
    with run_with_batch_context() as session:
        loaded_users = [User.find(user.user_id) for user in users]
        for number in order:
            user = loaded_users[number]
            user.email = f"{number + 1}@example.org"
            session.add(user)
        session.commit()
    assert sent.operations == ["BatchGetItem", "TransactWriteItems"]
    owners = [User.unique_email.find(f"{number}@example.org") for number in range(5)]
    assert owners == [None, *users]


def test_overwrite_is_the_only_blind_put(manager: Manager, wire: Wire) -> None:
    """It replaces what is stored; refused where unique values must be kept, or the object is stored."""
    Org.create(org_id="acme", name="Acme")
    wire.clear()
    with run_with_batch_context() as session:
        session.add(Org(org_id="acme", name="Acme II"), overwrite=True)
        session.commit()
        assert wire.operations == ["BatchWriteItem"]
        with pytest.raises(ValidationError, match="unique values"):
            session.add(User(name="x"), overwrite=True)
        with pytest.raises(ValidationError, match="stored already"):
            session.add(Org.find("acme"), overwrite=True)
    assert Org.find("acme").name == "Acme II"


def test_a_key_given_by_hand_is_never_put_blindly(manager: Manager, wire: Wire) -> None:
    """Also where a commit is of nothing but new objects: what is stored under their keys stays."""
    Org.create(org_id="acme", name="Acme")
    wire.clear()
    with run_with_batch_context() as session:
        session.add(Org(org_id="acme", name="Acme II"))
        with pytest.raises(CommitError):
            session.commit()
        assert wire.operations == ["PutItem"]
        session.rollback()
    assert Org.find("acme").name == "Acme"


def test_a_key_of_a_default_function_is_never_put_blindly(table_name: str) -> None:
    """Only a generated id is certainly new."""

    class Dated(Model, prefix="wd"):
        day: str = StringField(default=lambda: "2020-01-01")
        text: str = StringField(default="")
        primary_key = PrimaryKey("day")

    with init_models(models=[Dated], table_name=table_name, embedded=True):
        Dated.create(text="first")
        with run_with_batch_context() as session:
            session.add(Dated(text="second"))
            with pytest.raises(CommitError):
                session.commit()
            session.rollback()
        assert Dated.find("2020-01-01").text == "first"


def test_a_new_object_is_stored_under_the_key_it_has_at_the_commit(manager: Manager) -> None:
    """Where its key field was given another value after it was added."""
    with run_with_batch_context() as session:
        org, other = Org(org_id="a", name="Acme"), Org(org_id="b", name="Best")
        session.add(org, other, overwrite=True)
        org.org_id = "c"
        session.commit()
    assert (Org.find("a").exists(), Org.find("b").name, Org.find("c").name) == (False, "Best", "Acme")


@pytest.mark.parametrize("atomic", [False, True])
def test_a_new_object_whose_item_others_delete_is_not_found(manager: Manager, atomic: bool) -> None:
    """Two objects from outside the context delete the item that a third one, added before, would have stored."""
    post_id = Post.create(title="stored").post_id
    others = [Post.find(post_id), Post.find(post_id)]
    with run_with_batch_context() as session:
        new = Post(post_id=post_id, title="new")
        session.add(new)
        session.delete(*others)
        session.commit(atomic=atomic)
        assert Post.find(post_id) is not new
        assert not Post.find(post_id).exists()
        assert not Post.find(post_id, bypass_cache=True).exists()


def test_an_object_that_was_deleted_shows_what_is_put_in_its_place(manager: Manager) -> None:
    """As after any creation; there is one state for one key."""
    Org.create(org_id="acme", name="Acme")
    with run_with_batch_context() as session:
        old = Org.find("acme")
        old.delete()
        session.add(Org(org_id="acme", name="Acme II"), overwrite=True)
        session.commit()
        assert (old.exists(), old.name) == (True, "Acme II")


def test_new_objects_of_two_tables_are_stored_each_in_its_own(table_name: str) -> None:
    """Also where a commit is of nothing else."""

    class Left(Model, prefix="le"):
        left_id: str

        primary_key = PrimaryKey("left_id")

    class Right(Model, prefix="ri"):
        right_id: str

        primary_key = PrimaryKey("right_id")

    first = init_models(models=[Left], table_name=table_name, embedded=True)
    second = init_models(models=[Right], table_name=f"{table_name}2", transport=first.database.transport)
    with first, second:
        second.create_table()
        with run_with_batch_context() as session:
            session.add(Left(left_id="l"), Right(right_id="r"), overwrite=True)
            session.commit()
        stored = {
            manager.table_name: [
                item["_pk"]["S"] for item in first.client.scan(TableName=manager.table_name)["Items"]
            ]
            for manager in (first, second)
        }
        assert stored == {table_name: ["le#l"], f"{table_name}2": ["ri#r"]}


def test_atomic_is_one_transaction(manager: Manager, wire: Wire) -> None:
    """All or nothing; what was refused stays and can be committed again."""
    Org.create(org_id="taken", name="x")
    wire.clear()
    with run_with_batch_context() as session:
        org, post = Org(org_id="taken", name="mine"), Post(title="p")
        session.add(org, post)
        with pytest.raises(ConditionalError) as caught:
            session.commit(atomic=True)
        assert isinstance(caught.value, TransactionError)
        assert not Post.find(post.post_id, bypass_cache=True)
        session.delete(org)
        session.commit(atomic=True)
        assert wire.operations[0] == "TransactWriteItems"
    assert Post.find(post.post_id).title == "p"


# --- what is not written -------------------------------------------------------------------------------


def test_a_partial_failure_tells_what_was_written(manager: Manager) -> None:
    """What was not done stays, and is written by the next commit once the reason is gone."""
    Org.create(org_id="taken", name="x")
    User.create(name="Ann", email="ann@example.org")
    with run_with_batch_context() as session:
        org, good = Org(org_id="taken", name="mine"), Org(org_id="free", name="free")
        user, post = User(name="Bob", email="ann@example.org"), Post(title="p")
        session.add(org, good, user, post)
        with pytest.raises(CommitError, match="2 of 4 changes are written, 2 are not") as caught:
            session.commit()
        error = caught.value
        assert set(error.done) == {good, post} and set(error.not_done) == {org, user}
        assert error.unknown == () and isinstance(error.__cause__, ConditionalError)
        assert good.exists() and post.exists()
        user.email = "bob@example.org"
        Org.delete("taken")
        session.commit()
    assert Org.find("taken").name == "mine"
    assert User.unique_email.find("bob@example.org") == user


def test_everything_is_checked_before_the_first_write(embedded: Manager, sent: Wire) -> None:
    """A wrong value anywhere writes nothing."""
    with run_with_batch_context() as session:
        wrong = Post(title="x")
        session.add(Post(title="good"), wrong)
        wrong.views = "many"
        with pytest.raises(ValidationError):
            session.commit()
        assert sent.operations == []
        wrong.views = 3
        session.commit()
        assert sent.operations == ["BatchWriteItem"]


@pytest.mark.promise("W4")
def test_unprocessed_items_are_sent_again(table_name: str) -> None:
    """Batches that are throttled and answered in part are written in the end, each item once."""
    transport = FaultInjectingTransport(
        embedded_transport().wire, operations={"BatchWriteItem"}, seed=3, clock=FakeTime().clock
    )
    with init_models(models=models.ALL, table_name=table_name, transport=transport, deadline=60) as manager:
        manager.create_table()
        transport.inject([throttled(), *[unprocessed(0.3)] * 40])
        with run_with_batch_context(max_concurrency=1) as session:
            posts = [Post(title=f"post {number}") for number in range(500)]
            session.add(*posts)
            session.commit()
        written = manager.client.scan(TableName=table_name, Select="COUNT")["Count"]
        assert written == 500
        print(f"W4: 500 puts with 30 % left unprocessed each time, {written} written, 0 lost")


def test_only_what_was_left_is_sent_again(table_name: str) -> None:
    """The others are written already."""
    sent: list[set[str]] = []
    left: list[set[str]] = [set()]

    def half(request: Any, send: Any, chance: Any) -> dict[str, Any]:
        sent.append(_titles(request.parameters["RequestItems"]))
        answered: dict[str, Any] = unprocessed(0.5)(request, send, chance)
        left.append(_titles(answered.get("UnprocessedItems", {})))
        return answered

    transport = FaultInjectingTransport(
        embedded_transport().wire, operations={"BatchWriteItem"}, seed=3, clock=FakeTime().clock
    )
    with init_models(models=models.ALL, table_name=table_name, transport=transport, deadline=60) as manager:
        manager.create_table()
        transport.inject([half] * 20)
        with run_with_batch_context() as session:
            session.add(*(Post(title=f"post {number}") for number in range(25)))
            session.commit()
    assert len(sent) > 2
    assert sent[1:] == [titles for titles in left[1:] if titles]


def _titles(asked: dict[str, Any]) -> set[str]:
    """The titles of what a batch puts."""
    return {member["PutRequest"]["Item"]["title"]["S"] for members in asked.values() for member in members}


@pytest.mark.parametrize("by_us", [False, True], ids=["by another program", "by the context"])
def test_an_object_that_is_gone_can_be_taken_out_of_the_next_commit(manager: Manager, by_us: bool) -> None:
    """The error of the next commit names it, and says how. The other objects are then written."""
    orgs = [Org.create(org_id=key, name="old") for key in "ab"]
    with run_with_batch_context() as session:
        gone, other = (Org.find(org.org_id) for org in orgs)
        gone.name = other.name = "new"
        session.add(gone)
        if by_us:
            Org.delete(gone.org_id)
        else:
            key = {"_pk": {"S": "o#a"}, "_sk": {"S": "o"}}
            manager.client.delete_item(TableName=manager.table_name, Key=key)
            with pytest.raises(CommitError):
                session.commit()
        session.add(other)
        with pytest.raises(
            ItemNotFoundError, match=r"Org 'a' .* The commit wrote nothing\. session\.expunge"
        ):
            session.commit()
        session.expunge(gone)
        session.commit()
    assert not Org.find("a").exists() and Org.find("b").name == "new"


def test_an_unreadable_reply_is_unknown_and_can_be_committed_again(table_name: str) -> None:
    """Nobody knows whether it was written; the objects stay in the session."""
    transport = FaultInjectingTransport(embedded_transport().wire, operations={"BatchWriteItem"})
    with init_models(models=models.ALL, table_name=table_name, transport=transport, deadline=0.5) as manager:
        manager.create_table()
        transport.inject(damaged("html"))
        with run_with_batch_context() as session:
            post = Post(title="p")
            session.add(post)
            with pytest.raises(CommitError) as caught:
                session.commit()
            assert caught.value.unknown == (post,)
            transport.inject([])
            session.commit()
        assert Post.find(post.post_id).title == "p"


class Told(Model, prefix="wt", name="WorkTold"):
    """Its hook is interrupted by the item 'a'."""

    told_id: str = StringField()
    primary_key = PrimaryKey("told_id")
    heard: ClassVar[list[str]] = []

    def after_save(self) -> None:
        self.heard.append(self.told_id)
        if self.told_id == "a":
            raise Stop


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("fault", "list_name"),
    [(unprocessed(1.0), "not_done"), (refused_connection(), "not_done"), (damaged("html"), "unknown")],
    ids=["unprocessed", "refused", "unreadable"],
)
def test_one_of_several_batches_that_is_not_written(
    table_name: str, overwrite: bool, fault: Any, list_name: str
) -> None:
    """The others are written and known to be; those of the failed one stay, and are written by the next commit."""
    calls: list[int] = []

    def second(request: Any, send: Any, chance: Any) -> dict[str, Any]:
        items = [
            member["PutRequest"]["Item"]
            for members in request.parameters["RequestItems"].values()
            for member in members
        ]
        if any(item["title"]["S"] == "post 30" for item in items):
            calls.append(len(items))
            answered: dict[str, Any] = fault(request, send, chance)
            return answered
        found: dict[str, Any] = send(request)
        return found

    transport = FaultInjectingTransport(
        embedded_transport().wire, operations={"BatchWriteItem"}, clock=FakeTime().clock
    )
    with init_models(models=models.ALL, table_name=table_name, transport=transport, deadline=5) as manager:
        manager.create_table()
        transport.inject(second)
        with run_with_batch_context(max_concurrency=1) as session:
            posts = [Post(title=f"post {number}", tags={"a", "b"}) for number in range(60)]
            session.add(*posts, overwrite=overwrite)
            with pytest.raises(CommitError) as caught:
                session.commit()
            assert calls
            assert getattr(caught.value, list_name) == tuple(posts[25:50])
            assert caught.value.done == (*posts[:25], *posts[50:])
            assert posts[0].exists() and not posts[0].has_changes()
            posts[30].title = "post 30 at last"
            transport.inject([])
            session.commit()
            assert all(Post.find(post.post_id) is post and not post.has_changes() for post in posts)
        assert Post.count() == 60
        assert Post.find(posts[30].post_id).title == "post 30 at last"


@pytest.mark.parametrize("kind", ["new ids", "own ids", "overwritten"])
def test_an_interrupted_commit_leaves_what_is_not_known_to_be_written(table_name: str, kind: str) -> None:
    """Objects whose reply has come are stored ones; the others stay, and the next commit writes them."""
    requests: list[str] = []

    def interrupt_second(request: Any, send: Any, chance: Any) -> Any:
        requests.append(request.operation)
        if len(requests) == 2:
            raise KeyboardInterrupt
        return send(request)

    transport = FaultInjectingTransport(embedded_transport().wire, operations={"BatchWriteItem", "PutItem"})
    with init_models(models=models.ALL, table_name=table_name, transport=transport) as manager:
        manager.create_table()
        transport.inject(interrupt_second)
        with run_with_batch_context(max_concurrency=1) as session:
            objects: list[Any] = (
                [Org(org_id=f"{number}", name="x") for number in range(3)]
                if kind == "own ids"
                else [Post(title=f"{number}") for number in range(60)]
            )
            session.add(*objects, overwrite=kind == "overwritten")
            with pytest.raises(KeyboardInterrupt):
                session.commit()
            done = 1 if kind == "own ids" else 25
            assert session.last_commit is not None
            assert session.last_commit.done == tuple(objects[:done])
            assert session.last_commit.unknown == tuple(objects[done : 2 * done])
            assert session.last_commit.not_done == tuple(objects[2 * done :])
            assert [thing.exists() for thing in objects] == [True] * done + [False] * (len(objects) - done)
            sizes = _written_by(session, Wire(manager.client))
            assert sum(sizes) == len(objects) - done
            assert all(thing.exists() for thing in objects)


def _written_by(session: Session, wire: Wire) -> list[int]:
    """How many items each request of a commit writes."""
    session.commit()
    return [
        sum(map(len, parameters["RequestItems"].values())) if operation == "BatchWriteItem" else 1
        for operation, parameters in wire.sent
    ]


def test_only_new_objects_of_one_table_are_a_bulk_insert(embedded: Manager) -> None:
    """They are encoded straight to JSON, with no change for each, which makes a commit of many of them cheap."""
    Org.create(org_id="stored", name="x")
    with run_with_batch_context() as session:
        posts, stored = [Post(title=f"{number}") for number in range(3)], Org.find("stored")
        org = Org(org_id="new", name="x")
        pending_writes = partial(session._persister.pending_writes, session)
        added, overwriting = pending_writes(posts), pending_writes([org], overwrite=True)
        bulk = BulkInsert.of(session, [*added, *overwriting])
        assert bulk is not None
        assert [key.pk for key in bulk.keys] == [*(f"p#{post.post_id}" for post in posts), "o#new"]
        assert [json.loads(item)["_pk"] for item in bulk.items] == [{"S": key.pk} for key in bulk.keys]
        stored.name = "y"
        for other in (stored, Org(org_id="own", name="x")):
            assert BulkInsert.of(session, [*added, *pending_writes([other])]) is None


def test_what_was_put_without_looking_is_as_any_other_object(manager: Manager, wire: Wire) -> None:
    """It knows what is stored: a save sends what changed of it, also of a set that was changed in place."""
    with run_with_batch_context() as session:
        posts = [Post(title=title, tags={"x"}) for title in ('"quoted"', "Gödel", "plain", "two\nlines")]
        session.add(*posts)
        session.commit()
        assert [post.has_changes() for post in posts] == [False] * 4
        posts[2].tags.add("y")
        posts[1].title = "Escher"
        wire.clear()
        for post in posts:
            post.save()
        assert wire.operations == ["UpdateItem"] * 2
    for post in posts:
        stored = Post.find(post.post_id)
        assert (stored.title, stored.tags, stored.views) == (post.title, post.tags, 0)
        assert stored.created_at == post.created_at


def test_hooks_run_for_objects_that_are_put_without_looking(table_name: str) -> None:
    """Nothing is left out for speed."""
    Told.heard.clear()
    with (
        init_models(models=[Told], table_name=table_name, embedded=True),
        run_with_batch_context() as session,
    ):
        session.add(Told(told_id="b"), Told(told_id="c"), overwrite=True)
        session.commit()
    assert Told.heard == ["b", "c"]


@pytest.mark.parametrize("also_refused", [False, True])
def test_a_hook_that_raises_hides_nothing(table_name: str, also_refused: bool) -> None:
    """The hooks of the other items run, what is not written is told first, and what is leaves the session."""
    with init_models(models=[Told], table_name=table_name, embedded=True) as manager:
        manager.create_table()
        Told.create(told_id="c")
        Told.heard.clear()
        with run_with_batch_context() as session:
            objects = [Told(told_id="a"), Told(told_id="b")]
            session.add(*objects, *([Told(told_id="c")] if also_refused else []))
            with pytest.raises(CommitError if also_refused else Stop) as caught:
                session.commit()
            assert Told.heard == ["a", "b"]
            if also_refused:
                assert caught.value.done == tuple(objects)
                session.rollback()
            session.commit()


# --- leaving ----------------------------------------------------------------------------------------------


def test_nothing_is_written_without_commit(embedded: Manager, sent: Wire) -> None:
    """Leaving with uncommitted work is an error, after the session was closed."""
    with (
        pytest.raises(UncommittedChangesError, match="2 objects") as caught,
        run_with_batch_context() as session,
    ):
        post = Post(title="p")
        session.add(post, Org(org_id="a", name="A"))
    assert caught.value.not_done[0] is post
    assert not session.is_open and current_session() is None
    assert sent.operations == []


def test_nothing_is_written_on_error_and_the_error_comes_out(
    embedded: Manager, sent: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    """The work is dropped, and the log says so."""
    with (
        caplog.at_level(logging.WARNING, "dynamo_bao"),
        pytest.raises(Stop),
        run_with_batch_context() as session,
    ):
        session.add(Post(title="p"))
        raise Stop
    assert sent.operations == [] and "never committed" in caplog.text


def test_rollback_says_that_it_is_meant(embedded: Manager, sent: Wire) -> None:
    """New objects are new again, deletions are forgotten, local values stay."""
    Org.create(org_id="a", name="A")
    sent.clear()
    with run_with_batch_context() as session:
        org, post = Org.find("a"), Post(title="p")
        org.name = "changed"
        session.add(org, post)
        session.delete(Org.find("a"))
        session.rollback()
        assert org.name == "changed" and org.has_changes()
        assert not Post.find(post.post_id)
        session.commit()
    assert "PutItem" not in sent.operations and "BatchWriteItem" not in sent.operations


def test_functions_and_generators_tell_too(embedded: Manager) -> None:
    """@batched, run_with_batch_context(fn) and generators are blocks like any other."""

    @batched
    def forgets() -> None:
        session = current_session()
        assert session is not None
        session.add(Post(title="p"))

    @batched
    def yields() -> Iterator[int]:
        session = current_session()
        assert session is not None
        session.add(Post(title="p"))
        yield 1

    with pytest.raises(UncommittedChangesError):
        forgets()
    with pytest.raises(UncommittedChangesError):
        run_with_batch_context(forgets)
    with pytest.raises(UncommittedChangesError):
        list(yields())


@pytest.mark.parametrize("kind", ["new", "changed"])
def test_each_write_of_a_commit_has_the_whole_deadline(table_name: str, kind: str) -> None:
    """A commit of many writes takes longer than one write may, and it is written all the same."""
    time = FakeTime()

    def slow(request: Any, send: Any, chance: Any) -> Any:
        time.sleep(0.4)
        return send(request)

    transport = FaultInjectingTransport(embedded_transport().wire, clock=time.clock)
    with init_models(models=[Post], transport=transport, table_name=table_name, deadline=1.0) as manager:
        manager.create_table()
        with run_with_batch_context() as session:
            posts = [Post(title=f"{number}") for number in range(200)]
            session.add(*posts)
            transport.inject(slow)
            session.commit()
            if kind == "changed":
                for post in posts:
                    post.title = "new"
                session.add(*posts)
                session.commit()
            transport.inject(())
            assert session.last_commit is not None
            assert len(session.last_commit.done) == 200


def test_an_expunged_object_is_not_committed(embedded: Manager) -> None:
    """The session lets go of its changes as well."""
    Org.create(org_id="a", name="A")
    with run_with_batch_context() as session:
        org = Org.find("a")
        org.name = "B"
        session.add(org)
        session.expunge(org)
        session.commit()
    assert Org.find("a").name == "A"
    assert org.name == "B"


def test_rules_of_the_session(embedded: Manager) -> None:
    """commit() inside a transaction, clear() with work, two objects for a key, an object that is gone."""
    Org.create(org_id="a", name="A")
    with run_with_batch_context() as session:
        session.add(Post(title="p"))
        with transaction(), pytest.raises(BatchContextError, match="transaction"):
            session.commit()
        with pytest.raises(UncommittedChangesError):
            session.clear()
        session.add(Org(org_id="b", name="B"))
        with pytest.raises(ConditionalError, match="another object"):
            session.add(Org(org_id="b", name="other"))
        with pytest.raises(ItemNotFoundError):
            session.delete(Org.find("nobody").delete() if Org.find("nobody") else _deleted())
        session.rollback()


def _deleted() -> Org:
    org = Org.find("a")
    org.delete()
    return org


def test_two_claims_of_a_value_fail_before_sending(embedded: Manager, sent: Wire) -> None:
    """In one commit, nothing of either is sent."""
    with run_with_batch_context() as session:
        session.add(User(name="a", email="same@example.org"), User(name="b", email="same@example.org"))
        with pytest.raises((CommitError, UniqueConstraintError)):
            session.commit()
        assert sent.operations == []
        session.rollback()
