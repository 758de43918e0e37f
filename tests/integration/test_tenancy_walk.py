"""X2: every public way in, tried with another tenant's id, cursor, instance and filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_bao import (
    CounterField,
    Index,
    ItemNotFoundError,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    Related,
    RelatedField,
    Session,
    StringField,
    TenantContext,
    TenantMismatchError,
    TenantRequiredError,
    Transaction,
    UniqueConstraint,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.models.registry import repository_of
from tests.support.wire import Wire


class Team(Model, prefix="tt", name="WalkTeam"):
    team_id: str = StringField()
    label: str = StringField()

    primary_key = PrimaryKey("team_id")


class Member(Model, prefix="tm", name="WalkMember", iterable=True, iteration_buckets=1, searchable=["label"]):
    member_id: str = StringField()
    label: str = StringField()
    email: str | None = StringField(default=None)
    team_id: str | None = RelatedField("WalkTeam", default=None)
    visits: int = CounterField()

    primary_key = PrimaryKey("member_id")
    by_label = Index("label", "member_id", id="gsi1")
    members_for_team = Index("team_id", "member_id", id="gsi2")
    unique_email = UniqueConstraint("email", id="uc1")
    team = Related["Team"]("team_id")


RED, BLUE = "red", "blue"


@pytest.fixture
def manager(table_name: str) -> Iterator[Manager]:
    """A table where two tenants have items with the same keys and values."""
    with init_models(
        models=[Team, Member], table_name=table_name, embedded=True, tenancy={"enabled": True}
    ) as manager:
        for tenant in (RED, BLUE):
            with TenantContext.run_with_tenant(tenant):
                Team.create(team_id="t", label=f"{tenant} secret")
                for number in range(3):
                    Member.create(member_id=f"{number}", label="fox", email=f"{number}@x", team_id="t")
                Member.create(member_id=f"only-{tenant}", label="fox", email=f"{tenant}@x", team_id="t")
                Member.update("0", visits=1 if tenant == RED else 100)
        yield manager


def of(tenant: str, work: Callable[[], Any]) -> Any:
    """What `work` gives for a tenant."""
    with TenantContext.run_with_tenant(tenant):
        return work()


def instance() -> Member:
    """Red's member, loaded."""
    found: Member = of(RED, lambda: Member.find_or_raise("0"))
    return found


# --- instances ---------------------------------------------------------------------------------------

INSTANCE: dict[str, Callable[[Member], Any]] = {
    "save": lambda one: one.save(),
    "save changed": lambda one: (setattr(one, "label", "x"), one.save()),
    "save reindexed": lambda one: one.save(force_reindex=True),
    "delete": lambda one: one.delete(),
    "class delete": lambda one: Member.delete(one),
    "refresh": lambda one: one.refresh(),
    "team": lambda one: one.team,
    "related": lambda one: one.related(Team, "team_id"),
    "load_related_data": lambda one: one.load_related_data(),
    "get_or_load_related_field": lambda one: one.get_or_load_related_field("team_id"),
    "clear_related_cache": lambda one: (one.clear_related_cache(), one.team),
    "get_team": lambda one: one.get_team(),  # type: ignore[attr-defined]
    "session.add": lambda one: in_a_session(lambda session: session.add(one)),
    "session.delete": lambda one: in_a_session(lambda session: session.delete(one)),
    "tx.require": lambda one: required(one),
    "repository.save": lambda one: repository_of(Member).save(one),
    "find": lambda one: Member.find(one),
    "update": lambda one: Member.update(one, label="x"),
    "batch_find": lambda one: Member.batch_find([one]),
}
LOCAL = {
    "exists",
    "primary_id",
    "has_changes",
    "changes",
    "to_dict",
    "to_json",
    "consumed_capacity",
    "get_related",
    "is_expired",
}
"""What shows only what the instance holds: no request, whoever is current."""

