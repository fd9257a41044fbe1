"""What a person decides about a difference: one of a few legal fixes, or to leave it as it is. Nothing is lost by any.

Whatever touches a payment upstream goes through its posting and the write-back, which looks before it sends.
"""

from __future__ import annotations

from datetime import UTC

from connector.contract import Answer, Disconnected, Gone, Unclear
from connector.db.differences import DifferenceRow, Found
from connector.db.rows import InvoiceRow, PostingRow
from connector.db.unit_of_work import UnitOfWork
from connector.domain.ledger import Entry, EntryLine, receivable
from connector.domain.money import Money, minor_to_text
from connector.domain.postings import Part, PostingState, parts
from connector.domain.records import InvoiceState, Kind
from connector.domain.tasks import What
from connector.domain.work import Work
from connector.errors import Conflict, Unavailable
from connector.journeys import drift_payments, inject, review
from connector.journeys.connect import mark_broken
from connector.journeys.record_part import intent_of
from connector.wiring import Wiring


def record_today(wiring: Wiring, merchant_id: int, posting_key: str, user_id: int) -> None:
    """The period of the payment's day is closed: record it with today's date. Raises Conflict."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        posting = _in_review(uow, posting_key)
        _replace(uow, posting, posting.allocations, paid_on_today=True)
        uow.payments.tell(posting.payment_id, "staff", "Chose to record the payment with today's date")
        uow.merchants.audit("difference.redated", target=f"payment {posting.payment_id}", user_id=user_id)


def record_anew(wiring: Wiring, merchant_id: int, difference_id: int, user_id: int) -> None:
    """It was changed upstream: take that record back and record it as it was paid. Raises Conflict."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        difference = _open(uow, difference_id, What.PAYMENT_DIFFERS)
        posting = uow.postings.get(difference.posting_key or "")
        if posting.state is not PostingState.POSTED:
            raise Conflict("The payment is being worked on already. Load the page again to see how it stands.")
        _replace(uow, posting, posting.allocations)
        uow.differences.close(difference.id, "fixed", "It is taken back and recorded again as it was paid.", user_id)
        uow.payments.tell(posting.payment_id, "staff", "Had the changed record taken back and made again")
        uow.merchants.audit("difference.recorded_anew", target=f"payment {posting.payment_id}", user_id=user_id)


