"""The findings of long work: exact counts, the first of each kind for people, and all of them for machines."""

from __future__ import annotations

import json
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from dynamo_bao.maintenance.progress import Finding
from dynamo_bao.runtime.records import Factory, asdict, define

MAX_SHOWN: Final = 20
"""How many findings of a kind a terminal shows."""
_IN_MEMORY: Final = 1 << 20

Kind = Literal["note", "mended", "problem"]


def kind_of(finding: Finding) -> Kind:
    """Whether a finding is a note, a mended problem, or a problem."""
    return "problem" if finding.is_problem else "mended" if finding.mended else "note"


def as_dict(finding: Finding) -> dict[str, Any]:
    """A finding as a dict, without what is None."""
    return {name: value for name, value in asdict(finding).items() if value is not None}


@define
class Findings:
    """Any number of findings. With `keep`, those that do not fit in memory are on the disk.

    Args:
        keep: whether `__iter__` must give all findings again.

    Attributes:
        counts: the number of findings by kind.
        first_findings: the first findings of each kind.
        mendable: the number of problems that ``--fix`` can mend.
    """

    keep: bool = False
    counts: Counter[Kind] = Factory(Counter)
    first_findings: dict[Kind, list[Finding]] = Factory(dict)
    mendable: int = 0
    _file: Any = None

    def __len__(self) -> int:
        return self.counts.total()

    def extend(self, findings: Iterable[Finding]) -> None:
        """Adds findings."""
        for finding in findings:
            kind = kind_of(finding)
            self.counts[kind] += 1
            self.mendable += finding.is_problem and finding.mendable
            shown_findings = self.first_findings.setdefault(kind, [])
            if len(shown_findings) < MAX_SHOWN:
                shown_findings.append(finding)
            if self.keep:
                self._write(finding)

    def _write(self, finding: Finding) -> None:
        if self._file is None:
            self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8")  # noqa: SIM115
            weakref.finalize(self, self._file.close)
        self._file.write(json.dumps(as_dict(finding), ensure_ascii=False) + "\n")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All findings, as dicts."""
        if self._file is not None:
            self._file.seek(0)
            yield from map(json.loads, self._file)
