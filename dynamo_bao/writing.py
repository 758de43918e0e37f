"""Creating, saving and deleting instances: from local values to a planned write, and back into the session."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from dynamo_bao.database import Database
from dynamo_bao.errors import (
    ConditionalError,
    ItemNotFoundError,
    UnknownFieldError,
    ValidationError,
    VersionConflictError,
    WriteOutcomeUnknownError,
    suggestion,
)
from dynamo_bao.expressions.conditions import Attribute, Compare, Condition, Exists, Negation, all_of
from dynamo_bao.expressions.dicts import condition_from
from dynamo_bao.expressions.render import Placeholders, render_condition
from dynamo_bao.fields.documents import StringSetField
from dynamo_bao.fields.numeric import CounterField
from dynamo_bao.fields.text import VersionField
from dynamo_bao.instances import (
    Home,
    Status,
    absorb,
    changed_names,
    identity_of,
    mark_deleted,
    mark_missing,
    new_loaded,
    new_pending,
    require_present,
    share,
    state_of,
    unload,
)
from dynamo_bao.schema import Identity, Schema
from dynamo_bao.scope import enter, enter_through
from dynamo_bao.sending import round_of
from dynamo_bao.session.session import Session
from dynamo_bao.transport.messages import Reply, Request
from dynamo_bao.wire import Item
from dynamo_bao.writes.actions import check_item_size
from dynamo_bao.writes.execute import Send, Write
from dynamo_bao.writes.plans import (
    Delta,
    Known,
    Members,
    Subject,
    needs_known,
    needs_source,
    plan_create,
    plan_delete,
    plan_update,
)

ConditionLike = Mapping[str, object] | Condition | None
"""A condition as callers give it: a dict, an expression, or none."""


def _sender(session: Session | None, database: Database, subject: Subject, instance: Any = None) -> Send:
    """Sends the requests of a write: each a round of the session, and counted for the instance it is about."""
    about = [f"{subject.schema.name} {subject.identity.primary_id!r}"]

    def send(request: Request, deadline: float) -> Reply:
        with round_of(session, database, "write") as opened:
            reply = opened.send(database, request, deadline, about)
        if instance is not None:
            state = state_of(instance)
            state.capacity = state.capacity.plus(reply.capacity)
        return reply

    return send


# --- create -----------------------------------------------------------------------------------------


def create(home: Home, instance: Any, condition: ConditionLike, operation: str) -> Any:
    """Stores a transient instance as a new item; the session's own object for its key is returned."""
    session, tenant = enter(home.database, home.schema.name, operation)
    schema, state = home.schema, state_of(instance)
    wanted = _checked_condition(schema, condition)
    values = schema.accept_all(instance.__dict__)
    instance.__dict__.update(values)
    identity = schema.identity(tenant, values)
    earlier = session.known(home, identity) if session is not None else None
    if earlier is not None and state_of(earlier).status is Status.LOADED:
        raise ConditionalError(
            f"{schema.name} {identity.primary_id!r} exists already: this context has loaded it; nothing was sent.",
            model=schema.name,
            key=identity.primary_id,
            operation="create",
        )
    subject = Subject(schema, tenant, identity)
    plan = plan_create(subject, values, wanted)
    item = plan.main_action.item
    assert item is not None
    check_item_size(schema.name, identity.primary_id, item)
    try:
        Write(home.database, subject, "create", _sender(session, home.database, subject, instance)).run(
            lambda _: plan, None
        )
    except ConditionalError:
        if session is not None:
            session.forget_miss(home, identity)
        raise
    state.home, state.tenant, state.session = home, tenant, session
    state.name(identity)
    absorb(instance, item)
    if session is None:
        return instance
    return _settle_created(session, home, identity, instance, operation)


def _settle_created(session: Session, home: Home, identity: Identity, instance: Any, operation: str) -> Any:
    """Makes a created instance the session's; earlier ones for its key show its state from now on."""
    earlier = session.earlier(home, identity)
    for one in earlier:
        share(one, instance)
    known = session.known(home, identity)
    session.adopt(instance if known is None or operation == "save" else known)
    return session.known(home, identity)


# --- save -------------------------------------------------------------------------------------------


