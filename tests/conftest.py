"""What all tests share: the engines, and an environment in which nothing from outside is seen."""

from __future__ import annotations

import os

import pytest

from tests.support import paths

pytest_plugins = ["tests.support.plugin", "tests.support.promises"]

NOWHERE = "/nonexistent/aws"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's AWS account and settings, so that no test can depend on them or reach them."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "DYNAMO_BAO_")):
            monkeypatch.delenv(name)
    for name, value in paths.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{NOWHERE}/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{NOWHERE}/credentials")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
