"""capacity.test.js: what an instance's writes cost.

The figures of JavaScript count reads twice and leave others out (defect 27); here they are what DynamoDB reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dynamo_bao import (
    Capacity,
    Index,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    UniqueConstraint,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.testing import RecordingTransport


class User(Model, prefix="cap", name="CapUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str = StringField()
    status: str = StringField(default="active")
    role: str = StringField(default="user")
    platform: str = StringField(default="web")

    primary_key = PrimaryKey("user_id")
    by_status = Index("status", "user_id", id="gsi1")
    by_role = Index("role", "user_id", id="gsi2")
    by_platform = Index("platform", "user_id", id="gsi3")
    unique_email = UniqueConstraint("email", id="uc1")


MODELS = [User]


@pytest.fixture
def manager(engine_transport: RecordingTransport) -> Iterator[Manager]:
    """The models on an engine that tells all costs."""
    with init_models(models=MODELS, table_name="metered", transport=engine_transport) as manager:
        manager.create_table()
        yield manager
        manager.client.delete_table(TableName="metered")


pytestmark = pytest.mark.usefixtures("manager")


def consumed(work: object) -> Capacity:
    """What a piece of work costs in a context of its own."""
    assert callable(work)
    with run_with_batch_context() as session:
        work()
        return session.capacity


def test_01_create() -> None:
    """create with a unique value costs writes only, and the instance tells the same as the session."""
    with run_with_batch_context() as session:
        user = User.create(name="Ada", email="ada@example.com")
        assert user.consumed_capacity == session.capacity
        assert user.consumed_capacity.write == 7  # the item with its indexes, and the guard of its address
        assert user.consumed_capacity.read <= 0.5


def test_02_update_of_a_plain_field() -> None:
    """An update of a plain field costs less than a create."""
    created = User.create(name="Ada", email="ada@example.com")
    cost = consumed(lambda: User.update(created.user_id, name="Augusta"))
    assert 0.5 <= cost.write < created.consumed_capacity.write
    assert cost.read <= 1


def test_03_update_of_a_unique_field() -> None:
    """An update of a unique field costs more than one of a plain field, and the new value is seen at once.

    (right, not as JavaScript: defects 6 and 27)
    """
    user_id = User.create(name="Ada", email="ada@example.com").user_id
    plain = consumed(lambda: User.update(user_id, name="Augusta"))
    with run_with_batch_context() as session:
        assert User.find(user_id).email == "ada@example.com"
        updated = User.update(user_id, email="augusta@example.com")
        assert updated.email == User.find(user_id).email == "augusta@example.com"
        assert (
            session.capacity.write == 9 > plain.write
        )  # the item with its indexes, the old guard and the new one
        assert session.capacity.read <= 3


def test_04_delete() -> None:
    """delete with a unique value costs writes, and returns the deleted instance."""
    user = User.create(name="Ada", email="ada@example.com")
    with run_with_batch_context() as session:
        deleted = User.delete(user.user_id)
        assert deleted.user_id == user.user_id
        assert not deleted.exists()
        assert session.capacity.write == 7
        assert session.capacity.read <= 1
    assert not User.find(user.user_id)


def test_05_queries_by_index(manager: Manager) -> None:
    """Three index queries in parallel each find the user, at the capacity of a query."""
    User.create(name="Ada", email="ada@example.com")

    def query(index: str, value: str) -> tuple[list[str], float]:
        with run_with_batch_context() as session:
            result = User.query_by_index(index, value)
            names = [user.name for user in result]
            assert session.capacity.read == result.capacity.read
            return names, result.capacity.read

    wanted = [("by_status", "active"), ("by_role", "user"), ("by_platform", "web")]
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda pair: query(*pair), wanted))
    assert [names for names, _ in answers] == [["Ada"]] * 3
    assert all(0 < read <= 1 for _, read in answers)
