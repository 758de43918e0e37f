"""invalid-lookups.test.js: looking for what is not there."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    Index,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    UniqueConstraint,
    ValidationError,
    run_with_batch_context,
)


class User(Model, prefix="inv", name="InvUser"):
    user_id: str = UlidField(auto_assign=True)
    email: str = StringField()
    status: str = StringField(default="active")

    primary_key = PrimaryKey("user_id")
    by_status = Index("status", "user_id", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")


class Note(Model, prefix="invn", name="InvNote"):
    note_id: str = StringField()

    primary_key = PrimaryKey("note_id")


MODELS = [User, Note]

pytestmark = pytest.mark.usefixtures("manager")


def test_01_unknown_id() -> None:
    """A find of an id that nobody has does not exist, inside and outside a context."""
    User.create(email="ada@example.com")
    missing = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    assert not User.find(missing).exists()
    with run_with_batch_context():
        assert not User.find(missing).exists()


def test_02_separators_in_an_id() -> None:
    """An id with a composite key's separator in it is another id (right, not as JavaScript: defect 10)."""
    note = Note.create(note_id="n1")
    for separator in ("##__SK__##", "#", "|"):
        assert not Note.find(f"n1{separator}anything").exists()
    assert Note.find("n1") == note
    user = User.create(email="ada@example.com")
    with pytest.raises(ValidationError, match="user_id"):
        User.find(f"{user.user_id}##__SK__##anything")


def test_03_unknown_unique_value() -> None:
    """A unique value that nobody has gives None."""
    User.create(email="ada@example.com")
    assert User.find_by_unique_constraint("unique_email", "nobody@example.com") is None
    assert User.find_by_email("nobody@example.com") is None


def test_04_unknown_index_value() -> None:
    """A query of a value that nobody has gives nothing."""
    User.create(email="ada@example.com")
    result = User.query_by_index("by_status", "nowhere")
    assert list(result) == []
    assert result.count == len(result) == 0
    assert not result
