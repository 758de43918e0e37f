"""Exceptions of the application's own leave the library as they are, wherever they are raised."""

from __future__ import annotations

import itertools
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from dynamo_bao import (
    CommitError,
    Index,
    Manager,
    Model,
    PrimaryKey,
    StringField,
    UlidField,
    init_models,
    run_with_batch_context,
    transaction,
)
from dynamo_bao.testing import FaultInjectingTransport, boto_transport, embedded_transport
from tests.support import models
from tests.support.engines import Engine
from tests.support.interrupts import FOREIGN, SIGNAL, Instructions, SoftTimeLimitExceeded, signals_raise
from tests.support.models import Org, Post, User

BINDING = ("context.py", "ownership.py", "bindings.py", "tenancy.py", "transport/embedded/")
"""Where contexts are entered and left, which has tests of its own; and the embedded engine, which has a lock."""
STEPS = 10
"""At how many instructions of each call an exception is raised."""


def _find() -> Any:
    with run_with_batch_context():
        found = [User.find(user_id) for user_id in ("1" * 26, "2" * 26)]
        return [user.name for user in found if user]


def _find_alone() -> Any:
    return User.find_or_none("1" * 26)


def _query() -> Any:
    with run_with_batch_context():
        return [user.name for user in User.query_by_index("by_status", "active")]


def _create() -> Any:
    return Post.create(title="t", tags={"a"})


def _increment() -> Any:
    return Post.increment("1" * 26, views=1)


def _commit() -> Any:
    with run_with_batch_context() as session:
        session.add(*(Post(title=str(number)) for number in range(3)))
        session.commit()


def _commit_of_changes() -> Any:
    with run_with_batch_context() as session:
        user = User.find("1" * 26)
        user.name = f"{user.name}!"[-5:]
        session.add(user, User(name="Bob"))
        session.commit()


def _atomic() -> Any:
    with transaction():
        User.create(name="Cy")
        Post.create(title="t")


CALLS = (_find, _find_alone, _query, _create, _increment, _commit, _commit_of_changes, _atomic)


@pytest.fixture(params=["lean", "botocore"])
def ways(
    request: pytest.FixtureRequest, engine: Engine, connection: dict[str, Any], table_name: str
) -> Iterator[Manager]:
    """The shared models by the library's own way to send, and by botocore's."""
    transport = (
        embedded_transport(request_path=request.param)
        if engine.endpoint_url is None
        else boto_transport(endpoint_url=engine.endpoint_url, region="us-east-1", request_path=request.param)
    )
    with init_models(models=models.ALL, table_name=table_name, transport=transport) as manager:
        manager.create_table()
        User.create(user_id="1" * 26, name="Ada")
        Post.create(post_id="1" * 26, title="first")
        yield manager


