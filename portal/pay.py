"""From a filled-in form to the gateway's page. Every amount is checked here for the words beside its field, and again
by the journey, which is what counts."""

from __future__ import annotations

from dataclasses import dataclass

from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from connector.domain import money
from connector.domain.payments import Choice, PortalScope
from connector.errors import ConnectorError, Invalid
from connector.journeys import pay
from connector.reading import portal_invoices
from connector.reading.portal_invoices import OpenInvoice
from connector.web import limits
from connector.web.context import wiring
from connector.web.present import money as money_words
from portal import account, invoice
from portal.account import Typed
from portal.doors import Door, Knock
from portal.form_keys import form_keys_of
from portal.references import references_of

_NOTHING_CHOSEN = "Tick at least one invoice, then pay."
_ONE_CURRENCY = "These invoices are in different currencies. Pay one currency at a time."
_SEE_BELOW = "Nothing was charged. Please correct what is marked below."


@dataclass(frozen=True, slots=True)
class _Filled:
    """What the form says: chosen invoices with amounts as typed, and what is wrong, by reference."""

    choices: list[Choice]
    errors: dict[str, str]
    message: str
    status: int = 400


def start(knock: Knock) -> AnyResponse:
    """The account's form: everything in one currency, or what was ticked."""
    with knock.open() as door:
        everything = request.form.get("all", "")
        filled = _everything(door, everything) if everything else _ticked(door)
    if not filled.errors and not filled.message:
        try:
            return _begin(knock, door.portal.scope, filled.choices)
        except ConnectorError as fault:
            filled = _refused(fault)
    typed = Typed(
        ticked=frozenset(request.form.getlist("pay")),
        amounts={
            name.removeprefix("amount-"): text[:20] for name, text in request.form.items() if name.startswith("amount-")
        },
        errors=filled.errors,
        message=filled.message or _SEE_BELOW,
    )
    return account.show(knock, typed, status=filled.status)


def start_one(knock: Knock, reference: str) -> AnyResponse:
    """The form on an invoice's own page."""
    with knock.open() as door:
        seen = invoice.read(door, reference)
        chosen = portal_invoices.chosen(door.visit.reader, door.portal.scope, [seen.document.id])
    amount = request.form.get("amount", "")
    error, status = "", 400 if chosen else 409
    message = "" if chosen else "There is nothing left to pay on this invoice."
    if chosen:
        amount = amount if door.portal.allow_partial else _plain(chosen[0])
        error = _fault(chosen[0], amount)
    if not error and not message:
        try:
            return _begin(knock, door.portal.scope, [Choice(seen.document.id, amount)])
        except ConnectorError as fault:
            status = fault.status
            error, message = (fault.message, "") if fault.field else ("", fault.message)
    return invoice.page(
        knock, door, seen, amount=amount[:20], error=error, message=message or _SEE_BELOW, status=status
    )


def begin(scope: PortalScope, choices: list[Choice], form_key: str) -> AnyResponse:
    """Start the payment and send the browser to the gateway."""
    limits.hold_caller("portal-pay", limit=30, period=60)
    started = pay.start(wiring(), scope, choices, form_key)
    return redirect(started.redirect_url, 303)


def _begin(knock: Knock, scope: PortalScope, choices: list[Choice]) -> AnyResponse:
    form_key = form_keys_of(wiring().settings.secret_key).take(knock.visitor, request.form.get("form_key", ""))
    return begin(scope, choices, form_key)


def _everything(door: Door, value: str) -> _Filled:
    """`value` is 'EUR:123400': the currency and the sum the customer saw on the button."""
    currency, _, shown = value.partition(":")
    owed = portal_invoices.all_due(door.visit.reader, door.portal.scope, currency)
    total = sum(balance for _, balance in owed)
    if not owed or str(total) != shown:
        now = money_words(total, currency) if owed else "nothing"
        return _Filled([], {}, f"What is due has changed: it is {now} now. Nothing was charged; please check.", 409)
    choices = [Choice(number, money.minor_to_text(balance, currency)) for number, balance in owed]
    return _Filled(choices, {}, "")


def _ticked(door: Door) -> _Filled:
    references = references_of(wiring().settings.secret_key)
    ticked = list(dict.fromkeys(request.form.getlist("pay")))[: portal_invoices.MOST_AT_ONCE + 1]
    numbers = {number: name for name in ticked if (number := references.find(name)) is not None}
    if not numbers:
        return _Filled([], {}, _NOTHING_CHOSEN)
    found = portal_invoices.chosen(door.visit.reader, door.portal.scope, list(numbers))
    if len(found) < len(ticked):
        gone = "One of the chosen invoices has nothing left to pay. Nothing was charged; please check the list below."
        return _Filled([], {}, gone, 409)
    if len({one.currency for one in found}) > 1:
        return _Filled([], {}, _ONE_CURRENCY)
    choices, errors = [], {}
    for one in found:
        name = numbers[one.id]
        typed = request.form.get(f"amount-{name}", "") if door.portal.allow_partial else _plain(one)
        fault = _fault(one, typed)
        if fault:
            errors[name] = fault
        choices.append(Choice(one.id, typed))
    return _Filled(choices, errors, "")


def _plain(one: OpenInvoice) -> str:
    return money.minor_to_text(one.balance, one.currency)


def _fault(one: OpenInvoice, typed: str) -> str:
    """What is wrong with an amount, or ''."""
    try:
        amount = money.parse(typed, one.currency)
    except money.NotMoney as fault:
        return str(fault)
    if amount.minor <= 0:
        return "Enter an amount above zero."
    if amount.minor > one.balance:
        return f"Only {money_words(one.balance, one.currency)} is due. Enter at most that."
    return ""


def _refused(fault: ConnectorError) -> _Filled:
    """The journey's words, beside the field they speak of where there is one."""
    field = (fault.field or "").removeprefix("amount-")
    if isinstance(fault, Invalid) and field.isdigit():
        (name,) = references_of(wiring().settings.secret_key).name([int(field)])
        return _Filled([], {name: fault.message}, "", fault.status)
    return _Filled([], {}, fault.message, fault.status)
