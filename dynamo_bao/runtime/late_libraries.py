"""Other libraries that are imported when one of their names is first used, because many programs never use them.

attrs takes a sixth of the start of a program that reads one item, and both attrs and `dataclasses` import `inspect`.
`logging` takes a twentieth: the library imports it when it logs its first line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_bao.runtime.late_modules import LateModule

if TYPE_CHECKING:
    import dataclasses
    import inspect
    import logging

    import attrs
else:
    attrs = LateModule("attrs")
    dataclasses = LateModule("dataclasses")
    inspect = LateModule("inspect")
    logging = LateModule("logging")

__all__ = ["attrs", "dataclasses", "inspect", "logging"]
