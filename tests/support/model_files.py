"""Helpers for tests of model files: random files, and a cleanup after each test."""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dynamo_bao.codegen import generate
from dynamo_bao.models import registry

MODELS = (
    "User", "TaggedPost", "Index", "Model", "Session", "Any", "OrganizationMembership", "URLMap", "Class",
    "AVeryLongModelNameForTheSakeOfIt",
)  # fmt: skip
WORDS = (
    "user", "id", "name", "mail", "created", "at", "status", "str", "int", "float", "bool", "set", "list", "dict",
    "datetime", "count", "type", "any", "index", "organization", "subscription", "identifier", "reference", "x",
    "class", "from",
)  # fmt: skip
TEXTS = (
    "plain", "it's", 'say "hi"', "both ' and \"", "back\\slash", "tab\tnew\nline", "größe", "苹果手机", "x" * 30,
    "y" * 70, "z" * 100, "", "{}", "\u2028", "e\u0301",
)  # fmt: skip
NUMBERS = {
    "IntegerField": (0, -9, 10**12),
    "FloatField": (1e16, 1.5, -2e-7, 1e100, 3),
    "DecimalField": (1.5, "1.50", 7),
    "CounterField": (0, 10),
}
KINDS = (
    "StringField", "IntegerField", "FloatField", "BooleanField", "DateTimeField", "BinaryField", "StringSetField",
    "NumberSetField", "MapField", "ListField", "JsonField", "UuidField", "DecimalField", "CounterField",
    "DateField", "TimeField", "DurationField", "BinarySetField",
    "VersionField", "CreateDateField", "ModifiedDateField", "RelatedField", "UlidField",
)  # fmt: skip
AS_KEY = (
    "StringField",
    "IntegerField",
    "DateTimeField",
    "RelatedField",
    "BooleanField",
    "UlidField",
    "DateField",
    "DurationField",
)


@pytest.fixture(autouse=True)
def forget_loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models that a test loads or imports go with it."""
    modules, models = set(sys.modules), list(registry._models)
    yield
    registry._models[:] = models
    temporary = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if name.startswith("dynamo_bao_fields_") or file.startswith(temporary):
            del sys.modules[name]


def generated_package(name: str, text: str, **options: Any) -> ModuleType:
    """The package that is generated from a model file, imported under `name`; with its files' texts as ``SOURCES``."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}_"))
    (folder / "models.yaml").write_text(text)
    generate(folder / "models.yaml", folder / name, **options)
    places = [str(folder / name)]
    spec = spec_from_file_location(name, folder / name / "__init__.py", submodule_search_locations=places)
    assert spec is not None
    assert spec.loader is not None
    package = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(package)
        vars(package)["SOURCES"] = {path.name: path.read_text() for path in (folder / name).glob("*.py")}
    finally:
        shutil.rmtree(folder)
    return package


def random_definitions(seed: int) -> dict[str, Any]:
    """A valid model file, as a mapping: names that clash with Python's and the library's, texts that need quoting."""
    chance = random.Random(seed)
    names = chance.sample(MODELS, chance.randint(1, 6))
    return {"models": {name: _model(chance, number, names) for number, name in enumerate(names)}}


def _camel(chance: random.Random, words: int) -> str:
    first, *rest = (chance.choice(WORDS) for _ in range(words))
    return first + "".join(word.capitalize() for word in rest)


def _model(chance: random.Random, number: int, names: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"theId": {"type": "StringField", "required": True}}
    for _ in range(chance.randint(0, 8)):
        field = _field(chance, names)
        relation = "Id" * (field["type"] == "RelatedField" and chance.random() < 0.7)
        fields[_camel(chance, chance.randint(1, 7)) + relation] = field
    keys = [name for name, field in fields.items() if field["type"] in AS_KEY]
    texts = [name for name, field in fields.items() if field["type"] == "StringField"]
    model: dict[str, Any] = {
        "modelPrefix": f"{number:x}",
        "fields": fields,
        "primaryKey": {"partitionKey": "theId"},
        "indexes": {
            f"{_camel(chance, chance.randint(1, 5))}For{chance.choice(names)}{index}": {
                "partitionKey": chance.choice([*keys, "modelPrefix"]),
                "sortKey": chance.choice(keys),
                "indexId": f"gsi{index + 1}",
            }
            for index in range(chance.randint(0, 4))
        },
    }
    if chance.random() < 0.4:
        constraint = {"field": chance.choice(keys), "uniqueConstraintId": "uc1"}
        model["uniqueConstraints"] = {f"unique{_camel(chance, 2).capitalize()}": constraint}
    options = {
        "doc": chance.choice(TEXTS),
        "iterable": True,
        "tableType": "mapping",
        "iterationBuckets": 3,
        "searchable": {"fields": chance.sample(texts, chance.randint(1, len(texts)))},
    }
    model.update({name: value for name, value in options.items() if chance.random() < 0.3})
    return model


def _field(chance: random.Random, names: list[str]) -> dict[str, Any]:
    kind = chance.choice(KINDS)
    options: dict[str, Any] = {"required": chance.random() < 0.7, "doc": chance.choice(TEXTS)}
    if kind == "StringField":
        options["choices"] = chance.sample(TEXTS, chance.randint(1, 6))
        options["maxLength"] = 200
    if kind in NUMBERS:
        options["defaultValue"] = chance.choice(NUMBERS[kind])
    if kind in ("MapField", "JsonField"):
        inner = {"b": chance.choice(TEXTS), "n": None}
        options["defaultValue"] = {"a": [1, 2.5, inner], chance.choice(TEXTS) or "c": chance.choice(TEXTS)}
    if kind == "ListField":
        options["defaultValue"] = [chance.choice(TEXTS) for _ in range(chance.randint(0, 5))]
    if kind in ("UuidField", "UlidField"):
        options["autoAssign"] = True
    field = {name: value for name, value in options.items() if chance.random() < 0.5}
    required_keys = {"model": chance.choice(names)} if kind == "RelatedField" else {}
    return {"type": kind, **field, **required_keys}
