"""The docstrings of public names: what they say, and that their examples run."""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
import re
import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import make_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest

import dynamo_bao
from dynamo_bao import (
    CounterField,
    CreateDateField,
    HasMany,
    Index,
    IntegerField,
    ListField,
    Manager,
    MapField,
    Model,
    ModifiedDateField,
    PrimaryKey,
    RelatedField,
    StringField,
    StringSetField,
    TtlField,
    UlidField,
    UniqueConstraint,
    init_models,
    run_with_batch_context,
    testing,
)
from dynamo_bao.mapping.definition import ModelOptions
from tests.support.docstrings import MODULES, PublicName, public_names
from tests.support.model_files import forget_loaded

__all__ = ["forget_loaded"]

NAMES = {name.name: name for name in public_names()}
EXAMPLES = {name: public for name, public in NAMES.items() if public.examples}

# --- what the examples are about -------------------------------------------------------------------------------


_numbers = itertools.count(100)


class User(Model, prefix="u", iterable=True, searchable=["name"]):
    user_id: str = StringField(default=lambda: str(next(_numbers)))
    name: str = StringField()
    email: str | None = StringField(default=None)
    status: str = StringField(default="active")
    age: int | None = None
    visits: int = CounterField()
    tags: set[str] = StringSetField()
    history: list[str] = ListField(default=list)
    prefs: dict[str, Any] = MapField(default=dict)
    created_at: datetime = CreateDateField()
    modified_at: datetime = ModifiedDateField()

    primary_key = PrimaryKey("user_id")
    by_status = Index("status", "created_at", id="gsi1")
    unique_email = UniqueConstraint("email", id="uc1")
    posts = HasMany["Post"]("posts_for_user")


class Post(Model, prefix="p", iterable=True, searchable=["title"]):
    post_id: str = UlidField(auto_assign=True)
    user_id: str = RelatedField("User", default="42")
    title: str = StringField(default="Notes")
    stars: int = IntegerField(default=0)
    created_at: datetime = CreateDateField()

    primary_key = PrimaryKey("post_id")
    posts_for_user = Index("user_id", "created_at", id="gsi2")


class Comment(Model, prefix="c"):
    post_id: str = RelatedField("Post")
    number: str = StringField()

    primary_key = PrimaryKey("post_id", "number")


class Account(Model, prefix="a"):
    account_id: str = UlidField(auto_assign=True)
    balance: int = IntegerField(default=100)
    status: str = StringField(default="open")
    secret: str | None = StringField(default=None)
    plan: str = StringField(default="basic")

    primary_key = PrimaryKey("account_id")
    by_status = Index("status", "plan", id="gsi1")


class Payment(Model, prefix="pa"):
    payment_id: str = UlidField(auto_assign=True)
    account_id: str = RelatedField("Account")
    amount: int = IntegerField()

    primary_key = PrimaryKey("payment_id")


class Code(Model, prefix="co"):
    code: str = StringField()
    ttl: datetime | None = TtlField(default=timedelta(minutes=5))

    primary_key = PrimaryKey("code")


MODELS = [User, Post, Comment, Account, Payment, Code]
IMPORTED: dict[str, Any] = {
    "Any": Any,
    "ClassVar": ClassVar,
    "Decimal": Decimal,
    "Path": Path,
    "ThreadPoolExecutor": ThreadPoolExecutor,
    "UUID": UUID,
    "date": date,
    "datetime": datetime,
    "time": time,
    "timedelta": timedelta,
}
"""What an example would import from Python."""

OF_READERS = {
    "app",  # the web application, of whichever framework
    "statsd",
    "flask",
    "order_id",
    "Order",
    "Query",
    "query",
    "span",
    "request",
    "SoftTimeLimitExceeded",
    "Flask",
    "JsonResponse",
    "jsonify",
    "Bao",
    "client",
    "graphene",
    "strawberry",
}
"""Names in examples that belong to a framework or to the reader's program. Their examples are not run."""


RUN_MODULES = ("dynamo_bao", "dynamo_bao.diagrams", "dynamo_bao.testing")
"""The modules whose examples need neither a framework nor a file of the reader's."""


def values_of_readers(manager: Manager) -> dict[str, Any]:
    """What else the examples take for granted."""
    users = [User.create(user_id=i, name=name) for i, name in (("42", "Ada"), ("1", "Ben"), ("2", "Eve"))]
    account = Account.create()
    transport = testing.FaultInjectingTransport(testing.embedded_transport().wire)
    return {
        "manager": manager,
        "archive": manager,
        "europe": manager,
        "user": users[0],
        "users": users,
        "ids": ["42"],
        "user_id": "42",
        "account": account,
        "accounts": manager.repository(Account),
        "comments": manager.repository(Comment),
        "post": Post.create(),
        "code": Code.create(code="x"),
        "transport": transport,
        "recording": testing.RecordingTransport(transport),
        "body": defaultdict(lambda: "x"),
        "watch": testing.RoundWatch(),
        "titles": ["Notes"],
        "moment": datetime.now(timezone.utc),
        "tenant": "acme",
        "Status": Enum("Status", {"ACTIVE": "active"}),
        "Line": make_dataclass("Line", [("title", str)]),
        "report": lambda *_: None,
        "page": lambda: None,
        "render_dashboard": lambda *_: None,
    }


