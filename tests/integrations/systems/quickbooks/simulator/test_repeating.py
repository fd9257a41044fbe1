"""What happens when a call is repeated, cut off, refused for being one too many, or the server is started again."""

# ruff: noqa: S608 - these queries go to the simulated QuickBooks; no database stands behind them

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import requests

from integrations.simulator.clock import Clock
from tests.integrations.systems.quickbooks.simulator.driving import REALM, Running, code_of, refresh, running


def test_a_repeated_requestid_gets_the_first_answer_and_pays_once(run: Running) -> None:
    invoice = run.open_invoice()
    body = run.payment_body(invoice, PaymentRefNum="ch_1")
    first = run.post("payment", body, requestid="pay-1")
    again = run.post("payment", body, requestid="pay-1")
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["intuit_tid"] != first.headers["intuit_tid"]
    assert len(run.query("select * from Payment where PaymentRefNum = 'ch_1'")["Payment"]) == 1
    commits = [line for line in run.parts.journal.entries("commit") if line["operation"] == "payment.create"]
    assert {line["key"] for line in commits} == {"pay-1"}
    assert [line["id"] for line in commits].count(first.json()["Payment"]["Id"]) == 1


def test_the_first_answer_is_replayed_for_a_day(run: Running) -> None:
    def create(name: str) -> requests.Response:
        return run.post("customer", {"DisplayName": name}, requestid="same")

    first = create("One").json()["Customer"]["Id"]
    assert create("Two").json()["Customer"]["Id"] == first
    run.parts.clock.advance(86_401)
    renewed = refresh(run, run.tokens["refresh_token"]).json()
    run.http.headers["Authorization"] = f"Bearer {renewed['access_token']}"
    assert create("Two").json()["Customer"]["DisplayName"] == "Two"


@pytest.mark.parametrize(("replay_faults", "expected"), [(True, 400), (False, 200)])
def test_refusals_are_replayed_too_unless_told_otherwise(replay_faults: bool, expected: int) -> None:
    with running(replay_faults=replay_faults) as run:
        assert run.post("customer", {"DisplayName": "O'Brien Roofing"}, requestid="k").status_code == 400
        assert run.post("customer", {"DisplayName": "Other"}, requestid="k").status_code == expected


def test_a_key_of_over_50_characters_is_refused(seeded: Running) -> None:
    assert code_of(seeded.post("customer", {"DisplayName": "x"}, requestid="k" * 51)) == "2050"


def test_many_at_once_with_one_key_pay_once(run: Running) -> None:
    invoice = run.open_invoice()
    body = run.payment_body(invoice, PaymentRefNum="race")
    answers: list[requests.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(run.post("payment", body, requestid="race"))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.json()["Payment"]["Id"] for answer in answers} == {answers[0].json()["Payment"]["Id"]}
    assert run.read("Invoice", invoice["Id"])["Balance"] == 0


def test_two_at_once_without_a_key_never_pay_more_than_is_due(run: Running) -> None:
    invoice = run.open_invoice()
    body = run.payment_body(invoice)
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(run.post("payment", body).status_code)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 400, 400, 400, 400]


def test_a_dropped_answer_leaves_a_payment_that_a_query_finds(run: Running) -> None:
    invoice = run.open_invoice()
    body = run.payment_body(invoice, PaymentRefNum="lost", PrivateNote="portal pay_01J")
    run.parts.faults.arm("drop_after_commit", "payment.create")
    with pytest.raises(requests.ConnectionError):
        run.post("payment", body, requestid="lost-1")
    customer, day = invoice["CustomerRef"]["value"], run.parts.books[REALM].today()
    text = f"SELECT * FROM Payment WHERE CustomerRef = '{customer}' AND TxnDate = '{day}'"
    (found,) = run.query(text)["Payment"]
    assert (found["PaymentRefNum"], found["PrivateNote"]) == ("lost", "portal pay_01J")
    again = run.post("payment", body, requestid="lost-1")
    assert again.json()["Payment"]["Id"] == found["Id"]
    assert len(run.query(text)["Payment"]) == 1


def test_before_the_commit_nothing_is_left(run: Running) -> None:
    invoice = run.open_invoice()
    for kind in ("drop_before_commit", "error_before_commit", "html_503"):
        run.parts.faults.arm(kind, "payment.*")
        try:
            assert run.post("payment", run.payment_body(invoice), requestid=kind).status_code in (500, 503)
        except requests.ConnectionError:
            assert kind == "drop_before_commit"
    assert run.read("Invoice", invoice["Id"]) == invoice
    operations = [line["operation"] for line in run.parts.journal.entries("request")]
    assert operations.count("payment.create") == 3


def test_calls_over_the_limit_are_refused_without_a_word_how_long(run: Running) -> None:
    with running(calls_per_second=3, calls_per_minute=5) as limited:
        clock = limited.parts.clock
        statuses = [limited.get("invoice/1").status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        answer = limited.get("invoice/1")
        assert code_of(answer) == "3001"
        assert "Retry-After" not in answer.headers
        clock.advance(1)
        assert [limited.get("invoice/1").status_code for _ in range(3)] == [200, 200, 429]
        clock.advance(60)
        assert limited.get("invoice/1").status_code == 200
    run.parts.faults.arm("throttle", "*", times=2)
    assert [run.get("invoice/1").status_code for _ in range(3)] == [429, 429, 200]


def test_a_restart_keeps_books_tokens_keys_and_journal(tmp_path: Path) -> None:
    path, clock = tmp_path / "quickbooks.sqlite", Clock()
    with running(path, clock) as run:
        invoice = run.open_invoice()
        body = run.payment_body(invoice, PaymentRefNum="kept")
        first = run.post("payment", body, requestid="k").json()
        authorization = run.http.headers["Authorization"]
        commits = len(run.parts.journal.entries("commit"))
        assert commits
    with running(path, clock) as again:
        again.http.headers["Authorization"] = authorization
        assert again.post("payment", body, requestid="k").json() == first
        assert again.read("Invoice", invoice["Id"])["Balance"] == 0
        assert again.query("select count(*) from Invoice")["totalCount"] == 300
        assert len(again.parts.journal.entries("commit")) == commits
