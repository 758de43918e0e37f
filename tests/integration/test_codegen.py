"""Python modules from model files: what is written, what is left alone, and that it is what the files say."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo_bao import ConfigurationError, ModelFileError
from dynamo_bao.codegen import generate
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.modelfiles.codegen.source import MARK
from dynamo_bao.modelfiles.loader import load_models_of
from dynamo_bao.modelfiles.members import members_from_others, names_of, own_members
from dynamo_bao.modelfiles.reader import read_definitions
from dynamo_bao.models.class_builder import schema_of
from dynamo_bao.models.manager import init_models
from tests.support.model_files import forget_loaded, random_definitions

__all__ = ["forget_loaded"]

SEEDS = range(40)

BLOG = """\
models:
  User:
    modelPrefix: u
    doc: Somebody who writes.
    fields:
      userId: {type: UlidField, autoAssign: true}
      email: {type: StringField, required: true}
    primaryKey: {partitionKey: userId}
    uniqueConstraints:
      uniqueEmail: {field: email, uniqueConstraintId: uc1}
  Post:
    modelPrefix: p
    fields:
      postId: {type: UlidField, autoAssign: true}
      userId: {type: RelatedField, model: User, required: true}
    primaryKey: {partitionKey: postId}
    indexes:
      postsForUser: {partitionKey: userId, sortKey: postId, indexId: gsi1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder that modules are imported from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def blog(folder: Path) -> Path:
    path = folder / "blog.yaml"
    path.write_text(BLOG)
    return path


def names(paths: tuple[Path, ...]) -> list[str]:
    return sorted(path.name for path in paths)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


# --- files -----------------------------------------------------------------------------------------


def test_one_module_for_each_model_and_a_package(blog: Path, folder: Path) -> None:
    """Which work as they are."""
    done = generate(blog, folder / "app_blog")
    assert names(done.written) == ["__init__.py", "post.py", "user.py"]
    package = import_module("app_blog")
    assert list(package.MODELS) == ["User", "Post"]
    assert package.__all__ == ["MODELS", "Post", "User"]
    assert package.User.__doc__ == "Somebody who writes."
    with init_models(models=package.MODELS, embedded=True):
        ada = package.User.create(email="ada@example.com")
        post = package.Post.create(user_id=ada)
        assert package.User.find_by_email("ada@example.com") == ada
        assert list(ada.query_posts()) == [post]
        assert list(ada.posts) == [post]
        assert post.user == ada


def test_a_second_run_changes_nothing(blog: Path, folder: Path) -> None:
    """Not even the times of the files."""
    generate(blog, "models")
    before = {path: path.stat().st_mtime_ns for path in Path("models").iterdir()}
    done = generate(blog, "models")
    assert done.is_current
    assert names(done.unchanged) == ["__init__.py", "post.py", "user.py"]
    assert {path: path.stat().st_mtime_ns for path in Path("models").iterdir()} == before


def test_only_what_differs_is_written(blog: Path) -> None:
    """A change of one model is one file."""
    generate(blog, "models")
    blog.write_text(BLOG.replace("email: {type: StringField,", "email: {type: StringField, maxLength: 99,"))
    done = generate(blog, "models")
    assert (names(done.written), names(done.unchanged)) == (["user.py"], ["__init__.py", "post.py"])
    assert "StringField(max_length=99)" in Path("models/user.py").read_text()


def test_modules_of_models_that_are_gone_are_removed(blog: Path) -> None:
    """Those that were generated; others stay."""
    generate(blog, "models")
    Path("models/mine.py").write_text("mine = 1\n")
    blog.write_text(BLOG.split("  Post:")[0])
    done = generate(blog, "models")
    assert names(done.removed) == ["post.py"]
    assert sorted(contents(Path("models"))) == ["__init__.py", "mine.py", "user.py"]


def test_check_writes_nothing(blog: Path) -> None:
    """It tells what would be."""
    done = generate(blog, "models", check=True)
    assert (names(done.written), done.is_current) == (["__init__.py", "post.py", "user.py"], False)
    assert not Path("models").exists()
    generate(blog, "models")
    blog.write_text(BLOG.split("  Post:")[0])
    before = contents(Path("models"))
    done = generate(blog, "models", check=True)
    assert (names(done.written), names(done.removed)) == (["__init__.py", "user.py"], ["post.py"])
    assert contents(Path("models")) == before


@pytest.mark.parametrize("name", ["user.py", "__init__.py"])
@pytest.mark.parametrize("text", ["mine = 1\n", ""])
def test_a_file_that_was_not_generated_is_never_overwritten(blog: Path, name: str, text: str) -> None:
    """And nothing else is written then."""
    Path("models").mkdir()
    Path("models", name).write_text(text)
    for check in (True, False):
        with pytest.raises(ConfigurationError, match=rf"models/{name} was not written by bao codegen"):
            generate(blog, "models", check=check)
    assert contents(Path("models")) == {name: text}


def test_other_things_in_the_way(blog: Path) -> None:
    """A folder called like a module, a dangling link, a file where the folder should be."""
    Path("models/user.py").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="was not written by bao codegen"):
        generate(blog, "models")
    Path("links").mkdir()
    os.symlink("nowhere", "links/user.py")
    with pytest.raises(ConfigurationError, match="was not written by bao codegen"):
        generate(blog, "links")
    Path("file").touch()
    with pytest.raises(ConfigurationError, match="file is a file; choose a folder"):
        generate(blog, "file")


