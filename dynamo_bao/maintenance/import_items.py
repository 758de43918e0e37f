"""Imports a file of JSON lines: checks it first, then writes the lines in order, each of them once.

The progress file makes interruptions harmless. Before a group of lines is sent, it states what is stored already, and
the values that were generated for the group (an id, say), so that sending it again stores the same items.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Final

from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.errors import ConfigurationError, ValidationError, message_of
from dynamo_bao.maintenance.limits import Limits
from dynamo_bao.maintenance.line_reader import NOTHING_FILLED, Line, Text, read_line, texts_of
from dynamo_bao.maintenance.line_writer import LineWriter, refusal_of
from dynamo_bao.maintenance.progress import Finding, JobProgress
from dynamo_bao.maintenance.progress_file import ProgressFile, in_file_name, work_on
from dynamo_bao.runtime.records import Factory, define
from dynamo_bao.session.state import ModelMapper

JOURNAL: Final = ".importing"
GROUP: Final = 800
"""The most lines that are recorded in the progress file together."""
FIRST_GROUP: Final = 100
"""The number of lines of the first groups, and of groups that take long."""
GROUP_BYTES: Final = 4 * 1024 * 1024
"""The bytes of lines after which a group ends."""
QUICK_SECONDS: Final = 0.5
"""Groups that are stored in less time grow, because each of them is a wait for the disk."""
_CHECKED: Final = 1000


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
                findings.append(refusal_of(mapper, text, error))
            line_count = text.number
            if line_count % _CHECKED == 0:
                yield JobProgress(line_count, None, item_count, tuple(findings))
                findings.clear()
    yield JobProgress(line_count, line_count, item_count, tuple(findings))


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
    max_read_units: float | None = None,
    max_write_units: float | None = None,
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
        max_read_units, max_write_units: the most capacity units to consume in a second; None for no limit.

    Yields:
        A step for each group of lines, when they are stored and recorded: 100 at first, then up to 800 if they are
        stored within half a second.

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
    mapper = Limits.of(max_read_units, max_write_units).repository(mapper)
    writer = LineWriter(mapper, tenant, overwrite)
    return _Import(mapper, tenant, source, progress_file, total, writer).steps(state or {})


def journal_for(source: Path, work: Mapping[str, object]) -> Path:
    """The progress file of an import. Each table, model and tenant has its own.

    A table of the same name at another endpoint has another digest.
    """
    digest = blake2b(repr(sorted(work.items())).encode(), digest_size=4).hexdigest()
    return source.with_name(f"{source.name}.{in_file_name(str(work['table']))}-{digest}{JOURNAL}")


def _text_of(line: Line | Text) -> Text:
    return line.text if isinstance(line, Line) else line


Group = Sequence[Line | Text]
"""Lines that can be written at the same time; an empty line is a `Text`."""


@define
class _Import:
    """A running import: everything before `offset` is stored.

    While a group is sent, the next one is read.
    """

    mapper: ModelMapper
    tenant: str | None
    source: Path
    journal: ProgressFile
    total: int | None
    writer: LineWriter
    number: int = 0
    offset: int = 0
    written: int = 0
    refused: int = 0
    _digest: Any = Factory(lambda: blake2b(digest_size=16))
    _flight: dict[int, str] = Factory(dict)
    """The generated values of lines that may be stored already, by line number."""
    _next_group: Group = ()
    _fault: ValidationError | None = None
    """The fault of a line after the next group."""
    _group_size: int = Factory(lambda: min(FIRST_GROUP, GROUP))

    def steps(self, state: dict[str, object]) -> Iterator[JobProgress]:
        with self.source.open("rb") as file:
            if state:
                self._go_on(file, state)
                self.writer.touched = True
            groups = self._groups(file)
            deque(self._read_group(groups), maxlen=0)
            self._note(self._next_group)
            while self._next_group:
                group = self._next_group
                refusals = self._stored(group, self._read_group(groups))
                self._advance(group, refusals)
                self._note(self._next_group)
                yield JobProgress(self.number, self.total, self.written, refusals)
            if self._fault is not None:
                raise self._fault
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

    def _note(self, group: Group) -> None:
        """Records what is stored, and the values that were generated for the group that is sent next."""
        made_up = {line.text.number: line.filled for line in group if isinstance(line, Line)}
        self.journal.save(
            {
                "number": self.number,
                "offset": self.offset,
                "digest": self._digest.hexdigest(),
                "written": self.written,
                "refused": self.refused,
                "flight": {**made_up, **self._flight},  # a line that was read again has made up nothing
            }
        )

    def _advance(self, group: Group, refusals: Sequence[Finding]) -> None:
        for text in map(_text_of, group):
            self._digest.update(text.content)
            self._flight.pop(text.number, None)
        last = _text_of(group[-1])
        self.number, self.offset = last.number, last.end
        self.refused += len(refusals)
        self.written += sum(isinstance(line, Line) for line in group) - len(refusals)

    # --- lines ------------------------------------------------------------------------------------

    def _read_group(self, groups: Iterator[Group | None]) -> Iterator[None]:
        """Reads the next group, a line in each step. A fault is kept until the lines before it are stored."""
        self._next_group = ()
        try:
            for group in groups:
                if group is not None:
                    self._next_group = group
                    return
                yield
        except ValidationError as fault:
            self._fault = fault

    def _groups(self, file: BinaryIO) -> Iterator[Group | None]:
        """Groups of lines that can be written in parallel: no item and no unique value is in a group twice.

        Yields:
            A group when it is complete, and None after each line.
        """
        group: list[Line | Text] = []
        keys: set[Key] = set()
        size = 0
        for text in texts_of(file, self.number, self.offset):
            try:
                line = text if text.is_blank else self._read(text)
            except ValidationError:
                if group:
                    yield group
                raise
            line_keys = {line.identity.key, *line.guards} if isinstance(line, Line) else set()
            is_full = len(group) >= self._group_size or size + len(text.content) > GROUP_BYTES
            if group and (is_full or keys & line_keys):
                yield group
                group, keys, size = [], set(), 0
            group.append(line)
            keys |= line_keys
            size += len(text.content)
            yield None
        if group:
            yield group

    def _read(self, text: Text) -> Line:
        filled = self._flight.get(text.number, NOTHING_FILLED)
        try:
            return read_line(self.mapper.schema, self.tenant, text, filled)
        except ValidationError as error:
            raise ValidationError(
                f"line {text.number}: {message_of(error)}", error.field, error.value, error.errors
            ) from None

    # --- sending ----------------------------------------------------------------------------------

    def _stored(self, group: Group, beside: Iterator[object]) -> tuple[Finding, ...]:
        """Stores a group. Removes the progress file after an error if certainly no line of the file was stored.

        Args:
            beside: the steps of other work, which is done meanwhile.
        """
        now = self.mapper.database.transport.clock.now
        lines, start_time = [line for line in group if isinstance(line, Line)], now()
        try:
            refusals = self.writer.write(lines, self._flight, beside)
        except Exception:
            if not self.writer.touched:
                self.journal.remove()
            raise
        if now() - start_time < QUICK_SECONDS:
            self._group_size = min(2 * self._group_size, GROUP)
        else:
            self._group_size = min(FIRST_GROUP, GROUP)
        return refusals
