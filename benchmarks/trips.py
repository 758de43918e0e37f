"""How far a call travels through the library: ``python -m benchmarks.trips``.

For each operation it counts the calls of the library's functions, the modules they are in, and how often one call is in
another module than the call before. Fewer changes of module mean code that is easier to follow. Everything is warm, and
the embedded engine answers. The calls of its modules, and those that they make, are no part of the trip: they are not
counted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import dynamo_bao
from dynamo_bao import (
    Index,
    IntegerField,
    Model,
    PrimaryKey,
    StringField,
    UniqueConstraint,
    VersionField,
    init_models,
    run_with_batch_context,
    transaction,
)

LIBRARY = os.path.dirname(dynamo_bao.__file__) + os.sep
ENGINE = os.path.join(LIBRARY, "dynamodb", "transport", "embedded")


class Person(Model, prefix="tp"):
    person_id: str = StringField()
    name: str = StringField(default="")
    team: str = StringField(default="red")
    visits: int = IntegerField(default=0)

    primary_key = PrimaryKey("person_id")
    by_team = Index("team", "person_id", id="gsi1")


class Account(Model, prefix="ta"):
    account_id: str = StringField()
    email: str = StringField()
    version: str | None = VersionField()

    primary_key = PrimaryKey("account_id")
    unique_email = UniqueConstraint("email", id="uc1")


class Trip:
    """Counts the library's calls while a function runs.

    Attributes:
        calls: how many functions of the library were called.
        modules: the files they are in.
        changes: how many calls were in another file than the call before.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.modules: set[str] = set()
        self.changes = 0
        self._last_file = ""
        self._engine_frame: FrameType | None = None

    def run(self, work: Callable[[], Any]) -> None:
        """Calls a function once."""
        sys.setprofile(self._record)
        try:
            work()
        finally:
            sys.setprofile(None)

    def _record(self, frame: FrameType, event: str, argument: object) -> None:
        if self._engine_frame is not None:
            if event == "return" and frame is self._engine_frame:
                self._engine_frame = None
            return
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith((LIBRARY, "<dynamo_bao")):
            return
        if file.startswith(ENGINE):
            self._engine_frame = frame
            return
        self.calls += 1
        self.modules.add(file)
        self.changes += bool(self._last_file) and file != self._last_file
        self._last_file = file


def trips(turn: int) -> dict[str, Trip]:
    """Each operation once, on items of its own."""
    trips_by_name: dict[str, Trip] = {}

    def measure(name: str, work: Callable[[], Any]) -> None:
        trips_by_name[name] = Trip()
        trips_by_name[name].run(work)

    Person.create(person_id=f"p{turn}", name="Ann")
    Person.create(person_id=f"q{turn}", name="Bea")
    with run_with_batch_context():
        measure("find in a context", lambda: Person.find(f"p{turn}"))
        ann, bea = Person.find(f"p{turn}"), Person.find(f"q{turn}")
        measure("first look, 2 pending keys", lambda: ann.name)
        measure("second look", lambda: bea.name)
        ann.name = f"Ann {turn}"
        measure("save of one changed field", ann.save)
        measure("save of nothing", ann.save)
        query = Person.query_by_index("by_team", "red")
        measure("a query read", lambda: list(query))
        measure("update by key", lambda: Person.update(f"p{turn}", name=f"Bob {turn}"))
        measure("delete", bea.delete)
    with run_with_batch_context() as session:
        measure("add 2 new", lambda: session.add(*[Person(person_id=f"n{turn}{n}") for n in "ab"]))
        measure("commit of 2 new", session.commit)
        person = Person.find(f"n{turn}a")
        person.name = "Cy"
        session.add(person)
        session.delete(Person.find(f"n{turn}b"))
        measure("commit of 1 changed, 1 deleted", session.commit)
    measure(
        "create with unique and version", lambda: Account.create(account_id=f"a{turn}", email=f"{turn}@x")
    )

    def save_and_create() -> None:
        with transaction():
            person.name = f"Di {turn}"
            person.save()
            Person.create(person_id=f"t{turn}")

    measure("transaction of a save and a create", save_and_create)
    measure("find outside a context", lambda: Person.find(f"p{turn}").name)
    return trips_by_name


def main() -> None:
    """Prints the second turn: the first compiles and connects."""
    with init_models(models=[Person, Account], table_name="trips", embedded=True) as manager:
        manager.create_table()
        trips(1)
        measured = trips(2)
    print(f"{'operation':38}{'calls':>8}{'modules':>9}{'changes of module':>20}")
    for name, trip in measured.items():
        print(f"{name:38}{trip.calls:8}{len(trip.modules):9}{trip.changes:20}")


if __name__ == "__main__":
    main()