def test_a_wrong_model_file_leaves_the_modules(blog: Path) -> None:
    """As they were."""
    generate(blog, "models")
    before = contents(Path("models"))
    blog.write_text(BLOG.replace("UlidField", "UlidFeild"))
    with pytest.raises(ModelFileError, match="UlidFeild"):
        generate(blog, "models")
    assert contents(Path("models")) == before


def test_modes_of_files(blog: Path) -> None:
    """Those that new files have, or that the replaced file had."""
    mask = os.umask(0o027)
    try:
        generate(blog, "models")
    finally:
        os.umask(mask)
    path = Path("models/user.py")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    path.write_text(f"{MARK} before\n")
    generate(blog, "models")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_model_called_like_the_package_s_mapping(blog: Path) -> None:
    """Is refused with its line."""
    blog.write_text(BLOG.replace("  User:", "  MODELS:").replace("model: User", "model: MODELS"))
    with pytest.raises(
        ConfigurationError, match=r"blog\.yaml:2: the generated package itself defines MODELS"
    ):
        generate(blog, "models")


# --- field classes of one's own --------------------------------------------------------------------------

SLUG = "from dynamo_bao import StringField\n\n\nclass SlugField(StringField):\n    pass\n"
SLUGGED = BLOG.replace(
    "email: {type: StringField, required: true}", "email: {type: SlugField, required: true}"
)


@pytest.mark.parametrize(
    ("files", "package", "expected"),
    [
        (["app_a/__init__.py", "app_a/fields/__init__.py"], None, "app_a.fields.slug_field"),
        (["app_b/fields/x.txt"], None, "app_b.fields.slug_field"),
        (["app_c/fields/x.txt"], "fields", "fields.slug_field"),
    ],
)
def test_own_classes_are_imported_absolutely(
    blog: Path, folder: Path, files: list[str], package: str | None, expected: str
) -> None:
    """By the package that their folder is, or is said to be."""
    blog.write_text(SLUGGED)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    fields = (folder / files[-1]).parent
    (fields / "slug_field.py").write_text(SLUG)
    generate(blog, "models", fields_dir=fields, fields_package=package)
    text = Path("models/user.py").read_text()
    assert f"\nfrom {expected} import SlugField\n" in text
    assert "\n    email: str = SlugField()\n" in text


