"""botocore's descriptions of AWS services, read once for a run of tests."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest


def share(patch: pytest.MonkeyPatch) -> None:
    """Has all botocore sessions read through one loader, which keeps what it has read.

    Each session would read 70 ms of JSON for its first client, and most tests open a client.
    """
    from botocore import session

    original = session.create_loader

    @cache
    def kept(search_path: str | None) -> tuple[Any, int]:
        loader = original(search_path)
        return loader, len(loader.search_paths)

    def shared_loader(search_path: str | None = None) -> Any:
        loader, paths = kept(search_path)
        del loader.search_paths[paths:]  # boto3 appends its own folder for each session
        return loader

    patch.setattr(session, "create_loader", shared_loader)
