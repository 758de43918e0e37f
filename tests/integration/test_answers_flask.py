"""Instances as answers of Flask: in its JSON, whoever writes it, and 404 for a missing instance."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import pytest
from flask import Flask, jsonify, render_template_string, request
from flask.json.provider import DefaultJSONProvider, JSONProvider

from dynamo_bao import DataFormatError, Manager, UnknownFieldError, run_with_batch_context
from dynamo_bao.flask import Bao
from tests.support.models import NOBODY, Comment, Org, Post, User
from tests.support.wire import Wire

pytestmark = pytest.mark.one_engine


class Celsius:
    """A value of the application, which only its own provider knows."""

    def __init__(self, degrees: int) -> None:
        self.degrees = degrees


def own_default(value: Any) -> Any:
    """What the application writes for its own values."""
    if isinstance(value, Celsius):
        return f"{value.degrees} °C"
    return DefaultJSONProvider.default(value)


class WithDefault(DefaultJSONProvider):
    """The usual way to add a kind of value."""

    default = staticmethod(own_default)


class WithDumps(DefaultJSONProvider):
    """A provider that writes otherwise, by the same library."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return super().dumps(obj, **{**kwargs, "default": own_default})


class OrjsonProvider(JSONProvider):
    """A provider of another library, as Flask's documentation has it."""

    @staticmethod
    def dumps(obj: Any, **kwargs: Any) -> str:
        return orjson.dumps(obj, default=own_default).decode()

    @staticmethod
    def loads(s: str | bytes, **kwargs: Any) -> Any:
        return orjson.loads(s)


def as_class(app: Flask, provider: type[JSONProvider]) -> None:
    """The application has its own provider before the extension comes."""
    app.json = provider(app)
    Bao(app)


def afterwards(app: Flask, provider: type[JSONProvider]) -> None:
    """The application sets its own provider after the extension."""
    Bao(app)
    app.json = provider(app)


def by_attribute(app: Flask, provider: type[JSONProvider]) -> None:
    """The application changes its provider after the extension."""
    Bao(app)
    app.json.default = own_default  # type: ignore[attr-defined]


WAYS: list[tuple[Callable[[Flask, type[JSONProvider]], None], type[JSONProvider]]] = [
    (as_class, WithDefault),
    (as_class, WithDumps),
    (as_class, OrjsonProvider),
    (afterwards, WithDefault),
    (afterwards, OrjsonProvider),
    (by_attribute, DefaultJSONProvider),
]


@pytest.fixture
def app(manager: Manager) -> Flask:
    """An application with the extension."""
    app = Flask("shop")
    Bao(app)
    return app


@pytest.fixture
def ids(manager: Manager) -> list[str]:
    """The ids of three stored users."""
    return [User.create(name=f"user {number}").user_id for number in range(3)]


def view(app: Flask, answer: Callable[..., Any], path: str = "/") -> Any:
    """The reply of an application whose only page is this."""
    app.add_url_rule("/", view_func=answer, methods=["GET", "POST"])
    return app.test_client().get(path)


# --- JSON ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        lambda users: jsonify(users),
        lambda users: users,
        lambda users: {"users": users},
        lambda users: jsonify(users=users),
        lambda users: jsonify(*users),
        lambda users: {"pages": [{"page": 1, "users": tuple(users)}]},
        lambda users: render_template_string("{{ users | tojson }}", users=users),
        lambda users: (users, 201),
    ],
    ids=["jsonify", "list", "dict", "keywords", "arguments", "nested", "template", "status"],
)
def test_all_instances_of_an_answer_are_one_request(
    app: Flask, ids: list[str], wire: Wire, answer: Callable[[Any], Any]
) -> None:
    """However they stand in it. Each is an object of its fields."""
    wire.clear()
    reply = view(app, lambda: answer([User.find(user_id) for user_id in ids]))
    assert wire.operations == ["BatchGetItem"] and len(wire.keys()) == 3
    assert all(user_id in reply.text and f'"user {n}"' in reply.text for n, user_id in enumerate(ids))
    assert reply.status_code < 300


