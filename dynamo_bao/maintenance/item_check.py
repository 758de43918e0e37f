"""Stored items as their models read them, and how they differ from what the models would write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dynamo_bao.dynamodb.document_diff import same_stored
from dynamo_bao.dynamodb.expressions.conditions import Condition, all_of, equality
from dynamo_bao.dynamodb.expressions.paths import Attribute
from dynamo_bao.dynamodb.keys import Key, ParsedPartitionKey, parse_partition_key
from dynamo_bao.dynamodb.layout import DERIVED, ITER_PK, ITER_SK, PK, SEARCH_TEXT, SK
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import BaoError, ConfigurationError, ValidationError, message_of
from dynamo_bao.maintenance.progress import Finding
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.key_schema import UniqueConstraintSchema
from dynamo_bao.mapping.schema import Schema
from dynamo_bao.mapping.snapshots import StoredItem
from dynamo_bao.runtime.foreign_errors import require_data_error
from dynamo_bao.runtime.records import field, frozen
from dynamo_bao.session.state import ModelMapper
from dynamo_bao.writes.actions import NOT_STORED, STORED, Action
from dynamo_bao.writes.plans import ItemRef

_DERIVED_NAMES = frozenset(DERIVED)
REINDEX = "bao doctor --fix, or bao reindex {model}"


@frozen
class ExaminedItem:
    """A stored item that its model can read, with its faults.

    Attributes:
        mapper: the repository of its model.
        subject: the item's key.
        loaded: the stored item.
        wrong: the names of wrong index keys, iteration keys and search texts.
        bad: attributes that their fields cannot read, by field name.
    """

    mapper: ModelMapper
    subject: ItemRef
    loaded: StoredItem = field(repr=False)
    wrong: frozenset[str]
    bad: Mapping[str, AttributeValue] = field(repr=False)

    @property
    def key(self) -> str:
        """Its primary id."""
        return self.subject.identity.primary_id

    def guards(self) -> dict[Key, UniqueConstraintSchema]:
        """The keys of the guards it should have, with their constraints."""
        guards = {}
        for constraint in self.mapper.schema.constraints.values():
            value = self.loaded.item.get(constraint.field.attribute)
            key = constraint.guard_of(self.subject.tenant, value)
            if key is not None:
                guards[key] = constraint
        return guards

    def finding(self, check: str, text: str, **more: Any) -> Finding:
        """A finding about it."""
        name = self.mapper.schema.name
        mend = more.pop("mend", REINDEX.format(model=name))
        text = f"{name} {self.key!r}{_of(self.subject.tenant)} {text}"
        return Finding(check, text, mend, name, self.key, self.subject.tenant, **more)


def _of(tenant: str | None) -> str:
    return "" if tenant is None else f" of tenant {tenant}"


def key_of(item: Item) -> Key:
    """An item's table key."""
    return Key(item[PK]["S"], item[SK]["S"])


def read_item(mapper: ModelMapper, item: Item) -> ExaminedItem | Finding:
    """A stored item as its model reads it; a finding if it is not readable."""
    schema, key = mapper.schema, key_of(item)
    parsed_key = parse_partition_key(key.pk)
    tenant = parsed_key.tenant if parsed_key is not None else None
    try:
        identity = schema.keys.from_item(tenant, item)
        loaded = StoredItem.read(schema, identity, item)
        stated_key = _key_said(schema, tenant, item)
        expected = schema.derived(tenant, identity.primary_id, loaded.values, item)
        names = schema.fields.keys() - loaded.values.keys()
        bad = {name: item[schema.fields[name].attribute] for name in schema.fields if name in names}
        stored = ExaminedItem(
            mapper, ItemRef(schema, tenant, identity), loaded, _differing(expected, item), bad
        )
    except BaoError as error:
        return _unreadable(schema, key, tenant, f"{key.pk!r} cannot be read: {message_of(error)}")
    if stated_key not in (None, key):
        text = f"says that its key is {stated_key.pk!r} {stated_key.sk!r}, which is another."
        return _unreadable(schema, key, tenant, f"{key.pk!r} {key.sk!r} {text}")
    if schema.key_format == "dynamo-bao" and schema.primary.partition.field is None and _is_tenanted(item):
        text = "has index keys of a tenant and a key without one, as JavaScript writes it; it was not looked into."
        return stored.finding(
            "item", text, mend="Use another partition key than MODEL_PREFIX.", harmless=True
        )
    return stored


def _unreadable(schema: Schema, key: Key, tenant: str | None, text: str) -> Finding:
    mend = "Correct or delete the item."
    return Finding("item", f"{schema.name} {text}", mend, schema.name, f"{key.pk} {key.sk}", tenant)


def _key_said(schema: Schema, tenant: str | None, item: Item) -> Key | None:
    """The key that the attributes of an item state; None if they state none."""
    try:
        values = {
            name: schema.fields[name].from_dynamo(item[attribute]) for name, attribute in _names(schema)
        }
        return schema.keys.from_values(tenant, values).key
    except Exception as error:  # an attribute is missing, or its field cannot read it
        require_data_error(error)
        return None


