"""Record one part of a payment in a system's books: looked up, sent once, adopted, or handed to a person."""

from __future__ import annotations

from dataclasses import dataclass

from connector.contract import (
    DUPLICATE,
    Access,
    BillingSystem,
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
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.records import InvoiceState, RemotePayment
from connector.domain.resending import Seen, Step, SystemMemory, next_step
from connector.manifest import Capabilities
from connector.wiring import Wiring

_TO_SEND = (PostingState.QUEUED, PostingState.SENDING)
# A few attempts before the work's own budget of failures ends, so that a person sees it on the payment's page.
_MOST_UNCLEAR = 35


class OwnRule(TryAgain):
    """A delay of our own making: the system was not asked in vain."""


@dataclass(frozen=True)
class WriteBack:
    """One attempt at one payment's postings in one system."""

    wiring: Wiring
    item: WorkItem
    connection: ConnectionRow
    system: BillingSystem
    access: Access
    customer: str

    @property
    def title(self) -> str:
        """What the system is called."""
        return self.system.manifest.title

    @property
    def memory(self) -> SystemMemory:
        """How the system treats what is sent twice."""
        return memory_of(self.system.manifest.capabilities)

    def intent(self, posting: PostingRow) -> PaymentIntent:
        """What is to stand upstream for a posting."""
        return intent_of(self.connection, posting, self.customer)


def memory_of(capabilities: Capabilities) -> SystemMemory:
    """How a system of these capabilities treats a payment that is sent twice."""
    return SystemMemory(
        capabilities.idempotency,
        capabilities.idempotency_seconds,
        capabilities.idempotency_keeps_errors,
        capabilities.lookup_lag,
    )


def run(attempt: WriteBack, posting: PostingRow) -> None:
    """Take a posting that is queued or sending as far as it goes now.

    Raises TryAgain (nothing was sent, or an earlier call must be waited for), Unclear (sent, and no clear answer).
    """
    step = _next(attempt, posting, Seen.NOT_ASKED)
    found: RemotePayment | None = None
    if step is Step.LOOK_UP:
        try:
            found = attempt.system.find_payment(attempt.access, attempt.intent(posting))
        except Unclear as several:
            _park(attempt, posting, several.why)
            return
        seen = Seen.ABSENT if found is None else Seen.TAKEN_BACK if found.reversed else Seen.STANDING
        step = _next(attempt, posting, seen)
    match step:
        case Step.CHECK_AND_SEND:
            if problem := _what_stands_against(attempt, posting):
                _park(attempt, posting, problem)
            else:
                _send(attempt, posting)
        case Step.SEND_AGAIN:
            _send(attempt, posting)
        case Step.SEND_ANEW:
            with attempt.wiring.database.unit_of_work(attempt.connection.merchant_id) as uow:
                if uow.postings.get(posting.key).state is PostingState.SENDING:
                    uow.postings.queue_anew(posting)
            raise OwnRule("The look-up proved that nothing had arrived; it is sent anew.", after=0.0)
        case Step.ASK_WHETHER_IT_STANDS:
            _park(attempt, posting, _nobody_can_tell(attempt, posting), may_stand=True)
        case Step.WAIT:
            wait_for_the_earlier_call(attempt, posting)
            raise OwnRule("An earlier try has had its time by now; it is looked up.", after=0.0)
        case Step.ADOPT | Step.ASK_WHY_DELETED if found is not None:
            _settle(attempt, posting, found, f"Found in {attempt.title}: an earlier try had arrived")


def wait_for_the_earlier_call(attempt: WriteBack, posting: PostingRow) -> None:
    """Raises TryAgain while a call sent earlier may still arrive, and could not be seen yet."""
    if posting.sent_at is None:
        return
    settled = attempt.wiring.timing.in_flight + attempt.memory.lag_seconds
    left = settled - (attempt.wiring.clock() - posting.sent_at).total_seconds()
    if left > 0:
        # Sent later than now: the clock was set back.
        after = min(left, settled)
        raise OwnRule("An earlier try may still be on its way; we look before anything is sent again.", after=after)


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


def in_words(posting: PostingRow) -> str:
    """A posting as the payment's timeline names it."""
    return f"{minor_to_text(posting.amount, posting.currency)} {posting.currency}, our key {posting.key}"


def _next(attempt: WriteBack, posting: PostingRow, seen: Seen) -> Step:
    seconds_since_sent = None
    if posting.sent_at is not None:
        seconds_since_sent = (attempt.wiring.clock() - posting.sent_at).total_seconds()
    return next_step(
        posting.state,
        seconds_since_sent=seconds_since_sent,
        refused=bool(posting.problem),
        in_flight_seconds=attempt.wiring.timing.in_flight,
        memory=attempt.memory,
        seen=seen,
    )


def _send(attempt: WriteBack, posting: PostingRow) -> None:
    """One try. "sending" is committed before the call; only a clear answer, or a later look-up, leaves it."""
    merchant_id, database = attempt.connection.merchant_id, attempt.wiring.database
    with database.unit_of_work(merchant_id) as uow:
        if not uow.postings.move(posting.key, _TO_SEND, PostingState.SENDING, sent_at=uow.now):
            return
        uow.work.mark_sent(attempt.item)
        uow.payments.tell(posting.payment_id, "us", f"Sent the payment to {attempt.title}", in_words(posting))
    try:
        made = attempt.system.record_payment(attempt.access, attempt.intent(posting))
    except Refused as answer:
        if answer.code == DUPLICATE:
            _adopt_the_duplicate(attempt, posting, answer)
        else:
            _park(attempt, posting, answer.why, certain=True)
    except Gone as answer:
        _park(attempt, posting, answer.why, certain=True)
    except Unclear as answer:
        _unclear(attempt, posting, answer)
    except (TryAgain, Stale):
        # Certainly nothing has happened: it stands as it stood before.
        with database.unit_of_work(merchant_id) as uow:
            uow.postings.move(posting.key, (PostingState.SENDING,), posting.state, sent_at=posting.sent_at)
        raise
    else:
        _settle(attempt, posting, made, f"{attempt.title} recorded the payment")


def _unclear(attempt: WriteBack, posting: PostingRow, answer: Unclear) -> None:
    if attempt.item.failures >= _MOST_UNCLEAR:
        _park(attempt, posting, f"{answer.why} It was tried {attempt.item.failures} times. Retry looks it up first.")
        return
    with attempt.wiring.database.unit_of_work(attempt.connection.merchant_id) as uow:
        uow.payments.tell(posting.payment_id, "system", f"No clear answer from {attempt.title}", answer.why)
    raise answer


def _adopt_the_duplicate(attempt: WriteBack, posting: PostingRow, refusal: Refused) -> None:
    """Our own key stands there already: an earlier try has arrived after all."""
    try:
        found = attempt.system.find_payment(attempt.access, attempt.intent(posting))
    except Unclear as several:
        _park(attempt, posting, several.why)
        return
    if found is not None:
        _settle(attempt, posting, found, f"Found in {attempt.title}: an earlier try had arrived")
        return
    _unclear(attempt, posting, Unclear(f"{refusal.why} But {attempt.title} does not show that payment yet."))


def _settle(attempt: WriteBack, posting: PostingRow, made: RemotePayment, said: str) -> None:
    """It stands upstream, or stood there until somebody deleted it."""
    if made.reversed:
        deleted = f"It was recorded in {attempt.title} and then deleted or voided there by hand."
        _park(attempt, posting, f"{deleted} Retry records it again.", remote_id=made.remote_id)
        return
    with attempt.wiring.database.unit_of_work(attempt.connection.merchant_id) as uow:
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
            detail = f"{in_words(posting)}, their number {made.remote_id}"
            uow.payments.tell(posting.payment_id, "system", said, detail)
        else:
            _remember_what_stands(uow, posting, made)


def _remember_what_stands(uow: UnitOfWork, posting: PostingRow, made: RemotePayment) -> None:
    """It was told to be reversed while the call was out: the reversal needs to know what to reverse."""
    uow.postings.change(posting.key, remote_id=made.remote_id, remote_version=made.version)


def _park(
    attempt: WriteBack,
    posting: PostingRow,
    problem: str,
    *,
    remote_id: str = "",
    certain: bool = False,
    may_stand: bool = False,
) -> None:
    """A person must look; the payment stays in our ledger and the invoice stays locked.

    `remote_id`: what had been recorded, where something had. `certain`: nothing of this key stands there. `may_stand`:
    it may, and only a person can find out.
    """
    values: dict[str, object] = {"problem": problem, "remote_id": remote_id or posting.remote_id}
    with attempt.wiring.database.unit_of_work(attempt.connection.merchant_id) as uow:
        if certain and attempt.memory.kind == "none":
            # All others are looked up once more before they are tried again.
            values["sent_at"] = None
        elif may_stand and posting.sent_at is None:
            values["sent_at"] = uow.now
        if uow.postings.move(posting.key, _TO_SEND, PostingState.NEEDS_REVIEW, **values):
            said = f"{attempt.connection.name} did not take the payment"
            if may_stand:
                said = f"Nobody can tell whether {attempt.title} has the payment"
            uow.payments.tell(posting.payment_id, "system", said, problem)


def _what_stands_against(attempt: WriteBack, posting: PostingRow) -> str:
    """Why the payment cannot be recorded as it is, in words; read fresh, before the first try."""
    if attempt.system.manifest.capabilities.deposit_account_required and not attempt.connection.deposit_account:
        return "No account is chosen for payments to be booked to. Choose one in the connection's settings, then retry."
    for remote_id, share in posting.allocations:
        try:
            invoice = attempt.system.invoice(attempt.access, remote_id)
        except Gone:
            return "The invoice no longer exists in your accounting system."
        if invoice.state in (InvoiceState.VOID, InvoiceState.DELETED):
            return f"Invoice {invoice.number} was voided or deleted after the customer had paid it."
        if invoice.currency != posting.currency:
            return f"Invoice {invoice.number} is in {invoice.currency} now; the customer paid {posting.currency}."
        if invoice.balance < share:
            due, paid = (minor_to_text(amount, posting.currency) for amount in (invoice.balance, share))
            return f"Invoice {invoice.number} has only {due} due, but {paid} was paid here: it was paid twice."
    return ""


def _nobody_can_tell(attempt: WriteBack, posting: PostingRow) -> str:
    """What a person needs to find out whether the payment stands, in words."""
    due = []
    for remote_id, share in posting.allocations:
        try:
            invoice = attempt.system.invoice(attempt.access, remote_id)
        except Gone:
            continue
        left, paid = (minor_to_text(amount, posting.currency) for amount in (invoice.balance, share))
        due.append(f"Invoice {invoice.number} has {left} {posting.currency} due there now, {paid} of it was paid here.")
    return (
        f"{attempt.title} gave no clear answer, and payments there cannot be searched by our reference, so we cannot "
        f"tell whether the payment was recorded. {' '.join(due)} Look at the invoice there and say below whether the "
        "payment stands: we do not send it again by ourselves."
    )
