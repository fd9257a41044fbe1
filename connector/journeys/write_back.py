"""Make the system's books agree with ours: each posting looked up, sent or adopted, or reversed. Exactly once."""

from __future__ import annotations

from collections.abc import Sequence

from connector.contract import (
    Access,
    BillingSystem,
    Disconnected,
    Gone,
    PaymentIntent,
    Refused,
    Stale,
    TryAgain,
    Unclear,
)
from connector.db.rows import ConnectionRow, PostingRow
from connector.db.unit_of_work import UnitOfWork
from connector.db.work import WorkItem
from connector.domain.ledger import receivable
from connector.domain.money import minor_to_text
from connector.domain.postings import Part, PostingState
from connector.domain.records import InvoiceState, RemotePayment, UpstreamInvoice
from connector.domain.work import Work
from connector.journeys.connect import mark_broken
from connector.wiring import Wiring

_SENT_BEFORE = (PostingState.SENDING,)
_TO_SEND = (PostingState.QUEUED, PostingState.SENDING)


def run(wiring: Wiring, item: WorkItem) -> None:
    """Worker: bring one payment's postings of one connection to where they shall be, reversals first."""
    merchant_id, payment_id = item.merchant_id, str(item.payload["payment"])
    with wiring.database.view(merchant_id) as view:
        connection = view.connections.get(int(item.payload["connection"]))
        customer = view.payments.get(payment_id).customer
        postings = view.postings.of_payment(payment_id, connection.id)
    if connection.state != "active":
        raise Disconnected(f"The payment waits to be recorded until {connection.name} is connected again.")
    system = wiring.system(connection.system)
    try:
        access = wiring.access(connection)
        # What could not be taken back stands in the way of what shall stand in its place.
        stuck = {posting.part for posting in postings if posting.state is PostingState.NEEDS_REVIEW}
        for posting in postings:
            if posting.state is PostingState.REVERSING and not _reverse(
                wiring, system, access, connection, posting, customer
            ):
                stuck.add(posting.part)
        for posting in postings:
            if posting.state in _TO_SEND and posting.part not in stuck:
                _send(wiring, item, system, access, connection, posting, customer)
        _close(wiring, system, access, connection, payment_id)
    except Disconnected as ended:
        mark_broken(wiring, merchant_id, connection.id, ended.why)
        raise


def _send(
    wiring: Wiring,
    item: WorkItem,
    system: BillingSystem,
    access: Access,
    connection: ConnectionRow,
    posting: PostingRow,
    customer: str,
) -> None:
    """One part: look up what may have been sent before, else send once. "sending" is committed before the call."""
    title = system.manifest.title
    if posting.state in _SENT_BEFORE:
        _wait_for_the_earlier_call(wiring, posting)
        found = system.find_payment(access, intent_of(connection, posting, customer))
        if found is not None and found.reversed:
            deleted = f"It was recorded in {title} and then deleted or voided there by hand. Retry records it again."
            _park(wiring, connection, posting, deleted, remote_id=found.remote_id)
            return
        if found is not None:
            _posted(wiring, item, connection, posting, found, f"Found in {title}: an earlier try had arrived")
            return
        # A system that remembers keys answers a refused one with the same refusal, whatever was put right since.
        retried_by_hand = item.payload.get("anew") == posting.key
        if retried_by_hand or not _may_resend(wiring, system, posting):
            _raise_generation(wiring, connection, posting)
            raise TryAgain("The look-up proved that nothing had arrived; it is sent anew.", after=0.0)
    elif (problem := _what_stands_against(system, access, connection, posting)) is not None:
        _park(wiring, connection, posting, problem)
        return
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        if not uow.postings.move(posting.key, _TO_SEND, PostingState.SENDING, sent_at=uow.now):
            return
        uow.work.mark_sent(item)
        uow.payments.tell(posting.payment_id, "us", f"Sent the payment to {title}", _in_words(posting))
    try:
        made = system.record_payment(access, intent_of(connection, posting, customer))
    except (Refused, Gone) as answer:
        _park(wiring, connection, posting, answer.why)
        return
    except Unclear as answer:
        with wiring.database.unit_of_work(connection.merchant_id) as uow:
            uow.payments.tell(posting.payment_id, "system", f"No clear answer from {title}", answer.why)
        raise
    except TryAgain:
        with wiring.database.unit_of_work(connection.merchant_id) as uow:
            uow.postings.move(posting.key, _SENT_BEFORE, PostingState.QUEUED, sent_at=posting.sent_at)
        raise
    _posted(wiring, item, connection, posting, made, f"{title} recorded the payment")


