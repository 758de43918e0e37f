"""The types of generated modules, and of code that uses them, under mypy --strict and pyright."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dynamo_bao.codegen import generate
from tests.support.model_files import forget_loaded, random_definitions

__all__ = ["forget_loaded"]

ROOT = Path(__file__).parents[2]

BLOG = """\
models:
  User:
    modelPrefix: u
    fields:
      userId: {type: UlidField, autoAssign: true}
      name: {type: StringField, required: true}
      email: {type: StringField, required: true}
      nick: {type: StringField}
      age: {type: IntegerField}
      tags: {type: StringSetField}
      createdAt: {type: CreateDateField}
    primaryKey: {partitionKey: userId}
    indexes:
      allUsers: {partitionKey: modelPrefix, sortKey: createdAt, indexId: gsi1}
      byAge: {partitionKey: age, sortKey: name, indexId: gsi2}
    uniqueConstraints:
      uniqueEmail: {field: email, uniqueConstraintId: uc1}
  Post:
    modelPrefix: p
    fields:
      postId: {type: UlidField, autoAssign: true}
      userId: {type: RelatedField, model: User, required: true}
      editorId: {type: RelatedField, model: User}
      slug: {type: SlugField, required: true}
    primaryKey: {partitionKey: postId}
    indexes:
      postsForUser: {partitionKey: userId, sortKey: postId, indexId: gsi1}
  Tag:
    modelPrefix: t
    fields: {tagId: {type: StringField}}
    primaryKey: {partitionKey: tagId}
  TaggedPost:
    modelPrefix: tp
    tableType: mapping
    fields:
      tagId: {type: RelatedField, model: Tag}
      postId: {type: RelatedField, model: Post}
    primaryKey: {partitionKey: tagId, sortKey: postId}
    indexes:
      postsForTag: primaryKey
      tagsForPost: {partitionKey: postId, sortKey: tagId, indexId: gsi1}
"""

SLUG = "from dynamo_bao import StringField\n\n\nclass SlugField(StringField):\n    pass\n"

USE = """\
from __future__ import annotations

from datetime import datetime

from typing_extensions import assert_type

from blog import MODELS, Post, Tag, TaggedPost, User
from dynamo_bao import Model, QueryResult

assert_type(MODELS, dict[str, type[Model]])
ada = User.create(name="Ada", email="ada@example.com")
assert_type(ada, User)
assert_type(ada.nick, str | None)
assert_type(ada.tags, set[str])
assert_type(ada.created_at, datetime)
assert_type(User.query_all_users(), QueryResult[User])
assert_type(User.query_by_age(3, {"name": "x"}, limit=2), QueryResult[User])
assert_type(User.find_by_email("x"), User | None)
assert_type(ada.query_posts(limit=3), QueryResult[Post])
post = Post.create(user_id=ada.user_id, slug="notes")
assert_type(post.slug, str)
assert_type(post.user, User)
assert_type(post.editor, User | None)
assert_type(post.get_user(), User)
assert_type(post.get_editor(), User | None)
assert_type(Post.query_posts_for_user(ada), QueryResult[Post])
assert_type(Post.query_posts_for_user("id"), QueryResult[Post])
assert_type(Tag(tag_id="x").get_posts(None, 10, "DESC"), QueryResult[Post])
assert_type(Tag(tag_id="x").query_posts(), QueryResult[TaggedPost])
assert_type(post.get_tags(), QueryResult[Tag])
User.create(name="Ada")  # wrong
User.create(name="Ada", email="x", nic="y")  # wrong
User.query_by_age("three")  # wrong
User.query_by_age(3, limits=2)  # wrong
User.find_by_email(3)  # wrong
User.find_by_name("x")  # wrong
ada.query_post()  # wrong
post.editor.name  # wrong
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated package with code that uses it, and packages of random model files."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "own").mkdir()
    (folder / "own" / "slug_field.py").write_text(SLUG)
    (folder / "blog.yaml").write_text(BLOG)
    generate(folder / "blog.yaml", folder / "blog", fields_dir=folder / "own", fields_package="own")
    (folder / "use.py").write_text(USE)
    for seed in range(4):
        path = folder / f"case_{seed}.yaml"
        path.write_text(yaml.safe_dump(random_definitions(seed), allow_unicode=True, sort_keys=False))
        generate(path, folder / f"case_{seed}")
    return folder


def mypy_faults(folder: Path) -> set[tuple[str, int]]:
    """The places in a folder that mypy complains about."""
    arguments = ["--strict", "--config-file=", "--python-version=3.10", "--explicit-package-bases"]
    arguments += ["--ignore-missing-imports", "--disable-error-code=import-untyped", str(folder)]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,  # where the library's own modules are in mypy's cache already
        env={**os.environ, "MYPYPATH": str(folder)},
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    found = re.findall(r"^(\S+):(\d+): error: ", result.stdout, re.MULTILINE)
    assert bool(found) == (result.returncode == 1), result.stdout
    return {(Path(file).name, int(line)) for file, line in found}


def pyright_faults(folder: Path) -> set[tuple[str, int]]:
    """The places in a folder that pyright complains about."""
    settings = {"extraPaths": [str(ROOT)], "typeCheckingMode": "standard", "pythonVersion": "3.10"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    result = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    return {
        (Path(entry["file"]).name, entry["range"]["start"]["line"] + 1)
        for entry in json.loads(result.stdout)["generalDiagnostics"]
        if entry["severity"] == "error"
    }


@pytest.mark.parametrize("faults", [mypy_faults, pyright_faults])
def test_generated_modules_are_typed(folder: Path, faults: Callable[[Path], set[tuple[str, int]]]) -> None:
    """They are accepted, and uses of them have the types they say; wrong uses are found, and nothing else."""
    wrong = {number for number, line in enumerate(USE.splitlines(), 1) if line.endswith("# wrong")}
    assert faults(folder) == {("use.py", line) for line in wrong}
