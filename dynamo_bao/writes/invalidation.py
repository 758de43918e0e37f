"""Invalidation: a write makes the sessions around it forget what they have fetched from the partitions it touched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from dynamo_bao.dynamodb.service import Item
from dynamo_bao.mapping.key_schema import IndexSchema
from dynamo_bao.session.bindings import SESSION, bound_values, chain, top_link
from dynamo_bao.session.partitions import DistantPartitions, Partitions, Touched
from dynamo_bao.session.session import Session
from dynamo_bao.writes.plans import RELATIVE_KINDS, ItemRef


class Write(Protocol):
    """A write of one item."""

    def touched(self) -> Touched:
        """The results of queries that it may have changed."""
        ...


def listeners(session: Session | None) -> Sequence[Partitions | DistantPartitions]:
    """What sessions have fetched by queries: the session of a write, and those around the running code.

    Around a session that was handed over to the running code are also those of the code that has lent it.
    """
    top = chain.get() or top_link()
    link = top if top is None or top.kind is SESSION else top.session
    if link is None or (link.value is session and link.session is None):
        if session is None:
            return ()
        if not session._ownership.is_lent:  # the usual case
            return (session._partitions,) if session._partitions.queries else ()
    sessions: list[Session] = bound_values(SESSION)
    if session is not None and session not in sessions:
        sessions.append(session)
    distant_sessions = [outer for inner in sessions for outer in inner._ownership.lender_sessions()]
    return [
        *(member._partitions for member in sessions if member._partitions.queries),
        *(DistantPartitions(member._partitions) for member in distant_sessions if member not in sessions),
    ]


def invalidate(session: Session | None, writes: Iterable[Write]) -> None:
    """Has sessions ask again for what some writes can have changed, whatever became of the writes.

    Args:
        session: the session of the writes.
    """
    listening = listeners(session)
    if not listening:
        return
    for write in writes:
        touched = write.touched()
        for listener in listening:
            listener.touch(touched)


@contextmanager
def all_invalidated() -> Iterator[None]:
    """Has the sessions around a block ask again for everything after it. For jobs that write many items."""
    try:
        yield
    finally:
        for listener in listeners(None):
            listener.clear()


# --- partitions ----------------------------------------------------------------------------------------------


def partitions_of(subject: ItemRef, index: IndexSchema, item: Item) -> Collection[str]:
    """The partition of an index with an item, if any: by its index key, and by its field."""
    field = index.partition.field
    if field is None:  # one partition, which a change of the sort key may bring the item into
        return [index.pk_text(subject.tenant, index.partition.text({}) or "")]
    partitions = [item[index.pk_name]["S"]] if index.pk_name in item else []
    attribute = item.get(field.attribute)
    if attribute is not None:
        with suppress(Exception):  # a value that the field cannot read is in no partition
            text = index.partition.to_text(field.from_dynamo(attribute))
            partitions.append(index.pk_text(subject.tenant, text))
    return partitions


def partitions_after(
    subject: ItemRef, index: IndexSchema, changes: Mapping[str, object], before: Collection[str] | None
) -> Collection[str] | None:
    """The partitions of an index with an item: those in `before`, and the one after changes; None if unknown."""
    name = index.partition.name
    if before is None or name not in changes:
        return before
    value = changes[name]
    if type(value) in RELATIVE_KINDS:
        return None
    text = index.partition.text({name: value})
    return before if text is None else (*before, index.pk_text(subject.tenant, text))
