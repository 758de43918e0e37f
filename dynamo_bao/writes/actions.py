"""Actions, each a write of one item, and plans of actions that belong together."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from dynamo_bao.dynamodb.document_diff import Edit, edited, same_stored
from dynamo_bao.dynamodb.expressions.conditions import (
    EMPTY,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Exists,
    Negation,
    all_of,
    equality,
)
from dynamo_bao.dynamodb.expressions.paths import Attribute, attribute_of
from dynamo_bao.dynamodb.expressions.renderer import Placeholders, Resolver, render_condition
from dynamo_bao.dynamodb.expressions.updates import Update
from dynamo_bao.dynamodb.keys import Key
from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import (
    DELETE_ITEM,
    PUT_ITEM,
    TRANSACT_WRITE_ITEMS,
    UPDATE_ITEM,
    AttributeValue,
    Item,
)
from dynamo_bao.errors import QueryError
from dynamo_bao.mapping.codec import is_small
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.runtime.records import define, evolve
from dynamo_bao.writes.item_size import check_item_size

STORED: Condition = Exists(Attribute(PK))
"""The item exists."""
NOT_STORED: Condition = Negation(STORED)
"""The item does not exist."""
NO_UPDATE = Update()
NO_ATTRIBUTE = "_bao_nothing"
"""An attribute that no item has. Removing it changes nothing; an update that changes nothing needs some action."""

Assumed = Mapping[str, AttributeValue | None]
"""Stored values that must not have changed, by attribute name. None stands for an attribute that must be absent."""
NOTHING_ASSUMED: Assumed = MappingProxyType({})

FEW_PATHS = 10
"""With at most this many paths, no expression is too long."""
MAX_PATHS_BYTES = 3584
"""The most bytes of an expression with paths."""


class GuardCondition(NamedTuple):
    """The usual condition of a write of a guard: it is not stored, or it belongs to the item already.

    Attributes:
        condition: the condition.
        values: the values in it, in the order in which it is rendered.
    """

    condition: Condition
    values: tuple[AttributeValue, AttributeValue]


def free_or_owned(primary_id: str, model: str) -> GuardCondition:
    """The condition that a guard is not stored, or belongs to an item.

    Args:
        primary_id: the id of the item.
        model: the name of its model.
    """
    owner, owner_model = {"S": primary_id}, {"S": model}
    is_owned = AllOf(
        (
            Compare(attribute_of("relatedId"), "=", owner),
            Compare(attribute_of("relatedModel"), "=", owner_model),
        )
    )
    return GuardCondition(AnyOf((NOT_STORED, is_owned)), (owner, owner_model))


class Expressions(NamedTuple):
    """The expressions of an action, without their values.

    Attributes:
        update, condition: the texts; empty without one.
        members: the members of a request with these texts.
        names: the attribute names by placeholder.
        value_marks: the placeholders of the values.
    """

    update: str
    condition: str
    members: dict[str, object]
    names: dict[str, str]
    value_marks: tuple[str, ...]

    def with_values(self, values: Sequence[AttributeValue]) -> tuple[Expressions, dict[str, AttributeValue]]:
        """The expressions, and their values by placeholder."""
        return self, dict(zip(self.value_marks, values))  # noqa: B905  # `strict` takes as long again


@define
class Action:
    """One write: exactly one of `item` (put), `update`, or neither (delete, or only a check).

    Nothing changes an action; a frozen class would take three times as long to make.

    Attributes:
        kind: the member's name in a transaction: ``"Put"``, ``"Update"``, ``"Delete"`` or ``"ConditionCheck"``.
        key: the key of the item.
        condition: what must hold of the stored item.
        item: the new item of a put.
        update: the changes of an update.
        assumed: what must hold beside `condition`.
        guard: the usual condition of a guard; `condition` is another one if the guard was planned again.
    """

    kind: str
    key: Key
    condition: Condition = EMPTY
    item: Item | None = None
    update: Update | None = None
    assumed: Assumed = NOTHING_ASSUMED
    guard: GuardCondition | None = None

    def parameters(self, table: str, resolver: Resolver) -> dict[str, object]:
        """The action as a member of a request. Its condition and its update share one set of placeholders."""
        request: dict[str, object] = {"TableName": table}
        if self.item is not None:
            request["Item"] = self.item
        else:
            pk, sk = self.key
            request["Key"] = {PK: {"S": pk}, SK: {"S": sk}}
        (_, _, members, names, _), values = self.expressions(resolver)
        request |= members
        if names:
            request["ExpressionAttributeNames"] = names.copy()
        if values:
            request["ExpressionAttributeValues"] = values
        return request

    def expressions(self, resolver: Resolver) -> tuple[Expressions, dict[str, AttributeValue]]:
        """The expressions, and their values by placeholder.

        Expressions without parts of documents and without conditions of callers have few shapes. Each shape is rendered
        once, and from then on only gets its values.
        """
        update, assumed, condition = self.update or NO_UPDATE, self.assumed, self.condition
        if update.parts or not (condition is STORED or condition is NOT_STORED):
            guard = self.guard
            if guard is None or guard.condition is not condition:
                return _rendered(update, condition, assumed, resolver)
            return _expressions_of_guard().with_values(guard.values)
        set_, add, delete, before = update.set_, update.add, update.delete, assumed.values()
        values: list[Any] = [*set_.values(), *add.values(), *delete.values(), *before]
        shape = (*set_, None, *update.remove, None, *add, None, *delete, None, *assumed, None)
        if None in before:
            shape += tuple([name for name, value in assumed.items() if value is None])
            values = [value for value in values if value is not None]
        return _expressions_of_shape(condition is STORED, shape).with_values(values)

    def is_long(self, resolver: Resolver) -> bool:
        """Whether an expression of an update is longer than `MAX_PATHS_BYTES`."""
        assert self.update is not None
        if len(self.update.parts) <= FEW_PATHS:
            return False
        try:
            expressions, _ = self.expressions(resolver)
        except QueryError:
            return True
        return max(len(expressions.condition), len(expressions.update)) > MAX_PATHS_BYTES

    def is_idempotent(self) -> bool:
        """Whether doing it twice stores the same as doing it once."""
        update = self.update
        if update is None or not (update.add or update.parts):
            return True
        adds_number = any("N" in value for value in update.add.values())
        return not adds_number and all(part.is_idempotent for part in update.parts)

    def is_satisfied_by(self, stored: Item | None) -> bool:
        """Whether `stored` can be the result of this action."""
        if self.kind == "ConditionCheck":
            return True
        if self.kind == "Delete":
            return stored is None
        if stored is None:
            return False
        if self.item is not None:
            return self.item.keys() == stored.keys() and all(
                same_stored(value, stored[name]) for name, value in self.item.items()
            )
        assert self.update is not None
        update = self.update
        return (
            self._leaves_traces
            and all(same_stored(value, stored.get(name)) for name, value in update.set_.items())
            and not any(name in stored for name in update.remove)
            and all(_members(value) <= _members(stored.get(name)) for name, value in update.add.items())
            and not any(_members(value) & _members(stored.get(name)) for name, value in update.delete.items())
            and all(part.is_in(stored) for part in update.parts)
        )

    @property
    def _leaves_traces(self) -> bool:
        """Whether a stored item can show that the update was done. An added number cannot."""
        assert self.update is not None
        update = self.update
        members = any("N" not in value for value in update.add.values())
        parts = any(part.is_idempotent for part in update.parts)
        return members or parts or bool(update.set_ or update.delete or update.remove.keys() - {NO_ATTRIBUTE})


def _rendered(
    update: Update, condition: Condition, assumed: Assumed, resolver: Resolver
) -> tuple[Expressions, dict[str, AttributeValue]]:
    """The expressions of an action of any shape, and their values by placeholder."""
    placeholders = Placeholders()
    update_text = update.render(placeholders)
    assumptions = [equality(attribute_of(name), before) for name, before in assumed.items()]
    condition_text = render_condition(all_of((condition, *assumptions)), placeholders, resolver)
    members: dict[str, object] = {"UpdateExpression": update_text} if update_text else {}
    if condition_text:
        members["ConditionExpression"] = condition_text
        members["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    values = placeholders.values
    return Expressions(update_text, condition_text, members, placeholders.names, tuple(values)), values


@lru_cache(maxsize=1)
def _expressions_of_guard() -> Expressions:
    """The expressions of a write of a guard with its usual condition."""
    no_paths: Any = None  # the condition names attributes, so nothing is to be resolved
    return _rendered(NO_UPDATE, free_or_owned("", "").condition, NOTHING_ASSUMED, no_paths)[0]


@lru_cache(maxsize=4096)
def _expressions_of_shape(is_stored: bool, shape: tuple[str | None, ...]) -> Expressions:
    """The expressions of all actions that have these attributes, whatever the values.

    Args:
        is_stored: whether the item must exist; otherwise it must not.
        shape: the attributes that the update sets, removes, adds to and deletes from, those with an assumed value, and
            those of them that must be absent. None stands between two groups.
    """
    value: AttributeValue = {"NULL": True}
    groups: list[list[str]] = [[]]
    for name in shape:
        if name is None:
            groups.append([])
        else:
            groups[-1].append(name)
    *changed, assumed, absent = groups
    update = Update(*map(dict.fromkeys, changed))  # type: ignore[arg-type]
    before = {name: None if name in absent else value for name in assumed}
    no_paths: Any = None  # the conditions name attributes, so nothing is to be resolved
    return _rendered(update, STORED if is_stored else NOT_STORED, before, no_paths)[0]


def _members(value: AttributeValue | None) -> set[object]:
    """The members of a stored set; empty for other types."""
    ((code, content),) = (value or {"SS": []}).items()
    if code == "NS":
        return {Decimal(number) for number in content}
    return set(content) if code in ("SS", "BS") else set()


@define
class WritePlan:
    """Actions that are done together or not at all. Nothing changes it, as nothing changes an `Action`.

    Attributes:
        actions: in order; several of them make a transaction.
        main: which of them writes the item itself; the others are guards of unique values.
        constraints: for each guard action, the constraint's field name and value.
        exact: whether it travels as a transaction even alone, so that its token makes repeating it safe.
    """

    actions: tuple[Action, ...]
    main: int = 0
    constraints: tuple[tuple[str, object] | None, ...] = ()
    exact: bool = False

    @property
    def is_transaction(self) -> bool:
        """Whether it is sent as a ``TransactWriteItems``."""
        return self.exact or len(self.actions) > 1

    @property
    def main_action(self) -> Action:
        """The action on the item itself."""
        return self.actions[self.main]

    def claim(self, number: int) -> tuple[str, object] | None:
        """The field name and value that a guard action claims; None for any other action."""
        return self.constraints[number] if number < len(self.constraints) else None

    def releases(self, number: int) -> bool:
        """Whether an action releases a unique value."""
        return number != self.main and self.actions[number].kind == "Delete"

    def take_over(self, number: int, owner: str, key: Key, condition: Condition) -> WritePlan:
        """The same plan, where a guard may also be taken from another owner.

        Args:
            key: the key of the owner's item.
            condition: that the owner's item has the value. It must not hold.
        """
        guard = self.actions[number]
        taken_guard = evolve(
            guard, condition=guard.condition | Compare(Attribute("relatedId"), "=", {"S": owner})
        )
        plan = self._with(number, taken_guard)
        place = next((place for place, action in enumerate(plan.actions) if action.key == key), None)
        if place is None:
            actions = (*plan.actions, Action("ConditionCheck", key, ~condition))
            return evolve(plan, actions=actions, constraints=(*self.constraints, None))
        existing = plan.actions[place]  # another value of the same owner, or the item itself
        return plan._with(place, evolve(existing, condition=all_of((existing.condition, ~condition))))

    def without_release(self, number: int) -> WritePlan:
        """The same plan without the release of a guard, on condition that the guard belongs to another item."""
        free = self.actions[number]
        return self._with(number, Action("ConditionCheck", free.key, ~free.condition))

    def _with(self, number: int, action: Action) -> WritePlan:
        return evolve(self, actions=(*self.actions[:number], action, *self.actions[number + 1 :]))


_SINGLE = {"Put": PUT_ITEM, "Update": UPDATE_ITEM, "Delete": DELETE_ITEM}
_RETURNED = {"Update": "ALL_NEW", "Delete": "ALL_OLD"}


def new_token() -> str:
    """A client request token that no other transaction has."""
    return os.urandom(16).hex()


def request_for(plan: WritePlan, table: str, resolver: Resolver, token: str) -> tuple[str, dict[str, object]]:
    """The operation and the parameters of the request for a plan.

    Args:
        token: the client request token, with which a transaction can be sent again safely.
    """
    if not plan.is_transaction:
        return request_alone(plan.actions[0], table, resolver)
    members = [{action.kind: action.parameters(table, resolver)} for action in plan.actions]
    return TRANSACT_WRITE_ITEMS, {
        "TransactItems": members,
        "ClientRequestToken": token,
        "ReturnConsumedCapacity": "TOTAL",
    }


def request_alone(action: Action, table: str, resolver: Resolver) -> tuple[str, dict[str, object]]:
    """The operation and the parameters of the request for an action without a transaction."""
    parameters = action.parameters(table, resolver)
    if action.kind in _RETURNED:
        parameters["ReturnValues"] = _RETURNED[action.kind]
    parameters["ReturnConsumedCapacity"] = "TOTAL"
    return _SINGLE[action.kind], parameters


def sum_attributes(update: Update) -> list[str]:
    """The attributes in which an update adds to numbers."""
    added = (name for name, value in update.add.items() if "N" in value)
    parts = (part.target.name for part in update.parts if part.edit.action == "increment")
    return sorted({*added, *parts})


def check_update_size(model: str, key: str, before: Item, update: Update) -> None:
    """Raises `ValidationError` for an update that certainly makes an item larger than DynamoDB's 400 KB.

    Args:
        before: the item as it was read, or only its key.
    """
    if not update.parts and is_small((before, update.set_, update.add)):
        return
    after = {name: value for name, value in {**before, **update.set_}.items() if name not in update.remove}
    for name, value in update.add.items():
        if "SS" in value:
            after[name] = {"SS": list(_members(after.get(name)) | _members(value))}
    for name in update.delete:
        after.pop(name, None)
    edits: dict[str, list[Edit]] = {}
    for part in update.parts:
        edits.setdefault(part.target.name, []).append(part.edit)
    try:
        for name, parts in edits.items():
            changed = edited(after.pop(name, None), parts)
            if changed is not None:
                after[name] = changed
    except (ValueError, LookupError):
        return  # what is stored is not of the type that the update requires, so its condition will fail
    check_item_size(model, key, after)
