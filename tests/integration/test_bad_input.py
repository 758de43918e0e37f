"""Bad input: a clear error before any request, which says what, on which, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, NoRegionError

from dynamo_bao import (
    BaoError,
    ConfigurationError,
    IntegerField,
    Manager,
    Model,
    PrimaryKey,
    QueryError,
    StringField,
    StringSetField,
    TenantContext,
    TenantError,
    TenantMismatchError,
    TenantRequiredError,
    UnknownFieldError,
    ValidationError,
    init_models,
    run_with_batch_context,
)
from tests.support import models
from tests.support.models import Comment, Org, Page, User
from tests.support.wire import Wire


@pytest.mark.parametrize(
    ("model", "key", "says"),
    [
        (Org, None, "a key is needed"),
        (Org, "", "cannot be empty"),
        (Org, 7, r"Org\.org_id takes str, not int"),
        (Org, b"acme", "takes str, not bytes"),
        (Org, ("a", "b"), "takes str, not tuple"),
        (Org, {}, "a key is needed"),
        (Org, Org.fields.name, "takes str, not FieldPath"),
        (Org, "x" * 2047, r"2049 bytes long, DynamoDB's limit is 2048"),
        (Org, "é" * 1023 + "xx", "2050 bytes"),
        (Org, "\ud800", "surrogate"),
        (Org, {"org": "acme"}, "Did you mean 'org_id'"),
        (User, "not a ulid", r"User\.user_id is not a ULID"),
        (Comment, "post", "has two parts"),
        (Comment, 7, "needs post_id and number"),
        (Comment, ("post",), "takes 2 values"),
        (Comment, ("post", "seven"), r"Comment\.number takes int, not str"),
        (Comment, ("post", 10**20), "more than 20 digits"),
        (Comment, {"post_id": "post"}, r"Comment\.number is part of the key"),
        (Comment, ("a##__SK__##b", 1), "cannot contain"),
        (Comment, "post##__SK__##7", "is not the text of a key of this field"),
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_wrong_keys_are_refused_at_the_call(
    embedded: Manager, sent: Wire, model: type[Any], key: object, says: str, inside: bool
) -> None:
    """A key of a wrong type, empty or too long never reaches a batch: the other lookups are not disturbed."""
    Org.create(org_id="acme", name="Acme")
    sent.clear()
    if not inside:
        with pytest.raises(ValidationError, match=says) as caught:
            model.find(key)
        assert caught.value.field
        assert len(sent) == 0
        return
    with run_with_batch_context():
        good = Org.find("acme")
        with pytest.raises(ValidationError, match=says):
            model.find(key)
        assert len(sent) == 0
        assert good.name == "Acme"


def test_a_key_is_given_once(embedded: Manager, sent: Wire) -> None:
    """By position or by its fields' names, not both; a misspelt option is not taken for a part of it."""
    for find in (
        lambda: Org.find("acme", org_id="other"),
        lambda: Org.find("acme", consistent=True),
        lambda: Org.find_or_none("acme", org_id="acme"),
    ):
        with pytest.raises(ValidationError, match="not both"):
            find()
    assert len(sent) == 0
    assert not Org.find(org_id="acme").exists()


@pytest.mark.promise("W7")
def test_keys_at_the_limit_are_accepted(embedded: Manager) -> None:
    """A partition key of exactly 2048 bytes and a sort key of exactly 1024 are stored; one more byte is not."""

    class Long(Model, prefix="l"):
        first: str
        second: str
        primary_key = PrimaryKey("first", "second")

    with init_models(models=[Long], embedded=True):
        Long.create(first="x" * 2046, second="é" * 512)
        assert Long.find(("x" * 2046, "é" * 512)).exists()
        for first, second in (("x" * 2047, "y"), ("x", "é" * 512 + "y")):
            with pytest.raises(ValidationError, match="limit"):
                Long.create(first=first, second=second)
    print("W7: keys of 2,048 and 1,024 bytes stored; 2 of one byte more refused, 0 requests")


@pytest.mark.promise("W7")
def test_items_over_400_kb_are_refused(embedded: Manager, sent: Wire) -> None:
    """An item that is too large is refused before it is sent; one that just fits is not."""
    with pytest.raises(ValidationError, match=r"Org 'big'.*409[0-9]{3} bytes"):
        Org.create(org_id="big", name="é" * 204_800)
    assert len(sent) == 0
    assert Org.create(org_id="big", name="é" * 200_000).exists()


