"""Instances as dicts and as JSON, with the relations that are named, in one round a level."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter

from dynamo_bao import (
    BatchContextRequiredError,
    DataFormatError,
    HasMany,
    Index,
    ItemNotFoundError,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    Related,
    RelatedField,
    RequireContext,
    StringField,
    ValidationError,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.fields.json_forms import json_form
from tests.support import models
from tests.support.models import NOBODY, Comment, Org, Post, User
from tests.support.wire import Wire

pytestmark = pytest.mark.quick_engines


@pytest.fixture(params=[nullcontext, run_with_batch_context], ids=["outside", "context"])
def around(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """No context, and a batch context."""
    context: Callable[[], Any] = request.param
    return context


@pytest.fixture
def comment(manager: Manager) -> Comment:
    """A comment on a post of a user of an organisation."""
    org = Org.create(org_id="acme", name="Acme")
    user = User.create(name="Ada", org_id=org.org_id)
    post = Post.create(user_id=user.user_id, title="Notes", tags={"b", "a"})
    return Comment.create(post_id=post.post_id, number=1, text="Yes", image=b"\xfb\xff")


@pytest.mark.parametrize(
    "names", [["post.user.org"], ["post_id.user_id.org_id"], ["post", "post.user_id.org"]]
)
def test_relations_are_included_in_one_round_a_level(
    comment: Comment, wire: Wire, around: Callable[[], Any], names: list[str]
) -> None:
    """By the name of the attribute or of the field, nested at any depth; the key in the dict is the attribute's."""
    wire.clear()
    with around():
        values = Comment.find(comment.primary_id).to_dict(related=names)
    assert len(wire) == 4
    post = Post.find(comment.post_id)
    user = User.find(str(post.user_id))
    assert values == {
        **comment.to_dict(),
        "post": {**post.to_dict(), "user": {**user.to_dict(), "org": {"org_id": "acme", "name": "Acme"}}},
    }
    assert "org_id" in values["post"]["user"] and "post" not in comment.to_dict()


def test_json_has_the_documented_forms(comment: Comment, around: Callable[[], Any]) -> None:
    """Of an instance and of its relations: sets are sorted, bytes base64, datetimes ISO 8601 with Z."""
    post = Post.find(comment.post_id)
    with around():
        values = json.loads(Comment.find(comment.primary_id).to_json(related=["post"]))
    assert values == {
        "post_id": post.post_id,
        "number": 1,
        "text": "Yes",
        "image": "+/8=",
        "post": {
            "post_id": post.post_id,
            "user_id": post.user_id,
            "title": "Notes",
            "views": 0,
            "tags": ["a", "b"],
            "created_at": post.created_at.isoformat().replace("+00:00", "Z"),
            "modified_at": post.modified_at.isoformat().replace("+00:00", "Z"),
        },
    }


def test_many_answers_are_one_round(manager: Manager, wire: Wire) -> None:
    """The first of pending instances loads all; the result of a query is a list."""
    ids = [User.create(name=f"user {number}").user_id for number in range(5)]
    names = [f"user {number}" for number in range(5)]
    wire.clear()
    with run_with_batch_context():
        users = list(map(User.find, ids))
        assert [user["name"] for user in json_form(users)] == names
        assert wire.operations == ["BatchGetItem"]
        assert (
            sorted(user["name"] for user in json_form({"users": User.by_status.query("active")})["users"])
            == names
        )


@pytest.mark.parametrize("user_id", [None, NOBODY])
def test_a_relation_without_a_target_is_none(
    manager: Manager, around: Callable[[], Any], user_id: str | None
) -> None:
    """Not set, or to an item that is not stored."""
    post = Post.create(user_id=user_id)
    with around():
        assert Post.find(post.post_id).to_dict(related=["user.org"])["user"] is None


def test_relations_of_a_new_instance(comment: Comment, around: Callable[[], Any]) -> None:
    """They are looked up as those of a stored one."""
    with around():
        values = Comment(post_id=comment.post_id, number=2, text="No").to_dict(["post.user"])
    assert values["post"]["user"]["name"] == "Ada"


def test_relations_of_a_new_instance_to_nothing_stored(manager: Manager, around: Callable[[], Any]) -> None:
    """None, as of a stored one."""
    with around():
        assert Post(user_id=NOBODY).to_dict(related=["user"])["user"] is None


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["usr"], "Post has no relation 'usr'. Did you mean 'user'?"),
        (["title"], "Post has no relation 'title'."),
        (["user.oorg"], "User has no relation 'oorg'. Did you mean 'org'?"),
        (["user."], "User has no relation ''."),
        ([3], "give a list of relations"),
        (3, "give a list of relations"),
    ],
)
def test_what_is_no_relation_is_refused(comment: Comment, wire: Wire, names: Any, text: str) -> None:
    """Before any request, with the nearest name."""
    with run_with_batch_context():
        post = Post.find(comment.post_id)
        wire.clear()
        with pytest.raises(QueryError) as caught:
            post.to_dict(related=names)
    assert text in str(caught.value) and len(wire) == 0


def test_a_single_name_is_enough(comment: Comment) -> None:
    """As in other options that take relations."""
    assert Post.find(comment.post_id).to_dict(related="user")["user"]["name"] == "Ada"


def test_what_is_not_stored_has_no_values(manager: Manager, around: Callable[[], Any]) -> None:
    """The error names model and key."""
    with around():
        for way in (User.to_dict, User.to_json, json_form):
            with pytest.raises(ItemNotFoundError, match=NOBODY):
                way(User.find(NOBODY))


