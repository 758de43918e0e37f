"""The key grammar: how tenant, model prefix and values become the text of a key, and back.

The page ``docs/understand/table-format.md`` describes the layout. This module refuses everything that could give two
different keys the same text: a tenant or prefix with other characters, an empty part, and a composite part that
contains the separator.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from dynamo_bao.dynamodb.layout import PK, SK
from dynamo_bao.dynamodb.service import MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES, AttributeValue
from dynamo_bao.errors import ConfigurationError, TenantError, ValidationError
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.runtime.patterns import late_pattern

new_namedtuple: Any = tuple.__new__
"""Makes a named tuple, ``new_namedtuple(Key, (pk, sk))``, in a fraction of the time that its constructor takes.

Used for tuples that are made for every key of a batch or every row of a page.
"""
SEPARATOR = "##__SK__##"
GUARD_MARK = "_raft_uc"
_TENANT = late_pattern(r"[A-Za-z0-9_.-]{1,64}\Z")
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,4}\Z")
_PARTITION = late_pattern(
    r"(?:\[(?P<tenant>[A-Za-z0-9_.-]{1,64})\]#)?"
    rf"(?:{GUARD_MARK}#_(?P<constraint>uc\d)#(?P<guarded>[A-Za-z0-9_-]{{1,4}})#(?P<attribute>[^:#]+):.|"
    r"(?P<prefix>[A-Za-z0-9_-]{1,4})(?:#.|\Z))",
    re.DOTALL,
)


class Key(NamedTuple):
    """The table key of one item: the texts of ``_pk`` and ``_sk``."""

    pk: str
    sk: str

    def as_item(self) -> dict[str, AttributeValue]:
        """The key in the form of DynamoDB's API.

        >>> Key("u#42", "u").as_item()
        {'_pk': {'S': 'u#42'}, '_sk': {'S': 'u'}}
        """
        return {PK: {"S": self.pk}, SK: {"S": self.sk}}


class ParsedPartitionKey(NamedTuple):
    """The parts of the text of a ``_pk``.

    Attributes:
        tenant: the tenant; None without tenants.
        prefix: the prefix of the model.
        constraint: the id of the constraint, such as ``"uc1"``, for the guard of a unique value; None for an item of
            a model.
        attribute: the unique attribute, for a guard.
    """

    tenant: str | None
    prefix: str
    constraint: str | None = None
    attribute: str | None = None


def parse_partition_key(pk: str) -> ParsedPartitionKey | None:
    """The parts of a partition key; None for a text that this library does not write.

    >>> parse_partition_key("[acme]#u#42")
    ParsedPartitionKey(tenant='acme', prefix='u', constraint=None, attribute=None)
    >>> parse_partition_key("_raft_uc#_uc1#u#email:a@example.com")
    ParsedPartitionKey(tenant=None, prefix='u', constraint='uc1', attribute='email')
    """
    match = _PARTITION.match(pk)
    if match is None:
        return None
    prefix = match["prefix"] or match["guarded"]
    return ParsedPartitionKey(match["tenant"], prefix, match["constraint"], match["attribute"])


@lru_cache(maxsize=1000)
def _is_tenant(text: str) -> bool:
    return _TENANT.match(text) is not None


def checked_tenant(tenant: object) -> str:
    """`tenant` if it is a valid tenant id, 1 to 64 of ``A-Z a-z 0-9 _ . -``; else `TenantError`."""
    if isinstance(tenant, str) and len(tenant) <= 64 and _is_tenant(tenant):
        return tenant
    raise TenantError(f"A tenant id is 1 to 64 characters of A-Z a-z 0-9 _ . -; {tenant!r} is not.")


def checked_prefix(prefix: object, model: str) -> str:
    """`prefix` if it is a valid model prefix, 1 to 4 of ``A-Z a-z 0-9 _ -``; else `ConfigurationError`."""
    if isinstance(prefix, str) and _PREFIX.match(prefix):
        return prefix
    raise ConfigurationError(
        f"{model}: prefix={prefix!r} is not 1 to 4 characters of A-Z a-z 0-9 _ -; choose another one.",
        model=model,
    )


def tenant_mark(tenant: str | None) -> str:
    """The beginning of every partition key of a tenant, ``[acme]#``; empty without a tenant."""
    return f"[{tenant}]#" if tenant is not None else ""


