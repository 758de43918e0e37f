"""Peers of queries: a query that is looked at on a second instance runs for the peers of that instance too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dynamo_bao.reads.query import Query
from dynamo_bao.session.peers import has_items
from dynamo_bao.session.query_kinds import QueryKind
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance, Status, state_of


def is_shared(query: Query) -> bool:
    """Whether other instances can run the same query, so that it can be fetched for them in advance."""
    parameters = query.parameters
    return (
        query.parent is not None
        and not query.bypass_cache
        and "ConsistentRead" not in parameters
        and "Select" not in parameters
    )


def register_parents(query: Query, session: Session) -> None:
    """Looks up, with the pending instance of a query, what the same relation leads to from the peers of its origin."""
    parent = query.parent_now() if session.settings.fetch == "peers" else None
    if parent is None or state_of(parent).status is not Status.PENDING:
        return
    origin = state_of(parent).origin
    if origin is not None:
        session._loader.register_peers(origin, parent)


def peer_queries(query: Query, kind: QueryKind, session: Session) -> list[tuple[Any, Query]]:
    """The same query for the peers of its instance that have not run it, each with the peer.

    Returns:
        As many as fit into one round; none if nothing is fetched in advance.
    """
    parent = query.parent_now()
    if parent is None or not kind.is_repeated or kind.obstacle or session.settings.fetch != "peers":
        return []
    if any(budget.read_units is not None for budget in session._rounds.budgets):
        return []
    settings = session.settings
    row_limit = None if query.related_only is None else settings.peer_limit
    room = kind.room(settings.query_limit, row_limit)
    room = min(room, settings.query_limit - max(1, len(session._loader.queries)))
    queries: list[tuple[object, Query]] = []
    for peer in _peers(parent, kind, session) if room > 0 else ():
        if has_items(peer, kind):
            continue
        peer_query = query.of_peer(peer)
        remembered = peer_query.remembered(session)
        if (
            remembered.partition == kind.first_partition
            or remembered.replies
            or remembered.result is not None
        ):
            continue
        queries.append((peer, peer_query))
        if len(queries) == room:
            break
    return queries


def _peers(parent: Instance, kind: QueryKind, session: Session) -> Iterator[Instance]:
    """The other instances for which a program that goes on like this will run the query too, the likeliest first.

    These are what the relation that led to the instance leads to from its peers, and the instances that arrived
    together with it, or that are pending with it. Those that had arrived with it before count too, if the query ran for
    one that did not arrive again: a loop may go through instances that its own queries also find.
    Missing instances are peers of a missing one only, because a program that skips missing ones never asks for theirs.
    """
    state = state_of(parent)
    identities = {id(parent)}
    for peer in (*_siblings(parent, session), *_companions(parent, kind, session)):
        peer_state = state_of(peer)
        if id(peer) in identities or (
            peer_state.status is Status.MISSING and state.status is not Status.MISSING
        ):
            continue
        identities.add(id(peer))
        if peer_state.tenant == state.tenant and peer_state.session is state.session:
            yield peer


def _siblings(parent: Instance, session: Session) -> Sequence[Instance]:
    """What the relation that led to an instance leads to from peers; what is not loaded yet is looked up."""
    origin = state_of(parent).origin
    if origin is None:
        return ()
    session._loader.register_peers(origin, parent)
    return _after(parent, session._loader.targets(origin))


def _companions(parent: Instance, kind: QueryKind, session: Session) -> Sequence[Instance]:
    """The instances that arrived together with one, or that are pending with it."""
    state = state_of(parent)
    if state.status is Status.PENDING:
        assert state.mapper is not None
        return _after(parent, session._instances.lookups.instances_of(state.mapper))
    if state.group is None:
        return ()
    latest = state.group.alive()
    companions, latest_ids = _after(parent, latest), set(map(id, latest))
    for group in state.group.earlier:
        members = group.alive()
        is_member = any(member is parent for member in members)
        if is_member and any(has_items(peer, kind) for peer in members if id(peer) not in latest_ids):
            companions += _after(parent, members)
    return companions


def _after(parent: object, members: Sequence[object]) -> list[Any]:
    """Members of a loop, from the one after an instance on, and then from the beginning."""
    position = next((number for number, member in enumerate(members) if member is parent), 0)
    return [*members[position + 1 :], *members[:position]]
