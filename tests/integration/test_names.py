"""Fields of any name: each works everywhere, or is refused where the class is stated, with what to write instead."""

from __future__ import annotations

import builtins
import inspect
import keyword
import types
from collections.abc import Iterator
from typing import Any

import pytest

from dynamo_bao import (
    ConfigurationError,
    Index,
    IntegerField,
    Manager,
    Model,
    ModelFileError,
    PrimaryKey,
    QueryResult,
    Repository,
    StringField,
    UniqueConstraint,
    ValidationError,
    VersionField,
    init_models,
    load_models,
    run_with_batch_context,
    transaction,
    where,
)
from dynamo_bao.reads.query import Query, QueryOptions
from tests.support.model_files import forget_loaded, generated_package

pytestmark = pytest.mark.one_engine

__all__ = ["forget_loaded"]


def _parameters(owner: type[Any]) -> set[str]:
    """The names of the parameters of all methods of a class."""
    names: set[str] = set()
    for name, value in vars(owner).items():
        function = getattr(value, "__func__", value)
        if callable(function) and (name == "__init__" or not name.startswith("__")):
            names.update(inspect.signature(function).parameters)
    return names


PARAMETERS = sorted(
    set().union(*map(_parameters, (Model, *Repository.__mro__[:-1], QueryResult, Query, Manager)))
    | {
        "self",
        "cls",
        "model",
        "owner",
        "instance",
        "fields",
        "values",
        "changes",
        "others",
        "args",
        "kwargs",
        "state",
    }
    | set(QueryOptions.__annotations__)
)
NAMES = sorted(
    {
        *(name for name in dir(Model) if not name.startswith("__")),
        *PARAMETERS,
        *(word for word in (*keyword.kwlist, *keyword.softkwlist)),
        *(name for name in dir(builtins) if not name.startswith("_")),
        "v0",
        "first0",
        "field0",
        "initial0",
        "mro",
        "name",
        "schema",
        "path",
        "steps",
        "size",
        "items",
        "count_",
    }
)
PARTS = 6
"""How many models the names are spread over, as moto reads no expression of 200 names."""
REFUSED = {
    *(name for name in dir(Model) if not name.startswith("__") and name != "changes"),
    "fields", "primary_key", "condition", "version", "_", *keyword.kwlist,
}  # fmt: skip


def model(prefix: str, names: list[str], /, **body: Any) -> type[Any]:
    """A model with a text field of each name, beside its key."""
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__qualname__": f"model.<locals>.Named{prefix}",
        "__annotations__": {"the_id": str, **dict.fromkeys(names, str)},
        "the_id": StringField(),
        "primary_key": PrimaryKey("the_id"),
        **{name: StringField(default="none") for name in names},
        **body,
    }
    return types.new_class(f"Named{prefix}", (Model,), {"prefix": prefix}, lambda ns: ns.update(namespace))


def values(names: list[str], text: str) -> dict[str, str]:
    """A value of its own for every name."""
    return {name: f"{text} {name}" for name in names}


@pytest.fixture
def connect(connection: dict[str, Any], ready_table: str) -> Iterator[Any]:
    """Connects models to a new table."""
    opened: list[Manager] = []

    def connected(*models: type[Any]) -> Manager:
        manager = init_models(models=models, table_name=ready_table, **connection)
        opened.append(manager)
        return manager

    yield connected
    for manager in opened:
        manager.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_taken_or_refused_with_what_to_write_instead(name: str) -> None:
    """What is refused says the field's name, and the declaration it advises is taken."""
    if name not in REFUSED:
        assert name in model("n", [name]).fields.__dir__()
        return
    with pytest.raises(ConfigurationError, match=rf"Namedn\.{name}: ") as caught:
        model("n", [name])
    assert "attribute=" in str(caught.value)
    is_private = name.startswith("_")
    advised = (name.strip("_") or "field") if is_private else f"{name}_"
    stored = f"x{name}" if is_private else name
    assert f'{advised}: … = StringField(attribute="{stored}")' in str(caught.value)
    made = model("n", [], **{advised: StringField(attribute=stored, default="none")})
    assert advised in made.fields.__dir__()


@pytest.mark.parametrize("name", ["", "a b", "a.b", "1st", "a-b", "__dunder__", "_private"])
def test_what_is_no_name_is_refused(name: str) -> None:
    """Only `types.new_class` can ask for such fields."""
    with pytest.raises(ConfigurationError, match=r"not a valid name in Python|cannot start with _"):
        model("n", [name] if not name.startswith("__") else [], **({name: StringField()} if name else {}))


