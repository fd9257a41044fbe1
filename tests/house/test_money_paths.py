"""No binary fraction touches money: not in the domain, not where upstream words become ours."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source_tree import product_modules, tree

TIME = re.compile(r"(?i)(?:^|_)(?:seconds|delay|after|timeout|wait|pause)(?:$|_)")
MONEY_WORDS = ("money", "amount", "ledger", "balance", "pay", "allocat", "posting", "refund", "reconcile", "write_back")


def carries_money(path: Path) -> bool:
    """The domain, everything that maps upstream records, and every file named for what is paid or booked."""
    return (
        path.parts[:2] == ("connector", "domain")
        or path.stem.startswith("mapping")
        or any(word in path.stem for word in MONEY_WORDS)
    )


def _is_time(node: ast.AST) -> bool:
    """Seconds may be fractions: `after=0.5`, `delay: float`, `RETRY_SECONDS = 1.5`."""
    match node:
        case ast.keyword(arg=str(name)) | ast.arg(arg=name) | ast.AnnAssign(target=ast.Name(id=name)):
            return bool(TIME.search(name))
        case ast.Assign(targets=[ast.Name(id=name)]):
            return bool(TIME.search(name))
    return False


def _of_money(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it but those that count time."""
    if not _is_time(node):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from _of_money(child)


def fractions(module: ast.Module) -> list[str]:
    """Where a syntax tree makes, names or rounds a float that is not a time, one line each."""
    found = []
    for node in _of_money(module):
        match node:
            case ast.Constant(value=float()):
                found.append(f"line {node.lineno}: the number {node.value!r}")
            case ast.Name(id="float"):
                found.append(f"line {node.lineno}: float")
            case ast.Call(func=ast.Name(id="round")):
                found.append(f"line {node.lineno}: round()")
            case ast.BinOp(op=ast.Div(), right=ast.Constant(value=int() | float())):
                found.append(f"line {node.lineno}: a division that leaves the whole numbers")
    return found


def test_money_is_never_a_binary_fraction() -> None:
    paths = [path for path in product_modules() if carries_money(path)]
    assert Path("connector/domain/money.py") in paths
    found = {str(path): lines for path in paths if (lines := fractions(tree(path)))}
    assert not found, f"Count minor units as integers, or use Decimal where a price is finer than a coin: {found}"


@pytest.mark.parametrize(
    "line", ["x = 0.1", "x = float(y)", "def f(x: float) -> None: ...", "round(x)", "x = y / 100", "f(tax=0.5)"]
)
def test_a_planted_fraction_is_found(line: str) -> None:
    assert fractions(ast.parse(line))


@pytest.mark.parametrize(
    "line", ["x = Decimal('0.1')", "x = y // 100", "x = path / 'name'", "x = {'kind': 'float'}", "f(after=0.5)"]
)
def test_whole_numbers_and_decimals_are_left_alone(line: str) -> None:
    assert not fractions(ast.parse(line))
