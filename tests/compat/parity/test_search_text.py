"""search-text.test.js: the stored search text, terms, and what somebody typed."""

from __future__ import annotations

from dynamo_bao.mapping.search_text import SearchConfig, normalise_term, search_text
from dynamo_bao.reads.search_terms import tokenize_search_query

BOTH = SearchConfig(["title", "body"])
TITLE = SearchConfig(["title"])
CASED = SearchConfig(["title"], case_sensitive=True)
DEDUPED = SearchConfig(["title", "body"], dedupe=True)
LONG = SearchConfig(["title"], min_term_length=3)


def of_title(title: object, config: SearchConfig = TITLE) -> str:
    """The search text of a title alone."""
    return search_text({"title": title}, config)


def test_01_no_values() -> None:
    """Without values the text is empty."""
    assert search_text({}, BOTH) == ""


def test_02_fields_in_order() -> None:
    """The fields are joined in order."""
    assert search_text({"title": "one", "body": "two"}, BOTH) == "one two"


def test_03_order_of_the_configuration() -> None:
    """The order is that of the configuration, not of the values."""
    assert search_text({"body": "two", "title": "one"}, BOTH) == "one two"


def test_04_other_fields() -> None:
    """Fields that are not listed are left out."""
    assert search_text({"title": "one", "body": "two"}, TITLE) == "one"


def test_05_none_is_skipped() -> None:
    """A field that is None or missing adds nothing."""
    assert search_text({"title": None, "body": "two"}, BOTH) == "two"
    assert search_text({"title": "one"}, BOTH) == "one"


def test_06_all_none() -> None:
    """Where all fields are None the text is empty."""
    assert search_text({"title": None, "body": None}, BOTH) == ""


def test_07_lower_case() -> None:
    """The text is in lower case by default."""
    assert of_title("Hello WORLD") == "hello world"


def test_08_case_kept() -> None:
    """The case is kept when asked for."""
    assert of_title("Hello WORLD", CASED) == "Hello WORLD"


def test_09_punctuation() -> None:
    """Punctuation becomes a space."""
    assert of_title("foo-bar,baz.qux") == "foo bar baz qux"


def test_10_white_space() -> None:
    """Runs of white space become one space."""
    assert of_title("foo  \t\n bar") == "foo bar"


def test_11_ends() -> None:
    """The ends are trimmed."""
    assert of_title("  foo!  ") == "foo"


def test_12_no_dedupe() -> None:
    """Words stay as often as they are by default."""
    assert of_title("foo bar foo") == "foo bar foo"


def test_13_dedupe() -> None:
    """dedupe keeps the first of equal words."""
    assert of_title("foo Bar foo baz bar", DEDUPED) == "foo bar baz"


def test_14_dedupe_of_fields() -> None:
    """It does so across fields."""
    assert search_text({"title": "foo bar", "body": "bar baz"}, DEDUPED) == "foo bar baz"


def test_15_every_length() -> None:
    """By default no word is too short."""
    assert of_title("a bc def") == "a bc def"


def test_16_short_words() -> None:
    """Words below min_term_length are left out."""
    assert of_title("a bc def ghij", LONG) == "def ghij"


def test_17_characters() -> None:
    """The length is one of characters, not of bytes."""
    assert of_title("苹果 手机壳 é", LONG) == "手机壳"


def test_18_chinese() -> None:
    """Chinese is kept."""
    assert of_title("苹果手机") == "苹果手机"


def test_19_cyrillic() -> None:
    """Cyrillic is kept, in lower case."""
    assert of_title("Привет МИР") == "привет мир"


def test_20_arabic() -> None:
    """Arabic is kept."""
    assert of_title("مرحبا بالعالم") == "مرحبا بالعالم"


def test_21_japanese() -> None:
    """Japanese is kept, and Latin letters beside it are in lower case."""
    assert of_title("東京タワー Tokyo") == "東京タワー tokyo"


def test_22_full_width_punctuation() -> None:
    """Full-width punctuation becomes a space."""
    assert of_title("你好，世界！") == "你好 世界"


def test_23_digits() -> None:
    """Digits are kept."""
    assert of_title("iPhone 15") == "iphone 15"


def test_24_numbers() -> None:
    """Numbers become texts."""
    assert of_title(2024) == "2024"


def test_25_term_like_text() -> None:
    """A term is normalised like the text."""
    assert normalise_term("Hello, World!", TITLE) == of_title("Hello, World!") == "hello world"


def test_26_term_with_case() -> None:
    """Its case is kept where the text's is."""
    assert normalise_term("Hello, World!", CASED) == "Hello World"


def test_27_empty_term() -> None:
    """A term of white space is empty."""
    assert normalise_term(" \t\n", TITLE) == ""


def test_28_chinese_term() -> None:
    """A Chinese term is kept."""
    assert normalise_term("苹果，手机", TITLE) == "苹果 手机"


def test_29_term_twice() -> None:
    """Normalising twice is the same as once, for a term like this one."""
    once = normalise_term("  Hello,   World!  ", TITLE)
    assert normalise_term(once, TITLE) == once == "hello world"


def test_30_words() -> None:
    """What was typed is split at white space."""
    assert tokenize_search_query("foo bar baz") == ["foo", "bar", "baz"]


def test_31_nothing() -> None:
    """Nothing typed is no term."""
    assert tokenize_search_query("") == []


def test_32_white_space() -> None:
    """Neither is white space."""
    assert tokenize_search_query(" \t\n ") == []


def test_33_white_space_at_ends() -> None:
    """White space at the ends does not count."""
    assert tokenize_search_query("  foo bar  ") == ["foo", "bar"]


def test_34_white_space_inside() -> None:
    """Runs inside do not either."""
    assert tokenize_search_query("foo    bar") == ["foo", "bar"]


def test_35_phrase() -> None:
    """Double quotes keep a phrase together."""
    assert tokenize_search_query('"new york"') == ["new york"]


def test_36_phrases() -> None:
    """There may be several phrases."""
    assert tokenize_search_query('"new york" "los angeles"') == ["new york", "los angeles"]


def test_37_phrases_and_words() -> None:
    """Phrases and words may be mixed."""
    assert tokenize_search_query('red "new york" hats') == ["red", "new york", "hats"]


def test_38_empty_phrases() -> None:
    """Empty phrases are left out."""
    assert tokenize_search_query('foo "" "  " bar') == ["foo", "bar"]


def test_39_unclosed_quote() -> None:
    """After a quote that is not closed the rest is a phrase."""
    assert tokenize_search_query('foo "bar baz') == ["foo", "bar baz"]


def test_40_other_scripts() -> None:
    """Phrases may be of any script."""
    assert tokenize_search_query('"苹果 手机" 壳') == ["苹果 手机", "壳"]
