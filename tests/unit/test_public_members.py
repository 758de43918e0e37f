"""The members of public classes that users see: those that the documentation names, and no internals."""

from __future__ import annotations

from dynamo_bao import QueryResult, Session
from dynamo_bao.session.session import READING


def _public_members(cls: type[object]) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def test_a_session_shows_what_users_call() -> None:
    """Completion on the class of a session offers its public methods and properties only."""
    assert _public_members(Session) == {
        "activate",
        "add",
        "budget",
        "capacity",
        "clear",
        "close",
        "commit",
        "delete",
        "expunge",
        "flush",
        "is_closed",
        "is_open",
        "last_commit",
        "refresh",
        "rollback",
        "state",
        "tenant",
        "trace",
    }


def test_a_session_has_few_public_attributes() -> None:
    """An open session adds its figures and its options to these."""
    assert {name for name in vars(READING()) if not name.startswith("_")} == {"settings", "stats"}


def test_a_query_result_shows_what_users_call() -> None:
    """The result of a query offers its matches, its figures and its cursor."""
    assert _public_members(QueryResult) == {
        "all",
        "capacity",
        "count",
        "first",
        "items",
        "last_evaluated_key",
        "one",
        "pages",
        "scanned_count",
        "where",
    }
