"""Both libraries write at the same time, node in its process and Python in this one."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

from dynamo_bao.fields.ulids import new_ulid
from tests.compat.interop.javascript import JavaScript
from tests.compat.interop.python import Python
from tests.compat.interop.raw import items_of
from tests.compat.interop.scenarios import (
    ANN,
    EVERYTHING,
    carry_out,
    increment,
    member,
    members,
    save,
    ulid,
    update,
)
from tests.compat.interop.sides import Command, Refused

ROUNDS = int(os.environ.get("BAO_ROUNDS", "1"))
WIDTH = 6
Guards = dict[str, str]


def at_once(
    javascript: JavaScript, python: Python, theirs: list[Command], ours: list[Command]
) -> tuple[list[Any], list[Any]]:
    """Has JavaScript carry out its commands and Python its own meanwhile, `WIDTH` of each at any time."""
    javascript.begin(theirs, WIDTH)
    outcomes = python.many(ours, WIDTH)
    return javascript.finish(), outcomes


def unique_values(client: Any, table: str) -> tuple[Guards, Guards]:
    """Who has each unique value: by the members' own items, and by the guards."""
    owners: Guards = {}
    guards: Guards = {}
    for (pk, sk), item in items_of(client, table).items():
        if sk == "_raft_uc":
            guards[pk] = item["relatedId"]["S"]
            continue
        for number, name in (("1", "email"), ("2", "badge")):
            if name in item:
                (text,) = item[name].values()
                guard = f"_raft_uc#_uc{number}#m#{name}:{text}"
                assert guard not in owners, f"{name} {text} has two owners"
                owners[guard] = item["memberId"]["S"]
    return owners, guards


def test_one_unique_value_has_one_winner(
    javascript: JavaScript, python: Python, client: Any, table: str
) -> None:
    """Every address is claimed twice by each side: one claimant gets it, and only its guard is left.

    On a busy machine a side may come too late for every address; then there is another contest.
    """
    claims = 0
    for contest in range(20):
        addresses = [f"{number}@contest{contest}.example" for number in range(60 * ROUNDS)]
        won = claimed_by(javascript, python, addresses)
        claims += 4 * len(addresses)
        owners, guards = unique_values(client, table)
        assert guards == owners
        assert len(owners) == claims // 4
        if won[0] and won[1]:
            break
    assert won[0] and won[1]
    print(f"claims {claims}, last won by JavaScript {won[0].total()}, by Python {won[1].total()}")


def claimed_by(javascript: JavaScript, python: Python, addresses: list[str]) -> list[Counter[str]]:
    """Has both sides claim addresses at the same time; which each side won, with one winner for each."""
    theirs, ours = (
        [member(new_ulid(), "claimant", email=address) for address in order for _ in range(2)]
        for order in (addresses, addresses[::-1])
    )
    outcomes = at_once(javascript, python, theirs, ours)
    won = [
        Counter(
            command["values"]["email"]
            for command, outcome in zip(commands, given, strict=True)
            if is_won(outcome)
        )
        for commands, given in zip((theirs, ours), outcomes, strict=True)
    ]
    assert won[0] + won[1] == Counter(addresses)
    kinds = [{outcome.kind for outcome in given if isinstance(outcome, Refused)} for given in outcomes]
    assert kinds == [{"ConditionalError"}, {"UniqueConstraintError"}]
    return won


def is_won(outcome: Any) -> bool:
    return not isinstance(outcome, Refused)


def test_no_guard_is_orphaned_and_no_value_has_two_owners(
    javascript: JavaScript, python: Python, client: Any, table: str
) -> None:
    """Members that both change, and members that each makes and deletes, fight over a few addresses and badges.

    JavaScript saves objects, which sends what changed. Its `update` by id also writes a unique value that is the
    one it read, without asking whether it still is, and then two items have it, with or without Python.
    """
    shared = [ulid(f"SH{number}") for number in range(6)]
    carry_out(python, [member(id, f"first{number}", badge=100 + number) for number, id in enumerate(shared)])

    def fights(seed: int, side: str) -> list[Command]:
        chance = random.Random(seed)
        commands: list[Command] = []
        for number in range(60 * ROUNDS):
            address, badge = f"{chance.randrange(30)}@example.com", chance.randrange(1, 30)
            own = ulid(f"{side}{number % 5}")
            commands.append(
                chance.choice(
                    (
                        save("Member", chance.choice(shared), email=address),
                        save("Member", chance.choice(shared), badge=badge),
                        save("Member", chance.choice(shared), email=address, badge=badge),
                        member(own, "own", email=address, badge=badge),
                        {"do": "delete", "model": "Member", "id": own, "condition": None},
                    )
                )
            )
        return commands

    outcomes = at_once(javascript, python, fights(3, "JS"), fights(4, "PY"))
    owners, guards = unique_values(client, table)
    assert guards == owners
    done = [sum(map(is_won, given)) for given in outcomes]
    assert all(done)
    print(f"fights {len(outcomes[0]) + len(outcomes[1])}, done by JavaScript {done[0]}, by Python {done[1]}")


def test_no_addition_to_a_counter_is_lost(javascript: JavaScript, python: Python, table: str) -> None:
    """Both add to one counter, and change other fields of its item meanwhile."""
    carry_out(python, [member(ANN, "ann", trips=1000)])
    number = 80 * ROUNDS
    theirs = [increment("Member", ANN, trips=1) for _ in range(number)]
    ours = [increment("Member", ANN, trips=-3) for _ in range(number)]
    for place in range(0, number, 4):
        theirs.insert(place, update("Member", ANN, role=f"r{place}"))
        ours.insert(place, update("Member", ANN, name=f"n{place}"))
    for outcomes in at_once(javascript, python, theirs, ours):
        assert not [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    for side in (javascript, python):
        found = side.find("Member", ANN)
        assert found is not None and found["trips"] == 1000 + number - 3 * number
        assert found["role"].startswith("r") and found["name"].startswith("n")


def test_no_member_of_a_set_is_lost(javascript: JavaScript, python: Python, table: str) -> None:
    """Both put other members into one set; a version that the other renewed is no conflict for that."""
    javascript.create("Boat", {**EVERYTHING, "flags": {"start"}})
    theirs = [members("sea-1", add=[f"j{number}"]) for number in range(9)]
    ours = [members("sea-1", add=[f"p{number}"]) for number in range(9)]
    for outcomes in at_once(javascript, python, theirs, ours):
        assert not [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    found = python.find("Boat", "sea-1")
    assert found is not None
    assert found["flags"] == {"start", *(f"{side}{number}" for side in "jp" for number in range(9))}
