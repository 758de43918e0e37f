"""The package explorer on a small hand-made environment: reader, loading, dashboards and pages."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
)
from dynamo_bao.testing import RoundWatch
from examples.package_explorer import __main__ as command_line, demo
from examples.package_explorer.dashboard import (
    MAX_FILES,
    MAX_ROUND_TRIPS,
    build_dashboard,
    build_person_page,
)
from examples.package_explorer.loading import count_rows, load, load_with_progress
from examples.package_explorer.measuring import (
    NAIVE,
    NOW,
    ONE,
    WAYS,
    Way,
    delayed,
    main_part,
    time_marks,
    visit,
)
from examples.package_explorer.metadata import (
    Clause,
    Distribution,
    InstalledFile,
    parse_clause,
    read_distributions,
)
from examples.package_explorer.models import MODELS, Credit, Package, Person, Requirement
from examples.package_explorer.people import Contact, read_contacts
from examples.package_explorer.web import create_app, duration, filesize
from tests.support.wire import Wire

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


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """The program sets the level of the library's log for its process, which other tests share."""
    logger = logging.getLogger("dynamo_bao")
    level = logger.level
    yield
    logger.setLevel(level)


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
    assert [(line.name, line.version, line.optional) for line in page.requires] == [
        ("beta", "2.0", False),
        ("gamma", "3.0", False),
        ("not-there", None, True),
    ]
    assert len(page.requires[1].clauses) == 2


@pytest.mark.usefixtures("loaded")
def test_lines_show_the_relations_of_the_other_package() -> None:
    """Its people with their other packages, what it requires always, and what requires it."""
    page = build_dashboard("alpha-app")
    assert page is not None
    beta, gamma, missing = page.requires
    assert [(person.name, person.other_packages) for person in beta.people] == [
        ("Ada Lovelace", ("Alpha.App",))
    ]
    assert (beta.requires, beta.required_by) == (("gamma",), ("Alpha.App", "evil"))
    assert (gamma.requires, gamma.required_by) == ((), ("Alpha.App", "beta", "evil"))
    assert (missing.people, missing.requires, missing.required_by) == ((), (), ("Alpha.App",))
    assert {person.name: person.other_packages for person in page.people} == {
        "Ada Lovelace": ("beta",),
        "Bob": (),
        "Cy": ("gamma",),
    }


@pytest.mark.usefixtures("loaded")
def test_one_address_is_one_person() -> None:
    ada = Person.find_by_unique_constraint("unique_email", "ada@example.com")
    assert ada is not None and ada.name == "Ada Lovelace"
    page = build_person_page(ada.person_id)
    assert page is not None
    assert [line.package_id for line in page.packages] == ["alpha-app", "beta"]


@pytest.mark.usefixtures("loaded")
def test_without_an_address_one_name_is_one_person() -> None:
    (cy,) = [credit.person for credit in Package.find("gamma").credits]
    assert len(cy.credits) == 2


def test_the_progress_bar_counts_every_row(distributions: list[Distribution]) -> None:
    out = io.StringIO()
    with connected(RequireContext()):
        load_with_progress(distributions, Console(file=out, width=100))
    total = count_rows(distributions)
    assert f"{total}/{total}" in out.getvalue()


# --- requests --------------------------------------------------------------------------------------------


def test_the_way_changes_the_number_of_requests_and_nothing_else(
    loaded: Manager, distributions: list[Distribution]
) -> None:
    """Naive code waits for each request; a context waits less often, and with peers least."""
    wire, pages = Wire(loaded.client), {}
    for one in distributions:
        counts = {}
        for way in WAYS:
            wire.clear()
            with way.context() as session:
                pages[way] = build_dashboard(one.package_id)
            counts[way] = len(wire.operations) if session is None else session.stats.round_trips
            if session is not None:
                assert session.stats.requests == len(wire.operations)
        assert pages[NAIVE] == pages[ONE] == pages[NOW] is not None
        assert counts[NAIVE] > counts[ONE] >= counts[NOW]
        assert counts[NOW] <= MAX_ROUND_TRIPS


@pytest.mark.usefixtures("loaded")
def test_the_rounds_of_a_page_do_not_grow_with_its_lists() -> None:
    """Three times as many requirements, dependents and people: naive code waits longer, and the page does not."""
    first_counts = {way: rounds_of("gamma", way) for way in WAYS}
    for number in range(8):
        person = Person.create(name=f"person {number}")
        Package.create(package_id=f"more-{number}", name=f"More {number}", version_="1")
        Credit.create(package_id=f"more-{number}", person_id=person.person_id, roles={"author"})
        Requirement.create(package_id=f"more-{number}", required_id="gamma", clauses=[])
        Requirement.create(package_id=f"more-{number}", required_id=f"lost-{number}", clauses=[])
    counts = {way: rounds_of("gamma", way) for way in WAYS}
    assert counts[NAIVE] > first_counts[NAIVE] + 8 * 6
    assert counts[ONE] > first_counts[ONE] + 8 * 4
    assert counts[NOW] <= first_counts[NOW] + 1


def rounds_of(package_id: str, way: Way) -> int:
    """The round trips of a dashboard."""
    with RoundWatch() as watch, way.context():
        assert build_dashboard(package_id) is not None
    return watch.round_trips


