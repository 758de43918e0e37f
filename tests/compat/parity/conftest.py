"""The models of each file on a table of their own."""

from __future__ import annotations

from tests.support.one_table import engine_transport, manager, no_tenant, raw, strict, tenanted, wire

__all__ = ["engine_transport", "manager", "no_tenant", "raw", "strict", "tenanted", "wire"]