CLASS: dict[str, Callable[[], Any]] = {
    "find": lambda: Member.find("only-red").exists(),
    "find_or_none": lambda: Member.find_or_none("only-red"),
    "find_or_raise": lambda: found_or_none(lambda: Member.find_or_raise("only-red")),
    "batch_find": lambda: Member.batch_find(["only-red"])["only-red"].exists(),
    "find_by_unique_constraint": lambda: Member.find_by_unique_constraint("unique_email", "red@x"),
    "find_by_email": lambda: Member.find_by_email("red@x"),  # type: ignore[attr-defined]
    "unique_email": lambda: Member.unique_email.find("red@x"),
    "batch_find_by_unique_constraint": lambda: Member.batch_find_by_unique_constraint(
        "unique_email", ["red@x"]
    )["red@x"],
    "update": lambda: found_or_none(lambda: Member.update("only-red", label="x")),
    "increment": lambda: found_or_none(lambda: Member.increment("only-red", visits=1)),
    "delete": lambda: found_or_none(lambda: Member.delete("only-red")),
    "find_where": lambda: red_in(Member.find_where(label="fox")),
    "query_by_index": lambda: red_in(Member.query_by_index("by_label", "fox")),
    "query_by_label": lambda: red_in(Member.query_by_label("fox")),  # type: ignore[attr-defined]
    "by_label": lambda: red_in(Member.by_label.query("fox", filter={"member_id": "only-red"})),
    "query_members_for_team": lambda: red_in(Member.query_members_for_team("t")),  # type: ignore[attr-defined]
    "members_for_team": lambda: red_in(Member.members_for_team.query("t")),
    "iterate_all": lambda: red_in(one for batch in Member.iterate_all() for one in batch),
    "iterate_bucket": lambda: red_in(one for batch in Member.iterate_bucket(0) for one in batch),
    "count": lambda: Member.count() - 4,
    "search_all": lambda: red_in(Member.search_all(["fox"])),
    "search_bucket": lambda: red_in(Member.search_bucket(0, ["fox"])),
}
WRITES: dict[str, Callable[[], Any]] = {
    "create": lambda: Member.create(member_id="only-red", label="blue's own", email="red@x"),
    "upsert": lambda: Member.upsert(member_id="0", label="blue's own"),
}
KEYLESS = {
    "from_dict",
    "is_inside_batch_context",
    "make_primary_id",
    "register_plugin",
    "tokenize_search_query",
    "fields",
    "primary_key",
    "index_queries",
}
"""What has nothing to do with stored items."""


def in_a_session(work: Callable[[Session], Any]) -> None:
    with run_with_batch_context() as session:
        work(session)


def required(one: Member) -> None:
    with transaction() as tx:
        tx.require(one)


