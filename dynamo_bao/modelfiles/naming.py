"""Converts the names of model files, which are JavaScript's, to Python names."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Container

from dynamo_bao.mapping.definition import camel_case

_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def is_name(text: str) -> bool:
    """Whether `text` is a valid name, and the same name, in both languages."""
    return text.isidentifier() and not text.startswith("_") and unicodedata.normalize("NFKC", text) == text


def snake_case(name: str) -> str:
    """The snake_case form of a name.

    >>> snake_case("userId"), snake_case("HTMLBody"), snake_case("TaggedPost")
    ('user_id', 'html_body', 'tagged_post')
    """
    return _BORDER.sub("_", name).lower()


def python_name(name: str, reserved: Container[str] = ()) -> str:
    """The Python name for a name of a model file; ``_`` is appended to keywords and reserved names.

    >>> python_name("createdAt"), python_name("class"), python_name("count", {"count"})
    ('created_at', 'class_', 'count_')
    """
    python = snake_case(name)
    return f"{python}_" if keyword.iskeyword(python) or python in reserved else python


def stored_name(name: str, python: str) -> str | None:
    """The stored name that a field's declaration must state; None if ``attribute_style="camel"`` derives it.

    >>> stored_name("userId", "user_id"), stored_name("userID", "user_id")
    (None, 'userID')
    """
    return None if camel_case(python) == name else name


def module_name(model: str) -> str:
    """The module of a generated model.

    >>> module_name("TaggedPost"), module_name("Class")
    ('tagged_post', 'class_')
    """
    return python_name(model)
