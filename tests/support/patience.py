"""How long tests wait: a busy machine makes them slow, and never red.

A test that waits for something that has to happen waits `PATIENCE` seconds for it, which is far longer than it
takes. It asserts that something happened, or in what order, and not how fast. The library's own limits, made for
real networks, are as long here where tests reach an engine; a test about a limit states its own and a fake clock.
"""

from __future__ import annotations

import pytest

from dynamo_bao.dynamodb.transport import botocore, direct

PATIENCE = 200.0
"""Seconds. Below the time limit of a test, so that a test that waits in vain says what it waited for."""


def lengthen_limits(patch: pytest.MonkeyPatch) -> None:
    """Lets an attempt take as long as an engine needs that shares its computer with many others."""
    for module in (botocore, direct):
        patch.setattr(module, "CONNECT_SECONDS", PATIENCE)
    patch.setattr(botocore, "READ_SECONDS", PATIENCE)
