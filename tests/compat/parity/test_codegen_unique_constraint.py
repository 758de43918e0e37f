"""codegen/unique-constraint.test.js: the finder that a unique field gives."""

from __future__ import annotations

import pytest

from dynamo_bao import ValidationError
from tests.support.model_files import generated_package

User = generated_package(
    "parity_codegen_unique_constraint",
    """\
models:
  CucUser:
    modelPrefix: cuc
    fields:
      userId: {type: UlidField, autoAssign: true}
      name: {type: StringField, required: true}
      email: {type: StringField, required: true}
    primaryKey: {partitionKey: userId}
    uniqueConstraints:
      uniqueEmail: {field: email, uniqueConstraintId: uc1}
""",
).CucUser

MODELS = [User]

pytestmark = pytest.mark.usefixtures("manager")


def test_01_found_by_email() -> None:
    """find_by_email gives the user, and None for an address that nobody has."""
    user = User.create(name="Ada", email="ada@example.com")
    found = User.find_by_email("ada@example.com")
    assert found == user
    assert found.name == "Ada"
    assert User.unique_email.find("ada@example.com") == user
    assert User.find_by_email("nobody@example.com") is None


def test_02_none() -> None:
    """None is refused: the finder needs a value."""
    with pytest.raises(ValidationError, match="email value is required"):
        User.find_by_email(None)
