"""The types that checkers see in users' code, pages, examples and generated modules: mypy --strict, pyright and ty.

Each checker runs once over all of them, as most of its time goes into the library and what the library imports.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo_bao.codegen import generate
from tests.support.model_files import forget_loaded, random_definitions
from tests.support.pages import blocks, program as program_of

__all__ = ["forget_loaded"]

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
Faults = dict[str, dict[int, str]]
"""What is wrong by file, whose path is that in the folder of the programs, and by line."""

Checker = Callable[[Path], Faults]

# --- programs ----------------------------------------------------------------------------------------------

TYPED = ("fields", "operators", "relations", "settings", "tables-and-tenants", "tracing", "transactions")
PAGES = {
    "README.md": "readme.py",
    "dynamo_bao/cli/guide.md": "guide.py",
    **{f"docs/reference/{name}.md": f"page_{name}.py" for name in TYPED},
}
EXAMPLES = {
    "orders": "examples/orders",
    "package_explorer": "examples/package_explorer",
    "parcels": "examples/parcels",
    "shop": "examples/shop",
    "shop/shop": "shop",
    "shop/tests": "tests_of_shop",
}
"""The folders of the examples, each with the place in the folder of the programs where its imports find it."""
PLACED_APART = ("shop", "tests")
"""The folders in an example that have a place of their own."""
SETTINGS_OF_MYPY = """
[mypy]
[mypy-shop.*,tests_of_shop.*]
allow_untyped_defs = True
allow_incomplete_defs = True
allow_untyped_calls = True
"""
"""The tutorial annotates models and functions that others call, but not views and tests, as is usual."""
RANDOM_MODEL_FILES = 4

METHODS = """
from typing import ClassVar
from typing import assert_type
from dynamo_bao import (
    ChildQueryMethod, FindMethod, Index, Model, PrimaryKey, QueryMethod, QueryResult, RelatedField, StringField,
    UniqueConstraint, init_models,
)

class User(Model, prefix="u"):
    name: str = StringField()
    email: str = StringField()
    primary_key = PrimaryKey("name")
    by_status = Index("email", "name", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")
    query_by_status: ClassVar[QueryMethod["User"]]
    query_posts: ClassVar[ChildQueryMethod["Post"]]
    find_by_email: ClassVar[FindMethod["User"]]

class Post(Model, prefix="p"):
    title: str = StringField()
    user_id: str = RelatedField("User")
    primary_key = PrimaryKey("title")
    posts_for_user = Index("user_id", id="gsi2")

manager = init_models(models=[User, Post], table_name="t", embedded=True)
ada = User.create(name="Ada", email="a@x")
Post.create(title="Notes", user_id="Ada")
posts, users, one = ada.query_posts(limit=1), User.query_by_status("a@x", {"name": "Ada"}), User.find_by_email("a@x")
assert_type(posts, QueryResult[Post])
assert_type(users, QueryResult[User])
assert_type(one, User | None)
assert [post.title for post in posts] == ["Notes"] and users.one() == ada == one
"""
WRONG_METHODS = """
ada.query_posts(limits=1)  # wrong, but not for ty
User.query_by_status("x").first().nmae  # wrong
User.find_by_email()  # wrong
ada.query_comments()  # wrong
"""


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

from typing import assert_type

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
User.create(name="Ada")  # wrong, but not for ty
User.create(name="Ada", email="x", nic="y")  # wrong
User.query_by_age("three")  # wrong
User.query_by_age(3, limits=2)  # wrong, but not for ty
User.find_by_email(3)  # wrong
User.find_by_name("x")  # wrong
ada.query_post()  # wrong
post.editor.name  # wrong
"""


def program(page: str) -> str:
    """The Python blocks of a page as one program, in the order in which they run."""
    return "\n".join(reversed(blocks(page, "python"))) if page == "README.md" else program_of(page)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All programs, a generated package, and packages of random model files."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "own").mkdir()
    (folder / "own" / "slug_field.py").write_text(SLUG)
    (folder / "blog.yaml").write_text(BLOG)
    generate(folder / "blog.yaml", folder / "blog", fields_dir=folder / "own", fields_package="own")
    for seed in range(RANDOM_MODEL_FILES):
        path = folder / f"case_{seed}.yaml"
        path.write_text(yaml.safe_dump(random_definitions(seed), allow_unicode=True, sort_keys=False))
        generate(path, folder / f"case_{seed}")
    programs = {
        "right.py": (HERE / "right.py").read_text(),
        "wrong.py": (HERE / "wrong.py").read_text(),
        "methods.py": METHODS,
        "wrong_methods.py": METHODS + WRONG_METHODS,
        "use.py": USE,
        **{file: program(page) for page, file in PAGES.items()},
    }
    for file, code in programs.items():
        (folder / file).write_text(code, encoding="utf-8")
    for source, target in EXAMPLES.items():
        shutil.copytree(
            ROOT / "examples" / source,
            folder / target,
            ignore=shutil.ignore_patterns("__pycache__", *PLACED_APART),
        )
    (folder / "mypy.ini").write_text(SETTINGS_OF_MYPY)
    return folder


# --- checkers ----------------------------------------------------------------------------------------------


def mypy(folder: Path) -> Faults:
    """What mypy says of the files of a folder."""
    arguments = ["--strict", "--config-file=mypy.ini", "--python-version=3.11", "--explicit-package-bases"]
    arguments += ["--ignore-missing-imports", "--disable-error-code=import-untyped"]
    # A folder of its own, because a run with other options empties the cache.
    arguments += [f"--cache-dir={ROOT / '.mypy_cache' / 'programs'}"]
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *arguments, "."],  # the cache has the same paths each time
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "MYPYPATH": os.pathsep.join((str(folder), str(ROOT)))},
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    faults: Faults = defaultdict(dict)
    for file, line, text in re.findall(r"^(\S+):(\d+): error: (.*)$", result.stdout, re.MULTILINE):
        faults[name_in(folder, folder / file)][int(line)] = text
    assert bool(faults) == (result.returncode == 1), result.stdout
    return faults


