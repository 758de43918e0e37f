"""The doctor looks through a table that JavaScript wrote: what is right, and what is wrong and mended."""

from __future__ import annotations

from typing import Any

from dynamo_bao import Manager
from dynamo_bao.maintenance.check import examine_table
from dynamo_bao.maintenance.progress import Finding
from tests.compat.interop.javascript import JavaScript
from tests.compat.interop.python import Python
from tests.compat.interop.scenarios import ANN, BEN, CAT, SCENARIOS, WITHOUT_TENANT, carry_out, member


def examined(python: Python, *, fix: bool = False) -> tuple[list[Finding], int]:
    """What is found in the whole table, and how many items were looked into."""
    manager = python.manager
    assert isinstance(manager, Manager)
    homes = [manager.repository(model) for model in manager.model_classes().values()]
    steps = list(examine_table(manager.database, homes, fix=fix))
    return [finding for step in steps for finding in step.found], steps[-1].count


def test_nothing_is_wrong_with_what_javascript_wrote(
    javascript: JavaScript, python: Python, table: str
) -> None:
    """Every scenario, each in a tenant of its own: index and iteration keys, unique values and their guards."""
    for number, (name, steps) in enumerate(SCENARIOS.items()):
        carry_out(javascript, steps, None if name in WITHOUT_TENANT else f"t{number}")
    found, count = examined(python)
    assert [finding.text for finding in found] == []
    assert count > 30


def test_what_javascript_left_behind_is_mended(
    javascript: JavaScript, python: Python, client: Any, table: str
) -> None:
    """Keys of a cleared half, and the guard of an item that expired."""
    carry_out(javascript, [member(ANN, "ann"), member(BEN, "ben")])
    javascript.update("Member", ANN, {"role": None})
    client.delete_item(TableName=table, Key={"_pk": {"S": f"m#{BEN}"}, "_sk": {"S": "m"}})
    found, _ = examined(python)
    guard = "_raft_uc#_uc1#m#email:ben@example.com"
    assert sorted((finding.check, finding.key) for finding in found) == [("guard", guard), ("index", ANN)]
    mended, _ = examined(python, fix=True)
    assert all(finding.mended for finding in mended)
    assert examined(python)[0] == []
    carry_out(javascript, [member(CAT, "ben")])
    assert javascript.query("Member", "byRole", "null") == []


def test_index_keys_that_two_writers_tore_apart_are_mended(
    javascript: JavaScript, python: Python, table: str
) -> None:
    """JavaScript writes the other half as it read it: a change of Python's in between is lost from the index."""
    carry_out(python, [member(ANN, "ann")])
    javascript.ask("hold", model="Member", id=ANN)
    python.update("Member", ANN, {"role": "cook"})
    javascript.ask("save_held", values={"status": "away"})
    assert javascript.query("Member", "byRole", "cook") == []
    found, _ = examined(python, fix=True)
    assert [finding.check for finding in found] == ["index"]
    (cook,) = javascript.query("Member", "byRole", "cook", {"status": "away"})
    assert cook.id == ANN


def test_a_unique_value_written_without_its_guard_is_mended(
    javascript: JavaScript, python: Python, table: str
) -> None:
    """JavaScript writes the address that it read, and does not ask whether it still was the item's."""
    carry_out(python, [member(ANN, "ann")])
    javascript.ask("read_early", model="Member", id=ANN)
    python.update("Member", ANN, {"email": "new@example.com"})
    javascript.ask("update_late", values={"email": "ann@example.com"})
    for address in ("ann@example.com", "new@example.com"):
        assert python.unique("Member", "uniqueEmail", address) is None
    found, _ = examined(python, fix=True)
    assert found and all(finding.mended for finding in found)
    for side in (python, javascript):
        owner = side.unique("Member", "uniqueEmail", "ann@example.com")
        assert owner is not None and owner.id == ANN
    carry_out(javascript, [member(BEN, "new")])
    assert examined(python)[0] == []
