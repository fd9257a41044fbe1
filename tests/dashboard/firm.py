"""A merchant with real pages and adapters that are never called, and rows as an import leaves them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from connector.app import create_app, wire
from connector.config import read_settings
from connector.db.connections import Reading
from connector.db.work import WorkItem
from connector.domain import ledger
from connector.domain.links import Scope
from connector.domain.payments import PortalScope
from connector.domain.postings import Part, PostingState, posting_key
from connector.domain.records import (
    Contact,
    InvoiceState,
    Kind,
    Line,
    PaymentState,
    Unreadable,
    UpstreamAccount,
    UpstreamCustomer,
    UpstreamInvoice,
)
from connector.wiring import Wiring

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
TODAY = NOW.date()
PASSWORD = "correct horse battery"
CONFIGURED = {
    "DUEBRIDGE_QUICKBOOKS_CLIENT_ID": "client",
    "DUEBRIDGE_QUICKBOOKS_CLIENT_SECRET": "secret",
    "DUEBRIDGE_XERO_CLIENT_ID": "client",
    "DUEBRIDGE_XERO_CLIENT_SECRET": "secret",
    "DUEBRIDGE_SANDBOX_API_KEY": "key",
}


@dataclass
class Product:
    """An installation. `woken` are the pieces of work its journeys asked for, in order."""

    wiring: Wiring
    app: Flask
    woken: list[WorkItem] = field(default_factory=list)


@dataclass
class Firm:
    """A merchant signed in with a browser of its own."""

    product: Product
    client: FlaskClient
    email: str
    merchant_id: int = 0
    user_id: int = 0

    def get(self, path: str, **more: Any) -> TestResponse:
        """Open a page."""
        return self.client.get(path, **more)

    def post(self, path: str, **values: Any) -> TestResponse:
        """Send a form, with the token its page carried."""
        return self.client.post(path, data={"csrf_token": self.token(), **values})

    def token(self) -> str:
        """The form protection's token of this browser."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get("/settings/brand").text)
        assert found, "no form on the page"
        return found[1]

    def settle_in(self) -> None:
        """A brand and a gateway."""
        brand = {"name": "Müller & Söhne", "colour": "#14532d", "help_email": "hilfe@mueller.example"}
        assert self.post("/settings/brand", help_phone="+49 89 1234", **brand).status_code == 303
        assert self.post("/settings/payments", gateway="sandbox", allow_partial="1").status_code == 303

    def connection(self, system: str = "quickbooks", *, state: str = "active", name: str = "Müller Bücher") -> int:
        """An organisation as consent, dry run and import leave it."""
        with self.product.wiring.database.unit_of_work(self.merchant_id) as uow:
            connection_id = uow.connections.add(
                system=system,
                tenant=f"tenant-{system}-{name}",
                name=name,
                currency="EUR",
                extra={},
                install_key=f"{'k' * 20}{self.merchant_id:02}" if system == "xero" else None,
            )
            survey = {
                "organisation": name,
                "currency": "EUR",
                "lines": [["customers", 40], ["invoices", 1300]],
                "links": 105,
                "warnings": ["The books are closed up to 31 December 2025."],
                "since": "",
            }
            uow.connections.change(connection_id, survey=survey, state=state)
            uow.connections.replace_accounts(connection_id, [UpstreamAccount("35", "Business Checking", "Bank", "EUR")])
            if state != "pending":
                uow.connections.change(connection_id, confirmed_at=uow.now, deposit_account="35")
        return connection_id

    def imported(self, connection_id: int) -> None:
        """The first import is done."""
        with self.product.wiring.database.unit_of_work(self.merchant_id) as uow:
            uow.connections.change(connection_id, first_import_done_at=uow.now, last_synced_at=uow.now)
            uow.connections.move_reading(connection_id, Reading(Kind.INVOICE, "x", True, 1300, 1300))

    def customer(self, connection_id: int, remote_id: str = "c1", name: str = "Łódź Fabryka") -> int:
        """A customer with two people."""
        record = UpstreamCustomer(
            remote_id, name, "K-1", "buero@lodz.example", "+48 1", "EUR", "", True, "1", None,
            (Contact("Ola", "ola@lodz.example", "", True), Contact("Jan", "jan@lodz.example", "", False)),
        )  # fmt: skip
        with self.product.wiring.database.unit_of_work(self.merchant_id) as uow:
            uow.mirror.put_customers(connection_id, [record])
        return self._id(
            "SELECT id FROM customers WHERE connection_id = :c AND remote_id = :r", connection_id, remote_id
        )

    def invoice(self, connection_id: int, remote_id: str = "i1", **more: Any) -> int:
        """An invoice of customer c1."""
        total = more.pop("total", 123_450)
        record = UpstreamInvoice(
            kind=more.pop("kind", Kind.INVOICE),
            remote_id=remote_id,
            number=more.pop("number", f"2026-{remote_id}"),
            state=more.pop("state", InvoiceState.OPEN),
            customer=more.pop("customer", "c1"),
            issue_date=more.pop("issue_date", TODAY - timedelta(days=40)),
            due_date=more.pop("due_date", TODAY - timedelta(days=10)),
            currency=more.pop("currency", "EUR"),
            total=total,
            tax=more.pop("tax", 0),
            balance=more.pop("balance", total),
            memo=more.pop("memo", "Danke für Ihren Auftrag."),
            reference="",
            theme="",
            emailed=True,
            version="1",
            updated_at=None,
            lines=(Line("Wartung <b>monatlich</b>", "1.5", "823", total, 0),),
        )
        assert not more, more
        with self.product.wiring.database.unit_of_work(self.merchant_id) as uow:
            uow.mirror.put_invoices(connection_id, [record])
        statement = "SELECT id FROM invoices WHERE connection_id = :c AND remote_id = :r"
        return self._id(statement, connection_id, remote_id)

    def placed(self, connection_id: int, remote_id: str = "i1", **values: Any) -> str:
        """The invoice's link stands upstream; its token."""
        with self.product.wiring.database.unit_of_work(self.merchant_id) as uow:
            link_id, token = uow.links.mint(connection_id, Scope.INVOICE, remote_id)
            uow.links.plan(connection_id, remote_id, remote_id, link_id)
            placement = uow.links.placement(connection_id, remote_id)
            assert placement
            standing = {
                "state": "placed",
                "where_placed": "CustomerMemo",
                "text_before": "Danke!",
                "placed_at": uow.now,
            }
            uow.links.change_placement(placement.id, **(standing | values))
        return token

    def theme(self, connection_id: int, ref: str, name: str) -> None:
        """A branding theme only the merchant can put the link on."""
        with self.product.wiring.database.unit_of_work(self.merchant_id) as uow:
            uow.links.plan(connection_id, ref, name, None, state="manual")

    def unreadable(self, connection_id: int) -> None:
        """A record the import could not read."""
        with self.product.wiring.database.unit_of_work(self.merchant_id) as uow:
            uow.mirror.put_unreadable(
                connection_id, Kind.INVOICE, [Unreadable("9", "2026-9", "The amount 12.345 EUR is finer than a cent.")]
            )

    def payment(
        self, connection_id: int, shares: Mapping[int, int], *, state: PaymentState = PaymentState.SETTLED
    ) -> str:
        """A payment with its timeline, as far as `state`."""
        with self.product.wiring.database.unit_of_work(self.merchant_id) as uow:
            scope = PortalScope(self.merchant_id, connection_id, "c1")
            payment = uow.payments.intend(
                scope,
                shares=shares,
                currency="EUR",
                gateway="sandbox",
                form_key=f"form-{sum(shares)}-{sum(shares.values())}-{state}",
                expires_at=uow.now,
            )
            assert payment is not None
            uow.payments.tell(payment.id, "customer", "Chose to pay", "1234.50 EUR")
            money = state is PaymentState.SETTLED
            uow.payments.change(
                payment.id,
                state=state,
                gateway_ref="cs_1",
                method="Card" if money else "",
                booked=payment.amount if money else 0,
                settled_at=uow.now if money else None,
            )
            if money:
                uow.ledger.book(
                    ledger.receipt(
                        payment_id=payment.id,
                        reason=payment.id,
                        gateway="sandbox",
                        connection_id=connection_id,
                        shares=shares,
                        currency="EUR",
                    )
                )
                uow.payments.tell(payment.id, "gateway", "The money has arrived", "Card 1234.50 EUR")
        return payment.id

    def posting(self, connection_id: int, payment_id: str, state: PostingState, problem: str = "") -> str:
        """What must stand in the books for the payment; its key."""
        with self.product.wiring.database.unit_of_work(self.merchant_id) as uow:
            part = Part("all", (("i1", uow.payments.get(payment_id).amount),))
            uow.postings.queue(
                connection_id=connection_id,
                payment_id=payment_id,
                part=part,
                generation=1,
                currency="EUR",
                paid_on=TODAY,
            )
            key = posting_key(connection_id, payment_id, "all", 1)
            uow.postings.change(key, state=state, problem=problem)
        return key

    def count(self, statement: str) -> int:
        """A number straight from the database."""
        with self.product.wiring.database.reader(self.merchant_id) as reader:
            return int(reader.first(sa.text(statement))[0])

    def _id(self, statement: str, connection_id: int, remote_id: str) -> int:
        with self.product.wiring.database.reader(self.merchant_id) as reader:
            return int(reader.first(sa.text(statement), c=connection_id, r=remote_id)[0])


