"""Records are attrs classes, also while attrs has not made their methods yet."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, ClassVar

import attrs
import pytest

from dynamo_bao.runtime.records import Factory, define, evolve, field, frozen


def record_classes() -> tuple[Any, Any, Any]:
    """New classes, whose methods are not made yet."""

    @frozen
    class Point:
        """A place."""

        x: int
        y: int = 0
        names: list[str] = attrs.field(factory=list, repr=False, eq=False)
        units: ClassVar[str] = "m"

        @property
        def sum(self) -> int:
            return self.x + self.y

    @frozen
    class Mark(Point):
        label: str = attrs.field(default="", kw_only=True)

        @property
        def sum(self) -> int:
            return super().sum + 1

    @define(eq=False)
    class Counter:
        count: int
        _step: int = 1

        def __repr__(self) -> str:
            return f"<{self.count}>"

    return Point, Mark, Counter


@frozen
class Stored:
    """A record that a pickle can name."""

    code: str
    size: int = 1


def test_a_record_has_the_methods_of_an_attrs_class() -> None:
    point_class, mark_class, counter_class = record_classes()
    point = point_class(1)
    assert point == point_class(1, 0) and hash(point) == hash(point_class(1)) and point != point_class(2)
    assert repr(point).endswith("Point(x=1, y=0)") and point.names == [] and point_class.units == "m"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        point.x = 2
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        point_class()
    assert attrs.evolve(point, y=5) == point_class(1, 5) and attrs.asdict(point)["y"] == 0
    mark = mark_class(1, 2, label="here")
    assert (mark.sum, mark.label, mark == point_class(1, 2)) == (4, "here", False)
    counter = counter_class(1, step=2)
    counter.count += counter._step
    assert (repr(counter), counter == counter_class(3, 2), {counter}) == ("<3>", False, {counter})
    assert point_class.__doc__ == "A place." and not hasattr(point, "__dict__")


def classes_of(decorator: Any, field_: Any, factory: Any) -> tuple[type[Any], type[Any]]:
    """A class and its subclass with fields of all kinds, by this module or by attrs."""

    @decorator
    class Shelf:
        number: int
        _place: str = "left"
        books: list[str] = factory(list)
        size: int = field_(default=factory(lambda self: self.number * 2, takes_self=True))
        hidden: str = field_(default="h", init=False, repr=False)
        later: int = field_(init=False)
        owner: str | None = field_(default=None, alias="keeper")
        mark: str = field_(kw_only=True)

        def __attrs_post_init__(self) -> None:
            self.books.append("first")

    @decorator
    class Case(Shelf):
        size: int = 9
        colour: str = field_(factory=lambda: "red")

    return Shelf, Case


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((1,), {"mark": "m"}),
    ((1, "right", ["b"], 7, "ada"), {"mark": "m"}),
    ((1,), {"place": "up", "keeper": "bob", "mark": "m"}),
    ((1, "right", ["b"], "ada", 7), {"mark": "m", "size": 3}),
    ((), {"mark": "m"}),
    ((1,), {}),
    ((1,), {"mark": "m", "hidden": "x"}),
]


@pytest.mark.parametrize(("args", "kwargs"), CALLS)
@pytest.mark.parametrize("number", [0, 1], ids=["a class", "a subclass"])
@pytest.mark.parametrize("name", ["define", "frozen"])
def test_a_constructor_does_what_that_of_attrs_does(
    name: str, number: int, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    def outcome(cls: Any) -> object:
        try:
            instance = cls(*args, **{key: copy.copy(value) for key, value in kwargs.items()})
        except TypeError as error:
            return str(error).replace("classes_of.<locals>.", "")
        names = ("number", "_place", "books", "size", "hidden", "owner", "mark", "colour")
        return {name: getattr(instance, name) for name in names if hasattr(instance, name)}

    ours = classes_of({"define": define, "frozen": frozen}[name], field, Factory)[number]
    theirs = classes_of({"define": attrs.define, "frozen": attrs.frozen}[name], attrs.field, attrs.Factory)[
        number
    ]
    assert outcome(ours) == outcome(theirs)


@pytest.mark.parametrize("is_made", [False, True], ids=["before the constructor", "after it"])
def test_the_signature_is_that_of_attrs(is_made: bool) -> None:
    """`help` shows it, whether the program has made an instance or not."""
    ours, theirs = classes_of(define, field, Factory), classes_of(attrs.define, attrs.field, attrs.Factory)
    for our_class, their_class in zip(ours, theirs, strict=True):
        if is_made:
            our_class(1, mark="m")
        assert inspect.signature(our_class) == inspect.signature(their_class)

    class WithOwnConstructor(ours[0]):  # type: ignore[name-defined, misc]
        def __init__(self, shelf: int) -> None:
            super().__init__(shelf, mark="m")

    assert list(inspect.signature(WithOwnConstructor).parameters) == ["shelf"]
    assert not hasattr(WithOwnConstructor(1), "__signature__")


def test_a_copy_with_changes_is_that_of_attrs() -> None:
    shelf_class, _ = classes_of(frozen, field, Factory)
    shelf = shelf_class(1, mark="m")
    changed = evolve(shelf, place="up", mark="n")
    assert (changed.number, changed._place, changed.mark, changed.books) == (1, "up", "n", ["first", "first"])
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        changed.number = 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del changed.number


def test_attrs_knows_the_fields_of_a_class_without_records() -> None:
    _, mark_class, _ = record_classes()
    assert attrs.has(mark_class)
    _, mark_class, _ = record_classes()
    assert [field.name for field in attrs.fields(mark_class)] == ["x", "y", "names", "label"]


@pytest.mark.parametrize("first_call", [repr, hash, copy.copy, lambda point: point == 1])
def test_every_method_works_as_the_first_one_that_is_called(first_call: Any) -> None:
    point_class, _, _ = record_classes()
    point = object.__new__(point_class)
    for name, value in (("x", 1), ("y", 2), ("names", [])):
        object.__setattr__(point, name, value)
    first_call(point)
    assert repr(point).endswith("Point(x=1, y=2)") and copy.copy(point) == point
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        point.x = 3


def test_a_pickle_is_read_by_a_process_that_has_made_no_such_record() -> None:
    pickled = pickle.dumps(Stored("a", 2))
    vars(sys.modules[__name__])["Stored"] = fresh_class = frozen(
        type("Stored", (), {"__annotations__": {"code": "str", "size": "int"}, "__module__": __name__})
    )
    copied: Any = pickle.loads(pickled)
    assert type(copied) is fresh_class and (copied.code, copied.size) == ("a", 2)


def test_threads_that_make_the_first_records_at_the_same_time_get_whole_ones() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(5):
                _, mark_class, _ = record_classes()
                barrier = Barrier(4)

                def make(number: int, barrier: Barrier = barrier, cls: Any = mark_class) -> Any:
                    barrier.wait()
                    return cls(number, label="x")

                marks = list(pool.map(make, range(4)))
                assert marks == [mark_class(number, label="x") for number in range(4)]
                assert [repr(mark) for mark in marks] == [repr(mark_class(n, label="x")) for n in range(4)]
    finally:
        sys.setswitchinterval(interval)
