"""Writes ``llms.txt`` at the root of the built site: every page with its first sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

INTRODUCTION = """# dynamo_bao

> A data mapper for DynamoDB with a batch context: natural loops over items that are not N+1. Python, synchronous.

`bao guide` prints the essentials. The pages of the documentation:
"""
SENTENCE = re.compile(r"(.+?[.:?!])(?:\s|$)", re.DOTALL)


def first_sentence(document: nodes.document) -> str:
    """The first sentence of a page, or an empty text."""
    for paragraph in document.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        sentence = SENTENCE.match(text)
        return sentence[1].rstrip(":") if sentence else text
    return ""


def pages_in_order(app: Sphinx) -> list[str]:
    """The names of all pages, in the order of the table of contents."""
    includes = app.env.toctree_includes

    def below(name: str) -> list[str]:
        return [name, *(one for child in includes.get(name, ()) for one in below(child))]

    return below(str(app.config.root_doc))


def write(app: Sphinx, exception: Exception | None) -> None:
    """Writes the file after a build of HTML pages."""
    if exception is not None or app.builder.format != "html":
        return
    lines = [INTRODUCTION]
    for name in pages_in_order(app):
        title = app.env.titles[name].astext()
        sentence = first_sentence(app.env.get_doctree(name))
        lines.append(f"- [{title}]({app.builder.get_target_uri(name)}): {sentence}")
    Path(app.outdir, "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connects the extension to a build."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
