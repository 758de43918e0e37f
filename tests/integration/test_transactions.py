"""transaction(): all writes of a block in one request, or none of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from datetime import datetime, timezone
from typing import Any

import pytest

from dynamo_bao import (
    BatchContextError,
    BatchContextRequiredError,
    ConcurrencyError,
    ConditionalError,
    CounterField,
    FloatField,
    ItemNotFoundError,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    RequireContext,
    Session,
    StringField,
    TransactionError,
    TransactionTooLargeError,
    UniqueConstraint,
    UniqueConstraintError,
    VersionConflictError,
    VersionField,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.dynamodb.transport.factory import embedded_transport
from dynamo_bao.testing import FaultInjectingTransport, lost_reply
from tests.support.models import Org, Post, User
from tests.support.other_program import elsewhere
from tests.support.wire import Wire


class Stop(Exception):
    """What a block is left with."""


class Rounded(FloatField):
    """Stores one digit after the point."""

    def to_dynamo(self, value: Any) -> Any:
        return {"N": f"{value:.1f}"}


@pytest.fixture
def people(manager: Manager, wire: Wire) -> tuple[User, User]:
    """Two stored users with e-mail addresses."""
    ann = User.create(name="Ann", email="ann@example.org")
    bob = User.create(name="Bob", email="bob@example.org")
    wire.clear()
    return ann, bob


def scan(manager: Manager) -> list[dict[str, Any]]:
    """Every item of the table, guards too."""
    items: list[dict[str, Any]] = manager.client.scan(TableName=manager.table_name, ConsistentRead=True)[
        "Items"
    ]
    return sorted(items, key=lambda item: item["_pk"]["S"])


# --- one request -------------------------------------------------------------------------------------


def test_all_writes_of_the_block_are_one_request(
    people: tuple[User, User], manager: Manager, wire: Wire
) -> None:
    """Creates, saves, updates and deletes of several models, with their guards, in one TransactWriteItems."""
    ann, bob = people
    with transaction():
        acme = Org.create(org_id="acme", name="Acme")
        ann.org_id = acme.org_id
        ann.email = "ann@acme.org"
        ann.save()
        bob.delete()
        Post.create(user_id=ann.user_id, title="joined")
        assert "TransactWriteItems" not in wire.operations
    assert wire.operations == ["TransactWriteItems"]
    fresh = User.find(ann.user_id)
    assert (fresh.email, fresh.org_id) == ("ann@acme.org", "acme")
    assert not User.find(bob.user_id) and Org.find("acme").exists()
    assert [post.title for post in Post.posts_for_user.query(ann.user_id)] == ["joined"]
    assert User.unique_email.find("ann@example.org") is None
    assert User.unique_email.find("bob@example.org") is None
    assert User.unique_email.find("ann@acme.org") == ann


def test_an_exception_writes_nothing_and_comes_out(
    people: tuple[User, User], manager: Manager, wire: Wire
) -> None:
    """Objects lose the block's changes, created ones are new again, deletions are undone."""
    ann, bob = people
    before = scan(manager)
    with run_with_batch_context():
        mine, other = User.find(ann.user_id), User.find(bob.user_id)
        assert mine.name == "Ann" and other.exists()
        with pytest.raises(Stop), transaction():
            org = Org.create(org_id="acme", name="Acme")
            mine.name = "Anna"
            mine.save()
            other.delete()
            assert Org.find("acme") is org and not User.find(bob.user_id)
            raise Stop
        assert scan(manager) == before
        assert mine.name == "Ann" and not mine.has_changes()
        assert other.name == "Bob" and User.find(bob.user_id) is other
        assert not Org.find("acme") and org.name == "Acme"
        org.save()
        assert Org.find("acme").exists()
    assert "TransactWriteItems" not in wire.operations


@pytest.mark.parametrize("inside", [True, False])
def test_a_replacement_that_fails_leaves_the_item_and_its_object(
    people: tuple[User, User], manager: Manager, inside: bool
) -> None:
    """Deleted and created anew in a block that fails: the old object is as stored, the new one is new again."""
    user_id = people[0].user_id
    with ExitStack() as stack:
        if inside:
            stack.enter_context(run_with_batch_context())
        for end in (Stop(), None):
            ada = User.find(user_id)
            assert ada.name == "Ann"
            with pytest.raises(Stop if end else UniqueConstraintError), transaction():
                ada.delete()
                made = User.create(user_id=user_id, name="Eve", email="bob@example.org")
                if end:
                    raise end
            assert ada.exists() and ada.name == "Ann"
            assert (made.name, made is ada) == ("Eve", False)
            assert not made.exists() and bool(made)
            if inside:
                assert User.find(user_id) is ada


