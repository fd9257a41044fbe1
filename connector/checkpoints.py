"""Where a process may die: the moments before and after each commit and each outside call, by name.

In production nobody listens, and announcing is one comparison. Tests listen: to write down which moments a walk
passes, and to end their own process at one of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

# Whose code a commit or a call is made for; everything beneath (storage, adapters, libraries) serves these.
_PLACES = ("connector.journeys.", "connector.jobs.", "webhooks.")


class Checkpoint(NamedTuple):
    """One moment. `journey`: the kind of work, or the journey a door called; `place` and `line`: the function that
    commits or calls, "" in a thread of no journey; `step`: "commit" or what is done; `moment`: "before" or "after".
    """

    journey: str
    place: str
    line: int
    step: str
    moment: str


Listener = Callable[[Checkpoint], None]

_listener: Listener | None = None
_journey: ContextVar[str] = ContextVar("journey", default="")


def listen(listener: Listener | None) -> Listener | None:
    """Tell a listener of every checkpoint this process passes, in the thread that passes it; None: nobody. Returns who
    listened before."""
    global _listener
    before, _listener = _listener, listener
    return before


def announce(moment: str, step: str) -> None:
    """A checkpoint is reached. What the listener raises goes to the caller."""
    if _listener is not None:
        _listener(_here(moment, step))


@contextmanager
def passing(step: str) -> Iterator[None]:
    """A step with its two checkpoints; the second is not reached when the step fails."""
    announce("before", step)
    yield
    announce("after", step)


@contextmanager
def within(journey: str) -> Iterator[None]:
    """What is announced inside belongs to this journey."""
    token = _journey.set(journey)
    try:
        yield
    finally:
        _journey.reset(token)


def _here(moment: str, step: str) -> Checkpoint:
    """The checkpoint of the calling code: its innermost place, and the outermost where no journey is named."""
    place, line, outermost = "", 0, ""
    frame = sys._getframe(1)
    while frame := frame.f_back:  # type: ignore[assignment]
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(_PLACES):
            outermost = f"{module.removeprefix('connector.')}.{frame.f_code.co_qualname}"
            if not place:
                place, line = outermost, frame.f_lineno
    return Checkpoint(_journey.get() or outermost, place, line, step, moment)
