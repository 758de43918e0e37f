"""Looking through items for what is wrong with their keys and guards, and mending it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from attrs import Factory, define, evolve, frozen

from dynamo_bao.dynamodb.keys import Key, parse_partition_key
from dynamo_bao.dynamodb.layout import PK
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.thread_pool import ThreadPool
from dynamo_bao.errors import BaoError
from dynamo_bao.maintenance.attribute_check import (
    attribute_findings,
    lacking_defaults,
    readings,
    write_fields,
)
from dynamo_bao.maintenance.item_check import (
    Guard,
    Stored,
    key_findings,
    owner_of,
    read_guard,
    read_item,
)
from dynamo_bao.maintenance.progress import Finding, JobProgress
from dynamo_bao.maintenance.repair import ChangedMeanwhile, release, rewrite
from dynamo_bao.maintenance.scanners import ItemPage, in_batches, scanned, table_size
from dynamo_bao.session.state import ModelMapper

_AGAIN = "Changed while it was looked at; run this again."


@define
class Examiner:
    """Looks through pages of items.

    Attributes:
        mappers: the repositories of the models, by prefix.
        pool: carries requests.
        fix: whether what is found is mended.
        only: the checks that count; None for all.
        attributes: whether attributes that fields cannot read are mended too.
        fill_defaults: whether items get the attributes that they read as defaults.
        lacking: how many items read a default of a field, by model and field.
        foreign: items of prefixes that no model has, by prefix; of none, under ``None``.
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
        """What is wrong with items of models: their index keys, iteration keys, search texts and missing guards."""
        found: list[Finding] = []
        for mapper, read in self._by_model(items, found):
            lacks = self._lacks(mapper, read)
            cases = [self._case(one, lacks.get(one.subject.identity.key, ())) for one in read]
            calls = [partial(self._settled, case) for case in cases if case.findings()]
            for settled in self.pool.run(calls, mapper.database.max_concurrency) if calls else ():
                found += settled
        return found

    def _case(self, stored: Stored, lacks: Sequence[_Lack]) -> _ItemCheck:
        defaults = lacking_defaults(stored.mapper.schema, stored.known.item)
        self.lacking.update((stored.mapper.schema.name, name) for name in defaults)
        return _ItemCheck(stored, lacks, self.only, self.attributes, defaults if self.fill_defaults else {})

    def _by_model(
        self, items: Iterable[Item], found: list[Finding]
    ) -> list[tuple[ModelMapper, list[Stored]]]:
        """The items that can be read, by model; those that cannot are added to what was found."""
        groups: dict[str, list[Stored]] = {}
        for item in items:
            place = parse_partition_key(item[PK]["S"])
            mapper = None if place is None else self.mappers.get(place.prefix)
            if place is None or mapper is None:
                self.foreign[None if place is None else place.prefix] += 1
                continue
            read = read_item(mapper, item)
            if isinstance(read, Finding):
                found.append(read)
            else:
                groups.setdefault(place.prefix, []).append(read)
        return [(self.mappers[prefix], group) for prefix, group in groups.items()]

    # --- guards that items lack -------------------------------------------------------------------

    def _lacks(self, mapper: ModelMapper, read: Sequence[Stored]) -> dict[Key, list[_Lack]]:
        """What the items lack in guards, by the items' keys; looked at twice, as all of it changes meanwhile."""
        if not mapper.schema.constraints or (self.only is not None and "guard" not in self.only):
            return {}
        guards = in_batches(mapper, (key for one in read for key in one.guards()), self.pool)
        lacking = [(one, key) for one in read for key in one.guards() if not _names(guards.get(key), one)]
        again = in_batches(mapper, (one.subject.identity.key for one, _ in lacking), self.pool)
        found: dict[Key, list[_Lack]] = {}
        for one, key in lacking:
            item = again.get(one.subject.identity.key)
            now = None if item is None else read_item(mapper, item)
            if isinstance(now, Stored) and key in now.guards():
                found.setdefault(one.subject.identity.key, []).append(self._lack(now, key, guards.get(key)))
        return found

    def _lack(self, stored: Stored, key: Key, guard: Item | None) -> _Lack:
        name = stored.guards()[key].field.name
        said = f"has no guard for its {name}"
        if guard is None:
            return _Lack(key, f"{said}, so that another item could take the value")
        named, model = owner_of(guard)
        if named == stored.key:
            return _Lack(key, f"{said}: the one there is for a model {model!r}", guard)
        place = parse_partition_key(key.pk)
        assert place is not None  # the key was made here
        other = read_guard(self.mappers, place, guard)
        owner = None if other is None or other.owner is None else self._now(stored.mapper, other.owner.key)
        fault = None if other is None else other.fault(owner)
        if other is None or fault is None:
            return _Lack(key, f"has the {name} that {model} {named!r} has too", None, False)
        return _Lack(key, f"{said}: the one there {fault}", guard if other.owner is None else None)

    def _now(self, mapper: ModelMapper, key: Key) -> Item | None:
        return in_batches(mapper, [key], self.pool).get(key)

    def _settled(self, case: _ItemCheck) -> list[Finding]:
        """What is wrong with an item, mended if that is asked."""
        found = case.findings()
        if not self.fix or not any(one.mendable for one in found):
            return found
        try:
            case.mend()
        except ChangedMeanwhile:
            return [evolve(one, mend=_AGAIN) for one in found]
        except BaoError as error:
            return [evolve(one, mendable=False, mend=str(error)) for one in found]
        return [evolve(one, mended=one.mendable) for one in found]

    # --- guards that guard nothing ----------------------------------------------------------------

    def guards(self, items: Sequence[Item]) -> list[Finding]:
        """What is wrong with guards: their owner is gone, has another value, or cannot be."""
        read = [guard for guard in map(self._guard, items) if guard is not None]
        owners = self._owners(read)
        suspects = [guard for guard in read if guard.fault(_owner(owners, guard)) is not None]
        found: list[Finding] = []
        for guard in suspects:
            now = self._now(guard.mapper, guard.key)
            if now is not None and owner_of(now) == owner_of(guard.item):
                found.append(self._released(guard, _owner(owners, guard)))
        return found

    def _guard(self, item: Item) -> Guard | None:
        place = parse_partition_key(item[PK]["S"])
        guard = None if place is None else read_guard(self.mappers, place, item)
        if guard is None:
            self.foreign[
                None if place is None else f"{place.prefix}, {place.constraint} of {place.attribute}"
            ] += 1
        return guard

    def _owners(self, guards: Iterable[Guard]) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        by_mapper: dict[str, list[Guard]] = {}
        for guard in guards:
            by_mapper.setdefault(guard.mapper.schema.prefix, []).append(guard)
        for group in by_mapper.values():
            found.update(in_batches(group[0].mapper, (g.owner.key for g in group if g.owner), self.pool))
        return found

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
class _Lack:
    """A guard that an item should have and has not.

    Attributes:
        key: the guard's key.
        text: what is wrong.
        there: the guard in its place, where no save would take that over.
        mendable: whether the item may have it.
    """

    key: Key
    text: str
    there: Item | None = None
    mendable: bool = True


