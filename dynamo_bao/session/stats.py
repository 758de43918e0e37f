"""A session's figures."""

from __future__ import annotations

from attrs import define

from dynamo_bao.capacity import Capacity
from dynamo_bao.transport.messages import Reply


@define
class Stats:
    """What a session did so far; printed, it is one screen.

    Attributes:
        lookups: finds by key, cached ones included.
        cache_hits: lookups answered by the identity map.
        batches: ``BatchGetItem`` replies taken.
        keys_fetched: keys sent in lookups.
        requests: requests on the wire, repeated ones included.
        round_trips: times the program waited for DynamoDB; requests sent together count once.
        retries: requests that were repeated.
        unprocessed: keys that DynamoDB left unprocessed in some reply.
        read_capacity, write_capacity: capacity units consumed, as DynamoDB reported them.
        seconds_waited: seconds spent waiting between attempts.
    """

    lookups: int = 0
    cache_hits: int = 0
    batches: int = 0
    keys_fetched: int = 0
    requests: int = 0
    round_trips: int = 0
    retries: int = 0
    unprocessed: int = 0
    read_capacity: float = 0.0
    write_capacity: float = 0.0
    seconds_waited: float = 0.0

    @property
    def capacity(self) -> Capacity:
        """Both capacities as one value."""
        return Capacity(self.read_capacity, self.write_capacity)

    def count(self, reply: Reply) -> None:
        """Adds one reply's figures."""
        self.requests += reply.attempts
        self.retries += reply.attempts - 1
        self.read_capacity += reply.capacity.read
        self.write_capacity += reply.capacity.write
        self.seconds_waited += reply.waited
        left = reply.parsed.get("UnprocessedKeys")
        if left:
            self.unprocessed += sum(len(entry["Keys"]) for entry in left.values())

    def __str__(self) -> str:
        rows = (
            ("lookups", f"{self.lookups} ({self.cache_hits} from the cache)"),
            ("keys fetched", f"{self.keys_fetched} in {self.batches} batches"),
            ("round trips", f"{self.round_trips}"),
            (
                "requests",
                f"{self.requests} ({self.retries} repeated, {self.unprocessed} keys left unprocessed)",
            ),
            ("capacity", f"{self.read_capacity:g} read, {self.write_capacity:g} write units"),
            ("waited", f"{self.seconds_waited:.3f} s between attempts"),
        )
        return "\n".join(f"{name:<13} {figure}" for name, figure in rows)
