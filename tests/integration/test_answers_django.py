"""Instances as answers of Django: the encoder for `JsonResponse`, and 404 for a missing instance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from dynamo_bao import DataFormatError, Manager, UnknownFieldError, run_with_batch_context
from tests.support import django_site
from tests.support.models import NOBODY, Comment, Org, Post, User
from tests.support.wire import Wire

django_site.set_up()

from django.http import Http404, HttpRequest, JsonResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import override_settings  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils.translation import gettext_lazy  # noqa: E402

from dynamo_bao.django import BaoJSONEncoder, first_or_404, get_object_or_404  # noqa: E402

pytestmark = pytest.mark.one_engine


@pytest.fixture
def ids(manager: Manager) -> list[str]:
    """The ids of three stored users."""
    return [User.create(name=f"user {number}").user_id for number in range(3)]


def view(answer: Callable[[], Any]) -> Any:
    """The reply of a site whose only page answers this, as JSON."""

    class Site:
        @staticmethod
        def page(request: HttpRequest) -> JsonResponse:
            return JsonResponse(answer(), encoder=BaoJSONEncoder, safe=False)

        urlpatterns = [path("", page)]

    with override_settings(ROOT_URLCONF=Site):
        return Client().get("/")


# --- JSON ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        lambda users: users,
        lambda users: {"users": users},
        lambda users: {"pages": [{"page": 1, "users": tuple(users)}]},
    ],
    ids=["list", "dict", "nested"],
)
def test_all_instances_of_an_answer_are_one_request(
    ids: list[str], wire: Wire, answer: Callable[[Any], Any]
) -> None:
    """However they stand in it. Each is an object of its fields."""
    wire.clear()
    reply = view(lambda: answer([User.find(user_id) for user_id in ids]))
    assert wire.operations == ["BatchGetItem"] and len(wire.keys()) == 3
    text = reply.content.decode()
    assert all(user_id in text and f'"user {n}"' in text for n, user_id in enumerate(ids))


def test_one_instance_is_an_object(ids: list[str]) -> None:
    """Its values have the forms of `to_json`."""
    reply = view(lambda: User.find(ids[0]))
    assert reply.json() == view(lambda: User.find(ids[0]).to_dict()).json()
    assert reply.json()["created_at"].endswith("Z")


def test_the_result_of_a_query_is_a_list(ids: list[str]) -> None:
    """As a part of an answer, and as the answer."""
    assert {user["user_id"] for user in view(lambda: User.by_status.query("active")).json()} == set(ids)


def test_all_values_have_the_documented_forms() -> None:
    """Those of Django where ours do not name them."""
    values = {
        "at": datetime(2026, 1, 31, 12, 0, 0, 123456, timezone(timedelta(hours=1))),
        "price": Decimal("1.50"),
        "id": UUID(int=1),
        "tags": {"b", "a"},
        "raw": b"\xfb",
        "lasts": timedelta(minutes=5),
        "text": gettext_lazy("yes"),
    }
    assert view(lambda: values).json() == {
        "at": "2026-01-31T11:00:00.123456Z",
        "price": "1.50",
        "id": "00000000-0000-0000-0000-000000000001",
        "tags": ["a", "b"],
        "raw": "+w==",
        "lasts": "PT5M",
        "text": "yes",
    }


def test_what_nobody_can_write_is_djangos_error() -> None:
    """With its own text."""
    with pytest.raises(TypeError, match="Object of type object is not JSON serializable"):
        view(lambda: {"what": object()})


def test_an_instance_with_a_bad_attribute_has_no_answer(manager: Manager, ids: list[str]) -> None:
    """The error names model, key and field."""
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": f"u#{ids[1]}"}, "_sk": {"S": "u"}},
        UpdateExpression="SET age = :a",
        ExpressionAttributeValues={":a": {"S": "old"}},
    )
    with pytest.raises(DataFormatError, match=ids[1]):
        view(lambda: [User.find(user_id) for user_id in ids])


# --- 404 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (User, NOBODY),
        (User, "no-ulid"),
        (User, ""),
        (User, None),
        (Org, "x" * 3000),
        (Comment, "1"),
        (Comment, {"post_id": "1", "number": {"$gt": 0}}),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_not_there_is_404(manager: Manager, model: type[Any], key: Any) -> None:
    """Also where no item can have the key, as with ids that a client made up."""
    assert view(lambda: get_object_or_404(model, key)).status_code == 404


def test_key_parts_by_name(manager: Manager) -> None:
    """As `find` takes them. A wrong name is a mistake of the program, and no 404."""
    Comment.create(post_id="1", number=2, text="Yes")
    assert view(lambda: get_object_or_404(Comment, post_id="1", number=2)).json()["text"] == "Yes"
    with run_with_batch_context(), pytest.raises(UnknownFieldError):
        get_object_or_404(Comment, post_id="1", nmber=2)


def test_the_first_match_or_404(ids: list[str], wire: Wire) -> None:
    """Of a query, or of any instances."""
    wire.clear()
    assert view(lambda: first_or_404(User.by_status.query("active", limit=1))).json()["user_id"] in ids
    assert wire.operations == ["Query"]
    assert view(lambda: first_or_404(User.by_status.query("asleep"))).status_code == 404
    post = Post(title="one")
    assert first_or_404([post]) is post
    with pytest.raises(Http404, match=r"The query has no match\."):
        first_or_404([])