def test_a_bad_attribute_has_no_answer(manager: Manager, around: Callable[[], Any]) -> None:
    """Neither of the instance nor of one that is related to it; the error names model, key and field."""
    user = User.create(name="Ada")
    post = Post.create(user_id=user.user_id)
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": f"u#{user.user_id}"}, "_sk": {"S": "u"}},
        UpdateExpression="SET age = :a",
        ExpressionAttributeValues={":a": {"S": "old"}},
    )
    with around():
        broken = User.find(user.user_id)
        for way in (broken.to_dict, broken.to_json, lambda: Post.find(post.post_id).to_json(["user"])):
            with pytest.raises(DataFormatError, match=f"User '{user.user_id}'.*age") as caught:
                way()
            assert (caught.value.model, caught.value.field) == ("User", "age")


@pytest.mark.one_engine
def test_answers_follow_the_policy(table_name: str) -> None:
    """Outside a context, where none of the library's calls is allowed, relations are not loaded either."""
    with init_models(models=models.ALL, table_name=table_name, embedded=True, policy=RequireContext()):
        with run_with_batch_context():
            post = Post.create(user_id=User.create(name="Ada").user_id)
        assert post.to_dict()["title"] == "untitled"
        with pytest.raises(BatchContextRequiredError, match="run_with_batch_context"):
            post.to_dict(related=["user"])


def test_explicit_relations_are_allowed_where_implicit_ones_are_not(comment: Comment) -> None:
    """`related` announces what is loaded."""
    with run_with_batch_context(fetch="raise"):
        values = Comment.find(comment.primary_id).to_dict(related=["post.user"])
    assert values["post"]["user"]["name"] == "Ada"


def test_a_wrong_key_part_is_an_unknown_field(manager: Manager) -> None:
    """So that a view can tell a mistake of the program from a key that no item has."""
    with pytest.raises(
        ValidationError, match=r"the key has no part 'nmber'.*Did you mean 'number'"
    ) as caught:
        Comment.find(post_id="1", nmber=2)
    assert type(caught.value).__name__ == "UnknownFieldError" and caught.value.field == "nmber"


# --- relations to many -----------------------------------------------------------------------------------


class Writer(Model, prefix="wr"):
    writer_id: str
    name: str = StringField(default="nameless")
    essays = HasMany["Essay"]("essays_of_writer")

    primary_key = PrimaryKey("writer_id")


class Essay(Model, prefix="es"):
    writer_id: str = RelatedField("Writer")
    number: int
    essays_of_writer = primary_key = PrimaryKey("writer_id", "number")
    notes = HasMany["Note"]("notes_of_essay")
    writer = Related["Writer"]("writer_id")


class Note(Model, prefix="nt"):
    note_id: str
    essay_id: str = RelatedField("Essay")
    reader_id: str | None = RelatedField("Writer", default=None)

    primary_key = PrimaryKey("note_id")
    notes_of_essay = Index("essay_id", "note_id", id="gsi1")
    reader = Related["Writer"]("reader_id")


@pytest.fixture
def shelf(connection: dict[str, Any], ready_table: str) -> Iterator[Wire]:
    """Two writers; the first has three essays, each with two notes by the second."""
    with init_models(models=[Writer, Essay, Note], table_name=ready_table, **connection) as manager:
        for writer_id in ("ada", "bob"):
            Writer.create(writer_id=writer_id, name=writer_id.title())
        for number in range(3):
            essay = Essay.create(writer_id="ada", number=number)
            for note in range(2):
                Note.create(note_id=f"{number}{note}", essay_id=essay.primary_id, reader_id="bob")
        yield Wire(manager.client)


def test_relations_to_many_are_lists(shelf: Wire, around: Callable[[], Any]) -> None:
    """Nested, with those to one inside, each level in one round."""
    shelf.clear()
    with around():
        values = Writer.find("ada").to_dict(related=["essays.notes.reader", "essays.writer"])
    # In a context, the essays' writer is known.
    lookups = ["GetItem", "BatchGetItem"] if around is nullcontext else ["BatchGetItem"]
    assert sorted(shelf.operations) == sorted([*lookups, *["Query"] * 4, "BatchGetItem"])
    assert [essay["number"] for essay in values["essays"]] == [0, 1, 2]
    assert {essay["writer"]["name"] for essay in values["essays"]} == {"Ada"}
    notes = [note for essay in values["essays"] for note in essay["notes"]]
    assert [note["note_id"] for note in notes] == ["00", "01", "10", "11", "20", "21"]
    assert {note["reader"]["name"] for note in notes} == {"Bob"}


def test_a_relation_to_nobody_is_an_empty_list(shelf: Wire) -> None:
    """Also of a new instance; in JSON too."""
    assert json.loads(Writer.find("bob").to_json(related=["essays"]))["essays"] == []
    assert Writer(writer_id="cy").to_dict(related=["essays"])["essays"] == []


def test_models_of_pydantic_show_relations_to_many(shelf: Wire) -> None:
    """With `from_attributes`; the writers' essays are two rounds, however many writers there are."""

    class EssayOut(BaseModel):
        model_config = ConfigDict(from_attributes=True)
        number: int

    class WriterOut(BaseModel):
        model_config = ConfigDict(from_attributes=True)
        name: str
        essays: list[EssayOut]

    for number in range(5):
        Writer.create(writer_id=f"{number}")
        Essay.create(writer_id=f"{number}", number=number)
    with run_with_batch_context() as session:
        writers = [Writer.find(writer_id) for writer_id in ("ada", "bob", "0", "1", "2", "3", "4")]
        shown = TypeAdapter(list[WriterOut]).validate_python(writers, from_attributes=True)
        assert session.stats.round_trips == 3
    assert [[essay.number for essay in writer.essays] for writer in shown] == [
        [0, 1, 2],
        [],
        [0],
        [1],
        [2],
        [3],
        [4],
    ]
