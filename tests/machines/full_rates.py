"""The last of a day's calls are kept for people, and silence holds for all machines; run by `make machines`."""

from __future__ import annotations

import time
from pathlib import Path

from tests.machines.caller import LIMITS, THREADS
from tests.machines.counting import counting
from tests.machines.test_rates import call, total


def test_background_work_stops_while_a_fifth_of_the_day_is_left(postgresql_schema_url: str, tmp_path: Path) -> None:
    with counting(LIMITS["day"]) as upstream:
        # Somebody else's calls count too: the upstream says so with every answer.
        upstream.day_used = 60
        reports = call(tmp_path / "machines", postgresql_schema_url, upstream, "day")
    assert upstream.violations == []
    # 100 a day less the 60 of others; the last 20 are kept. What is on its way when the upstream speaks is not yet in
    # what it says is left.
    assert 10 <= total(reports, "background") <= 20 + 2 * THREADS
    assert total(reports, "person") >= 4 and total(reports, "person put off") == 0


def test_silence_asked_of_one_machine_is_kept_by_the_other(postgresql_schema_url: str, tmp_path: Path) -> None:
    with counting(LIMITS["pace"]) as upstream:

        def throttle() -> None:
            end = time.monotonic() + 60
            while upstream.calls < 6:
                assert time.monotonic() < end
                time.sleep(0.05)
            upstream.throttle_next = True

        reports = call(tmp_path / "machines", postgresql_schema_url, upstream, "pace", throttle)
    # Calls already sent when the silence was asked for cannot be called back.
    assert len([word for word in upstream.violations if "silence" in word]) <= 3
    assert not [word for word in upstream.violations if "silence" not in word]
    assert upstream.silent_until > 0
    assert total(reports, "background") + total(reports, "person") > 10