def test_unknown_fields_are_refused(embedded: Manager, sent: Wire) -> None:
    """In the constructor, in create, in update, in a condition: with the name that was probably meant."""
    for wrong in (
        lambda: Org(org_id="a", nmae="x"),  # type: ignore[call-arg]
        lambda: Org.create(org_id="a", name="x", nmae="y"),  # type: ignore[call-arg]
        lambda: Org.update("a", nmae="x"),
    ):
        with pytest.raises(UnknownFieldError, match="Did you mean 'name'"):
            wrong()
    with pytest.raises(QueryError, match="Did you mean 'name'"):
        Org.delete("a", {"nmae": "x"})
    with pytest.raises(QueryError, match=r"Did you mean '\$begins_with'"):
        Org.delete("a", {"name": {"$begin_with": "x"}})
    with pytest.raises(QueryError, match="Did you mean 'by_status'"):
        User.query_by_index("by_stats", "active")
    with pytest.raises(QueryError, match="Did you mean 'limit'"):
        User.by_status.query("active", limti=3)  # type: ignore[call-arg]
    assert len(sent) == 0


def test_conditions_that_cannot_be(embedded: Manager, sent: Wire) -> None:
    """Wrong operands and conditions over 4 KB are refused before any request."""
    wrong: list[tuple[Any, str]] = [
        ({"name": {}}, "Empty condition"),
        ({"name": {"$in": []}}, "no values"),
        ({"name": {"$in": "abc"}}, "requires an array"),
        ({"name": {"$in": ["x"] * 101}}, "101 values"),
        ({"name": {"$between": ["a"]}}, "exactly 2"),
        ({"name": {"$exists": "yes"}}, "True or False"),
        ({"name": 7}, "takes str, not int"),
        ({"$or": []}, "at least one"),
        ({"$nor": [{}]}, "Invalid operator"),
        ("name = 'x'", "a dict or an expression"),
        ({"$and": [{"name": {"$ne": str(n)}} for n in range(500)]}, "4096 bytes"),
        ({"$and": [{"name": {"$ne": str(n)}} for n in range(151)]}, "operators and functions"),
    ]
    for condition, says in wrong:
        with pytest.raises(QueryError, match=says):
            Org.delete("a", condition)
    assert len(sent) == 0


def test_a_table_that_does_not_exist(connection: dict[str, Any], table_name: str) -> None:
    """Reads and writes say which table, and how it is made; inside a context too."""
    connection.pop("embedded", None)
    with init_models(
        models=models.ALL, table_name=table_name, **(connection or {"embedded": True})
    ) as manager:
        if not connection:
            manager.client.delete_table(TableName=table_name)
        for operation in (
            lambda: Org.find("acme"),
            lambda: Org.create(org_id="a", name="A"),
            lambda: User.by_status.query("active").first(),
        ):
            with pytest.raises(
                ConfigurationError, match=rf"{table_name}.*manager\.create_table\(\)"
            ) as caught:
                operation()
            assert type(caught.value.__cause__).__name__ == "ResourceNotFoundException"
        with run_with_batch_context():
            org = Org.find("acme")
            with pytest.raises(ConfigurationError, match=table_name) as caught:
                _ = org.name
            assert type(caught.value.__cause__).__name__ == "ResourceNotFoundException"


def test_no_credentials() -> None:
    """boto3's own error, which is this library's too, at once."""
    with init_models(models=models.ALL, region="us-east-1"), pytest.raises(NoCredentialsError):
        Org.find("acme")


def test_no_region() -> None:
    """boto3's own error, which is this library's too."""
    with init_models(models=models.ALL), pytest.raises(NoRegionError):
        Org.find("acme")


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there: boto3's own error after a few attempts; in a context for each key, none missing."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    with init_models(models=models.ALL, endpoint_url="http://127.0.0.1:9", region="us-east-1"):
        with pytest.raises(EndpointConnectionError):
            Org.create(org_id="acme", name="Acme")
        with run_with_batch_context():
            orgs = [Org.find("a"), Org.find("b")]
            for org in orgs:
                with pytest.raises(EndpointConnectionError):
                    org.exists()


def test_models_without_a_manager() -> None:
    """Using a model before init_models, or after its manager was closed, says what to call."""
    with pytest.raises(ConfigurationError, match=r"Page is not connected.*init_models"):
        Page.find("/")
    with (
        init_models(models=[Org], embedded=True),
        pytest.raises(ConfigurationError, match=r"models=\[…, Page\]"),
    ):
        Page.find("/")


def test_two_models_of_a_prefix() -> None:
    """Two models of one manager with one prefix or name are refused, naming both places."""

    class Other(Model, prefix="o"):
        key: str
        primary_key = PrimaryKey("key")

    Other.__qualname__ = "Other"
    with pytest.raises(ConfigurationError, match=r"prefix 'o'.*Org.*Other"):
        init_models(models=[Org, Other], embedded=True)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"asw": {}}, "Did you mean 'aws'"),
        ({"db": {"tablename": "x"}}, "Did you mean 'table_name'"),
        ({"db": "x"}, "not a table of settings"),
        ({"batch_context": {"require": True}}, "Did you mean|Available"),
        ({"tenancy": {"enabled": "perhaps"}}, "perhaps"),
        ("no/such/file.toml", "does not exist"),
    ],
)
def test_unknown_settings(config: Any, says: str) -> None:
    """A setting that is not known is an error with the one that was probably meant."""
    with pytest.raises(ConfigurationError, match=says):
        init_models(config, models=models.ALL)


