"""The engines, for properties that need one."""

from __future__ import annotations

from tests.integration.conftest import connection, ready_table, table_name

__all__ = ["connection", "ready_table", "table_name"]
