"""Give money back, in full or in part: asked by staff, sent by a worker, booked when the gateway says so."""

from __future__ import annotations

import hashlib
import uuid

from connector.contract import Refused, Unclear
from connector.db.work import WorkItem
from connector.domain.money import NotMoney, minor_to_text, parse
from connector.domain.records import PaymentState
from connector.domain.work import Work
from connector.errors import Conflict, Invalid
from connector.wiring import Wiring

_REFUNDABLE = (PaymentState.SETTLED, PaymentState.PARTLY_REFUNDED)


def ask(
    wiring: Wiring,
    merchant_id: int,
    payment_id: str,
    *,
    amount_text: str,
    reason: str,
    user_id: int,
    form_key: str = "",
) -> str:
    """Ask for a refund; its id. The same `form_key` again is the same refund.

    Raises Invalid (amount, reason), Conflict (nothing left to give back).
    """
    with wiring.database.unit_of_work(merchant_id) as uow:
        payment = uow.payments.get(payment_id)
        refund_id = _refund_id(payment_id, form_key)
        if uow.payments.has_refund(refund_id):
            return refund_id
        if payment.state not in _REFUNDABLE:
            raise Conflict("Only a payment whose money has arrived can be refunded.")
        try:
            amount = parse(amount_text, payment.currency).minor
        except NotMoney as problem:
            raise Invalid(str(problem), field="amount") from problem
        left = payment.booked - sum(refund.amount for refund in uow.payments.refunds_open(payment_id))
        if not 0 < amount <= left:
            most = minor_to_text(left, payment.currency)
            raise Invalid(f"At most {most} {payment.currency} can still be refunded.", field="amount")
        if not reason.strip():
            raise Invalid("Say why, so that your books explain themselves later.", field="reason")
        uow.payments.ask_refund(refund_id, payment, amount, reason.strip()[:500])
        uow.payments.tell(
            payment_id, "staff", "Asked for a refund", f"{minor_to_text(amount, payment.currency)} {payment.currency}"
        )
        uow.work.add(Work.REFUND, refund_id, partition=str(payment.connection_id), payload={"refund": refund_id})
        uow.merchants.audit("payment.refund_asked", target=f"payment {payment_id}", user_id=user_id)
        return refund_id


def _refund_id(payment_id: str, form_key: str) -> str:
    if not form_key:
        return uuid.uuid4().hex
    return hashlib.sha256(f"refund\n{payment_id}\n{form_key}".encode()).hexdigest()[:32]


def send(wiring: Wiring, item: WorkItem) -> None:
    """Worker: tell the gateway, always with the same key; the ledger follows the gateway's word."""
    with wiring.database.unit_of_work(item.merchant_id) as uow:
        refund = uow.payments.refund(str(item.payload["refund"]))
        payment = uow.payments.get(refund.payment_id)
        if refund.state not in ("asked", "sending") or payment.gateway_ref is None:
            return
        uow.payments.change_refund(refund.id, state="sending")
        uow.work.mark_sent(item)
    try:
        wiring.gateway(payment.gateway).refund(
            payment.gateway_ref, key=refund.id, amount=refund.amount, reason=refund.reason
        )
    except Refused as answer:
        with wiring.database.unit_of_work(item.merchant_id) as uow:
            uow.payments.change_refund(refund.id, state="refused", problem=answer.why)
            uow.payments.tell(payment.id, "gateway", "Refused the refund", answer.why)
        return
    except Unclear:
        with wiring.database.unit_of_work(item.merchant_id) as uow:
            uow.payments.tell(payment.id, "gateway", "No clear answer to the refund", "Asked again with the same key.")
        raise
    with wiring.database.unit_of_work(item.merchant_id) as uow:
        uow.payments.change_refund(refund.id, state="sent")
        uow.payments.tell(payment.id, "gateway", "Took the refund", refund.id)
        uow.work.add(Work.RECONCILE, payment.id, partition=str(payment.connection_id), payload={"payment": payment.id})
