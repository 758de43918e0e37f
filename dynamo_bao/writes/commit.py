"""Commits a unit of work with the cheapest correct write for each change. The plan is made before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from dynamo_bao.dynamodb.expressions.conditions import is_empty
from dynamo_bao.dynamodb.keys import Key, new_namedtuple
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.batch_write import BatchWritten, Puts, in_batches, write_batch
from dynamo_bao.dynamodb.transport.error_mapping import may_have_succeeded
from dynamo_bao.dynamodb.transport.messages import FailedRequest, Reply, Request
from dynamo_bao.errors import (
    BaoError,
    BatchIncompleteError,
    CommitError,
    ConditionalError,
    ItemNotFoundError,
    TransactionError,
    ValidationError,
    WriteOutcomeUnknownError,
    message_of,
)
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.runtime.foreign_errors import is_foreign
from dynamo_bao.runtime.records import frozen
from dynamo_bao.session.lazy import not_stored_yet, require_present
from dynamo_bao.session.requests import deadline_of, round_of
from dynamo_bao.session.rounds import NAMED_KEYS
from dynamo_bao.session.scope import check_tenant, resolve_scope, write_scope_of
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import (
    LOADED,
    Instance,
    ModelMapper,
    State,
    Status,
    changed_names,
    instance_dict,
    mark_deleted,
    state_of,
    unload,
)
from dynamo_bao.session.unit_of_work import CommitFigures, PendingWrite
from dynamo_bao.writes.bulk_insert import BulkInsert, has_generated_key
from dynamo_bao.writes.change_factory import note_doubt, write_through
from dynamo_bao.writes.changes import Change, CreateChange, DeleteChange, SaveChange
from dynamo_bao.writes.commit_parts import NO_ANSWER, NONE_YET, CommitOutcome, CommitParts, Conclude
from dynamo_bao.writes.hooks import run_afterwards
from dynamo_bao.writes.invalidation import invalidate, listeners
from dynamo_bao.writes.merge import combined
from dynamo_bao.writes.plans import ItemRef
from dynamo_bao.writes.transact import run_transaction, translated_failure

T = TypeVar("T")
Prepare = Callable[[Session, Sequence[PendingWrite]], "list[Change | None]"]
_TRANSIENT = Status.TRANSIENT  # read often

# --- naming objects -------------------------------------------------------------------------------------


def register_objects(
    mapper: ModelMapper, session: Session, instances: Iterable[Instance], *, deletes: bool, overwrite: bool
) -> list[PendingWrite]:
    """The pending writes of instances. New instances become the session's instances for their keys.

    Args:
        mapper: the repository of new instances. Loaded ones use their own.

    Raises:
        ValidationError: for a key that the model refuses, or for `overwrite` with a model with unique values.
        ConditionalError: if the session has another instance with the key.
        ItemNotFoundError: for an instance that is no longer stored, or a new one that is to be deleted.
        TenantMismatchError: for an instance of another tenant.
    """
    schema, key_of, tenant = mapper.schema, None, None
    entries: list[PendingWrite] = []
    new: dict[Key, Instance] = {}
    for instance in instances:
        values = instance_dict(instance)
        state: State = values[STATE]
        if state.status is not _TRANSIENT:
            if overwrite:
                raise _not_blindly(schema)
            if state.status is not LOADED:
                require_present(state)
            write_scope_of(state, "delete" if deletes else "add")
            entries.append(
                new_namedtuple(PendingWrite, (instance, state.mapper, state.tenant, deletes, False, None, ""))
            )
            continue
        if key_of is None:  # it is the first new instance
            if overwrite and schema.constraints:
                raise _not_blindly(schema)
            if deletes:
                raise not_stored_yet(schema.name)
            _, tenant = resolve_scope(mapper.database, schema.name, "add")
            key_of = schema.keys.of_text[tenant]
        if state.tenant is not None:
            check_tenant(instance, "add")
        primary_id = values.get(schema.single_key_name)
        key = key_of(primary_id) if type(primary_id) is str else None
        if key is None:
            key, primary_id, _ = schema.keys.from_values(tenant, values)
        if new.setdefault(key, instance) is not instance:
            raise _has_other_instance(ItemRef(schema, tenant, schema.keys.from_values(tenant, values)))
        entries.append(
            new_namedtuple(PendingWrite, (instance, mapper, tenant, False, overwrite, key, primary_id))
        )
    duplicate_key = session._instances.attach_new(mapper, new) if new else None
    if duplicate_key is not None:
        values = instance_dict(new[duplicate_key])
        raise _has_other_instance(ItemRef(schema, tenant, schema.keys.from_values(tenant, values)))
    return entries


def _has_other_instance(subject: ItemRef) -> ConditionalError:
    return subject.exists_already("this context has another object with the key. Change that object instead.")


def _not_blindly(schema: Schema) -> ValidationError:
    unique = bool(schema.constraints)
    why = "has unique values to keep" if unique else "is stored already: only new objects can be"
    return ValidationError(f"{schema.name} cannot be put blindly with overwrite=True, as it {why}.")


# --- planning -------------------------------------------------------------------------------------------


@frozen
class CommitPlan:
    """The requests of a commit. They do not depend on each other, so they are sent at the same time.

    Attributes:
        batches: changes without conditions, at most 25 for each ``BatchWriteItem``.
        groups: all other changes, alone or together with those that share a unique value.
    """

    batches: tuple[tuple[Change, ...], ...]
    groups: tuple[tuple[Change, ...], ...]


def plan_commit(changes: Sequence[Change]) -> CommitPlan:
    """Plans the commit of changes, each of another item."""
    blind: dict[int, list[Change]] = {}
    conditional: list[Change] = []
    for change in changes:
        if is_unconditional(change):
            blind.setdefault(id(change.mapper.database.transport), []).append(change)
        else:
            conditional.append(change)
    batches = [tuple(batch) for members in blind.values() for batch in in_batches(members)]
    return CommitPlan(tuple(batches), _groups_of(conditional))


def _groups_of(changes: Sequence[Change]) -> tuple[tuple[Change, ...], ...]:
    """Groups of changes that write a common item, such as the guard of a unique value. Each change is planned now.

    Two changes are also in one group if a chain of other changes connects them. The order of the changes is kept.
    """
    # By number of each change, that of an earlier change of its group, or its own if it is the first.
    leaders = list(range(len(changes)))

    def leader_of(number: int) -> int:
        while leaders[number] != number:
            leaders[number] = number = leaders[leaders[number]]
        return number

    first_writers: dict[tuple[int, str, Key], int] = {}
    for number, change in enumerate(changes):
        change.first_plan = plan = change.plan_from(change.stored_item)
        if len(plan.actions) == 1:  # it writes its own item only
            continue
        client, table, _ = change.item_ref
        for action in plan.actions:
            writer = first_writers.setdefault((client, table, action.key), number)
            if writer != number:
                leader, other_leader = leader_of(writer), leader_of(number)
                leaders[max(leader, other_leader)] = min(leader, other_leader)
    if not first_writers:
        return tuple([(change,) for change in changes])
    groups: dict[int, list[Change]] = {}
    for number, change in enumerate(changes):
        groups.setdefault(leader_of(number), []).append(change)
    return tuple(map(tuple, groups.values()))


def is_unconditional(change: Change) -> bool:
    """Whether a change can be written without a condition, because it cannot overwrite or lose anything.

    This holds for deletes, and for new items with a generated id, of models without unique values and versions.
    """
    if change.overwrite:
        return True
    schema, is_delete = change.subject.schema, isinstance(change, DeleteChange)
    if not (is_delete or type(change) is CreateChange) or not is_empty(change.condition):
        return False
    if is_delete:
        return not (schema.constraints or schema.version_field)
    return has_generated_key(schema, state_of(change.instance), change.subject.identity.values)


# --- carrying out ---------------------------------------------------------------------------------------


def commit(session: Session, entries: Sequence[PendingWrite], changes_of: Prepare, *, atomic: bool) -> None:
    """Writes the pending writes of a unit of work.

    All of them are checked before the first request. Written ones leave the unit of work, and the rest stay in it.

    Args:
        changes_of: makes the change of each entry; None for an entry without a change.
    """
    bulk = None if atomic else BulkInsert.of(session, entries)
    if bulk is not None:
        try:
            _commit_bulk(session, bulk)
        finally:
            if listeners(session):
                invalidate(session, bulk.changes())
        return
    prepared_changes = changes_of(session, entries)
    changes = [change for change in prepared_changes if change is not None]
    combined_changes = combined(changes)
    outcome = None
    if combined_changes:
        carry_out = _commit_atomically if atomic else _commit_in_parallel
        try:
            outcome = carry_out(
                session, combined_changes, partial(_finish_early, session, entries, prepared_changes)
            )
        finally:
            invalidate(session, (*changes, *combined_changes))
    if len(combined_changes) < len(changes):
        spots = {change.item_ref for change in combined_changes}
        for change in changes:
            if change.item_ref not in spots:  # added and deleted, so its stored item is unknown
                session._instances.forget_deletion(change.mapper, change.subject.identity)
    _finish(session, entries, prepared_changes, combined_changes, outcome)


def _commit_bulk(session: Session, bulk: BulkInsert) -> None:
    """Writes a bulk insert. If some puts are not written, each becomes a change with its own outcome."""
    database, batches = bulk.database, in_batches(bulk.entries)
    calls = [partial(_write_puts, session, database, puts) for puts in bulk.puts()]
    conclude: Conclude = partial(_finish_early, session, bulk.entries, None)
    writing = CommitParts(lambda: in_batches(bulk.changes()), calls, _outcome_of, conclude)
    with writing, round_of(session, database, "commit") as opened:
        parts = writing.write(session, database)
        opened.sent_at_once(len(calls), session.settings.concurrency_at(database))
        for entries, part in zip(batches, parts, strict=True):
            about = [f"{entry.mapper.schema.name} {entry.primary_id!r}" for entry in entries[:NAMED_KEYS]]
            for request in part.request_outcomes:
                opened.add_outcome(database, request, about, len(entries))
    if all(part.succeeded for part in parts):
        bulk.mark_stored()
        return
    changes, outcome = bulk.changes(), CommitOutcome(database)
    for batch, part in zip(in_batches(changes), parts, strict=True):
        outcome.add(_outcome_of(batch, part))
    _finish(session, bulk.entries, changes, changes, outcome)


def _write_puts(session: Session, database: Database, puts: Puts) -> BatchWritten:
    return write_batch(database.transport, puts, deadline_of(session, database))


def _finish(
    session: Session,
    entries: Sequence[PendingWrite],
    prepared_changes: Sequence[Change | None],
    combined_changes: Sequence[Change],
    outcome: CommitOutcome | None,
) -> None:
    """Removes written entries from the unit of work, and updates memory to the stored items.

    Args:
        prepared_changes: the change of each entry, or None if nothing of it had changed.
        combined_changes: the changes that were sent.
    """
    unwritten = (
        set() if outcome is None else {change.item_ref for change in (*outcome.failed, *outcome.unknown)}
    )
    written_entries = [
        entry
        for entry, change in zip(entries, prepared_changes, strict=True)
        if change is None or change.item_ref not in unwritten
    ]
    joined_changes = joined_changes_of(prepared_changes, combined_changes)
    figures = CommitFigures() if outcome is None else outcome.figures(combined_changes, joined_changes)
    session._work.forget_written(written_entries if unwritten else entries, figures)
    if len(combined_changes) < len(prepared_changes):
        session._instances.withdraw(
            (None, instance) for instance in _never_stored(written_entries, combined_changes)
        )
    _forget_former_keys(session, entries, prepared_changes, unwritten)
    if outcome is not None:
        _apply_results(combined_changes, outcome, joined_changes)


def joined_changes_of(
    prepared_changes: Sequence[Change | None], sent_changes: Sequence[Change]
) -> list[Change]:
    """The changes that were sent as a part of another object's change, because both objects have the same item."""
    if len(sent_changes) == len(prepared_changes):
        return []
    changes_by_item = {change.item_ref: change for change in sent_changes}
    return [
        change
        for change in prepared_changes
        if change is not None
        and (sent_change := changes_by_item.get(change.item_ref)) is not None
        and change.instance is not sent_change.instance
    ]


