"""Contexts, tenants and managers: nothing sticks to the classes, and nothing is checked too late."""

from __future__ import annotations

import uuid

import pytest

from dynamo_bao import (
    BatchContextRequiredError,
    ConfigurationError,
    CounterField,
    Index,
    Manager,
    Model,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    TenantContext,
    TenantError,
    TenantRequiredError,
    UniqueConstraint,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.testing import (
    FaultInjectingTransport,
    embedded_transport,
    lost_reply,
    refused_connection,
    throttled,
)
from tests.support.clocks import FakeTime
from tests.support.wire import Wire


class DxTeam(Model, prefix="x4a", iterable=True, iteration_buckets=2):
    key: str = StringField()
    name: str = StringField(default="")

    primary_key = PrimaryKey("key")


class DxPlayer(Model, prefix="x4b"):
    key: str = StringField()
    team_id: str | None = RelatedField("DxTeam", default=None)
    email: str | None = StringField(default=None)
    tags: set[str] = StringSetField()
    goals: int = CounterField()

    primary_key = PrimaryKey("key")
    unique_email = UniqueConstraint("email", id="uc1")
    players_for_team = Index("team_id", "key", id="gsi1")


MODELS = [DxTeam, DxPlayer]


@pytest.mark.defect(31)
def test_strict_mode(strict: Manager) -> None:
    """Where a context is required, every operation outside one is refused before anything is sent."""
    with run_with_batch_context():
        player = DxPlayer.create(key="a", email="a@example.com")
    wire = Wire(strict.client)
    for operation in (
        lambda: DxPlayer.create(key="b", email="b@example.com"),
        lambda: DxPlayer.update("a", email="c@example.com"),
        lambda: DxPlayer.delete("a"),
        lambda: DxPlayer.unique_email.find("a@example.com"),
        lambda: list(DxPlayer.players_for_team.query("t")),
        lambda: list(DxTeam.iterate_all()),
        lambda: player.save(force_reindex=True),
        lambda: DxPlayer.find("a").exists(),
    ):
        with pytest.raises(BatchContextRequiredError):
            operation()
    assert len(wire) == 0


@pytest.mark.defect(32)
def test_tenants_do_not_stick(tenanted: Manager) -> None:
    """After the tenant is gone nothing uses it; an operation needs one of its own."""
    TenantContext.set_current_tenant("leaky")
    DxTeam.create(key="a")
    TenantContext.clear_tenant()
    wire = Wire(tenanted.client)
    with pytest.raises(TenantRequiredError):
        DxTeam.create(key="b")
    with pytest.raises(TenantRequiredError):
        DxTeam.find("a").exists()
    assert len(wire) == 0


@pytest.mark.defect(33)
def test_unknown_tenants(tenanted: Manager) -> None:
    """A tenant never mentioned before has relations, unique values and iteration at once."""
    with TenantContext.run_with_tenant(f"new-{uuid.uuid4().hex}"):
        DxTeam.create(key="t", name="Team")
        player = DxPlayer.create(key="p", team_id="t", email="p@example.com")
        assert player.related(DxTeam, "team_id").name == "Team"
        found = DxPlayer.unique_email.find("p@example.com")
        assert found is not None
        assert found.key == "p"
        assert [team.key for batch in DxTeam.iterate_all() for team in batch] == ["t"]


@pytest.mark.defect(34)
def test_corner_cases_of_tenants(manager: Manager) -> None:
    """The tenant "default" is one like others, clearing ends with its block, and None is no way around the tenant."""
    DxTeam.create(key="a", name="of nobody")
    with TenantContext.run_with_tenant("default"):
        assert not DxTeam.find("a").exists()
    TenantContext.set_current_tenant("outer")
    with TenantContext.run_with_tenant("inner"):
        TenantContext.clear_tenant()
        assert TenantContext.get_current_tenant() != "inner"
    assert TenantContext.get_current_tenant() == "outer"
    try:
        with TenantContext.run_with_tenant(None):  # type: ignore[arg-type]
            assert TenantContext.get_current_tenant() is None
    except (TenantError, TypeError):
        pass
    assert TenantContext.get_current_tenant() == "outer"


@pytest.mark.defect(35)
def test_two_managers(manager: Manager) -> None:
    """Two managers of one class keep to their own tables."""
    transport = embedded_transport()
    first = manager.repository(DxTeam)
    first.create(key="a", name="first")
    with init_models(models=MODELS, table_name="defects_other", transport=transport) as other:
        other.create_table()
        second = other.repository(DxTeam)
        assert not second.find("a").exists()
        second.create(key="a", name="second")
        assert first.find("a").name == "first"
        assert second.find("a").name == "second"
        assert (manager.table_name == other.table_name) is False


@pytest.mark.defect(36)
def test_wrong_settings_raise_at_once() -> None:
    """A wrong setting or relation is an error of init_models itself, or of the first use."""
    with pytest.raises(ConfigurationError):
        init_models({"db": {"tabel_name": "x"}}, models=[], embedded=True)
    with pytest.raises(ConfigurationError):
        init_models(models=[object], embedded=True)  # type: ignore[list-item]


@pytest.mark.defect(37)
def test_clashing_definitions() -> None:
    """Two indexes with one id and an index without id are refused."""
    with pytest.raises(ConfigurationError, match="gsi1"):

        class DxTwice(Model, prefix="x4d"):
            key: str = StringField()
            text: str = StringField()

            primary_key = PrimaryKey("key")
            by_text = Index("text", id="gsi1")
            by_both = Index("text", "key", id="gsi1")

    with pytest.raises((ConfigurationError, TypeError)):

        class DxNoId(Model, prefix="x4e"):
            key: str = StringField()

            primary_key = PrimaryKey("key")
            by_key = Index("key")  # type: ignore[call-arg]


@pytest.mark.defect(38)
def test_settings_reach_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Region and endpoint of the settings are the client's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    settings = {
        "aws": {"region": "eu-north-1", "endpoint_url": "http://127.0.0.1:9"},
        "db": {"table_name": "elsewhere"},
    }
    with init_models(settings, models=[]) as manager:
        assert manager.client.meta.region_name == "eu-north-1"
        assert manager.client.meta.endpoint_url == "http://127.0.0.1:9"
        assert manager.table_name == "elsewhere"


