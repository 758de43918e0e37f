"""A TCP proxy on loopback that delays what passes through it, as a network would."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class _Proxy:
    def __init__(self, port: int, delay: float) -> None:
        self._target = port
        self._delay = delay
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.port = 0
        self.started = threading.Event()

    async def serve(self) -> None:
        """Passes on what arrives until `stop` is called."""
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.started.set()
        await self._stop.wait()
        server.close()

    def stop(self) -> None:
        """Ends `serve`, from another thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ways = (self._pass(reader, far_writer), self._pass(far_reader, writer))
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(*ways)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hands on what arrives, each piece after the delay; pieces overtake none before them."""
        while data := await reader.read(65_536):
            await asyncio.sleep(self._delay)
            writer.write(data)
            await writer.drain()
        writer.close()


@contextmanager
def delayed(port: int, round_trip: float) -> Iterator[str]:
    """The URL of a proxy to a port of this machine, through which request and reply take `round_trip` seconds more."""
    proxy = _Proxy(port, round_trip / 2)
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve()), daemon=True)
    thread.start()
    proxy.started.wait(10)
    try:
        yield f"http://127.0.0.1:{proxy.port}"
    finally:
        proxy.stop()
        thread.join(10)
