"""A model as the library uses it: its fields, keys, indexes, and functions that are compiled at first use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from dynamo_bao.dynamodb.expressions.paths import (
    Attribute,
    Steps,
    UserPath,
    attribute_of,
    path_text,
    steps_of,
)
from dynamo_bao.dynamodb.keys import Key, bucket_of, sort_text, tenant_mark
from dynamo_bao.dynamodb.layout import ITER_PK, ITER_SK, PK, SEARCH_TEXT, SK
from dynamo_bao.dynamodb.numbers import number_text
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import DataFormatError, QueryError, ValidationError, message_of, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.containers import ListField, MapField
from dynamo_bao.fields.documents import AnythingField, JsonField, to_builtin, to_document
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.fields.numeric import CounterField
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.fields.scalars import BinaryField
from dynamo_bao.fields.sets import SetField
from dynamo_bao.fields.text import VersionField
from dynamo_bao.mapping.codec import (
    STATE,
    Decode,
    DecodeRow,
    Differing,
    Encode,
    InvalidNames,
    Store,
    compile_decoder,
    compile_differing,
    compile_encoder,
    compile_invalid_names,
    compile_row_decoder,
    compile_store,
    unreadable,
)
from dynamo_bao.mapping.compiler import roundtrips_exactly, source_of
from dynamo_bao.mapping.identity import Identity
from dynamo_bao.mapping.key_codec import KeyCodec
from dynamo_bao.mapping.key_schema import IndexSchema, PrimaryKeySchema, UniqueConstraintSchema
from dynamo_bao.mapping.search_text import SearchConfig, field_texts, normalise_term, search_text, spellings
from dynamo_bao.runtime.late_modules import LateModule
from dynamo_bao.runtime.records import define, field

if TYPE_CHECKING:
    from dynamo_bao.mapping import json_encoder
else:  # only writes need it
    json_encoder = LateModule("dynamo_bao.mapping.json_encoder")

COMPARED_KINDS = (MapField, ListField, NestedField, CounterField, SetField)
"""The kinds of fields of which a save can send less than the whole value."""
_ORDERING = frozenset(("<", "<=", ">", ">="))
_OPERAND_TYPES = {**dict.fromkeys(_ORDERING, ("S", "N", "B")), "begins_with": ("S", "B")}
"""The types of values that some operators take."""


@define(eq=False)
class Schema:
    """Everything about a model that does not change: fields, keys, indexes, and its compiled encoders and decoders.

    Attributes:
        key_only_size: how many entries the ``__dict__`` of an instance has that knows its key only.
        keys: the keys of its items.
        changeable: the fields that are not part of the primary key.
        relation_names: the relation fields.
        has_relations: whether instances remember their peers, because they have a relation in one direction or both.
        documents, document_names: the fields whose values decoding may not give back exactly, and their names.
        compared_names: the fields of which a save can send less than the whole value: documents, counters, sets.
        unsteady: the fields that fill in values while they decode.
        version_field: the model's `VersionField`, or None.
        indexed_names: the fields in the keys of the indexes.
        unique_names: the fields of the unique constraints.
        search_names: the fields of the search text.
        source_names: the fields whose values are also in other attributes or items: those of indexes, of unique
            constraints, and of the search text.
        derived_names: the attributes that follow from others: index keys, iteration keys, search text.
    """

    name: str
    prefix: str
    fields: dict[str, Field]
    primary: PrimaryKeySchema
    indexes: dict[str, IndexSchema]
    constraints: dict[str, UniqueConstraintSchema]
    iterable: bool
    buckets: int
    key_format: str
    search: SearchConfig | None = None
    decode: Decode = field(init=False)
    differing: Differing = field(init=False)
    decode_row: DecodeRow = field(init=False)
    encode: Encode = field(init=False)
    invalid_names: InvalidNames = field(init=False)
    store: Store = field(init=False)
    encode_json: json_encoder.EncodeJson = field(init=False)
    key_names: tuple[str, ...] = field(init=False)
    attributes: dict[str, str] = field(init=False)
    lazy_names: frozenset[str] = field(init=False)
    auto_updated_fields: tuple[Field, ...] = field(init=False)
    documents: tuple[Field, ...] = field(init=False)
    document_names: frozenset[str] = field(init=False)
    changeable: dict[str, Field] = field(init=False)
    compared_names: frozenset[str] = field(init=False)
    unsteady: tuple[Field, ...] = field(init=False)
    set_names: tuple[str, ...] = field(init=False)
    sets_of: Callable[[Mapping[str, Any]], object] | None = field(init=False)
    relation_names: tuple[str, ...] = field(init=False)
    has_relations: bool = field(init=False)
    key_only_size: int = field(init=False)
    single_key_name: str = field(init=False)
    keys: KeyCodec = field(init=False)
    derived_names: frozenset[str] = field(init=False)
    version_field: VersionField | None = field(init=False)
    indexed_names: frozenset[str] = field(init=False)
    unique_names: frozenset[str] = field(init=False)
    search_names: frozenset[str] = field(init=False)
    source_names: frozenset[str] = field(init=False)
    _compilers: dict[str, Callable[[], object]] = field(init=False, factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        self.keys = KeyCodec(self.name, self.prefix, self.primary, self.key_format)
        self.key_names = self.keys.names
        self.single_key_name = self.key_names[0]
        self.key_only_size = 1 + len(self.key_names)  # the state and the key fields
        self.attributes = {f.attribute: f.name for f in self.fields.values()}
        self.lazy_names = frozenset(self.fields)
        self.auto_updated_fields = tuple(f for f in self.fields.values() if f.auto_update)
        self.documents = tuple(f for f in self.fields.values() if not roundtrips_exactly(f))
        self.document_names = frozenset(f.name for f in self.documents)
        self.changeable = {name: f for name, f in self.fields.items() if name not in self.key_names}
        self.compared_names = frozenset(f.name for f in self.fields.values() if isinstance(f, COMPARED_KINDS))
        self.unsteady = tuple(f for f in self.fields.values() if f.may_fill)
        self.set_names = tuple(f.name for f in self.fields.values() if isinstance(f, SetField))
        self.sets_of = itemgetter(*self.set_names) if self.set_names else None
        self.relation_names = tuple(f.name for f in self.fields.values() if isinstance(f, RelatedField))
        self.has_relations = bool(self.relation_names)
        versions = (f for f in self.fields.values() if isinstance(f, VersionField))
        self.version_field = next(versions, None)
        self.indexed_names = frozenset().union(*(index.field_names for index in self.indexes.values()))
        self.unique_names = frozenset(constraint.field.name for constraint in self.constraints.values())
        self.search_names = frozenset(() if self.search is None else self.search.fields)
        self.source_names = self.indexed_names | self.unique_names | self.search_names
        pairs = [(index.pk_name, index.sk_name) for index in self.indexes.values()]
        pairs += [(ITER_PK, ITER_SK)] * self.iterable
        names = {name for pair in pairs for name in pair}
        self.derived_names = frozenset(names | {SEARCH_TEXT} if self.search is not None else names)

        self._compile_when_used()

    def _compile_when_used(self) -> None:
        """Delays compilation to the first use, because it is slow, and a program does not use all its models."""
        name, fields, keys = self.name, self.fields.values(), self.key_names
        self.decode = self._compiled_at_first_use("decode", lambda: compile_decoder(name, fields, keys))
        self.decode_row = self._compiled_at_first_use(
            "decode_row", lambda: compile_row_decoder(name, fields, keys, lambda *args: self.decode(*args))
        )
        self.differing = self._compiled_at_first_use(
            "differing", lambda: compile_differing(name, self.changeable.values())
        )
        self.encode = self._compiled_at_first_use("encode", lambda: compile_encoder(name, fields))
        self.invalid_names = self._compiled_at_first_use(
            "invalid_names", lambda: compile_invalid_names(name, fields)
        )
        self.store = self._compiled_at_first_use("store", lambda: compile_store(name, fields))
        self.encode_json = self._compiled_at_first_use("encode_json", self._json_encoder)

    def _json_encoder(self) -> json_encoder.EncodeJson:
        """The JSON encoder. It returns None for models with search, constraints or documents, which need dicts."""
        has_plain_items = self.keys.are_texts and not (self.search or self.constraints or self.documents)
        encode_json = (
            json_encoder.compile_json_encoder(self.name, self.fields.values()) if has_plain_items else None
        )
        return encode_json or (lambda all_values, keys: None)

    def source(self, name: str) -> str:
        """The source of a compiled function.

        Args:
            name: ``"decode"``, ``"decode_row"``, ``"differing"``, ``"encode"``, ``"store"`` or ``"invalid_names"``.

        Returns:
            Python source.

        Raises:
            ValueError: for another name.

        Example:
            >>> print(manager.repository(User).schema.source("decode"))
        """
        compiler = self._compilers.get(name)
        if compiler is None:
            raise ValueError(f"{self.name} has no compiled {name!r}.{suggestion(name, self._compilers)}")
        function = getattr(self, name)
        if getattr(function, "__bao_later__", False):
            function = compiler()
            setattr(self, name, function)
        return source_of(function)

    def _compiled_at_first_use(self, name: str, compiler: Callable[[], object]) -> Any:
        def compile_and_call(*args: object) -> object:
            if getattr(self, name) is compile_and_call:
                setattr(self, name, compiler())
            return getattr(self, name)(*args)

        compile_and_call.__bao_later__ = True  # type: ignore[attr-defined]
        self._compilers[name] = compiler
        return compile_and_call

    # --- keys ------------------------------------------------------------------------------------

    def mapped_relation(self, shape: IndexSchema | PrimaryKeySchema) -> str | None:
        """For a model between two others: the relation in its key that is not the index's partition key. None if
        there is no such relation."""
        ends = [name for name in self.key_names if isinstance(self.fields[name], RelatedField)]
        index_field = shape.partition.field
        other_ends = [name for name in ends if index_field is not None and name != index_field.name]
        return other_ends[0] if len(ends) == 2 and len(other_ends) == 1 else None

    # --- items -----------------------------------------------------------------------------------

    def item(self, tenant: str | None, identity: Identity, values: Mapping[str, object]) -> Item:
        """The whole stored item for a model's values: attributes, keys, index keys and iteration keys."""
        item = self.encode(values)
        self.complete(item, tenant, identity, values)
        return item

    def complete(
        self, item: Item, tenant: str | None, identity: Identity, values: Mapping[str, object]
    ) -> None:
        """Adds the keys and the derived attributes to an item that has the attributes of its fields."""
        key = identity.key
        item[PK], item[SK] = {"S": key.pk}, {"S": key.sk}
        if self.derived_names:
            item.update(self.derived(tenant, identity.primary_id, values, item))

    def encoded_json(
        self,
        all_values: Sequence[Mapping[str, object]],
        keys: Sequence[Key],
        owners: Iterable[tuple[str | None, str]],
    ) -> list[bytes] | None:
        """Encodes whole items to JSON. Returns None if one of them cannot be encoded straight to JSON.

        Args:
            all_values: the values of each item.
            keys: the table key of each item.
            owners: the tenant and the primary id of each item.
        """
        items = self.encode_json(all_values, keys)
        if items is None or not self.derived_names:
            return items
        return [
            json_encoder.with_members(item, self.derived(tenant, primary_id, values, {}))
            for item, values, (tenant, primary_id) in zip(items, all_values, owners, strict=True)
        ]

    def derived(self, tenant: str | None, primary_id: str, values: Mapping[str, object], item: Item) -> Item:
        """The attributes that follow from others: index keys, iteration keys and the search text.

        Args:
            values: the model's values.
            item: their stored form.
        """
        attributes: Item = {}
        for index in self.indexes.values():
            attributes.update(index.keys(tenant, values))
        if self.iterable:
            attributes.update(self.iteration_keys(tenant, primary_id))
        if self.search is not None:
            text = self.search_text(item)
            if text:
                attributes[SEARCH_TEXT] = {"S": text}
        return attributes

    def iteration_keys(self, tenant: str | None, primary_id: str) -> Item:
        """The keys of the item in the iteration index."""
        return {
            ITER_PK: {"S": self.iteration_partition(tenant, bucket_of(primary_id, self.buckets))},
            ITER_SK: {"S": sort_text(primary_id, self.name, self.key_names[0])},
        }

    def iteration_partition(self, tenant: str | None, bucket: int) -> str:
        """The partition key of one iteration bucket."""
        partition = f"{tenant_mark(tenant)}{self.prefix}#iter"
        return f"{partition}#{bucket:03d}" if self.buckets > 1 else partition

    def search_text(self, item: Item) -> str:
        """The search text of a stored item's fields. Empty if the model is not searchable."""
        return "" if self.search is None else search_text(self._plain_texts(item, self.search), self.search)

    def has_lowercase_text(self, item: Item) -> bool:
        """Whether the item's search text is in lower case, as before ``normalise=`` was set."""
        config = None if self.search is None else self.search.lowercase
        if config is None:
            return False
        return item.get(SEARCH_TEXT) == {"S": search_text(self._plain_texts(item, config), config)}

    def field_texts(self, item: Item) -> list[str]:
        """The text of each search field of a stored item, with every word."""
        return [] if self.search is None else field_texts(self._plain_texts(item, self.search), self.search)

    def _plain_texts(self, item: Item, config: SearchConfig) -> dict[str, object]:
        attributes = {name: item.get(self.fields[name].attribute, {}) for name in config.fields}
        return {
            name: number_text(Decimal(value["N"])) if "N" in value else next(iter(value.values()), None)
            for name, value in attributes.items()
            if is_readable(self.fields[name], value)
        }

    def values_of(self, item: Item, keys: Mapping[str, object]) -> dict[str, object]:
        """The field values of a stored item. Fields that cannot read their stored value are left out.

        Args:
            item: the stored item.
            keys: the values of the key fields, as `KeyCodec.from_item` returns them.
        """
        values = self.decode(item, None, keys)
        del values[STATE]
        return values

    def unreadable(self, primary_id: str | None, name: str, attribute: AttributeValue) -> DataFormatError:
        """The error for a field that cannot read its stored value."""
        return unreadable(self.name, primary_id or "", self.fields[name], attribute)

    def accept_all(
        self, values: Mapping[str, object], names: Iterable[str] | None = None
    ) -> dict[str, object]:
        """`values`, normalised and validated.

        Raises:
            ValidationError: with all wrong values, if any value is wrong.
        """
        accepted_values: dict[str, object] = {}
        errors = []
        if names is None and values.keys() >= self.fields.keys():
            names = self.invalid_names(values)
            accepted_values = dict(zip(self.fields, map(values.__getitem__, self.fields), strict=True))
        for name in self.fields if names is None else names:
            try:
                accepted_values[name] = self.fields[name].accept(values.get(name))
            except ValidationError as error:
                errors.append(error)
        if errors:
            raise ValidationError.of(self.name, errors)
        return accepted_values

    # --- conditions ------------------------------------------------------------------------------

    def attribute(self, path: UserPath) -> Attribute:
        """The stored attribute, or part of one, for a field path. A method of `expressions.renderer.Resolver`."""
        if path == SEARCH_TEXT:
            return attribute_of(SEARCH_TEXT)
        owner, inner_steps = self._split(path)
        if not inner_steps:
            return attribute_of(owner.attribute)
        return Attribute(owner.attribute, inner_steps)

    def operand(self, path: UserPath, value: object, operator: str) -> AttributeValue:
        """The typed value that `path` is compared with. A method of `expressions.renderer.Resolver`."""
        if path == SEARCH_TEXT:
            return self._search_operand(value)
        owner, inner_steps = self._split(path)
        if inner_steps:
            stored = self._inner_operand(path, owner, value, part_of(owner, inner_steps), operator)
            self._check_operator(path, owner, stored, operator)
            return stored
        if (operator in _ORDERING and not owner.ordered) or (
            operator == "begins_with" and not owner.supports_begins_with
        ):
            raise QueryError(
                f"{self.name}.{owner.name}: DynamoDB has no {operator} for a {type(owner).__name__}.",
                field=owner.name,
            )
        if isinstance(value, Mapping) and isinstance(owner, NestedField):
            return self._inner_operand(path, owner, value, None, operator)
        if isinstance(owner, ListField) and operator == "contains":
            return self._inner_operand(path, owner, value, owner, operator)
        return owner.member(value) if operator in ("contains", "begins_with") else owner.operand(value)

    def _check_operator(self, path: UserPath, owner: Field, stored: AttributeValue, operator: str) -> None:
        """Raises `QueryError` for an operator that DynamoDB does not have for a value inside a document."""
        (code,) = stored
        if code not in _OPERAND_TYPES.get(operator, (code,)):
            raise QueryError(
                f"{self.name}.{path_text(path)}: DynamoDB has no {operator} for a value of type {code}.",
                field=owner.name,
            )

    def search_spellings(self, text: object) -> list[AttributeValue]:
        """The spellings of `text`. The search text of a match contains one of them.

        A method of `expressions.renderer.Resolver`.
        """
        if self.search is None or self.search.lowercase is None:
            return [self._search_operand(text)]
        texts = spellings(str(text), self.search)
        return [{"S": spelling} for spelling in texts if spelling] or [self._search_operand(text)]

    def _search_operand(self, value: object) -> AttributeValue:
        text = str(value) if self.search is None else normalise_term(str(value), self.search)
        if not text:
            raise QueryError(
                f"{self.name}: {SEARCH_TEXT} cannot be compared with a text without letters and digits; give a term.",
                field=SEARCH_TEXT,
            )
        return {"S": text}

    def _inner_operand(
        self, path: UserPath, owner: Field, value: object, part: Field | None, operator: str
    ) -> AttributeValue:
        """The stored form of a value that is compared with a part of a document, or searched in one.

        A value that the field of the part accepts is stored as this field stores it: a text of a date, for example. Any
        other value is compared by itself, because the stored part may be of another type.

        Args:
            part: the field of the part; None if it may hold anything.
        """
        element = part.element if isinstance(part, (ListField, SetField)) else None
        compared = {"contains": element, "begins_with": None}.get(operator, part)
        stored = _accepted_form(compared, value)
        if stored is not None:
            return stored
        try:
            return to_document(to_builtin(value))
        except ValueError as error:
            stored = _accepted_form(part, value) or _accepted_form(element, value)
            if stored is not None:
                return stored
            raise QueryError(
                f"{self.name}.{path_text(path)}: the value {message_of(error)}.", field=owner.name
            ) from error

    def _split(self, path: UserPath) -> tuple[Field, Steps]:
        """Returns the first field of a path, and the steps after it. Raises QueryError for an unknown part."""
        owner = self.fields.get(path) if isinstance(path, str) else None
        if owner is not None:  # the path of a whole field is its name
            return owner, ()
        name, *inner_steps = steps_of(path)
        owner = self.fields.get(str(name))
        if owner is None:
            hint = suggestion(str(name), self.fields)
            raise QueryError(f"Unknown field in filter: {name!r} of {self.name}.{hint}", field=str(name))
        if inner_steps:
            check_steps(owner, inner_steps)
            part_of(owner, tuple(inner_steps))
        return owner, tuple(inner_steps)


