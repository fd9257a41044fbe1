"""A customer's account: what is due, what it was for, and all their invoices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlencode

from flask import Response, current_app, request
from markupsafe import Markup

from connector.reading import portal_invoices
from connector.reading.portal_doors import Brand
from connector.reading.portal_invoices import MOST_AT_ONCE, OPEN_A_PAGE, Account
from connector.web.context import wiring
from connector.web.present import money
from portal import invoice
from portal.doors import Door, Knock
from portal.form_keys import form_keys_of
from portal.references import references_of
from portal.rows import Table, join

# Stands for the main part while the frame is made; no brand can hold it, as texts are escaped.
_MAIN = Markup("<main-part>")


@dataclass(frozen=True, slots=True)
class Typed:
    """What the customer had filled in when something was wrong with it, by reference."""

    ticked: frozenset[str] = frozenset()
    amounts: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    message: str = ""


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
    secret_key = wiring().settings.secret_key
    portal = door.portal
    can_pay = portal.payable and not door.preview
    opened = len(account.invoices)
    ids = [one.id for one in account.invoices] + [one.id for one in account.paid]
    names = references_of(secret_key).name(ids)
    only = account.open_count == 1 and not typed.message
    table = Table(door.path, door.suffix, can_pay, portal.allow_partial, today)
    shown_to = min(skip + opened, account.open_count)
    keep = {"preview": "1"} if door.preview else {}
    more = shown_to < account.open_count
    main = current_app.jinja_env.get_template("portal/account_main.html").render(
        brand=portal.brand,
        door=door,
        account=account,
        can_pay=can_pay,
        rows=join(
            table.open_invoice(
                one,
                name,
                ticked=only or name in typed.ticked,
                typed=typed.amounts.get(name),
                error=typed.errors.get(name, ""),
            )
            for one, name in zip(account.invoices, names[:opened], strict=True)
        ),
        items=join(map(table.line_item, account.items)),
        paid=join(map(table.paid_invoice, account.paid, names[opened:])),
        pay_all=[
            PayAll(f"{due.currency}:{due.payable}", due.payable_invoices, money(due.payable, due.currency))
            for due in account.due
            if 1 < due.payable_invoices <= MOST_AT_ONCE
        ],
        system=system_title(portal.system),
        confirmed_at=account.confirmed_at or portal.synced_at,
        form_key=form_keys_of(secret_key).give(knock.visitor),
        message=typed.message,
        page=skip // OPEN_A_PAGE + 1,
        shown_from=skip + 1,
        shown_to=shown_to,
        before=page_address(door.path, skip - OPEN_A_PAGE, OPEN_A_PAGE, **keep) if skip else "",
        after=page_address(door.path, skip + OPEN_A_PAGE, OPEN_A_PAGE, **keep) if more else "",
    )
    # A signed-in customer's frame has a form of its own session; all others of a merchant have the same one.
    before, after = _frame(portal.brand, door, can_pay) if door.signed_in else _kept_frame(portal.brand, can_pay)
    return Response(f"{before}{main}{after}", status=status, mimetype="text/html")


def _frame(brand: Brand, door: Door | None, can_pay: bool) -> tuple[str, str]:
    """What stands before and after the main part."""
    template = current_app.jinja_env.get_template("portal/account.html")
    before, _, after = template.render(brand=brand, door=door, can_pay=can_pay, main=_MAIN).partition(_MAIN)
    return before, after


@lru_cache(maxsize=512)
def _kept_frame(brand: Brand, can_pay: bool) -> tuple[str, str]:
    """The frame behind links, made once for each look of a merchant."""
    return _frame(brand, None, can_pay)


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
