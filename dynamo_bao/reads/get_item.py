"""Direct reads: one ``GetItem``, outside the batches of a session."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import starmap
from typing import Any

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.items import ReplyItem, as_dict_item
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.service import GET_ITEM, Item
from dynamo_bao.dynamodb.transport.batch_get import fetch_batch
from dynamo_bao.dynamodb.transport.messages import Request
from dynamo_bao.errors import BatchIncompleteError, cause_of
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.row_types import row_type_for
from dynamo_bao.session.error_subjects import about
from dynamo_bao.session.hydration import hydrate
from dynamo_bao.session.pending_lookups import plan_reads
from dynamo_bao.session.requests import deadline_of, round_of, send
from dynamo_bao.session.scope import current_transaction, operation_in
from dynamo_bao.session.session import Session
from dynamo_bao.session.state import (
    Instance,
    ModelMapper,
    identity_of,
    mark_missing,
    pending_instance,
    state_of,
    unload,
)


def get_item(
    mapper: ModelMapper, identity: Identity, session: Session | None, *, consistent: bool = False
) -> tuple[ReplyItem | None, Capacity]:
    """Reads one item at once. Returns the item, which may be a row, and the consumed capacity. The session only
    counts the request."""
    parameters: dict[str, object] = {
        "TableName": mapper.database.table_name,
        "Key": identity.key.as_item(),
        "ReturnConsumedCapacity": "TOTAL",
    }
    if consistent:
        parameters["ConsistentRead"] = True
    about = [f"{mapper.schema.name} {identity.primary_id!r}"]
    request = Request(GET_ITEM, parameters, rows=row_type_for(1, mapper.schema))
    reply = send(session, mapper.database, "read", about, request)
    return reply.parsed.get("Item") or None, reply.capacity


def get_instance(
    mapper: ModelMapper,
    identity: Identity,
    tenant: str | None,
    session: Session | None,
    *,
    consistent: bool = False,
) -> Any:
    """A new, detached instance. It is loaded at once, or missing."""
    instance = pending_instance(mapper, identity, tenant, None)
    get_into(instance, session, consistent=consistent)
    return instance


def get_into(
    instance: Instance, session: Session | None, *, consistent: bool = False, discard: bool = False
) -> None:
    """Loads an instance with its own request.

    Args:
        instance: the instance.
        session: the session that counts the request, or None.
        consistent: whether the read is consistent.
        discard: whether to drop its values and local changes first.
    """
    state = state_of(instance)
    assert state.mapper is not None
    with operation_in(session):
        item, capacity = get_item(state.mapper, identity_of(instance), session, consistent=consistent)
        state.capacity = state.capacity.plus(capacity)
        if discard:
            unload(instance, consistent=consistent, keep_changes=False)
            transaction = current_transaction()
            if transaction is not None:
                transaction._note_refresh(instance)
        if item is None:
            mark_missing(instance, consistent=consistent)
        else:
            hydrate(instance, item, consistent=consistent)


def get_items(
    mapper: ModelMapper, keys: Iterable[Key], session: Session | None, *, consistent: bool = False
) -> dict[Key, Item]:
    """Many stored items by table key, in batches of 100. Keys without an item are left out.

    Raises:
        BatchIncompleteError: if DynamoDB leaves keys unprocessed, also in retries.
    """
    database = mapper.database
    deadline = deadline_of(session, database)
    items_by_key: dict[Key, Item] = {}
    plan = plan_reads([(database, consistent, dict.fromkeys(keys), None)])
    if not plan:
        return items_by_key
    with operation_in(session), round_of(session, database, "read") as current_round:
        for planned in plan:
            answer = fetch_batch(planned.transport, planned.batch, deadline)
            current_round.add_batch(database, answer, [mapper.schema.name], len(planned.batch))
            for error in answer.failed.values():
                raise about(error, mapper.schema.name) from cause_of(error)
            if answer.unanswered:
                unprocessed_keys = [
                    (mapper.schema.name, key.pk) for keys in answer.unanswered.values() for key in keys
                ]
                raise BatchIncompleteError(f"{mapper.schema.name}: {answer.complaint}", unprocessed_keys)
            for items in answer.items.values():
                items_by_key.update(zip(starmap(Key, items.keys), map(as_dict_item, items), strict=True))
    return items_by_key
