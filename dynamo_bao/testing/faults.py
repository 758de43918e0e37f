"""A transport that injects faults, repeatably by a seed.

Faults are injected below the retries, as by the network, so the library reacts to them as in production. A damaged
reply passes the same checks as a reply from the network.
"""

from __future__ import annotations

import base64
import json
import random
import threading
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from dynamo_bao.dynamodb.service import BATCH_GET_ITEM, BATCH_WRITE_ITEM
from dynamo_bao.dynamodb.transport.error_mapping import throttled_error
from dynamo_bao.dynamodb.transport.integrity import check_length_and_crc, parse_reply
from dynamo_bao.dynamodb.transport.messages import (
    AttemptFailed,
    Clock,
    Request,
    RequestOutcome,
    RequestSender,
    Throttling,
    tables_of,
)
from dynamo_bao.dynamodb.transport.reply_check import checked
from dynamo_bao.dynamodb.transport.retry import RetryingTransport
from dynamo_bao.errors import ConfigurationError, DataFormatError
from dynamo_bao.runtime.foreign_errors import is_from_signal

Send = Callable[[Request], dict[str, Any]]


class Fault(Protocol):
    """Decides the result of one attempt. `send` sends the request without a fault.

    An ``OSError`` that it raises is one of the network: with ``ConnectionRefusedError``, the request was not sent; with
    any other one, such as ``TimeoutError``, it is not known whether it was carried out.

    Example:
        >>> def refused(request, send, chance):
        ...     raise ConnectionRefusedError
        >>> transport.inject(refused)
    """

    def __call__(self, request: Request, send: Send, chance: random.Random) -> dict[str, Any]:
        """Returns the body of the reply, or raises the error of the attempt."""
        ...