def _forget_former_keys(
    session: Session,
    entries: Sequence[PendingWrite],
    prepared_changes: Sequence[Change | None],
    unwritten: Container[object],
) -> None:
    """Makes the session forget the keys that new objects had when they were added, if they were stored under others."""
    for entry, change in zip(entries, prepared_changes, strict=True):
        if entry.key is None or change is None or change.item_ref in unwritten:
            continue
        if entry.key != change.subject.identity.key:
            session._instances.forget_former_key(entry.mapper, entry.key, entry.instance)


def _never_stored(entries: Iterable[PendingWrite], combined_changes: Iterable[Change]) -> list[Instance]:
    """The new instances whose items were deleted through other instances before they were stored."""
    sent_ids = {id(change.instance) for change in combined_changes}
    return [entry.instance for entry in entries if entry.is_new and id(entry.instance) not in sent_ids]


def _interrupted(change: Change) -> WriteOutcomeUnknownError:
    return WriteOutcomeUnknownError(
        f"{change.subject} {change.operation}: the commit was interrupted before the reply came, so it is not known "
        f"whether it was written. refresh() the instance to see what is stored, then decide.",
        **change.subject.names,
    )


def _finish_early(
    session: Session,
    entries: Sequence[PendingWrite],
    prepared_changes: Sequence[Change | None] | None,
    changes: Sequence[Change],
    outcome: CommitOutcome,
) -> None:
    """Removes written entries from the unit of work, and updates memory, without running hooks.

    Args:
        prepared_changes: the change of each entry; None if these are `changes`.
    """
    written = {change.item_ref for change in outcome.stored}
    written_entries = [
        entry
        for entry, change in zip(
            entries, changes if prepared_changes is None else prepared_changes, strict=True
        )
        if change is not None and change.item_ref in written
    ]
    session._work.forget_written(written_entries, outcome.figures(changes))
    for change, stored in outcome.stored.items():
        change.apply_result(stored)
    for change, error in outcome.unknown.items():
        if error is NO_ANSWER:
            change.translate_error(_interrupted(change))


