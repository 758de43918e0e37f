"""`transaction()`: one ``TransactWriteItems`` writes all changes of a block, or none."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from contextlib import AbstractContextManager
from functools import partial
from operator import attrgetter
from typing import Any

from dynamo_bao.errors import BaoError, BatchContextError, ItemNotFoundError, TransactionError
from dynamo_bao.models.batch_context import SESSIONS
from dynamo_bao.models.late import write_side
from dynamo_bao.models.registry import managers
from dynamo_bao.policy import AllowDirect
from dynamo_bao.runtime.late_libraries import logging
from dynamo_bao.runtime.logs import late_logger, log_fields
from dynamo_bao.runtime.records import define
from dynamo_bao.session.bindings import TRANSACTION, Block, end_dropped
from dynamo_bao.session.context import BatchContext
from dynamo_bao.session.requests import send
from dynamo_bao.session.scope import operation_in, resolve_scope_of, surroundings
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import Instance, Status, identity_of, state_of, unload
from dynamo_bao.writes.hooks import run_afterwards

log: logging.Logger = late_logger("dynamo_bao.transaction")


class Transaction:
    """The writes of a `transaction()` block so far. ``len()`` gives their number.

    Attributes:
        session: the session of the block.
        is_open: whether the block has not ended yet.

    Example:
        >>> with transaction() as written:
        ...     account.save()
        ...     print(len(written))
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._changes: list[write_side.Change] = []
        self._changes_by_item: dict[object, write_side.Change] = {}
        self._refreshed: list[Instance] = []
        self.is_open: bool = True

    def require(self, instance: Instance, condition: write_side.ConditionLike = None) -> None:
        """Requires that an item which the transaction does not write is stored and fulfils a condition.

        The check is part of the transaction. If it fails, nothing is written.

        Args:
            instance: the instance of a stored item.
            condition: what must hold of the stored item, as a dict or an expression.

        Raises:
            ItemNotFoundError: if the instance is a new one.
            BatchContextError: if the block has ended.

        Example:
            >>> with transaction() as tx:
            ...     tx.require(account, {"status": "open"})
            ...     Payment.create(account_id=account.account_id, amount=10)
        """
        if not self.is_open:
            raise _is_over()
        self.session._ownership.check()
        state = state_of(instance)
        if state.status is Status.TRANSIENT or state.mapper is None:
            raise ItemNotFoundError(
                f"{type(instance).__name__}: only what is stored can be required; save() it first."
            )
        session = resolve_scope_of(state, "require")
        schema = state.mapper.schema
        subject = write_side.ItemRef(schema, state.tenant, identity_of(instance))
        self._collect(
            write_side.ConditionCheck(
                state.mapper,
                session,
                subject,
                instance,
                write_side.checked_condition(state.mapper, condition),
            )
        )

    def _collect(self, change: write_side.Change) -> Any:
        """Adds a change, applies it in memory, and returns the result of the operation."""
        with operation_in(self.session):
            if not self.is_open:
                raise _is_over()
            if self._changes_by_item.setdefault(change.item_ref, change) is not change:
                write_side.combine(self._changes_by_item, change)
            self._changes.append(change)
            change.transaction = None  # a cycle would keep all of its items in memory for a while
            try:
                change.result = change.apply_locally()
            except BaoError:
                self._withdraw_last()
                raise
            write_side.invalidate(self.session, (change,))
            return change.result

    def _withdraw_last(self) -> None:
        """Removes the last change, which was refused before it had any effect."""
        self._changes.pop()
        self._changes_by_item = {}
        for change in self._changes:
            write_side.combine(self._changes_by_item, change)

    def _has_changed(self, instance: Instance) -> bool:
        """Whether an instance, and not another one for its item, has values of the block that are not stored yet."""
        return any(
            change.result is instance
            for change in self._changes
            if not isinstance(change, write_side.ConditionCheck)
        )

    def _note_refresh(self, instance: Instance) -> None:
        """Records that an instance was read again in the block, which has not stored anything yet."""
        self._refreshed.append(instance)

    def __len__(self) -> int:
        return len(self._changes)

    # --- the end of a block --------------------------------------------------------------------------

    def _commit(self) -> None:
        """Writes all changes. If that fails, nothing is written, and the changes are also reverted in memory."""
        self.is_open = False
        collected, changes = self._changes, list(self._changes_by_item.values())
        try:
            if changes:
                self._write(changes)
        except BaseException:
            self._rollback_to()
            raise
        write_side.invalidate(self.session, (*collected, *changes))
        self._confirm(self._changes_by_item)

    def _write(self, changes: list[write_side.Change]) -> None:
        """Writes one change for each item, all of them or none."""
        database, about = changes[0].mapper.database, list(map(str, map(attrgetter("subject"), changes)))
        try:
            write_side.run_transaction(
                changes, write_side.write_of, partial(send, self.session, database, "write", about)
            )
        except TransactionError as error:
            if not error.errors:
                raise
            self._rollback_to()
            objects = [change.result for change in changes]
            raise write_side.translated_failure(error, changes, objects) from error.__cause__

    def _confirm(self, written: Container[object]) -> None:
        """Updates memory to the stored items, then runs the hooks. It raises the first error of a hook.

        Args:
            written: the references of the written items. Changes of other items cancelled each other out, so their
                stored state is not known.
        """
        for change in self._changes:
            change.on_commit()
            if change.item_ref not in written:
                self.session._instances.forget_deletion(change.mapper, change.subject.identity)
        for instance in filter(self._has_changed, self._refreshed):
            unload(instance, consistent=True, keep_changes=True)
        self._note_unloaded(self._changes)
        hooked = [change for change in self._changes if change.after_hooks and change.item_ref in written]
        if hooked:
            error = run_afterwards(partial(change.run_after_hooks, change.result) for change in hooked)
            if error is not None:
                raise error

    def _rollback_to(self, since: int = 0) -> None:
        """Reverts the changes in memory, except the first `since` of them."""
        collected, self._changes = self._changes, self._changes[:since]
        self._changes_by_item = {}
        for change in self._changes:
            write_side.combine(self._changes_by_item, change)
        item_refs = {change.item_ref for change in collected[since:]}
        for change in reversed(collected):
            if change.item_ref in item_refs:
                self._undo(change)
        for change in self._changes:
            if change.item_ref in item_refs:
                change.apply_locally()
        self._note_unloaded(collected)
        write_side.invalidate(self.session, collected)

    def _note_unloaded(self, changes: Iterable[write_side.Change]) -> None:
        """Has the next look at an object that must be read again read all of them."""
        instances = [change.result for change in changes if change.result is not None]
        self.session._instances.note_unloaded(instances)

    def _undo(self, change: write_side.Change) -> None:
        try:
            change.revert()
        except Exception:  # the change was interrupted halfway, and that exception is already being raised
            log.exception(
                "%s could not be reverted in memory; refresh() it",
                change.subject.identity.primary_id,
                extra=log_fields("transaction", [change.mapper.database.table_name], 1),
            )


