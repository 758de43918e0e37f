"""Instances in the JSON of a Flask application: for `jsonify`, and for views that return dicts and lists."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import IO, Any, TypeVar

from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider, JSONProvider

from dynamo_bao.web.json_forms import is_answer, json_form, json_or_else, with_forms

R = TypeVar("R")


class _AnswersJSON(JSONProvider):
    """Added to the class of an application's JSON provider, which still does everything else."""


class _DefaultAnswers(_AnswersJSON):
    """For providers of the `json` module: instances are converted where it calls ``default``."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """The JSON text of a value."""
        own_default = kwargs.pop("default", None) or getattr(self, "default")  # noqa: B009  # of DefaultJSONProvider
        return super().dumps(obj, default=partial(_converted, own_default), **kwargs)


class _ConvertedAnswers(_AnswersJSON):
    """For providers of other libraries: instances in dicts and lists are converted before.

    If the provider then refuses the answer, the values that it refuses are converted too.
    """

    def dumps(self, obj: object, **kwargs: object) -> str:
        """The JSON text of a value."""
        own_dumps = super().dumps
        return self._written(lambda forms: own_dumps(forms(obj), **kwargs))

    def dump(self, obj: object, fp: IO[str], **kwargs: object) -> None:
        """Writes the JSON text of a value to a file."""
        super().dump(with_forms(obj), fp, **kwargs)

    def response(self, *args: object, **kwargs: object) -> Response:
        """The response of `flask.jsonify`."""
        own_response: Callable[..., Any] = super().response
        response: Response = self._written(lambda forms: own_response(*map(forms, args), **forms(kwargs)))
        return response

    def _written(self, write: Callable[[Callable[[Any], Any]], R]) -> R:
        try:
            return write(with_forms)
        except TypeError:
            return write(partial(with_forms, is_refused=self._is_refused))

    def _is_refused(self, value: object) -> bool:
        if value is None or type(value) in (str, int, float, bool):
            return False
        try:
            super().dumps(value)
        except TypeError:
            return True
        return False


def _converted(own_default: Callable[[Any], object], value: object) -> object:
    return json_form(value) if is_answer(value) else json_or_else(own_default, value)


def serve_instances(app: Flask) -> None:
    """Makes the JSON provider of an application take instances. A second call does nothing.

    The provider stays the same object with the same settings. Only its class gets a subclass.
    """
    kind = type(app.json)
    if issubclass(kind, _AnswersJSON):
        return
    way = _DefaultAnswers if kind.dumps is DefaultJSONProvider.dumps else _ConvertedAnswers
    app.json.__class__ = type(kind.__name__, (way, kind), {"__module__": kind.__module__})
