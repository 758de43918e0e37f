"""Names made from a definition, and the table that is made."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    ConfigurationError,
    Index,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    UniqueConstraint,
    init_models,
)
from tests.support.raw_server import http, raw_server


class DxPerson(Model, prefix="x7p"):
    person_id: str = StringField()
    email: str = StringField(default='it\'s "none" \\ yet')
    team: str = StringField(default="red")

    primary_key = PrimaryKey("person_id")
    by_format = Index("team", "person_id", id="gsi1")
    everyone = Index(MODEL_PREFIX, "person_id", id="gsi2")
    email_key = UniqueConstraint("email", id="uc1")


class DxFollow(Model, prefix="x7f", table_type="mapping"):
    follower_id: str = RelatedField("DxPerson")
    followed_id: str = RelatedField("DxPerson")

    primary_key = PrimaryKey("follower_id", "followed_id")
    followed_for_follower = primary_key
    followers_for_followed = Index("followed_id", "follower_id", id="gsi1")


class DxText(Model, prefix="x7t", iterable=True, searchable=["text"]):
    text_id: str = StringField()
    text: str = StringField()

    primary_key = PrimaryKey("text_id")


MODELS = [DxPerson, DxFollow, DxText]


@pytest.mark.defect(41)
def test_names(manager: Manager) -> None:
    """Each index and constraint has its method, under its name; defaults are the texts that were given."""
    ada, bob = DxPerson.create(person_id="ada", email="a@x"), DxPerson.create(person_id="bob")
    assert bob.email == DxPerson.find("bob").email == 'it\'s "none" \\ yet'
    assert [one.person_id for one in DxPerson.query_by_format("red")] == ["ada", "bob"]
    assert {one.person_id for one in DxPerson.query_everyone()} == {"ada", "bob"}
    assert DxPerson.find_by_email("a@x") == ada
    assert not hasattr(DxPerson, "query_primary_key")


@pytest.mark.defect(41)
def test_a_mapping_of_a_model_to_itself(manager: Manager) -> None:
    """A mapping model may relate a model to itself, in both directions."""
    ada, bob = DxPerson.create(person_id="ada", email="a@x"), DxPerson.create(person_id="bob")
    DxFollow.create(follower_id=ada, followed_id=bob)
    assert [row.followed for row in DxFollow.query_followed_for_follower(ada)] == [bob]
    assert [row.follower for row in DxFollow.query_followers_for_followed(bob)] == [ada]


@pytest.mark.defect(41)
def test_an_index_that_there_is_not() -> None:
    """gsi6 is refused at once."""
    with pytest.raises(ConfigurationError, match="gsi6"):

        class DxSixth(Model, prefix="x7s"):
            sixth_id: str = StringField()

            primary_key = PrimaryKey("sixth_id")
            by_sixth = Index("sixth_id", id="gsi6")


@pytest.mark.defect(42)
def test_a_new_table_has_every_index(manager: Manager) -> None:
    """A table made for searchable models has the index of searches, and is ready when the call returns."""
    found = manager.client.describe_table(TableName=manager.table_name)["Table"]
    names = {index["IndexName"] for index in found["GlobalSecondaryIndexes"]}
    assert names == {"gsi1", "gsi2", "gsi3", "gsi4", "gsi5", "iter_index", "iter_search_index"}
    assert {index["IndexStatus"] for index in found["GlobalSecondaryIndexes"]} == {"ACTIVE"}


@pytest.mark.defect(42)
def test_an_error_of_creation_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that cannot be made is an error, not a line on the screen."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "dummy")

    def answer(operation: str, body: bytes) -> bytes:
        code = "ResourceNotFoundException" if operation == "DescribeTable" else "AccessDeniedException"
        return http(b'{"__type": "x#%s", "message": "no"}' % code.encode(), status="400 Bad Request")

    settings: dict[str, Any] = {"table_name": "app", "region": "us-east-1"}
    with (
        raw_server(answer) as (url, _),
        init_models(models=MODELS, endpoint_url=url, **settings) as manager,
        pytest.raises(Exception, match="IAM policy"),
    ):
        manager.create_table()
