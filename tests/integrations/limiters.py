"""A limiter kept in memory: says what it was asked, and holds calls back when told to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class MemoryLimiter:
    """Fulfils connector.contract.Limiter. `waits` are the answers of the next reservations, then always 0.0."""

    waits: list[float] = field(default_factory=list)
    full: int = 0
    reserved: list[tuple[str, int, float, int]] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    given_back: list[str] = field(default_factory=list)
    left: list[tuple[str, int]] = field(default_factory=list)
    pushed: list[tuple[str, float]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    open: Counter[str] = field(default_factory=Counter)
    most_open: int = 0
    rests: list[float] = field(default_factory=list)

    def reserve(self, key: str, *, limit: int, period: float, burst: int, kept: int = 0) -> float:
        self.reserved.append((key, limit, period, burst))
        self.kept.append(kept)
        return self.waits.pop(0) if self.waits else 0.0

    def spend(self, key: str, *, limit: int, period: float, kept: int = 0) -> float:
        return self.reserve(key, limit=limit, period=period, burst=0, kept=kept)

    def give_back(self, key: str, *, limit: int, period: float, burst: int) -> None:
        self.given_back.append(key)

    def told(self, key: str, left: int, *, limit: int, period: float, burst: int) -> None:
        self.left.append((key, left))

    def push_back(self, key: str, seconds: float) -> None:
        self.pushed.append((key, seconds))

    def enter(self, key: str, slots: int, holder: str, seconds: float) -> bool:
        self.places.append(slots)
        if self.full > 0:
            self.full -= 1
            return False
        self.open[key] += 1
        self.most_open = max(self.most_open, self.open[key])
        return True

    def leave(self, key: str, holder: str, *, rest: float = 0.0) -> None:
        self.rests.append(rest)
        self.open[key] -= 1
