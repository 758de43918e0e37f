"""The tokens of DynamoDB's expressions, and the paths of attributes."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from functools import cache
from itertools import pairwise
from typing import Final, TypeVar

from dynamo_bao.runtime.named_tuples import NamedTuple

Path = tuple["str | int", ...]
"""Names of attributes and indexes of lists; a name may be a placeholder, as ``("#m", 0, "x")``."""
T = TypeVar("T")
MAX_BYTES: Final = 4096
MAX_OPERATORS: Final = 300
MAX_LEVELS: Final = 32
MAX_INDEX: Final = 2**31 - 1
END: Final = "<EOF>"
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<name>\#[A-Za-z0-9_]+)|(?P<value>:[A-Za-z0-9_]+)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>[0-9]+)|(?P<symbol><>|<=|>=|[<>=+\-()\[\].,])|(?P<odd>\S))"
)
_KEYWORDS: Final = frozenset(("AND", "OR", "NOT", "BETWEEN", "IN"))
_COUNTED: Final = _KEYWORDS - {"BETWEEN"}
"""The keywords that count as operators. A BETWEEN counts by its AND."""


CONDITION_FUNCTIONS: Final = frozenset(
    ("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size")
)
UPDATE_FUNCTIONS: Final = frozenset(("if_not_exists", "list_append"))


_CALLS: Final = frozenset(("IN", *CONDITION_FUNCTIONS, *UPDATE_FUNCTIONS))
"""What has parentheses of its own."""


class ExpressionError(Exception):
    """A fault of an expression; the text lacks the kind of the expression."""


class Token(NamedTuple):
    """One token.

    Attributes:
        kind: ``name``, ``value``, ``word``, ``number``, ``symbol``, ``keyword`` or ``end``.
        text: the token; a keyword is in capitals.
        start, end: its place in the expression.
    """

    kind: str
    text: str
    start: int
    end: int


class Tokens:
    """The tokens of one expression, read from left to right.

    Args:
        source: the expression.
        clauses: the words that begin a clause, in capitals.
    """

    def __init__(self, source: str, clauses: frozenset[str] = frozenset()) -> None:
        size = len(source.encode("utf-8", "surrogatepass"))
        if size > MAX_BYTES:
            raise ExpressionError(
                f"Expression size has exceeded the maximum allowed size; expression size: {size}"
            )
        self.source = source
        self._tokens = list(_split(source, _KEYWORDS | clauses))
        self._position = 0

    @property
    def next(self) -> Token:
        """The token that is read next."""
        return self._tokens[self._position]

    @property
    def following(self) -> Token:
        """The token after the next."""
        return self._tokens[min(self._position + 1, len(self._tokens) - 1)]

    @property
    def is_call(self) -> bool:
        """Whether a function is next."""
        return self.next.kind == "word" and self.following.text == "("

    @property
    def at_end(self) -> bool:
        """Whether no token is left."""
        return self.next.kind == "end"

    def take(self) -> Token:
        """Reads the next token."""
        token = self.next
        self._position += token.kind != "end"
        return token

    def take_if(self, *texts: str) -> Token | None:
        """Reads the next token if it is one of these symbols or keywords."""
        token = self.next
        return self.take() if token.kind in ("symbol", "keyword") and token.text in texts else None

    def expect(self, text: str) -> None:
        """Reads a symbol or a keyword; an error if something else is next."""
        if self.take_if(text) is None:
            raise self.syntax_error()

    def syntax_error(self) -> ExpressionError:
        """The error for a token that cannot stand here, with its neighbours."""
        position = self._position
        token = self.next
        if token.kind == "end":
            first = self._tokens[position - 1] if position else token
            near = f"{self.source[first.start : first.end]} {END}" if position else END
            return ExpressionError(f'Syntax error; token: "{END}", near: "{near}"')
        last = self._tokens[position + 1]
        end = token.end if last.kind == "end" else last.end
        word = self.source[token.start : token.end]
        return ExpressionError(f'Syntax error; token: "{word}", near: "{self.source[token.start : end]}"')

    def require_few_operators(self, symbols: Container[str]) -> None:
        """Refuses more operators and functions than DynamoDB takes.

        Args:
            symbols: the symbols that are operators.
        """
        count = 0
        for token, following in pairwise(self._tokens):
            if token.kind == "word":
                count += following.text == "("
            else:
                count += token.text in (_COUNTED if token.kind == "keyword" else symbols)
        if count > MAX_OPERATORS:
            raise ExpressionError(
                f"The expression contains too many operators; operator count: {MAX_OPERATORS + 1}"
            )

    def require_needed_parentheses(self) -> None:
        """Refuses a pair of parentheses directly inside another pair."""
        partners: dict[int, int] = {}
        open_positions: list[int] = []
        for position, token in enumerate(self._tokens):
            if token.kind == "symbol" and token.text == "(":
                open_positions.append(position)
            elif token.kind == "symbol" and token.text == ")" and open_positions:
                partners[open_positions.pop()] = position
        for position, partner in partners.items():
            is_call = position > 0 and self._tokens[position - 1].text in _CALLS
            if partners.get(position + 1) == partner - 1 and not is_call:
                raise ExpressionError("The expression has redundant parentheses;")

    def parenthesised(self, read: Callable[[], T]) -> T | None:
        """Reads something in parentheses; None, and nothing is read, if they hold something else.

        Args:
            read: reads what the parentheses hold.
        """
        position = self._position
        try:
            self.expect("(")
            inner = read()
            self.expect(")")
        except ExpressionError:
            self._position = position
            return None
        return inner

    def path(self) -> Path:
        """Reads the path of an attribute, such as ``a.#b[0]``."""
        parts: list[str | int] = [self._attribute_name()]
        while True:
            if self.take_if("."):
                parts.append(self._attribute_name())
            elif self.take_if("["):
                if self.next.kind != "number":
                    raise self.syntax_error()
                parts.append(self._index())
                self.expect("]")
            else:
                break
        if len(parts) > MAX_LEVELS:
            raise ExpressionError(
                f"The document path has too many nesting levels; nesting levels: {len(parts)}"
            )
        return tuple(parts)

    def _index(self) -> int:
        index = int(self.take().text)
        if index > MAX_INDEX:
            raise ExpressionError(f"List index is not within the allowable range; index: [{index}]")
        return index

    def _attribute_name(self) -> str:
        token = self.next
        if token.kind not in ("word", "name"):
            raise self.syntax_error()
        if token.kind == "word" and token.text.upper() in _reserved_words():
            raise ExpressionError(f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
        return self.take().text


@cache
def _reserved_words() -> frozenset[str]:
    from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

    return frozenset(word.upper() for word in ReservedKeywords.get_reserved_keywords())


def _split(source: str, keywords: frozenset[str]) -> Iterator[Token]:
    end, previous = 0, ""
    for match in _TOKEN.finditer(source.rstrip()):  # spaces at the end would be tried from each of them
        kind = match.lastgroup or "odd"
        text, start, end = match[kind], match.start(kind), match.end(kind)
        if kind == "number" and previous != "[":
            kind, text = "odd", text[0]
        previous = text
        if kind == "odd":
            near = source[start : start + 2].rstrip()
            raise ExpressionError(f'Syntax error; token: "{text}", near: "{near}"')
        if kind == "word" and text.upper() in keywords:
            yield Token("keyword", text.upper(), start, end)
        else:
            yield Token(kind, text, start, end)
    yield Token("end", END, end, end)


def path_text(path: Path) -> str:
    """A path as DynamoDB's errors show it.

    >>> path_text(("a", 0, "b"))
    '[a, [0], b]'
    """
    return f"[{', '.join(f'[{part}]' if isinstance(part, int) else part for part in path)}]"
