"""The page of a payment: its timeline, what stands in the books, and giving money back exactly once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.domain.work import Work
from tests.dashboard.firm import Firm


@pytest.fixture
def paid(firm: Firm) -> tuple[Firm, str, int]:
    """A settled payment of €1,234.50 and its connection."""
    firm.settle_in()
    connection = firm.connection()
    firm.customer(connection)
    return firm, firm.payment(connection, {firm.invoice(connection): 123_450}), connection


def refunds(firm: Firm) -> int:
    """How many refunds there are."""
    return firm.count("SELECT count(*) FROM refunds")


def test_the_timeline_tells_what_was_sent_and_answered(paid: tuple[Firm, str, int]) -> None:
    firm, payment, connection = paid
    firm.posting(connection, payment, PostingState.POSTED)
    page = firm.get(f"/payments/{payment}").text
    order = [page.index(words) for words in ("Chose to pay", "The money has arrived")]
    assert order == sorted(order)
    for words in ("€1,234.50 from Łódź Fabryka", "Sandbox", "cs_1", "Recorded", "Invoice 2026-i1", "22 Nov 2026"):
        assert words in page
    assert payment[:10].upper() in page


def test_what_needs_review_shows_its_cause_and_is_retried(paid: tuple[Firm, str, int]) -> None:
    firm, payment, connection = paid
    key = firm.posting(connection, payment, PostingState.NEEDS_REVIEW, "The books are closed up to 31 December.")
    page = firm.get(f"/payments/{payment}").text
    assert "The books are closed up to 31 December." in page and "Needs review" in page
    assert "1 payment needs your review" in firm.get("/payments").text
    assert "1 payment needs your review" in firm.get("/").text
    assert payment in firm.get("/payments?state=review").text
    assert firm.post(f"/payments/{payment}/postings/{key}/retry").status_code == 303
    assert firm.product.woken[-1].kind is Work.WRITE_BACK
    page = firm.get(f"/payments/{payment}").text
    assert "Waiting to be sent" in page and "The books are closed" not in page
    assert firm.post(f"/payments/{payment}/postings/{'0' * 32}/retry").status_code == 404


def test_a_refund_is_asked_confirmed_and_sent_once(paid: tuple[Firm, str, int]) -> None:
    firm, payment, _ = paid
    path = f"/payments/{payment}/refund"
    assert 'value="1234.50"' in firm.get(path).text
    confirm = firm.get(path, query_string={"amount": "234.50", "reason": "Half a day not worked"}).text
    assert "Give back €234.50 to Łódź Fabryka?" in confirm and "recorded anew with €1,000.00" in confirm
    assert refunds(firm) == 0, "asking changes nothing"
    form = dict(re.findall(r'name="(form_key|amount|reason)" value="([^"]+)"', confirm))
    for _ in range(2):
        assert firm.post(path, **form).headers["Location"] == f"/payments/{payment}"
    assert refunds(firm) == 1, "a double click is one refund"
    assert [item.kind for item in firm.product.woken].count(Work.REFUND) == 1
    page = firm.get(f"/payments/{payment}").text
    assert "Half a day not worked" in page and "Asked for" in page
    assert "At most €1,000.00 can still" in firm.get(path).text


def test_a_refund_works_by_one_plain_form_too(paid: tuple[Firm, str, int]) -> None:
    firm, payment, _ = paid
    assert firm.post(f"/payments/{payment}/refund", amount="1234.5", reason="Cancelled").status_code == 303
    assert refunds(firm) == 1
    page = firm.get(f"/payments/{payment}").text
    assert f"/payments/{payment}/refund" not in page, "nothing is left to refund"
    assert "can be refunded" in firm.get(f"/payments/{payment}/refund").text


@pytest.mark.parametrize("amount", ["", "0", "-5", "1e3", "12.345", "1,000", "١٢", "1234.51", "9" * 30, "NaN", " "])
def test_an_amount_that_cannot_be_refunded_is_refused(paid: tuple[Firm, str, int], amount: str) -> None:
    firm, payment, _ = paid
    asked = firm.get(f"/payments/{payment}/refund", query_string={"amount": amount, "reason": "x"})
    assert 'aria-invalid="true"' in asked.text and "Give back" not in asked.text
    answer = firm.post(f"/payments/{payment}/refund", amount=amount, reason="x")
    assert answer.status_code == 400 and 'class="error"' in answer.text
    assert refunds(firm) == 0


def test_a_refund_needs_a_reason(paid: tuple[Firm, str, int]) -> None:
    firm, payment, _ = paid
    assert "books explain themselves" in firm.get(f"/payments/{payment}/refund?amount=1&reason=+").text
    answer = firm.post(f"/payments/{payment}/refund", amount="1", reason="  ")
    assert answer.status_code == 400 and "books explain themselves" in answer.text


def test_money_that_has_not_arrived_cannot_be_given_back(small_firm: Firm) -> None:
    connection = small_firm.connection()
    invoice = small_firm.invoice(connection)
    payment = small_firm.payment(connection, {invoice: 100}, state=PaymentState.PROCESSING)
    assert "Refund" not in small_firm.get(f"/payments/{payment}").text
    answer = small_firm.post(f"/payments/{payment}/refund", amount="1", reason="x")
    assert answer.status_code == 409 and "whose money has arrived" in answer.text


def test_the_ledger_states_its_sum(paid: tuple[Firm, str, int]) -> None:
    firm, _, _ = paid
    told = firm.get("/books.json").json
    assert told == {"ledger_sum": "0", "currencies": {"EUR": "0.00"}, "open_differences": 0}


@pytest.fixture
def doubted(paid: tuple[Firm, str, int]) -> Iterator[tuple[Firm, str, str]]:
    """The payment was sent to a system that cannot be asked, and no answer came; its posting's key."""
    firm, payment, connection = paid
    system = firm.product.wiring.systems["quickbooks"]
    honest = system.manifest
    system.manifest = replace(honest, capabilities=replace(honest.capabilities, idempotency="none"))
    key = firm.posting(connection, payment, PostingState.NEEDS_REVIEW, "Nobody can tell.")
    with firm.product.wiring.database.engine.begin() as database:
        database.execute(sa.update(t.postings).where(t.postings.c.key == key).values(sent_at=datetime.now(UTC)))
    yield firm, payment, key
    system.manifest = honest


