"""Golden files through both mappings; what each of Xero's oddities becomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connector.domain.records import (
    Contact,
    InvoiceState,
    Kind,
    Line,
    Record,
    Unreadable,
    UpstreamCustomer,
    UpstreamInvoice,
    UpstreamPayment,
    UpstreamRecurring,
)
from integrations.systems.xero import mapping
from integrations.systems.xero.mapping_bulk import LISTS, Decoded, decode_page
from integrations.systems.xero.vocabulary import Unmappable, day, instant, plain, version_of

GOLDEN = Path(__file__).parent / "golden"
UPDATED = datetime(2026, 10, 30, 0, 0, 0, 123000, UTC)
VERSION = "1793318400123"
ALONE: dict[Kind, Callable[[Any], Record]] = {
    Kind.INVOICE: lambda row: mapping.to_document(Kind.INVOICE, row),
    Kind.CREDIT_NOTE: lambda row: mapping.to_document(Kind.CREDIT_NOTE, row),
    Kind.ESTIMATE: lambda row: mapping.to_document(Kind.ESTIMATE, row),
    Kind.CUSTOMER: mapping.to_customer,
    Kind.PAYMENT: mapping.to_payment,
    Kind.RECURRING: mapping.to_recurring,
}


def golden(kind: Kind) -> bytes:
    return (GOLDEN / f"{kind}.json").read_bytes()


def bulk(kind: Kind) -> Decoded:
    return decode_page(kind, golden(kind))


def by_number(kind: Kind) -> dict[str, UpstreamInvoice]:
    return {one.number: one for one in bulk(kind).records if isinstance(one, UpstreamInvoice)}


@pytest.mark.parametrize("kind", list(Kind))
def test_both_mappings_agree_on_every_golden_record(kind: Kind) -> None:
    found = bulk(kind)
    alone, refused = [], []
    for row in mapping.decode(golden(kind))[LISTS[kind]]:
        try:
            alone.append(ALONE[kind](row))
        except Unmappable:
            refused.append(next((row[name] for name in row if name.endswith("ID")), ""))
    assert found.records == alone
    assert len(found.records) + len(found.unreadable) == found.rows
    if kind is Kind.CUSTOMER:
        assert [one.number for one in found.unreadable] == ["Nobody"]
    else:
        assert [one.remote_id for one in found.unreadable] == refused


def test_an_invoice_in_full() -> None:
    assert bulk(Kind.INVOICE).records[0] == UpstreamInvoice(
        kind=Kind.INVOICE,
        remote_id="10000000-0000-4000-8000-000000000001",
        number="INV-0001",
        state=InvoiceState.OPEN,
        customer="c0000000-0000-4000-8000-000000000001",
        issue_date=date(2026, 10, 1),
        due_date=date(2026, 10, 31),
        currency="EUR",
        total=21480,
        tax=3430,
        balance=11480,
        memo="",
        reference="PO 17",
        theme="b0000000-0000-4000-8000-000000000001",
        emailed=True,
        version=VERSION,
        updated_at=UPDATED,
        lines=(
            Line("Beratung vor Ort", "1.5", "120.3333", 18050, 3430),
            Line("A line that is a note only", "", "", 0, 0),
        ),
    )


def test_amount_due_is_believed_not_total_less_payments() -> None:
    # 214.80 less 90 paid is 124.80; 10.00 came off by a credit note, which is no payment.
    assert by_number(Kind.INVOICE)["INV-0001"].balance == 11480


def test_yen_dinars_missing_lines_and_iso_dates() -> None:
    found = by_number(Kind.INVOICE)
    yen = found["INV-0002"]
    assert (yen.total, yen.balance, yen.lines, yen.state) == (5000, 0, (), InvoiceState.PAID)
    assert (yen.issue_date, yen.due_date, yen.version) == (date(2026, 10, 1), date(2026, 10, 31), VERSION)
    dinar = found[""]
    assert (dinar.total, dinar.state) == (2250, InvoiceState.DRAFT)
    assert dinar.lines == (Line("小さな仕事", "2", "1.125", 2250, 0),)


def test_void_deleted_and_unknown_states_and_currencies_keep_the_page() -> None:
    found = by_number(Kind.INVOICE)
    assert found["INV-0003"].state is InvoiceState.VOID
    unknown = found["INV-0006"]
    assert (unknown.state, unknown.currency, unknown.customer, unknown.total) == (InvoiceState.UNKNOWN, "ZZZ", "", 1000)
    deleted = next(one for one in bulk(Kind.INVOICE).records if one.remote_id.endswith("0004"))
    assert isinstance(deleted, UpstreamInvoice)
    assert (deleted.state, deleted.number, deleted.updated_at) == (InvoiceState.DELETED, "", UPDATED)


def test_what_cannot_be_mapped_is_kept_with_its_cause() -> None:
    causes = {one.number: one.why for one in bulk(Kind.INVOICE).unreadable}
    assert sorted(causes) == ["INV-0007", "INV-0008", "INV-0009", "INV-0010", "INV-0011"]
    assert causes["INV-0007"] == "12.345 USD is finer than the smallest coin of USD."
    assert causes["INV-0008"] == "Xero calls it ACCSUPER; only ACCREC documents are sales."
    assert "LineItems" in causes["INV-0009"]
    assert "'yesterday'" in causes["INV-0010"]
    assert causes["INV-0011"] == "Xero gave no amount due."


def test_a_credit_note_holds_what_is_left_of_it() -> None:
    (note,) = bulk(Kind.CREDIT_NOTE).records
    assert isinstance(note, UpstreamInvoice)
    assert (note.kind, note.number, note.total, note.balance) == (Kind.CREDIT_NOTE, "CN-001", 1195, 195)
    assert [one.number for one in bulk(Kind.CREDIT_NOTE).unreadable] == ["CN-002"]


def test_quotes_owe_nothing_and_carry_their_words() -> None:
    found = by_number(Kind.ESTIMATE)
    first = found["QU-0001"]
    assert (first.state, first.balance, first.memo) == (InvoiceState.OPEN, 0, "Please buy this")
    assert (first.issue_date, first.due_date, first.total) == (date(2026, 10, 1), date(2026, 10, 31), 2065)
    assert (found["QU-0002"].state, found["QU-0002"].memo) == (InvoiceState.PAID, "Thirty days")
    assert found["QU-0003"].state is InvoiceState.VOID


def test_a_contact_with_its_people() -> None:
    first, second, third = bulk(Kind.CUSTOMER).records
    assert first == UpstreamCustomer(
        remote_id="c0000000-0000-4000-8000-000000000001",
        name="Müller & Söhne GmbH",
        number="C-17",
        email="jm@mueller.example",
        phone="49 30 847-1294",
        currency="EUR",
        parent="",
        active=True,
        version=VERSION,
        updated_at=UPDATED,
        contacts=(
            Contact("Jürgen Müller", "jm@mueller.example", "49 30 847-1294", True),
            Contact("Ana", "ana@mueller.example", "", True),
            Contact("No Mail", "", "", False),
        ),
    )
    assert isinstance(second, UpstreamCustomer) and isinstance(third, UpstreamCustomer)
    assert (second.active, second.number, second.contacts) == (False, "S-1", ())
    assert (third.active, third.version, third.updated_at) == (True, "", None)


def test_payments_allocate_to_their_one_invoice() -> None:
    first, second = bulk(Kind.PAYMENT).records
    assert first == UpstreamPayment(
        remote_id="40000000-0000-4000-8000-000000000001",
        customer="c0000000-0000-4000-8000-000000000001",
        amount=4600,
        currency="EUR",
        paid_on=date(2026, 10, 1),
        reference="DB-0123 pay_1",
        note="",
        reversed=False,
        version=VERSION,
        updated_at=UPDATED,
        allocations=(("10000000-0000-4000-8000-000000000001", 4600),),
    )
    assert isinstance(second, UpstreamPayment)
    assert (second.reversed, second.amount, second.reference) == (True, 5000, "")
    (broken,) = bulk(Kind.PAYMENT).unreadable
    assert broken.why == "50.5 JPY is finer than the smallest coin of JPY."


def test_repeating_invoices_in_words() -> None:
    records = [one for one in bulk(Kind.RECURRING).records if isinstance(one, UpstreamRecurring)]
    assert [one.every for one in records] == ["Every month", "Every 2 weeks", "Every 3 yearly"]
    assert [one.active for one in records] == [True, False, False]
    assert (records[0].amount, records[0].next_on) == (575000, date(2026, 10, 31))
    assert len({one.version for one in records}) == 3
    assert [one.why for one in bulk(Kind.RECURRING).unreadable] == [
        "Xero calls it ACCPAY; only ACCREC documents are sales."
    ]


def test_the_version_of_a_repeating_invoice_moves_with_its_content() -> None:
    row = mapping.decode(golden(Kind.RECURRING))["RepeatingInvoices"][0]
    before, same = mapping.to_recurring(row), mapping.to_recurring(dict(row))
    after = mapping.to_recurring({**row, "Total": Decimal("5750.01")})
    assert before.version == same.version != after.version


def test_a_page_tells_its_figures() -> None:
    found = bulk(Kind.INVOICE)
    assert (found.rows, found.pages, found.items) == (11, 1, 11)
    assert found.told_at == datetime(2026, 10, 30, 0, 1, 40, tzinfo=UTC)
    assert bulk(Kind.ESTIMATE)[2:] == (3, None, None, None)


@pytest.mark.parametrize("raw", [b"", b"<html>", b'{"Invoices": [{"Invoi', b"[]", b'{"Invoices": {}}', b"null"])
def test_what_is_no_page_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="Not a list of Invoices"):
        decode_page(Kind.INVOICE, raw)


@pytest.mark.parametrize("amount", ['"NaN"', '"Infinity"', '"sNaN"', "1e30", '"twelve"', "true", "[1]"])
def test_an_amount_that_is_none_costs_its_record_only(amount: str) -> None:
    good = json.dumps({"PaymentID": "p2", "Amount": 1, "Invoice": {"InvoiceID": "i", "CurrencyCode": "EUR"}})
    bad = f'{{"PaymentID":"p1","Amount":{amount},"Invoice":{{"InvoiceID":"i","CurrencyCode":"EUR"}}}}'
    found = decode_page(Kind.PAYMENT, f'{{"Payments":[{bad},{good},null]}}'.encode())
    assert [one.remote_id for one in found.records] == ["p2"]
    assert [one.remote_id for one in found.unreadable] == ["p1", ""]
    with pytest.raises(Unmappable):
        mapping.to_payment(mapping.decode(bad.encode()))


def test_moments_and_days_in_every_form() -> None:
    at = datetime(2018, 11, 2, 16, 36, 32, tzinfo=UTC)
    forms = ("/Date(1541176592000+0000)/", "/Date(1541176592000)/", "/Date(1541176592000+1300)/")
    for text in (*forms, "2018-11-02T16:36:32", "2018-11-02 16:36:32+00:00", "2018-11-03T05:36:32+13:00"):
        assert instant(text) == at
    assert instant("/Date(-1000)/") == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert version_of(at) == "1541176592000"
    assert day("/Date(1539993600000+0000)/") == day("2018-10-20 00:00:00") == date(2018, 10, 20)
    for text in ("", "soon", "/Date(x)/", "2018-13-01"):
        with pytest.raises(Unmappable):
            day(text)


@pytest.mark.parametrize(
    ("number", "text"),
    [("5.0", "5"), ("12.750", "12.75"), ("100", "100"), ("1E+3", "1000"), ("0.0", "0"), ("-1.50", "-1.5")],
)
def test_decimals_lose_their_idle_zeros_only(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


def test_accounts_are_banks_and_those_with_payments_enabled() -> None:
    rows: list[dict[str, object]] = [
        {
            "AccountID": "a1",
            "Code": "090",
            "Name": "Checking",
            "Type": "BANK",
            "Status": "ACTIVE",
            "CurrencyCode": "USD",
        },
        {"AccountID": "a2", "Name": "Clearing", "Type": "CURRENT", "Status": "ACTIVE", "EnablePaymentsToAccount": True},
        {"AccountID": "a3", "Code": "200", "Name": "Sales", "Type": "REVENUE", "Status": "ACTIVE"},
        {"AccountID": "a4", "Code": "091", "Name": "Old", "Type": "BANK", "Status": "ARCHIVED"},
    ]
    assert [tuple(account) for account in mapping.to_accounts(rows)] == [
        ("a1", "090 Checking", "Bank", "USD"),
        ("a2", "Clearing", "Current asset", ""),
    ]


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (Kind.INVOICE, "/Invoices"),
        (Kind.CREDIT_NOTE, "/CreditNotes"),
        (Kind.ESTIMATE, "/Quotes"),
        (Kind.CUSTOMER, "/Contacts"),
        (Kind.PAYMENT, "/Payments"),
        (Kind.RECURRING, "/RepeatingInvoices"),
    ],
)
def test_the_vendors_own_examples_are_read(shared_specs: Path, kind: Kind, path: str) -> None:
    spec = json.loads((shared_specs / "xero_accounting_subset.json").read_bytes())
    answer = spec["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    found = decode_page(kind, json.dumps(answer).encode())
    assert found.rows >= 1
    other_side = [one for one in found.unreadable if not one.why.startswith("Xero calls it")]
    assert other_side == []
    assert all(not isinstance(one, Unreadable) for one in found.records)