class FaultInjectingTransport(RetryingTransport):
    """A transport whose attempts fail as `faults` say.

    Args:
        wire: sends the attempts: the ``wire`` of `embedded_transport()` or of `boto_transport()`.
        faults: one for each attempt, in order, None for an attempt without a fault. Attempts after the last one have
            no fault. A single fault applies to every attempt.
        operations: the operations with faults; all by default.
        seed: makes random choices repeatable.
        clock: for deadlines and waits.

    Raises:
        ConfigurationError: if `wire` makes no attempts, or `operations` is a single text.

    Example:
        >>> transport = FaultInjectingTransport(embedded_transport().wire, unprocessed(0.3), seed=7)
        >>> manager = init_models(transport=transport)
    """

    def __init__(
        self,
        wire: RequestSender,
        faults: Fault | Iterable[Fault | None] = (),
        *,
        operations: Iterable[str] | None = None,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> None:
        if not callable(getattr(wire, "attempt", None)):
            raise ConfigurationError(
                f"wire={wire!r:.80}: faults are injected below the retries; give the wire of a transport, as in "
                f"FaultInjectingTransport(embedded_transport().wire)."
            )
        if isinstance(operations, str):  # its letters would be taken for names, and no fault injected
            raise ConfigurationError(f"operations={operations!r}: give a list, as in [{operations!r}].")
        super().__init__(_FaultySender(wire, operations, seed), clock)
        self.inject(faults)

    @property
    def faulty(self) -> _FaultySender:
        """The sender that injects the faults."""
        wire: Any = self.wire
        return wire  # type: ignore[no-any-return]

    @property
    def attempts(self) -> int:
        """The number of attempts, including those with faults."""
        return self.faulty.attempts

    def inject(self, faults: Fault | Iterable[Fault | None] | None) -> None:
        """Sets the faults of the following attempts.

        Args:
            faults: one fault for all attempts, or one for each of the next attempts; None for no fault.

        Example:
            >>> transport.inject([throttled(), None])
        """
        self.faulty.set(faults)


class _FaultySender:
    def __init__(self, wire: RequestSender, operations: Iterable[str] | None, seed: int) -> None:
        self._wire = wire
        self._operations = None if operations is None else frozenset(operations)
        self._chance = random.Random(seed)
        self._lock = threading.RLock()
        self._next: Callable[[], Fault | None] = lambda: None
        self.attempts: int = 0

    def set(self, faults: Fault | Iterable[Fault | None] | None) -> None:
        if callable(faults):
            always: Fault = faults
            self._next = lambda: always
        else:
            turns = iter(faults or ())
            self._next = lambda: next(turns, None)

    @property
    def client(self) -> Any:
        """The boto3 client of the wire below."""
        wire: Any = self._wire
        return wire.client

    def attempt(self, request: Request, seconds: float) -> dict[str, object]:
        with self._lock:
            self.attempts += 1
            suffers = self._operations is None or request.operation in self._operations
            fault = self._next() if suffers else None
            chance = random.Random(self._chance.random())

        def send(request: Request) -> dict[str, object]:
            return self._wire.attempt(request, seconds)

        if fault is None:
            return send(request)
        # Faults read and change items as dicts.
        try:
            body = fault(Request(request.operation, request.parameters, request.repeatable), send, chance)
        except OSError as error:
            if is_from_signal(error):
                raise
            is_sent = not isinstance(error, ConnectionRefusedError)
            raise AttemptFailed(
                error, RequestOutcome.UNKNOWN if is_sent else RequestOutcome.NOT_SENT
            ) from error
        try:
            return checked(request, body, is_vouched=False)
        except DataFormatError as error:
            raise AttemptFailed(error, RequestOutcome.UNKNOWN) from error

    def close(self) -> None:
        self._wire.close()


def unprocessed(share: float) -> Fault:
    """Leaves keys or writes of a batch unprocessed.

    Args:
        share: the probability for each of them, from 0 to 1.

    Returns:
        The fault.

    Example:
        >>> transport.inject(unprocessed(0.5))
    """

    def fault(request: Request, send: Send, chance: random.Random) -> dict[str, object]:
        if request.operation not in (BATCH_GET_ITEM, BATCH_WRITE_ITEM):
            return send(request)
        reads = request.operation == BATCH_GET_ITEM
        processed_tables: dict[str, object] = {}
        unprocessed_tables: dict[str, object] = {}
        for table, entry in request.parameters["RequestItems"].items():
            members = entry["Keys"] if reads else entry
            processed = [member for member in members if chance.random() >= share]
            unprocessed_members = [member for member in members if member not in processed]
            for part, keys in ((processed_tables, processed), (unprocessed_tables, unprocessed_members)):
                if keys:
                    part[table] = {**entry, "Keys": keys} if reads else keys
        body: dict[str, object] = {"Responses": {}} if reads else {}
        if processed_tables:
            body = send(Request(request.operation, {**request.parameters, "RequestItems": processed_tables}))
        return {**body, "UnprocessedKeys" if reads else "UnprocessedItems": unprocessed_tables}

    return fault


def throttled(*, reasons: Iterable[str] = (), retry_after: float | None = None) -> Fault:
    """DynamoDB throttles the request, and does not execute it.

    Args:
        reasons: the throttling reasons of the reply, such as ``"TableReadKeyRangeThroughputExceeded"``.
        retry_after: the seconds after which the reply asks to retry.

    Returns:
        The fault.

    Example:
        >>> transport.inject(throttled())
    """
    reason_names = tuple(reasons)

    def fault(request: Request, send: Send, chance: random.Random) -> dict[str, object]:
        throttling = Throttling(
            ", ".join(tables_of(request)), request.written.get("IndexName"), reason_names, retry_after
        )
        error = throttled_error("ProvisionedThroughputExceededException", request.operation, throttling)
        raise AttemptFailed(error, RequestOutcome.REFUSED, retry_after)

    return fault


def lost_reply(*, carried_out: bool = True) -> Fault:
    """The connection breaks before the reply arrives.

    Args:
        carried_out: whether DynamoDB executes the request before.

    Returns:
        The fault.

    Example:
        >>> transport.inject(lost_reply())
    """

    def fault(request: Request, send: Send, chance: random.Random) -> dict[str, object]:
        if carried_out:
            send(request)
        raise AttemptFailed(
            ConnectionResetError("the connection broke before the reply"), RequestOutcome.UNKNOWN
        )

    return fault


def refused_connection() -> Fault:
    """The endpoint refuses the connection, so the request is not sent.

    Returns:
        The fault.

    Example:
        >>> transport.inject([refused_connection(), None])
    """

    def fault(request: Request, send: Send, chance: random.Random) -> dict[str, object]:
        raise AttemptFailed(
            ConnectionRefusedError("nothing listens at the endpoint"), RequestOutcome.NOT_SENT
        )

    return fault


def damaged(how: str) -> Fault:
    """DynamoDB executes the request, and its reply is damaged on the way.

    Args:
        how: ``"empty"``, ``"html"``, ``"truncated"``, ``"crc"`` (a wrong checksum) or ``"flipped"`` (one
            changed byte).

    Returns:
        The fault.

    Raises:
        ValueError: for another text.

    Example:
        >>> transport.inject(damaged("truncated"))
    """
    if how not in _DAMAGES:
        raise ValueError(f"damaged({how!r}): use one of {', '.join(_DAMAGES)}.")

    def fault(request: Request, send: Send, chance: random.Random) -> dict[str, object]:
        body = json.dumps(send(request), default=_as_wire).encode()
        headers = {"content-length": str(len(body)), "x-amz-crc32": str(zlib.crc32(body))}
        body = _DAMAGES[how](body, headers, chance)
        try:
            check_length_and_crc(headers, body, request.operation)
            return parse_reply(body, request.operation)
        except DataFormatError as error:
            raise AttemptFailed(error, RequestOutcome.UNKNOWN) from error

    return fault


def _as_wire(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _replaced(body: bytes, headers: dict[str, str]) -> bytes:
    """A foreign body, with headers that fit it."""
    headers.clear()
    headers["content-length"] = str(len(body))
    return body


def _flipped(body: bytes, headers: dict[str, str], chance: random.Random) -> bytes:
    index = chance.randrange(len(body))
    return body[:index] + bytes([body[index] ^ 1]) + body[index + 1 :]


def _wrong_crc(body: bytes, headers: dict[str, str], chance: random.Random) -> bytes:
    headers["x-amz-crc32"] = str(zlib.crc32(body) ^ 1)
    return body


_DAMAGES: dict[str, Callable[[bytes, dict[str, str], random.Random], bytes]] = {
    "empty": lambda body, headers, chance: _replaced(b"", headers),
    "html": lambda body, headers, chance: _replaced(b"<html><body>Bad gateway</body></html>", headers),
    "truncated": lambda body, headers, chance: body[: chance.randrange(len(body))],
    "crc": _wrong_crc,
    "flipped": _flipped,
}
