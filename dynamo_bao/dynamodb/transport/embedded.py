"""An engine inside this process: moto's DynamoDB, for one client only.

It does not touch other boto3 clients of the process, nor moto's global state. The engine has a separate backend. It
answers one request at a time, so concurrent conditional writes are atomic.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple, NoReturn

from dynamo_bao.dynamodb.transport.embedded_comparisons import compared_by_type
from dynamo_bao.dynamodb.transport.embedded_json import Bodies, NotPlainError, bodies_of
from dynamo_bao.errors import ConfigurationError

REGION = "us-east-1"
CREDENTIALS = {"aws_access_key_id": "embedded", "aws_secret_access_key": "embedded"}

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""
_Partitions = dict[object, list[Any]]
"""The items of an index by their partition key."""
_JSON: Final = "application/x-amz-json-1.0"
_SINGLE: Final = ("GetItem", "PutItem", "UpdateItem", "DeleteItem")
_SEVERAL: Final = (
    "BatchGetItem",
    "BatchWriteItem",
    "TransactGetItems",
    "TransactWriteItems",
    "Query",
    "Scan",
)
_MAKE_NO_TABLE: Final = frozenset((*_SINGLE, *_SEVERAL))
_READS: Final = frozenset(("GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan"))


class _Call(NamedTuple):
    """A request that was read without moto."""

    operation: str
    arguments: object
    bodies: Bodies


class EmbeddedEngine:
    """Answers requests without a network; `botocore.attach` connects it to a client."""

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
        # A separate class: moto makes a handler for each request, and takes the backend from its class.
        self._handler: Any = type("EmbeddedHandler", (DynamoHandler,), {"dynamodb_backend": self._backend})
        self._table_class = _fast_table_class(Table)
        self._lock = threading.Lock()

    def answer(self, request: Any) -> Answer:
        """Status, headers and body for one prepared botocore request."""
        from moto.core.request import normalize_request

        call = _read(request)
        with self._lock, compared_by_type():
            if call is None:
                status, headers, body = self._handler.dispatch(normalize_request(request))
            else:
                status, headers, body = self._carried_out(call, request)
            if call is None or call.operation not in _MAKE_NO_TABLE:
                self._quicken_tables()
            if call is None or call.operation not in _READS:
                self._forget_partitions()
        return status, headers, body.encode() if isinstance(body, str) else body

    def _quicken_tables(self) -> None:
        for table in self._backend.tables.values():
            if table.has_range_key:  # as the library's have; other tables stay as moto made them
                table.__class__ = self._table_class

    def _forget_partitions(self) -> None:
        backend: Any = self._backend
        for table in backend.tables.values():
            table.partitions_by_attribute = {}

    def _carried_out(self, call: _Call, request: Any) -> Any:
        """The answer of moto's handler. moto itself writes errors, and results that are not plain."""
        from moto.core.utils import camelcase_to_underscores

        handler = self._handler()
        handler.body = handler.params = call.arguments
        method = camelcase_to_underscores(call.operation)
        try:
            result = getattr(handler, method)()
        except Exception as error:
            return self._written_by_moto(request, method, partial(_raise, error))
        try:
            return _plain_answer(call.bodies.reply(result.result))
        except NotPlainError:
            return self._written_by_moto(request, method, lambda: result)

    def _written_by_moto(self, request: Any, method: str, outcome: Callable[[], object]) -> Any:
        """The answer with a result or an error that is known already."""
        from moto.core.request import normalize_request

        handler = self._handler()
        handler.setup_class(normalize_request(request))
        setattr(handler, method, outcome)
        return handler.call_action()


def _read(request: Any) -> _Call | None:
    """A request of an operation on items or tables; None if moto has to read it."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    if _text(headers.get("content-type")) != _JSON or "content-encoding" in headers:
        return None
    operation = _text(headers.get("x-amz-target")).rsplit(".", 1)[-1]
    bodies = bodies_of(operation)
    if bodies is None:
        return None
    try:
        return _Call(operation, bodies.arguments(request.body), bodies)
    except (ValueError, TypeError, AttributeError):
        return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


def _raise(error: Exception) -> NoReturn:
    raise error


def _plain_answer(body: bytes) -> Answer:
    # Imported here: only tests need it, and every program would wait for it.
    from email.utils import formatdate

    from moto.utilities.aws_headers import gen_amz_crc32, gen_amzn_requestid_long

    headers = {"server": "amazon.com", "date": formatdate(usegmt=True), "Content-Type": _JSON}
    gen_amzn_requestid_long(headers)
    gen_amz_crc32(body, headers)
    return 200, headers, body


def _fast_table_class(table_class: Any) -> Any:
    """A subclass of moto's table whose costs do not grow with the table.

    moto sorts all items for each query, and copies all of them for each transaction. Here a query gets the items of
    its partition only; reads that follow each other share the partitions of an index. The backup of a transaction
    shares the items with the table; an item is copied when it is read afterwards.
    """
    # Imported here: only programs that embed moto need it.
    import inspect

    signature = inspect.signature(table_class.query)

    class FastTable(table_class):  # type: ignore[misc]  # a class that is not known before run time
        __module__ = table_class.__module__  # moto's metaclass reads it
        partition: list[Any] | None = None
        partitions_by_attribute: dict[str, _Partitions | None]
        copies_on_get = False

        def query(self, *args: Any, **options: Any) -> Any:
            arguments = signature.bind(self, *args, **options).arguments
            self.partition = _partition(self, arguments)
            try:
                return super().query(*args, **options)
            finally:
                self.partition = None

        def all_items(self) -> Any:
            return super().all_items() if self.partition is None else self.partition

        def get_item(self, hash_key: Any, range_key: Any = None, *args: Any, **options: Any) -> Any:
            partition = self.items.get(hash_key, {}) if self.copies_on_get else {}
            if range_key in partition:
                partition[range_key] = copy.deepcopy(partition[range_key])
            return super().get_item(hash_key, range_key, *args, **options)

        def __deepcopy__(self, memo: Any) -> Any:
            self.copies_on_get = True
            backup = copy.copy(self)
            backup.items = copy.copy(self.items)
            for hash_key, partition in self.items.items():
                backup.items[hash_key] = dict(partition)
            return backup

    return FastTable


def _partition(table: Any, arguments: dict[str, Any]) -> list[Any] | None:
    """The items of a query's partition; None if the query has no single partition key."""
    conditions = arguments.get("hash_key_conditions") or []
    if arguments.get("index_name") is None:
        return list(table.items.get(arguments["hash_key"], {}).values())
    if len(conditions) != 1:
        return None
    ((attribute, key),) = conditions
    stored = (item for items in table.items.values() for item in items.values())
    cache: dict[str, _Partitions | None] = table.partitions_by_attribute
    if attribute not in cache:  # the first such query after a write: another write may follow it
        cache[attribute] = None
        return [
            item for item in stored if attribute in item.attrs and item.attrs[attribute].value == key.value
        ]
    partitions = cache[attribute]
    if partitions is None:
        partitions = cache[attribute] = {}
        for item in stored:
            value = item.attrs[attribute].value if attribute in item.attrs else None
            if isinstance(value, (str, bytes)):  # as keys are
                partitions.setdefault(value, []).append(item)
    return partitions.get(key.value, [])
