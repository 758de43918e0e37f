"""Modules of the library, and other objects, that many programs never need, or not before their first request."""

from __future__ import annotations

import sys
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


class Postponement:
    """The time in which a program does without a module, because the work is cheaper than the import.

    It is over when the work without the module has cost as much as the import, or when a program imports the module.

    Args:
        allowance: how much work may be done without the module, in any unit.
        modules: the names of modules; any of them ends it.

    Attributes:
        is_over: whether the module is used from now on.
    """

    def __init__(self, allowance: int, *modules: str) -> None:
        self._rest = allowance
        self._modules = modules
        self.is_over: bool = False

    def allows(self, work: int) -> bool:
        """Whether some more work is done without the module.

        Args:
            work: the work, in the unit of the allowance.
        """
        if self.is_over:
            return False
        self._rest -= work
        self.is_over = self._rest < 0 or not sys.modules.keys().isdisjoint(self._modules)
        return not self.is_over
