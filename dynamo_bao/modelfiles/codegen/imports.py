"""The imports of one module: each name once, under another where the module uses that name itself."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Collection, Iterable

from attrs import define, field

from dynamo_bao.modelfiles.codegen.formatter import INDENT, import_order, imported

_WORD = re.compile(r"\w+")


@define
class Imports:
    """What a module imports, in the order that isort wants.

    Attributes:
        taken: names that the module's own class, fields and methods have.
    """

    taken: Collection[str]
    _local: dict[str, tuple[str, str]] = field(factory=dict)
    _typing_only: set[str] = field(factory=set)

    def use(self, name: str, module: str, *, typing_only: bool = False) -> str:
        """Imports a name, and returns what it is called in this module.

        Args:
            typing_only: whether only type checkers need it.
        """
        local = name
        while local in self.taken or self._local.get(local, (module, name)) != (module, name):
            local += "_"
        if local not in self._local:
            self._local[local] = (module, name)
            if typing_only:
                self._typing_only.add(local)
        elif not typing_only:
            self._typing_only.discard(local)
        return local

    def annotation(self, text: str, modules: dict[str, str]) -> str:
        """A type's text, with the names it needs imported.

        Args:
            modules: where the names come from that are no builtins.
        """

        def name(match: re.Match[str]) -> str:
            word = match[0]
            if word in modules:
                return self.use(word, modules[word])
            if word in self.taken and hasattr(builtins, word):
                return self.use(word, "builtins")
            return word

        return _WORD.sub(name, text)

    def lines(self) -> list[str]:
        """The import statements."""
        sections: dict[int, list[str]] = {}
        for module, names in self._modules(typing_only=False):
            sections.setdefault(_section(module), []).extend(imported(module, names))
        found = ["from __future__ import annotations"]
        for _, statements in sorted(sections.items()):
            found += ["", *statements]
        return [*found, *self._checkers_lines()]

    def _checkers_lines(self) -> list[str]:
        found: list[str] = []
        last = None
        for module, names in self._modules(typing_only=True):
            if last is not None and last != _section(module):
                found.append("")
            last = _section(module)
            found += imported(module, names, INDENT)
        return ["", "if TYPE_CHECKING:", *found] if found else []

    def _modules(self, *, typing_only: bool) -> Iterable[tuple[str, list[str]]]:
        modules: dict[str, list[str]] = {}
        apart: list[tuple[str, list[str]]] = []
        for local, (module, name) in self._local.items():
            if (local in self._typing_only) != typing_only:
                continue
            if local == name:
                modules.setdefault(module, []).append(name)
            else:  # isort gives each of them a statement of its own
                apart.append((module, [f"{name} as {local}"]))
        return sorted([*modules.items(), *apart], key=_place)


def _place(statement: tuple[str, list[str]]) -> tuple[int, str, tuple[int, str]]:
    module, names = statement
    return _section(module), module, min(map(import_order, names))


def _section(module: str) -> int:
    """The standard library, the library, the user's own, the package's."""
    if module.startswith("."):
        return 3
    first = module.split(".")[0]
    return 0 if first in sys.stdlib_module_names else 1 if first == "dynamo_bao" else 2
