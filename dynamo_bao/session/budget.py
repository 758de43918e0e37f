"""Budgets: limits for the requests of a block of code."""

from __future__ import annotations

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.errors import BudgetExceededError
from dynamo_bao.runtime.call_site import CallSite
from dynamo_bao.runtime.records import define
from dynamo_bao.session.bindings import BUDGET, Block


@define(eq=False)
class Budget:
    """The limits of a block, and what it has used; see `Session.budget`.

    Attributes:
        round_trips, read_units, write_units: the limits; None for no limit.
        used_round_trips, used: the round trips and the capacity units that were used since the block began.
    """

    round_trips: int | None = None
    read_units: float | None = None
    write_units: float | None = None
    used_round_trips: int = 0
    used: Capacity = Capacity()

    def spend(self, capacity: Capacity) -> None:
        """Counts the capacity units of a request."""
        self.used = self.used.plus(capacity)

    def begin(self, cause: CallSite, writes: bool) -> None:
        """Counts one more round.

        Raises:
            BudgetExceededError: if the round exceeds the budget.
        """
        limit, used_units = (
            (self.write_units, self.used.write) if writes else (self.read_units, self.used.read)
        )
        if self.round_trips is not None and self.used_round_trips >= self.round_trips:
            limit_text = f"{self.round_trips} round trips"
        elif limit is not None and used_units >= limit:
            limit_text = f"{limit:g} {'write' if writes else 'read'} units ({used_units:g} are used)"
        else:
            self.used_round_trips += 1
            return
        raise BudgetExceededError(
            f"The budget of {limit_text} does not allow the request that {cause} asks for; it was not sent. Load "
            f"related items together (batch_find, load_related_data), or raise the budget."
        )


class BudgetBlock(Block[Budget]):
    """A block with a budget. Each entry has a new one, with the limits that are the block's subject."""

    __slots__ = ()

    def _begin(self) -> Budget:
        budget = Budget(*self._subject)
        self.bind(BUDGET, budget)
        return budget
