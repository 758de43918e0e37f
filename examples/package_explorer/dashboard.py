"""What the pages show, gathered with plain loops: nothing here knows whether a batch context is open.

Without one every relation looked at is a request of its own. Inside one queries wait until one of them is looked
at, and then run together; the first relation looked at brings those of the whole loop. So a dashboard takes at most
`MOST_ROUND_TRIPS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dynamo_bao import QueryError
from examples.package_explorer.models import Credit, File, Package, Person, Requirement

FILES_SHOWN = 12
FOUND_SHOWN = 100

MOST_ROUND_TRIPS = 4
"""Of a dashboard in a batch context: the package, its four lists, the packages and people these mention, and the
authors of those. None of them grows with the lists (up to the 1,000 keys that one round takes)."""


@dataclass(frozen=True)
class PersonLine:
    """One person of a package."""

    person_id: str
    name: str
    email: str | None
    roles: tuple[str, ...]


@dataclass(frozen=True)
class PackageLine:
    """A package, as a list mentions it; one that is not installed has no version."""

    package_id: str
    name: str
    version: str | None
    summary: str | None
    author: str | None
    optional: bool = False
    clauses: tuple[dict[str, Any], ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexLine:
    """An installed package in the list of all, with its author's name."""

    package: dict[str, Any]
    author: str | None


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


def build_index() -> list[IndexLine]:
    """The installed packages, by name."""
    return list(map(_index_line, Package.all_packages.query(None)))


def _index_line(package: Package) -> IndexLine:
    author = package.author
    return IndexLine(package.to_dict(), author.name if author else None)


def build_found(text: str) -> list[IndexLine]:
    """The packages whose name or summary has every word of a text, by name; all of them where it has none."""
    terms = Package.tokenize_search_query(text)
    try:
        found = Package.search_all(terms, limit=FOUND_SHOWN)
    except QueryError:  # nothing but punctuation
        return build_index()
    return [_index_line(package) for package in sorted(found, key=lambda package: package.package_id)]


def person_with(email: str) -> Person | None:
    """The person with an e-mail address, or None."""
    return Person.unique_email.find(email.strip().lower())


def build_dashboard(package_id: str) -> Dashboard | None:
    """The dashboard of a package, None if it is not installed."""
    package = Package.find(package_id)
    if not package:
        return None
    people = Credit.credits_for_package.query(package, load_related=["person_id"])
    requirements = Requirement.requirements_for_package.query(package, load_related=["required_id.author_id"])
    dependents = Requirement.dependents_for_required.query(package, load_related=["package_id.author_id"])
    files = File.files_by_size_for_package.query(package, direction="DESC", limit=FILES_SHOWN)
    return Dashboard(
        package=package.to_dict(),
        people=tuple(_people(people)),
        requires=tuple(sorted(_requires(requirements), key=_optional)),
        required_by=tuple(sorted(_required_by(dependents), key=_optional)),
        files=tuple(_with_shares(files)),
    )


def _people(credited: Iterable[Credit]) -> Iterator[PersonLine]:
    for credit in credited:
        person = credit.person
        yield PersonLine(person.person_id, person.name, person.email, tuple(sorted(credit.roles)))


def _requires(requirements: Iterable[Requirement]) -> Iterator[PackageLine]:
    for requirement in requirements:
        yield _package_line(requirement.required, requirement)


def _required_by(dependents: Iterable[Requirement]) -> Iterator[PackageLine]:
    for requirement in dependents:
        yield _package_line(requirement.package, requirement)


def _package_line(package: Package, requirement: Requirement) -> PackageLine:
    """The other package of a requirement. One that is not installed is missing, hence falsy."""
    clauses = tuple(requirement.clauses)
    if not package:
        name = package.package_id
        return PackageLine(name, name, None, None, None, requirement.optional, clauses)
    author = package.author
    return PackageLine(
        package.package_id,
        package.name,
        package.version_,
        package.summary,
        author.name if author else None,
        requirement.optional,
        clauses,
    )


def _optional(line: PackageLine) -> bool:
    return line.optional


def _with_shares(files: Iterable[File]) -> Iterator[FileLine]:
    """Files, the biggest first, each measured against that."""
    biggest = 0
    for file in files:
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
        package = credit.package
        roles = tuple(sorted(credit.roles))
        yield PackageLine(
            package.package_id, package.name, package.version_, package.summary, None, roles=roles
        )