def take_back(wiring: Wiring, merchant_id: int, difference_id: int, user_id: int) -> None:
    """It stands upstream and shall not: take it back there. Raises Conflict."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        difference = _open(uow, difference_id, What.PAYMENT_EXTRA)
        posting = uow.postings.get(difference.posting_key or "")
        if posting.state not in (PostingState.SUPERSEDED, PostingState.REVERSED):
            raise Conflict("Two records carry the same key. Delete one of them there yourself, then press Check again.")
        uow.postings.change(posting.key, state=PostingState.REVERSING, problem="")
        _go_on(uow, posting)
        uow.differences.close(difference.id, "fixed", "It is being taken back there.", user_id)
        uow.merchants.audit("difference.taken_back", target=f"payment {posting.payment_id}", user_id=user_id)


def give_to(wiring: Wiring, merchant_id: int, posting_key: str, invoice_id: int, user_id: int) -> None:
    """The invoice was made anew upstream: what was paid for the old one pays the new one, in ledger and books.

    No second payment: the money moves from one receivable to the other. Raises Conflict where it does not fit.
    """
    with wiring.database.unit_of_work(merchant_id) as uow:
        posting = _in_review(uow, posting_key)
        new = uow.invoices.get(invoice_id)
        old, share = _the_lost_invoice(uow, posting, new)
        _check_fits(uow, posting, old, new, share)
        moved = _move_share(uow, posting, old, new, share)
        _replace(uow, posting, moved)
        words = f"{minor_to_text(share, posting.currency)} {posting.currency}"
        said = f"Gave {words} from invoice {old.number} to invoice {new.number}"
        uow.payments.tell(posting.payment_id, "staff", said, "The invoice was made anew in the accounting system.")
        uow.merchants.audit("difference.given_to", target=f"payment {posting.payment_id}", user_id=user_id)


def place_link(wiring: Wiring, merchant_id: int, difference_id: int, user_id: int) -> None:
    """Place the link once more. Raises Conflict, NotFound."""
    with wiring.database.view(merchant_id) as view:
        difference = _open(view, difference_id, What.LINK)
    inject.place_again(wiring, merchant_id, difference.connection_id, difference.subject)
    with wiring.database.unit_of_work(merchant_id) as uow:
        uow.differences.close(difference.id, "fixed", "The link is being placed again.", user_id)
        uow.merchants.audit("difference.link_placed", target=f"invoice {difference.name}", user_id=user_id)


def check_again(wiring: Wiring, merchant_id: int, difference_id: int) -> bool:
    """Ask the system how it stands now; whether it agrees. Raises Unavailable when it does not answer."""
    with wiring.database.view(merchant_id) as view:
        difference = view.differences.get(difference_id)
        connection = view.connections.get(difference.connection_id)
    if difference.what == What.LINK:
        stands = inject.check(wiring, merchant_id, connection.id, difference.subject)
        if stands:
            with wiring.database.unit_of_work(merchant_id) as uow:
                uow.differences.gone(connection.id, What.LINK, difference.subject)
        return stands
    with wiring.database.view(merchant_id) as view:
        posting = view.postings.get(difference.posting_key or "")
        customer = view.payments.get(posting.payment_id).customer
    system = wiring.system(connection.system)
    title = system.manifest.title
    try:
        found = system.find_payment(wiring.access(connection), intent_of(connection, posting, customer))
    except Unclear:
        return False
    except Disconnected as ended:
        mark_broken(wiring, merchant_id, connection.id, ended.why)
        raise Conflict(ended.why) from ended
    except (Answer, Gone) as answer:
        raise Unavailable(f"{title} could not be asked just now: {answer.why}") from answer
    with wiring.database.unit_of_work(merchant_id) as uow:
        if difference.what == What.PAYMENT_EXTRA:
            if found is not None and not found.reversed and found.remote_id == difference.subject:
                return False
            uow.differences.gone(connection.id, What.PAYMENT_EXTRA, difference.subject)
            return True
        if found is None or found.reversed:
            drift_payments.deleted(uow, connection.id, posting)
            uow.differences.close(difference.id, "fixed", "The record was deleted there since.")
            return True
        return not drift_payments.judge(uow, connection, title, posting, found)


def ignore(wiring: Wiring, merchant_id: int, difference_id: int, user_id: int) -> None:
    """Leave it as it is; it is not shown again while it looks the same."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        difference = uow.differences.get(difference_id)
        uow.differences.close(difference.id, "ignored", "Left as it is.", user_id)
        uow.merchants.audit("difference.ignored", target=f"{difference.what} {difference.name}", user_id=user_id)


def ignore_posting(wiring: Wiring, merchant_id: int, posting_key: str, user_id: int) -> None:
    """Leave a payment unrecorded; its invoice stays locked here, so that it cannot be paid twice. Raises Conflict."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        posting = _in_review(uow, posting_key)
        amount = f"{minor_to_text(posting.amount, posting.currency)} {posting.currency}"
        found = Found(
            What.POSTING,
            posting.key,
            amount,
            f"{amount} paid",
            "Not recorded",
            posting.problem,
            posting.payment_id,
            posting.key,
        )
        uow.differences.open(posting.connection_id, found)
        row = uow.differences.of(posting.connection_id, What.POSTING, posting.key)
        if row is not None:
            uow.differences.close(row.id, "ignored", "Left unrecorded.", user_id)
        uow.payments.tell(posting.payment_id, "staff", "Chose to leave the payment unrecorded")
        uow.merchants.audit("difference.ignored", target=f"payment {posting.payment_id}", user_id=user_id)


def bring_back(wiring: Wiring, merchant_id: int, difference_id: int, user_id: int) -> None:
    """Show an ignored difference again."""
    with wiring.database.unit_of_work(merchant_id) as uow:
        difference = uow.differences.get(difference_id)
        if difference.state == "ignored":
            uow.differences.close(difference.id, "open", "")
            uow.merchants.audit("difference.brought_back", target=difference.name, user_id=user_id)


def _open(uow: UnitOfWork, difference_id: int, what: What) -> DifferenceRow:
    difference = uow.differences.get(difference_id)
    if difference.what != what or difference.state != "open":
        raise Conflict("This difference is settled already. Load the page again to see how it stands.")
    return difference


def _in_review(uow: UnitOfWork, posting_key: str) -> PostingRow:
    posting = uow.postings.get(posting_key)
    if posting.state is not PostingState.NEEDS_REVIEW or not review.shall_stand(uow, posting):
        raise Conflict("This payment does not wait for you any more. Load the page again to see how it stands.")
    return posting


def _replace(
    uow: UnitOfWork, posting: PostingRow, allocations: tuple[tuple[str, int], ...], *, paid_on_today: bool = False
) -> None:
    """A new posting takes the old one's place; what may have been sent is looked up and taken back first."""
    sent = posting.sent_at is not None or bool(posting.remote_id)
    uow.postings.change(posting.key, state=PostingState.REVERSING if sent else PostingState.SUPERSEDED, problem="")
    whole = posting.part not in {remote_id for remote_id, _ in posting.allocations}
    for part in parts(allocations, multi_invoice=whole):
        generations = [
            other.generation
            for other in uow.postings.of_payment(posting.payment_id, posting.connection_id)
            if other.part == part.part
        ]
        uow.postings.queue(
            connection_id=posting.connection_id,
            payment_id=posting.payment_id,
            part=Part(part.part, part.allocations),
            generation=max(generations, default=0) + 1,
            currency=posting.currency,
            paid_on=uow.now.astimezone(UTC).date() if paid_on_today else posting.paid_on,
        )
    _go_on(uow, posting)