def _commit_atomically(session: Session, changes: Sequence[Change], conclude: Conclude) -> CommitOutcome:
    database = changes[0].mapper.database
    outcome = CommitOutcome(database)
    parts = CommitParts(
        lambda: [changes], [_GroupWrite(changes, outcome).write], lambda *_: outcome, conclude
    )
    with parts, round_of(session, database, "commit") as opened:
        try:
            parts.write(session, database)
        except WriteOutcomeUnknownError as error:
            for change in changes:
                change.translate_error(error)
            raise
        except BaoError as error:
            raise _atomic_failure(error, changes) from error.__cause__
        finally:
            for request in outcome.request_outcomes:
                opened.add_outcome(database, request, [str(change.subject) for change in changes])
    return outcome


def _atomic_failure(error: BaoError, changes: Sequence[Change]) -> BaoError:
    """The error of an atomic commit of which nothing was written."""
    objects = [change.instance for change in changes]
    if isinstance(error, TransactionError):
        return translated_failure(error, changes, objects) if error.errors else error
    if len(changes) == 1 and isinstance(error, (ConditionalError, ItemNotFoundError)):
        single = TransactionError("", (), [error])
        return translated_failure(single, changes, objects)
    return error


def _commit_in_parallel(session: Session, changes: Sequence[Change], conclude: Conclude) -> CommitOutcome:
    """Sends the parts of the plan at the same time, and collects their outcomes."""
    plan, database = plan_commit(changes), changes[0].mapper.database
    calls: list[Callable[[], CommitOutcome]] = [
        partial(_batch_outcome, batch, partial(deadline_of, session, database)) for batch in plan.batches
    ]
    groups = list(map(_GroupWrite, plan.groups))
    calls += groups
    total, all_parts = CommitOutcome(database), [*plan.batches, *plan.groups]
    parts = CommitParts(lambda: all_parts, calls, lambda _, outcome: outcome, conclude)
    with parts, round_of(session, database, "commit") as opened:
        opened.sent_at_once(len(calls), session.settings.concurrency_at(database))
        written = parts.write(session, database, _first_requests(groups, changes))
        for part, members in zip(written, all_parts, strict=True):
            total.add(part)
            for request in part.request_outcomes:
                labels = [str(change.subject) for change in members[:NAMED_KEYS]]
                opened.add_outcome(part.database, request, labels, len(members))
    return total


