"""The identity of an item: its table key, its primary id, and the values of its key fields.

Most keys are texts. The table has them unchanged, after tenant and prefix. For these `TextKeyBuilder` is a fast way.
Every other key takes the general way of the schema, which also raises the errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from dynamo_bao.dynamodb.keys import SEPARATOR, Key, new_namedtuple, tenant_mark
from dynamo_bao.dynamodb.service import MAX_PARTITION_KEY_BYTES
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.rules import predicate
from dynamo_bao.fields.text import StringField
from dynamo_bao.mapping.compiler import valid_expr_of
from dynamo_bao.runtime.named_tuples import NamedTuple

T = TypeVar("T")
KeyFunction = Callable[[str], "Key | None"]
IdentityParts = tuple[Key, str, dict[str, Any]]
"""The members of an `Identity` as a plain tuple, which is faster to make for every row of a page."""
IdentityOf = Callable[[str, str], "IdentityParts | None"]
MAX_TENANTS: Final = 10_000
"""How many tenants a `PerTenant` has values of."""


class Identity(NamedTuple):
    """The identity of one item: its table key, its primary id, and the values of its key fields."""

    key: Key
    primary_id: str
    values: dict[str, Any]


def no_fast_key(text: str) -> None:
    """The `KeyFunction` of models whose key cannot be built from one string. It returns None."""


def no_identity(pk: str, sk: str) -> None:
    """An `IdentityOf` for models whose keys need the general way. It returns None."""


class PerTenant(dict["str | None", T]):
    """A cache of one value for each tenant.

    Args:
        make: makes the value of a tenant at its first use.
    """

    def __init__(self, make: Callable[[str | None], T]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, tenant: str | None) -> T:
        if len(self) > MAX_TENANTS:
            self.clear()
        value = self[tenant] = self._make(tenant)
        return value


class TextKeyBuilder:
    """The keys of a model whose key fields are texts, stored as they are.

    Args:
        prefix: the model's prefix.
        fields: the key fields: the partition key's, and the sort key's if there is one.

    Attributes:
        of_tenant: by tenant, a function from the text of a single key to the table key. It returns None if only the
            general way can decide.
        stored: by tenant, a function from the texts of a table key to the identity of the item. It returns None if
            only the general way can decide.
    """

    def __init__(self, prefix: str, fields: Sequence[Field]) -> None:
        self._prefix = prefix
        self._name = fields[0].name
        self._sort_name = fields[1].name if len(fields) > 1 else None
        # A field that takes every text needs no check of its own.
        takes_any = valid_expr_of(fields[0]) == StringField().valid_expr()
        self._is_valid = None if takes_any else _validity_of(fields[0])
        self._leads = PerTenant(lambda tenant: f"{tenant_mark(tenant)}{prefix}#")
        self.of_tenant: PerTenant[KeyFunction] = PerTenant(self._key_maker)
        self.stored: PerTenant[IdentityOf] = PerTenant(self._stored_reader)

    @classmethod
    def of(cls, prefix: str, fields: Sequence[Field], key_format: str) -> TextKeyBuilder | None:
        """The fast way for these key fields. None if one of them is not a plain text."""
        simple = fields and all(_is_simple(type(field), key_format) for field in fields)
        return cls(prefix, fields) if simple else None

    def identity(self, tenant: str | None, text: str) -> Identity | None:
        """The identity for the single key `text`; None if only the general way can decide."""
        key = self.of_tenant[tenant](text)
        return None if key is None else new_namedtuple(Identity, (key, text, {self._name: text}))

    def _stored_reader(self, tenant: str | None) -> IdentityOf:
        """The function that reads the identities of a tenant's stored items."""
        lead, prefix, name, sort = self._leads[tenant], self._prefix, self._name, self._sort_name or ""

        def partition_only(pk: str, sk: str) -> IdentityParts | None:
            text = pk.removeprefix(lead)
            if sk != prefix or not text or text == pk:
                return None
            return new_namedtuple(Key, (pk, sk)), text, {name: text}

        # The last partition key and its text: the items of a page share theirs.
        last_partition: tuple[str | None, str] = None, ""

        def with_sort_key(pk: str, sk: str) -> IdentityParts | None:
            nonlocal last_partition
            last_pk, text = last_partition
            if pk != last_pk:
                text = pk.removeprefix(lead)
                if not text or "#" in text or text == pk:
                    return None
                last_partition = pk, text
            if not sk or "#" in sk:
                return None
            return new_namedtuple(Key, (pk, sk)), f"{text}{SEPARATOR}{sk}", {name: text, sort: sk}

        return with_sort_key if sort else partition_only

    def _key_maker(self, tenant: str | None) -> KeyFunction:
        """The function that makes the table keys of a tenant. With two key fields, one text is never a key."""
        if self._sort_name is not None:
            return no_fast_key
        lead, prefix, is_valid = self._leads[tenant], self._prefix, self._is_valid
        room = MAX_PARTITION_KEY_BYTES - len(lead)

        def key_of(text: str) -> Key | None:
            if not (0 < len(text) <= room and text.isascii()):
                return None
            if is_valid is not None and not is_valid(text):
                return None
            key: Key = new_namedtuple(Key, (lead + text, prefix))
            return key

        return key_of


def _validity_of(field: Field) -> Callable[[str], object]:
    """A function that returns whether a text is a valid value of a field. False may be wrong."""
    expr = valid_expr_of(field)
    if expr is not None:
        return predicate(expr)

    def is_valid(text: str) -> bool:
        try:
            field.validate(text)
        except ValueError:
            return False
        return True

    return is_valid


def _is_simple(kind: type[Field], key_format: str) -> bool:
    """Whether fields of this kind use their value unchanged as key text, and check it only in `validate`."""
    key = "to_key" if key_format == "native" else "to_javascript_key"
    parse = "from_key" if key_format == "native" else "from_javascript_key"
    text_methods = {
        "normalise": StringField.normalise,
        "accept": StringField.accept,
        "to_key": StringField.to_key,
        "from_key": StringField.from_key,
        key: getattr(StringField, key),
        parse: getattr(StringField, parse),
    }
    return all(getattr(kind, name) is function for name, function in text_methods.items())
