"""The cost of objects without DynamoDB: reading a loaded field, decoding an item.

Run with ``python -m benchmarks.objects``. Contenders are measured in turns, and the medians are compared, so that
other work on the machine affects all alike.
"""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Callable
from typing import Any

import attrs

from dynamo_bao import Model, PrimaryKey, init_models, run_with_batch_context
from dynamo_bao.models.class_builder import schema_of

ROUNDS = 15


class User(Model, prefix="u"):
    user_id: str
    name: str
    email: str
    age: int

    primary_key = PrimaryKey("user_id")


@attrs.define(slots=False)
class AttrsUser:
    user_id: str
    name: str
    email: str
    age: int


def medians(contenders: dict[str, Callable[[], Any]], number: int) -> dict[str, float]:
    """The median seconds of one call of each contender, measured in turns."""
    timers = {name: timeit.Timer(call) for name, call in contenders.items()}
    rounds: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            rounds[name].append(timer.timeit(number) / number)
    return {name: statistics.median(times) for name, times in rounds.items()}


def reading() -> float:
    """The cost of reading a loaded field, as a ratio to the field of an attrs object, in a loop."""
    with run_with_batch_context():
        instance = User.find("1")
        assert instance.name == "Ada"
    attrs_user = AttrsUser("1", "Ada", "ada@example.com", 36)
    timers = {
        "loaded": timeit.Timer("for o in objects: o.name", globals={"objects": [instance] * 10}),
        "plain": timeit.Timer("for o in objects: o.name", globals={"objects": [attrs_user] * 10}),
    }
    rounds: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            rounds[name].append(timer.timeit(100_000) / 1_000_000)
    times = {name: statistics.median(values) for name, values in rounds.items()}
    print(f"reading a field   loaded {times['loaded'] * 1e9:6.1f} ns   attrs {times['plain'] * 1e9:6.1f} ns")
    return times["loaded"] / times["plain"]


def decoding() -> None:
    """Microseconds of decoding 100 items of four fields, by the compiled function and by a loop over the fields."""
    schema = schema_of(User)
    item = {"user_id": {"S": "1"}, "name": {"S": "Ada"}, "email": {"S": "a@example.com"}, "age": {"N": "36"}}

    key_values = {"user_id": "1"}
    fields = [(field.name, field.attribute, field.from_dynamo) for field in schema.fields.values()]

    def compiled() -> None:
        for _ in range(100):
            schema.decode(item, None, key_values)

    def looped() -> None:
        for _ in range(100):
            {name: from_dynamo(item[attribute]) for name, attribute, from_dynamo in fields}

    seconds = medians({"compiled": compiled, "looped": looped}, 100)
    micro = {name: f"{taken * 1e6:6.1f} µs" for name, taken in seconds.items()}
    print(f"decoding 100      compiled {micro['compiled']}   loop over fields {micro['looped']}")


def main() -> None:
    """Prints the figures."""
    with init_models(models=[User], embedded=True):
        User.create(user_id="1", name="Ada", email="ada@example.com", age=36)
        print(f"                  {reading():.2f} times a plain attrs object (the bar is 1.20)")
        decoding()


if __name__ == "__main__":
    main()
