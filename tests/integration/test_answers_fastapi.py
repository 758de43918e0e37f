"""Models in FastAPI: as bodies and answers of real requests, in rounds that are counted as they are sent."""

import threading
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Body, Depends, FastAPI, HTTPException
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import ResponseValidationError
from fastapi.testclient import TestClient
from pydantic import BaseModel

from dynamo_bao import Manager, QueryResult, UnknownFieldError
from dynamo_bao.fastapi import BatchContextMiddleware, first_or_404, get_or_404
from tests.support.models import NOBODY, Comment, Org, Page, Post, User, store_users
from tests.support.response_models import PostOut, UserOut
from tests.support.wire import Wire

pytestmark = pytest.mark.quick_engines


@pytest.fixture
def app() -> FastAPI:
    """An application whose requests have sessions."""
    app = FastAPI()
    app.add_middleware(BatchContextMiddleware)
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client of the application, for which an error of the server is a reply."""
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def ids(manager: Manager) -> list[str]:
    """The ids of 100 stored users of 10 organisations."""
    return store_users()


# --- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", [User, UserOut], ids=["model", "from_attributes"])
def test_100_lazy_instances_are_one_request(
    app: FastAPI, client: TestClient, ids: list[str], wire: Wire, output: Any
) -> None:
    """Of a `def` endpoint. They load while the answer is validated, in the worker thread of the endpoint's kind."""

    @app.get("/", response_model=list[output])
    def users() -> Any:
        return [User.find(user_id) for user_id in ids]

    wire.clear()
    reply = client.get("/")
    assert wire.operations == ["BatchGetItem"] and len(wire.keys()) == 100
    assert [user["name"] for user in reply.json()] == [f"user {number}" for number in range(100)]


def test_nothing_is_read_on_the_event_loop(
    app: FastAPI, client: TestClient, ids: list[str], manager: Manager
) -> None:
    """A `def` endpoint's answer is serialised there, after it was loaded elsewhere."""
    threads: dict[str, int] = {}
    manager.on_request(lambda request: threads.setdefault("of the request", threading.get_ident()))

    @app.get("/")
    async def loop() -> None:
        threads["of the loop"] = threading.get_ident()

    @app.get("/users")
    def users() -> list[User]:
        return [User.find(user_id) for user_id in ids]

    client.get("/")
    assert len(client.get("/users").json()) == 100
    assert len(threads) == 2 and len(set(threads.values())) == 2


def test_relations_are_one_round_a_level(
    app: FastAPI, client: TestClient, ids: list[str], wire: Wire
) -> None:
    """By models of pydantic with `from_attributes`, of the posts, their users, and the users' organisations."""
    posts = [Post.create(user_id=user_id, title=f"post of {n}").post_id for n, user_id in enumerate(ids[:20])]

    @app.get("/", response_model=list[PostOut])
    def answer() -> Any:
        return [Post.find(post_id) for post_id in posts]

    wire.clear()
    assert client.get("/").json()[11] == {
        "title": "post of 11",
        "tags": [],
        "user": {"user_id": ids[11], "name": "user 11", "org": {"name": "org 1"}},
    }
    assert wire.operations == ["BatchGetItem"] * 3


def test_the_result_of_a_query_is_an_answer(
    app: FastAPI, client: TestClient, ids: list[str], wire: Wire
) -> None:
    """As the type that it has, and beside other values."""

    @app.get("/")
    def users() -> QueryResult[User]:
        return User.by_status.query("active")

    @app.get("/all")
    def everything() -> dict[str, Any]:
        users = User.by_status.query("active")
        return {"count": len(users), "users": users}  # loaded here, and not on the event loop

    wire.clear()
    assert {user["user_id"] for user in client.get("/").json()} == set(ids)
    assert wire.operations == ["Query"]
    reply = client.get("/all").json()
    assert len(reply["users"]) == reply["count"] == 100


def test_an_instance_of_a_dependency_is_part_of_the_round(
    app: FastAPI, client: TestClient, ids: list[str], wire: Wire
) -> None:
    """What dependencies looked up, and nobody has looked at yet, loads with the answer."""

    def owner() -> User:
        return User.find(ids[0])

    class Answer(BaseModel):
        owner: User
        org: Org

    @app.get("/")
    def answer(owner: Annotated[User, Depends(owner)]) -> Answer:
        return Answer(owner=owner, org=Org.find("1"))

    wire.clear()
    assert client.get("/").json()["owner"]["name"] == "user 0"
    assert wire.operations == ["BatchGetItem"] and len(wire.keys()) == 2


