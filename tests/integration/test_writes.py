"""Creating, saving, updating and deleting, on every engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest
from botocore.exceptions import ClientError

from dynamo_bao import (
    AddMembers,
    BaoError,
    CommitError,
    ConditionalError,
    ConfigurationError,
    CounterField,
    DropMembers,
    Increment,
    Index,
    ItemNotFoundError,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    StringSetField,
    TransactionError,
    UniqueConstraintError,
    UnknownFieldError,
    ValidationError,
    VersionConflictError,
    init_models,
    run_with_batch_context,
    transaction,
)
from tests.support.models import Comment, Org, Page, Post, User
from tests.support.wire import Wire


def stored_item(manager: Manager, pk: str, sk: str) -> dict[str, Any] | None:
    """An item as the table has it."""
    key = {"_pk": {"S": pk}, "_sk": {"S": sk}}
    found: dict[str, Any] = manager.client.get_item(
        TableName=manager.table_name, Key=key, ConsistentRead=True
    )
    return found.get("Item")


def remove_behind_our_back(manager: Manager, pk: str, sk: str) -> None:
    """Deletes an item as another program would."""
    manager.client.delete_item(TableName=manager.table_name, Key={"_pk": {"S": pk}, "_sk": {"S": sk}})


def grow_behind_our_back(manager: Manager, pk: str, sk: str) -> None:
    """Adds 3,000 bytes to an item as another program would."""
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": pk}, "_sk": {"S": sk}},
        UpdateExpression="SET note = :note",
        ExpressionAttributeValues={":note": {"S": "z" * 3_000}},
    )


# --- create -----------------------------------------------------------------------------------------


def test_create_stores_and_never_overwrites(manager: Manager, wire: Wire) -> None:
    """A second create with the key fails and leaves the first item as it is."""
    org = Org.create(org_id="acme", name="Acme")
    assert org.exists()
    with pytest.raises(ConditionalError, match=r"Org 'acme'.*exists already") as caught:
        Org.create(org_id="acme", name="Other")
    assert (caught.value.model, caught.value.key, caught.value.operation) == ("Org", "acme", "create")
    assert Org.find("acme").name == "Acme"
    assert wire.operations == ["PutItem", "PutItem", "GetItem"]


def test_a_constructed_instance_is_created_by_its_first_save(manager: Manager) -> None:
    """The constructor makes a transient object, which exists from its first save on."""
    org = Org(org_id="acme", name="Acme")
    assert bool(org)
    assert not org.exists()
    assert org.has_changes()
    org.save()
    assert org.exists()
    assert not org.has_changes()
    with pytest.raises(ConditionalError):
        Org(org_id="acme", name="Other").save()


def test_create_with_a_condition_must_also_not_exist(manager: Manager) -> None:
    """The condition of a first save is ANDed with "must not exist"."""
    Org.create(org_id="acme", name="Acme")
    with pytest.raises(ConditionalError):
        Org(org_id="acme", name="Other").save(condition={"name": "Acme"})
    assert Org.find("acme").name == "Acme"
    Org(org_id="new", name="New").save(condition={"name": {"$exists": False}})
    assert Org.find("new").exists()


def test_create_gives_the_sessions_object_and_is_seen_by_finds(manager: Manager, wire: Wire) -> None:
    """Pending and missing instances of the key show what was created; a later find costs nothing."""
    with run_with_batch_context():
        pending, missing = Org.find("acme"), Org.find("beta")
        assert not missing
        wire.clear()
        created = Org.create(org_id="acme", name="Acme")
        assert created is pending
        assert Org.find("acme") is created
        beta = Org(org_id="beta", name="Beta").save()
        assert (missing.name, bool(missing), type(missing)) == ("Beta", True, Org)
        beta.name = "Better"
        assert missing.name == "Better"
        assert Org.find("beta") is beta
        assert wire.operations == ["PutItem", "PutItem"]


def test_creating_what_this_context_knows_to_exist_sends_nothing(manager: Manager, wire: Wire) -> None:
    """Where the session has loaded the key, create fails without a request."""
    Org.create(org_id="acme", name="Acme")
    with run_with_batch_context():
        assert Org.find("acme").exists()
        wire.clear()
        with pytest.raises(ConditionalError):
            Org.create(org_id="acme", name="Other")
    assert len(wire) == 0


def test_a_refused_create_drops_the_cached_miss(manager: Manager) -> None:
    """Somebody else created the item meanwhile: the next find asks again."""
    with run_with_batch_context():
        assert not Org.find("acme")
        with run_with_batch_context():
            Org.create(org_id="acme", name="Theirs")
        with pytest.raises(ConditionalError):
            Org.create(org_id="acme", name="Mine")
        assert Org.find("acme").name == "Theirs"


def test_every_wrong_field_is_told_at_once(manager: Manager, wire: Wire) -> None:
    """A save names all wrong fields, keeps the instance as it is, and sends nothing."""
    user = User(name=3, age="old")  # type: ignore[arg-type]
    with pytest.raises(ValidationError) as caught:
        user.save()
    assert [error.field for error in caught.value.errors] == ["name", "age"]
    assert "User.name" in str(caught.value)
    assert "User.age" in str(caught.value)
    assert user.age == "old"  # type: ignore[comparison-overlap]
    with pytest.raises(ValidationError, match=r"Comment.*3 fields"):
        Comment()  # type: ignore[call-arg]
    with pytest.raises(UnknownFieldError, match="Did you mean 'name'"):
        User(nam="Ada")  # type: ignore[call-arg]
    assert len(wire) == 0


def test_create_accepts_a_mapping_and_leaves_it_alone(manager: Manager) -> None:
    """create(mapping) works like keywords, and does not write into the caller's mapping."""
    given = {"name": "Ada"}
    first, second = User.create(given), User.create(given)  # type: ignore[call-arg, arg-type]
    assert first.user_id != second.user_id
    assert given == {"name": "Ada"}