def _wait_for_the_earlier_call(wiring: Wiring, posting: PostingRow) -> None:
    if posting.sent_at is None:
        return
    left = wiring.timing.in_flight - (wiring.clock() - posting.sent_at).total_seconds()
    if left > 0:
        raise TryAgain("An earlier try may still be on its way; we look before anything is sent again.", after=left)


def _may_resend(wiring: Wiring, system: BillingSystem, posting: PostingRow) -> bool:
    """Whether the same key may go out again: only while the system itself remembers keys, and remembers this one.

    What was refused goes out under a new key, for the old one may be answered with the old refusal; so does what came
    to a fault where a system remembers those as well.
    """
    if posting.problem:
        return False
    capabilities = system.manifest.capabilities
    if capabilities.idempotency in ("unique_field", "natural"):
        return True
    if capabilities.idempotency_keeps_errors:
        return False
    if capabilities.idempotency != "native_key" or posting.sent_at is None:
        return False
    since = (wiring.clock() - posting.sent_at).total_seconds()
    return since < capabilities.idempotency_seconds - wiring.timing.in_flight


def _raise_generation(wiring: Wiring, connection: ConnectionRow, posting: PostingRow) -> None:
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        if uow.postings.get(posting.key).state in _SENT_BEFORE:
            _queue_anew(uow, posting)


def _queue_anew(uow: UnitOfWork, posting: PostingRow) -> None:
    """The same part under a new key: what went out under the old one certainly does not stand."""
    uow.postings.change(posting.key, state=PostingState.SUPERSEDED, problem="")
    uow.postings.queue(
        connection_id=posting.connection_id,
        payment_id=posting.payment_id,
        part=Part(posting.part, posting.allocations),
        generation=posting.generation + 1,
        currency=posting.currency,
        paid_on=posting.paid_on,
    )


def _what_stands_against(
    system: BillingSystem, access: Access, connection: ConnectionRow, posting: PostingRow
) -> str | None:
    """Why the payment cannot be recorded as it is, in words; read fresh, before the first try."""
    if system.manifest.capabilities.deposit_account_required and not connection.deposit_account:
        return "No account is chosen for payments to be booked to. Choose one in the connection's settings, then retry."
    for remote_id, share in posting.allocations:
        try:
            invoice = system.invoice(access, remote_id)
        except Gone:
            return "The invoice no longer exists in your accounting system."
        if invoice.state in (InvoiceState.VOID, InvoiceState.DELETED):
            return f"Invoice {invoice.number} was voided or deleted after the customer had paid it."
        if invoice.currency != posting.currency:
            return f"Invoice {invoice.number} is in {invoice.currency} now; the customer paid {posting.currency}."
        if invoice.balance < share:
            due, paid = (minor_to_text(amount, posting.currency) for amount in (invoice.balance, share))
            return f"Invoice {invoice.number} has only {due} due, but {paid} was paid here: it was paid twice."
    return None


def _park(wiring: Wiring, connection: ConnectionRow, posting: PostingRow, problem: str, *, remote_id: str = "") -> None:
    """A person must look; the payment stays in our ledger and the invoice stays locked. `remote_id`: what had been
    recorded, where something had."""
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        if uow.postings.move(
            posting.key, _TO_SEND, PostingState.NEEDS_REVIEW, problem=problem, remote_id=remote_id or posting.remote_id
        ):
            uow.payments.tell(posting.payment_id, "system", f"{connection.name} did not take the payment", problem)


def _posted(
    wiring: Wiring, item: WorkItem, connection: ConnectionRow, posting: PostingRow, made: RemotePayment, said: str
) -> None:
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        moved = uow.postings.move(
            posting.key,
            _TO_SEND,
            PostingState.POSTED,
            remote_id=made.remote_id,
            remote_version=made.version,
            posted_at=uow.now,
            problem="",
        )
        if moved:
            uow.payments.tell(
                posting.payment_id, "system", said, f"{_in_words(posting)}, their number {made.remote_id}"
            )
        else:
            _remember_what_stands(uow, posting, made)


def _remember_what_stands(uow: UnitOfWork, posting: PostingRow, made: RemotePayment) -> None:
    """It was told to be reversed while the call was out: the reversal needs to know what to reverse."""
    uow.postings.change(posting.key, remote_id=made.remote_id, remote_version=made.version)


