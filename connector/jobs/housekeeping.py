"""What keeps work going when processes die or rows get lost; runs in every worker."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from connector.db.clock import clock_of
from connector.db.executors import Executors
from connector.db.set_back import bring_back
from connector.db.work import Fenced, WorkItem
from connector.domain.tasks import InstallationTask
from connector.jobs import retention, schedule
from connector.jobs.presence import Presence
from connector.wiring import Wiring

# The job engine's rows go first: a piece of work that begins anew counts its attempts from one again.
KEEP_ENGINE_ROWS = timedelta(days=3)

# A silent worker is dead once it has missed so many beats more, counted by whoever finds it.
_BEATS = 3
# Clocks are put right by fractions of a second all the time; this many seconds is a clock that was set.
_SET_BACK = 5.0

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

    def unattended(self, executor: str) -> set[str]:
        """Attempts that a worker of this process has claimed and does not do."""

    def release(self, attempts: Collection[str]) -> None:
        """Give these attempts to whoever comes first."""

    def lost(self, items: Sequence[WorkItem]) -> list[WorkItem]:
        """Those the engine has nothing under way for."""

    def forget_finished(self, before: datetime) -> int:
        """Delete what ended before a moment; how many rows."""


class Housekeeper:
    """Beats for this worker, and does in turn with the others what one of them must do.

    Two threads, so that a long sweep is never taken for a dead worker.
    """

    def __init__(
        self, wiring: Wiring, rows: EngineRows, executor: str, pace: Pace, presence: Presence | None = None
    ) -> None:
        self._wiring = wiring
        self._rows = rows
        self._executor = executor
        self._pace = pace
        self._presence = presence
        self._executors = Executors(wiring.database.engine)
        self._shared_clock = clock_of(wiring.database.engine)
        # For how many beats attempts of this worker have been nobody's.
        self._unattended: dict[str, int] = {}
        # When this worker first found a silent one's last sign of life, by its own steady counter.
        self._silent: dict[str, tuple[int, float]] = {}
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        """Announce this worker before it takes any work, then go on in the background."""
        if self._presence is not None:
            self._presence.begin()
        back = self._executors.beat(self._executor)
        if back > _SET_BACK:
            self._clock_set_back(back)
        for name, loop in (("heartbeat", self._keep_beating), ("sweeper", self._keep_sweeping)):
            thread = threading.Thread(target=loop, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def running(self) -> bool:
        """Whether both threads live."""
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def end(self) -> None:
        """Stop and sign off; what this worker left undone is free for others at once."""
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=10)
        if self._threads:
            self._rows.adopt(self._executor)
            self._executors.forget(self._executor)
        if self._presence is not None:
            self._presence.end()
        self._threads.clear()

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

    def _keep_beating(self) -> None:
        # Whoever is started in place of one that was killed takes its work up at once.
        _guarded("adoption", self._adopt_the_dead)
        while not self._ended.wait(self._pace.beat):
            _guarded("heartbeat", self._beat)

    def _keep_sweeping(self) -> None:
        last = self._turn()
        while not self._ended.wait(min(1.0, self._pace.sweep / 4)):
            if self._turn() != last:
                last = self._turn()
                _guarded("sweep", self._sweep)

    def _turn(self) -> int:
        """Which minute it is: sweeps keep to the clock's minutes, so that the schedule misses none."""
        return int(self._shared_clock().timestamp() / self._pace.sweep)

    def _beat(self) -> None:
        back = self._executors.beat(self._executor)
        if back > _SET_BACK:
            self._clock_set_back(back)
        self._release_unattended()
        self._adopt_the_dead()

    def _adopt_the_dead(self) -> None:
        for dead in dict.fromkeys([*self._proved_dead(), *self._found_dead()]):
            if self._executors.only_one(f"adopt:{dead}", self._executor, self._pace.dead_after):
                adopted = self._rows.adopt(dead)
                # Only once adoption has succeeded; otherwise it is tried again when the lease has run out.
                self._executors.forget(dead)
                if self._presence is not None:
                    self._presence.forget(dead)
                _log.warning("worker died", executor=dead, adopted=adopted)

    def _release_unattended(self) -> None:
        """Give back what this worker has claimed and for three beats has not been doing.

        Between claiming and beginning, and between ending and saying so, the database may go away; the library then
        leaves the attempt as it is, in the name of a worker that lives, and with it a place in its partition.
        """
        now = self._rows.unattended(self._executor)
        self._unattended = {attempt: self._unattended.get(attempt, 0) + 1 for attempt in now}
        given_up = [attempt for attempt, beats in self._unattended.items() if beats > _BEATS]
        if given_up:
            self._rows.release(given_up)
            _log.warning("attempts given back", number=len(given_up), first=given_up[0])

    def _proved_dead(self) -> list[str]:
        """The workers of this machine whose process has ended."""
        if self._presence is None:
            return []
        others = [name for name in self._executors.silent_for(0) if name != self._executor]
        return [name for name in others if self._presence.proves_dead(name)]

    def _found_dead(self) -> list[str]:
        """The workers that are silent and stay so for three beats.

        Once the clock was set forward or the database was away, all look silent until they have beaten again.
        """
        silent, now = self._executors.silent_for(self._pace.dead_after), time.monotonic()
        known = self._silent
        self._silent = {
            name: known[name] if name in known and known[name][0] == seen else (seen, now)
            for name, seen in silent.items()
        }
        return [name for name, (_, since) in self._silent.items() if now - since >= _BEATS * self._pace.beat]

    def _clock_set_back(self, seconds: float) -> None:
        """Begin anew what would wait for a moment that has been already."""
        waiting = bring_back(self._wiring.database.engine, self._wiring.clock())
        for identity, merchant_id in waiting:
            with self._wiring.database.installation() as everybody:
                everybody.work(merchant_id).try_now(identity)
        _log.warning("clock set back", seconds=round(seconds), begun_anew=len(waiting))

    def _sweep(self) -> None:
        if not self._executors.only_one("sweep", self._executor, self._pace.sweep * 0.9):
            return
        self.sweep_now()
        schedule.record(self._wiring.database, self._wiring.clock(), self._wiring.systems)
        # In a new name each time, since whoever holds a lease may take it again at once.
        if self._executors.only_one("retention", uuid.uuid4().hex, 3600.0):
            self._forget()

    def _forget(self) -> None:
        now = self._wiring.clock()
        self._rows.forget_finished(now - KEEP_ENGINE_ROWS)
        forgotten = retention.forget(self._wiring, now, self._ended.is_set)
        _log.info("forgotten", **forgotten)
        said = ", ".join(f"{number} {what}" for what, number in forgotten.items()) or "nothing"
        every = timedelta(hours=1)
        schedule.note(self._wiring.database, InstallationTask.RETENTION, now + every, f"Forgot {said}.")


def _guarded(what: str, task: Callable[[], None]) -> None:
    """A failure must not end the thread: then nobody would notice dead workers any more."""
    try:
        task()
    except Exception:
        _log.exception("housekeeping failed", task=what)
