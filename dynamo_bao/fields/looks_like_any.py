"""What lets type checkers accept ``name: str = StringField()``: a field object may be assigned to any type.

mypy needs a base class of type `Any` for that. It alone takes `MYPY` for true. Other checkers read the call of the
metaclass: it takes what the class's ``__init__`` takes, and it returns `Any`. At run time nothing of this exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

MYPY: bool = False
"""True for mypy only, which knows this name."""

if MYPY:
    LooksLikeAny = Any
elif TYPE_CHECKING:
    from abc import ABCMeta
    from typing import ParamSpec, Protocol

    P = ParamSpec("P")

    class Constructed(Protocol[P]):
        """An object whose constructor has the parameters `P`."""

        def __init__(self, *args: P.args, **kwargs: P.kwargs) -> None: ...

    class CallReturnsAny(ABCMeta):
        """The metaclass of classes whose new objects have the type `Any`."""

        def __call__(cls: type[Constructed[P]], *args: P.args, **kwargs: P.kwargs) -> Any: ...

    class LooksLikeAny(metaclass=CallReturnsAny):
        """The base of classes whose objects may be assigned to any type."""
else:
    LooksLikeAny = object
