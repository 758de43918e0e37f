"""The pytest plugin, in pytest runs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import cast

import pytest

from dynamo_bao import ConfigurationError, init_models
from dynamo_bao.models import registry
from dynamo_bao.testing import RoundWatch, SharedEngine, assert_max_round_trips
from dynamo_bao.testing.engines import is_leftover
from dynamo_bao.testing.round_trips import SHOWN_ROUNDS
from tests.support.engines import Engine
from tests.support.models import Org
from tests.support.server import free_port

pytest_plugins = ["pytester"]


MODELS = """
    from dynamo_bao import Index, Model, PrimaryKey, RelatedField

    class Author(Model, prefix="a"):
        author_id: str
        primary_key = PrimaryKey("author_id")

    class Book(Model, prefix="b"):
        title: str
        author_id: str = RelatedField("Author")
        primary_key = PrimaryKey("title")

    def library(number):
        for n in range(number):
            Author.create(author_id=f"author {n}")
            Book.create(title=f"title {n}", author_id=f"author {n}")
"""

GOOD = """
    import sys
    import pytest
    from dynamo_bao import Manager, Session, TenantContext, current_session, run_with_batch_context
    from library import Author, Book, library

    def test_nothing_is_imported_for_those_who_ask_for_nothing():
        assert not {"boto3", "botocore", "moto"} & set(sys.modules)

    @pytest.fixture(scope="session")
    def tables():
        return set()

    @pytest.mark.parametrize("turn", [1, 2])
    def test_each_test_has_an_empty_table(bao_embedded, tables, turn):
        assert isinstance(bao_embedded, Manager)
        assert not Author.find("ada")
        Author.create(author_id="ada")
        assert bao_embedded.table_name not in tables
        tables.add(bao_embedded.table_name)

    def test_tables_are_deleted(bao_engine, bao_embedded, tables):
        pages = bao_embedded.client.get_paginator("list_tables").paginate()
        left = {name for page in pages for name in page["TableNames"]}
        assert bao_embedded.table_name in left and not left & tables

    def test_the_models_are_those_that_the_ini_names(bao_embedded):
        assert sorted(bao_embedded.models) == ["Author", "Book"]

    def test_a_session_around_the_test(bao_session):
        assert isinstance(bao_session, Session) and current_session() is bao_session
        Author.create(author_id="ada")
        assert Author.find("ada") is Author.find("ada")

    def test_which_is_gone_in_the_next():
        assert current_session() is None
        assert TenantContext.get_current_tenant() is None

    @pytest.mark.parametrize("name", ["ä b/c" * 20])
    def test_a_tenant_of_its_own(bao_embedded, bao_tenant, name):
        assert TenantContext.get_current_tenant() == bao_tenant
        Author.create(author_id="ada")
        with TenantContext.run_with_tenant("other"):
            assert not Author.find("ada")

    def test_round_trips_within_the_limit(bao_embedded, assert_max_round_trips):
        library(3)
        with assert_max_round_trips(2) as watch, run_with_batch_context():
            assert [Book.find(f"title {n}") for n in range(3)][0].author.exists()
        assert watch.round_trips == 2

    @pytest.mark.no_n_plus_one
    def test_a_natural_loop_is_no_n_plus_one(bao_session):
        library(6)
        bao_session.clear()
        assert len([book.author.exists() for book in Book.batch_find([f"title {n}" for n in range(6)]).values()]) == 6

    @pytest.mark.no_n_plus_one
    def test_nor_are_six_requests_of_a_web_application(bao_embedded):
        library(6)
        for n in range(6):
            with run_with_batch_context():
                assert Author.find(f"author {n}").exists()
