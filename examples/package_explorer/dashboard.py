"""The content of the pages, made with plain nested loops. Nothing here depends on whether a batch context is open.

Each loop is what one writes first: over the people of a package, what it requires, what requires it, and its files;
inside it, over the relations of each of these. Without a batch context, each step of each loop waits for a request
of its own. Inside one, the first look at a relation loads it for that instance, and the second for all instances
that were loaded with it. So the number of round trips depends on how deep the loops are, and not on how much they
go through: a dashboard takes at most `MAX_ROUND_TRIPS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dynamo_bao import QueryError
from examples.package_explorer.models import Credit, File, Package, Person, Requirement

MAX_FILES = 12
MAX_RESULTS = 100

MAX_ROUND_TRIPS = 24
"""The most round trips of a dashboard in a batch context: two for each relation in the loops, however many instances
they go through (up to the 100 queries and 1,000 keys of one round)."""


@dataclass(frozen=True)
class PersonLine:
    """One person of a package, with the names of the other packages that name them."""

    person_id: str
    name: str
    email: str | None
    roles: tuple[str, ...]
    other_packages: tuple[str, ...]


@dataclass(frozen=True)
class PackageLine:
    """A package in a list. A package that is not installed has no version.

    Attributes:
        people: its people, with the other packages that name them.
        requires, required_by: the names of the packages that it requires always, and of those that require it.
    """

    package_id: str
    name: str
    version: str | None
    summary: str | None
    people: tuple[PersonLine, ...] = ()
    requires: tuple[str, ...] = ()
    required_by: tuple[str, ...] = ()
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
    """One file. Its share is its size relative to that of the biggest file."""

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
    """The packages whose name or summary has every word of a text, by name. All packages if the text has no word."""
    terms = Package.tokenize_search_query(text)
    try:
        packages = Package.search_all(terms, limit=MAX_RESULTS)
    except QueryError:  # nothing but punctuation
        return build_index()
    return [_index_line(package) for package in sorted(packages, key=lambda package: package.package_id)]


def person_with(email: str) -> Person | None:
    """The person with an e-mail address, or None."""
    return Person.unique_email.find(email.strip().lower())


def build_dashboard(package_id: str) -> Dashboard | None:
    """The dashboard of a package, None if it is not installed."""
    package = Package.find(package_id)
    if not package:
        return None
    credits, requirements, dependents = package.credits, package.requirements, package.dependents
    files = package.files_by_size.where(direction="DESC", limit=MAX_FILES)
    return Dashboard(
        package=package.to_dict(),
        people=tuple(_people(credits)),
        requires=tuple(sorted(_requires(requirements), key=_optional)),
        required_by=tuple(sorted(_required_by(dependents), key=_optional)),
        files=tuple(_with_shares(files)),
    )


def _people(credits: Iterable[Credit]) -> Iterator[PersonLine]:
    for credit in credits:
        person = credit.person
        other_names = []
        for other_credit in person.credits:
            if other_credit.package_id != credit.package_id:
                other_names.append(other_credit.package.name)
        roles = tuple(sorted(credit.roles))
        yield PersonLine(person.person_id, person.name, person.email, roles, tuple(other_names))


def _requires(requirements: Iterable[Requirement]) -> Iterator[PackageLine]:
    for requirement in requirements:
        yield _package_line(requirement.required, requirement)


def _required_by(dependents: Iterable[Requirement]) -> Iterator[PackageLine]:
    for requirement in dependents:
        yield _package_line(requirement.package, requirement)


def _package_line(package: Package, requirement: Requirement) -> PackageLine:
    """The other package of a requirement, with its own relations in both directions."""
    required_by = [dependent.package.name for dependent in package.dependents]
    clauses = tuple(requirement.clauses)
    if not package:
        name = package.package_id
        return PackageLine(name, name, None, None, (), (), tuple(required_by), requirement.optional, clauses)
    requires = [_name(inner.required) for inner in package.requirements if not inner.optional]
    return PackageLine(
        package.package_id,
        package.name,
        package.version_,
        package.summary,
        tuple(_people(package.credits)),
        tuple(requires),
        tuple(required_by),
        requirement.optional,
        clauses,
    )


def _name(package: Package) -> str:
    """A package that is not installed is a missing instance, which is falsy. It has its key only."""
    return package.name if package else package.package_id


def _optional(line: PackageLine) -> bool:
    return line.optional


def _with_shares(files: Iterable[File]) -> Iterator[FileLine]:
    """The lines of files. The biggest file comes first, and the shares are relative to it."""
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
    for credit in person.credits:
        package = credit.package
        roles = tuple(sorted(credit.roles))
        yield PackageLine(package.package_id, package.name, package.version_, package.summary, roles=roles)
