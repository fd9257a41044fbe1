"""Rate limits of one tenant and of the app, measured on the simulator's clock."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass, field

from integrations.simulator.clock import Clock
from integrations.systems.xero.simulator.config import XeroConfig
from integrations.systems.xero.simulator.problems import ApiError, too_many

_MINUTE, _DAY = 60.0, 86_400.0


@dataclass
class _Usage:
    minute: deque[float] = field(default_factory=deque)
    day_start: float = 0.0
    day_count: int = 0


class Limits:
    """Counts calls: a rolling minute per tenant and per app, a day per tenant that starts at its first call.

    Calls answered 429 are not counted; calls answered from the idempotency cache are.
    """

    def __init__(self, clock: Clock, config: XeroConfig) -> None:
        self._clock = clock
        self._config = config
        self._lock = threading.Lock()
        self._usage: dict[str, _Usage] = {}
        self._app_minute: deque[float] = deque()
        self._in_flight: dict[str, int] = {}

    def admit(self, tenant: str) -> None:
        """Count one call, or raise the 429 that says which limit is reached and how long to wait."""
        with self._lock:
            now, usage = self._turn(tenant)
            if len(self._app_minute) >= self._config.app_minute_limit:
                raise self._wait("appminute", self._app_minute[0] + _MINUTE - now)
            if usage.day_count >= self._config.day_limit:
                raise self._wait("day", usage.day_start + _DAY - now)
            if len(usage.minute) >= self._config.minute_limit:
                raise self._wait("minute", usage.minute[0] + _MINUTE - now)
            usage.minute.append(now)
            usage.day_count += 1
            self._app_minute.append(now)

    def headers(self, tenant: str) -> dict[str, str]:
        """What is left, as every answer says."""
        with self._lock:
            _, usage = self._turn(tenant)
            return {
                "X-DayLimit-Remaining": str(max(0, self._config.day_limit - usage.day_count)),
                "X-MinLimit-Remaining": str(max(0, self._config.minute_limit - len(usage.minute))),
                "X-AppMinLimit-Remaining": str(max(0, self._config.app_minute_limit - len(self._app_minute))),
            }

    def enter(self, tenant: str) -> bool:
        """Take one of the tenant's places in flight; False when all are taken."""
        with self._lock:
            if self._in_flight.get(tenant, 0) >= self._config.in_flight_limit:
                return False
            self._in_flight[tenant] = self._in_flight.get(tenant, 0) + 1
            return True

    def leave(self, tenant: str) -> None:
        """Give the place back."""
        with self._lock:
            self._in_flight[tenant] -= 1

    def _turn(self, tenant: str) -> tuple[float, _Usage]:
        now = self._clock.time()
        usage = self._usage.setdefault(tenant, _Usage(day_start=now))
        if now - usage.day_start >= _DAY:
            usage.day_start, usage.day_count = now, 0
        for calls in (usage.minute, self._app_minute):
            while calls and now - calls[0] >= _MINUTE:
                calls.popleft()
        return now, usage

    def _wait(self, problem: str, seconds: float) -> ApiError:
        return too_many(problem, max(1, math.ceil(seconds)))
