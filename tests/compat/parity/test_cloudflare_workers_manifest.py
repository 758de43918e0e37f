"""cloudflare-workers-manifest.test.js: models are handed over, or found."""

from __future__ import annotations

from weakref import ref

import pytest

from dynamo_bao import (
    ConfigurationError,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    TenantContext,
    UlidField,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.models import registry
from tests.support.model_files import generated_package


class CfUser(Model, prefix="cfu"):
    user_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("user_id")


class CfPost(Model, prefix="cfp"):
    post_id: str = UlidField(auto_assign=True)
    title: str = StringField()

    primary_key = PrimaryKey("post_id")


class CfTag(Model, prefix="cft"):
    tag_id: str = UlidField(auto_assign=True)
    name: str = StringField()

    primary_key = PrimaryKey("tag_id")


MODELS = [CfUser, CfPost, CfTag]
MANIFEST = {"CfUser": CfUser, "CfPost": CfPost, "CfTag": CfTag}


GENERATED = "CfG{0}: {{modelPrefix: cg{0}, fields: {{key: {{type: StringField}}}}, primaryKey: {{partitionKey: key}}}}"


def connected(models: object) -> Manager:
    return init_models(models=models, table_name="parity", embedded=True)  # type: ignore[arg-type]


def test_01_a_mapping_of_models() -> None:
    """The manager has exactly the classes of the mapping."""
    with connected(MANIFEST) as manager:
        assert dict(zip(manager.models, map(manager.get_model, manager.models), strict=True)) == MANIFEST
        assert manager.models.CfUser is CfUser


def test_02_models_so_given_work() -> None:
    """create and find work on them."""
    with connected(MANIFEST), run_with_batch_context():
        user = CfUser.create(name="Ada")
        assert CfUser.find(user.user_id, bypass_cache=True).name == "Ada"


def test_03_some_of_the_models() -> None:
    """Only the models that were given are the manager's; another has no table."""
    with connected({"CfUser": CfUser, "CfPost": CfPost}) as manager:
        assert sorted(manager.models) == ["CfPost", "CfUser"]
        assert "CfTag" not in manager.models
        with pytest.raises(ConfigurationError, match="CfTag"):
            CfTag.create(name="lost")


def test_04_the_manifest_of_a_generated_package() -> None:
    """Its MODELS are all of its models, as init_models takes them."""
    package = generated_package("parity_manifest", "models: {" + ", ".join(map(GENERATED.format, "ab")) + "}")
    with connected(package.MODELS) as manager:
        assert sorted(manager.models) == ["CfGa", "CfGb"]
        assert manager.models.CfGa is package.CfGa
        assert package.CfGb.find(package.CfGb.create(key="1").key).exists()


@pytest.mark.parametrize("models", [MANIFEST, MODELS, tuple(MODELS)])
def test_04_forms_of_a_manifest(models: object) -> None:
    """A mapping as a module may hold it, a list and a tuple give the same models."""
    with connected(models) as manager:
        assert [manager.models[name] for name in ("CfUser", "CfPost", "CfTag")] == MODELS
        assert CfPost.find(CfPost.create(title="Notes").post_id).title == "Notes"


@pytest.mark.parametrize("models", [None, MANIFEST], ids=["all there are", "given"])
def test_05_found_or_given(models: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that were given and models that were found work alike, for two tenants."""
    monkeypatch.setattr(registry, "_models", [ref(model) for model in MODELS])
    with connected(models) as manager:
        assert manager.models.CfUser is CfUser
        found = {}
        for tenant in ("one", "two"):
            with TenantContext.run_with_tenant(tenant):
                user = CfUser.create(name=f"user of {tenant}")
                found[tenant] = user.user_id
        for tenant, other in (("one", "two"), ("two", "one")):
            with TenantContext.run_with_tenant(tenant):
                assert CfUser.find(found[tenant]).name == f"user of {tenant}"
                assert not CfUser.find(found[other])
