"""A customer pays: lock the invoices, re-read what is due, open the gateway's page. One form, one payment."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from connector.contract import Answer, CheckoutRequest, Refused, Unclear
from connector.db.rows import InvoiceRow, PaymentRow
from connector.db.unit_of_work import UnitOfWork
from connector.domain.money import NotMoney, minor_to_text, parse
from connector.domain.payments import IN_FLIGHT, UNPAID_END, Choice, PortalScope, merge_shares
from connector.domain.records import InvoiceState, Kind, PaymentState
from connector.domain.work import Work
from connector.errors import Conflict, Invalid, NotFound, Unavailable
from connector.journeys import fresh, release
from connector.wiring import Wiring

_MOST_INVOICES = 100


@dataclass(frozen=True, slots=True)
class Started:
    """Where the customer's browser goes next: the gateway's page, or the receipt of a payment made already."""

    redirect_url: str


class _TakenMeanwhile(Exception):
    """Another tab or person has begun a payment of these invoices in the very same moment."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What was chosen, checked against the mirror: invoice id -> minor units of `currency`."""

    shares: dict[int, int]
    currency: str


def start(wiring: Wiring, scope: PortalScope, choices: Sequence[Choice], form_key: str) -> Started:
    """Begin a payment. The same `form_key` again finds the same payment, whatever happened in between.

    Raises Invalid (an amount), Conflict (paid, changed, or being paid already), Unavailable (try again later).
    """
    form = _form_of(wiring, scope, choices, form_key)
    # Twice: whoever was first in the very moment we looked is found at the second look.
    for _ in range(2):
        with wiring.database.view(scope.merchant_id) as view:
            earlier = view.payments.by_form(form)
        earlier = earlier or _same_choice_under_way(wiring, scope, choices)
        if earlier is None:
            with suppress(_TakenMeanwhile):
                payment = _intend(wiring, scope, choices, form)
                _confirm_due(wiring, payment)
                return _open_checkout(wiring, payment)
        elif earlier.state is PaymentState.INTENDED:
            _confirm_due(wiring, earlier)
            return _open_checkout(wiring, earlier)
        elif earlier.state in IN_FLIGHT and earlier.checkout_url and earlier.state is not PaymentState.PROCESSING:
            return Started(earlier.checkout_url)
        else:
            return Started(_receipt_url(wiring, earlier))
    raise Conflict("A payment of this invoice is already under way. Please wait until it is finished.")


def _form_of(wiring: Wiring, scope: PortalScope, choices: Sequence[Choice], form_key: str) -> str:
    """The form's name. Sent again with other amounts, or after its payment came to nothing (the back button allows
    both), it is another form."""
    with wiring.database.view(scope.merchant_id) as view:
        earlier = view.payments.by_form(form_key)
        if earlier is None:
            return form_key
        now = merge_shares(_order(view, scope, choices, check_due=False).shares)
        while earlier is not None:
            if earlier.state not in UNPAID_END and merge_shares(view.payments.shares(earlier.id)) == now:
                break
            form_key = hashlib.sha256(f"{form_key}\n{now}".encode()).hexdigest()
            earlier = view.payments.by_form(form_key)
    return form_key


def _same_choice_under_way(wiring: Wiring, scope: PortalScope, choices: Sequence[Choice]) -> PaymentRow | None:
    """The payment that holds exactly these invoices with these amounts: a second tab, or the back button.

    One for other amounts that was left behind at the gateway is cancelled there, so that the choice can be changed.
    """
    with wiring.database.view(scope.merchant_id) as view:
        holders = set(view.payments.lock_holders([choice.invoice_id for choice in choices]).values())
        held = [view.payments.get(payment_id) for payment_id in sorted(holders)]
        try:
            order = _order(view, scope, choices, check_due=False)
        except Invalid:
            return None
        for payment in held:
            if merge_shares(view.payments.shares(payment.id)) == merge_shares(order.shares):
                return payment
    for payment in held:
        if payment.state in (PaymentState.CHECKOUT, PaymentState.REQUIRES_ACTION):
            # When it cannot be ended now, its lock stands and says so to the customer.
            with suppress(Answer):
                release.give_up(wiring, scope.merchant_id, payment.id)
    return None


