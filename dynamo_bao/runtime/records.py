"""attrs classes whose methods are made when they are first called.

attrs generates and compiles the methods of a class: that takes longer than all else that a module does. A program that
reads one item uses a third of the library's classes, and compares or prints few of them. So `define` and `frozen` here
make the class at once, with its slots. attrs generates the constructor when it is first called, and the other methods
when one of them is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
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
    annotations = cls.__annotations__
    names = [name for name, kind in annotations.items() if "ClassVar" not in str(kind)]
    own_names = {name: value for name, value in namespace.items() if name not in names}
    inherited_slots = {name for base in cls.__mro__[1:] for name in getattr(base, "__slots__", ())}
    slots = [name for name in names if name not in inherited_slots]
    if not any("__weakref__" in vars(base) for base in cls.__mro__[1:]):
        slots.append("__weakref__")
    record: Any = type(cls)(
        cls.__name__, cls.__bases__, {**own_names, "__annotations__": annotations, "__slots__": tuple(slots)}
    )
    _replace_in_closures(own_names.values(), cls, record)
    uncopied = {*_OF_CLASSES, *names, "__slots__", "__module__", "__qualname__", "__doc__", "__annotations__"}

    def build(name: str) -> None:
        """Has attrs generate the methods. Threads that do it at the same time give the class equal methods."""
        template = type(cls)(cls.__name__, cls.__bases__, {**namespace, "__annotations__": annotations})
        limits = _FOR_CONSTRUCTOR if name in ("__init__", "__attrs_init__") else {}
        generated = vars(generate(template, **{**options, **limits}))
        for generated_name, member in generated.items():
            if generated_name not in own_names and generated_name not in uncopied:
                setattr(record, generated_name, member)

    record.__attrs_attrs__ = LateFields(partial(build, "__attrs_attrs__"))
    is_frozen, has_equality = generate is attrs.frozen, options.get("eq", True) and "__eq__" not in own_names
    if has_equality and not is_frozen and "__hash__" not in own_names:
        record.__hash__ = None
    for name in (
        "__init__" if options.get("init", True) else "__attrs_init__",
        *(("__repr__",) if options.get("repr", True) else ()),
        *(("__eq__", "__ne__") if has_equality else ()),
        *(("__hash__", "__setattr__", "__delattr__") if is_frozen else ()),
        "__getstate__",
        "__setstate__",
    ):
        if name not in own_names and not (name == "__hash__" and not has_equality):
            setattr(record, name, _building_method(record, name, build))
    return record  # type: ignore[no-any-return]


def _building_method(record: type, name: str, build: Callable[[str], None]) -> FunctionType:
    """A method that has the real one made, and calls it."""

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        build(name)
        return getattr(record, name)(self, *args, **kwargs)

    method.__name__, method.__qualname__ = name, f"{record.__qualname__}.{name}"
    return method  # type: ignore[return-value]


def _replace_in_closures(members: Any, cls: type, record: type) -> None:
    """Has the methods of a class that use `super` or `__class__` refer to the class that replaces it."""
    for member in members:
        function = getattr(member, "__func__", None) or getattr(member, "fget", None) or member
        for cell in getattr(function, "__closure__", None) or ():
            if cell.cell_contents is cls:
                cell.cell_contents = record