def test_a_version_field_may_be_called_version() -> None:
    """`update(version=…)` is then what it is for; nothing else may be called so."""
    assert "version" in model("n", [], version=VersionField()).fields.__dir__()
    with pytest.raises(ConfigurationError, match=r'version_: … = IntegerField\(attribute="version"\)'):
        model("n", [], version=IntegerField())


def test_indexes_and_constraints_do_not_hide_methods() -> None:
    """Their names are not stored, so that another one is all it takes."""
    for name, declaration in (
        ("count", Index("the_id", id="gsi1")),
        ("save", UniqueConstraint("the_id", id="uc1")),
        ("by_index", Index("the_id", id="gsi1")),
    ):
        with pytest.raises(
            ConfigurationError, match=rf"Namedn\.{name}: the name would hide Model\.\w+; rename"
        ):
            model("n", [], **{name: declaration})


@pytest.mark.parametrize("number", range(PARTS))
def test_fields_of_every_name_that_is_taken_work(connect: Any, number: int) -> None:
    """In every operation that takes fields by name, by keyword and in a mapping, in a context and outside."""
    names = [name for name in NAMES if name not in REFUSED][number::PARTS]
    named = model("n", names)
    connect(named)
    first, second, third = (values(names, text) for text in ("one", "two", "three"))
    made = named.create(the_id="1", **first)
    assert {name: getattr(named.find("1"), name) for name in names} == first
    named.create({"the_id": "2", **first})
    half = len(names) // 2
    named.update("1", **{name: second[name] for name in names[:half]})
    named.update("1", {name: second[name] for name in names[half:]})
    assert {name: value for name, value in named.find("1").to_dict().items() if name in second} == second
    named.upsert(the_id="1", **third)
    named.upsert({"the_id": "3", **third})
    with run_with_batch_context():
        one, three = named.find("1"), named.find("3")
        assert {name: getattr(one, name) for name in names} == third == {n: getattr(three, n) for n in names}
        for name in names:
            setattr(one, name, first[name])
        assert Model.changes(one) == first
        assert one.has_changes()
        one.save()
        two = named.find("2")
        with transaction():
            for name in names:
                setattr(two, name, second[name])
            two.save()
    assert made.refresh().to_dict() == {"the_id": "1", **first}
    assert named.find("2").to_dict() == {"the_id": "2", **second}
    assert named.from_dict(made.to_dict()).to_dict() == made.to_dict()
    for name in names:
        named.update("3", **{name: "x"}, condition=getattr(named.fields, name) == third[name])


def test_fields_of_every_parameter_s_name_are_asked_for(connect: Any) -> None:
    """By keyword and in a mapping, in `find_where` and `where`."""
    names = [name for name in PARAMETERS if name not in REFUSED]
    named = model("n", names, by_key=Index("key", id="gsi1"))
    connect(named)
    first = values(names, "one")
    named.create(the_id="1", **first)
    for number in range(10):
        asked = {"key": first["key"], **{name: first[name] for name in names[number::10]}}
        assert [one.the_id for one in named.find_where(**asked)] == ["1"]
        assert [one.the_id for one in named.find_where(asked)] == ["1"]
        others = {name: text for name, text in asked.items() if name != "key"}
        assert len(named.query_by_index("by_key", first["key"], filter=where(**others))) == 1


@pytest.mark.parametrize("name", [n for n in PARAMETERS if n not in REFUSED and n.isidentifier()])
def test_key_fields_of_every_parameter_s_name_work(table_name: str, name: str) -> None:
    """By position, by name, in a mapping; what `find` takes itself is given in a mapping."""
    single = model("s", [], **{name: StringField(), "primary_key": PrimaryKey(name)})
    double = model("d", [], **{name: StringField(), "primary_key": PrimaryKey("the_id", name)})
    with init_models(models=(single, double), table_name=table_name, embedded=True):
        single.create(**{name: "a", "the_id": "x"})
        double.create(**{name: "a", "the_id": "x"})
        assert single.find("a").the_id == single.find({name: "a"}).the_id == "x"
        assert double.find(("x", "a")).exists()
        assert double.find({"the_id": "x", name: "a"}).exists()
        assert double.find(double.make_primary_id("x", "a")).exists()
        if name in ("consistent_read", "bypass_cache"):
            for find in (single.find, single.find_or_none, single.find_or_raise):
                with pytest.raises(ValidationError, match=rf"{name} takes True or False.*find\(\{{'{name}'"):
                    find(**{name: "a"})
        else:
            assert single.find(**{name: "a"}).the_id == single.find_or_raise(**{name: "a"}).the_id == "x"
            assert double.find(the_id="x", **{name: "a"}).exists()
            assert double.find_or_none(the_id="y", **{name: "a"}) is None


