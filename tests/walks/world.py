"""The product and its upstreams, whole, over real HTTP; work is done when a test says so, by a clock it can move."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import requests
import sqlalchemy as sa
from flask import Flask

from connector.app import HANDLERS, create_app, wire
from connector.config import read_settings
from connector.db import tables as t
from connector.db.rows import InvoiceRow, PaymentRow, PostingRow
from connector.demo.browser import Browser
from connector.demo.surroundings import CREDENTIALS
from connector.domain.money import minor_to_text
from connector.domain.payments import Choice, PortalScope
from connector.domain.records import Kind, PaymentState
from connector.jobs.runner import run_due
from connector.journeys import connect, pay, settings, sign_up
from connector.wiring import Wiring
from integrations.gateways.sandbox.simulator.settings import SandboxSettings
from integrations.simulator.application import Upstreams, make_upstreams
from integrations.simulator.server import serve_at
from integrations.systems.quickbooks.simulator import QuickBooksSettings
from integrations.systems.quickbooks.simulator.settings import CompanyFile
from integrations.systems.xero.simulator import XeroConfig

SESSION = b"the session hash of a test's merchant"


@dataclass
class World:
    """One merchant with its product, and the little upstreams around it."""

    wiring: Wiring
    app: Flask
    upstreams: Upstreams
    public_url: str
    upstream_url: str
    merchant_id: int = 0
    ahead: timedelta = field(default_factory=timedelta)
    # What is chosen on consent pages besides yes.
    chosen: Mapping[str, str] = field(default_factory=dict)

    def now(self) -> datetime:
        """The product's clock: the real one, moved ahead."""
        return datetime.now(UTC) + self.ahead

    def advance(self, seconds: float) -> None:
        """Let time pass, here and upstream."""
        self.ahead += timedelta(seconds=seconds)
        self.upstreams.clock.advance(seconds)

    def work(self) -> int:
        """Do everything that is due; how many attempts it took."""
        return run_due(self.wiring, HANDLERS)

    def settle(self, until: Callable[[], bool], seconds: float = 20.0) -> None:
        """Work until something holds, letting webhooks arrive. Fails the test when it never does."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, "it never came to hold"
            if not self.work():
                time.sleep(0.02)
                self.ahead += timedelta(seconds=0.5)
        self.work()

    def books(self, system: str, **asked: str) -> dict[str, list[dict[str, Any]]]:
        """Invoices and payments as they stand upstream; `realm` names a company of QuickBooks, the first else."""
        address = f"{self.upstream_url}/{system}/_control/books.json"
        return requests.get(address, params=asked, timeout=10).json()  # type: ignore[no-any-return]

    def fault(self, system: str, kind: str, operation: str, times: int = 1, **options: Any) -> None:
        """Let something go wrong upstream."""
        body = {"kind": kind, "operation": operation, "times": times, **options}
        answer = requests.post(f"{self.upstream_url}/{system}/_control/faults", json=body, timeout=10)
        assert answer.ok, answer.text

    def connect(self, system: str, *, confirm: bool = True, place_links: bool = True) -> int:
        """Consent in the upstream's own pages, look at the dry run, confirm; the connection's id."""
        connection_id = self._consent(system, None)
        connect.survey(self.wiring, self.merchant_id, connection_id)
        if confirm:
            with self.wiring.database.view(self.merchant_id) as view:
                account = sorted(view.connections.account_ids(connection_id))[0]
            connect.confirm(
                self.wiring,
                self.merchant_id,
                connection_id,
                history_start=None,
                deposit_account=account,
                place_links=place_links,
                user_id=1,
            )
        return connection_id

    def reconnect(self, connection_id: int, system: str) -> None:
        """What a merchant does when the dashboard says that the access has ended."""
        with self.wiring.database.view(self.merchant_id) as view:
            if view.connections.get(connection_id).state != "broken":
                return
        assert self._consent(system, connection_id) == connection_id

    def _consent(self, system: str, connection_id: int | None) -> int:
        url = connect.begin(
            self.wiring, self.merchant_id, system=system, session_hash=SESSION, connection_id=connection_id
        )
        form = Browser().get(url).forms[0]
        word = {"quickbooks": "connect", "xero": "allow"}[system]
        answer = requests.post(
            form.action, data={**form.fields, **self.chosen, "decision": word}, allow_redirects=False, timeout=10
        )
        assert answer.status_code in (302, 303), answer.text
        return connect.finish(
            self.wiring,
            self.merchant_id,
            system=system,
            session_hash=SESSION,
            answer=dict(parse_qsl(urlsplit(answer.headers["Location"]).query)),
            user_id=1,
        )

    def open_invoices(self, connection_id: int, system: str, most: int = 5, currency: str = "USD") -> list[InvoiceRow]:
        """Invoices of ours with something due, of one customer."""
        with self.wiring.database.view(self.merchant_id) as view:
            rows = [
                row
                for invoice in self.books(system)["invoices"]
                if invoice["open"]
                and invoice["currency"] == currency
                and (row := view.invoices.by_remote(connection_id, invoice["id"], Kind.INVOICE))
                and row.balance > 0
            ]
        by_customer: dict[str, list[InvoiceRow]] = {}
        for row in rows:
            by_customer.setdefault(row.customer, []).append(row)
        return max(by_customer.values(), key=len)[:most]

    def start_payment(
        self, invoices: list[InvoiceRow], amounts: Mapping[int, str] | None = None, form_key: str = ""
    ) -> str:
        """Choose to pay these invoices; the address the customer is sent to."""
        scope = PortalScope(self.merchant_id, invoices[0].connection_id, invoices[0].customer)
        choices = [
            Choice(row.id, (amounts or {}).get(row.id) or minor_to_text(row.balance, row.currency)) for row in invoices
        ]
        return pay.start(self.wiring, scope, choices, form_key or f"form-{time.monotonic_ns()}").redirect_url

    def press(self, checkout_url: str, action: str = "approve") -> bool:
        """Press a button of the gateway's page; False: none is there, since the customer has pressed one before."""
        page = Browser().get(checkout_url)
        if not page.forms:
            return False
        form = page.form("/checkout/")
        answer = requests.post(form.action, data={**form.fields, "action": action}, allow_redirects=False, timeout=10)
        assert answer.status_code in (302, 303), answer.text
        return True

    def checkouts(self, payment_id: str) -> list[dict[str, Any]]:
        """What the gateway has opened for a payment, as its API shows it."""
        answer = requests.get(
            f"{self.upstream_url}/sandbox/v1/checkouts",
            params={"reference": payment_id},
            headers={"Authorization": f"Bearer {CREDENTIALS['DUEBRIDGE_SANDBOX_API_KEY']}"},
            timeout=10,
        )
        assert answer.ok, answer.text
        return list(answer.json()["data"])

    def memo(self, sent: str) -> str:
        """The page of an invoice as its customer receives it (a path of the upstreams), as text."""
        return requests.get(self.upstream_url + sent, timeout=10).text

    def state_of(self, form_key: str) -> PaymentState:
        """The state of the payment a form was sent for."""
        with self.wiring.database.view(self.merchant_id) as view:
            found = view.payments.by_form(form_key)
        assert found is not None
        return found.state

    def payment(self) -> PaymentRow:
        """The only payment there is."""
        found = self.payments()
        assert len(found) == 1, found
        return found[0]

    def payments(self) -> list[PaymentRow]:
        """All payments, oldest first."""
        with (
            self.wiring.database.view(self.merchant_id) as view,
            self.wiring.database.reader(self.merchant_id) as reader,
        ):
            ids = [row.id for row in reader.rows(sa.select(t.payments.c.id).order_by(t.payments.c.created_at))]
            return [view.payments.get(payment_id) for payment_id in ids]

    def postings(self, payment_id: str) -> list[PostingRow]:
        """What must stand upstream for a payment."""
        with self.wiring.database.view(self.merchant_id) as view:
            return view.postings.of_payment(payment_id)

    def ledger_is_zero(self) -> bool:
        """Whether the ledger sums to zero in every currency, and is not empty."""
        with self.wiring.database.view(self.merchant_id) as view:
            sums = view.ledger.sums()
        return bool(sums) and not any(sums.values())