@pytest.mark.parametrize("fault", [refused_connection, throttled, lost_reply])
@pytest.mark.defect(39)
def test_retries(fault: object) -> None:
    """Refused, throttled and lost requests are tried again, and applied once."""
    transport = FaultInjectingTransport(embedded_transport().wire, seed=3, clock=FakeTime().clock)
    with init_models(models=MODELS, transport=transport) as manager:
        manager.create_table()
        transport.inject([fault()])  # type: ignore[operator]
        DxPlayer.create(key="a")
        transport.inject([fault()])  # type: ignore[operator]
        assert DxPlayer.find("a").goals == 0


@pytest.mark.defect(40)
def test_side_effects(manager: Manager) -> None:
    """A create leaves the caller's mapping alone, an equal set is no change, and hooks belong to one class."""
    values = {"key": "a", "tags": {"x"}}
    player = DxPlayer.create(**values)
    assert values == {"key": "a", "tags": {"x"}}
    player.tags = {"x"}
    assert not player.has_changes()

    calls: list[str] = []

    class Counting:
        def before_save(self, instance: object, *_: object) -> None:
            calls.append(type(instance).__name__)

    class DxHooked(Model, prefix="x4f"):
        key: str = StringField()

        primary_key = PrimaryKey("key")

    DxHooked.register_plugin(Counting())
    DxTeam.create(key="t")
    assert calls == []


@pytest.mark.defect(37)
def test_two_given_models_of_one_prefix() -> None:
    """Models that are given to one manager cannot share a prefix, wherever they are defined."""

    class DxFirst(Model, prefix="x4c"):
        key: str = StringField()
        primary_key = PrimaryKey("key")

    class DxSecond(Model, prefix="x4c"):
        key: str = StringField()
        primary_key = PrimaryKey("key")

    with pytest.raises(ConfigurationError, match="x4c"):
        init_models(models=[DxFirst, DxSecond], embedded=True)