def _batch_outcome(changes: Sequence[Change], deadline: Callable[[], float]) -> CommitOutcome:
    """Writes changes without conditions. The time of the call begins when it is made."""
    database = changes[0].mapper.database
    puts: dict[str, dict[Key, Item | None]] = {}
    for change in changes:
        table, key = change.table_key
        puts.setdefault(table, {})[key] = change.item if isinstance(change, CreateChange) else None
    return _outcome_of(changes, write_batch(database.transport, puts, deadline()))


def _outcome_of(changes: Sequence[Change], written: BatchWritten) -> CommitOutcome:
    """The outcome of changes that were written as one batch."""
    outcome = CommitOutcome(changes[0].mapper.database, request_outcomes=written.request_outcomes)
    if written.succeeded:
        outcome.stored = dict.fromkeys(changes)
        return outcome
    for change in changes:
        key = change.table_key
        if key in written.outcome_unknown:
            assert written.error is not None
            outcome.unknown[change] = written.error
        elif key in written.refused:
            assert written.error is not None
            outcome.failed[change] = written.error
        elif key in written.unprocessed:
            named = (change.subject.schema.name, change.subject.identity.primary_id)
            text = f"{change.subject}: DynamoDB left the write unprocessed, also when it was sent again."
            outcome.failed[change] = BatchIncompleteError(text, [named])
        else:
            outcome.stored[change] = None
    return outcome


