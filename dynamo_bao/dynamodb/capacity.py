"""The cost of requests, in capacity units."""

from __future__ import annotations

from typing import Final

from dynamo_bao.runtime.named_tuples import NamedTuple


class Capacity(NamedTuple):
    """Consumed capacity units.

    Attributes:
        read: read units; a small eventually consistent read takes half a unit.
        write: write units.

    Example:
        >>> Capacity(read=0.5, write=1.0)
        Capacity(read=0.5, write=1.0)
    """

    read: float = 0.0
    write: float = 0.0

    def plus(self, other: Capacity) -> Capacity:
        """The sum of two capacities, unit by unit.

        Args:
            other: the other capacity.

        Returns:
            The sum, a new object.

        Example:
            >>> Capacity(1.0, 0.5).plus(Capacity(read=2.0))
            Capacity(read=3.0, write=0.5)
        """
        if self is NOTHING_CONSUMED:
            return other
        return Capacity(self.read + other.read, self.write + other.write)


NOTHING_CONSUMED: Final = Capacity()
