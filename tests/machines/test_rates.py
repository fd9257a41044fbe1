"""Two machines call one upstream that counts: no limit is ever exceeded, and people come before background work."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.machines.caller import LIMITS, THREADS
from tests.machines.counting import Upstream, counting
from tests.machines.started import machines

SECONDS = 4


def _call(
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


def _sum(reports: list[dict[str, Any]], what: str) -> int:
    return sum(report[what] for report in reports)


@pytest.mark.parametrize(("kind", "database"), [("budget", "sqlite"), ("budget", "postgresql"), ("pace", "postgresql")])
def test_no_limit_is_exceeded_and_people_are_not_put_off(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, database: str
) -> None:
    address = request.getfixturevalue(f"{database}_schema_url")
    with counting(LIMITS[kind]) as upstream:
        reports = _call(tmp_path / "machines", address, upstream, kind)
    assert upstream.violations == []
    assert _sum(reports, "person put off") == 0
    assert _sum(reports, "person") >= 4
    # Background work takes what people leave: most of the limit while they call this seldom.
    assert _sum(reports, "background") >= 20
    assert upstream.calls == _sum(reports, "background") + _sum(reports, "person")


def test_background_work_stops_while_a_fifth_of_the_day_is_left(postgresql_schema_url: str, tmp_path: Path) -> None:
    with counting(LIMITS["day"]) as upstream:
        # Somebody else's calls count too: the upstream says so with every answer.
        upstream.day_used = 60
        reports = _call(tmp_path / "machines", postgresql_schema_url, upstream, "day")
    assert upstream.violations == []
    # 100 a day less the 60 of others; the last 20 are kept. What is on its way when the upstream speaks is not yet in
    # what it says is left.
    assert 10 <= _sum(reports, "background") <= 20 + 2 * THREADS
    assert _sum(reports, "person") >= 4 and _sum(reports, "person put off") == 0


def test_silence_asked_of_one_machine_is_kept_by_the_other(postgresql_schema_url: str, tmp_path: Path) -> None:
    with counting(LIMITS["pace"]) as upstream:

        def throttle() -> None:
            end = time.monotonic() + 60
            while upstream.calls < 6:
                assert time.monotonic() < end
                time.sleep(0.05)
            upstream.throttle_next = True

        reports = _call(tmp_path / "machines", postgresql_schema_url, upstream, "pace", throttle)
    # Calls already sent when the silence was asked for cannot be called back.
    assert len([word for word in upstream.violations if "silence" in word]) <= 3
    assert not [word for word in upstream.violations if "silence" not in word]
    assert upstream.silent_until > 0
    assert _sum(reports, "background") + _sum(reports, "person") > 10
