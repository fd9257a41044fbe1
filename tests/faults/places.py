"""Every place of the product where a step is taken, read from its source, and the names checkpoints go by.

A name reads `<journey> <place>#<ordinal> <moment> <step>`: "write_back journeys.write_back._send#3 after
payment.create". The ordinal counts the transactions and outside calls of a function, from its top.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

from connector.checkpoints import Checkpoint
from connector.contract import BillingSystem, PaymentGateway
from tests.conftest import REPOSITORY

# Where transactions are asked for and adapters are called.
FOLDERS = ("connector/journeys", "connector/jobs", "webhooks")
UNITS = frozenset({"unit_of_work", "installation"})
# What an adapter works out by itself.
_SILENT = frozenset({"authorize_url", "ahead", "guide", "verify", "parse"})
_ADAPTERS = frozenset({"adapter", "system", "gateway", "systems", "gateways", "mail"})
CALLS = (
    frozenset(
        name
        for protocol in (BillingSystem, PaymentGateway)
        for name, member in vars(protocol).items()
        if callable(member) and not name.startswith("_")
    )
    | {"send"}
) - _SILENT


class Place(NamedTuple):
    """One transaction or outside call in the source. `function`: as a checkpoint's `place`; lines are the source's."""

    function: str
    ordinal: int
    first_line: int
    last_line: int
    what: str

    @property
    def name(self) -> str:
        """What it is called in names of checkpoints."""
        return f"{self.function}#{self.ordinal}"


@cache
def places() -> tuple[Place, ...]:
    """All of them, in the order of the source."""
    files = sorted(path for folder in FOLDERS for path in (REPOSITORY / folder).glob("*.py"))
    return tuple(place for path in files for place in places_in(_module(path), ast.parse(path.read_text())))


def places_in(module: str, tree: ast.Module) -> list[Place]:
    """The places of one module."""
    found: list[Place] = []

    def look(node: ast.AST, name: str) -> None:
        steps: list[tuple[int, int, str]] = []

        def gather(inner: ast.AST) -> None:
            for child in ast.iter_child_nodes(inner):
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    local = ".<locals>" if isinstance(inner, ast.FunctionDef) else ""
                    look(child, f"{name}{local}.{child.name}" if name else child.name)
                    continue
                if isinstance(child, ast.Call) and (what := _step(child)):
                    steps.append((child.lineno, child.end_lineno or child.lineno, what))
                gather(child)

        gather(node)
        for ordinal, (first, last, what) in enumerate(sorted(steps), 1):
            found.append(Place(f"{module}.{name}" if name else module, ordinal, first, last, what))

    look(tree, "")
    return found


def name_of(point: Checkpoint) -> str:
    """What a checkpoint is called; the same on every machine and after lines have moved."""
    where = next(
        (
            place.name
            for place in _by_function().get(point.place, ())
            if place.first_line <= point.line <= place.last_line
        ),
        point.place or "a thread of its own",
    )
    return f"{point.journey} {where} {point.moment} {point.step}"


@cache
def _by_function() -> dict[str, list[Place]]:
    grouped: dict[str, list[Place]] = {}
    for place in places():
        grouped.setdefault(place.function, []).append(place)
    return grouped


def _step(call: ast.Call) -> str:
    """What a call in the source is, if it is a step: a unit of work, or a method of an adapter."""
    if not isinstance(call.func, ast.Attribute):
        return ""
    if call.func.attr in UNITS:
        return "commit"
    if call.func.attr in CALLS and _receiver(call.func.value) in _ADAPTERS:
        return call.func.attr
    return ""


def _receiver(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=ast.Attribute(attr=name)):
            return name
    return ""


def _module(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts).removeprefix("connector.")
