"""Instances that pydantic validates: all of an answer load in one round, and serialising reads nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from dynamo_bao import Manager, QueryResult, run_with_batch_context
from tests.support.models import NOBODY, Comment, Org, Post, User, store_users
from tests.support.response_models import PostOut, UserOut
from tests.support.wire import Wire

pytestmark = pytest.mark.one_engine
USERS = TypeAdapter(list[User])


@pytest.fixture
def ids(manager: Manager) -> list[str]:
    """The ids of 100 stored users of 10 organisations."""
    return store_users()


# --- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", [User, UserOut], ids=["model", "from_attributes"])
def test_100_lazy_instances_are_one_request(ids: list[str], wire: Wire, output: Any) -> None:
    """As a type of pydantic, and as the source of one."""
    adapter = TypeAdapter(list[output])
    with run_with_batch_context():
        users = list(map(User.find, ids))
        wire.clear()
        answer = adapter.validate_python(users, from_attributes=True)
        assert wire.operations == ["BatchGetItem"] and len(wire.keys()) == 100
        names = [user["name"] for user in json.loads(adapter.dump_json(answer))]
    assert names == [f"user {number}" for number in range(100)] and len(wire) == 1


def test_serialising_reads_nothing(ids: list[str], wire: Wire) -> None:
    """Also after the session, as on the event loop of a server; the instances stay the same objects."""
    with run_with_batch_context():
        users = list(map(User.find, ids[:3]))
        answer = USERS.validate_python(users)
        assert all(one is other for one, other in zip(answer, users, strict=True))
    wire.clear()
    forms = json.loads(USERS.dump_json(answer))
    assert forms == [json.loads(user.to_json()) for user in users] == USERS.dump_python(answer, mode="json")
    assert USERS.dump_python(answer) == [user.to_dict() for user in users]
    assert len(wire) == 0


def test_parts_of_an_answer(ids: list[str]) -> None:
    """Fields are included and left out as those of pydantic's own models."""
    with run_with_batch_context():
        user = User.find(ids[0])
        adapter = TypeAdapter(User)
        adapter.validate_python(user)
        assert json.loads(adapter.dump_json(user, include={"name", "email"})) == {
            "name": "user 0",
            "email": None,
        }
        assert json.loads(adapter.dump_json(user, include={"name", "email"}, exclude_none=True)) == {
            "name": "user 0"
        }
        assert "name" not in adapter.dump_python(user, exclude={"name"})


def test_instances_anywhere_in_an_answer_are_one_request(ids: list[str], wire: Wire) -> None:
    """In models of pydantic, lists and dicts; of different models."""

    class Page(BaseModel):
        owner: User
        org: Org | None
        members: dict[str, list[User]]

    with run_with_batch_context():
        wire.clear()
        page = Page(
            owner=User.find(ids[0]), org=Org.find("1"), members={"all": list(map(User.find, ids[1:5]))}
        )
        assert wire.operations == ["BatchGetItem"] and len(wire.keys()) == 6
    assert isinstance(page.owner, User)
    assert page.model_dump()["members"]["all"][0]["name"] == "user 1"
    assert json.loads(page.model_dump_json())["org"] == {"org_id": "1", "name": "org 1"}


def test_the_result_of_a_query_is_a_list(ids: list[str], wire: Wire) -> None:
    """For `list[User]`, for the type that the query has, and where anything may be; in one query."""
    results = TypeAdapter(QueryResult[User])
    for answer in (USERS.validate_python, results.validate_python, TypeAdapter(Any).dump_python):
        with run_with_batch_context():
            wire.clear()
            members: Any = answer(User.by_status.query("active"))
            assert len(members) == 100
        assert wire.operations == ["Query"]
    assert all(type(user) is User for user in results.validate_python(User.by_status.query("active")))
    assert TypeAdapter(QueryResult).validate_python(User.by_status.query("asleep")) == []
    assert results.json_schema()["items"] == {"$ref": "#/$defs/User"}


def test_relations_of_a_source_are_one_round_a_level(ids: list[str], wire: Wire) -> None:
    """A model of pydantic with `from_attributes` shows relations; peers load together."""
    posts = [Post.create(user_id=user_id, title=f"post of {n}").post_id for n, user_id in enumerate(ids[:20])]
    adapter = TypeAdapter(list[PostOut])
    with run_with_batch_context():
        wire.clear()
        answer = adapter.validate_python([Post.find(post_id) for post_id in posts])
    assert wire.operations == ["BatchGetItem"] * 3
    assert [(post.user.name, post.user.org and post.user.org.name) for post in answer[:2]] == [
        ("user 0", "org 0"),
        ("user 1", "org 1"),
    ]


