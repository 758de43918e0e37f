"""version.test.js: every save gives a new version."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    ConditionalError,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    VersionConflictError,
    VersionField,
    run_with_batch_context,
)
from tests.support.wire import Wire


class Page(Model, prefix="ver", name="VerPage"):
    page_id: str = UlidField(auto_assign=True)
    title: str = StringField(default="untitled")
    text: str = StringField(default="")
    version: str = VersionField()

    primary_key = PrimaryKey("page_id")


MODELS = [Page]


@pytest.fixture
def page(manager: Manager) -> Page:
    return Page.create()


def stored(page: Page) -> str:
    return Page.find(page.page_id).version


def test_01_at_create(page: Page) -> None:
    """The first version is a ULID, and is stored."""
    assert len(page.version) == 26
    assert stored(page) == page.version


def test_02_at_update(page: Page) -> None:
    """An update gives a later version."""
    updated = Page.update(page.page_id, title="changed")
    assert updated.version > page.version
    assert stored(page) == updated.version


def test_03_nothing_changed(page: Page, wire: Wire) -> None:
    """An equal value is no change: nothing is sent and the version stays; another one renews it."""
    before = page.version
    page.title = "untitled"
    page.save()
    assert len(wire) == 0
    assert stored(page) == page.version == before
    page.title = "changed"
    page.save()
    assert stored(page) == page.version > before


def test_04_two_writers(page: Page) -> None:
    """The second of two writers of one version fails, with a condition and without one."""
    first, second, third = (Page.find(page.page_id) for _ in range(3))
    first.title = "first"
    first.save(condition={"version": page.version})
    second.title = "second"
    with pytest.raises(ConditionalError):
        second.save(condition={"version": page.version})
    third.title = "third"
    with pytest.raises(VersionConflictError):
        third.save()
    assert Page.find(page.page_id).title == "first"


def test_05_through_saves(page: Page) -> None:
    """Versions rise from save to save, however fast they follow (right, not as JavaScript: defect 49)."""
    versions = [page.version]
    for number in range(20):
        page.title = f"title {number}"
        page.save()
        versions.append(page.version)
    assert versions == sorted(set(versions))
    assert stored(page) == versions[-1]


def test_06_reads(page: Page) -> None:
    """Reading does not change a version."""
    with run_with_batch_context():
        assert Page.find(page.page_id).version == page.version
        assert Page.find(page.page_id, bypass_cache=True).version == page.version
    assert stored(page) == page.version
    assert stored(page) == page.version


def test_07_several_fields(page: Page, wire: Wire) -> None:
    """One save of several fields is one request and one new version."""
    before = page.version
    page.title, page.text = "changed", "text"
    page.save()
    assert wire.operations == ["UpdateItem"]
    assert page.version > before
    found = Page.find(page.page_id)
    assert (found.title, found.text, found.version) == ("changed", "text", page.version)
