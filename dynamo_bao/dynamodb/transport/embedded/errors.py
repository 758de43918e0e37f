"""The errors of the embedded engine, as DynamoDB words them."""

from __future__ import annotations

from typing import Any, Final

_VALIDATION: Final = "com.amazon.coral.validate#"
_SERVICE: Final = "com.amazon.coral.service#"
_DYNAMODB: Final = "com.amazonaws.dynamodb.v20120810#"
_NAMESPACES: Final = {
    "ValidationException": _VALIDATION,
    "SerializationException": _SERVICE,
    "UnknownOperationException": _SERVICE,
}
_CAPITALISED: Final = ("SerializationException", "TransactionCanceledException")
"""The errors whose text is in the member ``Message``; that of all others is in ``message``."""
INVALID_VALUE: Final = "One or more parameter values were invalid: "
EMPTY_KEY: Final = (
    "One or more parameter values are not valid. "
    "The AttributeValue for a key attribute cannot contain an empty "
)


class ServiceError(Exception):
    """What DynamoDB answers instead of a result.

    Args:
        name: the name of the error, such as ``"ValidationException"``.
        text: its text; None for an error without one.
        members: further members of the answer.
    """

    status = 400

    def __init__(self, name: str, text: str | None = None, **members: object) -> None:
        super().__init__(text)
        self.name: str = name
        self.text: str | None = text
        self.members: dict[str, object] = members

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        answer: dict[str, Any] = {"__type": _NAMESPACES.get(self.name, _DYNAMODB) + self.name}
        if self.text is not None:
            answer["Message" if self.name in _CAPITALISED else "message"] = self.text
        return answer | self.members


class RequestError(ServiceError):
    """A fault of the request itself. PutItem and UpdateItem count it as a validation error; others only name it."""

    def __init__(self, text: str) -> None:
        super().__init__("ValidationException", text)

    def counted(self) -> ServiceError:
        """The error with DynamoDB's count of validation errors."""
        return invalid(f"1 validation error detected: {self.text}")


class EmptyKeyError(ServiceError):
    """An empty key value. A transaction fails with it as a whole, and not with a reason for one action."""

    def __init__(self, text: str) -> None:
        super().__init__("ValidationException", text)


def invalid(text: str) -> ServiceError:
    """A ``ValidationException``.

    >>> invalid("Key is too long").body()
    {'__type': 'com.amazon.coral.validate#ValidationException', 'message': 'Key is too long'}
    """
    return ServiceError("ValidationException", text)


def unreadable(text: str | None = None) -> ServiceError:
    """A ``SerializationException``: the request is no JSON of this operation."""
    return ServiceError("SerializationException", text)


def missing_table(text: str = "Requested resource not found") -> ServiceError:
    """A ``ResourceNotFoundException``."""
    return ServiceError("ResourceNotFoundException", text)
