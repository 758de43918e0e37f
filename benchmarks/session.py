"""What a session itself costs for a lookup: noting the key, making the instance, and finding it again."""

from __future__ import annotations

import time

from benchmarks.contenders.bao_models import Item
from dynamo_bao import run_with_batch_context


def lookups(keys: list[str]) -> dict[str, float]:
    """Microseconds of CPU for a new lookup, which is never looked at, and for one that the session knows."""
    begun = time.process_time()
    with run_with_batch_context():
        for key in keys:
            Item.find(key)
    new = time.process_time() - begun
    with run_with_batch_context():
        held = [Item.find(key) for key in keys]
        begun = time.process_time()
        for key in keys:
            Item.find(key)
        known = time.process_time() - begun
        del held
    return {"new": new / len(keys) * 1e6, "known": known / len(keys) * 1e6}