def test_an_inner_block_that_fails_leaves_what_the_outer_one_did(
    people: tuple[User, User], manager: Manager
) -> None:
    """To the same keys too: a replacement stays one, a created object keeps its values; until the outer one fails."""
    ann = people[0]
    for end in (Stop(), None):
        with run_with_batch_context():
            found = User.find(ann.user_id)
            assert found.name == "Ann"
            with pytest.raises(Stop) if end else nullcontext(), transaction():
                User.delete(ann.user_id)
                made = User.create(user_id=ann.user_id, name="Anna", email="anna@example.org")
                org = Org.create(org_id="a", name="first")
                org.name = "not saved"
                with pytest.raises(Stop), transaction():
                    org.name = "inner"
                    org.save()
                    made.delete()
                    User.create(user_id=ann.user_id, name="inner")
                    raise Stop
                assert (User.find(ann.user_id).name, org.name) == ("Anna", "first")
                if end:
                    raise end
            if end:
                assert found.name == "Ann" and User.find(ann.user_id) is found
                assert not org.exists() and not Org.find("a")
    assert User.find(ann.user_id).name == "Anna"
    assert Org.find("a").name == "first"


def test_what_cancels_itself_says_nothing_of_what_is_stored(manager: Manager, wire: Wire) -> None:
    """Create then delete sends nothing, so that the next find asks whether somebody else has stored the item."""
    Org.create(org_id="a", name="theirs")
    with run_with_batch_context():
        wire.clear()
        with transaction():
            Org.create(org_id="a", name="mine").delete()
        assert wire.operations == []
        assert Org.find("a").name == "theirs"


def test_what_was_found_before_a_save_that_fails_is_as_it_was(manager: Manager) -> None:
    """Missing and pending objects of the key, which showed the new item in the block, show it no longer."""
    with run_with_batch_context():
        missing = Org.find("a")
        assert not missing
        pending = Org.find("b")
        with pytest.raises(Stop), transaction():
            made = [Org(org_id=key, name="made").save() for key in "ab"]
            assert (missing.name, pending.name) == ("made", "made")
            raise Stop
        assert not missing.exists() and not pending.exists()
        assert Org.find("b") is pending
        with pytest.raises(ItemNotFoundError):
            _ = missing.name
        assert [org.name for org in made] == ["made", "made"]
        assert [org.save().exists() for org in made] == [True, True]
        assert Org.find("a").name == Org.find("b").name == missing.name == "made"


def test_unsaved_changes_of_before_survive_a_block_that_fails(manager: Manager) -> None:
    """An update by key in the block leaves other changes of its object alone, also when it is reverted."""
    with run_with_batch_context():
        ann = User.create(name="Ann", email="ann@example.org")
        ann.name = "Anna"
        with pytest.raises(Stop), transaction():
            User.update(ann.user_id, status="gone")
            raise Stop
        assert ann.changes() == {"name": "Anna"}
        assert (ann.name, ann.status) == ("Anna", "active")
        ann.save()
    assert User.find(ann.user_id).name == "Anna"


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("delete", ["the object", "by key"])
def test_unsaved_changes_survive_a_deletion_that_is_undone(
    people: tuple[User, User], manager: Manager, inside: bool, delete: str
) -> None:
    """The object has them again after the block that fails, and can save them."""
    with run_with_batch_context() if inside else nullcontext():
        ann = User.find(people[0].user_id)
        ann.name = "Anna"
        with pytest.raises(Stop), transaction():
            if delete == "the object":
                ann.delete()
            else:
                User.delete(ann.user_id)
            raise Stop
        assert ann.changes() == {"name": "Anna"}
        assert (ann.name, ann.status) == ("Anna", "active")
        ann.save()
    assert User.find(ann.user_id).name == "Anna"


def test_nothing_to_write_sends_nothing(people: tuple[User, User], wire: Wire) -> None:
    """An empty block, an unchanged object, and create then delete."""
    with transaction():
        pass
    with transaction():
        people[0].save()
        Org.create(org_id="acme", name="Acme").delete()
    assert wire.operations == []


def test_an_item_written_twice_is_one_action(people: tuple[User, User], wire: Wire) -> None:
    """Saves of one item are merged; a created one is put as it is in the end."""
    ann, _ = people
    with transaction():
        ann.name = "Anna"
        ann.save()
        ann.age = 40
        ann.save()
        post = Post.create(title="draft")
        post.views += 3
        post.tags.add("new")
        post.save()
        post.title = "final"
        post.save()
    assert [len(wire.sent[0][1]["TransactItems"])] == [2]
    assert (User.find(ann.user_id).name, User.find(ann.user_id).age) == ("Anna", 40)
    stored = Post.find(post.post_id)
    assert (stored.title, stored.views, stored.tags) == ("final", 3, {"new"})
    assert (post.title, post.views, post.has_changes()) == ("final", 3, False)


