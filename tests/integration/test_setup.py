"""Setting up: what an import costs, managers, tables, and clients."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import attrs
import boto3
import pytest
from moto import mock_aws

from dynamo_bao import (
    ConfigurationError,
    Manager,
    Model,
    PrimaryKey,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.dynamodb.table_definition import table_definition
from dynamo_bao.dynamodb.transport import botocore
from dynamo_bao.models import registry
from dynamo_bao.testing import RecordingTransport, embedded_transport
from tests.support import models
from tests.support.engines import Engines
from tests.support.models import Org, Page, User
from tests.support.wire import Wire


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is known that another test defined."""
    monkeypatch.setattr(registry, "_models", [])


def test_the_import_loads_neither_boto3_nor_moto() -> None:
    """import dynamo_bao loads nothing heavy, reads no file and opens no client."""
    heavy = (
        "boto3",
        "botocore",
        "moto",
        "cattrs",
        "asyncio",
        "msgspec",
        "orjson",
        "ulid_transform",
        "flask",
    )
    code = f"""
        import builtins, sys
        opened = []
        plain = builtins.open
        builtins.open = lambda *a, **k: (opened.append(a[0]), plain(*a, **k))[1]
        import dynamo_bao, dynamo_bao.testing
        print([name for name in {heavy!r} if name in sys.modules], opened)
    """
    assert python(code) == "[] []"


def test_models_and_a_manager_load_nothing_that_a_short_program_does_without() -> None:
    """A program that states models and connects them does not pay for what only other programs need."""
    late = ("concurrent.futures", "html", "difflib")
    code = f"""
        import sys
        loaded_before = set(sys.modules)  # a measurement of coverage loads some of them
        from dynamo_bao import Model, PrimaryKey, StringField, init_models
        class Org(Model, prefix="o"):
            org_id: str
            name: str = StringField()
            primary_key = PrimaryKey("org_id")
        init_models(models=[Org], table_name="t", region="us-east-1", endpoint_url="http://localhost:1")
        print([name for name in {late!r} if name in sys.modules.keys() - loaded_before])
    """
    assert python(code) == "[]"


def test_defining_models_and_connecting_them_makes_no_client() -> None:
    """A client is made at the first request only. Nothing imports other libraries, or logging, before that."""
    late = {"attr", "boto3", "botocore", "dataclasses", "inspect", "logging", "msgspec", "orjson"}
    code = f"""
        import sys
        loaded_before = set(sys.modules)  # a measurement of coverage loads some of them
        from dynamo_bao import Model, PrimaryKey, init_models, run_with_batch_context
        class Org(Model, prefix="o"):
            org_id: str
            primary_key = PrimaryKey("org_id")
        init_models(table_name="t", region="us-east-1")
        with run_with_batch_context():
            Org.find("acme")
        print({late!r} & sys.modules.keys() - loaded_before)
    """
    assert python(code) == "set()"


def test_a_program_that_reads_few_items_imports_no_compiled_module(engines: Engines) -> None:
    """One that reads many does, and reads the same."""
    code = f"""
        import sys
        from dynamo_bao import Index, Model, PrimaryKey, batched, init_models
        class Order(Model, prefix="or"):
            order_id: str
            shop: str
            lines: list[int]
            primary_key = PrimaryKey("order_id")
            by_shop = Index("shop", "order_id", id="gsi1")
        manager = init_models(
            models=[Order], table_name="few", region="us-east-1",
            endpoint_url={engines.get("dynoxide").endpoint_url!r},
        )
        manager.create_table()
        for number in range(60):
            Order.create(order_id=f"{{number:02}}", shop="north", lines=[number])

        @batched
        def read():
            orders = [Order.find(f"{{number:02}}") for number in range(60)]
            return [order.lines for order in orders], [order.lines for order in Order.by_shop.query("north")]

        expected = [[number] for number in range(60)]
        assert read() == (expected, expected) and Order.find("07", bypass_cache=True).lines == [7]
        print({{"orjson", "msgspec"}} & sys.modules.keys())
        for _ in range(20):
            assert read() == (expected, expected)
        print("msgspec" in sys.modules)
        manager.delete_table()
    """
    environment = {"AWS_ACCESS_KEY_ID": "dummy", "AWS_SECRET_ACCESS_KEY": "dummy"}
    assert python(code, **environment) == "set()\nTrue"


