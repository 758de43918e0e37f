"""Updates of items by their keys, and upserts: what they leave in memory, and where defaults go in."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from attrs import NOTHING

from dynamo_bao._foreign_errors import is_foreign
from dynamo_bao._log_fields import log_fields
from dynamo_bao.dynamodb.expressions.conditions import Attribute, Exists, Negation, all_of
from dynamo_bao.dynamodb.items import Stored
from dynamo_bao.dynamodb.service import Item
from dynamo_bao.mapping.key_schema import IndexShape
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import Known
from dynamo_bao.session.state import new_pending, state_of, unload
from dynamo_bao.writes.actions import WritePlan
from dynamo_bao.writes.changes import Updating
from dynamo_bao.writes.plans import plan_update

log = logging.getLogger("dynamo_bao.writes")


class UpdatingByKey(Updating):
    """Changes fields of a stored item by its key, on condition that it has all others that have defaults.

    Where it has not, it is planned again with those that are missing.

    Attributes:
        defaults: the defaults by field name; for an upsert.
    """

    def __init__(self, *about: Any, defaults: Mapping[str, Any], **options: Any) -> None:
        super().__init__(*about, **options)
        self.defaults = {name: value for name, value in defaults.items() if name not in self.changes}

    def _partitions_of(self, index: IndexShape) -> Collection[str] | None:
        return None if index.partition.name in self.defaults else super()._partitions_of(index)

    def plan_from(self, known: Known | None) -> WritePlan:
        schema = self.subject.schema
        missing = {} if known is None else lacking(schema, known.item, self.defaults)
        expected = [
            Negation(Exists(attribute)) if name in missing else Exists(attribute)
            for name in self.defaults
            for attribute in (Attribute(str(schema.fields[name].attribute)),)
        ]
        changes = {**missing, **self.changes}
        return plan_update(self.subject, changes, known, all_of((self.wanted, *expected)))

    def settle(self, stored: Stored | None) -> Any:
        if stored is None:  # a transaction does not return what it left
            try:
                stored = self.reread()
            except Exception as error:
                if is_foreign(error):
                    raise
                log.warning(
                    "%s is updated, but could not be read back",
                    self.subject.schema.name,
                    exc_info=True,
                    extra=log_fields(self.operation, [self.home.database.table_name], 1),
                )
                return self._unread()
        return super().settle(stored)

    def _unread(self) -> Any:
        """The instance of an item of which it is only known that it was changed; it is read at the next look."""
        instance = self._known_object()
        if instance is not None:
            unload(instance, consistent=True, keep_changes=True)
            return instance
        instance = new_pending(self.home, self.subject.identity, self.subject.tenant, self.session)
        state_of(instance).wants_consistent = True
        if self.session is not None:
            self.session.adopt(instance)
        return instance


def lacking(schema: Schema, item: Item, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some defaults for which a stored item has no attribute."""
    return {name: value for name, value in defaults.items() if str(schema.fields[name].attribute) not in item}


def defaults_beside(schema: Schema, given: Collection[str]) -> dict[str, Any]:
    """The defaults of fields that are not given, by name.

    None is a value of an optional field, stored as nothing, so no default takes its place; neither are dates and
    ids made up that should have been made with the item.
    """
    fields = [
        field
        for field in schema.fields.values()
        if field.name not in given and field.default is not NOTHING and not (field.nullable or field.renews)
    ]
    values = {field.name: field.accept(field.initial()) for field in fields}
    return {name: value for name, value in values.items() if schema.fields[name].to_dynamo(value) is not None}
