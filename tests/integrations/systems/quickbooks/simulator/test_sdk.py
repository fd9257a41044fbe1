"""python-quickbooks, unmodified, cannot tell the difference: only its address points here."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import requests
from quickbooks import exceptions
from quickbooks.batch import batch_create
from quickbooks.cdc import change_data_capture
from quickbooks.objects import Account, CompanyInfo, CreditMemo, Customer, Estimate, Invoice, Payment, Ref
from quickbooks.objects.base import LinkedTxn
from quickbooks.objects.payment import PaymentLine

from integrations.systems.quickbooks.simulator.webhooks import signature
from tests.integrations.systems.quickbooks.simulator.driving import REALM, Running, running, sdk


@pytest.fixture(autouse=True)
def _loopback_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def test_it_reads_lists_counts_and_single_objects(seeded: Running) -> None:
    client = sdk(seeded)
    assert Invoice.count(qb=client) == 300
    assert len(Invoice.all(qb=client, order_by="Id", max_results=1000)) == 300
    invoice = Invoice.get(1, qb=client)
    assert invoice.CurrencyRef.value in ("USD", "EUR", "GBP", "JPY")
    assert invoice.Line[0].SalesItemLineDetail.ItemRef.name
    assert [c.DisplayName for c in Customer.filter(DisplayName="O'Brien Roofing", qb=client)] == ["O'Brien Roofing"]
    assert Account.where("AccountType IN ('Bank','Other Current Asset')", qb=client)
    assert len(Customer.choose(["1", "2"], qb=client)) == 2
    assert CompanyInfo.get(1, qb=client).CompanyName == "Northwind IT & Design"
    assert CreditMemo.all(qb=client)
    assert Estimate.all(qb=client)
    assert Invoice.filter(DocNumber="nothing", qb=client) == []


def test_it_places_a_link_by_a_sparse_update_and_meets_5010(run: Running) -> None:
    client = sdk(run)
    invoice = run.open_invoice()
    body = {
        "Id": invoice["Id"],
        "SyncToken": "0",
        "sparse": True,
        "CustomerMemo": {"value": "Pay: https://p.example/i"},
    }
    done = client.update_object("Invoice", json.dumps(body), request_id="link-1")
    assert done["Invoice"]["CustomerMemo"]["value"] == "Pay: https://p.example/i"
    assert client.update_object("Invoice", json.dumps(body), request_id="link-1") == done
    with pytest.raises(exceptions.QuickbooksException) as refusal:
        client.update_object("Invoice", json.dumps(body), request_id="link-2")
    assert refusal.value.error_code == 5010


def _payment(invoice: Invoice, reference: str) -> Payment:
    payment = Payment()
    payment.CustomerRef = invoice.CustomerRef
    payment.CurrencyRef = Ref()
    payment.CurrencyRef.value = invoice.CurrencyRef.value
    payment.TotalAmt = invoice.Balance
    payment.PaymentRefNum = reference
    line = PaymentLine()
    line.Amount = invoice.Balance
    link = LinkedTxn()
    link.TxnId, link.TxnType = invoice.Id, "Invoice"
    line.LinkedTxn.append(link)
    payment.Line.append(line)
    return payment


def test_it_records_finds_and_voids_a_payment(run: Running) -> None:
    client = sdk(run)
    invoice = Invoice.get(run.open_invoice()["Id"], qb=client)
    paid = _payment(invoice, "sdk-1").save(qb=client, request_id="sdk-1")
    replayed = _payment(invoice, "sdk-1").save(qb=client, request_id="sdk-1")
    assert replayed.Id == paid.Id
    assert Invoice.get(invoice.Id, qb=client).Balance == 0
    (found,) = Payment.filter(PaymentRefNum="sdk-1", qb=client)
    assert found.Id == paid.Id
    found.void(qb=client)
    assert Invoice.get(invoice.Id, qb=client).Balance == invoice.Balance


def test_it_finds_a_payment_whose_answer_was_dropped(run: Running) -> None:
    client = sdk(run)
    invoice = Invoice.get(run.open_invoice()["Id"], qb=client)
    run.parts.faults.arm("drop_after_commit", "payment.create")
    with pytest.raises(requests.ConnectionError):
        _payment(invoice, "dropped").save(qb=client, request_id="dropped-1")
    (found,) = Payment.filter(PaymentRefNum="dropped", qb=client)
    assert _payment(invoice, "dropped").save(qb=client, request_id="dropped-1").Id == found.Id


def test_it_creates_voids_and_deletes_invoices(run: Running) -> None:
    client = sdk(run)
    fetched = Invoice.get(run.open_invoice()["Id"], qb=client)
    voided = fetched.void(qb=client)
    assert voided["Invoice"]["Balance"] == 0
    other = Invoice.get(run.open_invoice()["Id"], qb=client)
    assert other.delete(qb=client)["Invoice"]["status"] == "Deleted"
    with pytest.raises(exceptions.ObjectNotFoundException):
        Invoice.get(other.Id, qb=client)


def test_its_own_save_of_a_fetched_invoice_is_taken(run: Running) -> None:
    client = sdk(run)
    before = run.open_invoice()
    invoice = Invoice.get(before["Id"], qb=client)
    invoice.PrivateNote = "seen"
    invoice.save(qb=client)
    after = run.read("Invoice", before["Id"])
    assert (after["PrivateNote"], after["TotalAmt"], after["SyncToken"]) == ("seen", before["TotalAmt"], "1")


def test_it_maps_every_refusal(run: Running) -> None:
    client = sdk(run)
    with pytest.raises(exceptions.ValidationException) as bad_query:
        client.query("SELECT * FROM Custmoer")
    assert bad_query.value.error_code == 4001
    run.parts.faults.arm("throttle")
    with pytest.raises(exceptions.ValidationException) as throttled:
        Invoice.get(1, qb=client)
    assert throttled.value.error_code == 3001
    run.parts.faults.arm("html_503")
    with pytest.raises(exceptions.QuickbooksException) as unreadable:
        Invoice.get(1, qb=client)
    assert unreadable.value.error_code == 10000
    run.parts.faults.arm("expire_tokens")
    with pytest.raises(exceptions.AuthorizationException):
        Invoice.get(1, qb=client)


def test_change_data_capture_batch_and_pdf(run: Running) -> None:
    client = sdk(run)
    since = run.parts.clock.now() - timedelta(seconds=2)
    first, second = Customer(), Customer()
    first.DisplayName, second.DisplayName = "Batch One", "O'Brien Roofing"
    result = batch_create([first, second], qb=client)
    assert [made.DisplayName for made in result.successes] == ["Batch One"]
    assert result.faults[0].Error[0].code == "6240"
    stamp = since.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    captured = change_data_capture([Customer, Invoice], stamp, qb=client)
    assert "Batch One" in {customer.DisplayName for customer in captured.Customer}
    assert Invoice.get(1, qb=client).download_pdf(qb=client).startswith(b"%PDF")


def test_its_check_of_signatures_agrees(seeded: Running) -> None:
    client = sdk(seeded)
    body = '{"a": "é"}'
    assert client.validate_webhook_signature(body, signature(body.encode(), "token"), "token")
    assert not client.validate_webhook_signature(body, signature(body.encode(), "other"), "token")


def test_yen_come_out_whole() -> None:
    with running() as run:
        client = sdk(run)
        invoice = run.open_invoice("JPY")
        fetched = Invoice.get(invoice["Id"], qb=client)
        assert isinstance(fetched.Balance, int)
        assert run.parts.books[REALM].find("Invoice", invoice["Id"]) == invoice
