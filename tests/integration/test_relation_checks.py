"""Relations that lead nowhere, or can hold no value, are refused when their models are connected."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    ConfigurationError,
    HasMany,
    Index,
    Model,
    PrimaryKey,
    Related,
    RelatedField,
    init_models,
)


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


def test_a_name_that_two_models_have_is_refused() -> None:
    """The error names both classes, and says to give the class itself."""

    def first() -> Any:
        class Twin(Model, prefix="ta", name="FirstTwin"):
            key: str
            primary_key = PrimaryKey("key")

        return Twin

    def second() -> Any:
        class Twin(Model, prefix="tb", name="SecondTwin"):
            key: str
            primary_key = PrimaryKey("key")

        return Twin

    class Sibling(Model, prefix="si"):
        key: str
        twin_id: str = RelatedField("Twin")
        primary_key = PrimaryKey("key")

    with init_models(models=[first(), second(), Sibling], embedded=True):
        sibling: Any = Sibling.create(key="s", twin_id="t")
        with pytest.raises(
            ConfigurationError, match=r"'Twin', which may be .*first.* and .*second.*; name the class"
        ):
            _ = sibling.twin


def test_a_relation_may_name_the_class_itself() -> None:
    """Its index gives the parent a method, unless the parent has one of that name."""

    class Parent(Model, prefix="pa"):
        key: str
        primary_key = PrimaryKey("key")

        def query_elders(self) -> str:
            return "its own"

    class Child(Model, prefix="ch"):
        key: str
        parent_id: str = RelatedField(Parent)
        primary_key = PrimaryKey("key")
        children = Index("parent_id", "key", id="gsi1")
        elders = Index("parent_id", id="gsi2")

    with init_models(models=[Parent, Child], embedded=True):
        parent: Any = Parent.create(key="p")
        Child.create(key="c", parent_id=parent)
        assert [child.key for child in parent.query_children()] == ["c"]
        assert parent.query_elders() == "its own"


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


CELL = """
class Author(Model, prefix="au"):
    author_id: str
    primary_key = PrimaryKey("author_id")
    books = HasMany["Book"]("books_for_author")

class Book(Model, prefix="bk"):
    book_id: str
    author_id: str = RelatedField("Author")
    primary_key = PrimaryKey("book_id")
    books_for_author = Index("author_id", "book_id", id="gsi1")
"""
CELL_RUN_AGAIN = f"""
from dynamo_bao import HasMany, Index, Model, PrimaryKey, RelatedField, init_models
{CELL}
with init_models(embedded=True) as manager:
    Author.create(author_id="mary")
    Book.create(book_id="1", author_id="mary")
    assert len(Author.find("mary").books) == 1
    {{between}}
    {CELL.replace(chr(10), chr(10) + "    ").replace("book_id: str", "book_id: str; year: int = 1818")}
    author = Book.find("1").author
    for book in (Book.find("1"), *author.books, *author.query_books()):
        print(book.year, type(book) is Book, type(book.author) is Author)