"""

BAD = """
    import pytest
    from dynamo_bao import run_with_batch_context
    from library import Author, Book, library

    def test_too_many(bao_embedded, assert_max_round_trips):
        library(3)
        with assert_max_round_trips(2):
            for n in range(3):
                Author.find(f"author {n}")                    # direct

    def test_too_many_of_the_application(bao_embedded, assert_max_round_trips):
        library(3)
        with assert_max_round_trips(2):
            with run_with_batch_context():
                for n in range(3):
                    assert Author.find(f"author {n}").exists()    # in a session

    def test_its_own_exception_comes_out(bao_embedded, assert_max_round_trips):
        with assert_max_round_trips(0):
            library(1)
            raise KeyError("the test's own")

    @pytest.mark.no_n_plus_one
    def test_n_plus_one(bao_session):
        library(5)
        bao_session.clear()
        assert all(Author.find(f"author {n}").exists() for n in range(5))

    @pytest.mark.no_n_plus_one(threshold=2)
    def test_two_are_enough_on_request(bao_embedded):
        library(2)
        for n in range(2):
            Author.find(f"author {n}")

    @pytest.mark.no_n_plus_one(limit=2)
    def test_a_marker_misspelt(bao_embedded):
        pass

    def test_uncommitted(bao_session):
        bao_session.add(Author(author_id="ada"))
"""


OPTIONS = ("--strict-markers", "-W", "error", "-p", "no:cacheprovider")


def prepare(pytester: pytest.Pytester, models: str = "library", **files: str) -> None:
    """Test files, and an ini file that names the models' module."""
    pytester.makepyfile(library=MODELS, **files)
    pytester.makeini(f"[pytest]\npythonpath = .\nbao_models = {models}\n")