def _reverse(
    wiring: Wiring,
    system: BillingSystem,
    access: Access,
    connection: ConnectionRow,
    posting: PostingRow,
    customer: str,
) -> bool:
    """Take a recorded payment back upstream, so that its invoices reopen; nothing there is done already.

    False when the system refuses: a person must look.
    """
    title = system.manifest.title
    if not posting.remote_id:
        _wait_for_the_earlier_call(wiring, posting)
    standing = system.find_payment(access, intent_of(connection, posting, customer))
    try:
        if standing is not None and not standing.reversed:
            system.reverse_payment(access, standing)
    except (Refused, Stale) as answer:
        with wiring.database.unit_of_work(connection.merchant_id) as uow:
            uow.postings.change(posting.key, state=PostingState.NEEDS_REVIEW, problem=answer.why)
            uow.payments.tell(posting.payment_id, "system", f"{title} did not reverse the payment", answer.why)
        return False
    except Gone:
        pass
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        if uow.postings.move(posting.key, (PostingState.REVERSING,), PostingState.REVERSED):
            uow.payments.tell(posting.payment_id, "system", f"{title} reversed the payment", _in_words(posting))
    return True


def _close(wiring: Wiring, system: BillingSystem, access: Access, connection: ConnectionRow, payment_id: str) -> None:
    """Everything stands: read the invoices back as they are now, and let them be paid again."""
    with wiring.database.view(connection.merchant_id) as view:
        if view.postings.open_count(payment_id):
            return
        invoices = view.invoices.several(list(view.payments.shares(payment_id)))
    read: list[UpstreamInvoice] = []
    for invoice in invoices:
        try:
            read.append(system.invoice(access, invoice.remote_id))
        except Gone:
            continue
    with wiring.database.unit_of_work(connection.merchant_id) as uow:
        if read:
            uow.mirror.put_invoices(connection.id, read)
        uow.payments.release(payment_id)


def retry(wiring: Wiring, merchant_id: int, posting_key: str, user_id: int) -> None:
    """A person has looked at a posting that needed review and wants it tried again, by look-up first.

    One that was being taken back is taken back; one that was recorded and deleted upstream by hand is recorded anew.
    """
    with wiring.database.unit_of_work(merchant_id) as uow:
        posting = uow.postings.get(posting_key)
        if posting.state is not PostingState.NEEDS_REVIEW:
            return
        if not _shall_stand(uow, posting):
            uow.postings.change(posting_key, state=PostingState.REVERSING, problem="")
        elif posting.remote_id:
            _queue_anew(uow, posting)
        else:
            again = PostingState.SENDING if posting.sent_at else PostingState.QUEUED
            uow.postings.change(posting_key, state=again)
        uow.work.add(
            Work.WRITE_BACK,
            f"{posting.payment_id}:{posting.connection_id}",
            partition=str(posting.connection_id),
            payload={"payment": posting.payment_id, "connection": posting.connection_id},
        )
        uow.merchants.audit("posting.retried", target=f"payment {posting.payment_id}", user_id=user_id)


def notice_deleted(uow: UnitOfWork, connection_id: int, remote_ids: Sequence[str]) -> None:
    """Payments of these ids no longer count upstream: where one was ours and shall stand, a person must know."""
    for posting in uow.postings.posted_as(connection_id, remote_ids):
        problem = (
            "This payment was deleted or voided in your accounting system by hand, so the invoice is due again there. "
            "Retry records it again."
        )
        if uow.postings.move(posting.key, (PostingState.POSTED,), PostingState.NEEDS_REVIEW, problem=problem):
            uow.payments.tell(posting.payment_id, "system", "The recorded payment was deleted by hand", problem)


def _shall_stand(uow: UnitOfWork, posting: PostingRow) -> bool:
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


def intent_of(connection: ConnectionRow, posting: PostingRow, customer: str) -> PaymentIntent:
    """What is to stand upstream for a posting: what it is recorded from and looked up by."""
    return PaymentIntent(
        key=posting.key,
        customer=customer,
        amount=posting.amount,
        currency=posting.currency,
        paid_on=posting.paid_on,
        allocations=posting.allocations,
        deposit_account=connection.deposit_account,
        reference=posting.key[:21],
        note=f"Paid online, payment {posting.payment_id}",
    )


def _in_words(posting: PostingRow) -> str:
    return f"{minor_to_text(posting.amount, posting.currency)} {posting.currency}, our key {posting.key}"