def _is_over() -> BatchContextError:
    return BatchContextError("The transaction is over; write outside its block, or open another.")


def transaction() -> AbstractContextManager[Transaction]:
    """Writes all changes of a block with one ``TransactWriteItems`` when the block ends. An exception writes nothing.

    Creates, saves, updates and deletes of all models of one manager take part, with the guards of their unique
    values. A save requires that the fields it changes are still stored as they were loaded. Reads in the block are
    ordinary reads; the session's instances show the changes of the block. An inner block joins the outer one. If an
    exception leaves the inner block, only its own changes are reverted.

    Yields:
        The transaction, for `Transaction.require`.

    Raises:
        TransactionTooLargeError: for more than 100 actions or 4 MB. Nothing is sent.
        TransactionError: if DynamoDB cancels it, with a reason for each operation. The error is also a
            `UniqueConstraintError`, `ConditionalError` or `ItemNotFoundError`, if that was the first reason.
        BatchContextRequiredError: outside any batch context, in strict mode.

    Example:
        >>> with transaction():
        ...     account.balance -= 10
        ...     account.save()
        ...     Payment.create(account_id=account.account_id, amount=10)
    """
    return _TransactionBlock()


class _TransactionBlock(Block[Transaction]):
    """A block with a transaction of its own, or one that joins the transaction around it."""

    __slots__ = ()

    def _begin(self) -> Transaction:
        session, outer = surroundings()
        if isinstance(outer, Transaction):
            self.value = _NestedBlock(outer, len(outer))
            return outer
        if session is not None:
            with operation_in(session):
                session._ownership.check()
                session._ownership.require_seen_transaction()
                return self._begin_in(session, None)
        for manager in managers():
            if type(manager.database.policy) is not AllowDirect:
                manager.database.policy.outside("transaction()")
        context = BatchContext(SESSIONS)
        session = context.__enter__()
        try:
            return self._begin_in(session, context)
        except BaseException as error:
            context.__exit__(type(error), error, None)
            raise

    def _begin_in(self, session: Session, context: BatchContext | None) -> Transaction:
        new_transaction = Transaction(session)
        self.value = _RootBlock(new_transaction, context)
        session._ownership.note_transaction(self)
        self.bind(TRANSACTION, new_transaction)
        return new_transaction

    def _if_dropped(self) -> Callable[[Any], object]:
        return partial(end_dropped, type(self).__name__, self.value.finish)

    def _finish(self, error: BaseException | None) -> None:
        if self.value is not None:
            self.value.finish(error)


@define(eq=False)
class _NestedBlock:
    """A part of a transaction: its changes after the first `_start`."""

    _outer: Transaction
    _start: int

    def finish(self, error: BaseException | None) -> None:
        """Reverts the part if its block ends with an error."""
        if error is not None:
            with operation_in(self._outer.session):
                self._outer._rollback_to(self._start)


@define(eq=False)
class _RootBlock:
    """A transaction, and the batch context that was opened for it if there was none."""

    _transaction: Transaction
    _context: BatchContext | None

    def finish(self, error: BaseException | None) -> None:
        """Commits the transaction, or reverts it if its block ends with an error."""
        try:
            with operation_in(self._transaction.session):
                if error is None:
                    self._transaction._commit()
                else:
                    self._transaction._rollback_to()
                    self._transaction.is_open = False
        except BaseException as failure:
            self._leave(failure)
            raise
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        if self._context is not None:
            self._context.__exit__(None if error is None else type(error), error, None)
