"""How many calls wait because something is throttled: so many for each table and index, and none that is gone."""

from __future__ import annotations

import gc
import os

import pytest

from dynamo_bao.dynamodb.transport.bulkhead import Bulkhead, Place, throttled_calls
from dynamo_bao.dynamodb.transport.messages import Deadline

TABLE: Place = ("t", None)
INDEX: Place = ("t", "gsi1")


class Call:
    pass


@pytest.mark.promise("S13")
def test_so_many_calls_wait_for_a_place_and_no_more() -> None:
    """A call that leaves makes room for one other."""
    bulkhead, calls = Bulkhead(), [Call() for _ in range(4)]
    assert [bulkhead.enter(call, (TABLE,), 2) for call in calls] == [True, True, False, False]
    bulkhead.leave(calls[0], (TABLE,))
    assert [bulkhead.enter(call, (TABLE,), 2) for call in calls[2:]] == [True, False]


@pytest.mark.promise("S13")
def test_a_table_and_its_indexes_are_places_of_their_own() -> None:
    """Where one of several is full, the call waits for none of them."""
    bulkhead, calls = Bulkhead(), [Call() for _ in range(3)]
    assert bulkhead.enter(calls[0], (TABLE,), 1)
    assert not bulkhead.enter(calls[1], (INDEX, TABLE), 1)
    assert bulkhead.enter(calls[1], (INDEX,), 1)
    assert not bulkhead.enter(calls[2], (INDEX,), 1)
    bulkhead.leave(calls[0], (TABLE,))
    bulkhead.leave(calls[1], (INDEX,))
    assert bulkhead.enter(calls[2], (TABLE, INDEX), 1)
    bulkhead.leave(calls[2], (TABLE, INDEX))
    assert bulkhead.enter(calls[0], (TABLE, INDEX), 1)


def test_leaving_twice_does_no_harm() -> None:
    """Neither does leaving where one never was."""
    bulkhead, one, other = Bulkhead(), Call(), Call()
    bulkhead.leave(one, (TABLE,))
    assert bulkhead.enter(one, (TABLE,), 1)
    bulkhead.leave(other, (TABLE,))
    assert not bulkhead.enter(other, (TABLE,), 1)
    bulkhead.leave(one, (TABLE,))
    bulkhead.leave(one, (TABLE,))
    assert bulkhead.enter(other, (TABLE,), 1)


def test_a_call_that_is_gone_does_not_count() -> None:
    """Also where an interrupt kept it from leaving; and in a fork child nobody waits."""
    bulkhead, call = Bulkhead(), Call()
    assert bulkhead.enter(call, (TABLE,), 1)
    del call
    gc.collect()
    other, third = Call(), Call()
    assert bulkhead.enter(other, (TABLE,), 1)
    assert not bulkhead.enter(third, (TABLE,), 1)
    bulkhead.forget()
    assert bulkhead.enter(third, (TABLE,), 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_in_a_child_process_no_call_of_its_parent_waits() -> None:
    """A full place has room there, and stays full for the parent."""
    call, other = Call(), Call()
    assert throttled_calls.enter(call, (TABLE,), 1)
    try:
        child = os.fork()
        if child == 0:
            os._exit(0 if throttled_calls.enter(other, (TABLE,), 1) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert not throttled_calls.enter(other, (TABLE,), 1)
    finally:
        throttled_calls.leave(call, (TABLE,))


def test_a_deadline_says_how_many_may_wait() -> None:
    """Ten, where it is a plain number."""
    deadline = Deadline(5.0, 30)
    assert (deadline, Deadline.throttled_calls(deadline)) == (5.0, 30)
    assert Deadline.throttled_calls(5.0) == 10
    assert Deadline.throttled_calls(Deadline(5.0, float("inf"))) == float("inf")
