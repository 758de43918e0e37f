"""The cost of a lookup in a session: registering the key, making the instance, and finding it again."""

from __future__ import annotations

import time

from benchmarks.contenders.bao_models import Item
from dynamo_bao import run_with_batch_context


def lookups(keys: list[str]) -> dict[str, float]:
    """The microseconds of CPU for a new lookup, whose result is not used, and for one that the session knows."""
    start_time = time.process_time()
    with run_with_batch_context():
        for key in keys:
            Item.find(key)
    new_seconds = time.process_time() - start_time
    with run_with_batch_context():
        instances = [Item.find(key) for key in keys]
        start_time = time.process_time()
        for key in keys:
            Item.find(key)
        known_seconds = time.process_time() - start_time
        del instances
    return {"new": new_seconds / len(keys) * 1e6, "known": known_seconds / len(keys) * 1e6}