def test_the_table_is_the_documented_one(connection: dict[str, Any], table_name: str) -> None:
    """The created table has the keys, indexes, projections, billing and TTL of the table format page."""
    with init_models(models=models.ALL, table_name=table_name, **connection) as manager:
        manager.create_table()
        assert_documented(manager)


def assert_documented(manager: Manager) -> None:
    table = manager.client.describe_table(TableName=manager.table_name)["Table"]
    wanted = table_definition(manager.table_name)
    assert table["KeySchema"] == wanted["KeySchema"]

    def by_name(entry: dict[str, Any]) -> str:
        return str(entry.get("IndexName") or entry.get("AttributeName"))

    assert sorted(table["AttributeDefinitions"], key=by_name) == sorted(
        wanted["AttributeDefinitions"], key=by_name
    )
    assert len(wanted["AttributeDefinitions"]) == 14
    for have, want in zip(
        sorted(table["GlobalSecondaryIndexes"], key=by_name),
        sorted(wanted["GlobalSecondaryIndexes"], key=by_name),
        strict=True,
    ):
        assert {name: have[name] for name in want} == want
    ttl = manager.client.describe_time_to_live(TableName=manager.table_name)["TimeToLiveDescription"]
    assert ttl["AttributeName"] == "ttl"
    assert manager.create_table() is False


def test_embedded_engines_are_apart(embedded: Manager) -> None:
    """Two embedded managers share nothing; other clients of the process are not touched."""
    Org.create(org_id="acme", name="Acme")
    with init_models(models=models.ALL, embedded=True) as other:
        assert not other.repository(Org).find("acme")
        assert embedded.repository(Org).find("acme").exists()
        assert not Org.find("acme")
    assert Org.find("acme").exists()
    with mock_aws():
        client = boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        assert client.list_tables()["TableNames"] == []
    assert Org.find("acme").exists()


@mock_aws
def test_a_users_mock_aws_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under moto's decorator nothing leaves the process, as with plain boto3."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with init_models(models=models.ALL, region="eu-west-1", table_name="mine") as manager:
        manager.create_table()
        Org.create(org_id="acme", name="Acme")
        with run_with_batch_context():
            assert Org.find("acme").name == "Acme"
    assert boto3.client("dynamodb", region_name="eu-west-1").list_tables()["TableNames"] == ["mine"]


@mock_aws
def test_a_given_client_is_used_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """client= sends through the user's client; the user's own calls on it are not changed, nor is it closed."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    client = boto3.client("dynamodb", region_name="eu-west-1")
    with init_models(models=models.ALL, client=client, table_name="mine") as manager:
        assert manager.client is client
        manager.create_table()
        Org.create(org_id="acme", name="Acme")
        client.put_item(TableName="mine", Item={"_pk": {"S": "x"}, "_sk": {"S": "x"}, "b": {"B": b"\x00"}})
        assert (
            client.get_item(TableName="mine", Key={"_pk": {"S": "x"}, "_sk": {"S": "x"}})["Item"]["b"]["B"]
            == b"\0"
        )
    assert client.list_tables()["TableNames"] == ["mine"]


def test_two_managers_of_one_class(connection: dict[str, Any], table_name: str) -> None:
    """Each manager's repository uses its own table; the class itself uses the manager opened last."""
    with (
        init_models(models=[Org], table_name=f"{table_name}a", **connection) as first,
        init_models(models=[Org], table_name=f"{table_name}b", **connection) as second,
    ):
        first.create_table()
        second.create_table()
        with run_with_batch_context():
            one = first.repository(Org).create(org_id="acme", name="First")
            two = Org.create(org_id="acme", name="Second")
            assert one is not two
            assert first.repository(Org).find("acme") is one
            assert Org.find("acme") is two
            one.name = "Still first"
            one.save()
        assert first.repository(Org).find("acme").name == "Still first"
        assert second.repository(Org).find("acme").name == "Second"


def test_models_by_name(embedded: Manager) -> None:
    """manager.models gives its models as attributes and as a mapping."""
    assert embedded.models.User is User
    assert embedded.models["Org"] is Org
    assert set(embedded.models) == {"Org", "User", "Post", "Comment", "Page"}
    assert "Nobody" not in embedded.models
    assert not hasattr(embedded.models, "__wrapped__")
    with pytest.raises(ConfigurationError, match=r"Model Usr not found. Did you mean 'User'"):
        _ = embedded.models.Usr
    assert repr(embedded) == f"<Manager of Org, User, Post, Comment, Page in {embedded.table_name}>"


