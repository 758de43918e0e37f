"""The models of the explorer: five models in one table."""

from __future__ import annotations

from typing import Any

from dynamo_bao import (
    MODEL_PREFIX,
    HasMany,
    Index,
    IntegerField,
    ListField,
    Model,
    PrimaryKey,
    Related,
    RelatedField,
    StringField,
    StringSetField,
    UlidField,
    UniqueConstraint,
)


class Package(Model, prefix="pkg", iterable=True, searchable=["name", "summary"]):
    """An installed distribution.

    Attributes:
        package_id: its normalised name, so that a requirement knows it beforehand.
        author_id: the person it names first, if it names anybody.
    """

    package_id: str = StringField()
    name: str = StringField()
    version_: str = StringField(attribute="version")
    summary: str | None = StringField(default=None)
    home_page: str | None = StringField(default=None)
    licence: str | None = StringField(default=None)
    python: str | None = StringField(default=None)
    file_count: int = IntegerField(default=0)
    total_size: int = IntegerField(default=0)
    author_id: str | None = RelatedField("Person", default=None)

    primary_key = PrimaryKey("package_id")
    all_packages = Index(MODEL_PREFIX, "package_id", id="gsi1")
    author = Related["Person | None"]("author_id")
    credits = HasMany["Credit"]("credits_for_package")
    requirements = HasMany["Requirement"]("requirements_for_package")
    dependents = HasMany["Requirement"]("dependents_for_required")
    files = HasMany["File"]("files_for_package")
    files_by_size = HasMany["File"]("files_by_size_for_package")


class Person(Model, prefix="pers"):
    """Somebody who writes or maintains packages; no two persons have one e-mail address."""

    person_id: str = UlidField(auto_assign=True)
    name: str = StringField()
    email: str | None = StringField(default=None)

    primary_key = PrimaryKey("person_id")
    unique_email = UniqueConstraint("email", id="uc1")
    credits = HasMany["Credit"]("credits_for_person")


class Credit(Model, prefix="cred", table_type="mapping"):
    """Which person is what to which package: ``package.credits`` and ``person.credits``."""

    package_id: str = RelatedField("Package")
    person_id: str = RelatedField("Person")
    roles: set[str] = StringSetField()

    primary_key = PrimaryKey("package_id", "person_id")
    credits_for_package = primary_key
    credits_for_person = Index("person_id", "package_id", id="gsi1")
    package = Related["Package"]("package_id")
    person = Related["Person"]("person_id")


class Requirement(Model, prefix="req", table_type="mapping"):
    """Which package requires which: ``package.requirements``, and ``package.dependents`` back.

    The required package need not be installed: then `required` is missing, and falsy.

    Attributes:
        clauses: each line that asks for it, as a dict of ``specifier``, ``extras`` and ``marker``.
        optional: whether it is only required with some extra.
    """

    package_id: str = RelatedField("Package")
    required_id: str = RelatedField("Package")
    clauses: list[dict[str, Any]] = ListField()
    optional: bool = False

    primary_key = PrimaryKey("package_id", "required_id")
    requirements_for_package = primary_key
    dependents_for_required = Index("required_id", "package_id", id="gsi1")
    package = Related["Package"]("package_id")
    required = Related["Package"]("required_id")


class File(Model, prefix="file"):
    """A file of a package. Files whose size is not recorded are not in the index by size."""

    package_id: str = RelatedField("Package")
    path: str = StringField()
    size: int | None = IntegerField(default=None)
    digest: str | None = StringField(default=None)

    primary_key = PrimaryKey("package_id", "path")
    files_for_package = primary_key
    files_by_size_for_package = Index("package_id", "size", id="gsi1")


MODELS = (Package, Person, Credit, Requirement, File)
