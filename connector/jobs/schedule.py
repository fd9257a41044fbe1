"""What is to be done by the clock: only selects and records work, so that doing it twice changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from connector.db.unit_of_work import Database
from connector.domain.payments import CHECKOUT_SECONDS
from connector.domain.records import PaymentState
from connector.domain.work import Work

# Minutes between two readings of what is new, a system; webhooks come in between. Xero allows 5,000 calls a day for
# each organisation and 1,000 on its starter plan.
_READ_EVERY = {"xero": 15}
_READ_EVERY_OTHERWISE = 5
# The release of an abandoned checkout is recorded with the checkout itself; this finds what slipped through.
_ABANDONED_AFTER = timedelta(seconds=CHECKOUT_SECONDS + 300)
_UNPAID = (PaymentState.INTENDED, PaymentState.CHECKOUT, PaymentState.REQUIRES_ACTION)
# A gateway tells us when money has moved; where its webhook got lost, we ask.
_ASK_GATEWAY_AFTER = timedelta(hours=1)
_ASK_GATEWAY_EVERY = 30


def record(database: Database, now: datetime) -> int:
    """Record what is due in the minute of `now`; how many pieces of work. Called once a minute."""
    minute = int(now.timestamp()) // 60
    return _readings(database, minute) + _payments(database, minute, now)


def _readings(database: Database, minute: int) -> int:
    """The connections whose turn it is in this minute: spread out, so that not all read at once."""
    with database.lookup() as everybody:
        connections = everybody.active_connections()
    due = [
        (merchant_id, connection_id)
        for merchant_id, connection_id, system in connections
        if (minute + connection_id) % _READ_EVERY.get(system, _READ_EVERY_OTHERWISE) == 0
    ]
    for merchant_id, connection_id in due:
        with database.unit_of_work(merchant_id) as uow:
            uow.work.add(
                Work.SYNC, str(connection_id), partition=str(connection_id), payload={"connection": connection_id}
            )
    return len(due)


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
    return len(abandoned) + len(unheard)
