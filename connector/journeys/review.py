"""What a person decides about a posting that needs review: try it again, it stands there, or it does not."""

from __future__ import annotations

from connector.contract import Answer, Disconnected, Gone, ReadsPayments, Refused
from connector.db.rows import ConnectionRow, PostingRow
from connector.db.unit_of_work import UnitOfWork
from connector.domain.ledger import receivable
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.resending import only_a_person_knows
from connector.domain.work import Work
from connector.errors import Conflict, Invalid, Unavailable
from connector.journeys.connect import mark_broken
from connector.journeys.record_part import memory_of
from connector.wiring import Wiring

_LONGEST_NUMBER = 64


def retry(wiring: Wiring, merchant_id: int, posting_key: str, user_id: int) -> None:
    """A person has looked at a posting that needed review and wants it tried again, by look-up first.

    One that was being taken back is taken back; one that was recorded and deleted upstream by hand is recorded anew.
    """
    with wiring.database.unit_of_work(merchant_id) as uow:
        posting = uow.postings.get(posting_key)
        if posting.state is not PostingState.NEEDS_REVIEW:
            return
        if not shall_stand(uow, posting):
            uow.postings.change(posting_key, state=PostingState.REVERSING, problem="")
        elif posting.remote_id:
            uow.postings.queue_anew(posting)
        else:
            again = PostingState.SENDING if posting.sent_at else PostingState.QUEUED
            uow.postings.change(posting_key, state=again)
        _go_on(uow, posting)
        uow.merchants.audit("posting.retried", target=f"payment {posting.payment_id}", user_id=user_id)


def stands_there(wiring: Wiring, merchant_id: int, posting_key: str, *, number: str, user_id: int) -> None:
    """A person has found the payment in a system that cannot be asked, under its own `number` there.

    It is adopted, or taken back where it shall not stand any more. A system that can show one payment is asked for it;
    any other is taken at the person's word. Raises Conflict, Invalid (number), Unavailable (no answer).
    """
    number = number.strip()
    if not number or len(number) > _LONGEST_NUMBER or not number.isprintable():
        raise Invalid("Enter the number the payment has in your accounting system.", field="number")
    with wiring.database.view(merchant_id) as view:
        doubted = _in_doubt(wiring, view, posting_key)
        connection = view.connections.get(doubted.connection_id)
    number = _as_it_stands(wiring, connection, doubted, number)
    with wiring.database.unit_of_work(merchant_id) as uow:
        posting = _in_doubt(wiring, uow, posting_key)
        if uow.postings.posted_as(posting.connection_id, [number]):
            raise Invalid(f"Payment {number} there is known as the record of another payment.", field="number")
        if shall_stand(uow, posting):
            uow.postings.change(posting_key, state=PostingState.POSTED, remote_id=number, posted_at=uow.now, problem="")
            uow.payments.tell(posting.payment_id, "staff", "Found the payment in the books", f"Their number {number}")
        else:
            uow.postings.change(posting_key, state=PostingState.REVERSING, remote_id=number, problem="")
        _go_on(uow, posting)
        uow.merchants.audit("posting.adopted", target=f"payment {posting.payment_id}", user_id=user_id)


def not_there(wiring: Wiring, merchant_id: int, posting_key: str, user_id: int) -> None:
    """A person has made sure that a system that cannot be asked does not have the payment.

    It is recorded once more under a new key, or is done where it shall not stand any more. Raises Conflict.
    """
    with wiring.database.unit_of_work(merchant_id) as uow:
        posting = _in_doubt(wiring, uow, posting_key)
        if shall_stand(uow, posting):
            uow.postings.queue_anew(posting)
        else:
            uow.postings.change(posting_key, state=PostingState.REVERSED, problem="")
        uow.payments.tell(posting.payment_id, "staff", "Made sure that the books do not have the payment")
        _go_on(uow, posting)
        uow.merchants.audit("posting.not_there", target=f"payment {posting.payment_id}", user_id=user_id)


def shall_stand(uow: UnitOfWork, posting: PostingRow) -> bool:
    """Whether the payment still holds what this posting says, and no later one has taken its place."""
    moved = uow.ledger.of_payment(posting.payment_id)
    held = {
        invoice.remote_id: -moved.get(receivable(posting.connection_id, invoice.id), 0)
        for invoice in uow.invoices.several(list(uow.payments.shares(posting.payment_id)))
    }
    generations = [
        other.generation
        for other in uow.postings.of_payment(posting.payment_id, posting.connection_id)
        if other.part == posting.part
    ]
    return posting.generation == max(generations) and all(
        held.get(remote_id) == share for remote_id, share in posting.allocations
    )


def _as_it_stands(wiring: Wiring, connection: ConnectionRow, posting: PostingRow, number: str) -> str:
    """The id of the payment a person means by a number, made sure of where the system can be asked."""
    system = wiring.system(connection.system)
    if not isinstance(system, ReadsPayments):
        return number
    title = system.manifest.title
    try:
        found = system.payment(wiring.access(connection), number)
    except (Gone, Refused) as answer:
        words = f"{title} has no payment with the number {number}. Look there once more which number it has."
        raise Invalid(words, field="number") from answer
    except Disconnected as ended:
        mark_broken(wiring, connection.merchant_id, connection.id, ended.why)
        raise Conflict(ended.why) from ended
    except Answer as answer:
        raise Unavailable(f"{title} could not be asked for payment {number} just now: {answer.why}") from answer
    if found.reversed:
        raise Invalid(f"Payment {number} was voided or deleted in {title}, so it pays nothing.", field="number")
    if (found.amount, found.currency) != (posting.amount, posting.currency):
        theirs, ours = (f"{minor_to_text(one.amount, one.currency)} {one.currency}" for one in (found, posting))
        raise Invalid(f"Payment {number} in {title} is one of {theirs}; this one is of {ours}.", field="number")
    return found.remote_id


def _in_doubt(wiring: Wiring, uow: UnitOfWork, posting_key: str) -> PostingRow:
    posting = uow.postings.get(posting_key)
    system = wiring.system(uow.connections.get(posting.connection_id).system)
    if not only_a_person_knows(
        posting.state,
        sent=posting.sent_at is not None,
        remote_id=posting.remote_id,
        memory=memory_of(system.manifest.capabilities),
    ):
        raise Conflict("This payment is not in doubt any more. Load the page again to see how it stands.")
    return posting


def _go_on(uow: UnitOfWork, posting: PostingRow) -> None:
    uow.work.add(
        Work.WRITE_BACK,
        f"{posting.payment_id}:{posting.connection_id}",
        partition=str(posting.connection_id),
        payload={"payment": posting.payment_id, "connection": posting.connection_id},
    )
