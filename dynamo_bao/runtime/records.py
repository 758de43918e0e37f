"""attrs classes whose methods are made when they are first called.

attrs generates and compiles the methods of a class: that takes longer than all else that a module does. A program that
reads one item uses a third of the library's classes, and compares or prints few of them. So `define` and `frozen` here
make the class at once, with its slots. The constructor is compiled when it is first called, in a third of the time
that attrs takes. attrs generates all other methods when one of them is first called, and the constructor too if a
field has a converter or a validator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from dynamo_bao.runtime.late_libraries import attrs
from dynamo_bao.runtime.named_tuples import NamedTuple


class Nothing:
    """The class of `NOTHING`, which is false."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOTHING"

    def __reduce__(self) -> str:
        return "NOTHING"


NOTHING: Final = Nothing()
"""Stands for a default that does not exist, as None can be a default."""


class FactoryOfRecord:
    """`attrs.Factory`, which attrs has to know only if it generates a method.

    Args:
        factory: makes a default value.
        takes_self: whether it is called with the object.
    """

    __slots__ = ("factory", "takes_self")

    def __init__(self, factory: Callable[..., object], takes_self: bool = False) -> None:
        self.factory: Callable[..., object] = factory
        self.takes_self: bool = takes_self


class FieldOfRecord:
    """`attrs.field`, which attrs has to know only if it generates a method.

    Args:
        options: its arguments.
    """

    __slots__ = ("options",)

    def __init__(self, **options: Any) -> None:
        if "factory" in options:
            options["default"] = FactoryOfRecord(options.pop("factory"))
        self.options: dict[str, Any] = options


if TYPE_CHECKING:
    from attrs import (
        Factory as Factory,
        asdict as asdict,
        define as define,
        evolve as evolve,
        field as field,
        frozen as frozen,
    )
else:
    Factory = FactoryOfRecord
    field = FieldOfRecord

    def evolve(instance: Any, /, **changes: Any) -> Any:
        """`attrs.evolve`."""
        builder = type(instance).__dict__.get(_BUILDER)
        if builder is None or builder.fields is None:
            return attrs.evolve(instance, **changes)
        values = {member.alias: getattr(instance, member.name) for member in builder.fields if member.init}
        return type(instance)(**{**values, **changes})

    def asdict(instance: Any, **options: Any) -> Any:
        """`attrs.asdict`."""
        return attrs.asdict(instance, **options)

    def define(cls: type | None = None, **options: Any) -> Any:
        """`attrs.define`, with methods that are made later."""
        return _decorated(cls, "define", options)

    def frozen(cls: type | None = None, **options: Any) -> Any:
        """`attrs.frozen`, with methods that are made later."""
        return _decorated(cls, "frozen", options)


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


class LateSignature:
    """The ``__signature__`` of a class, for `help` and other readers, who may come before the constructor is made.

    Args:
        builder: makes the methods of the class.
    """

    __slots__ = ("_builder",)

    def __init__(self, builder: _Builder) -> None:
        self._builder = builder

    def __get__(self, instance: object, owner: type) -> Any:
        owner_of_constructor = next(cls for cls in owner.__mro__ if "__init__" in vars(cls))
        if instance is not None or owner_of_constructor is not self._builder.record:
            raise AttributeError("__signature__")
        return self._builder.signature()


class _FieldOfConstructor(NamedTuple):
    """A field, as a constructor needs it.

    Attributes:
        name: its name.
        default: its default or a `Factory`; `NOTHING` without member.
        init: whether it is an argument.
        alias: the name of the argument.
        kw_only: whether the argument needs its name.
    """

    name: str
    default: Any
    init: bool
    alias: str
    kw_only: bool


_PLAIN_OPTIONS = frozenset(("default", "init", "repr", "eq", "hash", "order", "alias", "kw_only"))
"""The options of a field that leave its value as it is."""
_BUILDER = "__record_builder__"
"""The attribute of a record with its `_Builder`."""


