"""Payments in the books: once under their key whatever happens on the way, found again, taken back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from requests import PreparedRequest

from connector.contract import Answer, PaymentIntent, Refused, TryAgain, Unclear
from connector.domain.records import InvoiceState, RemotePayment, UpstreamInvoice
from integrations.systems.quickbooks.mapping import invoice
from integrations.systems.quickbooks.payments import body_of, note_of, reference_of
from tests.integrations.systems.quickbooks.canned import BOOKS, access, fault, system
from tests.integrations.systems.quickbooks.connected import Connected

KEY = "0123456789abcdef0123456789abcdef"
TODAY = date(2026, 11, 22)


def _intent(**changes: Any) -> PaymentIntent:
    given: dict[str, Any] = {
        "key": KEY,
        "customer": "20",
        "amount": 15500,
        "currency": "USD",
        "paid_on": TODAY,
        "allocations": (("70", 10000), ("71", 5500)),
        "deposit_account": "",
        "reference": KEY[:21],
        "note": "Paid online, payment 7",
        **changes,
    }
    return PaymentIntent(**given)


def test_the_body_is_exact_and_within_lengths() -> None:
    assert body_of(_intent(deposit_account="35")) == {
        "CustomerRef": {"value": "20"},
        "CurrencyRef": {"value": "USD"},
        "TotalAmt": Decimal("155.00"),
        "TxnDate": "2026-11-22",
        "PaymentRefNum": "0123456789abcdef01234",
        "PrivateNote": f"Paid online, payment 7\nDuebridge {KEY}",
        "Line": [
            {"Amount": Decimal("100.00"), "LinkedTxn": [{"TxnId": "70", "TxnType": "Invoice"}]},
            {"Amount": Decimal("55.00"), "LinkedTxn": [{"TxnId": "71", "TxnType": "Invoice"}]},
        ],
        "DepositToAccountRef": {"value": "35"},
    }
    assert body_of(_intent(currency="JPY", amount=1200))["TotalAmt"] == Decimal("1200")
    assert body_of(_intent(currency="KWD", amount=1205))["TotalAmt"] == Decimal("1.205")
    assert "DepositToAccountRef" not in body_of(_intent())


@pytest.mark.parametrize("note", ["", "x" * 5000, "😀" * 3000, "line\n" * 2000])
def test_the_key_is_never_cut_from_the_note(note: str) -> None:
    text = note_of(_intent(note=note, reference="INV 7"))
    assert text.endswith(f"Duebridge {KEY}") and len(text.encode("utf-16-le")) // 2 <= 4000
    assert len(reference_of(KEY)) == 21


def _owing(upstream: Connected, currency: str = "USD", how_many: int = 1) -> list[UpstreamInvoice]:
    """Open invoices of one customer."""
    rows = upstream.find("SELECT * FROM Invoice WHERE Balance > '0' ORDERBY Id MAXRESULTS 300")
    by_customer: dict[str, list[UpstreamInvoice]] = {}
    for row in rows:
        if row["CurrencyRef"]["value"] == currency:
            mine = by_customer.setdefault(row["CustomerRef"]["value"], [])
            mine.append(invoice({k: _exact(v) for k, v in row.items()}, "USD"))
            if len(mine) == how_many:
                return mine
    raise AssertionError("no such invoices in the company")


def _exact(value: Any) -> Any:
    """Plain JSON floats as the adapter reads them."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list) else value