def save(instance: Any, condition: ConditionLike, force_reindex: bool) -> bool:
    """Writes what changed of a stored instance; nothing changed and nothing asked means no request.

    Returns:
        Whether something was written.
    """
    state = state_of(instance)
    assert state.home is not None
    home, schema = state.home, state.home.schema
    require_present(instance)
    if state.doubt is not None:
        raise WriteOutcomeUnknownError(
            f"{schema.name} {state.primary_id!r}: the outcome of an earlier write is unknown; refresh() first.",
            model=schema.name,
            key=state.primary_id,
        ) from state.doubt
    session = enter_through(instance, "save")
    wanted = _checked_condition(schema, condition)
    names = changed_names(instance)
    if state.status is Status.PENDING and (force_reindex or needs_known(schema, names)):
        home.materialise(instance)
        names = changed_names(instance)
    if not names and condition is None and not force_reindex:
        return False
    changes = _changes(instance, names)
    subject = Subject(schema, state.tenant, identity_of(instance))
    known = Known(state.stored, _stored_values(instance)) if state.stored is not None else None
    wanted = all_of((wanted, _version_condition(schema, changes, state.stored)))
    plan = partial(_plan_save, subject, changes, wanted, force_reindex)
    try:
        stored = Write(
            home.database, subject, "save", _sender(session, home.database, subject, instance)
        ).run(plan, known)
    except ItemNotFoundError:
        mark_missing(instance)
        raise
    except WriteOutcomeUnknownError as error:
        state.doubt = error
        raise
    except ConditionalError as error:
        raise _version_conflict(schema, wanted, error) from error
    _take_stored(instance, stored, changes, session)
    return True


def _plan_save(
    subject: Subject, changes: Mapping[str, Any], wanted: Condition, reindex: bool, known: Any
) -> Any:
    return plan_update(subject, changes, known, wanted, reindex=reindex)


def _changes(instance: Any, names: list[str]) -> dict[str, Any]:
    """The changed fields with their accepted values; counters and sets as differences to what is stored."""
    state = state_of(instance)
    assert state.home is not None
    schema, values = state.home.schema, instance.__dict__
    accepted = schema.accept_all(values, names)
    for name in accepted:
        if name in schema.key_names:
            raise ValidationError(
                f"{schema.name}.{name} is part of the key of a stored item.", name, accepted[name]
            )
        if not (isinstance(values[name], set) and values[name] == accepted[name]):
            values[name] = accepted[name]
    before = _stored_values(instance) if state.stored is not None else {}
    changes = {
        name: _difference(schema, name, value, before, state.sets or {}, values)
        for name, value in accepted.items()
    }
    for field in schema.renewing:
        if field.name not in changes:
            changes[field.name] = field.renewed()
    return changes


def _difference(
    schema: Schema,
    name: str,
    value: Any,
    before: Mapping[str, Any],
    loaded_sets: Mapping[str, Any],
    values: Mapping[str, Any],
) -> Any:
    field = schema.fields[name]
    if name not in before or value is None:
        return value
    if isinstance(field, CounterField):
        return Delta(value - before[name])
    if isinstance(field, StringSetField) and values[name] is loaded_sets.get(name):
        return Members(frozenset(value - before[name]), frozenset(before[name] - value))
    return value


def _stored_values(instance: Any) -> dict[str, Any]:
    """The field values of what was loaded."""
    state = state_of(instance)
    assert state.home is not None and state.stored is not None
    values: dict[str, Any] = {}
    state.home.schema.decode_into(state.stored, values, state.primary_id or "")
    return values


def _version_condition(schema: Schema, changes: Mapping[str, Any], stored: Item | None) -> Condition:
    """That the stored version is the one loaded; not asked for counters and set members alone."""
    for field in schema.fields.values():
        if isinstance(field, VersionField) and stored is not None:
            others = [value for name, value in changes.items() if not schema.fields[name].renews]
            if others and all(isinstance(value, (Delta, Members)) for value in others):
                break
            attribute = Attribute(str(field.attribute))
            before = stored.get(attribute.name)
            return Negation(Exists(attribute)) if before is None else Compare(attribute, "=", before)
    return all_of(())


def _version_conflict(schema: Schema, wanted: Condition, error: ConditionalError) -> ConditionalError:
    versioned = any(isinstance(field, VersionField) for field in schema.fields.values())
    if not versioned or type(error) is not ConditionalError:
        return error
    return VersionConflictError(
        f"{schema.name} {error.key!r}: what is stored is newer than what was loaded (or the condition did not hold); "
        f"nothing was written. refresh() the instance and apply the change again.",
        model=error.model,
        key=error.key,
        operation=error.operation,
    )


def _take_stored(
    instance: Any, stored: Item | None, changes: Mapping[str, Any], session: Session | None
) -> None:
    """Brings the instance, and the session's own object for its key, to what is stored now."""
    state = state_of(instance)
    assert state.home is not None
    if stored is None:
        stored = _applied(state.home.schema, state.stored, changes)
    if stored is None:
        unload(instance, consistent=True, keep_changes=False)
    else:
        absorb(instance, stored)
    if session is None:
        return
    if state.session is session:
        session.answered(instance)
        session.hold(instance)
    else:
        session.expire(state.home, identity_of(instance))


def _applied(schema: Schema, stored: Item | None, changes: Mapping[str, Any]) -> Item | None:
    """What a transaction left stored, where that can be told from what was loaded."""
    if stored is None or any(isinstance(value, (Delta, Members)) for value in changes.values()):
        return None
    item = dict(stored)
    for name, value in changes.items():
        field = schema.fields[name]
        after = None if value is None else field.to_dynamo(value)
        if after is None:
            item.pop(str(field.attribute), None)
        else:
            item[str(field.attribute)] = after
    return item


