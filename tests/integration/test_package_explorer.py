"""The package explorer on a small hand-made environment: reader, loading, dashboards and pages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dynamo_bao import (
    AllowDirect,
    BatchContextRequiredError,
    Manager,
    Policy,
    RequireContext,
    init_models,
    run_with_batch_context,
)
from examples.package_explorer import __main__ as command_line, demo
from examples.package_explorer.dashboard import (
    MAX_FILES,
    MAX_ROUND_TRIPS,
    build_dashboard,
    build_person_page,
)
from examples.package_explorer.loading import count_rows, load, load_with_progress
from examples.package_explorer.measuring import Wire, main_part, visit_all
from examples.package_explorer.metadata import (
    Clause,
    Distribution,
    InstalledFile,
    parse_clause,
    read_distributions,
)
from examples.package_explorer.models import MODELS, Credit, Person
from examples.package_explorer.people import Contact, read_contacts
from examples.package_explorer.web import create_app, filesize

HOSTILE = "<script>alert(1)</script>"

HEADERS = {
    "Alpha.App": """
Version: 1.0
Summary: The first
License-Expression: MIT
Author-email: Ada Lovelace <Ada@example.com>, Bob <bob@example.com>
Maintainer: Cy
Project-URL: Source Code, https://example.com/alpha
Requires-Dist: beta>=1
Requires-Dist: gamma[fast] (>=2) ; extra == "speed"
Requires-Dist: gamma; python_version < "3"
Requires-Dist: Not_There>=2; extra == 'speed'
""",
    "beta": """
Version: 2.0
Author: Ada Lovelace
Author-email: ada@example.com
Classifier: License :: OSI Approved :: BSD License
Requires-Dist: gamma
""",
    "gamma": """
Version: 3.0
Summary: UNKNOWN
Home-page: UNKNOWN
Maintainer: Cy
""",
    "evil": f"""
