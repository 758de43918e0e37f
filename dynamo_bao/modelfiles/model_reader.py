"""From a mapping of a file to the description of one model, by the rules of DynamoBao's model files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from attrs import define, field

from dynamo_bao.dynamodb.layout import CONSTRAINT_IDS, INDEX_IDS
from dynamo_bao.errors import ConfigurationError, suggestion
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.fields.text import StringField, UlidField
from dynamo_bao.mapping.declarations import KeyPart
from dynamo_bao.mapping.definition import MAX_BUCKETS, TABLE_TYPES
from dynamo_bao.mapping.key_schema import MODEL_PREFIX
from dynamo_bao.mapping.search_text import LOWER, NORMALISATIONS, SearchConfig
from dynamo_bao.modelfiles.description import (
    ConstraintDescription,
    FieldDescription,
    KeyDescription,
    ModelDescription,
)
from dynamo_bao.modelfiles.field_reader import EXAMPLE, field_of
from dynamo_bao.modelfiles.field_types import WANTED, FieldType, is_flag, is_text, is_texts
from dynamo_bao.modelfiles.naming import is_name, python_name
from dynamo_bao.modelfiles.section import Section, type_name
from dynamo_bao.modelfiles.yaml_nodes import Node
from dynamo_bao.models.model import RESERVED

MAX_FIELDS = 1000
PREFIX = "modelPrefix"
"""What a file writes for `MODEL_PREFIX`."""

KEYS = (
    "modelPrefix", "tableType", "iterable", "iterationBuckets", "searchable", "searchConfig", "mapping",
    "fields", "primaryKey", "indexes", "uniqueConstraints", "doc",
)  # fmt: skip
_SEARCH_KEYS = ("fields", "caseSensitive", "minTermLength", "dedupe", "normalise")
_INDEX_ID = re.compile(r"(?:gsi|gsi_index_id)(\d)", re.IGNORECASE)
_CONSTRAINT_ID = re.compile(r"(?:_?uc|unique_constraint_id)(\d)", re.IGNORECASE)


@define
class ModelReader:
    """Reads one model.

    Attributes:
        section: its mapping.
        name: its name.
        kinds, models: the kinds of fields and the models there are, by name.
        is_iterable: whether a standard model is iterable that does not say.
        warnings: what is probably not meant.
    """

    section: Section
    name: str
    kinds: Mapping[str, FieldType]
    models: Collection[str]
    is_iterable: bool = False
    warnings: list[str] = field(factory=list)
    _fields: dict[str, FieldDescription] = field(factory=dict)

    def read(self) -> ModelDescription:
        """The description of the model.

        Raises:
            ModelFileError: for an unknown key, a missing one, or a wrong value.
        """
        section = self.section
        section.know(KEYS, "key")
        prefix = section.text("modelPrefix", "modelPrefix: <1 to 4 letters or digits>")
        table_type = section.checked("tableType", TABLE_TYPES.__contains__, "standard or mapping", "standard")
        self._read_fields()
        primary = self._primary()
        queries = self._indexes()
        named = next((index.name for index in queries if index.id is None), None)
        iterable, buckets = self._iteration(table_type)
        return ModelDescription(
            name=self.name,
            prefix=prefix,
            file=section.file,
            line=section.node.line,
            doc=section.checked("doc", is_text, WANTED[is_text]),
            table_type=table_type,
            iterable=iterable,
            iteration_buckets=buckets,
            search=self._search(iterable),
            fields={description.name: description for description in self._fields.values()},
            primary=KeyDescription(named, primary.partition, primary.sort, None, primary.line),
            indexes=tuple(index for index in queries if index.id is not None),
            constraints=self._constraints({str(index.name) for index in queries}),
        )

    # --- fields ------------------------------------------------------------------------------------

    def _read_fields(self) -> None:
        self.section.needed("fields", f"fields: {{name: {EXAMPLE}}}")
        fields = self.section.inner("fields", f"fields: {{name: {EXAMPLE}}}")
        if not fields.entries():
            raise self.section.fault("has no fields; name at least the key's.", "fields")
        if len(fields.entries()) > MAX_FIELDS:
            raise self.section.fault(
                f"has more than {MAX_FIELDS:,} fields; make it several models.", "fields"
            )
        keys = self._key_fields()
        is_mapping = self.section.checked("mapping", lambda value: True, "")
        names: dict[str, str] = {}
        for stored, node in fields.entries().items():
            section = Section.of(fields.file, f"{fields.what}.{stored}", node, EXAMPLE, self.name)
            description = field_of(
                section,
                stored,
                kinds=self.kinds,
                models=self.models,
                reserved=RESERVED,
                default_type="RelatedField" if is_mapping else None,
                in_key=stored in keys,
            )
            other = names.setdefault(description.name, stored)
            if other != stored:
                raise section.fault(f"is called {description.name} in Python, and so is {other}; rename one.")
            self._fields[stored] = description

    def _key_fields(self) -> set[Any]:
        node = self.section.entries().get("primaryKey")
        parts = node.value if node is not None and isinstance(node.value, dict) else {}
        return {part.value for part in parts.values() if isinstance(part.value, str)}

    # --- keys --------------------------------------------------------------------------------------

    def _primary(self) -> KeyDescription:
        self.section.needed("primaryKey", "primaryKey: {partitionKey: <a field>}")
        section = self.section.inner("primaryKey", "{partitionKey: <a field>}")
        section.know(("partitionKey", "sortKey"), "key")
        return self._key(section, None, None)

    def _key(self, section: Section, name: str | None, index_id: str | None) -> KeyDescription:
        partition = self._part(section, "partitionKey")
        sort = self._part(section, "sortKey") if "sortKey" in section else None
        if sort is MODEL_PREFIX and partition is not MODEL_PREFIX:
            sort = None
        return KeyDescription(name, partition, sort, index_id, section.node.line)

    def _part(self, section: Section, key: str) -> KeyPart:
        stored = section.text(key, f"{key}: <a field>")
        if stored == PREFIX:
            return MODEL_PREFIX
        return self._field_named(section, key, stored).name

    def _field_named(self, section: Section, key: str, stored: str) -> FieldDescription:
        if stored not in self._fields:
            hint = suggestion(stored, self._fields)
            raise section.fault(f"names {stored!r} as {key}, which is no field of {self.name}.{hint}", key)
        return self._fields[stored]

    def _indexes(self) -> list[KeyDescription]:
        section = self.section.inner("indexes", "indexes: {byName: {partitionKey: name, indexId: gsi1}}")
        found: list[KeyDescription] = []
        for stored, node in section.entries().items():
            name = self._member(section, stored, "by_", {str(index.name) for index in found})
            found.append(self._index(section, stored, name, node, found))
        return found

    def _index(
        self, section: Section, stored: str, name: str, node: Node, before: list[KeyDescription]
    ) -> KeyDescription:
        if node.value == "primaryKey":
            if any(index.id is None for index in before):
                raise section.fault("gives the primary key a second name; remove one.", stored)
            return KeyDescription(name, "", None, None, node.line)
        example = "primaryKey or {partitionKey: <a field>, sortKey: <a field>, indexId: gsi1}"
        inner = Section.of(section.file, f"{section.what}.{stored}", node, example, self.name)
        inner.know(("partitionKey", "sortKey", "indexId"), "key")
        index_id = _identifier(inner, "indexId", _INDEX_ID, INDEX_IDS)
        taken = next((index for index in before if index.id == index_id), None)
        if taken is not None:
            raise inner.fault(
                f"has the id {index_id}, and so has {taken.name}; give each its own.", "indexId"
            )
        return self._key(inner, name, index_id)

    def _constraints(self, indexes: Collection[str]) -> tuple[ConstraintDescription, ...]:
        example = "uniqueConstraints: {uniqueEmail: {field: email, uniqueConstraintId: uc1}}"
        section = self.section.inner("uniqueConstraints", example)
        found: dict[str, ConstraintDescription] = {}
        for stored, node in section.entries().items():
            inner = Section.of(section.file, f"{section.what}.{stored}", node, example, self.name)
            key = "constraintId" if "constraintId" in inner else "uniqueConstraintId"
            inner.know(("field", key), "key")
            name = self._member(section, stored, "unique_", {*indexes, *(c.name for c in found.values())})
            of = self._field_named(inner, "field", inner.text("field", "field: <a field>"))
            constraint_id = _identifier(inner, key, _CONSTRAINT_ID, CONSTRAINT_IDS)
            if constraint_id in found:
                other = found[constraint_id].name
                raise inner.fault(f"has the id {constraint_id}, and so has {other}; give each its own.", key)
            found[constraint_id] = ConstraintDescription(name, of.name, constraint_id, node.line)
        return tuple(found.values())

    def _member(self, section: Section, stored: str, lead: str, taken: Collection[str]) -> str:
        """The Python name of an index or constraint, with `lead` before it where a field has that name."""
        if not is_name(stored):
            raise section.fault(f"has the name {stored!r}, which is none in Python; rename it.", stored)
        names = {description.name for description in self._fields.values()}
        name = python_name(stored, RESERVED)
        if f"query_{name}" in RESERVED:
            name += "_"
        if name in names or name in taken:
            name = f"{lead}{name}"
        if name in names or name in taken:
            raise section.fault(f"has {stored!r}, a name that the model has already; rename it.", stored)
        return name

    # --- iteration and search ------------------------------------------------------------------------

    def _iteration(self, table_type: str) -> tuple[bool, int]:
        section = self.section
        default = self.is_iterable and table_type == "standard"
        iterable = section.checked("iterable", is_flag, WANTED[is_flag], default)
        buckets = section.checked(
            "iterationBuckets",
            lambda value: type(value) is int and int(iterable) <= value <= MAX_BUCKETS,
            f"a whole number from 1 to {MAX_BUCKETS}",
            10,
        )
        if "iterationBuckets" in section and "iterable" not in section:
            self._warn(
                "iterationBuckets",
                f"gives iterationBuckets but does not say iterable, which is {str(iterable).lower()} then (DynamoBao "
                f"0.4: true, later ones: false); say iterable: true or false.",
            )
        return iterable, buckets if iterable else 0

    def _search(self, iterable: bool) -> SearchConfig | None:
        given = self.section.entries().get("searchable", Node(False, 0))
        if given.value is False:
            return None
        if given.value is True and "searchConfig" in self.section:
            options = self.section.inner("searchConfig", "searchConfig: {fields: [title]}")
        elif isinstance(given.value, dict):
            options = Section(self.section.file, f"{self.section.what}.searchable", given, self.name)
        elif given.value is True:
            raise self.section.fault(
                "is searchable: true, which does not name the fields; write searchable: {fields: [title]}.",
                "searchable",
            )
        else:
            raise self.section.fault(
                f"has searchable: {type_name(given.plain())}, which must be either a boolean or an object; write "
                f"searchable: {{fields: [title]}}.",
                "searchable",
            )
        if not iterable:
            self._warn(
                "searchable",
                "is searchable but not iterable, so that search_all cannot go through it; only queries within one "
                "partition can search; add iterable: true.",
            )
        return self._search_config(options)

    def _search_config(self, section: Section) -> SearchConfig:
        section.know(_SEARCH_KEYS, "option")
        wanted = "a non-empty array of field names"
        section.needed("fields", "fields: [title], a non-empty array of field names")
        names = [self._searched(section, stored) for stored in section.checked("fields", is_texts, wanted)]
        if len(set(names)) != len(names):
            raise section.fault("names a field twice; name each once.", "fields")
        options = {
            "case_sensitive": section.checked("caseSensitive", is_flag, WANTED[is_flag], False),
            "min_term_length": section.checked("minTermLength", _is_positive, "a positive integer", 1),
            "dedupe": section.checked("dedupe", is_flag, WANTED[is_flag], False),
            "normalise": section.checked("normalise", _is_normalisation, " or ".join(NORMALISATIONS), LOWER),
        }
        try:
            return SearchConfig(tuple(names), **options)
        except ConfigurationError as error:
            raise section.fault(f"is refused: {error}", "normalise") from None

    def _searched(self, section: Section, stored: str) -> str:
        if stored not in self._fields:
            hint = suggestion(stored, self._fields)
            raise section.fault(f"names {stored!r}, which is not defined among the fields.{hint}", "fields")
        found = self._fields[stored]
        kind = found.kind.field
        if not issubclass(kind, StringField) or issubclass(kind, (UlidField, RelatedField)):
            raise section.fault(
                f"names {stored!r}, which is a {found.kind.name}; only a StringField can be searched.",
                "fields",
            )
        return found.name

    def _warn(self, key: str, why: str) -> None:
        line = self.section.entries()[key].line
        self.warnings.append(f"{self.section.file}:{line}: {self.name} {why}")


def _is_normalisation(value: Any) -> bool:
    return value in NORMALISATIONS


def _is_positive(value: Any) -> bool:
    return type(value) is int and value > 0


def _identifier(section: Section, key: str, form: re.Pattern[str], known: Collection[str]) -> str:
    """The id of an index or constraint, as the table has it: ``gsi1``, ``uc1``."""
    stated = sorted(known)
    text = section.text(key, f"{key}: {stated[0]}")
    match = form.fullmatch(text)
    found = match and f"{stated[0][:-1]}{match[1]}"
    if not found or found not in known:
        raise section.fault(f"has {key}: {text!r}; use one of {', '.join(stated)}.", key)
    return found