def test_fields_of_an_answer_are_chosen_as_usual(app: FastAPI, client: TestClient, ids: list[str]) -> None:
    """By FastAPI's own options."""
    options: list[dict[str, Any]] = [
        {"response_model_include": {"name", "email"}},
        {"response_model_include": {"name", "email"}, "response_model_exclude_none": True},
        {"response_model_exclude": set(User.__annotations__) - {"name"}},
    ]
    for number, option in enumerate(options):
        app.get(f"/{number}", response_model=User, **option)(lambda: User.find(ids[0]))
    replies = [client.get(f"/{number}").json() for number in range(3)]
    assert replies == [{"name": "user 0", "email": None}, {"name": "user 0"}, {"name": "user 0"}]


@pytest.mark.parametrize("output", [User, UserOut], ids=["model", "from_attributes"])
def test_an_item_that_is_not_stored_is_an_error_of_the_server(
    app: FastAPI, client: TestClient, manager: Manager, output: Any
) -> None:
    """500 for the client; what the application sees names model and key."""

    @app.get("/", response_model=list[output])
    def users() -> Any:
        return [User.find(NOBODY)]

    assert client.get("/").status_code == 500
    with pytest.raises(ResponseValidationError) as caught:
        TestClient(app).get("/")
    assert {error["type"] for error in caught.value.errors()} == {"get_attribute_error"}
    assert f"User '{NOBODY}' is not stored" in caught.value.errors()[0]["msg"]


def test_an_answer_without_a_model_has_the_same_forms(
    app: FastAPI, client: TestClient, ids: list[str]
) -> None:
    """Of instances that are loaded: an endpoint without a response model is written on the event loop."""
    image = b"\xfb\xff"

    @app.get("/")
    def answer() -> dict[str, Any]:
        comment = Comment.create(post_id="1", number=1, text="x", image=image)
        return {"user": User.find_or_none(ids[0]), "comment": comment}

    reply = client.get("/").json()
    assert reply["comment"] == {"post_id": "1", "number": 1, "text": "x", "image": "+/8="}
    assert reply["user"]["created_at"].endswith("Z")
    assert jsonable_encoder([Comment.find(("1", 1))]) == [reply["comment"]]


# --- items that may be missing -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "key"),
    [(User, NOBODY), (User, "no-ulid"), (User, ""), (Org, "x" * 3000), (Comment, "1"), (Comment, ("1", "2"))],
)
def test_what_is_not_stored_is_404(
    app: FastAPI, client: TestClient, manager: Manager, model: Any, key: Any
) -> None:
    """Also an id that no item can have. The text is FastAPI's, or the application's."""
    app.get("/", response_model=model)(lambda: get_or_404(model, key))
    app.get("/own", response_model=model)(lambda: get_or_404(model, key, detail="Nothing here."))
    for path, detail in (("/", "Not Found"), ("/own", "Nothing here.")):
        reply = client.get(path)
        assert reply.status_code == 404 and reply.json() == {"detail": detail}


def test_a_stored_item_is_loaded_at_once(
    app: FastAPI, client: TestClient, ids: list[str], wire: Wire
) -> None:
    """With what is pending, and by the names of its key's parts."""
    Comment.create(post_id="1", number=2, text="Yes")

    @app.get("/")
    def answer() -> list[User]:
        others = [User.find(user_id) for user_id in ids[1:]]
        return [get_or_404(User, ids[0]), *others]

    app.get("/comment", response_model=Comment)(lambda: get_or_404(Comment, post_id="1", number=2))
    wire.clear()
    assert len(client.get("/").json()) == 100
    assert wire.operations == ["BatchGetItem"]
    assert client.get("/comment").json()["text"] == "Yes"


def test_a_wrong_name_of_a_key_part_is_no_404(manager: Manager) -> None:
    """It is a mistake of the program."""
    with pytest.raises(UnknownFieldError):
        get_or_404(Comment, post_id="1", nmber=2)


def test_the_first_match_or_404(app: FastAPI, client: TestClient, ids: list[str], wire: Wire) -> None:
    """Of a query, which is asked for no more than that."""

    @app.get("/")
    def first(status: str) -> User:
        return first_or_404(User.by_status.query(status, limit=1), detail="Nobody is.")

    wire.clear()
    assert client.get("/?status=active").json()["user_id"] in ids
    assert wire.operations == ["Query"]
    reply = client.get("/?status=asleep")
    assert reply.status_code == 404 and reply.json() == {"detail": "Nobody is."}


# --- bodies ------------------------------------------------------------------------------------------------


