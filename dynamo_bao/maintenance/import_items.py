"""Imports a file of JSON lines: checks it first, then writes the lines in order, each of them once.

The progress file makes interruptions harmless. It is written before a group of lines is sent, with the values that
were generated for them (an id, say), so that sending them again stores the same items. It is written again when all
of them are stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Final

from attrs import Factory, define, evolve

from dynamo_bao.dynamodb.expressions.conditions import EMPTY
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import MAX_BATCH_WRITE_ITEMS
from dynamo_bao.dynamodb.transport.batch_write import write_batch
from dynamo_bao.dynamodb.transport.error_mapping import may_have_succeeded
from dynamo_bao.errors import (
    BaoError,
    BatchIncompleteError,
    ConditionalError,
    ConfigurationError,
    DataFormatError,
    ItemNotFoundError,
    ValidationError,
)
from dynamo_bao.maintenance.line_reader import Line, Text, read_line, texts_of
from dynamo_bao.maintenance.progress import Finding, JobProgress
from dynamo_bao.maintenance.progress_file import ProgressFile, work_on
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.session.state import ModelMapper
from dynamo_bao.writes.actions import WritePlan
from dynamo_bao.writes.change_factory import sender
from dynamo_bao.writes.executor import WriteExecution
from dynamo_bao.writes.invalidation import all_invalidated
from dynamo_bao.writes.plans import ItemRef, plan_create, plan_delete, plan_replace

JOURNAL: Final = ".importing"
GROUP: Final = 100
"""The number of lines that are recorded in the progress file together."""
_CHECKED: Final = 1000
_ROUNDS: Final = 5


# --- checking ---------------------------------------------------------------------------------------


def check_lines(mapper: ModelMapper, tenant: str | None, source: Path) -> Iterator[JobProgress]:
    """Checks every line of a file as `import_items` will read it, without reading the table.

    Yields:
        A step for each thousand lines; `found` lists the invalid lines.

    Example:
        >>> for step in check_lines(manager.repository(User), None, Path("users.jsonl")):
        ...     for finding in step.found:
        ...         print(finding.text)
    """
    findings: list[Finding] = []
    line_count, item_count = 0, 0
    with source.open("rb") as file:
        for text in texts_of(file):
            try:
                if not text.is_blank:
                    read_line(mapper.schema, tenant, text)
                    item_count += 1
            except ValidationError as error:
                findings.append(_refusal(mapper, text, error))
            line_count = text.number
            if line_count % _CHECKED == 0:
                yield JobProgress(line_count, None, item_count, tuple(findings))
                findings.clear()
    yield JobProgress(line_count, line_count, item_count, tuple(findings))


def _refusal(mapper: ModelMapper, text: Text, error: BaoError, key: str | None = None) -> Finding:
    message = f"line {text.number}: {error}"
    return Finding("line", message, "", mapper.schema.name, key, line=text.number)


# --- writing ----------------------------------------------------------------------------------------


def import_items(
    mapper: ModelMapper,
    tenant: str | None,
    source: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    restart: bool = False,
    journal: Path | None = None,
    total: int | None = None,
) -> Iterator[JobProgress]:
    """Stores the items of a file of JSON lines, after `check_lines` has found no fault in it.

    Items are stored exactly as in the lines: no hook runs, and neither versions nor dates are renewed. Unique values
    stay unique. A line is refused if its item exists already, or if its unique value belongs to another item. It is
    reported, and the other lines are stored.

    Args:
        mapper: the model's repository.
        tenant: the tenant to store the items for.
        source: the path of the file.
        overwrite: whether to replace existing items.
        resume: whether to continue an interrupted import of the file; no line is lost or stored twice.
        restart: whether to start, even if an import was interrupted.
        journal: the progress file; by default one beside the file, with the table in its name.
        total: the number of lines, for the steps.

    Yields:
        A step for about each hundred lines, when they are stored and recorded.

    Raises:
        ConfigurationError: if an import was interrupted and neither `resume` nor `restart` is set, or if the file
            changed since.
        ValidationError: for an invalid line.

    Example:
        >>> for step in import_items(manager.repository(Post), None, Path("posts.jsonl")):
        ...     print(step.done)
    """
    work = work_on(mapper.database, "import", mapper.schema.name, tenant)
    progress_file = ProgressFile(journal or journal_for(source, work), {**work, "overwrite": overwrite})
    state = progress_file.begin(resume=resume, restart=restart)
    return _Import(mapper, tenant, source, overwrite, progress_file, total).steps(state or {})


def journal_for(source: Path, work: Mapping[str, object]) -> Path:
    """The progress file of an import. Each table, model and tenant has its own.

    A table of the same name at another endpoint has another digest.
    """
    digest = blake2b(repr(sorted(work.items())).encode(), digest_size=4).hexdigest()
    table = re.sub(r"[^A-Za-z0-9_.-]", "-", str(work["table"]))
    return source.with_name(f"{source.name}.{table}-{digest}{JOURNAL}")


def _text_of(line: Line | Text) -> Text:
    return line.text if isinstance(line, Line) else line


@define
class _Import:
    """A running import: everything before `offset` is stored."""

    mapper: ModelMapper
    tenant: str | None
    source: Path
    overwrite: bool
    journal: ProgressFile
    total: int | None
    number: int = 0
    offset: int = 0
    written: int = 0
    refused: int = 0
    _digest: Any = Factory(lambda: blake2b(digest_size=16))
    _flight: dict[int, str] = Factory(dict)
    """The generated values of lines that may be stored already, by line number."""
    _touched: bool = False
    """Whether any line may have been stored."""

    def steps(self, state: dict[str, object]) -> Iterator[JobProgress]:
        with self.source.open("rb") as file:
            if state:
                self._go_on(file, state)
                self._touched = True
            for group in self._groups(file):
                self._note(group)
                refusals = self._stored(group)
                self._advance(group, refusals)
                self._note()
                yield JobProgress(self.number, self.total, self.written, refusals)
        self.journal.remove()
        yield JobProgress(self.number, self.total, self.written)

    # --- where it is ------------------------------------------------------------------------------

    def _go_on(self, file: BinaryIO, state: dict[str, Any]) -> None:
        """Restores a recorded state, if the imported part of the file is unchanged."""
        unread = state["offset"]
        while unread > 0 and (part := file.read(min(unread, 1 << 20))):
            self._digest.update(part)
            unread -= len(part)
        if unread or self._digest.hexdigest() != state["digest"]:
            raise ConfigurationError(
                f"{self.source} was changed: its first {state['number']} lines are not those that were imported. "
                f"Restore the file, or start again with --restart."
            )
        self.number, self.offset = state["number"], state["offset"]
        self.written, self.refused = state["written"], state["refused"]
        self._flight = {int(number): filled for number, filled in state["flight"].items()}

    def _note(self, group: Sequence[Line | Text] = ()) -> None:
        made_up = {line.text.number: line.filled for line in group if isinstance(line, Line)}
        self.journal.save(
            {
                "number": self.number,
                "offset": self.offset,
                "digest": self._digest.hexdigest(),
                "written": self.written,
                "refused": self.refused,
                "flight": {**self._flight, **made_up},
            }
        )

    def _advance(self, group: Sequence[Line | Text], refusals: Sequence[Finding]) -> None:
        for text in map(_text_of, group):
            self._digest.update(text.content)
            self._flight.pop(text.number, None)
        last = _text_of(group[-1])
        self.number, self.offset = last.number, last.end
        self.refused += len(refusals)
        self.written += sum(isinstance(line, Line) for line in group) - len(refusals)

    # --- lines ------------------------------------------------------------------------------------

    def _groups(self, file: BinaryIO) -> Iterator[list[Line | Text]]:
        """Groups of lines that can be written in parallel: no item and no unique value is in a group twice."""
        group: list[Line | Text] = []
        keys: set[Key] = set()
        for text in texts_of(file, self.number, self.offset):
            line = text if text.is_blank else self._read(text)
            line_keys = (
                {action.key for action in self._plan(line, None).actions} if isinstance(line, Line) else set()
            )
            if group and (len(group) == GROUP or keys & line_keys):
                yield group
                group, keys = [], set()
            group.append(line)
            keys |= line_keys
        if group:
            yield group

    def _read(self, text: Text) -> Line:
        try:
            return read_line(self.mapper.schema, self.tenant, text, self._flight.get(text.number, "{}"))
        except ValidationError as error:
            raise ValidationError(
                f"line {text.number}: {error}", error.field, error.value, error.errors
            ) from None

    def _plan(self, line: Line, existing: StoredItem | None) -> WritePlan:
        """The plan that stores a line: as a new item, or in place of an existing one."""
        subject = ItemRef(self.mapper.schema, self.tenant, line.identity)
        plan = plan_create(subject, line.values, EMPTY)
        put = evolve(plan.main_action, item=line.item)
        plan = evolve(plan, actions=(*plan.actions[: plan.main], put, *plan.actions[plan.main + 1 :]))
        return plan if existing is None else plan_replace(plan_delete(subject, existing, EMPTY), plan)

    # --- sending ----------------------------------------------------------------------------------

    def _stored(self, group: Sequence[Line | Text]) -> tuple[Finding, ...]:
        """Stores a group. Removes the progress file after an error if certainly no line of the file was stored."""
        try:
            return self._write([line for line in group if isinstance(line, Line)])
        except Exception:
            if not self._touched:
                self.journal.remove()
            raise

    def _write(self, lines: Sequence[Line]) -> tuple[Finding, ...]:
        """Stores lines, and returns a finding for each refused line."""
        plain = self.overwrite and not self.mapper.schema.constraints
        size = MAX_BATCH_WRITE_ITEMS if plain else 1
        parts = [lines[start : start + size] for start in range(0, len(lines), size)]
        send = self._put_blindly if plain else self._write_one
        calls: list[Callable[[], Finding | None]] = [partial(send, part) for part in parts]
        # A unique value can move from one item to another, so the order of the lines matters.
        at_once = 1 if self.overwrite and not plain else self.mapper.database.max_concurrency
        with all_invalidated():
            refusals = self.mapper.database.pool.run(calls, at_once) if calls else []
        return tuple(refusal for refusal in refusals if refusal is not None)

    def _put_blindly(self, lines: Sequence[Line]) -> None:
        database = self.mapper.database
        puts = {database.table_name: {line.identity.key: line.item for line in lines}}
        written = write_batch(database.transport, puts, database.deadline_from_now())
        self._touched |= written.error is None or bool(written.replies) or may_have_succeeded(written.error)
        if written.error is not None:
            raise written.error
        if written.unprocessed:
            name = self.mapper.schema.name
            raise BatchIncompleteError(
                f"{name}: DynamoDB left {len(written.unprocessed)} items unprocessed, also after they were sent again.",
                [(name, key.pk) for _, key in written.unprocessed],
            )

    def _write_one(self, lines: Sequence[Line]) -> Finding | None:
        (line,) = lines
        try:
            for _ in range(_ROUNDS):
                try:
                    self._store(line)
                    return None
                except ItemNotFoundError:  # deleted between two reads
                    continue
            raise ConditionalError(f"{line.identity.primary_id!r} is being written and deleted by others.")
        except (ConditionalError, DataFormatError) as error:
            return _refusal(self.mapper, line.text, error, line.identity.primary_id)

    def _store(self, line: Line) -> None:
        database, subject = self.mapper.database, ItemRef(self.mapper.schema, self.tenant, line.identity)
        operation = "save" if self.overwrite else "create"
        write = WriteExecution(
            database, subject, operation, partial(self._plan, line), sender(None, database, subject)
        )
        try:
            write.run(None)
        except ConditionalError:
            is_of_interrupted_run = line.text.number in self._flight and write.is_done(
                database.deadline_from_now()
            )
            if not is_of_interrupted_run:  # else this line was stored before the interruption
                raise
        except Exception as error:
            self._touched |= may_have_succeeded(error)
            raise
        self._touched = True
