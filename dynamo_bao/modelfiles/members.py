"""The methods and attributes that models of files get at run time, from their own keys and from other models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from dynamo_bao.modelfiles.description import (
    ConstraintDescription,
    FieldDescription,
    KeyDescription,
    ModelDescription,
)
from dynamo_bao.models.model import Model
from dynamo_bao.models.relationships import mapped_name, parent_query_name, relation_name

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
        is_attribute: whether ``post.user`` exists. It does not if every model has a member of that name.
    """

    name: str
    field: FieldDescription
    is_attribute: bool


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


Member = Query | Find | Relation | Children | Mapped


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
        name = relation_name(field.name) if field.is_relation else None
        if name is not None and name not in model.fields:
            members.append(Relation(name, field, name not in reserved))
    return [member for member in members if not reserved.intersection(names_of(member))]


def members_from_others(
    models: Mapping[str, ModelDescription], model: ModelDescription
) -> list[Children | Mapped]:
    """The members that a model gets from relations of other models to it."""
    reserved = _declared_names(model) | {name for member in own_members(model) for name in names_of(member)}
    return [member for member in _members_of_relations(models, model) if member.name not in reserved]


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
    return [*([member.name] if member.is_attribute else []), f"get_{member.name}"]
