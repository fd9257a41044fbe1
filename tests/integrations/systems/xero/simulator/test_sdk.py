"""The vendor's own SDK cannot tell: models come back, errors are its exceptions, paging and deltas work."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from xero_python.accounting import Account, Invoice, Invoices, LineItem, Payment, PaymentDelete, Payments
from xero_python.accounting import Contact as SdkContact
from xero_python.exceptions import AccountingBadRequestException, HTTPStatusException, RateLimitException

from tests.integrations.systems.xero.simulator.driving import App


def _payment(app: App, invoice_id: str, amount: str, reference: str) -> Payments:
    return Payments(
        payments=[
            Payment(
                invoice=Invoice(invoice_id=invoice_id),
                account=Account(account_id=app.bank()),
                date=app.xero.clock.now().date(),
                amount=Decimal(amount),
                reference=reference,
            )
        ]
    )


def test_connections_and_organisation(app: App) -> None:
    connections = app.identity().get_connections()
    assert [item.tenant_id for item in connections] == [app.tenant]
    assert isinstance(connections[0].created_date_utc, datetime)
    organisation = app.sdk().get_organisations(app.tenant).organisations[0]
    assert (organisation.name, organisation.base_currency.value) == ("Northwind IT & Design", "USD")
    app.identity().delete_connection(connections[0].id)
    assert app.identity().get_connections() == []


def test_every_list_becomes_models(app: App) -> None:
    sdk, tenant = app.sdk(), app.tenant
    assert len(sdk.get_contacts(tenant, page=1).contacts) == 39
    assert len(sdk.get_contacts(tenant, page=1, include_archived=True).contacts) == 40
    assert sdk.get_accounts(tenant).accounts[0].type.value == "BANK"
    assert [theme.name for theme in sdk.get_branding_themes(tenant).branding_themes] == [
        "Standard",
        "Projects",
        "Japan",
    ]
    assert len(sdk.get_credit_notes(tenant, page=1).credit_notes) == 5
    assert sdk.get_overpayments(tenant, page=1).overpayments[0].remaining_credit == 40
    assert sdk.get_prepayments(tenant, page=1).prepayments[0].type == "RECEIVE-PREPAYMENT"
    assert {quote.status.value for quote in sdk.get_quotes(tenant).quotes} == {"SENT", "ACCEPTED", "DECLINED"}
    assert sdk.get_repeating_invoices(tenant).repeating_invoices[0].schedule.unit == "MONTHLY"
    assert sdk.get_payments(tenant, page=1, page_size=1000).payments[0].payment_type == "ACCRECPAYMENT"
    assert sdk.get_batch_payments(tenant).batch_payments == []
    assert {item.code.value for item in sdk.get_currencies(tenant).currencies} >= {"USD", "JPY"}


def test_pages_of_invoices(app: App) -> None:
    sdk, found, page = app.sdk(), {}, 1
    while True:
        answer = sdk.get_invoices(
            app.tenant, page=page, page_size=130, statuses=["AUTHORISED", "PAID", "VOIDED", "DRAFT"]
        )
        found.update({invoice.invoice_id: invoice for invoice in answer.invoices})
        if page >= answer.pagination.page_count:
            break
        page += 1
    assert (page, len(found)) == (3, 300)
    assert all(invoice.line_items for invoice in found.values())


def test_the_delta_by_if_modified_since(app: App) -> None:
    sdk = app.sdk()
    app.xero.clock.advance(120)
    since = (app.xero.clock.now() - timedelta(seconds=1)).replace(tzinfo=None, microsecond=0)
    assert sdk.get_invoices(app.tenant, if_modified_since=since, page=1).invoices == []
    invoice = app.open_invoice()
    sdk.create_payments(app.tenant, _payment(app, invoice["InvoiceID"], "1.00", "pay_1"), summarize_errors=False)
    changed = sdk.get_invoices(app.tenant, if_modified_since=since, page=1).invoices
    assert [item.invoice_id for item in changed] == [invoice["InvoiceID"]]
    payments = sdk.get_payments(app.tenant, if_modified_since=since, where='PaymentType=="ACCRECPAYMENT"').payments
    assert [item.reference for item in payments] == ["pay_1"]


def test_idempotency_by_the_sdks_parameter(app: App) -> None:
    sdk, invoice = app.sdk(), app.open_invoice()
    body = _payment(app, invoice["InvoiceID"], "1.00", "pay_1")
    first = sdk.create_payments(app.tenant, body, idempotency_key="key-1").payments[0]
    second = sdk.create_payments(app.tenant, body, idempotency_key="key-1").payments[0]
    assert first.payment_id == second.payment_id
    other = _payment(app, invoice["InvoiceID"], "2.00", "pay_1")
    with pytest.raises(AccountingBadRequestException):
        sdk.create_payments(app.tenant, other, idempotency_key="key-1")


def test_a_cached_error_needs_another_key(app: App) -> None:
    sdk, invoice = app.sdk(), app.open_invoice()
    body = _payment(app, invoice["InvoiceID"], "1.00", "pay_1")
    app.xero.faults.arm("error_before_commit", "payment.create")
    for _ in range(2):
        with pytest.raises(HTTPStatusException) as failure:
            sdk.create_payments(app.tenant, body, idempotency_key="key-1")
        assert failure.value.status == 500
    made = sdk.create_payments(app.tenant, body, idempotency_key="key-2").payments[0]
    assert made.status == "AUTHORISED"


def test_a_dropped_answer_is_found_by_the_where_query(app: App) -> None:
    sdk, invoice = app.sdk(), app.open_invoice()
    app.xero.faults.arm("drop_after_commit", "payment.create")
    with pytest.raises(requests.ConnectionError):
        sdk.create_payments(app.tenant, _payment(app, invoice["InvoiceID"], "1.00", "pay_7 part 1"))
    where = f'Invoice.InvoiceID==guid("{invoice["InvoiceID"]}")'
    found = sdk.get_payments(app.tenant, where=where).payments
    assert [item.reference for item in found] == ["pay_7 part 1"]
    sdk.delete_payment(app.tenant, found[0].payment_id, PaymentDelete(status="DELETED"))
    assert sdk.get_payment(app.tenant, found[0].payment_id).payments[0].status == "DELETED"
    assert sdk.get_invoice(app.tenant, invoice["InvoiceID"]).invoices[0].amount_paid == 0


def test_validation_errors_are_the_sdks_exception_or_stand_in_the_element(app: App) -> None:
    sdk, invoice = app.sdk(), app.open_invoice()
    body = _payment(app, invoice["InvoiceID"], "99999999.00", "pay_1")
    with pytest.raises(AccountingBadRequestException) as failure:
        sdk.create_payments(app.tenant, body)
    assert "exceeds the amount outstanding" in str(failure.value.error_data["Elements"])
    shown = sdk.create_payments(app.tenant, body, summarize_errors=False).payments[0]
    assert shown.has_validation_errors
    assert "exceeds" in shown.validation_errors[0].message


def test_too_many_requests_are_the_sdks_exception(app: App) -> None:
    app.xero.faults.arm("throttle", "invoice.list", seconds=9)
    with pytest.raises(RateLimitException) as failure:
        app.sdk().get_invoices(app.tenant, page=1)
    assert failure.value.headers["Retry-After"] == "9"


def test_creating_voiding_and_linking_an_invoice(app: App) -> None:
    sdk = app.sdk()
    new = Invoice(
        type="ACCREC",
        contact=SdkContact(name="Made by the SDK"),
        line_items=[LineItem(description="Work", quantity=Decimal("2"), unit_amount=Decimal("10.10"))],
        due_date=app.xero.clock.now().date(),
        status="AUTHORISED",
    )
    made = sdk.create_invoices(app.tenant, Invoices(invoices=[new])).invoices[0]
    assert made.total == Decimal("20.20")
    change: dict[str, Any] = {"Invoices": [{"InvoiceID": made.invoice_id, "Url": "https://app.example.com/i/1"}]}
    assert (
        app.write("POST", f"Invoices/{made.invoice_id}", change)["Invoices"][0]["Url"] == "https://app.example.com/i/1"
    )
    voided = sdk.update_invoice(app.tenant, made.invoice_id, Invoices(invoices=[Invoice(status="VOIDED")])).invoices[0]
    assert voided.status == "VOIDED"
    assert sdk.get_online_invoice(app.tenant, app.open_invoice()["InvoiceID"]).online_invoices[0].online_invoice_url


def test_with_the_sdks_own_transport(app: App, tmp_path: Path) -> None:
    sdk = app.sdk(own_transport=True)
    sdk.api_client.configuration.temp_folder_path = str(tmp_path)
    assert len(sdk.get_invoices(app.tenant, page=1, page_size=50).invoices) == 50
    invoice = app.open_invoice()
    made = sdk.create_payments(app.tenant, _payment(app, invoice["InvoiceID"], "1.00", "pay_1")).payments[0]
    assert made.invoice.amount_paid == 1
    pdf = Path(sdk.get_invoice_as_pdf(app.tenant, invoice["InvoiceID"]))
    assert pdf.read_bytes().startswith(b"%PDF-")
    # This transport waits for Retry-After by itself and asks again: nobody above it learns of the limit.
    app.xero.faults.arm("throttle", "organisation.read", seconds=1)
    assert sdk.get_organisations(app.tenant).organisations
    asked = [line for line in app.xero.journal.entries("request") if line["operation"] == "organisation.read"]
    assert [line["status"] for line in asked] == [429, 200]
    sdk.api_client.rest_client.pool_manager.clear()
