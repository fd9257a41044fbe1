"""One suite every adapter of the registry must pass, against its own simulator; a capability it lacks is skipped aloud.

A new system joins by having its simulator in `integrations.simulator.application` and its row in `UPSTREAMS`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from connector.contract import (
    Access,
    BillingSystem,
    CheckoutRequest,
    Disconnected,
    LinkSpot,
    PaymentIntent,
    Refused,
    TryAgain,
    Unclear,
)
from connector.db import tables as t
from connector.domain.links import OWNED_PREFIX, link_line
from connector.domain.money import parse
from connector.domain.records import InvoiceState, Kind, Page, PaymentState, UpstreamInvoice
from integrations import registry
from tests.walks.world import World, world


@dataclass(frozen=True)
class Upstream:
    """How an adapter's simulator names what the suite lets go wrong."""

    name: str
    read: str
    pay: str


UPSTREAMS = (
    Upstream("quickbooks", read="invoice.read", pay="payment.create"),
    Upstream("xero", read="invoice.read", pay="payment.create"),
)


@dataclass(frozen=True)
class Connected:
    """An adapter with an organisation connected."""

    here: World
    upstream: Upstream
    system: BillingSystem
    access: Access
    connection_id: int

    def open_invoices(self) -> list[UpstreamInvoice]:
        """Invoices with something due, by the adapter's own pages."""
        return [row for row in self.all(Kind.INVOICE) if row.state is InvoiceState.OPEN and row.balance > 0]

    def all(self, kind: Kind) -> list[UpstreamInvoice]:
        """A whole first import of documents."""
        found: list[UpstreamInvoice] = []
        for page in self.pages(kind):
            assert not page.unreadable
            found += [row for row in page.records if isinstance(row, UpstreamInvoice)]
        return found

    def pages(self, kind: Kind) -> Iterator[Page]:
        """Every page of a first import, one after the other."""
        cursor = self.system.first_cursor(self.access, kind, None)
        for _ in range(1000):
            page = self.system.page(self.access, kind, self.system.ahead(kind, cursor)[0])
            yield page
            if page.done:
                return
            cursor = page.next
        raise AssertionError("a first import never ended")

    def intent(self, invoice: UpstreamInvoice, key: str, amount: int | None = None) -> PaymentIntent:
        """A payment of one invoice."""
        share = amount or invoice.balance
        account = sorted(row.remote_id for row in self.system.accounts(self.access))[0]
        return PaymentIntent(
            key=key,
            customer=invoice.customer,
            amount=share,
            currency=invoice.currency,
            paid_on=datetime.now(UTC).date(),
            allocations=((invoice.remote_id, share),),
            deposit_account=account,
            reference=key[:21],
            note="Paid online",
        )


def test_every_system_of_the_registry_is_held_to_this_suite() -> None:
    assert {upstream.name for upstream in UPSTREAMS} == set(registry.SYSTEMS)


@pytest.fixture(scope="module", params=UPSTREAMS, ids=lambda upstream: upstream.name)
def connected(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connected]:
    """One adapter at a time, connected through its own consent pages."""
    path = shutil.copy(sqlite_template, tmp_path_factory.mktemp("conformance") / "duebridge.db")
    with world(f"sqlite:///{path}", invoices=120) as here:
        upstream: Upstream = request.param
        connection_id = here.connect(upstream.name)
        with here.wiring.database.view(here.merchant_id) as view:
            connection = view.connections.get(connection_id)
        yield Connected(
            here, upstream, here.wiring.systems[upstream.name], here.wiring.access(connection), connection_id
        )


def _key(number: int) -> str:
    return f"{number:032x}"


def test_a_first_import_brings_each_record_once(connected: Connected) -> None:
    for kind in (Kind(name) for name in connected.system.manifest.capabilities.reads):
        ids = [row.remote_id for page in connected.pages(kind) for row in page.records]
        assert len(ids) == len(set(ids)), kind
        assert ids, f"the seeded company has some {kind}"


