"""The pages: a Flask application that runs each request in its own batch context."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from flask import Flask, abort, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from dynamo_bao import ValidationError, current_session
from dynamo_bao.flask import Bao
from examples.package_explorer.dashboard import (
    build_dashboard,
    build_found,
    build_index,
    build_person_page,
    person_with,
)
from examples.package_explorer.measuring import Cost, compare, time_marks
from examples.package_explorer.metadata import normalised

T = TypeVar("T")


def create_app(extension: Callable[[Flask], object] = Bao, *, has_costs: bool = False) -> Flask:
    """The explorer's application.

    Args:
        extension: gives each request its batch context. A function without effect, such as `contextlib.nullcontext`,
            shows the pages without one.
        has_costs: whether each page shows what it costs, beside what the same code costs in other ways. For that it
            is made in these ways too.
    """
    app = Flask(__name__)
    app.config["HAS_COSTS"] = has_costs
    extension(app)
    app.context_processor(figures)
    app.template_filter("filesize")(filesize)
    app.template_filter("conditions")(conditions)
    app.template_filter("duration")(duration)
    app.get("/")(index)
    app.get("/search")(search)
    app.get("/packages/<package_id>")(package_page)
    app.get("/packages/<package_id>/trace")(trace_page)
    app.get("/people/<person_id>")(person_page)
    app.register_error_handler(404, not_found)
    return app


def figures() -> dict[str, Any]:
    """The figures of the current page, for its footer."""
    session = current_session()
    return {"stats": session.stats if session is not None else None}


def index() -> str:
    """All installed packages."""
    return render_template("index.html", lines=build_index(), asked="", costs=_costs(build_index))


def search() -> str | Response:
    """The packages with some words. For an e-mail address, the page of its owner."""
    text = request.args.get("q", "").strip()
    person = person_with(text) if "@" in text else None
    if person is not None:
        return redirect(url_for("person_page", person_id=person.person_id))
    return render_template("index.html", lines=build_found(text), asked=text)


def package_page(package_id: str) -> str | Response:
    """The dashboard of one package. Other spellings of its name redirect to it."""
    if package_id != normalised(package_id):
        return redirect(url_for("package_page", package_id=normalised(package_id)))
    dashboard = _existing(build_dashboard, package_id)
    costs = _costs(partial(build_dashboard, package_id))
    return render_template("package.html", page=dashboard, package=dashboard.package, costs=costs)


def trace_page(package_id: str) -> str:
    """The requests of a package's dashboard, round by round, with the lines that caused them."""
    _existing(build_dashboard, package_id)
    session = current_session()
    if session is None:
        abort(404)
    return session.trace().html(back=url_for("package_page", package_id=package_id))


def person_page(person_id: str) -> str:
    """One person, and the packages that name them."""
    page = _existing(build_person_page, person_id)
    costs = _costs(partial(build_person_page, person_id))
    return render_template("person.html", page=page, person=page.person, costs=costs)


def _existing(build: Callable[[str], T | None], key: str) -> T:
    """The result of `build` for a key. If it is None, or the key is not valid, the answer is 404."""
    try:
        page = build(key)
    except ValidationError:
        page = None
    return page if page is not None else abort(404)


def _costs(build: Callable[[], object]) -> dict[str, Any] | None:
    """What the page costs in each way, and the time axis of all; None if the application does not show it."""
    session = current_session()
    if session is None or not current_app.config["HAS_COSTS"]:
        return None
    ways: list[Cost] = compare(build, session.trace())
    seconds = max(cost.seconds for cost in ways) or 1e-6
    return {"ways": ways, "seconds": seconds, "marks": time_marks(seconds)}


def not_found(error: Exception) -> tuple[str, int]:
    """The page for a missing item."""
    return render_template("not_found.html"), 404


def filesize(size: int) -> str:
    """A size in words.

    >>> filesize(532), filesize(15_400), filesize(2_000_000)
    ('532 B', '15 kB', '2.0 MB')
    """
    amount, units = float(size), iter(("B", "kB", "MB", "GB"))
    unit = next(units)
    while amount >= 999.5 and unit != "GB":
        amount, unit = amount / 1000, next(units)
    return f"{amount:.1f} {unit}" if unit in ("MB", "GB") and amount < 100 else f"{amount:.0f} {unit}"


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(0.0), duration(0.0042), duration(0.25), duration(1.5)
    ('0', '4.2 ms', '250 ms', '1.5 s')
    """
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.{0 if seconds >= 0.01 else 1}f} ms" if seconds else "0"


def conditions(clauses: tuple[dict[str, Any], ...]) -> list[str]:
    """The clauses of a requirement as short texts, without repetition.

    >>> conditions(({"specifier": ">=1", "extras": ["x"], "marker": 'os_name == "nt"'},))
    ['[x] >=1 if os_name == "nt"']
    """
    return list(dict.fromkeys(filter(None, map(_condition, clauses))))


def _condition(clause: dict[str, Any]) -> str:
    extras = f"[{', '.join(clause['extras'])}]" if clause["extras"] else ""
    marker = f"if {clause['marker']}" if clause["marker"] else ""
    return " ".join(filter(None, (extras, clause["specifier"], marker)))