def _fields_of(
    cls: type, names: Iterable[str], namespace: Mapping[str, object], options: Mapping[str, object]
) -> tuple[_FieldOfConstructor, ...] | None:
    """The fields of a class and its bases, in the order of attrs; None if attrs has to generate the constructor."""
    if issubclass(cls, BaseException) or not options.keys() <= {"eq", "order", "init", "repr"}:
        return None
    fields: dict[str, _FieldOfConstructor] = {}
    for base in cls.__mro__[-2:0:-1]:
        builder = base.__dict__.get(_BUILDER)
        base_fields = () if builder is None else builder.fields
        if base_fields is None or (builder is None and "__attrs_attrs__" in base.__dict__):
            return None
        fields.update({member.name: member for member in base_fields})
    for name in names:
        value = namespace.get(name, NOTHING)
        if type(value).__module__.startswith("attr."):  # a field or a factory of attrs itself
            return None
        own_options: dict[str, Any] = (
            value.options if isinstance(value, FieldOfRecord) else {"default": value}
        )
        if not own_options.keys() <= _PLAIN_OPTIONS:
            return None
        fields.pop(name, None)  # a field that is defined again comes last
        fields[name] = _FieldOfConstructor(
            name,
            own_options.get("default", NOTHING),
            own_options.get("init", True),
            own_options.get("alias") or name.lstrip("_"),
            own_options.get("kw_only", False),
        )
    return tuple(fields.values())


def _constructor_of(record: type, fields: Sequence[_FieldOfConstructor], *, is_frozen: bool) -> Any:
    """The compiled constructor of a class."""
    names: dict[str, Any] = {"NOTHING": NOTHING, "bind": object.__setattr__.__get__}
    arguments = [_argument(member, names) for member in fields if member.init and not member.kw_only]
    named_arguments = [_argument(member, names) for member in fields if member.init and member.kw_only]
    separator = ["*"] if named_arguments else []
    lines = [f"def __init__({', '.join(['self', *arguments, *separator, *named_arguments])}):"]
    lines += ["    set_member = bind(self)"] if is_frozen and fields else []
    for member in fields:
        if not member.init and member.default is NOTHING:
            continue
        value = _value(member, names)
        lines.append(
            f"    set_member({member.name!r}, {value})" if is_frozen else f"    self.{member.name} = {value}"
        )
    lines.append("    self.__attrs_post_init__()" if hasattr(record, "__attrs_post_init__") else "    return")
    source = "\n".join(lines)
    exec(compile(source, f"<constructor of {record.__qualname__}>", "exec"), names)  # noqa: S102  # made of names only
    constructor = names["__init__"]
    constructor.__qualname__ = f"{record.__qualname__}.__init__"
    constructor.__module__ = record.__module__
    return constructor


def _argument(member: _FieldOfConstructor, names: dict[str, Any]) -> str:
    if member.default is NOTHING:
        return member.alias
    if isinstance(member.default, FactoryOfRecord):
        return f"{member.alias}=NOTHING"
    names[f"default_of_{member.name}"] = member.default
    return f"{member.alias}=default_of_{member.name}"


def _value(member: _FieldOfConstructor, names: dict[str, Any]) -> str:
    """The source of the value that a constructor gives a field."""
    if not isinstance(member.default, FactoryOfRecord):
        if not member.init:
            names[f"default_of_{member.name}"] = member.default
        return member.alias if member.init else f"default_of_{member.name}"
    names[f"make_{member.name}"] = member.default.factory
    made_value = f"make_{member.name}({'self' if member.default.takes_self else ''})"
    return f"{made_value} if {member.alias} is NOTHING else {member.alias}" if member.init else made_value


def _refuse_change(self: object, name: str, *_: object) -> NoReturn:
    """The ``__setattr__`` and the ``__delattr__`` of a frozen class."""
    raise attrs.exceptions.FrozenInstanceError


def _for_attrs(value: Any) -> Any:
    """A default or a field as attrs knows it."""
    if isinstance(value, FactoryOfRecord):
        factory_class: Any = attrs.Factory
        return factory_class(value.factory, value.takes_self)
    if isinstance(value, FieldOfRecord):
        return attrs.field(**{name: _for_attrs(option) for name, option in value.options.items()})
    return value


def _decorated(cls: type | None, generate: str, options: dict[str, Any]) -> Any:
    if cls is None:
        return lambda decorated_class: _slotted(decorated_class, generate, options)
    return _slotted(cls, generate, options)