def _accepted_form(part: Field | None, value: object) -> AttributeValue | None:
    """The stored form of a value as a part of a document. None if the part has no type, or refuses the value."""
    if part is None or value is None or isinstance(part, AnythingField):
        return None
    try:
        return part.store_part(part.accept(value))
    except ValueError:
        return None


def check_steps(owner: Field, steps: Iterable[object]) -> None:
    """Raises `QueryError` for a step of a path that is neither a name nor a position."""
    for step in steps:
        is_position = isinstance(step, int) and not isinstance(step, bool) and step >= 0
        if not (is_position or (isinstance(step, str) and step)):
            raise QueryError(
                f"{owner.model}.{owner.name}: {step!r} is no name or position.", field=owner.name
            )


def part_of(owner: Field, steps: Steps) -> Field | None:
    """Returns the field of a part of a document. None if the part may hold anything.

    Raises:
        QueryError: if the field has no such part.
    """
    if owner.can_be_key or isinstance(owner, (JsonField, SetField, BinaryField)):
        raise QueryError(
            f"{owner.model}.{owner.name} has no inner path {path_text(('', *steps))!r}; it is not a map.",
            field=owner.name,
        )
    part: Field | None = owner
    for step in steps:
        if part is None or (type(part).inside is Field.inside and not part.is_part):
            return None  # anything, or a user's field class that does not say
        part = part.inside(step)
    return part


def is_readable(field: Field, attribute: AttributeValue | None) -> bool:
    """Whether a field can read a stored attribute. An empty attribute is readable."""
    try:
        return not attribute or field.from_dynamo(attribute) is not None
    except Exception:  # a field's own conversions may raise anything
        return False
