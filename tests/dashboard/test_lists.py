"""The lists: searched, filtered, paged by place, exported without formulas, and plain words where nothing is."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest

from connector.domain.records import InvoiceState, Kind, PaymentState
from tests.dashboard.firm import TODAY, Firm


def numbers(page: str) -> list[str]:
    """The invoices a list shows, in its order."""
    return re.findall(r'<a href="/invoices/\d+">([^<]+)</a>', page)


def test_empty_lists_say_what_to_do(small_firm: Firm) -> None:
    assert "Connect your accounting system" in small_firm.get("/invoices").text
    assert "first import" in small_firm.get("/customers").text
    assert "When a customer pays" in small_firm.get("/payments").text
    small_firm.connection()
    assert "as soon as the import" in small_firm.get("/invoices").text


def test_pages_follow_each_other_without_gap_or_repetition(firm: Firm) -> None:
    connection = firm.connection()
    for n in range(120):
        day = None if n % 40 == 0 else TODAY - timedelta(days=n // 7)
        firm.invoice(connection, f"i{n}", issue_date=day)
    firm.invoice(connection, "note", kind=Kind.CREDIT_NOTE)
    seen: list[str] = []
    address = "/invoices"
    for _ in range(10):
        page = firm.get(address).text
        seen += numbers(page)
        older = re.search(r'href="(/invoices\?before=[^"]+)"[^>]*>Older', page)
        if older is None:
            break
        address = older[1]
    assert len(seen) == len(set(seen)) == 120
    assert set(seen[-3:]) == {"2026-i0", "2026-i40", "2026-i80"}, "invoices without a date stand last"
    assert "Newest" in firm.get(address).text


@pytest.mark.parametrize("before", ["", "x", "2026-13-45.1", "-.", "9999999999999999999", "2026-11-01.0", "'; DROP"])
def test_a_place_that_is_none_begins_at_the_top(small_firm: Firm, before: str) -> None:
    small_firm.invoice(small_firm.connection())
    assert numbers(small_firm.get("/invoices", query_string={"before": before}).text) == ["2026-i1"]
    assert small_firm.get("/payments", query_string={"before": before}).status_code == 200
    assert small_firm.get("/customers", query_string={"after": before, "after_id": before}).status_code == 200


def test_search_and_filters_narrow_the_list(firm: Firm) -> None:
    connection, other = firm.connection(), firm.connection("xero", name="Zweite")
    firm.customer(connection)
    firm.customer(connection, "c2", "50%_Off Ltd")
    firm.invoice(connection, "a", number="RE-77")
    firm.invoice(connection, "b", number="RE-78", customer="c2", balance=0, state=InvoiceState.PAID)
    firm.invoice(connection, "c", number="RE-79", due_date=TODAY + timedelta(days=3))
    firm.invoice(connection, "d", number="RE-80", state=InvoiceState.VOID, balance=0)
    firm.invoice(other, "e", number="XE-1", state=InvoiceState.DRAFT)

    def shown(**query: object) -> set[str]:
        return set(numbers(firm.get("/invoices", query_string=query).text))

    assert shown(q="re-7") == {"RE-77", "RE-78", "RE-79"}
    assert shown(q="50%_") == {"RE-78"}
    assert shown(q="%") == {"RE-78"}, "a percent sign is searched for, not understood"
    assert shown(q="fabryka") == {"RE-77", "RE-79", "RE-80"}
    assert shown(state="open") == {"RE-77", "RE-79"}
    assert shown(state="overdue") == {"RE-77"}
    assert shown(state="paid") == {"RE-78"}
    assert shown(state="draft") == {"XE-1"}
    assert shown(connection=other) == {"XE-1"}
    assert shown(state="'; --", connection="x") == {"RE-77", "RE-78", "RE-79", "RE-80", "XE-1"}
    assert "Nothing found" in firm.get("/invoices?q=nothing-like-it").text


def test_what_is_owed_is_summed_by_currency(firm: Firm) -> None:
    connection = firm.connection()
    firm.invoice(connection, "a", total=100_00, balance=40_00)
    firm.invoice(connection, "b", total=1_50, due_date=TODAY + timedelta(days=1))
    firm.invoice(connection, "c", currency="JPY", total=12_000)
    firm.invoice(connection, "d", currency="KWD", total=1_250, due_date=None)
    firm.invoice(connection, "e", state=InvoiceState.VOID)
    firm.invoice(connection, "f", kind=Kind.CREDIT_NOTE)
    page = firm.get("/invoices").text
    assert "€41.50" in page and "€40.00 overdue" in page
    assert "¥12,000 overdue" in page
    assert "KWD\N{NO-BREAK SPACE}1.250" in page


def test_the_export_holds_everything_and_no_formula(firm: Firm) -> None:
    connection, twin = firm.connection(), firm.connection("xero")
    firm.customer(connection, name='=HYPERLINK("https://evil.example")')
    firm.invoice(connection, "a", number="+cmd|' /C calc'!A0", total=-500, balance=-500)
    firm.invoice(twin, "b", number="@SUM(1)", issue_date=None, currency="JPY", total=12)
    for n in range(60):
        firm.invoice(connection, f"n{n}", number=f"N{n}", state=InvoiceState.PAID, balance=0)
    answer = firm.get("/invoices.csv")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 62
    by_number = {row["number"]: row for row in rows}
    first, second = by_number["'+cmd|' /C calc'!A0"], by_number["'@SUM(1)"]
    assert first["customer"].startswith("'=HYPERLINK")
    assert (first["system"], first["total"], first["currency"]) == ("quickbooks", "-5.00", "EUR")
    assert (second["system"], second["balance"], second["issue_date"]) == ("xero", "12", ""), "one name, two systems"
    assert len(list(csv.DictReader(io.StringIO(firm.get("/invoices.csv?state=paid").text)))) == 60


def test_customers_are_listed_with_what_they_owe(firm: Firm) -> None:
    connection = firm.connection()
    for n in range(53):
        firm.customer(connection, f"c{n}", f"Kunde {n:02}")
    firm.invoice(connection, "a", customer="c3", total=99_00)
    firm.invoice(connection, "b", customer="c3", currency="JPY", total=500)
    page = firm.get("/customers").text
    assert "€99.00, ¥500" in page
    further = re.search(r'href="(/customers\?after=[^"]+)"', page)
    assert further
    rest = firm.get(further[1].replace("&amp;", "&")).text
    assert re.findall(r"Kunde \d\d", rest) == ["Kunde 50", "Kunde 51", "Kunde 52"]
    assert "Kunde 07" in firm.get("/customers?q=kunde+07").text
    assert "Kunde 07" in firm.get("/customers?q=BUERO@").text
    assert "Nothing found" in firm.get("/customers?q=zzz").text


def test_payments_are_listed_newest_first_and_by_state(firm: Firm) -> None:
    connection = firm.connection()
    firm.customer(connection)
    for n in range(52):
        invoice = firm.invoice(connection, f"i{n}", total=1_000 + n)
        firm.payment(connection, {invoice: 1_000 + n})
    failed = firm.payment(connection, {firm.invoice(connection, "f"): 77_777}, state=PaymentState.FAILED)
    page = firm.get("/payments").text
    older = re.search(r'href="(/payments\?before=[^"]+)"', page)
    assert older
    rest = firm.get(older[1]).text
    ids = re.findall(r'href="/payments/([0-9a-f]{32})"', page + rest)
    assert len(ids) == len(set(ids)) == 53
    only = firm.get("/payments?state=failed").text
    assert re.findall(r'href="/payments/([0-9a-f]{32})"', only) == [failed]
    assert "€777.77" in only and "Failed" in only
    assert "No payment is in this state" in firm.get("/payments?state=returned").text
