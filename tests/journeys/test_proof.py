"""Codes by mail: one right answer, five tries, ten minutes, once; strangers learn nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from connector.db import tables as t
from connector.errors import Invalid
from connector.journeys import proof
from tests.journeys.standing import Standing


def _ask(standing: Standing, email: str = "anna@customer.example") -> str:
    return proof.ask_sign_in(standing.wiring, standing.shop.merchant_id, email)


def _redeem(standing: Standing, code_id: str, code: str) -> str:
    return proof.redeem(standing.wiring, standing.shop.merchant_id, code_id, code)


def _wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def _refused(standing: Standing, code_id: str, code: str) -> None:
    with pytest.raises(Invalid) as told:
        _redeem(standing, code_id, code)
    assert (told.value.message, told.value.field) == (proof.WRONG_CODE, "code")


def test_the_code_goes_to_the_address_on_file_and_opens_once(standing: Standing) -> None:
    code_id = _ask(standing, "  ANNA@Customer.example ")
    (mail,) = standing.mails()
    assert mail["to"] == "anna@customer.example" and len(mail["code"]) == 6 and code_id in mail["url"]
    token = _redeem(standing, code_id, f" {mail['code']} ")
    with standing.wiring.database.lookup() as everybody:
        session = everybody.session(token, "customer")
        assert everybody.session(token, "staff") is None
    assert session is not None
    assert (session.customer, session.connection_id, session.invoice) == ("c1", standing.shop.connection_id, "")
    _refused(standing, code_id, mail["code"])


def test_a_contact_signs_in_for_their_company(standing: Standing) -> None:
    code_id = _ask(standing, "ben@customer.example")
    _redeem(standing, code_id, standing.mails()[0]["code"])


@pytest.mark.parametrize("email", ["stranger@nowhere.example", "", "anna", "@", "%@customer.example", "anna@customer"])
def test_a_stranger_gets_an_answer_of_the_same_shape_and_no_mail(standing: Standing, email: str) -> None:
    known, unknown = _ask(standing), _ask(standing, email)
    assert len(unknown) == len(known) == 32 and unknown != known
    assert len(standing.mails()) == 1
    _refused(standing, unknown, "000000")
    _refused(standing, unknown, standing.mails()[0]["code"])


def test_five_wrong_tries_end_a_code(standing: Standing) -> None:
    code_id = _ask(standing)
    code = standing.mails()[0]["code"]
    for _ in range(5):
        _refused(standing, code_id, _wrong(code))
    _refused(standing, code_id, code)


def test_the_fifth_try_may_still_be_right(standing: Standing) -> None:
    code_id = _ask(standing)
    code = standing.mails()[0]["code"]
    for _ in range(4):
        _refused(standing, code_id, _wrong(code))
    assert _redeem(standing, code_id, code)


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "١٢٣٤٥٦", "12 345", "abcdef", "１２３４５６", "0x1234"])
def test_what_is_no_code_costs_no_try(standing: Standing, typed: str) -> None:
    code_id = _ask(standing)
    for _ in range(7):
        _refused(standing, code_id, typed)
    assert _redeem(standing, code_id, standing.mails()[0]["code"])


def test_a_code_lives_ten_minutes(standing: Standing) -> None:
    early, late = _ask(standing), _ask(standing)
    codes = [mail["code"] for mail in standing.mails()]
    standing.advance(minutes=9, seconds=59)
    assert _redeem(standing, early, codes[0])
    standing.advance(seconds=2)
    _refused(standing, late, codes[1])


def test_a_code_opens_only_what_it_was_made_for(standing: Standing) -> None:
    first, second = _ask(standing), _ask(standing)
    one, other = (mail["code"] for mail in standing.mails())
    if one != other:
        _refused(standing, first, other)
        _refused(standing, second, one)
    assert _redeem(standing, first, one) and _redeem(standing, second, other)


def test_another_merchants_door_does_not_take_it(standing: Standing) -> None:
    code_id = _ask(standing)
    code = standing.mails()[0]["code"]
    with pytest.raises(Invalid):
        proof.redeem(standing.wiring, standing.shop.merchant_id + 1, code_id, code)
    assert _redeem(standing, code_id, code)


def test_the_code_is_kept_as_a_hash_and_the_mail_sealed(standing: Standing) -> None:
    _ask(standing)
    code = standing.mails()[0]["code"].encode()
    (row,) = standing.shop.rows(t.codes)
    assert code not in row.code_hash and len(row.code_hash) == 32
    assert all(code not in mail.sealed_values for mail in standing.shop.rows(t.mails))


def test_many_at_once_open_one_session_and_guess_five_times(standing: Standing) -> None:
    code_id = _ask(standing)
    code = standing.mails()[0]["code"]

    def attempt(typed: str) -> bool:
        try:
            return bool(_redeem(standing, code_id, typed))
        except Invalid:
            return False

    with ThreadPoolExecutor(8) as crowd:
        assert sum(crowd.map(attempt, [code] * 8)) == 1
    guessed = _ask(standing)
    with ThreadPoolExecutor(8) as crowd:
        wrong = [_wrong(standing.mails()[1]["code"])] * 16
        assert not any(crowd.map(lambda typed: _attempt(standing, guessed, typed), wrong))
    attempts = {row.id: row.attempts for row in standing.shop.rows(t.codes)}
    assert attempts[guessed] == 5


def _attempt(standing: Standing, code_id: str, typed: str) -> bool:
    try:
        return bool(_redeem(standing, code_id, typed))
    except Invalid:
        return False


def test_a_template_links_code_goes_to_the_billing_contact_and_opens_that_invoice(standing: Standing) -> None:
    invoice = standing.invoice()
    ask = proof.ask_for_invoice
    merchant_id, connection_id = standing.shop.merchant_id, standing.shop.connection_id
    code_id = ask(standing.wiring, merchant_id, connection_id, invoice.remote_id)
    (mail,) = standing.mails()
    assert mail["to"] == "anna@customer.example" and mail["invoice"] == invoice.number
    token = _redeem(standing, code_id, mail["code"])
    with standing.wiring.database.lookup() as everybody:
        session = everybody.session(token, "customer")
    assert session is not None and session.invoice == invoice.remote_id
    for nothing in (None, "", "r-invented"):
        assert len(ask(standing.wiring, merchant_id, connection_id, nothing)) == 32
    assert len(standing.mails()) == 1