# --- save ---------------------------------------------------------------------------------------------


def test_save_sends_only_what_changed(manager: Manager, wire: Wire) -> None:
    """One UpdateItem names the changed attribute alone; nothing changed is no request."""
    user = User.create(name="Ada", age=36)
    wire.clear()
    user.save()
    assert len(wire) == 0
    user.name = "Ada Lovelace"
    assert user.changes() == {"name": "Ada Lovelace"}
    user.save()
    [(operation, body)] = wire.sent
    assert operation == "UpdateItem"
    assert body["UpdateExpression"] == "SET #n0 = :v0"
    assert body["ExpressionAttributeNames"]["#n0"] == "name"
    user.name = "Ada Lovelace"
    user.save()
    assert len(wire) == 1


def test_changes_of_others_to_other_fields_are_kept(manager: Manager) -> None:
    """Two holders of one item change different fields; both changes are stored."""
    first = User.create(name="Ada", age=36)
    second = User.find(first.user_id)
    first.name = "Countess"
    second.age = 37
    first.save()
    second.save()
    found = User.find(first.user_id)
    assert (found.name, found.age) == ("Countess", 37)
    assert (second.name, second.age) == ("Countess", 37)


def test_none_removes_the_attribute(manager: Manager) -> None:
    """A field set to None is stored as no attribute."""
    user = User.create(name="Ada", age=36)
    user.age = None
    user.save()
    item = stored_item(manager, f"u#{user.user_id}", "u")
    assert item is not None
    assert "age" not in item
    assert User.find(user.user_id).age is None


def test_saving_what_was_deleted_meanwhile_fails(manager: Manager) -> None:
    """No fragment is written; the instance is missing then."""
    user = User.create(name="Ada")
    remove_behind_our_back(manager, f"u#{user.user_id}", "u")
    user.name = "Countess"
    with pytest.raises(ItemNotFoundError, match="nothing to save") as caught:
        user.save()
    assert caught.value.key == user.user_id
    assert stored_item(manager, f"u#{user.user_id}", "u") is None
    assert not user


def test_saving_a_pending_instance_sends_the_assigned_fields(manager: Manager, wire: Wire) -> None:
    """It loads nothing first, requires the item to exist, and is loaded then."""
    user = User.create(name="Ada", age=36)
    wire.clear()
    with run_with_batch_context():
        pending = User.find(user.user_id)
        pending.name = "Countess"
        pending.save()
        assert (pending.age, pending.name) == (36, "Countess")
        nobody = Org.find("nobody")
        nobody.name = "Somebody"
        with pytest.raises(ItemNotFoundError):
            nobody.save()
        assert not nobody
    assert wire.operations.count("UpdateItem") == 2
    assert "BatchGetItem" not in wire.operations
    assert stored_item(manager, "o#nobody", "o") is None


def test_a_key_of_a_stored_instance_cannot_be_assigned(manager: Manager) -> None:
    """Keys are for ever, on instances and by update."""
    org = Org.create(org_id="acme", name="Acme")
    with pytest.raises(ValidationError, match=r"Org\.org_id is part of the key"):
        org.org_id = "other"
    with pytest.raises(ValidationError, match="part of the key"):
        Org.update("acme", org_id="other")
    assert org.org_id == "acme"


def test_assigning_to_or_saving_a_missing_instance_fails(manager: Manager) -> None:
    """A missing instance is not a way to create one."""
    with run_with_batch_context():
        nobody = Org.find("nobody")
        assert not nobody
        with pytest.raises(ItemNotFoundError):
            nobody.name = "Somebody"
        with pytest.raises(ItemNotFoundError):
            nobody.save()


def test_conditions_of_a_save(manager: Manager) -> None:
    """A condition that does not hold changes nothing; one that holds lets the save pass."""
    user = User.create(name="Ada", age=36)
    user.age = 37
    with pytest.raises(ConditionalError, match="Condition check failed") as caught:
        user.save(condition={"age": {"$gt": 40}})
    assert caught.value.operation == "save"
    assert User.find(user.user_id).age == 36
    user.save(condition={"$or": [{"age": 36}, {"name": {"$beginsWith": "B"}}]})
    assert User.find(user.user_id).age == 37
    user.save(condition=User.fields.age == 37)
    with pytest.raises(ConditionalError):
        user.save(condition=User.fields.age > 37)
    with pytest.raises(QueryError, match="Did you mean 'age'"):
        user.save(condition={"aeg": 3})


