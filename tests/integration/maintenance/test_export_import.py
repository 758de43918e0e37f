"""Items as files: exported exactly, imported exactly, and interrupted anywhere without loss or doubling."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dynamo_bao import (
    MODEL_PREFIX,
    BatchIncompleteError,
    ConfigurationError,
    CounterField,
    CreateDateField,
    Index,
    JsonField,
    ListField,
    Manager,
    Model,
    ModifiedDateField,
    NestedField,
    NumberSetField,
    PrimaryKey,
    QueryError,
    ServiceError,
    StringField,
    StringSetField,
    TenantContext,
    TtlField,
    UlidField,
    UniqueConstraint,
    ValidationError,
    VersionField,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.dynamodb.transport.error_mapping import TransactionCancelled
from dynamo_bao.maintenance import (
    export as export_module,
    import_items as import_items_module,
    progress_file,
    scanners,
)
from dynamo_bao.maintenance.export import export_items, export_to
from dynamo_bao.maintenance.import_items import check_lines, import_items
from dynamo_bao.maintenance.progress import JobProgress
from dynamo_bao.maintenance.progress_file import ProgressFile
from dynamo_bao.maintenance.scanners import Iterating, Partition, Scan, scanner_for
from dynamo_bao.testing import RecordingTransport, embedded_transport, unprocessed
from tests.integration.maintenance.conftest import Interruptible, emptied, stored
from tests.support.values import Box, Colour


class Everything(Model, prefix="ev", iterable=True, iteration_buckets=3, searchable=["title"]):
    """A field of every kind."""

    everything_id: str = UlidField(auto_assign=True)
    title: str
    size: Decimal | None = None
    whole: int | None = None
    part: float | None = None
    views: int = CounterField()
    stars: int = 7
    flag: bool | None = None
    photo: bytes | None = None
    at: datetime | None = None
    ttl: datetime | None = TtlField(default=None)
    token: UUID | None = None
    colour: Colour | None = None
    tags: set[str] = StringSetField()
    figures: Any = NumberSetField()
    map: dict[str, Any] | None = None
    list_: Any = ListField(default=None, attribute="list")
    json: Any = JsonField(default=None)
    box: Box | None = NestedField(Box, default=None)
    created_at: datetime = CreateDateField()
    modified_at: datetime = ModifiedDateField()
    version: str = VersionField()

    primary_key = PrimaryKey("everything_id")
    by_title = Index("title", "created_at", id="gsi1")
    unique_token = UniqueConstraint("token", id="uc1")


class Account(Model, prefix="ac"):
    name: str
    email: str | None = StringField(default=None)
    nick: str | None = StringField(default=None)

    primary_key = PrimaryKey("name")
    unique_email = UniqueConstraint("email", id="uc1")


class Note(Model, prefix="no", iterable=True, iteration_buckets=2):
    note_id: str = UlidField(auto_assign=True)
    text: str

    primary_key = PrimaryKey("note_id")


class Plain(Model, prefix="pl"):
    name: str
    text: str | None = None

    primary_key = PrimaryKey("name")


class Country(Model, prefix="co"):
    code: str
    size: int = 0

    primary_key = PrimaryKey(MODEL_PREFIX, "code")


class Listed(Model, prefix="li"):
    name: str
    rank: int
    note: str | None = None

    primary_key = PrimaryKey("name")
    by_note = Index(MODEL_PREFIX, "note", id="gsi1")
    by_rank = Index(MODEL_PREFIX, "rank", id="gsi2")


class Watched(Model, prefix="wa"):
    name: str

    primary_key = PrimaryKey("name")

    def before_save(self, *_: Any) -> None:
        raise AssertionError("a hook ran")


MODELS = [Everything, Account, Note, Plain, Country, Listed, Watched]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "items.jsonl"


def exported(
    manager: Manager, model: type[Any], file: Path, tenant: str | None = None, **how: Any
) -> JobProgress:
    """The last step of an export."""
    home = manager.repository(model)
    way = scanner_for(home, tenant)
    *_, last = export_items(home, tenant, way, file, **how)
    return last


def imported(
    manager: Manager, model: type[Any], file: Path, tenant: str | None = None, **how: Any
) -> list[JobProgress]:
    """The steps of an import."""
    return list(import_items(manager.repository(model), tenant, file, **how))


def refusals(steps: list[JobProgress]) -> list[str]:
    return [finding.text for step in steps for finding in step.found]


def some_of_everything() -> None:
    digits = "12345678901234567890.123456789012345678"
    Everything.create(
        title="One, with \u2028 and \U0001f600",
        size=Decimal(digits),
        whole=-(10**37),
        part=0.1,
        views=3,
        flag=False,
        photo=bytes(range(256)),
        at=datetime(1931, 5, 1, tzinfo=timezone.utc),
        ttl=datetime(2090, 1, 1, tzinfo=timezone.utc),
        token=UUID(int=5),
        colour=Colour.RED,
        tags={"b", "a"},
        figures={1, Decimal(digits), 0.5},
        map={
            "$SS": ["no set"],
            "deep": [
                {"b": b"\x00\xff", "n": Decimal(digits), "none": None, "": 0} if False else {"b": b"\x00\xff"}
            ],
        },
        list_=[1, "2", [True, None, {"$N": Decimal(digits)}]],
        json={"a": [1, None, "x"]},
        box=Box(3, "b", [0.25]),
    )
    Everything.create(title="Two")


# --- exactness ------------------------------------------------------------------------------------


def test_export_and_import_bring_back_the_same_table(manager: Manager, file: Path) -> None:
    """Every field kind, index keys, guards, versions, dates and foreign attributes are byte for byte what they were."""
    some_of_everything()
    first = next(key for key in stored(manager) if key[0].startswith("ev#"))
    manager.client.update_item(
        TableName=manager.table_name,
        Key={"_pk": {"S": first[0]}, "_sk": {"S": first[1]}},
        UpdateExpression="SET legacy = :v REMOVE stars",
        ExpressionAttributeValues={":v": {"L": [{"NS": ["1", "2"]}, {"B": b"\x00"}, {"NULL": True}]}},
    )
    before = stored(manager)
    assert exported(manager, Everything, file).count == 2
    emptied(manager)
    *_, last = check_lines(manager.repository(Everything), None, file)
    assert (last.done, last.count, last.found) == (2, 2, ())
    assert imported(manager, Everything, file)[-1] == JobProgress(2, None, 2)
    assert stored(manager) == before


def test_lines_are_what_one_would_write(manager: Manager, file: Path) -> None:
    """Fields by name, with plain JSON values."""
    Account.create(name="ada", email="ada@example.com")
    exported(manager, Account, file)
    assert file.read_text() == '{"name": "ada", "email": "ada@example.com", "nick": null}\n'


def test_a_query_after_an_import_asks_again(manager: Manager, file: Path) -> None:
    """A batch context around it caches no results from before its writes."""
    Listed.create(name="a", note="n", rank=1)
    exported(manager, Listed, file)
    Listed.find("a").delete()
    with run_with_batch_context():
        assert len(Listed.by_rank.query()) == 0
        imported(manager, Listed, file)
        assert len(Listed.by_rank.query()) == 1


def test_exports_of_tenants_hold_their_own_items(manager: Manager, file: Path) -> None:
    """What one tenant exports, another can import under its own keys."""
    for tenant in ("acme", "other"):
        with TenantContext.run_with_tenant(tenant):
            Account.create(name=tenant, email=f"{tenant}@example.com")
            Note.create(note_id="01JGFJJZ00ANN0000000000000", text=tenant)
    exported(manager, Account, file, "acme")
    assert [json.loads(line)["name"] for line in file.read_text().splitlines()] == ["acme"]
    imported(manager, Account, file, "third")
    assert {pk for pk, _ in stored(manager) if "third" in pk} == {
        "[third]#ac#acme",
        "[third]#_raft_uc#_uc1#ac#email:acme@example.com",
    }
    exported(manager, Note, file, "other")
    assert [json.loads(line)["text"] for line in file.read_text().splitlines()] == ["other"]


def test_key_fields_that_are_in_the_key_only_are_exported(manager: Manager, file: Path) -> None:
    """An item that does not repeat its key in attributes of its own loses nothing."""
    key = {"_pk": {"S": "pl#a#b"}, "_sk": {"S": "pl"}}
    manager.client.put_item(TableName=manager.table_name, Item={**key, "text": {"S": "x"}})
    exported(manager, Plain, file)
    assert json.loads(file.read_text()) == {"name": "a#b", "text": "x"}


# --- ways -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "kind", "words"),
    [
        (Note, Iterating, "by its iteration index"),
        (Country, Partition, "by its primary key"),
        (Listed, Partition, "by its index by_rank"),
        (Plain, Scan, "by a scan of the whole table"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_cheapest_way_is_taken(
    manager: Manager, file: Path, model: type[Any], kind: type[Any], words: str
) -> None:
    """An index is used only where every item must be in it; each way comes to the same items."""
    for number in range(7):
        Note.create(text=str(number))
        Country.create(code=f"c{number}")
        Listed.create(name=f"l{number}", rank=number)
        Plain.create(name=f"p{number}")
    home = manager.repository(model)
    way = scanner_for(home, None)
    assert isinstance(way, kind)
    assert (way.about, way.scans) == (words, kind is Scan)
    lines = list[bytes]()
    *_, last = export_to(home, way, lines.append)
    assert last.count == 7
    by_scan = list[bytes]()
    list(export_to(home, Scan(home, None), by_scan.append))
    assert sorted(b"".join(lines).splitlines()) == sorted(b"".join(by_scan).splitlines())


def test_a_model_s_items_are_not_another_s(manager: Manager) -> None:
    """A prefix that another begins with, guards and tenants are told apart by a scan."""

    class Longer(Model, prefix="pl2"):
        name: str
        primary_key = PrimaryKey("name")

    class Short(Model, prefix="co2"):
        code: str
        primary_key = PrimaryKey(MODEL_PREFIX, "code")

    Plain.create(name="one")
    Country.create(code="x")
    with init_models(models=[Longer, Short], table_name=manager.table_name, client=manager.client):
        Longer.create(name="two")
        Short.create(code="y")
    with TenantContext.run_with_tenant("acme"):
        Plain.create(name="three")
    for model in (Plain, Country):
        home = manager.repository(model)
        lines = list[bytes]()
        list(export_to(home, Scan(home, None), lines.append))
        assert len(lines) == 1
        assert b"".join(lines).count(b"\n") == 1


# --- import -----------------------------------------------------------------------------------------


def test_every_wrong_line_is_told_with_its_number(manager: Manager, file: Path) -> None:
    """The whole file is looked at, blank lines are no items, and nothing is written."""
    file.write_text('{"name": "a"}\n\n{"nam": "b"}\n{"name": "c"}\n[]\n')
    steps = list(check_lines(manager.repository(Account), None, file))
    assert steps[-1].count == 2
    assert [(finding.line, finding.text) for step in steps for finding in step.found] == [
        (
            3,
            "line 3: Account: 2 fields are wrong: Account has no field 'nam'. Did you mean 'name'?; "
            "Account.name is required; give it a value",
        ),
        (5, "line 5: it is not a JSON object of fields"),
    ]
    assert stored(manager) == {}


@pytest.mark.parametrize("members", ['["a", 1]', "[1]", '["a", "a"]', "[]"])
def test_a_set_that_no_table_can_hold_is_refused(manager: Manager, file: Path, members: str) -> None:
    """Its members are texts, and each of them is there once."""
    file.write_text(f'{{"title": "x", "map": {{"$SS": {members}}}}}\n')
    (finding,) = (
        one for step in check_lines(manager.repository(Everything), None, file) for one in step.found
    )
    assert finding.line == 1


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_lines_stores_nothing(manager: Manager, file: Path, text: str) -> None:
    """Also for a model whose lines are stored together."""
    file.write_text(text)
    assert imported(manager, Account, file)[-1].count == 0
    assert stored(manager) == {}


def test_what_exists_is_refused_and_the_rest_stored(manager: Manager, file: Path) -> None:
    """Items and unique values that are taken are told with their lines; other lines are stored."""
    Account.create(name="a", email="a@x")
    file.write_text(
        '{"name": "a", "nick": "new"}\n{"name": "b", "email": "a@x"}\n{"name": "c", "email": "c@x"}\n'
        '{"name": "c"}\n{"name": "d", "email": "c@x"}\n'
    )
    steps = imported(manager, Account, file)
    texts = refusals(steps)
    assert [text.split(":")[0] for text in texts] == ["line 1", "line 2", "line 4", "line 5"]
    assert "exists already" in texts[0] and "must be unique" in texts[1]
    assert steps[-1].count == 1
    assert Account.find("a").nick is None
    assert Account.find("c").email == "c@x"
    assert not Account.find("b").exists()


def test_of_many_lines_exactly_those_that_are_taken_are_refused(manager: Manager, file: Path) -> None:
    """Lines are stored many at a time, and each has its own outcome, in the order of the file."""
    Account.create(name="7")
    Account.create(name="other", email="31@x")
    file.write_text("".join(f'{{"name": "{n}", "email": "{n}@x"}}\n' for n in range(60)))
    steps = imported(manager, Account, file)
    assert [text.partition(": ")[0] for text in refusals(steps)] == ["line 8", "line 32"]
    assert (steps[-1].done, steps[-1].count) == (60, 58)
    names = {item["name"]["S"] for (_, sk), item in stored(manager).items() if sk != "_raft_uc"}
    assert names == {"other", *(str(n) for n in range(60) if n != 31)}
    assert (Account.find("7").email, Account.find_by_email("8@x").name) == (None, "8")


def test_a_unique_value_that_no_key_holds_is_told_by_the_check(manager: Manager, file: Path) -> None:
    """An import reports all lines that cannot be stored before it stores the first line."""
    file.write_text(f'{{"name": "a"}}\n{{"name": "b", "email": "{"x" * 3000}"}}\n')
    (finding,) = [
        finding for step in check_lines(manager.repository(Account), None, file) for finding in step.found
    ]
    assert finding.line == 2 and "email" in finding.text


def test_overwriting_replaces_items_and_keeps_values_unique(manager: Manager, file: Path) -> None:
    """Whole items are replaced, freed values can be taken by later lines, and values of others cannot."""
    for name in "abc":
        Account.create(name=name, email=f"{name}@x", nick="old")
    file.write_text(
        '{"name": "a", "email": "new@x"}\n{"name": "b", "email": "a@x"}\n{"name": "d", "email": "c@x"}\n'
    )
    steps = imported(manager, Account, file, overwrite=True)
    assert [text.split(":")[0] for text in refusals(steps)] == ["line 3"]
    assert (Account.find("a").email, Account.find("a").nick) == ("new@x", None)
    guards = {
        pk.partition("email:")[2]: item["relatedId"]["S"]
        for (pk, sk), item in stored(manager).items()
        if sk == "_raft_uc"
    }
    assert guards == {"new@x": "a", "a@x": "b", "c@x": "c"}


def test_overwriting_items_without_unique_values(manager: Manager, file: Path) -> None:
    """Where lines have the same item, the last one counts."""
    Plain.create(name="a", text="old")
    file.write_text("".join(f'{{"name": "{"ab"[n % 2]}", "text": "{n}"}}\n' for n in range(60)))
    steps = imported(manager, Plain, file, overwrite=True)
    assert steps[-1].count == 60
    assert [step.done for step in steps] == [
        *range(2, 61, 2),
        60,
    ]  # no two lines of one item at the same time
    assert (Plain.find("a").text, Plain.find("b").text) == ("58", "59")


def test_no_hook_runs_for_an_imported_item(manager: Manager, file: Path) -> None:
    """Data that is brought back is not saved anew."""
    file.write_text('{"name": "a"}\n')
    assert imported(manager, Watched, file)[-1].count == 1
    with pytest.raises(AssertionError, match="a hook ran"):
        Watched.create(name="b")


def test_a_line_that_is_wrong_after_all_stops_the_import(manager: Manager, file: Path) -> None:
    """A file that was not checked, or that changed since, is imported as far as its fault, and goes on when mended."""
    file.write_text('{"name": "a"}\n{"name": 5}\n{"name": "c"}\n')
    with pytest.raises(ValidationError, match=r"line 2: Account\.name takes str"):
        imported(manager, Account, file)
    assert {item["name"]["S"] for item in stored(manager).values()} == {"a"}
    other = file.with_name("other.jsonl")
    other.write_text('{"name": 5}\n')
    with pytest.raises(ValidationError, match=r"line 1: Account\.name takes str"):
        imported(manager, Account, other)
    file.write_text('{"name": "a"}\n{"name": "b"}\n{"name": "c"}\n')
    steps = imported(manager, Account, file, resume=True)
    assert (refusals(steps), steps[-1].count) == ([], 3)


# --- interruptions ----------------------------------------------------------------------------------


def test_an_interrupted_export_goes_on_where_it_stopped(
    faulty: Manager, interruptible: Interruptible, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted at each of its requests and steps, it ends with the file that an uninterrupted one writes."""
    monkeypatch.setattr(scanners, "INDEX_PAGE", 10)
    for number in range(50):
        Note.create(note_id=f"01JGFJJZ00ANN0000000000{number:03d}", text="x")
    exported(faulty, Note, file)
    whole = sorted(file.read_bytes().splitlines())
    assert len(set(whole)) == 50
    file.unlink()
    home, rounds = faulty.repository(Note), 0
    while not file.exists():
        rounds += 1
        assert rounds < 50
        interruptible.interrupt(rounds, carried_out=True)
        with suppress(KeyboardInterrupt):
            for _ in export_items(home, None, scanner_for(home, None), file, resume=True):
                if rounds % 3 == 0:
                    raise KeyboardInterrupt
    assert rounds > 3
    assert sorted(file.read_bytes().splitlines()) == whole
    assert [path.name for path in file.parent.iterdir()] == ["items.jsonl"]