def pyright(folder: Path) -> Faults:
    """What pyright says of the files of a folder."""
    settings = {"extraPaths": [str(ROOT)], "typeCheckingMode": "standard", "pythonVersion": "3.11"}
    (folder / "pyrightconfig.json").write_text(json.dumps({**settings, "reportMissingImports": False}))
    result = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    faults: Faults = defaultdict(dict)
    for entry in json.loads(result.stdout)["generalDiagnostics"]:
        if entry["severity"] == "error":
            faults[name_in(folder, Path(entry["file"]))][entry["range"]["start"]["line"] + 1] = entry[
                "message"
            ]
    return faults


def ty(folder: Path) -> Faults:
    """What ty says of the files of a folder. All of its rules are on, as it has them.

    Two kinds of mistakes are none for ty 0.0.108, and are marked so in the programs. It has no rule for an unknown
    name among ``**options: Unpack[QueryOptions]``. And it takes every field of a model for one with a default, because
    it does not read `default` of field specifiers that are classes.
    """
    arguments = ["--output-format=concise", "--python-version=3.11", f"--python={sys.prefix}"]
    result = subprocess.run(
        [sys.executable, "-m", "ty", "check", *arguments, f"--extra-search-path={ROOT}", "."],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert result.returncode in (0, 1), result.stdout + result.stderr
    faults: Faults = defaultdict(dict)
    for file, line, text in re.findall(r"^(\S+?):(\d+):\d+: (.*)$", result.stdout, re.MULTILINE):
        faults[name_in(folder, folder / file)][int(line)] = text
    assert bool(faults) == (result.returncode == 1), result.stdout
    return faults


def name_in(folder: Path, file: Path) -> str:
    """The path of a file in a folder."""
    return file.resolve().relative_to(folder.resolve()).as_posix()


@pytest.fixture(scope="module", params=[mypy, pyright, ty])
def checker(request: pytest.FixtureRequest) -> Checker:
    """A type checker."""
    checker: Checker = request.param
    return checker


@pytest.fixture(scope="module")
def faults(checker: Checker, folder: Path) -> Faults:
    """What a checker says of all programs."""
    return checker(folder)


def lines_called_wrong(code: str, checker: Checker) -> set[int]:
    """The lines of a program that say that they are wrong, for a checker."""
    marks = ("# wrong",) if checker is ty else ("# wrong", "# wrong, but not for ty")
    return {number for number, line in enumerate(code.splitlines(), 1) if line.endswith(marks)}


# --- tests -------------------------------------------------------------------------------------------------


def test_right_code_is_accepted_with_the_right_types(faults: Faults) -> None:
    """Declarations, constructors, finds, queries and relations have the types they say."""
    assert faults.get("right.py", {}) == {}


def test_wrong_code_is_found(checker: Checker, faults: Faults) -> None:
    """Misspelt and missing arguments, wrong types and misspelt attributes are errors; nothing else is."""
    code = (HERE / "wrong.py").read_text()
    assert set(faults["wrong.py"]) == lines_called_wrong(code, checker), faults["wrong.py"]


@pytest.mark.parametrize("page", PAGES)
def test_programs_of_pages_are_typed(faults: Faults, page: str) -> None:
    """No error in any of them, whatever a model gets at run time."""
    assert faults.get(PAGES[page], {}) == {}


@pytest.mark.parametrize("place", EXAMPLES.values())
def test_examples_are_typed(faults: Faults, place: str) -> None:
    """Programs of several modules, with their tests; all that there are."""
    folders = [(ROOT / "examples" / source) for source in EXAMPLES]
    files = {file for folder in folders for file in folder.rglob("*.py")}
    assert files == {*(ROOT / "examples").rglob("*.py")} - {ROOT / "examples" / "__init__.py"}
    assert {file: lines for file, lines in faults.items() if file.startswith(f"{place}/")} == {}


def test_methods_made_at_run_time_have_their_types(checker: Checker, faults: Faults) -> None:
    """Where the class declares them; a wrong use of each is an error on its line."""
    assert faults.get("methods.py", {}) == {}
    assert set(faults["wrong_methods.py"]) == lines_called_wrong(METHODS + WRONG_METHODS, checker)


def test_generated_modules_are_typed(checker: Checker, faults: Faults) -> None:
    """They are accepted, and uses of them have the types they say; wrong uses are found, and nothing else."""
    assert set(faults["use.py"]) == lines_called_wrong(USE, checker)
    assert set(faults) <= {"wrong.py", "wrong_methods.py", "use.py"}, faults


def test_declarations_for_checkers_change_nothing() -> None:
    """The methods are those that the models get anyhow."""
    names: dict[str, Any] = {"__name__": "generated"}
    exec(compile(METHODS, "generated", "exec"), names)
    names["manager"].close()