def test_counters_are_added_to(manager: Manager) -> None:
    """Two holders that count up both count; an absolute value needs update."""
    first = Post.create(views=5)
    second = Post.find(first.post_id)
    first.views += 1
    second.views += 2
    first.save()
    second.save()
    assert second.views == 8
    assert Post.find(first.post_id).views == 8
    assert Post.update(first.post_id, views=0).views == 0


def test_sets_send_members(manager: Manager, wire: Wire) -> None:
    """In-place additions of two holders are both kept; both kinds of change replace the set; empty is absent."""
    first = Post.create(tags={"a"})
    second = Post.find(first.post_id)
    first.tags.add("b")
    second.tags.add("c")
    assert first.has_changes()
    first.save()
    second.save()
    assert second.tags == {"a", "b", "c"}
    second.tags.discard("a")
    second.save()
    assert Post.find(first.post_id).tags == {"b", "c"}
    second.tags.add("d")
    second.tags.discard("b")
    second.save()
    assert Post.find(first.post_id).tags == {"c", "d"}
    second.tags = set()
    second.save()
    item = stored_item(manager, f"p#{first.post_id}", "p")
    assert item is not None
    assert "tags" not in item
    assert Post.find(first.post_id).tags == set()


def test_versions_are_renewed_and_checked(manager: Manager) -> None:
    """A save over a newer version raises and changes nothing; refresh mends it."""
    page = Page.create(path="/", text="one")
    other = Page.find("/")
    page.text = "two"
    page.save()
    assert page.version != other.version
    other.text = "three"
    with pytest.raises(VersionConflictError, match="newer"):
        other.save()
    with pytest.raises(VersionConflictError):
        other.delete()
    assert Page.find("/").text == "two"
    other.refresh()
    other.text = "three"
    other.save()
    assert Page.find("/").text == "three"


def test_modified_dates_are_renewed(manager: Manager) -> None:
    """Every save gives a new modification date, creation dates stay."""
    post = Post.create()
    created, modified = post.created_at, post.modified_at
    post.title = "Title"
    post.save()
    assert post.created_at == created
    assert post.modified_at >= modified
    assert Post.find(post.post_id).modified_at == post.modified_at


def test_unknown_attributes_are_kept(manager: Manager) -> None:
    """What another program stored beside the model's fields survives a save."""
    Org.create(org_id="acme", name="Acme")
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": "o#acme"}, "_sk": {"S": "o"}},
        UpdateExpression="SET extra = :e",
        ExpressionAttributeValues={":e": {"S": "theirs"}},
    )
    org = Org.find("acme")
    org.name = "Acme Inc"
    org.save()
    item = stored_item(manager, "o#acme", "o")
    assert item is not None
    assert item["extra"] == {"S": "theirs"}


def test_index_keys_follow_their_fields(manager: Manager) -> None:
    """Changing one part writes that half, by instance and by key; queries see the change."""
    user = User.create(name="Ada")
    user.status = "away"
    user.save()
    assert [found.user_id for found in User.by_status.query("away")] == [user.user_id]
    assert list(User.by_status.query("active")) == []
    User.update(user.user_id, status="back")
    assert [found.user_id for found in User.by_status.query("back")] == [user.user_id]
    item = stored_item(manager, f"u#{user.user_id}", "u")
    assert item is not None
    assert item["_gsi1_pk"] == {"S": "u#gsi1#back"}
    post = Post.create(user_id=user.user_id)
    post.user_id = None
    post.save()
    item = stored_item(manager, f"p#{post.post_id}", "p")
    assert item is not None
    assert not [name for name in item if name.startswith("_gsi")]
    Post.update(post.post_id, user_id=user)
    assert [found.post_id for found in user.query_posts()] == [post.post_id]  # type: ignore[attr-defined]


# --- update and delete by key -------------------------------------------------------------------------


def test_update_changes_without_reading(manager: Manager, wire: Wire) -> None:
    """One UpdateItem, which returns what is stored; the session's own object shows it."""
    user = User.create(name="Ada", age=36)
    wire.clear()
    with run_with_batch_context():
        mine = User.find(user.user_id)
        updated = User.update(user.user_id, age=37)
        assert updated is mine
        assert (mine.name, mine.age) == ("Ada", 37)
    assert wire.operations == ["UpdateItem"]
    with pytest.raises(ItemNotFoundError):
        User.update(User(name="x").user_id, age=3)
    with pytest.raises(ConditionalError):
        User.update(user.user_id, condition={"age": 99}, age=38)
    with pytest.raises(UnknownFieldError):
        User.update(user.user_id, aeg=3)
    assert User.find(user.user_id).age == 37


