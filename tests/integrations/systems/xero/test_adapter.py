"""The adapter as the registry hands it out: what it declares, one record at a time, deposit accounts."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import responses

from connector.contract import Access, BillingSystem, Disconnected, Gone, Refused, Sender, TryAgain
from connector.domain.records import Kind, UpstreamInvoice
from integrations.registry import SYSTEMS, senders
from integrations.systems.xero.adapter import Xero
from integrations.systems.xero.manifest import MANIFEST
from tests.integrations.limiters import MemoryLimiter
from tests.integrations.systems.xero.connected import Connected, config_for

BASE = "https://xero.example"
INVOICE = "002b3c80-7369-5a91-b6bb-3f60610d39de"
ACCESS = Access("c1", "95d9ae9e-cb1f-5bd1-a86d-076ac2fad7a1", lambda _: "T", {})


def test_it_is_a_billing_system_and_a_sender() -> None:
    system: BillingSystem = Xero(config_for(BASE), MemoryLimiter())
    sender: Sender = Xero(config_for(BASE), MemoryLimiter())
    assert system.manifest == sender.manifest == MANIFEST
    assert SYSTEMS["xero"] is Xero and senders()["xero"] is Xero


def test_the_manifest_declares_what_journeys_rely_on() -> None:
    able = MANIFEST.capabilities
    assert (able.multi_invoice, able.partial, able.deposit_account_required) == (False, True, True)
    assert (able.idempotency, able.idempotency_seconds, able.reversal) == ("native_key", 360.0, "delete")
    assert (able.link, able.link_by_api, able.deletes) == ("template", False, "void_status")
    assert set(able.reads) == {str(kind) for kind in Kind}
    assert MANIFEST.webhooks is not None
    assert (MANIFEST.webhooks.accepted, MANIFEST.webhooks.rejected, MANIFEST.webhooks.answer_within) == (200, 401, 5.0)
    per_tenant, per_app, per_day = MANIFEST.limits
    assert (per_tenant.limit, per_tenant.period, per_tenant.in_flight, per_tenant.scope) == (60, 60.0, 5, "connection")
    assert (per_app.limit, per_app.scope) == (10_000, "app")
    assert (per_day.limit, per_day.period, per_day.kept_calls) == (5_000, 86_400.0, 200)
    assert MANIFEST.pages_in_flight < per_tenant.in_flight
    assert all(url.startswith("https://") for url in MANIFEST.endpoints.values())


@pytest.mark.parametrize("text", ["many", "-1", "5.000", "٥"])
def test_a_day_limit_that_is_no_number_is_told_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="DUEBRIDGE_XERO_DAY_LIMIT must be a whole number"):
        Xero(config_for(BASE, day_limit=text), MemoryLimiter())


def test_an_invoice_read_alone_is_the_one_the_page_has(upstream: Connected) -> None:
    access = upstream.access()
    page = upstream.xero.page(access, Kind.INVOICE, upstream.xero.first_cursor(access, Kind.INVOICE, None))
    chosen = [one for one in page.records if isinstance(one, UpstreamInvoice)][::25]
    assert len(chosen) == 12
    assert [upstream.xero.invoice(access, one.remote_id) for one in chosen] == chosen


def test_the_pdf_is_the_one_xero_prints(upstream: Connected) -> None:
    assert upstream.xero.invoice_pdf(upstream.access(), INVOICE).startswith(b"%PDF-")
    with pytest.raises(Gone):
        upstream.xero.invoice_pdf(upstream.access(), "00000000-0000-4000-8000-000000000000")


def test_an_invoice_that_is_not_there_is_gone(upstream: Connected) -> None:
    with pytest.raises(Gone):
        upstream.xero.invoice(upstream.access(), "00000000-0000-4000-8000-000000000000")


@pytest.mark.parametrize("kind", ["ACCPAY", "ACCPAYCREDIT"])
def test_a_bill_of_the_same_ids_is_none_of_the_merchants_invoices(kind: str) -> None:
    row = {"Type": kind, "InvoiceID": INVOICE, "Status": "AUTHORISED"}
    with responses.RequestsMock() as mock:
        mock.get(f"{BASE}/api.xro/2.0/Invoices/{INVOICE}", json={"Invoices": [row]})
        with pytest.raises(Gone, match="bill"):
            Xero(config_for(BASE), MemoryLimiter()).invoice(ACCESS, INVOICE)


def test_an_invoice_that_cannot_be_told_is_refused_with_its_cause() -> None:
    row = {"Type": "ACCREC", "InvoiceID": INVOICE, "Status": "AUTHORISED", "CurrencyCode": "USD", "Total": 1.001}
    with responses.RequestsMock() as mock:
        mock.get(f"{BASE}/api.xro/2.0/Invoices/{INVOICE}", json={"Invoices": [row]})
        with pytest.raises(Refused, match="finer than the smallest coin"):
            Xero(config_for(BASE), MemoryLimiter()).invoice(ACCESS, INVOICE)


def test_deposit_accounts_are_banks_and_accounts_with_payments_enabled(upstream: Connected) -> None:
    found = {account.name: (account.kind, account.currency) for account in upstream.xero.accounts(upstream.access())}
    assert found["090 Business Checking"] == ("Bank", "USD")
    assert found["096 Euro Account"] == ("Bank", "EUR")
    assert found["Undeposited Funds"] == ("Current asset", "")
    assert not any("Sales" in name for name in found)


def test_accounts_that_cannot_be_read_are_asked_again() -> None:
    with responses.RequestsMock() as mock:
        mock.get(f"{BASE}/api.xro/2.0/Accounts", json={"Accounts": [{"Name": "no id"}]})
        with pytest.raises(TryAgain):
            Xero(config_for(BASE), MemoryLimiter()).accounts(ACCESS)


def test_an_organisation_disconnected_inside_xero_asks_the_merchant(upstream: Connected) -> None:
    assert upstream.grant is not None
    tenants = upstream.connect(2).tenants
    upstream.xero.revoke(upstream.grant.tokens, tenants[0])
    with pytest.raises(Disconnected, match="no longer connected"):
        upstream.xero.invoice(upstream.access(0), INVOICE)


def test_threads_share_one_adapter_and_keep_their_tenants_apart(upstream: Connected) -> None:
    """xero-python's clients share one configuration; ours must not mix what two organisations are told."""
    upstream.connect(2)
    names: dict[int, set[str]] = {0: set(), 1: set()}
    failures: list[Exception] = []

    def work(place: int) -> None:
        try:
            for _ in range(10):
                names[place].add(upstream.xero.survey(replace(upstream.access(place)), None).organisation)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(place,)) for place in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert names == {0: {"Northwind IT & Design"}, 1: {"Harbour Street Studio"}}
    assert upstream.limiter.most_open <= 5
