"""Reads the metadata of the installed distributions as plain values."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata

from examples.package_explorer.people import Contact, read_contacts

logger = logging.getLogger(__name__)

HOME_PAGE_LABELS = ("homepage", "home", "source", "sourcecode", "repository", "github", "documentation")
"""Labels of Project-URL that can stand for a home page, the best first."""

_REQUIREMENT = re.compile(
    r"""\s* (?P<name> [A-Za-z0-9] (?: [A-Za-z0-9._-]* [A-Za-z0-9] )? )
        \s* (?: \[ (?P<extras> [^\]]* ) \] )?
        \s* (?P<rest> .* )""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Clause:
    """One Requires-Dist line: the project, its versions, and the condition.

    Attributes:
        project: the required project's normalised name.
        extras: the required extras of the project.
        specifier: the allowed versions, or ``@ url``; empty for any version.
        marker: the condition; empty for always.
    """

    project: str
    extras: tuple[str, ...]
    specifier: str
    marker: str

    @property
    def optional(self) -> bool:
        """Whether it is required only with some extra of the requiring distribution."""
        return re.search(r"\bextra\b", _without_quoted(self.marker)) is not None


@dataclass(frozen=True)
class InstalledFile:
    """One row of RECORD; size in bytes and digest (``sha256=…``) are not always recorded."""

    path: str
    size: int | None
    digest: str | None


@dataclass(frozen=True)
class Distribution:
    """One installed distribution; `package_id` is its normalised name."""

    package_id: str
    name: str
    version: str
    summary: str | None
    home_page: str | None
    licence: str | None
    python: str | None
    contacts: tuple[Contact, ...]
    clauses: tuple[Clause, ...]
    files: tuple[InstalledFile, ...]


def normalised(name: str) -> str:
    """The normalised name of a project, for any spelling of it.

    >>> normalised("Zope.Interface__x")
    'zope-interface-x'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def read_distributions(path: Sequence[str] | None = None) -> list[Distribution]:
    """Every installed distribution, by name.

    If several have the same name, the first on the path counts, as for imports. But one with a RECORD comes before one
    without, which is the build folder of a source tree.

    Args:
        path: folders to look in; ``sys.path`` by default.
    """
    distributions: dict[str, Distribution] = {}
    for source in metadata.distributions() if path is None else metadata.distributions(path=list(path)):
        if _Headers(source.metadata).text("Name") is None:
            logger.warning("left out an installed distribution whose metadata has no Name: %s", source)
            continue
        distribution = read_distribution(source)
        first_distribution = distributions.setdefault(distribution.package_id, distribution)
        if distribution.files and not first_distribution.files:
            distributions[distribution.package_id] = distribution
    return sorted(distributions.values(), key=lambda distribution: distribution.package_id)


def read_distribution(source: metadata.Distribution) -> Distribution:
    """The plain values of one distribution."""
    headers = _Headers(source.metadata)
    name = headers.text("Name") or ""
    return Distribution(
        package_id=normalised(name),
        name=name,
        version=headers.text("Version") or "unknown",
        summary=headers.text("Summary"),
        home_page=_home_page(headers),
        licence=_licence(headers),
        python=headers.text("Requires-Python"),
        contacts=read_contacts(headers.text),
        clauses=tuple(parse_clause(line) for line in source.requires or ()),
        files=tuple(_files(source.read_text("RECORD") or "")),
    )


class _Headers:
    """Metadata headers. An empty header and ``UNKNOWN`` count as missing."""

    def __init__(self, message: metadata.PackageMetadata) -> None:
        self._message = message

    def all(self, name: str) -> list[str]:
        texts = (str(text).strip() for text in self._message.get_all(name) or ())
        return [text for text in texts if text and text != "UNKNOWN"]

    def text(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


def _home_page(headers: _Headers) -> str | None:
    """Home-page, or the best Project-URL. Only web addresses count, because it becomes a link."""
    links: dict[str, str] = {}
    for line in headers.all("Project-URL"):
        label, _, url = line.partition(",")
        links.setdefault(re.sub(r"[\W_]+", "", label).lower(), url.strip())
    candidates = [
        headers.text("Home-page"),
        *(links.get(label) for label in HOME_PAGE_LABELS),
        *links.values(),
    ]
    return next(
        (url for url in candidates if url and re.match(r"https?://[^\s]+\Z", url, re.IGNORECASE)), None
    )


def _licence(headers: _Headers) -> str | None:
    """The licence's short name: the expression, a short License, or the classifier, or a long text's first line."""
    expression, text = headers.text("License-Expression"), headers.text("License")
    if expression or (text and "\n" not in text):
        return expression or text
    classifiers = [line for line in headers.all("Classifier") if line.startswith("License ::")]
    if classifiers:
        return ", ".join(line.rpartition("::")[2].strip() for line in classifiers)
    return text.splitlines()[0].strip() if text else None


def parse_clause(line: str) -> Clause:
    """A Requires-Dist line taken apart.

    >>> parse_clause('Moto[Server,s3] (>=5.2) ; extra == "test"')
    Clause(project='moto', extras=('Server', 's3'), specifier='>=5.2', marker='extra == "test"')

    Raises:
        ValueError: for a line that starts with no project name.
    """
    match = _REQUIREMENT.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is no requirement: it starts with no project name.")
    conditions = match["rest"].strip()
    # An address may contain a semicolon. Only a semicolon after a space ends it.
    specifier, *marker = re.split(
        r"\s;|\s+;\s*" if conditions.startswith("@") else ";", conditions, maxsplit=1
    )
    specifier = specifier.strip()
    if specifier.startswith("(") and specifier.endswith(")"):
        specifier = specifier[1:-1].strip()
    extras = tuple(filter(None, map(str.strip, (match["extras"] or "").split(","))))
    return Clause(normalised(match["name"]), extras, specifier, "".join(marker).strip())


def _without_quoted(text: str) -> str:
    return re.sub(r"\"[^\"]*\"|'[^']*'", "", text)


def _files(record: str) -> Iterable[InstalledFile]:
    """The rows of RECORD, each path once."""
    rows = {row[0]: row for row in csv.reader(record.splitlines()) if row and row[0]}
    for path, row in rows.items():
        digest, size = (*row[1:3], "", "")[:2]
        yield InstalledFile(path, int(size) if size.isdecimal() else None, digest or None)