@pytest.mark.parametrize("delete", ["by key", "as found", "the object made"])
def test_what_the_block_created_can_be_deleted_in_it(manager: Manager, wire: Wire, delete: str) -> None:
    """By its key too, though it is not stored yet and has unique values; nothing is sent, and nothing exists."""
    with run_with_batch_context():
        earlier = User.find("01ARZ3NDEKTSV4RRFFQ69G5FAV")
        with transaction():
            made = User.create(user_id=earlier.user_id, name="Ann", email="ann@example.org")
            if delete == "by key":
                User.delete(made.user_id)
            elif delete == "as found":
                User.find(made.user_id).delete()
            else:
                made.delete()
            assert not User.find(made.user_id)
        assert wire.operations == []
        assert not User.find(made.user_id) and not made.exists() and not earlier.exists()
    assert not User.find(made.user_id)


def test_counters_and_sets_of_the_block_are_added_on_the_server(manager: Manager) -> None:
    """Increments add to what is stored at the end; the objects read it again at the next look."""
    post_id = Post.create(title="a", views=1, tags={"x", "y"}).post_id
    with run_with_batch_context():
        post = Post.find(post_id)
        with transaction():
            post.views += 1
            post.tags.add("z")
            post.save()
            assert Post.increment(post_id, views=5) is post
            assert post.views == 7
            post.tags.discard("x")
            post.save()
            Post.find(post_id, bypass_cache=True).title
            with run_with_batch_context():
                pass
        assert (post.views, post.tags) == (7, {"y", "z"})
    assert Post.find(post_id).views == 7


def test_delete_then_create_replaces_the_item(
    people: tuple[User, User], manager: Manager, wire: Wire
) -> None:
    """The old item's unique value is given back or taken again, in one action each."""
    ann, _ = people
    with transaction():
        ann.delete()
        again = User.create(user_id=ann.user_id, name="Ann II", email="ann@example.org")
    assert wire.operations == ["TransactWriteItems"]
    assert len(wire.sent[0][1]["TransactItems"]) == 2
    assert User.unique_email.find("ann@example.org") == again
    assert User.find(ann.user_id).name == "Ann II"


# --- unique values ---------------------------------------------------------------------------------------


def test_two_items_may_swap_a_unique_value(people: tuple[User, User], manager: Manager, wire: Wire) -> None:
    """A value freed and taken in one block is one put on condition of the old owner."""
    ann, bob = people
    with transaction():
        ann.email, bob.email = "bob@example.org", "ann@example.org"
        ann.save()
        bob.save()
    assert len(wire.sent[0][1]["TransactItems"]) == 4
    assert User.unique_email.find("bob@example.org") == ann
    assert User.unique_email.find("ann@example.org") == bob


def test_two_claims_of_one_value_fail_before_sending(manager: Manager, wire: Wire) -> None:
    """Nothing is sent, and both objects are new again."""
    with pytest.raises(UniqueConstraintError) as caught, transaction():
        User.create(name="a", email="same@example.org")
        User.create(name="b", email="same@example.org")
    assert isinstance(caught.value, TransactionError)
    assert (caught.value.field, caught.value.value) == ("email", "same@example.org")
    assert wire.operations == []


def test_a_taken_value_is_told_at_the_end(people: tuple[User, User], manager: Manager, wire: Wire) -> None:
    """The error is the constraint's and the transaction's, with the object and a reason per operation."""
    ann, _ = people
    before = scan(manager)
    with run_with_batch_context():
        mine = User.find(ann.user_id)
        with pytest.raises(UniqueConstraintError) as caught, transaction():
            org = Org.create(org_id="acme", name="Acme")
            mine.email = "bob@example.org"
            mine.save()
        error: Any = caught.value
        assert isinstance(error, TransactionError)
        assert error.field == "email" and error.value == "bob@example.org" and error.key == ann.user_id
        assert error.reasons[0] is None and "email must be unique" in error.reasons[1]
        assert error.objects == (org, mine)
        assert mine.email == "ann@example.org"
    assert scan(manager) == before


def test_a_value_of_an_owner_that_is_gone_is_taken_over(people: tuple[User, User], manager: Manager) -> None:
    """As outside transactions; the owner's absence is part of the transaction."""
    ann, bob = people
    manager.client.delete_item(
        TableName=manager.table_name, Key={"_pk": {"S": f"u#{bob.user_id}"}, "_sk": {"S": "u"}}
    )
    if User.find(bob.user_id):
        pytest.fail("the owner was to be deleted behind the library's back")
    with transaction():
        ann.email = "bob@example.org"
        ann.save()
    assert User.unique_email.find("bob@example.org") == ann


