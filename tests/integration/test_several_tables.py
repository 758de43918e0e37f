"""Several managers for one model, and managers that are closed: which table code works on."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from dynamo_bao import (
    BatchContextWarning,
    ConcurrencyError,
    ConfigurationError,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UniqueConstraint,
    batched,
    current_session,
    init_models,
    run_with_batch_context,
)
from dynamo_bao.testing import RecordingTransport, embedded_transport


class Note(Model, prefix="stn", iterable=True, iteration_buckets=2):
    note_id: str = StringField()
    text: str = StringField()
    title: str | None = StringField(default=None)

    primary_key = PrimaryKey("note_id")
    unique_title = UniqueConstraint("title", id="uc1")


def opened(table: str, **options: Any) -> Manager:
    return init_models(models=[Note], table_name=table, embedded=True, **options)


@pytest.fixture
def tables() -> Iterator[tuple[Manager, Manager]]:
    """Two tables, each with a note of its own under one key."""
    with opened("east", only_active=True) as east, opened("west", only_active=True) as west:
        for manager in (east, west):
            with manager.activate():
                Note.create(note_id="n", text=manager.table_name)
        yield east, west


def in_a_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(work).result()


def text() -> str:
    return Note.find("n").text


def test_an_active_manager_answers_in_its_block(tables: tuple[Manager, Manager]) -> None:
    """For every way to ask a model, nested and in turn; where none is active, no table is touched."""
    east, west = tables
    ways: list[Callable[[], Any]] = [
        text,
        lambda: Note.find("n", bypass_cache=True).text,
        lambda: next(iter(Note.batch_find(["n"]).values())).text,
        lambda: next(note.text for batch in Note.iterate_all() for note in batch),
    ]
    for way in ways:
        with east.activate():
            assert way() == "east"
            with west.activate(), run_with_batch_context():
                assert way() == "west"
            assert way() == "east"
        with pytest.raises(ConfigurationError, match=r"manager\.activate"):
            way()


def test_threads_have_their_own_active_manager(tables: tuple[Manager, Manager]) -> None:
    """What one thread activates is not another's, and neither are tasks'."""
    east, west = tables

    def read(manager: Manager) -> str:
        with manager.activate():
            return text()

    with ThreadPoolExecutor(8) as threads:
        managers = [east, west] * 50
        assert list(threads.map(read, managers)) == [manager.table_name for manager in managers]

    async def task(manager: Manager) -> str:
        with manager.activate():
            await asyncio.sleep(0)
            return text()

    async def both() -> list[str]:
        return list(await asyncio.gather(task(east), task(west), task(east)))

    assert asyncio.run(both()) == ["east", "west", "east"]
    with east.activate(), pytest.raises(ConfigurationError, match=r"manager\.activate"):
        in_a_thread(text)


def test_an_active_manager_wins_over_the_last_opened(tables: tuple[Manager, Manager]) -> None:
    """Those that answer for all code are asked where none is active."""
    east, _ = tables
    with opened("main") as main, run_with_batch_context():
        Note.create(note_id="n", text="main")
        with east.activate():
            assert text() == "east"
        assert text() == "main" and main.repository(Note).find("n").text == "main"


def test_a_session_takes_its_manager_along(tables: tuple[Manager, Manager]) -> None:
    """To the thread that activates it, and a generator to each of its steps."""
    east, west = tables

    @batched
    def texts() -> Iterator[str]:
        while True:
            yield text()

    with east.activate():
        body = texts()
        assert next(body) == "east"
        with run_with_batch_context() as session:

            def work() -> str:
                with session.activate():
                    return text()

            assert in_a_thread(work) == "east"
    with west.activate():
        assert next(body) == "east"
    body.close()


def test_a_second_manager_for_a_model_is_told() -> None:
    """Unless one is active, it answers only where it is, or it is for the same table."""
    with opened("first") as first:
        with pytest.warns(
            BatchContextWarning, match="'second' is the second one that serves Note, after 'first'"
        ):
            opened("second").close()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with first.activate():
                opened("third").close()
            opened("fourth", only_active=True).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened("fifth").close()
        settings = {"models": [Note], "region": "eu-west-1", "table_name": "same"}
        with init_models(**settings), init_models(**settings):
            pass


# --- closed managers ---------------------------------------------------------------------------------


def test_a_closed_manager_refuses_everything() -> None:
    """Its repositories, old and new, its instances, its table, its lookups that are pending, and to be activated."""
    manager = opened("closed")
    repository = manager.repository(Note)
    note = Note.create(note_id="n", text="x")
    pages = Note.iterate_all()
    with run_with_batch_context() as session:
        pending, query = repository.find("n"), repository.find("m")
        manager.close()
        doors: list[Callable[[], Any]] = [
            lambda: manager.repository(Note),
            lambda: repository.find("n", bypass_cache=True),
            lambda: repository.create(note_id="m", text="y"),
            lambda: repository.save(Note(note_id="m", text="y")),
            lambda: pending.text,
            lambda: query.exists(),
            note.refresh,
            note.delete,
            lambda: next(pages),
            repository.count,
            manager.create_table,
            manager.pending_update,
            manager.update_table,
            manager.delete_table,
            manager.activate().__enter__,
        ]
        for door in doors:
            with pytest.raises(ConfigurationError, match="'closed' is closed"):
                door()
        assert session.is_open and current_session() is session
    manager.close()


def test_a_closed_manager_does_not_stop_another(tables: tuple[Manager, Manager]) -> None:
    """Lookups of both in one round: those of the closed one fail, each when it is looked at."""
    east, west = tables
    with run_with_batch_context():
        one, other = east.repository(Note).find("n"), west.repository(Note).find("n")
        east.close()
        assert other.text == "west"
        with pytest.raises(ConfigurationError, match="'east' is closed"):
            _ = one.text


# --- event loops -------------------------------------------------------------------------------------


def on_a_loop(work: Callable[[], Any]) -> Any:
    async def task() -> Any:
        return work()

    return asyncio.run(task())


def remote(**options: Any) -> Manager:
    """A manager of a table that is, for all the library knows, outside of this process."""
    transport = RecordingTransport(embedded_transport())
    transport.wire = None
    manager = init_models(models=[Note], table_name="remote", transport=transport, **options)
    manager.create_table()
    return manager


def test_waiting_on_an_event_loop_is_told_once_a_line() -> None:
    """Where something is about to be sent; finding, adding, building a query and what is loaded never count."""
    with remote() as manager:
        Note.create(note_id="n", text="x")

        def harmless() -> Any:
            note = Note.find("n")
            current_session().add(Note(note_id="m", text="y"))  # type: ignore[union-attr]
            Note.iterate_all()
            return note

        def look(note: Note) -> str:
            return note.text

        def work() -> None:
            with run_with_batch_context() as session:
                note = harmless()
                assert told == []
                assert look(note) == look(note) == "x"
                assert len(told) == 1
                for number in range(3):
                    Note.create(note_id=f"{number}", text="y")
                assert len(told) == 2
                session.commit()
                for _ in Note.iterate_all():
                    pass
                manager.pending_update()
                assert len(told) == 5

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            on_a_loop(work)
            asyncio.run(asyncio.to_thread(text))  # type: ignore[arg-type]
            text()
        assert {each.filename for each in told} == {__file__} and len(told) == 5
        assert "event loop" in str(told[0].message) and told[0].category is BatchContextWarning


def test_waiting_on_an_event_loop_may_be_refused_or_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the argument, a file or the environment; what is refused is not sent, and stays pending."""
    with remote(on_event_loop="raise"):
        Note.create(note_id="n", text="x")
        for way in (text, lambda: Note.create(note_id="m", text="y"), lambda: list(Note.iterate_all())):
            with pytest.raises(ConcurrencyError, match="event loop"):
                on_a_loop(way)
        assert not Note.find("m").exists()

        async def task() -> str:
            with run_with_batch_context():
                note = Note.find("n")
                with pytest.raises(ConcurrencyError, match="event loop"):
                    note.exists()
                return await asyncio.to_thread(text)

        assert asyncio.run(task()) == "x"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for options in ({"on_event_loop": "allow"}, {"batch_context": {"on_event_loop": "allow"}}):
            with remote(**options):
                on_a_loop(lambda: Note.create(note_id="n", text="x"))
        with opened("embedded", on_event_loop="raise"):
            on_a_loop(lambda: Note.create(note_id="n", text="x"))
        monkeypatch.setitem(
            sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1))
        )
        with remote():
            on_a_loop(lambda: Note.create(note_id="n", text="x"))
    monkeypatch.delitem(sys.modules, "IPython")
    monkeypatch.setenv("DYNAMO_BAO_ON_EVENT_LOOP", "raise")
    with remote(), pytest.raises(ConcurrencyError, match="event loop"):
        on_a_loop(text)
    with pytest.raises(ConfigurationError, match="Did you mean 'allow'"):
        opened("wrong", on_event_loop="allw")