def _the_lost_invoice(uow: UnitOfWork, posting: PostingRow, new: InvoiceRow) -> tuple[InvoiceRow, int]:
    """The invoice of the posting that no longer counts and bears the new one's number, with its share."""
    for remote_id, share in posting.allocations:
        old = uow.invoices.by_remote(posting.connection_id, remote_id, Kind.INVOICE)
        lost = old is not None and old.state in (InvoiceState.DELETED, InvoiceState.VOID)
        if old is not None and lost and old.number == new.number and old.customer == new.customer:
            return old, share
    raise Conflict("None of this payment's invoices was replaced by that one.")


def _check_fits(uow: UnitOfWork, posting: PostingRow, old: InvoiceRow, new: InvoiceRow, share: int) -> None:
    if new.connection_id != posting.connection_id or new.id == old.id or new.state != InvoiceState.OPEN:
        raise Conflict("That invoice is not open in the same accounting system.")
    if new.currency != posting.currency or new.balance < share:
        raise Conflict("That invoice is in another currency, or less is due on it than was paid.")
    if new.id in uow.payments.shares(posting.payment_id):
        raise Conflict("The payment pays that invoice already.")
    holder = uow.payments.lock_holders([new.id]).get(new.id)
    if holder is not None and holder != posting.payment_id:
        raise Conflict("A customer is paying that invoice right now. Try again when that payment has ended.")


def _move_share(
    uow: UnitOfWork, posting: PostingRow, old: InvoiceRow, new: InvoiceRow, share: int
) -> tuple[tuple[str, int], ...]:
    """Ledger, allocation and lock go from the old invoice to the new one; the posting's new allocations."""
    money = Money(share, posting.currency)
    uow.ledger.book(
        Entry(
            "transfer",
            posting.payment_id,
            f"{posting.payment_id}:{uow.ledger.entries_of(posting.payment_id) + 1}:given:{old.id}:{new.id}",
            (
                EntryLine(receivable(posting.connection_id, old.id), money),
                EntryLine(receivable(posting.connection_id, new.id), Money(-share, posting.currency)),
            ),
        )
    )
    uow.payments.give_share(posting.payment_id, old.id, new.id)
    uow.payments.release_invoice(posting.payment_id, old.id)
    uow.payments.lock(new.id, posting.payment_id)
    return tuple((new.remote_id if remote == old.remote_id else remote, part) for remote, part in posting.allocations)


def _go_on(uow: UnitOfWork, posting: PostingRow) -> None:
    uow.work.add(
        Work.WRITE_BACK,
        f"{posting.payment_id}:{posting.connection_id}",
        partition=str(posting.connection_id),
        payload={"payment": posting.payment_id, "connection": posting.connection_id},
    )