def test_a_local_class_replaces_an_earlier_one(no_models: None) -> None:
    """Classes local to functions, as tests and notebooks have them, replace each other."""

    def define(default: str) -> type[Model]:
        class Thing(Model, prefix="th"):
            thing_id: str
            name: str = default
            primary_key = PrimaryKey("thing_id")

        return Thing

    define("first")
    second = define("second")
    with init_models(embedded=True) as manager:
        assert manager.repository(second).create(thing_id="1").name == "second"  # type: ignore[attr-defined]
        assert manager.models.Thing is second


def test_a_local_class_replaces_the_one_that_an_open_manager_has(no_models: None) -> None:
    """A cell of a notebook runs again, and later finds give the new class."""

    def define() -> Any:
        class Thing(Model, prefix="th"):
            thing_id: str
            primary_key = PrimaryKey("thing_id")

        return Thing

    with init_models(embedded=True) as manager:
        define().create(thing_id="1")
        newer = define()
        assert type(newer.find_or_raise("1")) is newer
        assert manager.models.Thing is newer


def test_two_managers_of_one_transport_and_table_are_no_surprise(embedded: Manager) -> None:
    """The second one serves the same items, so nothing warns of it."""
    Org.create(org_id="a", name="A")
    with init_models(models=[Org], table_name=embedded.table_name, transport=embedded.database.transport):
        assert Org.find("a").name == "A"


def test_two_managers_of_one_table_ask_for_a_key_once(embedded: Manager, sent: Wire) -> None:
    """Each has an instance of its own, and one request fills both."""
    Org.create(org_id="a", name="A")
    sent.clear()
    transport = embedded.database.transport
    with (
        init_models(models=[Org], table_name=embedded.table_name, transport=transport) as other,
        run_with_batch_context() as session,
    ):
        first, second = (manager.repository(Org).find("a") for manager in (embedded, other))
        missing = [manager.repository(Org).find("none") for manager in (embedded, other)]
        assert first is not second
        assert (first.name, second.name) == ("A", "A")
        assert not any(missing)
        assert (len(sent), session.stats.keys_fetched) == (1, 2)


def test_a_transport_without_a_client_says_so(embedded: Manager) -> None:
    """`manager.client` is boto3's; another transport has none."""
    transport = RecordingTransport(embedded.database.transport)
    del transport.wire
    with (
        init_models(models=[Page], table_name="other", transport=transport) as manager,
        pytest.raises(ConfigurationError, match="not one over a boto3 client"),
    ):
        _ = manager.client


@pytest.mark.parametrize(
    ("decorator", "name"),
    [
        (dataclasses.dataclass, "@dataclass"),
        (dataclasses.dataclass(slots=True), "@dataclass"),
        (attrs.define, "@attrs.define"),
        (attrs.define(slots=False), "@attrs.define"),
        (attrs.frozen, "@attrs.define"),
    ],
)
def test_a_decorated_model_is_refused(decorator: Any, name: str) -> None:
    """The decorator takes the constructor away, though a model needs none to be an attrs class."""

    @decorator
    class Decorated(Model, prefix="de"):
        key: str
        size: int = 3
        primary_key = PrimaryKey("key")

    with pytest.raises(ConfigurationError, match=rf"Decorated has the decorator {name}.*leave it out"):
        init_models(models=[Decorated], embedded=True)


def test_models_defined_later_belong_to_an_open_manager(no_models: None) -> None:
    """Without models= a manager takes in classes that are defined after it was made."""
    with init_models(embedded=True):

        class Later(Model, prefix="lt"):
            later_id: str
            primary_key = PrimaryKey("later_id")

        assert Later.create(later_id="1").exists()


def test_an_embedded_table_serves_models_defined_later(no_models: None) -> None:
    """Searchable ones too: nobody could add the index they need."""
    with init_models(embedded=True):

        class Late(Model, prefix="lt", iterable=True, searchable=["text"]):
            late_id: str
            text: str
            primary_key = PrimaryKey("late_id")

        Late.create(late_id="1", text="the fox")
        assert [late.late_id for late in Late.search_all(["fox"])] == ["1"]


