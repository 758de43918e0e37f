"""The number of examples of a property test. ``BAO_EXAMPLES`` sets it for a long run."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


def many(ordinary: int) -> settings:
    """Settings of a test on an engine: `ordinary` examples, or as many as ``BAO_EXAMPLES`` says."""
    number = int(os.environ.get("BAO_EXAMPLES", ordinary))
    slow = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=number, deadline=None, suppress_health_check=slow)
