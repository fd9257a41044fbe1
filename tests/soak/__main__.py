"""make soak MINUTES=n: everything at once for n minutes, processes killed at random, then the books are counted.

The database is that of DATABASE_URL (it must hold no merchant yet), else a fresh SQLite file. The last line is one
JSON object; exit code 1 says that a promise was broken, and the lines above say which, with ids.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import requests
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.engine import bind_to_merchant, make_engine
from connector.demo.browser import PageFault
from connector.demo.processes import free_ports
from connector.jobs.engine import prepare_database
from tests.soak.customers import Customer, Paying, Story
from tests.soak.judge import Verdict, judge, read_ours, read_theirs, unfinished
from tests.soak.processes import Place, Running, fresh_folder, running, wait_for
from tests.soak.staff import Staff
from tests.soak.trouble import Faults, Kills

_DRAIN_SECONDS = 180.0
_CUSTOMERS_AT_ONCE = 12
# Visits begun a minute; not all end in a payment.
_VISITS = 160
_KILLS = 4.5
_FAULTS = 26.0
_CHANGES_BY_HAND = 8.0
_REFUNDS = 7.0
_NEW_LINKS = 2.0
_NEW_INVOICES = 40.0
_LOOKS_AT_CONNECTIONS = 10.0


def main() -> int:
    """Run a soak; the exit code."""
    asked = argparse.ArgumentParser(prog="make soak")
    asked.add_argument("minutes", type=float)
    asked.add_argument("--seed", type=int, default=int(time.time()))
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--invoices", type=int, default=600)
    asked.add_argument("--keep", action="store_true", help="Leave database, logs and the upstreams' books behind.")
    options = asked.parse_args()
    folder = fresh_folder(Path(tempfile.gettempdir()))
    address = os.environ.get("DATABASE_URL") or f"sqlite:///{folder / 'duebridge.db'}"
    port, upstream_port, mail_port = free_ports(3)
    place = Place(folder, port, upstream_port, mail_port, address)
    _say(f"Seed {options.seed}; {address.partition(':')[0]}; logs in {folder}")
    prepare_database(address)
    engine = make_engine(address)
    with engine.connect() as reading, reading.begin():
        bind_to_merchant(reading, None)
        if reading.execute(sa.select(sa.func.count()).select_from(t.merchants)).scalar_one():
            _say("The database of DATABASE_URL holds a merchant already; a soak needs an empty one.")
            return 2
    with running(place, options.invoices, options.workers) as everything:
        good, report = _run(place, everything, engine, options.minutes, random.Random(options.seed))
    engine.dispose()
    if good and not options.keep:
        shutil.rmtree(folder)
    print(json.dumps(report), flush=True)
    return 0 if good else 1


def _run(
    place: Place, everything: Running, engine: sa.Engine, minutes: float, chance: random.Random
) -> tuple[bool, dict[str, object]]:
    staff = Staff(place, random.Random(chance.random()))
    customers = staff.set_up()
    _say(f"{len(customers)} customers have links; {minutes:g} minutes begin")
    story = Story()
    faults = Faults(place.upstream_url, random.Random(chance.random()))
    kills = Kills(everything, random.Random(chance.random()))
    stop = threading.Event()
    fallen: list[str] = []
    threads = [
        _often(
            stop, fallen, _VISITS / _CUSTOMERS_AT_ONCE, _visits(place, customers, story, random.Random(chance.random()))
        )
        for _ in range(_CUSTOMERS_AT_ONCE)
    ]
    threads += [
        _often(stop, fallen, _FAULTS, faults.arm_one),
        _often(stop, fallen, _KILLS, kills.kill_one),
        _often(stop, fallen, _CHANGES_BY_HAND, staff.change_by_hand),
        _often(stop, fallen, _REFUNDS, staff.refund_something),
        _often(stop, fallen, _LOOKS_AT_CONNECTIONS, staff.connect_again),
        _often(stop, fallen, _NEW_LINKS, lambda: staff.fresh_link(chance.choice(customers))),
        _often(stop, fallen, _NEW_INVOICES, lambda: staff.issue_again(chance.choice(customers))),
    ]
    began = time.monotonic()
    while (gone := time.monotonic() - began) < minutes * 60:
        time.sleep(min(60.0, minutes * 60 - gone))
        died = [process.name for process in everything.killable if not process.alive()]
        _say(f"{(time.monotonic() - began) / 60:.1f} min: {_paid(place)}; {dict(kills.counts)}; {died or ''}")
    stop.set()
    for thread in threads:
        thread.join(90)
    lasted = (time.monotonic() - began) / 60
    armed = sum(faults.counts.values()) - faults.clear()
    ended_by_themselves = kills.revive()
    faults.let_time_pass(1300.0)
    wait_for(f"{place.public_url}/readyz", everything.web)
    staff.connect_again()
    seconds, left = _drain(engine, place)
    audited = _audited(place)
    ours = read_ours(engine)
    theirs = read_theirs(place.upstream_url, place.directory / "upstreams", ours.connections.values())
    found = judge(ours, theirs, story.same_form)
    found.broken += [*audited, *fallen]
    _tell(story, staff, faults, kills, found, left)
    if ended_by_themselves:
        _say(f"Ended without being killed: {ended_by_themselves}")
    killed = sum(kills.counts.values())
    report = {
        "minutes": round(minutes, 1),
        "payments": found.payments,
        "faults": armed,
        "kills": killed,
        "drain_seconds": round(seconds, 1),
        "unfinished": len(left),
        "needs_review": found.needs_review,
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "ledger_sum": str(found.ledger_sum),
    }
    slow = [
        words
        for words, missed in (
            (f"{found.payments / lasted:.0f} payments a minute, not 50", found.payments < 50 * lasted),
            (f"{killed / lasted:.1f} kills a minute, not 3", killed < 3 * lasted),
        )
        if missed
    ]
    for words in slow:
        _say(f"Not the load that was promised: {words}")
    broken = left or found.lost or found.doubled or found.ledger_sum or found.needs_review or found.broken
    return not (broken or slow or ended_by_themselves), report


def _often(stop: threading.Event, fallen: list[str], a_minute: float, act: Callable[[], object]) -> threading.Thread:
    """Do something so often a minute, in a thread of its own, whoever else is slow or dead."""

    def again() -> None:
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + 60.0 / a_minute, time.monotonic() - 5.0)
            try:
                act()
            except (PageFault, requests.RequestException) as nobody:
                # Somebody was killed just then; what was asked for is tried another time.
                _say(f"Nobody answered: {str(nobody)[:120]}")
            except Exception as fault:
                # A driver that falls silently would make a soak that proves nothing.
                fallen.append(f"the soak itself: {type(fault).__name__}: {fault}")
                _say(fallen[-1])

    thread = threading.Thread(target=again, daemon=True)
    thread.start()
    return thread


def _visits(place: Place, customers: list[Customer], story: Story, chance: random.Random) -> Callable[[], None]:
    paying = Paying(place.public_url, place.upstream_url, story, chance)

    def visit() -> None:
        customer = chance.choice(customers)
        alone = customer.lock.acquire(blocking=False)
        # Now and then two people of one customer pay at the same time.
        if not alone and chance.random() < 0.7:
            return
        try:
            paying.visit(customer)
        finally:
            if alone:
                customer.lock.release()

    return visit


def _paid(place: Place) -> str:
    state = requests.get(f"{place.upstream_url}/sandbox/_control/state", timeout=60).json()
    return ", ".join(f"{number} {name}" for name, number in sorted(state["payments"].items()))


def _drain(engine: sa.Engine, place: Place) -> tuple[float, list[str]]:
    """Wait until nothing is left to do, three looks in a row; how long it took, and what is left."""
    began = time.monotonic()
    quiet = 0
    ended = began
    left: list[str] = []
    while time.monotonic() - began < _DRAIN_SECONDS:
        left = unfinished(engine, place.upstream_url)
        quiet = 0 if left else quiet + 1
        if quiet == 1:
            ended = time.monotonic()
        if quiet == 3:
            return ended - began, []
        time.sleep(1.0)
    return time.monotonic() - began, left


def _audited(place: Place) -> list[str]:
    """What `duebridge audit-books --upstream` finds, as an operator would run it."""
    done = subprocess.run(
        [sys.executable, "-m", "connector.cli", "audit-books", "--upstream", "--calls", "20000", "--json"],
        env=place.environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
    )
    try:
        findings = json.loads(done.stdout.splitlines()[-1])["findings"]
    except (IndexError, KeyError, ValueError):
        return [f"duebridge audit-books ended with {done.returncode}: {(done.stderr or done.stdout)[-600:]}"]
    _say(f"duebridge audit-books: {len(findings)} findings, exit code {done.returncode}")
    return [f"audit-books: {finding['what']}" for finding in findings]


def _tell(story: Story, staff: Staff, faults: Faults, kills: Kills, found: Verdict, left: list[str]) -> None:
    _say(f"Customers: {dict(story.counts.most_common())}")
    _say(f"Refused with: {dict(story.refusals.most_common(12))}")
    _say(f"Staff: {dict(staff.counts)}")
    _say(f"Faults armed: {dict(faults.counts.most_common())}")
    _say(f"Killed: {dict(kills.counts)}")
    _say(f"Books: {dict(found.counts)}; {found.unpaid} checkouts came to nothing")
    for words in left:
        _say(f"UNFINISHED {words}")
    for words in found.reviews:
        _say(f"A PERSON MUST DECIDE {words}")
    for words in found.broken:
        _say(f"BROKEN {words}")


def _say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
