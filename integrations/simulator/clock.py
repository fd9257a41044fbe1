"""The simulators' clock: real time plus an offset that only grows."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime


class Clock:
    """Tells the time every simulated lifetime, limit and retry schedule is measured with."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._lock = threading.Lock()

    def time(self) -> float:
        """Seconds since the epoch."""
        with self._lock:
            return time.time() + self._offset

    def now(self) -> datetime:
        """The present as an aware UTC datetime."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Move the clock forward; ValueError when asked to go back."""
        if seconds < 0:
            raise ValueError(f"the clock only goes forward, not by {seconds} seconds")
        with self._lock:
            self._offset += seconds
