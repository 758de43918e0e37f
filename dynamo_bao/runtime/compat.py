"""Names for type checkers, from the standard library or, for Python 3.10, from typing_extensions."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    from typing import Never, Unpack, dataclass_transform
else:
    from typing_extensions import Never, Unpack, dataclass_transform

__all__ = ["Never", "Unpack", "dataclass_transform"]