# --- others at the same time --------------------------------------------------------------------------------


class Doc(Model, prefix="txd", name="TxDoc"):
    doc_id: str = StringField()
    text: str = StringField(default="empty")
    note: str | None = StringField(default=None)
    views: int = CounterField()
    version: str = VersionField()

    primary_key = PrimaryKey("doc_id")


class Code(Model, prefix="txc", name="TxCode"):
    code_id: str = StringField()
    code: str = StringField()

    primary_key = PrimaryKey("code_id")
    unique_code = UniqueConstraint("code", id="uc1")


@pytest.fixture
def docs(connection: dict[str, Any], ready_table: str) -> Any:
    """A versioned document."""
    with init_models(models=[Doc, Code, Org], table_name=ready_table, **connection) as manager:
        Doc.create(doc_id="d", text="one")
        yield manager


def test_read_change_save_is_safe_against_others(manager: Manager) -> None:
    """A field that somebody else changed meanwhile fails the block; another field does not."""
    org_id = Org.create(org_id="acme", name="Acme").org_id
    with pytest.raises(ConditionalError) as caught, transaction():
        org = Org.find(org_id)
        org.name = f"{org.name} Inc."
        org.save()
        Org.find(org_id, bypass_cache=True).name
        _elsewhere(manager, "Acme Ltd.")
    assert isinstance(caught.value, TransactionError)
    assert Org.find(org_id).name == "Acme Ltd."


def test_a_modified_date_of_another_save_is_no_conflict(manager: Manager) -> None:
    """A save writes it too, but no program reads and changes it."""
    post = Post.create(title="a", user_id="u1")
    Post.update(post.post_id, title="b", modified_at=datetime(2020, 1, 1, tzinfo=timezone.utc))
    with transaction():
        post.user_id = "u2"
        post.save()
    stored = Post.find(post.post_id)
    assert (stored.title, stored.user_id) == ("b", "u2") and stored.modified_at.year > 2020


@pytest.mark.parametrize("block", [transaction, nullcontext], ids=["in a transaction", "alone"])
def test_a_modified_date_that_the_program_assigns_is_stored(block: Any, manager: Manager) -> None:
    """As when items are copied from elsewhere."""
    post, date = Post.create(title="a"), datetime(2020, 1, 1, tzinfo=timezone.utc)
    with block():
        post.title, post.modified_at = "b", date
        post.save()
    assert post.modified_at == Post.find(post.post_id).modified_at == date


class Shelf(Model, prefix="txs", name="TxShelf"):
    shelf_id: str = StringField()
    state: str = StringField(default="open", attribute="st")
    weight: float = Rounded(default=0.0)

    primary_key = PrimaryKey("shelf_id")


def test_conditions_are_those_of_their_own_model(connection: dict[str, Any], ready_table: str) -> None:
    """A field of a condition has the attribute of its model, also beside writes of other models."""
    with init_models(models=[Org, Shelf], table_name=ready_table, **connection):
        shelf = Shelf.create(shelf_id="s")
        with transaction():
            Org.create(org_id="acme", name="Acme")
            shelf.state = "full"
            shelf.save(condition={"state": "open"})
        with pytest.raises(ConditionalError), transaction():
            Org.create(org_id="other", name="Other")
            shelf.state = "empty"
            shelf.save(condition={"state": "open"})
        assert Shelf.find("s").state == "full" and not Org.find("other")


@pytest.mark.parametrize("block", [transaction, nullcontext], ids=["in a transaction", "alone"])
def test_a_saved_value_is_shown_as_it_was_stored(
    block: Any, connection: dict[str, Any], ready_table: str
) -> None:
    """A field of one's own may store less than it was given. The object shows what is stored."""
    with init_models(models=[Shelf], table_name=ready_table, **connection):
        shelf = Shelf.create(shelf_id="s")
        with block():
            shelf.weight = 1.26
            shelf.save()
        assert shelf.weight == Shelf.find("s").weight == 1.3


def _elsewhere(manager: Manager, name: str) -> None:
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": "o#acme"}, "_sk": {"S": "o"}},
        UpdateExpression="SET #n = :n",
        ExpressionAttributeNames={"#n": "name"},
        ExpressionAttributeValues={":n": {"S": name}},
    )


