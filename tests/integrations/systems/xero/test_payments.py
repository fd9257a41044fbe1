"""Payments in Xero's books, against the simulator over real HTTP: exactly once, whatever becomes of the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
import requests
import responses

from connector.contract import Access, Gone, PaymentIntent, Refused, TryAgain, Unclear
from connector.domain.records import InvoiceState, Kind, RemotePayment, UpstreamInvoice
from integrations.systems.xero.payments import LONGEST_REFERENCE, reference
from tests.integrations.systems.xero.connected import Connected, simulated

KEY, NEXT_KEY = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


def open_invoice(upstream: Connected, currency: str = "USD", least: int = 5000) -> UpstreamInvoice:
    access = upstream.access()
    page = upstream.xero.page(access, Kind.INVOICE, upstream.xero.first_cursor(access, Kind.INVOICE, None))
    fits = (one for one in page.records if isinstance(one, UpstreamInvoice) and one.state is InvoiceState.OPEN)
    return next(one for one in fits if one.currency == currency and one.balance > least and one.balance == one.total)


def account(upstream: Connected, name: str = "Online Payments Clearing") -> str:
    return next(one.remote_id for one in upstream.xero.accounts(upstream.access()) if name in one.name)


def intend(upstream: Connected, invoice: UpstreamInvoice, amount: int = 1250, **more: Any) -> PaymentIntent:
    intent = PaymentIntent(
        key=KEY,
        customer=invoice.customer,
        amount=amount,
        currency=invoice.currency,
        paid_on=datetime.now(UTC).date(),
        allocations=((invoice.remote_id, amount),),
        deposit_account=account(upstream),
        reference="pay_01J",
        note="",
    )
    return replace(intent, **more)


def stand_upstream(upstream: Connected, invoice: UpstreamInvoice) -> list[str]:
    """The references of the payments that stand on an invoice, by Xero's own list."""
    access = upstream.access()
    page = upstream.xero.page(access, Kind.PAYMENT, upstream.xero.first_cursor(access, Kind.PAYMENT, None))
    ours = (one for one in page.records if dict(getattr(one, "allocations", ())).get(invoice.remote_id))
    return [getattr(one, "reference", "") for one in ours if not getattr(one, "reversed", True)]


def test_a_payment_lowers_what_is_due_by_itself_exactly(upstream: Connected) -> None:
    invoice = open_invoice(upstream)
    intent, access = intend(upstream, invoice), upstream.access()
    assert upstream.xero.find_payment(access, intent) is None
    recorded = upstream.xero.record_payment(access, intent)
    assert (recorded.amount, recorded.currency, recorded.reversed) == (1250, "USD", False)
    assert recorded.allocations == ((invoice.remote_id, 1250),)
    assert upstream.xero.invoice(access, invoice.remote_id).balance == invoice.balance - 1250
    assert upstream.xero.find_payment(access, intent) == recorded
    assert stand_upstream(upstream, invoice) == [f"DB-{KEY} pay_01J"]


def test_a_payment_in_full_makes_it_paid(upstream: Connected) -> None:
    invoice = open_invoice(upstream)
    upstream.xero.record_payment(upstream.access(), intend(upstream, invoice, invoice.balance))
    paid = upstream.xero.invoice(upstream.access(), invoice.remote_id)
    assert (paid.state, paid.balance) == (InvoiceState.PAID, 0)


def test_the_same_key_within_six_minutes_is_the_same_payment(upstream: Connected) -> None:
    invoice = open_invoice(upstream)
    intent = intend(upstream, invoice)
    first = upstream.xero.record_payment(upstream.access(), intent)
    assert upstream.xero.record_payment(upstream.access(), intent) == first
    assert len(stand_upstream(upstream, invoice)) == 1


@pytest.mark.parametrize("fault", ["drop_after_commit", "error_after_commit", "truncated_json", "html_503"])
def test_a_lost_answer_is_unclear_and_found_again(upstream: Connected, fault: str) -> None:
    invoice = open_invoice(upstream)
    intent, access = intend(upstream, invoice), upstream.access()
    upstream.control("faults", kind=fault, operation="payment.create", times=1)
    with pytest.raises(Unclear):
        upstream.xero.record_payment(access, intent)
    found = upstream.xero.find_payment(access, intent)
    happened = fault != "html_503"
    assert (found is not None) == happened
    assert len(stand_upstream(upstream, invoice)) == happened