def _intend(wiring: Wiring, scope: PortalScope, choices: Sequence[Choice], form_key: str) -> PaymentRow:
    """Write the payment down and lock its invoices. Raises _TakenMeanwhile when another got there first."""
    with wiring.database.unit_of_work(scope.merchant_id) as uow:
        connection, merchant = uow.connections.get(scope.connection_id), uow.merchants.get()
        if not merchant.gateway or merchant.gateway not in wiring.gateways:
            raise Unavailable(f"{merchant.name} does not take payments here yet. Please ask them how to pay.")
        if connection.state != "active":
            raise Unavailable(f"{merchant.name} has paused online payment. Please ask them how to pay.")
        order = _order(uow, scope, choices, check_due=True, partial=merchant.allow_partial)
        expires_at = uow.now + timedelta(seconds=wiring.timing.checkout)
        payment = uow.payments.intend(
            scope,
            shares=order.shares,
            currency=order.currency,
            gateway=merchant.gateway,
            form_key=form_key,
            expires_at=expires_at,
        )
        # In the order of their ids, so that two choices that overlap never wait for each other.
        if payment is None or not all(uow.payments.lock(invoice_id, payment.id) for invoice_id in sorted(order.shares)):
            raise _TakenMeanwhile
        if uow.postings.to_be_recorded(list(order.shares)):
            raise Conflict("An earlier payment is being recorded just now. Nothing was charged; try again in a minute.")
        chosen = f"{minor_to_text(payment.amount, payment.currency)} {payment.currency}"
        uow.payments.tell(payment.id, "customer", "Chose to pay", chosen)
        uow.work.add(
            Work.RELEASE,
            payment.id,
            partition=str(connection.id),
            payload={"payment": payment.id},
            delay=wiring.timing.checkout,
        )
        return payment


def _order(
    uow: UnitOfWork, scope: PortalScope, choices: Sequence[Choice], *, check_due: bool, partial: bool = True
) -> _Order:
    if not choices:
        raise Invalid("Choose at least one invoice to pay.", field="invoices")
    if len(choices) > _MOST_INVOICES:
        raise Invalid(f"Pay at most {_MOST_INVOICES} invoices at once.", field="invoices")
    amounts = {choice.invoice_id: choice.amount_text for choice in choices}
    invoices = uow.invoices.several(list(amounts))
    allowed = [
        invoice
        for invoice in invoices
        if (invoice.connection_id, invoice.customer, invoice.kind)
        == (scope.connection_id, scope.customer, Kind.INVOICE)
        and scope.invoice in (None, invoice.remote_id)
    ]
    if len(allowed) != len(amounts):
        raise NotFound("One of the chosen invoices cannot be found. Open your link again.")
    currencies = {invoice.currency for invoice in allowed}
    if len(currencies) > 1:
        raise Invalid("These invoices are in different currencies. Pay one currency at a time.", field="invoices")
    shares = {invoice.id: _share(invoice, amounts[invoice.id], check_due, partial) for invoice in allowed}
    return _Order(shares, currencies.pop())


def _share(invoice: InvoiceRow, text: str, check_due: bool, partial: bool) -> int:
    """The typed amount in minor units. Raises Invalid at the field, Conflict when nothing is due any more."""
    field = f"amount-{invoice.id}"
    try:
        minor = parse(text, invoice.currency).minor
    except NotMoney as problem:
        raise Invalid(f"Invoice {invoice.number}: {problem}", field=field) from problem
    if minor <= 0:
        raise Invalid(f"Invoice {invoice.number}: enter an amount above zero.", field=field)
    if not check_due:
        return minor
    if invoice.state != InvoiceState.OPEN or invoice.balance <= 0:
        raise Conflict(f"Invoice {invoice.number} has nothing left to pay.")
    due = minor_to_text(invoice.balance, invoice.currency)
    if minor > invoice.balance:
        raise Invalid(f"Invoice {invoice.number}: {due} {invoice.currency} is due; enter at most that.", field=field)
    if not partial and minor != invoice.balance:
        raise Invalid(f"Invoice {invoice.number} is paid in full only: {due} {invoice.currency}.", field=field)
    return minor


