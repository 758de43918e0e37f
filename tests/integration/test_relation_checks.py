"""Relations that lead nowhere, or can hold no value, are refused when their models are connected."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from dynamo_bao import MODEL_PREFIX, ConfigurationError, Model, PrimaryKey, RelatedField, init_models


def connected(*models: Any) -> None:
    init_models(models=models, embedded=True).close()


def test_a_relation_to_no_model_is_refused() -> None:
    """The error names model and field, and the model that was perhaps meant."""

    class Somewhere(Model, prefix="sw"):
        key: str
        primary_key = PrimaryKey("key")

    class Lost(Model, prefix="lo"):
        key: str
        other_id: str = RelatedField("Somewhre")
        primary_key = PrimaryKey("key")

    with pytest.raises(
        ConfigurationError, match=r"Lost\.other_id relates to 'Somewhre', which is not a model.*Somewhere"
    ):
        connected(Somewhere, Lost)


def test_a_model_that_is_connected_later_counts() -> None:
    """A relation to a model that exists, though not in this manager, is told where it is used."""

    class Elsewhere(Model, prefix="el"):
        key: str
        primary_key = PrimaryKey("key")

    class Leaving(Model, prefix="le"):
        key: str
        other_id: str = RelatedField("Elsewhere")
        primary_key = PrimaryKey("key")

    connected(Leaving)
    assert Elsewhere.__name__ == "Elsewhere"


WITH_ALL_MODELS = """
from dynamo_bao import ConfigurationError, Model, PrimaryKey, RelatedField, init_models

class Early(Model, prefix="ea"):
    key: str
    other_id: str | None = RelatedField("LaterOne", default=None)
    primary_key = PrimaryKey("key")

with init_models(embedded=True):
    try:
        Early.create(key="a")
    except ConfigurationError as error:
        print(error)

    class LaterOne(Model, prefix="la"):
        key: str
        primary_key = PrimaryKey("key")

    Early.create(key="a", other_id=LaterOne.create(key="b"))
"""


def test_with_all_models_it_is_refused_at_the_first_use() -> None:
    """A model that is defined after `init_models` counts then. In a process that has no other models."""
    run = subprocess.run([sys.executable, "-c", WITH_ALL_MODELS], capture_output=True, text=True, check=True)
    assert "Early.other_id relates to 'LaterOne'" in run.stdout


class Pair(Model, prefix="pr"):
    one: str
    two: str
    primary_key = PrimaryKey("one", "two")


class OfPair(Model, prefix="op"):
    pair_id: str = RelatedField("Pair")
    primary_key = PrimaryKey("pair_id")


@pytest.mark.parametrize("target", ["Pair", "OfPair"])
@pytest.mark.parametrize("place", [("other_id", "name"), ("name", "other_id")])
def test_an_id_of_two_parts_is_no_part_of_a_key(target: str, place: tuple[str, str]) -> None:
    """No value could ever be stored: the error says what to do."""

    class Note(Model, prefix="no"):
        name: str
        other_id: str = RelatedField(target)
        primary_key = PrimaryKey(*place)

    with pytest.raises(ConfigurationError, match=rf"Note\.other_id: .*ids of {target} have two parts"):
        connected(Pair, OfPair, Note)


def test_it_may_be_a_key_by_itself_and_any_other_field() -> None:
    """Where the key has one field, an id of two parts is one; so it is in other fields."""

    class Ranked(Model, prefix="ra"):
        other_id: str = RelatedField(Pair)
        name: str
        primary_key = PrimaryKey(MODEL_PREFIX, "other_id")

    with init_models(models=[Pair, OfPair, Ranked], embedded=True):
        pair = Pair.create(one="a", two="b")
        assert Ranked.create(other_id=pair, name="x").primary_id == pair.primary_id
        assert OfPair.create(pair_id=pair).pair_id == "a##__SK__##b"


@pytest.mark.parametrize("target", ["", 5, int, None])
def test_a_relation_needs_a_model(target: Any) -> None:
    """What is neither a model nor a name is refused at the class statement."""
    with pytest.raises(ConfigurationError, match=r"Odd\.other_id: RelatedField\(.*names no model"):

        class Odd(Model, prefix="od"):
            key: str
            other_id: str = RelatedField(target)
            primary_key = PrimaryKey("key")


# --- other managers -----------------------------------------------------------------------------------


class Depot(Model, prefix="dp"):
    key: str
    primary_key = PrimaryKey("key")


class Parcel(Model, prefix="pa"):
    key: str
    depot_id: str | None = RelatedField("Depot", default=None)
    primary_key = PrimaryKey("key")


class Crate(Model, prefix="cr"):
    key: str
    depot_id: str | None = RelatedField(Depot, default=None)
    primary_key = PrimaryKey("key")


USES: dict[str, Callable[[Any], object]] = {
    "a look": lambda one: one.depot.key,
    "the names": lambda one: one.get_related("depot_id"),
    "loading": lambda one: one.load_related_data(),
    "loading one": lambda one: one.load_related_data(["depot_id"]),
    "loading with a query": lambda one: type(one).query_by_index("primary_key", "k", load_related=True).all(),
    "targets": lambda one: type(one).query_by_index("primary_key", "k", related_only="depot_id").all(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("model", [Parcel, Crate])
def test_a_relation_to_another_managers_model(model: Any, use: Callable[[Any], object]) -> None:
    """Names that manager, and the ways out."""
    with (
        init_models(models=[Depot], table_name="depots-table", embedded=True),
        init_models(models=[model], table_name="parcels-table", embedded=True),
    ):
        one = model.create(key="k", depot_id="d")
        with pytest.raises(ConfigurationError) as caught:
            use(one)
    told = str(caught.value)
    assert f"{model.__name__} relates to 'Depot', which is a model of another manager" in told
    assert "'depots-table'" in told and "StringField" in told
    assert f"init_models(models=[{model.__name__}, Depot" in told and "manager.repository(Depot)" in told


@pytest.mark.parametrize("model", [Parcel, Crate])
def test_a_relation_to_a_model_that_nobody_connected(model: Any) -> None:
    """Says where it is defined."""
    with init_models(models=[model], table_name="parcels-table", embedded=True):
        one = model.create(key="k", depot_id="d")
        with pytest.raises(ConfigurationError, match=r"\.Depot\) of none of the open managers.*init_models"):
            one.depot.key


def test_the_repository_of_another_managers_model() -> None:
    """Names that manager too."""
    with (
        init_models(models=[Depot], table_name="depots-table", embedded=True),
        init_models(models=[Parcel], table_name="parcels-table", embedded=True) as manager,
        pytest.raises(ConfigurationError, match=r"Depot is not one of this manager's.*'depots-table'"),
    ):
        manager.repository(Depot)
