"""The ways to change a program: those of cosmic-ray that change what it does, and three of our own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import parso
from cosmic_ray.operators.exception_replacer import ExceptionReplacer
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

CHOSEN = (
    "AddNot",
    "NumberReplacer",
    "RemoveDecorator",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBinaryOperator_Mul_FloorDiv",
    "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_Mod_FloorDiv",
    "ZeroIterationForLoop",
)


class ReturnNothing(Operator):  # type: ignore[misc]
    """Replaces ``return x`` by ``return None``; not ``return False``, which becomes True by another operator."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if (
            node.type == "return_stmt"
            and len(node.children) > 1
            and node.children[1].get_code().strip() not in ("None", "False")
        ):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[1] = parso.parse(" None").children[0]
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class DropCall(Operator):  # type: ignore[misc]
    """Replaces a statement that is nothing but a call by ``pass``."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if node.type in ("atom_expr", "power") and node.parent.type == "simple_stmt":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        replaced = parso.parse("pass").children[0]
        replaced.prefix = node.get_first_leaf().prefix
        return replaced

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class ExceptReplacer(ExceptionReplacer):  # type: ignore[misc]
    """Replaces what ``except`` catches by an error that nobody raises; cosmic-ray fails at names with a dot."""

    @staticmethod
    def _name_nodes(node: Any) -> tuple[Any, ...]:
        if node.children[1].type not in ("name", "atom"):
            return ()
        return tuple(
            one for one in ExceptionReplacer._name_nodes(node) if isinstance(one, parso.python.tree.Name)
        )


def all_operators() -> dict[str, Operator]:
    """The operators by name."""
    known = {name.rpartition("/")[2]: name for name in operator_names()}
    chosen = {name: get_operator(known[name])() for name in CHOSEN if name in known}
    missing = set(CHOSEN) - set(chosen)
    assert not missing, f"cosmic-ray has no operators {missing}"
    return {**chosen, **{one.__name__: one() for one in (ReturnNothing, DropCall, ExceptReplacer)}}