def test_lines_that_were_not_noted_are_written_again(
    faulty: Manager, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between the lines and the progress file, and one in the middle of writing lines, double nothing."""
    monkeypatch.setattr(scanners, "INDEX_PAGE", 10)
    monkeypatch.setattr(export_module, "RECORD_SECONDS", 0.0)
    for number in range(40):
        Note.create(text=str(number))
    home = faulty.repository(Note)
    real, calls = progress_file.ProgressFile.save, 0

    def save(self: Any, state: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % 2:
            raise KeyboardInterrupt
        real(self, state)

    monkeypatch.setattr(progress_file.ProgressFile, "save", save)
    for _ in range(10):
        with suppress(KeyboardInterrupt):
            list(export_items(home, None, scanner_for(home, None), file, resume=True))
            break
    texts = [json.loads(line)["text"] for line in file.read_text().splitlines()]
    assert sorted(texts, key=int) == [str(number) for number in range(40)]


def test_lines_of_a_page_that_was_not_noted_are_gone_with_its_items(
    faulty: Manager, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the lines and before the progress file; nothing of them is left where the items are deleted."""
    for number in range(3):
        Country.create(code=str(number))
    home = faulty.repository(Country)
    with monkeypatch.context() as patched:
        patched.setattr(progress_file.ProgressFile, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(export_items(home, None, scanner_for(home, None), file))
    part = file.with_name("items.jsonl.part")
    assert len(part.read_bytes().splitlines()) == 3
    ProgressFile(file.with_name("items.jsonl.exporting"), _about(faulty)).save(
        {"bytes": 0, "done": 0, "count": 0, "total": 3, "position": None, "ended": False}
    )
    for number in (1, 2):
        Country.delete(str(number))
    *_, last = export_items(home, None, scanner_for(home, None), file, resume=True)
    assert last.count == 1
    assert json.loads(file.read_text())["code"] == "0"


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def _about(manager: Manager) -> dict[str, Any]:
    return {**progress_file.work_on(manager.database, "export", "Country", None), "way": "by its primary key"}


@pytest.mark.parametrize("carried_out", [False, True], ids=["before a request", "after a request"])
@pytest.mark.parametrize("model", [Note, Account], ids=lambda model: model.__name__)
def test_an_interrupted_import_stores_each_line_once(
    faulty: Manager,
    file: Path,
    interruptible: Interruptible,
    model: type[Any],
    carried_out: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C at any request: going on stores every line once, those without an id of their own too."""
    monkeypatch.setattr(import_items_module, "GROUP", 4)
    lines = [
        f'{{"text": "{n}"}}' if model is Note else f'{{"name": "{n}", "email": "{n}@x"}}' for n in range(10)
    ]
    file.write_text("\n".join(lines))
    home = faulty.repository(model)
    for number in range(
        10 if model is Note else 3
    ):  # unique values are stored with a transaction for each group
        interruptible.interrupt(number, carried_out=carried_out)
        with pytest.raises(KeyboardInterrupt):
            list(import_items(home, None, file))
        interruptible.inject(())
        *steps, last = import_items(home, None, file, resume=True)
        assert [finding.text for step in steps for finding in step.found] == []
        assert (last.done, last.count) == (10, 10)
        items = stored(faulty)
        values = [
            item["text" if model is Note else "name"]["S"]
            for (_, sk), item in items.items()
            if sk != "_raft_uc"
        ]
        assert sorted(values) == [str(n) for n in range(10)]
        assert len(items) == (10 if model is Note else 20)
        assert [path.name for path in file.parent.iterdir()] == ["items.jsonl"]
        emptied(faulty)


def test_an_import_stopped_at_any_note_stores_each_line_once(
    faulty: Manager, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before or after the progress file is written, and at a step."""
    monkeypatch.setattr(import_items_module, "GROUP", 3)
    file.write_text("".join(f'{{"text": "{n}"}}\n' for n in range(9)))
    home, real = faulty.repository(Note), progress_file.ProgressFile.save

    for number in range(4):
        for late in (False, True):
            calls = 0

            def save(self: Any, state: Any, number: int = number, late: bool = late) -> None:
                nonlocal calls
                calls += 1
                if calls == number + 1 and not late:
                    raise KeyboardInterrupt
                real(self, state)
                if calls == number + 1:
                    raise KeyboardInterrupt

            monkeypatch.setattr(progress_file.ProgressFile, "save", save)
            with pytest.raises(KeyboardInterrupt):
                list(import_items(home, None, file))
            monkeypatch.setattr(progress_file.ProgressFile, "save", real)
            *_, last = import_items(home, None, file, resume=True)
            assert last.count == 9
            assert sorted(item["text"]["S"] for item in stored(faulty).values()) == [str(n) for n in range(9)]
            emptied(faulty)


def test_an_import_that_is_interrupted_twice_stores_each_line_once(
    faulty: Manager, interruptible: Interruptible, file: Path
) -> None:
    """The values that were generated for its lines stay recorded."""
    file.write_text('{"text": "a"}\n{"text": "b"}\n')
    home = faulty.repository(Note)
    for carried_out in (True, False):
        interruptible.interrupt(0, carried_out=carried_out)
        with pytest.raises(KeyboardInterrupt):
            list(import_items(home, None, file, resume=True))
    interruptible.inject(())
    *_, last = import_items(home, None, file, resume=True)
    assert (last.done, last.count, last.found) == (2, 2, ())
    assert sorted(note.text for page in Note.iterate_all() for note in page) == ["a", "b"]


def test_going_on_must_be_asked_for(faulty: Manager, interruptible: Interruptible, file: Path) -> None:
    """Beginning again by mistake is refused, with both ways to go on."""
    file.write_text('{"name": "a"}\n')
    home = faulty.repository(Account)
    interruptible.interrupt(0, carried_out=True)
    with pytest.raises(KeyboardInterrupt):
        list(import_items(home, None, file))
    with pytest.raises(ConfigurationError, match="--resume, or start again with --restart"):
        import_items(home, None, file)
    assert refusals(list(import_items(home, None, file, restart=True))) != []
    assert refusals(list(import_items(home, None, file, resume=True))) != []  # nothing was left to go on with


def test_another_file_or_table_is_not_gone_on_with(faulty: Manager, file: Path) -> None:
    """A changed file, a damaged progress file, and one of another model or tenant are each refused in words."""
    file.write_text("".join(f'{{"name": "{n}"}}\n' for n in range(3)))
    home = faulty.repository(Account)
    steps = import_items(home, None, file)
    next(steps)
    steps.close()
    (noted,) = file.parent.glob(f"items.jsonl.{faulty.table_name}-*.importing")
    for model, tenant, why in (
        ("Plain", None, "model 'Account', not"),
        ("Account", "t", "tenant None, not 't'"),
    ):
        other = faulty.repository(faulty.get_model(model))
        with pytest.raises(ConfigurationError, match=why):
            import_items(other, tenant, file, resume=True, journal=noted)
        import_items(other, tenant, file)  # by itself it has a progress file of its own
    with pytest.raises(ConfigurationError, match="overwrite"):
        import_items(home, None, file, resume=True, overwrite=True)
    file.write_text(file.read_text().replace("1", "x"))
    with pytest.raises(ConfigurationError, match="its first 3 lines are not those that were imported"):
        list(import_items(home, None, file, resume=True))
    noted.write_text("{")
    with pytest.raises(ConfigurationError, match="no progress file"):
        import_items(home, None, file, resume=True)


def test_a_refused_line_is_still_counted_after_an_interruption(
    faulty: Manager, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was refused before is not stored later, and the figures are those of the whole import."""
    monkeypatch.setattr(import_items_module, "GROUP", 2)
    Account.create(name="0", email="kept@x")
    file.write_text("".join(f'{{"name": "{n}"}}\n' for n in range(6)))
    home = faulty.repository(Account)
    steps = import_items(home, None, file)
    first = next(steps)
    assert refusals([first])[0].startswith("line 1:")
    steps.close()
    *_, last = import_items(home, None, file, resume=True)
    assert (last.done, last.count) == (6, 5)
    assert Account.find("0").email == "kept@x"


# --- faults -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", ["too many actions", "no reason", "conflict"])
def test_lines_whose_transaction_is_refused_are_stored_one_by_one(
    faulty: Manager, interruptible: Interruptible, file: Path, refusal: str
) -> None:
    """Also if DynamoDB does not say which of them it refused, and if it takes fewer actions than documented."""
    file.write_text("".join(f'{{"name": "{n}", "email": "{n}@x"}}\n' for n in range(60)))
    reasons: dict[str, list[str | None]] = {"no reason": [None], "conflict": ["ConditionalCheckFailed"]}

    def fault(request: Any, send: Any, chance: Any) -> Any:
        actions = request.written.get("TransactItems", ())
        if len(actions) <= 2:
            return send(request)
        if refusal in reasons:
            rest: list[str | None] = [None] * (len(actions) - 1)
            raise TransactionCancelled("cancelled", reasons[refusal] + rest, [])
        raise ServiceError("too many", code="ValidationException", operation=request.operation)

    interruptible.inject(fault)
    assert imported(faulty, Account, file)[-1].count == 60
    assert Account.find("59").email == "59@x"


@pytest.mark.parametrize("how", ["denied", "left"])
def test_lines_that_are_not_stored_stop_an_import_that_overwrites(
    faulty: Manager, interruptible: Interruptible, file: Path, how: str
) -> None:
    """The error comes out, so that nobody takes the file for imported."""
    file.write_text('{"name": "a", "text": "new"}\n')

    def deny(request: Any, send: Any, chance: Any) -> Any:
        raise ServiceError("not authorised", code="AccessDeniedException", operation=request.operation)

    interruptible.inject(deny if how == "denied" else unprocessed(1.0))
    expected = ServiceError if how == "denied" else BatchIncompleteError
    with init_models(
        models=MODELS, table_name=faulty.table_name, transport=interruptible, deadline=0.1
    ) as hasty:
        with pytest.raises(expected):
            imported(hasty, Plain, file, overwrite=True)
        interruptible.inject(())
        assert not hasty.repository(Plain).find("a").exists()


# --- cost -------------------------------------------------------------------------------------------


def test_unique_values_are_stored_many_in_a_transaction(table_name: str, file: Path) -> None:
    """A transaction stores 25 items with one unique value each, and a new import costs nothing else."""
    transport = RecordingTransport(embedded_transport())
    with init_models(models=[Account], table_name=table_name, transport=transport) as manager:
        manager.create_table()
        file.write_text("".join(f'{{"name": "{n}", "email": "{n}@x"}}\n' for n in range(60)))
        transport.clear()
        assert imported(manager, Account, file)[-1].count == 60
        assert transport.count() == transport.count("TransactWriteItems") == 3


def test_an_export_costs_a_batch_for_each_page(table_name: str, file: Path) -> None:
    """Items are read a hundred at a time, and counted beforehand by the index."""
    transport = RecordingTransport(embedded_transport())
    with init_models(models=[Note], table_name=table_name, transport=transport) as manager:
        manager.create_table()
        for number in range(150):
            Note.create(text=str(number))
        transport.clear()
        last = exported(manager, Note, file)
        assert last.total == last.count == 150
        assert transport.count("BatchGetItem") <= 3
        assert transport.count() == transport.count("BatchGetItem") + transport.count("Query")


class Pages:
    """A way through as many pages of items as one likes."""

    about, scans = "by nothing", False

    def __init__(self, item: dict[str, Any], pages: int) -> None:
        self.item, self.number = item, pages

    def total(self) -> int | None:
        return None

    def pages(self, position: Any = None, *, counting: bool = False) -> Iterator[scanners.ItemPage]:
        for number in range(1, self.number + 1):
            yield scanners.ItemPage([self.item] * 100, 100, 100, number if number < self.number else None)


def test_memory_does_not_grow_with_the_number_of_items(faulty: Manager, file: Path) -> None:
    """Eight times the items are exported, and checked for an import, in hardly more memory."""
    home, ident = faulty.repository(Note), "01JGFJJZ00ANN0000000000000"
    item = home.schema.item(
        None, home.schema.keys.from_key(None, ident), {"note_id": ident, "text": "x" * 50}
    )

    def peaks(pages: int) -> list[int]:
        found = []
        for work in (
            lambda: export_items(home, None, Pages(item, pages), file),
            lambda: check_lines(home, None, file),
        ):
            gc.collect()
            tracemalloc.reset_peak()
            *_, last = work()
            assert last.count == pages * 100
            found.append(tracemalloc.get_traced_memory()[1])
        return found

    tracemalloc.start()
    try:
        peaks(1)
        few, many = peaks(2), peaks(16)
    finally:
        tracemalloc.stop()
    kept = 1400 * 400  # bytes, if the further items were kept
    assert all(more < less + kept / 3 for less, more in zip(few, many, strict=True))


def test_the_cursor_of_another_iteration_is_refused(manager: Manager) -> None:
    """A position that the model's buckets do not have is no place to go on from."""
    way = Iterating(manager.repository(Note), None)
    with pytest.raises(QueryError):
        next(way.pages({"opened": 99, "open": []}))


@pytest.mark.parametrize("link", ["symbolic", "hard"])
@pytest.mark.parametrize("name", [".part", ".exporting.new", ".exporting"])
@pytest.mark.promise("X8")
def test_no_file_outside_is_touched_by_an_export(manager: Manager, file: Path, name: str, link: str) -> None:
    """Where a file of the export's own is a link to another one, that one stays as it is."""
    Account.create(name="ada", email="ada@example.com")
    outside = file.with_name("outside")
    outside.write_bytes(b"precious")
    path = file.with_name(file.name + name)
    if link == "symbolic":
        path.symlink_to(outside)
    else:
        path.hardlink_to(outside)
    with suppress(ConfigurationError):
        exported(manager, Account, file)
    assert outside.read_bytes() == b"precious"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_an_export_replaces_files_only(manager: Manager, file: Path, kind: str) -> None:
    """A pipe or a device would be gone, and a folder would be found at the end only."""
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to("/dev/null")
    with pytest.raises(ConfigurationError, match="which a file cannot replace; name a file"):
        exported(manager, Account, file)
    assert not file.is_file()
    assert sorted(file.parent.glob(f"{file.name}*")) == [file]


@pytest.mark.promise("X8")
def test_an_export_s_own_files_are_private(manager: Manager, file: Path) -> None:
    Account.create(name="ada", email="ada@example.com")
    exported(manager, Account, file)
    assert file.stat().st_mode & 0o077 == 0
