"""The changes of one ``UpdateItem``: attributes to set, remove, add to and delete from, and parts of documents."""

from __future__ import annotations

from dynamo_bao.dynamodb.document_diff import Edit, begins_with, part_at, same_stored
from dynamo_bao.dynamodb.expressions.paths import Attribute
from dynamo_bao.dynamodb.expressions.renderer import Placeholders
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.runtime.records import define, frozen

_ZERO: AttributeValue = {"N": "0"}
_NO_MEMBERS: AttributeValue = {"L": []}


@frozen
class PartChange:
    """A change at a path: of a part of a document, or of an attribute otherwise than by setting it.

    Attributes:
        target: the attribute, or a part of it.
        edit: the change.
    """

    target: Attribute
    edit: Edit

    def render(self, placeholders: Placeholders) -> str:
        """The text of the change in a clause ``SET`` or ``REMOVE``."""
        path, action, value = placeholders.at(self.target), self.edit.action, self.edit.value
        if action == "remove" or value is None:
            return path
        if action in ("append", "prepend"):
            existing = f"if_not_exists({path}, {placeholders.value(_NO_MEMBERS)})"
            new = placeholders.value(value)
            first, second = (existing, new) if action == "append" else (new, existing)
            return f"{path} = list_append({first}, {second})"
        if action == "increment":
            return (
                f"{path} = if_not_exists({path}, {placeholders.value(_ZERO)}) + {placeholders.value(value)}"
            )
        if action == "if_missing":
            return f"{path} = if_not_exists({path}, {placeholders.value(value)})"
        return f"{path} = {placeholders.value(value)}"

    @property
    def removes(self) -> bool:
        """Whether it removes the stored value."""
        return self.edit.value is None

    @property
    def is_idempotent(self) -> bool:
        """Whether applying it twice has the same result as applying it once."""
        return self.edit.action in ("set", "remove", "if_missing") or self.edit.before is not None

    def is_in(self, item: Item) -> bool:
        """Whether an item may be the result of this change; a counter never shows that."""
        edit, stored = self.edit, part_at(item.get(self.target.name), self.target.steps)
        if edit.action == "append" and edit.before is not None and edit.value is not None:
            return begins_with(stored, {"L": [*edit.before["L"], *edit.value["L"]]})
        if edit.action == "if_missing":
            return stored is not None and ("NULL" not in stored or stored == edit.value)
        return edit.is_relative or same_stored(stored, edit.value)


@define(init=False)
class Update:
    """Changes of one item by stored attribute name; rendered in a repeatable order.

    Attributes:
        set_: attribute to its new typed value.
        remove: attributes to remove.
        add: attribute to the number to add, or the set members to add.
        delete: attribute to the set members to remove.
        parts: the changes at paths.
    """

    set_: Item
    remove: dict[str, None]
    add: dict[str, AttributeValue]
    delete: dict[str, AttributeValue]
    parts: list[PartChange]

    def __init__(
        self,
        set_: Item | None = None,
        remove: dict[str, None] | None = None,
        add: dict[str, AttributeValue] | None = None,
        delete: dict[str, AttributeValue] | None = None,
        parts: list[PartChange] | None = None,
    ) -> None:
        self.set_ = {} if set_ is None else set_
        self.remove = {} if remove is None else remove
        self.add = {} if add is None else add
        self.delete = {} if delete is None else delete
        self.parts = [] if parts is None else parts

    def put(self, attribute: str, value: AttributeValue | None) -> None:
        """Sets `attribute`, or removes it if `value` is None."""
        if value is None:
            self.remove[attribute] = None
        else:
            self.set_[attribute] = value

    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return not (self.set_ or self.remove or self.add or self.delete or self.parts)

    def render(self, placeholders: Placeholders) -> str:
        """The ``UpdateExpression``; its names and values are registered with `placeholders`."""
        name, value = placeholders.name, placeholders.value
        clauses, sets, parts = [], [], self.parts
        for attribute, new in self.set_.items():
            sets.append(f"{name(attribute)} = {value(new)}")
        if parts:
            sets += [part.render(placeholders) for part in parts if not part.removes]
        if sets:
            clauses.append(f"SET {', '.join(sets)}")
        for keyword, members in (("ADD", self.add), ("DELETE", self.delete)):
            if members:
                terms = [f"{name(attribute)} {value(new)}" for attribute, new in members.items()]
                clauses.append(f"{keyword} {', '.join(terms)}")
        removes = list(map(name, self.remove))
        if parts:
            removes += [part.render(placeholders) for part in parts if part.removes]
        if removes:
            clauses.append(f"REMOVE {', '.join(removes)}")
        return " ".join(clauses)
