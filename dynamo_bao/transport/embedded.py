"""A DynamoDB inside this process: moto's, for one client only.

Other boto3 clients of the process are not touched, and moto's global state is not used: the engine here has
a backend of its own, and answers one request at a time, so that concurrent conditional writes are atomic.
"""

from __future__ import annotations

import threading
from typing import Any

from dynamo_bao.errors import ConfigurationError

REGION = "us-east-1"
CREDENTIALS = {"aws_access_key_id": "embedded", "aws_secret_access_key": "embedded"}


class EmbeddedEngine:
    """Answers requests without any network; `boto.attach` puts it behind a client."""

    def __init__(self) -> None:
        try:
            from moto.dynamodb.models import DynamoDBBackend
            from moto.dynamodb.responses import DynamoHandler
        except ImportError as error:
            raise ConfigurationError(
                "embedded=True needs moto: pip install 'dynamo_bao[embedded]'."
            ) from error
        backend = DynamoDBBackend(REGION, "123456789012")

        # A class of its own: moto makes a handler per request and asks its class for the backend.
        self._handler: Any = type("EmbeddedHandler", (DynamoHandler,), {"dynamodb_backend": backend})
        self._lock = threading.Lock()

    def answer(self, request: Any) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for one prepared botocore request."""
        from moto.core.request import normalize_request

        with self._lock:
            status, headers, body = self._handler.dispatch(normalize_request(request))
        return status, headers, body.encode() if isinstance(body, str) else body
