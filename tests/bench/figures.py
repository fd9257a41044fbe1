"""How a measurement is told: one JSON line, smallest/middle/largest of its runs, and whether its marks are met."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Figures:
    """One line: what was measured, its figures, and marks (name -> met)."""

    measure: str
    figures: dict[str, Any] = field(default_factory=dict)
    marks: dict[str, bool] = field(default_factory=dict)

    def mark(self, words: str, met: bool) -> None:
        """A mark and whether it is met."""
        self.marks[words] = bool(met)

    def line(self) -> str:
        """The line as it is printed."""
        met = {"met": self.marks} if self.marks else {}
        return json.dumps({"measure": self.measure, **self.figures, **met}, ensure_ascii=False)


def spread(values: Sequence[float], digits: int = 1) -> dict[str, float]:
    """Smallest, middle and largest of several runs."""
    return {
        "min": round(min(values), digits),
        "median": round(statistics.median(values), digits),
        "max": round(max(values), digits),
    }


def median(runs: Sequence[Mapping[str, Any]], name: str) -> float:
    """The middle of one figure over several runs."""
    return statistics.median(float(run[name]) for run in runs)
