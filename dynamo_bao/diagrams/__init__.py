"""Drawings of models: what they hold, how they relate, and how their items are found; as text, Mermaid and SVG."""

from dynamo_bao.diagrams.mermaid import as_mermaid
from dynamo_bao.diagrams.outline import Outline, outline_of
from dynamo_bao.diagrams.svg import as_svg
from dynamo_bao.diagrams.text import as_text

__all__ = ["Outline", "as_mermaid", "as_svg", "as_text", "outline_of"]