@pytest.mark.parametrize(
    "options",
    [
        {"deadline": 0},
        {"deadline": "10"},
        {"max_concurrency": 0},
        {"models": ["User"]},
        {"client": object(), "embedded": True},
        {"logging": "LOUD"},
    ],
)
def test_arguments_that_cannot_be(options: dict[str, Any]) -> None:
    """Wrong arguments of init_models are refused, and nothing is connected then."""
    with pytest.raises(ConfigurationError):
        init_models(**{"models": models.ALL, **options})
    with pytest.raises(ConfigurationError, match="init_models"):
        Org.find("acme")


# --- tenants ----------------------------------------------------------------------------------------------


def test_tenants_never_meet(embedded: Manager) -> None:
    """Equal ids of two tenants are two items and two objects, in one session too."""
    for tenant in ("t1", "t2"):
        with TenantContext.run_with_tenant(tenant):
            Org.create(org_id="acme", name=f"Acme of {tenant}")
    with run_with_batch_context() as session:
        with TenantContext.run_with_tenant("t1"):
            first = Org.find("acme")
        with TenantContext.run_with_tenant("t2"):
            second = Org.find("acme")
        none = Org.find("acme")
        assert (first.name, second.name) == ("Acme of t1", "Acme of t2")
        assert not none
        assert first != second
        assert session.stats.round_trips == 1
        with pytest.raises(TenantMismatchError, match="'t1'"):
            first.save(force_reindex=True)


def test_required_tenants(embedded: Manager) -> None:
    """With tenancy enabled every operation needs a tenant, and ids are checked."""
    with init_models(models=models.ALL, embedded=True, tenancy={"enabled": True}):
        for operation in (
            lambda: Org.find("a"),
            lambda: Org.create(org_id="a", name="A"),
            lambda: Org.delete("a"),
        ):
            with pytest.raises(TenantRequiredError, match=r"when tenancy is enabled .*run_with_tenant"):
                operation()
        assert TenantContext.run_with_tenant("t1", lambda: Org.create(org_id="a", name="A")).exists()
    for wrong in ("", "a b", "a]#", "x" * 65, None):
        with pytest.raises(TenantError):
            TenantContext.run_with_tenant(wrong)  # type: ignore[call-overload]


@pytest.mark.promise("X4")
def test_errors_never_show_values(embedded: Manager) -> None:
    """A refused value is on the error's attribute, not in its text."""
    secret = "canary-4711"

    class Vault(Model, prefix="v"):
        vault_id: str
        pin: str = StringField(max_length=3)
        primary_key = PrimaryKey("vault_id")

    with init_models(models=[Vault], embedded=True):
        with pytest.raises(ValidationError) as caught:
            Vault.create(vault_id="1", pin=secret)
        assert caught.value.value == secret
        assert secret not in str(caught.value)
        vault = Vault.create(vault_id="1", pin="123")
        with pytest.raises(BaoError) as refused:
            vault.save(condition={"pin": secret})
        assert secret not in str(refused.value)
        assert "123" not in repr(vault)


def test_a_stored_value_that_breaks_a_rule_is_no_change(embedded: Manager) -> None:
    """A rule that came later, or another program: the item can be saved, as long as that value stays what it is."""

    class Vault(Model, prefix="v"):
        vault_id: str
        pin: str = StringField(max_length=3)
        keys: set[str] = StringSetField(max_member_count=2)
        level: int | None = IntegerField(maximum=9, default=None)
        note: str = ""
        primary_key = PrimaryKey("vault_id")

    with init_models(models=[Vault], embedded=True) as manager:
        Vault.create(vault_id="1", pin="123", keys={"a"})
        manager.client.update_item(
            TableName=manager.table_name,
            Key={"_pk": {"S": "v#1"}, "_sk": {"S": "v"}},
            UpdateExpression="SET pin = :p, #k = :k, #l = :l",
            ExpressionAttributeNames={"#k": "keys", "#l": "level"},
            ExpressionAttributeValues={
                ":p": {"S": "12345"},
                ":k": {"SS": ["a", "b", "c"]},
                ":l": {"N": "10"},
            },
        )
        vault = Vault.find("1")
        assert not vault.has_changes()
        vault.note = "checked"
        assert vault.changes() == {"note": "checked"}
        assert vault.save().note == "checked"
        for name, value in (("pin", "54321"), ("keys", {"a", "b", "d"}), ("level", 11), ("level", True)):
            vault = Vault.find("1")
            setattr(vault, name, value)
            with pytest.raises(ValidationError) as caught:
                vault.save()
            assert caught.value.field == name
        vault = Vault.find("1")
        vault.keys.add("d")
        with pytest.raises(ValidationError, match="keys"):
            vault.save()
        vault.refresh().keys.difference_update({"b", "c"})
        assert vault.save().keys == {"a"}