@pytest.mark.usefixtures("loaded")
def test_pages_are_the_same_in_all_ways() -> None:
    clients = [create_app(way.extension).test_client() for way in WAYS]
    for address in ("/", "/packages/alpha-app", "/packages/evil", "/packages/gamma"):
        naive, one, now = (client.get(address) for client in clients)
        assert naive.status_code == one.status_code == now.status_code == 200
        assert main_part(naive.text) == main_part(one.text) == main_part(now.text)
        assert "round trips" in now.text and "without a batch context" in naive.text


@pytest.mark.parametrize("max_concurrency", [1, 4])
def test_a_visit_counts_the_rounds_of_its_session(
    distributions: list[Distribution], max_concurrency: int
) -> None:
    """Requests of one round are one wait, whether they overlap or go one after another."""
    with init_models(
        models=MODELS, table_name="rounds", embedded=True, max_concurrency=max_concurrency
    ) as manager:
        load(distributions)
        wire, app = Wire(manager.client), create_app()
        for address in ("/", *(f"/packages/{one.package_id}" for one in distributions)):
            wire.clear()
            visited = visit(app, address)
            assert visited.requests == len(wire.operations)
            assert visited.requests >= visited.round_trips
            footer = app.test_client().get(address).text.partition("<footer>")[2]
            assert f"<dt>round trips</dt><dd>{visited.round_trips}</dd>" in footer


def test_each_request_can_be_delayed(loaded: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a network would delay it; outside the block nothing is delayed."""
    naps: list[float] = []
    monkeypatch.setattr("examples.package_explorer.measuring.time.sleep", naps.append)
    wire = Wire(loaded.client)
    with delayed(loaded.client, 0.25):
        build_dashboard("gamma")
        assert naps == [0.25] * len(wire.operations)
    build_dashboard("gamma")
    assert len(naps) < len(wire.operations)


@pytest.mark.usefixtures("loaded")
def test_a_page_shows_what_it_costs_in_all_ways() -> None:
    """Side by side, with a bar for each round on one axis of time, and the line of code of each."""
    client = create_app(has_costs=True).test_client()
    text = client.get("/packages/alpha-app").text
    footer = text.partition("<footer>")[2]
    shown = re.findall(r'<h3>(.+?)</h3>\s*<p class="figure">(\d+) ', footer)
    assert [title for title, _ in shown] == [way.title for way in WAYS]
    counts = [int(count) for _, count in shown]
    assert counts == [rounds_of("alpha-app", way) for way in WAYS]
    assert f"<dt>round trips</dt><dd>{counts[-1]}</dd>" in footer
    assert len(re.findall(r'<i(?: class="several")? title="\d+: \w+', footer)) == sum(counts)
    assert "examples/package_explorer/dashboard.py:" in footer
    strip = text.partition("<main>")[0]
    assert [int(count) for count in re.findall(r"<b>(\d+)</b>", strip)] == counts
    addresses = ("/", "/search?q=first", "/packages/nothing")
    assert [client.get(address).status_code for address in addresses] == [200, 200, 404]


def test_costs_of_other_threads_are_not_those_of_a_page(loaded: Manager) -> None:
    """A server makes several pages at a time, and each counts its own rounds."""
    with RoundWatch(this_thread=True) as watch, ThreadPoolExecutor(1) as pool:
        pool.submit(build_dashboard, "gamma").result()
        assert watch.round_trips == 0
        build_dashboard("gamma")
        assert watch.round_trips > 0


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
    (credit,) = Package.find("evil").credits
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


def test_times_are_readable() -> None:
    times = [duration(seconds) for seconds in (0.0, 0.0042, 0.25, 1.5, 12.0)]
    assert times == ["0", "4.2 ms", "250 ms", "1.5 s", "12 s"]
    assert list(time_marks(1.3)) == [0.0, 0.5, 1.0]
    assert list(time_marks(0.009)) == [0.0, 0.002, 0.004, 0.006, 0.008]


# --- command line ----------------------------------------------------------------------------------------


def test_the_demo_compares_the_ways(
    distributions: list[Distribution], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence about the page that costs most, a row for each page, their sums, and seconds of delayed requests."""
    monkeypatch.setattr(demo, "read_distributions", lambda: distributions)
    assert command_line.main(["demo", "--latency", "0.1"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    headline = re.search(
        r"The page of (\S+) waits for DynamoDB (\d+) times. Naive code waits (\d+) times", shown
    )
    assert headline is not None
    name, now, naive = headline.groups()
    rows = re.findall(r"│ ([\w. ]+?) │ ([\d,]+) │ ([\d,]+) │ ([\d,]+) │ [\d.]+ x │", shown)
    assert rows[0][0] == name and (rows[0][1], rows[0][3]) == (naive, now)
    assert {row[0] for row in rows} == {
        *("Alpha.App", "beta", "evil", "gamma", "list of all packages"),
        *("all pages", "their requests"),
    }
    pages = [tuple(map(int, row[1:])) for row in rows[:5]]
    assert tuple(map(sum, zip(*pages, strict=True))) == tuple(
        int(text.replace(",", "")) for text in rows[5][1:]
    )
    assert "The same pages" in shown and "0.1 ms longer" in shown


def test_the_demo_can_leave_delays_out(
    distributions: list[Distribution], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "read_distributions", lambda: distributions)
    assert command_line.main(["demo", "--latency", "0"]) == 0
    assert "longer" not in capsys.readouterr().out


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
    assert "examples/package_explorer/dashboard.py:" in text and "Query" in text and "BatchGetItem" in text
    assert '<a href="/packages/alpha-app">&larr; Back</a>' in text
    assert create_app(nullcontext).test_client().get("/packages/alpha-app/trace").status_code == 404
