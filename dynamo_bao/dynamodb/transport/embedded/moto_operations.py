"""The operations that moto carries out: statements in PartiQL, backups, exports and others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from dynamo_bao.dynamodb.transport.embedded.errors import ServiceError, invalid
from dynamo_bao.dynamodb.transport.embedded.tables import Tables
from dynamo_bao.dynamodb.transport.embedded.values import plain

_SEE_ITEMS: Final = (
    "ExecuteStatement",
    "BatchExecuteStatement",
    "ExecuteTransaction",
    "CreateBackup",
    "RestoreTableFromBackup",
    "RestoreTableToPointInTime",
    "ExportTableToPointInTime",
    "ImportTable",
)


class MotoOperations:
    """Hands requests to moto's handler.

    Args:
        backend: moto's backend.
        tables: the engine's tables.
    """

    def __init__(self, backend: Any, tables: Tables) -> None:
        from moto.dynamodb.responses import DynamoHandler

        # A separate class: moto makes a handler for each request, and takes the backend from its class.
        self._handler: Any = type("EmbeddedHandler", (DynamoHandler,), {"dynamodb_backend": backend})
        self._tables = tables

    def reply(self, operation: str, request: Mapping[str, Any]) -> bytes:
        """The body of the reply to a request.

        Args:
            operation: the API operation.
            request: the request, with checked types.
        """
        from moto.core.exceptions import JsonRESTError
        from moto.core.utils import camelcase_to_underscores

        handler = self._handler()
        handler.body = handler.params = request
        handle = getattr(handler, camelcase_to_underscores(operation), None)
        if handle is None:
            raise ServiceError("UnknownOperationException")
        sees_items = operation in _SEE_ITEMS
        if sees_items:
            self._tables.write_to_moto()
        try:
            result = handle().result
        except JsonRESTError as error:
            name = str(error.error_type).rpartition("#")[2]
            raise ServiceError(name, str(error.message)) from error
        except Exception as error:  # what moto and its parser do not check
            raise invalid(f"{operation} failed in moto: {type(error).__name__}: {error}") from error
        finally:
            if sees_items:
                self._tables.read_from_moto()
        return msgspec.json.encode(plain(result))