def _confirm_due(wiring: Wiring, payment: PaymentRow) -> None:
    """Re-read the balances upstream; a payment that no longer fits is dropped before any money can move."""
    with wiring.database.view(payment.merchant_id) as view:
        connection, shares = view.connections.get(payment.connection_id), view.payments.shares(payment.id)
        invoices = view.invoices.several(list(shares))
    try:
        fresh.reread(wiring, connection, invoices)
    except Unavailable:
        _drop(wiring, payment, "The balance could not be confirmed")
        raise
    with wiring.database.view(payment.merchant_id) as view:
        now = view.invoices.several(list(shares))
    for invoice in now:
        if invoice.state != InvoiceState.OPEN or invoice.balance < shares[invoice.id]:
            _drop(wiring, payment, "The balance changed meanwhile")
            left = minor_to_text(invoice.balance, invoice.currency)
            raise Conflict(
                f"Invoice {invoice.number} has changed: {left} {invoice.currency} is due now. "
                "Nothing was charged; check the amount and pay again."
            )


def _drop(wiring: Wiring, payment: PaymentRow, why: str) -> None:
    """End a payment no page was opened for. One that another tab has opened meanwhile is ended at the gateway."""
    with wiring.database.unit_of_work(payment.merchant_id) as uow:
        state = uow.payments.get(payment.id).state
        if state is PaymentState.INTENDED:
            uow.payments.change(payment.id, state=PaymentState.CANCELLED, failure=why)
            uow.payments.release(payment.id)
            uow.payments.tell(payment.id, "us", why, "No money moved.")
    if state is not PaymentState.INTENDED:
        with suppress(Answer):
            release.give_up(wiring, payment.merchant_id, payment.id)


def _open_checkout(wiring: Wiring, payment: PaymentRow) -> Started:
    merchant_id, gateway = payment.merchant_id, wiring.gateway(payment.gateway)
    with wiring.database.view(merchant_id) as view:
        merchant = view.merchants.get()
        numbers = [row.number for row in view.invoices.several(list(view.payments.shares(payment.id)))]
        receipt = view.payments.receipt_token(payment)
    public = wiring.settings.public_url
    request = CheckoutRequest(
        key=payment.id,
        reference=payment.id,
        amount=payment.amount,
        currency=payment.currency,
        merchant=merchant.name,
        description=tuple(f"Invoice {number}" for number in numbers),
        success_url=f"{public}/r/{receipt}",
        cancel_url=f"{public}/r/{receipt}?cancelled=1",
        expires_at=payment.expires_at,
    )
    try:
        checkout = gateway.start_checkout(request)
    except Refused as answer:
        _drop(wiring, payment, "The payment provider refused the payment")
        raise Conflict(f"The payment provider did not accept this payment: {answer.why}") from answer
    except Unclear as answer:
        raise Unavailable(
            "The payment provider did not answer. Nothing was charged; press Pay again to continue the same payment."
        ) from answer
    except Answer as answer:
        raise Unavailable("The payment provider cannot be reached right now. Press Pay again in a minute.") from answer
    with wiring.database.unit_of_work(merchant_id) as uow:
        current = uow.payments.get(payment.id)
        if current.gateway_ref is None:
            uow.payments.change(payment.id, gateway_ref=checkout.ref, checkout_url=checkout.url)
            uow.payments.tell(payment.id, "us", "Opened the payment page", checkout.ref)
        if current.state is PaymentState.INTENDED:
            uow.payments.change(payment.id, state=PaymentState.CHECKOUT)
    if current.state in UNPAID_END:
        # Given up while the page was being opened: its invoices are free again, so nobody may pay it any more.
        with suppress(Answer):
            gateway.cancel(checkout.ref)
        raise Conflict("This payment was ended meanwhile. Nothing was charged; reload the page and pay again.")
    return Started(checkout.url)


def _receipt_url(wiring: Wiring, payment: PaymentRow) -> str:
    with wiring.database.view(payment.merchant_id) as view:
        return f"{wiring.settings.public_url}/r/{view.payments.receipt_token(payment)}"
