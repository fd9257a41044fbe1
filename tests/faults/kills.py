"""Writes down which checkpoints a walk passes, then walks again and lets the worker die at each of them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.stage import Stage
from tests.faults.walks import Make, Walk

_PATIENCE = 60.0
_LATE = 2.5
# The housekeeper's own steps come by the clock and not by a walk.
_BY_THE_CLOCK = "jobs.housekeeping."


@dataclass
class Killer:
    """Kills the stage's workers. `passed` is the log of checkpoints.

    `killed`: what has been died at so far. `late`: what was passed so long after a walk's beginning that another walk
    may come by sooner; `missed`: what was aimed at and not passed.
    """

    here: Stage
    passed: Path
    killed: set[str] = field(default_factory=set)
    late: dict[str, Make] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    seed: int = 0
    # Where the last undisturbed walk begins in the log.
    began: int = 0
    # Where the next process of a door is to die.
    at_door: str = ""

    def at_each_step_of(self, make: Make, *, whole: bool = False, of: str = "") -> int:
        """Walk undisturbed, then die at each step nobody has died at yet (`whole`: at each); how many deaths.

        `of`: steps of this kind of work count anew for each system.
        """
        passed = self.record(make)
        system = make().system
        targets = []
        for name, seconds in passed.items():
            mark = f"{system} {name}" if of and name.startswith(f"{of} ") else name
            if mark in self.killed and not whole:
                continue
            if seconds > _LATE and not whole:
                self.late.setdefault(name, make)
                continue
            self.killed.add(mark)
            self.late.pop(name, None)
            targets.append(name)
        random.Random(f"{self.seed} {system} {make().name}").shuffle(targets)
        return self.kill_at(make, targets)

    def visit(self, role: str, **told: Any) -> None:
        """What a person does at a door: when its process dies, they do it again."""
        target, self.at_door = self.at_door, ""
        if target:
            self.here.control.aim(target)
            assert self.here.visit(role, **told), f"the door did not come by {target}"
            self.here.control.aim("")
        assert not self.here.visit(role, **told)

    def at_the_door(self, make: Make) -> int:
        """Die at each step of the door that a walk's beginning visits; how many deaths."""
        doors = [name for name in self.record(make) if name.startswith(("journeys.", "webhooks."))]
        random.Random(f"{self.seed} {make().name} door").shuffle(doors)
        for name in doors:
            self.at_door = name
            walk = make()
            walk.prepare()
            walk.strike()
            self.here.settle(walk.arrived)
            walk.check()
        self.killed.update(doors)
        return len(doors)

    def while_keeping_house(self) -> int:
        """Die at each step the housekeeper was seen to take; how many deaths."""
        with self.passed.open() as log:
            names = {line.rstrip("\n").split(" ", 1)[1] for line in log}
        steps = sorted(name for name in names if name.startswith(_BY_THE_CLOCK))
        for name in steps:
            self.here.look_after()
            self.here.control.aim(name)
            self.here.make_everything_due()
            end = time.monotonic() + _PATIENCE
            while not self.here.died() and time.monotonic() < end:
                time.sleep(0.01)
            if not self.here.died():
                self.missed.append(name)
            self.here.control.aim("")
        self.here.look_after()
        return len(steps)

    def along(self, make: Make) -> int:
        """One walk, struck down at each step nobody has died at yet, one after the other as it goes on."""
        targets = [name for name in self.record(make) if name not in self.killed]
        self.killed.update(targets)
        deaths = 0
        while targets:
            walk = make()
            walk.prepare()
            self.here.look_after()
            self.here.control.aim(targets[0])
            walk.strike()
            before = deaths
            while targets and self._died(walk):
                deaths += 1
                targets.pop(0)
                self.here.look_after()
                if targets:
                    self.here.control.aim(targets[0])
            if deaths == before:
                self.missed.append(f"{walk.name} of {walk.system}: {targets.pop(0)}")
            self.here.control.aim("")
            self.here.settle(walk.arrived)
            walk.check()
        return deaths

    def at_each_part(self, make: Make, parts: int) -> int:
        """Die at the n-th passing of each step that is taken once for each of several parts."""
        deaths = 0
        for number in range(2, parts + 1):
            targets = [f"{name} @{number}" for name in self.repeated(make, parts)]
            deaths += self.kill_at(make, targets)
        return deaths

    def repeated(self, make: Make, times: int) -> list[str]:
        """The steps an undisturbed walk passes exactly so often."""
        self.record(make)
        with self.passed.open() as log:
            log.seek(self.began)
            counts = Counter(line.rstrip("\n").split(" ", 1)[1] for line in log)
        return [name for name, number in counts.items() if number == times and name.startswith("write_back ")]

    def at_what_came_late(self) -> int:
        """Die at the steps no walk passed early."""
        late, self.late = self.late, {}
        self.killed.update(late)
        return sum(self.kill_at(make, [name]) for name, make in late.items())

    def record(self, make: Make) -> dict[str, float]:
        """One undisturbed walk: the names of its checkpoints, each with the seconds until it was first passed."""
        walk = make()
        walk.prepare()
        self.here.drain()
        self.began, began = self._size(), time.monotonic()
        walk.strike()
        self.here.settle(walk.arrived)
        self.here.drain()
        walk.check()
        with self.passed.open() as log:
            log.seek(self.began)
            lines = [line.rstrip("\n").split(" ", 1) for line in log]
        return {name: float(moment) - began for moment, name in reversed(lines) if not name.startswith(_BY_THE_CLOCK)}

    def kill_at(self, make: Make, targets: Iterable[str]) -> int:
        """A walk for each target, during which the worker dies there; all arrive and are checked. How many died."""
        walks, deaths = [], 0
        for target in targets:
            walk = make()
            walk.prepare()
            self.here.look_after()
            self.here.control.aim(target)
            walk.strike()
            if self._died(walk):
                deaths += 1
            else:
                self.missed.append(f"{walk.name} of {walk.system}: {target}")
            self.here.control.aim("")
            self.here.look_after()
            walks.append(walk)
        for walk in walks:
            self.here.settle(walk.arrived)
        for walk in walks:
            walk.check()
        return deaths

    def _died(self, walk: Walk) -> bool:
        """Wait for it; in vain when the walk has arrived and nothing is left to do."""
        end = time.monotonic() + _PATIENCE
        while not self.here.died():
            if time.monotonic() > end or (walk.arrived() and not self.here.unfinished()):
                return self.here.died()
            time.sleep(0.01)
        return True

    def _size(self) -> int:
        return self.passed.stat().st_size if self.passed.exists() else 0
