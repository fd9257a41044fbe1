"""The page of differences: each with its cause, before and after, and only the fixes that are legal for it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from connector.db.differences import Found
from connector.domain.postings import PostingState
from connector.domain.records import InvoiceState, Kind, Unreadable
from connector.domain.tasks import What
from connector.domain.work import Work
from connector.jobs import schedule
from tests.dashboard.firm import NOW, Firm, lines, sign_up

CAUSES = {
    "The books are closed up to 31 December 2025.": ["today", "retry", "ignore"],
    "Invoice 1 has only 5.00 due, but 9.00 was paid here: it was paid twice.": ["refund", "retry", "ignore"],
    "Invoice 1 was voided or deleted after the customer had paid it.": ["refund", "retry", "ignore"],
    "No account is chosen for payments to be booked to.": ["connections", "retry", "ignore"],
    "This payment was deleted or voided in your accounting system by hand.": ["retry", "refund", "ignore"],
    "Something nobody foresaw.": ["retry", "refund", "ignore"],
}


@pytest.fixture
def books(firm: Firm) -> tuple[Firm, int]:
    """A merchant with a connection."""
    firm.settle_in()
    connection = firm.connection()
    firm.customer(connection)
    return firm, connection


@pytest.fixture
def small_books(small_firm: Firm) -> tuple[Firm, int]:
    """The same on SQLite alone, where the database makes no difference."""
    small_firm.settle_in()
    connection = small_firm.connection()
    small_firm.customer(connection)
    return small_firm, connection


def _fixes(page: str) -> list[str]:
    """Where the fixes lead, by the last part of their addresses."""
    return re.findall(
        r'(?:action="/differences/[^"]*/|class="button quiet small-button" href="/(?:[^"]*/)?)([\w-]+)"', page
    )


def _waits(firm: Firm, connection: int, problem: str, **invoice: Any) -> str:
    payment = firm.payment(connection, {firm.invoice(connection, **invoice): 900})
    return firm.posting(connection, payment, PostingState.NEEDS_REVIEW, problem)


def _link(firm: Firm, connection: int, subject: str = "i1") -> int:
    firm.placed(connection, subject)
    found = Found(
        What.LINK, subject, "2026-i1", "The link stands on it", "No link stands there", "Somebody took it off."
    )
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.differences.open(connection, found)
        row = uow.differences.of(connection, What.LINK, subject)
    assert row is not None
    return row.id


def test_nothing_to_decide_says_so(small_books: tuple[Firm, int]) -> None:
    firm, _ = small_books
    assert "Everything agrees" in firm.get("/differences").text
    assert firm.get("/books.json").get_json()["open_differences"] == 0


@pytest.mark.parametrize("problem", CAUSES)
def test_a_payment_that_waits_is_explained_and_offers_its_fixes(small_books: tuple[Firm, int], problem: str) -> None:
    firm, connection = small_books
    _waits(firm, connection, problem)
    page = firm.get("/differences").text
    assert problem in page and "A payment of 9.00 EUR does not stand in your books" in page
    assert "9.00 EUR paid for invoice 2026-i1" in page and "1234.50 of 1234.50 EUR due" in page
    assert _fixes(page) == CAUSES[problem]
    assert firm.get("/books.json").get_json()["open_differences"] == 1


def test_an_invoice_in_another_currency_offers_a_refund_first(small_books: tuple[Firm, int]) -> None:
    firm, connection = small_books
    _waits(firm, connection, "Not taken.", currency="USD")
    assert _fixes(firm.get("/differences").text) == ["refund", "retry", "ignore"]


def test_an_invoice_made_anew_is_offered(books: tuple[Firm, int]) -> None:
    firm, connection = books
    _waits(firm, connection, "It no longer exists.", number="R-1", state=InvoiceState.VOID)
    assert _fixes(firm.get("/differences").text) == ["refund", "retry", "ignore"]
    firm.invoice(connection, "i9", number="R-1", customer="c2")
    assert "give" not in firm.get("/differences").text, "another customer's"
    new = firm.invoice(connection, "i8", number="R-1")
    assert _fixes(firm.get("/differences").text) == [f"give-{new}", "refund", "ignore"]


def test_retry_and_ignore_do_what_they_say(books: tuple[Firm, int]) -> None:
    firm, connection = books
    key = _waits(firm, connection, "Something nobody foresaw.")
    assert firm.client.post(f"/differences/postings/{key}/retry").status_code == 400, "the form protection holds"
    assert firm.post(f"/differences/postings/{key}/ignore").status_code == 303
    page = firm.get("/differences").text
    assert "Everything agrees" in page and "Ignored" in page and "Show again" in page
    (ignored,) = re.findall(r'action="(/differences/\d+/bring-back)"', page)
    assert firm.post(ignored).status_code == 303
    assert "Something nobody foresaw." in firm.get("/differences").text
    firm.product.woken.clear()
    assert firm.post(f"/differences/postings/{key}/retry").status_code == 303
    assert [item.kind for item in firm.product.woken] == [Work.WRITE_BACK]
    assert "Everything agrees" in firm.get("/differences").text


def test_todays_date_takes_the_place_of_a_closed_one(books: tuple[Firm, int]) -> None:
    firm, connection = books
    key = _waits(firm, connection, "The books are closed.", total=900)
    assert firm.post(f"/differences/postings/{key}/today").status_code == 303
    assert firm.count("SELECT count(*) FROM postings WHERE generation = 2 AND state = 'queued'") == 1
    assert firm.count("SELECT count(*) FROM postings WHERE generation = 1 AND state = 'superseded'") == 1
    firm.post(f"/differences/postings/{key}/today")
    assert "does not wait for you any more" in firm.get("/differences").text, "pressed twice is once"
    assert firm.count("SELECT count(*) FROM postings") == 2


def test_a_link_is_placed_again_or_left_off(books: tuple[Firm, int]) -> None:
    firm, connection = books
    firm.invoice(connection)
    number = _link(firm, connection)
    page = firm.get("/differences").text
    assert "Somebody took it off." in page and _fixes(page) == ["place", "check", "ignore"]
    assert "1 other difference waits for your decision" in firm.get("/").text
    assert firm.post(f"/differences/{number}/place").status_code == 303
    assert firm.count("SELECT count(*) FROM placements WHERE state = 'planned'") == 1
    assert "The link is being placed again." in firm.get("/differences").text
    firm.post(f"/differences/{number}/place")
    assert "settled already" in firm.get("/differences").text


def test_what_is_not_offered_is_not_there(books: tuple[Firm, int]) -> None:
    firm, connection = books
    firm.invoice(connection)
    number = _link(firm, connection)
    for path in (f"{number}/nonsense", f"postings/{'0' * 32}/retry", "postings/nobody/retry", "999999/ignore"):
        assert firm.post(f"/differences/{path}").status_code == 404, path
    stranger = sign_up(firm.product, "eve@other.example", "Other")
    assert stranger.post(f"/differences/{number}/ignore").status_code == 404
    assert "Everything agrees" in stranger.get("/differences").text
    assert firm.post(f"/differences/{number}/back").status_code == 303
    assert "settled already" in firm.get("/differences").text, "a link is nothing to take back"


def test_the_connection_shows_what_is_done_by_the_clock(books: tuple[Firm, int]) -> None:
    firm, connection = books
    firm.imported(connection)
    wiring = firm.product.wiring
    assert "Done by the clock" not in firm.get(f"/connections/{connection}").text
    schedule.record(wiring.database, NOW, wiring.systems)
    said = lines(firm.get(f"/connections/{connection}").text)
    for words in ("Reading what is new", "Comparing with the accounting system", "Renewing our access", "not needed"):
        assert words in said, said
    assert any("webhooks are set up once" in line for line in said)


def test_a_record_that_could_not_be_read_is_explained_and_left_or_tried_again(books: tuple[Firm, int]) -> None:
    firm, connection = books
    firm.unreadable(connection)
    number = firm.count("SELECT id FROM sync_problems")
    page = firm.get("/differences").text
    assert "Invoice 2026-9 could not be read" in page and "finer than a cent" in page and "Not here" in page
    assert _fixes(page) == ["read", "ignore"] and "this one is asked for again at once" in page
    assert "1 other difference waits for your decision" in firm.get("/").text
    assert firm.get("/books.json").get_json()["open_differences"] == 0, "the books themselves agree"
    assert firm.post(f"/differences/records/{number}/ignore").status_code == 303
    page = firm.get("/differences").text
    assert "Everything agrees" in page and "Ignored" in page and "Invoice 2026-9 could not be read" in page
    firm.unreadable(connection)
    assert "Everything agrees" in firm.get("/differences").text, "seen again, for the same reason"
    _unreadable(firm, connection, Unreadable("9", "2026-9", "The record has no total."))
    assert "The record has no total." in firm.get("/differences").text, "for another reason it is shown again"
    assert "Everything agrees" not in firm.get("/differences").text


def test_a_record_that_cannot_be_asked_for_alone_is_read_with_its_kind(books: tuple[Firm, int]) -> None:
    firm, connection = books
    _unreadable(firm, connection, Unreadable("9", "", "No usable currency."), Kind.CREDIT_NOTE)
    page = firm.get("/differences").text
    assert "Credit note 9 could not be read" in page and "what has changed there is read again" in page
    number = firm.count("SELECT id FROM sync_problems")
    assert firm.post(f"/differences/records/{number}/read").status_code == 303
    assert [item.kind for item in firm.product.woken] == [Work.SYNC]
    assert "What has changed there is being read." in firm.get("/differences").text
    for path in (f"records/{number}/nonsense", "records/999999/read", "links/999999/place", "links/1/nonsense"):
        assert firm.post(f"/differences/{path}").status_code == 404, path


def test_a_refused_link_is_placed_again_or_left_off(books: tuple[Firm, int]) -> None:
    firm, connection = books
    invoice = firm.invoice(connection)
    firm.placed(connection, state="refused", problem="The memo has no room for one more line.")
    number = firm.count("SELECT id FROM placements")
    for wanted in (False, True):
        with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
            uow.connections.change(connection, place_links=wanted)
        agrees = "Everything agrees" in firm.get("/differences").text
        assert agrees is not wanted, "it matters only where links are placed"
    page = firm.get("/differences").text
    assert "The link could not be placed on invoice 2026-i1" in page and "no room for one more line" in page
    assert _fixes(page) == ["place", str(invoice), "ignore"] and "1234.50 of 1234.50 EUR due" in page
    assert firm.post(f"/differences/links/{number}/ignore").status_code == 303
    page = firm.get("/differences").text
    assert "Everything agrees" in page
    (ignored,) = re.findall(r'action="(/differences/\d+/bring-back)"', page)
    assert firm.post(ignored).status_code == 303
    assert _fixes(firm.get("/differences").text) == ["place", str(invoice), "ignore"]
    assert firm.post(f"/differences/links/{number}/place").status_code == 303
    assert [item.kind for item in firm.product.woken] == [Work.INJECT]
    assert "Everything agrees" in firm.get("/differences").text
    firm.post(f"/differences/links/{number}/place")
    assert "being placed already" in firm.get("/differences").text


def test_of_very_many_the_latest_are_shown_and_counted(small_books: tuple[Firm, int]) -> None:
    firm, connection = small_books
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        many = [Unreadable(str(number), f"N-{number}", "The record has no total.") for number in range(130)]
        uow.mirror.put_unreadable(connection, Kind.INVOICE, many)
    page = firm.get("/differences").text
    assert page.count("could not be read</h2>") == 100 and "130 wait in all" in page
    assert "130 other differences wait for your decision" in firm.get("/").text


def _unreadable(firm: Firm, connection: int, record: Unreadable, kind: Kind = Kind.INVOICE) -> None:
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.mirror.put_unreadable(connection, kind, [record])