@frozen
class _ItemCheck:
    """An item, what it lacks in guards, and the checks that count."""

    stored: Stored
    lacks: Sequence[_Lack]
    only: frozenset[str] | None
    attributes: bool
    defaults: Mapping[str, Any]

    def findings(self) -> list[Finding]:
        """What is wrong with it; keys and guards are looked at once its fields can be read."""
        if self.stored.bad:
            told = attribute_findings(self.stored)
            return told if self.attributes else [evolve(one, mendable=False) for one in told]
        found = self._of_keys()
        if self.defaults:
            lacks = f"has no attribute for {', '.join(sorted(self.defaults))}, and reads the default."
            found.append(self.stored.finding("default", lacks, mendable=True))
        return found

    def _of_keys(self) -> list[Finding]:
        found = [*key_findings(self.stored), *map(self._missing, self.lacks)]
        return [one for one in found if self.only is None or one.check in self.only]

    def _missing(self, lack: _Lack) -> Finding:
        told = {} if lack.mendable else {"mend": "Change or delete one of the two."}
        return self.stored.finding("guard", f"{lack.text}.", mendable=lack.mendable, **told)

    def mend(self) -> None:
        """Mends what can be mended."""
        stored = self.stored
        changes = readings(stored) if stored.bad else self.defaults
        if changes:
            write_fields(stored.mapper, stored.subject, stored.known, changes)
        if not stored.bad and self._of_keys():
            rewrite(stored, self.claims())

    def claims(self) -> dict[Key, Item | None]:
        """The guards that it gets, with those in their places that no save would take over."""
        return {lack.key: lack.there for lack in self.lacks if lack.mendable}


def _names(guard: Item | None, stored: Stored) -> bool:
    """Whether a guard is an item's own."""
    return guard is not None and owner_of(guard) == (stored.key, stored.mapper.schema.name)


def _owner(owners: Mapping[Key, Item], guard: Guard) -> Item | None:
    return None if guard.owner is None else owners.get(guard.owner.key)


# --- the whole table --------------------------------------------------------------------------------


def examine_table(
    database: Database, mappers: Sequence[ModelMapper], *, fix: bool = False
) -> Iterator[JobProgress]:
    """Looks through everything in the table.

    Costs a scan of the table, and one read unit each for every guard and every unique value.

    Args:
        mappers: the repositories of the models.
        fix: whether what can be mended is.

    Yields:
        A step for every page; `count` is the number of items of models and guards among its rows.

    Example:
        >>> for step in examine_table(manager.database, [manager.repository(User)]):
        ...     for finding in step.found:
        ...         print(finding.text)
    """
    total = table_size(database).items or None
    done, known = 0, 0
    examiner = Examiner({mapper.schema.prefix: mapper for mapper in mappers}, database.pool, fix)
    for rows in scanned(database):
        found = _examined(examiner, rows)
        done += rows.seen
        known = done - examiner.foreign.total()
        yield JobProgress(done, total, known, tuple(found))
    yield JobProgress(done, total, known, (*_foreign(examiner.foreign), *_lacking(examiner.lacking)))


def _examined(examiner: Examiner, rows: ItemPage) -> list[Finding]:
    guards, items = list[Item](), list[Item]()
    for item in rows.items:
        place = parse_partition_key(item[PK]["S"])
        (items if place is None or place.constraint is None else guards).append(item)
    return [*examiner.items(items), *examiner.guards(guards)]


def _foreign(counted: Counter[str | None]) -> Iterator[Finding]:
    for prefix, number in counted.most_common():
        whose = "no key of this library" if prefix is None else f"the prefix {prefix}"
        told = f"{number:,} item{'s' if number > 1 else ''} with {whose}, which no model here has; not looked into."
        yield Finding("foreign", told, harmless=True)


def _lacking(counted: Counter[tuple[str, str]]) -> Iterator[Finding]:
    for (model, name), number in sorted(counted.items()):
        items = f"{number:,} item{'s have' if number > 1 else ' has'}"
        told = (
            f"{model}: {items} no attribute for {name}, and {'read' if number > 1 else 'reads'} its default."
        )
        yield Finding("default", told, f"bao reindex {model} --fill-defaults", model, harmless=True)