@pytest.mark.parametrize("fault", ["drop_before_commit", "error_before_commit"])
def test_an_answer_lost_before_anything_happened_is_unclear_too_and_not_found(upstream: Connected, fault: str) -> None:
    invoice = open_invoice(upstream)
    intent, access = intend(upstream, invoice), upstream.access()
    upstream.control("faults", kind=fault, operation="payment.create", times=1)
    with pytest.raises(Unclear):
        upstream.xero.record_payment(access, intent)
    assert upstream.xero.find_payment(access, intent) is None


def test_xero_repeats_its_own_error_for_six_minutes_and_another_key_goes_through(upstream: Connected) -> None:
    invoice = open_invoice(upstream)
    intent, access = intend(upstream, invoice), upstream.access()
    upstream.control("faults", kind="error_before_commit", operation="payment.create", times=1)
    for _ in range(3):
        with pytest.raises(Unclear):
            upstream.xero.record_payment(access, intent)
    assert upstream.xero.find_payment(access, intent) is None
    # Absence was proved, so the next generation's key may be sent: it is another payment to Xero.
    recorded = upstream.xero.record_payment(access, replace(intent, key=NEXT_KEY))
    assert not recorded.reversed
    assert stand_upstream(upstream, invoice) == [f"DB-{NEXT_KEY} pay_01J"]


def test_a_refusal_is_cached_as_well_and_forgotten_after_six_minutes(upstream: Connected) -> None:
    invoice = open_invoice(upstream)
    upstream.control("lock-date", tenant=upstream.access().tenant, date=datetime.now(UTC).date().isoformat())
    intent = intend(upstream, invoice)
    with pytest.raises(Refused):
        upstream.xero.record_payment(upstream.access(), intent)
    upstream.control("lock-date", tenant=upstream.access().tenant, date="")
    with pytest.raises(Refused):
        upstream.xero.record_payment(upstream.access(), intent)
    upstream.control("clock", advance_seconds=361)
    assert upstream.xero.record_payment(upstream.access(), intent).amount == 1250


def test_locked_books_say_up_to_when(upstream: Connected) -> None:
    invoice = open_invoice(upstream)
    upstream.control("lock-date", tenant=upstream.access().tenant, date="2026-06-30")
    with pytest.raises(Refused) as refused:
        upstream.xero.record_payment(upstream.access(), intend(upstream, invoice, paid_on=date(2026, 6, 30)))
    assert refused.value.code == "lock_date"
    assert "locked up to 2026-06-30 and the payment is dated 2026-06-30" in refused.value.why


def test_more_than_is_due_is_refused_inside_a_200(upstream: Connected) -> None:
    invoice = open_invoice(upstream)
    with pytest.raises(Refused) as refused:
        upstream.xero.record_payment(upstream.access(), intend(upstream, invoice, invoice.balance + 1))
    assert refused.value.code == "overpaid"
    assert "exceeds the amount outstanding" in refused.value.why
    assert stand_upstream(upstream, invoice) == []


def test_an_account_in_another_currency_is_refused_before_anything_is_sent(upstream: Connected) -> None:
    invoice = open_invoice(upstream, "EUR")
    before = upstream.requests_to("payment.create")
    with pytest.raises(Refused, match=r"kept in USD and the payment is in EUR"):
        upstream.xero.record_payment(upstream.access(), intend(upstream, invoice))
    assert upstream.requests_to("payment.create") == before
    euro = intend(upstream, invoice, deposit_account=account(upstream, "Euro Account"))
    assert upstream.xero.record_payment(upstream.access(), euro).currency == "EUR"


def test_yen_have_no_decimals(upstream: Connected) -> None:
    invoice = open_invoice(upstream, "JPY")
    intent = intend(upstream, invoice, 1200, deposit_account=account(upstream, "Undeposited"))
    recorded = upstream.xero.record_payment(upstream.access(), intent)
    assert recorded.amount == 1200
    assert upstream.xero.invoice(upstream.access(), invoice.remote_id).balance == invoice.balance - 1200


