"""States in the merchant's words: a label, its tone, and a sentence where one is needed."""

from __future__ import annotations

from datetime import date

from connector.domain.postings import PostingState
from connector.domain.records import InvoiceState
from connector.web.present import Words, invoice_words

_CONNECTION = {
    "pending": Words("To be confirmed", "warn", "Nothing is imported or written before you confirm."),
    "active": Words("Connected", "good"),
    "broken": Words("Connection lost", "bad", "Reconnect it to go on. Nothing is lost meanwhile."),
    "disconnecting": Words("Disconnecting", "info", "Links are being taken away and our access is being ended."),
    "disconnected": Words("Disconnected", ""),
}
_PLACEMENT = {
    "planned": Words("Being placed", "info", "The link will stand on the invoice in a moment."),
    "placing": Words("Being placed", "info", "The link will stand on the invoice in a moment."),
    "placed": Words("On the invoice", "good", "The link stands on the invoice in your accounting system."),
    "manual": Words("To be placed by you", "warn", "Only you can place this link; the steps are shown here."),
    "confirmed": Words("Confirmed by merchant", "good"),
    "refused": Words("Not placed", "bad"),
    "withdrawing": Words("Being taken away", "info"),
    "withdrawn": Words("Taken away", ""),
}
_POSTING = {
    PostingState.QUEUED: Words("Waiting to be sent", "info", "It will be recorded shortly."),
    PostingState.SENDING: Words("Sent, answer awaited", "info", "We look it up before anything is sent again."),
    PostingState.POSTED: Words("Recorded", "good", "The payment stands in the books."),
    PostingState.NEEDS_REVIEW: Words("Needs review", "bad", "The books do not show this payment yet."),
    PostingState.SUPERSEDED: Words("Replaced", "", "A newer entry took its place; this one was never recorded."),
    PostingState.REVERSING: Words("Being reversed", "info", "The entry is being taken back, so the invoice reopens."),
    PostingState.REVERSED: Words("Reversed", "", "The entry was taken back; the invoice is open again."),
}
_DIFFERENCES = {
    "invoice": "Invoice {} was not up to date",
    "link": "The link is missing on invoice {}",
    "posting": "A payment of {} does not stand in your books",
    "payment_differs": "A payment of {} was changed in your books",
    "unread": "{} could not be read",
    "link_refused": "The link could not be placed on invoice {}",
    "payment_extra": "A payment of {} stands in your books and should not",
}
_REFUND = {
    "asked": Words("Asked for", "info"),
    "sending": Words("On its way", "info"),
    "sent": Words("Taken by the provider", "info"),
    "settled": Words("Given back", "good"),
    "refused": Words("Refused", "bad"),
}
_INVOICE = {
    InvoiceState.DELETED: Words("Archived", "", "This invoice was deleted in your accounting system."),
    InvoiceState.UNKNOWN: Words("State unknown", "warn", "Your accounting system reports a state we do not know."),
}
_KINDS = {
    "customer": "Customers",
    "invoice": "Invoices",
    "credit_note": "Credit notes",
    "estimate": "Estimates",
    "recurring": "Recurring invoices",
    "payment": "Payments",
}
_RECORDS = {"credit_note": "Credit note", "recurring": "Recurring invoice"}
_TROUBLE = ("did not", "no clear answer", "refused", "declined", "returned", "could not", "changed meanwhile")
_ACTORS = {"customer": "Customer", "staff": "Your staff", "us": "Duebridge", "gateway": "Payment provider"}
_NOT_KNOWN = Words("Being checked", "warn")
INVOICE_FILTERS = (
    ("", "All states"),
    ("open", "Open"),
    ("overdue", "Overdue"),
    ("paid", "Paid"),
    ("draft", "Draft"),
    ("void", "Void"),
    ("deleted", "Archived"),
    ("unknown", "State unknown"),
)
PAYMENT_FILTERS = (
    ("", "All states"),
    ("review", "Needs review"),
    ("checkout", "Not finished"),
    ("processing", "Processing"),
    ("settled", "Paid"),
    ("partly_refunded", "Partly refunded"),
    ("refunded", "Refunded"),
    ("returned", "Returned by the bank"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
)


def connection(state: str) -> Words:
    """A connection's state."""
    return _CONNECTION.get(state, _NOT_KNOWN)


def placement(state: str) -> Words:
    """Where a link stands."""
    return _PLACEMENT.get(state, _NOT_KNOWN)


def posting(state: str) -> Words:
    """Where a posting stands."""
    return _POSTING.get(PostingState(state), _NOT_KNOWN)


def difference(what: str, name: str) -> str:
    """What differs, as a heading."""
    return _DIFFERENCES.get(what, "{} differs").format(name).strip()


def refund(state: str) -> Words:
    """Where a refund stands."""
    return _REFUND.get(state, _NOT_KNOWN)


def invoice(*, state: str, balance: int, total: int, due: date | None, today: date, paying: bool = False) -> Words:
    """An invoice's state, as its merchant says it."""
    own = None if paying else _INVOICE.get(InvoiceState(state))
    return own or invoice_words(state=state, balance=balance, total=total, due=due, today=today, paying=paying)


def kind(name: str) -> str:
    """What is read from a system."""
    return _KINDS.get(name, name.replace("_", " ").capitalize())


def record(name: str) -> str:
    """One of what is read from a system."""
    return _RECORDS.get(name, name.capitalize())


def actor(name: str, system: str = "") -> str:
    """Who did something on a payment's timeline."""
    return _ACTORS.get(name, system or "Accounting system")


def event_tone(name: str, what: str) -> str:
    """The colour of a line of the timeline: an answer is good unless it says that something went wrong."""
    said = what.lower()
    if any(trouble in said for trouble in _TROUBLE):
        return "warn"
    return "good" if name in ("gateway", "system") else ""


def place(where: str) -> str:
    """Where a link stands, a field's name as people write it: 'CustomerMemo' -> 'Customer memo'."""
    spaced = "".join(
        f" {letter.lower()}" if letter.isupper() and index else letter for index, letter in enumerate(where)
    )
    return spaced[:1].upper() + spaced[1:]
