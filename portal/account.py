"""A customer's account: what is due, what it was for, and all their invoices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from urllib.parse import urlencode

from flask import Response, current_app, request

from connector.domain.records import PaymentState
from connector.reading import portal_invoices
from connector.reading.portal_invoices import MOST_AT_ONCE, OPEN_A_PAGE, Account, OpenInvoice
from connector.web.context import wiring
from connector.web.present import Words, due_words, money, plain_amount, shorten
from portal import invoice
from portal.doors import Door, Knock
from portal.form_keys import FormKeys
from portal.references import references_of

_LONGEST_NUMBER = 24
_LONGEST_DESCRIPTION = 80
_PAYING = Words("Payment processing", "info")
_STARTED = Words("Payment not finished", "info")


@dataclass(frozen=True, slots=True)
class Typed:
    """What the customer had filled in when something was wrong with it, by reference."""

    ticked: frozenset[str] = frozenset()
    amounts: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    message: str = ""


class Row(NamedTuple):
    """An open invoice as the table shows it."""

    reference: str
    number: str
    due: Words
    balance: str
    amount: str
    selectable: bool
    ticked: bool
    error: str


class Item(NamedTuple):
    """A line item as the table shows it."""

    day: date | None
    reference: str
    number: str
    description: str
    amount: str
    tax: str


class PayAll(NamedTuple):
    """A button that pays everything in one currency; its value says what the customer saw."""

    value: str
    invoices: int
    amount: str


def home(knock: Knock) -> Response:
    """The first page behind a door: the account, or the one invoice the door is for."""
    return show(knock, Typed())


def show(knock: Knock, typed: Typed, *, status: int = 200) -> Response:
    """The first page, with what was typed and what was wrong with it."""
    today = wiring().clock().date()
    skip = skipped(OPEN_A_PAGE)
    with knock.open() as door:
        if door.portal.scope.invoice is not None:
            seen = invoice.read(door, None)
        else:
            account = portal_invoices.account(door.visit.reader, door.portal.scope, today=today, skip=skip)
    if door.portal.scope.invoice is not None:
        return invoice.page(knock, door, seen, message=typed.message, status=status)
    return _page(knock, door, account, typed, skip, today, status)


def _page(knock: Knock, door: Door, account: Account, typed: Typed, skip: int, today: date, status: int) -> Response:
    settings = wiring().settings
    open_ids = [one.id for one in account.invoices]
    names = references_of(settings.secret_key).name(
        [*open_ids, *(item.invoice_id for item in account.items), *(paid.id for paid in account.paid)]
    )
    item_names, paid_names = names[len(open_ids) :], names[len(open_ids) + len(account.items) :]
    only = account.open_count == 1
    shown_to = min(skip + len(account.invoices), account.open_count)
    preview = "1" if door.preview else ""
    template = current_app.jinja_env.get_template("portal/account.html")
    page = template.render(
        brand=door.portal.brand,
        door=door,
        account=account,
        can_pay=door.portal.payable and not door.preview,
        rows=[
            _row(one, name, typed, today, only)
            for one, name in zip(account.invoices, names[: len(open_ids)], strict=True)
        ],
        items=[
            Item(
                item.issue_date,
                name,
                shorten(item.number, _LONGEST_NUMBER),
                shorten(item.description, _LONGEST_DESCRIPTION),
                money(item.amount, item.currency),
                money(item.tax, item.currency) if item.tax else "",
            )
            for item, name in zip(account.items, item_names[: len(account.items)], strict=True)
        ],
        paid=list(zip(account.paid, paid_names, strict=True)),
        pay_all=[
            PayAll(f"{due.currency}:{due.payable}", due.payable_invoices, money(due.payable, due.currency))
            for due in account.due
            if due.payable_invoices > 1 and due.payable_invoices <= MOST_AT_ONCE
        ],
        several_currencies=len(account.due) > 1,
        system=system_title(door.portal.system),
        confirmed_at=account.confirmed_at or door.portal.synced_at,
        form_key=FormKeys(settings.secret_key).give(knock.visitor),
        typed=typed,
        skip=skip,
        shown_to=shown_to,
        before=page_address(door.path, skip - OPEN_A_PAGE, OPEN_A_PAGE, preview=preview) if skip else "",
        after=page_address(door.path, skip + OPEN_A_PAGE, OPEN_A_PAGE, preview=preview)
        if shown_to < account.open_count
        else "",
    )
    return Response(page, status=status, mimetype="text/html")


def _row(one: OpenInvoice, reference: str, typed: Typed, today: date, only: bool) -> Row:
    words = due_words(one.due_date, today)
    processing = one.paying == PaymentState.PROCESSING
    if processing:
        words = _PAYING
    elif one.paying is not None:
        words = _STARTED
    return Row(
        reference,
        shorten(one.number, _LONGEST_NUMBER) or "No number",
        words,
        money(one.balance, one.currency),
        typed.amounts.get(reference, plain_amount(one.balance, one.currency)),
        not processing,
        reference in typed.ticked or (only and not typed.message),
        typed.errors.get(reference, ""),
    )


def skipped(page_size: int) -> int:
    """How many rows the address asks to pass over; whatever is no whole page is the first page."""
    page = request.args.get("page", "1")
    number = int(page) if page.isascii() and page.isdigit() and len(page) <= 5 else 1
    return max(0, number - 1) * page_size


def page_address(path: str, skip: int, page_size: int, **more: str) -> str:
    """The address of the page that passes over `skip` rows."""
    query = {**more, "page": str(skip // page_size + 1)}
    return f"{path}?{urlencode({name: value for name, value in query.items() if value})}"


def system_title(name: str) -> str:
    """The accounting system as people call it."""
    system = wiring().systems.get(name)
    return system.manifest.title if system else "the accounting system"
