"""Programs of the README and the guide, under mypy --strict and pyright."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_examples import blocks
from tests.typing.test_typing import mypy, pyright

PAGES = ("README.md", "docs/guide.md")
CHECKERS = (mypy, pyright)
Checker = Callable[[Path], dict[int, str]]

GENERATED = """
from typing import ClassVar
from typing_extensions import assert_type
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
WRONG = """
ada.query_posts(limits=1)
User.query_by_status("x").first().nmae
User.find_by_email()
ada.query_comments()
"""


def program(page: str) -> str:
    """The Python blocks of a page as one program, in the order in which they run."""
    code = blocks(page, "python")
    return "\n".join(reversed(code) if page == "README.md" else code)


def errors(checker: Checker, folder: Path, code: str) -> dict[int, str]:
    """What a checker says of a program."""
    file = folder / "page.py"
    file.write_text(code, encoding="utf-8")
    return checker(file)


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("page", PAGES)
def test_programs_of_pages_are_typed(checker: Checker, page: str, tmp_path: Path) -> None:
    """No error in any of them, whatever a model gets at run time."""
    assert errors(checker, tmp_path, program(page)) == {}


@pytest.mark.parametrize("checker", CHECKERS)
def test_methods_made_at_run_time_have_their_types(checker: Checker, tmp_path: Path) -> None:
    """Where the class declares them; a wrong use of each is an error on its line."""
    assert errors(checker, tmp_path, GENERATED) == {}
    first = GENERATED.count("\n") + 2
    assert sorted(errors(checker, tmp_path, GENERATED + WRONG)) == list(range(first, first + 4))


def test_declarations_for_checkers_change_nothing() -> None:
    """The methods are those that the models get anyhow."""
    if sys.version_info >= (3, 11):
        names: dict[str, Any] = {"__name__": "generated"}
        exec(compile(GENERATED.replace("typing_extensions", "typing"), "generated", "exec"), names)
        names["manager"].close()