def test_delete_in_its_three_forms(manager: Manager) -> None:
    """By id, by instance, from the instance; the deleted object is returned and no longer exists."""
    for number, delete in enumerate(
        (lambda org: Org.delete(org.org_id), lambda org: Org.delete(org), lambda org: org.delete())
    ):
        org = Org.create(org_id=f"o{number}", name="Acme")
        gone = delete(org)
        assert gone.name == "Acme"
        assert not gone.exists()
        assert not Org.find(f"o{number}")
    with pytest.raises(ItemNotFoundError):
        Org.delete("nobody")


def test_a_delete_is_seen_by_the_session(manager: Manager, wire: Wire) -> None:
    """Later finds are missing without a request, queries leave the item out, creating it again works."""
    with run_with_batch_context():
        user = User.create(name="Ada")
        user.delete()
        wire.clear()
        again = User.find(user.user_id)
        assert not again
        with pytest.raises(ItemNotFoundError):
            _ = again.name
        assert len(wire) == 0
        User.create(user_id=user.user_id, name="Countess")
        assert again.name == user.name == User.find(user.user_id).name == "Countess"


@pytest.mark.parametrize("way", ["alone", "transaction"])
@pytest.mark.parametrize("inside", [True, False])
def test_an_object_whose_item_is_gone_no_longer_exists(manager: Manager, way: str, inside: bool) -> None:
    """A delete that finds no item shows it, as a save does."""
    Org.create(org_id="acme", name="Acme")
    outside = Org.find("acme")
    outside.exists()
    with run_with_batch_context():
        org = Org.find("acme") if inside else outside
        assert org.name == "Acme"
        remove_behind_our_back(manager, "o#acme", "o")
        with pytest.raises(ItemNotFoundError), transaction() if way == "transaction" else nullcontext():
            org.delete()
        assert not org.exists()
        assert not Org.find("acme")


def test_conditions_of_a_delete(manager: Manager) -> None:
    """A delete whose condition does not hold leaves the item."""
    Org.create(org_id="acme", name="Acme")
    with pytest.raises(ConditionalError, match="Delete condition not met"):
        Org.delete("acme", {"name": "Other"})
    assert Org.find("acme").exists()
    Org.delete("acme", {"name": "Acme"})
    assert not Org.find("acme")


# --- unique values ----------------------------------------------------------------------------------------


def test_unique_values_are_guarded(manager: Manager) -> None:
    """A taken value is refused and nothing is written; changing or deleting its owner frees it."""
    ada = User.create(name="Ada", email="ada@example.com")
    with pytest.raises(UniqueConstraintError) as caught:
        User.create(name="Eve", email="ada@example.com")
    assert (caught.value.field, caught.value.value) == ("email", "ada@example.com")
    assert caught.value.operation == "create"
    bob = User.create(name="Bob", email="bob@example.com")
    bob.email = "ada@example.com"
    with pytest.raises(UniqueConstraintError) as caught:
        bob.save()
    assert caught.value.operation == "save"
    with pytest.raises(UniqueConstraintError) as caught:
        User.update(bob.user_id, email="ada@example.com")
    assert caught.value.operation == "update"
    bob.refresh()
    assert bob.email == "bob@example.com"
    ada.email = "countess@example.com"
    ada.save()
    assert ada.email == "countess@example.com"
    bob.email = "ada@example.com"
    bob.save()
    assert User.find_by_email("ada@example.com") == bob  # type: ignore[attr-defined]
    assert User.unique_email.find("bob@example.com") is None
    bob.delete()
    User.create(name="Eve", email="ada@example.com")
    guard = stored_item(manager, "_raft_uc#_uc1#u#email:ada@example.com", "_raft_uc")
    assert guard is not None
    assert guard["relatedModel"] == {"S": "User"}


def test_one_of_many_claims_of_a_value_wins(manager: Manager) -> None:
    """Threads that claim one value at once: one winner, the others get UniqueConstraintError."""

    def claim(number: int) -> str:
        try:
            return User.create(name=f"claimant {number}", email="one@example.com").user_id
        except UniqueConstraintError:
            return ""

    with ThreadPoolExecutor(8) as pool:
        winners = [user_id for user_id in pool.map(claim, range(16)) if user_id]
    assert len(winners) == 1
    assert User.unique_email.find("one@example.com").user_id == winners[0]  # type: ignore[union-attr]


def test_capacity_is_told_per_instance_and_per_session(manager: Manager) -> None:
    """What an instance cost is what its own requests reported; a batch is shared out over its keys."""
    with run_with_batch_context() as session:
        org = Org.create(org_id="acme", name="Acme")
        assert org.consumed_capacity.write == session.stats.write_capacity > 0
    with run_with_batch_context() as session:
        found = [Org.find("acme"), Org.find("nobody")]
        assert found[0].exists()
        spent = [one.consumed_capacity.read for one in found]
        assert sum(spent) == session.stats.read_capacity > 0
    assert Org.find("acme").consumed_capacity.read > 0


