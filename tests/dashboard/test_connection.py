"""Connections: what can be connected, the dry run, progress, themes, and how one ends."""

from __future__ import annotations

import pytest

from connector.db.connections import Reading
from connector.domain.records import Kind
from connector.domain.work import Work
from tests.dashboard.firm import Firm, open_product, sign_up


def test_a_system_without_credentials_names_the_missing_settings(sqlite_schema_url: str) -> None:
    product = open_product(
        sqlite_schema_url, {"DUEBRIDGE_QUICKBOOKS_CLIENT_ID": "a", "DUEBRIDGE_QUICKBOOKS_CLIENT_SECRET": "b"}
    )
    firm = sign_up(product)
    page = firm.get("/connections").text
    assert 'action="/connections/quickbooks/begin"' in page
    assert "DUEBRIDGE_XERO_CLIENT_ID" in page and "DUEBRIDGE_XERO_CLIENT_SECRET" in page
    assert 'action="/connections/xero/begin"' not in page
    assert firm.post("/connections/xero/begin").status_code == 404
    assert firm.post("/connections/sage/begin").status_code == 404
    product.wiring.database.engine.dispose()


def test_begin_leads_to_the_consent_screen_with_a_state_of_its_own(small_firm: Firm) -> None:
    there = [small_firm.post("/connections/xero/begin").headers["Location"] for _ in range(2)]
    assert all(url.startswith("https://login.xero.com/identity/connect/authorize?") for url in there)
    assert "code_challenge=" in there[0] and there[0] != there[1]


@pytest.mark.parametrize("query", ["", "?state=x&code=y", "?error=access_denied&state=x", "?state=" + "a" * 5000])
def test_a_callback_nobody_asked_for_is_refused(small_firm: Firm, query: str) -> None:
    answer = small_firm.get(f"/connections/quickbooks/callback{query}")
    assert answer.status_code == 403
    assert "not started from your session" in answer.text
    assert small_firm.count("SELECT count(*) FROM connections") == 0


def test_the_dry_run_shows_what_would_happen_and_nothing_happens(firm: Firm) -> None:
    connection = firm.connection(state="pending")
    assert firm.get(f"/connections/{connection}").headers["Location"] == f"/connections/{connection}/review"
    page = firm.get(f"/connections/{connection}/review").text
    for words in ("1,300", "105 open invoices", "closed up to 31 December 2025", "Business Checking", "Count again"):
        assert words in page
    assert firm.product.woken == []


def test_confirming_begins_the_import(firm: Firm) -> None:
    connection = firm.connection(state="pending")
    form = {"history_start": "2026-01-01", "deposit_account": "35", "place_links": "1"}
    answer = firm.post(f"/connections/{connection}/confirm", **form)
    assert answer.headers["Location"] == f"/connections/{connection}"
    assert [item.kind for item in firm.product.woken] == [Work.SYNC]
    page = firm.get(f"/connections/{connection}").text
    assert "Importing" in page and "<progress" in page and 'http-equiv="refresh"' in page
    with firm.product.wiring.database.view(firm.merchant_id) as view:
        one = view.connections.get(connection)
    assert (str(one.history_start), one.deposit_account, one.place_links) == ("2026-01-01", "35", True)


def test_what_was_not_counted_cannot_be_confirmed(small_firm: Firm) -> None:
    connection = small_firm.connection(state="pending")
    with small_firm.product.wiring.database.unit_of_work(small_firm.merchant_id) as uow:
        uow.connections.change(connection, survey=None)
    answer = small_firm.post(f"/connections/{connection}/confirm", deposit_account="35")
    assert answer.status_code == 409 and "Nothing was counted yet" in answer.text
    assert small_firm.product.woken == []


def test_links_are_placed_only_when_ticked(small_firm: Firm) -> None:
    connection = small_firm.connection(state="pending")
    assert small_firm.post(f"/connections/{connection}/confirm", deposit_account="35").status_code == 303
    with small_firm.product.wiring.database.view(small_firm.merchant_id) as view:
        assert view.connections.get(connection).place_links is False
    assert small_firm.post(f"/connections/{connection}/themes").status_code == 303
    assert "Turn them on" in small_firm.get(f"/connections/{connection}").text


@pytest.mark.parametrize(
    "typed", ["31.12.2025", "2025-02-30", "2026-11-23", "1889-01-01", "٢٠٢٦-٠١-٠١", "2026-1-1", "x"]
)
def test_a_day_that_is_none_is_refused_at_its_field(small_firm: Firm, typed: str) -> None:
    connection = small_firm.connection(state="pending")
    for action, name in (("survey", "since"), ("confirm", "history_start")):
        answer = small_firm.post(f"/connections/{connection}/{action}", **{name: typed, "deposit_account": "35"})
        assert answer.status_code == 400, action
        assert "2026-01-31" in answer.text or "future" in answer.text
    assert small_firm.product.woken == []


