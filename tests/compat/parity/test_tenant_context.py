"""tenant-context.test.js: which tenant the running code works for.

Where the JavaScript library has a manager for each tenant, one manager serves them all here.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from dynamo_bao import (
    Manager,
    Model,
    PrimaryKey,
    StringField,
    TenantContext,
    TenantRequiredError,
    init_models,
)
from tests.support.patience import PATIENCE
from tests.support.wire import Wire

NOT_CARRIED = {21: "callbacks that are async functions: the library is synchronous"}


class Note(Model, prefix="tcn", name="TcNote"):
    note_id: str = StringField()
    text: str = StringField(default="")

    primary_key = PrimaryKey("note_id")


MODELS = [Note]


def tenant() -> str | None:
    return TenantContext.get_current_tenant()


def test_01_set_and_get() -> None:
    """What was set is the current tenant."""
    TenantContext.set_current_tenant("one")
    assert tenant() == "one"


def test_02_none() -> None:
    """Without any there is None."""
    assert tenant() is None


def test_03_the_last_one_wins() -> None:
    """A second tenant takes the place of the first."""
    TenantContext.set_current_tenant("one")
    TenantContext.set_current_tenant("two")
    assert tenant() == "two"


def test_04_clear() -> None:
    """clear_tenant takes it back."""
    TenantContext.set_current_tenant("one")
    TenantContext.clear_tenant()
    assert tenant() is None


def resolver(asked: list[str], name: str, answer: str | None) -> Callable[[], str | None]:
    def resolve() -> str | None:
        asked.append(name)
        return answer

    return resolve


def test_05_resolvers_in_order() -> None:
    """Resolvers are asked in the order they were added, until one answers."""
    asked: list[str] = []
    for name, answer in (("first", None), ("second", None), ("third", "one")):
        TenantContext.add_resolver(resolver(asked, name, answer))
    assert tenant() == "one"
    assert asked == ["first", "second", "third"]


def test_06_the_first_answer() -> None:
    """The first answer ends the asking."""
    asked: list[str] = []
    for name, answer in (("first", "one"), ("second", "two")):
        TenantContext.add_resolver(resolver(asked, name, answer))
    assert tenant() == "one"
    assert asked == ["first"]


def test_07_a_set_tenant_wins() -> None:
    """A tenant that was set comes before the resolvers, which are not asked."""
    asked: list[str] = []
    TenantContext.add_resolver(resolver(asked, "first", "one"))
    TenantContext.set_current_tenant("two")
    assert tenant() == "two"
    assert asked == []


@pytest.mark.parametrize("wrong", ["one", 1, None])
def test_08_resolvers_are_functions(wrong: Any) -> None:
    """What cannot be called is refused."""
    with pytest.raises(TypeError, match="Resolver must be a function"):
        TenantContext.add_resolver(wrong)


def test_09_clear_resolvers() -> None:
    """clear_resolvers forgets them all."""
    TenantContext.add_resolver(lambda: "one")
    TenantContext.clear_resolvers()
    assert tenant() is None


def test_10_the_manager_works_for_the_tenant(manager: Manager, wire: Wire) -> None:
    """The manager's repository writes under the tenant that is current."""
    with TenantContext.run_with_tenant("one"):
        manager.repository(Note).create(note_id="n", text="of one")
    assert wire.sent[-1][1]["Item"]["_pk"]["S"].startswith("[one]#")


def test_11_the_same_tenant_again(manager: Manager) -> None:
    """A tenant's items are there whenever it is current again, through the same repository."""
    repository = manager.repository(Note)
    with TenantContext.run_with_tenant("one"):
        repository.create(note_id="n", text="of one")
    with TenantContext.run_with_tenant("one"):
        assert manager.repository(Note) is repository
        assert repository.find("n").text == "of one"


def test_12_another_tenant(manager: Manager) -> None:
    """Another tenant has items of its own."""
    for name in ("one", "two"):
        TenantContext.run_with_tenant(name, lambda name=name: Note.create(note_id="n", text=f"of {name}"))
    texts = [TenantContext.run_with_tenant(name, lambda: Note.find("n").text) for name in ("one", "two")]
    assert texts == ["of one", "of two"]


def test_13_no_tenant(manager: Manager) -> None:
    """Without a tenant items are nobody's, and no tenant called "default" sees them.

    (right, not as JavaScript: defect 34)
    """
    Note.create(note_id="n", text="of nobody")
    assert Note.find("n").text == "of nobody"
    with TenantContext.run_with_tenant("default"):
        assert not Note.find("n").exists()