class _GroupWrite:
    """The write of one change, or of several that share unique values. It is called to write them.

    Args:
        changes: the changes.
        outcome: where their outcome is noted; None for a new one.
    """

    def __init__(self, changes: Sequence[Change], outcome: CommitOutcome | None = None) -> None:
        self._changes = changes
        # Its members are assigned, so they need no dicts of their own before.
        self._outcome = CommitOutcome(changes[0].mapper.database, *NONE_YET) if outcome is None else outcome
        self._send = partial(_send_for, self._outcome)  # not a method, which would make a cycle
        self._single_write = write_through(changes[0], self._send)

    def __call__(self) -> CommitOutcome:
        """Writes the changes. Errors become outcomes."""
        changes, outcome = self._changes, self._outcome
        try:
            self.write()
        except Exception as error:
            if is_foreign(error):
                raise
            if may_have_succeeded(error):
                outcome.unknown = dict.fromkeys(changes, error)
                return outcome
            errors: Iterable[Exception | None] = error.errors if isinstance(error, TransactionError) else ()
            reasons = list(errors) or [None] * len(changes)
            outcome.failed = {
                change: reason or error for change, reason in zip(changes, reasons, strict=True)
            }
        return outcome

    def first_request(self) -> Request:
        """The first request of `write`, for a group of one change. It is planned now."""
        return self._single_write.prepare(self._changes[0].stored_item)

    def write(self) -> None:
        """Writes the changes."""
        changes = self._changes
        if len(changes) == 1:
            write = self._single_write
            try:
                changes[0].returned = write.run(changes[0].stored_item)
                self._outcome.stored = {changes[0]: changes[0].returned}
            except BaseException as error:
                note_doubt(changes[0], write, error)
                raise
            return
        run_transaction(changes, partial(write_through, send=self._send), self._send)
        self._outcome.stored = dict.fromkeys(changes)


