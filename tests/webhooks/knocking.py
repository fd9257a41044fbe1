"""The product's webhook door on its real web server, and senders that sign as the vendors do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
import sqlalchemy as sa
import waitress
from waitress import wasyncore

from connector.app import create_app, wire
from connector.config import read_settings
from connector.db import tables as t
from connector.db.work import WorkRow
from connector.demo.surroundings import CREDENTIALS
from connector.domain.payments import PortalScope
from connector.domain.records import InvoiceState, Kind, UpstreamInvoice
from connector.domain.work import Work
from connector.jobs.runner import attempt
from connector.journeys import sign_up
from connector.web.server import LARGEST_BODY
from connector.wiring import Wiring
from webhooks import dispatch

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
PREVIOUS = "the secret before"
# Nobody listens there: the door and the dispatch call nobody.
NOWHERE = "http://127.0.0.1:9"
ADDRESSES = {
    "QUICKBOOKS": ("AUTHORIZE", "TOKEN", "REVOKE", "API"),
    "XERO": ("AUTHORIZE", "TOKEN", "REVOKE", "CONNECTIONS", "API"),
    "SANDBOX": ("API",),
}


def secret_of(sender: str) -> str:
    """The webhook secret in force."""
    return CREDENTIALS[f"DUEBRIDGE_{sender.upper()}_WEBHOOK_SECRET"]


def signature(sender: str, body: bytes, secret: str, at: datetime = NOW) -> dict[str, str]:
    """The header a vendor signs with, made from the vendors' documentation and not by the product's code."""

    def digest(signed: bytes) -> bytes:
        return hmac.new(secret.encode(), signed, hashlib.sha256).digest()

    if sender == "sandbox":
        stamp = str(int(at.timestamp()))
        return {"Sandbox-Signature": f"t={stamp},v1={digest(stamp.encode() + b'.' + body).hex()}"}
    name = {"quickbooks": "intuit-signature", "xero": "x-xero-signature"}[sender]
    return {name: base64.b64encode(digest(body)).decode()}


@dataclass
class Door:
    """The running product, what it has stored, and its clock."""

    wiring: Wiring
    url: str
    ahead: timedelta = field(default_factory=timedelta)

    def post(
        self, sender: str, body: bytes, headers: Mapping[str, str] | None = None, *, at: datetime = NOW
    ) -> requests.Response:
        """Deliver a body, signed with the secret in force when no headers are given."""
        signed = signature(sender, body, secret_of(sender), at) if headers is None else headers
        return requests.post(
            f"{self.url}/webhooks/{sender}",
            data=body,
            headers={"Content-Type": "application/json", **signed},
            timeout=10,
            allow_redirects=False,
        )

    def deliveries(self) -> list[tuple[str, str, str]]:
        """(sender, state, note) of everything kept, oldest first."""
        d = t.deliveries.c
        with self.wiring.database.engine.connect() as connection:
            rows = connection.execute(sa.select(d.sender, d.state, d.note).order_by(d.id))
            return [(row.sender, row.state, row.note) for row in rows]

    def dispatched(self) -> list[tuple[str, str, str]]:
        """Dispatch what was delivered and nothing else; the deliveries as they stand then."""
        with self.wiring.database.lookup() as everybody:
            due = [item for item in everybody.overdue_work(NOW + timedelta(days=1)) if item.kind is Work.DELIVERY]
        for item in due:
            attempt(self.wiring, {Work.DELIVERY: dispatch.run}, item.id, item.attempt, None)
        return self.deliveries()

    def work(self, merchant_id: int) -> list[WorkRow]:
        """What a merchant's worker has to do."""
        with self.wiring.database.view(merchant_id) as view:
            return view.work.list("pending")

    def merchant(self, name: str) -> int:
        """A new merchant; its id."""
        sign_up.run(
            self.wiring, company=name, name=name, email=f"{name}@{name}.example", password="a long enough password"
        )
        with self.wiring.database.lookup() as everybody:
            found = everybody.staff(f"{name}@{name}.example")
        assert found is not None
        return found[1]

    def connection(self, merchant_id: int, system: str, tenant: str, *, state: str = "active") -> int:
        """A connected organisation; its id."""
        with self.wiring.database.unit_of_work(merchant_id) as uow:
            made = uow.connections.add(
                system=system, tenant=tenant, name=tenant, currency="USD", extra={}, install_key=None
            )
            uow.connections.change(made, state=state)
        return made

    def payment(self, merchant_id: int, connection_id: int, ref: str) -> str:
        """A payment under way at the gateway's checkout `ref`; its id."""
        invoice = UpstreamInvoice(
            Kind.INVOICE, ref, ref, InvoiceState.OPEN, "c1", None, None, "USD", 500, 0, 500, "", "", "", False, "1",
            None, (),
        )  # fmt: skip
        with self.wiring.database.unit_of_work(merchant_id) as uow:
            uow.mirror.put_invoices(connection_id, [invoice])
            row = uow.invoices.by_remote(connection_id, ref)
            assert row is not None
            made = uow.payments.intend(
                PortalScope(merchant_id, connection_id, "c1"),
                shares={row.id: 500},
                currency="USD",
                gateway="sandbox",
                form_key=ref,
                expires_at=NOW,
            )
            assert made is not None
            uow.payments.change(made.id, gateway_ref=ref)
        return made.id


