"""The keys of a model's items: from the keys that callers give, from values, and from stored items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynamo_bao.dynamodb.items import ReplyItem, as_dict_item, key_texts_of
from dynamo_bao.dynamodb.keys import (
    SEPARATOR,
    Key,
    checked_part,
    join_id,
    partition_text,
    sort_text,
    tenant_mark,
)
from dynamo_bao.errors import (
    ConfigurationError,
    DataFormatError,
    UnknownFieldError,
    ValidationError,
    suggestion,
)
from dynamo_bao.fields.base import Field
from dynamo_bao.mapping.identity import (
    Identity,
    IdentityOf,
    KeyFunction,
    PerTenant,
    TextKeyBuilder,
    no_fast_key,
    no_identity,
)
from dynamo_bao.mapping.key_schema import KeyComponent, PrimaryKeySchema


class KeyCodec:
    """The way from a key, from values, and from a stored item to the identity of an item.

    Most keys are texts that the table has unchanged. For these there is a fast way, which is inside.

    Args:
        name, prefix: those of the model.
        primary: its primary key.
        key_format: the format of its keys.

    Attributes:
        names: the names of the key fields.
        are_texts: whether keys are plain texts.
        of_text: by tenant, a function from the text of a single key to the table key; it returns None for a text that
            needs `from_key`.
        of_table_key: by tenant, a function from the texts of a table key to the identity; it returns None for a key
            that needs `from_item`.
    """

    __slots__ = (
        "_fields",
        "_key_format",
        "_model",
        "_prefix",
        "_primary",
        "_texts",
        "are_texts",
        "names",
        "of_table_key",
        "of_text",
    )

    def __init__(self, name: str, prefix: str, primary: PrimaryKeySchema, key_format: str) -> None:
        self._model = name
        self._prefix = prefix
        self._primary = primary
        self._key_format = key_format
        key_fields = [part.field for part in (primary.partition, primary.sort) if part.field is not None]
        self._fields: dict[str, Field] = {field.name: field for field in key_fields}
        self.names: tuple[str, ...] = tuple(self._fields)
        has_partition = primary.partition.field is not None
        texts = TextKeyBuilder.of(prefix, key_fields, key_format) if has_partition else None
        self._texts = texts
        self.are_texts: bool = texts is not None
        self.of_text: PerTenant[KeyFunction] = (
            PerTenant(lambda tenant: no_fast_key) if texts is None else texts.of_tenant
        )
        self.of_table_key: PerTenant[IdentityOf] = (
            PerTenant(lambda tenant: no_identity) if texts is None else texts.stored
        )

    # --- from values -----------------------------------------------------------------------------

    def from_values(self, tenant: str | None, values: Mapping[str, object]) -> Identity:
        """The identity of an item with these normalised values.

        Raises:
            ValidationError: if a key field has no value, or its value cannot be part of a key.
        """
        if self._texts is not None and len(self.names) == 1:
            text = values.get(self.names[0])
            identity = self._texts.identity(tenant, text) if type(text) is str else None
            if identity is not None:
                return identity
        return self._identity(tenant, [self._key_value(values, name) for name in self.names])

    def _identity(self, tenant: str | None, values: Sequence[object]) -> Identity:
        partition, sort = self._primary.partition, self._primary.sort
        if sort.field is None:
            text = partition.to_text(values[0])
            pk = self.partition_key(tenant, text)
            return Identity(Key(pk, self._prefix), text, {self.names[0]: values[0]})
        if partition.field is None:
            text = sort_text(sort.to_text(values[0]), self._model, self.names[0])
            return Identity(Key(self.partition_key(tenant, ""), text), text, {self.names[0]: values[0]})
        partition_part = checked_part(partition.to_text(values[0]), self._model, self.names[0])
        sort_part = checked_part(sort.to_text(values[1]), self._model, self.names[1])
        pk = self.partition_key(tenant, partition_part)
        key = Key(pk, sort_text(sort_part, self._model, self.names[1]))
        return Identity(
            key,
            join_id(partition_part, sort_part, self._model, self.names[0]),
            dict(zip(self.names, values, strict=True)),
        )

    def partition_key(self, tenant: str | None, text: str) -> str:
        """The text of ``_pk`` for a partition part's text."""
        if self._primary.partition.field is None:
            if tenant is not None and self._key_format == "dynamo-bao":
                raise ConfigurationError(
                    f"{self._model}: with key_format='dynamo-bao', a key with MODEL_PREFIX as its partition does not "
                    f"include the tenant, so tenants would share keys; use key_format='native' or another partition "
                    f"key.",
                    model=self._model,
                )
            return tenant_mark(tenant) + self._prefix
        lead = f"{tenant_mark(tenant)}{self._prefix}#"
        return lead + partition_text(text, self._model, self._primary.partition.field.name, len(lead))

    def text_id(self, values: Mapping[str, object]) -> object:
        """The primary id of an item with these values, if keys are plain texts and the values are valid."""
        text = values.get(self.names[0])
        return text if len(self.names) == 1 else f"{text}{SEPARATOR}{values.get(self.names[1])}"

    # --- from stored items ---------------------------------------------------------------------------

    def from_item(self, tenant: str | None, item: ReplyItem) -> Identity:
        """The identity of a stored item, by its table key.

        Raises:
            DataFormatError: if the key belongs to another model or tenant.
        """
        pk, sk = key_texts_of(item)
        parts = self.of_table_key[tenant](pk, sk)
        return self._identity_of_key(tenant, Key(pk, sk), item) if parts is None else Identity(*parts)

    def _identity_of_key(self, tenant: str | None, key: Key, item: ReplyItem) -> Identity:
        try:
            texts = self._key_texts(tenant, key)
            dict_item = as_dict_item(item)
            values = {part.name: part.stored_value(dict_item, text) for part, text in texts}
            has_two_parts = len(texts) == 2
            primary_id = join_id(texts[0][1], texts[1][1]) if has_two_parts else texts[0][1]
        except (ValueError, ConfigurationError) as error:
            raise DataFormatError(
                f"{self._model}: an item is stored under the key {key.pk!r} {key.sk!r}, among the model's items, but "
                f"no item of the model can have this key. Delete it, or store it under a key of the model.",
                model=self._model,
                key=f"{key.pk} {key.sk}",
            ) from error
        return Identity(key, primary_id, values)

    def _key_texts(self, tenant: str | None, key: Key) -> list[tuple[KeyComponent, str]]:
        """The parts of the primary key that are fields, each with its text.

        Raises:
            ValueError: if the key is not one of this model and tenant.
        """
        partition, sort = self._primary.partition, self._primary.sort
        if partition.field is None:
            lead, partition_text_of_key = self.partition_key(tenant, ""), ""
            fits = key.pk == lead
        else:
            lead = f"{tenant_mark(tenant)}{self._prefix}#"
            partition_text_of_key = key.pk[len(lead) :]
            fits = key.pk.startswith(lead) and partition_text_of_key != ""
        if not fits or (sort.field is None and key.sk != sort.prefix):
            raise ValueError("the key belongs to other items")
        return [
            (part, text)
            for part, text in ((partition, partition_text_of_key), (sort, key.sk))
            if part.field is not None
        ]

    # --- from the keys of callers -------------------------------------------------------------------

    def from_key(self, tenant: str | None, key: object) -> Identity:
        """The identity of the item that a caller names.

        Args:
            tenant: the tenant whose item it is.
            key: the value of the key field; the primary id as text; for composite keys also a tuple of both values,
                or a mapping of field names to values.

        Raises:
            ValidationError: if no item of this model can have that key.
        """
        if isinstance(key, str):
            texts = self._texts
            identity = texts.identity(tenant, key) if texts is not None and type(key) is str else None
            return identity or self._identity_of_text(tenant, key)
        if isinstance(key, Mapping):
            return self._identity(tenant, self._values_of(key))
        if isinstance(key, tuple) and len(self.names) == 2:
            if len(key) != 2:
                raise self._bad_key(f"takes 2 values, {' and '.join(self.names)}, not {len(key)}", key)
            return self._identity(tenant, self._values_of(dict(zip(self.names, key, strict=True))))
        if len(self.names) == 2:
            raise self._bad_key(f"needs {' and '.join(self.names)}, not one {type(key).__name__}", key)
        return self._identity(tenant, self._values_of({self.names[0]: key}))

    def of_texts(self, tenant: str | None, keys: Sequence[object]) -> list[Key] | None:
        """The table keys for single keys of plain text. None if a key is another one, which needs `from_key`."""
        key_of_text = self.of_text[tenant]
        table_keys: list[Key] = []
        for key in keys:
            table_key = key_of_text(key) if type(key) is str else None
            if table_key is None:
                return None
            table_keys.append(table_key)
        return table_keys

    def _identity_of_text(self, tenant: str | None, text: str) -> Identity:
        if len(self.names) == 1:
            part = self._single_part()
            return self._identity(tenant, [self._accept(part.field, part.value(text))])
        halves = text.split(SEPARATOR)
        if len(halves) != 2:
            raise self._bad_key(
                f"has two parts; give ({', '.join(self.names)}) or make_primary_id(...), not one text",
                text,
            )
        parts = (self._primary.partition, self._primary.sort)
        return self._identity(
            tenant,
            [self._accept(part.field, part.value(half)) for part, half in zip(parts, halves, strict=True)],
        )

    def _single_part(self) -> KeyComponent:
        return self._primary.partition if self._primary.partition.field is not None else self._primary.sort

    def _values_of(self, values_by_name: Mapping[Any, object]) -> list[object]:
        for name in values_by_name:
            if name not in self.names:
                hint = suggestion(str(name), self.names)
                raise UnknownFieldError(
                    f"{self._model}: the key has no part {name!r}; give {' and '.join(self.names)}, or the key by "
                    f"position.{hint}",
                    str(name),
                    values_by_name,
                )
        return [
            self._accept(self._fields[name], self._key_value(values_by_name, name)) for name in self.names
        ]

    def _key_value(self, values: Mapping[Any, object], name: str) -> object:
        value = values.get(name)
        if value is None:
            raise self._fields[name].error("is part of the key and needs a value", None)
        return value

    def _accept(self, owner: Field | None, value: object) -> object:
        assert owner is not None
        return owner.accept(value)

    def _bad_key(self, fault: str, value: object) -> ValidationError:
        return ValidationError(f"{self._model}: the key {fault}.", self.names[0], value)