@pytest.mark.parametrize("name", ["dynamo_bao.toml", "pyproject.toml"])
def test_settings_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The file is found, the environment overrides it, arguments override both."""
    section = "tool.dynamo_bao." if name == "pyproject.toml" else ""
    text = f'[{section}db]\ntable_name = "from the file"\n[{section}batch_context]\nrequire_batch_context = true\n'
    (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    with init_models(models=[Org]) as manager:
        assert manager.table_name == "from the file"
        assert type(manager.database.policy).__name__ == "RequireContext"
    monkeypatch.setenv("DYNAMO_BAO_TABLE_NAME", "from the environment")
    with init_models(models=[Org]) as manager:
        assert manager.table_name == "from the environment"
    with init_models(models=[Org], table_name="from the call") as manager:
        assert manager.table_name == "from the call"


@pytest.mark.promise("S10")
def test_threads_starting_cold_make_one_client(connection: dict[str, Any], table_name: str) -> None:
    """64 threads that use a manager for the first time at once share one client."""
    with init_models(models=[Org], table_name=table_name, **connection) as manager:
        barrier, clients = threading.Barrier(64), []

        def start() -> None:
            barrier.wait()
            clients.append(manager.client)

        threads = [threading.Thread(target=start) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(client) for client in clients}) == 1
    print("S10: 64 threads starting cold, 1 client, 0 errors")


FORK = """
    import logging, os, sys
    logging.disable(logging.WARNING)  # one key at a time, on purpose
    from dynamo_bao import ConcurrencyError, Model, PrimaryKey, current_session, init_models, run_with_batch_context
    class Org(Model, prefix="o"):
        org_id: str
        name: str
        primary_key = PrimaryKey("org_id")
    manager = init_models(table_name=sys.argv[2], endpoint_url=sys.argv[1], region="us-east-1")
    manager.create_table()
    for number in range(20):
        Org.create(org_id=str(number), name=f"Org {number}")
    wrong = 0
    with run_with_batch_context() as session:
        loaded, pending = Org.find("1"), Org.find("2")
        assert loaded.name == "Org 1"
        pending = Org.find("3")
        client = manager.client
        children = []
        for child in range(4):
            pid = os.fork()
            if pid == 0:
                try:
                    assert current_session() is None
                    assert loaded.name == "Org 1"
                    for use in (lambda: pending.name, loaded.refresh, session.flush):
                        try:
                            use()
                        except ConcurrencyError:
                            continue
                        os._exit(3)
                    assert manager.client is not client
                    for turn in range(20):
                        for number in range(20):
                            with run_with_batch_context():
                                if Org.find(str(number)).name != f"Org {number}":
                                    os._exit(2)
                except BaseException as error:
                    print(repr(error), file=sys.stderr)
                    os._exit(1)
                os._exit(0)
            children.append(pid)
        for number in range(200):
            wrong += Org.find(str(number % 20), bypass_cache=True).name != f"Org {number % 20}"
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    print(wrong, codes)
"""


@pytest.mark.one_engine
@pytest.mark.needs("other_processes")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.promise("S7")
def test_a_warm_client_survives_a_fork(connection: dict[str, Any], table_name: str) -> None:
    """Four children and their parent use one warm client's manager at once: no answer goes to another."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORK), connection["endpoint_url"], table_name],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert (result.stdout.strip(), result.stderr) == ("0 [0, 0, 0, 0]", "")
    print("S7: 0 wrong answers of 1,800 to a parent and 4 children of a warm client")


@pytest.mark.parametrize("start", ["atexit.register(work)", "threading.Thread(target=after_main).start()"])
def test_rounds_are_sent_while_the_interpreter_ends(start: str) -> None:
    """Of many keys and writes, by a handler of atexit, and by a thread that goes on after the main one."""
    code = f"""
        import atexit, threading
        from dynamo_bao import Model, PrimaryKey, init_models, run_with_batch_context

        class Note(Model, prefix="n"):
            note_id: str
            primary_key = PrimaryKey("note_id")

        init_models(models=[Note], embedded=True)

        def work():
            names = [str(number) for number in range(250)]
            with run_with_batch_context() as session:
                for name in names:
                    session.add(Note(note_id=name))
                session.commit()
            with run_with_batch_context() as session:
                notes = [Note.find(name) for name in names]
                print(sum(note.exists() for note in notes), session.stats.requests)

        def after_main():
            threading.main_thread().join()
            work()

        {start}
    """
    assert python(code) == "250 3"


def test_the_wire_is_counted_where_it_leaves(embedded: Manager, sent: Wire) -> None:
    """The tests' own counter sees every request, so that they do not trust the library's."""
    Org.create(org_id="acme", name="Acme")
    Org.find("acme")
    assert sent.operations == ["PutItem", "GetItem"]