def test_a_unique_value_of_a_dead_owner_is_taken_over(manager: Manager) -> None:
    """The owner was deleted behind our back, its guard is left: the value can be claimed again, by save too."""
    for number in range(2):
        dead = User.create(name="Dead", email=f"dead{number}@example.com")
        remove_behind_our_back(manager, f"u#{dead.user_id}", "u")
    heir = User.create(name="Heir", email="dead0@example.com")
    assert User.unique_email.find("dead0@example.com") == heir
    heir.email = "dead1@example.com"
    heir.save()
    assert User.unique_email.find("dead1@example.com") == heir
    assert User.unique_email.find("dead0@example.com") is None
    with pytest.raises(UniqueConstraintError):
        User.create(name="Eve", email="dead1@example.com")


def test_many_unique_values_cost_two_rounds(manager: Manager, wire: Wire) -> None:
    """batch_find_by_unique_constraint reads all guards, then all items; unknown values are None."""
    users = {
        f"u{number}@example.com": User.create(name="x", email=f"u{number}@example.com") for number in range(5)
    }
    wire.clear()
    with run_with_batch_context() as session:
        found = User.batch_find_by_unique_constraint("unique_email", [*users, "nobody@example.com"])
        assert session.stats.round_trips == 2
        assert found == {**users, "nobody@example.com": None}
        assert found["u0@example.com"] is User.find(users["u0@example.com"].user_id)
    assert wire.operations == ["BatchGetItem", "BatchGetItem"]
    with pytest.raises(ValidationError, match="email value is required"):
        User.find_by_unique_constraint("unique_email", None)


def test_increment_counts_atomically(manager: Manager, wire: Wire) -> None:
    """Threads that count at once are all counted; an unknown counter or item is an error."""
    post = Post.create(views=10)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: Post.increment(post.post_id, views=2), range(20)))
    assert post.refresh().views == 50
    assert Post.increment(post.post_id, views=-50).views == 0
    with pytest.raises(UnknownFieldError, match="Did you mean 'views'"):
        Post.increment(post.post_id, view=1)
    with pytest.raises(
        UnknownFieldError, match=r"Post\.title is a StringField, and increment\(\) adds to a Counter"
    ):
        Post.increment(post.post_id, title=1)
    with pytest.raises(UnknownFieldError, match=r"Use update\(key, age=Increment\(…\)\)"):
        User.increment(User(name="Ada").user_id, age=1)
    with pytest.raises(ValidationError):
        Post.increment(post.post_id)
    with pytest.raises(ItemNotFoundError):
        Post.increment(Post().post_id, views=1)


def test_upsert_creates_or_merges(manager: Manager) -> None:
    """The first upsert creates, the next changes only the fields given; racing ones end in one item."""
    assert Org.upsert(org_id="acme", name="Acme").name == "Acme"
    user = User.create(name="Ada", age=36)
    assert User.upsert(user_id=user.user_id, name="Countess").age == 36
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: Org.upsert(org_id="raced", name=f"name {number}"), range(16)))
    assert Org.find("raced").name.startswith("name ")
    with pytest.raises(ValidationError):
        Org.upsert(name="no key")


def without_status(manager: Manager) -> User:
    """A user as a program stored it that knew nothing of a status yet."""
    user = User.create(name="Ada", age=36)
    names = {"#status": "status", "#pk": "_gsi1_pk", "#sk": "_gsi1_sk"}
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": f"u#{user.user_id}"}, "_sk": {"S": "u"}},
        UpdateExpression="REMOVE #status, #pk, #sk",
        ExpressionAttributeNames=names,
    )
    assert user.user_id not in [one.user_id for one in User.query_by_index("by_status", "active")]
    return user


@pytest.mark.parametrize("together", [False, True])
def test_upsert_puts_defaults_where_nothing_is_stored(manager: Manager, wire: Wire, together: bool) -> None:
    """What the stored item lacks gets its default, in indexes too; what it has stays, and so do optional fields."""
    user = without_status(manager)
    for expected in ("active", "gone"):
        with transaction() if together else nullcontext():
            stored = User.upsert(user_id=user.user_id, name="Countess", org_id=None)
        assert (stored.name, stored.status, stored.age, stored.email) == ("Countess", expected, 36, None)
        assert stored.created_at == user.created_at
        found = User.find(user.user_id, consistent_read=True)
        assert (found.status, found.email) == (expected, None)
        assert [one.name for one in User.query_by_index("by_status", expected)] == ["Countess"]
        User.update(user.user_id, status="gone")


def test_upsert_costs_one_request_where_nothing_is_missing(manager: Manager, wire: Wire) -> None:
    """Only for a stored item that lacks something is it sent again."""
    user = User.create(name="Ada")
    wire.clear()
    User.upsert(user_id=user.user_id, name="Countess")
    assert wire.operations == ["UpdateItem"]
    other = without_status(manager)
    wire.clear()
    User.upsert(user_id=other.user_id, name="Countess")
    assert [operation for operation in wire.operations if operation != "GetItem"] == ["UpdateItem"] * 2


