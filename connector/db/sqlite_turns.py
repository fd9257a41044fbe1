"""Writers of one SQLite file take turns: threads in order of arrival, processes one after the other.

SQLite's own waiting sleeps longer and longer and so starves whoever has waited longest (engine measurements: tails of
a second with two processes). Here a process's threads queue, and the first of each queue meets the other processes
at two file locks: who writes, and who is next. Whoever has just written must first become next again, so no process
can overtake one that waits.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import threading
import time
from collections import deque
from typing import ClassVar

if sys.platform != "win32":
    import fcntl

PATIENCE = 30.0


class Turns:
    """The queue of writers of one database file; one object per file and process."""

    _known: ClassVar[dict[tuple[int, str], Turns]] = {}
    _knowing: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def of(cls, path: str) -> Turns:
        """The queue of this file in this process (a forked child has its own)."""
        key = (os.getpid(), os.path.realpath(path))
        with cls._knowing:
            if key not in cls._known:
                cls._known[key] = cls(key[1])
            return cls._known[key]

    def __init__(self, path: str) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._busy = False
        self._next_file = -1
        self._writing_file = -1

    def take(self, until: float) -> None:
        """Wait for the turn; `until` in time.monotonic() seconds. Raises sqlite3.OperationalError when it passes."""
        self._join_queue(until)
        try:
            self._meet_other_processes(until)
        except BaseException:
            self._leave_queue()
            raise

    def give(self) -> None:
        """Let the next writer go."""
        if sys.platform != "win32":
            fcntl.flock(self._writing_file, fcntl.LOCK_UN)
        self._leave_queue()

    def _join_queue(self, until: float) -> None:
        with self._guard:
            if not self._busy:
                self._busy = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(max(0.0, until - time.monotonic())):
            return
        with self._guard:
            if not mine.is_set():
                self._waiting.remove(mine)
                raise sqlite3.OperationalError("database is locked: another writer of this process did not finish")

    def _leave_queue(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._busy = False

    def _meet_other_processes(self, until: float) -> None:
        if sys.platform == "win32":
            return
        if self._next_file < 0:
            # Beside the database, like SQLite's own -wal; left in place, for removing it would split the queue.
            self._next_file = os.open(f"{self._path}-next", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._writing_file = os.open(f"{self._path}-writing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _lock(self._next_file, until)
        try:
            _lock(self._writing_file, until)
        finally:
            fcntl.flock(self._next_file, fcntl.LOCK_UN)


def _lock(descriptor: int, until: float) -> None:
    """Lock with a deadline, which flock itself does not have: a stopped process must not stop all others for good."""
    if sys.platform == "win32":
        return
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise sqlite3.OperationalError("database is locked: another process did not finish writing") from None
            time.sleep(random.uniform(0.0002, 0.001))  # noqa: S311 - spreads waiters, keeps no secret


class QueuedConnection(sqlite3.Connection):
    """A SQLite connection that takes its turn before it writes and gives it back when the transaction ends."""

    _turns: Turns
    _has_turn = False
    _query_only = False

    def prepare(self, turns: Turns) -> None:
        """Settings of a new connection; durable at every commit, because a ledger is kept here."""
        self._turns = turns
        self.isolation_level = None
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=FULL")
        self.execute("PRAGMA foreign_keys=ON")
        # 16 MB a connection: beyond that an import gains little and its memory would grow with the books.
        self.execute("PRAGMA cache_size=-16384")

    def begin(self, *, writing: bool, patience: float = PATIENCE) -> None:
        """Open a transaction; a writing one holds the write lock from here to its end, waited for at most so long."""
        if not writing:
            self._set_query_only(True)
            self.execute("BEGIN")
            return
        until = time.monotonic() + patience
        self._turns.take(until)
        self._has_turn = True
        try:
            self._set_query_only(False)
            self._begin_immediately(until)
        except BaseException:
            self._give_turn()
            raise

    def commit(self) -> None:
        """Commit, then let the next writer go; a commit that fails keeps the turn until the rollback."""
        super().commit()
        self._give_turn()

    def rollback(self) -> None:
        """Roll back, then let the next writer go."""
        try:
            super().rollback()
        finally:
            self._give_turn()

    def close(self) -> None:
        """Close, whatever was open."""
        try:
            super().close()
        finally:
            self._give_turn()

    def _begin_immediately(self, until: float) -> None:
        """SQLite's lock itself, which programs other than ours may hold."""
        self.execute("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    self.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    if "locked" not in str(error) or time.monotonic() > until:
                        raise
                    time.sleep(random.uniform(0.0005, 0.002))  # noqa: S311 - spreads waiters, keeps no secret
        finally:
            self.execute("PRAGMA busy_timeout=30000")

    def _set_query_only(self, wanted: bool) -> None:
        if self._query_only != wanted:
            self.execute(f"PRAGMA query_only={int(wanted)}")
            self._query_only = wanted

    def _give_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turns.give()
