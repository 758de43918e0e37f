"""The key of another model's item."""

from __future__ import annotations

from typing import Any, Unpack

from dynamo_bao.fields.base import FieldOptions
from dynamo_bao.fields.rules import Rule
from dynamo_bao.fields.text import StringField

_NOT_EMPTY = Rule("is an empty id; use None for no relation", expr="{v}")


class RelatedField(StringField):
    """The primary id of an item of another model. The field ``user_id`` adds the relation ``post.user``.

    The field also accepts an instance of the model, and holds its id: ``user.primary_id``. That is a text, also if the
    key of the model is a number or a UUID; ``User.make_primary_id(7)`` makes it.

    Args:
        target: the related model, or its name if it is defined later.

    Example:
        >>> user_id: str = RelatedField("User")
    """

    def __init__(
        self,
        target: str | type[Any],
        **options: Unpack[FieldOptions],
    ) -> None:
        super().__init__(**options)
        self.target = target

    def bind(self, name: str, model: str, attribute: str, *, nullable: bool = False) -> RelatedField:
        twin = super().bind(name, model, attribute, nullable=nullable)
        if not (self.target if isinstance(self.target, str) else hasattr(self.target, "__bao_name__")):
            raise twin.declaration_error(
                f'RelatedField({self.target!r}) names no model; give its class or its name: RelatedField("User").'
            )
        return twin

    def rules(self) -> tuple[Rule, ...]:
        return (_NOT_EMPTY, *super().rules())

    @property
    def target_name(self) -> str:
        """The name of the related model."""
        if isinstance(self.target, str):
            return self.target
        return str(getattr(self.target, "__bao_name__", self.target.__name__))

    def normalized_expr(self) -> str | None:
        return "type({v}) is str"

    def normalise(self, value: Any) -> str:
        if isinstance(value, str):
            return super().normalise(value)
        target = self.target_name
        if not hasattr(value, "__bao_key_for_relation__"):
            raise self.error(
                f"takes a {target} or its primary id, which is a text, not {type(value).__name__}; "
                f"{target}.make_primary_id(…) makes it of the value of a key",
                value,
            )
        if target not in {getattr(base, "__bao_name__", base.__name__) for base in type(value).__mro__}:
            self.refuse_class(value, f"a {target} or its primary id")
        return str(value.__bao_key_for_relation__(f"{self.model}.{self.name}"))
