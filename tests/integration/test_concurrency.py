"""Many threads at once: tenants never cross, one winner per unique value, no update lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dynamo_bao import (
    CounterField,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    StringSetField,
    TenantContext,
    UniqueConstraint,
    UniqueConstraintError,
    VersionConflictError,
    VersionField,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.thread_pool import MAX_THREADS
from tests.support.patience import PATIENCE

ROUNDS = int(os.environ.get("BAO_ROUNDS", "2"))
"""How many requests each thread makes, or how often a contest is held; set it for a long run."""


class Account(Model, prefix="ca", name="ConcAccount"):
    account_id: str = StringField()
    label: str = StringField(default="-")
    email: str | None = StringField(default=None)

    primary_key = PrimaryKey("account_id")
    unique_email = UniqueConstraint("email", id="uc1")


class Page(Model, prefix="cp", name="ConcPage"):
    path: str = StringField()
    number: int = 0
    hits: int = CounterField()
    seen: set[str] = StringSetField()
    version: str = VersionField()

    primary_key = PrimaryKey("path")


@pytest.fixture
def manager(connection: dict[str, Any], ready_table: str) -> Iterator[Manager]:
    with init_models(models=[Account, Page], table_name=ready_table, **connection) as manager:
        yield manager


def at_once(threads: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work` gives in each of many threads that start together."""
    start = threading.Barrier(threads)

    def run(number: int) -> Any:
        start.wait(PATIENCE)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


@pytest.mark.one_engine
@pytest.mark.promise("S3")
def test_tenants_never_cross(manager: Manager) -> None:
    """200 threads serve requests of 20 tenants, who have equal ids; each sees its own items and nobody else's."""
    names = [f"t{number}" for number in range(20)]
    for name in names:
        with TenantContext.run_with_tenant(name):
            for key in range(5):
                Account.create(account_id=f"{key}", label=name, email=f"{key}@x")

    def serve(thread: int) -> int:
        crossings = 0
        for request in range(ROUNDS):
            name = names[(thread + request) % 20]
            with TenantContext.run_with_tenant(name), run_with_batch_context():
                found = [Account.find(f"{(thread + step) % 5}") for step in range(3)]
                crossings += sum(one.label != name for one in found)
                if request % 10 == 0:
                    owner = Account.find_by_email(f"{thread % 5}@x")
                    crossings += owner is None or owner.label != name
        return crossings

    crossings = sum(at_once(200, serve))
    print(f"\nS3: {crossings} crossings in {200 * ROUNDS:,} requests of 200 threads and 20 tenants")
    assert crossings == 0


@pytest.mark.promise("W1")
def test_one_winner_per_unique_value(manager: Manager) -> None:
    """50 threads claim one value, over and over: one has it, the others are told, and no guard is left over."""
    winners = []
    for number in range(ROUNDS):
        email = f"{number}@x"

        def claim(thread: int, number: int = number, email: str = email) -> bool:
            try:
                Account.create(account_id=f"{number}-{thread}", email=email)
            except UniqueConstraintError:
                return False
            return True

        winners.append(sum(at_once(50, claim)))
    items = [
        item
        for page in manager.client.get_paginator("scan").paginate(TableName=manager.table_name)
        for item in page["Items"]
    ]
    guards = [item for item in items if item["_sk"]["S"] == "_raft_uc"]
    orphans = len(guards) - (len(items) - len(guards))
    print(f"\nW1: {ROUNDS:,} rounds of 50 threads, {sum(winners):,} winners, {orphans} orphan guards")
    assert winners == [1] * ROUNDS
    assert orphans == 0


@pytest.mark.promise("W9")
def test_no_update_is_lost(manager: Manager) -> None:
    """8 threads count, add members and change a versioned field by reading it: everything is there in the end."""
    Page.create(path="/")
    conflicts = 0

    def work(thread: int) -> int:
        conflicts = 0
        for number in range(ROUNDS * 2):
            with run_with_batch_context():
                while True:
                    page = Page.find("/", consistent_read=True)
                    page.number += 1
                    try:
                        page.save()
                        break
                    except VersionConflictError:
                        conflicts += 1
                        page.refresh()
                page.hits += 1
                page.seen.add(f"{thread}-{number}")
                page.save()
        return conflicts

    conflicts = sum(at_once(8, work))
    page, expected = Page.find("/", consistent_read=True), 8 * ROUNDS * 2
    print(f"\nW9: {expected:,} changes of each kind by 8 threads, {conflicts:,} conflicts told, none lost")
    assert (page.number, page.hits, len(page.seen)) == (expected, expected, expected)


@pytest.mark.one_engine
def test_sessions_share_the_helper_threads_of_their_manager(manager: Manager) -> None:
    """Sessions one after another, and at the same time, use the same few threads, which end with the manager.

    A helper that has just returned its result may not count as free yet, and then one more starts. Six sessions of
    their own threads would need 18.
    """

    def look_up(number: int) -> None:
        with run_with_batch_context():
            accounts = [Account.find(f"{number}-{n}") for n in range(400)]
            assert not any(accounts)

    def helpers() -> set[int | None]:
        return {thread.ident for thread in threading.enumerate() if thread.name.startswith("dynamo_bao")}

    before = helpers()
    look_up(0)
    first = helpers() - before
    for number in range(5):
        look_up(number)
    assert len(helpers() - before) < 6 * 3
    assert first <= helpers()
    at_once(30, look_up)
    assert len(helpers() - before) <= MAX_THREADS