def test_without_an_account_nothing_is_sent(upstream: Connected) -> None:
    with pytest.raises(Refused) as refused:
        upstream.xero.record_payment(upstream.access(), intend(upstream, open_invoice(upstream), deposit_account=""))
    assert refused.value.code == "deposit_account"
    assert upstream.requests_to("payment.create") == 0


def test_a_payment_over_two_invoices_must_come_in_parts(upstream: Connected) -> None:
    assert upstream.xero.manifest.capabilities.multi_invoice is False
    invoice = open_invoice(upstream)
    both = intend(upstream, invoice, allocations=((invoice.remote_id, 625), (invoice.remote_id, 625)))
    for intent in (both, replace(both, allocations=((invoice.remote_id, 1),)), replace(both, allocations=())):
        with pytest.raises(ValueError, match="each part alone"):
            upstream.xero.record_payment(upstream.access(), intent)


def test_a_reversal_reopens_the_invoice_and_repeats(upstream: Connected) -> None:
    invoice = open_invoice(upstream)
    intent, access = intend(upstream, invoice), upstream.access()
    recorded = upstream.xero.record_payment(access, intent)
    upstream.xero.reverse_payment(access, recorded)
    assert upstream.xero.invoice(access, invoice.remote_id).balance == invoice.balance
    upstream.xero.reverse_payment(access, recorded)
    # Found, and known to be taken back: it is not a payment that got lost.
    found = upstream.xero.find_payment(access, intent)
    assert found is not None and found.reversed
    again = upstream.xero.record_payment(access, replace(intent, key=NEXT_KEY))
    assert again.remote_id != recorded.remote_id


def test_a_reversal_whose_answer_was_lost_repeats(upstream: Connected) -> None:
    invoice = open_invoice(upstream)
    recorded = upstream.xero.record_payment(upstream.access(), intend(upstream, invoice))
    upstream.control("faults", kind="drop_after_commit", operation="payment.delete", times=1)
    with pytest.raises(Unclear):
        upstream.xero.reverse_payment(upstream.access(), recorded)
    upstream.xero.reverse_payment(upstream.access(), recorded)
    assert stand_upstream(upstream, invoice) == []


def test_a_payment_xero_does_not_know_is_gone(upstream: Connected) -> None:
    stranger = RemotePayment("00000000-0000-4000-8000-000000000000", 1, "USD", False, "", ())
    with pytest.raises(Gone):
        upstream.xero.reverse_payment(upstream.access(), stranger)


