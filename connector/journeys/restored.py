"""After a restore: whatever was done since the backup was taken is found again before anything is done anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from connector.db.restoring import RESTORED
from connector.domain.work import Work
from connector.wiring import Wiring

# Banks may take back a debit for about this long.
_ASK_ABOUT_SETTLED_FOR = timedelta(days=70)


@dataclass(frozen=True, slots=True)
class Doubts:
    """What will be looked up: merchants, postings to look for upstream, payments to ask the gateways about."""

    merchants: int
    postings: int
    payments: int


def run(wiring: Wiring) -> Doubts:
    """Put in doubt what the database believes was never sent. No other process may be running.

    Postings not sent yet, and those still to come of payments older than this moment, are looked up by their keys
    first, and adopted where they stand; the gateways are asked about each payment that may have moved. May run again.
    """
    with wiring.database.lookup() as everybody:
        merchants = everybody.merchant_ids()
    postings = payments = 0
    for merchant_id in merchants:
        with wiring.database.unit_of_work(merchant_id) as uow:
            postings += uow.restoring.doubt_postings()
            asked = uow.restoring.payments_to_ask_about(uow.now - _ASK_ABOUT_SETTLED_FOR)
            for payment_id in asked:
                uow.work.add(
                    Work.RECONCILE, payment_id, partition=f"payments:{merchant_id}", payload={"payment": payment_id}
                )
            payments += len(asked)
            uow.merchants.audit(RESTORED)
    return Doubts(len(merchants), postings, payments)
