"""Stores the packages of the environment, row by row, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from dynamo_bao import run_with_batch_context
from examples.package_explorer.metadata import Clause, Distribution
from examples.package_explorer.models import Credit, File, Package, Person, Requirement
from examples.package_explorer.people import Contact

OnRow = Callable[[Distribution], None]
"""Called after each row that was stored, with the distribution it belongs to."""


FILES_AT_ONCE = 500
"""How many files are stored together."""


def count_rows(distributions: Sequence[Distribution]) -> int:
    """The number of rows that `load` stores for the distributions, without persons."""
    return sum(
        1 + len(distribution.contacts) + len(clauses_by_project(distribution)) + len(distribution.files)
        for distribution in distributions
    )


def load(distributions: Sequence[Distribution], on_row: OnRow = lambda distribution: None) -> None:
    """Stores all distributions. Their files come last, because there are many.

    Each distribution has batch contexts of its own, so that no context has everything in memory.
    """
    people = People()
    for store in (partial(_store_package, people=people), _store_files):
        for distribution in distributions:
            with run_with_batch_context():
                for _ in store(distribution):
                    on_row(distribution)


def _store_package(distribution: Distribution, people: People) -> Iterator[object]:
    """Stores a package, its credits and its requirements, giving each row as it is stored."""
    persons = people.find_or_create(distribution.contacts)
    package = _create_package(distribution, persons[0] if persons else None)
    yield package
    for person, contact in zip(persons, distribution.contacts, strict=True):
        yield Credit.create(
            package_id=package.package_id, person_id=person.person_id, roles=set(contact.roles)
        )
    for project, clauses in clauses_by_project(distribution).items():
        yield _create_requirement(package, project, clauses)


def _store_files(distribution: Distribution) -> Iterator[File]:
    """Stores the files of a package together, many in each request, and gives each after that.

    The table is new, so there is nothing to overwrite. With `overwrite` no file needs a condition, and so they can
    travel 25 at a time.
    """
    for first in range(0, len(distribution.files), FILES_AT_ONCE):
        files = [
            File(package_id=distribution.package_id, path=file.path, size=file.size, digest=file.digest)
            for file in distribution.files[first : first + FILES_AT_ONCE]
        ]
        with run_with_batch_context() as session:
            session.add(*files, overwrite=True)
            session.commit()
        yield from files


def _create_package(distribution: Distribution, author: Person | None) -> Package:
    return Package.create(
        package_id=distribution.package_id,
        name=distribution.name,
        version_=distribution.version,
        summary=distribution.summary,
        home_page=distribution.home_page,
        licence=distribution.licence,
        python=distribution.python,
        file_count=len(distribution.files),
        total_size=sum(file.size or 0 for file in distribution.files),
        author_id=author.person_id if author else None,
    )


def _create_requirement(package: Package, project: str, clauses: Sequence[Clause]) -> Requirement:
    return Requirement.create(
        package_id=package.package_id,
        required_id=project,
        optional=all(clause.optional for clause in clauses),
        clauses=[
            {"specifier": clause.specifier, "extras": list(clause.extras), "marker": clause.marker}
            for clause in clauses
        ],
    )


def clauses_by_project(distribution: Distribution) -> dict[str, list[Clause]]:
    """The requirements of a distribution, with all lines about one project together."""
    clauses: dict[str, list[Clause]] = {}
    for clause in distribution.clauses:
        clauses.setdefault(clause.project, []).append(clause)
    return clauses


class People:
    """The persons that are stored so far. An address belongs to one person. Without an address, the name does."""

    def __init__(self) -> None:
        self._by_name: dict[str, Person] = {}

    def find_or_create(self, contacts: Sequence[Contact]) -> list[Person]:
        """The stored persons of contacts. All are looked up together."""
        emails = {contact.email for contact in contacts if contact.email is not None}
        by_email = Person.batch_find_by_unique_constraint("email", emails)
        return [self._person_of(contact, by_email) for contact in contacts]

    def _person_of(self, contact: Contact, by_email: dict[str, Person | None]) -> Person:
        name = contact.name or contact.email or ""
        if contact.email is None:
            if name not in self._by_name:
                self._by_name[name] = Person.create(name=name)
            return self._by_name[name]
        person = by_email[contact.email]
        if person is None:
            person = by_email[contact.email] = Person.create(name=name, email=contact.email)
        return person


class _RateColumn(ProgressColumn):
    """Rows per second: the current rate during the work, and the average at the end."""

    def render(self, task: Task) -> Text:
        rate = task.completed / task.elapsed if task.finished and task.elapsed else task.speed
        return Text(f"{rate:,.0f} rows/s" if rate else "", style="progress.data.speed")


def load_with_progress(distributions: Sequence[Distribution], console: Console) -> None:
    """`load` with a progress bar: stored rows, rate, and remaining time."""
    columns = (
        TextColumn("Loading"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("[dim]{task.fields[package]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("loading", total=count_rows(distributions), package="")
        load(distributions, lambda distribution: progress.update(task, advance=1, package=distribution.name))
        progress.update(task, package="")
