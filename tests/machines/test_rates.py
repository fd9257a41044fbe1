"""Two machines call one upstream that counts: no limit is ever exceeded, and people come before background work."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.machines.caller import LIMITS
from tests.machines.counting import Upstream, counting
from tests.machines.started import EVERY, machines

SECONDS = 4
KINDS = [("budget", "postgresql"), ("pace", "postgresql"), ("budget", "sqlite")]


def call(
    folder: Path, address: str, upstream: Upstream, kind: str, meanwhile: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """What two machines with wrong clocks report (on one file the clock is the same for both)."""
    off = (80.0, -70.0) if address.startswith("postgresql") else (0.0, 0.0)
    with machines(folder) as start:
        both = [
            start(name, clock, "tests.machines.caller", address, upstream.url, kind, str(SECONDS))
            for name, clock in zip(("amber", "birch"), off, strict=True)
        ]
        meanwhile()
        for machine in both:
            assert machine.process.wait(90) == 0, machine.log()
        return [json.loads(machine.log().splitlines()[-1]) for machine in both]


def total(reports: list[dict[str, Any]], what: str) -> int:
    return sum(report[what] for report in reports)


@pytest.mark.parametrize(("kind", "database"), KINDS if EVERY else KINDS[:1])
def test_no_limit_is_exceeded_and_people_are_not_put_off(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, database: str
) -> None:
    address = request.getfixturevalue(f"{database}_schema_url")
    with counting(LIMITS[kind]) as upstream:
        reports = call(tmp_path / "machines", address, upstream, kind)
    assert upstream.violations == []
    assert total(reports, "person put off") == 0
    assert total(reports, "person") >= 4
    # Background work takes what people leave: most of the limit while they call this seldom.
    assert total(reports, "background") >= 20
    assert upstream.calls == total(reports, "background") + total(reports, "person")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_calls_that_are_held_up_on_their_way_never_arrive_as_too_many_at_once(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    address = request.getfixturevalue(f"{database}_schema_url")
    with counting(LIMITS["places"]) as upstream:
        upstream.hold_up_every = 3
        reports = call(tmp_path / "machines", address, upstream, "places")
    assert upstream.violations == []
    assert total(reports, "person put off") == 0
    assert upstream.calls == total(reports, "background") + total(reports, "person") >= 10