def test_a_folder_without_a_name_for_imports(
    blog: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is refused with what to give."""
    blog.write_text(SLUGGED)
    (folder / "fields").mkdir()
    (folder / "fields" / "slug-field.py").write_text(SLUG)
    with pytest.raises(
        ConfigurationError, match=r"slug-field\.py cannot be imported by name; .* fields_package="
    ):
        generate(blog, "models", fields_dir="fields")


def test_a_changed_class_is_seen_by_the_next_run(blog: Path, folder: Path) -> None:
    """In the same process."""
    blog.write_text(SLUGGED)
    (folder / "fields").mkdir()
    (folder / "fields" / "slug_field.py").write_text(SLUG)
    generate(blog, "models", fields_dir="fields")
    other = SLUG.replace("StringField", "IntegerField")
    (folder / "fields" / "slug_field.py").write_text(other)
    generate(blog, "models", fields_dir="fields")
    assert "\n    email: int = SlugField()\n" in Path("models/user.py").read_text()


def test_relations_whose_names_python_or_a_field_has(blog: Path) -> None:
    """A word of Python's is no attribute that source can name; a field's name stays the field's."""
    blog.write_text(
        BLOG.replace(
            "email: {",
            "fromId: {type: RelatedField, model: Post}\n      postId: {type: RelatedField, "
            "model: Post}\n      post: {type: StringField}\n      email: {",
        )
    )
    generate(blog, "app_names")
    text = Path("app_names/user.py").read_text()
    assert "def get_from(self) -> Post | None:" in text
    assert "def get_post(" not in text
    package = import_module("app_names")
    with init_models(models=package.MODELS, embedded=True):
        user = package.User.create(email="a@b.c", post="by letter")
        assert (user.post, user.get_from(), hasattr(user, "get_post")) == ("by letter", None, False)


# --- sources -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages of random model files: ``case_0`` from ``case_0.yaml``, and so on."""
    folder = tmp_path_factory.mktemp("generated")
    for seed in SEEDS:
        path = folder / f"case_{seed}.yaml"
        path.write_text(yaml.safe_dump(random_definitions(seed), allow_unicode=True, sort_keys=False))
        generate(path, folder / f"case_{seed}")
    return folder


def ruff(*arguments: str, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--isolated", "."],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    return "" if result.returncode == 0 else result.stdout + result.stderr


def test_ruff_has_nothing_to_say(generated: Path) -> None:
    """Neither to the format nor to the code, with its default settings."""
    assert ruff("format", "--diff", folder=generated) == ""
    assert ruff("check", folder=generated) == ""


def described(field: Field) -> dict[str, Any]:
    """All that a field was told."""
    return {name: repr(value) for name, value in vars(field).items()} | {"class": type(field).__name__}


def shape(schema: Schema) -> dict[str, Any]:
    """All that a schema is, but its compiled functions."""
    parts = {"primary": schema.primary, **schema.indexes}
    keys = {
        name: (getattr(shape, "id", None), *(repr(part.field) for part in (shape.partition, shape.sort)))
        for name, shape in parts.items()
    }
    return {
        "options": (
            schema.name,
            schema.prefix,
            schema.iterable,
            schema.buckets,
            schema.key_format,
            schema.search,
        ),
        "fields": {name: described(field) for name, field in schema.fields.items()},
        "keys": (schema.primary.name, keys),
        "constraints": {name: (c.id, c.field.name) for name, c in schema.constraints.items()},
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_modules_say_what_their_file_says(
    generated: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models of a package and those loaded from its file are alike in everything; every declared name is there."""
    monkeypatch.syspath_prepend(str(generated))
    package = import_module(f"case_{seed}")
    definitions = read_definitions(generated / f"case_{seed}.yaml")
    loaded = load_models_of(definitions)
    assert list(package.MODELS) == list(loaded)
    for name, model in loaded.items():
        assert shape(schema_of(package.MODELS[name])) == shape(schema_of(model))
    for models in (package.MODELS, loaded):
        with init_models(models=models, embedded=False, region="eu-central-1"):
            for description in definitions.models.values():
                members = [*own_members(description), *members_from_others(definitions.models, description)]
                for member in members:
                    for given in names_of(member):
                        assert hasattr(models[description.name], given), (description.name, given)
