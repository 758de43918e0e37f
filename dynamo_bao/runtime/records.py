"""attrs classes whose methods are made when they are first called.

attrs generates and compiles the methods of a class: that takes longer than all else that a module does. A program that
reads one item uses a third of the library's classes, and compares or prints few of them. So `define` and `frozen` here
make the class at once, with its slots. attrs generates the constructor when it is first called, and the other methods
when one of them is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from attrs import define as define, frozen as frozen
else:

    def define(cls: type | None = None, **options: Any) -> Any:
        """`attrs.define`, with methods that are made later."""
        return _decorated(cls, attrs.define, options)

    def frozen(cls: type | None = None, **options: Any) -> Any:
        """`attrs.frozen`, with methods that are made later."""
        return _decorated(cls, attrs.frozen, options)


_FOR_CONSTRUCTOR = {"eq": False, "repr": False}
"""Options for the first call of a constructor. Few records are ever compared or printed."""
_OF_CLASSES = frozenset(("__dict__", "__weakref__"))
"""What a class has, but not the namespace that a class is made from."""


class LateFields:
    """The ``__attrs_attrs__`` of a class until somebody reads it, as `attrs.fields` and `attrs.has` do.

    Args:
        make: has attrs set the real ones.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def __get__(self, instance: object, owner: Any) -> Any:
        self._make()
        return owner.__attrs_attrs__


def _decorated(cls: type | None, generate: Callable[..., type], options: dict[str, Any]) -> Any:
    if cls is None:
        return lambda decorated_class: _slotted(decorated_class, generate, options)
    return _slotted(cls, generate, options)


def _slotted(cls: type, generate: Callable[..., type], options: dict[str, Any]) -> type:
    """A class like `cls`, with slots for its attributes, and with methods that make the real ones."""
    namespace = {name: value for name, value in vars(cls).items() if name not in _OF_CLASSES}
    annotations, ancestors = cls.__annotations__, cls.__mro__[1:]
    names = [name for name, kind in annotations.items() if "ClassVar" not in str(kind)]
    own_members = {name: value for name, value in namespace.items() if name not in names}
    inherited_slots = {name for base in ancestors for name in getattr(base, "__slots__", ())}
    slots = [name for name in names if name not in inherited_slots]
    if not any("__weakref__" in vars(base) for base in ancestors):
        slots.append("__weakref__")
    uncopied = {*_OF_CLASSES, *names, *own_members, "__slots__", "__annotations__", "__doc__"}

    def build(name: str) -> Any:
        """Has attrs generate the methods, and returns the class.

        Threads that do it at the same time give the class equal methods.
        """
        template = type(cls)(cls.__name__, cls.__bases__, {**namespace, "__annotations__": annotations})
        limits = _FOR_CONSTRUCTOR if name in ("__init__", "__attrs_init__") else {}
        for generated_name, member in vars(generate(template, **{**options, **limits})).items():
            if generated_name not in uncopied:
                setattr(record, generated_name, member)
        return record

    has_equality = options.get("eq", True) and "__eq__" not in own_members
    methods: dict[str, object] = {
        name: _building_method(name, build)
        for name in (
            "__init__" if options.get("init", True) else "__attrs_init__",
            "__setstate__",  # it is called without a constructor
            *(("__repr__",) if options.get("repr", True) else ()),
            *(("__eq__", "__hash__") if has_equality else ()),
        )
    }
    if generate is attrs.define and has_equality:
        methods["__hash__"] = None
    late_members = {"__attrs_attrs__": LateFields(partial(build, "__attrs_attrs__")), **methods}
    own_members |= {
        "__annotations__": annotations,
        "__slots__": tuple(slots),
        "__qualname__": cls.__qualname__,
    }
    record = type(cls)(cls.__name__, cls.__bases__, {**late_members, **own_members})
    _replace_in_closures(own_members.values(), cls, record)
    return record


def _building_method(name: str, build: Callable[[str], Any]) -> Callable[..., Any]:
    """A method that has the real one made, and calls it."""

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(build(name), name)(self, *args, **kwargs)

    method.__name__ = name
    return method


def _replace_in_closures(members: Any, cls: type, record: type) -> None:
    """Has the methods of a class that use `super` or `__class__` refer to the class that replaces it."""
    for member in members:
        function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        for cell in getattr(function, "__closure__", None) or ():
            if cell.cell_contents is cls:
                cell.cell_contents = record
