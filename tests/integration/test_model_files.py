"""Models loaded from YAML files, at work: with field classes of one's own, settings, pickles, and loaded again."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import (
    ConfigurationError,
    Manager,
    ModelFileError,
    ModelFileWarning,
    ValidationError,
    init_models,
    load_models,
    run_with_batch_context,
)
from dynamo_bao.modelfiles.custom_fields import FieldsFolder
from dynamo_bao.modelfiles.reader import read_definitions
from dynamo_bao.models import registry
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.testing import RecordingTransport, embedded_transport
from tests.support.model_files import forget_loaded

__all__ = ["forget_loaded"]

SHOP = """\
models:
  User:
    modelPrefix: u
    iterable: true
    iterationBuckets: 1
    fields:
      userId: {type: UlidField, autoAssign: true, required: true}
      name: {type: StringField, required: true}
      email: {type: StringField, required: true}
      externalId: {type: StringField}
      externalPlatform: {type: StringField}
      role: {type: StringField, defaultValue: user}
      status: {type: StringField, defaultValue: active}
      createdAt: {type: CreateDateField}
      modifiedAt: {type: ModifiedDateField}
    primaryKey: {partitionKey: userId}
    indexes:
      byPlatform: {partitionKey: externalPlatform, sortKey: userId, indexId: gsi1}
      byRole: {partitionKey: role, sortKey: status, indexId: gsi2}
      byStatus: {partitionKey: status, sortKey: createdAt, indexId: gsi3}
    uniqueConstraints:
      uniqueEmail: {field: email, uniqueConstraintId: uc1}
      uniqueExternalId: {field: externalId, uniqueConstraintId: uc2}
  Post:
    modelPrefix: p
    fields:
      postId: {type: UlidField, autoAssign: true}
      userId: {type: RelatedField, model: User, required: true}
      title: {type: StringField, required: true}
    primaryKey: {partitionKey: postId}
    indexes:
      allPosts: {partitionKey: modelPrefix, sortKey: postId, indexId: gsi1}
      postsForUser: {partitionKey: userId, sortKey: postId, indexId: gsi2}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    return path


@pytest.fixture
def manager(shop: Path) -> Iterator[Manager]:
    with init_models(models=load_models(shop), embedded=True) as manager:
        yield manager


def test_models_of_a_file_work(manager: Manager) -> None:
    """Creating, finding by key and unique value, queries, relations and iteration, by the names of Python."""
    User, Post = manager.models.User, manager.models.Post
    ada = User.create(name="Ada", email="ada@example.com")
    posts = [Post.create(user_id=ada, title=title) for title in ("one", "two")]
    assert User.find_by_email("ada@example.com") == ada
    assert list(User.query_by_status("active")) == [ada]
    assert list(ada.query_posts()) == posts
    assert list(ada.posts) == posts
    assert Post.find(posts[0].post_id).user == ada
    assert list(Post.query_all_posts()) == posts
    assert [user for batch in User.iterate_all() for user in batch] == [ada]


def test_the_stored_items_are_javascript_s(manager: Manager) -> None:
    """The second worked example of the table format, byte for byte."""
    user_id = "01JGFJJZ00ANN0000000000000"
    manager.models.User.create(
        user_id=user_id,
        name="Ann",
        email="ann@example.com",
        external_id="x-1",
        external_platform="gh",
        created_at=1735689599999,
        modified_at=1735787045678,
    )
    items = manager.client.scan(TableName=manager.table_name)["Items"]
    texts = sorted(
        ({name: next(iter(value.values())) for name, value in item.items()} for item in items),
        key=lambda item: str(item["_pk"]),
    )
    assert texts == [
        {
            "_pk": f"_raft_uc#_uc{number}#u#{field}",
            "_sk": "_raft_uc",
            "relatedId": user_id,
            "relatedModel": "User",
            "uniqueValue": f"_raft_uc#_uc{number}#u#{field}",
        }
        for number, field in ((1, "email:ann@example.com"), (2, "externalId:x-1"))
    ] + [
        {
            "_gsi1_pk": "u#gsi1#gh",
            "_gsi1_sk": user_id,
            "_gsi2_pk": "u#gsi2#user",
            "_gsi2_sk": "active",
            "_gsi3_pk": "u#gsi3#active",
            "_gsi3_sk": "00000001735689599999",
            "_iter_pk": "u#iter",
            "_iter_sk": user_id,
            "_pk": f"u#{user_id}",
            "_sk": "u",
            "createdAt": "1735689599999",
            "email": "ann@example.com",
            "externalId": "x-1",
            "externalPlatform": "gh",
            "modifiedAt": "1735787045678",
            "name": "Ann",
            "role": "user",
            "status": "active",
            "userId": user_id,
        }
    ]