def test_amounts_and_currencies_are_the_upstreams_own(connected: Connected) -> None:
    invoices = {row.remote_id: row for row in connected.all(Kind.INVOICE)}
    theirs = {row["id"]: row for row in connected.here.books(connected.upstream.name)["invoices"]}
    assert {row.currency for row in invoices.values()} >= {"USD", "JPY"}
    compared = 0
    for remote_id, row in invoices.items():
        if row.state in (InvoiceState.VOID, InvoiceState.DRAFT):
            continue
        assert row.balance == parse(theirs[remote_id]["balance"], row.currency).minor
        assert row.total == parse(theirs[remote_id]["total"], row.currency).minor
        compared += 1
    assert compared > 50


def test_one_invoice_reads_as_its_page_does(connected: Connected) -> None:
    for listed in connected.open_invoices()[:5]:
        assert connected.system.invoice(connected.access, listed.remote_id) == listed


def test_a_link_stands_once_and_leaves_the_merchants_text(connected: Connected) -> None:
    capabilities = connected.system.manifest.capabilities
    if capabilities.link != "field":
        pytest.skip(f"{connected.system.manifest.title} carries links on {capabilities.link}s, not on the invoice.")
    invoice = connected.open_invoices()[0]
    url = f"{connected.here.public_url}/i/AAAAAAAAAAAAAAAAAAAAAA"
    spot = LinkSpot(invoice.remote_id, url, link_line(url), f"{OWNED_PREFIX}{connected.here.public_url}/i/")
    connected.system.place_link(connected.access, spot)
    again = connected.system.place_link(connected.access, spot)
    assert not again.changed
    assert again.before == invoice.memo
    now = connected.system.invoice(connected.access, invoice.remote_id)
    assert now.memo.count(OWNED_PREFIX) == 1
    assert connected.system.verify_link(connected.access, spot).right
    other = f"{connected.here.public_url}/i/BBBBBBBBBBBBBBBBBBBBBB"
    moved = replace(spot, url=other, line=link_line(other), instead_of=url)
    connected.system.place_link(connected.access, moved)
    assert not connected.system.verify_link(connected.access, spot).right
    connected.system.withdraw_link(connected.access, moved)
    connected.system.withdraw_link(connected.access, moved)
    assert connected.system.invoice(connected.access, invoice.remote_id).memo == invoice.memo


def test_a_payment_is_recorded_once_found_and_reversed(connected: Connected) -> None:
    invoice = connected.open_invoices()[-1]
    intent = connected.intent(invoice, _key(1))
    assert connected.system.find_payment(connected.access, intent) is None
    made = connected.system.record_payment(connected.access, intent)
    again = connected.system.record_payment(connected.access, intent)
    assert again.remote_id == made.remote_id
    found = connected.system.find_payment(connected.access, intent)
    assert found is not None
    assert (found.remote_id, found.amount, found.currency) == (made.remote_id, invoice.balance, invoice.currency)
    assert connected.system.invoice(connected.access, invoice.remote_id).balance == 0
    connected.system.reverse_payment(connected.access, found)
    connected.system.reverse_payment(connected.access, found)
    assert connected.system.invoice(connected.access, invoice.remote_id).balance == invoice.balance


def test_a_lost_answer_is_unclear_and_the_payment_is_found(connected: Connected) -> None:
    invoice = connected.open_invoices()[-2]
    intent = connected.intent(invoice, _key(2), amount=min(100, invoice.balance))
    connected.here.fault(connected.upstream.name, "drop_after_commit", connected.upstream.pay)
    with pytest.raises(Unclear):
        connected.system.record_payment(connected.access, intent)
    assert connected.system.find_payment(connected.access, intent) is not None


def test_more_than_is_due_is_refused_in_words(connected: Connected) -> None:
    invoice = connected.open_invoices()[-3]
    with pytest.raises(Refused) as refusal:
        connected.system.record_payment(
            connected.access, connected.intent(invoice, _key(3), amount=invoice.balance + 1)
        )
    assert len(refusal.value.why) > 20


