"""Which item is meant: its table key, its primary id, and the key fields' values.

Most keys are texts that stand in the table as they are, behind tenant and prefix. For these there is a short way,
`TextKeys`; whatever it does not recognise at first sight goes the careful way of the schema, which also has the
errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from dynamo_bao.codec import fine_source_of
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.text import StringField
from dynamo_bao.keys import SEPARATOR, Key, named, tenant_mark
from dynamo_bao.wire import MAX_PARTITION_KEY_BYTES

LEADS_KEPT: Final = 10_000
"""Of how many tenants the start of their keys is remembered."""


class Identity(NamedTuple):
    """One item told apart: its table key, its primary id, and the key fields' values."""

    key: Key
    primary_id: str
    values: dict[str, Any]

    def of(self, values: Mapping[str, Any]) -> bool:
        """Whether the key fields have the very values that it was made of."""
        for name, value in self.values.items():  # noqa: SIM110  # a generator takes three times as long
            if values[name] is not value:
                return False
        return True


class TextKeys:
    """The keys of a model whose key fields are texts, stored as they are.

    Args:
        prefix: the model's prefix.
        fields: the key fields: the partition key's, and the sort key's if there is one.

    Attributes:
        name: the field that a single key is the value of.
    """

    def __init__(self, prefix: str, fields: Sequence[Field]) -> None:
        self._prefix = prefix
        self.name = fields[0].name
        self._validate = fields[0].validate
        self._sort_name = fields[1].name if len(fields) > 1 else None
        # A field that takes every text has nothing to check beyond what is checked here.
        self._takes_any = len(fields) == 1 and fine_source_of(fields[0]) == StringField().fine_source()
        self._leads: dict[str | None, tuple[str, int]] = {}

    @classmethod
    def of(cls, prefix: str, fields: Sequence[Field], key_format: str) -> TextKeys | None:
        """The short way for these key fields; None where one of them is not simply a text."""
        simple = fields and all(_is_simple(type(field), key_format) for field in fields)
        return cls(prefix, fields) if simple else None

    def key(self, tenant: str | None, text: str) -> Key | None:
        """The table key for the single key `text`; None where only the careful way can tell."""
        try:
            lead, room = self._leads[tenant]
        except KeyError:
            lead, room = self._lead(tenant)
        if 0 < len(text) <= room and text.isascii() and (self._takes_any or self._takes(text)):
            key: Key = named(Key, (lead + text, self._prefix))
            return key
        return None

    def _takes(self, text: str) -> bool:
        """Whether the field takes the text as a whole key."""
        if self._sort_name is not None:
            return False
        try:
            self._validate(text)
        except ValueError:
            return False
        return True

    def identity(self, tenant: str | None, text: str) -> Identity | None:
        """The identity for the single key `text`; None where only the careful way can tell."""
        key = self.key(tenant, text)
        return None if key is None else Identity(key, text, {self.name: text})

    def stored(self, tenant: str | None, pk: str, sk: str, values: dict[str, Any]) -> tuple[Key, str] | None:
        """The table key and primary id of a stored item, whose keys' texts and field values are known; None where
        only the careful way can tell."""
        lead, _ = self._leads.get(tenant) or self._lead(tenant)
        partition = values[self.name]
        if partition is None or pk != lead + partition:
            return None
        sort = self._sort_name
        if sort is None:
            return (named(Key, (pk, sk)), partition) if sk == self._prefix else None
        if values[sort] != sk or "#" in partition or "#" in sk:
            return None
        return named(Key, (pk, sk)), f"{partition}{SEPARATOR}{sk}"

    def _lead(self, tenant: str | None) -> tuple[str, int]:
        """What stands before a tenant's keys, and how many characters there is room for behind it."""
        lead = f"{tenant_mark(tenant)}{self._prefix}#"
        if len(self._leads) > LEADS_KEPT:
            self._leads.clear()
        known = self._leads[tenant] = lead, MAX_PARTITION_KEY_BYTES - len(lead)
        return known


def _is_simple(kind: type[Field], key_format: str) -> bool:
    """Whether a field of this kind has the value it was given as its key text, and checks it by `validate` only."""
    key = "to_key" if key_format == "native" else "to_javascript_key"
    parse = "from_key" if key_format == "native" else "from_javascript_key"
    usual = {
        "normalise": StringField.normalise,
        "accept": StringField.accept,
        "to_key": StringField.to_key,
        "from_key": StringField.from_key,
        key: getattr(StringField, key),
        parse: getattr(StringField, parse),
    }
    return all(getattr(kind, name) is function for name, function in usual.items())
