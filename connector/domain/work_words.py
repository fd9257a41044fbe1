"""Background work in words: what it is for, what its end without success means, and whether it may be cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector.domain.work import Work


@dataclass(frozen=True, slots=True)
class WorkWords:
    """One kind of work as people are told. `missing`: what is not so as long as it is not done; `do`: what helps.

    `after_cancel`: what a person who cancels it should know. Empty: it is about money that has moved or may move, so
    it is ended only by doing it.
    """

    title: str
    missing: str
    do: str
    after_cancel: str


_UNKNOWN = WorkWords("Work of another version", "It is not known what it does.", "Start a worker of that version.", "")
_LOOK_AT_PAYMENT = "Open the payment: it shows every step, and Retry goes on from where it stands."
_WORDS: Mapping[Work, WorkWords] = {
    Work.SYNC: WorkWords(
        "Reading what is new",
        "Changes made in the accounting system since are not shown here yet.",
        "See whether the connection is lost; if it is, reconnect it. Reading goes on from where it stopped.",
        "Nothing is lost: the next reading by the clock brings the same changes.",
    ),
    Work.INJECT: WorkWords(
        "Placing links on invoices",
        "Some open invoices carry no billing link yet.",
        "Retry. An invoice that refuses its link says why on its own page.",
        "Invoices without a link stay without one until something about them changes, or Retry is pressed.",
    ),
    Work.WITHDRAW: WorkWords(
        "Taking links off invoices",
        "Some invoices still carry a link that no longer works.",
        "Retry, or take the links off in the accounting system by hand.",
        "Links that are still there stay there, and tell whoever opens them that they have ended.",
    ),
    Work.RECONCILE: WorkWords(
        "Asking the payment provider how a payment stands",
        "What the provider knows of this payment is not booked here yet.",
        _LOOK_AT_PAYMENT,
        "",
    ),
    Work.RELEASE: WorkWords(
        "Ending a payment page nobody finished",
        "Its invoices cannot be paid anew before the payment provider has ended the page.",
        _LOOK_AT_PAYMENT,
        "",
    ),
    Work.WRITE_BACK: WorkWords(
        "Recording a payment in the books",
        "The money has arrived, but the accounting system may not show it yet.",
        _LOOK_AT_PAYMENT + " It is looked up first, so it is never recorded twice.",
        "",
    ),
    Work.REFUND: WorkWords(
        "Sending a refund",
        "The payment provider may not have the refund yet.",
        "Retry. The same refund is never made twice, however often it is sent.",
        "",
    ),
    Work.MAIL: WorkWords(
        "Sending a mail",
        "The mail has not left.",
        "See whether the mail server can be reached and takes mail for this address, then retry.",
        "The mail is never sent. Whoever waits for a code can ask for another.",
    ),
    Work.DELIVERY: WorkWords(
        "Taking in webhooks",
        "What the sender told us is stored, and not acted upon yet.",
        "Look into the log under the correlation shown here, then retry.",
        "Nothing is lost: the next webhook of this sender takes up those that wait, and so does Retry.",
    ),
    Work.REVOKE: WorkWords(
        "Ending our access",
        "The accounting system still lists this connection as allowed.",
        "Retry, or remove the connection in the accounting system by hand.",
        "Our access stays granted until it is removed in the accounting system by hand.",
    ),
    Work.DRIFT: WorkWords(
        "Comparing with the books",
        "Differences that have come up since the last comparison are not shown yet.",
        "Retry, or wait for the next night's comparison.",
        "Nothing is lost: the next night compares again.",
    ),
    Work.FULL_SWEEP: WorkWords(
        "Reading everything again",
        "What changes alone did not tell is not noticed yet.",
        "Retry, or wait for the next one.",
        "Nothing is lost: the next one by the clock reads everything.",
    ),
    Work.SUBSCRIBE: WorkWords(
        "Renewing webhooks",
        "The accounting system may stop telling us of changes at once; they are still read by the clock.",
        "See whether the connection is lost; if it is, reconnect it, else Retry.",
        "Changes come later, with the next reading by the clock.",
    ),
    Work.RENEW: WorkWords(
        "Renewing our access",
        "The access runs out one day unless it is used or renewed.",
        "See whether the connection is lost; if it is, reconnect it.",
        "The access is renewed when it is used next, or by the next renewal.",
    ),
}


def words_of(kind: Work | str) -> WorkWords:
    """The words for a kind."""
    try:
        return _WORDS[Work(kind)]
    except (KeyError, ValueError):
        return _UNKNOWN


def may_cancel(kind: Work | str) -> bool:
    """Whether a person may end it without its being done."""
    return bool(words_of(kind).after_cancel)
