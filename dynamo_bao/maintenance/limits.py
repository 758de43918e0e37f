"""Limits of the capacity units that jobs consume in a second."""

from __future__ import annotations

from typing import Any, TypeVar

import attrs

from dynamo_bao.dynamodb.table import Database
from dynamo_bao.dynamodb.transport.rate_limit import RateLimitedTransport, UnitRate, checked_rate
from dynamo_bao.errors import ConfigurationError
from dynamo_bao.maintenance.scanners import Scanner
from dynamo_bao.runtime.records import frozen
from dynamo_bao.session.state import ModelMapper

R = TypeVar("R", bound=ModelMapper)


@frozen
class Limits:
    """How many capacity units a job consumes in a second at most.

    Attributes:
        read_units, write_units: the limits; None for no limit.
    """

    read_units: float | None = None
    write_units: float | None = None

    @classmethod
    def of(cls, max_read_units: object = None, max_write_units: object = None) -> Limits:
        """The limits of two arguments.

        Raises:
            ConfigurationError: for anything but positive numbers and None.
        """
        return cls(
            checked_rate(max_read_units, "max_read_units"), checked_rate(max_write_units, "max_write_units")
        )

    def database(self, database: Database) -> Database:
        """The same table. All requests through the result share these limits."""
        if self == Limits():
            return database
        clock = database.transport.clock
        reads, writes = (
            None if limit is None else UnitRate(limit, clock) for limit in (self.read_units, self.write_units)
        )
        return database.through(RateLimitedTransport(database.transport, reads, writes))

    def repository(self, mapper: R) -> R:
        """The same repository. All requests through the result share these limits."""
        return mapper if self == Limits() else with_database(mapper, self.database(mapper.database))

    def scanner(self, way: Scanner) -> Scanner:
        """The same scanner. All requests through the result share these limits."""
        if self == Limits():
            return way
        if not attrs.has(type(way)):
            raise ConfigurationError("Only scanners of dynamo_bao can be limited; take one of scanner_for.")
        scanner: Any = way
        limited_way: Scanner = attrs.evolve(scanner, mapper=self.repository(scanner.mapper))
        return limited_way


def with_database(mapper: R, database: Database) -> R:
    """The same repository for another object of its table."""
    repository: Any = mapper
    other: R = attrs.evolve(repository, database=database)
    return other
