"""The page behind a customer's link."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.domain.links import Scope
from connector.domain.records import InvoiceState, Kind, Line
from tests.portal.pages import Page
from tests.portal.shop import NOW, TODAY, Shop


def get(shop: Shop, path: str) -> Page:
    return Page(shop.client.get(path))


def test_what_is_due_is_shown_with_its_invoices(shop: Shop) -> None:
    shop.invoice(100_00, due_in=-3)
    shop.invoice(50_50, balance=20_50, due_in=3)
    shop.invoice(9_99, state=InvoiceState.PAID, balance=0, number="PAID-1")
    page = get(shop, f"/i/{shop.link()}")
    assert page.status == 200
    assert "€120.50" in page.words and "€100.00 of it is overdue" in page.words
    assert "3 days overdue" in page.words and "Due in 3 days" in page.words
    assert "Anna & Söhne" in page.words and "Northwind Gardens" in page.words
    assert "PAID-1" in page.words and "Weekly gardening" in page.words
    assert "Confirmed with QuickBooks Online on 22 Nov 2026, 16:30 UTC" in page.words
    assert [page.value(f"amount-{name}") for name in page.ticks()] == ["100.00", "20.50"]
    assert [button["value"] for button in page.buttons if button.get("name") == "all"] == ["EUR:12050"]


def test_nothing_due_says_so(shop: Shop) -> None:
    shop.invoice(9_99, state=InvoiceState.PAID, balance=0)
    page = get(shop, f"/i/{shop.link()}")
    assert "You’re all set" in page.words and "There is nothing to pay" in page.words
    assert not page.ticks() and not [button for button in page.buttons if "name" in button]
    assert "Confirmed with QuickBooks Online on 22 Nov 2026, 16:27 UTC" in page.words


def test_credit_is_shown(shop: Shop) -> None:
    shop.invoice(30_00, kind=Kind.CREDIT_NOTE)
    token = shop.link()
    assert "Your credit with Northwind Gardens €30.00 There is nothing to pay" in get(shop, f"/i/{token}").words
    shop.invoice(80_00)
    assert "You also have a credit of €30.00" in get(shop, f"/i/{token}").words


def test_each_currency_has_its_own_sum(shop: Shop) -> None:
    shop.invoice(100_00)
    shop.invoice(50_00)
    for _ in range(2):
        shop.invoice(12_000, currency="JPY", lines=(Line("Trees", "1", "12000", 12_000, 0),))
    page = get(shop, f"/i/{shop.link()}")
    assert "€150.00" in page.words and "¥24,000" in page.words
    assert sorted(button["value"] for button in page.buttons if button.get("name") == "all") == [
        "EUR:15000",
        "JPY:24000",
    ]


def test_estimates_drafts_and_other_customers_stay_out(shop: Shop) -> None:
    shop.invoice(1_00, number="SHOWN")
    shop.invoice(2_00, number="DRAFTED", state=InvoiceState.DRAFT)
    shop.invoice(3_00, number="ESTIMATED", kind=Kind.ESTIMATE)
    shop.invoice(4_00, number="FOREIGN", customer="c2")
    shop.invoice(5_00, number="VOIDED", state=InvoiceState.VOID, balance=0)
    token = shop.link()
    page = get(shop, f"/i/{token}")
    assert "€1.00" in page.words and "SHOWN" in page.words
    assert not re.search("DRAFTED|ESTIMATED|FOREIGN", page.words)
    history = get(shop, f"/i/{token}/history")
    assert "SHOWN" in history.words and "VOIDED" in history.words
    assert not re.search("DRAFTED|ESTIMATED|FOREIGN", history.words)


def test_an_invoice_being_processed_cannot_be_chosen(shop: Shop) -> None:
    shop.invoice(10_00)
    held = shop.invoice(20_00)
    token = shop.link()
    client = shop.client
    page = Page(client.get(f"/i/{token}"))
    answer = client.post(
        f"/i/{token}/pay",
        data={"form_key": page.value("form_key"), "pay": page.ticks()[1], f"amount-{page.ticks()[1]}": "20.00"},
    )
    assert answer.status_code == 303
    started = Page(client.get(f"/i/{token}"))
    assert "Payment not finished" in started.words and len(started.ticks()) == 2
    shop.change(t.payments, state="processing")
    processing = Page(client.get(f"/i/{token}"))
    assert "Payment processing" in processing.words
    assert len(processing.ticks()) == 1
    assert "€30.00" in processing.words, "what the bank has not confirmed is still due"
    assert shop.row(t.invoices, t.invoices.c.remote_id == held).balance == 20_00


@pytest.mark.parametrize("state", ["broken", "disconnected", "pending"])
def test_without_a_way_to_pay_the_balance_still_shows(shop: Shop, state: str) -> None:
    shop.invoice(10_00)
    token = shop.link()
    shop.change(t.connections, state=state)
    page = get(shop, f"/i/{token}")
    assert "€10.00" in page.words and "Online payment is not available" in page.words and not page.ticks()
    shop.change(t.connections, state="active")
    shop.change(t.merchants, gateway="")
    page = get(shop, f"/i/{token}")
    assert "€10.00" in page.words and "Online payment is not available" in page.words and not page.ticks()


def test_a_preview_shows_everything_and_does_nothing(shop: Shop) -> None:
    shop.invoice(10_00)
    shop.invoice(11_00)
    token = shop.link()
    page = get(shop, f"/i/{token}?preview=1")
    assert "This is what your customer sees" in page.words and "€21.00" in page.words
    assert not page.ticks() and not page.buttons
    inner = next(link for link in page.links if "/invoice/" in link)
    assert inner.endswith("?preview=1")
    assert not get(shop, inner).buttons


def test_unknown_and_mistyped_links_are_not_found(small_shop: Shop) -> None:
    for token in ("A" * 22, "short", "A" * 23, "Ä" * 22, "../../../../etc/passwd"):
        page = get(small_shop, f"/i/{token}")
        assert page.status == 404 and "Northwind" not in page.words


def test_an_ended_link_says_whom_to_ask(shop: Shop) -> None:
    shop.invoice(10_00)
    token = shop.link()
    with shop.wiring.database.unit_of_work(shop.merchant_id) as uow:
        uow.links.revoke_all(shop.connection_id)
    page = get(shop, f"/i/{token}")
    assert page.status == 410
    assert "books@northwind.example" in page.words and "€10.00" not in page.words and "Anna" not in page.words


def test_an_expired_link_is_ended(shop: Shop) -> None:
    token = shop.link()
    shop.change(t.links, expires_at=NOW - timedelta(seconds=1))
    assert get(shop, f"/i/{token}").status == 410


def test_a_fresh_link_is_mailed_only_to_an_address_on_file_and_nobody_can_tell(shop: Shop) -> None:
    token = shop.link()
    with shop.wiring.database.unit_of_work(shop.merchant_id) as uow:
        uow.links.revoke_all(shop.connection_id)
    stranger = shop.client.post(f"/i/{token}/fresh", data={"email": "stranger@elsewhere.example"})
    assert shop.rows(t.mails) == []
    known = shop.client.post(f"/i/{token}/fresh", data={"email": " BEN@customer.example "})
    assert (known.status_code, known.data) == (stranger.status_code, stranger.data)
    (mail,) = shop.rows(t.mails)
    assert (mail.recipient, mail.template) == ("ben@customer.example", "fresh_link")


def test_nothing_of_ours_is_named_on_the_page(shop: Shop) -> None:
    shop.invoice(10_00, remote_id="remote-77", reference="PO 5")
    shop.invoice(11_00)
    token = shop.link()
    row = shop.row(t.invoices, t.invoices.c.remote_id == "remote-77")
    page = get(shop, f"/i/{token}")
    inner = next(link for link in page.links if "/invoice/" in link)
    for html in (page.html, get(shop, inner).html):
        assert "remote-77" not in html and "9130" not in html and "c1" not in re.sub(r"[\w-]{22}", "", html)
        assert f'"{row.id}"' not in html and f"/{row.id}" not in html


def test_a_reference_opens_nothing_outside_its_own_scope(shop: Shop) -> None:
    shop.invoice(10_00)
    shop.invoice(11_00, customer="c2", number="OTHER")
    mine, theirs = shop.link(), shop.link("c2")
    inner = next(link for link in get(shop, f"/i/{theirs}").links if "/invoice/" in link)
    reference = inner.rsplit("/", 1)[1]
    assert get(shop, f"/i/{theirs}/invoice/{reference}").status == 200
    assert get(shop, f"/i/{mine}/invoice/{reference}").status == 404
    assert get(shop, f"/i/{mine}/invoice/{reference}/pdf").status == 404
    for invented in ("A" * 22, "1", "0" * 22):
        assert get(shop, f"/i/{mine}/invoice/{invented}").status == 404


def test_the_page_costs_four_statements_and_32_kb_whatever_the_customer_has(shop: Shop) -> None:
    nasty = "'<&\">" * 60
    for number in range(60):
        shop.invoice(
            1_000_000_00 + number,
            number=f"{number}{nasty}",
            due_in=number - 20,
            currency=("EUR", "USD", "KWD", "JPY")[number % 4],
            lines=tuple(Line(nasty, "1", "1", 100, 10) for _ in range(30)),
        )
        shop.invoice(5_00, number=nasty, state=InvoiceState.PAID, balance=0, issue_date=TODAY)
    token = shop.link()
    before = {table.name: shop.rows(table) for table in t.metadata.sorted_tables}
    shop.statements.clear()
    answer = shop.client.get(f"/i/{token}")
    assert answer.status_code == 200
    assert len(shop.statements) <= 4, shop.statements
    assert len(answer.data) <= 32_000
    assert {table.name: shop.rows(table) for table in t.metadata.sorted_tables} == before, "looking changes nothing"
    page = Page(answer)
    assert len(page.ticks()) == 25 and "1 to 25 of 60, and 35 more" in page.words
    last = get(shop, f"/i/{token}?page=3")
    assert len(last.ticks()) == 10 and "51 to 60 of 60" in last.words
    assert nasty not in page.html


def test_a_customer_is_found_by_index_however_many_others_there_are(small_shop: Shop) -> None:
    small_shop.invoice(10_00)
    token = small_shop.link()
    small_shop.statements.clear()
    assert get(small_shop, f"/i/{token}").status == 200
    open_ones, recent = (one for one in small_shop.statements if "FROM invoices" in one and "links" not in one)
    for statement, index in ((open_ones, "ix_invoices_open"), (recent, "ix_invoices_customer")):
        with small_shop.wiring.database.engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").all()
        assert any(f"SEARCH invoices USING INDEX {index}" in str(step) for step in plan), plan


def test_history_is_searched_filtered_and_paged(shop: Shop) -> None:
    for number in range(30):
        shop.invoice(1_00, number=f"A-{number:02}", issue_date=TODAY - timedelta(days=number))
    shop.invoice(1_00, number="B_1", state=InvoiceState.PAID, balance=0)
    path = f"/i/{shop.link()}/history"
    first, second = get(shop, path), get(shop, f"{path}?page=2")
    assert "A-00" in first.words and "A-29" not in first.words and "A-29" in second.words
    assert "B_1" in get(shop, f"{path}?q=b_").words and "A-01" not in get(shop, f"{path}?q=b_").words
    assert "No invoices found" in get(shop, f"{path}?q=%25").words
    assert "B_1" in get(shop, f"{path}?state=paid").words and "A-01" not in get(shop, f"{path}?state=paid").words
    assert get(shop, f"{path}?state=nonsense&page=-4").status == 200
    assert get(shop, f"{path}?page=99999").status == 200


def test_a_link_for_one_invoice_opens_that_one_only(shop: Shop) -> None:
    mine = shop.invoice(10_00, number="MINE")
    shop.invoice(11_00, number="NOT-MINE")
    token = shop.link(mine, Scope.INVOICE)
    page = get(shop, f"/i/{token}")
    assert "Invoice MINE" in page.words and "NOT-MINE" not in page.words
    assert get(shop, f"/i/{token}/history").status == 404
    other = next(link for link in get(shop, f"/i/{shop.link()}").links if "/invoice/" in link)
    references = [link.rsplit("/", 1)[1] for link in get(shop, f"/i/{shop.link()}").links if "/invoice/" in link]
    assert other and sorted(get(shop, f"/i/{token}/invoice/{name}").status for name in set(references)) == [200, 404]


def test_an_invoice_shows_lines_tax_and_its_pdf(shop: Shop) -> None:
    remote = shop.invoice(
        119_00, tax=19_00, balance=60_00, reference="PO 5", lines=(Line("Roses", "2.5", "40.00", 100_00, 19_00),)
    )
    token = shop.link(remote, Scope.INVOICE)
    page = get(shop, f"/i/{token}")
    for words in ("Roses", "2.5", "€100.00", "€19.00", "€119.00", "−€59.00", "€60.00", "PO 5", "Part paid, due 12 Dec"):
        assert words in page.words, words
    link = next(link for link in page.links if link.endswith("/pdf"))
    answer = shop.client.get(link)
    assert answer.data == b"%PDF-1.7 " + remote.encode() and answer.mimetype == "application/pdf"
    shop.books.silent = True
    assert shop.client.get(link).status_code == 503


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (InvoiceState.PAID, "This invoice is paid"),
        (InvoiceState.VOID, "was cancelled"),
        (InvoiceState.UNKNOWN, "being checked"),
    ],
)
def test_an_invoice_that_is_not_open_says_why(shop: Shop, state: InvoiceState, words: str) -> None:
    page = get(shop, f"/i/{shop.link(shop.invoice(10_00, state=state, balance=0), Scope.INVOICE)}")
    assert words in page.words and not page.buttons


def test_a_draft_is_never_shown(shop: Shop) -> None:
    assert get(shop, f"/i/{shop.link(shop.invoice(state=InvoiceState.DRAFT), Scope.INVOICE)}").status == 404


def test_the_totals_agree_with_the_books_row_by_row(shop: Shop) -> None:
    for number in range(40):
        shop.invoice(number * 101 + 1, currency=("EUR", "GBP")[number % 2])
    page = get(shop, f"/i/{shop.link()}")
    with shop.wiring.database.engine.connect() as connection:
        grouped = sa.select(t.invoices.c.currency, sa.func.sum(t.invoices.c.balance)).group_by(t.invoices.c.currency)
        sums = {currency: int(total) for currency, total in connection.execute(grouped)}
    assert sorted(button["value"] for button in page.buttons if button.get("name") == "all") == [
        f"EUR:{sums['EUR']}",
        f"GBP:{sums['GBP']}",
    ]
