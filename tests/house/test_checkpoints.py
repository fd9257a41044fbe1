"""Every commit and every outside call goes through the modules that announce checkpoints, and a walk passes each."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.faults.places import places
from tests.faults.record import PASSED
from tests.house.source_tree import product_modules, tree
from tests.house.test_transactions import boundaries

# Commits: the units of work and the tokens announce theirs. The others decide nothing about a walk: what they write
# runs out by itself (heartbeats, limits, slots, locks of a migration) or is made before and after any of them.
COMMITS = {
    "connector/db/unit_of_work.py": "announces both kinds of transactions",
    "connector/db/leases.py": "announces its own: tokens taken, kept and given back",
    "connector/db/executors.py": "heartbeats, true for seconds",
    "connector/db/limits.py": "rate limits and slots, which run out",
    "connector/db/clock.py": "the difference between clocks, asked for anew at every start",
    "connector/db/set_back.py": "after a clock was set: instants become the present, as often as one likes",
    "connector/db/sqlite_turns.py": "how the transactions of the others queue on SQLite; none of its own",
    "connector/db/migrations/__init__.py": "before there is a product that could walk",
    "connector/db/backup.py": "an operator's command",
    "connector/db/tallies.py": "figures for operators, of which the last seconds may be lost",
}
SOCKETS = {
    "integrations/http.py": "announces every call of an adapter",
    "connector/mail/mailer.py": "announces every mail",
}
# Programs beside the product: they start it, look at it from outside, or are asked for by a person at a terminal.
OUTSIDE = ("connector/demo/", "connector/commands/", "connector/cli.py", "connector/serving.py", "connector/doctor")
ANNOUNCING = ("connector/db/unit_of_work.py", "connector/db/leases.py", *SOCKETS)
NETWORK = frozenset(
    {"socket", "smtplib", "http.client", "urllib.request", "urllib3.connectionpool", "httpx", "aiohttp", "asyncio"}
)


def calls_out(module: ast.Module) -> list[str]:
    """Where a syntax tree reaches for the network itself: an import of what opens sockets, a bare request."""
    found = []
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                found += [f"line {node.lineno}: import {name.name}" for name in names if name.name in NETWORK]
            case ast.ImportFrom(module=str(name)) if name in NETWORK:
                found.append(f"line {node.lineno}: from {name} import")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="requests"), attr=attr)) if attr != "Response":
                found.append(f"line {node.lineno}: requests.{attr}()")
    return found


def _inside(path: Path, allowed: dict[str, str]) -> bool:
    return path.as_posix() not in allowed and not path.as_posix().startswith(OUTSIDE)


def test_commits_stand_where_they_are_announced() -> None:
    found = {
        str(path): lines for path in product_modules() if _inside(path, COMMITS) and (lines := boundaries(tree(path)))
    }
    assert not found, f"Open a unit of work, or name the module in COMMITS with its reason: {found}"


def test_outside_calls_stand_where_they_are_announced() -> None:
    found = {
        str(path): lines for path in product_modules() if _inside(path, SOCKETS) and (lines := calls_out(tree(path)))
    }
    assert not found, f"Call through integrations/http.py: {found}"


@pytest.mark.parametrize("path", ANNOUNCING)
def test_they_do_announce(path: str) -> None:
    names = {
        node.func.id
        for node in ast.walk(tree(Path(path)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert names & {"announce", "passing"}


@pytest.mark.parametrize(
    "line", ["import socket", "from urllib.request import urlopen", "requests.post(url)", "import smtplib"]
)
def test_a_planted_call_is_found(line: str) -> None:
    assert calls_out(ast.parse(line))


def test_every_step_of_every_journey_is_passed_by_a_recorded_walk() -> None:
    """The list is written by `python -m tests.faults.record`; what is new must be passed by a walk."""
    known, passed = {place.name for place in places()}, {line.split()[0] for line in PASSED.read_text().splitlines()}
    missing = sorted(known - passed)
    assert not missing, f"No walk passes these: write one, then run python -m tests.faults.record: {missing}"
    assert passed <= known, f"These are no more: run python -m tests.faults.record: {sorted(passed - known)}"
