"""A DynamoDB inside this process: moto's, for one client only.

Other boto3 clients of the process are not touched, and moto's global state is not used: the engine here has
a backend of its own, and answers one request at a time, so that concurrent conditional writes are atomic.
"""

from __future__ import annotations

import copy
import threading
from typing import Any

from dynamo_bao.dynamodb.transport.embedded_comparisons import compared_by_type
from dynamo_bao.errors import ConfigurationError

REGION = "us-east-1"
CREDENTIALS = {"aws_access_key_id": "embedded", "aws_secret_access_key": "embedded"}


class EmbeddedEngine:
    """Answers requests without any network; `botocore.attach` puts it behind a client."""

    def __init__(self) -> None:
        try:
            from moto.dynamodb.models import DynamoDBBackend
            from moto.dynamodb.models.table import Table
            from moto.dynamodb.responses import DynamoHandler
        except ImportError as error:
            raise ConfigurationError(
                "embedded=True needs moto: pip install 'dynamo_bao[embedded]'."
            ) from error
        self._backend = DynamoDBBackend(REGION, "123456789012")
        # A class of its own: moto makes a handler per request and asks its class for the backend.
        self._handler: Any = type("EmbeddedHandler", (DynamoHandler,), {"dynamodb_backend": self._backend})
        self._table_class = _quick(Table)
        self._lock = threading.Lock()

    def answer(self, request: Any) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for one prepared botocore request."""
        from moto.core.request import normalize_request

        with self._lock, compared_by_type():
            status, headers, body = self._handler.dispatch(normalize_request(request))
            for table in self._backend.tables.values():
                if (
                    table.has_range_key
                ):  # as the library's have; others, of the user's own, stay as moto made them
                    table.__class__ = self._table_class
        return status, headers, body.encode() if isinstance(body, str) else body


def _quick(table_class: Any) -> Any:
    """moto's table, but with costs that do not grow with the table.

    moto sorts all items for each query, and copies all of them for each transaction. Here a query is handed
    the items of its own partition, and a transaction's backup shares the items, of which those that are got
    afterwards are copied first.
    """
    # Imported here: only programs that embed moto need it.
    import inspect

    signature = inspect.signature(table_class.query)

    class QuickTable(table_class):  # type: ignore[misc]  # a class that is not known before run time
        __module__ = table_class.__module__  # which moto's metaclass reads
        partition: list[Any] | None = None
        copies_on_get = False

        def query(self, *args: Any, **options: Any) -> Any:
            given = signature.bind(self, *args, **options).arguments
            self.partition = _partition(self, given)
            try:
                return super().query(*args, **options)
            finally:
                self.partition = None

        def all_items(self) -> Any:
            return super().all_items() if self.partition is None else self.partition

        def get_item(self, hash_key: Any, range_key: Any = None, *args: Any, **options: Any) -> Any:
            held = self.items.get(hash_key, {}) if self.copies_on_get else {}
            if range_key in held:
                held[range_key] = copy.deepcopy(held[range_key])
            return super().get_item(hash_key, range_key, *args, **options)

        def __deepcopy__(self, memo: Any) -> Any:
            self.copies_on_get = True
            backup = copy.copy(self)
            backup.items = copy.copy(self.items)
            for hash_key, held in self.items.items():
                backup.items[hash_key] = dict(held)
            return backup

    return QuickTable


def _partition(table: Any, given: dict[str, Any]) -> list[Any] | None:
    """The items that a query can find; None where that is not told by one partition key."""
    conditions = given.get("hash_key_conditions") or []
    if given.get("index_name") is None:
        return list(table.items.get(given["hash_key"], {}).values())
    if len(conditions) != 1:
        return None
    ((attribute, wanted),) = conditions
    held = (item for items in table.items.values() for item in items.values())
    return [item for item in held if attribute in item.attrs and item.attrs[attribute].value == wanted.value]