@pytest.mark.parametrize("kind", ["html_503", "truncated_json", "drop_before_commit", "throttle"])
def test_a_read_that_fails_is_to_be_tried_again(connected: Connected, kind: str) -> None:
    invoice = connected.open_invoices()[0]
    connected.here.fault(connected.upstream.name, kind, connected.upstream.read)
    with pytest.raises(TryAgain):
        connected.system.invoice(connected.access, invoice.remote_id)
    _forget_limits(connected)
    assert connected.system.invoice(connected.access, invoice.remote_id) == invoice


@pytest.mark.parametrize("kind", ["html_503", "error_before_commit", "error_after_commit", "truncated_json"])
def test_a_write_that_fails_is_unclear(connected: Connected, kind: str) -> None:
    number = ["html_503", "error_before_commit", "error_after_commit", "truncated_json"].index(kind)
    invoice = connected.open_invoices()[number + 1]
    intent = connected.intent(invoice, _key(10 + number), amount=1 if invoice.currency == "JPY" else 100)
    connected.here.fault(connected.upstream.name, kind, connected.upstream.pay)
    with pytest.raises(Unclear):
        connected.system.record_payment(connected.access, intent)


def test_accounts_may_take_payments(connected: Connected) -> None:
    accounts = connected.system.accounts(connected.access)
    assert accounts
    assert all(account.remote_id and account.name for account in accounts)


def test_the_dry_run_counts_what_the_import_brings(connected: Connected) -> None:
    survey = connected.system.survey(connected.access, None)
    counted = {line.what.lower(): line.number for line in survey.lines}
    assert len(connected.all(Kind.INVOICE)) in counted.values()
    assert survey.organisation


def test_an_access_that_ended_is_told_apart(connected: Connected) -> None:
    stranger = replace(connected.access, token=lambda refused: "not-a-token")
    with pytest.raises(Disconnected):
        connected.system.invoice(stranger, connected.open_invoices()[0].remote_id)


@pytest.mark.parametrize("name", sorted(registry.senders()))
def test_rubbish_from_a_sender_is_refused_and_nothing_unsigned_is_genuine(connected: Connected, name: str) -> None:
    sender = connected.here.wiring.senders[name]
    for raw in (b"", b"null", b"[]x", b'{"events": 7}', b"\xff\xfe", b'{"eventNotifications": [null]}', b"[1]"):
        assert not sender.verify({}, raw, ("secret",), datetime.now(UTC))
        assert not sender.verify({"x": "y"}, raw, (), datetime.now(UTC))
        with pytest.raises(Refused):
            sender.parse(raw)


@pytest.mark.parametrize("name", sorted(registry.GATEWAYS))
def test_a_gateway_opens_one_checkout_a_key_and_finds_it_again(connected: Connected, name: str) -> None:
    gateway = connected.here.wiring.gateways[name]
    key = f"{connected.upstream.name}-{name}".encode().hex().ljust(32, "0")[:32]
    request = CheckoutRequest(
        key=key,
        reference=key,
        amount=1234,
        currency="KWD",
        merchant="Northwind",
        description=("Invoice 1",),
        success_url=f"{connected.here.public_url}/r/a",
        cancel_url=f"{connected.here.public_url}/r/a?cancelled=1",
        expires_at=datetime.fromtimestamp(connected.here.now().timestamp() + 1800, UTC),
    )
    opened = gateway.start_checkout(request)
    assert gateway.start_checkout(request).ref == opened.ref
    found = gateway.find_checkout(key)
    assert found is not None
    assert found.ref == opened.ref
    assert gateway.find_checkout("f" * 32) is None
    word = gateway.fetch(opened.ref)
    assert (word.amount, word.currency, word.payable) == (1234, "KWD", True)
    with pytest.raises(Refused):
        gateway.start_checkout(replace(request, amount=1235))
    ended = gateway.cancel(opened.ref)
    assert not ended.payable
    assert gateway.cancel(opened.ref).state is ended.state
    assert ended.state in (PaymentState.CANCELLED, PaymentState.FAILED)


def _forget_limits(connected: Connected) -> None:
    """A throttled upstream asked for silence; the suite does not wait for it."""
    with connected.here.wiring.database.engine.begin() as connection:
        connection.execute(sa.delete(t.limits))
