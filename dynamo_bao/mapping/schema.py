"""A model as the library works with it: compiled once from its declaration, then never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any

from attrs import define, field

from dynamo_bao.dynamodb.expressions.conditions import Attribute
from dynamo_bao.dynamodb.expressions.paths import Steps, shown, steps_of
from dynamo_bao.dynamodb.expressions.renderer import UserPath
from dynamo_bao.dynamodb.items import Stored, as_dict_item, key_texts_of
from dynamo_bao.dynamodb.keys import (
    SEPARATOR,
    Key,
    bucket_of,
    checked_part,
    join_id,
    partition_text,
    sort_text,
    tenant_mark,
)
from dynamo_bao.dynamodb.layout import ITER_PK, ITER_SK, PK, SEARCH_TEXT, SK
from dynamo_bao.dynamodb.numbers import number_text
from dynamo_bao.dynamodb.service import AttributeValue, Item
from dynamo_bao.errors import ConfigurationError, DataFormatError, QueryError, ValidationError, suggestion
from dynamo_bao.fields.base import Field
from dynamo_bao.fields.documents import JsonField, to_builtin, to_document
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.fields.scalars import BinaryField
from dynamo_bao.fields.sets import SetField
from dynamo_bao.fields.text import VersionField
from dynamo_bao.mapping.codec import (
    STATE,
    Decode,
    Encode,
    InvalidNames,
    Store,
    compile_decoder,
    compile_encoder,
    compile_invalid_names,
    compile_row_decoder,
    compile_store,
    unreadable,
)
from dynamo_bao.mapping.compiler import roundtrips_exactly, source_of
from dynamo_bao.mapping.identity import (
    Identity,
    IdentityOf,
    KeyFunction,
    TextKeyBuilder,
    no_fast_key,
    no_identity,
)
from dynamo_bao.mapping.json_encoder import EncodeJson, compile_json_encoder, with_members
from dynamo_bao.mapping.key_schema import IndexSchema, KeyComponent, PrimaryKeySchema, UniqueConstraintSchema
from dynamo_bao.mapping.search_text import SearchConfig, field_texts, normalise_term, search_text, spellings

_ORDERING = frozenset(("<", "<=", ">", ">="))


@define(eq=False)
class Schema:
    """Everything about a model that does not change: fields, keys, indexes, and its compiled codec."""

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
    decode_row: Decode = field(init=False)
    encode: Encode = field(init=False)
    invalid_names: InvalidNames = field(init=False)
    store: Store = field(init=False)
    encode_json: EncodeJson = field(init=False)
    key_names: tuple[str, ...] = field(init=False)
    attributes: dict[str, str] = field(init=False)
    lazy_names: frozenset[str] = field(init=False)
    auto_updated_fields: tuple[Field, ...] = field(init=False)
    documents: tuple[Field, ...] = field(init=False)
    changeable: dict[str, Field] = field(init=False)
    unsteady: tuple[Field, ...] = field(init=False)
    set_names: tuple[str, ...] = field(init=False)
    sets_of: Callable[[Mapping[str, Any]], Any] | None = field(init=False)
    has_relations: bool = field(init=False)
    key_only_size: int = field(init=False)
    single_key_name: str = field(init=False)
    text_keys: TextKeyBuilder | None = field(init=False)
    derived_names: frozenset[str] = field(init=False)
    versioned: bool = field(init=False)
    is_read_often: bool = field(init=False, default=False)
    _compilers: dict[str, Callable[[], Any]] = field(init=False, factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        parts = (self.primary.partition, self.primary.sort)
        self.key_names = tuple(part.field.name for part in parts if part.field is not None)
        self.single_key_name = self.key_names[0]
        self.key_only_size = 1 + len(
            self.key_names
        )  # of how many entries an instance is that knows its key only
        self.attributes = {str(f.attribute): f.name for f in self.fields.values()}
        self.lazy_names = frozenset(self.fields)
        self.auto_updated_fields = tuple(f for f in self.fields.values() if f.auto_update)
        key_fields = [part.field for part in parts if part.field is not None]
        has_partition = self.primary.partition.field is not None
        self.text_keys = (
            TextKeyBuilder.of(self.prefix, key_fields, self.key_format) if has_partition else None
        )
        self.documents = tuple(f for f in self.fields.values() if not roundtrips_exactly(f))
        self.changeable = {name: f for name, f in self.fields.items() if name not in self.key_names}
        self.unsteady = tuple(f for f in self.fields.values() if f.may_fill)
        self.set_names = tuple(f.name for f in self.fields.values() if isinstance(f, SetField))
        self.sets_of = itemgetter(*self.set_names) if self.set_names else None
        self.has_relations = any(isinstance(f, RelatedField) for f in self.fields.values())
        self.versioned = any(isinstance(f, VersionField) for f in self.fields.values())
        pairs = [(index.pk_name, index.sk_name) for index in self.indexes.values()]
        pairs += [(ITER_PK, ITER_SK)] * self.iterable
        names = {name for pair in pairs for name in pair}
        self.derived_names = frozenset(names | {SEARCH_TEXT} if self.search is not None else names)

        self._compile_when_used()

    def _compile_when_used(self) -> None:
        """Leaves the codec to its first use: compiling it is most of what a model costs, and many are not used."""
        name, fields, keys = self.name, self.fields.values(), self.key_names
        self.decode = self._later("decode", lambda: compile_decoder(name, fields, keys))
        self.decode_row = self._later(
            "decode_row", lambda: compile_row_decoder(name, fields, keys, lambda *args: self.decode(*args))
        )
        self.encode = self._later("encode", lambda: compile_encoder(name, fields))
        self.invalid_names = self._later("invalid_names", lambda: compile_invalid_names(name, fields))
        self.store = self._later("store", lambda: compile_store(name, fields))
        self.encode_json = self._later("encode_json", self._json_encoder)

    def _json_encoder(self) -> EncodeJson:
        """How items are spelled: not at all where anything of them is still looked at afterwards."""
        usual = self.text_keys is not None and not (self.search or self.constraints or self.documents)
        encode_json = compile_json_encoder(self.name, self.fields.values()) if usual else None
        return encode_json or (lambda all_values, keys: None)

    def source(self, name: str) -> str:
        """The source of a compiled function.

        Args:
            name: ``"decode"``, ``"decode_row"``, ``"encode"``, ``"store"`` or ``"invalid_names"``.

        Raises:
            ValueError: for another name.

        Example:
            >>> print(manager.repository(User).schema.source("decode"))
        """
        compiled = self._compilers.get(name)
        if compiled is None:
            raise ValueError(f"{self.name} has no compiled {name!r}.{suggestion(name, self._compilers)}")
        function = getattr(self, name)
        if getattr(function, "__bao_later__", False):
            function = compiled()
            setattr(self, name, function)
        return source_of(function)

    def _later(self, name: str, compiled: Callable[[], Any]) -> Any:
        def first(*args: Any) -> Any:
            if getattr(self, name) is first:
                setattr(self, name, compiled())
            return getattr(self, name)(*args)

        first.__bao_later__ = True  # type: ignore[attr-defined]
        self._compilers[name] = compiled
        return first

    # --- keys ------------------------------------------------------------------------------------

    def identity(self, tenant: str | None, values: Mapping[str, Any]) -> Identity:
        """The identity of an item with these (normalised) values.

        Raises:
            ValidationError: where a key field has no value, or one that cannot be a key.
        """
        keys, text = self.text_keys, values.get(self.single_key_name)
        if (
            keys is not None and type(text) is str and self.key_only_size == 2
        ):  # a state, and the only key field
            short = keys.identity(tenant, text)
            if short is not None:
                return short
        return self._identity(tenant, [self._needed(values, name) for name in self.key_names])

    def key_maker(self, tenant: str | None) -> KeyFunction:
        """What gives the table key of an item of a tenant by the text of its first key field, the only one.

        The function returns None for a text that needs `identity`.
        """
        return no_fast_key if self.text_keys is None else self.text_keys.of_tenant[tenant]

    def stored_reader(self, tenant: str | None) -> IdentityOf:
        """What gives the identity of a tenant's stored item by the texts of its table key.

        The function returns None for a key that needs `identity_of`.
        """
        return no_identity if self.text_keys is None else self.text_keys.stored[tenant]

    def identity_of(self, tenant: str | None, item: Stored) -> Identity:
        """The identity of a stored item, by its table key.

        Raises:
            DataFormatError: if the key belongs to another model or tenant.
        """
        pk, sk = key_texts_of(item)
        short = self.stored_reader(tenant)(pk, sk)
        return self._identity_of_key(tenant, Key(pk, sk), item) if short is None else Identity(*short)

    def _identity_of_key(self, tenant: str | None, key: Key, item: Stored) -> Identity:
        try:
            texts = self._key_texts(tenant, key)
            plain = as_dict_item(item)
            values = {part.name: part.stored_value(plain, text) for part, text in texts}
            both = len(texts) == 2
            primary_id = join_id(texts[0][1], texts[1][1]) if both else texts[0][1]
        except (ValueError, ConfigurationError) as error:
            raise DataFormatError(
                f"{self.name}: the item with the key {key.pk!r} {key.sk!r} is where the model's items are, which "
                f"cannot have this key. Delete it, or store it under a key of the model.",
                model=self.name,
                key=f"{key.pk} {key.sk}",
            ) from error
        return Identity(key, primary_id, values)

    def _key_texts(self, tenant: str | None, key: Key) -> list[tuple[KeyComponent, str]]:
        """The parts of the primary key that are fields, each with its text; `ValueError` for a key of none."""
        partition, sort = self.primary.partition, self.primary.sort
        if partition.field is None:
            lead, rest = self.partition_key(tenant, ""), ""
            fits = key.pk == lead
        else:
            lead = f"{tenant_mark(tenant)}{self.prefix}#"
            rest = key.pk[len(lead) :]
            fits = key.pk.startswith(lead) and rest != ""
        if not fits or (sort.field is None and key.sk != sort.prefix):
            raise ValueError("a key of other items")
        return [(part, text) for part, text in ((partition, rest), (sort, key.sk)) if part.field is not None]

    def identify(self, tenant: str | None, given: object) -> Identity:
        """The identity of the item that a caller names.

        Args:
            given: the key field's value; the primary id as text; for composite keys also a tuple of both
                values or a mapping of field names to values; or an instance of the model.

        Raises:
            ValidationError: where it cannot name an item of this model.
        """
        if isinstance(given, str):
            short = (
                None
                if self.text_keys is None or type(given) is not str
                else self.text_keys.identity(tenant, given)
            )
            return short or self._identity_of_text(tenant, given)
        if isinstance(given, Mapping):
            return self._identity(tenant, self._values_of(given))
        if isinstance(given, tuple) and len(self.key_names) == 2:
            if len(given) != 2:
                raise self._bad_key(
                    f"takes 2 values, {' and '.join(self.key_names)}, not {len(given)}", given
                )
            return self._identity(tenant, self._values_of(dict(zip(self.key_names, given, strict=True))))
        if len(self.key_names) == 2:
            raise self._bad_key(
                f"needs {' and '.join(self.key_names)}, not one {type(given).__name__}", given
            )
        return self._identity(tenant, self._values_of({self.key_names[0]: given}))

    def _identity_of_text(self, tenant: str | None, text: str) -> Identity:
        if len(self.key_names) == 1:
            part = self._single_part()
            return self._identity(tenant, [self._accepted(part.field, part.value(text))])
        halves = text.split(SEPARATOR)
        if len(halves) != 2:
            raise self._bad_key(
                f"has two parts; give ({', '.join(self.key_names)}) or make_primary_id(...), not one text",
                text,
            )
        parts = (self.primary.partition, self.primary.sort)
        return self._identity(
            tenant,
            [self._accepted(part.field, part.value(half)) for part, half in zip(parts, halves, strict=True)],
        )

    def _single_part(self) -> KeyComponent:
        return self.primary.partition if self.primary.partition.field is not None else self.primary.sort

    def _values_of(self, given: Mapping[Any, Any]) -> list[Any]:
        for name in given:
            if name not in self.key_names:
                hint = suggestion(str(name), self.key_names)
                raise self._bad_key(
                    f"has no part {name!r}; give {' and '.join(self.key_names)}, or the key by position.{hint}",
                    given,
                )
        return [self._accepted(self.fields[name], self._needed(given, name)) for name in self.key_names]

    def _needed(self, values: Mapping[Any, Any], name: str) -> Any:
        value = values.get(name)
        if value is None:
            raise self.fields[name].error("is part of the key and needs a value", None)
        return value

    def _accepted(self, owner: Field | None, value: Any) -> Any:
        assert owner is not None
        return owner.accept(value)

    def _bad_key(self, why: str, value: object) -> ValidationError:
        return ValidationError(f"{self.name}: the key {why}.", self.key_names[0], value)

    def _identity(self, tenant: str | None, values: Sequence[Any]) -> Identity:
        partition, sort = self.primary.partition, self.primary.sort
        if sort.field is None:
            text = partition.to_text(values[0])
            pk = self.partition_key(tenant, text)
            return Identity(Key(pk, self.prefix), text, {self.key_names[0]: values[0]})
        if partition.field is None:
            text = sort_text(sort.to_text(values[0]), self.name, self.key_names[0])
            return Identity(Key(self.partition_key(tenant, ""), text), text, {self.key_names[0]: values[0]})
        first = checked_part(partition.to_text(values[0]), self.name, self.key_names[0])
        second = checked_part(sort.to_text(values[1]), self.name, self.key_names[1])
        pk = self.partition_key(tenant, first)
        key = Key(pk, sort_text(second, self.name, self.key_names[1]))
        return Identity(
            key,
            join_id(first, second, self.name, self.key_names[0]),
            dict(zip(self.key_names, values, strict=True)),
        )

    def partition_key(self, tenant: str | None, text: str) -> str:
        """The text of ``_pk`` for a partition part's text."""
        if self.primary.partition.field is None:
            if tenant is not None and self.key_format == "dynamo-bao":
                raise ConfigurationError(
                    f"{self.name}: with key_format='dynamo-bao' a key with MODEL_PREFIX as its partition has no "
                    f"tenant, so that tenants would meet; use key_format='native' or another partition key.",
                    model=self.name,
                )
            return tenant_mark(tenant) + self.prefix
        lead = f"{tenant_mark(tenant)}{self.prefix}#"
        return lead + partition_text(text, self.name, self.primary.partition.field.name, len(lead))

    def mapped_relation(self, shape: IndexSchema | PrimaryKeySchema) -> str | None:
        """For a model between two others: the relation of its key that an index does not ask by, if there is one."""
        ends = [name for name in self.key_names if isinstance(self.fields[name], RelatedField)]
        asked = shape.partition.field
        others = [name for name in ends if asked is not None and name != asked.name]
        return others[0] if len(ends) == 2 and len(others) == 1 else None

    # --- items -----------------------------------------------------------------------------------

    def item(self, tenant: str | None, identity: Identity, values: Mapping[str, Any]) -> Item:
        """The whole stored item of a model's values: attributes, keys, index and iteration keys."""
        item = self.encode(values)
        self.complete(item, tenant, identity, values)
        return item

    def complete(self, item: Item, tenant: str | None, identity: Identity, values: Mapping[str, Any]) -> None:
        """Gives an item that has its fields' attributes its keys, and what follows from its values."""
        key = identity.key
        item[PK], item[SK] = {"S": key.pk}, {"S": key.sk}
        if self.derived_names:
            item.update(self.derived(tenant, identity.primary_id, values, item))

    def encoded_json(
        self,
        all_values: Sequence[Mapping[str, Any]],
        keys: Sequence[Key],
        named: Iterable[tuple[str | None, str]],
    ) -> list[bytes] | None:
        """Encodes whole items to JSON. Returns None if one of them cannot be encoded straight to JSON.

        Args:
            named: of each item the tenant and the primary id.
        """
        items = self.encode_json(all_values, keys)
        if items is None or not self.derived_names:
            return items
        return [
            with_members(item, self.derived(tenant, primary_id, values, {}))
            for item, values, (tenant, primary_id) in zip(items, all_values, named, strict=True)
        ]

    def derived(self, tenant: str | None, primary_id: str, values: Mapping[str, Any], item: Item) -> Item:
        """The attributes that follow from others: index keys, iteration keys and the search text.

        Args:
            values: the model's values.
            item: their stored form.
        """
        found: Item = {}
        for index in self.indexes.values():
            found.update(index.keys(tenant, values))
        if self.iterable:
            found.update(self.iteration_keys(tenant, primary_id))
        text = self.search_text(item)
        if text:
            found[SEARCH_TEXT] = {"S": text}
        return found

    def iteration_keys(self, tenant: str | None, primary_id: str) -> Item:
        """The keys by which the item is found when all of its model are gone through."""
        return {
            ITER_PK: {"S": self.iteration_partition(tenant, bucket_of(primary_id, self.buckets))},
            ITER_SK: {"S": sort_text(primary_id, self.name, self.key_names[0])},
        }

    def iteration_partition(self, tenant: str | None, bucket: int) -> str:
        """The partition key of one iteration bucket."""
        partition = f"{tenant_mark(tenant)}{self.prefix}#iter"
        return f"{partition}#{bucket:03d}" if self.buckets > 1 else partition

    def search_text(self, item: Item) -> str:
        """The search text of a stored item's fields; empty where the model is not searchable."""
        return "" if self.search is None else search_text(self._plain_texts(item, self.search), self.search)

    def is_text_of_before(self, item: Item) -> bool:
        """Whether an item has the search text that its fields gave before ``normalise=`` was set."""
        before = None if self.search is None else self.search.before
        if before is None:
            return False
        return item.get(SEARCH_TEXT) == {"S": search_text(self._plain_texts(item, before), before)}

    def field_texts(self, item: Item) -> list[str]:
        """The texts of a stored item's search fields, each by itself and with every word."""
        return [] if self.search is None else field_texts(self._plain_texts(item, self.search), self.search)

    def _plain_texts(self, item: Item, config: SearchConfig) -> dict[str, object]:
        stored = {name: item.get(str(self.fields[name].attribute), {}) for name in config.fields}
        return {
            name: number_text(Decimal(value["N"])) if "N" in value else next(iter(value.values()), None)
            for name, value in stored.items()
            if _is_readable(self.fields[name], value)
        }

    def values_of(self, item: Item, keys: Mapping[str, Any]) -> dict[str, Any]:
        """The field values of a stored item, without those fields that cannot read what is stored of them.

        Args:
            keys: the values of the key fields, as `identity_of` gives them.
        """
        values = self.decode(item, None, keys)
        del values[STATE]
        return values

    def unreadable(self, primary_id: str | None, name: str, stored: AttributeValue) -> DataFormatError:
        """The error for a field that cannot read what is stored of it."""
        return unreadable(self.name, primary_id or "", self.fields[name], stored)

    def accept_all(self, values: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, Any]:
        """`values` normalised and validated, all wrong ones told in one `ValidationError`."""
        accepted: dict[str, Any] = {}
        errors = []
        if names is None and values.keys() >= self.fields.keys():
            names = self.invalid_names(values)
            accepted = dict(zip(self.fields, map(values.__getitem__, self.fields), strict=True))
        for name in self.fields if names is None else names:
            try:
                accepted[name] = self.fields[name].accept(values.get(name))
            except ValidationError as error:
                errors.append(error)
        if errors:
            raise ValidationError.of(self.name, errors)
        return accepted

    # --- conditions ------------------------------------------------------------------------------

    def attribute(self, path: UserPath) -> Attribute:
        """The stored attribute, or part of one, for a field path; part of `expressions.render.Resolver`."""
        if path == SEARCH_TEXT:
            return Attribute(SEARCH_TEXT)
        owner, rest = self._split(path)
        return Attribute(str(owner.attribute), rest)

    def operand(self, path: UserPath, value: object, operator: str) -> AttributeValue:
        """The typed value that `path` is compared with; part of `expressions.render.Resolver`."""
        if path == SEARCH_TEXT:
            return self._search_operand(value)
        owner, rest = self._split(path)
        if rest:
            return self._inner_operand(path, owner, value)
        if (operator in _ORDERING and not owner.ordered) or (
            operator == "begins_with" and not owner.supports_begins_with
        ):
            raise QueryError(
                f"{self.name}.{owner.name}: DynamoDB has no {operator} for a {type(owner).__name__}.",
                field=owner.name,
            )
        if isinstance(value, Mapping) and isinstance(owner, NestedField):
            return self._inner_operand(path, owner, value)
        return owner.member(value) if operator in ("contains", "begins_with") else owner.operand(value)

    def searched(self, text: object) -> list[AttributeValue]:
        """The texts of which the search text of a match of `text` contains one.

        Part of `expressions.render.Resolver`.
        """
        if self.search is None or self.search.before is None:
            return [self._search_operand(text)]
        found = spellings(str(text), self.search)
        return [{"S": spelling} for spelling in found if spelling] or [self._search_operand(text)]

    def _search_operand(self, value: object) -> AttributeValue:
        text = str(value) if self.search is None else normalise_term(str(value), self.search)
        if not text:
            raise QueryError(
                f"{self.name}: {SEARCH_TEXT} is compared with a text without any letter or digit; give a term.",
                field=SEARCH_TEXT,
            )
        return {"S": text}

    def _inner_operand(self, path: UserPath, owner: Field, value: object) -> AttributeValue:
        try:
            return to_document(to_builtin(value))
        except ValueError as error:
            raise QueryError(f"{self.name}.{shown(path)}: the value {error}.", field=owner.name) from error

    def _split(self, path: UserPath) -> tuple[Field, Steps]:
        """Returns the first field of a path, and the steps after it. Raises QueryError for an unknown part."""
        name, *rest = steps_of(path)
        owner = self.fields.get(str(name))
        if owner is None:
            hint = suggestion(str(name), self.fields)
            raise QueryError(f"Unknown field in filter: {name!r} of {self.name}.{hint}", field=str(name))
        if rest:
            part_of(owner, tuple(rest))
        return owner, tuple(rest)


def part_of(owner: Field, steps: Steps) -> Field | None:
    """Returns the field of a part of a document. None if the part may hold anything.

    Raises:
        QueryError: where nothing can be there.
    """
    if owner.can_be_key or isinstance(owner, (JsonField, SetField, BinaryField)):
        raise QueryError(
            f"{owner.model}.{owner.name} has no inner path {shown(('', *steps))!r}; it is not a map.",
            field=owner.name,
        )
    part: Field | None = owner
    for step in steps:
        if part is None or (type(part).inside is Field.inside and not part.is_part):
            return None  # anything, or a field of somebody's own that does not say
        part = part.inside(step)
    return part


def _is_readable(field: Field, stored: AttributeValue) -> bool:
    """Whether a field can read what is stored of it, if anything is."""
    try:
        return not stored or field.from_dynamo(stored) is not None
    except Exception:  # a field's own conversions may raise anything
        return False