def test_a_key_by_a_name_that_is_no_part_of_it_says_the_parts() -> None:
    """`key` is no keyword of `find`, as a field may have that name."""
    named = model("n", [])
    told = pytest.raises(ValidationError, match="no part 'key'; give the_id, or the key by position")
    with init_models(models=[named], table_name="t", embedded=True), told:
        named.find(key="1")


# --- model files -------------------------------------------------------------------------------------


def file_of(names: list[str], called: str = "Named", kind: str = "StringField") -> str:
    """A model file with a field of each name beside the key, and an index on the first."""
    fields = "".join(f"      {name!r}: {{type: {kind}}}\n" for name in names)
    return (
        f"models:\n  {called!r}:\n    modelPrefix: n\n    fields:\n      theId: {{type: StringField, required: true}}\n"
        f"{fields}    primaryKey: {{partitionKey: theId}}\n"
    )


FILE_NAMES = sorted({name for name in NAMES if not name.startswith("_")} - {"None", "True", "False"})
"""Names of a file's fields; ``None`` and ``none`` are one name in Python."""


@pytest.mark.parametrize("way", ["load_models", "codegen"])
@pytest.mark.parametrize("number", range(PARTS))
def test_fields_of_model_files_work_under_every_name(
    connect: Any, tmp_path: Any, way: str, number: int
) -> None:
    """Those that Python or a model has get ``_`` behind them, and keep their stored names."""
    names = [name for name in FILE_NAMES if name.islower() and not name.endswith("_")][number::PARTS]
    text = file_of(names)
    if way == "load_models":
        (tmp_path / "models.yaml").write_text(text)
        named: Any = load_models(tmp_path / "models.yaml")["Named"]
    else:
        named = generated_package(f"every_name_{number}", text).Named
    connect(named)
    fields = [name for name in named.fields.__dir__() if name != "the_id"]
    assert len(fields) == len(names)
    texts = values(fields, "one")
    named.create(the_id="1", **texts)
    loaded = named.find("1")
    assert {name: getattr(loaded, name) for name in fields} == texts
    named.update("1", **values(fields, "two"))
    for name in fields:
        setattr(loaded, name, f"three {name}")
    loaded.save()
    assert named.find("1").to_dict() == {"the_id": "1", **values(fields, "three")}


def test_fields_of_model_files_are_renamed_as_little_as_it_takes(tmp_path: Any) -> None:
    """Where Python, a method or an argument has the name."""
    (tmp_path / "models.yaml").write_text(
        file_of(["class", "condition", "version", "save", "changes", "key", "self"])
    )
    names = load_models(tmp_path / "models.yaml")["Named"].fields.__dir__()
    assert names == ["changes_", "class_", "condition_", "key", "save_", "self", "the_id", "version_"]


def test_a_version_field_of_a_model_file_keeps_its_name(tmp_path: Any) -> None:
    """Any other field called version is ``version_``."""
    (tmp_path / "models.yaml").write_text(file_of(["version"], kind="VersionField"))
    assert "version" in load_models(tmp_path / "models.yaml")["Named"].fields.__dir__()


@pytest.mark.parametrize("way", ["load_models", "codegen"])
@pytest.mark.parametrize("called", keyword.kwlist)
def test_a_model_called_like_a_keyword_is_refused(tmp_path: Any, way: str, called: str) -> None:
    """With the file, the line and another name."""
    text = file_of([], called)
    (tmp_path / "models.yaml").write_text(text)
    with pytest.raises(ModelFileError, match=rf"models\.yaml:2: '{called}' is a keyword of Python"):
        if way == "load_models":
            load_models(tmp_path / "models.yaml")
        else:
            generated_package("keyword_model", text)


WORDS = ["match", "case", "type", "Model", "StringField", "PrimaryKey", "Any", "TYPE_CHECKING", "str", "dict", "list",
     "property", "self", "cls", "annotations", "typing", "dynamo_bao", "QueryResult", "items", "keys"]  # fmt: skip


@pytest.mark.parametrize("called", WORDS)
def test_models_of_other_words_work(connect: Any, tmp_path: Any, called: str) -> None:
    """Loaded and generated; what the generated file imports under that name gets another one."""
    text = file_of(["str", "dict", "list"], called, "MapField")
    (tmp_path / "models.yaml").write_text(text)
    loaded = load_models(tmp_path / "models.yaml")[called]
    made = getattr(generated_package("word_model", text), called)
    assert made.__name__ == loaded.__name__ == called
    manager = connect(made)
    assert manager.models[called] is made
    made.create(the_id="1", list={"a": 1})
    assert made.find("1").list == {"a": 1}
