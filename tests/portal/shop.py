"""A merchant with a customer, open for business in a database of the test's own.

The accounting system and the gateway are small in-memory ones that keep the contract; the walks use the real adapters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from connector.config import read_settings
from connector.contract import (
    Access,
    BillingSystem,
    Checkout,
    CheckoutRequest,
    PaymentGateway,
    Refused,
    TokenStore,
    TryAgain,
)
from connector.db import tables as t
from connector.db.engine import make_engine
from connector.db.migrations import upgrade
from connector.db.unit_of_work import Database
from connector.db.vault import Vault
from connector.domain.links import Scope
from connector.domain.records import (
    Contact,
    GatewayPayment,
    InvoiceState,
    Kind,
    Line,
    PaymentState,
    UpstreamCustomer,
    UpstreamInvoice,
)
from connector.mail import Mailer
from connector.manifest import Capabilities, Manifest
from connector.web import foundation
from connector.wiring import Wiring
from portal import blueprint
from tests.integrations.limiters import MemoryLimiter

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
TODAY = NOW.date()
GATEWAY_PAGE = "https://pay.gateway.example/checkout/"


SYSTEM = Manifest(
    "quickbooks",
    "QuickBooks Online",
    "system",
    "oauth_code",
    {"authorize": "https://consent.example/oauth2", "api": "https://api.example"},
    Capabilities(pdf=True),
)
GATEWAY = Manifest("sandbox", "Sandbox", "gateway", "api_key", {"api": "https://pay.gateway.example/v1"})


@dataclass
class Books:
    """An accounting system: hands out what stands in `invoices`, refuses when `silent`."""

    manifest = SYSTEM
    invoices: dict[str, UpstreamInvoice] = field(default_factory=dict)
    silent: bool = False

    def invoice(self, access: Access, remote_id: str) -> UpstreamInvoice:
        if self.silent:
            raise TryAgain("Busy.")
        return self.invoices[remote_id]

    def invoice_pdf(self, access: Access, remote_id: str) -> bytes:
        if self.silent:
            raise TryAgain("Busy.")
        return b"%PDF-1.7 " + remote_id.encode()


@dataclass
class Till:
    """A gateway: keeps what it was asked to collect; `refusal` is its answer when set."""

    manifest = GATEWAY
    asked: list[CheckoutRequest] = field(default_factory=list)
    refusal: str = ""

    def start_checkout(self, request: CheckoutRequest) -> Checkout:
        if self.refusal:
            raise Refused(self.refusal)
        self.asked.append(request)
        return Checkout(f"co_{request.key}", GATEWAY_PAGE + request.key)

    def cancel(self, ref: str) -> GatewayPayment:
        request = next(one for one in self.asked if f"co_{one.key}" == ref)
        return GatewayPayment(
            ref, "", request.reference, PaymentState.CANCELLED, request.amount, request.currency, 0, False, "", "", None
        )


@dataclass
class Shop:
    """The merchant 'Northwind Gardens' and its customer 'Anna & Söhne'."""

    app: Flask
    wiring: Wiring
    books: Books
    till: Till
    merchant_id: int
    connection_id: int
    statements: list[str]
    _last: int = 1000

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def invoice(self, total: int = 12_345, **more: Any) -> str:
        """Put an invoice into the books and the mirror; its remote id. `due_in` counts days."""
        self._last += 1
        remote = str(more.pop("remote_id", f"r{self._last}"))
        due_in = more.pop("due_in", 20)
        record = UpstreamInvoice(
            kind=more.pop("kind", Kind.INVOICE),
            remote_id=remote,
            number=more.pop("number", f"INV-{self._last}"),
            state=more.pop("state", InvoiceState.OPEN),
            customer=more.pop("customer", "c1"),
            issue_date=more.pop("issue_date", TODAY - timedelta(days=30)),
            due_date=TODAY + timedelta(days=due_in),
            currency=more.pop("currency", "EUR"),
            total=total,
            tax=more.pop("tax", 0),
            balance=more.pop("balance", total),
            memo="",
            reference=more.pop("reference", ""),
            theme="",
            emailed=True,
            version="1",
            updated_at=None,
            lines=more.pop("lines", (Line("Weekly gardening", "1", "123.45", total, 0),)),
        )
        assert not more, more
        self.books.invoices[remote] = record
        with self.wiring.database.unit_of_work(self.merchant_id) as uow:
            uow.mirror.put_invoices(self.connection_id, [record])
        return remote

    def link(self, target: str = "c1", scope: Scope = Scope.CUSTOMER) -> str:
        """The live link of a target; its token."""
        with self.wiring.database.unit_of_work(self.merchant_id) as uow:
            return uow.links.mint(self.connection_id, scope, target)[1]

    def row(self, table: sa.Table, *where: sa.ColumnElement[bool]) -> Any:
        """One row of a table as it stands."""
        with self.wiring.database.engine.connect() as connection:
            return connection.execute(sa.select(table).where(*where)).first()

    def rows(self, table: sa.Table) -> list[Any]:
        """All rows of a table."""
        with self.wiring.database.engine.connect() as connection:
            return list(connection.execute(sa.select(table)))

    def change(self, table: sa.Table, **values: Any) -> None:
        """Change every row of a table."""
        with self.wiring.database.engine.begin() as connection:
            connection.execute(sa.update(table).values(**values))


def overhear(engine: sa.Engine) -> list[str]:
    """Every statement the drivers are handed from now on, but for those that begin and end transactions and the empty
    one by which the pool finds out whether a connection is alive."""
    heard: list[str] = []

    def hear(statement: str) -> None:
        if not statement.upper().startswith(("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", ";")):
            heard.append(statement)

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *more: Any, **options: Any) -> Any:
            hear(str(query))
            return super().execute(query, *more, **options)

    @sa.event.listens_for(engine, "connect")
    def connect(driver: Any, _: Any) -> None:
        if engine.dialect.name == "sqlite":
            driver.set_trace_callback(hear)
        else:
            driver.cursor_factory = Cursor

    return heard


def open_shop(url: str, environ: Mapping[str, str] | None = None) -> Shop:
    """Make the tables and the merchant, and put up the customers' pages."""
    upgrade(url)
    settings = read_settings(
        {"DUEBRIDGE_DATABASE_URL": url, "DUEBRIDGE_PUBLIC_URL": "http://pay.test", **(environ or {})}
    )
    engine = make_engine(url)
    statements = overhear(engine)
    books, till = Books(), Till()
    wiring = Wiring(
        settings=settings,
        database=Database(engine, Vault(settings.encryption_keys), lambda: NOW, lambda *_: None),
        systems={"quickbooks": cast(BillingSystem, books)},
        gateways={"sandbox": cast(PaymentGateway, till)},
        senders={},
        webhook_secrets={},
        mail=Mailer(settings.smtp),
        limiter=MemoryLimiter(),
        token_store=cast(TokenStore, None),
        token_supply=lambda system, connection: lambda refused: "token",
        clock=lambda: NOW,
    )
    app = Flask("shop", static_folder=None, template_folder=None)
    foundation.install(app, wiring)
    blueprint.install(app)
    with engine.begin() as connection:
        merchant_id: int = connection.execute(
            sa.insert(t.merchants)
            .values(
                slug="northwind",
                name="Northwind Gardens",
                colour="#0a7d5a",
                help_email="books@northwind.example",
                help_phone="+44 20 7946 0000",
                gateway="sandbox",
                created_at=NOW,
            )
            .returning(t.merchants.c.id)
        ).scalar_one()
        connection_id: int = connection.execute(
            sa.insert(t.connections)
            .values(
                merchant_id=merchant_id,
                system="quickbooks",
                tenant="9130",
                extra={},
                state="active",
                install_key="install-key-1",
                created_at=NOW,
                last_synced_at=NOW - timedelta(minutes=3),
            )
            .returning(t.connections.c.id)
        ).scalar_one()
    with wiring.database.unit_of_work(merchant_id) as uow:
        uow.mirror.put_customers(
            connection_id,
            [
                UpstreamCustomer(
                    "c1", "Anna & Söhne", "", "anna@customer.example", "", "EUR", "", True, "1", None,
                    (Contact("Ben", "ben@customer.example", "", True),),
                ),
                UpstreamCustomer("c2", "Somebody Else", "", "else@other.example", "", "EUR", "", True, "1", None, ()),
            ],
        )  # fmt: skip
    return Shop(app, wiring, books, till, merchant_id, connection_id, statements)