def _names(schema: Schema) -> list[tuple[str, str]]:
    return [(name, schema.fields[name].attribute) for name in schema.key_names]


def _differing(expected: Item, item: Item) -> frozenset[str]:
    names = expected.keys() | (item.keys() & _DERIVED_NAMES)
    return frozenset(name for name in names if not same_stored(expected.get(name), item.get(name)))


def _is_tenanted(item: Item) -> bool:
    """Whether the partition key of an index names a tenant that the item's own key does not."""
    texts = (item[name]["S"] for name in DERIVED if name.endswith("_pk") and name in item)
    return not item[PK]["S"].startswith("[") and any(text.startswith("[") for text in texts)


def key_findings(stored: ExaminedItem) -> list[Finding]:
    """The faults of an item's index keys, iteration keys and search text, one finding for each of the three."""
    kinds = {ITER_PK: "iteration", ITER_SK: "iteration", SEARCH_TEXT: "search"}
    by_check: dict[str, list[str]] = {}
    for name in sorted(stored.wrong):
        by_check.setdefault(kinds.get(name, "index"), []).append(name)
    return [
        stored.finding(
            check, f"has {_LABELS[check]} that {_why(names, stored)}: {', '.join(names)}.", mendable=True
        )
        for check, names in by_check.items()
    ]


_LABELS = {"index": "index keys", "iteration": "iteration keys", "search": "a search text"}


def _why(names: Iterable[str], stored: ExaminedItem) -> str:
    item, expected = stored.loaded.item, stored.mapper.schema.derived_names
    if not any(name in item for name in names):
        return "are missing" if SEARCH_TEXT not in names else "is missing"
    if not expected.intersection(names):
        return "its model has no more"
    if SEARCH_TEXT in names and stored.mapper.schema.has_lowercase_text(item):
        return "was written before normalise=; bao rebuild-search-text rewrites it"
    return "its fields do not say"


# --- guards -----------------------------------------------------------------------------------------


def owner_of(guard: Item) -> tuple[str | None, str | None]:
    """The owner that a guard names: its primary id, and the name of its model."""
    names = (guard.get(name, {}).get("S") for name in ("relatedId", "relatedModel"))
    return next(names), next(names)


def as_seen(guard: Item) -> Condition:
    """The condition that a guard still names the same owner."""
    parts = [equality(Attribute(name), guard.get(name)) for name in ("relatedId", "relatedModel")]
    return all_of((STORED, *parts))


@frozen
class Guard:
    """A guard of a unique value, as it was read.

    Attributes:
        mapper: the repository of the owner's model.
        constraint: its unique constraint.
        tenant: its tenant.
        item: the stored guard.
        owner: the item that it names; None if it names no item, or an invalid id.
    """

    mapper: ModelMapper
    constraint: UniqueConstraintSchema
    tenant: str | None
    item: Item = field(repr=False)
    owner: Identity | None

    @property
    def key(self) -> Key:
        """The table key of the guard."""
        return key_of(self.item)

    def fault(self, owner: Item | None) -> str | None:
        """The fault of the guard; None if it has none.

        Args:
            owner: the item that it names; None if it is not stored.
        """
        named, model = owner_of(self.item)
        if named is None:
            return "names nobody"
        whom = f"{model} {named!r}"
        if self.owner is None:
            return f"names {whom}, which is no id of the model"
        if owner is None:
            return f"names {whom}, which is not stored"
        value = owner.get(self.constraint.field.attribute)
        is_its_guard = self.constraint.guard_of(self.tenant, value) == self.key
        return None if is_its_guard else f"names {whom}, which has another value"

    def proof(self, owner: Item | None) -> Action | None:
        """The action of a transaction that checks that the fault still exists; None if no check is needed."""
        if self.owner is None:
            return None
        if owner is None:
            return Action("ConditionCheck", self.owner.key, NOT_STORED)
        attribute = self.constraint.field.attribute
        return Action(
            "ConditionCheck",
            self.owner.key,
            all_of((STORED, equality(Attribute(attribute), owner.get(attribute)))),
        )


def read_guard(
    mappers: Mapping[str, ModelMapper], parsed_key: ParsedPartitionKey, item: Item
) -> Guard | None:
    """A stored guard as its model reads it; None if no model has the constraint."""
    mapper = mappers.get(parsed_key.prefix)
    constraints = [
        constraint
        for constraint in (mapper.schema.constraints.values() if mapper is not None else ())
        if constraint.id == parsed_key.constraint and constraint.field.attribute == parsed_key.attribute
    ]
    if mapper is None or not constraints:
        return None
    named, _ = owner_of(item)
    try:
        owner = None if named is None else mapper.schema.keys.from_key(parsed_key.tenant, named)
    except ValidationError:
        owner = None
    except ConfigurationError:  # written by JavaScript, for a model whose keys hold no tenant
        return None
    return Guard(mapper, constraints[0], parsed_key.tenant, item, owner)
