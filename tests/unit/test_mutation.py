"""The tool that tries mutants: what it changes, what it leaves alone, and what it calls killed."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("cosmic_ray", reason="needs the extra 'mutants'")

from tests.mutation import mutants, running
from tests.mutation.mutants import Mutant, Room, changed_lines, mutants_of, rooms, sample
from tests.mutation.nearest import IMPORT, NearestFirst, Recorder, nearest_to, read_lines

CODE = '''"""A module."""
from typing import TYPE_CHECKING, Final
LIMIT: Final = 3
if TYPE_CHECKING:
    OTHER = 4
def small(number: int | 5) -> None | 6:
    log(number)
    return number < LIMIT
'''


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one file and one test."""
    (tmp_path / "code.py").write_text(CODE)
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    return tmp_path


def test_what_runs_is_changed_and_annotations_are_not(project: Path) -> None:
    """Numbers, comparisons, calls and returns; nothing that only checkers read."""
    found = {changed_lines(CODE, one.source(CODE)) for one in mutants_of(Room("r", ("code.py",), ()))}
    after = {line for _, line in found}
    assert {"LIMIT: Final = 4", "pass", "return", "return number <= LIMIT"} <= after
    assert not [line for line in after if "OTHER" in line or "int" in line]


def test_what_is_false_is_made_true_and_not_none(project: Path) -> None:
    """Both would be the same to whoever asks whether it is so."""
    code = "def is_so():\n    return False\n"
    (project / "code.py").write_text(code)
    found = {changed_lines(code, one.source(code)) for one in mutants_of(Room("r", ("code.py",), ()))}
    assert found == {("return False", "return True")}


def test_errors_that_are_caught_are_replaced_unless_their_names_have_a_dot(project: Path) -> None:
    """One, and each of several."""
    code = "try:\n    a()\nexcept (A, b.C):\n    pass\nexcept b.D:\n    pass\nexcept E:\n    pass\n"
    (project / "code.py").write_text(code)
    found = {changed_lines(code, one.source(code)) for one in mutants_of(Room("r", ("code.py",), ()))}
    assert {before for before, _ in found} == {"a()", "except (A, b.C):", "except E:"}


def test_a_sample_is_drawn_by_its_seed(project: Path) -> None:
    """The same seed draws the same, another draws others, and each room gets its share."""
    room = {"r": Room("r", ("code.py",), ())}
    assert sample(room, 3, 1) == sample(room, 3, 1)
    assert len(sample(room, 3, 1)) == 3
    assert len({tuple(sample(room, 3, seed)) for seed in range(10)}) > 1


@pytest.mark.parametrize(
    ("outcome", "killed", "late"),
    [((0, 1.0), False, False), ((1, 1.0), True, False), ((None, 1.0), True, True)],
)
def test_what_fails_or_hangs_is_killed(
    project: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any, killed: bool, late: bool
) -> None:
    """And the file is as it was afterwards."""
    seen = []

    class Tree(running.Tree):
        def begin(self, room: Room, seconds: float, **options: Any) -> None:
            seen.append((self.folder / "code.py").read_text())
            (self.folder / running.COVERED).write_text("{}")

        def ended(self) -> Any:
            return outcome if len(seen) > 1 else (0, 1.0)

    monkeypatch.setattr(
        running, "accepted", lambda: {("code.py", "LIMIT: Final = 3", "LIMIT: Final = 4"): "told"}
    )
    room = Room("r", ("code.py",), ("tests",))
    (mutant,) = [one for one in mutants_of(room) if one.operator == "NumberReplacer" and one.occurrence == 0]
    (trial,) = running.run_all([Tree(project)], {"r": room}, [mutant], time.monotonic() + 60)
    assert (trial.killed, trial.late, trial.reason) == (killed, late, "" if killed else "told")
    assert [text == CODE for text in seen] == [True, False]
    assert (project / "code.py").read_text() == CODE


def test_every_room_has_code_and_tests() -> None:
    """What the list of rooms names is there, and what is accepted is still in the code."""
    assert {"keys", "expressions", "codec", "tenancy", "transport", "session", "writes"} <= rooms().keys()
    for file, before, _ in mutants.accepted():
        assert before in mutants.flat((mutants.ROOT / file).read_text(encoding="utf-8")), (file, before)


def test_a_mutant_says_where_it_is(project: Path) -> None:
    """By file and line."""
    found = [one for one in mutants_of(Room("r", ("code.py",), ())) if one.operator == "DropCall"]
    assert found == [Mutant("r", "code.py", 7, "DropCall", 0)]


STATEMENTS = """def split(
    text,
):
    if text:
        return text.split(
            ",",
        )
    return []
"""


@pytest.mark.parametrize(
    ("line", "tests"),
    [
        *((4, ["b", "a"]), (5, ["a", IMPORT]), (6, ["a", IMPORT]), (7, ["a", IMPORT]), (8, ["b", IMPORT])),
        *((1, []), (2, [])),
    ],
)
def test_the_tests_of_a_line_are_those_of_its_statement(line: int, tests: list[str]) -> None:
    """A statement of several lines is run by all tests that run one of them; what only one runs may concern all."""
    lines = {"code.py": {4: ["b", "a"], 5: ["a"], 8: ["b"]}}
    assert nearest_to(lines, "code.py", STATEMENTS, line) == tests
    assert nearest_to({}, "code.py", STATEMENTS, line) == []


def test_the_tests_of_a_line_run_first() -> None:
    """Then the others of their files; all where the mutant has changed their names, or imports run the line too."""
    names = ["f::a", "f::b", "g::c", "g::d", "h::e"]
    items: list[Any] = [SimpleNamespace(nodeid=name) for name in names]
    NearestFirst(["x::x", "y::y"]).pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == names
    NearestFirst(["g::d", "f::b", IMPORT]).pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == ["g::d", "f::b", "f::a", "g::c", "h::e"]
    items.sort(key=lambda item: item.nodeid)
    NearestFirst(["g::d", "f::b", "x::gone"]).pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == ["g::d", "f::b", "f::a", "g::c"]
    many = [f"f::{number}" for number in range(30)]
    items = [SimpleNamespace(nodeid=name) for name in [*many, "f::other"]]
    NearestFirst(many).pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == many


def test_lines_are_noted_by_test(tmp_path: Path) -> None:
    """Which tests run which line of the files of a room; those that take long come last."""
    pytest.importorskip("coverage")
    (tmp_path / "code.py").write_text("def one():\n    return 1\ndef two():\n    return 2\n")
    recorder = Recorder(tmp_path, ["code.py"])
    code: dict[str, Any] = {}
    exec(compile((tmp_path / "code.py").read_text(), str(tmp_path / "code.py"), "exec"), code)
    for name, calls, seconds in (("slow", ("one", "two"), 5.0), ("quick", ("one",), 0.1)):
        item: Any = SimpleNamespace(nodeid=name)
        running_test = recorder.pytest_runtest_protocol(item)
        next(running_test)
        for call in calls:
            code[call]()
        running_test.close()
        report: Any = SimpleNamespace(nodeid=name, duration=seconds)
        recorder.pytest_runtest_logreport(report)
    recorder.write(tmp_path / "covered.json")
    assert read_lines(tmp_path / "covered.json") == {
        "code.py": {1: [IMPORT], 2: ["quick", "slow"], 3: [IMPORT], 4: ["slow"]}
    }
