"""The page on the JavaScript library's features is what its table says, and its tests are there."""

from __future__ import annotations

from tests.compat.parity.features import PAGE, features, page, unproved


def test_every_feature_is_there_once() -> None:
    """The 284 features are numbered through."""
    assert [feature.number for feature in features()] == list(range(1, 285))


def test_every_proof_is_a_test() -> None:
    """A feature with a Python name names a test that exists; one without says why."""
    assert unproved(features()) == []
    assert all(feature.proof for feature in features())


def test_the_page_is_current() -> None:
    """The page is the one that ``python -m tests.compat.parity.features`` writes."""
    assert PAGE.read_text() == page(features())
