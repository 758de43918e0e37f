"""tenant-isolation.test.js: tenants never see each other's items."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    ConditionalError,
    Index,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    TenantContext,
    UlidField,
    UniqueConstraint,
    run_with_batch_context,
)
from tests.support.patience import PATIENCE


class User(Model, prefix="tiu", name="TiUser"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str = StringField()
    status: str = StringField(default="active")

    primary_key = PrimaryKey("user_id")
    by_status = Index("status", "name", id="gsi1")
    all_users = Index(MODEL_PREFIX, "name", id="gsi2")
    unique_email = UniqueConstraint("email", id="uc1")


MODELS = [User]

pytestmark = pytest.mark.usefixtures("tenanted")


def names(index: str, *value: str) -> list[str]:
    return [user.name for user in User.query_by_index(index, *value)]


@pytest.fixture
def tenants(tenanted: Manager) -> list[str]:
    """Two tenants with two users each."""
    for tenant in ("one", "two"):
        with TenantContext.run_with_tenant(tenant):
            for number in range(2):
                User.create(name=f"{tenant} {number}", email=f"{number}@{tenant}.example")
    return ["one", "two"]


def test_01_index_queries(tenants: list[str]) -> None:
    """A query gives the tenant's rows only, by value and by prefix (right, not as JavaScript: defect 12)."""
    for tenant in tenants:
        with TenantContext.run_with_tenant(tenant):
            assert names("by_status", "active") == [f"{tenant} 0", f"{tenant} 1"]
            assert names("all_users") == [f"{tenant} 0", f"{tenant} 1"]


def test_02_unique_per_tenant(tenants: list[str]) -> None:
    """A unique value may exist once in each tenant."""
    with TenantContext.run_with_tenant("two"):
        mine = User.create(name="same", email="0@one.example")
        assert User.find_by_email("0@one.example") == mine
        with pytest.raises(ConditionalError):
            User.create(name="again", email="0@one.example")
    with TenantContext.run_with_tenant("one"):
        assert User.find_by_email("0@one.example").name == "one 0"


def test_03_unique_values_of_another_tenant(tenants: list[str]) -> None:
    """One tenant's value is not found under another."""
    with TenantContext.run_with_tenant("two"):
        assert User.find_by_email("0@one.example") is None
    with TenantContext.run_with_tenant("one"):
        assert User.find_by_email("0@one.example").name == "one 0"


def test_04_two_tenants_at_once(tenants: list[str]) -> None:
    """Two tenants queried at the same time, and in one context after each other, get their own rows.

    (right, not as JavaScript: defect 2)
    """
    together = Barrier(2, timeout=PATIENCE)

    def query(tenant: str) -> list[str]:
        with TenantContext.run_with_tenant(tenant), run_with_batch_context():
            result = User.query_by_index("by_status", "active")
            together.wait()
            return [user.name for user in result]

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(query, tenants)) == [["one 0", "one 1"], ["two 0", "two 1"]]
    with run_with_batch_context():
        seen = []
        for tenant in tenants:
            with TenantContext.run_with_tenant(tenant):
                seen.append(names("by_status", "active"))
    assert seen == [["one 0", "one 1"], ["two 0", "two 1"]]
