"""What is to be done by the clock: only selects and records work, so that doing it twice changes nothing.

Every connection's tasks are rows in `schedules`: when next, when last, what came of it. Whoever moves a due row on
records its work in the same transaction. What is done nightly carries the day in its identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from connector.contract import BillingSystem, RenewsWebhooks
from connector.db.schedules import DueTask
from connector.db.unit_of_work import Database
from connector.db.work import work_id
from connector.domain.payments import CHECKOUT_SECONDS
from connector.domain.records import PaymentState
from connector.domain.tasks import InstallationTask, Task, business_date, next_run
from connector.domain.work import Work

_KINDS = {
    Task.POLL: Work.SYNC,
    Task.FULL_SWEEP: Work.FULL_SWEEP,
    Task.DRIFT: Work.DRIFT,
    Task.TOKEN: Work.RENEW,
    Task.WEBHOOKS: Work.SUBSCRIBE,
}
_NIGHTLY = (Task.DRIFT, Task.FULL_SWEEP)
# The release of an abandoned checkout is recorded with the checkout itself; this finds what slipped through.
_ABANDONED_AFTER = timedelta(seconds=CHECKOUT_SECONDS + 300)
_UNPAID = (PaymentState.INTENDED, PaymentState.CHECKOUT, PaymentState.REQUIRES_ACTION)
# A gateway tells us when money has moved; where its webhook got lost, we ask.
_ASK_GATEWAY_AFTER = timedelta(hours=1)
_ASK_GATEWAY_EVERY = 30
_AT_ONCE = 1000
# The renewal itself says when the next one is due; one that does not get so far is begun again.
_RENEWED_BY = timedelta(hours=1)


def record(database: Database, now: datetime, systems: Mapping[str, BillingSystem] | None = None) -> int:
    """Record what is due in the minute of `now`; how many pieces of work. Called once a minute."""
    _plan(database, now, systems or {})
    return _due(database, now) + _payments(database, int(now.timestamp()) // 60, now)


def _plan(database: Database, now: datetime, systems: Mapping[str, BillingSystem]) -> None:
    """Give connections that became active since the last look their tasks."""
    with database.lookup() as everybody:
        unplanned = everybody.unplanned_connections()
    for merchant_id, connection_id, system in unplanned:
        with database.unit_of_work(merchant_id) as uow:
            for task in Task:
                note, next_at = "", next_run(task, system, connection_id, now)
                if task is Task.WEBHOOKS:
                    note = _no_webhooks_to_renew(systems.get(system))
                    next_at = None if note else now
                uow.schedules.plan(connection_id, task, next_at, note=note)


def _no_webhooks_to_renew(system: BillingSystem | None) -> str:
    """Why a system's webhooks need no renewal, in words; empty when they do."""
    if system is None:
        return "Webhooks of this system are set up once for the whole installation and do not run out."
    title = system.manifest.title
    if system.manifest.webhooks and system.manifest.webhooks.lasts and isinstance(system, RenewsWebhooks):
        return ""
    if system.manifest.webhooks is None:
        return f"{title} sends no webhooks; it is read by the clock."
    return f"{title}'s webhooks are set up once, in the app's settings there, and do not run out."


def _due(database: Database, now: datetime) -> int:
    recorded = 0
    while True:
        with database.lookup() as everybody:
            due = everybody.due_tasks(now, _AT_ONCE)
        recorded += sum(_record(database, task, now) for task in due)
        if len(due) < _AT_ONCE:
            return recorded


def _record(database: Database, due: DueTask, now: datetime) -> bool:
    """Move one task on and record its work, unless another worker has; a nightly one never twice for one day."""
    kind, key = _KINDS[due.task], str(due.connection_id)
    if due.task in _NIGHTLY:
        key = f"{due.connection_id}:{business_date(due.next_at).isoformat()}"
    following = next_run(due.task, due.system, due.connection_id, now + timedelta(minutes=1)) or now + _RENEWED_BY
    with database.unit_of_work(due.merchant_id) as uow:
        if not uow.schedules.take(due, following, work_id(kind, due.merchant_id, key)):
            return False
        if due.task in _NIGHTLY and uow.work.find(kind, key) is not None:
            return False
        partition = str(due.connection_id)
        uow.work.add(kind, key, partition=partition, payload={"connection": due.connection_id})
    return True


def _payments(database: Database, minute: int, now: datetime) -> int:
    """Checkouts nobody finished, and payments the gateway has not spoken of for long."""
    if minute % _ASK_GATEWAY_EVERY:
        return 0
    with database.lookup() as everybody:
        abandoned = everybody.payments_in_states([state.value for state in _UNPAID], now - _ABANDONED_AFTER)
        unheard = everybody.payments_in_states(
            [PaymentState.PROCESSING.value, PaymentState.UNKNOWN.value], now - _ASK_GATEWAY_AFTER
        )
    for kind, payments in ((Work.RELEASE, abandoned), (Work.RECONCILE, unheard)):
        for merchant_id, payment_id in payments:
            with database.unit_of_work(merchant_id) as uow:
                uow.work.add(kind, payment_id, partition=f"payments:{merchant_id}", payload={"payment": payment_id})
    asked = f"{len(abandoned)} abandoned checkouts to end, {len(unheard)} payments to ask the gateway about."
    note(database, InstallationTask.PAYMENTS, now + timedelta(minutes=_ASK_GATEWAY_EVERY), asked)
    return len(abandoned) + len(unheard)


def note(database: Database, task: InstallationTask, next_at: datetime, outcome: str) -> None:
    """Write down that a task of the installation's own was done."""
    with database.installation() as everybody:
        everybody.note_run(task, next_at, outcome)