def test_an_instance_where_anything_may_be(ids: list[str], wire: Wire) -> None:
    """It is written as an answer, in a dict of anything and in a field of a model of pydantic."""

    class Anything(BaseModel):
        what: Any

    with run_with_batch_context():
        users = list(map(User.find, ids[:2]))
        wire.clear()
        assert [user["name"] for user in TypeAdapter(Any).dump_python(users, mode="json")] == [
            "user 0",
            "user 1",
        ]
        assert wire.operations == ["BatchGetItem"]
        assert json.loads(Anything(what={"user": users[0]}).model_dump_json()) == {
            "what": {"user": json.loads(users[0].to_json())}
        }
        assert TypeAdapter(dict[str, Any]).dump_python({"user": users[0]}) == {"user": users[0].to_dict()}


def test_another_model_is_no_answer(ids: list[str]) -> None:
    """An instance of it is told apart in a union, and refused where it is not expected."""
    either = TypeAdapter(list[User | Org])
    with run_with_batch_context():
        answer = either.validate_python([User.find(ids[0]), Org.find("1")])
        assert [sorted(one)[0] for one in json.loads(either.dump_json(answer))] == ["age", "name"]
        with pytest.raises(ValidationError, match="dict_type"):
            USERS.validate_python([Org.find("1")])


# --- errors ------------------------------------------------------------------------------------------------


@contextmanager
def errors() -> Iterator[list[dict[str, Any]]]:
    """What pydantic says, after the block."""
    found: list[dict[str, Any]] = []
    with pytest.raises(ValidationError) as caught:
        yield found
    found += caught.value.errors()  # type: ignore[arg-type]


@pytest.mark.parametrize("output", [User, UserOut], ids=["model", "from_attributes"])
def test_an_item_that_is_not_stored_is_an_error_of_its_attribute(ids: list[str], output: Any) -> None:
    """With the text of the library, which names model and key; the others of the answer are fine."""
    with errors() as found, run_with_batch_context():
        TypeAdapter(list[output]).validate_python([*map(User.find, [ids[0], NOBODY])], from_attributes=True)
    assert {error["loc"][0] for error in found} == {1}
    assert {error["type"] for error in found} == {"get_attribute_error"}
    assert f"ItemNotFoundError: User '{NOBODY}' is not stored" in found[0]["msg"]


def test_a_bad_attribute_is_an_error_where_it_is_shown(manager: Manager, ids: list[str]) -> None:
    """A model shows all its fields. A model of pydantic that does not show the field has an answer."""
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": f"u#{ids[0]}"}, "_sk": {"S": "u"}},
        UpdateExpression="SET age = :a",
        ExpressionAttributeValues={":a": {"S": "old"}},
    )
    with run_with_batch_context():
        with errors() as faults:
            TypeAdapter(User).validate_python(User.find(ids[0]))
        user = TypeAdapter(UserOut).validate_python(User.find(ids[0]), from_attributes=True)
    assert user.name == "user 0"
    (error,) = faults
    assert (
        error["type"] == "get_attribute_error" and "DataFormatError" in error["msg"] and "age" in error["msg"]
    )


def test_an_error_of_the_application_stays_what_it_is(manager: Manager, ids: list[str]) -> None:
    """An alarm or a time limit during the read of a model is nobody's validation error."""

    class TimeLimit(TimeoutError):
        """As of an alarm, or of a task queue."""

    def stop(**_: Any) -> None:
        raise TimeLimit

    manager.client.meta.events.register_first("before-send.dynamodb", stop)
    with run_with_batch_context(), pytest.raises(TimeLimit):
        USERS.validate_python([User.find(ids[0])])


def test_a_new_instance_is_an_answer(manager: Manager) -> None:
    """Before it is saved, and after."""
    comment = Comment(post_id="1", number=1, text="x", image=b"\xfb")
    adapter = TypeAdapter(Comment)
    assert adapter.validate_python(comment) is comment
    form = json.loads(adapter.dump_json(comment))
    assert form == {"post_id": "1", "number": 1, "text": "x", "image": "+w=="}
    assert json.loads(adapter.dump_json(adapter.validate_python(comment.save()))) == form


def test_a_body_is_saved(manager: Manager) -> None:
    """As any new instance."""
    comment = TypeAdapter(Comment).validate_json(
        '{"post_id": "1", "number": 1, "text": "x", "image": "+w=="}'
    )
    assert comment.save().refresh().image == b"\xfb"
