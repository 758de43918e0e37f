"""The lazy class of instances that are not loaded, and the errors of their fields.

An instance without its item is of a subclass of its model, the lazy class. The first access to a field loads the
item, and sets the instance's ``__class__`` to the model itself. From then on, reading a field is a plain attribute
read. An instance stays of the lazy class if a field cannot read its stored value; access to this field raises.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import new_class

from dynamo_bao.errors import BatchIncompleteError, DataFormatError, ItemNotFoundError, cause_of
from dynamo_bao.mapping.codec import STATE
from dynamo_bao.session.error_subjects import about
from dynamo_bao.session.state import Instance, State, Status, instance_dict, state_of


def require_present(state: State) -> None:
    """Raises if the item of an instance is missing or deleted, or if its lookup failed."""
    if state.status in (Status.MISSING, Status.DELETED):
        raise not_found(state)
    if state.status is Status.FAILED:
        raise _failure(state)


def not_stored_yet(model: str) -> ItemNotFoundError:
    """The error for an operation on a new object that needs a stored one."""
    return ItemNotFoundError(f"{model}: a new instance has nothing stored yet; save() it first.", model=model)


def not_found(state: State) -> ItemNotFoundError:
    """The error for an item that is not stored."""
    assert state.mapper is not None
    model = state.mapper.schema.name
    reason = "was deleted" if state.status is Status.DELETED else "is not stored"
    return ItemNotFoundError(
        f"{model} {state.primary_id!r} {reason}. Ask exists(), or use find_or_none().",
        model=model,
        key=state.primary_id,
    )


def _failure(state: State) -> Exception:
    """A new exception like the error of the lookup, which becomes its cause."""
    cause = state.error
    assert cause is not None and state.mapper is not None
    model = state.mapper.schema.name
    if isinstance(cause, BatchIncompleteError):
        error: Exception = BatchIncompleteError(
            f"{model} {state.primary_id!r}: DynamoDB left the key unprocessed, also in retries, so the item may exist "
            f"or not. refresh() reads it again; a longer deadline= or more capacity helps.",
            [(model, state.primary_id or "")],
        )
    else:
        error = about(cause, f"{model} {state.primary_id!r}", model, state.primary_id)
        error = _copy_of(cause) if error is cause else error
    error.__cause__ = cause_of(cause)
    return error


def _copy_of(cause: Exception) -> Exception:
    """Another exception of the same class, text and attributes."""
    copy = cause.__class__.__new__(cause.__class__)
    copy.args = cause.args
    copy.__dict__.update(cause.__dict__)
    return copy


def unreadable_field(state: State, name: str) -> DataFormatError:
    """The error for access to a field that cannot read its stored value."""
    assert state.mapper is not None and state.bad is not None
    return state.mapper.schema.unreadable(state.primary_id, name, state.bad[name])


def require_readable(instance: Instance, names: Iterable[str] | None = None) -> None:
    """Raises `DataFormatError` if a field cannot read its stored value, and has no new value.

    Args:
        names: the fields to check; None for all.
    """
    state = state_of(instance)
    if state.bad is not None:
        values = instance_dict(instance)
        for name in state.bad:
            if name not in values and (names is None or name in names):
                raise unreadable_field(state, name)


class _WithoutHook(Instance):
    """The first base of lazy classes. With it, their creation calls no ``__init_subclass__`` of a program, which may
    register models and take arguments."""

    def __init_subclass__(cls) -> None:
        """Calls that of no other base."""


def make_lazy_class(model: type[Instance], lazy_names: frozenset[str]) -> type[Instance]:
    """The class that instances of `model` have while they are pending, missing, failed or deleted."""
    base_getattribute, base_setattr = model.__getattribute__, model.__setattr__

    def __getattribute__(self: Instance, name: str) -> object:
        if name in lazy_names:
            values = object.__getattribute__(self, "__dict__")
            if name not in values:
                state: State = values[STATE]
                if state.bad is not None and name in state.bad:
                    raise unreadable_field(state, name)
                state.mapper._load_instance(self)  # type: ignore[union-attr]  # such an instance has one
                return getattr(self, name)
        return base_getattribute(self, name)

    def __setattr__(self: Instance, name: str, value: object) -> None:
        if name not in lazy_names:
            base_setattr(self, name, value)
            return
        state = state_of(self)
        require_present(state)
        base_setattr(self, name, value)
        if state.status is not Status.LOADED:
            state.assigned = {*(state.assigned or ()), name}

    body = {
        "__getattribute__": __getattribute__,
        "__setattr__": __setattr__,
        "__module__": model.__module__,
        "__qualname__": model.__qualname__,
        "__doc__": model.__doc__,
    }
    lazy_class: type[Instance] = new_class(
        model.__name__, (_WithoutHook, model), {}, lambda namespace: namespace.update(body)
    )
    return lazy_class