@pytest.fixture
def inside(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Runs within this process, which has imported the embedded engine before and keeps no model of theirs."""
    with init_models(models=[], embedded=True):
        monkeypatch.setattr(registry, "_models", [])
    return pytester


def test_fixtures_keep_tests_apart(pytester: pytest.Pytester) -> None:
    """Tables, sessions and tenants are each test's own; loops that load together pass the marker."""
    prepare(pytester, test_good=GOOD)
    pytester.runpytest_subprocess(*OPTIONS).assert_outcomes(passed=11)


def test_failures_name_the_line(inside: pytest.Pytester) -> None:
    """Round trips are told with the lines that caused them, and so are lines that fetch one at a time."""
    prepare(inside, test_bad=BAD)
    result = inside.runpytest_inprocess(*OPTIONS)
    result.assert_outcomes(failed=6, passed=1, errors=1)
    result.stdout.re_match_lines_random(
        [
            r"E +AssertionError: 3 round trips, and at most 2 were allowed:",
            r'E +3 x .*test_bad.py:9    Author.find\(f"author {n}"\) +# direct',
            r'E +3 x .*test_bad.py:16    assert Author.find\(f"author {n}"\).exists\(\) +# in a session',
            r"E +2  lookups .*test_bad.py:16",
            r"E +BatchGetItem · 1 key .* · Author 'author 1'",
            r"E +KeyError: \"the test's own\"",
            r"N\+1: one key or query at a time was fetched by",
            r" +5 x .*test_bad.py:27    assert all\(.*",
            r" +2 x .*test_bad.py:33    Author.find\(.*",
            r".*TypeError: .*unexpected keyword argument 'limit'",
            r".*UncommittedChangesError: 1 objects were added.*",
        ]
    )
    result.stdout.no_fnmatch_line("*watching.py*")


@pytest.mark.one_engine
@pytest.mark.needs("other_processes")
def test_a_suite_runs_on_an_engine_behind_an_endpoint(inside: pytest.Pytester, engine: Engine) -> None:
    """The same suite runs on an engine behind an endpoint, and leaves no table behind."""
    assert engine.endpoint_url is not None
    prepare(inside, test_good=GOOD)
    result = inside.runpytest_inprocess(*OPTIONS, "-k", "table", "--bao-endpoint-url", engine.endpoint_url)
    result.assert_outcomes(passed=3)


KILLED = """
import os, sys
from dynamo_bao.testing import SharedEngine
from library import Author

engine = SharedEngine(sys.argv[1])
manager = engine.fresh([Author]).__enter__()
print(manager.table_name, flush=True)
os._exit(1)
"""


@pytest.mark.one_engine
@pytest.mark.needs("other_processes")
def test_tables_of_killed_runs_are_removed(inside: pytest.Pytester, engine: Engine) -> None:
    """The next run deletes them: by the process in the name, or by age; those of runs that go on, and others, stay."""
    assert engine.endpoint_url is not None
    prepare(inside, killed=KILLED, test_asking="    def test_engine(bao_engine): pass")
    killed = subprocess.run(
        [sys.executable, "killed.py", engine.endpoint_url], capture_output=True, text=True, check=False
    )
    left = killed.stdout.strip()
    assert left.startswith("bao-test-")
    host = left.split("-")[2]
    other, now = "0" * 8 if host != "0" * 8 else "1" * 8, int(time.time())
    old = [f"bao-test-{name}-{os.getpid()}-{now - 86_400}-{'0' * 12}" for name in (host, other)]
    alive = [
        f"bao-test-{host}-{os.getpid()}-{now}-{'1' * 12}",
        f"bao-test-{other}-999999999-{now}-{'2' * 12}",
        f"my-{left}",
        f"{left}-mine",
    ]
    with SharedEngine(engine.endpoint_url) as shared:
        client = shared.transport.wire.client
        for name in (*old, *alive):
            client.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        inside.runpytest_subprocess(*OPTIONS, "--bao-endpoint-url", engine.endpoint_url).assert_outcomes(
            passed=1
        )
        tables = {
            name for page in client.get_paginator("list_tables").paginate() for name in page["TableNames"]
        }
        for name in alive:
            client.delete_table(TableName=name)
    assert set(alive) <= tables and not {left, *old} & tables


def test_a_limit_of_round_trips_is_a_whole_number() -> None:
    """0 allows none."""
    for wrong in (-1, True, 1.5, "3"):
        with pytest.raises(ConfigurationError, match="give a whole number, 0 or more"):
            assert_max_round_trips(cast("int", wrong))
    with assert_max_round_trips(0):
        pass


def test_the_rounds_of_a_long_block_are_shown_in_part() -> None:
    """The first ones, and how many more there were."""
    with init_models(models=[Org], embedded=True), RoundWatch() as watch:
        for number in range(SHOWN_ROUNDS + 3):
            Org.find_or_none(str(number))
    assert str(watch).endswith("… and 3 more")
    assert f"Org '{SHOWN_ROUNDS - 1}'" in str(watch) and f"Org '{SHOWN_ROUNDS}'" not in str(watch)


@pytest.mark.parametrize(
    "url", ["ftp://localhost", "localhost:8000", "http://", "http://localhost:99999", "http://[::1"]
)
def test_an_endpoint_is_a_url_of_http(url: str) -> None:
    """The error says what one looks like."""
    with pytest.raises(ConfigurationError, match="is no endpoint; give one such as http://localhost:8000"):
        SharedEngine(url).__enter__()


def test_a_table_is_deleted_also_if_its_manager_was_closed() -> None:
    """By the test, or at the end of the application that it runs."""
    with SharedEngine() as shared, shared.fresh([Org]) as other:
        with shared.fresh([Org]) as manager:
            Org.create(org_id="acme", name="Acme")
            manager.close()
        assert other.client.list_tables()["TableNames"] == [other.table_name]


@pytest.mark.skipif(sys.platform == "win32", reason="processes are asked as POSIX does")
def test_a_table_of_a_process_that_has_ended_is_left_over() -> None:
    """A table is left over if its process has ended, or if it is old enough. Other names never are."""
    process = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    with SharedEngine() as shared, shared.fresh([Org]) as manager:
        own = manager.table_name
    assert not is_leftover(own, 3600)
    assert is_leftover(own.replace(f"-{os.getpid()}-", f"-{process.stdout.strip()}-"), 3600)
    assert is_leftover(own, -3600)
    assert not is_leftover("orders", -3600)


def test_mistakes_of_the_configuration_are_told(inside: pytest.Pytester) -> None:
    """Nobody at the endpoint, or a module without models, is said at once."""
    url = f"http://127.0.0.1:{free_port()}"
    asking = "    def test_engine(bao_engine): pass\n    def test_models(bao_models): pass"
    prepare(inside, models="pathlib", test_asking=asking)
    result = inside.runpytest_inprocess(*OPTIONS, "--bao-endpoint-url", url)
    result.assert_outcomes(errors=2)
    result.stdout.re_match_lines_random(
        [
            rf".*ConfigurationError: Nothing answers at {url}.*",
            ".*bao_models names pathlib, which defines no model.*",
        ]
    )
