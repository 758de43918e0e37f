"""The engine: it answers requests of the wire one at a time, so that conditional writes are atomic."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Final

import msgspec

from dynamo_bao.dynamodb.transport.embedded import batches, items, queries, transactions
from dynamo_bao.dynamodb.transport.embedded.account import ACCOUNT, REGION
from dynamo_bao.dynamodb.transport.embedded.errors import RequestError, ServiceError, unreadable
from dynamo_bao.dynamodb.transport.embedded.moto_operations import MotoOperations
from dynamo_bao.dynamodb.transport.embedded.request_checks import reader_of, require_constraints
from dynamo_bao.dynamodb.transport.embedded.tables import Tables
from dynamo_bao.errors import ConcurrencyError, ConfigurationError
from dynamo_bao.runtime.process import ForkSafeLock, this_process

JSON: Final = "application/x-amz-json-1.0"
_TARGETS: Final = ("DynamoDB_20120810.",)
_COUNTING: Final = ("PutItem", "UpdateItem")
"""The operations that count faults of the request as validation errors."""

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers by lower-case name, and body."""


class EmbeddedEngine:
    """Answers requests without a network; `botocore.attach` connects it to a client.

    Args:
        shortest_name: the fewest letters of a table's name; DynamoDB's are 3.

    Raises:
        ConfigurationError: if moto is not installed.
    """

    def __init__(self, shortest_name: int = 3) -> None:
        try:
            from moto.dynamodb.models import DynamoDBBackend
        except ImportError as error:
            raise ConfigurationError(
                "embedded=True needs moto: pip install 'dynamo_bao[embedded]'."
            ) from error
        backend = DynamoDBBackend(REGION, ACCOUNT)
        self._tables = Tables(backend, shortest_name)
        self._moto_operations = MotoOperations(backend, self._tables)
        self._lock = ForkSafeLock()
        self._busy_process: object = None  # the process that is in the middle of a request
        self._operations = self._all_operations()

    def _all_operations(self) -> dict[str, Callable[[Any], Any]]:
        tables, find_store = self._tables, self._tables.store
        of_items = (
            items.get_item,
            items.put_item,
            items.update_item,
            items.delete_item,
            queries.query,
            queries.scan,
            batches.batch_get_item,
            batches.batch_write_item,
            transactions.transact_get_items,
            transactions.RequestTokens().transact_write_items,
        )
        of_tables = (
            tables.create_table,
            tables.describe_table,
            tables.delete_table,
            tables.list_tables,
            tables.update_table,
            tables.update_time_to_live,
            tables.describe_time_to_live,
            tables.tag_resource,
            tables.untag_resource,
            tables.list_tags_of_resource,
        )
        operations: dict[str, Callable[[Any], Any]] = {
            _operation_name(function): partial(function, find_store) for function in of_items
        }
        return operations | {_operation_name(function): function for function in of_tables}

    def answer(self, request: Any) -> Answer:
        """Status, headers and body for one prepared botocore request."""
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        return self.answer_to(headers.get("x-amz-target", ""), request.body)

    def answer_to(self, target: str, body: bytes | str | None) -> Answer:
        """Status, headers and body for a request.

        Args:
            target: the header ``X-Amz-Target``.
            body: the JSON of the request.

        Raises:
            ConcurrencyError: in the handler of a signal that came in the middle of another request of the thread.
        """
        status = 200
        try:
            reply = self._reply(target, body)
        except ServiceError as error:
            status, reply = error.status, msgspec.json.encode(error.body())
        request_id = uuid.uuid4().hex.upper()
        headers = {
            "content-type": JSON,
            "x-amzn-requestid": f"{request_id}{request_id[:20]}",
            "x-amz-crc32": str(zlib.crc32(reply)),
        }
        return status, headers, reply

    def _reply(self, target: str, body: bytes | str | None) -> bytes:
        operation = target.removeprefix(_TARGETS[0])
        read = None if operation == target else reader_of(operation)
        if read is None:
            raise ServiceError("UnknownOperationException")
        if not body:
            raise unreadable()
        try:
            request = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise unreadable() from None
        try:
            return self._carried_out(operation, {} if request == [] else read(request))
        except RequestError as error:
            raise error.counted() if operation in _COUNTING else error from None

    def _carried_out(self, operation: str, request: Mapping[str, Any]) -> bytes:
        require_constraints(operation, request)
        carry_out = self._operations.get(operation)
        with self._lock:
            if self._busy_process is this_process.token:
                raise ConcurrencyError(
                    f"{operation}: the embedded engine is in the middle of another request of this thread. The handler "
                    f"of a signal cannot send it one: let it note the signal, and send the request afterwards."
                )
            try:
                self._busy_process = this_process.token
                if carry_out is None:
                    return self._moto_operations.reply(operation, request)
                # Encoded inside the lock: an answer shares the items of the table.
                return msgspec.json.encode(carry_out(request))
            finally:
                self._busy_process = None


@cache
def _operation_name(function: Callable[..., Any]) -> str:
    return "".join(word.capitalize() for word in function.__name__.split("_"))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
