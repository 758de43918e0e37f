"""Values as boto3's own conversion takes them: it refuses floats."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def with_decimals(value: Any) -> Any:
    """The value with a `Decimal` for every float in it."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {name: with_decimals(part) for name, part in value.items()}
    return [with_decimals(part) for part in value] if isinstance(value, list) else value
