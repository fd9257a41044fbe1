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
_GRACE = 1.0
# Of the whole product some steps depend on who comes first: a walk that did not pass one is taken again.
_TRIES = 3
# The housekeeper's own steps come by the clock and not by a walk.
_BY_THE_CLOCK = "jobs.housekeeping."


@dataclass
class Killer:
    """Kills the stage's workers. `passed` is the log of checkpoints.

    A step is a place of a journey; where payments are written back also the call, anew for each system. It is died at
    once: before it or after it as the seed has it, and the other way with `other` (the second database). With `whole`
    both ways, at every call, and anew in every walk.
    `killed`: the steps died at so far. `late`: what was passed so long after a walk's beginning that another walk may
    come by sooner; `missed`: what was aimed at and not passed.
    """

    here: Stage
    passed: Path
    killed: set[str] = field(default_factory=set)
    late: dict[str, Make] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    seed: int = 0
    other: bool = False
    whole: bool = False
    # Where the last undisturbed walk begins in the log.
    began: int = 0
    # Where the next process of a door is to die.
    at_door: str = ""

    def chosen(self, name: str, system: str) -> bool:
        """Whether a process is to die at this checkpoint: of the two its step has, unless somebody has died there."""
        step, moment = step_of(name, system), name.rsplit(" ", 2)[1]
        first = random.Random(f"{self.seed} {step}").random() < 0.5
        return self.whole or (step not in self.killed and (moment == "before") is (first is not self.other))

    def take(self, names: Iterable[str], system: str) -> list[str]:
        """Those of the checkpoints a process is to die at, in their order, each step once."""
        taken = []
        for name in names:
            if self.chosen(name, system):
                self.killed.add(step_of(name, system))
                taken.append(name)
        return taken

    def at_each_step_of(self, make: Make) -> int:
        """Walk undisturbed, then die at each step nobody has died at yet; how many deaths."""
        passed = self.record(make)
        system = make().system
        late = [] if self.whole else [name for name, seconds in passed.items() if seconds > _LATE]
        targets = self.take((name for name in passed if name not in late), system)
        for name in late:
            if self.chosen(name, system):
                self.late.setdefault(name, make)
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

    def at_the_door(self, make: Make, known: Iterable[str] = ()) -> int:
        """Die at each step of the door that a walk's beginning visits: the known ones, else those an undisturbed walk
        passes. How many deaths."""
        doors = [name for name in known or self.record(make) if name.startswith(("journeys.", "webhooks."))]
        doors = self.take(doors, make().system)
        random.Random(f"{self.seed} {make().name} door").shuffle(doors)
        for name in doors:
            self.at_door = name
            walk = make()
            walk.prepare()
            walk.strike()
            self.here.settle(walk.arrived)
            walk.check()
        return len(doors)

    def while_keeping_house(self) -> int:
        """Die at each step the housekeeper was seen to take; how many deaths."""
        with self.passed.open() as log:
            names = {line.rstrip("\n").split(" ", 1)[1] for line in log}
        steps = self.take(sorted(name for name in names if name.startswith(_BY_THE_CLOCK)), "")
        for name in steps:
            self.here.look_after()
            self.here.control.aim(name)
            self.here.make_everything_due()
            self.here.forget_a_schedule()
            end = time.monotonic() + _PATIENCE
            while not self.here.died() and time.monotonic() < end:
                time.sleep(0.01)
            if not self.here.died():
                self.missed.append(name)
            self.here.control.aim("")
        self.here.look_after()
        return len(steps)

    def along(self, make: Make) -> int:
        """One walk, struck down at each step nobody has died at yet, one after the other as it goes on.

        For walks of which there is only one at a time. What a walk struck down no longer comes by is left to the next.
        """
        targets = self.take(self.record(make), make().system)
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
        deaths, system, known = 0, make().system, set(self.killed)
        for number in range(2, parts + 1):
            self.killed = set(known)
            targets = self.take(self.repeated(make, parts), system)
            deaths += self.kill_at(make, [f"{name} @{number}" for name in targets])
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
        return sum(self.kill_at(make, self.take([name], make().system)) for name, make in late.items())

    def survived(self, deaths: int, at_least: int = 0) -> None:
        """AssertionError when something that was aimed at was not passed, or fewer died than at least should have."""
        missed, self.missed = self.missed, []
        assert not missed, f"nobody died at {missed}"
        assert deaths >= at_least, f"only {deaths} died"

    def record(self, make: Make) -> dict[str, float]:
        """One undisturbed walk: its checkpoints in the order of their passing, each with the seconds until then."""
        walk = make()
        self.here.clear_faults(walk.system)
        walk.prepare()
        self.here.drain()
        self.here.hush()
        self.began, began = self._size(), time.monotonic()
        walk.strike()
        self.here.settle(walk.arrived)
        self.here.drain()
        walk.check()
        with self.passed.open() as log:
            log.seek(self.began)
            lines = [line.rstrip("\n").split(" ", 1) for line in log]
        foreign = (*walk.foreign, _BY_THE_CLOCK)
        own = [(moment, name) for moment, name in lines if not any(step in name for step in foreign)]
        first: dict[str, float] = {}
        for moment, name in own:
            first.setdefault(name, float(moment) - began)
        return first

    def kill_at(self, make: Make, targets: Iterable[str]) -> int:
        """A walk for each target, during which the worker dies there; all arrive and are checked. How many died."""
        walks: list[Walk] = []
        deaths = 0
        for target in targets:
            if any(self._struck_down(make, target, walks) for _ in range(_TRIES if self.whole else 1)):
                deaths += 1
            else:
                self.missed.append(f"{walks[-1].name} of {walks[-1].system}: {target}")
        for walk in walks:
            self.here.settle(walk.arrived)
        for walk in walks:
            walk.check()
        return deaths

    def _struck_down(self, make: Make, target: str, walks: list[Walk]) -> bool:
        """A walk more, on which the worker is to die there; whether it did."""
        walk = make()
        walk.prepare()
        self.here.look_after()
        self.here.control.aim(target)
        walk.strike()
        died = self._died(walk)
        self.here.control.aim("")
        self.here.look_after()
        walks.append(walk)
        return died

    def _died(self, walk: Walk) -> bool:
        """Wait for it; in vain when the walk has arrived and nothing is left to do."""
        end = time.monotonic() + _PATIENCE
        while not self.here.died():
            if time.monotonic() > end or (walk.arrived() and not self.here.unfinished()):
                # The last commit is seen a moment before the death that follows it.
                self.here.nursery.wait(self.here.crew.worker, _GRACE)
                return self.here.died()
            time.sleep(0.01)
        return True

    def _size(self) -> int:
        return self.passed.stat().st_size if self.passed.exists() else 0


def step_of(name: str, system: str) -> str:
    """The step a checkpoint's name belongs to, as it is counted."""
    place, _, call = name.rsplit(" ", 2)
    return f"{system} {place} {call}" if place.startswith("write_back ") else place
