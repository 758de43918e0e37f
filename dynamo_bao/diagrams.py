"""The public name of `dynamo_bao.cli.diagrams`: drawings of models as text, Mermaid and SVG."""

from dynamo_bao.cli.diagrams import Outline, as_mermaid, as_svg, as_text, outline_of

__all__ = ["Outline", "as_mermaid", "as_svg", "as_text", "outline_of"]
