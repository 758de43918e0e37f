"""What models need of the write side. They load it at the first write, because many programs start by reading."""

from __future__ import annotations

from dynamo_bao.writes.change_factory import (
    ConditionLike,
    carry_out,
    checked_condition,
    creation_for,
    creation_of,
    deleting_of,
    save_changes,
    saving_of,
    update_of,
    write_of,
)
from dynamo_bao.writes.changes import (
    Change,
    ConditionCheck,
    CreateChange,
    DeleteChange,
    SaveChange,
)
from dynamo_bao.writes.commit import commit, register_objects
from dynamo_bao.writes.defaults import defaults_beside
from dynamo_bao.writes.invalidation import invalidate
from dynamo_bao.writes.merge import combine
from dynamo_bao.writes.plans import CounterDelta, ItemRef
from dynamo_bao.writes.transact import run_transaction, translated_failure

__all__ = [
    "Change",
    "ConditionCheck",
    "ConditionLike",
    "CounterDelta",
    "CreateChange",
    "DeleteChange",
    "ItemRef",
    "SaveChange",
    "carry_out",
    "checked_condition",
    "combine",
    "commit",
    "creation_for",
    "creation_of",
    "defaults_beside",
    "deleting_of",
    "invalidate",
    "register_objects",
    "run_transaction",
    "save_changes",
    "saving_of",
    "translated_failure",
    "update_of",
    "write_of",
]
