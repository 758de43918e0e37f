"""What an ``UpdateItem`` does, as a value: attributes to set, remove, add to and delete from."""

from __future__ import annotations

from attrs import Factory, define

from dynamo_bao.expressions.render import Placeholders
from dynamo_bao.wire import AttributeValue, Item


@define
class Update:
    """Changes of one item by stored attribute name; rendered in a repeatable order.

    Attributes:
        set_: attribute to its new typed value.
        remove: attributes to remove.
        add: attribute to the number to add, or the set members to add.
        delete: attribute to the set members to take out.
    """

    set_: Item = Factory(dict)
    remove: dict[str, None] = Factory(dict)
    add: dict[str, AttributeValue] = Factory(dict)
    delete: dict[str, AttributeValue] = Factory(dict)

    def put(self, attribute: str, value: AttributeValue | None) -> None:
        """Sets `attribute`, or removes it where `value` is None."""
        if value is None:
            self.remove[attribute] = None
        else:
            self.set_[attribute] = value

    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.set_ or self.remove or self.add or self.delete)

    def render(self, placeholders: Placeholders) -> str:
        """The ``UpdateExpression``, its names and values registered with `placeholders`."""
        clauses = []
        for keyword, template, entries in (
            ("SET", "{} = {}", self.set_),
            ("ADD", "{} {}", self.add),
            ("DELETE", "{} {}", self.delete),
        ):
            if entries:
                actions = (
                    template.format(placeholders.name(attribute), placeholders.value(value))
                    for attribute, value in entries.items()
                )
                clauses.append(f"{keyword} {', '.join(actions)}")
        if self.remove:
            clauses.append("REMOVE " + ", ".join(placeholders.name(attribute) for attribute in self.remove))
        return " ".join(clauses)