def test_versions_are_checked(docs: Manager) -> None:
    """A newer version fails the whole block."""
    old = Doc.find("d")
    assert old.text == "one"
    newer = Doc.find("d")
    newer.note = "seen"
    newer.save()
    with pytest.raises(VersionConflictError) as caught, transaction():
        Org.create(org_id="acme", name="Acme")
        old.text = "two"
        old.save()
    assert isinstance(caught.value, TransactionError)
    assert not Org.find("acme")
    assert (old.text, old.note) == ("one", "seen")
    with transaction():
        old.text = "two"
        old.save()
        old.text = "three"
        old.save()
    assert Doc.find("d").text == "three" and old.version == Doc.find("d").version


def test_require_checks_an_item_that_is_not_written(docs: Manager) -> None:
    """That it is stored, and a condition; on an item the block writes too, it joins that write."""
    doc = Doc.find("d")
    with transaction() as tx:
        tx.require(doc, {"text": "one"})
        Org.create(org_id="a", name="A")
    with pytest.raises(ConditionalError), transaction() as tx:
        tx.require(doc, Doc.fields.text == "two")
        Org.create(org_id="b", name="B")
    with pytest.raises(ItemNotFoundError), transaction() as tx:
        tx.require(Doc.find("nobody"))
        Org.create(org_id="b", name="B")
    with pytest.raises(ConditionalError), transaction() as tx:
        doc.note = "x"
        doc.save()
        tx.require(doc, {"text": "two"})
    with pytest.raises(ItemNotFoundError), transaction() as tx:
        tx.require(Doc(doc_id="new"))
    assert not Org.find("b") and Org.find("a")
    assert Doc.find("d").note is None


def test_another_thread_cannot_add_to_a_transaction(docs: Manager) -> None:
    """require() belongs to whoever opened the block, as everything of its session does."""
    doc = Doc.create(doc_id="mine")
    with ThreadPoolExecutor(1) as threads, transaction() as tx, pytest.raises(ConcurrencyError):
        threads.submit(tx.require, doc).result()


def test_creating_over_an_item_and_changing_a_missing_one(docs: Manager) -> None:
    """Both fail the block; what was wrong is known per operation."""
    with pytest.raises(ConditionalError) as caught, transaction():
        Org.create(org_id="a", name="A")
        Doc.create(doc_id="d")
    assert "create TxDoc 'd'" in str(caught.value)
    with pytest.raises(ItemNotFoundError), transaction():
        Doc.update("nobody", text="x")
    with pytest.raises(ItemNotFoundError), transaction():
        Doc.delete("nobody")
    with pytest.raises(QueryError, match="created by this transaction"), transaction():
        Doc.create(doc_id="e").delete(condition={"text": "x"})
    assert not Org.find("a")


@pytest.mark.parametrize(
    ("write", "operation"),
    [
        (lambda org: org.save({"name": "other"}), "save"),
        (lambda org: Org.update("acme", name="new", condition={"name": "other"}), "update"),
        (lambda org: org.delete({"name": "other"}), "delete"),
    ],
)
def test_the_error_of_a_transaction_names_the_operation(manager: Manager, write: Any, operation: str) -> None:
    org = Org.create(org_id="acme", name="Acme")
    org.name = "new"
    with pytest.raises(ConditionalError, match=f"{operation} Org 'acme'"), transaction():
        write(org)
    assert Org.find("acme").name == "Acme"