@pytest.mark.quick_engines
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a connection being made
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__.strip("_"))
@pytest.mark.promise("S14")
@pytest.mark.rule(43)
def test_what_a_handler_of_a_signal_raises_leaves_unchanged(
    ways: Manager, call: Callable[[], Any], engine: Engine
) -> None:
    """At instructions spread over the whole of each operation, after which the next call works."""
    for _ in range(2):  # code that is compiled at the first and at the second use
        call()
    instructions = Instructions(without=BINDING)
    instructions.run(call)
    total = instructions.counted
    kinds = itertools.cycle(FOREIGN)
    interrupted = 0
    for step in range(STEPS):
        error = next(kinds)()
        with signals_raise(error):
            raised = _raised_by(partial(instructions.run, call, step * total // STEPS))
        if raised is not None:
            assert raised is error, f"{error!r} became {raised!r} at instruction {step * total // STEPS}"
            interrupted += 1
    assert interrupted > STEPS // 2  # the number of instructions differs a little from run to run
    call()


def _raised_by(call: Callable[[], Any]) -> BaseException | None:
    try:
        call()
    except BaseException as raised:
        return raised
    return None


@pytest.mark.parametrize("kind", range(len(FOREIGN)))
@pytest.mark.parametrize("request_path", ["lean", "botocore"])
@pytest.mark.rule(43)
def test_a_signal_while_the_answer_is_awaited(
    kind: int, request_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is silent, and the handler's exception comes out of ``recv``, on either way to send."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    error = FOREIGN[kind]()
    with socket.create_server(("127.0.0.1", 0)) as server, signals_raise(error):
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        answering = threading.Thread(target=_interrupt_the_first, args=[server], daemon=True)
        answering.start()
        transport = boto_transport(endpoint_url=url, region="us-east-1", request_path=request_path)
        with init_models(models=models.ALL, transport=transport), pytest.raises(type(error)) as caught:
            User.find_or_none("1" * 26)
        answering.join()
    assert caught.value is error


def _interrupt_the_first(server: socket.socket) -> None:
    """Sends this process its signal once the first request is there, and answers nothing."""
    connected, _ = server.accept()
    with connected:
        connected.recv(65536)
        signal.pthread_kill(threading.main_thread().ident or 0, SIGNAL)
        connected.settimeout(30)
        while connected.recv(65536):  # until the other side gives up
            pass


@pytest.mark.quick_engines
@pytest.mark.parametrize("kind", range(len(FOREIGN)))
@pytest.mark.parametrize("event", ["before-send", "before-call", "needs-retry", "after-call"])
@pytest.mark.rule(43)
def test_a_handler_of_botocores_events(
    engine: Engine, connection: dict[str, Any], manager: Manager, event: str, kind: int
) -> None:
    error = FOREIGN[kind]()

    def hook(**_: Any) -> None:
        raise error

    User.create(user_id="1" * 26, name="Ada")
    manager.client.meta.events.register(f"{event}.dynamodb.GetItem", hook)
    with pytest.raises(type(error)) as caught:
        User.find_or_none("1" * 26)
    assert caught.value is error
    manager.client.meta.events.unregister(f"{event}.dynamodb.GetItem", hook)
    assert User.find_or_none("1" * 26)


# --- code of the application that the library calls -------------------------------------------------------


class Text(StringField):
    """A field whose decoder or validation raises what a test says."""

    raises: dict[str, Callable[[], BaseException]] = {}

    def from_dynamo(self, stored: Any) -> Any:
        if "decoder" in self.raises:
            raise self.raises["decoder"]()
        return super().from_dynamo(stored)

    def validate(self, value: Any) -> None:
        if "validation" in self.raises:
            raise self.raises["validation"]()


def _default() -> str:
    if "default" in Text.raises:
        raise Text.raises["default"]()
    return "text"


class Hooked(Model, prefix="hk"):
    hooked_id: str = UlidField(auto_assign=True)
    text: str = Text(default=_default)

    primary_key = PrimaryKey("hooked_id")
    by_text = Index("text", id="gsi1")

    def before_save(self) -> None:
        if "before_save" in Text.raises:
            raise Text.raises["before_save"]()

    def after_save(self) -> None:
        if "after_save" in Text.raises:
            raise Text.raises["after_save"]()


READS = ("find", "find in a context", "query")
WRITES = ("create", "commit")
PLACES = ("validation", "default", "before_save", "after_save")


@pytest.mark.parametrize(
    ("call", "place"),
    [*((call, "decoder") for call in READS), *((call, place) for call in WRITES for place in PLACES)],
)
@pytest.mark.parametrize("kind", range(len(FOREIGN)))
@pytest.mark.rule(43)
def test_code_of_the_application(call: str, kind: int, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = FOREIGN[kind]()
    with init_models(models=[Hooked], embedded=True) as manager:
        manager.create_table()
        stored = Hooked.create()
        monkeypatch.setattr(Text, "raises", {place: lambda: error})
        with pytest.raises(type(error)) as caught, run_with_batch_context() as session:
            if call == "find":
                Hooked.find(stored.hooked_id, bypass_cache=True)
            elif call == "find in a context":
                assert Hooked.find(stored.hooked_id).text
            elif call == "query":
                assert list(Hooked.by_text.query(stored.text))
            elif call == "create":
                Hooked.create()
            else:
                session.add(Hooked())
                try:
                    session.commit()
                finally:
                    session.rollback()
        assert caught.value is error


@pytest.mark.rule(43)
def test_hooks_for_metrics_do_not_swallow_signals(embedded: Manager) -> None:
    embedded.on_request(lambda _: signal.raise_signal(SIGNAL))
    error = SoftTimeLimitExceeded()
    with signals_raise(error), pytest.raises(SoftTimeLimitExceeded) as caught:
        User.create(name="Ada")
    assert caught.value is error


# --- figures of a commit ----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(6))
@pytest.mark.parametrize("kind", ["bulk", "conditions", "atomic"])
@pytest.mark.promise("W5")
def test_the_figures_of_a_commit_that_is_interrupted(step: int, kind: str) -> None:
    """Every object is in one of the three lists, and what is called done is stored; the rest can be committed."""
    transport = FaultInjectingTransport(embedded_transport().wire)
    with init_models(models=models.ALL, transport=transport, max_concurrency=1) as manager:
        manager.create_table()
        number = 0

        def at_step(request: Any, send: Any, chance: Any) -> Any:
            nonlocal number
            if request.operation in ("BatchWriteItem", "PutItem", "TransactWriteItems"):
                number += 1
                if number == step:
                    raise SoftTimeLimitExceeded
            return send(request)

        new: list[Any] = [Post(title=str(n)) for n in range(120)]
        if kind != "bulk":
            new = [Org(org_id=str(n), name=str(n)) for n in range(5)]
        with run_with_batch_context() as session:
            assert session.last_commit is None
            session.add(*new)
            transport.inject(at_step)
            interrupted = 0 < step <= (1 if kind == "atomic" else 5)
            if interrupted:
                with pytest.raises(SoftTimeLimitExceeded):
                    session.commit(atomic=kind == "atomic")
            else:
                session.commit(atomic=kind == "atomic")
            transport.inject([])
            figures = session.last_commit
            assert figures is not None
            told = [*figures.done, *figures.not_done, *figures.unknown]
            assert sorted(map(id, told)) == sorted(map(id, new))
            assert bool(figures.unknown) is interrupted
            stored = {id(one) for one in new if type(one).find_or_none(one.primary_id, bypass_cache=True)}
            assert {id(one) for one in figures.done} <= stored
            assert not stored & {id(one) for one in figures.not_done}
            if interrupted:
                session.commit()
            assert all(type(one).find_or_none(one.primary_id, bypass_cache=True) for one in new)


@pytest.mark.promise("W5")
def test_the_figures_of_a_commit_that_fails_in_part(embedded: Manager) -> None:
    Org.create(org_id="1", name="first")
    with run_with_batch_context() as session:
        taken, free = Org(org_id="1", name="again"), Org(org_id="2", name="second")
        session.add(taken, free)
        with pytest.raises(CommitError) as caught:
            session.commit()
        figures = session.last_commit
        assert figures is not None
        assert (figures.done, figures.not_done, figures.unknown) == ((free,), (taken,), ())
        assert (caught.value.done, caught.value.not_done) == (figures.done, figures.not_done)
        session.rollback()


@pytest.mark.promise("W5")
def test_the_figures_at_every_instruction_of_a_commit(embedded: Manager) -> None:
    def commit() -> Any:
        with run_with_batch_context() as session:
            new = [Post(title=str(n)) for n in range(3)]
            session.add(*new)
            try:
                session.commit()
            except SoftTimeLimitExceeded:
                figures = session.last_commit
                session.rollback()
                return new, figures
            return new, session.last_commit

    instructions = Instructions("commit.py", "bulk_insert.py", "unit_of_work.py", "batch_write.py")
    instructions.run(commit)
    for number in range(0, instructions.counted, 11):
        with signals_raise(SoftTimeLimitExceeded()):
            try:
                new, figures = instructions.run(commit, number)
            except SoftTimeLimitExceeded:  # while the block was entered or left
                continue
        if figures is None:
            continue
        stored = {one.post_id for one in new if Post.find_or_none(one.post_id)}
        assert {one.post_id for one in figures.done} <= stored, number
        assert not stored & {one.post_id for one in figures.not_done}, number


def test_a_counter_whose_answer_was_not_awaited_is_not_counted_again(embedded: Manager) -> None:
    post = Post.create(title="t")
    error = SoftTimeLimitExceeded()

    def hook(**_: Any) -> None:
        raise error

    post.views += 1
    embedded.client.meta.events.register("after-call.dynamodb.UpdateItem", hook)
    with pytest.raises(SoftTimeLimitExceeded):
        post.save()
    embedded.client.meta.events.unregister("after-call.dynamodb.UpdateItem", hook)
    with pytest.raises(Exception, match="refresh"):
        post.save()
    post.refresh()
    assert post.views == 1


@pytest.mark.parametrize("kind", range(len(FOREIGN)))
def test_an_exception_that_was_being_handled_before_is_not_mistaken(
    kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that fails inside the handling of the application's own exception fails for its own reason."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    transport = boto_transport(endpoint_url=url, region="us-east-1", request_path="botocore")
    with init_models(models=models.ALL, transport=transport):
        try:
            raise FOREIGN[kind]()
        except BaseException:
            with pytest.raises(Exception, match=r"Could not connect|Connect timeout"):
                User.find_or_none("1" * 26)