def test_upsert_makes_a_key_that_makes_itself(manager: Manager, wire: Wire) -> None:
    """Without the id, which the constructor would make, nothing can be stored yet: a new item is, at once."""
    wire.clear()
    user = User.upsert(name="Ada")
    assert User.find(user.user_id).name == "Ada"
    assert "UpdateItem" not in wire.operations
    with pytest.raises(ValidationError):
        User.upsert(user_id=None, name="Ada")


def test_upsert_of_an_item_that_an_inner_context_deleted_creates_it(manager: Manager) -> None:
    """The update that finds no item makes the outer context forget its instance, which would prevent the creation."""
    with run_with_batch_context():
        org = Org.create(org_id="acme", name="Acme")
        with run_with_batch_context():
            Org.delete("acme")
        assert Org.upsert(org_id="acme", name="Other") is not org
        assert Org.find("acme").name == "Other"
        assert Org.find("acme", bypass_cache=True).name == "Other"


@pytest.mark.parametrize("operation", ["update", "increment", "delete"])
def test_a_write_by_key_that_finds_no_item_makes_the_next_find_read(
    operation: str, manager: Manager, wire: Wire
) -> None:
    """The instance that the context held is stale: the error of the write has shown it."""
    with run_with_batch_context():
        post = Post.create(title="News")
        remove_behind_our_back(manager, f"p#{post.post_id}", "p")
        write: dict[str, Any] = {"update": {"title": "Old"}, "increment": {"views": 1}, "delete": {}}
        options = {"condition": {"title": "News"}} if operation == "delete" else {}
        with pytest.raises(ItemNotFoundError):
            getattr(Post, operation)(post.post_id, **write[operation], **options)
        wire.clear()
        assert not Post.find(post.post_id)
        assert wire.operations == ["BatchGetItem"]


def test_deleting_what_was_never_stored(manager: Manager, wire: Wire) -> None:
    """A new instance has nothing to delete, in any of the three forms; nothing is sent."""
    new = Org(org_id="acme", name="Acme")
    wire.clear()
    for delete in (new.delete, lambda: Org.delete(new), lambda: manager.repository(Org).delete(new)):
        with pytest.raises(ItemNotFoundError, match=r"Org.*save\(\)"):
            delete()
    assert len(wire) == 0
    assert new.save().exists()


def test_what_is_not_stored_cannot_be_refreshed(manager: Manager, wire: Wire) -> None:
    """The error says to save it first, and nothing is sent."""
    with pytest.raises(ItemNotFoundError, match=r"a new instance has nothing stored yet; save\(\) it first"):
        Org(org_id="a", name="A").refresh()
    assert len(wire) == 0
    gone = Org.create(org_id="gone", name="Gone")
    manager.repository(Org).delete("gone")
    assert not gone.refresh() and gone.refresh() is gone


def test_what_is_not_stored_has_no_changes(manager: Manager) -> None:
    """A missing and a deleted instance have nothing that a save would write."""
    deleted = Org.create(org_id="gone", name="Gone")
    deleted.delete()
    with run_with_batch_context():
        missing = Org.find("never")
        assert not missing
        assert (missing.has_changes(), missing.changes()) == (False, {})
    assert (deleted.has_changes(), deleted.changes()) == (False, {})


@pytest.mark.promise("W7")
def test_updates_over_400_kb_are_refused(manager: Manager, wire: Wire) -> None:
    """A change that makes an item too large is refused before it is sent, by every way to write it."""
    page = Page.create(path="/", text="é" * 100_000)
    tagged = Post.create(title="é" * 100_000)
    refused = 0

    def in_a_unit_of_work() -> None:
        with run_with_batch_context() as session:
            session.add(tagged)
            try:
                session.commit()
            finally:
                session.rollback()

    def in_a_transaction() -> None:
        with transaction():
            tagged.save()

    tagged.tags = {"x" * 210_000}
    page.text = "é" * 205_000
    wire.clear()
    for write in (
        page.save,
        tagged.save,
        in_a_unit_of_work,
        in_a_transaction,
        lambda: Page.update("/", text="é" * 205_000),
    ):
        with pytest.raises(ValidationError, match="limit is 409600"):
            write()
        refused += 1
    assert len(wire) == 0
    assert Page.create(path="/fits", text="x")
    assert Page.update("/fits", text="é" * 200_000).version
    print(f"W7: {refused} updates over 400 KB refused, 0 requests; one that fits was written")