"""


@pytest.mark.parametrize("between", ["", "earlier = Book, Author", "kept = Author.find('mary')"])
def test_a_class_that_is_defined_again_takes_its_relations(between: str) -> None:
    """As in a notebook, whose cell with models is run again after `init_models`, or by a reload of a module."""
    program = CELL_RUN_AGAIN.format(between=between)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.stderr == ""
    assert run.stdout.splitlines() == ["1818 True True"] * 3


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


# --- relations to one, with a type --------------------------------------------------------------------


class Team(Model, prefix="te"):
    key: str
    primary_key = PrimaryKey("key")


def player(relation: Any) -> Any:
    """A model with a relation field to a team, and a typed relation."""

    class Player(Model, prefix="pl"):
        key: str
        nick: str
        team_id: str | None = RelatedField("Team", default=None)
        primary_key = PrimaryKey("key")
        side = relation

    return Player


@pytest.mark.parametrize(
    ("relation", "says"),
    [
        (
            Related["Depot"]("team_id"),
            r"\['Depot'\]\('team_id'\): team_id relates to Team\. Write Related\[\"Team\"\]",
        ),
        (Related["Depot | None"]("team_id"), "team_id relates to Team"),
        (Related[Depot]("team_id"), "team_id relates to Team"),
        (Related["Team"]("nick"), "'nick' is not a relation field.*team_id"),
        (Related["Team"]("temid"), "'temid' is not a relation field.*team_id"),
        (Related["Team"](5), "5 is not a relation field"),  # type: ignore[arg-type]
    ],
)
def test_a_typed_relation_that_does_not_fit_its_field_is_refused(relation: Any, says: str) -> None:
    """Its type would be that of one model, and its value an instance of another one."""
    with pytest.raises(ConfigurationError, match=rf"Player\.side = Related.*{says}"):
        connected(Depot, Team, player(relation))


@pytest.mark.parametrize(
    "relation",
    [
        Related["Team"]("team_id"),
        Related["Team | None"]("team_id"),
        Related[Team]("team_id"),
        Related[Team | None]("team_id"),
        Related["SomeAlias"]("team_id"),  # type: ignore[name-defined]
        Related("team_id"),
        Related[Any]("team_id"),
        Related[Model]("team_id"),
    ],
)
def test_a_typed_relation_takes_all_types_of_its_model(relation: Any) -> None:
    """The model, also where it is optional, a base of it, and names that only checkers know."""
    model = player(relation)
    with init_models(models=[Depot, Team, model], embedded=True):
        team = Team.create(key="t")
        assert model.create(key="p", nick="n", team_id=team).side == team


def test_related_names_the_model_of_its_field() -> None:
    """Another model would be a type that the instance does not have."""
    with init_models(models=[Depot, Team, Parcel], embedded=True):
        parcel = Parcel.create(key="p", depot_id=Depot.create(key="d"))
        assert parcel.related(Depot, "depot_id").key == "d"
        assert parcel.related(Model, "depot_id").exists()
        with pytest.raises(
            ConfigurationError, match=r"Parcel\.depot_id relates to Depot, not to Team; write related\(Depot"
        ):
            parcel.related(Team, "depot_id")
        parcel.depot_id = None
        with pytest.raises(ConfigurationError, match="not to Team"):
            parcel.related(Team, "depot_id")


# --- relations to many ------------------------------------------------------------------------------------


class Singer(Model, prefix="sg"):
    singer_id: str
    primary_key = PrimaryKey("singer_id")


class Song(Model, prefix="so"):
    song_id: str
    singer_id: str = RelatedField("Singer")
    year: int
    primary_key = PrimaryKey("song_id")
    songs_for_singer = Index("singer_id", "year", id="gsi1")
    by_year = Index("year", id="gsi2")
    all_songs = Index(MODEL_PREFIX, "year", id="gsi3")


class Duet(Model, prefix="du", table_type="mapping"):
    singer_id: str = RelatedField("Singer")
    song_id: str = RelatedField("Song")
    primary_key = PrimaryKey("singer_id", "song_id")
    duets_for_singer = primary_key


class Listing(Model, prefix="ls", table_type="mapping"):
    star_id: str = RelatedField("Star")
    week: int
    primary_key = PrimaryKey("star_id", "week")
    charts_for_star = primary_key


Many: Any = HasMany
WRONG_TO_MANY: dict[str, tuple[Any, str]] = {
    "no model": (Many["Songg"]("songs_for_singer"), "'Songg' is not a model. Did you mean 'Song'"),
    "no index": (
        Many["Song"]("songs_for_singers"),
        "Song has no index 'songs_for_singers'. Did you mean 'songs_for_singer'",
    ),
    "another partition key": (
        Many["Song"]("by_year"),
        "the partition key of Song.by_year is 'year', not a relation to Star. Give Song an index",
    ),
    "no partition key": (Many["Song"]("all_songs"), "is the prefix of the model, not a relation to Star"),
    "another model's relation": (
        Many["Song"]("songs_for_singer"),
        "is 'singer_id', not a relation to Star",
    ),
    "no mapping model": (
        Many["Song"]("songs_for_star", through="Hit"),
        "takes a mapping model, and Hit is an ordinary one",
    ),
    "through a model without another relation": (
        Many["Song"]("charts_for_star", through="Listing"),
        "Listing has no other relation in its key, not to Song",
    ),
    "through no model": (
        Many["Song"]("songs_for_star", through="Hitt"),
        "'Hitt' is not a model. Did you",
    ),
    "the wrong other end": (
        Many["Singer"]("songs_for_star", through="Chart"),
        "Chart leads to Song, not to Singer",
    ),
}


@pytest.mark.parametrize("name", WRONG_TO_MANY)
def test_a_relation_to_many_needs_an_index_that_relates_to_its_model(name: str) -> None:
    """The error names the relation, what is wrong, and the nearest name."""
    relation, text = WRONG_TO_MANY[name]

    class Star(Model, prefix="st"):
        star_id: str
        primary_key = PrimaryKey("star_id")
        songs = relation

    class Hit(Model, prefix="hi"):
        star_id: str = RelatedField("Star")
        song_id: str = RelatedField("Song")
        primary_key = PrimaryKey("star_id", "song_id")
        songs_for_star = primary_key

    class Chart(Model, prefix="ch", table_type="mapping"):
        star_id: str = RelatedField("Star")
        song_id: str = RelatedField("Song")
        primary_key = PrimaryKey("star_id", "song_id")
        songs_for_star = primary_key

    with pytest.raises(ConfigurationError) as error:
        connected(Star, Hit, Chart, Singer, Song, Duet)
    assert str(error.value).startswith("Star.songs = HasMany[")
    assert text in str(error.value)
    assert error.value.field == "songs"


def test_a_fitting_index_is_named() -> None:
    """If the other model has one, the error says so."""

    class Band(Model, prefix="ba"):
        band_id: str
        primary_key = PrimaryKey("band_id")
        gigs = HasMany["Gig"]("by_day")

    class Gig(Model, prefix="gi"):
        gig_id: str
        band_id: str = RelatedField("Band")
        day: str
        primary_key = PrimaryKey("gig_id")
        by_day = Index("day", id="gsi1")
        gigs_for_band = Index("band_id", id="gsi2")

    with pytest.raises(ConfigurationError, match="Use 'gigs_for_band'"):
        connected(Band, Gig)


def test_a_class_may_be_named_instead_of_its_name() -> None:
    """Both the related model and the mapping model, and a name may be that of the class or the stored one."""

    class Record(Model, prefix="re", name="Vinyl"):
        record_id: str
        singer_id: str = RelatedField("Voice")
        primary_key = PrimaryKey("record_id")
        records_for_singer = Index("singer_id", id="gsi1")

    class Part(Model, prefix="pa", table_type="mapping"):
        singer_id: str = RelatedField("Voice")
        record_id: str = RelatedField("Vinyl")
        primary_key = PrimaryKey("singer_id", "record_id")
        records_of_singer = primary_key

    class Voice(Model, prefix="vo"):
        voice_id: str
        primary_key = PrimaryKey("voice_id")
        records = HasMany["Record"]("records_for_singer")
        vinyls = HasMany["Vinyl"]("records_for_singer")  # type: ignore[name-defined]
        parts = HasMany[Record]("records_of_singer", through=Part)
        all_parts = HasMany[Part]("records_of_singer")

    with init_models(models=[Voice, Record, Part], embedded=True):
        Record.create(record_id="r", singer_id="v")
        Part.create(singer_id="v", record_id="r")
        voice = Voice.create(voice_id="v")
        for records in (voice.records, voice.vinyls, voice.parts):
            assert [record.record_id for record in records] == ["r"]
        assert isinstance(voice.all_parts[0], Part)


def test_a_relation_to_many_can_be_inherited() -> None:
    """A base without a prefix declares it for its models, whose own indexes it then needs."""

    class Owner(Model):
        key: str
        notes = HasMany["Note"]("notes_for_owner")

    class Shelf(Owner, prefix="sh"):
        primary_key = PrimaryKey("key")

    class Note(Model, prefix="no"):
        key: str
        shelf_id: str = RelatedField("Shelf")
        primary_key = PrimaryKey("key")
        notes_for_owner = Index("shelf_id", id="gsi1")

    with init_models(models=[Shelf, Note], embedded=True):
        Note.create(key="n", shelf_id=Shelf.create(key="s").key)
        assert [note.key for note in Shelf.find("s").notes] == ["n"]


@pytest.mark.parametrize(
    ("name", "relation", "text"),
    [
        ("save", HasMany["Song"]("songs_for_singer"), "the name would hide Model.save"),
        ("songs", HasMany("songs_for_singer"), 'names no model; write HasMany["Post"]'),
        ("songs", Many["Song"](7), "7 is no name of an index"),
    ],
)
def test_a_wrong_declaration_is_refused_at_the_class_statement(name: str, relation: Any, text: str) -> None:
    """One that would hide a method, or that names no model or index."""
    body = {"__annotations__": {"key": str}, "primary_key": PrimaryKey("key"), name: relation}
    with pytest.raises(ConfigurationError, match=re.escape(text)):
        type("Wrong", (Model,), body, prefix="wr")


def test_a_relation_field_named_like_a_method_is_refused() -> None:
    """Its relation would have no attribute; another name for the relation mends that."""
    with pytest.raises(
        ConfigurationError, match=r"Return\.refresh, which is a method.*refresh_ = Related\['Singer'\]"
    ):

        class Return(Model, prefix="rt"):
            key: str
            refresh_id: str = RelatedField("Singer")
            primary_key = PrimaryKey("key")

    class Renamed(Model, prefix="rn"):
        key: str
        refresh_id: str = RelatedField("Singer")
        primary_key = PrimaryKey("key")
        refreshed_by = Related["Singer"]("refresh_id")

    with init_models(models=[Renamed, Singer], embedded=True):
        renamed = Renamed(key="a", refresh_id=Singer.create(singer_id="s").singer_id)
        assert renamed.refreshed_by.singer_id == "s"
