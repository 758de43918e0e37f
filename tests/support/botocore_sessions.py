"""Keeps what botocore reads for each new session, so that a run of tests reads it once."""

from __future__ import annotations

from functools import cache
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import pytest


def share(patch: pytest.MonkeyPatch) -> None:
    """Has all botocore sessions share what does not depend on them.

    A session with its first client takes 6 ms of CPU then, and 80 ms without.
    """
    from botocore import hooks, session

    patch.setattr(session, "create_loader", _kept_loaders(session.create_loader))
    patch.setattr(hooks, "accepts_kwargs", _kept_signatures(hooks.accepts_kwargs))
    names: dict[str, str] = {}
    original = hooks.EventAliaser.__init__

    def sharing_names(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        self._alias_name_cache = names

    patch.setattr(hooks.EventAliaser, "__init__", sharing_names)


def _kept_loaders(create_loader: Any) -> Any:
    """Makes one loader for each search path; a loader keeps the JSON that it has read."""

    @cache
    def kept(search_path: str | None) -> tuple[Any, int]:
        loader = create_loader(search_path)
        return loader, len(loader.search_paths)

    def loader_of(search_path: str | None = None) -> Any:
        loader, paths = kept(search_path)
        del loader.search_paths[paths:]  # boto3 appends its own folder for each session
        return loader

    return loader_of


def _kept_signatures(accepts_kwargs: Any) -> Any:
    """Looks at the signature of each function once."""
    kept: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    def accepts(handler: Any) -> Any:
        if type(handler) is not FunctionType:
            return accepts_kwargs(handler)
        if handler not in kept:
            kept[handler] = accepts_kwargs(handler)
        return kept[handler]

    return accepts
