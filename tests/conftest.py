"""What all tests share: the engines, and an environment in which nothing from outside is seen."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from dynamo_bao.models.registry import managers
from tests.support import botocore_sessions, paths
from tests.support.patience import lengthen_limits

pytest_plugins = ["tests.support.plugin", "tests.support.promises"]

NOWHERE = "/nonexistent/aws"

# How long one example takes says more about the machine's other work than about the code.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


def pytest_configure() -> None:
    """Collect garbage seldom until the tests are collected; let programs that tests start be interrupted.

    A run in the background ignores SIGINT, and so would its children.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.set_threshold(1_000, 10, 100)


def pytest_collection_finish() -> None:
    """Keep the modules and the collected tests out of every garbage collection that follows.

    A full collection would otherwise walk thousands of tests each time: that took a third of the suite's time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def steady_and_quick() -> Iterator[None]:
    """No test fails because an engine is slow to answer, and no client reads again what the last one has read."""
    with pytest.MonkeyPatch.context() as patch:
        lengthen_limits(patch)
        botocore_sessions.share(patch)
        yield


@pytest.fixture(autouse=True, scope="module")
def no_manager_stays_open() -> Iterator[None]:
    """A manager that is left open would answer for the models of other tests."""
    before = list(managers())
    yield
    left_open: list[Any] = [manager for manager in managers() if manager not in before]
    for manager in left_open:
        manager.close()
    assert left_open == []


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
