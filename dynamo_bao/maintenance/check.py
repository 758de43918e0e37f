"""Checks the keys, guards and attributes of stored items, and repairs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import chain

from dynamo_bao.dynamodb.keys import Key, parse_partition_key
from dynamo_bao.dynamodb.layout import PK
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.thread_pool import ThreadPool
from dynamo_bao.errors import BaoError, message_of
from dynamo_bao.maintenance.attribute_check import (
    attribute_findings,
    lacking_defaults,
    readings,
    write_fields,
)
from dynamo_bao.maintenance.item_check import (
    ExaminedItem,
    Guard,
    key_findings,
    owner_of,
    read_guard,
    read_item,
)
from dynamo_bao.maintenance.limits import Limits, with_database
from dynamo_bao.maintenance.progress import Finding, JobProgress
from dynamo_bao.maintenance.repair import ChangedMeanwhile, release, rewrite
from dynamo_bao.maintenance.scanners import ItemPage, in_batches, read_ahead, scanned, table_size
from dynamo_bao.runtime.records import Factory, define, evolve, frozen
from dynamo_bao.session.state import ModelMapper
from dynamo_bao.writes.invalidation import all_invalidated

_AGAIN = "Changed while it was looked at; run this again."


@define
class Examiner:
    """Checks pages of items.

    Attributes:
        mappers: the repositories of the models, by prefix.
        pool: carries requests.
        fix: whether faults are repaired.
        only: the names of the checks to make; None for all.
        attributes: whether attributes that fields cannot read are repaired too.
        fill_defaults: whether to write defaults for attributes that items lack.
        lacking: the number of items that lack a field's attribute and read its default, by model and field.
        foreign: the number of items of unknown prefixes, by prefix; ``None`` counts items without a prefix.
    """

    mappers: Mapping[str, ModelMapper]
    pool: ThreadPool
    fix: bool = False
    only: frozenset[str] | None = None
    attributes: bool = True
    fill_defaults: bool = False
    lacking: Counter[tuple[str, str]] = Factory(Counter)
    foreign: Counter[str | None] = Factory(Counter)

    def items(self, items: Iterable[Item]) -> list[Finding]:
        """The faults of items of models: wrong index keys, iteration keys and search texts, and missing guards."""
        findings: list[Finding] = []
        for mapper, read in self._by_model(items, findings):
            missing_guards = self._missing_guards(mapper, read)
            cases = [
                self._case(examined, missing_guards.get(examined.subject.identity.key, ()))
                for examined in read
            ]
            calls = [partial(self._settled, case) for case in cases if case.findings()]
            if calls:
                with all_invalidated() if self.fix else nullcontext():
                    all_findings = self.pool.run(calls, mapper.database.max_concurrency)
                findings += chain.from_iterable(all_findings)
        return findings

    def _case(self, stored: ExaminedItem, missing_guards: Sequence[_MissingGuard]) -> _ItemCheck:
        defaults = lacking_defaults(stored.mapper.schema, stored.loaded.item)
        self.lacking.update((stored.mapper.schema.name, name) for name in defaults)
        return _ItemCheck(
            stored, missing_guards, self.only, self.attributes, defaults if self.fill_defaults else {}
        )

    def _by_model(
        self, items: Iterable[Item], findings: list[Finding]
    ) -> list[tuple[ModelMapper, list[ExaminedItem]]]:
        """The readable items by model. Adds a finding for each item that is not readable."""
        groups: dict[str, list[ExaminedItem]] = {}
        for item in items:
            parsed_key = parse_partition_key(item[PK]["S"])
            mapper = None if parsed_key is None else self.mappers.get(parsed_key.prefix)
            if parsed_key is None or mapper is None:
                self.foreign[None if parsed_key is None else parsed_key.prefix] += 1
                continue
            read = read_item(mapper, item)
            if isinstance(read, Finding):
                findings.append(read)
            else:
                groups.setdefault(parsed_key.prefix, []).append(read)
        return [(self.mappers[prefix], group) for prefix, group in groups.items()]

    # --- guards that items lack -------------------------------------------------------------------

    def _missing_guards(
        self, mapper: ModelMapper, read: Sequence[ExaminedItem]
    ) -> dict[Key, list[_MissingGuard]]:
        """The guards that items lack, by item key. Reads the items again, because they may have changed since."""
        if not mapper.schema.constraints or (self.only is not None and "guard" not in self.only):
            return {}
        guards = in_batches(mapper, (key for examined in read for key in examined.guards()), self.pool)
        lacking = [
            (examined, key)
            for examined in read
            for key in examined.guards()
            if not _names(guards.get(key), examined)
        ]
        again = in_batches(mapper, (examined.subject.identity.key for examined, _ in lacking), self.pool)
        lacks: dict[Key, list[_MissingGuard]] = {}
        for examined, key in lacking:
            item = again.get(examined.subject.identity.key)
            now = None if item is None else read_item(mapper, item)
            if isinstance(now, ExaminedItem) and key in now.guards():
                lacks.setdefault(examined.subject.identity.key, []).append(
                    self._missing_guard(now, key, guards.get(key))
                )
        return lacks

    def _missing_guard(self, stored: ExaminedItem, key: Key, guard: Item | None) -> _MissingGuard:
        name = stored.guards()[key].field.name
        missing = f"has no guard for its {name}"
        if guard is None:
            return _MissingGuard(key, f"{missing}, so that another item could take the value")
        named, model = owner_of(guard)
        if named == stored.key:
            return _MissingGuard(key, f"{missing}: the one there is for a model {model!r}", guard)
        parsed_key = parse_partition_key(key.pk)
        assert parsed_key is not None  # the key was made here
        other = read_guard(self.mappers, parsed_key, guard)
        owner = None if other is None or other.owner is None else self._now(stored.mapper, other.owner.key)
        fault = None if other is None else other.fault(owner)
        if other is None or fault is None:
            return _MissingGuard(key, f"has the {name} that {model} {named!r} has too", None, False)
        return _MissingGuard(key, f"{missing}: the one there {fault}", guard if other.owner is None else None)

    def _now(self, mapper: ModelMapper, key: Key) -> Item | None:
        return in_batches(mapper, [key], self.pool).get(key)

    def _settled(self, case: _ItemCheck) -> list[Finding]:
        """The faults of an item, repaired if `fix` is set."""
        findings = case.findings()
        if not self.fix or not any(finding.mendable for finding in findings):
            return findings
        try:
            case.mend()
        except ChangedMeanwhile:
            return [evolve(finding, mend=_AGAIN) for finding in findings]
        except BaoError as error:
            return [evolve(finding, mendable=False, mend=message_of(error)) for finding in findings]
        return [evolve(finding, mended=finding.mendable) for finding in findings]

    # --- guards that guard nothing ----------------------------------------------------------------

    def guards(self, items: Sequence[Item]) -> list[Finding]:
        """The faults of guards: the owner is missing, has another value, or has an invalid id."""
        read = [guard for guard in map(self._guard, items) if guard is not None]
        owners = self._owners(read)
        suspects = [guard for guard in read if guard.fault(_owner(owners, guard)) is not None]
        findings: list[Finding] = []
        for guard in suspects:
            now = self._now(guard.mapper, guard.key)
            if now is not None and owner_of(now) == owner_of(guard.item):
                findings.append(self._released(guard, _owner(owners, guard)))
        return findings

    def _guard(self, item: Item) -> Guard | None:
        parsed_key = parse_partition_key(item[PK]["S"])
        guard = None if parsed_key is None else read_guard(self.mappers, parsed_key, item)
        if guard is None:
            self.foreign[
                None
                if parsed_key is None
                else f"{parsed_key.prefix}, {parsed_key.constraint} of {parsed_key.attribute}"
            ] += 1
        return guard

    def _owners(self, guards: Iterable[Guard]) -> dict[Key, Item]:
        owners: dict[Key, Item] = {}
        by_mapper: dict[str, list[Guard]] = {}
        for guard in guards:
            by_mapper.setdefault(guard.mapper.schema.prefix, []).append(guard)
        for group in by_mapper.values():
            owners.update(in_batches(group[0].mapper, (g.owner.key for g in group if g.owner), self.pool))
        return owners

    def _released(self, guard: Guard, owner: Item | None) -> Finding:
        name = guard.mapper.schema.name
        finding = Finding(
            "guard",
            f"{name}: the guard {guard.key.pk!r} {guard.fault(owner)}; nobody can take its value.",
            "bao doctor --fix",
            name,
            guard.key.pk,
            guard.tenant,
            mendable=True,
        )
        if not self.fix:
            return finding
        try:
            release(guard, owner)
        except ChangedMeanwhile:
            return evolve(finding, mend=_AGAIN)
        return evolve(finding, mended=True)


@frozen
class _MissingGuard:
    """A guard that an item should have, but lacks.

    Attributes:
        key: the guard's key.
        text: what is wrong.
        existing: the guard that is stored under the key, if no save would replace it.
        mendable: whether the guard can be written.
    """

    key: Key
    text: str
    existing: Item | None = None
    mendable: bool = True


@frozen
class _ItemCheck:
    """An item, the guards that it lacks, and the checks to make."""

    stored: ExaminedItem
    missing_guards: Sequence[_MissingGuard]
    only: frozenset[str] | None
    attributes: bool
    defaults: Mapping[str, object]

    def findings(self) -> list[Finding]:
        """The faults of the item. Keys and guards are checked only if all its fields are readable."""
        if self.stored.bad:
            bad_attributes = attribute_findings(self.stored)
            return (
                bad_attributes
                if self.attributes
                else [evolve(finding, mendable=False) for finding in bad_attributes]
            )
        findings = self._of_keys()
        if self.defaults:
            message = f"has no attribute for {', '.join(sorted(self.defaults))}, and reads the default."
            findings.append(self.stored.finding("default", message, mendable=True))
        return findings

    def _of_keys(self) -> list[Finding]:
        findings = [*key_findings(self.stored), *map(self._missing, self.missing_guards)]
        return [finding for finding in findings if self.only is None or finding.check in self.only]

    def _missing(self, guard: _MissingGuard) -> Finding:
        remedy = {} if guard.mendable else {"mend": "Change or delete one of the two."}
        return self.stored.finding("guard", f"{guard.text}.", mendable=guard.mendable, **remedy)

    def mend(self) -> None:
        """Repairs the item as far as possible."""
        stored = self.stored
        changes = readings(stored) if stored.bad else self.defaults
        if changes:
            write_fields(stored.mapper, stored.subject, stored.loaded, changes)
        if not stored.bad and self._of_keys():
            rewrite(stored, self.claims())

    def claims(self) -> dict[Key, Item | None]:
        """The keys of the guards to write, each with the stored guard to replace, if a save would not replace it."""
        return {guard.key: guard.existing for guard in self.missing_guards if guard.mendable}


def _names(guard: Item | None, stored: ExaminedItem) -> bool:
    """Whether a guard names this item as its owner."""
    return guard is not None and owner_of(guard) == (stored.key, stored.mapper.schema.name)


def _owner(owners: Mapping[Key, Item], guard: Guard) -> Item | None:
    return None if guard.owner is None else owners.get(guard.owner.key)


# --- the whole table --------------------------------------------------------------------------------


def examine_table(
    database: Database,
    mappers: Sequence[ModelMapper],
    *,
    fix: bool = False,
    max_read_units: float | None = None,
    max_write_units: float | None = None,
) -> Iterator[JobProgress]:
    """Checks everything in the table.

    Costs a scan of the table, and one read unit for each guard and each unique value.

    Args:
        mappers: the repositories of the models.
        fix: whether to repair faults, if possible.
        max_read_units, max_write_units: the most capacity units to consume in a second; None for no limit.
        database: the table, as `Manager.database` has it.

    Yields:
        A step for each page; `count` is the number of items and guards of these models so far.

    Example:
        >>> for step in examine_table(manager.database, [manager.repository(User)]):
        ...     for finding in step.found:
        ...         print(finding.text)
    """
    database = Limits.of(max_read_units, max_write_units).database(database)
    mappers = [with_database(mapper, database) for mapper in mappers]
    total = table_size(database).items or None
    row_count, known_count = 0, 0
    examiner = Examiner({mapper.schema.prefix: mapper for mapper in mappers}, database.pool, fix)
    for rows in read_ahead(scanned(database), database.pool):
        findings = _examined(examiner, rows)
        row_count += rows.row_count
        known_count = row_count - examiner.foreign.total()
        yield JobProgress(row_count, total, known_count, tuple(findings))
    yield JobProgress(
        row_count, total, known_count, (*_foreign(examiner.foreign), *_lacking(examiner.lacking))
    )


def _examined(examiner: Examiner, rows: ItemPage) -> list[Finding]:
    guards, items = list[Item](), list[Item]()
    for item in rows.items:
        parsed_key = parse_partition_key(item[PK]["S"])
        (items if parsed_key is None or parsed_key.constraint is None else guards).append(item)
    return [*examiner.items(items), *examiner.guards(guards)]


def _foreign(counted: Counter[str | None]) -> Iterator[Finding]:
    for prefix, number in counted.most_common():
        owner = "no key of this library" if prefix is None else f"the prefix {prefix}"
        text = f"{number:,} item{'s' if number > 1 else ''} with {owner}, which no model here has; not looked into."
        yield Finding("foreign", text, harmless=True)


def _lacking(counted: Counter[tuple[str, str]]) -> Iterator[Finding]:
    for (model, name), number in sorted(counted.items()):
        items = f"{number:,} item{'s have' if number > 1 else ' has'}"
        text = (
            f"{model}: {items} no attribute for {name}, and {'read' if number > 1 else 'reads'} its default."
        )
        yield Finding("default", text, f"bao reindex {model} --fill-defaults", model, harmless=True)
