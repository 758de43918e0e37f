"""The terms of a search, normalised like the search text of items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dynamo_bao.mapping.search_text import SearchConfig, spellings
from dynamo_bao.runtime.records import frozen

OPERATORS: Final = ("$and", "$or")


def tokenize_search_query(text: object) -> list[str]:
    """Splits a search text that a user typed into terms: words, and phrases in double quotes.

    Args:
        text: the typed text. Any other value gives no terms.

    Returns:
        The terms, for `search_all`.

    >>> tokenize_search_query('red "new york" hats')
    ['red', 'new york', 'hats']
    """
    if not isinstance(text, str):
        return []
    terms: list[str] = []
    for number, part in enumerate(text.split('"')):
        terms += [part.strip()] if number % 2 else part.split()
    return [term for term in terms if term]


@frozen
class Term:
    """One term of a search.

    Attributes:
        variants: its normalised forms; the first is the form of the stored text.
        required_parts: for each form, the parts that the stored text of every match contains.
    """

    variants: tuple[str, ...]
    required_parts: tuple[tuple[str, ...], ...]

    def found_in(self, texts: Sequence[str]) -> bool:
        """Whether one of the fields' texts contains the term."""
        return any(variant in text for variant in self.variants for text in texts)


def terms_of(texts: Sequence[str], config: SearchConfig) -> list[Term]:
    """The terms to search for, without terms that no stored text can contain."""
    terms = [_term(text, config) for text in texts]
    return [term for term in terms if term.required_parts]


def _term(text: str, config: SearchConfig) -> Term:
    parts: dict[str, tuple[str, ...]] = {}
    for variant in spellings(text, config):
        words = [word for word in variant.split() if len(word) >= config.min_term_length]
        if words:
            parts[variant] = tuple(dict.fromkeys(words)) if config.dedupe else (" ".join(words),)
    return Term(tuple(parts), tuple(parts.values()))
