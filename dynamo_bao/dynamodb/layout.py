"""The layout of the table: its key attributes, its indexes, and the attributes derived from others."""

from __future__ import annotations

import keyword
from typing import Final

PK: Final = "_pk"
SK: Final = "_sk"
ITER_PK: Final = "_iter_pk"
ITER_SK: Final = "_iter_sk"
ITER_INDEX: Final = "iter_index"
ITER_SEARCH_INDEX: Final = "iter_search_index"
SEARCH_TEXT: Final = "_searchText"
INDEX_IDS: Final = ("gsi1", "gsi2", "gsi3", "gsi4", "gsi5")
CONSTRAINT_IDS: Final = ("uc1", "uc2", "uc3")
TTL: Final = "ttl"


def index_key_names(index_id: str) -> tuple[str, str]:
    """The two attributes of an index, ``("_gsi1_pk", "_gsi1_sk")``."""
    return f"_{index_id}_pk", f"_{index_id}_sk"


DERIVED: Final = frozenset(
    (*(name for index in INDEX_IDS for name in index_key_names(index)), ITER_PK, ITER_SK, SEARCH_TEXT)
)
"""The attributes of an item that are derived from its fields: of indexes, of iteration, and the search text."""


def slot_of(attribute: str) -> str:
    """The slot of a row that holds an attribute. A name that Python does not allow for a slot is encoded.

    Other names than ASCII are encoded too: in source, Python takes a ligature and its letters for one name.

    >>> slot_of("name"), slot_of("first-name")
    ('name', 'x66697273742d6e616d65')
    """
    is_name = attribute.isascii() and attribute.isidentifier() and not keyword.iskeyword(attribute)
    usable = is_name and not attribute.startswith("__")
    return attribute if usable else "x" + attribute.encode("utf-8", "surrogatepass").hex()
