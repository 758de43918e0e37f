"""codegen/custom-fields.test.js: a field class of one's own."""

from __future__ import annotations

from typing import Any

import pytest

from dynamo_bao import Model, PrimaryKey, StringField, UlidField, ValidationError
from tests.support.wire import Wire


class EmailField(StringField):
    """An e-mail address of one of some domains."""

    def __init__(self, *, allowed_domains: tuple[str, ...] = (), **options: Any) -> None:
        super().__init__(**options)
        self.allowed_domains = allowed_domains

    def validate(self, value: str) -> None:
        super().validate(value)
        name, at, domain = value.partition("@")
        if not (name and at and domain):
            raise ValueError("Invalid email format")
        if self.allowed_domains and domain not in self.allowed_domains:
            raise ValueError(f"Email domain must be one of: {', '.join(self.allowed_domains)}")


class User(Model, prefix="ccf", name="CcfUser"):
    user_id: str = UlidField(auto_assign=True)
    email: str = EmailField(allowed_domains=("company.com", "subsidiary.com"))

    primary_key = PrimaryKey("user_id")


MODELS = [User]

pytestmark = pytest.mark.usefixtures("manager")

FOREIGN = "Email domain must be one of: company.com, subsidiary.com"
MALFORMED = "Invalid email format"


def test_01_first_domain() -> None:
    """An address of an allowed domain is stored."""
    user = User.create(email="ada@company.com")
    assert User.find(user.user_id).email == "ada@company.com"


def test_02_second_domain() -> None:
    """So is one of the other allowed domain."""
    user = User.create(email="ada@subsidiary.com")
    assert User.find(user.user_id).email == "ada@subsidiary.com"


def refused(wire: Wire, work: Any, message: str) -> None:
    wire.clear()
    with pytest.raises(ValidationError, match=message) as caught:
        work()
    assert caught.value.field == "email"
    assert len(wire) == 0


def test_03_foreign_domain(wire: Wire) -> None:
    """An address of another domain is refused with the field's own words."""
    refused(wire, lambda: User.create(email="ada@example.com"), FOREIGN)


def test_04_malformed(wire: Wire) -> None:
    """A text that is no address is refused."""
    refused(wire, lambda: User.create(email="ada"), MALFORMED)


def test_05_update() -> None:
    """An update to another allowed address works."""
    user = User.create(email="ada@company.com")
    assert User.update(user.user_id, email="ada@subsidiary.com").email == "ada@subsidiary.com"
    assert User.find(user.user_id).email == "ada@subsidiary.com"


def test_06_update_to_a_foreign_domain(wire: Wire) -> None:
    """An update to a foreign address is refused, and nothing is stored."""
    user = User.create(email="ada@company.com")
    refused(wire, lambda: User.update(user.user_id, email="ada@example.com"), FOREIGN)
    assert User.find(user.user_id).email == "ada@company.com"


def test_07_update_to_a_malformed_address(wire: Wire) -> None:
    """An update to what is no address is refused."""
    user = User.create(email="ada@company.com")
    refused(wire, lambda: User.update(user.user_id, email="ada"), MALFORMED)
    user.email = "@"
    refused(wire, user.save, MALFORMED)
