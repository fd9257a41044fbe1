"""Take one part of a payment back out of a system's books, so that its invoices are due again."""

from __future__ import annotations

from connector.contract import Gone, Refused, Stale, Unclear
from connector.db.rows import PostingRow
from connector.domain.postings import PostingState
from connector.domain.records import RemotePayment
from connector.journeys.record_part import WriteBack, in_words, wait_for_the_earlier_call


def run(attempt: WriteBack, posting: PostingRow) -> bool:
    """Reverse what stands upstream for a posting; nothing there is done already.

    False when the system refuses or cannot be asked: a person must look. Raises TryAgain, Unclear.
    """
    if not posting.remote_id:
        wait_for_the_earlier_call(attempt, posting)
        if attempt.memory.kind == "none" and posting.sent_at is not None:
            return _hand_over(
                attempt,
                posting,
                f"The payment went back, and {attempt.title} never told us whether it had recorded it: payments there "
                "cannot be searched by our reference. Look at the invoice there and say below whether the payment "
                "stands; if it does, we take it back.",
            )
    try:
        standing = _what_stands(attempt, posting)
    except Unclear as several:
        return _hand_over(attempt, posting, several.why)
    try:
        if standing is not None and not standing.reversed:
            attempt.system.reverse_payment(attempt.access, standing)
    except (Refused, Stale) as answer:
        return _hand_over(attempt, posting, answer.why)
    except Gone:
        pass
    with attempt.wiring.database.unit_of_work(attempt.connection.merchant_id) as uow:
        if uow.postings.move(posting.key, (PostingState.REVERSING,), PostingState.REVERSED, problem=""):
            said = f"{attempt.title} reversed the payment"
            uow.payments.tell(posting.payment_id, "system", said, in_words(posting))
    return True


def _what_stands(attempt: WriteBack, posting: PostingRow) -> RemotePayment | None:
    if attempt.memory.kind != "none":
        return attempt.system.find_payment(attempt.access, attempt.intent(posting))
    if not posting.remote_id:
        return None
    return RemotePayment(
        posting.remote_id,
        posting.amount,
        posting.currency,
        reversed=False,
        version=posting.remote_version,
        allocations=posting.allocations,
    )


def _hand_over(attempt: WriteBack, posting: PostingRow, problem: str) -> bool:
    with attempt.wiring.database.unit_of_work(attempt.connection.merchant_id) as uow:
        if uow.postings.move(posting.key, (PostingState.REVERSING,), PostingState.NEEDS_REVIEW, problem=problem):
            said = f"{attempt.title} did not reverse the payment"
            uow.payments.tell(posting.payment_id, "system", said, problem)
    return False