def test_loading_again_replaces_the_models(shop: Path) -> None:
    """As a class statement that runs again does; a manager of all models takes the new ones."""
    first = load_models(shop)
    shop.write_text(SHOP.replace("modelPrefix: u\n", "modelPrefix: us\n"))
    second = load_models(shop)
    assert [
        model
        for model in registry.models()
        if model.__name__ == "User" and model in (first["User"], second["User"])
    ] == [second["User"]]
    assert schema_of(second["User"]).prefix == "us"


def test_a_wrong_file_leaves_the_models_there_were(shop: Path) -> None:
    """It is read to its end before any class is made."""
    models = load_models(shop)
    shop.write_text(SHOP.replace("title: {type: StringField", "title: {type: StringFeild"))
    with pytest.raises(ModelFileError, match="StringFeild"):
        load_models(shop)
    assert set(models.values()) <= set(registry.models())


def test_reading_alone_makes_no_models(shop: Path) -> None:
    """Generators read files without changing what managers answer for."""
    before = registry.models()
    read_definitions(shop)
    assert registry.models() == before


def test_instances_pickle(manager: Manager) -> None:
    """Where the file has been loaded."""
    ada = manager.models.User.create(name="Ada", email="ada@example.com")
    copied = pickle.loads(pickle.dumps(ada))
    assert type(copied) is type(ada)
    assert copied == ada


def test_two_files_with_one_name_are_told_apart(shop: Path, tmp_path: Path) -> None:
    """A manager of both says where they are from."""
    other = tmp_path / "other.yaml"
    other.write_text(SHOP)
    models = [*load_models(shop).values(), *load_models(other).values()]
    with pytest.raises(ConfigurationError, match=r"Two models .*shop\.yaml and .*other\.yaml"):
        init_models(models=models, embedded=True)


def test_warnings_point_at_the_call(shop: Path) -> None:
    """And name the file's line."""
    shop.write_text(
        SHOP.replace("iterable: true\n", "searchable: {fields: [name]}\n").replace(
            "iterationBuckets: 1\n", "\n"
        )
    )
    with pytest.warns(ModelFileWarning, match=r"shop\.yaml:4: User is searchable but not iterable") as caught:
        load_models(shop)
    assert caught[0].filename == __file__


def test_keys_of_tables_of_one_s_own(tmp_path: Path) -> None:
    """``key_format="native"`` sorts negative numbers too."""
    path = tmp_path / "native.yaml"
    path.write_text(
        "models: {Level: {modelPrefix: lv, fields: {place: {type: StringField}, depth: {type: IntegerField}}, "
        "primaryKey: {partitionKey: place, sortKey: depth}}}"
    )
    with init_models(models=load_models(path, key_format="native"), embedded=True) as manager:
        Level = manager.models.Level
        for depth in (3, -5, 0):
            Level.create(place="sea", depth=depth)
        assert [level.depth for level in Level.primary_key.query("sea")] == [-5, 0, 3]
    level = load_models(path)["Level"]
    with init_models(models=[level], embedded=True), pytest.raises(ValidationError, match="use 'native'"):
        level.create(place="sea", depth=-5)


# --- settings --------------------------------------------------------------------------------------


