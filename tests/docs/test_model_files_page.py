"""The page on model files names everything that a file may say."""

from __future__ import annotations

from dynamo_bao.mapping.definition import camel_case
from dynamo_bao.modelfiles.field_types import BUILT_IN
from dynamo_bao.modelfiles.model_reader import KEYS
from tests.support.pages import text_of


def test_the_page_names_every_key_and_option() -> None:
    """Those that the reader knows, each in backquotes."""
    options = {camel_case(name) for kind in BUILT_IN.values() for name in kind.options}
    text = text_of("docs/how-to/model-files.md")
    known = {*KEYS, *BUILT_IN, *options} - {"searchConfig"}
    assert [name for name in sorted(known) if f"`{name}`" not in text] == []
