"""codegen-searchable.test.js: the options of a model that is iterated and searched, in its file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo_bao import ModelFileError, ModelFileWarning, SearchConfig, load_models
from dynamo_bao.codegen import generate
from dynamo_bao.modelfiles.description import ModelDescription
from dynamo_bao.modelfiles.reader import read_definitions
from dynamo_bao.models.class_builder import schema_of
from tests.support.model_files import forget_loaded

__all__ = ["forget_loaded"]

GIVEN = {"fields": ["title", "body"], "caseSensitive": True, "minTermLength": 2, "dedupe": True}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models.yaml"


def write(path: Path, **options: Any) -> Path:
    """A file of one model with these options."""
    note = {
        "modelPrefix": "cgs",
        "fields": {
            "noteId": {"type": "StringField", "required": True},
            "title": {"type": "StringField"},
            "body": {"type": "StringField"},
            "pages": {"type": "IntegerField"},
            "tags": {"type": "StringSetField"},
        },
        "primaryKey": {"partitionKey": "noteId"},
    }
    path.write_text(yaml.safe_dump({"models": {"Note": {**note, **options}}}, sort_keys=False))
    return path


def described(path: Path, **options: Any) -> ModelDescription:
    return read_definitions(write(path, **options)).models["Note"]


def refused(path: Path, searchable: Any, message: str) -> None:
    """A file that is refused by an error that names the model and the line."""
    with pytest.raises(ModelFileError, match=message) as caught:
        described(path, searchable=searchable)
    assert caught.value.model == "Note"
    assert f"models.yaml:{caught.value.line}: Note" in str(caught.value)


def test_01_not_iterable(path: Path) -> None:
    """A model is not iterable unless it says so."""
    assert described(path).iterable is False


def test_02_no_buckets(path: Path) -> None:
    """It has no buckets then, and its items no iteration keys."""
    assert described(path).iteration_buckets == 0
    schema = schema_of(load_models(path)["Note"])
    item = schema.item(
        None, schema.keys.from_key(None, "1"), {**dict.fromkeys(schema.fields), "note_id": "1"}
    )
    assert not {"_iter_pk", "_iter_sk"} & set(item)


def test_03_ten_buckets(path: Path) -> None:
    """An iterable one has 10 buckets."""
    assert described(path, iterable=True).iteration_buckets == 10
    assert schema_of(load_models(path)["Note"]).buckets == 10


def test_04_own_number(path: Path) -> None:
    """Its own number is kept."""
    assert described(path, iterable=True, iterationBuckets=25).iteration_buckets == 25


def test_05_mapping_tables(path: Path) -> None:
    """Mapping tables are not iterable either."""
    assert described(path, tableType="mapping").iterable is False


def test_06_not_searchable(path: Path) -> None:
    """A model is not searchable unless it says so."""
    assert described(path).search is None


def test_07_searchable_false(path: Path) -> None:
    """searchable: false says the same."""
    assert described(path, searchable=False).search is None


def test_08_defaults(path: Path) -> None:
    """Options that are not given have their defaults."""
    assert described(path, searchable={"fields": ["title"]}).search == SearchConfig(
        ["title"], case_sensitive=False, min_term_length=1, dedupe=False
    )


def test_09_given_options(path: Path) -> None:
    """Options that are given are kept."""
    assert described(path, searchable=GIVEN).search == SearchConfig(
        ["title", "body"], case_sensitive=True, min_term_length=2, dedupe=True
    )


@pytest.mark.parametrize("given", [7, "title", ["title"], None])
def test_10_another_type(path: Path, given: Any) -> None:
    """searchable of another type is refused."""
    refused(path, given, "must be either a boolean or an object")


def test_11_no_fields_given(path: Path) -> None:
    """So are options without fields."""
    refused(path, {"dedupe": True}, "non-empty array")


def test_12_empty_fields(path: Path) -> None:
    """So is an empty list of fields."""
    refused(path, {"fields": []}, "non-empty array")


def test_13_fields_no_list(path: Path) -> None:
    """So are fields that are no list."""
    refused(path, {"fields": "title"}, "non-empty array")


def test_14_unknown_field(path: Path) -> None:
    """So is a field that there is not, with a suggestion."""
    refused(path, {"fields": ["titel"]}, "'titel', which is not defined.*Did you mean 'title'")


@pytest.mark.parametrize(("name", "kind"), [("tags", "StringSetField"), ("pages", "IntegerField")])
def test_15_unsuitable_field(path: Path, name: str, kind: str) -> None:
    """So is one that is no StringField, naming its type."""
    refused(path, {"fields": [name]}, f"'{name}', which is a {kind}; only a StringField")


@pytest.mark.parametrize("length", [-1, 0, 1.5, "2", None])
def test_16_min_term_length(path: Path, length: Any) -> None:
    """So is a wrong length of the shortest word."""
    refused(path, {"fields": ["title"], "minTermLength": length}, "minTermLength: .*positive integer")


def test_17_dedupe(path: Path) -> None:
    """So is dedupe that is neither true nor false."""
    refused(path, {"fields": ["title"], "dedupe": "yes"}, "dedupe: 'yes'; give true or false")


def test_18_case_sensitive(path: Path) -> None:
    """So is caseSensitive that is neither."""
    refused(path, {"fields": ["title"], "caseSensitive": 1}, "caseSensitive: 1; give true or false")


def test_19_unknown_option(path: Path) -> None:
    """So is an option that there is not."""
    refused(path, {"fields": ["title"], "fuzzy": True}, "no option 'fuzzy'")


def source(path: Path, **options: Any) -> str:
    """The generated module of the model."""
    generate(write(path, **options), path.parent / "models")
    return (path.parent / "models" / "note.py").read_text()


def test_20_source_without_search(path: Path) -> None:
    """The generated source of a model that is not searchable says nothing of search, which means that it is not."""
    assert "searchable" not in source(path)
    assert "SearchConfig" not in source(path, searchable=False)
    assert schema_of(load_models(path)["Note"]).search is None


def test_21_source_with_search(path: Path) -> None:
    """That of one that is says all, defaults included."""
    text = source(path, iterable=True, searchable={"fields": ["title"]})
    stated = """
    searchable=SearchConfig(
        ["title"], case_sensitive=False, min_term_length=1, dedupe=False
    ),
"""
    assert stated in text


def test_22_warning(path: Path) -> None:
    """A searchable model that is not iterable is warned of, by its name."""
    with pytest.warns(ModelFileWarning, match="Note is searchable but not iterable"):
        load_models(write(path, searchable={"fields": ["title"]}))
    assert len(generate(path, path.parent / "models").warnings) == 1


def without_warning(path: Path, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_models(write(path, **options))
    assert generate(path, path.parent / "models").warnings == ()


def test_23_both(path: Path) -> None:
    """Searchable and iterable, a model is read without a warning."""
    without_warning(path, searchable={"fields": ["title"]}, iterable=True)


def test_24_no_warning_by_default(path: Path) -> None:
    """So is one that says nothing of it."""
    without_warning(path)


def test_25_no_warning_where_false(path: Path) -> None:
    """So is one that says false."""
    without_warning(path, searchable=False)


def test_26_true_alone(path: Path) -> None:
    """searchable: true does not name the fields, and is refused with what to write."""
    refused(path, True, r"write searchable: \{fields: \[title\]\}")