def cloud_event(realm: str, entity: str = "invoice", remote_id: str = "130", event_id: str = "e-1") -> dict[str, Any]:
    """One event as Intuit sends it since 2025."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "intuit.dsnBgbseACLLRZNxo2dfc4evmEJdxde58xeeYcZliOU=",
        "type": f"qbo.{entity}.updated.v1",
        "datacontenttype": "application/json",
        "time": "2026-11-22T16:29:58Z",
        "intuitentityid": remote_id,
        "intuitaccountid": realm,
        "data": {},
    }


def notification(realm: str, *entities: tuple[str, str]) -> dict[str, Any]:
    """One organisation's part of the older form."""
    changed = [
        {"name": name, "id": remote_id, "operation": "Update", "lastUpdated": "2026-11-22T16:29:58.000Z"}
        for name, remote_id in entities
    ]
    return {"realmId": realm, "dataChangeEvent": {"entities": changed}}


def xero_events(*events: tuple[str, str]) -> bytes:
    """A body of Xero's; each event is (tenant, resource)."""
    told = [
        {
            "resourceUrl": f"https://api.xero.com/api.xro/2.0/Invoices/{resource}",
            "resourceId": resource,
            "eventDateUtc": "2026-11-22T16:29:58.123",
            "eventType": "UPDATE",
            "eventCategory": "INVOICE",
            "tenantId": tenant,
            "tenantType": "ORGANISATION",
        }
        for tenant, resource in events
    ]
    return json.dumps(
        {"events": told, "firstEventSequence": 1, "lastEventSequence": len(told), "entropy": "S0m3"}
    ).encode()


def sandbox_event(checkout: str, reference: str, event_id: str = "evt_1") -> bytes:
    """A body of the sandbox gateway's."""
    event = {
        "id": event_id,
        "type": "payment.settled",
        "created": "2026-11-22T16:29:58Z",
        "data": {"checkout": checkout, "payment": "pay_1", "reference": reference},
    }
    return json.dumps(event).encode()


@contextmanager
def door(database_url: str, environment: Mapping[str, str] | None = None) -> Iterator[Door]:
    """The product at a database with all tables, behind waitress. QuickBooks knows two secrets, the others one."""
    nowhere = {
        f"DUEBRIDGE_{name}_{endpoint}_URL": NOWHERE for name, endpoints in ADDRESSES.items() for endpoint in endpoints
    }
    settings = read_settings(
        {
            **CREDENTIALS,
            "DUEBRIDGE_QUICKBOOKS_WEBHOOK_SECRET": f"{secret_of('quickbooks')},{PREVIOUS}",
            **nowhere,
            "DUEBRIDGE_DATABASE_URL": database_url,
            "DUEBRIDGE_PUBLIC_URL": "http://pay.example",
            **(environment or {}),
        }
    )
    holder: list[Door] = []
    wiring = wire(
        settings,
        clock=lambda: NOW + (holder[0].ahead if holder else timedelta()),
        dispatch=lambda connection, item, delay: None,
    )
    server = waitress.create_server(
        create_app(wiring), host="127.0.0.1", port=0, threads=8, max_request_body_size=LARGEST_BODY
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    holder.append(Door(wiring, f"http://127.0.0.1:{server.effective_port}"))
    try:
        yield holder[0]
    finally:
        # Closed within its own loop: from here, the loop would trip over connections taken from under it.
        server.task_dispatcher.shutdown()
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))
        thread.join(10)
        wiring.database.engine.dispose()
