"""`NamedTuple` of the library makes the classes that `typing.NamedTuple` makes."""

from __future__ import annotations

import copy
import pickle
import typing

import pytest

from dynamo_bao.runtime import named_tuples


class Place(named_tuples.NamedTuple):
    """A place."""

    x: int
    names: list[str] | None = None

    @property
    def doubled(self) -> int:
        """Twice x."""
        return 2 * self.x

    @classmethod
    def origin(cls) -> Place:
        return cls(0)


class Below(Place):
    """A subclass with a method of its own."""

    __slots__ = ()

    def tripled(self) -> int:
        return 3 * self.x


def test_a_named_tuple_has_fields_defaults_and_methods() -> None:
    kind: typing.Any = Place
    place = kind(1, names=["here"])

    assert place == (1, ["here"])
    assert (place.x, place.names, place.doubled, kind.origin()) == (1, ["here"], 2, (0, None))
    assert place._replace(x=3)._asdict() == {"x": 3, "names": ["here"]}
    assert repr(place) == f"{kind.__name__}(x=1, names=['here'])"
    assert (kind._fields, kind._field_defaults) == (("x", "names"), {"names": None})
    assert (kind.__doc__, kind.__module__, kind.__bases__) == ("A place.", __name__, (tuple,))
    assert typing.get_type_hints(kind) == {"x": int, "names": list[str] | None}
    with pytest.raises(AttributeError):
        place.x = 2
    with pytest.raises(TypeError):
        kind()


def test_a_named_tuple_can_be_copied_pickled_and_matched() -> None:
    kind: typing.Any = Place
    place = kind(1)

    assert type(pickle.loads(pickle.dumps(place))) is kind
    assert copy.deepcopy(place) == place
    match place:
        case kind(x=1, names=None):
            pass
        case _:
            pytest.fail("the pattern does not match")


def test_a_named_tuple_has_subclasses() -> None:
    assert Below(2).tripled() == 6
    assert isinstance(Below(2), Place)
