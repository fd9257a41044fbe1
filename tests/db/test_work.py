"""Work rows: nothing asked for is lost, nothing is done by two attempts at once, nothing waits longer than asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.work import Fenced, WorkItem, WorkQueue, WorkRow, overdue, work_id
from connector.domain.work import Work
from tests.db.conftest import NOW

Woken = list[tuple[str, int, float]]
Open = Callable[..., AbstractContextManager[WorkQueue]]


@pytest.fixture
def woken() -> Woken:
    """What the job engine was told: (work, attempt, delay)."""
    return []


@pytest.fixture
def queue(engine: sa.Engine, merchants: tuple[int, int], woken: Woken) -> Open:
    """Opens the first merchant's queue, `later` seconds after NOW; None: the installation's."""

    @contextmanager
    def opened(later: float = 0.0, merchant: int | None = merchants[0]) -> Any:
        def dispatch(connection: sa.Connection, item: WorkItem, delay: float) -> None:
            assert connection.in_transaction()
            woken.append((item.id, item.attempt, delay))

        with engine.begin() as connection:
            yield WorkQueue(connection, merchant, NOW + timedelta(seconds=later), dispatch)

    return opened


def _add(queue: Open, later: float = 0.0, **values: Any) -> None:
    with queue(later) as work:
        work.add(Work.SYNC, "7", **({"partition": "7", "payload": {"connection": 7}} | values))


def _row(queue: Open) -> WorkRow:
    with queue() as work:
        row = work.find(Work.SYNC, "7")
    assert row is not None
    return row


def _begin(queue: Open) -> WorkItem:
    with queue() as work:
        row = work.find(Work.SYNC, "7")
        assert row is not None
        item = work.open(row.item.id, row.item.attempt)
    assert item is not None
    return item


def test_new_work_is_pending_and_wakes_the_engine_in_its_transaction(
    queue: Open, woken: Woken, merchants: tuple[int, int]
) -> None:
    _add(queue, delay=30.0)
    row = _row(queue)
    identity = f"sync:{merchants[0]}:7"
    assert (row.item.id, row.state, row.item.attempt, row.item.failures) == (identity, "pending", 1, 0)
    assert row.item.payload == {"connection": 7}
    assert row.next_at == NOW + timedelta(seconds=30)
    assert woken == [(identity, 1, 30.0)]


def test_asking_again_while_pending_is_one_row_and_one_wake(queue: Open, woken: Woken) -> None:
    _add(queue)
    _add(queue, later=1)
    assert _row(queue).item.asked == 2
    assert len(woken) == 1


def test_asking_for_sooner_brings_it_forward_with_an_attempt_of_its_own(queue: Open, woken: Woken) -> None:
    _add(queue, delay=3600)
    stale = _begin(queue)
    _add(queue, delay=5)
    assert _row(queue).next_at == NOW + timedelta(seconds=5)
    assert [entry[1:] for entry in woken] == [(1, 3600), (2, 5)]
    with queue() as work:
        assert work.open(stale.id, 1) is None


def test_asking_for_later_does_not_put_it_off(queue: Open, woken: Woken) -> None:
    _add(queue, delay=5)
    _add(queue, delay=3600)
    assert _row(queue).next_at == NOW + timedelta(seconds=5)
    assert len(woken) == 1


def test_finished_work_is_done_and_its_attempt_cannot_be_opened_again(queue: Open) -> None:
    _add(queue)
    item = _begin(queue)
    with queue() as work:
        assert work.finish(item)
    assert _row(queue).state == "done"
    with queue() as work:
        assert work.open(item.id, item.attempt) is None


def test_a_request_that_comes_while_the_work_is_under_way_is_not_lost(queue: Open, woken: Woken) -> None:
    _add(queue)
    item = _begin(queue)
    _add(queue, payload={"connection": 7, "kinds": ["invoice"]})
    with queue() as work:
        assert not work.finish(item)
    row = _row(queue)
    assert (row.state, row.item.attempt, row.item.payload["kinds"]) == ("pending", 2, ["invoice"])
    assert [entry[1:] for entry in woken] == [(1, 0.0), (2, 0.0)]
    again = _begin(queue)
    with queue() as work:
        assert work.finish(again)
    assert _row(queue).state == "done"


def test_asking_for_finished_work_begins_it_anew(queue: Open, woken: Woken) -> None:
    _add(queue)
    item = _begin(queue)
    with queue() as work:
        work.mark_sent(item)
        work.finish(item)
    _add(queue)
    row = _row(queue)
    assert (row.state, row.item.attempt, row.item.sent_at, row.finished_at) == ("pending", 2, None, None)
    assert len(woken) == 2


def test_dead_work_is_begun_anew_with_a_fresh_budget_by_being_asked_for_or_by_a_person(queue: Open) -> None:
    _add(queue)
    item = _begin(queue)
    with queue() as work:
        work.give_up(item, "The invoice is closed.")
    row = _row(queue)
    assert (row.state, row.error, row.item.failures) == ("dead", "The invoice is closed.", 1)
    with queue() as work:
        assert work.try_now(item.id)
    row = _row(queue)
    assert (row.state, row.item.attempt, row.item.failures, row.next_at) == ("pending", 2, 0, NOW)
    with queue() as work:
        work.give_up(_begin_in(work, item.id, 2), "Again.")
    _add(queue)
    row = _row(queue)
    assert (row.state, row.item.attempt, row.item.failures, row.error) == ("pending", 3, 0, "")


def _begin_in(work: WorkQueue, identity: str, attempt: int) -> WorkItem:
    item = work.open(identity, attempt)
    assert item is not None
    return item


def test_a_retry_is_the_next_attempt_and_spends_only_what_it_is_told_to(queue: Open, woken: Woken) -> None:
    _add(queue)
    item = _begin(queue)
    with queue() as work:
        work.retry(item, 90, why="Rate limited.", spend=False)
    row = _row(queue)
    assert (row.item.attempt, row.item.failures, row.error) == (2, 0, "Rate limited.")
    assert row.next_at == NOW + timedelta(seconds=90)
    with queue() as work:
        work.retry(_begin_in(work, item.id, 2), 4, why="No answer.", spend=True)
    assert _row(queue).item.failures == 1
    assert [entry[1:] for entry in woken] == [(1, 0.0), (2, 90), (3, 4)]


def test_a_retry_that_was_asked_for_meanwhile_does_not_wait(queue: Open, woken: Woken) -> None:
    _add(queue)
    item = _begin(queue)
    _add(queue)
    with queue() as work:
        work.retry(item, 3600, why="The connection has ended.", spend=False)
    assert _row(queue).next_at == NOW
    with queue() as work:
        work.retry(_begin_in(work, item.id, 2), 3600, why="Still ended.", spend=False)
    assert _row(queue).next_at == NOW + timedelta(hours=1), "one request is one attempt"
    assert [entry[1:] for entry in woken] == [(1, 0.0), (2, 0.0), (3, 3600)]


def test_what_was_sent_stays_marked_until_it_is_certain_that_nothing_was(queue: Open) -> None:
    _add(queue)
    item = _begin(queue)
    with queue() as work:
        work.mark_sent(item)
        work.retry(item, 35, why="No answer.", spend=True)
    second = _begin(queue)
    assert second.sent_at == NOW
    with queue(40) as work:
        work.mark_sent(second)
        work.retry(second, 5, why="Rate limited.", spend=False, nothing_sent=True)
    assert _begin(queue).sent_at == NOW


def test_an_attempt_that_was_overtaken_can_write_nothing(queue: Open) -> None:
    _add(queue)
    stale = _begin(queue)
    with queue() as work:
        work.wake_again(stale)
    acts: list[Callable[[WorkQueue], object]] = [
        lambda work: work.mark_sent(stale),
        lambda work: work.finish(stale),
        lambda work: work.retry(stale, 1, why="", spend=True),
        lambda work: work.give_up(stale, ""),
        lambda work: work.wake_again(stale),
    ]
    for act in acts:
        with pytest.raises(Fenced), queue() as work:
            act(work)
    row = _row(queue)
    assert (row.state, row.item.attempt, row.item.sent_at) == ("pending", 2, None)


def test_a_cancelled_attempt_under_way_can_write_nothing(queue: Open) -> None:
    _add(queue)
    item = _begin(queue)
    with queue() as work:
        assert work.cancel(item.id, "Stopped by the operator.")
        assert not work.cancel(item.id, "Stopped by the operator.")
    with pytest.raises(Fenced), queue() as work:
        work.finish(item)
    assert _row(queue).state == "dead"


def test_a_rolled_back_transaction_leaves_no_work(queue: Open) -> None:
    with pytest.raises(ZeroDivisionError), queue() as work:
        work.add(Work.SYNC, "7", partition="7")
        raise ZeroDivisionError
    with queue() as work:
        assert work.find(Work.SYNC, "7") is None


def test_merchants_do_not_see_each_others_work(queue: Open, merchants: tuple[int, int]) -> None:
    _add(queue)
    item = _begin(queue)
    with queue(merchant=merchants[1]) as work:
        assert work.find(Work.SYNC, "7") is None
        assert work.open(item.id, 1) is None
        assert not work.try_now(item.id)
        assert work.list("pending") == []
        work.add(Work.SYNC, "7", partition="7")
    with queue() as work:
        assert [row.item.merchant for row in work.list("pending")] == [merchants[0]]


def test_the_installation_has_work_of_its_own(queue: Open) -> None:
    with queue(merchant=None) as work:
        work.add(Work.DELIVERY, "12", partition="quickbooks")
        row = work.find(Work.DELIVERY, "12")
    assert row is not None
    assert (row.item.id, row.item.merchant) == ("delivery::12", None)
    with pytest.raises(ValueError, match="no merchant"):
        _ = row.item.merchant_id


def test_due_work_of_everybody_is_found_in_order(engine: sa.Engine, queue: Open, merchants: tuple[int, int]) -> None:
    with queue() as work:
        work.add(Work.SYNC, "late", partition="p", delay=50)
        work.add(Work.SYNC, "future", partition="p", delay=500)
    with queue(merchant=merchants[1]) as work:
        work.add(Work.MAIL, "early", partition="p", delay=10)
    with engine.connect() as connection:
        due = overdue(connection, NOW + timedelta(seconds=100))
        assert [item.id for item in due] == [f"mail:{merchants[1]}:early", f"sync:{merchants[0]}:late"]
        assert len(overdue(connection, NOW + timedelta(seconds=100), limit=1)) == 1


def test_two_who_ask_at_once_make_one_row(engine: sa.Engine, merchants: tuple[int, int]) -> None:
    """On PostgreSQL both transactions are open together; on SQLite they take turns by themselves."""
    from threading import Barrier, Thread

    together = Barrier(4)
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            together.wait(10)
            with engine.begin() as connection:
                WorkQueue(connection, merchants[0], NOW, lambda *_: None).add(Work.SYNC, "7", partition="7")
        except BaseException as failure:
            failures.append(failure)

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with engine.connect() as connection:
        assert connection.execute(sa.select(t.work.c.asked)).scalars().all() == [4]


def test_a_key_that_would_be_cut_off_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        work_id(Work.SYNC, 1, "x" * 200)
