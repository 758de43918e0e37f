"""Greenlets under gevent, with and without its monkey patching: isolated or refused, never mixed up."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
    import sys
    if sys.argv[1] == "patched":
        from gevent import monkey
        monkey.patch_all()
    import gevent
    from dynamo_bao import ConcurrencyError, Model, PrimaryKey, current_session, init_models, run_with_batch_context

    class Org(Model, prefix="o"):
        org_id: str
        name: str
        primary_key = PrimaryKey("org_id")

    init_models(models=[Org], embedded=True)
    for number in range(20):
        Org.create(org_id=str(number), name=f"Org {number}")
    foreign = wrong = 0

    def request(number):
        global foreign, wrong
        with run_with_batch_context() as session:
            orgs = [Org.find(str((number + step) % 20)) for step in range(5)]
            gevent.sleep(0)
            foreign += current_session() is not session
            wrong += [org.name for org in orgs] != [f"Org {(number + step) % 20}" for step in range(5)]
            gevent.sleep(0)
            foreign += Org.find(str(number % 20)) is not orgs[0]

    gevent.joinall([gevent.spawn(request, number) for number in range(200)], raise_error=True)

    refused = 0
    with run_with_batch_context() as session:
        pending = Org.find("1")

        def intrude():
            global refused
            for use in (lambda: pending.name, session.flush, lambda: bool(pending)):
                try:
                    use()
                except ConcurrencyError:
                    refused += 1

        gevent.spawn(intrude).join()
        assert pending.name == "Org 1"
    print(foreign, wrong, refused)
"""


@pytest.mark.parametrize("how", ["patched", "unpatched"])
@pytest.mark.promise("S4")
def test_greenlets_are_isolated_or_refused(how: str) -> None:
    """200 greenlets that switch inside their contexts: 0 foreign sessions, 0 wrong values; intruders are refused."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), how],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert result.stdout.strip() == "0 0 3", result.stderr
    print(f"S4: 200 greenlets, {how}: 0 foreign sessions, 0 wrong values, 3 of 3 intrusions refused")