def test_a_payment_in_a_batch_is_to_be_undone_in_xero(upstream: Connected) -> None:
    invoice = open_invoice(upstream)
    access = upstream.access()
    batch = {
        "Account": {"AccountID": account(upstream)},
        "Date": datetime.now(UTC).date().isoformat(),
        "Payments": [{"Invoice": {"InvoiceID": invoice.remote_id}, "Amount": 12.5, "Reference": f"DB-{KEY} pay_01J"}],
    }
    headers = {
        "Authorization": f"Bearer {access.token(None)}",
        "xero-tenant-id": access.tenant,
        "Accept": "application/json",
    }
    url = f"{upstream.url}/api.xro/2.0/BatchPayments"
    answer = requests.put(url, json={"BatchPayments": [batch]}, headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    payment = answer.json()["BatchPayments"][0]["Payments"][0]["PaymentID"]
    with pytest.raises(Refused) as refused:
        upstream.xero.reverse_payment(access, RemotePayment(payment, 1250, "USD", False, "", ()))
    assert refused.value.code == "batch"
    assert "in Xero only as a whole" in refused.value.why


def test_a_throttled_payment_certainly_did_not_happen(upstream: Connected) -> None:
    intent = intend(upstream, open_invoice(upstream))
    upstream.control("faults", kind="throttle", operation="payment.create", times=1)
    with pytest.raises(TryAgain):
        upstream.xero.record_payment(upstream.access(), intent)
    assert upstream.xero.find_payment(upstream.access(), intent) is None


def test_an_expired_token_is_renewed_under_a_payment() -> None:
    with simulated() as upstream:
        upstream.connect()
        intent = intend(upstream, open_invoice(upstream))
        upstream.control("clock", advance_seconds=1801)
        assert upstream.xero.record_payment(upstream.access(), intent).amount == 1250
        assert upstream.refreshed == 1


def test_two_payments_with_our_key_are_for_a_person(upstream: Connected) -> None:
    """Xero took one twice (a key older than six minutes resent by hand): adopting either would hide the other."""
    intent = intend(upstream, open_invoice(upstream))
    upstream.xero.record_payment(upstream.access(), intent)
    upstream.control("clock", advance_seconds=361)
    upstream.xero.record_payment(upstream.access(), intent)
    with pytest.raises(Unclear, match="has 2 payments"):
        upstream.xero.find_payment(upstream.access(), intent)


@pytest.mark.parametrize("standing", ["x DB-{key}", "DB-{key}9", "db-{key}", "", None])
def test_only_our_mark_at_the_start_is_ours(upstream: Connected, standing: str | None) -> None:
    invoice = open_invoice(upstream)
    row = {
        "PaymentID": "40000000-0000-4000-8000-000000000001",
        "Amount": 12.5,
        "Status": "AUTHORISED",
        "Invoice": {"InvoiceID": invoice.remote_id, "CurrencyCode": "USD"},
        "Reference": standing and standing.format(key=KEY),
    }
    intent, access = intend(upstream, invoice), upstream.access()
    with responses.RequestsMock() as mock:
        mock.get(f"{upstream.url}/api.xro/2.0/Payments", json={"Payments": [row]})
        assert upstream.xero.find_payment(access, intent) is None
    with responses.RequestsMock() as mock:
        mock.get(f"{upstream.url}/api.xro/2.0/Payments", json={"Payments": [{**row, "Reference": f"DB-{KEY}"}]})
        found = upstream.xero.find_payment(access, intent)
    assert found is not None and found.remote_id == row["PaymentID"]


@pytest.mark.parametrize(
    "element",
    [
        {"PaymentID": "p", "HasValidationErrors": True, "ValidationErrors": [{"Message": "Not allowed"}]},
        {"PaymentID": "p", "StatusAttributeString": "ERROR", "ValidationErrors": [{"Message": "Not allowed"}]},
        {"ValidationErrors": [{"Message": "Not allowed"}]},
    ],
)
def test_an_element_with_errors_is_refused_although_it_has_an_id(upstream: Connected, element: dict[str, Any]) -> None:
    intent, access = intend(upstream, open_invoice(upstream)), upstream.access()
    money = {"Amount": 12.5, "Status": "AUTHORISED", "Invoice": {"InvoiceID": "i", "CurrencyCode": "USD"}}
    with responses.RequestsMock() as mock:
        mock.put(f"{upstream.url}/api.xro/2.0/Payments", json={"Payments": [{**money, **element}]})
        with pytest.raises(Refused, match="Not allowed"):
            upstream.xero.record_payment(access, intent)


@pytest.mark.parametrize("changed", [{"Amount": 12.49}, {"Status": "DELETED"}, {"Invoice": {"InvoiceID": "i"}}])
def test_an_answer_about_another_payment_is_not_believed(upstream: Connected, changed: dict[str, Any]) -> None:
    intent, access = intend(upstream, open_invoice(upstream)), upstream.access()
    right = {"PaymentID": "p", "Amount": 12.5, "Status": "AUTHORISED"}
    row = {**right, "Invoice": {"InvoiceID": "i", "CurrencyCode": "USD"}, **changed}
    with responses.RequestsMock() as mock:
        mock.put(f"{upstream.url}/api.xro/2.0/Payments", json={"Payments": [row]})
        with pytest.raises(Unclear):
            upstream.xero.record_payment(access, intent)


def test_the_reference_begins_with_the_key_and_stays_short(upstream: Connected) -> None:
    intent = intend(upstream, open_invoice(upstream), reference="r" * 200)
    assert reference(intent).startswith(f"DB-{KEY} rrr")
    assert len(reference(intent)) == LONGEST_REFERENCE
    assert reference(replace(intent, reference="")) == f"DB-{KEY}"


def test_without_a_known_base_currency_the_account_is_looked_at(upstream: Connected) -> None:
    """An organisation that could not be read at connect has none: every deposit account is checked then."""
    access = upstream.access()
    bare = Access(access.connection, access.tenant, access.token, {})
    with pytest.raises(Refused, match="kept in USD"):
        upstream.xero.record_payment(bare, intend(upstream, open_invoice(upstream, "EUR")))
    assert upstream.xero.record_payment(bare, intend(upstream, open_invoice(upstream))).currency == "USD"
