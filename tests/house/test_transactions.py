"""Transactions begin and end in connector.db alone, and are asked for by those who may."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.source_tree import product_modules, tree

BOUNDARIES = {"begin", "begin_nested", "commit", "rollback", "begin_twophase"}
UNITS = {"unit_of_work", "installation"}


# What a transaction is begun on; a journey may well be called begin too.
DATABASES = ("engine", "connection", "session", "database")


def _receiver(node: ast.expr) -> str:
    """The last name of what a method is called on."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name
    return ""


def boundaries(module: ast.Module) -> list[str]:
    """Where a syntax tree begins or ends a transaction, one line each."""
    innocent = {
        f"line {node.lineno}: .begin()"
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "begin"
        and not _receiver(node.func.value).endswith((*DATABASES, "read_only", "execution_options"))
    }
    return [line for line in calls_of(module, BOUNDARIES) if line not in innocent]


def calls_of(module: ast.Module, names: set[str]) -> list[str]:
    """Where a syntax tree calls a method of one of these names, one line each."""
    return [
        f"line {node.lineno}: .{node.func.attr}()"
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names
    ]


def opens_units(path: Path) -> bool:
    """Journeys, the webhook inbox, the job runner and what it hands deliveries to; wiring and storage make them."""
    return (
        path.parts[:2] in {("connector", "journeys"), ("connector", "jobs"), ("connector", "db")}
        or path in {Path("webhooks/inbox.py"), Path("webhooks/dispatch.py")}
        or path == Path("connector/wiring.py")
    )


def test_transactions_begin_and_end_in_storage_only() -> None:
    outside = [path for path in product_modules() if path.parts[:2] != ("connector", "db")]
    found = {str(path): lines for path in outside if (lines := boundaries(tree(path)))}
    assert not found, f"Open a unit of work instead: {found}"


def test_units_of_work_are_opened_by_those_who_may() -> None:
    others = [path for path in product_modules() if not opens_units(path)]
    found = {str(path): lines for path in others if (lines := calls_of(tree(path), UNITS))}
    assert not found, f"Call a journey instead: {found}"


def test_pages_read_through_reading_only() -> None:
    others = [
        path for path in product_modules() if path.parts[:2] not in {("connector", "reading"), ("connector", "db")}
    ]
    found = {str(path): lines for path in others if (lines := calls_of(tree(path), {"reader"}))}
    assert not found, f"Put the SELECT into connector/reading: {found}"


@pytest.mark.parametrize(
    "line",
    [
        "connection.commit()",
        "with engine.begin() as connection: pass",
        "with self.engine.begin(): pass",
        "with read_only(engine).begin(): pass",
        "with make_engine(url).begin_nested(): pass",
    ],
)
def test_a_planted_boundary_is_found(line: str) -> None:
    assert boundaries(ast.parse(line))


def test_a_journey_may_be_called_begin() -> None:
    assert not boundaries(ast.parse("connect.begin(wiring, merchant)"))


def test_a_planted_unit_of_work_is_found() -> None:
    assert calls_of(ast.parse("with wiring.database.unit_of_work(7) as uow: pass"), UNITS)
