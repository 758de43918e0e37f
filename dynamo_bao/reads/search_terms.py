"""The terms of a search, in the form in which items hold their search text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from dynamo_bao.mapping.search_text import SearchConfig, spellings

OPERATORS: Final = ("$and", "$or")


def tokenize_search_query(text: object) -> list[str]:
    """The terms of what somebody typed: words, and phrases in double quotes.

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
        variants: its normalised spellings; the first is that of the stored text.
        asked: for each spelling the parts that the stored text of every match contains.
    """

    variants: tuple[str, ...]
    asked: tuple[tuple[str, ...], ...]

    def found_in(self, texts: Sequence[str]) -> bool:
        """Whether one of the fields' texts contains the term."""
        return any(variant in text for variant in self.variants for text in texts)


def terms_of(given: Sequence[str], config: SearchConfig) -> list[Term]:
    """The terms to search for; those with nothing the stored text could hold are left out."""
    terms = [_term(term, config) for term in given]
    return [term for term in terms if term.asked]


def _term(given: str, config: SearchConfig) -> Term:
    found: dict[str, tuple[str, ...]] = {}
    for variant in spellings(given, config):
        words = [word for word in variant.split() if len(word) >= config.min_term_length]
        if words:
            found[variant] = tuple(dict.fromkeys(words)) if config.dedupe else (" ".join(words),)
    return Term(tuple(found), tuple(found.values()))
