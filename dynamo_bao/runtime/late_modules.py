"""Modules of the library that many programs never need, or not before their first request."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class LateModule:
    """Stands for a module, which is imported when one of its names is first used.

    Where type checkers look, the module itself is imported: ``if TYPE_CHECKING: import … else: … = LateModule(…)``.

    Args:
        name: the name of the module.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)  # so that this method is not called again for it
        return value
