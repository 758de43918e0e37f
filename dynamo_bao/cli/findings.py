"""What long work found: true counts, the first of each kind for people, and all of them for machines."""

from __future__ import annotations

import json
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from attrs import Factory, asdict, define

from dynamo_bao.maintenance.progress import Finding

MAX_SHOWN: Final = 20
"""How many findings of a kind a terminal shows."""
_IN_MEMORY: Final = 1 << 20

Kind = Literal["note", "mended", "problem"]


def kind_of(finding: Finding) -> Kind:
    """Whether a finding is only worth knowing, was mended, or still stands."""
    return "problem" if finding.is_problem else "mended" if finding.mended else "note"


def plain(finding: Finding) -> dict[str, Any]:
    """A finding for machines: what it has."""
    return {name: value for name, value in asdict(finding).items() if value is not None}


@define
class Findings:
    """Findings, however many: those that are not shown are on the disk, and only where somebody wants them.

    Args:
        keep: whether all of them are wanted again, by `__iter__`.

    Attributes:
        counts: how many there are, by kind.
        first: the first of each kind.
        mendable: how many problems ``--fix`` can mend.
    """

    keep: bool = False
    counts: Counter[Kind] = Factory(Counter)
    first: dict[Kind, list[Finding]] = Factory(dict)
    mendable: int = 0
    _file: Any = None

    def __len__(self) -> int:
        return self.counts.total()

    def extend(self, findings: Iterable[Finding]) -> None:
        """Takes in more."""
        for finding in findings:
            kind = kind_of(finding)
            self.counts[kind] += 1
            self.mendable += finding.is_problem and finding.mendable
            first = self.first.setdefault(kind, [])
            if len(first) < MAX_SHOWN:
                first.append(finding)
            if self.keep:
                self._write(finding)

    def _write(self, finding: Finding) -> None:
        if self._file is None:
            self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8")  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        self._file.write(json.dumps(plain(finding), ensure_ascii=False) + "\n")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All of them, for machines."""
        if self._file is not None:
            self._file.seek(0)
            yield from map(json.loads, self._file)
