"""The text by which items are searched: how it is made from a model's fields, and how terms are made to fit it.

The stored text is that of the table format page, byte for byte, so that other libraries can share it; but for
models of tables of our own that say ``normalise="nfkc-casefold"``. The format's weaknesses come with it, and are
made up for on the query side where they can be:

- With `min_term_length` short words are not in the stored text. They are left out of the words that the
  index is asked for, and looked for in the fields of what it brings.
- With `dedupe` words lose their neighbours. The index is asked for each word of a phrase, and the phrase is
  looked for in the fields.
- A phrase could match across the border of two fields; in the fields it does not.
- A term typed in decomposed letters (as macOS does) is looked for in composed ones too.
- With ``normalise="nfkc-casefold"`` a term is also asked for as it stands in texts that were stored before.

What cannot be made up for: a *stored* text in decomposed letters, and one in a script with combining vowel
signs (Devanagari, say), is torn at each mark, which loses precision, and with `min_term_length` loses the
letters too. Normalising twice is not the same as once (a capital dotted I leaves a mark that a second pass
takes out), so every term is normalised exactly once. In composed and case-folded letters decomposed texts are whole,
and "STRASSE" is found in "Straße"; scripts with vowel signs are torn there too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from typing import Any, Final

from attrs import evolve, field, frozen

from dynamo_bao.errors import ConfigurationError, reject_unknown, suggestion

_OPTIONS: Final = ("fields", "case_sensitive", "min_term_length", "dedupe", "normalise")
LOWER: Final = "lower"
FOLDED: Final = "nfkc-casefold"
NORMALISATIONS: Final = (LOWER, FOLDED)
_CAMEL: Final = {"caseSensitive": "case_sensitive", "minTermLength": "min_term_length"}


def _names(given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Collection):
        raise ConfigurationError(f"searchable: fields={given!r}; give a list of field names.")
    for name in given:
        if not isinstance(name, str):
            raise ConfigurationError(f"searchable: fields are named by texts, not by {name!r}.")
    if not given:
        raise ConfigurationError("searchable: fields is empty; name at least one field.")
    if len(set(given)) != len(given):
        raise ConfigurationError("searchable: fields names a field twice; name each once.")
    return tuple(given)


@frozen
class SearchConfig:
    """Which fields of a model make its search text, and how.

    Args:
        fields: the fields' names, in the order their texts are joined.
        case_sensitive: whether upper and lower case are told apart.
        min_term_length: how many characters a word needs to be kept.
        dedupe: whether each word is kept once only.
        normalise: ``"lower"`` is the text of the table format, in lower case. ``"nfkc-casefold"``, for tables of our
            own, has composed and case-folded letters, so that "STRASSE" is found in "Straße", and a text in decomposed
            letters by composed ones. Texts that are stored in lower case are still found by what found them before;
            `bao rebuild-search-text` rewrites them.

    Example:
        >>> class Article(Model, prefix="ar", iterable=True, searchable=SearchConfig(["title"], dedupe=True)):
        ...     article_id: str = UlidField(auto_assign=True)
        ...     title: str = StringField()
        ...     primary_key = PrimaryKey("article_id")
    """

    fields: tuple[str, ...] = field(converter=_names)
    case_sensitive: bool = False
    min_term_length: int = 1
    dedupe: bool = False
    normalise: str = LOWER

    def __attrs_post_init__(self) -> None:
        for option in ("case_sensitive", "dedupe"):
            if not isinstance(getattr(self, option), bool):
                raise ConfigurationError(
                    f"searchable: {option}={getattr(self, option)!r}; use True or False."
                )
        shortest = self.min_term_length
        if isinstance(shortest, bool) or not isinstance(shortest, int) or shortest < 1:
            raise ConfigurationError(
                f"searchable: min_term_length={shortest!r}; use a whole number of at least 1."
            )
        if self.normalise not in NORMALISATIONS:
            raise ConfigurationError(
                f"searchable: normalise={self.normalise!r}; use one of {', '.join(map(repr, NORMALISATIONS))}."
            )
        if self.normalise == FOLDED and self.case_sensitive:
            raise ConfigurationError(
                f"searchable: normalise={FOLDED!r} does not tell cases apart, as case_sensitive=True asks; leave one "
                f"out."
            )

    @property
    def before(self) -> SearchConfig | None:
        """The configuration of texts that were stored earlier. None if it is the one of the table format."""
        return None if self.normalise == LOWER else evolve(self, normalise=LOWER)

    @classmethod
    def of(cls, given: object, model: str) -> SearchConfig | None:
        """The configuration of a model's ``searchable=``. None if the model is not searchable.

        Args:
            given: field names, a mapping of options, or a `SearchConfig`.
            model: the model's name, for errors.

        Raises:
            ConfigurationError: for anything else.
        """
        if given is None or given is False or isinstance(given, cls):
            return given or None
        if given is True or not isinstance(given, (Mapping, list, tuple)):
            raise ConfigurationError(
                f'{model}: searchable={given!r} does not name the fields; give searchable=["title", "body"] or a '
                f"SearchConfig.",
                model=model,
            )
        try:
            if not isinstance(given, Mapping):
                return cls(given)
            options = {_CAMEL.get(str(name), str(name)): value for name, value in given.items()}
            reject_unknown(options, _OPTIONS, "searchable option")
            return cls(**{"fields": (), **options})
        except ConfigurationError as error:
            raise ConfigurationError(f"{model}: {error}", model=model) from None

    def check(self, model: str, suitable: Mapping[str, bool]) -> None:
        """Raises `ConfigurationError` for a field that the model lacks, or that has no text to search.

        Args:
            suitable: by field name, whether its stored value is a plain text or number.
        """
        for name in self.fields:
            if name not in suitable:
                raise ConfigurationError(
                    f"{model}: searchable names {name!r}, which is no field.{suggestion(name, suitable)}",
                    model=model,
                )
            if not suitable[name]:
                raise ConfigurationError(
                    f"{model}: searchable names {name!r}, whose kind of field has no text to search; name a text "
                    f"or number field.",
                    model=model,
                    field=name,
                )


Search = SearchConfig
"""The short name, as in ``searchable=Search(["title"], normalise="nfkc-casefold")``."""


# --- texts ----------------------------------------------------------------------------------------------


def normalise_term(term: str, config: SearchConfig) -> str:
    """`term` as it stands in the search text: letters and digits, lower case, single spaces.

    >>> normalise_term("Hello,  World!", SearchConfig(["title"]))
    'hello world'
    """
    if config.normalise == FOLDED:
        term = folded(term)
    text = "".join(char if unicodedata.category(char)[0] in "LN" else " " for char in term)
    return " ".join((text if config.case_sensitive else text.lower()).split())


def folded(text: str) -> str:
    """`text` in composed letters without compatibility forms and cases.

    >>> folded("STRASSE") == folded("Straße"), folded("Cafe\u0301") == folded("CAF\u00c9"), folded("\ufb01n")
    (True, True, 'fin')
    """
    for _ in range(2):  # folding can decompose, and composing give letters that fold
        text = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", text)


def search_text(values: Mapping[str, object], config: SearchConfig) -> str:
    """The search text of a model's values by field name; empty where nothing is left to search.

    >>> search_text({"title": "Foo, bar", "body": None, "pages": 12}, SearchConfig(["title", "pages"]))
    'foo bar 12'
    """
    given = (values.get(name) for name in config.fields)
    words = normalise_term(" ".join(map(_text, given)), config).split()
    words = [word for word in words if len(word) >= config.min_term_length]
    return " ".join(dict.fromkeys(words) if config.dedupe else words)


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- terms ----------------------------------------------------------------------------------------------


def spellings(given: str, config: SearchConfig) -> list[str]:
    """How a term may stand in stored texts: as it is stored now first, then in composed letters and as before."""
    ways = [config, *([] if config.before is None else [config.before])]
    typed = (given, unicodedata.normalize("NFC", given))
    return list(dict.fromkeys(normalise_term(text, way) for way in ways for text in typed))


def field_texts(values: Mapping[str, object], config: SearchConfig) -> list[str]:
    """Each field's own text with every word of it, in which terms are looked for exactly; as before too."""
    ways = [config, *([] if config.before is None else [config.before])]
    return [normalise_term(_text(values.get(name)), way) for way in ways for name in config.fields]
