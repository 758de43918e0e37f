"""Hooks around writes: methods of the model, and plugins registered for it.

A model may define ``before_save(self)``, ``after_save(self)``, ``before_delete(self)`` and
``after_delete(self)``. A plugin is an object with any of ``before_save(data, options)``, which may change
`data`, ``after_save(instance, options)``, ``before_delete(primary_id, options)`` and
``after_delete(primary_id, options)``, and with ``methods``, a mapping of names to functions that become
methods of the model.

What comes before a write may stop it by raising; what comes after one never hides that it happened.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dynamo_bao._foreign_errors import is_from_signal
from dynamo_bao._log_fields import log_fields
from dynamo_bao.errors import ConfigurationError

log = logging.getLogger("dynamo_bao.hooks")

HOOKS = ("before_save", "after_save", "before_delete", "after_delete")


def register_plugin(model: Any, plugin: Any) -> None:
    """Adds a plugin to a model; it is called after those registered before.

    Raises:
        ConfigurationError: for an object without any hook or methods, or a method the model has already.
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
    model.__bao_plugins__ = (*plugins_of(model), plugin)


def plugins_of(model: Any) -> tuple[Any, ...]:
    """The plugins of a model and its bases, those of bases first."""
    found: tuple[Any, ...] = getattr(model, "__bao_plugins__", ())
    return found


def has_hooks(model: Any) -> bool:
    """Whether anything is called around the writes of a model."""
    for hook in HOOKS:
        if hasattr(model, hook):
            return True
    return bool(plugins_of(model))


def _part(plugin: Any, name: str) -> Any:
    return plugin.get(name) if isinstance(plugin, Mapping) else getattr(plugin, name, None)


def run(model: Any, hook: str, subject: Any, options: dict[str, Any], instance: Any = None) -> None:
    """Calls a hook of the model (where there is an instance) and then of its plugins, in order.

    Args:
        subject: what plugins get first: the data to save, the instance saved, or the id deleted.
        options: what they get then.
    """
    own = getattr(model, hook, None)
    if own is not None and instance is not None:
        own(instance)
    for plugin in plugins_of(model):
        call = _part(plugin, hook)
        if call is not None:
            call(subject, options)


def run_afterwards(calls: Iterable[Callable[[], object]]) -> Exception | None:
    """Makes all of the calls that come after writes; the first error of them, where there is one.

    What was written stays so, and the hooks of one item do not keep those of the next from running.
    """
    first: Exception | None = None
    for call in calls:
        try:
            call()
        except Exception as error:
            if is_from_signal(error):
                raise
            first = first or error
            text = "what came after a write failed; it is written all the same"
            log.exception(text, extra=log_fields("hook", keys=1))
    return first
