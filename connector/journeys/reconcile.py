"""The gateway's own word decides: ledger, invoices and write-back follow it in one transaction."""

from __future__ import annotations

from datetime import UTC

from connector.contract import Refused, TryAgain
from connector.db.rows import PaymentRow
from connector.db.unit_of_work import UnitOfWork
from connector.db.work import WorkItem
from connector.domain import ledger
from connector.domain.money import minor_to_text
from connector.domain.payments import UNPAID_END, Verdict, WordDoesNotFit, judge
from connector.domain.postings import PostingState, parts
from connector.domain.records import GatewayPayment, PaymentState
from connector.domain.work import Work
from connector.wiring import Wiring

_WORDS = {
    PaymentState.REQUIRES_ACTION: "The customer is asked to confirm the payment",
    PaymentState.PROCESSING: "The payment is on its way",
    PaymentState.SETTLED: "The money has arrived",
    PaymentState.FAILED: "The payment was declined",
    PaymentState.CANCELLED: "The payment was cancelled before any money moved",
    PaymentState.RETURNED: "The bank returned the payment",
    PaymentState.PARTLY_REFUNDED: "Part of the payment was refunded",
    PaymentState.REFUNDED: "The payment was refunded in full",
}


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: ask the gateway about one payment and book its answer. May run any number of times."""
    merchant_id, payment_id = item.merchant_id, str(item.payload["payment"])
    with wiring.database.view(merchant_id) as view:
        payment = view.payments.get(payment_id)
    gateway = wiring.gateway(payment.gateway)
    ref = payment.gateway_ref
    if ref is None:
        checkout = gateway.find_checkout(payment.id)
        if checkout is None:
            return
        ref = checkout.ref
    word = gateway.fetch(ref)
    book(wiring, merchant_id, payment_id, word, seen=payment)
    if word.state is PaymentState.UNKNOWN:
        raise TryAgain("The payment provider reports a state we do not know; we ask again.", after=600.0)


def book(
    wiring: Wiring, merchant_id: int, payment_id: str, word: GatewayPayment, *, seen: PaymentRow | None = None
) -> PaymentState:
    """Apply the gateway's word to a payment, once: the same word again changes nothing.

    `seen` is the payment as it stood before the gateway was asked: a word that another has overtaken is not booked,
    TryAgain asks for a newer one. Raises Refused for a word that does not fit, for a person to look at.
    """
    try:
        return _book(wiring, merchant_id, payment_id, word, seen)
    except WordDoesNotFit as misfit:
        with wiring.database.unit_of_work(merchant_id) as uow:
            uow.payments.tell(payment_id, "gateway", "Speaks of another payment than ours", str(misfit))
        raise Refused(f"{misfit} Nothing was booked; look at the payment there.", "misfit") from misfit


def _book(
    wiring: Wiring, merchant_id: int, payment_id: str, word: GatewayPayment, seen: PaymentRow | None
) -> PaymentState:
    with wiring.database.unit_of_work(merchant_id) as uow:
        payment = uow.payments.get(payment_id)
        if seen is not None and (seen.state, seen.booked, seen.refunded) != (
            payment.state,
            payment.booked,
            payment.refunded,
        ):
            raise TryAgain("The payment changed while the payment provider was asked; we ask again.", after=0.0)
        verdict = judge(
            amount=payment.amount, currency=payment.currency, state=payment.state, booked=payment.booked, word=word
        )
        _note(uow, payment, verdict, word)
        _settle_refunds(uow, payment.id, word)
        if verdict.hold != payment.booked:
            _move_money(wiring, uow, payment, verdict.hold, word)
        if verdict.release:
            uow.payments.release(payment_id)
        return verdict.state


def _note(uow: UnitOfWork, payment: PaymentRow, verdict: Verdict, word: GatewayPayment) -> None:
    if payment.gateway_ref is None:
        uow.payments.change(payment.id, gateway_ref=word.ref)
    if verdict.state is payment.state and word.refunded == payment.refunded:
        return
    uow.payments.change(
        payment.id,
        state=verdict.state,
        method=word.method or payment.method,
        failure=word.failure if verdict.state in (*UNPAID_END, PaymentState.RETURNED) else "",
        refunded=word.refunded,
        booked=verdict.hold,
        settled_at=payment.settled_at or (word.settled_at if verdict.hold else None),
    )
    said = _WORDS.get(verdict.state)
    if said:
        amount = minor_to_text(word.refunded or payment.amount, payment.currency)
        detail = f"{word.method} {amount} {payment.currency} {word.failure}".strip()
        uow.payments.tell(payment.id, "gateway", said, detail)


def _settle_refunds(uow: UnitOfWork, payment_id: str, word: GatewayPayment) -> None:
    """Refunds the gateway has taken, oldest first, as far as what it reports as given back covers them."""
    left = word.refunded - uow.payments.refunds_settled(payment_id)
    for refund in uow.payments.refunds_open(payment_id):
        if refund.state == "sent" and refund.amount <= left:
            uow.payments.change_refund(refund.id, state="settled")
            left -= refund.amount
        elif refund.state == "sent" and word.state is PaymentState.RETURNED:
            problem = "The bank took the whole payment back before the refund went out."
            uow.payments.change_refund(refund.id, state="refused", problem=problem)
            uow.payments.tell(payment_id, "gateway", "The refund did not go out", problem)


def _move_money(wiring: Wiring, uow: UnitOfWork, payment: PaymentRow, hold: int, word: GatewayPayment) -> None:
    """Book the difference, and say what must stand in the system's books from now on."""
    shares = uow.payments.shares(payment.id)
    moved = uow.ledger.of_payment(payment.id)
    before = {invoice: -moved.get(ledger.receivable(payment.connection_id, invoice), 0) for invoice in shares}
    after = ledger.shift(before, shares, hold)
    difference = {invoice: abs(after[invoice] - before[invoice]) for invoice in shares}
    entry = ledger.receipt if hold > payment.booked else ledger.giving_back
    uow.ledger.book(
        entry(
            payment_id=payment.id,
            # The payment's row is locked: its entries are numbered in the order of what happened to it.
            reason=f"{payment.id}:{uow.ledger.entries_of(payment.id) + 1}:{word.state}:{hold}",
            gateway=payment.gateway,
            connection_id=payment.connection_id,
            shares=difference,
            currency=payment.currency,
        )
    )
    uow.payments.change(payment.id, booked=hold)
    _plan_postings(wiring, uow, payment, after, word)
    # Between taking the old record back and making the new one an invoice looks due upstream though it is paid.
    for invoice in sorted(invoice for invoice, share in after.items() if share):
        uow.payments.lock(invoice, payment.id)
    uow.work.add(
        Work.WRITE_BACK,
        f"{payment.id}:{payment.connection_id}",
        partition=str(payment.connection_id),
        payload={"payment": payment.id, "connection": payment.connection_id},
    )