def _send_for(outcome: CommitOutcome, request: Request, deadline: float) -> Reply:
    """Sends a request, and notes its reply or failure in an outcome."""
    transport = outcome.database.transport
    started = transport.clock.now()
    try:
        reply = transport.send(request, deadline=deadline)
    except Exception as error:
        outcome.request_outcomes.append(FailedRequest(request, error, started))
        raise
    outcome.request_outcomes.append(reply)
    return reply


def _first_requests(groups: Sequence[_GroupWrite], changes: Sequence[Change]) -> list[Request]:
    """The first request of each group. Empty unless there are several groups, each of one change, for one client."""
    clients = {id(change.mapper.database.transport) for change in changes}
    if len(groups) < 2 or len(groups) != len(changes) or len(clients) > 1:
        return []
    try:
        return [group.first_request() for group in groups]
    except BaoError:  # it becomes the outcome of its group
        return []


# --- afterwards -----------------------------------------------------------------------------------------


def _apply_results(
    changes: Sequence[Change], outcome: CommitOutcome, joined_changes: Sequence[Change]
) -> None:
    """Updates memory to the stored items, runs hooks, and reports failures.

    Args:
        joined_changes: changes that were sent as a part of these; see `joined_changes_of`.

    Raises:
        CommitError: if a change is not written, or its outcome is unknown.
        Exception: the first error of a hook, if all changes are written.
    """
    written = [
        (change, change.apply_result(outcome.stored[change]))
        for change in changes
        if change in outcome.stored
    ]
    written += _read_again({change.item_ref: change for change, _ in written}, joined_changes)
    errors = {
        change: change.translate_error(error) if isinstance(error, BaoError) else error
        for change, error in (*outcome.failed.items(), *outcome.unknown.items())
    }
    finishing = (partial(change.run_after_hooks, result) for change, result in written if change.after_hooks)
    failed_hook = run_afterwards(finishing)
    if errors:
        raise _partial_commit_error(changes, outcome, errors)
    if failed_hook is not None:
        raise failed_hook


def _read_again(
    written: Mapping[object, Change], joined_changes: Sequence[Change]
) -> list[tuple[Change, Instance]]:
    """Makes objects whose changes were written together read their common item again; deleted ones are marked.

    Args:
        written: the written changes by item.

    Returns:
        Those of the other changes that were written, with their objects.
    """
    written_changes = [change for change in joined_changes if change.item_ref in written]
    for change in written_changes:
        sent_change, instance = written[change.item_ref], change.instance
        if instance is None or state_of(instance).status is _TRANSIENT:
            continue
        if instance_dict(instance) is instance_dict(sent_change.instance):
            continue  # both objects show the item already
        if isinstance(sent_change, DeleteChange) or isinstance(change, DeleteChange):
            mark_deleted(instance)
        else:
            _unload_after(change)
            _unload_after(sent_change)
    return [(change, change.instance) for change in written_changes]


def _unload_after(change: Change) -> None:
    """Makes the loaded object of a written change read its item again. Its other changes stay."""
    if state_of(change.instance).status is Status.LOADED:
        changes = change.changes if isinstance(change, SaveChange) else ()
        unsaved_names = [name for name in changed_names(change.instance) if name not in changes]
        unload(change.instance, consistent=True, keep_changes=True, names=unsaved_names)


def _partial_commit_error(
    changes: Sequence[Change], outcome: CommitOutcome, errors: dict[Change, Exception]
) -> CommitError:
    figures = outcome.figures(changes)
    details = " | ".join(_detail(change, error) for change, error in list(errors.items())[:10])
    error = CommitError(
        f"{len(figures.done)} of {len(changes)} changes are written, {len(figures.not_done)} are not, and "
        f"{len(figures.unknown)} have an unknown outcome; both stay in the session and can be committed again. "
        f"{details}",
        done=figures.done,
        not_done=figures.not_done,
        unknown=figures.unknown,
    )
    error.__cause__ = next(iter(errors.values()))
    return error


def _detail(change: Change, error: Exception) -> str:
    """The text of an error, after the name of the item. Most texts begin with that already."""
    subject, text = str(change.subject), message_of(error)
    return text if text.startswith(subject) else f"{subject}: {text}"