def _for(invoices: list[UpstreamInvoice], part: int = 1, **changes: Any) -> PaymentIntent:
    allocations = tuple((each.remote_id, each.balance // part) for each in invoices)
    return _intent(
        customer=invoices[0].customer,
        currency=invoices[0].currency,
        amount=sum(minor for _, minor in allocations),
        allocations=allocations,
        paid_on=date.today(),
        **changes,
    )


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY"])
def test_one_payment_over_several_invoices_brings_the_books_to_the_coin(upstream: Connected, currency: str) -> None:
    owing = _owing(upstream, currency, 2)
    intent = _for(owing)
    made = upstream.system.record_payment(upstream.access, intent)
    assert (made.amount, made.currency, made.reversed) == (intent.amount, currency, False)
    assert sorted(made.allocations) == sorted(intent.allocations)
    for each in owing:
        now = upstream.system.invoice(upstream.access, each.remote_id)
        assert now.balance == 0 and now.state is InvoiceState.PAID and now.total == each.total
    raw = upstream.raw("Payment", made.remote_id)
    assert raw["PaymentRefNum"] == KEY[:21] and KEY in raw["PrivateNote"] and raw["UnappliedAmt"] == 0


def test_a_part_payment_into_a_chosen_account(upstream: Connected) -> None:
    (owing,) = _owing(upstream)
    checking = next(account for account in upstream.system.accounts(upstream.access) if account.kind == "Bank")
    intent = _for([owing], part=2, deposit_account=checking.remote_id)
    made = upstream.system.record_payment(upstream.access, intent)
    assert upstream.raw("Payment", made.remote_id)["DepositToAccountRef"]["value"] == checking.remote_id
    assert upstream.system.invoice(upstream.access, owing.remote_id).balance == owing.balance - intent.amount


def test_it_is_found_by_its_key_and_only_by_it(upstream: Connected) -> None:
    intent = _for(_owing(upstream))
    assert upstream.system.find_payment(upstream.access, intent) is None
    made = upstream.system.record_payment(upstream.access, intent)
    assert upstream.system.find_payment(upstream.access, intent) == made
    assert upstream.system.find_payment(upstream.access, replace(intent, key="f" * 32)) is None
    assert upstream.system.find_payment(upstream.access, replace(intent, key=KEY[:21] + "0" * 11)) is None


def test_it_is_found_when_the_bookkeeper_changed_reference_or_note_or_date(upstream: Connected) -> None:
    intent = _for(_owing(upstream))
    made = upstream.system.record_payment(upstream.access, intent)
    edit = upstream.system._client(upstream.access).write

    def changed(version: str, **fields: str) -> str:
        body = {"Id": made.remote_id, "SyncToken": version, "sparse": True, **fields}
        return str(edit("update", "Payment", body, request_id=f"test-{version}")["SyncToken"])

    version = changed("0", PaymentRefNum="CHK 9", TxnDate=(intent.paid_on - timedelta(days=3)).isoformat())
    found = upstream.system.find_payment(upstream.access, intent)
    assert found is not None and found.remote_id == made.remote_id
    changed(version, PaymentRefNum=KEY[:21], PrivateNote="tidied up")
    found = upstream.system.find_payment(upstream.access, intent)
    assert found is not None and found.remote_id == made.remote_id


def test_the_same_key_sent_twice_is_one_payment(upstream: Connected) -> None:
    intent = _for(_owing(upstream))
    before = upstream.state()["payments"]
    made = upstream.system.record_payment(upstream.access, intent)
    assert upstream.system.record_payment(upstream.access, intent) == made
    assert upstream.state()["payments"] == before + 1


LOST: list[tuple[str, type[Answer], int]] = [
    ("drop_after_commit", Unclear, 1),
    ("error_after_commit", Unclear, 1),
    ("truncated_json", Unclear, 1),
    ("drop_before_commit", Unclear, 0),
    ("error_before_commit", Unclear, 0),
    ("html_503", Unclear, 0),
    ("throttle", TryAgain, 0),
]


@pytest.mark.parametrize(("kind", "answer", "arrived"), LOST)
def test_a_lost_answer_is_looked_up(upstream: Connected, kind: str, answer: type[Answer], arrived: int) -> None:
    intent = _for(_owing(upstream))
    before = upstream.state()["payments"]
    upstream.control("faults", kind=kind, operation="payment.create", times=1)
    with pytest.raises(answer) as caught:
        upstream.system.record_payment(upstream.access, intent)
    assert type(caught.value) is answer
    found = upstream.system.find_payment(upstream.access, intent)
    assert (found is not None) == bool(arrived)
    made = upstream.system.record_payment(upstream.access, intent)
    assert upstream.state()["payments"] == before + 1
    assert upstream.system.find_payment(upstream.access, intent) == made


def test_two_with_one_key_are_unclear(upstream: Connected) -> None:
    intent = _for(_owing(upstream), part=4)
    upstream.system.record_payment(upstream.access, intent)
    body = body_of(intent)
    upstream.system._client(upstream.access).write("create", "Payment", body, request_id="another")
    with pytest.raises(Unclear, match="several"):
        upstream.system.find_payment(upstream.access, intent)


def test_reversing_reopens_and_may_be_repeated(upstream: Connected) -> None:
    (owing,) = _owing(upstream)
    intent = _for([owing])
    made = upstream.system.record_payment(upstream.access, intent)
    upstream.system.reverse_payment(upstream.access, made)
    now = upstream.system.invoice(upstream.access, owing.remote_id)
    assert now.balance == owing.balance and now.state is InvoiceState.OPEN
    found = upstream.system.find_payment(upstream.access, intent)
    assert found is not None and found.reversed and found.remote_id == made.remote_id
    upstream.system.reverse_payment(upstream.access, made)
    upstream.system.reverse_payment(upstream.access, found)
    upstream.control(f"payments/{made.remote_id}/delete")
    upstream.system.reverse_payment(upstream.access, made)
    assert upstream.system.find_payment(upstream.access, intent) is None


def test_a_payment_edited_meanwhile_is_still_reversed(upstream: Connected) -> None:
    (owing,) = _owing(upstream)
    made = upstream.system.record_payment(upstream.access, _for([owing]))
    body = {"Id": made.remote_id, "SyncToken": made.version, "sparse": True, "PaymentRefNum": "edited"}
    upstream.system._client(upstream.access).write("update", "Payment", body, request_id="edit")
    upstream.system.reverse_payment(upstream.access, made)
    assert upstream.system.invoice(upstream.access, owing.remote_id).balance == owing.balance


def test_a_lost_reversal_may_be_repeated(upstream: Connected) -> None:
    (owing,) = _owing(upstream)
    made = upstream.system.record_payment(upstream.access, _for([owing]))
    upstream.control("faults", kind="drop_after_commit", operation="payment.void", times=1)
    with pytest.raises(Unclear):
        upstream.system.reverse_payment(upstream.access, made)
    upstream.system.reverse_payment(upstream.access, made)
    assert upstream.system.invoice(upstream.access, owing.remote_id).balance == owing.balance


def test_a_payment_in_a_bank_deposit_says_what_to_do(upstream: Connected) -> None:
    made = upstream.system.record_payment(upstream.access, _for(_owing(upstream)))
    upstream.control(f"payments/{made.remote_id}/deposit")
    with pytest.raises(Refused, match="part of a bank deposit"):
        upstream.system.reverse_payment(upstream.access, made)
    assert not upstream.raw("Payment", made.remote_id)["PrivateNote"].startswith("Voided")


def test_a_void_that_is_not_supported_becomes_a_deletion() -> None:
    sent: list[dict[str, list[str]]] = []

    def answer(request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        sent.append(parse_qs(urlsplit(str(request.url)).query))
        if "include" in sent[-1]:
            return 400, {}, json.dumps(fault("500", "Unsupported Operation"))
        return 200, {}, json.dumps({"Payment": {"Id": "7", "status": "Deleted"}})

    with responses.RequestsMock() as books:
        books.add_callback("POST", f"{BOOKS}/payment", answer)
        system().reverse_payment(access(), RemotePayment("7", 100, "USD", False, "0", ()))
    assert [each.get("operation") for each in sent] == [["update"], ["delete"]]
    assert sent[0]["requestid"] != sent[1]["requestid"]


def test_refusals_come_with_words_and_book_nothing(upstream: Connected) -> None:
    (owing,) = _owing(upstream)
    before = upstream.state()["payments"]
    intent = _for([owing])
    stranger = "2" if owing.customer != "2" else "3"
    for wrong in (
        replace(intent, customer=stranger),
        replace(intent, customer="999999"),
        replace(intent, allocations=(("999999", intent.amount),)),
        replace(intent, deposit_account="999999"),
        replace(intent, amount=intent.amount * 2, allocations=((owing.remote_id, intent.amount * 2),)),
    ):
        # A refusal is replayed for its key, as Intuit's wording has it: each try here is an intent of its own.
        wrong = replace(wrong, key=f"{hash(repr(wrong)) % 16**32:032x}")
        with pytest.raises(Refused) as caught:
            upstream.system.record_payment(upstream.access, wrong)
        assert caught.value.why
    assert upstream.state()["payments"] == before


def test_closed_books_refuse_a_payment_with_words(upstream: Connected) -> None:
    intent = _for(_owing(upstream))
    upstream.control("closing-date", date="2030-01-01")
    with pytest.raises(Refused, match="closing date"):
        upstream.system.record_payment(upstream.access, intent)
