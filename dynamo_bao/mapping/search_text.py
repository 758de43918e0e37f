"""The text by which items are searched: how it is made from a model's fields, and how terms are made to fit it.

The stored text is that of the table format page, byte for byte, so that other libraries can share it. Only a model
with ``normalise="nfkc-casefold"`` stores another text. The format has weaknesses. Queries make up for these:

- With `min_term_length`, short words are not in the stored text. A query does not ask the index for them, but
  looks for them in the fields of the items that it gets.
- With `dedupe`, words lose their neighbours. A query asks the index for each word of a phrase, and looks for the
  phrase in the fields.
- In the stored text, a phrase could match across the border of two fields. In the fields it does not.
- A term in decomposed letters, as macOS types them, is also looked for in composed letters.
- With ``normalise="nfkc-casefold"``, a term is also looked for in lower case, as texts were stored before.

Queries cannot make up for these: a *stored* text in decomposed letters, or in a script with combining vowel signs
such as Devanagari, is cut at each mark. That loses precision, and with `min_term_length` it loses letters.
``"nfkc-casefold"`` keeps decomposed texts whole, and finds "STRASSE" in "Straße". It too cuts scripts with vowel
signs. Normalising twice differs from normalising once (a capital dotted I leaves a mark that a second pass removes),
so every term is normalised exactly once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from typing import Final

from dynamo_bao.errors import ConfigurationError, message_of, reject_unknown, suggestion
from dynamo_bao.runtime.records import evolve, field, frozen

_OPTIONS: Final = ("fields", "case_sensitive", "min_term_length", "dedupe", "normalise")
LOWER: Final = "lower"
FOLDED: Final = "nfkc-casefold"
NORMALISATIONS: Final = (LOWER, FOLDED)
_BYTE_ORDER_MARK: Final = "\ufeff"
"""JavaScript counts it as a space, but not as the end of a word when it chooses the lower case of a sigma."""
_CAMEL: Final = {"caseSensitive": "case_sensitive", "minTermLength": "min_term_length"}


def _field_names(names: object) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Collection):
        raise ConfigurationError(f"searchable: fields={names!r}; give a list of field names.")
    for name in names:
        if not isinstance(name, str):
            raise ConfigurationError(f"searchable: fields has {name!r}; give the names of fields as texts.")
    if not names:
        raise ConfigurationError("searchable: fields is empty; name at least one field.")
    if len(set(names)) != len(names):
        raise ConfigurationError("searchable: fields names a field twice; name each once.")
    return tuple(names)


@frozen
class SearchConfig:
    """Which fields of a model make its search text, and how.

    Args:
        fields: the fields' names, in the order their texts are joined.
        case_sensitive: whether upper and lower case differ.
        min_term_length: the least length of a word in the search text, in characters.
        dedupe: whether the search text has each word only once.
        normalise: ``"lower"`` is the text of the table format, in lower case. ``"nfkc-casefold"``, for tables that are
            not shared, has composed and case-folded letters, so that "STRASSE" is found in "Straße", and decomposed
            letters are found by composed ones. Texts that were stored in lower case are still found as before.
            `bao rebuild-search-text` rewrites them.

    Raises:
        ConfigurationError: if an argument has a wrong value.

    Example:
        >>> class Article(Model, prefix="ar", iterable=True, searchable=SearchConfig(["title"], dedupe=True)):
        ...     article_id: str = UlidField(auto_assign=True)
        ...     title: str = StringField()
        ...     primary_key = PrimaryKey("article_id")
    """

    fields: tuple[str, ...] = field(converter=_field_names)
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
                f"searchable: normalise={FOLDED!r} ignores case, but case_sensitive=True does not; leave one out."
            )

    @property
    def lowercase(self) -> SearchConfig | None:
        """The configuration of texts that were stored earlier. None if it is the one of the table format."""
        return None if self.normalise == LOWER else evolve(self, normalise=LOWER)

    @classmethod
    def of(cls, option: object, model: str) -> SearchConfig | None:
        """The configuration of a model's ``searchable=``. None if the model is not searchable.

        Args:
            option: field names, a mapping of options, or a `SearchConfig`.
            model: the model's name, for errors.

        Returns:
            The configuration, or None.

        Raises:
            ConfigurationError: if `option` is anything else.
        """
        if option is None or option is False or isinstance(option, cls):
            return option or None
        if option is True or not isinstance(option, (Mapping, list, tuple)):
            raise ConfigurationError(
                f'{model}: searchable={option!r} does not name the fields; give searchable=["title", "body"] or a '
                f"SearchConfig.",
                model=model,
            )
        try:
            if not isinstance(option, Mapping):
                return cls(option)
            options = {_CAMEL.get(str(name), str(name)): value for name, value in option.items()}
            reject_unknown(options, _OPTIONS, "searchable option")
            return cls(**{"fields": (), **options})
        except ConfigurationError as error:
            raise ConfigurationError(f"{model}: {message_of(error)}", model=model) from None

    def check(self, model: str, suitable: Mapping[str, bool]) -> None:
        """Checks the fields.

        Args:
            model: the model's name, for errors.
            suitable: by field name, whether the stored value is a plain text or number.

        Raises:
            ConfigurationError: if the model does not have a field, or the field has no text to search.
        """
        for name in self.fields:
            if name not in suitable:
                raise ConfigurationError(
                    f"{model}: searchable names {name!r}, which is not a field.{suggestion(name, suitable)}",
                    model=model,
                )
            if not suitable[name]:
                raise ConfigurationError(
                    f"{model}: searchable names {name!r}, a field that has no text to search; name a text "
                    f"or number field.",
                    model=model,
                    field=name,
                )


Search = SearchConfig
"""The short name, as in ``searchable=Search(["title"], normalise="nfkc-casefold")``."""


# --- texts ----------------------------------------------------------------------------------------------


def normalise_term(term: str, config: SearchConfig) -> str:
    """`term` in the form of the search text: letters and digits, lower case, single spaces.

    >>> normalise_term("Hello,  World!", SearchConfig(["title"]))
    'hello world'
    """
    if config.normalise == FOLDED:
        term = folded(term)
    text = "".join(
        char if char == _BYTE_ORDER_MARK or unicodedata.category(char)[0] in "LN" else " " for char in term
    )
    words = text if config.case_sensitive else text.lower()
    return " ".join(words.replace(_BYTE_ORDER_MARK, " ").split())


def folded(text: str) -> str:
    """`text` in composed, case-folded letters without compatibility forms.

    >>> folded("STRASSE") == folded("Straße"), folded("Cafe\u0301") == folded("CAF\u00c9"), folded("\ufb01n")
    (True, True, 'fin')
    """
    for _ in range(2):  # folding can decompose letters, and composing can give letters that fold
        text = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", text)


def search_text(values: Mapping[str, object], config: SearchConfig) -> str:
    """The search text of a model's values by field name. Empty if they have no words.

    >>> search_text({"title": "Foo, bar", "body": None, "pages": 12}, SearchConfig(["title", "pages"]))
    'foo bar 12'
    """
    field_values = (values.get(name) for name in config.fields)
    words = normalise_term(" ".join(map(_text, field_values)), config).split()
    words = [word for word in words if len(word) >= config.min_term_length]
    return " ".join(dict.fromkeys(words) if config.dedupe else words)


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


# --- terms ----------------------------------------------------------------------------------------------


def spellings(term: str, config: SearchConfig) -> list[str]:
    """The forms that a term may have in stored texts: first the current form, then composed letters and lower case."""
    configs = [config, *([] if config.lowercase is None else [config.lowercase])]
    texts = (term, unicodedata.normalize("NFC", term))
    return list(dict.fromkeys(normalise_term(text, version) for version in configs for text in texts))


def field_texts(values: Mapping[str, object], config: SearchConfig) -> list[str]:
    """The text of each field with every word, for exact searches, also in lower case."""
    configs = [config, *([] if config.lowercase is None else [config.lowercase])]
    return [normalise_term(_text(values.get(name)), version) for version in configs for name in config.fields]
