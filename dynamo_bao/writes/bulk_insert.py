"""Bulk inserts: commits that only put new objects, without any condition.

No `Change` is made for an object, unless its request fails. That makes commits of many new objects cheap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from dynamo_bao.dynamodb.expressions.conditions import EMPTY
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.batch_write import Puts, in_batches
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.session.hydration import mark_created
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import ModelMapper, State, Status, instance_dict
from dynamo_bao.session.unit_of_work import CommitFigures, PendingWrite, instance_of
from dynamo_bao.writes.changes import CreateChange
from dynamo_bao.writes.hooks import has_hooks
from dynamo_bao.writes.plans import ItemRef

_TRANSIENT = Status.TRANSIENT  # read often


class BulkInsert(NamedTuple):
    """The entries of a unit of work, each with its encoded item.

    Attributes:
        database: the table of all entries.
        keys: the table key of each entry.
        items: the item of each entry, as DynamoDB's JSON.
    """

    session: Session
    database: Database
    entries: Sequence[PendingWrite]
    keys: Sequence[Key]
    items: Sequence[bytes]

    @classmethod
    def of(cls, session: Session, entries: Sequence[PendingWrite]) -> BulkInsert | None:
        """Encodes the entries. Returns None if one is not a new object, or cannot be encoded straight to JSON."""
        database = entries[0].mapper.database
        keys: list[Key] = []
        items: list[bytes] = []
        for mapper, mapper_entries in groupby(entries, attrgetter("mapper")):
            spelled = _spelled(mapper, session, list(mapper_entries)) if mapper.database is database else None
            if spelled is None:
                return None
            keys += spelled[0]
            items += spelled[1]
        return cls(session, database, entries, keys, items)

    def puts(self) -> list[Puts]:
        """The writes of each request."""
        batches = zip(in_batches(self.keys), in_batches(self.items), strict=True)
        return [{self.database.table_name: dict(zip(*batch, strict=True))} for batch in batches]

    def mark_stored(self) -> None:
        """Marks all objects as stored."""
        session = self.session
        stored = zip(self.entries, self.keys, self.items, strict=True)
        for (instance, mapper, tenant, _, _, _, primary_id), key, item in stored:
            mark_created(instance, mapper, tenant, session, key, primary_id, item)
        session._work.forget_written(self.entries, CommitFigures(done=tuple(map(instance_of, self.entries))))

    def changes(self) -> list[CreateChange]:
        """The entries as changes, so that each can have its own outcome."""
        return [self._change(entry, item) for entry, item in zip(self.entries, self.items, strict=True)]

    def _change(self, entry: PendingWrite, item: bytes) -> CreateChange:
        mapper, values = entry.mapper, instance_dict(entry.instance)
        subject = ItemRef(mapper.schema, entry.tenant, mapper.schema.keys.from_values(entry.tenant, values))
        change = CreateChange(
            mapper, self.session, subject, entry.instance, EMPTY, values.copy(), item, by_save=True
        )
        change.overwrite = entry.overwrite
        return change


def _spelled(
    mapper: ModelMapper, session: Session, entries: Sequence[PendingWrite]
) -> tuple[list[Key], list[bytes]] | None:
    """The keys and the encoded items of a model's new objects; None if one needs the general way.

    The session must still hold each object under the key with which it was added.
    """
    schema, held_instances = mapper.schema, session._instances.held_instances(mapper)
    if not schema.keys.are_texts or has_hooks(mapper.model):
        return None
    name, has_two_parts, text_id = schema.single_key_name, len(schema.key_names) > 1, schema.keys.text_id
    all_values: list[dict[str, object]] = []
    keys: list[Key] = []
    for instance, _, _, _, overwrite, key, primary_id in entries:
        if key is None or held_instances.get(key) is not instance:
            return None
        values = instance_dict(instance)
        state: State = values[STATE]
        if state.status is not _TRANSIENT or not (overwrite or has_generated_key(schema, state, values)):
            return None
        if primary_id != (text_id(values) if has_two_parts else values.get(name)):
            return None
        all_values.append(values)
        keys.append(key)
    items = schema.encoded_json(all_values, keys, map(attrgetter("tenant", "primary_id"), entries))
    return None if items is None else (keys, items)


def has_generated_key(schema: Schema, state: State, values: Mapping[str, object]) -> bool:
    """Whether a new object can be stored without a condition: no other item can have its key, and it has no guards."""
    if schema.constraints or schema.version_field or not state.generated_keys:
        return False
    return any(values.get(name) == value for name, value in state.generated_keys.items())
