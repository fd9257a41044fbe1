"""Which fixes are legal for which difference, and what each means, in the merchant's words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, auto
from typing import Any

from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.tasks import What


class Lost(StrEnum):
    """Why a payment could not be recorded, or does not stand any more."""

    DELETED = auto()
    CLOSED = auto()
    PAID_ALREADY = auto()
    INVOICE_GONE = auto()
    CURRENCY = auto()
    ACCOUNT = auto()
    REVERSAL = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Fix:
    """One way out. `action` ends the address of a button; `href` leads to a page instead; `means`: what will happen."""

    label: str
    means: str
    action: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `ref` is unlike any other's; fixes are sent below `address`; `dated` says what `found_at` is."""

    ref: str
    address: str
    system: str
    connection: str
    what: str
    name: str
    ours: str
    theirs: str
    cause: str
    found_at: datetime
    payment_id: str | None
    fixes: Sequence[Fix]
    dated: str = "Since"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the fixes of a payment that waits for review depend on. `remade`: (id, words) of an invoice made anew."""

    title: str
    payment_id: str
    lost: Lost
    remade: tuple[int, str] | None
    unasked: bool


def fixes_of_posting(facts: Facts) -> Sequence[Fix]:
    """The fixes of a payment that waits for review; the safest first, leaving it always last."""
    title = facts.title
    ignore = Fix(
        "Ignore",
        f"It stays unrecorded in {title}. The invoice stays locked here, so that it is never paid twice.",
        "ignore",
    )
    if facts.unasked:
        page = f"/payments/{facts.payment_id}"
        return (Fix("Look at the payment", f"Its page asks whether {title} has it; only you can see that.", href=page),)
    refund = Fix(
        "Refund the customer",
        "The money goes back; nothing is recorded in your books.",
        href=f"/payments/{facts.payment_id}/refund",
    )
    match facts.lost:
        case Lost.DELETED:
            again = Fix("Record it again", f"It is looked up in {title} first, then recorded once.", "retry")
            return again, refund, ignore
        case Lost.CLOSED:
            today = Fix("Record it with today's date", "The payment keeps its amount and invoices.", "today")
            opened = Fix("Retry", f"After you have opened the period in {title}: recorded with its own date.", "retry")
            return today, opened, ignore
        case Lost.PAID_ALREADY:
            again = Fix("Retry", f"After you have taken the other payment off the invoice in {title}.", "retry")
            return refund, again, ignore
        case Lost.INVOICE_GONE:
            again = Fix("Retry", f"After you have restored the invoice in {title}.", "retry")
            if facts.remade is None:
                return refund, again, ignore
            new_id, words = facts.remade
            means = "What was paid counts for that invoice instead; no second payment is asked for."
            return Fix(f"Give it to the new invoice {words}", means, f"give-{new_id}"), refund, ignore
        case Lost.CURRENCY:
            again = Fix("Retry", f"After you have put the invoice's currency right in {title}.", "retry")
            return refund, again, ignore
        case Lost.ACCOUNT:
            settings = Fix("Choose the account", "Payments need an account to be booked to.", href="/connections")
            return settings, Fix("Retry", "After you have chosen the account.", "retry"), ignore
        case Lost.REVERSAL:
            again = Fix("Retry", f"After you have freed the record in {title}: it is taken back there.", "retry")
            left = "The money has gone back to the customer, and the record stays in your books."
            return again, Fix("Ignore", left, "ignore")
        case Lost.REFUSED:
            again = Fix("Retry", f"After you have put right in {title} what it names.", "retry")
            return again, refund, ignore


def fixes_of_row(what: str, posting_state: str | None, title: str) -> Sequence[Fix]:
    """The fixes of any other difference."""
    check = Fix("Check again", f"{title} is asked how it stands now; nothing is changed.", "check")
    match what:
        case What.LINK:
            place = Fix("Place the link again", "The customer can pay online from the invoice again.", "place")
            return place, check, Fix("Ignore", "The invoice goes without the link.", "ignore")
        case What.PAYMENT_DIFFERS:
            anew = Fix("Put ours back", f"The record in {title} is taken back and made again as it was paid.", "anew")
            return anew, check, Fix("Ignore", f"{title}'s record is right as it is.", "ignore")
        case What.PAYMENT_EXTRA if posting_state in (PostingState.SUPERSEDED, PostingState.REVERSED):
            back = Fix("Take it back", f"The record in {title} is voided or deleted; the invoice is due again.", "back")
            return back, check, Fix("Ignore", "It stays there.", "ignore")
        case What.PAYMENT_EXTRA:
            gone = Fix("Check again", f"After you have deleted one of the two in {title}.", "check")
            return gone, Fix("Ignore", "Both stay there.", "ignore")
    return check, Fix("Ignore", "It stays as it is.", "ignore")


def fixes_of_record(title: str, *, alone: bool) -> Sequence[Fix]:
    """The fixes of a record that could not be read; `alone`: it can be asked for by itself."""
    if alone:
        means = f"After you have corrected it in {title}: this one is asked for again at once."
    else:
        means = f"After you have corrected and saved it in {title}: what has changed there is read again."
    left = "It stays as it is here. Nothing of it can be paid online, and everything else goes on."
    return Fix("Read it again", means, "read"), Fix("Ignore", left, "ignore")


def fixes_of_link(title: str, invoice_id: int) -> Sequence[Fix]:
    """The fixes of a link that could not be placed."""
    return (
        Fix("Place the link again", f"After you have put right in {title} what it names.", "place"),
        Fix(
            "Open the invoice",
            "Its page has the link, to copy into your own mail.",
            href=f"/invoices/{invoice_id}",
        ),
        Fix("Ignore", "The invoice goes without the link. It can still be paid by a link you send.", "ignore"),
    )


def in_words(invoice: Any) -> str:
    """An invoice's state and amounts (minor units), in a sentence's part."""
    state = str(invoice.state).capitalize()
    if not invoice.currency:
        return state
    due, total = (minor_to_text(int(minor), invoice.currency) for minor in (invoice.balance, invoice.total))
    return f"{state}, {due} of {total} {invoice.currency} due"
