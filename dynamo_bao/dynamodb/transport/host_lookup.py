"""The addresses of a host, looked up with a time limit."""

from __future__ import annotations

import socket
import threading
from typing import Any

from dynamo_bao.runtime.foreign_errors import is_foreign


class HostLookup:
    """Looks up the addresses of a host in a separate thread, because a lookup itself has no time limit.

    Args:
        host, port: the server.
    """

    def __init__(self, host: str, port: int) -> None:
        # A name that is ASCII needs no codec for names of other alphabets, which would be imported for it.
        self._address = host.encode() if host.isascii() else host, port
        self._end_event = threading.Event()
        self._addresses: list[Any] = []
        self._failure: OSError | None = None

    def start(self) -> HostLookup:
        """Begins the lookup; in this thread if the host is an address, or if no thread can be started."""
        host = self._address[0]
        is_address = host.replace(b".", b"").isdigit() or b":" in host if isinstance(host, bytes) else False
        if is_address:
            self._run()
        else:
            try:
                threading.Thread(target=self._run, daemon=True, name="dynamo_bao name lookup").start()
            except RuntimeError:  # the interpreter is about to end
                self._run()
        return self

    @property
    def has_ended(self) -> bool:
        """Whether the lookup has ended, with addresses or an error."""
        return self._end_event.is_set()

    def _run(self) -> None:
        try:
            host, port = self._address
            self._addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            if is_foreign(error):  # of a signal's handler, where this is the main thread
                self._failure = OSError("looking up the host's name was interrupted")
                raise
            self._failure = error
        except UnicodeError as error:
            self._failure = OSError(f"the host's name cannot be looked up ({error})")
        finally:
            self._end_event.set()

    def addresses(self, seconds: float) -> list[Any]:
        """The addresses, as ``getaddrinfo`` returns them.

        Args:
            seconds: how long to wait for the end of the lookup.

        Raises:
            OSError: if the host has none, or if the lookup does not end in time.
        """
        if not self._end_event.wait(seconds):
            raise TimeoutError("the host's name was not resolved in time")
        if self._failure is not None:
            raise type(self._failure)(*self._failure.args) from self._failure
        return self._addresses
