"""Drawings of models: what they hold, how they relate, and how their items are found; as text, Mermaid and SVG."""

from dynamo_bao.cli.diagrams.mermaid import as_mermaid
from dynamo_bao.cli.diagrams.outline import Outline, outline_of
from dynamo_bao.cli.diagrams.svg import as_svg
from dynamo_bao.cli.diagrams.text import as_text

__all__ = ["Outline", "as_mermaid", "as_svg", "as_text", "outline_of"]
