"""What a button on the hosted page does to a payment, and what the clock does to it later."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from hmac import compare_digest

from integrations.gateways.sandbox.simulator.book import Book, Change
from integrations.gateways.sandbox.simulator.records import Checkout, Payment
from integrations.gateways.sandbox.simulator.refunds import fail_pending_refunds
from integrations.gateways.sandbox.simulator.settings import SandboxSettings


class Outcome(Enum):
    """What became of a pressed button."""

    DONE = "done"
    REPEATED = "the same button was pressed before; nothing more happened"
    TOO_LATE = "the payment has already taken another way"
    STALE = "the form was out of date or forged; nothing happened"


@dataclass(frozen=True)
class Button:
    """A button: the state it is shown in and what it does."""

    shown_in: str
    press: Callable[[Change, Payment, SandboxSettings], Payment]


def _approve(change: Change, payment: Payment, _: SandboxSettings) -> Payment:
    return settle(change, replace(payment, method="card"))


def _fail(change: Change, payment: Payment, code: str) -> Payment:
    failed = change.move(payment, "failed", method="card", failure_code=code)
    change.announce("payment.failed", failed)
    return failed


def _decline(change: Change, payment: Payment, _: SandboxSettings) -> Payment:
    return _fail(change, payment, "card_declined")


def _fail_authentication(change: Change, payment: Payment, _: SandboxSettings) -> Payment:
    return _fail(change, payment, "authentication_failed")


def _ask_authentication(change: Change, payment: Payment, _: SandboxSettings) -> Payment:
    asked = change.move(payment, "requires_authentication", method="card")
    change.announce("payment.requires_authentication", asked)
    return asked


def _cancel(change: Change, payment: Payment, _: SandboxSettings) -> Payment:
    cancelled = change.move(payment, "cancelled")
    change.announce("payment.cancelled", cancelled)
    return cancelled


def _start_debit(change: Change, payment: Payment) -> Payment:
    started = change.move(payment, "processing", method="bank_debit")
    change.announce("payment.processing", started)
    return started


def _debit_that_settles(change: Change, payment: Payment, settings: SandboxSettings) -> Payment:
    change.schedule("settle", payment.id, change.now + settings.bank_debit_settles_after)
    return _start_debit(change, payment)


def _debit_that_returns(change: Change, payment: Payment, settings: SandboxSettings) -> Payment:
    change.schedule("return", payment.id, change.now + settings.bank_debit_returns_after, "R01")
    return _start_debit(change, payment)


def _debit_that_returns_late(change: Change, payment: Payment, settings: SandboxSettings) -> Payment:
    settles_at = change.now + settings.bank_debit_settles_after
    change.schedule("settle", payment.id, settles_at)
    change.schedule("return", payment.id, settles_at + settings.late_return_after, "R10")
    return _start_debit(change, payment)


BUTTONS = {
    "approve": Button("open", _approve),
    "decline": Button("open", _decline),
    "authenticate": Button("open", _ask_authentication),
    "bank_settles": Button("open", _debit_that_settles),
    "bank_returns": Button("open", _debit_that_returns),
    "bank_returns_late": Button("open", _debit_that_returns_late),
    "cancel": Button("open", _cancel),
    "confirm": Button("requires_authentication", _approve),
    "fail": Button("requires_authentication", _fail_authentication),
}


def press(
    book: Book, settings: SandboxSettings, checkout_id: str, button: str, form_token: str
) -> tuple[Outcome, Checkout, Payment] | None:
    """Do what a button says, once: the form's token is used up by it. None when there is no such checkout.

    Double clicks, two tabs and the back button all arrive here; whoever comes first decides the payment.
    """
    with book.change(f"hosted.{button}") as change:
        found = book.checkout_and_payment(checkout_id)
        if found is None:
            return None
        checkout, payment = found
        if checkout.action == button:
            return Outcome.REPEATED, checkout, payment
        if not payment.payable:
            return Outcome.TOO_LATE, checkout, payment
        pressed = BUTTONS[button]
        current = compare_digest(checkout.form_token.encode(), form_token.encode())
        if pressed.shown_in != payment.status or not current:
            return Outcome.STALE, checkout, payment
        checkout = replace(checkout, action=button, form_token=secrets.token_urlsafe(24))
        change.save(checkout)
        payment = pressed.press(change, payment, settings)
        if not payment.payable:
            change.unschedule("expire", payment.id)
        return Outcome.DONE, checkout, payment


def settle(change: Change, payment: Payment) -> Payment:
    """The money has arrived."""
    settled = change.move(payment, "settled", settled_at=change.now)
    change.announce("payment.settled", settled)
    return settled


def take_back(book: Book, change: Change, payment: Payment, code: str) -> Payment:
    """The customer's bank takes a debit back; refunds that have not gone out yet fail with it."""
    returned = change.move(payment, "returned", returned_at=change.now, failure_code=code)
    change.announce("payment.returned", returned)
    fail_pending_refunds(book, change, returned)
    return returned
