"""Values that are needed together: lazy instances and results of queries, in one round for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from dynamo_bao.reads.eager_loading import load_all_pages
from dynamo_bao.reads.query_result import QueryResult
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance, Status, state_of


def is_unloaded(value: object) -> bool:
    """Whether a value waits for a request: a pending instance, or a result of a query with more pages to fetch."""
    if isinstance(value, Instance):
        return state_of(value).status is Status.PENDING
    return isinstance(value, QueryResult) and not value._is_done


def present(value: object) -> object:
    """The value; None for an instance whose item is not stored. A pending instance is loaded."""
    if not isinstance(value, Instance):
        return value
    state = state_of(value)
    if state.status is Status.PENDING and state.mapper is not None:
        with suppress(Exception):  # the item is missing, or an error that reading a field raises again
            state.mapper._load_instance(value)
    return None if state.status in (Status.MISSING, Status.DELETED) else value


def load_together(values: Sequence[object]) -> list[object]:
    """Loads instances, and all pages of results of queries.

    The first pages and the instances need one round, and each further page needs one, for all values together.

    Args:
        values: instances and results of queries; other values stay as they are.

    Returns:
        The values in their order: None for an instance whose item is not stored, and the error of a result whose
        first page could not be fetched.
    """
    results = {id(value): value for value in values if isinstance(value, QueryResult)}
    errors: dict[int, Exception] = {}
    for number, result in results.items():
        try:
            result._begin()  # the first use also fetches what the others wait for
        except Exception as error:
            errors[number] = error
    _load_further_pages([result for number, result in results.items() if number not in errors])
    return [errors.get(id(value)) or present(value) for value in values]


def _load_further_pages(results: Sequence[QueryResult[Any]]) -> None:
    """Fetches the rest of some results. Results outside any session fetch their pages when they are iterated over."""
    by_session: dict[int, tuple[Session, list[QueryResult[Any]]]] = {}
    for result in results:
        session = None if result._is_done else result._query.session_now()
        if session is not None:
            by_session.setdefault(id(session), (session, []))[1].append(result)
    for session, members in by_session.values():
        load_all_pages(members, session, "pages")
