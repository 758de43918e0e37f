"""A version that changed, a condition that does not hold and an item that is gone are told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynamo_bao import (
    BaoError,
    ConditionalError,
    ItemNotFoundError,
    Manager,
    TransactionError,
    VersionConflictError,
    run_with_batch_context,
    transaction,
    where,
)
from tests.support.models import Page

WRONG, RIGHT = where(text="wrong"), where(text="old")


def _save(page: Page, condition: Any) -> None:
    page.text = "new"
    page.save(condition=condition)


def _delete(page: Page, condition: Any) -> None:
    page.delete(condition=condition)


def _update(page: Page, condition: Any) -> None:
    Page.update("/", condition=condition, version=page.version, text="new")


def _delete_by_key(page: Page, condition: Any) -> None:
    Page.delete("/", condition=condition, version=page.version)


def _in_a_transaction(page: Page, condition: Any) -> None:
    with transaction():
        page.text = "new"
        page.save(condition=condition)
        Page.create(path="/other")


WRITES: dict[str, Callable[[Page, Any], None]] = {
    "save": _save,
    "delete": _delete,
    "update": _update,
    "delete by key": _delete_by_key,
    "transaction": _in_a_transaction,
}


def _error_of(write: str, condition: Any, before: Callable[[], Any]) -> BaoError:
    Page.create(path="/", text="old")
    with run_with_batch_context():
        page = Page.find_or_raise("/")
        before()
        with pytest.raises(BaoError) as caught:
            WRITES[write](page, condition)
    assert not Page.find("/other").exists()
    return caught.value


def _change(path: str = "/") -> None:
    with run_with_batch_context():  # another one, of which that around it does not hear
        other = Page.find(path)
        other.text = "of another"
        other.save()


def _remove(path: str = "/") -> None:
    with run_with_batch_context():
        Page.delete(path)


@pytest.mark.parametrize("write", WRITES)
def test_the_condition_does_not_hold(manager: Manager, write: str) -> None:
    error = _error_of(write, WRONG, lambda: None)
    assert isinstance(error, ConditionalError)
    assert not isinstance(error, VersionConflictError)


@pytest.mark.parametrize("write", WRITES)
def test_the_version_is_another(manager: Manager, write: str) -> None:
    assert isinstance(_error_of(write, None, _change), VersionConflictError)


@pytest.mark.parametrize("write", WRITES)
def test_another_version_is_told_before_a_condition_that_fails(manager: Manager, write: str) -> None:
    assert isinstance(_error_of(write, WRONG, _change), VersionConflictError)


@pytest.mark.parametrize("write", WRITES)
def test_the_item_is_gone(manager: Manager, write: str) -> None:
    error = _error_of(write, RIGHT, _remove)
    assert isinstance(error, ItemNotFoundError)
    assert not isinstance(error, ConditionalError)


def test_each_object_of_a_transaction_for_itself(manager: Manager) -> None:
    for path in ("/a", "/b", "/c"):
        Page.create(path=path, text="old")
    with run_with_batch_context():
        pages = [Page.find_or_raise(path) for path in ("/a", "/b", "/c")]
        _change("/b")
        _remove("/c")
        with pytest.raises(TransactionError) as caught, transaction():
            for page, condition in zip(pages, (WRONG, None, None), strict=True):
                page.text = "new"
                page.save(condition=condition)
    kinds = [type(error) for error in caught.value.errors]
    assert kinds == [ConditionalError, VersionConflictError, ItemNotFoundError]