def test_the_settings_say_which_files(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``[paths]`` of the settings file, and the environment above it."""
    monkeypatch.chdir(shop.parent)
    with pytest.raises(ConfigurationError, match="models_definition_path under"):
        load_models()
    Path("dynamo_bao.toml").write_text('[paths]\nmodels_definition_path = "shop.yaml"\n')
    assert list(load_models()) == ["User", "Post"]
    monkeypatch.setenv("DYNAMO_BAO_MODELS_DEFINITION_PATH", "missing.yaml")
    with pytest.raises(ModelFileError, match=r"missing\.yaml: does not exist"):
        load_models()


# --- field classes of one's own ----------------------------------------------------------------------

EMAIL = """\
from typing import Any

from dynamo_bao import StringField


class EmailField(StringField):
    def __init__(self, *, allowed_domains: list[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.allowed_domains = allowed_domains

    def validate(self, value: str) -> None:
        super().validate(value)
        if self.allowed_domains and value.rpartition("@")[2] not in self.allowed_domains:
            raise ValueError(f"is not of {', '.join(self.allowed_domains)}")
"""


def account(tmp_path: Path, stated: str) -> Path:
    """A model file whose only interesting field is `stated`."""
    path = tmp_path / "account.yaml"
    path.write_text(
        f"models: {{Account: {{modelPrefix: ac, fields: {{id: {{type: StringField}}, mail: {stated}}}, "
        "primaryKey: {partitionKey: id}}}"
    )
    return path


@pytest.fixture
def fields_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "own_fields"
    folder.mkdir()
    (folder / "email_field.py").write_text(EMAIL)
    return folder


def test_field_classes_of_one_s_own(tmp_path: Path, fields_dir: Path) -> None:
    """Their options are those of their constructor, in camel case, and of what they extend."""
    stated = "{type: EmailField, allowedDomains: [example.com], maxLength: 20, required: true}"
    models = load_models(account(tmp_path, stated), fields_dir=fields_dir)
    with init_models(models=models, embedded=True) as manager:
        Account = manager.models.Account
        assert Account.create(id="1", mail="ada@example.com").mail == "ada@example.com"
        for wrong, why in (("ada@example.org", "is not of example.com"), ("a" * 21, "21 characters")):
            with pytest.raises(ValidationError, match=why):
                Account.create(id="2", mail=wrong)


def test_the_folder_may_be_one_of_the_settings(
    tmp_path: Path, fields_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``fields_dir`` under ``[paths]``."""
    account(tmp_path, "{type: EmailField}")
    monkeypatch.chdir(tmp_path)
    Path("dynamo_bao.toml").write_text(
        '[paths]\nmodels_definition_path = "account.yaml"\nfields_dir = "own_fields"\n'
    )
    (model,) = load_models().values()
    assert type(schema_of(model).fields["mail"]).__name__ == "EmailField"
    assert schema_of(model).fields["mail"].nullable


def test_classes_that_the_program_imports_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that ``isinstance`` holds, and module state is there once."""
    package = tmp_path / "bao_test_app"
    (package / "fields").mkdir(parents=True)
    for folder in (package, package / "fields"):
        (folder / "__init__.py").touch()
    (package / "fields" / "email_field.py").write_text(EMAIL)
    monkeypatch.syspath_prepend(str(tmp_path))
    (model,) = load_models(account(tmp_path, "{type: EmailField}"), fields_dir=package / "fields").values()
    module = sys.modules["bao_test_app.fields.email_field"]
    assert type(schema_of(model).fields["mail"]) is module.EmailField


def test_modules_of_the_folder_may_import_each_other(tmp_path: Path, fields_dir: Path) -> None:
    """Relatively; several classes may stand in one, private ones and those imported are not offered."""
    (fields_dir / "more.py").write_text(
        "from .email_field import EmailField\n\n\n"
        "class _Base(EmailField): ...\n\n\n"
        "class WorkField(_Base): ...\n\n\n"
        "class HomeField(_Base): ...\n"
    )
    (model,) = load_models(
        account(tmp_path, "{type: WorkField, allowedDomains: [a.org]}"), fields_dir=fields_dir
    ).values()
    field: Any = schema_of(model).fields["mail"]
    assert field.allowed_domains == ["a.org"]
    with pytest.raises(ModelFileError, match="unknown field type '_Base'"):
        load_models(account(tmp_path, "{type: _Base}"), fields_dir=fields_dir)


@pytest.mark.parametrize(
    ("stated", "why"),
    [
        ("{type: EmailFeild}", r"Did you mean 'EmailField'\? \[BAO-1002\]$"),
        ("{type: EmailField, allowedDomain: [a]}", r"'allowedDomain'. Did you mean 'allowedDomains'\?"),
        (
            "{type: EmailField, defaultValue: a@b.c, allowedDomains: [d.e]}",
            "its default does not fit: .*is not of d.e",
        ),
        ("{type: BareField, required: true, maxLength: 3}", "no option of a BareField 'maxLength'"),
        ("{type: BareField, defaultValue: x}", "no option of a BareField 'defaultValue'"),
        ("{type: PickyField}", "PickyField rejects its options: it is Monday"),
    ],
)
def test_wrong_uses_of_own_classes(tmp_path: Path, fields_dir: Path, stated: str, why: str) -> None:
    """Are told like those of the library's."""
    (fields_dir / "bare_field.py").write_text(
        "from dynamo_bao import StringField\n\n\n"
        "class BareField(StringField):\n    def __init__(self) -> None:\n        super().__init__()\n\n\n"
        "class PickyField(StringField):\n    def __init__(self) -> None:\n"
        "        raise RuntimeError('it is Monday')\n"
    )
    with pytest.raises(ModelFileError, match=why) as caught:
        load_models(account(tmp_path, stated), fields_dir=fields_dir)
    assert caught.value.line == 1


def test_a_field_stored_by_another_name_needs_a_constructor_that_takes_it(
    tmp_path: Path, fields_dir: Path
) -> None:
    """`mail_url` alone does not tell `mailURL`; the error says what the constructor lacks."""
    (fields_dir / "bare_field.py").write_text(
        "from dynamo_bao import StringField\n\n\n"
        "class BareField(StringField):\n    def __init__(self) -> None:\n        super().__init__()\n"
    )
    path = account(tmp_path, "{type: BareField}")
    path.write_text(path.read_text().replace("mail:", "mailURL:"))
    with pytest.raises(ModelFileError, match="constructor of BareField must accept attribute="):
        load_models(path, fields_dir=fields_dir)


def test_a_module_that_the_program_has_of_that_name_is_not_taken(
    tmp_path: Path, fields_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's own module is, also where another one comes first on the path."""
    other = tmp_path / "elsewhere" / "own_fields"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    (other / "email_field.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(other.parent))
    monkeypatch.chdir(tmp_path)
    assert list(FieldsFolder(fields_dir).kinds()) == ["EmailField"]


def test_a_constructor_that_takes_nothing_makes_optional_fields_too(tmp_path: Path, fields_dir: Path) -> None:
    """The annotation says that the value may be None."""
    (fields_dir / "bare_field.py").write_text(
        "from dynamo_bao import StringField\n\n\n"
        "class BareField(StringField):\n    def __init__(self) -> None:\n        super().__init__()\n"
    )
    (model,) = load_models(account(tmp_path, "{type: BareField}"), fields_dir=fields_dir).values()
    assert model(id="1").to_dict() == {"id": "1", "mail": None}


def test_the_annotation_of_an_own_class_is_what_it_holds(tmp_path: Path, fields_dir: Path) -> None:
    """Its own `python_types`, if they differ from those of the class that it extends."""
    (fields_dir / "kinds.py").write_text(
        "from fractions import Fraction\n\nfrom dynamo_bao import Field, StringField\n\n\n"
        "class FractionField(Field):\n    python_types = (Fraction,)\n\n\n"
        "class ComplexField(Field):\n    python_types = (complex,)\n\n\n"
        "class WhateverField(StringField):\n    python_types = (object,)\n"
    )
    kinds = FieldsFolder(fields_dir).kinds()
    annotations = {name: kind.annotation for name, kind in kinds.items()}
    assert (annotations["FractionField"].text, annotations["FractionField"].imports) == (
        "Fraction",
        {"Fraction": "fractions"},
    )
    assert (annotations["ComplexField"].text, annotations["ComplexField"].imports) == ("complex", {})
    assert annotations["WhateverField"].text == "Any"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "The folder of field classes .* does not exist"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("def x(:", "cannot be imported: SyntaxError"),
        (EMAIL, "both define EmailField; rename one"),
    ],
)
def test_wrong_folders_of_field_classes(
    tmp_path: Path, fields_dir: Path, content: str | None, why: str
) -> None:
    """Are told with the module at fault."""
    if content is None:
        fields_dir = fields_dir / "missing"
    else:
        (fields_dir / "second.py").write_text(content)
    with pytest.raises(ConfigurationError, match=why):
        load_models(account(tmp_path, "{type: EmailField}"), fields_dir=fields_dir)


def test_a_type_is_a_name_and_no_path(tmp_path: Path, fields_dir: Path) -> None:
    """A file cannot reach for modules outside the folder."""
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'done')!r}, 'w')")
    for name in ("../evil", "evil", "os.path", "builtins.eval"):
        with pytest.raises(ModelFileError, match="unknown field type"):
            load_models(account(tmp_path, f"{{type: '{name}'}}"), fields_dir=fields_dir)
    assert not (tmp_path / "done").exists()


def test_importing_the_package_loads_no_yaml() -> None:
    """Nor any of what reads model files."""
    code = (
        "import sys, dynamo_bao\n"
        "late = ('yaml', 'watchfiles', 'dynamo_bao.modelfiles.', 'dynamo_bao.codegen')\n"
        "print([module for module in sys.modules if module.startswith(late)])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_embedded_engines_take_loaded_models(shop: Path) -> None:
    """One look at many finds is one request, as for models written by hand."""
    transport = RecordingTransport(embedded_transport())
    with init_models(models=load_models(shop), transport=transport) as manager:
        manager.create_table()
        ids = [manager.models.User.create(name=n, email=n).user_id for n in ("a", "b", "c")]
        transport.clear()
        with run_with_batch_context():
            assert [u.name for u in [manager.models.User.find(i) for i in ids]] == ["a", "b", "c"]
        assert transport.count("BatchGetItem") == 1
