"""The documentation site: ``make docs`` builds it into ``docs/_build/html``, without the network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]

import dynamo_bao  # noqa: E402

project = "dynamo_bao"
author = "the authors of dynamo_bao"
copyright = "the authors of dynamo_bao"
version = release = dynamo_bao.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "bao_reference",
    "llms_txt",
]
exclude_patterns = ["_build", "_ext"]
default_role = "code"
smartquotes = False  # they would change options such as --search
nitpicky = True
nitpick_ignore_regex = [(r"py:\w+", ".*")]  # types in signatures, of Python and of this package's inside

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_use_rtype = False
napoleon_use_ivar = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"dynamo_bao {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}

copybutton_prompt_text = "$ "
copybutton_copy_empty_lines = False
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"  # no output
