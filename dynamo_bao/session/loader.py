"""The loader of a session: it answers pending lookups and queries, in rounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dynamo_bao.errors import DataFormatError, LazyLoadError
from dynamo_bao.runtime.records import Factory, define
from dynamo_bao.session.flush import Flush
from dynamo_bao.session.identity_map import key_of
from dynamo_bao.session.instances import SessionInstances
from dynamo_bao.session.ownership import Flushing, SessionOwnership
from dynamo_bao.session.pending_queries import PendingQuery, Queries
from dynamo_bao.session.rounds import Rounds
from dynamo_bao.session.settings import SessionSettings
from dynamo_bao.session.state import (
    Instance,
    PeerGroup,
    RelationOrigin,
    RelationTarget,
    Status,
    state_of,
)


@define(eq=False)
class Loader:
    """Answers the pending lookups and queries of a session.

    Attributes:
        queries: the pending queries.
    """

    _ownership: SessionOwnership
    _instances: SessionInstances
    _rounds: Rounds
    _settings: SessionSettings
    queries: Queries = Factory(Queries)

    def load(self, instance: Instance) -> None:
        """Resolves `instance` and all other pending lookups in one round.

        Raises:
            LazyLoadError: if the session refuses implicit loads, and a relation led to the instance.
        """
        self._ownership.check()
        state, round_kind = state_of(instance), None
        if state.status is not Status.PENDING:
            return
        if state.origin is not None:
            require_explicit(state.origin, self._settings)
            if self._settings.fetch == "peers":
                round_kind = self.register_peers(state.origin, instance)
        for _ in range(2):  # the first round may read another instance of the key, which replaced this one
            if state.status is Status.PENDING:
                self._instances.await_pending(instance)
                self.flush(round_kind)

    def register_peers(self, origin: RelationOrigin, instance: Instance) -> str | None:
        """Looks up the same relation of the peers; returns the kind of the round if it is for a whole page.

        The peers after `instance` come first. If the session holds few instances, no more are looked up than it holds.
        """
        if origin.group is None:
            return None
        instances, room = self._instances, self._settings.peer_limit
        if self._settings.max_cached is not None:
            room = min(room, self._settings.max_cached)
        targets, key = list(_targets(origin.group, origin.field)), key_of(instance)
        first = next(
            (n for n, (mapper, identity, _) in enumerate(targets) if (mapper, identity.key) == key), 0
        )
        for target in (*targets[first:], *targets[:first]):
            if room <= 0:
                break
            if instances.get(target[0], target[1].key) is None:
                instances.lookup(*target, counted=False)
                room -= 1
        return "further" if origin.group.is_page else None

    def targets(self, origin: RelationOrigin) -> list[Instance]:
        """The instances of the session to which the relation leads from all peers."""
        if origin.group is None:
            return []
        keys = ((mapper, identity.key) for mapper, identity, _ in _targets(origin.group, origin.field))
        instances = (self._instances.get(*key) for key in keys)
        return [instance for instance in instances if instance is not None]

    def flush(self, kind: str | None = None) -> None:
        """Resolves all pending lookups, in one round of parallel requests.

        Args:
            kind: the kind of the round in the trace, for requests of the library itself; see `Round`.
        """
        self._ownership.check()
        self._resolve((), kind)

    def flush_queries(self, first: PendingQuery) -> Sequence[PendingQuery]:
        """Resolves `first`, the other pending queries and the pending lookups, in one round.

        Returns:
            The queries that ran; each has received its reply or its error.
        """
        self._ownership.check()
        return self._resolve(self.queries.pop_pending(first, self._settings.query_limit))

    def flush_pages(self, queries: Sequence[PendingQuery], kind: str | None = None) -> Sequence[PendingQuery]:
        """Resolves queries and the pending lookups, in one round.

        Args:
            kind: the kind of the round in the trace; see `Round`.

        Returns:
            The queries; each has received its reply or its error.
        """
        self._ownership.check()
        for query in queries:
            self.queries.discard(query)
        return self._resolve(queries, kind)

    def _resolve(self, queries: Sequence[PendingQuery], kind: str | None = None) -> Sequence[PendingQuery]:
        pending_lookups, settings = self._instances.lookups, self._settings
        lookups = pending_lookups.pop_pending()
        if not lookups and not queries:
            return ()
        flush = Flush(lookups, queries, self._rounds, kind, self._ownership.require_open)
        try:
            with Flushing(self._ownership):
                flush.run(settings.deadline, settings.max_concurrency, settings.max_throttled_calls)
        except BaseException:
            pending_lookups.put_back(flush.unanswered())
            for query in flush.unresolved:
                self.queries.add(query)
            raise
        return queries


def _targets(group: PeerGroup, field: str) -> Iterator[RelationTarget]:
    """Where a relation of the members of a group leads to."""
    for peer in group.alive():
        mapper = state_of(peer).mapper
        try:
            target = mapper._related_target(peer, field) if mapper is not None else None
        except DataFormatError:  # raised when that relation itself is read
            continue
        if target is not None:
            yield target


def require_explicit(origin: RelationOrigin, settings: SessionSettings) -> None:
    """Raises `LazyLoadError` if a context refuses to load what a relation leads to.

    Args:
        origin: the relation.
        settings: the options of the context.
    """
    if settings.fetch != "raise":
        return
    names = f"[{origin.field!r}]"
    raise LazyLoadError(
        f"{origin.model}.{origin.field} is not loaded, and the context was opened with fetch='raise', which refuses "
        f"implicit loads. Load it first: load_related_data({names}), or load_related={names} of the query.",
        model=origin.model,
        field=origin.field,
    )
