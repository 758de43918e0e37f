"""ULIDs: their form and their order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from types import SimpleNamespace

import pytest

from dynamo_bao.fields import ulids
from dynamo_bao.fields.ulids import is_ulid, new_ulid

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def number(ulid: str) -> int:
    value = 0
    for character in ulid:
        value = value * 32 + ALPHABET.index(character)
    return value


def milliseconds(ulid: str) -> int:
    return number(ulid[:10])


def test_new_ones_are_ulids_of_now() -> None:
    """A new ULID has the form, and the present time in its first ten characters."""
    before = int(time.time() * 1000)
    ulid = new_ulid()
    after = int(time.time() * 1000)
    assert is_ulid(ulid)
    assert len(ulid) == 26
    assert before - 1 <= milliseconds(ulid) <= after + 1


def test_each_is_greater_than_the_one_before() -> None:
    """Also within a millisecond, so that ids sort as they were made."""
    made = [new_ulid() for _ in range(5000)]
    assert all(one < other for one, other in pairwise(made))


def test_a_later_millisecond_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many were made in those before: the time of an id is that of its making, and never goes back."""
    source = ulids._Source()
    seen = []
    for now in (1_000, 1_000, 1_001, 1_001, 1_500, 1_400, 1_501):
        monkeypatch.setattr(
            "dynamo_bao.fields.ulids.time", SimpleNamespace(time_ns=lambda now=now: now * 1_000_000)
        )
        seen.append(source.next())
    assert [milliseconds(ulid) for ulid in seen] == [1_000, 1_000, 1_001, 1_001, 1_500, 1_500, 1_501]
    assert seen == sorted(set(seen))
    for first, second in ((0, 1), (2, 3), (4, 5)):  # as the specification says
        assert number(seen[second]) == number(seen[first]) + 1


def test_threads_never_share_one() -> None:
    """Each thread sees rising ULIDs, and no two threads the same one."""
    made: list[list[str]] = [[] for _ in range(8)]
    start = threading.Barrier(8)

    def make(into: list[str]) -> None:
        start.wait()
        into.extend(new_ulid() for _ in range(500))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(part == sorted(part) for part in made)
    assert len({ulid for part in made for ulid in part}) == 8 * 500


FORKS = """
import os, sys, time
from types import SimpleNamespace
from dynamo_bao.fields import ulids
from dynamo_bao.fields.ulids import new_ulid
now = time.time_ns()
ulids.time = SimpleNamespace(time_ns=lambda: now)
new_ulid()
for _ in range(3):
    if os.fork() == 0:
        print(new_ulid()[10:], flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_children_of_a_fork_draw_their_own() -> None:
    """Workers forked from one warm process do not make the same random parts, also within a millisecond."""
    made = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True).stdout
    assert len(set(made.split())) == 3


@pytest.mark.parametrize("text", ["0" * 26, "7" + "Z" * 25, "01JGFJJZ00ANN0000000000000"])
def test_a_ulid_is_known(text: str) -> None:
    """26 characters of Crockford's alphabet, the first at most 7."""
    assert is_ulid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8" + "0" * 25,
        "0" * 25,
        "0" * 27,
        "0" * 26 + "\n",
        "01jgfjjz00ann0000000000000",
        "0" * 25 + "I",
        "0" * 25 + "L",
        "0" * 25 + "O",
        "0" * 25 + "U",
        "٠" * 26,
        None,
        5,
        b"0" * 26,
    ],
)
def test_anything_else_is_none(text: object) -> None:
    """Other letters, lengths and types, and lower case, are no ULID."""
    assert not is_ulid(text)


def test_a_handler_of_a_signal_may_make_one_too() -> None:
    """Also while its thread makes one, and all are different."""
    made: list[str] = []
    before = signal.signal(signal.SIGVTALRM, lambda *_: made.append(new_ulid()))
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0002, 0.0002)
    try:
        ours = [new_ulid() for _ in range(50_000)]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert made
    assert len({*made, *ours}) == len(made) + len(ours)
    assert ours == sorted(ours)
