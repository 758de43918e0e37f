"""Reads one model of a file into its description, by the rules of DynamoBao's model files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

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
from dynamo_bao.modelfiles.field_types import VALUE_DESCRIPTIONS, FieldType, is_flag, is_text, is_texts
from dynamo_bao.modelfiles.naming import is_name, python_name
from dynamo_bao.modelfiles.section import Section, type_name
from dynamo_bao.modelfiles.yaml_nodes import Node
from dynamo_bao.models.model import RESERVED
from dynamo_bao.runtime.records import define, field

MAX_FIELDS = 1000
PREFIX = "modelPrefix"
"""The text that stands for `MODEL_PREFIX` in a file."""

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
        section: the mapping of the model.
        name: the name of the model.
        kinds: the available field types by name.
        models: the names of all models.
        is_iterable: the value of ``iterable`` for a standard model that does not set it.
        warnings: probable mistakes.
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
        section.check_keys(KEYS, "key")
        prefix = section.text("modelPrefix", "modelPrefix: <1 to 4 letters or digits>")
        table_type = section.checked("tableType", TABLE_TYPES.__contains__, "standard or mapping", "standard")
        self._read_fields()
        primary = self._primary()
        queries = self._indexes()
        primary_name = next((index.name for index in queries if index.id is None), None)
        iterable, buckets = self._iteration(table_type)
        return ModelDescription(
            name=self.name,
            prefix=prefix,
            file=section.file,
            line=section.node.line,
            doc=section.checked("doc", is_text, VALUE_DESCRIPTIONS[is_text]),
            table_type=table_type,
            iterable=iterable,
            iteration_buckets=buckets,
            search=self._search(iterable),
            fields={description.name: description for description in self._fields.values()},
            primary=KeyDescription(primary_name, primary.partition, primary.sort, None, primary.line),
            indexes=tuple(index for index in queries if index.id is not None),
            constraints=self._constraints({str(index.name) for index in queries}),
        )

    # --- fields ------------------------------------------------------------------------------------

    def _read_fields(self) -> None:
        self.section.required("fields", f"fields: {{name: {EXAMPLE}}}")
        fields = self.section.inner("fields", f"fields: {{name: {EXAMPLE}}}")
        if not fields.entries():
            raise self.section.fault("has no fields; add at least the fields of the key.", "fields")
        if len(fields.entries()) > MAX_FIELDS:
            raise self.section.fault(
                f"has more than {MAX_FIELDS:,} fields; split it into several models.", "fields"
            )
        keys = self._key_fields()
        is_mapping = self.section.checked("mapping", lambda value: True, "")
        names: dict[str, str] = {}
        for stored, node in fields.entries().items():
            section = Section.of(fields.file, f"{fields.label}.{stored}", node, EXAMPLE, self.name)
            description = field_of(
                section,
                stored,
                kinds=self.kinds,
                models=self.models,
                reserved=RESERVED,
                default_type="RelatedField" if is_mapping else None,
                in_key=stored in keys,
            )
            duplicate = names.setdefault(description.name, stored)
            if duplicate != stored:
                raise section.fault(
                    f"is called {description.name} in Python, and so is {duplicate}; rename one."
                )
            self._fields[stored] = description

    def _key_fields(self) -> set[object]:
        node = self.section.entries().get("primaryKey")
        parts = node.value if node is not None and isinstance(node.value, dict) else {}
        return {part.value for part in parts.values() if isinstance(part.value, str)}

    # --- keys --------------------------------------------------------------------------------------

    def _primary(self) -> KeyDescription:
        self.section.required("primaryKey", "primaryKey: {partitionKey: <a field>}")
        section = self.section.inner("primaryKey", "{partitionKey: <a field>}")
        section.check_keys(("partitionKey", "sortKey"), "key")
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
            raise section.fault(f"names {stored!r} as {key}, which is not a field of {self.name}.{hint}", key)
        return self._fields[stored]

    def _indexes(self) -> list[KeyDescription]:
        section = self.section.inner("indexes", "indexes: {byName: {partitionKey: name, indexId: gsi1}}")
        indexes: list[KeyDescription] = []
        for stored, node in section.entries().items():
            name = self._member(section, stored, "by_", {str(index.name) for index in indexes})
            indexes.append(self._index(section, stored, name, node, indexes))
        return indexes

    def _index(
        self, section: Section, stored: str, name: str, node: Node, before: list[KeyDescription]
    ) -> KeyDescription:
        if node.value == "primaryKey":
            if any(index.id is None for index in before):
                raise section.fault("gives the primary key a second name; remove one.", stored)
            return KeyDescription(name, "", None, None, node.line)
        example = "primaryKey or {partitionKey: <a field>, sortKey: <a field>, indexId: gsi1}"
        inner = Section.of(section.file, f"{section.label}.{stored}", node, example, self.name)
        inner.check_keys(("partitionKey", "sortKey", "indexId"), "key")
        index_id = _identifier(inner, "indexId", _INDEX_ID, INDEX_IDS)
        duplicate = next((index for index in before if index.id == index_id), None)
        if duplicate is not None:
            raise inner.fault(
                f"has the id {index_id}, and so has {duplicate.name}; use a different id for each.", "indexId"
            )
        return self._key(inner, name, index_id)

    def _constraints(self, indexes: Collection[str]) -> tuple[ConstraintDescription, ...]:
        example = "uniqueConstraints: {uniqueEmail: {field: email, uniqueConstraintId: uc1}}"
        section = self.section.inner("uniqueConstraints", example)
        constraints: dict[str, ConstraintDescription] = {}
        for stored, node in section.entries().items():
            inner = Section.of(section.file, f"{section.label}.{stored}", node, example, self.name)
            key = "constraintId" if "constraintId" in inner else "uniqueConstraintId"
            inner.check_keys(("field", key), "key")
            name = self._member(
                section, stored, "unique_", {*indexes, *(c.name for c in constraints.values())}
            )
            constrained_field = self._field_named(inner, "field", inner.text("field", "field: <a field>"))
            constraint_id = _identifier(inner, key, _CONSTRAINT_ID, CONSTRAINT_IDS)
            if constraint_id in constraints:
                duplicate = constraints[constraint_id].name
                raise inner.fault(
                    f"has the id {constraint_id}, and so has {duplicate}; use a different id for each.", key
                )
            constraints[constraint_id] = ConstraintDescription(
                name, constrained_field.name, constraint_id, node.line
            )
        return tuple(constraints.values())

    def _member(self, section: Section, stored: str, lead: str, used_names: Collection[str]) -> str:
        """The Python name of an index or constraint; `lead` is put before it if the name is in use."""
        if not is_name(stored):
            raise section.fault(
                f"has the name {stored!r}, which is not a valid Python name; rename it.", stored
            )
        names = {description.name for description in self._fields.values()}
        name = python_name(stored, RESERVED)
        if f"query_{name}" in RESERVED:
            name += "_"
        if name in names or name in used_names:
            name = f"{lead}{name}"
        if name in names or name in used_names:
            raise section.fault(f"has {stored!r}, a name that the model already uses; rename it.", stored)
        return name

    # --- iteration and search ------------------------------------------------------------------------

    def _iteration(self, table_type: str) -> tuple[bool, int]:
        section = self.section
        default = self.is_iterable and table_type == "standard"
        iterable = section.checked("iterable", is_flag, VALUE_DESCRIPTIONS[is_flag], default)
        buckets = section.checked(
            "iterationBuckets",
            lambda value: type(value) is int and int(iterable) <= value <= MAX_BUCKETS,
            f"a whole number from 1 to {MAX_BUCKETS}",
            10,
        )
        if "iterationBuckets" in section and "iterable" not in section:
            self._warn(
                "iterationBuckets",
                f"sets iterationBuckets but not iterable, which is therefore {str(iterable).lower()} (DynamoBao 0.4: "
                f"true, later versions: false); add iterable: true or false.",
            )
        return iterable, buckets if iterable else 0

    def _search(self, iterable: bool) -> SearchConfig | None:
        searchable = self.section.entries().get("searchable", Node(False, 0))
        if searchable.value is False:
            return None
        if searchable.value is True and "searchConfig" in self.section:
            options = self.section.inner("searchConfig", "searchConfig: {fields: [title]}")
        elif isinstance(searchable.value, dict):
            options = Section(self.section.file, f"{self.section.label}.searchable", searchable, self.name)
        elif searchable.value is True:
            raise self.section.fault(
                "is searchable: true, which does not name the fields; write searchable: {fields: [title]}.",
                "searchable",
            )
        else:
            raise self.section.fault(
                f"has searchable: {type_name(searchable.plain())}, which must be either a boolean or an object; write "
                f"searchable: {{fields: [title]}}.",
                "searchable",
            )
        if not iterable:
            self._warn(
                "searchable",
                "is searchable but not iterable, so search_all cannot read it and only queries within one partition "
                "can search; add iterable: true.",
            )
        return self._search_config(options)

    def _search_config(self, section: Section) -> SearchConfig:
        section.check_keys(_SEARCH_KEYS, "option")
        expected = "a non-empty array of field names"
        section.required("fields", "fields: [title], a non-empty array of field names")
        names = [
            self._searchable_field(section, stored)
            for stored in section.checked("fields", is_texts, expected)
        ]
        if len(set(names)) != len(names):
            raise section.fault("names a field twice; name each field once.", "fields")
        options = {
            "case_sensitive": section.checked("caseSensitive", is_flag, VALUE_DESCRIPTIONS[is_flag], False),
            "min_term_length": section.checked("minTermLength", _is_positive, "a positive integer", 1),
            "dedupe": section.checked("dedupe", is_flag, VALUE_DESCRIPTIONS[is_flag], False),
            "normalise": section.checked("normalise", _is_normalisation, " or ".join(NORMALISATIONS), LOWER),
        }
        try:
            return SearchConfig(tuple(names), **options)
        except ConfigurationError as error:
            raise section.fault(f"is not valid: {error}", "normalise") from None

    def _searchable_field(self, section: Section, stored: str) -> str:
        if stored not in self._fields:
            hint = suggestion(stored, self._fields)
            raise section.fault(f"names {stored!r}, which is not defined among the fields.{hint}", "fields")
        description = self._fields[stored]
        field_class = description.kind.field
        if not issubclass(field_class, StringField) or issubclass(field_class, (UlidField, RelatedField)):
            raise section.fault(
                f"names {stored!r}, which is a {description.kind.name}; only a StringField can be searched.",
                "fields",
            )
        return description.name

    def _warn(self, key: str, why: str) -> None:
        line = self.section.entries()[key].line
        self.warnings.append(f"{self.section.file}:{line}: {self.name} {why}")


def _is_normalisation(value: object) -> bool:
    return value in NORMALISATIONS


def _is_positive(value: object) -> bool:
    return type(value) is int and value > 0


def _identifier(section: Section, key: str, form: re.Pattern[str], allowed_ids: Collection[str]) -> str:
    """The id of an index or constraint, in the spelling of the table: ``gsi1``, ``uc1``."""
    sorted_ids = sorted(allowed_ids)
    text = section.text(key, f"{key}: {sorted_ids[0]}")
    match = form.fullmatch(text)
    identifier = match and f"{sorted_ids[0][:-1]}{match[1]}"
    if not identifier or identifier not in allowed_ids:
        raise section.fault(f"has {key}: {text!r}; use one of {', '.join(sorted_ids)}.", key)
    return identifier