@pytest.mark.parametrize("account", ["999", "' OR 1=1", "35 "])
def test_an_account_that_is_not_listed_is_refused(small_firm: Firm, account: str) -> None:
    connection = small_firm.connection(state="pending")
    answer = small_firm.post(f"/connections/{connection}/confirm", deposit_account=account)
    assert answer.status_code == 400 and "Choose one of the listed accounts" in answer.text


def test_a_system_that_needs_an_account_asks_for_it(small_firm: Firm) -> None:
    connection = small_firm.connection("xero", state="pending")
    answer = small_firm.post(f"/connections/{connection}/confirm", deposit_account="")
    assert answer.status_code == 400 and "Choose the account payments are booked to" in answer.text


def test_decisions_can_be_changed_later_but_not_the_history(firm: Firm) -> None:
    connection = firm.connection()
    firm.imported(connection)
    page = firm.get(f"/connections/{connection}/review").text
    assert "Settings of this connection" in page and "Count again" not in page
    assert firm.post(f"/connections/{connection}/survey", since="2026-01-01").status_code == 409
    form = {"history_start": "2020-01-01", "place_links": "1"}
    assert firm.post(f"/connections/{connection}/confirm", **form).status_code == 303
    with firm.product.wiring.database.view(firm.merchant_id) as view:
        one = view.connections.get(connection)
    assert one.history_start is None and one.deposit_account == ""
    assert Work.INJECT in {item.kind for item in firm.product.woken}, (
        "links wanted later are placed without a new import"
    )


def test_progress_is_told_in_numbers(firm: Firm) -> None:
    connection = firm.connection()
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.connections.move_reading(connection, Reading(Kind.CUSTOMER, "c", True, 40, 40))
        uow.connections.move_reading(connection, Reading(Kind.INVOICE, "c", False, 400, 1300))
    firm.customer(connection)
    firm.invoice(connection, "i1")
    firm.invoice(connection, "i2", kind=Kind.ESTIMATE)
    firm.placed(connection)
    told = firm.get(f"/connections/{connection}/progress.json").json or {}
    assert told["state"] == "active" and told["first_import_done"] is False
    assert told["kinds"]["customer"] == {"seen": 40, "total": 40, "done": True}
    assert told["kinds"]["invoice"] == {"seen": 400, "total": 1300, "done": False}
    assert told["kinds"]["payment"] == {"seen": 0, "total": None, "done": False}
    assert told["placements"] == {"planned": 0, "placed": 1, "refused": 0, "manual": 0, "confirmed": 0}
    assert (told["invoices"], told["customers"]) == (1, 1)
    page = firm.get(f"/connections/{connection}").text
    assert "400 of 1,300" in page and 'max="1300" value="400"' in page
    firm.imported(connection)
    page = firm.get(f"/connections/{connection}").text
    assert "Importing" not in page and 'http-equiv="refresh"' not in page


def test_unreadable_records_are_shown_with_their_cause(firm: Firm) -> None:
    connection = firm.connection()
    firm.imported(connection)
    firm.unreadable(connection)
    page = firm.get(f"/connections/{connection}").text
    assert "1 record could not be read" in page and "finer than a cent" in page and "Invoice 2026-9" in page


def test_themes_are_confirmed_one_by_one_and_proven_by_a_visit(firm: Firm) -> None:
    connection = firm.connection("xero")
    firm.imported(connection)
    firm.theme(connection, "t-1", "Standard")
    firm.theme(connection, "t-2", "Japan")
    page = firm.get(f"/connections/{connection}").text
    assert "/x/kkkkkkkkkkkkkkkkkkkk01?invoiceNo=[INVOICENUMBER]" in page and "No real visit yet" in page
    assert page.count("I have done this") == 2
    assert firm.post(f"/connections/{connection}/themes/t-1/confirm").status_code == 303
    page = firm.get(f"/connections/{connection}").text
    assert page.count("I have done this") == 1 and "Confirmed by merchant" in page
    assert firm.post(f"/connections/{connection}/themes/none/confirm").status_code == 404
    with firm.product.wiring.database.unit_of_work(firm.merchant_id) as uow:
        uow.connections.change(connection, first_hit_at=uow.now)
    assert "First real visit" in firm.get(f"/connections/{connection}").text


def test_sync_now_asks_for_work(small_firm: Firm) -> None:
    connection = small_firm.connection()
    assert small_firm.post(f"/connections/{connection}/sync").status_code == 303
    assert [item.kind for item in small_firm.product.woken] == [Work.SYNC]


@pytest.mark.parametrize(("form", "work"), [({"withdraw_links": "1"}, Work.WITHDRAW), ({}, Work.REVOKE)])
def test_disconnecting_asks_first_and_then_ends(firm: Firm, form: dict[str, str], work: Work) -> None:
    connection = firm.connection()
    firm.imported(connection)
    firm.invoice(connection)
    firm.placed(connection)
    page = firm.get(f"/connections/{connection}/disconnect").text
    assert "Take our line off the invoices" in page and "stop working" in page
    assert firm.product.woken == []
    assert firm.post(f"/connections/{connection}/disconnect", **form).status_code == 303
    assert [item.kind for item in firm.product.woken] == [work]
    assert "Disconnecting" in firm.get(f"/connections/{connection}").text