@pytest.mark.promise("W2")
def test_a_lost_reply_is_not_applied_twice(table_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A transaction whose reply was lost is repeated, and its writes stand once."""
    transport = FaultInjectingTransport(embedded_transport().wire, operations={"TransactWriteItems"})
    with init_models(models=[Doc, Code, Org], table_name=table_name, transport=transport) as manager:
        manager.create_table()
        rounds = 20
        for number in range(rounds):
            transport.inject([lost_reply(), None])
            with transaction():
                Code.create(code_id=f"c{number}", code=f"code {number}")
                Org.create(org_id=f"o{number}", name="x")
        assert all(Code.find(f"c{number}").exists() for number in range(rounds))
        print(f"W2: {rounds} transactions with lost replies, {rounds} written once, 0 errors")


class Tally(Model, prefix="txt", name="TxTally"):
    tally_id: str = StringField()
    count_: int = CounterField()

    primary_key = PrimaryKey("tally_id")


def overtaken(client: Any, table_name: str) -> list[Any]:
    """The reply of an attempt that was not carried out is lost; before the next one document 'd' is closed."""

    def closed(request: Any, send: Any, chance: Any) -> Any:
        client.update_item(
            TableName=table_name,
            Key={"_pk": {"S": "txd#d"}, "_sk": {"S": "txd"}},
            UpdateExpression="SET #t = :t",
            ExpressionAttributeNames={"#t": "text"},
            ExpressionAttributeValues={":t": {"S": "closed"}},
        )
        return send(request)

    return [lost_reply(carried_out=False), closed]


@pytest.mark.promise("W2")
def test_a_lost_transaction_that_leaves_no_trace_is_not_taken_for_written(table_name: str) -> None:
    """Counters and conditions alone say nothing of whether they were carried out: the refusal is what counts."""
    transport = FaultInjectingTransport(embedded_transport().wire, operations={"TransactWriteItems"})
    with init_models(models=[Doc, Tally], table_name=table_name, transport=transport) as manager:
        manager.create_table()
        Doc.create(doc_id="d", text="open")
        Tally.create(tally_id="t", count_=1)
        with run_with_batch_context():
            watched, counted = Doc.find("d"), Tally.find("t")
            assert (watched.text, counted.count_) == ("open", 1)
            transport.inject(overtaken(manager.client, table_name))
            with pytest.raises(ConditionalError), transaction() as tx:
                tx.require(watched, {"text": "open"})
            manager.repository(Doc).update("d", text="open")
            transport.inject(overtaken(manager.client, table_name))
            with pytest.raises(ConditionalError), transaction() as tx:
                tx.require(watched, {"text": "open"})
                counted.count_ += 1
                counted.save()
        assert Tally.find("t").count_ == 1
        print("W2: 2 transactions that were not carried out, 0 taken for written")


# --- limits and rules ---------------------------------------------------------------------------------------


def test_too_many_actions_are_refused_before_sending(embedded: Manager, sent: Wire) -> None:
    """100 fit; 101 do not, and nothing of them is written."""
    with transaction():
        for number in range(100):
            Org.create(org_id=str(number), name="x")
    assert sent.operations == ["TransactWriteItems"]
    sent.clear()
    with pytest.raises(TransactionTooLargeError, match="101 actions"), transaction():
        for number in range(101):
            Org.create(org_id=f"b{number}", name="x")
    with pytest.raises(TransactionTooLargeError, match="bytes"), transaction():
        for number in range(15):
            Org.create(org_id=f"c{number}", name="x" * 300_000)
    assert sent.operations == []


def test_one_client_per_transaction(embedded: Manager) -> None:
    """Two managers with clients of their own cannot share one."""
    with init_models(models=[Code], table_name="other", embedded=True):
        with pytest.raises(TransactionError, match="one client"), transaction():
            Org.create(org_id="a", name="A")
            Code.create(code_id="c", code="c")
        assert not Code.find("c")
    assert not Org.find("a")


def test_inner_blocks_join_and_take_back_their_own_part(embedded: Manager, sent: Wire) -> None:
    """One request for both; an exception that leaves the inner one discards what it did."""
    Org.create(org_id="a", name="A")
    sent.clear()
    with run_with_batch_context():
        org = Org.find("a")
        with transaction() as outer:
            org.name = "outer"
            org.save()
            with pytest.raises(Stop), transaction() as inner:
                assert inner is outer
                org.name = "inner"
                org.save()
                made = Org.create(org_id="b", name="B")
                Org.find("a").delete()
                raise Stop
            assert org.name == "outer" and Org.find("a") is org
            assert not Org.find("b") and made.name == "B"
            with transaction():
                Org.create(org_id="c", name="C")
            assert "TransactWriteItems" not in sent.operations
        assert sent.operations.count("TransactWriteItems") == 1
    assert Org.find("a").name == "outer" and Org.find("c") and not Org.find("b")


def test_strict_mode_refuses_at_entry(table_name: str) -> None:
    """Outside a context a strict manager's transaction does not begin; inside it does."""
    ran = []
    with init_models(models=[Org], table_name=table_name, embedded=True, policy=RequireContext()):
        with pytest.raises(BatchContextRequiredError, match=r"transaction\(\)"), transaction():
            ran.append(1)
        assert ran == []
        with run_with_batch_context(), transaction():
            Org.create(org_id="a", name="A")


def test_a_session_cannot_be_handed_over_inside(embedded: Manager) -> None:
    """activate() is refused while a transaction is open."""
    with (
        run_with_batch_context() as session,
        transaction(),
        pytest.raises(ConcurrencyError, match="transaction"),
        session.activate(),
    ):
        pass


def test_a_transaction_that_is_over_takes_nothing(embedded: Manager) -> None:
    """Its object cannot be used after the block."""
    org = Org.create(org_id="a", name="A")
    with transaction() as tx:
        pass
    with pytest.raises(BatchContextError, match="over"):
        tx.require(org)


def test_only_the_end_of_a_block_writes_it(embedded: Manager) -> None:
    """Its object has no commit(): changes that were written in the middle would be written again at the end."""
    post = Post.create()
    with pytest.raises(AttributeError), transaction() as tx:
        Post.increment(post.post_id, views=1)
        tx.commit()  # type: ignore[attr-defined]
    assert Post.find(post.post_id).views == 0
    assert [name for name in dir(tx) if not name.startswith("_")] == ["is_open", "require", "session"]


def test_an_item_that_is_required_can_be_changed_later_in_the_block(embedded: Manager) -> None:
    """One action has the change and both conditions."""
    Org.create(org_id="a", name="A")
    for name, is_written in (("B", False), ("A", True)):
        org = Org.find_or_raise("a")
        with pytest.raises(TransactionError) if not is_written else nullcontext(), transaction() as tx:
            tx.require(org, {"name": name})
            org.name = "C"
            org.save()
        assert Org.find("a").name == ("C" if is_written else "A")


def test_what_comes_after_a_write_waits_for_the_end(embedded: Manager) -> None:
    """after_save runs once it is written, under the write's tenant; its error does not hide the write."""
    heard: list[str] = []

    class Noisy(Model, prefix="txn", name="TxNoisy"):
        noisy_id: str = StringField()

        primary_key = PrimaryKey("noisy_id")

        def before_save(self) -> None:
            heard.append("before")

        def after_save(self) -> None:
            heard.append("after")
            raise Stop

    with init_models(models=[Noisy], table_name="noisy", embedded=True):
        with pytest.raises(Stop), transaction():
            Noisy.create(noisy_id="a")
            assert heard == ["before"]
        assert heard == ["before", "after"]
        assert Noisy.find("a").exists()
        with pytest.raises(KeyError), transaction():
            Noisy.create(noisy_id="b")
            raise KeyError
        assert heard == ["before", "after", "before"] and not Noisy.find("b")


def test_what_a_block_saved_is_not_read_again(embedded: Manager, sent: Wire) -> None:
    """The object has the saved values. Only what the server computed is read, once."""
    post_id = Post.create(title="a").post_id
    with run_with_batch_context():
        post = Post.find(post_id)
        assert post.title == "a"
        with transaction():
            post.title = "b"
            post.save()
        sent.clear()
        assert post.title == "b" and sent.operations == []
        with transaction():
            post.views += 1
            post.save()
        sent.clear()
        assert (post.views, post.title) == (1, "b") and len(sent) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_what_must_be_read_again_is_read_together(embedded: Manager, sent: Wire, fails: bool) -> None:
    """After a block, the first look at one of its objects reads all of them that only the server knows."""
    ids = [Post.create(title=title).post_id for title in "abc"]
    with run_with_batch_context():
        posts = [Post.find(post_id) for post_id in ids]
        with suppress(Stop), transaction():
            for post in posts:
                post.views += 1
                post.save()
            if fails:
                raise Stop
        sent.clear()
        assert [post.views for post in posts] == [0 if fails else 1] * 3
        assert sent.operations == ["BatchGetItem"]


def test_a_deletion_that_is_undone_leaves_what_must_be_read_again(embedded: Manager) -> None:
    """An object that waited to be read again does not show what it was before."""
    post_id = Post.create(title="a").post_id
    with run_with_batch_context():
        post = Post.find(post_id)
        with transaction():
            post.views += 1
            post.save()
        elsewhere(lambda: Post.update(post_id, title="b"))
        with pytest.raises(Stop), transaction():
            post.delete()
            raise Stop
        assert (post.title, post.views) == ("b", 1)


READS_AGAIN: dict[str, Callable[[Session, Org], Any]] = {
    "refresh": lambda session, org: org.refresh(),
    "session.refresh": lambda session, org: session.refresh(org),
    "find after clear": lambda session, org: (session.clear(), Org.find(org.org_id).exists()),
    "find after expunge": lambda session, org: (session.expunge(org), Org.find(org.org_id).exists()),
}


def saved(org: Org) -> Org:
    org.name = "B"
    return org.save()


WRITES: dict[str, Callable[[], Org]] = {
    "save": lambda: saved(Org.find("a")),
    "update": lambda: Org.update("a", name="B"),
    "create": lambda: Org.create(org_id="b", name="B"),
    "delete": lambda: Org.delete("a"),
    "delete and create": lambda: (Org.delete("a"), Org.create(org_id="a", name="B"))[1],
}


@pytest.mark.parametrize("read_again", READS_AGAIN.values(), ids=READS_AGAIN)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_a_block_reads_again_is_what_was_written_afterwards(
    embedded: Manager, write: Callable[[], Org], read_again: Callable[[Session, Org], Any]
) -> None:
    """In the block nothing is stored yet, so a new look finds the old item, or none. Later it finds the new one."""
    Org.create(org_id="a", name="A")
    with run_with_batch_context() as session:
        with transaction():
            org = write()
            read_again(session, org)
        stored = Org.find(org.org_id, bypass_cache=True)
        for known in (org, Org.find(org.org_id)):
            assert known.exists() == stored.exists()
            assert not known.exists() or known.name == stored.name == "B"
        if stored.exists():
            org.name = "A"
            org.save()
            assert Org.find(org.org_id, bypass_cache=True).name == "A"


def test_a_block_that_fails_after_a_refresh_leaves_objects_as_they_were(embedded: Manager) -> None:
    """Also a refresh before a further save of the block changes nothing in the end."""
    Org.create(org_id="a", name="A")
    with run_with_batch_context():
        org = Org.find("a")
        with pytest.raises(Stop), transaction():
            saved(org).refresh()
            new = Org.create(org_id="b", name="B")
            new.refresh()
            raise Stop
        assert org.name == "A" and not org.has_changes()
        assert new.save().name == "B" and Org.find("b").exists()
        with transaction():
            saved(org).refresh()
            org.name = "C"
            org.save()
        assert org.name == Org.find("a", bypass_cache=True).name == "C"


def test_an_update_by_key_is_of_the_stored_item(embedded: Manager) -> None:
    """A new object of the key that was only added does not count, as outside a transaction."""
    Org.create(org_id="acme", name="Acme")
    with run_with_batch_context() as session:
        added, absent = Org(org_id="acme", name="Other"), Org(org_id="none", name="Nobody")
        session.add(added, absent)
        with transaction():
            updated = Org.update("acme", name="Acme & Sons")
            assert updated is not added
            assert updated.name == "Acme & Sons"
        with pytest.raises(ItemNotFoundError, match="Org 'none'"), transaction():
            Org.update("none", name="Somebody")
        assert (added.name, absent.name) == ("Other", "Nobody")
        session.rollback()
    assert Org.find("acme").name == "Acme & Sons"


@pytest.mark.parametrize("where", [transaction, nullcontext])
@pytest.mark.parametrize("held", [True, False])
def test_updates_by_key_beside_an_added_object_are_of_one_object(
    embedded: Manager, where: Callable[[], Any], held: bool
) -> None:
    """Each of them returned an object of its own, which did not show the other update."""
    post_id = Post.create(title="First", user_id="a").post_id
    with run_with_batch_context() as session:
        found = Post.find(post_id) if held else None
        session.add(Post(post_id=post_id, title="Other"), overwrite=True)
        with where():
            older = Post.update(post_id, user_id="b")
            assert Post.update(post_id, title="Second") is older
            assert found is None or found is older
        assert (older.title, older.user_id) == ("Second", "b")
        assert Post.delete(post_id) is older
        assert not older.exists()
        session.rollback()


def test_items_of_updates_by_key_can_be_read_in_one_request(embedded: Manager, sent: Wire) -> None:
    keys = [Post.create(title="First").post_id for _ in range(5)]
    sent.clear()
    with run_with_batch_context(), transaction():
        held = Post.batch_find(keys, consistent_read=True)
        for key in keys:
            assert Post.update(key, title="Second") is held[key]
            Post.increment(key, views=1)
    assert sent.operations == ["BatchGetItem", "TransactWriteItems"]


def test_what_a_block_deleted_cannot_be_deleted_again(embedded: Manager, sent: Wire) -> None:
    """The second call says so at once, and the first one is still carried out."""
    Org.create(org_id="a", name="A")
    with transaction():
        Org.delete("a")
        with pytest.raises(ItemNotFoundError):
            Org.delete("a")
    assert not Org.find("a")


def test_a_wrong_condition_is_refused_at_the_call(embedded: Manager, sent: Wire) -> None:
    """And not at the end of the block, whose other writes are carried out."""
    org = Org.create(org_id="a", name="A")
    with transaction():
        Org.create(org_id="b", name="B")
        org.name = "changed"
        for write in (
            lambda: Org.update("a", name="x", condition={"nope": 1}),
            lambda: Org.delete("a", condition={"nope": 1}),
            lambda: org.save(condition={"nope": 1}),
            lambda: Org(org_id="c", name="C").save(condition={"nope": 1}),
        ):
            with pytest.raises(QueryError, match="nope"):
                write()
    assert [Org.find(key, bypass_cache=True).exists() for key in "abc"] == [True, True, False]
    assert Org.find("a", bypass_cache=True).name == "A"
