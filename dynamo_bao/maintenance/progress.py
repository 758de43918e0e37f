"""The progress of a job, and its findings."""

from __future__ import annotations

from dynamo_bao.runtime.records import frozen


@frozen
class Finding:
    """A fault, a refused line, or a remark.

    Attributes:
        check: the kind of fault, such as ``"guard"`` or ``"index"``.
        text: the fault in one sentence.
        mend: the remedy.
        model, key, tenant: the item, if the finding is about one.
        line: the line of a file, counted from 1.
        mendable: whether ``--fix`` can repair it.
        mended: whether it was repaired.
        harmless: whether it is a remark only, and no fault.
    """

    check: str
    text: str
    mend: str = ""
    model: str | None = None
    key: str | None = None
    tenant: str | None = None
    line: int | None = None
    mendable: bool = False
    mended: bool = False
    harmless: bool = False

    @property
    def is_problem(self) -> bool:
        """Whether it is a fault that is not repaired yet."""
        return not (self.mended or self.harmless)


@frozen
class JobProgress:
    """One step of a job. Figures count from the beginning of the job, also if it was interrupted.

    Attributes:
        done: the number of items, lines or rows that were processed.
        total: their number in all; None if unknown.
        count: the number of items that were counted, exported, written or changed.
        found: the findings since the previous step.
    """

    done: int = 0
    total: int | None = None
    count: int = 0
    found: tuple[Finding, ...] = ()
