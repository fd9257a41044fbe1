"""Ask gateways and accounting systems, record by record, whether what we believe stands there; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from connector.contract import Answer, Unclear
from connector.db.rows import ConnectionRow, PaymentRow, PostingRow
from connector.domain.findings import Finding
from connector.domain.money import minor_to_text
from connector.domain.payments import WordDoesNotFit, judge
from connector.domain.postings import PostingState
from connector.domain.records import RemotePayment
from connector.errors import NotFound
from connector.journeys.record_part import intent_of
from connector.wiring import Wiring

_STANDS = (PostingState.POSTED,)
_TAKEN_BACK = (PostingState.SUPERSEDED, PostingState.REVERSED)


@dataclass
class Asked:
    """What came of asking. `left`: records not asked for want of calls; `unanswered`: those an upstream did not
    answer."""

    findings: list[Finding] = field(default_factory=list)
    asked: int = 0
    left: int = 0
    unanswered: int = 0


def run(wiring: Wiring, merchant_id: int | None = None, *, most_calls: int = 500) -> Asked:
    """Ask about every payment with a checkout, and every posting, the newest first; one or two calls each."""
    asked = Asked()
    if merchant_id is None:
        with wiring.database.lookup() as everybody:
            merchants = everybody.merchant_ids()
    else:
        merchants = [merchant_id]
    for merchant in merchants:
        with wiring.database.view(merchant) as view:
            payments = view.payments.with_checkout()
            postings = view.postings.sent()
            connections = {row.id: row for row in view.connections.all()}
        for payment in payments:
            if _may(asked, most_calls):
                _one(asked, _gateway(wiring, payment))
        customers = {payment.id: payment.customer for payment in payments}
        for posting in postings:
            connection = connections[posting.connection_id]
            if connection.state != "active":
                continue
            if _may(asked, most_calls):
                _one(asked, _system(wiring, connection, posting, customers[posting.payment_id]))
    return asked


def _may(asked: Asked, most_calls: int) -> bool:
    if asked.asked >= most_calls:
        asked.left += 1
        return False
    asked.asked += 1
    return True


def _one(asked: Asked, answers: Iterator[Finding]) -> None:
    try:
        asked.findings += answers
    except Unclear as doubt:
        # Several records carry one key: that is a payment doubled, and the system's own words name it.
        asked.findings.append(Finding("upstream_unclear", None, doubt.why, "Look at the payment in that system."))
    except (Answer, NotFound):
        asked.unanswered += 1


def _gateway(wiring: Wiring, payment: PaymentRow) -> Iterator[Finding]:
    """The gateway's word now against what is booked."""
    word = wiring.gateway(payment.gateway).fetch(payment.gateway_ref or "")
    ids: dict[str, str | int] = {"payment": payment.id, "checkout": payment.gateway_ref or ""}
    try:
        verdict = judge(
            amount=payment.amount, currency=payment.currency, state=payment.state, booked=payment.booked, word=word
        )
    except WordDoesNotFit as misfit:
        what = f"Payment {payment.id}: {misfit}"
        yield Finding("gateway_misfit", payment.merchant_id, what, "Look at the payment at the gateway.", ids)
        return
    if verdict.hold != payment.booked:
        says, booked = (minor_to_text(minor, payment.currency) for minor in (verdict.hold, payment.booked))
        what = (
            f"The gateway says {says} {payment.currency} are held of payment {payment.id}; the ledger holds {booked}."
        )
        do = "Its webhook was lost or is not worked on yet; the schedule asks again within the hour."
        yield Finding("gateway_differs", payment.merchant_id, what, do, ids)


def _system(wiring: Wiring, connection: ConnectionRow, posting: PostingRow, customer: str) -> Iterator[Finding]:
    """What stands upstream under a posting's key against what we believe."""
    system = wiring.system(connection.system)
    if system.manifest.capabilities.idempotency == "none":
        # It cannot be asked for our keys.
        return
    title = system.manifest.title
    ids: dict[str, str | int] = {"payment": posting.payment_id, "posting": posting.key, "connection": connection.id}
    found = system.find_payment(wiring.access(connection), intent_of(connection, posting, customer))
    stands = found is not None and not found.reversed
    amount = f"{minor_to_text(posting.amount, posting.currency)} {posting.currency}"
    if posting.state in _STANDS and not stands:
        what = f"{title} does not hold {amount} of payment {posting.payment_id}, which was recorded there."
        do = "Somebody deleted or voided it. The payment's page offers to record it again once the sync has seen it."
        yield Finding("upstream_missing", connection.merchant_id, what, do, ids)
    elif posting.state in _TAKEN_BACK and stands:
        what = f"{title} still holds {amount} of payment {posting.payment_id}, which was taken back or replaced."
        yield Finding("upstream_too_many", connection.merchant_id, what, f"Delete that payment in {title}.", ids)
    elif stands and posting.state in _STANDS and (difference := unlike(posting, found)):
        what = f"{title} holds payment {posting.payment_id} otherwise than recorded: {difference}"
        yield Finding("upstream_differs", connection.merchant_id, what, f"Put it right in {title}.", ids)


def unlike(posting: PostingRow, found: RemotePayment | None) -> str:
    """How a record upstream differs from its posting, in words; empty when it does not."""
    if found is None:
        return "It is not there."
    if (found.amount, found.currency) != (posting.amount, posting.currency):
        ours = f"{minor_to_text(posting.amount, posting.currency)} {posting.currency}"
        theirs = f"{minor_to_text(found.amount, found.currency)} {found.currency}"
        return f"Its amount is {theirs} there and {ours} here."
    if sorted(found.allocations) != sorted(posting.allocations):
        ours, theirs = (
            ", ".join(
                f"{minor_to_text(share, posting.currency)} to invoice {invoice}" for invoice, share in sorted(pairs)
            )
            for pairs in (posting.allocations, found.allocations)
        )
        return f"It gives {theirs or 'nothing'} there, {ours} here."
    return ""