@contextmanager
def world(
    database_url: str,
    *,
    invoices: int = 40,
    environment: Mapping[str, str] | None = None,
) -> Iterator[World]:
    """A world with a signed-up merchant paid through the sandbox; nothing is connected yet."""
    holder: list[World] = []
    upstreams: list[Upstreams] = []

    def build_upstreams(url: str) -> Upstreams:
        made = make_upstreams(
            None,
            public_url=url,
            quickbooks_settings=QuickBooksSettings(
                companies=(CompanyFile("9341453000000101", "Northwind IT & Design", invoices),),
                calls_per_second=1000,
                calls_per_minute=100_000,
            ),
            xero_config=XeroConfig(minute_limit=100_000, in_flight_limit=50),
            sandbox_settings=SandboxSettings(tick_interval=0.05, signing_time=lambda: holder[0].now().timestamp()),
        )
        upstreams.append(made)
        return made

    with patch.dict(os.environ, OAUTHLIB_INSECURE_TRANSPORT="1"), serve_at(build_upstreams) as outside:
        apps: list[Flask] = []

        def build_product(url: str) -> Flask:
            wiring = wire(
                read_settings(environment_of(database_url, url, outside.url, environment or {})),
                clock=lambda: holder[0].now() if holder else datetime.now(UTC),
                dispatch=lambda connection, item, delay: None,
            )
            app = create_app(wiring)
            holder.append(World(wiring, app, upstreams[0], url, outside.url))
            apps.append(app)
            return app

        with serve_at(build_product) as product:
            here = holder[0]
            for name in ("quickbooks", "xero", "sandbox"):
                body = {
                    "url": f"{product.url}/webhooks/{name}",
                    "secret": CREDENTIALS[f"DUEBRIDGE_{name.upper()}_WEBHOOK_SECRET"],
                }
                assert requests.post(f"{outside.url}/{name}/_control/webhooks", json=body, timeout=10).ok
            here.merchant_id = sign_up_merchant(here.wiring)
            try:
                yield here
            finally:
                upstreams[0].close()
                close_when_idle(here.wiring.database.engine)


