"""TransactGetItems and TransactWriteItems."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import msgspec

from dynamo_bao.dynamodb.transport.embedded.batches import summed_units
from dynamo_bao.dynamodb.transport.embedded.capacity import consumed, read_units
from dynamo_bao.dynamodb.transport.embedded.errors import EmptyKeyError, ServiceError, invalid
from dynamo_bao.dynamodb.transport.embedded.expressions.conditions import Predicate
from dynamo_bao.dynamodb.transport.embedded.items import (
    Answer,
    Changes,
    FindStore,
    Write,
    carry_out_delete,
    carry_out_put,
    carry_out_update,
    changes_of,
    require_condition,
    require_fitting,
    write_condition,
)
from dynamo_bao.dynamodb.transport.embedded.keys import require_key
from dynamo_bao.dynamodb.transport.embedded.parameters import Request, projection_of, scope_of
from dynamo_bao.dynamodb.transport.embedded.request_checks import NOT_NULL, at, require_no_faults
from dynamo_bao.dynamodb.transport.embedded.store import Store
from dynamo_bao.dynamodb.transport.embedded.values import Item, item_size, require_storable, value_size
from dynamo_bao.runtime.named_tuples import NamedTuple

T = TypeVar("T")
TOKEN_SECONDS: Final = 600.0
MAX_BYTES: Final = 4 * 2**20
_TWICE: Final = "Transaction request cannot include multiple operations on one item"
_TOO_LARGE: Final = (
    "Collection size of items exceeded, which can also be caused by the aggregate size of the items in the "
    "transaction exceeding the 4MB limit"
)
_REQUIRED: Final = {
    "Put": ("Item", "TableName"),
    "Update": ("Key", "UpdateExpression", "TableName"),
    "Delete": ("Key", "TableName"),
    "ConditionCheck": ("Key", "TableName", "ConditionExpression"),
    "Get": ("Key", "TableName"),
}


class _Action(NamedTuple):
    """One action of a transaction.

    Attributes:
        kind: ``Put``, ``Update``, ``Delete``, ``ConditionCheck`` or ``Get``.
        part: its parameters.
        store: its table.
    """

    kind: str
    part: dict[str, Any]
    store: Store

    @property
    def item(self) -> Item:
        """The item that is stored, or the key."""
        item: Item = self.part["Item" if self.kind == "Put" else "Key"]
        return item

    @property
    def target(self) -> object:
        """What two actions of a transaction must not share; unique if the key is bad."""
        view = self.store.view
        if all(name in self.item for name in view.own_names):
            keys = tuple(tuple(map(str, self.item[name].items())) for name in view.own_names)
            return self.store.name, keys
        return object()


def _actions(find_store: FindStore, request: Request) -> list[_Action]:
    """The actions of a transaction, each with its table."""
    parts = []
    for number, entry in enumerate(request["TransactItems"], 1):
        if len(entry) != 1:
            raise invalid(
                "TransactItems can only contain one of Check, Put, Update or Delete"
                if entry
                else "TransactItem must contain exactly one action"
            )
        ((kind, part),) = entry.items()
        place = f"transactItems.{number}.member.{at(kind)}"
        require_no_faults(
            f"Value null at '{place}.{at(member)}' {NOT_NULL}"
            for member in _REQUIRED[kind]
            if member not in part
        )
        parts.append((kind, part))
    return [_Action(kind, part, find_store(part["TableName"])) for kind, part in parts]


def _require_different(actions: list[_Action]) -> None:
    targets = [action.target for action in actions]
    if len(set(targets)) != len(targets):
        raise invalid(_TWICE)


# --- TransactGetItems ---------------------------------------------------------------------------------------


def transact_get_items(find_store: FindStore, request: Request) -> Answer:
    """TransactGetItems."""
    actions = _actions(find_store, request)
    _cancelled_by(actions, lambda action: require_key(action.store, action.item), is_get=True)
    _require_different(actions)
    responses, units = [], dict.fromkeys((action.store.name for action in actions), 0.0)
    for action in actions:
        scope = scope_of("TransactGetItems", action.part)
        project = projection_of(action.part, scope)
        scope.require_all_used()
        record = action.store.get(action.item)
        item = None if record is None else record.item if project is None else project(record.item)
        if item and project is not None:
            item = {**{name: record.item[name] for name in action.store.view.own_names}, **item}  # type: ignore[union-attr]
        responses.append({"Item": item} if item else {})
        units[action.store.name] += 2 * read_units(item_size(item) if item else 0, True)
    answer: Answer = {"Responses": responses}
    mode = request.get("ReturnConsumedCapacity")
    if mode in ("TOTAL", "INDEXES"):
        answer["ConsumedCapacity"] = [
            consumed(name, figure, mode, kind="Read") for name, figure in units.items()
        ]
    return answer


# --- TransactWriteItems -------------------------------------------------------------------------------------


def transact_write_items(find_store: FindStore, request: Request) -> Answer:
    """TransactWriteItems, without regard to its token."""
    return _write_answer(_written(find_store, request), request.get("ReturnConsumedCapacity"), "Write")


def _written(find_store: FindStore, request: Request) -> list[Write]:
    actions = _actions(find_store, request)
    _require_different(actions)
    for action in actions:
        if action.kind == "Put":
            require_fitting(action.item)
    if sum(map(_action_size, actions)) > MAX_BYTES:
        raise invalid(_TOO_LARGE)
    plans = [_planned(action) for action in actions]
    writes: list[Write] = []
    try:
        _cancelled_by(plans, lambda plan: writes.append(_carried_out(plan)))
    except BaseException:  # also that of a signal
        for write in reversed(writes):
            write.store.restore(write.key, write.old_record)
        raise
    return writes


def _action_size(action: _Action) -> int:
    values = action.part.get("ExpressionAttributeValues", {}) if action.kind == "Update" else {}
    return item_size(action.item) + sum(map(value_size, values.values()))


class _Plan(NamedTuple):
    """An action with its expressions, which are read before anything is carried out."""

    action: _Action
    changes: Changes | None
    condition: Predicate | None


def _planned(action: _Action) -> _Plan:
    """The plan of an action; a fault of its expressions is one of the whole request."""
    scope = scope_of("TransactWriteItems", action.part)
    changes = changes_of(action.part, scope) if action.kind == "Update" else None
    condition = write_condition(action.part, scope)
    scope.require_all_used()
    return _Plan(action, changes, condition)


def _carried_out(plan: _Plan) -> Write:
    action, changes, condition = plan
    part, store = action.part, action.store
    require_storable(action.item)
    if action.kind == "Put":
        return carry_out_put(store, action.item, condition, part)
    if action.kind == "Delete":
        return carry_out_delete(store, action.item, condition, part)
    if changes is not None:
        return carry_out_update(store, action.item, changes, condition, part)
    require_key(store, action.item)
    record = store.get(action.item)
    require_condition(condition, record, part)
    return Write(store, action.item, record, record)


def _cancelled_by(actions: Iterable[T], carry_out: Callable[[T], object], is_get: bool = False) -> None:
    """Carries out all actions; if some fail, the error has a reason for each action."""
    reasons: list[dict[str, Any]] = []
    for action in actions:
        try:
            carry_out(action)
            reasons.append({"Code": "None"})
        except ServiceError as error:
            if isinstance(error, EmptyKeyError) and not is_get:
                raise
            code = error.name.removesuffix("Exception")
            if code == "Validation":
                code = "ValidationError"
            reasons.append({"Code": code, **error.members, "Message": error.text})
    codes = [reason["Code"] for reason in reasons]
    if codes.count("None") < len(codes):
        raise ServiceError(
            "TransactionCanceledException",
            f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]",
            CancellationReasons=reasons,
        )


def _write_answer(writes: list[Write], mode: str | None, kind: str) -> Answer:
    if mode not in ("TOTAL", "INDEXES"):
        return {}
    by_table: dict[str, list[Write]] = {}
    for write in writes:
        by_table.setdefault(write.store.name, []).append(write)
    capacities = []
    for name, table_writes in sorted(by_table.items()):
        if kind == "Read":
            units = sum(2 * read_units(_larger_size(write), True) for write in table_writes)
            capacities.append(consumed(name, units, mode, kind=kind))
        else:
            units, indexes = summed_units(table_writes)
            capacities.append(consumed(name, 2 * units, mode, *indexes, kind=kind))
    return {"ConsumedCapacity": capacities}


def _larger_size(write: Write) -> int:
    return max((record.size for record in (write.old_record, write.new_record) if record), default=0)


class RequestTokens:
    """The transactions of the last ten minutes that had a token.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._results: dict[str, tuple[float, bytes, list[Write]]] = {}

    def transact_write_items(self, find_store: FindStore, request: Request) -> Answer:
        """TransactWriteItems: a repeated request changes nothing, and one with other actions fails."""
        token = request.get("ClientRequestToken")
        if not token:
            return transact_write_items(find_store, request)
        now, mode = self._clock(), request.get("ReturnConsumedCapacity")
        self._results = {
            name: result for name, result in self._results.items() if now - result[0] < TOKEN_SECONDS
        }
        content = msgspec.json.encode(request["TransactItems"], order="sorted")
        if token in self._results:
            _, earlier_content, writes = self._results[token]
            if earlier_content != content:
                raise ServiceError(
                    "IdempotentParameterMismatchException",
                    "An error occurred (IdempotentParameterMismatchException)",
                )
            return _write_answer(writes, mode, "Read")
        writes = _written(find_store, request)
        self._results[token] = (now, content, writes)
        return _write_answer(writes, mode, "Write")
