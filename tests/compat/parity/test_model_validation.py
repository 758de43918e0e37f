"""model-validation.test.js: what a definition and a required value must be."""

from __future__ import annotations

import pytest

from dynamo_bao import ConfigurationError, Index, Model, PrimaryKey, StringField, UlidField, ValidationError
from tests.support.wire import Wire


class Pair(Model, prefix="mvp", name="MvPair"):
    group_id: str = StringField()
    item_id: str = StringField()
    title: str = StringField()
    note: str | None = StringField(default=None)

    primary_key = PrimaryKey("group_id", "item_id")


class Single(Model, prefix="mvs", name="MvSingle"):
    item_id: str = StringField()
    title: str = StringField()
    note: str | None = StringField(default=None)

    primary_key = PrimaryKey("item_id")


class Explicit(Model, prefix="mve", name="MvExplicit"):
    group_id: str = StringField(required=True)
    item_id: str = StringField(required=True)
    note: str | None = StringField(default=None)

    primary_key = PrimaryKey("group_id", "item_id")


MODELS = [Pair, Single, Explicit]

pytestmark = pytest.mark.usefixtures("manager")


def test_01_field_names() -> None:
    """A field name cannot start with an underscore."""
    with pytest.raises(ConfigurationError, match="_hidden") as caught:

        class Wrong(Model, prefix="mvw", name="MvWrong"):
            item_id: str = UlidField(auto_assign=True)
            _hidden: str = StringField()

            primary_key = PrimaryKey("item_id")

    assert caught.value.field == "_hidden"


def test_02_index_names() -> None:
    """Nor can an index's name."""
    with pytest.raises(ConfigurationError, match="_by_status"):

        class Wrong(Model, prefix="mvw", name="MvWrong"):
            item_id: str = UlidField(auto_assign=True)
            status: str = StringField()

            primary_key = PrimaryKey("item_id")
            _by_status = Index("status", "item_id", id="gsi1")


def test_03_required_at_create(wire: Wire) -> None:
    """create without a required field or a key names it; optional fields may be left out."""
    with pytest.raises(ValidationError, match="title"):
        Pair.create(group_id="g", item_id="1")
    with pytest.raises(ValidationError, match="item_id"):
        Pair.create(group_id="g", title="first")
    with pytest.raises(ValidationError, match="title"):
        Pair.create(group_id="g", item_id="1", title=None)
    assert len(wire) == 0
    assert Pair.create(group_id="g", item_id="1", title="first").note is None


def test_04_required_at_update() -> None:
    """A required field cannot become None; other updates work."""
    pair = Pair.create(group_id="g", item_id="1", title="first")
    with pytest.raises(ValidationError, match="title"):
        Pair.update(pair.primary_id, title=None)
    assert Pair.update(pair.primary_id, note="later").note == "later"
    assert Pair.find(pair.primary_id).title == "first"


def test_05_keys_are_required(wire: Wire) -> None:
    """Both fields of a primary key are required without saying so."""
    with pytest.raises(ValidationError) as caught:
        Pair.create(title="first")
    assert {error.field for error in caught.value.errors} == {"group_id", "item_id"}
    for key in ("group_id", "item_id"):
        with pytest.raises(ValidationError, match=key):
            Pair.create(**{"group_id": "g", "item_id": "1", "title": "first", key: None})
    assert len(wire) == 0


def test_06_a_single_key(wire: Wire) -> None:
    """So is the field of a key of one field."""
    for missing in ({"title": "first"}, {"item_id": None, "title": "first"}):
        with pytest.raises(ValidationError, match="item_id"):
            Single.create(**missing)
    assert len(wire) == 0
    assert Single.create(item_id="1", title="first").title == "first"


def test_07_explicitly_required_keys() -> None:
    """Saying so is fine too; a key cannot become None by an update."""
    item = Explicit.create(group_id="g", item_id="1")
    with pytest.raises(ValidationError, match="item_id"):
        Explicit.update(item.primary_id, item_id=None)
    assert Explicit.update(item.primary_id, note="later").note == "later"
    assert Explicit.find(("g", "1")).note == "later"
