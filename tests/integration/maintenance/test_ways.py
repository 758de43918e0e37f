"""The cheaper way through a model that is most of its table, or little of it, by what the table says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import ConfigurationError, Manager, Model, PrimaryKey, TenantContext
from dynamo_bao.dynamodb.layout import ITER_INDEX
from dynamo_bao.errors import ServiceError
from dynamo_bao.maintenance import scanners
from dynamo_bao.maintenance.count import count_items
from dynamo_bao.maintenance.export import export_items, way_of_interrupted
from dynamo_bao.maintenance.scanners import ANY_TENANT, Iterating, Partition, Scan, cheapest_way


class Leaf(Model, prefix="lf", iterable=True):
    key: str
    primary_key = PrimaryKey("key")


class Bark(Model, prefix="bk"):
    key: str
    primary_key = PrimaryKey("key")


class Twig(Model, prefix="tw", iterable=True):
    key: str
    primary_key = PrimaryKey("key")


MODELS = [Leaf, Bark]


def says(
    monkeypatch: pytest.MonkeyPatch, items: int, size: int, entries: int | None, entry_bytes: int = 120
) -> None:
    """Has every table say how large it is."""
    index = {"IndexName": ITER_INDEX, "ItemCount": entries, "IndexSizeBytes": (entries or 0) * entry_bytes}
    table = {
        "ItemCount": items,
        "TableSizeBytes": size,
        "GlobalSecondaryIndexes": [{"IndexName": "gsi1"}, *([index] if entries is not None else [])],
    }
    monkeypatch.setattr(scanners, "describe_table", lambda database: table)


FIGURES = {
    "most of the table": (1_000_000, 475_000_000, 990_000, Scan, 57_984, 509_502),
    "all of it, without figures of the index": (1_000_000, 475_000_000, None, Scan, 57_984, 512_207),
    "little of it": (1_000_000, 475_000_000, 10_000, Iterating, 57_984, 5_146),
    "large items": (10_000, 3_000_000_000, 9_000, Iterating, 366_211, 333_132),
    "small items": (10_000, 1_000_000, 2_000, Scan, 123, 1_029),
}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (12, "12 bytes"),
        (1_500, "1.5 KB"),
        (12e6, "12 MB"),
        (999e9, "999 GB"),
        (2.5e12, "2.5 TB"),
        (4e15, "4,000.0 TB"),
    ],
)
def test_sizes_in_words(size: float, text: str) -> None:
    """With the largest unit of which there is at least one."""
    assert str(scanners.Size(items=3, bytes=size)).startswith(f"about 3 items, {text}: ")


@pytest.mark.parametrize(
    ("items", "size", "entries", "kind", "scan", "iterating"), FIGURES.values(), ids=FIGURES
)
def test_the_cheaper_way(
    manager: Manager,
    monkeypatch: pytest.MonkeyPatch,
    items: int,
    size: int,
    entries: int | None,
    kind: Any,
    scan: int,
    iterating: int,
) -> None:
    """By read units: half a unit for each item of the index and its entry, or all bytes of the table."""
    says(monkeypatch, items, size, entries)
    choice = cheapest_way(manager.repository(Leaf), None)
    assert isinstance(choice.way, kind)
    assert choice.reason == (
        f"its iteration index costs about {iterating:,} read units, a scan of the table {scan:,}"
    )


def test_counting_reads_the_index_alone(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs a part of what a scan does, however much of the table the model is."""
    says(monkeypatch, 1_000_000, 475_000_000, 1_000_000)
    choice = cheapest_way(manager.repository(Leaf), None, counting=True)
    assert isinstance(choice.way, Iterating) and choice.reason is not None
    assert "about 14,648 read units" in choice.reason


@pytest.mark.parametrize("figures", [(0, 0, 0), (5, 700, 5), (0, 0, None), (100, 0, 100)])
def test_what_is_small_or_says_nothing_is_iterated(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, figures: Any
) -> None:
    """Nothing is gained there."""
    says(monkeypatch, *figures)
    choice = cheapest_way(manager.repository(Leaf), None)
    assert isinstance(choice.way, Iterating) and choice.reason is None


def test_who_may_not_describe_the_table_iterates(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading may be allowed all the same."""

    def denied(database: Any) -> None:
        raise ServiceError("no", code="AccessDeniedException")

    monkeypatch.setattr(scanners, "describe_table", denied)
    assert isinstance(cheapest_way(manager.repository(Leaf), None).way, Iterating)


def test_other_ways_are_not_chosen_among(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models without an iteration index, all tenants' items, and those that no index knows."""
    says(monkeypatch, 1_000_000, 475_000_000, 10)
    home = manager.repository(Leaf)
    assert isinstance(cheapest_way(manager.repository(Bark), None).way, Scan)
    assert isinstance(cheapest_way(home, ANY_TENANT).way, Scan)
    assert isinstance(cheapest_way(home, None, stored=True).way, Scan)
    assert not isinstance(cheapest_way(home, None).way, (Scan, Partition))


def test_entries_of_others_are_not_counted_as_the_models(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the index has other tenants' entries, or another model's, the model's own are counted first."""
    says(monkeypatch, 1_000_000, 475_000_000, 1_000_000)
    with TenantContext.run_with_tenant("acme"):
        Leaf.create(key="a")
    choice = cheapest_way(manager.repository(Leaf), "acme")
    assert isinstance(choice.way, Iterating) and "about 1 read units" in str(choice.reason)
    monkeypatch.setattr(manager, "model_classes", lambda: {"Leaf": Leaf, "Twig": Twig})
    assert isinstance(cheapest_way(manager.repository(Leaf), None).way, Iterating)


@pytest.mark.parametrize("kind", [Iterating, Scan])
def test_interrupted_work_goes_on_the_way_it_went(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: Any
) -> None:
    """Whatever the table says of itself meanwhile; the file has every item once."""
    monkeypatch.setattr(scanners, "PAGE", 4)
    monkeypatch.setattr(scanners, "INDEX_PAGE", 1)
    for number in range(12):
        Leaf.create(key=str(number))
    home, target = manager.repository(Leaf), tmp_path / "leaves.jsonl"
    steps = export_items(home, None, kind(home, None), target)
    assert next(steps).count < 12
    steps.close()  # type: ignore[attr-defined]
    scans = kind is Scan
    says(monkeypatch, 1_000_000, 475_000_000, 10 if scans else 1_000_000)
    assert isinstance(cheapest_way(home, None).way, Iterating if scans else Scan)
    choice = cheapest_way(home, None, earlier=way_of_interrupted(target))
    assert isinstance(choice.way, kind)
    *_, last = export_items(home, None, choice.way, target, resume=True)
    assert last.count == 12
    assert len({json.loads(line)["key"] for line in target.read_text().splitlines()}) == 12
    assert way_of_interrupted(target) is None


def test_another_way_that_is_asked_for_is_refused(manager: Manager, tmp_path: Path) -> None:
    """Positions on one way are none on another."""
    Leaf.create(key="a")
    home, target = manager.repository(Leaf), tmp_path / "leaves.jsonl"
    next(iter(export_items(home, None, Iterating(home, None), target)))
    with pytest.raises(ConfigurationError, match="another job: way"):
        export_items(home, None, Scan(home, None), target, resume=True)


def test_both_ways_find_the_same(manager: Manager) -> None:
    """A scan leaves out other models' items."""
    for number in range(3):
        Leaf.create(key=str(number))
        Bark.create(key=str(number))
    home = manager.repository(Leaf)
    for way in (Iterating(home, None), Scan(home, None)):
        *_, last = count_items(way)
        assert last.count == 3
