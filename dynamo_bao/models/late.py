"""The modules that models load when they first need them, because many programs start by reading items by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_bao.runtime.late_modules import LateModule

if TYPE_CHECKING:
    from dynamo_bao.dynamodb import table_admin
    from dynamo_bao.reads import interface as read_side, iteration, search, search_terms
    from dynamo_bao.writes import interface as write_side
else:
    read_side = LateModule("dynamo_bao.reads.interface")
    iteration = LateModule("dynamo_bao.reads.iteration")
    search = LateModule("dynamo_bao.reads.search")
    search_terms = LateModule("dynamo_bao.reads.search_terms")
    table_admin = LateModule("dynamo_bao.dynamodb.table_admin")
    write_side = LateModule("dynamo_bao.writes.interface")

__all__ = ["iteration", "read_side", "search", "search_terms", "table_admin", "write_side"]
