"""codegen/custom-fields.test.js: a field class of one's own, from a folder of such."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynamo_bao import ValidationError
from tests.support.model_files import generated_package
from tests.support.wire import Wire

User = generated_package(
    "parity_codegen_custom_fields",
    """\
models:
  CcfUser:
    modelPrefix: ccf
    fields:
      userId: {type: UlidField, autoAssign: true}
      email: {type: EmailField, required: true, allowedDomains: [company.com, subsidiary.com]}
    primaryKey: {partitionKey: userId}
""",
    fields_dir=Path(__file__).with_name("own_fields"),
).CcfUser

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