MODEL_FILE = """
models:
  User:
    modelPrefix: us
    fields: {userId: {type: StringField}, email: {type: StringField}}
    primaryKey: {partitionKey: userId}
    uniqueConstraints: {uniqueEmail: {field: email, uniqueConstraintId: uc1}}
"""


# --- running an example ------------------------------------------------------------------------------------------


def namespace_of(public: PublicName) -> dict[str, Any]:
    """The public names, those of the module of the example, and the vocabulary."""
    value = public.value.fget if isinstance(public.value, property) else public.value
    names = {name: getattr(dynamo_bao, name) for name in dynamo_bao.__all__}
    models = {model.__name__: model for model in MODELS}
    module = sys.modules[value.__module__]
    package = sys.modules[module_of(public.name)]
    return {**vars(module), **vars(testing), **vars(package), **names, **models, **IMPORTED}


def module_of(name: str) -> str:
    """The public module of a public name."""
    return max((module for module in MODULES if name.startswith(f"{module}.")), key=len)


@cache
def free_names(code: str) -> set[str]:
    """The names that a program reads and nowhere binds."""
    nodes = list(ast.walk(ast.parse(code)))
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {str(getattr(node, "name", None)) for node in nodes}
    bound |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    return names - bound - set(dir(builtins))


def run(public: PublicName, manager: Manager) -> None:
    """Runs the example of a docstring. A comment such as ``# QueryError: …`` names the error of its line."""
    names = {**namespace_of(public), **values_of_readers(manager), "__name__": "example"}
    if ".Repository." in public.name:
        names["users"] = manager.repository(User)
    with ExitStack() as stack:
        names["init_models"] = lambda **options: stack.enter_context(init_models(**without_network(options)))
        if "session" in free_names("".join(public.examples)):
            names["session"] = stack.enter_context(run_with_batch_context())
        for source in public.examples:
            program = compile(source, public.name, "exec")
            error = re.search(r"# (\w+Error)\b(?!, if)", source)
            if error is None:
                exec(program, names)
            else:
                with pytest.raises(getattr(dynamo_bao, error[1])):
                    exec(program, names)


def without_network(options: dict[str, Any]) -> dict[str, Any]:
    """Options of `init_models` for an embedded engine, unless they name an endpoint."""
    is_local = options.keys() & {"transport", "endpoint_url"}
    return {
        "models": MODELS,
        "table_name": "app",
        **({} if is_local else {"embedded": True}),
        **options,
    }


@pytest.fixture
def manager() -> Iterator[Manager]:
    with warnings.catch_warnings(), init_models(models=MODELS, embedded=True, table_name="app") as manager:
        warnings.simplefilter("ignore")
        yield manager


# --- tests -------------------------------------------------------------------------------------------------


def test_every_docstring_is_complete() -> None:
    """Arguments, results, errors and examples of all public names; see `tests.support.docstrings`."""
    assert len(NAMES) > 300
    faults = {name: list(public.faults()) for name, public in NAMES.items()}
    assert {name: lines for name, lines in faults.items() if lines} == {}


def test_the_docstring_of_models_names_the_options_of_the_class_statement() -> None:
    """Each keyword argument, as ``class User(Model, prefix="u")`` has them."""
    options = (
        inspect.cleandoc(Model.__doc__ or "").split("Args (of the class statement):")[1].split("\n\n")[0]
    )
    assert set(re.findall(r"^    (\w+):", options, re.MULTILINE)) == set(ModelOptions.__annotations__)


def test_names_in_examples_exist() -> None:
    """An example uses public names, Python's, and few of the reader's."""
    known = OF_READERS | values_of_names()
    unknown: Mapping[str, set[str]] = {
        name: free_names("".join(public.examples)) - known - namespace_of(public).keys()
        for name, public in EXAMPLES.items()
    }
    assert {name: names for name, names in unknown.items() if names} == {}


def values_of_names() -> set[str]:
    """The names of `values_of_readers`, and of an open session."""
    with init_models(models=MODELS, embedded=True, table_name="app") as manager:
        return {*values_of_readers(manager), "session"}


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, public in EXAMPLES.items()
        if module_of(name) in RUN_MODULES and not free_names("".join(public.examples)) & OF_READERS
    ],
)
def test_examples_run(name: str, manager: Manager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each does what it says, on an embedded engine."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models.yaml").write_text(MODEL_FILE)
    run(EXAMPLES[name], manager)
