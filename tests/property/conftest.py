"""The engines, for properties that need one."""

from __future__ import annotations

from tests.integration.conftest import connection, table_name

__all__ = ["connection", "table_name"]
