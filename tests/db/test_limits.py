"""The limiter never lets more through than the upstream allows, however many processes ask."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

from connector.db.limits import SqlLimiter

_ASK = """
import sys, time, threading
from connector.db.engine import make_engine
from connector.db.limits import SqlLimiter
limiter = SqlLimiter(make_engine(sys.argv[1]))
end = time.time() + 4.5
def ask():
    while time.time() < end:
        wait = limiter.reserve("connection:1", limit=20, period=1.0, burst=5)
        if wait == 0.0:
            sys.stdout.write(f"{time.time()}\\n")
        else:
            time.sleep(min(wait, 0.05))
threads = [threading.Thread(target=ask) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""

_CROWD = """
import sys, time, uuid
from connector.db.engine import make_engine
from connector.db.limits import SqlLimiter
limiter = SqlLimiter(make_engine(sys.argv[1]))
end = time.time() + 3
while time.time() < end:
    holder = uuid.uuid4().hex
    if limiter.enter("slots", 2, holder, 30):
        sys.stdout.write(f"{time.time()} 1\\n")
        time.sleep(0.02)
        sys.stdout.write(f"{time.time()} -1\\n")
        limiter.leave("slots", holder)
"""


_SPEND = """
import sys, threading
from connector.db.engine import make_engine
from connector.db.limits import SqlLimiter
limiter = SqlLimiter(make_engine(sys.argv[1]))
def ask():
    for _ in range(10):
        if limiter.spend("budget", limit=40, period=3600.0) == 0.0:
            print("go", flush=True)
threads = [threading.Thread(target=ask) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.fixture
def limiter(engine: sa.Engine) -> SqlLimiter:
    """A limiter on each kind of database."""
    return SqlLimiter(engine)


def _together(program: str, address: str, processes: int) -> list[str]:
    started = [
        subprocess.Popen([sys.executable, "-c", program, address], stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    printed = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes
    return [line for text in printed for line in text.splitlines()]


def test_two_processes_never_exceed_the_limit_in_any_period_and_use_it_well(schema_url: str) -> None:
    moments = sorted(float(line) for line in _together(_ASK, schema_url, 2))
    # A moment is written down a little after its grant, so windows a little shorter than the period are looked at.
    most = max(sum(1 for other in moments if moment <= other < moment + 0.9) for moment in moments)
    assert most <= 20
    seconds = moments[-1] - moments[0]
    # Steady pace is (limit - burst) a period.
    assert len(moments) >= 0.7 * 15 * seconds


def test_a_burst_goes_at_once_and_the_rest_is_told_how_long_to_wait(limiter: SqlLimiter) -> None:
    waits = [limiter.reserve("k", limit=60, period=60.0, burst=6) for _ in range(8)]
    assert waits[:6] == [0.0] * 6
    pace = 60.0 / 54
    assert 0 < waits[6] <= pace
    assert waits[7] == pytest.approx(waits[6], abs=0.2)


def test_keys_do_not_share_a_limit(limiter: SqlLimiter) -> None:
    assert limiter.reserve("one", limit=2, period=60, burst=1) == 0.0
    assert limiter.reserve("one", limit=2, period=60, burst=1) > 0
    assert limiter.reserve("two", limit=2, period=60, burst=1) == 0.0


def test_waiting_as_long_as_told_is_enough(limiter: SqlLimiter) -> None:
    limiter.reserve("k", limit=5, period=1.0, burst=1)
    wait = limiter.reserve("k", limit=5, period=1.0, burst=1)
    assert 0 < wait <= 0.25
    time.sleep(wait + 0.01)
    assert limiter.reserve("k", limit=5, period=1.0, burst=1) == 0.0


def test_a_limit_of_one_is_kept(limiter: SqlLimiter) -> None:
    assert limiter.reserve("k", limit=1, period=30, burst=5) == 0.0
    assert limiter.reserve("k", limit=1, period=30, burst=5) == pytest.approx(30, abs=1)


def test_silence_asked_for_is_kept_though_the_burst_would_allow_calls(limiter: SqlLimiter) -> None:
    limiter.push_back("k", 40)
    assert limiter.reserve("k", limit=60, period=60, burst=30) == pytest.approx(40, abs=1)
    limiter.push_back("k", 5)
    assert limiter.reserve("k", limit=60, period=60, burst=30) == pytest.approx(40, abs=1)
    assert limiter.reserve("other", limit=60, period=60, burst=30) == 0.0


def test_silence_ends(limiter: SqlLimiter) -> None:
    limiter.push_back("k", 0.2)
    assert limiter.reserve("k", limit=60, period=60, burst=30) > 0
    time.sleep(0.25)
    assert limiter.reserve("k", limit=60, period=60, burst=30) == 0.0


def test_slots_are_given_out_given_back_and_renewed(limiter: SqlLimiter) -> None:
    assert limiter.enter("k", 2, "a", 30)
    assert limiter.enter("k", 2, "b", 30)
    assert not limiter.enter("k", 2, "c", 30)
    assert limiter.enter("k", 2, "a", 30)
    limiter.leave("k", "a")
    limiter.leave("k", "a")
    assert limiter.enter("k", 2, "c", 30)
    assert not limiter.enter("k", 2, "d", 30)


def test_a_slot_that_rests_is_taken_by_nobody(limiter: SqlLimiter) -> None:
    assert limiter.enter("k", 1, "a", 30)
    limiter.leave("k", "a", rest=20)
    assert not limiter.enter("k", 1, "b", 30)
    limiter.leave("k", "a", rest=0.05)
    time.sleep(0.1)
    assert limiter.enter("k", 1, "b", 30)
    limiter.leave("other", "b", rest=20)
    assert limiter.enter("other", 1, "c", 30)


def test_a_slot_frees_itself_when_its_holder_died(limiter: SqlLimiter) -> None:
    assert limiter.enter("k", 1, "a", 0.1)
    assert not limiter.enter("k", 1, "b", 30)
    time.sleep(0.15)
    assert limiter.enter("k", 1, "b", 30)


def test_background_calls_leave_part_of_a_burst_and_wait_longer_than_others(limiter: SqlLimiter) -> None:
    taken = [limiter.reserve("k", limit=60, period=60, burst=10, kept=12) for _ in range(12)]
    background = taken.count(0.0)
    assert 7 <= background <= 9
    others = [limiter.reserve("k", limit=60, period=60, burst=10) for _ in range(4)]
    assert others.count(0.0) == 10 - background
    first = limiter.reserve("k", limit=60, period=60, burst=10)
    assert 0 < first < limiter.reserve("k", limit=60, period=60, burst=10, kept=12)


def test_a_budget_is_spent_at_once_and_never_more_than_it(limiter: SqlLimiter) -> None:
    assert [limiter.spend("k", limit=5, period=60.0) for _ in range(5)] == [0.0] * 5
    assert 55 < limiter.spend("k", limit=5, period=60.0) <= 62
    limiter.give_back("k", limit=5, period=60.0, burst=0)
    assert limiter.spend("k", limit=5, period=60.0) == 0.0
    assert limiter.spend("k", limit=5, period=60.0) > 0
    assert limiter.spend("other", limit=5, period=60.0) == 0.0


def test_background_work_stops_before_a_budget_is_gone(limiter: SqlLimiter) -> None:
    assert [limiter.spend("k", limit=10, period=60.0, kept=2) for _ in range(9)].count(0.0) == 8
    assert [limiter.spend("k", limit=10, period=60.0) for _ in range(3)].count(0.0) == 2


def test_a_budget_comes_back_when_its_window_has_passed(limiter: SqlLimiter) -> None:
    assert limiter.spend("k", limit=1, period=0.3) == 0.0
    wait = limiter.spend("k", limit=1, period=0.3)
    assert 0 < wait <= 0.32
    time.sleep(wait + 0.01)
    assert limiter.spend("k", limit=1, period=0.3) == 0.0


def test_what_the_upstream_says_is_left_is_all_that_is_left(limiter: SqlLimiter) -> None:
    limiter.told("day", 3, limit=5_000, period=86_400.0, burst=0)
    assert [limiter.spend("day", limit=5_000, period=86_400.0) for _ in range(4)].count(0.0) == 3
    limiter.told("day", 900, limit=5_000, period=86_400.0, burst=0)
    assert limiter.spend("day", limit=5_000, period=86_400.0) > 0
    limiter.told("minute", 2, limit=60, period=60.0, burst=10)
    assert [limiter.reserve("minute", limit=60, period=60.0, burst=10) for _ in range(4)].count(0.0) == 2


def test_silence_holds_a_budget_as_well(limiter: SqlLimiter) -> None:
    limiter.push_back("k", 40)
    assert limiter.spend("k", limit=60, period=60.0) == pytest.approx(40, abs=1)


def test_processes_spend_exactly_a_budget_together(schema_url: str) -> None:
    granted = _together(_SPEND, schema_url, 3)
    assert len(granted) == 40


def test_processes_never_hold_more_slots_than_there_are(schema_url: str) -> None:
    changes = sorted(
        (float(moment), int(step)) for moment, step in (line.split() for line in _together(_CROWD, schema_url, 3))
    )
    held = most = 0
    for _, step in changes:
        held += step
        most = max(most, held)
    assert most == 2