def _slotted(cls: type, generate: str, options: dict[str, Any]) -> type:
    """A class like `cls`, with slots for its attributes, and with methods that make the real ones."""
    builder = _Builder(cls, generate, options)
    members = dict(vars(cls))
    for name in (*_OF_CLASSES, *builder.names):
        members.pop(name, None)
    inherited_slots = {name for base in cls.__mro__[1:] for name in getattr(base, "__slots__", ())}
    slots = [name for name in builder.names if name not in inherited_slots]
    if not any("__weakref__" in vars(base) for base in cls.__mro__[1:]):
        slots.append("__weakref__")
    late_members: dict[str, object] = {
        "__attrs_attrs__": LateFields(partial(builder.build, "__attrs_attrs__")),
        "__signature__": LateSignature(builder),
        _BUILDER: builder,
        **_late_methods(builder, has_equality=options.get("eq", True) and "__eq__" not in members),
    }
    late_members.update(members, __slots__=tuple(slots), __qualname__=cls.__qualname__)
    record = builder.record = type(cls)(cls.__name__, cls.__bases__, late_members)
    _replace_in_closures(members.values(), cls, record)
    return record


class _Builder:
    """Makes the methods of a record.

    Args:
        cls: the class that was decorated.
        generate: the function of attrs for it.
        options: the arguments of that function.

    Attributes:
        names: the names of its own fields.
        record: the class that replaces it.
    """

    record: Any

    def __init__(self, cls: type, generate: str, options: dict[str, Any]) -> None:
        self._cls = cls
        self.generate = generate
        self.options = options
        self.names: list[str] = [
            name for name, kind in cls.__annotations__.items() if "ClassVar" not in str(kind)
        ]

    @cached_property
    def fields(self) -> tuple[_FieldOfConstructor, ...] | None:
        """The fields of the constructor, those of its bases too; None if attrs has to generate it."""
        return _fields_of(self._cls, self.names, vars(self._cls), self.options)

    def build(self, name: str) -> Any:
        """Makes the constructor, or has attrs generate all methods. Returns the class.

        Threads that do it at the same time give the class equal methods.

        Args:
            name: the method that is called.
        """
        record = self.record
        if name == "__init__" and self.fields is not None:
            is_frozen = self.generate == "frozen"
            if is_frozen:
                record.__setattr__ = record.__delattr__ = _refuse_change
            record.__init__ = _constructor_of(record, self.fields, is_frozen=is_frozen)
            return record
        limits = _FOR_CONSTRUCTOR if name in ("__init__", "__attrs_init__") else {}
        uncopied = {*vars(self._cls), *_OF_CLASSES, *self.names, "__slots__", "__annotations__", "__doc__"}
        for generated_name, member in vars(self._generated(limits)).items():
            if generated_name not in uncopied:
                setattr(record, generated_name, member)
        return record

    def _generated(self, limits: Mapping[str, object]) -> type:
        """The class as attrs makes it, with further options that say what attrs need not make."""
        cls = self._cls
        members = {name: _for_attrs(member) for name, member in vars(cls).items() if name not in _OF_CLASSES}
        template = type(cls)(cls.__name__, cls.__bases__, members)
        generated_class: type = getattr(attrs, self.generate)(template, **{**self.options, **limits})
        return generated_class

    def signature(self) -> Any:
        """The signature of the constructor, with its annotations."""
        # Imported here: few programs ask for a signature, and the module is large.
        import inspect

        return inspect.signature(self._generated(_FOR_CONSTRUCTOR))


def _late_methods(builder: _Builder, *, has_equality: bool) -> dict[str, object]:
    """Methods that have the real ones made."""
    options = builder.options
    methods: dict[str, object] = {
        name: _building_method(name, builder.build)
        for name in (
            "__init__" if options.get("init", True) else "__attrs_init__",
            "__getstate__",
            "__setstate__",  # it is called without a constructor
            *(("__repr__",) if options.get("repr", True) else ()),
            *(("__eq__", "__hash__") if has_equality else ()),
        )
    }
    if builder.generate == "define" and has_equality:
        methods["__hash__"] = None
    return methods


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