# --- update and delete by key -----------------------------------------------------------------------


def update(home: Home, given: object, changes: Mapping[str, Any], condition: ConditionLike) -> Any:
    """Changes fields of an item without loading it first, unless its unique values require that."""
    schema = home.schema
    session, tenant = enter(home.database, schema.name, "update", given)
    identity = schema.identify(tenant, given)
    wanted = _checked_condition(schema, condition)
    accepted = dict(_accepted_changes(schema, changes))
    for field in schema.renewing:
        accepted.setdefault(field.name, field.renewed())
    subject = Subject(schema, tenant, identity)
    write = Write(home.database, subject, "update", _sender(session, home.database, subject))
    known = write.read_known() if needs_source(schema, accepted) else None
    stored = write.run(partial(_plan_save, subject, accepted, wanted, False), known)
    if stored is None:  # a transaction does not return what it left
        stored = write.read_known().item
    return _settle_written(session, home, identity, tenant, stored)


def _accepted_changes(schema: Schema, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes with their accepted values; a `Delta` of a counter stays one."""
    for name, value in changes.items():
        if name not in schema.fields:
            raise UnknownFieldError(
                f"{schema.name} has no field {name!r}.{suggestion(name, schema.fields)}", name, value
            )
        if name in schema.key_names:
            raise ValidationError(
                f"{schema.name}.{name} is part of the key and cannot be changed; create() a new item and "
                f"delete() this one.",
                name,
                value,
            )
    deltas = {name: value for name, value in changes.items() if isinstance(value, Delta)}
    return {**schema.accept_all(changes, [name for name in changes if name not in deltas]), **deltas}


def _settle_written(
    session: Session | None, home: Home, identity: Identity, tenant: str | None, item: Item
) -> Any:
    """The instance for an item that was just written: the session's own, or a new one."""
    known = session.known(home, identity) if session is not None else None
    if known is None:
        instance = new_loaded(home, identity, tenant, item)
        state_of(instance).consistent = True
        if session is not None:
            session.adopt(instance)
        return instance
    assert session is not None
    status = state_of(known).status
    absorb(known, item, changed_names(known) if status in (Status.LOADED, Status.PENDING) else ())
    session.adopt(known)
    return known


def delete(home: Home, given: object, condition: ConditionLike, instance: Any = None) -> Any:
    """Deletes an item by key or through an instance, which is returned, no longer existing."""
    schema = home.schema
    wanted = _checked_condition(schema, condition)
    if instance is not None:
        session, tenant = enter_through(instance, "delete"), state_of(instance).tenant
        require_present(instance)
        identity = identity_of(instance)
    else:
        session, tenant = enter(home.database, schema.name, "delete", given)
        identity = schema.identify(tenant, given)
    subject = Subject(schema, tenant, identity)
    write = Write(home.database, subject, "delete", _sender(session, home.database, subject, instance))
    known = _known_for_delete(write, schema, instance)
    if instance is not None and known is not None:
        wanted = all_of((wanted, _version_condition(schema, {}, known.item)))
    try:
        old = write.run(lambda now: plan_delete(subject, now, wanted), known)
    except ItemNotFoundError:
        if session is not None:
            session.forget(home, identity)
        raise
    except ConditionalError as error:
        raise _version_conflict(schema, wanted, error) if instance is not None else error from error
    return _settle_deleted(session, home, identity, tenant, instance, old or (known.item if known else None))


def _known_for_delete(write: Write, schema: Schema, instance: Any) -> Known | None:
    """What a delete must know of the item: its unique values, if it can have any, and its version."""
    if instance is not None and state_of(instance).stored is not None:
        return Known(state_of(instance).stored or {}, _stored_values(instance))
    return write.read_known() if schema.constraints else None


def _settle_deleted(
    session: Session | None,
    home: Home,
    identity: Identity,
    tenant: str | None,
    instance: Any,
    old: Item | None,
) -> Any:
    known = session.known(home, identity) if session is not None else None
    subject = instance if instance is not None else known
    if subject is None:
        subject = new_pending(home, identity, tenant, session)
    if old is not None and state_of(subject).status is not Status.LOADED:
        absorb(subject, old)
    mark_deleted(subject)
    if session is not None:
        if known is not None and known is not subject:
            mark_deleted(known)
        session.deleted(home, identity, tenant, subject)
    return subject


# --- shared ------------------------------------------------------------------------------------------


def _checked_condition(schema: Schema, condition: ConditionLike) -> Condition:
    """The condition a caller gave, with everything about it that can be wrong told now."""
    wanted = condition_from(condition)
    render_condition(wanted, Placeholders(), schema)
    return wanted
