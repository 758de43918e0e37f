"""Instances that show one state: those that were handed out for a key before its item was created."""

from __future__ import annotations

import weakref
from typing import Any

from dynamo_bao.session.state import class_for, state_of


class Sharing:
    """An older instance that shows the state and values of a newer one, until that is taken back."""

    def __init__(self, older: Any, newer: Any) -> None:
        self._older = older
        self._newer = newer
        self._own = older.__dict__
        state = state_of(newer)
        if state.shared is None:
            state.shared = [weakref.ref(newer)]
        state.shared.append(weakref.ref(older))
        self._show(newer.__dict__)

    def end(self) -> None:
        """Has the older instance show what it did before."""
        state = state_of(self._newer)
        state.shared = [ref for ref in state.shared or () if ref() is not self._older]
        self._show(self._own)

    def _show(self, values: dict[str, Any]) -> None:
        object.__setattr__(self._older, "__dict__", values)
        object.__setattr__(self._older, "__class__", class_for(state_of(self._older)))