Version: {HOSTILE}
Summary: {HOSTILE}
License: {HOSTILE}
Home-page: javascript:alert(2)
Author-email: "{HOSTILE}" <evil@example.com>
Requires-Dist: gamma ; platform_machine == "{HOSTILE}"
Requires-Dist: beta @ https://example.com/{HOSTILE}
""",
}

RECORDS = {
    "Alpha.App": 'alpha/a.py,sha256=abc,1200\n"alpha/b,c.py",sha256=def,30\nalpha/RECORD,,\n'
    + "".join(f"alpha/more/{number}.py,,{number}\n" for number in range(100, 120)),
    "gamma": "gamma.py,sha256=123,0\n",
    "evil": f"{HOSTILE}.py,,5\n",
}


@pytest.fixture
def distributions(tmp_path: Path) -> list[Distribution]:
    """The hand-made distributions, through the real reader."""
    for name, headers in HEADERS.items():
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}{headers}")
        if name in RECORDS:
            (folder / "RECORD").write_text(RECORDS[name])
    return read_distributions([str(tmp_path)])


def connected(policy: Policy) -> Manager:
    return init_models(models=MODELS, table_name="explorer", embedded=True, policy=policy)


@pytest.fixture
def loaded(distributions: list[Distribution]) -> Iterator[Manager]:
    """A manager that allows direct use, with everything stored."""
    with connected(AllowDirect()) as manager:
        load(distributions)
        yield manager


def by_id(distributions: list[Distribution]) -> dict[str, Distribution]:
    return {one.package_id: one for one in distributions}


# --- reading ------------------------------------------------------------------------------------------


def test_distributions_are_read_by_normalised_name(distributions: list[Distribution]) -> None:
    assert [one.package_id for one in distributions] == ["alpha-app", "beta", "evil", "gamma"]
    alpha = by_id(distributions)["alpha-app"]
    assert (alpha.name, alpha.version, alpha.licence) == ("Alpha.App", "1.0", "MIT")
    assert alpha.home_page == "https://example.com/alpha"
    assert by_id(distributions)["beta"].licence == "BSD License"


def test_placeholders_and_unsafe_addresses_count_as_nothing(distributions: list[Distribution]) -> None:
    gamma = by_id(distributions)["gamma"]
    assert gamma.summary is None and gamma.home_page is None
    assert by_id(distributions)["evil"].home_page is None


def test_every_row_of_record_is_read(distributions: list[Distribution]) -> None:
    files = by_id(distributions)["alpha-app"].files
    assert len(files) == 23
    assert files[1] == InstalledFile("alpha/b,c.py", 30, "sha256=def")
    assert files[2] == InstalledFile("alpha/RECORD", None, None)


def test_a_distribution_with_record_goes_before_a_build_folder(tmp_path: Path) -> None:
    for folder, name, record in (("a", "X.egg-info", ""), ("b", "X-1.dist-info", "x.py,,1\n")):
        info = tmp_path / folder / name
        info.mkdir(parents=True)
        (info / ("METADATA" if record else "PKG-INFO")).write_text(
            "Metadata-Version: 2.1\nName: x\nVersion: 1\n"
        )
        if record:
            (info / "RECORD").write_text(record)
    (found,) = read_distributions([str(tmp_path / "a"), str(tmp_path / "b")])
    assert len(found.files) == 1


def test_a_distribution_without_name_is_left_out_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x-1.dist-info").mkdir()
    (tmp_path / "x-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nVersion: 1\n")
    assert read_distributions([str(tmp_path)]) == []
    assert "has no Name" in caplog.text


@pytest.mark.parametrize(
    ("line", "clause", "optional"),
    [
        ("six", Clause("six", (), "", ""), False),
        ("Jinja2 (>=2.0,!=2.1)", Clause("jinja2", (), ">=2.0,!=2.1", ""), False),
        ("a.b[x, y]>=1;extra=='t'", Clause("a-b", ("x", "y"), ">=1", "extra=='t'"), True),
        ('z ; sys_platform == "extra"', Clause("z", (), "", 'sys_platform == "extra"'), False),
        (
            "p @ https://e.com/p;v=1 ; 'x' == extra",
            Clause("p", (), "@ https://e.com/p;v=1", "'x' == extra"),
            True,
        ),
        ("q~=1.0", Clause("q", (), "~=1.0", ""), False),
    ],
)
def test_requirements_are_taken_apart(line: str, clause: Clause, optional: bool) -> None:
    assert parse_clause(line) == clause
    assert parse_clause(line).optional is optional


def test_what_names_no_project_is_no_requirement() -> None:
    with pytest.raises(ValueError, match="no requirement"):
        parse_clause(">=1.0")


@pytest.mark.parametrize(
    ("headers", "contacts"),
    [
        ({}, []),
        ({"Author": "A, B, Inc."}, [("A", None, "author"), ("B, Inc.", None, "author")]),
        ({"Author": "A", "Author-email": "a@x.org"}, [("A", "a@x.org", "author")]),
        (
            {"Author-email": '"D, E" <d@x.org>, f@x.org'},
            [("D, E", "d@x.org", "author"), (None, "f@x.org", "author")],
        ),
        (
            {"Author": "A", "Author-email": "a@x.org, b@x.org"},
            [(None, "a@x.org", "author"), (None, "b@x.org", "author"), ("A", None, "author")],
        ),
        ({"Author-email": "A <a@x.org>", "Maintainer": "A"}, [("A", "a@x.org", "author maintainer")]),
        ({"Maintainer-email": "somebody"}, [("somebody", None, "maintainer")]),
    ],
)
def test_people_are_told_apart(
    headers: dict[str, str], contacts: list[tuple[str | None, str | None, str]]
) -> None:
    expected = tuple(Contact(name, email, tuple(roles.split())) for name, email, roles in contacts)
    assert read_contacts(headers.get) == expected


# --- loading and dashboards ------------------------------------------------------------------------------


@pytest.mark.usefixtures("loaded")
def test_dashboards_agree_with_the_metadata(distributions: list[Distribution]) -> None:
    for one in distributions:
        page = build_dashboard(one.package_id)
        assert page is not None
        assert page.package["version_"] == one.version and page.package["file_count"] == len(one.files)
        assert {line.package_id for line in page.requires} == {clause.project for clause in one.clauses}
        assert {line.package_id for line in page.required_by} == {
            other.package_id for other in distributions for c in other.clauses if c.project == one.package_id
        }
        sizes = sorted((file.size for file in one.files if file.size is not None), reverse=True)
        assert [line.size for line in page.files] == sizes[:MAX_FILES]
        assert {(line.email, line.roles) for line in page.people} == {
            (c.email, c.roles) for c in one.contacts
        }


@pytest.mark.usefixtures("loaded")
def test_lines_show_the_other_package_and_its_author() -> None:
    page = build_dashboard("alpha-app")
    assert page is not None
    assert [(line.name, line.version, line.author, line.optional) for line in page.requires] == [
        ("beta", "2.0", "Ada Lovelace", False),
        ("gamma", "3.0", "Cy", False),
        ("not-there", None, None, True),
    ]
    assert len(page.requires[1].clauses) == 2


@pytest.mark.usefixtures("loaded")
def test_one_address_is_one_person() -> None:
    ada = Person.find_by_unique_constraint("unique_email", "ada@example.com")
    assert ada is not None and ada.name == "Ada Lovelace"
    page = build_person_page(ada.person_id)
    assert page is not None
    assert [line.package_id for line in page.packages] == ["alpha-app", "beta"]


@pytest.mark.usefixtures("loaded")
def test_without_an_address_one_name_is_one_person() -> None:
    (cy,) = [credit.person for credit in Credit.credits_for_package.query("gamma")]
    assert Credit.credits_for_person.query(cy).count == 2


def test_the_progress_bar_counts_every_row(distributions: list[Distribution]) -> None:
    out = io.StringIO()
    with connected(RequireContext()):
        load_with_progress(distributions, Console(file=out, width=100))
    total = count_rows(distributions)
    assert f"{total}/{total}" in out.getvalue()


# --- requests --------------------------------------------------------------------------------------------


def test_a_context_changes_the_number_of_requests_and_nothing_else(
    loaded: Manager, distributions: list[Distribution]
) -> None:
    wire = Wire(loaded.client)
    for one in distributions:
        before = wire.requests
        direct = build_dashboard(one.package_id)
        middle = wire.requests
        with run_with_batch_context() as session:
            assert build_dashboard(one.package_id) == direct
        assert wire.requests - middle <= middle - before
        assert session.stats.round_trips <= MAX_ROUND_TRIPS
        assert session.stats.requests == wire.requests - middle


@pytest.mark.usefixtures("loaded")
def test_pages_are_the_same_with_and_without_a_context() -> None:
    direct, batched = create_app(nullcontext).test_client(), create_app().test_client()
    for address in ("/", "/packages/alpha-app", "/packages/evil", "/packages/gamma"):
        one, other = direct.get(address), batched.get(address)
        assert one.status_code == other.status_code == 200
        assert main_part(one.text) == main_part(other.text)
        assert "round trips" in other.text and "without a batch context" in one.text


@pytest.mark.parametrize("max_concurrency", [1, 4])
def test_a_visit_counts_the_rounds_of_its_session(
    distributions: list[Distribution], max_concurrency: int
) -> None:
    """Requests of one round are one wait, whether they overlap or go one after another."""
    with init_models(
        models=MODELS, table_name="rounds", embedded=True, max_concurrency=max_concurrency
    ) as manager:
        load(distributions)
        addresses = ["/", *(f"/packages/{one.package_id}" for one in distributions)]
        tour = visit_all(app := create_app(), addresses, Wire(manager.client))
        for address, visit in zip(addresses, (tour.index, *tour.dashboards), strict=True):
            footer = app.test_client().get(address).text.partition("<footer>")[2]
            assert f"<dt>round trips</dt><dd>{visit.round_trips}</dd>" in footer
            assert visit.requests >= visit.round_trips
        assert max(visit.round_trips for visit in tour.dashboards) <= MAX_ROUND_TRIPS
        assert max(visit.requests for visit in tour.dashboards) > MAX_ROUND_TRIPS


def test_strict_mode_lets_only_wrapped_requests_through(distributions: list[Distribution]) -> None:
    with connected(RequireContext()):
        load(distributions)
        with pytest.raises(BatchContextRequiredError):
            build_dashboard("beta")
        unwrapped = create_app(nullcontext)
        unwrapped.testing = True
        with pytest.raises(BatchContextRequiredError):
            unwrapped.test_client().get("/packages/beta")
        assert create_app().test_client().get("/packages/beta").status_code == 200


# --- pages -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    "address",
    [
        "/packages/not-there",
        f"/packages/{'x' * 3000}",
        "/people/nobody",
        "/people/01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "/elsewhere",
    ],
)
def test_what_is_not_there_is_not_found(address: str) -> None:
    reply = create_app().test_client().get(address)
    assert reply.status_code == 404
    assert "Not found" in reply.text and "round trips" in reply.text


@pytest.mark.usefixtures("loaded")
def test_other_spellings_of_a_name_lead_to_its_page() -> None:
    reply = create_app().test_client().get("/packages/Alpha.App")
    assert reply.status_code == 302 and reply.location == "/packages/alpha-app"


@pytest.mark.usefixtures("loaded")
def test_metadata_cannot_bring_markup_into_the_pages() -> None:
    client = create_app().test_client()
    (credit,) = Credit.credits_for_package.query("evil")
    for address in ("/", "/packages/evil", "/packages/beta", f"/people/{credit.person_id}"):
        text = client.get(address).text
        assert "&lt;script&gt;alert(1)" in text
        assert HOSTILE not in text and "javascript:" not in text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_600, "1.0 MB"),
        (250_000_000, "250 MB"),
        (10**13, "10000 GB"),
    ],
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert filesize(size) == text


# --- command line ----------------------------------------------------------------------------------------


def test_the_demo_compares_both_ways(
    distributions: list[Distribution], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "read_distributions", lambda: distributions)
    assert command_line.main(["demo", "--latency", "0.1"]) == 0
    shown = capsys.readouterr().out
    assert "The same pages" in shown and "4 packages" in shown


def test_ctrl_c_ends_cleanly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "load_with_progress", interrupted)
    assert command_line.main(["serve"]) == command_line.INTERRUPTED
    assert "Interrupted" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["serve", "--help"]])
def test_every_command_has_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(arguments)
    assert ended.value.code == 0
    assert "usage: python -m examples.package_explorer" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["x", "-1", "inf", "nan"])
def test_a_latency_is_a_number_of_milliseconds(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line.main(["demo", f"--latency={text}"])
    assert ended.value.code == 2
    assert "no number of milliseconds" in capsys.readouterr().err


@pytest.mark.usefixtures("loaded")
def test_packages_are_searched_by_their_words() -> None:
    """All words must be there, in the name or the summary; words of nothing show everything."""
    client = create_app().test_client()
    found = {
        words: client.get("/search", query_string={"q": words}).text for words in ("FIRST", "?!", "zebra")
    }
    assert "alpha-app" in found["FIRST"] and "/packages/beta" not in found["FIRST"]
    assert "/packages/beta" in found["?!"] and "/packages/alpha-app" in found["?!"]
    assert "No package matches." in found["zebra"]


@pytest.mark.usefixtures("loaded")
def test_an_address_leads_to_its_person() -> None:
    """A unique value finds its owner; one that nobody has is searched for as words."""
    client = create_app().test_client()
    person = Person.find_by_unique_constraint("unique_email", "ada@example.com")
    assert person is not None
    reply = client.get("/search", query_string={"q": " ADA@example.com "})
    assert reply.status_code == 302 and reply.location == f"/people/{person.person_id}"
    assert client.get("/search", query_string={"q": "nobody@example.com"}).status_code == 200


@pytest.mark.usefixtures("loaded")
def test_the_trace_page_shows_the_rounds() -> None:
    """It tells each round of a dashboard with the line that caused it; without a context there is none."""
    text = create_app().test_client().get("/packages/alpha-app/trace").text
    assert "dashboard.py:" in text and "Query" in text and "BatchGetItem" in text
    assert create_app(nullcontext).test_client().get("/packages/alpha-app/trace").status_code == 404