def found_or_none(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except ItemNotFoundError:
        return None


def red_in(found: Any) -> list[Any]:
    """Red's own rows; it must be empty, and blue's must be there."""
    ids = [one.member_id for one in found]
    return [name for name in ids if name == "only-red"]


@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
@pytest.mark.promise("X2")
def test_another_tenants_instances_are_refused(manager: Manager, inside: bool) -> None:
    """Every method of an instance that would send something is refused, under another tenant and under none."""
    tried = 0
    for name, use in INSTANCE.items():
        for tenant, error in ((BLUE, TenantMismatchError), (None, TenantRequiredError)):
            one = instance()
            wire = Wire(manager.client)
            try:
                with pytest.raises(error):
                    attempted(use, one, tenant, inside)
            except BaseException:
                print(name, tenant)
                raise
            assert len(wire) == 0, name
            tried += 1
    print(f"X2: {tried} uses of another tenant's instance, {tried} refused, 0 requests")


def attempted(use: Callable[[Member], Any], one: Member, tenant: str | None, inside: bool) -> None:
    if tenant is not None:
        TenantContext.set_current_tenant(tenant)
    try:
        if inside:
            with run_with_batch_context():
                use(one)
        else:
            use(one)
    finally:
        TenantContext.clear_tenant()


@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
@pytest.mark.promise("X2")
def test_another_tenants_ids_and_values_find_nothing(manager: Manager, inside: bool) -> None:
    """No class method reaches another tenant's item; without a tenant each is refused before any request."""
    for name, use in {**CLASS, **WRITES}.items():
        wire = Wire(manager.client)
        with pytest.raises(TenantRequiredError):
            attempted(lambda _, use=use: use(), Member(member_id="-", label="-"), None, inside)
        assert len(wire) == 0, name
    for name, use in CLASS.items():
        with TenantContext.run_with_tenant(BLUE):
            if inside:
                with run_with_batch_context():
                    assert not use(), name
            else:
                assert not use(), name
    for use in WRITES.values():
        of(BLUE, use)
    red = of(RED, lambda: {one.member_id: one.to_dict() for batch in Member.iterate_all() for one in batch})
    assert red["only-red"]["label"] == red["0"]["label"] == "fox"
    assert red["0"]["visits"] == 1


@pytest.mark.promise("X2")
def test_another_tenants_cursors_are_refused(manager: Manager) -> None:
    """Cursors of queries, iterations and searches are another tenant's or nobody's."""
    cursors = of(
        RED,
        lambda: (
            Member.by_label.query("fox", limit=1).last_evaluated_key,
            Member.search_all(["fox"], limit=1).cursor,
            iterated(),
        ),
    )
    assert all(cursors)
    query, search, iteration = cursors
    wire = Wire(manager.client)
    uses: list[Callable[[], Any]] = [
        lambda: Member.by_label.query("fox", limit=1, start_key=query).all(),
        lambda: Member.search_all(["fox"], limit=1, cursor=search),
        lambda: next(Member.iterate_all(batch_size=1, start_key=iteration)),
    ]
    for use in uses:
        with pytest.raises(QueryError):
            of(BLUE, use)
        with pytest.raises(TenantRequiredError):
            use()
    assert len(wire) == 0


def iterated() -> str | None:
    batches = Member.iterate_all(batch_size=1)
    next(batches)
    return batches.last_evaluated_key


@pytest.mark.promise("X2")
def test_another_tenants_instance_as_a_value(manager: Manager) -> None:
    """An instance of another tenant stands for no id: not in a filter, a relation or a query's partition."""
    team = of(RED, lambda: Team.find_or_raise("t"))
    wire = Wire(manager.client)
    uses: list[Callable[[], Any]] = [
        lambda: Member.create(member_id="new", label="x", team_id=team),
        lambda: Member.update("0", team_id=team),
        lambda: Member.members_for_team.query(team).all(),
        lambda: Member.by_label.query("fox", filter={"team_id": team}).all(),
        lambda: saved_with(team_id=team),
        lambda: saved_with(team=team),
    ]
    for use in uses:
        with pytest.raises(TenantMismatchError):
            of(BLUE, use)
    assert len(wire) == 0


def saved_with(**values: Any) -> None:
    one = Member(member_id="new", label="x")
    for name, value in values.items():
        setattr(one, name, value)
    one.save()


NEW: dict[str, Callable[[Member], Any]] = {
    "save": lambda one: one.save(),
    "repository.save": lambda one: repository_of(Member).save(one),
    "session.add": lambda one: in_a_session(lambda session: session.add(one)),
    "in a transaction": lambda one: saved_together(one),
    "find": lambda one: Member.find(one),
    "as a value": lambda one: repository_of(Member).identify(BLUE, one),
}


def saved_together(one: Member) -> None:
    with transaction():
        one.save()


@pytest.mark.parametrize("use", NEW.values(), ids=NEW)
@pytest.mark.promise("X2")
def test_a_new_instance_belongs_to_the_tenant_it_was_made_under(
    manager: Manager, use: Callable[[Member], Any]
) -> None:
    """It is not stored for another one; one that was made under none is for whoever saves it."""
    wire = Wire(manager.client)
    made = of(RED, lambda: Member(member_id="made", label="red's"))
    with pytest.raises(TenantMismatchError, match="red"):
        of(BLUE, lambda: use(made))
    assert len(wire) == 0
    assert of(RED, lambda: made.save().label) == "red's"
    nobodys = Member(member_id="nobody's", label="any")
    assert of(BLUE, lambda: nobodys.save().exists())
    assert not of(RED, lambda: Member.find("nobody's").exists())


@pytest.mark.promise("X2")
def test_a_new_instance_as_a_value(manager: Manager) -> None:
    """One that was made under another tenant stands for no id either."""
    team = of(RED, lambda: Team(team_id="new", label="red's"))
    with pytest.raises(TenantMismatchError):
        of(BLUE, lambda: Member.create(member_id="new", label="x", team_id=team))


@pytest.mark.promise("X2")
def test_nothing_public_is_left_out() -> None:
    """Every public name of a model, a session and a transaction is tried here, or shown to hold nothing stored."""
    names = {name for name in dir(Member) if not name.startswith("_")} - set(Member.__bao_schema__.fields)
    walked = {*INSTANCE, *CLASS, *WRITES, *LOCAL, *KEYLESS}
    assert names - walked == set()
    writing = {"add", "delete"}
    reading = {"activate", "budget", "clear", "commit", "expunge", "flush", "rollback", "trace"}
    public = {name for name in dir(Session) if not name.startswith("_")}
    assert writing | reading <= public
    assert hasattr(Transaction, "require")
