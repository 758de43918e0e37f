"""The imports of one module. A name that the module itself uses is imported under another name."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Collection, Iterable

from dynamo_bao.modelfiles.codegen.formatter import INDENT, import_order, imported
from dynamo_bao.runtime.records import define, field

_WORD = re.compile(r"\w+")


@define
class Imports:
    """The imports of a module, in isort's order.

    Attributes:
        reserved: the names of the module's class, fields and methods.
    """

    reserved: Collection[str]
    _local: dict[str, tuple[str, str]] = field(factory=dict)
    _typing_only: set[str] = field(factory=set)

    def use(self, name: str, module: str, *, typing_only: bool = False) -> str:
        """Imports a name, and returns its name in this module.

        Args:
            typing_only: whether only type checkers need the import.
        """
        local = name
        while local in self.reserved or self._local.get(local, (module, name)) != (module, name):
            local += "_"
        if local not in self._local:
            self._local[local] = (module, name)
            if typing_only:
                self._typing_only.add(local)
        elif not typing_only:
            self._typing_only.discard(local)
        return local

    def annotation(self, text: str, modules: dict[str, str]) -> str:
        """The source text of a type. Imports the names that the text uses.

        Args:
            modules: the modules of the names that are not builtins.
        """

        def name(match: re.Match[str]) -> str:
            word = match[0]
            if word in modules:
                return self.use(word, modules[word])
            if word in self.reserved and hasattr(builtins, word):
                return self.use(word, "builtins")
            return word

        return _WORD.sub(name, text)

    def lines(self) -> list[str]:
        """The import statements."""
        sections: dict[int, list[str]] = {}
        for module, names in self._modules(typing_only=False):
            sections.setdefault(_section(module), []).extend(imported(module, names))
        lines = ["from __future__ import annotations"]
        for _, statements in sorted(sections.items()):
            lines += ["", *statements]
        return [*lines, *self._type_checking_lines()]

    def _type_checking_lines(self) -> list[str]:
        lines: list[str] = []
        previous_section = None
        for module, names in self._modules(typing_only=True):
            if previous_section is not None and previous_section != _section(module):
                lines.append("")
            previous_section = _section(module)
            lines += imported(module, names, INDENT)
        return ["", "if TYPE_CHECKING:", *lines] if lines else []

    def _modules(self, *, typing_only: bool) -> Iterable[tuple[str, list[str]]]:
        modules: dict[str, list[str]] = {}
        renamed_imports: list[tuple[str, list[str]]] = []
        for local, (module, name) in self._local.items():
            if (local in self._typing_only) != typing_only:
                continue
            if local == name:
                modules.setdefault(module, []).append(name)
            else:  # isort writes a separate statement for each renamed import
                renamed_imports.append((module, [f"{name} as {local}"]))
        return sorted([*modules.items(), *renamed_imports], key=_sort_key)


INSTALLED = ("dynamo_bao",)
"""The installed packages that generated files import."""


def _sort_key(statement: tuple[str, list[str]]) -> tuple[int, str, tuple[int, str]]:
    module, names = statement
    return _section(module), module, min(map(import_order, names))


def _section(module: str) -> int:
    """The number of the import section: standard library, installed packages, the user's modules, this package."""
    if module.startswith("."):
        return 3
    top_package = module.split(".")[0]
    return 0 if top_package in sys.stdlib_module_names else 1 if top_package in INSTALLED else 2
