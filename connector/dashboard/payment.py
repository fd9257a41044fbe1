"""One payment: what was sent, what was answered, what stands in the books, and giving money back."""

from __future__ import annotations

import re
import secrets

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue

from connector.dashboard.frame import act, merchant_id, show, staff_blueprint, user_id
from connector.domain.money import NotMoney, parse
from connector.domain.postings import PostingState
from connector.domain.resending import only_a_person_knows
from connector.errors import Conflict, ConnectorError, Invalid, NotFound
from connector.journeys import refund as refunding
from connector.journeys import review
from connector.journeys.record_part import memory_of
from connector.reading import payments
from connector.web.context import wiring

blueprint = staff_blueprint("payment")
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LONGEST_REASON = 500


@blueprint.get("/payments/<payment_id>")
def page(payment_id: str) -> ResponseReturnValue:
    """Everything about it."""
    one = _one(payment_id)
    in_doubt = {posting.key for posting in one.postings if _only_a_person_knows(posting)}
    return show("payment", "payments", one=one, refundable=_refundable(one), titles=_titles(), in_doubt=in_doubt)


@blueprint.get("/payments/<payment_id>/refund")
def ask_refund(payment_id: str) -> ResponseReturnValue:
    """How much, and why; then what it means, before it happens."""
    one = _one(payment_id)
    amount, reason = request.args.get("amount", "").strip()[:40], request.args.get("reason", "").strip()
    if not request.args:
        return _refund_page(one, "", "", None)
    try:
        minor = parse(amount, one.currency).minor
        if not 0 < minor <= one.left:
            raise Invalid("Enter an amount that can still be refunded.", field="amount")
        if not reason:
            raise Invalid("Say why, so that your books explain themselves later.", field="reason")
    except NotMoney as problem:
        return _refund_page(one, amount, reason, Invalid(str(problem), field="amount"))
    except Invalid as error:
        return _refund_page(one, amount, reason, error)
    return show(
        "refund_confirm",
        "payments",
        one=one,
        minor=minor,
        amount=amount,
        reason=reason[:_LONGEST_REASON],
        form_key=secrets.token_urlsafe(16),
    )


@blueprint.post("/payments/<payment_id>/refund")
def refund(payment_id: str) -> ResponseReturnValue:
    """Give money back. The same form sent twice is one refund."""
    one = _one(payment_id)
    amount, reason = request.form.get("amount", "").strip()[:40], request.form.get("reason", "")
    try:
        refunding.ask(
            wiring(),
            merchant_id(),
            payment_id,
            amount_text=amount,
            reason=reason,
            user_id=user_id(),
            form_key=request.form.get("form_key", "")[:64],
        )
    except (Invalid, Conflict) as error:
        return _refund_page(one, amount, reason[:_LONGEST_REASON], error), error.status
    flash("The refund was sent to the payment provider. This page shows when it is done.", "good")
    return redirect(f"/payments/{payment_id}", 303)


@blueprint.post("/payments/<payment_id>/postings/<key>/retry")
def retry(payment_id: str, key: str) -> ResponseReturnValue:
    """Try again to record the payment, by look-up first."""
    if key not in {posting.key for posting in _one(payment_id).postings}:
        raise NotFound("This posting does not exist.")
    return act(
        lambda: review.retry(wiring(), merchant_id(), key, user_id()),
        done="It is tried again: we look it up first, so it is never recorded twice.",
        back=f"/payments/{payment_id}",
    )


@blueprint.post("/payments/<payment_id>/postings/<key>/there")
def stands_there(payment_id: str, key: str) -> ResponseReturnValue:
    """Somebody has found the payment in a system we cannot ask: it is adopted under its number there."""
    if key not in {posting.key for posting in _one(payment_id).postings}:
        raise NotFound("This posting does not exist.")
    number = request.form.get(f"number-{key}", "")[:200]
    return act(
        lambda: review.stands_there(wiring(), merchant_id(), key, number=number, user_id=user_id()),
        done="Thank you. The payment is known as recorded from now on.",
        back=f"/payments/{payment_id}",
    )


@blueprint.post("/payments/<payment_id>/postings/<key>/not-there")
def not_there(payment_id: str, key: str) -> ResponseReturnValue:
    """Somebody has made sure that a system we cannot ask does not have the payment: it is recorded once more."""
    if key not in {posting.key for posting in _one(payment_id).postings}:
        raise NotFound("This posting does not exist.")
    return act(
        lambda: review.not_there(wiring(), merchant_id(), key, user_id()),
        done="Thank you. What shall stand in your books is recorded now.",
        back=f"/payments/{payment_id}",
    )


def _only_a_person_knows(posting: payments.Posting) -> bool:
    known = wiring().systems.get(posting.system)
    return known is not None and only_a_person_knows(
        PostingState(posting.state),
        sent=posting.sent_at is not None,
        remote_id=posting.remote_id,
        memory=memory_of(known.manifest.capabilities),
    )


def _one(payment_id: str) -> payments.Payment:
    if not _ID.fullmatch(payment_id):
        raise NotFound("This payment does not exist.")
    return payments.payment(wiring(), merchant_id(), payment_id)


def _refundable(one: payments.Payment) -> bool:
    return one.state in ("settled", "partly_refunded") and one.left > 0


def _titles() -> dict[str, str]:
    """How systems and gateways are called."""
    known = wiring()
    systems = {name: system.manifest.title for name, system in known.systems.items()}
    return systems | {name: gateway.manifest.title for name, gateway in known.gateways.items()}


def _refund_page(one: payments.Payment, amount: str, reason: str, error: ConnectorError | None) -> str:
    return show("refund", "payments", one=one, amount=amount, reason=reason, error=error, refundable=_refundable(one))