def test_the_level_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of logging, and OFF and WARN of an environment that a JavaScript service has too."""
    log = logging.getLogger("dynamo_bao")
    before = log.level
    try:
        for name, level in (("debug", 10), ("WARN", 30), ("ERROR", 40), ("OFF", 51)):
            monkeypatch.setenv("DYNAMO_BAO_LOG_LEVEL", name)
            with init_models(models=[Org], embedded=True):
                assert log.level == level
        monkeypatch.setenv("DYNAMO_BAO_LOG_LEVEL", "loud")
        with pytest.raises(ConfigurationError, match="'loud' is unknown; use one of DEBUG"):
            init_models(models=[Org], embedded=True)
    finally:
        log.setLevel(before)


def test_an_embedded_table_of_the_users_own_needs_no_sort_key(embedded: Manager) -> None:
    """The engine answers for tables of other shapes too: lookups, queries, index queries, scans and transactions."""
    client, ada = embedded.client, {"id": {"S": "ada"}, "team": {"S": "red"}}
    client.create_table(
        TableName="people",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "team")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "teams",
                "KeySchema": [{"AttributeName": "team", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName="people", Item=ada)
    with transaction():  # after which the engine's items are shared with their backup
        Org.create(org_id="acme", name="Acme")
        Org.create(org_id="beta", name="Beta")

    def found(condition: str, value: str, **index: str) -> Any:
        values = {":v": {"S": value}}
        options = {"KeyConditionExpression": condition, "ExpressionAttributeValues": values, **index}
        return client.query(TableName="people", **options)["Items"]

    key = {"id": {"S": "ada"}}
    assert client.get_item(TableName="people", Key=key)["Item"] == ada
    assert "Item" not in client.get_item(TableName="people", Key={"id": {"S": "eve"}})
    assert found("id = :v", "ada") == found("team = :v", "red", IndexName="teams") == [ada]
    assert found("id = :v", "eve") == found("team = :v", "blue", IndexName="teams") == []
    assert client.scan(TableName="people")["Items"] == [ada]
    put = {"Put": {"TableName": "people", "Item": {"id": {"S": "eve"}}}}
    check = {"ConditionCheck": {"TableName": "people", "Key": key, "ConditionExpression": "team = :v"}}
    for team in ("blue", "red"):
        check["ConditionCheck"]["ExpressionAttributeValues"] = {":v": {"S": team}}
        with contextlib.suppress(client.exceptions.TransactionCanceledException):
            client.transact_write_items(TransactItems=[put, check])
        assert ("Item" in client.get_item(TableName="people", Key=put["Put"]["Item"])) is (team == "red")


def test_an_embedded_engine_may_be_asked_on_an_event_loop() -> None:
    """It blocks nobody: neither a warning nor an error tells to ask elsewhere, however the engine was given."""

    async def look() -> bool:
        return Org.find("acme").exists()

    for options in ({"embedded": True}, {"transport": embedded_transport()}):
        with init_models(models=[Org], on_event_loop="raise", **options) as manager:  # type: ignore[call-overload]
            manager.create_table()
            assert asyncio.run(look()) is False


@pytest.mark.parametrize("given", [None, 7.5])
def test_a_client_gives_up_a_server_that_says_nothing(given: float | None) -> None:
    """After the usual seconds, or as many as are set."""
    options: Any = {} if given is None else {"read_timeout": given}
    with init_models(
        models=[Org], region="us-east-1", endpoint_url="http://localhost:1", **options
    ) as manager:
        assert manager.client.meta.config.read_timeout == (given or botocore.READ_SECONDS)


@pytest.mark.parametrize(("threads", "connections"), [(1, 64), (100, 100)])
def test_a_client_leaves_retries_to_the_library_and_notices_dead_connections(
    threads: int, connections: int
) -> None:
    """One attempt a call, little time to connect, TCP's keep-alive, and connections for all threads."""
    with init_models(
        models=[Org], region="us-east-1", endpoint_url="http://localhost:1", max_concurrency=threads
    ) as manager:
        config = manager.client.meta.config
        assert config.retries == {"mode": "standard", "total_max_attempts": 1}
        assert (config.connect_timeout, config.tcp_keepalive) == (botocore.CONNECT_SECONDS, True)
        assert config.max_pool_connections == connections
