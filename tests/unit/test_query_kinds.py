"""What a session knows of a query that many instances share, and how many of them one round takes."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.service import QUERY
from dynamo_bao.dynamodb.transport.messages import Reply, Request
from dynamo_bao.runtime.call_site import CallSite
from dynamo_bao.session.query_kinds import MAX_KINDS, QueryKind, QueryKinds


def reply(units: float, rows: int = 0, **members: Any) -> Reply:
    return Reply(Request(QUERY, {}), {"Items": [{}] * rows, **members}, Capacity(read=units))


def kind_with(*answers: tuple[Reply, bool]) -> QueryKind:
    kind = QueryKind()
    for answer, has_page_limit in answers:
        kind.note_answer(answer, has_page_limit)
    return kind


def test_it_is_repeated_when_a_second_partition_is_looked_at() -> None:
    """Looks at one partition, as often as may be, are no repetition."""
    kind = QueryKind()
    for partition, is_repeated in (("a", False), ("a", False), ("b", True), ("a", True)):
        kind.note_look(partition)
        assert kind.is_repeated is is_repeated


@pytest.mark.parametrize(
    ("answers", "room"),
    [
        ([], 100),
        ([(reply(0.5), False)], 100),
        ([(reply(0.0), False)], 100),
        ([(reply(128.0), False)], 16),
        ([(reply(128.0), False), (reply(0.5), False)], 31),
        ([(reply(4096.0), True)], 1),
        ([(reply(0.0, LastEvaluatedKey={}), False)], 16),
        ([(reply(0.5, LastEvaluatedKey={}), True)], 100),
    ],
)
def test_a_round_takes_as_many_as_fit_into_16_mb(answers: list[tuple[Reply, bool]], room: int) -> None:
    """By the read units of the answers so far. A page that is full without a limit has a megabyte; one always fits."""
    assert kind_with(*answers).room(100, None) == room


def test_rows_of_a_mapping_model_are_limited_too() -> None:
    """Each row leads to another lookup, and a round has at most so many keys."""
    kind = kind_with((reply(0.5, 30), False), (reply(0.5, 10), False))
    assert kind.room(100, 1000) == 50
    assert kind.room(40, 1000) == 40
    assert kind.room(100, 10) == 1
    assert kind.room(100, None) == 100


def test_a_session_remembers_the_latest_kinds() -> None:
    """The oldest go, so that a program with endless conditions needs no more and more memory."""
    kinds = QueryKinds()
    first = kinds.get("first")
    assert kinds.get("first") is first
    for number in range(MAX_KINDS):
        kinds.get(number)
    assert kinds.get("first") is not first


def test_figures_are_those_of_a_line() -> None:
    """With the query that it has caused last."""
    kinds, line = QueryKinds(), CallSite("a.py", 1)
    kinds.figures_of(line, "Post.posts_for_user").count += 1
    assert kinds.figures_of(line, "Note.notes_for_user").count == 1
    assert kinds.figures[line].about == "Note.notes_for_user"
