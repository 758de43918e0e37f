"""How far a piece of work has come, and what it found on its way."""

from __future__ import annotations

from attrs import frozen


@frozen
class Finding:
    """Something that is not as it should be, or that was refused.

    Attributes:
        check: what kind of thing it is, such as ``"guard"`` or ``"index"``.
        text: what is wrong, as one sentence.
        mend: what to do about it.
        model, key, tenant: which item it is about, as far as there is one.
        line: the line of a file, counted from 1.
        mendable: whether ``--fix`` can mend it.
        mended: whether it was mended.
        harmless: whether it is only worth knowing.
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
        """Whether it still stands."""
        return not (self.mended or self.harmless)


@frozen
class JobProgress:
    """One step of long work; figures are since its beginning, over interruptions too.

    Attributes:
        done: how much was gone through: items, lines, or rows of the table.
        total: how much there is, as far as that is known.
        count: how many items it came to: counted, exported, written or changed.
        found: what was found since the step before.
    """

    done: int = 0
    total: int | None = None
    count: int = 0
    found: tuple[Finding, ...] = ()
