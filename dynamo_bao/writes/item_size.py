"""The size of an item, as DynamoDB counts it."""

from __future__ import annotations

from dynamo_bao.dynamodb.service import MAX_ITEM_BYTES, AttributeValue, Item
from dynamo_bao.errors import ValidationError
from dynamo_bao.mapping.codec import is_small


def item_bytes(item: Item) -> int:
    """The size of an item in bytes: names and values in UTF-8, and about half a byte for each digit of a number."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: AttributeValue) -> int:
    ((code, content),) = value.items()
    if code == "S":
        return len(content.encode())
    if code == "B":
        return len(content)
    if code == "N":
        return (_significant_digits(content) + 1) // 2 + 1
    if code in ("BOOL", "NULL"):
        return 1
    if code == "M":
        return 3 + sum(len(name.encode()) + _value_bytes(part) + 1 for name, part in content.items())
    if code == "L":
        return 3 + sum(_value_bytes(part) + 1 for part in content)
    return sum(_value_bytes({code[0]: member}) for member in content)


def _significant_digits(number: str) -> int:
    mantissa, _, _ = number.lower().partition("e")
    return len(mantissa.lstrip("+-").replace(".", "").strip("0"))


def check_item_size(model: str, key: str, item: Item) -> None:
    """Raises `ValidationError` for an item that is certainly larger than the 400 KB that DynamoDB allows."""
    if is_small(item):
        return
    size = item_bytes(item)
    if size > MAX_ITEM_BYTES:
        raise too_large(model, key, f"has {size} bytes")


def too_large(model: str, key: str, finding: str) -> ValidationError:
    """The error for an item that is too large.

    Args:
        model, key: the names of the item.
        finding: what is known of its size, after "the item".
    """
    return ValidationError(
        f"{model} {key!r}: the item {finding}, DynamoDB's limit is {MAX_ITEM_BYTES}. "
        f"Keep large values elsewhere, or in several items."
    )


def is_size_refusal(text: str | None) -> bool:
    """Whether DynamoDB's text for a refusal says that an item would be too large.

    >>> is_size_refusal("Item size to update has exceeded the maximum allowed size")
    True
    """
    return text is not None and "Item size" in text and "exceeded the maximum allowed size" in text


def is_sum_refusal(text: str | None) -> bool:
    """Whether DynamoDB's text for a refusal says that a sum would be a number that it does not have.

    >>> is_sum_refusal("Attempting to store more than 38 significant digits in a Number")
    True
    """
    return text is not None and ("significant digits in a Number" in text or "Number overflow" in text)
