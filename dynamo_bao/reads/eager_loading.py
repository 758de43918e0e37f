"""Eager loading: the relations of many instances, in one round per level. Pages of queries load theirs here too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from dynamo_bao.dynamodb.items import ReplyItem
from dynamo_bao.dynamodb.transport.messages import Reply
from dynamo_bao.errors import DataFormatError
from dynamo_bao.reads.query import Query
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.records import frozen
from dynamo_bao.session.context import BatchContext
from dynamo_bao.session.hydration import InvalidRow, LoadedRow
from dynamo_bao.session.peers import make_peers, remember_related, remembered_related
from dynamo_bao.session.pending_queries import PendingQuery
from dynamo_bao.session.scope import operation_in
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance, ModelMapper, Relation, Status, state_of


class PagedResult(PendingQuery, Protocol):
    """The result of a query, which receives its pages one after the other."""

    _reply: Reply | None
    _items: list[Any]
    _is_used: bool

    @property
    def _query(self) -> Query:
        """The query."""
        ...

    def _needs_request(self) -> bool:
        """Whether a further page must be requested. Cached pages are added first."""
        ...

    def _rows_wanted(self) -> Sequence[ReplyItem]:
        """The rows of the received page, up to the limit."""
        ...

    def _append_page(self, page: Sequence[LoadedRow]) -> None:
        """Adds the instances of the received page."""
        ...


@frozen(eq=False)
class EagerLoad:
    """A request to load relations.

    Attributes:
        mapper: the repository of the instances.
        instances: instances of one model. They are loaded, unless all paths are to many instances, or new objects.
        paths: relations, also nested as in ``"posts.comments.user_id"``; None for all relation fields.
        weakly: whether targets of relation fields stay cached only while other code holds them.
    """

    mapper: ModelMapper
    instances: Sequence[Instance]
    paths: Iterable[str] | None
    weakly: bool = False

    def levels(self) -> dict[Relation, list[str]]:
        """By relation, the paths to load from its targets."""
        levels: dict[Relation, list[str]] = {}
        for path in self.mapper.schema.relation_names if self.paths is None else self.paths:
            head, _, inner_path = path.partition(".")
            levels.setdefault(self.mapper._relation(head), []).extend([inner_path] if inner_path else [])
        return levels


def load_relations(loads: Iterable[EagerLoad], session: Session | None, kind: str | None = "further") -> None:
    """Loads the targets of relations, and stores them at the instances; one round for each level.

    Further pages of relations to many instances need further rounds, each for all of them together.

    Args:
        loads: the relations to load.
        session: the session of the targets; None to load them outside any session, also in one round per level.
        kind: the kind of the first round in the trace; None if the program calls for it directly.
    """
    level = [load for load in loads if load.instances]
    while level:
        if session is not None:
            with operation_in(session):
                level = _load_level(level, session, kind)
        else:
            with BatchContext() as temporary_session:
                level = _load_level(level, temporary_session, kind)
        kind = "further"


def _load_level(loads: Sequence[EagerLoad], session: Session, kind: str | None) -> list[EagerLoad]:
    """Loads the direct targets, and returns the loads of the next level."""
    loading: list[tuple[Iterable[Any], Relation, list[str]]] = []
    results: list[PagedResult] = []
    for load in loads:
        for relation, paths in load.levels().items():
            if relation.is_to_many:
                level_results = [
                    load.mapper._announced_items(instance, relation.name, session)
                    for instance in load.instances
                ]
                results += level_results
                loading += [(result._items, relation, paths) for result in level_results]
            else:
                loading.append((_targets_of(load, relation.name, session), relation, paths))
    load_all_pages(results, session, kind)
    session._loader.flush(kind)
    next_targets: dict[tuple[ModelMapper, tuple[str, ...]], dict[int, Any]] = {}
    for targets, relation, paths in loading:
        if paths:
            members = next_targets.setdefault((relation.target, tuple(paths)), {})
            members.update((id(target), target) for target in targets if _is_loaded(target))
    return [
        EagerLoad(target, list(members.values()), paths)
        for (target, paths), members in next_targets.items()
        if members
    ]


def _is_loaded(target: Any) -> bool:
    return type(target) is not InvalidRow and state_of(target).status is Status.LOADED


def load_all_pages(results: Sequence[PagedResult], session: Session, kind: str | None) -> None:
    """Fetches all pages of results. Each round requests one page of all that have more, and the pending lookups."""
    while results:
        results = [result for result in results if result._needs_request()]
        limit = session.settings.query_limit
        for start in range(0, len(results), limit):
            load_pages(session._loader.flush_pages(results[start : start + limit], kind), session)
        kind = "pages"


def _targets_of(load: EagerLoad, field: str, session: Session) -> list[Instance]:
    """The targets of a relation field, each once. Targets that are not cached are then pending in `session`."""
    targets: dict[int, Instance] = {}
    for instance in load.instances:
        target = _target(load, instance, field, session)
        if target is not None:
            targets[id(target)] = target
    return list(targets.values())


def _target(load: EagerLoad, instance: Instance, field: str, session: Session) -> Any:
    cached = remembered_related(instance, field)
    if cached is not None:
        state = state_of(cached)
        if state.session is session and state.status not in (Status.PENDING, Status.FAILED):
            return cached
    try:
        reference = load.mapper._related_target(instance, field)
    except DataFormatError:  # raised when the relation itself is read
        return None
    if reference is None:
        return None
    target = session._instances.lookup(*reference, counted=cached is None, weakly=load.weakly)
    state_of(target).origin = None  # this load is explicit
    remember_related(instance, field, target)
    return target


# --- pages of replies -------------------------------------------------------------------------------------


Pages = list[tuple[PagedResult, list[LoadedRow]]]
"""Results, each with the instances of the page that it has received."""


def load_pages(results: Iterable[Any], session: Session | None) -> None:
    """Turns the received pages of some results into instances, and loads the requested relations.

    Rows of the same index that came together are peers, like the rows of one page.
    """
    with operation_in(session):
        _load_pages(results, session)


def _load_pages(results: Iterable[PagedResult], session: Session | None) -> None:
    groups: dict[tuple[object, ...], Pages] = {}
    for result in results:
        if result._reply is None:
            continue
        query = result._query
        try:
            page = query.instances(result._rows_wanted(), session)
        except Exception as error:
            if is_foreign(error):
                raise
            _fail(result, error)
            continue
        query_kind = (id(query.mapper), query.name, query.related, query.related_only)
        groups.setdefault(query_kind, []).append((result, page))
    # A relation that is loaded with rows may be one of the other results, so those have their pages first.
    for turn in range(3):
        _load_groups([group for group in groups.values() if _turn_of(group[0][0]._query) == turn], session)


def _turn_of(query: Query) -> int:
    """When the pages of a query are added: first rows alone, then targets of rows, then rows with relations."""
    if query.related_only is not None:
        return 1
    return 0 if query.related == () else 2


def _load_groups(groups: Sequence[Pages], session: Session | None) -> None:
    """Loads the requested relations of pages, and adds the pages to their results."""
    try:
        load_relations([load for group in groups for load in _eager_loads(group)], session)
    except Exception as error:
        if is_foreign(error):
            raise
        for group in groups:
            for result, _ in group:
                _fail(result, error)
        return
    for group in groups:
        _append_pages(group)


def _fail(result: PagedResult, error: Exception) -> None:
    result._reply = None
    result._receive(error)


def _append_pages(group: Pages) -> None:
    """Adds their pages to the results of one kind. Targets of mapping rows that came together are peers."""
    only = group[0][0]._query.related_only
    if only is not None:
        for result, page in group:
            failure = _failure_of_targets(page, only)
            if failure is not None:
                _fail(result, failure)
        group = [(result, _targets(page, only)) for result, page in group if result._reply is not None]
        make_peers(target for _, page in group for target in page if type(target) is not InvalidRow)
    for result, page in group:
        result._append_page(page)


def _eager_loads(group: Pages) -> Iterator[EagerLoad]:
    """Makes the rows of similar queries peers, and yields the relations to load for them."""
    query = group[0][0]._query
    rows = [row for _, page in group for row in page if type(row) is not InvalidRow]
    if query.mapper.schema.has_relations:
        make_peers(rows)
    if query.related != ():
        yield EagerLoad(query.mapper, rows, query.related)
    if query.related_only is not None:
        for is_used in (True, False):  # what nobody has used yet is forgotten with its result
            pages = [page for result, page in group if result._is_used is is_used]
            used_rows = [row for page in pages for row in page if type(row) is not InvalidRow]
            yield EagerLoad(query.mapper, used_rows, [query.related_only], weakly=not is_used)


def _failure_of_targets(rows: Sequence[LoadedRow], field: str) -> Exception | None:
    """The error of the first target that could not be read; None if all were read, whether they are stored or not."""
    for row in rows:
        target = None if type(row) is InvalidRow else remembered_related(row, field)
        if target is not None and state_of(target).status is Status.FAILED:
            return state_of(target).error
    return None


def _targets(rows: Sequence[LoadedRow], field: str) -> list[LoadedRow]:
    """The stored targets of a relation of some rows; an `InvalidRow` stays in the list."""
    targets = [row if type(row) is InvalidRow else remembered_related(row, field) for row in rows]
    return [
        target
        for target in targets
        if target is not None and (type(target) is InvalidRow or state_of(target).status is Status.LOADED)
    ]
