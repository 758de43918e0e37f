"""A session's figures."""

from __future__ import annotations

from dynamo_bao.dynamodb.capacity import Capacity
from dynamo_bao.dynamodb.transport.messages import FailedRequest, Reply
from dynamo_bao.runtime.records import Factory, define


@define
class Stats:
    """The figures of a session so far. `print` shows them as a table.

    Attributes:
        lookups: finds by key, with those that the cache answered.
        cache_hits: lookups that the identity map answered.
        batches: replies to ``BatchGetItem``.
        keys_fetched: keys in the requests of lookups.
        requests: HTTP requests, with retries.
        round_trips: how often the program waited for DynamoDB. Requests that are sent together count once.
        waves: like `round_trips`, but requests beyond `max_concurrency` count as another wait.
        retries: requests that were repeated, also for keys and items that a reply left unprocessed.
        unprocessed: keys and writes that DynamoDB left unprocessed in some reply.
        read_capacity, write_capacity: capacity units consumed, as DynamoDB reported them.
        seconds_waited: seconds of waiting between attempts, also for keys and items that a reply left unprocessed.
        throttled: requests that DynamoDB refused because of throughput.
        throttling_reasons: the number of these by DynamoDB's reason.
        retry_after: the sum of the seconds that DynamoDB asked to wait after them.
        prefetched: queries that were fetched in advance for peers.
        prefetched_unused: how many of them were not used so far.

    Example:
        >>> with run_with_batch_context() as session:
        ...     users = [User.find(id) for id in ids]
        ...     print(session.stats)
    """

    lookups: int = 0
    cache_hits: int = 0
    batches: int = 0
    keys_fetched: int = 0
    requests: int = 0
    round_trips: int = 0
    waves: int = 0
    retries: int = 0
    unprocessed: int = 0
    read_capacity: float = 0.0
    write_capacity: float = 0.0
    seconds_waited: float = 0.0
    throttled: int = 0
    throttling_reasons: dict[str, int] = Factory(dict)
    retry_after: float = 0.0
    prefetched: int = 0
    prefetched_unused: int = 0

    @property
    def capacity(self) -> Capacity:
        """Both capacities as one value."""
        return Capacity(self.read_capacity, self.write_capacity)

    def count(self, reply: Reply) -> None:
        """Adds one reply's figures.

        Args:
            reply: the reply to a request.
        """
        self._count_attempts(reply)
        read, write = reply.capacity
        self.read_capacity += read
        self.write_capacity += write
        body = reply.parsed
        unprocessed = body.get("UnprocessedKeys") or body.get("UnprocessedItems")
        if unprocessed:
            members = (entry["Keys"] if isinstance(entry, dict) else entry for entry in unprocessed.values())
            self.unprocessed += sum(map(len, members))

    def count_failure(self, failure: FailedRequest) -> None:
        """Adds the figures of a request that ended with an error.

        Args:
            failure: the request and what is known of its attempts.
        """
        self._count_attempts(failure)

    def _count_attempts(self, outcome: Reply | FailedRequest) -> None:
        self.requests += outcome.attempts
        self.retries += outcome.attempts - 1 + outcome.repeated
        self.seconds_waited += outcome.waited
        for throttling in outcome.throttlings:
            self.throttled += 1
            self.retry_after += throttling.retry_after or 0.0
            for reason in throttling.reasons:
                self.throttling_reasons[reason] = self.throttling_reasons.get(reason, 0) + 1

    def __str__(self) -> str:
        rows = [
            ("lookups", f"{self.lookups} ({self.cache_hits} from the cache)"),
            ("keys fetched", f"{self.keys_fetched} in {self.batches} batches"),
            ("round trips", f"{self.round_trips}"),
            (
                "requests",
                f"{self.requests} ({self.retries} repeated, {self.unprocessed} keys left unprocessed)",
            ),
            ("capacity", f"{self.read_capacity:g} read, {self.write_capacity:g} write units"),
            ("waited", f"{self.seconds_waited:.3f} s between attempts"),
        ]
        if self.prefetched:
            rows.append(
                ("prefetched", f"{self.prefetched} queries ({self.prefetched_unused} of them not used)")
            )
        if self.throttled:
            reasons = ", ".join(f"{reason} ({count})" for reason, count in self.throttling_reasons.items())
            rows.append(("throttled", f"{self.throttled} requests{reasons and f': {reasons}'}"))
        return "\n".join(f"{name:<13} {figure}" for name, figure in rows)
