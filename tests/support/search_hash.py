"""The JavaScript library's hash of a search, for tests of cursors."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dynamo_bao.mapping.search_text import SearchConfig, normalise_term


def predicate_hash(terms: Sequence[str], operator: str, config: SearchConfig) -> str:
    """A short hash of a search: FNV-1a over its UTF-16 units, in base 36.

    >>> predicate_hash(["Foo", "bar"], "$and", SearchConfig(["title"]))
    'f5ahq6'
    """
    query = {
        "terms": [normalise_term(term, config) for term in terms],
        "operator": operator,
        "caseSensitive": config.case_sensitive,
        "minTermLength": config.min_term_length,
        "dedupe": config.dedupe,
    }
    value = 0x811C9DC5
    units = json.dumps(query, ensure_ascii=False, separators=(",", ":")).encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        value = ((value ^ (low | high << 8)) * 0x01000193) & 0xFFFFFFFF
    return _base36(value)


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"
