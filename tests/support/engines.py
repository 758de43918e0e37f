"""The DynamoDB engines of integration tests: their abilities, and how to start them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import programs
from tests.support.packages import CACHE, FETCH_COMMAND, package_for, platform_name
from tests.support.server import HOST, Server

ENGINES = ("moto", "dynoxide", "dynamodb-local")

# What an engine cannot do, measured, with the reason shown for a test that is skipped over it.
LACKS: dict[str, dict[str, str]] = {
    "moto": {
        "content_length_header": "its in-process responses carry no such header",
        "other_processes": "it lives inside one process, which no other can reach",
    },
    "dynoxide": {},
    "dynamodb-local": {
        "all_old_on_condition_failure": "this version is older than that feature of DynamoDB",
        "empty_strings": "this version still refuses them, as DynamoDB did then",
        "adding_indexes": "adding an index to a table does not always end in this version",
        "over_10_transaction_actions": "this version still has DynamoDB's first limit of 10",
    },
}
CAPABILITIES = frozenset(capability for lacks in LACKS.values() for capability in lacks)


class EngineUnavailable(Exception):
    """An engine is not available on this computer. The message says why, and what to run."""


@dataclass(frozen=True)
class Engine:
    """An engine ready for use. `endpoint_url` is None for the one that runs inside the test process."""

    name: str
    endpoint_url: str | None
    lacks: frozenset[str]


def chosen_engines(options: Iterable[str]) -> tuple[str, ...]:
    """The engines named by the `--engine` options, in a fixed order; all of them if there is no option."""
    names = {name.strip() for option in options for name in option.split(",")} or {"all"}
    unknown = names - {*ENGINES, "all"}
    if unknown:
        raise ValueError(
            f"no such engine: {', '.join(sorted(unknown))} (choose from {', '.join(ENGINES)}, all)"
        )
    return tuple(name for name in ENGINES if name in names or "all" in names)


def quick_engine(engines: tuple[str, ...]) -> str:
    """The one of these engines that tests of own work run on: dynoxide, where it exists for this computer."""
    has_dynoxide = "dynoxide" in engines and package_for("dynoxide", platform_name()) is not None
    return "dynoxide" if has_dynoxide else engines[0]


def quick_engines(engines: tuple[str, ...]) -> tuple[str, ...]:
    """Those of these engines that answer within a millisecond: all but DynamoDB Local, unless it is the only one."""
    return tuple(name for name in engines if name != "dynamodb-local") or engines


def reason_to_skip(engine: str, needs: Iterable[str]) -> str | None:
    """The reason why a test with these needs cannot run on the engine; None if it can."""
    lacks = LACKS[engine]
    missing = [f"{need}: {lacks[need]}" for need in needs if need in lacks]
    return f"{engine} cannot do {'; '.join(missing)}" if missing else None


def program_of(engine: str, cache: Path) -> Path:
    """The file the engine is started from."""
    package = package_for(engine, platform_name())
    if package is None:
        raise EngineUnavailable(f"{engine} is not available for {platform_name()}")
    program = package.program_path(cache)
    if not program.is_file():
        raise EngineUnavailable(f"{engine} has not been fetched; run: {FETCH_COMMAND}")
    return program


def start_dynoxide(cache: Path) -> Server:
    """Without a database path it keeps everything in memory."""
    program = program_of("dynoxide", cache)
    return Server("dynoxide", [str(program), "--host", HOST, "--port", "{port}"], program.parent)


def start_dynamodb_local(cache: Path) -> Server:
    """In memory, one database for all credentials and regions; a small heap, as each worker starts one."""
    jar = program_of("dynamodb-local", cache)
    java = programs.java()
    if java is None:
        raise EngineUnavailable(f"dynamodb-local needs Java; run: {FETCH_COMMAND}")
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # its compiler took a third of its time
    options = ["-Xmx256m", *quick, "-Djava.library.path=./DynamoDBLocal_lib"]
    command = [java, *options, "-jar", jar.name, "-inMemory", "-sharedDb", "-port", "{port}"]
    return Server("dynamodb-local", command, jar.parent)


STARTERS = {"dynoxide": start_dynoxide, "dynamodb-local": start_dynamodb_local}


def require_moto() -> None:
    if importlib.util.find_spec("moto") is None:
        raise EngineUnavailable("moto is not installed; run: pip install 'moto[dynamodb]'")


@dataclass
class Engines:
    """Starts each engine at its first use, and remembers failures instead of retrying."""

    cache: Path = CACHE
    _servers: dict[str, Server] = field(default_factory=dict)
    _failures: dict[str, Exception] = field(default_factory=dict)

    def get(self, name: str) -> Engine:
        """The engine, started and alive."""
        lacks = frozenset(LACKS[name])
        if name == "moto":
            require_moto()
            return Engine(name, None, lacks)
        return Engine(name, self._server(name).url, lacks)

    def _server(self, name: str) -> Server:
        if name in self._failures:
            raise self._failures[name]
        if name not in self._servers:
            try:
                self._servers[name] = STARTERS[name](self.cache)
            except Exception as error:
                self._failures[name] = error
                raise
        self.check(name)
        return self._servers[name]

    def check(self, name: str) -> None:
        """Raise `ServerError` if the engine has died since it was started."""
        if name in self._servers:
            self._servers[name].check()

    def stop(self) -> None:
        """Stops all engines, even if one of them fails to stop."""
        with ExitStack() as stack:
            while self._servers:
                _, server = self._servers.popitem()
                stack.callback(server.stop)
