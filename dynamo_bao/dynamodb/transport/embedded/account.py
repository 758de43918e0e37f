"""Where the tables of the embedded engine are, and the credentials for it."""

from __future__ import annotations

from typing import Final

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"
CREDENTIALS: Final = {"aws_access_key_id": "embedded", "aws_secret_access_key": "embedded"}