def checked_text(text: str, model: str, field: str, *, limit: int, lead: int = 0) -> str:
    """`text` if it can be a key or a part of one.

    Args:
        text: the text to check.
        model, field: where the text comes from, for the error.
        limit: the most bytes of UTF-8 that the whole key may have.
        lead: the number of bytes in front of the text.

    Raises:
        ValidationError: for a text that is empty or too long, or cannot be encoded as UTF-8.
    """
    if not text:
        raise ValidationError(f"{model}.{field}: a key cannot be empty; give it a value.", field, text)
    if len(text) * 4 + lead <= limit and text.isascii():
        return text
    try:
        size = len(text.encode()) + lead
    except UnicodeEncodeError:
        raise ValidationError(
            f"{model}.{field}: the key holds a lone surrogate, not text.", field, text
        ) from None
    if size > limit:
        raise ValidationError(
            f"{model}.{field}: the key is {size} bytes long, DynamoDB's limit is {limit}; use a shorter value.",
            field,
            text,
        )
    return text


def partition_text(text: str, model: str, field: str, lead: int) -> str:
    """`text` if it can end a partition key, behind `lead` bytes of tenant and prefix; else `ValidationError`."""
    return checked_text(text, model, field, limit=MAX_PARTITION_KEY_BYTES, lead=lead)


def sort_text(text: str, model: str, field: str) -> str:
    """`text` if it can be a sort key; else `ValidationError`."""
    return checked_text(text, model, field, limit=MAX_SORT_KEY_BYTES)


def checked_part(text: str, model: str, field: str) -> str:
    """`text` if it can be a part of a composite id; `ValidationError` if it contains the separator."""
    if SEPARATOR in text:
        raise ValidationError(f"{model}.{field}: a key part cannot contain {SEPARATOR!r}.", field, text)
    return text


def join_id(partition: str, sort: str, model: str = "a model", field: str = "key") -> str:
    """The primary id of a composite key; `ValidationError` if the id could be split in another way too.

    >>> join_id("post-1", "c-7")
    'post-1##__SK__##c-7'
    """
    text = f"{partition}{SEPARATOR}{sort}"
    if text.find(SEPARATOR) != len(partition) or text.rfind(SEPARATOR) != len(partition):
        raise ValidationError(
            f"{model}.{field}: the key's parts and the separator {SEPARATOR!r} give an id that can be read in "
            f"two ways; do not let a part begin or end with a piece of the separator.",
            field,
            text,
        )
    return text


@lru_cache(maxsize=64)
def is_uneven(buckets: int) -> bool:
    """Whether consecutive ids would leave many iteration buckets empty.

    The hash of the shared table format multiplies by 31. If the number of buckets is a multiple of 31, only the last
    character of an id counts. Some numbers from 400 on are little better.

    >>> is_uneven(31), is_uneven(32), is_uneven(930), is_uneven(10)
    (True, False, True, False)
    """
    return len({bucket_of(f"{number:020d}", buckets) for number in range(4 * buckets)}) < 0.6 * buckets


MAX_SHORT_ID = 40
"""Up to this length, the hash of an id is quicker with large numbers than with a limit after each character."""


def bucket_of(primary_id: str, buckets: int) -> int:
    """The iteration bucket of an id: a 32-bit string hash over its UTF-16 units, modulo `buckets`.

    The JavaScript library has the same hash, so both put an item into the same bucket.
    """
    value = 0
    if primary_id.isascii() and len(primary_id) <= MAX_SHORT_ID:  # as most are: a byte is a unit
        for unit in primary_id.encode():
            value = value * 31 + unit
        value &= 0xFFFFFFFF
    else:
        units = primary_id.encode("utf-16-le", "surrogatepass")
        for low, high in zip(units[::2], units[1::2], strict=True):
            value = (value * 31 + (low | high << 8)) & 0xFFFFFFFF
    return abs(value - (1 << 32) if value & 0x80000000 else value) % buckets