def test_one_instance_is_an_object(app: Flask, ids: list[str]) -> None:
    """Its values have the forms of `to_json`."""
    reply = view(app, lambda: jsonify(User.find(ids[0])))
    with run_with_batch_context():
        assert app.json.loads(User.find(ids[0]).to_json()) == reply.json
    assert reply.json["created_at"].endswith("Z")


def test_the_result_of_a_query_is_a_list(app: Flask, ids: list[str]) -> None:
    """In `jsonify`, and in a dict."""
    query = lambda: {"users": User.by_status.query("active"), "count": 3}
    assert {user["user_id"] for user in view(app, query).json["users"]} == set(ids)


@pytest.mark.parametrize(("add", "provider"), WAYS)
def test_the_applications_own_provider_writes_the_rest(
    manager: Manager,
    ids: list[str],
    add: Callable[[Flask, type[JSONProvider]], None],
    provider: type[JSONProvider],
) -> None:
    """Whether it is there before the extension or after, of whichever library; its class stays what it is."""
    app = Flask("shop")
    add(app, provider)
    reply = view(app, lambda: jsonify({"users": [User.find(ids[0])], "warm": Celsius(30)}))
    assert reply.json["users"][0]["name"] == "user 0" and reply.json["warm"] == "30 °C"
    assert isinstance(app.json, provider)


def test_settings_of_the_provider_stay(app: Flask, ids: list[str]) -> None:
    """Those that were made, and those that follow."""
    app.json.sort_keys = False  # type: ignore[attr-defined]
    reply = view(app, lambda: {"z": User.find(ids[0]), "a": 1})
    assert reply.text.startswith('{"z":{"user_id":') and reply.mimetype == "application/json"


def test_other_values_keep_the_form_that_flask_gives_them(app: Flask) -> None:
    """A datetime beside an instance is an HTTP date, as before. What Flask has no form for has that of `to_json`."""
    values = {
        "at": datetime(2026, 1, 31, tzinfo=timezone.utc),
        "price": Decimal("1.50"),
        "id": UUID(int=1),
        "tags": {"b", "a"},
        "raw": b"\xfb",
    }
    assert view(app, lambda: values).json == {
        "at": "Sat, 31 Jan 2026 00:00:00 GMT",
        "price": "1.50",
        "id": "00000000-0000-0000-0000-000000000001",
        "tags": ["a", "b"],
        "raw": "+w==",
    }


class Labelled(NamedTuple):
    """An answer's part that is a subclass of a tuple."""

    label: str
    user: object


@dataclass
class Framed:
    """An answer's part that the provider knows, with an instance inside."""

    user: object


@pytest.mark.parametrize(
    "part",
    [
        lambda user: defaultdict(list, {"x": [user]}),
        lambda user: OrderedDict(x=user),
        lambda user: Labelled("x", user),
        lambda user: Framed(user),
        lambda user: {"tags": {"b", "a"}, "raw": b"\xfb", "user": user},
    ],
    ids=["defaultdict", "OrderedDict", "namedtuple", "dataclass", "refused values"],
)
def test_a_provider_of_another_library_writes_what_flasks_own_writes(
    manager: Manager, ids: list[str], part: Callable[[Any], Any]
) -> None:
    """Instances inside any dict, list or dataclass, and values that it has no form for. It keeps its own forms."""
    at = datetime(2026, 1, 31, tzinfo=timezone.utc)
    values = lambda: {"part": part(User.find(ids[0])), "warm": Celsius(30)}
    replies: list[Any] = []
    for provider in (WithDefault, OrjsonProvider):
        app = Flask("shop")
        as_class(app, provider)
        app.add_url_rule("/dict", "dict", lambda: {**values(), "at": at})
        app.add_url_rule("/jsonify", "jsonify", lambda: jsonify(**values()))
        replies += [app.test_client().get(path).json for path in ("/dict", "/jsonify")]
        assert replies[-2].pop("at") == orjson.loads(app.json.dumps(at))
    assert all(reply == replies[0] for reply in replies) and "user 0" in str(replies[0])


def test_what_nobody_can_write_is_flasks_error(app: Flask) -> None:
    """With its own text."""
    app.testing = True
    with pytest.raises(TypeError, match="Object of type object is not JSON serializable"):
        view(app, lambda: {"what": object()})


