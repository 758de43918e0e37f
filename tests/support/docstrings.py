"""What a docstring of a public name has to say, and which public names there are.

Public are the names that `dynamo_bao` and the modules of `MODULES` export, and the members of the classes among them,
except:

- names that begin with an underscore, and those of Python's protocols (``__iter__``);
- members that a class inherits, or overrides without a docstring, if a base documents them;
- aliases of types, and other values;
- the functions of `errors`, which the library uses.

A docstring says in "Args:" what each parameter means; that of a class does it for its constructor, in "Attributes:" if
the attribute has the same name. Keyword arguments that a ``TypedDict`` lists are described there. It has "Returns:" if
a call returns something that is neither None nor the object itself, and "Raises:" for what the statements of the
function itself raise. That of an exported class or function has an example.
"""

from __future__ import annotations

import ast
import builtins
import doctest
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import attrs
from attrs import frozen

from dynamo_bao import Field
from dynamo_bao.fields.base import FieldOptions

MODULES = (
    "dynamo_bao",
    "dynamo_bao.asgi",
    "dynamo_bao.celery",
    "dynamo_bao.codegen",
    "dynamo_bao.diagrams",
    "dynamo_bao.django",
    "dynamo_bao.errors",
    "dynamo_bao.fastapi",
    "dynamo_bao.flask",
    "dynamo_bao.graphene",
    "dynamo_bao.otel",
    "dynamo_bao.strawberry",
    "dynamo_bao.testing",
    "dynamo_bao.upkeep",
    "dynamo_bao.wsgi",
)
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example):\n((?:[ ]+.*\n|\n)*)", re.MULTILINE)
RESULTS = {"Iteration", "QueryResult", "Repository", "RoundWatch", "SearchResult", "Session", "Transaction"}
"""The classes whose objects come from a call. Users do not call the constructors of these, nor those of errors."""


@frozen
class PublicName:
    """A class, a function or a property that users see.

    Attributes:
        name: its full name, such as ``dynamo_bao.Model.save``.
        value: the class, the function, or the property.
        is_member: whether it belongs to a class.
        is_override: whether a base has this member too, with a docstring; its own says what differs.
    """

    name: str
    value: Any
    is_member: bool = False
    is_override: bool = False

    @property
    def doc(self) -> str:
        """Its own docstring, without indentation."""
        doc = vars(self.value).get("__doc__") if isinstance(self.value, type) else self.value.__doc__
        return inspect.cleandoc(doc or "")

    @property
    def sections(self) -> dict[str, str]:
        """The sections of its docstring by their names."""
        return dict(SECTION.findall(self.doc + "\n"))

    @property
    def described(self) -> set[str]:
        """The arguments and attributes that its docstring names."""
        lines = (self.sections.get("Args", "") + self.sections.get("Attributes", "")).splitlines()
        heads = [match[1] for line in lines if (match := re.match(r"    (\S[^:]*):", line))]
        return {name.strip("* ") for head in heads for name in head.split(",")}

    @property
    def parameters(self) -> set[str]:
        """The parameters that the docstring has to name."""
        if isinstance(self.value, property) or self.is_override or self.is_made_by_the_library:
            return set()
        if isinstance(self.value, type) and "__attrs_attrs__" in vars(self.value):
            fields = attrs.fields(self.value)
            return {field.alias for field in fields if field.init and not field.name.startswith("_")}
        function = constructor(self.value) if isinstance(self.value, type) else self.value
        names = {
            parameter.name for parameter in parameters_of(function) if not is_described_elsewhere(parameter)
        }
        if isinstance(self.value, type) and issubclass(self.value, Field) and self.value is not Field:
            names -= set(FieldOptions.__annotations__)
        return {name for name in names if not name.startswith("_")}

    @property
    def open_parameters(self) -> set[str]:
        """Its ``**options``. Its docstring may name them one by one instead."""
        function = constructor(self.value) if isinstance(self.value, type) else self.value
        if isinstance(function, property):
            return set()
        return {one.name for one in parameters_of(function) if one.kind is one.VAR_KEYWORD}

    @property
    def is_made_by_the_library(self) -> bool:
        """Whether it is a class whose constructor is not for users."""
        if not isinstance(self.value, type):
            return False
        is_protocol = getattr(self.value, "_is_protocol", False)
        return is_protocol or issubclass(self.value, BaseException) or self.value.__name__ in RESULTS

    @property
    def returns(self) -> bool:
        """Whether a call returns something to describe."""
        if isinstance(self.value, (type, property)) or self.is_override:
            return False
        annotation = str(inspect.signature(self.value).return_annotation).strip("'")
        return annotation not in ("None", "NoReturn", "Self", "<class 'inspect._empty'>")

    @property
    def raised(self) -> list[type[BaseException]]:
        """The exceptions that its own statements raise, by the names of their classes."""
        function = self.value.fget if isinstance(self.value, property) else self.value
        if isinstance(function, type):
            function = None if self.is_made_by_the_library else constructor(function)
        if not inspect.isfunction(function) or self.is_override:
            return []
        function = inspect.unwrap(function)
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        names = {ast.unparse(call.func) for call in raise_calls(tree)}
        classes = [function.__globals__.get(name, getattr(builtins, name, None)) for name in names]
        return [
            one
            for one in classes
            if isinstance(one, type) and not issubclass(one, (NotImplementedError, AttributeError))
        ]

    def faults(self) -> Iterator[str]:
        """What its docstring lacks."""
        if not self.doc:
            yield "has no docstring"
            return
        for parameter in sorted(self.parameters - self.described):
            if parameter in self.open_parameters and self.described - self.parameters:
                continue
            yield f"does not say what {parameter} is"
        if self.returns and not self.sections.keys() & {"Returns", "Yields"}:
            yield "does not say what it returns"
        for error in self.raised:
            if not any(base.__name__ in self.sections.get("Raises", "") for base in error.__mro__[:-2]):
                yield f"does not say that it raises {error.__name__}"
        if not self.is_member and not self.examples and "::\n" not in self.doc:
            yield "has no example"

    @property
    def examples(self) -> list[str]:
        """The code of its examples."""
        parser = doctest.DocTestParser()
        return [example.source for example in parser.get_examples(self.doc)]


