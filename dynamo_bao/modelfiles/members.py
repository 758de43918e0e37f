"""The methods and attributes that models of files get at run time, from their own keys and from other models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dynamo_bao.modelfiles.description import (
    ConstraintDescription,
    FieldDescription,
    KeyDescription,
    ModelDescription,
)
from dynamo_bao.modelfiles.naming import is_name
from dynamo_bao.models.model import Model
from dynamo_bao.models.relationships import HasMany, Related, mapped_name, parent_query_name, relation_name
from dynamo_bao.runtime.records import frozen

_OF_EVERY_MODEL = frozenset(dir(Model))


@frozen
class Query:
    """``Post.query_posts_for_user(value)``: the items of one partition, or all items if `field` is None."""

    name: str
    key: KeyDescription
    field: FieldDescription | None


@frozen
class Find:
    """``User.find_by_email(value)``: the item with a unique value."""

    name: str
    constraint: ConstraintDescription
    field: FieldDescription


@frozen
class Relation:
    """``post.user``, and ``post.get_user()``, for a relation field.

    Attributes:
        attribute: the name of ``post.user``: ``count_`` if every model has a method ``count``; None if the model
            declares something else of that name, which also is the relation field itself if it does not end in ``_id``.
    """

    name: str
    field: FieldDescription
    attribute: str | None


@frozen
class Children:
    """``user.query_posts()``: the items of another model that relate to this one."""

    name: str
    model: ModelDescription
    key: KeyDescription


@frozen
class Mapped:
    """``tag.get_posts()``: the items that the rows of a mapping model relate to this one."""

    name: str
    model: ModelDescription
    key: KeyDescription
    target: str


@frozen
class ToMany:
    """``user.posts``: the instances of another model that relate to this one.

    Attributes:
        model, key: the model whose items are queried, and its index.
        target: the model of the instances.
    """

    name: str
    model: ModelDescription
    key: KeyDescription
    target: str

    @property
    def through(self) -> str | None:
        """The mapping model between the two, if there is one."""
        return self.model.name if self.model.table_type == "mapping" else None


Member = Query | Find | Relation | Children | Mapped | ToMany


def own_members(model: ModelDescription) -> list[Member]:
    """The members that a model gets from its own fields and keys."""
    reserved = _declared_names(model)
    members: list[Member] = []
    for key in model.queries:
        members.append(Query(f"query_{key.name}", key, model.fields.get(str(key.partition))))
    for constraint in model.constraints:
        field = model.fields[constraint.field]
        members.append(Find(f"find_by_{field.name}", constraint, field))
    for field in model.fields.values():
        if not field.is_relation:
            continue
        name = relation_name(field.name)
        if name is None:
            members.append(Relation(field.name, field, None))
        elif name not in model.fields:
            members.append(Relation(name, field, _relation_attribute(name, reserved)))
    return [member for member in members if not reserved.intersection(names_of(member))]


def _relation_attribute(name: str, reserved: set[str]) -> str | None:
    if name not in reserved:
        return name
    if name not in _OF_EVERY_MODEL:
        return None
    while name in reserved:
        name += "_"
    return name


def members_from_others(
    models: Mapping[str, ModelDescription], model: ModelDescription
) -> list[Children | Mapped | ToMany]:
    """The members that a model gets from relations of other models to it."""
    reserved = _declared_names(model) | {name for member in own_members(model) for name in names_of(member)}
    members = [member for member in _members_of_relations(models, model) if member.name not in reserved]
    names = {member.name for member in members}
    relations = {
        relation.name: relation
        for relation in map(_to_many, members)
        if relation is not None and relation.name not in reserved | names
    }
    return [*members, *relations.values()]


def _to_many(member: Children | Mapped) -> ToMany | None:
    """The attribute beside a method; None for the rows of a mapping model, and if the index has no fitting name."""
    name, separator, _ = str(member.key.name).partition("_for_")
    is_rows = isinstance(member, Children) and member.model.table_type == "mapping"
    if not separator or not is_name(name) or is_rows:
        return None
    target = member.target if isinstance(member, Mapped) else member.model.name
    return ToMany(name, member.model, member.key, target)


def declared_relations(
    models: Mapping[str, ModelDescription], model: ModelDescription
) -> dict[str, Related[Any] | HasMany[Any]]:
    """The relations that the class body of a model must declare, by name."""
    relations: dict[str, Related[Any] | HasMany[Any]] = {
        member.attribute: Related(member.field.name)
        for member in own_members(model)
        if isinstance(member, Relation) and member.attribute not in (None, member.name)
    }
    many: Any = HasMany  # subscribed with a name, which checkers take for a type
    for member in members_from_others(models, model):
        if isinstance(member, ToMany):
            relations[member.name] = many[member.target](str(member.key.name), through=member.through)
    return relations


def _members_of_relations(
    models: Mapping[str, ModelDescription], model: ModelDescription
) -> Iterator[Children | Mapped]:
    for related in models.values():
        for key in related.queries:
            owner = related.fields.get(str(key.partition))
            if owner is None or owner.target != model.name or key.name is None:
                continue
            yield Children(parent_query_name(key.name), related, key)
            target = _opposite_model(related, owner)
            if target is not None:
                yield Mapped(mapped_name(key.name), related, key, target)


def _opposite_model(model: ModelDescription, relation: FieldDescription) -> str | None:
    """For a mapping model: the model that the other relation of its key refers to."""
    if model.table_type != "mapping":
        return None
    ends = [model.fields.get(str(part)) for part in (model.primary.partition, model.primary.sort)]
    targets = [end.target for end in ends if end is not None and end.is_relation and end is not relation]
    return targets[0] if relation in ends and len(targets) == 1 else None


def _declared_names(model: ModelDescription) -> set[str]:
    declared = {key.name for key in model.queries} | {constraint.name for constraint in model.constraints}
    return {*_OF_EVERY_MODEL, *model.fields, *map(str, declared)}


def names_of(member: Member) -> list[str]:
    """The names of the attributes of a member."""
    if not isinstance(member, Relation):
        return [member.name]
    return [*([] if member.attribute is None else [member.attribute]), f"get_{member.name}"]
