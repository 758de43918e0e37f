"""What a test asks of either side, in the same words: the commands of `driver.cjs`, with Python's values.

Models, fields, indexes and methods are called by the names of `models.yaml`, as JavaScript has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

Values = dict[str, Any]
Command = dict[str, Any]


class Refused(Exception):
    """A side raised an error of its library; `kind` is the error's class."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


@frozen
class Found:
    """An object as one side shows it: its primary id, and the values of the fields that have one."""

    id: str
    values: Values

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class Side:
    """One of the two libraries, connected to a table."""

    name: str

    def ask(self, do: str, **arguments: Any) -> Any:
        """Carries out a command; raises `Refused` where the library does."""
        raise NotImplementedError

    def open(self, table: str) -> None:
        """Works on this table from now on."""
        raise NotImplementedError

    def stop_clock(self, now: datetime | None) -> None:
        """Lets the time that is written into items stand still, or go on."""
        raise NotImplementedError

    # --- the commands -----------------------------------------------------------------------------

    def create(self, model: str, values: Values, tenant: str | None = None) -> Found:
        """A new item."""
        found: Found = self.ask("create", model=model, values=values, tenant=tenant)
        return found

    def find(self, model: str, id: str, tenant: str | None = None) -> Found | None:
        """An item by its primary id."""
        found: Found | None = self.ask("find", model=model, id=id, tenant=tenant)
        return found

    def find_all(self, model: str, ids: Sequence[str], tenant: str | None = None) -> list[Found | None]:
        """Items by their ids, together in one batch context."""
        found: list[Found | None] = self.ask("find_all", model=model, ids=list(ids), tenant=tenant)
        return found

    def update(
        self,
        model: str,
        id: str,
        values: Values,
        condition: Values | None = None,
        tenant: str | None = None,
    ) -> Found:
        """Changes an item by its id."""
        found: Found = self.ask(
            "update", model=model, id=id, values=values, condition=condition, tenant=tenant
        )
        return found

    def save(
        self, model: str, id: str, values: Values, *, reindex: bool = False, tenant: str | None = None
    ) -> Found:
        """Finds an item, assigns to its fields, and saves it."""
        found: Found = self.ask("save", model=model, id=id, values=values, reindex=reindex, tenant=tenant)
        return found

    def increment(self, model: str, id: str, amounts: dict[str, int], tenant: str | None = None) -> Found:
        """Adds to counters of an item by its id, atomically."""
        found: Found = self.ask("increment", model=model, id=id, amounts=amounts, tenant=tenant)
        return found

    def members(
        self, model: str, id: str, field: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> Found:
        """Finds an item, changes a set of it in place, and saves it."""
        found: Found = self.ask(
            "members", model=model, id=id, field=field, add=sorted(add), remove=sorted(remove)
        )
        return found

    def delete(self, model: str, id: str, condition: Values | None = None, tenant: str | None = None) -> None:
        """Deletes an item by its id."""
        self.ask("delete", model=model, id=id, condition=condition, tenant=tenant)

    def query(
        self,
        model: str,
        index: str,
        value: Any,
        sort: Values | None = None,
        *,
        tenant: str | None = None,
        **options: Any,
    ) -> Any:
        """The items of one partition of an index, or how many there are (``countOnly=True``)."""
        return self.ask(
            "query", model=model, index=index, value=value, sort=sort, options=options, tenant=tenant
        )

    def pages(self, model: str, index: str, value: Any, limit: int) -> list[list[Found]]:
        """The items of one partition, `limit` at a time, each page continued where the one before ended."""
        pages: list[list[Found]] = self.ask("pages", model=model, index=index, value=value, limit=limit)
        return pages

    def unique(self, model: str, name: str, value: Any, tenant: str | None = None) -> Found | None:
        """The item that has a unique value."""
        found: Found | None = self.ask("unique", model=model, name=name, value=value, tenant=tenant)
        return found

    def iterate(self, model: str, bucket: int | None = None, tenant: str | None = None) -> list[Found]:
        """Every item of a model, or of one bucket of it."""
        found: list[Found] = self.ask("iterate", model=model, bucket=bucket, tenant=tenant)
        return found

    def call(self, model: str, id: str, method: str, *values: Any, tenant: str | None = None) -> Any:
        """What a method of an object gives that its relations made."""
        return self.ask("call", model=model, id=id, method=method, values=list(values), tenant=tenant)

    def related(self, model: str, id: str, field: str, tenant: str | None = None) -> Found | None:
        """What a relation of an item points to."""
        found: Found | None = self.ask("related", model=model, id=id, field=field, tenant=tenant)
        return found

    def many(self, commands: list[Command], width: int) -> list[Any]:
        """The outcomes of many commands, `width` of them under way at any time; a `Refused` is one too."""
        outcomes: list[Any] = self.ask("many", commands=commands, width=width)
        return outcomes