def raise_calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls whose results a function raises, without those of functions inside it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield node.exc
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from raise_calls(node)


def constructor(cls: type) -> Any:
    """The function with the parameters of a class, if the class itself defines one; None otherwise."""
    return vars(cls).get("__init__") or vars(cls).get("__new__")


def parameters_of(function: Any) -> list[inspect.Parameter]:
    """The parameters of a function, without the object of a method."""
    parameters = [] if function is None else list(inspect.signature(function).parameters.values())
    return parameters[1:] if parameters and parameters[0].name in ("self", "cls") else parameters


def is_described_elsewhere(parameter: inspect.Parameter) -> bool:
    """Whether these are the keyword arguments of a ``TypedDict``."""
    return parameter.kind is parameter.VAR_KEYWORD and "Unpack" in str(parameter.annotation)


def public_names() -> list[PublicName]:
    """All public names with docstrings, each once."""
    names: dict[int, PublicName] = {}
    for module in map(importlib.import_module, MODULES):
        for name in exports(module):
            value = getattr(module, name)
            if id(value) in names or not (isinstance(value, type) or inspect.isroutine(value)):
                continue
            full_name = f"{module.__name__}.{name}"
            names[id(value)] = PublicName(full_name, value)
            for member in members(value, full_name) if isinstance(value, type) else ():
                names.setdefault(id(member.value), member)
    return list(names.values())


def exports(module: Any) -> list[str]:
    """The public names of a module."""
    default = [
        name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__
    ]
    if module.__name__ == "dynamo_bao.errors":
        default = [name for name in default if isinstance(getattr(module, name), type)]
    return [name for name in getattr(module, "__all__", default) if not name.startswith("_")]


def members(cls: type, full_name: str) -> Iterator[PublicName]:
    """The methods and properties that a class defines; without those that only a base documents."""
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.ismethod(bound := getattr(cls, name, None)):
            function = bound.__func__  # of a descriptor such as `Create`
        if name.startswith("_") or not (inspect.isfunction(function) or isinstance(function, property)):
            continue
        is_override = any(getattr(getattr(base, name, None), "__doc__", None) for base in cls.__mro__[1:])
        if function.__doc__ or not is_override:
            yield PublicName(f"{full_name}.{name}", function, is_member=True, is_override=is_override)
