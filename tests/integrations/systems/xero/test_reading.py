"""Paging: the first import, pages side by side, deltas by seek, lists that move while they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from requests import PreparedRequest

from connector.contract import Access, TryAgain
from connector.domain.records import Kind, Page, UpstreamInvoice
from integrations.systems.xero.adapter import Xero
from integrations.systems.xero.reading import LIST_CALLS
from tests.integrations.limiters import MemoryLimiter
from tests.integrations.systems.xero.connected import Connected, config_for, simulated

BASE = "https://xero.example"
NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
ACCESS = Access("c1", "95d9ae9e-cb1f-5bd1-a86d-076ac2fad7a1", lambda _: "T", {})


def ms(at: datetime) -> str:
    return f"/Date({int(at.timestamp() * 1000)}+0000)/"


class Ledger:
    """Invoices in the order of their ids, listed as Xero lists them, and what it was asked."""

    def __init__(self, count: int) -> None:
        self.rows = {f"{number:05}": NOW - timedelta(days=1) for number in range(count)}
        self.asked: list[dict[str, str]] = []
        self.before: Callable[[int], None] = lambda page: None
        self.now = NOW

    def answer(self, request: PreparedRequest) -> tuple[int, dict[str, str], str]:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url or "").query).items()}
        since = request.headers.get("If-Modified-Since", "")
        self.asked.append({**query, "since": since})
        page, size = int(query["page"]), int(query["pageSize"])
        self.before(page)
        rows = sorted(self.rows.items())
        if since:
            floor = datetime.fromisoformat(since).replace(tzinfo=UTC)
            rows = sorted((row for row in rows if row[1] > floor), key=lambda row: row[1])
        cut = rows[(page - 1) * size : page * size]
        body = {
            "DateTimeUTC": f"/Date({int(self.now.timestamp() * 1000)})/",
            "pagination": {"page": page, "pageSize": size, "pageCount": -(-len(rows) // size), "itemCount": len(rows)},
            "Invoices": [self.row(*row) for row in cut],
        }
        return 200, {"Content-Type": "application/json"}, json.dumps(body)

    @staticmethod
    def row(number: str, at: datetime) -> dict[str, Any]:
        amounts = {"Total": 1, "TotalTax": 0, "AmountDue": 1, "CurrencyCode": "USD", "LineItems": []}
        return {"Type": "ACCREC", "InvoiceID": number, "Status": "AUTHORISED", "UpdatedDateUTC": ms(at), **amounts}


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """2,500 invoices behind a mocked Xero, in pages of 100 to keep the tests quick."""
    calls = {**LIST_CALLS, Kind.INVOICE: LIST_CALLS[Kind.INVOICE].__class__(100, "InvoiceID", 'Type=="ACCREC"')}
    monkeypatch.setattr("integrations.systems.xero.reading.LIST_CALLS", calls)
    found = Ledger(250)
    with responses.RequestsMock() as mock:
        mock.add_callback(responses.GET, f"{BASE}/api.xro/2.0/Invoices", found.answer)
        yield found


@pytest.fixture
def xero() -> Xero:
    return Xero(config_for(BASE), MemoryLimiter())


def ids(*pages: Page) -> list[str]:
    return [one.remote_id for page in pages for one in page.records]


def test_page_one_stands_alone_and_then_all_others_may_be_asked(xero: Xero, ledger: Ledger) -> None:
    first = xero.first_cursor(ACCESS, Kind.INVOICE, date(2026, 1, 1))
    assert xero.ahead(Kind.INVOICE, first) == [first]
    one = xero.page(ACCESS, Kind.INVOICE, first)
    assert (one.total, one.done, len(one.records)) == (250, False, 100)
    others = xero.ahead(Kind.INVOICE, one.next)
    assert others[0] == one.next
    # In any order: each page is whole by itself.
    three = xero.page(ACCESS, Kind.INVOICE, others[1])
    two = xero.page(ACCESS, Kind.INVOICE, others[0])
    assert len(others) == 2
    assert two.next == others[1]
    assert ids(one, two, three) == sorted(ledger.rows)
    assert (two.done, three.done, three.total) == (False, True, 250)
    assert xero.ahead(Kind.INVOICE, three.next) == [three.next]
    assert len(ledger.asked) == 3
    assert {asked["order"] for asked in ledger.asked} == {"InvoiceID ASC"}


def test_after_the_import_the_delta_begins_before_the_import_did(xero: Xero, ledger: Ledger) -> None:
    cursor = xero.first_cursor(ACCESS, Kind.INVOICE, None)
    for _ in range(3):
        page = xero.page(ACCESS, Kind.INVOICE, cursor)
        cursor = page.next
        ledger.now += timedelta(minutes=20)
    changed = NOW - timedelta(minutes=4)
    ledger.rows["00007"] = changed
    delta = xero.page(ACCESS, Kind.INVOICE, cursor)
    assert ids(delta) == ["00007"]
    assert ledger.asked[-1]["since"] == "2026-11-22T11:55:00"
    assert ledger.asked[-1]["order"] == "UpdatedDateUTC ASC"
    assert delta.done


def test_an_empty_organisation_is_done_at_once(xero: Xero, ledger: Ledger) -> None:
    ledger.rows.clear()
    page = xero.page(ACCESS, Kind.INVOICE, xero.first_cursor(ACCESS, Kind.INVOICE, None))
    assert (page.records, page.done, page.total) == ([], True, 0)
    assert json.loads(page.next)["mode"] == "delta"


def test_a_row_that_comes_in_while_pages_are_read_pushes_none_out(xero: Xero, ledger: Ledger) -> None:
    one = xero.page(ACCESS, Kind.INVOICE, xero.first_cursor(ACCESS, Kind.INVOICE, None))
    two, three = xero.ahead(Kind.INVOICE, one.next)
    last = xero.page(ACCESS, Kind.INVOICE, three)
    # "00199" now stands on page 3, which has been read already.
    ledger.rows["00150x"] = NOW
    middle = xero.page(ACCESS, Kind.INVOICE, two)
    found = ids(one, middle, last)
    assert set(found) == set(ledger.rows)
    assert len(ids(middle)) == len(set(ids(middle)))


def test_a_row_that_goes_while_pages_are_read_draws_none_away(xero: Xero, ledger: Ledger) -> None:
    one = xero.page(ACCESS, Kind.INVOICE, xero.first_cursor(ACCESS, Kind.INVOICE, None))
    two, three = xero.ahead(Kind.INVOICE, one.next)
    middle = xero.page(ACCESS, Kind.INVOICE, two)
    # "00200" now stands on page 2, which has been read already.
    del ledger.rows["00050"]
    last = xero.page(ACCESS, Kind.INVOICE, three)
    assert set(ledger.rows) <= set(ids(one, middle, last))


def test_a_long_delta_is_read_by_seek_and_misses_nothing_that_moves(xero: Xero, ledger: Ledger) -> None:
    start = NOW - timedelta(hours=1)
    for place, number in enumerate(sorted(ledger.rows)):
        ledger.rows[number] = start + timedelta(seconds=place)
    moved = {"00010": False}

    def edit(page: int) -> None:
        # Right after the first page a row already read is edited: paging by offset would now skip another one.
        if len(ledger.asked) == 2 and not moved["00010"]:
            ledger.rows["00010"] = NOW - timedelta(seconds=1)
            moved["00010"] = True

    ledger.before = edit
    cursor, pages = json.dumps({"mode": "delta", "since": "2026-11-22T10:00:00"}), list[Page]()
    while not pages or not pages[-1].done:
        pages.append(xero.page(ACCESS, Kind.INVOICE, cursor))
        cursor = pages[-1].next
    assert set(ids(*pages)) == set(ledger.rows)
    assert ids(*pages).count("00010") == 2
    assert [asked["page"] for asked in ledger.asked] == ["1"] * len(ledger.asked)
    assert json.loads(cursor)["since"] == "2026-11-22T11:55:00"


def test_a_bulk_edit_within_one_second_is_paged_on(xero: Xero, ledger: Ledger) -> None:
    for number in ledger.rows:
        ledger.rows[number] = NOW - timedelta(minutes=30)
    cursor = json.dumps({"mode": "delta", "since": "2026-11-22T11:29:59"})
    pages: list[Page] = []
    while not pages or not pages[-1].done:
        pages.append(xero.page(ACCESS, Kind.INVOICE, cursor))
        cursor = pages[-1].next
    assert ids(*pages) == sorted(ledger.rows)
    assert [asked["page"] for asked in ledger.asked] == ["1", "2", "3"]


def test_a_quiet_delta_is_one_small_call_that_moves_the_cursor(xero: Xero, ledger: Ledger) -> None:
    cursor = json.dumps({"mode": "delta", "since": "2026-11-22T11:30:00"})
    quiet = xero.page(ACCESS, Kind.INVOICE, cursor)
    assert (quiet.records, quiet.done) == ([], True)
    ledger.now = NOW - timedelta(hours=3)
    later = xero.page(ACCESS, Kind.INVOICE, quiet.next)
    assert json.loads(quiet.next)["since"] == json.loads(later.next)["since"] == "2026-11-22T11:55:00"
    assert len(ledger.asked) == 2


@pytest.mark.parametrize("text", ['{"Invoices": [', "<html></html>", "[]"])
def test_a_broken_page_is_asked_again(xero: Xero, text: str) -> None:
    with responses.RequestsMock() as mock:
        mock.get(f"{BASE}/api.xro/2.0/Invoices", body=text, content_type="application/json")
        with pytest.raises(TryAgain):
            xero.page(ACCESS, Kind.INVOICE, xero.first_cursor(ACCESS, Kind.INVOICE, None))


def test_reading_waits_while_little_of_the_day_is_left(xero: Xero, ledger: Ledger) -> None:
    limiter = MemoryLimiter(waits=[900.0])
    tired = Xero(config_for(BASE), limiter)
    with pytest.raises(TryAgain) as waits:
        tired.page(ACCESS, Kind.INVOICE, tired.first_cursor(ACCESS, Kind.INVOICE, None))
    assert waits.value.after == 900.0
    assert ledger.asked == []
    xero.page(ACCESS, Kind.INVOICE, xero.first_cursor(ACCESS, Kind.INVOICE, None))


def read_all(upstream: Connected, kind: Kind, cursor: str | None = None) -> tuple[list[Page], str]:
    access = upstream.access()
    cursor, pages = cursor or upstream.xero.first_cursor(access, kind, None), list[Page]()
    while not pages or not pages[-1].done:
        pages.append(upstream.xero.page(access, kind, cursor))
        cursor = pages[-1].next
    return pages, cursor


@pytest.mark.parametrize(("kind", "count"), [(Kind.CUSTOMER, 40), (Kind.INVOICE, 300), (Kind.RECURRING, 3)])
def test_the_whole_company_is_read_from_the_simulator(upstream: Connected, kind: Kind, count: int) -> None:
    pages, _ = read_all(upstream, kind)
    assert len(ids(*pages)) == len(set(ids(*pages))) == count
    assert [page.unreadable for page in pages] == [[]] * len(pages)


def test_voids_deletes_and_edits_come_by_delta(upstream: Connected) -> None:
    pages, cursor = read_all(upstream, Kind.INVOICE)
    upstream.control("clock", advance_seconds=3600)
    _, cursor = read_all(upstream, Kind.INVOICE, cursor)
    records = {str(getattr(one, "number", "")): one for one in pages[0].records}
    states = {"void": "open", "delete": "draft", "edit": "open"}
    chosen: dict[str, str] = {}
    for action, state in states.items():
        fits = (one for one in records.values() if getattr(one, "state", "") == state and untouched(one))
        chosen[action] = next(one.remote_id for one in fits if one.remote_id not in chosen.values())
        upstream.control(f"invoices/{chosen[action]}", action=action, reference="changed by hand")
    changed, _ = read_all(upstream, Kind.INVOICE, cursor)
    told = {one.remote_id: one for one in changed[0].records}
    assert set(told) == set(chosen.values())
    assert getattr(told[chosen["void"]], "state", "") == "void"
    assert getattr(told[chosen["delete"]], "state", "") == "deleted"
    assert getattr(told[chosen["edit"]], "reference", "") == "changed by hand"


def untouched(one: Any) -> bool:
    return bool(one.balance == one.total and one.total)


def test_the_dry_run_counts_what_the_import_brings(upstream: Connected) -> None:
    survey = upstream.xero.survey(upstream.access(), None)
    assert (survey.organisation, survey.currency) == ("Northwind IT & Design", "USD")
    counted = {line.what: line.number for line in survey.lines}
    brought = {kind: len(ids(*read_all(upstream, kind)[0])) for kind in Kind}
    assert list(counted.values()) == [
        brought[kind]
        for kind in (Kind.CUSTOMER, Kind.INVOICE, Kind.CREDIT_NOTE, Kind.ESTIMATE, Kind.RECURRING, Kind.PAYMENT)
    ]
    records = read_all(upstream, Kind.INVOICE)[0][0].records
    assert survey.links == sum(
        1 for one in records if getattr(one, "state", "") == "open" and getattr(one, "balance", 0)
    )
    assert any("paste one address" in warning for warning in survey.warnings)
    assert any("locked up to 2024-12-31" in warning for warning in survey.warnings)


def test_history_begins_where_the_merchant_says(upstream: Connected) -> None:
    access, since = upstream.access(), date(2026, 10, 1)
    page = upstream.xero.page(access, Kind.INVOICE, upstream.xero.first_cursor(access, Kind.INVOICE, since))
    dates = [one.issue_date for one in page.records if isinstance(one, UpstreamInvoice) and one.issue_date]
    assert dates and min(dates) >= since
    lines = {line.what: line.number for line in upstream.xero.survey(access, since).lines}
    assert lines["Invoices"] == page.total == len(page.records) < 300


def test_a_storm_of_429_is_waited_out_not_broken(upstream: Connected) -> None:
    upstream.control("faults", kind="throttle", operation="invoice.list", times=1)
    access = upstream.access()
    cursor = upstream.xero.first_cursor(access, Kind.INVOICE, None)
    with pytest.raises(TryAgain) as waits:
        upstream.xero.page(access, Kind.INVOICE, cursor)
    assert waits.value.after >= 1
    assert upstream.limiter.pushed
    assert len(upstream.xero.page(access, Kind.INVOICE, cursor).records) == 300


def test_a_full_minute_at_xero_says_when_to_come_back() -> None:
    with simulated(minute_limit=3) as upstream:
        upstream.connect()
        access = upstream.access()
        with pytest.raises(TryAgain) as waits:
            for _ in range(4):
                upstream.xero.invoice(access, "002b3c80-7369-5a91-b6bb-3f60610d39de")
        assert 1 <= waits.value.after <= 60
