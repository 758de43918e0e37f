"""require-batch-context.test.js: what may happen outside a context."""

from __future__ import annotations

import pytest

from dynamo_bao import (
    BatchContextRequiredError,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    is_inside_batch_context,
    run_with_batch_context,
)
from tests.support.wire import Wire


class User(Model, prefix="rbc", name="RbcUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField(default="Ada")

    primary_key = PrimaryKey("user_id")


MODELS = [User]

MISSING = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def test_01_permissive_inside(manager: Manager) -> None:
    """By default everything works inside a context."""
    with run_with_batch_context():
        user = User.create()
        assert User.find(user.user_id).name == "Ada"
        assert User.batch_find([user.user_id])[user.user_id].name == "Ada"


def test_02_permissive_outside(manager: Manager, wire: Wire) -> None:
    """By default everything works outside a context too, with a request for each find."""
    user = User.create()
    wire.clear()
    assert User.find(user.user_id).name == "Ada"
    assert wire.operations == ["GetItem"]


def test_03_no_cache_outside(manager: Manager) -> None:
    """Outside nothing is kept: every find gives a new object, with what is stored then."""
    user_id = User.create().user_id
    first = User.find(user_id)
    User.update(user_id, name="Augusta")
    second = User.find(user_id)
    assert first is not second
    assert (first.name, second.name) == ("Ada", "Augusta")


def seen() -> list[bool]:
    """What the question answers before, inside and after a context."""
    answers = [User.is_inside_batch_context()]
    with run_with_batch_context():
        answers.append(User.is_inside_batch_context())
        assert is_inside_batch_context()
    return [*answers, User.is_inside_batch_context()]


def test_04_detection(manager: Manager) -> None:
    """is_inside_batch_context is False, True, False."""
    assert seen() == [False, True, False]


def test_05_strict_inside(strict: Manager) -> None:
    """Where a context is required everything works inside of one."""
    with run_with_batch_context():
        user = User.create()
        assert User.find(user.user_id, bypass_cache=True).name == "Ada"


def refused(strict: Manager, work: object) -> None:
    assert callable(work)
    wire = Wire(strict.client)
    message = "Batch operations must be executed within run_with_batch_context"
    with pytest.raises(BatchContextRequiredError, match=message):
        work()
    assert len(wire) == 0


def test_06_strict_find_outside(strict: Manager) -> None:
    """A find outside raises before any request, and so does a create (right, not as JavaScript: defect 31)."""
    refused(strict, lambda: User.find(MISSING))
    refused(strict, User.create)


def test_07_strict_batch_find_outside(strict: Manager) -> None:
    """So does batch_find."""
    refused(strict, lambda: User.batch_find([MISSING]))


def test_08_strict_detection(strict: Manager) -> None:
    """The question may be asked anywhere."""
    assert seen() == [False, True, False]
