"""What the conformance suite needs of an upstream beside its adapter: a simulator to drive as people and fate would.

A new adapter joins by one line in `SYSTEM_RIGS` or `GATEWAY_RIGS`, which says how its simulator is started.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Protocol, TypeVar

from connector.contract import Access, BillingSystem, Grant, PaymentGateway, PaymentIntent, TokenSet
from connector.domain.records import InvoiceState, Kind, Page, Record, UpstreamInvoice
from connector.manifest import Manifest
from tests.contract.quickbooks_rig import quickbooks_rig
from tests.contract.sandbox_rig import sandbox_rig
from tests.contract.xero_rig import xero_rig

_Found = TypeVar("_Found")


class SystemRig(Protocol):
    """A billing system's simulator with our adapter connected to it.

    `operations` are the simulator's names for what the suite lets go wrong: invoice, page, find, record, reverse and,
    where links are placed by API, place. `secret` and `webhook` are for systems whose manifest declares webhooks.
    """

    system: BillingSystem
    grant: Grant
    operations: Mapping[str, str]
    secret: str

    @property
    def access(self) -> Access: ...

    @property
    def tokens(self) -> TokenSet: ...

    @property
    def refreshes(self) -> int: ...

    def fresh(self, *, seconds: float | None = None) -> BillingSystem:
        """Another adapter that knows nothing of the first; `seconds` shortens its patience with an answer."""

    def consent(self, decision: str = "") -> Mapping[str, str]:
        """The callback's query after a person has consented (or pressed the button named)."""

    def redirect(self) -> tuple[str, str]:
        """The redirect address and code verifier consents are made with."""

    def fault(self, kind: str, operation: str = "*", times: int = 1, **options: Any) -> None: ...

    def clear(self) -> None: ...

    def books(self) -> Sequence[Mapping[str, Any]]:
        """Every invoice as the simulator's own page shows it: id, currency, total, balance (as text), open."""

    def payments(self) -> Sequence[tuple[str, str, str]]:
        """Every payment that stands: (id, amount as text, the text our key is looked for in)."""

    def create(self, like: UpstreamInvoice, amount: str) -> str:
        """A bookkeeper writes an open invoice for the same customer and currency; its id."""

    def edit(self, remote_id: str) -> None: ...

    def void(self, remote_id: str) -> None: ...

    def delete(self, like: UpstreamInvoice) -> str:
        """A bookkeeper writes an invoice, it is read, and deleted; its id."""

    def close_books(self, until: date | None) -> None: ...

    def account(self, currency: str) -> str:
        """An account that takes payments in a currency; empty where the system needs none and has none."""

    def text(self, remote_id: str) -> str:
        """The text our link stands in, as the system keeps it (systems whose links stand in a field)."""

    def write_text(self, remote_id: str, text: str) -> None: ...

    def webhook(self, tenants: Sequence[str]) -> Sequence[bytes]:
        """Bodies in every form the vendor sends, each with one invoice's event per tenant."""

    def sign(self, body: bytes, secret: str, at: datetime) -> Mapping[str, str]:
        """The headers the vendor would send with a body."""


class GatewayRig(Protocol):
    """A gateway's simulator with our adapter in front of it."""

    gateway: PaymentGateway
    operations: Mapping[str, str]
    secret: str

    def fresh(self, *, seconds: float | None = None, key: str | None = None) -> PaymentGateway: ...

    def fault(self, kind: str, operation: str = "*", times: int = 1, **options: Any) -> None: ...

    def clear(self) -> None: ...

    def press(self, url: str, button: str) -> None:
        """A button of the hosted page: approve, decline, authenticate, confirm, cancel, bank_settles, bank_returns."""

    def advance(self, seconds: float) -> None: ...

    def checkouts(self, reference: str) -> int: ...

    def odd(self, ref: str) -> None:
        """The payment comes into a state nobody has documented."""

    def webhook(self, tenants: Sequence[str]) -> Sequence[bytes]: ...

    def sign(self, body: bytes, secret: str, at: datetime) -> Mapping[str, str]: ...


SYSTEM_RIGS: Mapping[str, Callable[..., AbstractContextManager[SystemRig]]] = {
    "quickbooks": quickbooks_rig,
    "xero": xero_rig,
}
GATEWAY_RIGS: Mapping[str, Callable[[], AbstractContextManager[GatewayRig]]] = {"sandbox": sandbox_rig}


def in_the_end(ask: Callable[[], _Found | None], seconds: float = 30.0) -> _Found:
    """Ask until there is something: what an upstream still does after its caller has given up waiting."""
    until = time.monotonic() + seconds
    while (found := ask()) is None:
        assert time.monotonic() < until, "nothing came of it"
        time.sleep(0.05)
    return found


def manifest_of(rig: SystemRig | GatewayRig) -> Manifest:
    """What the adapter in force declares."""
    return rig.system.manifest if hasattr(rig, "system") else rig.gateway.manifest


def read_on(system: BillingSystem, access: Access, kind: Kind, cursor: str, most: int = 60) -> list[tuple[str, Page]]:
    """Read from a cursor until done: each cursor asked with its page."""
    read: list[tuple[str, Page]] = []
    for _ in range(most):
        page = system.page(access, kind, cursor)
        read.append((cursor, page))
        cursor = page.next
        if page.done:
            return read
    raise AssertionError("the reading has no end")


def everything(rig: SystemRig, kind: Kind = Kind.INVOICE) -> list[Record]:
    """All records of a kind, as a first import reads them."""
    cursor = rig.system.first_cursor(rig.access, kind, None)
    return [record for _, page in read_on(rig.system, rig.access, kind, cursor) for record in page.records]


@dataclass
class Taken:
    """Hands out invoices, each once."""

    rig: SystemRig
    given: set[str]

    def invoices(self, number: int = 1, currency: str = "USD") -> list[UpstreamInvoice]:
        """Open invoices of one customer with something to be paid in parts, and room for a link in their text."""
        found: dict[str, list[UpstreamInvoice]] = {}
        for row in everything(self.rig):
            if (
                isinstance(row, UpstreamInvoice)
                and row.state is InvoiceState.OPEN
                and row.currency == currency
                and row.balance == row.total > 400
                and len(row.memo) < 500
                and row.remote_id not in self.given
            ):
                found.setdefault(row.customer, []).append(row)
        chosen = next(rows[:number] for rows in found.values() if len(rows) >= number)
        self.given |= {row.remote_id for row in chosen}
        return chosen

    def intent(self, key: str, *, number: int = 1, currency: str = "USD", **changes: Any) -> PaymentIntent:
        """A payment of part of each invoice; as many invoices as the system takes in one payment."""
        if not manifest_of(self.rig).capabilities.multi_invoice:
            number = 1
        invoices = self.invoices(number, currency)
        allocations = tuple((row.remote_id, row.balance // 3) for row in invoices)
        intent = PaymentIntent(
            key=key,
            customer=invoices[0].customer,
            amount=sum(share for _, share in allocations),
            currency=currency,
            paid_on=datetime.now(UTC).date(),
            allocations=allocations,
            deposit_account=self.rig.account(currency),
            reference="pay_01J",
            note="Paid online",
        )
        return replace(intent, **changes)

    def standing(self, key: str) -> list[str]:
        """Ids of the payments that stand upstream under a key."""
        return [remote_id for remote_id, _, text in self.rig.payments() if key in text]