def test_what_dynamodb_finds_too_large_is_the_same_error(manager: Manager) -> None:
    """The size of an item that was not read is not known, so DynamoDB refuses its change. Nothing is written."""
    comment = Comment.create(post_id="1", number=1, text="x" * 408_000)
    user = User.create(name="Ada")
    key, image = (comment.post_id, comment.number), b"y" * 2_000

    def save_of_an_object_that_is_not_loaded() -> None:
        with run_with_batch_context():
            pending = Comment.find(key)
            pending.image = image
            pending.save()

    for write in (lambda: Comment.update(key, image=image), save_of_an_object_that_is_not_loaded):
        with pytest.raises(ValidationError, match=r"Comment '1#.*': .* limit is 409600") as refusal:
            write()
        assert isinstance(refusal.value.__cause__, BaoError)

    with run_with_batch_context() as session:
        pending = Comment.find(key)
        pending.image = image
        session.add(pending)
        with pytest.raises(
            CommitError, match=r"committed again\. Comment '1#\S+': the item would"
        ) as partial:
            session.commit()
        assert isinstance(partial.value.__cause__, ValidationError)
        assert partial.value.not_done == (pending,)
        session.rollback()

    key = (comment.post_id, Comment.create(post_id="1", number=2, text="x" * 406_000).number)
    with pytest.raises(TransactionError, match="limit is 409600") as cancelled, transaction():
        Comment.update(key, image=image)
        User.update(user.user_id, age=5)
        grow_behind_our_back(manager, "c#1", f"{2:020d}")
    assert [type(error) for error in cancelled.value.errors] == [ValidationError, type(None)]
    assert (Comment.find(key).image, User.find(user.user_id).age) == (None, None)


def test_botocores_error_is_the_cause(manager: Manager) -> None:
    """Whatever kind of error a refused write becomes, what DynamoDB itself said is its cause."""
    ada = User.create(name="Ada", email="ada@x")
    page, old = Page.create(path="/"), Page.find("/")
    assert old.text is None
    page.text = "new"
    page.save()
    old.text = "mine"

    def together() -> None:
        with transaction():
            User.create(user_id=ada.user_id, name="Eve")

    refused: list[tuple[type[Exception], Any]] = [
        (ConditionalError, lambda: User.create(user_id=ada.user_id, name="Eve")),
        (ConditionalError, lambda: User.update(ada.user_id, condition={"name": "Eve"}, age=7)),
        (ConditionalError, lambda: User.delete(ada, condition={"name": "Eve"})),
        (UniqueConstraintError, lambda: User.create(name="Eve", email="ada@x")),
        (VersionConflictError, old.save),
        (ItemNotFoundError, lambda: Org.update("none", name="x")),
        (TransactionError, together),
    ]
    for kind, write in refused:
        with pytest.raises(kind) as caught:
            write()
        assert isinstance(caught.value.__cause__, ClientError), (kind, caught.value.__cause__)


def test_hooks_and_plugins(embedded: Manager) -> None:
    """Hooks run in order around writes, plugins may change the data, add methods, and stop a write."""
    calls: list[Any] = []

    class Noted(Model, prefix="nt"):
        noted_id: str
        text: str = ""
        primary_key = PrimaryKey("noted_id")

        def before_save(self) -> None:
            calls.append("own before_save")

        def after_delete(self) -> None:
            calls.append("own after_delete")

    class Shouting:
        methods = {"shout": lambda self: self.text + "!"}

        def before_save(self, data: dict[str, Any], options: dict[str, Any]) -> None:
            calls.append(("before_save", options["is_new"], sorted(data)))
            data["text"] = data.get("text", "").upper()
            if data["text"] == "STOP":
                raise RuntimeError("stopped")

        def after_save(self, instance: Any, options: dict[str, Any]) -> None:
            calls.append(("after_save", instance.text))

        def before_delete(self, primary_id: str, options: dict[str, Any]) -> None:
            calls.append(("before_delete", primary_id))

    Noted.register_plugin(Shouting())
    with init_models(models=[Noted], embedded=True):
        noted: Any = Noted.create(noted_id="1", text="hi")
        assert noted.shout() == "HI!"
        noted.text = "stop"
        with pytest.raises(RuntimeError):
            noted.save()
        assert Noted.find("1").text == "HI"
        noted.text = "bye"
        noted.save()
        assert Noted.update("1", text="again").text == "AGAIN"
        noted.delete()
    assert calls == [
        "own before_save",
        ("before_save", True, ["noted_id", "text"]),
        ("after_save", "HI"),
        "own before_save",
        ("before_save", False, ["text"]),
        "own before_save",
        ("before_save", False, ["text"]),
        ("after_save", "BYE"),
        ("before_save", False, ["text"]),
        ("after_save", "AGAIN"),
        ("before_delete", "1"),
        "own after_delete",
    ]
    with pytest.raises(ConfigurationError, match="has none"):
        Noted.register_plugin(object())
    with pytest.raises(ConfigurationError, match="replace"):
        Noted.register_plugin({"methods": {"save": print}})


def test_plugins_of_all_bases_run(embedded: Manager) -> None:
    """Those of bases first, each once, whenever they were registered."""
    calls: list[str] = []

    def noting(text: str) -> dict[str, Any]:
        return {"after_save": lambda instance, options: calls.append(text)}

    class Root(Model):
        noted_id: str
        primary_key = PrimaryKey("noted_id")

    class Stamped(Root):
        pass

    class Audited(Root):
        pass

    class Both(Stamped, Audited, prefix="nt"):
        pass

    with init_models(models=[Both], embedded=True):
        Audited.register_plugin(noting("audited"))
        Both.create(noted_id="1")
        Both.register_plugin(noting("own"))
        Stamped.register_plugin(noting("stamped"))
        Root.register_plugin(noting("root"))
        Both.create(noted_id="2")
    assert calls == ["audited", "root", "audited", "stamped", "own"]


