"""The pages of the documentation and their code blocks, and how tests run them.

A page is Markdown. Its code blocks run from top to bottom, in a folder of their own:

- ``python`` blocks are one program.
- A block whose first line is a comment with a file's name, ``# shop/models.py``, is that file.
- ``text`` is what the Python block before it prints.
- ``console`` has commands, each after ``$``, and what they write.
- ``…`` in such output stands for any text.

An HTML comment in the line before a block changes that: ``<!-- not run: the reason -->``, or ``<!-- new program -->``
for a Python block that knows nothing of those before. Comments for a whole page: ``<!-- continues: models.md -->``
runs that page first, ``<!-- needs: celery -->`` names the packages without which the page is skipped,
``<!-- suite -->`` says that its Python blocks are a file of tests, and
``<!-- engine -->`` that they work with a server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>\S*)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_NAME = re.compile(r"(?:#|//|<!--) (\S+\.\w+)(?: -->)?\n")
_PAGE_MARK = re.compile(r"^<!-- (continues|needs|suite|engine)(?:: (.*))? -->$", re.MULTILINE)


@frozen
class Block:
    """A code block.

    Attributes:
        page: the path of its page from the folder of the project.
        line: the number of the page's line before its first line.
        mark: the comment before it, or an empty text.
    """

    page: str
    line: int
    language: str
    code: str
    mark: str

    @property
    def runs(self) -> bool:
        """Whether it is not marked as one that does not run."""
        return not self.mark.startswith("not run")

    @property
    def file(self) -> str | None:
        """The name of the file that it is."""
        name = _NAME.match(self.code)
        return name[1] if name else None

    @property
    def place(self) -> str:
        """Its page and line."""
        return f"{self.page}:{self.line}"


@cache
def all_pages() -> tuple[str, ...]:
    """Every page of the documentation, and the guide in the package, as paths from the folder of the project."""
    pages = [path for path in DOCS.rglob("*.md") if "_build" not in path.parts]
    return tuple(
        sorted(str(path.relative_to(ROOT)) for path in (*pages, *ROOT.glob("dynamo_bao/cli/guide.md")))
    )


@cache
def text_of(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def blocks_of(page: str) -> tuple[Block, ...]:
    """The code blocks of a page, without directives of Sphinx."""
    text = text_of(page)
    return tuple(
        Block(
            page,
            text.count("\n", 0, match.start("code")),
            match["language"],
            match["code"],
            match["mark"] or "",
        )
        for match in _FENCE.finditer(text)
        if not match["language"].startswith("{")
    )


def blocks(page: str, language: str) -> list[str]:
    """The code of a page's blocks in one language."""
    return [block.code for block in blocks_of(page) if block.language == language]


def page_mark(page: str, name: str) -> str | None:
    """What a page's comment of a name says, or None without such a comment."""
    marks = {match[1]: match[2] or "" for match in _PAGE_MARK.finditer(text_of(page))}
    return marks.get(name)


def needs(page: str) -> tuple[str, ...]:
    """The packages without which a page, or one that it continues, cannot run."""
    return tuple(
        name.strip()
        for part in chain(page)
        for name in (page_mark(part, "needs") or "").split(",")
        if name.strip()
    )


def chain(page: str) -> list[str]:
    """The page after those that it continues."""
    earlier = page_mark(page, "continues")
    if earlier is None:
        return [page]
    return [*chain(str(((ROOT / page).parent / earlier).resolve().relative_to(ROOT))), page]


def runnable_pages() -> Iterator[str]:
    """The pages whose blocks run, without those that another page continues, as that one runs them too."""
    continued = {earlier for page in all_pages() for earlier in chain(page)[:-1]}
    for page in all_pages():
        is_program = any(block.runs and block.language in ("python", "console") for block in blocks_of(page))
        if page not in continued and is_program and page_mark(page, "suite") is None:
            yield page


def program(page: str) -> str:
    """The Python blocks of a page and of those that it continues, as one program."""
    return "\n".join(
        block.code
        for part in chain(page)
        for block in blocks_of(part)
        if block.language == "python" and block.runs and block.file is None
    )


def put_between(page: Path, begin: str, end: str, text: str) -> None:
    """Replaces the text between two markers of a page, as commands do that write figures there."""
    head, tail = page.read_text(encoding="utf-8").split(begin)
    text_after = tail.split(end)[1]
    page.write_text(f"{head}{begin}\n\n{text}\n\n{end}{text_after}", encoding="utf-8")