def test_what_nobody_can_write_is_the_error_of_the_provider(manager: Manager) -> None:
    """Of another library too."""
    app = Flask("shop")
    as_class(app, OrjsonProvider)
    app.testing = True
    with pytest.raises(TypeError, match="is not JSON serializable: object"):
        view(app, lambda: {"what": object(), "tags": {"a"}})


def test_an_instance_with_a_bad_attribute_has_no_answer(app: Flask, manager: Manager, ids: list[str]) -> None:
    """The error names model, key and field; the client gets 500."""
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": f"u#{ids[1]}"}, "_sk": {"S": "u"}},
        UpdateExpression="SET age = :a",
        ExpressionAttributeValues={":a": {"S": "old"}},
    )
    answer = lambda: jsonify([User.find(user_id) for user_id in ids])
    assert view(app, answer).status_code == 500
    app.testing = True
    with pytest.raises(DataFormatError, match=ids[1]):
        app.test_client().get("/")


# --- 404 -------------------------------------------------------------------------------------------------


def ask(app: Flask, model: type[Any], key: Any, **options: Any) -> Any:
    """The reply of a page that shows one instance."""
    return view(app, lambda: jsonify(Bao.get_or_404(model, key, **options)))


def test_a_stored_item_is_the_answer(app: Flask, ids: list[str], wire: Wire) -> None:
    """Loaded at once, in one round with what is pending."""
    wire.clear()

    def answer() -> Any:
        others = [User.find(user_id) for user_id in ids[1:]]
        return jsonify(name=Bao.get_or_404(User, ids[0]).name, others=others)

    assert view(app, answer).json["name"] == "user 0"
    assert wire.operations == ["BatchGetItem"] and len(wire.keys()) == 3


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (User, NOBODY),
        (User, "no-ulid"),
        (User, ""),
        (User, None),
        (User, "\udc80"),
        (Org, "x" * 3000),
        (Org, 3),
        (Org, "missing"),
        (Comment, "1"),
        (Comment, "1#2#3"),
        (Comment, ("1", "2")),
        (Comment, {"post_id": "1"}),
        (Comment, {"post_id": "1", "number": {"$gt": 0}}),
        (Comment, {"other": "1"}),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_not_there_is_404(app: Flask, model: type[Any], key: Any) -> None:
    """Also where no item can have the key, as with ids that a client made up."""
    reply = ask(app, model, key)
    assert reply.status_code == 404 and "Not Found" in reply.text


def test_a_malformed_id_costs_no_request(app: Flask, wire: Wire) -> None:
    """It is seen before anything is sent."""
    wire.clear()
    assert ask(app, User, "no-ulid").status_code == 404 and len(wire) == 0


def test_key_parts_by_name(app: Flask) -> None:
    """As `find` takes them. A wrong name is a mistake of the program, and no 404."""
    Comment.create(post_id="1", number=2, text="Yes")
    app.testing = True
    assert view(app, lambda: Bao.get_or_404(Comment, post_id="1", number=2).text).text == "Yes"
    with app.test_request_context(), run_with_batch_context(), pytest.raises(UnknownFieldError):
        Bao.get_or_404(Comment, post_id="1", nmber=2)


def test_the_text_of_the_page(app: Flask) -> None:
    """It can be the application's."""
    assert "No such user." in ask(app, User, NOBODY, description="No such user.").text


def test_the_first_match_or_404(app: Flask, ids: list[str], wire: Wire) -> None:
    """Of a query, which is asked for no more than that."""
    app.add_url_rule(
        "/",
        view_func=lambda: {
            "user": Bao.first_or_404(
                User.by_status.query(request.args["status"], limit=1), description="Nobody is."
            )
        },
    )
    client = app.test_client()
    wire.clear()
    assert client.get("/?status=active").json["user"]["user_id"] in ids
    assert wire.operations == ["Query"]
    reply = client.get("/?status=asleep")
    assert reply.status_code == 404 and "Nobody is." in reply.text


def test_the_first_of_any_instances(app: Flask) -> None:
    """A list will do."""
    with app.test_request_context():
        post = Post(title="one")
        assert Bao.first_or_404([post]) is post
