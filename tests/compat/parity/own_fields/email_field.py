"""The field class that the model file of the custom fields' test names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynamo_bao import StringField


class EmailField(StringField):
    """An e-mail address of one of some domains."""

    def __init__(self, *, allowed_domains: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.allowed_domains = allowed_domains

    def validate(self, value: str) -> None:
        super().validate(value)
        name, at, domain = value.partition("@")
        if not (name and at and domain):
            raise ValueError("Invalid email format")
        if self.allowed_domains and domain not in self.allowed_domains:
            raise ValueError(f"Email domain must be one of: {', '.join(self.allowed_domains)}")