def test_a_counter_that_is_assigned_before_it_is_read(embedded: Manager) -> None:
    """The save adds the difference to the value that was loaded afterwards."""
    post_id = Post.create(title="a", views=3).post_id
    with run_with_batch_context():
        post = Post.find(post_id)
        post.views = 5
        assert (post.title, post.views) == ("a", 5)
        post.save()
        assert post.views == 5
    assert Post.find(post_id).views == 5


def test_an_optional_counter_can_be_removed(embedded: Manager) -> None:
    """None is no amount to add; the attribute goes."""

    class Tally(Model, prefix="ty"):
        key: str
        votes: int | None = CounterField(default=None)
        primary_key = PrimaryKey("key")

        def __attrs_post_init__(self) -> None:
            self.votes = self.votes or 1

    with init_models(models=[Tally], table_name="tallies", embedded=True):
        tally = Tally.create(key="a")
        assert tally.votes == 1
        tally.votes = None
        tally.save()
        assert Tally.find("a").votes is None


def test_an_optional_counter_without_a_value_counts_from_zero(manager: Manager) -> None:
    """In every way of writing, also if it is in the key of an index."""

    class Vote(Model, prefix="vo"):
        key: str
        plain: int | None = CounterField(default=None)
        ranked: int | None = CounterField(default=None)
        primary_key = PrimaryKey("key")
        by_rank = Index("key", "ranked", id="gsi1")

    with init_models(models=[Vote], table_name=manager.table_name, client=manager.client):
        vote = Vote.create(key="a")
        vote.plain = vote.ranked = 2
        vote.save()
        vote.plain = vote.ranked = None
        vote.save()
        assert (Vote.find("a").plain, Vote.find("a").ranked) == (None, None)
        Vote.increment("a", plain=3, ranked=4)
        assert [vote.ranked for vote in Vote.by_rank.query("a")] == [4]
        Vote.create(key="b")
        with run_with_batch_context():
            other = Vote.find("b")
            other.plain = 5
            with transaction():
                other.save()
                other.ranked = 6
                other.save()
            assert (other.plain, other.ranked) == (5, 6)
        nothing: Any = None
        for refused in (
            lambda: Vote.increment("a", plain=nothing),
            lambda: Vote.update("a", {"plain": Increment(nothing)}),
        ):
            with pytest.raises(ValidationError, match=r"Vote\.plain needs an amount"):
                refused()


def test_what_is_stored_as_null_can_be_added_to(manager: Manager) -> None:
    """NULL is None, so optional counters count from 0, and optional sets are empty. DynamoDB adds nothing to NULL."""

    class Vote(Model, prefix="vo"):
        key: str
        votes: int | None = CounterField(default=None)
        tags: set[str] | None = StringSetField(default=None)
        primary_key = PrimaryKey("key")

    def null() -> Vote:
        manager.client.put_item(
            TableName=manager.table_name,
            Item={
                **{"_pk": {"S": "vo#a"}, "_sk": {"S": "vo"}, "key": {"S": "a"}},
                **{name: {"NULL": True} for name in ("votes", "tags")},
            },
        )
        return Vote.find("a")

    def save() -> None:
        vote = null()
        vote.votes = 2
        vote.tags = {"x"}
        vote.save()

    def update() -> None:
        null()
        Vote.update("a", {"votes": Increment(2), "tags": AddMembers({"x"})})

    def update_in_a_block() -> None:
        with transaction():
            update()

    with init_models(models=[Vote], table_name=manager.table_name, client=manager.client):
        for write in (save, update, update_in_a_block):
            write()
            assert (Vote.find("a").votes, Vote.find("a").tags) == (2, {"x"})
        null()
        assert not Vote.update("a", {"tags": DropMembers({"x"})}).tags


def test_a_hook_can_give_values_of_other_fields(embedded: Manager) -> None:
    """What it adds to the data of a save is stored with it."""

    class Dated(Model, prefix="dt"):
        dated_id: str
        text: str = ""
        editor: str | None = None
        primary_key = PrimaryKey("dated_id")

    class Signing:
        def before_save(self, data: dict[str, Any], options: dict[str, Any]) -> None:
            data["editor"] = "new" if options["is_new"] else f"editor of {data['text']}"

    Dated.register_plugin(Signing())
    with init_models(models=[Dated], embedded=True):
        dated = Dated.create(dated_id="1", text="a")
        assert Dated.find("1").editor == "new"
        dated.text = "b"
        dated.save()
        assert dated.editor == Dated.find("1").editor == "editor of b"


def test_a_field_named_key(embedded: Manager) -> None:
    """`update` and `increment` take their key by position, so that fields may have any name."""

    class Setting(Model, prefix="set"):
        setting_id: str
        key: str
        uses: int = CounterField()
        primary_key = PrimaryKey("setting_id")

    with init_models(models=[Setting], embedded=True):
        Setting.create(setting_id="1", key="theme")
        assert Setting.update("1", key="font").key == "font"
        assert Setting.increment("1", uses=2).uses == 2