def test_14_tenancy_off() -> None:
    """With tenancy off nothing needs a tenant."""
    with init_models(models=MODELS, embedded=True, tenancy={"enabled": False}):
        assert Note.create(note_id="n").exists()


def test_15_tenancy_not_mentioned(manager: Manager) -> None:
    """Without the setting it is off."""
    assert Note.create(note_id="n").exists()


def test_16_tenancy_on_with_a_tenant(tenanted: Manager) -> None:
    """With tenancy on and a tenant set operations work."""
    TenantContext.set_current_tenant("one")
    assert Note.create(note_id="n").exists()


def test_17_tenancy_on_without_a_tenant(tenanted: Manager) -> None:
    """With tenancy on and no tenant every operation raises (right, not as JavaScript: defect 32)."""
    wire = Wire(tenanted.client)
    with pytest.raises(TenantRequiredError, match="Tenant context is required"):
        Note.create(note_id="n")
    with pytest.raises(TenantRequiredError, match="when tenancy is enabled"):
        Note.find("n")
    TenantContext.set_current_tenant("one")
    Note.create(note_id="n")
    TenantContext.clear_tenant()
    wire.clear()
    with pytest.raises(TenantRequiredError, match="when tenancy is enabled"):
        Note.create(note_id="m")
    assert len(wire) == 0


def test_18_tenancy_on_with_a_resolver(tenanted: Manager) -> None:
    """A resolver's answer is a tenant as good as any."""
    TenantContext.add_resolver(lambda: "one")
    note = Note.create(note_id="n")
    TenantContext.clear_resolvers()
    with TenantContext.run_with_tenant("one"):
        assert Note.find("n") == note


def test_19_nothing_left() -> None:
    """After clear_tenant and clear_resolvers nothing is left."""
    TenantContext.set_current_tenant("one")
    TenantContext.add_resolver(lambda: "two")
    TenantContext.clear_tenant()
    assert tenant() == "two"
    TenantContext.clear_resolvers()
    assert tenant() is None


def test_20_a_callback() -> None:
    """run_with_tenant calls a function under the tenant and gives its result."""
    assert TenantContext.run_with_tenant("one", lambda: f"result of {tenant()}") == "result of one"
    assert tenant() is None
    with TenantContext.run_with_tenant("one") as name:
        assert tenant() == name == "one"
    assert tenant() is None


def at_once(names: list[str], rounds: int) -> list[list[str | None]]:
    """The tenants that threads see, each under its own, all of them open at the same time."""
    together = Barrier(len(names), timeout=PATIENCE)

    def work() -> list[str | None]:
        seen = []
        for _ in range(rounds):
            together.wait()
            seen.append(tenant())
        return seen

    with ThreadPoolExecutor(len(names)) as threads:
        return list(threads.map(lambda name: TenantContext.run_with_tenant(name, work), names))


def test_22_threads_are_apart() -> None:
    """Three threads at once each see their own tenant."""
    assert at_once(["one", "two", "three"], 1) == [["one"], ["two"], ["three"]]


def test_23_another_name() -> None:
    """with_tenant is the same."""
    assert TenantContext.with_tenant("one", tenant) == "one"
    with TenantContext.with_tenant("two"):
        assert tenant() == "two"


def test_24_threads_stay_apart() -> None:
    """They see it all the time, not just at first."""
    names = ["one", "two", "three"]
    assert at_once(names, 20) == [[name] * 20 for name in names]


def test_25_nested() -> None:
    """Tenants nest; the outer one is back afterwards, after an error too, and none at the end."""

    def fail() -> None:
        assert tenant() == "inner"
        raise ZeroDivisionError

    with TenantContext.run_with_tenant("outer"):
        with pytest.raises(ZeroDivisionError):
            TenantContext.run_with_tenant("inner", fail)
        assert tenant() == "outer"
    assert tenant() is None


def test_26_nothing_leaks_from_threads() -> None:
    """Tenants of threads leave this thread's own alone, and threads do not inherit it.

    (right, not as JavaScript: defect 34)
    """
    TenantContext.set_current_tenant("mine")
    assert at_once(["one", "two"], 3) == [["one"] * 3, ["two"] * 3]
    assert tenant() == "mine"
    with TenantContext.run_with_tenant("inner"):
        TenantContext.clear_tenant()
    assert tenant() == "mine"
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(tenant).result() is None
