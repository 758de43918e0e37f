"""pagination.test.js: pages of a query."""

from __future__ import annotations

import pytest

from dynamo_bao import Index, Manager, Model, PrimaryKey, StringField

WHOLE = ["post 0", "post 1", "post 2", "post 3", "post 4"]


class Post(Model, prefix="pag", name="PagPost"):
    post_id: str = StringField()
    author: str = StringField()

    primary_key = PrimaryKey("post_id")
    by_author = Index("author", "post_id", id="gsi1")


MODELS = [Post]


@pytest.fixture(autouse=True)
def posts(manager: Manager) -> None:
    """Five posts of one author, stored in no order, and one of another."""
    for number in (3, 0, 4, 1, 2):
        Post.create(post_id=f"post {number}", author="ada")
    Post.create(post_id="post 9", author="bob")


def pages(direction: str) -> list[list[str]]:
    """The ids by pages of two."""
    found, start_key = [], None
    while True:
        page = Post.query_by_index("by_author", "ada", limit=2, direction=direction, start_key=start_key)
        found.append([post.post_id for post in page])
        start_key = page.last_evaluated_key
        if start_key is None:
            return found


def test_01_limit() -> None:
    """Five items by two are pages of 2, 2 and 1; only the last has no key."""
    assert [len(page) for page in pages("ASC")] == [2, 2, 1]


def test_02_ascending() -> None:
    """Ascending order holds inside pages and across them."""
    assert pages("ASC") == [WHOLE[:2], WHOLE[2:4], WHOLE[4:]]


def test_03_descending() -> None:
    """So does descending order."""
    assert pages("DESC") == [["post 4", "post 3"], ["post 2", "post 1"], ["post 0"]]


def test_04_pages_and_whole() -> None:
    """The pages together are the unpaged result, in its order."""
    for direction in ("ASC", "DESC"):
        whole = [post.post_id for post in Post.by_author.query("ada", direction=direction)]
        assert [post for page in pages(direction) for post in page] == whole
        assert sorted(whole) == WHOLE