def _plan_postings(
    wiring: Wiring, uow: UnitOfWork, payment: PaymentRow, after: dict[int, int], word: GatewayPayment
) -> None:
    connection = uow.connections.get(payment.connection_id)
    remote = {invoice.id: invoice.remote_id for invoice in uow.invoices.several(list(after))}
    capabilities = wiring.system(connection.system).manifest.capabilities
    wanted = {
        part.part: part
        for part in parts([(remote[i], share) for i, share in after.items()], multi_invoice=capabilities.multi_invoice)
    }
    standing = uow.postings.of_payment(payment.id, connection.id)
    generations = {posting.part: posting.generation for posting in standing}
    for posting in standing:
        part = wanted.get(posting.part)
        if posting.state in (PostingState.SUPERSEDED, PostingState.REVERSED, PostingState.REVERSING):
            continue
        if part is not None and part.allocations == posting.allocations:
            del wanted[posting.part]
        elif posting.state is PostingState.QUEUED:
            uow.postings.change(posting.key, state=PostingState.SUPERSEDED)
        else:
            uow.postings.change(posting.key, state=PostingState.REVERSING)
    paid_on = (word.settled_at or uow.now).astimezone(UTC).date()
    for part in wanted.values():
        uow.postings.queue(
            connection_id=connection.id,
            payment_id=payment.id,
            part=part,
            generation=generations.get(part.part, 0) + 1,
            currency=payment.currency,
            paid_on=paid_on,
        )