def open_product(database_url: str, environment: Mapping[str, str] = CONFIGURED) -> Product:
    """An installation on a database that has its tables."""
    settings = read_settings({"DUEBRIDGE_DATABASE_URL": database_url, **environment})
    product: list[Product] = []
    wiring = wire(settings, clock=lambda: NOW, dispatch=lambda _, item, __: product[0].woken.append(item))
    product.append(Product(wiring, create_app(wiring)))
    return product[0]


def sign_up(product: Product, email: str = "anna@mueller.example", company: str = "Müller GmbH") -> Firm:
    """A new merchant through the sign-up page."""
    client = product.app.test_client()
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/sign-up").text)
    assert found
    form = {"csrf_token": found[1], "company": company, "name": "Anna", "email": email, "password": PASSWORD}
    answer = client.post("/sign-up", data=form)
    assert answer.status_code == 303, answer.text
    with product.wiring.database.lookup() as everybody:
        staff = everybody.staff(email)
    assert staff
    return Firm(product, client, email, merchant_id=staff[1], user_id=staff[0])


def lines(text: str) -> Sequence[str]:
    """A page's words without its markup, one line each."""
    plain = re.sub(r"<[^>]+>", "\n", text)
    return [line.strip() for line in plain.splitlines() if line.strip()]