def test_what_only_a_person_knows_is_asked_and_not_retried(doubted: tuple[Firm, str, str]) -> None:
    firm, payment, key = doubted
    page = firm.get(f"/payments/{payment}").text
    assert "The payment is there" in page and "It is not there" in page and ">Retry<" not in page
    path = f"/payments/{payment}/postings/{key}"
    firm.post(f"{path}/there", **{f"number-{key}": "  "})
    assert "Enter the number" in firm.get(f"/payments/{payment}").text
    assert firm.post(f"{path}/there", **{f"number-{key}": "P-17"}).status_code == 303
    page = firm.get(f"/payments/{payment}").text
    assert "their number P-17" in page and "Recorded" in page and "The payment is there" not in page
    firm.post(f"{path}/not-there")
    assert "not in doubt any more" in firm.get(f"/payments/{payment}").text
    assert firm.post(f"/payments/{payment}/postings/{'0' * 32}/there").status_code == 404


def test_what_is_not_there_is_recorded_under_a_new_key(doubted: tuple[Firm, str, str]) -> None:
    firm, payment, key = doubted
    assert firm.post(f"/payments/{payment}/postings/{key}/not-there").status_code == 303
    assert firm.product.woken[-1].kind is Work.WRITE_BACK
    assert firm.count("SELECT count(*) FROM postings WHERE state = 'queued' AND generation = 2") == 1
    assert "Made sure that the books do not have the payment" in firm.get(f"/payments/{payment}").text
