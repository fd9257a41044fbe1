"""What follows from how an attempt ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
import structlog

from connector import errors
from connector.contract import Disconnected, Gone, Refused, Stale, TryAgain, Unclear
from connector.db.work import WorkItem, WorkRow
from connector.domain.work import Work
from connector.jobs.runner import MOST_FAILURES, Handler, attempt, outcome_of, run_due
from connector.wiring import Wiring
from tests.jobs.wired import START, Clock, add_merchant, wired


@pytest.fixture
def clock() -> Clock:
    """A clock the test moves."""
    return Clock()


@pytest.fixture
def wiring(schema_url: str, clock: Clock) -> Iterator[Wiring]:
    """A wiring whose work is run by the test."""
    made = wired(schema_url, lambda connection, item, delay: None, clock)
    yield made
    made.database.engine.dispose()


@pytest.fixture
def merchant(wiring: Wiring) -> int:
    """Whose work it is."""
    return add_merchant(wiring)


def _ask(wiring: Wiring, merchant: int, key: str = "7", delay: float = 0.0) -> None:
    with wiring.database.unit_of_work(merchant) as uow:
        uow.work.add(Work.MAIL, key, partition="mail", delay=delay)


def _row(wiring: Wiring, merchant: int, key: str = "7") -> WorkRow:
    with wiring.database.view(merchant) as view:
        row = view.work.find(Work.MAIL, key)
    assert row is not None
    return row


def _raising(failure: Exception) -> Handler:
    def handler(wiring: Wiring, item: WorkItem) -> None:
        raise failure

    return handler


def _once(wiring: Wiring, merchant: int, handler: Handler) -> WorkRow:
    """Run the present attempt with this handler; how the row stands then."""
    item = _row(wiring, merchant).item
    attempt(wiring, {Work.MAIL: handler}, item.id, item.attempt, item.merchant)
    return _row(wiring, merchant)


def test_a_handler_that_returns_has_done_the_work(wiring: Wiring, merchant: int) -> None:
    _ask(wiring, merchant)
    seen: list[WorkItem] = []
    row = _once(wiring, merchant, lambda _, item: seen.append(item))
    assert row.state == "done"
    assert [(item.kind, item.merchant, item.attempt) for item in seen] == [(Work.MAIL, merchant, 1)]


@pytest.mark.parametrize(
    ("failure", "after", "spent"),
    [
        (TryAgain("Rate limited.", after=12.5), 12.5, 0),
        (TryAgain("More to read.", after=0.0), 0.0, 0),
        (Unclear("No answer."), 35.0, 1),
        (Disconnected("Connect again."), 3600.0, 0),
        (errors.Unavailable("The gateway is away."), 60.0, 0),
        (errors.TooMany("Slower.", retry_after=40), 40.0, 0),
    ],
)
def test_answers_that_are_tried_again(
    wiring: Wiring, merchant: int, failure: Exception, after: float, spent: int
) -> None:
    _ask(wiring, merchant)
    row = _once(wiring, merchant, _raising(failure))
    assert (row.state, row.item.attempt, row.item.failures) == ("pending", 2, spent)
    assert row.next_at == START + timedelta(seconds=after)
    assert row.error == str(failure)


@pytest.mark.parametrize(
    "failure",
    [
        Refused("The invoice is closed.", "6210"),
        Gone("The invoice was deleted."),
        errors.Conflict("The invoice was paid meanwhile."),
        errors.NotFound("No such connection."),
    ],
)
def test_answers_a_person_must_look_at(wiring: Wiring, merchant: int, failure: Exception) -> None:
    _ask(wiring, merchant)
    row = _once(wiring, merchant, _raising(failure))
    assert (row.state, row.error) == ("dead", str(failure))


def test_an_unforeseen_error_is_tried_again_later_and_later_and_never_shows_its_words(
    wiring: Wiring, merchant: int, clock: Clock
) -> None:
    _ask(wiring, merchant)
    pauses = []
    for _ in range(4):
        row = _once(wiring, merchant, _raising(KeyError("token=secret-value")))
        pauses.append((row.next_at - clock.now).total_seconds())
        clock.now = row.next_at
    assert row.error == "An unforeseen error: KeyError."
    assert row.item.failures == 4
    for failures, pause in enumerate(pauses, 1):
        assert 0.69 * 2**failures <= pause <= 1.31 * 2**failures


def test_a_stale_record_is_read_again_as_a_failure_with_words(wiring: Wiring, merchant: int) -> None:
    _ask(wiring, merchant)
    row = _once(wiring, merchant, _raising(Stale("Somebody edited the invoice.")))
    assert (row.state, row.item.failures, row.error) == ("pending", 1, "Somebody edited the invoice.")


def test_pauses_are_never_longer_than_an_hour_and_a_bit() -> None:
    outcome = outcome_of(RuntimeError(), 30)
    assert outcome.after is not None and 2500 < outcome.after <= 3600 * 1.3


def test_work_that_never_succeeds_is_dead_in_the_end(wiring: Wiring, merchant: int, clock: Clock) -> None:
    _ask(wiring, merchant)
    handlers = {Work.MAIL: _raising(RuntimeError("always"))}
    # Tracebacks drawn for a console would take most of this test's time.
    with structlog.testing.capture_logs():
        for _ in range(MOST_FAILURES + 5):
            clock.forward(5000)
            run_due(wiring, handlers)
    row = _row(wiring, merchant)
    assert (row.state, row.item.attempt, row.item.failures) == ("dead", MOST_FAILURES, MOST_FAILURES)


def test_a_kind_nobody_can_do_is_dead_with_words(wiring: Wiring, merchant: int) -> None:
    _ask(wiring, merchant)
    item = _row(wiring, merchant).item
    attempt(wiring, {}, item.id, item.attempt, item.merchant)
    assert _row(wiring, merchant).error == "This version knows no way to do mail work."


def test_a_stale_attempt_does_nothing(wiring: Wiring, merchant: int) -> None:
    _ask(wiring, merchant)
    calls: list[int] = []
    handlers: dict[Work, Handler] = {Work.MAIL: lambda _, item: calls.append(item.attempt)}
    identity = _row(wiring, merchant).item.id
    attempt(wiring, handlers, identity, 2, merchant)
    attempt(wiring, handlers, "mail:1:unknown", 1, merchant)
    attempt(wiring, handlers, identity, 1, merchant)
    attempt(wiring, handlers, identity, 1, merchant)
    assert calls == [1]


def test_an_attempt_overtaken_while_it_ran_writes_nothing(wiring: Wiring, merchant: int) -> None:
    _ask(wiring, merchant)

    def overtaken(wiring: Wiring, item: WorkItem) -> None:
        with wiring.database.unit_of_work(merchant) as uow:
            uow.work.wake_again(item)

    row = _once(wiring, merchant, overtaken)
    assert (row.state, row.item.attempt) == ("pending", 2)

    def overtaken_before_it_sent(wiring: Wiring, item: WorkItem) -> None:
        overtaken(wiring, item)
        with wiring.database.unit_of_work(merchant) as uow:
            uow.work.mark_sent(item)

    row = _once(wiring, merchant, overtaken_before_it_sent)
    assert (row.state, row.item.attempt, row.item.sent_at, row.item.failures) == ("pending", 3, None, 0)


def test_no_transaction_is_open_while_the_handler_runs(wiring: Wiring, merchant: int) -> None:
    _ask(wiring, merchant)
    out: list[int] = []

    def handler(wiring: Wiring, item: WorkItem) -> None:
        pool = wiring.database.engine.pool
        assert isinstance(pool, sa.pool.QueuePool)
        out.append(pool.checkedout())

    _once(wiring, merchant, handler)
    assert out == [0]


def test_what_an_earlier_attempt_sent_is_waited_for(wiring: Wiring, merchant: int, clock: Clock) -> None:
    """As after a worker was killed: the attempt runs again, and its request may still be on its way."""
    _ask(wiring, merchant)
    item = _row(wiring, merchant).item
    with wiring.database.unit_of_work(merchant) as uow:
        uow.work.mark_sent(item)
    clock.forward(10)
    calls: list[WorkItem] = []
    row = _once(wiring, merchant, lambda _, item: calls.append(item))
    assert calls == []
    assert (row.item.attempt, row.item.failures, row.next_at) == (2, 0, START + timedelta(seconds=35))
    clock.forward(25)
    row = _once(wiring, merchant, lambda _, item: calls.append(item))
    assert row.state == "done"
    assert [item.sent_at for item in calls] == [START]


def test_a_definite_not_yet_after_sending_need_not_wait(wiring: Wiring, merchant: int) -> None:
    _ask(wiring, merchant)

    def limited(wiring: Wiring, item: WorkItem) -> None:
        with wiring.database.unit_of_work(merchant) as uow:
            uow.work.mark_sent(item)
        raise TryAgain("Rate limited.", after=2.0)

    row = _once(wiring, merchant, limited)
    assert (row.item.sent_at, row.next_at) == (None, START + timedelta(seconds=2))


def test_asked_for_again_while_it_ran_it_is_done_again(wiring: Wiring, merchant: int) -> None:
    _ask(wiring, merchant)
    calls: list[int] = []

    def handler(wiring: Wiring, item: WorkItem) -> None:
        calls.append(item.attempt)
        if len(calls) == 1:
            _ask(wiring, merchant)

    assert run_due(wiring, {Work.MAIL: handler}) == 2
    assert calls == [1, 2]
    assert _row(wiring, merchant).state == "done"


def test_due_work_of_merchants_and_of_the_installation_is_done_and_later_work_waits(
    wiring: Wiring, merchant: int, clock: Clock
) -> None:
    other = add_merchant(wiring, "south")
    done: list[tuple[Work, int | None]] = []
    handlers: dict[Work, Handler] = {kind: lambda _, item: done.append((item.kind, item.merchant)) for kind in Work}
    _ask(wiring, merchant)
    _ask(wiring, other)
    _ask(wiring, other, key="later", delay=60)
    with wiring.database.installation() as everybody:
        everybody.work(None).add(Work.DELIVERY, "1", partition="xero", payload={"delivery": 1})
    assert run_due(wiring, handlers) == 3
    assert sorted(done, key=str) == sorted([(Work.MAIL, merchant), (Work.MAIL, other), (Work.DELIVERY, None)], key=str)
    clock.forward(61)
    assert run_due(wiring, handlers) == 1


def test_work_without_end_is_noticed(wiring: Wiring, merchant: int) -> None:
    _ask(wiring, merchant)
    with pytest.raises(RuntimeError, match="no end of work"):
        run_due(wiring, {Work.MAIL: _raising(TryAgain("More.", after=0.0))}, most=20)


def test_lines_of_the_log_carry_the_correlation_of_the_request_that_asked(wiring: Wiring, merchant: int) -> None:
    with structlog.contextvars.bound_contextvars(correlation="c0ffee"):
        _ask(wiring, merchant)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        _once(wiring, merchant, _raising(ValueError("secret-value")))
    assert {line["correlation"] for line in lines} == {"c0ffee"}
    assert [line["outcome"] for line in lines if line["event"] == "work"] == ["failed"]