def close_when_idle(engine: sa.Engine, seconds: float = 30.0) -> None:
    """Close all connections once requests under way have given theirs back: nobody would close those."""
    pool, until = cast(sa.QueuePool, engine.pool), time.monotonic() + seconds
    while pool.checkedout() and time.monotonic() < until:
        time.sleep(0.02)
    engine.dispose()


def sign_up_merchant(wiring: Wiring, email: str = "alex@northwind.example") -> int:
    """A merchant paid through the sandbox; its id."""
    sign_up.run(wiring, company="Northwind", name="Alex", email=email, password="a long password")
    with wiring.database.lookup() as everybody:
        found = everybody.staff(email)
    assert found is not None
    user_id, merchant_id, _ = found
    settings.payment_rules(wiring, merchant_id, gateway="sandbox", allow_partial=True, user_id=user_id)
    return merchant_id


def environment_of(database_url: str, public_url: str, upstream: str, more: Mapping[str, str]) -> dict[str, str]:
    """The product's environment, with simulators at `upstream`."""
    return {
        **CREDENTIALS,
        "DUEBRIDGE_DATABASE_URL": database_url,
        "DUEBRIDGE_PUBLIC_URL": public_url,
        "DUEBRIDGE_QUICKBOOKS_AUTHORIZE_URL": f"{upstream}/quickbooks/connect/oauth2",
        "DUEBRIDGE_QUICKBOOKS_TOKEN_URL": f"{upstream}/quickbooks/oauth2/v1/tokens/bearer",
        "DUEBRIDGE_QUICKBOOKS_REVOKE_URL": f"{upstream}/quickbooks/v2/oauth2/tokens/revoke",
        "DUEBRIDGE_QUICKBOOKS_API_URL": f"{upstream}/quickbooks",
        "DUEBRIDGE_XERO_AUTHORIZE_URL": f"{upstream}/xero/identity/connect/authorize",
        "DUEBRIDGE_XERO_TOKEN_URL": f"{upstream}/xero/connect/token",
        "DUEBRIDGE_XERO_REVOKE_URL": f"{upstream}/xero/connect/revocation",
        "DUEBRIDGE_XERO_CONNECTIONS_URL": f"{upstream}/xero/connections",
        "DUEBRIDGE_XERO_API_URL": f"{upstream}/xero/api.xro/2.0",
        "DUEBRIDGE_SANDBOX_API_URL": f"{upstream}/sandbox",
        "DUEBRIDGE_QUICKBOOKS_RATE": "100000/60",
        "DUEBRIDGE_XERO_RATE": "100000/60",
        **more,
    }
