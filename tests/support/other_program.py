"""Another program, as far as the batch contexts of a test are concerned: another thread, which does not see them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def elsewhere(work: Callable[[], T]) -> T:
    """Does something as another program would, and returns the result."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()
