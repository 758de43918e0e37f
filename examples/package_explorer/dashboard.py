"""What the pages show, gathered with plain loops: nothing here knows whether a batch context is open.

Without one every relation looked at is a request of its own. Inside one the first relation looked at brings
those of the whole loop, so that a dashboard takes at most `MOST_ROUND_TRIPS`, however long its lists are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from examples.package_explorer.models import Credit, File, Package, Person, Requirement

FILES_SHOWN = 12

MOST_ROUND_TRIPS = 8
"""Of a dashboard in a batch context: the package, four queries, and one batch for each of three relations."""


@dataclass(frozen=True)
class PersonLine:
    """One person of a package."""

    person_id: str
    name: str
    email: str | None
    roles: tuple[str, ...]


@dataclass(frozen=True)
class PackageLine:
    """Another package, as a dashboard mentions it; one that is not installed has no version."""

    package_id: str
    name: str
    version: str | None
    summary: str | None
    optional: bool = False
    clauses: tuple[dict[str, Any], ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileLine:
    """One file, with its size relative to the biggest one's."""

    path: str
    size: int
    share: float


@dataclass(frozen=True)
class Dashboard:
    """Everything that one package's page shows."""

    package: dict[str, Any]
    people: tuple[PersonLine, ...]
    requires: tuple[PackageLine, ...]
    required_by: tuple[PackageLine, ...]
    files: tuple[FileLine, ...]


@dataclass(frozen=True)
class PersonPage:
    """Everything that one person's page shows."""

    person: dict[str, Any]
    packages: tuple[PackageLine, ...]


def all_packages() -> list[dict[str, Any]]:
    """The installed packages, by name."""
    return [package.to_dict() for package in Package.all_packages.query(None)]


def build_dashboard(package_id: str) -> Dashboard | None:
    """The dashboard of a package, None if it is not installed."""
    package = Package.find(package_id)
    if not package:
        return None
    return Dashboard(
        package=package.to_dict(),
        people=tuple(_people(package)),
        requires=tuple(sorted(_requires(package), key=lambda line: line.optional)),
        required_by=tuple(sorted(_required_by(package), key=lambda line: line.optional)),
        files=tuple(_biggest_files(package)),
    )


def _people(package: Package) -> Iterator[PersonLine]:
    for credit in Credit.credits_for_package.query(package):
        person = credit.person
        yield PersonLine(person.person_id, person.name, person.email, tuple(sorted(credit.roles)))


def _requires(package: Package) -> Iterator[PackageLine]:
    for requirement in Requirement.requirements_for_package.query(package):
        required = requirement.required
        yield _package_line(required, optional=requirement.optional, clauses=tuple(requirement.clauses))


def _required_by(package: Package) -> Iterator[PackageLine]:
    for requirement in Requirement.dependents_for_required.query(package):
        dependent = requirement.package
        yield _package_line(dependent, optional=requirement.optional, clauses=tuple(requirement.clauses))


def _package_line(package: Package, **more: Any) -> PackageLine:
    """A package by name, version and summary; one that is not installed is missing, hence falsy."""
    if not package:
        return PackageLine(package.package_id, package.package_id, None, None, **more)
    return PackageLine(package.package_id, package.name, package.version, package.summary, **more)


def _biggest_files(package: Package) -> Iterator[FileLine]:
    biggest = 0
    for file in File.files_by_size_for_package.query(package, direction="DESC", limit=FILES_SHOWN):
        size = file.size or 0
        biggest = biggest or size
        yield FileLine(file.path, size, size / biggest if biggest else 0.0)


def build_person_page(person_id: str) -> PersonPage | None:
    """The page of a person, None if there is no such person."""
    person = Person.find(person_id)
    if not person:
        return None
    return PersonPage(person.to_dict(), tuple(_packages_of(person)))


def _packages_of(person: Person) -> Iterator[PackageLine]:
    for credit in Credit.credits_for_person.query(person):
        yield _package_line(credit.package, roles=tuple(sorted(credit.roles)))
