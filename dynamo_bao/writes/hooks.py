"""Hooks around writes: methods of the model, and plugins registered for it.

A model may define ``before_save(self)``, ``after_save(self)``, ``before_delete(self)`` and
``after_delete(self)``. A plugin is an object with any of ``before_save(data, options)``, which may change
`data`, ``after_save(instance, options)``, ``before_delete(primary_id, options)`` and
``after_delete(primary_id, options)``, and with ``methods``, a mapping of names to functions that become
methods of the model.

An exception of a hook before a write prevents the write. A hook after a write cannot undo it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dynamo_bao.errors import ConfigurationError
from dynamo_bao.runtime.foreign_errors import is_from_signal
from dynamo_bao.runtime.late_libraries import logging
from dynamo_bao.runtime.logs import late_logger, log_fields
from dynamo_bao.session.state import Instance, allocate_instance

log: logging.Logger = late_logger("dynamo_bao.hooks")

HOOKS = ("before_save", "after_save", "before_delete", "after_delete")


def register_plugin(model: Any, plugin: Any) -> None:
    """Adds a plugin to a model. It is called after the plugins that were registered before it.

    Raises:
        ConfigurationError: if the plugin has no hooks and no methods, or if a method would replace one of the model.
    """
    methods: Mapping[str, Callable[..., Any]] = _part(plugin, "methods") or {}
    if not methods and not any(_part(plugin, hook) for hook in HOOKS):
        raise ConfigurationError(
            f"{model.__name__}: a plugin has some of {', '.join(HOOKS)}, or methods; {plugin!r} has none.",
            model=model.__name__,
        )
    for name in methods:
        if hasattr(model, name):
            raise ConfigurationError(
                f"{model.__name__}: a plugin's method {name!r} would replace the model's own; rename it.",
                model=model.__name__,
            )
    for name, method in methods.items():
        setattr(model, name, method)
    model.__bao_plugins__ = (*vars(model).get("__bao_plugins__", ()), plugin)


def plugins_of(model: type[Instance]) -> tuple[object, ...]:
    """The plugins of a model and its bases, those of bases first."""
    return tuple(
        plugin for base in reversed(model.__mro__) for plugin in vars(base).get("__bao_plugins__", ())
    )


def probe_of(model: type[Instance]) -> object:
    """What to ask `has_hooks` about a model at every write: an instance without values.

    Python takes seven times as long to miss an attribute of a class. It is the class all the same if the model answers
    for missing attributes of instances.
    """
    return model if hasattr(model, "__getattr__") else allocate_instance(model)


def has_hooks(probe: Any) -> bool:
    """Whether a model has hooks or plugins.

    Args:
        probe: the model, or its `probe_of`.
    """
    return (
        hasattr(probe, "before_save")
        or hasattr(probe, "after_save")
        or hasattr(probe, "before_delete")
        or hasattr(probe, "after_delete")
        or bool(probe.__bao_plugins__)
    )


def _part(plugin: object, name: str) -> Any:
    return plugin.get(name) if isinstance(plugin, Mapping) else getattr(plugin, name, None)


def run(
    model: type[Instance],
    hook: str,
    subject: Any,
    options: Mapping[str, object],
    instance: Instance | None = None,
) -> None:
    """Calls a hook of the model, if there is an instance, and then of its plugins in order.

    Args:
        subject: the first argument of plugins: the data to save, the saved instance, or the deleted id.
        options: their second argument.
    """
    method = getattr(model, hook, None)
    if method is not None and instance is not None:
        method(instance)
    for plugin in plugins_of(model):
        call = _part(plugin, hook)
        if call is not None:
            call(subject, options)


def run_afterwards(calls: Iterable[Callable[[], object]]) -> Exception | None:
    """Makes all calls that follow writes, also if some of them fail.

    Returns:
        The first error, or None.
    """
    first: Exception | None = None
    for call in calls:
        try:
            call()
        except Exception as error:
            if is_from_signal(error):
                raise
            first = first or error
            text = "an after_save or after_delete hook failed; the write itself succeeded"
            log.exception(text, extra=log_fields("hook", keys=1))
    return first
