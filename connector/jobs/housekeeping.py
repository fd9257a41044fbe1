"""What keeps work going when processes die or rows get lost: a thread in every worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from connector.db.executors import Executors
from connector.db.work import Fenced, WorkItem
from connector.jobs import schedule
from connector.wiring import Wiring

# The job engine's rows go first: a piece of work that begins anew counts its attempts from one again.
KEEP_ENGINE_ROWS = timedelta(days=3)
KEEP_DONE_WORK = timedelta(days=14)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Pace:
    """How often things are looked at, in seconds. `dead_after`: a silent worker counts as dead; `lost_after`: work
    overdue so long that the engine no longer knows is begun anew."""

    poll: float = 0.1
    beat: float = 5.0
    dead_after: float = 60.0
    sweep: float = 60.0
    lost_after: float = 300.0
    threads: int = 16
    each_partition: int = 5
    stop_within: float = 20.0


class EngineRows(Protocol):
    """The job engine's own rows, as far as they need keeping."""

    def adopt(self, executor: str) -> int:
        """Give what a dead worker was doing to the living; how many attempts."""

    def lost(self, items: Sequence[WorkItem]) -> list[WorkItem]:
        """Those the engine has nothing under way for."""

    def forget_finished(self, before: datetime) -> int:
        """Delete what ended before a moment; how many rows."""


class Housekeeper(threading.Thread):
    """Beats for this worker, and does in turn with the others what one of them must do."""

    def __init__(self, wiring: Wiring, rows: EngineRows, executor: str, pace: Pace) -> None:
        super().__init__(name="housekeeping", daemon=True)
        self._wiring = wiring
        self._rows = rows
        self._executor = executor
        self._pace = pace
        self._executors = Executors(wiring.database.engine)
        self._ended = threading.Event()

    def begin(self) -> None:
        """Announce this worker before it takes any work, then go on in the background."""
        self._executors.beat(self._executor)
        self.start()

    def end(self) -> None:
        """Stop and sign off; what this worker left undone is adopted at once by whoever looks next."""
        self._ended.set()
        self.join(timeout=10)
        self._rows.adopt(self._executor)
        self._executors.forget(self._executor)

    def run(self) -> None:
        """The thread: never ends by a failure, because then nobody would notice dead workers any more."""
        next_sweep = time.monotonic() + self._pace.sweep / 2
        while not self._ended.wait(self._pace.beat):
            self._guarded("heartbeat", self._beat)
            if time.monotonic() >= next_sweep:
                next_sweep = time.monotonic() + self._pace.sweep
                self._guarded("sweep", self._sweep)

    def sweep_now(self) -> int:
        """Begin anew what the engine has lost; how many pieces of work."""
        now = self._wiring.clock()
        with self._wiring.database.lookup() as everybody:
            overdue = everybody.overdue_work(now - timedelta(seconds=self._pace.lost_after))
        lost = self._rows.lost(overdue)
        for item in lost:
            try:
                with self._wiring.database.installation() as everybody:
                    everybody.work(item.merchant).wake_again(item)
            except Fenced:
                continue
        if lost:
            _log.warning("work begun anew", number=len(lost), first=lost[0].id)
        return len(lost)

    def _beat(self) -> None:
        self._executors.beat(self._executor)
        for dead in self._executors.silent_for(self._pace.dead_after):
            if self._executors.only_one(f"adopt:{dead}", self._executor, 60.0):
                adopted = self._rows.adopt(dead)
                # Only once adoption has succeeded; otherwise the next beat tries again.
                self._executors.forget(dead)
                _log.warning("worker died", executor=dead, adopted=adopted)

    def _sweep(self) -> None:
        if not self._executors.only_one("sweep", self._executor, self._pace.sweep * 0.9):
            return
        self.sweep_now()
        schedule.record(self._wiring.database, self._wiring.clock())
        if self._executors.only_one("retention", self._executor, 3600.0):
            self._forget()

    def _forget(self) -> None:
        now = self._wiring.clock()
        self._rows.forget_finished(now - KEEP_ENGINE_ROWS)
        for _ in range(100):
            with self._wiring.database.installation() as everybody:
                if not everybody.forget_done_work(now - KEEP_DONE_WORK):
                    break

    @staticmethod
    def _guarded(what: str, task: object) -> None:
        assert callable(task)  # noqa: S101 - tells the types
        try:
            task()
        except Exception:
            _log.exception("housekeeping failed", task=what)
