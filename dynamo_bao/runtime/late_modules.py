"""Modules of the library, and other objects, that many programs never need, or not before their first request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any


class Late:
    """Stands for an object, which is made when one of its members is first used.

    Args:
        make: makes the object, or returns it if it was made already.
    """

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._make(), name)
        setattr(self, name, value)  # so that this method is not called again for it
        return value


class LateModule(Late):
    """Stands for a module, which is imported when one of its names is first used.

    Where type checkers look, the module itself is imported: ``if TYPE_CHECKING: import … else: … = LateModule(…)``.

    Args:
        name: the name of the module.
    """

    def __init__(self, name: str) -> None:
        super().__init__(partial(import_module, name))
        self.__name__ = name