def add(app: FastAPI, form: str) -> None:
    """An endpoint that saves the body and answers with what is stored."""

    def plain(user: User) -> User:
        return user.save()

    def optional(user: User | None = None) -> User | None:
        return user and user.save()

    def explicit(user: Annotated[User, Body()]) -> User:
        return user.save()

    def embedded(user: Annotated[User, Body(embed=True)]) -> User:
        return user.save()

    endpoint = {"plain": plain, "optional": optional, "explicit": explicit, "embedded": embedded}[form]
    app.post("/", status_code=201)(endpoint)


@pytest.mark.parametrize("form", ["plain", "optional", "explicit", "embedded"])
def test_a_body_is_saved(app: FastAPI, client: TestClient, manager: Manager, form: str) -> None:
    """However it is declared; the answer has what the library filled in, and not what the client made up."""
    add(app, form)
    body: dict[str, Any] = {"name": "Ada", "age": 36, "user_id": NOBODY, "created_at": "1815-12-10"}
    reply = client.post("/", json={"user": body} if form == "embedded" else body)
    assert reply.status_code == 201, reply.text
    user = User.find(reply.json()["user_id"])
    assert (user.name, user.age) == ("Ada", 36) and user.user_id != NOBODY
    assert user.created_at.year > 2000
    assert not User.find(NOBODY).exists()


def test_what_a_body_may_not_hold_is_422(
    app: FastAPI, client: TestClient, manager: Manager, wire: Wire
) -> None:
    """With the place and the reason of each fault, before any request."""
    add(app, "plain")
    wire.clear()
    reply = client.post("/", json={"name": 3, "age": "old", "is_admin": True})
    assert reply.status_code == 422 and len(wire) == 0
    assert [(fault["loc"], fault["msg"]) for fault in reply.json()["detail"]] == [
        (["body", "name"], "User.name takes str, not int"),
        (["body", "age"], "User.age takes int, not str"),
        (["body", "is_admin"], "Extra inputs are not permitted"),
    ]
    assert client.post("/", json=[]).status_code == 422
    assert client.post("/", content=b"{").status_code == 422


def test_several_bodies(app: FastAPI, client: TestClient, manager: Manager) -> None:
    """A list of a model, and two models of one body."""

    @app.post("/many")
    def many(orgs: list[Org]) -> list[Org]:
        return [org.save() for org in orgs]

    @app.post("/two")
    def two(org: Org, page: Page) -> dict[str, Any]:
        return {"org": org.save(), "page": page.save()}

    orgs = [{"org_id": "1", "name": "one"}, {"org_id": "2", "name": "two"}]
    assert client.post("/many", json=orgs).json() == orgs
    reply = client.post(
        "/two", json={"org": {"org_id": "3", "name": "three"}, "page": {"path": "/", "version": "x"}}
    )
    assert reply.json()["org"]["name"] == "three" and len(reply.json()["page"]["version"]) == 26


def test_an_update_by_a_body(app: FastAPI, client: TestClient, ids: list[str], wire: Wire) -> None:
    """Reads and writes of one request share its session."""

    class Changes(BaseModel):
        name: str

    @app.patch("/{user_id}")
    def change(user_id: str, changes: Changes) -> User:
        user = User.find_or_none(user_id)
        if user is None:
            raise HTTPException(404)
        user.name = changes.name
        return user.save()

    wire.clear()
    assert client.patch(f"/{ids[0]}", json={"name": "Grace"}).json()["name"] == "Grace"
    assert wire.operations == ["BatchGetItem", "UpdateItem"]
    assert client.patch(f"/{NOBODY}", json={"name": "x"}).status_code == 404


# --- the description of the application -------------------------------------------------------------------


def test_the_openapi_document(app: FastAPI, client: TestClient) -> None:
    """Bodies and answers are named definitions, one for each where they differ."""
    add(app, "plain")

    @app.get("/orgs")
    def orgs() -> list[Org]:
        return []

    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    operation = document["paths"]["/"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/User-Input"
    }
    assert operation["responses"]["201"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/User-Output"
    }
    assert schemas["User-Input"]["required"] == ["name"]
    assert schemas["User-Input"]["additionalProperties"] is False
    assert {name for name, field in schemas["User-Input"]["properties"].items() if "readOnly" in field} == {
        "user_id",
        "created_at",
    }
    assert schemas["User-Output"]["required"] == list(User.__annotations__)[:7]
    assert document["paths"]["/orgs"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Org"},
        "title": "Response Orgs Orgs Get",
    }
