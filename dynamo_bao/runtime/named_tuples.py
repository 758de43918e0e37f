"""Named tuples that are defined in a third of the time of `typing.NamedTuple`.

`typing.NamedTuple` compiles the text of every annotation, which nobody reads at runtime. A program that reads one item
defines 20 of these classes. So `NamedTuple` here makes the same class, and leaves the annotations as texts.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _NamedTupleType(type):
        """Makes subclasses of `NamedTuple`. They are subclasses of `tuple`, and have no special type themselves."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: Mapping[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, namespace)
            annotations = namespace.get("__annotations__", {})
            defaults = [namespace[field] for field in annotations if field in namespace]
            named_tuple = namedtuple(name, annotations, defaults=defaults, module=namespace["__module__"])
            for member, value in namespace.items():
                if member not in annotations:
                    setattr(named_tuple, member, value)
            return named_tuple

    class NamedTuple(metaclass=_NamedTupleType):
        """`typing.NamedTuple`, for modules with ``from __future__ import annotations``."""


__all__ = ["NamedTuple"]
