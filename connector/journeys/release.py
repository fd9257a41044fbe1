"""An abandoned checkout is ended at the gateway, and only then are its invoices free again."""

from __future__ import annotations

from connector.contract import TryAgain
from connector.db.work import WorkItem
from connector.domain.payments import IN_FLIGHT
from connector.domain.records import PaymentState
from connector.journeys import reconcile
from connector.wiring import Wiring


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker, when a checkout's time is over. Raises TryAgain while the customer can still pay it."""
    give_up(wiring, item.merchant_id, str(item.payload["payment"]))


def give_up(wiring: Wiring, merchant_id: int, payment_id: str) -> PaymentState:
    """End an unpaid checkout at the gateway and book what the gateway says then; the payment's state afterwards.

    A payment that is processing or settled by then simply goes on as such. Never released on our own guess.
    """
    with wiring.database.view(merchant_id) as view:
        payment = view.payments.get(payment_id)
    if payment.state not in IN_FLIGHT or payment.state is PaymentState.PROCESSING:
        return payment.state
    gateway = wiring.gateway(payment.gateway)
    ref = payment.gateway_ref
    if ref is None:
        checkout = gateway.find_checkout(payment.id)
        if checkout is None:
            return _never_opened(wiring, merchant_id, payment_id)
        ref = checkout.ref
    word = gateway.cancel(ref)
    state = reconcile.book(wiring, merchant_id, payment_id, word, seen=payment)
    if word.payable:
        raise TryAgain("The payment page is still open at the payment provider.", after=60.0)
    return state


def _never_opened(wiring: Wiring, merchant_id: int, payment_id: str) -> PaymentState:
    """The gateway knows no checkout for this payment, long after one could still have been on its way."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        payment = uow.payments.get(payment_id)
        if payment.state is PaymentState.INTENDED and payment.gateway_ref is None and payment.expires_at <= uow.now:
            uow.payments.change(payment_id, state=PaymentState.CANCELLED, failure="The payment page was never opened.")
            uow.payments.release(payment_id)
            uow.payments.tell(payment_id, "us", "Released the invoices", "The payment page was never opened.")
            return PaymentState.CANCELLED
        return payment.state
