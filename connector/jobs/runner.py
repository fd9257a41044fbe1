"""One attempt at a piece of work: fence, call the journey outside any transaction, write down what came of it."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from connector.checkpoints import within
from connector.contract import Answer, Disconnected, Gone, Refused, TryAgain, Unclear
from connector.db.work import Fenced, WorkItem, WorkQueue
from connector.domain.work import WAITED_FOR, Work
from connector.errors import ConnectorError, TooMany, Unavailable
from connector.wiring import Timing, Wiring, nobody_waits

Handler = Callable[[Wiring, WorkItem], None]

AFTER_DISCONNECT_SECONDS = 3600.0
AFTER_UNAVAILABLE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 3600.0
# About thirty hours of attempts; then a person looks at it.
MOST_FAILURES = 40

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to. `after`: the next attempt in so many seconds; None: none follows by itself.

    `spend`: it counts as a failure; `nothing_sent`: the upstream certainly has nothing of this attempt.
    """

    what: str
    why: str = ""
    after: float | None = None
    spend: bool = False
    nothing_sent: bool = False


DONE = Outcome("done")
TAKEN_OVER = Outcome("taken over")


def attempt(
    wiring: Wiring, handlers: Mapping[Work, Handler], identity: str, number: int, merchant_id: int | None
) -> None:
    """Do this attempt at a piece of work if it still is the one to be done. Raises nothing a handler raises."""
    with _looking(wiring, merchant_id) as queue:
        item = queue.open(identity, number)
    if item is None:
        return
    with (
        within(item.kind),
        structlog.contextvars.bound_contextvars(
            correlation=item.correlation or uuid.uuid4().hex, work=item.id, attempt=item.attempt
        ),
    ):
        began = time.monotonic()
        outcome = _still_on_its_way(wiring, item) or _call(wiring, handlers, item)
        try:
            settle(wiring, item, outcome, time.monotonic() - began)
        except Fenced:
            outcome = TAKEN_OVER
        _log.info(
            "work",
            outcome=outcome.what,
            why=outcome.why,
            after=outcome.after,
            failures=item.failures + int(outcome.spend),
            milliseconds=round((time.monotonic() - began) * 1000),
        )


def settle(wiring: Wiring, item: WorkItem, outcome: Outcome, seconds: float = 0.0) -> None:
    """Write an outcome down and count it. Raises Fenced when another attempt has taken over."""
    if outcome is TAKEN_OVER:
        raise Fenced(f"Attempt {item.attempt} at {item.id} has been taken over.")
    with _changing(wiring, item.merchant) as queue:
        came_to = outcome.what
        if outcome is DONE:
            queue.finish(item)
        elif outcome.after is None or (outcome.spend and item.failures + 1 >= MOST_FAILURES):
            queue.give_up(item, outcome.why)
            came_to = "dead"
        else:
            queue.retry(item, outcome.after, why=outcome.why, spend=outcome.spend, nothing_sent=outcome.nothing_sent)
        queue.tally(item.kind, came_to, seconds)


def outcome_of(failure: Exception, failures: int, timing: Timing = Timing()) -> Outcome:  # noqa: B008 - frozen
    """What follows from what a handler raised, after so many failures before."""
    match failure:
        case Fenced():
            return TAKEN_OVER
        case TryAgain():
            return Outcome("again", failure.why, failure.after, nothing_sent=True)
        case Unclear():
            # A fault that lasts is met less and less often: the budget of failures is a day and more, not minutes.
            after = max(timing.in_flight, _pause(failures + 1))
            return Outcome("unclear", failure.why, after, spend=True)
        case Disconnected():
            return Outcome("disconnected", failure.why, AFTER_DISCONNECT_SECONDS, nothing_sent=True)
        case TooMany():
            return Outcome("again", failure.message, float(failure.retry_after), nothing_sent=True)
        case Unavailable():
            return Outcome("again", failure.message, AFTER_UNAVAILABLE_SECONDS, nothing_sent=True)
        case Refused() | Gone():
            return Outcome("dead", failure.why, spend=True)
        case ConnectorError():
            return Outcome("dead", failure.message, spend=True)
    # The words of an unforeseen error may hold anything; the log has its place and kind.
    words = failure.why if isinstance(failure, Answer) else f"An unforeseen error: {type(failure).__name__}."
    return Outcome("failed", words, _pause(failures + 1), spend=True)


def run_due(wiring: Wiring, handlers: Mapping[Work, Handler], *, most: int = 10_000) -> int:
    """Do all work due by the wiring's clock, one after the other, without the job engine; how many attempts it took.

    For tests of journeys and for commands that wait for their work: the same rows, fences and outcomes, in this
    thread. Work that is due later stays; a test moves its clock. Raises RuntimeError after `most` attempts, which
    means that something asks for itself again and again.
    """
    attempts = 0
    while True:
        with wiring.database.lookup() as everybody:
            due = everybody.overdue_work(wiring.clock())
        if not due:
            return attempts
        for item in due:
            attempts += 1
            if attempts > most:
                raise RuntimeError(f"There is no end of work; the last was {item.id}, attempt {item.attempt}.")
            attempt(wiring, handlers, item.id, item.attempt, item.merchant)


def _call(wiring: Wiring, handlers: Mapping[Work, Handler], item: WorkItem) -> Outcome:
    handler = handlers.get(item.kind)
    if handler is None:
        return Outcome("dead", f"This version knows no way to do {item.kind} work.", spend=True)
    try:
        with nobody_waits(item.kind not in WAITED_FOR):
            handler(wiring, item)
    except Exception as failure:
        outcome = outcome_of(failure, item.failures, wiring.timing)
        if outcome.what == "failed":
            _log.warning("work failed", exc_info=failure)
        return outcome
    return DONE


def _still_on_its_way(wiring: Wiring, item: WorkItem) -> Outcome | None:
    if item.sent_at is None:
        return None
    left = wiring.timing.in_flight - (wiring.clock() - item.sent_at).total_seconds()
    if left <= 0:
        return None
    # Sent later than now: the clock was set back, and nothing takes longer than this.
    left = min(left, wiring.timing.in_flight)
    return Outcome("waits", "An earlier attempt may still be on its way.", left, nothing_sent=True)


def _pause(failures: int) -> float:
    # Jitter, so that what failed together does not come back together.
    return min(LONGEST_PAUSE_SECONDS, 2.0**failures) * random.uniform(0.7, 1.3)  # noqa: S311 - keeps no secret


@contextmanager
def _looking(wiring: Wiring, merchant_id: int | None) -> Iterator[WorkQueue]:
    if merchant_id is None:
        with wiring.database.lookup() as everybody:
            yield everybody.work(None)
    else:
        with wiring.database.view(merchant_id) as view:
            yield view.work


@contextmanager
def _changing(wiring: Wiring, merchant_id: int | None) -> Iterator[WorkQueue]:
    if merchant_id is None:
        with wiring.database.installation() as everybody:
            yield everybody.work(None)
    else:
        with wiring.database.unit_of_work(merchant_id) as uow:
            yield uow.work
