"""Intuit's call limits by company, counted on the simulator's clock.

Source: developer.intuit.com/app/developer/qbo/docs/learn/limits-and-throttles: 500 a minute and 10 a second for a
company,
40 batch calls a minute.
"""

from __future__ import annotations

import threading
from collections import deque

from integrations.simulator.clock import Clock
from integrations.systems.quickbooks.simulator.settings import QuickBooksSettings


class Throttle:
    """Sliding windows; a refused call does not count."""

    def __init__(self, clock: Clock, settings: QuickBooksSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, str], deque[float]] = {}

    def admits(self, realm: str, *, batch: bool) -> bool:
        """Whether one more call of a company is within the limits; counts it when it is."""
        settings, now = self._settings, self._clock.time()
        windows = [
            ("second", 1.0, settings.calls_per_second),
            ("minute", 60.0, settings.calls_per_minute),
        ]
        if batch:
            windows.append(("batch", 60.0, settings.batches_per_minute))
        with self._lock:
            calls = []
            for name, length, limit in windows:
                times = self._calls.setdefault((realm, name), deque())
                while times and times[0] <= now - length:
                    times.popleft()
                if len(times) >= limit:
                    return False
                calls.append(times)
            for times in calls:
                times.append(now)
        return True
