"""The tutorial and `examples/shop`, which is the folder that its reader has at the end."""

from __future__ import annotations

from tests.support.pages import ROOT, all_pages, blocks_of, text_of

FOLDER = ROOT / "examples" / "shop"
CHAPTERS = [
    page
    for page in all_pages()
    if page.startswith("docs/tutorial/") and page[len("docs/tutorial/")].isdigit()
]
OWN_FILES = {
    "README.md",
    "__init__.py",
    "__main__.py",
    "pyproject.toml",
    "shop/__init__.py",
    "tests/test_api.py",
    "tests/test_rules.py",
}
"""The files of the example that no chapter shows."""


def files_of_the_tutorial() -> dict[str, str]:
    """The files that the chapters have their reader save, as the last chapter with each leaves it."""
    return {
        block.file: block.code for page in CHAPTERS for block in blocks_of(page) if block.file is not None
    }


def test_the_example_is_what_the_tutorial_says() -> None:
    """A chapter's file and the example's are the same text, and the example has no other file."""
    shown = files_of_the_tutorial()
    stored = {
        str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8")
        for path in FOLDER.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name: text for name, text in stored.items() if name not in OWN_FILES} == shown
    assert stored["shop/__init__.py"] == ""


def test_the_example_s_page_names_each_file_with_its_chapter() -> None:
    """The table of the README, so that a reader finds where a file comes from."""
    rows = [line for line in text_of("examples/shop/README.md").splitlines() if line.startswith("| `")]
    chapters = {
        name: page for page in CHAPTERS for block in blocks_of(page) if (name := block.file) is not None
    }
    for name, page in chapters.items():
        assert any(f"`{name}`" in row and page in row for row in rows), f"{name} of {page} is in no row"
