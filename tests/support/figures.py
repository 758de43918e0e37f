"""The figures of comparisons between the two request paths."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any


class Figures:
    """The comparisons of this process by operation, and their differences."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.compared: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.by_botocore: Counter[str] = Counter()
        self.differences: list[str] = []

    def count(self, counter: Counter[str], operation: str) -> None:
        with self._lock:
            counter[operation] += 1

    def as_data(self) -> dict[str, Any]:
        """The figures in plain types, to send them between processes."""
        counters = {name: dict(getattr(self, name)) for name in ("compared", "refused", "by_botocore")}
        return {**counters, "differences": self.differences}

    def add(self, data: dict[str, Any]) -> None:
        """Adds the figures of another process."""
        for name in ("compared", "refused", "by_botocore"):
            getattr(self, name).update(data[name])
        self.differences += data["differences"]

    def __str__(self) -> str:
        counts = ", ".join(f"{operation} {count}" for operation, count in sorted(self.compared.items()))
        return (
            f"{self.compared.total()} requests and replies compared ({counts}), {self.refused.total()} of them "
            f"refusals; {self.by_botocore.total()} sent by botocore alone; {len(self.differences)} differences"
        )


FIGURES = Figures()
