"""Calls an upstream through the one outgoing session, as a machine of its own (`tests.machines.machine`).

Threads of a background kind call without end; meanwhile a person's call comes every so often. The last line is JSON:
how many of each went through, how many were put off, and how long a person waited at most.
"""

from __future__ import annotations

import json
import threading
import time

from connector.contract import TryAgain
from connector.db.engine import make_engine
from connector.db.limits import SqlLimiter
from connector.manifest import AdapterConfig, Manifest, RateLimit
from integrations.http import Session

LIMITS = {
    # As Xero's: a budget and calls in flight; as QuickBooks': two paces.
    "budget": (RateLimit(20, 2.0, burst=0, in_flight=5), RateLimit(5_000, 86_400.0, burst=0)),
    "pace": (RateLimit(40, 4.0, burst=6), RateLimit(12, 1.0, burst=1)),
    # As QuickBooks': its limit by the second holds where calls arrive, not where they are sent.
    "places": (RateLimit(100, 5.0, burst=6, in_flight=6, rest=0.5),),
    "day": (RateLimit(1_000, 1.0, burst=50), RateLimit(100, 86_400.0, burst=0)),
}
THREADS = 4


def manifest(kind: str, url: str) -> Manifest:
    """An upstream with one of these limits."""
    return Manifest(
        name="counting", title="Counting", role="system", auth="none", endpoints={"api": url}, limits=LIMITS[kind]
    )


def main(address: str, url: str, kind: str, seconds: str) -> None:
    """Call for so many seconds."""
    engine = make_engine(address)
    declared = manifest(kind, url)
    config = AdapterConfig(dict(declared.endpoints), {}, (), {})
    session = Session(declared, config, SqlLimiter(engine))
    end = time.monotonic() + float(seconds)
    counts = {"background": 0, "put off": 0, "person": 0, "person put off": 0}
    longest, lock = [0.0], threading.Lock()

    def count(what: str) -> None:
        with lock:
            counts[what] += 1

    def in_background() -> None:
        while time.monotonic() < end:
            try:
                with session.call("page.read", connection="c1", patience=1.0, background=True):
                    session.get(f"{url}/page")
                count("background")
            except TryAgain as later:
                count("put off")
                time.sleep(min(later.after, 0.2))

    def a_person() -> None:
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                with session.call("invoice.read", connection="c1", patience=10.0):
                    session.get(f"{url}/invoice")
                count("person")
                longest[0] = max(longest[0], time.monotonic() - began)
            except TryAgain:
                count("person put off")
            time.sleep(0.5)

    threads = [threading.Thread(target=in_background) for _ in range(THREADS)] + [threading.Thread(target=a_person)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    print("\n" + json.dumps({**counts, "longest": round(longest[0], 3)}), flush=True)
