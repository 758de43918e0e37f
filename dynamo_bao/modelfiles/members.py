"""The names that models of files give themselves and each other, as `classes` and `manager` make them at run time."""

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
    """``Post.query_posts_for_user(value)``: the items of one partition; of all, where `field` is None."""

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
        is_attribute: whether there is ``post.user``, which a name that every model has cannot be.
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
    """``tag.get_posts()``: what the rows of a mapping model relate this one to."""

    name: str
    model: ModelDescription
    key: KeyDescription
    target: str


Member = Query | Find | Relation | Children | Mapped


def own_members(model: ModelDescription) -> list[Member]:
    """What a model's own fields and keys give it."""
    taken = _taken(model)
    found: list[Member] = []
    for key in model.queries:
        found.append(Query(f"query_{key.name}", key, model.fields.get(str(key.partition))))
    for constraint in model.constraints:
        field = model.fields[constraint.field]
        found.append(Find(f"find_by_{field.name}", constraint, field))
    for field in model.fields.values():
        name = relation_name(field.name) if field.is_relation else None
        if name is not None and name not in model.fields:
            found.append(Relation(name, field, name not in taken))
    return [member for member in found if not taken.intersection(names_of(member))]


def members_from_others(
    models: Mapping[str, ModelDescription], model: ModelDescription
) -> list[Children | Mapped]:
    """What relations to a model give it."""
    taken = _taken(model) | {name for member in own_members(model) for name in names_of(member)}
    return [member for member in _from_others(models, model) if member.name not in taken]


def _from_others(
    models: Mapping[str, ModelDescription], model: ModelDescription
) -> Iterator[Children | Mapped]:
    for other in models.values():
        for key in other.queries:
            owner = other.fields.get(str(key.partition))
            if owner is None or owner.target != model.name or key.name is None:
                continue
            yield Children(parent_query_name(key.name), other, key)
            target = _other_end(other, owner)
            if target is not None:
                yield Mapped(mapped_name(key.name), other, key, target)


def _other_end(model: ModelDescription, one: FieldDescription) -> str | None:
    """For a mapping model: the model at the other end from a relation of its key."""
    if model.table_type != "mapping":
        return None
    ends = [model.fields.get(str(part)) for part in (model.primary.partition, model.primary.sort)]
    others = [end.target for end in ends if end is not None and end.is_relation and end is not one]
    return others[0] if one in ends and len(others) == 1 else None


def _taken(model: ModelDescription) -> set[str]:
    declared = {key.name for key in model.queries} | {constraint.name for constraint in model.constraints}
    return {*_OF_EVERY_MODEL, *model.fields, *map(str, declared)}


def names_of(member: Member) -> list[str]:
    """The attributes that a member is."""
    if not isinstance(member, Relation):
        return [member.name]
    return [*([member.name] if member.is_attribute else []), f"get_{member.name}"]
